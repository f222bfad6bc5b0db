//! `xtls probe`: what a tunnel with a peer would come to, or how a connection to a server would be secured.

mod peer;
mod server;

use xtls_stanza::jid::Jid;

use crate::args::ProbeArgs;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::Output;

pub(crate) async fn run(output: Output, data: &DataDir, args: &ProbeArgs) -> Result<(), Failure> {
    let target = &args.target;
    if !args.is_peer() {
        args.check_server()?;
        return server::run(output, data, args).await;
    }
    args.check_peer()?;
    let peer: Jid = target.parse().map_err(|e| Failure::usage(format!("{target} is no address: {e}")))?;
    if peer.local().is_none() {
        return Err(Failure::usage(format!("{target} is not the address of a user: it has no account before an @")));
    }
    let (account, trust) = args.filled.as_deref().ok_or_else(|| Failure::other("the account was not looked for"))?;
    peer::run_peer(output, data, &peer, account, trust, !args.peer.no_offer).await
}
