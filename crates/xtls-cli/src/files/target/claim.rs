//! Who receives what: the names that one process has for itself, until it is done or ends.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use cap_std::fs::{Dir, OpenOptions};
use xtls_files::manifest::{Manifest, ManifestLimits, ManifestParser};
use xtls_files::{Difference, FileHash, FileHashAlgo, FileHasher, PARTIAL_SUFFIX, PartialRecord, SafeName};

use super::{PartFile, PartTree, Target, is_still, make, open, remove};
use crate::files::{TargetError, system, wide};

/// How many partial files of one name there may be.
const MAX_PARTS: u32 = 100;
/// How often it is begun anew because another process was quicker.
const ATTEMPTS: usize = 10;
/// How long a name may be so that our endings fit after it in a name of a file system.
const MAX_STEM: usize = 200;

/// The right to receive one file or directory, among all processes that receive into a directory, until it is dropped. The operating system
/// takes it away from a process that dies.
///
/// It is a lock on the record, which is written once, before there is anything that it is of.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(super) dir: Dir,
    pub(super) target: PathBuf,
    pub(super) record: PartialRecord,
    /// The name of the partial file or directory.
    pub(super) part: String,
    /// Whether the record was there already.
    pub(super) resumed: bool,
    _held: File,
    /// Partial files of the same name that are of something else, or that others are receiving. They stay as they are.
    pub(crate) left: Vec<(PathBuf, Left)>,
}

/// Why a partial file stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is of something else.
    Different(Difference),
    /// Another process is receiving it.
    InUse,
    /// Nothing says what it is of, or it is not this user's.
    Unknown,
}

/// What can be done with one of the names.
enum Look {
    Ours(File),
    Free,
    Left(Left),
    /// Another process was quicker.
    Again,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different(difference) => write!(f, "it is of something else ({difference})"),
            Self::InUse => f.write_str("another process is receiving it"),
            Self::Unknown => f.write_str("nothing says what it is of"),
        }
    }
}

impl Target {
    /// Takes the right to receive what this says. What is there of it already is gone on with, and what is there of something
    /// else stays: it could be all that the user has of that.
    ///
    /// # Errors
    ///
    /// When the directory is gone or cannot be written, or when there are too many partial files of this name.
    pub(crate) fn claim(&self, record: &PartialRecord) -> Result<Claim, TargetError> {
        let stem = stem(&record.name);
        for _ in 0..ATTEMPTS {
            if let Some(claim) = self.attempt(record, &stem)? {
                return Ok(claim);
            }
        }
        Err(TargetError::InUse(self.path.join(record.name.as_str())))
    }

    /// Looks at all names. `None` if another process was quicker.
    fn attempt(&self, record: &PartialRecord, stem: &SafeName) -> Result<Option<Claim>, TargetError> {
        let (mut free, mut left) = (None, Vec::new());
        for number in 0..MAX_PARTS {
            let part = if number == 0 { stem.to_string() } else { stem.numbered(number).to_string() } + PARTIAL_SUFFIX;
            match self.look(record, &part)? {
                Look::Ours(held) => return self.claimed(record, part, true, held, left),
                Look::Free => free = free.or(Some(part)),
                Look::Left(why) => left.push((self.path.join(part), why)),
                Look::Again => return Ok(None),
            }
        }
        let part = free.ok_or_else(|| TargetError::Names(self.path.join(record.name.as_str())))?;
        let info = info(&part);
        let path = self.path.join(&info);
        let held = match make(&self.dir, &info, 0o600) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // It is there and says nothing: whoever made it died before the first byte.
                let there = open(&self.dir, &info, OpenOptions::new().read(true).write(true));
                let is_own = |file: &File| file.metadata().is_ok_and(|metadata| system::is_own_file(&metadata));
                let Some(file) = there.ok().filter(is_own) else { return Ok(None) };
                file
            }
            Err(error) => return Err(TargetError::of(&path, error)),
        };
        if !self.lock(&held, &info)? || self.dir.symlink_metadata(&part).is_ok() {
            return Ok(None);
        }
        let mut writer = &held;
        let written = writer
            .rewind()
            .and_then(|()| held.set_len(0))
            .and_then(|()| writer.write_all(record.to_text().as_bytes()))
            .and_then(|()| held.sync_all());
        written.map_err(|error| TargetError::of(&path, error))?;
        self.claimed(record, part, false, held, left)
    }

    fn claimed(
        &self,
        record: &PartialRecord,
        part: String,
        resumed: bool,
        held: File,
        left: Vec<(PathBuf, Left)>,
    ) -> Result<Option<Claim>, TargetError> {
        let dir = self.dir.try_clone().map_err(|error| TargetError::of(&self.path, error))?;
        Ok(Some(Claim { dir, target: self.path.clone(), record: record.clone(), part, resumed, _held: held, left }))
    }

    /// What can be done with one name.
    fn look(&self, record: &PartialRecord, part: &str) -> Result<Look, TargetError> {
        let info = info(part);
        let path = self.path.join(&info);
        let is_there = self.dir.symlink_metadata(part).is_ok();
        let file = match open(&self.dir, &info, OpenOptions::new().read(true).write(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_there => return Ok(Look::Free),
            Err(_) => return Ok(Look::Left(Left::Unknown)),
        };
        let metadata = file.metadata().map_err(|error| TargetError::of(&path, error))?;
        if !system::is_own_file(&metadata) {
            return Ok(Look::Left(Left::Unknown));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Look::Left(Left::InUse)),
            Err(TryLockError::Error(error)) => return Err(TargetError::of(&path, error)),
        }
        if !is_still(&self.dir, &file, &info) {
            return Ok(Look::Again);
        }
        let mut text = Vec::new();
        let bound = wide(PartialRecord::MAX).saturating_add(1);
        (&file).take(bound).read_to_end(&mut text).map_err(|error| TargetError::of(&path, error))?;
        let record = |kept: &PartialRecord| kept.difference(record);
        let kept = PartialRecord::from_text(&text);
        if kept.as_ref().and_then(record).is_some() && self.is_empty(part) {
            // Whoever began it has ended before the first byte.
            remove(&self.dir, part).map_err(|error| TargetError::of(&self.path.join(part), error))?;
        }
        let is_there = self.dir.symlink_metadata(part).is_ok();
        Ok(match kept {
            // Only the hash of the document tells that a directory is the same.
            Some(kept) if kept.is_directory && kept.hash.is_none() && is_there => Look::Left(Left::Unknown),
            Some(kept) => match record(&kept) {
                None => Look::Ours(file),
                Some(_) if !is_there => Look::Free,
                Some(difference) => Look::Left(Left::Different(difference)),
            },
            None if !is_there => Look::Free,
            None => Look::Left(Left::Unknown),
        })
    }

    /// Whether a partial file is ours and has no bytes.
    fn is_empty(&self, part: &str) -> bool {
        let metadata = open(&self.dir, part, OpenOptions::new().read(true)).and_then(|file| file.metadata());
        metadata.is_ok_and(|metadata| system::is_own_file(&metadata) && metadata.len() == 0)
    }

    /// Locks a record for this process. `false` if another one has it, or has replaced it.
    fn lock(&self, file: &File, info: &str) -> Result<bool, TargetError> {
        match file.try_lock() {
            Ok(()) => Ok(is_still(&self.dir, file, info)),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(TargetError::of(&self.path.join(info), error)),
        }
    }
}

