//! New keys.

use rcgen::KeyPair;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use super::{IdentityError, KeyAlgorithm};

/// A new key, made by the library that the features name.
pub(super) fn key(algorithm: KeyAlgorithm) -> Result<Zeroizing<PrivateKeyDer<'static>>, IdentityError> {
    let pair = match algorithm {
        KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        #[cfg(feature = "aws-lc-rs")]
        KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072),
        #[cfg(not(feature = "aws-lc-rs"))]
        KeyAlgorithm::Rsa3072 => return Err(IdentityError::NotMade(algorithm)),
    };
    let mut pair = pair.map_err(|_| IdentityError::Generation)?;
    let key = Zeroizing::new(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der())));
    pair.zeroize();
    Ok(key)
}
