//! Standard input and output over a link, byte for byte.
//!
//! Each direction is an in-band bytestream (XEP-0047) of its own: opened by its sender, and closed by it when its input has
//! ended and everything is acknowledged. The closing of a bytestream ends both of its directions (§ 2.3), so that one alone
//! could not say that only one input has ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xtls::link::{Link, LinkClosed, LinkEvent};
use xtls::{CloseReason, Element, error::SendError};
use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, BytestreamState, Handled, Request,
};
use xtls_stanza::jid::Jid;
use xtls_stanza::{Envelope, Ids, Iq, IqType, Limits, StanzaError};

use super::Wire;
use super::end::End;
use super::open::report_closed;
use super::verdict;
use crate::clock;
use crate::exit::Failure;
use crate::pipe::streams::{Ahead, Input, Sink, Source, StillOpen};
use crate::pipe::{self, Unacked};
use crate::session::{self, Signals};
use crate::wire;

/// Bytes in a block before base64: with 32 of them in flight 1 MiB, as the bytestream allows.
const BLOCK: u16 = 32 * 1024;
/// What may wait for standard output while blocks are still acknowledged, in bytes.
const INBOX: u64 = 512 * 1024;
/// How much goes to standard output at once, in bytes; it has two of these at most.
const PIECE: usize = 256 * 1024;
/// Answers that wait for room in the link; a peer that makes more of them is not answered any more.
const MAX_ANSWERS: usize = 64;
/// How long the end may take that was asked for, by Ctrl-C or by both inputs.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// Moves bytes until the link has ended, and then what is left to standard output.
///
/// # Errors
///
/// When not everything went through, or standard input or output failed.
pub(super) async fn carry(end: &End, wire: Wire, signals: &mut Signals) -> Result<(), Failure> {
    let peer = wire.link().peer().cloned().ok_or_else(|| Failure::other("a link with nobody"))?;
    let mut seed = [0; 32];
    end.random(&mut seed)?;
    let mut flow = Flow::new(end, wire, peer, Ids::new(seed));
    let result = flow.run(signals).await;
    let Flow { wire, sink, inbox, .. } = flow;
    wire::end(wire).await;
    result?;
    pipe::write_out(sink, inbox).await
}

/// An open link, and what stands on both sides of it.
struct Flow<'a> {
    end: &'a End,
    wire: Wire,
    peer: Jid,
    ids: Ids,
    /// Our direction, and the peer's once it is opened.
    outgoing: Bytestream,
    incoming: Option<Bytestream>,
    source: Source,
    sink: Sink,
    /// Read from standard input, for which the bytestream has no room.
    held: Vec<u8>,
    /// The input had at least one byte.
    any: bool,
    input_ended: bool,
    /// Our input alone keeps the link open.
    still_open: StillOpen,
    /// Came from the peer and waits for standard output; how many bytes ever came, and left for there.
    inbox: Vec<u8>,
    came: u64,
    written: u64,
    peer_finished: bool,
    answers: VecDeque<String>,
    /// A stanza that the link had no room for.
    unsent: Option<Element>,
    closing: bool,
    interrupted: bool,
    /// It was interrupted before all was done: the link is to be ended without closing our bytestream.
    unfinished: bool,
    until: Option<Instant>,
    /// Why it ends, if that is not for the link to say.
    failure: Option<Failure>,
}

impl<'a> Flow<'a> {
    fn new(end: &'a End, wire: Wire, peer: Jid, mut ids: Ids) -> Self {
        let mut outgoing =
            Bytestream::new(BytestreamRole::Opener, ids.next_id().as_str(), BLOCK, BytestreamConfig::default());
        outgoing.open();
        Self {
            end,
            wire,
            peer,
            ids,
            outgoing,
            incoming: None,
            source: Source::start(),
            sink: Sink::start(),
            held: Vec::new(),
            any: false,
            input_ended: false,
            still_open: StillOpen::default(),
            inbox: Vec::new(),
            came: 0,
            written: 0,
            peer_finished: false,
            answers: VecDeque::new(),
            unsent: None,
            closing: false,
            interrupted: false,
            unfinished: false,
            until: None,
            failure: None,
        }
    }

