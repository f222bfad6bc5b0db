//! What is received in one tunnel: asked about, checked against what is there, written, and confirmed when all of it is.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use xtls_files::manifest::{Manifest, ManifestLimits, ManifestParser};
use xtls_files::{FileEnd, FileEvent, FileHash, FileHashAlgo, FileHasher, FileId, FileInfo, FileRange, FileRequest};
use xtls_files::{PartialRecord, SafeName};
use xtls_stanza::jid::BareJid;
use xtls_tokio::FileTunnel;

use super::arrived::{Arrived, Gist, Why};
use super::disk::{Disk, Gap, Order, Stored};
use super::end;
use crate::files::{Left, Target, TargetError, wide};

/// Bytes that are on their way to the disk.
const UNWRITTEN: usize = 2 * 1024 * 1024;
/// How often something that came wrong is asked for again.
const ATTEMPTS: u32 = 3;
/// How many things may be on their way from one peer, or asked about.
const ARRIVALS: usize = 8;

/// What a peer sends in one tunnel.
pub(crate) struct Inbox {
    peer: BareJid,
    disk: Disk,
    target: Arc<Target>,
    limits: ManifestLimits,
    /// By the sessions that offer them.
    arrivals: BTreeMap<FileId, Arrival>,
    /// Which offer the sessions belong to that were asked for.
    parts: BTreeMap<FileId, FileId>,
    /// What the user has taken and is not here yet: it is not asked about again when the peer offers it in another way, or from its
    /// beginning.
    taken: Vec<Gist>,
}

struct Arrival {
    what: Gist,
    name: SafeName,
    info: FileInfo,
    state: State,
    /// Bytes of the files that are there.
    there: u64,
    unwritten: usize,
    /// Some are read from the session once there is room.
    is_held: bool,
    unproven: bool,
}

enum State {
    /// The document of a manifest, as far as it has come.
    Document(Vec<u8>),
    /// The user is asked; with the manifest of several.
    Asked(Option<(Manifest, String)>),
    /// The disk looks for its place.
    Placing,
    /// Where the next byte of it belongs.
    File(u64),
    Tree(Tree),
    Finishing,
}

struct Tree {
    hash: FileHash,
    missing: VecDeque<Gap>,
    /// The session that brings a part, and where in the files the next byte of it belongs.
    session: Option<(FileId, u64)>,
    attempts: u32,
}

impl Inbox {
    /// What this peer sends goes there.
    pub(crate) fn new(peer: BareJid, target: Arc<Target>, overwrite: bool) -> Self {
        Self {
            peer,
            disk: Disk::start(Arc::clone(&target), overwrite),
            target,
            limits: ManifestLimits::default(),
            arrivals: BTreeMap::new(),
            parts: BTreeMap::new(),
            taken: Vec::new(),
        }
    }

