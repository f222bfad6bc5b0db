//! Session identifiers as peers choose them.

/// The longest that is accepted, in bytes.
pub(crate) const MAX: usize = 256;

/// Whether `sid` may name a session: 1 to [`MAX`] bytes that form an NMTOKEN (XEP-0166 § 7.1, XEP-0047 § 2.1).
pub(crate) fn is_sid(sid: &str) -> bool {
    !sid.is_empty() && sid.len() <= MAX && sid.chars().all(is_name_char)
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
            assert!(is_sid(good), "{good}");
        }
        for bad in ["", " ", "a b", "a&b", "a/b", "a=", "a@b", "<", "\u{D7}", "\u{37E}"] {
            assert!(!is_sid(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_sid_has_at_most_256_bytes() {
        assert!(is_sid(&"x".repeat(256)));
        assert!(!is_sid(&"x".repeat(257)));
    }
}
