//! `openssl s_client -starttls xmpp` as the client of a link's receiving end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use xtls::link::{LinkEvent, LinkSetup, PeerLink};
use xtls::{
    CloseReason, Local, Terms, TrustPolicy,
    trust::{Authentication, MemoryTrustStore, Pin},
};
use xtls_stanza::jid::Jid;
use xtls_tls::{Identity, KeyAlgorithm};

const OWN: &str = "juliet@pronto";
const PEER: &str = "romeo@forza";
/// What the client says inside of TLS, and behind the features.
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='romeo@forza' to='juliet@pronto' version='1.0'>";
const REST: &str = "<message><body>It is my lady</body></message></stream:stream>";

fn time_of_day() -> xtls::tls::UnixTime {
    #[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set");
    xtls::tls::UnixTime::since_unix_epoch(since_epoch)
}

#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn now() -> Instant {
    Instant::now()
}

fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

fn identity(address: &str) -> Identity {
    let key = KeyAlgorithm::EcdsaP256;
    Identity::generate(&jid(address).to_bare(), key, time_of_day()).expect("a certificate")
}

/// Takes one connection, from the peer whose certificate is pinned, and gives everything that the link tells.
fn receive(own: Identity, pinned: &Identity) -> (u16, JoinHandle<Vec<LinkEvent>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let mut store = MemoryTrustStore::default();
    store.pin(&jid(PEER).to_bare(), Pin::manual(pinned.fingerprint_sha256()));
    let setup = LinkSetup::new(Local::new(jid(OWN), own), Box::new(store), [7; 32], time_of_day());
    let serving = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a connection");
        // s_client does not say in clear who it is.
        let link = PeerLink::listen(setup, Some(jid(PEER)), now()).expect("a link");
        serve(link, socket)
    });
    (port, serving)
}

fn serve(mut link: PeerLink, mut socket: TcpStream) -> Vec<LinkEvent> {
    let (mut told, mut input, mut output) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        if link.poll_transmit(now(), &mut output) {
            // The client may be gone.
            let _ = socket.write_all(&output);
            output.clear();
        }
        if let Some(event) = link.poll_event() {
            if let LinkEvent::Incoming { .. } = event {
                link.accept(now(), Terms::new(TrustPolicy::Pinned)).expect("the terms make sense");
            }
            let is_over = matches!(event, LinkEvent::Closed(_));
            told.push(event);
            if is_over {
                let _ = socket.shutdown(Shutdown::Write);
                return told;
            }
            continue;
        }
        let taken = link.handle_bytes(now(), &input);
        input.drain(..taken);
        if taken > 0 {
            continue;
        }
        let due = link.poll_timeout().map(|due| due.at.saturating_duration_since(now()));
        socket.set_read_timeout(due.map(|due| due.max(Duration::from_millis(1)))).expect("a time limit");
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer) {
            Ok(0) => link.handle_end(now()),
            Ok(count) => input.extend(buffer.iter().take(count)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => link.handle_timeout(now()),
            Err(_) => link.handle_end(now()),
        }
    }
}

/// Connects with `openssl s_client` under this identity, says [`HEADER`] and [`REST`], and gives what it is told.
fn s_client(port: u16, client: &Identity, server: &Identity, options: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a certificate is written");
    };
    let pem = client.to_pem();
    write("client.pem", &(pem.certificate + pem.key.expose()));
    write("server.pem", &server.to_pem().certificate);
    let file = |name: &str| dir.path().join(name);
    let mut running = Command::new("openssl")
        .args(["s_client", "-starttls", "xmpp", "-xmpphost", OWN, "-quiet", "-verify_return_error", "-partial_chain"])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .args([Path::new("-cert"), &file("client.pem"), Path::new("-CAfile"), &file("server.pem")])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("openssl cannot be started: {e}; install it (on Debian: apt-get install openssl)"));
    let mut stdin = running.stdin.take().expect("standard input is piped");
    let mut stdout = running.stdout.take().expect("standard output is piped");
    // It may end before it has read that, and then there is nothing to hear.
    let _ = stdin.write_all(HEADER.as_bytes());
    let (mut told, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&told).contains("<stream:features/>") {
        let count = stdout.read(&mut buffer).expect("the output of openssl");
        if count == 0 {
            break;
        }
        told.extend(buffer.iter().take(count));
    }
    let _ = stdin.write_all(REST.as_bytes());
    stdout.read_to_end(&mut told).expect("the output of openssl");
    running.wait().expect("openssl ends");
    String::from_utf8(told).expect("what goes inside of TLS is text")
}

#[test]
fn s_client_opens_a_link_by_starttls_and_is_answered_inside_of_tls() {
    for version in ["-tls1_3", "-tls1_2"] {
        let (own, peer) = (identity(OWN), identity(PEER));
        let (port, serving) = receive(own.clone(), &peer);
        let said = s_client(port, &peer, &own, &[version]);
        let told = serving.join().expect("the link ends without a panic");
        let [incoming, secured, opened, message, closed] = &told[..] else { panic!("{told:?}\n{said}") };
        assert!(matches!(incoming, LinkEvent::Incoming { peer } if peer.as_str() == PEER));
        let LinkEvent::Secured { security } = secured else { panic!("{secured:?}") };
        assert_eq!((security.authenticated_by, security.confirmed), (Authentication::Pinned, true));
        assert_eq!(security.tls.version.to_string(), if version == "-tls1_3" { "TLS 1.3" } else { "TLS 1.2" });
        assert!(matches!(opened, LinkEvent::StreamOpened));
        let LinkEvent::Stanza { stanza: message } = message else { panic!("{message:?}") };
        assert!(message.to_xml("jabber:client").contains("<body>It is my lady</body>"));
        assert!(matches!(closed, LinkEvent::Closed(closed) if matches!(closed.reason, CloseReason::Done)));
        assert!(said.contains("<stream:stream") && said.contains("from='juliet@pronto'"), "{said}");
        assert!(said.contains("<stream:features/>") && said.ends_with("</stream:stream>"), "{said}");
    }
}

#[test]
fn an_s_client_with_another_certificate_gets_nothing_inside_of_tls() {
    let (own, peer) = (identity(OWN), identity(PEER));
    let (port, serving) = receive(own.clone(), &peer);
    let said = s_client(port, &identity(PEER), &own, &[]);
    let told = serving.join().expect("the link ends without a panic");
    let [LinkEvent::Incoming { .. }, LinkEvent::Closed(closed)] = &told[..] else { panic!("{told:?}") };
    assert!(closed.reason.is_security(), "{closed:?}");
    assert_eq!(said, "");
}
