//! What a peer told of itself, for `probe`.

use std::io::{self, Write};

use serde::Serialize;

use super::{Shown, human};

/// The members of the `probe` event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Probed<'a> {
    pub(crate) peer: &'a str,
    pub(crate) xtls: bool,
    /// Those of service discovery that have to do with tunnels.
    pub(crate) features: Vec<&'a str>,
    /// What its presence announced, if that was seen.
    pub(crate) caps: Option<Announced<'a>>,
    /// Whether it was asked what it is ready for.
    pub(crate) asked: bool,
    /// The keys and methods that it answered; None without an answer.
    pub(crate) keys: Option<Vec<Key<'a>>>,
    pub(crate) insecure: Option<bool>,
    pub(crate) srp: Option<bool>,
    /// Why there is no answer.
    pub(crate) not_answered: Option<&'a str>,
    /// The method that a tunnel would be secured by, or why there is none.
    pub(crate) chosen: Option<&'a str>,
    pub(crate) nothing: Option<&'a str>,
}

/// Capabilities (XEP-0115).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Announced<'a> {
    pub(crate) node: &'a str,
    pub(crate) ver: &'a str,
    /// Whether they are what service discovery told.
    pub(crate) verified: bool,
}

/// A key of the peer by the name it has in the offer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Key<'a> {
    pub(crate) name: &'a str,
    pub(crate) trusted: bool,
}

impl Probed<'_> {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "* {}", Shown(self.peer))?;
        writeln!(out, "    XTLS        {}", if self.xtls { "yes" } else { "no" })?;
        for feature in &self.features {
            writeln!(out, "    feature     {}", Shown(feature))?;
        }
        if let Some(Announced { node, ver, verified }) = &self.caps {
            let fits = if *verified { "as announced" } else { "NOT what it announced" };
            writeln!(out, "    software    {}#{} ({fits})", Shown(node), Shown(ver))?;
        }
        for Key { name, trusted } in self.keys.iter().flatten() {
            if *trusted {
                human::fingerprint(out, "key", name, ", a certificate of it that is trusted")?;
            } else {
                // What kind of key it is, and what its name is made by, cannot be told.
                writeln!(out, "    key         unknown, of any kind\n      {}", Shown(name))?;
            }
        }
        if self.keys.as_ref().is_some_and(Vec::is_empty) {
            writeln!(out, "    key         none: it does not trust a certificate of ours, or we named none")?;
        }
        if self.insecure == Some(true) {
            writeln!(out, "    insecure    it takes certificates that it cannot verify yet")?;
        }
        if let Some(srp) = self.srp {
            writeln!(out, "    password    {}", if srp { "possible" } else { "not offered" })?;
        }
        if let Some(why) = self.not_answered {
            writeln!(out, "    offer       none: {}", Shown(why))?;
        }
        match (self.chosen, self.nothing) {
            (Some(method), _) => writeln!(out, "    a tunnel    would be secured by {method}")?,
            (None, Some(why)) => writeln!(out, "    a tunnel    would fail: {}", Shown(why))?,
            (None, None) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Report;
    use super::*;

    fn probed() -> Probed<'static> {
        Probed {
            peer: "a@b/\u{1b}c",
            xtls: true,
            features: vec!["urn:x"],
            caps: Some(Announced { node: "urn:y", ver: "v\u{7}=", verified: false }),
            asked: true,
            keys: Some(vec![Key { name: "00", trusted: true }, Key { name: "\u{1b}[2J", trusted: false }]),
            insecure: Some(true),
            srp: Some(false),
            not_answered: None,
            chosen: Some("x509"),
            nothing: None,
        }
    }

    fn shown(probed: &Probed<'_>) -> String {
        let mut out = Vec::new();
        probed.human(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_peer_told_is_shown_escaped() {
        assert_eq!(
            shown(&probed()),
            "* a@b/\\u{1b}c\n    XTLS        yes\n    feature     urn:x\n    \
             software    urn:y#v\\u{7}= (NOT what it announced)\n    \
             key         00, a certificate of it that is trusted\n    \
             key         unknown, of any kind\n      \\u{1b}[2J\n    \
             insecure    it takes certificates that it cannot verify yet\n    \
             password    not offered\n    a tunnel    would be secured by x509\n"
        );
    }

    #[test]
    fn what_was_not_asked_and_what_was_not_answered_is_told_apart() {
        let mut none = Probed { xtls: false, caps: None, asked: false, keys: None, ..probed() };
        (none.insecure, none.srp, none.chosen, none.features) = (None, None, None, Vec::new());
        assert_eq!(shown(&none), "* a@b/\\u{1b}c\n    XTLS        no\n");
        none.not_answered = Some("no\u{1b}");
        assert!(shown(&none).ends_with("    offer       none: no\\u{1b}\n"));
        (none.not_answered, none.keys, none.nothing) = (None, Some(Vec::new()), Some("w\u{7}"));
        assert!(shown(&none).contains("key         none"));
        assert!(shown(&none).ends_with("    a tunnel    would fail: w\\u{7}\n"));
    }

    #[test]
    fn the_probe_event_has_the_documented_members() {
        assert_eq!(
            serde_json::to_string(&Report::Probe(Probed { peer: "a@b/c", caps: None, ..probed() })).unwrap(),
            r#"{"event":"probe","peer":"a@b/c","xtls":true,"features":["urn:x"],"caps":null,"asked":true,"keys":[{"name":"00","trusted":true},{"name":"\u001b[2J","trusted":false}],"insecure":true,"srp":false,"not_answered":null,"chosen":"x509","nothing":null}"#
        );
    }
}
