//! What the lines of a trace come to: lifelines, and what happens on and between them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use xtls_stanza::ns;

use super::MAX_LIFELINES;
use super::phase::{Phase, Phases};
use crate::line::{Direction, Line, What};
use crate::stanza::Stanza;

/// A trace as a picture needs it. Lines are known by their place in `lines`.
#[derive(Debug)]
pub(super) struct Story<'a> {
    /// By time.
    pub(super) lines: Vec<&'a Line>,
    pub(super) lifelines: Vec<Lifeline<'a>>,
    /// In the order of their first lines.
    pub(super) items: Vec<Item>,
    /// From which line on which lifeline is in which phase, or in none.
    pub(super) bars: Vec<(usize, usize, Option<Phase>)>,
}

/// An entity, or a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lifeline<'a> {
    /// None for all those that there is no room for.
    pub(super) name: Option<&'a str>,
    /// Nothing but faults is known of it.
    pub(super) server: bool,
}

/// Something in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The line where it begins, and says what it is.
    pub(super) start: usize,
    /// The line where it arrives.
    pub(super) end: Option<usize>,
    pub(super) phase: Phase,
    pub(super) shape: Shape,
    /// What it is in a run, if it can be in one.
    pub(super) part: Option<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Arrow { from: usize, to: usize, fate: Fate },
    Mark { at: usize, sort: Sort },
    Run(Run),
}

/// What became of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Arrived,
    /// It did not arrive, as far as the trace goes.
    Lost,
    /// It came, and whom it names did not send it.
    Forged,
    /// The other end has no lines of its own.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Event,
    Fault,
    Op,
    Connection,
    Failure,
    /// A stanza without an arrow: it has no addressee, came from your server, or went to its sender.
    Alone(Direction),
}

/// What an item is in a run of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A block of a bytestream, or bytes of a link: how many.
    Block(u64),
    Answer,
    /// An event that comes with data.
    Event,
}

/// A long run of data, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// From the one to the other: blocks, and their bytes; and back.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) blocks: [u64; 2],
    pub(super) bytes: [u64; 2],
    pub(super) answers: u64,
    /// Arrows and marks in it.
    pub(super) arrows: u64,
    pub(super) marks: u64,
    /// The last line of it.
    pub(super) last: usize,
}

/// Who sent which stanza to whom, as far as servers leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    from: &'a str,
    /// Without the resource, which a server may add.
    to: &'a str,
    name: &'a str,
    id: Option<&'a str>,
    kind: Option<&'a str>,
    payload: Option<(&'a str, &'a str)>,
    action: Option<&'a str>,
    seq: Option<u16>,
}

/// What is on its way.
#[derive(Debug, Default)]
struct Way<'a> {
    /// The items that were sent, and have not arrived.
    stanzas: HashMap<Key<'a>, VecDeque<usize>>,
    /// What went to everybody, or to every resource of an account.
    wide: HashSet<Key<'a>>,
    /// By sender and addressee.
    streams: HashMap<(&'a str, &'a str), Stream>,
    /// The ids of blocks: sender, addressee, id.
    blocks: HashSet<(&'a str, &'a str, &'a str)>,
}

/// The bytes of one direction of a link.
#[derive(Debug, Default)]
struct Stream {
    sent: u64,
    arrived: u64,
    /// Where what was sent ends, and its item.
    on_the_way: VecDeque<(u64, usize)>,
}

impl<'a> Story<'a> {
    pub(super) fn of(lines: &'a [Line]) -> Self {
        let mut by_time: Vec<&Line> = lines.iter().collect();
        by_time.sort_by_key(|line| line.ms);
        let entities = entities(&by_time);
        let mut story = Teller { entities, way: Way::default(), items: Vec::new(), bars: Vec::new() };
        let mut phases = Phases::default();
        for (at, line) in by_time.iter().enumerate() {
            let step = phases.follow(line);
            if let Some(phase) = step.change {
                story.bars.push((at, story.entities.place(&line.own), phase));
            }
            story.tell(at, line, step.phase);
        }
        let Teller { entities, items, bars, .. } = story;
        Self { lines: by_time, lifelines: entities.lifelines, items, bars }
    }
}

/// Who has which lifeline, and whose own lines are there.
struct Entities<'a> {
    lifelines: Vec<Lifeline<'a>>,
    places: BTreeMap<&'a str, usize>,
    traced: BTreeSet<&'a str>,
}

