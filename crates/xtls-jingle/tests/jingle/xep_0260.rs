//! Sessions that a SOCKS5 bytestream carries, and its replacement.

use xtls_jingle::{
    Acceptance, Action, Description, InBand, Jingle, JingleFault, JingleVersion, Offer, OfferRefusal, Session,
    SessionEvent, SessionState, SessionTransport, TransportError, Verdict,
};
use xtls_s5b::{S5bPayload, S5bTransport};
use xtls_stanza::{Condition, Method, StanzaError};

use super::{BOTH, JULIET, SID, ibb, jid, jingle, next, next_xml, parse, pending, picture, security, write};

const S5B_SID: &str = "vj3hs98y";
const CANDIDATE: &str = "<candidate cid='hft54dqy' host='192.168.4.1' jid='romeo@montague.lit/orchard' port='5086' \
                         priority='8257636' type='direct'/>";

fn s5b(inner: &str) -> String {
    format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{S5B_SID}'>{inner}</transport>")
}

fn content(inner: &str) -> String {
    format!("<content creator='initiator' name='xmlstream'>{inner}</content>")
}

fn offer() -> Offer {
    let xml = super::element(&s5b(CANDIDATE));
    let transport = S5bTransport::parse(xml.root()).unwrap().unwrap();
    Offer::over(SessionTransport::Socks5(transport), Description::xmlstream(), security(BOTH))
}

fn active() -> (Session, Session) {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let (_, accept) = next(&mut responder);
    let event = initiator.handle_request(&accept).unwrap();
    assert!(matches!(event, Some(SessionEvent::Accepted { socks5: Some(_), .. })));
    (initiator, responder)
}

/// A session in which the initiator has asked for an in-band bytestream instead.
fn asked() -> (Session, Session) {
    let (mut initiator, mut responder) = active();
    initiator.replace_transport(InBand::new("ch3d9s71", 4096)).unwrap();
    let (_, replace) = next(&mut initiator);
    assert_eq!(responder.handle_request(&replace), Ok(Some(SessionEvent::ReplaceTransport)));
    (initiator, responder)
}

fn replaced() -> (Session, Session) {
    let (mut initiator, mut responder) = asked();
    responder.accept_transport(2048).unwrap();
    let (_, accept) = next(&mut responder);
    assert_eq!(initiator.handle_request(&accept), Ok(Some(SessionEvent::TransportReplaced)));
    (initiator, responder)
}

#[test]
fn xep_0260_2_2_candidates_go_both_ways() {
    let mut initiator = Session::initiate(SID, &jid(super::ROMEO), offer()).unwrap();
    let (_, initiate) = next(&mut initiator);
    let mut responder = Session::incoming(&initiate).unwrap();
    assert_eq!(responder.offer(), &offer());
    let SessionTransport::Socks5(offered) = offer().transport else { panic!("by SOCKS5") };
    let candidates = offered.candidates().to_vec();
    let mut acceptance = Acceptance::new(jid(JULIET), 4096, security(BOTH));
    acceptance.candidates.clone_from(&candidates);
    acceptance.dst_addr = Some("1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba".parse().unwrap());
    responder.accept(acceptance).unwrap();
    let (_, xml) = next_xml(&mut responder).unwrap();
    // § 2.2: the same sid, and no mode.
    assert!(xml.contains("dstaddr='1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba' sid='vj3hs98y'>"), "{xml}");
    assert!(!xml.contains("mode="), "{xml}");
    let Ok(Some(SessionEvent::Accepted { socks5: Some(answer), .. })) = initiator.handle_request(&parse(&xml)) else {
        panic!("accepted")
    };
    assert_eq!(answer.candidates(), candidates);
    assert_eq!(initiator.transport(), &offer().transport, "what was offered stays known");
}

#[test]
fn xep_0260_2_2_an_answer_has_the_sid_of_the_offer_and_its_transport() {
    let accept = |transport: &str| {
        let (mut initiator, _) = pending(offer());
        let before = picture(&initiator);
        let security = "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>";
        let description = "<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>";
        let request = jingle(Action::SessionAccept, &content(&format!("{description}{transport}{security}")));
        let result = initiator.handle_request(&request);
        assert!(result.is_ok() || picture(&initiator) == before);
        result
    };
    assert!(accept(&s5b("")).is_ok());
    for refused in [
        s5b("").replace(S5B_SID, "another"),
        "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='vj3hs98y' block-size='4096'/>".to_owned(),
        "<transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'/>".to_owned(),
    ] {
        assert!(matches!(accept(&refused), Err(JingleFault::NotAcceptable(_))), "{refused}");
    }
    assert!(matches!(accept(&s5b("<candidate-error/>")), Err(JingleFault::Malformed(_))));
}

