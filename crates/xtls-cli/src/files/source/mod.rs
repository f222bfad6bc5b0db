//! What is sent: found first, so that what cannot be sent is told before anything is; then hashed, then read.

mod read;
mod walk;

use std::fmt;
use std::path::PathBuf;

use xtls_files::manifest::{MEDIA_TYPE, Manifest, ManifestBuilder, ManifestEntry, ManifestLimits};
use xtls_files::{FileDate, FileHash, FileHashAlgo, FileInfo, ManifestInfo, NameRefused, SafeName, SafePath};

use super::{Progress, SourceError, wide};

pub(crate) use read::SourceReader;
pub(crate) use walk::survey;

/// What was found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) found: Found,
    /// What is left out, to be told.
    pub(crate) skipped: Vec<(PathBuf, Skipped)>,
    /// How many were left out. Of very many the first ones are kept.
    pub(crate) skipped_count: usize,
}

#[derive(Debug)]
pub(crate) enum Found {
    /// One file, which is offered by itself.
    File(SourceFile),
    /// Everything else.
    Tree(SourceTree),
}

/// A file to be sent.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) name: SafeName,
    pub(crate) size: u64,
    pub(crate) modified: Option<FileDate>,
    item: Item,
}

/// Files and directories to be sent.
#[derive(Debug)]
pub(crate) struct SourceTree {
    /// Of the directory, or of the selection.
    pub(crate) name: SafeName,
    pub(crate) files: usize,
    /// The bytes of all files.
    pub(crate) size: u64,
    items: Vec<Item>,
    limits: ManifestLimits,
}

/// Files and directories whose hashes are known.
#[derive(Debug)]
pub(crate) struct HashedTree {
    /// What is offered: the document of the manifest.
    pub(crate) info: FileInfo,
    pub(crate) document: String,
    pub(crate) manifest: Manifest,
    /// Reads all files in the order of the manifest.
    pub(crate) reader: SourceReader,
}

/// Why something is left out, while the rest is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// A symbolic link; it is sent as what it leads to if links are followed.
    Link,
    /// A link that leads to a directory that it is in itself.
    Loop,
    /// A link that leads nowhere.
    Dangling,
    /// Something else than files and directories.
    Fifo,
    Socket,
    Device,
    Other,
}

/// Why something cannot be sent, so that nothing is.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No receiver takes its name.
    Name(NameRefused),
    /// Its name cannot be said.
    NotUtf8,
    /// It cannot be read.
    Unreadable(std::io::Error),
    /// It is named on the command line and no file or directory.
    Special(Skipped),
}

/// Something that was found, and what it was then.
#[derive(Clone, Debug)]
struct Item {
    path: SafePath,
    place: PathBuf,
    mode: Option<u16>,
    modified: Option<FileDate>,
    /// `None` of a directory.
    stamp: Option<read::Stamp>,
}

impl Found {
    /// The bytes of all files.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size,
            Self::Tree(tree) => tree.size,
        }
    }
}

impl SourceFile {
    /// What is offered. Its hash is not known yet.
    pub(crate) fn info(&self) -> FileInfo {
        let info = FileInfo::new(self.name.as_str(), self.size);
        match self.modified {
            Some(date) => info.with_date(&date.to_string()),
            None => info,
        }
    }

    /// Reads it.
    pub(crate) fn reader(self) -> SourceReader {
        SourceReader::new([self.item])
    }
}

impl SourceTree {
    /// Hashes all files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or is not as it was found any more.
    pub(crate) fn hash(self, progress: Progress<'_>) -> Result<HashedTree, SourceError> {
        let mut reader = SourceReader::new(self.items.iter().cloned());
        let mut builder = ManifestBuilder::new(self.limits);
        let mut start = 0;
        for item in &self.items {
            let entry = if let Some(stamp) = &item.stamp {
                let end = start + stamp.size;
                let hash = reader.hash(start..end, progress)?.finish();
                start = end;
                ManifestEntry::file(item.path.clone(), stamp.size, hash)
            } else {
                ManifestEntry::directory(item.path.clone())
            };
            builder.push(item.describe(entry)).map_err(SourceError::Manifest)?;
        }
        let (manifest, document) = builder.finish();
        let info = FileInfo::new(self.name.as_str(), wide(document.len()))
            .with_hash(FileHash::of(FileHashAlgo::Sha256, document.as_bytes()))
            .with_media_type(MEDIA_TYPE)
            .with_manifest(ManifestInfo::new(wide(self.files), self.size));
        Ok(HashedTree { info, document, manifest, reader })
    }
}

impl Item {
    fn describe(&self, mut entry: ManifestEntry) -> ManifestEntry {
        (entry.mode, entry.modified) = (self.mode, self.modified.filter(|_| !entry.is_directory()));
        entry
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "a symbolic link",
            Self::Loop => "a link to a directory that it is in",
            Self::Dangling => "a link that leads nowhere",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Other => "neither a file nor a directory",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => write!(f, "no receiver takes this name: {why}"),
            Self::NotUtf8 => f.write_str("its name is not UTF-8"),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Special(kind) => write!(f, "it is {kind}"),
        }
    }
}
