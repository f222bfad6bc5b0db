//! A server that says what a test wants, in clear or inside TLS.

#![allow(clippy::unwrap_in_result, reason = "`None` is for clients that have gone, and no fault")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::common::Password;
use sasl::common::scram::{ScramProvider, Sha256};
use xtls::rustls::time_provider::DefaultTimeProvider;
use xtls_interop::{Ended, Xtls};
use xtls_stanza::jid::BareJid;
use xtls_tls::{ClientVerification, Identity, KeyAlgorithm, TlsSession, TowardsClient, default_provider};

/// The header that a server answers with, as RFC 6120 § 4.7 has it.
pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream from='localhost' id='t7AMCin9zjMNwQKDnplntZPIDEI=' \
    version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
/// What a server offers to those who have logged in.
pub(crate) const BIND: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";
/// The answer to the bind request.
pub(crate) const BOUND: &str = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <jid>alice@localhost/xtls</jid></bind></iq>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const PASSWORD: &str = "wherefore art thou";

/// A server, who does with each connection what its script says.
pub(crate) struct Scripted {
    port: u16,
    identity: Option<Identity>,
    heard: Arc<Mutex<String>>,
    dir: tempfile::TempDir,
}

/// One connection of it. Each step gives `None` once the client has gone.
pub(crate) struct Talk {
    socket: TcpStream,
    tls: Option<TlsSession>,
    identity: Option<Identity>,
    /// What came and was not waited for yet.
    waiting: String,
    heard: Arc<Mutex<String>>,
}

type Script = dyn Fn(&mut Talk) -> Option<()> + Send + Sync;

impl Scripted {
    /// A server without TLS.
    pub(crate) fn in_clear(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script))
    }

    /// A server with a certificate of its own; the script begins inside TLS.
    pub(crate) fn in_tls(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Self {
        let jid: BareJid = "server@localhost".parse().expect("an address");
        let time = xtls::tls::UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_800_000_000));
        let identity = Identity::generate(&jid, KeyAlgorithm::EcdsaP256, time).expect("a certificate");
        let script = move |talk: &mut Talk| {
            talk.start_tls()?;
            script(talk)
        };
        Self::start(Some(identity), Arc::new(script))
    }

    fn start(identity: Option<Identity>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(String::new()));
        let (certificate, record) = (identity.clone(), Arc::clone(&heard));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (identity, heard, script) = (certificate.clone(), Arc::clone(&record), Arc::clone(&script));
                let mut talk = Talk { socket, tls: None, identity, waiting: String::new(), heard };
                thread::spawn(move || {
                    script(&mut talk);
                    // What is not read when a connection is closed resets it.
                    while talk.read().is_some() {}
                });
            }
        });
        Self { port, identity, heard, dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Everything that clients have said to it, but for TLS.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().expect("no script panics").clone()
    }

    /// Waits until a client has said this, but for TLS.
    pub(crate) fn wait_for(&self, words: &str) {
        xtls_interop::until(words, || self.heard().contains(words).then_some(()));
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The fingerprint of its certificate.
    pub(crate) fn fingerprint(&self) -> String {
        self.identity.as_ref().expect("a server with TLS has a certificate").fingerprint_sha256().to_string()
    }

    fn options(&self) -> Vec<String> {
        let address = format!("127.0.0.1:{}", self.port);
        let mut options = vec!["--jid".to_owned(), "alice@localhost/xtls".to_owned(), "--server".to_owned(), address];
        match &self.identity {
            Some(identity) => {
                options.extend(["--server-fingerprint".to_owned(), identity.fingerprint_sha256().to_string()]);
            }
            None => options.push("--insecure-plaintext".to_owned()),
        }
        options
    }

    /// Starts to listen with an account of it.
    pub(crate) fn listen(&self) -> Xtls {
        self.command(&["listen"])
    }

    /// Starts a command with an account of it.
    pub(crate) fn command(&self, args: &[&str]) -> Xtls {
        let args: Vec<String> = args.iter().copied().map(str::to_owned).chain(self.options()).collect();
        Xtls::start(self.data_dir(), Some(PASSWORD), &args)
    }

    /// Where those who use the account keep their data.
    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Logs in, which is to succeed, and ends.
    pub(crate) fn logs_in(&self) {
        let mut listening = self.listen();
        assert_eq!(listening.event("online")["jid"], "alice@localhost/xtls");
        listening.interrupt();
        let ended = listening.wait();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }

    /// Logs in, which is to fail.
    pub(crate) fn fails(&self) -> Ended {
        let mut listening = self.listen();
        listening.end_input();
        listening.wait()
    }
}

impl Talk {
    /// Says this.
    pub(crate) fn say(&mut self, text: &str) -> Option<()> {
        let mut out = Vec::new();
        match &mut self.tls {
            Some(tls) => tls.write(text.as_bytes(), &mut out).ok()?,
            None => out.extend_from_slice(text.as_bytes()),
        }
        self.socket.write_all(&out).ok()
    }

    /// Waits for this, and gives what came before it, and it.
    pub(crate) fn hear(&mut self, what: &str) -> Option<String> {
        loop {
            if let Some(at) = self.waiting.find(what) {
                let rest = self.waiting.split_off(at + what.len());
                return Some(core::mem::replace(&mut self.waiting, rest));
            }
            self.read()?;
        }
    }

    /// Waits until there is something, and gives all of it.
    pub(crate) fn hear_more(&mut self) -> Option<String> {
        while self.waiting.is_empty() {
            self.read()?;
        }
        Some(core::mem::take(&mut self.waiting))
    }

