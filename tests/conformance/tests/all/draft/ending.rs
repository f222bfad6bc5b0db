//! §§ 4 and 6: the end of the stream and of the session.

use xtls::{CloseReason, Disposition, EndedBy, Fault, TrustPolicy, jingle::ReasonCondition};

use crate::common::{
    JULIET, ROMEO, SID, Stage, closed, element, fault, id, kinds, payload, remote_reason, result, said, terminate,
    unknown_session,
};

/// § 4's session-terminate, from Juliet and without a reason.
fn terminate_4(sid: &str) -> String {
    format!(
        "<iq from='juliet@capulet.lit/balcony'
  id='psy617r4'
  to='romeo@montague.lit/orchard'
  type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-terminate'
    initiator='romeo@montague.lit/orchard'
    sid='{sid}' />
</iq>"
    )
}

/// § 6's session-terminate, from Romeo.
const TERMINATE_6: &str = "<iq from='romeo@montague.lit/orchard'
  id='hz81vf48'
  to='juliet@capulet.lit/balcony'
  type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-terminate'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <reason><security-error/></reason>
  </jingle>
</iq>";

/// The responder closes the stream and then the session, as the examples go.
#[test]
fn draft_4_the_responder_closes_the_stream_and_terminates() {
    let (mut stage, _) = Stage::initiator_with_stream();
    stage.write("</stream:stream>");
    assert_eq!(stage.play(), []);
    assert_eq!(stage.told(), "</stream:stream>");
    assert_eq!(kinds(&stage.events()), ["StreamClosed"]);

    let sid = stage.sid.clone();
    assert!(matches!(stage.deliver(&terminate_4(&sid)), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(ROMEO, JULIET, "psy617r4"));
    let closed = closed(stage.events());
    assert_eq!((closed.by, closed.truncated, closed.unacked), (EndedBy::Remote, false, 0));
    assert!(matches!(closed.reason, CloseReason::Done), "{closed:?}");
}

/// As printed, the session-terminate names another session.
#[test]
fn draft_4_the_session_terminate_of_another_sid_is_unclaimed() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    let Disposition::Unclaimed(refusal) = stage.deliver(&terminate_4("851ba2")) else { panic!("unclaimed") };
    stage.sent_nothing();
    stage.with(|engine, now| engine.refuse(now, refusal));
    let answer = stage.sent_one();
    assert_eq!((said(&answer), id(&answer)), (unknown_session(), "psy617r4"));
    assert!(stage.events().is_empty());
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()), "the session goes on");
}

/// "The negotiated Jingle transport continues and could be re-used."
#[test]
fn draft_4_after_the_end_of_a_stream_another_can_be_opened() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close_stream(now)).unwrap();
    assert_eq!(stage.play(), []);
    assert_eq!(stage.told(), "</stream:stream>");
    stage.write("</stream:stream>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["StreamClosed"]);
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().open_stream(now)).unwrap();
    assert_eq!(stage.play(), []);
    assert_eq!(stage.told(), crate::common::HEADER_ROMEO);
    stage.write(crate::common::HEADER_JULIET);
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
}

#[test]
fn draft_6_whoever_cannot_verify_the_peer_terminates_with_security_error() {
    let mut stage = Stage::romeo();
    let (_, _) = stage.engine_offers(TrustPolicy::Pinned);
    // Another certificate than the pinned one, and no fingerprint announced.
    let other = Stage::new("nobody@x.lit/1", JULIET, xtls_testkit::EntityOptions::seeded(9));
    stage.identity = other.world.identity(other.engine).clone();
    stage.start_server(&stage.tls_config());
    let accept =
        stage.accept_with("<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>");
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    let requests = stage.play();
    let end = requests.last().expect("a session-terminate");
    // The example, but for the `initiator` that XEP-0166 § 7.1 wants on session-initiate alone.
    let example = TERMINATE_6.replace("initiator='romeo@montague.lit/orchard'", "").replace(SID, &stage.sid);
    let example = example.replace("hz81vf48", id(end));
    assert_eq!(*end, crate::common::compact(&example));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::CertificateChanged { .. }), "{closed:?}");
    assert!(closed.reason.is_security());
    assert!(stage.plaintext.is_empty(), "nothing is said to a stranger");
}

#[test]
fn draft_6_an_invalid_message_on_the_tls_layer_ends_the_session_with_security_error() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    let garbage = stage.data(b"these are no TLS records");
    let requests = stage.ask_in_the_clear(&garbage);
    let ends: Vec<_> = requests.iter().filter(|request| payload(request).name() == "jingle").collect();
    let [end] = ends.as_slice() else { panic!("one session-terminate: {}", requests.len()) };
    assert_eq!(payload(end), terminate(SID, "security-error"));
    assert_eq!(end.attribute("to"), Some(ROMEO));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::Tls(_)), "{closed:?}");
}

#[test]
fn draft_6_the_session_terminate_of_the_example_is_acknowledged_and_the_session_finished() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    assert!(matches!(stage.deliver(TERMINATE_6), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "hz81vf48"));
    let closed = closed(stage.events());
    assert_eq!(remote_reason(&closed), ReasonCondition::SecurityError);
    assert!(closed.reason.is_security() && closed.truncated);
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_none()));

    // XEP-0166 § 6.7: it is unknown from now on.
    let again = TERMINATE_6.replace("hz81vf48", "again");
    let Disposition::Unclaimed(refusal) = stage.deliver(&again) else { panic!("unclaimed") };
    stage.with(|engine, now| engine.refuse(now, refusal));
    assert_eq!(said(&stage.sent_one()), unknown_session());
}

/// The answer to our session-terminate finishes it; nothing more is sent.
#[test]
fn draft_6_the_result_of_the_session_terminate_is_the_last_stanza() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    let reason = xtls::jingle::Reason::from(ReasonCondition::SecurityError);
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().abort(now, reason));
    let end = stage.sent_one();
    assert_eq!(payload(&end), terminate(&stage.sid, "security-error"));
    let expected = element(&format!("<iq from='{ROMEO}' to='{JULIET}' id='{}' type='set'/>", id(&end)));
    assert_eq!(end.attribute("to"), expected.attribute("to"));
    stage.ack(&end);
    stage.sent_nothing();
    assert_eq!(stage.with(|engine, _| engine.tunnels().count()), 0);
}
