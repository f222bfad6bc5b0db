//! Clients that talk through a relay, under a clock of their own.

use core::{fmt, time::Duration};
use std::time::Instant;

use crate::{
    Client, Connection, provider,
    relay::{Misdeed, Relay},
};

/// Clients that talk through a [`Relay`], under a clock that only moves when nothing is left to do.
///
/// Everything that happens follows from the seeds, if the clients are deterministic: what they draw from the
/// [deterministic provider](crate::provider) follows from the seed that each was added with.
///
/// ```
/// use std::{collections::VecDeque, time::{Duration, Instant}};
/// use xtls_testkit::{Client, Connection, Network};
///
/// /// Says good day to each who speaks to it.
/// #[derive(Default)]
/// struct Polite {
///     heard: Vec<String>,
///     says: VecDeque<String>,
/// }
///
/// impl Client for Polite {
///     fn handle_stanza(&mut self, _: Instant, stanza: &str) {
///         if !stanza.contains("good day") {
///             self.says.push_back("<message to='romeo@montague.lit/orchard'><body>good day</body></message>".into());
///         }
///         self.heard.push(stanza.into());
///     }
///     fn handle_timeout(&mut self, _: Instant) {}
///     fn handle_connection(&mut self, _: Instant, _: Connection) {}
///     fn poll_transmit(&mut self, _: Instant, out: &mut String) -> bool {
///         self.says.pop_front().map(|stanza| out.push_str(&stanza)).is_some()
///     }
///     fn poll_timeout(&self) -> Option<Instant> {
///         None
///     }
/// }
///
/// let mut network = Network::new(Duration::from_millis(50));
/// let romeo = network.join("romeo@montague.lit/orchard", 1, Polite::default());
/// let juliet = network.join("juliet@capulet.lit/balcony", 2, Polite::default());
/// network.client_mut(romeo).says.push_back("<message to='juliet@capulet.lit/balcony'/>".into());
/// network.run();
/// assert_eq!(network.client(juliet).heard.len(), 1);
/// assert!(network.client(romeo).heard[0].contains("from='juliet@capulet.lit/balcony'"));
/// assert_eq!(network.elapsed(), Duration::from_millis(100));
/// ```
pub struct Network<C> {
    /// The server between the clients.
    pub relay: Relay,
    now: Instant,
    start: Instant,
    seats: Vec<Seat<C>>,
    observer: Option<Observer>,
    /// How many misdeeds the observer was told of.
    told: usize,
}

/// A client of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityId(pub(crate) usize);

