//! Your certificates with their keys, in files.

mod dir;

use std::{
    fs,
    path::{Path, PathBuf},
};

use xtls::{Identity, tls::IdentityError};
use zeroize::Zeroizing;

pub use self::dir::{FoundIdentity, IdentityDir};
use crate::{
    error::{FileError, FileFault},
    file::PrivateFile,
};

/// The largest file that is read: a key, and a chain of certificates as long as they may be.
const MAX_FILE: u64 = 128 * 1024;

/// A file (PEM) with a certificate of yours, those that vouch for it, and its key. Its owner alone can read it.
///
/// An issued certificate can be put there too: first yours, then those of the authorities that vouch for it, and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFile(PrivateFile);

impl IdentityFile {
    /// The file of this name, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(PrivateFile::new("certificate file", path))
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is in it; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, has more than 128 KiB, or no certificate with its key. It stays as it is.
    pub fn read(&self) -> Result<Option<Identity>, FileError> {
        if fs::metadata(self.path()).is_ok_and(|file| file.len() > MAX_FILE) {
            return Err(self.0.damaged("it is too large"));
        }
        let Some(text) = self.0.read()?.map(Zeroizing::new) else { return Ok(None) };
        let text = str::from_utf8(&text).map_err(|_| self.0.damaged("it is no text"))?;
        Identity::from_pem(text, text).map(Some).map_err(|e| self.0.damaged(e))
    }

    /// Puts this into it, in the place of what was there: peers know you by that one.
    ///
    /// # Errors
    ///
    /// When it cannot be written; it stays as it is.
    pub fn write(&self, identity: &Identity) -> Result<(), FileError> {
        let pem = identity.to_pem();
        self.0.write(Zeroizing::new(format!("{}{}", pem.certificate, pem.key.expose())).as_bytes())
    }

    /// What is in it; if there is no such file, what `make` makes, which is written. Of several processes that do this at once
    /// one makes it, and the others find it. The directory has to exist.
    ///
    /// # Errors
    ///
    /// When it cannot be read, locked, made or written. A file that is damaged stays as it is: peers may know you by it.
    pub fn read_or_make(&self, make: impl FnOnce() -> Result<Identity, IdentityError>) -> Result<Identity, FileError> {
        if let Some(found) = self.read()? {
            return Ok(found);
        }
        let _lock = self.0.lock()?;
        self.find_or_make(make)
    }

    /// The same where the lock is held.
    fn find_or_make(&self, make: impl FnOnce() -> Result<Identity, IdentityError>) -> Result<Identity, FileError> {
        if let Some(found) = self.read()? {
            return Ok(found);
        }
        let made = make().map_err(|e| self.0.error(FileFault::Identity(e)))?;
        self.write(&made)?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::unwrap_in_result)]

    use std::{thread, time::Duration};

    use xtls::tls::{KeyAlgorithm, UnixTime};

    use super::*;

    fn make() -> Result<Identity, IdentityError> {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000));
        Identity::generate(&"juliet@capulet.lit".parse().unwrap(), KeyAlgorithm::Ed25519, time)
    }

    #[test]
    fn an_identity_is_made_once_however_many_begin_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = IdentityFile::new(dir.path().join("me.pem"));
        assert!(file.read().unwrap().is_none());
        let made: Vec<_> = (0..8)
            .map(|_| {
                let file = file.clone();
                thread::spawn(move || file.read_or_make(make).unwrap().fingerprint_sha256())
            })
            .collect();
        let kept = made.into_iter().map(|made| made.join().unwrap()).collect::<Vec<_>>();
        let found = file.read().unwrap().unwrap().fingerprint_sha256();
        assert_eq!(kept, vec![found; 8]);
    }

    #[cfg(unix)]
    #[test]
    fn its_owner_alone_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let file = IdentityFile::new(dir.path().join("me.pem"));
        file.write(&make().unwrap()).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!crate::is_readable_by_all(file.path()));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(crate::is_readable_by_all(file.path()));
    }

    #[test]
    fn what_is_no_identity_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = IdentityFile::new(dir.path().join("me.pem"));
        for (content, why) in [
            (b"no PEM".to_vec(), "is damaged: "),
            (vec![0xff], "it is no text"),
            (vec![b'\n'; 128 * 1024], "is damaged: "),
            (vec![b'\n'; 128 * 1024 + 1], "it is too large"),
        ] {
            fs::write(file.path(), &content).unwrap();
            let error = file.read_or_make(|| panic!("it is not replaced")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the certificate file {} ", file.path().display())));
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.to_string().contains("too large"), content.len() > 128 * 1024);
            assert!(fs::read(file.path()).unwrap() == content);
        }
    }

    #[test]
    fn what_cannot_be_made_is_told_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = IdentityFile::new(dir.path().join("me.pem"));
        let fault = Identity::from_pem("", "").unwrap_err();
        let error = file.read_or_make(|| Err(fault)).unwrap_err();
        assert!(matches!(error.fault(), FileFault::Identity(_)) && error.path() == file.path(), "{error}");
        assert!(!file.path().exists());
    }
}
