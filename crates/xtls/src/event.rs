//! What an engine tells its embedder.

use core::fmt;

pub use xtls_channel::Side;

use xtls_channel::{CloseReason, EndedBy, Security, StoreError, TrustQuestion};
use xtls_s5b::{Host, negotiation::Attempt};
use xtls_stanza::{
    Element, ParseError, SecurityOffer, StanzaError, TlsOffer,
    jid::{FullJid, Jid},
};

pub use crate::certificates::{CertificatesFault, ReceivedCertificate};
use crate::{answer::Answer, application::Application, shared::Weight};

/// A tunnel, named by the engine that holds it. It is never used twice, and those of another engine name nothing.
///
/// It converts to a number and back, for interfaces that carry nothing else: [`TunnelId::to_u64`],
/// [`TunnelId::from_u64`]. The number says nothing by itself, and differs from one run to the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId {
    pub(crate) engine: u32,
    pub(crate) number: u64,
}

impl TunnelId {
    /// How many bits of the number count the tunnels of one engine; the others tell engines apart.
    const NUMBER_BITS: u32 = 40;

    /// The highest number of an engine, after which they begin again.
    pub(crate) const MAX_ENGINE: u32 = (1 << 24) - 1;

    /// This id as a number.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        (u64::from(self.engine) << Self::NUMBER_BITS) | self.number
    }

    /// The id that [`TunnelId::to_u64`] made this number of. Any other number names no tunnel.
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        let engine = u32::try_from(id >> Self::NUMBER_BITS).unwrap_or(u32::MAX);
        Self { engine, number: id & ((1 << Self::NUMBER_BITS) - 1) }
    }
}

impl fmt::Debug for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TunnelId({})", self.number)
    }
}

/// A connection of a tunnel, named by the engine that wants it. It is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(crate) tunnel: TunnelId,
    pub(crate) attempt: Attempt,
}

impl ConnectionId {
    /// The tunnel that it is for.
    #[must_use]
    pub fn tunnel(self) -> TunnelId {
        self.tunnel
    }
}

/// A question of [`Engine::probe`](crate::Engine::probe), named by the engine that asked it. It is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub(crate) TunnelId);

impl ProbeId {
    /// This id as a number: see [`TunnelId::to_u64`].
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0.to_u64()
    }

    /// The id that [`ProbeId::to_u64`] made this number of.
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(TunnelId::from_u64(id))
    }
}

/// Why a peer's offer did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeFault {
    /// The peer, or a server in its name, does not answer this: service-unavailable also from one that answers others.
    Refused(StanzaError),
    /// No answer came within [`Timers::answer`](crate::config::Timers::answer).
    Timeout,
    /// The answer is no offer.
    Malformed,
    /// A server takes the peer's address for this one, which answered: see
    /// [`Fault::AnotherAnswered`](crate::Fault::AnotherAnswered).
    AnotherAnswered(Jid),
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

/// What a stanza from inside of a tunnel holds of the room that the tunnel has for such, until it is given back: see
/// [`Engine::poll_event_held`](crate::Engine::poll_event_held). One that is dropped holds it for as long as the tunnel lives.
#[must_use]
pub struct Held(pub(crate) Weight);

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
    /// The id of the session, which the peer chose: at most [`MAX_SID`](crate::jingle::MAX_SID) bytes. Servers read it.
    pub sid: String,
}

