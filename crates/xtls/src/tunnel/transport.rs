//! What carries a tunnel: blocks or bytes to TLS records and back, and which of the plaintext has arrived.

pub(super) mod carrier;
mod counts;

use xtls_channel::{Channel, CloseReason, EndedBy, Fault, Start, Timer};
use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, ErrorOutcome, Handled, Request, Sent,
    Whitespace,
};
use xtls_jingle::{IbbTransport, JingleCondition, Role, Session, SessionState};
use xtls_stanza::{Condition, Envelope, StanzaError};
use xtls_tls::{MAX_RECORD, TlsErrorKind, WriteError, record_size_for_block};

pub(super) use self::counts::wide;
use self::{
    carrier::Carrier,
    counts::{Owed, Sealed},
};
use super::{Phase, TunnelCore, throttle::Throttle};
use crate::{
    answer::Answer,
    config::Window,
    engine::watch,
    flow::{Flow, Lane},
    shared::Shared,
    stats::TunnelStats,
};

/// What carries the records of a tunnel, and which of the plaintext in them has arrived.
pub(super) struct Transport {
    pub(super) carrier: Carrier,
    /// The blocks of an in-band bytestream on the outer stream.
    lane: Lane,
    pub(super) throttle: Throttle,
    /// Which of the plaintext that was sealed has been acknowledged.
    sealed: Sealed,
    owed: Owed,
    /// All plaintext that was ever received, and what of it the application has taken.
    received: u64,
    taken: u64,
    /// Where our last flight of the handshake ends, and whether it has got there. `None` before there is one, or where the peer
    /// has nothing to confirm.
    flight: Option<(u64, bool)>,
    /// Why blocks came back, since something got through last, and how many times in a row they are sent again.
    returned: Option<StanzaError>,
    retries: u32,
    /// How many times they were in all, and all blocks both ways.
    total_retries: u32,
    blocks_sent: u64,
    blocks_received: u64,
    /// The application found no room for what it wanted to send.
    pub(super) wants_room: bool,
    /// The TLS keys are used up.
    exhausted: bool,
}

