//! Channel against channel, in memory.

mod handshake;
mod judged;
mod pins;
mod server;
mod store;
mod table;
mod versions;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use rustls::crypto::CryptoProvider;
use xtls_stanza::jid::Jid;
use xtls_tls::{Identity, KeyAlgorithm, UnixTime, default_provider};

use super::*;
use crate::{
    clock::Clock,
    environment::{Local, SecurityLimits},
    guess::{Attempts, Guess, GuessCount, Permit},
    record::{Confirmation, Confirmed, Learned, Pin, TrustRecord},
    store::{MemoryTrustStore, TrustStore},
    terms::TrustPolicy,
};

/// 2025-10-09.
const UNIX: u64 = 1_760_000_000;

fn time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
const I: Side = Side::Initiator;
const R: Side = Side::Responder;
const SIDES: [Side; 2] = [I, R];

/// How a pair does TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// TLS 1.3 with certificates.
    V13,
    /// TLS 1.2 with certificates.
    V12,
    /// A password.
    Srp,
}

const EACH_TLS: [Tls; 3] = [Tls::V13, Tls::V12, Tls::Srp];

/// A call of the trust store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Record,
    LockedUntil,
    BeginGuess,
    GuessWasRight,
    Confirm,
}

/// A store that notes what it is asked, fails where it is told to, and lets another engine write before a confirmation.
#[derive(Debug, Default)]
struct Watched {
    memory: MemoryTrustStore,
    calls: Vec<Call>,
    fails: Option<(Call, usize)>,
    /// What another engine pins before the next confirmations, one each.
    meanwhile: Vec<Pin>,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Watched>>);

/// One end: its channel, and what came in and is to go out.
struct End {
    channel: Channel,
    env: Environment,
    store: Shared,
    peer: BareJid,
    plaintext: Vec<u8>,
    out: Vec<u8>,
    tickets: bool,
}

/// Two ends that are about to begin.
struct Pair([End; 2]);

/// What a pair is made of.
struct Setup {
    tls: Tls,
    terms: [Terms; 2],
    stores: [Shared; 2],
    /// Whether a responder tells by a session ticket that it has accepted its peer.
    tickets: bool,
}

fn failed() -> StoreError {
    StoreError::new("the disk is full")
}

fn jid(side: Side) -> BareJid {
    let name = if side == I { "romeo@montague.lit" } else { "juliet@capulet.lit" };
    name.parse().expect("a JID")
}

fn other(side: Side) -> Side {
    if side == I { R } else { I }
}

fn at(side: Side) -> usize {
    usize::from(side == R)
}

fn identity(side: Side) -> Identity {
    static IDENTITIES: OnceLock<[Identity; 2]> = OnceLock::new();
    let make =
        |side| Identity::generate(&jid(side), KeyAlgorithm::EcdsaP256, time(UNIX)).expect("there are random numbers");
    IDENTITIES.get_or_init(|| SIDES.map(make))[at(side)].clone()
}

fn fingerprint(side: Side) -> Fingerprint {
    identity(side).fingerprint_sha256()
}

fn another() -> Fingerprint {
    Fingerprint::sha256(b"another certificate")
}

fn provider(tls: Tls) -> Arc<CryptoProvider> {
    let mut provider = (*default_provider()).clone();
    if tls == Tls::V12 {
        provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    }
    Arc::new(provider)
}

fn word() -> Password {
    Password::new("wherefore").expect("a password")
}

fn by_word() -> Terms {
    Terms::new(TrustPolicy::Pinned).with_password(word())
}

impl Watched {
    /// Notes a call; whether it is to fail.
    fn note(&mut self, call: Call) -> Result<(), StoreError> {
        let earlier = self.count(call);
        self.calls.push(call);
        if self.fails == Some((call, earlier)) { Err(failed()) } else { Ok(()) }
    }

    fn count(&self, call: Call) -> usize {
        self.calls.iter().filter(|one| **one == call).count()
    }
}

impl Shared {
    fn with<T>(&self, action: impl FnOnce(&mut Watched) -> T) -> T {
        action(&mut self.0.lock().expect("nothing panicked before"))
    }

    fn count(&self, call: Call) -> usize {
        self.with(|store| store.count(call))
    }

    fn pin(&self, peer: Side, fingerprint: Fingerprint) {
        self.with(|store| store.memory.pin(&jid(peer), Pin::manual(fingerprint)));
    }
}

impl TrustStore for Shared {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.with(|store| store.note(Call::Record).and_then(|()| store.memory.record(peer)))
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.with(|store| store.note(Call::LockedUntil).and_then(|()| store.memory.locked_until(local, peer, guess)))
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.with(|store| store.note(Call::BeginGuess).and_then(|()| store.memory.begin_guess(local, peer, guess)))
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.with(|store| store.note(Call::GuessWasRight).and_then(|()| store.memory.guess_was_right(local, peer)))
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.with(|store| {
            store.note(Call::Confirm)?;
            if let Some(pin) = store.meanwhile.pop() {
                store.memory.pin(peer, pin);
            }
            store.memory.confirm(peer, confirmed)
        })
    }
}

impl Setup {
    /// Ends that know one another: by their certificates, or by the password.
    fn new(tls: Tls) -> Self {
        let setup = Self::strangers(tls, TrustPolicy::Pinned);
        if tls != Tls::Srp {
            SIDES.iter().for_each(|side| setup.stores[at(*side)].pin(other(*side), fingerprint(other(*side))));
        }
        setup
    }

