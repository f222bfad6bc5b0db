use proptest::prelude::*;
use xtls_stanza::{Condition, Element, Limits, StanzaError};

use super::{
    MAX_FAILED, Party, ShortString, Verifier, VerifyError, VerifyEvent, VerifyFailure, transcript::Transcript,
    wire::Nonce,
};
use crate::trust::Fingerprint;

const ROMEO: &str = "romeo@montague.example/orchard";
const JULIET: &str = "juliet@capulet.example/balcony";
const CHANNEL: [u8; 32] = [7; 32];

fn party(jid: &str) -> Party {
    Party { jid: jid.parse().unwrap(), certificate: Fingerprint::sha256(jid.as_bytes()) }
}

/// The end of `we` in a channel with `peer`.
fn end(channel: [u8; 32], we: &str, peer: &str, seed: u8) -> Verifier {
    Verifier::new(channel, party(we), party(peer), [seed; 32])
}

fn pair() -> [Verifier; 2] {
    [end(CHANNEL, ROMEO, JULIET, 1), end(CHANNEL, JULIET, ROMEO, 2)]
}

fn events(verifier: &mut Verifier) -> Vec<VerifyEvent> {
    core::iter::from_fn(|| verifier.poll_event()).collect()
}

/// Carries everything until both are silent.
fn run(ends: &mut [Verifier; 2]) {
    loop {
        let stanzas = ends.each_mut().map(Verifier::poll_transmit);
        if stanzas.iter().all(Option::is_none) {
            return;
        }
        for (at, stanza) in stanzas.iter().enumerate() {
            stanza.iter().for_each(|stanza| assert!(ends[1 - at].handle_stanza(stanza), "{stanza:?}"));
        }
    }
}

/// Both at the point where their users compare.
fn comparing() -> [Verifier; 2] {
    let mut ends = pair();
    ends[0].propose().unwrap();
    run(&mut ends);
    let string = ends[0].string().unwrap();
    assert_eq!(events(&mut ends[0]), [VerifyEvent::Compare(string)]);
    assert_eq!(events(&mut ends[1]), [VerifyEvent::Proposed, VerifyEvent::Compare(string)]);
    ends
}

fn request(name: &str, attempt: &str, rest: &str) -> Element {
    let text = format!("<iq type='set' id='i'><{name} xmlns='urn:xtls:verify:0' attempt='{attempt}'{rest}</iq>");
    Element::parse(&text, &Limits::default()).unwrap()
}

/// What a request of the peer is answered with: nothing wrong, or this condition.
fn refused(verifier: &mut Verifier, request: &Element) -> Option<Condition> {
    assert!(verifier.handle_stanza(request));
    let sent: Vec<Element> = core::iter::from_fn(|| verifier.poll_transmit()).collect();
    sent.last().and_then(StanzaError::of_stanza).map(|error| error.condition)
}

#[test]
fn two_in_one_channel_see_the_same_and_both_know_that_both_said_so() {
    for first in [0, 1] {
        let mut ends = comparing();
        ends[first].answer(true);
        run(&mut ends);
        assert!(ends.iter_mut().all(|end| events(end).is_empty()), "one user is not both");
        ends[1 - first].answer(true);
        // What is said later counts for nothing.
        ends[first].answer(false);
        run(&mut ends);
        for end in &mut ends {
            assert_eq!((events(end), end.failed(), end.string()), (vec![VerifyEvent::Verified], 0, None));
        }
    }
}

#[test]
fn each_attempt_has_a_string_of_its_own() {
    let mut ends = comparing();
    let first = ends[0].string();
    ends.iter_mut().for_each(|end| end.answer(true));
    run(&mut ends);
    ends[1].propose().unwrap();
    run(&mut ends);
    assert_eq!(ends[0].string(), ends[1].string());
    assert_ne!(ends[0].string(), first);
}

