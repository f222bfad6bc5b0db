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
        Report::FileOffered { peer, name, size, files, free, yes, no, .. } => {
            write!(out, "* {} offers {}", Shown(peer), What { name, size: *size, files: *files })?;
            if let Some(free) = free {
                write!(out, "; there is room for {}", Amount(*free))?;
            }
            writeln!(out)?;
            match (yes, no) {
                (Some(yes), Some(no)) if yes.starts_with('/') => writeln!(out, "Take it? Type {yes} or {no}"),
                // Where the line is edited that has the prompt itself.
                (Some(_), Some(_)) if io::stdin().is_terminal() && !terminal::can_edit() => write!(out, "{TAKE_IT}"),
                _ => Ok(()),
            }
        }
        Report::File { number, peer, name, direction, state, bytes, size } => {
            let (way, peer, name) = (if *direction == "in" { "of" } else { "to" }, Shown(peer), Shown(name));
            let of = size.map(|size| format!(" of {}", Amount(size))).unwrap_or_default();
            let how = match *state {
                "preparing" => format!("is being looked at, {}{of}", Amount(*bytes)),
                "offered" => "is offered, no answer yet".to_owned(),
                "asked" => format!("/take {number} or /refuse {number}"),
                _ => format!("{}{of}", Amount(*bytes)),
            };
            writeln!(out, "* {number}: {name} {way} {peer}: {how}")
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(report: &Report<'_>) -> String {
        let mut out = Vec::new();
        human(&mut out, report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_offered_is_shown_on_one_line_whatever_it_is_called() {
        let offered = |name, files, yes: Option<&str>, no| {
            let (peer, size, free, asks) = ("romeo@montague.lit/x", 4_200_000, Some(20_000_000_000), yes.is_some());
            shown(&Report::FileOffered { peer, name, size, files, free, asks, yes, no })
        };
        assert_eq!(
            offered("song.ogg", None, Some("/take 2"), Some("/refuse 2")),
            "* romeo@montague.lit/x offers song.ogg (4.2 MB); there is room for 20 GB\n\
             Take it? Type /take 2 or /refuse 2\n"
        );
        for name in ["a\nTake it? Type /take 1", "a\r\u{9b}2J\u{1b}]0;x\u{7}", "a\u{2028}b", "\u{202e}gpj.exe"] {
            let told = offered(name, Some(3), None, None);
            assert!(told.ends_with("(3 files, 4.2 MB); there is room for 20 GB\n"), "{told:?}");
            assert_eq!(told.lines().count(), 1, "{told:?}");
            assert!(
                !told.trim_end().contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')),
                "{told:?}"
            );
        }
    }

    #[test]
    fn what_is_on_its_way_has_a_number_a_direction_and_how_far_it_is() {
        let file = |direction, state, bytes, size| {
            let (number, peer, name) = (7, "romeo@montague.lit/x", "a\u{1b}b");
            shown(&Report::File { number, peer, name, direction, state, bytes, size })
        };
        assert_eq!(
            file("out", "preparing", 0, None),
            "* 7: a\\u{1b}b to romeo@montague.lit/x: is being looked at, 0 bytes\n"
        );
        assert_eq!(
            file("out", "offered", 0, Some(5)),
            "* 7: a\\u{1b}b to romeo@montague.lit/x: is offered, no answer yet\n"
        );
        assert_eq!(file("in", "asked", 0, Some(5)), "* 7: a\\u{1b}b of romeo@montague.lit/x: /take 7 or /refuse 7\n");
        assert_eq!(file("in", "moving", 3, Some(5)), "* 7: a\\u{1b}b of romeo@montague.lit/x: 3 bytes of 5 bytes\n");
    }
}
