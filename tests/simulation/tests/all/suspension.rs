//! Outer streams that are away and come back (XEP-0198): nothing is lost, nothing ends that need not.
use std::time::Duration;

use crate::common::{
    JULIET, MILLI, ROMEO, SECOND, bodies, closed, deadline, initiate, left, noise, piping, read, send, streaming,
    write, xml,
};
use xtls::{EndedBy, Event, Fault, Timer, TrustPolicy, TunnelId};
use xtls_testkit::{EntityId, EntityOptions, World};

const AWAY: Duration = Duration::from_secs(300);

/// How a stream is away.
#[derive(Debug, Clone, Copy)]
enum Absence {
    /// Whose stream it is knows, and its peer does not.
    Told,
    /// Nobody knows.
    Untold,
}

const ABSENCES: [Absence; 2] = [Absence::Told, Absence::Untold];

impl Absence {
    fn begin(self, world: &mut World, id: EntityId) {
        match self {
            Self::Told => world.suspend(id),
            Self::Untold => world.hold(id),
        }
    }

    fn end(self, world: &mut World, id: EntityId) {
        match self {
            Self::Told => world.resume(id),
            Self::Untold => world.release(id),
        }
    }
}

/// Romeo writes and Juliet reads for so long.
fn transfer(world: &mut World, ids: [EntityId; 2], tunnels: [TunnelId; 2], text: &[u8], at: &mut usize) -> Vec<u8> {
    if *at < text.len() {
        *at += write(world, ids[0], tunnels[0], &text[*at..]);
    }
    world.run_for(MILLI * 50);
    read(world, ids[1], tunnels[1])
}

#[test]
fn wire_2_38_bytes_survive_300_seconds_without_either_end_wherever_they_begin() {
    for (which, absence) in [0, 1].into_iter().flat_map(|which| ABSENCES.map(|absence| (which, absence))) {
        for step in 0..12 {
            let (mut world, ids, tunnels) = piping(70);
            world.relay.set_bandwidth(Some(100_000));
            let text = noise(100_000, step);
            let (mut at, mut received) = (0, Vec::new());
            for _ in 0..step {
                received.extend(transfer(&mut world, ids, tunnels, &text, &mut at));
            }
            absence.begin(&mut world, ids[which]);
            for _ in 0..60 {
                received.extend(transfer(&mut world, ids, tunnels, &text, &mut at));
                world.run_for(AWAY / 60 - MILLI * 50);
            }
            let before = received.len();
            assert!(before < text.len(), "in mid-transfer");
            absence.end(&mut world, ids[which]);
            for _ in 0..200 {
                received.extend(transfer(&mut world, ids, tunnels, &text, &mut at));
            }
            assert!(received == text, "{which} {absence:?} {step}: {before}, {} of {}", received.len(), text.len());
            crate::common::close(&mut world, ids[1], tunnels[1]);
            world.run();
            assert!(closed(&mut world, ids[0]).is_clean(EndedBy::Remote), "{which} {absence:?} {step}");
            assert!(closed(&mut world, ids[1]).is_clean(EndedBy::Local), "{which} {absence:?} {step}");
        }
    }
}

#[test]
fn wire_2_38_stanzas_survive_300_seconds_without_either_end_in_both_directions() {
    for (which, absence) in [0, 1].into_iter().flat_map(|which| ABSENCES.map(|absence| (which, absence))) {
        let (mut world, ids, tunnels) = streaming(72);
        let mut said = Vec::new();
        for number in 0..40 {
            match number {
                10 => absence.begin(&mut world, ids[which]),
                30 => absence.end(&mut world, ids[which]),
                _ => {}
            }
            said.push(number.to_string());
            for (id, tunnel) in ids.into_iter().zip(tunnels) {
                send(&mut world, id, tunnel, &number.to_string()).unwrap();
            }
            world.run_for(if (10..30).contains(&number) { AWAY / 20 } else { MILLI * 20 });
        }
        world.run_for(SECOND);
        for id in ids {
            let events = world.take_events(id);
            assert_eq!(bodies(&events), said, "{which} {absence:?}");
            assert!(!events.iter().any(|event| matches!(event, Event::Closed(_))));
        }
    }
}

