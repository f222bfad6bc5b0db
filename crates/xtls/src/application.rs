//! What runs inside a tunnel, and under which conditions.

use xtls_channel::{Password, Terms, TrustPolicy};
use xtls_jingle::Description;
use xtls_stanza::Element;

use crate::transports::Transport;

/// The description of a tunnel that carries raw bytes and says nothing more about them. The first 32 bytes that each end sends
/// are the negotiation hash, which is no business of the application's (docs/wire.md § 5).
pub const BYTES_NS: &str = "urn:xtls:apps:bytes:1";

/// The same as it was before that: without the hash.
pub const BYTES_0_NS: &str = "urn:xtls:apps:bytes:0";

/// The feature of an entity that negotiates sessions inside of an XML stream tunnel too (docs/wire.md § 8).
pub const INSIDE_NS: &str = "urn:xtls:inside:0";

/// What runs inside a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Application {
    /// An XML stream (XEP-0247, draft-meyer-xmpp-e2e-encryption-02 § 4).
    XmlStream,
    /// Raw bytes under a Jingle description (XEP-0166 § 6.2) that says what they are.
    Bytes(Description),
}

/// What a tunnel is for, and under which terms.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TunnelOptions {
    /// What runs inside.
    pub application: Application,
    /// Which methods, which password, whom to trust.
    pub terms: Terms,
    /// Ask the peer by service discovery whether it supports XTLS before offering a tunnel (draft § 7). Default on; only
    /// an initiator asks. Where it is off nothing is known of the peer, and the first of [`transports`](Self::transports) is offered:
    /// see [`depends_on_features`](Self::depends_on_features).
    pub check_support: bool,
    /// What may carry it, in the order in which it is tried. Default [`Transport::InBand`] alone.
    ///
    /// An initiator offers the first one that the peer announces; where a connection is not found it falls back to the in-band
    /// bytestream, if that stands here too. Whoever forces that makes a tunnel slower, and nothing else. A responder takes what is
    /// offered, and gives away what stands here. An empty list carries nothing.
    pub transports: Vec<Transport>,
    /// The id of the Jingle session that an initiator offers. Default `None`: a random one.
    ///
    /// For two that have agreed on a tunnel beforehand, and have to know it when it comes ([`Incoming::sid`](crate::Incoming::sid)).
    /// It names one tunnel and no other, so make it of 128 random bits. Servers read it.
    pub sid: Option<String>,
}

impl Application {
    /// Raw bytes under the description [`BYTES_NS`]. A peer whose features do not tell of that version is offered the one before
    /// it, [`BYTES_0_NS`], which has no negotiation hash; unless a hash is required, or the peer has shown one before.
    #[must_use]
    pub fn bytes() -> Self {
        Self::bytes_of(BYTES_NS)
    }

    /// Raw bytes under the description of the version before: for a peer that has no newer one.
    #[must_use]
    pub(crate) fn bytes_0() -> Self {
        Self::bytes_of(BYTES_0_NS)
    }

    fn bytes_of(ns: &str) -> Self {
        let element = Element::builder("description", ns).build();
        let description = element.ok().and_then(|element| Description::new(&element).ok());
        // A constant: it can be built, or no test passes.
        Self::Bytes(description.expect("the description of raw bytes is sound"))
    }

    /// What is offered for it.
    pub(crate) fn description(&self) -> Description {
        match self {
            Self::XmlStream => Description::xmlstream(),
            Self::Bytes(description) => description.clone(),
        }
    }

    /// The application that a description stands for.
    pub(crate) fn of(description: &Description) -> Self {
        if description.is_xmlstream() { Self::XmlStream } else { Self::Bytes(description.clone()) }
    }

    /// Whether both are the same application, whatever else their descriptions say.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::XmlStream, Self::XmlStream) => true,
            (Self::Bytes(one), Self::Bytes(other)) => one.is_same_application(other) || (is_own(one) && is_own(other)),
            (Self::XmlStream, Self::Bytes(_)) | (Self::Bytes(_), Self::XmlStream) => false,
        }
    }
}

/// Whether it is our own description of raw bytes, in either version.
fn is_own(description: &Description) -> bool {
    matches!(description.ns(), BYTES_NS | BYTES_0_NS)
}

impl TunnelOptions {
    /// An XML stream between peers that are trusted by this policy.
    #[must_use]
    pub fn xml_stream(trust: TrustPolicy) -> Self {
        Self::new(Application::XmlStream, trust)
    }

    /// Whether what is offered depends on more features of the peer than that of XTLS: raw bytes have two versions, and a connection
    /// is only for peers that announce it (XEP-0260 § 5). Who has found out that the peer has XTLS leaves
    /// [`check_support`](Self::check_support) on all the same, if that is so.
    #[must_use]
    pub fn depends_on_features(&self) -> bool {
        matches!(self.application, Application::Bytes(_)) || self.transports.iter().any(|way| *way != Transport::InBand)
    }

    /// The given application between peers that are trusted by this policy.
    #[must_use]
    pub fn new(application: Application, trust: TrustPolicy) -> Self {
        Self {
            application,
            terms: Terms::new(trust),
            check_support: true,
            transports: vec![Transport::InBand],
            sid: None,
        }
    }

    /// The same with these transports.
    #[must_use]
    pub fn over(self, transports: Vec<Transport>) -> Self {
        Self { transports, ..self }
    }

    /// The same under this session id.
    #[must_use]
    pub fn named(self, sid: impl Into<String>) -> Self {
        Self { sid: Some(sid.into()), ..self }
    }

    /// The same with the password method allowed too, and this password for it.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        Self { terms: self.terms.with_password(password), ..self }
    }

    /// The same with the password method allowed too; the user is asked for the password where it is needed.
    #[must_use]
    pub fn asking_password(self) -> Self {
        Self { terms: self.terms.asking_password(), ..self }
    }
}
