//! The command through a real ejabberd.

use xtls_interop::{Certificate, Ejabberd, Prosody};

#[test]
fn two_chat_through_ejabberd() {
    let server = Ejabberd::start(Certificate::Good);
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    alice.trust(&bob);
    bob.trust(&alice);
    let mut listening = bob.listen(&["--echo"]);
    // A bare address: the resource is found by its presence.
    let mut chatting = alice.start(&["chat", &bob.bare()]);
    let secured = chatting.event("secured");
    assert_eq!((&secured["authenticated_by"], &secured["confirmed"]), (&"pinned".into(), &true.into()));
    chatting.line("Good pilgrim, you do wrong your hand too much");
    assert_eq!(chatting.event("message")["body"], "Good pilgrim, you do wrong your hand too much");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(listening.event("closed")["truncated"], false);
}

#[test]
fn an_ejabberd_whose_certificate_is_not_good_gets_no_password() {
    for (certificate, why) in [
        (Certificate::Expired, "has expired"),
        (Certificate::WrongName, "is not for localhost"),
        (Certificate::SelfSigned, "TLS with the server localhost failed"),
    ] {
        let server = Ejabberd::start(certificate);
        let ended = server.person("alice").run(&["listen"]);
        assert_eq!(ended.code, Some(3), "{certificate:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(why), "{certificate:?}: {}", ended.stderr);
        assert!(!server.log().contains("Accepted c2s"), "{}", server.log());
    }
}

#[test]
fn a_wrong_password_is_told_by_ejabberd_too() {
    let server = Ejabberd::start(Certificate::Good);
    let mut alice = server.person("alice");
    alice.password = Prosody::password("bob");
    let ended = alice.run(&["listen"]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("login refused for alice@localhost"), "{}", ended.stderr);
}
