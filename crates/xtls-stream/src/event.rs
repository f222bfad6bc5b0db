//! What comes out of a stream: events, faults of the peer, mistakes of the caller.

use core::fmt;

use xtls_stanza::{Element, ParseErrorKind};

use crate::StreamCondition;

/// What happened on the stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Both headers are there: stanzas can be sent.
    Opened,
    /// A message, presence or IQ, its addresses those of the tunnel's ends: `from` is the authenticated peer, as a full
    /// JID unless the peer named its bare JID, and `to` likewise is the local end.
    Stanza(Element),
    /// A stanza came whose `from` is not the authenticated peer. It was dropped, the stream goes on.
    Impersonation {
        /// The address that the stanza bore.
        claimed: String,
    },
    /// A stanza came whose `to` is not the local end: the tunnel leads no further. It was dropped, the stream goes on.
    Misaddressed {
        /// The address that the stanza bore.
        claimed: String,
    },
    /// The peer has shown the same negotiation hash as ours: see [`TunnelStream::with_hash`](crate::TunnelStream::with_hash).
    NegotiationMatches,
    /// The stream is closed in both directions; another may be opened.
    Closed,
    /// The stream broke down and is of no further use. What the peer has to be told was written; nothing more will be
    /// read or written.
    Failed(StreamFault),
}

/// What the peer did that ended the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFault {
    /// The XML is malformed, restricted or exceeds a limit.
    Xml(ParseErrorKind),
    /// The outermost element is no `<stream:stream/>`, or the default namespace is neither `jabber:client` nor that of the
    /// stream nor none (RFC 6120 §§ 4.8.2, 4.9.3.10). A stanza before the header is such a case, and one of `jabber:server`
    /// in the stream (§ 4.8.3).
    Namespace,
    /// The header has no version, or one that is not XMPP 1.0's (RFC 6120 § 4.7.5).
    Version,
    /// The header's `from` is not the authenticated peer (RFC 6120 § 4.9.3.9).
    From,
    /// The header's `to` is not the local end (RFC 6120 § 4.9.3.6).
    To,
    /// A first-level child that is neither a stanza nor anything else that may come (RFC 6120 § 4.9.3.24).
    UnsupportedStanza,
    /// The peer's negotiation hash is not ours: what the two ends said to one another was changed on the way.
    NegotiationDiffers,
    /// The peer has no negotiation hash, and one was due.
    NegotiationMissing,
    /// The peer reported a stream error (RFC 6120 § 4.9.1).
    Reported {
        /// Name of the condition, `undefined-condition` if there was none that RFC 6120 knows.
        condition: String,
        /// What the peer had to say about it, for people.
        text: Option<String>,
    },
}

impl StreamFault {
    /// The condition of the stream error that the peer was sent; `None` where the peer reported one itself.
    #[must_use]
    pub fn condition(&self) -> Option<&'static str> {
        self.stream_condition().map(StreamCondition::name)
    }

    pub(crate) fn stream_condition(&self) -> Option<StreamCondition> {
        match self {
            Self::Xml(kind) => {
                Some(StreamCondition::parse(kind.stream_condition()).unwrap_or(StreamCondition::NotWellFormed))
            }
            Self::Namespace => Some(StreamCondition::InvalidNamespace),
            Self::Version => Some(StreamCondition::UnsupportedVersion),
            Self::From => Some(StreamCondition::InvalidFrom),
            Self::To => Some(StreamCondition::HostUnknown),
            Self::UnsupportedStanza => Some(StreamCondition::UnsupportedStanzaType),
            Self::NegotiationDiffers | Self::NegotiationMissing => Some(StreamCondition::PolicyViolation),
            Self::Reported { .. } => None,
        }
    }

    /// Whether the peer contradicts what the tunnel authenticated, so that the tunnel itself has to end.
    #[must_use]
    pub fn is_security(&self) -> bool {
        matches!(self, Self::From | Self::To | Self::NegotiationDiffers | Self::NegotiationMissing)
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(kind) => kind.fmt(f),
            Self::Namespace => f.write_str("not a stream of jabber:client"),
            Self::Version => f.write_str("not a stream of XMPP 1.0"),
            Self::From => f.write_str("a stream of somebody other than the authenticated peer"),
            Self::To => f.write_str("a stream for somebody other than this end"),
            Self::UnsupportedStanza => f.write_str("a child of the stream that is no stanza"),
            Self::NegotiationDiffers => f.write_str("the peer saw another negotiation than this end"),
            Self::NegotiationMissing => f.write_str("the peer does not show what it saw of the negotiation"),
            Self::Reported { condition, .. } => write!(f, "the peer reports the stream error {condition}"),
        }
    }
}

impl core::error::Error for StreamFault {}

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// One is open or being opened or closed.
    AlreadyOpen,
    /// The first stream of a tunnel is the initiator's to open (draft-meyer § 4).
    NotInitiator,
    /// The stream has failed.
    Failed,
}

/// Why a stanza, or another child of a stream, was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamSendError {
    /// The stream is not open in both directions.
    NotOpen,
    /// It is not a message, presence or IQ of `jabber:client`.
    NotAStanza,
    /// Its `from` is not the local end.
    From,
    /// Its `to` is not the peer.
    To,
    /// Its text is longer than [`Limits::stanza_bytes`](xtls_stanza::Limits::stanza_bytes).
    TooLarge,
    /// It has to wait for TLS. A stream in a tunnel never says so.
    TlsRequired,
    /// It is the stream's own to send. A stream in a tunnel never says so.
    Reserved,
}

/// Why a stream cannot be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseError {
    /// None is open in the outgoing direction.
    NotOpen,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyOpen => "a stream is open already",
            Self::NotInitiator => "the first stream is opened by the initiator of the tunnel",
            Self::Failed => "the stream has failed",
        })
    }
}

impl fmt::Display for StreamSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the stream is not open",
            Self::NotAStanza => "not a message, presence or IQ",
            Self::From => "the stanza's `from` is not this end",
            Self::To => "the stanza's `to` is not the peer",
            Self::TooLarge => "the stanza is too large",
            Self::TlsRequired => "it has to wait for TLS",
            Self::Reserved => "it is for the stream itself to send",
        })
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("the stream is not open"),
        }
    }
}

impl core::error::Error for OpenError {}
impl core::error::Error for StreamSendError {}
impl core::error::Error for CloseError {}
