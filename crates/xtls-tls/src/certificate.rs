//! What a peer presented, and why it was refused.

mod binding;
mod fault;
mod known;
mod names;
mod report;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;
use x509_parser::asn1_rs::{Any, oid};
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::KeyUsage;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED25519, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;
use xtls_stanza::jid::{BareJid, DomainPart};
use xtls_stanza::{Fingerprint, HashAlgo};

use crate::authorities::may;
use crate::domain::Domain;
use crate::pem;

pub use self::fault::{CertificateFault, ChainFault};
pub use self::known::{KnownCertificates, MAX_KNOWN_CERTIFICATES};
use self::names::Names;
pub(crate) use self::names::{ID_ON_XMPP_ADDR, ServerId, other_name_domains};

/// The longest certificate that is taken, in bytes of DER: 16 KiB.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The most certificates that a peer may present, and an identity may have: its own and four of authorities.
pub const MAX_CHAIN: usize = 5;

/// The extensions that are understood where they are critical.
const UNDERSTOOD: [Oid<'static>; 6] = [
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
];
/// RFC 8410 § 3.
const OID_ED448: Oid<'static> = oid!(1.3.101.113);

/// The certificate of a peer, X.509 version 3, at most [`MAX_CERTIFICATE`] bytes.
///
/// Reading it proves nothing: that the peer holds the key is proven by the handshake, and who the peer is by the pin.
///
/// Cheap to clone: what was read is shared.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    inner: Arc<Inner>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    der: CertificateDer<'static>,
    /// The hashes that are asked for with every session.
    sha1: Fingerprint,
    sha256: Fingerprint,
    spki_sha256: [u8; 32],
    not_before: i64,
    not_after: i64,
    rsa_bits: Option<usize>,
    authority: bool,
    /// Its key may be used for signatures.
    signs: bool,
    names: Names,
    key: String,
    subject: String,
    issuer: String,
    serial: String,
    signature_algorithm: &'static str,
    signature_hash: Option<HashAlgo>,
    /// The hashes of the distinguished names as they are encoded.
    subject_id: [u8; 32],
    issuer_id: [u8; 32],
}

