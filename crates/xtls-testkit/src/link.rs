//! Two ends of a link, a wire between them, and whoever is on it.

mod any;

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use xtls::link::{
    ClientLink, ClientTerms, Kind, Link, LinkAcceptError, LinkConfig, LinkEvent, LinkSetup, PeerLink, ServerLink,
    ServerTerms,
};
use xtls::{
    Local, Terms,
    error::SendError,
    event::Side,
    trust::{MemoryTrustStore, Pin, TrustRecord, TrustStore},
};
use xtls_stanza::Element;
use xtls_stanza::jid::Jid;
use xtls_stream::StartTlsDialect;
use xtls_tls::{Authorities, Identity};

pub use self::any::AnyLink;
use crate::provider::{self, Entity};

/// When every pair begins: 2025-10-09.
const START_UNIX: u64 = 1_760_000_000;

/// The most turns that anything may take.
const TURNS: usize = 1_000_000;

/// Somebody on the wire: is shown what an end sends and may change it.
type Middle = Box<dyn FnMut(&mut Vec<u8>)>;

/// Two ends of a link with a wire between them. Everything follows from the seed.
///
/// ```
/// use xtls::{Terms, TrustPolicy, event::Side};
/// use xtls::link::LinkEvent;
/// use xtls_testkit::LinkPair;
///
/// let mut pair = LinkPair::new(1);
/// pair.trust(Side::Initiator);
/// pair.trust(Side::Responder);
/// pair.connect(Terms::new(TrustPolicy::Pinned));
/// let message = xtls_stanza::Element::builder("message", "jabber:client").build().expect("a stanza");
/// pair.send(Side::Initiator, &message).expect("it is open");
/// pair.run();
/// assert!(pair.take_events(Side::Responder).iter().any(|event| matches!(event, LinkEvent::Stanza { .. })));
/// ```
pub struct LinkPair {
    now: Instant,
    ends: [End; 2],
    /// How many bytes are handed over at a time; all there are if it is 0.
    pub cut: usize,
    /// How many bytes the connection holds in each direction, as a socket does; any number if it is 0. An end is polled for
    /// more once the connection has taken what it was polled for before.
    pub pipe: usize,
    /// What has come out after whoever is in the middle.
    on_wire: [Vec<u8>; 2],
    middle: [Option<Middle>; 2],
}

struct End {
    jid: Jid,
    identity: Identity,
    seed: [u8; 32],
    store: Arc<Mutex<MemoryTrustStore>>,
    /// What its links ask in the place of `store`.
    trust_store: Option<Box<dyn Fn() -> Box<dyn TrustStore>>>,
    config: LinkConfig,
    authorities: Option<Arc<Authorities>>,
    tls12: bool,
    random: Entity,
    link: Option<Box<dyn AnyLink>>,
    accepts: Option<Terms>,
    events: Vec<LinkEvent>,
    ignores_events: bool,
    /// What the other end has sent and this one has not taken.
    incoming: Vec<u8>,
    /// What this end was polled for and the connection has not taken.
    outgoing: Vec<u8>,
    sent: Vec<u8>,
}

