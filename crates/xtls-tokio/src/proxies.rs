//! Which SOCKS5 proxies a server has (XEP-0065 § 4).

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
};

use tokio::time::{Duration, Instant, timeout_at};
use xtls::{Element, transports::StreamHost, xml::Iq};
use xtls_s5b::proxy::Discovery;
use xtls_stanza::Ids;

use crate::shared::{Core, State};

/// How long a search for proxies takes at most: some of what a server has may never answer.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// The searches that run.
pub(crate) struct Searches {
    ids: Ids,
    open: BTreeMap<u64, Discovery>,
    next: u64,
}

impl Default for Searches {
    fn default() -> Self {
        let key = RandomState::new();
        let mut seed = [0; 32];
        for (part, bytes) in seed.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *bytes = key.hash_one(part).to_ne_bytes();
        }
        Self { ids: Ids::new(seed), open: BTreeMap::new(), next: 0 }
    }
}

impl Searches {
    pub(crate) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes the answer to a question of a search; whether it was that.
    pub(crate) fn take(&mut self, stanza: &Element) -> bool {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return false };
        self.open.values_mut().any(|search| search.handle_iq(&iq))
    }

    /// The next question to send.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut question = String::new();
        let Self { ids, open, .. } = self;
        open.values_mut().any(|search| search.poll(ids, None, &mut question)).then_some(question)
    }
}

/// A search that ends when it is dropped.
struct Search<'a> {
    core: &'a Core,
    number: u64,
}

impl<'a> Search<'a> {
    fn begin(core: &'a Core, discovery: Discovery) -> Self {
        let mut state = core.lock();
        state.seekers += 1;
        let number = state.searches.next;
        state.searches.next += 1;
        state.searches.open.insert(number, discovery);
        state.wake_driver();
        drop(state);
        Self { core, number }
    }

    fn of<'s>(&self, state: &'s State) -> Option<&'s Discovery> {
        state.searches.open.get(&self.number)
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.seekers -= 1;
        state.searches.open.remove(&self.number);
    }
}

/// The proxies of a server, or where the proxy of this address is.
pub(crate) async fn proxies(core: &Core, of: Discovery) -> Vec<StreamHost> {
    let search = Search::begin(core, of);
    let until = Instant::now() + SEARCH_TIME;
    let is_done = |state: &mut State| {
        let is_done = state.end.is_some() || search.of(state).is_none_or(Discovery::is_done);
        is_done.then_some(())
    };
    let _ = timeout_at(until, core.wait_for(is_done)).await;
    let state = core.lock();
    search.of(&state).map(|found| found.proxies().to_vec()).unwrap_or_default()
}
