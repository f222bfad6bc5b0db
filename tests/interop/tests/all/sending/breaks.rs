//! What breaks, and goes on where it stopped.

use std::fs;
use std::path::Path;

use xtls_interop::{Prosody, until};

use super::{LOOPBACK, Post, assert_done, assert_same, fill, tree};

/// Numbers below a thousand that nobody would guess, the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 1000
    }
}

/// What the command itself holds of a file that it sends: read ahead, and in the tunnel.
const HELD: u64 = 4 << 20;

/// The most that the sockets of one connection hold of what one end has sent, and the other has not read.
fn in_sockets() -> u64 {
    let most = |name: &str| {
        let sizes = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("the kernel says so");
        sizes.split_whitespace().last().and_then(|size| size.parse::<u64>().ok()).expect("it is a number")
    };
    most("tcp_rmem") + most("tcp_wmem")
}

impl Post {
    /// It is there, and nothing else; then it is taken away.
    fn has_come(&self, path: &Path) {
        let there = self.to(path.file_name().and_then(|name| name.to_str()).expect("it has a name"));
        assert_same(path, &there);
        fs::remove_file(there).expect("it is there");
        assert_eq!(fs::read_dir(self.to("")).expect("a directory").count(), 0, "nothing is left");
    }

    /// How much of a file has come.
    pub(super) fn part(&self, name: &str) -> u64 {
        fs::metadata(self.to(&format!("{name}.xtls-part"))).map_or(0, |metadata| metadata.len())
    }

    /// Waits until more than this has come, or everything, as long as it goes on: how fast that is depends on the machine.
    fn wait_for(&self, name: &str, wanted: u64) {
        let is_whole = || self.to(name).exists();
        let mut there = self.part(name);
        while there <= wanted && !is_whole() {
            until("more of the file", || (self.part(name) > there || is_whole()).then_some(()));
            there = self.part(name);
        }
    }

    /// Sends this, while one of the two is killed so many times, and then to the end. Each time exactly what is there is not
    /// sent again; at most `tail` bytes of what was sent are not there.
    fn send_with_breaks(&self, path: &Path, [out, back]: [&[&str]; 2], breaks: u32, chance: &mut Chance, tail: u64) {
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
            self.wait_for(name, wanted);
            sending.pause();
            // More was not sent: what is read ahead counts as if it were.
            let sent = sending.position(path);
            if chance.next() < 500 {
                receiving.kill();
                sending.unpause();
                let sending = sending.wait();
                assert_eq!(sending.code, Some(4), "{:?}", sending.events);
            } else {
                sending.kill();
                // Whoever receives waits for the next one, until it is killed as well.
                receiving.event("closed");
            }
            let there = self.part(name);
            assert!(there < size, "it was too quick");
            let twice = sent - there;

            assert!(twice <= tail, "{twice} bytes are sent twice, and {tail} may be on their way");
        }
        let before = self.part(name);
        assert!(breaks == 0 || before > 0);
        let (receiving, sending) = (self.receive(back), self.send(&[path], out));
        self.wait_for(name, size);
        let (sending, received) = (sending.wait(), receiving.wait());
        assert_done(&sending);
        assert_done(&received);
        for ended in [&sending, &received] {
            assert_eq!(ended.named("file_started").next().expect("it is told")["there"], before);
        }
    }
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
    for (ways, connections) in [([&proxy[..], &proxy], 2), ([&here, &direct], 1)] {
        post.send_with_breaks(&path, ways, 5, &mut chance, HELD + connections * in_sockets());
        post.has_come(&path);
    }
}

#[test]
fn in_band_no_more_than_a_window_is_sent_twice_after_either_end_was_killed() {
    // docs/performance.md: the window has a MiB at the most.
    let window = 1 << 20;
    let post = Post::new(Prosody::with_proxy());
    let path = post.from("letter.bin");
    fill(&path, 60);
    let in_band = &["--transport", "in-band"][..];
    post.send_with_breaks(&path, [in_band, in_band], 3, &mut Chance(2), HELD + window);
    post.has_come(&path);
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
