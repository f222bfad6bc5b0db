//! Two negotiations with one another, where anything connects or not and is heard sooner or later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// Two ends and the world between them.
struct World {
    now: Instant,
    ends: [Negotiation; 2],
    /// What is on its way to each end.
    said: [VecDeque<S5bPayload>; 2],
    /// The attempts that run, of each end, to which host.
    dials: [BTreeMap<u32, String>; 2],
    /// Which hosts each end gets through to.
    reaches: [BTreeSet<String>; 2],
    /// Which end owns the listener of a host.
    ready: [Option<String>; 2],
    failed: [bool; 2],
    /// By which host an end was connected to.
    came_by: [Option<(Attempt, String)>; 2],
    proxies_work: bool,
}

impl World {
    fn act(&mut self, end: usize) {
        while let Some(action) = self.ends[end].poll() {
            match action {
                Action::Dial { attempt, host, .. } => {
                    self.dials[end].insert(attempt.0, host.to_string());
                }
                Action::Abandon(_) => {}
                Action::Say(payload) => self.said[1 - end].push_back(payload),
                Action::Activate { .. } => self.ends[end].activated(self.proxies_work),
                Action::Ready { attempt, .. } => {
                    let dialled = self.dials[end].get(&attempt.0).cloned();
                    let came = self.came_by[end].clone().filter(|(of, _)| *of == attempt).map(|(_, host)| host);
                    self.ready[end] = Some(dialled.or(came).unwrap());
                }
                Action::Failed => self.failed[end] = true,
            }
        }
    }

    /// One thing happens; which, `choice` says.
    fn step(&mut self, choice: usize) {
        let mut possible: Vec<(usize, Option<u32>)> = Vec::new();
        for end in 0..2 {
            if !self.said[end].is_empty() {
                possible.push((end, None));
            }
            possible.extend(
                self.dials[end].iter().filter(|(_, host)| !host.starts_with('-')).map(|(n, _)| (end, Some(*n))),
            );
        }
        let Some((end, what)) = possible.get(choice % possible.len().max(1)).copied() else {
            let next = self.ends.iter().filter_map(Negotiation::deadline).min();
            self.now = next.unwrap_or(self.now).max(self.now);
            self.ends.iter_mut().for_each(|end| end.timeout(self.now));
            return (0..2).for_each(|end| self.act(end));
        };
        match what {
            None => {
                let payload = self.said[end].pop_front().unwrap();
                // Two honest ends never contradict one another.
                self.ends[end].handle(self.now, &payload).unwrap_or_else(|fault| match payload {
                    S5bPayload::ProxyError => {}
                    _ => panic!("{fault} {payload:?}"),
                });
            }
            Some(attempt) => {
                let host = self.dials[end][&attempt].clone();
                // Once it is settled it is not settled again.
                self.dials[end].insert(attempt, format!("-{host}"));
                let is_proxy = host.starts_with(['p', 'q']);
                let mut gets_through = self.reaches[end].contains(&host);
                if gets_through && !is_proxy {
                    let came = self.ends[1 - end].incoming();
                    gets_through = came.is_some();
                    if let Some(came) = came {
                        self.came_by[1 - end] = Some((came, format!("-{host}")));
                    }
                }
                if gets_through {
                    self.ends[end].connected(self.now, Attempt(attempt));
                } else {
                    self.ends[end].failed(self.now, Attempt(attempt));
                }
            }
        }
        (0..2).for_each(|end| self.act(end));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn two_honest_ends_use_the_same_connection_or_none(
        kinds in proptest::collection::vec((any::<bool>(), any::<bool>(), 1..4_u32, any::<bool>(), any::<bool>()), 0..6),
        proxies_work in any::<bool>(),
        choices in proptest::collection::vec(any::<usize>(), 200),
    ) {
        let now = Instant::now();
        let mut offered = [vec![], vec![]];
        let mut reaches = [BTreeSet::new(), BTreeSet::new()];
        for (index, (is_juliets, is_proxy, priority, romeo, juliet)) in kinds.iter().enumerate() {
            let kind = if *is_proxy { CandidateType::Proxy } else { CandidateType::Direct };
            let letter = match (is_juliets, is_proxy) { (false, true) => 'p', (true, true) => 'q', (_, false) => 'd' };
            let cid = format!("{letter}{index}");
            let owner = usize::from(*is_juliets);
            offered[owner].push(candidate(&cid, kind, *priority, [ROMEO, JULIET][owner]));
            let reached = [*romeo, *juliet];
            (0..2).filter(|end| reached[*end]).for_each(|end| { reaches[end].insert(format!("{cid}.example")); });
        }
        let [romeos, juliets] = offered.clone();
        let ends = [
            Negotiation::new(now, begin(true, romeos.clone()), &states(juliets.clone())),
            Negotiation::new(now, begin(false, juliets), &states(romeos)),
        ];
        let mut world = World {
            now, ends, said: Default::default(), dials: Default::default(), reaches, ready: Default::default(),
            failed: [false; 2], came_by: Default::default(), proxies_work,
        };
        (0..2).for_each(|end| world.act(end));
        choices.into_iter().for_each(|choice| world.step(choice));
        while !world.ends.iter().all(Negotiation::is_over) {
            world.step(0);
        }
        prop_assert!(world.now <= now + Negotiation::MAX_TIME);
        prop_assert_eq!(world.failed[0], world.failed[1], "{:?}", world.ready);
        prop_assert_eq!(&world.ready[0], &world.ready[1]);
        prop_assert!(world.failed[0] != world.ready[0].is_some());
    }
}
