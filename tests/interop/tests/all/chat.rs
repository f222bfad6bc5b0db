//! Two `xtls` processes talk through a real Prosody.

use std::io::Write;
use std::thread;

use serde_json::Value;
use xtls_interop::{Stage, Tap, Transport, Xtls, chat_once};

/// Alice opens a tunnel to Bob, both say something, and Alice ends it.
fn talk(transport: Transport) {
    let stage = Stage::new(transport);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);

    for (end, peer) in [(&mut listening, &alice), (&mut chatting, &bob)] {
        let secured = end.event("secured");
        assert_eq!(secured["peer"], peer.full().as_str());
        assert_eq!(secured["method"], "x509");
        assert_eq!(secured["tls_version"], "TLS 1.3");
        assert_eq!(secured["group"], "X25519MLKEM768");
        assert_eq!(secured["peer_sha256"], peer.fingerprint().as_str());
        assert_eq!(secured["authenticated_by"], "pinned");
        assert_eq!(secured["confirmed"], true);
        assert_eq!(secured["changed"], false);
        end.event("stream_open");
    }
    chatting.line("Wherefore <art> thou & \u{1F339}?");
    let message = listening.event("message");
    assert_eq!(message["from"], alice.full().as_str());
    assert_eq!(message["body"], "Wherefore <art> thou & \u{1F339}?");
    listening.line("Call me but love");
    let message = chatting.event("message");
    assert_eq!(message["from"], bob.full().as_str());
    assert_eq!(message["body"], "Call me but love");

    chatting.end_input();
    let closed = listening.event("closed");
    assert_eq!((&closed["by"], &closed["truncated"]), (&"remote".into(), &false.into()));
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!((&closed["by"], &closed["truncated"], &closed["unacked"]), (&"local".into(), &false.into(), &0.into()));
    assert_eq!(ended.stderr, "");

    listening.end_input();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn people_chat_both_ways_without_tls_to_the_server() {
    talk(Transport::Plain);
}

#[test]
fn people_chat_both_ways_with_starttls_and_an_authority_of_their_own() {
    talk(Transport::StartTls);
}

#[test]
fn the_server_sees_no_word_of_what_is_said() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = stage.friends();
    alice.address = tap.address();
    let mut listening = bob.listen(&["--echo"]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    chatting.line("a rose by any other name");
    assert_eq!(chatting.event("message")["body"], "a rose by any other name");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    listening.event("closed");

    let wire = tap.sent() + &tap.received();
    assert!(wire.contains("session-initiate") && wire.contains("http://jabber.org/protocol/ibb"), "{wire}");
    // TLS hides the words, and base64 alone would not.
    for visible in ["rose", "YSByb3NlIGJ5", "IHJvc2UgYnkg", "cm9zZSBieSBh"] {
        assert!(!wire.contains(visible), "{visible} is on the wire");
    }
}

#[test]
fn whoever_speaks_as_the_draft_does_is_understood_by_default() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = stage.friends();
    alice.address = tap.address();
    let mut listening = bob.listen(&["--echo"]);
    let mut chatting = alice.start(&["chat", &bob.full(), "--profile", "draft02"]);
    chatting.event("stream_open");
    chatting.line("what's in a name?");
    assert_eq!(chatting.event("message")["body"], "what's in a name?");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    let closed = listening.event("closed");
    assert_eq!((&closed["truncated"], &closed["unacked"]), (&false.into(), &0.into()));

    // The bytestream that the draft negotiates has no open and no close (XEP-0261 up to 0.3).
    let wire = tap.sent() + &tap.received();
    assert!(wire.contains("urn:xmpp:jingle:transports:ibb:0"), "{wire}");
    assert!(!wire.contains("<open ") && !wire.contains("<close "), "{wire}");
}

#[test]
fn a_profile_that_does_not_exist_is_a_slip() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ended = Xtls::run(dir.path(), None, &["demo", "--profile", "lenient"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("it is none of strict, draft02, tolerant"), "{}", ended.stderr);
}

