//! Histories of tunnels: engines that talk through a server.

mod actor;
mod live;

use core::{cell::Cell, time::Duration};
use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{
    config::Window,
    trust::{MemoryTrustStore, Pin},
};
use xtls_stanza::Fingerprint;
use xtls_testkit::{Connection, EngineClient, EntityId, EntityOptions, Happening, Network};
use xtls_trace::{Direction, Line};

use self::actor::Actor;
use crate::history::{History, Manners, Operation, Outcome, Play, StreamChange, Who};
use crate::ledger::{CANARY, Ledger};

/// After the last fault everything is delivered or ended within this time: a silent peer is asked after 30 s, and has 600 s.
const LIVENESS: Duration = Duration::from_secs(900);

/// What an engine may hold for itself, 512 KiB that bursts have left among it, and for each tunnel, 24 KiB beyond the need of its
/// queue and its inbox each among it, beside twice what is queued.
const ENGINE_BYTES: u64 = (256 + 512) * 1024;
const TUNNEL_BYTES: u64 = 64 * 1024;

/// What an engine may hold more at the end than at the beginning, beside a block: what it knows of its peers and of TLS.
const REMEMBERED_BYTES: i64 = 32 * 1024;

/// What the libraries make once for a process or a thread is made by this, and belongs to no engine.
const WARM_UP: &str = "romeo initiate juliet xml pinned\nromeo initiate mallory bytes password\nrun 5000";

/// The connections of the impostors: one is Juliet to Romeo, the other Romeo to Juliet.
const IMPOSTORS: [(&str, Who, Who); 2] =
    [("impostor of juliet", Who::Juliet, Who::Romeo), ("impostor of romeo", Who::Romeo, Who::Juliet)];

pub(crate) fn play(history: &History, play: Play) -> Outcome {
    thread_local!(static WARM: Cell<bool> = const { Cell::new(false) });
    if !WARM.replace(true) {
        live::leave_panics_out();
        let warm_up: History = WARM_UP.parse().expect("a history");
        let _ = warm_up.play(play);
    }
    let ledger = Ledger::new(play.trace);
    ledger.clone().play(|| {
        let mut stage = Stage::new(history, play, ledger.clone());
        for operation in &history.operations {
            if ledger.has_failed() {
                break;
            }
            stage.perform(operation);
        }
        if !ledger.has_failed() {
            stage.come_to_rest();
        }
    })
}

struct Stage {
    network: Network<Actor>,
    ledger: Ledger,
    /// What each engine held at the beginning.
    held: BTreeMap<usize, i64>,
    block_size: i64,
}

impl Stage {
    fn new(history: &History, play: Play, ledger: Ledger) -> Self {
        let mut network = Network::new(Duration::from_millis(50));
        network.relay.set_seed(history.seed);
        network.relay.keep_log();
        observe(&mut network, ledger.clone());
        let mut stage = Self { network, ledger, held: BTreeMap::new(), block_size: history.settings.block_size.into() };
        for who in Who::ALL {
            stage.enter(history, play, who.address(), who.address(), who.index());
        }
        let truth = stage.truth();
        for id in stage.everybody() {
            stage.network.client_mut(id).learn(&truth);
        }
        for one in ["romeo@montague.lit", "juliet@capulet.lit", "mallory@verona.lit"] {
            for other in ["romeo@montague.lit", "juliet@capulet.lit", "mallory@verona.lit"] {
                stage.network.relay.befriend(one, other);
            }
        }
        if history.operations.contains(&Operation::Impostors(true)) {
            for (at, (connection, who, _)) in IMPOSTORS.into_iter().enumerate() {
                stage.enter(history, play, connection, who.address(), Who::ALL.len() + at);
            }
        }
        stage
    }

    fn enter(&mut self, history: &History, play: Play, connection: &str, address: &str, place: usize) {
        let low = u8::try_from(history.seed % 32).unwrap_or(0) * 8;
        let seed = low + u8::try_from(place).unwrap_or(0);
        let mut options = EntityOptions::seeded(seed);
        options.config.sole_handler = true;
        options.config.block_size = history.settings.block_size;
        options.config.receive_buffer = history.settings.receive_buffer;
        options.config.send_buffer = history.settings.send_buffer;
        options.config.window = match history.settings.window {
            0 => Window::Adaptive,
            blocks => Window::Fixed(blocks),
        };
        options.real_cryptography = play.real_cryptography;
        let (now, elapsed) = (self.network.now(), self.network.elapsed());
        let client = EngineClient::new(address, options, now, elapsed);
        let start = now - elapsed;
        let id = self.network.join(
            connection,
            history.seed ^ u64::from(seed),
            Actor::new(place, client, self.ledger.clone(), start),
        );
        self.held.insert(id.index(), 0);
    }

