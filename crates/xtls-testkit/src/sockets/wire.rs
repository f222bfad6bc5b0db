//! One connection, and what passes by it.

use core::time::Duration;
use std::{collections::VecDeque, time::Instant};

use xtls::{ConnectionId, transports::DstAddr};
use xtls_s5b::socks::{Acceptor, Client};

use super::Sockets;
use crate::{EntityId, World};

/// An attempt to connect.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) entity: EntityId,
    pub(super) id: ConnectionId,
    /// When it is answered, if it is.
    pub(super) at: Option<Instant>,
    /// Who is there; if nobody, it is refused.
    pub(super) to: Option<End>,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) ends: [End; 2],
    /// What is on its way to each end.
    pub(super) ways: [Way; 2],
    /// When it was made.
    pub(super) since: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Way {
    /// Packets, and when each is there.
    packets: VecDeque<(Instant, Vec<u8>)>,
    /// When all that was sent has left.
    free: Option<Instant>,
    /// The other end has closed, and when that is seen.
    pub(super) closed: Option<Instant>,
    seen: bool,
    /// Nothing gets through, and nobody is told.
    pub(super) is_dead: bool,
}

#[derive(Debug)]
pub(super) enum End {
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
    /// Somebody without an engine.
    Visitor {
        client: Option<Client>,
        says: Vec<u8>,
        heard: Vec<u8>,
        connected: bool,
    },
    Gone,
}

/// Bytes on their way, as many as the buffers of two sockets hold.
const BUFFERS: usize = 256 * 1024;
/// Bytes of a packet.
const PACKET: usize = 1400;

impl Way {
    /// The end comes at once, and what was on its way does not.
    pub(super) fn break_off(&mut self, now: Instant) {
        self.packets.clear();
        self.is_dead = false;
        self.closed = Some(self.closed.map_or(now, |at| at.min(now)));
    }

    /// Whether more can be sent.
    fn has_room(&self, now: Instant) -> bool {
        let waiting: usize = self.packets.iter().map(|(_, packet)| packet.len()).sum();
        waiting < BUFFERS && self.free.is_none_or(|at| at <= now)
    }

    fn put(&mut self, now: Instant, latency: Duration, bandwidth: Option<u64>, bytes: Vec<u8>) {
        if self.closed.is_some() || self.is_dead {
            return;
        }
        let Some(bandwidth) = bandwidth else { return self.packets.push_back((now + latency, bytes)) };
        let mut left = now;
        for packet in packets(&bytes) {
            let nanos = u128::try_from(packet.len()).unwrap_or(u128::MAX) * 1_000_000_000 / u128::from(bandwidth);
            left += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.packets.push_back((left + latency, packet.to_vec()));
        }
        self.free = Some(left);
    }
}

impl Wire {
    /// The moments at which something can be done.
    pub(super) fn next(&self) -> impl Iterator<Item = Instant> {
        let moments = self.ways.iter().filter(|way| !way.is_dead).flat_map(|way| {
            let first = way.packets.front().map(|(at, _)| *at);
            [first, way.closed.filter(|_| !way.seen), way.free]
        });
        moments.flatten().chain([self.since])
    }
}

