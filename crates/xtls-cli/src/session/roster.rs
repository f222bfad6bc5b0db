//! Who sees whose presence, as stanzas (RFC 6121 §§ 2, 3).

use xtls::Element;
use xtls_stanza::jid::{BareJid, Jid};
use xtls_stanza::{ElementRef, Iq, IqType, StanzaError, write};

/// The namespace of rosters (RFC 6121 § 2.1).
const ROSTER: &str = "jabber:iq:roster";

/// What the server says of a contact (RFC 6121 § 2.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// The user sees the contact's presence.
    pub(crate) sees: bool,
    /// The contact sees the user's.
    pub(crate) seen: bool,
    /// The user has asked to see the contact's, and has no answer.
    pub(crate) asked: bool,
    /// The contact sees the user's as soon as it asks (§ 3.4).
    pub(crate) approved: bool,
    /// It has a name or stands in groups: the user wants it there, whoever sees whom.
    pub(crate) is_kept: bool,
}

/// What a presence stanza is for, beside presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The contact asks to see the user's presence.
    Subscribe,
    /// The user may see the contact's.
    Subscribed,
    /// The contact does not want to see the user's any more, or takes its request back.
    Unsubscribe,
    /// The user may not see the contact's.
    Unsubscribed,
    /// What was sent to the contact did not come there.
    Error(StanzaError),
}

/// The question for the roster.
pub(crate) fn get(id: &str) -> String {
    request("get", id, "")
}

/// The request to take a contact out of it (RFC 6121 § 2.5).
pub(crate) fn remove(id: &str, contact: &BareJid) -> String {
    let mut item = String::from("<item");
    write::attribute(&mut item, "jid", contact.as_str());
    request("set", id, &(item + " subscription='remove'/>"))
}

fn request(kind: &str, id: &str, inner: &str) -> String {
    format!("<iq type='{kind}' id='{id}'><query xmlns='{ROSTER}'>{inner}</query></iq>")
}

/// A stanza about who sees whom; `kind` is one of the four of RFC 6121 § 3, and `to` has no resource (§ 3.1.1).
pub(crate) fn presence(kind: &str, id: &str, to: &BareJid) -> String {
    let mut presence = format!("<presence type='{kind}' id='{id}'");
    write::attribute(&mut presence, "to", to.as_str());
    presence + "/>"
}

/// The answer of the server to the request of this id: what it holds, or why it does not do it.
pub(crate) fn answered<'a>(
    stanza: &'a Element,
    id: &str,
    own: &BareJid,
) -> Option<Result<Option<ElementRef<'a>>, StanzaError>> {
    let iq = Iq::parse(stanza)?.ok().filter(|iq| iq.id == id && is_own(stanza, own))?;
    match iq.iq_type {
        IqType::Result => Some(Ok(iq.payload)),
        IqType::Error => Some(Err(iq.error()?)),
        _ => None,
    }
}

/// The contacts of a roster. An item without a readable address is none.
pub(crate) fn items(query: Option<ElementRef<'_>>) -> Vec<(BareJid, Item)> {
    let query = query.filter(|query| query.is("query", ROSTER));
    query.into_iter().flat_map(|query| query.children().filter_map(item).collect::<Vec<_>>()).collect()
}

/// The contact that the server has changed. RFC 6121 § 2.1.6: what does not come from the account itself is no push.
pub(crate) fn pushed(stanza: &Element, own: &BareJid) -> Option<(BareJid, Item)> {
    let iq = Iq::parse(stanza)?.ok().filter(|iq| iq.iq_type == IqType::Set && is_own(stanza, own))?;
    let query = iq.payload.filter(|query| query.is("query", ROSTER))?;
    let mut items = query.children();
    match (items.next(), items.next()) {
        (Some(only), None) => item(only),
        _ => None,
    }
}

/// The answer to a push (RFC 6121 § 2.1.6).
pub(super) fn answer(stanza: &Element, own: &BareJid) -> Option<String> {
    pushed(stanza, own)?;
    let mut answer = String::new();
    Iq::write_result(&mut answer, stanza.attribute("id")?, own.as_str(), None);
    Some(answer)
}

/// Who has said what about presence. What a resource says the server has let through by mistake.
pub(crate) fn said(stanza: &Element) -> Option<(BareJid, Said)> {
    let from: Jid = stanza.attribute("from")?.parse().ok()?;
    if stanza.name() != "presence" || from.resource().is_some() {
        return None;
    }
    let said = match stanza.attribute("type")? {
        "subscribe" => Said::Subscribe,
        "subscribed" => Said::Subscribed,
        "unsubscribe" => Said::Unsubscribe,
        "unsubscribed" => Said::Unsubscribed,
        "error" => Said::Error(StanzaError::of_stanza(stanza)?),
        _ => return None,
    };
    Some((from.to_bare(), said))
}

/// From the server, on behalf of the account (RFC 6120 § 8.1.2.1).
fn is_own(stanza: &Element, own: &BareJid) -> bool {
    stanza.attribute("from").is_none_or(|from| from.parse().is_ok_and(|from: BareJid| from == *own))
}

