//! What `xtls verify` tells.

use std::io::{self, Write};

use super::{Shown, human};
use crate::terminal;

/// What the users compare.
pub(super) fn compare(out: &mut dyn Write, peer: &str, digits: &str, words: &str) -> io::Result<()> {
    let peer = Shown(peer);
    writeln!(out, "Compare this with what {peer} shows, by phone or in person:\n\n    {digits}\n    {words}\n")
}

/// Asks how it went, on the line where it is typed; where lines are edited that has a prompt already.
pub(super) fn wanted(out: &mut dyn Write, yes: &str, no: &str) -> io::Result<()> {
    write!(out, "Is it the same there? Type {yes} or {no}: ")?;
    if terminal::is_active() { writeln!(out) } else { Ok(()) }
}

/// The peer's certificate is its own.
pub(super) fn verified(out: &mut dyn Write, peer: &str, fingerprint: &str) -> io::Result<()> {
    writeln!(out, "* {} is verified: both users have seen the same", Shown(peer))?;
    human::fingerprint(out, "trusted", fingerprint, "")
}
