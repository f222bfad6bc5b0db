//! Cuts at every moment of a tunnel over a connection: each is played to that moment, something breaks there, and what must hold is
//! looked at once everything has come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use xtls::{
    CloseReason, Closed, EndedBy, Event, Receipt,
    transports::{Exposure, Reach},
};
use xtls_testkit::{Conduct, Cut};

use super::stage::{Stage, direct, over, stage, through_proxy};
use crate::common::{SECOND, noise};

/// How the two reach one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// At this end.
    Directly(usize),
    /// At either end.
    AtBoth,
    /// By a proxy of this end.
    ByProxy(usize),
    /// By a proxy that either end has.
    ByOneProxy,
}

/// What the applications do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Both send; the first finishes at once, the other once it has everything.
    Exchange,
    /// This end sends, and closes.
    SendAndClose(usize),
}

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaks {
    /// The connection of this end.
    At(usize),
    /// Every connection at once.
    Everywhere,
    /// Nothing gets through by connections, until those who wait for that give up as sockets do.
    Silently,
    /// The application of this end closes.
    Closes(usize),
    /// This end loses its server for good.
    Offline(usize),
    /// This end's server is away for so long.
    Away(usize, Duration),
}

const REACHED: [Reached; 6] = [
    Reached::Directly(0),
    Reached::Directly(1),
    Reached::AtBoth,
    Reached::ByProxy(0),
    Reached::ByProxy(1),
    Reached::ByOneProxy,
];

const PLANS: [Plan; 3] = [Plan::Exchange, Plan::SendAndClose(0), Plan::SendAndClose(1)];

const BREAKS: [Breaks; 10] = [
    Breaks::At(0),
    Breaks::At(1),
    Breaks::Everywhere,
    Breaks::Silently,
    Breaks::Closes(0),
    Breaks::Closes(1),
    Breaks::Offline(0),
    Breaks::Offline(1),
    Breaks::Away(0, Duration::from_secs(20)),
    Breaks::Away(1, Duration::from_secs(20)),
];

/// Bytes that an end sends.
const BYTES: usize = 3000;
/// How long the two look for a connection at most (docs/wire.md § 8).
const SEARCH_TIME: Duration = Duration::from_secs(30);
/// How long a socket waits for a peer that does not answer.
const SOCKETS_PATIENCE: Duration = Duration::from_secs(120);

/// One play of all that.
struct Play {
    stage: Stage,
    plan: Plan,
    wrote: [usize; 2],
    got: [Vec<u8>; 2],
    finished: [bool; 2],
    peer_finished: [bool; 2],
    secured: [bool; 2],
    receipts: [bool; 2],
    ends: [Option<Closed>; 2],
    ended_at: [Option<Instant>; 2],
}

impl Play {
    fn new(reached: Reached, plan: Plan, seed: u8) -> Self {
        let mut stage = stage(seed);
        stage.sockets.set_bandwidth(Some(1_000_000));
        stage.proxy(Conduct::Honest);
        let own = |end| if end == 0 { direct("romeo.example", 5086) } else { direct("juliet.example", 6539) };
        let reaches = match reached {
            Reached::Directly(at) => [0, 1].map(|end| if end == at { own(end) } else { Reach::new(Exposure::Direct) }),
            Reached::AtBoth => [own(0), own(1)],
            Reached::ByProxy(at) => {
                [0, 1].map(|end| if end == at { through_proxy() } else { Reach::new(Exposure::Proxies) })
            }
            Reached::ByOneProxy => [through_proxy(), through_proxy()],
        };
        stage.connect(reaches.map(over));
        Self {
            stage,
            plan,
            wrote: [0; 2],
            got: Default::default(),
            finished: [false; 2],
            peer_finished: [false; 2],
            secured: [false; 2],
            receipts: [false; 2],
            ends: [None, None],
            ended_at: [None; 2],
        }
    }

