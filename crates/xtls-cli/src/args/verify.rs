//! `xtls verify` on the command line.

use clap::Args;
use xtls_stanza::jid::{BareJid, Jid};

use super::{AccountArgs, WaitArgs};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The peer to compare with, which runs xtls verify, listen or chat. Without PEER, wait for one
    pub(crate) peer: Option<Jid>,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    /// Wait for this peer alone; may be repeated [default: every trusted peer]
    #[arg(long, value_name = "BAREJID", conflicts_with_all = ["peer", "wait"])]
    pub(crate) accept_from: Vec<BareJid>,
}
