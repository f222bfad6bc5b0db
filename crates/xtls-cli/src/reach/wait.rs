//! Looking for the peer, and waiting for one that is not there yet.

use std::future::pending;
use std::time::{Duration, Instant};

use xtls::{Application, Element};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_tokio::{CallError, Incoming};

use super::{confused_in, decline, is_for, not_found, usual};
use crate::args::Patience;
use crate::clock;
use crate::exit::Failure;
use crate::output::Report;
use crate::session::{Happening, Session};

/// How the search for the peer ended.
pub(super) enum Outcome {
    /// This resource has XTLS.
    Found(FullJid),
    /// The peer was quicker.
    Offered(Incoming),
}

/// Looks for a resource of the peer that has XTLS; with `patience` again and again.
///
/// # Errors
///
/// When there is none, or the time is over, or after Ctrl-C.
pub(super) async fn search(
    session: &mut Session,
    peer: &Jid,
    application: &Application,
    patience: Option<Patience>,
) -> Result<Outcome, Failure> {
    let mut watch = Watch { peer: peer.to_bare(), application, confused: None };
    let (handle, usual, wanted) = (session.handle.clone(), usual(&watch.peer), peer.to_full());
    let until = patience.and_then(|Patience(time)| time).map(|time| clock::now() + time);
    let mut pauses = Pauses::default();
    let mut told = None;
    loop {
        let next = clock::now() + pauses.next_pause();
        let bare = watch.peer.clone();
        let find = async {
            match &wanted {
                Some(full) => handle.ask(full).await.map(|()| full.clone()),
                None => handle.find_or_ask(&bare, &usual).await,
            }
        };
        let error = match watch.until(session, find, until).await? {
            Seen::Beside(Ok(full)) => return Ok(Outcome::Found(full)),
            Seen::Beside(Err(error)) => error,
            Seen::Offer(incoming) => return Ok(Outcome::Offered(incoming)),
            Seen::Time => CallError::Offline,
        };
        let failure = not_found(session, &watch.peer, &error, watch.confused.as_ref());
        // Another login of the peer may yet begin; the one that was named has said what it has.
        let is_there = matches!(error, CallError::NoXtls);
        let may_come = matches!(error, CallError::Offline) || is_there && wanted.is_none();
        if patience.is_none() || !may_come {
            return Err(failure);
        }
        let is_over = || until.is_some_and(|until| clock::now() >= until);
        let in_vain = |failure: Failure| {
            let message = format!("{}; it did not come while this waited", failure.message);
            Failure { message, ..failure }
        };
        if is_over() {
            return Err(in_vain(failure));
        }
        if told != Some(is_there) {
            told = Some(is_there);
            session.report(&Report::Waiting { peer: peer.as_str(), online: is_there })?;
        }
        match watch.pause(session, until.map_or(next, |until| next.min(until))).await? {
            Some(incoming) => return Ok(Outcome::Offered(incoming)),
            None if is_over() => return Err(in_vain(failure)),
            None => {}
        }
    }
}

/// How long it is from one search to the next: 2 s at first, then twice as long each time, and 30 s at most.
#[derive(Debug)]
struct Pauses(Duration);

impl Pauses {
    const LONGEST: Duration = Duration::from_secs(30);

    fn next_pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(Self::LONGEST);
        pause
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_secs(2))
    }
}

/// What is seen of the peer, and of what is waited for.
enum Seen<T> {
    Beside(T),
    /// The peer's own offer.
    Offer(Incoming),
    Time,
}

/// Whose doings are watched.
struct Watch<'a> {
    peer: BareJid,
    application: &'a Application,
    /// Whom servers may take for it.
    confused: Option<BareJid>,
}

impl Watch<'_> {
    async fn until<T>(
        &mut self,
        session: &mut Session,
        beside: impl Future<Output = T>,
        until: Option<Instant>,
    ) -> Result<Seen<T>, Failure> {
        let mut beside = std::pin::pin!(beside);
        loop {
            match session.next(&mut beside, until).await? {
                Happening::Beside(came) => return Ok(Seen::Beside(came)),
                Happening::Incoming(incoming) if self.awaits(&incoming) => return Ok(Seen::Offer(incoming)),
                Happening::Incoming(incoming) => decline(incoming, self.application),
                Happening::Stanza(stanza) => self.note(&stanza, session.jid()),
                Happening::Interrupted => return Err(Failure::interrupted()),
                Happening::Time => return Ok(Seen::Time),
                Happening::Notice(_) => {}
            }
        }
    }

    /// Waits until then, or until the peer shows itself; or for its offer, which is given back.
    async fn pause(&mut self, session: &mut Session, until: Instant) -> Result<Option<Incoming>, Failure> {
        loop {
            match session.next(pending::<()>(), Some(until)).await? {
                Happening::Incoming(incoming) if self.awaits(&incoming) => return Ok(Some(incoming)),
                Happening::Incoming(incoming) => decline(incoming, self.application),
                Happening::Stanza(stanza) if shows(&stanza, &self.peer) => return Ok(None),
                Happening::Stanza(stanza) => self.note(&stanza, session.jid()),
                Happening::Interrupted => return Err(Failure::interrupted()),
                Happening::Time => return Ok(None),
                Happening::Notice(_) | Happening::Beside(()) => {}
            }
        }
    }

    fn awaits(&self, incoming: &Incoming) -> bool {
        incoming.peer().to_bare() == self.peer && is_for(incoming, self.application)
    }

    fn note(&mut self, stanza: &Element, own: &FullJid) {
        if self.confused.is_none() {
            self.confused = confused_in(stanza, own, &self.peer);
        }
    }
}

/// Whether this presence shows that a client of the account is there.
fn shows(stanza: &Element, account: &BareJid) -> bool {
    let from = stanza.attribute("from").and_then(|from| from.parse::<FullJid>().ok());
    stanza.name() == "presence"
        && stanza.attribute("type").is_none()
        && from.is_some_and(|from| from.to_bare() == *account)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::Limits;

    use super::*;

    #[test]
    fn pauses_grow_from_two_seconds_to_thirty() {
        let mut pauses = Pauses::default();
        let seconds: Vec<u64> = (0..7).map(|_| pauses.next_pause().as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_peer_shows_itself_by_available_presence_of_one_of_its_resources() {
        let shown = |stanza: &str| {
            shows(&Element::parse(stanza, &Limits::default()).unwrap(), &"romeo@montague.lit".parse().unwrap())
        };
        assert!(shown("<presence from='romeo@montague.lit/x'/>"));
        for other in [
            "<presence from='romeo@montague.lit'/>",
            "<presence from='romeo@montague.lit/x' type='unavailable'/>",
            "<presence from='romeo@montague.lit/x' type='subscribe'/>",
            "<presence from='mercutio@montague.lit/x'/>",
            "<presence/>",
            "<message from='romeo@montague.lit/x'/>",
        ] {
            assert!(!shown(other), "{other}");
        }
    }
}
