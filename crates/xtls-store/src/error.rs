//! What goes wrong with files.

use core::{error::Error, fmt};
use std::{
    io,
    path::{Path, PathBuf},
};

use xtls::{tls::IdentityError, trust::StoreError};

use crate::lock::{self, PATIENCE};

/// What could not be done with a file. Its text names the file, and says what its user can do.
#[derive(Debug)]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    fault: FileFault,
}

/// Why something could not be done with a file. The file is as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFault {
    /// It was there before and is gone. What it knew is not made up for by an empty one: everybody would be a first
    /// acquaintance again.
    Gone,
    /// It cannot be read.
    Read(io::Error),
    /// It says what it may not. Where and how, in words.
    Damaged(String),
    /// It has a version that is not known here.
    Version {
        /// That one.
        found: u32,
        /// The latest one that is known.
        known: u32,
    },
    /// It cannot be written.
    Write(io::Error),
    /// Another process, or another thread, has held its lock for [`PATIENCE`].
    Locked,
    /// Its lock cannot be taken.
    Lock(io::Error),
    /// What should be in it cannot be made.
    Identity(IdentityError),
}

impl FileError {
    pub(crate) fn new(what: &'static str, path: &Path, fault: FileFault) -> Self {
        Self { what, path: path.to_owned(), fault }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &FileFault {
        &self.fault
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, lock) = (self.path.display(), lock::name_of(&self.path));
        write!(f, "the {} {path} ", self.what)?;
        match &self.fault {
            FileFault::Gone => f.write_str("is gone: put it back, or start again without it"),
            FileFault::Read(e) => write!(f, "cannot be read: {e}; check its permissions"),
            FileFault::Damaged(why) => {
                write!(f, "is damaged: {why}; it was left as it is: repair it, or move it away to start anew")
            }
            FileFault::Version { found, known } => write!(
                f,
                "has version {found}, and no later one than {known} is known here; it was left as it is: use the program \
                 that wrote it"
            ),
            FileFault::Write(e) => {
                let is_full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                let advice = if is_full { "make room for it" } else { "check the permissions of its directory" };
                write!(f, "cannot be written: {e}; {advice}")
            }
            FileFault::Locked => write!(
                f,
                "cannot be used: another process has held its lock for {} s; end it, or try again",
                PATIENCE.as_secs()
            ),
            FileFault::Lock(e) => write!(
                f,
                "cannot be written: {} cannot be locked: {e}; check the permissions of its directory",
                lock.display()
            ),
            FileFault::Identity(e) => write!(f, "cannot be made: {e}"),
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            FileFault::Read(e) | FileFault::Write(e) | FileFault::Lock(e) => Some(e),
            FileFault::Identity(e) => Some(e),
            FileFault::Gone | FileFault::Damaged(_) | FileFault::Version { .. } | FileFault::Locked => None,
        }
    }
}

/// For the engine, which knows nothing of files.
impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_with_what_helps() {
        for (kind, advice) in [
            (io::ErrorKind::StorageFull, "; make room for it"),
            (io::ErrorKind::QuotaExceeded, "; make room for it"),
            (io::ErrorKind::PermissionDenied, "; check the permissions of its directory"),
        ] {
            let error = FileError::new("trust file", Path::new("trust.json"), FileFault::Write(kind.into()));
            assert!(error.to_string().ends_with(advice), "{error}");
        }
    }
}
