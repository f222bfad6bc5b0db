//! What is sent, on a thread of its own: hashed and read where waiting for a disk holds nobody up.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::sync::mpsc;
use xtls_files::{FileHasher, FileId, FileInfo, FileRequest};

use crate::files::{Found, HashedTree, Progress, SourceError, SourceFile, SourceReader, SourceTree, wide};

/// How much is read at once.
const BLOCK: usize = 256 * 1024;

/// Something to send, as it is offered, and what reads it.
#[derive(Debug)]
pub(crate) struct Goods {
    /// What is offered: the file, or the manifest of several.
    pub(crate) offer: FileInfo,
    /// Bytes of the files.
    pub(crate) size: u64,
    files: u64,
    document: Option<Arc<[u8]>>,
    reader: Option<SourceReader>,
}

/// Which bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What was offered itself.
    Offered,
    /// The files that the manifest lists.
    Contents,
}

/// What the thread is to do, in the order in which it is told.
enum Order {
    Hash { id: FileId, part: Part, range: Range<u64> },
    Read { id: FileId, part: Part, position: u64, length: usize },
}

/// What it has done.
#[derive(Debug)]
pub(crate) enum Fetched {
    Hashed { id: FileId, result: Result<Box<FileHasher>, SourceError> },
    Block { id: FileId, result: Result<Vec<u8>, SourceError> },
}

/// The thread.
pub(crate) struct Shelf {
    orders: mpsc::UnboundedSender<Order>,
    fetched: mpsc::UnboundedReceiver<Fetched>,
}

impl Goods {
    /// One file, or several with their manifest. Hashes what several are; `progress` is told of the bytes.
    ///
    /// # Errors
    ///
    /// When something cannot be read, or has changed, or `progress` ends it.
    pub(super) fn new(found: Found, progress: Progress<'_>) -> Result<Self, SourceError> {
        match found {
            Found::File(file) => Ok(Self::file(file)),
            Found::Tree(tree) => Self::tree(tree, progress),
        }
    }

    fn file(file: SourceFile) -> Self {
        let mut offer = FileInfo::new(file.name.as_str(), file.size);
        offer.date = file.modified.map(|date| date.to_string());
        Self { size: file.size, files: 1, offer, document: None, reader: Some(file.reader()) }
    }

    fn tree(tree: SourceTree, progress: Progress<'_>) -> Result<Self, SourceError> {
        let HashedTree { info, document, manifest, reader } = tree.hash(progress)?;
        Ok(Self {
            size: manifest.size(),
            files: wide(manifest.files()),
            offer: info,
            document: Some(document.into_bytes().into()),
            reader: Some(reader),
        })
    }

    /// How many files there are, where they are offered as several.
    pub(crate) fn count(&self) -> Option<u64> {
        self.offer.manifest.map(|_| self.files)
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        self.offer.name.as_deref().unwrap_or_default()
    }

    /// What the peer asks for, if it is of this.
    pub(crate) fn part_of(&self, wanted: &FileRequest) -> Option<Part> {
        let (wanted_file, offer) = (&wanted.file, &self.offer);
        let is_same = match (wanted_file.hash, offer.hash) {
            (Some(wanted), Some(ours)) => wanted == ours,
            _ => wanted_file.name.is_some() && wanted_file.name == offer.name,
        };
        let fits = is_same && wanted_file.size.is_none_or(|size| wanted.contents || Some(size) == offer.size);
        match (fits, wanted.contents, self.document.is_some()) {
            (true, true, true) => Some(Part::Contents),
            (true, false, _) => Some(Part::Offered),
            _ => None,
        }
    }

    /// The thread that reads it. There is one.
    pub(crate) fn shelf(&mut self) -> Option<Shelf> {
        Some(Shelf::start(self.document.clone(), self.reader.take()?))
    }

    /// How many bytes a part has.
    pub(crate) fn size_of(&self, part: Part) -> u64 {
        match part {
            Part::Offered => self.offer.size.unwrap_or_default(),
            Part::Contents => self.size,
        }
    }
}

impl Shelf {
    /// Starts the thread. It ends when this is dropped.
    fn start(document: Option<Arc<[u8]>>, reader: SourceReader) -> Self {
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let (outbox, fetched) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let mut keeper = Keeper { document, reader };
            while let Some(order) = inbox.blocking_recv() {
                if outbox.send(keeper.fetch(order)).is_err() {
                    return;
                }
            }
        });
        Self { orders, fetched }
    }

    pub(crate) fn hash(&self, id: FileId, part: Part, range: Range<u64>) {
        // Whoever is gone is gone with the command.
        let _ = self.orders.send(Order::Hash { id, part, range });
    }

    pub(crate) fn read(&self, id: FileId, part: Part, position: u64, end: u64) {
        let length = usize::try_from(end - position).map_or(BLOCK, |left| left.min(BLOCK));
        let _ = self.orders.send(Order::Read { id, part, position, length });
    }

    /// What is done next.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Fetched> {
        match ready!(self.fetched.poll_recv(cx)) {
            Some(fetched) => Poll::Ready(fetched),
            None => Poll::Pending,
        }
    }
}

/// What the thread has.
struct Keeper {
    document: Option<Arc<[u8]>>,
    reader: SourceReader,
}

impl Keeper {
    fn fetch(&mut self, order: Order) -> Fetched {
        match order {
            Order::Hash { id, part, range } => Fetched::Hashed { id, result: self.hash(part, range).map(Box::new) },
            Order::Read { id, part, position, length } => {
                Fetched::Block { id, result: self.read(part, position, length) }
            }
        }
    }

    /// The document, if that is meant.
    fn document(&self, part: Part) -> Option<&[u8]> {
        self.document.as_deref().filter(|_| part == Part::Offered)
    }

    fn hash(&mut self, part: Part, range: Range<u64>) -> Result<FileHasher, SourceError> {
        if let Some(document) = self.document(part) {
            let mut hasher = FileHasher::default();
            hasher.update(slice(document, range.start, range.end));
            return Ok(hasher);
        }
        self.reader.hash(range, &mut |_| ControlFlow::Continue(()))
    }

    fn read(&mut self, part: Part, position: u64, length: usize) -> Result<Vec<u8>, SourceError> {
        if let Some(document) = self.document(part) {
            return Ok(slice(document, position, position.saturating_add(wide(length))).to_vec());
        }
        let mut block = vec![0; length];
        let read = self.reader.read(position, &mut block)?;
        block.truncate(read);
        Ok(block)
    }
}

fn slice(document: &[u8], start: u64, end: u64) -> &[u8] {
    let at = |place: u64| usize::try_from(place).map_or(document.len(), |place| place.min(document.len()));
    document.get(at(start)..at(end)).unwrap_or_default()
}
