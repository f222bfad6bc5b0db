//! A login with an engine on it: what happens besides tunnels, and what the command has in common for all of them.

mod commands;
mod compare;
mod conversation;
mod disco;
mod file_setup;
mod input;
mod keyboard;
mod open;
mod outside;
mod receipts;
pub(crate) mod roster;
mod rules;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use xtls::Setup;
use xtls::transports::Path;
use xtls::{Closed, Config, Element, Engine, Event, Local, Security};
use xtls_stanza::Limits;
use xtls_stanza::jid::{BareJid, FullJid};
use xtls_tokio::{Driver, End, Ended, Handle, Incoming, Stanzas};
use zeroize::Zeroizing;

use crate::account::{self, Account};
use crate::args::AccountArgs;
use crate::clock;
use crate::connection::Connection;
use crate::data::{Claim, DataDir, LimitsFile, TrustFile};
use crate::exit::Failure;
use crate::output::{self, Output, Report, Secured};
use crate::platform::Signals;
use crate::random::random;
use crate::trace::{self, Trace};

pub(crate) use commands::SEND;
pub(crate) use commands::{Command, answer};
pub(crate) use compare::{Answers, Compare, Outcome};
pub(crate) use conversation::{Conversation, Turn, log_in};
pub(crate) use disco::{Disco, ping};
pub(crate) use file_setup::FileSetup;
pub(crate) use input::{Input, Lines, MAX_LINE};
pub(crate) use keyboard::Keyboard;
pub(crate) use open::{MAX_WAITING, NO_XML, Open, Said, body, message};
use outside::Outside;
pub(crate) use receipts::{RECEIPTS, Unconfirmed, line, receipt_for};
pub(crate) use rules::{Rules, fingerprint, warn_if_weak};
pub(crate) use verdict::{
    Own, STARTTLS_FAILURE, Verdict, authentication_advice, password_locked, shows_interference, unreachable_server,
};

/// How long the last stanzas may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a stanza of our own may wait for room; a server that takes nothing does not get it.
const SEND_TIME: Duration = Duration::from_secs(1);
/// How long the last bytes of a tunnel wait for a reader.
const PATIENT_READER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Tunnels with one peer: that of messages, those of the sessions of files that either end may begin, and some that are ending.
const TUNNELS_WITH_PEER: usize = 40;

/// A login with an engine on it.
pub(crate) struct Session {
    pub(crate) handle: Handle,
    pub(crate) output: Output,
    driver: JoinHandle<Ended<Connection>>,
    stanzas: Stanzas<Element>,
    jid: FullJid,
    own: Own,
    trust: Arc<Mutex<TrustFile>>,
    disco: Disco,
    /// What it is inside of tunnels.
    inside: Disco,
    outside: Outside,
    limits: LimitsFile,
    /// What was known of how large stanzas the server takes.
    limit: Option<u32>,
    signals: Signals,
    /// The server approves a peer's request in advance (RFC 6121 § 3.4).
    pub(crate) pre_approves: bool,
    /// Connections of their own may carry its tunnels.
    connects: bool,
    /// To the resource that was asked for.
    _claim: Option<Claim>,
}

/// Something that the command has to see to. `T` is what it waits for itself: what its tunnels come to, and lines of
/// standard input, say.
#[derive(Debug)]
pub(crate) enum Happening<T> {
    /// A peer offers a tunnel.
    Incoming(Incoming),
    /// The engine tells something that is no tunnel's own.
    Notice(Event),
    /// A stanza of the outer stream that neither the engine nor this has answered.
    Stanza(Element),
    /// What the command waits for itself has come.
    Beside(T),
    /// Ctrl-C, or the request to end.
    Interrupted,
    /// The time that was asked for has come.
    Time,
}

/// Whether tunnels may go by connections of their own, and where those are taken.
#[derive(Debug, Default)]
pub(crate) struct Connects {
    pub(crate) allowed: bool,
    pub(crate) listener: Option<TcpListener>,
}

