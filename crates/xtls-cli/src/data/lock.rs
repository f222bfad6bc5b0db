//! One writer at a time, whichever process it is in.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::clock;

/// How long another process may keep this one from writing, until that is a failure.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// The lock of a file, until it is dropped. The operating system takes it away from a process that dies.
///
/// It is on a file of its own, since the other one is replaced as a whole. That file stays: if it were removed, two processes
/// could hold locks on two files of the same name.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes the lock of the file `path`; another holder is waited for no longer than `patience`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when another process holds it for too long; else when the lock file cannot be made or
    /// locked.
    pub(super) fn of(path: &Path, patience: Duration) -> io::Result<Self> {
        let until = clock::now() + patience;
        loop {
            match try_lock(&name_of(path)) {
                Ok(Some(held)) => return Ok(Self { _held: held }),
                Ok(None) if clock::now() >= until => return Err(io::ErrorKind::TimedOut.into()),
                Ok(None) => thread::sleep(PAUSE),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Why the lock of the file `path` was not had, and what to do.
pub(super) fn failure(path: &Path, e: &io::Error) -> String {
    let lock = name_of(path);
    let lock = lock.display();
    match e.kind() {
        io::ErrorKind::TimedOut => {
            format!("another process has held {lock} for {} s; end it, or try again", PATIENCE.as_secs())
        }
        _ => format!("{lock} cannot be locked: {e}; check the permissions of its directory"),
    }
}

/// The lock file of a file, beside it.
pub(super) fn name_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens and locks the file; `None` while another process has it locked.
#[cfg(unix)]
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Opens the file so that no other process can; `None` while another process has it open so.
#[cfg(windows)]
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;

    const SHARING_VIOLATION: i32 = 32;
    match OpenOptions::new().write(true).create(true).truncate(false).share_mode(0).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let held = Lock::of(&path, Duration::ZERO).unwrap();
        let refused = Lock::of(&path, Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        let other = dir.path().join("servers.json");
        assert!(Lock::of(&other, Duration::ZERO).is_ok(), "it is the lock of one file alone");
        let waits = thread::spawn(move || Lock::of(&path, Duration::from_secs(60)).map(drop));
        drop(held);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_cannot_be_had_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        std::fs::create_dir(name_of(&path)).unwrap();
        let refused = Lock::of(&path, Duration::from_secs(60)).unwrap_err();
        assert_ne!(refused.kind(), io::ErrorKind::TimedOut);
        let nowhere = dir.path().join("missing/trust.json");
        assert_eq!(Lock::of(&nowhere, Duration::from_secs(60)).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
