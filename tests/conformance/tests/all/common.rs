//! What the tests share.

pub mod stage;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{
    Application, CloseReason, Closed, EndedBy, Event, Fault,
    jingle::{BYTES_0_NS, Description, ReasonCondition},
};
use xtls_stanza::{Condition, Element, ElementRef, ErrorType, Limits, StanzaError, ns};
use xtls_testkit::Passed;

pub use stage::Stage;

pub const ROMEO: &str = "romeo@montague.lit/orchard";
pub const JULIET: &str = "juliet@capulet.lit/balcony";
/// The sids of the draft's examples.
pub const SID: &str = "a73sjjvkl37jfea";
pub const IBB_SID: &str = "ch3d9s71";
pub const JINGLE_ERRORS: &str = "urn:xmpp:jingle:errors:1";

/// The stream header of the draft's § 4 that Romeo sends.
pub const HEADER_ROMEO: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
     from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony' version='1.0'>";
/// Juliet's response to it.
pub const HEADER_JULIET: &str = "<stream:stream xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams' from='juliet@capulet.lit/balcony' id='hs91gh1836d8s717' \
     to='romeo@montague.lit/orchard' version='1.0'>";

pub fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

/// An element without the white space between elements: the examples are indented.
pub fn compact(xml: &str) -> Element {
    fn copy(builder: xtls_stanza::Builder, from: ElementRef<'_>) -> xtls_stanza::Builder {
        let mut builder = builder;
        for attribute in from.attributes() {
            builder = builder.attribute_in(attribute.ns, attribute.name, attribute.value);
        }
        if from.children().next().is_none() {
            return builder.text(from.text().trim());
        }
        for child in from.children() {
            builder = copy(builder.open(child.name(), child.ns()), child).close();
        }
        builder
    }
    let source = element(xml);
    copy(Element::builder(source.name(), source.ns()), source.root()).build().unwrap()
}

/// A message with a body.
/// Raw bytes under the description of the version before, as of a peer that shows no negotiation hash.
pub fn bytes_without_hash() -> Application {
    let element = Element::builder("description", BYTES_0_NS).build().unwrap();
    Application::Bytes(Description::new(&element).unwrap())
}

pub fn message(body: &str) -> Element {
    Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(body).build().unwrap()
}

pub fn id(stanza: &Element) -> &str {
    stanza.attribute("id").unwrap()
}

/// What an IQ carries.
pub fn payload(stanza: &Element) -> Element {
    let mut children = stanza.children();
    let first = children.next().expect("an IQ with a payload").to_element();
    assert!(children.next().is_none(), "an IQ with one payload");
    first
}

pub fn is_request(stanza: &Element) -> bool {
    stanza.name() == "iq" && matches!(stanza.attribute("type"), Some("set" | "get"))
}

pub fn is_data(stanza: &Element) -> bool {
    is_request(stanza) && stanza.child("data", ns::IBB).is_some()
}

/// The bytes of a data stanza; its base64 must be one run.
pub fn decoded(stanza: &Element) -> Vec<u8> {
    STANDARD.decode(stanza.child("data", ns::IBB).unwrap().text()).unwrap()
}

