//! What is looked at when an entry is added, whether it was parsed or is the sender's own.

use core::ops::Bound;
use std::collections::BTreeMap;

use super::{EntryKind, MODE_MASK, Manifest, ManifestEntry, ManifestError, ManifestLimits};
use crate::{FileHashAlgo, SafePath, name::folded};

/// The entries so far.
#[derive(Debug)]
pub(super) struct Books {
    limits: ManifestLimits,
    entries: Vec<ManifestEntry>,
    ends: Vec<u64>,
    /// Which entry has a path, by what is the same for all that some system takes for it. In the order of these, whatever is in a
    /// directory comes next to it.
    by_path: BTreeMap<Box<str>, usize>,
}

impl Books {
    pub(super) fn new(limits: ManifestLimits) -> Self {
        Self { limits, entries: Vec::new(), ends: Vec::new(), by_path: BTreeMap::new() }
    }

    /// Whether another entry would be too many.
    pub(super) fn room(&self) -> Result<(), ManifestError> {
        let limit = self.limits.entries;
        if self.entries.len() < limit { Ok(()) } else { Err(ManifestError::TooMany(limit)) }
    }

    pub(super) fn add(&mut self, mut entry: ManifestEntry) -> Result<(), ManifestError> {
        self.room()?;
        if let EntryKind::File { hash, .. } = entry.kind
            && hash.algo() != FileHashAlgo::Sha256
        {
            return Err(ManifestError::Hash(entry.path.as_str().to_owned()));
        }
        let end = self.ends.last().copied().unwrap_or(0).checked_add(entry.size()).ok_or(ManifestError::Total)?;
        let key = key(&entry.path);
        self.look_at_neighbours(&entry, &key)?;
        entry.mode = entry.mode.map(|mode| mode & MODE_MASK);
        self.by_path.insert(key, self.entries.len());
        self.entries.push(entry);
        self.ends.push(end);
        Ok(())
    }

    pub(super) fn finish(self) -> Manifest {
        Manifest { entries: self.entries, ends: self.ends }
    }

    /// Whatever could stand in the way of a path has the longest beginning in common with it, and so stands right before or after it.
    fn look_at_neighbours(&self, entry: &ManifestEntry, key: &str) -> Result<(), ManifestError> {
        let before = self.by_path.range::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let after = self.by_path.range::<str, _>((Bound::Excluded(key), Bound::Unbounded)).next();
        for (_, other) in before.into_iter().chain(after) {
            if let Some(other) = self.entries.get(*other) {
                compare(entry, other)?;
            }
        }
        Ok(())
    }
}

/// Whether a new entry can stand beside another one.
fn compare(entry: &ManifestEntry, other: &ManifestEntry) -> Result<(), ManifestError> {
    let text = |entry: &ManifestEntry| entry.path.as_str().to_owned();
    let (mut names, mut others) = (entry.path.names(), other.path.names());
    loop {
        match (names.next(), others.next()) {
            (Some(name), Some(other)) if name == other => {}
            (Some(name), Some(same)) if folded(name) == folded(same) => {
                return Err(ManifestError::Alike { path: text(entry), other: text(other) });
            }
            (None, None) => return Err(ManifestError::Twice(text(entry))),
            (Some(_), None) if !other.is_directory() => {
                return Err(ManifestError::FileInPath { file: text(other), path: text(entry) });
            }
            (None, Some(_)) if !entry.is_directory() => {
                return Err(ManifestError::FileInPath { file: text(entry), path: text(other) });
            }
            _ => return Ok(()),
        }
    }
}

/// What a path is sorted by: a separator comes before all that a name can have.
fn key(path: &SafePath) -> Box<str> {
    let mut key = String::with_capacity(path.as_str().len());
    for (depth, name) in path.names().enumerate() {
        if depth > 0 {
            key.push('\0');
        }
        key.push_str(&folded(name));
    }
    key.into_boxed_str()
}
