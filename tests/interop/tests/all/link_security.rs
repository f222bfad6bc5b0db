//! Links that must not come about: between strangers, with a man in the middle, with something that is no peer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use xtls_interop::{Ended, Machine, Tap, Xtls};

/// The command ended with this code and one line that has these words.
fn assert_failed(ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{words:?} is not in: {}", ended.stderr);
    assert_eq!(ended.named("secured").count(), 0);
}

/// What a listener said so far has these words.
fn assert_told_before(listening: &Xtls, words: &str) {
    assert!(listening.stderr().contains(words), "{words:?} is not in: {}", listening.stderr());
}

/// The next error of a listener has these words.
fn assert_told(listening: &mut Xtls, words: &str) {
    let error = listening.event("error");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(words)), "{words:?} is not in: {error}");
}

#[test]
fn a_wrong_password_is_refused_at_both_ends() {
    let [romeo, juliet] = Machine::strangers();
    let (right, wrong) = (juliet.file("password", "a rose"), romeo.file("password", "a thorn"));
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &right]);
    let ended = romeo.connect(&juliet, port, &["--srp-password-file", &wrong]).wait();
    assert_failed(&ended, 3, "the password is wrong, or the connection is intercepted");
    assert_told(&mut listening, "the password is wrong, or the connection is intercepted");
    for (machine, peer) in [(&romeo, &juliet), (&juliet, &romeo)] {
        let shown = Xtls::run(&machine.data_dir(), None, &["trust", "show", peer.jid]);
        assert_eq!(shown.named("peer").next().expect("it is known")["wrong_passwords"], 1);
    }
}

/// The owner of one of two fingerprints that are given for two peers does not pass for the other: not with an ordinary
/// certificate, and not with one that names both.
#[test]
fn l07_a_fingerprint_belongs_to_the_peer_it_is_given_for() {
    let [romeo, juliet] = Machine::strangers();
    let (his, another) = (romeo.fingerprint(), "ab".repeat(32));
    romeo.trust(juliet.jid, &juliet.fingerprint());
    let given = [format!("{}={his}", romeo.jid), format!("mercutio@pronto={another}")];
    let both =
        ["--accept-from", romeo.jid, "--trust", &given[0], "--accept-from", "mercutio@pronto", "--trust", &given[1]];
    let (mut listening, port) = juliet.listen(&both);
    let mercutio = Machine::new("mercutio@pronto");
    mercutio.trust(juliet.jid, &juliet.fingerprint());
    let identities = [&romeo, &mercutio].map(|machine| machine.data_dir().join("identities"));
    std::fs::create_dir_all(&identities[1]).expect("a directory");
    let names = [romeo.jid, mercutio.jid].map(|jid| format!("{jid}.pem"));
    std::fs::copy(identities[0].join(&names[0]), identities[1].join(&names[1])).expect("there is a certificate");
    let ended = mercutio.connect(&juliet, port, &[]).wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_told(&mut listening, "the certificate of mercutio@pronto changed");
    for name in [romeo.jid, "mercutio@pronto"] {
        let shown = Xtls::run(&juliet.data_dir(), None, &["trust", "show", name]);
        assert_eq!(shown.code, Some(1), "nothing is known of it: {:?}", shown.events);
    }
    // He still is who he is.
    let mut connected = romeo.connect(&juliet, port, &[]);
    assert_eq!(connected.event("secured")["authenticated_by"], "pinned");
    listening.event("secured");
    // Nobody is meant by a fingerprint alone where several are.
    let listen = ["link", "listen", "127.0.0.1:0", "--jid", juliet.jid, "--trust", &his];
    let nobodys = Xtls::run(&juliet.data_dir(), None, &listen);
    assert_eq!(nobodys.code, Some(2), "{}", nobodys.stderr);
    assert!(nobodys.stderr.contains("does not say whose certificate that is"), "{}", nobodys.stderr);
}

