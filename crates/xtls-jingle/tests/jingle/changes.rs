//! XEP-0166 § 7.2: requests to change what was negotiated, in a session that keeps its one content and its one transport.

use xtls_jingle::{
    Action, JingleCondition, JingleFault, JingleVersion, Reason, ReasonCondition, Senders, Session, SessionEvent,
    SessionState, Verdict,
};
use xtls_stanza::{Condition, ErrorType, StanzaError};

use super::{active, jingle, next, next_xml, offer, pending, picture, write};

const S5B: &str = "<content creator='initiator' name='xmlstream'>\
    <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y'><candidate cid='1' host='h' jid='j' priority='1'/></transport></content>";

/// Both ends of a pending and of an active session.
fn sessions() -> [Session; 4] {
    let ((a, b), (c, d)) = (pending(offer()), active());
    [a, b, c, d]
}

fn modify(senders: &str) -> xtls_jingle::Jingle {
    jingle(Action::ContentModify, &format!("<content creator='initiator' name='xmlstream' senders='{senders}'/>"))
}

/// The fault, and that it changed nothing.
fn fault(session: &mut Session, request: &xtls_jingle::Jingle) -> JingleFault {
    let before = picture(session);
    let fault = session.handle_request(request).unwrap_err();
    assert_eq!(picture(session), before);
    fault
}

#[test]
fn xep_0166_7_2_2_content_add_is_answered_content_reject() {
    let add = jingle(
        Action::ContentAdd,
        "<content creator='responder' name='voice' senders='responder' disposition='early-session'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>\
         <content creator='initiator' name='a &amp; b'/>",
    );
    for mut session in sessions() {
        assert_eq!(session.handle_request(&add), Ok(None));
        let (sent, request) = next(&mut session);
        assert_eq!(
            write(&request),
            "<jingle xmlns='urn:xmpp:jingle:1' action='content-reject' sid='a73sjjvkl37jfea'>\
             <content creator='responder' name='voice'></content>\
             <content creator='initiator' name='a &amp; b'></content>\
             <reason><unsupported-applications/><text>one content in a session</text></reason></jingle>"
        );
        assert_eq!(session.handle_result(sent.id.as_str()), Some(Action::ContentReject));
        assert_eq!(next_xml(&mut session), None);
    }
}

#[test]
fn xep_0166_7_2_2_a_content_add_of_nothing_new_is_malformed() {
    for inner in [
        "",
        "<content creator='initiator'/>",
        "<content creator='initiator' name='xmlstream'/>",
        "<content creator='responder' name='voice'/><content creator='initiator' name='xmlstream'/>",
    ] {
        for mut session in sessions() {
            assert!(
                matches!(fault(&mut session, &jingle(Action::ContentAdd, inner)), JingleFault::Malformed(_)),
                "{inner}"
            );
        }
    }
    // Creator and name together identify a content (§ 7.3).
    for mut session in sessions() {
        let of_responder = jingle(Action::ContentAdd, "<content creator='responder' name='xmlstream'/>");
        assert_eq!(session.handle_request(&of_responder), Ok(None));
    }
}

#[test]
fn xep_0166_7_2_3_content_modify_is_answered_with_a_contrary_one() {
    for mut session in sessions() {
        for senders in ["initiator", "none", "responder"] {
            assert_eq!(session.handle_request(&modify(senders)), Ok(None));
            let (sent, request) = next(&mut session);
            assert_eq!(
                write(&request),
                "<jingle xmlns='urn:xmpp:jingle:1' action='content-modify' sid='a73sjjvkl37jfea'>\
                 <content creator='initiator' name='xmlstream' senders='both'></content></jingle>"
            );
            assert_eq!(session.handle_result(sent.id.as_str()), Some(Action::ContentModify));
        }
        assert_eq!(session.offer().senders, Senders::Both);
    }
}

#[test]
fn xep_0166_7_2_3_content_modify_to_what_is_so_already_changes_nothing() {
    for mut session in sessions() {
        let before = picture(&session);
        assert_eq!(session.handle_request(&modify("both")), Ok(None));
        assert_eq!(picture(&session), before);
    }
    let mut one_way = offer();
    one_way.senders = Senders::Initiator;
    let (mut initiator, mut responder) = pending(one_way);
    for session in [&mut initiator, &mut responder] {
        assert_eq!(session.handle_request(&modify("initiator")), Ok(None));
        assert_eq!(next_xml(session), None);
        assert_eq!(session.handle_request(&modify("both")), Ok(None));
        assert_eq!(next(session).1.contents[0].senders, Senders::Initiator);
    }
}

