//! One end of one bytestream.

mod inbound;
mod receiver;
mod sender;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests;
mod values;

use xtls_stanza::{Envelope, Id, Ids, IqType};

pub use self::values::{Acked, BytestreamRole, BytestreamState, ErrorOutcome, Handled, Sent};
use self::{receiver::Receiver, sender::Sender};
use crate::{BytestreamConfig, acks::Acks, codec, wire};

/// One end of one bytestream: both directions of it (XEP-0047 § 3), each with a seq of its own.
///
/// | state | [`open`](Self::open) | `<open/>` comes | `<data/>` comes | `<close/>` comes |
/// |---|---|---|---|---|
/// | [`Idle`](BytestreamState::Idle) | Opening | Open | refused | Closed |
/// | [`AwaitingOpen`](BytestreamState::AwaitingOpen) | | Open | refused | Closed |
/// | [`Opening`](BytestreamState::Opening) | | Open | refused | Closed |
/// | [`Open`](BytestreamState::Open) | | refused | taken | Closed |
/// | [`Closing`](BytestreamState::Closing) | | refused, unless it crosses ours | taken, unless a fault began it | Closed |
/// | [`Closed`](BytestreamState::Closed) | | refused | refused | refused |
///
/// A result to our `<open/>` leads from Opening to Open, an error to Closed. Any answer to our `<close/>` leads to Closed.
/// A request that is refused is a [`BytestreamFault`](crate::BytestreamFault).
///
/// In the role [`Negotiated`](BytestreamRole::Negotiated), `open` leads from Idle to Open at once. The first `<open/>`
/// that comes is taken although the bytestream is Open already. Closing sends nothing: Closed follows when all is
/// acknowledged, or at once after a fault.
#[derive(Debug)]
pub struct Bytestream {
    role: BytestreamRole,
    sid: String,
    block_size: u16,
    /// What its owner lets blocks have that are sent from now on.
    largest: u16,
    config: BytestreamConfig,
    phase: Phase,
    /// The peer has sent `<open/>`.
    opened_by_peer: bool,
    close: Close,
    sender: Sender,
    receiver: Receiver,
    acks: Acks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    AwaitingOpen,
    OpenQueued,
    OpenSent(Id),
    Open,
    Closed,
}

/// Our `<close/>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    No,
    /// To be sent when everything before it is sent and acknowledged.
    WhenAcked,
    /// To be sent at once, after a fault; nothing else is sent or taken any more.
    AtOnce,
    Sent {
        id: Id,
        after_fault: bool,
    },
}

impl Bytestream {
    /// The longest id of a request that is taken, in bytes.
    pub const MAX_REQUEST_ID: usize = 1024;
    /// Memory that the queue keeps when it has run empty, in bytes. The rest is given back by [`Bytestream::poll`] when there is
    /// nothing to send; until then the owner may exchange the memory of [`Bytestream::outgoing`].
    pub const KEPT_BYTES: usize = sender::KEPT_BYTES;
    /// The smallest block size that is tried when the peer wants smaller blocks than were agreed.
    pub const SMALLEST_TRIED: u16 = 1024;

