//! Every action in every state of either role.

use xtls_jingle::{
    Action, Dialect, Jingle, JingleFault, JingleVersion, Reason, ReasonCondition, Session, SessionEvent, SessionState,
};
use xtls_stanza::Method;

use super::{active, jingle, next_xml, offer, pending, picture};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Acknowledged, without an event.
    Acknowledged,
    /// The event Accepted.
    Accepted,
    /// The event MethodChosen.
    Chosen,
    /// The event Terminated, and nothing is sent.
    Terminated,
    /// The event Terminated, and a session-terminate in return.
    Voided,
    /// Acknowledged, and this is sent in return.
    Answered(Action),
    /// unexpected-request, out-of-order.
    OutOfOrder,
    /// feature-not-implemented, unsupported-info.
    UnsupportedInfo,
    /// item-not-found, unknown-session.
    Unknown,
    /// bad-request or not-acceptable.
    Refused,
}

use Outcome::{Accepted, Acknowledged, Answered, Chosen, OutOfOrder, Terminated, Unknown, UnsupportedInfo, Voided};

/// Columns: initiator pending, initiator active, responder pending, responder active.
const TABLE: &[(Action, [Outcome; 4])] = &[
    (Action::ContentAccept, [OutOfOrder; 4]),
    (Action::ContentAdd, [Answered(Action::ContentReject); 4]),
    (Action::ContentModify, [Answered(Action::ContentModify); 4]),
    (Action::ContentReject, [OutOfOrder; 4]),
    (Action::ContentRemove, [Voided; 4]),
    (Action::DescriptionInfo, [UnsupportedInfo; 4]),
    (Action::SecurityInfo, [OutOfOrder, OutOfOrder, Acknowledged, Chosen]),
    (Action::SessionAccept, [Accepted, OutOfOrder, OutOfOrder, OutOfOrder]),
    (Action::SessionInfo, [Acknowledged; 4]),
    (Action::SessionInitiate, [OutOfOrder; 4]),
    (Action::SessionTerminate, [Terminated; 4]),
    (Action::TransportAccept, [OutOfOrder; 4]),
    (Action::TransportInfo, [UnsupportedInfo; 4]),
    (Action::TransportReject, [OutOfOrder; 4]),
    (Action::TransportReplace, [Answered(Action::TransportReject); 4]),
];

/// The request in its best form.
fn request(action: Action) -> Jingle {
    let content = |inner: &str| format!("<content creator='initiator' name='xmlstream'>{inner}</content>");
    let method = "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>";
    let description = "<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>";
    let transport = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='ch3d9s71' block-size='4096'/>";
    let full = || content(&format!("{description}{transport}{method}"));
    let further = transport.replace("ch3d9s71", "bt8a71h6");
    let other_transport = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y'/>";
    match action {
        Action::SessionInitiate | Action::SessionAccept => jingle(action, &full()),
        Action::SecurityInfo => jingle(action, &content(method)),
        Action::SessionInfo => jingle(action, ""),
        Action::SessionTerminate => jingle(action, "<reason><success/></reason>"),
        Action::DescriptionInfo => jingle(action, &content(description)),
        Action::TransportInfo => jingle(action, &content(&further)),
        Action::TransportReplace | Action::TransportReject => jingle(action, &content(other_transport)),
        Action::TransportAccept => jingle(action, &content(transport)),
        Action::ContentAdd => jingle(action, &full().replace("'xmlstream'", "'another'")),
        Action::ContentModify => jingle(action, &full().replace("creator=", "senders='none' creator=")),
        Action::ContentRemove => jingle(action, &content("")),
        _ => jingle(action, &full()),
    }
}

/// Hands in a request and looks at everything that comes of it.
fn outcome(session: &mut Session, request: &Jingle) -> Outcome {
    let answer = session.handle_request(request);
    let reply = next_xml(session).map(|(sent, _)| sent.action);
    assert_eq!(next_xml(session), None, "one request at most");
    match (judged(answer), reply) {
        (Acknowledged, Some(action)) => Answered(action),
        (Terminated, Some(Action::SessionTerminate)) => Voided,
        (found, None) => found,
        (found, Some(action)) => panic!("{found:?} and {action}"),
    }
}

