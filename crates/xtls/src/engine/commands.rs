//! Commands: the application's wishes.

use xtls_channel::{Announcements, Channel, Instant, Side, Terms, TermsError};
use xtls_jingle::{Reason, ReasonCondition, is_sid};
use xtls_stanza::jid::FullJid;

use super::{Engine, places::Full};
use crate::{
    application::{Application, TunnelOptions},
    config::{ConfigError, Window},
    error::{AcceptError, InitiateError, RejectError},
    event::{Incoming, Refusal, TunnelId},
    tunnel::{Place, TunnelCore, Wishes},
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
        self.shared.env.advance(now);
        if peer == self.shared.jid {
            return Err(InitiateError::OwnAddress);
        }
        let TunnelOptions { application, terms, check_support, transports, sid } = options;
        if sid.as_deref().is_some_and(|sid| !is_sid(sid) || self.tunnels.index().is_session(sid)) {
            return Err(InitiateError::Sid);
        }
        let channel = self.channel_to(&peer, terms)?;
        self.tunnels.index().places.find(&peer, Place::Known, 0, &self.shared.config).map_err(|full| match full {
            Full::All => InitiateError::TooMany,
            Full::Peer => InitiateError::TooManyWithPeer,
        })?;
        let id = self.new_id();
        let is_bytes = matches!(application, Application::Bytes(_));
        let around = if is_bytes && self.shared.config.socks5 { self.way_inside(&peer) } else { None };
        let wishes = Wishes { check_support, transports, around, sid };
        let tunnel = TunnelCore::initiate(id, peer, application, channel, wishes, &mut self.shared);
        self.add(tunnel);
        Ok(id)
    }

    /// Accepts an offered tunnel.
    ///
    /// Under [`TrustPolicy::Pinned`](crate::TrustPolicy::Pinned) an initiator that is not trusted is refused on the wire with security-error, which
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
        self.shared.env.advance(now);
        let number = incoming.id.number;
        if incoming.id.engine != self.id {
            return Err(AcceptError::OtherEngine);
        }
        if !self.tunnels.get(number).is_some_and(TunnelCore::is_ringing) {
            return Err(AcceptError::Gone);
        }
        let slip = if !options.application.is_same(&incoming.application) {
            Some(AcceptError::OtherApplication)
        } else if options.terms.methods.is_empty() {
            Some(AcceptError::NoMethod)
        } else {
            None
        };
        if let Some(slip) = slip {
            self.with_tunnel(number, |tunnel, shared| tunnel.reject(Reason::new(ReasonCondition::Decline), shared));
            return Err(slip);
        }
        self.with_tunnel(number, |tunnel, shared| tunnel.accept(options.terms, options.transports, shared));
        self.replace_older(number);
        Ok(incoming.id)
    }

    /// Declines an offered tunnel.
    ///
    /// # Errors
    ///
    /// When the offer is another engine's or does not stand any more.
    pub fn reject(&mut self, now: Instant, incoming: Incoming, reason: Reason) -> Result<(), RejectError> {
        self.shared.env.advance(now);
        if incoming.id.engine != self.id {
            return Err(RejectError::OtherEngine);
        }
        if !self.tunnels.get(incoming.id.number).is_some_and(TunnelCore::is_ringing) {
            return Err(RejectError::Gone);
        }
        self.with_tunnel(incoming.id.number, |tunnel, shared| tunnel.reject(reason, shared));
        Ok(())
    }

    /// Answers a stanza that was [`Unclaimed`](crate::Disposition::Unclaimed) and that no other handler took.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal) {
        self.shared.env.advance(now);
        self.answers.push(&refusal.to, &refusal.id, refusal.answer);
    }

    /// Ends the older XML stream tunnels with the same peer, where the configuration lets a new one take their place.
    fn replace_older(&mut self, number: u64) {
        let Some(new) = self.tunnels.get(number).filter(|new| new.is_live_stream()) else { return };
        let mut with_peer = self.tunnels.with_peer(new.address());
        with_peer.retain(|other| *other != number && self.tunnels.get(*other).is_some_and(TunnelCore::is_live_stream));
        for older in with_peer {
            self.with_tunnel(older, |tunnel, shared| tunnel.abort(Reason::new(ReasonCondition::Gone), shared));
        }
    }

    /// The channel of a tunnel to this peer, if one of the allowed methods has a chance.
    fn channel_to(&self, peer: &FullJid, terms: Terms) -> Result<Channel, InitiateError> {
        let channel = Channel::new(Side::Initiator, peer.to_bare(), terms, Announcements::Every, &self.shared.env)
            .map_err(|_| TermsError::Store)?;
        channel.offerable().map_err(TermsError::from)?;
        Ok(channel)
    }

    /// Changes [`Config::window`](crate::Config::window) for all tunnels from now on: to 1 block, say, where the server has asked
    /// for less, or the connection is paid for. What is on its way stays there.
    ///
    /// # Errors
    ///
    /// When it is out of bounds; nothing changes then.
    pub fn set_window(&mut self, now: Instant, window: Window) -> Result<(), ConfigError> {
        self.shared.env.advance(now);
        self.shared.config.set_window(window)?;
        // A larger one lets blocks go that no result would wake.
        while self.tunnels.pop_waiting().is_some() {}
        self.tunnels.numbers().into_iter().for_each(|number| self.tunnels.wake(number));
        Ok(())
    }

    /// The largest stanza that the server takes, in bytes, as it says in the features of its stream (XEP-0478 § 3.1): call this after each
    /// login, with `None` if the server says nothing. Blocks fit into that from now on, those of tunnels that are open too. They have
    /// at least 64 bytes, even where those do not fit: RFC 6120 § 13.12 lets no server take less than 10 000, and other stanzas of the
    /// engine are not made smaller; they have less than that.
    pub fn set_stanza_limit(&mut self, now: Instant, bytes: Option<u32>) {
        self.shared.env.advance(now);
        self.shared.sizes.announce(bytes);
        if bytes.is_some() {
            // Who limits the size of stanzas is likely to limit the rate as well, and says nothing of that.
            self.shared.flow.start_carefully();
        }
    }

    /// What the server takes as far as is known: the less of what it said ([`set_stanza_limit`](Self::set_stanza_limit)), and of what was
    /// seen ([`stanza_too_large`](Self::stanza_too_large)). A client that makes a new engine for each login tells that one of it.
    #[must_use]
    pub fn stanza_limit(&self) -> Option<u32> {
        self.shared.sizes.limit()
    }

    /// The server ended the outer stream with policy-violation, because a stanza was larger than it takes (RFC 6120 § 4.9.3.14). From now
    /// on stanzas of the engine have at most half of the size of the largest that was sent since the last time, but 2048 bytes are
    /// always taken to be possible. It does not matter whether [`handle_disconnect`](Self::handle_disconnect) comes before it or after it.
    ///
    /// If it may have been a stanza of yours, which was larger than a block, do not call it.
    pub fn stanza_too_large(&mut self, now: Instant) {
        self.shared.env.advance(now);
        self.shared.sizes.too_large();
    }

    pub(super) fn new_id(&mut self) -> TunnelId {
        self.next_number += 1;
        TunnelId { engine: self.id, number: self.next_number }
    }
}
