//! Chats at a terminal: what is told stands above the line that is being typed, and nothing that was typed is lost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;

use xtls_interop::{Person, Stage, Tap, Terminal, Transport, Xtls, until};

/// Alice at a terminal with so many columns, with a tunnel to Bob, whose lines come from a program.
fn alice(stage: &Stage, columns: u16) -> (Terminal, Xtls) {
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let chatting = Terminal::start(&alice, columns, &["chat", &bob.full()]);
    chatting.at("bob@localhost>");
    listening.event("stream_open");
    (chatting, listening)
}

/// Calls somebody by a name in their configuration file.
fn call(person: &Person, name: &str, peer: &str) {
    let dir = person.data_dir().join("xtls");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("config.toml"), format!("[peers]\n{name} = \"{peer}\"\n")).expect("a file");
}

/// What a screen shows, with the times of day alike.
fn without_times(shown: &str) -> Vec<String> {
    let time = |line: &str| {
        let bytes = line.as_bytes();
        bytes.len() > 6 && bytes[2] == b':' && bytes[5] == b' ' && bytes[0].is_ascii_digit()
    };
    shown.lines().map(|line| if time(line) { format!("12:00{}", &line[5..]) } else { line.to_owned() }).collect()
}

#[test]
fn two_users_chat_at_terminals_and_see_who_speaks_and_what_has_come() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    call(&bob, "Alice", &alice.bare());
    let mut listening = Terminal::start(&bob, 80, &["listen"]);
    listening.at(">");
    let mut chatting = Terminal::start(&alice, 80, &["chat", &bob.full()]);
    chatting.at("bob@localhost>");
    listening.see("* lines go to alice@localhost");
    chatting.keys("hello\r");
    chatting.line("", "\u{2713} hello");
    listening.line("", " alice: hello");
    // The first line was begun before anybody had come; from the next one on it says whom it is for.
    listening.keys("good even\r");
    listening.line("", "\u{2713} good even");
    listening.at("alice>");
    chatting.line("", " bob@localhost: good even");
    chatting.keys("/who\r/help\r//quit\r");
    listening.line("", " alice: /quit");
    chatting.line("", "\u{2713} /quit");
    chatting.keys("/quit\r");
    let (code, shown) = chatting.wait();
    assert_eq!(code, Some(0), "{shown}");
    let shown = without_times(&shown);
    let from = shown.iter().position(|line| line.starts_with("* open with")).expect("it opened");
    let told: Vec<&str> = shown[from..].iter().map(String::as_str).filter(|line| !line.starts_with("    ")).collect();
    assert_eq!(
        told,
        [
            "* open with bob@localhost/xtls",
            "bob@localhost> hello",
            "12:00 \u{2713} hello",
            "12:00 bob@localhost: good even",
            "bob@localhost> /who",
            "* bob@localhost/xtls, by certificate, lines go there",
            "bob@localhost> /help",
            "/to PEER      lines go to this peer from now on; /to alone says whom they go to",
            "/who          whom you are connected with, and by which certificates",
            "/verify       compare a short string with a peer met by a leap of faith;",
            "/send FILE... send files or directories to the peer that lines go to; quotes,",
            "/take 1       take what a peer offers as number 1; /refuse 1 says no to it, or",
            "/files        what is on its way, with numbers",
            "/help         these lines",
            "/quit         end, once everything is sent; Ctrl-D does the same",
            "//to ...      the message /to ...; so for each of these",
            "Everything else is a message.",
            "bob@localhost> //quit",
            "12:00 \u{2713} /quit",
            "bob@localhost> /quit",
            "* closed with bob@localhost/xtls, by local: done",
        ]
    );
    listening.see("* closed with alice@localhost/xtls");
    listening.keys("\x04");
    let (code, shown) = listening.wait();
    assert_eq!(code, Some(0), "{shown}");
    // Colours, and none of what the editor has changed, is left: the terminal is as it was.
    assert!(listening.came().contains("\x1b[1;36malice\x1b[0m") && listening.came().contains("\x1b[?2004l\r\x1b[J"));
    assert!(!listening.is_raw() && !chatting.is_raw());
}

