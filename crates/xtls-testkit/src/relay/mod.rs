//! A server in memory, honest or hostile.

mod impostor;
mod line;
mod meddle;
mod misdeed;
mod presence;
mod suspension;
#[cfg(test)]
mod tests;

use core::{fmt, time::Duration};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use xtls_stanza::{Condition, Element, ErrorType, Iq, IqType, Limits, StanzaError};

use self::{line::Line, meddle::Meddler, presence::Resource, suspension::Held};
pub use self::{
    meddle::{Delivery, Fate, Passed},
    misdeed::{Misdeed, UnknownMisdeed},
};

/// A server in memory, between any number of clients. It stamps `from`, routes by `to`, tells presence, and answers for who
/// is not there. It can be slow, narrow and strict, and it can be hostile: see [`Misdeed`] and [`Relay::meddle`]. Like the
/// engines it does no I/O and reads no clock; what is random in it follows from [`Relay::set_seed`].
///
/// A connection is named by the full JID of its client, as text.
#[derive(Debug, Default)]
pub struct Relay {
    line: Line,
    stanza_limit: Option<usize>,
    online: BTreeMap<String, Resource>,
    /// Pairs of bare JIDs that see each other's presence.
    contacts: BTreeSet<(String, String)>,
    /// Connections in another's name, with that name.
    impostors: BTreeMap<String, String>,
    /// Who gets what a connection sends to an address, in the place of that one.
    diverted: BTreeMap<(String, String), String>,
    on_the_way: BTreeMap<(Instant, u64), Delivery>,
    held: BTreeMap<String, Held>,
    sent: u64,
    passed: Option<Vec<Passed>>,
    meddler: Option<Meddler>,
    planned: VecDeque<Misdeed>,
    done: Vec<(Instant, Misdeed)>,
}

impl Relay {
    /// A relay that takes this long from sender to addressee.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        let mut relay = Self::default();
        relay.set_latency(latency);
        relay
    }

    /// Changes how long a stanza takes from now on.
    pub fn set_latency(&mut self, latency: Duration) {
        self.line.latency = latency;
    }

    /// From now on each stanza may take up to this much longer. What one sends to another still arrives in order.
    pub fn set_jitter(&mut self, jitter: Duration) {
        self.line.jitter = jitter;
    }

    /// What is random from now on follows from this number. It is 0 before.
    pub fn set_seed(&mut self, seed: u64) {
        self.line.set_seed(seed);
    }

    /// Limits how much each sender may send; `None` lifts the limit.
    pub fn set_bandwidth(&mut self, bytes_per_second: Option<u64>) {
        self.line.bytes_per_second = bytes_per_second.filter(|rate| *rate > 0);
    }

    /// Lets each sender send so many bytes at once before [`set_bandwidth`](Self::set_bandwidth) limits it, and again as time
    /// passes in which it sends less than that.
    pub fn set_burst(&mut self, bytes: u64) {
        self.line.burst = bytes;
    }

    /// Refuses what a sender sends beyond this many stanzas in one second, with policy-violation (RFC 6120 § 8.3.3.12); `None`
    /// lifts the limit.
    pub fn set_rate(&mut self, stanzas_per_second: Option<u32>) {
        self.line.stanzas_per_second = stanzas_per_second;
    }

    /// Refuses stanzas that are longer, as their sender wrote them, with policy-violation; `None` lifts the limit.
    pub fn set_stanza_limit(&mut self, bytes: Option<usize>) {
        self.stanza_limit = bytes;
    }

    /// Keeps a log of everything that passes from now on.
    pub fn keep_log(&mut self) {
        self.passed.get_or_insert_default();
    }

    /// What has passed since [`Relay::keep_log`].
    #[must_use]
    pub fn log(&self) -> &[Passed] {
        self.passed.as_deref().unwrap_or_default()
    }

    /// Takes a stanza from a connection.
    ///
    /// # Panics
    ///
    /// When the stanza is not well-formed: the client under test sent what every server ends its stream for.
    pub fn handle_stanza(&mut self, now: Instant, from: &str, stanza: &str) {
        if let Some(held) = self.held.get_mut(from) {
            return held.sent.push(stanza.to_owned());
        }
        let element = match Element::parse(stanza, &Limits::default()) {
            Ok(element) => element,
            Err(error) => panic!("{from} sends what is not well-formed ({error}): {stanza}"),
        };
        if self.stanza_limit.is_some_and(|limit| stanza.len() > limit) || !self.line.admits(now, from) {
            let error = StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Wait);
            return self.bounce(now, from, &element, &error);
        }
        let name = self.name_of(from).to_owned();
        if element.name() == "presence" {
            self.note_presence(from, &element);
        }
        let Some(to) = element.attribute("to").map(str::to_owned) else {
            return self.handle_undirected(now, from, &element);
        };
        let stanza = stamp(stanza, &element, &name);
        let departs = self.line.departure(now, from, stanza.len());
        let sent = Passed { at: now, from: name, to, stanza };
        let fate = self.meddler.as_mut().map_or(Fate::Pass, |meddler| meddler.0(&sent));
        match fate {
            Fate::Pass => self.misbehave_or_pass(departs, from, &sent, &element),
            Fate::Replace(others) => {
                others.into_iter().for_each(|stanza| self.route(departs, from, &sent.to, stanza));
            }
            Fate::Bounce(error) => self.bounce(departs, from, &element, &error),
        }
        if let Some(passed) = &mut self.passed {
            passed.push(sent);
        }
    }

    /// Delivers something by itself, as a server might: nothing is stamped and nothing is logged.
    pub fn inject(&mut self, now: Instant, to: &str, stanza: &str) {
        self.schedule(now, Delivery { to: to.to_owned(), stanza: stanza.to_owned() });
    }

    /// When the next delivery is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.on_the_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// A stanza that has arrived by `now`, the earliest first. What was on its way to somebody who has left is lost.
    #[must_use]
    pub fn poll_delivery(&mut self, now: Instant) -> Option<Delivery> {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            let (_, delivery) = self.on_the_way.pop_first()?;
            if let Some(held) = self.held.get_mut(&delivery.to) {
                held.received.push(delivery);
            } else if self.online.contains_key(&delivery.to) {
                return Some(delivery);
            }
        }
        None
    }

    /// Sends a stanza to whoever is meant by `to`: a connection, all of an account (RFC 6121 § 8.5.2), or nobody.
    fn route(&mut self, departs: Instant, from: &str, to: &str, stanza: String) {
        let key = (from.to_owned(), to.to_owned());
        let impostor = self.diverted.get(&key).filter(|impostor| self.online.contains_key(*impostor));
        if let Some(there) = impostor.cloned().or_else(|| self.online.contains_key(to).then(|| to.to_owned())) {
            let at = self.line.arrival(departs, from, &there);
            return self.schedule(at, Delivery { to: there, stanza });
        }
        // RFC 6120 § 8.1.1.1: what a hostile server made of a stanza may be none any more, and then it reaches nobody.
        let Ok(element) = Element::parse(&stanza, &Limits::default()) else { return };
        let there = if element.name() == "iq" { Vec::new() } else { self.resources(bare(to)) };
        if there.is_empty() {
            let error = StanzaError::new(Condition::ServiceUnavailable);
            return self.bounce(departs, from, &element, &error);
        }
        for to in there {
            let at = self.line.arrival(departs, from, &to);
            self.schedule(at, Delivery { to, stanza: stanza.clone() });
        }
    }

    /// Answers a stanza in its addressee's name, if it may be answered (RFC 6121 § 8.5.3.2).
    fn bounce(&mut self, departs: Instant, sender: &str, element: &Element, error: &StanzaError) {
        if let Some(stanza) = bounce(element, self.name_of(sender), error) {
            let delivery = Delivery { to: sender.to_owned(), stanza };
            self.schedule(departs + self.line.latency * 2, delivery);
        }
    }

    fn schedule(&mut self, at: Instant, delivery: Delivery) {
        self.sent += 1;
        self.on_the_way.insert((at, self.sent), delivery);
    }
}