impl PeerCertificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::TooLarge`], [`CertificateFault::Malformed`] or [`CertificateFault::NotVersion3`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateFault> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateFault::TooLarge { bytes: der.len() });
        }
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Malformed);
        }
        // rustls verifies signatures with version 3 certificates alone.
        if certificate.version() != X509Version::V3 {
            return Err(CertificateFault::NotVersion3);
        }
        let spki = certificate.public_key().raw;
        let inner = Inner {
            names: Names::of(&certificate),
            key: describe_key(&certificate),
            subject: report::name(certificate.subject()),
            issuer: report::name(certificate.issuer()),
            serial: report::serial(certificate.raw_serial()),
            signature_algorithm: report::signature_algorithm(&certificate.signature_algorithm.algorithm),
            signature_hash: binding::hash_of(&certificate.signature_algorithm.algorithm),
            subject_id: sha256(certificate.subject().as_raw()),
            issuer_id: sha256(certificate.issuer().as_raw()),
            der: CertificateDer::from(der.to_vec()),
            sha1: Fingerprint::sha1(der),
            sha256: Fingerprint::sha256(der),
            spki_sha256: sha256(spki),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            rsa_bits: rsa_bits(&certificate),
            authority: certificate.is_ca(),
            signs: may(&certificate, KeyUsage::digital_signature),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads the first certificate in a text of PEM sections; byte order marks and white space before a line are skipped.
    ///
    /// # Errors
    ///
    /// As [`PeerCertificate::from_der`], and [`CertificateFault::Malformed`] if there is none.
    pub fn from_pem(text: &str) -> Result<Self, CertificateFault> {
        let der = CertificateDer::from_pem_slice(pem::readable(text).as_bytes());
        Self::from_der(&der.map_err(|_| CertificateFault::Malformed)?)
    }

    /// The DER encoding.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.inner.der
    }

    /// The fingerprint: the hash of the DER encoding. `None` for MD5, which is never computed.
    #[must_use]
    pub fn fingerprint(&self, algo: HashAlgo) -> Option<Fingerprint> {
        match algo {
            HashAlgo::Sha1 => Some(self.inner.sha1),
            HashAlgo::Sha256 => Some(self.inner.sha256),
            HashAlgo::Md5 | HashAlgo::Sha224 | HashAlgo::Sha384 | HashAlgo::Sha512 | _ => {
                Fingerprint::of(algo, &self.inner.der)
            }
        }
    }

    /// Whether this is its fingerprint, compared in constant time. One by MD5 never is.
    #[must_use]
    pub fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint(fingerprint.algo()).is_some_and(|own| own.is_same(fingerprint))
    }

    /// The SHA-256 fingerprint: what trust is kept as.
    #[must_use]
    pub fn fingerprint_sha256(&self) -> Fingerprint {
        self.inner.sha256
    }

    /// The SHA-256 of the subject public key info: the same for every certificate of one key.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.inner.spki_sha256
    }

    /// When it becomes valid, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.inner.not_before
    }

    /// When it stops being valid, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.inner.not_after
    }

    /// Whether `now` lies outside the validity. A pin outlives the dates of the
    /// certificate, so this is for showing, never a reason to refuse a pinned certificate.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        now < self.inner.not_before || now > self.inner.not_after
    }

    /// The XMPP addresses that it names (RFC 6120 § 13.7.1.4), at most 16; those that are not bare JIDs are left out.
    #[must_use]
    pub fn xmpp_addrs(&self) -> &[BareJid] {
        &self.inner.names.xmpp
    }

    /// The DNS names in it (RFC 5280 § 4.2.1.6), at most 16 of at most 253 bytes; those with characters that are not
    /// printable ASCII are left out.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.inner.names.dns
    }

    /// The services in it, such as `_xmpp-client.example.org` (RFC 4985), with the bounds of
    /// [`PeerCertificate::dns_names`].
    #[must_use]
    pub fn srv_names(&self) -> &[String] {
        &self.inner.names.srv
    }

    /// The addresses of mail in it, with the bounds of [`PeerCertificate::dns_names`].
    #[must_use]
    pub fn email_addrs(&self) -> &[String] {
        &self.inner.names.email
    }

    /// Whom it is for, as its issuer says: a distinguished name such as `CN=Juliet`, empty if there is none. For showing
    /// alone: it never counts as an identity. Of at most 256 characters, with those that could mislead written out.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.inner.subject
    }

    /// Who issued it, with the bounds of [`PeerCertificate::subject`].
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// Its serial number in hexadecimal, the first 32 bytes of it.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.inner.serial
    }

    /// By which algorithm its issuer signed it, such as `ECDSA with SHA-256`; `unknown` for a rare one.
    #[must_use]
    pub fn signature_algorithm(&self) -> &'static str {
        self.inner.signature_algorithm
    }

    /// Whether it names itself as its issuer, as certificates do that nobody else vouches for.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.inner.subject_id == self.inner.issuer_id
    }

    /// Whether it says that it is an authority's, which may issue others (RFC 5280 § 4.2.1.9).
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.inner.authority
    }

    /// What kind of key it has, for people: `ECDSA P-256`, `Ed25519`, `RSA 3072`, or the identifier of another one.
    #[must_use]
    pub fn key_description(&self) -> &str {
        &self.inner.key
    }

    /// Whether it names `issuer` as the authority that issued it. Whether that one signed it is for peers to verify.
    pub(crate) fn is_issued_in_the_name_of(&self, issuer: &Self) -> bool {
        issuer.inner.authority && self.inner.issuer_id == issuer.inner.subject_id
    }

    /// Whether it names the server of this domain (RFC 6120 § 13.7.2.1), as [`ServerVerification::Authorities`] says. For
    /// showing: a name proves nothing if nobody vouches for it.
    ///
    /// [`ServerVerification::Authorities`]: crate::ServerVerification::Authorities
    #[must_use]
    pub fn names_server_of(&self, domain: &DomainPart) -> bool {
        Domain::new(domain).is_some_and(|domain| domain.check(self).is_ok())
    }

    /// Whether one of the names of servers in it, however many there are, is the one.
    pub(crate) fn has_server_id(&self, is: impl FnMut(&ServerId<'_>) -> bool) -> bool {
        let certificate = X509Certificate::from_der(&self.inner.der);
        certificate.is_ok_and(|(_, certificate)| names::any_server_id(&certificate, is))
    }

    /// Whether TLS can authenticate anybody with it at all, with the algorithms of this provider. Nothing is proven by that;
    /// it is for whoever is about to trust it, since it would be refused in every handshake otherwise.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::UnknownExtension`], [`CertificateFault::NotForSignatures`], [`CertificateFault::UnsupportedKey`] or
    /// [`CertificateFault::Malformed`].
    pub fn check_usable(&self, provider: &CryptoProvider) -> Result<(), CertificateFault> {
        self.check_extensions()?;
        self.check_key_usage()?;
        let malformed = |_| CertificateFault::Malformed;
        let certificate = EndEntityCert::try_from(&self.inner.der).map_err(|_| CertificateFault::Malformed)?;
        let spki = certificate.subject_public_key_info();
        // SubjectPublicKeyInfo is a sequence that begins with the sequence that names the algorithm (§ 4.1).
        let (_, spki) = Any::from_der(&spki).map_err(malformed)?;
        let (_, algorithm) = Any::from_der(spki.data).map_err(malformed)?;
        let mut known = provider.signature_verification_algorithms.all.iter();
        let is_known = known.any(|known| *known.public_key_alg_id() == *algorithm.data);
        if is_known && self.has_usable_key() { Ok(()) } else { Err(CertificateFault::UnsupportedKey) }
    }

    /// § 4.2: a critical extension that is not understood means that the certificate must be rejected.
    pub(crate) fn check_extensions(&self) -> Result<(), CertificateFault> {
        if !matches!(EndEntityCert::try_from(&self.inner.der), Err(webpki::Error::UnsupportedCriticalExtension)) {
            return Ok(());
        }
        let (_, certificate) = X509Certificate::from_der(&self.inner.der).map_err(|_| CertificateFault::Malformed)?;
        let mut extensions = certificate.extensions().iter();
        let unknown = extensions.find(|extension| extension.critical && !UNDERSTOOD.contains(&extension.oid));
        Err(CertificateFault::UnknownExtension { oid: unknown.map(|unknown| short(&unknown.oid)).unwrap_or_default() })
    }

    /// RFC 8446 § 4.4.2.2, RFC 5246 § 7.4.2: the end that presents it signs the handshake, so its key has to be for that, if it
    /// says what it is for.
    pub(crate) fn check_key_usage(&self) -> Result<(), CertificateFault> {
        if self.inner.signs { Ok(()) } else { Err(CertificateFault::NotForSignatures) }
    }

    /// RSA keys of 2048 to 8192 bits are accepted; whether another kind of key is, shows when the peer signs with it.
    pub(crate) fn has_usable_key(&self) -> bool {
        self.inner.rsa_bits.is_none_or(|bits| (2048..=8192).contains(&bits))
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("fingerprint", &self.fingerprint_sha256())
            .field("key", &self.inner.key)
            .field("not_before", &self.inner.not_before)
            .field("not_after", &self.inner.not_after)
            .field("xmpp_addrs", &self.inner.names.xmpp)
            .finish_non_exhaustive()
    }
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let fingerprint = Fingerprint::sha256(data);
    fingerprint.digest().try_into().expect("SHA-256 has 32 bytes")
}