    /// Whether nothing is being received, or asked about.
    pub(crate) fn is_idle(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// What the user has taken and is being received, how many bytes of it are there, and how many are missing.
    pub(crate) fn progress(&self) -> impl Iterator<Item = (FileId, &Gist, u64, u64)> {
        let moves = |state: &State| !matches!(state, State::Asked(_) | State::Document(_));
        self.arrivals
            .iter()
            .filter(move |(_, arrival)| moves(&arrival.state))
            .map(|(id, Arrival { what, there, .. })| (*id, what, *there, what.size.saturating_sub(*there)))
    }

    /// Breaks everything off. What has come is kept.
    pub(crate) fn cancel(&mut self, tunnel: &mut FileTunnel) {
        let ids: Vec<_> = self.arrivals.keys().copied().collect();
        for id in ids {
            self.stop(id, tunnel);
        }
    }

    /// Breaks this off. If it is offered again, the user is asked again.
    pub(crate) fn stop(&mut self, id: FileId, tunnel: &mut FileTunnel) {
        self.forget(id);
        let parts = self.parts.iter().filter(|(_, whole)| **whole == id).map(|(part, _)| *part);
        for id in parts.chain([id]) {
            end(tunnel, id, FileEnd::Cancelled);
        }
    }

    /// Waits until everything is on disk that has come.
    pub(crate) async fn finish(self) {
        self.disk.finish().await;
    }

    /// The user wants it.
    pub(crate) fn take(&mut self, id: FileId) {
        let Some(arrival) = self.arrivals.get_mut(&id) else { return };
        let State::Asked(listed) = &mut arrival.state else { return };
        let mut record = PartialRecord::new(self.peer.clone(), arrival.name.clone());
        record.size = arrival.info.size;
        record.modified = arrival.info.date.as_deref().and_then(|date| date.parse().ok());
        record.hash = arrival.info.hash;
        let order = match listed.take() {
            None => Order::File { id, record, algo: arrival.info.algo() },
            Some((manifest, document)) => {
                record.is_directory = true;
                Order::Tree { id, record, manifest: Box::new(manifest), document }
            }
        };
        arrival.state = State::Placing;
        if !self.taken.contains(&arrival.what) {
            self.taken.push(arrival.what.clone());
        }
        self.disk.order(order);
    }

    /// The user does not want it.
    pub(crate) fn refuse(&mut self, id: FileId, tunnel: &mut FileTunnel) {
        self.arrivals.remove(&id);
        end(tunnel, id, FileEnd::Declined);
    }

    /// Takes what happened in the tunnel.
    pub(crate) fn handle(&mut self, event: &FileEvent, tunnel: &mut FileTunnel) -> Option<Arrived> {
        match event {
            FileEvent::Offered { id, file, range } => self.offered(*id, file, *range, tunnel),
            FileEvent::Readable { id } => {
                self.read(*id, tunnel);
                None
            }
            FileEvent::Checked { id, compared } => self.checked(*id, *compared, tunnel),
            FileEvent::Ended { id, end, by_peer } => self.ended(*id, *end, *by_peer, tunnel),
            _ => None,
        }
    }

    /// What the disk has done next.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Stored> {
        self.disk.poll_next(cx)
    }

    /// Takes what [`Inbox::poll_next`] gave.
    pub(crate) fn stored(&mut self, stored: Stored, tunnel: &mut FileTunnel) -> Option<Arrived> {
        match stored {
            Stored::Ready { id, has, left } => {
                let arrival = self.arrivals.get_mut(&id)?;
                arrival.there = has.bytes();
                arrival.state = State::File(has.bytes());
                // A session that has ended meanwhile is told of as well.
                let _ = tunnel.with_files(|files, now| files.accept(now, id, *has));
                let (what, there) = (arrival.what.clone(), arrival.there);
                Some(Arrived::Begun { what, there, left: left.into_iter().next() })
            }
            Stored::Missing { id, gaps, differing, left } => self.missing(id, gaps, &differing, left, tunnel),
            Stored::Written { id, bytes } => {
                let arrival = self.arrivals.get_mut(&id)?;
                arrival.unwritten = arrival.unwritten.saturating_sub(bytes);
                if arrival.is_held {
                    let session = arrival.session(id);
                    self.read(session, tunnel);
                }
                None
            }
            Stored::Finished { id, path } => {
                self.forget(id);
                let arrival = self.arrivals.remove(&id)?;
                // The peer learns it only now.
                let _ = tunnel.with_files(|files, now| files.stored(now, id));
                Some(Arrived::Done { id, what: arrival.what, path, unproven: arrival.unproven })
            }
            Stored::Failed { id, error } => {
                self.forget(id);
                let arrival = self.arrivals.remove(&id)?;
                let why = if matches!(error, TargetError::Full(_)) { FileEnd::TooLarge } else { FileEnd::Failed };
                if let State::Tree(Tree { session: Some((session, _)), .. }) = arrival.state {
                    self.parts.remove(&session);
                    end(tunnel, session, why);
                }
                end(tunnel, id, why);
                Some(Arrived::Failed { id, what: arrival.what, why: Why::Disk(error) })
            }
        }
    }

