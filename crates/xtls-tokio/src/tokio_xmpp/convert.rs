//! Stanzas of tokio-xmpp and ours, one tree to the other without text in between.

use std::{io, time::Instant};

use tokio_xmpp::{
    Stanza,
    minidom::{
        Element as Tree, Node as TreeNode,
        rxml::{Namespace, NcName},
    },
    parsers::{iq::Iq, message::MessageType, presence},
};
use xtls::{
    Disposition, Element, Engine,
    jid::Jid,
    xml::{BuildError, Builder, ElementRef, Limits, Node, ns},
};

use crate::OuterStanza;

/// An element of ours as one of minidom's. Text and attributes are the same; prefixes are no part of either.
///
/// # Errors
///
/// When minidom takes a name for none.
pub fn to_minidom(element: ElementRef<'_>) -> io::Result<Tree> {
    let mut tree = Tree::builder(element.name(), element.ns()).build();
    for attribute in element.attributes() {
        let name = NcName::try_from(attribute.name).map_err(invalid)?;
        tree.attrs_mut().insert(Namespace::from(attribute.ns.to_owned()), name, attribute.value.to_owned());
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => drop(tree.append_child(to_minidom(child)?)),
            Node::Text(text) => tree.append_text_node(text),
            _ => {}
        }
    }
    Ok(tree)
}

/// An element of minidom's as one of ours.
///
/// # Errors
///
/// When it has something in it that cannot be written, such as a control character.
pub fn from_minidom(tree: &Tree) -> Result<Element, BuildError> {
    fill(Element::builder(tree.name(), &tree.ns()), tree).build()
}

/// A stanza of ours as one of tokio-xmpp's.
///
/// # Errors
///
/// When it is none, or is for an address that tokio-xmpp would change.
pub fn to_stanza(element: &Element) -> io::Result<Stanza> {
    let to = match element.attribute("to") {
        Some(to) => {
            let typed: Jid = to.parse().map_err(invalid)?;
            Some(jid(&typed).ok_or_else(|| invalid(format!("tokio-xmpp does not take {to} for what it is")))?)
        }
        None => None,
    };
    let payload = || element.children().next().map(to_minidom).transpose();
    let id = element.attribute("id").unwrap_or_default().to_owned();
    // What nearly all of an engine's stanzas are.
    match (element.name(), element.attribute("type"), element.attribute("from")) {
        ("iq", Some("result"), None) => return Ok(Iq::Result { from: None, to, id, payload: payload()? }.into()),
        ("iq", Some("set"), None) => {
            if let Some(payload) = payload()? {
                return Ok(Iq::Set { from: None, to, id, payload }.into());
            }
        }
        _ => {}
    }
    Stanza::try_from(to_minidom(element.root())?).map_err(invalid)
}

/// The address as tokio-xmpp has it, unless it is another one there.
pub(super) fn jid(jid: &Jid) -> Option<tokio_xmpp::jid::Jid> {
    let theirs = tokio_xmpp::jid::Jid::new(jid.as_str()).ok()?;
    let read: Jid = theirs.as_str().parse().ok()?;
    (read == *jid).then_some(theirs)
}

impl OuterStanza for Stanza {
    fn from_text(text: String) -> io::Result<Self> {
        to_stanza(&Element::parse(&text, &Limits::default()).map_err(invalid)?)
    }

    fn offer(&self, engine: &mut Engine, now: Instant) -> Disposition {
        match for_engine(self) {
            Ok(stanza) => engine.handle_element(now, &stanza),
            // What we cannot read is not for us.
            Err(_) => Disposition::NotOurs,
        }
    }

    fn to_request(&self) -> Option<Element> {
        match self {
            Self::Iq(Iq::Get { .. } | Iq::Set { .. }) => for_engine(self).ok(),
            Self::Iq(_) | Self::Message(_) | Self::Presence(_) => None,
        }
    }

    fn to_answer(&self) -> Option<Element> {
        match self {
            Self::Iq(Iq::Result { .. } | Iq::Error { .. }) => for_engine(self).ok(),
            Self::Iq(_) | Self::Message(_) | Self::Presence(_) => None,
        }
    }

    fn carries(peer: &Jid) -> bool {
        jid(peer).is_some()
    }
}

/// What an engine wants to see of a stanza. Of messages and presence that is little, and the rest is not copied.
fn for_engine(stanza: &Stanza) -> Result<Element, BuildError> {
    let builder = match stanza {
        Stanza::Iq(iq) => return iq_for_engine(iq),
        Stanza::Message(message) => {
            let kind = (message.type_ == MessageType::Error).then_some("error");
            let builder = start("message", message.from.as_ref(), kind);
            with(builder, message.payloads.iter().filter(|payload| payload.is("data", ns::IBB)))
        }
        Stanza::Presence(presence) => {
            let kind = match presence.type_ {
                presence::Type::None => None,
                presence::Type::Unavailable => Some("unavailable"),
                presence::Type::Error => Some("error"),
                // One says as much as the other.
                presence::Type::Probe
                | presence::Type::Subscribe
                | presence::Type::Subscribed
                | presence::Type::Unsubscribe
                | presence::Type::Unsubscribed => Some("subscribe"),
            };
            let builder = start("presence", presence.from.as_ref(), kind);
            with(builder, presence.payloads.iter().filter(|payload| payload.is("c", ns::CAPS)))
        }
    };
    builder.build()
}