/// Something that an observer of a network sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A client has sent this stanza.
    Sent(&'a str),
    /// A client gets this stanza.
    Received(&'a str),
    /// A client's stream came or went.
    Stream(Connection),
    /// The server did this to what the client sent last, or to what others sent just before.
    Misdeed(&'a Misdeed),
}

type Observer = Box<dyn FnMut(Duration, EntityId, &Happening<'_>)>;

#[derive(Debug)]
struct Seat<C> {
    /// The name of its connection, which is its full JID but for an impostor.
    key: String,
    client: C,
    random: provider::Entity,
    state: Connection,
}

/// Turns after which a run is taken for an endless loop.
const TURNS: usize = 1_000_000;

impl EntityId {
    /// Its place among the clients, in the order in which they came.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

impl<C: Client> Network<C> {
    /// An empty network whose relay takes this long in each direction.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point that nothing depends on")]
    pub fn new(latency: Duration) -> Self {
        let now = Instant::now();
        Self { relay: Relay::new(latency), now, start: now, seats: Vec::new(), observer: None, told: 0 }
    }

    /// Connects a client to the relay, by the name of its connection: its full JID, or any other for one that is to
    /// [impersonate](Relay::impersonate) somebody. What it draws from the deterministic provider follows from the seed.
    pub fn join(&mut self, connection: &str, seed: u64, client: C) -> EntityId {
        self.join_with(connection, provider::Entity::numbered(seed), client)
    }

    pub(crate) fn join_with(&mut self, connection: &str, random: provider::Entity, client: C) -> EntityId {
        self.relay.set_online(connection, true);
        self.seats.push(Seat { key: connection.to_owned(), client, random, state: Connection::Online });
        EntityId(self.seats.len() - 1)
    }

    /// Shows everything that happens from now on to an observer, with the time since the beginning.
    pub fn observe(&mut self, observer: impl FnMut(Duration, EntityId, &Happening<'_>) + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long the network has been going.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// How many clients there are, connected or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// A client.
    #[must_use]
    pub fn client(&self, id: EntityId) -> &C {
        &self.seats[id.0].client
    }

    /// A client, to be changed by a test. What it does by itself it does in [`Network::act`].
    pub fn client_mut(&mut self, id: EntityId) -> &mut C {
        &mut self.seats[id.0].client
    }

    /// All clients, in the order in which they came.
    pub fn ids(&self) -> impl Iterator<Item = EntityId> + use<C> {
        (0..self.seats.len()).map(EntityId)
    }

    /// What happened to a client's stream last.
    #[must_use]
    pub fn state(&self, id: EntityId) -> Connection {
        self.seats[id.0].state
    }

    /// The name of a client's connection.
    #[must_use]
    pub fn connection(&self, id: EntityId) -> &str {
        &self.seats[id.0].key
    }

    /// Lets a client do something, with its own random numbers; what follows happens in [`Network::run`].
    pub fn act<R>(&mut self, id: EntityId, action: impl FnOnce(&mut C, Instant) -> R) -> R {
        let Seat { client, random, .. } = &mut self.seats[id.0];
        random.enter(|| action(client, self.now))
    }

    /// Logs a client in, again or for the first time.
    pub fn log_in(&mut self, id: EntityId) {
        self.relay.set_online(&self.seats[id.0].key, true);
        self.change(id, Connection::Online);
    }

    /// Cuts a client off from the relay, and tells it. Those who saw its presence are told too.
    pub fn disconnect(&mut self, id: EntityId) {
        self.relay.leave(self.now, &self.seats[id.0].key);
        self.change(id, Connection::Offline);
    }

    /// A client's stream is away and is to be resumed (XEP-0198): the server holds what is for it, the client what it sends.
    /// The client notices; others do not.
    pub fn suspend(&mut self, id: EntityId) {
        self.hold(id);
        self.change(id, Connection::Suspended);
    }

    /// The stream of a suspended client is resumed: it is told, and its timers are looked at before the first stanza comes, as
    /// an embedder in a hurry would.
    pub fn resume(&mut self, id: EntityId) {
        self.act(id, |client, now| {
            client.handle_connection(now, Connection::Resumed);
            client.handle_timeout(now);
        });
        self.seats[id.0].state = Connection::Resumed;
        self.tell(id, &Happening::Stream(Connection::Resumed));
        self.collect();
        self.release(id);
    }

    /// A client's stream is away, and the client does not notice.
    pub fn hold(&mut self, id: EntityId) {
        self.collect();
        self.relay.hold(&self.seats[id.0].key);
    }

    /// The stream of such a client is back.
    pub fn release(&mut self, id: EntityId) {
        self.collect();
        self.relay.release(self.now, &self.seats[id.0].key);
    }

    /// The server stops and starts again: all that was on its way is lost, and every client that was online is offline.
    pub fn restart(&mut self) {
        let online: Vec<_> = self.ids().filter(|id| self.state(*id) != Connection::Offline).collect();
        self.relay.restart();
        for id in online {
            self.change(id, Connection::Offline);
        }
    }

    /// Lets things happen until nothing is on its way any more; timers that lie in the future stay there.
    ///
    /// # Panics
    ///
    /// When that takes more than a million turns: something goes round in circles.
    pub fn run(&mut self) {
        for _ in 0..TURNS {
            self.collect();
            let Some(next) = self.relay.poll_timeout() else { return };
            self.pass_to(next);
        }
        panic!("nothing comes to rest");
    }

    /// Lets things happen for this long, timers included.
    ///
    /// # Panics
    ///
    /// When a timer fires and does not move forward, or that takes more than a million turns.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TURNS {
            self.collect();
            match self.next().filter(|next| *next <= end) {
                Some(next) => self.pass_to(next),
                None => return self.pass_to(end),
            }
        }
        panic!("nothing comes to rest");
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let timers = self.seats.iter().filter_map(|seat| seat.client.poll_timeout());
        timers.chain(self.relay.poll_timeout()).min()
    }

    fn change(&mut self, id: EntityId, change: Connection) {
        self.act(id, |client, now| client.handle_connection(now, change));
        self.seats[id.0].state = change;
        self.tell(id, &Happening::Stream(change));
        self.collect();
    }

    /// Moves time on and delivers what is due.
    fn pass_to(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(delivery) = self.relay.poll_delivery(self.now) {
            if let Some(at) = self.seats.iter().position(|seat| seat.key == delivery.to) {
                self.tell(EntityId(at), &Happening::Received(&delivery.stanza));
                self.act(EntityId(at), |client, now| client.handle_stanza(now, &delivery.stanza));
                self.collect();
            }
        }
        for at in 0..self.seats.len() {
            let due = self.seats[at].client.poll_timeout().is_some_and(|due| due <= self.now);
            if due {
                self.act(EntityId(at), Client::handle_timeout);
                let next = self.seats[at].client.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "a timer does not move forward: {next:?}");
            }
        }
        self.collect();
    }

    /// Takes everything out of every client.
    pub(crate) fn collect(&mut self) {
        let mut stanza = String::new();
        for at in 0..self.seats.len() {
            while self.act(EntityId(at), |client, now| client.poll_transmit(now, &mut stanza)) {
                self.relay.handle_stanza(self.now, &self.seats[at].key, &stanza);
                self.tell(EntityId(at), &Happening::Sent(&stanza));
                if self.observer.is_some() {
                    let done: Vec<_> = self.relay.misdeeds()[self.told..].iter().map(|(_, it)| it.clone()).collect();
                    self.told += done.len();
                    done.iter().for_each(|misdeed| self.tell(EntityId(at), &Happening::Misdeed(misdeed)));
                }
                stanza.clear();
            }
        }
    }

    fn tell(&mut self, id: EntityId, happening: &Happening<'_>) {
        let elapsed = self.elapsed();
        if let Some(observer) = &mut self.observer {
            observer(elapsed, id, happening);
        }
    }
}

impl<C: fmt::Debug> fmt::Debug for Network<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("now", &self.now).field("seats", &self.seats).finish_non_exhaustive()
    }
}
