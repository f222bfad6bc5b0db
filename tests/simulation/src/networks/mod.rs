//! How much goes over networks of all sorts, and how long other stanzas wait meanwhile: in virtual time, so exactly.
//!
//! [`measure`] plays one transfer. [`Report`] plays many and makes tables and a picture of them.

#![allow(clippy::exhaustive_structs, reason = "the tests beside make them")]

mod page;
mod plot;

use core::{cell::RefCell, ops::RangeInclusive, time::Duration};
use std::{collections::BTreeMap, rc::Rc, time::Instant};

use xtls::{Application, Event, TrustPolicy, TunnelId, TunnelOptions, config::Window, trust::Pin};
use xtls_testkit::{Client, Connection, EngineClient, EntityId, EntityOptions, Happening, Network};

pub use page::{Report, cells, path_cells};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";

/// Round trips, in milliseconds.
pub const ROUND_TRIPS: [u32; 5] = [1, 20, 50, 100, 300];
/// Bandwidths, in thousands of bits a second.
pub const BANDWIDTHS: [u32; 4] = [100, 1000, 10_000, 100_000];
/// The most that a path holds (bandwidth times round trip) on which the adaptive window is held to its bounds, in bytes.
pub const HELD_TO: u64 = 128 * 1024;
/// The results that count: those before belong to the start.
pub const STEADY: RangeInclusive<usize> = 21..=300;

/// A network, and what is sent over it.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// What a stanza and its answer take that wait for nothing and have no size.
    pub round_trip: Duration,
    /// What each of the two may send.
    pub bytes_per_second: u64,
    /// How many bytes more each may send after a rest.
    pub burst: u64,
    /// By how much each stanza may take longer.
    pub jitter: Duration,
    /// The window of both.
    pub window: Window,
    /// The block size of both, in bytes.
    pub block_size: u16,
    /// Tunnels that are written to.
    pub tunnels: usize,
    /// Whether the other one writes as well.
    pub both_ways: bool,
    /// Whether a ping takes the same way now and then.
    pub pings: bool,
    /// Whether the bandwidth is limited only after the tunnels are up.
    pub limited_later: bool,
}

/// What came of it, while the results in [`STEADY`] came.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Bytes that got out of the tunnel in a second.
    pub goodput: f64,
    /// The part of the bandwidth that blocks took, as stanzas. Above 1 where a burst was left.
    pub share: f64,
    /// From a block to its result.
    pub block: Quantiles,
    /// What a ping waited on its way there, beyond the latency.
    pub ping: Quantiles,
    /// The most blocks that were in flight.
    pub most_in_flight: usize,
    /// The size of the largest block, as a stanza.
    pub stanza: u64,
}

/// A path, and what becomes of a transfer over it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The path, without pings.
    pub path: Conditions,
    /// With nothing else on it.
    pub measured: Measured,
    /// What pings wait beside it: see [`Measured::ping`].
    pub ping: Quantiles,
}

/// The middle and the end of what was measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantiles {
    /// As many are less as are more.
    pub median: Duration,
    /// 95 of 100 are less.
    pub p95: Duration,
}

impl Conditions {
    /// One tunnel in one direction, without jitter, in blocks of 4096 bytes. The round trip is in milliseconds, the bandwidth in
    /// thousands of bits a second.
    #[must_use]
    pub fn path(round_trip: u32, bandwidth: u32) -> Self {
        Self {
            round_trip: Duration::from_millis(round_trip.into()),
            bytes_per_second: u64::from(bandwidth) * 125,
            burst: 0,
            jitter: Duration::ZERO,
            window: Window::Adaptive,
            block_size: 4096,
            tunnels: 1,
            both_ways: false,
            pings: false,
            limited_later: false,
        }
    }

    /// All such paths.
    pub fn paths() -> impl Iterator<Item = Self> {
        ROUND_TRIPS.into_iter().flat_map(|rtt| BANDWIDTHS.into_iter().map(move |bandwidth| Self::path(rtt, bandwidth)))
    }

