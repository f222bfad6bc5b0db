//! What must not be let through, and how that is told.

use xtls_interop::{Stage, Tap, Transport, Xtls};

#[test]
fn an_untrusted_initiator_is_refused_with_security_error() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (alice, mut bob) = (stage.person("alice"), stage.person("bob"));
    alice.trust(&bob);
    bob.address = tap.address();
    let mut listening = bob.listen(&[]);
    let ended = alice.run(&["chat", &bob.full()]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("security-error"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
    // What its owner needs is told.
    assert!(ended.stderr.contains(&alice.trusted_by()), "{}", ended.stderr);
    assert_eq!(ended.named("stream_open").count(), 0);
    assert_eq!(ended.named("secured").count(), 0);
    assert!(tap.sent().contains("<security-error/>"), "{}", tap.sent());
    listening.event("closed");
    assert!(listening.stderr().contains("xtls trust add alice@localhost"), "{}", listening.stderr());
    // The listener goes on.
    listening.end_input();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn nothing_is_sent_to_a_peer_of_whom_nothing_is_known() {
    let stage = Stage::new(Transport::Plain);
    let ended = stage.person("alice").run(&["chat", "bob@localhost/xtls"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("xtls trust add bob@localhost"), "{}", ended.stderr);
    assert_eq!(ended.named("online").count(), 0);
}

#[test]
fn a_changed_certificate_is_refused_and_named_as_changed() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = stage.friends();
    let before = bob.fingerprint();
    std::fs::remove_dir_all(bob.data_dir().join("identities")).expect("the identity is removed");
    let after = bob.fingerprint();
    assert_ne!(before, after);
    alice.address = tap.address();
    let _listening = bob.listen(&[]);
    let ended = alice.run(&["chat", &bob.full()]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("certificate of bob@localhost/xtls changed"), "{}", ended.stderr);
    assert_eq!(ended.named("secured").count(), 0);
    assert!(tap.sent().contains("<security-error/>"), "{}", tap.sent());
    // A person who has compared the new one says so.
    alice.trust_fingerprint(&bob.bare(), &after);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn a_fingerprint_on_the_command_line_is_enough_and_a_wrong_one_is_not() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    bob.trust(&alice);
    let _listening = bob.listen(&[]);
    let wrong = alice.run(&["chat", &bob.full(), "--trust", &"ab".repeat(32)]);
    assert_eq!(wrong.code, Some(3), "{}", wrong.stderr);
    let sha256 = bob.fingerprint();
    let identity = Xtls::run(bob.data_dir(), None, &["identity"]);
    let sha1 =
        identity.named("identity").next().and_then(|event| event["sha1"].as_str()).expect("a fingerprint").to_owned();
    for given in [sha256.clone(), format!("sha-256:{sha256}"), format!("sha1:{sha1}")] {
        // It was remembered, and this is about the command line.
        let forgotten = Xtls::run(alice.data_dir(), None, &["trust", "remove", &bob.bare()]);
        // The first time there is nothing to forget.
        assert!(matches!(forgotten.code, Some(0 | 1)), "{}", forgotten.stderr);
        let mut chatting = alice.start(&["chat", &bob.full(), "--trust", &given]);
        let secured = chatting.event("secured");
        assert_eq!(secured["peer_sha256"], sha256.as_str());
        assert_eq!(secured["changed"], false);
        chatting.event("stream_open");
        chatting.end_input();
        assert_eq!(chatting.wait().code, Some(0));
    }
}

#[test]
fn accept_from_refuses_everybody_else() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let carol = stage.person("carol");
    carol.trust(&bob);
    bob.trust(&carol);
    let mut listening = bob.listen(&["--accept-from", &carol.bare()]);
    let refused = alice.run(&["chat", &bob.full()]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("declined"), "{}", refused.stderr);
    let mut chatting = carol.start(&["chat", &bob.full()]);
    assert_eq!(listening.event("incoming")["peer"], carol.full().as_str());
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn a_peer_without_xtls_is_a_security_failure() {
    let stage = Stage::new(Transport::Plain);
    // The server answers service discovery itself, and has no XTLS.
    let ended = stage.person("alice").run(&["chat", "localhost/server", "--leap-of-faith"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("no XTLS"), "{}", ended.stderr);
}

#[test]
fn a_sha1_pin_is_replaced_by_sha256_when_it_has_matched() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    bob.trust(&alice);
    let sha256 = bob.fingerprint();
    let identity = Xtls::run(bob.data_dir(), None, &["identity"]);
    let sha1 = identity.named("identity").next().and_then(|event| event["sha1"].as_str()).expect("a fingerprint");
    let added = Xtls::run(alice.data_dir(), None, &["trust", "add", &bob.bare(), &format!("sha1:{sha1}")]);
    assert!(added.code == Some(0) && added.stderr.contains("weak"), "{}", added.stderr);
    let _listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    let secured = chatting.event("secured");
    assert_eq!((&secured["authenticated_by"], &secured["changed"]), (&"pinned".into(), &false.into()));
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    let listed = Xtls::run(alice.data_dir(), None, &["trust", "list"]);
    let pins: Vec<&str> = listed.named("trusted").filter_map(|pin| pin["fingerprint"].as_str()).collect();
    assert_eq!(pins, [format!("sha-256:{sha256}")]);
}

#[test]
fn an_own_certificate_that_changed_is_told_with_the_fingerprint_to_hand_over() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    std::fs::remove_dir_all(alice.data_dir().join("identities")).expect("the identity is removed");
    let mut listening = bob.listen(&[]);
    let ended = alice.run(&["chat", &bob.full()]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(&alice.trusted_by()) && !ended.stderr.contains("intercepted"), "{}", ended.stderr);
    // The other end cannot know whose it is, and says so with what to do.
    let error = listening.event("error");
    assert_eq!(error["peer"], alice.full());
    let words = error["message"].as_str().expect("it has words");
    assert!(words.contains("may be intercepted") && words.contains(&alice.trusted_by()), "{words}");
}

#[test]
fn a_lock_at_the_other_end_is_named_as_what_it_may_be() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let right = bob.file("password", "a rose");
    let mut listening = bob.listen(&["--srp-password-file", &right]);
    // Three wrong words under other resources' data, so that only Bob's end counts them.
    for data in ["one", "two", "three", "four"] {
        let mut other = alice.clone();
        other.move_data(data);
        let wrong = other.file("password", if data == "four" { "a rose" } else { "a thorn" });
        let ended = other.run(&["chat", &bob.full(), "--srp-password-file", &wrong]);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        listening.event("closed");
        if data == "four" {
            assert!(ended.stderr.contains("takes none for now"), "{}", ended.stderr);
            assert!(!ended.stderr.contains("intercepted"), "{}", ended.stderr);
        }
    }
}
