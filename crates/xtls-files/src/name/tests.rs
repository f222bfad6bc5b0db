use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

fn refused(name: &str) -> NameRefused {
    SafeName::new(name).unwrap_err()
}

#[test]
fn names_of_every_script_are_taken_as_they_are() {
    for name in [
        "a",
        "ball.txt",
        "..a",
        "...a",
        ".profile",
        "-rf",
        "~",
        "a b",
        " a",
        "it's $HOME; `x` & (1) [2] {3} #4 %5 100%",
        "שלום.txt",
        "کتاب\u{200c}ها.pdf",
        "👩\u{200d}👩\u{200d}👧.png",
        "❤\u{fe0f}.png",
        "ÅÄÖ",
        "A\u{30a}",
        "COM",
        "COM10",
        "COMA",
        "console",
        "nullify.txt",
        "lpt",
        "xtls-part",
        "a.xtls",
    ] {
        assert_eq!(SafeName::new(name).unwrap().as_str(), name);
        assert_eq!(SafePath::new(name).unwrap().as_str(), name);
        assert_eq!(SafePath::new(&format!("a/{name}/b")).unwrap().names().nth(1), Some(name));
    }
}

#[test]
fn a_name_is_refused_by_the_name_of_the_rule() {
    for (name, rule) in [
        ("", NameRefused::Empty),
        ("/", NameRefused::Absolute),
        ("/etc/passwd", NameRefused::Absolute),
        (".", NameRefused::Dots),
        ("..", NameRefused::Dots),
        ("a/b", NameRefused::Slash),
        ("../a", NameRefused::Slash),
        ("..\\a", NameRefused::Backslash),
        ("\\\\server\\share", NameRefused::Backslash),
        ("C:", NameRefused::Reserved(':')),
        ("a:stream", NameRefused::Reserved(':')),
        ("a*", NameRefused::Reserved('*')),
        ("a\0.txt", NameRefused::Control('\0')),
        ("a\nb", NameRefused::Control('\n')),
        ("a\u{1b}[2J", NameRefused::Control('\u{1b}')),
        ("a\u{85}", NameRefused::Control('\u{85}')),
        ("a\u{ffff}", NameRefused::Control('\u{ffff}')),
        ("a\u{1fffe}", NameRefused::Control('\u{1fffe}')),
        ("a\u{fdd0}", NameRefused::Control('\u{fdd0}')),
        ("gpj\u{202e}exe.", NameRefused::Invisible('\u{202e}')),
        ("a\u{200d}b", NameRefused::Invisible('\u{200d}')),
        ("\u{200c}a", NameRefused::Invisible('\u{200c}')),
        ("a\u{fe0f}", NameRefused::Invisible('\u{fe0f}')),
        ("a\u{ad}b", NameRefused::Invisible('\u{ad}')),
        ("a\u{2028}", NameRefused::Invisible('\u{2028}')),
        ("\u{feff}a", NameRefused::Invisible('\u{feff}')),
        ("a\u{e0041}", NameRefused::Invisible('\u{e0041}')),
        ("a.", NameRefused::End),
        ("a ", NameRefused::End),
        ("a\u{a0}", NameRefused::End),
        ("...", NameRefused::End),
        (". .", NameRefused::End),
        (" ", NameRefused::End),
        ("CON", NameRefused::Device),
        ("nul.txt", NameRefused::Device),
        ("Aux .tar.gz", NameRefused::Device),
        ("PRN.", NameRefused::End),
        ("com0", NameRefused::Device),
        ("COM1", NameRefused::Device),
        ("com¹.txt", NameRefused::Device),
        ("LPT³", NameRefused::Device),
        ("lpt9.a.b", NameRefused::Device),
        ("CONIN$", NameRefused::Device),
        ("conout$.txt", NameRefused::Device),
        ("a.xtls-part", NameRefused::Partial),
        ("a.XTLS-Part.info", NameRefused::Partial),
        ("a.xtlſ-part", NameRefused::Partial),
        (".xtls-part", NameRefused::Partial),
    ] {
        assert_eq!(refused(name), rule, "{name:?}");
    }
    for reserved in "<>:\"|?*".chars() {
        assert_eq!(refused(&format!("a{reserved}b")), NameRefused::Reserved(reserved));
    }
    for steers in
        "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars()
    {
        assert_eq!(refused(&format!("я{steers}b")), NameRefused::Invisible(steers));
    }
}

