//! What a peer presented, and why it was refused.

use std::fmt;

use jid::BareJid;
use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::der::parse_der;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;
use xtls_stanza::{Fingerprint, HashAlgo};

/// The longest certificate that is taken, in bytes of DER: 16 KiB.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The most addresses taken from one certificate; those after them are not looked at.
const MAX_ADDRESSES: usize = 16;

/// `id-on-xmppAddr` (RFC 6120 § 13.7.1.4), 1.3.6.1.5.5.7.8.5.
pub(crate) const ID_ON_XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// The certificate of a peer, X.509 version 3, at most [`MAX_CERTIFICATE`] bytes.
///
/// Reading it proves nothing: that the peer holds the key is proven by the handshake, and who the peer is by the pin.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    der: CertificateDer<'static>,
    spki_sha256: [u8; 32],
    not_before: i64,
    not_after: i64,
    xmpp_addrs: Vec<BareJid>,
    key: String,
    rsa_bits: Option<usize>,
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
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            spki_sha256: sha256(spki),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            xmpp_addrs: xmpp_addrs(&certificate),
            key: describe_key(&certificate),
            rsa_bits: rsa_bits(&certificate),
        })
    }

    /// The DER encoding.
    #[must_use]
    pub const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The fingerprint: the hash of the DER encoding. `None` for MD5, which is never computed.
    #[must_use]
    pub fn fingerprint(&self, algo: HashAlgo) -> Option<Fingerprint> {
        Fingerprint::of(algo, &self.der)
    }

    /// The SHA-256 fingerprint: what trust is kept as.
    #[must_use]
    pub fn fingerprint_sha256(&self) -> Fingerprint {
        Fingerprint::sha256(&self.der)
    }

    /// The SHA-256 of the subject public key info: the same for every certificate of one key.
    #[must_use]
    pub const fn spki_sha256(&self) -> [u8; 32] {
        self.spki_sha256
    }

    /// When it becomes valid, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn not_before(&self) -> i64 {
        self.not_before
    }

    /// When it stops being valid, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether `now_unix`, in seconds since 1970-01-01 UTC, lies outside the validity. A pin outlives the dates of the
    /// certificate, so this is for showing, never a reason to refuse a pinned certificate.
    #[must_use]
    pub fn is_expired(&self, now_unix: u64) -> bool {
        let now = i64::try_from(now_unix).unwrap_or(i64::MAX);
        now < self.not_before || now > self.not_after
    }

    /// The XMPP addresses that it names (RFC 6120 § 13.7.1.4), at most 16; those that are not bare JIDs are left out.
    #[must_use]
    pub fn xmpp_addrs(&self) -> &[BareJid] {
        &self.xmpp_addrs
    }

    /// What kind of key it has, for people: `ECDSA P-256`, `Ed25519`, `RSA 3072`, or the identifier of another one.
    #[must_use]
    pub fn key_description(&self) -> &str {
        &self.key
    }

    /// RSA keys of 2048 to 8192 bits are accepted; whether another kind of key is, shows when the peer signs with it.
    pub(crate) fn has_usable_key(&self) -> bool {
        self.rsa_bits.is_none_or(|bits| (2048..=8192).contains(&bits))
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("fingerprint", &self.fingerprint_sha256())
            .field("key", &self.key)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("xmpp_addrs", &self.xmpp_addrs)
            .finish_non_exhaustive()
    }
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let fingerprint = Fingerprint::sha256(data);
    fingerprint.digest().try_into().expect("SHA-256 has 32 bytes")
}

fn xmpp_addrs(certificate: &X509Certificate<'_>) -> Vec<BareJid> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let address = |name: &GeneralName<'_>| {
        let GeneralName::OtherName(oid, value) = name else {
            return None;
        };
        let xmpp = oid.iter().is_some_and(|arcs| arcs.eq(ID_ON_XMPP_ADDR));
        utf8_string(value).filter(|_| xmpp)?.parse().ok()
    };
    names.value.general_names.iter().filter_map(address).take(MAX_ADDRESSES).collect()
}

/// The text of `[0] EXPLICIT UTF8String` (RFC 5280 § 4.2.1.6, RFC 6120 § 13.7.1.4).
fn utf8_string(value: &[u8]) -> Option<String> {
    let (rest, tagged) = parse_der(value).ok()?;
    let BerObjectContent::Unknown(inner) = tagged.content else {
        return None;
    };
    let (inner_rest, string) = parse_der(inner.data).ok()?;
    let BerObjectContent::UTF8String(text) = string.content else {
        return None;
    };
    (rest.is_empty() && inner_rest.is_empty() && tagged.header.raw_tag() == Some(&[0xa0])).then(|| text.to_owned())
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
    Some(key.key_size())
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
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => "ECDSA P-256".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P384 => "ECDSA P-384".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P521 => "ECDSA P-521".to_owned(),
            Some(curve) => format!("ECDSA {curve}"),
            None => "ECDSA".to_owned(),
        };
    }
    algorithm.to_string()
}

/// Why a certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is none of those that the peer may have.
    NotPinned,
    /// The peer did not prove that it holds the key.
    BadSignature,
    /// The peer presented none.
    NoCertificate,
    /// The peer presented more than its own: pinned certificates are self-signed.
    ChainTooLong {
        /// How many were presented.
        certificates: usize,
    },
    /// It is longer than [`MAX_CERTIFICATE`].
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It cannot be read.
    Malformed,
    /// It is an X.509 certificate of version 1 or 2, which cannot be used for TLS 1.3.
    NotVersion3,
    /// Its key is of a kind or a length that is not accepted.
    UnsupportedKey,
    /// It has our own key: the session would be one with ourselves.
    OwnKey,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPinned => f.write_str("it is not the certificate that this peer is known by"),
            Self::BadSignature => f.write_str("the peer did not prove that it holds the certificate's key"),
            Self::NoCertificate => f.write_str("the peer presented none"),
            Self::ChainTooLong { certificates } => {
                write!(f, "the peer presented {certificates} certificates instead of one self-signed certificate")
            }
            Self::TooLarge { bytes } => {
                write!(f, "it has {bytes} bytes, more than the {MAX_CERTIFICATE} that are accepted")
            }
            Self::Malformed => f.write_str("it is not a readable X.509 certificate"),
            Self::NotVersion3 => f.write_str("it is not an X.509 version 3 certificate"),
            Self::UnsupportedKey => f.write_str("its key is of a kind or length that is not accepted"),
            Self::OwnKey => f.write_str("it has our own key"),
        }
    }
}

impl std::error::Error for CertificateFault {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;
