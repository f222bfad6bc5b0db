//! The engine: every tunnel of one full JID.

mod answers;
mod commands;
mod connections;
mod handle;
mod inbound;
mod index;
mod inside;
mod offers;
mod pace;
mod places;
mod presence;
mod probing;
mod suspension;
mod tunnels;
pub(crate) mod watch;

use core::fmt;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use xtls_channel::{Deadline, Instant, Setup, SetupError, Timer};
use xtls_stanza::{DiscoIdentity, DiscoInfo, jid::FullJid, ns, write};

pub use self::handle::Tunnel;
use self::{answers::Answers, pace::Pace, probing::Probing, tunnels::Tunnels};
use crate::{
    application::{BYTES_NS, INSIDE_NS},
    config::Config,
    event::{Event, Held, TunnelId},
    flow::{Flow, FlowAnswer},
    shared::Shared,
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
    tunnels: Tunnels,
    answers: Answers,
    probing: Probing,
    /// Who asked for our presence lately, and was let know.
    shown: Pace,
    /// What is handled now was said inside of this tunnel.
    inside: Option<u64>,
    next_number: u64,
    id: u32,
}

/// A stanza to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The addressee, as in the stanza's `to`.
    pub to: Arc<str>,
}

impl Engine {
    /// An engine for one full JID, made at `now`.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is out of bounds, or the provider cannot do TLS.
    pub fn new(setup: Setup<FullJid, Config>, now: Instant) -> Result<Self, SetupError> {
        /// Tells engines of one process apart; it never shows.
        static ENGINES: AtomicU32 = AtomicU32::new(0);
        let shared = Shared::new(setup, now)?;
        Ok(Self {
            shared,
            tunnels: Tunnels::default(),
            answers: Answers::default(),
            probing: Probing::default(),
            shown: Pace::default(),
            inside: None,
            next_number: 0,
            id: ENGINES.fetch_add(1, Ordering::Relaxed) & TunnelId::MAX_ENGINE,
        })
    }

