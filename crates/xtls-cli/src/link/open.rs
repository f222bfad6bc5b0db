//! Bringing a link to where stanzas can be exchanged.

use std::cell::Cell;

use jid::{BareJid, Jid};
use xtls::{LinkClosed, LinkEvent, TrustDecision};

use super::end::End;
use super::verdict;
use crate::clock;
use crate::exit::Failure;
use crate::output::{Report, Secured};
use crate::wire::Wire;

/// Who is let in.
pub(super) struct Guests<'a> {
    /// Peers that the command line names. If it names some, nobody else is taken.
    pub(super) named: &'a [BareJid],
    /// Somebody is being served.
    pub(super) busy: &'a Cell<bool>,
}

/// Sees to a link until it is open; then the peer is being served.
///
/// # Errors
///
/// Why it did not come to that. `from` says who it was if the link does not know.
pub(super) async fn open(end: &End, wire: &mut Wire, guests: &Guests<'_>, from: &str) -> Result<(), Failure> {
    let (mut refused, mut serves) = (None, false);
    loop {
        let event = wire.event().await;
        end.tell_of_memory();
        let now = clock::now();
        match event {
            LinkEvent::Incoming { peer } => refused = incoming(end, wire, guests, &peer)?,
            LinkEvent::TrustRequired { certificate, .. } => {
                let peer = wire.link.peer().map(Jid::to_bare);
                let accept =
                    peer.is_some_and(|peer| end.vouches_for(&certificate, &peer, guests.named.contains(&peer)));
                let decision = if accept { TrustDecision::Accept } else { TrustDecision::Refuse };
                // It was asked just now.
                let _ = wire.link.trust(now, decision);
            }
            // The password was asked for before, if there is one.
            LinkEvent::PasswordRequired => drop(wire.link.provide_password(now, None)),
            LinkEvent::Secured(security) if !guests.busy.replace(true) => {
                serves = true;
                let peer = wire.link.peer().map_or(from, |peer| peer.as_str());
                end.report(&Report::Secured(Secured::new(peer, &security)))?;
            }
            LinkEvent::Secured(_) => {
                refused = Some(Failure::connection(format!("{from} was turned away: somebody else is being served")));
                wire.link.close(now);
            }
            LinkEvent::Opened if refused.is_none() => return end.report(&Report::StreamOpen),
            LinkEvent::Closed(closed) => {
                if serves {
                    guests.busy.set(false);
                }
                report_closed(end, &closed, 0)?;
                let why = verdict::failure(&closed, from, false);
                let why = refused.or(why);
                return Err(why.unwrap_or_else(|| Failure::connection(format!("the link with {from} was called off"))));
            }
            _ => {}
        }
    }
}

/// Decides on a peer; gives back why it was refused.
fn incoming(end: &End, wire: &mut Wire, guests: &Guests<'_>, peer: &Jid) -> Result<Option<Failure>, Failure> {
    let now = clock::now();
    if guests.busy.get() {
        // Nothing is said: between strangers there is no word for this.
        wire.link.abort(now);
        return Ok(Some(Failure::connection(format!("{peer} was turned away: somebody else is being served"))));
    }
    let bare = peer.to_bare();
    let why = if !guests.named.is_empty() && !guests.named.contains(&bare) {
        "--accept-from does not name it".to_owned()
    } else {
        end.report(&Report::Incoming { peer: peer.as_str() })?;
        match wire.link.accept(now, end.terms()) {
            Ok(()) => return Ok(None),
            Err(e) => e.to_string(),
        }
    };
    // It was asked just now.
    let _ = wire.link.refuse(now);
    Ok(Some(Failure::security(format!("a link from {peer} was refused: {why}"))))
}

/// Tells how a link ended.
pub(super) fn report_closed(end: &End, closed: &LinkClosed, unacked: u64) -> Result<(), Failure> {
    end.report(&Report::Closed {
        by: closed.by.as_str(),
        reason: &closed.reason.to_string(),
        truncated: verdict::is_truncated(closed),
        unacked,
    })
}