#[test]
fn what_comes_while_a_line_is_half_typed_stands_above_it() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = alice(&stage, 80);
    assert!(alice.is_raw());
    alice.keys("Wherfore art");
    alice.at("bob@localhost> Wherfore art");
    for line in ["first", "second", "third"] {
        bob.line(line);
    }
    alice.line("", "bob@localhost: third");
    alice.at("bob@localhost> Wherfore art");
    // Eight to the left, a letter, and to the end.
    alice.keys(&"\x1b[D".repeat(8));
    alice.keys("e");
    bob.line("fourth");
    alice.line("", "bob@localhost: fourth");
    alice.keys("\x1b[F thou\r");
    assert_eq!(bob.event("message")["body"], "Wherefore art thou");
    // What was typed before comes back by the arrow up, and Tab completes commands.
    alice.line("", "\u{2713} Wherefore art thou");
    alice.keys("\x1b[A Romeo\r");
    assert_eq!(bob.event("message")["body"], "Wherefore art thou Romeo");
    // A message of several lines cannot pass for one of somebody else, nor write to the terminal.
    let shown = alice.shown();
    let order: Vec<&str> = shown.lines().filter_map(|line| line.split("bob@localhost: ").nth(1)).collect();
    assert_eq!(order, ["first", "second", "third", "fourth"]);
    alice.keys("/he\t\r");
    alice.see("Everything else is a message.");
    alice.keys("\x04");
    assert_eq!(alice.wait().0, Some(0));
}

#[test]
fn a_message_of_several_lines_passes_for_nobody_else_and_writes_nothing_to_the_terminal() {
    let stage = Stage::new(Transport::Plain);
    let (alice_is, bob_is) = stage.friends();
    let bob = Terminal::start(&bob_is, 80, &["listen"]);
    bob.at(">");
    let mut alice = Terminal::start(&alice_is, 80, &["chat", &bob_is.full()]);
    alice.at("bob@localhost>");
    alice.paste("one\n12:00 carol@localhost: two\u{9b}2J\nthree");
    alice.keys("\r");
    bob.line("      ", "three");
    let shown = bob.shown();
    let lines: Vec<&str> = shown.lines().skip_while(|line| !line.ends_with("alice@localhost: one")).collect();
    assert_eq!(lines[1..3], ["      12:00 carol@localhost: two\\u{9b}2J", "      three"], "{shown}");
    alice.keys("\x04");
    assert_eq!(alice.wait().0, Some(0));
    drop(bob);
}

#[test]
fn what_is_pasted_is_one_message_up_to_64_kib() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = alice(&stage, 80);
    let text: String = (0..1024).map(|line| format!("{line:<59}\n")).collect();
    assert_eq!(text.len(), 60 * 1024);
    alice.paste(&text);
    alice.keys("\r");
    assert_eq!(bob.event("message")["body"], text.as_str());
    let most = "x".repeat(64 * 1024);
    alice.paste(&most);
    alice.keys("\r");
    assert_eq!(bob.event("message")["body"], most.as_str());
    alice.paste(&format!("{most}y"));
    alice.keys("\r");
    alice.see("line 3 for bob@localhost was not sent: it is longer than 64 KiB");
    // Without a terminal that marks what is pasted, every line is a message.
    alice.keys("one\rtwo\rthree\r");
    for line in ["one", "two", "three"] {
        assert_eq!(bob.event("message")["body"], line);
    }
    alice.keys("\x04");
    assert_eq!(alice.wait().0, Some(1));
}

