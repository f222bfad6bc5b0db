//! Peers and servers whose TLS is older than ours: those of TLS 1.2 are reached, and of the others it is said what they lack.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use xtls_interop::{Ended, Machine, Xtls, until};

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// What OpenSSL is told to do without.
const TLS_1_2: &[&str] = &["-tls1_2"];
const TLS_1_1: &[&str] = &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];

/// The default configuration of OpenSSL, without RFC 7627.
const WITHOUT_EXTENDED_MASTER_SECRET: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n\
    [tls]\nOptions = -ExtendedMasterSecret\n";

/// A running `openssl`.
struct OpenSsl(Child);

impl OpenSsl {
    /// `openssl COMMAND` with the certificate of this machine.
    fn start(command: &str, machine: &Machine, args: &[&str], config: Option<&str>) -> Self {
        let _ = machine.fingerprint();
        let own = machine.data_dir().join("identities").join(format!("{}.pem", machine.jid));
        let mut openssl = Command::new("openssl");
        openssl.arg(command).args([Path::new("-cert"), &own, Path::new("-key"), &own]).args(args);
        if let Some(config) = config {
            openssl.env("OPENSSL_CONF", machine.file("openssl.cnf", config));
        }
        // It ends with its input.
        openssl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(openssl.spawn().unwrap_or_else(|e| panic!("openssl cannot be started: {e}; install it")))
    }

    /// `openssl s_server`, and its port. It asks for a certificate and takes any.
    fn serve(machine: &Machine, args: &[&str], config: Option<&str>) -> (Self, u16) {
        let port = free_port();
        let accept = format!("127.0.0.1:{port}");
        let args = [&["-quiet", "-Verify", "1", "-accept", &accept], args].concat();
        let server = Self::start("s_server", machine, &args, config);
        until("s_server", || TcpStream::connect(("127.0.0.1", port)).ok());
        (server, port)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn header(from: &str, to: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
         from='{from}' to='{to}' version='1.0'>"
    )
}

/// Reads until these words have come.
fn hear(from: &mut TcpStream, words: &str) {
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(words.as_bytes()) {
        from.read_exact(&mut byte).expect("the negotiation goes on");
        heard.extend(byte);
    }
}

/// Lets two connections talk to one another.
fn join(one: &TcpStream, other: &TcpStream) {
    for (from, to) in [(one, other), (other, one)] {
        let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

/// Negotiates STARTTLS in the name of Juliet, whose TLS is at another port; gives the port to connect to.
fn before(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("somebody comes");
        hear(&mut client, "version='1.0'>");
        let features = format!("<stream:features>{STARTTLS}</stream:features>");
        client.write_all((header("juliet@pronto", "romeo@forza") + &features).as_bytes()).expect("it is sent");
        hear(&mut client, STARTTLS);
        client.write_all(PROCEED.as_bytes()).expect("it is sent");
        join(&client, &TcpStream::connect(("127.0.0.1", server)).expect("TLS is served"));
    });
    port
}

/// The same in the name of Romeo, who comes to Juliet at this port; gives the port for his TLS.
fn behind(juliet: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("somebody comes");
        let mut server = TcpStream::connect(("127.0.0.1", juliet)).expect("she listens");
        server.write_all(header("romeo@forza", "juliet@pronto").as_bytes()).expect("it is sent");
        hear(&mut server, "</stream:features>");
        server.write_all(STARTTLS.as_bytes()).expect("it is sent");
        hear(&mut server, PROCEED);
        join(&client, &server);
    });
    port
}

/// Nothing was secured, and these words say why: what to do, and nothing about anybody in between.
fn assert_blames_nobody(words: &str, lacks: &str) {
    assert!(words.contains(lacks) && words.contains("its owner can update it"), "{words}");
    assert!(!words.contains("intercepted") && !words.contains("in between"), "{words}");
}

fn assert_failed(ended: &Ended, lacks: &str) {
    assert_eq!((ended.code, ended.named("secured").count()), (Some(3), 0), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert_blames_nobody(&ended.stderr, lacks);
}

#[test]
fn a_peer_that_has_tls_1_2_only_is_reached_by_its_fingerprint() {
    for given in [true, false] {
        let [romeo, juliet] = Machine::strangers();
        let fingerprint = juliet.fingerprint();
        if !given {
            romeo.trust(juliet.jid, &fingerprint);
        }
        let (_server, port) = OpenSsl::serve(&juliet, TLS_1_2, None);
        let args = ["--trust", &fingerprint];
        let mut connected = romeo.connect(&juliet, before(port), if given { &args } else { &[] });
        let secured = connected.event("secured");
        assert_eq!((&secured["tls_version"], &secured["authenticated_by"]), (&"TLS 1.2".into(), &"pinned".into()));
    }
}

#[test]
fn what_the_tls_of_a_peer_lacks_is_said_and_nobody_in_between_is_blamed() {
    for (args, config, lacks) in [
        (TLS_1_1, None, ["it has no version of TLS", "its newest version is TLS 1.1"]),
        (TLS_1_2, Some(WITHOUT_EXTENDED_MASTER_SECRET), ["extended_master_secret"; 2]),
    ] {
        let [romeo, juliet] = Machine::strangers();
        romeo.trust(juliet.jid, &juliet.fingerprint());
        let (_server, port) = OpenSsl::serve(&juliet, args, config);
        assert_failed(&romeo.connect(&juliet, before(port), &[]).wait(), lacks[0]);

        // The other way round.
        juliet.trust(romeo.jid, &romeo.fingerprint());
        let (mut listening, port) = juliet.listen(&[]);
        let address = format!("127.0.0.1:{}", behind(port));
        let _client = OpenSsl::start("s_client", &romeo, &[&["-quiet", "-connect", &address], args].concat(), config);
        let error = listening.event("error");
        assert_eq!(error["peer"], romeo.jid);
        assert_blames_nobody(error["message"].as_str().expect("words"), lacks[1]);
    }
}

/// To show a certificate that nobody vouches for, `probe` asks for a decision, which needs TLS 1.3.
#[test]
fn a_server_that_has_tls_1_2_only_is_told_of_by_its_certificate_and_nobody_in_between_is_blamed() {
    let server = Machine::new("juliet@pronto");
    let (_server, port) = OpenSsl::serve(&server, TLS_1_2, None);
    let address = format!("127.0.0.1:{port}");
    let ended = Xtls::run(&server.data_dir(), None, &["probe", &address, "--domain", "pronto", "--direct-tls"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(&server.fingerprint()) && ended.stderr.contains("--trust"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("intercepted") && !ended.stderr.contains("in between"), "{}", ended.stderr);

    let (_server, port) = OpenSsl::serve(&server, TLS_1_1, None);
    let address = format!("127.0.0.1:{port}");
    let ended = Xtls::run(&server.data_dir(), None, &["probe", &address, "--domain", "pronto", "--direct-tls"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("ask its operator for TLS 1.3"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("intercepted") && !ended.stderr.contains("in between"), "{}", ended.stderr);
}