    /// The disco#info features to advertise (XEP-0030, XEP-0115), sorted as XEP-0115 § 5.1 hashes them.
    ///
    /// Both spellings of the two namespaces that draft-meyer-xmpp-e2e-encryption-02 § 7 spells in two ways are there, and
    /// every version of the transport that is supported (XEP-0261 § 4).
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        let mut features = vec![ns::IBB, ns::PUBKEY_0, BYTES_NS];
        features.extend_from_slice(self.shared.dialect.features());
        if self.shared.config.socks5 {
            // XEP-0065 § 3, XEP-0260 § 5.
            features.extend([ns::BYTESTREAMS, ns::JINGLE_S5B, INSIDE_NS]);
        }
        features.sort_unstable();
        features
    }

    /// What an embedder that can do nothing else tells of itself: this identity, and the engine's features. Add your own,
    /// and pass it to [`Disco::new`](crate::xml::Disco::new).
    #[must_use]
    pub fn disco_info(&self, identity: DiscoIdentity) -> DiscoInfo {
        DiscoInfo::new(identity).with_features(self.features())
    }

    /// Passes time on. An extra call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.shared.env.advance(now);
        self.expire_questions();
        self.shared.spares.expire(self.shared.env.clock().now());
        for number in self.tunnels.due(self.shared.env.clock().now()) {
            self.with_tunnel(number, |tunnel, shared| {
                let suspended = shared.suspended_since.is_some();
                while let Some(timer) = tunnel.timers.expired(shared.env.clock().now(), suspended) {
                    tunnel.handle_timer(timer, shared);
                }
            });
        }
        self.expire_suspension();
        if self.shared.suspended_since.is_none() {
            self.expire_turn();
        }
    }

    /// The outer stream is gone: every tunnel ends at once and what was not acknowledged is told. One that is to be resumed is
    /// not gone yet: see [`handle_suspended`](Self::handle_suspended).
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.shared.env.advance(now);
        self.end_suspension();
        self.answers.clear();
        self.lose_questions();
        self.shared.capabilities.forget_all();
        self.shared.flow = Flow::new();
        for number in self.tunnels.numbers() {
            self.with_tunnel(number, tunnel::TunnelCore::handle_disconnect);
        }
    }

    /// Appends one whole stanza to `out` and tells whom it is for; `None` when there is nothing to send now.
    ///
    /// Data is framed here and not when it is written, so that window and block size always hold. While the outer stream is
    /// suspended there is still what to send: queue it for the resumption, or poll again after that.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut String) -> Option<Transmit> {
        self.shared.env.advance(now);
        let before = out.len();
        let transmit = self.poll_stanza(out)?;
        self.shared.sizes.sent(out.len() - before);
        Some(transmit)
    }

    /// The same for a client that sends bytes. The stanza is not copied where `out` is empty.
    #[must_use]
    pub fn poll_transmit_bytes(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        write::to_bytes(out, |text| self.poll_transmit(now, text))
    }

    /// The next event, the oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let (event, held) = self.poll_event_held()?;
        if let Some(held) = held {
            self.release(held);
        }
        Some(event)
    }

    /// The same for an embedder that keeps what comes in a queue for each tunnel. What an event holds of the room that its tunnel
    /// has ([`Config::receive_buffer`]) stays taken until [`release`](Self::release), so that such queues are bounded
    /// by the same bound, and the peer is held back by it.
    #[must_use]
    pub fn poll_event_held(&mut self) -> Option<(Event, Option<Held>)> {
        let (event, weight) = self.shared.events.pop()?;
        Some((event, weight.map(Held)))
    }

    /// The application has taken the event that held this. After the end of the tunnel it does nothing.
    pub fn release(&mut self, held: Held) {
        let Held(weight) = held;
        if weight.tunnel.engine == self.id {
            self.with_tunnel(weight.tunnel.number, |tunnel, shared| tunnel.event_taken(weight, shared));
        }
    }

    /// Its own full address.
    #[must_use]
    pub fn jid(&self) -> &FullJid {
        &self.shared.jid
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, and why; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let own = match self.shared.suspended_since {
            // Questions stand still.
            Some(since) => Some(self.suspension_deadline(since)),
            None => {
                let probing = self.probing.deadline().map(|at| Deadline::new(at, Timer::Answer));
                probing.into_iter().chain(self.turn_deadline()).min_by_key(|deadline| deadline.at)
            }
        };
        self.tunnels.index().next_deadline().into_iter().chain(own).min_by_key(|deadline| deadline.at)
    }

    /// A tunnel, to be used; `None` when the id is another engine's or the tunnel has ended.
    pub fn tunnel(&mut self, id: TunnelId) -> Option<Tunnel<'_>> {
        let known = id.engine == self.id && self.tunnels.get(id.number).is_some_and(tunnel::TunnelCore::is_usable);
        known.then(|| Tunnel::new(self, id.number))
    }

    /// Whether this engine has given this id, whatever became of the tunnel: it tells a tunnel that has ended from one of another
    /// engine.
    #[must_use]
    pub fn has_given(&self, id: TunnelId) -> bool {
        id.engine == self.id && (1..=self.next_number).contains(&id.number)
    }

    /// The tunnels that have not ended, in the order of their creation. Offers that are not decided on are none.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelId> {
        self.tunnels.iter().filter(|tunnel| tunnel.is_usable()).map(|tunnel| tunnel.id)
    }

    /// How many times a tunnel was looked at since the engine was made.
    ///
    /// A count of work and not of time: for tests and for watching that the cost of a stanza, a timeout or a poll does not
    /// grow with tunnels that have no part in it. What it comes to for each is not promised.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.tunnels.looked_at()
    }

    pub(crate) fn tunnel_ref(&self, number: u64) -> Option<&tunnel::TunnelCore> {
        self.tunnels.get(number)
    }

    pub(crate) fn advance_clock(&mut self, now: Instant) {
        self.shared.env.advance(now);
    }

    /// Lets a tunnel do something, and sees to what follows: it may have something to send, or be done for good.
    pub(crate) fn with_tunnel<R>(
        &mut self,
        number: u64,
        action: impl FnOnce(&mut tunnel::TunnelCore, &mut Shared) -> R,
    ) -> Option<R> {
        let shared = &mut self.shared;
        let (result, is_inside) = self.tunnels.act(number, |tunnel| {
            let result = action(tunnel, shared);
            tunnel.settle(shared);
            (result, tunnel.inside_of().is_some())
        })?;
        self.tunnels.wake(number);
        if is_inside {
            self.pass_inside(number);
        }
        self.take_inside();
        Some(result)
    }

    /// Lets the tunnels with the peer of this address do something, in the order of their creation, until one has a result. Gives
    /// that and its number.
    fn with_peer<R>(
        &mut self,
        address: &str,
        mut action: impl FnMut(&mut tunnel::TunnelCore, &mut Shared) -> Option<R>,
    ) -> Option<(u64, R)> {
        let mut last = None;
        while let Some(number) = self.tunnels.index().next_with_peer(address, last) {
            if let Some(result) = self.with_tunnel(number, &mut action).flatten() {
                return Some((number, result));
            }
            last = Some(number);
        }
        None
    }

    /// The next stanza, whosever it is.
    fn poll_stanza(&mut self, out: &mut String) -> Option<Transmit> {
        // A peer takes the refusal of its data for the end: why it is one goes first.
        if let Some(number) = self.answers.next_after()
            && self.tunnels.get(number).is_some_and(tunnel::TunnelCore::owes_farewell)
            && let Some(transmit) = self.poll_tunnel(number, false, out)
        {
            return Some(transmit);
        }
        if let Some(to) = self.answers.poll(&mut self.shared, out) {
            watch::sent("answer");
            return Some(Transmit { to });
        }
        if let Some(to) = self.probing.poll(&mut self.shared, out) {
            return Some(Transmit { to });
        }
        while let Some((number, is_turn)) = self.next_to_ask() {
            if let Some(transmit) = self.poll_tunnel(number, is_turn, out) {
                return Some(transmit);
            }
        }
        None
    }

    /// The tunnel to be asked next for something to send, and whether it has waited for its turn to send a block.
    /// What a tunnel has to send.
    fn poll_tunnel(&mut self, number: u64, is_turn: bool, out: &mut String) -> Option<Transmit> {
        let shared = &mut self.shared;
        // Who comes by may send a block only where nobody waits for that.
        shared.flow.ask(is_turn || self.tunnels.waiting().len() == 0);
        let polled = self.tunnels.act(number, |tunnel| (tunnel.poll_transmit(shared, out), tunnel.is_finished()));
        match self.shared.flow.answer() {
            FlowAnswer::Waits => self.tunnels.wait(number, false),
            // A turn is for a block, and it had something else to send.
            FlowAnswer::Nothing if is_turn && matches!(polled, Some((Some(_), _))) => self.tunnels.wait(number, true),
            FlowAnswer::Nothing | FlowAnswer::Sent => {}
        }
        match polled {
            Some((Some(to), _)) => {
                // One stanza each in turn, so that a bulk transfer does not hold up a chat.
                self.tunnels.wake(number);
                Some(Transmit { to })
            }
            Some((None, true)) => {
                self.forget(number);
                None
            }
            Some((None, false)) | None => None,
        }
    }

    fn next_to_ask(&mut self) -> Option<(u64, bool)> {
        let turn = if self.shared.flow.has_room() { self.tunnels.pop_waiting() } else { None };
        turn.map(|number| (number, true)).or_else(|| self.tunnels.pop_ready().map(|number| (number, false)))
    }

    fn expire_turn(&mut self) {
        let now = self.shared.env.clock().now();
        if self.turn_deadline().is_some_and(|deadline| deadline.at <= now) {
            self.shared.flow.give_away(now);
        }
    }

    /// When a place in the window is given away to one that waits.
    fn turn_deadline(&self) -> Option<Deadline> {
        let at = self.shared.flow.deadline(self.tunnels.waiting().take(2))?;
        Some(Deadline::new(at, Timer::Turn))
    }

    /// Takes a new tunnel in.
    fn add(&mut self, tunnel: tunnel::TunnelCore) {
        while let Some(oldest) = self.tunnels.index().places.oldest_farewell_over(&self.shared.config) {
            self.forget(oldest);
        }
        let number = tunnel.id.number;
        self.tunnels.insert(tunnel);
        self.with_tunnel(number, |_, _| ());
    }

    /// Forgets a tunnel that has nothing more to tell.
    fn forget(&mut self, number: u64) {
        if let Some(mut tunnel) = self.tunnels.remove(number) {
            tunnel.let_go(&mut self.shared);
            self.shared.inside_sids.remove(tunnel.session_sid());
            self.shared.flow.forget(number);
            // What was on its way may still be answered, and belongs to nobody else.
            tunnel.unanswered().for_each(|id| self.answers.expect(id, tunnel.address()));
        }
        if self.tunnels.is_empty() {
            self.shared.spares.clear();
        }
    }
}

/// What people said and what keys were made from stays out of it.
impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("jid", &self.shared.jid.as_str())
            .field("now", &self.shared.env.clock().now())
            .field("tunnels", &self.tunnels)
            .finish_non_exhaustive()
    }
}
