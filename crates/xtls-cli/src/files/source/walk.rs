//! Finding what is to be sent.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_fs_ext::{DirExt as _, FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, OpenOptions};
use xtls_files::manifest::{ManifestBuilder, ManifestEntry, ManifestError, ManifestLimits};
use xtls_files::{FileDate, FileHash, FileHashAlgo, SafeName, SafePath};

use super::read::Stamp;
use super::{Found, Item, Problem, Skipped, SourceFile, SourceTree, Survey};
use crate::files::error::Problems;
use crate::files::{SourceError, system};

/// The most things left out that are kept, to be told.
const MAX_SKIPPED: usize = 100;

/// Finds what is below these paths. What they name themselves may be links; those that are found below are left out and told, unless
/// they are to be followed.
///
/// # Errors
///
/// When something cannot be sent: nothing is then.
pub(crate) fn survey(paths: &[PathBuf], follow: bool, limits: ManifestLimits) -> Result<Survey, SourceError> {
    let mut walk = Walk {
        follow,
        limits,
        books: ManifestBuilder::new(limits),
        items: Vec::new(),
        skipped: Vec::new(),
        skipped_count: 0,
        problems: Problems::default(),
        above: Vec::new(),
    };
    let found = match paths {
        [] => return Err(SourceError::Nothing),
        [path] => walk.only(path)?,
        _ => walk.selection(paths)?,
    };
    if walk.problems.count > 0 {
        return Err(SourceError::Problems(walk.problems));
    }
    Ok(Survey { found: found.ok_or(SourceError::Nothing)?, skipped: walk.skipped, skipped_count: walk.skipped_count })
}

struct Walk {
    follow: bool,
    limits: ManifestLimits,
    /// What would be refused of a manifest is told before the files are hashed.
    books: ManifestBuilder,
    items: Vec<Item>,
    skipped: Vec<(PathBuf, Skipped)>,
    skipped_count: usize,
    problems: Problems,
    /// The directories that the walk is in.
    above: Vec<(u64, u64)>,
}

/// What stands on the command line.
enum Named {
    File(Metadata),
    Dir(Dir),
}

impl Walk {
    /// One file or one directory.
    fn only(&mut self, path: &Path) -> Result<Option<Found>, SourceError> {
        let Some(named) = self.named(path) else { return Ok(None) };
        let Some(name) = self.name_of(path)? else { return Ok(None) };
        match named {
            Named::File(metadata) => {
                self.add(path, name.clone().into(), &metadata, false)?;
                let item = self.items.pop();
                Ok(item.and_then(|item| {
                    let size = item.stamp.as_ref()?.size;
                    Some(Found::File(SourceFile { name, size, modified: item.modified, item }))
                }))
            }
            Named::Dir(dir) => {
                self.enter(&dir, path, None)?;
                Ok(self.tree(name))
            }
        }
    }

    /// Several of them, each under its own name.
    fn selection(&mut self, paths: &[PathBuf]) -> Result<Option<Found>, SourceError> {
        let mut first = None;
        for path in paths {
            let (Some(named), Some(name)) = (self.named(path), self.name_of(path)?) else { continue };
            let inner = SafePath::from(name.clone());
            match named {
                Named::File(metadata) => self.add(path, inner, &metadata, false)?,
                Named::Dir(dir) => {
                    let metadata = dir.dir_metadata();
                    match metadata {
                        Ok(metadata) => self.add(path, inner.clone(), &metadata, true)?,
                        Err(error) => self.problems.add(path.clone(), Problem::Unreadable(error)),
                    }
                    self.enter(&dir, path, Some(&inner))?;
                }
            }
            first.get_or_insert(name);
        }
        let Some(first) = first else { return Ok(None) };
        let more = paths.len() - 1;
        let name = SafeName::new(&format!("{first} and {more} more"))
            .or_else(|_| SafeName::new(&format!("{} files", paths.len())))
            .map_err(|why| {
                let mut problems = Problems::default();
                problems.add(PathBuf::from(first.as_str()), Problem::Name(why));
                SourceError::Problems(problems)
            })?;
        Ok(self.tree(name))
    }

