//! The listener of a driver, and who has come to it and has not said what for.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::sync::Arc;

use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep_until},
};
use xtls::ConnectionId;
use xtls_s5b::{Listener, Visitor, socks::Acceptor};

use super::Outgoing;
use crate::shared::{Core, now};

/// A listener that serves all tunnels.
pub(super) struct Door {
    sockets: TcpListener,
    /// How many are heard at once, and for how long.
    books: Listener,
    visits: Vec<Visit>,
    /// When the next one has had its time.
    timer: Option<Pin<Box<Sleep>>>,
}

struct Visit {
    visitor: Visitor,
    stream: TcpStream,
    acceptor: Acceptor,
    out: Outgoing,
    /// Whose it is; its reply is to be written first.
    claimed: Option<ConnectionId>,
}

impl Door {
    pub(super) fn new(sockets: TcpListener) -> Self {
        Self { sockets, books: Listener::new(), visits: Vec::new(), timer: None }
    }

    /// Lets visitors in, hears what they want, and gives those that are expected. Whether anything happened.
    pub(super) fn turn(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> (Vec<(ConnectionId, TcpStream)>, bool) {
        let mut happened = self.expire(core, cx);
        happened |= self.welcome(cx);
        let mut passed = Vec::new();
        let mut waiting = Vec::with_capacity(self.visits.len());
        for mut visit in core::mem::take(&mut self.visits) {
            let Poll::Ready(claimed) = visit.turn(core, cx) else {
                waiting.push(visit);
                continue;
            };
            happened = true;
            self.books.let_go(visit.visitor);
            match claimed {
                Some(id) => passed.push((id, visit.stream)),
                None => visit.end(core),
            }
        }
        self.visits = waiting;
        (passed, happened)
    }

    /// A connection is not wanted any more that was claimed here.
    pub(super) fn close_to(&mut self, id: ConnectionId) {
        let books = &mut self.books;
        self.visits.retain(|visit| {
            let stays = visit.claimed != Some(id);
            if !stays {
                books.let_go(visit.visitor);
            }
            stays
        });
    }

    fn welcome(&mut self, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        while self.books.has_room()
            && let Poll::Ready(accepted) = self.sockets.poll_accept(cx)
        {
            // What fails is that one's connection, or there are too many in all, which passes.
            let Ok((stream, _)) = accepted else { break };
            let Ok(visitor) = self.books.admit(now()) else { break };
            self.visits.push(Visit {
                visitor,
                stream,
                acceptor: Acceptor::new(),
                out: Outgoing::default(),
                claimed: None,
            });
            happened = true;
        }
        happened
    }

    /// Closes the door on those who have had their time.
    fn expire(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        loop {
            while let Some(visitor) = self.books.poll_expired(now()) {
                happened = true;
                if let Some(at) = self.visits.iter().position(|visit| visit.visitor == visitor) {
                    self.visits.swap_remove(at).end(core);
                }
            }
            let Some(at) = self.books.next_deadline().map(Instant::from_std) else {
                self.timer = None;
                return happened;
            };
            let timer = match &mut self.timer {
                Some(timer) if timer.deadline() == at => timer,
                timer => timer.insert(Box::pin(sleep_until(at))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return happened;
            }
        }
    }
}

impl Visit {
    /// Whose it is, once its reply is written; `None` when it is to go.
    fn turn(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> Poll<Option<ConnectionId>> {
        loop {
            let out = &mut self.out;
            let acceptor = &mut self.acceptor;
            if out.is_empty() {
                out.fill(|bytes| {
                    acceptor.poll(bytes);
                    bytes.len()
                });
            }
            while !out.is_empty() {
                match out.write(Pin::new(&mut self.stream), cx) {
                    Ok(Poll::Ready(_)) => {}
                    Ok(Poll::Pending) => return Poll::Pending,
                    Err(_) => return Poll::Ready(None),
                }
            }
            if let Some(id) = self.claimed.filter(|_| acceptor.is_accepted()) {
                return Poll::Ready(Some(id));
            }
            if acceptor.fault().is_some() {
                return Poll::Ready(None);
            }
            let mut bytes = [0; 512];
            let mut space = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(None),
            }
            // A fault has its last words.
            let _ = acceptor.handle_bytes(space.filled());
            if let Some(dst_addr) = acceptor.asked() {
                self.claimed = core.lock().engine.claim_connection(now(), &dst_addr);
                let _ = if self.claimed.is_some() { acceptor.accept() } else { acceptor.refuse() };
            }
        }
    }

    /// It is closed; the tunnel that it was for learns of it.
    fn end(self, core: &Arc<Core>) {
        if let Some(id) = self.claimed {
            core.lock().engine.connection_ended(now(), id);
        }
    }
}