    /// One end of the bytestream `sid` with blocks of at most `block_size` bytes, the smaller one of what was offered and
    /// accepted (XEP-0261 § 2.2). A `block_size` of 0 counts as 1.
    #[must_use]
    pub fn new(role: BytestreamRole, sid: impl Into<String>, block_size: u16, config: BytestreamConfig) -> Self {
        Self {
            role,
            sid: sid.into(),
            block_size: block_size.max(1),
            largest: u16::MAX,
            config,
            phase: match role {
                BytestreamRole::Opener | BytestreamRole::Negotiated => Phase::Idle,
                BytestreamRole::Acceptor => Phase::AwaitingOpen,
            },
            opened_by_peer: false,
            close: Close::No,
            sender: Sender::new(&config),
            receiver: Receiver::default(),
            acks: Acks::default(),
        }
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> BytestreamRole {
        self.role
    }

    /// The identifier that all of its elements carry.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The largest block in bytes before base64. An `<open/>` of the peer may lower it.
    #[must_use]
    pub fn block_size(&self) -> u16 {
        self.block_size
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> BytestreamState {
        match (self.phase, self.close) {
            (Phase::Closed, _) => BytestreamState::Closed,
            (_, Close::WhenAcked | Close::AtOnce | Close::Sent { .. }) => BytestreamState::Closing,
            (Phase::Idle, Close::No) => BytestreamState::Idle,
            (Phase::AwaitingOpen, Close::No) => BytestreamState::AwaitingOpen,
            (Phase::OpenQueued | Phase::OpenSent(_), Close::No) => BytestreamState::Opening,
            (Phase::Open, Close::No) => BytestreamState::Open,
        }
    }

    /// Bytes written and not acknowledged: those in flight, those queued, and those that were dropped or refused. It is
    /// right after the end too. Acknowledgements come through servers and prove nothing.
    #[must_use]
    pub fn unacked(&self) -> u64 {
        self.sender.unacked()
    }

    /// Blocks sent and not acknowledged, those that came back and are to be sent again among them. After a block has come
    /// back these may be more than the window.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sender.in_flight()
    }

    /// Blocks that may be in flight at present.
    #[must_use]
    pub fn window(&self) -> u16 {
        self.sender.window()
    }

    /// Whether there is a block that a larger window may let go.
    #[must_use]
    pub fn waits_for_window(&self) -> bool {
        self.phase == Phase::Open && !self.sending_is_over() && self.sender.has_block()
    }

    /// The id of the block that was sent last, as long as it has no answer.
    #[must_use]
    pub fn last_sent(&self) -> Option<Id> {
        self.sender.last_sent()
    }

    /// Whether nothing is sent for now because a block came back: see [`ErrorOutcome::Suspended`].
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.sender.is_suspended()
    }

    /// The ids of requests to which an answer is due still; of the blocks, after the end too.
    pub fn unanswered(&self) -> impl Iterator<Item = Id> {
        let open = match self.phase {
            Phase::OpenSent(id) => Some(id),
            Phase::Idle | Phase::AwaitingOpen | Phase::OpenQueued | Phase::Open | Phase::Closed => None,
        };
        let close = match self.close {
            Close::Sent { id, .. } => Some(id),
            Close::No | Close::WhenAcked | Close::AtOnce => None,
        };
        self.sender.unanswered().chain(open).chain(close)
    }

