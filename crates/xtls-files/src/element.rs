//! `<file/>` as it is read and written (XEP-0234 § 5).

use xtls_stanza::{ElementRef, write};

use crate::{
    FileDate, FileHashAlgo, FileInfo, FileRange, FilesConfig, ManifestInfo,
    hash::{BadHash, Hashes, write_used},
    ns,
};

/// All that a `<file/>` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileElement {
    pub(crate) info: FileInfo,
    pub(crate) hashes: Hashes,
    /// `<range/>`, with the hashes that stand in it (§ 8.2).
    pub(crate) range: Option<(FileRange, Hashes)>,
    /// The files that a manifest lists are meant.
    pub(crate) contents: bool,
    /// What is there already is checked: said by the sender, or which part of it, said by the receiver.
    pub(crate) check: Option<FileRange>,
}

/// Why a `<file/>` is not taken; the words say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadFile(pub(crate) &'static str);

impl From<BadHash> for BadFile {
    fn from(BadHash(why): BadHash) -> Self {
        Self(why)
    }
}

impl FileElement {
    /// Reads the `<file/>` of a `<description/>` or `<checksum/>`.
    pub(crate) fn of(parent: ElementRef<'_>, config: &FilesConfig) -> Result<Self, BadFile> {
        let mut files = parent.children().filter(|child| child.is("file", ns::FILE_TRANSFER));
        let file = files.next().ok_or(BadFile("no file is described"))?;
        if files.next().is_some() {
            return Err(BadFile("several files in one description"));
        }
        Self::read(file, config)
    }

    fn read(file: ElementRef<'_>, config: &FilesConfig) -> Result<Self, BadFile> {
        let child = |name| file.child(name, ns::FILE_TRANSFER);
        let text = |name, most: usize, too_long| match child(name).map(|child| child.text()) {
            Some(text) if text.len() > most => Err(BadFile(too_long)),
            text => Ok(text.filter(|text| !text.is_empty())),
        };
        let hashes = Hashes::read(file)?;
        let range = child("range").map(|range| Ok::<_, BadFile>((read_range(range)?, Hashes::read(range)?)));
        let date = text("date", FilesConfig::MAX_DATE, "a date that is too long")?;
        let size = match child("size").map(|size| size.text()) {
            Some(size) => Some(number(&size).ok_or(BadFile("a size that is not a number of bytes"))?),
            None => None,
        };
        let manifest = match file.child("manifest", ns::FILES) {
            Some(manifest) => {
                let count =
                    |name| manifest.attribute(name).and_then(number).ok_or(BadFile("a manifest without counts"));
                Some(ManifestInfo::new(count("files")?, count("size")?))
            }
            None => None,
        };
        let hash = FileHashAlgo::ALL.iter().find_map(|algo| hashes.value(*algo));
        let named = FileHashAlgo::ALL.iter().copied().find(|algo| hashes.used.contains(algo));
        let info = FileInfo {
            name: text("name", config.name_bytes, "a name that is too long")?,
            size,
            // XEP-0234 § 5: it MUST be a DateTime of XEP-0082. One that is none is not known; the file comes all the same.
            date: date.filter(|date| is_date(date)),
            media_type: text("media-type", FilesConfig::MAX_MEDIA_TYPE, "a media type that is too long")?,
            description: text("desc", config.description_bytes, "words that are too long")?,
            hash,
            hash_algo: hash.map(|hash| hash.algo()).or(named),
            ranged: range.is_some(),
            manifest,
        };
        let check = file.child("check", ns::FILES).map(read_range).transpose()?;
        Ok(Self {
            info,
            hashes,
            range: range.transpose()?,
            contents: file.child("contents", ns::FILES).is_some(),
            check,
        })
    }

    /// Appends the element.
    pub(crate) fn write(&self, out: &mut String) {
        let info = &self.info;
        out.push_str("<file>");
        write_text(out, "date", info.date.as_deref());
        write_text(out, "desc", info.description.as_deref());
        write_text(out, "media-type", info.media_type.as_deref());
        write_text(out, "name", info.name.as_deref());
        match &self.range {
            Some((range, hashes)) => write_range(out, "range", None, *range, hashes),
            None if info.ranged => out.push_str("<range/>"),
            None => {}
        }
        write_text(out, "size", info.size.map(|size| size.to_string()).as_deref());
        match (info.hash, info.hash_algo) {
            (Some(hash), _) => hash.write(out),
            (None, Some(algo)) => write_used(out, algo),
            (None, None) => {}
        }
        if let Some(manifest) = info.manifest {
            out.push_str("<manifest");
            write::attribute(out, "xmlns", ns::FILES);
            write::attribute(out, "files", &manifest.files.to_string());
            write::attribute(out, "size", &manifest.size.to_string());
            out.push_str("/>");
        }
        if self.contents {
            out.push_str("<contents");
            write::attribute(out, "xmlns", ns::FILES);
            out.push_str("/>");
        }
        if let Some(check) = self.check {
            write_range(out, "check", Some(ns::FILES), check, &Hashes::default());
        }
        out.push_str("</file>");
    }
}

fn read_range(range: ElementRef<'_>) -> Result<FileRange, BadFile> {
    let value = |name| match range.attribute(name) {
        Some(value) => number(value).map(Some).ok_or(BadFile("a range that is not made of numbers of bytes")),
        None => Ok(None),
    };
    let range = FileRange { offset: value("offset")?.unwrap_or_default(), length: value("length")? };
    // Nothing has more bytes than can be counted.
    if range.offset.checked_add(range.length.unwrap_or_default()).is_none() {
        return Err(BadFile("a range beyond all numbers"));
    }
    Ok(range)
}

fn write_range(out: &mut String, name: &str, ns: Option<&str>, range: FileRange, hashes: &Hashes) {
    out.push('<');
    out.push_str(name);
    write::optional_attribute(out, "xmlns", ns);
    if range.offset != 0 || range.length.is_some() {
        write::attribute(out, "offset", &range.offset.to_string());
    }
    write::optional_attribute(out, "length", range.length.map(|length| length.to_string()).as_deref());
    if hashes.values.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    hashes.values.iter().for_each(|hash| hash.write(out));
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn write_text(out: &mut String, name: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    out.push('<');
    out.push_str(name);
    out.push('>');
    write::text(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// xs:nonNegativeInteger as far as it fits: digits, with white space around.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn is_date(text: &str) -> bool {
    text.parse::<FileDate>().is_ok()
}