    fn tree(&mut self, name: SafeName) -> Option<Found> {
        let items = std::mem::take(&mut self.items);
        let sizes = items.iter().filter_map(|item| item.stamp.as_ref()).map(|stamp| stamp.size);
        // The books have looked at the sum.
        let (files, size) = (sizes.clone().count(), sizes.fold(0, u64::saturating_add));
        (!items.is_empty()).then_some(Found::Tree(SourceTree { name, files, size, items, limits: self.limits }))
    }

    /// Looks at what stands on the command line. What cannot be sent is noted.
    fn named(&mut self, path: &Path) -> Option<Named> {
        let named = match std::fs::metadata(path).map(Metadata::from_just_metadata) {
            Ok(metadata) if metadata.is_dir() => Dir::open_ambient_dir(path, ambient_authority()).map(Named::Dir),
            Ok(metadata) if metadata.is_file() => Stamp::look(path).map(Named::File),
            Ok(metadata) => {
                self.problems.add(path.to_owned(), Problem::Special(special(metadata.file_type())));
                return None;
            }
            Err(error) => Err(error),
        };
        named.map_err(|error| self.problems.add(path.to_owned(), Problem::Unreadable(error))).ok()
    }

    /// What it is called: of `.` and the like, the directory's own name.
    fn name_of(&mut self, path: &Path) -> Result<Option<SafeName>, SourceError> {
        let whole;
        let name = match path.file_name() {
            Some(name) => name,
            None => {
                whole = path.canonicalize().map_err(|error| SourceError::of(path, error))?;
                whole.file_name().ok_or_else(|| SourceError::NoName(path.to_owned()))?
            }
        };
        Ok(self.safe(path, name))
    }

    fn safe(&mut self, place: &Path, name: &OsStr) -> Option<SafeName> {
        let name = match name.to_str() {
            Some(name) => SafeName::new(name).map_err(Problem::Name),
            None => Err(Problem::NotUtf8),
        };
        name.map_err(|problem| self.problems.add(place.to_owned(), problem)).ok()
    }