/// The size of an RSA key, 0 for one that cannot be read.
fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    let spki = certificate.public_key();
    if spki.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return None;
    }
    let Ok(PublicKey::RSA(key)) = spki.parsed() else {
        return Some(0);
    };
    // The parser's own count is of whole bytes.
    let leading = key.modulus.iter().take_while(|byte| **byte == 0).count();
    let digits = key.modulus.get(leading..).unwrap_or_default();
    let unused = digits.first().map_or(0, |first| first.leading_zeros());
    Some((digits.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default()))
}

fn describe_key(certificate: &X509Certificate<'_>) -> String {
    let spki = certificate.public_key();
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    if let Some(bits) = rsa_bits(certificate) {
        return format!("RSA {bits}");
    }
    for (oid, name) in [(OID_ED448, "Ed448"), (OID_PKCS1_RSASSAPSS, "RSA-PSS"), (OID_KEY_TYPE_DSA, "DSA")] {
        if *algorithm == oid {
            return name.to_owned();
        }
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => "ECDSA P-256".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P384 => "ECDSA P-384".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P521 => "ECDSA P-521".to_owned(),
            Some(curve) => format!("ECDSA {}", short(&curve)),
            None => "ECDSA".to_owned(),
        };
    }
    short(algorithm)
}

/// An object identifier of a kind that is not known here, which may be as long as the certificate.
fn short(oid: &Oid<'_>) -> String {
    oid.to_string().chars().take(64).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
pub(crate) mod tests;
