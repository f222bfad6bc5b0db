//! Questions to the DNS.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData};
use tokio::time::timeout;

use super::Target;
use super::srv::Record;
use crate::exit::Failure;

/// How long the answer to one question may take.
const LOOKUP_TIME: Duration = Duration::from_secs(6);
/// How long a DNS server may take before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long addresses of one family are waited for when those of the other one are known.
const OTHER_FAMILY: Duration = Duration::from_secs(1);
/// Most addresses of one host that are tried.
pub(super) const MAX_ADDRESSES: usize = 8;

/// Which SRV records of a domain are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Both,
    /// Those of servers where TLS begins with the connection.
    Direct,
    /// Those of servers with STARTTLS.
    StartTls,
}

/// What the DNS says of the servers of a domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Services {
    /// These, of which there is one at least.
    At(Vec<Record>),
    /// There is decidedly none.
    Nowhere,
    /// Nothing, or nothing came.
    Unknown,
}

/// Who is asked.
pub(super) struct Dns {
    resolver: TokioResolver,
    /// It is the system's, and not one that the user has named.
    is_systems: bool,
}

impl Dns {
    /// Those of the system, or else this server.
    ///
    /// # Errors
    ///
    /// When nobody can be asked.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, Failure> {
        let (config, options) = match server {
            Some(address) => (only(address), ResolverOpts::default()),
            // Without a DNS server there are still the names in the file of hosts, and this machine.
            None => {
                system().unwrap_or_else(|| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()))
            }
        };
        Self::of(config, options, server.is_none())
    }

    fn of(config: ResolverConfig, mut options: ResolverOpts, is_systems: bool) -> Result<Self, Failure> {
        options.timeout = options.timeout.min(ASK_AGAIN);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|e| Failure::other(format!("the DNS cannot be asked: {e}")))?;
        Ok(Self { resolver, is_systems })
    }

    /// Where a domain, in A-labels, has its servers for clients (RFC 6120 § 3.2.1, XEP-0368 § 3).
    pub(super) async fn services(&self, domain: &str, kinds: Kinds) -> Services {
        let ask = async |is_wanted: bool, direct: bool| {
            if is_wanted { self.service(domain, direct).await } else { Services::Unknown }
        };
        // Their priorities and weights are mixed (XEP-0368 § 3, rule 1).
        let both = tokio::join!(ask(kinds != Kinds::StartTls, true), ask(kinds != Kinds::Direct, false));
        match both {
            (Services::At(direct), Services::At(starttls)) => Services::At([direct, starttls].concat()),
            (Services::At(records), _) | (_, Services::At(records)) => Services::At(records),
            // XEP-0368 § 5: one of the two that says no leaves the other one, but never the address of the domain itself.
            (Services::Nowhere, _) | (_, Services::Nowhere) => Services::Nowhere,
            (Services::Unknown, Services::Unknown) => Services::Unknown,
        }
    }

    async fn service(&self, domain: &str, direct: bool) -> Services {
        let service = if direct { "_xmpps-client" } else { "_xmpp-client" };
        // With a dot at its end the machine's search domains are not appended.
        let Ok(name) = Name::from_ascii(format!("{service}._tcp.{domain}.")) else { return Services::Unknown };
        let Ok(Ok(found)) = timeout(LOOKUP_TIME, self.resolver.srv_lookup(name)).await else {
            return Services::Unknown;
        };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
        let (mut says_no, mut servers) = (false, Vec::new());
        for srv in records {
            if srv.target.is_root() {
                says_no = true;
                continue;
            }
            let host = srv.target.to_ascii().trim_end_matches('.').to_owned();
            let target = Target { host, port: srv.port, direct, is_whole: true };
            servers.push(Record { priority: srv.priority, weight: srv.weight, target });
        }
        match servers.is_empty() {
            false => Services::At(servers),
            true if says_no => Services::Nowhere,
            true => Services::Unknown,
        }
    }

    /// The addresses of a host, at most [`MAX_ADDRESSES`], of IPv6 and IPv4 in turn. With `is_whole` no search domain of this machine
    /// is appended to its name.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) async fn addresses(&self, host: &str, is_whole: bool) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // Names of the local network are not in the DNS (XEP-0174 § 3): the system knows how it looks for them.
        if self.is_systems && host.trim_end_matches('.').to_ascii_lowercase().ends_with(".local") {
            let found = timeout(LOOKUP_TIME, tokio::net::lookup_host((host, 0))).await;
            let found = found.map_err(|_| "nobody knows it".to_owned())?.map_err(|e| e.to_string())?;
            return Ok(found.map(|address| address.ip()).take(MAX_ADDRESSES).collect());
        }
        let dot = if is_whole { "." } else { "" };
        let name = Name::from_ascii(format!("{host}{dot}")).map_err(|e| format!("this is no name of a host: {e}"))?;
        let six = pin!(timeout(LOOKUP_TIME, self.resolver.ipv6_lookup(name.clone())));
        let four = pin!(timeout(LOOKUP_TIME, self.resolver.ipv4_lookup(name)));
        let addresses = |answer: &Result<Result<_, NetError>, _>| match answer {
            Ok(Ok(found)) => ips(found),
            _ => Vec::new(),
        };
        let (first, second, first_is_six) = match select(six, four).await {
            Either::Left((first, rest)) => (first, Either::Left(rest), true),
            Either::Right((first, rest)) => (first, Either::Right(rest), false),
        };
        let mut found = [addresses(&first), Vec::new()];
        let wait = if found.iter().all(Vec::is_empty) { LOOKUP_TIME } else { OTHER_FAMILY };
        let second = timeout(wait, second).await;
        if let Ok(second) = &second {
            found[1] = addresses(second);
        }
        if !first_is_six {
            found.reverse();
        }
        let mixed = in_turn(found);
        if !mixed.is_empty() {
            return Ok(mixed);
        }
        let answers = [Some(first), second.ok()];
        // Of two complaints the one about the DNS tells more than the one about the name.
        let mut whys: Vec<(bool, String)> = answers.into_iter().flatten().map(|answer| why(answer.ok())).collect();
        whys.sort();
        Err(whys.into_iter().next().map_or_else(|| NO_ANSWER.to_owned(), |(_, why)| why))
    }
}

