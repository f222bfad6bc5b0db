//! Windows, and whatever else tokio runs on.

use std::io;
use std::process::Command;

/// Ctrl-C asks the command to end.
pub(crate) struct Signals;

impl Signals {
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one; cancelling loses nothing.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How a terminal was before something changed it. Consoles are set anew by whatever reads from them next.
#[derive(Debug)]
pub(crate) struct TerminalMode;

impl TerminalMode {
    /// That of standard input.
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn current() -> io::Result<Self> {
        Ok(Self)
    }

    /// What is typed while no line is edited is kept by the console.
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn hold_keys(&self) -> io::Result<()> {
        Ok(())
    }

    /// Sets it as it was; whether it was another one.
    pub(crate) fn restore(&self) -> bool {
        true
    }
}

/// How many columns the console has: not known here.
pub(crate) fn columns() -> Option<usize> {
    None
}

/// Standard output.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(crate) fn raw_stdout() -> io::Result<io::Stdout> {
    Ok(io::stdout())
}

/// The end of the process closes it.
pub(crate) fn close_stdout() {}

/// A command line as the user would type it.
pub(crate) fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    command.args(["/C", line]);
    command
}

/// The machine's name.
pub(crate) fn host_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

/// How many bytes standard input has from here on: not known here.
pub(crate) fn stdin_size() -> Option<u64> {
    None
}
