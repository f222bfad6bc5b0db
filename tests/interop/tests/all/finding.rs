//! Peers that do not see one another's presence, or are not there yet. Dave sees nobody's presence, and nobody sees his.

use std::io::{Read, Write};

use xtls_interop::{Certificate, Ejabberd, Person, Stage, Tap, Transport, chat_once};

/// Alice and Dave, who trust one another.
fn strangers_by_presence(stage: &Stage) -> (Person, Person) {
    let (alice, dave) = (stage.person("alice"), stage.person("dave"));
    alice.trust(&dave);
    dave.trust(&alice);
    (alice, dave)
}

/// A resource that nobody would guess.
fn at(who: &Person, resource: &str) -> String {
    format!("{}/{resource}", who.bare())
}

#[test]
fn a_listener_at_a_random_resource_is_found_by_a_bare_address_without_a_subscription() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = strangers_by_presence(&stage);
    let first = dave.listen(&[]);
    let mut second = dave.start_as(&dave.bare(), &["listen"]);
    let random = second.event("online")["jid"].as_str().expect("it has an address").to_owned();
    assert!(random.starts_with(&at(&dave, "xtls-")), "{random}");
    // The resource that is usual is gone.
    first.interrupt();
    assert_eq!(first.wait().code, Some(0));
    let mut chatting = alice.start(&["chat", &dave.bare()]);
    assert_eq!(chatting.event("secured")["peer"], random.as_str());
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn ejabberd_passes_the_question_who_is_there_and_its_answer_too() {
    let server = Ejabberd::start(Certificate::Good);
    let (alice, dave) = (server.person("alice"), server.person("dave"));
    alice.trust(&dave);
    dave.trust(&alice);
    let mut listening = dave.start_as(&at(&dave, "hall"), &["listen"]);
    listening.event("online");
    let mut chatting = alice.start(&["chat", &dave.bare()]);
    assert_eq!(chatting.event("secured")["peer"], at(&dave, "hall").as_str());
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn a_stranger_that_asks_who_is_there_learns_nothing_of_it() {
    let stage = Stage::new(Transport::Plain);
    let [mut alice, mut dave] = ["alice", "dave"].map(|name| stage.person(name));
    let [taps, stranger] = [(); 2].map(|()| Tap::start(stage.server.port()));
    (alice.address, dave.address) = (taps.address(), stranger.address());
    dave.trust(&alice);
    let mut listening = alice.start_as(&at(&alice, "garden"), &["listen"]);
    listening.event("online");
    let ended = dave.run(&["chat", &alice.bare()]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("alice@localhost is not online, or does not let this account see it"),
        "{}",
        ended.stderr
    );
    assert!(taps.received().contains("urn:xmpp:decloak:0"), "she was asked");
    assert!(!taps.sent().contains("dave@"), "{}", taps.sent());
    assert!(!stranger.received().contains("garden"), "{}", stranger.received());

    // Whom she trusts is no stranger, and is told in one stanza that has nothing but capabilities.
    alice.trust(&dave);
    let mut chatting = dave.start(&["chat", &alice.bare()]);
    assert_eq!(chatting.event("secured")["peer"], at(&alice, "garden").as_str());
    chatting.event("stream_open");
    let (_, shown) = stranger.received().split_once("garden'").map_or_else(
        || panic!("she is shown"),
        |(before, after)| (before.to_owned(), after.split("</presence>").next().unwrap_or_default().to_owned()),
    );
    assert!(shown.contains("http://jabber.org/protocol/caps"), "{shown}");
    assert!(!shown.contains("priority") && !shown.contains("decloak"), "{shown}");
}

#[test]
fn two_who_call_one_another_meet_in_one_tunnel_in_whatever_order_they_begin() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = strangers_by_presence(&stage);
    let call = |who: &Person, peer: &Person, resource: &str, wait: bool| {
        let peer = peer.bare();
        let args: &[&str] = if wait { &["chat", "--wait", &peer] } else { &["chat", &peer] };
        who.start_as(&at(who, resource), args)
    };
    for wait in [false, true] {
        // At resources that are found by nobody who does not ask.
        chat_once([call(&alice, &dave, "garden", wait), call(&dave, &alice, "hall", wait)]);
        for [(first, there), (second, here)] in
            [[(&alice, "garden"), (&dave, "hall")], [(&dave, "xtls"), (&alice, "garden")]]
        {
            let mut earlier = call(first, second, there, wait);
            earlier.event(if wait { "waiting" } else { "online" });
            chat_once([call(second, first, here, false), earlier]);
        }
    }
}

