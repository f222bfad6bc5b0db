//! RFC 4013 (SASLprep), in memory that is wiped.
//!
//! The tables are those of `stringprep`. Its own function collects the text in a buffer that grows, and leaves a piece of the
//! password in each one that was too small.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Why a text cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unprepared {
    Prohibited,
    TooLong,
}

/// The prepared text, of at most `max` bytes.
pub(super) fn saslprep(text: &str, max: usize) -> Result<Zeroizing<String>, Unprepared> {
    let mut prepared = Zeroizing::new(String::with_capacity(max));
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        // None of the tables has any of these, and NFKC leaves them alone.
        if text.len() > max {
            return Err(Unprepared::TooLong);
        }
        prepared.push_str(text);
        return Ok(prepared);
    }
    for c in text.chars().map(space).filter(|c| !tables::commonly_mapped_to_nothing(*c)).nfkc() {
        if is_prohibited(c) {
            return Err(Unprepared::Prohibited);
        }
        if prepared.len() + c.len_utf8() > max {
            return Err(Unprepared::TooLong);
        }
        prepared.push(c);
    }
    if mixes_directions(&prepared) { Err(Unprepared::Prohibited) } else { Ok(prepared) }
}

/// RFC 4013 § 2.1: "non-ASCII space characters [...] that can be mapped to SPACE". (§ 2.2, normalization, is NFKC.)
fn space(c: char) -> char {
    if tables::non_ascii_space_character(c) { ' ' } else { c }
}

/// RFC 4013 § 2.3, and § 2.5 for a stored string: no unassigned code points.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
        || tables::unassigned_code_point(c)
}

/// RFC 4013 § 2.4, RFC 3454 § 6: where one character runs from right to left, the first and the last do, and none runs from
/// left to right.
fn mixes_directions(text: &str) -> bool {
    text.contains(tables::bidi_r_or_al)
        && !(text.starts_with(tables::bidi_r_or_al)
            && text.ends_with(tables::bidi_r_or_al)
            && !text.contains(tables::bidi_l))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agree(text: &str) {
        let ours = saslprep(text, 1 << 12);
        match stringprep::saslprep(text) {
            Ok(theirs) => assert_eq!(*ours.unwrap(), *theirs),
            Err(_) => assert_eq!(ours.unwrap_err(), Unprepared::Prohibited, "{text:?}"),
        }
    }

    #[test]
    fn every_code_point_is_prepared_as_stringprep_prepares_it() {
        for c in '\0'..=char::MAX {
            agree(c.encode_utf8(&mut [0; 4]));
        }
    }

    proptest! {
        #[test]
        fn texts_are_prepared_as_stringprep_prepares_them(text in "\\PC{0,8}[\\u{0}-\\u{7FF}]{0,4}") {
            agree(&text);
        }
    }

    /// NFKC makes 33 bytes of the three of U+FDFA, and the buffer holds what is allowed from the start.
    #[test]
    fn the_buffer_never_grows() {
        let ligature = "\u{FDFA}";
        let prepared = saslprep(ligature, 33).unwrap();
        assert_eq!((prepared.len(), prepared.capacity()), (33, 33));
        assert_eq!(saslprep(ligature, 32).unwrap_err(), Unprepared::TooLong);
    }
}
