#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

fn juliet() -> BareJid {
    "juliet@capulet.example".parse().unwrap()
}

fn random(seed: u32) -> [u8; Code::RANDOM] {
    let hash = Sha256::digest(seed.to_be_bytes());
    hash[..Code::RANDOM].try_into().unwrap()
}

/// The code of four words by their numbers, whether it is one or not.
fn written(numbers: [u16; WORDS]) -> String {
    numbers.map(|number| Word::new(number).text()).join(" ")
}

/// The example of docs/wire.md.
#[test]
fn a_code_is_made_as_the_document_says() {
    let code = Code::new(&[0x01, 0x23, 0x45, 0x67, 0x89], &juliet());
    assert_eq!(*code.numbers, [0x48d, 0xac, 0x789, code.numbers[SECRET]]);
    let text = [
        b"\0\0\0\x12urn:xtls:pairing:1".as_slice(),
        b"\0\0\0\x16juliet@capulet.example",
        &[0x04, 0x8d, 0x00, 0xac, 0x07, 0x89],
    ];
    let hash = Sha256::digest(text.concat());
    assert_eq!(code.numbers[SECRET], (u16::from(hash[0]) << 3) | (u16::from(hash[1]) >> 5));
    assert_eq!(code.text(" ").as_str(), EXAMPLE);
    assert_eq!(code.text("-").as_str(), EXAMPLE.replace(' ', "-"));
}

const EXAMPLE: &str = "museum better van hundred";

#[test]
fn a_code_has_33_bits() {
    let all = |byte| Code::new(&[byte; Code::RANDOM], &juliet()).numbers.clone();
    assert_eq!(all(0)[..SECRET], [0; SECRET]);
    assert_eq!(all(0xff)[..SECRET], [0x7ff; SECRET]);
    for bit in 0..40_u64 {
        let bytes = (1_u64 << bit).to_be_bytes();
        let code = Code::new(bytes[3..].try_into().unwrap(), &juliet());
        let bits = code.numbers[..SECRET].iter().fold(0_u64, |bits, number| (bits << 11) | u64::from(*number));
        assert_eq!(bits, if bit < 33 { 1 << bit } else { 0 }, "bit {bit}");
    }
}

#[test]
fn case_and_what_is_between_words_make_no_difference_and_four_letters_are_enough() {
    let code = Code::new(&random(1), &juliet());
    let whole = code.text(" ");
    let cut: Vec<&str> = whole.split(' ').map(|word| word.get(..4).unwrap_or(word)).collect();
    for text in [
        whole.to_string(),
        whole.to_uppercase(),
        cut.join(" "),
        cut.join("-"),
        format!("\t {} \u{a0}\r", cut.join(" ,\u{3000}")),
    ] {
        assert_eq!(Code::parse(&text, &juliet()), Ok(code.clone()));
    }
    // The address counts by its canonical form.
    assert_eq!(Code::parse(&whole, &"Juliet@CAPULET.example.".parse().unwrap()), Ok(code));
}

#[test]
fn what_has_another_number_of_words_or_a_word_of_no_list_is_told_by_its_place() {
    let code = Code::new(&random(2), &juliet());
    let words: Vec<String> = code.text(" ").split(' ').map(str::to_owned).collect();
    for count in [0, 1, 2, 3, 5, 6, 100] {
        let text = words.iter().cycle().take(count).cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(Code::parse(&text, &juliet()), Err(CodeFault::Count(count)));
    }
    for (place, name) in ["first", "second", "third", "last"].iter().enumerate() {
        let mut words = words.clone();
        words[place] = "wherefore".to_owned();
        let fault = Code::parse(&words.join(" "), &juliet()).unwrap_err();
        assert_eq!(fault, CodeFault::Unknown(place));
        assert!(fault.to_string().starts_with(&format!("the {name} word")), "{fault}");
    }
}

