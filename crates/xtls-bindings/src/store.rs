//! What is known of peers, wherever it is kept.

use core::fmt;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use xtls::jid::BareJid;
use xtls::tls::UnixTime;
use xtls::trust::{
    self, Confirmation, Confirmed, Guess, MemoryTrustStore, Permit, StoreError, TrustRecord, TrustStore,
};
#[cfg(not(target_family = "wasm"))]
use xtls_store::FileTrustStore;
use xtls_store::TrustDocument;

use crate::Result;
#[cfg(not(target_family = "wasm"))]
use crate::{Code, Error};

/// Keeps one text for the library: a file, a row of a database, an entry of a browser's storage. The text is the JSON of
/// [`TrustDocument`], which the command `xtls` reads too; what it says is the library's to decide.
///
/// The calls are made from inside the engine's calls: they must not call back, nor block for long. Where one fails, its words are
/// told to the user, and nothing becomes less secure: a tunnel that cannot read what is known of the peer ends.
pub trait Keeper: Send + Sync {
    /// The text that was saved last, or nothing if none ever was. A text that was there and is gone is an error: otherwise everybody
    /// would be a first acquaintance again.
    ///
    /// # Errors
    ///
    /// When it cannot be read, in words.
    fn load(&self) -> core::result::Result<Option<Vec<u8>>, String>;

    /// Keeps this text in the place of the last one, all of it or nothing. When it returns, the text is safe.
    ///
    /// # Errors
    ///
    /// When it cannot be written, in words.
    fn save(&self, text: &[u8]) -> core::result::Result<(), String>;

    /// Begins a change: `load` and perhaps `save` follow. Where several processes share the text, none of the others may change it
    /// until `unlock`. One process needs nothing here.
    ///
    /// # Errors
    ///
    /// When it cannot be locked in some seconds, in words.
    fn lock(&self) -> core::result::Result<(), String> {
        Ok(())
    }

    /// Ends a change. It comes once after each `lock` that did not fail.
    fn unlock(&self) {}
}

/// What is known of peers. A clone is the same store: one for the engine, one for your settings.
#[derive(Clone, Debug)]
pub struct Store(Place);

#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<Mutex<MemoryTrustStore>>),
    #[cfg(not(target_family = "wasm"))]
    File(FileTrustStore),
    Kept(Kept),
}

/// A certificate that a peer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Whose it is: a bare address.
    pub peer: String,
    /// Its fingerprint, as `sha-256:…`.
    pub fingerprint: String,
    /// How it came to be known, such as `manual`.
    pub learned: &'static str,
    /// Since when, in seconds since 1970; 0 where nobody said.
    pub since: u64,
}

