//! Histories of links: two ends, and a wire between them that may be hostile.

use core::time::Duration;
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use xtls::{
    CloseReason, Element, EndedBy, Password, Terms, TrustDecision, TrustPolicy,
    event::Side,
    link::{ClientTerms, LinkEvent, ServerTerms, Stage},
};
use xtls_stream::Features;
use xtls_testkit::{LinkPair, SIDES};
use xtls_trace::{Direction, Line};

use crate::{
    history::{History, LinkAction, Manners, Operation, Outcome, Play, Scene, Trust, Who, WireFault},
    ledger::{self, CANARY, Exported, Ledger},
};

/// After the last fault everything is delivered or ended within this time: a silent peer is taken for gone after 300 s.
const LIVENESS: Duration = Duration::from_secs(900);
const SILENCE: Duration = Duration::from_secs(300);

/// Words that both ends have as a password, and others.
const PASSWORD: &str = "a thousand times the worse";
const WRONG: &str = "wherefore";

pub(crate) fn play(history: &History, play: Play) -> Outcome {
    let ledger = Ledger::new(play.trace);
    ledger.clone().play(|| {
        let mut stage = Links::new(history, ledger.clone());
        for operation in &history.operations {
            if ledger.has_failed() {
                return;
            }
            stage.perform(operation);
        }
        stage.come_to_rest();
    })
}

struct Links {
    pair: LinkPair,
    scene: Scene,
    ledger: Ledger,
    elapsed: Duration,
    ends: [End; 2],
    wires: [Wire; 2],
}

/// What one end's application and user do.
#[derive(Default)]
struct End {
    manners: Manners,
    slow: bool,
    keys: Option<Exported>,
    closed: bool,
    authenticated: bool,
    wants: u64,
    size: u32,
    sent: u64,
    got: u64,
}

/// What is to be done to what an end sends, shared with the wire itself.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Planned>>);

#[derive(Default)]
struct Planned {
    faults: VecDeque<WireFault>,
    kept_back: Vec<u8>,
}

impl Links {
    fn new(history: &History, ledger: Ledger) -> Self {
        let mut pair = LinkPair::new(u8::try_from(history.seed % 128).unwrap_or(0) * 2);
        let wires = [Wire::default(), Wire::default()];
        for (side, wire) in SIDES.into_iter().zip(&wires) {
            if history.scene == Scene::ServerLink && side == Side::Responder {
                // The server of Romeo's domain.
                pair.name(side, "forza");
            }
            pair.config(side).timers.silence = Some(SILENCE);
            pair.config(side).send_buffer = history.settings.send_buffer;
            let (wire, ledger) = (wire.clone(), ledger.clone());
            pair.tamper(side, move |bytes| wire.carry(bytes, name(side), &ledger));
        }
        SIDES.into_iter().for_each(|side| pair.trust(side));
        Self { pair, scene: history.scene, ledger, elapsed: Duration::ZERO, ends: Default::default(), wires }
    }

    fn perform(&mut self, operation: &Operation) {
        let text = operation.to_string();
        let ms = self.ms();
        self.ledger.note(&[text.as_bytes()], || Some(Line::op(ms, "application", &text)));
        match operation {
            Operation::Connect(trust) => self.connect(*trust),
            Operation::Link(who, action) => self.act(side(*who), *action),
            Operation::Wire(who, fault) => {
                self.wires[ledger::place(side(*who))].0.borrow_mut().faults.push_back(*fault)
            }
            Operation::Slow(who, slow) => self.ends[ledger::place(side(*who))].slow = *slow,
            Operation::Manners(who, manners) => self.ends[ledger::place(side(*who))].manners = *manners,
            Operation::Pieces(bytes) => self.pair.cut = usize::try_from(*bytes).unwrap_or(0),
            Operation::Pipe(bytes) => self.pair.pipe = usize::try_from(*bytes).unwrap_or(0),
            Operation::Run(millis) => self.run_for(Duration::from_millis(u64::from(*millis))),
            _ => {}
        }
        self.settle();
    }