#[test]
fn whoever_says_no_ends_it_at_both_ends() {
    for first in [0, 1] {
        let mut ends = comparing();
        ends[1 - first].answer(true);
        ends[first].answer(false);
        run(&mut ends);
        assert_eq!(events(&mut ends[first]), [VerifyEvent::Failed(VerifyFailure::WeDiffer)]);
        assert_eq!(events(&mut ends[1 - first]), [VerifyEvent::Failed(VerifyFailure::PeerDiffers)]);
        assert_eq!(ends.map(|end| end.failed()), [1, 1]);
    }
}

#[test]
fn an_abort_is_told_and_counts_wherever_it_comes() {
    for stanzas in 0..5 {
        for first in [0, 1] {
            let mut ends = pair();
            ends[0].propose().unwrap();
            for at in 0..stanzas {
                let stanza = ends[at % 2].poll_transmit().unwrap();
                assert!(ends[1 - at % 2].handle_stanza(&stanza));
            }
            if ends[first].attempt().is_none() {
                // It knows of none.
                assert_eq!((first, stanzas), (1, 0));
                continue;
            }
            ends[first].abort();
            run(&mut ends);
            let told = ends.each_mut().map(|end| events(end).pop());
            assert_eq!(told[first], Some(VerifyEvent::Failed(VerifyFailure::WeAborted)));
            assert_eq!(told[1 - first], Some(VerifyEvent::Failed(VerifyFailure::PeerAborted)), "{stanzas} {first}");
            assert_eq!(ends.map(|end| end.failed()), [1, 1]);
        }
    }
}

#[test]
fn three_failures_are_all_there_may_be_in_a_channel() {
    let mut ends = pair();
    for _ in 0..MAX_FAILED {
        ends[0].propose().unwrap();
        run(&mut ends);
        ends[1].abort();
        run(&mut ends);
    }
    assert_eq!(ends[0].propose(), Err(VerifyError::TooMany));
    assert_eq!(refused(&mut ends[1], &request("propose", "x", "/>")), Some(Condition::PolicyViolation));
    // An end that counts otherwise is refused.
    let mut other = [end(CHANNEL, ROMEO, JULIET, 3), core::mem::replace(&mut ends[1], end(CHANNEL, JULIET, ROMEO, 4))];
    other[0].propose().unwrap();
    run(&mut other);
    let refused = VerifyFailure::Refused(Condition::PolicyViolation);
    assert_eq!(events(&mut other[0]), [VerifyEvent::Failed(refused)]);
}

#[test]
fn of_two_proposals_that_meet_one_stands() {
    // Which one depends on the names, which follow from the seeds.
    let mut stood = [0, 0];
    for seed in 0..20 {
        let mut ends = [end(CHANNEL, ROMEO, JULIET, seed), end(CHANNEL, JULIET, ROMEO, seed + 100)];
        ends.iter_mut().for_each(|end| end.propose().unwrap());
        run(&mut ends);
        let [one, other] = ends.each_ref().map(|end| end.string().unwrap());
        assert_eq!(one, other);
        let responders = ends.each_mut().map(|end| events(end).contains(&VerifyEvent::Proposed));
        assert_ne!(responders[0], responders[1]);
        stood[usize::from(responders[0])] += 1;
        assert_eq!(ends.map(|end| end.failed()), [0, 0]);
    }
    assert!(stood.iter().all(|count| *count > 2), "{stood:?}");
}

#[test]
fn a_man_in_the_middle_has_two_channels_and_two_strings() {
    for seed in 0..100 {
        let mut left = [end([1; 32], ROMEO, JULIET, seed), end([1; 32], JULIET, ROMEO, seed + 100)];
        let mut right = [end([2; 32], ROMEO, JULIET, 250 - seed), end([2; 32], JULIET, ROMEO, 149 - seed)];
        left[0].propose().unwrap();
        right[0].propose().unwrap();
        run(&mut left);
        run(&mut right);
        assert_ne!(left[0].string(), right[1].string());
    }
}

