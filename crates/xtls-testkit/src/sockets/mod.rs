//! The connections of a simulated world: listeners, hosts behind a NAT, and SOCKS5 proxies that do their duty or do not.

mod proxy;
mod wire;

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use xtls::{ConnectionId, Event, transports::DstAddr};
use xtls_s5b::socks::{Acceptor, Client};

pub use self::proxy::Conduct;
use self::{
    proxy::Proxy,
    wire::{Dial, End, Wire},
};
use crate::{EntityId, World, world::EntityOptions};

/// The connections between the entities of a [`World`]. It has hosts by name: an entity that [listens](Self::listen), or a
/// [proxy](Self::proxy).
///
/// Making a connection takes a way there and one back, closing it one. What is on its way is bounded as by the buffers of sockets, and
/// an engine that does not want bytes holds the sender back. Where bytes have a rate, they come in packets, and no packet has bytes of
/// two TLS records.
#[derive(Debug)]
pub struct Sockets {
    latency: Duration,
    /// Bytes in a second, for each direction of each connection.
    bandwidth: Option<u64>,
    listeners: BTreeMap<(String, u16), EntityId>,
    /// Whose listeners nobody gets to.
    behind_nat: BTreeSet<EntityId>,
    proxies: Vec<Proxy>,
    /// Who is refused where.
    blocked: BTreeSet<(EntityId, String)>,
    dials: Vec<Dial>,
    wires: Vec<Wire>,
    /// What engines have asked for or were given, and have not given up or been told the end of.
    held: BTreeSet<(EntityId, ConnectionId)>,
    /// What they have given up.
    abandoned: BTreeSet<(EntityId, ConnectionId)>,
    /// Each place that was dialled, and by whom.
    dialled: Vec<(EntityId, String, u16)>,
    /// What ends have sent, of all wires.
    seen: Vec<u8>,
}

/// How connections are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// At this entity: it sees the end at once, and the other ends when that gets there, after what was on its way.
    At(EntityId),
    /// Everywhere at once; what was on its way is lost.
    Everywhere,
    /// Nothing more gets through, and nobody is told, until they are cut in another way.
    Silently,
}

/// A connection that somebody without an engine has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit(usize);

impl Sockets {
    /// Connections that take this long for each way.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self {
            latency,
            bandwidth: None,
            listeners: BTreeMap::new(),
            behind_nat: BTreeSet::new(),
            proxies: Vec::new(),
            blocked: BTreeSet::new(),
            dials: Vec::new(),
            wires: Vec::new(),
            held: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            dialled: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// How long connections take for each way from now on.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// How many bytes a connection carries in a second, each way; `None` for as many as there are.
    pub fn set_bandwidth(&mut self, bytes_per_second: Option<u64>) {
        self.bandwidth = bytes_per_second.map(|bytes| bytes.max(1));
    }

    /// An entity listens at this place.
    pub fn listen(&mut self, entity: EntityId, host: &str, port: u16) {
        self.listeners.insert((host.to_owned(), port), entity);
    }

    /// An entity is behind a NAT: it gets out, and who dials it hears nothing.
    pub fn nat(&mut self, entity: EntityId) {
        self.behind_nat.insert(entity);
    }

    /// A proxy is at this place, and is an entity of the world by this address.
    ///
    /// # Panics
    ///
    /// When there are more than fifty.
    pub fn proxy(&mut self, world: &mut World, jid: &str, host: &str, port: u16, conduct: Conduct) {
        let seed = 200 + u8::try_from(self.proxies.len()).expect("a few proxies");
        let entity = world.add(jid, EntityOptions::seeded(seed));
        self.serve_by(entity, host, port, conduct);
    }

    /// An entity of the world is a proxy at this place.
    pub fn serve_by(&mut self, entity: EntityId, host: &str, port: u16, conduct: Conduct) {
        self.proxies.push(Proxy { host: host.to_owned(), port, entity, conduct });
    }

    /// An entity is refused at a host.
    pub fn block(&mut self, entity: EntityId, host: &str) {
        self.blocked.insert((entity, host.to_owned()));
    }

