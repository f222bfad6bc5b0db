//! Events that wait to be polled, bounded.

use std::collections::VecDeque;

/// Events, each with the bytes that it holds in memory.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    events: VecDeque<(E, usize)>,
    bytes: usize,
    max_bytes: usize,
}

impl<E> Queue<E> {
    /// The most events that wait.
    pub(crate) const MAX_EVENTS: usize = 32;

    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Whether one more may be read. An empty queue always has room, so that a small bound cannot stop everything.
    pub(crate) fn has_room(&self) -> bool {
        let few = self.events.len() < Self::MAX_EVENTS && self.bytes < self.max_bytes;
        few || self.events.is_empty()
    }

    pub(crate) fn push(&mut self, event: E, size: usize) {
        self.bytes += size;
        self.events.push_back((event, size));
    }

    pub(crate) fn pop(&mut self) -> Option<E> {
        let (event, size) = self.events.pop_front()?;
        self.bytes -= size;
        Some(event)
    }

    /// Takes the last event back if it is the one meant.
    pub(crate) fn withdraw_last(&mut self, is_meant: impl FnOnce(&E) -> bool) {
        if self.events.back().is_some_and(|(event, _)| is_meant(event))
            && let Some((_, size)) = self.events.pop_back()
        {
            self.bytes -= size;
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
