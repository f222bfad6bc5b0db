//! Files that change, disks that are full, names that no receiver takes, and rates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use xtls_interop::{Prosody, noise, until};

use super::{LOOPBACK, Post, assert_done, assert_same, fill};

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
