//! `xtls verify` through a real server: two who met by a leap of faith compare a short string, and who is found out by it.

use serde_json::Value;
use xtls_interop::{Ended, Person, Stage, Terminal, Transport, Xtls};

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
    // His own ends are there until the others have ended.
    let ([alices, _left], [_right, bobs]) = (left, right);
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
fn whoever_comes_and_goes_without_comparing_anything_does_not_end_the_wait() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    let carol = stage.person("carol");
    leap(&bob, &alice);
    leap(&carol, &alice);
    let mut waiting = alice.start(&["verify"]);
    waiting.event("online");
    let mut chatting = carol.start(&["chat", &alice.full()]);
    chatting.event("stream_open");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    assert_eq!(waiting.event("error")["peer"], carol.full().as_str());
    let mut ends = [bob.start(&["verify", &alice.full()]), waiting];
    for end in &mut ends {
        end.event("answer_wanted");
        end.line("yes");
    }
    for ended in ends.map(Xtls::wait) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(
        (learned(&alice, &bob).as_deref(), learned(&alice, &carol).as_deref()),
        (Some("comparison"), Some("leap-of-faith"))
    );
}

/// Another process of hers does that.
#[test]
fn a_certificate_that_is_replaced_while_it_is_compared_is_not_trusted_again() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let (mut ends, _) = compare(&alice, &bob);
    let other = "sha-256:".to_owned() + &"ab".repeat(32);
    let replaced = Xtls::run(alice.data_dir(), None, &["trust", "add", &bob.bare(), &other, "--replace"]);
    assert_eq!(replaced.code, Some(0), "{}", replaced.stderr);
    ends.iter_mut().for_each(|end| end.line("yes"));
    let [alices, bobs] = ends.map(Xtls::wait);
    assert_failed(&alices, 1, "is not trusted any more");
    assert_eq!((bobs.code, learned(&bob, &alice).as_deref()), (Some(0), Some("comparison")));
    assert_eq!(learned(&alice, &bob).as_deref(), Some("manual"));
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
    // Nobody is there who could compare anything.
    let mut listening = bob.start(&["listen", "--echo"]);
    listening.event("online");
    assert_failed(&alice.run(&["verify", &bob.full()]), 4, "let its user run xtls verify there");
    assert_eq!(learned(&alice, &bob).as_deref(), Some("leap-of-faith"));
}

/// A chat in which both ends have the string before them.
fn compare_in_a_chat(from: &Person, to: &Person) -> ([Xtls; 2], [Value; 2]) {
    let mut listening = to.start(&["listen"]);
    listening.event("online");
    let mut chatting = from.start(&["chat", &to.full()]);
    chatting.event("stream_open");
    listening.event("stream_open");
    chatting.line("/verify");
    let shown = [&mut chatting, &mut listening].map(|end| {
        let shown = end.event("compare");
        let wanted = end.event("answer_wanted");
        assert_eq!((text(&wanted["yes"]), text(&wanted["no"])), ("/verify yes", "/verify no"));
        shown
    });
    ([chatting, listening], shown)
}

#[test]
fn two_compare_in_the_middle_of_a_chat_and_go_on_talking() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let mut listening = Terminal::start(&bob, 80, &["listen"]);
    listening.at(">");
    let mut chatting = Terminal::start(&alice, 80, &["chat", &bob.full()]);
    chatting.at("bob@localhost>");
    listening.see("* lines go to alice@localhost");
    // There is nothing to answer yet.
    chatting.keys("/verify yes\r");
    chatting.see("xtls: there is no string to compare yet: /verify makes one");
    chatting.keys("/verify\r");
    let digits = |end: &Terminal| {
        end.see("Is it the same there? Type /verify yes or /verify no:");
        let shown = end.shown();
        let digits = shown.lines().rev().find(|line| line.starts_with("    ") && line.contains(char::is_numeric));
        digits.expect("it is shown").trim().to_owned()
    };
    let shown = digits(&chatting);
    assert_eq!((shown.len(), &shown), (12, &digits(&listening)));
    // Messages go on meanwhile.
    listening.keys("is that really you?\r");
    chatting.line("", "bob@localhost: is that really you?");
    chatting.keys("/verify yes\r");
    listening.keys("/verify yes\r");
    chatting.see("* bob@localhost/xtls is verified");
    listening.see("* alice@localhost/xtls is verified");
    chatting.keys("it is\r");
    listening.line("", "alice@localhost: it is");
    chatting.keys("/quit\r");
    assert_eq!(chatting.wait().0, Some(0));
    for (person, peer) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(learned(person, peer).as_deref(), Some("comparison"));
    }
}

