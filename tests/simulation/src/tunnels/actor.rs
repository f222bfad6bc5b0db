//! An entity of a history: an engine, an application, and a user with manners.

mod answers;
mod data;

use std::{collections::BTreeSet, time::Instant};

use xtls::{
    Application, CloseReason, EndedBy, Event, Password, TrustPolicy, TunnelId, TunnelOptions,
    event::Side,
    jingle::{Reason, ReasonCondition},
};
use xtls_stanza::Fingerprint;
use xtls_testkit::{Client, Connection, EngineClient};
use xtls_trace::Line;

use super::live::Live;
use crate::history::{Action, Manners, Trust};
use crate::ledger::{self, Exported, Ledger};

/// The password that all share, and one that nobody has.
const PASSWORD: &str = "a thousand times the worse";
const WRONG: &str = "wherefore";

/// An entity that plays.
pub(super) struct Actor {
    place: usize,
    pub(super) client: EngineClient,
    pub(super) live: Live,
    ledger: Ledger,
    /// The true certificates of all, by address. An impostor's is not among them.
    truth: Vec<(String, Fingerprint)>,
    pub(super) manners: Manners,
    pub(super) slow: bool,
    pub(super) tunnels: Vec<Tracked>,
    dead: BTreeSet<TunnelId>,
    start: Instant,
    buffer: String,
}

/// A tunnel as its application sees it.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) id: TunnelId,
    side: Side,
    xml: bool,
    pub(super) keys: Option<Exported>,
    stream_open: bool,
    /// Bytes or messages that are to be sent and were not taken yet.
    wants: u64,
    wants_finish: bool,
    /// The size of the messages that are to be sent.
    size: u32,
    sent: u64,
    got: u64,
    finished: bool,
    peer_finished: bool,
    /// It had ended when the application saw that it is secured: whose words came is not known.
    gone: bool,
}

impl Actor {
    pub(super) fn new(place: usize, mut client: EngineClient, ledger: Ledger, start: Instant) -> Self {
        client.ignore_events(true);
        Self {
            place,
            client,
            live: Live::default(),
            ledger,
            truth: Vec::new(),
            manners: Manners::Good,
            slow: false,
            tunnels: Vec::new(),
            dead: BTreeSet::new(),
            start,
            buffer: String::with_capacity(1 << 20),
        }
    }

    pub(super) fn learn(&mut self, truth: &[(String, Fingerprint)]) {
        self.truth = truth.to_vec();
    }

    pub(super) fn initiate(&mut self, now: Instant, address: &str, xml: bool, trust: Trust) {
        let Ok(peer) = address.parse() else { return };
        let application = if xml { Application::XmlStream } else { Application::bytes() };
        let policy = match trust {
            Trust::Ask => TrustPolicy::Ask,
            Trust::LeapOfFaith => TrustPolicy::LeapOfFaith,
            Trust::Pinned | Trust::Password | Trust::WrongPassword => TrustPolicy::Pinned,
        };
        let options = TunnelOptions::new(application, policy);
        let options = match trust {
            Trust::Password => options.with_password(password(PASSWORD)),
            Trust::WrongPassword => options.with_password(password(WRONG)),
            Trust::Pinned | Trust::Ask | Trust::LeapOfFaith => options,
        };
        let Self { client, live, .. } = self;
        let begun = live.measure(|| client.engine().initiate(now, peer, options));
        if let Ok(id) = begun {
            self.track(id, Side::Initiator, xml);
        }
    }

    pub(super) fn probe(&mut self, now: Instant, address: &str) {
        let Ok(peer) = address.parse() else { return };
        let Self { client, live, .. } = self;
        // Asked too often is answered by an error, which is right.
        let _ = live.measure(|| client.engine().probe(now, peer, &TunnelOptions::xml_stream(TrustPolicy::Pinned)));
    }

