//! The negotiation hash at the beginning of a stream (docs/wire.md § 5).

use super::*;

const OURS: [u8; 32] = [0xab; 32];
const OTHER: [u8; 32] = [0xac; 32];

fn with_hash(side: Side, hash: [u8; 32], is_required: bool) -> Side {
    Side { stream: side.stream.with_hash(hash, is_required), ..side }
}

fn romeo(is_required: bool) -> Side {
    with_hash(Side::romeo(), OURS, is_required)
}

fn juliet(is_required: bool) -> Side {
    with_hash(Side::juliet(), OURS, is_required)
}

fn hash_element(hash: [u8; 32]) -> String {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<hash xmlns='urn:xtls:negotiation:1'>{hex}</hash>")
}

/// Juliet's header, with what announces the hash or without.
fn answer(announces: bool) -> String {
    let announcement = if announces { " xmlns:n='urn:xtls:negotiation:1'" } else { "" };
    format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'{announcement} \
         from='{JULIET}' id='x' to='{ROMEO}' version='1.0'>"
    )
}

fn features(inside: &str) -> String {
    format!("<stream:features>{inside}</stream:features>")
}

const STANZA: &str = "<message><body>hello</body></message>";

#[test]
fn wire_5_the_answering_end_shows_its_hash_and_then_the_other_before_any_stanza() {
    let (mut romeo, mut juliet) = (romeo(false), juliet(false));
    romeo.open();
    let header = romeo.written();
    assert_eq!(header, HEADER, "the one that opens says nothing of it yet");
    assert_eq!(show(&juliet.handle(header)), ["Opened"]);
    let answered = juliet.written();
    let expected = features(&hash_element(OURS));
    assert!(answered.contains(" xmlns:n='urn:xtls:negotiation:1' ") && answered.ends_with(&expected), "{answered}");
    assert_eq!(show(&romeo.handle(answered)), ["NegotiationMatches", "Opened"]);
    assert_eq!(romeo.written(), hash_element(OURS));
    romeo.send(STANZA).unwrap();
    let said = hash_element(OURS) + &romeo.written();
    let told = show(&juliet.handle(said));
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], "NegotiationMatches");
    assert!(told[1].contains("hello"));
}

#[test]
fn wire_5_nothing_is_open_between_the_answering_header_and_the_hash() {
    let mut romeo = romeo(false);
    romeo.open();
    romeo.written();
    let text = answer(true) + &features(&hash_element(OURS));
    for piece in &text.as_bytes()[..text.len() - 1] {
        assert!(romeo.handle([*piece]).is_empty());
        assert!(!romeo.stream.is_open() && romeo.stream.awaits_header());
        assert_eq!(romeo.send(STANZA), Err(StreamSendError::NotOpen));
    }
    assert_eq!(show(&romeo.handle(">")), ["NegotiationMatches", "Opened"]);
    assert!(romeo.stream.is_open() && !romeo.stream.awaits_header());
}

