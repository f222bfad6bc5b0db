//! What may carry a pipe: proxies of both servers, a listener of this machine, or the servers themselves.

use std::collections::BTreeSet;

use futures::future;
use tokio::net::TcpListener;
use xtls::Transport;
use xtls::transports::{Endpoint, Exposure, Host, Networks, Reach, StreamHost};
use xtls_stanza::jid::{BareJid, Jid};

use crate::args::{DirectTo, TransportArgs, TransportKind};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::{Connects, Session};

/// Where direct connections are taken, if they are, and whether any is made.
pub(crate) struct Door {
    connects: Connects,
    endpoint: Option<Endpoint>,
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
        return Ok(Door { connects: Connects { allowed, listener: None }, endpoint: None });
    };
    let cannot =
        |e| Failure::connection(format!("nothing can connect to {address}: {e}; give another --listen-address"));
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let host = Host::new(&address.ip().to_string());
    let host = host.map_err(|_| Failure::other(format!("{address} cannot be told to a peer")))?;
    let connects = Connects { allowed, listener: Some(listener) };
    Ok(Door { connects, endpoint: Some(Endpoint::new(host, address.port())) })
}

/// What may carry the tunnel, the best first. It asks both servers for proxies, if the command line does not name any.
///
/// # Errors
///
/// When the way that is asked for is not there.
pub(crate) async fn transports(
    session: &Session,
    args: &TransportArgs,
    endpoint: Option<Endpoint>,
    peers: &[BareJid],
) -> Result<Vec<Transport>, Failure> {
    if !session.connects() {
        return Ok(vec![Transport::InBand]);
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
        TransportKind::InBand => return Ok(vec![Transport::InBand]),
        TransportKind::Direct => direct,
        TransportKind::Auto if endpoint.is_some() => direct,
        TransportKind::Auto | TransportKind::Proxy => Exposure::Proxies,
    };
    let networks = args.allow_network.iter().fold(Networks::default(), |all, network| all.with(*network));
    let mut reach = Reach::new(exposure).within(networks);
    reach.endpoints.extend(endpoint);
    reach.proxies = proxies;
    let connection = Transport::Socks5(reach);
    Ok(if args.transport == TransportKind::Auto { vec![connection, Transport::InBand] } else { vec![connection] })
}

impl Door {
    /// What the session is to be started with.
    pub(crate) fn connects(&mut self) -> Connects {
        core::mem::take(&mut self.connects)
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
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
