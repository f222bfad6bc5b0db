//! What runs inside a tunnel, and under which conditions.

use xtls_jingle::Description;
use xtls_stanza::{Element, Method};

use crate::{password::Password, trust::TrustPolicy};

/// The description of a tunnel that carries raw bytes and says nothing more about them.
pub const BYTES_NS: &str = "urn:xtls:apps:bytes:0";

/// What runs inside a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Application {
    /// An XML stream (XEP-0247, draft-meyer-xmpp-e2e-encryption-02 § 4).
    XmlStream,
    /// Raw bytes under a Jingle description (XEP-0166 § 6.2) that says what they are.
    Bytes(Description),
}

/// The conditions of one tunnel.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TunnelOptions {
    /// What runs inside.
    pub application: Application,
    /// The TLS methods that are allowed. Default X.509 alone. Which of them is taken follows from what is known: a pinned
    /// certificate, then a password, then what the trust policy makes of an unknown certificate.
    pub methods: Vec<Method>,
    /// The password that is shared with the peer, if it is known already. Without one, and with [`Method::Srp`] among
    /// the methods, [`Event::PasswordRequired`](crate::Event::PasswordRequired) asks for it where it is needed.
    pub password: Option<Password>,
    /// Whom to believe.
    pub trust: TrustPolicy,
    /// Ask the peer by service discovery whether it supports XTLS before offering a tunnel (draft § 7). Default on; only
    /// an initiator asks.
    pub check_support: bool,
    /// Go on with a peer that was secured before and now speaks none of the methods it was secured by (draft § 8.3:
    /// somebody in between may have left them out). The rest of the rules holds as it does with a peer that was never
    /// met. Default off: such a tunnel fails with [`Fault::Downgraded`](crate::Fault::Downgraded).
    pub allow_downgrade: bool,
}

impl Application {
    /// Raw bytes under the description [`BYTES_NS`].
    #[must_use]
    pub fn bytes() -> Self {
        let element = Element::builder("description", BYTES_NS).build().ok();
        element.and_then(|element| Description::new(&element).ok()).map_or(Self::XmlStream, Self::Bytes)
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
            (Self::Bytes(one), Self::Bytes(other)) => one.is_same_application(other),
            (Self::XmlStream, Self::Bytes(_)) | (Self::Bytes(_), Self::XmlStream) => false,
        }
    }
}

impl TunnelOptions {
    /// An XML stream between peers that are trusted by this policy.
    #[must_use]
    pub fn xml_stream(trust: TrustPolicy) -> Self {
        Self::new(Application::XmlStream, trust)
    }

    /// The given application between peers that are trusted by this policy.
    #[must_use]
    pub fn new(application: Application, trust: TrustPolicy) -> Self {
        Self {
            application,
            methods: vec![Method::X509],
            password: None,
            trust,
            check_support: true,
            allow_downgrade: false,
        }
    }

    /// The same with the password method allowed too, and this password for it.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        Self { password: Some(password), ..self.asking_password() }
    }

    /// The same with the password method allowed too; the password is asked for where it is needed.
    #[must_use]
    pub fn asking_password(mut self) -> Self {
        if !self.methods.contains(&Method::Srp) {
            self.methods.push(Method::Srp);
        }
        self
    }
}