#[test]
fn whoever_runs_xtls_verify_compares_with_whoever_listens() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let mut listening = bob.start(&["listen"]);
    listening.event("online");
    let mut verifying = alice.start(&["verify", &bob.full()]);
    assert_eq!(verifying.event("compare")["digits"], listening.event("compare")["digits"]);
    verifying.line("yes");
    listening.line("/verify yes");
    assert_eq!(verifying.wait().code, Some(0));
    listening.event("verified");
    listening.event("closed");
    assert_eq!(learned(&bob, &alice).as_deref(), Some("comparison"));
}

#[test]
fn m05_a_man_in_the_middle_of_a_chat_is_found_out_and_the_chat_ends() {
    let (near, far) = (Stage::new(Transport::Plain), Stage::new(Transport::Plain));
    let (alice, false_bob) = two(&near);
    let (false_alice, bob) = two(&far);
    leap(&alice, &false_bob);
    leap(&false_alice, &bob);
    let ([mut alices, mut left], [hers, _]) = compare_in_a_chat(&alice, &false_bob);
    let ([mut right, mut bobs], [_, his]) = compare_in_a_chat(&false_alice, &bob);
    assert_ne!((&hers["digits"], &hers["words"]), (&his["digits"], &his["words"]));
    left.line("/verify yes");
    right.line("/verify yes");
    alices.line("/verify no");
    bobs.line("/verify no");
    let told = bobs.event("error");
    assert!(text(&told["message"]).contains("somebody is in the middle"), "{told}");
    bobs.end_input();
    let _ = bobs.wait();
    assert_failed(&alices.wait(), 3, "somebody is in the middle");
    assert_eq!((learned(&alice, &bob), learned(&bob, &alice)), (None, None));
}

#[test]
fn a_no_in_a_chat_is_told_at_both_ends() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let ([chatting, mut listening], _) = compare_in_a_chat(&alice, &bob);
    listening.line("/verify no");
    let told = listening.event("error");
    assert!(text(&told["message"]).contains("the strings differ"), "{told}");
    assert_failed(&chatting.wait(), 3, "the other user says that the strings differ");
    assert_eq!((learned(&alice, &bob), learned(&bob, &alice)), (None, None));
}

#[test]
fn whoever_ends_a_chat_while_a_string_is_compared_leaves_everything_as_it_was() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let ([mut chatting, mut listening], _) = compare_in_a_chat(&alice, &bob);
    listening.line("/verify yes");
    chatting.line("/quit");
    assert_eq!(chatting.wait().code, Some(0));
    let told = listening.event("error");
    assert!(text(&told["message"]).contains("the other end aborted it"), "{told}");
    for (person, peer) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(learned(person, peer).as_deref(), Some("leap-of-faith"));
    }
}

#[test]
fn a_password_leaves_nothing_to_compare() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    let word = alice.file("word", "wherefore art thou");
    let mut listening = bob.start(&["listen", "--srp-password-file", &word]);
    listening.event("online");
    let mut chatting = alice.start(&["chat", &bob.full(), "--srp-password-file", &word]);
    chatting.event("stream_open");
    chatting.line("/verify");
    let told = chatting.event("error");
    assert!(text(&told["message"]).contains("a password secures this tunnel"), "{told}");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
}

#[test]
fn whoever_does_not_say_stops_the_comparison_and_another_one_begins_with_another_string() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = two(&stage);
    leap(&alice, &bob);
    let ([mut chatting, mut listening], [first, _]) = compare_in_a_chat(&alice, &bob);
    chatting.line("/verify stop");
    assert!(text(&chatting.event("note")["message"]).contains("has come to nothing"));
    let told = listening.event("error");
    assert!(text(&told["message"]).contains("the other end aborted it"), "{told}");
    // There is none to stop now.
    chatting.line("/verify stop");
    assert!(text(&chatting.event("error")["message"]).contains("there is no string to compare yet"));
    listening.line("/verify");
    let (hers, his) = (chatting.event("compare"), listening.event("compare"));
    assert_eq!(hers["digits"], his["digits"]);
    assert_ne!(hers["digits"], first["digits"]);
    chatting.line("/verify yes");
    listening.line("/verify yes");
    chatting.event("verified");
    listening.event("verified");
    chatting.end_input();
    assert_eq!(chatting.wait().code, Some(0));
    assert_eq!(learned(&alice, &bob).as_deref(), Some("comparison"));
}
