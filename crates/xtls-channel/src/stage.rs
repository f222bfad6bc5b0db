//! How far a link has come, and what a tunnel waits for.

use core::fmt;

use xtls_jingle::Action;

/// How far a link has come. `Display` says it like "before the handshake".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// In clear, the peer's header and features are waited for.
    Greeting,
    /// Receiving: the application has to decide on the peer.
    Deciding,
    /// The user is asked for the password.
    Password,
    /// Initiating: TLS was asked for. Receiving: it was offered.
    Asking,
    /// The TLS handshake.
    Handshake,
    /// The user is asked about the certificate.
    Judging,
    /// Inside TLS, the peer's new header and features are waited for.
    Restarting,
    /// From a client: the application has to say which features there are.
    Offering,
    /// The stream is open. From a client that has authenticated, and to any other end, stanzas can be sent.
    Open,
    /// We have sent `</stream:stream>`.
    Closing,
    /// Nothing more comes or goes.
    Ended,
}

impl Stage {
    /// A short name that stays the same, for metrics, logs and translations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Deciding => "deciding",
            Self::Password => "password",
            Self::Asking => "asking",
            Self::Handshake => "handshake",
            Self::Judging => "judging",
            Self::Restarting => "restarting",
            Self::Offering => "offering",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Ended => "ended",
        }
    }
}

/// A request of a tunnel to which no answer came. `Display` says it like "to session-accept".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unanswered {
    /// The question for the peer's features (XEP-0030).
    Features,
    /// An action of the Jingle session: XEP-0166 wants each acknowledged.
    Session(Action),
    /// The `<open/>` of the bytestream (XEP-0047 § 2.1).
    Open,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Features => f.write_str("to the question for its features (disco#info)"),
            Self::Session(action) => write!(f, "to {action}"),
            Self::Open => f.write_str("to the opening of the bytestream"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "before it said what it offers",
            Self::Deciding => "before the link was accepted",
            Self::Password => "while the password was asked for",
            Self::Asking => "before TLS was agreed on",
            Self::Handshake => "during the TLS handshake",
            Self::Judging => "while its certificate was judged",
            Self::Restarting => "before the stream inside TLS was open",
            Self::Offering => "before the features were told",
            Self::Open => "without closing the stream",
            Self::Closing => "while the link was being closed",
            Self::Ended => "after the end",
        })
    }
}
