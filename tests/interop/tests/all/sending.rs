//! `xtls send` and `xtls receive` through real servers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtls_interop::{Ended, Person, Prosody, Terminal, Xtls, noise, until};

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

/// Numbers below a thousand that nobody would guess, the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 1000
    }
}

impl Post {
    /// How much of a file has come.
    fn part(&self, name: &str) -> u64 {
        fs::metadata(self.to(&format!("{name}.xtls-part"))).map_or(0, |metadata| metadata.len())
    }

    /// Sends this, while one of the two is killed so many times, and then to the end. Each time exactly what is there is not
    /// sent again.
    fn send_with_breaks(&self, path: &Path, [out, back]: [&[&str]; 2], breaks: u32, chance: &mut Chance) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("it has a name");
        let size = fs::metadata(path).expect("a file").len();
        for number in 0..breaks {
            let (mut receiving, mut sending) = (self.receive(back), self.send(&[path], out));
            let before = self.part(name);
            let started = receiving.event("file_started");
            assert_eq!(started["there"], before, "{started}");
            assert_eq!(sending.event("file_started")["there"], before);
            // Somewhere in what is left, and with room for the breaks that follow.
            let wanted = before + (size - before) / 1000 * chance.next() / u64::from(breaks - number + 1);
            until("a part of the file", || (self.part(name) > wanted).then_some(()));
            if chance.next() < 500 {
                receiving.kill();
                let sending = sending.wait();
                assert_eq!(sending.code, Some(4), "{:?}", sending.events);
            } else {
                sending.kill();
                // Whoever receives waits for the next one, until it is killed as well.
                receiving.event("closed");
            }
            assert!(self.part(name) < size, "it was too quick");
        }
        let before = self.part(name);
        assert!(breaks == 0 || before > 0);
        let (receiving, sending) = (self.receive(back), self.send(&[path], out));
        let (sending, received) = (sending.wait(), receiving.wait());
        assert_done(&sending);
        assert_done(&received);
        for ended in [&sending, &received] {
            assert_eq!(ended.named("file_started").next().expect("it is told")["there"], before);
        }
    }
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
fn a_gibibyte_gets_there_through_a_proxy_and_directly_with_ends_that_are_killed_five_times() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("large.bin");
    fill(&path, 1074);
    let direct = [&["--transport", "direct"][..], &LOOPBACK].concat();
    let here = [&direct[..], &["--listen-address", "127.0.0.1"]].concat();
    let proxy = [&["--transport", "proxy"][..], &LOOPBACK].concat();
    let mut chance = Chance(5);
    for ways in [[&proxy[..], &proxy], [&here, &direct]] {
        post.send_with_breaks(&path, ways, 5, &mut chance);
        assert_same(&path, &post.to("large.bin"));
        fs::remove_file(post.to("large.bin")).expect("it is there");
        assert_eq!(fs::read_dir(post.to("")).expect("a directory").count(), 0, "nothing is left");
    }
}

#[test]
fn a_byte_that_was_changed_in_the_partial_file_is_noticed_and_it_begins_anew() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter.bin");
    fill(&path, 60);
    let mut chance = Chance(1);
    let (mut receiving, mut sending) = (post.receive(&LOOPBACK), post.send(&[&path], &LOOPBACK));
    receiving.event("file_started");
    until("a part of the file", || (post.part("letter.bin") > 1_000_000).then_some(()));
    receiving.kill();
    sending.kill();
    let part = post.to("letter.bin.xtls-part");
    let there = post.part("letter.bin");
    let mut bytes = fs::read(&part).expect("it is there");
    let at = usize::try_from(chance.next()).expect("it fits") * 1000 % bytes.len();
    bytes[at] ^= 1;
    fs::write(&part, bytes).expect("it is ours");
    let (receiving, sending) = (post.receive(&LOOPBACK), post.send(&[&path], &LOOPBACK));
    let (sending, received) = (sending.wait(), receiving.wait());
    assert_done(&sending);
    assert_done(&received);
    let began: Vec<_> = received.named("file_started").map(|started| started["there"].as_u64()).collect();
    assert_eq!(began, [Some(there), Some(0)]);
    assert_same(&path, &post.to("letter.bin"));
}