impl Transport {
    pub(super) fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            lane: Lane::default(),
            throttle: Throttle::default(),
            sealed: Sealed::default(),
            owed: Owed::default(),
            received: 0,
            taken: 0,
            flight: None,
            returned: None,
            retries: 0,
            total_retries: 0,
            blocks_sent: 0,
            blocks_received: 0,
            wants_room: false,
            exhausted: false,
        }
    }

    /// The in-band bytestream, if it is one, and how many blocks came by it.
    fn in_band(&mut self) -> Option<(&mut Bytestream, &mut u64)> {
        Some((self.carrier.in_band()?, &mut self.blocks_received))
    }

    /// Notes what has gone both ways.
    pub(super) fn note(&self, stats: &mut TunnelStats) {
        (stats.sent, stats.acked, stats.received) = (self.sealed.plaintext(), self.sealed.acked(), self.received);
        (stats.blocks_sent, stats.blocks_received) = (self.blocks_sent, self.blocks_received);
        stats.blocks_in_flight = self.carrier.in_flight();
        stats.retries = self.total_retries;
        stats.throttled = self.throttle.rate();
    }

    /// Plaintext that is not acknowledged.
    pub(super) fn unacked(&self) -> u64 {
        self.sealed.unacked()
    }

    /// Plaintext that is acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.sealed.acked()
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether what was written is on its way, or will be: not once the bytestream is closed.
    pub(super) fn delivers(&self) -> bool {
        !self.carrier.is_closed() && (self.carrier.in_flight() > 0 || self.carrier.queued() > 0)
    }

    /// Room for records of what the application sends, in bytes: answers have a bound of their own.
    pub(super) fn room(&mut self) -> usize {
        let answers_room = TunnelCore::MAX_OWED.saturating_sub(self.owed());
        self.carrier.writable().saturating_sub(answers_room)
    }

    /// What answers the peer and waits to be sent, in bytes of records.
    pub(super) fn owed(&mut self) -> usize {
        let sent = self.sealed.total().saturating_sub(wide(self.carrier.queued()));
        usize::try_from(self.owed.waiting(sent)).unwrap_or(usize::MAX)
    }

    /// Queues records that carry no plaintext of ours: handshakes, alerts, the end.
    pub(super) fn queue<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let outgoing = self.carrier.outgoing();
        let before = outgoing.len();
        let result = write(outgoing);
        self.sealed.queued(outgoing.get(before..).unwrap_or_default());
        result
    }

    /// What is queued by now ends with our last flight of the handshake.
    pub(super) fn flight_queued(&mut self) {
        self.flight = Some((self.sealed.total(), false));
    }

    /// Whether our last flight is acknowledged.
    pub(super) fn flight_arrived(&self) -> bool {
        self.flight.is_some_and(|(_, arrived)| arrived)
    }

    /// Whether it has left: all of it is in blocks that were sent.
    pub(super) fn flight_left(&self) -> bool {
        let left = self.sealed.total().saturating_sub(wide(self.carrier.queued()));
        self.flight.is_some_and(|(end, _)| left >= end)
    }

    pub(super) fn seal(&mut self, channel: &mut Channel, plaintext: &[u8]) {
        let outgoing = self.carrier.outgoing();
        let before = outgoing.len();
        match channel.write(plaintext, outgoing) {
            Ok(()) => self.sealed.sealed(outgoing.get(before..).unwrap_or_default(), plaintext.len()),
            Err(error) => self.exhausted |= matches!(error, WriteError::Exhausted | WriteError::Failed),
        }
    }

    /// Seals what answers the peer.
    pub(super) fn seal_answer(&mut self, channel: &mut Channel, plaintext: &[u8]) {
        let begin = self.sealed.total();
        self.seal(channel, plaintext);
        self.owed.add(begin, self.sealed.total());
    }

    /// The peer has acknowledged some of what was sent.
    fn acknowledged(&mut self) {
        let unacked = self.carrier.unacked();
        self.sealed.acknowledged(unacked);
        // That a socket has taken it says nothing about the peer.
        if let Some((end, arrived)) = self.flight.as_mut().filter(|_| !self.carrier.is_connection()) {
            *arrived |= self.sealed.total().saturating_sub(unacked) >= *end;
        }
    }

    /// Moves what there is to send by a connection into the caller's buffer.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> usize {
        let bytes = self.carrier.connection().map_or(0, |connection| connection.take(out));
        if bytes > 0 {
            self.acknowledged();
        }
        bytes
    }

    /// Plaintext that was received and that the application has not taken.
    pub(super) fn untaken(&self) -> u64 {
        self.received.saturating_sub(self.taken)
    }

    /// So much plaintext was decrypted from the block that came last.
    pub(super) fn received(&mut self, bytes: usize) {
        self.received += wide(bytes);
        self.carrier.mark_ack(self.received);
    }

    pub(super) fn release_all_acks(&mut self) {
        self.carrier.release_acks(u64::MAX);
    }

    /// Lets acknowledgements go as far as the application's buffer has `room`, but for plaintext that was not looked at: it is
    /// lost if the tunnel breaks.
    fn release_acks(&mut self, room: usize, unseen: usize) {
        let seen = self.received.saturating_sub(wide(unseen));
        self.carrier.release_acks(self.taken.saturating_add(wide(room)).min(seen));
    }

    /// Whether a block may go. Where the window is fixed it is the bytestream's own, else one that all tunnels share.
    fn admit(&mut self, shared: &Shared) -> bool {
        let Carrier::InBand(bytestream) = &mut self.carrier else { return false };
        let (admitted, window) = match shared.config.window {
            Window::Fixed(blocks) => (true, blocks),
            Window::Adaptive if shared.flow.admits(&self.lane) => (true, Flow::MAX_BLOCKS),
            Window::Adaptive => (false, 0),
        };
        bytestream.set_window(window);
        admitted
    }

    fn poll(&mut self, tunnel: u64, most: u16, envelope: &Envelope, shared: &mut Shared, out: &mut String) -> bool {
        let admitted = self.admit(shared);
        let before = out.len();
        let sealed = &self.sealed;
        let mut cut = |queue: &[u8], limit: usize| sealed.whole_records(queue.len(), limit);
        let Carrier::InBand(bytestream) = &mut self.carrier else { return false };
        bytestream.limit_blocks(self.throttle.block(most));
        let sent = bytestream.poll(&mut shared.ids, envelope, &mut cut, out);
        if let Some(sent) = &sent {
            watch::sent(kind(sent));
        }
        match sent {
            Some(Sent::Data { .. }) => {
                self.blocks_sent += 1;
                if let Some(id) = bytestream.last_sent() {
                    let now = shared.env.clock().now();
                    shared.flow.send(now, tunnel, id, out.len() - before, &mut self.lane);
                }
            }
            None if bytestream.waits_for_window() => {
                self.throttle.waits(shared.env.clock().now(), self.sealed.acked());
                if !admitted {
                    shared.flow.refused(&self.lane);
                }
            }
            Some(_) | None => {}
        }
        sent.is_some()
    }
}