/// The blocks that one entity sent, as (seq, bytes).
pub fn blocks_of(log: &[Passed], from: &str) -> Vec<(u16, Vec<u8>)> {
    let stanzas = log.iter().filter(|passed| passed.from == from).map(|passed| element(&passed.stanza));
    stanzas
        .filter(is_data)
        .map(|stanza| {
            let seq = stanza.child("data", ns::IBB).unwrap().attribute("seq").unwrap().parse().unwrap();
            (seq, decoded(&stanza))
        })
        .collect()
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// An empty result from `from` to `to`.
pub fn result(from: &str, to: &str, id: &str) -> Element {
    Element::builder("iq", ns::CLIENT)
        .attribute("from", from)
        .attribute("to", to)
        .attribute("id", id)
        .attribute("type", "result")
        .build()
        .unwrap()
}

/// What an error says, but for its words.
pub type Said = (Condition, ErrorType, Option<(String, String)>);

pub fn said(stanza: &Element) -> Said {
    let error = StanzaError::of_stanza(stanza).unwrap_or_else(|| panic!("an error: {}", stanza.to_xml(ns::CLIENT)));
    (error.condition, error.error_type, error.specific)
}

pub fn jingle_error(condition: Condition, error_type: ErrorType, specific: &str) -> Said {
    (condition, error_type, Some((specific.to_owned(), JINGLE_ERRORS.to_owned())))
}

pub fn unknown_session() -> Said {
    jingle_error(Condition::ItemNotFound, ErrorType::Cancel, "unknown-session")
}

/// A session-terminate's `<jingle/>` with a condition and nothing more.
pub fn terminate(sid: &str, condition: &str) -> Element {
    element(&format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'>\
         <reason><{condition}/></reason></jingle>"
    ))
}

/// A session-terminate without its words, which are free.
pub fn without_text(jingle: &Element) -> Element {
    let reason = jingle.child("reason", ns::JINGLE).expect("a reason");
    let kept: Vec<_> = reason.children().filter(|child| child.name() != "text").collect();
    let [condition] = kept.as_slice() else { panic!("one condition") };
    let mut copy = Element::builder(jingle.name(), jingle.ns());
    for attribute in jingle.root().attributes() {
        copy = copy.attribute(attribute.name, attribute.value);
    }
    copy.open("reason", ns::JINGLE).child(*condition).build().unwrap()
}

/// The names of events, in order.
pub fn kinds(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Event::Incoming(_) => "Incoming",
            Event::IncomingGone { .. } => "IncomingGone",
            Event::PasswordRequired { .. } => "PasswordRequired",
            Event::TrustRequired { .. } => "TrustRequired",
            Event::Secured { .. } => "Secured",
            Event::Confirmed { .. } => "Confirmed",
            Event::StreamOpened { .. } => "StreamOpened",
            Event::StreamClosed { .. } => "StreamClosed",
            Event::Stanza { .. } => "Stanza",
            Event::Impersonation { .. } => "Impersonation",
            Event::CertificatesReceived { .. } => "CertificatesReceived",
            Event::Probed { .. } => "Probed",
            Event::Readable { .. } => "Readable",
            Event::Writable { .. } => "Writable",
            Event::Throttled { .. } => "Throttled",
            Event::PeerFinished { .. } => "PeerFinished",
            Event::Receipt { .. } => "Receipt",
            Event::Closed(_) => "Closed",
            other => panic!("an event that this test does not know: {other:?}"),
        })
        .collect()
}

/// The one `Closed` among the events, which is the last of them.
pub fn closed(events: Vec<Event>) -> Closed {
    let closed = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(closed, 1, "{events:?}");
    match events.into_iter().last() {
        Some(Event::Closed(closed)) => closed,
        other => panic!("Closed comes last: {other:?}"),
    }
}

/// Whom and what a tunnel ended by.
pub fn fault(closed: &Closed) -> &Fault {
    assert_eq!(closed.by, EndedBy::Engine, "{closed:?}");
    match &closed.reason {
        CloseReason::Fault(fault) => fault,
        other => panic!("a fault: {other:?}"),
    }
}

/// The reason that the peer gave.
pub fn remote_reason(closed: &Closed) -> ReasonCondition {
    assert_eq!(closed.by, EndedBy::Remote, "{closed:?}");
    match &closed.reason {
        CloseReason::Terminated(reason) => reason.condition,
        other => panic!("a reason: {other:?}"),
    }
}

/// The stanzas among the events.
pub fn stanzas(events: Vec<Event>) -> Vec<Element> {
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Stanza { stanza, .. } => Some(stanza),
            _ => None,
        })
        .collect()
}
