//! The engine: every tunnel of one full JID.

mod answers;
mod commands;
mod handle;
mod inbound;
mod probing;

use core::{fmt, time::Duration};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use xtls_stanza::{DiscoIdentity, DiscoInfo, ns};

pub use self::handle::Tunnel;
use self::{answers::Answers, probing::Probing};
use crate::{
    config::{Config, Local},
    error::EngineError,
    event::{Event, TunnelId},
    shared::{Shared, Weight},
    timer::{Deadline, Timer},
    trust::TrustStore,
    tunnel,
};

/// Every tunnel of one full JID: Jingle sessions, the bytestreams they negotiate, and TLS over those.
///
/// The engine does no I/O and reads no clock. It has four kinds of method:
///
/// - **getters** take `&self`;
/// - **`handle_*`** bring the world in: a stanza, the passing of time, the loss of the connection;
/// - **commands** bring the application's wishes in: [`initiate`](Self::initiate), [`accept`](Self::accept), and those
///   of [`Tunnel`];
/// - **`poll_*`** take things out: stanzas to send, events, the next deadline.
///
/// There is no hidden order: two commands in a row are fine, an extra [`handle_timeout`](Self::handle_timeout) does
/// nothing, anything can be polled at any time. After each `handle_*` or command it pays to poll all three until they
/// give nothing more: transmits may carry what the peer waits for, and events what the application does.
///
/// What a peer does wrong is never an `Err`: it is answered on the wire and told as an [`Event`]. An `Err` means that the
/// caller slipped, and nothing was done.
///
/// `now` is an argument of every call that changes anything. It may stand still; if it goes backwards, that counts as
/// standing still.
pub struct Engine {
    shared: Shared,
    tunnels: BTreeMap<u64, tunnel::Tunnel>,
    /// Tunnels that may have something to send, each at most once.
    ready: VecDeque<u64>,
    answers: Answers,
    probing: Probing,
    next_number: u64,
    id: u64,
}

/// A stanza to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The addressee, as in the stanza's `to`.
    pub to: Arc<str>,
}

impl Engine {
    /// An engine for one full JID.
    ///
    /// `seed` makes identifiers: 32 bytes from the operating system, or fixed ones where a run is to be replayed.
    /// `unix_time` is the wall time at `now`, for the validity of certificates.
    ///
    /// # Errors
    ///
    /// When a field of `config` is outside of its bounds, or the provider cannot do TLS.
    pub fn new(
        config: Config,
        local: Local,
        store: Box<dyn TrustStore>,
        seed: [u8; 32],
        now: Instant,
        unix_time: Duration,
    ) -> Result<Self, EngineError> {
        /// Tells engines of one process apart; it never shows.
        static ENGINES: AtomicU64 = AtomicU64::new(0);
        config.check().map_err(EngineError::Config)?;
        let shared = Shared::new(config, local, store, seed, now, unix_time)?;
        Ok(Self {
            shared,
            tunnels: BTreeMap::new(),
            ready: VecDeque::new(),
            answers: Answers::default(),
            probing: Probing::default(),
            next_number: 0,
            id: ENGINES.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The disco#info features to advertise (XEP-0030, XEP-0115), sorted as XEP-0115 § 5.1 hashes them.
    ///
    /// Both spellings of the two namespaces that draft-meyer-xmpp-e2e-encryption-02 § 7 spells in two ways are there, and
    /// every version of the transport that is supported (XEP-0261 § 4).
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        let mut features = vec![ns::IBB, ns::PUBKEY_0];
        features.extend_from_slice(self.shared.dialect.features());
        features.sort_unstable();
        features
    }

    /// What an embedder that can do nothing else tells of itself: this identity, and the engine's features. Add your own,
    /// and pass it to [`Disco::new`](crate::Disco::new).
    #[must_use]
    pub fn disco_info(&self, identity: DiscoIdentity) -> DiscoInfo {
        DiscoInfo::new(identity).with_features(self.features())
    }

    /// Passes time on. An extra call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        self.expire_questions();
        let numbers: Vec<u64> = self.tunnels.keys().copied().collect();
        for number in numbers {
            self.with_tunnel(number, |tunnel, shared| {
                while let Some(timer) = tunnel.timers.expired(shared.clock.now()) {
                    tunnel.handle_timer(timer, shared);
                }
            });
        }
    }

    /// The outer stream is gone: every tunnel ends at once and what was not acknowledged is told.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        self.answers.clear();
        self.lose_questions();
        self.shared.capabilities.forget_all();
        let numbers: Vec<u64> = self.tunnels.keys().copied().collect();
        for number in numbers {
            self.with_tunnel(number, tunnel::Tunnel::handle_disconnect);
        }
    }

