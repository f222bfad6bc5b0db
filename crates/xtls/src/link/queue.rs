//! Events that wait to be polled, bounded.

use std::collections::VecDeque;

use super::LinkEvent;

/// Events, each with the bytes that led to it.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<(LinkEvent, usize)>,
    bytes: usize,
    max_bytes: usize,
}

impl Queue {
    const MAX_EVENTS: usize = 32;

    pub(super) fn new(max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Whether more may be read. An empty queue always has room, so that a small bound cannot stop everything.
    pub(super) fn has_room(&self) -> bool {
        self.events.is_empty() || (self.events.len() < Self::MAX_EVENTS && self.bytes < self.max_bytes)
    }

    pub(super) fn push(&mut self, event: LinkEvent, bytes: usize) {
        self.bytes += bytes;
        self.events.push_back((event, bytes));
    }

    pub(super) fn pop(&mut self) -> Option<LinkEvent> {
        let (event, bytes) = self.events.pop_front()?;
        self.bytes -= bytes;
        Some(event)
    }
}
