//! What an engine tells its embedder.

use core::fmt;

use xtls_jingle::Reason;
use xtls_stanza::{Element, Fingerprint, ParseError, SecurityOffer, StanzaError, TlsOffer, jid::FullJid};
use xtls_tls::PeerCertificate;

use crate::{
    answer::Answer,
    application::Application,
    certificates::{CertificatesFault, ReceivedCertificate},
    fault::Fault,
    security::Security,
};

/// A tunnel, named by the engine that holds it. It is never used twice, and those of another engine name nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId {
    pub(crate) engine: u64,
    pub(crate) number: u64,
}

impl fmt::Debug for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TunnelId({})", self.number)
    }
}

/// A question of [`Engine::probe`](crate::Engine::probe), named by the engine that asked it. It is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub(crate) TunnelId);

/// Why a peer's offer did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeFault {
    /// The peer, or a server in its name, does not answer this: service-unavailable also from one that answers others.
    Refused(StanzaError),
    /// No answer came within [`Timers::answer`](crate::Timers::answer).
    Timeout,
    /// The answer is no offer.
    Malformed,
    /// The outer connection broke first.
    Disconnected,
}

/// What became of a stanza that was handed to the engine.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Disposition {
    /// Answered or used: nobody else needs to see it.
    Consumed,
    /// Used, and of interest to others too: presence.
    Observed,
    /// Nothing to do with the engine.
    NotOurs,
    /// Jingle or in-band bytestream of a session that the engine does not hold: offer it to your other handlers, and call
    /// [`Engine::refuse`](crate::Engine::refuse) if none takes it, or the sender waits in vain.
    Unclaimed(Refusal),
    /// The text is not a stanza that RFC 6120 allows: the outer stream is broken, or a limit was exceeded.
    Malformed(ParseError),
}

/// The right answer to a stanza that nobody wants.
#[derive(Debug)]
pub struct Refusal {
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) answer: Answer,
}

/// An offered tunnel, to be passed to [`Engine::accept`](crate::Engine::accept) or
/// [`Engine::reject`](crate::Engine::reject). One that is dropped rings until it is declined.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incoming {
    pub(crate) id: TunnelId,
    /// Who offers it, as the server says: nothing is proven yet.
    pub peer: FullJid,
    /// What is to run inside.
    pub application: Application,
    /// The fingerprints and methods that are announced: hints, not proof.
    pub offer: SecurityOffer,
}

