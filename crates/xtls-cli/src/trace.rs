//! `--trace`: what passes, one JSON object a line, without what is said. The format is that of `xtls-trace`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use xtls::{Element, Engine, Event};
use xtls_trace::{Direction, Line, ladder};

use crate::clock;
use crate::exit::Failure;
use crate::output::Output;

/// How many lines a picture is drawn of, about: some 50 MiB of bytes that move.
const LADDER_LINES: usize = 60_000;

/// Where a trace goes, if there is one, and a picture of it.
#[derive(Debug)]
pub(crate) struct Trace {
    file: Option<File>,
    ladder: Option<Ladder>,
    start: Instant,
    output: Output,
}

/// A trace that several write to.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Trace>>);

impl Shared {
    pub(crate) fn new(trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(trace)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Trace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A picture that is to be drawn.
#[derive(Debug)]
struct Ladder {
    file: File,
    lines: Vec<Line>,
    /// No more lines are kept: how many came since then.
    full: Option<u64>,
}

impl Trace {
    /// Makes the file of a trace, if one is wanted.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is there already.
    pub(crate) fn create(path: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let file = path.map(|path| create("trace", path)).transpose()?;
        Ok(Self { file, ladder: None, start: clock::now(), output })
    }

    /// The same trace, of which a picture is drawn too: see [`Trace::draw`].
    ///
    /// # Errors
    ///
    /// When its file cannot be made, or is there already.
    pub(crate) fn with_ladder(mut self, path: Option<&Path>) -> Result<Self, Failure> {
        let file = path.map(|path| create("ladder", path)).transpose()?;
        self.ladder = file.map(|file| Ladder { file, lines: Vec::new(), full: None });
        Ok(self)
    }

    /// Nothing is on its way: of a history that is too long for a picture, the picture may end here.
    pub(crate) fn settle(&mut self) {
        if let Some(ladder) = &mut self.ladder
            && ladder.lines.len() >= LADDER_LINES
        {
            ladder.full.get_or_insert(0);
        }
    }

    /// Draws the picture, if one is wanted.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn draw(&mut self, title: &str) -> Result<(), Failure> {
        let Some(Ladder { mut file, lines, full }) = self.ladder.take() else { return Ok(()) };
        let left_out = full.map(|lines| format!(", without the last {lines} lines of its trace")).unwrap_or_default();
        let picture = ladder::titled(&format!("{title}{left_out}"), &lines);
        let written = file.write_all(picture.as_bytes()).and_then(|()| file.flush());
        written.map_err(|e| Failure::other(format!("the ladder cannot be written: {e}")))
    }

    /// Notes a stanza in text.
    pub(crate) fn text(&mut self, own: &str, direction: Direction, text: &str) {
        self.note(|ms| Line::stanza_text(ms, own, direction, text));
    }

    /// Notes a stanza.
    pub(crate) fn stanza(&mut self, own: &str, direction: Direction, stanza: &Element) {
        self.note(|ms| Some(Line::stanza(ms, own, direction, stanza)));
    }

    /// Notes what an engine tells.
    pub(crate) fn event(&mut self, own: &str, engine: &mut Engine, event: &Event) {
        self.note(|ms| Some(Line::event(ms, own, engine, event)));
    }

    /// Writes a line, which is made only if somebody wants it. If that fails the trace ends, and the command goes on.
    fn note(&mut self, line: impl FnOnce(u64) -> Option<Line>) {
        if self.file.is_none() && self.ladder.is_none() {
            return;
        }
        let ms = clock::now().duration_since(self.start).as_millis();
        let Some(line) = line(u64::try_from(ms).unwrap_or(u64::MAX)) else { return };
        if let Some(file) = &mut self.file
            && let Err(e) = line.write(file)
        {
            self.file = None;
            self.output.error(&format!("the trace cannot be written and ends here: {e}"));
        }
        match &mut self.ladder {
            Some(Ladder { full: Some(more), .. }) => *more += 1,
            Some(ladder) => ladder.lines.push(line),
            None => {}
        }
    }
}

/// Makes a file, which must not exist; readable by its owner only.
fn create(what: &str, path: &Path) -> Result<File, Failure> {
    xtls_store::private_file().create_new(true).open(path).map_err(|e| {
        Failure::other(format!(
            "the {what} {} cannot be written: {e}; nothing is overwritten: give a new file",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_stanza_is_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let mut trace = Trace::create(Some(&path), Output::new(false)).unwrap();
        trace.text("own@b/c", Direction::Out, "<iq type='get' id='7' to='a@b/c'/>");
        trace.text("own@b/c", Direction::Out, "no stanza");
        let presence = Element::builder("presence", "jabber:client").attribute("from", "x@y").build().unwrap();
        trace.stanza("own@b/c", Direction::In, &presence);
        let lines = Line::parse_all(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let peers: Vec<_> = lines.iter().map(|line| line.peer.as_deref()).collect();
        assert_eq!(peers, [Some("a@b/c"), Some("x@y")]);
    }

    #[test]
    fn a_picture_of_a_long_history_says_what_is_not_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ladder.svg");
        let mut trace = Trace::create(None, Output::new(false)).unwrap().with_ladder(Some(&path)).unwrap();
        let presence = Element::builder("presence", "jabber:client").attribute("from", "x@y").build().unwrap();
        for _ in 0..=LADDER_LINES {
            trace.stanza("own@b/c", Direction::In, &presence);
        }
        trace.settle();
        for _ in 0..7 {
            trace.stanza("own@b/c", Direction::In, &presence);
        }
        trace.draw("a test").unwrap();
        let picture = std::fs::read_to_string(&path).unwrap();
        assert!(picture.contains(">a test, without the last 7 lines of its trace<"), "{}", &picture[..4000]);
        assert!(picture.ends_with("</svg>\n") && picture.len() < 1 << 20, "{}", picture.len());
    }

    #[test]
    fn a_file_that_exists_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        std::fs::write(&path, "kept").unwrap();
        let failure = Trace::create(Some(&path), Output::new(false)).unwrap_err();
        assert_eq!(failure.code, crate::exit::Code::Other);
        let trace = Trace::create(None, Output::new(false)).unwrap();
        assert_eq!(trace.with_ladder(Some(&path)).unwrap_err().code, crate::exit::Code::Other);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }
}