    pub(super) fn announce(&mut self) {
        let mut presence = "<presence>".to_owned();
        self.client.disco().caps().write(&mut presence);
        presence.push_str("</presence>");
        self.client.say(presence);
    }

    pub(super) fn act(&mut self, now: Instant, which: u32, action: Action) {
        let Some(at) = usize::try_from(which).ok().and_then(|which| which.checked_rem(self.tunnels.len())) else {
            return;
        };
        let Self { client, live, tunnels, .. } = self;
        let tracked = &mut tunnels[at];
        match action {
            // Nothing comes after the last byte.
            Action::Write(_) | Action::Send(_) if tracked.finished || tracked.wants_finish => {}
            Action::Write(bytes) if tracked.xml => {
                tracked.size = bytes;
                tracked.wants += 1;
            }
            Action::Write(bytes) => tracked.wants += u64::from(bytes),
            Action::Send(count) if tracked.xml => tracked.wants += u64::from(count),
            Action::Send(_) => {}
            Action::Finish => tracked.wants_finish = true,
            Action::Close | Action::Abort | Action::OpenStream | Action::CloseStream | Action::Certificates => {
                let id = tracked.id;
                live.measure(|| {
                    let Some(mut tunnel) = client.engine().tunnel(id) else { return };
                    match action {
                        Action::Close => tunnel.close(now),
                        Action::Abort => tunnel.abort(now, Reason::new(ReasonCondition::Cancel)),
                        // What cannot be done now says so and does nothing.
                        Action::OpenStream => drop(tunnel.open_stream(now)),
                        Action::CloseStream => drop(tunnel.close_stream(now)),
                        Action::Certificates | Action::Write(_) | Action::Send(_) | Action::Finish => {
                            let _ = tunnel.request_certificates(now);
                        }
                    }
                });
            }
        }
        self.pump(now, at);
    }

    /// Ends all tunnels in order.
    pub(super) fn close_all(&mut self, now: Instant) {
        for at in 0..self.tunnels.len() {
            let id = self.tunnels[at].id;
            let Self { client, live, .. } = self;
            live.measure(|| {
                if let Some(mut tunnel) = client.engine().tunnel(id) {
                    tunnel.close(now);
                }
            });
        }
    }

    /// What the application still wants to send.
    pub(super) fn wants(&self) -> u64 {
        self.tunnels.iter().filter(|tracked| !tracked.xml || tracked.stream_open).map(|tracked| tracked.wants).sum()
    }

    /// Bytes that the engine may hold for the application's sake: what is written and not acknowledged, and what came and was
    /// not taken, each with what a message or an event has around it.
    pub(super) fn queued(&mut self) -> u64 {
        let mut queued = 0;
        for tracked in &self.tunnels {
            let tunnel = self.client.engine().tunnel(tracked.id);
            let unacked = tunnel.as_ref().map_or(0, xtls::Tunnel::unacked);
            // A slow application has not seen yet that it is secured.
            let keys = tracked.keys.or_else(|| tunnel.as_ref().and_then(data::keys_of));
            let sent = keys.and_then(|keys| self.ledger.end(keys, ledger::other(tracked.side)));
            let unread = sent.map_or(0, |end| {
                let weight = if tracked.xml { 1000 + end.size } else { 1 };
                end.sent.saturating_sub(tracked.got) * weight
            });
            queued += unacked + unread;
        }
        queued
    }

    fn track(&mut self, id: TunnelId, side: Side, xml: bool) {
        self.tunnels.push(Tracked {
            id,
            side,
            xml,
            keys: None,
            stream_open: false,
            wants: 0,
            wants_finish: false,
            size: 0,
            sent: 0,
            got: 0,
            finished: false,
            peer_finished: false,
            gone: false,
        });
    }

