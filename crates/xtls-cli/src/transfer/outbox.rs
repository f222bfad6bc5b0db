//! What is sent in one tunnel: offered, checked and written, however often the peer asks for a part of it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};
use xtls_files::{FileEnd, FileEvent, FileHasher, FileId, FileRange, FileRequest};
use xtls_tokio::FileTunnel;

use super::rate::Rate;
use super::shelf::{Fetched, Goods, Part, Shelf};
use crate::files::{SourceError, wide};

/// Blocks that are read ahead of what the tunnel takes.
const AHEAD: usize = 2;
/// How often it is offered anew after something that may not happen again.
const OFFERS: u32 = 4;

/// Something that is being sent to one peer.
pub(crate) struct Outbox {
    pub(crate) goods: Goods,
    shelf: Shelf,
    rate: Option<Rate>,
    /// When more may be sent.
    timer: Option<Pin<Box<Sleep>>>,
    offer: Option<FileId>,
    offers: u32,
    /// What is written in each session.
    feeds: BTreeMap<FileId, Feed>,
    /// What was going to be done once something is hashed.
    waiting: BTreeMap<FileId, Waiting>,
    /// How many bytes of the files the peer has, or had when it began.
    passed: u64,
}

/// How it came out.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The peer has everything, and its hashes agree.
    Done,
    /// The bytes begin to go, of which the peer has so many.
    Begun {
        there: u64,
    },
    Refused,
    /// It ended in another way.
    Ended {
        end: FileEnd,
        by_peer: bool,
    },
    /// It could not be read.
    Unreadable(SourceError),
}

struct Feed {
    part: Part,
    /// Where what was read last ends, and where all of it does.
    read: u64,
    end: u64,
    is_reading: bool,
    /// Blocks that were read, and how much of the first one was written.
    ready: Vec<Vec<u8>>,
    written: usize,
}

enum Waiting {
    Start,
    Serve(Box<FileRequest>, Part),
}

impl Outbox {
    /// This, at most so fast. `None` if it is being sent already.
    pub(crate) fn new(mut goods: Goods, rate: Option<Rate>) -> Option<Self> {
        let shelf = goods.shelf()?;
        let (feeds, waiting) = (BTreeMap::new(), BTreeMap::new());
        Some(Self { goods, shelf, rate, timer: None, offer: None, offers: 0, feeds, waiting, passed: 0 })
    }

    /// Offers it.
    pub(crate) fn offer(&mut self, tunnel: &mut FileTunnel) -> Option<Sent> {
        self.feeds.clear();
        self.waiting.clear();
        self.offers += 1;
        let offer = self.goods.offer.clone();
        match tunnel.with_files(|files, now| files.offer(now, offer)) {
            Ok(id) => {
                self.offer = Some(id);
                None
            }
            Err(_) => Some(Sent::Ended { end: FileEnd::Busy, by_peer: false }),
        }
    }

    /// A new tunnel takes the place of one that was lost.
    pub(crate) fn begin_anew(&mut self) {
        self.offers = 0;
    }

    /// Breaks it off.
    pub(crate) fn cancel(&self, tunnel: &mut FileTunnel) {
        for id in self.feeds.keys().copied().chain(self.offer) {
            super::end(tunnel, id, FileEnd::Cancelled);
        }
    }

    /// Whether it goes in this session.
    pub(crate) fn goes_in(&self, id: FileId) -> bool {
        self.feeds.contains_key(&id)
    }

    /// Whether bytes of the files have begun to go.
    pub(crate) fn has_begun(&self) -> bool {
        self.passed > 0 || self.feeds.values().any(|feed| self.is_of_files(feed))
    }

    /// How many bytes of the files the peer has, and how many are left.
    pub(crate) fn progress(&self, tunnel: &FileTunnel) -> (u64, u64) {
        let reached = |(id, feed): (&FileId, &Feed)| {
            let left = tunnel.files().length(*id)?.saturating_sub(tunnel.progress(*id)?);
            Some(feed.end.saturating_sub(left))
        };
        let now =
            self.feeds.iter().filter(|(_, feed)| self.is_of_files(feed)).filter_map(reached).max().unwrap_or_default();
        let passed = now.max(self.passed);
        (passed, self.goods.size.saturating_sub(passed))
    }

