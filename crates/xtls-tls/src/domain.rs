//! Which certificates are those of a domain's server (RFC 6120 § 13.7.2.1, RFC 6125 § 6).

use core::net::IpAddr;

use rustls_pki_types::ServerName;
use xtls_stanza::jid::DomainPart;

use crate::certificate::{CertificateFault, PeerCertificate, ServerId};

/// The most names that a fault tells.
const MAX_NAMED: usize = 16;

/// The service of a server for its clients (RFC 6120 § 13.7.1.2.1).
const SERVICE: &str = "_xmpp-client";

/// The domain of an XMPP server, as certificates name it.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    name: ServerName<'static>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A name in A-labels (RFC 5890), in lower case.
    Name(String),
    Address(IpAddr),
}

impl Domain {
    /// None for what is neither a name nor an address.
    pub(crate) fn new(domain: &DomainPart) -> Option<Self> {
        let kind = match domain.to_ip_address() {
            Some(address) => Kind::Address(address),
            // RFC 6125 § 6.4.2: internationalized names are compared by their A-labels.
            None => Kind::Name(domain.to_dns_name()?),
        };
        let name = match &kind {
            Kind::Name(name) => ServerName::try_from(name.clone()).ok()?,
            Kind::Address(address) => ServerName::from(*address),
        };
        Some(Self { name, kind })
    }

    /// As server_name has it (RFC 6066 § 3), which is not sent for an address.
    pub(crate) const fn server_name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// One of the names in the certificate, however many there are, must be this domain's. The common name is none of them.
    pub(crate) fn check(&self, certificate: &PeerCertificate) -> Result<(), CertificateFault> {
        if certificate.has_server_id(|id| self.is(id)) {
            return Ok(());
        }
        let addresses = certificate.xmpp_addrs().iter().map(ToString::to_string);
        let names = certificate.dns_names().iter().chain(certificate.srv_names()).cloned();
        Err(CertificateFault::WrongServer { named: names.chain(addresses).take(MAX_NAMED).collect() })
    }

    fn is(&self, id: &ServerId<'_>) -> bool {
        match (&self.kind, id) {
            (Kind::Name(name), ServerId::Dns(dns)) => is_dns_id(name, dns),
            (Kind::Name(name), ServerId::Srv(srv)) => is_srv_id(name, srv),
            (Kind::Name(name), ServerId::XmppAddr(address)) => is_xmpp_addr(name, address),
            (Kind::Address(IpAddr::V4(own)), ServerId::Address(address)) => own.octets() == **address,
            (Kind::Address(IpAddr::V6(own)), ServerId::Address(address)) => own.octets() == **address,
            // RFC 6125 § 1.7.2 is about DNS names alone: an address is none, whatever a certificate calls it.
            (Kind::Name(_), ServerId::Address(_))
            | (Kind::Address(_), ServerId::Dns(_) | ServerId::Srv(_) | ServerId::XmppAddr(_)) => false,
        }
    }
}

/// RFC 6125 § 6.4.1 and § 6.4.3: without regard to the case; a wildcard is the whole left-most label, and stands for one.
/// One right below a top level would name everybody there (§ 7.2), and names nobody.
fn is_dns_id(name: &str, dns: &str) -> bool {
    match dns.strip_prefix("*.") {
        Some(rest) if !rest.contains('.') => false,
        Some(rest) => name.split_once('.').is_some_and(|(_first, domain)| domain.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(dns),
    }
}

/// RFC 6125 § 6.5.1: the service without regard to the case, and the name. A wildcard is taken in a DNS name only.
fn is_srv_id(name: &str, srv: &str) -> bool {
    let parts = srv.split_once('.');
    parts.is_some_and(|(service, domain)| service.eq_ignore_ascii_case(SERVICE) && name.eq_ignore_ascii_case(domain))
}

/// RFC 6120 § 13.7.1.2.1: the domain alone, without a local part.
fn is_xmpp_addr(name: &str, address: &str) -> bool {
    let address: Option<DomainPart> = address.parse().ok();
    address.and_then(|address| address.to_dns_name()).is_some_and(|domain| domain == name)
}
