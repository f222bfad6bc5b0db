//! `xtls send` and `xtls receive` through real servers.

mod breaks;
mod faults;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtls_interop::{Ended, Person, Prosody, Terminal, Xtls, noise};

/// The loopback network, which nobody connects to otherwise.
const LOOPBACK: [&str; 2] = ["--allow-network", "127.0.0.0/8"];

/// Alice sends, and Bob has a directory to receive into.
struct Post {
    _server: Prosody,
    alice: Person,
    bob: Person,
    dir: tempfile::TempDir,
}

impl Post {
    fn new(server: Prosody) -> Self {
        let [alice, bob] = ["alice", "bob"].map(|name| server.person(name));
        alice.trust(&bob);
        bob.trust(&alice);
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["from", "to"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Self { _server: server, alice, bob, dir }
    }

    fn from(&self, name: &str) -> PathBuf {
        self.dir.path().join("from").join(name)
    }

    fn to(&self, name: &str) -> PathBuf {
        self.dir.path().join("to").join(name)
    }

    /// Bob takes whatever Alice sends.
    fn receive(&self, args: &[&str]) -> Xtls {
        let (to, from) = (self.to(""), self.alice.bare());
        let to = to.to_str().expect("it is UTF-8");
        let mut receiving = self.bob.start(&[&["receive", to, "--accept-from", &from], args].concat());
        receiving.event("online");
        receiving
    }

    fn send(&self, paths: &[&Path], args: &[&str]) -> Xtls {
        let paths = paths.iter().map(|path| path.to_str().expect("it is UTF-8"));
        let to = self.bob.full();
        let all: Vec<&str> =
            std::iter::once("send").chain(paths).chain([to.as_str()]).chain(args.iter().copied()).collect();
        self.alice.start(&all)
    }
}

fn assert_done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
}

#[test]
fn a_file_gets_there_in_band_and_through_a_proxy_and_directly() {
    let post = Post::new(Prosody::with_proxy());
    let sent = noise(1, 5_000_000);
    let path = post.from("letter.bin");
    fs::write(&path, &sent).expect("a file");
    let direct = [&["--transport", "direct"][..], &LOOPBACK].concat();
    let here = [&direct[..], &["--listen-address", "127.0.0.1"]].concat();
    let ways: [(&[&str], &[&str]); 3] =
        [(&["--transport", "in-band"], &["--transport", "in-band"]), (&LOOPBACK, &LOOPBACK), (&here, &direct)];
    for (number, (out, back)) in ways.into_iter().enumerate() {
        let receiving = post.receive(back);
        let sending = post.send(&[&path], out).wait();
        let received = receiving.wait();
        assert_done(&sending);
        assert_done(&received);
        let told = received.named("file_received").next().expect("it is told");
        let name = if number == 0 { "letter.bin".to_owned() } else { format!("letter ({number}).bin") };
        assert_eq!(told["path"].as_str().map(Path::new), Some(post.to(&name).as_path()), "{told}");
        assert!(fs::read(post.to(&name)).expect("it is there") == sent);
        let told = sending.named("file_sent").next().expect("it is told");
        assert_eq!((&told["name"], &told["size"]), (&"letter.bin".into(), &5_000_000.into()), "{told}");
    }
    let there: Vec<_> = fs::read_dir(post.to("")).expect("a directory").collect();
    assert_eq!(there.len(), 3, "nothing else is left: {there:?}");
}

/// Files in a directory, by their paths below it.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut below = vec![root.to_owned()];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is below").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn a_directory_of_a_thousand_files_gets_there() {
    let post = Post::new(Prosody::with_proxy());
    let root = post.from("photos");
    for number in 0..1000_u32 {
        let dir = root.join(format!("{}/{}", number % 7, number % 3));
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(
            dir.join(format!("{number}.jpg")),
            noise(number.into(), usize::try_from(number * 37 % 20_011).expect("it fits")),
        )
        .expect("a file");
    }
    let receiving = post.receive(&LOOPBACK);
    let sending = post.send(&[&root], &LOOPBACK).wait();
    let received = receiving.wait();
    assert_done(&sending);
    assert_done(&received);
    assert!(tree(&root) == tree(&post.to("photos")));
    assert_eq!(tree(&post.to("")).len(), 1000, "nothing else is left");
}

/// So many bytes in a file.
fn fill(path: &Path, megabytes: usize) {
    let mut file = fs::File::create(path).expect("a file");
    let block = noise(7, 1_000_000);
    for number in 0..megabytes {
        // No two blocks are the same.
        file.write_all(&number.to_le_bytes()).expect("there is room");
        file.write_all(&block[8..]).expect("there is room");
    }
}

fn assert_same(one: &Path, other: &Path) {
    let same = Command::new("cmp").args([one, other]).status().expect("cmp runs");
    assert!(same.success(), "{} and {} differ", one.display(), other.display());
}

#[test]
fn a_user_who_does_not_want_it_is_believed_and_nothing_is_written() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter.bin");
    fs::write(&path, noise(3, 1000)).expect("a file");
    let to = post.to("");
    let mut receiving = post.bob.start(&["receive", to.to_str().expect("it is UTF-8"), "--transport", "in-band"]);
    receiving.event("online");
    let sending = post.send(&[&path], &[]);
    let offered = receiving.event("file_offered");
    assert_eq!((&offered["asks"], &offered["size"]), (&true.into(), &1000.into()), "{offered}");
    receiving.line("what is it?");
    receiving.line("no");
    let sending = sending.wait();
    assert_eq!(sending.code, Some(1), "{:?}", sending.events);
    assert!(sending.stderr.contains("does not want letter.bin"), "{}", sending.stderr);
    // Another time it is wanted.
    receiving.event("closed");
    let sending = post.send(&[&path], &[]);
    receiving.event("file_offered");
    assert_eq!(fs::read_dir(post.to("")).expect("a directory").count(), 0);
    receiving.line("yes");
    assert_done(&sending.wait());
    assert_done(&receiving.wait());
    assert!(fs::read(post.to("letter.bin")).expect("it is there") == noise(3, 1000));
}

#[test]
fn at_terminals_the_one_is_asked_and_both_see_how_far_it_is() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter.bin");
    fill(&path, 40);
    let to = post.to("");
    let to = to.to_str().expect("it is UTF-8");
    let mut receiving = Terminal::start(&post.bob, 100, &[&["receive", to], &LOOPBACK[..]].concat());
    receiving.see("* online as");
    let (file, peer) = (path.to_str().expect("it is UTF-8"), post.bob.full());
    let limited = [&["send", file, &peer, "--rate-limit", "15M"], &LOOPBACK[..]].concat();
    let mut sending = Terminal::start(&post.alice, 100, &limited);
    sending.see("* letter.bin is offered to bob@localhost/xtls");
    receiving.see("offers letter.bin (40 MB); there is room for ");
    receiving.at("Take it? Type yes or no:");
    receiving.keys("perhaps\r");
    receiving.see("answer yes or no");
    receiving.keys("yes\r");
    sending.see(" of 40 MB sent, ");
    receiving.see(" of 40 MB received, ");
    let (code, shown) = sending.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("has letter.bin (40 MB)"), "{shown}");
    let (code, shown) = receiving.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("* received letter.bin (40 MB) from alice@localhost/xtls"), "{shown}");
    assert_same(&path, &post.to("letter.bin"));
}
