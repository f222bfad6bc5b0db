//! Mistakes of the caller.

use core::fmt;

/// Why a command cannot be done. What a peer does wrong is never one of these: it ends the session with a
/// [`FileEnd`](crate::FileEnd).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// No session has this id, or it has ended.
    NoSession,
    /// The session is not at the point where that can be said.
    NotNow,
    /// As many sessions as [`sessions_max`](crate::FilesConfig::sessions_max) are running that we began.
    TooMany,
    /// A file that is offered or served has a size.
    NoSize,
    /// The range goes beyond the end of the file, or the peer does not send parts of it.
    Range,
    /// The hasher is of another function than the file's, or has seen another number of bytes than it must have.
    Hasher,
    /// A name, a date or a media type is too long, or a date is not one of XEP-0082.
    Text,
    /// More bytes of a tunnel than there is [room](crate::Files::tunnel_room) for.
    NoRoom,
    /// A request that does not say which file it means.
    Selector,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => "no session of files has this id",
            Self::NotNow => "the session of the file is not at this point",
            Self::TooMany => "too many sessions of files at once",
            Self::NoSize => "the size of the file is not given",
            Self::Range => "the range goes beyond the end of the file, or only the whole file can be had",
            Self::Hasher => "the hasher has not seen what it must have seen",
            Self::Text => "what is said about the file is too long, or its date is none",
            Self::NoRoom => "more bytes of the tunnel than there is room for",
            Self::Selector => "the request does not say which file it means",
        })
    }
}

impl core::error::Error for FileError {}
