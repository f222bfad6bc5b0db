//! `xtls pair` through real servers: from nothing to a tunnel by certificates in two commands, and who it keeps out.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use xtls::trust::Fingerprint;
use xtls_interop::{Certificate, Ejabberd, Ended, Person, Stage, Tap, Terminal, Transport, Xtls};

/// The words that codes are made of.
const WORDS: &str = include_str!("../../../../crates/xtls-cli/src/words.txt");

/// Shows a code; gives the event with it.
fn show(person: &Person, args: &[&str]) -> (Xtls, Value) {
    let mut showing = person.start(&[&["pair"], args].concat());
    let shown = showing.event("code");
    (showing, shown)
}

/// Begins to enter the code that this address shows.
fn enter(person: &Person, peer: &str) -> Xtls {
    let mut entering = person.start(&["pair", peer]);
    entering.event("code_wanted");
    entering
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Another code of the same address: its check word is right. It is made by the rule of docs/wire.md § 7.
fn another(code: &str, address: &str) -> String {
    let mut words: Vec<&str> = code.split(' ').take(3).collect();
    words[0] = if words[0] == "zoo" { "able" } else { "zoo" };
    let mut hashed = Vec::new();
    for string in ["urn:xtls:pairing:1", address] {
        hashed.extend(u32::try_from(string.len()).expect("it is short").to_be_bytes());
        hashed.extend(string.bytes());
    }
    for word in &words {
        let number = WORDS.lines().position(|one| one == *word).expect("it is in the list");
        hashed.extend(u16::try_from(number).expect("there are 2048").to_be_bytes());
    }
    let hash = Fingerprint::sha256(&hashed).hex();
    let first = u16::from_str_radix(&hash[..4], 16).expect("it is hex");
    words.extend(WORDS.lines().nth(usize::from(first >> 5)));
    words.join(" ")
}

/// What somebody trusts, as `trust list` tells.
fn trusted(person: &Person) -> Vec<Value> {
    Xtls::run(person.data_dir(), None, &["trust", "list"]).named("trusted").cloned().collect()
}

fn assert_paired(ended: &Ended, person: &Person, peer: &Person) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let [paired] = *ended.named("paired").collect::<Vec<_>>() else { panic!("once: {:?}", ended.events) };
    let fingerprint = format!("sha-256:{}", peer.fingerprint());
    assert_eq!((text(&paired["peer"]), text(&paired["fingerprint"])), (peer.full().as_str(), fingerprint.as_str()));
    let methods: Vec<&str> = ended.named("secured").map(|secured| text(&secured["method"])).collect();
    assert_eq!(methods, ["srp", "x509"]);
    let shown = Xtls::run(person.data_dir(), None, &["trust", "show", &peer.bare()]);
    let known = shown.named("peer").next().expect("it is known");
    let [pin] = known["pins"].as_array().expect("pins").as_slice() else { panic!("one pin: {known}") };
    assert_eq!((text(&pin["fingerprint"]), text(&pin["learned"])), (fingerprint.as_str(), "pairing"));
    assert!(text(&pin["since"]).starts_with("20"), "{pin}");
    assert_eq!(known["wrong_passwords"], 0);
}

