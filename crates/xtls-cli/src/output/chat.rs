//! What a conversation looks like. At a terminal where lines are edited it has times and names; elsewhere a line has the sender's
//! whole address.

use std::io::{self, Write};

use super::{Shown, human};
use crate::{clock, terminal};

/// How much of a line is shown again when it is confirmed, in characters.
const MAX_EXCERPT: usize = 40;

/// How something looks.
#[derive(Clone, Copy)]
enum Look {
    /// A name.
    Bold,
    /// What matters less.
    Dim,
}

/// A message. Only what its sender's name stands before is a message of it: lines after the first one are set in.
pub(super) fn message(out: &mut dyn Write, from: &str, name: &str, body: &str) -> io::Result<()> {
    if !terminal::is_active() {
        return writeln!(out, "{}: {}", Shown(from), Shown(body));
    }
    let (time, name) = (look(Look::Dim, &clock::local_time()), look(Look::Bold, &Shown(name).to_string()));
    let mut lines = body.split('\n').map(Shown);
    writeln!(out, "{time} {name}: {}", lines.next().unwrap_or(Shown("")))?;
    lines.try_for_each(|line| writeln!(out, "      {line}"))
}

/// A line of ours has come to the peer's end. Where nothing is edited the user sees no more of that than before.
pub(super) fn delivered(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if !terminal::is_active() {
        return Ok(());
    }
    writeln!(out, "{}", look(Look::Dim, &format!("{} \u{2713} {}", clock::local_time(), excerpt(text))))
}

/// A tunnel that is open.
pub(super) fn present(
    out: &mut dyn Write,
    peer: &str,
    method: &str,
    fingerprint: Option<&str>,
    chosen: bool,
) -> io::Result<()> {
    let lines = if chosen { ", lines go there" } else { "" };
    writeln!(out, "* {}, by {}{lines}", Shown(peer), human::in_words(method))?;
    fingerprint.map_or(Ok(()), |fingerprint| human::fingerprint(out, "certificate", fingerprint, ""))
}

/// The beginning of a line, by which the user knows it.
pub(crate) fn excerpt(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(MAX_EXCERPT).collect();
    let rest = if cut.len() < text.len() { "\u{2026}" } else { "" };
    format!("{}{rest}", Shown(&cut))
}

fn look(look: Look, text: &str) -> String {
    let code = match look {
        _ if !terminal::has_colours() => return text.to_owned(),
        Look::Bold => "1;36",
        Look::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_beginning_of_the_first_line() {
        assert_eq!(excerpt("hello"), "hello");
        assert_eq!(excerpt("hello\nthere"), "hello\u{2026}");
        let long = "x".repeat(MAX_EXCERPT);
        assert_eq!(excerpt(&long), long);
        assert_eq!(excerpt(&format!("{long}x")), format!("{long}\u{2026}"));
        assert_eq!(excerpt("a\x1b[2J"), "a\\u{1b}[2J");
    }
}
