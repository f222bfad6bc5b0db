//! Bytes through `xtls pipe`, and a real Prosody between its two ends.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use xtls_interop::{Ended, Person, Stage, Tap, Transport, Xtls, drain, feed, noise};

const MIB: usize = 1 << 20;

fn listen(person: &Person, args: &[&str]) -> Xtls {
    let mut all = vec!["pipe", "--listen"];
    all.extend(args);
    let mut listening = person.start(&all);
    listening.event("online");
    listening
}

/// Both ends of a tunnel, Alice's first.
fn open(alice: &Person, bob: &Person, args: &[&str]) -> [Xtls; 2] {
    let mut listening = listen(bob, args);
    let to = bob.full();
    let mut all = vec!["pipe", &to];
    all.extend(args);
    let mut piping = alice.start(&all);
    piping.event("secured");
    listening.event("secured");
    [piping, listening]
}

fn assert_done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!((&closed["truncated"], &closed["unacked"]), (&false.into(), &0.into()));
}

/// What is known of the peer's receipt.
fn receipt(ended: &Ended) -> Option<&str> {
    ended.named("closed").next()?.get("receipt")?.as_str()
}

/// The one error, which ends with a count of bytes.
fn unacked(ended: &Ended) -> u64 {
    let error = ended.named("error").next().expect("an error is told");
    let message = error["message"].as_str().expect("it has words");
    let words = message.strip_suffix(" bytes of standard input were not acknowledged").expect("it ends with a count");
    words.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a count")
}

fn exchange(ends: &mut [Xtls; 2], length: usize) {
    let sent = [noise(1, length), noise(2, length)];
    let outputs = ends.each_mut().map(drain);
    let inputs = [feed(&mut ends[0], sent[0].clone()), feed(&mut ends[1], sent[1].clone())];
    for input in inputs {
        input.join().expect("all is taken");
    }
    let [at_alice, at_bob] = outputs.map(|output| output.join().expect("all is read"));
    assert!(at_bob == sent[0], "{} bytes of {length} came to Bob, or others", at_bob.len());
    assert!(at_alice == sent[1], "{} bytes of {length} came to Alice, or others", at_alice.len());
}

#[test]
fn sixty_four_mebibytes_each_way_at_once() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut ends = open(&alice, &bob, &[]);
    exchange(&mut ends, 64 * MIB);
    let ends = ends.map(Xtls::wait);
    ends.iter().for_each(assert_done);
    assert_eq!(ends.each_ref().map(receipt), [Some("given"); 2]);
}

/// One way, each way, by a certificate and by a password: who sends is confirmed, and who has nothing to send needs nothing.
#[test]
fn whoever_sends_is_confirmed_and_nothing_needs_to_be() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let password = ["--srp-password-file", &alice.file("password", "a rose")];
    for (args, sender) in [(&[][..], 0), (&[], 1), (&password, 0), (&password, 1)] {
        let mut ends = open(&alice, &bob, args);
        let outputs = ends.each_mut().map(drain);
        ends[1 - sender].end_input();
        let sent = noise(9, 300_000);
        feed(&mut ends[sender], sent.clone()).join().expect("all is taken");
        let came = outputs.map(|output| output.join().expect("it is read"));
        assert!(came[1 - sender] == sent && came[sender].is_empty());
        let ends = ends.map(Xtls::wait);
        ends.iter().for_each(assert_done);
        let expected = [0, 1].map(|at| (at == sender).then_some("given"));
        assert_eq!(ends.each_ref().map(receipt), expected, "{args:?} {sender}");
    }
}

