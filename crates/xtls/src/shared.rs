//! What all tunnels of an engine share.

use core::time::Duration;
use std::{collections::VecDeque, sync::Arc, time::Instant};

use xtls_jingle::Dialect;
use xtls_stanza::{Ids, jid::BareJid};

use crate::{
    capabilities::Capabilities,
    config::{Config, Local},
    error::EngineError,
    event::{Event, TunnelId},
    trust::TrustStore,
    wall::Clock,
};

/// What all tunnels of an engine share; each of their methods that changes anything gets it.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// That of the configured profile.
    pub(crate) dialect: Dialect,
    pub(crate) local: Local,
    pub(crate) store: Box<dyn TrustStore>,
    pub(crate) ids: Ids,
    pub(crate) clock: Clock,
    pub(crate) events: Events,
    pub(crate) capabilities: Capabilities,
    /// Scratch for what a block decodes to, kept for its capacity.
    pub(crate) scratch: Vec<u8>,
}

/// Events in order. Those that a peer can cause again and again, which are the ones of the XML stream, weigh the bytes
/// that led to them, and each tunnel bounds the weight of its own by withholding acknowledgements. Of the others, a tunnel
/// has no more than one of a kind waiting.
#[derive(Default)]
pub(crate) struct Events(VecDeque<(Event, Option<Weight>)>);

/// What is taken from a tunnel when an event is.
#[derive(Clone, Copy)]
pub(crate) struct Weight {
    pub(crate) tunnel: TunnelId,
    /// Plaintext.
    pub(crate) bytes: usize,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        local: Local,
        store: Box<dyn TrustStore>,
        seed: [u8; 32],
        now: Instant,
        unix_time: Duration,
    ) -> Result<Self, EngineError> {
        if local.provider.cipher_suites.is_empty() || local.provider.kx_groups.is_empty() {
            return Err(EngineError::Provider);
        }
        Ok(Self {
            dialect: config.profile.into(),
            config,
            local,
            store,
            ids: Ids::new(seed),
            clock: Clock::new(now, unix_time),
            events: Events::default(),
            capabilities: Capabilities::default(),
            scratch: Vec::new(),
        })
    }

    /// What is written into `from`, where anything is.
    pub(crate) fn from(&self) -> Option<&str> {
        self.config.stamp_from.then(|| self.local.jid.as_str())
    }

    /// Until when, in Unix time, no password may be tried with a peer.
    pub(crate) fn password_locked_until(&self, peer: &BareJid) -> Option<u64> {
        let Config { password_tries, password_cooldown, .. } = self.config;
        self.store.record(peer).locked_until(password_tries, password_cooldown.as_secs(), self.clock.unix_time())
    }

    pub(crate) fn after(&self, wait: Duration) -> Instant {
        self.clock.after(wait)
    }
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push_back((event, None));
    }

    pub(crate) fn push_weighing(&mut self, event: Event, weight: Weight) {
        self.0.push_back((event, Some(weight)));
    }

    pub(crate) fn pop(&mut self) -> Option<(Event, Option<Weight>)> {
        self.0.pop_front()
    }

    /// Takes back an offer that nobody has heard of yet: a peer that goes on offering and taking back leaves nothing
    /// behind. Tells whether there was one.
    pub(crate) fn retract(&mut self, id: TunnelId) -> bool {
        let is_offer = |event: &Event| matches!(event, Event::Incoming(incoming) if incoming.id == id);
        let found = self.0.iter().position(|(event, _)| is_offer(event));
        found.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// An address as a stanza's `to`, shared by all stanzas that go there.
pub(crate) fn address(to: &str) -> Arc<str> {
    Arc::from(to)
}
