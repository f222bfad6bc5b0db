//! A server that locks the password by handshakes that it breaks, and then leaves the password method out (draft § 8.3).
use std::sync::Arc;

use crate::common::{
    JULIET, ROMEO, SECOND,
    ca::Ca,
    close, closed, data_of,
    password::{action, asking, by_word, guesses, meet, provide, secured, word},
    raw, sent_data, with_data,
};
use xtls::{
    Event, Fault, TrustDecision, TrustPolicy, TunnelOptions,
    error::{InitiateError, TermsError},
    trust::{Authentication, Method, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, Fate, World};

/// All that could take a certificate that nobody knows.
const POLICIES: [TrustPolicy; 3] = [TrustPolicy::Ask, TrustPolicy::LeapOfFaith, TrustPolicy::Authorities];

/// Romeo and Juliet, whose certificates an authority vouches for, and whom a password has secured before.
fn acquaintances() -> (World, [EntityId; 2]) {
    let ca = Ca::new();
    let mut world = World::default();
    world.relay.keep_log();
    let ends = [ROMEO, JULIET].map(|jid| {
        let mut options = EntityOptions::seeded(1);
        options.identity = Some(ca.issue(jid.split('/').next().unwrap()));
        options.real_cryptography = true;
        options.authorities = Some(Arc::clone(&ca.trusted));
        world.add(jid, options)
    });
    let [here, _] = meet(&mut world, ends, by_word(), by_word());
    for id in ends {
        assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Password);
    }
    close(&mut world, ends[0], here);
    world.run_for(SECOND);
    assert!(ends.into_iter().all(|id| closed(&mut world, id).done));
    (world, ends)
}

/// The server breaks three handshakes with the right password: it alters the client's Finished.
fn lock(world: &mut World, ends: [EntityId; 2]) {
    for broken in 1..=3 {
        let mut blocks = 0;
        world.relay.meddle(move |sent| {
            if sent.from != ROMEO || !sent.stanza.contains("<data ") {
                return Fate::Pass;
            }
            blocks += 1;
            let mut bytes = data_of(&sent.stanza);
            if blocks == 2 {
                *bytes.last_mut().unwrap() ^= 1;
            }
            Fate::Replace(vec![with_data(&sent.stanza, &bytes)])
        });
        meet(world, ends, by_word(), by_word());
        world.run_for(10 * SECOND);
        for id in ends {
            let end = closed(world, id);
            assert!(matches!(end.fault, Some(Fault::WrongPassword)) && !end.secured, "{end:?}");
        }
        assert_eq!([guesses(world, ends[0], ends[1]), guesses(world, ends[1], ends[0])], [broken, broken]);
    }
    world.relay.stop_meddling();
}

/// The server leaves the password method out of this message.
fn strip(world: &mut World, message: &'static str) {
    world.relay.meddle(move |sent| {
        if !action(&sent.stanza, message) {
            return Fate::Pass;
        }
        assert!(sent.stanza.contains("<method name='srp'/>"), "{}", sent.stanza);
        Fate::Replace(vec![sent.stanza.replace("<method name='srp'/>", "")])
    });
}

fn offer(world: &mut World, ends: [EntityId; 2], options: TunnelOptions) -> Result<xtls::TunnelId, InitiateError> {
    let peer = world.jid(ends[1]).clone();
    let offered = world.with(ends[0], |engine, now| engine.initiate(now, peer, options));
    world.run();
    offered
}

/// Forgets the wrong guesses and all else at an end, which a server cannot do: so that the other end alone is put to the test.
fn forget(world: &World, id: EntityId, peer: EntityId) {
    let peer = world.jid(peer).to_bare();
    world.with_store(id, |store| {
        assert!(store.remove(&peer) | store.forgive(&peer));
    });
}

/// The user is told that the password is locked, and was asked nothing; no handshake has begun.
fn is_told_of_the_lock(world: &mut World, id: EntityId, before: usize) {
    let events = world.take_events(id);
    let [Event::Closed(end)] = &*events else { panic!("no question, no leap: {events:?}") };
    let xtls::CloseReason::Fault(fault) = &end.reason else { panic!("{end:?}") };
    assert!(matches!(**fault, Fault::PasswordLocked { .. }) && fault.is_security(), "{fault:?}");
    assert_eq!(sent_data(world, ROMEO, JULIET), before);
}

#[test]
fn m03_a_lock_is_told_when_the_tunnel_is_asked_for() {
    for policy in POLICIES {
        let (mut world, ends) = acquaintances();
        lock(&mut world, ends);
        let before = world.relay.log().len();
        for options in [asking(policy), raw(policy).with_password(word())] {
            assert_eq!(offer(&mut world, ends, options), Err(InitiateError::Terms(TermsError::PasswordLocked)));
        }
        assert_eq!(world.relay.log().len(), before, "nothing was sent");
    }
}