/// The servers acknowledge for a process that has the bytes in memory, and is killed before its standard output had them.
#[test]
fn a_reader_that_is_killed_after_it_has_acknowledged_everything_has_confirmed_nothing() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    listening.end_input();
    let stdout = listening.take_stdout();
    // More than a pipe takes that nobody reads (64 KiB), and less than it and the buffers before it do together.
    feed(&mut piping, noise(10, 100_000)).join().expect("all is taken");
    thread::sleep(Duration::from_secs(3));
    listening.kill();
    let ended = piping.wait();
    drop(stdout);
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert_eq!(
        ended.named("closed").next().expect("the end is told")["unacked"],
        0,
        "the servers say that all arrived"
    );
    assert_eq!((receipt(&ended), unacked(&ended)), (Some("missing"), 0));
}

#[test]
fn an_output_that_takes_nothing_for_a_minute_leaves_a_sender_that_is_not_confirmed() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    listening.end_input();
    let mut stdout = listening.take_stdout();
    let sent = noise(11, 100_000);
    feed(&mut piping, sent.clone()).join().expect("all is taken");
    // Longer than these tests wait for anything else.
    thread::sleep(Duration::from_secs(20));
    let ended = piping.wait();
    assert_eq!((ended.code, receipt(&ended)), (Some(4), Some("missing")), "{:?}", ended.events);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!((&closed["reason"], &closed["unacked"]), (&"done".into(), &0.into()), "in order, and not confirmed");
    let error = ended.named("error").next().expect("an error is told");
    assert!(error["message"].as_str().is_some_and(|words| words.contains("has not confirmed in time")), "{error}");
    let notes: Vec<_> = ended.named("note").filter_map(|note| note["message"].as_str()).collect();
    assert_eq!(notes, [format!("waiting until {} confirms that it has all of standard input", bob.full())]);
    // It is all there, as it turns out.
    let mut came = Vec::new();
    stdout.read_to_end(&mut came).expect("the output ends");
    assert!(came == sent);
    assert_done(&listening.wait());
}

/// A server, or an older peer, that says nothing of receipts.
#[test]
fn a_peer_that_cannot_confirm_is_told_as_that() {
    let stage = Stage::new(Transport::Plain);
    let (alice, mut bob) = stage.friends();
    let tap = Tap::cutting(stage.server.port(), "<receipt ", "/>");
    bob.address = tap.address();
    let mut listening = bob.start(&["pipe", "--listen"]);
    listening.event("online");
    listening.end_input();
    let mut piping = alice.start(&["pipe", &bob.full()]);
    let at_bob = drain(&mut listening);
    feed(&mut piping, b"for you".to_vec()).join().expect("it is taken");
    assert_eq!(at_bob.join().expect("it is read"), b"for you");
    let ended = piping.wait();
    assert_eq!(tap.cut(), 1, "{:?}", ended.events);
    assert_eq!((ended.code, receipt(&ended)), (Some(4), None), "{:?}", ended.events);
    let error = ended.named("error").next().expect("an error is told");
    assert!(error["message"].as_str().is_some_and(|words| words.contains("cannot confirm")), "{error}");
    assert_done(&listening.wait());
}

#[test]
fn the_output_ends_with_the_peers_input_while_the_own_input_is_open() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut ends = open(&alice, &bob, &[]);
    let outputs = ends.each_mut().map(drain);
    let mut from_alice = ends[0].take_stdin();
    feed(&mut ends[1], b"all\0\xff\r\nof it".to_vec()).join().expect("it is taken");
    let [at_alice, at_bob] = outputs;
    assert_eq!(at_alice.join().expect("it is read"), b"all\0\xff\r\nof it");
    from_alice.write_all(b"and an answer").expect("the other direction goes on");
    drop(from_alice);
    assert_eq!(at_bob.join().expect("it is read"), b"and an answer");
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn a_password_carries_one_input_to_its_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let file = alice.file("password", "a rose");
    let mut ends = open(&alice, &bob, &["--srp-password-file", &file]);
    let outputs = ends.each_mut().map(drain);
    // An input without a byte has no say.
    ends[1].end_input();
    let sent = noise(3, 4 * MIB);
    feed(&mut ends[0], sent.clone()).join().expect("all is taken");
    let [at_alice, at_bob] = outputs;
    assert!(at_bob.join().expect("it is read") == sent);
    assert_eq!(at_alice.join().expect("it is read"), b"");
    let ends = ends.map(Xtls::wait);
    ends.iter().for_each(assert_done);
    assert!(ends.iter().flat_map(|end| end.named("secured")).all(|secured| secured["method"] == "srp"));
}

