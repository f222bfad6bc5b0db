//! Who sees whose presence, and who is waited for.

use std::io::{self, Write};

use serde::Serialize;

use super::Shown;

/// The members of the `subscription` event.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct Subscription<'a> {
    pub(crate) peer: &'a str,
    /// You see the peer's presence.
    pub(crate) sees: bool,
    /// The peer sees yours.
    pub(crate) seen: bool,
    /// You have asked to see the peer's, and have no answer.
    pub(crate) asked: bool,
    /// The peer sees yours as soon as it asks.
    pub(crate) approved: bool,
    /// The peer has asked to see yours, and has no answer.
    pub(crate) requests: bool,
}

impl Subscription<'_> {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let sees = match (self.sees, self.asked) {
            (true, _) => "its presence",
            (false, true) => "nothing yet: it has to run xtls subscribe too",
            (false, false) => "nothing",
        };
        let seen = match (self.seen, self.requests, self.approved) {
            (true, ..) => "your presence",
            (false, true, _) => "nothing, and asks: xtls subscribe lets it",
            (false, false, true) => "your presence once it asks",
            (false, false, false) => "nothing",
        };
        writeln!(out, "* {}", Shown(self.peer))?;
        writeln!(out, "    you see     {sees}")?;
        writeln!(out, "    it sees     {seen}")
    }
}

/// The peer is waited for.
pub(super) fn waiting(out: &mut dyn Write, peer: &str, online: bool) -> io::Result<()> {
    let why = if online { "is online without XTLS" } else { "is not there" };
    writeln!(out, "* {} {why}: waiting for it (Ctrl-C ends)", Shown(peer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_state_is_told_in_lines_of_eighty_columns() {
        let mut seen = std::collections::BTreeSet::new();
        for bits in 0..32_u8 {
            let is = |bit: u8| bits & (1 << bit) != 0;
            let all = Subscription {
                peer: "romeo@montague.example",
                sees: is(0),
                seen: is(1),
                asked: is(2),
                approved: is(3),
                requests: is(4),
            };
            let mut out = Vec::new();
            all.human(&mut out).unwrap();
            let shown = String::from_utf8(out).unwrap();
            assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
            seen.insert(shown);
        }
        assert_eq!(seen.len(), 12);
    }
}
