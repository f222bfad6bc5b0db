//! Servers that let little through, or no large stanzas.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use xtls_interop::{Ejabberd, Person, Prosody, Xtls, drain, feed, noise, until};

/// What a block of 4096 bytes is as a stanza, at most, and how many bytes a second the server reads.
const BLOCK: u32 = 5800;
const RATE: u32 = 10_000;
const ANSWER: u32 = 200;

fn friends(person: impl Fn(&'static str) -> Person) -> (Person, Person) {
    let (alice, bob) = (person("alice"), person("bob"));
    alice.trust(&bob);
    bob.trust(&alice);
    (alice, bob)
}

/// The longest time that a ping may take beside blocks: two of them, the answer itself, and 100 ms for a machine that does other things too.
fn bound(idle: Duration) -> Duration {
    idle + Duration::from_secs(1) * (2 * BLOCK + ANSWER) / RATE + Duration::from_millis(100)
}

fn listen(person: &Person, args: &[&str]) -> Xtls {
    let mut listening = person.start(&[&["pipe", "--listen"], args].concat());
    listening.event("online");
    listening.end_input();
    listening
}

/// By the limits that its package configures Prosody reads 10 kB a second from a client. 300 kB arrive, it is told within ten seconds, and
/// another stanza waits for two blocks at most.
#[test]
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn a_prosody_that_throttles_is_told_in_time_and_other_stanzas_do_not_wait() {
    let server = Prosody::throttling();
    let (alice, bob) = friends(|name| server.person(name));
    let bytes = noise(1, 300_000);
    let file = alice.file("bytes", "");
    fs::write(&file, &bytes).expect("the file is written");
    let mut listening = listen(&bob, &[]);
    // One whose connection is idle.
    let idle = server.ping(&bob.full());
    until("three answers", || (idle().len() >= 3).then_some(()));
    let idle = idle().into_iter().max().unwrap_or_default();

    let at_bob = drain(&mut listening);
    let began = Instant::now();
    let mut piping = alice.start_with_file(&["pipe", &bob.full()], file.as_ref());
    piping.event("secured");
    let told = piping.event("throttled");
    assert!(began.elapsed() < Duration::from_secs(10), "told after {:?}", began.elapsed());
    // What is on its way was sent in larger blocks.
    thread::sleep(Duration::from_secs(2));
    let pings = server.ping(&alice.full());
    let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name} of {told}"));
    assert!((5000..9000).contains(&number("bytes_per_second")), "{told}");
    assert_eq!(told["peer"], bob.full());
    let left = number("left");
    assert!((200_000..290_000).contains(&left) && number("seconds") == left / number("bytes_per_second"), "{told}");

    assert!(at_bob.join().expect("it is read") == bytes);
    assert!(began.elapsed() > Duration::from_secs(30), "it was not throttled: {:?}", began.elapsed());
    let pings = pings();
    for end in [piping, listening] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
    assert!(pings.len() > 15, "{pings:?}");
    let bound = bound(idle);
    assert!(pings.iter().all(|took| *took <= bound), "at most {bound:?}: {pings:?}");
}

/// Nothing is known of its rate at the start, and still nothing else waits for more than two blocks, from the first one on: the server says
/// that it has limits.
#[test]
fn beside_a_prosody_that_throttles_and_says_that_it_has_limits_other_stanzas_never_wait_for_more_than_two_blocks() {
    let server = Prosody::throttling_and_announcing();
    let (alice, bob) = friends(|name| server.person(name));
    let file = alice.file("bytes", "");
    fs::write(&file, noise(1, 60_000)).expect("the file is written");
    let mut listening = listen(&bob, &[]);
    let idle = server.ping(&bob.full());
    until("three answers", || (idle().len() >= 3).then_some(()));
    let idle = idle().into_iter().max().unwrap_or_default();

    let at_bob = drain(&mut listening);
    let mut piping = alice.start_with_file(&["pipe", &bob.full(), "--transport", "in-band"], file.as_ref());
    piping.event("secured");
    let pings = server.ping(&alice.full());
    assert_eq!(at_bob.join().expect("it is read").len(), 60_000);
    let pings = pings();
    for end in [piping, listening] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
    assert!(pings.len() > 8, "{pings:?}");
    let bound = bound(idle);
    assert!(pings.iter().all(|took| *took <= bound), "at most {bound:?}: {pings:?}");
}

/// The bytes go in a tunnel of their own, and what is known of that is told: by `xtls send`, and in a chat. Each says what would help.
#[test]
fn who_sends_files_in_band_by_a_prosody_that_throttles_is_told() {
    let server = Prosody::throttling();
    let (alice, bob) = friends(|name| server.person(name));
    let (path, to) = (alice.file("bytes", ""), tempfile::tempdir().expect("a temporary directory"));
    let bytes = noise(1, 150_000);
    fs::write(&path, &bytes).expect("the file is written");
    let came = to.path().join(Path::new(&path).file_name().expect("a name"));
    let to_bob = to.path().to_str().expect("it is UTF-8");
    let number = |told: &Value, name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name} of {told}"));
    let check = |told: &Value| {
        assert_eq!(told["peer"], bob.full());
        assert!((5000..9000).contains(&number(told, "bytes_per_second")), "{told}");
        let left = number(told, "left");
        assert!((20_000..140_000).contains(&left), "{told}");
        assert_eq!(number(told, "seconds"), left / number(told, "bytes_per_second"), "{told}");
    };

    let mut receiving = bob.start(&["receive", to_bob, "--accept-from", &alice.bare()]);
    receiving.event("online");
    let mut sending = alice.start(&["send", &path, &bob.full(), "--transport", "in-band"]);
    check(&sending.event("throttled"));
    for end in [sending, receiving] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
        if ended.named("file_sent").next().is_some() {
            assert!(ended.stderr.contains("; give --transport auto: "), "{}", ended.stderr);
        }
    }
    assert!(fs::read(&came).expect("it is there") == bytes);
    fs::remove_file(&came).expect("it is there");

    let mut listening = bob.start(&["listen", "--files-to", to_bob]);
    listening.event("online");
    let mut chatting = alice.start(&["chat", &bob.full(), "--transport", "in-band"]);
    chatting.event("stream_open");
    chatting.line(&format!("/send {path}"));
    let offered = listening.event("file_offered");
    listening.line(offered["yes"].as_str().expect("a line"));
    check(&chatting.event("throttled"));
    chatting.event("file_sent");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", ended.events, ended.stderr);
    assert!(ended.stderr.contains("; give --transport auto: "), "{}", ended.stderr);
    assert!(fs::read(&came).expect("it is there") == bytes);
}

