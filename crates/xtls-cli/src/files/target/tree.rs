//! A directory that is being received.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, OpenOptions};
use xtls_files::manifest::{EntryKind, Manifest, ManifestEntry};
use xtls_files::{FileHash, FileHashAlgo, FileHasher, SafePath};

use super::part::{append, hash};
use super::{Claim, is_dir_still, make, open, open_own, remove, settle};
use crate::files::{Progress, TargetError, narrow, system, wide};

/// Permissions of what the manifest says none of, before the user's mask.
const FILE_MODE: u16 = 0o666;
const DIR_MODE: u16 = 0o777;

/// A directory that is being received: `NAME.xtls-part`, with everything below it where it will be. What of it is on disk stays there
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct PartTree {
    claim: Claim,
    root: Dir,
    manifest: Manifest,
    /// How many bytes of each entry are there.
    there: Vec<u64>,
    /// Of files that are there in part: the hash of that.
    hashers: BTreeMap<usize, FileHasher>,
    /// Permissions of the directories that the manifest says some of.
    dir_modes: BTreeMap<SafePath, u16>,
    /// The directory that was used last, and its path.
    parent: Option<(String, Dir)>,
    current: Option<(usize, File)>,
    differing: Vec<SafePath>,
}

impl PartTree {
    pub(super) fn open(claim: Claim, manifest: Manifest) -> Result<Self, TargetError> {
        let path = claim.path();
        let root = enter(&claim.dir, &claim.part, DIR_MODE)
            .map_err(|error| obstacle(&claim.dir, &claim.part, &path, error))?;
        let is_own = root.try_clone().and_then(|root| root.into_std_file().metadata());
        if !is_own.is_ok_and(|metadata| system::is_own_dir(&metadata)) {
            return Err(TargetError::Obstacle(path));
        }
        let directories = manifest.entries().iter().filter(|entry| entry.is_directory());
        let dir_modes = directories.filter_map(|entry| Some((entry.path.clone(), entry.mode?))).collect();
        let there = vec![0; manifest.entries().len()];
        Ok(Self {
            claim,
            root,
            manifest,
            there,
            hashers: BTreeMap::new(),
            dir_modes,
            parent: None,
            current: None,
            differing: Vec::new(),
        })
    }

