//! A login with an engine on it: moves stanzas between the two, and tells the command what happens.

mod conversation;
mod disco;
mod find;
mod input;
mod keyboard;
mod outside;
mod rules;
mod signals;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xtls::Setup;
use xtls::{Closed, Config, Disposition, Element, Engine, Event, Local, TunnelId};
use xtls_stanza::jid::{BareJid, FullJid};
use xtls_trace::Direction;
use zeroize::Zeroizing;

use crate::account::{self, Account};
use crate::args::AccountArgs;
use crate::clock;
use crate::connection::{Connection, Turn};
use crate::data::{DataDir, TrustFile};
use crate::exit::Failure;
use crate::output::{self, Output, Report, Secured};
use crate::trace::Trace;

pub(crate) use conversation::{Conversation, MAX_WAITING, NO_XML, body, message};
pub(crate) use disco::Disco;
pub(crate) use find::{MAX_RESOURCES, Progress, Search};
pub(crate) use input::{Input, Lines};
pub(crate) use keyboard::Keyboard;
use outside::Outside;
pub(crate) use rules::{Rules, fingerprint, warn_if_weak};
pub(crate) use signals::Signals;
pub(crate) use verdict::{
    Own, STARTTLS_FAILURE, Verdict, authentication_advice, password_locked, shows_interference, unreachable_server,
};

/// Silence of the server after which it is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(60);
/// How long it may take with that.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last stanzas may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long the last bytes of a tunnel wait for a reader.
const PATIENT_READER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The id of the question for a sign of life. One is open at a time.
const PING_ID: &str = "alive";

/// A login with an engine on it.
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) output: Output,
    connection: Connection,
    own: Own,
    trust: Arc<Mutex<TrustFile>>,
    disco: Disco,
    outside: Outside,
    signals: Signals,
    /// When the server was last heard of, and whether it was asked for a sign of life since.
    heard: Instant,
    asked: bool,
    /// Why the connection is gone; the engine's last events come first.
    lost: Option<Failure>,
    trace: Trace,
}

/// Something that the command has to see to. `T` is what it waits for itself.
#[derive(Debug)]
pub(crate) enum Happening<T = Input> {
    /// The engine tells something.
    Engine(Event),
    /// A stanza of the outer stream that the engine did not use up.
    Stanza(Element),
    /// What the command waits for itself has come: a line of standard input, say.
    Beside(T),
    /// Ctrl-C, or the request to end.
    Interrupted,
    /// The time that was asked for has come.
    Time,
}

impl Session {
    /// Logs in and announces itself.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way, in one line. Nothing is sent before everything local is known to be good.
    pub(crate) async fn start(
        output: Output,
        data: &DataDir,
        args: &AccountArgs,
        trust: TrustFile,
        rules: &Rules,
    ) -> Result<Self, Failure> {
        let account = Account::from_args(output, args)?;
        let trace = Trace::create(args.trace.as_deref(), output)?;
        let identity = crate::identity::own(output, data, &account.jid.to_bare(), None)?;
        let password: Zeroizing<String> = account::password(output, args)?;
        let connection = Connection::login(account.clone(), &password, &identity).await?;
        drop(password);
        // Until here Ctrl-C just ends the process; from now on the server is told.
        let signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;

        // RFC 6120 § 7.7.1: the address that the server binds is ours, whatever was typed, and the certificate is the one for it.
        let bound = connection.jid().to_bare();
        let identity =
            if bound == account.jid.to_bare() { identity } else { crate::identity::own(output, data, &bound, None)? };
        let own =
            Own { jid: bound.clone(), fingerprint: identity.fingerprint_sha256(), has_password: rules.has_password() };
        let mut local = Local::new(connection.jid().clone(), identity);
        local.authorities = rules.authorities();
        let mut config = Config::default();
        // Nobody else here could take what the engine does not.
        config.sole_handler = true;
        config.profile = args.profile;
        config.offers_password = rules.has_password();
        // Bytes that have come wait for whoever reads standard output, as they do in any pipe.
        config.timers.drain = PATIENT_READER;
        let mut seed = [0; 32];
        local
            .provider
            .secure_random
            .fill(&mut seed)
            .map_err(|_| Failure::other("the operating system gives no random numbers"))?;
        let trust = Arc::new(Mutex::new(trust));
        let now = clock::now();
        let setup = Setup::new(local, Box::new(Arc::clone(&trust)), seed, clock::unix()).with_config(config);
        let engine = Engine::new(setup, now).map_err(|e| Failure::other(format!("the engine cannot start: {e}")))?;
        let disco = Disco::new(&bound, &engine.features())?;
        tell(output, &Report::Online { jid: connection.jid().as_str() })?;
        let mut session = Self {
            engine,
            output,
            connection,
            own,
            trust,
            disco,
            outside: Outside::default(),
            signals,
            heard: now,
            asked: false,
            lost: None,
            trace,
        };
        let presence = session.disco.presence();
        session.send(&presence);
        Ok(session)
    }

