//! Standard input and output on one side, and what carries their bytes on the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use xtls::jingle::ReasonCondition;
use xtls_stanza::jid::Jid;

use super::streams::{Ahead, Input, Ready, Sink, Source, StillOpen, Unconfirmed};
use crate::clock;
use crate::exit::Failure;
use crate::output::{Moved as Count, Output, Progress};

/// How long an end that was asked for by Ctrl-C may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How often it is looked whether all is acknowledged that was read before it.
const TICK: Duration = Duration::from_millis(50);
/// How much goes to standard output at once.
const PIECE: usize = 64 * 1024;

/// What carries bytes in both directions: a tunnel, or a link.
pub(crate) trait Way: AsyncRead + AsyncWrite + Unpin {
    /// What people call it.
    const NAME: &'static str;
    /// How it ended.
    type End;
    /// What else happens.
    type Other;

    /// Bytes that were written and not acknowledged.
    fn unacked(&self) -> u64;
    /// Whether the peer has sent its last byte.
    fn is_finished(&self) -> bool;
    /// Begins the end of our direction; `any` says whether it ever had a byte.
    fn finish(&mut self, any: bool);
    /// Whether the peer has yet to confirm that it has everything.
    fn awaits_receipt(&self) -> bool;
    /// Confirms to the peer that standard output has all that it sent.
    fn confirm(&mut self);
    /// Begins the end in order.
    fn end(&mut self);
    /// Ends it so that the peer learns that it is not all.
    fn break_off(&mut self, condition: ReasonCondition);
    /// Waits for the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Self::End>;
    /// Waits for anything else.
    fn poll_other(&mut self, cx: &mut Context<'_>) -> Poll<Self::Other>;
}

/// A way, and what stands on both sides of it.
///
/// No more is read than the way takes, and nothing is taken out of it before standard output has room: then acknowledgements are
/// withheld, and the peer stops.
pub(crate) struct Flow<W> {
    pub(crate) way: W,
    pub(crate) peer: Jid,
    close_on_eof: bool,
    source: Source,
    pub(crate) sink: Sink,
    /// Bytes that were read and that the way has no room for.
    held: Vec<u8>,
    /// How many bytes were read of the input, and how many came for the output.
    read: u64,
    received: u64,
    /// A user watches how they move.
    progress: Option<Progress>,
    /// The input had at least one byte.
    any: bool,
    input_ended: bool,
    /// Standard output has room for a piece.
    has_room: bool,
    /// Nothing will come any more.
    output_ended: bool,
    /// It is known that the peer's input has ended.
    peer_finished: bool,
    /// Our input alone keeps it open.
    still_open: StillOpen,
    /// Our input has ended, and the peer has not confirmed that it has everything.
    unconfirmed: Unconfirmed,
    /// Ctrl-C: when to stop waiting for the end.
    interrupted: Option<Instant>,
    /// It came before all was done: it is to be broken off.
    pub(crate) unfinished: bool,
    /// We broke it off, because of standard output or for this reason.
    pub(crate) broken_off: bool,
    /// What comes is of no use any more.
    discards: bool,
    pub(crate) failure: Option<Failure>,
}

/// What is to be seen to.
pub(crate) enum Came<W: Way> {
    /// Bytes have moved, or standard input or output has ended: nothing is to be done.
    Moved,
    End(W::End),
    Other(W::Other),
}

/// What has moved.
enum Moved<W: Way> {
    /// From standard input.
    Out,
    /// To standard output. It is empty at the end.
    In(Vec<u8>),
    PeerFinished,
    End(W::End),
    Other(W::Other),
}

impl<W: Way> Flow<W> {
    pub(crate) fn new(way: W, peer: Jid, close_on_eof: bool, output: Output) -> Self {
        Self {
            way,
            peer,
            close_on_eof,
            source: Source::start(),
            sink: Sink::start(),
            held: Vec::new(),
            read: 0,
            received: 0,
            progress: Progress::start(output, clock::now()),
            any: false,
            input_ended: false,
            has_room: false,
            output_ended: false,
            peer_finished: false,
            still_open: StillOpen::default(),
            unconfirmed: Unconfirmed::default(),
            interrupted: None,
            unfinished: false,
            broken_off: false,
            discards: false,
            failure: None,
        }
    }

