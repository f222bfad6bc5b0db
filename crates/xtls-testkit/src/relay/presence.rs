//! Who is there, who is told (RFC 6121 § 4), and what has no addressee.

use std::{collections::BTreeSet, time::Instant};

use xtls_stanza::{Condition, Element, Iq, IqType, StanzaError};

use super::{Delivery, Relay, bare, bounce, stamp};

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Resource {
    /// The presence that it broadcast last, without an addressee; none while it is unavailable.
    presence: Option<Element>,
    /// Whom it told its presence besides (RFC 6121 § 4.6).
    directed: BTreeSet<String>,
}

impl Relay {
    /// Connects a client, or disconnects it without a word to anybody. What is held for one that is disconnected is lost.
    pub fn set_online(&mut self, jid: &str, online: bool) {
        if online {
            self.online.entry(jid.to_owned()).or_default();
        } else {
            self.online.remove(jid);
            self.held.remove(jid);
        }
    }

    /// Whether a client is connected.
    #[must_use]
    pub fn is_online(&self, jid: &str) -> bool {
        self.online.contains_key(jid)
    }

    /// Disconnects a client, and tells those who were told that it is there (RFC 6121 § 4.5.2).
    pub fn leave(&mut self, now: Instant, jid: &str) {
        let unavailable =
            Element::builder("presence", xtls_stanza::ns::CLIENT).attribute("type", "unavailable").build();
        let unavailable = unavailable.expect("a stanza");
        if self.online.get(jid).is_some_and(|resource| resource.presence.is_some()) {
            self.broadcast(now, jid, &unavailable);
        }
        let told = self.online.get_mut(jid).map(|resource| std::mem::take(&mut resource.directed)).unwrap_or_default();
        for to in told {
            self.tell(now, jid, &to, &unavailable);
        }
        self.set_online(jid, false);
    }

    /// Lets two bare JIDs see each other's presence.
    pub fn befriend(&mut self, one: &str, other: &str) {
        self.contacts.insert((one.to_owned(), other.to_owned()));
        self.contacts.insert((other.to_owned(), one.to_owned()));
    }

    /// The available connections of an account.
    pub(super) fn resources(&self, account: &str) -> Vec<String> {
        let all = self.online.iter().filter(|(jid, resource)| bare(jid) == account && resource.presence.is_some());
        all.map(|(jid, _)| jid.clone()).collect()
    }

    /// Keeps in mind whom a client told what.
    pub(super) fn note_presence(&mut self, from: &str, presence: &Element) {
        let Some(resource) = self.online.get_mut(from) else { return };
        let available = match presence.attribute("type") {
            None => true,
            Some("unavailable") => false,
            Some(_) => return,
        };
        match (presence.attribute("to"), available) {
            (None, true) => resource.presence = Some(presence.clone()),
            (None, false) => resource.presence = None,
            (Some(to), true) => {
                resource.directed.insert(to.to_owned());
            }
            (Some(to), false) => {
                resource.directed.remove(to);
            }
        }
    }

    /// Takes what a client sends to its own server: presence is broadcast, and IQs are answered.
    pub(super) fn handle_undirected(&mut self, now: Instant, from: &str, element: &Element) {
        match element.name() {
            "presence" => {
                self.broadcast(now, from, element);
                if element.attribute("type").is_none() {
                    self.tell_newcomer(now, from);
                }
            }
            "iq" => {
                let kind = Iq::parse(element).and_then(Result::ok).map(|iq| iq.iq_type);
                if matches!(kind, Some(IqType::Get | IqType::Set))
                    && let Some(stanza) = bounce(element, from, &StanzaError::new(Condition::ServiceUnavailable))
                {
                    let at = now + self.line.latency * 2;
                    self.schedule(at, Delivery { to: from.to_owned(), stanza });
                }
            }
            // RFC 6120 § 10.3.1: a message without an addressee is for the sender's own account.
            _ => {
                let account = bare(from).to_owned();
                self.tell(now, from, &account, element);
            }
        }
    }

    /// Tells a client's presence to all who may see it.
    fn broadcast(&mut self, now: Instant, from: &str, presence: &Element) {
        let account = bare(from).to_owned();
        let mut accounts: BTreeSet<_> =
            self.contacts.iter().filter(|(one, _)| *one == account).map(|(_, other)| other).cloned().collect();
        accounts.insert(account);
        for account in accounts {
            for to in self.resources(&account) {
                if to != from {
                    self.tell(now, from, &to, presence);
                }
            }
        }
    }

    /// RFC 6121 § 4.3.2: who comes is told who is there.
    fn tell_newcomer(&mut self, now: Instant, newcomer: &str) {
        let account = bare(newcomer);
        let there: Vec<_> = self
            .online
            .iter()
            .filter(|(jid, _)| {
                let other = bare(jid);
                jid.as_str() != newcomer
                    && (other == account || self.contacts.contains(&(account.to_owned(), other.to_owned())))
            })
            .filter_map(|(jid, resource)| Some((jid.clone(), resource.presence.clone()?)))
            .collect();
        for (from, presence) in there {
            self.tell(now, &from, newcomer, &presence);
        }
    }

    /// Sends a copy of a stanza to an address.
    fn tell(&mut self, now: Instant, from: &str, to: &str, stanza: &Element) {
        let mut copy = stanza.clone();
        if copy.set_attribute("to", to).is_ok() {
            let text = copy.to_xml(copy.ns());
            let stamped = stamp(&text, &copy, self.name_of(from));
            self.route(now, from, to, stamped);
        }
    }
}
