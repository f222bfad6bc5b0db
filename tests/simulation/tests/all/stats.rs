//! What a tunnel tells of how it is doing, and of what it waited for.
use std::time::Duration;

use crate::common::{MILLI, SECOND, closed, noise, piping, raw, read, write};
use xtls::{
    Event, Fault, Timer, TrustPolicy, TunnelId,
    error::Unanswered,
    jingle::Action,
    stats::{TunnelPhase, TunnelStats},
    trust::MemoryTrustStore,
};
use xtls_stanza::{Condition, ErrorType, StanzaError};
use xtls_testkit::{EntityId, Fate, World};

fn stats(world: &mut World, id: EntityId, tunnel: TunnelId) -> TunnelStats {
    world.with(id, |engine, now| {
        engine.handle_timeout(now);
        engine.tunnel(tunnel).and_then(|tunnel| tunnel.stats()).expect("it has not ended")
    })
}

#[test]
fn a_tunnel_tells_how_far_it_has_come() {
    use TunnelPhase::{Asking, Closing, Confirming, Handshake, Judging, Offered, Secured};

    let (mut world, romeo, juliet) = World::pair(7);
    world.with_store(romeo, |store| *store = MemoryTrustStore::default());
    world.relay.set_latency(MILLI * 10);
    let peer = world.jid(juliet).clone();
    let options = raw(TrustPolicy::Ask);
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    let mut phases = vec![stats(&mut world, romeo, here).phase];
    let note = |phases: &mut Vec<TunnelPhase>, world: &mut World| {
        let phase = stats(world, romeo, here).phase;
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
    };
    let mut there = None;
    while phases.last() != Some(&Judging) {
        world.run_for(MILLI * 5);
        there = there.or_else(|| world.accept(juliet, raw(TrustPolicy::Pinned)));
        note(&mut phases, &mut world);
        assert!(phases.last() < Some(&Secured), "{phases:?}");
    }
    let decided = world.with(romeo, |engine, now| engine.tunnel(here).unwrap().trust(now, xtls::TrustDecision::Accept));
    decided.unwrap();
    for _ in 0..100 {
        note(&mut phases, &mut world);
        world.run_for(MILLI * 5);
    }
    crate::common::close(&mut world, romeo, here);
    note(&mut phases, &mut world);
    assert_eq!(phases, [Asking, Offered, Handshake, Judging, Confirming, Secured, Closing]);
    let told = stats(&mut world, juliet, there.unwrap());
    assert!(told.secured_for.is_some_and(|since| since < told.age), "{told:?}");
}

#[test]
fn a_tunnel_counts_what_goes_both_ways_and_how_long_it_takes() {
    let (mut world, [romeo, juliet], [here, there]) = piping(8);
    world.relay.set_latency(MILLI * 40);
    let before = [stats(&mut world, romeo, here), stats(&mut world, juliet, there)];
    let text = noise(10_000, 1);
    assert_eq!(write(&mut world, romeo, here, &text), text.len());
    world.run_for(MILLI * 60);
    let under_way = stats(&mut world, romeo, here);
    assert_eq!(under_way.sent - before[0].sent, 10_000);
    assert_eq!((under_way.acked - before[0].acked, under_way.blocks_in_flight), (0, 3));
    world.run_for(SECOND);
    let [sender, receiver] = [stats(&mut world, romeo, here), stats(&mut world, juliet, there)];
    assert_eq!((sender.acked, sender.blocks_in_flight), (sender.sent, 0));
    assert_eq!(receiver.received - before[1].received, 10_000);
    // What lies in the inbox counts, and reading it changes nothing.
    assert_eq!(read(&mut world, juliet, there), text);
    assert_eq!(stats(&mut world, juliet, there), receiver);
    // Three blocks of 4096 bytes, records and all.
    assert_eq!(sender.blocks_sent - before[0].blocks_sent, 3);
    assert_eq!(receiver.blocks_received - before[1].blocks_received, 3);
    let round_trip = sender.round_trip.expect("blocks were acknowledged");
    assert!((MILLI * 80..=MILLI * 100).contains(&round_trip), "{round_trip:?}");
    assert!(sender.window.is_some_and(|bytes| bytes >= 4096), "{sender:?}");
    assert_eq!(sender.age - before[0].age, SECOND + MILLI * 60);
    assert_eq!((sender.retries, receiver.retries), (0, 0));
}

#[test]
fn a_tunnel_counts_how_often_blocks_came_back() {
    let (mut world, [romeo, _], [here, _]) = piping(9);
    let mut left = 2;
    world.relay.meddle(move |passed| {
        if left > 0 && passed.stanza.contains("<data ") {
            left -= 1;
            return Fate::Bounce(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
        }
        Fate::Pass
    });
    let before = stats(&mut world, romeo, here);
    write(&mut world, romeo, here, b"once, again, and through");
    world.run_for(Duration::from_secs(30));
    let after = stats(&mut world, romeo, here);
    assert_eq!((after.retries, after.blocks_sent - before.blocks_sent), (2, 3));
    assert_eq!(after.acked, after.sent);
    assert!(world.take_events(romeo).iter().all(|event| !matches!(event, Event::Closed(_))));
}

/// Answers to stanzas with this in them get lost.
fn lose_answers(world: &mut World, to: &'static str) {
    let mut lost = None;
    world.relay.meddle(move |passed| {
        let attribute =
            |name: &str| passed.stanza.split(&format!(" {name}='")).nth(1)?.split('\'').next().map(str::to_owned);
        if passed.stanza.contains(to) {
            lost = attribute("id");
        }
        let is_answer = matches!(attribute("type").as_deref(), Some("result" | "error"));
        if is_answer && lost.is_some() && attribute("id") == lost { Fate::Replace(Vec::new()) } else { Fate::Pass }
    });
}

#[test]
fn a_tunnel_that_gets_no_answer_says_to_what() {
    for (request, expected, words) in [
        ("http://jabber.org/protocol/disco#info", Unanswered::Features, "features"),
        ("session-initiate", Unanswered::Session(Action::SessionInitiate), "to session-initiate"),
        ("<open ", Unanswered::Open, "bytestream"),
    ] {
        let (mut world, romeo, juliet) = World::pair(10);
        lose_answers(&mut world, request);
        let peer = world.jid(juliet).clone();
        world.with(romeo, |engine, now| engine.initiate(now, peer, raw(TrustPolicy::Pinned))).unwrap();
        for _ in 0..120 {
            world.run_for(SECOND);
            world.accept(juliet, raw(TrustPolicy::Pinned));
        }
        let fault = closed(&mut world, romeo).fault.expect("it failed");
        let Fault::Timeout { timer: Timer::Answer, stage: None, request } = fault else { panic!("{fault:?}") };
        assert_eq!(request, Some(expected));
        assert!(fault.to_string().contains(words), "{fault}");
    }
}
