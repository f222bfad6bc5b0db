//! `xtls link connect`: opens a link.

use std::cell::Cell;

use tokio::net::TcpStream;
use xtls::error::TermsError;
use xtls::link::{LinkError, PeerLink};
use xtls_stanza::jid::Jid;

use super::address::PORT;
use super::chat;
use super::end::End;
use super::open::{Guests, open};
use super::pipe;
use crate::account::Server;
use crate::args::LinkConnectArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::Output;
use crate::platform::Signals;
use crate::reach;
use crate::session::{Keyboard, Lines};
use crate::wire::{self, wire};

pub(super) async fn run(output: Output, data: &DataDir, args: &LinkConnectArgs) -> Result<(), Failure> {
    let at = Server::parse("", &args.address, PORT)?;
    let end = End::new(output, data, &args.link, std::slice::from_ref(&args.peer))?;
    reach::check(&end.rules, &end.trust(), &end.jid().to_bare(), &args.peer)?;
    let stream = dial(&end, &at).await?;
    let mut signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;
    let link = PeerLink::connect(end.setup()?, Jid::from(args.peer.clone()), end.terms(), clock::now());
    let mut wire = wire(stream, link.map_err(|e| cannot_begin(e, &end, args))?);
    let (named, busy) = (std::slice::from_ref(&args.peer), Cell::new(false));
    let guests = Guests { named, busy: &busy };
    let opened = tokio::select! {
        opened = open(&end, &mut wire, &guests, &args.address) => opened.and_then(|opened| opened),
        // Nothing is open that could end in order.
        () = signals.next() => {
            wire::end(wire).await;
            return Err(Failure::interrupted());
        }
    };
    if let Err(failure) = opened {
        wire::end(wire).await;
        return Err(failure);
    }
    if args.link.pipe {
        return pipe::carry(&end, wire, &mut signals).await;
    }
    let mut keyboard = Keyboard::only_for(output, Lines::start(output), args.peer.clone().into(), &args.link.nicknames);
    let result = chat::talk(&end, &mut wire, &mut keyboard, &mut signals, false).await;
    wire::end(wire).await;
    let unsent = keyboard.finish();
    result.map(drop).and(unsent)
}

/// Connects, within the time of a step.
async fn dial(end: &End, at: &Server) -> Result<TcpStream, Failure> {
    let Server { host, port } = at;
    let connected = tokio::time::timeout(end.timeout, TcpStream::connect((host.as_str(), *port))).await;
    match connected {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(Failure::connection(format!(
            "{host} port {port} cannot be reached: {e}; its owner can run: xtls link listen"
        ))),
        Err(_) => Err(Failure::connection(format!(
            "{host} port {port} does not answer within {} s: check address and port",
            end.timeout.as_secs()
        ))),
    }
}

fn cannot_begin(e: LinkError, end: &End, args: &LinkConnectArgs) -> Failure {
    let failure = match e {
        LinkError::OwnAddress => Failure::usage(format!(
            "--peer {} is the name of this end too: give both ends names of their own with --jid",
            args.peer
        )),
        LinkError::Terms(TermsError::Store) => reach::unreadable(&end.trust(), &args.peer),
        LinkError::Terms(e @ TermsError::UserName) => {
            Failure::usage(format!("{e}: give another --jid, or go without the password"))
        }
        LinkError::Terms(e) => Failure::security(format!("no link with {} can be made: {e}", args.peer)),
        e => Failure::other(format!("no link with {} can be made: {e}", args.peer)),
    };
    failure.about(&args.peer)
}
