//! Files in chats, through real servers.

mod breaks;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xtls_interop::{Person, Prosody, Tap, Terminal, Xtls, noise, until};

/// The loopback network, which nobody connects to otherwise.
const LOOPBACK: [&str; 2] = ["--allow-network", "127.0.0.0/8"];

/// Alice chats with Bob, who listens. Each has a directory for what is sent and for what comes.
struct Room {
    server: Prosody,
    alice: Person,
    bob: Person,
    dir: tempfile::TempDir,
}

impl Room {
    fn new(server: Prosody) -> Self {
        let [alice, bob] = ["alice", "bob"].map(|name| server.person(name));
        alice.trust(&bob);
        bob.trust(&alice);
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["from", "alice", "bob"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Self { server, alice, bob, dir }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes a file to send, and gives its path.
    fn make(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.place("from").join(name);
        fs::write(&path, bytes).expect("a file");
        path.to_str().expect("it is UTF-8").to_owned()
    }

    /// Both, with messages open, and these options.
    fn open(&self, more: &[&str]) -> (Xtls, Xtls) {
        self.open_with(more, more)
    }

    fn open_with(&self, alices: &[&str], bobs: &[&str]) -> (Xtls, Xtls) {
        let [to_alice, to_bob] = ["alice", "bob"].map(|name| text(&self.place(name)));
        let mut bob = self.bob.start(&[&["listen", "--files-to", &to_bob], bobs].concat());
        bob.event("online");
        let full = self.bob.full();
        let mut alice = self.alice.start(&[&["chat", &full, "--files-to", &to_alice], alices].concat());
        alice.event("stream_open");
        bob.event("stream_open");
        (alice, bob)
    }

    /// What is in Bob's directory.
    fn came(&self) -> Vec<String> {
        names(&self.place("bob"))
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("it is UTF-8").to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("it is UTF-8")).collect();
    names.sort();
    names
}

fn end(mut alice: Xtls, bob: Xtls, code: i32) {
    alice.end_input();
    let ended = alice.wait();
    assert_eq!(ended.code, Some(code), "{:?}\n{}", ended.events, ended.stderr);
    let mut bob = bob;
    bob.event("closed");
    bob.end_input();
    let ended = bob.wait();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
}

fn offered(end: &mut Xtls) -> (Value, String, String) {
    let offered = end.event("file_offered");
    let line = |name: &str| offered[name].as_str().expect("a line").to_owned();
    let (yes, no) = (line("yes"), line("no"));
    (offered, yes, no)
}

#[test]
fn files_go_both_ways_in_a_chat_and_nothing_is_written_before_they_are_taken() {
    let mut room = Room::new(Prosody::with_proxy());
    let tap = Tap::start(room.server.port());
    room.alice.address = tap.address();
    let (mut alice, mut bob) = room.open(&LOOPBACK);
    let sent = noise(1, 3_000_000);
    let path = room.make("a letter.bin", &sent);
    alice.line(&format!("/send '{path}'"));
    let (told, yes, _) = offered(&mut bob);
    assert_eq!(
        (&told["name"], &told["size"], &told["files"]),
        (&"a letter.bin".into(), &3_000_000.into(), &Value::Null)
    );
    assert_eq!((&told["asks"], &told["peer"]), (&true.into(), &room.alice.full().as_str().into()));
    assert!(told["free"].as_u64().is_some_and(|free| free > 0), "{told}");
    alice.line("/files");
    let state = alice.event("file");
    assert_eq!((&state["state"], &state["direction"], &state["bytes"]), (&"offered".into(), &"out".into(), &0.into()));
    bob.line("/files");
    assert_eq!(bob.event("file")["state"], "asked");
    // A line that is no command is a message, whatever is asked.
    bob.line("yes");
    assert_eq!(alice.event("message")["body"], "yes");
    assert_eq!(room.came(), [""; 0], "nothing is written before it is taken");
    bob.line(&yes);
    let told = bob.event("file_received");
    assert_eq!(told["path"].as_str().map(Path::new), Some(room.place("bob/a letter.bin").as_path()), "{told}");
    assert!(fs::read(room.place("bob/a letter.bin")).expect("it is there") == sent);
    assert_eq!(alice.event("file_sent")["name"], "a letter.bin");
    // They went by a tunnel of their own, beside the one of the chat.
    assert!(tap.sent().len() < 1_000_000, "{}", tap.sent().len());
    // The same once more is asked about once more.
    alice.line(&format!("/send '{path}'"));
    let (.., no) = offered(&mut bob);
    bob.line(&no);
    alice.event("error");
    // And back: a directory, from the one who was called.
    let dir = room.place("from/photos");
    fs::create_dir_all(dir.join("empty")).expect("a directory");
    for name in ["1.jpg", "2.jpg"] {
        fs::write(dir.join(name), noise(2, 70_000)).expect("a file");
    }
    bob.line(&format!("/send {}", text(&dir)));
    let (told, ..) = offered(&mut alice);
    assert_eq!((&told["name"], &told["size"], &told["files"]), (&"photos".into(), &140_000.into(), &2.into()));
    alice.line("/take");
    alice.event("file_received");
    bob.event("file_sent");
    assert_eq!(names(&room.place("alice/photos")), ["1.jpg", "2.jpg", "empty"]);
    alice.line("/files");
    until("the end of it", || {
        alice.event("note")["message"].as_str().filter(|said| *said == "no file is on its way").map(drop)
    });
    end(alice, bob, 1);
    assert_eq!(room.came(), ["a letter.bin"], "nothing else is left");
}

#[test]
fn what_is_refused_leaves_nothing_and_several_are_told_apart_by_their_numbers() {
    let room = Room::new(Prosody::with_proxy());
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    let paths = ["one", "two", "three"].map(|name| room.make(name, name.as_bytes()));
    let mut lines = Vec::new();
    for (path, name) in paths.iter().zip(["one", "two", "three"]) {
        alice.line(&format!("/send {path}"));
        let (told, yes, no) = offered(&mut bob);
        assert_eq!(told["name"], name);
        lines.push((yes, no));
    }
    bob.line("/take");
    let why = bob.event("error");
    assert!(why["message"].as_str().is_some_and(|why| why.starts_with("several are offered")), "{why}");
    bob.line("/take 99");
    bob.event("error");
    bob.line(&lines[1].1);
    assert_eq!(bob.event("note")["message"], "two of alice@localhost/xtls is refused");
    let why = alice.event("error");
    assert_eq!(why["message"], "bob@localhost/xtls does not want two");
    bob.line(&lines[2].0);
    assert_eq!(bob.event("file_received")["name"], "three");
    assert_eq!(alice.event("file_sent")["name"], "three");
    bob.line(&lines[0].0);
    assert_eq!(alice.event("file_sent")["name"], "one");
    bob.line("/refuse");
    let why = bob.event("error");
    assert_eq!(why["message"], "nothing is offered to you");
    // What cannot be sent is said, and nothing is offered.
    alice.line("/send");
    assert_eq!(alice.event("error")["message"], "nothing was sent: name files or directories: /send FILE");
    alice.line("/send 'half");
    assert_eq!(alice.event("error")["message"], "nothing was sent: a quote is not closed");
    alice.line("/send /nowhere/at/all");
    let why = alice.event("error");
    assert!(why["message"].as_str().is_some_and(|why| why.contains("/nowhere/at/all")), "{why}");
    end(alice, bob, 1);
    assert_eq!(room.came(), ["one", "three"]);
}

#[test]
fn xtls_send_and_xtls_receive_talk_to_chats() {
    let room = Room::new(Prosody::with_proxy());
    let sent = noise(5, 400_000);
    let path = room.make("letter.bin", &sent);
    let mut bob = room.bob.start(&[&["listen", "--files-to", &text(&room.place("bob"))], &LOOPBACK[..]].concat());
    bob.event("online");
    let sending = room.alice.start(&[&["send", &path, &room.bob.full()], &LOOPBACK[..]].concat());
    let (_, yes, _) = offered(&mut bob);
    bob.line(&yes);
    bob.event("file_received");
    let ended = sending.wait();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
    assert!(fs::read(room.place("bob/letter.bin")).expect("it is there") == sent);
    bob.end_input();
    assert_eq!(bob.wait().code, Some(0));
    // And a chat with one that receives.
    let to = text(&room.place("alice"));
    let mut receiving =
        room.bob.start(&[&["receive", &to, "--accept-from", &room.alice.bare()], &LOOPBACK[..]].concat());
    receiving.event("online");
    let mut alice = room.alice.start(&[&["chat", &room.bob.full()], &LOOPBACK[..]].concat());
    alice.event("stream_open");
    alice.line("here it comes");
    assert_eq!(receiving.event("message")["body"], "here it comes");
    alice.line(&format!("/send {path}"));
    alice.event("file_sent");
    // It has what it wanted, and leaves.
    let ended = receiving.wait();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
    let ended = alice.wait();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
    assert!(fs::read(room.place("alice/letter.bin")).expect("it is there") == sent);
}

#[test]
fn where_nobody_could_take_files_none_are_supported() {
    let room = Room::new(Prosody::with_proxy());
    let path = room.make("letter.bin", b"x");
    let mut bob = room.bob.start(&["listen", "--echo"]);
    bob.event("online");
    let ended = room.alice.start(&["send", &path, &room.bob.full()]).wait();
    assert_eq!(ended.code, Some(1), "{:?}\n{}", ended.events, ended.stderr);
    assert!(ended.stderr.contains("takes no files like letter.bin"), "{}", ended.stderr);
}

#[test]
fn a_directory_for_files_that_is_not_there_or_is_of_no_use_is_wrong_usage() {
    let room = Room::new(Prosody::with_proxy());
    let ended = room.bob.start(&["listen", "--files-to", "/nowhere/at/all"]).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("/nowhere/at/all"), "{}", ended.stderr);
    // And so is one where nobody could take any.
    let ended = room.bob.start(&["listen", "--echo", "--files-to", &text(&room.place("bob"))]).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--files-to is for files that you take"), "{}", ended.stderr);
}

#[test]
fn at_terminals_files_are_offered_taken_and_completed_beside_the_line_that_is_typed() {
    let room = Room::new(Prosody::with_proxy());
    let sent = noise(6, 6_000_000);
    room.make("my film.bin", &sent);
    let to = text(&room.place("bob"));
    let more = ["--transport", "in-band"];
    let mut bob = Terminal::start(&room.bob, 80, &[&["listen", "--files-to", &to], &more[..]].concat());
    bob.at(">");
    let mut alice = Terminal::start(&room.alice, 80, &[&["chat", &room.bob.full()], &more[..]].concat());
    alice.at("bob@localhost>");
    bob.see("* lines go to alice@localhost");
    // Tab completes the command and the name, with what its blank needs.
    alice.keys("/sen\t");
    alice.at("bob@localhost> /send");
    alice.keys(&format!(" {}/my\t", text(&room.place("from"))));
    until("the name", || alice.shown().replace('\n', "").ends_with("my\\ film.bin").then_some(()));
    alice.keys("\r");
    bob.see("* alice@localhost/xtls offers my film.bin (6.0 MB); there is room for ");
    bob.see("Take it? Type /take 1 or /refuse 1");
    alice.see("* my film.bin is offered to bob@localhost/xtls");
    bob.keys("/take 1\r");
    bob.at("alice@localhost>");
    // What is typed stays where it is, while a line above it says how far it is.
    bob.keys("wait, it is com");
    let progress = bob.line("  ", " left");
    assert!(progress.contains(" of 6.0 MB received, "), "{progress}");
    bob.at("alice@localhost> wait, it is com");
    let before = bob.line("  ", " left");
    until("the line to change", || (bob.line("  ", " left") != before).then_some(()));
    bob.at("alice@localhost> wait, it is com");
    let lines = |shown: String| shown.lines().filter(|line| line.contains(" of 6.0 MB received")).count();
    assert_eq!(lines(bob.shown()), 1, "{}", bob.shown());
    alice.keys("are you there?\r");
    bob.line("", " alice@localhost: are you there?");
    assert_eq!(lines(bob.shown()), 1, "{}", bob.shown());
    // However slow the machine is, it goes on.
    let progress = |shown: String| shown.lines().find(|line| line.contains(" of 6.0 MB received")).map(str::to_owned);
    while let Some(before) = progress(bob.shown()) {
        until("the line to change", || (progress(bob.shown()).as_ref() != Some(&before)).then_some(()));
    }
    bob.see("* received my film.bin (6.0 MB) from alice@localhost/xtls");
    until("the line to go", || (lines(bob.shown()) == 0).then_some(()));
    bob.at("alice@localhost> wait, it is com");
    bob.keys("ing\r");
    alice.line("", " bob@localhost: wait, it is coming");
    alice.see("* bob@localhost/xtls has my film.bin (6.0 MB)");
    assert!(fs::read(room.place("bob/my film.bin")).expect("it is there") == sent);
    alice.keys("/files\r");
    alice.see("* no file is on its way");
    alice.keys("\x04");
    let (code, shown) = alice.wait();
    assert_eq!(code, Some(0), "{shown}");
    bob.see("* closed with");
    bob.keys("\x04");
    let (code, shown) = bob.wait();
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn a_name_is_one_name_whatever_is_in_it() {
    let room = Room::new(Prosody::with_proxy());
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    let long = "x".repeat(255);
    for name in ["-rf $(reboot) 'it'; yes.txt", "take 1\u{e9} ~", "%s%n&amp;", &long] {
        let path = room.make(name, name.as_bytes());
        alice.line(&format!("/send \"{}\"", path.replace('$', "\\$")));
        let (told, yes, _) = offered(&mut bob);
        assert_eq!(told["name"], name);
        bob.line(&yes);
        let ends = [bob.event("file_received"), alice.event("file_sent")];
        assert!(ends.iter().all(|told| told["name"] == name), "{ends:?}");
        assert_eq!(fs::read(room.place("bob").join(name)).expect("it is there"), name.as_bytes());
    }
    // What means something else on other systems is refused before anybody hears of it.
    for name in ["CON", "a\u{202e}gpj.exe", "a\nb", "a\\b"] {
        let path = room.make(name, b"x");
        alice.line(&format!("/send '{}'", text(Path::new(&path).parent().expect("a directory"))));
        let why = alice.event("error");
        assert!(why["message"].as_str().is_some_and(|why| why.starts_with("nothing was sent: ")), "{why}");
        fs::remove_file(path).expect("it was there");
    }
    end(alice, bob, 1);
}
