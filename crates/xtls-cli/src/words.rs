//! The words of codes and of short strings: the English list of BIP-39. Its words have three to eight letters, and differ in the first four.

use std::{fmt, sync::LazyLock};

use zeroize::DefaultIsZeroes;

/// One word a line, in the order of their numbers. Beside it is its licence.
const LIST: &str = include_str!("words.txt");
/// The same by number; they are sorted.
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| LIST.lines().collect());
/// How many letters tell a word from all others.
const ENOUGH: usize = 4;

/// A word: one of 2048.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word(u16);

impl DefaultIsZeroes for Word {}

impl Word {
    /// How many bits a word stands for.
    pub(crate) const BITS: u32 = 11;

    /// The word with the number that the lowest eleven bits are.
    pub(crate) const fn new(bits: u16) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    /// All of them, in the order of the alphabet.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..1 << Self::BITS).map(Self)
    }

    /// Its number.
    pub(crate) const fn number(self) -> u16 {
        self.0
    }

    /// The word itself.
    pub(crate) fn text(self) -> &'static str {
        WORDS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The word that is written so: whole, or cut after its first four letters or later. Case makes no difference.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // No copy of it in other letters is made: it is a secret.
        let small = || text.bytes().map(|byte| byte.to_ascii_lowercase());
        let is_start_of = |word: &str| word.bytes().take(text.len()).eq(small());
        let number = match WORDS.binary_search_by(|word| word.bytes().cmp(small())) {
            Ok(number) => number,
            // What it is the beginning of would follow it.
            Err(next) if text.len() >= ENOUGH && WORDS.get(next).is_some_and(|word| is_start_of(word)) => next,
            Err(_) => return None,
        };
        u16::try_from(number).ok().map(Self)
    }
}

/// It is a part of a secret.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Word(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The digest that is known of the list everywhere: whoever has another one gets other words.
    const DIGEST: &str = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";

    #[test]
    fn the_list_is_that_of_bip_39() {
        let digest: String = Sha256::digest(LIST).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, DIGEST);
        let words: Vec<&str> = LIST.lines().collect();
        assert_eq!(words.len(), 1 << Word::BITS);
        assert!(words.is_sorted() && words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
        let starts: BTreeSet<&str> = words.iter().map(|word| word.get(..ENOUGH).unwrap_or(word)).collect();
        assert_eq!(starts.len(), words.len());
    }

    #[test]
    fn every_word_is_found_whole_and_by_whatever_begins_with_its_first_four_letters() {
        for number in 0..1 << Word::BITS {
            let word = Word::new(number);
            let text = word.text();
            assert_eq!(word.number(), number);
            for length in 1..=text.len() {
                let start = &text[..length];
                let found = Word::parse(start);
                if length == text.len() || length >= ENOUGH {
                    assert_eq!(found.map(Word::text), Some(text), "{start}");
                    assert_eq!(Word::parse(&start.to_uppercase()), found);
                } else {
                    // Less is another word, or none.
                    assert!(found.is_none_or(|found| found.text() == start), "{start}");
                }
            }
            assert_eq!(Word::parse(&format!("{text}s")).filter(|found| *found == word), None);
        }
    }

    #[test]
    fn what_is_no_word_is_none() {
        for text in ["", "a", "ab", "qqqq", "able ", " able", "ab\u{131}le", "żebra", "abandonment"] {
            assert_eq!(Word::parse(text).map(Word::text), None, "{text}");
        }
        // The longer ones that begin like a short one are not taken for it, nor it for them.
        assert_eq!(Word::parse("act").map(Word::text), Some("act"));
        assert_eq!(Word::parse("acti").map(Word::text), Some("action"));
    }
}