/// By certificates, and nobody is asked anything.
fn chat(from: &Person, to: &Person) {
    let _listening = to.listen(&["--echo"]);
    let mut chatting = from.start(&["chat", &to.full()]);
    let secured = chatting.event("secured");
    assert_eq!((text(&secured["method"]), text(&secured["authenticated_by"])), ("x509", "pinned"));
    chatting.event("stream_open");
    chatting.line("What's in a name?");
    assert_eq!(chatting.event("message")["body"], "What's in a name?");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn two_pair_by_words_that_are_typed_at_a_terminal_and_then_chat() {
    let stage = Stage::new(Transport::Plain);
    let (alice, mut bob) = (stage.person("alice"), stage.person("bob"));
    let tap = Tap::start(stage.server.port());
    bob.address = tap.address();
    let (showing, shown) = show(&alice, &[]);
    assert_eq!((text(&shown["jid"]), &shown["attempts"]), (alice.full().as_str(), &3.into()));
    let code = text(&shown["code"]);
    let mut entering = bob.start_at_a_terminal(&["pair", &alice.full()]);
    assert_eq!(entering.event("code_wanted")["peer"], alice.full().as_str());
    // A word too few, one that is none, two that have changed places, and one that is mistyped.
    let mut words: Vec<&str> = code.split(' ').collect();
    words.swap(0, 1);
    let mistakes = [&code[..code.rfind(' ').expect("spaces")], &format!("{code}x"), &words.join(" ")];
    for typed in mistakes.iter().filter(|typed| **typed != code) {
        entering.type_line(typed);
        let told = entering.event("error");
        let told = text(&told["message"]);
        assert!(told.contains("nothing was sent"), "{told}");
        assert!(!code.split(' ').any(|word| told.split(' ').any(|said| said == word && word.len() > 5)), "{told}");
        entering.event("code_wanted");
    }
    assert_eq!(tap.sent(), "");
    let short: Vec<String> =
        code.split(' ').map(|word| word.chars().take(4).collect::<String>().to_uppercase()).collect();
    entering.type_line(&short.join("  "));
    let (entered, showed) = (entering.wait(), showing.wait());
    assert_eq!(entered.stderr.lines().count(), mistakes.len(), "{}", entered.stderr);
    assert_paired(&showed, &alice, &bob);
    assert_paired(&entered, &bob, &alice);
    assert!(!tap.sent().contains(code) && !tap.sent().contains("pubkey"), "it showed outside of the tunnel");
    chat(&bob, &alice);
    chat(&alice, &bob);
}

#[test]
fn two_pair_by_a_link_through_ejabberd() {
    let server = Ejabberd::start(Certificate::Good);
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    let (showing, shown) = show(&alice, &["--accept-from", &bob.bare()]);
    let mut entering = bob.start(&["pair", "--enter"]);
    assert!(entering.event("code_wanted")["peer"].is_null());
    // The words alone do not say whose they are.
    entering.line(text(&shown["code"]));
    entering.event("error");
    entering.line(text(&shown["uri"]));
    let (entered, showed) = (entering.wait(), showing.wait());
    assert_paired(&showed, &alice, &bob);
    assert_paired(&entered, &bob, &alice);
    chat(&bob, &alice);
}

#[test]
fn three_wrong_codes_burn_it_and_each_end_says_how_many_are_left() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let (mut showing, shown) = show(&alice, &[]);
    let mut entering = enter(&bob, &alice.full());
    let wrong = another(text(&shown["code"]), &alice.bare());
    for left in [2, 1, 0] {
        entering.line(&wrong);
        assert_eq!(
            entering.event("wrong_code"),
            serde_json::json!({"event": "wrong_code", "peer": alice.full(), "left": left})
        );
        assert_eq!(
            showing.event("wrong_code"),
            serde_json::json!({"event": "wrong_code", "peer": bob.full(), "left": left})
        );
    }
    for ended in [showing.wait(), entering.wait()] {
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("three wrong codes") || ended.stderr.contains("3 wrong codes"),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(ended.named("secured").count(), 0);
    }
    for person in [&alice, &bob] {
        assert!(trusted(person).is_empty(), "somebody is trusted");
    }
}

#[test]
fn a_code_that_has_expired_is_good_for_nothing_and_so_is_one_that_was_used() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let (showing, shown) = show(&alice, &["--expires-after", "1s"]);
    let ended = showing.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("the code has expired"), "{}", ended.stderr);
    let mut entering = enter(&bob, &alice.full());
    entering.line(text(&shown["code"]));
    let ended = entering.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("it may have expired"), "{}", ended.stderr);
    assert!(trusted(&bob).is_empty(), "somebody is trusted");
}

