//! What commands of tunnels and links refuse: mistakes of the caller.

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
#[allow(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct NotAsked;

/// Why terms cannot be met with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TermsError {
    /// They allow no TLS method.
    NoMethod,
    /// There is a password, or nothing else would do, and the initiator's bare address cannot be the user name of TLS-SRP: it
    /// has more than 255 bytes, or characters that SASLprep (RFC 4013) refuses, such as those newer than Unicode 3.2.
    UserName,
    /// A password is all there is, and too many wrong ones were tried with the peer
    /// ([`GuessLimits`](crate::GuessLimits)).
    PasswordLocked,
    /// The policy is [`TrustPolicy::Authorities`](crate::TrustPolicy::Authorities), the store has no pin for the peer, and
    /// there are no authorities.
    NoAuthorities,
    /// Only a leap of faith would do, and the peer was secured by something better before
    /// ([`Terms::allow_downgrade`](crate::Terms::allow_downgrade)).
    Downgraded,
    /// The policy wants a pinned certificate, and the store has none for the peer.
    NotPinned,
    /// The policy is [`TrustPolicy::Ask`](crate::TrustPolicy::Ask), for which an initiator needs TLS 1.3, and the cryptography
    /// provider cannot do it.
    NoTls13,
    /// The store could not be read.
    Store,
}

/// Why nothing was sent, over a tunnel or a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The tunnel is not secured yet.
    NotSecured,
    /// No XML stream is open.
    NoStream,
    /// The tunnel carries raw bytes.
    NotXml,
    /// The tunnel is ending.
    Closing,
    /// The send buffer is full; `Writable` tells when it is not.
    Full,
    /// Neither message, presence nor IQ in `jabber:client`.
    NotAStanza,
    /// The stanza's `from` or `to` is neither absent nor that of the two ends. Or a client is said to be no account of the
    /// domain.
    ForeignAddress,
    /// It is larger than the limits allow.
    TooLarge,
    /// It is the stream's or the link's own to send.
    Reserved,
    /// SASL EXTERNAL on a link that does not present your certificate.
    NoCertificate,
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
            Unofferable::Downgraded => Self::Downgraded,
            Unofferable::NotPinned => Self::NotPinned,
            Unofferable::NoTls13 => Self::NoTls13,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is outside its documented bounds", self.field)
    }
}

impl NotAsked {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: Self {
            Self => "not-asked",
        }
    }
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is asked that this answers")
    }
}

impl TermsError {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: Self {
            Self::NoMethod => "no-method",
            Self::UserName => "user-name",
            Self::PasswordLocked => "password-locked",
            Self::NoAuthorities => "no-authorities",
            Self::Downgraded => "downgraded",
            Self::NotPinned => "not-pinned",
            Self::NoTls13 => "no-tls13",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for TermsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "the terms allow no TLS method",
            Self::UserName => crate::password::NO_USER_NAME,
            Self::PasswordLocked => "too many wrong passwords were tried with the peer; wait",
            Self::NoAuthorities => "no certificate of the peer is trusted, and no authorities are given",
            Self::Downgraded => "the peer was secured before, and by something better than a leap of faith",
            Self::NotPinned => "no certificate of the peer is trusted",
            Self::NoTls13 => {
                "to ask the user about a certificate takes TLS 1.3, which the cryptography provider cannot do"
            }
            Self::Store => "what is known of the peer cannot be read",
        })
    }
}

impl SendError {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: Self {
            Self::NotSecured => "not-secured",
            Self::NoStream => "no-stream",
            Self::NotXml => "not-xml",
            Self::Closing => "closing",
            Self::Full => "full",
            Self::NotAStanza => "not-a-stanza",
            Self::ForeignAddress => "foreign-address",
            Self::TooLarge => "too-large",
            Self::Reserved => "reserved",
            Self::NoCertificate => "no-certificate",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSecured => "it is not secured yet",
            Self::NoStream => "no XML stream is open",
            Self::NotXml => "the tunnel carries raw bytes",
            Self::Closing => "it is ending",
            Self::Full => "as much is waiting to be sent as the configuration allows",
            Self::NotAStanza => "the element is not a stanza",
            Self::ForeignAddress => "the stanza is not between the two ends",
            Self::TooLarge => "the element is larger than the configuration allows",
            Self::Reserved => "it is for the stream itself to send",
            Self::NoCertificate => "no certificate is presented to the server",
        })
    }
}

impl core::error::Error for ConfigError {}
impl core::error::Error for NotAsked {}
impl core::error::Error for TermsError {}
impl core::error::Error for SendError {}
