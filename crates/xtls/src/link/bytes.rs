//! Bytes and time that come in, bytes that go out.

use core::time::Duration;
use std::time::Instant;

use xtls_stanza::Method;
use xtls_stream::{DirectStream, StreamSendError};
use xtls_tls::{TlsSession, WriteError};

use super::{EndedBy, Link, LinkDeadline, LinkFault, LinkReason, LinkSendError, LinkStage, LinkTimer};
use crate::fault::Fault;

/// How much of the input TLS gets at a time.
const CHUNK: usize = 4096;

/// Plaintext that waits for the stream until no more is taken.
const MAX_EARLY: usize = 16 * 1024;

/// What answers may take beyond the bound for what is sent by command.
const ANSWERS: usize = 64 * 1024;

impl Link {
    /// Brings in bytes from the connection, cut anyhow, and returns how many were taken.
    ///
    /// Fewer than all are taken when too much waits to be polled, or while a person judges a certificate: pass the rest
    /// again after polling, or after the answer. Once the link has ended all are taken and have no effect.
    #[must_use = "bytes that were not taken must be passed again"]
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.clock.advance(now);
        if !bytes.is_empty() {
            self.heard_at = self.clock.now();
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.takes_bytes() {
            let used = if self.tls.is_some() { self.tls_bytes(rest) } else { self.clear_bytes(rest) };
            rest = rest.get(used..).unwrap_or_default();
            if used == 0 {
                break;
            }
        }
        if self.is_over() { bytes.len() } else { bytes.len() - rest.len() }
    }

    /// The connection ended in the incoming direction. What was not taken before is lost.
    pub fn handle_end(&mut self, now: Instant) {
        self.clock.advance(now);
        self.input_ended.get_or_insert(true);
        self.deliver();
    }

