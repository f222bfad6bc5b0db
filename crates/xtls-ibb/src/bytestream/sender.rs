//! The direction to the peer: the queue of bytes, the blocks in flight, the window.

use std::collections::VecDeque;

use xtls_stanza::Id;

use crate::BytestreamConfig;

/// Memory of the queue that is kept when it has run empty.
pub(super) const KEPT_BYTES: usize = 512;
/// Memory that a queue may have beyond twice what is in it.
const SLACK: usize = 24 * 1024;
/// Entries of blocks in flight that are kept when none is.
const KEPT_BLOCKS: usize = 4;

/// What is queued for the peer and what it has not acknowledged.
#[derive(Debug)]
pub(super) struct Sender {
    /// Bytes to send, and before them those that may have to be sent again: up to `acked` nobody needs them any more, up to
    /// `sent` they are those of `blocks`.
    queue: Vec<u8>,
    acked: usize,
    sent: usize,
    /// Blocks that were sent, in the order of their seq. The oldest one is not acknowledged.
    blocks: VecDeque<Block>,
    in_flight: usize,
    in_flight_bytes: u64,
    /// Nothing goes out: a block has come back.
    suspended: bool,
    /// Nothing has got through since a block came back: one goes at a time.
    probing: bool,
    /// Bytes that will never be acknowledged.
    lost: u64,
    seq: u16,
    /// Blocks that may be in flight.
    window: u16,
    max_bytes: u64,
}

#[derive(Debug)]
struct Block {
    id: Id,
    bytes: usize,
    state: BlockState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockState {
    Sent,
    Acked,
    /// It came back, and is to be sent again.
    Returned,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    InTurn(usize),
    /// A block before it came back.
    BehindReturned(usize),
}

impl Sender {
    pub(super) fn new(config: &BytestreamConfig) -> Self {
        Self {
            queue: Vec::new(),
            acked: 0,
            sent: 0,
            blocks: VecDeque::new(),
            in_flight: 0,
            in_flight_bytes: 0,
            suspended: false,
            probing: false,
            lost: 0,
            seq: 0,
            window: config.window.max(1),
            max_bytes: config.max_unacked_bytes,
        }
    }

    /// The queue, for appending to.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len().saturating_sub(self.sent)
    }

