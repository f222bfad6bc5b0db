//! Outer input that is not what it should be: the answer, and what becomes of the session.
use crate::common::{
    JULIET, MALLORY, ROMEO, closed, errors,
    script::{Script, info, offer, open, security, terminate},
    sent, streaming, terminations, xml,
};
use xtls::{Disposition, Event, Fault, TrustPolicy};
use xtls_testkit::{EntityOptions, Fate, World};

#[test]
fn text_that_is_no_stanza_is_malformed_and_changes_nothing() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(1);
    let deep = format!("<message>{}{}</message>", "<a>".repeat(100), "</a>".repeat(100));
    let long = format!("<message><body>{}</body></message>", "x".repeat(300_000));
    for text in [
        "",
        "no element",
        "<message>",
        "<message></iq>",
        "<message/><message/>",
        "<message a='1' a='2'/>",
        "<p:message/>",
        "<!DOCTYPE x><message/>",
        "<?xml version='1.0'?><message/><!-- -->",
        "<message>&nbsp;</message>",
        "<message>\u{0}</message>",
        "<message>&#1;</message>",
        &deep,
        &long,
    ] {
        let disposition = world.deliver(romeo, text);
        assert!(matches!(disposition, Disposition::Malformed(_)), "{text:.60}: {disposition:?}");
    }
    let before = sent(&world, ROMEO, JULIET).len();
    crate::common::send(&mut world, romeo, tunnel, "unmoved").unwrap();
    world.run();
    assert_eq!(crate::common::bodies(&world.take_events(juliet)), ["unmoved"]);
    assert_eq!(sent(&world, ROMEO, JULIET).len(), before + 1);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (mut world, [romeo, _], _) = streaming(3);
    for text in [
        "<message from='juliet@capulet.lit/balcony'><body>in the clear</body></message>",
        "<iq type='get' id='1' from='juliet@capulet.lit/balcony'><query xmlns='jabber:iq:version'/></iq>",
        "<iq type='set' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='x'/></iq>",
        "<iq type='set' from='juliet@capulet.lit/balcony'><jingle xmlns='urn:xmpp:jingle:1'/></iq>",
        "<iq type='set' id='1' from='juliet@capulet.lit/balcony'><jingle xmlns='urn:xmpp:jingle:2' sid='x'/></iq>",
        "<iq type='set' id='1' from='juliet@capulet.lit/balcony'><data xmlns='urn:other' sid='x' seq='0'/></iq>",
        "<iq xmlns='jabber:server' type='set' id='1' from='juliet@capulet.lit/balcony'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='x'/></iq>",
        "<iq type='result' id='nobody-asked' from='juliet@capulet.lit/balcony'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ] {
        let disposition = world.deliver(romeo, text);
        assert!(matches!(disposition, Disposition::NotOurs), "{text}: {disposition:?}");
    }
    let before = sent(&world, ROMEO, JULIET).len();
    world.run();
    assert_eq!(sent(&world, ROMEO, JULIET).len(), before);
    assert!(world.take_events(romeo).is_empty());
}

#[test]
fn what_is_for_nobody_is_the_embedders_unless_nobody_else_is_there() {
    for sole_handler in [false, true] {
        let mut options = EntityOptions::seeded(5);
        options.config.sole_handler = sole_handler;
        let mut script = Script::with_options(options);
        for (payload, answer) in [
            (terminate("unknown", "success"), "item-not-found/unknown-session"),
            (info("unknown", &["x509"]), "item-not-found/unknown-session"),
            (crate::common::script::data("unknown", "0", "AAAA"), "item-not-found"),
            (crate::common::script::ibb_close("unknown"), "item-not-found"),
            (open("unknown", "4096"), "not-acceptable"),
            ("<jingle xmlns='urn:xmpp:jingle:1' sid='unknown'/>".to_owned(), "bad-request"),
            ("<jingle xmlns='urn:xmpp:jingle:1' action='no-such' sid='unknown'/>".to_owned(), "bad-request"),
        ] {
            let found = script.set(&payload);
            if sole_handler {
                assert_eq!(found.as_deref(), Some(answer), "{payload}");
                continue;
            }
            assert_eq!(found, None, "{payload}");
            let others = script.world.take_others(script.juliet);
            let Some((Disposition::Unclaimed(refusal), _)) = others.into_iter().next() else { panic!("{payload}") };
            script.world.with(script.juliet, |engine, now| engine.refuse(now, refusal));
            script.world.run();
            assert_eq!(errors(&script.world, JULIET, MALLORY).last().map(String::as_str), Some(answer), "{payload}");
        }
        assert!(script.world.take_events(script.juliet).is_empty());
    }
}

#[test]
fn offers_that_make_no_sense_are_refused() {
    let mut script = Script::new(7);
    let security = script.security();
    let sound = offer("s", "b", 4096, &security);
    for (name, payload, answer) in [
        (
            "no content",
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'/>".to_owned(),
            Some("bad-request"),
        ),
        ("another transport", sound.replace("transports:ibb:1", "transports:s5b:1"), Some("result")),
        ("no sid", sound.replace(" sid='b'", ""), Some("bad-request")),
        ("no block size", sound.replace(" block-size='4096'", ""), Some("bad-request")),
        ("block size 0", sound.replace("'4096'", "'0'"), Some("bad-request")),
        ("block size 65536", sound.replace("'4096'", "'65536'"), Some("bad-request")),
        ("the responder's content", sound.replace("creator='initiator'", "creator='responder'"), Some("bad-request")),
        ("no name", sound.replace(" name='xmlstream'", ""), Some("bad-request")),
        ("a bad disposition", sound.replace("name='x", "disposition='early-session' name='x"), Some("bad-request")),
    ] {
        let found = script.set(&payload);
        assert_eq!(found.as_deref(), answer, "{name}");
        assert!(script.world.take_events(script.juliet).is_empty(), "{name}");
    }
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["unsupported-transports"]);
    assert_eq!(script.set(&sound).as_deref(), Some("result"));
    assert!(matches!(&*script.world.take_events(script.juliet), [Event::Incoming(_)]));
}

