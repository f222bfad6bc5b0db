//! Events that wait to be polled, bounded.

use std::collections::VecDeque;

use xtls_stanza::Element;

use crate::event::LinkEvent;

/// Events, each with the bytes that it holds in memory.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<(LinkEvent, usize)>,
    held: usize,
    max_held: usize,
}

impl Queue {
    const MAX_EVENTS: usize = 32;

    pub(crate) fn new(max_held: usize) -> Self {
        Self { events: VecDeque::new(), held: 0, max_held }
    }

    /// Whether more may be read. An empty queue always has room, so that a small bound cannot stop everything.
    pub(crate) fn has_room(&self) -> bool {
        self.events.is_empty() || (self.events.len() < Self::MAX_EVENTS && self.held < self.max_held)
    }

    pub(crate) fn push(&mut self, event: LinkEvent) {
        let held = held(&event);
        self.held += held;
        self.events.push_back((event, held));
    }

    pub(crate) fn pop(&mut self) -> Option<LinkEvent> {
        let (event, held) = self.events.pop_front()?;
        self.held -= held;
        Some(event)
    }
}

/// What an event holds of what the peer may send again and again.
fn held(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Stanza { stanza: element } | LinkEvent::Nonza(element) => element.held_bytes(),
        LinkEvent::Features(features) => features.others.iter().map(Element::held_bytes).sum(),
        LinkEvent::Impersonation { from: address } | LinkEvent::Misaddressed { to: address } => address.len(),
        LinkEvent::Incoming { .. }
        | LinkEvent::PasswordRequired
        | LinkEvent::TrustRequired { .. }
        | LinkEvent::Encrypted { .. }
        | LinkEvent::FeaturesRequired { .. }
        | LinkEvent::ClientAuthenticated { .. }
        | LinkEvent::Secured { .. }
        | LinkEvent::Confirmed
        | LinkEvent::StoreFailed { .. }
        | LinkEvent::StreamOpened
        | LinkEvent::Authenticated
        | LinkEvent::Writable
        | LinkEvent::Closed(_) => 0,
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
            queue.push(LinkEvent::StreamOpened);
        }
        assert!(!queue.has_room());
        assert!(queue.pop().is_some() && queue.has_room());

        let claim = |bytes: usize| LinkEvent::Misaddressed { to: "x".repeat(bytes) };
        let mut queue = Queue::new(100);
        queue.push(claim(99));
        assert!(queue.has_room());
        queue.push(claim(1));
        assert!(!queue.has_room());
        assert!(queue.pop().is_some() && queue.has_room());
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }

    /// However it came in: 4 bytes of text are a row of a table.
    #[test]
    fn a_stanza_weighs_what_it_holds_in_memory() {
        let xml = format!("<message>{}</message>", "<a/>".repeat(1000));
        let stanza = Element::parse(&xml, &xtls_stanza::Limits::default()).expect("it is well-formed");
        assert!(held(&LinkEvent::Nonza(stanza.clone())) > 4 * xml.len());
        let bytes = stanza.held_bytes();
        assert_eq!(held(&LinkEvent::Stanza { stanza }), bytes);
    }
}