#[test]
fn a_bare_peer_is_found_by_presence_and_disco() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let listening = bob.listen(&["--echo"]);
    let mut chatting = alice.start(&["chat", &bob.bare()]);
    assert_eq!(chatting.event("secured")["peer"], bob.full().as_str());
    chatting.event("stream_open");
    chatting.line("hello");
    assert_eq!(chatting.event("message")["body"], "hello");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn a_bare_peer_whose_presence_is_not_seen_is_found_by_its_usual_resource() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = (stage.person("alice"), stage.person("dave"));
    alice.trust(&dave);
    dave.trust(&alice);
    let listening = dave.listen(&[]);
    let mut chatting = alice.start(&["chat", &dave.bare()]);
    assert_eq!(chatting.event("secured")["peer"], dave.full().as_str());
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    drop(listening);
}

#[test]
fn many_lines_arrive_in_order_before_the_end_of_input_closes() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    let lines: Vec<String> = (0..300).map(|number| format!("{number} {}", "x".repeat(number * 7))).collect();
    for line in &lines {
        chatting.line(line);
    }
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    listening.event("closed");
    listening.end_input();
    let ended = listening.wait();
    let bodies: Vec<&str> = ended.named("message").filter_map(|message| message["body"].as_str()).collect();
    assert_eq!(bodies, lines);
}

#[test]
fn ctrl_c_and_the_end_of_the_terminal_close_in_order() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    for end in [Xtls::interrupt, Xtls::hang_up] {
        let mut chatting = alice.start(&["chat", &bob.full()]);
        listening.event("stream_open");
        chatting.event("stream_open");
        end(&chatting);
        let closed = listening.event("closed");
        assert_eq!((&closed["by"], &closed["truncated"]), (&"remote".into(), &false.into()));
        assert_eq!(chatting.wait().code, Some(0));
    }
}

#[test]
fn the_end_of_the_listeners_input_closes_in_order_too() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    listening.event("stream_open");
    listening.end_input();
    let closed = chatting.event("closed");
    assert_eq!((&closed["by"], &closed["truncated"]), (&"remote".into(), &false.into()));
    assert_eq!(chatting.wait().code, Some(0));
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn a_leap_of_faith_is_remembered_by_both() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    for authenticated_by in ["leap-of-faith", "pinned"] {
        let mut listening = bob.listen(&["--leap-of-faith"]);
        let mut chatting = alice.start(&["chat", &bob.full(), "--leap-of-faith"]);
        assert_eq!(chatting.event("secured")["authenticated_by"], authenticated_by);
        assert_eq!(listening.event("secured")["authenticated_by"], authenticated_by);
        chatting.event("stream_open");
        chatting.end_input();
        assert_eq!(chatting.wait().code, Some(0));
        listening.event("closed");
    }
}

#[test]
fn a_line_typed_before_a_tunnel_goes_to_the_first_who_opens_one() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    listening.line("is anybody there?");
    listening.end_input();
    let mut chatting = alice.start(&["chat", &bob.full()]);
    assert_eq!(chatting.event("message")["body"], "is anybody there?");
    assert_eq!(chatting.wait().code, Some(0));
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn a_listener_without_input_goes_on_until_it_is_interrupted() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.start(&["listen"]);
    listening.end_input();
    listening.event("online");
    for _ in 0..2 {
        let mut chatting = alice.start(&["chat", &bob.full()]);
        chatting.event("stream_open");
        chatting.line("hello");
        assert_eq!(listening.event("message")["body"], "hello");
        chatting.end_input();
        assert_eq!(chatting.wait().code, Some(0));
        listening.event("closed");
    }
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn two_who_begin_at_once_end_up_in_one_tunnel() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    chat_once([alice.start(&["chat", &bob.bare()]), bob.start(&["chat", &alice.bare()])]);
}

