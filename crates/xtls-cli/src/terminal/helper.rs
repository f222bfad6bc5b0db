//! What rustyline asks while a line is being typed: how a word may go on, and how the prompt looks.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::session::SEND;

/// What becomes of the line that is being typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typing(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    /// Whether something stands on it.
    is_something: AtomicBool,
    /// How many lines were ended before.
    ended: AtomicU64,
}

/// What the user may want to type: Tab completes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Arc<Mutex<Vec<String>>>);

pub(super) struct Help {
    pub(super) typing: Typing,
    pub(super) words: Words,
    pub(super) files: FilenameCompleter,
    pub(super) colours: bool,
}

impl Typing {
    pub(super) fn is_something_typed(&self) -> bool {
        self.0.is_something.load(Ordering::Relaxed)
    }

    /// Another line begins.
    pub(super) fn end(&self) {
        self.0.is_something.store(false, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many lines were ended.
    pub(super) fn ended(&self) -> u64 {
        self.0.ended.load(Ordering::Relaxed)
    }

    fn set(&self, is_something: bool) {
        self.0.is_something.store(is_something, Ordering::Relaxed);
    }
}

impl Words {
    pub(super) fn set(&self, words: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// Where the word at this place begins, and what it may become. What has a blank in it goes on from the beginning of the line.
    fn complete(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let before = line.get(..at).unwrap_or_default();
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |start: usize, typed: &str, is_line: bool| {
            let fit = words.iter().filter(|word| word.starts_with('/') == is_line && word.starts_with(typed));
            (start, fit.cloned().collect::<Vec<_>>())
        };
        if before.starts_with('/') {
            return of(0, before, true);
        }
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        match before.get(start..) {
            Some(typed) if !typed.is_empty() => of(start, &typed.to_lowercase(), false),
            _ => (start, Vec::new()),
        }
    }
}

impl Completer for Help {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        // Its own words do not begin before the file's name does.
        match line.get(..pos).and_then(|before| before.strip_prefix(SEND)) {
            Some(files) => {
                let (start, found) = self.files.complete_path(files, files.len())?;
                Ok((SEND.len() + start, found.into_iter().map(|pair| pair.replacement).collect()))
            }
            None => Ok(self.words.complete(line, pos)),
        }
    }
}

impl Hinter for Help {
    type Hint = String;

    /// None is given; but this is called whenever the line changes.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.typing.set(!line.is_empty());
        None
    }
}

impl Highlighter for Help {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.colours { Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Validator for Help {}

impl Helper for Help {}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> (usize, Vec<String>) {
        let words = Words::default();
        words.set(["/to", "/to romeo", "/to rosaline", "/quit", "abandon", "ability"].map(str::to_owned).to_vec());
        words.complete(line, line.len())
    }

    #[test]
    fn a_line_that_begins_with_a_slash_is_completed_as_a_whole_and_words_one_by_one() {
        let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(complete("/q"), (0, all(&["/quit"])));
        assert_eq!(complete("/to r"), (0, all(&["/to romeo", "/to rosaline"])));
        assert_eq!(complete("ability Ab"), (8, all(&["abandon", "ability"])));
        assert_eq!(complete("ability "), (8, all(&[])));
        assert_eq!(complete(""), (0, all(&[])));
        // Its own words have no slash.
        assert_eq!(complete("say /q"), (4, all(&[])));
    }
}