impl Session {
    /// Logs in and announces itself; tunnels go in band.
    ///
    /// # Errors
    ///
    /// As [`start_with`](Self::start_with).
    pub(crate) async fn start(
        output: Output,
        data: &DataDir,
        args: &AccountArgs,
        trust: TrustFile,
        rules: &Rules,
    ) -> Result<Self, Failure> {
        Self::start_with(output, data, args, trust, rules, Connects::default()).await
    }

    /// Logs in and announces itself.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way, in one line. Nothing is sent before everything local is known to be good.
    pub(crate) async fn start_with(
        output: Output,
        data: &DataDir,
        args: &AccountArgs,
        trust: TrustFile,
        rules: &Rules,
        connects: Connects,
    ) -> Result<Self, Failure> {
        let mut account = Account::new(output, args.jid()?, &args.login)?;
        let claim = if args.is_passing { None } else { data.claim(&account.jid) };
        if claim.is_none() {
            account.avoid_others()?;
        }
        let trace = trace::Shared::new(Trace::create(args.trace.as_deref(), output)?);
        let identity = crate::identity::own(output, data, &account.jid.to_bare(), None, false)?;
        let password: Zeroizing<String> = account::password(output, &account.jid.to_bare(), &args.login)?;
        let connection = Connection::login(account.clone(), &password, &identity, trace.clone()).await?;
        drop(password);
        // Until here Ctrl-C just ends the process; from now on the server is told.
        let signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;

        // RFC 6120 § 7.7.1: the address that the server binds is ours, whatever was typed, and the certificate is the one for it.
        let bound = connection.jid().to_bare();
        let identity = if bound == account.jid.to_bare() {
            identity
        } else {
            crate::identity::own(output, data, &bound, None, false)?
        };
        let own =
            Own { jid: bound.clone(), fingerprint: identity.fingerprint_sha256(), has_password: rules.has_password() };
        let mut local = Local::new(connection.jid().clone(), identity);
        local.authorities = rules.authorities();
        let mut config = Config::default();
        // Nobody else here could take what the engine does not.
        config.sole_handler = true;
        config.profile = args.profile.unwrap_or_default();
        config.offers_password = rules.has_password();
        config.socks5 = connects.allowed;
        // Bytes that have come wait for whoever reads standard output, as they do in any pipe.
        config.timers.drain = PATIENT_READER;
        config.tunnels_per_peer = TUNNELS_WITH_PEER;
        let seed = random()?;
        let trust = Arc::new(Mutex::new(trust));
        let now = clock::now();
        let setup = Setup::new(local, Box::new(Arc::clone(&trust)), seed, clock::unix()).with_config(config);
        let mut engine =
            Engine::new(setup, now).map_err(|e| Failure::other(format!("the engine cannot start: {e}")))?;
        let limits = data.limits();
        let domain = account.jid.domain_part().into();
        engine.set_stanza_limit(now, limits.of(&domain, clock::unix().as_secs())?);
        let mut features = engine.features();
        let disco = Disco::new(&bound, &features)?;
        // XEP-0184 § 6: whoever confirms messages says so; outside of tunnels none is taken.
        features.push(RECEIPTS);
        let inside = Disco::new(&bound, &features)?;
        tell(output, &Report::Online { jid: connection.jid().as_str() })?;
        let jid = connection.jid().clone();
        let pre_approves = connection.pre_approves();
        let (driver, handle, stanzas) = Driver::new(engine, connection);
        let limit = handle.with_engine(|engine, _| engine.stanza_limit());
        let driver = driver.with_disco(disco.capabilities().clone());
        let driver = match connects.listener {
            Some(listener) => driver.with_listener(listener),
            None => driver,
        };
        // Whoever waits for peers, or calls one that may call as well, is found by those that it knows.
        let driver = if args.is_passing { driver } else { driver.shown_to_callers() };
        let address = jid.to_string();
        let driver = driver.observed(move |engine, event| {
            trace.lock().event(&address, engine, event);
            if let Event::StoreFailed { id, error } = event {
                let tunnel = engine.tunnel(*id);
                let peer = tunnel.as_ref().and_then(|tunnel| tunnel.peer()).map(|peer| peer.to_bare());
                let method = tunnel.as_ref().and_then(|tunnel| tunnel.security()).map(|security| security.method);
                output.store_failed(peer.as_ref(), method, error);
            }
        });
        let session = Self {
            handle,
            output,
            driver: tokio::spawn(driver),
            stanzas,
            jid,
            own,
            trust,
            disco,
            inside,
            outside: Outside::default(),
            limits,
            limit,
            signals,
            pre_approves,
            connects: connects.allowed,
            _claim: claim,
        };
        let presence = session.disco.presence();
        session.send(&presence).await;
        Ok(session)
    }

