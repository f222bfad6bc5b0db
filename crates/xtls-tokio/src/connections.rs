//! The connections that tunnels go by: made, carried and closed as the engine asks.

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
    time::{Duration, Sleep, timeout},
};
use xtls::{ConnectionId, Event, transports::Host};
use xtls_s5b::socks::Acceptor;

use crate::{
    PromptTcp,
    shared::{Core, now},
};

/// How long an address may take to take a connection; the engine gives the attempt up by itself.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How many addresses of a name are dialled.
const MAX_ADDRESSES: usize = 8;
/// How long what is left may take to go, once a connection is not wanted any more.
const CLOSE_TIME: Duration = Duration::from_secs(30);
/// How long a visitor of the listener may take to say what it wants.
const VISIT_TIME: Duration = Duration::from_secs(10);
/// How many visitors may be about to say it; others wait with the system.
const MAX_VISITORS: usize = 16;
/// Bytes that are read at once.
const READ: usize = 64 * 1024;
/// Bytes that one connection moves in one direction before others have their turn.
const TURN: usize = 512 * 1024;

/// The connections of a driver.
pub(crate) struct Connections {
    open: BTreeMap<ConnectionId, Connection>,
    listener: Option<TcpListener>,
    visitors: Vec<Visitor>,
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

/// Who has come to the listener, and has not said what for.
struct Visitor {
    stream: TcpStream,
    acceptor: Acceptor,
    out: Outgoing,
    /// Whose it is; its reply is to be written first.
    claimed: Option<ConnectionId>,
    until: Pin<Box<Sleep>>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self { open: BTreeMap::new(), listener: None, visitors: Vec::new(), buffer: Vec::new() }
    }

    pub(crate) fn listen(&mut self, listener: TcpListener) {
        self.listener = Some(listener);
    }

    /// Whether nothing is left that has to go.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Everything has a turn. Whether anything happened.
    pub(crate) fn turn(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> bool {
        let mut happened = self.take_wishes(core);
        happened |= self.welcome(cx);
        happened |= self.visit(core, cx);
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
                let connecting = Box::pin(connect(Arc::clone(core), id, host, port));
                self.open.insert(id, Connection::Connecting(connecting));
            } else if let Event::Abandon { id } = wish {
                match self.open.get_mut(&id) {
                    Some(Connection::Open(carried)) => carried.closing = Some(Box::pin(tokio::time::sleep(CLOSE_TIME))),
                    Some(Connection::Connecting(_)) => drop(self.open.remove(&id)),
                    None => self.visitors.retain(|visitor| visitor.claimed != Some(id)),
                }
            }
        }
        happened
    }

    /// Lets visitors in.
    fn welcome(&mut self, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        while let Some(listener) = self.listener.as_ref().filter(|_| self.visitors.len() < MAX_VISITORS)
            && let Poll::Ready(accepted) = listener.poll_accept(cx)
        {
            // What fails is that one's connection, or there are too many in all, which passes.
            let Ok((stream, _)) = accepted else { break };
            self.visitors.push(Visitor {
                stream,
                acceptor: Acceptor::new(),
                out: Outgoing::default(),
                claimed: None,
                until: Box::pin(tokio::time::sleep(VISIT_TIME)),
            });
            happened = true;
        }
        happened
    }

    /// Hears what visitors want, and hands over those that are expected.
    fn visit(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        let mut waiting = Vec::with_capacity(self.visitors.len());
        for mut visitor in core::mem::take(&mut self.visitors) {
            match visitor.turn(core, cx) {
                Poll::Pending => waiting.push(visitor),
                Poll::Ready(Some(id)) => {
                    happened = true;
                    let carried = Carried { stream: visitor.stream.into(), out: Outgoing::default(), closing: None };
                    self.open.insert(id, Connection::Open(carried));
                }
                Poll::Ready(None) => {
                    happened = true;
                    if let Some(id) = visitor.claimed {
                        core.lock().engine.connection_ended(now(), id);
                    }
                }
            }
        }
        self.visitors = waiting;
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
                    *self = Self::Open(Carried { stream: stream.into(), out: Outgoing::default(), closing: None });
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

impl Visitor {
    /// Whose it is, once its reply is written; `None` when it is to go.
    fn turn(&mut self, core: &Arc<Core>, cx: &mut Context<'_>) -> Poll<Option<ConnectionId>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
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

/// Connects to the first address of a host that may be dialled and takes the connection.
async fn connect(core: Arc<Core>, id: ConnectionId, host: Host, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host.as_str(), port)).await?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses.take(MAX_ADDRESSES) {
        // A name may lead anywhere, and elsewhere than a moment ago.
        if let Err(refused) = core.lock().engine.check_address(id, address.ip()) {
            last = io::Error::new(io::ErrorKind::PermissionDenied, refused);
            continue;
        }
        match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}
