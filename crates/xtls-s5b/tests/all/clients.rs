//! Candidates and what is said of them as Conversations, Dino and Gajim shape it, by their logs and reports: the priorities of others,
//! ties, attributes that are missing or differ, and words at another time than ours.

use std::time::{Duration, Instant};

use xtls_s5b::{
    CandidateType, DstAddr, S5bPayload, S5bTransport,
    negotiation::{Action, Begin, Negotiation, S5bFault},
};

use crate::{JULIET, ROMEO, jid, read};

/// Romeo's end, which initiated the session, with these of its own.
fn initiator(now: Instant, own: &S5bTransport, theirs: &S5bTransport) -> Negotiation {
    let begin = Begin {
        is_initiator: true,
        sid: theirs.sid.clone(),
        own: jid(ROMEO),
        peer: jid(JULIET),
        offered: own.candidates().to_vec(),
        may_dial: |_| true,
    };
    Negotiation::new(now, begin, theirs)
}

fn actions(negotiation: &mut Negotiation) -> Vec<Action> {
    core::iter::from_fn(|| negotiation.poll()).collect()
}

fn candidate(cid: &str, host: &str, priority: u32, more: &str) -> String {
    format!("<candidate cid='{cid}' host='{host}' jid='{JULIET}' port='28011' priority='{priority}'{more}/>")
}

/// Conversations gives its proxy a priority of a direct candidate, and cids and sids are UUIDs.
#[test]
fn a_proxy_with_the_priority_of_a_direct_candidate_is_a_proxy() {
    let theirs = read(
        "sid='de44d675-586e-4493-856e-e3f5e8c01891'",
        "<candidate cid='0f92fbe9-fcda-4850-9f8f-5e421958ee02' host='proxy.capulet.lit' jid='proxy.capulet.lit' port='7777' \
         priority='8323071' type='proxy'/>",
    )
    .unwrap();
    assert_eq!(theirs.candidates()[0].kind, CandidateType::Proxy);
    assert!(theirs.candidates()[0].priority > CandidateType::Assisted.priority(u16::MAX));
    let now = Instant::now();
    let mut negotiation = initiator(now, &read("sid='s'", "").unwrap(), &theirs);
    // Without a dstaddr: of the owner of the proxy first.
    let expected = DstAddr::new(&theirs.sid, &jid(JULIET), &jid(ROMEO));
    let dialled = actions(&mut negotiation);
    let [Action::Dial { attempt, dst_addr, .. }] = &dialled[..] else { panic!("{dialled:?}") };
    assert_eq!(*dst_addr, expected);
    negotiation.connected(now, *attempt);
    negotiation.handle(now, &S5bPayload::CandidateError).unwrap();
    assert!(!negotiation.is_over(), "the peer has to activate it");
    negotiation.handle(now, &S5bPayload::Activated(theirs.candidates()[0].cid.clone())).unwrap();
    assert!(matches!(actions(&mut negotiation).last(), Some(Action::Ready { .. })));
}

#[test]
fn a_dstaddr_in_capitals_is_asked_for_in_small_letters() {
    let stated = "972B7BF47291CA609517F67F86B5081086052DAD";
    let theirs = read(&format!("sid='s' dstaddr='{stated}'"), &candidate("c", "a.example", 1, "")).unwrap();
    assert_eq!(theirs.dst_addr.unwrap().to_string(), stated.to_ascii_lowercase());
    let mut negotiation = initiator(Instant::now(), &read("sid='s'", "").unwrap(), &theirs);
    assert!(matches!(negotiation.poll(), Some(Action::Dial { dst_addr, .. }) if Some(dst_addr) == theirs.dst_addr));
}

/// XEP-0260 § 9: the type has a default. A dstaddr that is none is as good as none.
#[test]
fn what_is_left_out_or_of_no_use_has_its_default() {
    let bare = format!("<candidate cid='c' host='2001:db8::1' jid='{JULIET}' priority='1'/>");
    let theirs = read("sid='s' dstaddr=''", &bare).unwrap();
    assert_eq!((theirs.candidates()[0].kind, theirs.candidates()[0].port), (CandidateType::Direct, 1080));
    assert_eq!(theirs.dst_addr, None);
    let unknown = candidate("c", "a.example", 1, " type='direct' network='0' generation='0'") + "<x xmlns='urn:x'/>";
    assert_eq!(read("sid='s' profile='x'", &unknown).unwrap().candidates().len(), 1, "what is not known is not minded");
}