    /// What the path holds: bandwidth times round trip, in bytes.
    #[must_use]
    pub fn holds(&self) -> u64 {
        let bytes = u128::from(self.bytes_per_second) * self.round_trip.as_nanos() / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// How long the narrowest part takes for so many bytes.
    #[must_use]
    pub fn takes(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether the adaptive window is held to its bounds on this path.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holds() <= HELD_TO
    }

    /// What a block's round trip may be at most: twice the base, and the time that two blocks take.
    #[must_use]
    pub fn bound(&self, stanza: u64) -> Duration {
        self.round_trip * 2 + self.takes(stanza) * 2
    }
}

impl Outcome {
    /// Plays it twice, without pings and with them.
    #[must_use]
    pub fn of(path: Conditions) -> Self {
        let ping = measure(&Conditions { pings: true, ..path.clone() }).ping;
        Self { measured: measure(&path), ping, path }
    }

    /// At least nine tenths of the bandwidth are used.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.measured.share >= 0.9
    }

    /// Half of the blocks, and 95 of 100, take no longer than they may.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        let Measured { block, stanza, .. } = self.measured;
        block.median.max(block.p95) <= self.path.bound(stanza)
    }
}

/// A client that writes all that its tunnels take and reads all that they give.
#[derive(Debug)]
struct Writer {
    client: EngineClient,
    tunnels: Vec<TunnelId>,
    writes: bool,
    /// What it writes again and again.
    bytes: Vec<u8>,
    /// What it has read, and when.
    read: Vec<(Instant, usize)>,
}

impl Client for Writer {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        self.client.handle_stanza(now, stanza);
        for tunnel in &self.tunnels {
            let mut read = Vec::new();
            if let Some(mut tunnel) = self.client.engine().tunnel(*tunnel) {
                tunnel.read(now, &mut read);
            }
            self.read.push((now, read.len()));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        self.client.handle_connection(now, change);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        for tunnel in self.tunnels.iter().filter(|_| self.writes) {
            let tunnel = self.client.engine().tunnel(*tunnel);
            tunnel.expect("the tunnel is up").write(now, &self.bytes).expect("the tunnel is up");
        }
        self.client.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }
}

/// What was seen on the way.
#[derive(Debug, Default)]
struct Seen {
    /// When each block that has no result was sent, and its size once it has arrived.
    sent: BTreeMap<String, (Duration, u64)>,
    /// For each result: when it came, how long it took, and the size of its block.
    results: Vec<(Duration, Duration, u64)>,
    pings_sent: BTreeMap<String, Duration>,
    /// For each ping: when it arrived, and how long it took.
    pings: Vec<(Duration, Duration)>,
    in_flight: Vec<(Duration, usize)>,
}

impl Seen {
    fn note(&mut self, at: Duration, id: EntityId, happening: &Happening<'_>) {
        let is_sender = id.index() == 0;
        match happening {
            Happening::Sent(stanza) if is_sender && stanza.contains("<data ") => {
                self.sent.insert(id_of(stanza).to_owned(), (at, 0));
                self.in_flight.push((at, self.sent.len()));
            }
            Happening::Sent(stanza) if stanza.contains("<ping ") => {
                self.pings_sent.insert(id_of(stanza).to_owned(), at);
            }
            Happening::Received(stanza) if !is_sender => {
                if let Some((_, bytes)) = self.sent.get_mut(id_of(stanza)) {
                    *bytes = u64::try_from(stanza.len()).unwrap_or(u64::MAX);
                }
                if let Some(sent) = self.pings_sent.remove(id_of(stanza)) {
                    self.pings.push((at, at - sent));
                }
            }
            Happening::Received(stanza) => {
                if let Some((sent, bytes)) = self.sent.remove(id_of(stanza)) {
                    self.results.push((at, at - sent, bytes));
                }
            }
            _ => {}
        }
    }
}

