//! Certificates, and the elements that carry them.

use xtls::tls::{CertificateFault, PeerCertificate};
use xtls_stanza::{Element, KeyInfo, Limits, Pubkeys, PubkeysVariant};
use xtls_tls::{Authorities, Identity, MAX_AUTHORITIES, MAX_CERTIFICATE};

use crate::input::Input;

/// The first byte says what the rest is: a certificate in DER, a text of PEM sections, or an element with keys.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let rest = input.rest();
    match kind % 3 {
        0 => check_der(rest),
        1 => {
            let Ok(text) = core::str::from_utf8(rest) else { return };
            check_pem(text);
        }
        _ => {
            let Ok(text) = core::str::from_utf8(rest) else { return };
            check_element(text);
        }
    }
}

fn check_der(der: &[u8]) {
    let certificate = match PeerCertificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(CertificateFault::TooLarge { bytes }) => return assert!(bytes == der.len() && bytes > MAX_CERTIFICATE),
        Err(_) => return,
    };
    assert!(der.len() <= MAX_CERTIFICATE && certificate.der().as_ref() == der);
    check(&certificate);
    // As others present it.
    let armoured = format!("\u{feff}\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(der));
    let again = PeerCertificate::from_pem(&armoured).expect("the same in PEM");
    assert!(again.der() == certificate.der() && again.subject() == certificate.subject());
    // As an authority, and as the certificate that an identity has.
    if let Ok(authorities) = Authorities::from_der([der]) {
        assert!(certificate.is_authority() && authorities.len() == 1);
        assert!(authorities.subjects().eq([certificate.subject()]));
    }
    // The element that carries it.
    let key = KeyInfo::new(der);
    assert_eq!(key.name.as_deref(), certificate.fingerprint(xtls_stanza::HashAlgo::Sha1).map(|f| f.hex()).as_deref());
    let element = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(key.clone()).to_element().expect("hex and base64");
    assert_eq!(Pubkeys::parse(element.root()).map(|keys| keys.keys), Some(vec![key]));
}

/// What it says is within its bounds, and fit for showing.
fn check(certificate: &PeerCertificate) {
    assert!(certificate.fingerprint_sha256().matches(certificate.der()));
    assert!(certificate.xmpp_addrs().len() <= 16);
    for names in [certificate.dns_names(), certificate.srv_names(), certificate.email_addrs()] {
        assert!(names.len() <= 16);
        assert!(names.iter().all(|name| name.len() <= 253 && name.bytes().all(|byte| (0x20..0x7f).contains(&byte))));
    }
    for name in [certificate.subject(), certificate.issuer()] {
        assert!(name.chars().count() <= 256 && !name.contains(char::is_control), "{name:?}");
    }
    assert!(certificate.serial().len() <= 64 && certificate.key_description().len() <= 256);
    let _ = certificate.check_usable(&xtls::tls::default_provider());
    for domain in ["capulet.lit", "192.0.2.1"] {
        let domain = domain.parse().expect("a domain");
        let named = certificate
            .dns_names()
            .iter()
            .chain(certificate.srv_names())
            .any(|name| name.contains(&*domain_name(&domain)));
        let complete = certificate.dns_names().len() < 16 && certificate.srv_names().len() < 16;
        let may_name = named || !complete || !certificate.xmpp_addrs().is_empty() || domain.to_ip_address().is_some();
        let wild = certificate.dns_names().iter().any(|name| name.starts_with("*."));
        assert!(!certificate.names_server_of(&domain) || may_name || wild || has_ignored_case(certificate, &domain));
    }
}

fn domain_name(domain: &xtls_stanza::jid::DomainPart) -> String {
    domain.domain().to_owned()
}

/// DNS names are compared without regard to case.
fn has_ignored_case(certificate: &PeerCertificate, domain: &xtls_stanza::jid::DomainPart) -> bool {
    let mut names = certificate.dns_names().iter().chain(certificate.srv_names());
    names.any(|name| name.to_ascii_lowercase().contains(domain.domain()))
}

fn check_pem(text: &str) {
    if let Ok(certificate) = PeerCertificate::from_pem(text) {
        check(&certificate);
    }
    for authorities in [Authorities::from_pem(text), Authorities::from_pem_with_servers(text)].into_iter().flatten() {
        assert!(
            (1..=MAX_AUTHORITIES).contains(&authorities.len()) && authorities.subjects().count() == authorities.len()
        );
    }
    if let Ok(identity) = Identity::from_pem(text, text) {
        let pem = identity.to_pem();
        let again = Identity::from_pem(&pem.certificate, pem.key.expose()).expect("what is written can be read");
        assert_eq!((again.chain(), again.fingerprint_sha256()), (identity.chain(), identity.fingerprint_sha256()));
    }
}

fn check_element(text: &str) {
    let Ok(element) = Element::parse(text, &Limits::default()) else { return };
    for child in element.children().chain([element.root()]) {
        let Some(keys) = Pubkeys::parse(child) else { continue };
        for key in &keys.keys {
            assert!((1..=KeyInfo::MAX_BYTES).contains(&key.certificate.len()));
            check_der(&key.certificate);
        }
    }
}

/// RFC 4648 § 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or_default();
            out.push(if at <= chunk.len() { char::from(ALPHABET[digit]) } else { '=' });
        }
    }
    out
}
