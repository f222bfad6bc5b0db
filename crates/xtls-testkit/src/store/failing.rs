//! A trust store that fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xtls::tls::UnixTime;
use xtls::trust::{Confirmation, Confirmed, Guess, Permit, StoreError, TrustRecord, TrustStore};
use xtls_stanza::jid::BareJid;

/// A call of a [`TrustStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "a trust store has no other calls")]
pub enum StoreCall {
    /// [`TrustStore::record`].
    Record,
    /// [`TrustStore::locked_until`].
    LockedUntil,
    /// [`TrustStore::begin_guess`].
    BeginGuess,
    /// [`TrustStore::guess_was_right`].
    GuessWasRight,
    /// [`TrustStore::confirm`].
    Confirm,
}

/// A store that fails at the calls it is told to fail at, and leaves the others to the store inside. A call that fails does
/// not reach that one. Clones are the same store: keep one to say when it fails.
///
/// ```
/// use xtls::trust::{MemoryTrustStore, TrustStore as _};
/// use xtls_testkit::{FailingStore, StoreCall};
///
/// let store = FailingStore::new(MemoryTrustStore::default());
/// let peer = "juliet@capulet.lit".parse()?;
/// assert!(store.record(&peer).is_ok());
/// store.clone().fail(StoreCall::Record);
/// assert_eq!(store.record(&peer), Err(FailingStore::error()));
/// store.mend();
/// assert!(store.record(&peer).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FailingStore(Arc<Mutex<Failing>>);

#[derive(Debug)]
struct Failing {
    inside: Box<dyn TrustStore>,
    fails: Vec<StoreCall>,
}

impl FailingStore {
    /// A store over this one, which does not fail yet.
    #[must_use]
    pub fn new(inside: impl TrustStore + 'static) -> Self {
        Self(Arc::new(Mutex::new(Failing { inside: Box::new(inside), fails: Vec::new() })))
    }

    /// From now on it fails at this call too.
    pub fn fail(&self, call: StoreCall) {
        self.lock().fails.push(call);
    }

    /// From now on it fails at none.
    pub fn mend(&self) {
        self.lock().fails.clear();
    }

    /// What it says when it fails.
    #[must_use]
    pub fn error() -> StoreError {
        StoreError::new("the disk is full")
    }

    fn at(&self, call: StoreCall) -> Result<MutexGuard<'_, Failing>, StoreError> {
        let failing = self.lock();
        if failing.fails.contains(&call) { Err(Self::error()) } else { Ok(failing) }
    }

    fn lock(&self) -> MutexGuard<'_, Failing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrustStore for FailingStore {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.at(StoreCall::Record)?.inside.record(peer)
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.at(StoreCall::LockedUntil)?.inside.locked_until(local, peer, guess)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.at(StoreCall::BeginGuess)?.inside.begin_guess(local, peer, guess)
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.at(StoreCall::GuessWasRight)?.inside.guess_was_right(local, peer)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.at(StoreCall::Confirm)?.inside.confirm(peer, confirmed)
    }
}
