//! One writer at a time, whichever process it is in.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{error::FileFault, private::private_file};

/// How long another process may keep this one from changing a file, until that is an error: 5 s.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// The lock of a file, until it is dropped. The operating system takes it away from a process that dies.
///
/// It is on a file of its own, with `.lock` after the name, since the other one is replaced as a whole. That file is empty
/// and stays: if it were removed, two processes could hold locks on two files of the same name.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct FileLock {
    _held: File,
}

impl FileLock {
    /// Takes the lock of the file `path`; another holder is waited for no longer than `patience`.
    #[allow(clippy::disallowed_methods, reason = "other processes are waited for in real time")]
    pub(crate) fn of(path: &Path, patience: Duration) -> Result<Self, FileFault> {
        let until = Instant::now() + patience;
        let file = open(&name_of(path)).map_err(FileFault::Lock)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: file }),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return Err(FileFault::Locked),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(e)) => return Err(FileFault::Lock(e)),
            }
        }
    }
}

/// The lock file of a file, beside it.
pub(crate) fn name_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<File> {
    private_file().create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let held = FileLock::of(&path, Duration::ZERO).unwrap();
        let refused = FileLock::of(&path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, FileFault::Locked), "{refused:?}");
        let other = dir.path().join("servers.json");
        assert!(FileLock::of(&other, Duration::ZERO).is_ok(), "it is the lock of one file alone");
        let waits = thread::spawn(move || FileLock::of(&path, Duration::from_secs(60)).map(drop));
        drop(held);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_cannot_be_had_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        std::fs::create_dir(name_of(&path)).unwrap();
        let refused = FileLock::of(&path, Duration::from_secs(60)).unwrap_err();
        assert!(matches!(refused, FileFault::Lock(_)), "{refused:?}");
        let nowhere = FileLock::of(&dir.path().join("missing/trust.json"), Duration::from_secs(60)).unwrap_err();
        assert!(matches!(&nowhere, FileFault::Lock(e) if e.kind() == io::ErrorKind::NotFound), "{nowhere:?}");
    }
}
