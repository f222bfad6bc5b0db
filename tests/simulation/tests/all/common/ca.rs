//! A certification authority.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use xtls::{Identity, trust::Authorities};

/// When worlds begin.
const EPOCH: u64 = 1_767_225_600;
pub const HOUR: u64 = 3600;

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub trusted: Arc<Authorities>,
}

/// A certificate that was valid for an hour when the world began, and is for another.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    valid(&mut params, EPOCH - HOUR, EPOCH + HOUR);
    params
}

fn valid(params: &mut CertificateParams, from: u64, until: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + Duration::from_secs(from), epoch + Duration::from_secs(until));
}

impl Ca {
    pub fn new() -> Self {
        Self::named("an authority")
    }

    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let trusted = Authorities::from_der([params.self_signed(&key).unwrap().der()]).unwrap();
        Self { issuer: Issuer::new(params, key), trusted: Arc::new(trusted) }
    }

    /// A certificate for this address.
    pub fn issue(&self, address: &str) -> Identity {
        self.issue_until(address, EPOCH + HOUR)
    }

    /// The same, valid until then.
    pub fn issue_until(&self, address: &str, until: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params();
        valid(&mut params, EPOCH - HOUR, until);
        params.subject_alt_names = vec![xmpp(address)];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        identity(certificate.der(), &key)
    }

    pub fn issue_expired(&self, address: &str) -> Identity {
        self.issue_until(address, EPOCH - 1)
    }
}

/// A certificate that nobody vouches for and that expired before the world began.
pub fn expired_self_signed(address: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = params();
    valid(&mut params, EPOCH - HOUR, EPOCH - 1);
    params.subject_alt_names = vec![xmpp(address)];
    identity(params.self_signed(&key).unwrap().der(), &key)
}

fn xmpp(address: &str) -> SanType {
    // id-on-xmppAddr (RFC 6120 § 13.7.1.4)
    SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], address.into()))
}

fn identity(certificate: &[u8], key: &KeyPair) -> Identity {
    Identity::from_pem(&pem("CERTIFICATE", certificate), &pem("PRIVATE KEY", key.serialized_der())).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
