//! The connections of a simulated world: listeners, hosts behind a NAT, and SOCKS5 proxies that do their duty or do not.

#![allow(clippy::wildcard_enum_match_arm, reason = "what is of no interest here is left alone")]

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use xtls::{ConnectionId, Event, transports::DstAddr};
use xtls_s5b::socks::Acceptor;
use xtls_stanza::{Element, Iq, IqType, Limits, jid::FullJid};

use crate::{EntityId, World, world::EntityOptions};

/// The connections between the entities of a [`World`]. It has hosts by name: an entity that [listens](Self::listen), or a
/// [proxy](Self::proxy).
#[derive(Debug)]
pub struct Sockets {
    latency: Duration,
    listeners: BTreeMap<(String, u16), EntityId>,
    proxies: Vec<Proxy>,
    /// Who does not get where.
    blocked: BTreeSet<(EntityId, String)>,
    wires: Vec<Wire>,
    /// Bytes that one end has sent, of all wires.
    carried: usize,
}

/// How a proxy does its duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// It carries what it is given.
    Honest,
    /// It changes a bit of what it carries, after so many bytes.
    Changes(usize),
    /// Of more than so many bytes at once it keeps as many back until more comes, as that of Prosody 0.12 does.
    Hoards(usize),
    /// It says that it has connected both, and carries nothing.
    Stalls,
    /// It does not connect anybody.
    Refuses,
    /// It does not answer.
    Silent,
    /// It connects whoever came last in place of the requester.
    Replaces,
}

#[derive(Debug)]
struct Proxy {
    host: String,
    port: u16,
    entity: EntityId,
    conduct: Conduct,
}

#[derive(Debug)]
struct Wire {
    ends: [End; 2],
    /// What is on its way to each end, and when it is there.
    ways: [Way; 2],
}

#[derive(Debug, Default)]
struct Way {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// The other end has closed, and when that is seen.
    closed: Option<Instant>,
    seen: bool,
}

#[derive(Debug)]
enum End {
    /// A tunnel has it.
    Engine(EntityId, ConnectionId),
    /// It came to a listener, and SOCKS5 is not through.
    Listener(EntityId, Acceptor),
    /// It came to the proxy of this number; the wire that it is connected with, and how much was carried.
    Proxy {
        proxy: usize,
        acceptor: Acceptor,
        asked: Option<DstAddr>,
        with: Option<usize>,
        carried: usize,
        hoard: Vec<u8>,
    },
    Gone,
}