#[test]
fn offers_that_leave_nothing_in_common_are_named() {
    let [romeo, juliet] = Machine::strangers();
    let password = juliet.file("password", "a rose");
    romeo.trust(juliet.jid, &juliet.fingerprint());
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &password]);
    let ended = romeo.connect(&juliet, port, &[]).wait();
    assert_failed(&ended, 3, "juliet@pronto only takes a password");
    assert_told(&mut listening, "romeo@forza");
    drop(listening);

    // The other way round: certificates only, and the other end has none to go by.
    let [romeo, juliet] = Machine::strangers();
    let password = romeo.file("password", "a rose");
    juliet.trust(romeo.jid, &romeo.fingerprint());
    let (_listening, port) = juliet.listen(&[]);
    let ended = romeo.connect(&juliet, port, &["--srp-password-file", &password]).wait();
    assert_failed(&ended, 3, "juliet@pronto");
    assert!(ended.stderr.contains(&juliet.fingerprint()), "{}", ended.stderr);
}

#[test]
fn strangers_are_refused_before_tls() {
    let [romeo, juliet] = Machine::strangers();
    romeo.trust(juliet.jid, &juliet.fingerprint());
    for args in [[].as_slice(), &["--leap-of-faith", "--accept-from", "tybalt@verona"]] {
        let (mut listening, port) = juliet.listen(args);
        let tap = Tap::start(port);
        let ended = romeo.connect(&juliet, tap.port(), &[]).wait();
        assert_failed(&ended, 3, "juliet@pronto refused the link");
        assert_told(&mut listening, "a link from romeo@forza was refused");
        assert!(ended.stderr.contains(&romeo.trusted_by()), "{}", ended.stderr);
        assert!(!tap.received().contains("starttls"), "{}", tap.received());
    }
}

#[test]
fn a_certificate_that_has_changed_is_refused_by_either_end() {
    let [romeo, juliet] = Machine::friends();
    juliet.lose_certificate();
    let (mut listening, port) = juliet.listen(&[]);
    let ended = romeo.connect(&juliet, port, &[]).wait();
    assert_failed(&ended, 3, "the certificate of juliet@pronto changed");
    assert_told(&mut listening, "romeo@forza");
    drop(listening);

    let [romeo, juliet] = Machine::friends();
    romeo.lose_certificate();
    let (mut listening, port) = juliet.listen(&[]);
    let ended = romeo.connect(&juliet, port, &[]).wait();
    // It is our own that has changed: that is no attack, and there is a fingerprint to hand over.
    assert_failed(&ended, 3, &romeo.trusted_by());
    assert!(!ended.stderr.contains("intercepted"), "{}", ended.stderr);
    assert_told(&mut listening, "the certificate of romeo@forza changed");
    assert_told_before(&listening, &format!("xtls trust add romeo@forza sha-256:{}", romeo.fingerprint()));
}

/// Neither side said more in clear than what TLS is negotiated with.
fn assert_guarded(tap: &Tap) {
    for said in [tap.sent(), tap.received()] {
        assert!(said.contains("<stream:stream"), "{said}");
        for leak in ["secret", "<message", "<iq", "<presence"] {
            assert!(!said.contains(leak), "{said}");
        }
    }
}

/// With this taken out of what Juliet offers, no link by a password comes about.
fn assert_missed(from: &'static str, to: &'static str, words: &str) {
    let [romeo, juliet] = &Machine::strangers();
    let files = [romeo, juliet].map(|machine| machine.file("password", "a rose"));
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &files[1]]);
    let tap = Tap::cutting(port, from, to);
    let mut connected = romeo.connect(juliet, tap.port(), &["--srp-password-file", &files[0]]);
    connected.line("a secret");
    assert_failed(&connected.wait(), 3, words);
    assert_told(&mut listening, "romeo@forza");
    assert!(tap.received().contains(from), "nothing was there to be taken out: {}", tap.received());
    assert_guarded(&tap);
}

#[test]
fn an_offer_of_a_password_that_is_taken_out_on_the_way_is_missed() {
    assert_missed("<offer", "</offer>", "get the fingerprint of its certificate");
    assert_missed("<srp", "/>", "juliet@pronto");
    assert_missed("<starttls", "</starttls>", "get the fingerprint of its certificate");
}

