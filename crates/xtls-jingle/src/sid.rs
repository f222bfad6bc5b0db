//! Session identifiers as peers choose them.

/// The longest that is accepted, in bytes.
pub(crate) const MAX: usize = 256;

/// Whether it is an NMTOKEN of at most [`MAX_SID`](crate::MAX_SID) bytes, which the sid of a bytestream MUST be (XEP-0047 § 2.1) and that of a
/// session SHOULD (XEP-0166 § 7.1).
#[must_use]
pub fn is_nmtoken(sid: &str) -> bool {
    !sid.is_empty() && sid.len() <= MAX && sid.chars().all(is_name_char)
}

/// Whether it is 1 to [`MAX`] bytes of what comes back as it was sent: white space would not, since a validating parser
/// normalises it in an NMTOKEN (XML 1.0 § 3.3.3), and control characters are for no log.
pub(crate) fn is_visible(sid: &str) -> bool {
    !sid.is_empty() && sid.len() <= MAX && !sid.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// XML 1.0 § 2.3, `NameChar`.
fn is_name_char(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | ':' | '-' | '.' | '\u{B7}'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{203F}'..='\u{2040}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_an_nmtoken() {
        for good in ["a73sjjvkl37jfea", "851ba2", "-", "0", "a.b:c_d-e", "\u{E9}t\u{E9}"] {
            assert!(is_nmtoken(good) && is_visible(good), "{good}");
        }
        for bad in ["", " ", "a b", "a&b", "a/b", "a=", "a@b", "<", "\u{D7}", "\u{37E}"] {
            assert!(!is_nmtoken(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_sid_that_is_no_nmtoken_may_be_anything_that_is_seen() {
        for good in ["a+b", "AIzo/6tFg==", "a&b", "<'\">", "\u{D7}", "\u{1F511}"] {
            assert!(is_visible(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\tb", "a\n", "\u{7F}", "\u{85}", "\u{9F}", "a\u{A0}b", "\u{2028}"] {
            assert!(!is_visible(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_sid_has_at_most_256_bytes() {
        for is_sid in [is_nmtoken, is_visible] {
            assert!(is_sid(&"x".repeat(256)));
            assert!(!is_sid(&"x".repeat(257)));
        }
    }
}