/// What a stanza of the bytestream is called.
fn kind(sent: &Sent) -> &'static str {
    match sent {
        Sent::Result => "result",
        Sent::Open => "open",
        Sent::Data { .. } => "data",
        Sent::Close | _ => "close",
    }
}

impl TunnelCore {
    /// Bytes of records that answer the peer, and wait to be sent, until nothing more of it is read. What the application has
    /// written does not count: two ends that wait for one another to read would wait for ever.
    pub(super) const MAX_OWED: usize = 64 * 1024;

    /// How records between the two ends are made: none straddles blocks, where there are any.
    pub(super) fn record_start(&self) -> Start {
        let block_size = self.transport.as_ref().and_then(|transport| transport.carrier.block_size());
        let max_record = block_size.map_or(MAX_RECORD, |size| record_size_for_block(usize::from(size)));
        Start { max_record, ticket: true }
    }

    /// Both have agreed, or the responder opens before it accepts: the bytestream of the session, in the block size that is
    /// agreed so far.
    pub(super) fn make_transport(&mut self, shared: &Shared) {
        let Some(in_band) = self.negotiation.session.as_ref().and_then(Session::in_band) else { return };
        let mut config = BytestreamConfig::default();
        config.outgoing_bytes = shared.config.send_buffer.saturating_add(Self::MAX_OWED);
        config.block_size_min = IbbTransport::MIN_BLOCK_SIZE;
        config.whitespace = if shared.dialect.white_space { Whitespace::Tolerant } else { Whitespace::Strict };
        let bytestream = Bytestream::new(self.bytestream_role(), &in_band.sid, in_band.block_size, config);
        self.transport = Some(Transport::new(Carrier::InBand(bytestream)));
    }

    /// Who opens: the namespace of the transport says so.
    pub(super) fn bytestream_role(&self) -> BytestreamRole {
        let in_band = self.negotiation.session.as_ref().and_then(Session::in_band);
        let has_open = in_band.is_none_or(|in_band| in_band.version.has_open());
        match self.role {
            _ if !has_open => BytestreamRole::Negotiated,
            Role::Responder => BytestreamRole::Acceptor,
            Role::Initiator | _ => BytestreamRole::Opener,
        }
    }

