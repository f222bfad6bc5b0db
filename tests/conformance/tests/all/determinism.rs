//! The same seeds give the same bytes, and how input is cut does not matter.
use core::time::Duration;

use crate::common::{JULIET, ROMEO, kinds, message};
use proptest::prelude::*;
use xtls::{Application, Event, TrustPolicy, TunnelOptions, config::Window};
use xtls_stanza::ns;
use xtls_testkit::{EntityId, EntityOptions, World};

/// A whole session, as it crossed the relay: when, who, what.
fn transcript(seeds: [u8; 2]) -> Vec<String> {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(seeds[0]));
    let juliet = world.add(JULIET, EntityOptions::seeded(seeds[1]));
    world.introduce(romeo, juliet);
    let start = world.now();
    let (tunnel, other) = world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for number in 0..20 {
        let (from, at) = if number % 3 == 0 { (juliet, other) } else { (romeo, tunnel) };
        let text = message(&"wherefore ".repeat(number * 40));
        world.with(from, |engine, now| engine.tunnel(at).unwrap().send(now, &text)).unwrap();
        world.run_for(Duration::from_millis(30));
    }
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    world.run();
    let log = world.relay.log().iter();
    log.map(|passed| format!("{:?} {} {} {}", passed.at - start, passed.from, passed.to, passed.stanza)).collect()
}

#[test]
fn the_same_seeds_give_a_byte_identical_transcript() {
    let once = transcript([7, 8]);
    assert!(once.len() > 70, "{}", once.len());
    assert_eq!(once, transcript([7, 8]));
}

#[test]
fn another_seed_of_either_end_gives_another_transcript() {
    let once = transcript([7, 8]);
    for seeds in [[9, 8], [7, 9]] {
        let other = transcript(seeds);
        assert_ne!(once, other);
        // ... of the same shape.
        let shape = |lines: &[String]| {
            lines.iter().map(|line| line.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(shape(&once), shape(&other));
        // Every identifier differs; nothing of the one is in the other.
        let ids = |lines: &[String]| -> std::collections::BTreeSet<String> {
            let id = |line: &String| {
                crate::common::id(&crate::common::element(line.splitn(4, ' ').nth(3).unwrap())).to_owned()
            };
            lines.iter().filter(|line| line.contains("type='set'")).map(id).collect()
        };
        let own = usize::from(seeds[0] == 7);
        let sender = [ROMEO, JULIET][own];
        let of = |lines: &[String]| {
            ids(&lines.iter().filter(|line| line.split(' ').nth(1) == Some(sender)).cloned().collect::<Vec<_>>())
        };
        assert!(of(&once).is_disjoint(&of(&other)));
    }
}

/// What may differ from run to run without any difference to the application.
#[derive(Debug, Clone)]
struct Conditions {
    block_sizes: [u16; 2],
    latency: u64,
    bandwidth: Option<u64>,
    window: Option<u16>,
    /// How the application cuts what it writes.
    chunks: Vec<usize>,
    receive_buffer: usize,
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let block_size = prop_oneof![Just(256_u16), Just(260), Just(1000), Just(4096), Just(32_760)];
    (
        [block_size.clone(), block_size],
        0_u64..300,
        prop_oneof![Just(None), (20_000_u64..2_000_000).prop_map(Some)],
        prop_oneof![Just(None), (1_u16..=32).prop_map(Some)],
        prop::collection::vec(1_usize..9000, 1..12),
        prop_oneof![Just(1_usize), Just(5000), Just(65_536)],
    )
        .prop_map(|(block_sizes, latency, bandwidth, window, chunks, receive_buffer)| Conditions {
            block_sizes,
            latency,
            bandwidth,
            window,
            chunks: chunks.into_iter().map(|size| if size % 1000 == 4 { 1 } else { size }).collect(),
            receive_buffer,
        })
}

fn world(conditions: &Conditions) -> (World, [EntityId; 2]) {
    let mut world = World::new(Duration::from_millis(conditions.latency));
    world.relay.set_bandwidth(conditions.bandwidth);
    let ids = [(ROMEO, 1, 0), (JULIET, 2, 1)].map(|(jid, seed, at)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.block_size = conditions.block_sizes[at];
        options.config.receive_buffer = conditions.receive_buffer;
        if let Some(blocks) = conditions.window {
            options.config.window = Window::Fixed(blocks);
        }
        world.add(jid, options)
    });
    world.introduce(ids[0], ids[1]);
    (world, ids)
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 % 253) as u8).collect()
}

