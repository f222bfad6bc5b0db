//! What the command line says to a certificate that was not trusted yet.

use std::io::{self, Write};

use serde::Serialize;
use xtls::trust::Method;

use super::Shown;

/// The members of the `judged` event.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged<'a> {
    pub(crate) peer: &'a str,
    /// In lower-case hex.
    pub(crate) sha256: String,
    pub(crate) accepted: bool,
    /// The certificates that the peer was known by until now.
    pub(crate) previous: Vec<String>,
    /// The methods by which a tunnel or a link with it was secured before.
    pub(crate) secured_by: Vec<&'static str>,
}

impl Judged<'_> {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        // Without a pin it looks like a stranger, and is none.
        if self.previous.is_empty() && self.secured_by.contains(&Method::Srp.as_str()) {
            writeln!(
                out,
                "* {} was secured by a password before, and no certificate of it was known until now: ask its owner \
                 whether this is meant",
                Shown(self.peer)
            )?;
        }
        if !self.accepted {
            writeln!(out, "* refused the certificate of {}: sha-256:{}", Shown(self.peer), self.sha256)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Report;
    use super::*;

    fn judged() -> Judged<'static> {
        let sha256 = "ab".repeat(32);
        Judged { peer: "a@b", sha256, accepted: true, previous: Vec::new(), secured_by: Vec::new() }
    }

    fn shown(judged: &Judged<'_>) -> String {
        let mut out = Vec::new();
        judged.human(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_certificate_in_the_place_of_a_password_is_told_in_plain_words() {
        assert_eq!(shown(&judged()), "");
        let known = "* a@b was secured by a password before, and no certificate of it was known until now: ask its owner \
                     whether this is meant\n";
        let by_password = Judged { secured_by: vec!["x509", "srp"], ..judged() };
        assert_eq!(shown(&by_password), known);
        let refused = format!("* refused the certificate of a@b: sha-256:{}\n", "ab".repeat(32));
        assert_eq!(shown(&Judged { accepted: false, ..by_password.clone() }), format!("{known}{refused}"));
        // A peer that is known by a certificate, or was only ever secured by one, shows a change of certificates.
        assert_eq!(shown(&Judged { previous: vec!["sha-256:cd".to_owned()], ..by_password }), "");
        assert_eq!(shown(&Judged { secured_by: vec!["x509"], accepted: false, ..judged() }), refused);
    }

    #[test]
    fn the_judged_event_has_the_documented_members() {
        let judged = Judged { sha256: "ab".to_owned(), secured_by: vec!["srp"], ..judged() };
        assert_eq!(
            serde_json::to_string(&Report::Judged(judged)).unwrap(),
            r#"{"event":"judged","peer":"a@b","sha256":"ab","accepted":true,"previous":[],"secured_by":["srp"]}"#
        );
    }
}
