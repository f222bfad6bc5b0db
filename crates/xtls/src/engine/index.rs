//! What tunnels are found by, in ordered maps: finding one takes no look at any other.

use core::ops::Bound;
use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use xtls_channel::{Deadline, Instant, Timer};
use xtls_s5b::DstAddr;
use xtls_stanza::{Id, jid::BareJid};

use super::places::{Holder, Places};
use crate::tunnel::TunnelCore;

/// The numbers of tunnels, by each key.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) places: Places,
    peers: Sets,
    /// By what older servers make of the peer's address, where that is another one.
    older: Sets,
    sessions: Sids,
    bytestreams: Sids,
    /// By what a connection to a listener asks for.
    expected: BTreeMap<DstAddr, u64>,
    /// By the id of a request to a proxy.
    activations: BTreeMap<Id, u64>,
    /// How many can be used with each account.
    usable: BTreeMap<BareJid, usize>,
    /// The next deadline of each one that has any, in the order in which they run out.
    deadlines: BTreeMap<(Instant, u64), Timer>,
    /// The outer stream is away: deadlines that depend on it do not run out.
    suspended: bool,
}

/// The keys under which a tunnel is in the index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    names: Option<Names>,
    deadline: Option<Deadline>,
}

#[derive(Debug, PartialEq, Eq)]
struct Names {
    peer: Arc<str>,
    older: Option<Arc<str>>,
    session: Option<Arc<str>>,
    bytestream: Option<Arc<str>>,
    /// The account, if the tunnel can be used.
    usable_with: Option<BareJid>,
    /// Whose place it takes; none once it has ended.
    holder: Option<Holder>,
    /// It has ended, and its farewell is on its way.
    farewell: bool,
    /// What a connection to a listener may ask for.
    expected: Option<[DstAddr; 2]>,
    /// The id of a request to a proxy that is not answered.
    activation: Option<Id>,
}

/// Numbers by a text.
#[derive(Debug, Default)]
struct Sets(BTreeMap<Arc<str>, BTreeSet<u64>>);

/// Numbers by a sid and a peer. Sids are for anybody to choose, so any number of peers may have the same.
#[derive(Debug, Default)]
struct Sids(BTreeMap<Arc<str>, Holders>);

/// Who holds a sid: one tunnel with this peer nearly always, for which no maps are made.
#[derive(Debug)]
enum Holders {
    One(Arc<str>, u64),
    Many(Sets),
}

impl Index {
    /// The tunnels with the peer of this address, in the order of their creation.
    pub(super) fn with_peer(&self, address: &str) -> impl Iterator<Item = u64> {
        self.peers.get(address)
    }

    /// The first of these, or the next one after this number.
    pub(super) fn next_with_peer(&self, address: &str, after: Option<u64>) -> Option<u64> {
        self.peers.after(address, after)
    }

    /// The tunnels with a peer that a server which prepares by RFC 6122 takes for this one. `older` is what such a server makes
    /// of the address.
    pub(super) fn confused_with(&self, address: &str, older: &str) -> impl Iterator<Item = u64> {
        let itself = (older != address).then(|| self.peers.get(older)).into_iter().flatten();
        let own = self.peers.get(address).collect::<BTreeSet<_>>();
        self.older.get(older).filter(move |number| !own.contains(number)).chain(itself)
    }

    /// The tunnel with this peer that holds a session of this sid: the oldest, should there be two.
    pub(super) fn with_session(&self, sid: &str, peer: &str) -> Option<u64> {
        self.sessions.get(sid, peer).next()
    }

    /// Whether anybody's session has this sid.
    pub(super) fn is_session(&self, sid: &str) -> bool {
        self.sessions.is_held(sid)
    }

    /// The tunnels with this peer that hold a bytestream of this sid; there is one but for a moment.
    pub(super) fn with_bytestream(&self, sid: &str, peer: &str) -> impl Iterator<Item = u64> {
        self.bytestreams.get(sid, peer)
    }

    /// Whether anybody's bytestream has this sid.
    pub(super) fn is_bytestream(&self, sid: &str) -> bool {
        self.bytestreams.is_held(sid)
    }

    /// The tunnel that expects a connection which asks for this.
    pub(super) fn expecting(&self, dst_addr: &DstAddr) -> Option<u64> {
        self.expected.get(dst_addr).copied()
    }

    /// The tunnel that a proxy was asked for by this request.
    pub(super) fn activating(&self, id: &str) -> Option<u64> {
        self.activations.iter().find(|(own, _)| own.as_str() == id).map(|(_, number)| *number)
    }

