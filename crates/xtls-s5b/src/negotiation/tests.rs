#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const PROXY: &str = "streamer.shakespeare.lit";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn candidate(cid: &str, kind: CandidateType, priority: u32, owner: &str) -> Candidate {
    let jid = jid(if kind == CandidateType::Proxy { PROXY } else { owner });
    Candidate {
        cid: cid.to_owned(),
        host: Host::new(&format!("{cid}.example")).unwrap(),
        port: 5086,
        jid,
        priority,
        kind,
    }
}

fn begin(is_initiator: bool, offered: Vec<Candidate>) -> Begin {
    let (own, peer) = if is_initiator { (ROMEO, JULIET) } else { (JULIET, ROMEO) };
    Begin { is_initiator, sid: "vj3hs98y".into(), own: jid(own), peer: jid(peer), offered, may_dial: |_| true }
}

fn states(candidates: Vec<Candidate>) -> S5bTransport {
    S5bTransport::new("vj3hs98y", S5bPayload::Candidates(candidates))
}

/// Two of ours and two of the peer's: direct with 20 and a proxy with 10, ours; 15 and 5, the peer's.
fn usual(now: Instant, is_initiator: bool) -> Negotiation {
    use CandidateType::{Direct, Proxy};
    let ours = vec![candidate("od", Direct, 20, ROMEO), candidate("op", Proxy, 10, ROMEO)];
    let theirs = vec![candidate("td", Direct, 15, JULIET), candidate("tp", Proxy, 5, JULIET)];
    Negotiation::new(now, begin(is_initiator, ours), &states(theirs))
}

fn actions(negotiation: &mut Negotiation) -> Vec<String> {
    core::iter::from_fn(|| negotiation.poll()).map(|action| shown(&action)).collect()
}

fn shown(action: &Action) -> String {
    match action {
        Action::Dial { host, attempt, .. } => format!("dial {host} as {}", attempt.0),
        Action::Abandon(attempt) => format!("abandon {}", attempt.0),
        Action::Say(S5bPayload::CandidateUsed(cid)) => format!("say used {cid}"),
        Action::Say(S5bPayload::Activated(cid)) => format!("say activated {cid}"),
        Action::Say(S5bPayload::CandidateError) => "say error".to_owned(),
        Action::Say(S5bPayload::ProxyError) => "say proxy-error".to_owned(),
        Action::Say(S5bPayload::Candidates(_)) => "say candidates".to_owned(),
        Action::Activate { proxy, target } => format!("activate {target} at {proxy}"),
        Action::Ready { attempt, .. } => format!("ready {}", attempt.0),
        Action::Failed => "failed".to_owned(),
    }
}

/// The states that a negotiation can be in, each with the connection that it waits for.
const STATES: [&str; 8] = ["dialling", "used", "nothing", "joining", "activating", "awaiting", "ready", "failed"];

fn used(cid: &str) -> S5bPayload {
    S5bPayload::CandidateUsed(cid.into())
}

/// A negotiation in this state, and its attempt of interest.
fn state(name: &str, now: Instant) -> (Negotiation, Attempt) {
    let mut n = usual(now, true);
    let direct = Attempt(1);
    match name {
        "dialling" => {}
        "used" => n.connected(now, direct),
        "nothing" => n.timeout(now + Negotiation::DIAL_TIME),
        "joining" | "activating" => {
            n.timeout(now + Negotiation::DIAL_TIME);
            n.handle(now, &used("op")).unwrap();
        }
        "awaiting" => {
            n.failed(now, direct);
            n.timeout(now);
            n.connected(now, Attempt(2));
            n.handle(now, &S5bPayload::CandidateError).unwrap();
        }
        "ready" => {
            n.connected(now, direct);
            n.handle(now, &S5bPayload::CandidateError).unwrap();
        }
        "failed" => {
            n.timeout(now + Negotiation::DIAL_TIME);
            n.handle(now, &S5bPayload::CandidateError).unwrap();
        }
        _ => unreachable!(),
    }
    let dialled = core::iter::from_fn(|| n.poll()).filter_map(|action| match action {
        Action::Dial { attempt, .. } => Some(attempt),
        _ => None,
    });
    let last = dialled.last().unwrap();
    if name == "activating" {
        n.connected(now, last);
        actions(&mut n);
    }
    (n, last)
}