#[test]
fn whoever_passes_everything_on_gets_two_strings_as_well() {
    // The certificates are the right ones even, as where a key was stolen.
    let mut ends = [end([1; 32], ROMEO, JULIET, 1), end([2; 32], JULIET, ROMEO, 2)];
    ends[0].propose().unwrap();
    run(&mut ends);
    assert!(ends[0].string().is_some() && ends[1].string().is_some());
    assert_ne!(ends[0].string(), ends[1].string());
}

#[test]
fn another_certificate_or_address_is_another_string() {
    let other = Party { certificate: Fingerprint::sha256(b"another"), ..party(ROMEO) };
    for wrong in [other, Party { jid: "romeo@montague.example/other".parse().unwrap(), ..party(ROMEO) }] {
        for first in [0, 1] {
            let mut ends =
                [end(CHANNEL, ROMEO, JULIET, 1), Verifier::new(CHANNEL, party(JULIET), wrong.clone(), [2; 32])];
            ends[first].propose().unwrap();
            run(&mut ends);
            let strings = ends.each_ref().map(Verifier::string);
            // As a responder he commits with his own certificate, which she does not know.
            assert!(strings[0] != strings[1] || strings == [None, None], "{strings:?}");
        }
    }
}

#[test]
fn a_number_that_was_not_committed_to_is_not_taken() {
    let mut ends = pair();
    ends[0].propose().unwrap();
    for at in [0, 1, 0] {
        let stanza = ends[at].poll_transmit().unwrap();
        assert!(ends[1 - at].handle_stanza(&stanza));
    }
    let honest = ends[1].poll_transmit().unwrap();
    let id = honest.attribute("id").unwrap();
    let other =
        format!("<iq type='result' id='{id}'><nonce xmlns='urn:xtls:verify:0'>{}</nonce></iq>", "ab".repeat(32));
    assert!(ends[0].handle_stanza(&Element::parse(&other, &Limits::default()).unwrap()));
    assert_eq!(events(&mut ends[0]), [VerifyEvent::Failed(VerifyFailure::Broken)]);
    // The right one comes too late: the attempt has ended.
    assert!(!ends[0].handle_stanza(&honest));
    assert_eq!(ends[0].string(), None);
}

/// The bits of a string that a test can try out.
const SMALL: u32 = 0xfff;

/// Somebody who has a channel with each end, is the responder in the one and the proposer in the other, and sees a string of 12 bits.
struct Middle {
    target: u32,
    proposers: Nonce,
}

impl Middle {
    fn string(&self, theirs: &Nonce) -> u32 {
        let (proposer, responder) = (party(ROMEO), party(JULIET));
        let transcript = Transcript { channel: &CHANNEL, attempt: "a", proposer: &proposer, responder: &responder };
        transcript.string(&self.proposers, theirs).bits() & SMALL
    }
}

#[test]
fn without_the_commitment_a_string_could_be_ground_and_with_it_each_attempt_is_one_guess() {
    let mut ids = xtls_stanza::Ids::new([9; 32]);
    let (mut ground, mut guessed) = (0, 0);
    for target in 0..20 {
        // What the other end will see, and the number of this one, which has sent it.
        let middle = Middle { target, proposers: Nonce::new(&mut ids) };
        // Whoever may choose after that tries as often as it takes.
        ground += u32::from((0..40_000).any(|_| middle.string(&Nonce::new(&mut ids)) == target));
        // Whoever has committed cannot.
        guessed += u32::from(middle.string(&Nonce::new(&mut ids)) == middle.target);
    }
    assert_eq!((ground, guessed), (20, 0));
}

#[test]
fn wire_6_the_example_in_the_document() {
    let (proposer, responder) = (party(ROMEO), party(JULIET));
    let transcript = Transcript { channel: &[1; 32], attempt: "example", proposer: &proposer, responder: &responder };
    let [first, second] = [2, 3].map(|byte| Nonce::from_bytes([byte; 32]));
    let commitment: String = transcript.commitment(&second).iter().map(|byte| format!("{byte:02x}")).collect();
    let string = transcript.string(&first, &second);
    assert_eq!(commitment, "6d0c918693968c4a2539d05c5156e8d9c19e2f5c4093b6faca6deac4a55204b2");
    assert_eq!((string.digits(), string.places()), ("343 436 8766".to_owned(), [818, 1673, 1790]));
}

