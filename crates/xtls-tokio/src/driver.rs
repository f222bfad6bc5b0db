//! The driver: moves stanzas, time and events between an engine and an outer stream.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::{collections::VecDeque, io, sync::Arc};

use futures::{Stream as _, channel::mpsc};
use tokio::time::Sleep;
use xtls::{
    Disposition, Element, Engine, Event,
    xml::{Condition, Disco, Iq, IqType, StanzaError},
};

use crate::{
    End, Handle, OuterStanza, OuterStream, Received, Stanzas,
    connections::Connections,
    shared::{Core, Shared, State, now},
};

/// How many stanzas are moved in one direction before the other one has its turn.
const BATCH: usize = 32;
/// How many bytes of the engine's stanzas are sent before other tasks run: those who pass them on find them in the cache.
const BATCH_BYTES: usize = 128 * 1024;
/// How often both directions have their turn before the driver lets other tasks run.
const TURNS: usize = 8;
/// How many stanzas wait for the client, and from each of its senders for the outer stream; one more on either way.
pub(crate) const CLIENT_STANZAS: usize = 32;
/// How many answers of the driver's own wait until nothing more is received.
const MAX_ANSWERS: usize = 64;
/// What is still received after nothing can be sent any more, at most.
const LAST_STANZAS: usize = 1024;

/// Drives an [`Engine`] over an [`OuterStream`]: a future to be spawned, or polled beside others. It ends with the outer stream,
/// which it gives back.
///
/// Everything stands still while it is not polled. If it is dropped, all tunnels end as with a connection that breaks.
#[must_use = "nothing happens while it is not polled"]
pub struct Driver<O: OuterStream> {
    core: Arc<Core>,
    /// `None` once it was given back.
    outer: Option<O>,
    to_client: mpsc::Sender<O::Stanza>,
    from_client: mpsc::Receiver<O::Stanza>,
    /// A stanza that the client has no room for. Nothing more is received meanwhile.
    kept: Option<O::Stanza>,
    disco: Option<Disco>,
    takes: Option<Takes<O::Stanza>>,
    answers: VecDeque<String>,
    /// The engine's turn to send, and not the client's.
    engines_turn: bool,
    /// Bytes of the engine's stanzas since other tasks ran.
    bytes: usize,
    /// The outer stream has no room.
    is_blocked: bool,
    is_flushed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    connections: Connections,
}

type Takes<S> = Box<dyn FnMut(&S) -> bool + Send>;

/// How a [`Driver`] ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<O> {
    /// The outer stream. What can still be done with it depends on `end`.
    pub outer: O,
    /// Why.
    pub end: End,
}

impl<O: OuterStream> Driver<O> {
    /// A driver of this engine over this stream, a handle for tunnels, and the client's share of the stanzas.
    pub fn new(mut engine: Engine, outer: O) -> (Self, Handle, Stanzas<O::Stanza>) {
        if let Some(limit) = outer.stanza_limit() {
            // What is known already counts as well.
            let known = engine.stanza_limit().unwrap_or(u32::MAX);
            engine.set_stanza_limit(now(), Some(limit.min(known)));
        }
        let core = Core::new(engine, O::Stanza::carries);
        let (to_client, receiver) = mpsc::channel(CLIENT_STANZAS);
        let (sender, from_client) = mpsc::channel(CLIENT_STANZAS);
        let handle = Handle::new(Shared::new(&core));
        let stanzas = Stanzas::new(Shared::new(&core), receiver, sender);
        let driver = Self {
            core,
            outer: Some(outer),
            to_client,
            from_client,
            kept: None,
            disco: None,
            takes: None,
            answers: VecDeque::new(),
            engines_turn: false,
            bytes: 0,
            is_blocked: false,
            is_flushed: true,
            timer: None,
            connections: Connections::new(),
        };
        (driver, handle, stanzas)
    }

    /// The same, which answers service discovery (XEP-0030) by this. Otherwise the client does.
    pub fn with_disco(mut self, disco: Disco) -> Self {
        self.core.lock().caps = Some(disco.caps().clone());
        self.disco = Some(disco);
        self
    }

    /// The same, which first sends our presence with these capabilities (XEP-0115), so that peers find us and we hear of them. A client
    /// that says more in its presence sends it by itself, with [`Disco::caps`] inside.
    pub fn with_presence(mut self, disco: Disco) -> Self {
        let mut presence = String::from("<presence>");
        disco.caps().write(&mut presence);
        self.answers.push_front(presence + "</presence>");
        self.with_disco(disco)
    }

    /// The same, which shows us by directed presence to peers that look for us and do not see our presence (XEP-0276, RFC 6121 § 4.6):
    /// those that the engine tells of by [`Event::PresenceWanted`], and no strangers. It needs [`with_disco`](Self::with_disco).
    pub fn shown_to_callers(self) -> Self {
        self.core.lock().shows = true;
        self
    }

