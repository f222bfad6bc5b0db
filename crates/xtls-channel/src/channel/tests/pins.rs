//! Pins that change between the judgement and the confirmation: of two who leap side by side only one counts.

use xtls_tls::TlsErrorKind;

use super::*;

/// When an end remembers its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The responder, before its last flight goes out.
    LastFlight(Tls),
    /// An initiator in TLS 1.2, when the responder's last flight has come.
    Finished,
    /// An initiator in TLS 1.3, when the responder has shown that it accepts us.
    Confirmation,
    /// The same after it has gone on without.
    LateConfirmation,
}

const MOMENTS: [Moment; 5] = [
    Moment::LastFlight(Tls::V13),
    Moment::LastFlight(Tls::V12),
    Moment::Finished,
    Moment::Confirmation,
    Moment::LateConfirmation,
];

impl Moment {
    fn tls(self) -> Tls {
        match self {
            Self::LastFlight(tls) => tls,
            Self::Finished => Tls::V12,
            Self::Confirmation | Self::LateConfirmation => Tls::V13,
        }
    }

    fn side(self) -> Side {
        if matches!(self, Self::LastFlight(_)) { R } else { I }
    }

    /// A pair whose end here is about to confirm a peer that it met by this policy, and the bytes that lead to it. In TLS 1.3
    /// the confirmation is plaintext of the peer's.
    fn reached(self, setup: &Setup) -> (Pair, Vec<u8>) {
        let mut pair = setup.begun();
        if let Self::LastFlight(tls) = self {
            let flight = pair.last_flight_for(R, tls);
            return (pair, flight);
        }
        if self == Self::Finished {
            let flight = pair.last_flight_for(I, Tls::V12);
            return (pair, flight);
        }
        let _ = pair.pass(I);
        let _ = pair.pass(R);
        if pair.end(I).channel.is_judging() {
            let _ = pair.end(I).decide(TrustDecision::Accept);
        }
        if self == Self::LateConfirmation {
            let End { channel, env, .. } = pair.end(I);
            assert!(channel.go_on_unconfirmed(env).secured);
        }
        let _ = pair.pass(I);
        pair.end(R).write(b"but soft");
        let bytes = pair.end(R).send();
        (pair, bytes)
    }
}

fn strangers(moment: Moment) -> Setup {
    Setup::strangers(moment.tls(), TrustPolicy::LeapOfFaith)
}

#[test]
fn the_same_certificate_pinned_meanwhile_is_no_leap_any_more() {
    for moment in MOMENTS {
        let setup = strangers(moment);
        let (mut pair, bytes) = moment.reached(&setup);
        let side = moment.side();
        let pin = Pin::manual(fingerprint(other(side)));
        setup.store(side).with(|store| store.meanwhile = vec![pin]);
        let progress = pair.end(side).read(&bytes);
        assert!(progress.fault.is_none() && progress.unsaved.is_none(), "{moment:?} {progress:?}");
        assert_eq!(progress.confirmed, moment == Moment::LateConfirmation);
        let security = pair.security(side);
        assert!(security.authenticated_by == Authentication::Pinned && security.confirmed, "{moment:?}");
        let record = pair.end(side).record();
        assert_eq!((record.pins, record.secured_by), (vec![pin], vec![Method::X509]));
    }
}

#[test]
fn another_certificate_pinned_meanwhile_makes_it_a_changed_one() {
    for moment in MOMENTS {
        let setup = strangers(moment);
        let (mut pair, bytes) = moment.reached(&setup);
        let side = moment.side();
        setup.store(side).with(|store| store.meanwhile = vec![Pin::manual(another())]);
        let found = fault(pair.end(side).read(&bytes));
        let Fault::CertificateChanged { presented, pinned } = found else { panic!("{moment:?} {found:?}") };
        assert_eq!((presented, pinned), (Some(fingerprint(other(side))), vec![another()]));
        is_refused(&mut pair, moment, "certificate_unknown");
        let record = pair.end(side).record();
        assert_eq!((record.pins, record.secured_by), (vec![Pin::manual(another())], Vec::new()), "nothing was learned");
    }
}

#[test]
fn rfc_8446_6_2_a_peer_that_is_refused_by_a_sign_of_the_transport_gets_an_alert() {
    for (sign, moment) in [Sign::Header, Sign::Data]
        .into_iter()
        .flat_map(|sign| [(sign, Moment::Confirmation), (sign, Moment::LateConfirmation)])
    {
        let mut setup = strangers(moment);
        setup.tickets = false;
        let (mut pair, bytes) = moment.reached(&setup);
        assert!(pair.end(I).read(&bytes).fault.is_none());
        assert_eq!(pair.end(I).plaintext, b"but soft");
        setup.store(I).with(|store| store.meanwhile = vec![Pin::manual(another())]);
        let progress = pair.end(I).confirm(sign);
        assert!(!progress.secured && !progress.confirmed);
        assert!(matches!(fault(progress), Fault::CertificateChanged { .. }));
        // What was handed out before is the caller's to drop.
        pair.end(I).plaintext.clear();
        is_refused(&mut pair, moment, "certificate_unknown");
    }
}

