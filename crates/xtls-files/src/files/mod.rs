//! All sessions with one peer: [`Files`].

mod inbound;
mod tunnel;

use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use xtls_stanza::{DiscoInfo, Element, Envelope, Id, Ids, Instant, Limits, jid::FullJid};

use crate::{
    FileEnd, FileError, FileEvent, FileHasher, FileId, FileInfo, FileRequest, FilesConfig, PeerFeatures,
    element::is_date, session::Session, shared::Shared,
};

/// All sessions of files with one peer, inside of one XML stream.
///
/// What comes inside of the stream goes in by [`Files::handle_stanza`], which leaves to the application what is not for files; what
/// [`Files::poll_stanza`] gives goes out there. Both ends write a session down as [`FileId`].
///
/// | | who has the file | who gets it |
/// |---|---|---|
/// | begins with | [`offer`](Self::offer), or [`FileEvent::Requested`] and [`serve`](Self::serve) | [`request`](Self::request), or [`FileEvent::Offered`] and [`accept`](Self::accept) |
/// | goes on with | [`FileEvent::Accepted`], and [`start`](Self::start) where the peer has a part already | [`FileEvent::Granted`] after a request |
/// | bytes | [`write`](Self::write), [`FileEvent::Writable`] | [`FileEvent::Readable`], [`read`](Self::read) |
/// | in the end | [`FileEvent::Received`] | [`FileEvent::Checked`], [`stored`](Self::stored) |
/// | | [`FileEvent::Ended`] | [`FileEvent::Ended`] |
///
/// Where the bytes go by a tunnel, [`FileEvent::OpenTunnel`] or [`FileEvent::ExpectTunnel`] tells its sid, and the application
/// drives it with [`tunnel_opened`](Self::tunnel_opened), [`poll_tunnel`](Self::poll_tunnel) and
/// [`handle_tunnel_bytes`](Self::handle_tunnel_bytes). Nothing else changes.
pub struct Files {
    shared: Shared,
    sessions: BTreeMap<FileId, Session>,
    /// The session after the one whose block went out last.
    turn: FileId,
    last: u64,
    /// Our disco#info, unanswered.
    asked: Option<Id>,
    /// Requests of ended sessions that may be answered still, the oldest first.
    late: VecDeque<Id>,
    /// Sids of ended sessions and of their bytestreams, the oldest first.
    old: VecDeque<String>,
}

/// Ids and sids that are remembered of what has ended.
const REMEMBERED: usize = 512;

impl Files {
    /// The sessions between `own` and `peer`, the two ends of the stream. `seed` is 32 random bytes, from which ids and sids are made.
    #[must_use]
    pub fn new(own: FullJid, peer: FullJid, seed: [u8; 32], config: FilesConfig) -> Self {
        let to_peer = Envelope::new(peer.as_str(), None);
        let shared = Shared {
            own,
            peer,
            to_peer,
            ids: Ids::new(seed),
            config,
            events: VecDeque::new(),
            out: VecDeque::new(),
            features: None,
            is_silent: false,
        };
        Self {
            shared,
            sessions: BTreeMap::new(),
            turn: FileId(0),
            last: 0,
            asked: None,
            late: VecDeque::new(),
            old: VecDeque::new(),
        }
    }

    /// What the peer knows, once it has said so.
    #[must_use]
    pub fn peer_features(&self) -> Option<PeerFeatures> {
        self.shared.features
    }

    /// Asks what the peer knows, unless that is known or asked already. Offers and requests do so by themselves.
    pub fn discover(&mut self) {
        if self.shared.features.is_none() && self.asked.is_none() && !self.shared.is_silent {
            let id = self.shared.ids.next_id();
            let mut out = String::new();
            DiscoInfo::write_request(&mut out, id.as_str(), self.shared.peer.as_str(), None, None);
            self.shared.out.push_back(out);
            self.asked = Some(id);
        }
    }

    /// Says from now on whether a tunnel of its own can carry the bytes of a file: [`FilesConfig::tunnels`]. After one failed the file
    /// can be offered again without.
    pub fn use_tunnels(&mut self, tunnels: bool) {
        self.shared.config.tunnels = tunnels;
    }

    /// Offers a file. It goes out when it is known what the peer knows.
    ///
    /// # Errors
    ///
    /// When there are too many sessions, or what is said about the file cannot be said.
    pub fn offer(&mut self, now: Instant, file: FileInfo) -> Result<FileId, FileError> {
        file.size.ok_or(FileError::NoSize)?;
        self.check_text(&file)?;
        let sid = self.shared.ids.next_id();
        let file = FileInfo { hash_algo: Some(file.algo()), ..file };
        self.begin(now, |id| Session::offer(id, sid.as_str(), file))
    }

