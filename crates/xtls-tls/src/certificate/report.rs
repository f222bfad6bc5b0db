//! A certificate as people see it.

use std::fmt::{self, Write as _};

use x509_parser::der_parser::oid::Oid;
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
    OID_SIG_ED25519,
};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;
use xtls_stanza::{HashAlgo, Shown};

use super::PeerCertificate;

/// The most characters of a distinguished name that are kept.
const MAX_SHOWN: usize = 256;

/// The most bytes of a serial number that are kept; RFC 5280 § 4.1.2.2 allows 20.
const MAX_SERIAL: usize = 32;

/// A distinguished name, harmless and bounded.
pub(super) fn name(name: &X509Name<'_>) -> String {
    let whole = Shown(&name.to_string()).to_string();
    let mut shown: String = whole.chars().take(MAX_SHOWN).collect();
    if shown.len() < whole.len() {
        shown.pop();
        shown.push('…');
    }
    shown
}

pub(super) fn serial(bytes: &[u8]) -> String {
    bytes.iter().take(MAX_SERIAL).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn signature_algorithm(oid: &Oid<'_>) -> &'static str {
    let known = [
        (OID_SIG_ED25519, "Ed25519"),
        (OID_SIG_ECDSA_WITH_SHA256, "ECDSA with SHA-256"),
        (OID_SIG_ECDSA_WITH_SHA384, "ECDSA with SHA-384"),
        (OID_SIG_ECDSA_WITH_SHA512, "ECDSA with SHA-512"),
        (OID_PKCS1_SHA256WITHRSA, "RSA with SHA-256"),
        (OID_PKCS1_SHA384WITHRSA, "RSA with SHA-384"),
        (OID_PKCS1_SHA512WITHRSA, "RSA with SHA-512"),
        (OID_PKCS1_RSASSAPSS, "RSA-PSS"),
        (OID_PKCS1_SHA1WITHRSA, "RSA with SHA-1"),
    ];
    known.iter().find(|(known, _)| known == oid).map_or("unknown", |(_, name)| name)
}

/// A report for people, a line for each thing, without a line break at its end. Nothing in it can steer a terminal or the
/// reading direction, and it has at most some 30 KiB.
///
/// ```
/// use std::time::Duration;
/// use xtls_tls::{Identity, KeyAlgorithm, UnixTime};
///
/// let now = UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000));
/// let identity = Identity::generate(&"juliet@capulet.lit".parse()?, KeyAlgorithm::default(), now)?;
/// let report = identity.as_peer_certificate().to_string();
/// assert!(report.contains("XMPP address: juliet@capulet.lit\n") && report.contains("issuer: CN=XTLS (itself)\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl fmt::Display for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subject: {}", self.subject())?;
        writeln!(f, "issuer: {}{}", self.issuer(), if self.is_self_issued() { " (itself)" } else { "" })?;
        writeln!(f, "serial: {}", self.serial())?;
        for address in self.xmpp_addrs() {
            writeln!(f, "XMPP address: {}", Shown(address.canonical()))?;
        }
        for (what, names) in
            [("DNS name", self.dns_names()), ("service", self.srv_names()), ("mail", self.email_addrs())]
        {
            for name in names {
                writeln!(f, "{what}: {name}")?;
            }
        }
        writeln!(f, "valid from: {}", date(self.not_before()))?;
        writeln!(f, "valid until: {}", date(self.not_after()))?;
        writeln!(f, "key: {}", self.key_description())?;
        writeln!(f, "signed by: {}", self.signature_algorithm())?;
        if self.is_authority() {
            writeln!(f, "an authority's certificate")?;
        }
        if let Some(sha1) = self.fingerprint(HashAlgo::Sha1) {
            writeln!(f, "SHA-1: {}", sha1.grouped())?;
        }
        write!(f, "SHA-256: {}", self.fingerprint_sha256().grouped())
    }
}

/// A date as RFC 2822 writes it, in UTC.
fn date(unix_seconds: i64) -> String {
    let date = ASN1Time::from_timestamp(unix_seconds).ok().and_then(|time| time.to_rfc2822().ok());
    date.unwrap_or_else(|| format!("{unix_seconds} s after 1970"))
}
