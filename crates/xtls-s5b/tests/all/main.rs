//! What goes over the wire by XEP-0260: its examples, and as clients shape it.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests, and an arbitrary starting point"
)]

mod clients;
mod examples;

use xtls_s5b::{S5bMalformed, S5bTransport};
use xtls_stanza::{Element, Limits, jid::Jid};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// A `<transport/>` with these attributes and this in it.
fn read(attributes: &str, inner: &str) -> Result<S5bTransport, S5bMalformed> {
    let xml = format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' {attributes}>{inner}</transport>");
    S5bTransport::parse(Element::parse(&xml, &Limits::default()).unwrap().root()).unwrap()
}
