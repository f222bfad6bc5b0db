//! From the first byte of TLS to the last.

use super::*;

/// What can be derived from a channel.
fn bindings(end: &End) -> Option<([u8; 32], Vec<u8>)> {
    let exported = end.channel.export_keying_material(48, b"EXPORTER-test", Some(b"context"));
    assert_eq!(exported.is_some(), end.channel.channel_binding().is_some());
    end.channel.channel_binding().zip(exported)
}

#[test]
fn states_follow_in_order_and_nothing_rests_on_a_peer_before_it_is_authenticated() {
    for tls in EACH_TLS {
        // In TLS 1.3 the client is done first, and waits until it is accepted; the last flight is a session ticket.
        let waits = if tls == Tls::V13 { "confirming" } else { "handshake" };
        let states = [
            ["handshake", "choosing"],
            ["handshake", "handshake"],
            [waits, "handshake"],
            [waits, "secured"],
            ["secured", "secured"],
        ];
        let mut pair = Setup::new(tls).begun();
        for (step, expected) in states.into_iter().enumerate() {
            assert_eq!(pair.states(), expected, "{tls:?} {step}");
            for (end, state) in pair.0.iter().zip(expected) {
                let is_secured = state == "secured";
                assert_eq!(end.channel.security().is_some(), is_secured, "{tls:?} {step}");
                assert_eq!(bindings(end).is_some(), is_secured, "{tls:?} {step}");
                assert!(end.plaintext.is_empty());
            }
            let progress = pair.pass(if step % 2 == 0 { I } else { R });
            assert!(progress.fault.is_none() && progress.question.is_none() && progress.unsaved.is_none());
        }
        assert!(pair.0.iter().all(|end| end.out.is_empty()), "nothing more is to be sent");
    }
}

#[test]
fn each_step_is_told_once_and_in_its_place() {
    for tls in EACH_TLS {
        let setup = Setup::new(tls);
        let mut pair = setup.begun();
        let steps: Vec<_> = (0..4).map(|flight| pair.pass(if flight % 2 == 0 { I } else { R })).collect();
        let of = |told: fn(&Progress) -> bool| steps.iter().map(told).collect::<Vec<_>>();
        let is_13 = tls == Tls::V13;
        assert_eq!(steps[0].started, Some(setup.method()));
        assert_eq!(of(|step| step.started.is_some()), [true, false, false, false]);
        assert_eq!(of(|step| step.answered), [true, !is_13, false, false], "{tls:?}");
        assert_eq!(of(|step| step.accepted), [false, is_13, true, !is_13], "{tls:?}");
        assert_eq!(of(|step| step.secured), [false, false, true, true]);
        assert_eq!(of(|step| step.confirmed || step.encrypted || step.received > 0), [false; 4]);
    }
}

#[test]
fn both_ends_know_how_they_are_secured_and_derive_the_same_keys() {
    for tls in EACH_TLS {
        let setup = Setup::new(tls);
        let mut pair = setup.secured();
        let bound = SIDES.map(|side| bindings(pair.end(side)).expect("it is secured"));
        assert_eq!(bound[0], bound[1]);
        for side in SIDES {
            let security = pair.security(side);
            let by = if tls == Tls::Srp { Authentication::Password } else { Authentication::Pinned };
            assert_eq!((security.method, security.authenticated_by), (setup.method(), by));
            let certificate = security.certificate.map(|certificate| certificate.fingerprint_sha256());
            assert_eq!(certificate, (tls != Tls::Srp).then(|| fingerprint(other(side))));
            assert!(security.changed_from.is_empty() && !security.out_of_date);
            assert_eq!(security.tls.version == xtls_tls::TlsVersion::Tls13, tls == Tls::V13);
            assert_eq!(pair.end(side).record().secured_by, [setup.method()]);
        }
    }
    let [one, next] = [(); 2].map(|()| bindings(&Setup::new(Tls::V13).secured().0[0]));
    assert_ne!(one, next, "each channel has keys of its own");
}

#[test]
fn records_may_be_cut_anyhow() {
    for tls in EACH_TLS {
        let mut pair = Setup::new(tls).begun();
        let mut told = [0; 2];
        while let Some(side) = SIDES.into_iter().find(|side| !pair.end(*side).out.is_empty()) {
            for byte in pair.end(side).send() {
                let progress = pair.end(other(side)).read(&[byte]);
                assert!(progress.fault.is_none(), "{progress:?}");
                told[at(other(side))] += usize::from(progress.secured);
            }
        }
        assert_eq!((told, pair.states()), ([1, 1], ["secured", "secured"]));
    }
}

#[test]
fn plaintext_goes_both_ways() {
    for tls in EACH_TLS {
        let mut pair = Setup::new(tls).secured();
        for side in SIDES {
            pair.end(side).write(b"but soft");
            assert_eq!(pair.pass(side).received, 8);
            assert_eq!(pair.end(other(side)).plaintext, b"but soft");
        }
    }
}