/// What is said of a DNS server that does not answer.
const NO_ANSWER: &str = "no DNS server answers";

/// What the system is set up with, if it is.
fn system() -> Option<(ResolverConfig, ResolverOpts)> {
    hickory_resolver::system_conf::read_system_conf().ok()
}

/// A DNS server that alone is asked.
fn only(address: SocketAddr) -> ResolverConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    ResolverConfig::from_name_servers(vec![server])
}

fn ips(found: &hickory_resolver::lookup::Lookup) -> Vec<IpAddr> {
    found.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// One of each in turn.
fn in_turn([six, four]: [Vec<IpAddr>; 2]) -> Vec<IpAddr> {
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(six.next());
        mixed.extend(four.next());
        if mixed.len() == before || mixed.len() >= MAX_ADDRESSES {
            mixed.truncate(MAX_ADDRESSES);
            return mixed;
        }
    }
}

/// Why there is no address, and whether that is said of the name, and not of the DNS.
fn why<T>(answer: Option<Result<T, NetError>>) -> (bool, String) {
    let of_the_dns = |why: String| (false, why);
    match answer {
        None | Some(Err(NetError::Timeout)) => of_the_dns(NO_ANSWER.to_owned()),
        Some(Err(NetError::NoConnections)) => of_the_dns("no DNS server is there to be asked".to_owned()),
        Some(Err(e)) if e.is_nx_domain() => (true, "there is no such name".to_owned()),
        Some(Err(e)) if e.is_no_records_found() => (true, "it has no address".to_owned()),
        Some(Err(NetError::Dns(DnsError::ResponseCode(code)))) => of_the_dns(format!("the DNS server answers: {code}")),
        Some(Err(e)) => of_the_dns(format!("the answer of the DNS server cannot be used: {e}")),
        Some(Ok(_)) => (true, "it has no address".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn texts(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_machine_without_a_dns_server_knows_itself_and_addresses() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let nobody = ResolverConfig::from_name_servers(Vec::new());
            let dns = Dns::of(nobody, ResolverOpts::default(), true).unwrap();
            for name in ["localhost", "xmpp.localhost"] {
                let found = texts(&dns.addresses(name, true).await.unwrap());
                assert!(found.contains(&"127.0.0.1".to_owned()), "{name}: {found:?}");
            }
            for address in ["192.0.2.1", "2001:db8::1"] {
                assert_eq!(texts(&dns.addresses(address, false).await.unwrap()), [address]);
            }
            assert_eq!(dns.services("localhost", Kinds::Both).await, Services::Unknown);
            let why = dns.addresses("xmpp.capulet.example", true).await.unwrap_err();
            assert_eq!(why, "no DNS server is there to be asked");
            let long = format!("{}.example", "x".repeat(64));
            assert!(dns.addresses(&long, true).await.unwrap_err().contains("no name of a host"));
        });
    }

    #[test]
    fn eight_addresses_of_both_families_are_tried_in_turn_and_no_ninth() {
        let six = |count: u16| (1..=count).map(|n| IpAddr::from([0, 0, 0, 0, 0, 0, 0, n])).collect::<Vec<_>>();
        let four = |count: u8| (1..=count).map(|n| IpAddr::from([192, 0, 2, n])).collect::<Vec<_>>();
        assert_eq!(texts(&in_turn([six(2), four(1)])), ["::1", "192.0.2.1", "::2"]);
        assert_eq!(texts(&in_turn([six(0), four(3)])), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        for (sixes, fours) in [(4, 4), (5, 4), (1, 9), (200, 200)] {
            let tried = in_turn([six(sixes), four(fours)]);
            assert_eq!(tried.len(), MAX_ADDRESSES);
            assert!(tried.iter().any(IpAddr::is_ipv6) && tried.iter().any(IpAddr::is_ipv4));
        }
        assert_eq!(in_turn([six(4), four(3)]).len(), 7);
    }
}
