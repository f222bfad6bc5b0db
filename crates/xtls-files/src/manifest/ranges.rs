//! The files of a manifest as one sequence of bytes.

use core::ops::Range;

use super::Manifest;

/// Where a byte of the sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which entry it is in, counted from 0.
    pub entry: usize,
    /// Which byte of that file it is, counted from 0.
    pub offset: u64,
    /// How many bytes the file has from there on; at least one.
    pub left: u64,
}

impl Manifest {
    /// Where the byte at `position` is; `None` at the end of all files and past it.
    #[must_use]
    pub fn place(&self, position: u64) -> Option<Place> {
        // Those before it that have ended, empty files and directories among them.
        let entry = self.ends.partition_point(|end| *end <= position);
        let range = self.range(entry)?;
        Some(Place { entry, offset: position - range.start, left: range.end - position })
    }

    /// Which part of the sequence an entry is; an empty one for an empty file or a directory, `None` if there is no such entry.
    #[must_use]
    pub fn range(&self, entry: usize) -> Option<Range<u64>> {
        let end = self.ends.get(entry).copied()?;
        let start = entry.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        Some(start..end)
    }

    /// What is missing when of each entry so many bytes are there, counted from its beginning: the parts of the sequence to ask for, in
    /// order, with something in between that is there. What is said of entries beyond the last one, or of more bytes than an
    /// entry has, counts for nothing; of entries that nothing is said of nothing is there.
    #[must_use]
    pub fn missing(&self, there: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut there = there.into_iter();
        for entry in 0..self.entries.len() {
            let there = there.next().unwrap_or(0);
            let Some(range) = self.range(entry) else { break };
            let start = range.start.saturating_add(there).min(range.end);
            match runs.last_mut() {
                _ if start == range.end => {}
                Some(run) if run.end == start => run.end = range.end,
                _ => runs.push(start..range.end),
            }
        }
        runs
    }
}
