//! XEP-0166, played through an engine.

use xtls::{CloseReason, Closed, Disposition, EndedBy, Fault, TrustPolicy, TunnelOptions, jingle::ReasonCondition};
use xtls_stanza::{Condition, Element, ErrorType, ns};

use crate::common::{
    JULIET, ROMEO, Stage, closed, fault, id, jingle_error, kinds, payload, remote_reason, result, said, terminate,
};

/// An engine of Romeo that has offered a tunnel; the offer is not acknowledged.
fn offering() -> (Stage, Element) {
    let mut stage = Stage::romeo();
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.check_support = false;
    stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options)).unwrap();
    let initiate = stage.sent_one();
    (stage, initiate)
}

/// Something that is for other handlers: its answer if none takes it.
fn unclaimed(stage: &mut Stage, stanza: &str) -> Element {
    let Disposition::Unclaimed(refusal) = stage.deliver(stanza) else { panic!("for others: {stanza}") };
    stage.with(|engine, now| engine.refuse(now, refusal));
    stage.sent_one()
}

/// Nobody takes a known peer's session-initiate of this id, which is then acknowledged and ended (§ 6.3.1).
fn ended(stage: &mut Stage, stanza: &str, id: &str) {
    let Disposition::Unclaimed(refusal) = stage.deliver(stanza) else { panic!("unclaimed: {stanza}") };
    stage.sent_nothing();
    stage.with(|engine, now| engine.refuse(now, refusal));
    let sent = stage.sent();
    let [answer, end] = sent.as_slice() else { panic!("two stanzas: {}", sent.len()) };
    assert_eq!(*answer, result(JULIET, ROMEO, id));
    assert_eq!(payload(end), terminate("a73sjjvkla37jfea", "unsupported-applications"));
}

#[test]
fn xep_0166_example_1_an_application_without_our_precondition_is_for_others() {
    let mut stage = Stage::juliet();
    ended(
        &mut stage,
        "<iq from='romeo@montague.lit/orchard' id='zid615d9' to='juliet@capulet.lit/balcony' type='set'>
          <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard'
                  sid='a73sjjvkla37jfea'>
            <content creator='initiator' name='this-is-a-stub'>
              <description xmlns='urn:xmpp:jingle:apps:stub:0'/>
              <transport xmlns='urn:xmpp:jingle:transports:stub:0'/>
            </content>
          </jingle>
        </iq>",
        "zid615d9",
    );
    assert!(stage.events().is_empty());
}

#[test]
fn xep_0166_example_11_is_the_answer_to_an_offer() {
    let mut stage = Stage::juliet();
    let initiate = stage.initiate_with(&stage.peer_security());
    let offer = stage.iq("xs51r0k4", &initiate);
    assert!(matches!(stage.deliver(&offer), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "xs51r0k4"));
    assert_eq!(kinds(&stage.events()), ["Incoming"]);
}

/// What becomes of an offer that is answered with this error.
fn refused_with(error_type: &str, condition: &str) -> Condition {
    let (mut stage, initiate) = offering();
    assert!(matches!(stage.refuse(&initiate, error_type, condition, ""), Disposition::Consumed));
    // There is no session to terminate.
    stage.sent_nothing();
    let closed = closed(stage.events());
    let Fault::Refused { error, .. } = fault(&closed) else { panic!("{closed:?}") };
    error.condition
}

#[test]
fn xep_0166_example_12_and_13_who_is_unknown_or_has_no_jingle_is_refused() {
    assert_eq!(refused_with("cancel", "service-unavailable"), Condition::ServiceUnavailable);
}

#[test]
fn xep_0166_example_14_another_account_is_not_followed() {
    let (mut stage, initiate) = offering();
    let redirect = format!(
        "<iq from='{JULIET}' id='{}' to='{ROMEO}' type='error'><error type='modify'>
            <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>
              xmpp:voicemail@capulet.lit
            </redirect>
          </error></iq>",
        id(&initiate)
    );
    assert!(matches!(stage.deliver(&redirect), Disposition::Consumed));
    stage.sent_nothing();
    let closed = closed(stage.events());
    let Fault::Redirected { to, .. } = fault(&closed) else { panic!("{closed:?}") };
    assert_eq!(to.to_string(), "voicemail@capulet.lit");
}

#[test]
fn xep_0166_example_15_insufficient_resources_end_the_attempt() {
    assert_eq!(refused_with("wait", "resource-constraint"), Condition::ResourceConstraint);
}

#[test]
fn xep_0166_example_16_a_malformed_offer_is_refused_with_bad_request() {
    assert_eq!(refused_with("cancel", "bad-request"), Condition::BadRequest);
    let mut stage = Stage::juliet();
    let (answer, _) = stage.ask("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='a73sjjvkla37jfea'/>");
    assert_eq!(said(&answer).0, Condition::BadRequest);
    assert!(stage.events().is_empty());
}

#[test]
fn xep_0166_example_18_is_the_answer_to_an_accept() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let accept = stage.accept_with(&stage.peer_security());
    let stanza = stage.iq("jd82f517", &accept);
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.answer_to("jd82f517").0, result(ROMEO, JULIET, "jd82f517"));
}

/// How a session ends that the peer terminates with this reason, acknowledged as in Example 28.
fn terminated(id: &str, reason: &str) -> Closed {
    let (mut stage, _) = Stage::initiator_with_stream();
    let jingle = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{}'><reason>{reason}</reason></jingle>",
        stage.sid
    );
    let stanza = stage.iq(id, &jingle);
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.answer_to(id).0, result(ROMEO, JULIET, id));
    let closed = closed(stage.events());
    assert!(closed.truncated, "no close_notify came: {closed:?}");
    closed
}

