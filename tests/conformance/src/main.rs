//! Writes docs/conformance.md, or lists the tests that are named after a place in a document: `--tests`.

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let root = xtls_conformance::root();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => xtls_conformance::page(&root).map(|page| fs::write(root.join("docs/conformance.md"), page)),
        ["--tests"] => xtls_conformance::listing(&root).map(|listing| io::stdout().write_all(listing.as_bytes())),
        _ => Err(vec!["usage: xtls-conformance [--tests]".to_owned()]),
    };
    match done {
        Ok(written) => written.map(|()| ExitCode::SUCCESS),
        Err(faults) => {
            writeln!(io::stderr(), "{}", faults.join("\n"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
