//! How a tunnel is secured, in plain values.

/// How a tunnel is secured: what users should be able to learn (RFC 7590 § 3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Security {
    /// `x509` or `srp`.
    pub method: &'static str,
    /// What authenticated the peer, such as `pinned` or `leap-of-faith`.
    pub authentication: &'static str,
    /// The version, such as `TLS 1.3`.
    pub tls: String,
    /// The cipher suite by its registered name.
    pub cipher_suite: &'static str,
    /// The key exchange by its registered name.
    pub group: &'static str,
    /// The certificate of the peer; empty with a password.
    pub fingerprint: String,
    /// The certificates the peer was known by, where it has another one now that was accepted all the same.
    pub changed_from: Vec<String>,
    /// The certificate was outside its dates when it was accepted.
    pub out_of_date: bool,
    /// The peer has accepted us too.
    pub confirmed: bool,
    /// One line of words.
    pub words: String,
}

impl From<&xtls::Security> for Security {
    fn from(security: &xtls::Security) -> Self {
        let certificate = security.certificate.as_ref();
        Self {
            method: security.method.as_str(),
            authentication: security.authenticated_by.as_str(),
            tls: security.tls.version.to_string(),
            cipher_suite: security.tls.cipher_suite,
            group: security.tls.group,
            fingerprint: certificate.map(|one| one.fingerprint_sha256().to_string()).unwrap_or_default(),
            changed_from: security.changed_from.iter().map(ToString::to_string).collect(),
            out_of_date: security.out_of_date,
            confirmed: security.confirmed,
            words: security.to_string(),
        }
    }
}
