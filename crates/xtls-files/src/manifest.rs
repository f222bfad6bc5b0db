//! What is in a directory, or in a selection of files.
//!
//! A manifest is a document that is transferred before the files. These are then one sequence of bytes, file after file in the order of
//! the manifest, of which the receiver requests what it has not got.

mod books;
mod build;
mod error;
mod parse;
mod ranges;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use build::ManifestBuilder;
pub use error::ManifestError;
pub use parse::ManifestParser;
pub(crate) use parse::decimal;
pub use ranges::Place;

use crate::{FileDate, FileHash, SafePath};

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.xtls.manifest+xml";

/// The permissions that a manifest can name: those of the owner, the group and others. Nothing runs as somebody else because of one.
pub const MODE_MASK: u16 = 0o777;

/// Bounds on one manifest, whether it is built or parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestLimits {
    /// Files and directories in it. Default 100 000.
    pub entries: usize,
    /// Bytes of the document. Default 32 MiB.
    pub bytes: usize,
}

/// Files and directories, each path once. No two are the same on a system that takes case or Unicode's normal forms for the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<ManifestEntry>,
    /// Where each entry ends in the sequence of all bytes. That of a directory is where the one before it ends.
    ends: Vec<u64>,
}

/// One file or directory of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// Where it is, below the directory that the manifest is of.
    pub path: SafePath,
    /// Permissions as Unix has them, of [`MODE_MASK`]; `None` if they are not said.
    pub mode: Option<u16>,
    /// When it was changed, if that is said.
    pub modified: Option<FileDate>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A file.
    File {
        /// Its bytes.
        size: u64,
        /// SHA-256 of them.
        hash: FileHash,
    },
    /// A directory. The parents of entries need none of their own.
    Directory,
}

impl Default for ManifestLimits {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 32 * 1024 * 1024 }
    }
}

impl ManifestEntry {
    /// A file, of which neither permissions nor date are said. A hash that is not SHA-256 is refused by whatever takes the entry.
    #[must_use]
    pub fn file(path: SafePath, size: u64, hash: FileHash) -> Self {
        Self { path, mode: None, modified: None, kind: EntryKind::File { size, hash } }
    }

    /// A directory, of which neither permissions nor date are said.
    #[must_use]
    pub fn directory(path: SafePath) -> Self {
        Self { path, mode: None, modified: None, kind: EntryKind::Directory }
    }

    /// How many bytes it has among those of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Directory => 0,
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == EntryKind::Directory
    }
}

impl Manifest {
    /// Everything that is in it, in its order.
    #[must_use]
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// How many files are in it.
    #[must_use]
    pub fn files(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.is_directory()).count()
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}