    /// Looks at what is there already: a file that is complete and right is not asked for again, one that is not complete is gone on
    /// with, and one that is wrong goes.
    ///
    /// # Errors
    ///
    /// When something cannot be read, or the caller wants no more.
    pub(crate) fn look(&mut self, progress: Progress<'_>) -> Result<(), TargetError> {
        for index in 0..self.there.len() {
            let Some((entry, size, expected)) = self.file(index) else { continue };
            let path = self.path_of(&entry);
            let Some((dir, name)) = self.parent_of(&entry, false)? else { continue };
            let opened = match open(&dir, name, OpenOptions::new().read(true)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // What its permissions keep from being read is received again.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_file(&dir, name) => {
                    remove(&dir, name).map_err(|error| TargetError::of(&path, error))?;
                    continue;
                }
                Err(error) => return Err(obstacle(&dir, name, &path, error)),
            };
            let metadata = opened.metadata().map_err(|error| TargetError::of(&path, error))?;
            if !system::is_own_file(&metadata) {
                return Err(TargetError::Obstacle(path));
            }
            let longer = metadata.len() > size;
            let hasher = if longer { None } else { Some(hash(&opened, FileHashAlgo::Sha256, &path, progress)?) };
            match hasher {
                Some(hasher) if hasher.bytes() < size => {
                    self.there[index] = hasher.bytes();
                    self.hashers.insert(index, hasher);
                }
                Some(hasher) if hasher.bytes() == size && hasher.finish() == expected => {
                    self.there[index] = size;
                    // The break may have come between the last byte and this.
                    complete(&opened, &entry).map_err(|error| TargetError::of(&path, error))?;
                }
                _ => remove(&dir, name).map_err(|error| TargetError::of(&path, error))?,
            }
        }
        Ok(())
    }

    /// Which parts of all bytes are missing yet.
    pub(crate) fn missing(&self) -> Vec<Range<u64>> {
        self.manifest.missing(self.there.iter().copied())
    }

    /// The hash of what is there of the file that goes on at `position`: a hasher that has seen nothing if it begins there.
    pub(crate) fn has_before(&self, position: u64) -> FileHasher {
        let place = self.manifest.place(position).filter(|place| self.there.get(place.entry) == Some(&place.offset));
        place.and_then(|place| self.hashers.get(&place.entry)).cloned().unwrap_or_default()
    }

    /// What is there of the file that goes on at `position` is not what it begins with: all of it is missing again.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub(crate) fn start_over(&mut self, position: u64) -> Result<(), TargetError> {
        let Some(place) = self.manifest.place(position) else { return Ok(()) };
        let Some((entry, ..)) = self.file(place.entry) else { return Ok(()) };
        self.current = None;
        self.hashers.remove(&place.entry);
        self.there[place.entry] = 0;
        let path = self.path_of(&entry);
        let Some((dir, name)) = self.parent_of(&entry, false)? else { return Ok(()) };
        remove(&dir, name).map_err(|error| TargetError::of(&path, error))
    }

    /// What is in it.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is, and what was left as it is.
    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Which files had another hash since the last call when they were complete. They are missing again.
    pub(crate) fn take_differing(&mut self) -> Vec<SafePath> {
        std::mem::take(&mut self.differing)
    }

    /// Writes what is missing at `position`: the beginning of one of [`PartTree::missing`], or what comes after what was written
    /// last. Of each file that this completes the hash is compared.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or is not missing.
    pub(crate) fn write(&mut self, mut position: u64, mut bytes: &[u8]) -> Result<(), TargetError> {
        while !bytes.is_empty() {
            let place = self.manifest.place(position).ok_or(TargetError::OutOfPlace(position))?;
            if self.there.get(place.entry) != Some(&place.offset) {
                return Err(TargetError::OutOfPlace(position));
            }
            let (piece, rest) = bytes.split_at(narrow(place.left, bytes.len()));
            self.write_in_file(place.entry, piece)?;
            position += wide(piece.len());
            bytes = rest;
        }
        Ok(())
    }

    /// Gives it its name when nothing is missing any more; where it is then.
    ///
    /// # Errors
    ///
    /// When something is missing, or that is not possible. It stays as it is.
    pub(crate) fn finish(mut self) -> Result<PathBuf, TargetError> {
        if !self.missing().is_empty() {
            return Err(TargetError::Unfinished(self.claim.path()));
        }
        self.current = None;
        for index in 0..self.there.len() {
            self.make_empty(index)?;
        }
        let Self { claim, root, dir_modes, .. } = self;
        if !is_dir_still(&claim.dir, &root, &claim.part) {
            return Err(TargetError::Vanished(claim.path()));
        }
        system::sync(&claim.dir).map_err(|error| TargetError::of(&claim.path(), error))?;
        // Windows renames no directory that is open, and has no such permissions.
        let root = (!cfg!(windows)).then_some(root);
        let path = claim.settle(false)?;
        claim.release();
        root.into_iter().for_each(|root| restrict_dirs(&root, &dir_modes));
        system::sync_dir(&claim.dir);
        Ok(path)
    }

    fn write_in_file(&mut self, index: usize, bytes: &[u8]) -> Result<(), TargetError> {
        let Some((entry, size, expected)) = self.file(index) else { return Err(TargetError::OutOfPlace(0)) };
        let path = self.path_of(&entry);
        let mut file = match self.current.take().filter(|(current, _)| *current == index) {
            Some((_, file)) => file,
            None => self.open_to_write(index, &entry)?,
        };
        let before = self.there[index];
        let written = append(&mut file, &mut self.there[index], bytes);
        let count = narrow(self.there[index] - before, bytes.len());
        let hasher = self.hashers.entry(index).or_default();
        hasher.update(&bytes[..count]);
        written.map_err(|error| TargetError::of(&path, error))?;
        if self.there[index] < size {
            self.current = Some((index, file));
            return Ok(());
        }
        let hash = self.hashers.remove(&index).unwrap_or_default().finish();
        if hash == expected {
            return complete(&file, &entry).map_err(|error| TargetError::of(&path, error));
        }
        drop(file);
        self.there[index] = 0;
        self.differing.push(entry.path.clone());
        let Some((dir, name)) = self.parent_of(&entry, false)? else { return Ok(()) };
        remove(&dir, name).map_err(|error| TargetError::of(&path, error))
    }

    /// Opens a file to go on with, or makes it.
    fn open_to_write(&mut self, index: usize, entry: &ManifestEntry) -> Result<File, TargetError> {
        let path = self.path_of(entry);
        let (there, mode) = (self.there[index], entry.mode.unwrap_or(FILE_MODE) | 0o600);
        let Some((dir, name)) = self.parent_of(entry, true)? else { return Err(TargetError::Vanished(path)) };
        if there > 0 {
            let file = open_own(&dir, name, &path)?.ok_or_else(|| TargetError::Vanished(path.clone()))?;
            let length = file.metadata().map_err(|error| TargetError::of(&path, error))?.len();
            if length < there {
                return Err(TargetError::Vanished(path));
            }
            file.set_len(there).map_err(|error| TargetError::of(&path, error))?;
            return Ok(file);
        }
        match make(&dir, name, mode) {
            // It was not looked at what is there, or somebody else made it since: it is ours to replace, if it is a file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !is_file(&dir, name) {
                    return Err(TargetError::Obstacle(path));
                }
                let made = remove(&dir, name).and_then(|()| make(&dir, name, mode));
                made.map_err(|error| TargetError::of(&path, error))
            }
            made => made.map_err(|error| TargetError::of(&path, error)),
        }
    }

    /// Makes a directory, or a file without bytes.
    fn make_empty(&mut self, index: usize) -> Result<(), TargetError> {
        let Some(entry) = self.manifest.entries().get(index).cloned() else { return Ok(()) };
        let path = self.path_of(&entry);
        match entry.kind {
            EntryKind::File { size: 0, .. } => {
                let file = self.open_to_write(index, &entry)?;
                complete(&file, &entry).map_err(|error| TargetError::of(&path, error))
            }
            EntryKind::Directory => {
                let mode = entry.mode.unwrap_or(DIR_MODE) | 0o700;
                let Some((dir, name)) = self.parent_of(&entry, true)? else { return Err(TargetError::Vanished(path)) };
                enter(&dir, name, mode).map(drop).map_err(|error| obstacle(&dir, name, &path, error))
            }
            _ => Ok(()),
        }
    }

    /// An entry that is a file, its size and its hash.
    fn file(&self, index: usize) -> Option<(ManifestEntry, u64, FileHash)> {
        let entry = self.manifest.entries().get(index)?;
        match entry.kind {
            EntryKind::File { size, hash } => Some((entry.clone(), size, hash)),
            _ => None,
        }
    }

    /// The directory that an entry is in, and its name there. `None` if there is no such directory and none is to be made.
    fn parent_of<'e>(&mut self, entry: &'e ManifestEntry, make: bool) -> Result<Option<(Dir, &'e str)>, TargetError> {
        let path = entry.path.as_str();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let failed = |error| TargetError::of(&self.claim.path().join(path), error);
        if let Some((last, dir)) = &self.parent
            && last == parent
        {
            return Ok(Some((dir.try_clone().map_err(failed)?, name)));
        }
        let mut dir = self.root.try_clone().map_err(failed)?;
        let mut above = String::new();
        for name in parent.split('/').filter(|name| !name.is_empty()) {
            above.push_str(if above.is_empty() { "" } else { "/" });
            above.push_str(name);
            let shown = self.claim.path().join(&above);
            let entered = if make {
                let said = SafePath::new(&above).ok().and_then(|path| self.dir_modes.get(&path));
                enter(&dir, name, said.copied().unwrap_or(DIR_MODE) | 0o700)
            } else {
                dir.open_dir_nofollow(name)
            };
            dir = match entered {
                Ok(inner) => inner,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
                Err(error) => return Err(obstacle(&dir, name, &shown, error)),
            };
        }
        self.parent = Some((parent.to_owned(), dir.try_clone().map_err(failed)?));
        Ok(Some((dir, name)))
    }

    fn path_of(&self, entry: &ManifestEntry) -> PathBuf {
        self.claim.path().join(entry.path.as_str())
    }
}

