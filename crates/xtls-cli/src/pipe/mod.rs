//! `xtls pipe`: standard input and output through a tunnel, byte for byte.

pub(crate) mod flow;
pub(crate) mod streams;
mod tunnel;
mod ways;

use std::sync::Arc;
use std::time::Instant;

use futures::future;
use xtls::{Application, CloseReason, Closed, EndedBy, Event, Security, jingle::ReasonCondition};
use xtls_stanza::jid::{BareJid, FullJid};
use xtls_tokio::{CallError, Incoming, Opening};

use crate::args::PipeArgs;
use crate::chat::no_answer;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::platform::Signals;
use crate::reach::{self, OFFER_TIME};
use crate::session::{Connects, Happening, Rules, Session, Verdict};
use streams::Sink;
use tunnel::Carried;

pub(crate) async fn run(output: Output, data: &DataDir, args: &PipeArgs) -> Result<(), Failure> {
    let mut trust = data.trust()?;
    let named: Vec<BareJid> = args.peer.iter().map(|peer| peer.to_bare()).chain(args.accept_from.clone()).collect();
    let mut rules = Rules::from_args(&args.trust, &named, &mut trust)?;
    if args.peer.is_some() {
        let own = args.account.bare()?;
        named.iter().try_for_each(|peer| reach::check(&rules, &trust, &own, peer))?;
    }
    rules.ask(output, named.first().map_or("your peers", |peer| peer.as_str()))?;
    rules.warn(output);
    if args.peer.is_none() {
        rules.note_who_may_try(output, &args.accept_from)?;
    }
    let is_hidden = args.account.login.way.proxy.is_some();
    if let Some(slip) = args.transport.slip(is_hidden) {
        return Err(Failure::usage(slip));
    }
    let mut door = ways::open_door(&args.transport).await?;
    let connects = Connects { allowed: args.transport.connects() && !is_hidden, listener: door.listener.take() };
    let mut session = Session::start_with(output, data, &args.account, trust, &rules, connects).await?;
    rules.go_by(ways::transports(&session, &args.transport, door.endpoint(), &named).await?);
    session.allow_offers(&args.accept_from);
    let application = Application::bytes();
    let mut wait = Wait { rules, application, named, reached: Vec::new(), waits: args.peer.is_none(), until: None };
    let result = open_and_carry(&mut session, &mut wait, args).await;
    session.end().await;
    // The peer is told; what has come may still wait for a slow reader.
    let Carried { result, sink, rest } = result?;
    result.and(write_out(sink, rest).await)
}

/// Opens the tunnel and moves the bytes.
///
/// # Errors
///
/// When there is no tunnel, or it was not waited for its end.
async fn open_and_carry(session: &mut Session, wait: &mut Wait, args: &PipeArgs) -> Result<Carried, Failure> {
    if let Some(peer) = &args.peer {
        wait.reached
            .push(reach::reach(session, &wait.rules, &wait.application, peer, args.wait.patience).await?.into());
    }
    let (opening, security) = wait.secured(session).await?;
    let peer = opening.peer();
    session.report_secured_over(&peer, &security, opening.path().as_ref())?;
    session.greet(&peer).await;
    let tunnel = opening.into_tunnel().ok().and_then(|tunnel| tunnel.into_bytes().ok());
    let tunnel = tunnel.ok_or_else(|| Failure::other(format!("the tunnel with {peer} is not for bytes")))?;
    tunnel::carry(session, tunnel, &wait.application, args.close_on_eof).await
}

/// Which of these is secured first, or has ended.
async fn first(reached: &[Reached]) -> (usize, Result<Arc<Security>, Arc<Closed>>) {
    if reached.is_empty() {
        return future::pending().await;
    }
    let (result, at, _) = future::select_all(reached.iter().map(|reached| Box::pin(reached.opening.secured()))).await;
    match result {
        Ok(security) => (at, Ok(security)),
        Err(CallError::Closed(closed)) => (at, Err(closed)),
        // The connection to the server is gone, and the session reports that.
        Err(_) => future::pending().await,
    }
}

/// Writes what is left to standard output, which may take as long as its reader does.
///
/// # Errors
///
/// When it cannot be written, or after Ctrl-C.
pub(crate) async fn write_out(sink: Sink, rest: Vec<u8>) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|e| Failure::other(format!("signals cannot be handled: {e}")))?;
    tokio::select! {
        written = sink.finish(rest) => written.map_err(|e| {
            Failure::other(format!("standard output cannot be written: {e}; what came after that is lost"))
        }),
        () = signals.next() => Err(Failure::interrupted()),
    }
}

/// A tunnel that was offered or taken, and with whom it was last known to be.
struct Reached {
    opening: Opening,
    peer: FullJid,
}

impl From<Opening> for Reached {
    fn from(opening: Opening) -> Self {
        Self { peer: opening.peer(), opening }
    }
}

/// Waiting for the one tunnel that is served.
struct Wait {
    rules: Rules,
    application: Application,
    /// Peers that the command line names.
    named: Vec<BareJid>,
    /// Tunnels that may become it: whoever stalls must not keep the others out.
    reached: Vec<Reached>,
    /// Offers are waited for, and one that fails does not end that.
    waits: bool,
    until: Option<Instant>,
}

