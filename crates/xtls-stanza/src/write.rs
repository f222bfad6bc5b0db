//! Writing XML by hand: the escaping that every layer shares.
//!
//! Stanzas on the data path are written straight into the caller's buffer; these functions see to it that whatever is
//! put into an attribute or between tags comes out at the other end as it went in.

use core::mem;

use crate::element::is_xml_char;

/// Appends ` name='value'`, the value escaped.
pub fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    text_in_attribute(out, value);
    out.push('\'');
}

/// Appends ` name='value'` when there is a value.
pub fn optional_attribute(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        attribute(out, name, value);
    }
}

/// Appends character data, escaped.
pub fn text(out: &mut String, value: &str) {
    escape(out, value, false);
}

/// Appends an attribute's value, escaped, without the quotes (either kind may stand around it).
pub fn text_in_attribute(out: &mut String, value: &str) {
    escape(out, value, true);
}

/// Appends what `write` appends to a text that is empty: where there is nothing yet in `out`, it is written into its memory, and
/// otherwise copied. Nobody looks at it for that.
pub fn to_bytes<R>(out: &mut Vec<u8>, write: impl FnOnce(&mut String) -> R) -> R {
    let own = if out.is_empty() { mem::take(out) } else { Vec::new() };
    let mut text = String::from_utf8(own).unwrap_or_default();
    let result = write(&mut text);
    if out.is_empty() {
        *out = text.into_bytes();
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    result
}

/// Values of this many bytes are long.
const LONG: usize = 64;

/// Copies runs that need no escaping whole. White space that a parser would normalise away (XML 1.0 §§ 2.11, 3.3.3) is
/// written as a reference; a character that XML cannot carry at all becomes U+FFFD.
fn escape(out: &mut String, value: &str, in_attribute: bool) {
    // Nearly every value is one run. In a long one that is told without a branch, so that the compiler makes vector instructions
    // of it.
    if value.len() >= LONG && !value.bytes().fold(false, |found, byte| found | needs_care(byte)) {
        return out.push_str(value);
    }
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|byte| NEEDS_CARE[usize::from(byte)]) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        if let Some(c) = chars.next() {
            match replacement(c, in_attribute) {
                Some(replacement) => out.push_str(replacement),
                None => out.push(c),
            }
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Markup, control characters, and the first byte of U+FFFE and U+FFFF: nothing else can need a replacement.
const fn needs_care(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'<' | b'>' | b'&' | b'\'' | b'"' | 0xEF)
}

/// [`needs_care`], for each byte.
static NEEDS_CARE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        byte += 1;
        #[allow(clippy::as_conversions, reason = "a byte as an index, in a constant")]
        let at = byte as usize;
        table[at] = needs_care(byte);
    }
    table[0] = needs_care(0);
    table
};

fn replacement(c: char, in_attribute: bool) -> Option<&'static str> {
    Some(match c {
        '<' => "&lt;",
        '>' => "&gt;",
        '&' => "&amp;",
        '\'' => "&apos;",
        '"' => "&quot;",
        '\r' => "&#13;",
        '\n' if in_attribute => "&#10;",
        '\t' if in_attribute => "&#9;",
        c if !is_xml_char(c) => "\u{FFFD}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_white_space_are_escaped() {
        let mut out = String::new();
        attribute(&mut out, "a", "<>&'\"\r\n\tx");
        text(&mut out, "<>&'\"\r\n\ty");
        assert_eq!(out, " a='&lt;&gt;&amp;&apos;&quot;&#13;&#10;&#9;x'&lt;&gt;&amp;&apos;&quot;&#13;\n\ty");
    }

    #[test]
    fn a_character_that_xml_cannot_carry_becomes_the_replacement_character() {
        let mut out = String::new();
        text(&mut out, "a\u{0}b\u{FFFF}c");
        assert_eq!(out, "a\u{FFFD}b\u{FFFD}c");
    }

    #[test]
    fn each_character_is_escaped_where_it_stands_alone_and_among_others() {
        for c in (0..0x3000).chain(0xEFF0..0x10010).filter_map(char::from_u32) {
            for (in_attribute, value) in
                [(false, format!("{c}")), (true, format!("{c}")), (true, format!("\u{E9}{c}<{c}x"))]
            {
                let each = value.chars().map(|c| replacement(c, in_attribute).map_or_else(|| c.into(), str::to_owned));
                let mut out = String::new();
                escape(&mut out, &value, in_attribute);
                assert_eq!(out, each.collect::<String>());
                assert!(out.chars().all(is_xml_char) && !out.contains(['<', '>', '"', '\'', '\r']));
            }
        }
    }

    #[test]
    fn text_is_written_into_the_memory_of_bytes_that_are_empty_and_after_others() {
        let mut out = Vec::with_capacity(100);
        let memory = out.as_ptr();
        for expected in ["&lt;", "&lt;&lt;"] {
            let length = to_bytes(&mut out, |written| {
                text(written, "<");
                written.len()
            });
            assert_eq!((length, &out[..]), (4, expected.as_bytes()));
        }
        assert_eq!((out.as_ptr(), out.capacity()), (memory, 100));
    }

    #[test]
    fn an_absent_attribute_leaves_no_trace() {
        let mut out = String::new();
        optional_attribute(&mut out, "a", None);
        assert_eq!(out, "");
        optional_attribute(&mut out, "a", Some("1"));
        assert_eq!(out, " a='1'");
    }
}