    /// The same, which takes the connections that come to this listener for tunnels (feature `net`; it needs
    /// [`Config::socks5`](xtls::Config::socks5)). Tell peers where it is: put its addresses among the
    /// [endpoints](xtls::transports::Reach::endpoints) of a tunnel. At most 16 visitors are heard at once, each for 10 s, and those whose
    /// bytestream no tunnel expects are refused.
    #[cfg(feature = "net")]
    pub fn with_listener(mut self, listener: tokio::net::TcpListener) -> Self {
        self.connections.listen(listener);
        self
    }

    /// The same beside another Jingle stack: `takes` is asked for each Jingle or in-band bytestream stanza that belongs to no
    /// session of the engine. Those that it takes go to the client; the others are refused, as all are without it.
    pub fn beside(mut self, takes: impl FnMut(&O::Stanza) -> bool + Send + 'static) -> Self {
        self.takes = Some(Box::new(takes));
        self
    }

    /// The same, which shows each event to `observer` before it is passed on, with the engine as it is then: for logs and traces. It must
    /// not call anything of this crate, which would wait for ever.
    pub fn observed(self, observer: impl FnMut(&mut Engine, &Event) + Send + 'static) -> Self {
        self.core.lock().observer = Some(Box::new(observer));
        self
    }

    /// Both directions and the time have a turn. `None` when there is nothing more to do for now.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Option<()>, End> {
        let came = self.receive(cx, BATCH)?;
        // What has come was on its way before the time passed.
        let due = !came && self.expire();
        self.core.lock().dispatch();
        let sent = match self.send(cx) {
            Ok(sent) => sent,
            Err(error) => {
                // What the server said last may say why, and answers what was asked.
                let _ = self.receive(cx, LAST_STANZAS)?;
                return Err(End::Lost(Arc::new(error)));
            }
        };
        let moved = self.connections.turn(&self.core, cx);
        self.core.lock().wake_watched();
        if came || due || sent || moved {
            return Ok(Some(()));
        }
        self.is_asked_to_end()?;
        Ok(self.arm(cx).then_some(()))
    }

    /// Takes what has come, up to so many stanzas; whether anything had.
    fn receive(&mut self, cx: &mut Context<'_>, most: usize) -> Result<bool, End> {
        let mut came = 0;
        while self.client_has_room(cx) && self.answers.len() < MAX_ANSWERS && came < most {
            let Some(outer) = &mut self.outer else { break };
            let Poll::Ready(received) = outer.poll_recv(cx) else { break };
            match received {
                Received::Stanza(stanza) => self.take(stanza)?,
                Received::Suspended => self.core.lock().engine.handle_suspended(now()),
                Received::Resumed => self.core.lock().engine.handle_resumed(now()),
                Received::Ended => return Err(End::Ended),
                Received::Lost(error) => return Err(End::Lost(Arc::new(error))),
                Received::StanzaTooLarge(error) => {
                    self.core.lock().engine.stanza_too_large(now());
                    return Err(End::Lost(Arc::new(error)));
                }
            }
            came += 1;
        }
        if came > 0 && self.core.lock().seekers > 0 {
            self.core.news.notify_waiters();
        }
        Ok(came > 0)
    }

    /// The engine sees every stanza first.
    fn take(&mut self, stanza: O::Stanza) -> Result<(), End> {
        let now = now();
        let disposition = stanza.offer(&mut self.core.lock().engine, now);
        match disposition {
            Disposition::Consumed => {}
            Disposition::Unclaimed(refusal) => {
                if self.takes.as_mut().is_some_and(|takes| takes(&stanza)) {
                    self.kept = Some(stanza);
                } else {
                    self.core.lock().engine.refuse(now, refusal);
                }
            }
            Disposition::Malformed(error) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                return Err(End::Lost(Arc::new(error)));
            }
            Disposition::NotOurs if self.is_answer(&stanza) => {}
            Disposition::NotOurs | Disposition::Observed | _ => match self.answer(&stanza) {
                Some(answer) => self.answers.push_back(answer),
                None => self.kept = Some(stanza),
            },
        }
        Ok(())
    }

    /// Whether this answers a question of a search; if so, the search has the answer.
    fn is_answer(&self, stanza: &O::Stanza) -> bool {
        let mut state = self.core.lock();
        let State { questions_asked: questions, searches, .. } = &mut *state;
        let is_awaited = questions.are_open() || searches.are_open();
        let answer = if is_awaited { stanza.to_answer() } else { None };
        answer.is_some_and(|answer| questions.take(&answer) || searches.take(&answer))
    }

    /// The answer to a request that the driver answers itself.
    fn answer(&self, stanza: &O::Stanza) -> Option<String> {
        let is_alone = self.to_client.is_closed();
        if self.disco.is_none() && !is_alone {
            return None;
        }
        let request: Element = stanza.to_request()?;
        let iq = Iq::parse(&request)?.ok()?;
        let from = iq.from.filter(|_| matches!(iq.iq_type, IqType::Get | IqType::Set))?;
        let mut answer = String::new();
        if self.disco.as_ref().is_some_and(|disco| disco.answer(&iq, from, None, &mut answer)) {
            return Some(answer);
        }
        is_alone.then(|| {
            // RFC 6120 § 8.2.3: a request is answered, if only by this.
            Iq::write_error(&mut answer, iq.id, from, None, &StanzaError::new(Condition::ServiceUnavailable));
            answer
        })
    }

    /// Hands over what the client has not had, and tells whether there is room for more. A client that has gone wants none.
    fn client_has_room(&mut self, cx: &mut Context<'_>) -> bool {
        if self.kept.is_none() {
            return true;
        }
        match self.to_client.poll_ready(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => {
                if let Some(stanza) = self.kept.take() {
                    let _ = self.to_client.start_send(stanza);
                }
                true
            }
            Poll::Ready(Err(_)) => {
                self.kept = None;
                true
            }
        }
    }

    /// Tells the engine that time has passed, if it waits for that.
    fn expire(&self) -> bool {
        let mut state = self.core.lock();
        let now = now();
        let due = state.engine.poll_timeout().is_some_and(|deadline| deadline.at <= now);
        if due {
            state.engine.handle_timeout(now);
        }
        due
    }

    /// Hands the outer stream what there is to send, as far as it has room; whether there was anything.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut sent = 0;
        self.is_blocked = false;
        while sent < BATCH && self.bytes < BATCH_BYTES {
            let Some(outer) = &mut self.outer else { break };
            let Poll::Ready(ready) = outer.poll_ready(cx) else {
                self.is_blocked = true;
                break;
            };
            ready?;
            let Some(stanza) = self.next_stanza(cx) else { break };
            let Some(outer) = &mut self.outer else { break };
            outer.start_send(stanza)?;
            self.is_flushed = false;
            sent += 1;
        }
        if !self.is_flushed
            && let Some(outer) = &mut self.outer
            && let Poll::Ready(flushed) = outer.poll_flush(cx)
        {
            flushed?;
            self.is_flushed = true;
        }
        Ok(sent > 0)
    }

    /// What is to be sent next: answers first, then the client's stanzas and the engine's in turns.
    fn next_stanza(&mut self, cx: &mut Context<'_>) -> Option<O::Stanza> {
        if let Some(answer) = self.answers.pop_front() {
            // What cannot be said is not.
            if let Ok(answer) = O::Stanza::from_text(answer) {
                return Some(answer);
            }
        }
        let question = {
            let mut state = self.core.lock();
            state.questions_asked.next().or_else(|| state.searches.next())
        };
        if let Some(question) = question.and_then(|question| O::Stanza::from_text(question).ok()) {
            return Some(question);
        }
        self.engines_turn = !self.engines_turn;
        if self.engines_turn
            && let Some(stanza) = self.engines()
        {
            return Some(stanza);
        }
        if let Poll::Ready(Some(stanza)) = Pin::new(&mut self.from_client).poll_next(cx) {
            return Some(stanza);
        }
        if self.engines_turn { None } else { self.engines() }
    }

    /// The engine's next stanza. One that cannot be sent is as good as lost on the way.
    fn engines(&mut self) -> Option<O::Stanza> {
        loop {
            let mut text = String::new();
            let _ = self.core.lock().engine.poll_transmit(now(), &mut text)?;
            self.bytes += text.len();
            if let Ok(stanza) = O::Stanza::from_text(text) {
                return Some(stanza);
            }
        }
    }

    /// Ends once it was asked to and nothing is left to be done.
    fn is_asked_to_end(&self) -> Result<(), End> {
        let mut state = self.core.lock();
        if !state.closing && !self.core.has_users() {
            state.close_all();
        }
        let is_idle = state.is_idle() && (state.stopping || self.connections.is_idle());
        let is_done = state.closing && is_idle && self.is_flushed && !self.is_blocked;
        if is_done { Err(End::Shutdown) } else { Ok(()) }
    }

    /// Sets the timer. Whether its time has come already.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.core.lock().engine.poll_timeout().map(|deadline| deadline.at) else { return false };
        let at = tokio::time::Instant::from_std(at);
        match &mut self.timer {
            Some(timer) if timer.deadline() == at => {}
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

impl<O: OuterStream> Future for Driver<O> {
    type Output = Ended<O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended<O>> {
        let this = &mut *self;
        // From here on whoever has something for the driver wakes it; what they had before is seen below.
        this.core.lock().driven_by(cx.waker());
        this.bytes = 0;
        for _ in 0..TURNS {
            if this.bytes >= BATCH_BYTES {
                break;
            }
            match this.turn(cx) {
                Ok(Some(())) => {}
                Ok(None) => return Poll::Pending,
                Err(end) => {
                    this.core.lock().end(end.clone());
                    this.to_client.close_channel();
                    this.from_client.close();
                    let Some(outer) = this.outer.take() else { return Poll::Pending };
                    return Poll::Ready(Ended { outer, end });
                }
            }
        }
        // However much comes, time passes.
        this.expire();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<O: OuterStream> Drop for Driver<O> {
    fn drop(&mut self) {
        if self.outer.is_some() {
            self.core.lock().end(End::Dropped);
        }
    }
}

impl<O: OuterStream> core::fmt::Debug for Driver<O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("ended", &self.outer.is_none()).finish_non_exhaustive()
    }
}
