//! Files through a tunnel: what is sent, and what is received.

mod disk;
mod inbox;
mod outbox;
mod rate;
mod shelf;

pub(crate) use disk::Stored;
pub(crate) use inbox::{Arrived, Gist, Inbox, Why};
pub(crate) use outbox::{Outbox, Sent};
pub(crate) use rate::Rate;
pub(crate) use shelf::{Fetched, Goods};

use xtls_files::FileEnd;
use xtls_stanza::jid::FullJid;

use crate::exit::{Code, Failure};

impl Sent {
    /// Why the peer does not have it; `Ok` if it has.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(crate) fn result(self, peer: &FullJid, name: &str) -> Result<(), Failure> {
        let failure = match self {
            Self::Done | Self::Begun { .. } => return Ok(()),
            Self::Refused => Failure::other(format!("{peer} does not want {name}")),
            Self::Unreadable(error) => Failure::other(error.to_string()),
            Self::Ended { end: FileEnd::Unsupported, .. } => {
                Failure::other(format!("{peer} takes no files like {name}: its software does not do that"))
            }
            Self::Ended { end, by_peer } => ended(end, by_peer, peer, name),
        };
        Err(failure.about(peer))
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

fn ended(end: FileEnd, by_peer: bool, peer: &FullJid, name: &str) -> Failure {
    let whose = if by_peer { format!("{peer} ended it: ") } else { String::new() };
    let (code, advice) = match end {
        FileEnd::Gone | FileEnd::TransportFailed | FileEnd::Timeout => {
            (Code::Connection, "; run both again: it goes on where it stopped")
        }
        FileEnd::HashDiffers | FileEnd::TooShort => (Code::Other, "; send it again"),
        FileEnd::TooLarge if by_peer => (Code::Other, "; free some room there: it goes on where it stopped"),
        FileEnd::TooLarge => (Code::Other, "; more of it came than was announced: send it again"),
        FileEnd::FileChanged => (Code::Other, "; send it again when nothing writes to it"),
        _ => (Code::Other, ""),
    };
    Failure::new(code, format!("{name}: {whose}{end}{advice}"))
}

#[cfg(all(test, unix))]
mod tests;
