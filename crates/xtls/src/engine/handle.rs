//! One tunnel, in the hands of the application.

use xtls_channel::{Instant, NotAsked, Password, Security, SendError, TrustDecision};
use xtls_jingle::Reason;
use xtls_stanza::{Element, jid::FullJid};

use super::Engine;
use crate::{
    application::Application,
    error::{FinishError, ReceiptError, RequestCertificatesError, StreamStateError, WriteError},
    event::Receipt,
    shared::Shared,
    stats::TunnelStats,
    transports::Path,
    tunnel::{self, GiveReceipt},
};

/// A tunnel that has not ended, borrowed from its engine for the moment.
#[derive(Debug)]
pub struct Tunnel<'e> {
    engine: &'e mut Engine,
    number: u64,
}

impl<'e> Tunnel<'e> {
    pub(crate) fn new(engine: &'e mut Engine, number: u64) -> Self {
        Self { engine, number }
    }

    /// Who is at the other end. It is proven from the moment that [`security`](Self::security) is there.
    #[must_use]
    pub fn peer(&self) -> Option<&FullJid> {
        self.inner().map(tunnel::TunnelCore::peer)
    }

    /// What runs inside.
    #[must_use]
    pub fn application(&self) -> Option<&Application> {
        self.inner().map(tunnel::TunnelCore::application)
    }