    /// Looks at everything in a directory, in the order of names.
    fn enter(&mut self, dir: &Dir, place: &Path, path: Option<&SafePath>) -> Result<(), SourceError> {
        let listed = dir
            .dir_metadata()
            .and_then(|metadata| Ok(((metadata.dev(), metadata.ino()), names(dir, self.limits.entries)?)));
        let (id, names) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.problems.add(place.to_owned(), Problem::Unreadable(error));
                return Ok(());
            }
        };
        if names.len() > self.limits.entries {
            return Err(SourceError::Manifest(ManifestError::TooMany(self.limits.entries)));
        }
        self.above.push(id);
        for name in names {
            self.entry(dir, &place.join(&name), path, &name)?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, dir: &Dir, place: &Path, above: Option<&SafePath>, name: &OsStr) -> Result<(), SourceError> {
        let looked = dir.symlink_metadata(name);
        let kind = match &looked {
            Ok(metadata) if metadata.is_symlink() && !self.follow => {
                self.skip(place, Skipped::Link);
                return Ok(());
            }
            Ok(metadata) => metadata.file_type(),
            Err(error) => return self.unreadable(place, error.kind().into()),
        };
        let followed = if kind.is_symlink() { followed(place) } else { looked };
        let metadata = match followed {
            Ok(metadata) => metadata,
            // Among those that link to one another the operating system says that they are too many.
            Err(error) if kind.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                self.skip(place, Skipped::Dangling);
                return Ok(());
            }
            Err(error) => return self.unreadable(place, error),
        };
        if !metadata.is_dir() && !metadata.is_file() {
            self.skip(place, special(metadata.file_type()));
            return Ok(());
        }
        let Some(name) = self.safe(place, name) else { return Ok(()) };
        let path = match above.map_or_else(|| Ok(name.clone().into()), |above| above.join(&name)) {
            Ok(path) => path,
            Err(why) => {
                self.problems.add(place.to_owned(), Problem::Name(why));
                return Ok(());
            }
        };
        if metadata.is_file() {
            // Whether it can be read is told now.
            let opened = if kind.is_symlink() { Ok(metadata) } else { look(dir, name.as_str()) };
            return match opened {
                Ok(metadata) if metadata.is_file() => self.add(place, path, &metadata, false),
                Ok(metadata) => {
                    self.skip(place, special(metadata.file_type()));
                    Ok(())
                }
                Err(error) => self.unreadable(place, error),
            };
        }
        if self.above.contains(&(metadata.dev(), metadata.ino())) {
            self.skip(place, Skipped::Loop);
            return Ok(());
        }
        let opened = if kind.is_symlink() {
            Dir::open_ambient_dir(place, ambient_authority())
        } else {
            dir.open_dir_nofollow(name.as_str())
        };
        match opened {
            Ok(inner) => {
                self.add(place, path.clone(), &metadata, true)?;
                self.enter(&inner, place, Some(&path))
            }
            Err(error) => self.unreadable(place, error),
        }
    }

    fn add(&mut self, place: &Path, path: SafePath, metadata: &Metadata, is_dir: bool) -> Result<(), SourceError> {
        let stamp = (!is_dir).then(|| Stamp::of(metadata));
        let modified = metadata.modified().ok().map(|time| date(time.into_std()));
        let item = Item { path, place: place.to_owned(), mode: system::mode(metadata), modified, stamp };
        let entry = match &item.stamp {
            // Every SHA-256 is as long as this one.
            Some(stamp) => ManifestEntry::file(item.path.clone(), stamp.size, FileHash::of(FileHashAlgo::Sha256, b"")),
            None => ManifestEntry::directory(item.path.clone()),
        };
        self.books.push(item.describe(entry)).map_err(SourceError::Manifest)?;
        self.items.push(item);
        Ok(())
    }

    fn skip(&mut self, place: &Path, why: Skipped) {
        self.skipped_count += 1;
        if self.skipped.len() < MAX_SKIPPED {
            self.skipped.push((place.to_owned(), why));
        }
    }

    #[allow(clippy::unnecessary_wraps, reason = "the walk goes on: all problems are told at once")]
    fn unreadable(&mut self, place: &Path, error: io::Error) -> Result<(), SourceError> {
        self.problems.add(place.to_owned(), Problem::Unreadable(error));
        Ok(())
    }
}

/// The names in a directory, sorted: a manifest of the same files is the same. Of too many, one more than there may be.
fn names(dir: &Dir, limit: usize) -> io::Result<Vec<OsString>> {
    let entries = dir.entries()?.take(limit.saturating_add(1));
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// What is known of a file in a directory, which is no link.
fn look(dir: &Dir, name: &str) -> io::Result<Metadata> {
    dir.open_with(name, OpenOptions::new().read(true).follow(FollowSymlinks::No).nonblock(true))?.metadata()
}

/// What a link leads to.
fn followed(place: &Path) -> io::Result<Metadata> {
    let metadata = Metadata::from_just_metadata(std::fs::metadata(place)?);
    match () {
        () if metadata.is_file() => Stamp::look(place),
        () if metadata.is_dir() => Dir::open_ambient_dir(place, ambient_authority())?.dir_metadata(),
        () => Ok(metadata),
    }
}

fn date(time: SystemTime) -> FileDate {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    FileDate::from_unix(match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => seconds(since),
        // The second that it is in has begun earlier.
        Err(before) => -seconds(before.duration()) - i64::from(before.duration().subsec_nanos() > 0),
    })
}

#[cfg(unix)]
fn special(kind: FileType) -> Skipped {
    use cap_std::fs::FileTypeExt as _;
    match () {
        () if kind.is_fifo() => Skipped::Fifo,
        () if kind.is_socket() => Skipped::Socket,
        () if kind.is_block_device() || kind.is_char_device() => Skipped::Device,
        () => Skipped::Other,
    }
}

#[cfg(not(unix))]
fn special(_kind: FileType) -> Skipped {
    Skipped::Other
}