/// Nothing of what the peer said is handed on, nothing more is said to it but why, once it has our Finished, and it is not
/// authenticated now if it was not before.
fn is_refused(pair: &mut Pair, moment: Moment, alert: &str) {
    let end = pair.end(moment.side());
    assert!(end.plaintext.is_empty() && end.channel.state.name() == "closed", "{moment:?}");
    let told = end.out.clone();
    assert_eq!(end.channel.write(b"more", &mut end.out), Err(WriteError::Closed));
    end.channel.close_write(&mut end.out);
    assert_eq!(end.out, told, "{moment:?}");
    let security = end.channel.security();
    assert_eq!(security.is_some(), moment == Moment::LateConfirmation, "{moment:?}");
    assert!(security.is_none_or(|security| !security.confirmed));
    if !matches!(moment, Moment::Confirmation | Moment::LateConfirmation) {
        assert!(told.is_empty(), "{moment:?}");
        return;
    }
    // RFC 8446 § 6.2: one record, which looks like data on the way.
    assert_eq!(told.get(..5), Some(&[23, 3, 3, 0, 19][..]), "{moment:?}");
    assert_eq!(told.len(), 24);
    assert!(pair.end(R).plaintext.is_empty());
    let found = fault(pair.pass(I));
    let Fault::Tls(error) = &found else { panic!("{moment:?} {found:?}") };
    let TlsErrorKind::AlertReceived(received) = error.kind() else { panic!("{moment:?} {error:?}") };
    assert_eq!(received.name(), alert, "{moment:?}");
    assert!(pair.end(R).plaintext.is_empty() && found.is_security());
}

#[test]
fn pins_that_change_all_the_time_are_a_fault_of_the_store() {
    for moment in MOMENTS {
        let setup = strangers(moment);
        let (mut pair, bytes) = moment.reached(&setup);
        let side = moment.side();
        let others = (0..8_u8).map(|number| Fingerprint::sha256(&[number]));
        // The peer's own one first, so that each judgement accepts it.
        let pins = others.chain([fingerprint(other(side))]).map(Pin::manual).collect();
        setup.store(side).with(|store| store.meanwhile = pins);
        assert!(matches!(fault(pair.end(side).read(&bytes)), Fault::Store(_)), "{moment:?}");
        is_refused(&mut pair, moment, "internal_error");
        assert!(pair.end(side).record().secured_by.is_empty());
    }
}

#[test]
fn pins_that_have_changed_and_cannot_be_read_are_a_fault_of_the_store() {
    for moment in MOMENTS {
        let setup = strangers(moment);
        let (mut pair, bytes) = moment.reached(&setup);
        let side = moment.side();
        setup.store(side).with(|store| {
            store.meanwhile = vec![Pin::manual(fingerprint(other(side)))];
            // At the beginning, at the judgement, and now.
            store.fails = Some((Call::Record, 2));
        });
        assert!(matches!(fault(pair.end(side).read(&bytes)), Fault::Store(error) if error == failed()), "{moment:?}");
        is_refused(&mut pair, moment, "internal_error");
    }
}

#[test]
fn a_user_who_has_judged_is_not_asked_again() {
    for moment in [Moment::LastFlight(Tls::V13), Moment::LastFlight(Tls::V12), Moment::Confirmation] {
        let side = moment.side();
        for same in [true, false] {
            let setup = Setup::strangers(moment.tls(), TrustPolicy::LeapOfFaith).trust(side, TrustPolicy::Ask);
            let pin = Pin::manual(if same { fingerprint(other(side)) } else { another() });
            let (mut pair, bytes) = moment.reached(&setup);
            let change = || setup.store(side).with(|store| store.meanwhile = vec![pin]);
            let progress = if side == R {
                assert!(pair.end(R).read(&bytes).question.is_some());
                change();
                pair.end(R).decide(TrustDecision::Accept)
            } else {
                change();
                pair.end(I).read(&bytes)
            };
            assert!(progress.question.is_none());
            if same {
                assert!(progress.fault.is_none());
                assert_eq!(pair.security(side).authenticated_by, Authentication::Pinned);
            } else {
                let found = fault(progress);
                assert!(
                    matches!(&found, Fault::CertificateChanged { pinned, .. } if *pinned == [another()]),
                    "{found:?}"
                );
                is_refused(&mut pair, moment, "certificate_unknown");
            }
        }
    }
}

#[test]
fn pins_are_nothing_to_a_password() {
    for side in SIDES {
        let setup = Setup::new(Tls::Srp);
        setup.store(side).with(|store| store.meanwhile = vec![Pin::manual(another())]);
        let mut pair = setup.secured();
        assert_eq!(pair.security(side).authenticated_by, Authentication::Password);
        assert_eq!(pair.end(side).record().secured_by, [Method::Srp]);
    }
}
