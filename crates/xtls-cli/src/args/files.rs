//! `xtls send` and `xtls receive` on the command line.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use xtls_stanza::jid::{BareJid, Jid};

use super::{AccountArgs, TransportArgs, TrustArgs, WaitArgs};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Files and directories
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The peer: a full address, a bare one (one of its resources with XTLS is found), or a nickname
    pub(crate) peer: Jid,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    /// Send what symbolic links lead to [default: links are left out, and named]
    #[arg(long)]
    pub(crate) follow_links: bool,

    /// Send no more than this many bytes a second; a number with k, M or G is thousands, millions or milliards of them
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) rate_limit: Option<NonZeroU64>,

    #[command(flatten)]
    pub(crate) transport: TransportArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiveArgs {
    /// Where files go; it has to be there [default: the current directory]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) directory: PathBuf,

    /// Take files of this peer without a question; may be repeated
    #[arg(long, value_name = "BAREJID")]
    pub(crate) accept_from: Vec<BareJid>,

    /// Replace files that are there already [default: the new ones get another name, such as "name (1)"]
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Go on after the first offer that is complete, until Ctrl-C
    #[arg(long)]
    pub(crate) keep_going: bool,

    #[command(flatten)]
    pub(crate) transport: TransportArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// What chats need for files.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// Where files go that you take; it has to be there [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) files_to: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) transport: TransportArgs,
}

impl FileArgs {
    /// These, where lines `can_be_commands`. Elsewhere nobody could take files, and there are none.
    ///
    /// # Errors
    ///
    /// When a directory is named for files all the same.
    pub(crate) fn shared(&self, can_be_commands: bool) -> Result<Option<&Self>, Failure> {
        if self.files_to.is_some() && !can_be_commands {
            return Err(Failure::usage(
                "--files-to is for files that you take by a line of input, which needs a terminal or --json, and no --echo",
            ));
        }
        Ok(can_be_commands.then_some(self))
    }
}

/// Parses bytes a second.
fn rate(text: &str) -> Result<NonZeroU64, String> {
    let units = [('k', 1_000_u64), ('m', 1_000_000), ('g', 1_000_000_000)];
    let unit = units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(*unit).or_else(|| text.strip_suffix(unit.to_ascii_uppercase()))?;
        Some((digits, *factor))
    });
    let (digits, factor) = unit.unwrap_or((text, 1));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u64>().ok()).flatten().and_then(|number| number.checked_mul(factor));
    number.and_then(NonZeroU64::new).ok_or_else(|| format!("{text:?} is no number of bytes, such as 500k, 20M or 1G"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn given(args: &[&str]) -> Option<Box<SendArgs>> {
        match Cli::try_parse_from(["xtls", "send"].iter().chain(args)).ok()?.command {
            Command::Send(args) => Some(args),
            _ => None,
        }
    }

    #[test]
    fn the_last_argument_is_the_peer() {
        let args = given(&["a", "b c", "juliet@capulet.example"]).unwrap();
        assert_eq!(args.files, [PathBuf::from("a"), PathBuf::from("b c")]);
        assert_eq!(args.peer.as_str(), "juliet@capulet.example");
        assert!(given(&["juliet@capulet.example"]).is_none(), "nothing to send");
        assert!(given(&["a", "no@address@at.all"]).is_none());
        assert!(given(&[]).is_none());
    }

    #[test]
    fn a_rate_is_bytes_a_second() {
        let of = |text| rate(text).map(NonZeroU64::get);
        assert_eq!(of("1"), Ok(1));
        assert_eq!(of("500k"), Ok(500_000));
        assert_eq!(of("20M"), Ok(20_000_000));
        assert_eq!(of("3g"), Ok(3_000_000_000));
        assert_eq!(of("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "k", "0", "0M", "-1", "+1", "1.5M", "1kk", "18446744073709551616", "18446744073709552k", "ü"]
        {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
