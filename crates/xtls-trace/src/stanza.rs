//! What a stanza is, without what it says.

use xtls::jingle::Action;
use xtls_stanza::{Element, ElementRef, StanzaError, ns};

/// What a stanza is: its names, and of what it carries only words that the specifications define, and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stanza {
    /// `iq`, `message` or `presence`.
    pub name: String,
    /// Its `id`.
    pub id: Option<String>,
    /// Its `type`.
    pub kind: Option<String>,
    /// The name of its first child.
    pub payload: Option<String>,
    /// The namespace of its first child.
    pub namespace: Option<String>,
    /// Jingle: the action, if it is one of XEP-0166.
    pub action: Option<String>,
    /// In-band bytestreams: the number of the block.
    pub seq: Option<u16>,
    /// In-band bytestreams: how many bytes the block has.
    pub block: Option<u64>,
    /// An error: its condition, one of RFC 6120 § 8.3.3.
    pub condition: Option<String>,
    /// An answer of service discovery: how many features it tells.
    pub features: Option<u64>,
}

impl Stanza {
    /// What this one is.
    #[must_use]
    pub fn of(stanza: &Element) -> Self {
        let payload = stanza.children().next();
        let owned = |text: &str| text.to_owned();
        let data = payload.filter(|payload| payload.is("data", ns::IBB));
        let jingle = payload.filter(|payload| payload.name() == "jingle" && is_jingle(payload.ns()));
        let query = payload.filter(|payload| payload.is("query", ns::DISCO_INFO));
        let kind = stanza.attribute("type");
        Self {
            name: stanza.name().to_owned(),
            id: stanza.attribute("id").map(owned),
            kind: kind.map(owned),
            payload: payload.map(|payload| payload.name().to_owned()),
            namespace: payload.map(|payload| payload.ns().to_owned()),
            action: jingle.and_then(action),
            seq: data.and_then(|data| data.attribute("seq")?.parse().ok()),
            block: data.map(block),
            condition: StanzaError::of_stanza(stanza).map(|error| error.condition.as_str().to_owned()),
            features: query.filter(|_| kind == Some("result")).map(features),
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn label(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or_default();
        if kind == "error" {
            return format!("error: {}", self.condition.as_deref().unwrap_or("unknown"));
        }
        let Some(payload) = &self.payload else {
            return format!("{} {kind}", self.name).trim_end().to_owned();
        };
        match self.namespace.as_deref() {
            Some(namespace) if is_jingle(namespace) => format!("jingle {}", self.action.as_deref().unwrap_or("?")),
            Some(ns::IBB) if payload == "data" => {
                let seq = self.seq.map_or_else(|| "?".to_owned(), |seq| seq.to_string());
                format!("ibb data {seq}, {} bytes", self.block.unwrap_or_default())
            }
            Some(ns::IBB) => format!("ibb {payload}"),
            Some(ns::DISCO_INFO) if kind == "get" => "which features?".to_owned(),
            Some(ns::DISCO_INFO) => format!("{} features", self.features.unwrap_or_default()),
            _ if self.name == "iq" => format!("{kind} {payload}").trim_start().to_owned(),
            _ if kind.is_empty() => format!("{} {payload}", self.name),
            _ => format!("{} {kind} {payload}", self.name),
        }
    }
}

/// Of any time.
fn is_jingle(namespace: &str) -> bool {
    [ns::JINGLE, ns::JINGLE_0, ns::JINGLE_TMP].contains(&namespace)
}

/// Only a word that is known: others could be anything.
fn action(jingle: ElementRef<'_>) -> Option<String> {
    Some(Action::parse(jingle.attribute("action")?)?.as_str().to_owned())
}

/// How many bytes a block of base64 has (RFC 4648 § 4), whether that could be decoded or not.
fn block(data: ElementRef<'_>) -> u64 {
    let digits = data.text().bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
    u64::try_from(digits).unwrap_or(u64::MAX) / 4 * 3 + [0, 0, 1, 2][digits % 4]
}

fn features(query: ElementRef<'_>) -> u64 {
    u64::try_from(query.children().filter(|child| child.name() == "feature").count()).unwrap_or(u64::MAX)
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
            ("<iq type='set'><jingle xmlns='urn:xmpp:jingle:1' action='swordfish'/></iq>", "jingle ?"),
            (
                "<iq type='set'><jingle xmlns='urn:xmpp:tmp:jingle' action='session-initiate'/></iq>",
                "jingle session-initiate",
            ),
            (
                "<iq type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='7'>AAAABBBB</data></iq>",
                "ibb data 7, 6 bytes",
            ),
            (
                "<iq type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='65536'>AAAA\nBB==</data></iq>",
                "ibb data ?, 4 bytes",
            ),
            ("<iq type='set'><close xmlns='http://jabber.org/protocol/ibb'/></iq>", "ibb close"),
            ("<iq type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "which features?"),
            (
                "<iq type='result'><query xmlns='http://jabber.org/protocol/disco#info'><identity/><feature/>\
                 <feature/></query></iq>",
                "2 features",
            ),
            ("<iq type='result'/>", "iq result"),
            ("<iq type='set'><query xmlns='jabber:iq:roster'/></iq>", "set query"),
            ("<presence/>", "presence"),
            ("<message type='chat'><body>secret</body></message>", "message chat body"),
            (
                "<iq type='error'><error type='cancel'><item-not-found \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                "error: item-not-found",
            ),
            ("<iq type='error'/>", "error: unknown"),
        ] {
            assert_eq!(Stanza::of(&Element::parse(text, &Limits::default()).unwrap()).label(), what);
        }
    }
}
