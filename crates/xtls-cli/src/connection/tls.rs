//! TLS to the server: the roots that are trusted for it.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::exit::Failure;

/// A configuration that trusts the given roots (PEM), or else the platform's.
///
/// # Errors
///
/// When there is no certificate to trust.
pub(super) fn client_config(pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    match pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate
                    .map_err(|e| Failure::other(format!("the CA file is not valid PEM: {e}; check --ca-file")))?;
                roots.add(certificate).map_err(|e| {
                    Failure::other(format!("the CA file holds a certificate that cannot be used: {e}; check --ca-file"))
                })?;
            }
            if roots.is_empty() {
                return Err(Failure::other("the CA file holds no certificate: check --ca-file"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Failure::other(
                    "the platform has no certificate authorities to check the server with: give them with --ca-file",
                ));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::other(format!("TLS cannot be used: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        assert!(client_config(Some(b"")).unwrap_err().message.contains("no certificate"));
        assert!(client_config(Some(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")).is_err());
        let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(garbage)).unwrap_err().message.contains("cannot be used"));
    }
}