#[test]
fn m03_an_initiator_that_is_locked_while_its_offer_rings_is_told_of_the_lock() {
    for policy in POLICIES {
        for stripped in [true, false] {
            let (mut world, ends) = acquaintances();
            offer(&mut world, ends, asking(policy)).unwrap();
            let ringing = world.take_events(ends[1]);
            lock(&mut world, ends);
            let before = sent_data(&world, ROMEO, JULIET);
            forget(&world, ends[1], ends[0]);
            if stripped {
                strip(&mut world, "session-accept");
            }
            let [Event::Incoming(incoming)] = <[Event; 1]>::try_from(ringing).unwrap() else { panic!("an offer") };
            let options = raw(policy).with_password(word());
            // What Juliet answers with is hers to say: the password, and a certificate beside it where she would ask.
            world.with(ends[1], |engine, now| engine.accept(now, incoming, options)).unwrap();
            world.run();
            is_told_of_the_lock(&mut world, ends[0], before);
            assert!(!closed(&mut world, ends[1]).secured);
        }
    }
}

#[test]
fn m03_a_responder_that_is_locked_is_told_of_the_lock() {
    for policy in POLICIES {
        for stripped in [true, false] {
            for there in [asking(policy), raw(policy).with_password(word())] {
                let (mut world, ends) = acquaintances();
                lock(&mut world, ends);
                let before = sent_data(&world, ROMEO, JULIET);
                forget(&world, ends[0], ends[1]);
                if stripped {
                    strip(&mut world, "session-initiate");
                }
                offer(&mut world, ends, raw(TrustPolicy::Ask).with_password(word())).unwrap();
                world.accept(ends[1], there).unwrap();
                world.run();
                is_told_of_the_lock(&mut world, ends[1], before);
                assert!(!closed(&mut world, ends[0]).secured);
            }
        }
    }
}

#[test]
fn m03_a_pinned_certificate_is_as_good_as_ever_where_the_password_is_locked_and_left_out() {
    for policy in POLICIES {
        for locked in [0, 1] {
            let (mut world, ends) = acquaintances();
            lock(&mut world, ends);
            forget(&world, ends[1 - locked], ends[locked]);
            world.introduce(ends[0], ends[1]);
            if locked == 1 {
                // An initiator that is locked has left it out of its offer itself.
                strip(&mut world, "session-initiate");
            }
            meet(&mut world, ends, asking(policy), asking(policy));
            for id in ends {
                assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Pinned, "{policy:?} {locked}");
            }
        }
    }
}

#[test]
fn m03_who_allows_a_downgrade_is_asked_and_told_what_secured_the_peer_before() {
    for locked in [0, 1] {
        let (mut world, ends) = acquaintances();
        lock(&mut world, ends);
        let (id, other) = (ends[locked], ends[1 - locked]);
        forget(&world, other, id);
        world.trust(other, id);
        let mut allowed = asking(TrustPolicy::Ask);
        allowed.terms.allow_downgrade = true;
        let pinned = raw(TrustPolicy::Pinned);
        let [here, there] = if locked == 0 { [allowed, pinned] } else { [pinned, allowed] };
        let tunnels = meet(&mut world, ends, here, there);
        let events = world.take_events(id);
        let [Event::TrustRequired { question, .. }] = &*events else { panic!("{events:?}") };
        assert_eq!(question.secured_by, [Method::Srp], "it is no stranger");
        assert!(question.previous.is_empty());
        assert_eq!(question.certificate.fingerprint_sha256(), world.identity(other).fingerprint_sha256());
        world
            .with(id, |engine, now| engine.tunnel(tunnels[locked]).unwrap().trust(now, TrustDecision::Accept))
            .unwrap();
        world.run();
        assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Approved);
        let peer = world.jid(other).to_bare();
        let record = world.with_store(id, |store| store.record(&peer).unwrap());
        assert_eq!((record.pins.len(), record.secured_by), (1, vec![Method::Srp, Method::X509]));
    }
}

/// Who meets somebody for the first time may still be told by its user that there is no password.
#[test]
fn a_stranger_whose_password_is_not_locked_may_be_leapt_to() {
    let (mut world, ends) = acquaintances();
    for (id, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        forget(&world, id, peer);
    }
    let tunnels = meet(&mut world, ends, asking(TrustPolicy::LeapOfFaith), raw(TrustPolicy::LeapOfFaith));
    crate::common::password::asked(&mut world, ends[0], xtls::event::Side::Initiator);
    provide(&mut world, ends[0], tunnels[0], None);
    for id in ends {
        assert_eq!(secured(&mut world, id).authenticated_by, Authentication::LeapOfFaith);
    }
}
