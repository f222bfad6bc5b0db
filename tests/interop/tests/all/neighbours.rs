//! What other clients send to `xtls`, and what they are told.

use std::time::Instant;

use xtls_interop::{Person, Stage, Tap, Transport, Xtls};

/// Bob listens, and what he tells the server can be read.
fn listen(stage: &Stage) -> (Tap, Person, Xtls) {
    let tap = Tap::start(stage.server.port());
    let mut bob = stage.person("bob");
    bob.address = tap.address();
    let listening = bob.listen(&[]);
    (tap, bob, listening)
}

/// What Bob sends in answer to a stanza that Carol's phone sends to him; `ping` shows that it has all come.
fn answers(stage: &Stage, tap: &Tap, bob: &Person, stanza: &str) -> String {
    let before = tap.sent().len();
    let from = format!("from='carol@{}/phone' to='{}'", stage.server.domain(), bob.full());
    stage.server.post(&stanza.replace("FROM", &from));
    stage.server.post(&format!("<iq {from} type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>"));
    tap.sent_after(before, "id='last'")
}

const CALL: &str = "<iq FROM type='set' id='call'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='851ba2' \
    initiator='carol@localhost/phone'><content creator='initiator' name='voice'>\
    <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>\
    <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle></iq>";

#[test]
fn xep_0166_6_3_1_a_call_of_a_known_peer_is_acknowledged_and_ended_and_a_strangers_refused() {
    let stage = Stage::new(Transport::Plain);
    let (tap, bob, _listening) = listen(&stage);
    let told = answers(&stage, &tap, &bob, CALL);
    assert!(told.contains("service-unavailable") && !told.contains("session-terminate"), "{told}");

    bob.trust(&stage.person("carol"));
    let (tap, bob, _listening) = listen(&stage);
    let told = answers(&stage, &tap, &bob, CALL);
    assert!(told.contains("<iq type='result' id='call'"), "{told}");
    assert!(told.contains("session-terminate") && told.contains("<unsupported-applications/>"), "{told}");
    assert!(!told.contains("<error"), "{told}");
}

#[test]
fn rfc_6120_8_2_3_a_request_that_is_malformed_gets_bad_request() {
    let stage = Stage::new(Transport::Plain);
    let (tap, bob, _listening) = listen(&stage);
    for (stanza, id) in [
        ("<iq FROM type='get' id='none'/>", "none"),
        ("<iq FROM type='set' id='two'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>", "two"),
        ("<iq FROM type='get'><a xmlns='urn:a'/></iq>", ""),
        ("<iq FROM type='put' id='kind'><a xmlns='urn:a'/></iq>", "kind"),
    ] {
        let told = answers(&stage, &tap, &bob, stanza);
        assert!(told.contains(&format!("<iq type='error' id='{id}'")) && told.contains("<bad-request"), "{told}");
    }
    for stanza in ["<iq FROM type='result'/>", "<iq FROM type='error' id='x'/>"] {
        let told = answers(&stage, &tap, &bob, stanza);
        assert_eq!(told.matches("<iq ").count(), 1, "an answer was answered: {told}");
    }
}

#[test]
fn a_message_outside_of_tunnels_is_told_once_for_each_peer_without_its_text() {
    let stage = Stage::new(Transport::Plain);
    let (tap, bob, mut listening) = listen(&stage);
    for _ in 0..2 {
        answers(&stage, &tap, &bob, "<message FROM type='chat'><body>psst</body></message>");
    }
    let other = format!("<message from='alice@localhost/x' to='{}'><body>psst</body></message>", bob.full());
    stage.server.post(&other);
    assert_eq!(listening.event("outside")["peer"], "carol@localhost/phone");
    assert_eq!(listening.event("outside")["peer"], "alice@localhost/x");
    listening.interrupt();
    let ended = listening.wait();
    assert_eq!((ended.code, ended.named("outside").count()), (Some(0), 2));
    assert!(ended.events.iter().all(|event| !event.to_string().contains("psst")), "{:?}", ended.events);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn a_bare_address_without_xtls_is_told_soon_after_its_last_resource_has_answered() {
    let stage = Stage::new(Transport::Plain);
    let (alice, _bob) = stage.friends();
    let phone = format!("<presence from='carol@localhost/phone' to='{}'/>", alice.full());
    let carol = stage.person("carol");
    alice.trust(&carol);
    let mut chatting = alice.start(&["chat", &carol.bare()]);
    chatting.event("online");
    stage.server.post(&phone);
    let start = Instant::now();
    let ended = chatting.wait();
    let took = start.elapsed();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("carol@localhost is online without XTLS"), "{}", ended.stderr);
    assert!(took.as_secs() < 8, "{took:?}");
}
