//! The negotiation hash: what the ends said to one another outside of the tunnel, compared inside (docs/wire.md § 5).

use xtls_channel::{Channel, Fault, Timer};
use xtls_jingle::{Role, Session};

use super::{Inside, Phase, TunnelCore};
use crate::{
    application::{Application, BYTES_0_NS, BYTES_NS},
    capabilities::Supports,
    event::Event,
    shared::Shared,
};

/// The hashes at the beginning of raw bytes.
#[derive(Debug)]
pub(super) struct Hashes {
    own: [u8; 32],
    /// The peer's is there, and it is ours.
    matches: bool,
    /// Ours is sent.
    sent: bool,
    /// The application has finished before ours was sent.
    pub(super) finish: bool,
}

impl Hashes {
    /// Bytes of a hash.
    const LENGTH: usize = 32;

    fn new(own: [u8; 32]) -> Self {
        Self { own, matches: false, sent: false, finish: false }
    }

    /// Whether the peer's has not come.
    pub(super) fn is_due(&self) -> bool {
        !self.matches
    }

    /// Whether the application's bytes have to wait for ours.
    pub(super) fn hold_back(&self) -> bool {
        !self.sent
    }
}

impl TunnelCore {
    /// What both ends saw of the negotiation, as this one saw it.
    pub(crate) fn negotiation_hash(&self) -> Option<[u8; 32]> {
        self.negotiation.session.as_ref().and_then(Session::negotiation_hash)
    }

    /// Whether the peer has shown the same.
    pub(crate) fn negotiation_matches(&self) -> bool {
        self.negotiation.matches
    }

    /// Whether the peer has to show the hash.
    pub(super) fn requires_hash(&self, shared: &Shared) -> bool {
        shared.config.require_negotiation_hash || self.channel.as_ref().is_some_and(Channel::has_to_show_negotiation)
    }

    /// What is offered for the application: our own description of raw bytes in the version that the peer has.
    pub(super) fn offered_application(&self, supports: Option<Supports>, shared: &Shared) -> Application {
        let is_newest = matches!(&self.application, Application::Bytes(description) if description.ns() == BYTES_NS);
        let lacks_it = supports.is_some_and(|supports| !supports.bytes);
        // Features go through servers, and may lack what the peer had before.
        if is_newest && lacks_it && !self.requires_hash(shared) {
            return Application::bytes_0();
        }
        self.application.clone()
    }

    /// Whether a hash is required, and what is offered has no place for one.
    pub(super) fn lacks_hash(&self, shared: &Shared) -> bool {
        let Application::Bytes(description) = &self.application else { return false };
        match description.ns() {
            BYTES_NS => false,
            BYTES_0_NS => self.requires_hash(shared),
            // What others have described has none, whoever sends it.
            _ => shared.config.require_negotiation_hash,
        }
    }

    /// The hashes of raw bytes, where both ends have agreed on a version that has them.
    pub(super) fn hashes(&self) -> Option<Hashes> {
        let session = self.negotiation.session.as_ref()?;
        let has_them = session.offer().description.ns() == BYTES_NS;
        self.negotiation_hash().filter(|_| has_them).map(Hashes::new)
    }

    /// The responder shows its hash first, with the end of its handshake: before the initiator has seen that, nothing of its own
    /// goes to a peer that may take it for data.
    pub(super) fn begin_bytes(&mut self, shared: &Shared) {
        if self.role == Role::Responder {
            self.show_hash(shared);
        }
    }

    /// Takes the peer's hash off the beginning of raw bytes. Whether what follows it may be read.
    pub(super) fn take_hash(&mut self, shared: &mut Shared) -> bool {
        let Some(Inside::Bytes(raw)) = &mut self.inside else { return true };
        let Some(hashes) = raw.hashes.as_mut().filter(|hashes| !hashes.matches) else { return true };
        let Some((shown, _)) = raw.inbox.split_first_chunk::<{ Hashes::LENGTH }>() else { return false };
        let matches = *shown == hashes.own;
        if !matches {
            self.fail(Fault::NegotiationDiffers, shared);
            return false;
        }
        hashes.matches = true;
        raw.inbox.drain(..Hashes::LENGTH);
        self.timers.clear(Timer::Stream);
        self.taken(Hashes::LENGTH, shared);
        self.hash_matches(shared);
        self.show_hash(shared);
        true
    }

    /// The peer has shown the same hash as ours: it is held to that from now on.
    pub(super) fn hash_matches(&mut self, shared: &mut Shared) {
        self.negotiation.matches = true;
        let unsaved = self.channel.as_mut().and_then(|channel| channel.negotiation_shown(&mut shared.env));
        if let Some(error) = unsaved {
            shared.events.push(Event::StoreFailed { id: self.id, error });
        }
    }

    /// Whether the peer's hash is due in raw bytes.
    pub(super) fn awaits_hash(&self) -> bool {
        matches!(&self.inside, Some(Inside::Bytes(raw)) if raw.awaits_hash())
    }

    fn show_hash(&mut self, shared: &Shared) {
        let is_alive = self.phase == Phase::Running;
        let Some(Inside::Bytes(raw)) = &mut self.inside else { return };
        let Some(hashes) = raw.hashes.as_mut().filter(|hashes| is_alive && !hashes.sent) else { return };
        hashes.sent = true;
        let (own, finish) = (hashes.own, hashes.finish);
        self.seal(&own);
        if finish {
            self.seal_end(shared);
        }
    }
}