    /// What the applications see and do.
    fn applications(&mut self) {
        for at in 0..2 {
            let (id, tunnel) = (self.stage.ids[at], self.stage.tunnels[at]);
            for event in self.stage.world.take_events(id) {
                match event {
                    Event::Secured { .. } => self.secured[at] = true,
                    Event::PeerFinished { .. } => self.peer_finished[at] = true,
                    Event::Receipt { bytes, .. } => {
                        assert_eq!(usize::try_from(bytes).unwrap(), self.wrote[at]);
                        assert_eq!(self.got[1 - at].len(), self.wrote[at], "a receipt is for what was read");
                        self.receipts[at] = true;
                    }
                    Event::Closed(closed) => {
                        self.ended_at[at] = Some(self.stage.world.now());
                        self.ends[at] = Some(closed);
                    }
                    _ => {}
                }
            }
            let sends = match self.plan {
                Plan::Exchange => true,
                Plan::SendAndClose(by) => at == by,
            };
            if self.secured[at] && self.ends[at].is_none() && !self.finished[at] {
                let wrote = &mut self.wrote[at];
                let (finishes, closes) = match self.plan {
                    Plan::Exchange => (at == 0 || self.peer_finished[at], false),
                    Plan::SendAndClose(by) => (false, at == by),
                };
                let bytes = noise(BYTES, u64::try_from(at).unwrap());
                let done = self.stage.world.with(id, |engine, now| {
                    let Some(mut tunnel) = engine.tunnel(tunnel) else { return true };
                    if sends && *wrote < BYTES {
                        *wrote += tunnel.write(now, &bytes[*wrote..]).unwrap_or(0);
                    }
                    let is_through = !sends || *wrote == BYTES;
                    if is_through && closes {
                        tunnel.close(now);
                    }
                    is_through && (closes || finishes && tunnel.finish(now).is_ok())
                });
                self.finished[at] = done;
            }
            let mut out = Vec::new();
            self.stage.world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.read(now, &mut out)));
            self.got[at].extend(out);
        }
    }

    /// Goes on to the next moment before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let goes_on = self.stage.sockets.step(&mut self.stage.world, until);
        self.applications();
        goes_on
    }

    fn run_for(&mut self, duration: Duration) {
        let until = self.stage.world.now() + duration;
        while self.step(until) {}
    }

    fn passed(&self, what: &str) -> usize {
        self.stage.world.relay.log().iter().filter(|passed| passed.stanza.contains(what)).count()
    }

    /// What can be told of the moment from outside.
    fn state(&self) -> BTreeSet<&'static str> {
        let chosen = self.passed("<candidate-used") + self.passed("<candidate-error");
        let is_proxied = self.passed("type='proxy'") > 0;
        let activation = (self.passed("<activate>"), self.passed("<activated"));
        let secured = self.secured.iter().filter(|is| **is).count();
        let finished = self.peer_finished.iter().filter(|is| **is).count();
        let closed = self.ends.iter().filter(|end| end.is_some()).count();
        let held = self.stage.ids.map(|id| self.stage.sockets.held(id));
        let states = [
            (self.stage.sockets.dialling() > 0 && chosen < 2, "dialling"),
            (self.stage.sockets.in_socks() > 0 && chosen < 2, "SOCKS5"),
            (chosen == 1, "chosen by one"),
            (is_proxied && chosen == 2 && activation.0 == 0, "joining"),
            (activation.0 > 0 && activation.1 == 0, "activating"),
            (activation == (1, 1) && secured == 0, "awaiting, or TLS"),
            (chosen == 2 && secured == 0 && !is_proxied, "TLS"),
            (secured == 1 && closed == 0, "secured at one end"),
            (secured == 2 && finished == 0 && closed == 0, "secured"),
            (finished == 1 && closed == 0, "one direction finished"),
            (finished == 2 && closed == 0, "both finished"),
            (closed == 1, "ended at one end"),
            ((0..2).any(|at| self.ends[at].is_some() && held[at] > 0), "ended, and lingering"),
            (closed == 2, "ended"),
        ];
        states.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect()
    }

    fn breaks(&mut self, breaks: Breaks) {
        let Stage { world, sockets, ids, tunnels, .. } = &mut self.stage;
        match breaks {
            Breaks::At(at) => sockets.cut(world, Cut::At(ids[at])),
            Breaks::Everywhere => sockets.cut(world, Cut::Everywhere),
            Breaks::Silently => {
                sockets.cut(world, Cut::Silently);
                self.run_for(SOCKETS_PATIENCE);
                self.stage.sockets.cut(&mut self.stage.world, Cut::Everywhere);
            }
            Breaks::Closes(at) => {
                let tunnel = tunnels[at];
                world.with(ids[at], |engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.close(now)));
                // What it has sent is what it had written by now.
                self.finished[at] = true;
            }
            Breaks::Offline(at) => world.disconnect(ids[at]),
            Breaks::Away(at, time) => {
                world.suspend(ids[at]);
                self.run_for(time);
                self.stage.world.resume(self.stage.ids[at]);
            }
        }
    }

    /// What must hold once all has come to rest; `is_mended` says that nothing may be lost.
    fn faults(&mut self, is_mended: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for at in 0..2 {
            let mut fault = |words: String| faults.push(format!("end {at}: {words}"));
            let id = self.stage.ids[at];
            let sent = noise(BYTES, u64::try_from(1 - at).unwrap());
            if !sent.starts_with(&self.got[at]) {
                fault(format!("what came is not what was sent: {} bytes", self.got[at].len()));
            }
            let Some(end) = &self.ends[at] else {
                fault(format!("it hangs; secured: {:?}", self.secured));
                continue;
            };
            let has_all = self.got[at].len() == self.wrote[1 - at];
            let knows_all = has_all && self.peer_finished[at];
            if end.reason.is_security() {
                fault(format!("a cut is taken for an attack: {end:?}"));
            }
            if is_mended && (!matches!(end.reason, CloseReason::Done) || !has_all) {
                fault(format!("it has not gone in band: {end:?}"));
            }
            if end.truncated && knows_all {
                fault(format!("it is called truncated, and all has come: {end:?}"));
            }
            if self.secured[at] && !end.truncated && end.by != EndedBy::Local && !has_all {
                let (got, sent) = (self.got[at].len(), self.wrote[1 - at]);
                fault(format!("{got} of {sent} bytes came, and it is not called truncated: {end:?}"));
            }
            if end.receipt == Receipt::Given && self.got[1 - at].len() < self.wrote[at] {
                fault(format!("a receipt for what has not come: {end:?}"));
            }
            if self.stage.sockets.held(id) > 0 {
                fault(format!("{} connections are still held", self.stage.sockets.held(id)));
            }
            let tunnel = self.stage.tunnels[at];
            let (left, next) =
                self.stage.world.with(id, |engine, _| (engine.tunnel(tunnel).is_some(), engine.poll_timeout()));
            if left || next.is_some() {
                fault(format!("something is left: {left} {next:?}"));
            }
        }
        if self.stage.sockets.open() > 0 || self.stage.sockets.dialling() > 0 {
            faults.push("connections are still open".to_owned());
        }
        faults
    }
}

