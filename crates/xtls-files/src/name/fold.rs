//! When two names are the same on some system.

use unicode_normalization::UnicodeNormalization as _;

use super::is_joiner;

/// Names that some system takes for one are the same text here: those that differ by case, by Unicode's normal form (macOS, and
/// directories of ext4 with case folding), or by joiners, which do not show (HFS+ does not look at them).
pub(crate) fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let visible = name.chars().filter(|c| !is_joiner(*c));
    visible.nfd().flat_map(upper).flat_map(char::to_lowercase).nfd().collect()
}

/// Upper case, so that what has the same one is the same: ſ and s, ς and σ, ß and ss. The dotless i is a letter of its own, as
/// in the table of case folding of Unicode.
fn upper(c: char) -> impl Iterator<Item = char> {
    let upper = (c != 'ı').then(|| c.to_uppercase());
    let same = upper.is_none().then_some(c);
    upper.into_iter().flatten().chain(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_system_takes_for_one_are_the_same() {
        for [one, other] in [
            ["README", "readme"],
            ["É", "e\u{301}"],
            ["straße", "STRASSE"],
            ["ſ", "S"],
            ["σς", "ΣΣ"],
            ["\u{212a}", "k"],
            ["ﬁ", "FI"],
            ["я\u{200d}", "Я"],
            ["İ", "i\u{307}"],
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for [one, other] in [["a", "b"], ["ı", "i"], ["a", "а"], ["e", "é"], ["①", "1"]] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }
}
