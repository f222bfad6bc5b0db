//! Engines that talk through a relay.

use core::{mem, time::Duration};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Instant,
};

use rustls::crypto::CryptoProvider;
use xtls::Setup;
use xtls::{
    Config, Disposition, Engine, Event, Local, TrustPolicy, TunnelId, TunnelOptions,
    trust::{Authorities, MemoryTrustStore, Pin, TrustStore},
};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Disco, DiscoIdentity, Element, Iq, Limits};

use crate::{Client, Connection, EntityId, Network, provider};

/// A network of engines, each with a store and an identity of its own.
pub type World = Network<EngineClient>;

/// How an entity differs from the usual one.
#[derive(Debug)]
#[non_exhaustive]
pub struct EntityOptions {
    /// The engine's configuration.
    pub config: Config,
    /// A seed for identifiers, and for the key and all of TLS under the deterministic provider.
    pub seed: u8,
    /// An identity of its own instead of one made from the seed.
    pub identity: Option<xtls::Identity>,
    /// Use the real cryptography of aws-lc-rs instead of the deterministic one.
    pub real_cryptography: bool,
    /// A provider of its own instead of either.
    pub provider: Option<Arc<CryptoProvider>>,
    /// The authorities trusted for the certificates of its peers.
    pub authorities: Option<Arc<Authorities>>,
    /// The features it tells when it is asked by disco#info, instead of the engine's.
    pub features: Option<Vec<String>>,
    /// What it knows of its peers, if it shares that with somebody; else it begins with nothing.
    pub store: Option<Arc<Mutex<MemoryTrustStore>>>,
    /// What its engine asks in the place of `store`, such as a [`FailingStore`](crate::FailingStore) over that one. The world
    /// itself looks into `store`.
    pub trust_store: Option<Box<dyn TrustStore>>,
}

/// An engine, and what a small client does around it: it answers service discovery, and keeps what the engine tells.
#[derive(Debug)]
pub struct EngineClient {
    jid: FullJid,
    engine: Engine,
    store: Arc<Mutex<MemoryTrustStore>>,
    identity: xtls::Identity,
    features: Option<Vec<String>>,
    /// Its events stay in the engine.
    ignores_events: bool,
    /// What it sends besides what the engine does.
    says: VecDeque<String>,
    events: Vec<Event>,
    /// What it wants of connections.
    connections: Vec<Event>,
    /// The tunnels whose end was told. Nothing may be told of them after that, whatever a test is about.
    closed: BTreeSet<TunnelId>,
    /// Stanzas that the engine did not take, with what it said of them.
    others: Vec<(Disposition, String)>,
}

/// The wall time at which every world begins: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

impl EntityOptions {
    /// An entity whose secrets follow from `seed`.
    #[must_use]
    pub fn seeded(seed: u8) -> Self {
        let config = Config::default();
        Self {
            config,
            seed,
            identity: None,
            real_cryptography: false,
            provider: None,
            authorities: None,
            features: None,
            store: None,
            trust_store: None,
        }
    }
}

impl EngineClient {
    /// A client of this address, made this long after the beginning.
    ///
    /// # Panics
    ///
    /// When `jid` is not a full JID or the configuration is out of bounds.
    #[must_use]
    pub fn new(jid: &str, options: EntityOptions, now: Instant, elapsed: Duration) -> Self {
        let jid: FullJid = jid.parse().expect("a full JID");
        let seed = [options.seed; 32];
        let identity = options.identity.unwrap_or_else(|| provider::identity(&jid.to_bare(), seed, EPOCH));
        let mut local = Local::new(jid.clone(), identity.clone());
        if let Some(provider) = options.provider {
            local = local.with_provider(provider);
        } else if !options.real_cryptography {
            local = local.with_provider(provider::deterministic());
        }
        local.authorities = options.authorities;
        let store = options.store.unwrap_or_default();
        let trust_store = options.trust_store.unwrap_or_else(|| Box::new(Arc::clone(&store)));
        let unix = crate::unix(EPOCH + elapsed.as_secs());
        let setup = Setup::new(local, trust_store, seed, unix).with_config(options.config);
        let engine = Engine::new(setup, now).expect("a sound configuration");
        Self {
            jid,
            engine,
            store,
            identity,
            features: options.features,
            ignores_events: false,
            says: VecDeque::new(),
            events: Vec::new(),
            connections: Vec::new(),
            closed: BTreeSet::new(),
            others: Vec::new(),
        }
    }

    /// Its address.
    #[must_use]
    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Its certificate and key.
    #[must_use]
    pub fn identity(&self) -> &xtls::Identity {
        &self.identity
    }

