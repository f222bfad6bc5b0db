//! Memory that bursts have left for the next one.

use core::{mem, time::Duration};

use xtls_channel::Instant;
use xtls_ibb::Bytestream;

/// The largest buffers that tunnels have emptied, kept for whoever has much to hold next.
///
/// A tunnel that is quiet keeps little, and one that is busy runs empty again and again: what it gave back each time it would need
/// again at once, and fetch it from the system page by page. So an engine keeps a few such buffers, of the sizes that a queue goes
/// through while it drains, and lets go of them when it was quiet for a while: at the first
/// timeout that comes then, and each tunnel has one.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    /// The smallest first.
    buffers: [Vec<u8>; 4],
    /// When something was given back last.
    used: Option<Instant>,
}

impl Spares {
    /// What they have together at most, in bytes.
    const MOST: usize = 512 * 1024;
    /// What a buffer may have beyond twice its need, in bytes.
    const SLACK: usize = 24 * 1024;
    /// What a buffer keeps when it has run empty, in bytes: enough for a chat.
    const KEPT: usize = Bytestream::KEPT_BYTES;
    /// How long they are kept at least.
    const QUIET: Duration = Duration::from_secs(10);

    /// Sees to it that `buffer` can take so many bytes more without growing: by a spare one, if there is one that is large enough
    /// and not far too large.
    pub(crate) fn lend(&mut self, buffer: &mut Vec<u8>, more: usize) {
        self.exchange(buffer, more);
        buffer.reserve(more);
    }

    /// The same as far as there is such a spare one.
    fn exchange(&mut self, buffer: &mut Vec<u8>, more: usize) {
        let needed = buffer.len().saturating_add(more);
        if buffer.capacity() >= needed {
            return;
        }
        let smallest = self.buffers.iter_mut().find(|spare| spare.capacity() >= needed);
        if let Some(spare) = smallest.filter(|spare| !is_too_large(spare, needed)) {
            spare.append(buffer);
            mem::swap(spare, buffer);
            self.buffers.sort_unstable_by_key(Vec::capacity);
        }
    }

    /// Takes what a buffer has far beyond its need: all of it, but for a little, once it is empty.
    pub(crate) fn trim(&mut self, buffer: &mut Vec<u8>, now: Instant) {
        let length = buffer.len();
        if buffer.capacity() <= Self::KEPT || length > 0 && !is_too_large(buffer, length) {
            return;
        }
        let mut large = mem::take(buffer);
        if length > 0 {
            self.exchange(buffer, length);
            if buffer.capacity() < length {
                // It fits the next time too, when there may be a little more.
                buffer.reserve_exact(length + length / 8);
            }
            buffer.append(&mut large);
        }
        self.keep(large, now);
    }

    /// Lets go of them if nothing was given back for a while.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.used.is_some_and(|used| now.saturating_duration_since(used) >= Self::QUIET) {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps an empty buffer in the place of the smallest one, if it is larger. The smallest go where there are too many bytes.
    fn keep(&mut self, buffer: Vec<u8>, now: Instant) {
        self.used = Some(now);
        if buffer.capacity() > Self::MOST {
            return;
        }
        let [least, ..] = &mut self.buffers;
        if least.capacity() < buffer.capacity() {
            *least = buffer;
        }
        self.buffers.sort_unstable_by_key(Vec::capacity);
        let mut held: usize = self.buffers.iter().map(Vec::capacity).sum();
        for buffer in &mut self.buffers {
            if held <= Self::MOST {
                break;
            }
            held -= buffer.capacity();
            *buffer = Vec::new();
        }
    }
}