impl End {
    fn new(jid: &str, seed: u8) -> Self {
        let jid: Jid = jid.parse().expect("a JID");
        Self {
            identity: provider::identity(&jid.to_bare(), [seed; 32], START_UNIX),
            jid,
            seed: [seed; 32],
            store: Arc::default(),
            trust_store: None,
            config: LinkConfig::default(),
            authorities: None,
            tls12: false,
            random: Entity::new([seed; 32]),
            link: None,
            accepts: None,
            events: Vec::new(),
            ignores_events: false,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn setup(&self) -> LinkSetup {
        let provider = if self.tls12 { provider::tls12() } else { provider::deterministic() };
        let mut local = Local::new(self.jid.clone(), self.identity.clone()).with_provider(provider);
        local.authorities.clone_from(&self.authorities);
        let store: Box<dyn TrustStore> = match &self.trust_store {
            Some(make) => make(),
            None => Box::new(Arc::clone(&self.store)),
        };
        LinkSetup::new(local, store, self.seed, crate::unix(START_UNIX)).with_config(self.config.clone())
    }
}

const fn at(side: Side) -> usize {
    match side {
        Side::Initiator => 0,
        Side::Responder | _ => 1,
    }
}

/// Both ends, the initiating one first.
pub const SIDES: [Side; 2] = [Side::Initiator, Side::Responder];

impl LinkPair {
    /// `romeo@forza` and `juliet@pronto`, who know nothing of one another.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point; time then moves by itself")]
    pub fn new(seed: u8) -> Self {
        Self {
            now: Instant::now(),
            ends: [End::new("romeo@forza", seed), End::new("juliet@pronto", seed.wrapping_add(1))],
            cut: 0,
            pipe: 0,
            on_wire: [Vec::new(), Vec::new()],
            middle: [None, None],
        }
    }

    /// Lets one end pin the other's certificate.
    pub fn trust(&mut self, side: Side) {
        let other = &self.ends[1 - at(side)];
        let (peer, pin) = (other.jid.to_bare(), Pin::manual(other.identity.fingerprint_sha256()));
        self.with_store(side, |store| store.pin(&peer, pin));
    }

    /// Gives an end another address, with a certificate for it.
    ///
    /// # Panics
    ///
    /// When it is no address.
    pub fn name(&mut self, side: Side, jid: &str) {
        let end = &mut self.ends[at(side)];
        end.jid = jid.parse().expect("a JID");
        end.identity = provider::identity(&end.jid.to_bare(), end.seed, START_UNIX);
    }

    /// Gives an end this certificate and key.
    pub fn identify(&mut self, side: Side, identity: Identity) {
        self.ends[at(side)].identity = identity;
    }

    /// Lets an end trust these authorities, where its policy does.
    pub fn authorities(&mut self, side: Side, authorities: Arc<Authorities>) {
        self.ends[at(side)].authorities = Some(authorities);
    }

    /// Lets an end know TLS 1.2 alone.
    pub fn tls12(&mut self, side: Side) {
        self.ends[at(side)].tls12 = true;
    }

    /// Gives an end another certificate than the one it began with.
    pub fn renew(&mut self, side: Side) {
        let end = &mut self.ends[at(side)];
        end.identity = provider::identity(&end.jid.to_bare(), [end.seed[0] ^ 0x80; 32], START_UNIX);
    }

    /// An end's certificate and key.
    #[must_use]
    pub fn identity(&self, side: Side) -> &Identity {
        &self.ends[at(side)].identity
    }

    /// An end's address.
    #[must_use]
    pub fn jid(&self, side: Side) -> &Jid {
        &self.ends[at(side)].jid
    }

    /// The configuration that an end's next link has.
    pub fn config(&mut self, side: Side) -> &mut LinkConfig {
        &mut self.ends[at(side)].config
    }

    /// Looks into or changes what an end knows of its peers.
    ///
    /// # Panics
    ///
    /// When an earlier call panicked.
    pub fn with_store<R>(&self, side: Side, action: impl FnOnce(&mut MemoryTrustStore) -> R) -> R {
        action(&mut self.ends[at(side)].store.lock().expect("nothing panicked before"))
    }

    /// Lets an end's next links ask this store in the place of its own, such as a [`FailingStore`](crate::FailingStore) over
    /// that one. The pair itself looks into its own.
    pub fn use_store(&mut self, side: Side, store: impl TrustStore + Clone + 'static) {
        self.ends[at(side)].trust_store = Some(Box::new(move || Box::new(store.clone())));
    }

    /// An end's own store, to be shared.
    #[must_use]
    pub fn store(&self, side: Side) -> Arc<Mutex<MemoryTrustStore>> {
        Arc::clone(&self.ends[at(side)].store)
    }

    /// What an end needs for a link that the pair does not make.
    #[must_use]
    pub fn setup(&self, side: Side) -> LinkSetup {
        self.ends[at(side)].setup()
    }

    /// What an end knows of the other one.
    #[must_use]
    pub fn record(&self, side: Side) -> TrustRecord {
        let peer = self.ends[1 - at(side)].jid.to_bare();
        self.with_store(side, |store| store.record(&peer).expect("it is in memory"))
    }

    /// Puts an attacker on the wire after one end. Each call gets what that end has sent since the last one.
    pub fn tamper(&mut self, side: Side, middle: impl FnMut(&mut Vec<u8>) + 'static) {
        self.middle[at(side)] = Some(Box::new(middle));
    }

    /// Makes both links, without letting anything happen. The receiving end accepts whoever comes on its terms, or leaves
    /// the question open. A link that was there before is gone.
    ///
    /// # Panics
    ///
    /// When the terms or the configuration make no sense.
    pub fn start(&mut self, initiating: Terms, receiving: Option<Terms>) {
        let expected = self.ends[0].jid.clone();
        let legacy = self.ends[1].config.dialect == StartTlsDialect::Xep0035;
        self.start_with(initiating, receiving, legacy.then_some(expected));
    }

    fn start_with(&mut self, initiating: Terms, receiving: Option<Terms>, expected: Option<Jid>) {
        self.reset();
        let (now, peer) = (self.now, self.ends[1].jid.clone());
        let [first, second] = &mut self.ends;
        let setup = first.setup();
        let link = first.random.enter(|| PeerLink::connect(setup, peer, initiating, now));
        first.link = Some(Box::new(link.expect("the terms make sense")));
        let setup = second.setup();
        let link = second.random.enter(|| PeerLink::listen(setup, expected, now));
        second.link = Some(Box::new(link.expect("the configuration makes sense")));
        second.accepts = receiving;
    }

    /// Makes the initiating end's link alone, to a server of the other end's address, which the test plays itself.
    ///
    /// # Panics
    ///
    /// When the terms or the configuration make no sense.
    pub fn start_to_server(&mut self, terms: &ServerTerms) {
        self.reset();
        let (now, domain) = (self.now, self.ends[1].jid.clone());
        let [first, second] = &mut self.ends;
        let setup = first.setup();
        let link = first.random.enter(|| ClientLink::connect(setup, domain, terms, now));
        first.link = Some(Box::new(link.expect("the terms make sense")));
        second.link = None;
    }

    /// Makes the receiving end's link alone, a server's to a client, which the test plays itself.
    ///
    /// # Panics
    ///
    /// When the terms or the configuration make no sense.
    pub fn start_from_client(&mut self, terms: &ClientTerms) {
        self.reset();
        let now = self.now;
        let [first, second] = &mut self.ends;
        let setup = second.setup();
        let link = second.random.enter(|| ServerLink::listen(setup, terms, now));
        second.link = Some(Box::new(link.expect("the terms make sense")));
        first.link = None;
    }

    /// Makes both links, of a client and of its server. The server's questions for features are the test's to answer.
    ///
    /// # Panics
    ///
    /// When the terms or the configuration make no sense.
    pub fn start_client_and_server(&mut self, client: &ServerTerms, server: &ClientTerms) {
        self.start_from_client(server);
        let link = self.ends[1].link.take();
        self.start_to_server(client);
        self.ends[1].link = link;
    }

    fn reset(&mut self) {
        for end in &mut self.ends {
            end.events.clear();
            end.incoming.clear();
            end.outgoing.clear();
            end.sent.clear();
        }
        self.on_wire = [Vec::new(), Vec::new()];
    }

    /// Makes both links on the same terms and lets things happen until nothing is on its way.
    pub fn connect(&mut self, terms: Terms) {
        self.start(terms.clone(), Some(terms));
        self.run();
    }

    /// Does something with an end of a link between peers; what follows happens in [`LinkPair::run`].
    ///
    /// # Panics
    ///
    /// When there is no such link.
    pub fn with<R>(&mut self, side: Side, action: impl FnOnce(&mut PeerLink, Instant) -> R) -> R {
        self.with_link(side, action)
    }

    /// Does something with the client's link to its server.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn with_client<R>(&mut self, action: impl FnOnce(&mut ClientLink, Instant) -> R) -> R {
        self.with_link(Side::Initiator, action)
    }

    /// Does something with the server's link from its client.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn with_server<R>(&mut self, action: impl FnOnce(&mut ServerLink, Instant) -> R) -> R {
        self.with_link(Side::Responder, action)
    }