impl Sockets {
    /// Connections that take this long for each way.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self {
            latency,
            listeners: BTreeMap::new(),
            proxies: Vec::new(),
            blocked: BTreeSet::new(),
            wires: Vec::new(),
            carried: 0,
        }
    }

    /// An entity listens at this place.
    pub fn listen(&mut self, entity: EntityId, host: &str, port: u16) {
        self.listeners.insert((host.to_owned(), port), entity);
    }

    /// A proxy is at this place, and is an entity of the world by this address.
    pub fn proxy(&mut self, world: &mut World, jid: &str, host: &str, port: u16, conduct: Conduct) {
        let entity = world.add(jid, EntityOptions::seeded(200));
        self.proxies.push(Proxy { host: host.to_owned(), port, entity, conduct });
    }

    /// An entity does not get to a host.
    pub fn block(&mut self, entity: EntityId, host: &str) {
        self.blocked.insert((entity, host.to_owned()));
    }

    /// Cuts every connection.
    pub fn cut(&mut self, world: &World) {
        for wire in &mut self.wires {
            for way in &mut wire.ways {
                way.pieces.clear();
                way.closed.get_or_insert_with(|| world.now());
            }
        }
    }

    /// How many connections are open at both ends.
    #[must_use]
    pub fn open(&self) -> usize {
        self.wires.iter().filter(|wire| wire.ways.iter().all(|way| way.closed.is_none())).count()
    }

    /// Bytes that went by connections.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.carried
    }

    /// A stranger connects to a place and says this at once. What it hears is nobody's.
    pub fn intrude(&mut self, world: &World, host: &str, port: u16, bytes: &[u8]) {
        let Some(end) = self.server(host, port) else { return };
        let mut wire = Wire { ends: [End::Gone, end], ways: Default::default() };
        wire.ways[1].pieces.push_back((world.now() + self.latency, bytes.to_vec()));
        self.wires.push(wire);
    }

    /// Lets things happen for this long, in the world too.
    pub fn run_for(&mut self, world: &mut World, duration: Duration) {
        let until = world.now() + duration;
        let tick = self.latency.max(Duration::from_millis(1));
        while world.now() < until {
            while self.turn(world) {}
            world.run_for(tick.min(until - world.now()));
        }
        while self.turn(world) {}
    }

    /// One look at everything. Whether anything happened.
    fn turn(&mut self, world: &mut World) -> bool {
        world.run();
        let mut happened = false;
        let entities: Vec<_> = world.ids().collect();
        for entity in entities {
            for event in world.client_mut(entity).take_connections() {
                happened = true;
                match event {
                    Event::Connect { id, host, port } => self.connect(world, entity, id, host.as_str(), port),
                    Event::Abandon { id } => self.close(world.now(), entity, id),
                    _ => {}
                }
            }
        }
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

    fn server(&self, host: &str, port: u16) -> Option<End> {
        if let Some(entity) = self.listeners.get(&(host.to_owned(), port)) {
            return Some(End::Listener(*entity, Acceptor::new()));
        }
        let proxy = self.proxies.iter().position(|proxy| proxy.host == host && proxy.port == port)?;
        Some(End::Proxy { proxy, acceptor: Acceptor::new(), asked: None, with: None, carried: 0, hoard: Vec::new() })
    }

    fn connect(&mut self, world: &mut World, entity: EntityId, id: ConnectionId, host: &str, port: u16) {
        let is_blocked = self.blocked.contains(&(entity, host.to_owned()));
        match self.server(host, port).filter(|_| !is_blocked) {
            Some(end) => {
                self.wires.push(Wire { ends: [End::Engine(entity, id), end], ways: Default::default() });
                world.with(entity, |engine, now| engine.connected(now, id));
            }
            None => world.with(entity, |engine, now| engine.connection_failed(now, id)),
        }
    }

    fn close(&mut self, now: Instant, entity: EntityId, id: ConnectionId) {
        let at = now + self.latency;
        for wire in &mut self.wires {
            for end in 0..2 {
                if matches!(&wire.ends[end], End::Engine(owner, own) if *owner == entity && *own == id) {
                    wire.ends[end] = End::Gone;
                    wire.ways[1 - end].closed.get_or_insert(at);
                }
            }
        }
    }

    /// What an end has to send goes on its way.
    fn send(&mut self, world: &mut World, wire: usize, end: usize) -> bool {
        let mut out = Vec::new();
        match &mut self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                world.with(entity, |engine, now| engine.poll_connection(now, id, &mut out));
            }
            End::Listener(_, acceptor) | End::Proxy { acceptor, .. } => {
                acceptor.poll(&mut out);
            }
            End::Gone => {}
        }
        let happened = !out.is_empty();
        self.put(world.now(), wire, 1 - end, out);
        happened
    }

    fn put(&mut self, now: Instant, wire: usize, end: usize, bytes: Vec<u8>) {
        if !bytes.is_empty() && self.wires[wire].ways[end].closed.is_none() {
            self.carried += bytes.len();
            self.wires[wire].ways[end].pieces.push_back((now + self.latency, bytes));
        }
    }

    /// What has come to an end is taken there.
    fn receive(&mut self, world: &mut World, wire: usize, end: usize) -> bool {
        let now = world.now();
        let way = &mut self.wires[wire].ways[end];
        let is_due = way.pieces.front().is_some_and(|(at, _)| *at <= now);
        if !is_due {
            let is_over = way.pieces.is_empty() && way.closed.is_some_and(|at| at <= now) && !way.seen;
            if is_over {
                way.seen = true;
                self.ended(world, wire, end);
            }
            return is_over;
        }
        if let End::Engine(entity, id) = &self.wires[wire].ends[end] {
            let (entity, id) = (*entity, *id);
            if !world.with(entity, |engine, _| engine.wants_bytes(id)) {
                return false;
            }
            let (_, bytes) = self.wires[wire].ways[end].pieces.pop_front().expect("it is due");
            world.with(entity, |engine, now| engine.handle_connection_bytes(now, id, &bytes));
            return true;
        }
        let (_, bytes) = self.wires[wire].ways[end].pieces.pop_front().expect("it is due");
        self.serve(world, wire, end, &bytes);
        true
    }

    /// A listener or a proxy takes bytes.
    fn serve(&mut self, world: &mut World, wire: usize, end: usize, bytes: &[u8]) {
        let now = world.now();
        match &mut self.wires[wire].ends[end] {
            End::Listener(entity, acceptor) => {
                let entity = *entity;
                if acceptor.handle_bytes(bytes).is_err() {
                    return self.hang_up(now, wire, end);
                }
                let Some(dst_addr) = acceptor.asked() else { return };
                match world.with(entity, |engine, now| engine.claim_connection(now, &dst_addr)) {
                    Some(id) => {
                        let End::Listener(_, acceptor) = &mut self.wires[wire].ends[end] else { return };
                        acceptor.accept().expect("it has asked");
                        let mut reply = Vec::new();
                        acceptor.poll(&mut reply);
                        self.put(now, wire, 1 - end, reply);
                        self.wires[wire].ends[end] = End::Engine(entity, id);
                    }
                    None => self.hang_up(now, wire, end),
                }
            }
            End::Proxy { with: Some(other), proxy, carried, hoard, .. } => {
                let (other, proxy, before) = (*other, *proxy, *carried);
                *carried += bytes.len();
                let mut bytes = bytes.to_vec();
                match self.proxies[proxy].conduct {
                    Conduct::Stalls => return,
                    Conduct::Hoards(most) => {
                        hoard.extend_from_slice(&bytes);
                        // What comes after a piece that was kept back sends that on.
                        let keep = hoard.len().saturating_sub(most).min(most);
                        bytes = hoard.drain(..hoard.len() - keep).collect();
                    }
                    Conduct::Changes(at) if (before..before + bytes.len()).contains(&at) => bytes[at - before] ^= 1,
                    _ => {}
                }
                let far = usize::from(matches!(self.wires[other].ends[0], End::Engine(..) | End::Gone));
                self.put(now, other, 1 - far, bytes);
            }
            End::Proxy { acceptor, asked, .. } => {
                if acceptor.handle_bytes(bytes).is_err() {
                    return self.hang_up(now, wire, end);
                }
                if let Some(dst_addr) = acceptor.asked() {
                    *asked = Some(dst_addr);
                    acceptor.accept().expect("it has asked");
                }
            }
            End::Engine(..) | End::Gone => {}
        }
    }

    fn hang_up(&mut self, now: Instant, wire: usize, end: usize) {
        self.wires[wire].ends[end] = End::Gone;
        self.wires[wire].ways[1 - end].closed.get_or_insert(now + self.latency);
    }

    /// The other end has closed.
    fn ended(&mut self, world: &mut World, wire: usize, end: usize) {
        let now = world.now();
        match &self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                world.with(entity, |engine, now| engine.connection_ended(now, id));
            }
            // Proxies cut both directions.
            End::Proxy { with, .. } => {
                if let Some(other) = *with {
                    let far = usize::from(matches!(self.wires[other].ends[0], End::Engine(..) | End::Gone));
                    self.hang_up(now, other, far);
                }
            }
            End::Listener(..) | End::Gone => {}
        }
        self.hang_up(now, wire, end);
    }

    /// Answers requests to activate.
    fn activate(&mut self, world: &mut World, proxy: usize) -> bool {
        let Proxy { entity, conduct, .. } = self.proxies[proxy];
        let others = world.take_others(entity);
        let happened = !others.is_empty();
        for (_, stanza) in others {
            let Ok(element) = Element::parse(&stanza, &Limits::default()) else { continue };
            let Some(Ok(iq)) = Iq::parse(&element) else { continue };
            let (IqType::Set, Some(from), Some(query)) = (iq.iq_type, iq.from, iq.payload) else { continue };
            let activate = query.children().find(|child| child.name() == "activate").map(|child| child.text());
            let (Some(target), Some(sid)) = (activate, query.attribute("sid")) else { continue };
            let dst_addr = name(sid, from, &target);
            let waiting = dst_addr.map(|dst_addr| self.waiting(proxy, &dst_addr)).unwrap_or_default();
            let mut answer = String::new();
            match (conduct, waiting.as_slice()) {
                (Conduct::Silent, _) => continue,
                (Conduct::Replaces, [target, .., last]) => {
                    self.join(*target, *last);
                    Iq::write_result(&mut answer, iq.id, from, None);
                }
                (Conduct::Refuses, _) | (_, [] | [_]) => {
                    let error = xtls_stanza::StanzaError::from(xtls_stanza::Condition::NotAllowed);
                    Iq::write_error(&mut answer, iq.id, from, None, &error);
                }
                (_, [target, requester, ..]) => {
                    self.join(*target, *requester);
                    Iq::write_result(&mut answer, iq.id, from, None);
                }
            }
            world.client_mut(entity).say(answer);
        }
        happened
    }

    /// The wires at a proxy that ask for this, in the order in which they came.
    fn waiting(&self, proxy: usize, asked: &DstAddr) -> Vec<usize> {
        let is_it = |end: &End| match end {
            End::Proxy { proxy: at, asked: own, with: None, .. } => *at == proxy && *own == Some(*asked),
            _ => false,
        };
        (0..self.wires.len()).filter(|wire| self.wires[*wire].ends.iter().any(is_it)).collect()
    }

    fn join(&mut self, one: usize, other: usize) {
        for (wire, far) in [(one, other), (other, one)] {
            for end in &mut self.wires[wire].ends {
                if let End::Proxy { with, .. } = end {
                    *with = Some(far);
                }
            }
        }
    }
}

fn name(sid: &str, requester: &str, target: &str) -> Option<DstAddr> {
    let [requester, target] = [requester, target].map(|jid| jid.parse::<FullJid>().ok());
    Some(DstAddr::new(sid, &requester?.into(), &target?.into()))
}
