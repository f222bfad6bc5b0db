//! Whole links: much data, any cut, the same bytes from the same seed, nothing in clear.

use proptest::prelude::*;
use xtls::{Dialect, LinkEvent, LinkTerms, Method, TrustPolicy};
use xtls_testkit::{LinkPair, SIDES};

use crate::common::{I, R, bodies, clear, friends, message, password, pinned, secured};

/// A conversation: connect, one message each way, close. Everything that was sent, and what was said.
fn conversation(terms: &LinkTerms, cut: usize) -> ([Vec<u8>; 2], Vec<String>) {
    let mut pair = if terms.methods.contains(&Method::Srp) { LinkPair::new(3) } else { friends(3) };
    pair.cut = cut;
    pair.connect(terms.clone());
    for side in SIDES {
        pair.with(side, |link, now| link.send(now, &message("it is the secret east"))).unwrap();
    }
    pair.run();
    pair.with(I, xtls::Link::close);
    pair.run();
    let said = SIDES.map(|side| format!("{:?}", pair.take_events(side)));
    (SIDES.map(|side| pair.sent(side).to_vec()), said.to_vec())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for terms in [pinned(), password("wherefore")] {
        assert_eq!(conversation(&terms, 0), conversation(&terms, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_the_bytes_are_cut_the_conversation_is_the_same(cut in 1_usize..700, srp: bool) {
        let terms = if srp { password("wherefore") } else { pinned() };
        prop_assert_eq!(conversation(&terms, cut).1, conversation(&terms, 0).1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From some byte on the peer sends noise, or what it sent before: nothing of it is handed on, whatever the stage.
    #[test]
    fn noise_at_any_point_is_never_handed_on(
        noisy in 0_usize..2,
        from in 0_usize..4000,
        noise in proptest::collection::vec(any::<u8>(), 1..200),
        cut in 0_usize..40,
        srp: bool,
    ) {
        let terms = if srp { password("wherefore") } else { pinned() };
        let mut pair = if srp { LinkPair::new(3) } else { friends(3) };
        pair.cut = cut;
        let mut passed = 0;
        let expected = noise.len();
        pair.tamper(SIDES[noisy], move |bytes| {
            let begins = (from - passed.min(from)).min(bytes.len());
            passed += bytes.len();
            let tail = bytes.len() - begins;
            bytes.truncate(begins);
            bytes.extend(noise.iter().cycle().take(if tail > 0 { tail.max(expected) } else { 0 }));
        });
        pair.connect(terms);
        let hears = SIDES[1 - noisy];
        let events = pair.take_events(hears);
        let heard = events.iter().any(|event| matches!(event, LinkEvent::Stanza(_) | LinkEvent::Nonza(_)));
        prop_assert!(!heard, "{events:?}");
        let ends = events.iter().filter(|event| matches!(event, LinkEvent::Closed(_))).count();
        prop_assert!(ends <= 1);
        // Whoever still waits does not wait for ever.
        let waits = pair.link(hears).poll_timeout().is_some();
        prop_assert_eq!(waits, ends == 0);
    }
}

#[test]
fn nothing_but_the_negotiation_is_ever_sent_in_clear() {
    for terms in [pinned(), password("wherefore")] {
        let ([first, second], _) = conversation(&terms, 0);
        for bytes in [first, second] {
            let text = clear(&bytes);
            for tag in text.split('<').skip(1) {
                let name = tag.split([' ', '>', '/']).find(|name| !name.is_empty()).unwrap_or_default();
                let known = [
                    "?xml",
                    "stream:stream",
                    "stream:features",
                    "starttls",
                    "required",
                    "offer",
                    "keyinfo",
                    "name",
                    "srp",
                    "insecure",
                    "proceed",
                ];
                assert!(known.contains(&name), "{name} in {text}");
            }
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
            // Behind the clear part there is nothing but records.
            let mut rest = &bytes[text.len()..];
            while let [kind, 3, 1 | 3, high, low, ..] = *rest {
                assert!((20..=23).contains(&kind));
                rest = &rest[5 + usize::from(u16::from_be_bytes([high, low]))..];
            }
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn a_mebibyte_of_stanzas_goes_both_ways_at_once() {
    for terms in [pinned(), password("wherefore")] {
        let mut pair = if terms.methods.contains(&Method::Srp) { LinkPair::new(5) } else { friends(5) };
        pair.connect(terms);
        for side in SIDES {
            secured(&mut pair, side);
        }
        let stanza = message(&"wherefore art thou ".repeat(862));
        let mut heard = [0, 0];
        for _ in 0..65 {
            for side in SIDES {
                pair.with(side, |link, now| link.send(now, &stanza)).unwrap();
            }
            pair.run();
            for (count, side) in heard.iter_mut().zip(SIDES) {
                *count += bodies(&pair.take_events(side)).iter().map(String::len).sum::<usize>();
            }
        }
        assert_eq!(heard, [65 * 862 * 19; 2]);
        assert!(heard[0] > 1 << 20);
    }
}

#[test]
fn xep_0035_2_the_old_dialect_leads_to_the_same_link() {
    for terms in [pinned(), LinkTerms::new(TrustPolicy::Ask)] {
        let mut pair = friends(1);
        for side in SIDES {
            pair.config(side).dialect = Dialect::Xep0035;
        }
        pair.connect(terms);
        assert!(!clear(pair.sent(I)).contains("version=") && !clear(pair.sent(R)).contains("stream:features"));
        for side in SIDES {
            assert_eq!(secured(&mut pair, side).method, Method::X509);
        }
        for side in SIDES {
            pair.with(side, |link, now| link.send(now, &message("But soft!"))).unwrap();
            pair.run();
        }
        for side in SIDES {
            assert_eq!(bodies(&pair.take_events(side)), ["But soft!"]);
        }
    }
}

#[test]
fn xep_0035_2_has_no_place_for_a_password() {
    let mut pair = LinkPair::new(1);
    for side in SIDES {
        pair.config(side).dialect = Dialect::Xep0035;
    }
    pair.connect(password("wherefore"));
    for side in SIDES {
        assert!(!clear(pair.sent(side)).contains("starttls/"));
    }
    assert!(crate::common::fault(&mut pair, I).is_security());
}
