//! A link of any type.

use std::{any::Any, fmt, time::Instant};

use xtls::{
    Deadline, Security,
    error::SendError,
    link::{Kind, Link, LinkEvent, LinkStats, Stage},
};
use xtls_stanza::{Element, jid::Jid};

/// What can be done with a link whatever its type.
pub trait AnyLink: Any + fmt::Debug {
    /// [`Link::stage`].
    fn stage(&self) -> Stage;
    /// [`Link::stats`].
    fn stats(&self) -> LinkStats;
    /// [`Link::peer`].
    fn peer(&self) -> Option<&Jid>;
    /// [`Link::security`].
    fn security(&self) -> Option<&Security>;
    /// [`Link::channel_binding`].
    fn channel_binding(&self) -> Option<[u8; 32]>;
    /// [`Link::send`].
    ///
    /// # Errors
    ///
    /// As there.
    fn send(&mut self, now: Instant, stanza: &Element) -> Result<(), SendError>;
    /// [`Link::close`].
    fn close(&mut self, now: Instant);
    /// [`Link::handle_bytes`].
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> usize;
    /// [`Link::handle_end`].
    fn handle_end(&mut self, now: Instant);
    /// [`Link::handle_timeout`].
    fn handle_timeout(&mut self, now: Instant);
    /// [`Link::poll_timeout`].
    fn poll_timeout(&self) -> Option<Deadline>;
    /// [`Link::poll_transmit`].
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool;
    /// [`Link::poll_event`].
    fn poll_event(&mut self) -> Option<LinkEvent>;
}

impl<K: Kind + 'static> AnyLink for Link<K> {
    fn stage(&self) -> Stage {
        self.stage()
    }

    fn stats(&self) -> LinkStats {
        self.stats()
    }

    fn peer(&self) -> Option<&Jid> {
        self.peer()
    }

    fn security(&self) -> Option<&Security> {
        self.security()
    }

    fn channel_binding(&self) -> Option<[u8; 32]> {
        self.channel_binding()
    }

    fn send(&mut self, now: Instant, stanza: &Element) -> Result<(), SendError> {
        self.send(now, stanza)
    }

    fn close(&mut self, now: Instant) {
        self.close(now);
    }

    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.handle_bytes(now, bytes)
    }

    fn handle_end(&mut self, now: Instant) {
        self.handle_end(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.poll_timeout()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.poll_transmit(now, out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        self.poll_event()
    }
}
