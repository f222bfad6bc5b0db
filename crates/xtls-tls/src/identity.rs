//! What an entity proves who it is with.

mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod generate;
mod issue;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use xtls_stanza::jid::BareJid;
use xtls_stanza::{Fingerprint, HashAlgo};
use zeroize::Zeroizing;

pub use self::error::IdentityError;
use crate::certificate::{MAX_CERTIFICATE, MAX_CHAIN, PeerCertificate};
use crate::pem;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use crate::provider::signing_key;
use crate::secret::Secret;

/// The most bytes that the certificates of an identity may have together: a handshake with them fits its own limit
/// ([`MAX_HANDSHAKE`](crate::MAX_HANDSHAKE)).
pub const MAX_CHAIN_BYTES: usize = 3 * MAX_CERTIFICATE;

/// A certificate and its private key: self-signed, or with those of the authorities that vouch for it.
///
/// Cheap to clone: the key is read once and shared. `Debug` shows the certificate alone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    certificate: PeerCertificate,
    key: Zeroizing<PrivateKeyDer<'static>>,
    certified: Arc<CertifiedKey>,
    announced: [Fingerprint; 2],
}

/// The algorithm of an identity's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256: understood by every TLS stack that knows TLS 1.2.
    #[default]
    EcdsaP256,
    /// Ed25519: its signatures depend on nothing but the key and the message.
    Ed25519,
    /// RSA with 3072 bits: for peers that know nothing else. Making one takes a second or so.
    Rsa3072,
}

impl KeyAlgorithm {
    /// Its name, as [`PeerCertificate::key_description`] has it.
    const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Ed25519 => "Ed25519",
            Self::Rsa3072 => "RSA 3072",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An identity as text, for storing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityPem {
    /// The certificate, as `CERTIFICATE`, and after it those of the authorities that vouch for it, if there are any.
    pub certificate: String,
    /// The private key, as `PRIVATE KEY` (PKCS #8), or `EC PRIVATE KEY` or `RSA PRIVATE KEY` if it was imported so.
    pub key: Secret,
}

impl Identity {
    /// Makes a new key and a certificate for it.
    ///
    /// The certificate is X.509 version 3 and self-signed. It names `jid` as id-on-xmppAddr (RFC 6120 § 13.7.1.4) and
    /// nothing else about its owner: the common name is always `XTLS`. Its serial number is random. It is valid from a
    /// day before `now` for ten years.
    ///
    /// The key and the serial number come from the random number generator of the library behind
    /// [`default_provider`](crate::default_provider), which seeds itself from the operating system. This is the one place where
    /// randomness is not passed in; [`Identity::from_key`] takes it.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generation`] if there are no random numbers, [`IdentityError::NotMade`] for an algorithm that the library
    /// has no keys of, [`IdentityError::DateOutOfRange`].
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub fn generate(jid: &BareJid, algorithm: KeyAlgorithm, now: UnixTime) -> Result<Self, IdentityError> {
        let provider = crate::default_provider();
        let mut serial = [0; 16];
        provider.secure_random.fill(&mut serial).map_err(|_| IdentityError::Generation)?;
        Self::of_key(signing_key, jid, generate::key(algorithm)?, serial, now)
    }

    /// Makes a certificate for a key that exists already, as [`Identity::generate`] does. `serial` should be random.
    ///
    /// With an Ed25519 key the same arguments give the same certificate, byte for byte.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoKey`] and the other errors about keys; [`IdentityError::DateOutOfRange`].
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub fn from_key(jid: &BareJid, key_pem: &str, serial: [u8; 16], now: UnixTime) -> Result<Self, IdentityError> {
        Self::of_key(signing_key, jid, read_key(key_pem)?, serial, now)
    }

    /// The same with another provider, which reads the key and signs with it. It is given a copy of the key, and whether that is
    /// wiped is up to the provider.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_key`].
    pub fn from_key_with(
        provider: &CryptoProvider,
        jid: &BareJid,
        key_pem: &str,
        serial: [u8; 16],
        now: UnixTime,
    ) -> Result<Self, IdentityError> {
        Self::of_key(load_by(provider), jid, read_key(key_pem)?, serial, now)
    }

    /// Reads an identity that was stored or issued. Each text may hold other sections too, so both may be the same file; byte
    /// order marks and white space before a line are skipped.
    ///
    /// The first certificate is yours; after it may stand those of the authorities that vouch for it, each one
    /// followed by that of its issuer: at most [`MAX_CHAIN`] in all. They are presented with it. Nothing is verified but
    /// that they follow one another: peers do that.
    ///
    /// The key is one that [`Identity::generate`] makes, or RSA of 2048 to 8192 bits.
    ///
    /// # Errors
    ///
    /// Says what is missing, unreadable or unsupported, or that the parts do not belong together.
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        Self::of_pem(signing_key, certificate_pem, key_pem)
    }