/// What an application sees of a transfer of raw bytes, whatever the conditions: the bytes, and the kinds of event but
/// for those that only pace it.
fn raw_bytes(conditions: &Conditions) -> (Vec<u8>, [Vec<&'static str>; 2]) {
    let (mut world, [romeo, juliet]) = world(conditions);
    let options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    let (tunnel, other) = world.connect_with(romeo, juliet, options);
    let sent = pattern(40_000);
    let (mut at, mut received, mut cuts) = (0, Vec::new(), conditions.chunks.iter().cycle());
    let mut seen: [Vec<Event>; 2] = [Vec::new(), Vec::new()];
    while received.len() < sent.len() {
        let cut = sent.len().min(at + cuts.next().unwrap());
        at += world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().write(now, &sent[at..cut])).unwrap();
        world.run();
        world.with(juliet, |engine, now| engine.tunnel(other).unwrap().read(now, &mut received));
        for (seen, id) in seen.iter_mut().zip([romeo, juliet]) {
            seen.extend(world.take_events(id));
        }
    }
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().finish(now)).unwrap();
    world.run();
    world.with(juliet, |engine, now| engine.tunnel(other).unwrap().finish(now)).unwrap();
    world.run();
    for (seen, id) in seen.iter_mut().zip([romeo, juliet]) {
        seen.extend(world.take_events(id));
    }
    let paces = |kind: &&str| !matches!(*kind, "Readable" | "Writable");
    (received, seen.map(|events| kinds(&events).into_iter().filter(paces).collect()))
}

/// The same for an XML stream: the stanzas each end gets, and the kinds of event in order.
fn xml_stream(conditions: &Conditions) -> [(Vec<String>, Vec<&'static str>); 2] {
    let (mut world, [romeo, juliet]) = world(conditions);
    let (tunnel, other) = world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    let mut seen: [Vec<Event>; 2] = [Vec::new(), Vec::new()];
    for number in 0..24 {
        let text = message(&format!("{number} {}", "x".repeat(number * number * 20)));
        for (id, at) in [(romeo, tunnel), (juliet, other)] {
            world.with(id, |engine, now| engine.tunnel(at).unwrap().send(now, &text)).unwrap();
        }
        if conditions.chunks[number % conditions.chunks.len()].is_multiple_of(2) {
            world.run();
        }
        for (seen, id) in seen.iter_mut().zip([romeo, juliet]) {
            seen.extend(world.take_events(id));
        }
    }
    world.run();
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    world.run();
    for (seen, id) in seen.iter_mut().zip([romeo, juliet]) {
        seen.extend(world.take_events(id));
    }
    seen.map(|events| {
        let kinds = kinds(&events);
        let stanzas = crate::common::stanzas(events).iter().map(|stanza| stanza.to_xml(ns::CLIENT)).collect();
        (stanzas, kinds)
    })
}

/// The usual conditions, to compare with.
fn usual() -> Conditions {
    Conditions {
        block_sizes: [4096, 4096],
        latency: 50,
        bandwidth: None,
        window: None,
        chunks: vec![9000],
        receive_buffer: 65_536,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_raw_bytes_are_cut_the_same_bytes_and_events_come_out(conditions in conditions()) {
        let (received, events) = raw_bytes(&conditions);
        prop_assert_eq!(received, pattern(40_000));
        prop_assert_eq!(&events, &raw_bytes(&usual()).1);
        // The one that writes has a receipt.
        prop_assert_eq!(&events[0], &["Secured", "Receipt", "PeerFinished", "Closed"]);
        prop_assert_eq!(&events[1], &["Secured", "PeerFinished", "Closed"]);
    }

    #[test]
    fn however_a_stream_is_cut_the_same_stanzas_and_events_come_out(conditions in conditions()) {
        prop_assert_eq!(xml_stream(&conditions), xml_stream(&usual()));
    }
}
