//! OpenSSL's TLS-SRP, from C, in a process of its own.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::helper::Helper;
use crate::failure::Missing;

/// The program, compiled.
pub(crate) struct OpenSsl {
    directory: TempDir,
}

impl OpenSsl {
    /// Compiles it with the C compiler of this machine (`CC`, or `cc`).
    pub(crate) fn compile() -> Result<Self, Missing> {
        let directory = tempfile::tempdir().map_err(Missing::new)?;
        let source = directory.path().join("openssl_srp.c");
        fs::write(&source, include_str!("../../helpers/openssl_srp.c")).map_err(Missing::new)?;
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut command = Command::new(&compiler);
        command.args(["-O2", "-Wall", "-Wno-deprecated-declarations", "-o"]).arg(directory.path().join("openssl_srp"));
        command.arg(&source).args(["-lssl", "-lcrypto"]);
        let missing = |why: &str| Missing::new(format!("no OpenSSL to compile with (Debian: libssl-dev): {why}"));
        let compiled = command.output().map_err(|error| missing(&error.to_string()))?;
        if compiled.status.success() {
            return Ok(Self { directory });
        }
        let said = String::from_utf8_lossy(&compiled.stderr);
        Err(missing(said.lines().find(|line| line.contains("error")).unwrap_or("the compiler failed")))
    }

    /// Starts it for a group of so many bits.
    pub(crate) fn start(&self, bits: u32) -> Result<Helper, Missing> {
        Helper::start(Command::new(self.directory.path().join("openssl_srp")).arg(bits.to_string()))
    }
}
