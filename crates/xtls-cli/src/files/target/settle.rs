//! From the partial name to the real one, in whose place nothing is that was there.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use xtls_files::{FileDate, SafeName};

use super::Claim;
use crate::files::{TargetError, system};

/// How many names are tried.
const MAX_NAMES: u32 = 10_000;

impl Claim {
    /// Gives what is complete its name, or one like it with a number where that is taken. A file, or a link, that has it is replaced if
    /// that is wished; a directory never is.
    pub(super) fn settle(&self, overwrite: bool) -> Result<PathBuf, TargetError> {
        let name = &self.record.name;
        if overwrite && self.replace(name)? {
            return Ok(self.target.join(name.as_str()));
        }
        for number in 0..MAX_NAMES {
            let name = if number == 0 { name.clone() } else { name.numbered(number) };
            match system::rename_new(&self.dir, &self.part, name.as_str()) {
                Ok(()) => return Ok(self.target.join(name.as_str())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(TargetError::of(&self.target.join(name.as_str()), error)),
            }
        }
        Err(TargetError::Names(self.target.join(name.as_str())))
    }

    /// Replaces a file by a file. `false` if a directory is on either side.
    fn replace(&self, name: &SafeName) -> Result<bool, TargetError> {
        let is_dir = |name: &str| self.dir.symlink_metadata(name).is_ok_and(|metadata| metadata.is_dir());
        if is_dir(&self.part) || is_dir(name.as_str()) {
            return Ok(false);
        }
        let renamed = self.dir.rename(&self.part, &self.dir, name.as_str());
        renamed.map_err(|error| TargetError::of(&self.target.join(name.as_str()), error))?;
        Ok(true)
    }
}

/// The time that a date is; `None` where the system has none so early or so late.
pub(super) fn time(date: FileDate) -> Option<SystemTime> {
    let duration = Duration::from_secs(date.unix().unsigned_abs());
    if date.unix() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(duration)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(duration)
    }
}