/// Plays a transfer until all results of [`STEADY`] have come.
///
/// # Panics
///
/// When the tunnels do not come up or do not stay up, or nothing gets through.
#[must_use]
pub fn measure(conditions: &Conditions) -> Measured {
    let mut network = Network::new(conditions.round_trip / 2);
    let [romeo, juliet] = [(ROMEO, 1), (JULIET, 2)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.window = conditions.window;
        options.config.block_size = conditions.block_size;
        let client = EngineClient::new(jid, options, network.now(), Duration::ZERO);
        let bytes = vec![0; 64 * 1024];
        let writer = Writer { client, tunnels: Vec::new(), writes: false, bytes, read: Vec::new() };
        network.join(jid, seed.into(), writer)
    });
    for (one, other) in [(romeo, juliet), (juliet, romeo)] {
        let peer = &network.client(other).client;
        let (jid, pin) = (peer.jid().to_bare(), Pin::manual(peer.identity().fingerprint_sha256()));
        network.client(one).client.with_store(|store| store.pin(&jid, pin));
    }
    let limit = |network: &mut Network<Writer>| {
        network.relay.set_bandwidth(Some(conditions.bytes_per_second));
        network.relay.set_burst(conditions.burst);
        network.relay.set_jitter(conditions.jitter);
    };
    if !conditions.limited_later {
        limit(&mut network);
    }
    for _ in 0..conditions.tunnels {
        connect(&mut network, romeo, juliet);
    }
    limit(&mut network);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let notes = Rc::clone(&seen);
    network.observe(move |at, id, happening| notes.borrow_mut().note(at, id, happening));
    network.client_mut(romeo).writes = true;
    network.client_mut(juliet).writes = conditions.both_ways;
    let mut pings = 0;
    while seen.borrow().results.len() < *STEADY.end() {
        // Not in step with anything.
        let wait = Duration::from_millis(230 + pings % 7 * 13);
        network.run_for(wait);
        pings += 1;
        assert!(pings < 100_000, "nothing gets through");
        if conditions.pings {
            let ping = format!("<iq type='get' id='ping-{pings}' to='{JULIET}'><ping xmlns='urn:xmpp:ping'/></iq>");
            network.act(romeo, |writer, _| writer.client.say(ping));
        }
    }
    let began = network.now() - network.elapsed();
    let read = network.client(juliet).read.iter().map(|(at, bytes)| (*at - began, *bytes));
    evaluate(conditions, &seen.borrow(), read)
}

fn connect(network: &mut Network<Writer>, romeo: EntityId, juliet: EntityId) {
    let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    options.check_support = false;
    let peer = network.client(juliet).client.jid().clone();
    let here = network.act(romeo, |writer, now| writer.client.engine().initiate(now, peer, options.clone()));
    let here = here.expect("nothing keeps the offer back");
    network.run();
    let there = network.act(juliet, |writer, now| {
        let offer = writer.client.take_events().into_iter().find_map(|event| match event {
            Event::Incoming(incoming) => Some(incoming),
            _ => None,
        });
        writer.client.engine().accept(now, offer.expect("the offer arrives"), options)
    });
    network.run();
    network.client_mut(romeo).tunnels.push(here);
    network.client_mut(juliet).tunnels.push(there.expect("the offer is there"));
    let is_up =
        network.act(romeo, |writer, _| writer.client.engine().tunnel(here).is_some_and(|it| it.security().is_some()));
    assert!(is_up, "the tunnel comes up");
}

fn evaluate(conditions: &Conditions, seen: &Seen, read: impl Iterator<Item = (Duration, usize)>) -> Measured {
    let (start, end) = (seen.results[STEADY.start() - 2].0, seen.results[STEADY.end() - 1].0);
    let steady = &seen.results[STEADY.start() - 1..*STEADY.end()];
    let bytes = steady.iter().map(|(.., bytes)| bytes).sum();
    let is_within = |at: &Duration| (start..=end).contains(at);
    let pings = seen.pings.iter().filter(|(at, _)| is_within(at));
    let read: usize = read.filter(|(at, _)| is_within(at)).map(|(_, bytes)| bytes).sum();
    Measured {
        goodput: Duration::from_nanos(u64::try_from(read).unwrap_or(u64::MAX)).div_duration_f64(end - start) * 1e9,
        share: conditions.takes(bytes).div_duration_f64(end - start),
        block: Quantiles::of(steady.iter().map(|(_, took, _)| *took).collect()),
        ping: Quantiles::of(pings.map(|(_, took)| took.saturating_sub(conditions.round_trip / 2)).collect()),
        most_in_flight: seen.in_flight.iter().filter(|(at, _)| is_within(at)).map(|(_, most)| *most).max().unwrap_or(0),
        stanza: seen.results.iter().map(|(.., bytes)| *bytes).max().unwrap_or(0),
    }
}

impl Quantiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Self { median: at(50), p95: at(95) }
    }
}

fn id_of(stanza: &str) -> &str {
    stanza.split_once(" id='").and_then(|(_, rest)| rest.split_once('\'')).map_or("", |(id, _)| id)
}
