//! A server that lets little through is noticed and told, and nothing else is; blocks fit into what servers take.
use std::time::Duration;

use crate::common::{
    JULIET, MILLI, ROMEO, SECOND, close, closed, message, noise, piping, read, sent, streaming, write,
};
use xtls::{EndedBy, Event, Fault, TunnelId};
use xtls_stanza::{Condition, ErrorType, StanzaError};
use xtls_testkit::{EntityId, Fate, World};

/// Prosody's and ejabberd's limits as their packages for Debian set them up: the rate, and how much more goes through after a rest.
const PROSODY: (u64, u64) = (10_000, 20_000);
const EJABBERD: (u64, u64) = (3000, 20_000);

/// One who writes and one who reads, and what is told meanwhile.
struct Transfer {
    world: World,
    ids: [EntityId; 2],
    tunnels: [TunnelId; 2],
    /// How many bytes are written in each tenth of a second, and read.
    writes: usize,
    reads: usize,
    got: Vec<u8>,
    /// When it was told, since the beginning, and what.
    told: Vec<(Duration, u64)>,
    time: Duration,
}

impl Transfer {
    const ALL: usize = usize::MAX;

    fn new(limit: Option<(u64, u64)>, round_trip: Duration) -> Self {
        let (mut world, ids, tunnels) = piping(1);
        world.relay.set_latency(round_trip / 2);
        world.relay.set_bandwidth(limit.map(|(rate, _)| rate));
        world.relay.set_burst(limit.map_or(0, |(_, burst)| burst));
        let time = Duration::ZERO;
        Self { world, ids, tunnels, writes: Self::ALL, reads: Self::ALL, got: Vec::new(), told: Vec::new(), time }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.time + time;
        let bytes = noise(256 * 1024, 1);
        while self.time < end {
            write(&mut self.world, self.ids[0], self.tunnels[0], &bytes[..bytes.len().min(self.writes)]);
            self.world.run_for(MILLI * 100);
            self.time += MILLI * 100;
            if self.reads == Self::ALL {
                self.got.extend(read(&mut self.world, self.ids[1], self.tunnels[1]));
            } else {
                self.read_some();
            }
            for event in self.world.take_events(self.ids[0]) {
                match event {
                    Event::Throttled { id, bytes_per_second } if id == self.tunnels[0] => {
                        self.told.push((self.time, bytes_per_second));
                    }
                    Event::Writable { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// A reader that takes all that has come, now and then, and at most `reads` bytes in each tenth of a second.
    fn read_some(&mut self) {
        let earned = self.reads * usize::try_from(self.time.as_millis() / 100).unwrap();
        if self.got.len() < earned {
            self.got.extend(read(&mut self.world, self.ids[1], self.tunnels[1]));
        }
    }

    fn throttled(&mut self) -> Option<u64> {
        let (id, tunnel) = (self.ids[0], self.tunnels[0]);
        self.world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().stats().unwrap().throttled)
    }

    /// Questions for a sign of life that went out.
    fn asked(&self) -> usize {
        sent(&self.world, ROMEO, JULIET).iter().filter(|stanza| stanza.contains("session-info")).count()
    }
}

#[test]
fn a_server_that_throttles_is_told_within_ten_seconds_and_once() {
    for round_trip in [1, 50, 300] {
        for (limit, within, rate) in
            [(PROSODY, 10, 6500..8000), (EJABBERD, 11, 1900..2400), ((30_000, 60_000), 15, 19_000..23_000)]
        {
            let mut transfer = Transfer::new(Some(limit), MILLI * round_trip);
            transfer.run_for(SECOND * within);
            let told = transfer.told.clone();
            let [(at, told)] = *told else { panic!("{limit:?} at {round_trip}: {told:?}") };
            assert!(at > SECOND * 3 && rate.contains(&told), "{limit:?} at {round_trip}: {told} after {at:?}");
            assert_eq!(transfer.throttled(), Some(told));
            transfer.run_for(SECOND * 120);
            assert_eq!(transfer.told.len(), 1, "{limit:?} at {round_trip}: {:?}", transfer.told);
            assert!((1..=2).contains(&transfer.asked()), "{limit:?} at {round_trip}: {}", transfer.asked());
        }
    }
}

/// Nothing is known of the rate at the start. Where a limit is known of, what else the user sends waits for two blocks at most all the same.
#[test]
fn where_a_server_announces_a_limit_two_blocks_go_at_first_and_four_elsewhere() {
    for (announced, first) in [(None, 4), (Some(262_144), 2)] {
        let mut transfer = Transfer::new(Some(PROSODY), MILLI * 300);
        let (id, tunnel) = (transfer.ids[0], transfer.tunnels[0]);
        transfer.world.with(id, |engine, now| engine.set_stanza_limit(now, announced));
        write(&mut transfer.world, id, tunnel, &noise(200_000, 1));
        transfer.world.run_for(MILLI * 50);
        let stats = transfer.world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().stats().unwrap());
        assert_eq!(stats.blocks_in_flight, first, "{announced:?}");
        transfer.run_for(SECOND * 20);
        assert_eq!(transfer.told.len(), 1, "{:?}", transfer.told);
    }
}

#[test]
fn a_limit_that_changes_a_lot_is_told_again_and_one_that_is_lifted_is_forgotten() {
    let mut transfer = Transfer::new(Some(PROSODY), MILLI * 50);
    transfer.run_for(SECOND * 20);
    transfer.world.relay.set_bandwidth(Some(12_000));
    transfer.run_for(SECOND * 60);
    assert_eq!(transfer.told.len(), 1, "not much of a change");
    transfer.world.relay.set_bandwidth(Some(3000));
    transfer.run_for(SECOND * 60);
    assert_eq!(transfer.told.len(), 2, "{:?}", transfer.told);
    assert!((1900..2400).contains(&transfer.told[1].1) || (1900..4200).contains(&transfer.told[1].1));
    transfer.world.relay.set_bandwidth(None);
    transfer.run_for(SECOND * 20);
    assert_eq!((transfer.told.len(), transfer.throttled()), (2, None));
    transfer.world.relay.set_bandwidth(Some(10_000));
    transfer.run_for(SECOND * 20);
    assert_eq!(transfer.told.len(), 3, "after a time without a limit it is news: {:?}", transfer.told);
}

#[test]
fn a_long_way_is_no_throttle() {
    // With 32 blocks in flight and six seconds there and back it is some 20 kB a second.
    for round_trip in [1000, 3000, 6000] {
        let mut transfer = Transfer::new(None, MILLI * round_trip);
        transfer.run_for(SECOND * 120);
        assert_eq!((transfer.told.len(), transfer.asked()), (0, 0), "{round_trip}: {:?}", transfer.told);
    }
    let mut fast = Transfer::new(Some((1_000_000, 0)), MILLI * 4000);
    fast.run_for(SECOND * 120);
    assert_eq!(fast.told, []);
}

#[test]
fn who_has_little_to_send_is_not_throttled() {
    // 2 kB in each tenth of a second, over a server that takes twice as much.
    let mut transfer = Transfer::new(Some((60_000, 0)), MILLI * 50);
    transfer.writes = 2000;
    transfer.run_for(SECOND * 60);
    assert_eq!((transfer.told.len(), transfer.asked()), (0, 0), "{:?}", transfer.told);
    // And through one that takes less than that, it is.
    let mut transfer = Transfer::new(Some(PROSODY), MILLI * 50);
    transfer.writes = 2000;
    transfer.run_for(SECOND * 15);
    assert_eq!(transfer.told.len(), 1);
}

#[test]
fn a_peer_that_reads_slowly_is_not_taken_for_a_server_that_throttles() {
    for reads in [200, 500, 1000, 2000] {
        let mut transfer = Transfer::new(None, MILLI * 50);
        transfer.reads = reads;
        transfer.run_for(SECOND * 300);
        assert_eq!(transfer.told, [], "{reads}");
        assert!(transfer.asked() <= 12, "it is not asked for ever: {}", transfer.asked());
    }
}

#[test]
fn bursts_and_a_connection_that_stands_still_for_a_while_are_no_throttle() {
    let mut transfer = Transfer::new(Some((200_000, 100_000)), MILLI * 50);
    for _ in 0..20 {
        transfer.run_for(SECOND * 2);
        // Nothing gets through for four seconds.
        transfer.world.relay.hold(JULIET);
        transfer.run_for(SECOND * 4);
        let now = transfer.world.now();
        transfer.world.relay.release(now, JULIET);
    }
    assert_eq!(transfer.told, []);
    // And away for a minute, with what waited coming at once after that.
    for _ in 0..3 {
        for id in transfer.ids {
            transfer.world.suspend(id);
        }
        transfer.run_for(SECOND * 60);
        for id in transfer.ids {
            transfer.world.resume(id);
        }
        transfer.run_for(SECOND * 20);
    }
    assert_eq!(transfer.told, []);
}

#[test]
fn messages_that_wait_in_a_stream_are_throttled_too() {
    let (mut world, [romeo, _], [here, _]) = streaming(1);
    world.relay.set_bandwidth(Some(10_000));
    let words = "But, soft! what light through yonder window breaks? ".repeat(40);
    for _ in 0..60 {
        world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &message(&words))).unwrap();
    }
    world.run_for(SECOND * 10);
    let events = world.take_events(romeo);
    let [Event::Throttled { bytes_per_second, .. }] = *events else { panic!("{events:?}") };
    assert!((6500..8000).contains(&bytes_per_second), "{bytes_per_second}");
}

/// The sizes of data stanzas.
fn data_sizes(world: &World) -> Vec<usize> {
    let data = sent(world, ROMEO, JULIET).into_iter().filter(|stanza| stanza.contains("<data "));
    data.map(|stanza| stanza.len()).collect()
}

#[test]
fn xep_0478_4_no_stanza_exceeds_what_the_server_announces() {
    let (mut world, ids, tunnels) = piping(1);
    let bytes = noise(60_000, 1);
    for limit in [10_000, 6000, 3000, 1500, 1000] {
        world.with(ids[0], |engine, now| engine.set_stanza_limit(now, Some(limit)));
        let before = data_sizes(&world).len();
        let written = write(&mut world, ids[0], tunnels[0], &bytes);
        world.run();
        assert!(read(&mut world, ids[1], tunnels[1]) == bytes[..written], "{limit}");
        world.run();
        let largest = data_sizes(&world)[before..].iter().copied().max().unwrap();
        assert!(largest <= limit as usize && largest * 10 >= (limit as usize).min(6000) * 5, "{largest} of {limit}");
    }
    // A tunnel that begins now agrees on blocks of that size.
    close(&mut world, ids[0], tunnels[0]);
    world.run();
    world.take_events(ids[0]);
    world.take_events(ids[1]);
    world.connect_with(ids[0], ids[1], crate::common::raw(xtls::TrustPolicy::Pinned));
    let offers = sent(&world, ROMEO, JULIET);
    let offer = offers.iter().rfind(|stanza| stanza.contains("session-initiate")).unwrap();
    assert!(offer.contains("block-size='304'") || offer.contains("block-size='3"), "{offer}");
    // A server that says nothing, after another login, is one without a limit.
    world.with(ids[0], |engine, now| engine.set_stanza_limit(now, None));
    world.with(ids[0], |engine, _| assert_eq!(engine.stanza_limit(), None));
}

/// The limit of whoever answers counts as well: the smaller block size is agreed.
#[test]
fn what_either_server_announces_bounds_the_blocks_both_ways() {
    let (mut world, romeo, juliet) = World::pair(1);
    world.relay.keep_log();
    world.with(juliet, |engine, now| engine.set_stanza_limit(now, Some(2000)));
    let (here, there) = world.connect_with(romeo, juliet, crate::common::raw(xtls::TrustPolicy::Pinned));
    let bytes = noise(60_000, 1);
    for (from, to, [out, into]) in [(romeo, juliet, [here, there]), (juliet, romeo, [there, here])] {
        let written = write(&mut world, from, out, &bytes);
        world.run();
        assert!(read(&mut world, to, into) == bytes[..written]);
        world.run();
    }
    let largest = world.relay.log().iter().filter(|passed| passed.stanza.contains("<data ")).map(|it| it.stanza.len());
    assert!(largest.max().unwrap() <= 2000);
}

/// A server on the way refuses large stanzas for now, and says nothing of it before: what came back goes again in smaller blocks.
#[test]
fn a_block_that_comes_back_for_its_size_goes_again_in_smaller_ones() {
    let (mut world, ids, tunnels) = piping(1);
    world.relay.set_stanza_limit(Some(3000));
    let bytes = noise(60_000, 1);
    let written = write(&mut world, ids[0], tunnels[0], &bytes);
    assert_eq!(written, bytes.len());
    let mut got = Vec::new();
    for _ in 0..60 {
        world.run_for(SECOND);
        got.extend(read(&mut world, ids[1], tunnels[1]));
    }
    assert!(got == bytes, "{} bytes came", got.len());
    // Later tunnels with the same domain begin with that, and others do not.
    close(&mut world, ids[0], tunnels[0]);
    world.run();
    assert!(closed(&mut world, ids[0]).is_clean(EndedBy::Local));
    crate::common::initiate(&mut world, ids[0], ids[1]);
    world.run();
    let offers = sent(&world, ROMEO, JULIET);
    let offer = offers.iter().rfind(|stanza| stanza.contains("session-initiate")).unwrap();
    assert!(!offer.contains("block-size='4096'"), "{offer}");
}

/// XEP-0478 § 4, XEP-0047 § 2.2: an error that is no temporary one ends the bytestream; the next one has smaller blocks.
#[test]
fn after_a_block_was_refused_for_good_the_next_tunnel_has_smaller_ones() {
    for condition in [Condition::PolicyViolation, Condition::NotAcceptable, Condition::ResourceConstraint] {
        let (mut world, ids, tunnels) = piping(1);
        world.relay.meddle(move |sent| {
            let is_refused = sent.stanza.contains("<data ") && sent.stanza.len() > 3000;
            if is_refused { Fate::Bounce(StanzaError::new(condition).with_type(ErrorType::Modify)) } else { Fate::Pass }
        });
        write(&mut world, ids[0], tunnels[0], &noise(60_000, 1));
        world.run();
        let ended = closed(&mut world, ids[0]);
        assert!(matches!(ended.fault, Some(Fault::Undelivered { .. })), "{condition:?}: {ended:?}");
        world.take_events(ids[1]);
        let (here, there) = world.connect_with(ids[0], ids[1], crate::common::raw(xtls::TrustPolicy::Pinned));
        let bytes = noise(60_000, 2);
        assert_eq!(write(&mut world, ids[0], here, &bytes), bytes.len());
        world.run();
        assert!(read(&mut world, ids[1], there) == bytes, "{condition:?}");
    }
}

/// The outer stream ended because of a block. After the next login blocks are half as large, and in the end they fit.
#[test]
fn after_a_stream_that_ended_for_a_stanza_too_large_blocks_are_smaller() {
    let (mut world, ids, _) = piping(1);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let (here, there) = world.connect_with(ids[0], ids[1], crate::common::raw(xtls::TrustPolicy::Pinned));
        let before = data_sizes(&world).len();
        let written = write(&mut world, ids[0], here, &noise(60_000, 1));
        world.run();
        assert_eq!(read(&mut world, ids[1], there).len(), written);
        world.run();
        sizes.push(data_sizes(&world)[before..].iter().copied().max().unwrap());
        world.with(ids[0], |engine, now| engine.stanza_too_large(now));
        for id in ids {
            world.with(id, |engine, now| engine.handle_disconnect(now));
            world.take_events(id);
        }
        world.run();
    }
    assert!((5000..6000).contains(&sizes[0]), "{sizes:?}");
    assert!(sizes[1] <= sizes[0] / 2 && sizes[1] >= 2048, "{sizes:?}");
    assert!(sizes[2] <= 2048, "{sizes:?}");
}