    /// Appends one whole stanza to `out` and tells whom it is for; `None` when there is nothing to send now.
    ///
    /// Data is framed here and not when it is written, so that window and block size always hold.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut String) -> Option<Transmit> {
        self.shared.clock.advance(now);
        if let Some(to) = self.answers.poll(&mut self.shared, out) {
            return Some(Transmit { to });
        }
        if let Some(to) = self.probing.poll(&mut self.shared, out) {
            return Some(Transmit { to });
        }
        while let Some(&number) = self.ready.front() {
            let sent = self.tunnels.get_mut(&number).and_then(|tunnel| tunnel.poll_transmit(&mut self.shared, out));
            // One stanza each in turn, so that a bulk transfer does not hold up a chat.
            self.ready.pop_front();
            match (sent, self.tunnels.get_mut(&number)) {
                (Some(to), _) => {
                    self.ready.push_back(number);
                    return Some(Transmit { to });
                }
                (None, Some(tunnel)) => {
                    tunnel.ready = false;
                    self.reap(number);
                }
                (None, None) => {}
            }
        }
        None
    }

    /// The next event, the oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let (event, weight) = self.shared.events.pop()?;
        if let Some(Weight { tunnel, bytes }) = weight {
            self.with_tunnel(tunnel.number, |tunnel, shared| tunnel.taken(bytes, shared));
        }
        Some(event)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, and why; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let asked = self.probing.deadline().map(|at| Deadline { at, timer: Timer::Answer });
        self.tunnels.values().filter_map(|tunnel| tunnel.timers.next()).chain(asked).min_by_key(|deadline| deadline.at)
    }

    /// A tunnel, to be used; `None` when the id is another engine's or the tunnel has ended.
    pub fn tunnel(&mut self, id: TunnelId) -> Option<Tunnel<'_>> {
        let known = id.engine == self.id && self.tunnels.get(&id.number).is_some_and(tunnel::Tunnel::is_usable);
        known.then(|| Tunnel::new(self, id.number))
    }

    /// The tunnels that have not ended, in the order of their creation. Offers that are not decided on are none.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelId> {
        self.tunnels.values().filter(|tunnel| tunnel.is_usable()).map(|tunnel| tunnel.id)
    }

    pub(crate) fn tunnel_ref(&self, number: u64) -> Option<&tunnel::Tunnel> {
        self.tunnels.get(&number)
    }

    pub(crate) fn advance_clock(&mut self, now: Instant) {
        self.shared.clock.advance(now);
    }

    /// Lets a tunnel do something, and sees to what follows: it may have something to send, or be done for good.
    pub(crate) fn with_tunnel<R>(
        &mut self,
        number: u64,
        action: impl FnOnce(&mut tunnel::Tunnel, &mut Shared) -> R,
    ) -> Option<R> {
        let tunnel = self.tunnels.get_mut(&number)?;
        let result = action(tunnel, &mut self.shared);
        tunnel.settle(&mut self.shared);
        if !tunnel.ready {
            tunnel.ready = true;
            self.ready.push_back(number);
        }
        Some(result)
    }

    /// Forgets a tunnel that has nothing more to send, to tell or to wait for.
    fn reap(&mut self, number: u64) {
        if self.tunnels.get(&number).is_some_and(tunnel::Tunnel::is_finished)
            && let Some(tunnel) = self.tunnels.remove(&number)
        {
            // What was on its way may still be answered, and belongs to nobody else.
            tunnel.unanswered().for_each(|id| self.answers.expect(id, tunnel.address()));
        }
    }
}

/// What people said and what keys were made from stays out of it.
impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("jid", &self.shared.local.jid.as_str())
            .field("now", &self.shared.clock.now())
            .field("tunnels", &self.tunnels)
            .finish_non_exhaustive()
    }
}