/// The servers are Mallory's: to Alice he is Bob, and to Bob he is Alice, as good as he can without the code.
#[test]
fn m05_a_man_in_the_middle_of_a_pairing_is_never_trusted_and_each_end_is_told() {
    let (near, far) = (Stage::new(Transport::Plain), Stage::new(Transport::Plain));
    let (alice, false_bob) = (near.person("alice"), near.person("bob"));
    let (false_alice, bob) = (far.person("alice"), far.person("bob"));
    let (mut showing, shown) = show(&bob, &[]);
    let code = text(&shown["code"]);
    let guess = another(code, &bob.bare());
    let file = false_bob.file("code", &guess);
    let (_false_showing, hidden) = show(&false_bob, &["--code-file", &file]);
    assert!(hidden["code"].is_null() && hidden["uri"].is_null(), "a fixed code shows: {hidden}");
    let mut entering = enter(&alice, &bob.full());
    entering.line(code);
    assert_eq!(entering.event("wrong_code")["left"], 2);
    let mut guessing = enter(&false_alice, &bob.full());
    guessing.line(&guess);
    assert_eq!(showing.event("wrong_code")["left"], 2);
    for (victim, person) in [(&mut showing, &bob), (&mut entering, &alice)] {
        victim.kill();
        assert!(trusted(person).is_empty(), "somebody is trusted");
    }
}

/// He lets the code pass, and alters what is said about certificates outside of the tunnel.
#[test]
fn m04_an_announcement_that_is_altered_on_the_way_ends_the_pairing_and_burns_the_code() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, bob) = (stage.person("alice"), stage.person("bob"));
    let tap = Tap::cutting(stage.server.port(), "<fingerprint", "</fingerprint>");
    alice.address = tap.address();
    let (showing, shown) = show(&alice, &[]);
    let mut entering = enter(&bob, &alice.full());
    entering.line(text(&shown["code"]));
    for (ended, person) in [(showing.wait(), &alice), (entering.wait(), &bob)] {
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("nothing was remembered of this pairing"), "{}", ended.stderr);
        assert_eq!(ended.named("paired").count(), 0);
        assert!(trusted(person).is_empty(), "somebody is trusted");
    }
}

/// Bob has the code, gives his certificate and does not come back with it.
#[test]
fn what_ends_between_the_two_tunnels_is_not_remembered() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let (mut showing, shown) = show(&alice, &[]);
    let file = bob.file("code", text(&shown["code"]));
    let mut chatting = bob.start(&["chat", &alice.full(), "--srp-password-file", &file]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    assert_eq!(showing.event("secured")["method"], "srp");
    showing.event("closed");
    showing.interrupt();
    let ended = showing.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing was remembered of this pairing"), "{}", ended.stderr);
    assert!(trusted(&alice).is_empty(), "somebody is trusted");
}

/// Bob does the second tunnel by hand and leaves it open.
#[test]
fn what_comes_after_a_pairing_takes_nothing_back() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let (mut showing, shown) = show(&alice, &[]);
    let file = bob.file("code", text(&shown["code"]));
    let mut chatting = bob.start(&["chat", &alice.full(), "--srp-password-file", &file]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    let trusting = format!("{}=sha-256:{}", alice.bare(), alice.fingerprint());
    let mut chatting = bob.start(&["chat", &alice.full(), "--trust", &trusting]);
    chatting.event("stream_open");
    showing.event("paired");
    showing.interrupt();
    assert_paired(&showing.wait(), &alice, &bob);
}

#[test]
fn a_fixed_code_that_others_can_read_is_warned_of() {
    let stage = Stage::new(Transport::Plain);
    let alice = stage.person("alice");
    let file = alice.file("code", "able baby cabbage");
    for (mode, warns) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("it is ours");
        let ended = show(&alice, &["--code-file", &file, "--expires-after", "1s"]).0.wait();
        let warning = format!("the code file {file} can be read by every user of this machine: chmod 600 {file}");
        assert_eq!(ended.stderr.contains(&warning), warns, "{}", ended.stderr);
    }
}

