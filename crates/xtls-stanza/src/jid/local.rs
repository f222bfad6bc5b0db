//! Localparts: the UsernameCaseMapped profile (RFC 8265 § 3.3) without some characters (RFC 7622 § 3.3).

use std::borrow::Cow;

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::{Profile as _, Rules as _};
use unicode_bidi::{BidiClass, bidi_class};

use super::{Refused, to_fixed_point};

/// RFC 7622 § 3.3.1, held against what the mappings leave: some of them map to these.
const EXCLUDED: [char; 8] = ['"', '&', '\'', '/', ':', '<', '>', '@'];

pub(super) fn prepare(text: &str) -> Result<Cow<'_, str>, Refused> {
    if text.is_ascii() { ascii(text) } else { to_fixed_point(text, enforce) }
}

/// What [`enforce`] says of ASCII. RFC 8264 §§ 9.11 and 4.2.2: of it, `!` to `~` are valid; the one mapping is that of case.
fn ascii(text: &str) -> Result<Cow<'_, str>, Refused> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !EXCLUDED.contains(&char::from(byte))) {
        return Err(Refused::NotAllowed);
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Cow::Owned(text.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(text))
}

/// RFC 8265 §§ 3.3.2 and 3.3.3, in their order.
fn enforce(text: &str) -> Result<Cow<'_, str>, Refused> {
    let profile = UsernameCaseMapped::new();
    let mapped = profile
        .prepare(text)
        .and_then(|mapped| profile.case_mapping_rule(mapped))
        .and_then(|mapped| profile.normalization_rule(mapped))
        .map_err(|_| Refused::NotAllowed)?;
    let allowed = !mapped.contains(EXCLUDED) && satisfies_bidi_rule(&mapped);
    if allowed { Ok(mapped) } else { Err(Refused::NotAllowed) }
}

/// The directionality rule (RFC 8265 § 3.3.1, number 5): the six conditions of RFC 5893 § 2, for what has right-to-left
/// characters. The profile's own is not used: it refuses a mark inside of a word, which Hebrew and Arabic have everywhere.
fn satisfies_bidi_rule(text: &str) -> bool {
    use BidiClass::{AL, AN, BN, CS, EN, ES, ET, L, NSM, ON, R};

    let classes = || text.chars().map(bidi_class);
    if !classes().any(|class| matches!(class, R | AL | AN)) {
        return true;
    }
    let last = classes().rev().find(|class| *class != NSM);
    match classes().next() {
        // Conditions 1 to 4.
        Some(R | AL) => {
            classes().all(|class| matches!(class, R | AL | AN | EN | ES | CS | ET | ON | BN | NSM))
                && matches!(last, Some(R | AL | EN | AN))
                && !(classes().any(|class| class == EN) && classes().any(|class| class == AN))
        }
        // Conditions 1, 5 and 6.
        Some(L) => {
            classes().all(|class| matches!(class, L | EN | ES | CS | ET | ON | BN | NSM))
                && matches!(last, Some(L | EN))
        }
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_prepared_as_the_profile_says() {
        let every = (0..=0x7f_u8).map(|byte| char::from(byte).to_string());
        let mixed = ["Juliet", "juliet", "ju liet", "a&b", "A.b-C_d\\20", "~!#$%()*+,;=?[]^`{|}"].map(str::to_owned);
        for text in every.chain(mixed) {
            assert_eq!(ascii(&text), to_fixed_point(&text, enforce), "{text:?}");
        }
    }

    #[test]
    fn each_condition_of_the_bidi_rule_counts() {
        let good =
            ["\u{5d0}", "\u{5d0}1", "\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}", "\u{627}\u{64e}", "\u{5d0}-\u{5d1}"];
        for text in good {
            assert!(satisfies_bidi_rule(text), "{text:?}");
        }
        let bad = [
            "1\u{5d0}",        // 1: begins with a number
            "\u{5d0}a",        // 2: a letter from left to right
            "\u{5d0}-",        // 3: ends with punctuation
            "\u{627}1\u{661}", // 4: both kinds of numbers
            "a\u{5d0}",        // 5: a letter from right to left
            "a\u{661}",        // 5: an Arabic number
        ];
        for text in bad {
            assert!(!satisfies_bidi_rule(text), "{text:?}");
        }
        assert!(satisfies_bidi_rule("a-"), "the rule is for what has right-to-left characters");
    }
}
