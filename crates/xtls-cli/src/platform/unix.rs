//! Linux, macOS and their like.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::process::Command;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the command to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal is gone. None where whoever started the command wants that to be ignored, as `nohup` does.
    hangup: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    /// Waits for the next one; cancelling loses nothing.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = received(&mut self.hangup) => {}
        }
    }
}

/// How a terminal was before something changed it.
#[derive(Debug)]
pub(crate) struct TerminalMode(Termios);

impl TerminalMode {
    /// That of standard input.
    pub(crate) fn current() -> io::Result<Self> {
        Ok(Self(tcgetattr(io::stdin())?))
    }

    /// Keys are handed on as they come and not shown: none that is pressed while no line is being edited is lost or shown twice. They
    /// are signals still.
    pub(crate) fn hold_keys(&self) -> io::Result<()> {
        let mut held = self.0.clone();
        held.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        held.special_codes[SpecialCodeIndex::VMIN] = 1;
        held.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &held)?)
    }

    /// Sets it as it was; whether it was another one. A terminal that is gone is not used any more.
    pub(crate) fn restore(&self) -> bool {
        let is_other = |now: &Termios| now.local_modes != self.0.local_modes || now.input_modes != self.0.input_modes;
        tcgetattr(io::stdin()).is_ok_and(|now| is_other(&now))
            && tcsetattr(io::stdin(), OptionalActions::Drain, &self.0).is_ok()
    }
}

/// How many columns the terminal has that standard output is, if it says so.
pub(crate) fn columns() -> Option<usize> {
    tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Standard output without the buffer that looks for line ends.
pub(crate) fn raw_stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Closes standard output while the process goes on, so that whoever reads it sees the end.
pub(crate) fn close_stdout() {
    if let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") {
        // The end of the process closes it otherwise.
        let _ = rustix::stdio::dup2_stdout(nothing);
    }
}

/// A command line as the user would type it.
pub(crate) fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

/// The machine's name, with its domain if it has one.
pub(crate) fn host_name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

/// Waits for a signal, or for ever.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the end of the terminal is to be ignored. Where that cannot be told nothing is changed about it.
fn ignores_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored(&status)).unwrap_or(true)
}

/// The same by what Linux says of a process: bit n - 1 of a number in hexadecimal stands for signal n, and SIGHUP is 1.
fn ignored(status: &str) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    Some(u64::from_str_radix(mask.trim(), 16).ok()? & 1 != 0)
}

/// How many bytes standard input has from here on, if it is a file.
pub(crate) fn stdin_size() -> Option<u64> {
    // Its position is that of standard input too.
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some(metadata.len().saturating_sub(file.stream_position().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_end_of_the_terminal_is_ignored_is_read_from_the_mask() {
        assert_eq!(ignored("Name:\txtls\nSigIgn:\t0000000000001000\n"), Some(false));
        assert_eq!(ignored("SigBlk:\t0\nSigIgn:\t0000000000001001\n"), Some(true));
        assert_eq!(ignored("Name:\txtls\n"), None);
    }
}