#[test]
fn a_path_is_refused_by_the_name_of_the_rule() {
    for (path, rule) in [
        ("", NameRefused::Empty),
        ("/", NameRefused::Absolute),
        ("//server/share", NameRefused::Absolute),
        ("a//b", NameRefused::EmptyComponent),
        ("a/", NameRefused::EmptyComponent),
        ("./a", NameRefused::Dots),
        ("a/../b", NameRefused::Dots),
        ("a/..", NameRefused::Dots),
        ("a/.. /b", NameRefused::End),
        ("a/aux/b", NameRefused::Device),
        ("a/b\\..\\c", NameRefused::Backslash),
        ("C:/a", NameRefused::Reserved(':')),
        ("a.xtls-part/b", NameRefused::Partial),
    ] {
        assert_eq!(SafePath::new(path), Err(rule), "{path:?}");
    }
}

#[test]
fn lengths_and_depth_are_held_at_the_limit_and_one_past_it() {
    assert!(SafeName::new(&"a".repeat(255)).is_ok());
    assert_eq!(refused(&"a".repeat(256)), NameRefused::NameTooLong);
    assert_eq!(refused(&"ä".repeat(128)), NameRefused::NameTooLong, "bytes count, not characters");
    let path = |bytes: usize| ["a".repeat(255), "b".repeat(255), "c".repeat(255), "d".repeat(bytes - 768)].join("/");
    assert!(SafePath::new(&path(1023)).is_ok());
    assert_eq!(SafePath::new(&path(1024)), Err(NameRefused::NameTooLong));
    let path = |bytes: usize| path(1000) + "/" + &"e".repeat(bytes - 1001);
    assert_eq!(SafePath::new(&path(1024)).unwrap().as_str().len(), 1024);
    assert_eq!(SafePath::new(&path(1025)), Err(NameRefused::PathTooLong));
    let depth = |depth: usize| vec!["a"; depth].join("/");
    assert_eq!(SafePath::new(&depth(64)).unwrap().names().count(), 64);
    assert_eq!(SafePath::new(&depth(65)), Err(NameRefused::TooDeep));
    let deepest = SafePath::new(&depth(64)).unwrap();
    assert_eq!(deepest.join(&SafeName::new("b").unwrap()), Err(NameRefused::TooDeep));
}

#[test]
fn a_number_goes_before_the_ending_and_what_is_too_long_is_shortened() {
    let numbered = |name: &str, number| SafeName::new(name).unwrap().numbered(number).0;
    assert_eq!(numbered("ball.txt", 1), "ball (1).txt");
    assert_eq!(numbered("ball", 12), "ball (12)");
    assert_eq!(numbered(".profile", 1), ".profile (1)");
    assert_eq!(numbered("a.b and then some", 1), "a (1).b and then some");
    assert_eq!(numbered("Mr. Montague, his letters", 1), "Mr. Montague, his letters (1)");
    let long = numbered(&("ä".repeat(125) + ".txt"), 1);
    assert_eq!(long, "ä".repeat(123) + " (1).txt");
    assert!(SafeName::new(&long).is_ok());
}

#[test]
fn why_a_name_is_refused_is_told_without_what_misleads() {
    assert!(NameRefused::Invisible('\u{202e}').to_string().contains("U+202E"));
    assert!(NameRefused::Control('\u{1b}').to_string().contains("U+001B"));
}

/// Texts that are likely to be nasty.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "B",
        "/",
        "\\",
        ".",
        "..",
        " ",
        ":",
        "\0",
        "con",
        "COM1",
        "~",
        "\u{200d}",
        "\u{202e}",
        "ä",
        "я",
        ".xtls-part",
        "-",
        "\n",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_accepted_stays_in_the_directory_that_it_is_joined_to(text in prop_oneof![nasty(), any::<String>()]) {
        let base = Path::new("/base/dir");
        if let Ok(path) = SafePath::new(&text) {
            let joined = base.join(path.as_str());
            let rest = joined.strip_prefix(base).unwrap();
            prop_assert!(rest.components().all(|part| matches!(part, Component::Normal(_))), "{text:?}");
            prop_assert_eq!(rest.components().count(), path.names().count());
            prop_assert!(path.names().all(|name| SafeName::new(name).is_ok()));
        }
        if let Ok(name) = SafeName::new(&text) {
            let joined = base.join(name.as_str());
            prop_assert_eq!(joined.parent(), Some(base));
            prop_assert!(SafePath::new(&text).is_ok());
            for number in [1, u32::MAX] {
                prop_assert!(SafeName::new(name.numbered(number).as_str()).is_ok(), "{text:?}");
            }
        }
    }
}
