//! A tunnel between standard input and standard output.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use xtls::{Application, Closed, Event, error::FinishError, jingle::ReasonCondition};
use xtls_stanza::jid::FullJid;
use xtls_tokio::ByteTunnel;

use super::streams::{Ahead, Input, Sink, Source, StillOpen};
use crate::chat::no_answer;
use crate::clock;
use crate::exit::Failure;
use crate::reach;
use crate::session::{Happening, Session, Verdict};

/// How long an end that was asked for by Ctrl-C may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How often it is looked whether all is acknowledged that was read before it.
const TICK: Duration = Duration::from_millis(50);
/// How much goes to standard output at once.
const PIECE: usize = 64 * 1024;

/// A secured tunnel, and what stands on both sides of it.
///
/// No more is read than the tunnel takes, and nothing is taken out of the tunnel before standard output has room: then the
/// engine withholds acknowledgements, and the peer stops.
pub(super) struct Flow {
    tunnel: ByteTunnel,
    peer: FullJid,
    application: Application,
    close_on_eof: bool,
    source: Source,
    sink: Sink,
    /// Bytes that were read and that the tunnel has no room for.
    held: Vec<u8>,
    /// The input had at least one byte.
    any: bool,
    input_ended: bool,
    /// Standard output has room for a piece.
    has_room: bool,
    /// Nothing will come any more.
    output_ended: bool,
    /// It is known that the peer's input has ended.
    peer_finished: bool,
    /// Bytes that came out of the tunnel at its end.
    rest: Vec<u8>,
    /// Our input alone keeps the tunnel open.
    still_open: StillOpen,
    /// Ctrl-C: when to stop waiting for the end.
    interrupted: Option<Instant>,
    /// It came before all was done: the tunnel is to be broken off.
    unfinished: bool,
    /// We broke the tunnel off, because of standard output or for this reason.
    broken_off: bool,
    /// What comes is of no use any more.
    discards: bool,
    failure: Option<Failure>,
}

/// How it went; and what standard output does not have yet.
pub(super) struct Carried {
    pub(super) result: Result<(), Failure>,
    pub(super) sink: Sink,
    pub(super) rest: Vec<u8>,
}

/// What is waited for beside the session.
enum Came {
    Input(Input),
    /// The tunnel has taken all that was held.
    Written,
    /// Standard output does not work any more.
    NoRoom,
    /// The peer's input has ended.
    PeerFinished,
    Closed(Arc<Closed>),
}

impl Flow {
    pub(super) fn new(tunnel: ByteTunnel, application: Application, close_on_eof: bool) -> Self {
        Self {
            peer: tunnel.peer(),
            tunnel,
            application,
            close_on_eof,
            source: Source::start(),
            sink: Sink::start(),
            held: Vec::new(),
            any: false,
            input_ended: false,
            has_room: false,
            output_ended: false,
            peer_finished: false,
            rest: Vec::new(),
            still_open: StillOpen::default(),
            interrupted: None,
            unfinished: false,
            broken_off: false,
            discards: false,
            failure: None,
        }
    }

    /// Moves bytes until the tunnel has ended.
    ///
    /// # Errors
    ///
    /// When it was not waited for: nothing is left to be done then.
    pub(super) async fn carry(mut self, session: &mut Session) -> Result<Carried, Failure> {
        let result = loop {
            self.break_off_if_unfinished();
            let deadline = self.deadline();
            match session.next(self.step(), deadline).await {
                Ok(Happening::Beside(Came::Input(input))) => self.take(input),
                Ok(Happening::Beside(Came::Written)) => {}
                // The end of the sink says why.
                Ok(Happening::Beside(Came::NoRoom)) => self.break_off(),
                Ok(Happening::Beside(Came::PeerFinished)) => {
                    self.peer_finished = true;
                    if !self.input_ended {
                        self.still_open.begin(clock::now());
                    }
                }
                Ok(Happening::Beside(Came::Closed(closed))) => break self.closed(session, &closed),
                // What cannot be said on standard error is lost.
                Ok(Happening::Notice(Event::Confirmed { id })) if id == self.tunnel.id() => {
                    let security = self.tunnel.security();
                    let _ = security.map(|security| session.report_secured(&self.peer, &security));
                }
                Ok(Happening::Incoming(incoming)) => reach::decline(incoming, &self.application),
                Ok(Happening::Interrupted) if self.interrupted.is_none() => self.interrupt(),
                Ok(Happening::Interrupted) => return Err(Failure::interrupted()),
                Ok(Happening::Time) => self.time(session)?,
                Ok(Happening::Stanza(_) | Happening::Notice(_)) => {}
                Err(lost) => break Err(self.lost(session, lost)),
            }
        };
        let result = self.failure.map_or(result, Err);
        Ok(Carried { result, sink: self.sink, rest: self.rest })
    }