/// Bob has the code and gives his certificate. Then his server, which is Mallory's, comes with another one in his place.
#[test]
fn m05_who_takes_the_second_tunnel_of_a_pairing_with_another_certificate_is_not_trusted() {
    let stage = Stage::new(Transport::Plain);
    let (alice, mut bob) = (stage.person("alice"), stage.person("bob"));
    let (mut showing, shown) = show(&alice, &[]);
    let file = bob.file("code", text(&shown["code"]));
    let mut chatting = bob.start(&["chat", &alice.full(), "--srp-password-file", &file]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    let given = bob.fingerprint();
    bob.move_data("mallory");
    let refused = bob.run(&["chat", &alice.full(), "--leap-of-faith"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert_eq!(showing.event("secured")["method"], "srp");
    let ended = showing.wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for words in ["certificate of bob@localhost/xtls changed", &bob.fingerprint(), "nothing was remembered"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert_ne!(bob.fingerprint(), given);
    assert_eq!((ended.named("secured").count(), ended.named("paired").count()), (1, 0));
    assert!(trusted(&alice).is_empty(), "somebody is trusted");
}

#[test]
fn a_peer_with_another_certificate_needs_a_word_and_gets_it_from_the_user() {
    let stage = Stage::new(Transport::Plain);
    let (alice, mut bob) = (stage.person("alice"), stage.person("bob"));
    alice.trust(&bob);
    bob.move_data("new");
    let (showing, shown) = show(&alice, &[]);
    let mut entering = enter(&bob, &alice.full());
    entering.line(text(&shown["code"]));
    let (ended, other) = (showing.wait(), entering.wait());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("--replace") && ended.stderr.contains("--keep"), "{}", ended.stderr);
    assert_eq!(other.code, Some(3), "{}", other.stderr);
    for words in ["does not take our certificate", "nothing was remembered of this pairing"] {
        assert!(other.stderr.contains(words), "{words}: {}", other.stderr);
    }
    assert!(trusted(&bob).is_empty(), "somebody is trusted");
    let (showing, shown) = show(&alice, &["--replace"]);
    // By a bare address, as with `chat`.
    let mut entering = enter(&bob, &alice.bare());
    entering.line(text(&shown["code"]));
    assert_paired(&showing.wait(), &alice, &bob);
    assert_paired(&entering.wait(), &bob, &alice);
}

#[test]
fn another_login_of_the_account_takes_no_code_and_what_to_do_is_told() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let _listening = alice.listen(&[]);
    let mut entering = enter(&bob, &alice.full());
    entering.line(&another("able baby cabbage", &alice.bare()));
    let ended = entering.wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("the whole address that xtls pair shows there"), "{}", ended.stderr);
    assert_eq!(ended.named("wrong_code").count(), 0);
}

#[test]
fn the_end_where_the_code_is_typed_keeps_to_what_it_trusts_as_well() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, bob) = (stage.person("alice"), stage.person("bob"));
    bob.trust(&alice);
    alice.move_data("new");
    let (showing, shown) = show(&alice, &[]);
    let mut entering = enter(&bob, &alice.full());
    entering.line(text(&shown["code"]));
    let (showed, ended) = (showing.wait(), entering.wait());
    assert_eq!((showed.code, ended.code), (Some(4), Some(3)), "{} {}", showed.stderr, ended.stderr);
    assert!(ended.stderr.contains("--replace") && ended.stderr.contains("--keep"), "{}", ended.stderr);
    assert!(showed.stderr.contains("nothing was remembered of this pairing"), "{}", showed.stderr);
    assert!(trusted(&alice).is_empty(), "somebody is trusted");
    let known = trusted(&bob);
    assert_eq!((known.len(), text(&known[0]["learned"])), (1, "manual"));
}

