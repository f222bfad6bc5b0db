//! Measures goodput and delay over networks of all sorts, in virtual time, and writes the tables into `docs/networks.md`, what they
//! come to into `docs/performance.md` and the picture into `docs/networks.svg`. It takes no arguments.
#![allow(clippy::print_stderr, reason = "a command")]

use std::{error::Error, fs, path::Path, process::ExitCode};

use xtls_simulation::networks::Report;

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtls-networks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let report = Report::play();
    put(&docs.join("networks.md"), &report.tables())?;
    put(&docs.join("performance.md"), &report.summary())?;
    fs::write(docs.join("networks.svg"), report.plot()?)?;
    Ok(())
}

/// Puts tables between the marks of a page.
fn put(page: &Path, tables: &str) -> Result<(), Box<dyn Error>> {
    const MARKS: [&str; 2] = ["<!-- made by xtls-networks -->\n", "<!-- end -->\n"];
    let text = fs::read_to_string(page)?;
    let parts = text.split_once(MARKS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no place for tables", page.display()))?;
    fs::write(page, [before, MARKS[0], "\n", tables, "\n", MARKS[1], after].concat())?;
    Ok(())
}
