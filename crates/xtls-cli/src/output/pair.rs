//! What `xtls pair` tells.

use std::io::{self, Write};

use serde::Serialize;

use super::Shown;

/// The members of the `code` event.
#[derive(Clone, Copy, Debug, Serialize)]
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
                writeln!(
                    out,
                    "Tell this code to the person whom it is for, by telephone or face to face:\n\n    {code}\n"
                )?;
                writeln!(out, "There it is typed into: xtls pair {}", Shown(jid))?;
            }
            None => writeln!(out, "* the fixed code is good now: xtls pair {}", Shown(jid))?,
        }
        if let Some(uri) = uri {
            writeln!(out, "Or give this link, which is as secret: xtls pair --enter\n\n    {uri}\n")?;
        }
        writeln!(out, "* it can be used once, until {expires}; {attempts} wrong ones end it")
    }
}

/// Asks for a code, on the line where it is typed.
pub(super) fn wanted(out: &mut dyn Write, peer: Option<&str>) -> io::Result<()> {
    match peer {
        Some(peer) => write!(out, "The code or the link that {} shows: ", Shown(peer)),
        None => write!(out, "The link: "),
    }
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
    writeln!(out, "    trusted     {fingerprint}")
}
