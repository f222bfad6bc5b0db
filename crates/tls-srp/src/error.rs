//! What can go wrong, sorted by who is at fault, and the alert that tells the peer.

use std::fmt;

use crate::alert::AlertDescription;
use crate::random::RandomFailed;

/// Why a session ended. Nothing of it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, or someone on the way changed its bytes.
    PeerMisbehaved(PeerMisbehaved),
    /// The peer keeps to the protocol, but nothing that it offers is acceptable here.
    PeerIncompatible(PeerIncompatible),
    /// The peer does not know the password, or says that we do not. An attacker looks the same.
    AuthenticationFailed(AuthenticationFailed),
    /// The peer sent a message that cannot be parsed.
    Decode(DecodeError),
    /// The peer ended the session with this alert. Before the handshake is complete anyone can send one; so can they then
    /// send [`AlertDescription::CloseNotify`], which is an error as long as there is nothing to close.
    AlertReceived(AlertDescription),
    /// This side's source of random bytes failed.
    RandomFailed,
    /// This side closed the session before the handshake was complete.
    Closed,
}

/// What a peer did that no honest peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A message or record that does not belong in this state.
    UnexpectedMessage,
    /// A record of a type that is none.
    UnknownContentType,
    /// A ChangeCipherSpec other than the one byte 1, or in the middle of a handshake message.
    IllegalChangeCipherSpec,
    /// A record without content where there has to be some.
    EmptyFragment,
    /// More empty application data records in a row than [`MAX_EMPTY_RECORDS`](crate::MAX_EMPTY_RECORDS).
    TooManyEmptyRecords,
    /// More warnings than [`MAX_WARNINGS`](crate::MAX_WARNINGS).
    TooManyWarnings,
    /// It asked for another handshake after it had been refused one.
    RepeatedRenegotiation,
    /// More records or bytes than one key may protect: see [`MAX_RECORDS`](crate::MAX_RECORDS).
    KeyOverused,
    /// A record of another version than the negotiated one.
    RecordVersion,
    /// A record longer than RFC 5246 § 6.2 allows.
    RecordOverflow,
    /// A record that does not verify.
    BadRecordMac,
    /// A or B outside what an honest peer sends, or an A and B with u = 0.
    IllegalPublicValue,
    /// The same extension twice.
    DuplicateExtension,
    /// A ServerHello extension that was not offered.
    UnsolicitedExtension,
    /// A cipher suite that was not offered.
    UnofferedCipherSuite,
    /// A compression method that was not offered.
    UnofferedCompression,
    /// renegotiation_info with content in a first handshake (RFC 5746 §§ 3.4, 3.6).
    IllegalRenegotiationInfo,
}

/// What a peer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// It does not speak TLS 1.2.
    ProtocolVersion,
    /// It offers none of our cipher suites.
    CipherSuites,
    /// It insists on compression.
    Compression,
    /// It does not do RFC 7627.
    ExtendedMasterSecretRequired,
    /// It does not do RFC 7366.
    EncryptThenMacRequired,
    /// It does not do RFC 5746.
    RenegotiationInfoRequired,
    /// It uses a group that is not among ours.
    Group,
}

/// How authentication failed. All of them mean the same to a user: the name or the password is wrong, or someone
/// interferes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticationFailed {
    /// The client offered SRP and named no user.
    UsernameMissing,
    /// The client named another user than the one expected.
    UsernameUnknown,
    /// The record that should have held the peer's Finished does not verify, as the peer derived other keys.
    Password,
    /// The peer derived the same keys, but saw another handshake.
    Finished,
    /// The server refused: unknown_psk_identity, bad_record_mac or internal_error, which servers use alike.
    Refused,
}

/// Why a message cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It ends too early.
    Truncated,
    /// It goes on after its end.
    TrailingData,
    /// A vector is shorter or longer than it may be.
    VectorLength,
    /// A handshake message longer than [`MAX_HANDSHAKE_MESSAGE`](crate::MAX_HANDSHAKE_MESSAGE).
    HandshakeTooLong,
    /// An alert record that is not one alert.
    Alert,
}

