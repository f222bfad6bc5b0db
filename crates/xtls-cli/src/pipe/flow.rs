//! A tunnel between standard input and standard output.

use std::time::{Duration, Instant};

use xtls::{
    Application, Closed, Event,
    error::FinishError,
    jingle::{Reason, ReasonCondition},
};

use super::streams::{Ahead, Input, Sink, Source, StillOpen};
use crate::chat::no_answer;
use crate::clock;
use crate::exit::Failure;
use crate::reach::{self, Reached};
use crate::session::{Happening, Session, Verdict};

/// How long an end that was asked for by Ctrl-C may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How often it is looked whether all is acknowledged that was read before it.
const TICK: Duration = Duration::from_millis(50);

/// A secured tunnel, and what stands on both sides of it.
///
/// No more is read than the tunnel takes, and nothing is taken out of the tunnel before standard output has room: then the
/// engine withholds acknowledgements, and the peer stops.
pub(super) struct Flow {
    tunnel: Reached,
    application: Application,
    close_on_eof: bool,
    source: Source,
    sink: Sink,
    /// Bytes that were read and that the tunnel has no room for.
    held: Vec<u8>,
    /// The input had at least one byte.
    any: bool,
    input_ended: bool,
    /// There may be something to read in the tunnel.
    readable: bool,
    /// Nothing will come after that.
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
    /// Standard output takes more, or does not work any more.
    Room(bool),
}

impl Flow {
    pub(super) fn new(tunnel: Reached, application: Application, close_on_eof: bool) -> Self {
        Self {
            tunnel,
            application,
            close_on_eof,
            source: Source::start(),
            sink: Sink::start(),
            held: Vec::new(),
            any: false,
            input_ended: false,
            readable: true,
            peer_finished: false,
            rest: Vec::new(),
            still_open: StillOpen::default(),
            interrupted: None,
            unfinished: false,
            broken_off: false,
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
            self.break_off_if_unfinished(session);
            let takes_input = self.held.is_empty() && !self.input_ended && !self.unfinished;
            let deadline = self.deadline();
            let (source, sink, readable) = (&mut self.source, &mut self.sink, self.readable);
            let came = async {
                tokio::select! {
                    input = source.next(takes_input) => Came::Input(input),
                    room = sink.room(readable) => Came::Room(room),
                }
            };
            match session.next(came, deadline).await {
                Ok(Happening::Engine(Event::Closed(closed))) if closed.id == self.tunnel.id => {
                    break self.closed(session, &closed);
                }
                Ok(Happening::Engine(event)) => self.handle(session, event),
                Ok(Happening::Beside(Came::Input(input))) => self.take(session, input),
                Ok(Happening::Beside(Came::Room(true))) => self.read(session),
                // The end of the sink says why.
                Ok(Happening::Beside(Came::Room(false))) => self.break_off(session, ReasonCondition::FailedApplication),
                Ok(Happening::Interrupted) if self.interrupted.is_none() => self.interrupt(session),
                Ok(Happening::Interrupted) => return Err(Failure::interrupted()),
                Ok(Happening::Time) => self.time(session)?,
                Ok(Happening::Stanza(_)) => {}
                Err(lost) => break Err(self.lost(session, lost)),
            }
        };
        let result = self.failure.map_or(result, Err);
        Ok(Carried { result, sink: self.sink, rest: self.rest })
    }

