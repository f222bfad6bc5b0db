//! The direction to the peer: the queue of bytes, the blocks in flight, the window.

use std::collections::VecDeque;

use xtls_stanza::Id;

use crate::Config;

/// Memory of the queue that is kept when it has run empty.
const KEPT_BYTES: usize = 1024;
/// Entries of blocks in flight that are kept when none is.
const KEPT_BLOCKS: usize = 4;

/// What is queued for the peer and what it has not acknowledged.
#[derive(Debug)]
pub(super) struct Sender {
    /// Bytes to send; those before `sent` have left in blocks.
    queue: Vec<u8>,
    sent: usize,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: u64,
    /// Bytes that will never be acknowledged.
    lost: u64,
    seq: u16,
    window: Window,
    max_bytes: u64,
}

#[derive(Debug)]
struct InFlight {
    id: Id,
    bytes: usize,
}

/// How many blocks may be in flight.
#[derive(Debug)]
struct Window {
    size: u16,
    max: u16,
    /// Whether it has held a block back since it last grew: one that nothing presses against does not grow.
    pressed: bool,
    /// Blocks acknowledged while it is pressed.
    acked: u16,
}

impl Sender {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            queue: Vec::new(),
            sent: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            lost: 0,
            seq: 0,
            window: Window::new(config),
            max_bytes: config.max_unacked_bytes,
        }
    }

    /// The queue, for appending to. What was sent is cut off once it is at least half of it, so that each byte is moved
    /// at most once on average.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        if self.sent > self.queue.len() / 2 {
            self.queue.drain(..self.sent.min(self.queue.len()));
            self.sent = 0;
        }
        &mut self.queue
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len().saturating_sub(self.sent)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn window(&self) -> u16 {
        self.window.size
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queued() == 0 && self.in_flight.is_empty()
    }

    pub(super) fn unacked(&self) -> u64 {
        self.in_flight_bytes + wide(self.queued()) + self.lost
    }

    /// The next block and its seq, if the window has room for it. It counts as sent once [`Sender::mark_sent`] is called.
    pub(super) fn next(&mut self, block_size: u16, cut: &mut dyn FnMut(&[u8], usize) -> usize) -> Option<(&[u8], u16)> {
        let pending = self.queue.get(self.sent..).filter(|pending| !pending.is_empty())?;
        if self.in_flight.len() >= usize::from(self.window.size) {
            self.window.pressed = true;
            return None;
        }
        let limit = usize::from(block_size);
        let bytes = cut(pending, limit).clamp(1, limit.min(pending.len()));
        if !self.in_flight.is_empty() && self.in_flight_bytes.saturating_add(wide(bytes)) > self.max_bytes {
            return None;
        }
        pending.get(..bytes).map(|block| (block, self.seq))
    }

    #[cfg(test)]
    pub(super) fn first_in_flight(&self) -> Option<Id> {
        self.in_flight.front().map(|block| block.id)
    }

    /// The block of this many bytes that [`Sender::next`] gave was sent under `id`.
    pub(super) fn mark_sent(&mut self, id: Id, bytes: usize) {
        self.sent += bytes;
        self.in_flight.push_back(InFlight { id, bytes });
        self.in_flight_bytes += wide(bytes);
        // XEP-0047 § 2.2: one more for each packet, and 0 again after 65535.
        self.seq = self.seq.wrapping_add(1);
    }

    /// The block sent under `id` was acknowledged.
    pub(super) fn acked(&mut self, id: &str) -> Option<usize> {
        let bytes = self.remove(id)?;
        self.window.acked();
        self.release_memory();
        Some(bytes)
    }

    /// The block sent under `id` was refused or not delivered.
    pub(super) fn refused(&mut self, id: &str) -> Option<usize> {
        let bytes = self.remove(id)?;
        self.lost += wide(bytes);
        Some(bytes)
    }

    /// Drops what is queued.
    pub(super) fn drop_queue(&mut self) {
        self.lost += wide(self.queued());
        self.queue = Vec::new();
        self.sent = 0;
    }

    /// Drops what is queued and forgets what is in flight.
    pub(super) fn drop_all(&mut self) {
        self.drop_queue();
        self.lost += self.in_flight_bytes;
        self.in_flight_bytes = 0;
        self.in_flight = VecDeque::new();
    }

    /// Results come in the order of the blocks as a rule, and need not.
    fn remove(&mut self, id: &str) -> Option<usize> {
        let at = self.in_flight.iter().position(|block| block.id == *id)?;
        let block = self.in_flight.remove(at)?;
        self.in_flight_bytes -= wide(block.bytes);
        Some(block.bytes)
    }

    /// Gives back what a burst needed, once nothing is left of it.
    fn release_memory(&mut self) {
        if self.is_idle() {
            self.queue.clear();
            self.queue.shrink_to(KEPT_BYTES);
            self.sent = 0;
            self.in_flight.shrink_to(KEPT_BLOCKS);
        }
    }
}

impl Window {
    fn new(config: &Config) -> Self {
        let (size, max) = match config.window_fixed {
            Some(fixed) => (fixed, fixed),
            None => (config.window_initial.min(config.window_max), config.window_max),
        };
        Self { size: size.max(1), max: max.max(1), pressed: false, acked: 0 }
    }

    fn acked(&mut self) {
        if !self.pressed || self.size >= self.max {
            return;
        }
        self.acked += 1;
        if self.acked >= self.size {
            *self = Self { size: self.size + 1, max: self.max, pressed: false, acked: 0 };
        }
    }
}

pub(super) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