#[test]
fn a_peer_that_is_not_there_yet_is_waited_for() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = strangers_by_presence(&stage);
    // By its bare address, or by one resource of it.
    for peer in [dave.bare(), at(&dave, "hall")] {
        let mut chatting = alice.start(&["chat", "--wait", &peer]);
        let waiting = chatting.event("waiting");
        assert_eq!((&waiting["peer"], &waiting["online"]), (&peer.as_str().into(), &false.into()));
        let mut listening = dave.start_as(&at(&dave, "hall"), &["listen"]);
        listening.event("stream_open");
        chatting.event("stream_open");
        chatting.end_input();
        assert_eq!(chatting.wait().code, Some(0));
    }
    let ended = alice.run(&["chat", "--wait=1s", &dave.bare()]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("it did not come while this waited"), "{}", ended.stderr);
    let mut waiting = alice.start(&["chat", "--wait", &dave.bare()]);
    waiting.event("waiting");
    waiting.interrupt();
    assert_eq!(waiting.wait().code, Some(1));
}

#[test]
fn a_peer_that_is_there_without_xtls_is_waited_for_by_its_account_alone() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let carol = stage.person("carol");
    alice.trust(&carol);
    let phone = at(&carol, "phone");
    // It answers, and says that it has none.
    let online = format!("<presence from='{phone}' to='{}'/>", alice.full());
    let mut chatting = alice.start(&["chat", "--wait", &carol.bare()]);
    chatting.event("online");
    stage.server.post(&online);
    assert_eq!(chatting.event("waiting")["online"], true);
    chatting.interrupt();
    assert_eq!(chatting.wait().code, Some(1));
    let mut chatting = alice.start(&["chat", "--wait", &phone]);
    chatting.event("online");
    stage.server.post(&online);
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.named("waiting").count()), (Some(3), 0), "{}", ended.stderr);
    // A peer that cannot be trusted is not waited for.
    let ended = bob.run(&["chat", "--wait", &carol.bare()]);
    assert_eq!((ended.code, ended.named("waiting").count()), (Some(3), 0), "{}", ended.stderr);
}

#[test]
fn a_pipe_waits_for_its_other_end() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = strangers_by_presence(&stage);
    let mut sending = alice.start(&["pipe", "--wait=10m", &dave.bare()]);
    sending.event("waiting");
    let mut receiving = dave.start_as(&at(&dave, "hall"), &["pipe", "--listen"]);
    let mut input = sending.take_stdin();
    input.write_all(b"what's in a name?").expect("it is read");
    drop(input);
    receiving.end_input();
    let mut came = String::new();
    receiving.take_stdout().read_to_string(&mut came).expect("it is text");
    assert_eq!(came, "what's in a name?");
    for end in [sending, receiving] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    }
}

#[test]
fn two_who_compare_a_string_may_both_name_the_other() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = strangers_by_presence(&stage);
    for wait in [false, true] {
        let verify = |who: &Person, peer: &Person, wait: bool| {
            let peer = peer.bare();
            let args: &[&str] = if wait { &["verify", "--wait", &peer] } else { &["verify", &peer] };
            who.start(args)
        };
        let mut ends = if wait {
            let mut earlier = verify(&alice, &dave, true);
            earlier.event("waiting");
            [earlier, verify(&dave, &alice, false)]
        } else {
            [verify(&alice, &dave, false), verify(&dave, &alice, false)]
        };
        let digits = ends.each_mut().map(|end| end.event("compare")["digits"].clone());
        assert_eq!(digits[0], digits[1]);
        ends.each_mut().into_iter().for_each(|end| end.line("yes"));
        for end in ends {
            let ended = end.wait();
            assert_eq!((ended.code, ended.named("verified").count()), (Some(0), 1), "{}", ended.stderr);
        }
    }
}
