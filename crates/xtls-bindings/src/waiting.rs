//! What happens, one by one; and stanzas that wait at the caller's.

use std::collections::BTreeMap;

use xtls::event::Held;

use crate::engine::Engine;
use crate::event::Event;

/// What the caller has been told and has not taken, by number, and of which tunnel it is.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    of: BTreeMap<u64, (u64, Held)>,
    last: u64,
}

impl Engine {
    /// The next event; nothing when there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.inner.poll_event()?;
        Some(self.told(event))
    }

    /// The same for a caller that has queues of its own. What a stanza, or another event of an XML
    /// stream, holds stays counted by the bound of its tunnel, which stops the
    /// peer, until the number is given to [`release`](Self::release). It is 0 where nothing is held.
    pub fn poll_event_held(&mut self) -> Option<(Event, u64)> {
        let (event, held) = self.inner.poll_event_held()?;
        let event = self.told(event);
        let Some(held) = held else { return Some((event, 0)) };
        self.waiting.last += 1;
        self.waiting.of.insert(self.waiting.last, (event.id, held));
        Some((event, self.waiting.last))
    }

    /// The event that had this number is taken. A number that nothing has, or nothing any more, does nothing.
    pub fn release(&mut self, number: u64) {
        if let Some((_, held)) = self.waiting.of.remove(&number) {
            self.inner.release(held);
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "of the others nothing is kept")]
    fn told(&mut self, event: xtls::Event) -> Event {
        let told = Event::from(&event);
        match event {
            xtls::Event::Incoming(incoming) => drop(self.offers.insert(told.id, incoming)),
            xtls::Event::IncomingGone { .. } => drop(self.offers.remove(&told.id)),
            xtls::Event::Closed(_) => {
                self.offers.remove(&told.id);
                self.rests.ended(told.id);
                self.waiting.of.retain(|_, (tunnel, _)| *tunnel != told.id);
            }
            _ => {}
        }
        told
    }
}
