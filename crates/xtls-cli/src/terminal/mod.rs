//! A terminal where the user types while something is told: what is told stands above the line that is being typed.
//!
//! rustyline edits that line, in a thread of its own ([`Editor`]). While it does, [`print()`] hands it what is to be told, and
//! [`finish`] gives the terminal back as it was.

mod editor;
mod helper;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustyline::ExternalPrinter;

use crate::platform::{self, TerminalMode};

pub(crate) use editor::{Asks, Editor};
use helper::Typing;

/// Up and down again: nothing is seen of it.
const NUDGE: &str = "\x1b[A\n";
/// Erases the line above, where the next one then begins.
const LIFT: &str = "\x1b[A\r\x1b[2K";
/// The same, and the line that is typed moves up there: rustyline ends a line after all that is told.
const DROP: &str = "\x1b[A\r\x1b[2K\x1b[A\n";
/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;
/// Erases from the beginning of the line to the end of the screen.
const CLEAR: &str = "\r\x1b[J";
/// Ends the bracketed paste that rustyline has begun.
const NO_BRACKETED_PASTE: &str = "\x1b[?2004l";
/// How long what was told last may take to be seen.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long it takes the editor to do what shows nothing.
const LAST_NUDGE: Duration = Duration::from_millis(10);
/// Terminals that rustyline does not edit lines at.
const UNSUPPORTED: [&str; 3] = ["dumb", "cons25", "emacs"];

/// The terminal, while lines are edited at it.
static SCREEN: Mutex<Option<Screen>> = Mutex::new(None);

struct Screen {
    /// None where nothing is told while a line is edited.
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    before: TerminalMode,
    typing: Typing,
    /// What changes and stands just above the line that is typed.
    status: Option<String>,
    /// After how many lines that the user had ended it was written there; after more of them it is history.
    written: Option<u64>,
}

/// Whether lines can be edited: the user types, sees what is told, and the terminal can move its cursor.
pub(crate) fn can_edit() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && !UNSUPPORTED.contains(&term.to_ascii_lowercase().as_str())
}

/// Whether lines are edited now, and what is told stands above them.
pub(crate) fn is_active() -> bool {
    screen().as_ref().is_some_and(|screen| screen.printer.is_some())
}

/// Whether colours are wanted: not where `NO_COLOR` is set to anything.
pub(crate) fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Tells this above the line that is being typed; `None` where lines are not edited. The text ends with a line end.
pub(crate) fn print(text: &str) -> Option<io::Result<()>> {
    Some(screen().as_mut()?.tell(text)?.map_err(io::Error::other))
}

/// Sets what stands between all that is told and the line that is being typed, in one line, and may change. Nothing happens where lines
/// are not edited.
pub(crate) fn set_status(words: Option<String>) {
    let mut screen = screen();
    let Some(screen) = screen.as_mut() else { return };
    // A terminal that is gone needs none.
    if words.is_some() {
        screen.status = words;
        let _ = screen.tell("");
    } else if screen.status.take().is_some() {
        let is_above = screen.is_status_above();
        if let Some(printer) = screen.printer.as_mut().filter(|_| is_above) {
            let _ = printer.print(DROP.to_owned());
        }
    }
}

/// Shows what was told last, takes the prompt away, and gives the terminal back as it was. Nothing happens where lines are not
/// edited.
pub(crate) fn finish() {
    set_status(None);
    let Some(Screen { printer, before, typing, .. }) = screen().take() else { return };
    if let Some(printer) = printer {
        show_last_words(printer);
    }
    // Where no line is being asked for, the terminal is as it was.
    if !before.restore() {
        return;
    }
    let mut out = io::stdout().lock();
    let end = if typing.is_something_typed() { "\r\n" } else { CLEAR };
    // A terminal that is gone needs neither.
    let _ = out.write_all(NO_BRACKETED_PASTE.as_bytes()).and_then(|()| out.write_all(end.as_bytes()));
    let _ = out.flush();
}

impl Screen {
    /// Tells this, and what may change after it, in one piece.
    fn tell(&mut self, text: &str) -> Option<rustyline::Result<()>> {
        let lift = if self.is_status_above() { LIFT } else { "" };
        let mut piece = format!("{lift}{text}");
        if let Some(status) = &self.status {
            let columns = platform::columns().unwrap_or(COLUMNS);
            piece.extend(status.chars().take(columns.saturating_sub(1)));
            piece.push('\n');
            self.written = Some(self.typing.ended());
        }
        Some(self.printer.as_mut()?.print(piece))
    }

    /// Whether what may change stands just above the line that is typed. From now on it does not.
    fn is_status_above(&mut self) -> bool {
        self.written.take() == Some(self.typing.ended())
    }
}

/// Waits until all that was told is seen.
fn show_last_words(mut printer: Box<dyn ExternalPrinter + Send>) {
    // The editor has room for one text that it has not shown yet: when there is room for the second one of these, all before them
    // is seen. If the user ends a line at this moment, it takes them when it asks for the next one.
    let (shown, is_shown) = mpsc::channel();
    thread::spawn(move || {
        let _ = printer.print(NUDGE.to_owned()).and_then(|()| printer.print(NUDGE.to_owned()));
        // The second one goes the same way.
        thread::sleep(LAST_NUDGE);
        // Nobody waits so long.
        let _ = shown.send(());
    });
    let _ = is_shown.recv_timeout(LAST_WORDS);
}

fn screen() -> MutexGuard<'static, Option<Screen>> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}
