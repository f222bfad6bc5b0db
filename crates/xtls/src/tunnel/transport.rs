//! Blocks of the bytestream to TLS records, and back.

use std::collections::VecDeque;

use xtls_ibb::{Bytestream, BytestreamFault, Handled, Request, Sent};
use xtls_jingle::{JingleCondition, Role, SessionState};
use xtls_stanza::{Method, StanzaError};
use xtls_tls::{TlsError, TlsErrorKind, TlsSession, WriteError, whole_records};

use super::{Inside, Phase, Tunnel, trust::proves_acceptance};
use crate::{
    answer::Answer,
    event::{CloseReason, EndedBy},
    fault::Fault,
    shared::Shared,
    timer::Timer,
};

/// Which of the plaintext that was sealed into records has been acknowledged.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// All bytes that were ever queued on the bytestream.
    queued: u64,
    /// All plaintext that was ever sealed.
    plaintext: u64,
    /// Plaintext that is acknowledged.
    acked: u64,
    /// After each record: both counts. One entry for each that is not acknowledged as a whole.
    marks: VecDeque<(u64, u64)>,
}

/// Which of the plaintext that was received has been taken by the application.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// All plaintext that was ever received.
    received: u64,
    /// What of it was taken.
    taken: u64,
}

impl Sealed {
    pub(super) fn unacked(&self) -> u64 {
        self.plaintext - self.acked
    }

    pub(super) fn plaintext(&self) -> u64 {
        self.plaintext
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// So many bytes were queued that carry no plaintext of ours.
    fn queued(&mut self, bytes: usize) {
        self.queued += wide(bytes);
    }

    /// Records were queued that seal so many bytes of plaintext. Each adds as much to its share of them.
    fn sealed(&mut self, records: &[u8], plaintext: usize) {
        let count = record_lengths(records).count();
        let overhead = records.len().saturating_sub(plaintext).checked_div(count).unwrap_or_default();
        let mut left = plaintext;
        for (at, length) in record_lengths(records).enumerate() {
            let share = if at + 1 == count { left } else { length.saturating_sub(overhead).min(left) };
            left -= share;
            self.queued += wide(length);
            self.plaintext += wide(share);
            self.marks.push_back((self.queued, self.plaintext));
        }
    }

    /// So many of the bytes that were queued are not acknowledged.
    fn acknowledged(&mut self, unacked: u64) {
        let reached = self.queued.saturating_sub(unacked);
        while let Some(&(_, plaintext)) = self.marks.front().filter(|(queued, _)| *queued <= reached) {
            self.acked = plaintext;
            self.marks.pop_front();
        }
    }
}

impl Opened {
    pub(super) fn taken(&mut self, bytes: usize) {
        self.taken += wide(bytes);
    }
}

impl Tunnel {
    /// Takes a request of the bytestream. Gives the error that answers it; results go out by themselves.
    pub(crate) fn handle_ibb(&mut self, id: &str, request: &Request<'_>, shared: &mut Shared) -> Option<Answer> {
        let is_early = self.phase <= Phase::Password && matches!(request, Request::Open { .. });
        if is_early && self.role == Role::Initiator && self.bytestream.is_none() {
            // A responder may open before it accepts.
            self.make_bytestream(shared);
        }
        let accepted = self.phase > Phase::Password;
        let Some(bytestream) = self.bytestream.as_mut().filter(|_| accepted || is_early) else {
            // XEP-0047 § 2.2: there is no such bytestream before the session is accepted.
            return Some(Answer::Error(BytestreamFault::UnknownSid.to_stanza_error()));
        };
        let mut block = core::mem::take(&mut shared.scratch);
        block.clear();
        let handled = bytestream.handle_request(id, request, &mut block);
        let answer = match handled {
            Ok(Handled::Opened) => {
                self.begin_handshake(shared);
                None
            }
            Ok(Handled::Data { .. }) => {
                let ended = self.ended.is_some();
                self.receive(&block, shared);
                if ended { None } else { self.refuse_data_in_the_clear() }
            }
            Ok(Handled::Closed) => {
                self.bytestream_closed(shared);
                None
            }
            Ok(_) => None,
            Err(fault) => {
                if fault.ends_bytestream() {
                    self.fail(Fault::Bytestream(fault), shared);
                }
                Some(Answer::Error(fault.to_stanza_error()))
            }
        };
        shared.scratch = block;
        answer
    }

    /// XEP-0166 § 9: data that comes in the clear, where it has to be inside of TLS, is answered with an error.
    fn refuse_data_in_the_clear(&mut self) -> Option<Answer> {
        let CloseReason::Fault(fault) = &self.ended.as_ref()?.reason else { return None };
        let in_the_clear = matches!(&**fault, Fault::Tls(error) if *error.kind() == TlsErrorKind::NotTls);
        let version = self.session.as_ref().filter(|_| in_the_clear)?.version();
        let withdrawn = self.bytestream.as_mut().is_some_and(Bytestream::withdraw_ack);
        withdrawn.then(|| Answer::Error(JingleCondition::SecurityRequired.stanza_error(version)))
    }