impl Wait {
    /// The first tunnel that is secured; all others are turned away.
    ///
    /// # Errors
    ///
    /// When there is none to be had, or after Ctrl-C.
    async fn secured(&mut self, session: &mut Session) -> Result<(Opening, Arc<Security>), Failure> {
        loop {
            match session.next(first(&self.reached), self.until).await? {
                Happening::Incoming(incoming) if self.has_crossed(&incoming) => {
                    self.settle(session, incoming)?;
                }
                Happening::Incoming(incoming) => {
                    let bare = incoming.peer().to_bare();
                    let awaited = if self.waits {
                        self.named.is_empty() || self.named.contains(&bare)
                    } else {
                        self.until.is_some() && self.named.contains(&bare)
                    };
                    if awaited && reach::is_for(&incoming, &self.application) {
                        self.until = None;
                        match reach::accept(session, &self.rules, incoming) {
                            Ok(opening) => self.reached.push(opening.into()),
                            Err(failure) if self.waits => session.output.failure(&failure),
                            Err(failure) => return Err(failure),
                        }
                    } else {
                        self.turn_away(session, incoming, awaited);
                    }
                }
                Happening::Notice(Event::Redirected { id, peer }) => {
                    if let Some(reached) = self.reached.iter_mut().find(|reached| reached.opening.id() == id) {
                        session.report(&Report::Redirected { peer: reached.peer.as_str(), to: peer.as_str() })?;
                        reached.peer = peer;
                    }
                }
                Happening::Beside((at, Ok(security))) => {
                    let served = self.reached.swap_remove(at);
                    self.reached.drain(..).for_each(|other| other.opening.abort(ReasonCondition::Busy));
                    return Ok((served.opening, security));
                }
                Happening::Beside((at, Err(closed))) => {
                    self.reached.swap_remove(at);
                    self.closed(session, &closed)?;
                }
                Happening::Notice(_) | Happening::Stanza(_) => {}
                Happening::Time => return Err(self.no_offer()),
                // Nothing is open that could end in order; `Session::end` sends what these say.
                Happening::Interrupted => {
                    self.call_off();
                    return Err(Failure::interrupted());
                }
            }
        }
    }

    /// Whether a peer offers what is offered to it at the same time.
    fn has_crossed(&self, incoming: &Incoming) -> bool {
        let offered = !self.waits && self.reached.iter().any(|reached| reached.peer == *incoming.peer());
        offered && reach::is_for(incoming, &self.application)
    }

    /// Two offers of bytes are two tunnels, unless both ends agree on one of them: that of the lower address.
    fn settle(&mut self, session: &Session, incoming: Incoming) -> Result<(), Failure> {
        if session.jid().canonical() < incoming.peer().canonical() {
            // XEP-0166 § 7.4: there is a session already, or there will be one. It may have been taken back meanwhile.
            let _ = incoming.reject(ReasonCondition::AlternativeSession);
            return Ok(());
        }
        self.call_off();
        self.reached.push(reach::accept(session, &self.rules, incoming)?.into());
        Ok(())
    }

    /// Takes back what is not secured yet.
    fn call_off(&mut self) {
        self.reached.drain(..).for_each(|reached| reached.opening.begin_close());
    }

    fn turn_away(&self, session: &Session, incoming: Incoming, awaited: bool) {
        let is_stranger = self.waits && !awaited;
        let why = if is_stranger { "--accept-from does not name it" } else { "it is not for bytes" };
        if self.waits {
            let peer = incoming.peer().as_str();
            session.output.error_of(peer, &format!("a tunnel from {peer} was declined: {why}"));
        }
        if is_stranger {
            // An offer that was taken back meanwhile needs no answer.
            let _ = incoming.reject(ReasonCondition::Decline);
        } else {
            reach::decline(incoming, &self.application);
        }
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<(), Failure> {
        let verdict = Verdict::of(closed, session.own());
        let prefers_its_own = closed.by == EndedBy::Remote
            && matches!(&closed.reason, CloseReason::Terminated(reason)
                if reason.condition == ReasonCondition::AlternativeSession);
        if matches!(verdict, Verdict::GaveWay) || prefers_its_own && !self.waits {
            self.until = Some(clock::now() + OFFER_TIME);
            return Ok(());
        }
        session.report_closed(closed)?;
        match verdict {
            Verdict::Failed(failure) if self.waits => session.output.failure(&failure),
            Verdict::Failed(failure) => return Err(failure),
            // What the server said comes next.
            Verdict::Disconnected => {}
            Verdict::Done | Verdict::GaveWay if self.waits => {}
            Verdict::Done | Verdict::GaveWay => return Err(no_answer(&closed.peer)),
        }
        Ok(())
    }

    fn no_offer(&self) -> Failure {
        let peer = self.named.first().map_or("the peer", |peer| peer.as_str());
        Failure::connection(format!("{peer} began a tunnel of its own and does not go on with it: try again"))
    }
}
