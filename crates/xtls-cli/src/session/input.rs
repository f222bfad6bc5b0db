//! Lines of standard input.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::mpsc;

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

/// Reads lines in a thread of its own, one ahead of what is taken.
///
/// The thread may still wait for a line when the process ends: nothing waits for it.
pub(crate) struct Lines {
    lines: Option<mpsc::Receiver<Input>>,
}

impl Lines {
    /// Begins to read standard input.
    pub(crate) fn start() -> Self {
        let (sender, lines) = mpsc::channel(1);
        thread::spawn(move || forward(io::stdin(), &sender));
        Self { lines: Some(lines) }
    }

    /// No input at all, and no end of it either.
    pub(crate) fn none() -> Self {
        Self { lines: None }
    }

    /// Whether there is no input at all.
    pub(crate) fn is_none(&self) -> bool {
        self.lines.is_none()
    }

    /// What was read and not taken; there may be more that was not read yet.
    pub(crate) fn waiting(&mut self) -> Option<Input> {
        self.lines.as_mut()?.try_recv().ok()
    }

    /// The next line, if one is `wanted`; dropping this loses nothing. After [`Input::End`] it never comes back.
    pub(crate) async fn next(&mut self, wanted: bool) -> Input {
        if wanted
            && let Some(lines) = &mut self.lines
            && let Some(input) = lines.recv().await
        {
            return input;
        }
        std::future::pending().await
    }
}

/// The next line of standard input, while nothing else is to be seen to and no [`Lines`] have begun. What follows it is left to
/// them.
pub(crate) fn read_line() -> Input {
    read(&mut io::stdin().lock())
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
        return Input::Unusable("it is longer than 64 KiB: send it in parts");
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
