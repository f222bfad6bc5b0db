//! How raw bytes over a link end.

use core::fmt;
use std::{io, sync::Arc};

use xtls::{link::LinkClosed, xml::StanzaError};
use xtls_ibb::BytestreamFault;

/// Why no bytes go over a link, or not any more. Errors of `AsyncRead` and `AsyncWrite` have it inside: [`ByteLinkError::of`] finds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ByteLinkError {
    /// The link ended.
    Closed(Arc<LinkClosed>),
    /// This direction was shut down.
    Finished,
    /// The peer takes no bytes at all, and says so: it is for something else.
    NotTaken(StanzaError),
    /// The peer refuses bytes that were sent to it.
    Refused(StanzaError),
    /// The peer does not want any more.
    Stopped,
    /// The peer sends bytes in the direction that is ours.
    Unexpected,
    /// The peer has acknowledged what came after bytes that it has refused.
    Gap,
    /// What the peer sends as bytes is none by XEP-0047.
    Malformed(BytestreamFault),
}

impl ByteLinkError {
    /// The error of a link that is inside of this one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<ByteLinkError> for io::Error {
    fn from(error: ByteLinkError) -> Self {
        let ended = matches!(error, ByteLinkError::Closed(_) | ByteLinkError::Finished);
        let kind = if ended { io::ErrorKind::BrokenPipe } else { io::ErrorKind::ConnectionReset };
        Self::new(kind, error)
    }
}

impl fmt::Display for ByteLinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => write!(f, "the link ended: {}", closed.reason),
            Self::Finished => f.write_str("this direction was shut down"),
            Self::NotTaken(error) => write!(f, "the peer takes no bytes: {error}"),
            Self::Refused(error) => write!(f, "the peer refuses bytes: {error}"),
            Self::Stopped => f.write_str("the peer takes no more bytes"),
            Self::Unexpected => f.write_str("the peer sends bytes where none may come"),
            Self::Gap => f.write_str("the peer lets bytes go missing"),
            Self::Malformed(fault) => write!(f, "the peer sends bytes that are none: {fault}"),
        }
    }
}

impl core::error::Error for ByteLinkError {}
