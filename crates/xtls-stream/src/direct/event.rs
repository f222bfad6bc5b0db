//! What comes out of a direct stream: events, faults of the peer, mistakes of the caller.

use core::fmt;

use xtls_stanza::{Element, StreamHeader, TlsOffer};

use crate::{Features, StreamCondition, StreamError, StreamFault};

/// What happened on the stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DirectEvent {
    /// The peer's header came and was checked. Receiving: it was answered, and
    /// [`send_features`](crate::DirectStream::send_features) comes next, unless the peer speaks XEP-0035.
    Header(StreamHeader),
    /// Initiating: the features came, or a header in the dialect of XEP-0035, of which only `starttls` can be there.
    /// Where [`wants_tls`](crate::DirectStream::wants_tls) says so,
    /// [`start_tls`](crate::DirectStream::start_tls) comes next.
    Features(Features),
    /// Receiving: the peer asks for TLS. [`proceed`](crate::DirectStream::proceed) or
    /// [`refuse`](crate::DirectStream::refuse) comes next.
    StartTlsRequested {
        /// The methods and keys that the peer is ready for (XEP-0250 § 3.3.2); `None` if it does not say.
        offer: Option<TlsOffer>,
    },
    /// Both sides agreed: from here on bytes are TLS's, until [`secured`](crate::DirectStream::secured).
    StartTls {
        /// The method that the receiving entity chose (XEP-0250 § 3.3.3); `None` if it did not say.
        offer: Option<TlsOffer>,
    },
    /// A message, presence or IQ. Between peers its addresses are those of the ends, as in a tunnel.
    Stanza(Element),
    /// Another first-level child, such as those that negotiate SASL: neither a stanza nor the stream's own.
    Nonza(Element),
    /// Between peers: a stanza came whose `from` is not the peer. It was dropped, the stream goes on.
    Impersonation {
        /// The address that the stanza bore.
        claimed: String,
    },
    /// Between peers: a stanza came whose `to` is not the local end. It was dropped, the stream goes on.
    Misaddressed {
        /// The address that the stanza bore.
        claimed: String,
    },
    /// The stream is closed in both directions, and the connection may be (RFC 6120 § 4.4).
    Closed,
    /// The stream broke down and the connection has to be closed. What the peer has to be told was written; nothing
    /// more will be read or written.
    Failed(DirectFault),
}

/// What the peer did that ended the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectFault {
    /// What ends a stream in a tunnel as well. Never [`StreamFault::Reported`].
    Stream(StreamFault),
    /// TLS was not negotiated as it has to be.
    StartTls(StartTlsFault),
    /// A header lacks an address that it needs, or has one that is no JID (RFC 6120 § 4.9.3.7).
    Addressing,
    /// Features came twice in one stream (RFC 6120 § 4.3.2).
    FeaturesTwice,
    /// A child that may come, but not here: before the features, or while TLS is being negotiated.
    Unexpected,
    /// The stream or its connection ended while something was being negotiated, or without an end tag.
    EarlyEnd,
    /// The peer reported a stream error (RFC 6120 § 4.9.1).
    Reported(Box<StreamError>),
}

/// How the negotiation of TLS failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartTlsFault {
    /// Bytes in clear came after the last element in clear, `<starttls/>` or `<proceed/>`. An attacker may have
    /// put them there, to be taken for secured ones; they were thrown away.
    Injection,
    /// The peer answered `<failure/>` (RFC 6120 § 5.4.2.2).
    Refused,
    /// TLS is required and the peer does not offer it.
    NotOffered,
    /// The stream is secured and the peer offers TLS again (RFC 6120 § 5.4.3.3, XEP-0035 § 2.3).
    OfferedAgain,
    /// The stream is secured and the peer asks for TLS again. It got `<failure/>`.
    AskedAgain,
    /// The peer asks for TLS where it was not offered. It got `<failure/>`.
    AskedUnoffered,
    /// Something came in clear that has to wait for TLS.
    InClear,
    /// The peer chose a method that was not offered to it (XEP-0250 § 3.3.3).
    Method,
}