    /// Tells how a tunnel with this peer is secured, which goes in band.
    pub(crate) fn report_secured(&self, peer: &FullJid, security: &Security) -> Result<(), Failure> {
        self.report_secured_over(peer, security, Some(&Path::InBand))
    }

    /// Tells how a tunnel with this peer is secured, and what carries it.
    pub(crate) fn report_secured_over(
        &self,
        peer: &FullJid,
        security: &Security,
        path: Option<&Path>,
    ) -> Result<(), Failure> {
        self.report(&Report::Secured(Secured::new(peer.as_str(), security).over(path)))
    }

    /// Whether connections of their own may carry its tunnels.
    pub(crate) fn connects(&self) -> bool {
        self.connects
    }

    /// Lets peers that the command line names be answered that ask what we are ready for.
    pub(crate) fn allow_offers(&self, peers: &[BareJid]) {
        self.handle.with_engine(|engine, _| peers.iter().for_each(|peer| engine.allow_offers(peer.clone(), true)));
    }

    /// Shows ourselves to a peer: the servers tell it at once when we are gone, whoever has subscribed to what.
    pub(crate) async fn greet(&self, peer: &FullJid) {
        let mut presence = "<presence to='".to_owned();
        xtls_stanza::write::text_in_attribute(&mut presence, peer.as_str());
        presence.push_str("'/>");
        self.send(&presence).await;
    }

    /// Tells how a tunnel ended.
    pub(crate) fn report_closed(&self, closed: &Closed) -> Result<(), Failure> {
        self.report(&Report::Closed(output::Closed {
            peer: Some(closed.peer.as_str()),
            address: None,
            by: closed.by.as_str(),
            reason: &closed.reason.to_string(),
            truncated: closed.truncated,
            unacked: closed.unacked,
            receipt: output::receipt(closed.receipt),
        }))
    }

    /// This end, as its peers know it.
    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    /// Why the connection to the server is gone, if it is. [`Session::next`] gives it when everything else is told.
    pub(crate) fn lost(&self) -> Option<Failure> {
        self.handle.end().map(|end| lost(&end))
    }

    /// What is answered to a request that came through a tunnel; `None` if the stanza asks for no answer.
    pub(crate) fn answer(&self, stanza: &Element) -> Option<String> {
        self.inside.answer(stanza)
    }

    /// What this end knows inside of tunnels.
    pub(crate) fn features_inside(&self) -> Vec<String> {
        self.inside.features()
    }

    /// Our own full address.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Sends a stanza of our own over the outer stream.
    pub(crate) async fn send(&self, stanza: &str) {
        let Ok(stanza) = Element::parse(stanza, &Limits::default()) else {
            debug_assert!(false, "what the session writes is a stanza: {stanza}");
            return;
        };
        // If the connection is gone, that is told.
        let _ = tokio::time::timeout(SEND_TIME, self.stanzas.sender().send(stanza)).await;
    }

