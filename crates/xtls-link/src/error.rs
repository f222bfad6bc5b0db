//! What the commands of a link refuse: mistakes of the caller.

use core::fmt;

use xtls_channel::{SetupError, TermsError};

/// Why no link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The configuration or the cryptography cannot be used.
    Setup(SetupError),
    /// The peer is our own address.
    OwnAddress,
    /// A server's address has more than a domain.
    NotADomain,
    /// [`ClientTerms::retries`](crate::ClientTerms::retries) is not from 2 to 5.
    Retries,
    /// The terms cannot be met.
    Terms(TermsError),
}

/// Why [`PeerLink::accept`](crate::PeerLink::accept) did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkAcceptError {
    /// No decision is waited for.
    NotAsked,
    /// The terms cannot be met with this peer; the question still stands.
    Terms(TermsError),
}

impl From<SetupError> for LinkError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<TermsError> for LinkError {
    fn from(error: TermsError) -> Self {
        Self::Terms(error)
    }
}

impl From<TermsError> for LinkAcceptError {
    fn from(error: TermsError) -> Self {
        Self::Terms(error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::OwnAddress => f.write_str("the peer is our own address"),
            Self::NotADomain => f.write_str("the address of a server is a domain alone"),
            Self::Retries => f.write_str("`ClientTerms::retries` is outside its documented bounds"),
            Self::Terms(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for LinkAcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("no decision is waited for"),
            Self::Terms(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LinkError {}
impl core::error::Error for LinkAcceptError {}
