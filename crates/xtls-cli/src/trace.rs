//! `--trace`: what passes, one JSON object a line, without what is said. The format is that of `xtls-trace`.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Instant;

use xtls::{Element, Engine, Event};
use xtls_trace::{Direction, Line};

use crate::clock;
use crate::exit::Failure;
use crate::output::Output;

/// Where a trace goes, if there is one.
#[derive(Debug)]
pub(crate) struct Trace {
    file: Option<File>,
    start: Instant,
    output: Output,
}

impl Trace {
    /// Makes the file, which must not exist; readable by its owner only.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is there already.
    pub(crate) fn create(path: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let file = path.map(|path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path).map_err(|e| {
                Failure::other(format!(
                    "the trace {} cannot be written: {e}; nothing is overwritten: give a new file",
                    path.display()
                ))
            })
        });
        Ok(Self { file: file.transpose()?, start: clock::now(), output })
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
        let Some(file) = &mut self.file else { return };
        let ms = clock::now().duration_since(self.start).as_millis();
        let Some(line) = line(u64::try_from(ms).unwrap_or(u64::MAX)) else { return };
        if let Err(e) = line.write(file) {
            self.file = None;
            self.output.error(&format!("the trace cannot be written and ends here: {e}"));
        }
    }
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
    fn a_file_that_exists_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        std::fs::write(&path, "kept").unwrap();
        let failure = Trace::create(Some(&path), Output::new(false)).unwrap_err();
        assert_eq!(failure.code, crate::exit::Code::Other);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }
}