/// The bare JID in an address.
fn bare(address: &str) -> &str {
    address.split_once('/').map_or(address, |(bare, _)| bare)
}

/// RFC 6120 § 8.1.2.1: a server writes the sender's address into what a client sends, whatever stood there.
fn stamp(stanza: &str, element: &Element, from: &str) -> String {
    if element.attribute("from").is_some() {
        let mut stamped = element.clone();
        stamped.set_attribute("from", from).expect("an address can be written");
        return stamped.to_xml(element.ns());
    }
    let name_end = element.name().len() + 1;
    let mut stamped = String::with_capacity(stanza.len() + from.len() + 8);
    stamped.push_str(&stanza[..name_end]);
    xtls_stanza::write::attribute(&mut stamped, "from", from);
    stamped.push_str(&stanza[name_end..]);
    stamped
}

/// An IQ request, or a message that is none of an error, with the error that its server answers.
fn bounce(element: &Element, from: &str, error: &StanzaError) -> Option<String> {
    let to = element.attribute("to");
    let mut out = String::new();
    if element.name() == "message" {
        if matches!(element.attribute("type"), Some("error" | "headline" | "groupchat")) {
            return None;
        }
        let mut written = String::new();
        error.write(&mut written);
        let error = Element::parse(&format!("<message>{written}</message>"), &Limits::default()).ok()?;
        let bounced = Element::builder("message", element.ns())
            .attribute("type", "error")
            .attribute("to", from)
            .optional_attribute("from", to)
            .optional_attribute("id", element.attribute("id"))
            .child(error.children().next()?);
        return bounced.build().ok().map(|bounced| bounced.to_xml(element.ns()));
    }
    let iq = Iq::parse(element)?.ok().filter(|iq| matches!(iq.iq_type, IqType::Get | IqType::Set))?;
    Iq::write_error(&mut out, iq.id, from, to, error);
    Some(out)
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler(..)")
    }
}
