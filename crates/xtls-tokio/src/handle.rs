//! What the application does with a driver.

use std::{collections::BTreeSet, time::Instant};

use xtls::{
    Application, CloseReason, Engine, Event, Fault, TunnelOptions,
    jid::{BareJid, FullJid, Jid},
    transports::StreamHost,
};
use xtls_s5b::proxy::Discovery;

use crate::{
    CallError, End, Incoming, Opening, Question, Tunnel,
    find::{MAX_RESOURCES, Target, find},
    proxies::proxies,
    shared::{Shared, now},
};

/// Calls peers, and takes their offers, over the outer stream of a [`Driver`](crate::Driver). It is cheap to clone.
///
/// Every future of it can be dropped at any point: what it waited for goes to the next one that asks, and a call that is dropped
/// is called off. When the last handle, tunnel and [`Stanzas`](crate::Stanzas) are gone, the driver ends.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Shared,
}

/// Something that the engine tells and no other part of this crate is about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Notice {
    /// How many older ones were dropped before it, because nobody took them: 256 are kept.
    pub missed: u64,
    /// One of [`Redirected`](Event::Redirected), [`Confirmed`](Event::Confirmed), [`StoreFailed`](Event::StoreFailed),
    /// [`Impersonation`](Event::Impersonation), [`Misaddressed`](Event::Misaddressed),
    /// [`CertificatesReceived`](Event::CertificatesReceived), [`Probed`](Event::Probed),
    /// [`PresenceWanted`](Event::PresenceWanted), [`Throttled`](Event::Throttled), or one that a later engine has more.
    pub event: Event,
}

