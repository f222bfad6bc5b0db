//! An engine whose arguments and results are plain values.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use xtls::event::{ProbeId, Refusal};
use xtls::jid::{FullJid, Jid};
use xtls::jingle::{Reason, ReasonCondition};
use xtls::trust::Authorities;
use xtls::xml::{Disco, DiscoIdentity, Iq, Limits};
use xtls::{Config, Element, Incoming, Local, TunnelId};

use crate::clock::Clock;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::identity::{Identity, time};
use crate::kind::Disposition;
#[cfg(feature = "log")]
use crate::log::{self, Level, Log};
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::tunnel::Rests;
use crate::waiting::Waiting;

/// How many stanzas of others may wait to be refused, and how many answers to questions for features to be sent. Of one more
/// stanza the oldest is refused at once; one more question is left to the caller.
const MOST: usize = 256;

/// What an engine is made from.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is made by hand, and what is new goes into the settings")]
pub struct Setup<'s> {
    /// Your full address.
    pub jid: &'s str,
    /// Your certificate and its key.
    pub identity: &'s Identity,
    /// What is known of peers.
    pub store: &'s Store,
    /// What differs from the defaults: [`CONFIG_SETTINGS`](crate::CONFIG_SETTINGS).
    pub settings: &'s Settings<'s>,
    /// The certificates of authorities that are trusted, in PEM; nothing for none.
    pub authorities: Option<&'s str>,
    /// The time of day, in seconds since 1970.
    pub unix_time: u64,
    /// Your clock, in milliseconds.
    pub now: u64,
}

/// An [`xtls::Engine`] in plain values. All times `now` are milliseconds of one clock that does not go backwards; ids of tunnels are
/// numbers that no other tunnel has, of any engine in this process.
#[derive(Debug)]
pub struct Engine {
    pub(crate) inner: xtls::Engine,
    pub(crate) clock: Clock,
    pub(crate) rests: Rests,
    store: Store,
    pub(crate) offers: BTreeMap<u64, Incoming>,
    pub(crate) waiting: Waiting,
    refusals: BTreeMap<u64, Refusal>,
    next_refusal: u64,
    disco: Option<Disco>,
    /// Who its own answers are from, where no server stamps that.
    from: Option<String>,
    answers: VecDeque<(Arc<str>, String)>,
    #[cfg(feature = "log")]
    log: Option<tracing::Dispatch>,
}

/// Where calls of an engine write its log.
#[derive(Debug, Clone)]
pub struct LogScope {
    #[cfg(feature = "log")]
    log: Option<tracing::Dispatch>,
}

impl LogScope {
    /// Does what a call does, with the log of its engine.
    pub fn around<R>(&self, call: impl FnOnce() -> R) -> R {
        #[cfg(feature = "log")]
        if let Some(log) = &self.log {
            return tracing::dispatcher::with_default(log, call);
        }
        call()
    }
}

/// What became of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handled {
    /// That.
    pub disposition: Disposition,
    /// What to name to [`Engine::refuse`], of [`Disposition::Unclaimed`]; otherwise 0.
    pub refusal: u64,
    /// What is wrong, of [`Disposition::Malformed`].
    pub words: String,
}

/// When the engine wants to be called next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// In how many milliseconds; 0 for at once.
    pub after: u64,
    /// What for, by its short name.
    pub timer: &'static str,
}

