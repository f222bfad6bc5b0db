//! A command at a terminal, as a user has it: keys go in, and a screen shows what comes out.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::command::terminal;
use crate::{Person, Xtls, wait};

/// Rows of the screen: none of what these tests show scrolls away.
const ROWS: NonZero<u16> = NonZero::new(200).expect("some");

/// What kind of terminal it is.
const TERM: &str = "xterm-256color";

/// A program at a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<Screen>>,
    reader: Option<JoinHandle<()>>,
}

struct Screen {
    parser: vt100::Parser,
    /// All that came, as it came.
    all: Vec<u8>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parser.screen().contents())
    }
}

impl Terminal {
    /// Starts `xtls ARGS` as this person, at a terminal with so many columns.
    #[must_use]
    pub fn start(person: &Person, columns: u16, args: &[&str]) -> Self {
        Self::start_with(person, columns, args, ("TERM", TERM))
    }

    /// The same with this variable in its environment.
    #[must_use]
    pub fn start_with(person: &Person, columns: u16, args: &[&str], variable: (&str, &str)) -> Self {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(Xtls::program());
        person.prepare(&mut command, args);
        Self::spawn(command, columns, variable)
    }

    /// Starts `xtls ARGS` for nobody in particular, who has nothing yet.
    #[must_use]
    pub fn bare(data_dir: &Path, columns: u16, args: &[&str]) -> Self {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(Xtls::program());
        Xtls::prepare(&mut command, data_dir);
        command.args(args);
        Self::spawn(command, columns, ("TERM", TERM))
    }

    /// The same with this file as standard input, and another one as standard output if there is one.
    #[must_use]
    pub fn start_from(person: &Person, args: &[&str], input: &str, output: Option<&str>) -> Self {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", "sh", "-c"]);
        command.arg("exec <\"$1\"; if [ \"$2\" ]; then exec >\"$2\"; fi; shift 2; exec \"$@\"");
        command.args(["sh", input, output.unwrap_or_default()]).arg(Xtls::program());
        person.prepare(&mut command, args);
        Self::spawn(command, 80, ("TERM", TERM))
    }

    /// Starts a shell that can put its jobs into the background, and types this command there: `xtls ARGS`.
    #[must_use]
    pub fn shell(person: &Person, columns: u16, args: &[&str]) -> Self {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", "bash", "--norc", "--noprofile", "-i", "-c"]);
        // It comes back after the job was stopped, and reads the next line.
        command
            .arg("set -m; \"$@\"; echo \"[stopped with $?]\"; read -r line; fg >/dev/null; echo \"[ended with $?]\"");
        command.arg("bash").arg(Xtls::program());
        person.prepare(&mut command, args);
        Self::spawn(command, columns, ("TERM", TERM))
    }

