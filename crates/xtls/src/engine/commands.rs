//! Commands: the application's wishes.

use std::time::Instant;

use xtls_jingle::{Reason, ReasonCondition};
use xtls_stanza::{Method, jid::FullJid};

use super::Engine;
use crate::{
    application::TunnelOptions,
    error::{AcceptError, InitiateError, RejectError},
    event::{Incoming, Refusal, TunnelId},
    password::is_user_name,
    trust::TrustPolicy,
    tunnel::Tunnel,
};

impl Engine {
    /// Offers a tunnel to `peer`.
    ///
    /// What becomes of it comes as events: [`Secured`](crate::Event::Secured) or [`Closed`](crate::Event::Closed).
    ///
    /// # Errors
    ///
    /// When the offer makes no sense or exceeds a bound; nothing was sent then.
    pub fn initiate(&mut self, now: Instant, peer: FullJid, options: TunnelOptions) -> Result<TunnelId, InitiateError> {
        self.shared.clock.advance(now);
        if peer == self.shared.local.jid {
            return Err(InitiateError::OwnAddress);
        }
        self.check_methods(&peer, &options)?;
        if self.tunnels.len() >= self.shared.config.tunnels {
            return Err(InitiateError::TooMany);
        }
        if self.with_peer(&peer) >= self.shared.config.tunnels_per_peer {
            return Err(InitiateError::TooManyWithPeer);
        }
        let id = self.new_id();
        let tunnel = Tunnel::initiate(id, peer, options, &mut self.shared);
        self.tunnels.insert(id.number, tunnel);
        self.with_tunnel(id.number, |_, _| ());
        Ok(id)
    }

    /// Accepts an offered tunnel.
    ///
    /// Under [`TrustPolicy::Pinned`] an initiator that is not trusted is refused on the wire with security-error, which
    /// comes back as [`Closed`](crate::Event::Closed).
    ///
    /// # Errors
    ///
    /// When the offer is another engine's, does not stand any more, or is for another application. In the last case and
    /// without a method it is declined.
    pub fn accept(
        &mut self,
        now: Instant,
        incoming: Incoming,
        options: TunnelOptions,
    ) -> Result<TunnelId, AcceptError> {
        self.shared.clock.advance(now);
        let number = incoming.id.number;
        if incoming.id.engine != self.id {
            return Err(AcceptError::OtherEngine);
        }
        if !self.tunnels.get(&number).is_some_and(Tunnel::is_ringing) {
            return Err(AcceptError::Gone);
        }
        let slip = if !options.application.is_same(&incoming.application) {
            Some(AcceptError::OtherApplication)
        } else if options.methods.is_empty() {
            Some(AcceptError::NoMethod)
        } else {
            None
        };
        if let Some(slip) = slip {
            self.with_tunnel(number, |tunnel, shared| tunnel.reject(Reason::new(ReasonCondition::Decline), shared));
            return Err(slip);
        }
        self.with_tunnel(number, |tunnel, shared| tunnel.accept(options, shared));
        self.replace_older(number);
        Ok(incoming.id)
    }

    /// Declines an offered tunnel.
    ///
    /// # Errors
    ///
    /// When the offer is another engine's or does not stand any more.
    pub fn reject(&mut self, now: Instant, incoming: Incoming, reason: Reason) -> Result<(), RejectError> {
        self.shared.clock.advance(now);
        if incoming.id.engine != self.id {
            return Err(RejectError::OtherEngine);
        }
        if !self.tunnels.get(&incoming.id.number).is_some_and(Tunnel::is_ringing) {
            return Err(RejectError::Gone);
        }
        self.with_tunnel(incoming.id.number, |tunnel, shared| tunnel.reject(reason, shared));
        Ok(())
    }

    /// Answers a stanza that was [`Unclaimed`](crate::Disposition::Unclaimed) and that no other handler took.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal) {
        self.shared.clock.advance(now);
        self.answers.push(&refusal.to, &refusal.id, refusal.answer);
    }

    /// Ends the older XML stream tunnels with the same peer, where the configuration lets a new one take their place.
    fn replace_older(&mut self, number: u64) {
        let Some(new) = self.tunnels.get(&number) else { return };
        if !new.is_live_stream_with(new.peer()) {
            return;
        }
        let older: Vec<u64> = self
            .tunnels
            .iter()
            .filter(|(other, tunnel)| **other != number && tunnel.is_live_stream_with(new.peer()))
            .map(|(other, _)| *other)
            .collect();
        for other in older {
            self.with_tunnel(other, |tunnel, shared| tunnel.abort(Reason::new(ReasonCondition::Gone), shared));
        }
    }

    pub(super) fn with_peer(&self, peer: &FullJid) -> usize {
        self.tunnels.values().filter(|tunnel| tunnel.peer() == peer).count()
    }

    /// Whether one of the allowed methods has a chance.
    fn check_methods(&self, peer: &FullJid, options: &TunnelOptions) -> Result<(), InitiateError> {
        let (bare, own) = (peer.to_bare(), self.shared.local.jid.to_bare());
        let allows = |method| options.methods.contains(&method);
        let has_name = is_user_name(&own);
        if options.password.is_some() && !has_name {
            return Err(InitiateError::UserName);
        }
        let pinned = !self.shared.store.record(&bare).pins.is_empty();
        let locked = allows(Method::Srp) && self.shared.password_locked_until(&bare).is_some();
        let by_policy = match options.trust {
            TrustPolicy::Pinned => false,
            TrustPolicy::Ask => true,
            // Whoever locks the password by wrong guesses must not get a leap of faith for it.
            TrustPolicy::LeapOfFaith => !locked,
            TrustPolicy::Authorities => self.shared.local.authorities.is_some(),
        };
        let certificates = allows(Method::X509) && (pinned || by_policy);
        match (allows(Method::X509), allows(Method::Srp)) {
            _ if certificates => Ok(()),
            (_, true) if !has_name => Err(InitiateError::UserName),
            (_, true) if !locked => Ok(()),
            (_, true) => Err(InitiateError::PasswordLocked),
            (true, false) if options.trust == TrustPolicy::Authorities => Err(InitiateError::NoAuthorities),
            (true, false) => Err(InitiateError::NotPinned),
            (false, false) => Err(InitiateError::NoMethod),
        }
    }

    pub(super) fn new_id(&mut self) -> TunnelId {
        self.next_number += 1;
        TunnelId { engine: self.id, number: self.next_number }
    }
}
