//! What [`Files`](crate::Files) reports.

use core::fmt;

use crate::{FileEnd, FileInfo, FileRange, FileRequest};

/// A session of one file. The number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) u64);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileEvent {
    /// The peer offers a file: [`accept`](crate::Files::accept) or [`end`](crate::Files::end) answers it.
    Offered {
        /// The new session.
        id: FileId,
        /// The file, as the peer describes it.
        file: FileInfo,
        /// The part of it that is offered. It is the whole file, unless the peer goes on after a break by its own.
        range: FileRange,
    },
    /// The peer asks for a file: [`serve`](crate::Files::serve) or [`end`](crate::Files::end) answers it.
    Requested {
        /// The new session.
        id: FileId,
        /// Which file, and which part.
        wanted: FileRequest,
        /// The part that the peer has and wants to be checked: to be hashed for [`serve`](crate::Files::serve).
        check: Option<FileRange>,
    },
    /// The peer takes the file that we offered.
    Accepted {
        /// The session.
        id: FileId,
        /// The part that it wants.
        range: FileRange,
        /// The part that it has already, if any: it is to be hashed, and [`start`](crate::Files::start) goes on with that. With
        /// `None` bytes can be written at once.
        check: Option<FileRange>,
    },
    /// The peer sends us the file that we asked for.
    Granted {
        /// The session.
        id: FileId,
        /// The file, as the peer describes it.
        file: FileInfo,
    },
    /// The bytes go by a tunnel that is to be opened to the peer's full address, as one of bytes with this sid, by the
    /// certificates of the XML stream; [`tunnel_opened`](crate::Files::tunnel_opened) or
    /// [`tunnel_failed`](crate::Files::tunnel_failed) follows.
    OpenTunnel {
        /// The session.
        id: FileId,
        /// The Jingle sid that the tunnel must have.
        sid: String,
    },
    /// The same, and the peer opens it.
    ExpectTunnel {
        /// The session.
        id: FileId,
        /// The Jingle sid that the tunnel will have. One of this sid from anybody else is not it.
        sid: String,
    },
    /// The last byte was taken from [`poll_tunnel`](crate::Files::poll_tunnel): the tunnel is to be closed, in order.
    CloseTunnel {
        /// The session.
        id: FileId,
    },
    /// There is room for [`write`](crate::Files::write) once more.
    Writable {
        /// The session.
        id: FileId,
    },
    /// There are bytes for [`read`](crate::Files::read) after there were none.
    Readable {
        /// The session.
        id: FileId,
    },
    /// Every byte has been read, and the hash agrees: [`stored`](crate::Files::stored) is due when they are safe. Whatever comes of the
    /// session afterwards, the file is right.
    Checked {
        /// The session.
        id: FileId,
        /// Whether there was a hash to compare. A peer that names no function that is known here has none.
        compared: bool,
    },
    /// The peer says that it has all of it, and that the hash agrees.
    Received {
        /// The session.
        id: FileId,
    },
    /// The session is over. No command takes its id any more.
    Ended {
        /// The session.
        id: FileId,
        /// How.
        end: FileEnd,
        /// Whether the peer said so.
        by_peer: bool,
    },
    /// It is known what the peer knows: [`peer_features`](crate::Files::peer_features).
    FeaturesKnown,
}

impl FileId {
    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