    /// What is known of peers.
    pub(crate) fn trust(&self) -> std::sync::MutexGuard<'_, TrustFile> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something on standard output.
    pub(crate) fn report(&self, report: &Report<'_>) -> Result<(), Failure> {
        tell(self.output, report)
    }

    /// Waits until there is something to see to. `beside` is waited for too, and must not lose anything when it is dropped;
    /// `until` is when to come back in any case.
    ///
    /// # Errors
    ///
    /// When the connection is gone and everything is told that follows from that.
    pub(crate) async fn next<T>(
        &mut self,
        beside: impl Future<Output = T>,
        until: Option<Instant>,
    ) -> Result<Happening<T>, Failure> {
        tokio::pin!(beside);
        loop {
            let stanza = tokio::select! {
                // What the engine tells of a tunnel comes before what the tunnel does. An offer comes after that: ours may have given
                // way to it. The end of the connection comes after all.
                biased;
                () = self.signals.next() => return Ok(Happening::Interrupted),
                () = clock::sleep_until(until) => return Ok(Happening::Time),
                Some(notice) = self.handle.notice() => return Ok(Happening::Notice(notice.event)),
                came = &mut beside => return Ok(Happening::Beside(came)),
                Some(incoming) = self.handle.incoming() => return Ok(Happening::Incoming(incoming)),
                Some(stanza) = self.stanzas.next() => stanza,
                end = self.handle.ended() => return Err(lost(&end)),
            };
            if let Some(answer) = roster::answer(&stanza, &self.own.jid) {
                self.send(&answer).await;
                return Ok(Happening::Stanza(stanza));
            }
            if let Some(answer) = self.disco.answer(&stanza) {
                self.send(&answer).await;
                continue;
            }
            if let Some(peer) = self.outside.first_of(&stanza) {
                self.report(&Report::Outside { peer })?;
            }
            return Ok(Happening::Stanza(stanza));
        }
    }

    /// The connection is gone: if the server has ended it because of a stanza, the next one begins with smaller ones.
    fn remember_limit(&mut self) {
        let learned = self.handle.with_engine(|engine, _| engine.stanza_limit());
        if let Some(bytes) = learned.filter(|_| learned != self.limit) {
            self.limit = learned;
            let domain = self.jid.domain_part().into();
            if let Err(failure) = self.limits.remember(&domain, bytes, clock::unix().as_secs()) {
                self.output.warn(&format!("that the server takes no large stanzas is not remembered: {failure}"));
            }
        }
    }

    /// An offer that has come already, if there is one.
    pub(crate) fn offered(&self) -> Option<Incoming> {
        self.handle.incoming().now_or_never().flatten()
    }

    /// Writes what is left and ends the stream in order.
    pub(crate) async fn end(mut self) {
        if self.handle.end().is_some() {
            self.remember_limit();
        }
        let Self { handle, driver, stanzas, .. } = self;
        drop(stanzas);
        let farewell = async {
            handle.stop().await;
            if let Ok(ended) = driver.await {
                ended.outer.close().await;
            }
        };
        // A server that does not take the last words does not get them.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

/// Why the connection is gone, in words.
fn lost(end: &End) -> Failure {
    let told = match end {
        End::Lost(error) => error.get_ref().and_then(|error| error.downcast_ref::<Failure>()),
        _ => None,
    };
    told.cloned().unwrap_or_else(|| Failure::connection(format!("the connection to the server is gone: {end}")))
}

/// Prints a report.
pub(crate) fn tell(output: Output, report: &Report<'_>) -> Result<(), Failure> {
    output.report(report).map_err(|e| Failure::other(format!("standard output cannot be written: {e}")))
}

/// Prints a remark for people.
pub(crate) fn note(output: Output, line: &str) -> Result<(), Failure> {
    output.note(line).map_err(|e| Failure::other(format!("standard output cannot be written: {e}")))
}
