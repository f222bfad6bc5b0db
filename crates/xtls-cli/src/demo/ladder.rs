//! What a stanza is, in a few words.

use xtls_stanza::{Element, ElementRef, StanzaError, ns};

/// Describes a stanza as one that watches the server would.
pub(super) fn describe(stanza: &Element) -> String {
    let kind = stanza.attribute("type").unwrap_or_default();
    if kind == "error" {
        let condition = StanzaError::of_stanza(stanza).map_or("unknown", |error| error.condition.as_str());
        return format!("error: {condition}");
    }
    match stanza.children().next() {
        None => format!("{} {kind}", stanza.name()),
        Some(child) => payload(child, kind),
    }
}

fn payload(child: ElementRef<'_>, kind: &str) -> String {
    match (child.ns(), child.name()) {
        (ns::JINGLE, "jingle") => format!("jingle {}", child.attribute("action").unwrap_or_default()),
        (ns::IBB, "data") => {
            let base64 = child.text().len();
            format!("ibb data {}, {} bytes", child.attribute("seq").unwrap_or_default(), base64 / 4 * 3)
        }
        (ns::IBB, name) => format!("ibb {name}"),
        (ns::DISCO_INFO, _) if kind == "get" => "which features?".to_owned(),
        (ns::DISCO_INFO, _) => {
            format!("{} features", child.children().filter(|child| child.name() == "feature").count())
        }
        (_, name) => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::Limits;

    use super::*;

    #[test]
    fn stanzas_are_named_by_what_they_do() {
        for (text, what) in [
            (
                "<iq type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-accept'/></iq>",
                "jingle session-accept",
            ),
            (
                "<iq type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='7'>AAAABBBB</data></iq>",
                "ibb data 7, 6 bytes",
            ),
            ("<iq type='set'><close xmlns='http://jabber.org/protocol/ibb'/></iq>", "ibb close"),
            ("<iq type='result'/>", "iq result"),
            (
                "<iq type='error'><error type='cancel'><item-not-found \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                "error: item-not-found",
            ),
        ] {
            assert_eq!(describe(&Element::parse(text, &Limits::default()).unwrap()), what);
        }
    }
}
