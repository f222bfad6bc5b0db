//! SOCKS5 bytestreams through the proxies of real servers, and with curl.

mod client;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use client::LoggedIn;
use xtls_interop::{Ejabberd, Prosody, noise};
use xtls_s5b::DstAddr;
use xtls_s5b::proxy::{Activation, ActivationFault, Discovery, StreamHost};
use xtls_s5b::socks::{Acceptor, AcceptorFault, Client};
use xtls_stanza::{Ids, Iq};

const SID: &str = "vxf9n471bn46";
const BYTES: usize = 2_000_000;

/// Two people at a server with a proxy.
struct Scene {
    alice: LoggedIn,
    bob: LoggedIn,
    ids: Ids,
}

impl Scene {
    fn at_prosody(server: &Prosody) -> Self {
        Self::new(server.port(), &server.ca_file())
    }

    fn at_ejabberd(server: &Ejabberd) -> Self {
        Self::new(server.port(), &server.ca_file())
    }

    fn new(port: u16, ca_file: &std::path::Path) -> Self {
        let [alice, bob] = ["alice", "bob"].map(|name| LoggedIn::new(port, ca_file, name));
        Self { alice, bob, ids: Ids::new([3; 32]) }
    }

    /// The one proxy that Alice's server has, found by asking it.
    fn proxy(&mut self) -> StreamHost {
        let mut discovery = Discovery::of_server("localhost".parse().expect("an address"));
        let mut question = String::new();
        while !discovery.is_done() {
            while discovery.poll(&mut self.ids, None, &mut question) {
                self.alice.send(&question);
                question.clear();
            }
            let stanza = self.alice.stanza();
            if let Some(Ok(iq)) = Iq::parse(&stanza) {
                discovery.handle_iq(&iq);
            }
        }
        let [proxy] = discovery.proxies() else { panic!("{:?}", discovery.proxies()) };
        proxy.clone()
    }

    /// The name of the bytestream that Alice has activated.
    fn name(&self, sid: &str) -> DstAddr {
        DstAddr::new(sid, &self.alice.address, &self.bob.address)
    }

    /// Has Alice ask the proxy to activate it.
    fn activate(&mut self, proxy: &StreamHost, sid: &str) -> Result<(), ActivationFault> {
        let mut out = String::new();
        let activation = Activation::request(&mut out, &mut self.ids, &proxy.jid, sid, &self.bob.address, None);
        self.alice.send(&out);
        loop {
            let stanza = self.alice.stanza();
            let answer = Iq::parse(&stanza).and_then(Result::ok).and_then(|iq| activation.answer(&iq));
            if let Some(answer) = answer {
                return answer;
            }
        }
    }
}

fn connect(proxy: &StreamHost) -> TcpStream {
    let address = proxy.host.address().expect("the proxy names its address");
    let socket = TcpStream::connect((address, proxy.port)).expect("the proxy takes connections");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    socket
}

/// Asks the proxy for this bytestream, with as many bytes in a read as come.
fn joined(proxy: &StreamHost, name: DstAddr) -> TcpStream {
    let mut socket = connect(proxy);
    let mut client = Client::new(name);
    let mut bytes = [0; 1024];
    while !client.is_connected() {
        let mut out = Vec::new();
        if client.poll(&mut out) {
            socket.write_all(&out).expect("the proxy reads");
        }
        let read = socket.read(&mut bytes).expect("the proxy answers");
        assert!(read > 0, "the proxy has closed the connection: {client:?}");
        let taken = client.handle_bytes(&bytes[..read]).expect("the proxy accepts");
        assert_eq!(taken, read, "nothing follows the reply before the activation");
    }
    socket
}

/// Sends noise both ways at once, and compares.
///
/// Prosody's proxy (0.12) can keep the last bytes of a direction, up to 8 KiB, until more follow: it stops reading while the other end is
/// not writable, and what it had read ahead by then it does not look at again by itself. So whoever waits for an answer says something
/// now and then (docs/wire.md § 8).
fn exchange(one: &TcpStream, other: &TcpStream) {
    let [sent_by_one, sent_by_other] = [noise(1, BYTES), noise(2, BYTES + 1)];
    let [one_has_all, other_has_all] = [AtomicBool::new(false), AtomicBool::new(false)];
    thread::scope(|scope| {
        for (mut socket, bytes, has_come) in
            [(one, &sent_by_one, &other_has_all), (other, &sent_by_other, &one_has_all)]
        {
            scope.spawn(move || {
                socket.write_all(bytes).expect("the proxy reads");
                while !has_come.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(100));
                    socket.write_all(b".").expect("the proxy reads");
                }
            });
        }
        for (mut socket, bytes, has_all) in [(one, &sent_by_other, &one_has_all), (other, &sent_by_one, &other_has_all)]
        {
            scope.spawn(move || {
                let mut received = vec![0; bytes.len()];
                socket.read_exact(&mut received).expect("all comes");
                has_all.store(true, Ordering::Relaxed);
                assert!(received == **bytes, "what comes is what was sent");
            });
        }
    });
}