    /// Its engine.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Takes the events that it has had so far.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// Takes the stanzas that its engine did not consume, with what it said of each.
    pub fn take_others(&mut self) -> Vec<(Disposition, String)> {
        mem::take(&mut self.others)
    }

    /// Leaves its events in its engine, like an application that does not look at them, or takes them again.
    pub fn ignore_events(&mut self, ignore: bool) {
        self.ignores_events = ignore;
    }

    /// Looks into or changes what it knows of its peers.
    ///
    /// # Panics
    ///
    /// When an earlier call panicked.
    pub fn with_store<R>(&self, action: impl FnOnce(&mut MemoryTrustStore) -> R) -> R {
        action(&mut self.store.lock().expect("nothing panicked before"))
    }

    /// Takes the events that are about connections: see [`Sockets`](crate::Sockets).
    pub fn take_connections(&mut self) -> Vec<Event> {
        mem::take(&mut self.connections)
    }

    fn keep(&mut self, event: Event) {
        // A connection is given up at last after the end of its tunnel.
        if let Event::Abandon { .. } = event {
            return self.connections.push(event);
        }
        if let Some(tunnel) = event.tunnel() {
            assert!(!self.closed.contains(&tunnel), "nothing comes after the end of a tunnel: {event:?}");
        }
        if let Event::Closed(end) = &event {
            self.closed.insert(end.id);
        }
        let is_connect = matches!(event, Event::Connect { .. });
        if is_connect { &mut self.connections } else { &mut self.events }.push(event);
    }

    /// Sends a stanza that is not the engine's.
    pub fn say(&mut self, stanza: String) {
        self.says.push_back(stanza);
    }

    /// What it tells of itself.
    ///
    /// # Panics
    ///
    /// When it was given features that are none.
    #[must_use]
    pub fn disco(&self) -> Disco {
        let mut info = self.engine.disco_info(DiscoIdentity::new("client", "bot"));
        if let Some(features) = &self.features {
            info.features.clone_from(features);
        }
        Disco::new(info, "urn:xtls:testkit").expect("features without markup")
    }

    /// Plays the embedder's part of service discovery (XEP-0030 § 3.1, XEP-0115 § 6.2).
    fn answer_disco(&mut self, stanza: &str) -> bool {
        let Ok(element) = Element::parse(stanza, &Limits::default()) else { return false };
        let Some(Ok(iq)) = Iq::parse(&element) else { return false };
        let Some(from) = iq.from else { return false };
        let mut out = String::new();
        if !self.disco().answer(&iq, from, None, &mut out) {
            return false;
        }
        self.says.push_back(out);
        true
    }
}

impl Client for EngineClient {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        let disposition = self.engine.handle_stanza(now, stanza);
        if !matches!(disposition, Disposition::Consumed) && !self.answer_disco(stanza) {
            self.others.push((disposition, stanza.to_owned()));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        self.engine.handle_connection(now, change);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        if let Some(stanza) = self.says.pop_front() {
            out.push_str(&stanza);
            return true;
        }
        if self.engine.poll_transmit(now, out).is_some() {
            return true;
        }
        if self.ignores_events {
            return false;
        }
        while let Some(event) = self.engine.poll_event() {
            self.keep(event);
        }
        // Taking events can let acknowledgements go.
        self.engine.poll_transmit(now, out).is_some()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.engine.poll_timeout().map(|due| due.at)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new(Duration::from_millis(50))
    }
}

/// What a world of engines can do besides.
impl Network<EngineClient> {
    /// Romeo and Juliet, who trust one another, and a relay that keeps a log.
    #[must_use]
    pub fn pair(seed: u8) -> (Self, EntityId, EntityId) {
        let mut world = Self::default();
        world.relay.keep_log();
        let romeo = world.add("romeo@montague.lit/orchard", EntityOptions::seeded(seed));
        let juliet = world.add("juliet@capulet.lit/balcony", EntityOptions::seeded(seed.wrapping_add(1)));
        world.introduce(romeo, juliet);
        (world, romeo, juliet)
    }

    /// Adds an entity and connects it to the relay.
    ///
    /// # Panics
    ///
    /// When `jid` is not a full JID or the configuration is out of bounds.
    pub fn add(&mut self, jid: &str, options: EntityOptions) -> EntityId {
        self.add_as(jid, jid, options)
    }

    /// Adds an entity whose connection has another name than its address has: one to
    /// [impersonate](crate::Relay::impersonate) somebody.
    ///
    /// # Panics
    ///
    /// As [`World::add`](Self::add).
    pub fn add_as(&mut self, connection: &str, jid: &str, options: EntityOptions) -> EntityId {
        let random = provider::Entity::new([options.seed; 32]);
        let client = EngineClient::new(jid, options, self.now(), self.elapsed());
        self.join_with(connection, random, client)
    }

