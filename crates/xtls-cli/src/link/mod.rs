//! `xtls link`: two machines without a server between them (XEP-0174, XEP-0246, XEP-0250).

mod address;
mod chat;
mod connect;
mod discover;
mod door;
mod end;
mod listen;
mod open;
mod pipe;
mod verdict;

use xtls::link::Peer;

use crate::args::LinkCommand;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::Output;

/// A connection with a link between two peers on it.
type Wire = crate::wire::Wire<Peer>;

pub(crate) async fn run(output: Output, data: &DataDir, command: &LinkCommand) -> Result<(), Failure> {
    match command {
        LinkCommand::Listen(args) => listen::run(output, data, args).await,
        LinkCommand::List(args) => discover::list(output, args),
        LinkCommand::Connect(args) => connect::run(output, data, args).await,
    }
}