impl Engine {
    /// An engine for one full address.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Identity`], [`Code::Authorities`], [`Code::Setting`], [`Code::Config`], [`Code::Provider`],
    /// [`Code::MinimumTls`].
    pub fn new(setup: &Setup<'_>) -> Result<Self> {
        let config = settings::config(setup.settings)?;
        let from = config.stamp_from.then(|| setup.jid.to_owned());
        let mut local = Local::new(setup.jid.parse::<FullJid>()?, setup.identity.read()?);
        if let Some(pem) = setup.authorities {
            local = local.with_authorities(Arc::new(Authorities::from_pem(pem)?));
        }
        let mut seed = [0; 32];
        local.provider.secure_random.fill(&mut seed).map_err(|_| Error::new(Code::Provider, "no random numbers"))?;
        let inner: xtls::Setup<FullJid, Config> =
            xtls::Setup::new(local, setup.store.boxed(), seed, time(setup.unix_time)).with_config(config);
        let clock = Clock::new(setup.now);
        let inner = xtls::Engine::new(inner, clock.at(setup.now))?;
        Ok(Self {
            inner,
            clock,
            rests: Rests::default(),
            store: setup.store.clone(),
            offers: BTreeMap::new(),
            waiting: Waiting::default(),
            refusals: BTreeMap::new(),
            next_refusal: 1,
            disco: None,
            from,
            answers: VecDeque::new(),
            #[cfg(feature = "log")]
            log: None,
        })
    }

    /// What is known of peers, for your settings.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes what the engine tells of itself down to this level, from the next [`logged`](Self::logged) on.
    #[cfg(feature = "log")]
    pub fn set_log(&mut self, log: Option<Box<dyn Log>>, most: Level) {
        self.log = log.map(|log| log::dispatch(log, most));
    }

    /// Does what a call does, with its log: whoever wraps this engine makes each call by way of this.
    pub fn logged<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> R {
        self.log_scope().around(|| call(self))
    }

    /// The same for whoever holds more than the engine: its log, to do calls in.
    #[must_use]
    pub fn log_scope(&self) -> LogScope {
        LogScope {
            #[cfg(feature = "log")]
            log: self.log.clone(),
        }
    }

    /// A stanza of the outer stream. Hand in each one, presence too.
    pub fn handle_stanza(&mut self, now: u64, stanza: &[u8]) -> Handled {
        let at = self.clock.at(now);
        let handled = |disposition| Handled { disposition, refusal: 0, words: String::new() };
        match self.inner.handle_stanza_bytes(at, stanza) {
            xtls::Disposition::Consumed => handled(Disposition::Consumed),
            xtls::Disposition::Observed => handled(Disposition::Observed),
            xtls::Disposition::Unclaimed(refusal) => {
                if self.refusals.len() >= MOST
                    && let Some((_, oldest)) = self.refusals.pop_first()
                {
                    self.inner.refuse(at, oldest);
                }
                let number = self.next_refusal;
                self.next_refusal += 1;
                self.refusals.insert(number, refusal);
                Handled { refusal: number, ..handled(Disposition::Unclaimed) }
            }
            xtls::Disposition::Malformed(error) => {
                Handled { words: error.to_string(), ..handled(Disposition::Malformed) }
            }
            _ if self.answers_features(stanza) => handled(Disposition::Consumed),
            xtls::Disposition::NotOurs | _ => handled(Disposition::NotOurs),
        }
    }

    /// Refuses a stanza that was [`Disposition::Unclaimed`], and that nobody took.
    ///
    /// # Errors
    ///
    /// [`Code::Gone`] when it was refused already.
    pub fn refuse(&mut self, now: u64, refusal: u64) -> Result<()> {
        let refusal = self.refusals.remove(&refusal).ok_or(Code::Gone)?;
        self.inner.refuse(self.clock.at(now), refusal);
        Ok(())
    }

    /// Leaves a stanza that was [`Disposition::Unclaimed`] to whoever has answered it: it is refused no more.
    ///
    /// # Errors
    ///
    /// [`Code::Gone`] when it was refused already.
    pub fn leave(&mut self, refusal: u64) -> Result<()> {
        self.refusals.remove(&refusal).map(drop).ok_or_else(|| Code::Gone.into())
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: u64) {
        self.inner.handle_timeout(self.clock.at(now));
    }

    /// The outer stream is gone for good.
    pub fn handle_disconnect(&mut self, now: u64) {
        self.inner.handle_disconnect(self.clock.at(now));
    }

    /// The outer stream is away, and is to be resumed.
    pub fn handle_suspended(&mut self, now: u64) {
        self.inner.handle_suspended(self.clock.at(now));
    }

