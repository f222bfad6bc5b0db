//! `xtls link listen`: waits for links.

use std::cell::Cell;

use tokio::net::TcpListener;

use super::address;
use super::chat;
use super::discover::Announced;
use super::door::Door;
use super::end::End;
use super::pipe;
use crate::args::LinkListenArgs;
use crate::data::DataDir;
use crate::exit::{Code, Failure};
use crate::output::{Output, Report};
use crate::platform::Signals;
use crate::session::{Keyboard, Lines};
use crate::wire;

pub(super) async fn run(output: Output, data: &DataDir, args: &LinkListenArgs) -> Result<(), Failure> {
    let address = address::listening(&args.address)?;
    if args.announce && address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--announce makes no sense for {address}, which nobody else can reach: give an address such as 0.0.0.0"
        )));
    }
    let end = End::new(output, data, &args.link, &args.accept_from)?;
    end.rules.note_who_may_try(output, &args.accept_from)?;
    let cannot = |e: std::io::Error| {
        Failure::other(format!("nothing can listen at {address}: {e}; give another address or port"))
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    let mut signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;
    end.report(&Report::Listening { address: &bound.to_string() })?;
    // It is announced until this goes.
    let _announced = args.announce.then(|| Announced::new(output, end.jid(), bound)).transpose()?;
    let busy = Cell::new(false);
    let mut door = Door::new(listener, &end, &args.accept_from, &busy);
    if args.link.pipe {
        let wire = tokio::select! {
            wire = door.next() => wire?,
            () = signals.next() => return Err(Failure::interrupted()),
        };
        // Nobody else is let in, and whoever stands at the door is sent away by that.
        drop(door);
        return pipe::carry(&end, wire, &mut signals).await;
    }
    let lines = if args.echo { Lines::none() } else { Lines::start(output) };
    let mut keyboard = Keyboard::for_first(output, lines, &args.link.nicknames);
    let result = chats(&end, door, &busy, args, &mut keyboard, &mut signals).await;
    let unsent = keyboard.finish();
    result.and(unsent)
}

/// One conversation after the other.
async fn chats(
    end: &End,
    mut door: Door<'_>,
    busy: &Cell<bool>,
    args: &LinkListenArgs,
    keyboard: &mut Keyboard,
    signals: &mut Signals,
) -> Result<(), Failure> {
    loop {
        let read_ahead = async {
            let result = chat::read_ahead(keyboard).await;
            if result.is_ok() && !keyboard.used {
                std::future::pending::<()>().await;
            }
            result
        };
        let mut wire = tokio::select! {
            wire = door.next() => wire?,
            result = read_ahead => return result,
            () = signals.next() => return if args.once { Err(Failure::interrupted()) } else { Ok(()) },
        };
        let result = tokio::select! {
            result = chat::talk(end, &mut wire, keyboard, signals, args.echo) => result,
            failure = door.keep() => Err(failure),
        };
        wire::end(wire).await;
        busy.set(false);
        match result {
            Ok(leaves) if leaves || args.once => return Ok(()),
            Ok(_) => {}
            Err(failure) if args.once || failure.code == Code::Other => return Err(failure),
            Err(failure) => end.output.failure(&failure),
        }
    }
}
