//! What the commands of a link refuse: slips of the caller.

use core::fmt;

use crate::config::ConfigError;

/// Why no link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// A field of the configuration.
    Config(ConfigError),
    /// The cryptography provider has no cipher suites or no key exchange.
    Provider,
    /// The peer is the own address.
    OwnAddress,
    /// A server's address has more than a domain.
    NotADomain,
    /// [`ClientTerms::retries`](crate::ClientTerms::retries) is not from 2 to 5.
    Retries,
    /// The conditions cannot be met.
    Terms(LinkTermsError),
}

/// Why a link cannot be made under these conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkTermsError {
    /// Nobody waits for a decision.
    NotAsked,
    /// The policy is [`TrustPolicy::Pinned`](crate::TrustPolicy::Pinned) and the store has no pin for the peer.
    NotPinned,
    /// The policy is [`TrustPolicy::Authorities`](crate::TrustPolicy::Authorities), the store has no pin for the peer, and
    /// [`LinkLocal::authorities`](crate::LinkLocal::authorities) has none.
    NoAuthorities,
    /// No TLS method is allowed.
    NoMethod,
    /// A password is all there is, and too many wrong ones were tried with the peer.
    PasswordLocked,
    /// The bare address of the initiating end cannot be the user name of TLS-SRP: it has more than 255 bytes, or SASLprep
    /// refuses it.
    UserName,
}

/// Why an answer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkAnswerError {
    /// Nobody asked, or the question was answered before.
    NotAsked,
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkSendError {
    /// The link is not open.
    NotOpen,
    /// [`LinkConfig::send_buffer`](crate::LinkConfig::send_buffer) is full;
    /// [`LinkEvent::Writable`](crate::LinkEvent::Writable) tells when there is room.
    Full,
    /// It is not a message, presence or IQ.
    NotAStanza,
    /// Its `from` is not this end, or its `to` not the peer. Or a client is said to be no account of the domain.
    ForeignAddress,
    /// It is longer than the limits allow.
    TooLarge,
    /// It is the stream's or the link's own to send.
    Reserved,
    /// SASL EXTERNAL without a certificate of this end's.
    NoCertificate,
}

impl From<LinkTermsError> for LinkError {
    fn from(error: LinkTermsError) -> Self {
        Self::Terms(error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(ConfigError { field }) => {
                write!(f, "`LinkConfig::{field}` is outside of its documented bounds")
            }
            Self::Provider => f.write_str("the cryptography provider cannot be used"),
            Self::OwnAddress => f.write_str("the peer is this very entity"),
            Self::NotADomain => f.write_str("the address of a server is a domain alone"),
            Self::Retries => f.write_str("`ClientTerms::retries` is outside of its documented bounds"),
            Self::Terms(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for LinkTermsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "no decision is waited for",
            Self::NotPinned => "no certificate of the peer is trusted",
            Self::NoAuthorities => "no certificate of the peer is trusted, and no authorities are given",
            Self::NoMethod => "no TLS method is allowed",
            Self::PasswordLocked => "too many wrong passwords were tried with the peer; wait",
            Self::UserName => "the address of the initiating end cannot be used with a password",
        })
    }
}

impl fmt::Display for LinkAnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("no answer is waited for"),
        }
    }
}

impl fmt::Display for LinkSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the link is not open",
            Self::Full => "too much waits to be sent",
            Self::NotAStanza => "not a message, presence or IQ",
            Self::ForeignAddress => "the stanza is from or to somebody else than the ends of the link",
            Self::TooLarge => "the element is too large",
            Self::Reserved => "it is for the stream itself to send",
            Self::NoCertificate => "this end presents no certificate to the server",
        })
    }
}

impl core::error::Error for LinkError {}
impl core::error::Error for LinkTermsError {}
impl core::error::Error for LinkAnswerError {}
impl core::error::Error for LinkSendError {}