impl Store {
    /// One that forgets all when the program ends.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Place::Memory(Arc::default()))
    }

    /// One in this file, which several processes may share.
    ///
    /// # Errors
    ///
    /// [`Code::Store`] when it is damaged or cannot be read; it stays as it is.
    #[cfg(not(target_family = "wasm"))]
    pub fn in_file(path: &str) -> Result<Self> {
        let store = FileTrustStore::open(path).map_err(|error| Error::new(Code::Store, error))?;
        Ok(Self(Place::File(store)))
    }

    /// One that somebody else keeps. It is read once, to see whether that can be done.
    ///
    /// # Errors
    ///
    /// [`Code::Store`] when it is damaged or cannot be read; it stays as it is.
    pub fn kept_by(keeper: impl Keeper + 'static) -> Result<Self> {
        let kept = Kept { keeper: Arc::new(keeper), found: Arc::default() };
        kept.read()?;
        Ok(Self(Place::Kept(kept)))
    }

    /// Pins a certificate to a peer, on the user's word.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Fingerprint`], [`Code::Store`].
    pub fn pin(&self, peer: &str, fingerprint: &str) -> Result<()> {
        let (peer, pin) = (bare(peer)?, trust::Pin::manual(fingerprint.parse()?));
        self.change(|known| known.pin(&peer, pin))
    }

    /// Forgets a peer, but for wrong guesses at a password. Tells whether anything was known of it.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Store`].
    pub fn forget(&self, peer: &str) -> Result<bool> {
        let peer = bare(peer)?;
        self.change(|known| known.remove(&peer))
    }

    /// Lifts the locks that wrong guesses have put on an address. Tells whether there were any.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Store`].
    pub fn forgive(&self, peer: &str) -> Result<bool> {
        let peer = bare(peer)?;
        self.change(|known| known.forgive(&peer))
    }

    /// All certificates that are pinned, in the order of the addresses.
    ///
    /// # Errors
    ///
    /// [`Code::Store`].
    pub fn pins(&self) -> Result<Vec<Pin>> {
        self.look(|known| {
            let of = |(peer, record): (&BareJid, &TrustRecord)| {
                let peer = peer.to_string();
                let pin = move |pin: &trust::Pin| Pin {
                    peer: peer.clone(),
                    fingerprint: pin.fingerprint.to_string(),
                    learned: pin.learned.as_str(),
                    since: pin.since.map_or(0, |since| since.as_secs()),
                };
                record.pins.iter().map(pin).collect::<Vec<_>>()
            };
            known.iter().flat_map(of).collect()
        })
    }

    /// The same store, for an engine.
    pub(crate) fn boxed(&self) -> Box<dyn TrustStore> {
        match self.0.clone() {
            Place::Memory(store) => Box::new(store),
            #[cfg(not(target_family = "wasm"))]
            Place::File(store) => Box::new(store),
            Place::Kept(store) => Box::new(store),
        }
    }

    fn look<R>(&self, look: impl FnOnce(&MemoryTrustStore) -> R) -> Result<R> {
        match &self.0 {
            Place::Memory(store) => Ok(look(&store.lock().unwrap_or_else(PoisonError::into_inner))),
            #[cfg(not(target_family = "wasm"))]
            Place::File(store) => store.read().map(|document| look(&document.known)).map_err(of_store),
            Place::Kept(store) => Ok(look(&store.read()?.known)),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R> {
        match &self.0 {
            Place::Memory(store) => Ok(change(&mut store.lock().unwrap_or_else(PoisonError::into_inner))),
            #[cfg(not(target_family = "wasm"))]
            Place::File(store) => store.change(change).map_err(of_store),
            Place::Kept(store) => Ok(store.change(change)?),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn of_store(error: xtls_store::FileError) -> Error {
    Error::new(Code::Store, error)
}

fn bare(peer: &str) -> Result<BareJid> {
    Ok(peer.parse::<xtls::jid::Jid>()?.to_bare())
}

/// A text that somebody else keeps, as a store.
#[derive(Clone)]
struct Kept {
    keeper: Arc<dyn Keeper>,
    /// Whether a text was seen.
    found: Arc<AtomicBool>,
}

/// A change that has begun, and ends with this.
struct Locked<'k>(&'k dyn Keeper);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    fn read(&self) -> core::result::Result<TrustDocument, StoreError> {
        match self.keeper.load().map_err(StoreError::new)? {
            Some(text) => {
                self.found.store(true, Ordering::Relaxed);
                TrustDocument::from_json(&text).map_err(StoreError::new)
            }
            None if self.found.load(Ordering::Relaxed) => {
                Err(StoreError::new("what was known of peers is gone: restore it, or begin anew on purpose"))
            }
            None => Ok(TrustDocument::default()),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> core::result::Result<R, StoreError> {
        self.keeper.lock().map_err(StoreError::new)?;
        let _locked = Locked(&*self.keeper);
        let mut document = self.read()?;
        let before = document.known.clone();
        let result = change(&mut document.known);
        if document.known != before {
            self.keeper.save(&document.to_json()).map_err(StoreError::new)?;
            self.found.store(true, Ordering::Relaxed);
        }
        Ok(result)
    }
}

/// What a store in memory does, to what the text says.
impl TrustStore for Kept {
    fn record(&self, peer: &BareJid) -> core::result::Result<TrustRecord, StoreError> {
        self.read()?.known.record(peer)
    }

    fn locked_until(
        &self,
        local: &BareJid,
        peer: &BareJid,
        guess: &Guess,
    ) -> core::result::Result<Option<UnixTime>, StoreError> {
        self.read()?.known.locked_until(local, peer, guess)
    }

    fn begin_guess(
        &mut self,
        local: &BareJid,
        peer: &BareJid,
        guess: &Guess,
    ) -> core::result::Result<Permit, StoreError> {
        self.change(|known| known.begin_guess(local, peer, guess))?
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> core::result::Result<(), StoreError> {
        self.change(|known| known.guess_was_right(local, peer))?
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> core::result::Result<Confirmation, StoreError> {
        self.change(|known| known.confirm(peer, confirmed))?
    }
}
