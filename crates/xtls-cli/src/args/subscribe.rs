//! `xtls subscribe` on the command line.

use clap::Args;
use xtls_stanza::jid::Jid;

use super::{AccountArgs, WaitArgs};

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// The peer: its bare address, or a nickname. Without PEER, show all there is
    pub(crate) peer: Option<Jid>,

    /// See no more of PEER, let it see no more of you, and refuse its request
    #[arg(long, requires = "peer", conflicts_with = "wait")]
    pub(crate) remove: bool,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,
}