    /// Everybody's true certificate; the first three know one another's.
    fn truth(&self) -> Vec<(String, Fingerprint)> {
        let all: Vec<_> = self
            .everybody()
            .into_iter()
            .map(|id| {
                let client = &self.network.client(id).client;
                (client.jid().clone(), client.identity().fingerprint_sha256())
            })
            .collect();
        for id in self.everybody().into_iter().take(3) {
            for (jid, fingerprint) in all.iter().take(3) {
                let pin = Pin::manual(*fingerprint);
                self.network
                    .client(id)
                    .client
                    .with_store(|store: &mut MemoryTrustStore| store.pin(&jid.to_bare(), pin));
            }
        }
        all.into_iter().map(|(jid, fingerprint)| (jid.to_string(), fingerprint)).collect()
    }

    fn everybody(&self) -> Vec<EntityId> {
        self.network.ids().collect()
    }

    fn id(&self, who: Who) -> EntityId {
        self.everybody()[who.index()]
    }

    fn perform(&mut self, operation: &Operation) {
        let ms = u64::try_from(self.network.elapsed().as_millis()).unwrap_or(0);
        let text = operation.to_string();
        self.ledger.note(&[text.as_bytes()], || {
            let (own, words) = text.split_once(' ').unwrap_or((&text, ""));
            let entity = Who::ALL.into_iter().find(|who| who.name() == own);
            Some(entity.map_or_else(|| Line::op(ms, "server", &text), |who| Line::op(ms, who.address(), words)))
        });
        let network = &mut self.network;
        match operation {
            Operation::Initiate { who, whom, xml, trust } => {
                let id = self.id(*who);
                self.network.act(id, |actor, now| actor.initiate(now, whom.address(), *xml, *trust));
            }
            Operation::Tunnel { who, which, action } => {
                let id = self.id(*who);
                self.network.act(id, |actor, now| actor.act(now, *which, *action));
            }
            Operation::Probe { who, whom } => {
                let id = self.id(*who);
                self.network.act(id, |actor, now| actor.probe(now, whom.address()));
            }
            Operation::Announce(who) => {
                let id = self.id(*who);
                self.network.act(id, |actor, _| actor.announce());
            }
            Operation::Slow(who, slow) => {
                let id = self.id(*who);
                self.network.client_mut(id).slow = *slow;
            }
            Operation::Manners(who, manners) => {
                let id = self.id(*who);
                self.network.client_mut(id).manners = *manners;
            }
            Operation::Stream(who, change) => self.change_stream(self.id(*who), *change),
            Operation::Restart => {
                self.ledger.fault();
                network.restart();
            }
            Operation::Run(millis) => network.run_for(Duration::from_millis(u64::from(*millis))),
            Operation::Latency(millis) => network.relay.set_latency(Duration::from_millis(u64::from(*millis))),
            Operation::Jitter(millis) => network.relay.set_jitter(Duration::from_millis(u64::from(*millis))),
            Operation::Bandwidth(bytes) => network.relay.set_bandwidth(Some(u64::from(*bytes))),
            Operation::Rate(stanzas) => network.relay.set_rate(Some(*stanzas).filter(|rate| *rate > 0)),
            Operation::Limit(bytes) => {
                network.relay.set_stanza_limit(usize::try_from(*bytes).ok().filter(|bytes| *bytes > 0));
            }
            Operation::Misdeed(misdeed) => network.relay.plan(misdeed.clone()),
            Operation::Inject(whom, stanza) => {
                self.ledger.fault();
                let now = network.now();
                network.relay.inject(now, whom.address(), stanza);
            }
            Operation::Connect(_)
            | Operation::Link(..)
            | Operation::Wire(..)
            | Operation::Pieces(_)
            | Operation::Pipe(_) => {}
            Operation::Impostors(there) => {
                network.relay.unmask();
                if *there {
                    self.ledger.fault();
                    for (connection, who, victim) in IMPOSTORS {
                        network.relay.impersonate(connection, who.address(), victim.address());
                    }
                }
            }
        }
        // What follows at once.
        self.network.run_for(Duration::ZERO);
        self.check_memory();
    }

    fn change_stream(&mut self, id: EntityId, change: StreamChange) {
        let network = &mut self.network;
        let state = network.state(id);
        match (change, state) {
            (StreamChange::Offline, state) if state != Connection::Offline => {
                self.ledger.fault();
                network.disconnect(id);
            }
            (StreamChange::Online, Connection::Offline) => network.log_in(id),
            (StreamChange::Suspend, Connection::Online | Connection::Resumed) => {
                self.ledger.fault();
                network.suspend(id);
            }
            (StreamChange::Resume, Connection::Suspended) => network.resume(id),
            (StreamChange::Hold, Connection::Online | Connection::Resumed) => {
                self.ledger.fault();
                network.hold(id);
            }
            (StreamChange::Release, Connection::Online | Connection::Resumed) => network.release(id),
            _ => {}
        }
    }

    /// The faults end, and everything is delivered or ended; then the tunnels are closed, and nothing is left.
    fn come_to_rest(&mut self) {
        self.heal();
        self.network.run_for(LIVENESS);
        self.check_memory();
        self.check_rest();
        for id in self.everybody() {
            self.network.act(id, |actor, now| actor.close_all(now));
        }
        self.network.run_for(LIVENESS);
        for id in self.everybody() {
            let held = self.held[&id.index()];
            let actor = self.network.client_mut(id);
            let left = actor.tunnels.len();
            let next = actor.client.engine().poll_timeout();
            if left > 0 {
                actor.fail(format!("{left} tunnels did not end after they were closed"));
            } else if let Some(next) = next {
                actor.fail(format!("something waits after the end of all: {next:?}"));
            } else if actor.live.bytes() - held > REMEMBERED_BYTES + self.block_size {
                let more = actor.live.bytes() - held;
                actor.fail(format!("{more} bytes are held after the end of all"));
            }
        }
    }