#[test]
fn a_string_is_ten_digits_or_three_places() {
    let shown = |bits| (ShortString::from_bits(bits).digits(), ShortString::from_bits(bits).places());
    assert_eq!(shown(0), ("000 000 0000".to_owned(), [0, 0, 0]));
    assert_eq!(shown(u32::MAX), ("429 496 7295".to_owned(), [1023, 2047, 2047]));
    assert_eq!(shown(1 << 22 | 2 << 11 | 3), ("000 419 8403".to_owned(), [1, 2, 3]));
}

#[test]
fn every_request_in_every_state() {
    let digits = format!(">{}</nonce>", "0a".repeat(32));
    let named = |attempt: &str| {
        [
            request("propose", attempt, "/>"),
            request("nonce", attempt, &digits),
            request("answer", attempt, " matches='true'/>"),
            request("answer", attempt, " matches='false'/>"),
            request("abort", attempt, "/>"),
        ]
    };
    let none = Some(Condition::ItemNotFound);
    let early = Some(Condition::UnexpectedRequest);
    let busy = Some(Condition::Conflict);
    // Idle; proposed; opening; committed; comparing.
    let rows = [
        [None, none, none, none, none],
        [busy, early, early, early, None],
        [busy, early, early, early, None],
        [busy, None, early, early, None],
        [busy, early, None, None, None],
    ];
    for (state, row) in rows.iter().enumerate() {
        for (at, expected) in row.iter().enumerate() {
            let mut ends = pair();
            let mut verifier = match state {
                0..=2 => {
                    if state > 0 {
                        ends[0].propose().unwrap();
                    }
                    if state > 1 {
                        run_one(&mut ends);
                    }
                    let [verifier, _] = ends;
                    verifier
                }
                _ => {
                    let [mut one, mut other] = ends;
                    one.propose().unwrap();
                    assert!(other.handle_stanza(&one.poll_transmit().unwrap()));
                    if state == 4 {
                        assert!(one.handle_stanza(&other.poll_transmit().unwrap()));
                        assert!(other.handle_stanza(&one.poll_transmit().unwrap()));
                    }
                    other
                }
            };
            let attempt = verifier.attempt().unwrap_or("any").to_owned();
            let stanza = &named(&attempt)[at];
            assert_eq!(refused(&mut verifier, stanza), *expected, "{state} {at}");
            // Nothing of another attempt is heard, but for a proposal.
            for stanza in &named("~other")[1..] {
                assert_eq!(refused(&mut verifier, stanza), none, "{state} {at}");
            }
        }
    }
}

/// The proposal there, and the commitment back.
fn run_one(ends: &mut [Verifier; 2]) {
    let [one, other] = ends;
    assert!(other.handle_stanza(&one.poll_transmit().unwrap()));
    assert!(one.handle_stanza(&other.poll_transmit().unwrap()));
}

#[test]
fn what_makes_no_sense_is_a_bad_request() {
    let long = ["a".repeat(64), "a".repeat(65)];
    let mut verifier = end(CHANNEL, JULIET, ROMEO, 1);
    assert_eq!(refused(&mut verifier, &request("propose", &long[1], "/>")), Some(Condition::BadRequest));
    assert_eq!(refused(&mut verifier, &request("propose", &long[0], "/>")), None);
    for (name, rest) in [
        ("nonce", "/>".to_owned()),
        ("nonce", format!(">{}</nonce>", "a".repeat(63))),
        ("nonce", format!(">{}</nonce>", "a".repeat(65))),
        ("nonce", format!(">{}g</nonce>", "a".repeat(63))),
        ("nonce", format!(">+{}</nonce>", "a".repeat(63))),
        ("answer", "/>".to_owned()),
        ("answer", " matches='yes'/>".to_owned()),
        ("unknown", "/>".to_owned()),
    ] {
        assert_eq!(
            refused(&mut verifier, &request(name, &long[0], &rest)),
            Some(Condition::BadRequest),
            "{name}{rest}"
        );
    }
    assert_eq!(refused(&mut verifier, &request("propose", "", "/>")), Some(Condition::BadRequest));
    // It goes on as if nothing had been.
    assert_eq!(refused(&mut verifier, &request("nonce", &long[0], &format!("> {} </nonce>", "aB".repeat(32)))), None);
}

