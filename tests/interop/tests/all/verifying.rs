//! `xtls verify` through a real server: two who met by a leap of faith compare a short string, and who is found out by it.

use serde_json::Value;
use xtls_interop::{Ended, Person, Stage, Transport, Xtls};

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Alice and Bob, who have nothing of one another.
fn two(stage: &Stage) -> (Person, Person) {
    (stage.person("alice"), stage.person("bob"))
}

/// They meet, and nobody has compared anything.
fn leap(from: &Person, to: &Person) {
    let mut listening = to.start(&["listen", "--leap-of-faith", "--accept-from", &from.bare()]);
    listening.event("online");
    let mut chatting = from.start(&["chat", &to.full(), "--leap-of-faith"]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    listening.event("closed");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

/// Both ends, and the strings that they show.
fn compare(from: &Person, to: &Person) -> ([Xtls; 2], [Value; 2]) {
    let mut waiting = to.start(&["verify"]);
    waiting.event("online");
    let mut calling = from.start(&["verify", &to.full()]);
    let shown = [&mut calling, &mut waiting].map(|end| {
        let shown = end.event("compare");
        end.event("answer_wanted");
        shown
    });
    ([calling, waiting], shown)
}

/// How the one certificate was learned that somebody is trusted with, if one is.
fn learned(person: &Person, peer: &Person) -> Option<String> {
    let shown = Xtls::run(person.data_dir(), None, &["trust", "show", &peer.bare()]);
    let known = shown.named("peer").next()?;
    let [pin] = known["pins"].as_array()?.as_slice() else { return None };
    Some(text(&pin["learned"]).to_owned())
}

fn assert_failed(ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{words:?} in {}", ended.stderr);
    assert_eq!(ended.named("verified").count(), 0);
}

#[test]
fn two_who_see_the_same_know_one_another_from_then_on() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    assert_eq!(learned(&alice, &bob).as_deref(), Some("leap-of-faith"));
    let (mut ends, [one, other]) = compare(&alice, &bob);
    for (shown, peer) in [(&one, &bob), (&other, &alice)] {
        assert_eq!(text(&shown["peer"]), peer.full());
        assert_eq!((text(&shown["digits"]).len(), text(&shown["words"]).split(' ').count()), (12, 3));
    }
    assert_eq!((&one["digits"], &one["words"]), (&other["digits"], &other["words"]));
    // What is neither yes nor no is asked again.
    ends[0].line("perhaps");
    ends[0].event("answer_wanted");
    ends[1].line("yes");
    ends[0].line(" Y ");
    for (ended, [person, peer]) in ends.map(Xtls::wait).iter().zip([[&alice, &bob], [&bob, &alice]]) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let [verified] = *ended.named("verified").collect::<Vec<_>>() else { panic!("once: {:?}", ended.events) };
        let fingerprint = format!("sha-256:{}", peer.fingerprint());
        assert_eq!((text(&verified["peer"]), text(&verified["fingerprint"])), (peer.full().as_str(), &*fingerprint));
        assert_eq!(learned(person, peer).as_deref(), Some("comparison"));
    }
}

/// The servers are Mallory's: to Alice he is Bob, and to Bob he is Alice, and both have leapt to him.
#[test]
fn m05_a_man_in_the_middle_of_a_leap_of_faith_is_found_out_and_trusted_no_more() {
    let (near, far) = (Stage::new(Transport::Plain), Stage::new(Transport::Plain));
    let (alice, false_bob) = two(&near);
    let (false_alice, bob) = two(&far);
    leap(&alice, &false_bob);
    leap(&false_alice, &bob);
    let (mut left, [hers, _]) = compare(&alice, &false_bob);
    let (mut right, [_, his]) = compare(&false_alice, &bob);
    assert_ne!((&hers["digits"], &hers["words"]), (&his["digits"], &his["words"]));
    // He says that it is the same, whatever it is.
    left[1].line("yes");
    right[0].line("yes");
    left[0].line("no");
    right[1].line("no");
    let ([alices, _], [_, bobs]) = (left, right);
    for (ended, person, peer) in [(alices.wait(), &alice, &bob), (bobs.wait(), &bob, &alice)] {
        assert_failed(&ended, 3, "somebody is in the middle");
        assert!(ended.stderr.contains("not trusted any more"), "{}", ended.stderr);
        assert_eq!(learned(person, peer), None);
    }
}

#[test]
fn a_no_of_the_other_user_is_told_and_takes_the_leap_back_here_too() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let (mut ends, _) = compare(&alice, &bob);
    ends[0].line("yes");
    ends[1].line("no");
    let [alices, bobs] = ends.map(Xtls::wait);
    assert_failed(&alices, 3, "the other user says that the strings differ");
    assert_failed(&bobs, 3, "the strings differ");
    assert_eq!((learned(&alice, &bob), learned(&bob, &alice)), (None, None));
}

#[test]
fn whoever_stops_before_both_have_answered_leaves_everything_as_it_was() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    for kind in ["interrupt", "end", "kill"] {
        let (mut ends, _) = compare(&alice, &bob);
        ends[1].line("yes");
        match kind {
            "interrupt" => ends[0].interrupt(),
            "end" => ends[0].end_input(),
            _ => ends[0].kill(),
        }
        let [_, bobs] = ends;
        let words = if kind == "kill" { "broke off" } else { "the other end aborted it" };
        assert_failed(&bobs.wait(), 4, words);
        for (person, peer) in [(&alice, &bob), (&bob, &alice)] {
            assert_eq!(learned(person, peer).as_deref(), Some("leap-of-faith"), "{kind}");
        }
    }
}

#[test]
fn a_peer_that_does_not_compare_now_and_one_that_is_a_stranger_are_told_apart() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    assert_failed(&alice.run(&["verify", &bob.full()]), 3, "no certificate of");
    leap(&alice, &bob);
    let mut listening = bob.start(&["listen"]);
    listening.event("online");
    assert_failed(&alice.run(&["verify", &bob.full()]), 4, "let its user run xtls verify there");
    assert_eq!(learned(&alice, &bob).as_deref(), Some("leap-of-faith"));
}
