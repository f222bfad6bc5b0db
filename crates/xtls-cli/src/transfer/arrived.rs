//! What becomes of what a peer offers, and how that is told.

use std::path::PathBuf;

use xtls_files::{FileEnd, FileHash, FileId, FileInfo};
use xtls_stanza::jid::FullJid;

use super::ended;
use crate::exit::Failure;
use crate::files::{Left, TargetError};
use crate::output::{Direction, Output, Report};
use crate::session::tell;

/// What is to be decided on, or has happened.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// The user is to say whether it is wanted: [`take`](super::Inbox::take) or [`refuse`](super::Inbox::refuse).
    Ask { id: FileId, what: Gist, free: Option<u64> },
    /// Its bytes begin to come, of which so many are there.
    Begun { what: Gist, there: u64, left: Option<(PathBuf, Left)> },
    /// It is there, whole, and checked; `unproven` if the peer has named no hash that is known here.
    Done { id: FileId, what: Gist, path: PathBuf, unproven: bool },
    /// It came to nothing, so far: what has come is kept.
    Failed { id: FileId, what: Gist, why: Why },
    /// The tunnel for its bytes has failed: it goes on in another way once the peer offers that.
    Detour { id: FileId, what: Gist },
    /// These were wrong, and are asked for again.
    Wrong { path: String },
}

/// Why something was not received.
#[derive(Debug)]
pub(crate) enum Why {
    /// The session ended so.
    Ended { end: FileEnd, by_peer: bool },
    /// The disk does not take it.
    Disk(TargetError),
    /// What is offered is not what can be received: in words.
    Offer(String),
}

/// What something is, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gist {
    pub(crate) name: String,
    /// Of all files.
    pub(crate) size: u64,
    /// How many files it has; `None`: it is one.
    pub(crate) files: Option<u64>,
    date: Option<String>,
    hash: Option<FileHash>,
}

impl Gist {
    /// As it is offered: what is said there of several files is not known to be true yet.
    pub(super) fn of(file: &FileInfo) -> Self {
        Self {
            name: file.name.clone().unwrap_or_default(),
            size: file.manifest.map_or(file.size, |manifest| Some(manifest.size)).unwrap_or_default(),
            files: file.manifest.map(|manifest| manifest.files),
            date: file.date.clone(),
            hash: file.hash,
        }
    }
}

impl Arrived {
    /// Tells of it. `answers` are the lines by which the user takes or refuses what is asked about, if somebody is asked.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn tell(&self, output: Output, peer: &FullJid, answers: Option<(&str, &str)>) -> Result<(), Failure> {
        let address = peer.as_str();
        match self {
            Self::Ask { what: Gist { name, size, files, .. }, free, .. } => tell(
                output,
                &Report::FileOffered {
                    peer: address,
                    name,
                    size: *size,
                    files: *files,
                    free: *free,
                    asks: answers.is_some(),
                    yes: answers.map(|(yes, _)| yes),
                    no: answers.map(|(_, no)| no),
                },
            ),
            Self::Done { what: Gist { name, size, files, .. }, path, unproven, .. } => {
                if *unproven {
                    output.warn_of(
                        Some(address),
                        &format!("{peer} has given no checksum for {name}: that it is whole is not proven"),
                    );
                }
                let path = path.to_string_lossy();
                let (size, files) = (*size, *files);
                tell(output, &Report::FileReceived { peer: address, name, size, files, path: &path })
            }
            Self::Failed { what, why, .. } => {
                output.failure(&why.failure(peer, &what.name));
                Ok(())
            }
            Self::Begun { what: Gist { name, size, .. }, there, left } => {
                if let Some((path, why)) = left {
                    output.warn(&format!("{} is left as it is: {why}", path.display()));
                }
                let (size, there, direction) = (*size, *there, Direction::In.as_str());
                tell(output, &Report::FileStarted { peer: address, name, direction, size, there })
            }
            Self::Detour { what: Gist { name, .. }, .. } => {
                output.warn_of(
                    Some(address),
                    &format!(
                        "the connection that {name} came by has failed: it goes on when {peer} offers another way"
                    ),
                );
                Ok(())
            }
            Self::Wrong { path } => {
                output.warn_of(
                    Some(address),
                    &format!("{path} came with another checksum than it has at {peer}, and is asked for again"),
                );
                Ok(())
            }
        }
    }
}

impl Why {
    /// In one line.
    pub(crate) fn failure(&self, peer: &FullJid, name: &str) -> Failure {
        match self {
            Self::Ended { end, by_peer } => ended(*end, *by_peer, peer, name),
            Self::Disk(error) => Failure::other(error.to_string()),
            Self::Offer(words) => Failure::other(format!("{name} of {peer} was declined: {words}")),
        }
        .about(peer)
    }
}
