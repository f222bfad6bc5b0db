//! What is known of peers, in a file.

mod document;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use xtls::{
    jid::BareJid,
    tls::UnixTime,
    trust::{Confirmation, Confirmed, Guess, MemoryTrustStore, Permit, StoreError, TrustRecord, TrustStore},
};

pub use self::document::{DocumentError, TrustDocument};
use crate::{
    error::{FileError, FileFault},
    file::PrivateFile,
};

/// A [`TrustStore`] in a file of JSON ([`TrustDocument`]). Several processes may share the file, and clones are the same store.
///
/// It is read again whenever something depends on it, and written at once: trust that is given or taken away elsewhere counts
/// from then on. Changes are made under a lock, so none is lost, and no guess at a password is counted too few. The file is
/// replaced as a whole.
///
/// A file that does not exist yet stands for an empty store, and the first change makes it. One that was there and is gone is an
/// error ([`FileFault::Gone`]): otherwise everybody would be a first acquaintance again.
///
/// Reading and writing take time in proportion to all that is known: some milliseconds for a thousand peers.
#[derive(Debug, Clone)]
pub struct FileTrustStore {
    file: PrivateFile,
    /// Whether the file was seen.
    found: Arc<AtomicBool>,
}

impl FileTrustStore {
    /// The store in this file, which is read once to see whether that can be done.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, or cannot be read. It stays as it is.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let store = Self { file: PrivateFile::new("trust file", path), found: Arc::default() };
        store.read()?;
        Ok(store)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All that it says now.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, gone, or cannot be read. It stays as it is.
    pub fn read(&self) -> Result<TrustDocument, FileError> {
        match self.file.read()? {
            Some(text) => {
                self.found.store(true, Ordering::Relaxed);
                TrustDocument::from_json(&text).map_err(|e| match e {
                    DocumentError::Damaged(why) => self.file.damaged(why),
                    DocumentError::Version(found) => {
                        self.file.error(FileFault::Version { found, known: TrustDocument::VERSION })
                    }
                })
            }
            None if self.found.load(Ordering::Relaxed) => Err(self.file.error(FileFault::Gone)),
            None => Ok(TrustDocument::default()),
        }
    }

    /// Changes what it says now, and gives what `change` gives. What an engine does at the same time comes before or after it.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("xtls-change-{}.json", std::process::id()));
    /// use xtls::trust::{Fingerprint, Pin};
    ///
    /// let store = xtls_store::FileTrustStore::open(&path)?;
    /// let juliet = "juliet@capulet.lit".parse()?;
    /// let fingerprint = Fingerprint::sha256(b"a certificate"); // which the user has compared
    /// store.change(|known| known.pin(&juliet, Pin::manual(fingerprint)))?;
    /// assert!(store.change(|known| known.remove(&juliet))?, "something was known");
    /// # std::fs::remove_file(&path)?;
    /// # std::fs::remove_file(path.with_extension("json.lock"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it cannot be locked, read or written. It stays as it is.
    pub fn change<R>(&self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R, FileError> {
        let _lock = self.file.lock()?;
        let mut document = self.read()?;
        let before = document.known.clone();
        let result = change(&mut document.known);
        if document.known != before {
            self.file.write(&document.to_json())?;
            self.found.store(true, Ordering::Relaxed);
        }
        Ok(result)
    }
}

/// What a store in memory does, to what the file says.
impl TrustStore for FileTrustStore {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        self.read()?.known.record(peer)
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.read()?.known.locked_until(local, peer, guess)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.change(|known| known.begin_guess(local, peer, guess))?
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.change(|known| known.guess_was_right(local, peer))?
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.change(|known| known.confirm(peer, confirmed))?
    }
}

#[cfg(test)]
mod tests;
