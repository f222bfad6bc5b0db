//! What an entity proves who it is with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, SerialNumber, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use xtls_stanza::{Fingerprint, HashAlgo};
use zeroize::{Zeroize as _, Zeroizing};

use crate::certificate::{CertificateFault, ID_ON_XMPP_ADDR, PeerCertificate};
use crate::pem;
use crate::secret::Secret;

const DAY: u64 = 24 * 60 * 60;
/// A certificate is valid from a day before it is made, for peers whose clocks are slow...
const VALID_BEFORE: u64 = DAY;
/// ...for ten years.
const VALID_AFTER: u64 = 3653 * DAY;
/// X.509 dates end with the year 9999 (RFC 5280 § 4.1.2.5); one that leaves room for the validity.
const LAST_DATE: u64 = 253_402_300_799 - VALID_AFTER;

/// A self-signed certificate and its private key.
///
/// Cheap to clone: the key is read once and shared. `Debug` shows the certificate alone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    certificate: PeerCertificate,
    kind: KeyKind,
    key: Zeroizing<PrivateKeyDer<'static>>,
    certified: Arc<CertifiedKey>,
}

/// The kinds of key an identity may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256: understood by every TLS stack that knows TLS 1.2.
    #[default]
    EcdsaP256,
    /// Ed25519: its signatures depend on nothing but the key and the message.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// An identity as text, for storing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityPem {
    /// The certificate, as `CERTIFICATE`.
    pub certificate: String,
    /// The private key, as `PRIVATE KEY` (PKCS #8), or `EC PRIVATE KEY` if it was imported so.
    pub key: Secret,
}

impl Identity {
    /// Makes a new key and a certificate for it.
    ///
    /// The certificate is X.509 version 3 and self-signed. It names `jid` as id-on-xmppAddr (RFC 6120 § 13.7.1.4) and
    /// nothing else about its owner: the common name is always `XTLS`. Its serial number is random. It is valid from a
    /// day before `now_unix`, in seconds since 1970-01-01 UTC, for ten years.
    ///
    /// The key and the serial number come from the random number generator of aws-lc, which seeds itself from the
    /// operating system. This is the one place where randomness is not passed in; [`Identity::from_key`] takes it.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generation`] if there are no random numbers, [`IdentityError::DateOutOfRange`].
    pub fn generate(jid: &BareJid, kind: KeyKind, now_unix: u64) -> Result<Self, IdentityError> {
        let algorithm = match kind {
            KeyKind::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        };
        let mut serial = [0; 16];
        let random = aws_lc_rs::default_provider().secure_random;
        random.fill(&mut serial).map_err(|_| IdentityError::Generation)?;
        let mut pair = KeyPair::generate_for(algorithm).map_err(|_| IdentityError::Generation)?;
        let key = Zeroizing::new(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der())));
        let certificate = issue(jid, &pair, serial, now_unix);
        pair.zeroize();
        Self::assemble(certificate?, key)
    }

    /// Makes a certificate for a key that exists already, as [`Identity::generate`] does. `serial` should be random.
    ///
    /// With an Ed25519 key the same arguments give the same certificate, byte for byte.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoKey`] and the other errors about keys; [`IdentityError::DateOutOfRange`].
    pub fn from_key(jid: &BareJid, key_pem: &str, serial: [u8; 16], now_unix: u64) -> Result<Self, IdentityError> {
        let key = read_key(key_pem)?;
        let mut pair = KeyPair::try_from(&*key).map_err(|_| IdentityError::UnsupportedKey)?;
        let certificate = issue(jid, &pair, serial, now_unix);
        pair.zeroize();
        Self::assemble(certificate?, key)
    }

    /// Reads an identity that was stored. Each text may hold other sections too, so both may be the same file.
    ///
    /// # Errors
    ///
    /// Says what is missing, unreadable or unsupported, or that the two do not belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let mut certificates = CertificateDer::pem_slice_iter(certificate_pem.as_bytes());
        let certificate = certificates.next().ok_or(IdentityError::NoCertificate)?.map_err(|_| IdentityError::Pem)?;
        // A peer refuses a chain: it pins the certificate itself.
        if certificates.next().is_some() {
            return Err(IdentityError::SeveralCertificates);
        }
        Self::assemble(certificate, read_key(key_pem)?)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        key: Zeroizing<PrivateKeyDer<'static>>,
    ) -> Result<Self, IdentityError> {
        let signing = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| IdentityError::UnsupportedKey)?;
        let kind = key_kind(&*signing).ok_or(IdentityError::UnsupportedKey)?;
        let parsed = PeerCertificate::from_der(&certificate).map_err(IdentityError::Certificate)?;
        let certified = CertifiedKey::new(vec![certificate], signing);
        certified.keys_match().map_err(|_| IdentityError::KeyMismatch)?;
        Ok(Self { inner: Arc::new(Inner { certificate: parsed, kind, key, certified: Arc::new(certified) }) })
    }

    /// The certificate and the key as text.
    #[must_use]
    pub fn to_pem(&self) -> IdentityPem {
        // PKCS #1 is for RSA keys alone, which an identity cannot have.
        let sec1 = matches!(&*self.inner.key, PrivateKeyDer::Sec1(_));
        let label = if sec1 { "EC PRIVATE KEY" } else { "PRIVATE KEY" };
        IdentityPem {
            certificate: pem::encode("CERTIFICATE", self.certificate()).to_string(),
            key: Secret::new(pem::encode(label, self.inner.key.secret_der())),
        }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.inner.certificate.der()
    }

    /// The certificate as the peer will see it: dates, addresses, key.
    #[must_use]
    pub fn as_peer_certificate(&self) -> &PeerCertificate {
        &self.inner.certificate
    }

    /// The fingerprint of the certificate. `None` for MD5, which is never computed.
    #[must_use]
    pub fn fingerprint(&self, algo: HashAlgo) -> Option<Fingerprint> {
        self.inner.certificate.fingerprint(algo)
    }

    /// The SHA-256 fingerprint of the certificate: what others pin.
    #[must_use]
    pub fn fingerprint_sha256(&self) -> Fingerprint {
        self.inner.certificate.fingerprint_sha256()
    }

    /// The fingerprints to announce, in the order in which they go on the wire: SHA-1, which old peers know, first.
    #[must_use]
    pub fn announced_fingerprints(&self) -> [Fingerprint; 2] {
        [Fingerprint::sha1(self.certificate()), self.fingerprint_sha256()]
    }

    /// What kind of key it has.
    #[must_use]
    pub fn key_kind(&self) -> KeyKind {
        self.inner.kind
    }

    /// When the certificate stops being valid, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.inner.certificate.not_after()
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.inner.certified)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.inner.certificate).finish_non_exhaustive()
    }
}