    /// Cuts every connection, and every attempt to make one.
    pub fn cut(&mut self, world: &mut World, cut: Cut) {
        let now = world.now();
        for dial in &mut self.dials {
            match cut {
                Cut::At(entity) if dial.entity != entity => {}
                Cut::At(_) | Cut::Everywhere => (dial.at, dial.to) = (Some(now), None),
                Cut::Silently => dial.at = None,
            }
        }
        for at in 0..self.wires.len() {
            match cut {
                Cut::At(entity) => {
                    for end in 0..2 {
                        if matches!(self.wires[at].ends[end], End::Engine(owner, _) if owner == entity) {
                            self.wires[at].ways[end].break_off(now);
                            self.wires[at].ways[1 - end].closed.get_or_insert(now + self.latency);
                        }
                    }
                }
                Cut::Everywhere => self.wires[at].ways.iter_mut().for_each(|way| way.break_off(now)),
                Cut::Silently => self.wires[at].ways.iter_mut().for_each(|way| way.is_dead = true),
            }
        }
        while self.turn(world) {}
    }

    /// How many connections are open at both ends.
    #[must_use]
    pub fn open(&self) -> usize {
        self.wires.iter().filter(|wire| wire.ways.iter().all(|way| way.closed.is_none())).count()
    }

    /// How many connections an engine has asked for or was given, and has neither given up nor been told the end of.
    #[must_use]
    pub fn held(&self, entity: EntityId) -> usize {
        self.held.iter().filter(|(owner, _)| *owner == entity).count()
    }

    /// How many attempts to connect are not answered yet.
    #[must_use]
    pub fn dialling(&self) -> usize {
        self.dials.len()
    }

    /// How many connections have not got through SOCKS5.
    #[must_use]
    pub fn in_socks(&self) -> usize {
        let greets = |end: &End| match end {
            End::Listener(..) => true,
            End::Proxy { asked, .. } => asked.is_none(),
            End::Engine(..) | End::Visitor { .. } | End::Gone => false,
        };
        self.wires.iter().filter(|wire| wire.ends.iter().any(greets)).count()
    }

