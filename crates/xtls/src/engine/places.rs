//! Places: how many tunnels and offers there may be, and how many of them strangers may take.
//!
//! An offer costs whoever makes it nothing, and waits for as long as the user may take to answer. So strangers get a part of the
//! places only, each account and each server a part of that, and what has ended holds none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use xtls_stanza::jid::{BareJid, FullJid};

use crate::{config::Config, tunnel::Place};

/// Who holds a place, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) address: Arc<str>,
    account: BareJid,
    place: Place,
}

/// The places that are taken, and the tunnels that hold none any more.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: usize,
    peers: BTreeMap<Arc<str>, usize>,
    /// Those of accounts that are known.
    friends: BTreeMap<BareJid, usize>,
    strangers: usize,
    accounts: BTreeMap<BareJid, usize>,
    domains: BTreeMap<Box<str>, usize>,
    /// Tunnels that have ended and whose farewell is on its way, the oldest first.
    farewells: BTreeSet<u64>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// There is none at all, or none for a stranger.
    All,
    /// There is none for another one of this peer.
    Peer,
}

impl Places {
    /// Two of one account: one that is about to be replaced, and the next.
    pub(super) const STRANGERS_OF_AN_ACCOUNT: usize = 2;

    /// Whether there is a place for one more with this peer, once so many others of the peer have gone.
    pub(super) fn find(&self, peer: &FullJid, place: Place, leaves: usize, config: &Config) -> Result<(), Full> {
        if self.taken.saturating_sub(leaves) >= config.tunnels {
            return Err(Full::All);
        }
        if self.with_peer(peer.canonical()).saturating_sub(leaves) >= config.tunnels_per_peer {
            return Err(Full::Peer);
        }
        if place == Place::Known {
            return Ok(());
        }
        let of_domain = self.domains.get(peer.domain()).copied().unwrap_or_default();
        let of_account = self.accounts.get(&peer.to_bare()).copied().unwrap_or_default();
        let is_full = self.strangers >= strangers_max(config)
            || of_domain >= strangers_of_a_domain_max(config)
            || of_account >= Self::STRANGERS_OF_AN_ACCOUNT;
        if is_full { Err(Full::All) } else { Ok(()) }
    }

    /// How many places are taken with the peer of this address.
    pub(super) fn with_peer(&self, address: &str) -> usize {
        self.peers.get(address).copied().unwrap_or_default()
    }

    /// Whether a tunnel with this account takes no stranger's place: it is authenticated, or was asked for here.
    pub(super) fn is_friend(&self, account: &BareJid) -> bool {
        self.friends.contains_key(account)
    }

    /// The oldest tunnel that has ended, if there are more of them than there are places.
    pub(super) fn oldest_farewell_over(&self, config: &Config) -> Option<u64> {
        self.farewells.first().copied().filter(|_| self.farewells.len() > config.tunnels)
    }

    pub(super) fn take(&mut self, holder: &Holder) {
        self.taken += 1;
        add(&mut self.peers, Arc::clone(&holder.address));
        match holder.place {
            Place::Known => add(&mut self.friends, holder.account.clone()),
            Place::Stranger => {
                self.strangers += 1;
                add(&mut self.accounts, holder.account.clone());
                add(&mut self.domains, holder.account.domain().into());
            }
        }
    }

    pub(super) fn leave(&mut self, holder: &Holder) {
        self.taken -= 1;
        remove(&mut self.peers, &*holder.address);
        match holder.place {
            Place::Known => remove(&mut self.friends, &holder.account),
            Place::Stranger => {
                self.strangers -= 1;
                remove(&mut self.accounts, &holder.account);
                remove(&mut self.domains, holder.account.domain());
            }
        }
    }

    pub(super) fn set_farewell(&mut self, number: u64, is_farewell: bool) {
        if is_farewell {
            self.farewells.insert(number);
        } else {
            self.farewells.remove(&number);
        }
    }
}

impl Holder {
    pub(super) fn new(address: &Arc<str>, peer: &FullJid, place: Place) -> Self {
        Self { address: Arc::clone(address), account: peer.to_bare(), place }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// Half of all places.
fn strangers_max(config: &Config) -> usize {
    config.tunnels.div_ceil(2)
}

/// A quarter of that.
fn strangers_of_a_domain_max(config: &Config) -> usize {
    config.tunnels.div_ceil(8)
}

fn add<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn remove<K: Ord + core::borrow::Borrow<Q>, Q: Ord + ?Sized>(counts: &mut BTreeMap<K, usize>, key: &Q) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
