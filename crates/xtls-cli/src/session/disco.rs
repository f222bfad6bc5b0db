//! What the command itself answers: service discovery, pings, and a no to everything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jid::BareJid;
use xtls::{Element, Fingerprint};
use xtls_stanza::{Condition, Iq, IqType, StanzaError, ns};

/// XEP-0199: pings.
const PING: &str = "urn:xmpp:ping";
/// What stands before the `#` of the node under which the capabilities can be asked for (XEP-0115 § 4).
const NODE: &str = "urn:xtls:command";
/// Category and type of the command (XEP-0030 § 3.1).
const IDENTITY: (&str, &str) = ("client", "console");
/// The name that people see.
const NAME: &str = "xtls";

/// What this entity is and can do (XEP-0030, XEP-0115).
#[derive(Debug)]
pub(crate) struct Disco {
    /// Our bare address.
    account: String,
    features: Vec<&'static str>,
    version: String,
}

impl Disco {
    /// Everything that the engine can do, and what the command answers itself.
    pub(crate) fn new(account: &BareJid, engine: &[&'static str]) -> Self {
        let mut features = engine.to_vec();
        features.extend([ns::DISCO_INFO, ns::CAPS, PING]);
        features.sort_unstable();
        features.dedup();
        // XEP-0115 § 5.1: identities, then features, each followed by "<".
        let mut text = format!("{}/{}//{NAME}<", IDENTITY.0, IDENTITY.1);
        for feature in &features {
            text.push_str(feature);
            text.push('<');
        }
        let version = STANDARD.encode(Fingerprint::sha1(text.as_bytes()).digest());
        Self { account: account.to_string(), features, version }
    }

    /// The initial presence (RFC 6121 § 4.2), with the capabilities. It has no priority for messages outside of tunnels.
    pub(crate) fn presence(&self) -> String {
        format!(
            "<presence><priority>-1</priority><c xmlns='{}' hash='sha-1' node='{NODE}' ver='{}'/></presence>",
            ns::CAPS,
            self.version
        )
    }

    /// A question for a sign of life (XEP-0199).
    pub(crate) fn ping(&self, id: &str, to: &str) -> String {
        let mut out = String::new();
        Iq::write_start(&mut out, IqType::Get, id, to, None);
        out.push_str(&format!("<ping xmlns='{PING}'/></iq>"));
        out
    }

    /// Answers a request that nobody else took; `None` if the stanza asks for no answer.
    pub(crate) fn answer(&self, stanza: &Element) -> Option<String> {
        let iq = Iq::parse(stanza)?.ok()?;
        if !matches!(iq.iq_type, IqType::Get | IqType::Set) {
            return None;
        }
        // RFC 6120 § 8.1.2.1: without an address it comes from the server on behalf of the account.
        let to = iq.from.unwrap_or(&self.account);
        let payload = iq.payload?;
        let mut out = String::new();
        let is_get = matches!(iq.iq_type, IqType::Get);
        if is_get && payload.is("query", ns::DISCO_INFO) {
            match self.info(payload.attribute("node")) {
                Some(info) => {
                    Iq::write_start(&mut out, IqType::Result, iq.id, to, None);
                    out.push_str(&info);
                    out.push_str("</iq>");
                }
                None => Iq::write_error(&mut out, iq.id, to, None, &StanzaError::new(Condition::ItemNotFound)),
            }
        } else if is_get && payload.is("ping", PING) {
            Iq::write_result(&mut out, iq.id, to, None);
        } else {
            // RFC 6120 § 8.4: what is not understood is answered all the same.
            Iq::write_error(&mut out, iq.id, to, None, &StanzaError::new(Condition::ServiceUnavailable));
        }
        Some(out)
    }

    /// The answer to disco#info, for no node or for that of the capabilities; the node is mirrored (XEP-0030 § 3.1).
    fn info(&self, node: Option<&str>) -> Option<String> {
        let mut query = Element::builder("query", ns::DISCO_INFO).optional_attribute("node", node);
        let own = node.is_none_or(|node| node.split_once('#') == Some((NODE, &self.version)));
        query = query.open("identity", ns::DISCO_INFO).attribute("category", IDENTITY.0).attribute("type", IDENTITY.1);
        query = query.attribute("name", NAME).close();
        for feature in &self.features {
            query = query.open("feature", ns::DISCO_INFO).attribute("var", feature).close();
        }
        let query = query.build().ok()?;
        own.then(|| query.to_xml(ns::CLIENT))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::Limits;

    use super::*;

    fn disco() -> Disco {
        Disco::new(&"juliet@capulet.lit".parse().unwrap(), &[ns::JINGLE])
    }

    fn ask(payload: &str, kind: &str) -> Option<Element> {
        let iq = format!("<iq type='{kind}' id='1' from='romeo@montague.lit/orchard'>{payload}</iq>");
        let iq = Element::parse(&iq, &Limits::default()).unwrap();
        let answer = disco().answer(&iq)?;
        Some(Element::parse(&answer, &Limits::default()).unwrap())
    }

    #[test]
    fn disco_info_names_an_identity_and_every_feature() {
        let answer = ask(&format!("<query xmlns='{}'/>", ns::DISCO_INFO), "get").unwrap();
        assert_eq!(
            (answer.attribute("type"), answer.attribute("to")),
            (Some("result"), Some("romeo@montague.lit/orchard"))
        );
        let query = answer.child("query", ns::DISCO_INFO).unwrap();
        let features: Vec<_> = query.children().filter_map(|child| child.attribute("var")).collect();
        assert_eq!(features, [ns::CAPS, ns::DISCO_INFO, ns::JINGLE, PING]);
        assert!(query.child("identity", ns::DISCO_INFO).is_some());
    }

    #[test]
    fn only_the_own_node_is_known_and_mirrored() {
        let version = disco().version;
        let answer = ask(&format!("<query xmlns='{}' node='{NODE}#{version}'/>", ns::DISCO_INFO), "get").unwrap();
        let node = format!("{NODE}#{version}");
        assert_eq!(answer.child("query", ns::DISCO_INFO).unwrap().attribute("node"), Some(node.as_str()));
        let answer = ask(&format!("<query xmlns='{}' node='other'/>", ns::DISCO_INFO), "get").unwrap();
        assert_eq!(answer.attribute("type"), Some("error"));
    }

    #[test]
    fn other_requests_get_service_unavailable_and_answers_get_none() {
        let answer = ask("<query xmlns='jabber:iq:version'/>", "get").unwrap();
        assert_eq!(StanzaError::of_stanza(&answer).unwrap().condition, Condition::ServiceUnavailable);
        assert_eq!(ask("<ping xmlns='urn:xmpp:ping'/>", "get").unwrap().attribute("type"), Some("result"));
        assert!(ask("<query xmlns='jabber:iq:version'/>", "result").is_none());
    }
}