#[test]
fn the_first_client_hello_says_the_method_and_one_that_was_not_answered_is_refused() {
    for (answered, tls) in [(Method::X509, Tls::Srp), (Method::Srp, Tls::V13)] {
        let mut pair = Setup::new(tls).begun();
        let hello = pair.end(I).send();
        let End { channel, env, plaintext, out, .. } = pair.end(R);
        let listen = Listen { agreed: None, answered: &[answered], start: Start::PLAIN };
        let refused = fault(channel.listen(&hello, listen, &mut Io { env, plaintext, out }));
        assert!(matches!(refused, Fault::NoCommonMethod { offered } if offered != [answered]));
        assert!(pair.end(R).out.is_empty() && pair.end(R).channel.security().is_none());
    }
}

#[test]
fn an_initiator_may_go_on_unconfirmed_and_is_told_of_the_confirmation_later() {
    for by_ticket in [true, false] {
        let mut setup = Setup::strangers(Tls::V13, TrustPolicy::LeapOfFaith);
        setup.tickets = by_ticket;
        let mut pair = setup.begun();
        let _ = pair.pass(I);
        let _ = pair.pass(R);
        let End { channel, env, .. } = pair.end(I);
        assert!(channel.is_confirming());
        let progress = channel.go_on_unconfirmed(env);
        assert!(progress.secured && !progress.accepted && progress.fault.is_none());
        let security = pair.security(I);
        assert!(!security.confirmed && security.authenticated_by == Authentication::LeapOfFaith);
        // Nothing is remembered of a peer that has not accepted us.
        assert_eq!(pair.end(I).record(), TrustRecord::default());
        let _ = pair.pass(I);
        if !by_ticket {
            assert!(pair.end(R).out.is_empty(), "the responder's first byte is the first thing it says");
            pair.end(R).write(b"but soft");
        }
        let mut progress = pair.pass(R);
        if !by_ticket {
            assert!(!progress.confirmed);
            progress = pair.end(I).confirm(Sign::Header);
        }
        assert!(progress.confirmed && !progress.secured && progress.fault.is_none());
        assert!(pair.security(I).confirmed);
        let record = pair.end(I).record();
        assert_eq!(record.pins, [Pin::new(fingerprint(R), Learned::LeapOfFaith).with_since(time(UNIX))]);
        assert_eq!(record.secured_by, [Method::X509]);
        // It is told once.
        pair.end(R).write(b"what light");
        assert!(!pair.pass(R).confirmed && !pair.end(I).confirm(Sign::Data).confirmed);
        assert_eq!(setup.store(I).count(Call::Confirm), 1);
    }
}

#[test]
fn without_a_ticket_the_transport_says_what_confirms() {
    for sign in [Sign::Header, Sign::Data] {
        let mut setup = Setup::new(Tls::V13);
        setup.tickets = false;
        let mut pair = setup.begun();
        pair.settle();
        assert_eq!(pair.states(), ["confirming", "secured"]);
        pair.end(R).write(b"but soft");
        let progress = pair.pass(R);
        // Bytes alone say nothing.
        assert!(!progress.secured && progress.received == 8, "{progress:?}");
        assert!(pair.end(I).record().secured_by.is_empty());
        let progress = pair.end(I).confirm(sign);
        assert!(progress.secured && pair.security(I).confirmed);
        assert_eq!(pair.end(I).plaintext, b"but soft");
        assert_eq!(pair.end(I).record().secured_by, [Method::X509]);
    }
}

/// Hands an initiator what the responder has to say as if it had been sent before the initiator's last flight left, as a server
/// of TLS 1.3 may (RFC 8446 § 4.4.4).
fn told_early(pair: &mut Pair, words: &[u8]) -> Progress {
    let _ = pair.pass(I);
    let _ = pair.pass(R);
    let flight = std::mem::take(&mut pair.end(I).out);
    assert!(pair.end(R).read(&flight).secured);
    if !words.is_empty() {
        pair.end(R).write(words);
    }
    pair.pass(R)
}

#[test]
fn p17_nothing_that_came_before_our_last_flight_left_confirms() {
    for tickets in [true, false] {
        for words in [b"".as_slice(), b"but soft"] {
            let mut setup = Setup::strangers(Tls::V13, TrustPolicy::LeapOfFaith);
            setup.tickets = tickets;
            let mut pair = setup.begun();
            let progress = told_early(&mut pair, words);
            assert!(!progress.secured && progress.fault.is_none());
            for sign in [Sign::Header, Sign::Data] {
                assert!(!pair.end(I).confirm(sign).secured, "{sign:?}");
            }
            pair.end(I).channel.flight_left();
            // Nor does a header whose first bytes are among them.
            assert_eq!(pair.end(I).confirm(Sign::Header).secured, words.is_empty());
            if !words.is_empty() {
                assert_eq!(pair.states()[0], "confirming");
                assert_eq!(pair.end(I).record(), TrustRecord::default());
                pair.end(R).write(b"what light");
                assert!(!pair.pass(R).secured);
                assert!(pair.end(I).confirm(Sign::Data).secured);
            }
            assert!(pair.security(I).confirmed);
        }
    }
}