    /// Bytes queued and not sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.sender.queued()
    }

    /// How many bytes more may be queued until [`BytestreamConfig::outgoing_bytes`] is reached; 0 when it is closing or
    /// closed.
    #[must_use]
    pub fn writable(&self) -> usize {
        match self.close {
            Close::No if self.phase != Phase::Closed => self.config.outgoing_bytes.saturating_sub(self.sender.queued()),
            Close::No | Close::WhenAcked | Close::AtOnce | Close::Sent { .. } => 0,
        }
    }

    /// Blocks of the peer whose acknowledgement is withheld.
    #[must_use]
    pub fn withheld_acks(&self) -> usize {
        self.acks.withheld()
    }

    /// Queues `<open/>`, or opens without one in the role [`BytestreamRole::Negotiated`]. Does nothing unless the state is
    /// Idle.
    pub fn open(&mut self) {
        if self.state() == BytestreamState::Idle {
            self.phase = if self.role == BytestreamRole::Negotiated { Phase::Open } else { Phase::OpenQueued };
        }
    }

    /// The session is accepted, perhaps otherwise than it was offered, and an `<open/>` of the peer may have come already:
    /// its role from now on, and the agreed block size, which counts if it is smaller. For before anything is sent.
    pub fn agree(&mut self, role: BytestreamRole, block_size: u16) {
        self.role = role;
        self.block_size = self.block_size.min(block_size.max(1));
    }

    /// Changes how many blocks may be in flight from now on; with 0 no data goes out. When to do that is up to the caller, who
    /// knows how long results take.
    pub fn set_window(&mut self, blocks: u16) {
        self.sender.set_window(blocks);
    }

    /// Bounds the blocks that are sent from now on, below the block size that was agreed: it is a maximum (XEP-0047 § 2.1), and a
    /// server on the way may take less. What comes from the peer is not concerned. 0 counts as 1.
    ///
    /// Blocks that came back and are larger are cut anew, once all that was sent after the first of them has come back too.
    pub fn limit_blocks(&mut self, bytes: u16) {
        self.largest = bytes.max(1);
    }

    /// Goes on sending after [`ErrorOutcome::Suspended`]: the blocks that came back first, each under its old seq and a new
    /// id, and none before all later ones that were on their way have come back too. The first goes alone, until it is
    /// acknowledged: if the way is still blocked, no later one may find it free. Does nothing otherwise.
    ///
    /// How long to wait before this, and how often, is up to the caller.
    pub fn resume(&mut self) {
        self.sender.resume();
    }

    /// The queue of bytes to send, for appending to and nothing else: bytes that are in it already must stay, though they may
    /// do so in other memory.
    ///
    /// Keeping to [`Bytestream::writable`] is up to the caller. Before the bytestream is open bytes wait here; once its
    /// `<close/>` is sent, or it is over, they go nowhere and [`Bytestream::unacked`] counts them.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        if self.sending_is_over() {
            self.sender.drop_queue();
        }
        self.sender.queue()
    }

    /// Ends the bytestream in good order: `<close/>` goes out when everything queued is sent and acknowledged (XEP-0047
    /// § 2.3). Until it is answered the peer's data is taken. If no `<open/>` was sent or taken, it is Closed at once.
    pub fn close(&mut self) {
        match (self.phase, self.close) {
            (Phase::Idle | Phase::AwaitingOpen | Phase::OpenQueued, _) => self.finish(),
            (Phase::OpenSent(_) | Phase::Open, Close::No) => {
                self.close = Close::WhenAcked;
                self.close_without_stanza();
            }
            (Phase::OpenSent(_) | Phase::Open, Close::WhenAcked | Close::AtOnce | Close::Sent { .. })
            | (Phase::Closed, _) => {}
        }
    }

    /// Ends the bytestream without `<close/>`: nothing is sent any more but the results that are owed, the withheld ones
    /// among them. For when the session around it ends.
    pub fn end(&mut self) {
        self.finish();
    }

    /// Ends the bytestream at once: nothing is sent any more, not even `<close/>` or results. Answers that still come are
    /// not ours.
    pub fn abort(&mut self) {
        self.phase = Phase::Closed;
        self.close = Close::No;
        self.acks.clear();
        self.sender.drop_all();
    }

    /// Gives back the memory that the windows of a burst needed, two or three KiB: for when it was quiet for a while.
    pub fn release_memory(&mut self) {
        self.sender.release_memory();
        self.acks.release_memory();
    }

    /// Notes that the newest block of the peer is dealt with once `position` is reached, in a count of the caller's that
    /// never falls: bytes of plaintext, say, where the block's plaintext ends. Without a note it is 0.
    pub fn mark_ack(&mut self, position: u64) {
        self.acks.mark(position);
    }

    /// Takes back the result for the peer's newest request, which the caller answers with an error of its own. False if none
    /// waits to be sent.
    pub fn withdraw_ack(&mut self) -> bool {
        self.acks.withdraw()
    }

    /// Releases the withheld acknowledgements up to `position`, in order: the first one marked with more and all behind
    /// it stay. `u64::MAX` releases all.
    ///
    /// With a buffer of `capacity` bytes in front of the application, of which `read` were ever taken out and `decrypted`
    /// ever put in, this is all the backpressure there is: after each block `mark_ack(decrypted)`, and after each block
    /// and each reading `release_acks(read + capacity)`.
    pub fn release_acks(&mut self, position: u64) {
        self.acks.release(position);
    }

    /// Appends one whole stanza to `out` and tells what it is; `None` when there is nothing to send for now.
    ///
    /// First come the results that are released, then `<open/>`, then data as far as the window allows, then `<close/>`.
    /// Addresses are those of `envelope`; one of the sender is for a caller whose server does not stamp it.
    ///
    /// `cut` is given the bytes that are queued and the block size, and returns how many of the bytes make the next block:
    /// as many whole TLS records as fit. Its answer is brought into the range from 1 to the block size.
    #[must_use]
    pub fn poll(
        &mut self,
        ids: &mut Ids,
        envelope: &Envelope,
        cut: &mut dyn FnMut(&[u8], usize) -> usize,
        out: &mut String,
    ) -> Option<Sent> {
        if let Some(id) = self.acks.pop() {
            envelope.write_result(out, id.as_str());
            return Some(Sent::Result);
        }
        if self.phase == Phase::OpenQueued {
            let id = ids.next_id();
            self.phase = Phase::OpenSent(id);
            envelope.write_start(out, IqType::Set, id.as_str());
            wire::write_open(out, &self.sid, self.block_size);
            out.push_str("</iq>");
            return Some(Sent::Open);
        }
        if self.phase != Phase::Open {
            return None;
        }
        let most = self.block_size.min(self.largest);
        self.sender.cut_anew(most);
        if !self.sending_is_over()
            && let Some((block, seq)) = self.sender.next(most, cut)
        {
            let bytes = block.len();
            let id = ids.next_id();
            // Room for everything at once, so that the string grows at most once for a block.
            out.reserve(codec::encoded_len(bytes) + self.sid.len() + envelope.bytes() + 160);
            envelope.write_start(out, IqType::Set, id.as_str());
            wire::write_data(out, &self.sid, seq, block);
            out.push_str("</iq>");
            self.sender.mark_sent(id, bytes);
            return Some(Sent::Data { bytes });
        }
        let after_fault = match self.close {
            Close::WhenAcked if self.sender.is_idle() => false,
            Close::AtOnce => true,
            Close::No | Close::WhenAcked | Close::Sent { .. } => {
                self.sender.release_queue();
                return None;
            }
        };
        let id = ids.next_id();
        self.close = Close::Sent { id, after_fault };
        envelope.write_start(out, IqType::Set, id.as_str());
        wire::write_close(out, &self.sid);
        out.push_str("</iq>");
        Some(Sent::Close)
    }

    /// XEP-0047 § 2.2: after a fault nothing that follows may be processed, and the bytestream MUST be closed.
    fn fail(&mut self) {
        if self.phase != Phase::Open || self.role == BytestreamRole::Negotiated {
            self.finish();
            return;
        }
        self.sender.drop_queue();
        self.acks.release_all();
        self.close = match self.close {
            Close::No | Close::WhenAcked | Close::AtOnce => Close::AtOnce,
            Close::Sent { id, .. } => Close::Sent { id, after_fault: true },
        };
    }

    /// Where no `<close/>` is sent, it is closed as soon as all is acknowledged: the end of the session says the rest.
    fn close_without_stanza(&mut self) {
        if self.role == BytestreamRole::Negotiated && self.close == Close::WhenAcked && self.sender.is_idle() {
            self.finish();
        }
    }

    /// It is over: nothing is sent any more but results that are owed.
    fn finish(&mut self) {
        self.phase = Phase::Closed;
        self.sender.drop_queue();
        self.acks.release_all();
    }

    fn sending_is_over(&self) -> bool {
        self.phase == Phase::Closed || matches!(self.close, Close::AtOnce | Close::Sent { .. })
    }

    fn receiving_is_over(&self) -> bool {
        self.phase == Phase::Closed || matches!(self.close, Close::AtOnce | Close::Sent { after_fault: true, .. })
    }
}