/// Whether a buffer is far larger than what has so many bytes needs.
fn is_too_large(buffer: &Vec<u8>, needed: usize) -> bool {
    buffer.capacity() > 2 * needed + Spares::SLACK
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    fn capacities(spares: &Spares) -> [usize; 4] {
        spares.buffers.each_ref().map(Vec::capacity)
    }

    fn filled(length: usize, capacity: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(capacity);
        buffer.resize(length, 7);
        buffer
    }

    #[test]
    fn what_a_burst_left_is_used_by_the_next_one_with_what_is_there() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let mut left = Vec::with_capacity(100_000);
        spares.trim(&mut left, now);
        assert_eq!((left.capacity(), capacities(&spares)), (0, [0, 0, 0, 100_000]));
        let mut next = b"but soft".to_vec();
        spares.lend(&mut next, 30_000);
        assert_eq!(next.capacity(), 30_008, "it is far too large");
        spares.lend(&mut next, 50_000);
        assert!(next.capacity() == 100_000 && next == b"but soft");
        assert_eq!(capacities(&spares), [0, 0, 0, 30_008], "it is lent once");
        spares.lend(&mut next, 200_000);
        assert!(next.capacity() >= 200_008 && next == b"but soft", "there is none that large");
    }

    #[test]
    fn a_buffer_keeps_twice_its_need_and_24_kibibytes_and_not_a_byte_more() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let mut enough = filled(1000, 2000 + Spares::SLACK);
        spares.trim(&mut enough, now);
        assert_eq!((enough.capacity(), capacities(&spares)), (2000 + Spares::SLACK, [0; 4]));
        let mut more = filled(1000, 2001 + Spares::SLACK);
        spares.trim(&mut more, now);
        assert_eq!((more.capacity(), capacities(&spares)), (1125, [0, 0, 0, 2001 + Spares::SLACK]));
        assert!(more == [7; 1000]);
        let mut empty = Vec::with_capacity(Spares::KEPT);
        spares.trim(&mut empty, now);
        assert_eq!(empty.capacity(), Spares::KEPT);
        let mut empty = Vec::with_capacity(Spares::KEPT + 1);
        spares.trim(&mut empty, now);
        assert_eq!((empty.capacity(), capacities(&spares)[2]), (0, Spares::KEPT + 1));
    }

    #[test]
    fn a_queue_that_drains_again_and_again_goes_through_the_same_buffers() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let mut rounds = Vec::new();
        for round in 0..10 {
            let mut queue = Vec::new();
            spares.lend(&mut queue, 250_000 - round);
            queue.resize(250_000 - round, 7);
            while !queue.is_empty() {
                queue.truncate(queue.len() / 2);
                spares.trim(&mut queue, now);
            }
            rounds.push(spares.buffers.each_ref().map(|spare| (spare.as_ptr(), spare.capacity())));
        }
        assert!(rounds.iter().skip(1).all(|round| *round == rounds[0]), "{rounds:?}");
        assert_eq!(rounds[0][3].1, 250_000);
    }

    #[test]
    fn together_they_have_512_kibibytes_at_the_bound_and_not_past_it() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let quarter = Spares::MOST / 4;
        for capacity in [5000, quarter, Spares::MOST + 1, quarter, 3000, quarter, quarter] {
            spares.trim(&mut Vec::with_capacity(capacity), now);
        }
        assert_eq!(capacities(&spares), [quarter; 4]);
        spares.trim(&mut Vec::with_capacity(quarter + 1), now);
        assert_eq!(capacities(&spares), [0, quarter, quarter, quarter + 1], "the smallest go");
        spares.trim(&mut Vec::with_capacity(Spares::MOST), now);
        assert_eq!(capacities(&spares), [0, 0, 0, Spares::MOST]);
    }

    #[test]
    fn they_are_let_go_after_ten_seconds_of_quiet_and_not_before() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        spares.trim(&mut Vec::with_capacity(5000), now);
        spares.expire(now + Spares::QUIET - Duration::from_nanos(1));
        assert_eq!(capacities(&spares), [0, 0, 0, 5000]);
        spares.expire(now + Spares::QUIET);
        assert_eq!(capacities(&spares), [0; 4]);
    }
}
