//! Trust stores that fail, at either end of a tunnel.
use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, Mutex},
};

use crate::common::{
    JULIET, ROMEO, closed,
    password::{action, by_word, passed, strangers_with},
    raw, read, sent_data, terminations, write,
};
use xtls::{
    Event, Fault, TrustPolicy, TunnelOptions,
    error::{Blame, InitiateError, TermsError},
    trust::{MemoryTrustStore, Method, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, FailingStore, Fate, Passed, StoreCall, World};

const NAMES: [&str; 2] = [ROMEO, JULIET];

/// Two entities, of which this one's store can be told to fail. They know one another's certificates, unless they are to use
/// the password.
fn world(seed: u8, at: usize, options: &TunnelOptions) -> (World, [EntityId; 2], FailingStore) {
    let inside: Arc<Mutex<MemoryTrustStore>> = Arc::default();
    let store = FailingStore::new(Arc::clone(&inside));
    let mut entities = [EntityOptions::seeded(seed), EntityOptions::seeded(seed + 1)];
    entities[at].store = Some(inside);
    entities[at].trust_store = Some(Box::new(store.clone()));
    let [romeo, juliet] = entities;
    let (world, ends) = strangers_with(romeo, juliet);
    if !options.terms.methods.contains(&Method::Srp) {
        world_introduces(&world, ends);
    }
    (world, ends, store)
}

fn world_introduces(world: &World, [romeo, juliet]: [EntityId; 2]) {
    for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
        let pin = xtls::trust::Pin::manual(world.identity(peer).fingerprint_sha256());
        let peer = world.jid(peer).to_bare();
        world.with_store(id, |store| store.pin(&peer, pin));
    }
}

fn by_certificate() -> TunnelOptions {
    raw(TrustPolicy::Pinned)
}

