//! `xtls pipe`: standard input and output through a tunnel, byte for byte.

pub(crate) mod flow;
pub(crate) mod streams;
mod tunnel;
pub(crate) mod ways;

use xtls::Application;
use xtls_stanza::jid::BareJid;

use crate::args::PipeArgs;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Faster, Output};
use crate::platform::Signals;
use crate::reach::{self, Calls};
use crate::session::{Rules, Session};
use streams::Sink;
use tunnel::Carried;

pub(crate) async fn run(output: Output, data: &DataDir, args: &PipeArgs) -> Result<(), Failure> {
    let mut trust = data.trust()?;
    let named: Vec<BareJid> = args.peer.iter().map(|peer| peer.to_bare()).chain(args.accept_from.clone()).collect();
    let mut rules = Rules::from_args(&args.trust, &named, &mut trust)?;
    if args.peer.is_some() {
        let own = args.account.bare()?;
        named.iter().try_for_each(|peer| reach::check(&rules, &trust, &own, peer))?;
    }
    rules.ask(output, named.first().map_or("your peers", |peer| peer.as_str()))?;
    rules.warn(output);
    if args.peer.is_none() {
        rules.note_who_may_try(output, &args.accept_from)?;
    }
    let mut door = ways::open_door(&args.transport, args.account.login.way.proxy.is_some()).await?;
    let mut session = Session::start_with(output, data, &args.account, trust, &rules, door.connects()).await?;
    let ways = ways::find(&session, &args.transport, &door, &named).await;
    rules.go_by(ways.transports);
    session.allow_offers(&args.accept_from);
    let application = Application::bytes();
    let mut calls = Calls::new(rules, application, named, args.peer.is_none());
    let result = open_and_carry(&mut session, &mut calls, args, ways.faster).await;
    session.end().await;
    // The peer is told; what has come may still wait for a slow reader.
    let Carried { result, sink, rest } = result?;
    result.and(write_out(sink, rest).await)
}

/// Opens the tunnel and moves the bytes.
///
/// # Errors
///
/// When there is no tunnel, or it was not waited for its end.
async fn open_and_carry(
    session: &mut Session,
    calls: &mut Calls,
    args: &PipeArgs,
    faster: Faster,
) -> Result<Carried, Failure> {
    if let Some(peer) = &args.peer {
        calls.call(session, peer, args.wait.patience).await?;
    }
    let (opening, security) = calls.secured(session).await?;
    let peer = opening.peer();
    session.report_secured_over(&peer, &security, opening.path().as_ref())?;
    session.greet(&peer).await;
    let tunnel = opening.into_tunnel().ok().and_then(|tunnel| tunnel.into_bytes().ok());
    let tunnel = tunnel.ok_or_else(|| Failure::other(format!("the tunnel with {peer} is not for bytes")))?;
    tunnel::carry(session, tunnel, &calls.application, args.close_on_eof, faster).await
}

/// Writes what is left to standard output, which may take as long as its reader does.
///
/// # Errors
///
/// When it cannot be written, or after Ctrl-C.
pub(crate) async fn write_out(sink: Sink, rest: Vec<u8>) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;
    tokio::select! {
        written = sink.finish(rest) => written.map_err(|e| {
            Failure::other(format!("standard output cannot be written: {e}; what came after that is lost"))
        }),
        () = signals.next() => Err(Failure::interrupted()),
    }
}