#[test]
fn xep_0166_7_2_16_of_two_crossing_actions_the_initiators_wins() {
    let (mut initiator, mut responder) = active();
    for session in [&mut initiator, &mut responder] {
        session.handle_request(&modify("none")).unwrap();
    }
    // Both objections are on their way now, and the other end wants something else again.
    let (_, of_initiator) = next(&mut initiator);
    let (sent, of_responder) = next(&mut responder);
    assert_eq!((of_initiator.action, of_responder.action), (Action::ContentModify, Action::ContentModify));
    let error = fault(&mut initiator, &modify("responder")).stanza_error(JingleVersion::Jingle1);
    assert_eq!((error.error_type, error.condition), (ErrorType::Cancel, Condition::Conflict));
    assert_eq!(JingleCondition::of(&error), Some(JingleCondition::TieBreak));

    let before = picture(&responder);
    assert_eq!(responder.handle_request(&modify("responder")), Ok(None), "accepted");
    assert_eq!(picture(&responder), before, "and not objected to again");
    let refused = responder.handle_error(sent.id.as_str(), &error).unwrap();
    assert_eq!((refused.action, refused.verdict), (Action::ContentModify, Verdict::Tolerated));
    assert_eq!(responder.state(), SessionState::Active);
}

#[test]
fn xep_0166_7_2_16_pings_that_cross_are_no_conflict() {
    let (mut initiator, mut responder) = active();
    initiator.ping().unwrap();
    responder.ping().unwrap();
    let (one, other) = (next(&mut initiator).1, next(&mut responder).1);
    assert_eq!((initiator.handle_request(&other), responder.handle_request(&one)), (Ok(None), Ok(None)));
}

#[test]
fn xep_0166_7_2_5_content_remove_leaves_a_void_session_which_is_terminated() {
    let reason = Reason::new(ReasonCondition::Decline);
    let remove = |reason: &str| {
        jingle(Action::ContentRemove, &format!("<content creator='initiator' name='xmlstream'/>{reason}"))
    };
    for mut session in sessions() {
        let event = session.handle_request(&remove("<reason><decline/></reason>"));
        assert_eq!(event, Ok(Some(SessionEvent::Terminated(Some(reason.clone())))));
        assert_eq!((session.state(), session.is_finished()), (SessionState::Ended, false));
        let (sent, request) = next(&mut session);
        assert_eq!((request.action, request.reason), (Action::SessionTerminate, Some(ReasonCondition::Success.into())));
        assert_eq!(next_xml(&mut session), None, "no content-accept, nothing else");
        assert_eq!(session.handle_result(sent.id.as_str()), Some(Action::SessionTerminate));
        assert!(session.is_finished());
    }
    let (mut initiator, _) = active();
    assert_eq!(initiator.handle_request(&remove("")), Ok(Some(SessionEvent::Terminated(None))));
}

#[test]
fn xep_0166_7_2_13_and_15_transport_replace_is_answered_transport_reject() {
    for mut session in sessions() {
        assert_eq!(session.handle_request(&jingle(Action::TransportReplace, S5B)), Ok(None));
        let (sent, request) = next(&mut session);
        assert_eq!(
            write(&request),
            "<jingle xmlns='urn:xmpp:jingle:1' action='transport-reject' sid='a73sjjvkl37jfea'>\
             <content creator='initiator' name='xmlstream'>\
             <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y'></transport></content></jingle>"
        );
        assert_eq!(session.handle_result(sent.id.as_str()), Some(Action::TransportReject));
        assert_eq!((next_xml(&mut session), session.in_band().unwrap().block_size), (None, 4096));
    }
}

#[test]
fn xep_0166_7_2_15_even_another_bytestream_does_not_replace_the_first() {
    let ibb = "<content creator='initiator' name='xmlstream'>\
        <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='1' sid='vj3hs98y'/></content>";
    let (mut initiator, _) = active();
    assert_eq!(initiator.handle_request(&jingle(Action::TransportReplace, ibb)), Ok(None));
    let (_, request) = next(&mut initiator);
    assert_eq!(request.action, Action::TransportReject);
    assert_eq!(request.contents[0].transport, Some(xtls_jingle::Transport::Ibb(super::ibb(Some("vj3hs98y"), Some(1)))));
    assert_eq!((&*initiator.in_band().unwrap().sid, initiator.in_band().unwrap().block_size), (super::IBB_SID, 4096));
}