/// At any point between the ClientHello and the first stanza, once both ends are secured.
#[test]
fn wire_2_38_a_secured_tunnel_survives_before_its_stream_is_open_too() {
    for which in [0, 1] {
        for absence in ABSENCES {
            let mut suspended = 0;
            for step in 0..20 {
                let (mut world, romeo, juliet) = World::pair(74);
                let tunnel = initiate(&mut world, romeo, juliet);
                world.run();
                let there = world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
                world.run_for(MILLI * 30 * step);
                let secured = |world: &mut World, id, tunnel| {
                    world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().security().is_some())
                };
                if !secured(&mut world, romeo, tunnel) || !secured(&mut world, juliet, there) {
                    continue;
                }
                suspended += 1;
                absence.begin(&mut world, [romeo, juliet][which]);
                world.run_for(AWAY);
                absence.end(&mut world, [romeo, juliet][which]);
                world.run_for(SECOND);
                send(&mut world, romeo, tunnel, "hi").unwrap();
                world.run_for(SECOND);
                assert_eq!(bodies(&world.take_events(juliet)), ["hi"], "{which} {absence:?} {step}");
            }
            assert!(suspended > 2, "{suspended}");
        }
    }
}

#[test]
fn a_suspension_may_last_for_an_hour_and_not_longer() {
    for (longer, resumes) in [(false, true), (true, true), (true, false)] {
        let (mut world, ids, [here, _]) = streaming(76);
        ids.into_iter().for_each(|id| world.suspend(id));
        assert_eq!(left(&mut world, ids[0]), (3600 * SECOND, Timer::Suspended));
        world.run_for(3600 * SECOND - MILLI);
        assert!(world.take_events(ids[0]).is_empty());
        if !longer {
            ids.into_iter().for_each(|id| world.resume(id));
            world.run();
            send(&mut world, ids[0], here, "still here").unwrap();
            world.run();
            assert_eq!(bodies(&world.take_events(ids[1])), ["still here"]);
            continue;
        }
        if resumes {
            // Nobody looked at the timers.
            world.with(ids[0], |engine, now| engine.handle_resumed(now + MILLI));
        } else {
            world.run_for(MILLI);
        }
        world.run();
        assert!(matches!(closed(&mut world, ids[0]).fault, Some(Fault::Disconnected)));
        assert_eq!(deadline(&mut world, ids[0]), None);
    }
}

#[test]
fn the_bound_of_a_suspension_can_be_set() {
    let mut world = World::default();
    let mut options = EntityOptions::seeded(78);
    options.config.timers.suspended = SECOND * 7;
    let juliet = world.add(JULIET, options);
    world.suspend(juliet);
    assert_eq!(left(&mut world, juliet), (7 * SECOND, Timer::Suspended));
    world.run_for(SECOND * 7);
    assert_eq!(deadline(&mut world, juliet), None);
}

#[test]
fn a_connection_that_breaks_while_it_is_suspended_ends_everything() {
    let (mut world, [romeo, juliet], _) = streaming(80);
    world.suspend(romeo);
    world.run_for(SECOND * 100);
    world.disconnect(romeo);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Disconnected)));
    assert_eq!(deadline(&mut world, romeo), None);
    world.with(romeo, |engine, now| engine.handle_resumed(now));
    assert_eq!(deadline(&mut world, romeo), None);
    // The next login begins anew, by the real clock.
    world.relay.set_online(ROMEO, true);
    world.run_for(SECOND * 600);
    let _ = world.take_events(juliet);
    world.connect(romeo, juliet);
}

#[test]
fn to_suspend_twice_and_to_resume_what_is_not_suspended_does_nothing() {
    let (mut world, romeo, juliet) = World::pair(82);
    initiate(&mut world, romeo, juliet);
    world.run();
    let before = deadline(&mut world, romeo);
    world.with(romeo, |engine, now| engine.handle_resumed(now));
    assert_eq!(deadline(&mut world, romeo), before);
    world.suspend(romeo);
    world.run_for(SECOND * 100);
    world.suspend(romeo);
    assert_eq!(left(&mut world, romeo), (3500 * SECOND, Timer::Suspended));
    world.resume(romeo);
    let (before, after) = (before.unwrap(), deadline(&mut world, romeo).unwrap());
    assert_eq!((after.at, after.timer), (before.at + SECOND * 100, before.timer));
}
