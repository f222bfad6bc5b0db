//! The tunnels of an engine, and the one way to each.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use std::collections::{BTreeMap, VecDeque};

use super::{
    index::{Index, Keys},
    watch::Watch,
};
use crate::tunnel::TunnelCore;
use xtls_channel::Instant;

/// The tunnels of an engine.
///
/// What is asked of all of them at once is answered by the [`Index`], so the cost of a stanza, a timeout or a poll does not
/// grow with tunnels that have no part in it. Every look at a tunnel is counted, so that a test can tell.
#[derive(Default)]
pub(super) struct Tunnels {
    /// Boxed, as a node of the map has room for eleven and is half empty.
    slots: BTreeMap<u64, Box<Slot>>,
    index: Index,
    /// Those that may have something to send, each at most once.
    ready: VecDeque<u64>,
    /// Those that have a block to send and wait for their turn, each at most once.
    waiting: VecDeque<u64>,
    /// Atomic only so that an engine stays [`Sync`].
    looked_at: AtomicU64,
}

struct Slot {
    tunnel: TunnelCore,
    keys: Keys,
    watch: Watch,
    /// It is among those that may have something to send.
    ready: bool,
    /// It is among those that wait for their turn.
    waiting: bool,
}

impl Tunnels {
    /// How many times a tunnel was looked at.
    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, number: u64) -> Option<&TunnelCore> {
        self.count_look();
        self.slots.get(&number).map(|slot| &slot.tunnel)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All of them, in the order of their creation.
    pub(super) fn iter(&self) -> impl Iterator<Item = &TunnelCore> {
        self.slots.values().inspect(|_| self.count_look()).map(|slot| &slot.tunnel)
    }

    /// The numbers of all, for what concerns them all.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.iter().map(|tunnel| tunnel.id.number).collect()
    }

    /// Lets something happen to a tunnel. Nothing ever happens to one in another way: this is where it is seen to that it is
    /// still found afterwards.
    pub(super) fn act<R>(&mut self, number: u64, action: impl FnOnce(&mut TunnelCore) -> R) -> Option<R> {
        self.count_look();
        let slot = self.slots.get_mut(&number)?;
        let result = slot.watch.around(|| action(&mut slot.tunnel));
        slot.watch.look(&slot.tunnel);
        self.index.update(number, &mut slot.keys, &slot.tunnel);
        Some(result)
    }

    pub(super) fn insert(&mut self, tunnel: TunnelCore) {
        let number = tunnel.id.number;
        let watch = Watch::new(&tunnel);
        let slot = Slot { tunnel, keys: Keys::default(), watch, ready: false, waiting: false };
        self.slots.insert(number, Box::new(slot));
        self.act(number, |_| ());
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<TunnelCore> {
        let mut slot = self.slots.remove(&number)?;
        self.index.remove(number, &mut slot.keys);
        Some(slot.tunnel)
    }

    /// The tunnel may have something to send.
    pub(super) fn wake(&mut self, number: u64) {
        if let Some(slot) = self.slots.get_mut(&number).filter(|slot| !slot.ready) {
            slot.ready = true;
            self.ready.push_back(number);
        }
    }

    /// Takes the next one that may have something to send: the one that has waited longest.
    pub(super) fn pop_ready(&mut self) -> Option<u64> {
        let number = self.ready.pop_front()?;
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.ready = false;
        }
        Some(number)
    }

    /// The tunnel waits for its turn, as the last one, or as the first one again.
    pub(super) fn wait(&mut self, number: u64, is_first: bool) {
        if let Some(slot) = self.slots.get_mut(&number).filter(|slot| !slot.waiting) {
            slot.waiting = true;
            if is_first {
                self.waiting.push_front(number);
            } else {
                self.waiting.push_back(number);
            }
        }
    }

    /// Takes the one whose turn it is.
    pub(super) fn pop_waiting(&mut self) -> Option<u64> {
        let number = self.waiting.pop_front()?;
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.waiting = false;
        }
        Some(number)
    }

    /// Those that wait for their turn, in order.
    pub(super) fn waiting(&self) -> impl ExactSizeIterator<Item = u64> {
        self.waiting.iter().copied()
    }

    /// What tells where a tunnel is without a look at any.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// The tunnels with the peer of this address, in the order of their creation.
    pub(super) fn with_peer(&self, address: &str) -> Vec<u64> {
        self.index.with_peer(address).collect()
    }

    /// The tunnels whose deadlines have run out, in the order of their creation.
    pub(super) fn due(&self, now: Instant) -> Vec<u64> {
        let mut due: Vec<u64> = self.index.due(now).collect();
        due.sort_unstable();
        due
    }

    /// The outer stream goes away or comes back; all tunnels are to be acted on then.
    pub(super) fn set_suspended(&mut self, suspended: bool) {
        self.index.set_suspended(suspended);
    }

    fn count_look(&self) {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.slots.iter().map(|(number, slot)| (number, &slot.tunnel))).finish()
    }
}
