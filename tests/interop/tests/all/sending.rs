//! `xtls send` and `xtls receive` through real servers.

use std::fs;
use std::path::{Path, PathBuf};

use xtls_interop::{Ended, Person, Prosody, Xtls, noise};

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
fn tree(root: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
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
