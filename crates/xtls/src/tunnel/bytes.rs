//! Raw bytes as what runs inside.

use xtls_jingle::Role;
use xtls_tls::TlsVersion;

use xtls_channel::{EndedBy, Fault};

use super::{Inside, NotUsable, TunnelCore, agreement::Hashes, transport::wide};
use crate::{
    error::{FinishError, WriteError},
    event::Event,
    shared::Shared,
};

/// The state of a tunnel that carries raw bytes.
#[derive(Default)]
pub(super) struct RawBytes {
    pub(super) inbox: Vec<u8>,
    /// The negotiation hashes, where the description has them.
    pub(super) hashes: Option<Hashes>,
    /// `Readable` was told and nothing was read since.
    readable_told: bool,
    /// We have ended our direction.
    finished: bool,
    /// `PeerFinished` was told.
    peer_finished: bool,
    /// The end of our direction is sealed: nothing more can follow.
    pub(super) ended: bool,
    /// What the application has written and read.
    pub(super) written: u64,
    pub(super) read: u64,
}

impl RawBytes {
    pub(super) fn new(hashes: Option<Hashes>) -> Self {
        Self { hashes, ..Self::default() }
    }

    /// Whether nothing of the application's can go yet.
    fn holds_back(&self) -> bool {
        self.hashes.as_ref().is_some_and(Hashes::hold_back)
    }

    /// Bytes that were received and not read. What has to be a hash first is none of the application's.
    pub(super) fn unread(&self) -> usize {
        if self.awaits_hash() { 0 } else { self.inbox.len() }
    }

    /// Whether the peer's hash is due.
    pub(super) fn awaits_hash(&self) -> bool {
        self.hashes.as_ref().is_some_and(Hashes::is_due)
    }
}

impl Inside {
    /// Where received plaintext is appended.
    pub(super) fn inbox(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Stream(stream) => &mut stream.inbox,
            Self::Bytes(raw) => &mut raw.inbox,
        }
    }
}

impl TunnelCore {
    pub(crate) fn write(&mut self, bytes: &[u8], shared: &mut Shared) -> Result<usize, WriteError> {
        let (finished, holds_back) = match &self.inside {
            _ if self.is_xml() => return Err(WriteError::NotRaw),
            Some(Inside::Bytes(raw)) => (raw.finished, raw.holds_back()),
            Some(Inside::Stream(_)) | None => (false, false),
        };
        match self.check_usable() {
            Err(NotUsable::NotSecured) => return Err(WriteError::NotSecured),
            Err(NotUsable::Closing) => return Err(WriteError::Closing),
            Ok(()) if finished => return Err(WriteError::Closing),
            Ok(()) => {}
        }
        let room = if holds_back { 0 } else { self.room() };
        let taken = bytes.len().min(room);
        if taken < bytes.len() {
            self.want_room();
        }
        if taken > 0 {
            self.make_room(taken, shared);
            self.seal(&bytes[..taken]);
            if let Some(Inside::Bytes(raw)) = &mut self.inside {
                raw.written += wide(taken);
            }
        }
        Ok(taken)
    }

    pub(crate) fn read(&mut self, out: &mut Vec<u8>, shared: &Shared) -> usize {
        // What came early may be there before it is anybody's.
        let is_secured = self.security().is_some();
        let Some(Inside::Bytes(raw)) = self.inside.as_mut().filter(|_| is_secured) else { return 0 };
        if raw.awaits_hash() {
            return 0;
        }
        let bytes = raw.inbox.len();
        raw.readable_told = false;
        raw.read += wide(bytes);
        if out.is_empty() && out.capacity() <= raw.inbox.capacity() {
            // The caller's empty buffer becomes ours: nothing is copied, and we hold no more than before.
            core::mem::swap(out, &mut raw.inbox);
        } else {
            out.append(&mut raw.inbox);
        }
        self.taken(bytes, shared);
        self.all_may_be_read();
        bytes
    }