    /// # Panics
    ///
    /// When there is no terminal to be had, or the command does not start.
    fn spawn(mut command: Command, columns: u16, (name, value): (&str, &str)) -> Self {
        let (keys, slave) = terminal();
        resize(&keys, columns);
        let [input, output, errors] = [(); 3].map(|()| slave.try_clone().expect("another handle"));
        command.env("TERM", TERM).env_remove("NO_COLOR").env("TZ", "UTC0").env(name, value);
        let child = command.stdin(input).stdout(output).stderr(errors).spawn().expect("the command starts");
        let screen = Screen { parser: vt100::Parser::new(ROWS, wide(columns), 0), all: Vec::new() };
        let screen = Arc::new(Mutex::new(screen));
        // The command has the other end, and nobody else: its end is the end of what comes.
        drop((command, slave));
        let reader = {
            let (mut from, screen) = (keys.try_clone().expect("another handle"), Arc::clone(&screen));
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                loop {
                    match from.read(&mut buffer) {
                        Ok(0) => return,
                        Ok(count) => {
                            let mut screen = screen.lock().expect("no reader panics");
                            screen.parser.process(&buffer[..count]);
                            screen.all.extend_from_slice(&buffer[..count]);
                        }
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        // Linux says so when nobody has the other end any more.
                        Err(_) => return,
                    }
                }
            })
        };
        Self { child, keys, screen, reader: Some(reader) }
    }

    /// Presses these keys.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Pastes a text, as terminals do it that were asked to say what is pasted.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn paste(&mut self, text: &str) {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Makes the window so many columns wide.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn resize(&mut self, columns: u16) {
        self.screen.lock().expect("no reader panics").parser.screen_mut().set_size(ROWS, wide(columns));
        resize(&self.keys, columns);
    }

    /// What stands on the screen: its lines without blanks at their ends, up to the last one that is not empty.
    ///
    /// # Panics
    ///
    /// When the reader has.
    #[must_use]
    pub fn shown(&self) -> String {
        let screen = self.screen.lock().expect("no reader panics");
        let columns = screen.parser.screen().size().1.get();
        let lines: Vec<String> =
            screen.parser.screen().rows(0, columns).map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The code that `xtls pair` shows here.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    #[must_use]
    pub fn code(&self) -> String {
        self.line("* it works once, until ", "end it");
        let shown = self.shown();
        let is_code = |line: &&str| line.starts_with("    ") && line.trim().split(' ').count() == 4;
        shown.lines().find(is_code).expect("it is shown before").trim().to_owned()
    }

    /// All that came, with its escape sequences.
    ///
    /// # Panics
    ///
    /// When the reader has.
    #[must_use]
    pub fn came(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("no reader panics").all).into_owned()
    }

    /// Waits until a line of the screen, the last ones first, begins and ends like this, and gives it.
    ///
    /// # Panics
    ///
    /// When that does not come in time.
    pub fn line(&self, start: &str, end: &str) -> String {
        wait::until(&format!("{start} … {end} on the screen:\n{}\n", self.shown()), || {
            let fits =
                |line: &&str| line.starts_with(start) && line.ends_with(end) && line.len() >= start.len() + end.len();
            self.shown().lines().rev().find(fits).map(str::to_owned)
        })
    }

    /// Waits until this stands somewhere on the screen, over the end of a line too.
    ///
    /// # Panics
    ///
    /// When that does not come in time.
    pub fn see(&self, text: &str) {
        wait::until(&format!("{text:?} on the screen"), || self.shown().replace('\n', "").contains(text).then_some(()));
    }

    /// Waits until this is the line that the cursor is on.
    ///
    /// # Panics
    ///
    /// When that does not come in time.
    pub fn at(&self, line: &str) {
        wait::until(&format!("{line:?} at the cursor, which is on {:?}", self.current()), || {
            (self.current() == line.trim_end()).then_some(())
        });
    }

    fn current(&self) -> String {
        let screen = self.screen.lock().expect("no reader panics");
        let (screen, columns) = (screen.parser.screen(), screen.parser.screen().size().1.get());
        let row = usize::from(screen.cursor_position().0);
        screen.rows(0, columns).nth(row).unwrap_or_default().trim_end().to_owned()
    }

    /// Whether keys are handed on one by one and without an echo, as line editors have it.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let mode = tcgetattr(&self.keys).expect("the terminal has a mode");
        !mode.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// Waits until the command ends; gives its code and the last screen.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub fn wait(&mut self) -> (Option<i32>, String) {
        let status = wait::until(&format!("the end of a command at a terminal:\n{}", self.shown()), || {
            self.child.try_wait().expect("the state of the child is known")
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader ends without a panic");
        }
        (status.code(), self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself. What it has started sees the end of its terminal.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprint(&format!("--- the screen\n{}\n--- all of it\n{:?}", self.shown(), self.came()));
        }
    }
}

fn wide(columns: u16) -> NonZero<u16> {
    NonZero::new(columns).expect("a terminal has columns")
}

fn resize(terminal: &File, columns: u16) {
    let size = Winsize { ws_row: ROWS.get(), ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("the terminal has a size");
}

#[allow(clippy::print_stderr, reason = "shown with a failed test")]
fn eprint(text: &str) {
    eprintln!("{text}");
}
