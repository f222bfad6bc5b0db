//! Reading a manifest.

use xtls_stanza::{Element, Limits, StreamItem, StreamReader};

use super::{EntryKind, Manifest, ManifestEntry, ManifestError, ManifestLimits, books::Books};
use crate::{FileHash, FileHashAlgo, SafePath, ns};

/// Parses the document of a manifest in pieces of any size, and tells what is wrong with it as soon as it is there.
///
/// No more is kept than the entries so far, of which there are [`ManifestLimits::entries`] at most, and one that is not through.
#[derive(Debug)]
pub struct ManifestParser {
    limits: ManifestLimits,
    reader: StreamReader,
    books: Books,
    bytes: usize,
    began: bool,
    ended: bool,
}

/// The most bytes of one entry: a path with a reference for each byte of it, and what else there is, with room for what may come.
const ENTRY_BYTES: usize = 16 * 1024;

impl ManifestParser {
    /// Expects a document from its beginning.
    #[must_use]
    pub fn new(limits: ManifestLimits) -> Self {
        let mut xml = Limits::default();
        xml.stanza_bytes = ENTRY_BYTES;
        xml.depth = 8;
        let reader = StreamReader::new(xml);
        Self { limits, reader, books: Books::new(limits), bytes: 0, began: false, ended: false }
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// When what has come is no manifest, or exceeds a limit. Nothing can come of the rest then.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ManifestError> {
        let room = self.limits.bytes - self.bytes;
        let exceeds = bytes.len() > room;
        bytes = bytes.get(..room).unwrap_or(bytes);
        self.bytes += bytes.len();
        while let Some(item) = self.reader.read(&mut bytes)? {
            match item {
                StreamItem::Header(header) if header.name() == "manifest" && header.ns() == ns::FILES => {
                    self.began = true;
                }
                StreamItem::Stanza(element) => self.take(&element)?,
                StreamItem::Close => self.ended = true,
                StreamItem::Header(_) | _ => return Err(ManifestError::NoManifest),
            }
        }
        if self.ended && !bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(ManifestError::Trailing);
        }
        if exceeds { Err(ManifestError::TooLarge(self.limits.bytes)) } else { Ok(()) }
    }

    /// The document has ended.
    ///
    /// # Errors
    ///
    /// When it ended too early.
    pub fn finish(self) -> Result<Manifest, ManifestError> {
        if self.began && self.ended { Ok(self.books.finish()) } else { Err(ManifestError::Truncated) }
    }

    fn take(&mut self, element: &Element) -> Result<(), ManifestError> {
        // Before anything is looked at, so that too many are told as that.
        self.books.room()?;
        if element.ns() == ns::FILES {
            self.books.add(read(element)?)?;
        }
        // Other namespaces are for what may be said besides.
        Ok(())
    }
}

fn read(element: &Element) -> Result<ManifestEntry, ManifestError> {
    let is_file = match element.name() {
        "file" => true,
        "directory" => false,
        other => return Err(ManifestError::Kind(other.to_owned())),
    };
    let text = element.attribute("path").ok_or(ManifestError::NoPath)?;
    let path = SafePath::new(text).map_err(|why| ManifestError::Path { path: text.to_owned(), why })?;
    let named = || text.to_owned();
    let mode = element.attribute("mode").map(|mode| octal(mode).ok_or_else(|| ManifestError::Mode(named())));
    let date = element.attribute("modified").map(|date| date.parse().map_err(|_| ManifestError::Date(named())));
    let kind = if is_file {
        let size = element.attribute("size").and_then(decimal).ok_or_else(|| ManifestError::Size(named()))?;
        let hash = element.attribute("sha-256").and_then(|hash| FileHash::from_base64(FileHashAlgo::Sha256, hash));
        EntryKind::File { size, hash: hash.ok_or_else(|| ManifestError::Hash(named()))? }
    } else {
        EntryKind::Directory
    };
    Ok(ManifestEntry { path, mode: mode.transpose()?, modified: date.transpose()?, kind })
}

/// Permissions, with the bits before them that nobody takes over.
fn octal(text: &str) -> Option<u16> {
    let is_octal = (1..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    is_octal.then(|| u16::from_str_radix(text, 8).ok())?
}

pub(crate) fn decimal(text: &str) -> Option<u64> {
    // A number in Rust may have a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