    pub(crate) fn finish(&mut self, shared: &mut Shared) -> Result<(), FinishError> {
        let before = match &self.inside {
            _ if self.is_xml() => return Err(FinishError::NotRaw),
            Some(Inside::Bytes(raw)) => raw.finished,
            Some(Inside::Stream(_)) | None => false,
        };
        match self.check_usable() {
            Err(NotUsable::NotSecured) => return Err(FinishError::NotSecured),
            Err(NotUsable::Closing) => return Err(FinishError::Closing),
            Ok(()) if before => return Ok(()),
            Ok(()) => {}
        }
        // RFC 5246 § 7.2.1: the other side of TLS 1.2 answers close_notify with its own and discards what it had to
        // send. RFC 8446 § 6.1 lets it go on.
        if self.security().is_some_and(|security| security.tls.version < TlsVersion::Tls13) {
            return Err(FinishError::NotInThisTls);
        }
        let Some(Inside::Bytes(raw)) = &mut self.inside else { return Ok(()) };
        raw.finished = true;
        if let Some(hashes) = raw.hashes.as_mut().filter(|hashes| hashes.hold_back()) {
            // Our end follows our hash.
            hashes.finish = true;
            return Ok(());
        }
        self.seal_end(shared);
        let Some(Inside::Bytes(raw)) = &self.inside else { return Ok(()) };
        if raw.peer_finished {
            // Both are through, and we know it first: we end the other layers. Over a connection nobody knows what has arrived, and
            // so the initiator does.
            let by = if self.goes_by_connection() && self.role == Role::Responder {
                EndedBy::Remote
            } else {
                EndedBy::Local
            };
            self.begin_close(by, shared);
        }
        Ok(())
    }

    /// Whether our direction is finished, and the peer has acknowledged all of it.
    pub(crate) fn is_finish_acked(&self) -> bool {
        let Some(Inside::Bytes(raw)) = &self.inside else { return false };
        let is_sealed = raw.finished && !raw.holds_back();
        is_sealed && self.transport.as_ref().is_some_and(|transport| transport.carrier.unacked() == 0)
    }

    /// Tells of bytes that can be read; those that came before the peer was judged are among them.
    pub(super) fn deliver_bytes(&mut self, shared: &mut Shared) {
        if !self.take_hash(shared) {
            return;
        }
        let Some(Inside::Bytes(raw)) = &mut self.inside else { return };
        if !raw.inbox.is_empty() && !raw.readable_told {
            raw.readable_told = true;
            shared.events.push(Event::Readable { id: self.id });
        }
    }

    /// The peer has ended its direction.
    pub(super) fn peer_has_closed(&mut self, shared: &mut Shared) {
        if self.awaits_hash() {
            return self.closed_without_hash(shared);
        }
        let half_close = self.security().is_some_and(|security| security.tls.version >= TlsVersion::Tls13);
        let Some(Inside::Bytes(raw)) = &mut self.inside else { return self.stream_peer_closed(shared) };
        if raw.peer_finished {
            return;
        }
        raw.peer_finished = true;
        let finished = raw.finished;
        shared.events.push(Event::PeerFinished { id: self.id });
        self.all_may_be_read();
        let is_unsure = self.goes_by_connection() || self.unsent_or_unacked();
        if finished && is_unsure && self.role == Role::Initiator {
            // Both finished at once, and neither was the last: the initiator ends the other layers.
            self.begin_close(EndedBy::Local, shared);
        } else if finished || !half_close {
            // The peer was the last one: it ends the other layers, in its own time.
            self.begin_close(EndedBy::Remote, shared);
        }
    }

    /// The peer has ended its direction before its hash came. Nothing of it was read, and nothing more goes to it.
    fn closed_without_hash(&mut self, shared: &Shared) {
        if self.inside.as_mut().is_some_and(|inside| !inside.inbox().is_empty()) {
            return self.fail(Fault::NegotiationMissing, shared);
        }
        self.begin_close(EndedBy::Remote, shared);
    }

    /// Whether the peer may not have seen all that we sent when it sent what came last.
    fn unsent_or_unacked(&self) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.carrier.unacked() > 0)
    }

    /// Tells of room for writing, once, to an application that found none.
    pub(super) fn tell_writable(&mut self, shared: &mut Shared) {
        let holds_back = matches!(&self.inside, Some(Inside::Bytes(raw)) if raw.holds_back());
        let usable = !holds_back && self.check_usable().is_ok();
        if let Some(transport) = &mut self.transport
            && transport.wants_room
            && usable
            && transport.room() > 0
        {
            transport.wants_room = false;
            shared.events.push(Event::Writable { id: self.id });
        }
    }

    /// Throws away what nobody reads.
    pub(super) fn discard_unread(&mut self) {
        if let Some(inside) = &mut self.inside {
            *inside.inbox() = Vec::new();
        }
    }
}
