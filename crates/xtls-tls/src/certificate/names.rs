//! Whom a certificate names (RFC 5280 § 4.2.1.6, RFC 6120 § 13.7.1).

use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::der::parse_der;
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::{GeneralName, X509Certificate};
use xtls_stanza::jid::{BareJid, Jid};

/// The most names of one kind taken from one certificate; those after them are not looked at.
const MAX_NAMES: usize = 16;

/// The longest name that is taken, in bytes: that of a DNS name. Addresses have the bounds of RFC 7622.
const MAX_NAME: usize = 253;

/// `id-on-xmppAddr` (RFC 6120 § 13.7.1.4), 1.3.6.1.5.5.7.8.5.
pub(crate) const ID_ON_XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// `id-on-dnsSRV` (RFC 4985 § 2), 1.3.6.1.5.5.7.8.7.
pub(crate) const ID_ON_DNS_SRV: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 7];

/// The names in the subject alternative name, at most 16 of each kind. The common name is none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) xmpp: Vec<BareJid>,
    pub(super) dns: Vec<String>,
    pub(super) srv: Vec<String>,
    pub(super) email: Vec<String>,
}

/// What may name a server (RFC 6120 § 13.7.1.2), as the certificate has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerId<'a> {
    Dns(&'a str),
    Srv(String),
    XmppAddr(String),
    Address(&'a [u8]),
}

/// Whether one of them is the one; all are looked at, since a server may be one of many with the same certificate.
pub(super) fn any_server_id(certificate: &X509Certificate<'_>, mut is: impl FnMut(&ServerId<'_>) -> bool) -> bool {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    extension.value.general_names.iter().any(|name| {
        let id = if let GeneralName::DNSName(name) = name {
            Some(ServerId::Dns(name))
        } else if let GeneralName::IPAddress(address) = name {
            Some(ServerId::Address(address))
        } else if let GeneralName::OtherName(oid, value) = name {
            match known(oid) {
                Some(Other::Srv) => ia5_string(value).map(ServerId::Srv),
                Some(Other::XmppAddr) => utf8_string(value).map(ServerId::XmppAddr),
                None => None,
            }
        } else {
            None
        };
        id.is_some_and(|id| is(&id))
    })
}

/// The domains of the XMPP addresses and services in a certificate, in A-labels and lower case; none for one that the DNS has
/// no name for. What is no address or service at all is believed by nobody, and left out.
pub(crate) fn other_name_domains(certificate: &X509Certificate<'_>) -> Vec<Option<String>> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let mut domains = Vec::new();
    for name in &extension.value.general_names {
        let GeneralName::OtherName(oid, value) = name else { continue };
        let domain = match known(oid) {
            Some(Other::Srv) => ia5_string(value)
                .and_then(|service| service.split_once('.').map(|(_, domain)| Some(domain.to_ascii_lowercase()))),
            Some(Other::XmppAddr) => utf8_string(value)
                .and_then(|address| address.parse::<Jid>().ok())
                .map(|address| address.domain_part().to_dns_name()),
            None => None,
        };
        domains.extend(domain);
    }
    domains
}

/// The other names that are known.
enum Other {
    Srv,
    XmppAddr,
}

fn known(oid: &Oid<'_>) -> Option<Other> {
    let is = |known: [u64; 9]| oid.iter().is_some_and(|arcs| arcs.eq(known));
    if is(ID_ON_DNS_SRV) {
        Some(Other::Srv)
    } else if is(ID_ON_XMPP_ADDR) {
        Some(Other::XmppAddr)
    } else {
        None
    }
}

impl Names {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let Ok(Some(extension)) = certificate.subject_alternative_name() else { return names };
        for name in &extension.value.general_names {
            if let GeneralName::DNSName(name) = name {
                add(&mut names.dns, name);
            } else if let GeneralName::RFC822Name(name) = name {
                add(&mut names.email, name);
            } else if let GeneralName::OtherName(oid, value) = name {
                match known(oid) {
                    Some(Other::Srv) => add(&mut names.srv, &ia5_string(value).unwrap_or_default()),
                    Some(Other::XmppAddr) => {
                        let address = utf8_string(value).and_then(|text| text.parse().ok());
                        names.xmpp.extend(address.filter(|_| names.xmpp.len() < MAX_NAMES));
                    }
                    None => {}
                }
            }
        }
        names
    }
}

/// A name that is too long, or has characters that no such name has, identifies nothing.
fn add(names: &mut Vec<String>, name: &str) {
    if names.len() < MAX_NAMES && (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) {
        names.push(name.to_owned());
    }
}

/// The text of `[0] EXPLICIT UTF8String` (RFC 5280 § 4.2.1.6, RFC 6120 § 13.7.1.4).
pub(super) fn utf8_string(value: &[u8]) -> Option<String> {
    explicit(value, |content| if let BerObjectContent::UTF8String(text) = content { Some(text) } else { None })
}

/// The text of `[0] EXPLICIT IA5String` (RFC 4985 § 2).
fn ia5_string(value: &[u8]) -> Option<String> {
    explicit(value, |content| if let BerObjectContent::IA5String(text) = content { Some(text) } else { None })
}

fn explicit<'a>(value: &'a [u8], text: impl FnOnce(BerObjectContent<'a>) -> Option<&'a str>) -> Option<String> {
    let (rest, tagged) = parse_der(value).ok()?;
    let BerObjectContent::Unknown(inner) = tagged.content else {
        return None;
    };
    let (inner_rest, string) = parse_der(inner.data).ok()?;
    let whole = rest.is_empty() && inner_rest.is_empty() && tagged.header.raw_tag() == Some(&[0xa0]);
    text(string.content).filter(|_| whole).map(str::to_owned)
}