#[test]
fn close_on_eof_ends_both_directions_after_the_last_byte() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = listen(&bob, &[]);
    let mut piping = alice.start(&["pipe", &bob.full(), "--close-on-eof"]);
    listening.event("secured");
    let at_bob = drain(&mut listening);
    let sent = noise(4, MIB);
    feed(&mut piping, sent.clone()).join().expect("all is taken");
    assert!(at_bob.join().expect("it is read") == sent);
    // Bob's input never ended.
    let stays_open = listening.take_stdin();
    assert_done(&piping.wait());
    assert_done(&listening.wait());
    drop(stays_open);
}

/// An input that goes on until it is told to end, or nobody takes it.
struct Feed {
    taken: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
}

fn feed_without_end(xtls: &mut Xtls) -> Feed {
    let mut stdin = xtls.take_stdin();
    let feed = Feed { taken: Arc::default(), ends: Arc::default() };
    let (taken, ends) = (Arc::clone(&feed.taken), Arc::clone(&feed.ends));
    let piece = noise(5, 4096);
    thread::spawn(move || {
        while !ends.load(Ordering::SeqCst) && stdin.write_all(&piece).is_ok() {
            taken.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    feed
}

#[test]
fn a_reader_that_is_killed_leaves_a_sender_that_knows_what_is_missing() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    feed_without_end(&mut piping);
    let mut some = vec![0; MIB];
    listening.take_stdout().read_exact(&mut some).expect("a mebibyte comes");
    listening.kill();
    let ended = piping.wait();
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert_eq!(ended.named("closed").next().expect("the end is told")["truncated"], true);
    assert!(unacked(&ended) > 0);
}

#[test]
fn a_sender_that_is_killed_leaves_a_reader_that_knows_it_is_not_all() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    feed_without_end(&mut piping);
    let mut stdout = listening.take_stdout();
    let mut came = vec![0; MIB];
    stdout.read_exact(&mut came).expect("a mebibyte comes");
    piping.kill();
    stdout.read_to_end(&mut came).expect("what came before is there");
    let expected = noise(5, 4096);
    assert!(came.chunks(4096).all(|chunk| expected.starts_with(chunk)), "something else came");
    let ended = listening.wait();
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert_eq!(ended.named("closed").next().expect("the end is told")["truncated"], true);
    assert_eq!(unacked(&ended), 0);
}

#[test]
fn a_server_that_dies_leaves_both_ends_with_a_truncated_tunnel() {
    let mut stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    feed_without_end(&mut piping);
    let mut stdout = listening.take_stdout();
    let mut came = vec![0; MIB];
    stdout.read_exact(&mut came).expect("a mebibyte comes");
    stage.server.kill();
    stdout.read_to_end(&mut came).expect("the output ends");
    for end in [piping.wait(), listening.wait()] {
        assert_eq!(end.code, Some(4), "{:?}", end.events);
        assert_eq!(end.named("closed").next().expect("the end is told")["truncated"], true);
    }
}

#[test]
fn an_output_that_nobody_reads_any_more_ends_the_tunnel() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    drop(listening.take_stdout());
    feed_without_end(&mut piping);
    let ended = listening.wait();
    assert_eq!(ended.code, Some(1), "{:?}", ended.events);
    let error = ended.named("error").next().expect("an error is told");
    assert!(error["message"].as_str().is_some_and(|words| words.starts_with("standard output cannot be written")));
    let ended = piping.wait();
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert!(unacked(&ended) > 0);
}

