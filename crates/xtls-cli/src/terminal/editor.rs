//! The thread in which lines are edited.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustyline::completion::FilenameCompleter;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, ColorMode, CompletionType, Config, ExternalPrinter};
use tokio::sync::mpsc;

use super::helper::{Help, Typing, Words};
use super::{Screen, has_colours, screen};
use crate::platform::{self, TerminalMode};
use crate::session::{Input, MAX_LINE};

/// Lines of this session that the arrow keys bring back.
const MAX_HISTORY: usize = 200;
/// Most bytes of lines that wait to be taken.
const MAX_WAITING: usize = 16 * MAX_LINE;
/// How long the next prompt waits for what a line leads to: longer, and what is told meanwhile could wait for the prompt.
const REPLY_TIME: Duration = Duration::from_millis(50);

/// When a line is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// One after the other. The thread waits for nobody, since what is told while a line is edited goes through it.
    Always,
    /// When one is wanted: the terminal is as it was in between.
    WhenWanted,
}

/// Lines that are edited at the terminal.
pub(crate) struct Editor {
    typed: mpsc::UnboundedReceiver<Input>,
    shared: Arc<Shared>,
    words: Words,
    /// How many inputs were given out.
    taken: u64,
}

#[derive(Default)]
struct Shared {
    prompt: Mutex<Prompt>,
    changed: Condvar,
    /// Bytes of the lines that wait.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Prompt {
    text: String,
    /// How many inputs have led to what they lead to, and after how many the next one is wanted.
    seen: u64,
    wanted: Option<u64>,
}

type Rustyline = rustyline::Editor<Help, MemHistory>;

impl Editor {
    /// Begins to edit lines with this prompt, where Tab completes these words; `None` where the terminal cannot do that, or where
    /// it is done already.
    pub(crate) fn start(asks: Asks, prompt: &str, known: &[String]) -> Option<Self> {
        let mut screen = screen();
        if screen.is_some() {
            return None;
        }
        let (typing, words, colours) = (Typing::default(), Words::default(), has_colours());
        words.set(known.to_vec());
        let before = TerminalMode::current().ok()?;
        let mut editor = Rustyline::with_history(config(colours)?, MemHistory::new()).ok()?;
        let files = FilenameCompleter::new();
        editor.set_helper(Some(Help { typing: typing.clone(), words: words.clone(), files, colours }));
        let printer: Option<Box<dyn ExternalPrinter + Send>> = match asks {
            Asks::Always => {
                let printer = Box::new(editor.create_external_printer().ok()?);
                before.hold_keys().ok()?;
                Some(printer)
            }
            Asks::WhenWanted => None,
        };
        *screen = Some(Screen { printer, before, typing: typing.clone(), status: None, written: None });
        let (sender, typed) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        prompt.clone_into(&mut shared.prompt().text);
        let thread = Thread { asks, editor, typing, shared: Arc::clone(&shared), sender, sent: 0 };
        thread::spawn(move || thread.run());
        Some(Self { typed, shared, words, taken: 0 })
    }

    /// What stands before the lines that are asked for from now on.
    pub(crate) fn set_prompt(&self, text: &str) {
        text.clone_into(&mut self.shared.prompt().text);
    }

    /// What Tab completes.
    pub(crate) fn set_words(&self, words: Vec<String>) {
        self.words.set(words);
    }

    /// The next line; dropping this loses nothing. What was given out before has led to all that it leads to.
    pub(crate) async fn next(&mut self) -> Option<Input> {
        {
            let mut prompt = self.shared.prompt();
            (prompt.seen, prompt.wanted) = (self.taken, Some(self.taken));
        }
        self.shared.changed.notify_one();
        let input = self.typed.recv().await?;
        self.took(&input);
        Some(input)
    }

    /// What was typed and not taken.
    pub(crate) fn waiting(&mut self) -> Option<Input> {
        let input = self.typed.try_recv().ok()?;
        self.took(&input);
        Some(input)
    }

    fn took(&mut self, input: &Input) {
        self.taken += 1;
        self.shared.waiting.fetch_sub(weight(input), Ordering::Relaxed);
    }
}

impl Shared {
    fn prompt(&self) -> MutexGuard<'_, Prompt> {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread {
    asks: Asks,
    editor: Rustyline,
    typing: Typing,
    shared: Arc<Shared>,
    sender: mpsc::UnboundedSender<Input>,
    sent: u64,
}

impl Thread {
    fn run(mut self) {
        let mut prompt = String::new();
        let mut ended = false;
        loop {
            if !ended {
                prompt = self.next_prompt();
            }
            let read = self.editor.readline(&prompt);
            self.typing.end();
            match read {
                Ok(_) if ended => {}
                Ok(line) => {
                    // More than a line can be pasted into one; a longer one is not worth keeping. What is asked for may be secret.
                    if line.len() <= MAX_LINE && self.asks == Asks::Always {
                        let _ = self.editor.add_history_entry(line.as_str());
                    }
                    self.send(self.usable(line));
                }
                Err(ReadlineError::Interrupted) => platform::ctrl_c(),
                // Ctrl-D. What is told from now on goes through here all the same, until the user does it again.
                Err(ReadlineError::Eof) if !ended && self.asks == Asks::Always => {
                    ended = true;
                    prompt.clear();
                    self.send(Input::End);
                }
                // The terminal is gone, or nothing more is to be typed.
                Err(_) => {
                    if !ended {
                        self.send(Input::End);
                    }
                    return;
                }
            }
        }
    }

    /// The prompt, after all that was typed has led to what it leads to, or if that takes longer; or when a line is wanted.
    fn next_prompt(&self) -> String {
        let (changed, prompt) = (&self.shared.changed, self.shared.prompt());
        let prompt = match self.asks {
            Asks::Always => {
                let waited = changed.wait_timeout_while(prompt, REPLY_TIME, |prompt| prompt.seen < self.sent);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            Asks::WhenWanted => changed
                .wait_while(prompt, |prompt| prompt.wanted != Some(self.sent))
                .unwrap_or_else(PoisonError::into_inner),
        };
        prompt.text.clone()
    }

    fn usable(&self, line: String) -> Input {
        if line.len() > MAX_LINE {
            Input::TOO_LONG
        } else if self.shared.waiting.load(Ordering::Relaxed) + line.len() > MAX_WAITING {
            Input::Unusable("too much that was typed before waits to be sent: type it again later")
        } else {
            Input::Line(line)
        }
    }

    fn send(&mut self, input: Input) {
        self.sent += 1;
        self.shared.waiting.fetch_add(weight(&input), Ordering::Relaxed);
        // Nobody takes it any more when the command is ending.
        let _ = self.sender.send(input);
    }
}

fn weight(input: &Input) -> usize {
    match input {
        Input::Line(line) => line.len(),
        Input::Unusable(_) | Input::End => 0,
    }
}

fn config(colours: bool) -> Option<Config> {
    let builder = Config::builder()
        .max_history_size(MAX_HISTORY)
        .ok()?
        .history_ignore_dups(true)
        .ok()?
        .completion_type(CompletionType::List)
        .behavior(Behavior::Stdio)
        .color_mode(if colours { ColorMode::Enabled } else { ColorMode::Disabled });
    Some(builder.build())
}
