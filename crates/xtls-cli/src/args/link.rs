//! `xtls link` on the command line.

use clap::{Args, Subcommand};
use xtls_stanza::jid::BareJid;

use super::TrustArgs;
use crate::config::Nicknames;

#[derive(Debug, Subcommand)]
pub(crate) enum LinkCommand {
    /// Wait for trusted peers and chat with them
    ///
    /// One peer is served at a time; others are turned away meanwhile. Lines of standard input are messages to the first peer that
    /// comes. The line "/to PEER" chooses another one, and "/help" shows more such commands, at a terminal and with --json. The end of
    /// input ends in order; empty input just means that there is nothing to send.
    Listen(LinkListenArgs),

    /// Chat with a peer at an address
    ///
    /// Lines of standard input are messages. The line "/help" shows commands, at a terminal and with --json. The end of input ends
    /// in order.
    Connect(LinkConnectArgs),

    /// Show who announces links on the local network: anybody can announce anything
    List(LinkListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Your bare address, by which the peer knows you [default: the names of the user and the machine]
    #[arg(long, value_name = "BAREJID")]
    pub(crate) jid: Option<BareJid>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// Carry standard input to the peer, and back, byte for byte; events go to standard error
    #[arg(long)]
    pub(crate) pipe: bool,

    /// How long the peer may take for each step until the link is secured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,

    /// What the configuration file calls peers
    #[arg(skip)]
    pub(crate) nicknames: Nicknames,
}

#[derive(Debug, Args)]
pub(crate) struct LinkListenArgs {
    /// The IP address to listen at, with or without a port: 0.0.0.0 for every network, port 0 for any
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:5298")]
    pub(crate) address: String,

    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Accept links from this peer only; may be repeated [default: every trusted peer]
    #[arg(long, value_name = "BAREJID")]
    pub(crate) accept_from: Vec<BareJid>,

    /// Answer each message with its own text; do not read standard input
    #[arg(long, conflicts_with = "pipe")]
    pub(crate) echo: bool,

    /// Announce your name, address and port on the local network (mDNS)
    #[arg(long)]
    pub(crate) announce: bool,

    /// Serve one peer and end, as --pipe does in any case
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LinkConnectArgs {
    /// Where the peer listens [default port: 5298]
    #[arg(value_name = "HOST:PORT")]
    pub(crate) address: String,

    /// The peer's bare address
    #[arg(long, value_name = "BAREJID")]
    pub(crate) peer: BareJid,

    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LinkListArgs {
    /// How long to listen for answers, in seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
}

impl LinkCommand {
    /// Whether standard output carries data.
    pub(crate) fn has_data(&self) -> bool {
        match self {
            Self::Listen(LinkListenArgs { link, .. }) | Self::Connect(LinkConnectArgs { link, .. }) => link.pipe,
            Self::List(_) => false,
        }
    }
}
