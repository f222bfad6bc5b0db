//! Lines of standard input.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::mpsc;

use crate::output::Output;
use crate::terminal::{Asks, Editor};

/// Longest line that is sent as one message, in bytes.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// What came from standard input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A line without its end.
    Line(String),
    /// A line that cannot be a message, and why.
    Unusable(&'static str),
    /// There is nothing more.
    End,
}

impl Input {
    /// A line of more than [`MAX_LINE`] bytes.
    pub(crate) const TOO_LONG: Self = Self::Unusable("it is longer than 64 KiB: send it in parts");
}

/// Lines of standard input. At a terminal the user edits them while something is told; elsewhere they are read one ahead of what
/// is taken.
///
/// They are read in a thread, which may still wait for a line when the process ends: nothing waits for it.
pub(crate) struct Lines {
    source: Source,
    asks: Asks,
    prompt: String,
    words: Vec<String>,
}

enum Source {
    None,
    /// Nothing is read before a line is wanted: what the terminal is used for before that is not disturbed.
    Later,
    Piped(mpsc::Receiver<Input>),
    Edited(Editor),
}

impl Lines {
    /// Standard input, from when the first line is wanted. Where it is a `terminal` for users, lines are edited.
    pub(crate) fn start(output: Output) -> Self {
        let source = if output.can_edit() { Source::Later } else { Source::Piped(piped()) };
        Self { source, ..Self::none() }
    }

    /// The same for answers: the terminal is as it was while none is wanted. Tab completes these words.
    pub(crate) fn answers(output: Output, prompt: String, words: Vec<String>) -> Self {
        Self { asks: Asks::WhenWanted, prompt, words, ..Self::start(output) }
    }

    /// No input at all, and no end of it either.
    pub(crate) fn none() -> Self {
        Self { source: Source::None, asks: Asks::Always, prompt: String::new(), words: Vec::new() }
    }

    /// Whether there is no input at all.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// What stands before a line that is edited, from the next one on.
    pub(crate) fn set_prompt(&mut self, prompt: String) {
        if let Source::Edited(editor) = &self.source {
            editor.set_prompt(&prompt);
        }
        self.prompt = prompt;
    }

    /// What Tab completes where lines are edited: words, in lower case, and lines that begin with a slash.
    pub(crate) fn set_words(&mut self, words: Vec<String>) {
        if let Source::Edited(editor) = &self.source {
            editor.set_words(words.clone());
        }
        self.words = words;
    }

    /// What was read and not taken; there may be more that was not read yet.
    pub(crate) fn waiting(&mut self) -> Option<Input> {
        match &mut self.source {
            Source::None | Source::Later => None,
            Source::Piped(lines) => lines.try_recv().ok(),
            Source::Edited(editor) => editor.waiting(),
        }
    }

    /// The next line, if one is `wanted`; dropping this loses nothing. After [`Input::End`] it never comes back.
    pub(crate) async fn next(&mut self, wanted: bool) -> Input {
        if wanted {
            if let Source::Later = self.source {
                self.source = self.begin();
            }
            let input = match &mut self.source {
                Source::None | Source::Later => None,
                Source::Piped(lines) => lines.recv().await,
                Source::Edited(editor) => editor.next().await,
            };
            if let Some(input) = input {
                return input;
            }
        }
        std::future::pending().await
    }

    fn begin(&self) -> Source {
        Editor::start(self.asks, &self.prompt, &self.words).map_or_else(|| Source::Piped(piped()), Source::Edited)
    }
}

fn piped() -> mpsc::Receiver<Input> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || forward(io::stdin(), &sender));
    lines
}

fn forward(from: impl Read, to: &mpsc::Sender<Input>) {
    let mut from = BufReader::new(from);
    loop {
        let input = read(&mut from);
        let last = input == Input::End;
        // Nobody listens any more when the command is ending.
        if to.blocking_send(input).is_err() || last {
            return;
        }
    }
}

/// Reads one line and keeps no more of it than [`MAX_LINE`]. What cannot be read counts as the end.
fn read(from: &mut impl BufRead) -> Input {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let Ok(chunk) = from.fill_buf() else { return Input::End };
        if chunk.is_empty() {
            if line.is_empty() && !too_long {
                return Input::End;
            }
            break;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        too_long |= line.len() + part.len() > MAX_LINE;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(chunk.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    if too_long {
        return Input::TOO_LONG;
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match String::from_utf8(line) {
        Ok(line) => Input::Line(line),
        Err(_) => Input::Unusable("it is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Input> {
        // A small buffer, so that lines cross its end.
        let mut from = BufReader::with_capacity(7, bytes);
        let mut found = Vec::new();
        loop {
            found.push(read(&mut from));
            if found.last() == Some(&Input::End) {
                return found;
            }
        }
    }

    fn line(text: &str) -> Input {
        Input::Line(text.to_owned())
    }

    #[test]
    fn lines_are_cut_at_line_ends_of_both_kinds() {
        assert_eq!(
            all(b"one\r\n\ntwo long words\nlast"),
            [line("one"), line(""), line("two long words"), line("last"), Input::End]
        );
        assert_eq!(all(b""), [Input::End]);
    }

    #[test]
    fn a_line_at_the_limit_is_a_message_and_one_past_it_is_not() {
        let mut text = vec![b'x'; MAX_LINE];
        assert_eq!(all(&text), [line(&"x".repeat(MAX_LINE)), Input::End]);
        text.push(b'x');
        text.extend_from_slice(b"\nnext\n");
        let found = all(&text);
        assert!(matches!(found.first(), Some(Input::Unusable(_))));
        assert_eq!(found.get(1..), Some([line("next"), Input::End].as_slice()));
    }

    #[test]
    fn what_is_not_utf8_is_refused_alone() {
        let found = all(b"\xff\xfe\nnext\n");
        assert!(matches!(found.first(), Some(Input::Unusable(_))));
        assert_eq!(found.get(1), Some(&line("next")));
    }
}
