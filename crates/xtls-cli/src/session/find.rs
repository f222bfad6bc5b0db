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
    /// Somebody who is online, and whose address servers may take for the peer's.
    confused: Option<BareJid>,
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
    /// What was asked of the peer was answered by somebody else: a server takes the one address for the other.
    Another(FullJid),
}

impl Search {
    /// Begins when our own presence is sent.
    pub(crate) fn new(peer: BareJid, own: FullJid, now: Instant) -> Self {
        Self { peer, own, asked: Vec::new(), confused: None, deadline: now + PRESENCE_TIME }
    }

    /// Who is looked for.
    pub(crate) fn peer(&self) -> &BareJid {
        &self.peer
    }

    /// Somebody who is online, and whose address servers may take for the peer's (RFC 7622 § 5). It may be a friend like any
    /// other, so that it counts for nothing unless nothing of the peer is to be seen.
    pub(crate) fn confused(&self) -> Option<&BareJid> {
        self.confused.as_ref()
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
        if from == self.own {
            return Progress::Searching;
        }
        if from.to_bare() != self.peer {
            return self.another(from, stanza);
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

    /// Somebody else has sent this.
    fn another(&mut self, from: FullJid, stanza: &Element) -> Progress {
        let bare = from.to_bare();
        if !bare.is_confused_with(&self.peer) {
            return Progress::Searching;
        }
        if stanza.name() == "presence" && stanza.attribute("type").is_none() {
            self.confused.get_or_insert(bare);
            return Progress::Searching;
        }
        let asked = |(at, (asked, _)): (usize, &(FullJid, Answer))| {
            stanza.attribute("id") == Some(id(at).as_str()) && asked.is_confused_with(&from)
        };
        let is_answer = matches!(stanza.attribute("type"), Some("result" | "error"));
        if stanza.name() == "iq" && is_answer && self.asked.iter().enumerate().any(asked) {
            return Progress::Another(from);
        }
        Progress::Searching
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
    fn thirty_two_resources_are_asked_and_not_one_more() {
        let now = Instant::now();
        let mut search = search(now);
        let mut online =
            |number: usize| search.handle(&stanza(&format!("<presence from='romeo@montague.lit/{number}'/>")), now);
        for number in 0..MAX_RESOURCES {
            assert!(matches!(online(number), Progress::Ask(_)), "{number}");
        }
        assert_eq!(online(MAX_RESOURCES), Progress::Searching);
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

    /// As a server that prepares by RFC 6122 stamps it.
    #[test]
    fn an_answer_by_whom_a_server_takes_the_peer_for_ends_the_search_and_names_it() {
        let now = Instant::now();
        let found = |peer: &str, answer: &str| {
            let mut search = Search::new(peer.parse().unwrap(), "juliet@capulet.lit/balcony".parse().unwrap(), now);
            let online = search.handle(&stanza(&format!("<presence from='{peer}/x'/>")), now);
            assert!(matches!(online, Progress::Ask(_)), "{peer}");
            search.handle(&stanza(answer), now)
        };
        for kind in ["result", "error"] {
            let answer = format!("<iq type='{kind}' id='find-0' from='romeo@strasse.example/x'/>");
            let another = Progress::Another("romeo@strasse.example/x".parse().unwrap());
            assert_eq!(found("romeo@straße.example", &answer), another);
            assert_eq!(found("romeo@montague.lit", &answer), Progress::Searching);
        }
        // Another question, another resource, another account, no answer.
        for other in [
            "<iq type='result' id='find-1' from='romeo@strasse.example/x'/>",
            "<iq type='result' id='find-0' from='romeo@strasse.example/y'/>",
            "<iq type='result' id='find-0' from='mercutio@strasse.example/x'/>",
            "<iq type='get' id='find-0' from='romeo@strasse.example/x'/>",
            "<message type='error' id='find-0' from='romeo@strasse.example/x'/>",
        ] {
            assert_eq!(found("romeo@straße.example", other), Progress::Searching, "{other}");
        }
    }

    #[test]
    fn somebody_online_whom_a_server_takes_the_peer_for_ends_nothing_and_is_remembered() {
        let now = Instant::now();
        let own: FullJid = "juliet@capulet.lit/balcony".parse().unwrap();
        let mut search = Search::new("romeo@straße.example".parse().unwrap(), own, now);
        for (presence, confused) in [
            ("<presence from='mercutio@strasse.example/x'/>", None),
            ("<presence type='unavailable' from='romeo@strasse.example/x'/>", None),
            ("<presence from='romeo@strasse.example/x'/>", Some("romeo@strasse.example".parse().unwrap())),
        ] {
            assert_eq!(search.handle(&stanza(presence), now), Progress::Searching);
            assert_eq!(search.confused(), confused.as_ref(), "{presence}");
        }
        assert_eq!(search.handle_timeout(now + PRESENCE_TIME), Progress::Offline);
        assert!(matches!(search.handle(&stanza("<presence from='romeo@straße.example/x'/>"), now), Progress::Ask(_)));
    }
}
