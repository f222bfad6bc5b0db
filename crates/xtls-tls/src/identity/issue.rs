//! The certificate of a new identity.

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SanType, SerialNumber, date_time_ymd};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};
use xtls_stanza::jid::BareJid;

use super::IdentityError;
use crate::certificate::ID_ON_XMPP_ADDR;

const DAY: u64 = 24 * 60 * 60;
/// A certificate is valid from a day before it is made, for peers whose clocks are slow...
const VALID_BEFORE: u64 = DAY;
/// ...for ten years.
const VALID_AFTER: u64 = 3653 * DAY;
/// X.509 dates end with the year 9999 (RFC 5280 § 4.1.2.5); one that leaves room for the validity.
pub(super) const LAST_DATE: u64 = 253_402_300_799 - VALID_AFTER;

/// The certificate: nothing in it that a peer does not need.
pub(super) fn self_signed(
    jid: &BareJid,
    key: &dyn SigningKey,
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
    params.subject_alt_names = vec![SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), jid.canonical().into()))];
    let certificate = params.self_signed(&Subject::of(key)?).map_err(|_| IdentityError::Generation)?;
    Ok(certificate.into())
}

/// Whom a certificate is for and who signs it: a key of rustls, as rcgen wants one.
struct Subject<'k> {
    key: &'k dyn SigningKey,
    scheme: SignatureScheme,
    algorithm: &'static rcgen::SignatureAlgorithm,
    public: Vec<u8>,
}

impl<'k> Subject<'k> {
    fn of(key: &'k dyn SigningKey) -> Result<Self, IdentityError> {
        let schemes = [
            (SignatureScheme::ECDSA_NISTP256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
            (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
            (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
        ];
        let signs = |(scheme, _): &(SignatureScheme, _)| key.choose_scheme(&[*scheme]).is_some();
        let (scheme, algorithm) = schemes.into_iter().find(signs).ok_or(IdentityError::UnsupportedKey)?;
        let spki = key.public_key().ok_or(IdentityError::UnsupportedKey)?;
        let (_, spki) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| IdentityError::UnsupportedKey)?;
        Ok(Self { key, scheme, algorithm, public: spki.subject_public_key.data.to_vec() })
    }
}

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Subject<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[self.scheme]).ok_or(rcgen::Error::RemoteKeyError)?;
        signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
