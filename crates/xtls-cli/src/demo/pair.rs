//! Romeo, Juliet, and the server between them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use xtls::Setup;
use xtls::tls::UnixTime;
use xtls::{
    Config, Disposition, Engine, Event, Identity, Local, TunnelId, TunnelOptions,
    jingle::Profile,
    tls::KeyAlgorithm,
    trust::{MemoryTrustStore, Pin},
};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Element, Limits};
use xtls_testkit::Relay;
use xtls_trace::{Direction, Stanza};

use crate::clock;
use crate::exit::Failure;
use crate::identity;
use crate::output::{Output, Report};
use crate::session::{Disco, tell};
use crate::trace::Trace;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Romeo,
    Juliet,
}

/// Two engines that trust one another, and a server that passes stanzas at once.
pub(super) struct Pair {
    romeo: Entity,
    juliet: Entity,
    relay: Relay,
    output: Output,
    /// Tell of each stanza.
    shown: bool,
    trace: Trace,
    /// Stanzas that have passed, and their bytes.
    pub(super) stanzas: u64,
    pub(super) bytes: u64,
}

struct Entity {
    name: &'static str,
    jid: FullJid,
    identity: Identity,
    engine: Engine,
    disco: Disco,
    events: Vec<Event>,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Romeo => Self::Juliet,
            Self::Juliet => Self::Romeo,
        }
    }
}

impl Entity {
    fn new(
        name: &'static str,
        address: &str,
        store: Arc<Mutex<MemoryTrustStore>>,
        profile: Profile,
        now: Instant,
        unix: UnixTime,
    ) -> Result<Self, Failure> {
        let impossible = |e: &dyn std::fmt::Display| Failure::other(format!("the demonstration cannot start: {e}"));
        let jid: FullJid = address.parse().map_err(|e| impossible(&e))?;
        let identity = Identity::generate(&jid.to_bare(), KeyAlgorithm::default(), unix).map_err(|e| impossible(&e))?;
        let local = Local::new(jid.clone(), identity.clone());
        let mut seed = [0; 32];
        local.provider.secure_random.fill(&mut seed).map_err(|_| impossible(&"there are no random numbers"))?;
        let mut config = Config::default();
        config.sole_handler = true;
        config.profile = profile;
        let setup = Setup::new(local, Box::new(store), seed, unix).with_config(config);
        let engine = Engine::new(setup, now).map_err(|e| impossible(&e))?;
        let disco = Disco::new(&jid.to_bare(), &engine.features())?;
        Ok(Self { name, jid, identity, engine, disco, events: Vec::new() })
    }
}

impl Pair {
    pub(super) fn new(output: Output, trace: Trace, profile: Profile) -> Result<Self, Failure> {
        let (now, unix) = (clock::now(), clock::unix());
        let stores = [(); 2].map(|()| Arc::new(Mutex::new(MemoryTrustStore::default())));
        let [romeos, juliets] = &stores;
        let romeo = Entity::new("Romeo", "romeo@montague.example/orchard", Arc::clone(romeos), profile, now, unix)?;
        let juliet = Entity::new("Juliet", "juliet@capulet.example/balcony", Arc::clone(juliets), profile, now, unix)?;
        for (store, peer) in [(romeos, &juliet), (juliets, &romeo)] {
            let pin = Pin::manual(peer.identity.fingerprint_sha256());
            store.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pin(&peer.jid.to_bare(), pin);
        }
        let mut relay = Relay::new(Duration::ZERO);
        relay.set_online(romeo.jid.as_str(), true);
        relay.set_online(juliet.jid.as_str(), true);
        Ok(Self { romeo, juliet, relay, output, shown: true, trace, stanzas: 0, bytes: 0 })
    }

    pub(super) fn report_identities(&self) -> Result<(), Failure> {
        for entity in [&self.romeo, &self.juliet] {
            identity::report(self.output, entity.jid.to_bare().as_str(), &entity.identity, true)?;
        }
        Ok(())
    }

    pub(super) fn jid(&self, side: Side) -> &FullJid {
        &self.entity(side).jid
    }

    /// From now on stanzas are counted and not shown.
    pub(super) fn hush(&mut self) {
        self.shown = false;
        (self.stanzas, self.bytes) = (0, 0);
    }

    /// Does something with the engine of one side; what follows happens in [`Pair::run`].
    pub(super) fn with<R>(&mut self, side: Side, action: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        action(&mut self.entity_mut(side).engine, clock::now())
    }

    pub(super) fn take_events(&mut self, side: Side) -> Vec<Event> {
        std::mem::take(&mut self.entity_mut(side).events)
    }

