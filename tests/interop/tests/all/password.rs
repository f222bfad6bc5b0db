//! Tunnels that a shared password authenticates, through a real Prosody.

use std::fs;

use xtls_interop::{Ended, Person, Stage, Tap, Transport, Xtls};

const WRONG: &str = "the password is wrong, or the connection is intercepted";

/// Writes a password file of this person, and gives its name.
fn password_file(person: &Person, text: &str) -> String {
    person.file("password", text)
}

/// One opens a tunnel to another, of whom nothing is known but the password.
fn talk(from: &Person, to: &Person) {
    let files = [password_file(from, "a rose by any other name\n"), password_file(to, "a rose by any other name")];
    let mut listening = to.listen(&["--srp-password-file", &files[1]]);
    let mut chatting = from.start(&["chat", &to.full(), "--srp-password-file", &files[0]]);
    for (end, peer) in [(&mut listening, from), (&mut chatting, to)] {
        let secured = end.event("secured");
        assert_eq!(secured["peer"], peer.full().as_str());
        assert_eq!(secured["method"], "srp");
        assert_eq!(secured["tls_version"], "TLS 1.2");
        assert_eq!(secured["cipher_suite"], "TLS_SRP_SHA_WITH_AES_256_CBC_SHA");
        assert!(secured["group"].as_str().is_some_and(|group| group.contains("3072")), "{secured}");
        assert_eq!(secured["authenticated_by"], "password");
        assert!(secured["peer_sha256"].is_null(), "{secured}");
        assert_eq!((&secured["confirmed"], &secured["changed"]), (&true.into(), &false.into()));
        end.event("stream_open");
    }
    chatting.line("Wherefore <art> thou?");
    assert_eq!(listening.event("message")["body"], "Wherefore <art> thou?");
    listening.line("Call me but love");
    assert_eq!(chatting.event("message")["body"], "Call me but love");
    chatting.end_input();
    let closed = listening.event("closed");
    assert_eq!((&closed["by"], &closed["truncated"]), (&"remote".into(), &false.into()));
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    listening.end_input();
    assert_eq!(listening.wait().code, Some(0));
    // A password pins nothing.
    for person in [from, to] {
        let listed = Xtls::run(person.data_dir(), None, &["trust", "list"]);
        assert_eq!(listed.named("trusted").count(), 0);
    }
}

#[test]
fn a_password_tunnel_both_ways_round() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    talk(&alice, &bob);
    talk(&bob, &alice);
}

#[test]
fn a_bare_peer_is_found_for_a_password_tunnel_too() {
    let stage = Stage::new(Transport::StartTls);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let file = password_file(&alice, "a rose");
    let _listening = bob.listen(&["--echo", "--srp-password-file", &file]);
    let mut chatting = alice.start(&["chat", &bob.bare(), "--srp-password-file", &file]);
    assert_eq!(chatting.event("secured")["method"], "srp");
    chatting.event("stream_open");
    chatting.line("hello");
    assert_eq!(chatting.event("message")["body"], "hello");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn a_pinned_certificate_goes_before_a_password() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let file = password_file(&alice, "a rose");
    let mut listening = bob.listen(&["--srp-password-file", &file]);
    let mut chatting = alice.start(&["chat", &bob.full(), "--srp-password-file", &file]);
    for end in [&mut listening, &mut chatting] {
        let secured = end.event("secured");
        assert_eq!((&secured["method"], &secured["authenticated_by"]), (&"x509".into(), &"pinned".into()));
    }
}

/// The one line on standard error, without the name of the peer.
fn complaint(stderr: &str, peer: &Person) -> String {
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(&peer.full()), "{stderr}");
    stderr.replace(&peer.full(), "PEER")
}

#[test]
fn a_wrong_password_is_refused_in_the_same_words_at_both_ends() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = (stage.person("alice"), stage.person("bob"));
    let taps = [Tap::start(stage.server.port()), Tap::start(stage.server.port())];
    (alice.address, bob.address) = (taps[0].address(), taps[1].address());
    let files = [password_file(&alice, "a rose"), password_file(&bob, "a nose")];
    let mut listening = bob.listen(&["--srp-password-file", &files[1]]);
    let ended = alice.run(&["chat", &bob.full(), "--srp-password-file", &files[0]]);
    listening.event("closed");
    listening.event("error");
    listening.end_input();
    let listened = listening.wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.starts_with(&format!("xtls: {WRONG}: ")), "{}", ended.stderr);
    assert_eq!(complaint(&ended.stderr, &bob), complaint(&listened.stderr, &alice));
    for end in [&ended, &listened] {
        for never in ["secured", "stream_open", "message"] {
            assert_eq!(end.named(never).count(), 0, "{never}");
        }
        assert_eq!(end.named("closed").filter(|closed| closed["reason"] == WRONG).count(), 1, "{:?}", end.events);
    }
    let sent = taps[0].sent() + &taps[1].sent();
    assert!(sent.contains("<security-error/>"), "{sent}");
    // The listener went on, and takes the right one.
    let _listening = bob.listen(&["--srp-password-file", &files[1]]);
    let mut chatting = alice.start(&["chat", &bob.full(), "--srp-password-file", &password_file(&alice, "a nose")]);
    assert_eq!(chatting.event("secured")["authenticated_by"], "password");
}