fn a_bytestream_goes_through(scene: &mut Scene, port: u16) -> StreamHost {
    let proxy = scene.proxy();
    assert_eq!((proxy.host.as_str(), proxy.port), ("127.0.0.1", port));
    let name = scene.name(SID);
    let bob = joined(&proxy, name);
    let alice = joined(&proxy, name);
    assert_eq!(scene.activate(&proxy, SID), Ok(()));
    exchange(&alice, &bob);
    proxy
}

#[test]
fn a_bytestream_goes_through_prosodys_proxy() {
    let server = Prosody::with_proxy();
    let mut scene = Scene::at_prosody(&server);
    let proxy = a_bytestream_goes_through(&mut scene, server.proxy_port());
    assert_eq!(proxy.jid.as_str(), "proxy.localhost");
}

#[test]
fn a_bytestream_goes_through_ejabberds_proxy() {
    let server = Ejabberd::with_proxy();
    let mut scene = Scene::at_ejabberd(&server);
    let proxy = a_bytestream_goes_through(&mut scene, server.proxy_port());
    assert_eq!(proxy.jid.domain(), "proxy.localhost");
}

/// What it says to an activation that cannot be: of a bytestream that nobody knows, and with one end there.
fn refused_activations(scene: &mut Scene) -> [Result<(), ActivationFault>; 2] {
    let proxy = scene.proxy();
    let unknown = scene.activate(&proxy, "nobody-knows");
    let _bob = joined(&proxy, scene.name(SID));
    [unknown, scene.activate(&proxy, SID)]
}

#[test]
fn prosody_says_why_it_does_not_activate() {
    let server = Prosody::with_proxy();
    let refused = refused_activations(&mut Scene::at_prosody(&server));
    assert_eq!(refused, [Err(ActivationFault::Unknown), Err(ActivationFault::NotConnected)]);
}

#[test]
fn ejabberd_says_why_it_does_not_activate() {
    let server = Ejabberd::with_proxy();
    let refused = refused_activations(&mut Scene::at_ejabberd(&server));
    assert_eq!(refused, [Err(ActivationFault::Unknown), Err(ActivationFault::Unknown)]);
}

/// Whoever knows the name of a bytestream can take the place of the requester until it is activated: who is at the other end, only TLS
/// finds out.
#[test]
fn s5b_prosodys_proxy_joins_whoever_has_come_last() {
    let server = Prosody::with_proxy();
    let mut scene = Scene::at_prosody(&server);
    let proxy = scene.proxy();
    let name = scene.name(SID);
    let [bob, alice, mallory] = [0, 1, 2].map(|_| joined(&proxy, name));
    assert_eq!(scene.activate(&proxy, SID), Ok(()));
    exchange(&bob, &mallory);
    alice.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let read = (&alice).read(&mut [0]);
    assert!(read.is_err(), "nobody tells Alice: {read:?}");
}

/// Writes each of these to a new connection.
fn said(proxy: &StreamHost, writes: &[&[u8]]) -> TcpStream {
    let mut socket = connect(proxy);
    for bytes in writes {
        // It may have closed it already.
        let _ = socket.write_all(bytes);
        thread::sleep(Duration::from_millis(300));
    }
    socket
}

/// Why each message goes out as one write, and the second one only after the choice (docs/wire.md § 8).
fn takes_only_one_message_in_one_piece(proxy: &StreamHost, name: DstAddr) {
    let request = [&[5, 1, 0, 3, 40], name.to_string().as_bytes(), &[0, 0]].concat();
    let accepted = [&[5, 0, 5, 0], &request[2..]].concat();
    let mut answer = vec![0; accepted.len()];
    said(proxy, &[&[5, 1, 0], &request]).read_exact(&mut answer).expect("it accepts");
    assert_eq!(answer, accepted);
    for refused in [
        &[&[&[5, 1, 0], &request[..]].concat()[..]][..],
        &[&[5, 1], &[0], &request],
        &[&[5, 1, 0], &request[..20], &request[20..]],
    ] {
        let mut answer = Vec::new();
        let end = said(proxy, refused).read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(!answer.starts_with(&accepted), "{refused:?}: {answer:?}");
        // Bytes that it has not read make an error of it.
        assert!(
            matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)),
            "it closes the connection: {refused:?}: {end:?}"
        );
    }
}

