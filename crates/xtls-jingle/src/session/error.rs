//! The mistakes that a caller of a session's commands can make.

use core::fmt;

/// Why a session cannot be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitiateError {
    /// A sid is not an NMTOKEN of 1 to [`MAX_SID`](crate::MAX_SID) bytes.
    Sid,
    /// The block size is below [`IbbTransport::MIN_BLOCK_SIZE`](crate::IbbTransport::MIN_BLOCK_SIZE).
    BlockSize,
    /// The content's name has more than [`Content::MAX_NAME`](crate::Content::MAX_NAME) bytes.
    ContentName,
    /// No method is offered.
    NoMethod,
}

/// Why a session cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// It is not an offer of the peer's that waits for an answer.
    NotPending,
    /// The block size is below [`IbbTransport::MIN_BLOCK_SIZE`](crate::IbbTransport::MIN_BLOCK_SIZE).
    BlockSize,
    /// No method is named: instead of an empty `<security/>`, the session is terminated with security-error.
    NoMethod,
}

/// Why a method cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChooseError {
    /// The session is not one that we offered and the peer accepted with a `<security/>`.
    NotAccepted,
    /// A method was chosen before, or TLS has begun.
    AlreadyChosen,
    /// Not both ends offered it.
    NotOffered,
}

/// Why a peer cannot be pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingError {
    /// The session has ended.
    Ended,
    /// The last ping is not answered yet.
    Unanswered,
}

/// Why nothing can be said about the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The session is not carried by a SOCKS5 bytestream.
    NotSocks5,
    /// The session is not accepted, has ended, or TLS has begun; or it is the other end that says this.
    NotActive,
    /// Too much of the kind waits for its answer.
    Unanswered,
    /// The peer has not asked for another transport.
    NotAsked,
    /// A sid that is not an NMTOKEN of 1 to [`MAX_SID`](crate::MAX_SID) bytes, or a block size below
    /// [`IbbTransport::MIN_BLOCK_SIZE`](crate::IbbTransport::MIN_BLOCK_SIZE).
    Value,
}

/// Why a receipt cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The session is not accepted yet, or has ended.
    NotActive,
    /// Not both ends have receipts.
    NotAgreed,
    /// It was given before.
    Given,
}

impl fmt::Display for InitiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sid => "a sid that is not an NMTOKEN of 1 to 256 bytes",
            Self::BlockSize => "a block size of less than 64 bytes",
            Self::ContentName => "a content name of more than 256 bytes",
            Self::NoMethod => "an offer without a method",
        })
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPending => "no offer waits for an answer",
            Self::BlockSize => "a block size of less than 64 bytes",
            Self::NoMethod => "an answer without a method",
        })
    }
}

impl fmt::Display for ChooseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAccepted => "the session is not one that was offered here and accepted with security",
            Self::AlreadyChosen => "a method was chosen already",
            Self::NotOffered => "a method that not both ends offered",
        })
    }
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the session has ended",
            Self::Unanswered => "the last ping is not answered yet",
        })
    }
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotActive => "the session is not active",
            Self::NotAgreed => "not both ends give receipts",
            Self::Given => "a receipt was given already",
        })
    }
}

impl core::error::Error for InitiateError {}
impl core::error::Error for AcceptError {}
impl core::error::Error for ChooseError {}
impl core::error::Error for PingError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSocks5 => "no SOCKS5 bytestream carries the session",
            Self::NotActive => "the transport cannot be changed now",
            Self::Unanswered => "too many requests about the transport are not answered",
            Self::NotAsked => "the peer has not asked for another transport",
            Self::Value => "a sid that is not an NMTOKEN of 1 to 256 bytes, or blocks of less than 64 bytes",
        })
    }
}

impl core::error::Error for TransportError {}
impl core::error::Error for ReceiptError {}