#[test]
fn xep_0166_example_19_success_is_an_end_without_a_fault() {
    let closed = terminated("bv81gs75", "<success/>");
    assert!(matches!((&closed.by, &closed.reason), (EndedBy::Remote, CloseReason::Done)), "{closed:?}");
}

#[test]
fn xep_0166_example_20_to_27_each_reason_is_told_and_example_28_is_the_answer() {
    let told = |id: &str, reason: &str| remote_reason(&terminated(id, reason));
    assert_eq!(told("hr81fs63", "<busy/>"), ReasonCondition::Busy);
    assert_eq!(told("ky47g295", "<decline/>"), ReasonCondition::Decline);
    let alternative = "<alternative-session><sid>b84tkkwlmb48kgfb</sid></alternative-session>";
    assert_eq!(told("ay3r2b86", alternative), ReasonCondition::AlternativeSession);
    assert_eq!(told("h82bs51g", "<unsupported-transports/>"), ReasonCondition::UnsupportedTransports);
    assert_eq!(told("pe81ga88", "<failed-transport/>"), ReasonCondition::FailedTransport);
    assert_eq!(told("yd62vd67", "<unsupported-applications/>"), ReasonCondition::UnsupportedApplications);
    assert_eq!(told("kd82vs71", "<failed-application/>"), ReasonCondition::FailedApplication);
    assert_eq!(told("hb3m59s7", "<incompatible-parameters/>"), ReasonCondition::IncompatibleParameters);
}

#[test]
fn xep_0166_example_29_is_the_answer_to_a_session_that_is_over() {
    let (mut stage, _) = Stage::initiator_with_stream();
    let terminate = terminate(&stage.sid, "success").to_xml(ns::CLIENT);
    stage.ask(&terminate);
    let ping = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{}'/>", stage.sid);
    let stanza = stage.iq("ur71vs62", &ping);
    let answer = unclaimed(&mut stage, &stanza);
    assert_eq!(said(&answer), jingle_error(Condition::ItemNotFound, ErrorType::Cancel, "unknown-session"));
    assert_eq!((id(&answer), answer.attribute("to")), ("ur71vs62", Some(JULIET)));
}

#[test]
fn xep_0166_example_30_is_not_understood_and_example_31_is_the_answer() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    let ringing = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{}'>
            <ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>
          </jingle>",
        stage.sid
    );
    let (answer, others) = stage.ask(&ringing);
    let expected = jingle_error(Condition::FeatureNotImplemented, ErrorType::Modify, "unsupported-info");
    assert_eq!((said(&answer), others), (expected, vec![]));
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()), "the session goes on");
}

#[test]
fn xep_0166_example_32_is_answered_with_example_33() {
    let (mut stage, _) = Stage::initiator_with_stream();
    let ping = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{}'/>", stage.sid);
    let stanza = stage.iq("ug37vb25", &ping);
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(ROMEO, JULIET, "ug37vb25"));
}

#[test]
fn xep_0166_example_34_the_offer_that_loses_a_tie_break_ends_without_a_session() {
    let (mut stage, initiate) = offering();
    let tie_break = "<tie-break xmlns='urn:xmpp:jingle:errors:1'/>";
    assert!(matches!(stage.refuse(&initiate, "cancel", "conflict", tie_break), Disposition::Consumed));
    stage.sent_nothing();
    let closed = closed(stage.events());
    assert_eq!(closed.by, EndedBy::Remote);
    assert!(matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak)), "{closed:?}");
}

#[test]
fn xep_0166_example_35_another_precondition_is_for_others() {
    let mut stage = Stage::juliet();
    ended(
        &mut stage,
        "<iq from='romeo@montague.lit/orchard' id='tiw51bv9' to='juliet@capulet.lit/balcony' type='set'>
          <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard'
                  sid='a73sjjvkla37jfea'>
            <content creator='initiator' name='this-is-a-stub'>
              <description xmlns='urn:xmpp:jingle:apps:stub:0'/>
              <transport xmlns='urn:xmpp:jingle:transports:stub:0'/>
              <security xmlns='urn:xmpp:jingle:security:stub:0'/>
            </content>
          </jingle>
        </iq>",
        "tiw51bv9",
    );
}

#[test]
fn xep_0166_example_36_the_method_is_chosen() {
    let example = |sid: &str| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='{sid}'>
              <content creator='initiator' name='xmlstream'>
                <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>
              </content>
            </jingle>"
        )
    };
    let mut romeo = Stage::romeo();
    romeo.engine_offers(TrustPolicy::Pinned);
    let accept = romeo.accept_with(&romeo.peer_security());
    let info = romeo.ask_fine(&accept).remove(0);
    assert_eq!(payload(&info), crate::common::compact(&example(&romeo.sid)));

    let mut juliet = Stage::juliet();
    let incoming = juliet.offer();
    juliet.accept(incoming, TrustPolicy::Pinned);
    let info = example(&juliet.sid);
    assert_eq!(juliet.ask_fine(&info), []);
}

#[test]
fn xep_0166_example_39_jingle_and_what_it_carries_are_among_the_features() {
    let mut stage = Stage::juliet();
    let features = stage.with(|engine, _| engine.features());
    for feature in ["urn:xmpp:jingle:1", "urn:xmpp:jingle:apps:xmlstream:0", "urn:xmpp:jingle:transports:ibb:1"] {
        assert!(features.contains(&feature), "{feature}");
    }
}
