//! What is written in the picture.

use std::fmt::Write as _;

use xtls_stanza::Shown;

use super::story::{Item, Story};
use crate::line::{Line, What};

/// An arrow in words.
pub(super) fn said(story: &Story<'_>, item: &Item, line: &Line) -> String {
    let arrived = item.end.and_then(|end| story.lines.get(end)).filter(|end| end.ms != line.ms);
    let until = arrived.map(|end| format!(" to {}", seconds(end.ms))).unwrap_or_default();
    format!("{}{until} s: {}", seconds(line.ms), without_time(line))
}

/// A line in words.
pub(super) fn describe(line: &Line) -> String {
    format!("{} s: {}", seconds(line.ms), without_time(line))
}

fn without_time(line: &Line) -> String {
    let mut words = line.label();
    if let What::Stanza { stanza, bytes, .. } = &line.what {
        let _ = write!(words, "; {} {}", stanza.name, stanza.kind.as_deref().unwrap_or_default());
        if let Some(id) = &stanza.id {
            let _ = write!(words, ", id {id}");
        }
        let _ = write!(words, ", {bytes} bytes");
    }
    if let Some(peer) = &line.peer {
        let _ = write!(words, "; peer {peer}");
    }
    words
}

/// An answer that says nothing but that something has come.
pub(super) fn is_answer(line: &Line) -> bool {
    matches!(&line.what, What::Stanza { stanza, .. } if stanza.payload.is_none() && stanza.kind.as_deref() == Some("result"))
}

/// Seconds with milliseconds.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// At most so many characters, none of which changes how the others are shown.
pub(super) fn shortened(words: &str, characters: usize) -> String {
    // What is shown as an escape can be ten characters long.
    let some: String = words.chars().take(characters + 1).collect();
    let shown = Shown(&some).to_string();
    if shown.chars().count() <= characters {
        return shown;
    }
    shown.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}