#[test]
fn a_directory_goes_on_where_it_stopped() {
    let post = Post::new(Prosody::with_proxy());
    let root = post.from("photos");
    fs::create_dir_all(root.join("empty")).expect("a directory");
    for number in 0..30_usize {
        fill(&root.join(format!("{number}.raw")), number % 5);
    }
    let (mut receiving, mut sending) = (post.receive(&LOOPBACK), post.send(&[&root], &LOOPBACK));
    receiving.event("file_started");
    until("some files", || (tree(&post.to("photos.xtls-part")).len() > 10).then_some(()));
    sending.kill();
    receiving.kill();
    let there: u64 =
        tree(&post.to("photos.xtls-part")).values().map(|bytes| u64::try_from(bytes.len()).expect("it fits")).sum();
    assert!(there > 0);
    let (receiving, sending) = (post.receive(&LOOPBACK), post.send(&[&root], &LOOPBACK));
    let (sending, received) = (sending.wait(), receiving.wait());
    assert_done(&sending);
    assert_done(&received);
    assert_eq!(received.named("file_started").next().expect("it is told")["there"], there);
    assert!(tree(&root) == tree(&post.to("photos")) && post.to("photos/empty").is_dir());
}

#[test]
fn a_byte_that_was_changed_in_one_of_several_is_noticed_before_the_rest_of_it_comes() {
    let post = Post::new(Prosody::with_proxy());
    let root = post.from("photos");
    fs::create_dir(&root).expect("a directory");
    for (name, megabytes) in [("a", 1), ("b", 60), ("c", 2)] {
        fill(&root.join(name), megabytes);
    }
    let limited = [&LOOPBACK[..], &["--rate-limit", "30M"]].concat();
    let (mut receiving, mut sending) = (post.receive(&LOOPBACK), post.send(&[&root], &limited));
    receiving.event("file_started");
    let part = post.to("photos.xtls-part/b");
    until("a part of the second file", || {
        fs::metadata(&part).ok().filter(|metadata| metadata.len() > 10_000_000).map(|_| ())
    });
    receiving.kill();
    sending.kill();
    let mut bytes = fs::read(&part).expect("it is there");
    assert!(bytes.len() < 60_000_000, "it was too quick");
    bytes[1_234_567] ^= 1;
    fs::write(&part, bytes).expect("it is ours");
    let (receiving, sending) = (post.receive(&LOOPBACK), post.send(&[&root], &LOOPBACK));
    let (sending, received) = (sending.wait(), receiving.wait());
    assert_done(&sending);
    assert_done(&received);
    // It never was complete and wrong.
    assert_eq!(received.named("warning").count(), 0, "{:?}", received.events);
    assert!(tree(&root) == tree(&post.to("photos")));
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
fn no_more_is_sent_than_the_rate_allows_and_a_file_that_changes_meanwhile_is_noticed() {
    let post = Post::new(Prosody::with_proxy());
    for (name, change) in [("shorter", 400_000), ("longer", 3_000_000), ("same", 2_000_000)] {
        let path = post.from(name);
        fs::write(&path, noise(1, 2_000_000)).expect("a file");
        let mut receiving = post.receive(&LOOPBACK);
        let sending = post.send(&[&path], &[&LOOPBACK[..], &["--rate-limit", "500k"]].concat());
        receiving.event("file_started");
        until("a part of the file", || (post.part(name) > 100_000).then_some(()));
        fs::write(&path, noise(2, change)).expect("it is ours");
        let sending = sending.wait();
        assert_eq!(sending.code, Some(1), "{name}: {:?}", sending.events);
        assert!(sending.stderr.contains(" while it was being sent: send it again"), "{}", sending.stderr);
        let told = receiving.event("error");
        assert!(told["message"].as_str().is_some_and(|said| said.contains("changed")), "{told}");
        assert!(!post.to(name).exists());
        // Sent again it begins anew, as it is another file by now.
        let sending = post.send(&[&path], &LOOPBACK).wait();
        assert_done(&sending);
        assert!(fs::read(post.to(name)).expect("it is there") == noise(2, change));
        assert_done(&receiving.wait());
    }
}

#[test]
fn a_rate_that_is_given_is_kept() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter");
    fs::write(&path, noise(1, 1_500_000)).expect("a file");
    let receiving = post.receive(&LOOPBACK);
    let sending = post.send(&[&path], &[&LOOPBACK[..], &["--rate-limit", "500k"]].concat()).wait();
    assert_done(&sending);
    assert_done(&receiving.wait());
    // Three seconds, less what goes in one go at the beginning: two ticks at least lie in that.
    let ticks = sending.named("file_progress").count();
    assert!(ticks >= 2, "{:?}", sending.events);
    assert!(sending.named("file_progress").all(|tick| tick["bytes_per_second"].as_u64() < Some(650_000)));
}

