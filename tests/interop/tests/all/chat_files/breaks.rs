//! Many files in one chat, and what breaks them off.

use std::fs;

use xtls_interop::{Prosody, noise, until};

use super::{LOOPBACK, Room, end, names, offered, text};

#[test]
fn no_more_than_eight_are_sent_at_once() {
    let room = Room::new(Prosody::with_proxy());
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    let path = room.make("letter", b"x");
    for _ in 0..8 {
        alice.line(&format!("/send {path}"));
        bob.event("file_offered");
    }
    alice.line(&format!("/send {path}"));
    let why = alice.event("error");
    assert!(why["message"].as_str().is_some_and(|why| why.starts_with("nothing was sent: 8 others")), "{why}");
    bob.line("/refuse 3");
    alice.event("error");
    alice.line(&format!("/send {path}"));
    bob.event("file_offered");
    end(alice, bob, 1);
    assert_eq!(room.came(), [""; 0]);
}

#[test]
fn messages_go_on_beside_a_file_in_band_and_the_end_of_the_chat_breaks_it_off_until_the_next_time() {
    let room = Room::new(Prosody::with_proxy());
    let sent = noise(3, 12_000_000);
    let path = room.make("film.bin", &sent);
    let (mut alice, mut bob) = room.open_with(&["--transport", "in-band"], &LOOPBACK);
    alice.line(&format!("/send {path}"));
    let (_, yes, _) = offered(&mut bob);
    bob.line(&yes);
    let progress = alice.event("file_progress");
    assert_eq!((&progress["name"], &progress["direction"]), (&"film.bin".into(), &"out".into()));
    for number in 0..10 {
        alice.line(&format!("out {number}"));
        bob.line(&format!("back {number}"));
        assert_eq!(bob.event("message")["body"], format!("out {number}").as_str());
        assert_eq!(alice.event("message")["body"], format!("back {number}").as_str());
    }
    bob.line("/files");
    let state = bob.event("file");
    assert_eq!((&state["state"], &state["size"]), (&"moving".into(), &12_000_000.into()));
    alice.end_input();
    let ended = alice.wait();
    assert_eq!(ended.code, Some(1), "{:?}\n{}", ended.events, ended.stderr);
    assert!(ended.stderr.contains("film.bin: the transfer was broken off; when it is sent again"), "{}", ended.stderr);
    let why = bob.event("error");
    assert!(
        why["message"].as_str().is_some_and(|why| why.starts_with("film.bin: alice@localhost/xtls ended it")),
        "{why}"
    );
    bob.event("closed");
    let part = room.place("bob/film.bin.xtls-part");
    let there = until("what has come", || fs::metadata(&part).ok()).len();
    assert!(there > 0 && there < 12_000_000, "{there}");
    // The next chat goes on where it stopped.
    let mut alice = room.alice.start(&[&["chat", &room.bob.full()], &LOOPBACK[..]].concat());
    alice.event("stream_open");
    alice.line(&format!("/send {path}"));
    let (_, yes, _) = offered(&mut bob);
    bob.line(&yes);
    for end in [&mut alice, &mut bob] {
        assert_eq!(end.event("file_started")["there"], there);
    }
    bob.event("file_received");
    alice.event("file_sent");
    assert!(fs::read(room.place("bob/film.bin")).expect("it is there") == sent);
    end(alice, bob, 0);
    assert_eq!(room.came(), ["film.bin"]);
}

#[test]
fn who_offers_breaks_it_off_and_so_does_who_takes() {
    let room = Room::new(Prosody::with_proxy());
    let path = room.make("film.bin", &noise(4, 8_000_000));
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    for breaks in ["alice", "bob"] {
        alice.line(&format!("/send {path}"));
        let (_, yes, no) = offered(&mut bob);
        bob.line(&yes);
        bob.event("file_progress");
        if breaks == "alice" {
            alice.line("/files");
            let number = alice.event("file")["number"].clone();
            alice.line(&format!("/refuse {number}"));
        } else {
            bob.line(&no);
        }
        for end in [&mut alice, &mut bob] {
            let why = end.event("error");
            assert!(why["message"].as_str().is_some_and(|why| why.contains("the transfer was broken off")), "{why}");
        }
    }
    end(alice, bob, 1);
    assert_eq!(room.came(), ["film.bin.xtls-part", "film.bin.xtls-part.info"]);
}

#[test]
fn a_file_that_a_killed_peer_was_taking_is_told_as_not_sent_and_goes_on_when_it_is_there_again() {
    let room = Room::new(Prosody::with_proxy());
    let sent = noise(7, 12_000_000);
    let path = room.make("film.bin", &sent);
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    alice.line(&format!("/send {path}"));
    let (_, yes, _) = offered(&mut bob);
    bob.line(&yes);
    let part = room.place("bob/film.bin.xtls-part");
    until("a part of the file", || fs::metadata(&part).ok().filter(|part| part.len() > 0));
    bob.kill();
    let why = alice.event("error");
    assert!(why["message"].as_str().is_some_and(|why| why.starts_with("film.bin: ")), "{why}");
    let ended = alice.wait();
    assert_eq!(ended.code, Some(4), "{:?}\n{}", ended.events, ended.stderr);
    let there = fs::metadata(&part).expect("what has come").len();
    assert!(there < 12_000_000, "{there}");
    let (mut alice, mut bob) = room.open(&LOOPBACK);
    alice.line(&format!("/send {path}"));
    let (_, yes, _) = offered(&mut bob);
    bob.line(&yes);
    assert_eq!(bob.event("file_started")["there"], there);
    bob.event("file_received");
    alice.event("file_sent");
    assert!(fs::read(room.place("bob/film.bin")).expect("it is there") == sent);
    end(alice, bob, 0);
    assert_eq!(room.came(), ["film.bin"]);
}

#[test]
fn eight_directories_go_each_way_at_once() {
    let room = Room::new(Prosody::with_proxy());
    let (mut alice, mut bob) = room.open(&["--transport", "in-band"]);
    let mut answers = Vec::new();
    for number in 0..8 {
        let dir = room.place(&format!("from/{number}"));
        fs::create_dir(&dir).expect("a directory");
        for name in ["a", "b"] {
            fs::write(dir.join(name), noise(number, 60_000)).expect("a file");
        }
        alice.line(&format!("/send {}", text(&dir)));
        bob.line(&format!("/send {}", text(&dir)));
        for end in [&mut alice, &mut bob] {
            answers.push(offered(end).1);
        }
    }
    for (at, yes) in answers.iter().enumerate() {
        if at % 2 == 0 { &mut alice } else { &mut bob }.line(yes);
    }
    for end in [&mut alice, &mut bob] {
        for _ in 0..8 {
            end.event("file_sent");
        }
    }
    for name in ["alice", "bob"] {
        assert_eq!(names(&room.place(name)), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        for number in 0..8 {
            for file in ["a", "b"] {
                let came = fs::read(room.place(&format!("{name}/{number}/{file}"))).expect("it is there");
                assert!(came == noise(number, 60_000), "{number}/{file}");
            }
        }
    }
    end(alice, bob, 0);
}
