//! What the outer stream carries at once: how many blocks of all tunnels, whose turn it is, and which results are overdue.

mod measures;
mod model;
#[cfg(test)]
#[allow(clippy::as_conversions, clippy::disallowed_methods, clippy::unwrap_used, reason = "tests begin at any time")]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use xtls_channel::Instant;
use xtls_stanza::Id;

use self::model::{Flight, Model, Way};

/// The window of all tunnels for their outer stream.
///
/// It holds one place for each block that is on its way. A tunnel that wants one and gets none waits for its turn. One of which a
/// result is long overdue leaves its places to tunnels that wait, so that a peer who does not read holds nobody else up; it sends
/// nothing more until the result has come.
#[derive(Debug)]
pub(crate) struct Flow {
    model: Model,
    /// What has a place, in the order in which it was sent.
    flights: VecDeque<(u64, Flight)>,
    in_flight: u64,
    /// Memory of lanes that are empty: an idle tunnel keeps none, and the next block needs none that is new.
    spares: Vec<VecDeque<(Id, Flight)>>,
    /// Blocks before this one were on their way while the outer stream was away: they tell nothing.
    telling_from: u64,
    /// Since when results can be expected.
    expected_since: Option<Instant>,
    /// The usual round trip.
    usual: Option<Duration>,
    /// How many times in a row places were given away.
    given_away: u32,
    /// The tunnel that is asked has its turn.
    has_turn: bool,
    answer: FlowAnswer,
}

/// What a tunnel that was asked for a block has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowAnswer {
    /// Nothing with this window.
    Nothing,
    /// It has sent a block.
    Sent,
    /// It has a block and got no place for it.
    Waits,
}

/// The blocks of one tunnel that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    flights: VecDeque<(Id, Flight)>,
    way: Way,
}

impl Flow {
    /// Blocks that may be on their way at once, of all tunnels, and of one with a fixed window.
    pub(crate) const MAX_BLOCKS: u16 = 32;
    /// Bytes of stanzas that may.
    pub(crate) const MAX_BYTES: u64 = 1024 * 1024;
    /// A result is overdue after so many usual round trips, but not before `LEAST_WAIT`. The wait doubles each time.
    const WAIT: u32 = 4;
    const LEAST_WAIT: Duration = Duration::from_secs(1);
    const MOST_DOUBLINGS: u32 = 6;
    const SPARES: usize = 8;

    /// The window of an outer stream of which nothing is known.
    pub(crate) fn new() -> Self {
        Self {
            model: Model::new(),
            flights: VecDeque::new(),
            in_flight: 0,
            spares: Vec::new(),
            telling_from: 0,
            expected_since: None,
            usual: None,
            given_away: 0,
            has_turn: false,
            answer: FlowAnswer::Nothing,
        }
    }

    /// The server limits what it takes, as it says or as was seen: on this outer stream the window begins with two blocks.
    pub(crate) fn start_carefully(&mut self) {
        self.model.start_carefully();
    }

    /// Whether another block may go, whosever it is.
    pub(crate) fn has_room(&self) -> bool {
        self.flights.is_empty()
            || self.flights.len() < usize::from(Self::MAX_BLOCKS)
                && self.in_flight < Self::MAX_BYTES
                && self.model.has_room(self.in_flight)
    }

    /// Bytes of stanzas that may be on their way at once.
    pub(crate) fn window(&self) -> u64 {
        self.model.window().min(Self::MAX_BYTES)
    }

