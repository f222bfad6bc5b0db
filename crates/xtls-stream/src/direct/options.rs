//! What a direct stream is told when it is made.

use xtls_stanza::Limits;
use xtls_stanza::jid::Jid;

/// What a direct stream is told when it is made. The default is RFC 6120's: a client and its server, TLS required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// This end. Receiving: the only one that a header may be addressed to; without it any is taken, and told by
    /// [`DirectEvent::Header`](crate::DirectEvent::Header). Default: none.
    pub local: Option<Jid>,
    /// The other end. Initiating: whom the header is addressed to. Receiving: the only one that a header may come from, if
    /// it tells. Default: none.
    pub peer: Option<Jid>,
    /// What addresses mean. Default: [`Addressing::Server`].
    pub addressing: Addressing,
    /// How TLS is negotiated. Default: [`StartTlsDialect::Rfc6120`].
    pub dialect: StartTlsDialect,
    /// Whether TLS is negotiated. Default: [`TlsPolicy::Required`].
    pub tls: TlsPolicy,
    /// Initiating, where TLS is required: ask for it even when it is not offered, since an attacker may have
    /// taken the offer away (RFC 7590 § 3.1). Otherwise the stream fails at once. Default: on.
    pub try_unoffered: bool,
    /// The bytes are secured from the beginning: TLS is there already, or they run in a tunnel. Nothing about it is
    /// negotiated then, whatever `tls` says. Default: off.
    pub secured: bool,
    /// `xml:lang` of the header (RFC 6120 § 4.7.4). Default: none, and `en` where a server answers, which has to say one.
    pub lang: Option<String>,
    /// Bounds on every header and child of the stream, in both directions.
    pub limits: Limits,
}

/// What the addresses of headers and stanzas mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Addressing {
    /// A client and its server (RFC 6120): stanzas go to and come from anybody, and their addresses are left alone. The
    /// initial header must bear a `to` (§ 4.9.3.7); the client tells who it is only once the stream is secured (§ 4.7.1).
    #[default]
    Server,
    /// Two entities alone, as in a tunnel (XEP-0246): stanzas are held to the two ends and stamped, and headers may leave
    /// out what was given to the constructor. What was not given is taken from the peer's header; it is forgotten when
    /// the stream is secured, and then has to stand in the next one.
    Peers,
}

/// How TLS is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartTlsDialect {
    /// Stream features and STARTTLS (RFC 6120 § 5).
    #[default]
    Rfc6120,
    /// XEP-0035, before streams had versions and features. An initiating entity speaks nothing else; a receiving one
    /// speaks it with whoever sends a header without a version, and RFC 6120 with the others.
    Xep0035,
}

/// Whether TLS is negotiated on a stream that is not secured yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// It is neither asked for nor offered.
    Never,
    /// It is offered, or may be asked for where it is. Everything may also go in clear, unless the peer requires TLS.
    IfOffered,
    /// Nothing but headers, the negotiation of TLS, errors and the end is sent or taken in clear.
    #[default]
    Required,
}

impl StreamOptions {
    /// The default between these two ends.
    #[must_use]
    pub fn new(local: Option<Jid>, peer: Option<Jid>) -> Self {
        Self { local, peer, ..Self::default() }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            local: None,
            peer: None,
            addressing: Addressing::default(),
            dialect: StartTlsDialect::default(),
            tls: TlsPolicy::default(),
            try_unoffered: true,
            secured: false,
            lang: None,
            limits: Limits::default(),
        }
    }
}