    /// Tells how a tunnel with this peer is secured.
    pub(crate) fn report_secured(&mut self, id: TunnelId, peer: &FullJid) -> Result<(), Failure> {
        let Some(security) = self.engine.tunnel(id).and_then(|tunnel| tunnel.security().cloned()) else {
            return Ok(());
        };
        self.report(&Report::Secured(Secured::new(peer.as_str(), &security)))
    }

    /// Lets peers that the command line names be answered that ask what we are ready for.
    pub(crate) fn allow_offers(&mut self, peers: &[BareJid]) {
        for peer in peers {
            self.engine.allow_offers(peer.clone(), true);
        }
    }

    /// Shows ourselves to a peer: the servers tell it at once when we are gone, whoever has subscribed to what.
    pub(crate) fn greet(&mut self, peer: &FullJid) {
        let mut presence = "<presence to='".to_owned();
        xtls_stanza::write::text_in_attribute(&mut presence, peer.as_str());
        presence.push_str("'/>");
        self.send(&presence);
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
        }))
    }

    /// This end, as its peers know it.
    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    /// Why the connection to the server is gone, if it is. [`Session::next`] gives it when the engine has told everything.
    pub(crate) fn lost(&self) -> Option<&Failure> {
        self.lost.as_ref()
    }

    /// What is answered to a request that came through a tunnel; `None` if the stanza asks for no answer.
    pub(crate) fn answer(&self, stanza: &Element) -> Option<String> {
        self.disco.answer(stanza)
    }

    /// Our own full address.
    pub(crate) fn jid(&self) -> &FullJid {
        self.connection.jid()
    }

    /// Sends a stanza of our own over the outer stream.
    pub(crate) fn send(&mut self, stanza: &str) {
        self.trace.text(self.connection.jid().as_str(), Direction::Out, stanza);
        self.connection.send(stanza);
    }

    /// The engine's next event, but for those that are only to be told.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.engine.poll_event()?;
            self.trace.event(self.connection.jid().as_str(), &mut self.engine, &event);
            let Event::StoreFailed { id, error } = event else { return Some(event) };
            let tunnel = self.engine.tunnel(id);
            let peer = tunnel.as_ref().and_then(|tunnel| tunnel.peer()).map(|peer| peer.to_bare());
            let method = tunnel.as_ref().and_then(|tunnel| tunnel.security()).map(|security| security.method);
            self.output.store_failed(peer.as_ref(), method, &error);
        }
    }

    /// What is known of peers.
    pub(crate) fn trust(&self) -> std::sync::MutexGuard<'_, TrustFile> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something on standard output.
    pub(crate) fn report(&self, report: &Report<'_>) -> Result<(), Failure> {
        tell(self.output, report)
    }

    /// Moves stanzas until there is something to see to. `beside` is waited for too, and must not lose anything when it is
    /// dropped; `until` is when to come back in any case.
    ///
    /// # Errors
    ///
    /// When the connection is gone and the engine has told everything that follows from that.
    pub(crate) async fn next<T>(
        &mut self,
        beside: impl Future<Output = T>,
        until: Option<Instant>,
    ) -> Result<Happening<T>, Failure> {
        tokio::pin!(beside);
        loop {
            if let Some(event) = self.poll_event() {
                return Ok(Happening::Engine(event));
            }
            if let Some(lost) = self.lost.take() {
                return Err(lost);
            }
            self.transmit();
            let deadline = self.engine.poll_timeout().map(|deadline| deadline.at);
            let wake = [deadline, until, Some(self.silence_deadline())].into_iter().flatten().min();
            let wake = wake.map_or_else(tokio::time::Instant::now, tokio::time::Instant::from_std);
            tokio::select! {
                turn = self.connection.turn() => match turn {
                    Ok(Turn::Stanza(stanza)) => {
                        if let Some(stanza) = self.receive(stanza) {
                            if let Some(peer) = self.outside.first_of(&stanza) {
                                self.report(&Report::Outside { peer })?;
                            }
                            return Ok(Happening::Stanza(stanza));
                        }
                    }
                    Ok(Turn::Written) => {}
                    Err(failure) => self.lose(failure),
                },
                came = &mut beside => return Ok(Happening::Beside(came)),
                () = self.signals.next() => return Ok(Happening::Interrupted),
                () = tokio::time::sleep_until(wake) => {
                    let now = clock::now();
                    self.engine.handle_timeout(now);
                    self.watch_server(now);
                    if until.is_some_and(|until| until <= now) {
                        return Ok(Happening::Time);
                    }
                }
            }
        }
    }

    /// Writes what is left and ends the stream in order.
    pub(crate) async fn end(mut self) {
        let farewell = async {
            loop {
                self.transmit();
                if !self.connection.has_output() {
                    break;
                }
                match self.connection.turn().await {
                    Ok(Turn::Stanza(stanza)) => drop(self.receive(stanza)),
                    Ok(Turn::Written) => {}
                    Err(_) => return,
                }
            }
            self.connection.close().await;
        };
        // A server that does not take the last words does not get them.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Hands the engine's stanzas to the connection, as long as it takes them quickly.
    fn transmit(&mut self) {
        let now = clock::now();
        let mut stanza = String::new();
        while !self.connection.is_congested() && self.engine.poll_transmit(now, &mut stanza).is_some() {
            self.send(&stanza);
            stanza.clear();
        }
    }

    /// Gives a stanza to the engine, or answers it, or hands it back.
    fn receive(&mut self, stanza: Element) -> Option<Element> {
        let now = clock::now();
        self.trace.stanza(self.connection.jid().as_str(), Direction::In, &stanza);
        self.heard = now;
        self.asked = false;
        match self.engine.handle_element(now, &stanza) {
            Disposition::Observed => Some(stanza),
            Disposition::NotOurs => match self.disco.answer(&stanza) {
                Some(answer) => {
                    self.send(&answer);
                    None
                }
                None => Some(stanza),
            },
            Disposition::Unclaimed(refusal) => {
                self.engine.refuse(now, refusal);
                None
            }
            _ => None,
        }
    }

    fn lose(&mut self, failure: Failure) {
        self.engine.handle_disconnect(clock::now());
        self.lost = Some(failure);
    }

    fn silence_deadline(&self) -> Instant {
        self.heard + if self.asked { IDLE + PATIENCE } else { IDLE }
    }

    /// RFC 6120 § 4.6: a server that is gone without a word is noticed by asking it for one.
    fn watch_server(&mut self, now: Instant) {
        if now < self.silence_deadline() {
            return;
        }
        if self.asked {
            self.lose(self.connection.silent());
            return;
        }
        let domain = self.jid().domain().to_string();
        self.asked = true;
        let ping = self.disco.ping(PING_ID, &domain);
        self.send(&ping);
    }
}

/// Prints a report.
pub(crate) fn tell(output: Output, report: &Report<'_>) -> Result<(), Failure> {
    output.report(report).map_err(|e| Failure::other(format!("standard output cannot be written: {e}")))
}

/// Prints a remark for people.
pub(crate) fn note(output: Output, line: &str) -> Result<(), Failure> {
    output.note(line).map_err(|e| Failure::other(format!("standard output cannot be written: {e}")))
}