#[test]
fn prosodys_proxy_takes_only_one_message_in_one_piece() {
    let server = Prosody::with_proxy();
    let mut scene = Scene::at_prosody(&server);
    takes_only_one_message_in_one_piece(&scene.proxy(), scene.name(SID));
}

#[test]
fn ejabberds_proxy_takes_only_one_message_in_one_piece() {
    let server = Ejabberd::with_proxy();
    let mut scene = Scene::at_ejabberd(&server);
    takes_only_one_message_in_one_piece(&scene.proxy(), scene.name(SID));
}

/// Runs curl as a client of ours that asks for this host, and what comes of its connection; then what curl said and how it ended.
fn curl(host: &str, serve: impl FnOnce(TcpStream, Acceptor) + Send) -> (String, String, Option<i32>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let socks = listener.local_addr().expect("an address").to_string();
    let output = thread::scope(|scope| {
        scope.spawn(move || serve(listener.accept().expect("curl connects").0, Acceptor::new()));
        Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "30", "--socks5-hostname", &socks])
            .args(["--data-binary", "wherefore", &format!("http://{host}/")])
            // It is on its way by our listener alone.
            .env_remove("http_proxy")
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
            .expect("curl is installed (on Debian: apt-get install curl)")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Reads until the acceptor has a request or a fault, and answers until then; the request.
fn run(socket: &mut TcpStream, acceptor: &mut Acceptor) -> Option<DstAddr> {
    let mut bytes = [0; 1024];
    while acceptor.asked().is_none() && acceptor.fault().is_none() {
        let read = socket.read(&mut bytes).expect("curl writes");
        assert!(read > 0, "curl has closed the connection: {acceptor:?}");
        assert!(acceptor.handle_bytes(&bytes[..read]).is_ok_and(|taken| taken == read) || acceptor.fault().is_some());
        say(socket, acceptor);
    }
    acceptor.asked()
}

fn say(socket: &mut TcpStream, acceptor: &mut Acceptor) {
    let mut out = Vec::new();
    while acceptor.poll(&mut out) {}
    socket.write_all(&out).expect("curl reads");
}

/// Reads until the client has gone: what is closed with bytes unread may take its last words with it.
fn hear_out(mut socket: TcpStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.read_to_end(&mut Vec::new());
}

const NAME: &str = "972b7bf47291ca609517f67f86b5081086052dad";

#[test]
fn curl_talks_over_a_connection_that_we_accept() {
    let serve = |mut socket: TcpStream, mut acceptor: Acceptor| {
        assert_eq!(run(&mut socket, &mut acceptor), NAME.parse().ok());
        acceptor.accept().expect("it has asked");
        say(&mut socket, &mut acceptor);
        assert!(acceptor.is_accepted());
        let mut request = Vec::new();
        while !request.ends_with(b"wherefore") {
            let mut bytes = [0; 1024];
            let read = socket.read(&mut bytes).expect("curl writes");
            assert!(read > 0, "{}", request.escape_ascii());
            // All of it is curl's request, from its first byte.
            assert_eq!(acceptor.handle_bytes(&bytes[..read]), Ok(0));
            request.extend_from_slice(&bytes[..read]);
        }
        assert!(request.starts_with(b"POST / HTTP/1.1\r\n"), "{}", request.escape_ascii());
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nart tho").expect("curl reads");
    };
    // Both as XEP-0065 has it and with the port that a URL has.
    for host in [format!("{NAME}:0"), NAME.to_owned(), NAME.to_uppercase()] {
        let (said, complained, status) = curl(&host, serve);
        assert_eq!((said.as_str(), complained.as_str(), status), ("art tho", "", Some(0)), "{host}");
    }
}

#[test]
fn curl_understands_each_refusal_of_ours() {
    let refuse = |mut socket: TcpStream, mut acceptor: Acceptor| {
        run(&mut socket, &mut acceptor).expect("it asks for a bytestream");
        acceptor.refuse().expect("it has asked");
        say(&mut socket, &mut acceptor);
        hear_out(socket);
    };
    let (_, complained, status) = curl(NAME, refuse);
    // 97: the proxy refused.
    assert_eq!(status, Some(97), "{complained}");
    assert!(complained.contains("(2)"), "{complained}");
    let fail = |mut socket: TcpStream, mut acceptor: Acceptor| {
        assert_eq!(run(&mut socket, &mut acceptor), None);
        assert_eq!(acceptor.fault(), Some(AcceptorFault::NotABytestream));
        hear_out(socket);
    };
    let (_, complained, status) = curl("xmpp.example", fail);
    assert_eq!(status, Some(97), "{complained}");
    assert!(complained.contains("(2)"), "{complained}");
}
