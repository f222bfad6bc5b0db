//! What is told about files.

use std::io::{self, IsTerminal as _, Write};

use super::throttled::Amount;
use super::{Report, Shown};
use crate::terminal;

/// What stands before the answer.
pub(crate) const TAKE_IT: &str = "Take it? Type yes or no: ";

/// What users read.
pub(super) fn human(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    match report {
        Report::FileOffered { peer, name, size, files, free, asks } => {
            write!(out, "* {} offers {}", Shown(peer), What { name, size: *size, files: *files })?;
            if let Some(free) = free {
                write!(out, "; there is room for {}", Amount(*free))?;
            }
            writeln!(out)?;
            // Where the line is edited that has the prompt itself.
            if *asks && io::stdin().is_terminal() && !terminal::can_edit() { write!(out, "{TAKE_IT}") } else { Ok(()) }
        }
        Report::FileStarted { there: 0, .. } => Ok(()),
        Report::FileStarted { peer, name, direction, size, there } => {
            let who = if *direction == "out" { Shown(peer).to_string() } else { "this machine".to_owned() };
            writeln!(out, "* {who} has {} of {} already ({})", Amount(*there), Shown(name), Amount(*size))
        }
        Report::FileReceived { peer, name, size, files, path } => {
            writeln!(out, "* received {} from {}", What { name, size: *size, files: *files }, Shown(peer))?;
            writeln!(out, "    it is at     {}", Shown(path))
        }
        Report::FileSent { peer, name, size, files } => {
            writeln!(out, "* {} has {}", Shown(peer), What { name, size: *size, files: *files })
        }
        _ => Ok(()),
    }
}

/// A file, or several.
struct What<'a> {
    name: &'a str,
    size: u64,
    files: Option<u64>,
}

impl std::fmt::Display for What<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Shown(self.name))?;
        match self.files {
            None => write!(f, " ({})", Amount(self.size)),
            Some(1) => write!(f, " (1 file, {})", Amount(self.size)),
            Some(files) => write!(f, " ({files} files, {})", Amount(self.size)),
        }
    }
}
