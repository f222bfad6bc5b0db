//! What is kept between runs: certificates and trust, in one directory.

mod claim;
mod identity;
mod limits;
mod servers;
mod trust;

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use xtls_store::{is_readable_by_all, is_writable_by_all, make_private_dir};

use crate::exit::Failure;
use crate::output::Output;

pub(crate) use claim::Claim;
pub(crate) use limits::LimitsFile;
pub(crate) use servers::ServersFile;
pub(crate) use trust::{Others, TrustFile, what_becomes_of_others};

/// The name of the trust file in the data directory.
const TRUST_FILE: &str = "trust.json";
/// The name of the file of servers in the data directory.
const SERVERS_FILE: &str = "servers.json";

/// The name of the file of limits in the data directory.
const LIMITS_FILE: &str = "limits.json";

/// The data directory; it exists.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Opens the given directory or else the platform's, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made or is no directory.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, Failure> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => ProjectDirs::from("", "", "xtls")
                .ok_or_else(|| Failure::other("there is no home directory to keep data in: give --data-dir DIR"))?
                .data_dir()
                .to_owned(),
        };
        make_private_dir(&path).map_err(|e| {
            Failure::other(format!(
                "the data directory {} cannot be used: {e}; check its permissions, or give another one with --data-dir",
                path.display()
            ))
        })?;
        Ok(Self { path })
    }

    /// Warns of what every user of the machine can read or change.
    pub(crate) fn warn_if_exposed(&self, output: Output) {
        for dir in [self.path.as_path(), self.identity_dir().path()] {
            if is_writable_by_all(dir) {
                let name = dir.display();
                output.warn(&format!(
                    "every user of this machine can change whom this directory says is trusted: chmod 700 {name}"
                ));
            }
        }
        // What cannot be listed is told by whatever needs it.
        for path in self.identity_dir().paths().unwrap_or_default() {
            if is_readable_by_all(&path) {
                let name = path.display();
                output.warn(&format!("the key in {name} can be read by every user of this machine: chmod 600 {name}"));
            }
        }
    }

    /// Reads the trust file.
    ///
    /// # Errors
    ///
    /// When it is damaged or cannot be read; it stays as it is.
    pub(crate) fn trust(&self) -> Result<TrustFile, Failure> {
        TrustFile::load(self.path.join(TRUST_FILE))
    }

    /// The file of how large stanzas servers take.
    pub(crate) fn limits(&self) -> LimitsFile {
        LimitsFile::new(self.path.join(LIMITS_FILE))
    }

    /// Reads which certificates servers had.
    ///
    /// # Errors
    ///
    /// When the file is damaged or cannot be read; it stays as it is.
    pub(crate) fn servers(&self) -> Result<ServersFile, Failure> {
        ServersFile::load(self.path.join(SERVERS_FILE))
    }
}
