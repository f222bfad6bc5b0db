//! Engines that talk through a relay, under a clock of their own.

use core::time::Duration;
use std::{sync::Arc, time::Instant};

use rustls::crypto::CryptoProvider;
use xtls::Setup;
use xtls::{
    Config, Disposition, Engine, Event, Local, TrustPolicy, TunnelId, TunnelOptions,
    trust::{Authorities, MemoryTrustStore, Pin, TrustStore},
};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Disco, DiscoIdentity, Element, Iq, Limits};

use crate::{provider, relay::Relay};

mod suspension;

/// Engines that talk through a [`Relay`], under a clock that only moves when nothing is left to do.
///
/// With the deterministic provider, which is the default, everything that happens follows from the seeds.
#[derive(Debug)]
pub struct World {
    /// The server between the entities.
    pub relay: Relay,
    now: Instant,
    start: Instant,
    entities: Vec<Entity>,
}

/// An entity of a [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityId(usize);

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
    pub store: Option<Arc<std::sync::Mutex<MemoryTrustStore>>>,
    /// What its engine asks in the place of `store`, such as a [`FailingStore`](crate::FailingStore) over that one. The world
    /// itself looks into `store`.
    pub trust_store: Option<Box<dyn TrustStore>>,
}

#[derive(Debug)]
struct Entity {
    jid: FullJid,
    engine: Engine,
    random: provider::Entity,
    store: Arc<std::sync::Mutex<MemoryTrustStore>>,
    identity: xtls::Identity,
    features: Option<Vec<String>>,
    /// Its events stay in the engine.
    ignores_events: bool,
    events: Vec<Event>,
    /// Stanzas that the engine did not take, with what it said of them.
    others: Vec<(Disposition, String)>,
}

/// The wall time at which every world begins: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

/// Turns after which a run is taken for an endless loop.
const TURNS: usize = 1_000_000;

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

impl Default for World {
    fn default() -> Self {
        Self::new(Duration::from_millis(50))
    }
}

impl World {
    /// An empty world whose relay takes this long in each direction.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point that nothing depends on")]
    pub fn new(latency: Duration) -> Self {
        let now = Instant::now();
        Self { relay: Relay::new(latency), now, start: now, entities: Vec::new() }
    }

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
        let jid: FullJid = jid.parse().expect("a full JID");
        let seed = [options.seed; 32];
        let random = provider::Entity::new(seed);
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
        let unix = crate::unix(EPOCH + (self.now - self.start).as_secs());
        let setup = Setup::new(local, trust_store, seed, unix).with_config(options.config);
        let engine = Engine::new(setup, self.now).expect("a sound configuration");
        self.relay.set_online(jid.as_str(), true);
        let features = options.features;
        self.entities.push(Entity {
            jid,
            engine,
            random,
            store,
            identity,
            features,
            ignores_events: false,
            events: Vec::new(),
            others: Vec::new(),
        });
        EntityId(self.entities.len() - 1)
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

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long the world has been going.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// An entity's address.
    #[must_use]
    pub fn jid(&self, id: EntityId) -> &FullJid {
        &self.entities[id.0].jid
    }

    /// An entity's identity.
    #[must_use]
    pub fn identity(&self, id: EntityId) -> &xtls::Identity {
        &self.entities[id.0].identity
    }

    /// What an entity tells of itself.
    ///
    /// # Panics
    ///
    /// When it was given features that are none.
    #[must_use]
    pub fn disco(&self, id: EntityId) -> Disco {
        let entity = &self.entities[id.0];
        let mut info = entity.engine.disco_info(DiscoIdentity::new("client", "bot"));
        if let Some(features) = &entity.features {
            info.features.clone_from(features);
        }
        Disco::new(info, "urn:xtls:testkit").expect("features without markup")
    }

    /// Looks into or changes what an entity knows of its peers.
    ///
    /// # Panics
    ///
    /// When an earlier call panicked.
    pub fn with_store<R>(&self, id: EntityId, action: impl FnOnce(&mut MemoryTrustStore) -> R) -> R {
        action(&mut self.entities[id.0].store.lock().expect("nothing panicked before"))
    }

    /// Does something with an entity's engine; what follows happens in [`World::run`].
    pub fn with<R>(&mut self, id: EntityId, action: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        let Entity { engine, random, .. } = &mut self.entities[id.0];
        random.enter(|| action(engine, self.now))
    }

    /// Takes the events that an entity has had so far.
    pub fn take_events(&mut self, id: EntityId) -> Vec<Event> {
        std::mem::take(&mut self.entities[id.0].events)
    }

    /// Leaves an entity's events in its engine, like an application that does not look at them, or takes them again.
    pub fn ignore_events(&mut self, id: EntityId, ignore: bool) {
        self.entities[id.0].ignores_events = ignore;
    }

