//! End-to-end encrypted tunnels for XMPP.
//!
//! Two XMPP entities that do not trust the servers between them negotiate a Jingle session (XEP-0166) with a security
//! precondition (draft-meyer-xmpp-e2e-encryption-02), carry TLS records over an in-band bytestream (XEP-0047), authenticate
//! one another, and talk over an XML stream, or raw bytes, inside the tunnel. [`Engine`] does all of that and no I/O:
//! stanzas and time go in, stanzas and events come out.

mod answer;
mod application;
mod capabilities;
mod certificates;
mod config;
mod engine;
mod error;
mod event;
mod fault;
mod judgement;
mod link;
mod password;
mod security;
mod shared;
mod timer;
mod trust;
mod tunnel;
mod wall;

pub use application::{Application, BYTES_NS, TunnelOptions};
pub use certificates::{CertificatesFault, ReceivedCertificate};
pub use config::{AnswerOffers, Config, ConfigError, Local, Timers, Window};
pub use engine::{Engine, Transmit, Tunnel};
pub use error::{
    AcceptError, EngineError, FinishError, InitiateError, ProbeError, ProvidePasswordError, RejectError,
    RequestCertificatesError, SendError, StreamStateError, TrustError, WriteError,
};
pub use event::{
    CloseReason, Closed, Disposition, EndedBy, Event, Incoming, ProbeFault, ProbeId, Refusal, Side, TunnelId,
};
pub use fault::{Blame, Fault, Missing};
pub use link::{
    ClientTerms, Link, LinkAnswerError, LinkClosed, LinkConfig, LinkDeadline, LinkError, LinkEvent, LinkFault,
    LinkLocal, LinkReason, LinkSendError, LinkSetup, LinkStage, LinkTerms, LinkTermsError, LinkTimer, LinkTimers,
    ServerTerms, ServerTls,
};
pub use password::{Password, PasswordError};
pub use security::{Authentication, Security};
pub use timer::{Deadline, Timer};
pub use trust::{
    Attempts, Confirmed, Learned, MemoryTrustStore, PasswordOutcome, Pin, TrustDecision, TrustPolicy, TrustRecord,
    TrustStore,
};

pub use xtls_jingle::{Description, Profile, Reason, ReasonCondition};
pub use xtls_stanza::{
    Caps, CapsError, Disco, DiscoField, DiscoForm, DiscoIdentity, DiscoInfo, Element, Fingerprint, HashAlgo, KeyName,
    Method, SecurityOffer, TlsOffer, jid,
};
pub use xtls_stream::{DirectFault, Features, StartTlsDialect, StartTlsFault};
pub use xtls_tls::{
    Authorities, AuthoritiesError, Identity, IdentityError, KeyAlgorithm, PeerCertificate, SessionCache, TlsError,
    TlsErrorKind, TlsParameters, TlsVersion,
};

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