/// One wrong word: if it is the check word it is always found, else but for one in 2048. All of them, of 24 codes.
#[test]
fn every_other_word_in_the_place_of_one_is_found_but_for_one_in_2048() {
    let (mut missed, mut tried) = (0, 0);
    for seed in 0..24 {
        let code = Code::new(&random(seed), &juliet());
        for place in 0..WORDS {
            for number in (0..1 << Word::BITS).filter(|number| *number != code.numbers[place]) {
                let mut numbers = *code.numbers;
                numbers[place] = number;
                // Looking words up is not what is tried here, and there are many.
                let secret = [0, 1, 2].map(|at| Word::new(numbers[at]));
                let is_found = check(secret, &juliet()).number() != numbers[SECRET];
                assert!(is_found || place < SECRET);
                (missed, tried) = (missed + u32::from(!is_found), tried + u32::from(place < SECRET));
            }
        }
    }
    assert_eq!(tried, 24 * 3 * 2047);
    // 72 are to be expected; six standard deviations are 51.
    assert!((21..=123).contains(&missed), "{missed} of {tried} were missed");
}

#[test]
fn swapped_words_and_codes_of_other_addresses_are_found_but_for_one_in_2048() {
    let (mut swapped, mut others) = (0, 0);
    const CODES: u32 = 2048;
    for seed in 0..CODES {
        let code = Code::new(&random(seed), &juliet());
        let [a, b, c, check_word] = *code.numbers;
        // In turns: whichever two change places.
        let numbers = match seed % 6 {
            0 => [b, a, c, check_word],
            1 => [a, c, b, check_word],
            2 => [c, b, a, check_word],
            3 => [check_word, b, c, a],
            4 => [a, check_word, c, b],
            _ => [a, b, check_word, c],
        };
        let is_another = numbers != *code.numbers;
        swapped += u32::from(is_another && Code::parse(&written(numbers), &juliet()).is_ok());
        let other: BareJid = format!("juliet{seed}@capulet.example").parse().unwrap();
        others += u32::from(Code::parse(&code.text(" "), &other).is_ok());
    }
    // One is to be expected of each.
    assert!(swapped <= 7 && others <= 7, "{swapped} and {others} of {CODES} were missed");
}

#[test]
fn one_that_is_written_down_may_lack_its_check_word() {
    let code = Code::new(&random(3), &juliet());
    let text = code.text(" ");
    let (secret, _) = text.rsplit_once(' ').unwrap();
    assert_eq!(Code::parse_own(secret, &juliet()), Ok(code.clone()));
    assert_eq!(Code::parse_own(&text, &juliet()), Ok(code));
    let other: BareJid = "romeo@montague.example".parse().unwrap();
    assert_eq!(Code::parse_own(&text, &other), Err(CodeFault::Check(other)));
    assert_eq!(Code::parse_own("able", &juliet()), Err(CodeFault::Count(1)));
}

#[test]
fn nothing_of_a_code_shows() {
    let code = Code::new(&random(4), &juliet());
    let shown = format!("{code:?} {:?} {:?}", code.password(), Word::new(7));
    assert_eq!(shown, "Code(..) Password(..) Word(..)");
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(random: [u8; Code::RANDOM], local in "[a-z]{1,9}") {
        let shower: BareJid = format!("{local}@capulet.example").parse().unwrap();
        let code = Code::new(&random, &shower);
        prop_assert_eq!(Code::parse(&code.text(" "), &shower), Ok(code.clone()));
        prop_assert_eq!(Code::parse(&code.text("-"), &shower), Ok(code));
    }

    #[test]
    fn nothing_that_is_typed_is_a_panic_or_shows_in_the_fault(text in "\\PC{0,60}") {
        if let Err(fault) = Code::parse(&text, &juliet()) {
            let shown = fault.to_string();
            let long = text.split_whitespace().find(|word| word.chars().count() > 12);
            prop_assert!(long.is_none_or(|word| !shown.contains(word)));
        }
    }
}
