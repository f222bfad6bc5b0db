//! What carries a tunnel: blocks or bytes to TLS records and back, and which of the plaintext has arrived.

pub(super) mod carrier;
mod counts;
mod in_band;
pub(super) mod nudges;

use xtls_channel::{Channel, Start};
use xtls_ibb::{Bytestream, Sent};
use xtls_stanza::{Envelope, StanzaError};
use xtls_tls::{MAX_RECORD, WriteError, record_size_for_block};

pub(super) use self::counts::wide;
use self::{
    carrier::Carrier,
    counts::{Owed, Sealed},
};
use super::{TunnelCore, throttle::Throttle};
use crate::{
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
}