    fn offered(&mut self, id: FileId, file: &FileInfo, range: FileRange, tunnel: &mut FileTunnel) -> Option<Arrived> {
        let what = Gist::of(file);
        let name = match self.look_at(file, range) {
            Ok(name) => name,
            Err((end_as, words)) => {
                end(tunnel, id, end_as);
                return Some(Arrived::Failed { id, what, why: Why::Offer(words) });
            }
        };
        let state = if file.manifest.is_some() { State::Document(Vec::new()) } else { State::Asked(None) };
        let is_document = matches!(state, State::Document(_));
        let info = file.clone();
        let arrival = Arrival { what, name, info, state, there: 0, unwritten: 0, is_held: false, unproven: false };
        self.arrivals.insert(id, arrival);
        if is_document {
            // It is small, and without it nothing can be asked.
            let has = FileHasher::new(file.algo());
            let _ = tunnel.with_files(|files, now| files.accept(now, id, has));
            return None;
        }
        self.ask(id)
    }

    /// Whether an offer can be taken at all.
    fn look_at(&self, file: &FileInfo, range: FileRange) -> Result<SafeName, (FileEnd, String)> {
        let declined = |words: String| (FileEnd::Declined, words);
        let name = file.name.as_deref().ok_or_else(|| declined("it has no name".to_owned()))?;
        let name = SafeName::new(name).map_err(|e| declined(format!("its name is not taken: {e}")))?;
        let size = file.size.ok_or_else(|| declined("its size is not said".to_owned()))?;
        if range != FileRange::WHOLE && range != FileRange::new(0, size) {
            return Err((FileEnd::BadRange, "only a part of it is offered".to_owned()));
        }
        if self.arrivals.len() >= ARRIVALS {
            return Err((FileEnd::Busy, format!("{ARRIVALS} others are on their way or asked about")));
        }
        if file.manifest.is_some() {
            let most = wide(self.limits.bytes);
            if size > most {
                return Err((FileEnd::TooLarge, format!("its list of files has {size} bytes, and {most} are taken")));
            }
            if file.hash.is_none_or(|hash| hash.algo() != FileHashAlgo::Sha256) {
                return Err(declined("its list of files has no SHA-256".to_owned()));
            }
        }
        Ok(name)
    }

    /// Asks the user, unless that was done before.
    fn ask(&mut self, id: FileId) -> Option<Arrived> {
        let what = self.arrivals.get(&id)?.what.clone();
        if self.taken.contains(&what) {
            self.take(id);
            return None;
        }
        Some(Arrived::Ask { id, what, free: self.target.free_space() })
    }

    /// Takes what there is room for.
    fn read(&mut self, session: FileId, tunnel: &mut FileTunnel) {
        let id = self.parts.get(&session).copied().unwrap_or(session);
        let Some(arrival) = self.arrivals.get_mut(&id) else { return };
        arrival.is_held = arrival.unwritten >= UNWRITTEN;
        if arrival.is_held {
            return;
        }
        let mut bytes = Vec::new();
        tunnel.with_files(|files, now| files.read(now, session, &mut bytes));
        if bytes.is_empty() {
            return;
        }
        let count = wide(bytes.len());
        let position = match &mut arrival.state {
            // It is no longer than was said, or the session has ended.
            State::Document(document) => return document.extend_from_slice(&bytes),
            State::File(position) => position,
            State::Tree(Tree { session: Some((_, position)), .. }) => position,
            State::Asked(_) | State::Placing | State::Tree(_) | State::Finishing => return,
        };
        let at = *position;
        *position += count;
        arrival.there += count;
        arrival.unwritten += bytes.len();
        self.disk.order(Order::Write { id, position: at, bytes });
    }

