//! What every channel of one local entity shares.

use core::{fmt, time::Duration};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use xtls_stanza::{
    Method,
    jid::{BareJid, Jid},
};
use xtls_tls::{Authorities, Identity, KnownCertificates, TlsVersion, can_do};

use crate::{
    Instant,
    channel::Side,
    clock::Clock,
    guess::{Guess, GuessLimits, Permit},
    password::is_user_name,
    record::{Confirmation, Confirmed, TrustRecord},
    rules::{Policy, Said, Standing},
    store::{StoreError, TrustStore},
    terms::TrustPolicy,
};

/// Whom an engine or a link speaks for: an address, a certificate, and where cryptography comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Local<J> {
    /// Your address.
    pub jid: J,
    /// Your certificate and key.
    pub identity: Identity,
    /// Where TLS gets its algorithms and its randomness from.
    pub provider: Arc<CryptoProvider>,
    /// The certificate authorities trusted under [`TrustPolicy::Authorities`]; none by default.
    pub authorities: Option<Arc<Authorities>>,
}

/// Bounds on how peers may authenticate, the same in tunnels and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityLimits {
    /// The oldest TLS version that is accepted with certificates; with a password it is always 1.2. Default 1.2.
    pub minimum_tls: TlsVersion,
    /// How many wrong guesses at a password there may be.
    pub guesses: GuessLimits,
}

/// What every channel of one local entity shares.
pub struct Environment {
    pub(crate) identity: Identity,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) authorities: Option<Arc<Authorities>>,
    pub(crate) limits: SecurityLimits,
    /// Certificates of peers, read once for all channels.
    pub(crate) known: KnownCertificates,
    own: BareJid,
    store: Box<dyn TrustStore>,
    clock: Clock,
}

impl<J> Local<J> {
    /// The entity `jid` with its identity; cryptography and randomness come from aws-lc-rs, or from ring where that alone is
    /// built.
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    #[must_use]
    pub fn new(jid: J, identity: Identity) -> Self {
        Self::by(xtls_tls::default_provider(), jid, identity)
    }

    /// The same with a provider of yours.
    #[must_use]
    pub const fn by(provider: Arc<CryptoProvider>, jid: J, identity: Identity) -> Self {
        Self { jid, identity, provider, authorities: None }
    }

    /// The same with these authorities for the certificates of peers.
    #[must_use]
    pub fn with_authorities(self, authorities: Arc<Authorities>) -> Self {
        Self { authorities: Some(authorities), ..self }
    }

    /// The same with another provider.
    #[must_use]
    pub fn with_provider(self, provider: Arc<CryptoProvider>) -> Self {
        Self { provider, ..self }
    }

    /// Whether the provider can do this version of TLS here, or a later one.
    #[must_use]
    pub fn has_tls(&self, minimum: TlsVersion) -> bool {
        can_do(&self.provider, minimum)
    }
}

impl Default for SecurityLimits {
    fn default() -> Self {
        Self { minimum_tls: TlsVersion::Tls12, guesses: GuessLimits::default() }
    }
}

impl SecurityLimits {
    /// The first field that is out of bounds, if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        self.guesses.fault()
    }
}

impl Environment {
    /// The environment of a local entity, and its address.
    #[must_use]
    pub fn new<J: Clone + Into<Jid>>(
        local: Local<J>,
        limits: SecurityLimits,
        store: Box<dyn TrustStore>,
        clock: Clock,
    ) -> (J, Self) {
        let Local { jid, identity, provider, authorities } = local;
        let own = Into::<Jid>::into(jid.clone()).to_bare();
        let known = KnownCertificates::new();
        (jid, Self { identity, provider, authorities, limits, known, own, store, clock })
    }

    /// Your bare address.
    #[must_use]
    pub fn own(&self) -> &BareJid {
        &self.own
    }

    /// Your certificate and key.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The caller's time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the caller's time. One that goes backwards counts as no time passed.
    pub fn advance(&mut self, now: Instant) {
        self.clock.advance(now);
    }

    /// The moment that lies `wait` ahead.
    #[must_use]
    pub fn after(&self, wait: Duration) -> Instant {
        self.clock.after(wait)
    }

    /// What is known of a peer.
    ///
    /// # Errors
    ///
    /// When the store cannot read it.
    pub fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.store.record(peer)
    }

    /// What the rules need to know of a peer. `initiator` is whose bare JID would be the user name (XEP-0250 § 2.3).
    ///
    /// # Errors
    ///
    /// When the store cannot read it.
    pub fn standing(&self, peer: &BareJid, initiator: &BareJid, said: Said) -> Result<Standing, StoreError> {
        self.standing_and_hash(peer, initiator, said).map(|(standing, _)| standing)
    }

    /// The same, and whether the peer has shown the negotiation hash before.
    pub(crate) fn standing_and_hash(
        &self,
        peer: &BareJid,
        initiator: &BareJid,
        said: Said,
    ) -> Result<(Standing, bool), StoreError> {
        let record = self.store.record(peer)?;
        let standing = Standing {
            pins: record.fingerprints(),
            locked_until: self.store.locked_until(&self.own, peer, &self.guess())?,
            secured_by: record.secured_by,
            has_user_name: is_user_name(initiator),
            has_authorities: self.authorities.is_some(),
            said,
        };
        Ok((standing, record.negotiation_hash))
    }

    /// A guess that would be made now.
    #[must_use]
    pub fn guess(&self) -> Guess {
        Guess::new(self.clock.unix_time(), self.limits.guesses)
    }

    /// The oldest TLS that will do where a certificate authenticates.
    pub(crate) fn minimum_tls(&self, side: Side, policy: &Policy) -> TlsVersion {
        if side == Side::Initiator && policy.trust == TrustPolicy::Ask {
            // RFC 5246 § 7.3: the client of TLS 1.2 finishes before the server does, and cannot wait for the user.
            return TlsVersion::Tls13;
        }
        self.limits.minimum_tls
    }

    /// Whether the provider can do that.
    pub(crate) fn has_tls_for(&self, side: Side, policy: &Policy) -> bool {
        !policy.methods.contains(&Method::X509) || can_do(&self.provider, self.minimum_tls(side, policy))
    }

    /// The authorities whose word decides on a peer without a pin.
    pub(crate) fn vouching(&self, policy: &Policy, standing: &Standing) -> Option<Arc<Authorities>> {
        let wanted = policy.trust == TrustPolicy::Authorities && standing.pins.is_empty();
        self.authorities.clone().filter(|_| wanted)
    }

    pub(crate) fn begin_guess(&mut self, peer: &BareJid) -> Result<Permit, StoreError> {
        let guess = self.guess();
        self.store.begin_guess(&self.own, peer, &guess)
    }

    pub(crate) fn guess_was_right(&mut self, peer: &BareJid) -> Result<(), StoreError> {
        self.store.guess_was_right(&self.own, peer)
    }

    pub(crate) fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.store.confirm(peer, confirmed)
    }
}

/// What the user said and what keys were made from stays out of it.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("own", &self.own).field("now", &self.clock.now()).finish_non_exhaustive()
    }
}
