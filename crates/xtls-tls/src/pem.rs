//! Writing PEM (RFC 7468 § 2), which rustls-pki-types only reads, and what stands in the way of reading it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes that give a base64 line of 64 characters, the length that RFC 7468 § 2 asks of generators.
const LINE: usize = 48;

/// `der` as a PEM section. The buffer is allocated once, so that no copy of a key stays behind when it grows.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let lines = der.len().div_ceil(LINE);
    let mut text = Zeroizing::new(String::with_capacity(64 + 2 * label.len() + lines * 65));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for line in der.chunks(LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The text without byte order marks and white space at the beginning of its lines: a section that has them there would be
/// left out without a word. Editors write such a mark before the first line, and files are joined.
pub(crate) fn readable(text: &str) -> Zeroizing<String> {
    let mut readable = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.split_inclusive('\n') {
        readable.push_str(line.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace()));
    }
    readable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_white_space_before_lines_are_skipped_and_nothing_else() {
        let text = "-----BEGIN X-----\r\nAA==\r\n-----END X-----\n";
        assert_eq!(*readable(text), text);
        assert_eq!(*readable(&format!("\u{feff}{text}\n\u{feff} \t{text}")), format!("{text}{text}"));
    }

    #[test]
    fn lines_have_64_characters_and_the_buffer_never_grows() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let der = vec![0xa5; length];
            let text = encode("CERTIFICATE", &der);
            assert!(text.len() <= 64 + 22 + length.div_ceil(LINE) * 65);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE-----"));
            assert_eq!(lines.last(), Some(&"-----END CERTIFICATE-----"));
            assert!(text.ends_with("-----\n"));
            assert!(lines.iter().all(|line| line.len() <= 64));
            assert_eq!(lines.len() - 2, length.div_ceil(LINE));
        }
    }
}