    /// Everything of a session has come, and agrees with what the peer said.
    fn checked(&mut self, session: FileId, compared: bool, tunnel: &mut FileTunnel) -> Option<Arrived> {
        if let Some(id) = self.parts.get(&session).copied() {
            // Each file is checked by itself: the part is over when it is written.
            let _ = tunnel.with_files(|files, now| files.stored(now, session));
            self.disk.order(Order::Look { id });
            return None;
        }
        let arrival = self.arrivals.get_mut(&session)?;
        arrival.unproven = !compared;
        match &mut arrival.state {
            State::Document(document) => {
                let document = std::mem::take(document);
                self.listed(session, document, tunnel)
            }
            State::File(_) => {
                arrival.state = State::Finishing;
                self.disk.order(Order::Finish { id: session });
                None
            }
            State::Asked(_) | State::Placing | State::Tree(_) | State::Finishing => None,
        }
    }

    /// The manifest is here.
    fn listed(&mut self, id: FileId, document: Vec<u8>, tunnel: &mut FileTunnel) -> Option<Arrived> {
        let mut parser = ManifestParser::new(self.limits);
        let parsed = parser.push(&document).and_then(|()| parser.finish());
        let arrival = self.arrivals.get_mut(&id)?;
        let (manifest, document) = match (parsed, String::from_utf8(document)) {
            (Ok(manifest), Ok(document)) => (manifest, document),
            (parsed, _) => {
                let words = parsed.err().map_or_else(|| "it is not UTF-8".to_owned(), |e| e.to_string());
                let what = self.arrivals.remove(&id)?.what;
                end(tunnel, id, FileEnd::Declined);
                return Some(Arrived::Failed {
                    id,
                    what,
                    why: Why::Offer(format!("its list of files is not taken: {words}")),
                });
            }
        };
        // What counts is the manifest, not what was said of it before.
        arrival.what.size = manifest.size();
        arrival.what.files = Some(wide(manifest.files()));
        arrival.state = State::Asked(Some((manifest, document)));
        self.ask(id)
    }

    /// The disk says what is missing of several.
    fn missing(
        &mut self,
        id: FileId,
        gaps: Vec<Gap>,
        differing: &[xtls_files::SafePath],
        left: Vec<(PathBuf, Left)>,
        tunnel: &mut FileTunnel,
    ) -> Option<Arrived> {
        let arrival = self.arrivals.get_mut(&id)?;
        let wanted: u64 = gaps.iter().map(|gap| gap.range.end - gap.range.start).sum();
        arrival.there = arrival.what.size.saturating_sub(wanted);
        let hash = arrival.info.hash?;
        let attempts = match &arrival.state {
            State::Tree(tree) => tree.attempts + u32::from(!differing.is_empty()),
            State::Document(_) | State::Asked(_) | State::Placing | State::File(_) | State::Finishing => 0,
        };
        if attempts >= ATTEMPTS {
            self.forget(id);
            let what = self.arrivals.remove(&id)?.what;
            self.disk.order(Order::Leave { id });
            end(tunnel, id, FileEnd::HashDiffers);
            return Some(Arrived::Failed { id, what, why: Why::Ended { end: FileEnd::HashDiffers, by_peer: false } });
        }
        let begun = matches!(arrival.state, State::Placing);
        let (what, there) = (arrival.what.clone(), arrival.there);
        arrival.state = State::Tree(Tree { hash, missing: gaps.into(), session: None, attempts });
        let told = differing.first().map(|path| Arrived::Wrong { path: path.as_str().to_owned() });
        let begun = begun.then(|| Arrived::Begun { what, there, left: left.into_iter().next() });
        self.request(id, tunnel).or(told).or(begun)
    }