    fn handle(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Readable { id } if id == self.tunnel.id => self.readable = true,
            Event::Writable { id } if id == self.tunnel.id => self.write(session),
            Event::PeerFinished { id } if id == self.tunnel.id => {
                self.peer_finished = true;
                if !self.input_ended {
                    self.still_open.begin(clock::now());
                }
                if !self.readable {
                    self.sink.close();
                }
            }
            // What cannot be said on standard error is lost.
            Event::Confirmed { id } if id == self.tunnel.id => {
                let _ = session.report_secured(id, &self.tunnel.peer);
            }
            Event::Incoming(incoming) => reach::decline(session, incoming, &self.application),
            _ => {}
        }
    }

    fn take(&mut self, session: &mut Session, input: Input) {
        match input {
            Input::Bytes(bytes) => {
                self.any = true;
                self.still_open.heard(clock::now());
                self.held = bytes;
                self.write(session);
            }
            Input::End if self.close_on_eof => {
                self.end_input();
                self.close(session);
            }
            Input::End | Input::Terminal => {
                self.end_input();
                self.finish(session);
            }
            // An end in order would make the peer believe that this was all.
            Input::Failed(e) => {
                self.end_input();
                let peer = &self.tunnel.peer;
                let message = format!("standard input cannot be read: {e}; the tunnel with {peer} was broken off");
                self.failure = Some(Failure::other(message).about(peer));
                self.break_off(session, ReasonCondition::FailedApplication);
            }
        }
    }

    /// Writes what is held, as far as there is room.
    fn write(&mut self, session: &mut Session) {
        let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) else { return };
        // If the tunnel is ending, its end says what was lost.
        if let Ok(taken) = tunnel.write(clock::now(), &self.held) {
            self.held.drain(..taken);
        }
    }

    /// The input has ended, and all of it is in the tunnel.
    fn finish(&self, session: &mut Session) {
        let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) else { return };
        // TLS 1.2 has one end for both directions. Input that never had a byte does not bring it about: it may be the
        // other direction that matters.
        if tunnel.finish(clock::now()) == Err(FinishError::NotInThisTls) && self.any {
            tunnel.close(clock::now());
        }
    }

    fn close(&self, session: &mut Session) {
        if let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) {
            tunnel.close(clock::now());
        }
    }

    /// Moves what has come to standard output, which has room.
    fn read(&mut self, session: &mut Session) {
        self.readable = false;
        let mut piece = Vec::new();
        if let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) {
            tunnel.read(clock::now(), &mut piece);
        }
        if !piece.is_empty() {
            self.sink.write(piece);
        }
        if self.peer_finished {
            self.sink.close();
        }
    }

    fn end_input(&mut self) {
        self.input_ended = true;
        self.still_open.end();
    }

    /// Ctrl-C ends a tunnel in order only if nothing is missing at either end: an end in order would make the peer believe
    /// that this was all.
    fn interrupt(&mut self, session: &mut Session) {
        self.interrupted = Some(clock::now() + CLOSE_TIME);
        let ours_is_done = self.input_ended || !self.any;
        self.unfinished = !(self.peer_finished && ours_is_done);
        if !self.unfinished {
            self.end_input();
            self.close(session);
        }
    }

    /// After Ctrl-C, once everything is delivered that was read before it.
    fn break_off_if_unfinished(&mut self, session: &mut Session) {
        let delivered = |session: &mut Session| {
            let tunnel = session.engine.tunnel(self.tunnel.id);
            tunnel.is_none_or(|tunnel| tunnel.unacked() == 0)
        };
        if self.unfinished && !self.broken_off && self.held.is_empty() && delivered(session) {
            self.abort(session, ReasonCondition::Cancel);
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
    fn time(&mut self, session: &mut Session) -> Result<(), Failure> {
        let now = clock::now();
        if self.still_open.is_due(now) {
            let peer = self.tunnel.peer.as_str();
            session.output.warn_of(Some(peer), &StillOpen::warning(peer));
        }
        if self.interrupted.is_none_or(|until| until > now) {
            return Ok(());
        }
        if self.unfinished {
            self.abort(session, ReasonCondition::Cancel);
            return Err(Failure::interrupted());
        }
        Err(no_answer(&self.tunnel.peer))
    }

    /// Ends the tunnel so that the peer learns of it; what has come is of no use any more.
    fn break_off(&mut self, session: &mut Session, condition: ReasonCondition) {
        self.abort(session, condition);
        if let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) {
            tunnel.read(clock::now(), &mut Vec::new());
        }
    }

    fn abort(&mut self, session: &mut Session, condition: ReasonCondition) {
        self.broken_off = true;
        if let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) {
            tunnel.abort(clock::now(), Reason::new(condition));
        }
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
                |Failure { code, message, .. }| Failure::new(*code, format!("{message}; {unacked}")),
            )),
            Verdict::Done | Verdict::GaveWay if unacked.0 == 0 && ours_is_done => Ok(()),
            Verdict::Done | Verdict::GaveWay => Err(Failure::connection(format!(
                "{} ended the tunnel before standard input had ended, or before it had everything: {unacked}",
                closed.peer
            ))
            .about(&closed.peer)),
        }
    }

    /// The connection is gone: what the engine still has is all there will be.
    fn lost(&mut self, session: &mut Session, Failure { code, message, peer }: Failure) -> Failure {
        if let Some(mut tunnel) = session.engine.tunnel(self.tunnel.id) {
            tunnel.read(clock::now(), &mut self.rest);
        }
        let mut end = None;
        while let Some(event) = session.poll_event() {
            match event {
                Event::Closed(closed) if closed.id == self.tunnel.id => {
                    let _ = session.report_closed(&closed);
                    end = Some(self.unacked(&closed).0);
                }
                _ => {}
            }
        }
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

/// A number of bytes, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked(pub(crate) u64);

impl std::fmt::Display for Unacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of standard input were not acknowledged", self.0)
    }
}
