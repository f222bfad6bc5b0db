//! A file that is being received.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use xtls_files::{FileHashAlgo, FileHasher};

use super::{Claim, is_still, make, open_own, remove, settle};
use crate::files::{BLOCK, Progress, TargetError, system, wide};

/// Permissions of a file of which the peer says none, before the user's mask.
const MODE: u16 = 0o666;

/// A file that is being received. What of it is on disk stays there when it is dropped.
#[derive(Debug)]
pub(crate) struct PartFile {
    claim: Claim,
    file: File,
    length: u64,
}

impl PartFile {
    pub(super) fn open(claim: Claim) -> Result<Self, TargetError> {
        let path = claim.path();
        let there = if claim.resumed { open_own(&claim.dir, &claim.part, &path)? } else { None };
        let file = match there {
            Some(file) => file,
            None => make(&claim.dir, &claim.part, MODE).map_err(|error| TargetError::of(&path, error))?,
        };
        let length = file.metadata().map_err(|error| TargetError::of(&path, error))?.len();
        let mut part = Self { claim, file, length };
        if part.claim.record.size.is_some_and(|size| size < length) {
            part.start_over()?;
        }
        Ok(part)
    }

    /// How many bytes are there: whether they are the right ones is for a hash to tell.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.claim.path()
    }

    /// What was left as it is.
    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Hashes what is there.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or the caller wants no more.
    pub(crate) fn hash(&mut self, algo: FileHashAlgo, progress: Progress<'_>) -> Result<FileHasher, TargetError> {
        let path = self.claim.path();
        self.file.rewind().map_err(|error| TargetError::of(&path, error))?;
        let hasher = hash((&self.file).take(self.length), algo, &path, progress)?;
        // That it is shorter than it was is noticed by whoever compares the hash.
        self.length = hasher.bytes();
        Ok(hasher)
    }

    /// Begins anew: what is there is not the beginning of what comes. It is not written over, so that nothing else that it may be by now is.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub(crate) fn start_over(&mut self) -> Result<(), TargetError> {
        let claim = &self.claim;
        let made = remove(&claim.dir, &claim.part).and_then(|()| make(&claim.dir, &claim.part, MODE));
        self.file = made.map_err(|error| TargetError::of(&claim.path(), error))?;
        self.length = 0;
        Ok(())
    }

    /// Adds what comes next.
    ///
    /// # Errors
    ///
    /// When it cannot be written. What was written before stays.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), TargetError> {
        append(&mut self.file, &mut self.length, bytes).map_err(|error| TargetError::of(&self.claim.path(), error))
    }

    /// Gives it its name and its date when its hash was found to be right; where it is then.
    ///
    /// # Errors
    ///
    /// When that is not possible. It stays as it is.
    pub(crate) fn finish(self, overwrite: bool) -> Result<PathBuf, TargetError> {
        if self.claim.record.size.is_some_and(|size| size != self.length) {
            return Err(TargetError::Unfinished(self.claim.path()));
        }
        // Nobody has looked at the bytes of a file that has taken its place.
        if !is_still(&self.claim.dir, &self.file, &self.claim.part) {
            return Err(TargetError::Vanished(self.claim.path()));
        }
        self.file.sync_all().map_err(|error| TargetError::of(&self.claim.path(), error))?;
        if let Some(time) = self.claim.record.modified.and_then(settle::time) {
            // Some file systems have no such dates; the file is none the worse.
            let _ = self.file.set_modified(time);
        }
        let path = self.claim.settle(overwrite)?;
        self.claim.release();
        system::sync_dir(&self.claim.dir);
        Ok(path)
    }
}

/// Hashes what is read, to its end.
pub(super) fn hash(
    mut from: impl Read,
    algo: FileHashAlgo,
    path: &Path,
    progress: Progress<'_>,
) -> Result<FileHasher, TargetError> {
    let mut hasher = FileHasher::new(algo);
    let mut buffer = vec![0; BLOCK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                if progress(wide(read)).is_break() {
                    return Err(TargetError::Stopped);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TargetError::of(path, error)),
        }
    }
}

/// Adds bytes at the end of what is there. `length` counts what was written, also of bytes that did not fit.
pub(super) fn append(file: &mut File, length: &mut u64, mut bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(*length))?;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::StorageFull.into()),
            Ok(written) => {
                *length += wide(written);
                bytes = &bytes[written..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
