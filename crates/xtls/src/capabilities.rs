//! What presences say of what peers can do (XEP-0115).
//!
//! It saves a question and decides nothing else: any server can write it. Only support is remembered. That a peer has no
//! XTLS is always its own answer, so a lie in somebody's presence hides nothing from others.

use std::collections::BTreeMap;

use xtls_stanza::{
    Caps, DiscoInfo, HashAlgo,
    jid::{BareJid, FullJid},
    ns,
};

use crate::application::{BYTES_NS, INSIDE_NS};

/// What peers announced, and which of it stands for XTLS. Both tables forget what was not used for longest.
#[derive(Debug)]
pub(crate) struct Capabilities {
    /// Those that are there; `None` of those that say nothing that can be checked.
    announced: Recent<FullJid, Option<Caps>>,
    /// Verification strings that were held against the features they stand for, and that have XTLS among them.
    verified: Recent<(HashAlgo, String), Supports>,
}

/// What a peer with XTLS can do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Supports {
    /// Raw bytes under the description that is offered first.
    pub(crate) bytes: bool,
    /// SOCKS5 bytestreams as a transport.
    pub(crate) socks5: bool,
    /// Sessions that are negotiated inside of an XML stream tunnel.
    pub(crate) inside: bool,
}

impl Supports {
    /// What features say. draft-meyer-xmpp-e2e-encryption-02 § 7 spells that of XTLS `xtls:1`, its examples `xtls:0`: either one
    /// is support; `None` without.
    pub(crate) fn of(info: &DiscoInfo) -> Option<Self> {
        let has_xtls = [ns::XTLS_0, ns::XTLS_1].iter().any(|feature| info.supports(feature));
        has_xtls.then(|| Self {
            bytes: info.supports(BYTES_NS),
            inside: info.supports(INSIDE_NS),
            socks5: info.supports(ns::JINGLE_S5B),
        })
    }
}

impl Capabilities {
    /// Peers whose announcement is remembered.
    const PEERS: usize = 1024;
    /// Verification strings that are remembered.
    const VERIFIED: usize = 256;

    /// The peer is there, and announced this in its presence. Nothing leaves what it announced before; what cannot be checked
    /// takes the place of that, and is as good as nothing (XEP-0115 § 5.4, 2).
    pub(crate) fn announce(&mut self, peer: FullJid, caps: Option<Caps>) {
        match caps {
            Some(caps) => self.announced.insert(peer, caps.algo().is_some().then_some(caps)),
            None if self.announced.peek(&peer).is_some() => {}
            None => self.announced.insert(peer, None),
        }
    }

    /// The resources of an account that are there: first those that have XTLS for certain, then those that announced what they
    /// can do.
    pub(crate) fn resources(&self, account: &BareJid) -> Vec<FullJid> {
        let is_of =
            |jid: &FullJid| jid.canonical().strip_prefix(account.canonical()).is_some_and(|rest| rest.starts_with('/'));
        let rank = |caps: &Option<Caps>| match caps.as_ref().map(key) {
            Some(Some(key)) if self.verified.peek(&key).is_some() => 0,
            Some(_) => 1,
            None => 2,
        };
        let of_account = self.announced.iter().filter(|(jid, _)| is_of(jid));
        let mut resources: Vec<_> = of_account.map(|(jid, caps)| (rank(caps), jid.clone())).collect();
        resources.sort();
        resources.into_iter().map(|(_, jid)| jid).collect()
    }

    /// The peer is gone.
    pub(crate) fn forget(&mut self, peer: &FullJid) {
        self.announced.remove(peer);
    }

    /// Everybody's presence is gone. What was verified stays true (XEP-0115 § 8.2).
    pub(crate) fn forget_all(&mut self) {
        self.announced = Recent::new(Self::PEERS);
    }

    /// What the peer announced.
    pub(crate) fn announced(&mut self, peer: &FullJid) -> Option<Caps> {
        self.announced.take_up(peer).cloned().flatten()
    }

    /// What this stands for, if it is known that it stands for XTLS.
    pub(crate) fn supports(&mut self, caps: &Caps) -> Option<Supports> {
        key(caps).and_then(|key| self.verified.take_up(&key).copied())
    }

    /// A peer that announced `caps` answered with `info`. It is remembered for everybody if it is what was announced, and
    /// for nobody if not (XEP-0115 § 5.4, 3.9).
    pub(crate) fn learn(&mut self, caps: &Caps, info: &DiscoInfo) {
        if let (Some(key), Some(supports)) = (key(caps), Supports::of(info))
            && caps.verify(info).is_ok()
        {
            self.verified.insert(key, supports);
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { announced: Recent::new(Self::PEERS), verified: Recent::new(Self::VERIFIED) }
    }
}

fn key(caps: &Caps) -> Option<(HashAlgo, String)> {
    Some((caps.algo()?, caps.ver().to_owned()))
}

/// A table that drops what was not taken up for longest when it is full.
#[derive(Debug)]
struct Recent<K, V> {
    most: usize,
    entries: BTreeMap<K, (u64, V)>,
    /// The keys in the order in which they were last used.
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self { most, entries: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }

    fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        if self.entries.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.next += 1;
        self.order.insert(self.next, key.clone());
        self.entries.insert(key, (self.next, value));
    }

    fn remove(&mut self, key: &K) {
        if let Some((used, _)) = self.entries.remove(key) {
            self.order.remove(&used);
        }
    }

    /// The value of a key, without using it.
    fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }

    /// The value of a key, which counts as used now.
    fn take_up(&mut self, key: &K) -> Option<&V> {
        let (used, value) = self.entries.get_mut(key)?;
        self.order.remove(used);
        self.next += 1;
        *used = self.next;
        self.order.insert(self.next, key.clone());
        Some(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use xtls_stanza::DiscoIdentity;

    use super::*;

    impl Capabilities {
        fn has_xtls(&mut self, caps: &Caps) -> bool {
            self.supports(caps).is_some()
        }
    }

    fn peer(number: usize) -> FullJid {
        format!("romeo@montague.lit/{number}").parse().unwrap()
    }

    fn info(name: usize) -> DiscoInfo {
        DiscoInfo::new(DiscoIdentity::new("client", "pc").with_name(&name.to_string())).with_feature(ns::XTLS_0)
    }

    fn caps(name: usize) -> Caps {
        Caps::of(&info(name), "urn:x", HashAlgo::Sha1).unwrap()
    }

    #[test]
    fn at_most_1024_peers_are_remembered_and_the_one_not_asked_for_longest_goes() {
        let mut table = Capabilities::default();
        (0..1024).for_each(|number| table.announce(peer(number), Some(caps(0))));
        assert!(table.announced(&peer(0)).is_some());
        table.announce(peer(1024), Some(caps(0)));
        assert!(table.announced(&peer(1)).is_none());
        assert!(table.announced(&peer(0)).is_some());
        assert!(table.announced(&peer(2)).is_some());
        assert_eq!((table.announced.entries.len(), table.announced.order.len()), (1024, 1024));
    }

    #[test]
    fn at_most_256_verification_strings_are_remembered() {
        let mut table = Capabilities::default();
        (0..257).for_each(|name| table.learn(&caps(name), &info(name)));
        assert!(!table.has_xtls(&caps(0)));
        assert!((1..257).all(|name| table.has_xtls(&caps(name))));
        assert_eq!(table.verified.order.len(), 256);
    }

    #[test]
    fn the_same_announcement_again_takes_no_more_room() {
        let mut table = Capabilities::default();
        (0..5000).for_each(|name| table.announce(peer(0), Some(caps(name % 3))));
        assert_eq!((table.announced.entries.len(), table.announced.order.len()), (1, 1));
        table.forget(&peer(0));
        assert_eq!((table.announced.entries.len(), table.announced.order.len()), (0, 0));
    }

    #[test]
    fn the_resources_of_an_account_come_with_those_first_that_have_xtls() {
        let mut table = Capabilities::default();
        let jid = |text: &str| text.parse::<FullJid>().unwrap();
        let account = "romeo@montague.lit".parse().unwrap();
        table.announce(jid("romeo@montague.lit/a"), None);
        table.announce(jid("romeo@montague.lit/b"), Some(caps(1)));
        table.announce(jid("romeo@montague.lit/c"), Some(caps(2)));
        table.announce(jid("romeo@montague.lit.example/d"), Some(caps(2)));
        table.announce(jid("montague.lit/e"), Some(caps(2)));
        table.learn(&caps(2), &info(2));
        let resources = |table: &Capabilities| {
            table.resources(&account).iter().map(|jid| jid.resource().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(resources(&table), ["c", "b", "a"]);
        // A presence that says nothing leaves what was said; one that is none takes its sender away.
        table.announce(jid("romeo@montague.lit/c"), None);
        table.forget(&jid("romeo@montague.lit/b"));
        assert_eq!(resources(&table), ["c", "a"]);
    }

    #[test]
    fn only_what_verifies_and_has_xtls_is_learned() {
        let mut table = Capabilities::default();
        table.learn(&caps(0), &info(1));
        let without = DiscoInfo::new(DiscoIdentity::new("client", "pc"));
        let announced = Caps::of(&without, "urn:x", HashAlgo::Sha1).unwrap();
        table.learn(&announced, &without);
        assert!(!table.has_xtls(&caps(0)) && !table.has_xtls(&announced));
        table.learn(&caps(0), &info(0));
        assert!(table.has_xtls(&caps(0)));
        // Another hash function is another string.
        assert!(!table.has_xtls(&Caps::of(&info(0), "urn:x", HashAlgo::Sha256).unwrap()));
    }
}