/// Opens a directory, or makes it. A link to one is refused.
fn enter(dir: &Dir, name: &str, mode: u16) -> io::Result<Dir> {
    match system::make_dir(dir, name, mode) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => dir.open_dir_nofollow(name),
    }
}

/// Takes away what directories do not allow their owner. Before they had their names nothing could have been made in them then, nor
/// found again after a break. They are the user's by now, to change or to remove.
fn restrict_dirs(root: &Dir, modes: &BTreeMap<SafePath, u16>) {
    // What is in a directory comes after it.
    for (path, mode) in modes.iter().rev().filter(|(_, mode)| *mode & 0o700 != 0o700) {
        let dir = path.names().try_fold(None, |above: Option<Dir>, name| {
            above.as_ref().unwrap_or(root).open_dir_nofollow(name).map(Some)
        });
        if let Ok(Some(dir)) = dir {
            let _ = system::restrict_dir(&dir, *mode);
        }
    }
}

/// What becomes of a file that is complete: permissions and date as the manifest says.
fn complete(file: &File, entry: &ManifestEntry) -> io::Result<()> {
    if let Some(time) = entry.modified.and_then(settle::time) {
        // Some file systems have no such dates; the file is none the worse.
        let _ = file.set_modified(time);
    }
    entry.mode.map_or(Ok(()), |mode| system::restrict(file, mode))?;
    // Elsewhere all are synced at once in the end.
    if cfg!(any(target_os = "linux", target_os = "android")) { Ok(()) } else { file.sync_all() }
}

fn is_file(dir: &Dir, name: &str) -> bool {
    dir.symlink_metadata(name).is_ok_and(|metadata| metadata.is_file())
}

/// What went wrong with something that should be a file or a directory of ours: whether something else stands there.
fn obstacle(dir: &Dir, name: &str, path: &std::path::Path, error: io::Error) -> TargetError {
    match dir.symlink_metadata(name) {
        Ok(metadata) if metadata.is_symlink() => TargetError::Obstacle(path.to_owned()),
        Ok(_)
            if matches!(
                error.kind(),
                io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists
            ) =>
        {
            TargetError::Obstacle(path.to_owned())
        }
        _ => TargetError::of(path, error),
    }
}