#[test]
fn what_is_not_of_it_is_left_to_others() {
    let mut verifier = end(CHANNEL, ROMEO, JULIET, 1);
    verifier.propose().unwrap();
    let _ = verifier.poll_transmit();
    for stanza in [
        "<message/>",
        "<iq type='set' id='1'><propose xmlns='urn:xtls:verify:1' attempt='a'/></iq>",
        "<iq type='get' id='1'><propose xmlns='urn:xtls:verify:0' attempt='a'/></iq>",
        "<iq type='result' id='1'/>",
        "<iq type='set' id='1'/>",
    ] {
        assert!(!verifier.handle_stanza(&Element::parse(stanza, &Limits::default()).unwrap()), "{stanza}");
    }
    assert_eq!((verifier.poll_transmit(), verifier.poll_event()), (None, None));
}

#[test]
fn a_peer_that_does_not_know_how_is_told_apart() {
    let mut verifier = end(CHANNEL, ROMEO, JULIET, 1);
    verifier.propose().unwrap();
    let asked = verifier.poll_transmit().unwrap();
    let answer = super::wire::refusal(asked.attribute("id").unwrap(), Condition::ServiceUnavailable).unwrap();
    assert!(verifier.handle_stanza(&answer));
    let how = VerifyFailure::Refused(Condition::ServiceUnavailable);
    assert_eq!(events(&mut verifier), [VerifyEvent::Failed(how)]);
    assert_eq!(how.to_string(), "the peer does not know how to compare strings");
}

#[test]
fn a_peer_that_asks_without_end_is_held_in_bounds() {
    let mut verifier = end(CHANNEL, ROMEO, JULIET, 1);
    for _ in 0..17 {
        assert!(verifier.handle_stanza(&request("abort", "x", "/>")));
    }
    assert_eq!(core::iter::from_fn(|| verifier.poll_transmit()).count(), 16);
    assert_eq!(events(&mut verifier), []);
}

#[test]
fn nothing_secret_is_shown() {
    let [verifier, _] = comparing();
    let shown = format!("{verifier:?}");
    assert!(shown.contains("Nonce") || shown.contains("ShortString(..)"), "{shown}");
    assert!(!shown.contains("7, 7") && !shown.contains(&verifier.string().unwrap().bits().to_string()), "{shown}");
}

proptest! {
    /// Stanzas are lost, doubled and come late, and users say what they like.
    #[test]
    fn nobody_is_verified_whose_user_has_not_said_so(steps in proptest::collection::vec((0_usize..2, 0_u8..8), 0..60)) {
        let mut ends = pair();
        let mut way: [Vec<Element>; 2] = [Vec::new(), Vec::new()];
        let mut said_yes = [false; 2];
        for (who, what) in steps {
            match what {
                0 => drop(ends[who].propose()),
                1 => {
                    said_yes[who] |= ends[who].string().is_some();
                    ends[who].answer(true);
                }
                2 => ends[who].abort(),
                3 => drop(way[who].pop()),
                4 => way[who].extend(way[who].first().cloned()),
                _ => way[who].reverse(),
            }
            way[who].extend(core::iter::from_fn(|| ends[who].poll_transmit()));
            if what > 4 && let Some(stanza) = way[who].pop() {
                let _ = ends[1 - who].handle_stanza(&stanza);
            }
            for at in [0, 1] {
                for event in events(&mut ends[at]) {
                    prop_assert!(event != VerifyEvent::Verified || said_yes == [true; 2]);
                }
            }
        }
    }
}
