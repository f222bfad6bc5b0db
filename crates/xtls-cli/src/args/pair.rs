//! `xtls pair` on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use xtls_stanza::jid::{BareJid, Jid};

use super::{AccountArgs, WaitArgs};
use crate::exit::Failure;

/// The longest time that a code may be good for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The peer that shows a code: asks for the code or its link. Without PEER, show a code here
    // What is typed here by mistake may be a code, so it is not put into an error as it is.
    peer: Option<String>,

    /// Ask for a link, which names the peer
    #[arg(long, conflicts_with = "peer")]
    pub(crate) enter: bool,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    /// Let this peer alone try the code; may be repeated [default: everybody]
    #[arg(long, value_name = "BAREJID", conflicts_with_all = ["peer", "enter", "wait"])]
    pub(crate) accept_from: Vec<BareJid>,

    /// How long the code works: minutes, or a number with s, m or h; up to 24h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time, conflicts_with_all = ["peer", "enter"])]
    pub(crate) expires_after: Duration,

    /// Use the code in the first line of this file, this time and every other; make it if there is none. For devices without a
    /// display that have a code printed on them. It is worth less than a code for one use: whoever has ever read it can pair
    /// whenever this runs, and some 9000 of its 8.6 billion values can be tried in a year
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peer", "enter"])]
    pub(crate) code_file: Option<PathBuf>,

    /// The peer has several certificates: go on trusting the others too
    #[arg(long, conflicts_with = "replace")]
    pub(crate) keep: bool,

    /// The peer has changed its certificate: trust the others no more
    #[arg(long)]
    pub(crate) replace: bool,
}

impl PairArgs {
    /// Puts somebody else in the place of the peer that is named.
    pub(crate) fn put_in(&mut self, name: impl FnOnce(&mut Jid)) {
        // What is no address is told where it is needed.
        if let Some(mut peer) = self.peer.as_ref().and_then(|text| text.parse().ok()) {
            name(&mut peer);
            self.peer = Some(peer.to_string());
        }
    }

    /// Whose code is to be entered, if one is named.
    ///
    /// # Errors
    ///
    /// When it is no address. What it is instead is not told: it may be a code.
    pub(crate) fn peer(&self) -> Result<Option<Jid>, Failure> {
        let Some(text) = &self.peer else { return Ok(None) };
        text.parse().map(Some).map_err(|e| {
            Failure::usage(format!(
                "PEER is no address: {e}. A code is asked for, and never given on the command line, where every user of the machine \
                 can read it: if it was one, make a new one"
            ))
        })
    }
}

/// Parses `10`, `10m`, `90s` or `1h`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
    let seconds = match unit.trim() {
        "s" => 1,
        "" | "m" => 60,
        "h" => 60 * 60,
        _ => return Err(format!("the unit {unit:?} is none of s, m, h")),
    };
    let number: u64 = number.parse().map_err(|_| "not a time".to_owned())?;
    let time = number.checked_mul(seconds).map(Duration::from_secs);
    time.filter(|time| !time.is_zero() && *time <= LONGEST).ok_or_else(|| "not between 1s and 24h".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;

    use super::super::{Cli, Command, slip};
    use super::*;

    fn parse(args: &[&str]) -> Result<PairArgs, String> {
        let all = ["xtls", "pair", "--jid", "a@b/c"].iter().chain(args);
        match Cli::try_parse_from(all).map(|cli| cli.command) {
            Ok(Command::Pair(args)) => Ok(*args),
            Ok(_) => panic!("another command"),
            Err(error) => Err(slip(&error).unwrap()),
        }
    }

    #[test]
    fn times_take_units() {
        for (text, seconds) in [("1", 60), ("10m", 600), ("90s", 90), ("24h", 86_400), ("1s", 1)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "0s", "25h", "86401s", "1d", "-1", "m", "99999999999999999999", "18446744073709551615h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_belongs_to_showing_a_code_does_not_go_with_entering_one() {
        assert_eq!(parse(&[]).unwrap().expires_after, Duration::from_secs(600));
        assert_eq!(parse(&["x@y"]).unwrap().peer().unwrap(), Some("x@y".parse().unwrap()));
        for option in [&["--accept-from", "d@e"][..], &["--expires-after", "5m"], &["--code-file", "f"]] {
            assert!(parse(option).is_ok());
            for entering in ["--enter", "x@y"] {
                assert!(parse(&[option, &[entering]].concat()).is_err(), "{option:?} {entering}");
            }
        }
        assert!(parse(&["--enter", "x@y"]).is_err());
        assert!(parse(&["--keep", "--replace"]).is_err());
    }

    #[test]
    fn a_code_on_the_command_line_is_refused_and_does_not_show() {
        let link = "xmpp:juliet@capulet.example?xtls-pair;code=able-baby-cabbage-dad";
        for typed in [link, "able baby cabbage dad@x y@"] {
            let failure = parse(&[typed]).unwrap().peer().unwrap_err();
            assert_eq!(failure.code, crate::exit::Code::Usage);
            assert!(failure.message.contains("never given on the command line"), "{failure}");
            assert!(!failure.message.contains("able") && !failure.message.contains("cabbage"), "{failure}");
        }
    }
}
