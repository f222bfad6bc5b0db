//! Certificates that are judged: by pins, by announcements, by the user.

use super::*;

/// One end's user is asked, the other one knows its certificate; the flight that leads to the question has come.
fn asked(tls: Tls, side: Side) -> (Pair, Progress) {
    let setup = Setup::strangers(tls, TrustPolicy::Pinned).trust(side, TrustPolicy::Ask);
    setup.store(other(side)).pin(side, fingerprint(side));
    let mut pair = setup.begun();
    let flight = pair.last_flight_for(side, tls);
    let progress = pair.end(side).read(&flight);
    (pair, progress)
}

/// The ways in which a user can be asked: an initiator insists on TLS 1.3.
const QUESTIONS: [(Tls, Side); 3] = [(Tls::V13, I), (Tls::V13, R), (Tls::V12, R)];

#[test]
fn nothing_leaves_and_nothing_is_handed_on_until_the_user_has_judged() {
    for (tls, side) in QUESTIONS {
        let (mut pair, progress) = asked(tls, side);
        let question = progress.question.expect("the user is asked");
        assert_eq!(question.certificate.fingerprint_sha256(), fingerprint(other(side)));
        assert!(question.previous.is_empty() && question.secured_by.is_empty());
        assert!(!progress.accepted && !progress.secured && progress.fault.is_none());
        let end = pair.end(side);
        assert!(
            end.channel.is_judging() && end.channel.security().is_none() && end.channel.channel_binding().is_none()
        );
        assert_eq!(end.channel.write(b"early", &mut end.out), Err(WriteError::NotSecured));
        assert!(end.out.is_empty(), "the flight that says that the peer was accepted is held");
        assert_eq!(end.record(), TrustRecord::default());

        let progress = end.decide(TrustDecision::Accept);
        assert!(progress.accepted && progress.fault.is_none());
        assert!(!end.out.is_empty());
        pair.settle();
        let security = pair.security(side);
        assert!(security.authenticated_by == Authentication::Approved && security.confirmed);
        assert_eq!(pair.end(side).record().pins, [Pin::manual(fingerprint(other(side))).with_since(time(UNIX))]);
        assert!(pair.security(other(side)).confirmed);
        // It is answered.
        let again = pair.end(side).decide(TrustDecision::Refuse);
        assert!(again.fault.is_none() && pair.states() == ["secured", "secured"]);
    }
}

#[test]
fn a_no_sends_nothing_of_what_was_held() {
    for (tls, side) in QUESTIONS {
        let (mut pair, _) = asked(tls, side);
        let refused = fault(pair.end(side).decide(TrustDecision::Refuse));
        assert!(matches!(refused, Fault::TrustRefused));
        assert!(pair.end(side).is_dead());
        assert_eq!(pair.end(side).record(), TrustRecord::default());
    }
}

#[test]
fn a_question_says_what_the_peer_was_known_by() {
    for (tls, side) in QUESTIONS {
        let setup = Setup::strangers(tls, TrustPolicy::Pinned).trust(side, TrustPolicy::Ask);
        setup.store(other(side)).pin(side, fingerprint(side));
        setup.store(side).pin(other(side), another());
        setup.store(side).with(|store| store.memory.of(&jid(other(side))).note_secured(Method::X509));
        let mut pair = setup.begun();
        let flight = pair.last_flight_for(side, tls);
        let question = pair.end(side).read(&flight).question.expect("the user is asked");
        assert_eq!((question.previous, question.secured_by), (vec![another()], vec![Method::X509]));
        let _ = pair.end(side).decide(TrustDecision::Accept);
        pair.settle();
        assert_eq!(pair.security(side).changed_from, [another()]);
    }
}

#[test]
fn a_change_that_the_user_approves_replaces_what_was_pinned_unless_the_user_keeps_it() {
    for (tls, side) in QUESTIONS {
        for keeps in [false, true] {
            let setup = Setup::strangers(tls, TrustPolicy::Pinned).trust(side, TrustPolicy::Ask);
            setup.store(other(side)).pin(side, fingerprint(side));
            setup.store(side).pin(other(side), another());
            let mut pair = setup.begun();
            let flight = pair.last_flight_for(side, tls);
            assert!(pair.end(side).read(&flight).question.is_some());
            let decision = if keeps { TrustDecision::AcceptAndKeep } else { TrustDecision::Accept };
            let _ = pair.end(side).decide(decision);
            pair.settle();
            // A certificate that was stolen, and replaced for that, opens nothing any more.
            let mut pins = vec![Pin::manual(another()), Pin::manual(fingerprint(other(side))).with_since(time(UNIX))];
            pins.drain(..usize::from(!keeps));
            assert_eq!(pair.end(side).record().pins, pins, "{tls:?} {side:?}");
        }
    }
}

