//! What operating systems have in ways of their own: signals, standard output, terminals, the machine's name. Private files are in
//! `xtls-store`.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

use std::io;

use tokio::sync::Notify;

#[cfg(not(unix))]
pub(crate) use self::other::{TerminalMode, close_stdout, columns, host_name, raw_stdout, shell, stdin_size};
#[cfg(unix)]
pub(crate) use self::unix::{TerminalMode, close_stdout, columns, host_name, raw_stdout, shell, stdin_size};

#[cfg(not(unix))]
use self::other as system;
#[cfg(unix)]
use self::unix as system;

/// Ctrl-C, where it comes as a key.
static CTRL_C: Notify = Notify::const_new();

/// What asks the command to end: signals, and Ctrl-C at a terminal that makes no signal of it.
pub(crate) struct Signals {
    signals: system::Signals,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { signals: system::Signals::new()? })
    }

    /// Waits for the next one; cancelling loses nothing.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            () = self.signals.next() => {}
            () = CTRL_C.notified() => {}
        }
    }
}

/// Waits until Ctrl-C comes as a key, where nothing waits for signals yet.
pub(crate) async fn ctrl_c_is_pressed() {
    CTRL_C.notified().await;
}

/// Ctrl-C has come as a key: it is what the signal is.
pub(crate) fn ctrl_c() {
    CTRL_C.notify_one();
}
