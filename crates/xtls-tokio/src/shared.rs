//! What the driver, the handles and the tunnels share: the engine, and who waits for what.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Instant,
};

use tokio::sync::Notify;
use xtls::{
    Closed, Element, Engine, Event, GiveReceipt, Security, TunnelId,
    event::{Held, Side},
    jid::{FullJid, Jid},
    jingle::{Reason, ReasonCondition},
    trust::TrustQuestion,
    xml::Caps,
};

use crate::{End, find::Questions, proxies::Searches};

/// How many notices wait until they are taken.
pub(crate) const MAX_NOTICES: usize = 256;

/// The one place of all state. Nothing waits while it is locked.
pub(crate) struct Core {
    state: Mutex<State>,
    /// Something has come that handles wait for.
    pub(crate) news: Arc<Notify>,
    /// Who could still use the driver: all but the driver itself.
    users: AtomicUsize,
}

/// One of those who could use the driver.
pub(crate) struct Shared(Arc<Core>);

pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) entries: BTreeMap<TunnelId, Entry>,
    /// Offers that nobody has taken; the engine bounds them.
    pub(crate) incoming: VecDeque<xtls::Incoming>,
    /// Questions that nobody has taken; at most one for each tunnel.
    pub(crate) questions: VecDeque<Asked>,
    pub(crate) notices: VecDeque<Event>,
    /// Connections that the engine wants made or closed.
    pub(crate) connections: VecDeque<Event>,
    /// Notices that nobody took in time.
    pub(crate) missed: u64,
    /// Why there is no driver any more.
    pub(crate) end: Option<End>,
    /// The driver was asked to end.
    pub(crate) closing: bool,
    /// It was asked not to wait for tunnels.
    pub(crate) stopping: bool,
    /// Who is shown each event first.
    pub(crate) observer: Option<Observer>,
    /// Whether the outer stream takes stanzas for this address there.
    pub(crate) carries: fn(&Jid) -> bool,
    /// Those who look for a resource, and what they ask.
    pub(crate) seekers: usize,
    pub(crate) questions_asked: Questions,
    /// Those who look for proxies.
    pub(crate) searches: Searches,
    /// What directed presence says of us, if we can show ourselves.
    pub(crate) caps: Option<Caps>,
    /// We show ourselves to peers that ask for it.
    pub(crate) shows: bool,
    /// Tunnels whose writer waits for stanzas to go or to be acknowledged.
    watched: BTreeSet<TunnelId>,
    driver: Option<Waker>,
    pub(crate) news: Arc<Notify>,
}

pub(crate) type Observer = Box<dyn FnMut(&mut Engine, &Event) + Send>;

/// A tunnel.
pub(crate) struct Entry {
    pub(crate) peer: FullJid,
    pub(crate) is_xml: bool,
    /// A [`Tunnel`](crate::Tunnel) or one of its streams exists.
    pub(crate) owned: bool,
    pub(crate) security: Option<Arc<Security>>,
    /// It can be used.
    pub(crate) opened: bool,
    /// Of raw bytes: nothing more comes. Of an XML stream: it is closed in both directions.
    pub(crate) finished: bool,
    /// Of raw bytes: the peer has confirmed that it has everything.
    pub(crate) receipt: bool,
    /// Stanzas that have come. What they hold is bounded by the engine.
    pub(crate) stanzas: VecDeque<(Element, Option<Held>)>,
    pub(crate) closed: Option<Arc<Closed>>,
    /// The application has said all that it had to say: dropping it ends the tunnel in order.
    pub(crate) in_order: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    watch: Watch,
    /// It opened or closed.
    pub(crate) changed: Arc<Notify>,
}

/// What the writer of a tunnel waits for, besides room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Nothing,
    /// Everything written was handed to the outer stream.
    Sent,
    /// The end of our direction is acknowledged.
    Finished,
}

/// A question of the engine.
pub(crate) struct Asked {
    pub(crate) id: TunnelId,
    pub(crate) peer: FullJid,
    pub(crate) about: About,
}

pub(crate) enum About {
    Password(Side),
    Certificate(Box<TrustQuestion>),
}

/// The time. tokio's clock, so that tests can let it stand still.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Core {
    pub(crate) fn new(engine: Engine, carries: fn(&Jid) -> bool) -> Arc<Self> {
        let news = Arc::new(Notify::new());
        let state = State {
            engine,
            entries: BTreeMap::new(),
            incoming: VecDeque::new(),
            questions: VecDeque::new(),
            notices: VecDeque::new(),
            connections: VecDeque::new(),
            missed: 0,
            end: None,
            closing: false,
            stopping: false,
            observer: None,
            carries,
            seekers: 0,
            questions_asked: Questions::default(),
            searches: Searches::default(),
            caps: None,
            shows: false,
            watched: BTreeSet::new(),
            driver: None,
            news: Arc::clone(&news),
        };
        Arc::new(Self { state: Mutex::new(state), news, users: AtomicUsize::new(0) })
    }

    /// A panic while it was locked is not passed on.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_users(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }

    /// Waits until there is what is looked for.
    pub(crate) async fn wait_for<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let notified = self.news.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let found = look(&mut self.lock());
            match found {
                Some(found) => return found,
                None => notified.await,
            }
        }
    }
}