fn iq_for_engine(iq: &Iq) -> Result<Element, BuildError> {
    let error;
    let (kind, from, to, id, payload) = match iq {
        Iq::Get { from, to, id, payload } => ("get", from, to, id, Some(payload)),
        Iq::Set { from, to, id, payload } => ("set", from, to, id, Some(payload)),
        Iq::Result { from, to, id, payload } => ("result", from, to, id, payload.as_ref()),
        Iq::Error { from, to, id, error: fault, .. } => {
            error = Tree::from(fault.clone());
            ("error", from, to, id, Some(&error))
        }
    };
    let builder = start("iq", from.as_ref(), Some(kind)).attribute("id", id);
    let builder = builder.optional_attribute("to", to.as_ref().map(|to| to.as_str()));
    with(builder, payload).build()
}

fn start(name: &str, from: Option<&tokio_xmpp::jid::Jid>, kind: Option<&str>) -> Builder {
    let builder = Element::builder(name, ns::CLIENT).optional_attribute("type", kind);
    builder.optional_attribute("from", from.map(|from| from.as_str()))
}

fn with<'a>(builder: Builder, children: impl IntoIterator<Item = &'a Tree>) -> Builder {
    children.into_iter().fold(builder, |builder, child| fill(builder.open(child.name(), &child.ns()), child).close())
}

/// What is in an element that was opened.
fn fill(mut builder: Builder, tree: &Tree) -> Builder {
    for ((namespace, name), value) in tree.attrs() {
        builder = builder.attribute_in(namespace.as_str(), name.as_str(), value);
    }
    for node in tree.nodes() {
        builder = match node {
            TreeNode::Element(child) => fill(builder.open(child.name(), &child.ns()), child).close(),
            TreeNode::Text(text) => builder.text(text),
        };
    }
    builder
}

fn invalid(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn element(text: &str) -> Element {
        Element::parse(text, &Limits::default()).unwrap()
    }

    #[test]
    fn elements_are_the_same_there_and_back() {
        let text = "<iq xmlns='jabber:client' id='&lt;1&gt;' to='romeo@montague.example/orchard' type='set' xml:lang='de'>\
                    <jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='a&apos;b'>a<b xmlns='urn:x' y:c='d' \
                    xmlns:y='urn:y'/>\u{e9}<none xmlns=''/>c</jingle></iq>";
        let ours = element(text);
        let tree = to_minidom(ours.root()).unwrap();
        let back = from_minidom(&tree).unwrap();
        // minidom keeps attributes in the order of their names.
        assert_eq!(back.to_xml(ns::CLIENT), ours.to_xml(ns::CLIENT));
        // As its own parser reads the text.
        assert_eq!(tree, text.parse::<Tree>().unwrap());
    }

    #[test]
    fn what_an_engine_sends_and_sees_is_the_same_as_text() {
        let ibb = "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='s'>AAAA</data>";
        let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        for (kind, payload) in
            [("set", ibb), ("get", "<ping xmlns='urn:xmpp:ping'/>"), ("result", ""), ("error", error)]
        {
            let text = format!("<iq type='{kind}' id='1' to='romeo@montague.example/orchard'>{payload}</iq>");
            let stanza = Stanza::from_text(text.clone()).unwrap();
            let seen = for_engine(&stanza).unwrap();
            assert_eq!(seen.attribute("type"), Some(kind));
            assert_eq!(
                (seen.attribute("id"), seen.attribute("to")),
                (Some("1"), Some("romeo@montague.example/orchard"))
            );
            let payloads = |stanza: &Element| {
                stanza.children().map(|child| child.to_element().to_xml(ns::CLIENT)).collect::<Vec<_>>()
            };
            assert_eq!(payloads(&seen), payloads(&element(&text)), "{kind}");
            assert_eq!(stanza.to_request().is_some(), matches!(kind, "get" | "set"));
        }
    }

    #[test]
    fn of_messages_and_presence_an_engine_sees_what_concerns_it() {
        let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>";
        let from = "from='romeo@montague.example/orchard'";
        for (text, seen) in [
            (
                format!("<presence {from}><show>away</show>{caps}</presence>"),
                format!("<presence {from}>{caps}</presence>"),
            ),
            (format!("<presence {from} type='unavailable'/>"), format!("<presence type='unavailable' {from}/>")),
            (format!("<message {from} type='chat'><body>x</body></message>"), format!("<message {from}/>")),
        ] {
            let stanza = Stanza::from_text(text).unwrap();
            assert_eq!(for_engine(&stanza).unwrap().to_xml(ns::CLIENT), element(&seen).to_xml(ns::CLIENT));
        }
    }

    #[test]
    fn an_address_that_would_be_changed_is_refused() {
        for (address, is_carried) in [
            ("romeo@montague.example/orchard", true),
            ("Romeo@Montague.example", true),
            ("romeo@stra\u{df}e.example", false),
            ("stra\u{df}e@montague.example", false),
            ("r\u{f6}meo@m\u{fc}nchen.example/B\u{fc}ro", true),
        ] {
            assert_eq!(Stanza::carries(&address.parse().unwrap()), is_carried, "{address}");
            let sent = to_stanza(&element(&format!("<message to='{address}'/>")));
            assert_eq!(sent.is_ok(), is_carried, "{address}");
        }
    }
}
