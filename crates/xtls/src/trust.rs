//! Whom to believe: trust policies and the memory of peers.

use core::fmt;
use std::collections::BTreeMap;

use xtls_stanza::{Fingerprint, Method, jid::BareJid};

/// What makes a peer's certificate acceptable. There is no default: the embedder chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustPolicy {
    /// Only a certificate that the [`TrustStore`] has a pin for.
    Pinned,
    /// A pinned certificate, and any other one if somebody says yes to
    /// [`Event::TrustRequired`](crate::Event::TrustRequired). An initiator that asks insists on TLS 1.3, where it can keep
    /// back the end of the handshake meanwhile.
    Ask,
    /// A pinned certificate; for a peer without any pin whatever certificate it shows first, which is then pinned
    /// (draft-meyer-xmpp-e2e-encryption-02 § 5: discouraged, since a server in the middle may be the one that shows it).
    /// A certificate that differs from the pin is refused. Where the password method is allowed too, no leap is taken, unless
    /// somebody has answered that there is no password, while the password is locked by wrong guesses. A leap is for a first
    /// meeting: none is taken with a peer that has no pin but was secured before, by a password or an authority, unless
    /// somebody answers that there is no password (any more), or [`TunnelOptions::allow_downgrade`] is on. A certificate
    /// outside of its dates is refused: nobody looks at it.
    ///
    /// [`TunnelOptions::allow_downgrade`]: crate::TunnelOptions::allow_downgrade
    LeapOfFaith,
    /// A pinned certificate; for a peer without any pin one that the authorities of [`Local::authorities`] vouch for, and
    /// that names the peer's bare address (RFC 6120 § 13.7.1.4). Each is judged by itself: a certificate that differs from
    /// the pin is refused whoever vouches for it, and nothing is asked, leapt or pinned where the authorities say no.
    ///
    /// [`Local::authorities`]: crate::Local::authorities
    Authorities,
}

/// A person's judgement of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustDecision {
    /// It is the peer's: go on, and pin it as soon as the peer confirms us.
    Accept,
    /// It is not, or nobody knows: end the session with security-error.
    Refuse,
}

/// How a pin came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// A person compared or supplied the fingerprint.
    Manual,
    /// It was the first certificate seen.
    LeapOfFaith,
}

/// A certificate that a peer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// The digest of the DER certificate. The engine itself only ever stores SHA-256.
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
    /// By which methods tunnels with it were secured and confirmed before, none of them twice. It is expected to speak one of
    /// them, or to hold a pinned certificate, from then on: see [`Fault::Downgraded`](crate::Fault::Downgraded).
    pub secured_by: Vec<Method>,
    /// Passwords that were tried in vain, by either side.
    pub attempts: Attempts,
}

/// Passwords that were tried in vain. Each is a guess that somebody in between may have made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempts {
    /// How many since the last right one.
    pub failed: u32,
    /// When the last one was, in seconds of Unix time.
    pub last_unix: u64,
}

/// What came of a password that was put to the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordOutcome {
    /// Both ends have the same.
    Right,
    /// They do not, or somebody is in between: nobody can tell.
    Wrong,
}

/// The proof that both ends of a tunnel have authenticated one another: only the engine makes one, so nothing else can
/// cause a pin to be learned from the network.
#[derive(Debug)]
pub struct Confirmed {
    method: Method,
    pin: Option<Pin>,
    replaces: Option<Fingerprint>,
}

/// What is to be learned from a certificate that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learn {
    pub(crate) pin: Pin,
    pub(crate) replaces: Option<Fingerprint>,
}

/// The memory of peers, keyed by bare JID. It outlives engines; several engines of one user may share one.
///
/// Methods are called from inside the engine's own calls and must not block for long.
pub trait TrustStore: fmt::Debug + Send {
    /// What is known of `peer`; an empty record for one never met.
    fn record(&self, peer: &BareJid) -> TrustRecord;

    /// A tunnel with `peer` was secured and confirmed by both ends: remember that, and the pin if there is a new one, best
    /// by [`TrustRecord::confirm`].
    fn confirmed(&mut self, peer: &BareJid, confirmed: &Confirmed);

    /// A password was put to the test with `peer`: remember that, best by [`TrustRecord::password_tried`], across restarts
    /// too. Whoever forgets it gives away more guesses.
    fn password_tried(&mut self, peer: &BareJid, outcome: PasswordOutcome, unix_time: u64);
}

/// A [`TrustStore`] in memory.
///
/// ```
/// use xtls::{MemoryTrustStore, Pin, TrustStore as _};
/// use xtls_stanza::Fingerprint;
///
/// let mut store = MemoryTrustStore::default();
/// let juliet = "juliet@capulet.lit".parse()?;
/// store.pin(&juliet, Pin::manual(Fingerprint::sha256(b"certificate")));
/// assert_eq!(store.record(&juliet).pins.len(), 1);
/// # Ok::<(), xtls_stanza::jid::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryTrustStore {
    records: BTreeMap<BareJid, TrustRecord>,
}

impl Pin {
    /// A pin that a person vouches for.
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

impl TrustRecord {
    /// Adds a pin unless there is one for the same digest; a person's word replaces a leap of faith.
    pub fn add(&mut self, pin: Pin) {
        match self.pins.iter_mut().find(|known| known.fingerprint == pin.fingerprint) {
            Some(known) if pin.learned == Learned::Manual => *known = pin,
            Some(_) => {}
            None => self.pins.push(pin),
        }
    }

    /// Whether a tunnel with it was secured and confirmed before.
    #[must_use]
    pub fn secured_before(&self) -> bool {
        !self.secured_by.is_empty()
    }

