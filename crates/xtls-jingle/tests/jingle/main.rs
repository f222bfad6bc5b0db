//! What the crate shows from outside: elements, sessions, the examples and obligations of the specifications, bounds.
#![allow(clippy::unwrap_used, clippy::as_conversions, clippy::wildcard_enum_match_arm)]

mod bounds;
mod changes;
mod dialect;
mod draft;
mod elements;
mod ibb_versions;
mod legacy;
mod negotiation_hash;
mod never_panics;
mod receipts;
mod security_info;
mod session;
mod session_table;
mod xep_0166;
mod xep_0260;
mod xep_0261;

use xtls_jingle::{
    Acceptance, Action, Description, Dialect, IbbTransport, IbbVersion, Jingle, Malformed, Offer, Sent, Session,
    SessionTransport,
};
use xtls_stanza::{Element, Fingerprint, Ids, Iq, Limits, Method, SecurityOffer, XtlsVersion, jid::FullJid};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const SID: &str = "a73sjjvkl37jfea";
const IBB_SID: &str = "ch3d9s71";

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

/// The `<jingle/>` element in `xml`, which is that element itself or an IQ around it.
fn read(xml: &str) -> Result<Jingle, Malformed> {
    read_with(xml, &Dialect::default()).unwrap()
}

fn read_with(xml: &str, dialect: &Dialect) -> Option<Result<Jingle, Malformed>> {
    let element = element(xml);
    let payload = Iq::parse(&element).map_or_else(|| element.root(), |iq| iq.unwrap().payload.unwrap());
    Jingle::parse_with(payload, dialect)
}

fn parse_with(xml: &str, dialect: &Dialect) -> Jingle {
    read_with(xml, dialect).unwrap().unwrap()
}

fn parse(xml: &str) -> Jingle {
    read(xml).unwrap()
}

/// A `<jingle/>` element of the common session.
fn jingle(action: Action, inner: &str) -> Jingle {
    parse(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{SID}'>{inner}</jingle>"))
}

fn write(jingle: &Jingle) -> String {
    let mut out = String::new();
    jingle.write(&mut out);
    out
}

fn jid(jid: &str) -> FullJid {
    FullJid::new(jid).unwrap()
}

fn security(methods: &[Method]) -> SecurityOffer {
    let fingerprints = vec![Fingerprint::sha1(b"certificate"), Fingerprint::sha256(b"certificate")];
    SecurityOffer::new(XtlsVersion::Xtls0, fingerprints, methods.to_vec())
}

const BOTH: &[Method] = &[Method::X509, Method::Srp];

fn offer() -> Offer {
    Offer::new(Description::xmlstream(), IBB_SID, 4096, security(BOTH))
}

/// A session that was offered, both ends of it; the session-initiate is not acknowledged yet.
fn pending(offer: Offer) -> (Session, Session) {
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer).unwrap();
    let (_, initiate) = next(&mut initiator);
    let responder = Session::incoming(&initiate).unwrap();
    (initiator, responder)
}

/// A session that was accepted with these methods.
fn active_with(methods: &[Method]) -> (Session, Session) {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(methods))).unwrap();
    let (_, accept) = next(&mut responder);
    initiator.handle_request(&accept).unwrap();
    (initiator, responder)
}

fn active() -> (Session, Session) {
    active_with(BOTH)
}

/// Takes out the next request and reads it back, in whatever version it is.
fn next(session: &mut Session) -> (Sent, Jingle) {
    let (sent, xml) = next_xml(session).unwrap();
    (sent, parse(&xml))
}

fn next_xml(session: &mut Session) -> Option<(Sent, String)> {
    // Each request has an id of its own: seed by what the session looks like.
    let mut seed = [0; 32];
    for (at, byte) in format!("{session:?}").bytes().enumerate() {
        seed[at % 32] ^= byte.rotate_left((at % 7) as u32);
    }
    let mut out = String::new();
    let sent = session.poll(&mut Ids::new(seed), JULIET, None, &mut out)?;
    Some((sent, out))
}

/// The in-band bytestream that is offered, in another version.
fn over_version(offer: &Offer, version: IbbVersion) -> SessionTransport {
    let mut in_band = offer.transport.in_band().unwrap().clone();
    in_band.version = version;
    SessionTransport::InBand(in_band)
}

fn ibb(sid: Option<&str>, block_size: Option<u16>) -> IbbTransport {
    let mut ibb = IbbTransport::default();
    ibb.sid = sid.map(str::to_owned);
    ibb.block_size = block_size;
    ibb
}

/// A session as it looks from outside and inside, to show that a fault has changed nothing.
fn picture(session: &Session) -> String {
    format!("{session:?}")
}
