//! How long to wait for a peer that is not there yet.

use std::time::Duration;

use clap::Args;

use super::pair::time;

/// What stands for no end where `--wait` is given alone.
const FOR_EVER: &str = "forever";

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArgs {
    /// Wait for a peer that is not there yet, or has not answered: until Ctrl-C, or for minutes or a number with s, m or h; up to 24h
    #[arg(
        id = "wait",
        long = "wait",
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOR_EVER,
        value_parser = patience,
        requires = "peer"
    )]
    pub(crate) patience: Option<Patience>,
}

/// How long the user waits; for ever if it is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Duration>);

/// Parses it.
fn patience(text: &str) -> Result<Patience, String> {
    if text == FOR_EVER { Ok(Patience(None)) } else { time(text).map(|time| Patience(Some(time))) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn given(args: &[&str]) -> Option<Option<Patience>> {
        let all = ["xtls", "pipe"].iter().chain(args);
        match Cli::try_parse_from(all).ok()?.command {
            Command::Pipe(args) => Some(args.wait.patience),
            _ => None,
        }
    }

    #[test]
    fn a_wait_is_for_ever_or_for_a_time_and_for_somebody() {
        assert_eq!(given(&["a@b"]), Some(None));
        assert_eq!(given(&["a@b", "--wait"]), Some(Some(Patience(None))));
        assert_eq!(given(&["--wait", "a@b"]), Some(Some(Patience(None))), "the peer is no time");
        assert_eq!(given(&["a@b", "--wait=90s"]), Some(Some(Patience(Some(Duration::from_secs(90))))));
        for wrong in [&["a@b", "--wait=25h"][..], &["a@b", "--wait="], &["--wait", "--listen"], &["--wait=1m"]] {
            assert_eq!(given(wrong), None, "{wrong:?}");
        }
    }
}