    /// Takes a request of the bytestream. Gives the error that answers it; results go out by themselves.
    pub(crate) fn handle_ibb(&mut self, id: &str, request: &Request<'_>, shared: &mut Shared) -> Option<Answer> {
        let is_early = self.phase <= Phase::Password && matches!(request, Request::Open { .. });
        if is_early && self.role == Role::Initiator && self.transport.is_none() {
            // A responder may open before it accepts.
            self.make_transport(shared);
        }
        let accepted = self.phase > Phase::Password;
        let transport = self.transport.as_mut().filter(|_| accepted || is_early);
        let Some((bytestream, blocks)) = transport.and_then(Transport::in_band) else {
            // XEP-0047 § 2.2: there is no such bytestream before the session is accepted.
            return Some(Answer::Error(BytestreamFault::UnknownSid.to_stanza_error()));
        };
        let mut decoded = shared.scratch.take_empty();
        let handled = bytestream.handle_request(id, request, &mut decoded);
        let answer = match handled {
            Ok(Handled::Opened) => {
                self.begin_handshake(shared);
                None
            }
            Ok(Handled::Data { .. }) => {
                *blocks += 1;
                let ended = self.ended.is_some();
                self.receive(if let Request::Block { block, .. } = request { block } else { &decoded }, shared);
                if ended { None } else { self.refuse_data_in_the_clear() }
            }
            Ok(Handled::Closed) => {
                // What is owed is of no more use.
                self.resume(shared);
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
        shared.scratch.put_back(decoded, shared.config.block_size);
        answer
    }

    /// Takes an answer to a request of the bytestream, if it is one.
    pub(super) fn handle_bytestream_answer(
        &mut self,
        id: &str,
        error: Option<&StanzaError>,
        shared: &mut Shared,
    ) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        let block = shared.flow.answered(shared.env.clock().now(), id, error.is_none(), &mut transport.lane);
        let Some(error) = error else {
            let Some(acked) = transport.carrier.in_band().and_then(|bytestream| bytestream.handle_result(id)) else {
                return false;
            };
            match acked {
                Acked::Open => self.begin_handshake(shared),
                Acked::Data { .. } => {
                    self.data_acked(shared);
                    self.measure(id, shared);
                }
                Acked::Gap { .. } => {
                    let error = transport.returned.take().unwrap_or_else(|| Condition::UndefinedCondition.into());
                    self.fail(Fault::Undelivered { error }, shared);
                }
                Acked::Close | _ => {}
            }
            return true;
        };
        let Some(outcome) = transport.carrier.in_band().and_then(|bytestream| bytestream.handle_error(id, error))
        else {
            return false;
        };
        transport.throttle.rest();
        let again = transport.retries >= 3;
        self.block_refused(error, block, again, shared);
        match outcome {
            ErrorOutcome::OpenRefused | ErrorOutcome::Ended { .. } => {
                if matches!(error.condition, Condition::PolicyViolation | Condition::ResourceConstraint) {
                    // It may have been for all that goes this way.
                    shared.flow.back_off();
                }
                self.fail(Fault::Undelivered { error: error.clone() }, shared);
            }
            ErrorOutcome::Suspended => self.data_returned(error, shared),
            ErrorOutcome::Retrying | ErrorOutcome::Closed | ErrorOutcome::Late | _ => {}
        }
        true
    }

    pub(super) fn poll_bytestream(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        let most = self.block_size(shared);
        let Some(transport) = &mut self.transport else { return false };
        let sent = transport.poll(self.id.number, most, &self.addresses.envelope, shared, out);
        if let Some(channel) = self.channel.as_mut().filter(|_| sent && transport.flight_left()) {
            channel.flight_left();
        }
        self.ask_behind_block();
        sent
    }

    /// Room for records of what the application sends, in bytes.
    pub(super) fn room(&mut self) -> usize {
        self.transport.as_mut().map_or(0, Transport::room)
    }

    /// Sees to memory for the records of so many bytes more of plaintext.
    pub(super) fn make_room(&mut self, bytes: usize, shared: &mut Shared) {
        if let Some(transport) = &mut self.transport {
            // What records add is less, but for blocks that are smaller than usual.
            shared.spares.lend(transport.carrier.outgoing(), bytes + bytes / 32 + 64);
        }
    }

    /// Gives back what the queue and the inbox needed for more than there is now.
    pub(super) fn trim_memory(&mut self, shared: &mut Shared) {
        let now = shared.env.clock().now();
        if let Some(transport) = &mut self.transport {
            shared.spares.trim(transport.carrier.outgoing(), now);
        }
        if let Some(inside) = &mut self.inside {
            shared.spares.trim(inside.inbox(), now);
        }
    }

    /// The application found no room; it is told when there is.
    pub(super) fn want_room(&mut self) {
        if let Some(transport) = &mut self.transport {
            transport.wants_room = true;
        }
    }

    /// All plaintext that was ever sealed.
    pub(super) fn written(&self) -> u64 {
        self.transport.as_ref().map_or(0, |transport| transport.sealed.plaintext())
    }

    /// What of it is acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.transport.as_ref().map_or(0, Transport::acked)
    }

