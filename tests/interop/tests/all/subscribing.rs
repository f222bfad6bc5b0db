//! `xtls subscribe`: whose presence one sees, through real servers. Alice and Dave do not see one another's at first.

use serde_json::Value;
use xtls_interop::{Certificate, Ejabberd, Ended, Person, Stage, Transport};

/// What the command says of this peer last.
fn told(ended: &Ended, peer: &Person) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = ended.named("subscription").filter(|told| told["peer"] == peer.bare()).last();
    told.unwrap_or_else(|| panic!("nothing is said of {}: {:?}", peer.bare(), ended.events)).clone()
}

/// What is so of it.
fn facts(told: &Value) -> Vec<&str> {
    let is = |name: &&str| told[*name].as_bool().expect("it is said");
    ["sees", "seen", "asked", "approved", "requests"].into_iter().filter(is).collect()
}

fn subscribe(who: &Person, peer: &Person) -> Value {
    told(&who.run(&["subscribe", &peer.bare()]), peer)
}

/// What the list has of this peer.
fn listed(who: &Person, peer: &Person) -> Value {
    told(&who.run(&["subscribe"]), peer)
}

/// Whether the list has this peer.
fn knows(who: &Person, peer: &Person) -> bool {
    let ended = who.run(&["subscribe"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.named("subscription").any(|told| told["peer"] == peer.bare())
}

fn assert_mutual(one: &Person, other: &Person) {
    for (who, peer) in [(one, other), (other, one)] {
        let told = listed(who, peer);
        assert!(facts(&told).starts_with(&["sees", "seen"]), "{told}");
        assert_eq!((&told["asked"], &told["requests"]), (&false.into(), &false.into()), "{told}");
    }
}

#[test]
fn once_two_have_subscribed_each_sees_the_other_until_one_takes_it_back() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = (stage.person("alice"), stage.person("dave"));
    assert!(!knows(&alice, &dave));
    // This server approves in advance (RFC 6121 § 3.4).
    assert_eq!(facts(&subscribe(&alice, &dave)), ["asked", "approved"]);
    // It is no approval of Dave's that he is shown her request.
    assert_eq!(facts(&listed(&dave, &alice)), ["requests"]);
    assert_eq!(facts(&listed(&dave, &alice)), ["requests"]);
    // This server does not tell its own users of that while the one who approved is away; when she comes again it does.
    assert_eq!(facts(&subscribe(&dave, &alice)), ["seen", "asked"]);
    assert!(facts(&subscribe(&alice, &dave)).starts_with(&["sees", "seen"]));
    assert_mutual(&alice, &dave);
    // Whoever has subscribed already has nothing more to do.
    assert!(facts(&subscribe(&alice, &dave)).starts_with(&["sees", "seen"]));

    let removed = told(&alice.run(&["subscribe", "--remove", &dave.bare()]), &dave);
    assert!(facts(&removed).is_empty(), "{removed}");
    assert!(!knows(&alice, &dave));
    assert!(facts(&listed(&dave, &alice)).is_empty());
    // What is not there can be taken back too.
    assert_eq!(alice.run(&["subscribe", "--remove", "nobody@localhost"]).code, Some(0));
}

#[test]
fn two_at_different_servers_see_one_another_once_both_have_subscribed() {
    let stage = Stage::federated();
    let alice = stage.person("alice");
    let dave = stage.other.as_ref().expect("there are two servers").person("dave");
    assert_eq!(facts(&subscribe(&alice, &dave)), ["asked", "approved"]);
    assert!(facts(&subscribe(&dave, &alice)).starts_with(&["sees", "seen"]));
    assert_mutual(&alice, &dave);
}

#[test]
fn nobody_is_approved_who_is_not_named_and_a_refusal_is_told() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = (stage.person("alice"), stage.person("dave"));
    let mut waiting = dave.start(&["subscribe", "--wait", &alice.bare()]);
    assert_eq!(facts(&waiting.event("subscription")), ["asked", "approved"]);
    // Alice does other things, with other people.
    assert_eq!(alice.run(&["subscribe", &stage.person("bob").bare()]).code, Some(0));
    let listening = alice.listen(&[]);
    let mut beside = alice.start_as(&alice.bare(), &["subscribe"]);
    beside.end_input();
    assert_eq!(facts(&told(&beside.wait(), &dave)), ["requests"]);
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
    assert_eq!(facts(&listed(&alice, &dave)), ["requests"]);
    let removed = told(&alice.run(&["subscribe", "--remove", &dave.bare()]), &dave);
    assert!(facts(&removed).is_empty(), "{removed}");
    let ended = waiting.wait();
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert!(ended.stderr.contains("alice@localhost does not let you see its presence"), "{}", ended.stderr);
    assert!(!knows(&alice, &dave));
}

#[test]
fn whoever_waits_for_the_peer_ends_when_each_sees_the_other_or_the_time_is_over() {
    let stage = Stage::new(Transport::Plain);
    let (alice, dave) = (stage.person("alice"), stage.person("dave"));
    let ended = alice.run(&["subscribe", "--wait=1s", &dave.bare()]);
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    assert!(ended.stderr.contains("dave@localhost has not answered"), "{}", ended.stderr);
    let mut waiting = alice.start(&["subscribe", "--wait", &dave.bare()]);
    waiting.event("subscription");
    subscribe(&dave, &alice);
    assert!(facts(&told(&waiting.wait(), &dave)).starts_with(&["sees", "seen"]));
    assert_mutual(&alice, &dave);
    let own = alice.run(&["subscribe", &alice.bare()]);
    assert_eq!(own.code, Some(2), "{}", own.stderr);
}

/// This server does not approve in advance.
#[test]
fn through_ejabberd_whoever_was_first_waits_or_comes_again() {
    let server = Ejabberd::start(Certificate::Good);
    let (alice, dave) = (server.person("alice"), server.person("dave"));
    assert_eq!(facts(&subscribe(&alice, &dave)), ["asked"]);
    assert_eq!(facts(&subscribe(&dave, &alice)), ["seen", "asked"]);
    assert_eq!(facts(&subscribe(&alice, &dave)), ["sees", "seen"]);
    assert_mutual(&alice, &dave);
    let removed = told(&dave.run(&["subscribe", "--remove", &alice.bare()]), &alice);
    assert!(facts(&removed).is_empty(), "{removed}");
    assert!(!knows(&dave, &alice));

    let mut waiting = dave.start(&["subscribe", "--wait", &alice.bare()]);
    waiting.event("subscription");
    assert_eq!(facts(&subscribe(&alice, &dave)), ["sees", "seen"]);
    assert_eq!(facts(&told(&waiting.wait(), &alice)), ["sees", "seen"]);
}