/// The moments of a play that nothing breaks, each with its states.
fn moments(reached: Reached, plan: Plan) -> Vec<BTreeSet<&'static str>> {
    let mut play = Play::new(reached, plan, 1);
    let mut moments = vec![play.state()];
    let until = play.stage.world.now() + 600 * SECOND;
    while play.step(until) {
        moments.push(play.state());
    }
    assert_eq!(play.faults(true), [""; 0], "{reached:?} {plan:?}");
    for at in 0..2 {
        let end = play.ends[at].as_ref().unwrap();
        assert!(matches!(end.reason, CloseReason::Done) && !end.truncated && end.unacked == 0, "{end:?}");
    }
    moments
}

/// A case, and what is wrong with it.
struct Case {
    reached: Reached,
    plan: Plan,
    breaks: Breaks,
    moment: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}, {:?} at moment {}", self.reached, self.plan, self.breaks, self.moment)
    }
}

impl Case {
    /// Plays it, and gives what is wrong.
    fn faults(&self) -> Vec<String> {
        let mut play = Play::new(self.reached, self.plan, 1);
        let until = play.stage.world.now() + 600 * SECOND;
        for _ in 0..self.moment {
            play.step(until);
        }
        play.breaks(self.breaks);
        let broken = play.stage.world.now();
        play.run_for(1000 * SECOND);
        // What breaks before TLS has begun is made good in band; SOCKS5 has no such byte in it. A server that comes back harms nothing.
        let has_begun = play.stage.sockets.seen().contains(&22);
        let is_mended = match self.breaks {
            Breaks::At(_) | Breaks::Everywhere | Breaks::Silently => !has_begun,
            Breaks::Away(..) => true,
            Breaks::Closes(_) | Breaks::Offline(_) => false,
        };
        let mut faults = play.faults(is_mended);
        // An offer waits for a user who may be asked; whatever else is waited for is there by then, or never.
        let most = if matches!(self.breaks, Breaks::Offline(_)) { 300 * SECOND } else { SEARCH_TIME };
        let ended = play
            .ended_at
            .iter()
            .flatten()
            .max()
            .map_or(Duration::ZERO, |ended| ended.saturating_duration_since(broken));
        if ended > most {
            faults.push(format!("it took {ended:?}"));
        }
        faults
    }
}

#[test]
fn a_cut_at_any_moment_ends_both_ends_in_time_hides_no_loss_and_leaves_nothing() {
    let mut cases = Vec::new();
    let mut states = BTreeMap::<&str, usize>::new();
    for reached in REACHED {
        for plan in PLANS {
            for (moment, names) in moments(reached, plan).into_iter().enumerate() {
                names.into_iter().for_each(|name| *states.entry(name).or_default() += 1);
                cases.extend(BREAKS.map(|breaks| Case { reached, plan, breaks, moment }));
            }
        }
    }
    // Every state is among the moments.
    assert!(states.len() == 14 && cases.len() > 9000, "{} cases: {states:?}", cases.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(case.faults().into_iter().map(|fault| format!("{case}: {fault}")));
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