    /// Pins the certificate of each of the two for the other.
    pub fn introduce(&mut self, one: EntityId, other: EntityId) {
        self.trust(one, other);
        self.trust(other, one);
    }

    /// Pins the certificate of `peer` for `truster`.
    pub fn trust(&mut self, truster: EntityId, peer: EntityId) {
        let pin = Pin::manual(self.identity(peer).fingerprint_sha256());
        let jid = self.jid(peer).to_bare();
        self.with_store(truster, |store| store.pin(&jid, pin));
    }

    /// An entity's address.
    #[must_use]
    pub fn jid(&self, id: EntityId) -> &FullJid {
        &self.client(id).jid
    }

    /// An entity's identity.
    #[must_use]
    pub fn identity(&self, id: EntityId) -> &xtls::Identity {
        &self.client(id).identity
    }

    /// What an entity tells of itself.
    ///
    /// # Panics
    ///
    /// When it was given features that are none.
    #[must_use]
    pub fn disco(&self, id: EntityId) -> Disco {
        self.client(id).disco()
    }

    /// Lets an entity tell that it is there, with its capabilities (XEP-0115 § 4).
    pub fn announce(&mut self, id: EntityId) {
        let mut presence = "<presence>".to_owned();
        self.disco(id).caps().write(&mut presence);
        presence.push_str("</presence>");
        self.client_mut(id).say(presence);
    }

    /// Looks into or changes what an entity knows of its peers.
    ///
    /// # Panics
    ///
    /// When an earlier call panicked.
    pub fn with_store<R>(&self, id: EntityId, action: impl FnOnce(&mut MemoryTrustStore) -> R) -> R {
        self.client(id).with_store(action)
    }

    /// Does something with an entity's engine; what follows happens in [`World::run`](Self::run).
    pub fn with<R>(&mut self, id: EntityId, action: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        self.act(id, |client, now| action(&mut client.engine, now))
    }

    /// Takes the events that an entity has had so far.
    pub fn take_events(&mut self, id: EntityId) -> Vec<Event> {
        self.client_mut(id).take_events()
    }

    /// Leaves an entity's events in its engine, like an application that does not look at them, or takes them again.
    pub fn ignore_events(&mut self, id: EntityId, ignore: bool) {
        self.client_mut(id).ignore_events(ignore);
    }

    /// Takes the stanzas that an entity's engine did not consume, with what it said of each.
    pub fn take_others(&mut self, id: EntityId) -> Vec<(Disposition, String)> {
        self.client_mut(id).take_others()
    }

    /// Hands a stanza to an entity now, as if its server had delivered it.
    pub fn deliver(&mut self, id: EntityId, stanza: &str) -> Disposition {
        self.with(id, |engine, now| engine.handle_stanza(now, stanza))
    }

    /// Opens an XML stream tunnel between two entities that trust one another, and takes the events that led there.
    ///
    /// # Panics
    ///
    /// When the stream does not open at both ends.
    pub fn connect(&mut self, initiator: EntityId, responder: EntityId) -> TunnelId {
        let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        let (tunnel, _) = self.connect_with(initiator, responder, options);
        let opened = |events: Vec<Event>| events.iter().any(|event| matches!(event, Event::StreamOpened { .. }));
        assert!(opened(self.take_events(initiator)), "the initiator's stream opens");
        assert!(opened(self.take_events(responder)), "the responder's stream opens");
        tunnel
    }

    /// Lets one entity offer a tunnel and the other accept it on the same conditions. Gives both ends' ids.
    ///
    /// # Panics
    ///
    /// When the offer does not come through.
    pub fn connect_with(
        &mut self,
        initiator: EntityId,
        responder: EntityId,
        options: TunnelOptions,
    ) -> (TunnelId, TunnelId) {
        let peer = self.jid(responder).clone();
        let tunnel = self
            .with(initiator, |engine, now| engine.initiate(now, peer, options.clone()))
            .expect("nothing keeps the offer back");
        self.run();
        let accepted = self.accept(responder, options).expect("the offer arrives");
        self.run();
        (tunnel, accepted)
    }

    /// Accepts the offer that an entity has got, if there is one.
    ///
    /// # Panics
    ///
    /// When the engine does not take the acceptance.
    pub fn accept(&mut self, id: EntityId, options: TunnelOptions) -> Option<TunnelId> {
        let events = &mut self.client_mut(id).events;
        let at = events.iter().position(|event| matches!(event, Event::Incoming(_)))?;
        let Event::Incoming(incoming) = events.remove(at) else { return None };
        Some(self.with(id, |engine, now| engine.accept(now, incoming, options)).expect("the offer stands"))
    }
}
