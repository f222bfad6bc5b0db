//! The tokio client of the guide, two of it through a real Prosody.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use xtls_interop::{Prosody, Tap, build, noise, until};

const PASSWORD: &str = "Which password do you share with ";
const CERTIFICATE: &str = " shows the certificate sha-256:";

/// A client that runs, and somebody who types.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<String>,
    /// What was read of what it says.
    read: Vec<String>,
    /// What its peer has to see.
    fingerprint: String,
}

impl Client {
    /// Alice or Bob, who keeps everything in a directory of their own in this one, and connects there.
    fn start(server: &Prosody, dir: &Path, name: &'static str, address: &str) -> Self {
        let peer = if name == "alice" { "bob" } else { "alice" };
        let mut child = Command::new(build("chat-client"))
            .args([format!("{name}@localhost/pc"), format!("{peer}@localhost")])
            .arg(dir.join(name))
            .arg(address)
            .env("XTLS_PASSWORD", Prosody::password(name))
            // It trusts the authorities of the platform, which this variable replaces.
            .env("SSL_CERT_FILE", server.ca_file())
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let (sender, said) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let stdin = child.stdin.take();
        let mut started = Self { child, stdin, said, read: Vec::new(), fingerprint: String::new() };
        let online = started.hear("online as ");
        let (jid, fingerprint) = online.split_once(", with the certificate sha-256:").expect("it says who it is");
        assert_eq!(jid, format!("online as {name}@localhost/pc"));
        started.fingerprint = fingerprint.to_owned();
        started
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("it is not ended"), "{line}").expect("the example reads its input");
    }

    /// The next line that has these words in it.
    fn hear(&mut self, words: &str) -> String {
        self.hear_one_of(&[words])
    }

    fn hear_one_of(&mut self, words: &[&str]) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("waited for {words:?} after {:#?}", self.read));
            self.read.push(line.clone());
            if words.iter().any(|words| line.contains(words)) {
                return line;
            }
        }
    }

    /// Answers what it is asked until there is a chat, and tells how that is secured.
    fn chat(&mut self, password: &str, theirs: &str) -> String {
        loop {
            let line = self.hear_one_of(&[PASSWORD, CERTIFICATE, "chat with "]);
            if line.contains(PASSWORD) {
                self.type_line(password);
            } else if let Some((_, asked)) = line.split_once(CERTIFICATE) {
                assert_eq!(asked, format!("{theirs}, known were []. Trust it? (yes)"));
                self.type_line("yes");
            } else {
                return line;
            }
        }
    }

    /// How often it said something with these words so far.
    fn count(&self, words: &str) -> usize {
        self.read.iter().filter(|line| line.contains(words)).count()
    }

    /// Ends its input, and waits for it to end.
    fn end(mut self) {
        drop(self.stdin.take());
        let status = until("the example to end", || self.child.try_wait().expect("it can be waited for"));
        assert!(status.success(), "{:#?}", self.read);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Alice says hello to Bob, and both answer what they are asked.
fn meet(alice: &mut Client, bob: &mut Client, password: &str) -> [String; 2] {
    alice.type_line("hello");
    let (hers, his) = (alice.fingerprint.clone(), bob.fingerprint.clone());
    // Each of them may be asked first.
    let secured = thread::scope(|scope| {
        let one = scope.spawn(|| alice.chat(password, &his));
        let other = bob.chat(password, &hers);
        [one.join().expect("Alice has a chat"), other]
    });
    assert_eq!(bob.hear("\""), "\"hello\"");
    bob.type_line("good day");
    assert_eq!(alice.hear("\""), "\"good day\"");
    secured
}

/// Writes a file for Alice, and gives its name and what is in it.
fn file(dir: &TempDir, name: &str, size: usize) -> (PathBuf, Vec<u8>) {
    let (path, content) = (dir.path().join(name), noise(7, size));
    fs::write(&path, &content).expect("a file is written");
    (path, content)
}

/// Waits until both say that the file is there, which it is, and that its progress was told.
fn assert_arrives(alice: &mut Client, bob: &mut Client, dir: &TempDir, path: &Path, content: &[u8]) {
    alice.hear("is there");
    bob.hear("has come");
    let name = path.file_name().expect("it has a name");
    assert!(fs::read(dir.path().join("bob/received").join(name)).expect("it was received") == content);
    let progress = |line: &String| line.split_once(": ")?.1.split_once(" of ")?.0.parse::<usize>().ok();
    let told: Vec<usize> = alice.read.iter().filter_map(progress).collect();
    assert!(told.is_sorted() && told.len() > content.len() / (32 * 1024), "{told:?}");
    assert_eq!(told.last(), Some(&content.len()));
}

#[test]
fn the_tokio_client_of_the_guide_has_less_than_120_lines() {
    let code = include_str!("../../../../examples/chat-client/src/main.rs");
    // Blank lines and those that are all comment do not count.
    let lines = code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(lines.count() < 120);
}

#[test]
fn two_clients_of_the_guide_chat_send_a_file_and_know_one_another_the_next_time() {
    let (server, dir) = (Prosody::resuming(), tempfile::tempdir().expect("a temporary directory"));
    let start = |name| Client::start(&server, dir.path(), name, &server.address());
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    for secured in meet(&mut alice, &mut bob, "") {
        assert!(secured.contains("x509") && secured.contains("TLS 1.3"), "{secured}");
    }
    assert_eq!((alice.count(CERTIFICATE), bob.count(CERTIFICATE)), (1, 1));

    let (path, content) = file(&dir, "a letter.bin", 300_000);
    alice.type_line(&format!("/file {}", path.display()));
    assert_arrives(&mut alice, &mut bob, &dir, &path, &content);
    // What has a name already is not written over.
    alice.type_line(&format!("/file {}", path.display()));
    bob.hear("exists");
    alice.type_line("did you get it?");
    assert_eq!(bob.hear("\"did"), "\"did you get it?\"");
    alice.end();
    bob.hear("the chat is over");
    bob.end();

    let (mut alice, mut bob) = (start("alice"), start("bob"));
    meet(&mut bob, &mut alice, "");
    for client in [&alice, &bob] {
        assert_eq!(client.count(CERTIFICATE) + client.count(PASSWORD), 0, "{:#?}", client.read);
    }
    bob.end();
    alice.end();
}

#[test]
fn clients_of_the_guide_that_share_a_password_are_asked_for_it_and_need_nothing_else() {
    let (server, dir) = (Prosody::resuming(), tempfile::tempdir().expect("a temporary directory"));
    let start = |name| Client::start(&server, dir.path(), name, &server.address());
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    for secured in meet(&mut alice, &mut bob, "a rose by any other name") {
        assert!(secured.contains("srp"), "{secured}");
    }
    for client in [&alice, &bob] {
        assert_eq!((client.count(CERTIFICATE), client.count(PASSWORD)), (0, 1), "{:#?}", client.read);
    }
    // Each tunnel is secured by itself. Who offers it is asked once the other end has said that it has a password.
    let (path, content) = file(&dir, "letter", 40_000);
    alice.type_line(&format!("/file {}", path.display()));
    for client in [&mut bob, &mut alice] {
        client.hear(PASSWORD);
        client.type_line("a rose by any other name");
    }
    assert_arrives(&mut alice, &mut bob, &dir, &path, &content);
    alice.end();
    bob.end();
}

#[test]
fn a_client_of_the_guide_whose_connection_is_cut_loses_neither_its_file_nor_its_chat() {
    let (server, dir) = (Prosody::resuming(), tempfile::tempdir().expect("a temporary directory"));
    let tap = Tap::start(server.port());
    let mut alice = Client::start(&server, dir.path(), "alice", &tap.address());
    let mut bob = Client::start(&server, dir.path(), "bob", &server.address());
    meet(&mut alice, &mut bob, "");

    let (path, content) = file(&dir, "book", 2_000_000);
    alice.type_line(&format!("/file {}", path.display()));
    alice.hear("bytes");
    assert_eq!(tap.cut(), 1);
    bob.type_line("are you there?");
    assert_arrives(&mut alice, &mut bob, &dir, &path, &content);
    assert_eq!(alice.count("online as "), 1, "{:#?}", alice.read);
    assert_eq!(alice.count("\"are you there?\""), 1, "{:#?}", alice.read);
    assert!(tap.cut() >= 2, "it has connected again");
    assert!(server.log().contains("mod_smacks resuming existing session"), "{}", server.log());

    // By now it is cut again, in the middle of nothing.
    alice.type_line("I am back");
    assert_eq!(bob.hear("\"I am"), "\"I am back\"");
    assert_eq!((alice.count("chat with"), bob.count("chat with"), bob.count("the chat is over")), (1, 1, 0));
    alice.end();
    bob.end();
}