    /// Asks for the next part of several, or ends it well.
    fn request(&mut self, id: FileId, tunnel: &mut FileTunnel) -> Option<Arrived> {
        let arrival = self.arrivals.get_mut(&id)?;
        let State::Tree(tree) = &mut arrival.state else { return None };
        let Some(Gap { range, has }) = tree.missing.pop_front() else {
            arrival.state = State::Finishing;
            self.disk.order(Order::Finish { id });
            return None;
        };
        let wanted = FileRequest::by_hash(tree.hash)
            .of_contents()
            .with_range(FileRange::new(range.start, range.end - range.start));
        match tunnel.with_files(|files, now| files.request(now, wanted, has)) {
            Ok(session) => {
                tree.session = Some((session, range.start));
                self.parts.insert(session, id);
                None
            }
            Err(_) => self.give_up(id, FileEnd::Busy, false, tunnel),
        }
    }

    fn ended(&mut self, session: FileId, how: FileEnd, by_peer: bool, tunnel: &mut FileTunnel) -> Option<Arrived> {
        let Some(id) = self.parts.remove(&session) else {
            let arrival = self.arrivals.get(&session)?;
            if how.is_success() && matches!(arrival.state, State::Finishing) {
                return None;
            }
            if let (FileEnd::RangeDiffers | FileEnd::HashDiffers, State::File(_)) = (how, &arrival.state) {
                // Nobody knows which byte is wrong: when it is offered again, it begins with the first one.
                self.disk.order(Order::StartOver { id: session, position: 0 });
            }
            if how == FileEnd::RangeDiffers && !by_peer {
                // The peer offers it again by itself.
                self.arrivals.remove(&session);
                return None;
            }
            if how == FileEnd::TransportFailed {
                return self.lose_way(session);
            }
            return self.give_up(session, how, by_peer, tunnel);
        };
        let arrival = self.arrivals.get_mut(&id)?;
        let State::Tree(tree) = &mut arrival.state else { return None };
        let position = tree.session.take_if(|(current, _)| *current == session).map(|(_, position)| position);
        match how {
            // What follows depends on the disk.
            FileEnd::Success => None,
            // Either end may have found out that there are no tunnels for files.
            FileEnd::TransportFailed | FileEnd::UnsupportedTransport if tree.attempts + 1 < ATTEMPTS => {
                tree.attempts += 1;
                tunnel.with_files(|files, _| files.use_tunnels(false));
                self.disk.order(Order::Look { id });
                None
            }
            FileEnd::RangeDiffers if tree.attempts + 1 < ATTEMPTS => {
                tree.attempts += 1;
                self.disk.order(Order::StartOver { id, position: position.unwrap_or_default() });
                self.disk.order(Order::Look { id });
                None
            }
            how => self.give_up(id, how, by_peer, tunnel),
        }
    }

    /// If it is offered again, the user is asked again.
    fn forget(&mut self, id: FileId) {
        if let Some(arrival) = self.arrivals.get(&id) {
            self.taken.retain(|taken| *taken != arrival.what);
        }
    }

    /// The peer offers it in another way now, and it is what it was.
    fn lose_way(&mut self, id: FileId) -> Option<Arrived> {
        let Arrival { what, state, .. } = self.arrivals.remove(&id)?;
        self.disk.order(Order::Leave { id });
        // Of what is not asked about yet nobody has heard.
        (!matches!(state, State::Document(_))).then_some(Arrived::Detour { id, what })
    }

    /// It comes to nothing, for now.
    fn give_up(&mut self, id: FileId, how: FileEnd, by_peer: bool, tunnel: &mut FileTunnel) -> Option<Arrived> {
        self.forget(id);
        let arrival = self.arrivals.remove(&id)?;
        self.disk.order(Order::Leave { id });
        end(tunnel, id, if by_peer { FileEnd::Cancelled } else { how });
        Some(Arrived::Failed { id, what: arrival.what, why: Why::Ended { end: how, by_peer } })
    }
}

impl Arrival {
    /// The session that brings its bytes.
    fn session(&self, id: FileId) -> FileId {
        match &self.state {
            State::Tree(Tree { session: Some((session, _)), .. }) => *session,
            _ => id,
        }
    }
}