/// By the shaper that its package configures ejabberd reads 3 kB a second from a client, after 20 kB at once. Those look like a fast server, and
/// six blocks are on their way by then, of two seconds each: what tells a server from a slow peer is an answer to what was asked behind them.
#[test]
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn an_ejabberd_that_throttles_is_told_in_time() {
    let server = Ejabberd::throttling();
    let (alice, bob) = friends(|name| server.person(name));
    let bytes = noise(1, 80_000);
    let file = alice.file("bytes", "");
    fs::write(&file, &bytes).expect("the file is written");
    let mut listening = listen(&bob, &[]);
    let at_bob = drain(&mut listening);
    let mut piping = alice.start_with_file(&["pipe", &bob.full()], file.as_ref());
    piping.event("secured");
    let began = Instant::now();
    let told = piping.event("throttled");
    let after = began.elapsed();
    assert!(after < Duration::from_secs(15), "told after {after:?}: {told}");
    let rate = told["bytes_per_second"].as_u64().expect("a rate");
    assert!((1500..3000).contains(&rate), "{told}");
    assert!(at_bob.join().expect("it is read") == bytes);
    assert!(began.elapsed() > Duration::from_secs(20), "it was not throttled: {:?}", began.elapsed());
    for end in [piping, listening] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
}

/// The sizes of the blocks' stanzas that went out, by a trace.
fn data_sizes(trace: &str) -> Vec<u64> {
    let text = fs::read_to_string(trace).expect("a trace is written");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
    lines
        .filter(|line| line["direction"] == "out" && line["block"].is_number())
        .map(|line| line["bytes"].as_u64().expect("a size"))
        .collect()
}

/// What the server says in its features is kept to by both ends, and in both directions.
#[test]
fn xep_0478_3_1_the_command_keeps_to_what_a_server_announces() {
    let server = Prosody::announcing(3000);
    let (alice, bob) = friends(|name| server.person(name));
    let traces = [&alice, &bob].map(|person| person.file("trace", ""));
    traces.iter().for_each(|trace| fs::remove_file(trace).expect("it is there"));
    let mut listening = bob.start(&["pipe", "--listen", "--trace", &traces[1]]);
    listening.event("online");
    let mut piping = alice.start(&["pipe", &bob.full(), "--trace", &traces[0]]);
    let sent = [noise(1, 100_000), noise(2, 100_000)];
    let outputs = [drain(&mut piping), drain(&mut listening)];
    let inputs = [feed(&mut piping, sent[0].clone()), feed(&mut listening, sent[1].clone())];
    inputs.into_iter().for_each(|input| input.join().expect("all is taken"));
    let [at_alice, at_bob] = outputs.map(|output| output.join().expect("all is read"));
    assert!(at_bob == sent[0] && at_alice == sent[1]);
    for end in [piping, listening] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
    for trace in traces {
        let largest = data_sizes(&trace).into_iter().max().expect("blocks were sent");
        assert!((2000..=3000).contains(&largest), "{largest}");
    }
}

/// A server that takes no stanza of a block of 4096 bytes, and says so by ending the stream alone. The next time they fit.
#[test]
fn after_an_ejabberd_that_refused_a_stanza_for_its_size_the_next_ones_are_smaller() {
    let server = Ejabberd::with_stanza_limit(5000);
    let (alice, bob) = friends(|name| server.person(name));
    let bytes = noise(1, 100_000);
    let pipe = |args: &[&str]| {
        let mut listening = listen(&bob, &[]);
        let at_bob = drain(&mut listening);
        let mut piping = alice.start(&[&["pipe", &bob.full()], args].concat());
        // It may end before all is taken.
        let mut stdin = piping.take_stdin();
        let to_write = bytes.clone();
        let feeding = thread::spawn(move || stdin.write_all(&to_write).is_ok());
        let ended = piping.wait();
        let fed = feeding.join().expect("it is fed");
        (ended, fed, at_bob.join().expect("it is read"))
    };
    let (ended, _, came) = pipe(&[]);
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    let error = ended.named("error").next().expect("an error is told")["message"].to_string();
    assert!(error.contains("they will be smaller") && came.len() < bytes.len(), "{error}");

    let trace = alice.file("trace", "");
    fs::remove_file(&trace).expect("it is there");
    let (ended, fed, came) = pipe(&["--trace", &trace]);
    assert_eq!((ended.code, fed), (Some(0), true), "{:?}", ended.events);
    assert!(came == bytes);
    let largest = data_sizes(&trace).into_iter().max().expect("blocks were sent");
    assert!((2000..=3000).contains(&largest), "{largest}");
}
