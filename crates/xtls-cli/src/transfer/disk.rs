//! The disk that things are received onto, on a thread of its own: where waiting for it holds nobody up, and in order.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::sync::mpsc;
use xtls_files::{FileHashAlgo, FileHasher, FileId, Manifest, PartialRecord, SafePath};

use crate::files::{Left, PartFile, PartTree, Target, TargetError};

/// What the thread is to do, in the order in which it is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Find, or make, the place of a file, and hash what is there of it.
    File {
        id: FileId,
        record: PartialRecord,
        algo: FileHashAlgo,
    },
    /// Find, or make, the place of several, and look at what is there of them.
    Tree {
        id: FileId,
        record: PartialRecord,
        manifest: Box<Manifest>,
        document: String,
    },
    /// Throw away what is there of a file, or of that one of several that goes on there.
    StartOver {
        id: FileId,
        position: u64,
    },
    Write {
        id: FileId,
        position: u64,
        bytes: Vec<u8>,
    },
    /// Look at what is missing of several.
    Look {
        id: FileId,
    },
    /// Everything is there: give it its name.
    Finish {
        id: FileId,
    },
    /// Leave it as it is.
    Leave {
        id: FileId,
    },
}

/// What it has done.
#[derive(Debug)]
pub(crate) enum Stored {
    /// The place of a file, with the hash of what is there.
    Ready {
        id: FileId,
        has: Box<FileHasher>,
        left: Vec<(PathBuf, Left)>,
    },
    /// What is missing of several, and which of them were wrong.
    Missing {
        id: FileId,
        gaps: Vec<Gap>,
        differing: Vec<SafePath>,
        left: Vec<(PathBuf, Left)>,
    },
    Written {
        id: FileId,
        bytes: usize,
    },
    Finished {
        id: FileId,
        path: PathBuf,
    },
    Failed {
        id: FileId,
        error: TargetError,
    },
}

/// A part of several files that is missing, and the hash of what is there of the file right before it.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(super) range: Range<u64>,
    pub(super) has: FileHasher,
}

/// The thread.
pub(super) struct Disk {
    orders: mpsc::UnboundedSender<Order>,
    stored: mpsc::UnboundedReceiver<Stored>,
}

/// What is being received.
enum Part {
    File(Box<PartFile>),
    Tree(Box<PartTree>),
}

/// What the thread has.
struct Keeper {
    target: Arc<Target>,
    overwrite: bool,
    parts: BTreeMap<FileId, Part>,
}

impl Disk {
    /// Starts the thread. It ends when this is dropped, and has written everything that it was given.
    pub(super) fn start(target: Arc<Target>, overwrite: bool) -> Self {
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let (outbox, stored) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let mut keeper = Keeper { target, overwrite, parts: BTreeMap::new() };
            while let Some(order) = inbox.blocking_recv() {
                if let Some(stored) = keeper.follow(order) {
                    // If nobody listens any more, what was received is kept all the same.
                    let _ = outbox.send(stored);
                }
            }
        });
        Self { orders, stored }
    }

    pub(super) fn order(&self, order: Order) {
        // Whoever is gone is gone with the command.
        let _ = self.orders.send(order);
    }

    /// What is done next.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Stored> {
        match ready!(self.stored.poll_recv(cx)) {
            Some(stored) => Poll::Ready(stored),
            None => Poll::Pending,
        }
    }

    /// Waits until everything is written that was given.
    pub(super) async fn finish(self) {
        let Self { orders, mut stored } = self;
        drop(orders);
        while stored.recv().await.is_some() {}
    }
}

impl Keeper {
    fn follow(&mut self, order: Order) -> Option<Stored> {
        let id = match &order {
            Order::File { id, .. }
            | Order::Tree { id, .. }
            | Order::StartOver { id, .. }
            | Order::Write { id, .. }
            | Order::Look { id }
            | Order::Finish { id }
            | Order::Leave { id } => *id,
        };
        self.try_to(order).unwrap_or_else(|error| {
            // What is there stays there.
            self.parts.remove(&id);
            Some(Stored::Failed { id, error })
        })
    }

    fn try_to(&mut self, order: Order) -> Result<Option<Stored>, TargetError> {
        match order {
            Order::File { id, record, algo } => {
                let mut file = self.target.claim(&record)?.file()?;
                let has = file.hash(algo, &mut |_| ControlFlow::Continue(()))?;
                let left = file.claim().left.clone();
                self.room_for(record.size.unwrap_or_default().saturating_sub(file.length()), &file.path())?;
                self.parts.insert(id, Part::File(file.into()));
                Ok(Some(Stored::Ready { id, has: has.into(), left }))
            }
            Order::Tree { id, record, manifest, document } => {
                let mut tree = self.target.claim(&record)?.tree(*manifest, &document)?;
                tree.look(&mut |_| ControlFlow::Continue(()))?;
                let (gaps, left) = (gaps(&tree), tree.claim().left.clone());
                let wanted = gaps.iter().map(|gap| gap.range.end - gap.range.start).sum();
                self.room_for(wanted, &tree.claim().path())?;
                self.parts.insert(id, Part::Tree(Box::new(tree)));
                Ok(Some(Stored::Missing { id, gaps, differing: Vec::new(), left }))
            }
            Order::StartOver { id, position } => {
                match self.parts.remove(&id) {
                    // It is not received any more: the next offer of it finds an empty one.
                    Some(Part::File(mut file)) => file.start_over()?,
                    Some(Part::Tree(mut tree)) => {
                        tree.start_over(position)?;
                        self.parts.insert(id, Part::Tree(tree));
                    }
                    None => {}
                }
                Ok(None)
            }
            Order::Write { id, position, bytes } => {
                match self.parts.get_mut(&id) {
                    Some(Part::File(file)) => file.append(&bytes)?,
                    Some(Part::Tree(tree)) => tree.write(position, &bytes)?,
                    // It failed before, and that was told.
                    None => return Ok(None),
                }
                Ok(Some(Stored::Written { id, bytes: bytes.len() }))
            }
            Order::Look { id } => {
                let Some(Part::Tree(tree)) = self.parts.get_mut(&id) else { return Ok(None) };
                let (gaps, differing) = (gaps(tree), tree.take_differing());
                Ok(Some(Stored::Missing { id, gaps, differing, left: Vec::new() }))
            }
            Order::Finish { id } => {
                let path = match self.parts.remove(&id) {
                    Some(Part::File(file)) => file.finish(self.overwrite)?,
                    Some(Part::Tree(tree)) => tree.finish()?,
                    None => return Ok(None),
                };
                Ok(Some(Stored::Finished { id, path }))
            }
            Order::Leave { id } => {
                self.parts.remove(&id);
                Ok(None)
            }
        }
    }

    /// That a disk is too small is better known before.
    fn room_for(&self, bytes: u64, path: &Path) -> Result<(), TargetError> {
        match self.target.free_space() {
            Some(free) if free < bytes => Err(TargetError::Full(path.to_owned())),
            _ => Ok(()),
        }
    }
}

fn gaps(tree: &PartTree) -> Vec<Gap> {
    tree.missing().into_iter().map(|range| Gap { has: tree.has_before(range.start), range }).collect()
}
