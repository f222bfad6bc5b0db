//! Writes docs/conformance.md.

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let root = xtls_conformance::root();
    match xtls_conformance::page(&root) {
        Ok(page) => fs::write(root.join("docs/conformance.md"), page).map(|()| ExitCode::SUCCESS),
        Err(faults) => {
            writeln!(io::stderr(), "{}", faults.join("\n"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
