//! The connections that tunnels go by: made, carried and closed as the engine asks.

mod dial;
mod door;

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Duration, Sleep},
};
use xtls::{ConnectionId, Event};

use self::door::Door;
use crate::{
    PromptTcp,
    shared::{Core, now},
};

/// How long what is left may take to go, once a connection is not wanted any more.
const CLOSE_TIME: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const READ: usize = 64 * 1024;
/// Bytes that one connection moves in one direction before others have their turn.
const TURN: usize = 512 * 1024;

/// The connections of a driver.
pub(crate) struct Connections {
    open: BTreeMap<ConnectionId, Connection>,
    door: Option<Door>,
    /// Where bytes are read to; made when there is a connection.
    buffer: Vec<u8>,
}

enum Connection {
    Connecting(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open(Carried),
}

/// A connection that is made.
struct Carried {
    stream: PromptTcp,
    out: Outgoing,
    /// The engine has no use for it any more: it is closed once what is left has gone, or this time is over.
    closing: Option<Pin<Box<Sleep>>>,
}

/// What is to be written, and how much of it is.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self { open: BTreeMap::new(), door: None, buffer: Vec::new() }
    }

    pub(crate) fn listen(&mut self, listener: TcpListener) {
        self.door = Some(Door::new(listener));
    }

    /// Whether nothing is left that has to go.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Everything has a turn. Whether anything happened.
    pub(crate) fn turn(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> bool {
        let mut happened = self.take_wishes(core);
        if let Some(door) = &mut self.door {
            let (passed, acted) = door.turn(core, cx);
            happened |= acted;
            for (id, stream) in passed {
                self.open.insert(id, Connection::Open(Carried::new(stream)));
            }
        }
        let mut over = Vec::new();
        if self.open.is_empty() {
            self.buffer = Vec::new();
        } else {
            self.buffer.resize(READ, 0);
        }
        let Self { open, buffer, .. } = self;
        for (id, connection) in open.iter_mut() {
            match connection.turn(*id, core, buffer, cx) {
                Poll::Ready(Turn::Happened) => happened = true,
                Poll::Ready(Turn::Over) => over.push(*id),
                Poll::Pending => {}
            }
        }
        for id in &over {
            self.open.remove(id);
        }
        happened || !over.is_empty()
    }

    /// Does what the engine has asked for.
    fn take_wishes(&mut self, core: &Arc<Core>) -> bool {
        let wishes: VecDeque<Event> = core::mem::take(&mut core.lock().connections);
        let happened = !wishes.is_empty();
        for wish in wishes {
            if let Event::Connect { id, host, port } = wish {
                let connecting = Box::pin(dial::connect(Arc::clone(core), id, host, port));
                self.open.insert(id, Connection::Connecting(connecting));
            } else if let Event::Abandon { id } = wish {
                match self.open.get_mut(&id) {
                    Some(Connection::Open(carried)) => carried.closing = Some(Box::pin(tokio::time::sleep(CLOSE_TIME))),
                    Some(Connection::Connecting(_)) => drop(self.open.remove(&id)),
                    None => {
                        if let Some(door) = &mut self.door {
                            door.close_to(id);
                        }
                    }
                }
            }
        }
        happened
    }
}

/// What a connection did in its turn.
enum Turn {
    Happened,
    Over,
}

impl Connection {
    fn turn(&mut self, id: ConnectionId, core: &Arc<Core>, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<Turn> {
        match self {
            Self::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(stream)) => {
                    core.lock().engine.connected(now(), id);
                    *self = Self::Open(Carried::new(stream));
                    Poll::Ready(Turn::Happened)
                }
                Poll::Ready(Err(_)) => {
                    core.lock().engine.connection_failed(now(), id);
                    Poll::Ready(Turn::Over)
                }
            },
            Self::Open(carried) => carried.turn(id, core, buffer, cx),
        }
    }
}

impl Carried {
    fn new(stream: TcpStream) -> Self {
        Self { stream: stream.into(), out: Outgoing::default(), closing: None }
    }

    fn turn(&mut self, id: ConnectionId, core: &Arc<Core>, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<Turn> {
        let mut happened = false;
        match self.write(id, core, cx) {
            Ok(wrote) => happened |= wrote,
            Err(_) => return self.lost(id, core),
        }
        if let Some(closing) = &mut self.closing {
            let is_over = self.out.is_empty() || closing.as_mut().poll(cx).is_ready();
            return if is_over {
                // As the socket is dropped; the rest is the system's.
                let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                Poll::Ready(Turn::Over)
            } else {
                Poll::Pending
            };
        }
        match self.read(id, core, buffer, cx) {
            Ok(read) => happened |= read,
            Err(_) => return self.lost(id, core),
        }
        if happened { Poll::Ready(Turn::Happened) } else { Poll::Pending }
    }

    fn lost(&self, id: ConnectionId, core: &Arc<Core>) -> Poll<Turn> {
        if self.closing.is_none() {
            core.lock().engine.connection_ended(now(), id);
        }
        Poll::Ready(Turn::Over)
    }

    /// Writes what there is, each piece of the engine's by itself.
    fn write(&mut self, id: ConnectionId, core: &Arc<Core>, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = 0;
        while moved < TURN {
            if self.out.is_empty() && self.closing.is_none() {
                self.out.fill(|bytes| core.lock().engine.poll_connection(now(), id, bytes));
            }
            if self.out.is_empty() {
                break;
            }
            match self.out.write(Pin::new(&mut self.stream), cx)? {
                Poll::Ready(written) => moved += written,
                Poll::Pending => break,
            }
        }
        Ok(moved > 0)
    }

    /// Reads as long as the engine has room.
    fn read(
        &mut self,
        id: ConnectionId,
        core: &Arc<Core>,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut moved = 0;
        while moved < TURN && core.lock().engine.wants_bytes(id) {
            let mut space = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
                Poll::Pending => break,
                Poll::Ready(result) => result?,
            }
            let bytes = space.filled();
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            moved += bytes.len();
            core.lock().engine.handle_connection_bytes(now(), id, bytes);
        }
        Ok(moved > 0)
    }
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    fn fill(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> usize) {
        self.bytes.clear();
        self.written = 0;
        fill(&mut self.bytes);
    }

    fn write<W: tokio::io::AsyncWrite>(
        &mut self,
        stream: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<usize>> {
        match stream.poll_write(cx, self.bytes.get(self.written..).unwrap_or_default()) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(written) => {
                let written = written?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.written += written;
                Ok(Poll::Ready(written))
            }
        }
    }
}