fn judged(answer: Result<Option<SessionEvent>, JingleFault>) -> Outcome {
    match answer {
        Ok(None) => Acknowledged,
        Ok(Some(SessionEvent::Accepted { .. })) => Accepted,
        Ok(Some(SessionEvent::MethodChosen(_))) => Chosen,
        Ok(Some(SessionEvent::Terminated(_))) => Terminated,
        Err(JingleFault::OutOfOrder(_)) => OutOfOrder,
        Err(JingleFault::UnsupportedInfo) => UnsupportedInfo,
        Err(JingleFault::UnknownSession) => Unknown,
        Ok(Some(_)) | Err(_) => Outcome::Refused,
    }
}

/// The sessions of the four columns.
fn sessions() -> [Session; 4] {
    let ((initiator, responder), (active_initiator, active_responder)) = (pending(offer()), active());
    [initiator, active_initiator, responder, active_responder].map(|session| session.with_dialect(Dialect::STRICT))
}

#[test]
fn every_action_in_every_live_state_of_either_role() {
    assert_eq!(TABLE.iter().map(|row| row.0).collect::<Vec<_>>(), Action::ALL, "every action has its row");
    for (action, columns) in TABLE {
        for (column, (mut session, expected)) in sessions().into_iter().zip(columns).enumerate() {
            let (before, state) = (picture(&session), session.state());
            let found = outcome(&mut session, &request(*action));
            assert_eq!(found, *expected, "{action} in column {column}");
            let after = match found {
                Accepted => SessionState::Active,
                Terminated | Voided => SessionState::Ended,
                _ => state,
            };
            assert_eq!(session.state(), after, "{action} in column {column}");
            let is_fault = matches!(found, OutOfOrder | UnsupportedInfo | Unknown | Outcome::Refused);
            assert!(!is_fault || picture(&session) == before, "{action} in column {column}: a fault changes nothing");
        }
    }
}

#[test]
fn xep_0166_6_7_every_action_after_the_end_is_answered_unknown_session() {
    for action in Action::ALL {
        for (column, mut session) in sessions().into_iter().enumerate() {
            session.terminate(Reason::new(ReasonCondition::Cancel));
            assert_eq!(session.state(), SessionState::Ended, "before the acknowledgement");
            assert_eq!(judged(session.handle_request(&request(*action))), Unknown, "{action} in column {column}");
        }
        for (column, mut session) in sessions().into_iter().enumerate() {
            session.handle_request(&request(Action::SessionTerminate)).unwrap();
            assert_eq!(outcome(&mut session, &request(*action)), Unknown, "{action} in column {column}");
        }
    }
}

#[test]
fn every_action_under_another_sid_is_answered_unknown_session() {
    for action in Action::ALL {
        for mut session in sessions() {
            let before = picture(&session);
            let mut other = request(*action);
            other.sid.push('x');
            assert_eq!(outcome(&mut session, &other), Unknown, "{action}");
            assert_eq!(picture(&session), before);
        }
    }
}

#[test]
fn every_action_in_another_namespace_is_answered_unknown_session() {
    for action in Action::ALL {
        for version in [JingleVersion::Jingle0, JingleVersion::Tmp] {
            for mut session in sessions() {
                let before = picture(&session);
                let other = request(*action).with_version(version);
                assert_eq!(outcome(&mut session, &other), Unknown, "{action}");
                assert_eq!(picture(&session), before);
            }
        }
    }
}

#[test]
fn commands_in_the_wrong_state_or_role_are_the_callers_slip() {
    use super::{Acceptance, BOTH, JULIET, jid, security};
    use xtls_jingle::{AcceptError, ChooseError, PingError};

    let answer = || Acceptance::new(jid(JULIET), 4096, security(BOTH));
    // Columns as above: whether accept, choose and ping are possible.
    let possible = [(false, false, true), (false, true, true), (true, false, true), (false, false, true)];
    for (mut session, (accept, choose, ping)) in sessions().into_iter().zip(possible) {
        let label = picture(&session);
        assert_eq!(session.accept(answer()), if accept { Ok(()) } else { Err(AcceptError::NotPending) }, "{label}");
        let chosen = session.choose(Method::X509);
        assert_eq!(chosen, if choose { Ok(()) } else { Err(ChooseError::NotAccepted) }, "{label}");
        assert_eq!(session.ping().is_ok(), ping, "{label}");
        session.terminate(Reason::new(ReasonCondition::Success));
        assert_eq!(session.accept(answer()), Err(AcceptError::NotPending), "{label}");
        assert_eq!(session.choose(Method::X509), Err(ChooseError::NotAccepted), "{label}");
        assert_eq!(session.ping(), Err(PingError::Ended), "{label}");
    }
}
