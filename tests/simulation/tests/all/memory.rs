//! What tunnels keep on the heap, and what a handshake allocates: counted, of both ends and of the world around them, which
//! keeps nothing of its own for a tunnel. What aws-lc allocates for keys is in C, and not counted.
use core::time::Duration;

use allocation_counter::measure;
use xtls::{TrustPolicy, TunnelId};
use xtls_testkit::{EntityId, EntityOptions, World};

use crate::common::{JULIET, ROMEO, noise, raw, read, write};

/// Pipes from Romeo to Juliet, with the cryptography that is used outside of tests too.
struct Pipes {
    world: World,
    ends: [EntityId; 2],
    pipes: Vec<[TunnelId; 2]>,
}

impl Pipes {
    fn new() -> Self {
        let mut world = World::default();
        let ends = [(ROMEO, 1), (JULIET, 2)].map(|(jid, seed)| {
            let mut options = EntityOptions::seeded(seed);
            options.real_cryptography = true;
            (options.config.tunnels, options.config.tunnels_per_peer) = (1024, 1024);
            world.add(jid, options)
        });
        world.introduce(ends[0], ends[1]);
        let mut pipes = Self { world, ends, pipes: Vec::new() };
        // What is made once is made after this.
        pipes.open(20);
        pipes
    }

    fn open(&mut self, count: usize) {
        for _ in 0..count {
            let [romeo, juliet] = self.ends;
            let (here, there) = self.world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
            self.pipes.push([here, there]);
            self.world.take_events(romeo);
            self.world.take_events(juliet);
        }
    }

    /// Sends this through each pipe, and reads all of it.
    fn send(&mut self, bytes: &[u8]) {
        let [romeo, juliet] = self.ends;
        for [here, there] in self.pipes.clone() {
            let (mut sent, mut got) = (0, 0);
            while got < bytes.len() {
                sent += write(&mut self.world, romeo, here, &bytes[sent..]);
                self.world.run();
                got += read(&mut self.world, juliet, there).len();
                self.world.run();
            }
            self.world.take_events(romeo);
            self.world.take_events(juliet);
        }
    }

    /// Ends of tunnels that there are.
    fn ends(&self) -> i64 {
        i64::try_from(2 * self.pipes.len()).unwrap()
    }
}

#[test]
fn an_idle_tunnel_keeps_fourteen_kilobytes_and_a_burst_leaves_nothing_more() {
    let mut pipes = Pipes::new();
    let before = pipes.ends();
    let idle = measure(|| pipes.open(200)).bytes_current / (pipes.ends() - before);
    // 4096 of them are what rustls reads into.
    assert!(idle <= 13_700, "{idle} bytes an end");
    let bytes = noise(64 * 1024, 1);
    let more = measure(|| {
        pipes.send(&bytes);
        // What both engines keep for the next burst they let go of when it does not come.
        pipes.world.run_for(Duration::from_secs(40));
    });
    let more = more.bytes_current / pipes.ends();
    // Of tunnels with one peer, one asks for life for all: the others keep what is known of a block, 32 times.
    assert!(more <= 512, "{more} bytes more an end");
}

#[test]
fn a_handshake_makes_so_many_allocations_and_no_more_from_time_to_time() {
    let mut pipes = Pipes::new();
    let counts = [(); 8].map(|()| measure(|| pipes.open(1)).count_total);
    assert!(counts.iter().all(|count| *count <= 1640), "{counts:?}");
}
