//! Events that wait to be polled, bounded.

use std::collections::VecDeque;

use crate::event::LinkEvent;

/// Events, each with the bytes that led to it.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<(LinkEvent, usize)>,
    bytes: usize,
    max_bytes: usize,
}

impl Queue {
    const MAX_EVENTS: usize = 32;

    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Whether more may be read. An empty queue always has room, so that a small bound cannot stop everything.
    pub(crate) fn has_room(&self) -> bool {
        self.events.is_empty() || (self.events.len() < Self::MAX_EVENTS && self.bytes < self.max_bytes)
    }

    pub(crate) fn push(&mut self, event: LinkEvent, bytes: usize) {
        self.bytes += bytes;
        self.events.push_back((event, bytes));
    }

    pub(crate) fn pop(&mut self) -> Option<LinkEvent> {
        let (event, bytes) = self.events.pop_front()?;
        self.bytes -= bytes;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_hold_at_their_limits_and_an_empty_queue_has_room() {
        let mut queue = Queue::new(100);
        for _ in 0..Queue::MAX_EVENTS {
            assert!(queue.has_room());
            queue.push(LinkEvent::StreamOpened, 0);
        }
        assert!(!queue.has_room());
        assert!(queue.pop().is_some() && queue.has_room());

        let mut queue = Queue::new(100);
        queue.push(LinkEvent::StreamOpened, 99);
        assert!(queue.has_room());
        queue.push(LinkEvent::StreamOpened, 1);
        assert!(!queue.has_room());
        assert!(queue.pop().is_some() && queue.has_room());
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }
}