type Input = (&'static str, fn(&mut Negotiation, Instant, Attempt) -> Result<(), S5bFault>);

const INPUTS: [Input; 13] = [
    ("connected", |n, now, of| {
        n.connected(now, of);
        Ok(())
    }),
    ("failed", |n, now, of| {
        n.failed(now, of);
        Ok(())
    }),
    ("incoming", |n, _, _| n.incoming().map(drop).ok_or(S5bFault::OutOfOrder)),
    ("used od", |n, now, _| n.handle(now, &used("od"))),
    ("used op", |n, now, _| n.handle(now, &used("op"))),
    ("used td", |n, now, _| n.handle(now, &used("td"))),
    ("error", |n, now, _| n.handle(now, &S5bPayload::CandidateError)),
    ("activated tp", |n, now, _| n.handle(now, &S5bPayload::Activated("tp".into()))),
    ("activated od", |n, now, _| n.handle(now, &S5bPayload::Activated("od".into()))),
    ("proxy-error", |n, now, _| n.handle(now, &S5bPayload::ProxyError)),
    ("the proxy does", |n, _, _| {
        n.activated(true);
        Ok(())
    }),
    ("the proxy does not", |n, _, _| {
        n.activated(false);
        Ok(())
    }),
    ("time", |n, now, _| {
        n.timeout(n.deadline().unwrap_or(now));
        Ok(())
    }),
];

/// For each input and each state what is done; "-" for nothing, and the fault of what is refused.
const TABLE: &[(&str, [&str; 8])] = &[
    (
        "connected",
        [
            "say used td",
            "-",
            "-",
            "activate juliet@capulet.lit/balcony at streamer.shakespeare.lit",
            "-",
            "-",
            "-",
            "-",
        ],
    ),
    (
        "failed",
        [
            "dial tp.example as 2",
            "-",
            "-",
            "say proxy-error; abandon 2; failed",
            "say proxy-error; abandon 2; failed",
            "say proxy-error; abandon 2; failed",
            "-",
            "-",
        ],
    ),
    ("incoming", ["-", "-", "-", "OutOfOrder", "OutOfOrder", "OutOfOrder", "OutOfOrder", "OutOfOrder"]),
    (
        "used od",
        [
            "abandon 1; say error; failed",
            "abandon 1; failed",
            "failed",
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
        ],
    ),
    ("used op", ["-", "ready 1", "dial op.example as 2", "-", "-", "OutOfOrder", "OutOfOrder", "OutOfOrder"]),
    ("used td", ["UnknownCandidate"; 8]),
    ("error", ["-", "ready 1", "failed", "OutOfOrder", "OutOfOrder", "-", "-", "-"]),
    (
        "activated tp",
        ["OutOfOrder", "OutOfOrder", "OutOfOrder", "OutOfOrder", "OutOfOrder", "ready 2", "OutOfOrder", "OutOfOrder"],
    ),
    (
        "activated od",
        [
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "UnknownCandidate",
            "OutOfOrder",
            "OutOfOrder",
        ],
    ),
    (
        "proxy-error",
        [
            "OutOfOrder",
            "OutOfOrder",
            "OutOfOrder",
            "abandon 2; failed",
            "abandon 2; failed",
            "abandon 2; failed",
            "OutOfOrder",
            "OutOfOrder",
        ],
    ),
    ("the proxy does", ["-", "-", "-", "-", "say activated op; ready 2", "-", "-", "-"]),
    ("the proxy does not", ["-", "-", "-", "-", "say proxy-error; abandon 2; failed", "-", "-", "-"]),
    (
        "time",
        [
            "dial tp.example as 2",
            "abandon 1; failed",
            "failed",
            "say proxy-error; abandon 2; failed",
            "say proxy-error; abandon 2; failed",
            "say proxy-error; abandon 2; failed",
            "-",
            "-",
        ],
    ),
];

#[test]
fn every_input_in_every_state() {
    assert_eq!(
        TABLE.iter().map(|row| row.0).collect::<Vec<_>>(),
        INPUTS.map(|input| input.0),
        "every input has its row"
    );
    let now = Instant::now();
    for ((input, act), (_, columns)) in INPUTS.into_iter().zip(TABLE) {
        for (name, expected) in STATES.into_iter().zip(columns) {
            let (mut n, attempt) = state(name, now);
            let result = act(&mut n, now, attempt);
            let done = actions(&mut n).join("; ");
            let found = match result {
                Err(fault) => {
                    assert_eq!(done, "", "{input} while {name}: a fault changes nothing");
                    format!("{fault:?}")
                }
                Ok(()) if done.is_empty() => "-".to_owned(),
                Ok(()) => done,
            };
            assert_eq!(found, *expected, "{input} while {name}");
            assert_eq!(n.is_over(), n.deadline().is_none());
        }
    }
}

#[test]
fn until_the_peer_has_answered_it_may_come_and_nobody_is_dialled() {
    let now = Instant::now();
    let offered = || {
        let ours = vec![candidate("od", CandidateType::Direct, 20, ROMEO)];
        Negotiation::offer(now, begin(true, ours))
    };
    let theirs = states(vec![candidate("td", CandidateType::Direct, 15, JULIET)]);
    let later = now + Negotiation::MAX_TIME * 2;

    let mut n = offered();
    assert!(n.expected().is_some());
    let came = n.incoming().unwrap();
    assert_eq!(n.incoming(), None, "one connection is enough");
    n.connected(now, came);
    for early in [S5bPayload::Activated("td".into()), S5bPayload::ProxyError] {
        assert_eq!(n.handle(now, &early), Err(S5bFault::OutOfOrder));
    }
    assert_eq!(n.handle(now, &used("td")), Err(S5bFault::UnknownCandidate));
    n.handle(now, &used("od")).unwrap();
    // The user of the peer may take any time.
    assert_eq!((n.deadline(), n.is_over()), (None, false));
    n.timeout(later);
    assert_eq!(actions(&mut n), [""; 0]);
    n.answered(later, &theirs);
    assert_eq!(actions(&mut n), ["say error", "ready 1"]);

    let mut n = offered();
    n.answered(later, &theirs);
    assert_eq!(actions(&mut n), ["dial td.example as 1"]);
    assert_eq!(n.deadline(), Some(later + Negotiation::DIAL_TIME));
    n.answered(later, &states(vec![candidate("another", CandidateType::Direct, 15, JULIET)]));
    assert_eq!(actions(&mut n), [""; 0], "there is one answer");

    // Who came and has gone may come again.
    let mut n = offered();
    let came = n.incoming().unwrap();
    n.failed(now, came);
    assert!(n.incoming().is_some());
    assert_eq!(actions(&mut n), [""; 0]);
}

#[test]
fn xep_0260_2_4_of_two_connections_that_of_the_higher_priority_is_used_and_of_equal_ones_the_initiators() {
    let now = Instant::now();
    for (ours, is_initiator, expected) in [
        (14, true, "ready 1"),
        (16, true, "abandon 1; ready 2"),
        (15, true, "ready 1"),
        (15, false, "abandon 1; ready 2"),
    ] {
        let offered = vec![candidate("od", CandidateType::Direct, ours, ROMEO)];
        let theirs = vec![candidate("td", CandidateType::Direct, 15, JULIET)];
        let mut n = Negotiation::new(now, begin(is_initiator, offered), &states(theirs));
        assert_eq!(n.incoming(), Some(Attempt(2)));
        n.connected(now, Attempt(1));
        actions(&mut n);
        n.handle(now, &used("od")).unwrap();
        let mut done = actions(&mut n);
        done.retain(|action| action != "abandon 2");
        assert_eq!(done.join("; "), expected, "ours {ours}, the initiator: {is_initiator}");
    }
}

#[test]
fn xep_0260_2_3_what_could_still_be_better_is_dialled_on_and_the_rest_is_not() {
    let now = Instant::now();
    for (is_initiator, priority, goes_on) in
        [(true, 15, true), (false, 15, false), (true, 16, false), (false, 14, true)]
    {
        let offered = vec![candidate("od", CandidateType::Direct, priority, ROMEO)];
        let theirs = vec![candidate("td", CandidateType::Direct, 15, JULIET)];
        let mut n = Negotiation::new(now, begin(is_initiator, offered), &states(theirs));
        actions(&mut n);
        n.incoming().unwrap();
        n.handle(now, &used("od")).unwrap();
        let done = actions(&mut n).join("; ");
        assert_eq!(done, if goes_on { "" } else { "abandon 1; say error; ready 2" }, "{is_initiator} {priority}");
    }
}

#[test]
fn xep_0260_4_dials_begin_200_ms_after_one_another_and_proxies_wait_longer() {
    use CandidateType::{Assisted, Direct, Proxy};
    let now = Instant::now();
    let theirs = vec![
        candidate("p", Proxy, 1, JULIET),
        candidate("a", Assisted, 2, JULIET),
        candidate("d", Direct, 3, JULIET),
        candidate("q", Proxy, 1, JULIET),
    ];
    let mut n = Negotiation::new(now, begin(true, vec![]), &states(theirs));
    let mut dialled = Vec::new();
    loop {
        let at = n.deadline().unwrap();
        let names = actions(&mut n);
        dialled.extend(names.iter().filter(|name| name.starts_with("dial")).cloned());
        if names.iter().any(|name| name == "say error") {
            break;
        }
        n.timeout(at);
        dialled.push(format!("{} ms", (at - now).as_millis()));
    }
    let expected = [
        "dial d.example as 1",
        "200 ms",
        "dial a.example as 2",
        "700 ms",
        "dial p.example as 3",
        "1200 ms",
        "dial q.example as 4",
        "6000 ms",
    ];
    assert_eq!(dialled, expected);
    // What fails makes room for the next at once.
    let theirs = vec![candidate("d", Direct, 3, JULIET), candidate("p", Proxy, 1, JULIET)];
    let mut n = Negotiation::new(now, begin(true, vec![]), &states(theirs));
    n.failed(now, Attempt(1));
    assert_eq!(actions(&mut n), ["dial d.example as 1", "dial p.example as 2"]);
    n.failed(now, Attempt(2));
    assert_eq!(actions(&mut n), ["say error"]);
}

#[test]
fn two_ends_know_within_ten_seconds_that_nothing_gets_through() {
    let now = Instant::now();
    // The peer has got to a proxy of ours, and we get nowhere at all.
    let offered = vec![candidate("op", CandidateType::Proxy, 1, ROMEO)];
    let theirs = vec![candidate("tp", CandidateType::Proxy, 2, JULIET)];
    let mut n = Negotiation::new(now, begin(true, offered), &states(theirs));
    n.handle(now, &used("op")).unwrap();
    let mut at = now;
    while !n.is_over() {
        at = n.deadline().unwrap();
        n.timeout(at);
    }
    assert_eq!(actions(&mut n).last().unwrap(), "failed");
    assert_eq!(at - now, Duration::from_secs(9));
}

#[test]
fn eight_candidates_are_dialled_and_not_one_more_whether_they_come_at_once_or_in_turn() {
    let now = Instant::now();
    let all: Vec<_> = (1..20).map(|n| candidate(&format!("c{n}"), CandidateType::Direct, n, JULIET)).collect();
    for at_once in [true, false] {
        let mut n = Negotiation::new(now, begin(true, vec![]), &states(all[..if at_once { 8 } else { 1 }].to_vec()));
        for candidate in &all[1..] {
            n.handle(now, &S5bPayload::Candidates(vec![candidate.clone()])).unwrap();
        }
        let mut dialled = BTreeSet::new();
        while !n.is_over() {
            dialled.extend(actions(&mut n).into_iter().filter(|action| action.starts_with("dial")));
            let at = n.deadline().unwrap();
            n.timeout(at);
        }
        assert_eq!(dialled.len(), Candidate::MAX);
    }
}

#[test]
fn what_the_caller_does_not_allow_is_not_dialled() {
    let now = Instant::now();
    let theirs =
        vec![candidate("d", CandidateType::Direct, 9, JULIET), candidate("p", CandidateType::Proxy, 1, JULIET)];
    let only = |may_dial: fn(CandidateType) -> bool| {
        let begin = Begin { may_dial, ..begin(true, vec![]) };
        actions(&mut Negotiation::new(now, begin, &states(theirs.clone())))
    };
    assert_eq!(only(|kind| kind == CandidateType::Proxy), ["dial p.example as 1"]);
    assert_eq!(only(|_| false), ["say error"]);
}

#[test]
fn a_listener_expects_either_order_of_the_addresses_and_no_other_name() {
    let now = Instant::now();
    let n = usual(now, true);
    let [romeo, juliet] = [ROMEO, JULIET].map(jid);
    for dst_addr in DstAddr::of_either_order("vj3hs98y", &romeo, &juliet) {
        assert!(n.expected().unwrap().contains(&dst_addr));
    }
    assert!(!n.expected().unwrap().contains(&DstAddr::new("vj3hs98z", &romeo, &juliet)));
    // Without a listener of ours nobody is expected.
    let n = Negotiation::new(now, begin(true, vec![candidate("op", CandidateType::Proxy, 1, ROMEO)]), &states(vec![]));
    assert_eq!(n.expected(), None);
}

#[test]
fn one_connection_comes_in_and_another_one_once_that_is_lost() {
    let now = Instant::now();
    let mut n = usual(now, true);
    let first = n.incoming().unwrap();
    assert_eq!(n.incoming(), None);
    n.failed(now, first);
    assert!(n.incoming().is_some());
}

#[test]
fn the_owners_dst_addr_is_asked_for_and_ours_where_it_does_not_say() {
    let now = Instant::now();
    let theirs = states(vec![candidate("d", CandidateType::Direct, 1, JULIET)]);
    let stated: DstAddr = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    for (transport, expected) in
        [(theirs.clone().with_dst_addr(stated), stated), (theirs, DstAddr::new("vj3hs98y", &jid(JULIET), &jid(ROMEO)))]
    {
        let mut n = Negotiation::new(now, begin(true, vec![]), &transport);
        assert!(matches!(n.poll(), Some(Action::Dial { dst_addr, .. }) if dst_addr == expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_peer_says_makes_it_panic_or_last_longer(
        inputs in proptest::collection::vec((0..INPUTS.len(), 1..6_u32), 0..40),
        is_initiator in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut n = usual(now, is_initiator);
        for (input, attempt) in inputs {
            let _ = INPUTS[input].1(&mut n, now, Attempt(attempt));
            let ends = actions(&mut n).into_iter().filter(|action| action == "failed" || action.starts_with("ready"));
            prop_assert!(ends.count() <= 1);
        }
        n.timeout(now + Negotiation::MAX_TIME);
        n.timeout(now + Negotiation::MAX_TIME);
        prop_assert!(n.is_over());
        actions(&mut n);
        n.timeout(now + Negotiation::MAX_TIME);
        prop_assert_eq!(actions(&mut n).len(), 0);
    }
}
