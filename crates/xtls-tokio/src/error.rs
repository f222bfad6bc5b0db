//! How drivers and tunnels end, and why there is no tunnel.

use core::fmt;
use std::{io, sync::Arc};

use xtls::{
    Closed,
    error::{AcceptError, InitiateError, RejectError, SendError},
    jid::Jid,
};

/// Why a [`Driver`](crate::Driver) does not go on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum End {
    /// The outer stream ended in order.
    Ended,
    /// The outer stream broke, or could not be resumed.
    Lost(Arc<io::Error>),
    /// It was asked to end, by [`Handle::shutdown`](crate::Handle::shutdown) or because everything that could have used it was
    /// dropped. The outer stream is as good as before.
    Shutdown,
    /// The driver itself was dropped.
    Dropped,
}

/// Why there is no tunnel.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CallError {
    /// The engine offers no such tunnel.
    Initiate(InitiateError),
    /// The offer was not accepted: it does not stand any more, or is for another application.
    Accept(AcceptError),
    /// The outer stream would take stanzas for this address to another one.
    Address(Jid),
    /// No resource of the account showed itself in time.
    Offline,
    /// Resources of the account are there, and none of them has XTLS.
    NoXtls,
    /// A server takes the peer's address for this one, which answered (RFC 7622 § 5).
    Another(Jid),
    /// The attempt ended before the tunnel could be used.
    Closed(Arc<Closed>),
    /// There is no driver any more.
    Gone(End),
}

/// Why a tunnel cannot be used, or not any more. Errors of `AsyncRead` and `AsyncWrite` have it inside:
/// [`TunnelError::of`] finds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TunnelError {
    /// The tunnel ended.
    Closed(Arc<Closed>),
    /// This direction was shut down.
    Finished,
    /// The stanza cannot be sent. Nothing was sent, and others can be.
    Unsendable(SendError),
    /// There is no driver any more.
    Gone(End),
}

impl TunnelError {
    /// The error of a tunnel that is inside of this one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<TunnelError> for io::Error {
    fn from(error: TunnelError) -> Self {
        let kind = match &error {
            TunnelError::Closed(closed) if closed.truncated => io::ErrorKind::UnexpectedEof,
            TunnelError::Closed(closed) if closed.unacked > 0 => io::ErrorKind::ConnectionReset,
            TunnelError::Closed(_) | TunnelError::Finished => io::ErrorKind::BrokenPipe,
            TunnelError::Unsendable(_) => io::ErrorKind::InvalidInput,
            TunnelError::Gone(_) => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<InitiateError> for CallError {
    fn from(error: InitiateError) -> Self {
        Self::Initiate(error)
    }
}

impl From<AcceptError> for CallError {
    fn from(error: AcceptError) -> Self {
        Self::Accept(error)
    }
}

impl From<RejectError> for CallError {
    fn from(error: RejectError) -> Self {
        Self::Accept(match error {
            RejectError::OtherEngine => AcceptError::OtherEngine,
            RejectError::Gone | _ => AcceptError::Gone,
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the outer stream ended"),
            Self::Lost(error) => write!(f, "the outer stream broke: {error}"),
            Self::Shutdown => f.write_str("the driver was shut down"),
            Self::Dropped => f.write_str("the driver was dropped"),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initiate(error) => error.fmt(f),
            Self::Accept(error) => error.fmt(f),
            Self::Address(peer) => write!(f, "what is for {peer} would go to another address"),
            Self::Offline => f.write_str("no resource of the account showed itself in time"),
            Self::NoXtls => f.write_str("no resource of the account has XTLS"),
            Self::Another(address) => {
                write!(f, "a server takes the address of the peer for another one: {address} answered")
            }
            Self::Closed(closed) => write!(f, "no tunnel: {}", closed.reason),
            Self::Gone(end) => end.fmt(f),
        }
    }
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => {
                write!(f, "the tunnel ended: {}", closed.reason)?;
                if closed.truncated {
                    f.write_str("; what was read is only a part")?;
                }
                match closed.unacked {
                    0 => Ok(()),
                    unacked => write!(f, "; {unacked} bytes are not acknowledged"),
                }
            }
            Self::Finished => f.write_str("this direction was shut down"),
            Self::Unsendable(error) => error.fmt(f),
            Self::Gone(end) => end.fmt(f),
        }
    }
}

impl core::error::Error for End {}
impl core::error::Error for CallError {}
impl core::error::Error for TunnelError {}
