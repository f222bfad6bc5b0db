//! The acknowledgements that are owed to the peer.

use std::collections::VecDeque;

/// Results to send, in the order of the requests. Those at the front are released and wait for being polled; behind them
/// are those that are withheld.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    queue: VecDeque<Ack>,
    released: usize,
}

#[derive(Debug)]
struct Ack {
    id: PeerId,
    /// Where its bytes end, in the owner's count.
    position: u64,
}

impl Acks {
    /// Entries that are kept between the windows of a burst: as many as a window has.
    const KEPT: usize = 32;

    /// All that wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn withheld(&self) -> usize {
        self.queue.len().saturating_sub(self.released)
    }

    pub(crate) fn withhold(&mut self, id: &str) {
        self.queue.push_back(Ack { id: PeerId::new(id), position: 0 });
    }

    /// Releases all and adds one more.
    pub(crate) fn answer(&mut self, id: &str) {
        self.withhold(id);
        self.release_all();
    }

    /// Notes where the bytes of the newest withheld one end.
    pub(crate) fn mark(&mut self, position: u64) {
        if self.withheld() > 0
            && let Some(newest) = self.queue.back_mut()
        {
            newest.position = position;
        }
    }

    /// Releases those whose bytes end at or before `position`, as far as they are the oldest.
    pub(crate) fn release(&mut self, position: u64) {
        let withheld = self.queue.iter().skip(self.released);
        self.released += withheld.take_while(|ack| ack.position <= position).count();
    }

    /// Takes back the newest one; false if there is none.
    pub(crate) fn withdraw(&mut self) -> bool {
        let withdrawn = self.queue.pop_back().is_some();
        self.released = self.released.min(self.queue.len());
        withdrawn
    }

    pub(crate) fn release_all(&mut self) {
        self.released = self.queue.len();
    }

    /// Takes the oldest one, if it is released.
    pub(crate) fn pop(&mut self) -> Option<PeerId> {
        self.released = self.released.checked_sub(1)?;
        let ack = self.queue.pop_front()?;
        if self.queue.is_empty() {
            // What a flood needed is given back at once, what a window needs stays while it is used.
            self.queue.shrink_to(Self::KEPT);
        }
        Some(ack.id)
    }

    /// Gives back what a burst needed, but for a few entries, so that a quiet exchange does not allocate.
    pub(crate) fn release_memory(&mut self) {
        self.queue.shrink_to(4);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The id of a request of the peer. The usual ones (a UUID has 36 bytes) need no allocation.
#[derive(Debug)]
pub(crate) enum PeerId {
    Short { length: u8, bytes: [u8; Self::SHORT] },
    Long(Box<str>),
}

impl PeerId {
    const SHORT: usize = 46;

    fn new(id: &str) -> Self {
        let mut bytes = [0; Self::SHORT];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(id.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short { length, bytes } => {
                // It was copied from a string of this length.
                let text = bytes.get(..usize::from(*length)).unwrap_or_default();
                core::str::from_utf8(text).unwrap_or_default()
            }
            Self::Long(id) => id,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_length_come_back_and_short_ones_are_inline() {
        for length in 1..=1024 {
            let id = "ä".repeat(length / 2) + &"x".repeat(length % 2);
            let kept = PeerId::new(&id);
            assert_eq!(kept.as_str(), id);
            assert_eq!(matches!(kept, PeerId::Short { .. }), length <= 46, "{length}");
        }
        assert!(size_of::<PeerId>() <= 48);
    }

    #[test]
    fn acknowledgements_are_released_in_order_up_to_a_position() {
        let mut acks = Acks::default();
        for (id, position) in [("a", 10), ("b", 10), ("c", 25), ("d", 20)] {
            acks.withhold(id);
            acks.mark(position);
        }
        assert_eq!(acks.withheld(), 4);
        assert!(acks.pop().is_none());
        acks.release(9);
        assert!(acks.pop().is_none());
        acks.release(24);
        assert_eq!(acks.withheld(), 2);
        assert_eq!(acks.pop().unwrap().as_str(), "a");
        assert_eq!(acks.pop().unwrap().as_str(), "b");
        // `d` would fit, and waits for `c` all the same.
        assert!(acks.pop().is_none());
        acks.release(25);
        assert_eq!(acks.pop().unwrap().as_str(), "c");
        assert_eq!(acks.pop().unwrap().as_str(), "d");
        assert!(acks.pop().is_none());
    }

    #[test]
    fn a_mark_after_the_release_changes_nothing() {
        let mut acks = Acks::default();
        acks.answer("a");
        acks.mark(100);
        acks.withhold("b");
        acks.release(0);
        assert_eq!(acks.withheld(), 0);
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut acks = Acks::default();
        for _ in 0..1000 {
            acks.answer("id");
        }
        while acks.pop().is_some() {}
        assert!(acks.queue.capacity() <= 2 * Acks::KEPT);
        acks.release_memory();
        assert!(acks.queue.capacity() <= 8);
    }
}
