//! The model of the path, from what became of blocks and when.
//!
//! Two things describe a path: how fast its narrowest part takes bytes, and how long a block takes that waits for nothing. What
//! the path holds is their product. In flight may be that, and the block that is being taken: with less, the path stands idle;
//! what is more only waits, in front of whatever else the user sends.
//!
//! - **The rate** is read off the spacing of results, and only of those that tell: a block that was sent before the one ahead of
//!   it had been taken comes out as long after it as the path needs for it, however little is in flight. Bytes in flight over
//!   their round trip, which is BBR's rate, say nothing of how much more there would be room for.
//! - **The latency** is the least round trip, less what the path needs to take the block at that rate. It is of the last ten to
//!   twenty seconds, or of 32 to 64 round trips where these are longer. Where blocks wait for one another, one
//!   goes alone before the old figure is forgotten, so that a new one is seen. To it comes what round trips vary by on average,
//!   up to a quarter: a path that is uneven holds more.
//!
//! Where no result tells of the rate, one block more than the window goes out now and then, right after another one: that tells.
//! Apart from the start these are the only moments at which more is in flight than the path is believed to hold.

use core::{ops::RangeInclusive, time::Duration};

use super::{
    Flow,
    measures::{Least, Mean, Rate, RoundTrip},
};
use xtls_channel::Instant;

/// How many blocks may be in flight before anything is known; and where a server is known to limit what it takes.
const FIRST: u64 = 4;
const FIRST_CAREFUL: u64 = 2;
/// After as long without anything in flight the window begins anew.
const REST: Duration = Duration::from_secs(10);
/// Round trips that tell nothing of the rate until it is asked for: at first, and at most after it was asked for in vain.
const PATIENCE: RangeInclusive<u32> = 2..=64;
/// A spacing that differs from what the rate lets expect by more than this part of it is news.
const NEWS: u32 = 8;
/// A round trip that much longer than the least is a slow peer, and not the way to it.
const FARTHEST: Duration = Duration::from_secs(1);
/// Round trips in a round from which their variation is told.
const SAMPLES: u32 = 4;

/// A block on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    /// Counts the blocks of all tunnels.
    pub(super) order: u64,
    /// As a stanza.
    pub(super) bytes: u64,
    /// All that was sent up to it, and with it.
    through: u64,
    /// Nothing else was in flight when it was sent.
    alone: bool,
    pub(super) sent_at: Instant,
}

/// What is known of the way to one peer, beside what the ways to all have in common.
#[derive(Debug, Default)]
pub(super) struct Way {
    least: Least,
    /// The block whose result came last, and when.
    last: Option<(Flight, Instant)>,
}

/// The model of the path, and the window that follows from it.
#[derive(Debug)]
pub(super) struct Model {
    /// Blocks that may be in flight at the start.
    first: u64,
    /// Bytes that may be in flight: another block may go as long as there are fewer.
    window: u64,
    /// A bound since an error, which is lifted by one block for each round trip.
    ceiling: Option<u64>,
    rate: Rate,
    /// What got through in each of the last rounds in which the window held something back.
    through: [Rate; 4],
    least: Least,
    /// By how much the least round trips of those who are sent to exceed that, on average.
    beyond: Mean,
    /// What latencies exceed the least of their round by.
    spread: Duration,
    /// The largest block of this round, and of the one before.
    largest: [u64; 2],
    sent: u64,
    next_order: u64,
    round: Round,
    /// The window has held something back at some time. Until then it is that of the start.
    was_full: bool,
    /// It has in the last round: only one that is used up grows.
    grows: bool,
    /// Rounds in a row that told nothing of the rate, and how many of them it takes until it is asked for.
    silent: u32,
    patience: u32,
    /// The rate is asked for: one block more than the window may go.
    asks: bool,
    /// Nothing goes beside another block, until one has arrived that was sent alone: to see how long that takes.
    drains: bool,
    idle_since: Option<Instant>,
}

