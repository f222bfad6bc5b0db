//! What is known of one peer, and what changes it.

use xtls_stanza::{Fingerprint, Method};

/// How a pin came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The user compared or supplied the fingerprint.
    Manual,
    /// It was the first certificate seen.
    LeapOfFaith,
}

/// A certificate that a peer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// The digest of the DER certificate. The library itself only ever stores SHA-256.
    pub fingerprint: Fingerprint,
    /// How it came to be.
    pub learned: Learned,
}

/// What is known of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustRecord {
    /// Its certificates, one for each device perhaps.
    pub pins: Vec<Pin>,
    /// By which methods it was secured and confirmed before, none of them twice. From then on it is expected to speak one of
    /// them, or to hold a pinned certificate: see [`Fault::Downgraded`](crate::Fault::Downgraded).
    pub secured_by: Vec<Method>,
    /// Guesses at the password that were not right, by either side.
    pub attempts: Attempts,
}

/// Guesses at a password that were not right, or did not get to their end. Somebody in between may have made each of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempts {
    /// How many since the last right one.
    pub failed: u32,
    /// When the last one began, in seconds of Unix time.
    pub last_unix: u64,
}

/// A guess that is about to be made, and the bounds it is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guess {
    /// Now, in seconds of Unix time.
    pub unix_time: u64,
    /// Wrong guesses until no more may be made.
    pub tries: u32,
    /// For how many seconds; after that one more may be made for each time as long, until one is right.
    pub cooldown: u64,
}

/// Whether a guess may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Permit {
    /// It may, and has been counted.
    Granted,
    /// It may not.
    Locked {
        /// Until when, in seconds of Unix time.
        until: u64,
    },
}

/// The proof that both ends of a tunnel or link have authenticated one another. Only the library makes one, so nothing else
/// can cause a pin to be learned from the network.
#[derive(Debug)]
pub struct Confirmed {
    method: Method,
    /// The pins that the judgement was made by; `None` where none was, with a password.
    judged_by: Option<Vec<Fingerprint>>,
    learn: Option<Learn>,
}

/// What became of a [`Confirmed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Confirmation {
    /// It is remembered.
    Remembered,
    /// The pins have changed since the judgement; nothing was remembered. The certificate is judged again by the new ones.
    PinsChanged,
}

/// What is to be learned from a certificate that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learn {
    pub(crate) pin: Pin,
    /// The same certificate's pin by a weaker digest, which goes.
    pub(crate) replaces: Option<Fingerprint>,
}

impl Pin {
    /// A pin that the user vouches for.
    #[must_use]
    pub fn manual(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, learned: Learned::Manual }
    }

    /// A pin that came to be in the given way.
    #[must_use]
    pub fn new(fingerprint: Fingerprint, learned: Learned) -> Self {
        Self { fingerprint, learned }
    }
}

impl Guess {
    /// A guess at this Unix time, where `tries` wrong ones are allowed until a cool-down of so many seconds.
    #[must_use]
    pub fn new(unix_time: u64, tries: u32, cooldown: u64) -> Self {
        Self { unix_time, tries, cooldown }
    }
}

impl TrustRecord {
    /// Adds a pin unless there is one for the same digest; the user's word replaces a leap of faith.
    pub fn add(&mut self, pin: Pin) {
        match self.pins.iter_mut().find(|known| known.fingerprint == pin.fingerprint) {
            Some(known) if pin.learned == Learned::Manual => *known = pin,
            Some(_) => {}
            None => self.pins.push(pin),
        }
    }

    /// Whether it was secured and confirmed before.
    #[must_use]
    pub fn secured_before(&self) -> bool {
        !self.secured_by.is_empty()
    }

    /// Notes that it was secured by this method.
    pub fn note_secured(&mut self, method: Method) {
        if !self.secured_by.contains(&method) {
            self.secured_by.push(method);
        }
    }

    /// Does what [`TrustStore::confirm`](crate::TrustStore::confirm) is for: notes the method, and the new pin if there is one,
    /// in the place of a weaker one for the same certificate; unless the pins have changed since the judgement.
    pub fn confirm(&mut self, confirmed: &Confirmed) -> Confirmation {
        let is_as_judged = |by: &Vec<Fingerprint>| {
            by.len() == self.pins.len() && self.pins.iter().all(|pin| by.contains(&pin.fingerprint))
        };
        if !confirmed.judged_by.as_ref().is_none_or(is_as_judged) {
            return Confirmation::PinsChanged;
        }
        self.note_secured(confirmed.method);
        if let Some(Learn { pin, replaces }) = confirmed.learn {
            self.pins.retain(|known| Some(known.fingerprint) != replaces);
            self.add(pin);
        }
        Confirmation::Remembered
    }

    /// Does what [`TrustStore::begin_guess`](crate::TrustStore::begin_guess) is for.
    pub fn begin_guess(&mut self, guess: &Guess) -> Permit {
        if let Some(until) = self.locked_until(guess) {
            return Permit::Locked { until };
        }
        self.attempts = Attempts { failed: self.attempts.failed.saturating_add(1), last_unix: guess.unix_time };
        Permit::Granted
    }

