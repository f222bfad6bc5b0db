//! What users should be able to learn about a tunnel or link (RFC 7590 § 3.6).

use core::fmt;

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::{PeerCertificate, TlsParameters};

/// How a tunnel or a link is secured. It exists from the moment the peer is authenticated, and not before: a client of which
/// only the encryption is known has none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Security {
    /// The TLS method that was agreed on.
    pub method: Method,
    /// What authenticated the peer.
    pub authenticated_by: Authentication,
    /// Version, cipher suite and key exchange group; and whether an earlier session was resumed, which only happens on a link
    /// to a server that was given a [`SessionCache`](xtls_tls::SessionCache).
    pub tls: TlsParameters,
    /// The certificate that the peer has proven to hold the key of; none with a password, nor by [`Authentication::Sasl`].
    pub certificate: Option<PeerCertificate>,
    /// The certificates the peer was known by, when the one presented is none of them and was accepted all the same; with
    /// a password, when the ones it announced are none of them. Empty when nothing changed.
    pub changed_from: Vec<Fingerprint>,
    /// Whether the certificate was outside its dates when it was accepted. Expired certificates pass only by a pin or the user's
    /// decision.
    pub out_of_date: bool,
    /// Whether the peer has shown that it accepted us: in TLS 1.3 an initiator is done before its responder has judged
    /// it.
    pub confirmed: bool,
}

/// What authenticated a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// There was a pin for its certificate.
    Pinned,
    /// The user accepted its certificate just now.
    Approved,
    /// An authority vouches for its certificate, which names its address.
    Authority,
    /// It knows the password.
    Password,
    /// A client authenticated by a mechanism of SASL that the application speaks, as the application says.
    Sasl,
    /// Its certificate was the first one seen and the policy takes that: a server in the middle may have shown it.
    LeapOfFaith,
}

impl Authentication {
    xtls_stanza::names! {
        /// A short name, as the command prints it.
        self: Self {
            Self::Pinned => "pinned",
            Self::Approved => "approved",
            Self::Authority => "authority",
            Self::Password => "password",
            Self::Sasl => "sasl",
            Self::LeapOfFaith => "leap-of-faith",
        }
    }
}

impl fmt::Display for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pinned => "a pinned certificate",
            Self::Approved => "a certificate approved just now",
            Self::Authority => "an authority that is trusted",
            Self::Password => "a shared password",
            Self::Sasl => "SASL",
            Self::LeapOfFaith => "a leap of faith",
        })
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TlsParameters { version, cipher_suite, group, .. } = &self.tls;
        write!(
            f,
            "{}, {version}, {cipher_suite}, {group}; peer authenticated by {}",
            self.method, self.authenticated_by
        )?;
        if self.tls.resumed {
            f.write_str(", in a session that was resumed")?;
        }
        f.write_str(if self.confirmed { ", confirmed by the peer" } else { ", not yet confirmed by the peer" })?;
        if !self.changed_from.is_empty() {
            f.write_str("; the certificate CHANGED")?;
        }
        if self.out_of_date {
            f.write_str("; the certificate is outside its dates")?;
        }
        Ok(())
    }
}
