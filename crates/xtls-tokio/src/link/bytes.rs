//! Raw bytes over a link.

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError},
    task::Wake,
};

use futures::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use xtls::{
    CloseReason, Element,
    error::SendError,
    jid::Jid,
    link::{Link, LinkClosed, LinkEvent, Peer},
    xml::Limits,
};
use xtls_ibb::{Bytestream, BytestreamConfig, BytestreamRole, BytestreamState};
use xtls_stanza::{Envelope, Ids};

use super::{LinkStream, error::ByteLinkError};

/// Bytes in a block before base64: with 32 of them in flight 1 MiB, as a bytestream allows its peer.
pub(super) const BLOCK: u16 = 32 * 1024;
/// What may wait for the reader while blocks are still acknowledged, in bytes.
const INBOX: u64 = 512 * 1024;
/// Answers that wait for room in the link; a peer that makes more of them is not answered any more.
pub(super) const MAX_ANSWERS: usize = 64;
/// Events that wait for whoever takes them; later ones are dropped.
const MAX_EVENTS: usize = 64;

/// Raw bytes over a link: `AsyncRead` and `AsyncWrite`, in both directions at once. Both ends have to use it.
///
/// Each direction is an in-band bytestream (XEP-0047) of its own, opened by its sender and closed by it, since the closing of one
/// ends both of its directions (§ 2.3). Blocks have up to 32 KiB, and four of ours may be on their way.
///
/// - **Reading** ends with 0 bytes when the peer has finished its direction, and fails with
///   [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the link ends before that. What is not read is not acknowledged, but for
///   512 KiB; what the peer has on its way waits beside it, 32 blocks at most.
/// - **Writing** takes 256 KiB that are not on their way yet. **Flushing** waits until the connection has taken all of it.
/// - **Shutting down** ends our direction, and waits until the peer has acknowledged all of it; the other direction goes on. When
///   both have ended, the link ends in order.
/// - **Time passes and bytes move while any of it is polled.** It has no driver: one that is dropped before [`closed`](Self::closed)
///   takes with it what is not sent yet, and its peer sees that what came may be a part.
/// - **Requests** that are not for this are answered by [`answering`](Self::answering), else by service-unavailable.
pub struct ByteLink<T> {
    pub(super) stream: LinkStream<Peer, T>,
    ids: Ids,
    /// Our direction, and the peer's once it is opened.
    pub(super) outgoing: Bytestream,
    pub(super) incoming: Option<Bytestream>,
    /// What came and was not read: what follows `read`.
    pub(super) inbox: Vec<u8>,
    read: usize,
    /// How many bytes ever came, and were read.
    pub(super) came: u64,
    taken: u64,
    pub(super) peer_finished: bool,
    pub(super) answers: VecDeque<String>,
    pub(super) answering: Option<Answering>,
    /// A stanza that the link had no room for.
    kept: Option<Element>,
    events: VecDeque<LinkEvent>,
    /// Why we have ended it.
    fault: Option<ByteLinkError>,
    /// Our direction is to end.
    finishes: bool,
    is_closing: bool,
    closed: Option<Arc<LinkClosed>>,
    wakers: Arc<Wakers>,
}

type Answering = Box<dyn FnMut(&Element) -> Option<String> + Send>;

/// Who waits: the reader, the writer, and whoever waits for events or the end. They may be different tasks.
#[derive(Default)]
struct Wakers(Mutex<BTreeMap<Who, Waker>>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Reader,
    Writer,
    Watcher,
}

impl<T> LinkStream<Peer, T> {
    /// The link for raw bytes, once its stream is open ([`LinkEvent::StreamOpened`]). The seed is random, and used once.
    #[must_use]
    pub fn into_bytes(self, seed: [u8; 32]) -> ByteLink<T> {
        let mut ids = Ids::new(seed);
        let sid = ids.next_id();
        let mut outgoing = Bytestream::new(BytestreamRole::Opener, sid.as_str(), BLOCK, BytestreamConfig::default());
        outgoing.open();
        ByteLink {
            stream: self,
            ids,
            outgoing,
            incoming: None,
            inbox: Vec::new(),
            read: 0,
            came: 0,
            taken: 0,
            peer_finished: false,
            answers: VecDeque::new(),
            answering: None,
            kept: None,
            events: VecDeque::new(),
            fault: None,
            finishes: false,
            is_closing: false,
            closed: None,
            wakers: Arc::default(),
        }
    }
}

