//! What the caller wants of a tunnel or a link: methods, a password, whom to trust.

use xtls_stanza::Method;

use crate::password::Password;

/// What makes a peer's certificate acceptable. There is no default: the embedder chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustPolicy {
    /// Only a certificate that the [`TrustStore`](crate::TrustStore) has a pin for.
    Pinned,
    /// A pinned certificate, and any other one if the user accepts it when asked (`TrustRequired`). An initiator that asks
    /// insists on TLS 1.3, where it can hold back the end of the handshake meanwhile.
    Ask,
    /// A pinned certificate; from a peer without any pin, whatever certificate it shows first, which is then pinned.
    /// draft-meyer-xmpp-e2e-encryption-02 § 5 discourages this: a server in the middle may be the one that shows it.
    ///
    /// - A certificate that differs from the pin is refused, and so is one outside its dates.
    /// - Where the password method is allowed too, no leap is taken until the user has said that there is no password
    ///   (`PasswordRequired`). A user who has a password gets no leap: an attacker may have left the method out.
    /// - A leap is for a first meeting. None is taken with a peer that has no pin but was secured before, unless
    ///   [`Terms::allow_downgrade`] is on, or it was secured by a password and the user says that there is none any more.
    LeapOfFaith,
    /// A pinned certificate; from a peer without any pin, one that the authorities of the local entity vouch for and that
    /// names the peer's bare address (RFC 6120 § 13.7.1.4). Each is judged by itself: a certificate that differs from the
    /// pin is refused whoever vouches for it, and nobody is asked and nothing is pinned where the authorities say no.
    Authorities,
}

/// Under which terms a peer is accepted, in tunnels and links alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Terms {
    /// The TLS methods that are allowed. Default X.509 alone. Which one is taken depends on what is known: a pinned
    /// certificate first, then a password, then what the trust policy makes of an unknown certificate.
    pub methods: Vec<Method>,
    /// The password that is shared with the peer, if it is known already. Without one, and with [`Method::Srp`] among the
    /// methods, `PasswordRequired` asks for it where it is needed.
    pub password: Option<Password>,
    /// What makes a certificate acceptable.
    pub trust: TrustPolicy,
    /// Go on with a peer that was secured before and now speaks none of the methods it was secured by (draft § 8.3: an
    /// attacker may have left them out). All other rules hold as with a peer that was never met. Default off: such a peer
    /// is refused with [`Fault::Downgraded`](crate::Fault::Downgraded).
    pub allow_downgrade: bool,
}

impl TrustPolicy {
    xtls_stanza::names! {
        /// A short and stable name, as an option would spell it.
        self: Self {
            Self::Pinned => "pinned",
            Self::Ask => "ask",
            Self::LeapOfFaith => "leap-of-faith",
            Self::Authorities => "authorities",
        }
    }
}

impl Terms {
    /// Certificates alone, trusted by this policy.
    #[must_use]
    pub fn new(trust: TrustPolicy) -> Self {
        Self { methods: vec![Method::X509], password: None, trust, allow_downgrade: false }
    }

    /// The same with the password method allowed too, and this password for it.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        Self { password: Some(password), ..self.asking_password() }
    }

    /// The same with the password method allowed too; the user is asked for the password where it is needed.
    #[must_use]
    pub fn asking_password(mut self) -> Self {
        if !self.methods.contains(&Method::Srp) {
            self.methods.push(Method::Srp);
        }
        self
    }
}
