//! One session: one file, or one part of it, in one direction.

mod bytes;
mod carrier;
mod check;
mod heard;
mod said;
mod time;

use xtls_jingle::Role;
use xtls_stanza::{Id, Instant};

pub(crate) use self::heard::{Refusal, offered};
use self::{bytes::Inbox, carrier::Carrier, check::Check, time::Due};
use crate::{FileEnd, FileError, FileEvent, FileHasher, FileId, FileInfo, FileRange, FileRequest, shared::Shared};

pub(crate) struct Session {
    pub(crate) id: FileId,
    pub(crate) sid: String,
    role: Role,
    /// Whether the file goes from here to the peer.
    sends: bool,
    phase: Phase,
    /// The name of the content.
    content: String,
    file: FileInfo,
    contents: bool,
    range: FileRange,
    carrier: Carrier,
    check: Check,
    inbox: Inbox,
    /// The peer offers a part that does not go up to the end.
    is_cut: bool,
    /// Bytes that the application wrote.
    written: u64,
    /// The application wanted to write more than there was room for.
    wants_room: bool,
    /// Requests of ours to which an answer is due.
    waiting: Vec<(Id, &'static str, Instant)>,
    due: Option<(Due, Instant)>,
    /// The peer said that it has all of it.
    received: bool,
    /// The peer has ended the session well, and there is still something to do here.
    peer_is_done: bool,
    ended: Option<(FileEnd, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is not known yet what the peer knows.
    Asking,
    /// Our session-initiate is out.
    Offered,
    /// The application decides on the peer's.
    Ringing,
    /// It took it, and we asked for another way for the bytes than the peer offered.
    Replacing,
    /// The peer accepted our offer; the application hashes what the peer has already.
    Starting,
    /// Bytes flow, or are about to.
    Running,
    /// All was sent; the peer confirms.
    Sent,
    /// All is here and agrees; the application stores it.
    Agreed,
}

impl Session {
    fn new(id: FileId, sid: String, role: Role, sends: bool, phase: Phase, wanted: FileRequest) -> Self {
        Self {
            id,
            sid,
            role,
            sends,
            phase,
            content: "file".to_owned(),
            file: wanted.file,
            contents: wanted.contents,
            range: wanted.range,
            carrier: Carrier::None,
            check: Check::default(),
            inbox: Inbox::default(),
            is_cut: wanted.range.length.is_some(),
            written: 0,
            wants_room: false,
            waiting: Vec::new(),
            due: None,
            received: false,
            peer_is_done: false,
            ended: None,
        }
    }

    /// An offer of ours, to be made when it is known what the peer knows.
    pub(crate) fn offer(id: FileId, sid: &str, file: FileInfo) -> Self {
        let wanted = FileRequest { file, ..FileRequest::default() };
        Self::new(id, sid.to_owned(), Role::Initiator, true, Phase::Asking, wanted)
    }

    /// A request of ours; `has` is the hash of what is here already before the part that is wanted.
    pub(crate) fn request(id: FileId, sid: &str, wanted: FileRequest, has: FileHasher) -> Self {
        let mut session = Self::new(id, sid.to_owned(), Role::Initiator, false, Phase::Asking, wanted);
        session.check.has(has, session.range.offset);
        session
    }

    /// It is known what the peer knows, or it did not say: makes the offer or the request.
    pub(crate) fn ask(&mut self, now: Instant, shared: &mut Shared) {
        if self.phase != Phase::Asking {
            return;
        }
        let features = shared.features;
        let knows_files = features.is_none_or(|features| features.files);
        // XEP-0234 has no manifests: who does not know them would take the list for the files.
        let needs_more = self.file.manifest.is_some() || self.contents;
        if !knows_files || needs_more && !features.is_some_and(|features| features.extended) {
            self.ended = Some((FileEnd::Unsupported, true));
            return;
        }
        let by_tunnel = shared.config.tunnels && features.is_some_and(|features| features.tunnels);
        let sid = shared.ids.next_id();
        self.carrier = Carrier::offer(self.role, by_tunnel, sid.as_str(), &shared.config);
        self.phase = Phase::Offered;
        self.say_initiate(now, shared);
    }

    /// The application takes the peer's offer; `has` is the hash of what it has already.
    pub(crate) fn accept(&mut self, now: Instant, has: FileHasher, shared: &mut Shared) -> Result<(), FileError> {
        if self.phase != Phase::Ringing || self.sends {
            return Err(FileError::NotNow);
        }
        let has = self.fitting(has)?;
        // An offer that begins later than the file does, and what is here already: both have to fit.
        let offset = if has.bytes() == 0 { self.range.offset } else { has.bytes() };
        let is_beyond = self.range.end(self.file.size).or(self.file.size).is_some_and(|end| offset > end);
        // XEP-0234 § 5: without a `<range/>` in the offer no part can be asked for.
        if offset < self.range.offset || is_beyond || offset > self.range.offset && !self.file.ranged {
            return Err(FileError::Range);
        }
        let end = self.range.end(self.file.size);
        self.range = FileRange { offset, length: end.map(|end| end.saturating_sub(offset)) };
        self.check.has(has, offset);
        self.agree(now, shared);
        Ok(())
    }

    /// The application serves what the peer asked for; `start` is the hash of what the peer wants to be checked.
    pub(crate) fn serve(
        &mut self,
        now: Instant,
        file: FileInfo,
        start: FileHasher,
        shared: &mut Shared,
    ) -> Result<(), FileError> {
        if self.phase != Phase::Ringing || !self.sends {
            return Err(FileError::NotNow);
        }
        let size = if self.contents { file.manifest.map(|manifest| manifest.size) } else { file.size };
        let size = size.ok_or(FileError::NoSize)?;
        let start = self.fitting(start)?;
        if start.bytes() != self.check.wanted_bytes() {
            return Err(FileError::Hasher);
        }
        let Some(end) = self.range.end(Some(size)) else {
            // XEP-0234 § 9.1: there is no such part.
            self.end(FileEnd::NotAvailable, now, shared);
            return Ok(());
        };
        self.range.length = Some(end - self.range.offset);
        self.file = FileInfo {
            hash: file.hash.filter(|hash| hash.algo() == start.algo()),
            hash_algo: Some(start.algo()),
            ..file
        };
        self.check.begins_after(start);
        self.agree(now, shared);
        Ok(())
    }

    /// The application has hashed what the peer has already of our offer.
    pub(crate) fn start(&mut self, now: Instant, start: FileHasher, shared: &mut Shared) -> Result<(), FileError> {
        if self.phase != Phase::Starting {
            return Err(FileError::NotNow);
        }
        let start = self.fitting(start)?;
        if start.bytes() != self.check.wanted_bytes() {
            return Err(FileError::Hasher);
        }
        self.check.begins_after(start);
        self.begin_sending(now, shared);
        self.phase = Phase::Running;
        Ok(())
    }

    /// The application has stored what came.
    pub(crate) fn stored(&mut self, now: Instant, shared: &mut Shared) -> Result<(), FileError> {
        if self.phase != Phase::Agreed {
            return Err(FileError::NotNow);
        }
        if self.peer_is_done {
            self.ended = Some((FileEnd::Success, true));
        } else {
            self.say_received(now, shared);
            self.end(FileEnd::Success, now, shared);
        }
        Ok(())
    }

    /// Ends it from this side.
    pub(crate) fn end(&mut self, end: FileEnd, now: Instant, shared: &mut Shared) {
        if self.ended.is_some() {
            return;
        }
        if self.phase != Phase::Asking && !self.peer_is_done {
            self.say_terminate(end, now, shared);
        }
        self.ended = Some((end, false));
    }

    /// The XML stream is gone. What the peer has ended well needs it no more.
    pub(crate) fn gone(&mut self) {
        if !self.peer_is_done {
            self.ended.get_or_insert((FileEnd::Gone, false));
        }
    }

    /// Whether it is over: then how, and whether the peer said so.
    pub(crate) fn ended(&self) -> Option<(FileEnd, bool)> {
        self.ended
    }

    /// Whether the peer began it.
    pub(crate) fn is_theirs(&self) -> bool {
        self.role == Role::Responder
    }

    /// A hasher of the function that was agreed. One that has seen nothing can be exchanged.
    fn fitting(&self, hasher: FileHasher) -> Result<FileHasher, FileError> {
        let algo = self.file.algo();
        if hasher.algo() == algo {
            Ok(hasher)
        } else if hasher.bytes() == 0 {
            Ok(FileHasher::new(algo))
        } else {
            Err(FileError::Hasher)
        }
    }

    /// The application has agreed to what the peer offers or asks for.
    fn agree(&mut self, now: Instant, shared: &mut Shared) {
        if self.carrier.is_none() {
            // XEP-0234 § 10.1: everybody has in-band bytestreams, whatever else was offered.
            let sid = shared.ids.next_id();
            self.carrier = Carrier::offer(self.role, false, sid.as_str(), &shared.config);
            self.phase = Phase::Replacing;
            return self.say_transport("transport-replace", now, shared);
        }
        self.say_accept(now, shared);
        if self.sends {
            self.begin_sending(now, shared);
        }
        self.run(shared);
    }

    /// Both ends agree: what carries the bytes is opened.
    fn run(&mut self, shared: &mut Shared) {
        if self.phase != Phase::Starting {
            self.phase = Phase::Running;
        }
        if !self.sends {
            self.check.begin_receiving(&self.file, self.range, self.contents);
        }
        if self.range.length == Some(0) {
            self.carrier.spare();
        }
        if let Some(sid) = self.carrier.tunnel_sid() {
            let (id, sid) = (self.id, sid.to_owned());
            // docs/wire.md § 10.5: whoever began the session opens the tunnel.
            shared.tell(match self.role {
                Role::Initiator => FileEvent::OpenTunnel { id, sid },
                Role::Responder | _ => FileEvent::ExpectTunnel { id, sid },
            });
        }
        self.carrier.open();
    }
}