    /// Asks for a file, or for a part of it. `has` has hashed what stands right before that part in the file and is here already, and has
    /// seen nothing where nothing is: the peer is asked to check it before a byte comes, if it can, and the hash of the whole file
    /// goes on from there.
    ///
    /// # Errors
    ///
    /// When there are too many sessions, or it is not said which file is meant.
    pub fn request(&mut self, now: Instant, wanted: FileRequest, has: FileHasher) -> Result<FileId, FileError> {
        let FileRequest { file, range, .. } = &wanted;
        if file.hash.is_none() && file.name.is_none() {
            return Err(FileError::Selector);
        }
        self.check_text(file)?;
        let size = file.size.filter(|_| !wanted.contents);
        if has.bytes() > range.offset || (size.is_some() || range.length.is_some()) && range.end(size).is_none() {
            return Err(FileError::Range);
        }
        if file.hash_algo.is_some_and(|algo| algo != has.algo()) {
            return Err(FileError::Hasher);
        }
        let sid = self.shared.ids.next_id();
        let mut wanted = wanted;
        wanted.file.hash_algo = Some(has.algo());
        self.begin(now, |id| Session::request(id, sid.as_str(), wanted, has))
    }

    fn begin(&mut self, now: Instant, session: impl FnOnce(FileId) -> Session) -> Result<FileId, FileError> {
        if self.count(false) >= self.shared.config.sessions_max {
            return Err(FileError::TooMany);
        }
        let id = self.next_id();
        self.sessions.insert(id, session(id));
        self.discover();
        if self.shared.features.is_some() || self.shared.is_silent {
            self.with(id, |session, shared| session.ask(now, shared));
        }
        self.settle(id, true, now);
        Ok(id)
    }

