//! The first tunnel that is secured, of those that are offered and those that come.

use std::sync::Arc;
use std::time::Instant;

use futures::future;
use xtls::{Application, CloseReason, Closed, EndedBy, Event, Security, jingle::ReasonCondition};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_tokio::{CallError, Incoming, Opening};

use super::{OFFER_TIME, accept, decline, is_for, reach};
use crate::args::Patience;
use crate::chat::no_answer;
use crate::clock;
use crate::exit::Failure;
use crate::output::Report;
use crate::session::{Happening, Rules, Session, Verdict};

/// The tunnels that were offered to peers and by them, of which the first that is secured is served.
pub(crate) struct Calls {
    pub(crate) rules: Rules,
    pub(crate) application: Application,
    /// Peers that the command line names.
    named: Vec<BareJid>,
    /// Tunnels that may become it: whoever stalls must not keep the others out.
    reached: Vec<Reached>,
    /// Offers are waited for, and one that fails does not end that.
    waits: bool,
    until: Option<Instant>,
}

impl Calls {
    /// None so far. With `waits`, offers of `named` peers are waited for, or of anybody if none is named.
    pub(crate) fn new(rules: Rules, application: Application, named: Vec<BareJid>, waits: bool) -> Self {
        Self { rules, application, named, reached: Vec::new(), waits, until: None }
    }

    /// Offers a tunnel to a peer, or takes the peer's own offer.
    ///
    /// # Errors
    ///
    /// As [`reach`].
    pub(crate) async fn call(
        &mut self,
        session: &mut Session,
        peer: &Jid,
        patience: Option<Patience>,
    ) -> Result<(), Failure> {
        self.reached.push(reach(session, &self.rules, &self.application, peer, patience).await?.into());
        Ok(())
    }

    /// The first tunnel that is secured; all others are turned away.
    ///
    /// # Errors
    ///
    /// When there is none to be had, or after Ctrl-C.
    pub(crate) async fn secured(&mut self, session: &mut Session) -> Result<(Opening, Arc<Security>), Failure> {
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
                    if awaited && is_for(&incoming, &self.application) {
                        self.until = None;
                        match accept(session, &self.rules, incoming) {
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

    /// Whether a peer offers bytes that are offered to it at the same time. Of two XML streams the engine keeps one.
    fn has_crossed(&self, incoming: &Incoming) -> bool {
        let offered = !self.waits && self.reached.iter().any(|reached| reached.peer == *incoming.peer());
        let is_bytes = matches!(self.application, Application::Bytes(_));
        offered && is_bytes && is_for(incoming, &self.application)
    }

    /// Two offers of bytes are two tunnels, unless both ends agree on one of them: that of the lower address.
    fn settle(&mut self, session: &Session, incoming: Incoming) -> Result<(), Failure> {
        if session.jid().canonical() < incoming.peer().canonical() {
            // XEP-0166 § 7.4: there is a session already, or there will be one. It may have been taken back meanwhile.
            let _ = incoming.reject(ReasonCondition::AlternativeSession);
            return Ok(());
        }
        self.call_off();
        self.reached.push(accept(session, &self.rules, incoming)?.into());
        Ok(())
    }

    /// Takes back what is not secured yet.
    fn call_off(&mut self) {
        self.reached.drain(..).for_each(|reached| reached.opening.begin_close());
    }

    fn turn_away(&self, session: &Session, incoming: Incoming, awaited: bool) {
        let is_stranger = self.waits && !awaited;
        let why = match self.application {
            _ if is_stranger => "--accept-from does not name it",
            Application::Bytes(_) => "it is not for bytes",
            _ => "it is not for messages and files",
        };
        if self.waits {
            let peer = incoming.peer().as_str();
            session.output.error_of(peer, &format!("a tunnel from {peer} was declined: {why}"));
        }
        if is_stranger {
            // An offer that was taken back meanwhile needs no answer.
            let _ = incoming.reject(ReasonCondition::Decline);
        } else {
            decline(incoming, &self.application);
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
