//! What the simulations share: pairs of engines, what went over the wire, and peers that a script plays.

pub mod ca;
pub mod password;
pub mod script;

use std::time::Duration;

use xtls::{
    Application, CloseReason, Closed, Deadline, Element, EndedBy, Event, Fault, Receipt, Timer, TrustPolicy, TunnelId,
    TunnelOptions,
    jingle::{BYTES_0_NS, Description},
};
use xtls_stanza::{Limits, ns};
use xtls_testkit::{EntityId, World};

pub const ROMEO: &str = "romeo@montague.lit/orchard";
pub const JULIET: &str = "juliet@capulet.lit/balcony";
pub const MALLORY: &str = "mallory@verona.lit/square";

pub const SECOND: Duration = Duration::from_secs(1);
pub const MILLI: Duration = Duration::from_millis(1);

pub fn xml(trust: TrustPolicy) -> TunnelOptions {
    TunnelOptions::xml_stream(trust)
}

pub fn raw(trust: TrustPolicy) -> TunnelOptions {
    TunnelOptions::new(Application::bytes(), trust)
}

/// Raw bytes under the description of the version before, as of a peer that shows no negotiation hash.
pub fn raw_without_hash(trust: TrustPolicy) -> TunnelOptions {
    let element = Element::builder("description", BYTES_0_NS).build().unwrap();
    TunnelOptions::new(Application::Bytes(Description::new(&element).unwrap()), trust)
}

/// Two entities with an open XML stream between them, and both ends' ids.
pub fn streaming(seed: u8) -> (World, [EntityId; 2], [TunnelId; 2]) {
    let (mut world, romeo, juliet) = World::pair(seed);
    let (here, there) = world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        assert!(world.take_events(id).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
    }
    (world, [romeo, juliet], [here, there])
}

/// Two entities with a raw-bytes tunnel between them, and both ends' ids.
pub fn piping(seed: u8) -> (World, [EntityId; 2], [TunnelId; 2]) {
    let (mut world, romeo, juliet) = World::pair(seed);
    let (here, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        assert!(matches!(&*world.take_events(id), [Event::Secured { security, .. }] if security.confirmed));
    }
    (world, [romeo, juliet], [here, there])
}

pub fn message(body: &str) -> Element {
    let message = Element::builder("message", ns::CLIENT).attribute("type", "chat");
    message.open("body", ns::CLIENT).text(body).close().build().unwrap()
}

pub fn element(stanza: &str) -> Element {
    Element::parse(stanza, &Limits::default()).unwrap()
}

pub fn send(world: &mut World, id: EntityId, tunnel: TunnelId, body: &str) -> Result<(), xtls::error::SendError> {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message(body)))
}

pub fn write(world: &mut World, id: EntityId, tunnel: TunnelId, bytes: &[u8]) -> usize {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().write(now, bytes)).unwrap()
}

pub fn read(world: &mut World, id: EntityId, tunnel: TunnelId) -> Vec<u8> {
    let mut out = Vec::new();
    world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.read(now, &mut out)));
    out
}

pub fn close(world: &mut World, id: EntityId, tunnel: TunnelId) {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
}

/// The engine's next deadline.
pub fn deadline(world: &mut World, id: EntityId) -> Option<Deadline> {
    world.with(id, |engine, _| engine.poll_timeout())
}

/// How long until then, and what for.
pub fn left(world: &mut World, id: EntityId) -> (Duration, Timer) {
    let next = deadline(world, id).unwrap();
    (next.at - world.now(), next.timer)
}

/// Offers an XML stream without a question before it.
pub fn initiate(world: &mut World, from: EntityId, to: EntityId) -> TunnelId {
    let peer = world.jid(to).clone();
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    world.with(from, |engine, now| engine.initiate(now, peer, options)).unwrap()
}

/// The bodies of the messages among events.
pub fn bodies(events: &[Event]) -> Vec<String> {
    let stanzas = events.iter().filter_map(|event| match event {
        Event::Stanza { stanza, .. } => Some(stanza),
        _ => None,
    });
    stanzas.map(|stanza| stanza.child("body", ns::CLIENT).unwrap().text()).collect()
}

