//! A link between two ends, of which one remembers in a trust file: nothing else makes a confirmation.

#![allow(
    clippy::unwrap_in_result,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "it is a test, in real time"
)]

use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use xtls::jid::Jid;
use xtls::link::{LinkEvent, LinkSetup, PeerLink};
use xtls::{Identity, Local, Terms, TrustPolicy, tls::KeyAlgorithm};

use super::*;

const ROMEO: &str = "romeo@forza";
const JULIET: &str = "juliet@pronto";

/// A trust file that another process writes to just before a confirmation.
#[derive(Debug)]
struct Raced {
    trust: FileTrustStore,
    pin: Option<Pin>,
    seen: Sender<Result<Confirmation, StoreError>>,
}

impl TrustStore for Raced {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.trust.record(peer)
    }

    fn locked_until(&self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.trust.locked_until(own, peer, guess)
    }

    fn begin_guess(&mut self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.trust.begin_guess(own, peer, guess)
    }

    fn guess_was_right(&mut self, own: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.trust.guess_was_right(own, peer)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        if let Some(pin) = self.pin.take() {
            add(&FileTrustStore::open(self.trust.path()).unwrap(), peer, pin);
        }
        let result = self.trust.confirm(peer, confirmed);
        self.seen.send(result.clone()).unwrap();
        result
    }
}

/// Whose certificate is learned.
pub(super) fn peer() -> BareJid {
    jid(JULIET)
}

/// Two strangers meet, who take a leap of faith. What came of the first confirmation of the one with the trust file, where
/// another process writes the pin just before.
pub(super) fn meet(path: &Path, pin: Option<Pin>) -> Result<Confirmation, StoreError> {
    let (seen, confirmations) = mpsc::channel();
    let raced = Raced { trust: FileTrustStore::open(path).unwrap(), pin, seen };
    let terms = Terms::new(TrustPolicy::LeapOfFaith);
    let mut ends = [
        PeerLink::connect(setup(ROMEO, Box::new(raced)), Jid::new(JULIET).unwrap(), terms.clone(), Instant::now())
            .unwrap(),
        PeerLink::listen(setup(JULIET, Box::<MemoryTrustStore>::default()), None, Instant::now()).unwrap(),
    ];
    loop {
        if let Ok(seen) = confirmations.try_recv() {
            return seen;
        }
        for turn in 0..2 {
            let mut bytes = Vec::new();
            let _ = ends[turn].poll_transmit(Instant::now(), &mut bytes);
            let to = &mut ends[1 - turn];
            assert_eq!(to.handle_bytes(Instant::now(), &bytes), bytes.len());
            while let Some(event) = to.poll_event() {
                match event {
                    LinkEvent::Incoming { .. } => to.accept(Instant::now(), terms.clone()).unwrap(),
                    LinkEvent::Secured { .. } | LinkEvent::StreamOpened => {}
                    LinkEvent::Closed(_) if turn == 1 => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

fn setup(own: &str, store: Box<dyn TrustStore>) -> LinkSetup {
    let unix = at(1_760_000_000);
    let identity = Identity::generate(&jid(own), KeyAlgorithm::default(), unix).unwrap();
    LinkSetup::new(Local::new(Jid::new(own).unwrap(), identity), store, [7; 32], unix)
}