/// Entities in the order of their first lines; servers of which only faults are known in the middle.
fn entities<'a>(lines: &[&'a Line]) -> Entities<'a> {
    let traced: BTreeSet<&str> =
        lines.iter().filter(|line| !matches!(line.what, What::Fault(_))).map(|line| line.own.as_str()).collect();
    let (mut seen, mut ends, mut servers) = (BTreeSet::new(), Vec::new(), Vec::new());
    for line in lines {
        let peer = if let What::Stanza { .. } | What::Bytes { .. } = &line.what { line.peer.as_deref() } else { None };
        let sent = matches!(line.what, What::Stanza { direction: Direction::Out, .. });
        let peer = peer.filter(|peer| !sent || !is_wide(peer, &traced));
        for name in [Some(line.own.as_str()), peer].into_iter().flatten() {
            if seen.insert(name) {
                let server = name == line.own && !traced.contains(name);
                if server { servers.push(name) } else { ends.push(name) }
            }
        }
    }
    let middle = ends.len().min(MAX_LIFELINES).div_ceil(2);
    let after = ends.split_off(middle);
    let names = ends.iter().map(|name| (*name, false)).chain(servers.iter().map(|name| (*name, true)));
    let names: Vec<(&str, bool)> = names.chain(after.iter().map(|name| (*name, false))).collect();
    let places = names.iter().enumerate().map(|(at, (name, _))| (*name, at.min(MAX_LIFELINES))).collect();
    let room = names.iter().take(MAX_LIFELINES).map(|(name, server)| Lifeline { name: Some(name), server: *server });
    let mut lifelines: Vec<Lifeline<'_>> = room.collect();
    if names.len() > MAX_LIFELINES {
        lifelines.push(Lifeline { name: None, server: false });
    }
    Entities { lifelines, places, traced }
}

impl Entities<'_> {
    fn place(&self, name: &str) -> usize {
        self.places.get(name).copied().unwrap_or_default()
    }
}

/// An account whose resources have the lines.
fn is_wide(peer: &str, traced: &BTreeSet<&str>) -> bool {
    !peer.contains('/')
        && !traced.contains(peer)
        && traced.iter().any(|own| own.strip_prefix(peer).is_some_and(|rest| rest.starts_with('/')))
}

/// Makes items of lines.
struct Teller<'a> {
    entities: Entities<'a>,
    way: Way<'a>,
    items: Vec<Item>,
    bars: Vec<(usize, usize, Option<Phase>)>,
}

impl<'a> Teller<'a> {
    fn tell(&mut self, at: usize, line: &'a Line, phase: Phase) {
        let own = line.own.as_str();
        match (&line.what, line.peer.as_deref()) {
            (What::Stanza { direction: Direction::Out, stanza, .. }, Some(peer)) => {
                self.sent(at, (own, peer), stanza, phase);
            }
            (What::Stanza { direction: Direction::In, stanza, .. }, Some(peer)) => {
                self.came(at, (peer, own), stanza, phase);
            }
            (What::Bytes { direction, bytes }, Some(peer)) => {
                self.bytes(at, (own, peer), *direction, *bytes, phase);
            }
            (What::Stanza { direction, stanza, .. }, None) => {
                if *direction == Direction::Out {
                    self.way.wide.insert(Key::of(own, "", stanza));
                }
                self.mark(at, own, Sort::Alone(*direction), phase);
            }
            (What::Bytes { direction, .. }, None) => self.mark(at, own, Sort::Alone(*direction), phase),
            (What::Event { event, .. }, _) => {
                self.mark(at, own, Sort::Event, phase);
                if let ("readable" | "writable", Some(item)) = (event.as_ref(), self.items.last_mut()) {
                    item.part = Some(Part::Event);
                }
            }
            (What::Fault(_), _) => self.mark(at, own, Sort::Fault, phase),
            (What::Op(_), _) => self.mark(at, own, Sort::Op, phase),
            (What::Connection(_), _) => self.mark(at, own, Sort::Connection, phase),
            (What::Failure(_), _) => self.mark(at, own, Sort::Failure, phase),
            (What::Other, _) => self.mark(at, own, Sort::Event, phase),
        }
    }

    fn mark(&mut self, at: usize, own: &str, sort: Sort, phase: Phase) {
        let shape = Shape::Mark { at: self.entities.place(own), sort };
        self.items.push(Item { start: at, end: None, phase, shape, part: None });
    }

    fn arrow(&mut self, at: usize, ends: (&str, &str), fate: Fate, phase: Phase, part: Option<Part>) {
        let [from, to] = [ends.0, ends.1].map(|end| self.entities.place(end));
        let shape = Shape::Arrow { from, to, fate };
        self.items.push(Item { start: at, end: None, phase, shape, part });
    }