/// The end among events: it is there once and comes last.
pub fn the_end(events: &[Event]) -> &Closed {
    let ends = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(ends, 1, "{events:?}");
    let Some(Event::Closed(closed)) = events.last() else { panic!("the end comes last: {events:?}") };
    closed
}

/// Takes an entity's events and gives the end among them.
pub fn closed(world: &mut World, id: EntityId) -> Ended {
    let events = world.take_events(id);
    let closed = the_end(&events);
    let fault = match &closed.reason {
        CloseReason::Fault(fault) => Some((**fault).clone()),
        _ => None,
    };
    let condition = match &closed.reason {
        CloseReason::Terminated(reason) => Some(reason.condition.to_string()),
        _ => None,
    };
    Ended {
        by: closed.by,
        done: matches!(closed.reason, CloseReason::Done),
        security: closed.reason.is_security(),
        fault,
        condition,
        truncated: closed.truncated,
        unacked: closed.unacked,
        receipt: closed.receipt,
        secured: events.iter().any(|event| matches!(event, Event::Secured { .. })),
        said: closed.reason.to_string(),
    }
}

/// A [`Closed`] without what tests do not compare.
#[derive(Debug, Clone)]
pub struct Ended {
    pub by: EndedBy,
    pub done: bool,
    pub security: bool,
    pub fault: Option<Fault>,
    pub condition: Option<String>,
    pub truncated: bool,
    pub unacked: u64,
    pub receipt: Receipt,
    pub secured: bool,
    pub said: String,
}

impl Ended {
    /// In order, by `by`, with nothing lost.
    pub fn is_clean(&self, by: EndedBy) -> bool {
        self.done && self.by == by && !self.truncated && self.unacked == 0
    }
}

/// The stanzas that went from one address to another.
pub fn sent(world: &World, from: &str, to: &str) -> Vec<String> {
    let log = world.relay.log().iter().filter(|passed| passed.from == from && passed.to == to);
    log.map(|passed| passed.stanza.clone()).collect()
}

/// The reasons of the session-terminates that went from one address to another.
pub fn terminations(world: &World, from: &str, to: &str) -> Vec<String> {
    let terminates = sent(world, from, to).into_iter().filter(|stanza| stanza.contains("session-terminate"));
    let reason = |stanza: String| {
        let element = element(&stanza);
        let jingle = element.child("jingle", ns::JINGLE).unwrap();
        let reason = jingle.child("reason", ns::JINGLE).unwrap();
        reason.children().next().unwrap().name().to_owned()
    };
    terminates.map(reason).collect()
}

/// The conditions of the error answers that went from one address to another, the application's own one behind a slash.
pub fn errors(world: &World, from: &str, to: &str) -> Vec<String> {
    sent(world, from, to).iter().filter_map(|stanza| condition(stanza)).collect()
}

/// The condition of an error stanza.
pub fn condition(stanza: &str) -> Option<String> {
    let stanza = element(stanza);
    (stanza.attribute("type") == Some("error")).then(|| {
        let error = stanza.children().find(|child| child.name() == "error").unwrap();
        let names = error.children().filter(|child| child.name() != "text").map(|child| child.name().to_owned());
        names.collect::<Vec<_>>().join("/")
    })
}

/// Whether any data stanza went from one address to another.
pub fn sent_data(world: &World, from: &str, to: &str) -> usize {
    sent(world, from, to).iter().filter(|stanza| stanza.contains("<data ")).count()
}

/// Bytes that do not repeat soon.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// The bytes in a data stanza.
pub fn data_of(stanza: &str) -> Vec<u8> {
    use base64::Engine as _;
    let data = element(stanza).child("data", ns::IBB).unwrap().text();
    base64::engine::general_purpose::STANDARD.decode(data.as_bytes()).unwrap()
}

/// The stanza with these bytes in the place of its data.
pub fn with_data(stanza: &str, bytes: &[u8]) -> String {
    let start = stanza.find("<data ").unwrap();
    let text = start + stanza[start..].find('>').unwrap() + 1;
    let end = stanza.find("</data>").unwrap();
    format!("{}{}{}", &stanza[..text], base64(bytes), &stanza[end..])
}

pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