/// What happened. Every variant that concerns a tunnel names it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody offers a tunnel. Decide within the ring time.
    Incoming(Incoming),
    /// The initiator took its offer back, or it rang too long, before it was decided on.
    IncomingGone {
        /// The id that [`Incoming::id`] gave.
        id: TunnelId,
    },
    /// Our offer was answered with the address of another resource of the same account, and is made to that one now
    /// (XEP-0166 § 6.3.2). It comes at most once for each tunnel.
    Redirected {
        /// The tunnel.
        id: TunnelId,
        /// Who the offer goes to.
        peer: FullJid,
    },
    /// The method depends on whether a password is shared with the peer: answer with
    /// [`Tunnel::provide_password`](crate::Tunnel::provide_password) within the ring time. A no goes on without one, if the
    /// trust policy allows that.
    PasswordRequired {
        /// The tunnel.
        id: TunnelId,
        /// Which end is asked.
        side: Side,
    },
    /// The peer proved that it holds the key of this certificate, which is not pinned: answer with
    /// [`Tunnel::trust`](crate::Tunnel::trust) within the ring time. Nothing is sent or delivered meanwhile.
    TrustRequired {
        /// The tunnel.
        id: TunnelId,
        /// The certificate, for showing to a person.
        certificate: PeerCertificate,
        /// What the peer was known by until now; empty at a first meeting.
        previous: Vec<Fingerprint>,
    },
    /// The peer is authenticated and the tunnel can be used.
    Secured {
        /// The tunnel.
        id: TunnelId,
        /// By what, and how.
        security: Box<Security>,
    },
    /// A peer that had not confirmed us when the tunnel was secured did so now.
    Confirmed {
        /// The tunnel.
        id: TunnelId,
    },
    /// The XML stream is open in both directions.
    StreamOpened {
        /// The tunnel.
        id: TunnelId,
    },
    /// The XML stream is closed in both directions; the tunnel stays.
    StreamClosed {
        /// The tunnel.
        id: TunnelId,
    },
    /// A stanza came through the tunnel. Its `from` is an address of the authenticated peer.
    Stanza {
        /// The tunnel.
        id: TunnelId,
        /// The stanza.
        stanza: Element,
    },
    /// The peer sent a stanza in somebody else's name. It was dropped.
    Impersonation {
        /// The tunnel.
        id: TunnelId,
        /// The address it claimed.
        from: String,
    },
    /// The peer sent a stanza for somebody else. It was dropped.
    Misaddressed {
        /// The tunnel.
        id: TunnelId,
        /// The address that it was for.
        to: String,
    },
    /// The peer's answer to [`Tunnel::request_certificates`](crate::Tunnel::request_certificates), or why there is none. It
    /// comes once for each question, unless the tunnel ends first.
    CertificatesReceived {
        /// The tunnel.
        id: TunnelId,
        /// The certificates that could be read, at most 8. Nothing is stored.
        result: Result<Vec<ReceivedCertificate>, Box<CertificatesFault>>,
    },
    /// What a peer that was asked by [`Engine::probe`](crate::Engine::probe) is ready for. It comes once for each question.
    Probed {
        /// The question.
        id: ProbeId,
        /// Who was asked.
        peer: FullJid,
        /// What the peer is ready for with us, of what it was told; or why that is not known. Servers can forge it.
        result: Result<TlsOffer, Box<ProbeFault>>,
    },
    /// There is something to [`read`](crate::Tunnel::read).
    Readable {
        /// The tunnel.
        id: TunnelId,
    },
    /// There is room again after a short write or [`SendError::Full`](crate::SendError::Full).
    Writable {
        /// The tunnel.
        id: TunnelId,
    },
    /// The peer has sent its last byte; ours may go on.
    PeerFinished {
        /// The tunnel.
        id: TunnelId,
    },
    /// The tunnel ended. It comes once, after everything else about the tunnel; its id is dead from now on.
    Closed(Closed),
}

/// How a tunnel ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// The tunnel.
    pub id: TunnelId,
    /// Who was at its other end.
    pub peer: FullJid,
    /// Who ended it.
    pub by: EndedBy,
    /// Why.
    pub reason: CloseReason,
    /// The peer's data broke off without an authenticated end: what came may be a part of what was sent.
    pub truncated: bool,
    /// Plaintext bytes that were written and not acknowledged. Acknowledgements come from servers and prove nothing.
    pub unacked: u64,
}

/// Who ended a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The embedder.
    Local,
    /// The peer, or a server in its name.
    Remote,
    /// The engine, because of a fault, or because nothing runs in the tunnel any more.
    Engine,
}

impl fmt::Display for ProbeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the peer does not tell what it is ready for: {error}"),
            Self::Timeout => f.write_str("the peer did not tell in time what it is ready for"),
            Self::Malformed => f.write_str("the peer answered something else than what it is ready for"),
            Self::Disconnected => f.write_str("the connection broke before the peer told what it is ready for"),
        }
    }
}

impl core::error::Error for ProbeFault {}

impl EndedBy {
    /// A short name, as the command prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Engine => "engine",
        }
    }
}

/// An end of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The one that offered it.
    Initiator,
    /// The one that accepted it.
    Responder,
}

/// Why a tunnel ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CloseReason {
    /// In order.
    Done,
    /// Somebody ended the session for a reason of XEP-0166 § 7.4: the peer if [`Closed::by`] is remote, the embedder if
    /// it is local. A session-terminate without a reason is [`CloseReason::Done`].
    Terminated(Reason),
    /// A fault.
    Fault(Box<Fault>),
}

impl CloseReason {
    /// Whether the tunnel failed because somebody could not be authenticated or tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        match self {
            Self::Done => false,
            Self::Terminated(reason) => reason.condition == xtls_jingle::ReasonCondition::SecurityError,
            Self::Fault(fault) => fault.is_security(),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Terminated(reason) => reason.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl Incoming {
    /// The tunnel that it will be if it is accepted.
    #[must_use]
    pub fn id(&self) -> TunnelId {
        self.id
    }
}
