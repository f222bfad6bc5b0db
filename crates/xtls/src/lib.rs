//! End-to-end encryption for XMPP, sans-IO: tunnels through servers that are not trusted, and links without any.
//!
//! There are tunnels and links, and in both the same rules decide whom to trust (`xtls-channel`):
//!
//! - **[`Engine`]** holds every tunnel of one full JID. Two entities negotiate a Jingle session (XEP-0166) with a security
//!   precondition (draft-meyer-xmpp-e2e-encryption-02), carry TLS records over an in-band bytestream (XEP-0047), authenticate
//!   one another by certificates or a password, and talk over an XML stream, or raw bytes, inside the [`Tunnel`].
//! - **[`link`]** has the ends of direct connections: [`PeerLink`](link::PeerLink) between two entities without a server
//!   (XEP-0174, XEP-0246), [`ClientLink`](link::ClientLink) from a client to its server (RFC 6120), and
//!   [`ServerLink`](link::ServerLink) from a server to its client.
//!
//! Neither does I/O, reads a clock or draws random numbers for itself: stanzas or bytes and the time go in, and stanzas or
//! bytes, events and the next deadline come out. The loop around either is the same:
//!
//! ```
//! # use xtls::{Engine, Event, Instant};
//! # fn send(_: &str, _: &str) {}
//! # fn handle(_: Event) {}
//! # fn turn(engine: &mut Engine, received: Option<&str>, now: Instant) -> Option<Instant> {
//! // 1. Bring in what came, or that time has passed.
//! match received {
//!     Some(stanza) => drop(engine.handle_stanza(now, stanza)),
//!     None => engine.handle_timeout(now),
//! }
//! // 2. Take everything out: what to send, what happened.
//! let mut stanza = String::new();
//! while let Some(transmit) = engine.poll_transmit(now, &mut stanza) {
//!     send(&transmit.to, &stanza);
//!     stanza.clear();
//! }
//! while let Some(event) = engine.poll_event() {
//!     handle(event);
//! }
//! // 3. Wait for the next stanza, or until this moment.
//! engine.poll_timeout().map(|deadline| deadline.at)
//! # }
//! ```
//!
//! # Where to go on
//!
//! - [`Engine`], [`TunnelOptions`] and [`Event`]: a first tunnel.
//! - [`Terms`] and [`TrustPolicy`]: whom to trust. [`trust`]: the store that remembers peers, which you provide.
//! - [`Security`]: what to show the user once a peer is authenticated. [`Fault`]: what went wrong, and who is to blame.
//! - [`stats`]: how a tunnel is doing.
//! - [`Config`] and [`config`]: limits and timers, each with its bounds and default.
//! - The modules by topic hold everything that a public signature mentions, so that no other crate need be named:
//!   [`error`], [`event`], [`trust`], [`tls`], [`xml`], [`jingle`], [`jid`], and the crate [`rustls`].
//! - The repository's `docs/`: the embedding guide, what goes on the wire and why, the threat model, the architecture.
//!
//! # Features
//!
//! - `aws-lc-rs` (default), `ring`: where TLS gets its cryptography from. With both, aws-lc-rs is used; with neither, you bring a
//!   [`CryptoProvider`](rustls::crypto::CryptoProvider): see [`Local::by`].
//! - `tracing`: spans and events of the crate `tracing`, for logs. Off by default.
//! - `serde`: records of peers, pins and fingerprints can be written and read by a trust store. Off by default.

mod answer;
mod application;
mod capabilities;
mod certificates;
pub mod config;
mod engine;
pub mod error;
pub mod event;
mod flow;
mod shared;
mod sizes;
mod spares;
pub mod stats;
pub mod transports;
mod tunnel;
pub mod verify;

pub use rustls;
pub use xtls_stanza::jid;

pub use application::{Application, TunnelOptions};
#[doc(inline)]
pub use config::Config;
pub use engine::{Engine, Transmit, Tunnel};
#[doc(inline)]
pub use event::{Closed, ConnectionId, Disposition, Event, Incoming, Receipt, TunnelId};
#[doc(inline)]
pub use transports::Transport;
pub use tunnel::GiveReceipt;
pub use xtls_channel::{
    CloseReason, Deadline, EndedBy, Fault, Instant, Local, Password, Security, Setup, Terms, Timer, TrustDecision,
    TrustPolicy,
};
pub use xtls_stanza::Element;
pub use xtls_tls::Identity;

/// Whom to trust: the memory of peers, pins, authorities, and how a peer was authenticated.
pub mod trust {
    pub use xtls_channel::{
        Attempts, Authentication, Confirmation, Confirmed, Guess, GuessCount, GuessLimits, Learned, LearnedError,
        MemoryTrustStore, PasswordError, Permit, Pin, StoreError, TrustQuestion, TrustRecord, TrustStore,
    };
    pub use xtls_stanza::{Fingerprint, FingerprintError, HashAlgo, Method, MethodError};
    pub use xtls_tls::{Authorities, AuthoritiesError};
}

/// TLS: keys and certificates, what was negotiated, and what went wrong.
pub mod tls {
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub use xtls_tls::default_provider;
    pub use xtls_tls::{
        Alert, CertificateFault, ChainFault, IdentityError, IdentityPem, KeyAlgorithm, PeerCertificate, SessionCache,
        TlsError, TlsErrorKind, TlsParameters, TlsVersion, UnixTime,
    };
}

/// XML: elements and stanzas with their bounds, stanza and stream errors, service discovery and capabilities.
pub mod xml {
    pub use xtls_stanza::{
        Attribute, BuildError, Builder, Caps, CapsError, Condition, Disco, DiscoError, DiscoField, DiscoForm,
        DiscoIdentity, DiscoInfo, ElementRef, ErrorType, Iq, IqType, Limits, Node, ParseError, ParseErrorKind, Scope,
        StanzaError, ns,
    };
    pub use xtls_stream::{StreamCondition, StreamError, StreamFault};
}

/// Jingle: what is offered and by which dialect, why sessions end, and what peers announce (draft-meyer, XEP-0250).
pub mod jingle {
    pub use xtls_ibb::BytestreamFault;
    pub use xtls_jingle::{
        Action, Description, DescriptionError, JingleFault, MAX_SID, Profile, Reason, ReasonCondition,
    };
    pub use xtls_stanza::{KeyKind, KeyName, KeyNameError, OwnMethods, SecurityOffer, TlsOffer, XtlsVersion};

    pub use crate::application::{BYTES_0_NS, BYTES_NS, INSIDE_NS};
}

/// Direct connections: between two entities without a server, or between a client and its server.
pub mod link {
    pub use xtls_channel::Stage;
    pub use xtls_link::{
        Client, ClientLink, ClientTerms, Kind, Link, LinkAcceptError, LinkClosed, LinkConfig, LinkError, LinkEvent,
        LinkSetup, LinkStats, Peer, PeerLink, Server, ServerLink, ServerTerms, ServerTls,
    };
    pub use xtls_stream::{DirectFault, Features, StartTlsDialect, StartTlsFault, StreamCondition, StreamError};
}
