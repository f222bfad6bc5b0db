//! A link between two entities without a server between them (XEP-0174, XEP-0246).

use core::mem;

use xtls_channel::{
    CloseReason, EndedBy, Fault, Instant, NotAsked, Password, Side, Stage, Start, Terms, TrustDecision, rules::Choice,
};
use xtls_stanza::{Method, TlsOffer, jid::Jid};
use xtls_stream::{Addressing, DirectStream, Features, StartTlsFault, StreamCondition};

use crate::{
    common::Core,
    config::LinkSetup,
    error::{LinkAcceptError, LinkError},
    event::LinkEvent,
    kind::{Hooks, Kind},
    link::Link,
    offer::{PeerOffer, chosen, own_offer},
};

/// One end of a direct connection between two entities that authenticate one another, by certificates or a password, with the
/// offers of XEP-0250.
///
/// ```
/// use std::time::{Duration, Instant};
/// use xtls_channel::{Local, MemoryTrustStore, Pin, Terms, TrustPolicy};
/// use xtls_link::{LinkEvent, LinkSetup, PeerLink};
/// use xtls_stanza::jid::Jid;
/// use xtls_tls::{Identity, KeyAlgorithm, UnixTime};
///
/// let (now, time) = (Instant::now(), UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000)));
/// let (romeo, juliet) = (Jid::new("romeo@forza")?, Jid::new("juliet@pronto")?);
/// let identity = |jid: &Jid| Identity::generate(&jid.to_bare(), KeyAlgorithm::EcdsaP256, time);
/// let (his, hers) = (identity(&romeo)?, identity(&juliet)?);
/// let setup = |jid: &Jid, own: &Identity, peer: &Jid, peers: &Identity| {
///     let mut store = MemoryTrustStore::default();
///     store.pin(&peer.to_bare(), Pin::manual(peers.fingerprint_sha256()));
///     LinkSetup::new(Local::new(jid.clone(), own.clone()), Box::new(store), [7; 32], time)
/// };
/// let terms = Terms::new(TrustPolicy::Pinned);
/// let mut initiating = PeerLink::connect(setup(&romeo, &his, &juliet, &hers), juliet.clone(), terms.clone(), now)?;
/// let mut receiving = PeerLink::listen(setup(&juliet, &hers, &romeo, &his), None, now)?;
///
/// let (mut opened, mut bytes) = (0, Vec::new());
/// while opened < 2 {
///     for turn in 0..2 {
///         let (from, to) = if turn == 0 { (&mut initiating, &mut receiving) } else { (&mut receiving, &mut initiating) };
///         bytes.clear();
///         if from.poll_transmit(now, &mut bytes) {
///             // Bytes that are not taken would have to be passed again once the events are taken.
///             assert_eq!(to.handle_bytes(now, &bytes), bytes.len());
///         }
///         while let Some(event) = to.poll_event() {
///             match event {
///                 LinkEvent::Incoming { peer } if peer == romeo => to.accept(now, terms.clone())?,
///                 LinkEvent::Secured { security } => assert!(security.confirmed),
///                 LinkEvent::StreamOpened => opened += 1,
///                 other => panic!("{other:?}"),
///             }
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type PeerLink = Link<Peer>;

/// What sets a [`PeerLink`] apart: both ends choose a method together, and the receiving one is asked who may come.
#[derive(Debug)]
pub struct Peer(Phase);

/// How far the ends have come with the method.
#[derive(Debug, Default)]
enum Phase {
    /// The peer has not said what it is ready for.
    #[default]
    Silent,
    /// It has, and the choice may be waiting for a password.
    Choosing(PeerOffer),
    /// Initiating: these methods were asked for, the preferred one first; never none.
    Asked(Vec<Method>),
    /// This is the one.
    Agreed(Method),
}

impl PeerLink {
    /// The end that opened the connection, to the peer of this address.
    ///
    /// # Errors
    ///
    /// When the configuration is out of bounds, or the terms cannot be met with the peer.
    pub fn connect(setup: LinkSetup, peer: Jid, terms: Terms, now: Instant) -> Result<Self, LinkError> {
        if peer == setup.local.jid {
            return Err(LinkError::OwnAddress);
        }
        let mut core = Core::new(setup, Side::Initiator, Some(peer.clone()), now, |options| {
            options.addressing = Addressing::Peers;
        })?;
        core.channel = Some(core.channel_with(Side::Initiator, &peer, terms)?);
        core.begin();
        Ok(Self { core, kind: Peer(Phase::Silent) })
    }

    /// The end that the connection was opened to. [`LinkEvent::Incoming`] tells who comes; with `expected`, nobody else
    /// may. The dialect of XEP-0035 does not tell, so that it needs `expected`.
    ///
    /// # Errors
    ///
    /// When the configuration is out of bounds.
    pub fn listen(setup: LinkSetup, expected: Option<Jid>, now: Instant) -> Result<Self, LinkError> {
        let mut core = Core::new(setup, Side::Responder, expected, now, |options| {
            options.addressing = Addressing::Peers;
        })?;
        core.expect_step();
        Ok(Self { core, kind: Peer(Phase::Silent) })
    }

    /// Answers [`LinkEvent::Incoming`] with yes, under these terms.
    ///
    /// # Errors
    ///
    /// When nobody asked, or the terms cannot be met with this peer; then the question still stands.
    pub fn accept(&mut self, now: Instant, terms: Terms) -> Result<(), LinkAcceptError> {
        self.act(now, |link| {
            let core = &mut link.core;
            let Some(peer) = core.peer.as_ref().filter(|_| core.stage == Stage::Deciding) else {
                return Err(LinkAcceptError::NotAsked);
            };
            let channel = core.channel_with(Side::Responder, peer, terms)?;
            let methods = channel.offerable().map_err(xtls_channel::TermsError::from)?;
            let offer = own_offer(&methods, &channel, core.env.identity());
            core.channel = Some(channel);
            core.enter(Stage::Asking);
            // The initiating end's user may be asked for the password before it asks for TLS.
            if offer.srp {
                core.expect_user();
            } else {
                core.expect_step();
            }
            // XEP-0250 § 3.3.1.
            offer_tls(core, &Features::tls(Some(offer)));
            Ok(())
        })
    }

