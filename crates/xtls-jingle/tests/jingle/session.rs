//! Sessions from end to end: what is written, how answers are taken, how a session ends.

use xtls_jingle::{
    AcceptError, Acceptance, Action, Description, InitiateError, Jingle, JingleCondition, JingleFault, JingleVersion,
    OfferRefusal, Reason, ReasonCondition, Refused, Role, Sent, Session, SessionEvent, SessionState, Verdict,
};
use xtls_stanza::{Condition, Element, ErrorType, Ids, Method, SecurityOffer, StanzaError, XtlsVersion};

use super::{
    BOTH, IBB_SID, JULIET, ROMEO, SID, active, jid, jingle, next, next_xml, offer, parse, pending, security, write,
};

const OURS: &str = "<security xmlns='urn:xmpp:jingle:security:xtls:0'>\
    <fingerprint algo='sha1'>d98e2fd26e0fb56d5c05a98c3cdbc4ff9d86a7cd</fingerprint>";

#[test]
fn a_session_initiate_is_written_as_the_draft_has_it() {
    let mut session = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let mut out = String::from("before");
    let mut ids = Ids::new([1; 32]);
    let sent = session.poll(&mut ids, JULIET, None, &mut out).unwrap();
    let security = &mut String::new();
    super::security(BOTH).write(security);
    assert_eq!(
        out,
        format!(
            "before<iq type='set' id='{}' to='juliet@capulet.lit/balcony'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard' \
             sid='a73sjjvkl37jfea'><content creator='initiator' name='xmlstream'>\
             <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/>\
             {security}</content></jingle></iq>",
            sent.id
        )
    );
    let sha1_at = security.find("algo='sha1'").unwrap();
    assert!(sha1_at < security.find("algo='sha-256'").unwrap(), "fingerprints in the order of the offer");
    assert_eq!(session.poll(&mut ids, JULIET, None, &mut out), None);
}

#[test]
fn who_is_not_stamped_by_a_server_passes_from() {
    let mut session = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let mut out = String::new();
    let _ = session.poll(&mut Ids::new([1; 32]), JULIET, Some(ROMEO), &mut out);
    assert_eq!(Element::parse(&out, &Default::default()).unwrap().attribute("from"), Some(ROMEO));
}

#[test]
fn both_ends_agree_on_what_was_negotiated() {
    let (mut initiator, mut responder) = pending(offer());
    assert_eq!((initiator.role(), responder.role()), (Role::Initiator, Role::Responder));
    assert_eq!((initiator.state(), responder.state()), (SessionState::Pending, SessionState::Pending));
    assert!(!initiator.is_finished() && !responder.is_finished());
    assert_eq!(responder.local_security(), None);
    assert_eq!(initiator.peer_security(), None);

    let x509 = security(&[Method::X509]);
    responder.accept(Acceptance::new(jid(JULIET), 2048, x509.clone())).unwrap();
    let (sent, accept) = next(&mut responder);
    assert_eq!(sent.action, Action::SessionAccept);
    assert_eq!(
        initiator.handle_request(&accept),
        Ok(Some(SessionEvent::Accepted { security: Some(x509.clone()), socks5: None }))
    );
    for session in [&initiator, &responder] {
        assert_eq!(session.state(), SessionState::Active);
        assert!(!session.is_finished());
        assert_eq!(
            (session.sid(), &*session.in_band().unwrap().sid, session.in_band().unwrap().block_size),
            (SID, IBB_SID, 2048)
        );
        assert_eq!(session.offer(), &offer());
    }
    assert_eq!((initiator.local_security(), initiator.peer_security()), (Some(&security(BOTH)), Some(&x509)));
    assert_eq!((responder.local_security(), responder.peer_security()), (Some(&x509), Some(&security(BOTH))));
    assert_eq!(responder.handle_result(sent.id.as_str()), Some(Action::SessionAccept));
}

#[test]
fn a_raw_bytes_session_keeps_its_description() {
    let description = Element::builder("description", "urn:example:app").attribute("media", "bytes").build().unwrap();
    let mut offer = offer();
    offer.description = Description::new(&description).unwrap();
    offer.content_name = "data".into();
    let (mut initiator, mut responder) = pending(offer);
    assert_eq!(responder.offer().description.element(), Some(&description));
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let (_, accept) = next(&mut responder);
    assert_eq!(accept.contents[0].description.as_ref().unwrap().element(), Some(&description));
    assert!(matches!(initiator.handle_request(&accept), Ok(Some(SessionEvent::Accepted { .. }))));
}