#[test]
fn plaintext_that_comes_early_waits_for_the_judgement() {
    for decision in [TrustDecision::Accept, TrustDecision::Refuse] {
        let setup = Setup::strangers(Tls::V13, TrustPolicy::Pinned).trust(R, TrustPolicy::Ask);
        setup.store(I).pin(R, fingerprint(R));
        let mut pair = setup.begun();
        let _ = pair.pass(I);
        let _ = pair.pass(R);
        // With the client's Finished, and after it.
        pair.end(I).write(b"but ");
        let progress = pair.pass(I);
        assert!(progress.question.is_some() && progress.received == 4);
        pair.end(I).write(b"soft");
        assert_eq!(pair.pass(I).received, 4);
        let end = pair.end(R);
        assert_eq!((end.channel.early(), end.plaintext.len()), (8, 0));
        let progress = end.decide(decision);
        assert_eq!(end.channel.early(), 0);
        if decision == TrustDecision::Accept {
            assert!(progress.secured && end.plaintext == b"but soft");
        } else {
            assert!(end.is_dead());
        }
    }
}

#[test]
fn records_that_break_while_the_user_judges_end_the_channel() {
    for (tls, side) in QUESTIONS {
        let (mut pair, _) = asked(tls, side);
        let end = pair.end(side);
        let broken = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
        assert!(matches!(fault(end.read(&broken)), Fault::Tls(_)));
        assert!(end.is_dead());
        let late = end.decide(TrustDecision::Accept);
        assert!(!late.accepted && end.is_dead());
    }
}

#[test]
fn an_initiator_that_would_ask_does_not_speak_tls_1_2() {
    let setup = Setup::strangers(Tls::V12, TrustPolicy::Ask);
    // All it could speak is TLS 1.2 here, so that nothing is begun.
    let mut pair = setup.pair();
    let End { channel, env, out, .. } = pair.end(I);
    let refused = channel.start(Method::X509, Start::PLAIN, env, out);
    assert!(matches!(refused.map_err(|fault| *fault), Err(Fault::Internal(_))) && out.is_empty());
}

#[test]
fn a_certificate_that_is_not_the_pinned_one_is_refused_with_an_alert() {
    for tls in [Tls::V13, Tls::V12] {
        for side in SIDES {
            let setup = Setup::strangers(tls, TrustPolicy::Pinned);
            setup.store(side).pin(other(side), another());
            setup.store(other(side)).pin(side, fingerprint(side));
            let mut pair = setup.begun();
            let flight = if side == I { 1 } else { 2 };
            for at in 0..flight {
                assert!(pair.pass(if at % 2 == 0 { I } else { R }).fault.is_none());
            }
            let found = fault(pair.pass(other(side)));
            let Fault::CertificateChanged { presented, pinned } = found else { panic!("{found:?}") };
            assert_eq!((presented, pinned), (Some(fingerprint(other(side))), vec![another()]));
            let end = pair.end(side);
            assert!(end.channel.security().is_none() && end.record().secured_by.is_empty());
            assert!(fault(pair.pass(side)).is_security(), "the alert says why");
            assert!(pair.end(other(side)).channel.security().is_none());
        }
    }
}

#[test]
fn a_certificate_that_contradicts_the_announcement_is_refused_though_it_is_pinned() {
    for tls in [Tls::V13, Tls::V12] {
        for side in SIDES {
            let mut pair = Setup::new(tls).begun();
            pair.end(side).channel.announce(vec![fingerprint(other(side)), another()]);
            let flight = pair.last_flight_for(side, tls);
            let found = fault(pair.end(side).read(&flight));
            let Fault::FingerprintMismatch { announced, presented } = found else { panic!("{found:?}") };
            assert_eq!((announced, presented), (another(), fingerprint(other(side))));
            assert!(pair.end(side).is_dead());
        }
    }
}

#[test]
fn a_leap_of_faith_is_pinned_once_the_peer_has_accepted_us() {
    for tls in [Tls::V13, Tls::V12] {
        let mut pair = Setup::strangers(tls, TrustPolicy::LeapOfFaith).begun();
        for flight in 0..4 {
            for side in SIDES {
                let end = pair.end(side);
                assert_eq!(end.record().pins.is_empty(), end.channel.security().is_none(), "{tls:?} {flight} {side:?}");
            }
            assert!(pair.pass(if flight % 2 == 0 { I } else { R }).fault.is_none());
        }
        for side in SIDES {
            assert_eq!(pair.security(side).authenticated_by, Authentication::LeapOfFaith);
            assert_eq!(
                pair.end(side).record().pins,
                [Pin::new(fingerprint(other(side)), Learned::LeapOfFaith).with_since(time(UNIX))]
            );
        }
    }
}