impl Shared {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        core.users.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(core))
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Nothing is left that could ask for anything: the driver ends.
            self.0.lock().wake_driver();
        }
    }
}

impl core::ops::Deref for Shared {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl State {
    /// The driver's waker, from now on.
    pub(crate) fn driven_by(&mut self, waker: &Waker) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(waker),
            None => self.driver = Some(waker.clone()),
        }
    }

    pub(crate) fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    /// What follows a command to the engine: the driver sends what there is to send. Where there is none any more, what the
    /// engine tells is passed on at once.
    pub(crate) fn settle(&mut self) {
        if self.end.is_some() {
            self.dispatch();
        } else {
            self.wake_driver();
        }
    }

    /// A new tunnel is handed out.
    pub(crate) fn own(&mut self, id: TunnelId, peer: FullJid, is_xml: bool) {
        let entry = Entry {
            peer,
            is_xml,
            owned: true,
            security: None,
            opened: false,
            finished: false,
            receipt: false,
            stanzas: VecDeque::new(),
            closed: None,
            in_order: false,
            reader: None,
            writer: None,
            watch: Watch::Nothing,
            changed: Arc::new(Notify::new()),
        };
        self.entries.insert(id, entry);
        self.settle();
    }

    /// What was handed out of a tunnel was dropped. The tunnel ends: in order, or broken off.
    pub(crate) fn disown(&mut self, id: TunnelId) {
        let now = now();
        self.dispatch();
        let in_order = self.entries.get(&id).is_some_and(|entry| entry.in_order);
        if let Some(mut tunnel) = self.engine.tunnel(id) {
            tunnel.set_give_receipt(now, GiveReceipt::Never);
            tunnel.read(now, &mut Vec::new());
            if in_order {
                tunnel.close(now);
            } else {
                tunnel.abort(now, Reason::new(ReasonCondition::Cancel));
            }
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.owned = false;
        for held in core::mem::take(&mut entry.stanzas).into_iter().filter_map(|(_, held)| held) {
            self.engine.release(held);
        }
        if entry.closed.is_some() || self.end.is_some() {
            self.forget(id);
        }
        self.settle();
    }

    /// Ends everything in order.
    pub(crate) fn close_all(&mut self) {
        self.closing = true;
        let now = now();
        let decline = || Reason::new(ReasonCondition::Decline);
        for incoming in core::mem::take(&mut self.incoming) {
            let _ = self.engine.reject(now, incoming, decline());
        }
        for id in self.entries.keys() {
            if let Some(mut tunnel) = self.engine.tunnel(*id) {
                tunnel.close(now);
            }
        }
        self.news.notify_waiters();
        self.settle();
    }

    /// Ends everything but the tunnels.
    pub(crate) fn stop(&mut self) {
        self.closing = true;
        self.stopping = true;
        self.news.notify_waiters();
        self.settle();
    }

    /// Whether no tunnel is left that is waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.stopping
            || self.entries.values().all(|entry| entry.closed.is_some()) && self.engine.tunnels().next().is_none()
    }

    /// There is no driver any more.
    pub(crate) fn end(&mut self, end: End) {
        self.engine.handle_disconnect(now());
        self.end = Some(end);
        self.driver = None;
        self.incoming.clear();
        self.dispatch();
        self.watched.clear();
        for entry in self.entries.values_mut() {
            entry.wake();
        }
        self.entries.retain(|_, entry| entry.owned);
        self.news.notify_waiters();
    }

    /// The writer of a tunnel waits for this.
    pub(crate) fn watch(&mut self, id: TunnelId, watch: Watch, waker: &Waker) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.watch = watch;
            entry.writer = Some(waker.clone());
            self.watched.insert(id);
        }
    }

    /// Wakes the writers who have got what they waited for.
    pub(crate) fn wake_watched(&mut self) {
        let Self { engine, entries, watched, .. } = self;
        watched.retain(|id| {
            let Some(entry) = entries.get_mut(id) else { return false };
            let waits = match (engine.tunnel(*id), entry.watch) {
                (None, _) | (_, Watch::Nothing) => false,
                (Some(tunnel), Watch::Sent) => tunnel.unsent() > 0,
                (Some(tunnel), Watch::Finished) => !tunnel.is_finish_acked(),
            };
            if !waits {
                entry.watch = Watch::Nothing;
                entry.wake_writer();
            }
            waits
        });
    }

    pub(crate) fn forget(&mut self, id: TunnelId) {
        self.entries.remove(&id);
        self.watched.remove(&id);
    }
}

impl Entry {
    pub(crate) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(crate) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(crate) fn wake(&mut self) {
        self.wake_reader();
        self.wake_writer();
        self.changed.notify_waiters();
    }
}