/// More than all buffers between the two standard streams hold together: those of the tunnel (`send_buffer`, 256 KiB;
/// `receive_buffer` and 32 blocks, 192 KiB), of the command (three pieces at each end, of 64 KiB and of what the tunnel
/// had) and of the pipes.
const BOUND: usize = 2 * MIB;

#[test]
fn an_output_that_is_not_read_stops_the_input_at_the_other_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    let mut stdout = listening.take_stdout();
    let fed = feed_without_end(&mut piping);
    let mut read = 0;
    for _ in 0..3 {
        // Until the feed stands still.
        let mut before = usize::MAX;
        while fed.taken.load(Ordering::SeqCst) != before {
            before = fed.taken.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(500));
        }
        assert!(before - read < BOUND, "{before} bytes were taken and {read} read");
        let mut some = vec![0; 4 * MIB];
        stdout.read_exact(&mut some).expect("it goes on");
        read += some.len();
    }
    // In order: what was taken comes.
    fed.ends.store(true, Ordering::SeqCst);
    listening.end_input();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("the output ends");
    assert_eq!(read + rest.len(), fed.taken.load(Ordering::SeqCst));
    let ends = [piping.wait(), listening.wait()];
    ends.iter().for_each(assert_done);
}

/// It was interrupted before all was done.
fn assert_interrupted(ended: &Ended) {
    assert_eq!(ended.code, Some(1), "{:?}", ended.events);
    let error = ended.named("error").next().expect("an error is told");
    assert!(error["message"].as_str().is_some_and(|words| words.starts_with("interrupted")), "{error}");
}

/// The other end knows that it is not all; gives how much of its input was not acknowledged.
fn assert_broken_off(ended: &Ended) -> u64 {
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!((&closed["by"], &closed["reason"]), (&"remote".into(), &"cancel".into()));
    unacked(ended)
}

#[test]
fn an_interrupted_sender_has_delivered_what_was_read_and_is_not_done_at_either_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    listening.end_input();
    let mut from_bob = listening.take_stdout();
    let mut stdin = piping.take_stdin();
    let sent = noise(6, 256 * 1024);
    stdin.write_all(&sent).expect("it is taken");
    let mut came = vec![0];
    from_bob.read_exact(&mut came).expect("the first byte comes");
    piping.interrupt();
    from_bob.read_to_end(&mut came).expect("the output ends");
    assert_interrupted(&piping.wait());
    let ended = listening.wait();
    assert_eq!(assert_broken_off(&ended), 0);
    assert_eq!(ended.named("closed").next().expect("the end is told")["truncated"], true);
    assert!(sent.starts_with(&came), "{} bytes came, or others", came.len());
    drop(stdin);
}

#[test]
fn an_interrupted_receiver_is_not_done_at_either_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    for at_a_terminal in [false, true] {
        let args = ["pipe", "--listen"];
        let mut listening = if at_a_terminal { bob.start_at_a_terminal(&args) } else { bob.start(&args) };
        listening.end_input();
        listening.event("online");
        let mut piping = alice.start(&["pipe", &bob.full()]);
        let mut stdin = piping.take_stdin();
        stdin.write_all(b"so far").expect("it is taken");
        listening.take_stdout().read_exact(&mut [0; 6]).expect("it comes");
        listening.interrupt();
        assert_interrupted(&listening.wait());
        assert_eq!(assert_broken_off(&piping.wait()), 0);
        drop(stdin);
    }
}

#[test]
fn a_terminal_is_no_input_so_what_is_done_ends() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let password = ["--srp-password-file", &alice.file("password", "a rose")];
    for args in [[].as_slice(), &password] {
        let mut listening = bob.start_at_a_terminal(&[&["pipe", "--listen"], args].concat());
        listening.event("online");
        let at_bob = drain(&mut listening);
        let mut piping = alice.start(&[&["pipe", &bob.full()], args].concat());
        let sent = noise(7, 10_240);
        feed(&mut piping, sent.clone()).join().expect("all is taken");
        assert!(at_bob.join().expect("it is read") == sent);
        [piping.wait(), listening.wait()].iter().for_each(assert_done);
    }
}