impl Claim {
    /// The file that this is for, as far as it is there.
    ///
    /// # Errors
    ///
    /// When something stands in its place, or it cannot be made.
    pub(crate) fn file(self) -> Result<PartFile, TargetError> {
        PartFile::open(self)
    }

    /// The manifest of a directory, if it was received before: it needs not come again.
    pub(crate) fn kept_manifest(&self, limits: ManifestLimits) -> Option<(Manifest, String)> {
        let hash = self.record.hash.filter(|_| self.resumed && self.record.is_directory)?;
        let mut document = Vec::new();
        let file = open(&self.dir, &self.manifest_name(), OpenOptions::new().read(true)).ok()?;
        let bound = wide(limits.bytes).saturating_add(1);
        file.take(bound).read_to_end(&mut document).ok()?;
        if FileHash::of(hash.algo(), &document) != hash {
            return None;
        }
        let mut parser = ManifestParser::new(limits);
        parser.push(&document).ok()?;
        Some((parser.finish().ok()?, String::from_utf8(document).ok()?))
    }

    /// The directory that this is for, as far as it is there.
    ///
    /// # Errors
    ///
    /// When something stands in its place, or it cannot be made.
    pub(crate) fn tree(self, manifest: Manifest, document: &str) -> Result<PartTree, TargetError> {
        self.keep_manifest(document)?;
        PartTree::open(self, manifest)
    }

    /// Keeps the document of the manifest, whole or not at all: a part of it has another hash.
    fn keep_manifest(&self, document: &str) -> Result<(), TargetError> {
        let name = self.manifest_name();
        let write = || {
            remove(&self.dir, &name)?;
            make(&self.dir, &name, 0o600)?.write_all(document.as_bytes())
        };
        write().map_err(|error| TargetError::of(&self.target.join(&name), error))
    }

    /// Where the partial file is, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.target.join(&self.part)
    }

    /// Whether something of it may be there already.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Ends it when everything is in its place: nothing is left of what was kept beside it.
    pub(super) fn release(&self) {
        // What cannot be removed is found to be of nothing by the next one.
        let _ = remove(&self.dir, &self.manifest_name());
        let _ = remove(&self.dir, &info(&self.part));
    }

    fn manifest_name(&self) -> String {
        format!("{}.manifest", self.part)
    }
}

/// The name of the record of a partial file.
fn info(part: &str) -> String {
    format!("{part}.info")
}

/// What the names of partial files begin with.
fn stem(name: &SafeName) -> SafeName {
    if name.as_str().len() <= MAX_STEM {
        return name.clone();
    }
    let mut hasher = FileHasher::new(FileHashAlgo::Sha256);
    hasher.update(name.as_str().as_bytes());
    let (hash, mut end) = (hasher.finish().hex(), MAX_STEM - 20);
    while !name.as_str().is_char_boundary(end) {
        end -= 1;
    }
    let short = format!("{}~{}", &name.as_str()[..end], &hash[..16]);
    SafeName::new(&short).unwrap_or_else(|_| name.clone())
}
