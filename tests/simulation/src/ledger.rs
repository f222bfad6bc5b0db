//! What all entities of a history know together, and what it says of the invariants.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use sha2::{Digest as _, Sha256};
use xtls::event::Side;
use xtls_trace::Line;

use crate::history::Outcome;

/// What both ends of a tunnel derive from its keys, and nobody else can.
pub(crate) type Exported = [u8; 16];

/// Shared by all that play a history.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Rc<RefCell<Book>>);

#[derive(Default)]
struct Book {
    failure: Option<String>,
    transcript: Sha256,
    tracing: bool,
    trace: Vec<Line>,
    /// The secured tunnels, by their keys, and the ends of each.
    tunnels: BTreeMap<Exported, [Option<End>; 2]>,
    delivered: u64,
    secured: u64,
    faults: u64,
    endings: BTreeMap<String, u64>,
}

/// One end of a secured tunnel.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    /// The entity, by its place in the world.
    pub(crate) entity: usize,
    /// Bytes written or messages sent.
    pub(crate) sent: u64,
    /// The most bytes that one of its messages has.
    pub(crate) size: u64,
    /// Bytes read or messages taken.
    pub(crate) got: u64,
    /// Whether this end has not told that it is over.
    pub(crate) live: bool,
}

impl Ledger {
    pub(crate) fn new(tracing: bool) -> Self {
        let ledger = Self::default();
        ledger.0.borrow_mut().tracing = tracing;
        ledger
    }

    /// An invariant does not hold. The first one is kept.
    pub(crate) fn fail(&self, line: impl FnOnce(&str) -> Line, words: String) {
        let mut book = self.0.borrow_mut();
        if book.failure.is_none() {
            let line = line(&words);
            book.trace.push(line);
            book.failure = Some(words);
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.0.borrow().failure.is_some()
    }

    /// Something happened: it belongs to the transcript, and to the trace if there is one.
    pub(crate) fn note(&self, hashed: &[&[u8]], line: impl FnOnce() -> Option<Line>) {
        let mut book = self.0.borrow_mut();
        for part in hashed {
            book.transcript.update(part.len().to_le_bytes());
            book.transcript.update(part);
        }
        if book.tracing {
            book.trace.extend(line());
        }
    }

    pub(crate) fn fault(&self) {
        self.0.borrow_mut().faults += 1;
    }

    pub(crate) fn ending(&self, words: String) {
        *self.0.borrow_mut().endings.entry(words).or_default() += 1;
    }

    /// An end of a tunnel was secured. Says what is wrong with that, if anything is.
    pub(crate) fn secure(&self, keys: Exported, side: Side, entity: usize) -> Result<(), String> {
        let mut book = self.0.borrow_mut();
        book.secured += 1;
        let ends = book.tunnels.entry(keys).or_default();
        let end = &mut ends[place(side)];
        if let Some(other) = end {
            return Err(format!("two tunnels have the same keys and the same side: of {} and {entity}", other.entity));
        }
        *end = Some(End { entity, sent: 0, size: 0, got: 0, live: true });
        Ok(())
    }

    /// Changes what is known of one end, if it is known.
    pub(crate) fn with_end(&self, keys: Exported, side: Side, change: impl FnOnce(&mut End)) {
        if let Some(end) = self.0.borrow_mut().tunnels.get_mut(&keys).and_then(|ends| ends[place(side)].as_mut()) {
            change(end);
        }
    }

    pub(crate) fn end(&self, keys: Exported, side: Side) -> Option<End> {
        self.0.borrow().tunnels.get(&keys).and_then(|ends| ends[place(side)].clone())
    }

    pub(crate) fn deliver(&self, bytes: usize) {
        self.0.borrow_mut().delivered += u64::try_from(bytes).unwrap_or(0);
    }

    /// Secured tunnels and their ends.
    pub(crate) fn tunnels(&self) -> Vec<[Option<End>; 2]> {
        self.0.borrow().tunnels.values().cloned().collect()
    }

    /// Plays, and tells what it came to. A panic is a failure too.
    pub(crate) fn play(self, play: impl FnOnce()) -> Outcome {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(play)) {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of something else");
            self.fail(|words| Line::failure(0, "the simulation", words), format!("a panic: {words}"));
        }
        let book = self.0.take();
        Outcome {
            failure: book.failure,
            transcript: book.transcript.finalize().into(),
            faults: book.faults,
            delivered: book.delivered,
            secured: book.secured,
            endings: book.endings,
            trace: book.trace,
        }
    }
}

pub(crate) fn place(side: Side) -> usize {
    match side {
        Side::Initiator => 0,
        Side::Responder | _ => 1,
    }
}

pub(crate) fn other(side: Side) -> Side {
    match side {
        Side::Initiator => Side::Responder,
        Side::Responder | _ => Side::Initiator,
    }
}

/// A word that all plaintext has, and that must not be seen outside of tunnels.
pub(crate) const CANARY: &str = "CANARY";

/// The plaintext that one side of a tunnel writes, from `start` to `end`: it does not repeat, belongs to this tunnel and side
/// alone, and has a canary in each 64 bytes.
pub(crate) fn stream(keys: Exported, side: Side, start: u64, end: u64) -> Vec<u8> {
    let (first, last) = (start / 64, end.div_ceil(64));
    let mut bytes = Vec::with_capacity(usize::try_from(end - start).unwrap_or(0) + 128);
    for block in first..last {
        let mut digest = Sha256::new();
        digest.update(keys);
        digest.update([u8::from(side == Side::Initiator)]);
        digest.update(block.to_le_bytes());
        let digest = digest.finalize();
        bytes.extend_from_slice(CANARY.as_bytes());
        bytes.extend_from_slice(&digest);
        bytes.extend_from_slice(&digest[..64 - 32 - CANARY.len()]);
    }
    let skip = usize::try_from(start - first * 64).unwrap_or(0);
    bytes.drain(..skip);
    bytes.truncate(usize::try_from(end - start).unwrap_or(0));
    bytes
}