#[test]
fn an_input_that_stays_open_is_told_and_ctrl_c_is_its_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [mut piping, mut listening] = open(&alice, &bob, &[]);
    let at_bob = drain(&mut listening);
    let sent = noise(8, 10_240);
    feed(&mut piping, sent.clone()).join().expect("all is taken");
    assert!(at_bob.join().expect("it is read") == sent);
    let warning = listening.event("warning");
    assert_eq!(warning["peer"], alice.full());
    assert!(warning["message"].as_str().is_some_and(|words| words.contains("</dev/null")), "{warning}");
    listening.interrupt();
    [piping.wait(), listening.wait()].iter().for_each(assert_done);
}

#[test]
fn bytes_are_not_for_listen_and_messages_not_for_pipe() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut for_messages = bob.listen(&[]);
    let refused = alice.run(&["pipe", &bob.full()]);
    assert_eq!(refused.code, Some(4), "{:?}", refused.events);
    assert_eq!(refused.named("closed").next().expect("the end is told")["reason"], "unsupported-applications");
    assert!(
        for_messages.event("error")["message"].as_str().is_some_and(|words| words.ends_with("it is not for messages"))
    );
    for_messages.kill();

    let mut for_bytes = listen(&bob, &[]);
    let refused = alice.run(&["chat", &bob.full()]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert_eq!(refused.named("closed").next().expect("the end is told")["reason"], "unsupported-applications");
    assert!(refused.stderr.contains("xtls pipe --listen"), "{}", refused.stderr);
    assert!(for_bytes.event("error")["message"].as_str().is_some_and(|words| words.ends_with("it is not for bytes")));
    // It still waits for what it is for.
    let mut piping = alice.start(&["pipe", &bob.bare()]);
    let at_bob = drain(&mut for_bytes);
    for_bytes.end_input();
    feed(&mut piping, b"bytes".to_vec()).join().expect("it is taken");
    assert_eq!(at_bob.join().expect("it is read"), b"bytes");
    assert_done(&piping.wait());
    assert_done(&for_bytes.wait());
}

#[test]
fn a_stranger_does_not_end_the_wait_for_a_trusted_peer() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let carol = stage.person("carol");
    carol.trust(&bob);
    let mut listening = listen(&bob, &[]);
    assert_eq!(carol.run(&["pipe", &bob.full()]).code, Some(3));
    listening.event("error");
    let mut piping = alice.start(&["pipe", &bob.full()]);
    piping.end_input();
    assert_eq!(listening.event("secured")["peer"], alice.full().as_str());
    // The next one comes too late.
    let late = carol.run(&["pipe", &bob.full()]);
    assert_eq!(late.code, Some(4), "{:?}", late.events);
    assert_eq!(late.named("closed").next().expect("the end is told")["reason"], "busy");
    listening.end_input();
    assert_done(&listening.wait());
    assert_done(&piping.wait());

    bob.trust(&carol);
    let mut listening = listen(&bob, &["--accept-from", &alice.bare()]);
    let declined = carol.run(&["pipe", &bob.full()]);
    assert_eq!(declined.named("closed").next().expect("the end is told")["reason"], "decline");
    assert!(listening.event("error")["message"].as_str().is_some_and(|words| words.ends_with("does not name it")));
}

#[test]
fn two_who_begin_at_once_end_up_in_one_tunnel() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut ends = [alice.start(&["pipe", &bob.bare()]), bob.start(&["pipe", &alice.bare()])];
    exchange(&mut ends, 1000);
    for ended in ends.map(Xtls::wait) {
        assert_done(&ended);
        assert_eq!(ended.named("secured").count(), 1);
    }
}
