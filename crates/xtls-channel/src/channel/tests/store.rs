//! What a trust store is asked when, and what follows when it fails: the table of its documentation.

use super::*;

/// The attempts of a peer that has used up all guesses.
fn used_up() -> Attempts {
    Attempts { failed: 3, last: time(UNIX), total: GuessCount::new(3, time(UNIX)) }
}

fn fail(setup: &Setup, side: Side, call: Call, which: usize) {
    setup.store(side).with(|store| store.fails = Some((call, which)));
}

#[test]
fn a_store_is_asked_before_anything_rests_on_it() {
    for tls in EACH_TLS {
        for in_bytes in [false, true] {
            let setup = Setup::new(tls);
            let mut pair = setup.begun();
            while let Some(side) = SIDES.into_iter().find(|side| !pair.end(*side).out.is_empty()) {
                let records = pair.end(side).send();
                let end = pair.end(other(side));
                for part in records.chunks(if in_bytes { 1 } else { records.len() }) {
                    let progress = end.read(part);
                    assert!(progress.fault.is_none(), "{progress:?}");
                    if end.channel.security().is_some() {
                        assert_eq!(end.store.with(|store| store.calls.last().copied()), Some(Call::Confirm));
                    }
                }
            }
            let by_certificate = vec![Call::Record, Call::LockedUntil, Call::Record, Call::Confirm];
            let by_password = vec![
                Call::Record,
                Call::LockedUntil,
                Call::BeginGuess,
                Call::GuessWasRight,
                Call::Record,
                Call::Confirm,
            ];
            let expected = if tls == Tls::Srp { by_password } else { by_certificate };
            for side in SIDES {
                pair.end(side).write(b"for data it is never asked");
                let _ = pair.pass(side);
                assert_eq!(setup.store(side).with(|store| store.calls.clone()), expected, "{tls:?} {side:?}");
            }
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_makes_no_channel() {
    for tls in EACH_TLS {
        for side in SIDES {
            for call in [Call::Record, Call::LockedUntil] {
                let setup = Setup::new(tls);
                fail(&setup, side, call, 0);
                let Err(refused) = setup.end(side) else { panic!("{tls:?} {side:?}") };
                assert!(matches!(*refused, Fault::Store(error) if error == failed()));
            }
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_again_leaves_what_was_known() {
    for side in SIDES {
        let setup = Setup::new(Tls::V13);
        let mut pair = setup.pair();
        fail(&setup, side, Call::Record, 1);
        setup.store(side).pin(other(side), another());
        let End { channel, env, .. } = pair.end(side);
        let refused = channel.refresh(env).map_err(|fault| *fault);
        assert!(matches!(refused, Err(Fault::Store(error)) if error == failed()));
        assert_eq!(channel.pins(), [fingerprint(other(side))]);
        assert!(!channel.has_begun());
        assert!(channel.refresh(env).is_ok());
        assert_eq!(channel.pins(), [fingerprint(other(side)), another()]);
    }
}

#[test]
fn a_record_that_cannot_be_read_for_the_judgement_ends_the_channel_and_lets_nothing_out() {
    for tls in EACH_TLS {
        for side in SIDES {
            let setup = Setup::new(tls);
            let mut pair = setup.begun();
            let flight = pair.last_flight_for(side, tls);
            fail(&setup, side, Call::Record, 1);
            let progress = pair.end(side).read(&flight);
            assert!(!progress.accepted && !progress.secured);
            assert!(matches!(fault(progress), Fault::Store(error) if error == failed()), "{tls:?} {side:?}");
            assert!(pair.end(side).is_dead() && pair.end(side).record().secured_by.is_empty());
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_for_the_users_yes_ends_the_channel_and_lets_nothing_out() {
    for (tls, side) in [(Tls::V13, I), (Tls::V13, R), (Tls::V12, R)] {
        let setup = Setup::strangers(tls, TrustPolicy::LeapOfFaith).trust(side, TrustPolicy::Ask);
        let mut pair = setup.begun();
        let flight = pair.last_flight_for(side, tls);
        assert!(pair.end(side).read(&flight).question.is_some());
        fail(&setup, side, Call::Record, 2);
        let progress = pair.end(side).decide(TrustDecision::Accept);
        assert!(matches!(fault(progress), Fault::Store(error) if error == failed()), "{tls:?} {side:?}");
        assert!(pair.end(side).is_dead() && pair.end(side).record() == TrustRecord::default());
    }
}

#[test]
fn p14_a_guess_that_cannot_be_counted_is_not_made() {
    for side in SIDES {
        let setup = Setup::new(Tls::Srp);
        let mut pair = setup.begun();
        fail(&setup, side, Call::BeginGuess, 0);
        let found = reach_the_test(&mut pair, side);
        assert!(matches!(found, Fault::Store(error) if error == failed()), "{side:?}");
        assert!(pair.end(side).is_dead(), "neither our Finished nor a word on the peer's");
        assert_eq!(pair.end(side).record(), TrustRecord::default());
    }
}

#[test]
fn p14_a_guess_that_is_locked_since_is_not_made() {
    for side in SIDES {
        let setup = Setup::new(Tls::Srp);
        let mut pair = setup.begun();
        setup.store(side).with(|store| store.memory.of(&jid(other(side))).attempts = used_up());
        let found = reach_the_test(&mut pair, side);
        assert!(matches!(found, Fault::PasswordLocked { until } if until == time(UNIX + 3600)), "{side:?}");
        assert!(pair.end(side).is_dead());
        assert_eq!(pair.end(side).record().attempts, used_up(), "nothing was counted");
        assert_eq!(setup.store(side).count(Call::GuessWasRight), 0);
    }
}

/// Hands an end the flight by which the password is put to the test: the server's first one, or the client's Finished.
fn reach_the_test(pair: &mut Pair, side: Side) -> Fault {
    let flights = if side == I { 1 } else { 2 };
    for flight in 0..flights {
        assert!(pair.pass(if flight % 2 == 0 { I } else { R }).fault.is_none());
    }
    fault(pair.pass(other(side)))
}

#[test]
fn p14_a_wrong_password_is_counted_once_at_each_end() {
    for in_bytes in [false, true] {
        let mut setup = Setup::new(Tls::Srp);
        setup.terms[0].password = Some(Password::new("a plague on both your houses").expect("a password"));
        let mut pair = setup.begun();
        let mut faults = [None, None];
        while let Some(side) = SIDES.into_iter().find(|side| !pair.end(*side).out.is_empty()) {
            let records = pair.end(side).send();
            for part in records.chunks(if in_bytes { 1 } else { records.len() }) {
                let progress = pair.end(other(side)).read(part);
                assert!(progress.started.is_none() || progress.fault.is_none());
                if let Some(fault) = progress.fault {
                    assert!(faults[at(other(side))].replace(*fault).is_none(), "it fails once");
                }
            }
        }
        for side in SIDES {
            assert!(matches!(faults[at(side)], Some(Fault::WrongPassword)), "{faults:?}");
            assert_eq!(
                pair.end(side).record().attempts,
                Attempts { failed: 1, last: time(UNIX), total: GuessCount::new(1, time(UNIX)) }
            );
            assert_eq!(setup.store(side).count(Call::BeginGuess), 1);
            assert_eq!(setup.store(side).count(Call::GuessWasRight), 0);
            assert!(pair.end(side).is_dead());
        }
    }
}

#[test]
fn a_right_password_before_a_broken_record_is_no_wrong_guess() {
    for side in SIDES {
        let setup = Setup::new(Tls::Srp);
        let mut pair = setup.begun();
        let mut flight = pair.last_flight_for(side, Tls::Srp);
        flight.extend([&[23, 3, 3, 0, 32][..], &[0; 32]].concat());
        assert!(matches!(fault(pair.end(side).read(&flight)), Fault::Tls(_)), "{side:?}");
        assert!(pair.end(side).is_dead());
        assert_eq!(pair.end(side).record().attempts, Attempts::default());
        assert_eq!(setup.store(side).count(Call::BeginGuess), 1);
    }
}

#[test]
fn a_right_password_that_cannot_be_noted_stays_counted_and_the_channel_goes_on() {
    for side in SIDES {
        let setup = Setup::new(Tls::Srp);
        let mut pair = setup.begun();
        let flight = pair.last_flight_for(side, Tls::Srp);
        fail(&setup, side, Call::GuessWasRight, 0);
        let progress = pair.end(side).read(&flight);
        assert_eq!(progress.unsaved, Some(failed()));
        assert!(progress.secured && progress.fault.is_none());
        pair.settle();
        assert!(SIDES.iter().all(|side| pair.security(*side).confirmed));
        let record = pair.end(side).record();
        assert_eq!((record.attempts.failed, record.secured_by), (1, vec![Method::Srp]));
    }
}

#[test]
fn what_cannot_be_remembered_is_told_once_and_the_channel_goes_on() {
    for tls in EACH_TLS {
        for side in SIDES {
            let setup = Setup::strangers(tls, TrustPolicy::LeapOfFaith);
            fail(&setup, side, Call::Confirm, 0);
            let mut pair = setup.begun();
            let mut told = Vec::new();
            while let Some(from) = SIDES.into_iter().find(|side| !pair.end(*side).out.is_empty()) {
                let progress = pair.pass(from);
                assert!(progress.fault.is_none());
                told.extend(progress.unsaved.map(|error| (other(from), error)));
            }
            assert_eq!(told, [(side, failed())], "{tls:?}");
            assert!(pair.security(side).confirmed);
            let record = pair.end(side).record();
            assert!(record.pins.is_empty() && record.secured_by.is_empty(), "{record:?}");
            assert_eq!(pair.end(other(side)).record().secured_by, [setup.method()]);
            pair.end(side).write(b"but soft");
            let _ = pair.pass(side);
            assert_eq!(pair.end(other(side)).plaintext, b"but soft");
        }
    }
}

#[test]
fn a_late_confirmation_that_cannot_be_remembered_is_told() {
    let setup = Setup::strangers(Tls::V13, TrustPolicy::LeapOfFaith);
    let mut pair = setup.begun();
    let _ = pair.pass(I);
    let _ = pair.pass(R);
    let End { channel, env, .. } = pair.end(I);
    assert!(channel.go_on_unconfirmed(env).secured);
    fail(&setup, I, Call::Confirm, 0);
    let _ = pair.pass(I);
    let progress = pair.pass(R);
    assert!(progress.confirmed && progress.unsaved == Some(failed()) && progress.fault.is_none());
    assert!(pair.security(I).confirmed && pair.end(I).record().pins.is_empty());
}