/// What a fault is answered with before the end of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Error(StreamCondition),
    /// RFC 6120 § 5.4.2.2.
    TlsFailure,
    Nothing,
}

impl DirectFault {
    /// The condition of the stream error that the peer was sent, where there was one and the stream was still open in
    /// that direction.
    #[must_use]
    pub fn condition(&self) -> Option<StreamCondition> {
        match self.answer() {
            Answer::Error(condition) => Some(condition),
            Answer::TlsFailure | Answer::Nothing => None,
        }
    }

    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Stream(fault) => fault.stream_condition().map_or(Answer::Nothing, Answer::Error),
            Self::StartTls(fault) => match fault {
                StartTlsFault::Injection | StartTlsFault::AskedAgain | StartTlsFault::AskedUnoffered => {
                    Answer::TlsFailure
                }
                StartTlsFault::NotOffered | StartTlsFault::OfferedAgain | StartTlsFault::InClear => {
                    Answer::Error(StreamCondition::PolicyViolation)
                }
                StartTlsFault::Refused | StartTlsFault::Method => Answer::Nothing,
            },
            Self::Addressing => Answer::Error(StreamCondition::ImproperAddressing),
            Self::FeaturesTwice | Self::Unexpected => Answer::Error(StreamCondition::PolicyViolation),
            Self::EarlyEnd | Self::Reported(_) => Answer::Nothing,
        }
    }

    /// Whether somebody may be at work on the way to the peer, or the peer is not who it has to be. An end that comes
    /// early counts as little as any lost connection.
    #[must_use]
    pub fn is_security(&self) -> bool {
        match self {
            Self::Stream(fault) => fault.is_security(),
            Self::StartTls(_) => true,
            Self::Addressing | Self::FeaturesTwice | Self::Unexpected | Self::EarlyEnd | Self::Reported(_) => false,
        }
    }
}

impl From<StreamFault> for DirectFault {
    fn from(fault: StreamFault) -> Self {
        Self::Stream(fault)
    }
}

impl From<StartTlsFault> for DirectFault {
    fn from(fault: StartTlsFault) -> Self {
        Self::StartTls(fault)
    }
}

/// Why a command that moves the stream on was not carried out. Nothing is written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// It is the other side's: of the initiating entity or of the receiving one.
    Role,
    /// The stream is not at the stage for it.
    Stage,
    /// It has to wait for TLS.
    TlsRequired,
    /// TLS is not to be had here: by [`TlsPolicy`](crate::TlsPolicy), or because the peer does not offer it.
    NoTls,
    /// The offer has to name exactly one method (XEP-0250 § 3.3.3).
    NotOneMethod,
}

impl fmt::Display for DirectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(fault) => fault.fmt(f),
            Self::StartTls(fault) => fault.fmt(f),
            Self::Addressing => f.write_str("a stream without the addresses it needs"),
            Self::FeaturesTwice => f.write_str("the peer sends its features twice"),
            Self::Unexpected => f.write_str("something that may not come at this point"),
            Self::EarlyEnd => f.write_str("the stream ended early"),
            Self::Reported(error) => write!(f, "the peer reports the stream error {error}"),
        }
    }
}

impl fmt::Display for StartTlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Injection => "bytes in clear where TLS has to begin",
            Self::Refused => "the peer refuses TLS",
            Self::NotOffered => "TLS is required and the peer does not offer it",
            Self::OfferedAgain => "the peer offers TLS inside TLS",
            Self::AskedAgain => "the peer asks for TLS inside TLS",
            Self::AskedUnoffered => "the peer asks for TLS that was not offered",
            Self::InClear => "something in clear that has to wait for TLS",
            Self::Method => "the peer chose a method that was not offered",
        })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "this is for the other side to do",
            Self::Stage => "the stream is not at the stage for this",
            Self::TlsRequired => "this has to wait for TLS",
            Self::NoTls => "TLS is not to be had on this stream",
            Self::NotOneMethod => "exactly one method has to be named",
        })
    }
}

impl core::error::Error for DirectFault {}
impl core::error::Error for StartTlsFault {}
impl core::error::Error for CommandError {}