    /// Whether the peer asks for some of this.
    pub(crate) fn has(&self, wanted: &FileRequest) -> bool {
        self.goods.part_of(wanted).is_some()
    }

    /// Takes what happened, if it is about this. `Some` when it is over.
    pub(crate) fn handle(&mut self, event: &FileEvent, tunnel: &mut FileTunnel, now: Instant) -> Option<Sent> {
        match event {
            FileEvent::Accepted { id, range, check } if Some(*id) == self.offer => {
                self.begin(*id, Part::Offered, *range);
                match check {
                    Some(check) => self.hash(*id, Part::Offered, *check, Waiting::Start),
                    None => {
                        let _ = self.pump(*id, tunnel, now);
                    }
                }
                // Of several, it is known with what is asked for.
                let is_file = self.goods.offer.manifest.is_none();
                is_file.then_some(Sent::Begun { there: range.offset })
            }
            FileEvent::Requested { id, wanted, check } => self.requested(*id, wanted, *check, tunnel, now),
            FileEvent::Writable { id } => self.pump(*id, tunnel, now),
            FileEvent::Ended { id, end, by_peer } => self.ended(*id, *end, *by_peer, tunnel),
            _ => None,
        }
    }

    /// What was read; or `None`, when more may be sent.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fetched>> {
        if let Poll::Ready(fetched) = self.shelf.poll_next(cx) {
            return Poll::Ready(Some(fetched));
        }
        let Some(until) = self.rate.as_ref().and_then(Rate::wait) else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until.into())));
        if timer.deadline() != until.into() {
            timer.as_mut().reset(until.into());
        }
        timer.as_mut().poll(cx).map(|()| None)
    }

    /// Takes what [`Outbox::poll_next`] gave.
    pub(crate) fn take(&mut self, fetched: Option<Fetched>, tunnel: &mut FileTunnel, now: Instant) -> Option<Sent> {
        match fetched {
            None => {
                let ids: Vec<_> = self.feeds.keys().copied().collect();
                ids.into_iter().find_map(|id| self.pump(id, tunnel, now))
            }
            Some(Fetched::Block { id, result }) => {
                let block = match result {
                    Ok(block) => block,
                    Err(error) => return self.unreadable(error, tunnel),
                };
                let feed = self.feeds.get_mut(&id)?;
                feed.is_reading = false;
                feed.read += wide(block.len());
                feed.ready.push(block);
                self.pump(id, tunnel, now)
            }
            Some(Fetched::Hashed { id, result }) => {
                let hasher = match result {
                    Ok(hasher) => hasher,
                    Err(error) => return self.unreadable(error, tunnel),
                };
                self.hashed(id, *hasher, tunnel, now)
            }
        }
    }

    fn is_of_files(&self, feed: &Feed) -> bool {
        feed.part == Part::Contents || self.goods.offer.manifest.is_none()
    }

    fn begin(&mut self, id: FileId, part: Part, range: FileRange) {
        let end = range.end(Some(self.goods.size_of(part))).unwrap_or(range.offset);
        let feed = Feed { part, read: range.offset, end, is_reading: false, ready: Vec::new(), written: 0 };
        self.feeds.insert(id, feed);
    }

    fn hash(&mut self, id: FileId, part: Part, check: FileRange, then: Waiting) {
        let end = check.end(Some(self.goods.size_of(part))).unwrap_or(check.offset);
        self.waiting.insert(id, then);
        self.shelf.hash(id, part, check.offset..end);
    }

    fn hashed(&mut self, id: FileId, hasher: FileHasher, tunnel: &mut FileTunnel, now: Instant) -> Option<Sent> {
        // A session that has ended meanwhile is over.
        match self.waiting.remove(&id)? {
            Waiting::Start => tunnel.with_files(|files, now| files.start(now, id, hasher)).ok()?,
            Waiting::Serve(wanted, part) => self.serve(id, &wanted, part, hasher, tunnel),
        }
        self.pump(id, tunnel, now)
    }

    fn requested(
        &mut self,
        id: FileId,
        wanted: &FileRequest,
        check: Option<FileRange>,
        tunnel: &mut FileTunnel,
        now: Instant,
    ) -> Option<Sent> {
        let Some(part) = self.goods.part_of(wanted) else {
            super::end(tunnel, id, FileEnd::NotAvailable);
            return None;
        };
        match check.filter(|check| check.end(Some(self.goods.size_of(part))).is_some()) {
            Some(check) => {
                self.hash(id, part, check, Waiting::Serve(wanted.clone().into(), part));
                None
            }
            None => {
                self.serve(id, wanted, part, FileHasher::default(), tunnel);
                self.pump(id, tunnel, now)
            }
        }
    }

    fn serve(&mut self, id: FileId, wanted: &FileRequest, part: Part, start: FileHasher, tunnel: &mut FileTunnel) {
        let offer = self.goods.offer.clone();
        // What does not fit ends the session by itself.
        if tunnel.with_files(|files, now| files.serve(now, id, offer, start)).is_ok() {
            self.begin(id, part, wanted.range);
        }
    }

    fn ended(&mut self, id: FileId, end: FileEnd, by_peer: bool, tunnel: &mut FileTunnel) -> Option<Sent> {
        self.passed = self.progress(tunnel).0;
        let feed = self.feeds.remove(&id);
        self.waiting.remove(&id);
        if end.is_success()
            && let Some(feed) = feed.filter(|feed| feed.part == Part::Contents)
        {
            self.passed = self.passed.max(feed.end);
        }
        if self.offer != Some(id) {
            return None;
        }
        self.offer = None;
        match end {
            FileEnd::Success => Some(Sent::Done),
            FileEnd::Declined if by_peer => Some(Sent::Refused),
            // What the peer had was not the beginning of this; it has thrown that away.
            FileEnd::RangeDiffers if self.offers < OFFERS => self.offer(tunnel),
            // Either end may have found out that there are no tunnels for files.
            FileEnd::TransportFailed | FileEnd::UnsupportedTransport if self.offers < OFFERS => {
                tunnel.with_files(|files, _| files.use_tunnels(false));
                self.offer(tunnel)
            }
            end => Some(Sent::Ended { end, by_peer }),
        }
    }

    /// Gives the tunnel what it has room for, and reads on.
    fn pump(&mut self, id: FileId, tunnel: &mut FileTunnel, now: Instant) -> Option<Sent> {
        let feed = self.feeds.get_mut(&id)?;
        if self.waiting.contains_key(&id) {
            return None;
        }
        while let Some(block) = feed.ready.first() {
            let rest = block.get(feed.written..).unwrap_or_default();
            let allowed = self.rate.as_mut().map_or(rest.len(), |rate| rate.allow(rest.len(), now));
            let piece = rest.get(..allowed).unwrap_or_default();
            // It is no error that nothing can be written yet.
            let written = tunnel.with_files(|files, now| files.write(now, id, piece)).unwrap_or_default();
            if let Some(rate) = &mut self.rate {
                rate.used(written);
            }
            feed.written += written;
            if feed.written == block.len() {
                feed.ready.remove(0);
                feed.written = 0;
            } else if written == 0 || allowed < rest.len() {
                break;
            }
        }
        if !feed.is_reading && feed.ready.len() < AHEAD && feed.read < feed.end {
            feed.is_reading = true;
            self.shelf.read(id, feed.part, feed.read, feed.end);
        }
        None
    }

    fn unreadable(&self, error: SourceError, tunnel: &mut FileTunnel) -> Option<Sent> {
        let end = if matches!(error, SourceError::Changed(..)) { FileEnd::FileChanged } else { FileEnd::Failed };
        for id in self.feeds.keys().copied().chain(self.waiting.keys().copied()).chain(self.offer) {
            super::end(tunnel, id, end);
        }
        Some(Sent::Unreadable(error))
    }
}