#[test]
fn xep_0166_7_3_a_change_names_the_content_of_the_session() {
    let bodies = [
        "",
        "<content creator='responder' name='xmlstream' senders='none'/>",
        "<content creator='initiator' name='another' senders='none'/>",
        "<content creator='initiator' name='xmlstream'/><content creator='initiator' name='another'/>",
    ];
    for action in [Action::ContentModify, Action::ContentRemove, Action::TransportReplace] {
        for inner in bodies {
            for mut session in sessions() {
                let fault = fault(&mut session, &jingle(action, inner));
                assert!(matches!(fault, JingleFault::Malformed(_)), "{action} {inner}: {fault}");
            }
        }
    }
    let (mut initiator, _) = active();
    let no_transport = jingle(Action::TransportReplace, "<content creator='initiator' name='xmlstream'/>");
    assert!(matches!(fault(&mut initiator, &no_transport), JingleFault::Malformed(_)));
}

#[test]
fn xep_0166_7_2_answers_to_what_was_never_asked_are_out_of_order() {
    for action in [Action::ContentAccept, Action::ContentReject, Action::TransportAccept, Action::TransportReject] {
        for mut session in sessions() {
            let error = fault(&mut session, &jingle(action, S5B)).stanza_error(JingleVersion::Jingle1);
            assert_eq!((error.error_type, error.condition), (ErrorType::Wait, Condition::UnexpectedRequest));
            assert_eq!(JingleCondition::of(&error), Some(JingleCondition::OutOfOrder));
        }
    }
}

#[test]
fn one_answer_of_a_kind_is_open_and_a_second_request_is_refused() {
    let add = jingle(Action::ContentAdd, "<content creator='responder' name='voice'/>");
    let replace = jingle(Action::TransportReplace, S5B);
    for (request, action) in [(&add, Action::ContentReject), (&replace, Action::TransportReject)] {
        for mut session in sessions() {
            assert_eq!(session.handle_request(request), Ok(None));
            let error = fault(&mut session, request).stanza_error(JingleVersion::Jingle1);
            assert_eq!((error.error_type, error.condition), (ErrorType::Wait, Condition::ResourceConstraint), "queued");
            let (sent, _) = next(&mut session);
            for _ in 0..100 {
                assert!(matches!(fault(&mut session, request), JingleFault::Busy(_)), "sent");
            }
            assert!(session.waits_for_answer());
            assert_eq!(session.handle_result(sent.id.as_str()), Some(action));
            assert_eq!(session.handle_request(request), Ok(None), "settled");
        }
    }
}

#[test]
fn every_error_to_every_answer_of_ours_has_its_verdict() {
    let modified = modify("none");
    let requests =
        [jingle(Action::ContentAdd, "<content name='voice'/>"), modified, jingle(Action::TransportReplace, S5B)];
    for request in requests {
        for condition in Condition::ALL {
            let (mut session, _) = active();
            session.handle_request(&request).unwrap();
            let (sent, _) = next(&mut session);
            let refused = session.handle_error(sent.id.as_str(), &StanzaError::new(*condition)).unwrap();
            let expected = match condition {
                Condition::ItemNotFound => Verdict::Ended,
                Condition::FeatureNotImplemented
                | Condition::BadRequest
                | Condition::Conflict
                | Condition::NotAcceptable
                | Condition::NotAllowed
                | Condition::UnexpectedRequest => Verdict::Tolerated,
                _ => Verdict::Fatal,
            };
            assert_eq!((refused.action, refused.verdict), (sent.action, expected), "{}", condition.as_str());
        }
    }
}

#[test]
fn the_end_overtakes_an_answer() {
    let (mut initiator, _) = active();
    initiator.handle_request(&jingle(Action::TransportReplace, S5B)).unwrap();
    initiator.terminate(ReasonCondition::Success.into());
    assert_eq!(next(&mut initiator).1.action, Action::SessionTerminate);
    assert_eq!(next_xml(&mut initiator), None);
}