    /// Makes new links. Those that were there are gone without a word, as when a process ends.
    fn connect(&mut self, trust: Trust) {
        for (side, end) in SIDES.into_iter().zip(&mut self.ends) {
            if let Some(keys) = end.keys.take() {
                self.ledger.with_end(keys, side, |end| end.live = false);
            }
            *end = End { manners: end.manners, slow: end.slow, ..End::default() };
        }
        for wire in &self.wires {
            *wire.0.borrow_mut() = Planned::default();
        }
        if self.scene == Scene::ServerLink {
            let mut client = ServerTerms::new(policy(trust));
            client.present_certificate = true;
            return self.pair.start_client_and_server(&client, &ClientTerms::new());
        }
        let ours = match trust {
            Trust::Password => Terms::new(TrustPolicy::Pinned).with_password(password(PASSWORD)),
            Trust::WrongPassword => Terms::new(TrustPolicy::Pinned).with_password(password(WRONG)),
            Trust::Pinned | Trust::Ask | Trust::LeapOfFaith => Terms::new(policy(trust)),
        };
        let theirs = Terms::new(TrustPolicy::Pinned).asking_password();
        let accepts = self.ends[1].manners == Manners::Good || self.ends[1].manners == Manners::Mistaken;
        self.pair.start(ours, accepts.then_some(theirs));
    }

    fn act(&mut self, side: Side, action: LinkAction) {
        let end = &mut self.ends[ledger::place(side)];
        if !self.pair.is_started(side) {
            return;
        }
        match action {
            LinkAction::Send(count) => end.wants += u64::from(count),
            LinkAction::Write(bytes) => {
                end.size = bytes;
                end.wants += 1;
            }
            LinkAction::Close => self.pair.with_any(side, |link, now| link.close(now)),
            LinkAction::CutOff => {
                self.ledger.fault();
                self.pair.cut_off(side);
            }
        }
    }

    /// Lets everything happen that happens at once: the ends talk, and their applications answer.
    fn settle(&mut self) {
        loop {
            for side in SIDES {
                let slow = self.ends[ledger::place(side)].slow;
                self.pair.ignore_events(side, slow);
            }
            self.pair.run();
            let mut any = false;
            for side in SIDES {
                if self.pair.is_started(side) {
                    for event in self.pair.take_events(side) {
                        any = true;
                        self.handle_event(side, event);
                    }
                    any |= self.pump(side);
                }
            }
            if !any {
                break;
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(5));
            self.pair.run_for(step);
            self.elapsed += step;
            left -= step;
            self.settle();
        }
    }