#[test]
fn tls_that_is_taken_out_on_the_way_is_asked_for_all_the_same() {
    let [romeo, juliet] = Machine::friends();
    let (mut listening, port) = juliet.listen(&["--once"]);
    let tap = Tap::cutting(port, "<starttls", "</starttls>");
    let mut connected = romeo.connect(&juliet, tap.port(), &[]);
    connected.line("a secret");
    assert_eq!(listening.event("secured")["authenticated_by"], "pinned");
    assert_eq!(listening.event("message")["body"], "a secret");
    connected.end_input();
    assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));
    assert_guarded(&tap);
}

#[test]
fn a_peer_that_has_no_tls_is_refused() {
    let [romeo, juliet] = Machine::friends();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let plain = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
                      from='juliet@pronto' to='romeo@forza' version='1.0'><stream:features/>";
        stream.write_all(header.as_bytes()).expect("it is sent");
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&told).contains("<starttls") {
            let count = stream.read(&mut buffer).expect("TLS is asked for");
            assert!(count > 0, "TLS is not asked for: {}", String::from_utf8_lossy(&told));
            told.extend(&buffer[..count]);
        }
        let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
        stream.write_all(failure.as_bytes()).expect("it is sent");
        stream.read_to_end(&mut told).expect("the connection ends");
        String::from_utf8_lossy(&told).into_owned()
    });
    let mut connected = romeo.connect(&juliet, port, &[]);
    connected.line("a secret");
    assert_failed(&connected.wait(), 3, "juliet@pronto refused the link when it was asked for TLS");
    let told = plain.join().expect("it was asked for TLS");
    assert!(!told.contains("secret") && !told.contains("<message"), "{told}");
}

/// Something that is no peer takes a connection; gives its port, and what it was told in the end.
fn impostor(says: &'static [u8], closes: bool) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.write_all(says).expect("it is sent");
        if closes {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        let _ = sender.send(String::from_utf8_lossy(&told).into_owned());
    });
    (port, receiver)
}

#[test]
fn what_is_no_peer_is_told_of_and_is_told_nothing() {
    for (says, closes, words) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), true, "does not speak XMPP (it looks like HTTP)"),
        (b"\x15\x03\x01\x00\x02\x02\x46", false, "(it looks like TLS)"),
        (b"220 mail.example.com ESMTP\r\n", false, "(it looks like SMTP or FTP)"),
        (b"how do you do\r\n", false, "does not speak XMPP"),
        (b"", true, "closed the connection before it said what it offers"),
        (b"<?xml version='1.0'?><stream:stream ", true, "closed the connection before it said what it offers"),
        (b"", false, "does not answer"),
    ] {
        let [romeo, juliet] = Machine::friends();
        let (port, told) = impostor(says, closes);
        let mut connected = romeo.connect(&juliet, port, &["--timeout", "2"]);
        connected.line("a secret");
        assert_failed(&connected.wait(), 4, words);
        let told = told.recv().expect("the connection has ended");
        assert!(told.contains("<stream:stream") && !told.contains("secret") && !told.contains("<message"), "{told}");
    }
}

#[test]
fn a_password_where_a_certificate_is_known_blames_nobody_in_between() {
    let [romeo, juliet] = Machine::friends();
    juliet.trust(romeo.jid, &romeo.fingerprint());
    let (files, stranger) =
        ([&romeo, &juliet].map(|machine| machine.file("password", "a rose")), Machine::new(romeo.jid));
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &files[1], "--once"]);
    let mut connected = romeo.connect(&juliet, port, &["--srp-password-file", &files[0]]);
    connected.event("stream_open");
    connected.end_input();
    listening.event("closed");
    assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));

    // A peer that was secured by its certificate comes with a password: nothing weaker is taken, and both ends say what to do.
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &files[1]]);
    let file = stranger.file("password", "a rose");
    let ended = stranger.connect(&juliet, port, &["--srp-password-file", &file]).wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(!ended.stderr.contains("intercepted"), "{}", ended.stderr);
    assert_told(&mut listening, "romeo@forza");
}
