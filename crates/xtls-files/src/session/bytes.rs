//! The bytes of a file on their way.

use core::mem;

use xtls_ibb::{Acked, BytestreamState, ErrorOutcome, Handled, Request};
use xtls_stanza::{Instant, StanzaError};

use super::{Phase, Session, carrier::Carrier};
use crate::{FileEnd, FileError, FileEvent, hash::wide, shared::Shared};

/// What came and was not read yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// All that ever came.
    pub(super) came: u64,
    /// No more will come.
    pub(super) is_over: bool,
    /// The application knows that there is something.
    is_told: bool,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn read(&self) -> u64 {
        self.came - wide(self.bytes.len())
    }
}

impl Session {
    /// Takes what there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8], shared: &Shared) -> Result<usize, FileError> {
        if !self.sends || self.phase != Phase::Running {
            return Err(FileError::NotNow);
        }
        let left = usize::try_from(self.left().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let wanted = bytes.len().min(left);
        let taken = bytes.get(..wanted.min(self.room(shared))).unwrap_or_default();
        self.wants_room = taken.len() < wanted;
        self.check.update(taken);
        self.written += wide(taken.len());
        match &mut self.carrier {
            Carrier::InBand(bytestream) => bytestream.outgoing().extend_from_slice(taken),
            Carrier::Tunnel(pipe) => pipe.out.extend_from_slice(taken),
            Carrier::None => {}
        }
        Ok(taken.len())
    }

    /// Takes everything that came and can be taken; how much that was.
    pub(crate) fn read(&mut self, out: &mut Vec<u8>, shared: &Shared) -> usize {
        if self.check.is_unchecked() {
            return 0;
        }
        let count = self.inbox.bytes.len();
        if out.is_empty() {
            mem::swap(out, &mut self.inbox.bytes);
        } else {
            out.append(&mut self.inbox.bytes);
        }
        self.inbox.is_told = false;
        self.release(shared);
        count
    }

    /// How many bytes of the part have gone out or come in, in order: sent and acknowledged where that is known; or read.
    pub(crate) fn progress(&self) -> u64 {
        if self.sends { self.written.saturating_sub(self.carrier.unacked()) } else { self.inbox.read() }
    }

