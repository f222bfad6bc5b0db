//! Messages between two `xtls link`, without a server.

use std::io::{Read, Write};
use std::net::TcpStream;

use xtls_interop::{Ended, Machine, Tap, Xtls};

/// The one line that a failed command says.
fn line(ended: &Ended) -> &str {
    let line = ended.stderr.strip_prefix("xtls: ").and_then(|rest| rest.strip_suffix('\n')).expect("a line");
    assert!(!line.contains('\n'), "more than one line: {line}");
    line
}

/// Two ends of an open link say something to one another, and the first one ends it.
fn converse(connected: &mut Xtls, listening: &mut Xtls) {
    for end in [&mut *connected, &mut *listening] {
        end.event("stream_open");
    }
    connected.line("Wherefore <art> thou?");
    let message = listening.event("message");
    assert_eq!((&message["from"], &message["body"]), (&"romeo@forza".into(), &"Wherefore <art> thou?".into()));
    listening.line("Call me but love");
    let message = connected.event("message");
    assert_eq!((&message["from"], &message["body"]), (&"juliet@pronto".into(), &"Call me but love".into()));
    connected.end_input();
    let closed = listening.event("closed");
    assert_eq!((&closed["by"], &closed["truncated"], &closed["unacked"]), (&"remote".into(), &false.into(), &0.into()));
}

/// What passed in clear before TLS began.
fn clear(text: &str) -> &str {
    // The first byte of a TLS record of the handshake.
    text.split('\u{16}').next().unwrap_or_default()
}

#[test]
fn two_machines_talk_by_pinned_certificates_and_nothing_but_the_negotiation_is_in_clear() {
    let [romeo, juliet] = Machine::friends();
    let (mut listening, port) = juliet.listen(&["--once"]);
    let tap = Tap::start(port);
    let mut connected = romeo.connect(&juliet, tap.port(), &[]);
    assert_eq!(listening.event("incoming")["peer"], "romeo@forza");
    for (end, peer) in [(&mut listening, &romeo), (&mut connected, &juliet)] {
        let secured = end.event("secured");
        assert_eq!(secured["peer"], peer.jid);
        assert_eq!((&secured["method"], &secured["tls_version"]), (&"x509".into(), &"TLS 1.3".into()));
        assert_eq!(secured["peer_sha256"], peer.fingerprint());
        assert_eq!((&secured["authenticated_by"], &secured["confirmed"]), (&"pinned".into(), &true.into()));
    }
    converse(&mut connected, &mut listening);
    for end in [connected, listening] {
        let ended = end.wait();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
    let (sent, received) = (tap.sent(), tap.received());
    assert!(clear(&sent).ends_with("</starttls>"), "{}", clear(&sent));
    assert!(clear(&received).ends_with("</proceed>"), "{}", clear(&received));
    assert!(!clear(&sent).contains("<message") && !clear(&received).contains("<message"));
    for secret in ["Wherefore", "Call me"] {
        assert!(!sent.contains(secret) && !received.contains(secret));
    }
}

#[test]
fn two_machines_talk_by_a_password_whoever_begins_and_pin_nothing() {
    for turn in 0..2 {
        let mut machines = Machine::strangers();
        machines.rotate_left(turn);
        let files = machines.each_ref().map(|machine| machine.file("password", "a rose by any other name\n"));
        let (mut listening, port) = machines[1].listen(&["--once", "--srp-password-file", &files[1]]);
        let mut connected = machines[0].connect(&machines[1], port, &["--srp-password-file", &files[0]]);
        for end in [&mut listening, &mut connected] {
            let secured = end.event("secured");
            assert_eq!((&secured["method"], &secured["authenticated_by"]), (&"srp".into(), &"password".into()));
            assert!(secured["peer_sha256"].is_null());
        }
        connected.line("By a name I know not how to tell thee");
        assert_eq!(listening.event("message")["from"], machines[0].jid);
        connected.end_input();
        assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));
        for machine in &machines {
            let listed = Xtls::run(&machine.data_dir(), None, &["trust", "list"]);
            assert_eq!(listed.named("trusted").count(), 0);
        }
    }
}

