//! XEP-0166: examples and obligations, by section.

use xtls_jingle::{
    Acceptance, Action, JingleCondition, JingleFault, JingleVersion, MalformedKind, OfferRefusal, Reason,
    ReasonCondition, Session, SessionEvent, SessionState,
};
use xtls_stanza::{Condition, ErrorType};

use super::{
    BOTH, JULIET, ROMEO, SID, active, jid, jingle, next, offer, parse, pending, picture, read, security, write,
};

const CONTENT: &str = "<content creator='initiator' name='xmlstream'>\
    <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
    <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/>\
    <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content>";

/// What becomes of a session-accept with this inside, in a session that waits for one.
fn accept(inner: &str) -> Result<Option<SessionEvent>, JingleFault> {
    let (mut initiator, _) = pending(offer());
    let before = picture(&initiator);
    let answer = initiator.handle_request(&jingle(Action::SessionAccept, inner));
    assert!(answer.is_ok() || picture(&initiator) == before, "a fault changes nothing");
    answer
}

#[test]
fn xep_0166_6_2_the_example_with_a_voice_content_is_not_for_us() {
    let voice = parse(
        "<iq from='romeo@montague.lit/orchard' id='xs51r0k4' to='juliet@capulet.lit/balcony' type='set'>
          <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard'
                  sid='a73sjjvkla37jfea'>
            <content creator='initiator' name='voice'>
              <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>
                <payload-type id='96' name='speex' clockrate='16000'/>
              </description>
              <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='asd88fgpdd777uzjYhagZg' ufrag='8hhy'>
                <candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1'
                           port='8998' priority='2130706431' protocol='udp' type='host'/>
              </transport>
            </content>
          </jingle>
        </iq>",
    );
    let content = &voice.contents[0];
    assert_eq!(content.description.as_ref().unwrap().ns(), "urn:xmpp:jingle:apps:rtp:1");
    assert_eq!(content.transport.as_ref().unwrap().ns(), "urn:xmpp:jingle:transports:ice-udp:1");
    assert_eq!(Session::incoming(&voice).unwrap_err(), OfferRefusal::NotXtls);
}

#[test]
fn xep_0166_6_3_2_a_malformed_initiation_is_answered_bad_request() {
    let empty = jingle(Action::SessionInitiate, "");
    let Err(OfferRefusal::Fault(fault)) = Session::incoming(&empty) else { panic!("no content") };
    assert_eq!(fault.stanza_error(JingleVersion::Jingle1).condition, Condition::BadRequest);
}

#[test]
fn xep_0166_6_7_a_terminated_session_is_over_before_the_acknowledgement() {
    let (mut initiator, _) = active();
    initiator.terminate(ReasonCondition::Success.into());
    assert_eq!(initiator.state(), SessionState::Ended);
    let fault = initiator.handle_request(&jingle(Action::SessionInfo, "")).unwrap_err();
    let error = fault.stanza_error(JingleVersion::Jingle1);
    assert_eq!((error.error_type, error.condition), (ErrorType::Cancel, Condition::ItemNotFound));
    assert_eq!(JingleCondition::of(&error), Some(JingleCondition::UnknownSession));
}

#[test]
fn xep_0166_6_7_a_session_can_be_declined_or_cancelled_while_pending() {
    let (mut initiator, mut responder) = pending(offer());
    responder.terminate(ReasonCondition::Decline.into());
    let (_, request) = next(&mut responder);
    assert_eq!(
        write(&request),
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{SID}'><reason><decline/></reason></jingle>"
        )
    );
    assert_eq!(
        initiator.handle_request(&request),
        Ok(Some(SessionEvent::Terminated(Some(ReasonCondition::Decline.into()))))
    );
    let (mut initiator, _) = pending(offer());
    initiator.terminate(ReasonCondition::Cancel.into());
    assert_eq!(next(&mut initiator).1.reason, Some(ReasonCondition::Cancel.into()));
}

#[test]
fn xep_0166_6_7_the_example_of_an_alternative_session() {
    let reason = jingle(
        Action::SessionTerminate,
        "<reason><alternative-session><sid>b84tkkwlmb48kgfb</sid></alternative-session></reason>",
    )
    .reason;
    assert_eq!(reason, Some(Reason::alternative_session("b84tkkwlmb48kgfb")));
}