    /// Answers [`LinkEvent::Incoming`] with no.
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn refuse(&mut self, now: Instant) -> Result<(), NotAsked> {
        self.act(now, |link| {
            if link.core.stage != Stage::Deciding {
                return Err(NotAsked);
            }
            link.core.farewell(StreamCondition::PolicyViolation);
            link.core.end(EndedBy::Local, CloseReason::Aborted);
            Ok(())
        })
    }

    /// Answers [`LinkEvent::PasswordRequired`]; `None` says that there is no password.
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn provide_password(&mut self, now: Instant, password: Option<Password>) -> Result<(), NotAsked> {
        self.act(now, |link| {
            let channel = link.core.channel.as_mut().filter(|_| link.core.stage == Stage::Password).ok_or(NotAsked)?;
            channel.provide_password(password);
            link.kind.choose(&mut link.core);
            Ok(())
        })
    }

    /// Answers [`LinkEvent::TrustRequired`].
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn trust(&mut self, now: Instant, decision: TrustDecision) -> Result<(), NotAsked> {
        self.decide(now, decision)
    }
}

impl Kind for Peer {}

impl Hooks for Peer {
    fn header(&mut self, core: &mut Core) {
        if core.stream.is_initiating() {
            return core.expect_step();
        }
        if core.in_tls() {
            // Nothing is left to negotiate between peers.
            offer_tls(core, &Features::default());
            return opened(core);
        }
        core.peer = core.stream.peer().cloned();
        if core.peer.as_ref() == Some(&core.local) {
            return core.fail(Fault::OwnAddress);
        }
        if let Some(peer) = core.peer.clone() {
            core.ask(Stage::Deciding, LinkEvent::Incoming { peer });
        }
    }

    fn features(&mut self, core: &mut Core, features: Features) {
        if core.in_tls() {
            return opened(core);
        }
        self.learn(core, features.starttls.and_then(|starttls| starttls.offer).as_ref());
    }

    fn starttls(&mut self, core: &mut Core, offer: Option<TlsOffer>) {
        self.learn(core, offer.as_ref());
    }

    fn agreed(&mut self, core: &mut Core, proceed: Option<TlsOffer>) {
        let method = match (mem::take(&mut self.0), &mut core.channel) {
            (Phase::Agreed(method), _) => Some(method),
            (Phase::Asked(asked), Some(channel)) => chosen(&asked, proceed.as_ref(), channel),
            _ => None,
        };
        let Some(method) = method else {
            return core.fail(Fault::StartTls(StartTlsFault::Method));
        };
        self.0 = Phase::Agreed(method);
        core.start_tls(|channel, env, out| match channel {
            // The header of the stream inside TLS says that the peer was accepted; it may have to be judged first.
            Some(channel) => channel.start(method, Start::PLAIN, env, out),
            None => Err(Fault::Internal("TLS with nobody").into()),
        });
    }

    fn accepted(&mut self, core: &mut Core) {
        core.restart(DirectStream::secured);
        // The receiving end's user may judge our certificate before it answers.
        if core.stream.is_initiating() {
            core.expect_user();
        } else {
            core.expect_step();
        }
    }

    fn may_be_judged(&self) -> bool {
        matches!(self.0, Phase::Agreed(Method::X509))
    }
}

impl Peer {
    /// The peer says what it is ready for, or makes no offer.
    fn learn(&mut self, core: &mut Core, offer: Option<&TlsOffer>) {
        if let Some(channel) = &mut core.channel {
            self.0 = Phase::Choosing(PeerOffer::learn(offer, channel));
            self.choose(core);
        }
    }

    /// Chooses among the peer's methods, or asks for the password that the choice depends on.
    fn choose(&mut self, core: &mut Core) {
        let (Phase::Choosing(offer), Some(channel)) = (&self.0, &mut core.channel) else { return };
        if let Err(fault) = channel.refresh(&core.env) {
            return core.fail(fault);
        }
        match channel.choose(&offer.methods) {
            Choice::AskPassword => core.ask(Stage::Password, LinkEvent::PasswordRequired),
            Choice::Refuse(fault) => core.fail(fault),
            Choice::Methods(methods) if core.stream.is_initiating() => {
                let answer = offer.answer(&methods, channel, core.env.identity());
                self.0 = Phase::Asked(methods);
                core.ask_for_tls(|stream, text| stream.start_tls(answer.as_ref(), text));
                // The receiving end's user may be asked for the password before it answers.
                if answer.is_some_and(|answer| answer.srp) {
                    core.expect_user();
                } else {
                    core.expect_step();
                }
            }
            Choice::Methods(methods) => {
                let Some(&method) = methods.first() else { return core.fail(Fault::Internal("a choice of nothing")) };
                let choice = offer.choice(method, core.env.identity());
                self.0 = Phase::Agreed(method);
                if !core.step(|stream, text| stream.proceed(choice.as_ref(), text)) {
                    core.fail(Fault::Internal("TLS was not asked for"));
                }
            }
        }
    }
}

fn offer_tls(core: &mut Core, features: &Features) {
    if core.write_features(features).is_err() {
        core.fail(Fault::Internal("features that cannot be sent"));
    }
}

fn opened(core: &mut Core) {
    core.open();
    core.tell(LinkEvent::StreamOpened);
}
