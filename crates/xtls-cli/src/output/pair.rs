//! What `xtls pair` tells.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use super::{Shown, human};
use crate::{clock, terminal};

/// The members of the `code` event.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownCode<'a> {
    /// Our full address.
    pub(crate) jid: &'a str,
    /// The four words, and the same as a link; none of a fixed code that was there before.
    pub(crate) code: Option<&'a str>,
    pub(crate) uri: Option<&'a str>,
    /// RFC 3339.
    pub(crate) expires: &'a str,
    /// How many wrong ones end it.
    pub(crate) attempts: u32,
}

impl ShownCode<'_> {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { jid, code, uri, expires, attempts } = self;
        match code {
            Some(code) => {
                writeln!(out, "Give this code to the user it is for, by phone or in person:\n\n    {code}\n")?;
                writeln!(out, "There it is asked for by: xtls pair {}", Shown(jid))?;
            }
            None => writeln!(out, "* the fixed code works now: xtls pair {}", Shown(jid))?,
        }
        if let Some(uri) = uri {
            writeln!(out, "Or give this link, which is as secret, for: xtls pair --enter\n\n    {uri}\n")?;
        }
        writeln!(out, "* it works once, until {}; {attempts} wrong ones end it", clock::local_time_of(expires))
    }
}

/// Asks for a code, on the line where it is typed; where none is typed there is nothing to ask.
pub(super) fn wanted(out: &mut dyn Write, peer: Option<&str>) -> io::Result<()> {
    // Where the line is edited that has the prompt itself.
    if io::stdin().is_terminal() && !terminal::can_edit() { write!(out, "{}", code_prompt(peer)) } else { Ok(()) }
}

/// What stands before a code.
pub(crate) fn code_prompt(peer: Option<&str>) -> String {
    peer.map_or_else(|| "The link: ".to_owned(), |peer| format!("The code or the link that {} shows: ", Shown(peer)))
}

/// A code was tried that was not the right one.
pub(super) fn wrong(out: &mut dyn Write, peer: &str, left: u32) -> io::Result<()> {
    let left = match left {
        0 => "it was the last attempt".to_owned(),
        1 => "1 attempt is left".to_owned(),
        left => format!("{left} attempts are left"),
    };
    writeln!(out, "* wrong code with {}: {left}", Shown(peer))
}

/// Each end trusts the other one's certificate.
pub(super) fn paired(out: &mut dyn Write, peer: &str, fingerprint: &str) -> io::Result<()> {
    writeln!(out, "* paired with {}", Shown(peer))?;
    human::fingerprint(out, "trusted", fingerprint, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Report, human::human};
    use super::*;

    const SHOWN: ShownCode<'_> = ShownCode {
        jid: "juliet@capulet.example/xtls",
        code: Some("museum better van hundred"),
        uri: Some("xmpp:juliet@capulet.example/xtls?xtls-pair;code=museum-better-van-hundred"),
        expires: "2026-11-28T02:10:00Z",
        attempts: 3,
    };

    fn shown(report: &Report<'_>) -> String {
        let mut out = Vec::new();
        human(&mut out, report).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        text
    }

    #[test]
    fn a_code_stands_where_it_can_be_read_out() {
        // The time of day is that of where this runs.
        let until = clock::local_time_of(SHOWN.expires);
        let expected = "\
Give this code to the user it is for, by phone or in person:

    museum better van hundred

There it is asked for by: xtls pair juliet@capulet.example/xtls
Or give this link, which is as secret, for: xtls pair --enter

    xmpp:juliet@capulet.example/xtls?xtls-pair;code=museum-better-van-hundred

* it works once, until UNTIL; 3 wrong ones end it
";
        assert_eq!(shown(&Report::Code(SHOWN)), expected.replace("UNTIL", &until));
        let fixed = ShownCode { code: None, uri: None, ..SHOWN };
        let expected = "\
* the fixed code works now: xtls pair juliet@capulet.example/xtls
* it works once, until UNTIL; 3 wrong ones end it
";
        assert_eq!(shown(&Report::Code(fixed)), expected.replace("UNTIL", &until));
    }

    #[test]
    fn how_many_attempts_are_left_is_told_in_words() {
        for (left, words) in [(2, "2 attempts are left"), (1, "1 attempt is left"), (0, "it was the last attempt")] {
            let report = Report::WrongCode { peer: "a@b/c", left };
            assert_eq!(shown(&report), format!("* wrong code with a@b/c: {words}\n"));
        }
        let paired = Report::Paired { peer: "a@b/c", fingerprint: "sha-256:00" };
        assert_eq!(shown(&paired), "* paired with a@b/c\n    trusted     sha-256:00\n");
    }

    #[test]
    fn the_events_have_the_documented_members() {
        let json = |report: &Report<'_>| serde_json::to_string(report).unwrap();
        let fixed = ShownCode { code: None, uri: None, ..SHOWN };
        assert_eq!(
            json(&Report::Code(fixed)),
            r#"{"event":"code","jid":"juliet@capulet.example/xtls","code":null,"uri":null,"expires":"2026-11-28T02:10:00Z","attempts":3}"#
        );
        assert_eq!(json(&Report::CodeWanted { peer: None }), r#"{"event":"code_wanted","peer":null}"#);
        assert_eq!(
            json(&Report::WrongCode { peer: "a@b/c", left: 2 }),
            r#"{"event":"wrong_code","peer":"a@b/c","left":2}"#
        );
        assert_eq!(
            json(&Report::Paired { peer: "a@b/c", fingerprint: "sha-256:00" }),
            r#"{"event":"paired","peer":"a@b/c","fingerprint":"sha-256:00"}"#
        );
    }
}