/// Gajim and Conversations have one priority for all direct candidates: they are dialled as they stand.
#[test]
fn of_equal_priorities_the_first_is_dialled_first_and_of_a_tie_the_initiators_is_taken() {
    let all =
        ["a.example", "b.example", "c.example"].map(|host| candidate(&host[..1], host, 8_257_536, " type='direct'"));
    let theirs = read("sid='s'", &all.concat()).unwrap();
    let own = read("sid='s'", &candidate("own", "own.example", 8_257_536, "").replace(JULIET, ROMEO)).unwrap();
    let mut now = Instant::now();
    let mut negotiation = initiator(now, &own, &theirs);
    let mut dialled = Vec::new();
    for _ in 0..3 {
        dialled.extend(actions(&mut negotiation).into_iter().filter_map(|action| match action {
            Action::Dial { attempt, host, .. } => Some((attempt, host.to_string())),
            _ => None,
        }));
        now += Duration::from_millis(200);
        negotiation.timeout(now);
    }
    assert_eq!(
        dialled.iter().map(|(_, host)| host.as_str()).collect::<Vec<_>>(),
        ["a.example", "b.example", "c.example"]
    );
    let incoming = negotiation.incoming().unwrap();
    negotiation.connected(now, dialled[1].0);
    negotiation.handle(now, &S5bPayload::CandidateUsed("own".into())).unwrap();
    let done = actions(&mut negotiation);
    assert!(matches!(done.last(), Some(Action::Ready { attempt, .. }) if *attempt == dialled[1].0), "{done:?}");
    assert!(done.contains(&Action::Abandon(incoming)));
}

/// Clients behind NATs without a proxy offer nothing at all: both say so at once, and go in band.
#[test]
fn without_any_candidate_at_either_end_it_is_decided_at_once() {
    let none = read("sid='s'", "").unwrap();
    let now = Instant::now();
    let mut negotiation = initiator(now, &none, &none);
    assert_eq!(actions(&mut negotiation), [Action::Say(S5bPayload::CandidateError)]);
    negotiation.handle(now, &S5bPayload::CandidateError).unwrap();
    assert_eq!(actions(&mut negotiation), [Action::Failed]);
}

/// A client that tries to the end of its own time says nothing until then: Conversations took a minute and a half once.
#[test]
fn a_peer_that_goes_on_dialling_for_minutes_is_not_waited_for() {
    let none = read("sid='s'", "").unwrap();
    let own = read("sid='s'", &candidate("own", "own.example", 1, "").replace(JULIET, ROMEO)).unwrap();
    let now = Instant::now();
    let mut negotiation = initiator(now, &own, &none);
    actions(&mut negotiation);
    negotiation.timeout(now + Negotiation::MAX_TIME - Duration::from_nanos(1));
    assert!(!negotiation.is_over());
    negotiation.timeout(now + Negotiation::MAX_TIME);
    assert_eq!(actions(&mut negotiation), [Action::Failed]);
    // What it says then has nothing to do any more.
    let late = negotiation.handle(now + Negotiation::MAX_TIME, &S5bPayload::CandidateError);
    assert_eq!(late, Err(S5bFault::OutOfOrder));
}

/// Both may take themselves for the one that activates: the owner of the candidate does, and words of the other change nothing.
#[test]
fn activated_by_both_is_activated_by_the_owner() {
    let proxy = |cid: &str| {
        format!("<candidate cid='{cid}' host='{cid}.example' jid='{cid}.lit' port='1' priority='655360' type='proxy'/>")
    };
    let (own, theirs) = (read("sid='s'", &proxy("own")).unwrap(), read("sid='s'", "").unwrap());
    let now = Instant::now();
    let mut negotiation = initiator(now, &own, &theirs);
    negotiation.handle(now, &S5bPayload::CandidateUsed("own".into())).unwrap();
    let dialled = actions(&mut negotiation);
    let Some(Action::Dial { attempt, .. }) = dialled.last() else { panic!("{dialled:?}") };
    let by_the_peer = S5bPayload::Activated("own".into());
    assert_eq!(negotiation.handle(now, &by_the_peer), Err(S5bFault::OutOfOrder));
    negotiation.connected(now, *attempt);
    assert_eq!(negotiation.handle(now, &by_the_peer), Err(S5bFault::OutOfOrder));
    assert_eq!(actions(&mut negotiation), [Action::Activate { proxy: jid("own.lit"), target: jid(JULIET) }]);
    negotiation.activated(true);
    assert!(matches!(actions(&mut negotiation)[..], [Action::Say(S5bPayload::Activated(_)), Action::Ready { .. }]));
    assert_eq!(negotiation.handle(now, &by_the_peer), Err(S5bFault::OutOfOrder));
    assert_eq!(actions(&mut negotiation), []);
}

/// Each candidate in a transport-info of its own (XEP-0260 § 2.2), and candidate-used twice, as a resent stanza would be.
#[test]
fn candidates_one_by_one_and_words_that_come_twice_are_taken() {
    let none = read("sid='s'", "").unwrap();
    let own = read("sid='s'", &candidate("own", "own.example", 1, "").replace(JULIET, ROMEO)).unwrap();
    let now = Instant::now();
    let more = read("sid='s'", &candidate("more", "more.example", 9, "")).unwrap();
    let first = read("sid='s'", &candidate("first", "first.example", 5, "")).unwrap();
    let mut negotiation = initiator(now, &own, &first);
    negotiation.handle(now, &more.payload).unwrap();
    negotiation.handle(now, &none.payload).unwrap();
    negotiation.timeout(now + Duration::from_millis(200));
    let hosts = actions(&mut negotiation).into_iter().filter_map(|action| match action {
        Action::Dial { host, .. } => Some(host.to_string()),
        _ => None,
    });
    assert_eq!(hosts.collect::<Vec<_>>(), ["first.example", "more.example"]);
    for _ in 0..2 {
        assert_eq!(negotiation.handle(now, &S5bPayload::CandidateUsed("own".into())), Ok(()));
    }
}
