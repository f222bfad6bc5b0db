//! A server's certificate as a channel binding.

use x509_parser::der_parser::oid::Oid;
use x509_parser::oid_registry::{
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA224WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA224, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};
use xtls_stanza::HashAlgo;

use super::PeerCertificate;

impl PeerCertificate {
    /// Channel-binding data of the type `tls-server-end-point` (RFC 5929 § 4.1), for SASL over a connection whose server has this
    /// certificate: its hash, by the hash of its signature, or by SHA-256 in place of MD5 and SHA-1. `None` where the signature has none
    /// of its own, as with Ed25519 and RSA-PSS, or a rare one.
    #[must_use]
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        Some(self.fingerprint(self.inner.signature_hash?)?.digest().to_vec())
    }
}

/// The hash for certificates with signatures by this algorithm.
pub(super) fn hash_of(algorithm: &Oid<'_>) -> Option<HashAlgo> {
    let known = [
        (OID_SIG_ECDSA_WITH_SHA224, HashAlgo::Sha224),
        (OID_SIG_ECDSA_WITH_SHA256, HashAlgo::Sha256),
        (OID_SIG_ECDSA_WITH_SHA384, HashAlgo::Sha384),
        (OID_SIG_ECDSA_WITH_SHA512, HashAlgo::Sha512),
        (OID_PKCS1_MD5WITHRSAENC, HashAlgo::Sha256),
        (OID_PKCS1_SHA1WITHRSA, HashAlgo::Sha256),
        (OID_PKCS1_SHA224WITHRSA, HashAlgo::Sha224),
        (OID_PKCS1_SHA256WITHRSA, HashAlgo::Sha256),
        (OID_PKCS1_SHA384WITHRSA, HashAlgo::Sha384),
        (OID_PKCS1_SHA512WITHRSA, HashAlgo::Sha512),
    ];
    known.iter().find(|(known, _)| known == algorithm).map(|(_, hash)| *hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
    use xtls_stanza::Fingerprint;

    use super::*;

    /// A certificate that is signed by this algorithm.
    fn signed_by(algorithm: &'static SignatureAlgorithm) -> PeerCertificate {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(vec!["capulet.lit".to_owned()]).unwrap().self_signed(&key).unwrap();
        PeerCertificate::from_der(certificate.der()).unwrap()
    }

    #[test]
    fn rfc_5929_4_1_a_certificate_is_hashed_as_its_signature_is() {
        for (algorithm, hash) in
            [(&rcgen::PKCS_ECDSA_P256_SHA256, HashAlgo::Sha256), (&rcgen::PKCS_ECDSA_P384_SHA384, HashAlgo::Sha384)]
        {
            let certificate = signed_by(algorithm);
            let expected = Fingerprint::of(hash, certificate.der()).unwrap();
            assert_eq!(certificate.server_end_point().unwrap(), expected.digest());
        }
        assert_eq!(signed_by(&rcgen::PKCS_ED25519).server_end_point(), None);
    }

    #[test]
    fn rfc_5929_4_1_md5_and_sha_1_give_way_to_sha_256() {
        for (algorithm, hash) in [
            (OID_PKCS1_MD5WITHRSAENC, HashAlgo::Sha256),
            (OID_PKCS1_SHA1WITHRSA, HashAlgo::Sha256),
            (OID_PKCS1_SHA224WITHRSA, HashAlgo::Sha224),
            (OID_PKCS1_SHA512WITHRSA, HashAlgo::Sha512),
        ] {
            assert_eq!(hash_of(&algorithm), Some(hash));
        }
    }
}
