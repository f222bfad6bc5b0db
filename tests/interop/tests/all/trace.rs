//! What `--trace` writes, and what it never does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use xtls_interop::{Prosody, Stage, Tap, Transport, Xtls};

fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the trace is there");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// What the blocks on the wire hold, in base64.
fn blocks(wire: &str) -> Vec<&str> {
    let after_start = wire.split("<data ").skip(1).filter_map(|rest| rest.split_once('>'));
    after_start.filter_map(|(_, rest)| rest.split_once("</data>")).map(|(block, _)| block).collect()
}

#[test]
fn a_trace_has_every_stanza_and_event_and_nothing_of_what_is_said() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = (stage.person("alice"), stage.person("bob"));
    alice.address = tap.address();
    let password = alice.file("password", "wherefore art thou");
    let traces = [alice.file("trace", ""), bob.file("trace", "")];
    traces.iter().for_each(|trace| fs::remove_file(trace).expect("only its name is needed"));
    let mut listening = bob.listen(&["--echo", "--srp-password-file", &password, "--trace", &traces[1]]);
    let mut chatting = alice.start(&["chat", &bob.full(), "--srp-password-file", &password, "--trace", &traces[0]]);
    chatting.event("stream_open");
    chatting.line("a rose by any other name");
    chatting.event("message");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    listening.event("closed");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));

    let wire = tap.sent() + &tap.received();
    let blocks = blocks(&wire);
    assert!(blocks.len() > 4, "{wire}");
    for trace in &traces {
        let text = fs::read_to_string(trace).expect("the trace is there");
        for secret in ["rose", "wherefore", &Prosody::password("alice"), "CERTIFICATE", "<auth", "SCRAM"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        for block in &blocks {
            assert!(!text.contains(block), "{block} is in {text}");
        }
        assert_eq!(fs::metadata(trace).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    let of_alice = lines(&traces[0]);
    let way = |direction: &str| of_alice.iter().filter(|line| line["direction"] == direction).collect::<Vec<_>>();
    let bytes = |lines: &[&Value]| lines.iter().filter_map(|line| line["bytes"].as_u64()).sum::<u64>();
    // The wire has the login before, and the end of the stream behind.
    for (direction, wire) in [("out", tap.sent()), ("in", tap.received())] {
        let total = u64::try_from(wire.len()).expect("it fits");
        let found = bytes(&way(direction));
        assert!(found < total && total - found < 4096, "{found} of {total} bytes went {direction}");
        let count = way(direction).iter().filter(|line| line["payload"] == "data").count();
        assert_eq!(count, self::blocks(&wire).len());
    }
    let open = way("out").into_iter().find(|line| line["payload"] == "open").expect("the bytestream is opened");
    assert_eq!((&open["stanza"], &open["type"]), (&"iq".into(), &"set".into()));
    assert_eq!(open["namespace"], "http://jabber.org/protocol/ibb");
    assert_eq!((&open["own"], &open["peer"]), (&alice.full().into(), &bob.full().into()));
    let result = way("in").into_iter().find(|line| line["id"] == open["id"]).expect("it is answered");
    assert_eq!((&result["type"], &result["payload"]), (&"result".into(), &Value::Null));
    let events: Vec<&str> = of_alice.iter().filter_map(|line| line["event"].as_str()).collect();
    // Bob's receipt, and what he says.
    assert_eq!(events, ["secured", "stream_opened", "stanza", "stanza", "stream_closed", "closed"]);
    let times: Vec<u64> = of_alice.iter().map(|line| line["ms"].as_u64().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_trace_overwrites_nothing_and_nothing_is_sent_without_it() {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let mut alice = stage.person("alice");
    alice.address = tap.address();
    let trace = alice.file("trace", "kept");
    for args in [&["listen", "--trace", &trace][..], &["pipe", "--listen", "--trace", &trace]] {
        assert_eq!(alice.run(args).code, Some(1));
    }
    let ended = Xtls::run(alice.data_dir(), None, &["demo", "--bytes", "1", "--trace", &trace]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&trace) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    assert_eq!(fs::read(Path::new(&trace)).expect("it is there"), b"kept");
    assert_eq!(tap.sent(), "");
}

#[test]
fn the_trace_of_the_demonstration_has_each_stanza_at_both_ends() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let trace = dir.path().join("trace").display().to_string();
    let ended = Xtls::run(dir.path(), None, &["demo", "--bytes", "100000", "--trace", &trace]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let transferred = ended.named("transfer").next().expect("bytes are transferred");
    let total = ended.named("stanza").count()
        + usize::try_from(transferred["stanzas"].as_u64().expect("a count")).expect("few");
    let lines = lines(&trace);
    for direction in ["out", "in"] {
        let count = lines.iter().filter(|line| line["direction"] == direction).count();
        // The last ones go after the figures were taken.
        assert!(count >= total, "{count} of {total} went {direction}");
    }
    for message in ended.named("message") {
        let text = fs::read_to_string(&trace).expect("it is there");
        assert!(!text.contains(message["body"].as_str().expect("a body")));
    }
}

/// How many elements of a picture have a tag that begins so.
fn tags(picture: &str, tag: &str) -> usize {
    picture.matches(tag).count()
}

#[test]
fn the_picture_of_the_demonstration_has_each_stanza_of_its_trace() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [trace, ladder] = ["trace", "ladder.svg"].map(|name| dir.path().join(name).display().to_string());
    let args = ["demo", "--bytes", "100000", "--trace", &trace, "--ladder", &ladder];
    let ended = Xtls::run(dir.path(), None, &args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let picture = fs::read_to_string(&ladder).expect("the picture is there");
    assert_eq!(fs::metadata(&ladder).expect("it is there").permissions().mode() & 0o777, 0o600);

    let lines = lines(&trace);
    let sent = lines.iter().filter(|line| line["direction"] == "out").count();
    let told = lines.iter().filter(|line| line["event"].is_string()).count();
    // The blocks of the transfer are one arrow, which says how many it stands for.
    let run = picture.split_once("<g class='run'><title>").expect("the blocks are folded").1;
    let run = run.split_once(": ").expect("a time, and the rest").1;
    let numbers: Vec<usize> = run
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .take(2)
        .map(|digits| digits.parse().expect("a number"))
        .collect();
    assert_eq!(tags(&picture, "<g class='run'>"), 1);
    assert_eq!(tags(&picture, "<g class='arrow") + numbers[0], sent);
    assert_eq!(tags(&picture, "<g class='mark event'>") + numbers[1], told);
    // The server is honest, and everything arrives.
    for none in [" lost", " forged", "<g class='mark fault", "<g class='cut"] {
        assert_eq!(tags(&picture, &format!("<g class='arrow{none}")) + tags(&picture, none), 0, "{none}");
    }
    for phase in ["negotiation", "handshake", "secured", "stream", "closing"] {
        let lines = tags(&picture, &format!("<line class='{phase}'")) + tags(&picture, &format!("'bar {phase}'"));
        assert!(lines > 1, "nothing is in the phase {phase}");
    }
    for message in ended.named("message") {
        assert!(!picture.contains(message["body"].as_str().expect("a body")));
    }

    let again = Xtls::run(dir.path(), None, &["demo", "--bytes", "1", "--ladder", &ladder]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains(&ladder) && again.stderr.lines().count() == 1, "{}", again.stderr);
    assert_eq!(fs::read_to_string(&ladder).expect("it is there"), picture);
}