    /// Takes what the engine tells, and does what follows. Whether there was anything.
    fn react(&mut self, now: Instant) -> bool {
        let mut any = false;
        while !self.slow {
            let Self { client, live, .. } = self;
            let Some(event) = live.measure(|| client.engine().poll_event()) else { break };
            any = true;
            self.handle_event(now, event);
        }
        any
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        let ms = u64::try_from((now - self.start).as_millis()).unwrap_or(0);
        let address = self.client.jid().as_str().to_owned();
        let line = Line::event(ms, &address, self.client.engine(), &event);
        let id = event.tunnel();
        self.ledger.note(&[line.to_json().as_bytes(), format!("{id:?}").as_bytes()], || Some(line));
        if id.is_some_and(|id| self.dead.contains(&id)) {
            self.fail(format!("a tunnel that has ended tells something: {event:?}"));
        }
        let at = self.tunnels.iter().position(|tracked| Some(tracked.id) == id);
        match (event, at) {
            (Event::Incoming(incoming), _) => self.decide(now, incoming),
            (Event::IncomingGone { id }, _) => {
                self.dead.insert(id);
            }
            (Event::PasswordRequired { id, .. }, _) => self.answer_password(now, id),
            (Event::TrustRequired { id, question }, _) => {
                let fingerprint = question.certificate.fingerprint_sha256();
                self.live.dropped(question);
                self.answer_trust(now, id, &fingerprint);
            }
            (Event::Secured { security, .. }, Some(at)) => {
                let fingerprint = security.certificate.as_ref().map(|certificate| certificate.fingerprint_sha256());
                self.live.dropped(security);
                self.secured(now, at, fingerprint.as_ref());
            }
            (Event::StreamOpened { .. }, Some(at)) => {
                self.tunnels[at].stream_open = true;
                self.pump(now, at);
            }
            (Event::StreamClosed { .. }, Some(at)) => self.tunnels[at].stream_open = false,
            (Event::Stanza { stanza, .. }, Some(at)) => {
                self.take_message(at, &stanza);
                self.live.dropped(stanza);
            }
            (Event::Readable { .. }, Some(at)) => self.read(now, at),
            (Event::Writable { .. }, Some(at)) => self.pump(now, at),
            (Event::PeerFinished { .. }, Some(at)) => {
                self.read(now, at);
                self.tunnels[at].peer_finished = true;
            }
            (Event::Closed(closed), at) => {
                self.ledger.ending(format!("{}: {}", closed.by.as_str(), closed.reason));
                self.dead.insert(closed.id);
                if let Some(at) = at {
                    if closed.by == EndedBy::Remote && matches!(closed.reason, CloseReason::Done) && !closed.truncated {
                        self.ended_in_order(at);
                    }
                    let tracked = self.tunnels.remove(at);
                    if let Some(keys) = tracked.keys {
                        self.ledger.with_end(keys, tracked.side, |end| end.live = false);
                    }
                }
                self.live.dropped(closed);
            }
            (event, at) => {
                if at.is_none() && event.tunnel().is_some() {
                    self.fail(format!("a tunnel that nobody knows tells something: {event:?}"));
                }
                self.live.dropped(event);
            }
        }
    }

    pub(super) fn fail(&self, words: String) {
        let address = self.client.jid().as_str();
        self.ledger.fail(|words| Line::failure(0, address, words), format!("{address}: {words}"));
    }
}

fn password(text: &str) -> Password {
    Password::new(text).expect("a password that SASLprep takes")
}

impl Client for Actor {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        let Self { client, live, .. } = self;
        live.measure(|| {
            client.handle_stanza(now, stanza);
            drop(client.take_others());
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Self { client, live, .. } = self;
        live.measure(|| client.handle_timeout(now));
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        let Self { client, live, .. } = self;
        live.measure(|| client.handle_connection(now, change));
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        loop {
            self.buffer.clear();
            let Self { client, live, buffer, .. } = self;
            if live.measure(|| client.poll_transmit(now, buffer)) {
                out.push_str(buffer);
                return true;
            }
            if !self.react(now) {
                return false;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }
}
