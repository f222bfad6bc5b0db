//! Bytes between two `xtls link --pipe`, without a server.

use std::io::{Read, Write};
use std::thread;

use xtls_interop::{Ended, Machine, Xtls, drain, feed, noise};

const MIB: usize = 1 << 20;

/// Both ends of an open link, Romeo's first.
fn open(machines: &[Machine; 2], args: [&[&str]; 2]) -> [Xtls; 2] {
    let [romeo, juliet] = machines;
    let (mut listening, port) = juliet.listen(&[&["--pipe"], args[1]].concat());
    let mut connected = romeo.connect(juliet, port, &[&["--pipe"], args[0]].concat());
    connected.event("stream_open");
    listening.event("stream_open");
    [connected, listening]
}

fn assert_done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!((&closed["truncated"], &closed["unacked"]), (&false.into(), &0.into()));
}

/// The one error of a command that ended with code 4.
fn error(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    ended.named("error").next().and_then(|error| error["message"].as_str()).expect("an error is told")
}

#[test]
fn sixty_four_mebibytes_each_way_at_once() {
    let mut ends = open(&Machine::friends(), [&[], &[]]);
    let sent = [noise(1, 64 * MIB), noise(2, 64 * MIB)];
    let outputs = ends.each_mut().map(drain);
    let inputs = [feed(&mut ends[0], sent[0].clone()), feed(&mut ends[1], sent[1].clone())];
    let [at_romeo, at_juliet] = outputs.map(|output| output.join().expect("all is read"));
    assert!(at_juliet == sent[0], "{} bytes came to Juliet, or others", at_juliet.len());
    assert!(at_romeo == sent[1], "{} bytes came to Romeo, or others", at_romeo.len());
    for input in inputs {
        input.join().expect("all is taken");
    }
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn with_a_password_too_one_direction_ends_and_the_other_goes_on() {
    let machines = Machine::strangers();
    let files = machines.each_ref().map(|machine| machine.file("password", "a rose"));
    let args = files.each_ref().map(|file| ["--srp-password-file", file.as_str()]);
    let mut ends = open(&machines, [&args[0], &args[1]]);
    let [at_romeo, at_juliet] = ends.each_mut().map(drain);
    let mut from_romeo = ends[0].take_stdin();
    feed(&mut ends[1], b"all\0\xff\r\nof it".to_vec()).join().expect("it is taken");
    assert_eq!(at_romeo.join().expect("it is read"), b"all\0\xff\r\nof it");
    let answer = noise(3, 4 * MIB);
    from_romeo.write_all(&answer).expect("the other direction goes on");
    drop(from_romeo);
    assert!(at_juliet.join().expect("it is read") == answer);
    let ends = ends.map(Xtls::wait);
    ends.iter().for_each(assert_done);
    assert!(ends.iter().flat_map(|end| end.named("secured")).all(|secured| secured["method"] == "srp"));
}

#[test]
fn an_output_that_nobody_reads_stops_the_peers_input() {
    let mut ends = open(&Machine::friends(), [&[], &[]]);
    let mut stdin = ends[0].take_stdin();
    let sent = noise(4, 16 * MIB);
    let all = sent.clone();
    let (taken, progress) = std::sync::mpsc::channel();
    let writer = thread::spawn(move || {
        for piece in all.chunks(64 * 1024) {
            stdin.write_all(piece).expect("it is taken in the end");
            let _ = taken.send(piece.len());
        }
    });
    // It has stopped when nothing more is taken for a while.
    let mut count = 0;
    while let Ok(piece) = progress.recv_timeout(std::time::Duration::from_secs(2)) {
        count += piece;
    }
    assert!(count < 4 * MIB, "{count} bytes were taken that nobody has read");
    let at_juliet = drain(&mut ends[1]);
    ends[1].end_input();
    writer.join().expect("all is taken");
    assert!(at_juliet.join().expect("all is read") == sent);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn a_peer_that_is_killed_or_gives_up_leaves_a_count() {
    for kill in [true, false] {
        let mut ends = open(&Machine::friends(), [&[], &[]]);
        let mut stdin = ends[0].take_stdin();
        stdin.write_all(b"not all").expect("it is taken");
        let mut from_juliet = ends[1].take_stdout();
        from_juliet.read_exact(&mut [0; 7]).expect("it comes through");
        if kill {
            ends[1].kill();
        } else {
            // Standard output that nobody reads any more is found out by the next bytes.
            drop(from_juliet);
            // The link may end before all of these are taken.
            let _ = stdin.write_all(&noise(5, MIB));
        }
        let [connected, listening] = ends;
        let ended = connected.wait();
        let words = error(&ended);
        assert!(words.contains("bytes of standard input were not acknowledged"), "{words}");
        assert_eq!(ended.named("closed").next().expect("the end is told")["truncated"], kill);
        if !kill {
            assert_eq!(listening.wait().code, Some(1));
        }
    }
}

#[test]
fn an_interruption_before_the_end_is_not_done_at_either_end() {
    // Of the sender, and of the receiver.
    for interrupted in [0, 1] {
        let mut ends = open(&Machine::friends(), [&[], &[]]);
        ends[1].end_input();
        let mut stdin = ends[0].take_stdin();
        let mut from_juliet = ends[1].take_stdout();
        stdin.write_all(b"so far").expect("it is taken");
        from_juliet.read_exact(&mut [0; 6]).expect("it comes through");
        ends[interrupted].interrupt();
        let mut rest = Vec::new();
        from_juliet.read_to_end(&mut rest).expect("it ends");
        assert_eq!(rest, b"");
        let ends = ends.map(Xtls::wait);
        assert_eq!(ends[interrupted].code, Some(1), "{:?}", ends[interrupted].events);
        let words = error(&ends[1 - interrupted]);
        assert!(words.contains("before all bytes had passed"), "{words}");
        drop(stdin);
    }
}

#[test]
fn a_terminal_is_no_input_and_one_that_stays_open_is_told() {
    for at_a_terminal in [true, false] {
        let machines = Machine::friends();
        let [romeo, juliet] = &machines;
        let (mut listening, port) =
            if at_a_terminal { juliet.listen_at_a_terminal(&["--pipe"]) } else { juliet.listen(&["--pipe"]) };
        let mut connected = romeo.connect(juliet, port, &["--pipe"]);
        let at_juliet = drain(&mut listening);
        feed(&mut connected, b"all of it".to_vec()).join().expect("it is taken");
        assert_eq!(at_juliet.join().expect("it is read"), b"all of it");
        if !at_a_terminal {
            assert_eq!(listening.event("warning")["peer"], romeo.jid);
            listening.interrupt();
        }
        [connected.wait(), listening.wait()].iter().for_each(assert_done);
    }
}

#[test]
fn bytes_and_messages_do_not_go_together() {
    let [romeo, juliet] = Machine::friends();
    let (mut listening, port) = juliet.listen(&[]);
    let ended = romeo.connect(&juliet, port, &["--pipe"]).wait();
    assert!(error(&ended).contains("juliet@pronto takes no bytes"), "{:?}", ended.events);
    listening.event("closed");
    let (piping, port) = juliet.listen(&["--pipe"]);
    let mut connected = romeo.connect(&juliet, port, &[]);
    connected.line("Wherefore?");
    let ended = piping.wait();
    // Which of the two faults comes first is open.
    assert!(error(&ended).contains("--pipe is for both ends"), "{:?}", ended.events);
    assert_eq!(connected.event("closed")["by"], "remote");
}