    /// Whether there is a tunnel that can be used with this account.
    pub(super) fn is_usable_with(&self, account: &BareJid) -> bool {
        self.usable.contains_key(account)
    }

    /// The first deadline of all.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.deadlines.first_key_value().map(|((at, _), timer)| Deadline::new(*at, *timer))
    }

    /// The tunnels whose deadlines have run out.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = u64> {
        self.deadlines.range(..=(now, u64::MAX)).map(|((_, number), _)| *number)
    }

    /// Changes which deadlines run out. It shows in each tunnel that is updated from now on.
    pub(super) fn set_suspended(&mut self, suspended: bool) {
        self.suspended = suspended;
    }

    /// Sees to it that a tunnel is found under the keys that it has now. Where they are those that it had, nothing is
    /// allocated.
    pub(super) fn update(&mut self, number: u64, keys: &mut Keys, tunnel: &TunnelCore) {
        if !keys.names.as_ref().is_some_and(|names| names.are_of(tunnel)) {
            self.set_names(number, keys, Some(Names::of(tunnel)));
        }
        self.set_deadline(number, keys, tunnel.timers.next(self.suspended));
    }

    /// Forgets a tunnel.
    pub(super) fn remove(&mut self, number: u64, keys: &mut Keys) {
        self.set_names(number, keys, None);
        self.set_deadline(number, keys, None);
    }

    fn set_names(&mut self, number: u64, keys: &mut Keys, names: Option<Names>) {
        if let Some(old) = keys.names.take() {
            self.peers.remove(&old.peer, number);
            old.older.iter().for_each(|older| self.older.remove(older, number));
            old.session.iter().for_each(|sid| self.sessions.remove(sid, &old.peer, number));
            old.bytestream.iter().for_each(|sid| self.bytestreams.remove(sid, &old.peer, number));
            if let Some(account) = &old.usable_with
                && let Some(count) = self.usable.get_mut(account)
            {
                *count -= 1;
                if *count == 0 {
                    self.usable.remove(account);
                }
            }
            old.holder.iter().for_each(|holder| self.places.leave(holder));
            for dst_addr in old.expected.iter().flatten() {
                self.expected.remove(dst_addr);
            }
            if let Some(id) = old.activation {
                self.activations.remove(&id);
            }
        }
        if let Some(new) = &names {
            self.peers.insert(&new.peer, number);
            new.older.iter().for_each(|older| self.older.insert(older, number));
            new.session.iter().for_each(|sid| self.sessions.insert(sid, &new.peer, number));
            new.bytestream.iter().for_each(|sid| self.bytestreams.insert(sid, &new.peer, number));
            if let Some(account) = &new.usable_with {
                *self.usable.entry(account.clone()).or_default() += 1;
            }
            new.holder.iter().for_each(|holder| self.places.take(holder));
            for dst_addr in new.expected.iter().flatten() {
                self.expected.insert(*dst_addr, number);
            }
            if let Some(id) = new.activation {
                self.activations.insert(id, number);
            }
        }
        self.places.set_farewell(number, names.as_ref().is_some_and(|names| names.farewell));
        keys.names = names;
    }

    fn set_deadline(&mut self, number: u64, keys: &mut Keys, deadline: Option<Deadline>) {
        if keys.deadline == deadline {
            return;
        }
        if let Some(old) = keys.deadline {
            self.deadlines.remove(&(old.at, number));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new.at, number), new.timer);
        }
        keys.deadline = deadline;
    }
}

impl Names {
    fn of(tunnel: &TunnelCore) -> Self {
        let sid = |sid: &str| (!sid.is_empty()).then(|| Arc::from(sid));
        Self {
            peer: Arc::clone(tunnel.address()),
            older: tunnel.older_address().map(Arc::clone),
            session: sid(tunnel.session_sid()),
            bytestream: sid(tunnel.bytestream_sid()),
            usable_with: tunnel.is_usable().then(|| tunnel.peer().to_bare()),
            holder: tunnel.place().map(|place| Holder::new(tunnel.address(), tunnel.peer(), place)),
            farewell: tunnel.is_farewell(),
            expected: tunnel.expected(),
            activation: tunnel.open_activation(),
        }
    }

