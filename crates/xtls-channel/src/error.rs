//! What commands refuse behind both doors: slips of the caller.

use core::fmt;

use crate::rules::Unofferable;

/// A field of a configuration that is out of range: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field, such as `timers.answer`.
    pub field: &'static str,
}

/// The answer to a question that was not asked, or was answered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAsked;

/// Why terms cannot be met with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TermsError {
    /// They allow no TLS method.
    NoMethod,
    /// The initiator's bare address cannot be the user name of TLS-SRP: it has more than 255 bytes, or SASLprep refuses it.
    UserName,
    /// A password is all there is, and too many wrong ones were tried with the peer
    /// ([`SecurityLimits::password_tries`](crate::SecurityLimits::password_tries)).
    PasswordLocked,
    /// The policy is [`TrustPolicy::Authorities`](crate::TrustPolicy::Authorities), the store has no pin for the peer, and
    /// there are no authorities.
    NoAuthorities,
    /// The policy wants a pinned certificate, and the store has none for the peer.
    NotPinned,
    /// The store could not be read.
    Store,
}

impl ConfigError {
    /// This field is out of range.
    #[must_use]
    pub fn new(field: &'static str) -> Self {
        Self { field }
    }
}

impl From<Unofferable> for TermsError {
    fn from(why: Unofferable) -> Self {
        match why {
            Unofferable::NoMethod => Self::NoMethod,
            Unofferable::UserName => Self::UserName,
            Unofferable::PasswordLocked { .. } => Self::PasswordLocked,
            Unofferable::NoAuthorities => Self::NoAuthorities,
            Unofferable::NotPinned => Self::NotPinned,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is outside of its documented bounds", self.field)
    }
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is asked that this answers")
    }
}

impl fmt::Display for TermsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "the terms allow no TLS method",
            Self::UserName => "the initiator's address cannot be used with a password",
            Self::PasswordLocked => "too many wrong passwords were tried with the peer; wait",
            Self::NoAuthorities => "no certificate of the peer is trusted, and no authorities are given",
            Self::NotPinned => "no certificate of the peer is trusted",
            Self::Store => "what is known of the peer cannot be read",
        })
    }
}

impl core::error::Error for ConfigError {}
impl core::error::Error for NotAsked {}
impl core::error::Error for TermsError {}