    /// How the tunnel is secured; `None` until [`Event::Secured`](crate::Event::Secured).
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.inner().and_then(tunnel::TunnelCore::security)
    }

    /// What carries the tunnel: `None` until that is found.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.inner().and_then(tunnel::TunnelCore::path)
    }

    /// Plaintext bytes that were written and are not acknowledged yet: a hint. Acknowledgements come from servers and prove
    /// nothing; [`receipt`](Self::receipt) does.
    #[must_use]
    pub fn unacked(&self) -> u64 {
        self.inner().map_or(0, tunnel::TunnelCore::unacked)
    }

    /// What was written and no stanza of [`poll_transmit`](Engine::poll_transmit) has taken yet, in bytes of TLS records: 0 once
    /// all of it is on its way.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.inner().map_or(0, tunnel::TunnelCore::unsent)
    }

    /// Whether our direction of a raw-bytes tunnel is [finished](Self::finish) and all of it acknowledged, its end too. As with
    /// [`unacked`](Self::unacked), acknowledgements come from servers and prove nothing.
    #[must_use]
    pub fn is_finish_acked(&self) -> bool {
        self.inner().is_some_and(tunnel::TunnelCore::is_finish_acked)
    }

    /// Whether the peer has confirmed that its application has everything that was written.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        self.inner().map_or(Receipt::Unsupported, tunnel::TunnelCore::receipt)
    }

    /// How it is doing, as of the last call that took a `now`.
    #[must_use]
    pub fn stats(&self) -> Option<TunnelStats> {
        self.inner().map(|tunnel| tunnel.stats(&self.engine.shared))
    }

    /// Derives keying material that both ends share (RFC 5705, RFC 8446 § 7.5): `None` before the tunnel is secured or
    /// for a length that TLS cannot derive.
    #[must_use]
    pub fn export_keying_material(&self, length: usize, label: &[u8], context: Option<&[u8]>) -> Option<Vec<u8>> {
        self.inner().and_then(|tunnel| tunnel.export_keying_material(length, label, context))
    }

    /// The negotiation hash: what was offered, answered and chosen, as this end saw it. `None` before a method is chosen, and
    /// after the end. The engine compares it inside of XML streams and of raw bytes under its own description; where another
    /// description runs in the tunnel, its two ends can compare it themselves.
    #[must_use]
    pub fn negotiation_hash(&self) -> Option<[u8; 32]> {
        self.inner().and_then(tunnel::TunnelCore::negotiation_hash)
    }

    /// Whether the peer has shown, inside of the tunnel, that it saw the same.
    #[must_use]
    pub fn negotiation_matches(&self) -> bool {
        self.inner().is_some_and(tunnel::TunnelCore::negotiation_matches)
    }

    /// Answers [`Event::TrustRequired`](crate::Event::TrustRequired).
    ///
    /// # Errors
    ///
    /// When nobody asked, or the question has been answered.
    pub fn trust(&mut self, now: Instant, decision: TrustDecision) -> Result<(), NotAsked> {
        self.act(now, Err(NotAsked), |tunnel, shared| tunnel.decide(decision, shared))
    }

    /// Answers [`Event::PasswordRequired`](crate::Event::PasswordRequired); `None` says that there is no password.
    ///
    /// # Errors
    ///
    /// When nobody asked, or the question has been answered.
    pub fn provide_password(&mut self, now: Instant, password: Option<Password>) -> Result<(), NotAsked> {
        self.act(now, Err(NotAsked), |tunnel, shared| tunnel.provide_password(password, shared))
    }

    /// Sends a stanza through the XML stream.
    ///
    /// # Errors
    ///
    /// When the tunnel carries no open stream, has no room, or the element cannot be sent in it. Nothing was sent then.
    pub fn send(&mut self, now: Instant, stanza: &Element) -> Result<(), SendError> {
        self.act(now, Err(SendError::Closing), |tunnel, shared| tunnel.send(stanza, shared))
    }

    /// Opens an XML stream again after one was closed (draft-meyer-xmpp-e2e-encryption-02 § 4). The first one opens by
    /// itself.
    ///
    /// # Errors
    ///
    /// When there is a stream, or the tunnel cannot carry one.
    pub fn open_stream(&mut self, now: Instant) -> Result<(), StreamStateError> {
        self.act(now, Err(StreamStateError::Closing), tunnel::TunnelCore::open_stream)
    }

    /// Closes the XML stream and leaves the tunnel for another one.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn close_stream(&mut self, now: Instant) -> Result<(), StreamStateError> {
        self.act(now, Err(StreamStateError::Closing), tunnel::TunnelCore::close_stream)
    }

    /// Writes raw bytes and tells how many of them were taken: all that fit into
    /// [`Config::send_buffer`](crate::Config::send_buffer). After a short write, [`Event::Writable`](crate::Event::Writable)
    /// tells when there is room.
    ///
    /// # Errors
    ///
    /// When the tunnel does not carry raw bytes, or does not any more.
    pub fn write(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, WriteError> {
        self.act(now, Err(WriteError::Closing), |tunnel, shared| tunnel.write(bytes, shared))
    }

    /// Appends to `out` all raw bytes that have come, and tells how many. It goes on working after the end of the tunnel,
    /// until [`Event::Closed`](crate::Event::Closed). Before [`Event::Secured`](crate::Event::Secured) there is nothing.
    pub fn read(&mut self, now: Instant, out: &mut Vec<u8>) -> usize {
        self.act(now, 0, |tunnel, shared| tunnel.read(out, shared))
    }

    /// Ends our direction of a raw-bytes tunnel after the last byte; the other one stays open.
    ///
    /// # Errors
    ///
    /// When the tunnel does not carry raw bytes, is ending, or its TLS version cannot do that.
    pub fn finish(&mut self, now: Instant) -> Result<(), FinishError> {
        self.act(now, Err(FinishError::Closing), tunnel::TunnelCore::finish)
    }

    /// When the peer of a raw-bytes tunnel is given a receipt; the default is [`GiveReceipt::WhenRead`].
    ///
    /// Until it is given, the peer's end in order waits, and so does this one: for [`Timers::receipt`].
    ///
    /// [`Timers::receipt`]: crate::config::Timers::receipt
    pub fn set_give_receipt(&mut self, now: Instant, give: GiveReceipt) {
        self.act(now, (), |tunnel, _| tunnel.when_to_give_receipt(give));
    }

    /// Confirms to the peer that the application has everything that it sent. A second time does nothing.
    ///
    /// # Errors
    ///
    /// When the peer may have sent more than was [read](Self::read), or cannot be told.
    pub fn give_receipt(&mut self, now: Instant) -> Result<(), ReceiptError> {
        self.act(now, Err(ReceiptError::Ended), |tunnel, _| tunnel.give_receipt())
    }

    /// Asks the peer for its certificates, inside the tunnel (draft-meyer-xmpp-e2e-encryption-02 § 5.1).
    /// [`Event::CertificatesReceived`](crate::Event::CertificatesReceived) has the answer.
    ///
    /// # Errors
    ///
    /// When the tunnel carries no open stream or has no room, or the peer has been asked and has not answered.
    pub fn request_certificates(&mut self, now: Instant) -> Result<(), RequestCertificatesError> {
        self.act(now, Err(RequestCertificatesError::Closing), tunnel::TunnelCore::request_certificates)
    }

    /// Ends the tunnel in order: what was written is delivered first, then every layer says goodbye. Before the tunnel is
    /// secured, this calls the session off.
    ///
    /// [`Event::Closed`](crate::Event::Closed) comes whatever the peer does: at the latest [`Timers::stall`] after it
    /// acknowledged a block last, or, once nothing waits to be delivered, [`Timers::close`] after that. Raw bytes wait for receipts
    /// before it, both ways, for [`Timers::receipt`] at most.
    ///
    /// [`Timers::receipt`]: crate::config::Timers::receipt
    /// [`Timers::stall`]: crate::config::Timers::stall
    /// [`Timers::close`]: crate::config::Timers::close
    pub fn close(&mut self, now: Instant) {
        self.act(now, (), tunnel::TunnelCore::close);
    }

    /// Ends the tunnel at once, for the given reason; what was not sent is lost.
    pub fn abort(&mut self, now: Instant, reason: Reason) {
        self.act(now, (), |tunnel, shared| tunnel.abort(reason, shared));
    }

    fn inner(&self) -> Option<&tunnel::TunnelCore> {
        self.engine.tunnel_ref(self.number)
    }

    fn act<R>(&mut self, now: Instant, gone: R, action: impl FnOnce(&mut tunnel::TunnelCore, &mut Shared) -> R) -> R {
        self.engine.advance_clock(now);
        self.engine.with_tunnel(self.number, action).unwrap_or(gone)
    }
}