    fn heal(&mut self) {
        let network = &mut self.network;
        network.relay.repent();
        network.relay.unmask();
        network.relay.set_latency(Duration::from_millis(50));
        network.relay.set_jitter(Duration::ZERO);
        network.relay.set_bandwidth(None);
        network.relay.set_rate(None);
        network.relay.set_stanza_limit(None);
        for id in self.everybody() {
            let network = &mut self.network;
            match network.state(id) {
                Connection::Offline => network.log_in(id),
                Connection::Suspended => network.resume(id),
                Connection::Online | Connection::Resumed | _ => network.release(id),
            }
            let actor = network.client_mut(id);
            actor.slow = false;
            actor.manners = Manners::Good;
        }
    }

    /// No tunnel is half there, and what was sent through those that live has arrived.
    fn check_rest(&self) {
        for id in self.everybody() {
            let actor = self.network.client(id);
            let unsecured = actor.tunnels.iter().filter(|tracked| tracked.keys.is_none()).count();
            if unsecured > 0 {
                actor.fail(format!("{unsecured} tunnels are neither secured nor ended"));
            } else if actor.wants() > 0 {
                actor.fail(format!("{} bytes or messages could not be sent", actor.wants()));
            }
        }
        for ends in self.ledger.tunnels() {
            let words = match &ends {
                [Some(one), Some(other)] if one.live != other.live => "one end of a tunnel has ended, the other lives",
                [Some(one), Some(other)] if one.live && (one.sent != other.got || other.sent != one.got) => {
                    "a tunnel lives, and not all has arrived"
                }
                [Some(one), None] | [None, Some(one)] if one.live => {
                    "one end of a tunnel lives, the other was never secured"
                }
                _ => continue,
            };
            self.ledger.fail(|words| Line::failure(0, "the simulation", words), format!("{words}: {ends:?}"));
        }
    }

    fn check_memory(&mut self) {
        for id in self.everybody() {
            let actor = self.network.client_mut(id);
            let tunnels = u64::try_from(actor.tunnels.len()).unwrap_or(0);
            let bound = 2 * actor.queued() + tunnels * TUNNEL_BYTES + ENGINE_BYTES;
            let live = u64::try_from(actor.live.bytes()).unwrap_or(0);
            if live > bound {
                actor.fail(format!("{live} bytes are held where {bound} are allowed, with {tunnels} tunnels"));
            }
        }
    }
}

/// Everything that passes belongs to the transcript, and none of it is plaintext.
fn observe(network: &mut Network<Actor>, ledger: Ledger) {
    let names: Vec<_> =
        Who::ALL.map(Who::address).into_iter().chain(IMPOSTORS.map(|(connection, ..)| connection)).collect();
    network.observe(move |elapsed, id, happening| {
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        let own = names.get(id.index()).copied().unwrap_or_default();
        let place = id.index().to_le_bytes();
        let time = elapsed.as_nanos().to_le_bytes();
        match happening {
            Happening::Sent(stanza) => {
                ledger.note(&[b"sent", &time, &place, stanza.as_bytes()], || {
                    Line::stanza_text(ms, own, Direction::Out, stanza)
                });
                if has_plaintext(stanza) {
                    ledger.fail(|words| Line::failure(ms, own, words), format!("{own} sends plaintext: {stanza}"));
                }
            }
            Happening::Received(stanza) => ledger.note(&[b"received", &time, &place, stanza.as_bytes()], || {
                Line::stanza_text(ms, own, Direction::In, stanza)
            }),
            Happening::Stream(change) => {
                let change = match change {
                    Connection::Online => xtls_trace::Connection::Online,
                    Connection::Suspended => xtls_trace::Connection::Suspended,
                    Connection::Resumed => xtls_trace::Connection::Resumed,
                    Connection::Offline | _ => xtls_trace::Connection::Offline,
                };
                ledger.note(&[b"stream", &time, &place, change.as_str().as_bytes()], || {
                    Some(Line::connection(ms, own, change))
                });
            }
            Happening::Misdeed(misdeed) => {
                ledger.fault();
                let words = misdeed.to_string();
                ledger.note(&[b"misdeed", &time, words.as_bytes()], || Some(Line::fault(ms, own, &words)));
            }
            _ => {}
        }
    });
}

/// Whether a stanza has a canary in it, as text or in its block.
fn has_plaintext(stanza: &str) -> bool {
    let block = stanza.split_once("<data ").and_then(|(_, data)| data.split(['>', '<']).nth(1));
    let bytes = block.and_then(|block| STANDARD.decode(block).ok()).unwrap_or_default();
    stanza.contains(CANARY) || bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}
