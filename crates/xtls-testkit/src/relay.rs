//! A server in memory.

use core::{fmt, time::Duration};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use xtls_stanza::{Condition, Element, Iq, IqType, Limits, StanzaError};

/// A server in memory: it stamps `from`, routes by `to`, delays, and answers for who is not there. Like the engines it
/// does no I/O and reads no clock.
#[derive(Debug, Default)]
pub struct Relay {
    latency: Duration,
    bytes_per_second: Option<u64>,
    online: BTreeSet<String>,
    /// When the line of each sender is free again.
    busy_until: BTreeMap<String, Instant>,
    on_the_way: BTreeMap<(Instant, u64), Delivery>,
    /// Whose streams are away, and what waits for each: what it sent itself, and what is for it.
    held: BTreeMap<String, Held>,
    sent: u64,
    passed: Option<Vec<Passed>>,
    meddler: Option<Meddler>,
}

/// What a server that meddles makes of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It goes its way.
    Pass,
    /// These go in its place, to the same addressee and in this order: none if it is lost, two if it is doubled.
    Replace(Vec<String>),
    /// It comes back to its sender with this error, in the addressee's name.
    Bounce(StanzaError),
}

#[derive(Debug, Default)]
struct Held {
    sent: Vec<String>,
    received: Vec<Delivery>,
}

struct Meddler(Box<dyn FnMut(&Passed) -> Fate>);

/// A stanza at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Whom it is for.
    pub to: String,
    /// The stanza, `from` stamped.
    pub stanza: String,
}

/// A stanza that went through the relay, as its log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// When it was sent.
    pub at: Instant,
    /// Who sent it.
    pub from: String,
    /// Whom it is for.
    pub to: String,
    /// The stanza, `from` stamped.
    pub stanza: String,
}

impl Relay {
    /// A relay that takes this long from sender to addressee.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Changes how long a stanza takes from now on.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Limits how much each sender may send; `None` lifts the limit.
    pub fn set_bandwidth(&mut self, bytes_per_second: Option<u64>) {
        self.bytes_per_second = bytes_per_second.filter(|rate| *rate > 0);
    }

    /// Connects or disconnects an entity. What is held for one that is disconnected is lost.
    pub fn set_online(&mut self, jid: &str, online: bool) {
        if online {
            self.online.insert(jid.to_owned());
        } else {
            self.online.remove(jid);
            self.held.remove(jid);
        }
    }

    /// The stream of an entity is away (XEP-0198): what is for it waits here, and what it sends waits with it.
    pub fn hold(&mut self, jid: &str) {
        self.held.entry(jid.to_owned()).or_default();
    }

    /// The stream is resumed: everything that waited goes on its way, in order.
    pub fn release(&mut self, now: Instant, jid: &str) {
        let Some(Held { sent, received }) = self.held.remove(jid) else { return };
        received.into_iter().for_each(|delivery| self.schedule(now, delivery));
        sent.iter().for_each(|stanza| self.handle_stanza(now, jid, stanza));
    }

    /// Keeps a log of everything that passes from now on.
    pub fn keep_log(&mut self) {
        self.passed.get_or_insert_default();
    }

    /// Lets somebody meddle with every stanza from now on, in the place of whoever did so before. The log keeps what was
    /// sent.
    pub fn meddle(&mut self, meddler: impl FnMut(&Passed) -> Fate + 'static) {
        self.meddler = Some(Meddler(Box::new(meddler)));
    }

    /// From now on nobody meddles.
    pub fn stop_meddling(&mut self) {
        self.meddler = None;
    }

    /// What has passed since [`Relay::keep_log`].
    #[must_use]
    pub fn log(&self) -> &[Passed] {
        self.passed.as_deref().unwrap_or_default()
    }

