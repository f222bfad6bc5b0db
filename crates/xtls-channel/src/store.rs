//! The memory of peers, which the embedder keeps.

use core::fmt;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use xtls_stanza::jid::BareJid;
use xtls_tls::UnixTime;

use crate::{
    guess::{Attempts, Guess, GuessCount, Permit},
    record::{Confirmation, Confirmed, Pin, TrustRecord},
};

/// The memory of peers, keyed by bare JID. It outlives engines and links; several of one user may share one.
///
/// The store decides: a guess at a password is counted, and a pin written, in the one call that also checks whether it may
/// be. A store that several processes share does each call under one lock, best by the methods of [`TrustRecord`].
///
/// Every call can fail, and a failure never makes anything less secure:
///
/// | call | when it fails |
/// |---|---|
/// | [`record`](Self::record), [`locked_until`](Self::locked_until) | the tunnel or link does not go on: [`Fault::Store`](crate::Fault::Store) |
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

    /// Until when no guess like this one may be made between `local` and `peer`; `None` if one may: best by
    /// [`TrustRecord::locked_until`]. It is asked together with the record, and decides nothing for good:
    /// [`begin_guess`](Self::begin_guess) does.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError>;

    /// A password is about to be put to the test between `local` and `peer`. Counts that as a wrong guess, for the name of the
    /// peer and for your address, across restarts too; or says until when none may be made: best by
    /// [`TrustRecord::begin_guess`]. It is asked before the message leaves that the password could be guessed by; whoever
    /// forgets one gives away another. Nothing that is derived from the password is stored.
    ///
    /// # Errors
    ///
    /// When it cannot be counted.
    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError>;

    /// The password was right: take the guess back, best by [`TrustRecord::guess_was_right`].
    ///
    /// # Errors
    ///
    /// When it cannot be written; the guess stays counted then.
    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError>;

    /// Both ends have authenticated one another: remember that, and the pin if there is a new one, best by
    /// [`TrustRecord::confirm`]. It is called once more when a peer shows the negotiation hash for the first time after that.
    /// Refused where the pins are not those any more that the judgement was made by.
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
/// Of strangers, of whom there is nothing but guesses, it remembers no more than [`MAX_STRANGERS`](Self::MAX_STRANGERS), and
/// none for longer than a guess is held against anybody. A store of another kind does the same best by keeping one of these,
/// and writing it down.
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTrustStore {
    peers: BTreeMap<BareJid, TrustRecord>,
    /// Guesses at your addresses.
    listeners: BTreeMap<BareJid, GuessCount>,
}

impl MemoryTrustStore {
    /// The most strangers of whom guesses are remembered; of one more, the one that has not tried for longest is forgotten.
    /// What was counted at your address stays.
    pub const MAX_STRANGERS: usize = 1024;

    /// Pins a certificate to a peer.
    pub fn pin(&mut self, peer: &BareJid, pin: Pin) {
        self.of(peer).add(pin);
    }

    /// Forgets a peer, but for the guesses: without them there would be more. Tells whether anything was known of it.
    pub fn remove(&mut self, peer: &BareJid) -> bool {
        let Some(TrustRecord { attempts, pins, secured_by, .. }) = self.peers.remove(peer) else { return false };
        if attempts != Attempts::default() {
            self.of(peer).attempts = attempts;
        }
        !pins.is_empty() || !secured_by.is_empty()
    }

    /// The user lifts the locks of an address: forgets the guesses with the peer of that name, and those at your address if it
    /// is one. Tells whether there were any.
    pub fn forgive(&mut self, jid: &BareJid) -> bool {
        let listener = self.listeners.remove(jid).is_some();
        let Some(record) = self.peers.get_mut(jid) else { return listener };
        let attempts = core::mem::take(&mut record.attempts);
        if *record == TrustRecord::default() {
            self.peers.remove(jid);
        }
        listener || attempts != Attempts::default()
    }

    /// All peers with their records, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &TrustRecord)> {
        self.peers.iter()
    }

    /// Your addresses at which guesses were counted, in their order.
    pub fn listeners(&self) -> impl Iterator<Item = (&BareJid, &GuessCount)> {
        self.listeners.iter()
    }

    /// The record of a peer, to be changed.
    pub fn of(&mut self, peer: &BareJid) -> &mut TrustRecord {
        self.peers.entry(peer.clone()).or_default()
    }

    /// What was counted at one of your addresses, to be changed.
    pub fn at(&mut self, local: &BareJid) -> &mut GuessCount {
        self.listeners.entry(local.clone()).or_default()
    }

    /// Changes both counts of a guess. What is empty then is not kept.
    fn count<R>(
        &mut self,
        local: &BareJid,
        peer: &BareJid,
        change: impl FnOnce(&mut TrustRecord, &mut GuessCount) -> R,
    ) -> R {
        let mut record = self.peers.remove(peer).unwrap_or_default();
        let mut listener = self.listeners.remove(local).unwrap_or_default();
        let result = change(&mut record, &mut listener);
        if record != TrustRecord::default() {
            self.peers.insert(peer.clone(), record);
        }
        if listener != GuessCount::default() {
            self.listeners.insert(local.clone(), listener);
        }
        result
    }

    /// Forgets the guesses that are held against nobody any more, and makes room for a stranger's.
    fn tidy(&mut self, guess: &Guess) {
        let is_over = |record: &TrustRecord| record.is_strangers() && record.attempts.is_spent(guess);
        self.peers.retain(|_, record| !is_over(record));
        self.listeners.retain(|_, count| count.at(guess.time, guess.limits.by_listener_forgiven).count > 0);
        let strangers = || self.peers.iter().filter(|(_, record)| record.is_strangers());
        if strangers().count() >= Self::MAX_STRANGERS
            && let Some(oldest) = strangers().min_by_key(|(_, record)| record.attempts.last.as_secs())
        {
            let oldest = oldest.0.clone();
            self.peers.remove(&oldest);
        }
    }
}

impl TrustStore for MemoryTrustStore {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        Ok(self.peers.get(peer).cloned().unwrap_or_default())
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        let listener = self.listeners.get(local).copied().unwrap_or_default();
        let (record, nobody) = (self.peers.get(peer), TrustRecord::default());
        Ok(record.unwrap_or(&nobody).locked_until(&listener, guess))
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        if !self.peers.contains_key(peer) {
            self.tidy(guess);
        }
        Ok(self.count(local, peer, |record, listener| record.begin_guess(listener, guess)))
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.count(local, peer, |record, listener| record.guess_was_right(listener));
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

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).locked_until(local, peer, guess)
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
    fn l07_only_a_confirmation_pins_from_the_network() {
        let peer: BareJid = "juliet@capulet.lit".parse().expect("a JID");
        let mut store = MemoryTrustStore::default();
        assert_eq!(store.record(&peer), Ok(TrustRecord::default()));
        let pin = Pin::new(Fingerprint::sha256(b"certificate"), Learned::LeapOfFaith);
        let confirmed = Confirmed::new(Method::X509, Some(Vec::new()), Some(Learn { pin, replaces: Vec::new() }));
        assert_eq!(store.confirm(&peer, &confirmed), Ok(Confirmation::Remembered));
        let known = TrustRecord { pins: vec![pin], secured_by: vec![Method::X509], ..TrustRecord::default() };
        assert_eq!(store.record(&peer), Ok(known));
        assert!(store.remove(&peer));
        assert!(!store.remove(&peer));
    }
}