    /// Opens a tunnel from Romeo to Juliet, and gives both ends' names for it.
    pub(super) fn open(&mut self, options: TunnelOptions) -> Result<[(Side, TunnelId); 2], Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::other(format!("the tunnel was not opened: {e}"));
        let peer = self.jid(Side::Juliet).clone();
        let offered = options.clone();
        let ours = self.with(Side::Romeo, |engine, now| engine.initiate(now, peer, offered)).map_err(|e| failed(&e))?;
        self.run()?;
        let offer = self.take_events(Side::Juliet).into_iter().find_map(|event| match event {
            Event::Incoming(incoming) => Some(incoming),
            _ => None,
        });
        let offer = offer.ok_or_else(|| failed(&"the offer did not arrive"))?;
        let theirs =
            self.with(Side::Juliet, |engine, now| engine.accept(now, offer, options)).map_err(|e| failed(&e))?;
        self.run()?;
        for side in [Side::Romeo, Side::Juliet] {
            for event in self.take_events(side) {
                if let Event::Closed(closed) = event {
                    return Err(failed(&closed.reason));
                }
            }
        }
        Ok([(Side::Romeo, ours), (Side::Juliet, theirs)])
    }

    /// Passes stanzas until nobody has anything to say.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        loop {
            let mut quiet = true;
            for side in [Side::Romeo, Side::Juliet] {
                quiet &= !self.collect(side)?;
            }
            let now = clock::now();
            while let Some(delivery) = self.relay.poll_delivery(now) {
                quiet = false;
                let side = if delivery.to == self.romeo.jid.as_str() { Side::Romeo } else { Side::Juliet };
                self.deliver(side, &delivery.stanza)?;
            }
            if quiet {
                self.trace.settle();
                return Ok(());
            }
        }
    }

    /// Draws the picture of what has passed, if one is wanted.
    pub(super) fn draw(&mut self) -> Result<(), Failure> {
        self.trace.draw("xtls demo")
    }

    /// Takes everything out of an engine; tells whether there was anything.
    fn collect(&mut self, side: Side) -> Result<bool, Failure> {
        let now = clock::now();
        let entity = if side == Side::Romeo { &mut self.romeo } else { &mut self.juliet };
        let before = entity.events.len();
        while let Some(event) = entity.engine.poll_event() {
            self.trace.event(entity.jid.as_str(), &mut entity.engine, &event);
            entity.events.push(event);
        }
        let mut any = entity.events.len() > before;
        let mut stanza = String::new();
        while self.entity_mut(side).engine.poll_transmit(now, &mut stanza).is_some() {
            any = true;
            self.send(side, &stanza)?;
            stanza.clear();
        }
        Ok(any)
    }

    fn deliver(&mut self, side: Side, stanza: &str) -> Result<(), Failure> {
        let now = clock::now();
        let own = self.entity(side).jid.to_string();
        self.trace.text(&own, Direction::In, stanza);
        let entity = self.entity_mut(side);
        if matches!(entity.engine.handle_stanza(now, stanza), Disposition::NotOurs) {
            let answer =
                Element::parse(stanza, &Limits::default()).ok().and_then(|stanza| entity.disco.answer(&stanza));
            if let Some(answer) = answer {
                self.send(side, &answer)?;
            }
        }
        Ok(())
    }

    /// Gives a stanza to the server.
    fn send(&mut self, side: Side, stanza: &str) -> Result<(), Failure> {
        self.stanzas += 1;
        self.bytes += u64::try_from(stanza.len()).unwrap_or(u64::MAX);
        if self.shown {
            let what = Element::parse(stanza, &Limits::default()).map(|stanza| Stanza::of(&stanza).label());
            tell(
                self.output,
                &Report::Stanza {
                    number: self.stanzas,
                    from: self.entity(side).name,
                    to: self.entity(side.other()).name,
                    what: &what.unwrap_or_default(),
                    bytes: stanza.len(),
                },
            )?;
        }
        let from = self.entity(side).jid.to_string();
        self.trace.text(&from, Direction::Out, stanza);
        self.relay.handle_stanza(clock::now(), &from, stanza);
        Ok(())
    }

    fn entity(&self, side: Side) -> &Entity {
        match side {
            Side::Romeo => &self.romeo,
            Side::Juliet => &self.juliet,
        }
    }

    fn entity_mut(&mut self, side: Side) -> &mut Entity {
        match side {
            Side::Romeo => &mut self.romeo,
            Side::Juliet => &mut self.juliet,
        }
    }
}