#[test]
fn actions_out_of_order_are_refused_and_change_nothing() {
    let mut script = Script::new(9);
    script.streaming();
    let action = |action: &str, inside: &str| {
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1'>{inside}</jingle>")
    };
    let security = script.security();
    let accept = offer("s1", "b1", 4096, &security).replace("session-initiate", "session-accept");
    for (payload, answer) in [
        (offer("s1", "b1", 4096, &security), "unexpected-request/out-of-order"),
        (accept, "unexpected-request/out-of-order"),
        (action("content-accept", ""), "unexpected-request/out-of-order"),
        (action("transport-accept", ""), "unexpected-request/out-of-order"),
        (
            action("session-info", "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>"),
            "feature-not-implemented/unsupported-info",
        ),
        (action("no-such-action", ""), "bad-request"),
        (action("session-info", ""), "result"),
    ] {
        assert_eq!(script.set(&payload).as_deref(), Some(answer), "{payload}");
    }
    assert!(script.say("<message><body>unmoved</body></message>").is_empty());
    assert_eq!(crate::common::bodies(&script.world.take_events(script.juliet)), ["unmoved"]);
}

/// Lets Juliet's session-accept be changed on its way.
fn accepted_with(change: impl Fn(&str) -> String + 'static) -> (World, crate::common::Ended) {
    let (mut world, romeo, juliet) = World::pair(11);
    world.relay.meddle(move |passed| match passed.stanza.contains("session-accept") {
        true => Fate::Replace(vec![change(&passed.stanza)]),
        false => Fate::Pass,
    });
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    let end = closed(&mut world, romeo);
    assert_eq!(crate::common::sent_data(&world, ROMEO, JULIET), 0);
    let _ = world.take_events(juliet);
    (world, end)
}

#[test]
fn an_acceptance_of_something_else_is_no_acceptance() {
    for (from, to, answer) in [
        ("apps:xmlstream:0", "apps:file-transfer:5", "not-acceptable"),
        ("transports:ibb:1", "transports:s5b:1", "not-acceptable"),
        ("name='xmlstream'", "name='other'", "bad-request"),
    ] {
        let (world, end) = accepted_with(move |stanza| stanza.replace(from, to));
        assert!(matches!(end.fault, Some(Fault::Jingle(_))) && !end.security, "{to}: {end:?}");
        assert_eq!(errors(&world, ROMEO, JULIET)[0], answer, "{to}");
        assert_eq!(terminations(&world, ROMEO, JULIET), ["incompatible-parameters"], "{to}");
    }
}

#[test]
fn an_answer_without_any_method_of_ours_is_a_security_error() {
    for methods in ["", "<method name='srp'/>", "<method name='openpgp'/>"] {
        let (world, end) = accepted_with(move |stanza| stanza.replace("<method name='x509'/>", methods));
        assert!(matches!(end.fault, Some(Fault::NoCommonMethod { .. })) && end.security, "{methods}: {end:?}");
        assert_eq!(terminations(&world, ROMEO, JULIET), ["security-error"]);
    }
    // An empty one stands for no method at all.
    let (_, end) = accepted_with(|stanza| {
        let (start, end) = (stanza.find("<security ").unwrap(), stanza.find("</security>").unwrap());
        format!("{}<security xmlns='urn:xmpp:jingle:security:xtls:0'>{}", &stanza[..start], &stanza[end..])
    });
    assert!(matches!(end.fault, Some(Fault::NoCommonMethod { offered }) if offered.is_empty()));
}

#[test]
fn a_fingerprint_that_is_none_is_refused_and_one_of_an_unknown_kind_is_ignored() {
    let mut script = Script::new(13);
    let own = script.identity.fingerprint_sha256();
    let sound = security(&[own], &["x509"]);
    let odd = sound.replace("<method", "<fingerprint algo='whirlpool'>00ff</fingerprint><method");
    assert_eq!(script.set(&offer("s1", "b1", 4096, &odd)).as_deref(), Some("result"));
    let events = script.world.take_events(script.juliet);
    let [Event::Incoming(incoming)] = &*events else { panic!("{events:?}") };
    assert_eq!(incoming.offer.fingerprints, [own]);
}

#[test]
fn data_in_messages_is_never_delivered() {
    let mut script = Script::new(15);
    script.streaming();
    let record = script.seal(b"<message><body>by the back door</body></message>");
    let data = crate::common::script::data("b1", &script.take_seq(), &crate::common::base64(&record));
    script.stanza(&format!("<message to='{JULIET}' id='m'>{data}</message>"));
    assert!(script.world.take_events(script.juliet).is_empty());
    assert!(script.world.take_others(script.juliet).is_empty(), "and nobody else mistakes it for something");
    // And a bytestream of messages is refused.
    let mut script = Script::new(17);
    script.accepted();
    let open = open("b1", "4096").replace("stanza='iq'", "stanza='message'");
    assert_eq!(script.set(&open).as_deref(), Some("feature-not-implemented"));
}