#[test]
fn a_password_at_the_initiator_alone_is_refused() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let mut listening = bob.listen(&[]);
    let file = password_file(&alice, "a rose");
    let refused = alice.run(&["chat", &bob.full(), "--srp-password-file", &file]);
    assert_refused(&refused);
    listening.event("error");
    assert!(listening.stderr().contains("--srp-password-file"), "{}", listening.stderr());
}

#[test]
fn a_password_at_the_responder_alone_is_refused() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    alice.trust(&bob);
    let file = password_file(&bob, "a rose");
    let mut listening = bob.listen(&["--srp-password-file", &file]);
    assert_refused(&alice.run(&["chat", &bob.full()]));
    listening.event("error");
    assert!(listening.stderr().contains("xtls trust add alice@localhost"), "{}", listening.stderr());
}

fn assert_refused(ended: &Ended) {
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("refused the tunnel with security-error"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
    assert_eq!(ended.named("secured").count(), 0);
}

#[test]
fn p14_three_wrong_passwords_are_remembered_across_restarts_and_the_fourth_is_not_tried() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, bob) = (stage.person("alice"), stage.person("bob"));
    let tap = Tap::start(stage.server.port());
    alice.address = tap.address();
    let files = [password_file(&alice, "a rose"), password_file(&bob, "a nose")];
    for _ in 0..3 {
        let mut listening = bob.listen(&["--srp-password-file", &files[1]]);
        let ended = alice.run(&["chat", &bob.full(), "--srp-password-file", &files[0]]);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(WRONG), "{}", ended.stderr);
        listening.event("error");
    }
    let before = tap.sent();
    assert_eq!(before.matches("session-initiate").count(), 3);

    // With the right one at last, and nobody takes it: neither the initiator ...
    let file = password_file(&alice, "a nose");
    let locked = alice.run(&["chat", &bob.full(), "--srp-password-file", &file]);
    assert_eq!(locked.code, Some(3), "{}", locked.stderr);
    assert!(locked.stderr.contains("too many wrong passwords were tried with bob@localhost"), "{}", locked.stderr);
    assert!(locked.stderr.contains("no more are taken until 2"), "{}", locked.stderr);
    assert_eq!(locked.named("online").count(), 0);
    assert_eq!(tap.sent(), before, "something was sent");

    let shown = Xtls::run(alice.data_dir(), None, &["trust", "show", &bob.bare()]);
    let peer = shown.named("peer").next().expect("it is known");
    assert_eq!(
        (&peer["wrong_passwords"], &peer["pins"], &peer["secured_by"]),
        (&3.into(), &serde_json::json!([]), &serde_json::json!([]))
    );
    assert!(peer["locked_until"].as_str().is_some_and(|until| locked.stderr.contains(until)), "{peer}");

    // ... nor the responder, when the initiator has forgotten.
    fs::remove_file(alice.data_dir().join("trust.json")).expect("the attempts are forgotten");
    let mut listening = bob.listen(&["--srp-password-file", &files[1]]);
    assert_refused(&alice.run(&["chat", &bob.full(), "--srp-password-file", &file]));
    listening.event("error");
    assert!(listening.stderr().contains("no more are taken until 2"), "{}", listening.stderr());
    let sent = tap.sent();
    let handshakes = sent.matches("<open ").count();
    assert_eq!((sent.matches("session-initiate").count(), handshakes), (4, 3), "{sent}");
}

#[test]
fn a_password_that_cannot_be_used_is_told_before_anything_is_sent() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, bob) = (stage.person("alice"), stage.person("bob"));
    let tap = Tap::start(stage.server.port());
    alice.address = tap.address();
    for (text, why) in [
        ("", "the password is empty"),
        ("\na rose\n", "the password is empty"),
        ("a\u{7}rose\n", "the password has a character that cannot be used"),
        (&"x".repeat(1025), "the password is longer than 1024 bytes"),
    ] {
        let file = password_file(&alice, text);
        let to = bob.full();
        for args in [&["chat", &to, "--srp-password-file", &file][..], &["listen", "--srp-password-file", &file]] {
            let ended = alice.run(args);
            assert_eq!(ended.code, Some(2), "{}", ended.stderr);
            assert!(ended.stderr.starts_with(&format!("xtls: {why}")), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1);
        }
    }
    let file = password_file(&alice, "a rose");
    let both = alice.run(&["listen", "--leap-of-faith", "--srp-password-file", &file]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    let nobody = alice.run(&["chat", &bob.full(), "--srp-password-prompt"]);
    assert_eq!(nobody.code, Some(2), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("needs a terminal"), "{}", nobody.stderr);
    assert_eq!(tap.sent(), "");
}
