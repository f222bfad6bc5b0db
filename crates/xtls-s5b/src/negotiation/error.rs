//! What of the peer's does not fit.

use core::fmt;

/// Why a transport-info of the peer was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum S5bFault {
    /// It names a candidate that was not offered, or another than the one that was nominated.
    UnknownCandidate,
    /// It cannot be said now: it contradicts what was said before, or nothing waits for it.
    OutOfOrder,
}

impl S5bFault {
    /// What is wrong, for the text of a stanza error.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCandidate => "a candidate that was not offered",
            Self::OutOfOrder => "nothing waits for this",
        }
    }
}

impl fmt::Display for S5bFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for S5bFault {}
