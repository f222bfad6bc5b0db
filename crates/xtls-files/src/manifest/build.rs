//! Writing a manifest.

use xtls_stanza::write;

use super::{EntryKind, Manifest, ManifestEntry, ManifestError, ManifestLimits, books::Books};
use crate::ns;

/// Builds a manifest and its document, entry by entry.
#[derive(Debug)]
pub struct ManifestBuilder {
    limits: ManifestLimits,
    books: Books,
    document: String,
}

const END: &str = "</manifest>\n";

impl ManifestBuilder {
    /// A manifest without entries.
    #[must_use]
    pub fn new(limits: ManifestLimits) -> Self {
        let mut document = String::from("<manifest");
        write::attribute(&mut document, "xmlns", ns::FILES);
        document.push_str(">\n");
        Self { limits, books: Books::new(limits), document }
    }

    /// Adds an entry. Of its permissions [`MODE_MASK`](super::MODE_MASK) stays.
    ///
    /// # Errors
    ///
    /// When there is no room for it, or when something that is there already excludes it. The builder is as it was.
    pub fn push(&mut self, entry: ManifestEntry) -> Result<(), ManifestError> {
        let before = self.document.len();
        write_entry(&mut self.document, &entry);
        let fits = self.document.len().saturating_add(END.len()) <= self.limits.bytes;
        let added = if fits { self.books.add(entry) } else { Err(ManifestError::TooLarge(self.limits.bytes)) };
        if added.is_err() {
            self.document.truncate(before);
        }
        added
    }

    /// The manifest, and the document that says it.
    #[must_use]
    pub fn finish(mut self) -> (Manifest, String) {
        self.document.push_str(END);
        (self.books.finish(), self.document)
    }
}

fn write_entry(out: &mut String, entry: &ManifestEntry) {
    out.push_str(if entry.is_directory() { "<directory" } else { "<file" });
    write::attribute(out, "path", entry.path.as_str());
    if let EntryKind::File { size, .. } = entry.kind {
        write::attribute(out, "size", &size.to_string());
    }
    if let Some(mode) = entry.mode {
        write::attribute(out, "mode", &format!("{:03o}", mode & super::MODE_MASK));
    }
    if let Some(modified) = entry.modified {
        write::attribute(out, "modified", &modified.to_string());
    }
    if let EntryKind::File { hash, .. } = entry.kind {
        write::attribute(out, "sha-256", &hash.base64());
    }
    out.push_str("/>\n");
}
