//! `xtls verify` on the command line.

use clap::Args;
use xtls_stanza::jid::{BareJid, Jid};

use super::AccountArgs;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Compare with this peer, which runs xtls verify too: a full address, or a bare one, and then a resource with XTLS is looked for
    /// among those online. Without it a peer is waited for
    pub(crate) peer: Option<Jid>,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    /// Wait for this peer and nobody else; may be repeated [default: everybody who is trusted]
    #[arg(long, value_name = "BAREJID", conflicts_with = "peer")]
    pub(crate) accept_from: Vec<BareJid>,
}
