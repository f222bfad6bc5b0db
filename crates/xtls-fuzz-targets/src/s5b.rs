//! `<transport/>` of XEP-0260, and the negotiation of a connection: one that is told anything, and two with one another.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use xtls_s5b::{
    Candidate, CandidateType, Host, S5bPayload, S5bTransport,
    negotiation::{Action, Attempt, Begin, Negotiation},
};
use xtls_stanza::{Element, Limits, jid::Jid};

use crate::input::Input;

const ADDRESSES: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];
/// What things are dialled by; two of them are proxies where their kind says so.
const CIDS: [&str; 4] = ["a", "b", "c", "d"];

/// The first byte chooses what the rest is for.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(3) {
        0 => check_transport(&mut input),
        1 => check_one(&mut input),
        _ => check_two(&mut input),
    }
}

/// What was read is written and read as the same, and keeps to its bounds.
fn check_transport(input: &mut Input<'_>) {
    let is_whole = input.byte() & 1 == 1;
    let Ok(text) = core::str::from_utf8(input.rest()) else { return };
    let wrapped = format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='s'>{text}</transport>");
    let Ok(element) = Element::parse(if is_whole { text } else { &wrapped }, &Limits::default()) else { return };
    match S5bTransport::parse(element.root()) {
        None => assert!(is_whole, "it is one"),
        Some(Err(fault)) => assert!(!fault.to_string().is_empty()),
        Some(Ok(transport)) => {
            let candidates = transport.candidates();
            assert!(candidates.len() <= Candidate::MAX);
            assert!(candidates.windows(2).all(|two| two[0].priority >= two[1].priority), "the best first");
            let cids: BTreeSet<_> = candidates.iter().map(|candidate| &candidate.cid).collect();
            assert_eq!(cids.len(), candidates.len());
            assert!(candidates.iter().all(|candidate| candidate.port > 0 && candidate.cid.len() <= Candidate::MAX_CID));
            let mut xml = String::new();
            transport.write(&mut xml);
            let again = Element::parse(&xml, &Limits::default()).expect("it was written");
            assert_eq!(S5bTransport::parse(again.root()), Some(Ok(transport)));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point that nothing depends on")]
fn beginning() -> Instant {
    Instant::now()
}

fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

/// Candidates of an end, in number and kind as the input says.
fn candidates(input: &mut Input<'_>, owner: usize) -> Vec<Candidate> {
    let count = input.below(CIDS.len() + 1);
    let named = CIDS.iter().take(count);
    named
        .map(|cid| {
            let choice = input.byte();
            let kind = CandidateType::ALL[usize::from(choice) % CandidateType::ALL.len()];
            let jid = jid(if kind == CandidateType::Proxy { "proxy.lit" } else { ADDRESSES[owner] });
            let host = Host::new(&format!("{cid}{owner}.example")).expect("a host");
            Candidate::new(cid, host, 1, jid, u32::from(choice >> 4), kind).expect("a sound one")
        })
        .collect()
}

fn begin(own: usize, offered: Vec<Candidate>) -> Begin {
    Begin {
        is_initiator: own == 0,
        sid: "s".to_owned(),
        own: jid(ADDRESSES[own]),
        peer: jid(ADDRESSES[1 - own]),
        offered,
        may_dial: |_| true,
    }
}

fn stated(candidates: Vec<Candidate>) -> S5bTransport {
    S5bTransport::new("s", S5bPayload::Candidates(candidates))
}

/// A negotiation, and what must hold of what it wants.
struct Watched {
    negotiation: Negotiation,
    /// Connections that are asked for or came, and are neither given up nor lost.
    open: BTreeMap<Attempt, Option<String>>,
    seen: BTreeSet<Attempt>,
    dials: usize,
    says: VecDeque<S5bPayload>,
    activates: bool,
    ready: Option<Attempt>,
    failed: bool,
}

impl Watched {
    fn new(now: Instant, begin: Begin, theirs: &S5bTransport) -> Self {
        let mut watched = Self {
            negotiation: Negotiation::new(now, begin, theirs),
            open: BTreeMap::new(),
            seen: BTreeSet::new(),
            dials: 0,
            says: VecDeque::new(),
            activates: false,
            ready: None,
            failed: false,
        };
        watched.act();
        watched
    }

    /// Does what it wants; whether there was anything.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.negotiation.poll() {
            any = true;
            assert!(self.ready.is_none() && !self.failed, "the end is the last: {action:?}");
            match action {
                Action::Dial { attempt, host, port, .. } => {
                    assert!(port > 0 && self.seen.insert(attempt));
                    self.open.insert(attempt, Some(host.as_str().to_owned()));
                    self.dials += 1;
                }
                Action::Abandon(attempt) => {
                    assert!(self.seen.contains(&attempt), "a connection that there was");
                    self.open.remove(&attempt);
                }
                Action::Say(payload) => self.says.push_back(payload),
                Action::Activate { .. } => self.activates = true,
                Action::Ready { attempt, .. } => {
                    assert!(self.open.contains_key(&attempt), "a connection that there is");
                    self.ready = Some(attempt);
                }
                Action::Failed => self.failed = true,
                other => panic!("{other:?}"),
            }
        }
        // Eight of the peer's, and a proxy of its own.
        assert!(self.dials <= Candidate::MAX + 1);
        assert_eq!(self.negotiation.is_over(), self.ready.is_some() || self.failed);
        assert_eq!(self.negotiation.is_over(), self.negotiation.deadline().is_none());
        if self.negotiation.is_over() {
            assert!(self.open.keys().all(|attempt| self.ready == Some(*attempt)), "nothing else is left open");
        }
        any
    }

    fn incoming(&mut self) -> Option<Attempt> {
        let attempt = self.negotiation.incoming()?;
        assert!(self.seen.insert(attempt));
        self.open.insert(attempt, None);
        Some(attempt)
    }

    fn lost(&mut self, now: Instant, attempt: Attempt) {
        self.open.remove(&attempt);
        self.negotiation.failed(now, attempt);
    }
}

/// A peer that says anything, and connections that do anything.
fn check_one(input: &mut Input<'_>) {
    let start = beginning();
    let mut now = start;
    let own = input.below(2);
    let theirs = candidates(input, 1 - own);
    let mut watched = Watched::new(now, begin(own, candidates(input, own)), &stated(theirs));
    let mut turns = 0;
    while !input.is_empty() && turns < 100 {
        turns += 1;
        let (what, which) = (input.below(9), input.below(8));
        let attempt = watched.seen.iter().nth(which % watched.seen.len().max(1)).copied();
        let cid = || CIDS[which % CIDS.len()].to_owned();
        let said = match what {
            0 => Some(S5bPayload::CandidateUsed(cid())),
            1 => Some(S5bPayload::CandidateError),
            2 => Some(S5bPayload::Activated(cid())),
            3 => Some(S5bPayload::ProxyError),
            4 => Some(S5bPayload::Candidates(candidates(input, 1 - own))),
            _ => None,
        };
        if let Some(said) = said {
            if watched.negotiation.handle(now, &said).is_err() {
                assert!(!watched.act(), "what does not fit changes nothing");
            }
        } else if what == 5 {
            attempt
                .filter(|attempt| watched.open.contains_key(attempt))
                .into_iter()
                .for_each(|attempt| watched.negotiation.connected(now, attempt));
        } else if what == 6 {
            attempt.into_iter().for_each(|attempt| watched.lost(now, attempt));
        } else if what == 7 {
            if which == 0 {
                watched.negotiation.activated(input.byte() & 1 == 0);
            } else {
                watched.incoming();
            }
        } else {
            now = watched
                .negotiation
                .deadline()
                .filter(|_| which < 4)
                .unwrap_or(now + Duration::from_millis(100))
                .max(now);
            watched.negotiation.timeout(now);
        }
        watched.act();
    }
    watched.negotiation.timeout(start + Negotiation::MAX_TIME);
    watched.act();
    watched.negotiation.timeout(start + Negotiation::MAX_TIME);
    watched.act();
    assert!(watched.negotiation.is_over(), "it ends whatever happens");
}

/// Two that keep to the rules, between whom anything connects or not and is heard sooner or later: they come to the same.
fn check_two(input: &mut Input<'_>) {
    let start = beginning();
    let mut now = start;
    let offered = [candidates(input, 0), candidates(input, 1)];
    // A bit for each candidate of each: whether the other gets there, and whether its owner gets to the proxy.
    let reaches = [input.byte(), input.byte(), input.byte(), input.byte()];
    let proxies_work = input.byte() & 1 == 0;
    let mut ends =
        [0, 1].map(|own| Watched::new(now, begin(own, offered[own].clone()), &stated(offered[1 - own].clone())));
    let mut came: [Option<(Attempt, String)>; 2] = [None, None];
    let mut dialled: [BTreeMap<Attempt, String>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut settled: [BTreeSet<Attempt>; 2] = [BTreeSet::new(), BTreeSet::new()];
    let mut turns = 0;
    while !ends.iter().all(|end| end.negotiation.is_over()) {
        turns += 1;
        assert!(turns < 1000, "it comes to an end");
        let mut possible: Vec<(usize, Option<Attempt>)> = Vec::new();
        for own in 0..2 {
            if !ends[own].says.is_empty() {
                possible.push((own, None));
            }
            for (attempt, host) in &ends[own].open {
                if let Some(host) = host.as_ref().filter(|_| !settled[own].contains(attempt)) {
                    dialled[own].insert(*attempt, host.clone());
                    possible.push((own, Some(*attempt)));
                }
            }
        }
        match possible
            .get(input.below(possible.len().max(1) + 1))
            .or_else(|| possible.first().filter(|_| input.is_empty()))
        {
            Some((own, None)) => {
                let said = ends[*own].says.pop_front().expect("it says something");
                let result = ends[1 - own].negotiation.handle(now, &said);
                // One may have failed meanwhile.
                assert!(
                    result.is_ok() || ends[1 - own].negotiation.is_over() || said == S5bPayload::ProxyError,
                    "{said:?}"
                );
            }
            Some((own, Some(attempt))) => {
                let (own, attempt) = (*own, *attempt);
                settled[own].insert(attempt);
                let host = dialled[own][&attempt].clone();
                let (cid, owner) = (&host[..1], usize::from(host.as_bytes()[1] == b'1'));
                let at = CIDS.iter().position(|name| *name == cid).expect("one of them");
                let kind = offered[owner][at].kind;
                let mut gets_there = reaches[2 * owner + usize::from(own == owner)] >> at & 1 == 0;
                if gets_there && kind != CandidateType::Proxy {
                    let incoming = ends[1 - own].incoming();
                    gets_there = incoming.is_some();
                    came[1 - own] = incoming.map(|attempt| (attempt, host.clone())).or_else(|| came[1 - own].take());
                }
                if gets_there { ends[own].negotiation.connected(now, attempt) } else { ends[own].lost(now, attempt) }
            }
            None => {
                let next = ends.iter().filter_map(|end| end.negotiation.deadline()).min();
                now = next.unwrap_or(now).max(now);
                ends.iter_mut().for_each(|end| end.negotiation.timeout(now));
            }
        }
        for end in &mut ends {
            end.act();
            if core::mem::take(&mut end.activates) {
                end.negotiation.activated(proxies_work);
                end.act();
            }
        }
    }
    assert!(now <= start + Negotiation::MAX_TIME);
    // Both may be late with what they say; but never do both go by connections that are not the same.
    let by = |own: usize| {
        let attempt = ends[own].ready?;
        let came = came[own].as_ref().filter(|(of, _)| *of == attempt).map(|(_, host)| host.clone());
        came.or_else(|| dialled[own].get(&attempt).cloned())
    };
    if let (Some(one), Some(other)) = (by(0), by(1)) {
        assert_eq!(one, other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_peer_says_and_connections_do_a_negotiation_keeps_to_its_rules(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::run(&data);
        }
    }
}
