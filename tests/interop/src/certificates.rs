//! Certificates for servers: those that a client should take, and those that it should not.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// What is to be said of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// The authority issued it, for the server's domain, and its dates are right.
    Good,
    /// As a good one, and its time is over.
    Expired,
    /// As a good one, for another domain.
    WrongName,
    /// For the server's domain, by itself.
    SelfSigned,
}

impl Certificate {
    /// Writes an authority (`ca.pem`) and a certificate with its key (`server.pem`, `server.key`) into a directory.
    pub(crate) fn write(self, dir: &Path, domain: &str) {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Authority for tests");
        let authority = params.self_signed(&authority_key).expect("an authority");
        let issuer = Issuer::new(params, authority_key);

        let key = KeyPair::generate().expect("a key");
        let name = if self == Self::WrongName { "elsewhere.example" } else { domain };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "A server for tests");
        // ejabberd cannot count the days of an end as late as the one that is the default here.
        let (from, until) = if self == Self::Expired { (2001, 2002) } else { (2020, 2049) };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = if self == Self::SelfSigned {
            params.self_signed(&key)
        } else {
            params.use_authority_key_identifier_extension = true;
            params.signed_by(&key, &issuer)
        };
        let certificate = certificate.expect("a certificate");
        for (name, text) in
            [("ca.pem", authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
        {
            fs::write(dir.join(name), text).expect("a certificate is written");
        }
    }
}