#[test]
fn content_names_follow_the_application() {
    let raw = Description::new(&Element::builder("description", "urn:example:app").build().unwrap()).unwrap();
    let name = |description| super::Offer::new(description, IBB_SID, 1, security(BOTH)).content_name;
    assert_eq!((name(Description::xmlstream()).as_str(), name(raw).as_str()), ("xmlstream", "data"));
}

#[test]
fn the_accept_echoes_the_names_that_the_offer_used() {
    let (mut initiator, _) = pending(offer());
    initiator.terminate(ReasonCondition::Cancel.into());
    let mut first = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let initiate = write(&next(&mut first).1).replace("xmlstream:0", "xmlstream:1").replace("xtls:0", "xtls:1");
    let mut responder = Session::incoming(&parse(&initiate)).unwrap();
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let content = &next(&mut responder).1.contents[0];
    assert_eq!(content.description.as_ref().unwrap().ns(), "urn:xmpp:jingle:apps:xmlstream:1");
    assert_eq!(content.xtls().unwrap().version, XtlsVersion::Xtls1);
    assert_eq!(responder.local_security().unwrap().version, XtlsVersion::Xtls1);
}

#[test]
fn the_accept_repeats_who_sends() {
    let mut offer = offer();
    offer.senders = xtls_jingle::Senders::Initiator;
    let (_, mut responder) = pending(offer);
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    assert_eq!(next(&mut responder).1.contents[0].senders, xtls_jingle::Senders::Initiator);
}

#[test]
fn an_empty_security_element_is_never_written() {
    let mut nothing = offer();
    nothing.security = security(&[]);
    assert_eq!(Session::initiate(SID, &jid(ROMEO), nothing).unwrap_err(), InitiateError::NoMethod);
    let (_, mut responder) = pending(offer());
    let nothing = Acceptance::new(jid(JULIET), 4096, security(&[]));
    assert_eq!(responder.accept(nothing), Err(AcceptError::NoMethod));
    assert_eq!((responder.state(), responder.wants_to_send()), (SessionState::Pending, false));
}

#[test]
fn an_empty_security_element_is_read_for_the_driver_to_judge() {
    let xml = write(&next(&mut Session::initiate(SID, &jid(ROMEO), offer()).unwrap()).1);
    let start = xml.find("<fingerprint").unwrap();
    let end = xml.find("</security>").unwrap();
    let emptied = format!("{}{}", &xml[..start], &xml[end..]);
    let responder = Session::incoming(&parse(&emptied)).unwrap();
    assert!(responder.offer().security.is_empty());
}

#[test]
fn a_block_size_of_less_than_64_cannot_be_answered() {
    let (_, mut responder) = pending(offer());
    for size in [0, 63] {
        let answer = Acceptance::new(jid(JULIET), size, security(BOTH));
        assert_eq!(responder.accept(answer), Err(AcceptError::BlockSize), "{size}");
    }
    assert_eq!(responder.accept(Acceptance::new(jid(JULIET), 64, security(BOTH))), Ok(()));
}

#[test]
fn m02_an_accept_without_security_tells_so() {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let (_, mut accept) = next(&mut responder);
    accept.contents[0].security = xtls_jingle::Security::Absent;
    assert_eq!(initiator.handle_request(&accept), Ok(Some(SessionEvent::Accepted { security: None, socks5: None })));
    assert_eq!(initiator.choose(Method::X509), Err(xtls_jingle::ChooseError::NotAccepted));
    initiator.terminate(ReasonCondition::SecurityError.into());
    assert_eq!(next(&mut initiator).1.reason, Some(ReasonCondition::SecurityError.into()));
}

#[test]
fn m02_the_precondition_of_another_specification_is_not_ours() {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let accept = write(&next(&mut responder).1).replace("security:xtls:0", "security:stub:0");
    assert_eq!(
        initiator.handle_request(&parse(&accept)),
        Ok(Some(SessionEvent::Accepted { security: None, socks5: None }))
    );
}

#[test]
fn m03_a_stripped_method_cannot_be_chosen() {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let accept = write(&next(&mut responder).1).replace("<method name='x509'/>", "");
    initiator.handle_request(&parse(&accept)).unwrap();
    assert_eq!(initiator.choose(Method::X509), Err(xtls_jingle::ChooseError::NotOffered));
}

