//! Finding the resource of a peer that has XTLS, by presence and service discovery.

use std::time::{Duration, Instant};

use xtls::{Element, xml::DiscoInfo};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_stanza::{Iq, IqType, ns};

/// How long presence is waited for after our own was sent.
const PRESENCE_TIME: Duration = Duration::from_secs(10);
/// How long a resource may take to say what it can do.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long another resource may take to show itself when all that have shown themselves have answered.
const SETTLE_TIME: Duration = Duration::from_millis(1500);
/// Most resources that are asked.
pub(crate) const MAX_RESOURCES: usize = 32;

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
    /// It went offline.
    Gone,
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
    /// No presence of the peer came, or all that came are gone.
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
        let Some(from) = from.to_full() else { return Progress::Searching };
        if from.to_bare() != self.peer || from == self.own {
            return Progress::Searching;
        }
        match stanza.name() {
            "presence" => self.presence(from, stanza.attribute("type"), now),
            "iq" => self.answer(&from, stanza, now),
            _ => Progress::Searching,
        }
    }

    /// Gives up what did not answer in time.
    pub(crate) fn handle_timeout(&self, now: Instant) -> Progress {
        if now < self.deadline {
            Progress::Searching
        } else if self.asked.iter().all(|(_, answer)| *answer == Answer::Gone) {
            Progress::Offline
        } else {
            Progress::WithoutXtls
        }
    }

    fn presence(&mut self, from: FullJid, kind: Option<&str>, now: Instant) -> Progress {
        let known = self.asked.iter().position(|(asked, _)| *asked == from);
        match (kind, known) {
            (None, None) if self.asked.len() < MAX_RESOURCES => self.ask(self.asked.len(), from, now),
            (Some("unavailable"), Some(at)) => self.settle(at, Answer::Gone, now),
            (None, Some(at)) if self.asked.get(at).is_some_and(|(_, answer)| *answer == Answer::Gone) => {
                // Back again.
                self.ask(at, from, now)
            }
            _ => Progress::Searching,
        }
    }

    fn ask(&mut self, at: usize, resource: FullJid, now: Instant) -> Progress {
        let mut query = String::new();
        DiscoInfo::write_request(&mut query, &id(at), resource.as_str(), None, None);
        match self.asked.get_mut(at) {
            Some((_, answer)) => *answer = Answer::Awaited,
            None => self.asked.push((resource, Answer::Awaited)),
        }
        self.deadline = now + ANSWER_TIME;
        Progress::Ask(query)
    }

    fn answer(&mut self, from: &FullJid, stanza: &Element, now: Instant) -> Progress {
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
                    self.settle(at, Answer::WithoutXtls, now)
                }
            }
            IqType::Error => self.settle(at, Answer::WithoutXtls, now),
            _ => Progress::Searching,
        }
    }

    /// Presence of other resources may still come: the search goes on for a while after the last one has answered.
    fn settle(&mut self, at: usize, answer: Answer, now: Instant) -> Progress {
        if let Some((_, before)) = self.asked.get_mut(at) {
            *before = answer;
        }
        if !self.asked.iter().any(|(_, answer)| *answer == Answer::Awaited) {
            self.deadline = self.deadline.min(now + SETTLE_TIME);
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

    #[test]
    fn a_peer_without_xtls_is_told_soon_after_its_last_resource_has_answered() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut search = search(start);
        let online = |resource: &str| stanza(&format!("<presence from='romeo@montague.lit/{resource}'/>"));
        for resource in ["phone", "laptop"] {
            assert!(matches!(search.handle(&online(resource), start), Progress::Ask(_)));
        }
        assert_eq!(search.handle(&info("phone", "find-0", ns::JINGLE), after(300)), Progress::Searching);
        assert_eq!(search.deadline(), start + ANSWER_TIME, "one has not answered");
        assert_eq!(search.handle(&info("laptop", "find-1", ns::JINGLE), after(500)), Progress::Searching);
        assert_eq!(search.deadline(), after(2000));
        assert_eq!(search.handle_timeout(after(1999)), Progress::Searching);
        assert_eq!(search.handle_timeout(after(2000)), Progress::WithoutXtls);
        // Another one that shows itself before is asked all the same.
        assert!(matches!(search.handle(&online("xtls"), after(1000)), Progress::Ask(_)));
        assert_eq!(search.handle_timeout(after(2000)), Progress::Searching);
        let found = search.handle(&info("xtls", "find-2", ns::XTLS_1), after(3000));
        assert_eq!(found, Progress::Found("romeo@montague.lit/xtls".parse().unwrap()));
    }

    #[test]
    fn a_resource_that_is_gone_is_offline_and_asked_anew_when_it_is_back() {
        let now = Instant::now();
        let mut search = search(now);
        let presence = |kind: &str| stanza(&format!("<presence from='romeo@montague.lit/xtls'{kind}/>"));
        assert!(matches!(search.handle(&presence(""), now), Progress::Ask(_)));
        assert_eq!(search.handle(&presence(" type='unavailable'"), now), Progress::Searching);
        assert_eq!(search.handle_timeout(now + SETTLE_TIME), Progress::Offline);
        assert!(matches!(search.handle(&presence(""), now), Progress::Ask(_)));
        assert!(matches!(search.handle(&info("xtls", "find-0", ns::XTLS_0), now), Progress::Found(_)));
    }
}