    /// Lets time pass. An extra call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock.advance(now);
        // Each turn ends the link or moves a deadline into the future.
        while let Some(due) = self.poll_timeout().filter(|due| due.at <= self.clock.now()) {
            match due.timer {
                LinkTimer::KeepAlive => {
                    self.sent_at = self.clock.now();
                    let mut space = Vec::new();
                    if self.stream.keep_alive(&mut space).is_ok() {
                        self.emit(&space);
                    }
                }
                // The peer has not answered our end; whatever was to come from it is lost.
                LinkTimer::Close => self.end(EndedBy::Local, LinkReason::Done),
                timer @ (LinkTimer::Step | LinkTimer::Question | LinkTimer::Handshake | LinkTimer::Silence) => {
                    self.fail(LinkFault::Timeout { timer, stage: self.stage });
                }
            }
        }
    }

    /// The next deadline, if there is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<LinkDeadline> {
        let timers = &self.config.timers;
        let is_open = self.stage == LinkStage::Open;
        let from = |start: Instant, wait: Option<Duration>, timer| {
            let at = start.checked_add(wait.filter(|_| is_open)?)?;
            Some(LinkDeadline { at, timer })
        };
        let keep_alive = from(self.sent_at, timers.keep_alive, LinkTimer::KeepAlive);
        let silence = from(self.heard_at, timers.silence, LinkTimer::Silence);
        [self.wait, silence, keep_alive].into_iter().flatten().min_by_key(|deadline| deadline.at)
    }

    fn takes_bytes(&self) -> bool {
        let has_room = self.events.has_room() && self.early.len() < MAX_EARLY;
        let waiting = self.out.len().saturating_add(self.held.len());
        !self.is_over() && has_room && waiting < self.config.send_buffer.saturating_add(ANSWERS)
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == LinkStage::Ended
    }

    fn clear_bytes(&mut self, bytes: &[u8]) -> usize {
        const ENOUGH_TO_TELL: usize = 8;
        let missing = ENOUGH_TO_TELL.saturating_sub(self.first.len());
        self.first.extend(bytes.iter().take(missing));
        let mut answer = Vec::new();
        let used = self.stream.handle_bytes(bytes, &mut self.ids, &mut answer);
        self.emit(&answer);
        let told = self.drain_stream(used);
        self.deliver();
        // Events that were in the way are gone now.
        if used == 0 && told && !self.is_over() && self.tls.is_none() { self.clear_bytes(bytes) } else { used }
    }

    fn tls_bytes(&mut self, bytes: &[u8]) -> usize {
        let chunk = bytes.get(..CHUNK).unwrap_or(bytes);
        if let Some(until) = self.no_more_guesses() {
            self.fail(Fault::PasswordLocked { until }.into());
            return chunk.len();
        }
        let Some(tls) = &mut self.tls else { return 0 };
        let handshaking = tls.is_handshaking();
        let result = tls.read(chunk, &mut self.early, &mut self.held);
        let complete = handshaking && tls.handshake_complete();
        let is_accepted = !self.early.is_empty() || tls.tickets_received() > 0;
        if tls.peer_closed() {
            self.input_ended.get_or_insert(false);
        }
        if complete && result.is_ok() {
            self.judge();
        } else if self.stage == LinkStage::Handshake {
            self.answered_handshake();
        }
        if self.stage != LinkStage::Judging && !self.is_over() {
            self.release();
        }
        if is_accepted && self.stage == LinkStage::Restarting {
            self.secured();
        }
        self.deliver();
        if let Err(error) = result {
            if complete && self.method == Some(Method::Srp) {
                self.password_was_right = true;
            }
            if self.stage == LinkStage::Judging {
                self.held.clear();
            }
            self.release();
            let pins = self.record().fingerprints();
            self.fail(Fault::of_tls(error, pins).into());
        }
        chunk.len()
    }

    /// Hands the stream what has come, as far as there is room for what it makes of it.
    pub(super) fn deliver(&mut self) {
        while self.is_passing() && !self.early.is_empty() && self.events.has_room() && !self.is_over() {
            let mut early = core::mem::take(&mut self.early);
            let mut answer = Vec::new();
            let used = self.stream.handle_bytes(&early, &mut self.ids, &mut answer);
            early.drain(..used);
            self.early = early;
            self.emit(&answer);
            if !self.drain_stream(used) && used == 0 {
                break;
            }
        }
        if self.input_ended.is_some() && !self.is_over() && (self.early.is_empty() || !self.lets_pass()) {
            let mut answer = Vec::new();
            self.stream.handle_end(&mut self.ids, &mut answer);
            self.emit(&answer);
            self.drain_stream(0);
            // Nothing else can come, whatever the stream made of it.
            if !self.is_over() {
                self.fail(LinkFault::EndedEarly { stage: self.stage, truncated: self.is_truncated() });
            }
        }
    }

    /// Whether plaintext passes: the peer is authenticated, or is a client that has yet to.
    pub(super) fn lets_pass(&self) -> bool {
        self.verified.is_some() || self.is_client_encrypted()
    }

    /// The same, and it is the peer's turn: behind a client's header the features come first.
    fn is_passing(&self) -> bool {
        self.lets_pass() && self.stage != LinkStage::Offering
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.input_ended.unwrap_or_default()
    }

    /// Sends what the stream has written: in clear before TLS is agreed on, through TLS once the peer is authenticated, and
    /// not at all between the two.
    pub(super) fn emit(&mut self, text: &[u8]) {
        let lets_pass = self.lets_pass();
        match &mut self.tls {
            None => self.out.extend_from_slice(text),
            Some(_) if !lets_pass => debug_assert!(text.is_empty(), "the stream is silent while TLS begins"),
            Some(tls) => {
                // TLS that has failed is told of where it did. With a password nothing can be said to a peer that has closed
                // TLS (RFC 5246 § 7.2.1).
                if tls.write(text, &mut self.out) == Err(WriteError::Exhausted) {
                    let fault = LinkFault::Internal("the keys of TLS are used up");
                    self.end(EndedBy::Engine, LinkReason::Fault(Box::new(fault)));
                }
            }
        }
    }

    /// Lets go what TLS has to say for itself.
    pub(super) fn release(&mut self) {
        self.out.append(&mut self.held);
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        write: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), StreamSendError>,
    ) -> Result<(), LinkSendError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Open {
            return Err(LinkSendError::NotOpen);
        }
        if self.out.len() >= self.config.send_buffer {
            self.wants_room = true;
            return Err(LinkSendError::Full);
        }
        let mut text = Vec::new();
        write(&mut self.stream, &mut text).map_err(slip)?;
        self.emit(&text);
        Ok(())
    }

    pub(super) fn wait_for(&mut self, timer: LinkTimer, wait: Duration) {
        self.wait = Some(LinkDeadline { at: self.clock.after(wait), timer });
    }

    /// The peer has to take a step.
    pub(super) fn wait_for_step(&mut self) {
        self.wait_for(LinkTimer::Step, self.config.timers.step);
    }

    /// The peer has to take a step, and its person may be asked something first.
    pub(super) fn wait_for_person(&mut self) {
        let timers = &self.config.timers;
        self.wait_for(LinkTimer::Step, timers.step.saturating_add(timers.question));
    }

    /// This end's person has to answer.
    pub(super) fn wait_for_answer(&mut self, stage: LinkStage) {
        self.stage = stage;
        self.wait_for(LinkTimer::Question, self.config.timers.question);
    }

    /// Until when, in Unix time, what comes next in a handshake must not put the password to the test: others with the same
    /// peer may have failed since this one was agreed on.
    fn no_more_guesses(&self) -> Option<u64> {
        let is_guess = |tls: &TlsSession| tls.is_handshaking() && !tls.password_attempted();
        let pending = self.method == Some(Method::Srp) && self.tls.as_ref().is_some_and(is_guess);
        if pending { self.locked_until() } else { None }
    }
}

/// Why the stream did not send something.
pub(super) fn slip(slip: StreamSendError) -> LinkSendError {
    match slip {
        StreamSendError::NotAStanza => LinkSendError::NotAStanza,
        StreamSendError::From | StreamSendError::To => LinkSendError::ForeignAddress,
        StreamSendError::TooLarge => LinkSendError::TooLarge,
        StreamSendError::Reserved => LinkSendError::Reserved,
        StreamSendError::NotOpen | StreamSendError::TlsRequired | _ => LinkSendError::NotOpen,
    }
}