    /// It is back, with nothing lost.
    pub fn handle_resumed(&mut self, now: u64) {
        self.inner.handle_resumed(self.clock.at(now));
    }

    /// Appends the next stanza to send, and says to whom; nothing when there is none.
    pub fn poll_transmit(&mut self, now: u64, out: &mut Vec<u8>) -> Option<Arc<str>> {
        if let Some((to, answer)) = self.answers.pop_front() {
            out.extend_from_slice(answer.as_bytes());
            return Some(to);
        }
        self.inner.poll_transmit_bytes(self.clock.at(now), out).map(|transmit| transmit.to)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; nothing when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self, now: u64) -> Option<Deadline> {
        let due = self.inner.poll_timeout()?;
        Some(Deadline { after: self.clock.until(due.at, now), timer: due.timer.as_str() })
    }

    /// Offers a tunnel to a full address, under these [options](crate::OPTION_SETTINGS). Gives its id.
    ///
    /// # Errors
    ///
    /// [`Code::Address`], [`Code::Setting`], those about passwords, and why the terms cannot be met with this peer.
    pub fn initiate(&mut self, now: u64, peer: &str, settings: &Settings<'_>) -> Result<u64> {
        let (peer, options) = (peer.parse::<FullJid>()?, settings::options(settings, None)?);
        Ok(self.inner.initiate(self.clock.at(now), peer, options)?.to_u64())
    }

    /// Accepts an offer, under these options; the application is what is offered.
    ///
    /// # Errors
    ///
    /// [`Code::Gone`] when it does not stand any more, [`Code::OtherEngine`] when it never did, and those of
    /// [`initiate`](Self::initiate). With wrong settings it still stands.
    pub fn accept(&mut self, now: u64, id: u64, settings: &Settings<'_>) -> Result<()> {
        let offered = &self.offer(id)?.application;
        let options = settings::options(settings, Some(offered))?;
        let incoming = self.offers.remove(&id).ok_or(Code::Gone)?;
        self.inner.accept(self.clock.at(now), incoming, options)?;
        Ok(())
    }

    /// Rejects an offer, for a reason of XEP-0166 § 7.4 such as `decline` or `busy`.
    ///
    /// # Errors
    ///
    /// [`Code::Gone`], [`Code::OtherEngine`], [`Code::Name`].
    pub fn reject(&mut self, now: u64, id: u64, why: &str) -> Result<()> {
        self.offer(id)?;
        let why = reason(why)?;
        let incoming = self.offers.remove(&id).ok_or(Code::Gone)?;
        Ok(self.inner.reject(self.clock.at(now), incoming, why)?)
    }

    /// Asks a full address what it is ready for. Gives the id of the question, which `probed` will have.
    ///
    /// # Errors
    ///
    /// As for [`initiate`](Self::initiate).
    pub fn probe(&mut self, now: u64, peer: &str, settings: &Settings<'_>) -> Result<u64> {
        let (peer, options) = (peer.parse::<FullJid>()?, settings::options(settings, None)?);
        Ok(self.inner.probe(self.clock.at(now), peer, &options).map(ProbeId::to_u64)?)
    }

    /// Lets this account learn what you are ready for, and that you are there; or does not.
    ///
    /// # Errors
    ///
    /// [`Code::Address`].
    pub fn allow_offers(&mut self, peer: &str, allowed: bool) -> Result<()> {
        self.inner.allow_offers(peer.parse::<Jid>()?.to_bare(), allowed);
        Ok(())
    }

    /// The full addresses of an account that are online, as presence has told, those with XTLS first.
    ///
    /// # Errors
    ///
    /// [`Code::Address`].
    pub fn resources(&self, peer: &str) -> Result<Vec<String>> {
        let peer = peer.parse::<Jid>()?.to_bare();
        Ok(self.inner.resources(&peer).iter().map(ToString::to_string).collect())
    }