    /// How many bytes there are to transfer, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.range.length
    }

    /// Bytes of the tunnel that the application can still be given.
    pub(crate) fn tunnel_room(&self, shared: &Shared) -> usize {
        let has_tunnel = self.carrier.tunnel_sid().is_some();
        let room = shared.config.buffer_bytes.saturating_sub(self.inbox.bytes.len());
        if has_tunnel && !self.sends && !self.is_complete() { room } else { 0 }
    }

    pub(crate) fn take_tunnel_bytes(
        &mut self,
        bytes: &[u8],
        now: Instant,
        shared: &mut Shared,
    ) -> Result<(), FileError> {
        let is_open = self.carrier.pipe().is_some_and(|pipe| pipe.is_open && !pipe.is_over);
        if !is_open || self.phase != Phase::Running {
            return Err(FileError::NotNow);
        }
        if !self.sends && bytes.len() > self.tunnel_room(shared) {
            return Err(FileError::NoRoom);
        }
        if self.sends {
            // docs/wire.md § 10.5: the other direction stays empty.
            self.end(FileEnd::Protocol("bytes from the receiver of a file"), now, shared);
            return Ok(());
        }
        self.inbox.bytes.extend_from_slice(bytes);
        self.came(bytes.len(), now, shared);
        Ok(())
    }

    pub(crate) fn poll_tunnel(&mut self, out: &mut Vec<u8>) -> usize {
        let Some(pipe) = self.carrier.pipe().filter(|pipe| pipe.is_open) else { return 0 };
        let count = pipe.out.len();
        out.append(&mut pipe.out);
        count
    }

    pub(crate) fn tunnel_opened(&mut self) -> Result<(), FileError> {
        let pipe = self.carrier.pipe().filter(|pipe| !pipe.is_open).ok_or(FileError::NotNow)?;
        pipe.is_open = true;
        Ok(())
    }

    /// The tunnel cannot be opened, or was lost; `in_order`: the peer has ended it, and everything came.
    pub(crate) fn tunnel_over(&mut self, in_order: bool, now: Instant, shared: &mut Shared) -> Result<(), FileError> {
        let is_complete = self.is_complete();
        let pipe = self.carrier.pipe().filter(|pipe| !pipe.is_over).ok_or(FileError::NotNow)?;
        pipe.is_over = true;
        let is_through = pipe.out.is_empty();
        let is_running = matches!(self.phase, Phase::Running | Phase::Starting);
        if self.sends {
            let is_all = is_through && self.left() == Some(0);
            if is_running && !is_all {
                self.end(FileEnd::TransportFailed, now, shared);
            }
        } else if !is_complete {
            match self.range.length {
                None if in_order => self.inbox.is_over = true,
                _ if in_order => self.end(FileEnd::TooShort, now, shared),
                _ => self.end(FileEnd::TransportFailed, now, shared),
            }
        }
        Ok(())
    }

    /// Whether a bytestream of this sid is this session's.
    pub(crate) fn has_bytestream(&self, sid: &str) -> bool {
        self.carrier.bytestream().is_some_and(|bytestream| bytestream.sid() == sid)
    }

    /// A request of XEP-0047 for the bytestream of this session.
    pub(crate) fn take_block(&mut self, id: &str, request: &Request<'_>, now: Instant, shared: &mut Shared) {
        let is_early = matches!(self.phase, Phase::Asking | Phase::Offered | Phase::Ringing | Phase::Replacing);
        let Carrier::InBand(bytestream) = &mut self.carrier else { return };
        if is_early || self.peer_is_done {
            // Nobody has agreed to it, or the session is over for the peer.
            return shared.refuse(id, &xtls_ibb::BytestreamFault::UnknownSid.to_stanza_error());
        }
        match bytestream.handle_request(id, request, &mut self.inbox.bytes) {
            Ok(Handled::Data { bytes }) if self.sends => {
                bytestream.release_acks(u64::MAX);
                if bytes > 0 {
                    self.end(FileEnd::Protocol("bytes from the receiver of a file"), now, shared);
                }
            }
            Ok(Handled::Data { bytes }) => {
                self.came(bytes, now, shared);
                let came = self.inbox.came;
                if let Some(bytestream) = self.carrier.bytestream_mut() {
                    bytestream.mark_ack(came);
                }
                self.release(shared);
            }
            Ok(Handled::Closed) => self.bytestream_over(now, shared),
            Ok(Handled::Opened | _) => {}
            Err(fault) => {
                shared.refuse(id, &fault.to_stanza_error());
                if fault.ends_bytestream() {
                    self.end(FileEnd::Protocol("a block that does not fit into its bytestream"), now, shared);
                }
            }
        }
    }

    /// A result for the bytestream of this session; whether it was one.
    pub(crate) fn block_acked(&mut self, id: &str, now: Instant, shared: &mut Shared) -> bool {
        let Some(acked) = self.carrier.bytestream_mut().and_then(|bytestream| bytestream.handle_result(id)) else {
            return false;
        };
        if let Acked::Gap { .. } = acked {
            self.end(FileEnd::Protocol("a block is acknowledged after one that was not delivered"), now, shared);
        }
        true
    }

    /// An error for the bytestream of this session; whether it was one.
    pub(crate) fn block_refused(&mut self, id: &str, error: &StanzaError, now: Instant, shared: &mut Shared) -> bool {
        let Some(outcome) = self.carrier.bytestream_mut().and_then(|bytestream| bytestream.handle_error(id, error))
        else {
            return false;
        };
        match outcome {
            // Inside of a stream nothing stands between the two that could be away for a while.
            ErrorOutcome::OpenRefused | ErrorOutcome::Ended { .. } | ErrorOutcome::Suspended => {
                self.end(FileEnd::TransportFailed, now, shared);
            }
            ErrorOutcome::Retrying | ErrorOutcome::Closed | ErrorOutcome::Late | _ => {}
        }
        true
    }

    /// The bytestream is not needed any more: what is owed to the peer is still to be polled.
    pub(crate) fn end_bytestream(&mut self) {
        if let Some(bytestream) = self.carrier.bytestream_mut() {
            bytestream.end();
        }
    }

    /// Ids of requests whose answers may still come.
    pub(crate) fn unanswered(&self) -> Vec<xtls_stanza::Id> {
        let blocks = self.carrier.bytestream().into_iter().flat_map(|bytestream| bytestream.unanswered());
        blocks.chain(self.waiting.iter().map(|(id, ..)| *id)).collect()
    }

    /// The sid of what carries the bytes, a bytestream or a tunnel.
    pub(crate) fn carrier_sid(&self) -> Option<&str> {
        self.carrier.sid()
    }

    fn bytestream_over(&mut self, now: Instant, shared: &mut Shared) {
        if self.sends {
            let is_all = self.left() == Some(0) && self.carrier.unacked() == 0;
            if matches!(self.phase, Phase::Starting | Phase::Running) && !is_all {
                self.end(FileEnd::TransportFailed, now, shared);
            }
        } else if !self.is_complete() {
            match self.range.length {
                None => self.inbox.is_over = true,
                Some(_) => self.end(FileEnd::TooShort, now, shared),
            }
        }
    }

    /// So many bytes were added to the inbox.
    fn came(&mut self, count: usize, now: Instant, shared: &mut Shared) {
        let start = self.inbox.bytes.len().saturating_sub(count);
        let new = self.inbox.bytes.get(start..).unwrap_or_default();
        self.inbox.came += wide(count);
        if self.range.length.is_some_and(|length| self.inbox.came > length) {
            // XEP-0234 § 9.2: the sender goes on past what it said.
            self.end(FileEnd::TooLarge, now, shared);
            return;
        }
        self.check.update(new);
    }

    /// Acknowledges what fits into the buffer: this is all the backpressure there is.
    fn release(&mut self, shared: &Shared) {
        let position = self.inbox.read().saturating_add(wide(shared.config.buffer_bytes));
        if let Some(bytestream) = self.carrier.bytestream_mut() {
            bytestream.release_acks(position);
        }
    }

    /// What is left to be written.
    fn left(&self) -> Option<u64> {
        self.range.length.map(|length| length.saturating_sub(self.written))
    }

    fn room(&self, shared: &Shared) -> usize {
        match &self.carrier {
            Carrier::InBand(bytestream) => bytestream.writable(),
            Carrier::Tunnel(pipe) => shared.config.buffer_bytes.saturating_sub(pipe.out.len()),
            Carrier::None => usize::MAX,
        }
    }

    /// The receiver: whether all bytes are here.
    pub(super) fn is_complete(&self) -> bool {
        self.inbox.is_over || self.range.length == Some(self.inbox.came)
    }

    /// Does what can be done now without the peer.
    pub(crate) fn go_on(&mut self, now: Instant, shared: &mut Shared) {
        if self.ended.is_none() && self.phase == Phase::Running {
            if self.sends { self.go_on_sending(now, shared) } else { self.go_on_receiving(now, shared) }
        }
        // All was sent. An empty file may be before there is a bytestream.
        let bytestream = self.carrier.bytestream_mut().filter(|_| self.phase == Phase::Sent);
        if let Some(bytestream) = bytestream.filter(|stream| stream.state() == BytestreamState::Open) {
            bytestream.close();
        }
    }

    fn go_on_sending(&mut self, now: Instant, shared: &mut Shared) {
        if self.wants_room && self.room(shared) > 0 {
            self.wants_room = false;
            shared.tell(FileEvent::Writable { id: self.id });
        }
        if self.left() != Some(0) || self.carrier.queued() > 0 {
            return;
        }
        if !self.say_hashes(now, shared) {
            return self.end(FileEnd::FileChanged, now, shared);
        }
        if self.carrier.tunnel_sid().is_some() {
            shared.tell(FileEvent::CloseTunnel { id: self.id });
        }
        self.phase = Phase::Sent;
    }

    fn go_on_receiving(&mut self, now: Instant, shared: &mut Shared) {
        if self.check.is_unchecked() {
            return;
        }
        if self.is_complete() {
            match self.check.compare(&self.file) {
                Some(Err(end)) => return self.end(end, now, shared),
                Some(Ok(compared)) if self.inbox.is_empty() => {
                    self.phase = Phase::Agreed;
                    return shared.tell(FileEvent::Checked { id: self.id, compared });
                }
                Some(Ok(_)) | None => {}
            }
        }
        if !self.inbox.is_empty() && !self.inbox.is_told {
            self.inbox.is_told = true;
            shared.tell(FileEvent::Readable { id: self.id });
        }
    }
}
