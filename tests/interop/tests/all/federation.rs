//! Two people at two servers, which pass stanzas to one another.

use std::io::{Read, Write};
use std::thread;

use xtls_interop::{Stage, Xtls};

#[test]
fn people_at_two_servers_find_one_another_and_chat() {
    let stage = Stage::federated();
    let (alice, bob) = stage.friends();
    assert_ne!(alice.domain, bob.domain);
    let mut listening = bob.listen(&["--accept-from", &alice.bare()]);
    let mut chatting = alice.start(&["chat", &bob.bare()]);
    for (end, peer) in [(&mut chatting, &bob), (&mut listening, &alice)] {
        let secured = end.event("secured");
        assert_eq!((&secured["peer"], &secured["authenticated_by"]), (&peer.full().into(), &"pinned".into()));
        end.event("stream_open");
    }
    chatting.line("hello");
    assert_eq!(listening.event("message")["from"], alice.full().as_str());
    listening.line("hello yourself");
    assert_eq!(chatting.event("message")["body"], "hello yourself");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    listening.event("closed");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
    let log = stage.server.log();
    for way in [[&alice, &bob], [&bob, &alice]] {
        let complete = format!("s2s connection {}->{} complete", way[0].domain, way[1].domain);
        assert!(log.contains(&complete), "{log}");
    }
}

#[test]
fn bytes_go_both_ways_between_two_servers() {
    const LENGTH: usize = 4 << 20;
    let stage = Stage::federated();
    let (alice, bob) = stage.friends();
    let mut listening = bob.start(&["pipe", "--listen"]);
    listening.event("online");
    let mut piping = alice.start(&["pipe", &bob.full()]);
    let mut threads = Vec::new();
    for (xtls, ours, theirs) in [(&mut piping, b'a', b'b'), (&mut listening, b'b', b'a')] {
        let (mut stdin, mut stdout) = (xtls.take_stdin(), xtls.take_stdout());
        threads.push(thread::spawn(move || stdin.write_all(&vec![ours; LENGTH]).expect("it is taken")));
        threads.push(thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).expect("the output is read");
            assert!(bytes == vec![theirs; LENGTH], "{} bytes came, or others", bytes.len());
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().expect("all bytes come"));
    for ended in [piping, listening].map(Xtls::wait) {
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
}

#[test]
fn a_peer_whose_server_dies_is_noticed() {
    let mut stage = Stage::federated();
    let (alice, bob) = stage.friends();
    let listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    stage.other.as_mut().expect("there are two").kill();
    assert_eq!(listening.wait().code, Some(4));
    // A message has nowhere to go: Alice's own server says so.
    chatting.line("are you there?");
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!(closed["truncated"], true);
}
