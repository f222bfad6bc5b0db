//! XEP-0261, played through an engine. The examples have no precondition; a `<security/>` of ours is added where an engine
//! would not take the session otherwise.

use xtls::{CloseReason, Disposition, EndedBy, TrustPolicy, TunnelOptions};
use xtls_stanza::{Condition, Element, ErrorType};

use crate::common::{
    JULIET, ROMEO, Stage, closed, compact, id, is_request, jingle_error, kinds, payload, result, said,
};

const SID: &str = "a73sjjvkla37jfea";

/// Examples 1 and 3.
fn jingle(action: &str, who: &str, block_size: u16, security: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' {who} sid='{SID}'>
        <content creator='initiator' name='ex'>
          <description xmlns='urn:xmpp:example'/>
          <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{block_size}' sid='ch3d9s71'/>
          {security}
        </content>
      </jingle>"
    )
}

/// Juliet's engine with the offer of Example 1.
fn offered() -> Stage {
    let mut stage = Stage::juliet();
    SID.clone_into(&mut stage.sid);
    let initiate = jingle("session-initiate", &format!("initiator='{ROMEO}'"), 4096, &stage.peer_security());
    let offer = stage.iq("xn28s7gk", &initiate);
    assert!(matches!(stage.deliver(&offer), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "xn28s7gk"), "Example 2");
    stage
}

/// The same, accepted; the session-accept is acknowledged as in Example 4.
fn accepted() -> (Stage, Element) {
    let mut stage = offered();
    let incoming = stage.take_incoming();
    let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
    (stage, accept)
}

fn open(sid: &str, block_size: u16) -> String {
    format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='{block_size}' sid='{sid}' stanza='iq'/>")
}

#[test]
fn xep_0261_example_1_is_an_offer_of_bytes_and_example_2_is_the_answer() {
    let mut stage = offered();
    let incoming = stage.take_incoming();
    let xtls::Application::Bytes(description) = &incoming.application else { panic!("{incoming:?}") };
    assert_eq!(description.ns(), "urn:xmpp:example");
}

#[test]
fn xep_0261_example_3_is_what_accepts() {
    let (stage, accept) = accepted();
    // The size as offered: there is no reason to want less.
    let example = jingle("session-accept", &format!("responder='{JULIET}'"), 4096, &stage.own_security());
    assert_eq!(payload(&accept), compact(&example));
}

#[test]
fn xep_0261_example_3_and_5_the_initiator_opens_with_the_smaller_size() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let accept = stage.accept_over(&stage.peer_security(), &format!("block-size='2048' sid='{}'", stage.ibb_sid));
    let requests = stage.ask_fine(&accept);
    assert_eq!(payload(&requests[1]), compact(&open(&stage.ibb_sid, 2048)));
}

#[test]
fn xep_0261_example_5_opens_and_example_6_is_the_answer() {
    let (mut stage, _) = accepted();
    let stanza = stage.iq("jn3h8g65", &open("ch3d9s71", 2048));
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "jn3h8g65"));
}

#[test]
fn xep_0261_example_7_is_refused_and_ends_the_session_since_it_is_no_tls() {
    let (mut stage, _) = accepted();
    assert_eq!(stage.ask_fine(&open("ch3d9s71", 2048)), []);
    let packet = stage.iq(
        "ls72b58f",
        "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='ch3d9s71'>
        qANQR1DBwU4DX7jmYZnncmUQB/9KuKBddzQH+tZ1ZywKK0yHKnq57kWq+RFtQdCJ
        WpdWpR0uQsuJe7+vh3NWn59/gTc5MDlX8dS9p0ovStmNcyLhxVgmqS8ZKhsblVeu
        IpQ0JgavABqibJolc3BKrVtVV1igKiX/N7Pi8RtY1K18toaMDhdEfhBRzO/XB0+P
        AQhYlRjNacGcslkhXqNjK5Va4tuOAPy2n1Q8UUrHbUd0g+xJ9Bm0G0LZXyvCWyKH
        kuNEHFQiLuCY6Iv0myq6iX6tjuHehZlFSh80b5BVV9tNLwNR5Eqz1klxMhoghJOA
      </data>",
    );
    assert!(matches!(stage.deliver(&packet), Disposition::Consumed));
    let (answer, others) = stage.answer_to("ls72b58f");
    let in_the_clear = jingle_error(Condition::NotAcceptable, ErrorType::Cancel, "security-required");
    assert_eq!(said(&answer), in_the_clear);
    let terminate = others.iter().rfind(|stanza| is_request(stanza)).unwrap();
    let reason = crate::common::without_text(&payload(terminate));
    assert_eq!(reason, crate::common::terminate(SID, "security-error"));
    assert_eq!(closed(stage.events()).by, EndedBy::Engine);
}

#[test]
fn xep_0261_example_9_to_11_a_further_bytestream_is_refused_and_not_found() {
    let (mut stage, _) = accepted();
    let further = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='transport-info' sid='{SID}'>
        <content creator='initiator' name='ex'>
          <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='2048' sid='bt8a71h6'/>
        </content>
      </jingle>"
    );
    let (answer, others) = stage.ask(&further);
    let unsupported = jingle_error(Condition::FeatureNotImplemented, ErrorType::Modify, "unsupported-info");
    assert_eq!((said(&answer), others), (unsupported, vec![]));
    for (id, request) in [
        ("yh3vs613", open("bt8a71h6", 2048)),
        ("us71g45j", "<close xmlns='http://jabber.org/protocol/ibb' sid='bt8a71h6'/>".to_owned()),
    ] {
        let stanza = stage.iq(id, &request);
        let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("nobody's: {stanza}") };
        stage.with(|engine, now| engine.refuse(now, refusal));
        assert_eq!(said(&stage.sent_one()).1, ErrorType::Cancel);
    }
    // The first one goes on.
    stage.ibb_sid = "ch3d9s71".into();
    assert_eq!(stage.ask_fine(&open("ch3d9s71", 2048)), []);
}

#[test]
fn xep_0261_example_11_and_12_the_close_of_the_bytestream_is_acknowledged() {
    let (mut stage, _) = Stage::responder_with_stream();
    let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", stage.ibb_sid);
    let stanza = stage.iq("us71g45j", &close);
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.answer_to("us71g45j").0, result(JULIET, ROMEO, "us71g45j"));
    let closed = closed(stage.events());
    assert!(closed.truncated, "{closed:?}");
}

#[test]
fn xep_0261_example_13_ends_the_session_and_example_14_is_the_answer() {
    let (mut stage, _) = accepted();
    let terminate = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{SID}'>
        <reason><success/></reason>
      </jingle>"
    );
    let stanza = stage.iq("hz81vf48", &terminate);
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "hz81vf48"));
    let events = stage.events();
    assert_eq!(kinds(&events), ["Closed"]);
    let closed = closed(events);
    assert!(matches!((&closed.by, &closed.reason), (EndedBy::Remote, CloseReason::Done)), "{closed:?}");
}

#[test]
fn xep_0261_example_15_is_what_is_asked() {
    let mut stage = Stage::romeo();
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options)).unwrap();
    let asked = stage.sent_one();
    let example = format!(
        "<iq from='{ROMEO}' id='{}' to='{JULIET}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        id(&asked)
    );
    assert_eq!(asked, crate::common::element(&example));
}

#[test]
fn xep_0261_example_16_its_features_are_told() {
    let mut stage = Stage::juliet();
    let features = stage.with(|engine, _| engine.features());
    for feature in ["urn:xmpp:jingle:1", "urn:xmpp:jingle:transports:ibb:1"] {
        assert!(features.contains(&feature), "{feature}");
    }
}
