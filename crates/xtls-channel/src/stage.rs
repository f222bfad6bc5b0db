//! How far a link has come.

use core::fmt;

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