#[test]
fn an_offer_of_udp_is_of_no_transport_that_is_known_and_answers_are_no_offers() {
    let (_, initiate) = next(&mut Session::initiate(SID, &jid(super::ROMEO), offer()).unwrap());
    let xml = write(&initiate);
    let refusal = |from: &str, to: &str| Session::incoming(&parse(&xml.replace(from, to))).unwrap_err();
    let udp = refusal("sid='vj3hs98y'", "mode='udp' sid='vj3hs98y'");
    assert!(matches!(udp, OfferRefusal::Unsupported(_)), "{udp}");
    let answer = refusal(CANDIDATE, "<candidate-error/>");
    assert!(matches!(answer, OfferRefusal::Fault(JingleFault::Malformed(_))), "{answer}");
}

#[test]
fn transport_infos_are_told_while_a_connection_is_sought_and_at_no_other_time() {
    let info = jingle(Action::TransportInfo, &content(&s5b("<candidate-used cid='hft54dqy'/>")));
    let told = SessionEvent::TransportInfo(S5bTransport::new(S5B_SID, S5bPayload::CandidateUsed("hft54dqy".into())));
    let ((a, b), (c, d), (e, f)) = (pending(offer()), active(), replaced());
    let mut secured = active().0;
    secured.tls_started(Method::X509);
    for (mut session, expected) in
        [(a, None), (b, None), (c, Some(true)), (d, Some(true)), (e, Some(false)), (f, Some(false)), (secured, None)]
    {
        let before = picture(&session);
        match (session.handle_request(&info), expected) {
            (Ok(Some(event)), Some(true)) => assert_eq!(event, told),
            (Err(JingleFault::OutOfOrder(_)), None) | (Err(JingleFault::UnsupportedInfo), Some(false)) => {}
            (found, _) => panic!("{found:?} in {before}"),
        }
        assert_eq!(picture(&session), before);
    }
    let (mut initiator, _) = active();
    let other = jingle(Action::TransportInfo, &content(&s5b("<candidate-error/>").replace(S5B_SID, "another")));
    assert!(matches!(initiator.handle_request(&other), Err(JingleFault::NotAcceptable(_))));
    let none = jingle(Action::TransportInfo, &content(""));
    assert_eq!(initiator.handle_request(&none), Err(JingleFault::UnsupportedInfo));
}

/// XEP-0260 § 2.3: item-not-found is about the candidate.
#[test]
fn a_transport_info_that_is_refused_does_not_end_the_session() {
    let unknown =
        StanzaError::new(Condition::UndefinedCondition).with_specific("unknown-session", "urn:xmpp:jingle:errors:1");
    for (error, verdict) in [
        (Condition::ItemNotFound.into(), Verdict::Tolerated),
        (JingleFault::OutOfOrder("").stanza_error(JingleVersion::Jingle1), Verdict::Tolerated),
        (Condition::FeatureNotImplemented.into(), Verdict::Tolerated),
        (Condition::RemoteServerNotFound.into(), Verdict::Fatal),
        (unknown, Verdict::Ended),
    ] {
        let (mut session, _) = active();
        session.transport_info(S5bPayload::CandidateUsed("hft54dqy".into())).unwrap();
        let (sent, _) = next(&mut session);
        let refused = session.handle_error(sent.id.as_str(), &error).unwrap();
        assert_eq!((refused.action, refused.verdict), (Action::TransportInfo, verdict), "{error:?}");
        assert_eq!(session.state() == SessionState::Ended, verdict == Verdict::Ended);
    }
}

#[test]
fn three_transport_infos_may_be_open_and_not_one_more() {
    let (mut initiator, mut responder) = active();
    for _ in 0..Session::MAX_INFOS {
        initiator.transport_info(S5bPayload::CandidateError).unwrap();
    }
    assert_eq!(initiator.transport_info(S5bPayload::CandidateError), Err(TransportError::Unanswered));
    let (sent, info) = next(&mut initiator);
    assert!(matches!(responder.handle_request(&info), Ok(Some(SessionEvent::TransportInfo(_)))));
    assert_eq!(initiator.transport_info(S5bPayload::CandidateError), Err(TransportError::Unanswered), "not answered");
    assert_eq!(initiator.handle_result(sent.id.as_str()), Some(Action::TransportInfo));
    assert_eq!(initiator.transport_info(S5bPayload::CandidateError), Ok(()));
    let (_, mut responder) = pending(offer());
    assert_eq!(responder.transport_info(S5bPayload::CandidateError), Err(TransportError::NotActive));
    let (mut in_band, _) = super::active();
    assert_eq!(in_band.transport_info(S5bPayload::CandidateError), Err(TransportError::NotSocks5));
}

#[test]
fn xep_0260_3_the_initiator_replaces_the_transport_and_both_agree_on_the_smaller_blocks() {
    let (initiator, responder) = replaced();
    let mut expected = InBand::new("ch3d9s71", 2048);
    assert_eq!((initiator.in_band(), responder.in_band()), (Some(&expected), Some(&expected)));
    // Conversations answers with larger blocks and without a sid.
    let (mut initiator, _) = asked();
    let mut answer = Jingle::new(Action::TransportAccept, SID);
    let mut said = xtls_jingle::Content::new("xmlstream");
    said.transport = Some(xtls_jingle::Transport::Ibb(ibb(None, Some(65_535))));
    answer.contents.push(said);
    assert_eq!(initiator.handle_request(&answer), Ok(Some(SessionEvent::TransportReplaced)));
    expected.block_size = 4096;
    assert_eq!(initiator.in_band(), Some(&expected));
}