    fn sent(&mut self, at: usize, ends: (&'a str, &'a str), stanza: &'a Stanza, phase: Phase) {
        let (from, to) = ends;
        let key = Key::of(from, bare(to), stanza);
        if is_wide(to, &self.entities.traced) {
            self.way.wide.insert(key);
            return self.mark(at, from, Sort::Alone(Direction::Out), phase);
        }
        let part = self.way.part(ends, stanza);
        if from == to || self.entities.place(from) == self.entities.place(to) {
            self.mark(at, from, Sort::Alone(Direction::Out), phase);
        } else {
            let fate = if self.entities.traced.contains(to) { Fate::Lost } else { Fate::Unknown };
            self.arrow(at, ends, fate, phase, part);
        }
        self.way.stanzas.entry(key).or_default().push_back(self.items.len() - 1);
    }

    fn came(&mut self, at: usize, ends: (&'a str, &'a str), stanza: &'a Stanza, phase: Phase) {
        let (from, to) = ends;
        let key = Key::of(from, bare(to), stanza);
        if let Some(item) = self.way.stanzas.get_mut(&key).and_then(VecDeque::pop_front) {
            return self.arrive(item, at);
        }
        let wide = self.way.wide.contains(&key) || self.way.wide.contains(&Key { to: "", ..key });
        let fate = match (wide, self.entities.traced.contains(from)) {
            (true, _) => Fate::Arrived,
            (false, true) => Fate::Forged,
            (false, false) => Fate::Unknown,
        };
        if self.entities.place(from) == self.entities.place(to) {
            return self.mark(at, to, Sort::Alone(Direction::In), phase);
        }
        let part = self.way.part(ends, stanza);
        self.arrow(at, ends, fate, phase, part);
    }

    /// Bytes have no names: what was sent has arrived when as many bytes have come.
    fn bytes(&mut self, at: usize, (own, peer): (&'a str, &'a str), way: Direction, bytes: u64, phase: Phase) {
        let alone = !self.entities.traced.contains(peer);
        let ends = if way == Direction::Out { (own, peer) } else { (peer, own) };
        if self.entities.place(own) == self.entities.place(peer) {
            return self.mark(at, own, Sort::Alone(way), phase);
        }
        if alone {
            return self.arrow(at, ends, Fate::Unknown, phase, Some(Part::Block(bytes)));
        }
        let stream = self.way.streams.entry(ends).or_default();
        if way == Direction::Out {
            stream.sent = stream.sent.saturating_add(bytes);
            stream.on_the_way.push_back((stream.sent, self.items.len()));
            return self.arrow(at, ends, Fate::Lost, phase, Some(Part::Block(bytes)));
        }
        stream.arrived = stream.arrived.saturating_add(bytes);
        let (arrived, too_many) = (stream.arrived, stream.arrived > stream.sent);
        // What is too much now does not count again.
        stream.arrived = stream.arrived.min(stream.sent);
        let mut whole = Vec::new();
        while let Some((_, item)) = stream.on_the_way.front().copied().filter(|(end, _)| *end <= arrived) {
            stream.on_the_way.pop_front();
            whole.push(item);
        }
        whole.into_iter().for_each(|item| self.arrive(item, at));
        if too_many {
            self.arrow(at, ends, Fate::Forged, phase, None);
        }
    }

    fn arrive(&mut self, item: usize, at: usize) {
        let Some(item) = self.items.get_mut(item) else { return };
        item.end = Some(at);
        if let Shape::Arrow { fate, .. } = &mut item.shape {
            *fate = Fate::Arrived;
        }
    }
}

impl<'a> Way<'a> {
    /// What a stanza is in a run of data.
    fn part(&mut self, (from, to): (&'a str, &'a str), stanza: &'a Stanza) -> Option<Part> {
        let id = stanza.id.as_deref()?;
        if stanza.payload.as_deref() == Some("data") && stanza.namespace.as_deref() == Some(ns::IBB) {
            self.blocks.insert((from, to, id));
            return Some(Part::Block(stanza.block.unwrap_or_default()));
        }
        let answers = stanza.payload.is_none() && stanza.kind.as_deref() == Some("result");
        (answers && self.blocks.contains(&(to, from, id))).then_some(Part::Answer)
    }
}

impl<'a> Key<'a> {
    fn of(from: &'a str, to: &'a str, stanza: &'a Stanza) -> Self {
        let payload = stanza.payload.as_deref().zip(stanza.namespace.as_deref());
        Self {
            from,
            to,
            name: &stanza.name,
            id: stanza.id.as_deref(),
            kind: stanza.kind.as_deref(),
            payload,
            action: stanza.action.as_deref(),
            seq: stanza.seq,
        }
    }
}

fn bare(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}
