//! What may carry a tunnel, and what that gives away.

pub use xtls_s5b::{
    AddressKind, AddressRefused, CandidateType, DstAddr, Host, HostError, Network, NetworkError, Networks,
    proxy::StreamHost,
};

use core::fmt;

use xtls_s5b::Candidate;
use xtls_stanza::{Ids, jid::Jid};

/// What may carry the records of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Blocks in stanzas, through the servers (XEP-0047): it always works, and is slow where servers limit what a client may send.
    InBand,
    /// A connection of its own, found by SOCKS5 bytestreams (XEP-0260), with the same TLS inside. It needs
    /// [`Config::socks5`](crate::Config::socks5).
    Socks5(Reach),
}

/// What carries a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Blocks in stanzas, through the servers.
    InBand,
    /// A connection from one end to the other.
    Direct,
    /// Connections of both ends to this proxy.
    Proxy(Jid),
}

/// Where this end can be reached, and what of the peer's may be dialled. The engine offers nothing else.
///
/// Candidates and dialling give addresses away, to servers too, and before anybody is authenticated (XEP-0260 § 6.1). Under
/// [`Exposure::InBand`] there is neither; and strangers, as [`Config::tunnels`](crate::Config::tunnels) has them, are treated so
/// whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reach {
    /// What may be offered and dialled. Default [`Exposure::Proxies`].
    pub exposure: Exposure,
    /// Where you take connections. At most 8 candidates are offered, these first.
    pub endpoints: Vec<Endpoint>,
    /// The proxies to offer (XEP-0065 § 4).
    pub proxies: Vec<StreamHost>,
    /// Which addresses may be dialled, besides public ones. Default none.
    pub networks: Networks,
}

/// What may be offered to a peer and dialled for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Exposure {
    /// Nothing: neither end learns an address of the other.
    InBand,
    /// Proxies: they learn your address, and the peer learns which proxy.
    #[default]
    Proxies,
    /// Proxies, and direct connections with peers that were secured before: those learn your address.
    DirectIfSecuredBefore,
    /// Direct connections too, with whoever it is.
    Direct,
}

/// A place where you take connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// By what a peer gets there.
    pub host: Host,
    /// The port, from 1.
    pub port: u16,
    /// How it leads there. One that says [`CandidateType::Proxy`] is not offered: see [`Reach::proxies`].
    pub kind: CandidateType,
}

impl Reach {
    /// Nothing of one's own to offer: what the peer offers is dialled as far as `exposure` goes.
    #[must_use]
    pub fn new(exposure: Exposure) -> Self {
        Self { exposure, ..Self::default() }
    }

    /// The same with a place where you take connections.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// The same where these networks may be dialled too.
    #[must_use]
    pub fn within(self, networks: Networks) -> Self {
        Self { networks, ..self }
    }

    /// The same with a proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: StreamHost) -> Self {
        self.proxies.push(proxy);
        self
    }

    /// What is offered to a peer. What the initiator has offered already is not offered again, and its priorities are not used
    /// (XEP-0260 § 2.2).
    pub(crate) fn candidates(
        &self,
        may: fn(CandidateType) -> bool,
        own: &Jid,
        offered: &[Candidate],
        ids: &mut Ids,
    ) -> Vec<Candidate> {
        let endpoints = self.endpoints.iter().filter(|endpoint| endpoint.kind != CandidateType::Proxy);
        let endpoints = endpoints.map(|at| (at.kind, own, &at.host, at.port));
        let proxies = self.proxies.iter().map(|at| (CandidateType::Proxy, &at.jid, &at.host, at.port));
        let is_new = |host: &Host, port: u16| !offered.iter().any(|other| other.host == *host && other.port == port);
        let wanted = endpoints.chain(proxies).filter(|(kind, _, host, port)| may(*kind) && is_new(host, *port));
        let mut candidates: Vec<Candidate> = Vec::new();
        for (kind, jid, host, port) in wanted.take(Candidate::MAX) {
            let is_free = |priority: &u32| offered.iter().chain(&candidates).all(|other| other.priority != *priority);
            let Some(priority) = (0..=u16::MAX).rev().map(|local| kind.priority(local)).find(is_free) else { continue };
            candidates.extend(Candidate::new(ids.next_id().as_str(), host.clone(), port, jid.clone(), priority, kind));
        }
        candidates
    }
}

impl Exposure {
    /// Which candidates may be offered and dialled.
    pub(crate) fn may(self, secured_before: bool) -> fn(CandidateType) -> bool {
        match self {
            Self::InBand => |_| false,
            Self::DirectIfSecuredBefore if secured_before => |_| true,
            Self::Proxies | Self::DirectIfSecuredBefore => |kind| kind == CandidateType::Proxy,
            Self::Direct => |_| true,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InBand => f.write_str("in band"),
            Self::Direct => f.write_str("directly"),
            Self::Proxy(proxy) => write!(f, "through the proxy {proxy}"),
        }
    }
}

impl Endpoint {
    /// A port on an interface of this machine.
    #[must_use]
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port, kind: CandidateType::Direct }
    }

    /// The same, reached in another way.
    #[must_use]
    pub fn of_kind(self, kind: CandidateType) -> Self {
        Self { kind, ..self }
    }
}