    /// Does what [`TrustStore::guess_was_right`](crate::TrustStore::guess_was_right) is for.
    pub fn guess_was_right(&mut self) {
        self.attempts = Attempts::default();
    }

    /// Until when, in Unix time, a guess like this one may not be made.
    #[must_use]
    pub fn locked_until(&self, guess: &Guess) -> Option<u64> {
        let until = self.attempts.last_unix.saturating_add(guess.cooldown);
        (self.attempts.failed >= guess.tries && guess.unix_time < until).then_some(until)
    }

    /// The digests of its pins.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.pins.iter().map(|pin| pin.fingerprint).collect()
    }
}

impl Confirmed {
    pub(crate) fn new(method: Method, judged_by: Option<Vec<Fingerprint>>, learn: Option<Learn>) -> Self {
        Self { method, judged_by, learn }
    }

    /// The method that secured it.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The pin to remember, if the certificate was not pinned yet.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.learn.map(|learn| learn.pin)
    }

    /// The fingerprint that the new pin stands in for: the same certificate by a weaker digest than SHA-256.
    #[must_use]
    pub fn replaces(&self) -> Option<Fingerprint> {
        self.learn.and_then(|learn| learn.replaces)
    }

    /// The digests that were pinned when the certificate was judged; `None` with a password, where none is.
    #[must_use]
    pub fn judged_by(&self) -> Option<&[Fingerprint]> {
        self.judged_by.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_word_replaces_a_leap_of_faith_and_not_the_other_way_round() {
        let fingerprint = Fingerprint::sha256(b"certificate");
        let mut record = TrustRecord::default();
        record.add(Pin::new(fingerprint, Learned::LeapOfFaith));
        record.add(Pin::manual(fingerprint));
        record.add(Pin::new(fingerprint, Learned::LeapOfFaith));
        assert_eq!(record.pins, [Pin::manual(fingerprint)]);
    }

    #[test]
    fn a_weak_pin_gives_way_to_the_strong_one_for_the_same_certificate() {
        let weak = Pin::manual(Fingerprint::sha1(b"certificate"));
        let strong = Pin::manual(Fingerprint::sha256(b"certificate"));
        let other = Pin::manual(Fingerprint::sha1(b"another device's"));
        let mut record = TrustRecord { pins: vec![weak, other], ..TrustRecord::default() };
        let learn = Learn { pin: strong, replaces: Some(weak.fingerprint) };
        let judged_by = Some(vec![other.fingerprint, weak.fingerprint]);
        let confirmed = Confirmed::new(Method::X509, judged_by, Some(learn));
        assert_eq!(record.confirm(&confirmed), Confirmation::Remembered);
        assert_eq!(record.pins, [other, strong]);
    }

    #[test]
    fn a_confirmation_by_pins_that_have_changed_is_refused_and_changes_nothing() {
        let [first, second] = [b"one".as_slice(), b"other"].map(|der| Pin::manual(Fingerprint::sha256(der)));
        let leap = |pin| Confirmed::new(Method::X509, Some(Vec::new()), Some(Learn { pin, replaces: None }));
        let mut record = TrustRecord::default();
        assert_eq!(record.confirm(&leap(first)), Confirmation::Remembered);
        let before = record.clone();
        assert_eq!(record.confirm(&leap(second)), Confirmation::PinsChanged);
        // One that was taken away, and one that was put in its place.
        for judged_by in [vec![first.fingerprint, second.fingerprint], vec![second.fingerprint]] {
            let by_pin = Confirmed::new(Method::X509, Some(judged_by), None);
            assert_eq!(record.confirm(&by_pin), Confirmation::PinsChanged);
        }
        assert_eq!(record, before);
        // Pins are nothing to a password.
        assert_eq!(record.confirm(&Confirmed::new(Method::Srp, None, None)), Confirmation::Remembered);
        assert_eq!(record.secured_by, [Method::X509, Method::Srp]);
    }

    #[test]
    fn p14_three_guesses_and_then_one_for_each_cool_down() {
        let at = |unix_time| Guess::new(unix_time, 3, 600);
        let mut record = TrustRecord::default();
        for guesses in 0..3 {
            assert_eq!(record.attempts.failed, guesses);
            assert_eq!(record.begin_guess(&at(1000)), Permit::Granted);
        }
        for time in [1000, 1599] {
            assert_eq!(record.begin_guess(&at(time)), Permit::Locked { until: 1600 });
        }
        assert_eq!(record.attempts, Attempts { failed: 3, last_unix: 1000 });
        assert_eq!(record.begin_guess(&at(1600)), Permit::Granted);
        assert_eq!(record.begin_guess(&at(1601)), Permit::Locked { until: 2200 });
        assert_eq!(record.begin_guess(&at(2200)), Permit::Granted);
        record.guess_was_right();
        assert_eq!(record.locked_until(&at(2200)), None);
        assert_eq!(record.attempts, Attempts::default());
    }
}
