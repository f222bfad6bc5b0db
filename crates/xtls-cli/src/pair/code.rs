//! A code of three words and a check word (docs/wire.md § 7).

use std::fmt;

use sha2::{Digest as _, Sha256};
use xtls::Password;
use xtls_stanza::jid::BareJid;
use zeroize::Zeroizing;

use crate::words::Word;

/// What the check word is a hash of begins with this, so that it is no hash of anything else.
const DOMAIN: &str = "urn:xtls:pairing:1";
/// Words that are chosen at random.
const SECRET: usize = 3;
/// Words in all.
const WORDS: usize = SECRET + 1;

/// A code: what two users tell one another, and what is a password between them. It is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Code {
    /// The words' numbers, that of the check word last.
    numbers: Zeroizing<[u16; WORDS]>,
}

/// Why what was typed is no code of an address. Nothing of what was typed is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CodeFault {
    /// It has so many words.
    Count(usize),
    /// The word at this place, from 0, is none of the list.
    Unknown(usize),
    /// The check word does not go with the other words and this address.
    Check(BareJid),
}

impl Code {
    /// Random bytes for a code.
    pub(super) const RANDOM: usize = 5;

    /// A code that this address shows: 33 of these bits.
    pub(super) fn new(random: &[u8; Self::RANDOM], shower: &BareJid) -> Self {
        let bits = random.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let [first, second, third] = [2, 1, 0].map(|place| {
            let part = (bits >> (place * Word::BITS)) & ((1 << Word::BITS) - 1);
            Word::new(u16::try_from(part).unwrap_or_default())
        });
        Self::of([first, second, third], shower)
    }

    /// The code that is written so and shown by this address: four words, in whatever case, with white space, hyphens or commas
    /// between them.
    ///
    /// # Errors
    ///
    /// When it is none. A mistake that leaves four words of the list is found but for one in 2048.
    pub(super) fn parse(text: &str, shower: &BareJid) -> Result<Self, CodeFault> {
        let words = words(text)?;
        let [first, second, third, check] = *words.as_slice() else { return Err(CodeFault::Count(words.len())) };
        let code = Self::of([first, second, third], shower);
        if code.numbers.last() == Some(&check.number()) { Ok(code) } else { Err(CodeFault::Check(shower.clone())) }
    }

    /// The same of one that may have been written down without its check word.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(super) fn parse_own(text: &str, shower: &BareJid) -> Result<Self, CodeFault> {
        match *words(text)?.as_slice() {
            [first, second, third] => Ok(Self::of([first, second, third], shower)),
            _ => Self::parse(text, shower),
        }
    }

    /// The four words, with this between them.
    pub(super) fn text(&self, between: &str) -> Zeroizing<String> {
        // No longer one is left behind while it grows.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * (8 + between.len())));
        for (at, number) in self.numbers.iter().enumerate() {
            if at > 0 {
                text.push_str(between);
            }
            text.push_str(Word::new(*number).text());
        }
        text
    }

    /// The password that it is: its four words, with a space between them.
    pub(super) fn password(&self) -> Password {
        match Password::new(&self.text(" ")) {
            Ok(password) => password,
            Err(_) => unreachable!("four words of small letters are a password"),
        }
    }

    fn of(secret: [Word; SECRET], shower: &BareJid) -> Self {
        let [first, second, third] = secret.map(Word::number);
        Self { numbers: Zeroizing::new([first, second, third, check(secret, shower).number()]) }
    }
}

/// The check word: the first eleven bits of the hash of the words and the address.
fn check(secret: [Word; SECRET], shower: &BareJid) -> Word {
    let mut hash = Sha256::new();
    for string in [DOMAIN, shower.canonical()] {
        let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
        hash.update(length.to_be_bytes());
        hash.update(string);
    }
    for word in secret {
        hash.update(word.number().to_be_bytes());
    }
    let [first, second, ..] = <[u8; 32]>::from(hash.finalize());
    Word::new(u16::from_be_bytes([first, second]) >> (u16::BITS - Word::BITS))
}

/// The words that are written so.
fn words(text: &str) -> Result<Zeroizing<Vec<Word>>, CodeFault> {
    let between = |c: char| c.is_whitespace() || matches!(c, '-' | ',');
    let parts = || text.split(between).filter(|part| !part.is_empty());
    let count = parts().count();
    if !(SECRET..=WORDS).contains(&count) {
        return Err(CodeFault::Count(count));
    }
    let mut words = Zeroizing::new(Vec::with_capacity(WORDS));
    for (place, part) in parts().enumerate() {
        words.push(Word::parse(part).ok_or(CodeFault::Unknown(place))?);
    }
    Ok(words)
}

/// It is a secret.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl fmt::Display for CodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "a code has four words, and this has {count}"),
            Self::Unknown(place) => {
                let place = ["first", "second", "third"].get(*place).unwrap_or(&"last");
                write!(
                    f,
                    "the {place} word is none that codes are made of; a word may be cut to its first four letters"
                )
            }
            Self::Check(shower) => write!(
                f,
                "this is no code of {shower}: a word is mistyped, two have changed places, or it is the code of another address"
            ),
        }
    }
}

#[cfg(test)]
#[path = "code/tests.rs"]
mod tests;
