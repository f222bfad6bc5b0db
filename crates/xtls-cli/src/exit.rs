//! How the command ends: exit codes, and failures of one line.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Everything was done.
    Done = 0,
    /// Anything that has no code of its own: files, the terminal.
    Other = 1,
    /// The command line is wrong (clap uses the same number).
    Usage = 2,
    /// The peer could not be verified, its certificate changed, the password is wrong, or it has no XTLS.
    Security = 3,
    /// Login refused, unknown host, server or peer gone.
    Connection = 4,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(match code {
            Code::Done => 0,
            Code::Other => 1,
            Code::Usage => 2,
            Code::Security => 3,
            Code::Connection => 4,
        })
    }
}

/// What went wrong and what to do, in one line, and the code to end with.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The peer that it is about, if it is about one. The message names it.
    pub(crate) peer: Option<String>,
}

/// What Ctrl-C comes to before the end.
const INTERRUPTED: &str = "interrupted before the end: not everything was done";

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), peer: None }
    }

    /// The same about a peer, unless it is about one already.
    pub(crate) fn about(mut self, peer: impl fmt::Display) -> Self {
        self.peer.get_or_insert_with(|| peer.to_string());
        self
    }

    /// Ctrl-C came before it was done.
    pub(crate) fn interrupted() -> Self {
        Self::other(INTERRUPTED)
    }

    /// Whether it is that.
    pub(crate) fn is_interruption(&self) -> bool {
        self.message == INTERRUPTED
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Code::Other, message)
    }

    pub(crate) fn security(message: impl Into<String>) -> Self {
        Self::new(Code::Security, message)
    }

    pub(crate) fn connection(message: impl Into<String>) -> Self {
        Self::new(Code::Connection, message)
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