    /// Notes that a tunnel was secured by this method.
    pub fn note_secured(&mut self, method: Method) {
        if !self.secured_by.contains(&method) {
            self.secured_by.push(method);
        }
    }

    /// What a confirmation changes: the peer was secured, and its new pin if there is one, in the place of a weaker one for
    /// the same certificate.
    pub fn confirm(&mut self, confirmed: &Confirmed) {
        self.note_secured(confirmed.method);
        self.pins.retain(|pin| Some(pin.fingerprint) != confirmed.replaces);
        if let Some(pin) = confirmed.pin {
            self.add(pin);
        }
    }

    /// What a password's test changes at the given Unix time.
    pub fn password_tried(&mut self, outcome: PasswordOutcome, unix_time: u64) {
        self.attempts = match outcome {
            PasswordOutcome::Right => Attempts::default(),
            PasswordOutcome::Wrong => Attempts { failed: self.attempts.failed.saturating_add(1), last_unix: unix_time },
        };
    }

    /// Until when, in Unix time, no password may be tried: after `tries` wrong ones, for `cooldown` seconds. After that
    /// one more may be tried for each cool-down, until one is right.
    #[must_use]
    pub fn locked_until(&self, tries: u32, cooldown: u64, unix_time: u64) -> Option<u64> {
        let until = self.attempts.last_unix.saturating_add(cooldown);
        (self.attempts.failed >= tries && unix_time < until).then_some(until)
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.pins.iter().map(|pin| pin.fingerprint).collect()
    }
}

impl Confirmed {
    pub(crate) fn new(method: Method, learned: Option<Learn>) -> Self {
        Self { method, pin: learned.map(|learn| learn.pin), replaces: learned.and_then(|learn| learn.replaces) }
    }

    /// The method that the tunnel is secured by.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The pin to remember, if the certificate was not pinned yet.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// The fingerprint that the new pin stands in for: the same certificate by a weaker digest than SHA-256.
    #[must_use]
    pub fn replaces(&self) -> Option<Fingerprint> {
        self.replaces
    }
}

impl MemoryTrustStore {
    /// Pins a certificate to a peer.
    pub fn pin(&mut self, peer: &BareJid, pin: Pin) {
        self.records.entry(peer.clone()).or_default().add(pin);
    }

    /// Forgets a peer; tells whether it was known.
    pub fn remove(&mut self, peer: &BareJid) -> bool {
        self.records.remove(peer).is_some()
    }

    /// All peers with their records, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &TrustRecord)> {
        self.records.iter()
    }
}

impl TrustStore for MemoryTrustStore {
    fn record(&self, peer: &BareJid) -> TrustRecord {
        self.records.get(peer).cloned().unwrap_or_default()
    }

    fn confirmed(&mut self, peer: &BareJid, confirmed: &Confirmed) {
        self.records.entry(peer.clone()).or_default().confirm(confirmed);
    }

    fn password_tried(&mut self, peer: &BareJid, outcome: PasswordOutcome, unix_time: u64) {
        self.records.entry(peer.clone()).or_default().password_tried(outcome, unix_time);
    }
}

/// Shares one store among several engines, or with the embedder.
impl<S: TrustStore> TrustStore for std::sync::Arc<std::sync::Mutex<S>> {
    fn record(&self, peer: &BareJid) -> TrustRecord {
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).record(peer)
    }

    fn confirmed(&mut self, peer: &BareJid, confirmed: &Confirmed) {
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).confirmed(peer, confirmed);
    }

    fn password_tried(&mut self, peer: &BareJid, outcome: PasswordOutcome, unix_time: u64) {
        let mut store = self.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        store.password_tried(peer, outcome, unix_time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_word_replaces_a_leap_of_faith_and_not_the_other_way_round() {
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
        record.confirm(&Confirmed::new(Method::X509, Some(Learn { pin: strong, replaces: Some(weak.fingerprint) })));
        assert_eq!(record.pins, [other, strong]);
    }

    #[test]
    fn l7_only_a_confirmation_pins_from_the_network() {
        let peer: BareJid = "juliet@capulet.lit".parse().expect("a JID");
        let mut store = MemoryTrustStore::default();
        assert_eq!(store.record(&peer), TrustRecord::default());
        let pin = Pin::new(Fingerprint::sha256(b"certificate"), Learned::LeapOfFaith);
        store.confirmed(&peer, &Confirmed::new(Method::X509, Some(Learn { pin, replaces: None })));
        assert_eq!(
            store.record(&peer),
            TrustRecord { pins: vec![pin], secured_by: vec![Method::X509], ..TrustRecord::default() }
        );
        assert!(store.remove(&peer));
        assert!(!store.remove(&peer));
    }

    #[test]
    fn p14_three_wrong_passwords_and_then_one_for_each_cool_down() {
        let mut record = TrustRecord::default();
        for failed in 0..3 {
            assert_eq!(record.locked_until(3, 600, 1000), None, "{failed}");
            record.password_tried(PasswordOutcome::Wrong, 1000);
        }
        assert_eq!(record.locked_until(3, 600, 1000), Some(1600));
        assert_eq!(record.locked_until(3, 600, 1599), Some(1600));
        assert_eq!(record.locked_until(3, 600, 1600), None);
        record.password_tried(PasswordOutcome::Wrong, 1600);
        assert_eq!(record.locked_until(3, 600, 1601), Some(2200));
        record.password_tried(PasswordOutcome::Right, 2200);
        assert_eq!(record.locked_until(3, 600, 2200), None);
    }
}