    /// Takes a file that the peer offers ([`FileEvent::Offered`]). `has` has hashed the first bytes of it, as far as they are here
    /// already; with a new one the file comes from its first byte on.
    ///
    /// # Errors
    ///
    /// When there is no such offer, or `has` does not fit it.
    pub fn accept(&mut self, now: Instant, id: FileId, has: FileHasher) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.accept(now, has, shared))
    }

    /// Sends the file that the peer asks for ([`FileEvent::Requested`]). `start` has hashed the part that is to be checked, and is a
    /// new one where there is none. A part beyond the end ends the session as [`FileEnd::NotAvailable`].
    ///
    /// For the files of a manifest `file` is the manifest, whose [`ManifestInfo::size`](crate::ManifestInfo::size) counts.
    ///
    /// # Errors
    ///
    /// When there is no such request, or `start` does not fit it.
    pub fn serve(&mut self, now: Instant, id: FileId, file: FileInfo, start: FileHasher) -> Result<(), FileError> {
        self.check_text(&file)?;
        self.command(now, id, |session, shared| session.serve(now, file, start, shared))
    }

    /// The peer takes our offer and has a part of it already ([`FileEvent::Accepted`]), which `start` has hashed.
    ///
    /// # Errors
    ///
    /// When that is not so, or `start` has seen something else.
    pub fn start(&mut self, now: Instant, id: FileId, start: FileHasher) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.start(now, start, shared))
    }

    /// Ends a session from this side: declines, breaks off, or says what went wrong with the file here.
    ///
    /// # Errors
    ///
    /// When there is no such session.
    pub fn end(&mut self, now: Instant, id: FileId, end: FileEnd) -> Result<(), FileError> {
        self.command(now, id, |session, shared| {
            // How a session ends well is said by `stored`, and by nothing else.
            if end == FileEnd::Success {
                return Err(FileError::NotNow);
            }
            session.end(end, now, shared);
            Ok(())
        })
    }

    /// What came is stored safely ([`FileEvent::Checked`]): the peer is told, and the session ends well.
    ///
    /// # Errors
    ///
    /// When not everything was read and found to agree.
    pub fn stored(&mut self, now: Instant, id: FileId) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.stored(now, shared))
    }

    /// Takes as many of these bytes as there is room for, and tells how many. Those that follow are to be written when
    /// [`FileEvent::Writable`] has said so; beyond the end of what is to be sent nothing is taken.
    ///
    /// # Errors
    ///
    /// When nothing is to be written at this point.
    pub fn write(&mut self, now: Instant, id: FileId, bytes: &[u8]) -> Result<usize, FileError> {
        self.command(now, id, |session, shared| session.write(bytes, shared))
    }

    /// Appends everything that came and is ready, and tells how much that is.
    pub fn read(&mut self, now: Instant, id: FileId, out: &mut Vec<u8>) -> usize {
        self.command(now, id, |session, shared| Ok(session.read(out, shared))).unwrap_or_default()
    }

    /// How many bytes are over: sent and, in band, acknowledged; or read.
    #[must_use]
    pub fn progress(&self, id: FileId) -> Option<u64> {
        self.sessions.get(&id).map(Session::progress)
    }

    /// How many bytes there are to transfer in this session, once that is agreed.
    #[must_use]
    pub fn length(&self, id: FileId) -> Option<u64> {
        self.sessions.get(&id).and_then(Session::length)
    }

    /// The XML stream is gone: all sessions end, and nothing more is sent. A file of which [`FileEvent::Checked`] was told is right all the
    /// same; one that the peer has ended well can still be read and stored.
    pub fn handle_closed(&mut self, now: Instant) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.with(id, |session, _| session.gone());
            self.settle(id, false, now);
        }
        self.shared.out.clear();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.with(id, |session, shared| session.pass(now, shared));
            self.settle(id, false, now);
        }
    }

    /// When [`Files::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.values().filter_map(Session::deadline).min()
    }

    /// The next stanza to send inside of the stream. Blocks of several files take turns.
    pub fn poll_stanza(&mut self, now: Instant) -> Option<Element> {
        let text = match self.shared.out.pop_front() {
            Some(text) => text,
            None => self.next_block(now).or_else(|| self.shared.out.pop_front())?,
        };
        // What is written here can be read.
        Element::parse(&text, &Limits::default()).ok()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<FileEvent> {
        self.shared.events.pop_front()
    }

    fn next_block(&mut self, now: Instant) -> Option<String> {
        let mut text = String::new();
        let ids: Vec<_> =
            self.sessions.range(self.turn..).chain(self.sessions.range(..self.turn)).map(|(id, _)| *id).collect();
        for id in ids {
            let session = self.sessions.get_mut(&id)?;
            if session.poll_block(&mut self.shared, &mut text) {
                self.turn = FileId(id.0 + 1);
                self.settle(id, false, now);
                return Some(text);
            }
        }
        None
    }

    fn command<R>(
        &mut self,
        now: Instant,
        id: FileId,
        what: impl FnOnce(&mut Session, &mut Shared) -> Result<R, FileError>,
    ) -> Result<R, FileError> {
        let session = self.sessions.get_mut(&id).ok_or(FileError::NoSession)?;
        let result = what(session, &mut self.shared);
        self.settle(id, false, now);
        result
    }

    fn with(&mut self, id: FileId, what: impl FnOnce(&mut Session, &mut Shared)) {
        if let Some(session) = self.sessions.get_mut(&id) {
            what(session, &mut self.shared);
        }
    }

    /// After something happened to a session: does what follows from it, and takes it away when it is over.
    fn settle(&mut self, id: FileId, moved: bool, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.go_on(now, &mut self.shared);
        session.wind(moved, now, &self.shared);
        let Some((end, by_peer)) = session.ended() else { return };
        self.late.extend(session.unanswered());
        session.end_bytestream();
        let mut text = String::new();
        while session.poll_block(&mut self.shared, &mut text) {
            self.shared.push_answer(core::mem::take(&mut text));
        }
        self.old.push_back(session.sid.clone());
        self.old.extend(session.carrier_sid().map(str::to_owned));
        forget(&mut self.late);
        forget(&mut self.old);
        self.sessions.remove(&id);
        self.shared.tell(FileEvent::Ended { id, end, by_peer });
    }

    fn next_id(&mut self) -> FileId {
        self.last += 1;
        FileId(self.last)
    }

    /// How many sessions the peer began, or we did.
    fn count(&self, theirs: bool) -> usize {
        self.sessions.values().filter(|session| session.is_theirs() == theirs).count()
    }

    fn check_text(&self, file: &FileInfo) -> Result<(), FileError> {
        let config = &self.shared.config;
        let fits = |text: &Option<String>, most: usize| text.as_ref().is_none_or(|text| text.len() <= most);
        let is_sound = fits(&file.name, config.name_bytes)
            && fits(&file.description, config.description_bytes)
            && fits(&file.media_type, FilesConfig::MAX_MEDIA_TYPE)
            && fits(&file.date, FilesConfig::MAX_DATE)
            && file.date.as_deref().is_none_or(is_date);
        is_sound.then_some(()).ok_or(FileError::Text)
    }
}

fn forget<T>(remembered: &mut VecDeque<T>) {
    let surplus = remembered.len().saturating_sub(REMEMBERED);
    remembered.drain(..surplus);
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({}, {} sessions)", self.shared.peer.as_str(), self.sessions.len())
    }
}