#[test]
fn a_disk_that_is_full_is_told_at_both_ends_and_what_came_is_kept() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("large");
    fill(&path, 6);
    let to = post.to("");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&to).status();
    assert!(mounted.expect("mount runs").success(), "a small disk cannot be mounted: these tests need root");
    let mount = Mount(to);
    let mut receiving = post.receive(&LOOPBACK);
    let sending = post.send(&[&path], &[&LOOPBACK[..], &["--rate-limit", "2M"]].concat());
    receiving.event("file_started");
    // Somebody else takes the room that was there.
    fs::write(post.to("other"), noise(3, 4_000_000)).expect("there is room for that");
    let sending = sending.wait();
    assert_eq!(sending.code, Some(1), "{:?}", sending.events);
    let told = receiving.event("error");
    assert!(told["message"].as_str().is_some_and(|said| said.contains("there is no room")), "{told}");
    let there = post.part("large");
    assert!(there > 0 && there < 6_000_000, "{there}");
    // With room it goes on from there.
    fs::remove_file(post.to("other")).expect("it is ours");
    let sending = post.send(&[&path], &LOOPBACK).wait();
    assert_done(&sending);
    assert_eq!(sending.named("file_started").next().expect("it is told")["there"], there);
    assert_done(&receiving.wait());
    assert_same(&path, &post.to("large"));
    // One that is too large from the beginning is declined before a byte comes.
    let path = post.from("larger");
    fill(&path, 30);
    let mut receiving = post.receive(&LOOPBACK);
    let sending = post.send(&[&path], &LOOPBACK).wait();
    assert_eq!(sending.code, Some(1), "{:?}", sending.events);
    assert!(receiving.event("error")["message"].as_str().is_some_and(|said| said.contains("there is no room")));
    drop((receiving, mount));
}

/// Something that is mounted until this is dropped.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn what_no_receiver_takes_is_told_before_anything_is_sent() {
    let post = Post::new(Prosody::with_proxy());
    for name in ["a:b", "CON", "ends with a dot."] {
        let path = post.from(name);
        fs::write(&path, "words").expect("a file");
        let sending = post.send(&[&path], &[]).wait();
        assert_eq!(sending.code, Some(1), "{name}: {:?}", sending.events);
        assert!(sending.stderr.contains("no receiver takes this name"), "{name}: {}", sending.stderr);
        assert!(sending.named("online").next().is_none(), "it is known without the server");
    }
    let sending = post.send(&[&post.from("missing")], &[]).wait();
    assert_eq!(sending.code, Some(1));
    assert!(sending.stderr.contains("missing"), "{}", sending.stderr);
    let receiving = post.bob.start(&["receive", "/there/is/none"]).wait();
    assert_eq!(receiving.code, Some(2), "{}", receiving.stderr);
}

#[test]
fn whoever_waits_sends_as_soon_as_the_peer_is_there_and_goes_on_when_it_comes_back() {
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter.bin");
    fill(&path, 60);
    let mut sending = post.send(&[&path], &[&LOOPBACK[..], &["--wait"]].concat());
    sending.event("waiting");
    let mut receiving = post.receive(&LOOPBACK);
    sending.event("file_started");
    until("a part of the file", || (post.part("letter.bin") > 1_000_000).then_some(()));
    receiving.kill();
    sending.event("closed");
    sending.event("waiting");
    let there = post.part("letter.bin");
    let receiving = post.receive(&LOOPBACK);
    let sending = sending.wait();
    assert_done(&sending);
    let started: Vec<_> = sending.named("file_started").map(|started| started["there"].as_u64()).collect();
    assert_eq!(started, [Some(0), Some(there)]);
    assert_done(&receiving.wait());
    assert_same(&path, &post.to("letter.bin"));
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
