//! Certificates that peers give inside a tunnel.

use core::fmt;

use xtls_stanza::{Fingerprint, StanzaError};
use xtls_tls::PeerCertificate;

/// A certificate that the peer gave inside the tunnel, and so one that the authenticated peer says is its own. Nothing is
/// made of it here: what it is worth is for whoever asked to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedCertificate {
    /// The certificate.
    pub certificate: PeerCertificate,
    /// Whether the peer says that it holds the private key. Else it is one of the same account, such as the certificate of
    /// a user that signs those of devices (XEP-0189 v0.9 § 5).
    pub held: bool,
}

/// Why no certificates came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificatesFault {
    /// The peer will not give them, or does not know the question.
    Refused(StanzaError),
    /// No answer came within [`Timers::answer`](crate::config::Timers::answer).
    Timeout,
    /// The answer is none to this question.
    Malformed,
    /// The tunnel was authenticated by a password, and what came is not what the peer announced in its offer or answer.
    NotAnnounced {
        /// What was announced.
        announced: Fingerprint,
        /// What came.
        presented: Fingerprint,
    },
    /// The XML stream was closed before the answer.
    StreamClosed,
}

impl CertificatesFault {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: &Self {
            Self::Refused(_) => "refused",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::NotAnnounced { .. } => "not-announced",
            Self::StreamClosed => "stream-closed",
        }
    }
}

impl fmt::Display for CertificatesFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the peer does not give its certificates: {error}"),
            Self::Timeout => f.write_str("the peer did not give its certificates in time"),
            Self::Malformed => f.write_str("the peer answered something else than its certificates"),
            Self::NotAnnounced { announced, presented } => {
                write!(f, "the peer announced the certificate {announced} and gave {presented}")
            }
            Self::StreamClosed => f.write_str("the stream was closed before the peer gave its certificates"),
        }
    }
}

impl core::error::Error for CertificatesFault {}
