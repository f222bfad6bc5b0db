//! Why there is no identity.

use std::fmt;

use crate::certificate::{CertificateFault, MAX_CHAIN};
use crate::identity::{KeyAlgorithm, MAX_CHAIN_BYTES};

/// Why there is no identity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text has no certificate.
    NoCertificate,
    /// The text has more than [`MAX_CHAIN`] certificates, or they have more than [`MAX_CHAIN_BYTES`] bytes.
    ChainTooLong,
    /// A certificate after the first one is not that of the authority that issued the one before it.
    BrokenChain,
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
    /// Keys of this algorithm are not made here: ring has none of RSA. One that was made elsewhere can be read.
    NotMade(KeyAlgorithm),
    /// There were no random numbers, or signing failed.
    Generation,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("no certificate found (a CERTIFICATE section in PEM)"),
            Self::ChainTooLong => write!(
                f,
                "more than {MAX_CHAIN} certificates found, or more than {MAX_CHAIN_BYTES} bytes of them: leave out those \
                 that do not vouch for the first one"
            ),
            Self::BrokenChain => f.write_str(
                "the certificates are no chain: yours comes first, and after each one that of its issuer",
            ),
            Self::Certificate(fault) => write!(f, "the certificate cannot be used: {fault}"),
            Self::NoKey => f.write_str("no private key found (a PRIVATE KEY section in PEM)"),
            Self::EncryptedKey => f.write_str("the private key is encrypted: decrypt it first"),
            Self::UnsupportedKey => {
                f.write_str("the private key cannot be read or is of an unsupported kind (ECDSA P-256, Ed25519, or RSA of 2048 to 8192 bits)")
            }
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Pem => f.write_str("not well-formed PEM"),
            Self::DateOutOfRange => f.write_str("the date is past what a certificate can express"),
            Self::NotMade(algorithm) => {
                write!(f, "keys of {algorithm} cannot be made here: make one elsewhere and import it, or take another kind")
            }
            Self::Generation => f.write_str("the key or the certificate could not be made"),
        }
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(fault) => Some(fault),
            Self::NoCertificate
            | Self::ChainTooLong
            | Self::BrokenChain
            | Self::NoKey
            | Self::EncryptedKey
            | Self::UnsupportedKey
            | Self::KeyMismatch
            | Self::Pem
            | Self::DateOutOfRange
            | Self::NotMade(_)
            | Self::Generation => None,
        }
    }
}
