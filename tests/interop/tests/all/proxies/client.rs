//! A client of a server that says what a test tells it, over TLS by OpenSSL.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_interop::Prosody;
use xtls_stanza::{Element, Limits, StreamItem, StreamReader, jid::Jid, ns};

/// One that is logged in at `localhost`.
pub(super) struct LoggedIn {
    /// The address that the server has bound.
    pub(super) address: Jid,
    openssl: Child,
    writing: ChildStdin,
    reading: Reading,
}

struct Reading {
    output: ChildStdout,
    reader: StreamReader,
    bytes: Vec<u8>,
}

impl LoggedIn {
    pub(super) fn new(port: u16, ca_file: &Path, account: &str) -> Self {
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-starttls", "xmpp", "-xmpphost", "localhost"])
            .args(["-verify_hostname", "localhost", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"])
            .arg(ca_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed (on Debian: apt-get install openssl)");
        let writing = openssl.stdin.take().expect("it is piped");
        let output = openssl.stdout.take().expect("it is piped");
        let reading = Reading { output, reader: StreamReader::new(Limits::default()), bytes: Vec::new() };
        let mut client = Self { address: "localhost".parse().expect("an address"), openssl, writing, reading };
        client.log_in(account);
        client
    }

    /// By PLAIN, which is what both servers have inside of TLS.
    fn log_in(&mut self, account: &str) {
        let header = format!(
            "<stream:stream to='localhost' version='1.0' xmlns='{}' xmlns:stream='{}'>",
            ns::CLIENT,
            ns::STREAM
        );
        self.send(&header);
        assert_eq!(self.stanza().name(), "features");
        let secret = STANDARD.encode(format!("\0{account}\0{}", Prosody::password(account)));
        self.send(&format!("<auth xmlns='{}' mechanism='PLAIN'>{secret}</auth>", ns::SASL));
        assert_eq!(self.stanza().name(), "success");
        self.reading.reader.reset();
        self.send(&header);
        assert_eq!(self.stanza().name(), "features");
        self.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>");
        let bound = self.stanza();
        let jid = bound.children().next().and_then(|bind| bind.children().next()).expect("the server binds a resource");
        self.address = jid.text().parse().expect("an address");
    }

    pub(super) fn send(&mut self, xml: &str) {
        self.writing.write_all(xml.as_bytes()).expect("openssl reads");
        self.writing.flush().expect("openssl reads");
    }

    /// The next stanza that comes.
    pub(super) fn stanza(&mut self) -> Element {
        self.reading.stanza()
    }
}

impl Reading {
    fn stanza(&mut self) -> Element {
        loop {
            let mut rest = self.bytes.as_slice();
            let item = self.reader.read(&mut rest).expect("a stream of XML");
            let used = self.bytes.len() - rest.len();
            self.bytes.drain(..used);
            match item {
                Some(StreamItem::Stanza(stanza)) => return stanza,
                Some(_) => {}
                None => {
                    let mut more = [0; 4096];
                    let read = self.output.read(&mut more).expect("openssl writes");
                    assert!(read > 0, "the server has closed the stream");
                    self.bytes.extend_from_slice(&more[..read]);
                }
            }
        }
    }
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}
