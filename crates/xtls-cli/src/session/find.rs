//! Finding the resource of a peer that has XTLS, by presence and service discovery.

use std::time::{Duration, Instant};

use jid::{BareJid, FullJid, Jid};
use xtls::{Element, xml::DiscoInfo};
use xtls_stanza::{Iq, IqType, ns};

/// How long presence is waited for after our own was sent.
const PRESENCE_TIME: Duration = Duration::from_secs(10);
/// How long a resource may take to say what it can do.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Most resources that are asked.
const MAX_RESOURCES: usize = 32;

/// The search for one peer. It takes the stanzas that nobody else took, and time.
#[derive(Debug)]
pub(crate) struct Search {
    peer: BareJid,
    own: FullJid,
    asked: Vec<(FullJid, Answer)>,
    deadline: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    WithoutXtls,
}

/// What the search has come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing yet.
    Searching,
    /// Send this stanza, and go on.
    Ask(String),
    /// This resource has XTLS.
    Found(FullJid),
    /// The peer is online, and no resource of it has XTLS.
    WithoutXtls,
    /// No presence of the peer came.
    Offline,
}

impl Search {
    /// Begins when our own presence is sent.
    pub(crate) fn new(peer: BareJid, own: FullJid, now: Instant) -> Self {
        Self { peer, own, asked: Vec::new(), deadline: now + PRESENCE_TIME }
    }

    /// Who is looked for.
    pub(crate) fn peer(&self) -> &BareJid {
        &self.peer
    }

    /// When [`Search::handle_timeout`] is to be called.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes a stanza of the outer stream.
    pub(crate) fn handle(&mut self, stanza: &Element, now: Instant) -> Progress {
        let Some(from) = stanza.attribute("from").and_then(|from| from.parse::<Jid>().ok()) else {
            return Progress::Searching;
        };
        let Ok(from) = from.try_into_full() else { return Progress::Searching };
        if from.to_bare() != self.peer || from == self.own {
            return Progress::Searching;
        }
        match stanza.name() {
            "presence" => self.presence(from, stanza.attribute("type"), now),
            "iq" => self.answer(&from, stanza),
            _ => Progress::Searching,
        }
    }

    /// Gives up what did not answer in time.
    pub(crate) fn handle_timeout(&self, now: Instant) -> Progress {
        if now < self.deadline {
            Progress::Searching
        } else if self.asked.is_empty() {
            Progress::Offline
        } else {
            Progress::WithoutXtls
        }
    }

    fn presence(&mut self, from: FullJid, kind: Option<&str>, now: Instant) -> Progress {
        let known = self.asked.iter().position(|(asked, _)| *asked == from);
        match (kind, known) {
            (None, None) if self.asked.len() < MAX_RESOURCES => {
                let mut query = String::new();
                DiscoInfo::write_request(&mut query, &id(self.asked.len()), from.as_str(), None, None);
                self.asked.push((from, Answer::Awaited));
                self.deadline = now + ANSWER_TIME;
                Progress::Ask(query)
            }
            // Gone again: it will not answer.
            (Some("unavailable"), Some(at)) => self.without_xtls(at),
            _ => Progress::Searching,
        }
    }

    fn answer(&mut self, from: &FullJid, stanza: &Element) -> Progress {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return Progress::Searching };
        let asked = self.asked.iter().enumerate();
        let Some(at) = asked.filter(|(at, (asked, _))| asked == from && iq.id == id(*at)).map(|(at, _)| at).next()
        else {
            return Progress::Searching;
        };
        match iq.iq_type {
            IqType::Result => {
                let info = iq.payload.and_then(DiscoInfo::parse).and_then(Result::ok);
                if info.is_some_and(|info| info.supports(ns::XTLS_0) || info.supports(ns::XTLS_1)) {
                    Progress::Found(from.clone())
                } else {
                    self.without_xtls(at)
                }
            }
            IqType::Error => self.without_xtls(at),
            _ => Progress::Searching,
        }
    }

    /// Presence of other resources may still come: the search goes on until its time is over.
    fn without_xtls(&mut self, at: usize) -> Progress {
        if let Some((_, answer)) = self.asked.get_mut(at) {
            *answer = Answer::WithoutXtls;
        }
        Progress::Searching
    }
}

fn id(at: usize) -> String {
    format!("find-{at}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use xtls_stanza::Limits;

    use super::*;

    fn stanza(text: &str) -> Element {
        Element::parse(text, &Limits::default()).unwrap()
    }

    fn search(now: Instant) -> Search {
        Search::new("romeo@montague.lit".parse().unwrap(), "juliet@capulet.lit/balcony".parse().unwrap(), now)
    }

    fn info(resource: &str, id: &str, feature: &str) -> Element {
        stanza(&format!(
            "<iq type='result' id='{id}' from='romeo@montague.lit/{resource}'>\
             <query xmlns='{}'><feature var='{feature}'/></query></iq>",
            ns::DISCO_INFO
        ))
    }

    #[test]
    fn the_resource_that_has_xtls_is_found_among_others() {
        let now = Instant::now();
        let mut search = search(now);
        let one = search.handle(&stanza("<presence from='romeo@montague.lit/phone'/>"), now);
        assert!(matches!(one, Progress::Ask(query) if query.contains("find-0") && query.contains("/phone")));
        assert!(matches!(search.handle(&stanza("<presence from='romeo@montague.lit/xtls'/>"), now), Progress::Ask(_)));
        assert_eq!(search.handle(&info("phone", "find-0", ns::JINGLE), now), Progress::Searching);
        let found = search.handle(&info("xtls", "find-1", ns::XTLS_0), now);
        assert_eq!(found, Progress::Found("romeo@montague.lit/xtls".parse().unwrap()));
    }

    #[test]
    fn strangers_and_answers_that_were_not_asked_for_count_for_nothing() {
        let now = Instant::now();
        let mut search = search(now);
        assert_eq!(search.handle(&stanza("<presence from='mercutio@montague.lit/x'/>"), now), Progress::Searching);
        assert_eq!(search.handle(&info("xtls", "find-0", ns::XTLS_0), now), Progress::Searching);
        assert!(matches!(search.handle(&stanza("<presence from='romeo@montague.lit/xtls'/>"), now), Progress::Ask(_)));
        assert_eq!(search.handle(&stanza("<presence from='romeo@montague.lit/xtls'/>"), now), Progress::Searching);
        assert_eq!(search.handle(&info("other", "find-0", ns::XTLS_0), now), Progress::Searching);
        assert_eq!(search.handle(&info("xtls", "find-1", ns::XTLS_0), now), Progress::Searching);
    }

    #[test]
    fn a_peer_without_xtls_is_told_from_one_that_is_offline() {
        let now = Instant::now();
        let offline = search(now);
        assert_eq!(offline.handle_timeout(now), Progress::Searching);
        assert_eq!(offline.handle_timeout(now + PRESENCE_TIME), Progress::Offline);
        let mut without = search(now);
        assert!(matches!(
            without.handle(&stanza("<presence from='romeo@montague.lit/phone'/>"), now),
            Progress::Ask(_)
        ));
        assert_eq!(without.handle(&info("phone", "find-0", ns::JINGLE), now), Progress::Searching);
        assert_eq!(without.handle_timeout(without.deadline()), Progress::WithoutXtls);
    }
}
