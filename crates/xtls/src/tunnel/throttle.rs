//! Whether a bytestream is throttled: a server on the way lets few bytes through.
//!
//! Servers tell nobody: they read on when they like. What shows it are blocks that wait for one another (see `flow`), slowly, for
//! some time, while the tunnel has more to send. Three things look alike and are none:
//!
//! - **a long way**: there the window is full, and blocks do not wait for one another;
//! - **an application with little to send**: then nothing waits for the window, and the measurement begins anew;
//! - **a peer that reads slowly** and withholds acknowledgements: it is asked for a sign of life behind a block. Stanzas keep their
//!   order, so a server that throttles lets the block through first; a peer that does not read answers, and acknowledges the block
//!   later. One that reads a lot at a time, seldom, acknowledges as unevenly as no server reads.

use core::time::Duration;

use xtls_channel::Instant;
use xtls_ibb::Bytestream;
use xtls_jingle::IbbTransport;
use xtls_stanza::{Condition, ErrorType, Id, StanzaError};

use super::TunnelCore;
use crate::shared::Shared;

/// Measures what gets through while something waits.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When the measurement began, and its last span, and how much was acknowledged by then.
    begin: Option<(Instant, u64)>,
    span: Option<(Instant, u64)>,
    /// Since the measurement began: acknowledgements, when the last came, and the longest time between two.
    acks: u32,
    last: Option<Instant>,
    longest: Duration,
    /// Spans in a row in which little got through, and how many it takes.
    slow: u32,
    /// The rate in them.
    measured: Option<u64>,
    /// Spans in a row in which much did.
    fast: u32,
    patience: u32,
    /// The peer is to be asked for a sign of life behind the next block, or has been.
    asks: bool,
    question: Option<Question>,
    told: Option<u64>,
}

/// A sign of life that the peer is asked for.
#[derive(Debug)]
struct Question {
    /// The block before it, and when that was acknowledged.
    block: Id,
    acked: Option<Instant>,
    answered: Option<Instant>,
}

impl Throttle {
    /// Bytes of plaintext a second below which a tunnel counts as throttled. On the wire they are a half more at most.
    const LOW: u64 = 32 * 1024;
    /// The least that is measured at a time: one slow span may be anything.
    const SPAN: Duration = Duration::from_millis(1500);
    /// Slow spans in a row until it is told, and at most, where the peer turned out to read slowly.
    const SPANS: u32 = 3;
    const MOST_SPANS: u32 = 48;
    /// A block that is acknowledged so much later than what was asked after it was held back by the peer.
    const GRACE: Duration = Duration::from_secs(1);
    /// Servers read some blocks at a time at most: a time between two acknowledgements is that many times the usual one.
    const UNEVEN: u32 = 6;
    /// It is told again when the rate has changed by this factor.
    const NEWS: u64 = 2;

    /// The rate that was told last, as long as it is throttled.
    pub(super) fn rate(&self) -> Option<u64> {
        self.told
    }

    /// The largest block, of at most `most` bytes: what else the user sends waits for one or two of them, so they are halved until one takes
    /// no longer than half a second.
    pub(super) fn block(&self, most: u16) -> u16 {
        let Some(rate) = self.told else { return most };
        let mut block = most;
        while u64::from(block) > rate / 2 && block / 2 >= Bytestream::SMALLEST_TRIED {
            block /= 2;
        }
        block
    }

    /// Whether blocks that wait for one another at this rate, as stanzas, come to less than what counts as throttled.
    fn is_narrow(path: Option<u64>) -> bool {
        path.is_some_and(|rate| rate < Self::LOW * 3 / 2)
    }

    /// Something waits, with so much acknowledged.
    pub(super) fn waits(&mut self, now: Instant, acked: u64) {
        if self.begin.is_none() {
            self.begin_at(now, acked);
        }
    }

    fn begin_at(&mut self, now: Instant, acked: u64) {
        self.begin = Some((now, acked));
        self.span = self.begin;
        (self.acks, self.last, self.longest) = (0, Some(now), Duration::ZERO);
    }

    /// Nothing waits any more, or what was on its way tells nothing.
    pub(super) fn rest(&mut self) {
        *self = Self { told: self.told, patience: self.patience, ..Self::default() };
    }

    /// Whether the peer is to be asked for a sign of life behind the next block.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// The peer is asked for a sign of life, right behind this block.
    pub(super) fn asked(&mut self, block: Id) {
        self.asks = false;
        self.question = Some(Question { block, acked: None, answered: None });
    }

    /// It has answered. Gives the rate if it is to be told now that a server throttles.
    pub(super) fn life_shown(&mut self, now: Instant, acked: u64) -> Option<u64> {
        self.question.as_mut()?.answered.get_or_insert(now);
        self.judge(now, acked, self.measured?)
    }