#[test]
fn a_replacement_that_is_not_wanted_leaves_the_session_as_it_was_and_another_can_be_asked_for() {
    let (mut initiator, mut responder) = asked();
    responder.reject_transport().unwrap();
    let (_, reject) = next(&mut responder);
    assert_eq!(initiator.handle_request(&reject), Ok(Some(SessionEvent::TransportRejected)));
    assert_eq!((initiator.in_band(), responder.in_band()), (None, None));
    assert!(matches!(initiator.handle_request(&reject), Err(JingleFault::OutOfOrder(_))));
    assert_eq!(initiator.replace_transport(InBand::new("another", 64)), Ok(()));
}

#[test]
fn what_is_not_an_in_band_bytestream_in_place_of_the_socks5_one_before_tls_is_rejected() {
    let in_band = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/>";
    let replace = |transport: &str| jingle(Action::TransportReplace, &content(transport));
    let mut secured = active().1;
    secured.tls_started(Method::X509);
    let sessions = [
        ("the initiator is not asked", active().0, in_band.to_owned()),
        ("not before it is accepted", pending(offer()).1, in_band.to_owned()),
        ("not once TLS runs", secured, in_band.to_owned()),
        ("not twice", replaced().1, in_band.replace("ch3d9s71", "another")),
        ("not while the first is open", asked().1, in_band.to_owned()),
        ("nothing but in band", active().1, s5b(CANDIDATE).replace(S5B_SID, "another")),
        ("blocks of 64 bytes at least", active().1, in_band.replace("4096", "63")),
        ("with a sid", active().1, in_band.replace(" sid='ch3d9s71'", "")),
        ("in IQ stanzas", active().1, in_band.replace(" sid", " stanza='message' sid")),
    ];
    for (label, mut session, transport) in sessions {
        let before = session.transport().clone();
        assert_eq!(session.handle_request(&replace(&transport)), Ok(None), "{label}");
        assert_eq!(next(&mut session).0.action, Action::TransportReject, "{label}");
        assert_eq!(session.transport(), &before, "{label}");
    }
}

#[test]
fn commands_about_the_transport_have_their_time() {
    let in_band = || InBand::new("ch3d9s71", 4096);
    let ((mut a, mut b), (mut c, mut d), (mut e, mut f), (mut g, mut h)) =
        (pending(offer()), active(), asked(), replaced());
    let mut secured = active().0;
    secured.tls_started(Method::X509);
    for (session, replaces, accepts) in [
        (&mut a, Err(TransportError::NotActive), false),
        (&mut b, Err(TransportError::NotActive), false),
        (&mut c, Ok(()), false),
        (&mut d, Err(TransportError::NotActive), false),
        (&mut e, Err(TransportError::Unanswered), false),
        (&mut f, Err(TransportError::NotActive), true),
        (&mut g, Err(TransportError::NotSocks5), false),
        (&mut h, Err(TransportError::NotSocks5), false),
        (&mut secured, Err(TransportError::NotActive), false),
    ] {
        let label = picture(session);
        assert_eq!(session.replace_transport(in_band()), replaces, "{label}");
        assert_eq!(session.accept_transport(4096).is_ok(), accepts, "{label}");
        assert!(session.reject_transport().is_err(), "{label}");
    }
    let (mut initiator, mut responder) = asked();
    assert_eq!(responder.accept_transport(63), Err(TransportError::Value));
    assert_eq!(responder.accept_transport(64), Ok(()));
    initiator.terminate(xtls_jingle::ReasonCondition::Success.into());
    assert_eq!(initiator.state(), SessionState::Ended);
    let (mut initiator, _) = active();
    assert_eq!(initiator.replace_transport(InBand::new("s", 63)), Err(TransportError::Value));
    assert_eq!(initiator.replace_transport(InBand::new("", 64)), Err(TransportError::Value));
}

#[test]
fn the_negotiation_hash_covers_every_transport_that_was_offered_and_taken() {
    let hashes = |(mut a, mut b): (Session, Session)| {
        a.tls_started(Method::X509);
        b.tls_started(Method::X509);
        let both = [a.negotiation_hash().unwrap(), b.negotiation_hash().unwrap()];
        assert_eq!(both[0], both[1], "both ends saw the same");
        both[0]
    };
    let all = [hashes(super::active()), hashes(active()), hashes(replaced())];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    // A replacement that came to nothing has changed nothing.
    let (mut initiator, mut responder) = asked();
    responder.reject_transport().unwrap();
    let (_, reject) = next(&mut responder);
    initiator.handle_request(&reject).unwrap();
    assert_eq!(hashes((initiator, responder)), all[1]);
}
