//! What carries the bytes of a tunnel.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};
use xtls::transports::Network;
use xtls_stanza::jid::Jid;

/// Where these options are shown.
const HEADING: &str = "Options about the way";

#[derive(Debug, Args)]
pub(crate) struct TransportArgs {
    /// What carries the bytes, always with the same encryption inside
    #[arg(long, value_name = "WAY", value_enum, default_value_t = TransportKind::Auto, help_heading = HEADING)]
    pub(crate) transport: TransportKind,

    /// A proxy for SOCKS5 bytestreams, by its XMPP address; may be repeated [default: those of both servers]
    #[arg(long, value_name = "JID", help_heading = HEADING)]
    pub(crate) proxy65: Vec<Jid>,

    /// Take direct connections at this address of this machine; without a port the system chooses one. It tells the peer and the servers the address
    #[arg(long, value_name = "IP[:PORT]", value_parser = listen_address, help_heading = HEADING)]
    pub(crate) listen_address: Option<SocketAddr>,

    /// Whom direct connections are for: others learn no address of yours by them, and get a proxy
    #[arg(long, value_name = "WHOM", value_enum, default_value_t = DirectTo::Anyone, help_heading = HEADING)]
    pub(crate) direct_to: DirectTo,

    /// Connect to addresses within this network too, though it is private; may be repeated [default: public addresses only]
    #[arg(long, value_name = "IP/BITS", help_heading = HEADING)]
    pub(crate) allow_network: Vec<Network>,
}

/// The ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportKind {
    /// A proxy of either server, directly with --listen-address; else through the servers, in band
    Auto,
    /// Through the servers, which may let no more than some kB a second through
    InBand,
    /// A proxy, and no other way
    Proxy,
    /// A direct connection, and no other way: each end learns the other's address, and so do the servers
    Direct,
}

/// Whom direct connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DirectTo {
    /// Whoever the tunnel is with
    Anyone,
    /// Peers with whom a tunnel was secured before
    Known,
}

impl TransportArgs {
    /// Whether a connection may be made at all.
    pub(crate) fn connects(&self) -> bool {
        self.transport != TransportKind::InBand
    }

    /// Whether proxies are looked for.
    pub(crate) fn wants_proxies(&self) -> bool {
        matches!(self.transport, TransportKind::Auto | TransportKind::Proxy)
    }

    /// What is wrong with it beside a connection to the server that goes through a proxy (`is_hidden`), or by itself.
    pub(crate) fn slip(&self, is_hidden: bool) -> Option<&'static str> {
        let is_direct = matches!(self.transport, TransportKind::Auto | TransportKind::Direct);
        match self.transport {
            TransportKind::Proxy | TransportKind::Direct if is_hidden => {
                Some("--proxy lets nothing out but the connection to the server: give --transport in-band")
            }
            _ if is_hidden && self.listen_address.is_some() => {
                Some("--proxy lets nothing in: leave --listen-address out")
            }
            _ if self.listen_address.is_some() && !is_direct => {
                Some("--listen-address is for --transport auto or direct")
            }
            _ if !self.proxy65.is_empty() && !self.wants_proxies() => {
                Some("--proxy65 is for --transport auto or proxy")
            }
            _ => None,
        }
    }
}

/// Parses an address with or without a port.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>();
    let address = with_port.or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)));
    let address = address.map_err(|_| "it is no IP address, and no IP:PORT".to_owned())?;
    // A peer cannot connect to it.
    if address.ip().is_unspecified() {
        Err("give the address by which the peer reaches this machine".to_owned())
    } else {
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn given(args: &[&str]) -> Option<TransportArgs> {
        let all = ["xtls", "pipe", "a@b"].iter().chain(args);
        match Cli::try_parse_from(all).ok()?.command {
            Command::Pipe(args) => Some(args.transport),
            _ => None,
        }
    }

    #[test]
    fn by_default_proxies_are_tried_and_nothing_tells_an_address() {
        let args = given(&[]).unwrap();
        assert_eq!((args.transport, args.listen_address), (TransportKind::Auto, None));
        assert!(args.connects() && args.wants_proxies() && args.slip(false).is_none() && args.slip(true).is_none());
    }

    #[test]
    fn an_address_to_listen_at_is_one_that_a_peer_can_reach() {
        let at = |text| given(&["--listen-address", text]).map(|args| args.listen_address.unwrap().to_string());
        assert_eq!(at("192.0.2.7").as_deref(), Some("192.0.2.7:0"));
        assert_eq!(at("192.0.2.7:5086").as_deref(), Some("192.0.2.7:5086"));
        assert_eq!(at("[2001:db8::7]:5086").as_deref(), Some("[2001:db8::7]:5086"));
        assert_eq!(at("2001:db8::7").as_deref(), Some("[2001:db8::7]:0"));
        for wrong in ["0.0.0.0", "[::]:80", "example.org", "192.0.2.7:65536", ""] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let slip = |args: &[&str], is_hidden| given(args).unwrap().slip(is_hidden);
        for (args, is_hidden) in [
            (&["--transport", "proxy"][..], true),
            (&["--transport", "direct"], true),
            (&["--listen-address", "192.0.2.7"], true),
            (&["--transport", "proxy", "--listen-address", "192.0.2.7"], false),
            (&["--transport", "in-band", "--listen-address", "192.0.2.7"], false),
            (&["--transport", "direct", "--proxy65", "p.example"], false),
            (&["--transport", "in-band", "--proxy65", "p.example"], false),
        ] {
            assert!(slip(args, is_hidden).is_some(), "{args:?}");
        }
        assert!(slip(&["--transport", "in-band"], true).is_none());
        assert!(slip(&["--transport", "direct", "--listen-address", "192.0.2.7"], false).is_none());
    }
}