impl<T> ByteLink<T> {
    /// The same, which answers requests of the peer that have nothing to do with bytes by what this makes of them: a whole
    /// stanza without addresses, or none.
    #[must_use]
    pub fn answering(mut self, answer: impl FnMut(&Element) -> Option<String> + Send + 'static) -> Self {
        self.answering = Some(Box::new(answer));
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Option<&Jid> {
        self.link().peer()
    }

    /// The link, to be asked.
    #[must_use]
    pub fn link(&self) -> &Link<Peer> {
        self.stream.link()
    }

    /// Bytes that were written and are not acknowledged, after the end too.
    #[must_use]
    pub fn unacked(&self) -> u64 {
        self.outgoing.unacked()
    }

    /// Whether the peer has sent its last byte. What came before may still be unread.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.peer_finished
    }

    /// Why this end has ended the link, if it was because of what the peer does with bytes.
    #[must_use]
    pub fn fault(&self) -> Option<&ByteLinkError> {
        self.fault.as_ref()
    }

    /// Begins the end of our direction, without waiting for it as shutting down does.
    pub fn finish(&mut self) {
        self.finishes = true;
        self.wakers.wake_all();
    }

    /// Begins the end of the link, whatever is still to be sent: the peer sees that what came may be a part.
    pub fn break_off(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            self.stream.with_link(Link::close);
        }
        self.wakers.wake_all();
    }

    /// Ends the link at once.
    pub fn abort(&mut self) {
        self.is_closing = true;
        self.stream.with_link(Link::abort);
        self.wakers.wake_all();
    }

    /// The link, which is at its end or of no use for anything else: for closing the connection.
    #[must_use]
    pub fn into_inner(self) -> LinkStream<Peer, T> {
        self.stream
    }

    /// Ends the link because of this.
    pub(super) fn fail(&mut self, fault: ByteLinkError) {
        self.fault.get_or_insert(fault);
        self.break_off();
    }

    /// Keeps an event for whoever wants it.
    pub(super) fn note(&mut self, event: LinkEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// What was read may be acknowledged.
    fn release(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            incoming.release_acks(self.taken.saturating_add(INBOX));
        }
    }

    /// The next stanza to send.
    fn next_stanza(&mut self) -> Option<Element> {
        let mut text = self.answers.pop_front().unwrap_or_default();
        let envelope = Envelope::new(self.stream.link().peer()?.as_str(), None);
        let cut = &mut |bytes: &[u8], size: usize| bytes.len().min(size);
        for stream in self.incoming.iter_mut().chain([&mut self.outgoing]) {
            if text.is_empty() {
                let _ = stream.poll(&mut self.ids, &envelope, cut, &mut text);
            }
        }
        // What this end writes can be read.
        Element::parse(&text, &Limits::default()).ok()
    }

    /// Hands the link everything there is room for, and begins its end when both directions have ended.
    fn send(&mut self) {
        self.release();
        self.send_stanzas();
        if self.finishes && self.kept.is_none() {
            // Not before it is opened: it would be closed without a word, and the peer not know that we have finished.
            self.outgoing.close();
            self.send_stanzas();
        }
        if self.peer_finished && self.outgoing.state() == BytestreamState::Closed && self.kept.is_none() {
            self.break_off();
        }
    }

    fn send_stanzas(&mut self) {
        while let Some(stanza) = self.kept.take().or_else(|| self.next_stanza()) {
            // If the link is ending, its end says what was lost.
            if self.stream.with_link(|link, now| link.send(now, &stanza)) == Err(SendError::Full) {
                self.kept = Some(stanza);
                break;
            }
        }
    }

    /// Why nothing can be read or written any more.
    fn why(&self) -> Option<ByteLinkError> {
        let closed = self.closed.as_ref()?;
        Some(self.fault.clone().unwrap_or_else(|| ByteLinkError::Closed(Arc::clone(closed))))
    }

    fn unread(&self) -> &[u8] {
        self.inbox.get(self.read..).unwrap_or_default()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteLink<T> {
    /// Waits for the end of the link, and moves bytes until then. What was not read can still be read.
    pub async fn closed(&mut self) -> Arc<LinkClosed> {
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// The same for those who poll.
    pub fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<Arc<LinkClosed>> {
        self.turn(Who::Watcher, cx);
        self.closed.clone().map_or(Poll::Pending, Poll::Ready)
    }

    /// Something that happens on the link besides bytes: a message, or that the store could not write. 64 wait to be taken, and later
    /// ones are dropped. It is polled by whoever waits for the end.
    pub fn poll_event(&mut self, cx: &Context<'_>) -> Poll<LinkEvent> {
        self.turn(Who::Watcher, cx);
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// Moves what can be moved.
    fn turn(&mut self, who: Who, cx: &Context<'_>) {
        // First, so that nothing is missed that happens meanwhile.
        self.wakers.register(who, cx.waker());
        let waker = Waker::from(Arc::clone(&self.wakers));
        let cx = &mut Context::from_waker(&waker);
        let mut moved = false;
        while self.closed.is_none() {
            self.send();
            let Poll::Ready(Some(event)) = self.stream.poll_next_unpin(cx) else { break };
            moved = true;
            if let LinkEvent::Stanza { stanza } = event {
                self.receive(stanza);
            } else if let LinkEvent::Closed(closed) = event {
                self.closed = Some(Arc::new(closed));
            } else if !matches!(event, LinkEvent::Writable) {
                self.note(event);
            }
        }
        if moved {
            self.wakers.wake_others(who);
        }
    }

    /// Whether the connection has all that was written.
    fn is_sent(&self) -> bool {
        self.outgoing.queued() == 0 && self.kept.is_none() && self.stream.is_written()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteLink<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        this.turn(Who::Reader, cx);
        let count = this.unread().len().min(buffer.remaining());
        if count == 0 {
            return match this.why() {
                _ if this.peer_finished => Poll::Ready(Ok(())),
                Some(why) => Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))),
                None => Poll::Pending,
            };
        }
        buffer.put_slice(this.unread().get(..count).unwrap_or_default());
        this.read += count;
        this.taken = this.taken.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if this.unread().is_empty() {
            this.inbox.clear();
            this.read = 0;
        }
        // The peer may go on.
        this.turn(Who::Reader, cx);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteLink<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.turn(Who::Writer, cx);
        if let Some(why) = this.why() {
            return Poll::Ready(Err(why.into()));
        }
        let is_over = matches!(this.outgoing.state(), BytestreamState::Closing | BytestreamState::Closed);
        if this.finishes || this.is_closing || is_over {
            return Poll::Ready(Err(this.fault.clone().unwrap_or(ByteLinkError::Finished).into()));
        }
        let taken = bytes.get(..this.outgoing.writable().min(bytes.len())).unwrap_or_default();
        if taken.is_empty() && !bytes.is_empty() {
            return Poll::Pending;
        }
        this.outgoing.outgoing().extend_from_slice(taken);
        this.turn(Who::Writer, cx);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(Who::Writer, cx);
        match self.why() {
            _ if self.is_sent() => Poll::Ready(Ok(())),
            Some(why) => Poll::Ready(Err(why.into())),
            None => Poll::Pending,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finishes = true;
        self.turn(Who::Writer, cx);
        let is_done = self.outgoing.state() == BytestreamState::Closed && self.outgoing.unacked() == 0;
        match (self.why(), &self.closed) {
            _ if is_done && self.fault.is_none() => Poll::Ready(Ok(())),
            (_, Some(closed)) if self.unacked() == 0 && matches!(closed.reason, CloseReason::Done) => {
                Poll::Ready(Ok(()))
            }
            (Some(why), _) => Poll::Ready(Err(why.into())),
            (None, _) => Poll::Pending,
        }
    }
}

impl Wakers {
    fn register(&self, who: Who, waker: &Waker) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(who, waker.clone());
    }

    fn wake_others(&self, than: Who) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = waiting.remove(&than);
        let others = core::mem::take(&mut *waiting);
        waiting.extend(kept.map(|waker| (than, waker)));
        drop(waiting);
        others.into_values().for_each(Waker::wake);
    }

    fn wake_all(&self) {
        let all = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_values().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

impl<T> core::fmt::Debug for ByteLink<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (unread, unacked) = (self.unread().len(), self.unacked());
        let mut out = f.debug_struct("ByteLink");
        out.field("peer", &self.peer()).field("unread", &unread).field("unacked", &unacked).finish_non_exhaustive()
    }
}