fn item(item: ElementRef<'_>) -> Option<(BareJid, Item)> {
    if !item.is("item", ROSTER) {
        return None;
    }
    // RFC 6121 § 2.1.2.5: no subscription, and one that is not known, is none.
    let subscription = item.attribute("subscription").unwrap_or_default();
    let read = Item {
        sees: matches!(subscription, "to" | "both"),
        seen: matches!(subscription, "from" | "both"),
        asked: item.attribute("ask") == Some("subscribe"),
        approved: matches!(item.attribute("approved"), Some("true" | "1")),
        is_kept: item.attribute("name").is_some_and(|name| !name.is_empty()) || item.child("group", ROSTER).is_some(),
    };
    Some((item.attribute("jid")?.parse().ok()?, read))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::{Condition, Limits};

    use super::*;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn own() -> BareJid {
        jid("juliet@capulet.lit")
    }

    fn element(text: &str) -> Element {
        Element::parse(text, &Limits::default()).unwrap()
    }

    fn push(from: &str, items: &str) -> Element {
        element(&format!("<iq type='set' id='p'{from}><query xmlns='{ROSTER}'>{items}</query></iq>"))
    }

    const ITEM: &str = "<item jid='romeo@montague.lit' subscription='from' ask='subscribe'/>";

    #[test]
    fn rfc_6121_2_1_6_a_push_counts_only_from_the_account_itself_and_with_one_item() {
        let romeo = Item { seen: true, asked: true, ..Item::default() };
        for from in ["", " from='juliet@capulet.lit'", " from='Juliet@Capulet.lit'"] {
            let push = push(from, ITEM);
            assert_eq!(pushed(&push, &own()), Some((jid("romeo@montague.lit"), romeo)), "{from}");
            let answer = element(&answer(&push, &own()).unwrap());
            assert_eq!((answer.attribute("type"), answer.attribute("id")), (Some("result"), Some("p")));
        }
        for from in [" from='mallory@verona.lit'", " from='juliet@capulet.lit/x'", " from='capulet.lit'", " from='@'"] {
            assert_eq!(pushed(&push(from, ITEM), &own()), None, "{from}");
            assert_eq!(answer(&push(from, ITEM), &own()), None, "{from}");
        }
        assert_eq!(pushed(&push("", ""), &own()), None);
        assert_eq!(pushed(&push("", &ITEM.repeat(2)), &own()), None);
    }

    #[test]
    fn rfc_6121_2_1_2_5_what_is_no_subscription_that_is_known_is_none() {
        let read = |attributes: &str| {
            let roster = format!(
                "<iq type='result' id='r'><query xmlns='{ROSTER}'><item jid='a@b'{attributes}<item/></query></iq>"
            );
            let roster = element(&roster);
            let all = items(answered(&roster, "r", &own()).unwrap().unwrap());
            assert_eq!(all.len(), 1, "an item without an address is none");
            all.into_iter().next().unwrap().1
        };
        let (sees, seen) = (Item { sees: true, ..Item::default() }, Item { seen: true, ..Item::default() });
        assert_eq!(read("/>"), Item::default());
        assert_eq!(read(" subscription='to'/>"), sees);
        assert_eq!(read(" subscription='from'/>"), seen);
        assert_eq!(read(" subscription='both'/>"), Item { sees: true, ..seen });
        for none in ["none", "remove", "everything", ""] {
            assert_eq!(read(&format!(" subscription='{none}'/>")), Item::default(), "{none}");
        }
        assert_eq!(read(" approved='true'/>"), Item { approved: true, ..Item::default() });
        assert_eq!(read(" name='A'/>"), Item { is_kept: true, ..Item::default() });
        assert_eq!(read("><group>friends</group></item>"), Item { is_kept: true, ..Item::default() });
    }

    #[test]
    fn rfc_6121_3_subscriptions_are_between_accounts() {
        let said = |text: &str| said(&element(text));
        for (kind, meant) in [
            ("subscribe", Said::Subscribe),
            ("subscribed", Said::Subscribed),
            ("unsubscribe", Said::Unsubscribe),
            ("unsubscribed", Said::Unsubscribed),
        ] {
            let told = format!("<presence type='{kind}' from='romeo@montague.lit'/>");
            assert_eq!(said(&told), Some((jid("romeo@montague.lit"), meant)));
            assert_eq!(said(&told.replace("lit'", "lit/x'")), None);
            let ours = element(&presence(kind, "1", &jid("romeo@montague.lit")));
            assert_eq!((ours.attribute("to"), ours.attribute("type")), (Some("romeo@montague.lit"), Some(kind)));
        }
        assert_eq!(said("<presence from='romeo@montague.lit'/>"), None);
        let error = "<presence type='error' from='a@b'><error type='cancel'><remote-server-not-found \
                     xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>";
        assert!(
            matches!(said(error), Some((_, Said::Error(error))) if error.condition == Condition::RemoteServerNotFound)
        );
    }

    #[test]
    fn only_the_servers_answer_to_a_request_counts() {
        let answer = |from: &str, kind: &str, id: &str| {
            let answer = element(&format!("<iq type='{kind}' id='{id}'{from}/>"));
            answered(&answer, "r", &own()).is_some()
        };
        assert!(answer("", "result", "r"));
        assert!(!answer("", "result", "other") && !answer("", "get", "r"));
        assert!(!answer(" from='mallory@verona.lit'", "result", "r"));
    }
}
