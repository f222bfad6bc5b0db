//! That a server lets few bytes through: in words, and as an event.

use std::time::Duration;

use serde::Serialize;

use super::{Output, Report, Shown};

/// The members of the `throttled` event.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Throttled<'a> {
    pub(crate) peer: &'a str,
    pub(crate) bytes_per_second: u64,
    /// Bytes that are to be sent or acknowledged still; null if standard input may have any number of them.
    pub(crate) left: Option<u64>,
    /// How long that takes at this rate.
    pub(crate) seconds: Option<u64>,
    #[serde(skip)]
    pub(crate) faster: Faster,
}

/// What would be faster than blocks in stanzas, by what the command knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faster {
    /// A connection of its own, which was not asked for.
    Auto,
    /// The same, and no proxy was found for it.
    NoProxy,
    /// The same, and none came about.
    NoConnection,
    /// The same, which would show what `--proxy` hides.
    Hidden,
    /// This is for messages, and there are commands for files and bytes.
    Send,
}

impl<'a> Throttled<'a> {
    pub(crate) fn new(peer: &'a str, bytes_per_second: u64, left: Option<u64>, faster: Faster) -> Self {
        let seconds = left.and_then(|left| left.checked_div(bytes_per_second));
        Self { peer, bytes_per_second, left, seconds, faster }
    }
}

impl std::fmt::Display for Throttled<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = Amount(self.bytes_per_second);
        write!(
            f,
            "only {rate}/s get through to {}, because a server on the way lets no more through; ",
            Shown(self.peer)
        )?;
        match (self.left, self.seconds) {
            (Some(left), Some(seconds)) => {
                write!(f, "{} are left, which takes {}; ", Amount(left), Long(Duration::from_secs(seconds)))?;
            }
            (Some(left), None) => write!(f, "{} are left; ", Amount(left))?,
            (None, _) => f.write_str("how much is left is not known; ")?,
        }
        f.write_str(match self.faster {
            Faster::Auto => "give --transport auto: a connection of its own is faster",
            Faster::NoProxy => {
                "no proxy for a faster connection was found at your server or at the peer's: name one with --proxy65, or take \
                 direct connections with --listen-address"
            }
            Faster::NoConnection => {
                "a connection of its own would be faster, and none came about: the peer does not take any, or one of you did not \
                 get to the proxy; name another one with --proxy65, or take direct connections with --listen-address"
            }
            Faster::Hidden => "a connection of its own would be faster, and would not go by your --proxy",
            Faster::Send => "for files there is xtls send, and for bytes xtls pipe: they can have a faster connection of their own",
        })
    }
}

impl Output {
    /// One line on standard error, and the `throttled` event with `--json`.
    pub(crate) fn throttled(self, throttled: Throttled<'_>) {
        // Nowhere is left to report a failure of these.
        if !(self.json && self.beside_data) {
            Self::complain(&format!("warning: {throttled}"));
        }
        if self.json {
            let _ = self.report(&Report::Throttled(throttled));
        }
    }
}

/// A number of bytes, in two digits at least.
pub(super) struct Amount(pub(super) u64);

/// A time, in the largest unit that says enough.
pub(super) struct Long(pub(super) Duration);

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(bytes) = *self;
        let mut unit = 1;
        for name in ["bytes", "kB", "MB", "GB"] {
            if bytes < 1000 * unit || name == "GB" {
                let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
                return if unit > 1 && whole < 10 {
                    write!(f, "{whole}.{tenth} {name}")
                } else {
                    write!(f, "{whole} {name}")
                };
            }
            unit *= 1000;
        }
        Ok(())
    }
}

impl std::fmt::Display for Long {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} minutes", seconds / 60),
            _ => write!(f, "{} hours", seconds / 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_the_rate_what_is_left_how_long_that_takes_and_what_would_help() {
        let peer = "juliet@capulet.example/xtls";
        let line = |left| Throttled::new(peer, 7234, left, Faster::Auto).to_string();
        let begin = "only 7.2 kB/s get through to juliet@capulet.example/xtls, because a server on the way lets no more through; ";
        let end = "; give --transport auto: a connection of its own is faster";
        for (left, words) in [
            (Some(261_000), "261 kB are left, which takes 36 s"),
            (Some(100_000_000), "100 MB are left, which takes 3 hours"),
            (Some(9_000_000), "9.0 MB are left, which takes 20 minutes"),
            (Some(0), "0 bytes are left, which takes 0 s"),
            (None, "how much is left is not known"),
        ] {
            assert_eq!(line(left), format!("{begin}{words}{end}"));
        }
        assert_eq!(Throttled::new(peer, 0, Some(5), Faster::Auto).seconds, None);
    }

    #[test]
    fn what_would_help_is_what_the_command_has_not_tried() {
        for (faster, words) in [
            (Faster::Auto, "give --transport auto"),
            (
                Faster::NoProxy,
                "no proxy for a faster connection was found at your server or at the peer's: name one with --proxy65",
            ),
            (Faster::NoConnection, "name another one with --proxy65, or take direct connections with --listen-address"),
            (Faster::Hidden, "would not go by your --proxy"),
            (Faster::Send, "for files there is xtls send"),
        ] {
            let line = Throttled::new("a@b/c", 7234, None, faster).to_string();
            assert!(line.contains(words) && !line.contains("  "), "{line}");
        }
    }

    #[test]
    fn amounts_have_two_digits_at_least() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (9999, "9.9 kB"),
            (10_000, "10 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (25_000_000_000, "25 GB"),
            (u64::MAX, "18446744073 GB"),
        ] {
            assert_eq!(Amount(bytes).to_string(), words);
        }
    }
}