/// One round trip: it ends when a block arrives that was sent after it had begun.
#[derive(Debug, Default)]
struct Round {
    /// The first block that was sent in it.
    first: u64,
    began: Option<Instant>,
    /// What arrived in it.
    bytes: u64,
    /// Results told of the rate: their blocks had waited for one another.
    told: bool,
    /// The window held something back.
    full: bool,
    latencies: Mean,
    least: Option<Duration>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            first: FIRST,
            window: 0,
            ceiling: None,
            rate: Rate::default(),
            through: Default::default(),
            least: Least::default(),
            beyond: Mean::default(),
            spread: Duration::ZERO,
            largest: [0; 2],
            sent: 0,
            next_order: 0,
            round: Round::default(),
            was_full: false,
            grows: false,
            silent: 0,
            patience: *PATIENCE.start(),
            asks: false,
            drains: false,
            idle_since: None,
        }
    }

    /// Where a server may read slowly, whatever else the user sends waits for no more than two blocks from the start.
    pub(super) fn start_carefully(&mut self) {
        self.first = FIRST_CAREFUL;
    }

    /// The order of the next block.
    pub(super) fn next_order(&self) -> u64 {
        self.next_order
    }

    /// Bytes that may be in flight; one block may always go alone.
    pub(super) fn window(&self) -> u64 {
        self.window.max(self.block())
    }

    /// What the narrowest part takes, in bytes a second; `None` as long as nothing shows a limit.
    pub(super) fn rate(&self) -> Option<u64> {
        (!self.rate.is_unknown()).then(|| self.rate.holds(Duration::from_secs(1)))
    }

    /// Whether another block may go beside so many bytes in flight, which are some. One may always go alone.
    pub(super) fn has_room(&self, in_flight: u64) -> bool {
        let block = self.block();
        let more = if self.asks { block } else { 0 };
        !self.drains && in_flight < self.window.max(block).max(1).saturating_add(more)
    }

    /// Something waits for room.
    pub(super) fn press(&mut self) {
        self.round.full = true;
        self.was_full = true;
    }

    /// A block goes out beside `in_flight` bytes of others.
    pub(super) fn send(&mut self, now: Instant, bytes: u64, in_flight: u64) -> Flight {
        self.asks &= in_flight < self.window;
        let [largest, _] = &mut self.largest;
        *largest = bytes.max(*largest);
        let first = self.first * self.block();
        let rested = self.idle_since.take().is_some_and(|since| now.saturating_duration_since(since) >= REST);
        if self.rate.is_unknown() || !self.was_full {
            self.window = first.min(self.ceiling.unwrap_or(first));
        } else if rested {
            self.window = self.window.min(first);
        }
        self.sent = self.sent.saturating_add(bytes);
        let order = self.next_order;
        self.next_order += 1;
        Flight { order, bytes, through: self.sent, alone: in_flight == 0, sent_at: now }
    }

    /// Nothing is in flight any more.
    pub(super) fn rest(&mut self, now: Instant) {
        self.idle_since = Some(now);
    }

    /// The result of a block came. Tells how long it took.
    pub(super) fn arrive(&mut self, now: Instant, flight: Flight, way: &mut Way) -> Duration {
        let time = now.saturating_duration_since(flight.sent_at);
        let round_trip = RoundTrip { time, bytes: flight.bytes };
        if !round_trip.is_possible(&self.rate) {
            // The path has become faster, and takes this much in this time at least.
            self.rate = Rate::of(flight.bytes, time);
            self.asks = true;
        }
        self.learn_rate(now, flight, way);
        self.learn_latency(now, round_trip, way);
        self.drains &= !flight.alone;
        self.round.bytes += flight.bytes;
        if flight.order >= self.round.first {
            self.end_round(now);
        }
        self.move_window(flight.bytes);
        time
    }

    /// A server or the peer wants less to be sent.
    pub(super) fn back_off(&mut self, in_flight: u64) {
        let half = (in_flight.min(self.window) / 2).max(self.block());
        self.ceiling = Some(half);
        self.window = self.window.min(half);
    }

    /// The spacing of two results tells of the rate, if the second block waited for the first.
    fn learn_rate(&mut self, now: Instant, flight: Flight, way: &mut Way) {
        let last = way.last.replace((flight, now)).filter(|(ahead, _)| ahead.order < flight.order);
        let (Some((ahead, came_at)), Some(latency)) = (last, way.least.latency(&self.rate)) else { return };
        // For so long the block ahead waited and was taken. What was sent after that did not wait for it.
        let taken = came_at.saturating_duration_since(ahead.sent_at).saturating_sub(latency);
        if flight.sent_at.saturating_duration_since(ahead.sent_at) > taken {
            return;
        }
        let (bytes, spacing) = (flight.through - ahead.through, now.saturating_duration_since(came_at));
        if spacing.abs_diff(self.rate.takes(bytes)) > spacing / NEWS {
            self.patience = *PATIENCE.start();
        }
        self.rate.add(bytes, spacing);
        self.round.told = true;
    }

    fn learn_latency(&mut self, now: Instant, round_trip: RoundTrip, way: &mut Way) {
        way.least.note(now, round_trip, &self.rate);
        if self.least.note(now, round_trip, &self.rate) && self.round.told {
            self.drains = true;
        }
        if let (Some(own), Some(least)) = (way.least.latency(&self.rate), self.least.latency(&self.rate)) {
            let beyond = own.saturating_sub(least);
            if beyond < FARTHEST {
                self.beyond.add(beyond);
            }
        }
        let latency = round_trip.latency(&self.rate);
        self.round.latencies.add(latency);
        self.round.least = Some(self.round.least.map_or(latency, |least| least.min(latency)));
    }

    fn end_round(&mut self, now: Instant) {
        let next = Round { first: self.next_order, began: Some(now), ..Round::default() };
        let ended = core::mem::replace(&mut self.round, next);
        let least = ended.least.filter(|_| ended.latencies.count >= SAMPLES);
        let spread = least.map_or(Duration::ZERO, |least| ended.latencies.value().saturating_sub(least));
        self.spread = self.spread.saturating_mul(3).saturating_add(spread) / 4;
        self.beyond.fade();
        if ended.told {
            self.rate.fade();
        }
        self.grows = ended.full;
        if let Some(began) = ended.began.filter(|_| ended.full) {
            self.through.rotate_right(1);
            let [last, ..] = &mut self.through;
            *last = Rate::of(ended.bytes, now.saturating_duration_since(began));
        }
        if ended.full {
            self.ceiling = self.ceiling.map(|ceiling| ceiling.saturating_add(self.block()));
        }
        self.ask(&ended);
        let [largest, _] = self.largest;
        self.largest = [0, largest];
    }

    /// Asks for the rate if nothing has told of it for long enough.
    fn ask(&mut self, ended: &Round) {
        if ended.told {
            self.silent = 0;
        } else if ended.full {
            self.silent += 1;
        }
        if self.silent >= self.patience {
            (self.asks, self.silent) = (true, 0);
            self.patience = (self.patience * 2).min(*PATIENCE.end());
        }
    }

    fn move_window(&mut self, arrived: u64) {
        let Some(latency) = self.least.latency(&self.rate).filter(|_| !self.rate.is_unknown()) else { return };
        let block = self.block();
        let uneven = self.spread.min(latency / 4);
        let time = latency.saturating_add(self.beyond.value()).saturating_add(uneven);
        // Where the peer's data is between the results, these come in bunches, and their spacing promises too much.
        let got = self.through.iter().map(|through| through.holds(time)).max().unwrap_or(u64::MAX);
        let holds = self.rate.holds(time).min(got.saturating_add(got / 4));
        // For a twelfth of the time the path may stand idle, where one block more would wait nearly always.
        let wanted = holds.saturating_add(block - block / 12).min(Flow::MAX_BYTES);
        self.ceiling = self.ceiling.filter(|ceiling| *ceiling < wanted);
        let target = self.ceiling.unwrap_or(wanted).max(block);
        if target < self.window {
            self.window = target;
        } else if self.grows || self.round.full {
            self.window += arrived.min(target - self.window);
        }
    }

    /// The size of the largest blocks, as stanzas.
    fn block(&self) -> u64 {
        let [this, before] = self.largest;
        this.max(before)
    }
}

impl Way {
    /// Nothing is known of what was on its way.
    pub(super) fn interrupt(&mut self) {
        self.last = None;
    }
}
