//! The connections that tunnels go by: asked for by events, made and carried by the caller.

use core::net::IpAddr;

use xtls_channel::Instant;
use xtls_s5b::{AddressRefused, DstAddr, Networks};

use super::Engine;
use crate::event::ConnectionId;

impl Engine {
    /// Whether an address may be dialled that [`Event::Connect`](crate::Event::Connect) asks for, or that its name stands for:
    /// see [`Reach::networks`](crate::transports::Reach::networks). Ask for every address that a lookup gives, right before it is
    /// dialled: names change.
    ///
    /// # Errors
    ///
    /// When it may not: a peer would make you knock at doors inside of your network. Dial the next address, if there is one, or
    /// call [`connection_failed`](Self::connection_failed).
    pub fn check_address(&self, id: ConnectionId, address: IpAddr) -> Result<(), AddressRefused> {
        let tunnel = self.connected_tunnel(id).and_then(|number| self.tunnels.get(number));
        // A lookup may take longer than its tunnel lasts.
        tunnel.map_or_else(|| Networks::default().check(address), |tunnel| tunnel.check_address(address))
    }

    /// A connection that was asked for is made.
    pub fn connected(&mut self, now: Instant, id: ConnectionId) {
        self.on_connection(now, id, |tunnel, _| tunnel.connected(id.attempt));
    }

    /// A connection that was asked for could not be made.
    pub fn connection_failed(&mut self, now: Instant, id: ConnectionId) {
        self.connection_ended(now, id);
    }

    /// Whose a connection is that came to a listener of yours and asks for this by SOCKS5. Accept it there and hand in what comes
    /// after that; `None` says that nobody wants it: refuse it.
    pub fn claim_connection(&mut self, now: Instant, dst_addr: &DstAddr) -> Option<ConnectionId> {
        self.shared.env.advance(now);
        let number = self.tunnels.index().expecting(dst_addr)?;
        let (tunnel, attempt) =
            self.with_tunnel(number, |tunnel, _| tunnel.claim(dst_addr).map(|attempt| (tunnel.id, attempt)))??;
        Some(ConnectionId { tunnel, attempt })
    }

    /// Takes bytes of a connection. Of one that is not known any more they are dropped.
    ///
    /// All of them are taken. Read from the socket only while [`wants_bytes`](Self::wants_bytes), and a few KiB at a time: so the
    /// peer is held back while the application does not read.
    pub fn handle_connection_bytes(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        self.on_connection(now, id, |tunnel, shared| tunnel.connection_bytes(id.attempt, bytes, shared));
    }

    /// Whether bytes of this connection are wanted now. It changes with whatever happens to its tunnel.
    #[must_use]
    pub fn wants_bytes(&self, id: ConnectionId) -> bool {
        let tunnel = self.connected_tunnel(id).and_then(|number| self.tunnels.get(number));
        tunnel.is_some_and(|tunnel| tunnel.wants_bytes(id.attempt, &self.shared))
    }

    /// The connection has ended: the peer, or somebody on the way, closed it, or it broke.
    pub fn connection_ended(&mut self, now: Instant, id: ConnectionId) {
        self.on_connection(now, id, |tunnel, shared| tunnel.connection_ended(id.attempt, shared));
    }

    /// Appends what is to be written to a connection, and tells how many bytes. What was taken counts as sent: poll again once the
    /// socket has taken it, and leave it alone until then, so that the application is held back while the peer does not read.
    ///
    /// What it gives at once is one write: SOCKS5 proxies do not read on where two messages come together.
    pub fn poll_connection(&mut self, now: Instant, id: ConnectionId, out: &mut Vec<u8>) -> usize {
        self.on_connection(now, id, |tunnel, shared| tunnel.poll_connection(id.attempt, out, shared)).unwrap_or(0)
    }

    fn connected_tunnel(&self, id: ConnectionId) -> Option<u64> {
        (id.tunnel.engine == self.id).then_some(id.tunnel.number)
    }

    fn on_connection<R>(
        &mut self,
        now: Instant,
        id: ConnectionId,
        action: impl FnOnce(&mut crate::tunnel::TunnelCore, &mut crate::shared::Shared) -> R,
    ) -> Option<R> {
        self.shared.env.advance(now);
        self.connected_tunnel(id).and_then(|number| self.with_tunnel(number, action))
    }
}