/// The certificate: nothing in it that a peer does not need.
fn issue(
    jid: &BareJid,
    key: &KeyPair,
    mut serial: [u8; 16],
    now_unix: u64,
) -> Result<CertificateDer<'static>, IdentityError> {
    if now_unix > LAST_DATE {
        return Err(IdentityError::DateOutOfRange);
    }
    // RFC 5280 § 4.1.2.2: positive and not zero.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    let epoch = date_time_ymd(1970, 1, 1);
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "XTLS");
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = epoch + Duration::from_secs(now_unix.saturating_sub(VALID_BEFORE));
    params.not_after = epoch + Duration::from_secs(now_unix + VALID_AFTER);
    params.subject_alt_names = vec![SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), jid.as_str().into()))];
    let certificate = params.self_signed(key).map_err(|_| IdentityError::Generation)?;
    Ok(certificate.into())
}

fn read_key(text: &str) -> Result<Zeroizing<PrivateKeyDer<'static>>, IdentityError> {
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok(Zeroizing::new(key)),
        Err(rustls_pki_types::pem::Error::NoItemsFound) if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            Err(IdentityError::EncryptedKey)
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) => Err(IdentityError::NoKey),
        Err(_) => Err(IdentityError::Pem),
    }
}

fn key_kind(key: &dyn SigningKey) -> Option<KeyKind> {
    if key.algorithm() == SignatureAlgorithm::ED25519 {
        return Some(KeyKind::Ed25519);
    }
    key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).map(|_| KeyKind::EcdsaP256)
}

/// Why there is no identity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text has no certificate.
    NoCertificate,
    /// The text has more than one certificate.
    SeveralCertificates,
    /// The certificate cannot be used.
    Certificate(CertificateFault),
    /// The text has no private key.
    NoKey,
    /// The private key is encrypted.
    EncryptedKey,
    /// The private key cannot be read, or is of a kind that is not supported.
    UnsupportedKey,
    /// The certificate is for another key.
    KeyMismatch,
    /// The text is not well-formed PEM.
    Pem,
    /// The date is past the last one that a certificate can have.
    DateOutOfRange,
    /// There were no random numbers, or signing failed.
    Generation,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("no certificate found (a CERTIFICATE section in PEM)"),
            Self::SeveralCertificates => f.write_str("more than one certificate found: one self-signed one is needed"),
            Self::Certificate(fault) => write!(f, "the certificate cannot be used: {fault}"),
            Self::NoKey => f.write_str("no private key found (a PRIVATE KEY section in PEM)"),
            Self::EncryptedKey => f.write_str("the private key is encrypted: decrypt it first"),
            Self::UnsupportedKey => {
                f.write_str("the private key cannot be read or is of an unsupported kind (ECDSA P-256 or Ed25519)")
            }
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Pem => f.write_str("not well-formed PEM"),
            Self::DateOutOfRange => f.write_str("the date is past what a certificate can express"),
            Self::Generation => f.write_str("the key or the certificate could not be made"),
        }
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(fault) => Some(fault),
            Self::NoCertificate
            | Self::SeveralCertificates
            | Self::NoKey
            | Self::EncryptedKey
            | Self::UnsupportedKey
            | Self::KeyMismatch
            | Self::Pem
            | Self::DateOutOfRange
            | Self::Generation => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