/// What happened. Every variant that concerns a tunnel names it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody offers a tunnel. Decide within the question time.
    Incoming(Incoming),
    /// The initiator took its offer back, or nobody decided in time, before it was decided on.
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
    /// [`Tunnel::provide_password`](crate::Tunnel::provide_password) within the question time. Without one it goes on by a
    /// certificate, if the trust policy allows that; a leap of faith needs a no, and silence is none.
    PasswordRequired {
        /// The tunnel.
        id: TunnelId,
        /// Which end is asked.
        side: Side,
    },
    /// The peer proved that it holds the key of this certificate, which is not pinned: answer with
    /// [`Tunnel::trust`](crate::Tunnel::trust) within the question time. Nothing is sent or delivered meanwhile.
    TrustRequired {
        /// The tunnel.
        id: TunnelId,
        /// The certificate, for showing to the user, and what the peer was known by until now.
        question: Box<TrustQuestion>,
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
    /// The trust store could not write what there is to remember: that the tunnel was secured and its new pin, or that the
    /// password was right. The tunnel goes on.
    StoreFailed {
        /// The tunnel.
        id: TunnelId,
        /// What the store says.
        error: StoreError,
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
    /// The peer sent a stanza in another entity's name. It was dropped.
    Impersonation {
        /// The tunnel.
        id: TunnelId,
        /// The address it claimed.
        from: String,
    },
    /// The peer sent a stanza for another entity. It was dropped.
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
    /// A peer that cannot see whether you are there asks for that by directed presence, because it looks for you (XEP-0276). It is one
    /// that [`Config::answer_offers`](crate::Config::answer_offers) lets know more than strangers may, and this comes at most three
    /// times a minute for each account, and sixty times in all. If you want to be found, send it
    /// [`Caps::directed_presence`](crate::xml::Caps::directed_presence); if you do not, the peer learns nothing.
    PresenceWanted {
        /// Who asks.
        peer: FullJid,
    },
    /// Connect to this place by TCP. Look a name up yourself, and dial no address that
    /// [`Engine::check_address`](crate::Engine::check_address) refuses: the peer names the place. Then call
    /// [`Engine::connected`](crate::Engine::connected) or [`Engine::connection_failed`](crate::Engine::connection_failed). It comes
    /// only with [`Config::socks5`](crate::Config::socks5).
    Connect {
        /// The connection from now on.
        id: ConnectionId,
        /// An IP address, or a name.
        host: Host,
        /// The port.
        port: u16,
    },
    /// Close this connection, or give up making it. It is not asked for any more.
    Abandon {
        /// The connection.
        id: ConnectionId,
    },
    /// There is something to [`read`](crate::Tunnel::read).
    Readable {
        /// The tunnel.
        id: TunnelId,
    },
    /// There is room again after a short write or [`SendError::Full`](crate::error::SendError::Full).
    Writable {
        /// The tunnel.
        id: TunnelId,
    },
    /// A server on the way lets few bytes through, less than 32 KiB a second for some seconds, while there are more to send. In-band
    /// bytestreams go through the same limits as everything that a user says; another transport would not. It comes again when the
    /// rate has doubled or halved since it was told, and after a time without a limit.
    /// [`TunnelStats::throttled`](crate::stats::TunnelStats::throttled) keeps it.
    Throttled {
        /// The tunnel.
        id: TunnelId,
        /// Bytes of plaintext that were acknowledged in a second, of late.
        bytes_per_second: u64,
    },
    /// The peer has sent its last byte; ours may go on.
    PeerFinished {
        /// The tunnel.
        id: TunnelId,
    },
    /// The peer has given a receipt: its application has everything that was [written](crate::Tunnel::write) here, so many bytes, and
    /// knows that it is all. No server can forge that (docs/wire.md § 9). It comes once, after our direction has
    /// [finished](crate::Tunnel::finish) or the tunnel is being [closed](crate::Tunnel::close).
    Receipt {
        /// The tunnel.
        id: TunnelId,
        /// All bytes that were written.
        bytes: u64,
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
    /// What was read may be a part of what was sent: the peer's data broke off without an authenticated end, or what came was
    /// not read within [`Timers::drain`](crate::config::Timers::drain).
    pub truncated: bool,
    /// Plaintext bytes that were written and not acknowledged: a hint. Acknowledgements come from servers and prove nothing.
    pub unacked: u64,
    /// Whether the peer has confirmed that its application has everything that was written.
    pub receipt: Receipt,
}

/// What is known of the peer's receipt for raw bytes (docs/wire.md § 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// There is none to be had: the peer does not give receipts, says what came of the negotiation; the tunnel was not secured; or it
    /// carries an XML stream.
    Unsupported,
    /// Nothing was written.
    NotNeeded,
    /// It has not come. The peer may have everything all the same.
    Missing,
    /// It has come, and is authentic.
    Given,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("tunnel", &self.0.tunnel).field("bytes", &self.0.held).finish()
    }
}

impl Receipt {
    xtls_stanza::names! {
        /// A short and stable name, for logs.
        self: Self {
            Self::Unsupported => "unsupported",
            Self::NotNeeded => "not-needed",
            Self::Missing => "missing",
            Self::Given => "given",
        }
    }
}