#[test]
fn m01_an_offer_without_our_security_is_for_others() {
    let xml = write(&next(&mut Session::initiate(SID, &jid(ROMEO), offer()).unwrap()).1);
    let (start, end) = (xml.find("<security").unwrap(), xml.find("</content>").unwrap());
    let stripped = format!("{}{}", &xml[..start], &xml[end..]);
    assert_eq!(Session::incoming(&parse(&stripped)).unwrap_err(), OfferRefusal::NotXtls);
    assert_eq!(
        Session::incoming(&parse(&xml.replace("security:xtls:0", "security:stub:0"))).unwrap_err(),
        OfferRefusal::NotXtls
    );
}

#[test]
fn an_offer_that_cannot_be_taken_up_says_why() {
    let xml = write(&next(&mut Session::initiate(SID, &jid(ROMEO), offer()).unwrap()).1);
    let content = &xml[xml.find("<content").unwrap()..xml.find("</jingle>").unwrap()];
    let refusal = |from: &str, to: &str| {
        assert!(xml.contains(from), "{from}");
        Session::incoming(&parse(&xml.replace(from, to))).unwrap_err()
    };
    for (from, to) in [
        ("<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>", ""),
        ("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/>", ""),
        ("creator='initiator'", "creator='responder'"),
        (" name='xmlstream'", ""),
        (" block-size='4096'", ""),
        (" sid='ch3d9s71'", ""),
        (content, ""),
    ] {
        assert!(matches!(refusal(from, to), OfferRefusal::Fault(JingleFault::Malformed(_))), "{from} -> {to}");
    }
    let unsupported = |refusal| match refusal {
        OfferRefusal::Unsupported(reason) => reason.condition,
        other => panic!("{other}"),
    };
    assert_eq!(unsupported(refusal("ibb:1", "raw-udp:1")), ReasonCondition::UnsupportedTransports);
    assert_eq!(
        unsupported(refusal("block-size", "stanza='message' block-size")),
        ReasonCondition::UnsupportedTransports
    );
    assert_eq!(unsupported(refusal("</content>", "</content><content/>")), ReasonCondition::UnsupportedApplications);
    assert_eq!(refusal("session-initiate", "session-info"), OfferRefusal::Fault(JingleFault::UnknownSession));
}

#[test]
fn a_refused_offer_is_terminated_without_a_session() {
    let mut out = String::new();
    let reason = Reason::new(ReasonCondition::UnsupportedTransports);
    let sent = Jingle::terminate(SID, reason.clone()).write_iq(&mut Ids::new([1; 32]), ROMEO, None, &mut out);
    assert_eq!(sent.action, Action::SessionTerminate);
    let read = parse(&out);
    assert_eq!((read.action, read.sid.as_str(), read.reason), (Action::SessionTerminate, SID, Some(reason)));
}

#[test]
fn a_session_that_was_never_offered_ends_in_silence() {
    let mut session = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    session.terminate(ReasonCondition::Cancel.into());
    assert_eq!((session.state(), next_xml(&mut session)), (SessionState::Ended, None));
    assert!(session.is_finished());
}

#[test]
fn the_end_overtakes_what_was_queued() {
    let (mut initiator, _) = active();
    initiator.choose(Method::X509).unwrap();
    initiator.ping().unwrap();
    initiator.terminate(ReasonCondition::SecurityError.into());
    let (sent, request) = next(&mut initiator);
    assert_eq!(request, Jingle::terminate(SID, ReasonCondition::SecurityError.into()));
    assert!(!initiator.wants_to_send());
    assert!(!initiator.is_finished(), "not acknowledged");
    assert_eq!(initiator.handle_result(sent.id.as_str()), Some(Action::SessionTerminate));
    assert!(initiator.is_finished());
}

#[test]
fn the_peers_end_leaves_nothing_to_send() {
    let (mut initiator, mut responder) = active();
    initiator.choose(Method::X509).unwrap();
    responder.terminate(ReasonCondition::Gone.into());
    let event = initiator.handle_request(&next(&mut responder).1);
    assert_eq!(event, Ok(Some(SessionEvent::Terminated(Some(ReasonCondition::Gone.into())))));
    initiator.terminate(ReasonCondition::Success.into());
    assert_eq!(next_xml(&mut initiator), None);
    assert!(initiator.is_finished());
}

/// A session with one open request of this action.
fn open(action: Action) -> (Session, Sent) {
    let mut session = match action {
        Action::SessionInitiate => Session::initiate(SID, &jid(ROMEO), offer()).unwrap(),
        Action::SessionAccept => pending(offer()).1,
        _ => active().0,
    };
    match action {
        Action::SessionInitiate => {}
        Action::SessionAccept => session.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap(),
        Action::SecurityInfo => session.choose(Method::X509).unwrap(),
        Action::SessionInfo => session.ping().unwrap(),
        _ => session.terminate(ReasonCondition::Success.into()),
    }
    let (sent, _) = next(&mut session);
    assert_eq!(sent.action, action);
    (session, sent)
}