    fn are_of(&self, tunnel: &TunnelCore) -> bool {
        // The account and the older form follow from the address.
        self.peer == *tunnel.address()
            && self.session.as_deref().unwrap_or_default() == tunnel.session_sid()
            && self.bytestream.as_deref().unwrap_or_default() == tunnel.bytestream_sid()
            && self.usable_with.is_some() == tunnel.is_usable()
            && self.holder.as_ref().map(Holder::place) == tunnel.place()
            && self.farewell == tunnel.is_farewell()
            && self.activation == tunnel.open_activation()
            && self.expected == tunnel.expected()
    }
}

impl Sets {
    fn get(&self, key: &str) -> impl Iterator<Item = u64> {
        self.0.get(key).into_iter().flatten().copied()
    }

    fn after(&self, key: &str, after: Option<u64>) -> Option<u64> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.get(key)?.range((from, Bound::Unbounded)).next().copied()
    }

    fn insert(&mut self, key: &Arc<str>, number: u64) {
        self.0.entry(Arc::clone(key)).or_default().insert(number);
    }

    fn remove(&mut self, key: &str, number: u64) {
        remove_from(&mut self.0, key, |set| {
            set.remove(&number);
            set.is_empty()
        });
    }
}

impl Sids {
    fn get(&self, sid: &str, peer: &str) -> impl Iterator<Item = u64> {
        let (one, many) = match self.0.get(sid) {
            Some(Holders::One(holder, number)) => (Some(*number).filter(|_| **holder == *peer), None),
            Some(Holders::Many(sets)) => (None, Some(sets.get(peer))),
            None => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn is_held(&self, sid: &str) -> bool {
        self.0.contains_key(sid)
    }

    fn insert(&mut self, sid: &Arc<str>, peer: &Arc<str>, number: u64) {
        match self.0.entry(Arc::clone(sid)) {
            Entry::Vacant(free) => {
                free.insert(Holders::One(Arc::clone(peer), number));
            }
            Entry::Occupied(held) => held.into_mut().insert(peer, number),
        }
    }

    fn remove(&mut self, sid: &str, peer: &str, number: u64) {
        remove_from(&mut self.0, sid, |holders| match holders {
            Holders::One(holder, held) => **holder == *peer && *held == number,
            Holders::Many(sets) => {
                sets.remove(peer, number);
                sets.0.is_empty()
            }
        });
    }
}

impl Holders {
    fn insert(&mut self, peer: &Arc<str>, number: u64) {
        if let Self::One(holder, held) = self {
            let mut sets = Sets::default();
            sets.insert(holder, *held);
            *self = Self::Many(sets);
        }
        if let Self::Many(sets) = self {
            sets.insert(peer, number);
        }
    }
}

/// Takes something out of what is under a key, and the key with it if nothing is left.
fn remove_from<K: Ord + Borrow<str>, V>(map: &mut BTreeMap<K, V>, key: &str, take: impl FnOnce(&mut V) -> bool) {
    if map.get_mut(key).is_some_and(take) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_found_with_its_peer_and_alone_and_leaves_nothing_behind() {
        let [sid, romeo, juliet] = ["s", "romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"].map(Arc::from);
        let mut sids = Sids::default();
        sids.insert(&sid, &romeo, 7);
        sids.insert(&sid, &romeo, 3);
        sids.insert(&sid, &juliet, 5);
        assert!(sids.get("s", &romeo).eq([3, 7]) && sids.get("s", &juliet).eq([5]));
        assert!(sids.get("t", &romeo).eq([]) && sids.get("s", "romeo@montague.lit").eq([]));
        for (peer, number) in [(&romeo, 7), (&juliet, 5), (&romeo, 3)] {
            assert!(sids.is_held("s"));
            sids.remove("s", peer, number);
        }
        assert!(!sids.is_held("s") && sids.0.is_empty());
        sids.remove("s", &romeo, 3);
    }

    #[test]
    fn a_sid_that_one_alone_holds_is_found_by_that_one_alone() {
        let [sid, romeo] = ["s", "romeo@montague.lit/orchard"].map(Arc::from);
        let mut sids = Sids::default();
        sids.insert(&sid, &romeo, 7);
        assert!(matches!(sids.0.get("s"), Some(Holders::One(..))));
        assert!(sids.get("s", &romeo).eq([7]) && sids.get("s", "juliet@capulet.lit/balcony").eq([]));
        sids.remove("s", "juliet@capulet.lit/balcony", 7);
        sids.remove("s", &romeo, 3);
        assert!(sids.get("s", &romeo).eq([7]));
        sids.remove("s", &romeo, 7);
        assert!(!sids.is_held("s"));
    }
}
