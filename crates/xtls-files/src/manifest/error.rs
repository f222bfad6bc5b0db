//! Why something is no manifest.

use core::fmt;

use xtls_stanza::{ParseError, Shown};

use crate::NameRefused;

/// Why something is no manifest, or no part of one. Paths in it are a peer's; `Display` shows them with what could mislead written out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// It has more entries than [`ManifestLimits::entries`](super::ManifestLimits::entries).
    TooMany(usize),
    /// The document has more bytes than [`ManifestLimits::bytes`](super::ManifestLimits::bytes).
    TooLarge(usize),
    /// The document is no XML as XMPP allows it, or one of its elements is far larger than an entry can be.
    Xml(ParseError),
    /// Its root is not `<manifest xmlns='urn:xtls:files:0'/>`.
    NoManifest,
    /// It ends before its end tag.
    Truncated,
    /// Something comes after its end tag.
    Trailing,
    /// It has an entry that is neither a file nor a directory.
    Kind(String),
    /// An entry has no path.
    NoPath,
    /// A path is refused.
    Path {
        /// The path as it came.
        path: String,
        /// The rule that it breaks.
        why: NameRefused,
    },
    /// A path is there twice.
    Twice(String),
    /// Two paths, or directories in them, are spelt differently and the same on some systems.
    Alike {
        /// The later one.
        path: String,
        /// The earlier one.
        other: String,
    },
    /// A file has something in it as if it were a directory.
    FileInPath {
        /// The file.
        file: String,
        /// What would be in it.
        path: String,
    },
    /// A file without a size, or with one that is no decimal number below 2^64.
    Size(String),
    /// A file without its SHA-256, or with something else in its place.
    Hash(String),
    /// Permissions that are no octal number of at most four digits.
    Mode(String),
    /// A time of change that is no date and time of XEP-0082.
    Date(String),
    /// All files together have 2^64 bytes or more.
    Total,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(limit) => write!(f, "it has more than {limit} files and directories"),
            Self::TooLarge(limit) => write!(f, "it has more than {limit} bytes"),
            Self::Xml(error) => error.fmt(f),
            Self::NoManifest => f.write_str("it is no manifest"),
            Self::Truncated => f.write_str("it ends in the middle"),
            Self::Trailing => f.write_str("something comes after its end"),
            Self::Kind(name) => write!(f, "it has an entry of a kind that is not known: {}", Shown(name)),
            Self::NoPath => f.write_str("it has an entry without a path"),
            Self::Path { path, why } => write!(f, "it names {}: {why}", Shown(path)),
            Self::Twice(path) => write!(f, "it names {} twice", Shown(path)),
            Self::Alike { path, other } => {
                write!(f, "{} and {} are the same on some systems", Shown(other), Shown(path))
            }
            Self::FileInPath { file, path } => {
                write!(f, "{} is a file, and {} would be in it", Shown(file), Shown(path))
            }
            Self::Size(path) => write!(f, "it says no size of {}", Shown(path)),
            Self::Hash(path) => write!(f, "it says no SHA-256 of {}", Shown(path)),
            Self::Mode(path) => write!(f, "the permissions of {} are no octal number", Shown(path)),
            Self::Date(path) => write!(f, "the date of {} is none", Shown(path)),
            Self::Total => f.write_str("its files have more bytes together than can be counted"),
        }
    }
}

impl core::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Xml(error) = self {
            return Some(error);
        }
        if let Self::Path { why, .. } = self { Some(why) } else { None }
    }
}

impl From<ParseError> for ManifestError {
    fn from(error: ParseError) -> Self {
        Self::Xml(error)
    }
}
