//! Raw bytes as what runs inside.

use xtls_jingle::Role;
use xtls_tls::TlsVersion;

use super::{Inside, Tunnel, stream::Slip};
use crate::{
    error::{FinishError, WriteError},
    event::{EndedBy, Event},
    shared::Shared,
};

/// The state of a tunnel that carries raw bytes.
#[derive(Default)]
pub(super) struct RawBytes {
    inbox: Vec<u8>,
    /// `Readable` was told and nothing was read since.
    readable_told: bool,
    /// We have ended our direction.
    finished: bool,
    /// `PeerFinished` was told.
    peer_finished: bool,
}

impl RawBytes {
    /// Where received bytes are appended.
    pub(super) fn inbox(&mut self) -> &mut Vec<u8> {
        &mut self.inbox
    }

    /// Bytes that were received and not read.
    pub(super) fn unread(&self) -> usize {
        self.inbox.len()
    }
}

impl Tunnel {
    pub(crate) fn write(&mut self, bytes: &[u8], _: &mut Shared) -> Result<usize, WriteError> {
        let Inside::Bytes(raw) = &self.inside else { return Err(WriteError::NotRaw) };
        let finished = raw.finished;
        match self.check_usable() {
            Err(Slip::NotSecured) => return Err(WriteError::NotSecured),
            Err(Slip::Closing) => return Err(WriteError::Closing),
            Ok(()) if finished => return Err(WriteError::Closing),
            Ok(()) => {}
        }
        let taken = bytes.len().min(self.room());
        if taken < bytes.len() {
            self.wants_room = true;
        }
        if taken > 0 {
            self.seal(&bytes[..taken]);
        }
        Ok(taken)
    }

    pub(crate) fn read(&mut self, out: &mut Vec<u8>, shared: &Shared) -> usize {
        let Inside::Bytes(raw) = &mut self.inside else { return 0 };
        let bytes = raw.inbox.len();
        raw.readable_told = false;
        if out.is_empty() && out.capacity() < bytes {
            // The caller's empty buffer becomes ours: nothing is copied.
            core::mem::swap(out, &mut raw.inbox);
        } else {
            out.append(&mut raw.inbox);
        }
        self.opened.taken(bytes);
        self.release_acks(shared);
        bytes
    }

    pub(crate) fn finish(&mut self, shared: &mut Shared) -> Result<(), FinishError> {
        let Inside::Bytes(raw) = &mut self.inside else { return Err(FinishError::NotRaw) };
        let before = raw.finished;
        match self.check_usable() {
            Err(Slip::NotSecured) => return Err(FinishError::NotSecured),
            Err(Slip::Closing) => return Err(FinishError::Closing),
            Ok(()) if before => return Ok(()),
            Ok(()) => {}
        }
        // RFC 5246 § 7.2.1: the other side of TLS 1.2 answers close_notify with its own and discards what it had to
        // send. RFC 8446 § 6.1 lets it go on.
        if self.security.as_ref().is_some_and(|security| security.tls.version < TlsVersion::Tls13) {
            return Err(FinishError::NotInThisTls);
        }
        self.seal_end();
        let Inside::Bytes(raw) = &mut self.inside else { return Ok(()) };
        raw.finished = true;
        if raw.peer_finished {
            // Both are through, and we know it first: we end the other layers.
            self.begin_close(EndedBy::Local, shared);
        }
        Ok(())
    }

    /// Tells of bytes that can be read; those that came before the peer was judged are among them.
    pub(super) fn deliver_bytes(&mut self, shared: &mut Shared) {
        let Inside::Bytes(raw) = &mut self.inside else { return };
        raw.inbox.append(&mut self.early);
        if !raw.inbox.is_empty() && !raw.readable_told {
            raw.readable_told = true;
            shared.events.push(Event::Readable { id: self.id });
        }
    }

    /// The peer has ended its direction.
    pub(super) fn peer_closed(&mut self, shared: &mut Shared) {
        let half_close = self.security.as_ref().is_some_and(|security| security.tls.version >= TlsVersion::Tls13);
        let Inside::Bytes(raw) = &mut self.inside else { return self.stream_peer_closed(shared) };
        if self.security.is_none() || raw.peer_finished {
            return;
        }
        raw.peer_finished = true;
        let finished = raw.finished;
        shared.events.push(Event::PeerFinished { id: self.id });
        if finished && self.unsent_or_unacked() && self.role == Role::Initiator {
            // Both finished at once, and neither was the last: the initiator ends the other layers.
            self.begin_close(EndedBy::Local, shared);
        } else if finished || !half_close {
            // The peer was the last one: it ends the other layers, in its own time.
            self.begin_close(EndedBy::Remote, shared);
        }
    }

    /// Whether the peer may not have seen all that we sent when it sent what came last.
    fn unsent_or_unacked(&self) -> bool {
        self.bytestream.as_ref().is_some_and(|bytestream| bytestream.unacked() > 0)
    }

    /// Tells of room for writing, once, to an application that found none.
    pub(super) fn tell_writable(&mut self, shared: &mut Shared) {
        if self.wants_room && self.check_usable().is_ok() && self.room() > 0 {
            self.wants_room = false;
            shared.events.push(Event::Writable { id: self.id });
        }
    }

    /// Throws away what nobody reads.
    pub(super) fn discard_unread(&mut self) {
        if let Inside::Bytes(raw) = &mut self.inside {
            raw.inbox = Vec::new();
        }
    }
}