    /// Takes a stanza from the entity `from`.
    ///
    /// # Panics
    ///
    /// When the stanza is not well-formed or has no addressee: the entity under test sent what no server takes.
    pub fn handle_stanza(&mut self, now: Instant, from: &str, stanza: &str) {
        if let Some(held) = self.held.get_mut(from) {
            return held.sent.push(stanza.to_owned());
        }
        let element = Element::parse(stanza, &Limits::default()).expect("an entity sends well-formed stanzas");
        let to = element.attribute("to").expect("an entity addresses its stanzas").to_owned();
        let stanza = stamp(stanza, &element, from);
        let departs = self.departure(now, from, stanza.len());
        let sent = Passed { at: now, from: from.to_owned(), to: to.clone(), stanza };
        let fate = self.meddler.as_mut().map_or(Fate::Pass, |meddler| meddler.0(&sent));
        let stanza = sent.stanza.clone();
        if let Some(passed) = &mut self.passed {
            passed.push(sent);
        }
        match fate {
            Fate::Pass => {}
            Fate::Replace(others) => {
                for stanza in others {
                    self.schedule(departs + self.latency, Delivery { to: to.clone(), stanza });
                }
                return;
            }
            Fate::Bounce(error) => {
                if let Some(stanza) = bounce(&element, &to, from, &error) {
                    self.schedule(departs + self.latency * 2, Delivery { to: from.to_owned(), stanza });
                }
                return;
            }
        }
        if self.online.contains(&to) {
            self.schedule(departs + self.latency, Delivery { to, stanza });
        } else if let Some(bounce) = bounce(&element, &to, from, &StanzaError::new(Condition::ServiceUnavailable)) {
            self.schedule(departs + self.latency * 2, Delivery { to: from.to_owned(), stanza: bounce });
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
            } else if self.online.contains(&delivery.to) {
                return Some(delivery);
            }
        }
        None
    }

    fn schedule(&mut self, at: Instant, delivery: Delivery) {
        self.sent += 1;
        self.on_the_way.insert((at, self.sent), delivery);
    }

    /// When the last byte is on the line: after all that the same sender has sent before.
    fn departure(&mut self, now: Instant, from: &str, bytes: usize) -> Instant {
        let Some(rate) = self.bytes_per_second else { return now };
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(rate);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let free = self.busy_until.entry(from.to_owned()).or_insert(now);
        *free = now.max(*free) + takes;
        *free
    }
}

/// RFC 6120 § 8.1.2.1: a server writes the sender's address into what a client sends, whatever stood there.
fn stamp(stanza: &str, element: &Element, from: &str) -> String {
    if element.attribute("from").is_some() {
        let mut stamped = Element::builder(element.name(), element.ns()).attribute("from", from);
        for attribute in element.root().attributes().filter(|attribute| attribute.name != "from") {
            stamped = stamped.attribute_in(attribute.ns, attribute.name, attribute.value);
        }
        for child in element.children() {
            stamped = stamped.child(child);
        }
        return stamped.build().expect("made of a sound element").to_xml(element.ns());
    }
    let name_end = element.name().len() + 1;
    let mut stamped = String::with_capacity(stanza.len() + from.len() + 8);
    stamped.push_str(&stanza[..name_end]);
    xtls_stanza::write::attribute(&mut stamped, "from", from);
    stamped.push_str(&stanza[name_end..]);
    stamped
}