#[test]
fn p17_a_peer_that_refuses_us_after_early_data_is_never_secured() {
    let setup = Setup::strangers(Tls::V13, TrustPolicy::LeapOfFaith);
    let mut pair = setup.begun();
    let _ = told_early(&mut pair, b"but soft");
    pair.end(I).channel.flight_left();
    // certificate_unknown cannot be made here; the end of its direction says as little in our favour.
    let End { channel, out, .. } = pair.end(R);
    channel.close_write(out);
    let progress = pair.pass(R);
    assert!(!progress.secured && pair.end(I).channel.security().is_none());
    assert_eq!((pair.end(I).record(), setup.store(I).count(Call::Confirm)), (TrustRecord::default(), 0));
}

#[test]
fn nobody_but_a_waiting_initiator_goes_on_unconfirmed() {
    for tls in EACH_TLS {
        let mut pair = Setup::new(tls).begun();
        for flight in 0..5 {
            let before = pair.states();
            for side in SIDES {
                if pair.end(side).channel.is_confirming() {
                    continue;
                }
                let End { channel, env, .. } = pair.end(side);
                assert!(!channel.go_on_unconfirmed(env).secured);
            }
            assert_eq!(pair.states(), before);
            let _ = pair.pass(if flight % 2 == 0 { I } else { R });
        }
    }
}

#[test]
fn the_two_directions_end_apart() {
    for side in SIDES {
        let mut pair = Setup::new(Tls::V13).secured();
        let End { channel, out, .. } = pair.end(side);
        channel.close_write(out);
        assert_eq!(channel.write(b"late", &mut Vec::new()), Err(WriteError::Closed));
        assert!(pair.pass(side).fault.is_none());
        let end = pair.end(other(side));
        assert!(end.channel.peer_closed() && end.plaintext.is_empty());
        end.write(b"I am not done");
        assert!(pair.pass(other(side)).fault.is_none());
        let end = pair.end(side);
        assert!(!end.channel.peer_closed() && end.plaintext == b"I am not done");
        // Doing it twice does nothing.
        end.channel.close_write(&mut end.out);
        assert!(end.out.is_empty());
        let End { channel, out, .. } = pair.end(other(side));
        channel.close_write(out);
        let _ = pair.pass(other(side));
        assert!(pair.end(side).channel.peer_closed());
    }
}

#[test]
fn an_end_that_is_not_secured_has_nothing_to_write_or_to_close() {
    for tls in EACH_TLS {
        for side in SIDES {
            let mut pair = Setup::new(tls).begun();
            let _ = pair.pass(I);
            let End { channel, out, .. } = pair.end(side);
            let before = out.len();
            assert_eq!(channel.write(b"early", out), Err(WriteError::NotSecured));
            channel.close_write(out);
            assert_eq!(out.len(), before);
        }
    }
}

#[test]
fn after_its_end_a_channel_still_says_how_it_was_secured_and_nothing_else() {
    for tls in EACH_TLS {
        for side in SIDES {
            let mut pair = Setup::new(tls).secured();
            pair.end(other(side)).write(b"too late");
            let end = pair.end(side);
            let before = end.channel.security().map(ToString::to_string);
            end.channel.abandon();
            end.channel.abandon();
            assert!(before.is_some() && end.channel.security().map(ToString::to_string) == before);
            assert!(bindings(end).is_none() && end.channel.peer_certificate().is_none());
            assert_eq!(end.channel.write(b"more", &mut end.out), Err(WriteError::Closed));
            end.channel.close_write(&mut end.out);
            let progress = pair.pass(other(side));
            assert!(progress.received == 0 && progress.fault.is_none());
            let end = pair.end(side);
            assert!(end.plaintext.is_empty() && end.out.is_empty());
        }
    }
}

#[test]
fn a_channel_that_is_abandoned_on_the_way_is_secured_by_nothing() {
    for tls in EACH_TLS {
        for flights in 0..3 {
            let mut pair = Setup::new(tls).begun();
            for flight in 0..flights {
                let _ = pair.pass(if flight % 2 == 0 { I } else { R });
            }
            let end = pair.end(I);
            end.channel.abandon();
            end.out.clear();
            assert!(end.is_dead(), "{tls:?} {flights}");
            let _ = pair.pass(R);
            assert!(pair.end(I).is_dead(), "{tls:?} {flights}");
        }
    }
}

#[test]
fn l06_a_password_is_held_no_longer_than_it_takes() {
    let password = word();
    let mut setup = Setup::new(Tls::Srp);
    setup.terms = setup.terms.map(|terms| Terms { password: Some(password.clone()), ..terms });
    let mut pair = setup.pair();
    setup.terms = setup.terms.map(|terms| Terms { password: None, ..terms });
    assert_eq!(password.holders(), 3, "here, and at both ends");
    // TLS has made of it what it needs.
    pair.begin(Method::Srp);
    assert_eq!(password.holders(), 2);
    pair.end(R).channel.abandon();
    assert_eq!(password.holders(), 1);
    let mut pair = setup.pair();
    pair.end(I).channel.provide_password(Some(password.clone()));
    assert_eq!(password.holders(), 2);
    pair.end(I).channel.provide_password(None);
    assert_eq!(password.holders(), 1);
}
