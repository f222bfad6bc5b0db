//! slixmpp's stanzas around Python's ssl, in a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::helper::Helper;
use crate::{engines::Who, failure::Missing};

/// Where tests/ibb-interop/run puts a Python with slixmpp.
const VENV: &str = "ibb-interop-venv/bin/python";

/// The process, and the certificates that it has read.
pub(crate) struct Slixmpp {
    helper: Helper,
    _certificates: TempDir,
}

impl Slixmpp {
    /// Starts it with the certificates of these two.
    pub(crate) fn start(python: Option<&Path>, who: &[Who; 2]) -> Result<Self, Missing> {
        let directory = tempfile::tempdir().map_err(Missing::new)?;
        for (name, who) in ["client", "server"].iter().zip(who) {
            let pem = who.identity.to_pem();
            let write = |kind: &str, text: &str| fs::write(directory.path().join(format!("{name}.{kind}")), text);
            write("crt", &pem.certificate).and_then(|()| write("key", pem.key.expose())).map_err(Missing::new)?;
        }
        let python = python.map_or_else(default_python, Path::to_owned);
        let mut command = Command::new(python);
        command.arg("-c").arg(include_str!("../../helpers/slixmpp_ibb.py")).arg(directory.path());
        let helper = Helper::start(&mut command).map_err(|missing| {
            Missing::new(format!("{missing} (tests/ibb-interop/run makes a Python with slixmpp)"))
        })?;
        Ok(Self { helper, _certificates: directory })
    }

    /// The process.
    pub(crate) fn helper(&mut self) -> &mut Helper {
        &mut self.helper
    }
}

/// The Python of the tests, if they have been here; else the first in the path.
fn default_python() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let of_tests = executable.ancestors().map(|above| above.join(VENV)).find(|python| python.exists());
    of_tests.unwrap_or_else(|| PathBuf::from("python3"))
}