/// Offers, and accepts if it comes to that.
fn meet(world: &mut World, ends: [EntityId; 2], options: &TunnelOptions) {
    let peer = world.jid(ends[1]).clone();
    world.with(ends[0], |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
    world.run();
    let _ = world.accept(ends[1], options.clone());
    world.run();
}

/// The tunnel has ended by the store's failure, and neither end was secured.
fn ended_by_the_store(world: &mut World, ends: [EntityId; 2], at: usize) {
    let end = closed(world, ends[at]);
    let Some(Fault::Store(error)) = &end.fault else { panic!("{end:?}") };
    assert_eq!(*error, FailingStore::error());
    assert_eq!(end.fault.as_ref().map(Fault::blame), Some(Blame::Ourselves));
    assert!(!end.secured && !end.security && !end.truncated, "{end:?}");
    assert_eq!(world.with(ends[at], |engine, _| engine.tunnels().count()), 0);
}

/// The other end has heard that it was over, and was not secured either.
fn the_other_was_told(world: &mut World, ends: [EntityId; 2], at: usize) {
    let other = closed(world, ends[1 - at]);
    assert!(other.condition.as_deref() == Some("general-error") && !other.secured, "{other:?}");
    assert_eq!(terminations(world, NAMES[at], NAMES[1 - at]), ["general-error"]);
}

#[test]
fn with_a_store_that_cannot_be_read_nothing_is_offered() {
    for options in [by_certificate(), by_word()] {
        let (mut world, ends, store) = world(1, 0, &options);
        store.fail(StoreCall::Record);
        let peer = world.jid(ends[1]).clone();
        let slip = world.with(ends[0], |engine, now| engine.initiate(now, peer.clone(), options.clone()));
        assert_eq!(slip, Err(InitiateError::Terms(TermsError::Store)));
        world.run();
        assert!(world.relay.log().is_empty() && world.take_events(ends[0]).is_empty());
        // It can be read again.
        store.mend();
        meet(&mut world, ends, &options);
        assert!(matches!(&*world.take_events(ends[0]), [Event::Secured { .. }]));
    }
}

#[test]
fn with_a_store_that_cannot_be_read_nothing_is_accepted() {
    for options in [by_certificate(), by_word()] {
        let (mut world, ends, store) = world(3, 1, &options);
        store.fail(StoreCall::Record);
        meet(&mut world, ends, &options);
        ended_by_the_store(&mut world, ends, 1);
        the_other_was_told(&mut world, ends, 1);
        assert!(!passed(&world, "session-accept"));
    }
}

/// The store fails at this call from the moment on when such a stanza passes. Gives how much data the end had sent by then.
fn fails_from(
    world: &mut World,
    store: &FailingStore,
    call: StoreCall,
    end: &'static str,
    moment: impl Fn(&Passed) -> bool + 'static,
) -> Rc<Cell<usize>> {
    let sent = Rc::new(Cell::new(0));
    let (store, counted) = (store.clone(), Rc::clone(&sent));
    let mut has_failed = false;
    world.relay.meddle(move |passed| {
        has_failed |= moment(passed);
        if has_failed {
            store.fail(call);
        } else if passed.from == end && passed.stanza.contains("<data ") {
            counted.set(counted.get() + 1);
        }
        Fate::Pass
    });
    sent
}

#[test]
fn a_store_that_fails_before_the_offer_or_the_choice_ends_the_tunnel_before_tls() {
    let support = |passed: &Passed| passed.from == JULIET && passed.stanza.contains("disco#info");
    let answer = |passed: &Passed| action(&passed.stanza, "session-accept");
    for options in [by_certificate(), by_word()] {
        let (mut world, ends, store) = world(5, 0, &options);
        fails_from(&mut world, &store, StoreCall::Record, ROMEO, support);
        meet(&mut world, ends, &options);
        ended_by_the_store(&mut world, ends, 0);
        assert!(!passed(&world, "session-initiate"));

        let (mut world, ends, store) = self::world(5, 0, &options);
        fails_from(&mut world, &store, StoreCall::Record, ROMEO, answer);
        meet(&mut world, ends, &options);
        ended_by_the_store(&mut world, ends, 0);
        the_other_was_told(&mut world, ends, 0);
        assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
    }
}

#[test]
fn a_store_that_fails_at_the_judgement_ends_the_tunnel_and_nothing_of_the_last_flight_is_sent() {
    for options in [by_certificate(), by_word()] {
        for at in [0, 1] {
            let (mut world, ends, store) = world(7, at, &options);
            // What leads to the judgement: the peer's first data, or its second one.
            let is_by_word = options.terms.methods.contains(&Method::Srp);
            let decisive = if at == 0 && !is_by_word { 1 } else { 2 };
            let seen = Cell::new(0);
            let peer = NAMES[1 - at];
            let moment = move |passed: &Passed| {
                if passed.from == peer && passed.stanza.contains("<data ") {
                    seen.set(seen.get() + 1);
                }
                seen.get() == decisive
            };
            let before = fails_from(&mut world, &store, StoreCall::Record, NAMES[at], moment);
            meet(&mut world, ends, &options);
            ended_by_the_store(&mut world, ends, at);
            assert!(before.get() > 0);
            assert_eq!(sent_data(&world, NAMES[at], peer), before.get(), "{at}");
            if !(is_by_word && at == 0) {
                the_other_was_told(&mut world, ends, at);
            }
        }
    }
}

#[test]
fn p14_a_guess_that_cannot_be_counted_is_not_made_at_either_end() {
    for at in [0, 1] {
        let (mut world, ends, store) = world(9, at, &by_word());
        store.fail(StoreCall::BeginGuess);
        meet(&mut world, ends, &by_word());
        ended_by_the_store(&mut world, ends, at);
        the_other_was_told(&mut world, ends, at);
        // The ClientHello, or the flight that answers it, and neither Finished.
        assert_eq!(sent_data(&world, NAMES[at], NAMES[1 - at]), 1);
    }
}

#[test]
fn what_cannot_be_written_is_told_and_the_tunnel_works() {
    for (options, call) in
        [(by_certificate(), StoreCall::Confirm), (by_word(), StoreCall::Confirm), (by_word(), StoreCall::GuessWasRight)]
    {
        for at in [0, 1] {
            let (mut world, ends, store) = world(11, at, &options);
            store.fail(call);
            let peer = world.jid(ends[1]).clone();
            let ours = world.with(ends[0], |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
            world.run();
            let tunnels = [ours, world.accept(ends[1], options.clone()).unwrap()];
            world.run();
            let events = world.take_events(ends[at]);
            let [Event::Secured { security, .. }, Event::StoreFailed { id, error }] = &*events else {
                panic!("{events:?}")
            };
            assert!(security.confirmed);
            assert_eq!((*id, error), (tunnels[at], &FailingStore::error()));
            assert!(matches!(&*world.take_events(ends[1 - at]), [Event::Secured { .. }]));
            for from in [0, 1] {
                assert_eq!(write(&mut world, ends[from], tunnels[from], b"but soft"), 8);
                world.run();
                assert_eq!(read(&mut world, ends[1 - from], tunnels[1 - from]), b"but soft");
            }
            let peer = world.jid(ends[1 - at]).to_bare();
            let record = world.with_store(ends[at], |store| store.record(&peer).unwrap());
            let is_known = call == StoreCall::GuessWasRight;
            assert_eq!((record.secured_before(), record.attempts.failed), (is_known, u32::from(is_known)));
        }
    }
}
