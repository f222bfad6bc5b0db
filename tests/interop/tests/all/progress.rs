//! How far `xtls pipe` is, for a user who watches standard error.

use std::fs;

use xtls_interop::{Person, Prosody, Terminal, Xtls, drain, noise};

fn friends(server: &Prosody) -> [Person; 2] {
    let [alice, bob] = ["alice", "bob"].map(|name| server.person(name));
    alice.trust(&bob);
    bob.trust(&alice);
    [alice, bob]
}

fn listen(bob: &Person, args: &[&str]) -> Xtls {
    let mut listening = bob.start(&[&["pipe", "--listen"], args].concat());
    listening.event("online");
    listening
}

/// Whether a line says how far it is.
fn is_progress(shown: &str) -> bool {
    shown.lines().any(|line| line.starts_with("  ") && line.contains("B/s"))
}

#[test]
fn in_band_it_says_what_has_gone_how_fast_and_how_long_the_rest_takes() {
    let server = Prosody::throttling();
    let [alice, bob] = friends(&server);
    let mut listening = listen(&bob, &[]);
    listening.end_input();
    let output = drain(&mut listening);
    let sent = noise(1, 60_000);
    let [input, nothing] = [alice.file("input", ""), alice.file("output", "")];
    fs::write(&input, &sent).expect("a file");
    let mut piping = Terminal::start_from(&alice, &["pipe", &bob.full()], &input, Some(&nothing));
    piping.see(" of 60 kB sent, ");
    piping.see(" left");
    // What else is told stands above it.
    piping.see("warning: only ");
    let (code, shown) = piping.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!is_progress(&shown), "it goes at the end:\n{shown}");
    assert!(shown.contains("* closed with"), "{shown}");
    assert!(output.join().expect("all is read") == sent);
}

#[test]
fn by_a_connection_it_says_so_for_both_directions() {
    let server = Prosody::with_proxy();
    let [alice, bob] = friends(&server);
    let loopback = ["--allow-network", "127.0.0.0/8"];
    let mut listening = listen(&bob, &loopback);
    let sent = noise(1, 100_000_000);
    let [input, output] = [alice.file("input", ""), alice.file("output", "")];
    fs::write(&input, &sent).expect("a file");
    let back = xtls_interop::feed(&mut listening, noise(2, 3_000_000));
    let mut piping =
        Terminal::start_from(&alice, &[&["pipe", &bob.full()], &loopback[..]].concat(), &input, Some(&output));
    piping.see("3.0 MB received, ");
    let came = drain(&mut listening);
    back.join().expect("all is taken");
    let (code, shown) = piping.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(piping.came().contains(" of 100 MB sent, "), "{:?}", piping.came());
    assert!(!is_progress(&shown), "{shown}");
    assert!(came.join().expect("all is read") == sent);
    assert!(fs::read(&output).expect("a file") == noise(2, 3_000_000));
}

#[test]
fn it_does_not_stand_among_what_comes_at_the_same_terminal() {
    let server = Prosody::throttling();
    let [alice, bob] = friends(&server);
    let mut listening = listen(&bob, &[]);
    let output = drain(&mut listening);
    let sent = noise(1, 60_000);
    let input = alice.file("input", "");
    fs::write(&input, &sent).expect("a file");
    let mut piping = Terminal::start_from(&alice, &["pipe", &bob.full()], &input, None);
    piping.see(" of 60 kB sent, ");
    listening.line("good even");
    piping.line("good even", "");
    assert!(!is_progress(&piping.shown()), "{}", piping.shown());
    listening.end_input();
    let (code, shown) = piping.wait();
    assert_eq!(code, Some(0), "{shown}");
    let after = piping.came().split_once("good even").map(|(_, after)| after.to_owned());
    assert!(!after.expect("it came").contains("B/s,"), "{:?}", piping.came());
    assert!(output.join().expect("all is read") == sent);
}
