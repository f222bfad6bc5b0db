//! Decision 2.5: what the engine holds no session for, and 2.6.

use xtls::{Disposition, Element};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::EntityOptions;

use crate::common::{
    JULIET, ROMEO, Said, Stage, element, id, kinds, payload, result, said, stage::data, terminate, unknown_session,
    without_text,
};

fn refusals() -> Vec<(String, Said)> {
    let jingle = |action: &str, inner: &str| {
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='851ba2'>{inner}</jingle>")
    };
    let not_found = (Condition::ItemNotFound, ErrorType::Cancel, None);
    let mut refusals: Vec<_> = [
        "session-accept",
        "session-info",
        "session-terminate",
        "security-info",
        "transport-info",
        "content-add",
        "transport-replace",
        "description-info",
    ]
    .map(|action| (jingle(action, ""), unknown_session()))
    .to_vec();
    refusals.extend([
        (jingle("session-hug", ""), (Condition::BadRequest, ErrorType::Modify, None)),
        (
            "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='851ba2' stanza='iq'/>".to_owned(),
            (Condition::NotAcceptable, ErrorType::Cancel, None),
        ),
        (data("851ba2", 0, "AAAA"), not_found.clone()),
        ("<close xmlns='http://jabber.org/protocol/ibb' sid='851ba2'/>".to_owned(), not_found),
        // A session of another Jingle application, without XTLS.
        (
            jingle(
                "session-initiate",
                "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1'/>\
                 <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>",
            ),
            (Condition::ServiceUnavailable, ErrorType::Cancel, None),
        ),
    ]);
    refusals
}

#[test]
fn wire_2_05_what_belongs_to_no_session_is_offered_to_the_other_handlers_first() {
    for (request, expected) in refusals() {
        let mut stage = Stage::juliet();
        let stanza = stage.iq("x1", &request);
        let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed: {request}") };
        stage.sent_nothing();
        stage.with(|engine, now| engine.refuse(now, refusal));
        let answer = stage.sent_one();
        assert_eq!(said(&answer), expected, "{request}");
        assert_eq!((id(&answer), answer.attribute("to")), ("x1", Some(ROMEO)));
        assert!(stage.events().is_empty());
    }
}

/// The same while there is a session of another sid, which takes no notice.
#[test]
fn wire_2_05_a_live_session_does_not_notice() {
    let (mut stage, _) = Stage::responder_with_stream();
    for (request, expected) in refusals() {
        let stanza = stage.iq("x1", &request);
        let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed: {request}") };
        stage.with(|engine, now| engine.refuse(now, refusal));
        assert_eq!(said(&stage.sent_one()), expected, "{request}");
    }
    stage.write("<presence/>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}

#[test]
fn wire_2_05_a_sole_handler_refuses_at_once() {
    for (request, expected) in refusals() {
        let mut options = EntityOptions::seeded(2);
        options.config.sole_handler = true;
        let mut stage = Stage::new(JULIET, ROMEO, options);
        let (answer, others) = stage.ask(&request);
        assert_eq!((said(&answer), others), (expected, vec![]), "{request}");
    }
}

/// An end-to-end stream in the clear makes no sense (draft § 3): if nobody else takes it, it is ended.
#[test]
fn wire_2_05_an_xml_stream_without_xtls_is_acknowledged_and_ended() {
    let mut stage = Stage::juliet();
    let initiate = stage.initiate_with("");
    let stanza = stage.iq("x1", &initiate);
    let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed") };
    stage.sent_nothing();
    stage.with(|engine, now| engine.refuse(now, refusal));
    let sent = stage.sent();
    let [answer, end] = sent.as_slice() else { panic!("two stanzas: {}", sent.len()) };
    assert_eq!(*answer, result(JULIET, ROMEO, "x1"));
    assert_eq!(payload(end), terminate(&stage.sid, "security-error"));
    // Its result is the engine's, and leads to nothing.
    stage.ack(end);
    stage.sent_nothing();
}

/// A session-initiate with XTLS is the engine's, whatever is wrong with it.
#[test]
fn wire_2_05_offers_with_xtls_that_cannot_be_taken_up_are_refused() {
    let stage = Stage::juliet();
    let sound = stage.initiate_with(&stage.peer_security());
    let content = sound.split_once("<content").unwrap().1.split_once("</content>").unwrap().0;
    let content = format!("<content{content}</content>");
    let ended = |condition: &'static str| Err(condition);
    let bad = |condition| Ok((condition, ErrorType::Modify, None));
    let cases: Vec<(String, Result<Said, &str>)> = vec![
        (sound.replace(&content, &content.repeat(2)), ended("unsupported-applications")),
        (sound.replace("transports:ibb:1", "transports:ibb:2"), ended("unsupported-transports")),
        (sound.replace("transports:ibb:1", "transports:s5b:1"), ended("unsupported-transports")),
        (sound.replace("block-size='4096'", "block-size='4096' stanza='message'"), ended("unsupported-transports")),
        (sound.replace("<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>", ""), bad(Condition::BadRequest)),
        (sound.replace(" name='xmlstream'", ""), bad(Condition::BadRequest)),
        (sound.replace("creator='initiator'", "creator='responder'"), bad(Condition::BadRequest)),
    ];
    for (initiate, expected) in cases {
        let mut stage = Stage::juliet();
        let (answer, others) = stage.ask(&initiate);
        match expected {
            Ok(error) => assert_eq!((said(&answer), others), (error, vec![]), "{initiate}"),
            Err(condition) => {
                assert_eq!(answer, result(JULIET, ROMEO, id(&answer)), "{initiate}");
                let [end] = others.as_slice() else { panic!("one request: {initiate}") };
                assert_eq!(without_text(&payload(end)), terminate(&stage.sid, condition), "{initiate}");
            }
        }
        assert!(stage.events().is_empty());
    }
}

#[test]
fn wire_2_06_data_under_another_sid_than_the_negotiated_one_is_not_found() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    let block = data("vj3hs98y", stage.seq_out, "AAAA");
    let stanza = stage.iq("x1", &block);
    let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed") };
    stage.with(|engine, now| engine.refuse(now, refusal));
    assert_eq!(said(&stage.sent_one()), (Condition::ItemNotFound, ErrorType::Cancel, None));
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()));
    // And the seq it had is not used up.
    stage.write("<presence/>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}

/// Data in a message is never delivered (XEP-0047 § 4 is not supported), and no other handler gets it.
#[test]
fn wire_2_06_data_in_a_message_is_swallowed() {
    let (mut stage, _) = Stage::responder_with_stream();
    let block = data(&stage.ibb_sid, stage.seq_out, "AAAA");
    let stanza = format!("<message from='{ROMEO}' to='{JULIET}'>{block}</message>");
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    stage.sent_nothing();
    let plain: Element = element(&format!("<message from='{ROMEO}' to='{JULIET}'><body>hi</body></message>"));
    assert!(matches!(stage.deliver(&plain.to_xml(ns::CLIENT)), Disposition::NotOurs));
    stage.write("<presence/>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}
