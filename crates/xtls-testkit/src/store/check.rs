//! What every trust store has to do.

mod guesses;
mod meetings;
#[cfg(test)]
mod tests;

use core::{fmt::Debug, time::Duration};
use std::sync::{Arc, Mutex};

use xtls::{
    jid::BareJid,
    trust::{Guess, GuessLimits, Permit, TrustRecord, TrustStore},
};

/// Holds a [`TrustStore`] to what the library, and whoever relies on it, counts on: the rules of
/// [`TrustRecord`], by name, across processes, and at once.
///
/// `place` makes a place for a store where nothing is known yet: a directory, say. `open` opens the store there, as another
/// process would. Several are open at a time, in several threads too. A store that one process alone can have is its own place:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use xtls::trust::MemoryTrustStore;
///
/// xtls_testkit::check_store(Arc::<Mutex<MemoryTrustStore>>::default, Arc::clone);
/// ```
///
/// It writes some hundred times. How the store fails is its own: try that with a [`FailingStore`](crate::FailingStore) over it, or
/// with a place that cannot be read.
///
/// # Panics
///
/// When the store breaks a rule, in the words of the rule; and when it fails.
pub fn check_store<P, S: TrustStore + 'static>(place: impl Fn() -> P, open: impl Fn(&P) -> S) {
    let shop = || Shop { place: place(), open: &open };
    nobody_is_known_at_first(&shop());
    guesses::check(shop);
    meetings::check(shop);
}

/// A place, and how a store is opened there.
struct Shop<'a, P, S> {
    place: P,
    open: &'a dyn Fn(&P) -> S,
}

impl<P, S: TrustStore> Shop<'_, P, S> {
    /// As another process does.
    fn open(&self) -> S {
        (self.open)(&self.place)
    }

    /// The same for several owners.
    fn shared(&self) -> Arc<Mutex<S>> {
        Arc::new(Mutex::new(self.open()))
    }

    /// What is known of a peer, by one who opens the store now.
    fn known(&self, peer: &str) -> TrustRecord {
        self.open().record(&jid(peer)).expect("the store can be read")
    }

    /// Whether a guess between the two may be made, by one who opens the store now.
    fn guess(&self, own: &str, peer: &str, guess: &Guess) -> Permit {
        self.open().begin_guess(&jid(own), &jid(peer), guess).expect("a guess can be counted")
    }

    fn was_right(&self, own: &str, peer: &str) {
        self.open().guess_was_right(&jid(own), &jid(peer)).expect("it can be written");
    }

    fn locked_until(&self, own: &str, peer: &str, guess: &Guess) -> Option<u64> {
        let until = self.open().locked_until(&jid(own), &jid(peer), guess).expect("the store can be read");
        until.map(|until| until.as_secs())
    }
}

fn nobody_is_known_at_first<P, S: TrustStore>(shop: &Shop<'_, P, S>) {
    rule(shop.known(PEER), TrustRecord::default(), "nothing is known of a peer that was never met");
    rule(shop.locked_until(OWN, PEER, &guess(NOW)), None, "a peer that was never met may guess");
}

const OWN: &str = "romeo@montague.lit";
const PEER: &str = "juliet@capulet.lit";
const NOW: u64 = 1_760_000_000;

fn jid(text: &str) -> BareJid {
    text.parse().expect("an address")
}

/// A guess at this time, where three wrong ones are allowed in a row, and then one in ten minutes.
fn guess(time: u64) -> Guess {
    let mut limits = GuessLimits::default();
    limits.cooldown = Duration::from_secs(600);
    Guess::new(crate::unix(time), limits)
}

fn until(time: u64) -> Permit {
    Permit::Locked { until: crate::unix(time) }
}

/// What holds of every store.
#[track_caller]
fn rule<T: PartialEq + Debug>(is: T, should: T, words: &str) {
    assert!(is == should, "{words}: {is:?}, and not {should:?}");
}