    /// The features to tell of, where your client answers questions for them itself.
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        self.inner.features()
    }

    /// From now on the engine answers questions for features itself, with these features of yours besides its own, and has
    /// a [`presence`](Self::presence). `node` is the address of your software; category and kind such as `client` and `pc`.
    ///
    /// # Errors
    ///
    /// [`Code::Setting`].
    pub fn set_features(&mut self, node: &str, category: &str, kind: &str, features: &[&str]) -> Result<()> {
        let info = self.inner.disco_info(DiscoIdentity::new(category, kind)).with_features(features.iter().copied());
        self.disco = Some(Disco::new(info, node).map_err(|error| Error::new(Code::Setting, error))?);
        Ok(())
    }

    /// The presence that tells of the features, to everybody or to this address alone.
    ///
    /// # Errors
    ///
    /// [`Code::Nothing`] before [`set_features`](Self::set_features), [`Code::Address`].
    pub fn presence(&self, to: Option<&str>) -> Result<String> {
        let caps = self.disco.as_ref().ok_or(Code::Nothing)?.caps();
        if let Some(to) = to {
            return Ok(caps.directed_presence(&to.parse::<Jid>()?, false));
        }
        let mut presence = String::from("<presence>");
        caps.write(&mut presence);
        Ok(presence + "</presence>")
    }

    /// The largest stanza that the server takes, in bytes, after each login; nothing where it does not say.
    pub fn set_stanza_limit(&mut self, now: u64, bytes: Option<u32>) {
        self.inner.set_stanza_limit(self.clock.at(now), bytes);
    }

    /// The server ended the stream for a stanza that was too large.
    pub fn stanza_too_large(&mut self, now: u64) {
        self.inner.stanza_too_large(self.clock.at(now));
    }

    /// Changes the window: `adaptive`, or a number of blocks.
    ///
    /// # Errors
    ///
    /// [`Code::Setting`], [`Code::Config`].
    pub fn set_window(&mut self, now: u64, window: &str) -> Result<()> {
        Ok(self.inner.set_window(self.clock.at(now), settings::window(window)?)?)
    }

    /// The tunnels that have not ended.
    #[must_use]
    pub fn tunnels(&self) -> Vec<u64> {
        self.inner.tunnels().map(TunnelId::to_u64).collect()
    }

    /// Why there is nothing with this id.
    pub(crate) fn unknown(&self, id: u64) -> Error {
        let given = self.inner.has_given(TunnelId::from_u64(id));
        Error::from(if given { Code::Ended } else { Code::OtherEngine })
    }

    fn offer(&self, id: u64) -> Result<&Incoming> {
        let given = self.inner.has_given(TunnelId::from_u64(id));
        self.offers.get(&id).ok_or_else(|| Error::from(if given { Code::Gone } else { Code::OtherEngine }))
    }

    /// Answers a question for features, if that is what this is.
    fn answers_features(&mut self, stanza: &[u8]) -> bool {
        let Some(disco) = &self.disco else { return false };
        let Ok(text) = core::str::from_utf8(stanza) else { return false };
        if self.answers.len() >= MOST || !text.contains(xtls::xml::ns::DISCO_INFO) {
            return false;
        }
        let Ok(element) = Element::parse(text, &Limits::default()) else { return false };
        let Some(Ok(iq)) = Iq::parse(&element) else { return false };
        let Some(to) = iq.from else { return false };
        let mut answer = String::new();
        let is_one = disco.answer(&iq, to, self.from.as_deref(), &mut answer);
        if is_one {
            self.answers.push_back((Arc::from(to), answer));
        }
        is_one
    }
}

/// A reason of XEP-0166 § 7.4 by its name.
pub(crate) fn reason(name: &str) -> Result<Reason> {
    let found = ReasonCondition::ALL.iter().find(|condition| condition.as_str() == name);
    let words = || Error::new(Code::Name, format_args!("no reason is called {name:?}: see XEP-0166, 7.4"));
    Ok(Reason::new(*found.ok_or_else(words)?))
}
