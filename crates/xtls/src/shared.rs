//! What all tunnels of an engine share.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use xtls_channel::{Environment, Instant, Setup, SetupError};
use xtls_jingle::Dialect;
use xtls_stanza::{Element, Ids, StanzaParser, jid::FullJid};

use crate::{
    capabilities::Capabilities,
    config::Config,
    event::{Event, TunnelId},
    flow::Flow,
    sizes::Sizes,
    spares::Spares,
};

/// What all tunnels of an engine share; each of their methods that changes anything gets it.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// That of the configured profile.
    pub(crate) dialect: Dialect,
    /// The address that the engine speaks for.
    pub(crate) jid: FullJid,
    /// What every secure channel goes by.
    pub(crate) env: Environment,
    pub(crate) ids: Ids,
    /// Since when the outer stream is away, if it is to be resumed.
    pub(crate) suspended_since: Option<Instant>,
    /// How long it was away before, in all.
    pub(crate) was_away: Duration,
    /// What is on its way on the outer stream.
    pub(crate) flow: Flow,
    pub(crate) sizes: Sizes,
    pub(crate) events: Events,
    /// What was said inside of tunnels about sessions, and in which.
    pub(crate) inside: VecDeque<(u64, Element)>,
    /// The sids of those sessions.
    pub(crate) inside_sids: BTreeSet<String>,
    pub(crate) capabilities: Capabilities,
    pub(crate) spares: Spares,
    /// For the stanzas that arrive as text.
    pub(crate) parser: StanzaParser,
    /// For the block that was recognised in its text.
    pub(crate) block: Scratch,
    /// For a block that came in an element, and the text of a stanza to be sent.
    pub(crate) scratch: Scratch,
}

/// A buffer that is needed for a moment, again and again, and is kept for its capacity.
#[derive(Default)]
pub(crate) struct Scratch(Vec<u8>);

/// A moment ahead, by each of two clocks: the caller's, and the one that stands still while the outer stream is away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) real: Instant,
    pub(crate) protocol: Instant,
}

/// Events in order. Those that a peer can cause again and again, which are the ones of the XML stream, weigh what they hold in
/// memory, and each tunnel bounds the weight of its own by not reading on. Of the others, a tunnel has no more than one of a
/// kind waiting.
#[derive(Default)]
pub(crate) struct Events {
    /// By the order in which they happened.
    waiting: BTreeMap<u64, (Event, Option<Weight>)>,
    next: u64,
    /// Where the offers are among them.
    offers: BTreeMap<TunnelId, u64>,
}

/// What is taken from a tunnel when an event is.
#[derive(Clone, Copy)]
pub(crate) struct Weight {
    pub(crate) tunnel: TunnelId,
    /// Plaintext that led to it.
    pub(crate) bytes: usize,
    /// What it holds in memory.
    pub(crate) held: usize,
}

impl Weight {
    /// What an event holds at least: its place in the queue, which is half full at worst.
    pub(crate) const OF_AN_EVENT: usize = 2 * size_of::<(Event, Option<Self>)>();
}

impl Shared {
    pub(crate) fn new(setup: Setup<FullJid, Config>, now: Instant) -> Result<Self, SetupError> {
        setup.config.check()?;
        let security = setup.config.security;
        let (jid, env, ids, config) = Environment::open(setup, security, now)?;
        let parser = StanzaParser::new(config.stanza_limits);
        Ok(Self {
            dialect: config.profile.into(),
            config,
            jid,
            env,
            ids,
            suspended_since: None,
            was_away: Duration::ZERO,
            flow: Flow::new(),
            sizes: Sizes::default(),
            events: Events::default(),
            inside: VecDeque::new(),
            inside_sids: BTreeSet::new(),
            capabilities: Capabilities::default(),
            spares: Spares::default(),
            parser,
            block: Scratch::default(),
            scratch: Scratch::default(),
        })
    }

    /// The moment that lies `wait` ahead.
    pub(crate) fn after(&self, wait: Duration) -> Ahead {
        let real = self.env.after(wait);
        let protocol = self.suspended_since.and_then(|since| since.checked_add(wait)).unwrap_or(real);
        Ahead { real, protocol }
    }

    /// The present moment by the clock that stands still while the outer stream is away.
    pub(crate) fn protocol_now(&self) -> Instant {
        let real = self.suspended_since.unwrap_or_else(|| self.env.clock().now());
        real.checked_sub(self.was_away).unwrap_or(real)
    }

    /// What is written into `from`, where anything is.
    pub(crate) fn from(&self) -> Option<&str> {
        self.config.stamp_from.then(|| self.jid.as_str())
    }
}

impl Scratch {
    /// The buffer, with what was in it last.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }

    /// The buffer with nothing in it.
    pub(crate) fn take_empty(&mut self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.clear();
        buffer
    }

    /// Keeps it for the next time, unless it is larger than a block: an engine holds nothing of what is over.
    pub(crate) fn put_back(&mut self, buffer: Vec<u8>, block_size: u16) {
        if buffer.capacity() <= usize::from(block_size) {
            self.0 = buffer;
        }
    }
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if let Event::Incoming(incoming) = &event {
            self.offers.insert(incoming.id, self.next);
        }
        self.append(event, None);
    }

    pub(crate) fn push_weighing(&mut self, event: Event, weight: Weight) {
        self.append(event, Some(weight));
    }

    /// What was told before and nobody has taken is out of date.
    pub(crate) fn push_throttled(&mut self, id: TunnelId, bytes_per_second: u64) {
        self.waiting.retain(|_, (event, _)| !matches!(event, Event::Throttled { id: of, .. } if *of == id));
        self.push(Event::Throttled { id, bytes_per_second });
    }

    pub(crate) fn pop(&mut self) -> Option<(Event, Option<Weight>)> {
        let (_, first) = self.waiting.pop_first()?;
        if let Event::Incoming(incoming) = &first.0 {
            self.offers.remove(&incoming.id);
        }
        Some(first)
    }

    /// Takes back an offer that nobody has heard of yet: a peer that goes on offering and taking back leaves nothing.
    /// Tells whether there was one.
    pub(crate) fn retract(&mut self, id: TunnelId) -> bool {
        self.offers.remove(&id).and_then(|at| self.waiting.remove(&at)).is_some()
    }

    fn append(&mut self, event: Event, weight: Option<Weight>) {
        self.waiting.insert(self.next, (event, weight));
        self.next += 1;
    }
}

/// An address as a stanza's `to`, shared by all stanzas that go there.
pub(crate) fn address(to: &str) -> Arc<str> {
    Arc::from(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_server_throttles_to_only_the_last_is_told_to_who_did_not_look() {
        let mut events = Events::default();
        let [one, other] = [1, 2].map(|number| TunnelId { engine: 0, number });
        for rate in 1..100 {
            events.push_throttled(one, rate);
            events.push_throttled(other, 1000 * rate);
            events.push(Event::Readable { id: one });
        }
        assert_eq!(events.waiting.len(), 99 + 2);
        let throttled = |event| {
            let Event::Throttled { id, bytes_per_second } = event else { return None };
            Some((id, bytes_per_second))
        };
        let told: Vec<_> = core::iter::from_fn(|| events.pop()).filter_map(|(event, _)| throttled(event)).collect();
        assert_eq!(told, [(one, 99), (other, 99_000)]);
    }
}