    async fn run(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        loop {
            self.send();
            let takes_input = self.held.is_empty() && !self.input_ended && !self.unfinished;
            tokio::select! {
                event = wire::event(&mut self.wire) => match event {
                    LinkEvent::Closed(closed) => return self.closed(&closed),
                    LinkEvent::Stanza { stanza } => self.receive(&stanza),
                    LinkEvent::StoreFailed { error } => self.end.store_failed(&self.wire, &error),
                    // What came before is dealt with, and the next turn sends.
                    _ => {}
                },
                input = self.source.next(takes_input) => self.take(input),
                room = self.sink.room(!self.inbox.is_empty()) => if room {
                    self.write();
                } else {
                    // The end of the sink says why.
                    self.break_off();
                },
                () = signals.next() => {
                    if self.interrupted {
                        self.wire.with_link(Link::abort);
                        return Err(Failure::interrupted());
                    }
                    self.interrupt();
                }
                () = clock::sleep_until(self.still_open.deadline()) => {
                    if self.still_open.is_due(clock::now()) {
                        let peer = self.peer.as_str();
                        self.end.output.warn_of(Some(peer), &StillOpen::warning(peer));
                    }
                }
                () = clock::sleep_until(self.until) => {
                    self.wire.with_link(Link::abort);
                    if self.unfinished {
                        return Err(Failure::interrupted());
                    }
                    let message = format!("{} does not answer the end", self.peer);
                    return Err(Failure::connection(message).about(&self.peer));
                }
            }
        }
    }

    /// Ctrl-C ends a link in order only if nothing is missing at either end: the end of our bytestream would make the peer
    /// believe that this was all.
    fn interrupt(&mut self) {
        self.interrupted = true;
        self.until.get_or_insert_with(|| clock::now() + CLOSE_TIME);
        let ours_is_done = self.input_ended || !self.any;
        self.unfinished = !(self.peer_finished && ours_is_done);
        if !self.unfinished {
            self.end_input();
        }
    }