impl Error {
    /// The alert that goes to the peer, if any: the one place that chooses it.
    #[must_use]
    pub fn alert(&self) -> Option<AlertDescription> {
        use AlertDescription as Alert;
        Some(match self {
            Self::PeerMisbehaved(misbehaved) => match misbehaved {
                PeerMisbehaved::UnexpectedMessage
                | PeerMisbehaved::UnknownContentType
                | PeerMisbehaved::IllegalChangeCipherSpec
                | PeerMisbehaved::EmptyFragment
                | PeerMisbehaved::TooManyEmptyRecords
                | PeerMisbehaved::TooManyWarnings
                | PeerMisbehaved::RepeatedRenegotiation
                | PeerMisbehaved::KeyOverused => Alert::UnexpectedMessage,
                PeerMisbehaved::RecordVersion => Alert::ProtocolVersion,
                PeerMisbehaved::RecordOverflow => Alert::RecordOverflow,
                PeerMisbehaved::BadRecordMac => Alert::BadRecordMac,
                PeerMisbehaved::IllegalPublicValue
                | PeerMisbehaved::DuplicateExtension
                | PeerMisbehaved::UnofferedCipherSuite
                | PeerMisbehaved::UnofferedCompression => Alert::IllegalParameter,
                PeerMisbehaved::UnsolicitedExtension => Alert::UnsupportedExtension,
                PeerMisbehaved::IllegalRenegotiationInfo => Alert::HandshakeFailure,
            },
            Self::PeerIncompatible(incompatible) => match incompatible {
                PeerIncompatible::ProtocolVersion => Alert::ProtocolVersion,
                PeerIncompatible::Compression => Alert::IllegalParameter,
                PeerIncompatible::CipherSuites
                | PeerIncompatible::ExtendedMasterSecretRequired
                | PeerIncompatible::EncryptThenMacRequired
                | PeerIncompatible::RenegotiationInfoRequired => Alert::HandshakeFailure,
                PeerIncompatible::Group => Alert::InsufficientSecurity,
            },
            Self::AuthenticationFailed(failed) => match failed {
                AuthenticationFailed::UsernameMissing | AuthenticationFailed::UsernameUnknown => {
                    Alert::UnknownPskIdentity
                }
                AuthenticationFailed::Password => Alert::BadRecordMac,
                AuthenticationFailed::Finished => Alert::DecryptError,
                AuthenticationFailed::Refused => return None,
            },
            Self::Decode(_) => Alert::DecodeError,
            Self::RandomFailed => Alert::InternalError,
            // RFC 5246 § 7.2.2: a fatal alert is not answered.
            Self::AlertReceived(_) => return None,
            // close_notify has been sent by then.
            Self::Closed => return None,
        })
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(misbehaved: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(misbehaved)
    }
}

impl From<PeerIncompatible> for Error {
    fn from(incompatible: PeerIncompatible) -> Self {
        Self::PeerIncompatible(incompatible)
    }
}

impl From<AuthenticationFailed> for Error {
    fn from(failed: AuthenticationFailed) -> Self {
        Self::AuthenticationFailed(failed)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<RandomFailed> for Error {
    fn from(RandomFailed: RandomFailed) -> Self {
        Self::RandomFailed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerMisbehaved(misbehaved) => write!(f, "the peer misbehaved: {misbehaved:?}"),
            Self::PeerIncompatible(lacks) => write!(f, "the peer is incompatible: {lacks:?}"),
            Self::AuthenticationFailed(_) => {
                f.write_str("authentication failed: a wrong name or password, or an attacker")
            }
            Self::Decode(error) => write!(f, "the peer sent what cannot be parsed: {error:?}"),
            Self::AlertReceived(alert) => write!(f, "the peer ended the session with {alert}"),
            Self::RandomFailed => RandomFailed.fmt(f),
            Self::Closed => f.write_str("closed before the handshake was complete"),
        }
    }
}

impl std::error::Error for Error {}

/// The transport ended, and the peer had not said that it was done (RFC 5246 § 7.2.1): bytes may have been cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // There is no more to say.
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ended without close_notify: the data may be cut short")
    }
}

impl std::error::Error for Truncated {}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The handshake is not complete: the peer has not been authenticated.
    Handshaking,
    /// One of the two sides closed the session, or it failed.
    Closed,
    /// The keys have protected all that they may ([`MAX_RECORDS`](crate::MAX_RECORDS)): close, and connect anew.
    KeyExhausted,
    /// The source of random bytes failed. The session is dead.
    RandomFailed,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshaking => "the handshake is not complete",
            Self::Closed => "the session is closed",
            Self::KeyExhausted => "the keys have been used up: a new session is needed",
            Self::RandomFailed => return RandomFailed.fmt(f),
        })
    }
}

impl std::error::Error for WriteError {}

/// Why no keying material was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// There is none before the handshake is complete, nor after the session ended.
    NotConnected,
    /// The label is one that TLS itself uses (RFC 5705 § 6).
    ReservedLabel,
    /// The context is longer than 65535 bytes.
    ContextTooLong,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "there is no session to export from",
            Self::ReservedLabel => "the label is reserved for TLS itself",
            Self::ContextTooLong => "the context is longer than 65535 bytes",
        })
    }
}

impl std::error::Error for ExportError {}