#[test]
fn a_line_goes_to_whom_it_was_typed_for_or_to_nobody() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let carol = stage.person("carol");
    carol.trust(&bob);
    bob.trust(&carol);
    let mut listening = bob.listen(&[]);
    let mut first = alice.start(&["chat", &bob.full()]);
    first.event("stream_open");
    assert_eq!(listening.event("stream_open")["peer"], alice.full());
    let recipient = listening.event("recipient");
    assert_eq!((&recipient["peer"], &recipient["there"]), (&alice.bare().into(), &true.into()));
    let mut second = carol.start(&["chat", &bob.full()]);
    second.event("stream_open");
    assert_eq!(listening.event("stream_open")["peer"], carol.full());
    listening.line("to the first");
    assert_eq!(first.event("message")["body"], "to the first");
    first.end_input();
    // Her stream ends before her tunnel.
    assert_eq!(listening.event("recipient")["there"], false);
    assert_eq!(listening.event("closed")["peer"], alice.full());

    // Carol is there all the time, and sees none of it.
    listening.line("an answer to the first");
    let refused = listening.event("not_sent");
    assert_eq!((&refused["peer"], &refused["line"]), (&alice.bare().into(), &2.into()));
    listening.line(&format!("/to {}", carol.bare()));
    let recipient = listening.event("recipient");
    assert_eq!((&recipient["peer"], &recipient["there"]), (&carol.bare().into(), &true.into()));
    listening.line("//to whom it may concern");
    assert_eq!(second.event("message")["body"], "/to whom it may concern");

    listening.end_input();
    let ended = listening.wait();
    assert_eq!(ended.code, Some(4), "a line was not sent: {}", ended.stderr);
    assert!(ended.stderr.contains("line 2 for alice@localhost was not sent"), "{}", ended.stderr);
    for end in [first, second] {
        let ended = end.wait();
        assert_eq!((ended.code, ended.named("message").count()), (Some(0), 1), "{}", ended.stderr);
    }
}

#[test]
fn lines_that_are_no_messages_are_told_and_not_done() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.line(&"x".repeat(64 * 1024 + 1));
    chatting.line("an arrow key: \u{1b}[D");
    let mut stdin = chatting.take_stdin();
    stdin.write_all(b"\xff\xfe\n").expect("it is read");
    stdin.write_all("x".repeat(64 * 1024).as_bytes()).expect("it is read");
    drop(stdin);
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let refused: Vec<_> = ended.named("not_sent").map(|line| line["line"].as_u64()).collect();
    assert_eq!(refused, [Some(1), Some(2), Some(3)]);
    let is_for_bob = |line: &Value| line["peer"].as_str().is_some_and(|peer| peer.starts_with(&bob.bare()));
    assert!(ended.named("not_sent").all(is_for_bob));
    assert!(ended.stderr.ends_with("xtls: 3 lines of standard input were not sent\n"), "{}", ended.stderr);
    // The longest one there may be.
    assert_eq!(listening.event("message")["body"].as_str().map(str::len), Some(64 * 1024));
}

#[test]
fn lines_that_come_after_the_peer_has_left_are_told_and_not_done() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    let mut stdin = chatting.take_stdin();
    // There is always a line that waits.
    let feed = thread::spawn(move || while stdin.write_all(b"and another one\n").is_ok() {});
    listening.event("message");
    listening.end_input();
    listening.event("closed");
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.named("not_sent").count() > 0, "{}", ended.stderr);
    feed.join().expect("it ends with the command");
}

#[test]
fn ctrl_c_before_there_is_a_tunnel_is_not_done() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    for args in
        [["chat", &bob.bare()].as_slice(), &["pipe", &bob.bare()], &["pipe", "--listen"], &["probe", &bob.bare()]]
    {
        let mut waiting = alice.start(args);
        waiting.event("online");
        waiting.interrupt();
        let ended = waiting.wait();
        assert_eq!(ended.code, Some(1), "{args:?}: {:?}", ended.events);
    }
    // Whoever only listens has done it.
    let listening = bob.listen(&[]);
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}