#[test]
fn xep_0166_6_8_an_empty_session_info_is_a_ping() {
    let (mut initiator, mut responder) = active();
    responder.ping().unwrap();
    let (sent, request) = next(&mut responder);
    assert_eq!(
        write(&request),
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{SID}'></jingle>")
    );
    assert_eq!(initiator.handle_request(&request), Ok(None));
    assert_eq!(responder.handle_result(sent.id.as_str()), Some(Action::SessionInfo));
}

#[test]
fn xep_0166_6_8_a_payload_that_is_not_understood_is_unsupported_info() {
    let ringing = "<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>";
    let unknown = [
        (Action::SessionInfo, ringing),
        (Action::SessionInfo, "<unknown/>"),
        (Action::SessionInfo, "<content creator='initiator' name='xmlstream'/>"),
        (Action::DescriptionInfo, ringing),
        (Action::DescriptionInfo, ""),
        (Action::TransportInfo, CONTENT),
    ];
    for (action, inner) in unknown {
        let (mut initiator, mut responder) = active();
        for session in [&mut initiator, &mut responder] {
            let error =
                session.handle_request(&jingle(action, inner)).unwrap_err().stanza_error(JingleVersion::Jingle1);
            assert_eq!((error.error_type, error.condition), (ErrorType::Modify, Condition::FeatureNotImplemented));
            assert_eq!(JingleCondition::of(&error), Some(JingleCondition::UnsupportedInfo));
        }
    }
}

#[test]
fn xep_0166_7_1_initiator_and_responder_are_written_where_they_belong() {
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let (_, initiate) = next(&mut initiator);
    assert_eq!((initiate.initiator.clone().unwrap().as_str(), &initiate.responder), (ROMEO, &None));
    let mut responder = Session::incoming(&initiate).unwrap();
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let (_, accept) = next(&mut responder);
    assert_eq!((&accept.initiator, accept.responder.clone().unwrap().as_str()), (&None, JULIET));
    initiator.handle_request(&accept).unwrap();
    initiator.choose(xtls_stanza::Method::X509).unwrap();
    initiator.ping().unwrap();
    for request in [next(&mut initiator).1, next(&mut initiator).1] {
        assert_eq!((&request.initiator, &request.responder), (&None, &None), "{}", request.action);
    }
    initiator.terminate(ReasonCondition::Success.into());
    let request = next(&mut initiator).1;
    assert_eq!((&request.initiator, &request.responder), (&None, &None));
}

#[test]
fn xep_0166_7_1_a_redirection_is_ignored() {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid("mallory@example.org/x"), 4096, security(BOTH))).unwrap();
    let accept = next(&mut responder).1;
    assert!(matches!(initiator.handle_request(&accept), Ok(Some(SessionEvent::Accepted { .. }))));
    assert!(!picture(&initiator).contains("mallory"), "nothing of it is kept");
}

