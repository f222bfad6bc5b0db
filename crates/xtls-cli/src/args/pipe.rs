//! `xtls pipe` on the command line.

use clap::Args;
use xtls_stanza::jid::{BareJid, Jid};

use super::{AccountArgs, TransportArgs, TrustArgs, WaitArgs};

#[derive(Debug, Args)]
pub(crate) struct PipeArgs {
    /// The peer: a full address, a bare one (one of its resources with XTLS is found), or a nickname
    #[arg(required_unless_present = "listen", conflicts_with = "listen")]
    pub(crate) peer: Option<Jid>,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    /// Wait for a peer to open the tunnel, and serve the first one that is verified
    #[arg(long, conflicts_with = "wait")]
    pub(crate) listen: bool,

    /// With --listen: accept a tunnel from this peer only; may be repeated [default: every trusted peer]
    #[arg(long, value_name = "BAREJID", requires = "listen")]
    pub(crate) accept_from: Vec<BareJid>,

    /// End both directions, in order, when standard input ends
    #[arg(long)]
    pub(crate) close_on_eof: bool,

    #[command(flatten)]
    pub(crate) transport: TransportArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}
