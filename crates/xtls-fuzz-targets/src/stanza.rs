//! Stanzas, and the values that are read out of them.

use xtls_stanza::{
    Element, ElementRef, Fingerprint, Iq, IqType, KeyKind, KeyName, Limits, OwnMethods, Pubkeys, Scope, SecurityOffer,
    StanzaError, TlsOffer, ns,
};
use xtls_stream::Features;

/// Reads the input as a stanza, and each element in it as every value that it could be; what could be read is written and read
/// again.
pub fn run(data: &[u8]) {
    let Ok(xml) = core::str::from_utf8(data) else { return };
    let Ok(stanza) = Element::parse(xml, &Limits::default()) else { return };
    if let Some(Ok(iq)) = Iq::parse(&stanza) {
        check_iq(&iq);
    }
    if let Some(error) = StanzaError::of_stanza(&stanza) {
        check_error(&error);
    }
    visit(stanza.root(), &mut check_values);
}

fn check_iq(iq: &Iq<'_>) {
    assert!(!iq.id.is_empty());
    assert!(iq.payload.is_some() || iq.iq_type == IqType::Result, "only a result may be empty");
    assert_eq!(iq.error().is_some(), iq.iq_type == IqType::Error);
    let mut out = String::new();
    let to = iq.to.unwrap_or("nobody");
    Iq::write_start(&mut out, iq.iq_type, iq.id, to, iq.from);
    iq.payload.into_iter().for_each(|payload| payload.write_xml(&mut out, ns::CLIENT));
    out.push_str("</iq>");
    let again = read(&out);
    let again = Iq::parse(&again).expect("an IQ was written").expect("a sound one");
    assert_eq!((again.iq_type, again.id, again.to, again.from), (iq.iq_type, iq.id, Some(to), iq.from));
    assert_eq!(again.payload, iq.payload);
}

fn check_error(error: &StanzaError) {
    assert!(error.text.as_ref().is_none_or(|text| text.len() <= 1024));
    let mut out = String::new();
    Iq::write_error(&mut out, "1", "romeo@montague.lit", None, error);
    assert_eq!(StanzaError::of_stanza(&read(&out)).as_ref(), Some(error));
    assert!(!error.to_string().contains(char::is_control), "nothing that a terminal obeys");
}

fn check_values(element: ElementRef<'_>) {
    if let Some(offer) = SecurityOffer::parse(element) {
        assert!(offer.fingerprints.len() <= SecurityOffer::MAX && offer.methods.len() <= 2);
        let mut out = String::new();
        offer.write(&mut out);
        assert_eq!(SecurityOffer::parse(read(&out).root()), Some(offer));
    }
    if let Some(offer) = TlsOffer::parse(element) {
        check_tls_offer(&offer);
    }
    if let Some(keys) = Pubkeys::parse(element) {
        assert!(keys.keys.len() <= Pubkeys::MAX && keys.wanted.as_ref().is_none_or(|list| list.len() <= Pubkeys::MAX));
        let written = keys.to_element().expect("what came in XML can go in XML");
        let again = Pubkeys::parse(written.root()).expect("it is the same element");
        assert_eq!((again.variant, &again.jid, &again.keys), (keys.variant, &keys.jid, &keys.keys));
        // What asked for keys that could not be read asks for all of them once it is written: nothing is left to ask for.
        assert_eq!(again.wanted, keys.wanted.filter(|list| !list.is_empty()));
    }
    if let Some(features) = Features::parse(element) {
        let held: usize = features.others.iter().map(Element::held_bytes).sum();
        assert!(held <= Features::MAX_OTHERS);
        let mut out = String::new();
        features.write(&mut out);
        let mut scope = Scope::new(ns::CLIENT);
        scope.declare("stream", ns::STREAM).expect("a sound declaration");
        let again = Element::parse_in(&out, &generous(), &scope).expect("what is written can be read");
        let again = Features::parse(again.root()).expect("it is the same element");
        assert_eq!((again.starttls, again.mechanisms), (features.starttls, features.mechanisms));
        // Written anew an element may hold more or less.
        assert!(again.others.iter().zip(&features.others).all(|(again, before)| again == before));
    }
}

fn check_tls_offer(offer: &TlsOffer) {
    assert!(offer.keys.len() <= TlsOffer::MAX_KEYS && offer.methods() >= offer.keys.len());
    let mut out = String::new();
    offer.write(&mut out);
    assert_eq!(TlsOffer::parse(read(&out).root()).as_ref(), Some(offer));
    assert_eq!(offer.is_empty(), offer.methods() == 0);
    for key in &offer.keys {
        assert_eq!(KeyName::new(key.as_str()).as_ref(), Ok(key));
        if let Some(fingerprint) = key.fingerprint() {
            assert_eq!(KeyName::from(&fingerprint).fingerprint(), Some(fingerprint));
        }
    }
    // XEP-0250 § 3.2: no answer offers what the offer did not.
    let mut own = OwnMethods::default();
    own.keys.push((KeyKind::X509, KeyName::from(&Fingerprint::sha1(b"certificate"))));
    (own.srp, own.insecure) = (true, true);
    let answer = offer.answer(&own, |_| None);
    assert!(
        answer.keys.is_empty()
            && answer.srp == offer.srp
            && answer.insecure == (offer.insecure || !offer.keys.is_empty())
    );
    let answer = offer.answer(&own, |_| Some(KeyKind::X509));
    assert_eq!(answer.keys.is_empty(), offer.keys.is_empty());
}

fn visit<'a>(element: ElementRef<'a>, see: &mut impl FnMut(ElementRef<'a>)) {
    see(element);
    element.children().for_each(|child| visit(child, see));
}

fn read(xml: &str) -> Element {
    Element::parse(xml, &generous()).expect("what is written can be read")
}

fn generous() -> Limits {
    let mut limits = Limits::default();
    limits.stanza_bytes = 1 << 28;
    limits.attributes = 1 << 10;
    limits.declarations = 1 << 16;
    limits
}
