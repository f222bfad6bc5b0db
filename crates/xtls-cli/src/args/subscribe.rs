//! `xtls subscribe` on the command line.

use clap::Args;
use xtls_stanza::jid::Jid;

use super::wait::{FOR_EVER, patience};
use super::{AccountArgs, Patience};

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// The peer: its bare address, or a nickname. Without PEER, show all there is
    pub(crate) peer: Option<Jid>,

    /// See no more of PEER, let it see no more of you, and refuse its request
    #[arg(long, requires = "peer", conflicts_with = "wait")]
    pub(crate) remove: bool,

    /// Go on until each sees the other: until Ctrl-C, or for minutes or a number with s, m or h; up to 24h
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOR_EVER,
        value_parser = patience,
        requires = "peer"
    )]
    pub(crate) wait: Option<Patience>,

    #[command(flatten)]
    pub(crate) account: AccountArgs,
}