#[test]
fn every_error_to_every_request_has_its_verdict() {
    use Verdict::{Ended, Fatal, Tolerated};
    let rows = [
        (Action::SessionInitiate, [Ended, Ended, Ended, Ended, Ended]),
        (Action::SessionAccept, [Fatal, Fatal, Ended, Fatal, Fatal]),
        (Action::SecurityInfo, [Tolerated, Tolerated, Ended, Fatal, Fatal]),
        (Action::SessionInfo, [Tolerated, Tolerated, Ended, Fatal, Fatal]),
        (Action::SessionTerminate, [Ended, Ended, Ended, Ended, Ended]),
    ];
    let errors = [
        StanzaError::new(Condition::FeatureNotImplemented),
        StanzaError::new(Condition::BadRequest),
        StanzaError::new(Condition::ItemNotFound),
        StanzaError::new(Condition::ServiceUnavailable),
        StanzaError::new(Condition::RecipientUnavailable).with_type(ErrorType::Wait),
    ];
    for (action, verdicts) in rows {
        for (error, verdict) in errors.iter().zip(verdicts) {
            let (mut session, sent) = open(action);
            let state = session.state();
            assert_eq!(session.handle_error("another", error), None);
            let refused = session.handle_error(sent.id.as_str(), error);
            assert!(
                matches!(refused, Some(Refused { action: a, verdict: v, .. }) if a == action && v == verdict),
                "{action} {error}: {refused:?}"
            );
            let expected = if verdict == Ended { SessionState::Ended } else { state };
            assert_eq!(session.state(), expected, "{action} {error}");
            assert_eq!(session.handle_error(sent.id.as_str(), error), None, "answered once");
            assert!(!session.wants_to_send());
        }
    }
}

#[test]
fn unsupported_info_is_the_answer_of_a_living_peer() {
    let (mut session, sent) = open(Action::SessionInfo);
    let refused = session
        .handle_error(sent.id.as_str(), &JingleCondition::UnsupportedInfo.stanza_error(JingleVersion::Jingle1))
        .unwrap();
    assert_eq!((refused.verdict, session.state()), (Verdict::Tolerated, SessionState::Active));
    assert_eq!(session.ping(), Ok(()));
}

#[test]
fn unknown_session_ends_it_under_any_condition() {
    let (mut session, sent) = open(Action::SecurityInfo);
    let error =
        StanzaError::new(Condition::UndefinedCondition).with_specific("unknown-session", "urn:xmpp:jingle:errors:1");
    assert_eq!(session.handle_error(sent.id.as_str(), &error).unwrap().verdict, Verdict::Ended);
    assert!(session.is_finished());
}

#[test]
fn m29_tie_break_is_told_by_the_error_to_the_initiate() {
    let (mut session, sent) = open(Action::SessionInitiate);
    let error = JingleCondition::TieBreak.stanza_error(JingleVersion::Jingle1);
    let refused = session.handle_error(sent.id.as_str(), &error).unwrap();
    assert_eq!((refused.action, refused.verdict), (Action::SessionInitiate, Verdict::Ended));
    assert_eq!(JingleCondition::of(&error), Some(JingleCondition::TieBreak));
    assert!(session.is_finished());
}

#[test]
fn an_accept_may_overtake_the_acknowledgement_of_the_offer() {
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let (sent, initiate) = next(&mut initiator);
    let mut responder = Session::incoming(&initiate).unwrap();
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    initiator.handle_request(&next(&mut responder).1).unwrap();
    assert_eq!(initiator.handle_result(sent.id.as_str()), Some(Action::SessionInitiate));
    assert_eq!(initiator.state(), SessionState::Active);
}

#[test]
fn a_fingerprint_of_the_peer_is_kept_as_it_said() {
    let accept = |inner: &str| {
        jingle(
            Action::SessionAccept,
            &format!(
                "<content creator='initiator' name='xmlstream'>\
                 <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
                 <transport xmlns='urn:xmpp:jingle:transports:ibb:1'/>{inner}</content>"
            ),
        )
    };
    let (mut initiator, _) = pending(offer());
    initiator.handle_request(&accept(&format!("{OURS}<method name='x509'/></security>"))).unwrap();
    let said: &SecurityOffer = initiator.peer_security().unwrap();
    assert_eq!(
        said.fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["sha1:d98e2fd26e0fb56d5c05a98c3cdbc4ff9d86a7cd"]
    );
    assert_eq!(said.methods, [Method::X509]);
}