#[test]
fn a_code_on_the_command_line_is_refused_unseen_and_nothing_is_sent() {
    let stage = Stage::new(Transport::Plain);
    let mut bob = stage.person("bob");
    let tap = Tap::start(stage.server.port());
    bob.address = tap.address();
    let ended = bob.run(&["pair", "xmpp:alice@localhost?xtls-pair;code=able-baby-cabbage-dad"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("never given on the command line") && !ended.stderr.contains("cabbage"),
        "{}",
        ended.stderr
    );
    // Nobody types anything.
    let ended = bob.run(&["pair", "alice@localhost/xtls"]);
    assert_eq!((ended.code, tap.sent().as_str()), (Some(2), ""), "{}", ended.stderr);
}

#[test]
fn tab_completes_the_words_of_a_code_and_a_typo_can_be_mended() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let (showing, shown) = show(&alice, &[]);
    let code = text(&shown["code"]).to_owned();
    let words: Vec<&str> = code.split(' ').collect();
    // The shortest beginning that no other word of the list has.
    let beginning = |word: &str| {
        let is_alone = |length: &usize| WORDS.lines().filter(|other| other.starts_with(&word[..*length])).count() == 1;
        let length = (1..=word.len()).find(is_alone).unwrap_or(word.len());
        word[..length].to_owned()
    };
    let mut entering = Terminal::start(&bob, 80, &["pair", &alice.full()]);
    let prompt = format!("The code or the link that {} shows:", alice.full());
    entering.at(&prompt);
    entering.keys("able able able able\r");
    entering.see("nothing was sent to alice@localhost/xtls: type it again");
    entering.at(&prompt);
    // Nothing that was typed comes back by the arrow key: it may be secret.
    entering.keys("\x1b[A");
    for (at, word) in words.iter().enumerate() {
        entering.keys(&format!("{}\t", beginning(word)));
        let typed = words[..=at].join(" ");
        let line = format!("{prompt} {typed}");
        entering.see(&line[..line.len().min(80)]);
        entering.keys(if at + 1 < words.len() { " " } else { "\r" });
    }
    let (ended, screen) = entering.wait();
    assert_eq!(ended, Some(0), "{screen}");
    assert!(screen.contains("* paired with alice@localhost/xtls") && !entering.is_raw(), "{screen}");
    assert_paired(&showing.wait(), &alice, &bob);
}

#[test]
fn ctrl_c_and_ctrl_d_at_the_prompt_for_a_code_end_it_and_leave_the_terminal_as_it_was() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    for (key, code) in [("\x03", 1), ("\x04", 2)] {
        let mut entering = Terminal::start(&bob, 80, &["pair", &alice.full()]);
        entering.at(&format!("The code or the link that {} shows:", alice.full()));
        entering.keys(key);
        let (ended, screen) = entering.wait();
        assert_eq!(ended, Some(code), "{screen}");
        assert!(!entering.is_raw());
    }
}

/// From fresh data directories: `pair` at both ends, then `listen` and `chat`, all at terminals. The code is all that is typed, and the
/// second chat asks nothing either.
fn from_nothing_to_a_chat_in_two_commands_each(alice: &Person, bob: &Person) {
    let mut showing = Terminal::start(alice, 80, &["pair"]);
    let code = showing.code();
    let mut entering = Terminal::start(bob, 80, &["pair", &alice.full()]);
    entering.at(&format!("The code or the link that {} shows:", alice.full()));
    entering.keys(&format!("{code}\r"));
    for end in [&mut entering, &mut showing] {
        let (ended, screen) = end.wait();
        assert_eq!(ended, Some(0), "{screen}");
    }
    for _ in 0..2 {
        let mut listening = Terminal::start(alice, 80, &["listen"]);
        listening.at(">");
        let mut chatting = Terminal::start(bob, 80, &["chat", &alice.bare()]);
        chatting.at(&format!("{}>", alice.bare()));
        chatting.keys("What's in a name?\r");
        chatting.line("", "\u{2713} What's in a name?");
        listening.line("", "What's in a name?");
        let screen = chatting.shown();
        assert!(screen.contains("    method      certificate (pinned)"), "{screen}");
        // Nobody is asked anything: the one question mark is Bob's own, as it was typed and as it was confirmed.
        assert_eq!(screen.matches('?').count(), 2, "{screen}");
        chatting.keys("\x04");
        assert_eq!(chatting.wait().0, Some(0));
        listening.see("* closed with");
        listening.keys("\x04");
        assert_eq!(listening.wait().0, Some(0));
    }
}

#[test]
fn from_nothing_to_a_chat_through_prosody() {
    let stage = Stage::new(Transport::StartTls);
    from_nothing_to_a_chat_in_two_commands_each(&stage.person("alice"), &stage.person("bob"));
}

#[test]
fn from_nothing_to_a_chat_through_ejabberd() {
    let server = Ejabberd::start(Certificate::Good);
    from_nothing_to_a_chat_in_two_commands_each(&server.person("alice"), &server.person("bob"));
}