    /// Blocks that are not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The ids under which an answer to a block is due.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = Id> {
        self.blocks.iter().filter(|block| block.state == BlockState::Sent).map(|block| block.id)
    }

    pub(super) fn window(&self) -> u16 {
        self.window
    }

    pub(super) fn set_window(&mut self, blocks: u16) {
        self.window = blocks;
    }

    /// Whether there is a block that a larger window may let go.
    pub(super) fn has_block(&self) -> bool {
        !self.suspended && (self.queued() > 0 || self.first_returned().is_some())
    }

    /// The block that was sent last: what goes again goes before all that has not been sent.
    pub(super) fn last_sent(&self) -> Option<Id> {
        self.blocks.iter().rev().find(|block| block.state == BlockState::Sent).map(|block| block.id)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queued() == 0 && self.blocks.is_empty()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub(super) fn resume(&mut self) {
        self.suspended = false;
    }

    pub(super) fn unacked(&self) -> u64 {
        self.in_flight_bytes + wide(self.queued()) + self.lost
    }

    /// The next block and its seq, if it may go now. It counts as sent once [`Sender::mark_sent`] is called.
    pub(super) fn next(&self, block_size: u16, cut: &mut dyn FnMut(&[u8], usize) -> usize) -> Option<(&[u8], u16)> {
        if self.suspended || self.probing && self.unanswered().next().is_some() {
            None
        } else if let Some(at) = self.first_returned() {
            self.again(at)
        } else {
            self.fresh(block_size, cut)
        }
    }

    /// Takes back blocks that came back and are too large by now, as if they had never been sent: nothing that was sent after them may
    /// be on its way, or have got there.
    pub(super) fn cut_anew(&mut self, block_size: u16) {
        let Some(at) = self.first_returned().filter(|_| !self.suspended) else { return };
        let returned = self.blocks.range(at..);
        if returned.clone().any(|block| block.state != BlockState::Returned)
            || returned.clone().all(|block| block.bytes <= usize::from(block_size))
        {
            return;
        }
        let (count, bytes) = (returned.len(), returned.map(|block| block.bytes).sum());
        self.blocks.truncate(at);
        self.sent -= bytes;
        self.in_flight -= count;
        self.in_flight_bytes -= wide(bytes);
        self.seq = self.seq.wrapping_sub(u16::try_from(count).unwrap_or_default());
    }

    /// A block that came back, to go once more under its old seq: as long as a later one is on its way, that one may yet
    /// turn out to have got through.
    fn again(&self, at: usize) -> Option<(&[u8], u16)> {
        let is_sent = |block: &Block| block.state == BlockState::Sent;
        let before = self.blocks.iter().take(at);
        if self.blocks.iter().skip(at).any(is_sent)
            || before.clone().filter(|block| is_sent(block)).count() >= usize::from(self.window)
        {
            return None;
        }
        let start = self.acked + before.map(|block| block.bytes).sum::<usize>();
        let behind = u16::try_from(self.blocks.len() - at).ok()?;
        let block = self.queue.get(start..start + self.blocks.get(at)?.bytes)?;
        Some((block, self.seq.wrapping_sub(behind)))
    }

    fn fresh(&self, block_size: u16, cut: &mut dyn FnMut(&[u8], usize) -> usize) -> Option<(&[u8], u16)> {
        let pending = self.queue.get(self.sent..).filter(|pending| !pending.is_empty())?;
        if self.blocks.len() >= usize::from(self.window) {
            return None;
        }
        let limit = usize::from(block_size);
        let bytes = cut(pending, limit).clamp(1, limit.min(pending.len()));
        if self.in_flight > 0 && self.in_flight_bytes.saturating_add(wide(bytes)) > self.max_bytes {
            return None;
        }
        pending.get(..bytes).map(|block| (block, self.seq))
    }

    /// The block of this many bytes that [`Sender::next`] gave was sent under `id`.
    pub(super) fn mark_sent(&mut self, id: Id, bytes: usize) {
        let returned = self.first_returned().and_then(|at| self.blocks.get_mut(at));
        if let Some(block) = returned {
            *block = Block { id, bytes, state: BlockState::Sent };
            return;
        }
        self.sent += bytes;
        self.blocks.push_back(Block { id, bytes, state: BlockState::Sent });
        self.in_flight += 1;
        self.in_flight_bytes += wide(bytes);
        // XEP-0047 § 2.2: one more for each packet, and 0 again after 65535.
        self.seq = self.seq.wrapping_add(1);
    }

    /// The block sent under `id` was acknowledged. Results come in the order of the blocks as a rule, and need not.
    pub(super) fn acked(&mut self, id: &str) -> Option<Taken> {
        let at = self.position(id)?;
        let behind_returned = self.first_returned().is_some_and(|returned| returned < at);
        let block = self.blocks.get_mut(at)?;
        block.state = BlockState::Acked;
        let bytes = block.bytes;
        self.in_flight -= 1;
        self.in_flight_bytes -= wide(bytes);
        while let Some(front) = self.blocks.front().filter(|front| front.state == BlockState::Acked) {
            // Nothing is kept any more once the queue was dropped.
            self.acked = (self.acked + front.bytes).min(self.sent);
            self.blocks.pop_front();
        }
        // One that was on its way before the others came back says nothing of the way now.
        self.probing &= self.suspended;
        self.forget_acked();
        Some(if behind_returned { Taken::BehindReturned(bytes) } else { Taken::InTurn(bytes) })
    }

    /// The block sent under `id` could not be delivered for now. `None` if there is none; else whether it can be sent again:
    /// not if a later one has got through, since the peer took that for the end of the bytestream, or lies.
    pub(super) fn returned(&mut self, id: &str) -> Option<bool> {
        let at = self.position(id)?;
        if self.blocks.iter().skip(at).any(|block| block.state == BlockState::Acked) {
            return Some(false);
        }
        if let Some(block) = self.blocks.get_mut(at) {
            block.state = BlockState::Returned;
        }
        if !self.suspended {
            self.suspended = true;
            self.probing = true;
        }
        Some(true)
    }

    /// The block sent under `id` was refused: it is lost.
    pub(super) fn refused(&mut self, id: &str) -> Option<()> {
        let block = self.blocks.remove(self.position(id)?)?;
        self.in_flight -= 1;
        self.in_flight_bytes -= wide(block.bytes);
        self.lost += wide(block.bytes);
        Some(())
    }

    /// Drops what is queued, and what was to be sent again.
    pub(super) fn drop_queue(&mut self) {
        self.lost += wide(self.queued());
        self.queue = Vec::new();
        self.acked = 0;
        self.sent = 0;
        while let Some(block) = self.first_returned().and_then(|at| self.blocks.remove(at)) {
            self.in_flight -= 1;
            self.in_flight_bytes -= wide(block.bytes);
            self.lost += wide(block.bytes);
        }
        self.suspended = false;
    }

    /// Drops what is queued and forgets what is in flight.
    pub(super) fn drop_all(&mut self) {
        self.drop_queue();
        self.lost += self.in_flight_bytes;
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.blocks = VecDeque::new();
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.blocks.iter().position(|block| block.state == BlockState::Sent && block.id == *id)
    }

    fn first_returned(&self) -> Option<usize> {
        self.blocks.iter().position(|block| block.state == BlockState::Returned)
    }

    /// Gives back what the queue of a burst needed: most of it when little is left, and nearly all when nothing is.
    pub(super) fn release_queue(&mut self) {
        let length = self.queue.len();
        let most = if length == 0 { KEPT_BYTES } else { 2 * length + SLACK };
        if self.queue.capacity() > most {
            // It is copied and not made smaller, since some allocators give the system pages back at once where it is.
            self.queue = self.queue.as_slice().to_vec();
        }
    }

    /// Gives back what is left of that: it was quiet for a while.
    pub(super) fn release_memory(&mut self) {
        self.release_queue();
        self.blocks.shrink_to(KEPT_BLOCKS);
    }

    /// Forgets the bytes that nobody needs any more.
    fn forget_acked(&mut self) {
        if self.is_idle() {
            self.queue.clear();
            (self.acked, self.sent) = (0, 0);
        } else if self.acked >= self.queue.len().div_ceil(2) {
            // Each byte is moved at most once on average.
            self.queue.drain(..self.acked.min(self.queue.len()));
            self.sent -= self.acked;
            self.acked = 0;
        }
    }
}

pub(super) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
