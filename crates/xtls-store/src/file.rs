//! Files that are private, and whole or not there at all.

use core::fmt::Display;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{FileError, FileFault},
    lock::{FileLock, PATIENCE},
    private::{private_file, sync_dir},
};

/// A file that its owner alone can read, that is replaced as a whole, and that one process at a time changes:
///
/// ```
/// # let directory = std::env::temp_dir().join(format!("xtls-private-{}", std::process::id()));
/// # xtls_store::make_private_dir(&directory)?;
/// use xtls_store::PrivateFile;
///
/// let file = PrivateFile::new("list of rooms", directory.join("rooms"));
/// let lock = file.lock()?;
/// let mut text = file.read()?.unwrap_or_default();
/// text.extend_from_slice(b"balcony\n");
/// file.write(&text)?;
/// drop(lock);
/// # assert_eq!(file.read()?, Some(b"balcony\n".to_vec()));
/// # std::fs::remove_dir_all(directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateFile {
    what: &'static str,
    path: PathBuf,
}

impl PrivateFile {
    /// The file of this name, which need not exist. Errors call it `the` and what it is.
    #[must_use]
    pub fn new(what: &'static str, path: impl Into<PathBuf>) -> Self {
        Self { what, path: path.into() }
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it; `None` if there is no such file. This needs no lock: it is the old content or the new one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, FileError> {
        match fs::read(&self.path) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error(FileFault::Read(e))),
        }
    }

    /// Replaces it, readable by its owner only: after a crash there is the old content or the new one. Whoever changes what
    /// others may change too holds the [lock](Self::lock) from the reading to the writing.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then it is as it was.
    pub fn write(&self, content: &[u8]) -> Result<(), FileError> {
        write_private(&self.path, content).map_err(|e| self.error(FileFault::Write(e)))
    }

    /// Keeps other processes, and other threads of this one, from doing the same. It waits for them for at most [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// When another one holds it for longer, or it cannot be taken.
    pub fn lock(&self) -> Result<FileLock, FileError> {
        FileLock::of(&self.path, PATIENCE).map_err(|fault| self.error(fault))
    }

    /// The error for content that cannot be understood.
    #[must_use]
    pub fn damaged(&self, why: impl Display) -> FileError {
        self.error(FileFault::Damaged(why.to_string()))
    }

    pub(crate) fn error(&self, fault: FileFault) -> FileError {
        FileError::new(self.what, &self.path, fault)
    }
}

/// Replaces a file, readable by its owner only: after a crash there is the old content or the new one.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let temporary = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = write_new(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // It may not even exist.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_dir(dir)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = private_file().create(true).truncate(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        // A directory in the way: it cannot be replaced by a file.
        let target = dir.path().join("trust.json");
        fs::create_dir(&target).unwrap();
        assert!(write_private(&target, b"new").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