#[test]
fn wire_5_another_hash_ends_the_stream_at_both_ends_before_any_stanza() {
    let mut romeo = romeo(false);
    let mut juliet = with_hash(Side::juliet(), OTHER, false);
    romeo.open();
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!(of_romeo, ["Failed(NegotiationDiffers)"]);
    assert_eq!(of_juliet, ["Opened", "Failed(NegotiationDiffers)"]);
    assert!(StreamFault::NegotiationDiffers.is_security());
    // A stanza beside it reaches nobody.
    let mut juliet = with_hash(Side::juliet(), OURS, false);
    juliet.handle(HEADER);
    let told = juliet.handle(hash_element(OTHER) + STANZA);
    assert_eq!(*fault(&told), StreamFault::NegotiationDiffers);
    assert_eq!(told.len(), 1);
    assert!(juliet.written().ends_with(
        "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    ));
}

#[test]
fn wire_5_what_is_no_hash_differs() {
    let short = hash_element(OURS).replace("abab</", "ab</");
    for wrong in ["<hash xmlns='urn:xtls:negotiation:1'/>", "<hash xmlns='urn:xtls:negotiation:1'>zz</hash>", &short] {
        let mut juliet = juliet(false);
        juliet.handle(HEADER);
        assert_eq!(*fault(&juliet.handle(wrong)), StreamFault::NegotiationDiffers, "{wrong}");
    }
    // Digits are digits.
    let mut juliet = juliet(false);
    juliet.handle(HEADER);
    let upper_case = hash_element(OURS).replace("ab", "AB");
    assert_eq!(show(&juliet.handle(upper_case)), ["NegotiationMatches"]);
}

#[test]
fn wire_5_a_peer_without_the_hash_is_taken_unless_one_is_required() {
    // Either end, with one that knows nothing of it.
    let mut old = Side::juliet();
    let mut new = romeo(false);
    new.open();
    assert_eq!(exchange(&mut new, &mut old), (vec!["Opened".to_owned()], vec!["Opened".to_owned()]));
    let mut old = Side::romeo();
    let mut new = juliet(false);
    old.open();
    assert_eq!(exchange(&mut old, &mut new), (vec!["Opened".to_owned()], vec!["Opened".to_owned()]));
    old.send(STANZA).unwrap();
    assert!(show(&new.handle(old.written()))[0].contains("hello"));

    let mut strict = romeo(true);
    strict.open();
    assert!(strict.handle(answer(false)).is_empty(), "it is waited for");
    assert_eq!(*fault(&strict.handle("<stream:features/>")), StreamFault::NegotiationMissing);
    for first in [STANZA, END] {
        let mut strict = romeo(true);
        strict.open();
        assert_eq!(*fault(&strict.handle(answer(false) + first)), StreamFault::NegotiationMissing);
    }
    let mut strict = juliet(true);
    strict.handle(HEADER);
    let told = strict.handle(STANZA);
    assert_eq!(*fault(&told), StreamFault::NegotiationMissing);
    assert_eq!(told.len(), 1);
}

#[test]
fn wire_5_who_announces_a_hash_has_to_show_it() {
    for first in ["<stream:features/>", STANZA, END] {
        let mut romeo = romeo(false);
        romeo.open();
        assert_eq!(*fault(&romeo.handle(answer(true) + first)), StreamFault::NegotiationMissing, "{first}");
    }
    // A stream error says why there is none.
    let mut romeo = romeo(false);
    romeo.open();
    let error = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert!(matches!(fault(&romeo.handle(answer(true) + error)), StreamFault::Reported { .. }));
}

#[test]
fn wire_5_another_version_beside_it_is_left_alone_and_another_alone_is_none() {
    let newer = "<hash xmlns='urn:xtls:negotiation:2'>00</hash>";
    let mut romeo = romeo(false);
    romeo.open();
    let told = romeo.handle(answer(true) + &features(&(newer.to_owned() + &hash_element(OURS))));
    assert_eq!(show(&told), ["NegotiationMatches", "Opened"]);
    let mut romeo = with_hash(Side::romeo(), OURS, false);
    romeo.open();
    assert_eq!(show(&romeo.handle(answer(false) + &features(newer))), ["Opened"]);
}

#[test]
fn wire_5_each_stream_of_a_tunnel_begins_with_it() {
    let (mut romeo, mut juliet) = (romeo(true), juliet(true));
    romeo.open();
    exchange(&mut romeo, &mut juliet);
    juliet.close();
    exchange(&mut romeo, &mut juliet);
    juliet.open();
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!(of_romeo, ["Opened", "NegotiationMatches"]);
    assert_eq!(of_juliet, ["NegotiationMatches", "Opened"]);
}

#[test]
fn wire_5_whoever_opens_may_close_before_it_has_seen_the_hash() {
    let (mut romeo, mut juliet) = (romeo(true), juliet(true));
    romeo.open();
    romeo.close();
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!(of_romeo, ["NegotiationMatches", "Closed"]);
    assert_eq!(of_juliet, ["Opened", "Closed"]);
    assert!(romeo.stream.is_idle() && juliet.stream.is_idle());
}