    /// Ends that know nothing of one another but, if that is the method, the password.
    fn strangers(tls: Tls, trust: TrustPolicy) -> Self {
        let terms = if tls == Tls::Srp { by_word() } else { Terms::new(trust) };
        Self { tls, terms: [terms.clone(), terms], stores: [Shared::default(), Shared::default()], tickets: true }
    }

    fn trust(mut self, side: Side, trust: TrustPolicy) -> Self {
        self.terms[at(side)].trust = trust;
        self
    }

    fn store(&self, side: Side) -> &Shared {
        &self.stores[at(side)]
    }

    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point; time stands still")]
    fn end(&self, side: Side) -> Result<End, Box<Fault>> {
        let local = Local::new(Jid::from(jid(side)), identity(side)).with_provider(provider(self.tls));
        let store = self.store(side).clone();
        let clock = Clock::new(Instant::now(), time(UNIX));
        let (_, env) = Environment::new(local, SecurityLimits::default(), Box::new(store.clone()), clock);
        let (peer, terms) = (jid(other(side)), self.terms[at(side)].clone());
        let channel = Channel::new(side, peer.clone(), terms, Announcements::Every, &env)?;
        Ok(End { channel, env, store, peer, plaintext: Vec::new(), out: Vec::new(), tickets: self.tickets })
    }

    /// Both ends, TLS not begun.
    fn pair(&self) -> Pair {
        Pair(SIDES.map(|side| self.end(side).expect("the store can be read")))
    }

    /// The client's first flight is out.
    fn begun(&self) -> Pair {
        let mut pair = self.pair();
        pair.begin(self.method());
        pair
    }

    fn method(&self) -> Method {
        if self.tls == Tls::Srp { Method::Srp } else { Method::X509 }
    }

    /// Both ends, secured and confirmed.
    fn secured(&self) -> Pair {
        let mut pair = self.begun();
        pair.settle();
        assert!(SIDES.iter().all(|side| pair.security(*side).confirmed));
        pair
    }
}

impl End {
    fn read(&mut self, records: &[u8]) -> Progress {
        let mut io = Io { env: &mut self.env, plaintext: &mut self.plaintext, out: &mut self.out };
        if self.channel.is_listening() {
            let start = Start { ticket: self.tickets, ..Start::PLAIN };
            let listen = Listen { agreed: None, answered: &[Method::X509, Method::Srp], start };
            return self.channel.listen(records, listen, &mut io);
        }
        self.channel.read(records, &mut io)
    }

    fn decide(&mut self, decision: TrustDecision) -> Progress {
        let mut io = Io { env: &mut self.env, plaintext: &mut self.plaintext, out: &mut self.out };
        self.channel.decide(decision, &mut io)
    }

    /// Takes what is to go out, which has left by that.
    fn send(&mut self) -> Vec<u8> {
        self.channel.flight_left();
        std::mem::take(&mut self.out)
    }

    fn confirm(&mut self, sign: Sign) -> Progress {
        let mut io = Io { env: &mut self.env, plaintext: &mut self.plaintext, out: &mut self.out };
        self.channel.confirm(sign, &mut io)
    }

    fn write(&mut self, plaintext: &[u8]) {
        self.channel.write(plaintext, &mut self.out).expect("the peer is accepted");
    }

    fn record(&self) -> TrustRecord {
        self.store.with(|store| store.memory.record(&self.peer).expect("it is in memory"))
    }

    /// Neither authenticated nor anything to be had from it.
    fn is_dead(&self) -> bool {
        self.channel.security().is_none()
            && self.channel.channel_binding().is_none()
            && self.out.is_empty()
            && self.plaintext.is_empty()
            && self.channel.state.name() == "closed"
    }
}

impl Pair {
    fn end(&mut self, side: Side) -> &mut End {
        &mut self.0[at(side)]
    }

    fn begin(&mut self, method: Method) {
        let End { channel, env, out, .. } = self.end(I);
        channel.start(method, Start::PLAIN, env, out).expect("TLS can be set up");
    }

    /// Hands what one end has sent to the other one.
    fn pass(&mut self, from: Side) -> Progress {
        let records = self.end(from).send();
        self.end(other(from)).read(&records)
    }

    /// Passes everything to and fro until nothing is left; nothing fails on the way.
    fn settle(&mut self) {
        while let Some(side) = SIDES.into_iter().find(|side| !self.end(*side).out.is_empty()) {
            let progress = self.pass(side);
            assert!(progress.fault.is_none(), "{progress:?}");
        }
    }

    /// Passes flight by flight until this end is about to be handed the one that completes its handshake; gives that.
    fn last_flight_for(&mut self, side: Side, tls: Tls) -> Vec<u8> {
        // TLS 1.2 has one more flight, the server's last.
        let flights = match (side, tls) {
            (Side::Responder, _) => 2,
            (_, Tls::V13) => 1,
            _ => 3,
        };
        for flight in 0..flights {
            let progress = self.pass(if flight % 2 == 0 { I } else { R });
            assert!(progress.fault.is_none(), "{progress:?}");
        }
        self.end(other(side)).send()
    }

    fn security(&mut self, side: Side) -> Security {
        self.end(side).channel.security().expect("it is secured").clone()
    }

    fn states(&self) -> [&'static str; 2] {
        [self.0[0].channel.state.name(), self.0[1].channel.state.name()]
    }
}

fn fault(progress: Progress) -> Fault {
    *progress.fault.expect("it fails")
}
