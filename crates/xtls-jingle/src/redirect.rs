//! A session-initiate that is to be sent to somebody else (XEP-0166 §§ 6.3.2, 13.5).

use xtls_stanza::{ElementRef, StanzaError, jid::Jid, ns};

/// What a redirect error says: the address to try instead.
///
/// Anybody on the way can have written it, so that it is never followed without [`redirect_allowed`], and no more than
/// once for each offer: two resources could point to one another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The address that it names.
    pub target: Jid,
}

impl Redirect {
    /// How long the address may be as it is written, in bytes.
    pub const MAX_TEXT: usize = 4096;

    /// Reads an `<error/>` element. `None` when it is no redirect, or names no address that could be understood: either a
    /// JID or an `xmpp:` URI (RFC 5122 § 2.2, RFC 6120 § 8.3.3.14).
    #[must_use]
    pub fn parse(error: ElementRef<'_>) -> Option<Self> {
        if !StanzaError::is_error(error) {
            return None;
        }
        let text = error.child("redirect", ns::STANZA_ERRORS)?.text();
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > Self::MAX_TEXT {
            return None;
        }
        let target = match text.split_at_checked(5) {
            Some((scheme, path)) if scheme.eq_ignore_ascii_case("xmpp:") => Jid::new(&jid_of_path(path)?),
            Some(_) | None => Jid::new(text),
        };
        target.ok().map(|target| Self { target })
    }
}

/// The JID in an `xmpp:` URI, after the colon: up to a query or a fragment, percent-decoded. One with an authority (`//`,
/// the account that is to be used) makes no JID: a peer has no say in that.
fn jid_of_path(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next()?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether an offer to `from` may be made to `to` instead (XEP-0166 § 13.5): only to another resource of the same account.
/// Whom to talk to is the user's decision, and trust belongs to the bare JID.
#[must_use]
pub fn redirect_allowed(from: &Jid, to: &Jid) -> bool {
    // A session has a full JID at either end (§ 7.1).
    !to.is_bare() && from != to && from.to_bare() == to.to_bare()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use xtls_stanza::{Element, Limits};

    fn target(inner: &str) -> Option<String> {
        let xml = format!("<error type='modify'>{inner}</error>");
        let redirect = Redirect::parse(Element::parse(&xml, &Limits::default()).unwrap().root());
        redirect.map(|redirect| redirect.target.to_string())
    }

    fn redirect(text: &str) -> Option<String> {
        target(&format!("<redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</redirect>"))
    }

    #[test]
    fn xep_0166_6_3_2_the_example_of_a_redirection() {
        let text = "\n          xmpp:voicemail@capulet.lit\n        ";
        assert_eq!(redirect(text).as_deref(), Some("voicemail@capulet.lit"));
        let jid = |jid: &str| Jid::new(jid).unwrap();
        assert!(!redirect_allowed(&jid("juliet@capulet.lit/balcony"), &jid("voicemail@capulet.lit")));
    }

    #[test]
    fn rfc_5122_the_address_is_a_jid_or_an_uri() {
        for (text, expected) in [
            ("juliet@capulet.lit/chamber", Some("juliet@capulet.lit/chamber")),
            ("xmpp:juliet@capulet.lit/chamber", Some("juliet@capulet.lit/chamber")),
            ("XMPP:juliet@capulet.lit/chamber?message", Some("juliet@capulet.lit/chamber")),
            ("xmpp:juliet@capulet.lit#top", Some("juliet@capulet.lit")),
            ("xmpp:juliet@capulet.lit/my%20phone", Some("juliet@capulet.lit/my phone")),
            ("xmpp:juliet@capulet.lit/%C3%a9", Some("juliet@capulet.lit/\u{E9}")),
            ("xmpp:juliet@capulet.lit/a%2", None),
            ("xmpp:juliet@capulet.lit/a%", None),
            ("xmpp:juliet@capulet.lit/%zz", None),
            ("xmpp:juliet@capulet.lit/%ff", None),
            ("xmpp:juliet@capulet.lit/%00", None),
            ("xmpp://romeo@montague.lit/juliet@capulet.lit", None),
            ("xmpp:", None),
            ("", None),
            ("@@", None),
        ] {
            assert_eq!(redirect(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn other_errors_are_no_redirection() {
        let jid = "juliet@capulet.lit/chamber";
        assert_eq!(target(""), None);
        assert_eq!(target(&format!("<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{jid}</gone>")), None);
        assert_eq!(target(&format!("<redirect xmlns='urn:x'>{jid}</redirect>")), None);
        let other = format!("<x><redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{jid}</redirect></x>");
        assert_eq!(Redirect::parse(Element::parse(&other, &Limits::default()).unwrap().root()), None);
    }

    #[test]
    fn an_address_has_at_most_4096_bytes() {
        let padded = |length: usize| {
            let start = "xmpp:juliet@capulet.lit?";
            redirect(&format!("{start}{}", "x".repeat(length - start.len())))
        };
        assert_eq!(Redirect::MAX_TEXT, 4096);
        assert_eq!(padded(4096).as_deref(), Some("juliet@capulet.lit"));
        assert_eq!(padded(4097), None);
    }

    #[test]
    fn xep_0166_13_5_another_bare_jid_is_never_followed() {
        let juliet = "juliet@capulet.lit/balcony";
        for (to, allowed) in [
            ("juliet@capulet.lit/chamber", true),
            ("juliet@capulet.lit/balcony", false),
            ("juliet@capulet.lit", false),
            ("juliet@capulet.com/chamber", false),
            ("juliett@capulet.lit/chamber", false),
            ("capulet.lit/chamber", false),
            ("capulet.lit", false),
            ("mallory@example.org/juliet@capulet.lit", false),
        ] {
            assert_eq!(redirect_allowed(&Jid::new(juliet).unwrap(), &Jid::new(to).unwrap()), allowed, "{to}");
        }
        let normalised = Jid::new("JULIET@Capulet.lit/chamber").unwrap();
        assert!(redirect_allowed(&Jid::new(juliet).unwrap(), &normalised), "compared as RFC 7622 normalises them");
    }
}
