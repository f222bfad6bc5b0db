//! The connection that carries a tunnel: what goes and comes by it, and its end.

use xtls_channel::{Channel, EndedBy, Fault, Io, Timer};
use xtls_jingle::Role;
use xtls_s5b::negotiation::Attempt;

use super::{
    Phase, TunnelCore,
    transport::{Transport, carrier::Carrier},
};
use crate::{shared::Shared, transports::Path};

impl TunnelCore {
    /// What carries the tunnel.
    pub(crate) fn path(&self) -> Option<Path> {
        self.transport.as_ref().map(|transport| transport.carrier.path())
    }

    /// Whether a connection carries the tunnel.
    pub(super) fn goes_by_connection(&self) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.carrier.is_connection())
    }

    pub(super) fn carries(&self, attempt: Attempt) -> bool {
        matches!(&self.transport, Some(Transport { carrier: Carrier::Connection(own), .. }) if own.attempt() == attempt)
    }

    /// Whether the application has room for what comes by the connection.
    pub(super) fn has_room_to_receive(&self, shared: &Shared) -> bool {
        let untaken = self.transport.as_ref().map_or(0, Transport::untaken);
        untaken < u64::try_from(shared.config.receive_buffer).unwrap_or(u64::MAX)
    }

    pub(super) fn poll_carrier(&mut self, out: &mut Vec<u8>, shared: &mut Shared) -> usize {
        let Some(transport) = &mut self.transport else { return 0 };
        let taken = transport.take(out);
        if let Some(channel) = self.channel.as_mut().filter(|_| transport.flight_left()) {
            channel.flight_left();
        }
        let wait = transport.carrier.connection().and_then(|connection| connection.nudges.after_burst());
        if taken > 0 {
            if let Some(wait) = wait {
                self.set(Timer::Connection, wait, shared);
            }
            self.timers.clear(Timer::Stall);
            if self.ended.is_none() {
                self.set(Timer::Stall, shared.config.timers.stall, shared);
            }
            self.resume(shared);
        }
        taken
    }

    pub(super) fn receive_by_connection(&mut self, bytes: &[u8], shared: &mut Shared) {
        if self.peer_closed() {
            // RFC 8446 § 6.1: what comes after close_notify MUST be ignored.
            return;
        }
        if self.ended.is_none() {
            self.expect_last_words(shared);
            return self.receive(bytes, shared);
        }
        self.hear_out(bytes, shared);
    }

    /// The tunnel has ended here. What still comes is read for nothing but the peer's close_notify, so that nothing of ours is cut
    /// off before the peer has it.
    fn hear_out(&mut self, bytes: &[u8], shared: &mut Shared) {
        let Some(channel) = &mut self.channel else { return };
        let mut out = Vec::new();
        let mut plaintext = Vec::new();
        if channel.security().is_some() && !channel.peer_closed() {
            let _ = channel.read(bytes, &mut Io { env: &mut shared.env, plaintext: &mut plaintext, out: &mut out });
        }
    }

    /// The connection that carries TLS has ended.
    pub(super) fn carrier_ended(&mut self, shared: &mut Shared) {
        if let Some(transport) = &mut self.transport {
            transport.carrier.end();
        }
        if self.ended.is_some() {
            return self.let_go(shared);
        }
        if self.last_words.is_some() {
            return self.end_of_last_words(shared);
        }
        if self.phase == Phase::Closing && self.closing_by == EndedBy::Local {
            // Nothing more can go, and the end takes its course.
            return;
        }
        let has_begun = self.channel.as_ref().is_some_and(Channel::has_begun);
        if !has_begun && self.role == Role::Responder {
            // TLS has not begun: the initiator may have lost it as well, and goes in band.
            self.transport = None;
            return self.set(Timer::Handshake, shared.config.timers.question, shared);
        }
        if self.peer_closed() {
            return self.begin_close(EndedBy::Remote, shared);
        }
        self.fail(Fault::ConnectionLost, shared);
    }
}