#[test]
fn a_fingerprint_and_a_leap_of_faith_are_remembered() {
    let [romeo, juliet] = Machine::strangers();
    let (mut listening, port) = juliet.listen(&["--leap-of-faith", "--accept-from", romeo.jid, "--once"]);
    let mut connected = romeo.connect(&juliet, port, &["--trust", &juliet.fingerprint()]);
    assert_eq!(listening.event("secured")["authenticated_by"], "leap-of-faith");
    assert_eq!(connected.event("secured")["authenticated_by"], "pinned");
    converse(&mut connected, &mut listening);
    assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));
    let (mut listening, port) = juliet.listen(&["--once"]);
    let mut connected = romeo.connect(&juliet, port, &[]);
    for end in [&mut listening, &mut connected] {
        assert_eq!(end.event("secured")["authenticated_by"], "pinned");
    }
    converse(&mut connected, &mut listening);
    assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));
}

#[test]
fn a_listener_serves_one_after_the_other_and_nobody_keeps_the_others_out() {
    let [romeo, juliet] = Machine::friends();
    let tybalt = Machine::new("tybalt@verona");
    tybalt.trust(juliet.jid, &juliet.fingerprint());
    juliet.trust(tybalt.jid, &tybalt.fingerprint());
    let (mut listening, port) = juliet.listen(&["--echo"]);
    // One says nothing at all, and one speaks something else.
    let silent = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut other = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    other.write_all(b"GET / HTTP/1.1\r\nHost: pronto\r\n\r\n").expect("it is taken");
    let error = listening.event("error");
    assert!(error["message"].as_str().is_some_and(|words| words.contains("looks like HTTP")), "{error}");
    let mut answer = Vec::new();
    other.read_to_end(&mut answer).expect("it is closed");
    assert!(!String::from_utf8_lossy(&answer).contains("starttls"));
    for _ in 0..2 {
        let mut connected = romeo.connect(&juliet, port, &[]);
        connected.event("stream_open");
        listening.event("stream_open");
        connected.line("one");
        assert_eq!(connected.event("message")["body"], "one");
        // Whoever comes meanwhile is turned away.
        let ended = tybalt.connect(&juliet, port, &[]).wait();
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        assert!(line(&ended).contains("it may be busy"), "{}", ended.stderr);
        connected.line("two");
        assert_eq!(connected.event("message")["body"], "two");
        connected.end_input();
        assert_eq!(connected.wait().code, Some(0));
        listening.event("closed");
    }
    drop(silent);
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn fifteen_who_stall_leave_room_and_sixteen_are_waited_for() {
    for (stalled, timeout) in [(15, "3600"), (16, "2")] {
        let [romeo, juliet] = Machine::friends();
        let (mut listening, port) = juliet.listen(&["--once", "--timeout", timeout]);
        let connect = |_| TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let silent: Vec<TcpStream> = (0..stalled).map(connect).collect();
        let mut connected = romeo.connect(&juliet, port, &[]);
        converse(&mut connected, &mut listening);
        let ended = listening.wait();
        let first = |name: &str| ended.events.iter().position(|event| event["event"] == name);
        let (error, secured) = (first("error"), first("secured"));
        match stalled {
            15 => assert_eq!(error, None, "{:?}", ended.events),
            _ => assert!(error.is_some() && error < secured, "{:?}", ended.events),
        }
        drop(silent);
    }
}

#[test]
fn a_line_that_is_typed_early_goes_to_whoever_comes_and_the_end_of_input_ends_the_listener() {
    let [romeo, juliet] = Machine::friends();
    let (mut listening, port) = juliet.listen(&[]);
    listening.line("Who's there?");
    let mut connected = romeo.connect(&juliet, port, &[]);
    assert_eq!(connected.event("message")["body"], "Who's there?");
    listening.end_input();
    assert_eq!(connected.event("closed")["by"], "remote");
    assert_eq!((connected.wait().code, listening.wait().code), (Some(0), Some(0)));
}

#[test]
fn a_peer_that_is_killed_is_told_of_as_truncated() {
    let [romeo, juliet] = Machine::friends();
    let (mut listening, port) = juliet.listen(&[]);
    let mut connected = romeo.connect(&juliet, port, &[]);
    connected.event("stream_open");
    listening.event("stream_open");
    listening.kill();
    let ended = connected.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(ended.named("closed").next().expect("the end is told")["truncated"], true);
    assert!(line(&ended).contains("without closing the stream"), "{}", ended.stderr);
}

#[test]
fn files_are_not_sent_over_links_and_that_is_said() {
    let [romeo, juliet] = Machine::friends();
    let (listening, port) = juliet.listen(&["--once"]);
    let mut connected = romeo.connect(&juliet, port, &[]);
    connected.event("stream_open");
    for line in ["/files", "/take", "/refuse 1", "/send letter.pdf"] {
        connected.line(line);
        let why = connected.event("error");
        assert!(why["message"].as_str().is_some_and(|why| why.contains("xtls send FILE juliet@pronto")), "{why}");
    }
    connected.end_input();
    let ended = connected.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    let [romeo, juliet] = Machine::friends();
    for args in [
        ["link", "listen", "localhost", "--jid", "juliet@pronto"].as_slice(),
        &["link", "listen", "--announce", "--jid", "juliet@pronto"],
        &["link", "connect", "127.0.0.1:x", "--jid", "romeo@forza", "--peer", "juliet@pronto"],
        &["link", "connect", "127.0.0.1:1", "--jid", "romeo@forza", "--peer", "juliet@pronto", "--timeout", "0"],
    ] {
        let ended = Xtls::run(&juliet.data_dir(), None, args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
    }
    romeo.trust(romeo.jid, &romeo.fingerprint());
    let (listening, port) = juliet.listen(&[]);
    let ended = romeo.connect(&romeo, port, &[]).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    drop(listening);
    let ended = Machine::new("tybalt@verona").connect(&juliet, port, &[]).wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(line(&ended).starts_with("no certificate of juliet@pronto is trusted"), "{}", ended.stderr);
    let ended = romeo.connect(&juliet, port, &[]).wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(line(&ended).contains("cannot be reached"), "{}", ended.stderr);
}

#[test]
fn a_line_goes_to_whom_it_was_typed_for_or_to_nobody() {
    let [romeo, juliet] = Machine::friends();
    let tybalt = Machine::new("tybalt@verona");
    tybalt.trust(juliet.jid, &juliet.fingerprint());
    juliet.trust(tybalt.jid, &tybalt.fingerprint());
    let (mut listening, port) = juliet.listen(&[]);
    let mut first = romeo.connect(&juliet, port, &[]);
    first.event("stream_open");
    listening.line("to the first");
    assert_eq!(first.event("message")["body"], "to the first");
    first.end_input();
    assert_eq!(first.wait().code, Some(0));
    assert_eq!(listening.event("closed")["peer"], romeo.jid);
    listening.line("an answer to the first");
    assert_eq!(listening.event("not_sent")["peer"], romeo.jid);
    let mut second = tybalt.connect(&juliet, port, &[]);
    assert_eq!(listening.event("stream_open")["peer"], tybalt.jid);
    listening.line("another one");
    assert_eq!(listening.event("not_sent")["peer"], romeo.jid);
    listening.line("/to tybalt@verona");
    listening.line("to the second");
    assert_eq!(second.event("message")["body"], "to the second");
    listening.end_input();
    assert_eq!(listening.wait().code, Some(4));
    assert_eq!(second.wait().code, Some(0));
}
