//! Text of a peer, made safe to show.

use core::fmt;

/// Shows text with everything that could steer the terminal or the reading direction written out as `\u{..}`.
///
/// Line breaks and tabs are written `\n`, `\r` and `\t`, so that one message is one line.
///
/// ```
/// use xtls_stanza::Shown;
///
/// assert_eq!(Shown("a\u{1b}[2J\n").to_string(), "a\\u{1b}[2J\\n");
/// ```
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "a view of a text, and nothing else")]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if misleads(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), the marks, embeddings, overrides and isolates of the bidirectional algorithm,
/// line and paragraph separators, and the byte order mark.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["Wherefore art thou?", "שלום", "héllo 👩‍👩‍👧", "back\\slash"] {
            assert_eq!(Shown(text).to_string(), text);
        }
    }

    #[test]
    fn p28_escape_sequences_cannot_reach_the_terminal() {
        assert_eq!(Shown("\u{1b}[2Jx\u{9b}31m").to_string(), "\\u{1b}[2Jx\\u{9b}31m");
        assert_eq!(Shown("a\r\nbob: fake\u{7f}\0").to_string(), "a\\r\\nbob: fake\\u{7f}\\u{0}");
    }

    proptest::proptest! {
        #[test]
        fn p28_nothing_that_misleads_is_left_whatever_the_text(text: String) {
            let shown = Shown(&text).to_string();
            proptest::prop_assert!(!shown.contains(misleads), "{shown:?}");
        }
    }

    #[test]
    fn p28_bidi_overrides_are_written_out() {
        assert_eq!(Shown("a\u{202e}b\u{2066}c\u{200f}\u{2028}").to_string(), "a\\u{202e}b\\u{2066}c\\u{200f}\\u{2028}");
    }
}