    fn handle_event(&mut self, side: Side, event: LinkEvent) {
        let place = ledger::place(side);
        let (ms, own) = (self.ms(), name(side));
        let line = Line::link_event(ms, own, None, &event);
        self.ledger.note(&[line.to_json().as_bytes()], || Some(line));
        if self.ends[place].closed {
            self.fail(side, format!("a link that has ended tells something: {event:?}"));
        }
        match event {
            LinkEvent::PasswordRequired => {
                let answer = match self.ends[place].manners {
                    Manners::Good => Some(password(PASSWORD)),
                    Manners::Mistaken => Some(password(WRONG)),
                    Manners::Refusing => None,
                    Manners::Silent => return,
                };
                // Nothing is asked any more where the link has ended.
                let _ = self.pair.with(side, |link, now| link.provide_password(now, answer));
            }
            LinkEvent::TrustRequired { question } => {
                let other = self.pair.identity(ledger::other(side)).fingerprint_sha256();
                let is_true = question.certificate.fingerprint_sha256() == other;
                let decision = match self.ends[place].manners {
                    Manners::Silent => return,
                    Manners::Good | Manners::Mistaken if is_true => TrustDecision::Accept,
                    Manners::Good | Manners::Mistaken | Manners::Refusing => TrustDecision::Refuse,
                };
                let _ = match self.scene {
                    Scene::ServerLink => self.pair.with_client(|link, now| link.trust(now, decision)),
                    Scene::PeerLink | Scene::Tunnels => self.pair.with(side, |link, now| link.trust(now, decision)),
                };
            }
            LinkEvent::FeaturesRequired { .. } => {
                let _ = self.pair.with_server(|link, now| link.send_features(now, &Features::default()));
            }
            LinkEvent::Secured { security } => {
                let other = self.pair.identity(ledger::other(side)).fingerprint_sha256();
                if security.certificate.is_some_and(|certificate| certificate.fingerprint_sha256() != other) {
                    self.fail(side, "a link is secured by a certificate that is not the peer's".to_owned());
                }
                self.secured(side);
            }
            // A server knows its client once that has authenticated, which takes more than TLS.
            LinkEvent::Encrypted { .. } if self.scene == Scene::ServerLink && side == Side::Responder => {
                self.secured(side)
            }
            LinkEvent::Features(_) if !self.ends[place].authenticated => {
                self.ends[place].authenticated = true;
                let _ = self.pair.with_client(|link, now| link.authenticate_external(now, None));
            }
            LinkEvent::Stanza { stanza } => self.take_message(side, &stanza),
            LinkEvent::Closed(closed) => {
                self.ledger.ending(format!("{}: {}", closed.by.as_str(), closed.reason));
                self.ends[place].closed = true;
                if let Some(keys) = self.ends[place].keys {
                    self.ledger.with_end(keys, side, |end| end.live = false);
                    let sent = self.ledger.end(keys, ledger::other(side)).map_or(0, |end| end.sent);
                    let in_order = closed.by == EndedBy::Remote && matches!(closed.reason, CloseReason::Done);
                    let got = self.ends[place].got;
                    if in_order && got != sent {
                        self.fail(side, format!("the peer ended in order, and {got} of {sent} came"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes the keys of a link that is secured: at a server's end, of one whose client it cannot name.
    fn secured(&mut self, side: Side) {
        let place = ledger::place(side);
        let Some(binding) = self.pair.with_any(side, |link, _| link.channel_binding()) else { return };
        let keys: Exported = *binding.first_chunk().expect("a binding has 32 bytes");
        match self.ends[place].keys.replace(keys) {
            None => {}
            // The server's client has authenticated now.
            Some(before) if before == keys && self.scene == Scene::ServerLink && side == Side::Responder => return,
            Some(_) => self.fail(side, "a link is secured twice".to_owned()),
        }
        if let Err(words) = self.ledger.secure(keys, side, place) {
            self.fail(side, words);
        }
    }

    /// Sends what the application wants to send; whether any was taken.
    fn pump(&mut self, side: Side) -> bool {
        let is_open = self.pair.link(side).stage() == Stage::Open;
        let end = &mut self.ends[ledger::place(side)];
        if end.keys.is_none() || !is_open || end.closed {
            return false;
        }
        let mut any = false;
        while end.wants > 0 {
            let text = format!("{CANARY} {} {}", end.sent, "y".repeat(usize::try_from(end.size).unwrap_or(0)));
            let builder = Element::builder("message", "jabber:client").open("body", "jabber:client");
            let Ok(message) = builder.text(&text).close().build() else { break };
            if self.pair.send(side, &message).is_err() {
                break;
            }
            any = true;
            end.wants -= 1;
            end.sent += 1;
            let sent = end.sent;
            if let Some(keys) = end.keys {
                self.ledger.with_end(keys, side, |end| end.sent = sent);
            }
        }
        any
    }

    fn take_message(&mut self, side: Side, stanza: &Element) {
        let place = ledger::place(side);
        let Some(keys) = self.ends[place].keys else {
            // Where it had ended before a slow application saw that it is secured, whose words came is not known.
            if self.pair.link(side).stage() != Stage::Ended {
                self.fail(side, "a stanza arrives before the link is secured".to_owned());
            }
            return;
        };
        let text = stanza.child("body", "jabber:client").map(|body| body.text()).unwrap_or_default();
        let number = text.split(' ').nth(1).and_then(|number| number.parse::<u64>().ok());
        let expected = self.ends[place].got;
        self.ends[place].got += 1;
        self.ledger.with_end(keys, side, |end| end.got = expected + 1);
        self.ledger.deliver(text.len());
        let sent = self.ledger.end(keys, ledger::other(side)).map_or(0, |end| end.sent);
        if number != Some(expected) || expected >= sent {
            self.fail(side, format!("message {number:?} arrives where {expected} of {sent} is expected"));
        }
    }

    /// The faults end, and everything is delivered or ended; then both ends are closed.
    fn come_to_rest(&mut self) {
        for wire in &self.wires {
            wire.0.borrow_mut().faults.clear();
        }
        for end in &mut self.ends {
            end.slow = false;
            end.manners = Manners::Good;
        }
        self.pair.pipe = 0;
        self.pair.cut = 0;
        self.settle();
        self.run_for(LIVENESS);
        if !SIDES.into_iter().all(|side| self.pair.is_started(side)) {
            return;
        }
        for side in SIDES {
            let end = &self.ends[ledger::place(side)];
            let stage = self.pair.link(side).stage();
            if !end.closed && stage != Stage::Open {
                self.fail(side, format!("a link is neither open nor ended: {stage:?}"));
            }
        }
        let rest: BTreeMap<_, _> =
            SIDES.into_iter().map(|side| (ledger::place(side), &self.ends[ledger::place(side)])).collect();
        if let [one, other] = [rest[&0], rest[&1]]
            && !one.closed
            && !other.closed
            && (one.sent != other.got || other.sent != one.got || one.wants + other.wants > 0)
        {
            let words = format!("a link lives, and {}/{} and {}/{} came", other.got, one.sent, one.got, other.sent);
            self.fail(Side::Initiator, words);
        }
        for side in SIDES {
            self.pair.with_any(side, |link, now| link.close(now));
        }
        self.run_for(Duration::from_secs(60));
        for side in SIDES {
            if self.pair.link(side).stage() != Stage::Ended || !self.ends[ledger::place(side)].closed {
                self.fail(side, "a link did not end after it was closed".to_owned());
            }
        }
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(0)
    }

    fn fail(&self, side: Side, words: String) {
        let (ms, own) = (self.ms(), name(side));
        self.ledger.fail(|words| Line::failure(ms, own, words), format!("{own}: {words}"));
    }
}

impl Wire {
    /// Does what is planned to what an end has sent.
    fn carry(&self, bytes: &mut Vec<u8>, own: &str, ledger: &Ledger) {
        let mut planned = self.0.borrow_mut();
        ledger.note(&[own.as_bytes(), bytes], || Some(Line::bytes(0, own, Direction::Out, bytes.len())));
        if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
            ledger.fail(|words| Line::failure(0, own, words), format!("{own}: plaintext is on the wire"));
        }
        let kept_back = std::mem::take(&mut planned.kept_back);
        if let Some(fault) = planned.faults.pop_front() {
            ledger.fault();
            ledger.note(&[], || Some(Line::fault(0, own, &fault.to_string())));
            let pick = |number: u32, length: usize| usize::try_from(number).unwrap_or(0) % length.max(1);
            match fault {
                WireFault::Drop => bytes.clear(),
                WireFault::Duplicate => bytes.extend_from_within(..),
                WireFault::Flip(bit) => {
                    let bit = pick(bit, bytes.len() * 8);
                    if let Some(byte) = bytes.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                }
                WireFault::Cut(count) => bytes.truncate(bytes.len() - pick(count, bytes.len()).min(bytes.len())),
                WireFault::Insert(count) => {
                    bytes.splice(..0, (0..count).map(|at| u8::try_from(at % 251).unwrap_or(0)));
                }
                WireFault::Swap => planned.kept_back = std::mem::take(bytes),
            }
        }
        bytes.extend_from_slice(&kept_back);
    }
}

fn side(who: Who) -> Side {
    if who == Who::Romeo { Side::Initiator } else { Side::Responder }
}

fn name(side: Side) -> &'static str {
    if side == Side::Initiator { "romeo@forza" } else { "juliet@pronto" }
}

fn policy(trust: Trust) -> TrustPolicy {
    match trust {
        Trust::Ask => TrustPolicy::Ask,
        Trust::LeapOfFaith => TrustPolicy::LeapOfFaith,
        Trust::Pinned | Trust::Password | Trust::WrongPassword => TrustPolicy::Pinned,
    }
}

fn password(text: &str) -> Password {
    Password::new(text).expect("a password that SASLprep takes")
}
