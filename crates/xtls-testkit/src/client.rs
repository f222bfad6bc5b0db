//! What a client is to a network.

use std::time::Instant;

use xtls::Engine;

/// A client that does no I/O and reads no clock: stanzas come in and go out, time passes, its stream comes and goes.
///
/// An [`Engine`] is one, but an engine alone: stanzas that it does not handle are lost, service discovery among them (turn
/// [`TunnelOptions::check_support`](xtls::TunnelOptions::check_support) off, or use an [`EngineClient`](crate::EngineClient)). Your own
/// client is one if you say how it does these five things.
pub trait Client {
    /// A stanza has come from the server.
    fn handle_stanza(&mut self, now: Instant, stanza: &str);

    /// Time has passed. An extra call does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// Something happened to its stream.
    fn handle_connection(&mut self, now: Instant, change: Connection);

    /// Appends the next stanza that it sends to `out`, and tells whether there was one. What it tells its user is taken care of
    /// here too: when it sends nothing more, nothing waits in it that would make it send.
    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool;

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next; `None` when nothing waits.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// What happens to the stream between a client and its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// It is logged in, for the first time or again.
    Online,
    /// It is gone for good.
    Offline,
    /// It is away and is to be resumed (XEP-0198).
    Suspended,
    /// It is resumed, and nothing was lost.
    Resumed,
}

impl Client for Engine {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        // Nobody else is here to take it.
        let _ = self.handle_stanza(now, stanza);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        match change {
            Connection::Online => {}
            Connection::Offline => self.handle_disconnect(now),
            Connection::Suspended => self.handle_suspended(now),
            Connection::Resumed => self.handle_resumed(now),
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        self.poll_transmit(now, out).is_some()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout().map(|due| due.at)
    }
}

impl<C: Client + ?Sized> Client for Box<C> {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        (**self).handle_stanza(now, stanza);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        (**self).handle_connection(now, change);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        (**self).poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }
}
