//! The memory of peers, which the embedder keeps.

use core::fmt;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use xtls_stanza::jid::BareJid;

use crate::record::{Confirmation, Confirmed, Guess, Permit, Pin, TrustRecord};

/// The memory of peers, keyed by bare JID. It outlives engines and links; several of one user may share one.
///
/// The store decides: a guess at a password is counted, and a pin written, in the one call that also checks whether it may
/// be. A store that several processes share does each call under one lock, best by the methods of [`TrustRecord`].
///
/// Every call can fail, and a failure never makes anything less secure:
///
/// | call | when it fails |
/// |---|---|
/// | [`record`](Self::record) | the tunnel or link does not go on: [`Fault::Store`](crate::Fault::Store) |
/// | [`begin_guess`](Self::begin_guess) | nothing is sent that the password could be guessed by: the same fault |
/// | [`guess_was_right`](Self::guess_was_right), [`confirm`](Self::confirm) | it goes on, and an event tells what could not be written |
///
/// Calls are made from inside the engine's own calls and must not block for long.
pub trait TrustStore: fmt::Debug + Send + Sync {
    /// What is known of `peer`; an empty record for one never met. It is asked when a tunnel or link begins, when its method
    /// is chosen, and again when its certificate is judged; never for data.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError>;

    /// A password is about to be put to the test between `local` and `peer`. Counts that as a wrong guess, across restarts
    /// too, or says until when none may be made: best by [`TrustRecord::begin_guess`]. It is asked before the message leaves
    /// that the password could be guessed by; whoever forgets one gives away another.
    ///
    /// # Errors
    ///
    /// When it cannot be counted.
    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError>;

    /// The password was right: forget the guesses, best by [`TrustRecord::guess_was_right`].
    ///
    /// # Errors
    ///
    /// When it cannot be written; the guesses stay counted then.
    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError>;

    /// Both ends have authenticated one another: remember that, and the pin if there is a new one, best by
    /// [`TrustRecord::confirm`]. Refused where the pins are not those any more that the judgement was made by.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError>;
}

/// Why a [`TrustStore`] could not do what it was asked for, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError(Arc<str>);

impl StoreError {
    /// What went wrong, for the user or the log.
    #[must_use]
    pub fn new(what: impl fmt::Display) -> Self {
        Self(Arc::from(what.to_string()))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for StoreError {}

/// A [`TrustStore`] in memory. It never fails.
///
/// ```
/// use xtls_channel::{MemoryTrustStore, Pin, TrustStore as _};
/// use xtls_stanza::Fingerprint;
///
/// let mut store = MemoryTrustStore::default();
/// let juliet = "juliet@capulet.lit".parse()?;
/// store.pin(&juliet, Pin::manual(Fingerprint::sha256(b"certificate")));
/// assert_eq!(store.record(&juliet)?.pins.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryTrustStore {
    records: BTreeMap<BareJid, TrustRecord>,
}

impl MemoryTrustStore {
    /// Pins a certificate to a peer.
    pub fn pin(&mut self, peer: &BareJid, pin: Pin) {
        self.of(peer).add(pin);
    }

    /// Forgets a peer; tells whether it was known.
    pub fn remove(&mut self, peer: &BareJid) -> bool {
        self.records.remove(peer).is_some()
    }

    /// All peers with their records, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &TrustRecord)> {
        self.records.iter()
    }

    /// The record of a peer, to be changed.
    pub fn of(&mut self, peer: &BareJid) -> &mut TrustRecord {
        self.records.entry(peer.clone()).or_default()
    }
}

impl TrustStore for MemoryTrustStore {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        Ok(self.records.get(peer).cloned().unwrap_or_default())
    }

    fn begin_guess(&mut self, _: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        Ok(self.of(peer).begin_guess(guess))
    }

    fn guess_was_right(&mut self, _: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.of(peer).guess_was_right();
        Ok(())
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        Ok(self.of(peer).confirm(confirmed))
    }
}

/// Shares one store among several engines, or with the embedder.
impl<S: TrustStore> TrustStore for Arc<Mutex<S>> {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).record(peer)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).begin_guess(local, peer, guess)
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).guess_was_right(local, peer)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).confirm(peer, confirmed)
    }
}

#[cfg(test)]
mod tests {
    use xtls_stanza::{Fingerprint, Method};

    use super::*;
    use crate::record::{Learn, Learned};

    #[test]
    fn l7_only_a_confirmation_pins_from_the_network() {
        let peer: BareJid = "juliet@capulet.lit".parse().expect("a JID");
        let mut store = MemoryTrustStore::default();
        assert_eq!(store.record(&peer), Ok(TrustRecord::default()));
        let pin = Pin::new(Fingerprint::sha256(b"certificate"), Learned::LeapOfFaith);
        let confirmed = Confirmed::new(Method::X509, Some(Vec::new()), Some(Learn { pin, replaces: None }));
        assert_eq!(store.confirm(&peer, &confirmed), Ok(Confirmation::Remembered));
        let known = TrustRecord { pins: vec![pin], secured_by: vec![Method::X509], ..TrustRecord::default() };
        assert_eq!(store.record(&peer), Ok(known));
        assert!(store.remove(&peer));
        assert!(!store.remove(&peer));
    }
}