    fn end_input(&mut self) {
        self.input_ended = true;
        self.still_open.end();
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Bytes(bytes) => {
                (self.held, self.any) = (bytes, true);
                self.still_open.heard(clock::now());
            }
            Input::End | Input::Terminal => self.end_input(),
            // An end in order would make the peer believe that this was all.
            Input::Failed(e) => {
                let peer = &self.peer;
                self.fail(Failure::other(format!(
                    "standard input cannot be read: {e}; the link with {peer} was broken off"
                )))
            }
        }
    }

    /// Moves what has come to standard output, which has room.
    fn write(&mut self) {
        let rest = self.inbox.split_off(self.inbox.len().min(PIECE));
        let piece = std::mem::replace(&mut self.inbox, rest);
        self.written = self.written.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        self.sink.write(piece);
        self.finish_output();
    }

    fn finish_output(&mut self) {
        if self.peer_finished && self.inbox.is_empty() {
            self.sink.close();
        }
    }

    /// Hands the link everything there is room for, and begins its end when both directions have ended.
    fn send(&mut self) {
        let taken = self.outgoing.writable().min(self.held.len());
        self.outgoing.outgoing().extend(self.held.drain(..taken));
        if self.input_ended && self.held.is_empty() {
            self.outgoing.close();
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.release_acks(self.written.saturating_add(INBOX));
        }
        while let Some(stanza) = self.unsent.take().or_else(|| self.next_stanza()) {
            // If the link is ending, its end says what was lost.
            if self.wire.with_link(|link, now| link.send(now, &stanza)) == Err(SendError::Full) {
                self.unsent = Some(stanza);
                break;
            }
        }
        let ours_is_over = self.outgoing.state() == BytestreamState::Closed && self.input_ended;
        // What was read before Ctrl-C is delivered.
        let is_delivered = self.unfinished && self.held.is_empty() && self.outgoing.unacked() == 0;
        if (ours_is_over && self.peer_finished || is_delivered) && self.unsent.is_none() {
            self.close();
        }
    }

    /// The next stanza to send.
    fn next_stanza(&mut self) -> Option<Element> {
        let mut text = self.answers.pop_front().unwrap_or_default();
        let envelope = Envelope::new(self.peer.as_str(), None);
        let cut = &mut |bytes: &[u8], size: usize| bytes.len().min(size);
        for stream in self.incoming.iter_mut().chain([&mut self.outgoing]) {
            if text.is_empty() {
                let _ = stream.poll(&mut self.ids, &envelope, cut, &mut text);
            }
        }
        // What this end writes can be read.
        Element::parse(&text, &Limits::default()).ok()
    }

    fn receive(&mut self, stanza: &Element) {
        let Some(Ok(iq)) = Iq::parse(stanza) else {
            if session::body(stanza).is_some() {
                self.fail(Failure::connection(format!(
                    "{} sends messages, and no bytes: --pipe is for both ends",
                    self.peer
                )));
            }
            return;
        };
        match iq.iq_type {
            IqType::Set => match iq.payload.and_then(Request::parse) {
                Some(Ok(request)) => self.request(iq.id, &request),
                Some(Err(fault)) => self.refuse(iq.id, fault),
                None => self.answer(stanza),
            },
            IqType::Result => self.acknowledged(iq.id),
            IqType::Error => self.refused(iq.id, stanza),
            _ => self.answer(stanza),
        }
    }

    fn request(&mut self, id: &str, request: &Request<'_>) {
        if request.sid() == self.outgoing.sid() {
            return self.request_for_ours(id, request);
        }
        if let (None, Request::Open { sid, .. }) = (&self.incoming, request) {
            self.incoming = Some(Bytestream::new(BytestreamRole::Acceptor, *sid, BLOCK, BytestreamConfig::default()));
        }
        let incoming = self.incoming.as_mut().filter(|incoming| incoming.sid() == request.sid());
        let Some(incoming) = incoming else { return self.refuse(id, BytestreamFault::UnknownSid) };
        match incoming.handle_request(id, request, &mut self.inbox) {
            Ok(Handled::Data { bytes }) => {
                self.came = self.came.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                incoming.mark_ack(self.came);
            }
            Ok(Handled::Closed) => {
                self.peer_finished = true;
                if !self.input_ended {
                    self.still_open.begin(clock::now());
                }
                self.finish_output();
            }
            Ok(_) => {}
            Err(fault) => {
                self.refuse(id, fault);
                if fault.ends_bytestream() {
                    self.fail(Failure::connection(format!("{} sends bytes that are none: {fault}", self.peer)));
                }
            }
        }
    }

    /// The peer has nothing to send there; it may close it, and that means that it takes no more.
    fn request_for_ours(&mut self, id: &str, request: &Request<'_>) {
        let was_over = self.outgoing.state() == BytestreamState::Closed;
        match self.outgoing.handle_request(id, request, &mut Vec::new()) {
            Ok(Handled::Closed) if !was_over => {
                self.fail(Failure::connection(format!("{} takes no more bytes", self.peer)));
            }
            Ok(Handled::Data { bytes }) if bytes > 0 => {
                self.fail(Failure::connection(format!("{} sends bytes where none may come", self.peer)));
            }
            Ok(_) => {}
            Err(fault) => self.refuse(id, fault),
        }
    }

    fn acknowledged(&mut self, id: &str) {
        match (self.outgoing.handle_result(id), &mut self.incoming) {
            (Some(Acked::Gap { .. }), _) => {
                self.fail(Failure::connection(format!("{} lets bytes go missing", self.peer)));
            }
            // The answer to a close after a fault.
            (None, Some(incoming)) => drop(incoming.handle_result(id)),
            _ => {}
        }
    }

    fn refused(&mut self, id: &str, stanza: &Element) {
        let Some(error) = StanzaError::of_stanza(stanza) else { return };
        let opens = self.outgoing.state() == BytestreamState::Opening;
        if self.outgoing.handle_error(id, &error).is_some() && self.outgoing.state() != BytestreamState::Opening {
            self.fail(Failure::connection(if opens {
                format!("{} takes no bytes: {}; --pipe is for both ends", self.peer, error.condition.as_str())
            } else {
                format!("{} refuses bytes: {}", self.peer, error.condition.as_str())
            }));
        }
    }

    fn answer(&mut self, stanza: &Element) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.extend(self.end.disco.answer(stanza));
        }
    }

    fn refuse(&mut self, id: &str, fault: BytestreamFault) {
        if self.answers.len() < MAX_ANSWERS {
            let mut text = String::new();
            Iq::write_error(&mut text, id, self.peer.as_str(), None, &fault.to_stanza_error());
            self.answers.push_back(text);
        }
    }

    /// Ends the link because of this.
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert_with(|| failure.about(&self.peer));
        self.break_off();
    }

    /// Ends the link before its time: to the peer that is visible, since its bytestreams are not closed.
    fn break_off(&mut self) {
        self.end_input();
        self.close();
    }

    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.wire.with_link(Link::close);
        }
    }

    fn closed(&mut self, closed: &LinkClosed) -> Result<(), Failure> {
        let Ahead { bytes, ended } = self.source.ahead();
        let unsent = u64::try_from(self.held.len() + bytes).unwrap_or(u64::MAX);
        let unacked = self.outgoing.unacked().saturating_add(unsent);
        report_closed(self.end, closed, self.peer.as_str(), unacked)?;
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.unfinished {
            return Err(Failure::interrupted());
        }
        if let Some(Failure { code, message, peer }) = verdict::failure(closed, "the peer", true, &self.end.own()) {
            return Err(Failure { code, message: format!("{message}; {}", Unacked(unacked)), peer });
        }
        let ours_is_done = self.input_ended || ended;
        let in_order = matches!(closed.reason, CloseReason::Done) && self.peer_finished && ours_is_done && unacked == 0;
        if in_order || self.sink.has_failed() {
            return Ok(());
        }
        Err(Failure::connection(format!(
            "{} ended the link before all bytes had passed: what came may be incomplete; {}",
            self.peer,
            Unacked(unacked)
        ))
        .about(&self.peer))
    }
}
