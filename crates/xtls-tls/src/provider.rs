//! Where the cryptography of TLS comes from.

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use std::sync::Arc;

use rustls::ProtocolVersion;
use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as library;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as library;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use rustls::{Error, SupportedCipherSuite, pki_types::PrivateKeyDer, sign::SigningKey};

use crate::config::TlsVersion;

/// The cryptography to use unless there is a reason for another: aws-lc-rs, with the key exchange X25519MLKEM768
/// preferred, then X25519 and P-256.
///
/// Without the feature `aws-lc-rs` it is that of `ring`, which has no X25519MLKEM768. Without both there is none, and this function
/// neither: a provider is handed over.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[must_use]
pub fn default_provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![
            #[cfg(feature = "aws-lc-rs")]
            library::kx_group::X25519MLKEM768,
            library::kx_group::X25519,
            library::kx_group::SECP256R1,
        ],
        cipher_suites: cipher_suites(),
        ..library::default_provider()
    })
}

/// Those of the library, in its order. WebAssembly has no instructions for AES, and what does without takes four times as long as
/// ChaCha20 (docs/performance.md): that comes first there.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn cipher_suites() -> Vec<SupportedCipherSuite> {
    let mut suites = library::DEFAULT_CIPHER_SUITES.to_vec();
    if cfg!(target_family = "wasm") {
        let is_chacha =
            |suite: &SupportedCipherSuite| suite.suite().as_str().is_some_and(|name| name.contains("CHACHA20"));
        suites.sort_by_key(|suite| !is_chacha(suite));
    }
    suites
}

/// A key as the same library signs with it. It is only looked at: a [`CryptoProvider`] would take a copy of it over.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub(crate) fn signing_key(key: &PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
    library::sign::any_supported_type(key)
}

/// Whether a provider can do this version, or a later one: it has a cipher suite and a key exchange for it.
#[must_use]
pub fn can_do(provider: &CryptoProvider, minimum: TlsVersion) -> bool {
    let versions: &[ProtocolVersion] = match minimum {
        TlsVersion::Tls12 => &[ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3],
        TlsVersion::Tls13 => &[ProtocolVersion::TLSv1_3],
    };
    versions.iter().any(|version| {
        provider.cipher_suites.iter().any(|suite| suite.version().version == *version)
            && provider.kx_groups.iter().any(|group| group.usable_for_version(*version))
    })
}