#[test]
fn xep_0166_7_2_an_unknown_action_is_answered_bad_request() {
    for action in ["session-begin", "", "SESSION-INFO", " session-info"] {
        let malformed =
            read(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{SID}'/>")).unwrap_err();
        assert_eq!((malformed.kind, malformed.sid.as_deref()), (MalformedKind::Action, Some(SID)));
        assert_eq!(malformed.stanza_error().condition, Condition::BadRequest);
    }
}

#[test]
fn xep_0166_7_2_8_an_accept_has_description_and_transport_in_its_content() {
    assert!(matches!(accept(CONTENT), Ok(Some(SessionEvent::Accepted { security: Some(_), .. }))));
    let start = CONTENT.find("<description").unwrap();
    let middle = CONTENT.find("<transport").unwrap();
    let end = CONTENT.find("<security").unwrap();
    let no_description = format!("{}{}", &CONTENT[..start], &CONTENT[middle..]);
    let no_transport = format!("{}{}", &CONTENT[..middle], &CONTENT[end..]);
    let two = CONTENT.repeat(2);
    let other_name = CONTENT.replace("name='xmlstream'", "name='stub'");
    let no_name = CONTENT.replace("name='xmlstream'", "");
    let early = CONTENT.replace("creator=", "disposition='early-session' creator=");
    for inner in ["", &no_description, &no_transport, &two, &other_name, &no_name, &early] {
        let fault = accept(inner).unwrap_err();
        assert!(matches!(fault, JingleFault::Malformed(_)), "{inner}: {fault}");
        assert_eq!(fault.stanza_error(JingleVersion::Jingle1).condition, Condition::BadRequest);
    }
}

#[test]
fn xep_0166_7_2_8_an_accept_keeps_to_what_was_offered() {
    for (from, to) in [("xmlstream:0", "stub:0"), ("ibb:1", "s5b:1"), ("ibb:1", "ibb:2"), ("ch3d9s71", "vj3hs98y")] {
        let fault = accept(&CONTENT.replace(from, to)).unwrap_err();
        assert!(matches!(fault, JingleFault::NotAcceptable(_)), "{to}: {fault}");
        assert_eq!(fault.stanza_error(JingleVersion::Jingle1).condition, Condition::NotAcceptable);
    }
    let in_messages = CONTENT.replace("block-size", "stanza='message' block-size");
    assert!(matches!(accept(&in_messages), Err(JingleFault::NotAcceptable(_))));
    let in_iqs = CONTENT.replace("block-size", "stanza='iq' block-size");
    assert!(accept(&in_iqs).is_ok());
    assert!(accept(&CONTENT.replace("xmlstream:0", "xmlstream:1")).is_ok(), "another name for the same");
}

#[test]
fn xep_0166_7_2_10_the_disposition_of_an_initiation_is_session() {
    let with = |contents: &str| {
        read(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{SID}'>{contents}</jingle>"))
    };
    let early = CONTENT.replace("creator=", "disposition='early-session' creator=");
    let malformed = with(&early).unwrap_err();
    assert_eq!(malformed.kind, MalformedKind::Disposition);
    assert_eq!(malformed.stanza_error().condition, Condition::BadRequest);
    assert!(with(&CONTENT.replace("creator=", "disposition='session' creator=")).is_ok());
    assert!(with(&format!("{early}{CONTENT}")).is_ok(), "at least one of several");
}

#[test]
fn xep_0166_7_3_name_and_creator_stay_those_of_the_offer() {
    let mut named = offer();
    named.content_name = "a 'name' of <its> own".into();
    let (mut initiator, mut responder) = pending(named.clone());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let (_, accept) = next(&mut responder);
    assert_eq!(accept.contents[0].name.as_ref(), Some(&named.content_name));
    assert_eq!(accept.contents[0].creator, xtls_jingle::Creator::Initiator);
    assert!(initiator.handle_request(&accept).is_ok());
}

#[test]
fn xep_0166_9_the_stub_precondition_is_not_ours() {
    let stub = parse(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard'
                sid='a73sjjvkla37jfea'>
          <content creator='initiator' name='this-is-a-stub'>
            <description xmlns='urn:xmpp:jingle:apps:stub:0'/>
            <transport xmlns='urn:xmpp:jingle:transports:stub:0'/>
            <security xmlns='urn:xmpp:jingle:security:stub:0'/>
          </content>
        </jingle>",
    );
    assert_eq!(Session::incoming(&stub).unwrap_err(), OfferRefusal::NotXtls);
}

#[test]
fn xep_0166_9_the_example_of_security_info() {
    let (_, mut responder) = active();
    let example = parse(&format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='{SID}'>
          <content creator='initiator' name='xmlstream'>
            <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>
          </content>
        </jingle>"
    ));
    assert_eq!(responder.handle_request(&example), Ok(Some(SessionEvent::MethodChosen(xtls_stanza::Method::X509))));
}

#[test]
fn xep_0166_10_an_initiate_after_the_accept_is_out_of_order() {
    let (mut initiator, mut responder) = active();
    for session in [&mut initiator, &mut responder] {
        let error = session
            .handle_request(&jingle(Action::SessionInitiate, CONTENT))
            .unwrap_err()
            .stanza_error(JingleVersion::Jingle1);
        assert_eq!(error.condition, Condition::UnexpectedRequest);
        assert_eq!(JingleCondition::of(&error), Some(JingleCondition::OutOfOrder));
    }
}
