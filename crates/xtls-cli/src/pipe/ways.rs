//! What may carry a pipe: proxies of both servers, a listener of this machine, or the servers themselves.

use std::collections::BTreeSet;

use futures::future;
use tokio::net::TcpListener;
use xtls::Transport;
use xtls::transports::{Endpoint, Exposure, Host, Networks, Reach, StreamHost};
use xtls_stanza::jid::{BareJid, Jid};

use crate::args::{DirectTo, TransportArgs, TransportKind};
use crate::exit::Failure;
use crate::output::{Faster, Output};
use crate::session::{Connects, Session};

/// Where direct connections are taken, if they are, and whether any is made.
pub(crate) struct Door {
    connects: Connects,
    endpoint: Option<Endpoint>,
    /// The connection to the server goes through a proxy, and nothing is to go by it.
    is_hidden: bool,
}

/// What may carry a tunnel.
pub(crate) struct Ways {
    /// The best first.
    pub(crate) transports: Vec<Transport>,
    /// What would be faster where they lead to blocks in stanzas.
    pub(crate) faster: Faster,
}

/// Opens the door that the command line asks for. `is_hidden` says that the connection to the server goes through a proxy.
///
/// # Errors
///
/// When the options contradict one another, or the system does not have that address or port.
pub(crate) async fn open_door(args: &TransportArgs, is_hidden: bool) -> Result<Door, Failure> {
    if let Some(slip) = args.slip(is_hidden) {
        return Err(Failure::usage(slip));
    }
    let allowed = args.connects() && !is_hidden;
    let Some(address) = args.listen_address else {
        return Ok(Door { connects: Connects { allowed, listener: None }, endpoint: None, is_hidden });
    };
    let cannot =
        |e| Failure::connection(format!("nothing can connect to {address}: {e}; give another --listen-address"));
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let host = Host::new(&address.ip().to_string());
    let host = host.map_err(|_| Failure::other(format!("{address} cannot be told to a peer")))?;
    let connects = Connects { allowed, listener: Some(listener) };
    Ok(Door { connects, endpoint: Some(Endpoint::new(host, address.port())), is_hidden })
}

/// What may carry the tunnel. It asks both servers for proxies, if the command line does not name any.
pub(crate) async fn find(session: &Session, args: &TransportArgs, door: &Door, peers: &[BareJid]) -> Ways {
    let transports = transports(session, args, door.endpoint.clone(), peers).await;
    Ways { faster: faster(&transports, door.is_hidden), transports }
}

async fn transports(
    session: &Session,
    args: &TransportArgs,
    endpoint: Option<Endpoint>,
    peers: &[BareJid],
) -> Vec<Transport> {
    if !session.connects() {
        return vec![Transport::InBand];
    }
    let proxies = if args.wants_proxies() { proxies(session, args, peers).await } else { Vec::new() };
    if args.transport == TransportKind::Proxy && proxies.is_empty() {
        // The peer may know of one.
        session.output.warn("no proxy for SOCKS5 bytestreams was found at your server; the peer may know one");
    }
    let direct = match args.direct_to {
        DirectTo::Anyone => Exposure::Direct,
        DirectTo::Known => Exposure::DirectIfSecuredBefore,
    };
    let exposure = match args.transport {
        TransportKind::InBand => return vec![Transport::InBand],
        TransportKind::Direct => direct,
        TransportKind::Auto if endpoint.is_some() => direct,
        TransportKind::Auto | TransportKind::Proxy => Exposure::Proxies,
    };
    let networks = args.allow_network.iter().fold(Networks::default(), |all, network| all.with(*network));
    let mut reach = Reach::new(exposure).within(networks);
    reach.endpoints.extend(endpoint);
    reach.proxies = proxies;
    let connection = Transport::Socks5(reach);
    if args.transport == TransportKind::Auto { vec![connection, Transport::InBand] } else { vec![connection] }
}

/// What would be faster where these ways led to blocks in stanzas.
fn faster(ways: &[Transport], is_hidden: bool) -> Faster {
    let reach = ways.iter().find_map(|way| match way {
        Transport::Socks5(reach) => Some(reach),
        Transport::InBand | _ => None,
    });
    match reach {
        None if is_hidden => Faster::Hidden,
        None => Faster::Auto,
        Some(reach) if reach.proxies.is_empty() && reach.endpoints.is_empty() => Faster::NoProxy,
        Some(_) => Faster::NoConnection,
    }
}

impl Door {
    /// What the session is to be started with.
    pub(crate) fn connects(&mut self) -> Connects {
        core::mem::take(&mut self.connects)
    }
}

/// The proxies that the command line names, or those of both servers.
async fn proxies(session: &Session, args: &TransportArgs, peers: &[BareJid]) -> Vec<StreamHost> {
    let handle = &session.handle;
    if !args.proxy65.is_empty() {
        let asked = args.proxy65.iter().map(|proxy| async move { (proxy, handle.proxy(proxy).await) });
        let answers = future::join_all(asked).await;
        tell_missing(session.output, &answers);
        return answers.into_iter().filter_map(|(_, found)| found).collect();
    }
    let domains = core::iter::once(session.jid().domain()).chain(peers.iter().map(|peer| peer.domain()));
    let servers: BTreeSet<Jid> = domains.filter_map(|domain| domain.parse().ok()).collect();
    let mut found: Vec<StreamHost> = Vec::new();
    for proxy in future::join_all(servers.iter().map(|server| handle.proxies(server))).await.into_iter().flatten() {
        if !found.contains(&proxy) {
            found.push(proxy);
        }
    }
    found
}

fn tell_missing(output: Output, answers: &[(&Jid, Option<StreamHost>)]) {
    for (proxy, _) in answers.iter().filter(|(_, found)| found.is_none()) {
        output.warn(&format!("{proxy} does not answer as a proxy for SOCKS5 bytestreams, or does not serve you"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_faster_is_what_was_not_there() {
        let way = |reach| vec![Transport::Socks5(reach), Transport::InBand];
        let none = Reach::new(Exposure::Proxies);
        let endpoint = Endpoint::new(Host::new("192.0.2.1").expect("an address"), 5086);
        let proxy = StreamHost::new("proxy.example".parse().expect("a JID"), endpoint.host.clone(), 7777);
        for (ways, is_hidden, expected) in [
            (vec![Transport::InBand], false, Faster::Auto),
            (vec![Transport::InBand], true, Faster::Hidden),
            (way(none.clone()), false, Faster::NoProxy),
            (way(none.clone().with_proxy(proxy)), false, Faster::NoConnection),
            (way(none.with_endpoint(endpoint)), false, Faster::NoConnection),
        ] {
            assert_eq!(faster(&ways, is_hidden), expected);
        }
    }
}