impl Event {
    xtls_stanza::names! {
        /// A short name that stays the same: that of the variant.
        self: &Self {
            Self::Incoming(_) => "incoming",
            Self::IncomingGone { .. } => "incoming-gone",
            Self::Redirected { .. } => "redirected",
            Self::PasswordRequired { .. } => "password-required",
            Self::TrustRequired { .. } => "trust-required",
            Self::Secured { .. } => "secured",
            Self::Confirmed { .. } => "confirmed",
            Self::StoreFailed { .. } => "store-failed",
            Self::StreamOpened { .. } => "stream-opened",
            Self::StreamClosed { .. } => "stream-closed",
            Self::Stanza { .. } => "stanza",
            Self::Impersonation { .. } => "impersonation",
            Self::Misaddressed { .. } => "misaddressed",
            Self::CertificatesReceived { .. } => "certificates-received",
            Self::Probed { .. } => "probed",
            Self::PresenceWanted { .. } => "presence-wanted",
            Self::Connect { .. } => "connect",
            Self::Abandon { .. } => "abandon",
            Self::Readable { .. } => "readable",
            Self::Writable { .. } => "writable",
            Self::Throttled { .. } => "throttled",
            Self::PeerFinished { .. } => "peer-finished",
            Self::Receipt { .. } => "receipt",
            Self::Closed(_) => "closed",
        }
    }

    /// The tunnel that this is about; none for [`Event::Probed`] and [`Event::PresenceWanted`].
    #[must_use]
    pub fn tunnel(&self) -> Option<TunnelId> {
        match self {
            Self::Incoming(incoming) => Some(incoming.id),
            Self::Closed(closed) => Some(closed.id),
            Self::Probed { .. } | Self::PresenceWanted { .. } => None,
            Self::Connect { id, .. } | Self::Abandon { id } => Some(id.tunnel),
            Self::IncomingGone { id }
            | Self::Redirected { id, .. }
            | Self::PasswordRequired { id, .. }
            | Self::TrustRequired { id, .. }
            | Self::Secured { id, .. }
            | Self::Confirmed { id }
            | Self::StoreFailed { id, .. }
            | Self::StreamOpened { id }
            | Self::StreamClosed { id }
            | Self::Stanza { id, .. }
            | Self::Impersonation { id, .. }
            | Self::Misaddressed { id, .. }
            | Self::CertificatesReceived { id, .. }
            | Self::Readable { id }
            | Self::Writable { id }
            | Self::Throttled { id, .. }
            | Self::PeerFinished { id }
            | Self::Receipt { id, .. } => Some(*id),
        }
    }
}

impl Disposition {
    xtls_stanza::names! {
        /// A short and stable name, for logs.
        self: &Self {
            Self::Consumed => "consumed",
            Self::Observed => "observed",
            Self::NotOurs => "not-ours",
            Self::Unclaimed(_) => "unclaimed",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl ProbeFault {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: &Self {
            Self::Refused(_) => "refused",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::AnotherAnswered(_) => "another-answered",
            Self::Disconnected => "disconnected",
        }
    }
}

impl fmt::Display for ProbeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the peer does not tell what it is ready for: {error}"),
            Self::Timeout => f.write_str("the peer did not tell in time what it is ready for"),
            Self::Malformed => f.write_str("the peer answered something else than what it is ready for"),
            Self::Disconnected => f.write_str("the connection broke before the peer told what it is ready for"),
            Self::AnotherAnswered(address) => {
                write!(f, "a server takes the address of the peer for another one: {address} answered")
            }
        }
    }
}

impl core::error::Error for ProbeFault {}

impl Incoming {
    /// The tunnel that it will be if it is accepted.
    #[must_use]
    pub fn id(&self) -> TunnelId {
        self.id
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use xtls_stanza::Limits;

    use super::*;

    #[test]
    fn what_became_of_a_stanza_has_names_of_its_own() {
        let refusal = Refusal { to: String::new(), id: String::new(), answer: Answer::Result };
        let malformed = Element::parse("", &Limits::default()).unwrap_err();
        let dispositions = [
            Disposition::Consumed,
            Disposition::Observed,
            Disposition::NotOurs,
            Disposition::Unclaimed(refusal),
            Disposition::Malformed(malformed),
        ];
        let names: BTreeSet<_> = dispositions.iter().map(Disposition::as_str).collect();
        assert_eq!(names.len(), dispositions.len());
    }

    #[test]
    fn ids_convert_to_numbers_and_back() {
        let most = (1 << 24) - 1;
        let last = (1 << 40) - 1;
        let mut seen = BTreeSet::new();
        for (engine, number) in [(0, 0), (0, 1), (1, 0), (7, 1234), (most, last)] {
            let id = TunnelId { engine, number };
            assert_eq!(TunnelId::from_u64(id.to_u64()), id);
            assert_eq!(ProbeId::from_u64(ProbeId(id).to_u64()), ProbeId(id));
            assert!(seen.insert(id.to_u64()));
        }
        assert_eq!(TunnelId::from_u64(u64::MAX), TunnelId { engine: most, number: last });
    }
}
