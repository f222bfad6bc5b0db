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
    ]);
    refusals
}

/// A session of another Jingle application, without XTLS.
const CALL: &str = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='851ba2'>\
    <content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1'/>\
    <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle>";
const STRANGER: &str = "tybalt@capulet.lit/sword";

fn sole_handler() -> Stage {
    let mut options = EntityOptions::seeded(2);
    options.config.sole_handler = true;
    Stage::new(JULIET, ROMEO, options)
}

#[test]
fn xep_0166_6_3_1_a_call_of_a_known_peer_is_acknowledged_and_ended() {
    let ended = |stage: &mut Stage, from: &str| {
        let sent = stage.sent();
        let [answer, end] = sent.as_slice() else { panic!("two stanzas: {}", sent.len()) };
        assert_eq!(*answer, result(JULIET, from, "x1"));
        assert_eq!((payload(end), end.attribute("to")), (terminate("851ba2", "unsupported-applications"), Some(from)));
        assert!(stage.events().is_empty());
    };
    // One who is pinned.
    let mut stage = sole_handler();
    let call = stage.iq("x1", CALL);
    assert!(matches!(stage.deliver(&call), Disposition::Consumed));
    ended(&mut stage, ROMEO);
    // One whom the embedder names; and the other handlers come first.
    let mut stage = Stage::juliet();
    stage.with(|engine, _| engine.allow_offers("tybalt@capulet.lit".parse().unwrap(), true));
    let Disposition::Unclaimed(refusal) = stage.deliver(&call.replace(ROMEO, STRANGER)) else { panic!("unclaimed") };
    stage.sent_nothing();
    stage.with(|engine, now| engine.refuse(now, refusal));
    ended(&mut stage, STRANGER);
}

#[test]
fn xep_0166_6_3_2_a_call_of_a_stranger_is_refused_as_by_one_without_jingle() {
    let mut stage = sole_handler();
    let call = stage.iq("x1", CALL).replace(ROMEO, STRANGER);
    assert!(matches!(stage.deliver(&call), Disposition::Consumed));
    assert_eq!(said(&stage.sent_one()), (Condition::ServiceUnavailable, ErrorType::Cancel, None));
}

#[test]
fn rfc_6120_8_2_3_a_request_that_is_malformed_gets_bad_request() {
    let head = |rest: &str| format!("<iq from='{ROMEO}' to='{JULIET}'{rest}");
    let bad = (Condition::BadRequest, ErrorType::Modify, None);
    for (stanza, expected) in [
        (head(" id='x1' type='get'/>"), "x1"),
        (head(" id='x1' type='set'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>"), "x1"),
        (head(&format!(" id='x1' type='set'>{CALL}{CALL}</iq>")), "x1"),
        // Rule 3: without an id the answer's is empty.
        (head(" type='get'><a xmlns='urn:a'/></iq>"), ""),
        (head(&format!(" type='set'>{CALL}</iq>")), ""),
        (head(" id='' type='get'><a xmlns='urn:a'/></iq>"), ""),
        // Rule 2.
        (head(" id='x1'><a xmlns='urn:a'/></iq>"), "x1"),
        (head(" id='x1' type='put'><a xmlns='urn:a'/></iq>"), "x1"),
    ] {
        let mut stage = sole_handler();
        assert!(matches!(stage.deliver(&stanza), Disposition::Consumed), "{stanza}");
        let answer = stage.sent_one();
        assert_eq!((said(&answer), id(&answer)), (bad.clone(), expected), "{stanza}");
        // Where there are other handlers, they see to it.
        let mut stage = Stage::juliet();
        assert!(matches!(stage.deliver(&stanza), Disposition::NotOurs), "{stanza}");
        stage.sent_nothing();
    }
}

#[test]
fn rfc_6120_8_2_3_an_answer_that_is_malformed_gets_none() {
    for rest in
        [" type='result'/>", " id='x1' type='error'/>", " id='x1' type='result'><a xmlns='a'/><b xmlns='b'/></iq>"]
    {
        let mut stage = sole_handler();
        let disposition = stage.deliver(&format!("<iq from='{ROMEO}' to='{JULIET}'{rest}"));
        assert!(matches!(disposition, Disposition::NotOurs), "{disposition:?}: {rest}");
        stage.sent_nothing();
    }
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
