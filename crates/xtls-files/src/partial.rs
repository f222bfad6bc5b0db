//! What a partial file is of.

use core::fmt;

use xtls_stanza::jid::BareJid;

use crate::{FileDate, FileHash, FileHashAlgo, FileInfo, NameRefused, SafeName, manifest::decimal};

/// What a partial file is of, to be kept beside it: whether something that is offered later is the same.
///
/// ```
/// use xtls_files::PartialRecord;
///
/// let peer = "juliet@capulet.lit".parse()?;
/// let mut record = PartialRecord::new(peer, "ball.txt".parse()?);
/// record.size = Some(6144);
/// let kept = record.to_text();
/// assert_eq!(PartialRecord::from_text(kept.as_bytes()), Some(record));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialRecord {
    /// Whose file it is.
    pub peer: BareJid,
    /// Its name, as the peer said it.
    pub name: SafeName,
    /// Its size. Of a directory, that of the document of its manifest.
    pub size: Option<u64>,
    /// When the peer's was changed.
    pub modified: Option<FileDate>,
    /// Its hash, if it was said beforehand. Of a directory, that of the document of its manifest.
    pub hash: Option<FileHash>,
    /// Whether it is a directory, or a selection of files, of which `size` and `hash` are those of the manifest.
    pub is_directory: bool,
}

/// In what two records differ, so that the one's bytes are not the beginning of the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// They are of different peers.
    Peer,
    /// They have different names.
    Name,
    /// The one is a file, the other a directory.
    Kind,
    /// They have different sizes, or the size of one is not known.
    Size,
    /// They were changed at different times, and nothing else tells that they are the same.
    Date,
    /// They have different hashes.
    Hash,
}

/// The first line. Another version has another number.
const HEAD: &str = "xtls partial file 1";

impl PartialRecord {
    /// The most bytes of one as text.
    pub const MAX: usize = 8 * 1024;

    /// Of a file of this peer, of which nothing but the name is known.
    #[must_use]
    pub fn new(peer: BareJid, name: SafeName) -> Self {
        Self { peer, name, size: None, modified: None, hash: None, is_directory: false }
    }

    /// Of what a peer offers. A file that it gives no name is called `unnamed`, and a date that is none is not known.
    ///
    /// # Errors
    ///
    /// When its name is refused.
    pub fn of_offer(peer: BareJid, file: &FileInfo) -> Result<Self, NameRefused> {
        let name = SafeName::new(file.name.as_deref().unwrap_or("unnamed"))?;
        let modified = file.date.as_deref().and_then(|date| date.parse().ok());
        let is_directory = file.manifest.is_some();
        Ok(Self { peer, name, size: file.size, modified, hash: file.hash, is_directory })
    }