    /// The bytestream is open. The initiator is the TLS client and begins (draft-meyer-xmpp-e2e-encryption-02 § 3); the
    /// responder waits for its first byte.
    pub(super) fn begin_handshake(&mut self, shared: &Shared) {
        if self.role == Role::Initiator && self.phase == Phase::Accepted {
            self.start_tls(self.agreed_method().unwrap_or(Method::X509), shared);
        }
    }

    /// Data came back and may get through later (XEP-0047 § 2.2). The wait doubles each time; the stall timer, which goes on
    /// meanwhile, ends it.
    pub(super) fn data_returned(&mut self, error: &StanzaError, shared: &Shared) {
        self.returned.get_or_insert_with(|| error.clone());
        if !self.timers.is_set(Timer::Retry) {
            let wait = shared.config.timers.retry.saturating_mul(2_u32.saturating_pow(self.retries));
            self.retries += 1;
            self.timers.set(Timer::Retry, shared.after(wait));
        }
    }

    /// An acknowledgement of data came.
    pub(super) fn data_acked(&mut self, shared: &Shared) {
        let Some(bytestream) = &self.bytestream else { return };
        if !bytestream.is_suspended() {
            self.returned = None;
            self.retries = 0;
        }
        self.sealed.acknowledged(bytestream.unacked());
        if bytestream.in_flight() > 0 {
            self.timers.set(Timer::Stall, shared.after(shared.config.timers.stall));
        }
        if self.phase == Phase::Closing {
            // As long as something gets through, the end is on its way.
            self.timers.set(Timer::Close, shared.after(shared.config.timers.close));
        }
    }

    pub(super) fn poll_bytestream(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        let Some(bytestream) = &mut self.bytestream else { return false };
        let from = shared.config.stamp_from.then(|| shared.local.jid.as_str());
        let split = self.split;
        // A block that is sent again is not cut again.
        let mut rest = split;
        let mut cut = |queue: &[u8], limit: usize| {
            // A record that is larger than a block is sent to its end before the next one is looked for.
            let bytes = if split > 0 { split.min(limit) } else { whole_records(queue, limit) };
            let record = if split > 0 { split } else { record_lengths(queue).next().unwrap_or_default() };
            rest = record.saturating_sub(bytes);
            bytes
        };
        let sent = bytestream.poll(&mut shared.ids, &self.to, from, &mut cut, out);
        if matches!(sent, Some(Sent::Data { .. })) {
            self.split = rest;
        }
        sent.is_some()
    }

    /// Seals plaintext into records that wait to be sent. The caller has seen to it that there is room.
    pub(super) fn seal(&mut self, plaintext: &[u8]) {
        let (Some(tls), Some(bytestream)) = (&mut self.tls, &mut self.bytestream) else { return };
        let outgoing = bytestream.outgoing();
        let before = outgoing.len();
        match tls.write(plaintext, outgoing) {
            Ok(()) => self.sealed.sealed(outgoing.get(before..).unwrap_or_default(), plaintext.len()),
            Err(error) => self.exhausted |= matches!(error, WriteError::Exhausted | WriteError::Failed),
        }
    }

    /// Ends our direction of TLS; doing it twice does nothing.
    pub(super) fn seal_end(&mut self) {
        let (Some(tls), Some(bytestream)) = (&mut self.tls, &mut self.bytestream) else { return };
        let outgoing = bytestream.outgoing();
        let before = outgoing.len();
        tls.close(outgoing);
        self.sealed.queued(outgoing.len() - before);
    }

    /// Room for records, in bytes.
    pub(super) fn room(&self) -> usize {
        self.bytestream.as_ref().map_or(0, Bytestream::writable)
    }

    /// Queues what TLS wanted to send: during the handshake that is held back until it is clear whether its end makes the
    /// peer somebody to be judged.
    pub(super) fn release_held(&mut self) {
        let Some(bytestream) = &mut self.bytestream else { return };
        self.sealed.queued(self.held.len());
        bytestream.outgoing().append(&mut self.held);
    }

    /// Lets acknowledgements go as far as the application's buffer has room.
    pub(super) fn release_acks(&mut self, shared: &Shared) {
        if let Some(bytestream) = &mut self.bytestream {
            bytestream.release_acks(self.opened.taken.saturating_add(wide(shared.config.receive_buffer)));
        }
    }

    pub(crate) fn unacked(&self) -> u64 {
        self.sealed.unacked()
    }

    pub(crate) fn export_keying_material(
        &self,
        length: usize,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        self.security.as_ref()?;
        let mut out = vec![0; length];
        self.tls.as_ref()?.export_keying_material(&mut out, label, context).ok()?;
        Some(out)
    }