#[test]
fn ctrl_c_ends_in_order_and_a_second_one_at_once() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = alice(&stage, 80);
    alice.keys("half a li");
    alice.at("bob@localhost> half a li");
    alice.keys("\x03");
    let closed = bob.event("closed");
    assert_eq!((&closed["by"], &closed["truncated"]), (&"remote".into(), &false.into()));
    let (code, shown) = alice.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!alice.is_raw());
    // Before there is a tunnel nothing is edited, and Ctrl-C is the signal.
    let (carol, absent) = (stage.person("carol"), stage.person("bob"));
    carol.trust(&absent);
    bob.end_input();
    assert_eq!(bob.wait().code, Some(0));
    let listening = Terminal::start(&carol, 80, &["listen"]);
    listening.at(">");
    let mut listening = listening;
    listening.keys("\x03");
    let (code, _) = listening.wait();
    assert_eq!(code, Some(0));
}

#[test]
fn ctrl_z_stops_it_and_it_goes_on_with_the_line_that_was_begun() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = Terminal::shell(&alice, 80, &["chat", &bob.full()]);
    chatting.at("bob@localhost>");
    chatting.keys("my bounty is");
    chatting.at("bob@localhost> my bounty is");
    chatting.keys("\x1a");
    chatting.see("[stopped with ");
    until("the terminal of the shell", || (!chatting.is_raw()).then_some(()));
    listening.line("while it is stopped");
    chatting.keys("\n");
    chatting.line("", "bob@localhost: while it is stopped");
    chatting.at("bob@localhost> my bounty is");
    chatting.keys(" as boundless\r");
    assert_eq!(listening.event("message")["body"], "my bounty is as boundless");
    chatting.keys("\x04");
    chatting.see("[ended with 0]");
    let _ = chatting.wait();
}

#[test]
fn a_window_of_20_columns_and_one_that_changes_its_width() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = alice(&stage, 20);
    alice.keys("soft; what light through");
    alice.at(" what light through");
    bob.line("Juliet?");
    alice.see("Juliet?");
    alice.at(" what light through");
    let shown = alice.shown();
    let typed: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(typed, [" what light through", "bob@localhost> soft;"], "{shown}");
    alice.resize(80);
    alice.keys(" yonder window");
    alice.line("bob@localhost> soft;", "through yonder window");
    alice.resize(20);
    alice.keys(" breaks\r");
    assert_eq!(bob.event("message")["body"], "soft; what light through yonder window breaks");
    alice.keys("\x04");
    assert_eq!(alice.wait().0, Some(0));
}

#[test]
fn a_peer_that_leaves_gives_the_terminal_back() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, mut bob) = alice(&stage, 80);
    alice.keys("I have more care to st");
    alice.at("bob@localhost> I have more care to st");
    bob.end_input();
    let (code, shown) = alice.wait();
    assert_eq!(code, Some(0), "{shown}");
    // What was begun is left to be read, and what was told stands above it.
    let last: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(
        last,
        ["bob@localhost> I have more care to st", "* closed with bob@localhost/xtls, by remote: done"],
        "{shown}"
    );
    assert!(!alice.is_raw());
}

#[test]
fn a_line_that_nobody_has_confirmed_is_named_when_the_tunnel_breaks() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice_is, bob_is) = stage.friends();
    let tap = Tap::start(stage.server.port());
    alice_is.address = tap.address();
    let mut bob = bob_is.listen(&[]);
    let mut alice = alice_is.start(&["chat", &bob_is.full()]);
    alice.event("stream_open");
    alice.line("first");
    let confirmed = alice.event("delivered");
    assert_eq!((&confirmed["line"], &confirmed["peer"]), (&1.into(), &bob_is.full().as_str().into()));
    bob.event("stream_open");
    bob.pause();
    let sent = tap.sent().len();
    alice.line("second");
    let _ = tap.sent_after(sent, "<data ");
    bob.kill();
    let lost = alice.event("undelivered");
    assert_eq!((&lost["line"], &lost["peer"]), (&2.into(), &bob_is.full().as_str().into()));
    let ended = alice.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 2 for bob@localhost/xtls was not confirmed, and may not have arrived: second"));
    assert_eq!(ended.named("delivered").count(), 1);
}