    /// As text, one line for each field.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\npeer: {}\nname: {}\n", self.peer, self.name);
        let fields = [
            ("kind", self.is_directory.then(|| "directory".to_owned())),
            ("size", self.size.map(|size| size.to_string())),
            ("modified", self.modified.map(|date| date.to_string())),
            ("hash", self.hash.map(|hash| format!("{} {}", hash.algo().name(), hash.base64()))),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                text.push_str(&format!("{field}: {value}\n"));
            }
        }
        text
    }

    /// Reads one. `None` if it is none: too long, of another version, damaged, or cut off. Fields that are not known are left out.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = (text.len() <= Self::MAX).then(|| str::from_utf8(text).ok())??;
        // The last line has an end: what was cut off in the middle could mean something else.
        let mut lines = text.strip_suffix('\n')?.split('\n');
        lines.next().filter(|head| *head == HEAD)?;
        let (mut peer, mut name, mut kind, mut size, mut modified, mut hash) = (None, None, None, None, None, None);
        for line in lines {
            let (field, value) = line.split_once(": ")?;
            let place = match field {
                "peer" => &mut peer,
                "name" => &mut name,
                "kind" => &mut kind,
                "size" => &mut size,
                "modified" => &mut modified,
                "hash" => &mut hash,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        let read_hash = |text: &str| {
            let (algo, digest) = text.split_once(' ')?;
            FileHash::from_base64(FileHashAlgo::parse(algo)?, digest)
        };
        Some(Self {
            peer: peer?.parse().ok()?,
            name: name?.parse().ok()?,
            size: size.map(|size| decimal(size).ok_or(())).transpose().ok()?,
            modified: modified.map(str::parse).transpose().ok()?,
            hash: hash.map(|hash| read_hash(hash).ok_or(())).transpose().ok()?,
            is_directory: kind
                .map(|kind| if kind == "directory" { Ok(true) } else { Err(()) })
                .transpose()
                .ok()?
                .is_some(),
        })
    }

    /// In what something that is offered now differs from what this is of; `None` if the bytes that are there may be the beginning of
    /// it, which is for a hash to tell.
    #[must_use]
    pub fn difference(&self, offered: &Self) -> Option<Difference> {
        let hashes = self.hash.zip(offered.hash).filter(|(one, other)| one.algo() == other.algo());
        match hashes {
            _ if self.peer != offered.peer => Some(Difference::Peer),
            _ if self.name != offered.name => Some(Difference::Name),
            _ if self.is_directory != offered.is_directory => Some(Difference::Kind),
            _ if self.size != offered.size => Some(Difference::Size),
            Some((one, other)) => (one != other).then_some(Difference::Hash),
            None => (self.modified != offered.modified).then_some(Difference::Date),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "it is of another peer",
            Self::Name => "it has another name",
            Self::Kind => "one is a file and the other a directory",
            Self::Size => "it has another size",
            Self::Date => "it was changed since",
            Self::Hash => "it has another hash",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ManifestInfo;

    fn record() -> PartialRecord {
        let mut record = PartialRecord::new("juliet@capulet.lit".parse().unwrap(), "ball".parse().unwrap());
        record.size = Some(u64::MAX);
        record.modified = Some(FileDate::from_unix(951_825_600));
        record.hash = Some(FileHash::of(FileHashAlgo::Sha256, b"ball"));
        record
    }

    fn parse(text: &str) -> Option<PartialRecord> {
        PartialRecord::from_text(text.as_bytes())
    }

    #[test]
    fn what_is_written_is_read_whatever_is_known() {
        let full = record();
        let bare = PartialRecord::new(full.peer.clone(), full.name.clone());
        let tree = PartialRecord { is_directory: true, modified: None, ..record() };
        for record in [full, bare, tree] {
            assert_eq!(parse(&record.to_text()), Some(record));
        }
    }

    #[test]
    fn an_offer_is_taken_as_it_is_but_for_a_bad_name() {
        let offer = FileInfo::new("ball", u64::MAX).with_date("2000-02-29T13:00:00+01:00");
        let offer = offer.with_hash(FileHash::of(FileHashAlgo::Sha256, b"ball"));
        let of = |offer: &FileInfo| PartialRecord::of_offer(record().peer, offer);
        assert_eq!(of(&offer), Ok(record()));
        let tree = of(&offer.with_manifest(ManifestInfo::new(1, 1))).unwrap();
        assert!(tree.is_directory);
        assert_eq!(of(&FileInfo::new("../ball", 1)), Err(NameRefused::Slash));
        let mut bare = FileInfo::new("", 1).with_date("yesterday");
        assert_eq!(of(&bare), Err(NameRefused::Empty));
        bare.name = None;
        let unnamed = of(&bare).unwrap();
        assert_eq!((unnamed.name.as_str(), unnamed.modified), ("unnamed", None));
    }

    #[test]
    fn fields_that_are_not_known_are_left_out_and_what_is_damaged_is_none() {
        let text = record().to_text();
        assert_eq!(parse(&(text.clone() + "colour: red\n")), Some(record()));
        for (from, to) in [
            (" 1\n", " 2\n"),
            ("peer: ", "pear: "),
            ("name: ball", "name: ../ball"),
            ("name: ball", "name: "),
            ("juliet@capulet.lit", "juliet@"),
            ("size: 1", "size: -1"),
            ("size: 1", "size: 99"),
            ("hash: sha-256 ", "hash: md5 "),
            ("hash: sha-256 ", "hash: sha-256 A"),
            ("2000-02-29", "2001-02-29"),
            ("\nname", "\nno field\nname"),
            ("\nname", "\npeer: juliet@capulet.lit\nname"),
            ("\nname", "\nkind: pipe\nname"),
            ("\n", "\r\n"),
            ("\nname", "\n\nname"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(parse(&text.replacen(from, to, 1)), None, "{from:?} {to:?}");
        }
        for cut in 0..text.len() {
            let cut = parse(&text[..cut]);
            assert!(cut.is_none() || cut.as_ref() != Some(&record()), "what is left of it is something else");
        }
        assert_eq!(PartialRecord::from_text(b"xtls partial file 1\npeer: a@b\nname: \xff\n"), None);
    }

    #[test]
    fn a_record_has_8_kib_at_most() {
        let padded = |bytes: usize| {
            let text = record().to_text() + "more: ";
            let pad = bytes - text.len() - 1;
            text + &"x".repeat(pad) + "\n"
        };
        assert_eq!(parse(&padded(8192)), Some(record()));
        assert_eq!(parse(&padded(8193)), None);
    }

    #[test]
    fn what_is_of_something_else_is_told_by_name() {
        let change = |change: fn(&mut PartialRecord)| {
            let mut other = record();
            change(&mut other);
            record().difference(&other)
        };
        assert_eq!(change(|_| ()), None);
        assert_eq!(change(|r| r.peer = "romeo@montague.lit".parse().unwrap()), Some(Difference::Peer));
        assert_eq!(change(|r| r.name = "other".parse().unwrap()), Some(Difference::Name));
        assert_eq!(change(|r| r.is_directory = true), Some(Difference::Kind));
        assert_eq!(change(|r| r.size = Some(1)), Some(Difference::Size));
        assert_eq!(change(|r| r.size = None), Some(Difference::Size));
        assert_eq!(change(|r| r.hash = Some(FileHash::of(FileHashAlgo::Sha256, b"?"))), Some(Difference::Hash));
        assert_eq!(change(|r| r.modified = None), None, "the hashes agree");
        assert_eq!(change(|r| r.hash = None), None, "the dates agree");
        assert_eq!(change(|r| r.hash = Some(FileHash::of(FileHashAlgo::Sha512, b"?"))), None, "the dates agree");
        assert_eq!(change(|r| (r.hash, r.modified) = (None, None)), Some(Difference::Date));
    }

    proptest! {
        #[test]
        fn garbage_is_none_and_no_panic(bytes: Vec<u8>, lines in "(peer|name|size|hash|kind|: |\n|a@b|1| )*") {
            prop_assert_eq!(PartialRecord::from_text(&bytes), None);
            let _ = parse(&format!("{HEAD}\n{lines}"));
        }
    }
}