impl Sockets {
    /// What an end has to send goes on its way.
    pub(super) fn send(&mut self, world: &mut World, wire: usize, end: usize) -> bool {
        let now = world.now();
        if self.wires[wire].since > now || !self.wires[wire].ways[1 - end].has_room(now) {
            return false;
        }
        let mut out = Vec::new();
        match &mut self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                world.with(entity, |engine, now| engine.poll_connection(now, id, &mut out));
            }
            End::Listener(_, acceptor) | End::Proxy { acceptor, .. } => {
                acceptor.poll(&mut out);
            }
            End::Visitor { client: Some(client), connected: false, .. } => {
                client.poll(&mut out);
            }
            End::Visitor { says, .. } => out.append(says),
            End::Gone => {}
        }
        let happened = !out.is_empty();
        self.put(now, wire, 1 - end, out);
        happened
    }

    pub(super) fn put(&mut self, now: Instant, wire: usize, end: usize, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.seen.extend_from_slice(&bytes);
            self.wires[wire].ways[end].put(now, self.latency, self.bandwidth, bytes);
        }
    }

    /// What has come to an end is taken there.
    pub(super) fn receive(&mut self, world: &mut World, wire: usize, end: usize) -> bool {
        let now = world.now();
        let way = &mut self.wires[wire].ways[end];
        if way.is_dead {
            return false;
        }
        if way.packets.front().is_none_or(|(at, _)| *at > now) {
            let is_over = way.packets.is_empty() && way.closed.is_some_and(|at| at <= now) && !way.seen;
            if is_over {
                way.seen = true;
                self.ended(world, wire, end);
            }
            return is_over;
        }
        let wants = match &self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                world.with(entity, |engine, _| engine.wants_bytes(id))
            }
            End::Proxy { with: Some(other), .. } => self.carries_on(*other, now),
            End::Listener(..) | End::Proxy { .. } | End::Visitor { .. } | End::Gone => true,
        };
        if !wants {
            return false;
        }
        let hoards = self.hoards(wire, end);
        let packets = &mut self.wires[wire].ways[end].packets;
        let (_, mut bytes) = packets.pop_front().expect("it is due");
        while hoards && packets.front().is_some_and(|(at, _)| *at <= now) {
            bytes.extend(packets.pop_front().expect("it is due").1);
        }
        self.take(world, wire, end, &bytes);
        true
    }

    /// Whether a proxy can pass bytes on by a wire.
    fn carries_on(&self, wire: usize, now: Instant) -> bool {
        let far = self.far_from_proxy(wire);
        self.wires[wire].ways[far].has_room(now)
    }

    fn take(&mut self, world: &mut World, wire: usize, end: usize, bytes: &[u8]) {
        match &mut self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                world.with(entity, |engine, now| engine.handle_connection_bytes(now, id, bytes));
            }
            End::Listener(..) => self.listen_to(world, wire, end, bytes),
            End::Proxy { .. } => self.serve(world.now(), wire, end, bytes),
            End::Visitor { client: Some(client), connected, heard, .. } if !*connected => {
                match client.handle_bytes(bytes) {
                    Ok(taken) => {
                        *connected = client.is_connected();
                        heard.extend_from_slice(&bytes[taken..]);
                    }
                    Err(_) => self.hang_up(world.now(), wire, end),
                }
            }
            End::Visitor { heard, .. } => heard.extend_from_slice(bytes),
            End::Gone => {}
        }
    }

    /// A listener takes bytes.
    fn listen_to(&mut self, world: &mut World, wire: usize, end: usize, bytes: &[u8]) {
        let now = world.now();
        let End::Listener(entity, acceptor) = &mut self.wires[wire].ends[end] else { return };
        let entity = *entity;
        let is_sound = acceptor.handle_bytes(bytes).is_ok();
        if !is_sound {
            return self.hang_up(now, wire, end);
        }
        let Some(dst_addr) = acceptor.asked() else { return };
        let Some(id) = world.with(entity, |engine, now| engine.claim_connection(now, &dst_addr)) else {
            return self.hang_up(now, wire, end);
        };
        assert!(self.held.insert((entity, id)), "a connection is given once: {id:?}");
        acceptor.accept().expect("it has asked");
        let mut reply = Vec::new();
        acceptor.poll(&mut reply);
        self.put(now, wire, 1 - end, reply);
        self.wires[wire].ends[end] = End::Engine(entity, id);
    }

    /// The other end has closed.
    fn ended(&mut self, world: &mut World, wire: usize, end: usize) {
        let now = world.now();
        match &self.wires[wire].ends[end] {
            End::Engine(entity, id) => {
                let (entity, id) = (*entity, *id);
                self.held.remove(&(entity, id));
                world.with(entity, |engine, now| engine.connection_ended(now, id));
            }
            // Proxies cut both directions.
            End::Proxy { with: Some(other), .. } => {
                let other = *other;
                let at = 1 - self.far_from_proxy(other);
                self.hang_up(now, other, at);
            }
            End::Visitor { .. } => {
                // What it has heard is asked for later.
                self.wires[wire].ways[1 - end].closed.get_or_insert(now + self.latency);
                return;
            }
            End::Proxy { .. } | End::Listener(..) | End::Gone => {}
        }
        self.hang_up(now, wire, end);
    }
}

/// Cuts bytes into packets, none of which has bytes of two TLS records.
fn packets(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let record = match bytes {
            [20..=23, 3, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => bytes.len(),
        };
        let (record, rest) = bytes.split_at(record.min(bytes.len()));
        packets.extend(record.chunks(PACKET));
        bytes = rest;
    }
    packets
}
