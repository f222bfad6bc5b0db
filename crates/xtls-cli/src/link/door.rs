//! The door of a listener: whoever stalls there must not keep the others out.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use xtls::link::PeerLink;
use xtls_stanza::jid::BareJid;

use super::Wire;
use super::end::End;
use super::open::{Guests, open};
use crate::clock;
use crate::exit::Failure;
use crate::wire::{self, wire};

/// Most connections that are seen to at once; others wait until one of these has come to something.
const MAX_GREETED: usize = 16;
/// How long nobody is let in after the operating system could not.
const PAUSE: Duration = Duration::from_millis(200);

/// Lets in one peer at a time.
pub(super) struct Door<'a> {
    listener: TcpListener,
    end: &'a End,
    named: &'a [BareJid],
    busy: &'a Cell<bool>,
    greeted: FuturesUnordered<LocalBoxFuture<'a, Result<Option<Wire>, Failure>>>,
}

impl<'a> Door<'a> {
    /// A door where `busy` says whether somebody is served: it is set when somebody comes in, and the caller resets it.
    pub(super) fn new(listener: TcpListener, end: &'a End, named: &'a [BareJid], busy: &'a Cell<bool>) -> Self {
        Self { listener, end, named, busy, greeted: FuturesUnordered::new() }
    }

    /// The next peer that is verified, with an open link. Dropping this loses nothing.
    ///
    /// # Errors
    ///
    /// When this end cannot go on, since nothing can be told any more, say.
    pub(super) async fn next(&mut self) -> Result<Wire, Failure> {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.greeted.len() < MAX_GREETED => match accepted {
                    Ok((stream, from)) => {
                        let guests = Guests { named: self.named, busy: self.busy };
                        self.greeted.push(Box::pin(greet(self.end, guests, stream, from)));
                    }
                    // Out of files, say: that passes.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                Some(came) = self.greeted.next(), if !self.greeted.is_empty() => if let Some(wire) = came? {
                    return Ok(wire);
                },
            }
        }
    }

    /// Turns everybody away, as long as somebody is served. It comes back only when this end cannot go on.
    pub(super) async fn keep(&mut self) -> Failure {
        loop {
            match self.next().await {
                Ok(wire) => wire::end(wire).await,
                Err(failure) => return failure,
            }
        }
    }
}

/// Sees to a connection until its link is open. Whoever fails is told of, and does not end the command.
async fn greet(end: &End, guests: Guests<'_>, stream: TcpStream, from: SocketAddr) -> Result<Option<Wire>, Failure> {
    let link = PeerLink::listen(end.setup()?, None, clock::now());
    let link = link.map_err(|e| Failure::other(format!("no link can be made: {e}")))?;
    let mut wire = wire(stream, link);
    match open(end, &mut wire, &guests, &from.to_string()).await? {
        Ok(()) => Ok(Some(wire)),
        Err(failure) => {
            end.output.failure(&failure);
            wire::end(wire).await;
            Ok(None)
        }
    }
}
