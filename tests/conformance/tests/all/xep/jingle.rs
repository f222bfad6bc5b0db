//! XEP-0166 §§ 6, 7 and 10.

use xtls::{Disposition, Event, Fault, TrustPolicy};
use xtls_stanza::{Condition, ErrorType};

use crate::common::{
    ROMEO, SID, Said, Stage, closed, fault, jingle_error, kinds, payload, said, stage::texts, terminate,
    unknown_session,
};

fn out_of_order() -> Said {
    jingle_error(Condition::UnexpectedRequest, ErrorType::Wait, "out-of-order")
}

fn unsupported_info() -> Said {
    jingle_error(Condition::FeatureNotImplemented, ErrorType::Modify, "unsupported-info")
}

fn bad_request() -> Said {
    (Condition::BadRequest, ErrorType::Modify, None)
}

fn request(action: &str, sid: &str, inner: &str) -> String {
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inner}</jingle>")
}

fn content(attributes: &str, inner: &str) -> String {
    format!("<content {attributes}>{inner}</content>")
}

const NAMED: &str = "creator='initiator' name='xmlstream'";

/// Sends each and holds the answer against the one that is due; the tunnel goes on.
fn assert_refused(mut stage: Stage, rows: Vec<(String, Said)>) {
    for (request, expected) in rows {
        let (answer, others) = stage.ask(&request);
        assert_eq!(said(&answer), expected, "{request}");
        assert_eq!(others, [], "{request}");
    }
    // Nothing has changed.
    stage.write("<presence/>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}

#[test]
fn xep_0166_10_every_error_in_a_live_session_to_the_responder() {
    let (stage, _) = Stage::responder_with_stream();
    let info = stage.security_info("<method name='srp'/>");
    let again = stage.initiate_with(&stage.peer_security());
    assert_refused(
        stage,
        vec![
            (again, out_of_order()),
            (request("session-accept", SID, &content(NAMED, "")), out_of_order()),
            (request("content-accept", SID, &content(NAMED, "")), out_of_order()),
            (request("content-reject", SID, &content(NAMED, "")), out_of_order()),
            (request("transport-accept", SID, &content(NAMED, "")), out_of_order()),
            (request("transport-reject", SID, &content(NAMED, "")), out_of_order()),
            // Of a method that not both ends offered.
            (info, out_of_order()),
            (request("session-info", SID, "<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>"), unsupported_info()),
            (request("description-info", SID, &content(NAMED, "")), unsupported_info()),
            (request("transport-info", SID, &content(NAMED, "")), unsupported_info()),
            (request("frobnicate", SID, ""), bad_request()),
            (format!("<jingle xmlns='urn:xmpp:jingle:1' sid='{SID}'/>"), bad_request()),
            (request("content-add", SID, ""), bad_request()),
            (request("content-add", SID, &content(NAMED, "")), bad_request()),
            (request("content-modify", SID, &content("creator='initiator' name='other'", "")), bad_request()),
            (request("content-modify", SID, &content("creator='romeo' name='xmlstream'", "")), bad_request()),
            (request("content-modify", SID, &content("name='xmlstream' senders='all'", "")), bad_request()),
            (request("content-remove", SID, &content("creator='responder' name='xmlstream'", "")), bad_request()),
            (request("transport-replace", SID, &content(NAMED, "")), bad_request()),
            (request("session-info", SID, &"<content name='x'/>".repeat(17)), bad_request()),
        ],
    );
}

#[test]
fn xep_0166_10_every_error_in_a_live_session_to_the_initiator() {
    let (stage, _) = Stage::initiator_with_stream();
    let sid = stage.sid.clone();
    let accept = stage.accept_with(&stage.peer_security());
    let info = stage.security_info("<method name='x509'/>");
    assert_refused(
        stage,
        vec![
            (accept, out_of_order()),
            // § 5: only the initiator chooses.
            (info, out_of_order()),
            (request("content-accept", &sid, &content(NAMED, "")), out_of_order()),
            (request("transport-accept", &sid, &content(NAMED, "")), out_of_order()),
            (request("session-info", &sid, "<x xmlns='urn:x'/>"), unsupported_info()),
            (request("transport-info", &sid, &content(NAMED, "")), unsupported_info()),
            (request("session-accept ", &sid, ""), bad_request()),
        ],
    );
}

/// §§ 6.7 and 10: what comes after the end, for no session, or from somebody else.
#[test]
fn xep_0166_6_7_what_belongs_to_no_session_is_unknown_session() {
    let (mut stage, _) = Stage::responder_with_stream();
    for action in ["session-info", "session-accept", "security-info", "content-add", "session-terminate"] {
        // From another resource the live session's sid is nobody's, and nobody else's either.
        let stanza = stage.iq("x1", &request(action, SID, &content(NAMED, "")));
        let stanza = stanza.replace(&format!("from='{ROMEO}'"), "from='romeo@montague.lit/garden'");
        assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
        assert_eq!(said(&stage.sent_one()), unknown_session(), "{action}");
        let stanza = stage.iq("x2", &request(action, "another", &content(NAMED, "")));
        let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed") };
        stage.with(|engine, now| engine.refuse(now, refusal));
        assert_eq!(said(&stage.sent_one()), unknown_session(), "{action}");
    }
    assert!(stage.events().is_empty());
    // XEP-0166 § 6.7: it is over as soon as the session-terminate is sent, whether it is acknowledged or not.
    let tunnel = stage.with(|engine, _| engine.tunnels().next()).unwrap();
    let reason = xtls::jingle::Reason::new(xtls::jingle::ReasonCondition::GeneralError);
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().abort(now, reason));
    let end = stage.sent_one();
    assert_eq!(payload(&end), terminate(SID, "general-error"));
    for action in ["session-info", "session-terminate", "security-info"] {
        let (answer, _) = stage.ask(&request(action, SID, &content(NAMED, "")));
        assert_eq!(said(&answer), unknown_session(), "{action}");
    }
}

/// § 6.3.2: what cannot be taken up is answered at once, and nobody is asked.
#[test]
fn xep_0166_6_3_2_offers_that_are_answered_with_an_error() {
    let stage = Stage::juliet();
    let sound = stage.initiate_with(&stage.peer_security());
    let not_acceptable = |error_type| (Condition::NotAcceptable, error_type, None);
    let large = format!("<description xmlns='urn:x'><x a='{}'/></description>", "y".repeat(16 * 1024 - 40));
    for (initiate, expected) in [
        (
            sound.replace("creator='initiator' name", "creator='initiator' disposition='early-session' name"),
            bad_request(),
        ),
        (sound.replace(&format!("sid='{SID}'"), ""), bad_request()),
        (sound.replace(&format!("sid='{SID}'"), "sid='no token'"), not_acceptable(ErrorType::Modify)),
        (sound.replace("name='xmlstream'", &format!("name='{}'", "x".repeat(257))), bad_request()),
        (sound.replace("creator='initiator'", "creator='nobody'"), bad_request()),
        (
            sound.replace("<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>", &large),
            not_acceptable(ErrorType::Cancel),
        ),
    ] {
        let mut stage = Stage::juliet();
        let (answer, others) = stage.ask(&initiate);
        assert_eq!((said(&answer), others), (expected, vec![]), "{initiate}");
        assert!(stage.events().is_empty());
    }
    // The bounds: as many as there may be with a peer, and one more.
    let mut stage = Stage::juliet();
    for at in 0..5 {
        let bytes = sound.replace("urn:xmpp:jingle:apps:xmlstream:0", "urn:x");
        let offer =
            bytes.replace(&format!("sid='{SID}'"), &format!("sid='s{at}'")).replace("ch3d9s71", &format!("b{at}"));
        let (answer, _) = stage.ask(&offer);
        if at < 4 {
            assert_eq!(answer.attribute("type"), Some("result"), "{at}");
        } else {
            assert_eq!(said(&answer), (Condition::ResourceConstraint, ErrorType::Wait, None));
        }
    }
}

/// § 7.2.8: each content of a session-accept has a description and a transport, those of the offer. What does not leads
/// nowhere, and the session is ended.
#[test]
fn xep_0166_7_2_8_an_answer_that_does_not_fit_ends_the_session() {
    let not_acceptable = (Condition::NotAcceptable, ErrorType::Cancel, None);
    for (from, to, expected) in [
        ("<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>", "", bad_request()),
        ("urn:xmpp:jingle:apps:xmlstream:0", "urn:x", not_acceptable.clone()),
        ("urn:xmpp:jingle:transports:ibb:1", "urn:xmpp:jingle:transports:s5b:1", not_acceptable.clone()),
        ("block-size='4096'", "block-size='4096' stanza='message'", not_acceptable.clone()),
        ("name='xmlstream'", "name='other'", bad_request()),
        ("name='xmlstream'", "", bad_request()),
    ] {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        let accept = stage.accept_with(&stage.peer_security());
        assert!(accept.contains(from), "{accept}");
        let (answer, others) = stage.ask(&accept.replace(from, to));
        assert_eq!(said(&answer), expected, "{to}");
        let [end] = others.as_slice() else { panic!("session-terminate: {}", texts(&others)) };
        assert_eq!(payload(end), terminate(&stage.sid, "incompatible-parameters"));
        assert!(matches!(fault(&closed(stage.events())), Fault::Jingle(_)));
    }
}

/// §§ 7.2.2, 7.2.3, 7.2.15: what would change the session is acknowledged, and rejected by a request in return; § 7.2.5: a
/// session without content is ended.
#[test]
fn xep_0166_7_2_changes_are_acknowledged_and_rejected() {
    let (mut stage, _) = Stage::responder_with_stream();
    let other = "creator='initiator' name='other'";
    let s5b = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='b'/>";
    for (action, inner, reply) in [
        ("content-add", content(other, "<description xmlns='urn:x'/>"), "content-reject"),
        ("content-modify", content("creator='initiator' name='xmlstream' senders='none'", ""), "content-modify"),
        ("transport-replace", content(NAMED, s5b), "transport-reject"),
    ] {
        let requests = stage.ask_fine(&request(action, SID, &inner));
        let [request] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
        assert_eq!(payload(request).attribute("action"), Some(reply));
        stage.ack(request);
    }
    assert!(stage.events().is_empty());
    let requests = stage.ask_fine(&request("content-remove", SID, &content(NAMED, "")));
    assert_eq!(payload(requests.last().unwrap()).attribute("action"), Some("session-terminate"));
    assert!(matches!(stage.events().last(), Some(Event::Closed(_))));
}

/// § 6.8: an empty session-info is a ping; § 7.1: `initiator` and `responder` are ignored, whatever they say.
#[test]
fn xep_0166_6_8_a_ping_is_acknowledged_and_addresses_are_ignored() {
    let (mut stage, _) = Stage::responder_with_stream();
    assert_eq!(stage.ask_fine(&request("session-info", SID, "")), []);
    let strange =
        request("session-info", SID, "").replace("sid=", "initiator='mallory@verona.lit/x' responder='@@' sid=");
    assert_eq!(stage.ask_fine(&strange), []);
    let mut stage = Stage::juliet();
    let offer = stage.initiate_with(&stage.peer_security());
    let offer = offer.replace(&format!("initiator='{ROMEO}'"), "initiator='mallory@verona.lit/square'");
    assert_eq!(stage.ask_fine(&offer), []);
    assert_eq!(stage.take_incoming().peer.as_str(), ROMEO, "the sender of the IQ, and nobody else");
}

/// § 6.7: a reason is not required, and neither are words nor a condition that is known.
#[test]
fn xep_0166_7_4_a_session_ends_whatever_the_reason() {
    for reason in
        ["", "<reason/>", "<reason><success/></reason>", "<reason><weather xmlns='urn:x'/><text>x</text></reason>"]
    {
        let (mut stage, _) = Stage::responder_with_stream();
        assert_eq!(stage.ask_fine(&request("session-terminate", SID, reason)), []);
        assert!(closed(stage.events()).truncated, "{reason}: the stream was open");
    }
}