    /// Moves bytes until there is something to see to. Dropping this loses nothing.
    async fn step(&mut self) -> Came {
        loop {
            let takes_input = self.held.is_empty() && !self.input_ended && !self.unfinished;
            let wants_room = !self.has_room && !self.output_ended && !self.discards;
            let Self { tunnel, source, sink, held, has_room, output_ended, peer_finished, discards, .. } = self;
            let move_bytes = poll_fn(|cx| {
                if !held.is_empty()
                    && let Poll::Ready(Ok(taken)) = Pin::new(&mut *tunnel).poll_write(cx, held)
                {
                    held.drain(..taken);
                    return Poll::Ready(Moved::Out);
                }
                if !*output_ended && (*has_room || *discards) {
                    return read(tunnel, cx).map(Moved::In);
                }
                if tunnel.is_finished() && !*peer_finished {
                    return Poll::Ready(Moved::PeerFinished);
                }
                if *output_ended { tunnel.poll_closed(cx).map(Moved::Closed) } else { Poll::Pending }
            });
            tokio::select! {
                input = source.next(takes_input) => return Came::Input(input),
                room = sink.room(wants_room) => {
                    if !room {
                        return Came::NoRoom;
                    }
                    self.has_room = true;
                }
                moved = move_bytes => match moved {
                    Moved::Out if self.held.is_empty() => return Came::Written,
                    Moved::Out => {}
                    Moved::In(piece) if piece.is_empty() => {
                        self.output_ended = true;
                        if self.tunnel.is_finished() {
                            self.sink.close();
                        }
                    }
                    Moved::In(_) if self.discards => {}
                    Moved::In(piece) => {
                        self.has_room = false;
                        self.sink.write(piece);
                    }
                    Moved::PeerFinished => return Came::PeerFinished,
                    Moved::Closed(closed) => return Came::Closed(closed),
                },
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Bytes(bytes) => {
                self.any = true;
                self.still_open.heard(clock::now());
                self.held = bytes;
            }
            Input::End if self.close_on_eof => {
                self.end_input();
                self.tunnel.begin_close();
            }
            Input::End | Input::Terminal => {
                self.end_input();
                self.finish();
            }
            // An end in order would make the peer believe that this was all.
            Input::Failed(e) => {
                self.end_input();
                let peer = &self.peer;
                let message = format!("standard input cannot be read: {e}; the tunnel with {peer} was broken off");
                self.failure = Some(Failure::other(message).about(peer));
                self.break_off();
            }
        }
    }

    /// The input has ended, and all of it is in the tunnel.
    fn finish(&self) {
        // TLS 1.2 has one end for both directions. Input that never had a byte does not bring it about: it may be the
        // other direction that matters.
        if self.tunnel.finish() == Err(FinishError::NotInThisTls) && self.any {
            self.tunnel.begin_close();
        }
    }

    fn end_input(&mut self) {
        self.input_ended = true;
        self.still_open.end();
    }

    /// Ctrl-C ends a tunnel in order only if nothing is missing at either end: an end in order would make the peer believe
    /// that this was all.
    fn interrupt(&mut self) {
        self.interrupted = Some(clock::now() + CLOSE_TIME);
        let ours_is_done = self.input_ended || !self.any;
        self.unfinished = !(self.tunnel.is_finished() && ours_is_done);
        if !self.unfinished {
            self.end_input();
            self.tunnel.begin_close();
        }
    }

    /// After Ctrl-C, once everything is delivered that was read before it.
    fn break_off_if_unfinished(&mut self) {
        if self.unfinished && !self.broken_off && self.held.is_empty() && self.tunnel.unacked() == 0 {
            self.abort(ReasonCondition::Cancel);
        }
    }

    /// When to come back in any case.
    fn deadline(&self) -> Option<Instant> {
        let tick = (self.unfinished && !self.broken_off).then(|| clock::now() + TICK);
        [tick, self.interrupted, self.still_open.deadline()].into_iter().flatten().min()
    }

    /// # Errors
    ///
    /// When the end that was asked for takes too long.
    fn time(&mut self, session: &Session) -> Result<(), Failure> {
        let now = clock::now();
        if self.still_open.is_due(now) {
            let peer = self.peer.as_str();
            session.output.warn_of(Some(peer), &StillOpen::warning(peer));
        }
        if self.interrupted.is_none_or(|until| until > now) {
            return Ok(());
        }
        if self.unfinished {
            self.abort(ReasonCondition::Cancel);
            return Err(Failure::interrupted());
        }
        Err(no_answer(&self.peer))
    }

    /// Ends the tunnel so that the peer learns of it; what has come is of no use any more.
    fn break_off(&mut self) {
        self.discards = true;
        self.abort(ReasonCondition::FailedApplication);
    }

    fn abort(&mut self, condition: ReasonCondition) {
        self.broken_off = true;
        self.tunnel.abort(condition);
    }

    /// A piece that has come, if there is one.
    fn read_now(&mut self) -> Option<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE);
        let count = self.tunnel.read_buf(&mut piece).now_or_never()?.ok()?;
        (count > 0).then_some(piece)
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<(), Failure> {
        session.report_closed(closed)?;
        if self.unfinished {
            return Err(Failure::interrupted());
        }
        if self.broken_off {
            return Ok(());
        }
        let (unacked, ours_is_done) = self.unacked(closed);
        match Verdict::of(closed, session.own()) {
            Verdict::Failed(Failure { code, message, peer }) => {
                Err(Failure { code, message: format!("{message}; {unacked}"), peer })
            }
            Verdict::Disconnected => Err(session.lost().map_or_else(
                || Failure::connection(format!("the connection to the server is gone; {unacked}")),
                |Failure { code, message, .. }| Failure::new(code, format!("{message}; {unacked}")),
            )),
            Verdict::Done | Verdict::GaveWay if unacked.0 == 0 && ours_is_done => Ok(()),
            Verdict::Done | Verdict::GaveWay => Err(Failure::connection(format!(
                "{} ended the tunnel before standard input had ended, or before it had everything: {unacked}",
                closed.peer
            ))
            .about(&closed.peer)),
        }
    }

