//! What is said about a file: [`FileInfo`], [`FileRange`], [`FileRequest`].

use crate::{FileHash, FileHashAlgo};

/// A file as the peer describes it, or as it is described to the peer (XEP-0234 § 5).
///
/// What a peer says is untrusted. The name in particular is what it sent: it is no path, and may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its name.
    pub name: Option<String>,
    /// How many bytes it has. An offer of ours says it always; one of a peer that does not, ends where the bytes end.
    pub size: Option<u64>,
    /// When it was changed last, in the form of XEP-0082 (`2026-11-28T09:30:00Z`).
    pub date: Option<String>,
    /// Its media type; absent is `application/octet-stream`.
    pub media_type: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// Its hash, if that is known already.
    pub hash: Option<FileHash>,
    /// The function that `hash` is of, or that the hash will be of which follows. `None`: the peer names none that is known here,
    /// so nothing can be compared.
    pub hash_algo: Option<FileHashAlgo>,
    /// Whether a part of it can be asked for (`<range/>`).
    pub ranged: bool,
    /// It is the manifest of several files, which can be asked for once the manifest is here.
    pub manifest: Option<ManifestInfo>,
}

/// What an offer says about the files of a manifest. What counts is the manifest itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ManifestInfo {
    /// How many files it lists.
    pub files: u64,
    /// How many bytes they have together.
    pub size: u64,
}

/// A part of a file (XEP-0234 § 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileRange {
    /// Where it begins, counted from 0.
    pub offset: u64,
    /// How many bytes it has; `None`: up to the end of the file.
    pub length: Option<u64>,
}

/// Which file is asked for, and which part of it (XEP-0234 § 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileRequest {
    /// What identifies the file: its hash, or its name and size, or what else is known.
    pub file: FileInfo,
    /// The part that is wanted.
    pub range: FileRange,
    /// Not the file is wanted, which is a manifest, but the files that it lists: all of them in a row in the order of the manifest,
    /// as if they were one file. `range` is a part of that.
    pub contents: bool,
}

impl FileInfo {
    /// A file of this name and size, of which SHA-256 will be told when its last byte was sent, and of which parts can be asked for.
    #[must_use]
    pub fn new(name: &str, size: u64) -> Self {
        Self {
            name: Some(name.to_owned()),
            size: Some(size),
            hash_algo: Some(FileHashAlgo::Sha256),
            ranged: true,
            ..Self::default()
        }
    }

    /// The same with its hash.
    #[must_use]
    pub fn with_hash(self, hash: FileHash) -> Self {
        Self { hash: Some(hash), hash_algo: Some(hash.algo()), ..self }
    }

    /// The same with the time when it was changed last, in the form of XEP-0082.
    #[must_use]
    pub fn with_date(self, date: &str) -> Self {
        Self { date: Some(date.to_owned()), ..self }
    }

    /// The same with a media type.
    #[must_use]
    pub fn with_media_type(self, media_type: &str) -> Self {
        Self { media_type: Some(media_type.to_owned()), ..self }
    }

    /// The same as the manifest of several files.
    #[must_use]
    pub fn with_manifest(self, manifest: ManifestInfo) -> Self {
        Self { manifest: Some(manifest), ..self }
    }

    /// The function to hash it with: to begin a [`FileHasher`](crate::FileHasher) for it.
    #[must_use]
    pub fn algo(&self) -> FileHashAlgo {
        self.hash_algo.unwrap_or_default()
    }
}

impl ManifestInfo {
    /// This many files, of this many bytes together.
    #[must_use]
    pub fn new(files: u64, size: u64) -> Self {
        Self { files, size }
    }
}

impl FileRange {
    /// The whole of a file.
    pub const WHOLE: Self = Self { offset: 0, length: None };

    /// From this byte to the end.
    #[must_use]
    pub fn from(offset: u64) -> Self {
        Self { offset, length: None }
    }

    /// This many bytes from this one on.
    #[must_use]
    pub fn new(offset: u64, length: u64) -> Self {
        Self { offset, length: Some(length) }
    }

    /// Where it ends in a file of this size; `None` when it goes beyond the end, or when no end is known.
    #[must_use]
    pub fn end(self, size: Option<u64>) -> Option<u64> {
        let end = match self.length {
            Some(length) => self.offset.checked_add(length)?,
            None => size?,
        };
        (self.offset <= end && size.is_none_or(|size| end <= size)).then_some(end)
    }
}

impl FileRequest {
    /// The whole file with this hash.
    #[must_use]
    pub fn by_hash(hash: FileHash) -> Self {
        Self { file: FileInfo::default().with_hash(hash), ..Self::default() }
    }

    /// The whole file of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Self {
        Self { file: FileInfo { name: Some(name.to_owned()), ..FileInfo::default() }, ..Self::default() }
    }

    /// The same for a file of this size.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Self {
        self.file.size = Some(size);
        self
    }

    /// The same for a part of it.
    #[must_use]
    pub fn with_range(self, range: FileRange) -> Self {
        Self { range, ..self }
    }

    /// The same for the files that the manifest lists.
    #[must_use]
    pub fn of_contents(self) -> Self {
        Self { contents: true, ..self }
    }
}