    /// How fast blocks get through that wait for one another, in bytes of stanzas a second.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.model.rate()
    }

    /// How long a block takes to be acknowledged, of late.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.usual
    }

    /// A tunnel is about to be asked for something to send.
    pub(crate) fn ask(&mut self, has_turn: bool) {
        self.has_turn = has_turn;
        self.answer = FlowAnswer::Nothing;
    }

    /// What it did.
    pub(crate) fn answer(&self) -> FlowAnswer {
        self.answer
    }

    /// Whether the tunnel that is asked may send a block: it is its turn, there is room, and none of its results is overdue.
    pub(crate) fn admits(&self, lane: &Lane) -> bool {
        self.has_turn && self.has_room() && self.keeps(lane)
    }

    /// The tunnel that is asked has a block, and was not admitted.
    pub(crate) fn refused(&mut self, lane: &Lane) {
        if !self.keeps(lane) {
            // Its results wake it.
            return;
        }
        self.answer = FlowAnswer::Waits;
        if !self.has_room() {
            self.model.press();
        }
    }

    /// A block of so many bytes, as a stanza, goes out.
    pub(crate) fn send(&mut self, now: Instant, tunnel: u64, id: Id, bytes: usize, lane: &mut Lane) {
        let flight = self.model.send(now, u64::try_from(bytes).unwrap_or(u64::MAX), self.in_flight);
        self.in_flight = self.in_flight.saturating_add(flight.bytes);
        self.flights.push_back((tunnel, flight));
        if lane.flights.is_empty() {
            lane.flights = self.spares.pop().unwrap_or_default();
        }
        lane.flights.push_back((id, flight));
        self.answer = FlowAnswer::Sent;
    }

    /// An answer came; if it is to a block, that is not on its way any more, and its size as a stanza is given. What it tells of the
    /// path is told by results alone.
    pub(crate) fn answered(&mut self, now: Instant, id: &str, is_result: bool, lane: &mut Lane) -> Option<u64> {
        let at = lane.flights.iter().position(|(sent, _)| *sent == *id)?;
        let (_, flight) = lane.flights.remove(at)?;
        if lane.flights.is_empty() {
            self.spares.push(core::mem::take(&mut lane.flights));
            self.spares.truncate(Self::SPARES);
        }
        let had_place = self.release(flight.order);
        if is_result && flight.order >= self.telling_from {
            let took = self.model.arrive(now, flight, &mut lane.way);
            self.usual = Some(self.usual.map_or(took, |usual| usual.saturating_mul(7).saturating_add(took) / 8));
            if had_place {
                self.given_away = 0;
            }
        } else {
            lane.way.interrupt();
        }
        if self.flights.is_empty() {
            self.model.rest(now);
        }
        Some(flight.bytes)
    }

    /// A block was sent back or refused: a server or the peer wants less, or has no room.
    pub(crate) fn back_off(&mut self) {
        self.model.back_off(self.in_flight);
    }

    /// A tunnel has no places any more: it is gone, or its results are overdue.
    pub(crate) fn forget(&mut self, tunnel: u64) {
        self.flights.retain(|(of, _)| *of != tunnel);
        self.in_flight = self.flights.iter().map(|(_, flight)| flight.bytes).sum();
    }

    /// The outer stream is away, or is back again.
    pub(crate) fn interrupt(&mut self, now: Instant) {
        self.telling_from = self.model.next_order();
        self.expected_since = Some(now);
    }

    /// When places are given away to tunnels that wait, of which these are some: two different ones, if there are.
    pub(crate) fn deadline(&self, waiting: impl IntoIterator<Item = u64>) -> Option<Instant> {
        let (tunnel, flight) = self.flights.front()?;
        waiting.into_iter().any(|number| number != *tunnel).then(|| self.due(flight)).flatten()
    }

    /// Gives away the places of tunnels of which a result is overdue.
    pub(crate) fn give_away(&mut self, now: Instant) {
        while let Some((tunnel, flight)) = self.flights.front()
            && self.due(flight).is_some_and(|due| due <= now)
        {
            self.forget(*tunnel);
        }
        self.given_away = (self.given_away + 1).min(Self::MOST_DOUBLINGS);
    }

    fn due(&self, flight: &Flight) -> Option<Instant> {
        let wait = self.usual.unwrap_or_default().saturating_mul(Self::WAIT).max(Self::LEAST_WAIT);
        let since = self.expected_since.map_or(flight.sent_at, |since| since.max(flight.sent_at));
        since.checked_add(wait.saturating_mul(2_u32.pow(self.given_away)))
    }

    /// Whether no result of this tunnel is overdue: its oldest block has a place.
    fn keeps(&self, lane: &Lane) -> bool {
        lane.flights.front().is_none_or(|(_, oldest)| self.place(oldest.order).is_some())
    }

    fn place(&self, order: u64) -> Option<usize> {
        self.flights.binary_search_by_key(&order, |(_, flight)| flight.order).ok()
    }

    /// Takes the place of a block back, if it has one.
    fn release(&mut self, order: u64) -> bool {
        let freed = self.place(order).and_then(|at| self.flights.remove(at));
        self.in_flight -= freed.map_or(0, |(_, flight)| flight.bytes);
        freed.is_some()
    }
}