    /// Moves bytes until there is something to see to. Dropping this loses nothing.
    pub(crate) async fn step(&mut self) -> Came<W> {
        let takes_input = self.held.is_empty() && !self.input_ended && !self.unfinished;
        let wants_room = !self.has_room && !self.output_ended && !self.discards;
        let Self { way, source, sink, held, has_room, output_ended, peer_finished, discards, .. } = self;
        let move_bytes = poll_fn(|cx| -> Poll<Moved<W>> {
            if !held.is_empty()
                && let Poll::Ready(Ok(taken)) = Pin::new(&mut *way).poll_write(cx, held)
            {
                held.drain(..taken);
                return Poll::Ready(Moved::Out);
            }
            if let Poll::Ready(other) = way.poll_other(cx) {
                return Poll::Ready(Moved::Other(other));
            }
            if !*output_ended
                && (*has_room || *discards)
                && let Poll::Ready(piece) = read(way, cx)
            {
                return Poll::Ready(Moved::In(piece));
            }
            if way.is_finished() && !*peer_finished {
                return Poll::Ready(Moved::PeerFinished);
            }
            way.poll_end(cx).map(Moved::End)
        });
        tokio::select! {
            input = source.next(takes_input) => self.take(input),
            ready = sink.ready(wants_room) => match ready {
                Ready::Room => self.has_room = true,
                Ready::Written => self.way.confirm(),
                // The end of the sink says why.
                Ready::Failed => self.break_off(),
            },
            moved = move_bytes => match moved {
                Moved::Out => {}
                Moved::In(piece) if piece.is_empty() => {
                    self.output_ended = true;
                    if self.way.is_finished() {
                        self.sink.close();
                    }
                }
                Moved::In(_) if self.discards => {}
                Moved::In(piece) => {
                    self.received += count(&piece);
                    self.progress.take_if(|progress| progress.is_in_the_way());
                    self.has_room = false;
                    self.sink.write(piece);
                }
                Moved::PeerFinished => {
                    self.peer_finished = true;
                    if !self.input_ended {
                        self.still_open.begin(clock::now());
                    }
                }
                Moved::End(end) => {
                    self.progress = None;
                    return Came::End(end);
                }
                Moved::Other(other) => return Came::Other(other),
            },
        }
        self.show_progress();
        Came::Moved
    }

    fn show_progress(&mut self) {
        let now = clock::now();
        if self.progress.as_ref().is_none_or(|progress| now < progress.deadline()) {
            return;
        }
        let unsent = count(&self.held).saturating_add(self.way.unacked());
        let sent = self.read.saturating_sub(unsent);
        let moved = Count { sent, left: self.left(), received: self.received, coming: None };
        self.progress.iter_mut().for_each(|progress| progress.show(now, moved));
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Bytes(bytes) => {
                self.any = true;
                self.read += count(&bytes);
                self.still_open.heard(clock::now());
                self.held = bytes;
            }
            Input::End if self.close_on_eof => {
                self.end_input();
                self.way.end();
            }
            Input::End | Input::Terminal => {
                self.end_input();
                self.way.finish(self.any);
            }
            // An end in order would make the peer believe that this was all.
            Input::Failed(e) => {
                let (name, peer) = (W::NAME, &self.peer);
                self.fail(Failure::other(format!(
                    "standard input cannot be read: {e}; the {name} with {peer} was broken off"
                )));
            }
        }
    }