#[test]
fn without_colours_and_at_a_terminal_without_a_cursor() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let _listening = bob.listen(&["--echo"]);
    let chat = |variable: (&str, &str)| {
        let mut terminal = Terminal::start_with(&alice, 80, &["chat", &bob.full()], variable);
        terminal.see("* open with");
        terminal.keys("hello\r");
        terminal.line("", ": hello");
        terminal.keys("\x04");
        assert_eq!(terminal.wait().0, Some(0));
        terminal.came()
    };
    let plain = chat(("NO_COLOR", "1"));
    assert!(!plain.contains("\x1b[1m") && !plain.contains("\x1b[1;") && !plain.contains("\x1b[2m"), "{plain}");
    assert!(plain.contains("bob@localhost> ") && plain.contains(" bob@localhost: hello"), "{plain}");
    let dumb = chat(("TERM", "dumb"));
    assert!(!dumb.contains('\x1b') && dumb.contains("bob@localhost/xtls: hello"), "{dumb}");
}

#[test]
fn several_peers_are_served_and_lines_go_to_the_chosen_one_alone() {
    let stage = Stage::new(Transport::Plain);
    let (alice_is, bob_is, carol_is) = (stage.person("alice"), stage.person("bob"), stage.person("carol"));
    for (one, other) in [(&alice_is, &bob_is), (&carol_is, &bob_is)] {
        one.trust(other);
        other.trust(one);
    }
    call(&bob_is, "capulet", &carol_is.bare());
    let mut bob = Terminal::start(&bob_is, 80, &["listen"]);
    bob.at(">");
    let mut alice = alice_is.start(&["chat", &bob_is.full()]);
    alice.event("stream_open");
    bob.see("* lines go to alice@localhost");
    let mut carol = carol_is.start(&["chat", &bob_is.full()]);
    carol.event("stream_open");
    bob.see("* open with carol@localhost/xtls");
    carol.line("it is me");
    bob.line("", " capulet: it is me");
    bob.keys("one\r");
    assert_eq!(alice.event("message")["body"], "one");
    bob.at("alice@localhost>");
    bob.keys("/to cap\t\r");
    bob.at("capulet>");
    bob.keys("two\r/who\r");
    assert_eq!(carol.event("message")["body"], "two");
    bob.see("* carol@localhost/xtls, by certificate, lines go there");
    assert!(bob.shown().lines().any(|line| line == "* alice@localhost/xtls, by certificate"), "{}", bob.shown());
    carol.end_input();
    let ended = carol.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Nobody else gets what was meant for her.
    bob.see("* lines are for carol@localhost, who is not there");
    bob.keys("three\r");
    bob.see("line 5 for carol@localhost was not sent");
    bob.keys("\x04");
    assert_eq!(bob.wait().0, Some(4));
    let ended = alice.wait();
    assert_eq!(ended.named("message").count(), 1);
}

#[test]
fn no_terminal_no_editor() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let _listening = bob.listen(&["--echo"]);
    let mut command: Command = Xtls::command(alice.data_dir());
    command.args(["chat", &bob.full(), "--jid", &alice.full(), "--server", &alice.address, "--insecure-plaintext"]);
    command.env("XTLS_PASSWORD", &alice.password).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"/help\n").expect("it reads");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let told: Vec<String> = lines
        .by_ref()
        .map(|line| line.expect("it is text"))
        // A script's lines are messages, and nothing but messages.
        .take_while(|line| line != "bob@localhost/xtls: /help")
        .collect();
    drop(stdin);
    assert!(lines.by_ref().all(|line| line.is_ok_and(|line| line.starts_with("* closed"))));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{told:?}");
    assert!(!told.concat().contains('\x1b') && told.last().is_some_and(|line| line.starts_with("* open")), "{told:?}");
}