    /// Takes the stanzas that an entity's engine did not consume, with what it said of each.
    pub fn take_others(&mut self, id: EntityId) -> Vec<(Disposition, String)> {
        std::mem::take(&mut self.entities[id.0].others)
    }

    /// Hands a stanza to an entity now, as if its server had delivered it.
    pub fn deliver(&mut self, id: EntityId, stanza: &str) -> Disposition {
        self.with(id, |engine, now| engine.handle_stanza(now, stanza))
    }

    /// Cuts an entity off from the relay, and tells its engine.
    pub fn disconnect(&mut self, id: EntityId) {
        let jid = self.entities[id.0].jid.as_str().to_owned();
        self.relay.set_online(&jid, false);
        self.with(id, Engine::handle_disconnect);
        self.collect();
    }

    /// Lets things happen until nothing is on its way any more; timers that lie in the future stay there.
    ///
    /// # Panics
    ///
    /// When that takes more than a million turns: something goes round in circles.
    pub fn run(&mut self) {
        for _ in 0..TURNS {
            self.collect();
            let Some(next) = self.relay.poll_timeout() else { return };
            self.pass_to(next);
        }
        panic!("nothing comes to rest");
    }

    /// Lets things happen for this long, timers included.
    ///
    /// # Panics
    ///
    /// When a timer fires and does not move forward, or that takes more than a million turns.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TURNS {
            self.collect();
            let timers = self.entities.iter().filter_map(|entity| entity.engine.poll_timeout()).map(|due| due.at);
            let next = timers.chain(self.relay.poll_timeout()).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.pass_to(next),
                None => return self.pass_to(end),
            }
        }
        panic!("nothing comes to rest");
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
        let events = &mut self.entities[id.0].events;
        let at = events.iter().position(|event| matches!(event, Event::Incoming(_)))?;
        let Event::Incoming(incoming) = events.remove(at) else { return None };
        Some(self.with(id, |engine, now| engine.accept(now, incoming, options)).expect("the offer stands"))
    }

    /// Moves time on and delivers what is due.
    fn pass_to(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(delivery) = self.relay.poll_delivery(self.now) {
            let found = self.entities.iter().position(|entity| entity.jid.as_str() == delivery.to);
            if let Some(at) = found {
                self.receive(EntityId(at), delivery.stanza);
                self.collect();
            }
        }
        for at in 0..self.entities.len() {
            let due = self.entities[at].engine.poll_timeout().is_some_and(|due| due.at <= self.now);
            if due {
                self.with(EntityId(at), Engine::handle_timeout);
                let next = self.entities[at].engine.poll_timeout();
                assert!(next.is_none_or(|next| next.at > self.now), "a timer does not move forward: {next:?}");
            }
        }
        self.collect();
    }

    fn receive(&mut self, id: EntityId, stanza: String) {
        let disposition = self.with(id, |engine, now| engine.handle_stanza(now, &stanza));
        if !matches!(disposition, Disposition::Consumed) && !self.answer_disco(id, &stanza) {
            self.entities[id.0].others.push((disposition, stanza));
        }
    }

    /// Plays the embedder's part of service discovery (XEP-0030 § 3.1, XEP-0115 § 6.2).
    fn answer_disco(&mut self, id: EntityId, stanza: &str) -> bool {
        let Ok(element) = Element::parse(stanza, &Limits::default()) else { return false };
        let Some(Ok(iq)) = Iq::parse(&element) else { return false };
        let Some(from) = iq.from else { return false };
        let mut out = String::new();
        if !self.disco(id).answer(&iq, from, None, &mut out) {
            return false;
        }
        let jid = self.entities[id.0].jid.as_str().to_owned();
        self.relay.handle_stanza(self.now, &jid, &out);
        true
    }

    /// Takes everything out of every engine.
    fn collect(&mut self) {
        for Entity { jid, engine, random, events, ignores_events, .. } in &mut self.entities {
            let mut stanza = String::new();
            random.enter(|| {
                while let Some(transmit) = engine.poll_transmit(self.now, &mut stanza) {
                    debug_assert!(stanza.contains(&*transmit.to), "a stanza names its addressee");
                    self.relay.handle_stanza(self.now, jid.as_str(), &stanza);
                    stanza.clear();
                }
                if *ignores_events {
                    return;
                }
                while let Some(event) = engine.poll_event() {
                    events.push(event);
                }
                // Taking events can let acknowledgements go.
                while engine.poll_transmit(self.now, &mut stanza).is_some() {
                    self.relay.handle_stanza(self.now, jid.as_str(), &stanza);
                    stanza.clear();
                }
            });
        }
    }
}