    /// Ends it because of this.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert_with(|| failure.about(&self.peer));
        self.break_off();
    }

    /// Ends it so that the peer learns of it; what has come is of no use any more.
    fn break_off(&mut self) {
        self.end_input();
        self.discards = true;
        self.abort(ReasonCondition::FailedApplication);
    }

    fn abort(&mut self, condition: ReasonCondition) {
        self.broken_off = true;
        self.way.break_off(condition);
    }

    fn end_input(&mut self) {
        if !core::mem::replace(&mut self.input_ended, true) {
            self.unconfirmed.begin(clock::now());
        }
        self.still_open.end();
    }

    /// Whether nothing is left to do but to wait until the peer confirms that it has everything.
    fn waits_for_receipt(&self) -> bool {
        let has_left = self.held.is_empty() && self.way.unacked() == 0;
        self.any && has_left && !self.broken_off && self.way.awaits_receipt()
    }

    /// Ctrl-C ends it in order only if nothing is missing at either end: an end in order would make the peer believe that
    /// this was all. A second time is too much.
    ///
    /// # Errors
    ///
    /// The second time.
    pub(crate) fn interrupt(&mut self) -> Result<(), Failure> {
        if self.interrupted.is_some() {
            return Err(Failure::interrupted());
        }
        self.interrupted = Some(clock::now() + CLOSE_TIME);
        let ours_is_done = self.input_ended || !self.any;
        self.unfinished = !(self.way.is_finished() && ours_is_done);
        if !self.unfinished {
            self.end_input();
            self.way.end();
        }
        Ok(())
    }

    /// After Ctrl-C, once everything is delivered that was read before it.
    pub(crate) fn break_off_if_unfinished(&mut self) {
        if self.unfinished && !self.broken_off && self.held.is_empty() && self.way.unacked() == 0 {
            self.abort(ReasonCondition::Cancel);
        }
    }

    /// When to call [`Flow::time`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let tick = (self.unfinished && !self.broken_off).then(|| clock::now() + TICK);
        let progress = self.progress.as_ref().map(Progress::deadline);
        [tick, progress, self.interrupted, self.still_open.deadline(), self.unconfirmed.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed. `no_answer` is what to say when the end that was asked for takes too long.
    ///
    /// # Errors
    ///
    /// When it does.
    pub(crate) fn time(&mut self, output: Output, no_answer: impl FnOnce(&Jid) -> Failure) -> Result<(), Failure> {
        let now = clock::now();
        self.show_progress();
        if self.still_open.is_due(now) {
            let peer = self.peer.as_str();
            output.warn_of(Some(peer), &StillOpen::warning(peer));
        }
        let waits = self.waits_for_receipt();
        if self.unconfirmed.is_due(now, waits) {
            // What cannot be said on standard error is lost.
            let _ = output.note(&format!("waiting until {} confirms that it has all of standard input", self.peer));
        } else if self.input_ended && !self.way.awaits_receipt() {
            self.unconfirmed.end();
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

    /// What has come and standard output does not have yet.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.progress = None;
        let mut rest = Vec::new();
        while matches!(self.way.read_buf(&mut rest).now_or_never(), Some(Ok(1..))) {}
        rest
    }

    /// How many bytes are to be sent or acknowledged still, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        let unread = if self.input_ended { Some(0) } else { self.source.left() };
        unread.map(|unread| unread.saturating_add(count(&self.held)).saturating_add(self.way.unacked()))
    }

    /// What was read from standard input and not acknowledged, as `unacked` bytes were not; and whether there is nothing more to
    /// read.
    pub(crate) fn unacked(&mut self, unacked: u64) -> (Unacked, bool) {
        let Ahead { bytes, ended } = self.source.ahead();
        self.any |= bytes > 0;
        let unsent = u64::try_from(self.held.len() + bytes).unwrap_or(u64::MAX);
        (Unacked(unacked.saturating_add(unsent)), self.input_ended || ended)
    }

    /// Whether there was not a byte of input: that has no say.
    pub(crate) fn has_no_input(&self) -> bool {
        !self.any
    }
}

/// A number of bytes, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked(pub(crate) u64);

impl std::fmt::Display for Unacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of standard input were not acknowledged", self.0)
    }
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A piece that has come, empty at the end, whatever end it is: that of the way says more.
fn read<W: Way>(way: &mut W, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    let read = ready!(Pin::new(way).poll_read(cx, &mut buffer));
    let count = if read.is_ok() { buffer.filled().len() } else { 0 };
    piece.truncate(count);
    Poll::Ready(piece)
}
