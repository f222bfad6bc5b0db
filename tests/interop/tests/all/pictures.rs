//! What users see at a terminal of 80 columns, as `docs/screens` has it. `XTLS_WRITE_PICTURES=1` writes those anew.

use std::path::Path;

use xtls_interop::{Stage, Terminal, Transport};

/// In place of what is another each time: fingerprints, times, dates, and codes.
const FINGERPRINT: &str = "01234567";
const TIME: &str = "12:00";
const DATE: &str = "2036-01-01";
const CODE: [&str; 4] = ["able", "baby", "cabbage", "dad"];

/// Compares a screen with its picture. Nothing on it is wider than 80 columns.
fn compare(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screens").join(format!("{name}.txt"));
    let shown: String = shown.lines().map(|line| constant(line) + "\n").collect();
    if std::env::var_os("XTLS_WRITE_PICTURES").is_some() {
        std::fs::write(&path, &shown).expect("the picture is written");
    }
    let picture = std::fs::read_to_string(&path).expect("there is a picture");
    assert!(shown == picture, "{} is\n{picture}\nand the screen\n{shown}", path.display());
}

/// A line with all that changes put in one form.
fn constant(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_hex = word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    match shape.trim_end_matches([';', ',']) {
        _ if is_hex => FINGERPRINT.to_owned(),
        "00:00" => word.replacen(&word[..5], TIME, 1),
        "0000-00-00" => word.replacen(&word[..10], DATE, 1),
        _ => word.to_owned(),
    }
}

#[test]
fn help_fits_into_80_columns() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, args) in [("help", &["--help"][..]), ("help-chat", &["chat", "--help"]), ("help-pair", &["pair", "-h"])]
    {
        let (code, shown) = Terminal::bare(dir.path(), 80, args).wait();
        assert_eq!(code, Some(0));
        compare(name, &shown);
    }
}

#[test]
fn a_demonstration_fits_into_80_columns() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (code, shown) = Terminal::bare(dir.path(), 80, &["demo", "--bytes", "64KiB"]).wait();
    assert_eq!(code, Some(0));
    // Signatures are of different lengths, and machines of different speeds.
    let digits = |line: &str| -> String {
        let is_stanza = line.ends_with(" B") && line.contains(" -> ");
        let varies = is_stanza || line.starts_with("* transferred") || line.starts_with("    on the wire");
        line.chars().map(|c| if varies && c.is_ascii_digit() { '0' } else { c }).collect()
    };
    let shown: Vec<String> = shown.lines().map(digits).collect();
    let speed = |line: &String| line.starts_with("* transferred");
    let shown: Vec<String> = shown
        .iter()
        .map(|line| match line.split_once(" s, ") {
            Some((_, _)) if speed(line) => {
                "* transferred 00000 bytes in 0.00 s, 00.0 MiB/s: all bytes equal".to_owned()
            }
            _ => line.clone(),
        })
        .collect();
    compare("demo", &shown.join("\n"));
}

/// From nothing to a chat: `xtls pair` and `xtls chat` or `listen` at each end, and no question in between.
#[test]
fn two_pair_and_chat_in_two_commands_each() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let mut showing = Terminal::start(&alice, 80, &["pair"]);
    let code = showing.code();
    // Shortened, it fits beside the prompt whatever it is.
    let short: Vec<&str> = code.split(' ').map(|word| &word[..word.len().min(4)]).collect();
    let masked = |shown: &str| {
        let shown = shown.replace(&code, &CODE.join(" ")).replace(&code.replace(' ', "-"), &CODE.join("-"));
        shown.replace(&short.join(" "), "able baby cabb dad")
    };
    let mut entering = Terminal::start(&bob, 80, &["pair", &alice.full()]);
    entering.line("The code or the link that ", ":");
    entering.keys(&format!("{}\r", short.join(" ")));
    let ends = [("pair", &mut showing), ("pair-enter", &mut entering)].map(|(name, end)| {
        let (code, shown) = end.wait();
        assert_eq!(code, Some(0), "{shown}");
        compare(name, &masked(&shown));
        shown
    });
    assert!(ends.iter().all(|shown| shown.contains("* paired with")));

    let mut listening = Terminal::start(&alice, 80, &["listen"]);
    listening.at(">");
    let mut chatting = Terminal::start(&bob, 80, &["chat", &alice.bare()]);
    chatting.at("alice@localhost>");
    listening.see("* lines go to bob@localhost");
    chatting.keys("But soft, what light through yonder window breaks?\r");
    chatting.line("", "\u{2713} But soft, what light through yonder wind\u{2026}");
    listening.keys("Ay me!\r");
    listening.line("", "\u{2713} Ay me!");
    chatting.line("", "alice@localhost: Ay me!");
    chatting.keys("/quit\r");
    let (code, shown) = chatting.wait();
    assert_eq!(code, Some(0), "{shown}");
    compare("chat", &shown);
    listening.line("* closed with ", "done");
    listening.keys("\x04");
    let (code, shown) = listening.wait();
    assert_eq!(code, Some(0), "{shown}");
    compare("listen", &shown);
}