impl Handle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Offers a tunnel, and waits until it can be used. If this is dropped before, the attempt is called off.
    ///
    /// A bare address stands for whichever resource of it has XTLS: see [`find`](Self::find). If that one cannot be reached the next
    /// one is called, up to 32 of them.
    ///
    /// # Errors
    ///
    /// When the offer makes no sense, nobody is there or has XTLS, or the attempt ends before the tunnel is secured.
    pub async fn call(&self, peer: impl Into<Jid>, options: TunnelOptions) -> Result<Tunnel, CallError> {
        let peer: Jid = peer.into();
        match peer.to_full() {
            Some(full) => self.open(full, options)?.opened().await,
            None => self.call_account(&peer.to_bare(), options).await,
        }
    }

    /// Finds a resource of an account that has XTLS. Those that are online, 32 at most, are asked what they can do (XEP-0030), and the
    /// first that answers with XTLS is taken. If none is online, this waits 10 s for one; each has 10 s to answer. Once all that are
    /// online have answered without XTLS, it waits 1.5 s for another. Whoever comes and goes, it ends after 60 s and 64
    /// questions. Send your presence first: without it you see no one.
    ///
    /// # Errors
    ///
    /// When no resource is online, none has XTLS, or another address answers.
    pub async fn find(&self, account: &BareJid) -> Result<FullJid, CallError> {
        find(&self.shared, Target::Shown(account, &BTreeSet::new())).await
    }

    /// The same, where these resources are asked at once as well, whether or not they show themselves: those that a client is known to
    /// take by habit. So a peer is found that does not let you see its presence. One that does not answer is as good as not there.
    ///
    /// If none of them is there, a driver [with a `Disco`](crate::Driver::with_disco) sends our presence to the account, with the request
    /// to be shown whoever is there (XEP-0276). Clients that know you, and are [shown to callers](crate::Driver::shown_to_callers),
    /// answer. All that the account has online, and its server, see your address and that you are there.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub async fn find_or_ask(&self, account: &BareJid, usual: &[FullJid]) -> Result<FullJid, CallError> {
        find(&self.shared, Target::Any(account, usual)).await
    }

    /// Waits until this resource has said that it has XTLS, whether it shows itself or not, for as long as [`find`](Self::find) does. As
    /// with [`find_or_ask`](Self::find_or_ask), it may be sent our presence.
    ///
    /// # Errors
    ///
    /// When it is not there, has no XTLS, or another address answers.
    pub async fn ask(&self, resource: &FullJid) -> Result<(), CallError> {
        find(&self.shared, Target::One(resource)).await.map(drop)
    }

    /// The SOCKS5 proxies that a server has (XEP-0065 § 4): yours, the peer's, or any that serves you. It takes 5 s at most; what a
    /// server names that does not answer by then is none. At most 4 are found, among the first 32 things that it has.
    ///
    /// Ask before you call or accept, and put what is found among the [`proxies`](xtls::transports::Reach::proxies) of the tunnel.
    pub async fn proxies(&self, server: &Jid) -> Vec<StreamHost> {
        proxies(&self.shared, Discovery::of_server(server.clone())).await
    }

    /// Where the proxy of this address is; `None` if it is none, or not for you. It takes 5 s at most.
    pub async fn proxy(&self, proxy: &Jid) -> Option<StreamHost> {
        proxies(&self.shared, Discovery::of_proxy(proxy.clone())).await.into_iter().next()
    }

    /// Offers a tunnel to one resource, without waiting for what becomes of it: for clients that show how far it has come, or call
    /// it off with a reason.
    ///
    /// # Errors
    ///
    /// When the offer makes no sense, or the driver has ended.
    pub fn open(&self, peer: FullJid, options: TunnelOptions) -> Result<Opening, CallError> {
        let mut state = self.shared.lock();
        match &state.end {
            Some(end) => return Err(CallError::Gone(end.clone())),
            None if state.closing => return Err(CallError::Gone(End::Shutdown)),
            None => {}
        }
        let to = Jid::from(peer.clone());
        if !(state.carries)(&to) {
            return Err(CallError::Address(to));
        }
        let is_xml = options.application == Application::XmlStream;
        let id = state.engine.initiate(now(), peer.clone(), options)?;
        state.own(id, peer.clone(), is_xml);
        Ok(Opening::new(Tunnel::new(self.shared.clone(), id, peer, is_xml)))
    }

    /// The next offer of a peer; `None` when the driver has ended. Those that nobody takes ring until their time is up.
    pub async fn incoming(&self) -> Option<Incoming> {
        let next = self.next(|state| state.incoming.pop_front());
        Some(Incoming::new(self.shared.clone(), next.await?))
    }

    /// The next question to the user; `None` when the driver has ended.
    pub async fn question(&self) -> Option<Question> {
        let next = self.next(|state| state.questions.pop_front());
        Some(Question::new(self.shared.clone(), next.await?))
    }

    /// The next notice; `None` when the driver has ended and there is none left.
    pub async fn notice(&self) -> Option<Notice> {
        let next = self.next(|state| {
            let event = state.notices.pop_front()?;
            Some(Notice { missed: core::mem::take(&mut state.missed), event })
        });
        next.await
    }

    /// Ends all tunnels in order, and then the driver, which gives the outer stream back. Waits for that; each tunnel has the
    /// time that [`xtls::Tunnel::close`] gives it. What tunnels have not read keeps them, for
    /// [`Timers::drain`](xtls::config::Timers::drain) at most.
    pub async fn shutdown(&self) -> End {
        self.shared.lock().close_all();
        self.ended().await
    }

    /// Ends the driver as soon as nothing waits to be sent, which gives the outer stream back; tunnels are not waited for. Those that
    /// are open break off, and their peers are told nothing: close or drop them before.
    pub async fn stop(&self) -> End {
        self.shared.lock().stop();
        self.ended().await
    }

    /// Why the driver has ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.shared.lock().end.clone()
    }

    /// Waits until the driver has ended, and says why.
    pub async fn ended(&self) -> End {
        self.shared.wait_for(|state| state.end.clone()).await
    }

    /// Does something with the engine that has no method here: `probe`, `allow_offers`, `set_window`, `set_stanza_limit`, `refuse`. Do not poll it,
    /// nor hand it stanzas: both are the driver's. Nothing else moves meanwhile, and another call of this crate inside of it
    /// would wait for ever.
    pub fn with_engine<R>(&self, action: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        let mut state = self.shared.lock();
        let result = action(&mut state.engine, now());
        state.settle();
        result
    }

    async fn call_account(&self, account: &BareJid, mut options: TunnelOptions) -> Result<Tunnel, CallError> {
        let to = Jid::from(account.clone());
        let carries = self.shared.lock().carries;
        if !carries(&to) {
            return Err(CallError::Address(to));
        }
        // It was asked already.
        options.check_support = options.depends_on_features();
        let (mut tried, mut lacking) = (BTreeSet::new(), false);
        loop {
            let resource = match find(&self.shared, Target::Shown(account, &tried)).await {
                Err(CallError::Offline) if lacking => return Err(CallError::NoXtls),
                found => found?,
            };
            tried.insert(resource.clone());
            match self.open(resource, options.clone())?.opened().await {
                // An account can show itself by any number of resources.
                Err(CallError::Closed(closed)) if is_another(&closed.reason) && tried.len() < MAX_RESOURCES => {
                    lacking |=
                        matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::PeerLacksXtls));
                }
                called => return called,
            }
        }
    }

    async fn next<T>(&self, mut take: impl FnMut(&mut crate::shared::State) -> Option<T>) -> Option<T> {
        let next = self.shared.wait_for(|state| match take(state) {
            Some(next) => Some(Some(next)),
            None => state.end.is_some().then_some(None),
        });
        next.await
    }
}

/// Whether another resource may do better.
fn is_another(reason: &CloseReason) -> bool {
    let CloseReason::Fault(fault) = reason else { return false };
    matches!(**fault, Fault::PeerLacksXtls | Fault::Unreachable { .. } | Fault::Gone)
}