    /// The application took what this much plaintext led to.
    pub(crate) fn taken(&mut self, bytes: usize, shared: &Shared) {
        if let Some(transport) = &mut self.transport {
            transport.taken += wide(bytes);
        }
        self.expect_last_words(shared);
        self.release_acks(shared);
    }

    /// Acknowledges what there is room for.
    pub(super) fn release_acks(&mut self, shared: &Shared) {
        let unseen = self.unseen();
        if let Some(transport) = &mut self.transport {
            transport.release_acks(shared.config.receive_buffer, unseen);
        }
    }

    /// XEP-0166 § 9: data that comes in the clear, where it has to be inside TLS, is answered with an error.
    fn refuse_data_in_the_clear(&mut self) -> Option<Answer> {
        let CloseReason::Fault(fault) = &self.ended.as_ref()?.reason else { return None };
        let in_the_clear = matches!(&**fault, Fault::Tls(error) if *error.kind() == TlsErrorKind::NotTls);
        let version = self.negotiation.session.as_ref().filter(|_| in_the_clear).map(Session::version)?;
        let withdrawn = self
            .transport
            .as_mut()
            .and_then(|transport| transport.carrier.in_band())
            .is_some_and(Bytestream::withdraw_ack);
        withdrawn.then(|| Answer::Error(JingleCondition::SecurityRequired.stanza_error(version)))
    }

    /// Data came back and may get through later (XEP-0047 § 2.2). The wait doubles each time; the stall timer, which goes on
    /// meanwhile, ends it.
    fn data_returned(&mut self, error: &StanzaError, shared: &mut Shared) {
        let Some(transport) = &mut self.transport else { return };
        transport.returned.get_or_insert_with(|| error.clone());
        if !self.timers.is_set(Timer::Retry) {
            shared.flow.back_off();
            let wait = shared.config.timers.retry.saturating_mul(2_u32.saturating_pow(transport.retries));
            transport.retries += 1;
            transport.total_retries = transport.total_retries.saturating_add(1);
            self.set(Timer::Retry, wait, shared);
        }
    }

    /// An acknowledgement of data came.
    fn data_acked(&mut self, shared: &Shared) {
        let Some(transport) = &mut self.transport else { return };
        if !transport.carrier.is_suspended() {
            transport.returned = None;
            transport.retries = 0;
        }
        transport.acknowledged();
        if transport.carrier.in_flight() > 0 {
            self.set(Timer::Stall, shared.config.timers.stall, shared);
        }
        if self.phase == Phase::Closing {
            // As long as something gets through, the end is on its way.
            self.set(Timer::Close, shared.config.timers.close, shared);
        }
    }

    /// The peer closed the bytestream: in order only after the end of TLS.
    fn bytestream_closed(&mut self, shared: &Shared) {
        let session = self.negotiation.session.as_ref();
        let session_ended = session.is_none_or(|session| session.state() == SessionState::Ended);
        if self.ended.is_some() || session_ended || self.phase == Phase::Closing {
            return;
        }
        let in_order = self.is_idle_stream() || self.peer_closed();
        if self.is_secured() && in_order {
            return self.begin_close(EndedBy::Remote, shared);
        }
        self.fail(Fault::BytestreamClosed, shared);
    }
}