/// RFC 6121 § 8.5.3.2.3: an IQ to a resource that is not there is answered by the server.
fn bounce(element: &Element, to: &str, from: &str, error: &StanzaError) -> Option<String> {
    let iq = Iq::parse(element)?.ok().filter(|iq| matches!(iq.iq_type, IqType::Get | IqType::Set))?;
    let mut out = String::new();
    Iq::write_error(&mut out, iq.id, from, Some(to), error);
    Some(out)
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler(..)")
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    fn relay() -> (Relay, Instant) {
        let mut relay = Relay::new(Duration::from_millis(50));
        relay.set_online("a@x/1", true);
        relay.set_online("b@x/2", true);
        (relay, Instant::now())
    }

    #[test]
    fn from_is_stamped_whatever_the_sender_wrote() {
        let (mut relay, now) = relay();
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
        relay.handle_stanza(now, "a@x/1", "<message from='c@x/3' to='b@x/2'><body>hi</body></message>");
        assert_eq!(relay.poll_delivery(now), None);
        let later = now + Duration::from_millis(50);
        let mut next = || relay.poll_delivery(later).map(|delivery| delivery.stanza);
        assert_eq!(next().as_deref(), Some("<message from='a@x/1' to='b@x/2'/>"));
        assert_eq!(next().as_deref(), Some("<message from='a@x/1' to='b@x/2'><body>hi</body></message>"));
        assert_eq!(next(), None);
    }

    #[test]
    fn bandwidth_delays_what_comes_behind() {
        let (mut relay, now) = relay();
        relay.set_bandwidth(Some(1000));
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
        // 34 bytes once it is stamped.
        assert_eq!(relay.poll_timeout(), Some(now + Duration::from_millis(50 + 34)));
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
        assert!(relay.poll_delivery(now + Duration::from_millis(84)).is_some());
        assert_eq!(relay.poll_timeout(), Some(now + Duration::from_millis(50 + 68)));
    }

    #[test]
    fn a_meddling_relay_replaces_and_bounces() {
        let (mut relay, now) = relay();
        relay.keep_log();
        relay.meddle(|sent| match sent.stanza.contains("twice") {
            true => Fate::Replace(vec![sent.stanza.clone(), "<message/>".to_owned()]),
            false => Fate::Bounce(StanzaError::new(Condition::Forbidden)),
        });
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'><twice/></message>");
        relay.handle_stanza(now, "a@x/1", "<iq type='get' id='1' to='b@x/2'><q xmlns='n'/></iq>");
        let later = now + Duration::from_millis(100);
        let mut next = || relay.poll_delivery(later).map(|delivery| (delivery.to, delivery.stanza));
        assert_eq!(next(), Some(("b@x/2".into(), "<message from='a@x/1' to='b@x/2'><twice/></message>".into())));
        assert_eq!(next(), Some(("b@x/2".into(), "<message/>".into())));
        assert!(next().is_some_and(|(to, stanza)| to == "a@x/1" && stanza.contains("forbidden")));
        assert_eq!(next(), None);
        assert_eq!(relay.log().len(), 2);
        relay.stop_meddling();
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
        assert!(relay.poll_delivery(later).is_some());
    }

    #[test]
    fn what_is_held_waits_in_order_in_both_directions() {
        let (mut relay, now) = relay();
        let message = |text: &str, to: &str| format!("<message to='{to}'><body>{text}</body></message>");
        relay.handle_stanza(now, "a@x/1", &message("1", "b@x/2"));
        relay.hold("b@x/2");
        relay.handle_stanza(now, "a@x/1", &message("2", "b@x/2"));
        relay.handle_stanza(now, "b@x/2", &message("3", "a@x/1"));
        let later = now + Duration::from_secs(100);
        assert_eq!((relay.poll_delivery(later), relay.poll_timeout()), (None, None));
        relay.release(later, "b@x/2");
        relay.handle_stanza(later, "a@x/1", &message("4", "b@x/2"));
        let delivered = core::iter::from_fn(|| relay.poll_delivery(later + Duration::from_secs(1)));
        let delivered: Vec<_> = delivered.map(|it| it.stanza).collect();
        let number =
            |at: usize| ["1", "2", "3", "4"].iter().find(|number| delivered[at].contains(&format!(">{number}<")));
        assert_eq!((0..delivered.len()).filter_map(number).collect::<Vec<_>>(), [&"1", &"2", &"3", &"4"]);
    }

    #[test]
    fn an_iq_to_nobody_is_answered_and_its_answer_is_not() {
        let (mut relay, now) = relay();
        relay.handle_stanza(now, "a@x/1", "<iq type='get' id='1' to='nobody@x/9'><q xmlns='n'/></iq>");
        let bounced = relay.poll_delivery(now + Duration::from_millis(100)).expect("it comes back");
        assert_eq!(bounced.to, "a@x/1");
        assert!(bounced.stanza.contains("service-unavailable"));
        relay.handle_stanza(now, "a@x/1", "<iq type='result' id='1' to='nobody@x/9'/>");
        assert_eq!(relay.poll_timeout(), None);
    }
}