    /// Does something with an end's link of any type.
    ///
    /// # Panics
    ///
    /// When there is none yet.
    pub fn with_any<R>(&mut self, side: Side, action: impl FnOnce(&mut dyn AnyLink, Instant) -> R) -> R {
        let End { link, random, .. } = &mut self.ends[at(side)];
        let link = link.as_mut().expect("the pair was started");
        random.enter(|| action(link.as_mut(), self.now))
    }

    fn with_link<K: Kind + 'static, R>(&mut self, side: Side, action: impl FnOnce(&mut Link<K>, Instant) -> R) -> R {
        self.with_any(side, |link, now| {
            let link: &mut dyn Any = link;
            action(link.downcast_mut().expect("a link of this type"), now)
        })
    }

    /// Sends a stanza over an end's link of any type.
    ///
    /// # Errors
    ///
    /// As [`Link::send`].
    pub fn send(&mut self, side: Side, stanza: &Element) -> Result<(), SendError> {
        self.with_any(side, |link, now| link.send(now, stanza))
    }

    /// Whether an end has a link, ended or not.
    #[must_use]
    pub fn is_started(&self, side: Side) -> bool {
        self.ends[at(side)].link.is_some()
    }

    /// An end's link.
    ///
    /// # Panics
    ///
    /// When there is none yet.
    #[must_use]
    pub fn link(&self, side: Side) -> &dyn AnyLink {
        self.ends[at(side)].link.as_deref().expect("the pair was started")
    }

    /// The client's link to its server.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn client(&self) -> &ClientLink {
        let link: &dyn Any = self.link(Side::Initiator);
        link.downcast_ref().expect("a client's link")
    }

    /// Takes the events that an end has had so far.
    pub fn take_events(&mut self, side: Side) -> Vec<LinkEvent> {
        std::mem::take(&mut self.ends[at(side)].events)
    }

    /// Leaves an end's events in its link, or takes them again.
    pub fn ignore_events(&mut self, side: Side, ignore: bool) {
        self.ends[at(side)].ignores_events = ignore;
    }

    /// Everything that an end itself has sent over its present link.
    #[must_use]
    pub fn sent(&self, side: Side) -> &[u8] {
        &self.ends[at(side)].sent
    }

    /// Everything that came out on the other side of whoever is in the middle.
    #[must_use]
    pub fn arrived_from(&self, side: Side) -> &[u8] {
        &self.on_wire[at(side)]
    }

    /// Bytes that are on their way to an end and that it has not taken.
    #[must_use]
    pub fn waiting_for(&self, side: Side) -> usize {
        self.ends[at(side)].incoming.len()
    }

    /// Puts bytes on the wire to an end.
    pub fn inject(&mut self, to: Side, bytes: &[u8]) {
        self.ends[at(to)].incoming.extend_from_slice(bytes);
    }

    /// Tells an end that its connection has ended.
    pub fn cut_off(&mut self, side: Side) {
        self.with_any(side, |link, now| link.handle_end(now));
        self.run();
    }

    /// Lets things happen until nothing is on its way any more; timers that lie in the future stay there.
    ///
    /// # Panics
    ///
    /// When that takes more than a million turns: something goes round in circles.
    pub fn run(&mut self) {
        for _ in 0..TURNS {
            if !self.turn() {
                return;
            }
        }
        panic!("nothing comes to rest");
    }

    /// Lets each end send once and take what has come; whether anything moved.
    pub fn turn(&mut self) -> bool {
        SIDES.map(|side| self.take_out(side) | self.receive(side)) != [false, false]
    }

    /// Lets things happen for this long, timers included.
    ///
    /// # Panics
    ///
    /// When a timer fires and does not move forward, or that takes more than a million turns.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TURNS {
            self.run();
            let due = self.ends.iter().filter_map(|end| end.link.as_ref()?.poll_timeout()).map(|due| due.at).min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            for side in SIDES {
                if self.ends[at(side)].link.is_none() {
                    continue;
                }
                self.with_any(side, |link, now| link.handle_timeout(now));
                let next = self.link(side).poll_timeout();
                assert!(next.is_none_or(|next| next.at > self.now), "a timer does not move forward: {next:?}");
            }
        }
        panic!("nothing comes to rest");
    }

    /// Takes everything out of an end; whether there was anything.
    fn take_out(&mut self, side: Side) -> bool {
        let index = at(side);
        let End { link: Some(link), random, events, accepts, ignores_events, outgoing, sent, .. } =
            &mut self.ends[index]
        else {
            return false;
        };
        let now = self.now;
        let mut bytes = Vec::new();
        let mut moved = outgoing.is_empty() && random.enter(|| link.poll_transmit(now, &mut bytes));
        assert_eq!(moved, !bytes.is_empty(), "poll_transmit tells whether there was anything");
        while !*ignores_events && let Some(event) = random.enter(|| link.poll_event()) {
            moved = true;
            if let (LinkEvent::Incoming { .. }, Some(terms)) = (&event, accepts.take()) {
                let peer: &mut dyn Any = link.as_mut();
                let peer: &mut PeerLink = peer.downcast_mut().expect("nobody else is asked");
                let accepted = random.enter(|| peer.accept(now, terms));
                match accepted {
                    // The link may have ended since it was offered.
                    Ok(()) | Err(LinkAcceptError::NotAsked) => {}
                    // Whoever it says it is may be nobody that this end has terms for: it is sent away.
                    Err(_) => drop(random.enter(|| peer.refuse(now))),
                }
            }
            events.push(event);
        }
        sent.extend_from_slice(&bytes);
        if let Some(middle) = &mut self.middle[index]
            && !bytes.is_empty()
        {
            middle(&mut bytes);
        }
        self.on_wire[index].extend_from_slice(&bytes);
        self.ends[index].outgoing.append(&mut bytes);
        self.carry(index) | moved
    }

    /// Lets the connection take what it has room for; whether it took any.
    fn carry(&mut self, index: usize) -> bool {
        let mut outgoing = std::mem::take(&mut self.ends[index].outgoing);
        let incoming = &mut self.ends[1 - index].incoming;
        let room = if self.pipe == 0 { usize::MAX } else { self.pipe.saturating_sub(incoming.len()) };
        let taken = outgoing.len().min(room);
        incoming.extend(outgoing.drain(..taken));
        self.ends[index].outgoing = outgoing;
        taken > 0
    }

    /// Hands an end what has come; whether it took any of it.
    fn receive(&mut self, side: Side) -> bool {
        let End { link: Some(link), random, incoming, .. } = &mut self.ends[at(side)] else { return false };
        let mut taken = 0;
        while taken < incoming.len() {
            let end = if self.cut == 0 { incoming.len() } else { incoming.len().min(taken + self.cut) };
            let used = random.enter(|| link.handle_bytes(self.now, &incoming[taken..end]));
            taken += used;
            if used == 0 {
                break;
            }
        }
        incoming.drain(..taken);
        taken > 0
    }
}

impl fmt::Debug for LinkPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links: Vec<_> = self.ends.iter().map(|end| &end.link).collect();
        f.debug_struct("LinkPair").field("links", &links).finish_non_exhaustive()
    }
}