    /// Bytes that went by connections.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.seen.len()
    }

    /// All of them, as somebody on the way sees them.
    #[must_use]
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// The places that an entity has dialled.
    #[must_use]
    pub fn dialled(&self, entity: EntityId) -> Vec<(&str, u16)> {
        self.dialled.iter().filter(|(who, ..)| *who == entity).map(|(_, host, port)| (host.as_str(), *port)).collect()
    }

    /// The connection that an entity was told to make last, if it has made any.
    #[must_use]
    pub fn last_of(&self, entity: EntityId) -> Option<ConnectionId> {
        let dials = self.dials.iter().map(|dial| (dial.entity, dial.id));
        let made = self.wires.iter().flat_map(|wire| &wire.ends).filter_map(|end| match end {
            End::Engine(owner, id) => Some((*owner, *id)),
            End::Listener(..) | End::Proxy { .. } | End::Visitor { .. } | End::Gone => None,
        });
        made.chain(dials).rfind(|(owner, _)| *owner == entity).map(|(_, id)| id)
    }

    /// Somebody connects to a place, asks for this by SOCKS5, or for nothing, and then says that.
    ///
    /// # Panics
    ///
    /// When nobody is there.
    pub fn visit(&mut self, world: &World, host: &str, port: u16, asks: Option<DstAddr>, says: &[u8]) -> Visit {
        let end = self.server(host, port).expect("somebody is there");
        let visitor =
            End::Visitor { client: asks.map(Client::new), says: says.to_vec(), heard: Vec::new(), connected: false };
        self.wires.push(Wire { ends: [visitor, end], ways: Default::default(), since: world.now() + 2 * self.latency });
        Visit(self.wires.len() - 1)
    }

    /// What a visitor has heard since SOCKS5 succeeded, and nothing if it did not.
    #[must_use]
    pub fn heard(&self, visit: Visit) -> &[u8] {
        if let End::Visitor { heard, .. } = &self.wires[visit.0].ends[0] { heard } else { &[] }
    }

    /// Whether SOCKS5 has succeeded for a visitor.
    #[must_use]
    pub fn is_admitted(&self, visit: Visit) -> bool {
        matches!(&self.wires[visit.0].ends[0], End::Visitor { connected: true, .. })
    }

    /// Lets things happen for this long, in the world too.
    pub fn run_for(&mut self, world: &mut World, duration: Duration) {
        let until = world.now() + duration;
        while self.step(world, until) {}
    }

    /// Goes on to the next moment at which anything can happen, but not beyond this one, and tells whether there was any.
    pub fn step(&mut self, world: &mut World, until: Instant) -> bool {
        while self.turn(world) {}
        let next = [world.next(), self.next(world.now())].into_iter().flatten().min().filter(|next| *next <= until);
        world.run_for(next.unwrap_or(until).saturating_duration_since(world.now()));
        while self.turn(world) {}
        next.is_some()
    }

    /// When a piece arrives next, or anything else happens.
    fn next(&self, now: Instant) -> Option<Instant> {
        let dials = self.dials.iter().filter_map(|dial| dial.at);
        let wires = self.wires.iter().flat_map(Wire::next);
        dials.chain(wires).filter(|at| *at > now).min()
    }

    /// One look at everything. Whether anything happened.
    fn turn(&mut self, world: &mut World) -> bool {
        world.collect();
        let mut happened = false;
        let entities: Vec<_> = world.ids().collect();
        for entity in entities {
            for event in world.client_mut(entity).take_connections() {
                happened = true;
                if let Event::Connect { id, host, port } = event {
                    self.dial(world.now(), entity, id, host.as_str(), port);
                } else if let Event::Abandon { id } = event {
                    self.abandon(world.now(), entity, id);
                }
            }
        }
        happened |= self.connect(world);
        for proxy in 0..self.proxies.len() {
            happened |= self.activate(world, proxy);
        }
        for wire in 0..self.wires.len() {
            for end in 0..2 {
                happened |= self.send(world, wire, end);
                happened |= self.receive(world, wire, end);
            }
        }
        happened
    }

    /// What answers at a place.
    fn server(&self, host: &str, port: u16) -> Option<End> {
        if let Some(entity) = self.listeners.get(&(host.to_owned(), port)) {
            return Some(End::Listener(*entity, Acceptor::new()));
        }
        let proxy = self.proxies.iter().position(|proxy| proxy.host == host && proxy.port == port)?;
        Some(End::Proxy { proxy, acceptor: Acceptor::new(), asked: None, with: None, carried: 0, hoard: Vec::new() })
    }

    fn dial(&mut self, now: Instant, entity: EntityId, id: ConnectionId, host: &str, port: u16) {
        assert!(self.held.insert((entity, id)), "a connection is asked for once: {id:?}");
        self.dialled.push((entity, host.to_owned(), port));
        let is_blocked = self.blocked.contains(&(entity, host.to_owned()));
        let to = self.server(host, port).filter(|_| !is_blocked);
        let is_lost = matches!(&to, Some(End::Listener(owner, _)) if self.behind_nat.contains(owner));
        let at = (!is_lost).then(|| now + 2 * self.latency);
        self.dials.push(Dial { entity, id, at, to });
    }

    /// Those who dialled hear whether somebody is there.
    fn connect(&mut self, world: &mut World) -> bool {
        let now = world.now();
        let is_due = |dial: &mut Dial| dial.at.is_some_and(|at| at <= now);
        let due: Vec<_> = self.dials.extract_if(.., is_due).collect();
        let happened = !due.is_empty();
        for Dial { entity, id, to, .. } in due {
            match to {
                Some(end) => {
                    let ends = [End::Engine(entity, id), end];
                    self.wires.push(Wire { ends, ways: Default::default(), since: now });
                    world.with(entity, |engine, now| engine.connected(now, id));
                }
                None => {
                    self.held.remove(&(entity, id));
                    world.with(entity, |engine, now| engine.connection_failed(now, id));
                }
            }
        }
        happened
    }

    fn abandon(&mut self, now: Instant, entity: EntityId, id: ConnectionId) {
        assert!(self.abandoned.insert((entity, id)), "a connection is given up once: {id:?}");
        self.held.remove(&(entity, id));
        self.dials.retain(|dial| dial.entity != entity || dial.id != id);
        for wire in 0..self.wires.len() {
            for end in 0..2 {
                if matches!(&self.wires[wire].ends[end], End::Engine(owner, own) if *owner == entity && *own == id) {
                    self.hang_up(now, wire, end);
                }
            }
        }
    }

    fn hang_up(&mut self, now: Instant, wire: usize, end: usize) {
        self.wires[wire].ends[end] = End::Gone;
        self.wires[wire].ways[1 - end].closed.get_or_insert(now + self.latency);
    }
}