    /// A block has been acknowledged, and so much in all. Gives the rate if it is to be told that a server throttles. `path` is how
    /// fast blocks get through that wait for one another, in bytes of stanzas a second.
    pub(super) fn acked(&mut self, now: Instant, block: &str, acked: u64, path: Option<u64>) -> Option<u64> {
        if let Some(question) = self.question.as_mut().filter(|question| question.block == *block) {
            question.acked = Some(now);
        }
        let ((began, before), (since, already)) = (self.begin?, self.span?);
        let gap = self.last.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        (self.acks, self.longest) = (self.acks.saturating_add(1), self.longest.max(gap));
        let time = now.saturating_duration_since(since);
        if time < Self::SPAN {
            return None;
        }
        if rate(acked - already, time) >= Self::LOW || !Self::is_narrow(path) {
            let fast = self.fast + 1;
            self.rest();
            self.waits(now, acked);
            self.fast = fast;
            self.told = self.told.filter(|_| fast < Self::SPANS);
            return None;
        }
        self.fast = 0;
        self.span = Some((now, acked));
        self.slow += 1;
        if self.slow == 1 {
            // Servers let a burst through first.
            self.begin_at(now, acked);
            return None;
        }
        let time = now.saturating_duration_since(began);
        if self.longest.saturating_mul(self.acks) > time.saturating_mul(Self::UNEVEN) {
            self.rest();
            self.waits(now, acked);
            return None;
        }
        let rate = rate(acked - before, time);
        self.measured = Some(rate);
        self.judge(now, acked, rate)
    }

    fn judge(&mut self, now: Instant, acked: u64, rate: u64) -> Option<u64> {
        let patience = self.patience.max(Self::SPANS);
        let is_news = self.told.is_none_or(|told| rate >= told * Self::NEWS || rate * Self::NEWS <= told);
        // The peer is asked one span before it is told. A change of what was told is not urgent, and may be that of a single span.
        if self.slow + u32::from(self.told.is_none()) < patience {
            return None;
        }
        if !is_news {
            self.rest();
            self.waits(now, acked);
            return None;
        }
        let Some(question) = &self.question else {
            self.asks = true;
            return None;
        };
        let answered = question.answered?;
        let waited = question.acked.unwrap_or(now).saturating_duration_since(answered);
        if waited >= Self::GRACE {
            self.patience = (patience * 2).min(Self::MOST_SPANS);
            self.rest();
            self.waits(now, acked);
            return None;
        }
        if question.acked.is_none() || self.slow < patience {
            return None;
        }
        self.patience = 0;
        self.rest();
        self.waits(now, acked);
        self.told = Some(rate);
        Some(rate)
    }
}

impl TunnelCore {
    /// The largest block that may be sent to the peer now.
    pub(super) fn block_size(&self, shared: &Shared) -> u16 {
        // Servers put both addresses on it.
        let addresses = self.peer.as_str().len() + shared.jid.as_str().len();
        shared.sizes.block(self.peer.domain(), addresses, IbbTransport::MIN_BLOCK_SIZE, shared.config.block_size)
    }

    /// A block was acknowledged under this id.
    pub(super) fn measure(&mut self, id: &str, shared: &mut Shared) {
        let Some(transport) = self.transport.as_mut().filter(|_| self.secured_at.is_some()) else { return };
        if transport.carrier.queued() == 0 {
            return transport.throttle.rest();
        }
        let (now, acked) = (shared.env.clock().now(), transport.acked());
        let throttled = transport.throttle.acked(now, id, acked, shared.flow.rate());
        self.tell_throttled(throttled, shared);
    }

    /// The peer has shown a sign of life.
    pub(super) fn answered_behind_block(&mut self, shared: &mut Shared) {
        let Some(transport) = &mut self.transport else { return };
        let throttled = transport.throttle.life_shown(shared.env.clock().now(), transport.acked());
        self.tell_throttled(throttled, shared);
    }

    fn tell_throttled(&self, rate: Option<u64>, shared: &mut Shared) {
        if let Some(bytes_per_second) = rate {
            shared.flow.start_carefully();
            shared.events.push_throttled(self.id, bytes_per_second);
        }
    }

    /// Something of the bytestream was sent: asks for a sign of life behind a block, if that is wanted.
    pub(super) fn ask_behind_block(&mut self) {
        let Some(transport) = self.transport.as_mut().filter(|transport| transport.throttle.asks()) else { return };
        if let Some(last) = transport.carrier.in_band().and_then(|bytestream| bytestream.last_sent())
            && self.ask_for_life()
            && let Some(transport) = &mut self.transport
        {
            transport.throttle.asked(last);
        }
    }

    /// An error came back to a block of so many bytes, as a stanza, perhaps not for the first time: later ones are smaller, if that may be
    /// why (XEP-0478 § 4 has policy-violation for it).
    pub(super) fn block_refused(&self, error: &StanzaError, block: Option<u64>, again: bool, shared: &mut Shared) {
        // One of type wait may be for how much was sent at a time: where it comes again and again, that was less already.
        let may_be_size = (again || error.error_type != ErrorType::Wait)
            && matches!(
                error.condition,
                Condition::PolicyViolation | Condition::NotAcceptable | Condition::ResourceConstraint
            );
        if let Some(block) = block.filter(|_| may_be_size) {
            shared.sizes.refuse(self.peer.domain(), block);
        }
    }

    /// The outer stream is back: what was on its way meanwhile tells nothing.
    pub(crate) fn outer_resumed(&mut self, away: Duration, earliest: Instant) {
        self.timers.resume(away, earliest);
        if let Some(transport) = &mut self.transport {
            transport.throttle.rest();
        }
    }
}

/// Bytes a second.
fn rate(bytes: u64, time: Duration) -> u64 {
    let nanos = u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
