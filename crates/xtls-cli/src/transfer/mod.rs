//! Files through a tunnel: what is sent, and what is received.

mod arrived;
mod disk;
mod gather;
mod inbox;
mod outbox;
mod rate;
mod shelf;

#[cfg(all(test, unix))]
use arrived::Why;
pub(crate) use arrived::{Arrived, Gist};
pub(crate) use disk::Stored;
pub(crate) use gather::{LeftOut, gather};
pub(crate) use inbox::Inbox;
pub(crate) use outbox::{Outbox, Sent};
pub(crate) use rate::Rate;
pub(crate) use shelf::{Fetched, Goods};

use xtls_files::{FileEnd, FileEvent, FileId};
use xtls_stanza::jid::FullJid;
use xtls_tokio::FileTunnel;

use crate::exit::{Code, Failure};
use crate::output::{Direction, Output, Report};
use crate::session::tell;

/// Declines what a peer asks for that nobody here sends.
pub(crate) fn decline_request(event: &FileEvent, tunnel: &mut FileTunnel) {
    if let FileEvent::Requested { id, .. } = event {
        end(tunnel, *id, FileEnd::NotAvailable);
    }
}

/// Declines what a peer offers.
pub(crate) fn decline_offer(event: &FileEvent, tunnel: &mut FileTunnel) {
    if let FileEvent::Offered { id, .. } = event {
        end(tunnel, *id, FileEnd::Declined);
    }
}

impl Sent {
    /// Tells that the peer has it, if it has, or that it begins to go.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn tell(&self, output: Output, peer: &FullJid, goods: &Goods) -> Result<(), Failure> {
        match self {
            Self::Done => {
                let (name, size, files) = (goods.name(), goods.size, goods.count());
                tell(output, &Report::FileSent { peer: peer.as_str(), name, size, files })
            }
            Self::Begun { there } => {
                let (name, size, direction) = (goods.name(), goods.size, Direction::Out.as_str());
                tell(output, &Report::FileStarted { peer: peer.as_str(), name, direction, size, there: *there })
            }
            Self::Refused | Self::Ended { .. } | Self::Unreadable(_) => Ok(()),
        }
    }

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

/// Ends a session; one that has ended meanwhile is over.
pub(crate) fn end(tunnel: &mut FileTunnel, id: FileId, how: FileEnd) {
    let _ = tunnel.with_files(|files, now| files.end(now, id, how));
}

fn ended(end: FileEnd, by_peer: bool, peer: &FullJid, name: &str) -> Failure {
    let whose = if by_peer { format!("{peer} ended it: ") } else { String::new() };
    let (code, advice) = match end {
        FileEnd::Gone | FileEnd::TransportFailed | FileEnd::Timeout => {
            (Code::Connection, "; when it is sent again, it goes on where it stopped")
        }
        FileEnd::HashDiffers | FileEnd::TooShort => (Code::Other, "; send it again"),
        FileEnd::TooLarge if by_peer => (Code::Other, "; free some room there: it goes on where it stopped"),
        FileEnd::TooLarge => (Code::Other, "; more of it came than was announced: send it again"),
        FileEnd::Cancelled => (Code::Other, "; when it is sent again, it goes on where it stopped"),
        FileEnd::FileChanged => (Code::Other, "; send it again when nothing writes to it"),
        _ => (Code::Other, ""),
    };
    Failure::new(code, format!("{name}: {whose}{end}{advice}"))
}

#[cfg(all(test, unix))]
mod tests;
