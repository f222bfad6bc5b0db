//! Row 15: a block for one busy tunnel, with more and more idle ones beside it in the same engine.

use std::{hint::black_box, time::Instant};

use rustls::crypto::aws_lc_rs::kx_group;
use xtls::{Engine, Event, TunnelId, tls::KeyAlgorithm};

use crate::{
    clock,
    engines::{JULIET, ROMEO, Who, direct_config, open, raw, settle},
    failure::Failure,
    plan::Plan,
    references::tls::provider_with,
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, Subject, float_u64, time},
};

/// So many idle tunnels are as good as none.
const FEW: usize = 10;
/// Tunnels with one peer, at most.
const PER_PEER: usize = 1000;
/// Bytes of a block. A small one shows best what does not belong to it.
const BLOCK: usize = 281;
/// Blocks that are on their way before the first acknowledgement.
const IN_FLIGHT: u64 = 32;

/// Measures row 15, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Scale) {
        return Ok(Vec::new());
    }
    let idle = plan.idle();
    let mut crowds = [0, FEW, idle / 10, idle].map(Crowd::new);
    let looks = crowds.each_mut().map(|crowd| crowd.looks(1));
    plan.note(format!("looks at a tunnel for a block: {looks:?} beside 0, {FEW}, {} and {idle} idle ones", idle / 10));
    let [_, beside_few, beside_some, beside_all] = &mut crowds;
    let mut subjects = [beside_few, beside_some, beside_all].map(|crowd| {
        let name = format!("beside {} idle tunnels", crowd.idle);
        Subject::timed(name, |count| Ok(crowd.blocks(count)))
    });
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        plan.note(format!("a block {}: {:.2} us", subject.name(), subject.median() * 1e6));
    }
    let [beside_few, beside_some, beside_all] = subjects.each_ref().map(Subject::samples);
    let target = |name: String, unit, aim, gate| Target::new(Row::Scale, name, unit, gate, aim);
    let looks = Quartiles::exact(float_u64(looks[3]) / float_u64(looks[0]));
    Ok(vec![
        target(format!("looks at a tunnel for a block beside {idle} idle ones / alone"), Unit::Looks, 1.0, 1.0)
            .line(Ok(looks)),
        target(format!("a block beside {} idle tunnels / beside {FEW}", idle / 10), Unit::Time, 1.1, 1.5)
            .line(Ok(time(beside_some, beside_few))),
        target(format!("a block beside {idle} idle tunnels / beside {FEW}"), Unit::Time, 1.1, 1.5)
            .line(Ok(time(beside_all, beside_few))),
    ])
}

/// An engine with one busy tunnel and idle ones, all of them secured.
struct Crowd {
    idle: usize,
    busy: Engine,
    peer: Engine,
    /// The busy tunnel's names, at the peer and here.
    ids: [TunnelId; 2],
    now: Instant,
    stanzas: Vec<String>,
    results: Vec<String>,
    received: Vec<u8>,
}

impl Crowd {
    fn new(idle: usize) -> Self {
        let provider = provider_with(kx_group::X25519);
        let now = clock::now();
        let mut config = direct_config();
        config.tunnels = idle + 1;
        config.tunnels_per_peer = PER_PEER;
        config.window = xtls::config::Window::Fixed(32);
        let who = |jid: &str| Who::new(jid, KeyAlgorithm::Ed25519);
        let (romeo, juliet) = (who(ROMEO), who(JULIET));
        let others: Vec<Who> = (0..idle.div_ceil(PER_PEER))
            .map(|number| who(&format!("benvolio{number}@montague.example/orchard-51be02")))
            .collect();
        let known: Vec<&Who> = others.iter().chain([&romeo]).collect();
        let mut busy = juliet.engine(config.clone(), &known, &provider, now);
        for (number, other) in others.iter().enumerate() {
            // Its end is dropped afterwards: nobody hears of that.
            let mut pair = [other.engine(config.clone(), &[&juliet], &provider, now), busy];
            for _ in 0..PER_PEER.min(idle - number * PER_PEER) {
                open(pair.each_mut(), &juliet, &raw(), now);
            }
            [_, busy] = pair;
        }
        let mut pair = [romeo.engine(config, &[&juliet], &provider, now), busy];
        let ids = open(pair.each_mut(), &juliet, &raw(), now);
        let [peer, busy] = pair;
        assert_eq!(busy.tunnels().count(), idle + 1, "all of them are there");
        Self { idle, busy, peer, ids, now, stanzas: Vec::new(), results: Vec::new(), received: Vec::new() }
    }

    /// Takes so many blocks, reads and acknowledges them; how long the busy engine was at work.
    fn blocks(&mut self, count: u64) -> f64 {
        let mut seconds = 0.0;
        let mut rest = count;
        while rest > 0 {
            let some = rest.min(IN_FLIGHT);
            self.prepare(some);
            let start = clock::now();
            self.take();
            seconds += clock::since(start);
            self.finish();
            rest -= some;
        }
        seconds
    }

    /// How many times the engine looks at a tunnel for so many blocks.
    fn looks(&mut self, count: u64) -> u64 {
        self.blocks(IN_FLIGHT);
        self.prepare(count);
        let before = self.busy.work();
        self.take();
        let looks = self.busy.work() - before;
        self.finish();
        looks
    }

    /// Lets the peer make blocks.
    fn prepare(&mut self, count: u64) {
        self.stanzas.clear();
        for _ in 0..count {
            let mut tunnel = self.peer.tunnel(self.ids[0]).expect("it is open");
            assert_eq!(tunnel.write(self.now, &[7; BLOCK]).expect("it takes bytes"), BLOCK);
            let mut stanza = String::new();
            assert!(self.peer.poll_transmit(self.now, &mut stanza).is_some(), "the window is open");
            self.stanzas.push(stanza);
        }
        self.results.resize_with(self.stanzas.len(), || String::with_capacity(256));
    }

    /// What counts: a block comes, its bytes are read, its acknowledgement goes, and the clock is asked for.
    fn take(&mut self) {
        let Self { busy, now, stanzas, results, received, .. } = self;
        for (stanza, result) in stanzas.iter().zip(results) {
            let _ = black_box(busy.handle_stanza(*now, stanza));
            received.clear();
            while let Some(event) = busy.poll_event() {
                if let Event::Readable { id } = event {
                    busy.tunnel(id).expect("it is open").read(*now, received);
                }
            }
            assert_eq!(black_box(&*received).len(), BLOCK, "the block is decrypted");
            result.clear();
            assert!(busy.poll_transmit(*now, result).is_some(), "it is acknowledged");
            black_box(busy.poll_timeout());
            busy.handle_timeout(*now);
        }
    }

    /// Gives the peer its acknowledgements.
    fn finish(&mut self) {
        for result in &self.results {
            let _ = self.peer.handle_stanza(self.now, result);
        }
        settle([&mut self.peer, &mut self.busy], self.now, &raw(), |_, _| ());
        assert_eq!(self.peer.tunnel(self.ids[0]).expect("it is open").unacked(), 0, "all is acknowledged");
    }
}