    /// A block came.
    fn receive(&mut self, block: &[u8], shared: &mut Shared) {
        if self.ended.is_some() {
            // It is acknowledged like any other, and nobody is there to read it.
            return self.release_all_acks();
        }
        if self.tls.is_none() {
            if block.is_empty() {
                return self.release_all_acks();
            }
            self.begin_as_server(block, shared);
            if self.tls.is_none() {
                return self.release_all_acks();
            }
        }
        let sniffed = core::mem::take(&mut self.sniffed);
        let block = if sniffed.is_empty() { block } else { &sniffed };
        if let Some(until) = self.no_more_guesses(shared) {
            return self.fail(Fault::PasswordLocked { until }, shared);
        }
        if let Err(error) = self.open_records(block, shared) {
            // What came before the fault is sound.
            self.notice_confirmation(shared);
            self.deliver(shared);
            let fault = Fault::of_tls(error, self.pinned(shared));
            return self.fail(fault, shared);
        }
        let complete = self.tls.as_ref().is_some_and(TlsSession::handshake_complete);
        if self.phase == Phase::Handshake && complete {
            self.judge(shared);
        } else if self.phase != Phase::Judging {
            self.answer_handshake(shared);
        }
        self.notice_confirmation(shared);
        self.deliver(shared);
    }

    pub(super) fn release_all_acks(&mut self) {
        if let Some(bytestream) = &mut self.bytestream {
            bytestream.release_acks(u64::MAX);
        }
    }

    /// Decrypts. What TLS answers waits in `held` during the handshake, so that the caller can judge the peer first.
    fn open_records(&mut self, block: &[u8], shared: &Shared) -> Result<(), TlsError> {
        let (Some(tls), Some(bytestream)) = (&mut self.tls, &mut self.bytestream) else { return Ok(()) };
        let plaintext = match &mut self.inside {
            Inside::Bytes(raw) if self.phase >= Phase::Secured => raw.inbox(),
            Inside::Bytes(_) | Inside::Stream(_) => &mut self.early,
        };
        let before = plaintext.len();
        let result = tls.read(block, plaintext, &mut self.held);
        self.opened.received += wide(plaintext.len() - before);
        bytestream.mark_ack(self.opened.received);
        self.release_acks(shared);
        result
    }

    /// The certificate was accepted: the tunnel begins.
    pub(super) fn established(&mut self, shared: &mut Shared) {
        self.begin_stream(shared);
        let accepted = match (self.role, self.tls.as_ref().and_then(TlsSession::parameters)) {
            // The client finishes after it has judged the server.
            (Role::Responder, _) => true,
            (_, Some(parameters)) => proves_acceptance(&parameters),
            (_, None) => false,
        };
        if accepted {
            self.secured(true, shared);
        } else {
            self.phase = Phase::Confirming;
            self.timers.set(Timer::Confirm, shared.after(shared.config.timers.confirm));
        }
        self.notice_confirmation(shared);
        self.deliver(shared);
    }

    /// In TLS 1.3 the first byte that the responder sends under its application keys, be it only a ticket, shows that it
    /// has accepted us.
    fn notice_confirmation(&mut self, shared: &mut Shared) {
        let waits =
            self.phase == Phase::Confirming || self.security.as_ref().is_some_and(|security| !security.confirmed);
        let shown = self.opened.received > 0 || self.tls.as_ref().is_some_and(|tls| tls.tickets_received() > 0);
        if waits && shown {
            self.confirmed(shared);
        }
    }

    /// Hands authenticated plaintext on, as soon as the peer is judged.
    pub(super) fn deliver(&mut self, shared: &mut Shared) {
        if self.phase < Phase::Secured || self.ended.is_some() {
            return;
        }
        match self.inside {
            Inside::Stream(_) => self.deliver_to_stream(shared),
            Inside::Bytes(_) => self.deliver_bytes(shared),
        }
        if self.ended.is_none() && self.tls.as_ref().is_some_and(TlsSession::peer_closed) {
            // Nothing more can come that would need room.
            self.release_all_acks();
            self.peer_closed(shared);
        }
    }

    /// The peer closed the bytestream: in order only behind the end of TLS.
    fn bytestream_closed(&mut self, shared: &Shared) {
        let session_ended = self.session.as_ref().is_none_or(|session| session.state() == SessionState::Ended);
        if self.ended.is_some() || session_ended || self.phase == Phase::Closing {
            return;
        }
        let in_order = self.is_idle_stream() || self.tls.as_ref().is_some_and(TlsSession::peer_closed);
        if self.phase == Phase::Secured && in_order {
            return self.begin_close(EndedBy::Remote, shared);
        }
        self.fail(Fault::BytestreamClosed, shared);
    }
}

/// The lengths of whole TLS records, headers included (RFC 8446 § 5.1).
fn record_lengths(mut records: &[u8]) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let [_, _, _, high, low, rest @ ..] = records else { return None };
        let payload = usize::from(u16::from_be_bytes([*high, *low]));
        records = rest.get(payload..).unwrap_or_default();
        Some(payload + 5)
    })
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