    /// The same with another provider, which reads the key and signs with it. It is given a copy of the key, and whether that is
    /// wiped is up to the provider.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_pem`].
    pub fn from_pem_with(
        provider: &CryptoProvider,
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<Self, IdentityError> {
        Self::of_pem(load_by(provider), certificate_pem, key_pem)
    }

    fn of_pem(load: impl Load, certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let certificate_pem = pem::readable(certificate_pem);
        let certificates = CertificateDer::pem_slice_iter(certificate_pem.as_bytes());
        let chain: Result<Vec<_>, _> = certificates.take(MAX_CHAIN + 1).collect();
        let chain = chain.map_err(|_| IdentityError::Pem)?;
        let key = read_key(key_pem)?;
        // What is wrong with the certificates is told first.
        let certificate = check_chain(&chain)?;
        let signing = supported(load, &key)?;
        Self::assemble(chain, certificate, key, signing)
    }

    fn of_key(
        load: impl Load,
        jid: &BareJid,
        key: Zeroizing<PrivateKeyDer<'static>>,
        serial: [u8; 16],
        now: UnixTime,
    ) -> Result<Self, IdentityError> {
        let signing = supported(load, &key)?;
        let chain = vec![issue::self_signed(jid, &*signing, serial, now.as_secs())?];
        let certificate = check_chain(&chain)?;
        Self::assemble(chain, certificate, key, signing)
    }

    fn assemble(
        chain: Vec<CertificateDer<'static>>,
        certificate: PeerCertificate,
        key: Zeroizing<PrivateKeyDer<'static>>,
        signing: Arc<dyn SigningKey>,
    ) -> Result<Self, IdentityError> {
        if !certificate.has_usable_key() {
            return Err(IdentityError::UnsupportedKey);
        }
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|_| IdentityError::KeyMismatch)?;
        let announced = [Fingerprint::sha1(certificate.der()), certificate.fingerprint_sha256()];
        Ok(Self { inner: Arc::new(Inner { certificate, key, certified: Arc::new(certified), announced }) })
    }

    /// The certificate and the key as text.
    #[must_use]
    pub fn to_pem(&self) -> IdentityPem {
        let label = match &*self.inner.key {
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Pkcs8(_) | _ => "PRIVATE KEY",
        };
        IdentityPem {
            certificate: self.chain().iter().map(|der| pem::encode("CERTIFICATE", der).to_string()).collect(),
            key: Secret::new(pem::encode(label, self.inner.key.secret_der())),
        }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.inner.certificate.der()
    }

    /// The certificates that are presented: yours, and those of the authorities that vouch for it.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.inner.certified.cert
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
        self.inner.announced
    }

    /// The algorithm of its key; `None` for an RSA key of another size, which can be read and not made.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        let description = self.inner.certificate.key_description();
        [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa3072]
            .into_iter()
            .find(|algorithm| algorithm.name() == description)
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

fn read_key(text: &str) -> Result<Zeroizing<PrivateKeyDer<'static>>, IdentityError> {
    match PrivateKeyDer::from_pem_slice(pem::readable(text).as_bytes()) {
        Ok(key) => Ok(Zeroizing::new(key)),
        Err(rustls_pki_types::pem::Error::NoItemsFound) if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            Err(IdentityError::EncryptedKey)
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) => Err(IdentityError::NoKey),
        Err(_) => Err(IdentityError::Pem),
    }
}

/// The bounds of a chain, and that its certificates follow one another. Gives the first.
fn check_chain(chain: &[CertificateDer<'static>]) -> Result<PeerCertificate, IdentityError> {
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    if chain.len() > MAX_CHAIN || (chain.len() > 1 && bytes > MAX_CHAIN_BYTES) {
        return Err(IdentityError::ChainTooLong);
    }
    let parsed: Result<Vec<_>, _> = chain.iter().map(|der| PeerCertificate::from_der(der)).collect();
    let parsed = parsed.map_err(IdentityError::Certificate)?;
    let follow = |pair: &[PeerCertificate]| matches!(pair, [one, issuer] if one.is_issued_in_the_name_of(issuer));
    if !parsed.windows(2).all(follow) {
        return Err(IdentityError::BrokenChain);
    }
    parsed.into_iter().next().ok_or(IdentityError::NoCertificate)
}

/// Makes of a key what signs with it.
trait Load: FnOnce(&PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {}

impl<F: FnOnce(&PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error>> Load for F {}

fn load_by(provider: &CryptoProvider) -> impl Load {
    |key: &PrivateKeyDer<'static>| provider.key_provider.load_private_key(key.clone_key())
}

/// What signs with a key, if it is one that peers take.
fn supported(load: impl Load, key: &PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, IdentityError> {
    let signing = load(key).map_err(|_| IdentityError::UnsupportedKey)?;
    let is_supported = [SignatureAlgorithm::ED25519, SignatureAlgorithm::RSA].contains(&signing.algorithm())
        || signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).is_some();
    is_supported.then_some(signing).ok_or(IdentityError::UnsupportedKey)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
