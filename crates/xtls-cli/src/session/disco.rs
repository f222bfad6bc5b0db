//! What the command itself answers: service discovery, pings, and a no to everything else.

use xtls::{
    Element,
    xml::{Disco as Capabilities, DiscoIdentity, DiscoInfo},
};
use xtls_stanza::jid::BareJid;
use xtls_stanza::{Condition, Iq, IqType, StanzaError};

use crate::exit::Failure;

/// XEP-0199: pings.
const PING: &str = "urn:xmpp:ping";
/// What stands before the `#` of the node under which the capabilities can be asked for (XEP-0115 § 4).
const NODE: &str = "urn:xtls:command";
/// Category and type of the command (XEP-0030 § 3.1).
const IDENTITY: (&str, &str) = ("client", "console");
/// The name that people see.
const NAME: &str = "xtls";

/// What this entity is and can do (XEP-0030, XEP-0115), and its answers.
#[derive(Clone, Debug)]
pub(crate) struct Disco {
    /// Our bare address.
    account: String,
    capabilities: Capabilities,
}

/// A question for a sign of life (XEP-0199).
pub(crate) fn ping(id: &str, to: &str) -> String {
    let mut out = String::new();
    Iq::write_start(&mut out, IqType::Get, id, to, None);
    out.push_str(&format!("<ping xmlns='{PING}'/></iq>"));
    out
}

impl Disco {
    /// Everything that the engine can do, and what the command answers itself.
    ///
    /// # Errors
    ///
    /// Never, as long as the engine's features hold no markup.
    pub(crate) fn new(account: &BareJid, engine: &[&'static str]) -> Result<Self, Failure> {
        let identity = DiscoIdentity::new(IDENTITY.0, IDENTITY.1).with_name(NAME);
        let info = DiscoInfo::new(identity).with_features(engine.iter().copied()).with_feature(PING);
        let capabilities = Capabilities::new(info, NODE)
            .map_err(|e| Failure::other(format!("our own features make no sense: {e}")))?;
        Ok(Self { account: account.to_string(), capabilities })
    }

    /// Everything that it can do.
    pub(super) fn features(&self) -> Vec<String> {
        self.capabilities.info().features.to_vec()
    }

    /// What is answered to whoever asks what this is.
    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The initial presence (RFC 6121 § 4.2), with the capabilities. It has no priority for messages outside tunnels.
    pub(crate) fn presence(&self) -> String {
        let mut presence = String::from("<presence><priority>-1</priority>");
        self.capabilities.caps().write(&mut presence);
        presence + "</presence>"
    }

    /// Answers a request that nobody else took; `None` if the stanza asks for no answer.
    pub(crate) fn answer(&self, stanza: &Element) -> Option<String> {
        // RFC 6120 § 8.1.2.1: without an address it comes from the server on behalf of the account.
        let to = stanza.attribute("from").unwrap_or(&self.account);
        let mut out = String::new();
        let Ok(iq) = Iq::parse(stanza)? else {
            // RFC 6120 § 8.2.3: what is no answer itself gets bad-request.
            if matches!(stanza.attribute("type"), Some("result" | "error")) {
                return None;
            }
            let id = stanza.attribute("id").unwrap_or_default();
            Iq::write_error(&mut out, id, to, None, &StanzaError::new(Condition::BadRequest));
            return Some(out);
        };
        if !matches!(iq.iq_type, IqType::Get | IqType::Set) {
            return None;
        }
        let payload = iq.payload?;
        if self.capabilities.answer(&iq, to, None, &mut out) {
            return Some(out);
        }
        if iq.iq_type == IqType::Get && payload.is("ping", PING) {
            Iq::write_result(&mut out, iq.id, to, None);
        } else {
            // RFC 6120 § 8.4: what is not understood is answered all the same.
            Iq::write_error(&mut out, iq.id, to, None, &StanzaError::new(Condition::ServiceUnavailable));
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::{Limits, ns};

    use super::*;

    fn disco() -> Disco {
        Disco::new(&"juliet@capulet.lit".parse().unwrap(), &[ns::JINGLE]).unwrap()
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
        let node = disco().capabilities.caps().disco_node();
        assert!(node.starts_with(&format!("{NODE}#")), "{node}");
        let answer = ask(&format!("<query xmlns='{}' node='{node}'/>", ns::DISCO_INFO), "get").unwrap();
        assert_eq!(answer.child("query", ns::DISCO_INFO).unwrap().attribute("node"), Some(node.as_str()));
        let answer = ask(&format!("<query xmlns='{}' node='other'/>", ns::DISCO_INFO), "get").unwrap();
        assert_eq!(answer.attribute("type"), Some("error"));
    }

    #[test]
    fn the_presence_announces_what_the_answer_tells() {
        let presence = Element::parse(&disco().presence(), &Limits::default()).unwrap();
        // RFC 6121 §§ 4.2.1, 4.7.2.3: it is for everybody, and nobody who writes to the account means this client.
        assert_eq!((presence.attribute("to"), presence.attribute("type")), (None, None));
        assert_eq!(presence.child("priority", ns::CLIENT).unwrap().text(), "-1");
        let announced = presence.child("c", ns::CAPS).and_then(xtls::xml::Caps::parse).unwrap();
        let answer = ask(&format!("<query xmlns='{}'/>", ns::DISCO_INFO), "get").unwrap();
        let told = DiscoInfo::parse(answer.child("query", ns::DISCO_INFO).unwrap()).unwrap().unwrap();
        assert_eq!(announced.verify(&told), Ok(()));
    }

    #[test]
    fn a_malformed_request_gets_bad_request_and_a_malformed_answer_none() {
        let answer = |text: &str| {
            let answer = disco().answer(&Element::parse(text, &Limits::default()).unwrap())?;
            let answer = Element::parse(&answer, &Limits::default()).unwrap();
            assert_eq!(StanzaError::of_stanza(&answer).unwrap().condition, Condition::BadRequest);
            Some((answer.attribute("id").unwrap().to_owned(), answer.attribute("to").unwrap().to_owned()))
        };
        let told = |id: &str, to: &str| Some((id.to_owned(), to.to_owned()));
        let romeo = "romeo@montague.lit/orchard";
        assert_eq!(answer("<iq type='get' id='1' from='romeo@montague.lit/orchard'/>"), told("1", romeo));
        assert_eq!(answer("<iq type='set' id='1'><a/><b/></iq>"), told("1", "juliet@capulet.lit"));
        assert_eq!(answer("<iq type='get'><a/></iq>"), told("", "juliet@capulet.lit"));
        assert_eq!(answer("<iq id='1'><a/></iq>"), told("1", "juliet@capulet.lit"));
        for never in ["<iq type='result' id='1'><a/><b/></iq>", "<iq type='error' id='1'/>", "<iq type='result'/>"] {
            assert_eq!(answer(never), None, "{never}");
        }
    }

    #[test]
    fn other_requests_get_service_unavailable_and_answers_get_none() {
        let answer = ask("<query xmlns='jabber:iq:version'/>", "get").unwrap();
        assert_eq!(StanzaError::of_stanza(&answer).unwrap().condition, Condition::ServiceUnavailable);
        assert_eq!(ask("<ping xmlns='urn:xmpp:ping'/>", "get").unwrap().attribute("type"), Some("result"));
        assert!(ask("<query xmlns='jabber:iq:version'/>", "result").is_none());
    }
}
