//! Certification authorities for the tests.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PublicKeyData, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use super::NOW;
use crate::certificate::ID_ON_XMPP_ADDR;
use crate::{Authorities, Identity, pem};

const DAY: u64 = 24 * 60 * 60;

/// An authority, and what leads from it to a root.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, and those of the authorities between it and the root, the root left out.
    pub(crate) above: Vec<CertificateDer<'static>>,
    pub(crate) certificate: CertificateDer<'static>,
}

/// A certificate that was valid from 30 days ago to 30 days ahead, with this common name.
pub(crate) fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    valid(&mut params, NOW - 30 * DAY, NOW + 30 * DAY);
    params
}

pub(crate) fn valid(params: &mut CertificateParams, from: u64, until: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(until);
}

pub(crate) fn expired(params: &mut CertificateParams) {
    valid(params, NOW - 30 * DAY, NOW - 1);
}

pub(crate) fn xmpp(address: &str) -> SanType {
    SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), address.into()))
}

/// A name in a subject alternative name, as it is encoded: rcgen has no word for services (RFC 4985).
pub(crate) enum Name<'a> {
    Dns(&'a str),
    Mail(&'a str),
    Srv(&'a str),
    Xmpp(&'a str),
}

/// The subject alternative name of these.
pub(crate) fn names(names: &[Name<'_>]) -> CustomExtension {
    let other = |last: u8, tag: u8, text: &str| {
        // 1.3.6.1.5.5.7.8.x
        let oid = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 8, last]);
        tlv(0xa0, &[oid, tlv(0xa0, &tlv(tag, text.as_bytes()))].concat())
    };
    let encode = |name: &Name<'_>| match name {
        Name::Dns(text) => tlv(0x82, text.as_bytes()),
        Name::Mail(text) => tlv(0x81, text.as_bytes()),
        Name::Srv(text) => other(7, 0x16, text),
        Name::Xmpp(text) => other(5, 0x0c, text),
    };
    let names: Vec<u8> = names.iter().flat_map(encode).collect();
    CustomExtension::from_oid_content(&[2, 5, 29, 17], tlv(0x30, &names))
}

/// Name constraints that permit services of this domain (RFC 4985 § 4).
pub(crate) fn other_name_constraint(domain: &str) -> CustomExtension {
    let oid = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 8, 7]);
    let base = tlv(0xa0, &[oid, tlv(0xa0, &tlv(0x16, domain.as_bytes()))].concat());
    let permitted = tlv(0xa0, &tlv(0x30, &base));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], tlv(0x30, &permitted));
    extension.set_criticality(true);
    extension
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(content.len()).unwrap().to_be_bytes() {
        [0, short @ ..128] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::self_signed(params, key)
    }

    /// A root with all of this in its certificate.
    pub(crate) fn self_signed(params: CertificateParams, key: KeyPair) -> Self {
        let certificate = params.self_signed(&key).unwrap().into();
        Self { issuer: Issuer::new(params, key), above: Vec::new(), certificate }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.issuer).unwrap().into();
        let above = [vec![certificate.clone()], self.above.clone()].concat();
        Self { issuer: Issuer::new(params, key), above, certificate }
    }

    /// A certificate that names `addresses`, with all that leads to the root.
    pub(crate) fn issue(&self, addresses: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.issue_for(&KeyPair::generate().unwrap(), addresses, change)
    }

    pub(crate) fn issue_for(
        &self,
        key: &KeyPair,
        addresses: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = params("somebody");
        params.subject_alt_names = addresses.iter().map(|address| xmpp(address)).collect();
        change(&mut params);
        identity(&[vec![self.sign(&params, key)], self.above.clone()].concat(), key)
    }

    /// Signs whatever it is.
    pub(crate) fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).unwrap().into()
    }

    /// Those who trust this one and nobody else.
    pub(crate) fn trusted(&self) -> std::sync::Arc<Authorities> {
        std::sync::Arc::new(Authorities::from_der([&self.certificate]).unwrap())
    }
}

pub(crate) fn identity(chain: &[CertificateDer<'static>], key: &KeyPair) -> Identity {
    let chain: String = chain.iter().map(|der| pem::encode("CERTIFICATE", der).to_string()).collect();
    Identity::from_pem(&chain, &pem::encode("PRIVATE KEY", key.serialized_der())).unwrap()
}
