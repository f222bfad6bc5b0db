//! `xtls probe PEER`: what a peer tells of itself (XEP-0250 § 3.2), through a real server.

use serde_json::{Value, json};
use xtls_interop::{Ended, Stage, Tap, Transport, Xtls};

/// The one `probe` event of a command that ended with this code.
fn probed(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let mut events = ended.named("probe");
    let event = events.next().expect("what the peer told").clone();
    assert!(events.next().is_none());
    event
}

#[test]
fn a_listening_peer_that_trusts_us_shows_its_certificate_and_a_tunnel_would_be_secured_by_it() {
    let stage = Stage::new(Transport::StartTls);
    let (alice, bob) = stage.friends();
    let listening = bob.listen(&[]);
    let probe = probed(&alice.run(&["probe", &bob.bare()]), 0);
    assert_eq!((&probe["peer"], &probe["xtls"], &probe["asked"]), (&json!(bob.full()), &json!(true), &json!(true)));
    let identity = Xtls::run(bob.data_dir(), None, &["identity"]);
    let sha1 = identity.named("identity").next().expect("an identity")["sha1"].clone();
    assert_eq!(
        probe["keys"],
        json!([{ "name": sha1, "trusted": false }, { "name": bob.fingerprint(), "trusted": true }])
    );
    assert_eq!((&probe["insecure"], &probe["srp"]), (&json!(false), &json!(false)));
    assert_eq!((&probe["chosen"], &probe["nothing"]), (&json!("x509"), &Value::Null));
    let features = probe["features"].as_array().expect("features");
    for feature in ["urn:xmpp:jingle:security:xtls:0", "urn:xmpp:jingle:1", "urn:xmpp:jingle:transports:ibb:1"] {
        assert!(features.contains(&json!(feature)), "{features:?}");
    }
    assert_eq!(probe["caps"]["verified"], true, "{probe}");
    // Whoever listens is not bothered.
    listening.interrupt();
    let listened = listening.wait();
    assert_eq!(listened.code, Some(0));
    assert_eq!(listened.named("incoming").count(), 0);
}

#[test]
fn a_peer_without_xtls_is_told_as_such_and_not_asked_for_more() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let mut alice = stage.person("alice");
    alice.address = tap.address();
    let ended = alice.run(&["probe", "carol@localhost/phone"]);
    let probe = probed(&ended, 3);
    assert_eq!((&probe["xtls"], &probe["asked"], &probe["features"]), (&json!(false), &json!(false), &json!([])));
    assert!(ended.stderr.contains("without XTLS") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    assert!(!tap.sent().contains("c2ctls"), "{}", tap.sent());
}

#[test]
fn a_listening_peer_that_does_not_know_us_answers_as_one_that_cannot() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    alice.trust(&bob);
    let _listening = bob.listen(&[]);
    let probe = probed(&alice.run(&["probe", &bob.full()]), 0);
    assert_eq!((&probe["xtls"], &probe["asked"], &probe["keys"]), (&json!(true), &json!(true), &Value::Null));
    assert!(probe["not_answered"].as_str().expect("why").contains("service-unavailable"), "{probe}");
    assert_eq!((&probe["chosen"], &probe["nothing"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_peer_that_knows_us_by_another_certificate_shows_none_and_a_password_would_do() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    alice.trust(&bob);
    bob.trust_fingerprint(&alice.bare(), &"ab".repeat(32));
    let word = bob.file("word", "wherefore\n");
    let _listening = bob.listen(&["--srp-password-file", &word]);
    let without = probed(&alice.run(&["probe", &bob.full()]), 0);
    assert_eq!((&without["keys"], &without["srp"], &without["chosen"]), (&json!([]), &json!(false), &Value::Null));
    assert!(without["nothing"].is_string(), "{without}");
    let with = probed(&alice.run(&["probe", &bob.full(), "--srp-password-file", &word]), 0);
    assert_eq!((&with["keys"], &with["srp"], &with["chosen"]), (&json!([]), &json!(true), &json!("srp")));
}

#[test]
fn a_peer_that_the_listener_names_is_answered_without_being_trusted() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let word = bob.file("word", "wherefore\n");
    let _listening = bob.listen(&["--accept-from", &alice.bare(), "--srp-password-file", &word]);
    let probe = probed(&alice.run(&["probe", &bob.full(), "--srp-password-file", &word]), 0);
    assert_eq!((&probe["keys"], &probe["srp"], &probe["chosen"]), (&json!([]), &json!(true), &json!("srp")));
}

#[test]
fn without_the_offer_no_fingerprint_leaves() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = stage.friends();
    alice.address = tap.address();
    let _listening = bob.listen(&[]);
    let probe = probed(&alice.run(&["probe", &bob.full(), "--no-offer"]), 0);
    assert_eq!((&probe["xtls"], &probe["asked"], &probe["keys"]), (&json!(true), &json!(false), &Value::Null));
    let fingerprint = alice.fingerprint();
    assert!(!tap.sent().contains(&fingerprint) && !tap.sent().contains("c2ctls"), "{}", tap.sent());
    probed(&alice.run(&["probe", &bob.full()]), 0);
    assert!(tap.sent().contains(&fingerprint), "{}", tap.sent());
}

#[test]
fn a_peer_that_is_not_there_is_a_connection_failure_and_a_wrong_target_one_of_usage() {
    let stage = Stage::new(Transport::Plain);
    let alice = stage.person("alice");
    let gone = alice.run(&["probe", "bob@localhost/nowhere"]);
    assert_eq!((gone.code, gone.named("probe").count()), (Some(4), 0), "{}", gone.stderr);
    for target in ["localhost/x", "@"] {
        let ended = alice.run(&["probe", target]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    }
    let without = Xtls::run(alice.data_dir(), None, &["probe", "bob@localhost"]);
    assert_eq!(without.code, Some(2));
    assert!(without.stderr.contains("--jid"), "{}", without.stderr);
}