    /// The connection is gone: what has come is all there will be.
    fn lost(&mut self, session: &Session, Failure { code, message, peer }: Failure) -> Failure {
        while let Some(piece) = self.read_now() {
            self.rest.extend(piece);
        }
        let end = self.tunnel.end().map(|closed| {
            let _ = session.report_closed(&closed);
            self.unacked(&closed).0
        });
        Failure { message: end.map_or_else(|| message.clone(), |unacked| format!("{message}; {unacked}")), code, peer }
    }

    /// What was read from standard input and not acknowledged; and whether there is nothing more to read. An input without
    /// any byte has no say.
    fn unacked(&mut self, closed: &Closed) -> (Unacked, bool) {
        let Ahead { bytes, ended } = self.source.ahead();
        self.any |= bytes > 0;
        let unsent = u64::try_from(self.held.len() + bytes).unwrap_or(u64::MAX);
        (Unacked(closed.unacked.saturating_add(unsent)), self.input_ended || ended || !self.any)
    }
}

/// What has moved.
enum Moved {
    /// From standard input.
    Out,
    /// To standard output. It is empty at the end.
    In(Vec<u8>),
    PeerFinished,
    Closed(Arc<Closed>),
}

/// A piece that has come, empty at the end, whatever end it is: the tunnel's says more.
fn read(tunnel: &mut ByteTunnel, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    let read = ready!(Pin::new(tunnel).poll_read(cx, &mut buffer));
    let count = if read.is_ok() { buffer.filled().len() } else { 0 };
    piece.truncate(count);
    Poll::Ready(piece)
}

/// A number of bytes, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked(pub(crate) u64);

impl std::fmt::Display for Unacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of standard input were not acknowledged", self.0)
    }
}
