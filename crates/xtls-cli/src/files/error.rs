//! What goes wrong with files on disk. Each message names the file and says what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use xtls_files::manifest::ManifestError;
use xtls_stanza::Shown;

use super::Problem;

/// Why files cannot be sent, or not any more.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// Some cannot be sent as they are. Nothing was sent yet.
    Problems(Problems),
    /// They cannot be in one manifest.
    Manifest(ManifestError),
    /// Nothing of what was named can be sent.
    Nothing,
    /// What is to be sent has no name of its own: it is the root directory.
    NoName(PathBuf),
    /// A file is another one than it was when it was looked at.
    Changed(PathBuf, Change),
    /// A file can be read no further.
    Unreadable(PathBuf, io::Error),
    /// The caller did not want to go on.
    Stopped,
}

/// Files that cannot be sent, in the order in which they were found. Of very many the first ones are kept.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) first: Vec<(PathBuf, Problem)>,
    pub(crate) count: usize,
}

/// In what a file differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Shrank,
    Grew,
    /// It has the same size and was written to.
    Written,
    /// Another file has its name.
    Replaced,
    Gone,
}

/// Why files cannot be received, or not any more.
#[derive(Debug)]
pub(crate) enum TargetError {
    /// The directory to receive into is not there.
    NoDirectory(PathBuf),
    /// It is something else.
    NotADirectory(PathBuf),
    /// It was there, and is gone or was moved away.
    Vanished(PathBuf),
    /// Something stands where a file of ours has to be: a link, a directory, a device, or a file of another user.
    Obstacle(PathBuf),
    /// There is no room left. What was received is kept.
    Full(PathBuf),
    /// Every name that could be taken is taken.
    Names(PathBuf),
    /// Another process is receiving the same.
    InUse(PathBuf),
    /// What comes is not what is missing: a slip of the caller.
    OutOfPlace(u64),
    /// Something is missing yet: a slip of the caller.
    Unfinished(PathBuf),
    /// Anything else that the operating system says.
    Unusable(PathBuf, io::Error),
    /// The caller did not want to go on.
    Stopped,
}

/// The most problems that are kept, and of those how many a message names.
const KEPT: usize = 100;
const NAMED: usize = 5;

impl Problems {
    pub(super) fn add(&mut self, path: PathBuf, problem: Problem) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push((path, problem));
        }
    }
}

impl SourceError {
    /// What reading a file ended with.
    pub(super) fn of(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Changed(path.to_owned(), Change::Gone),
            _ => Self::Unreadable(path.to_owned(), error),
        }
    }
}

impl TargetError {
    /// What something with a file in the target ended with. Files are made and renamed in directories that are open: one that is not
    /// found is gone.
    pub(super) fn of(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full(path),
            io::ErrorKind::NotFound => Self::Vanished(path),
            _ => Self::Unusable(path, error),
        }
    }
}

/// A path as it may be shown: what could steer the terminal is written out.
pub(super) fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

impl std::error::Error for SourceError {}

impl std::error::Error for TargetError {}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::Manifest(error) => {
                write!(
                    f,
                    "this cannot be sent in one go: {error}; rename or leave out some, or send them in several goes"
                )
            }
            Self::Nothing => f.write_str("there is nothing to send: name files, or directories with files in them"),
            Self::NoName(path) => write!(f, "{} has no name: send what is in it", shown(path)),
            Self::Changed(path, change) => {
                write!(f, "{} {change} while it was being sent: send it again", shown(path))
            }
            Self::Unreadable(path, error) => {
                write!(f, "{} cannot be read: {error}; check its permissions and send it again", shown(path))
            }
            Self::Stopped => f.write_str("stopped before everything was read"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was sent: ")?;
        for (index, (path, problem)) in self.first.iter().take(NAMED).enumerate() {
            write!(f, "{}{}: {problem}", if index > 0 { "; " } else { "" }, shown(path))?;
        }
        match self.count.saturating_sub(NAMED) {
            0 => f.write_str("; rename or leave out what cannot be sent"),
            more => write!(f, "; and {more} more; rename or leave out what cannot be sent"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shrank => "became shorter",
            Self::Grew => "became longer",
            Self::Written => "was changed",
            Self::Replaced => "was replaced",
            Self::Gone => "was removed",
        })
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory(path) => {
                write!(f, "the directory {} does not exist: make it, or name another one", shown(path))
            }
            Self::NotADirectory(path) => write!(f, "{} is no directory: name one to receive into", shown(path)),
            Self::Vanished(path) => {
                write!(
                    f,
                    "{} cannot be written: its directory was removed; name another one and receive it again",
                    shown(path)
                )
            }
            Self::Obstacle(path) => {
                write!(f, "{} is a link, or something else than a file of yours: move it away", shown(path))
            }
            Self::Full(path) => {
                write!(
                    f,
                    "there is no room for {}: free some and receive it again, it goes on where it stopped",
                    shown(path)
                )
            }
            Self::Names(path) => write!(f, "{} and all names like it are taken: move some files away", shown(path)),
            Self::InUse(path) => write!(f, "{} is being received by another process: wait for its end", shown(path)),
            Self::OutOfPlace(position) => write!(f, "byte {position} is not what comes next"),
            Self::Unfinished(path) => write!(f, "{} is not complete: receive it again", shown(path)),
            Self::Unusable(path, error) => {
                write!(f, "{} cannot be written: {error}; check its permissions and receive it again", shown(path))
            }
            Self::Stopped => f.write_str("stopped before everything was read"),
        }
    }
}