    /// What another thread says things by, in clear.
    pub(crate) fn writer(&self) -> TcpStream {
        self.socket.try_clone().expect("a socket can be shared")
    }

    /// Waits for a header, and answers it with this.
    pub(crate) fn greet(&mut self, features: &str) -> Option<String> {
        let header = self.header()?;
        self.say(&format!("{HEADER}{features}"))?;
        Some(header)
    }

    /// Waits for a header.
    pub(crate) fn header(&mut self) -> Option<String> {
        self.hear("<stream:stream ")?;
        self.hear(">")
    }

    /// Takes a login by PLAIN, and says this of it.
    pub(crate) fn plain(&mut self, success: &str) -> Option<()> {
        self.greet(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
            </mechanisms></stream:features>",
        )?;
        let auth = self.hear("</auth>")?;
        assert!(auth.contains(&BASE64.encode(format!("\0alice\0{PASSWORD}"))), "{auth}");
        self.say(success)
    }

    /// Binds the resource.
    pub(crate) fn bind(&mut self) -> Option<()> {
        self.greet(BIND)?;
        self.hear("</iq>")?;
        self.say(BOUND)
    }

    /// The channel binding of this connection (RFC 9266).
    pub(crate) fn exporter(&self) -> [u8; 32] {
        self.tls.as_ref().and_then(|tls| tls.channel_binding().ok()).expect("it is secured")
    }

    /// The hash of the server's certificate, whose signature has SHA-256 (RFC 5929 § 4.1).
    pub(crate) fn end_point(&self) -> [u8; 32] {
        let identity = self.identity.as_ref().expect("a server with TLS has a certificate");
        identity.fingerprint_sha256().digest().try_into().expect("it is SHA-256")
    }

    /// Takes a login by SCRAM-SHA-256 (RFC 5802), with the password; gives the mechanism, the flag and what it is bound to.
    pub(crate) fn scram(&mut self) -> Option<(String, String, Vec<u8>)> {
        let auth = self.hear("</auth>")?;
        let mechanism = between(&auth, "mechanism='", "'");
        let first = text(&between(&auth, ">", "</auth>"));
        let (flag, bare) = first.split_once(",,").expect("a header of GS2");
        let nonce = bare.split_once(",r=").expect("a nonce").1;
        let salt = b"salt";
        let challenge = format!("r={nonce}SERVER,s={},i=4096", BASE64.encode(salt));
        let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
        self.say(&format!("<challenge {sasl}>{}</challenge>", BASE64.encode(&challenge)))?;
        let response = text(&between(&self.hear("</response>")?, ">", "</response>"));
        let (without_proof, proof) = response.rsplit_once(",p=").expect("a proof");
        let bound = between(&format!("{without_proof},"), "c=", ",");
        let salted = Sha256::derive(&Password::Plain(PASSWORD.to_owned()), salt, 4096).expect("a key");
        let message = format!("{bare},{challenge},{without_proof}");
        let hmac = |data: &[u8], key: &[u8]| Sha256::hmac(data, key).expect("a key");
        let client_key = hmac(b"Client Key", &salted);
        let signature = hmac(message.as_bytes(), &Sha256::hash(&client_key));
        let expected: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
        assert_eq!(BASE64.encode(expected), proof);
        let signature = hmac(message.as_bytes(), &hmac(b"Server Key", &salted));
        let last = BASE64.encode(format!("v={}", BASE64.encode(signature)));
        self.say(&format!("<success {sasl}>{last}</success>"))?;
        Some((mechanism, flag.to_owned(), BASE64.decode(bound).expect("base64")))
    }

    fn start_tls(&mut self) -> Option<()> {
        self.greet(&format!("<stream:features>{STARTTLS}</stream:features>"))?;
        self.hear("<starttls")?;
        self.hear(">")?;
        self.say(&STARTTLS.replace("starttls", "proceed"))?;
        let identity = self.identity.clone().expect("a server with TLS has a certificate");
        let time = Arc::new(DefaultTimeProvider);
        let config = TowardsClient::new(identity, default_provider(), time, ClientVerification::NotAsked);
        self.tls = Some(TlsSession::towards_client(&config).expect("TLS can be set up"));
        while self.tls.as_ref().is_some_and(|tls| !tls.handshake_complete()) {
            self.read()?;
        }
        Some(())
    }

    fn read(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        let count = self.socket.read(&mut buffer).ok().filter(|count| *count > 0)?;
        let bytes = buffer.get(..count)?;
        let mut plaintext = Vec::new();
        match &mut self.tls {
            Some(tls) => {
                let mut out = Vec::new();
                let read = tls.read(bytes, &mut plaintext, &mut out);
                self.socket.write_all(&out).ok()?;
                read.ok()?;
            }
            None => plaintext.extend_from_slice(bytes),
        }
        let text = String::from_utf8_lossy(&plaintext).into_owned();
        self.heard.lock().expect("no script panics").push_str(&text);
        self.waiting.push_str(&text);
        Some(())
    }
}

/// What stands between the two.
fn between(text: &str, from: &str, to: &str) -> String {
    let found = text.split_once(from).and_then(|(_, rest)| rest.split_once(to));
    found.unwrap_or_else(|| panic!("no {from}…{to} in {text}")).0.to_owned()
}

fn text(base64: &str) -> String {
    String::from_utf8(BASE64.decode(base64).expect("base64")).expect("text")
}
