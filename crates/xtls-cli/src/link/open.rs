//! Bringing a link to where stanzas can be exchanged.

use std::cell::Cell;

use xtls::error::TermsError;
use xtls::link::{Link, LinkAcceptError, LinkClosed, LinkEvent};
use xtls_stanza::jid::{BareJid, Jid};

use super::Wire;
use super::end::End;
use super::verdict;
use crate::exit::Failure;
use crate::output::{self, Report, Secured};
use crate::reach;
use crate::wire;

/// Who is let in.
pub(super) struct Guests<'a> {
    /// Peers that the command line names. If it names some, nobody else is taken.
    pub(super) named: &'a [BareJid],
    /// Somebody is being served.
    pub(super) busy: &'a Cell<bool>,
}

/// Whether a link is open, and else why it did not come to that.
pub(super) type Opened = Result<(), Failure>;

/// Sees to a link until it is open; then the peer is being served. `from` says who it was if the link does not know.
///
/// # Errors
///
/// When this end cannot go on: nothing can be told any more.
pub(super) async fn open(end: &End, wire: &mut Wire, guests: &Guests<'_>, from: &str) -> Result<Opened, Failure> {
    let (mut refused, mut serves) = (None, false);
    loop {
        let event = wire::event(wire).await;
        match event {
            LinkEvent::Incoming { peer } => refused = incoming(end, wire, guests, &peer)?,
            LinkEvent::StoreFailed { error } => end.store_failed(wire.link(), &error),
            // The password was asked for before, if there is one.
            LinkEvent::PasswordRequired => drop(wire.with_link(|link, now| link.provide_password(now, None))),
            LinkEvent::Secured { security } if !guests.busy.replace(true) => {
                serves = true;
                let peer = wire.link().peer().map_or(from, |peer| peer.as_str());
                end.report(&Report::Secured(Secured::new(peer, &security)))?;
            }
            LinkEvent::Secured { .. } => {
                refused = Some(Failure::connection(format!("{from} was turned away: somebody else is being served")));
                wire.with_link(Link::close);
            }
            LinkEvent::StreamOpened if refused.is_none() => {
                let peer = wire.link().peer().map_or(from, |peer| peer.as_str());
                return end.report(&Report::StreamOpen { peer }).map(Ok);
            }
            LinkEvent::Closed(closed) => {
                if serves {
                    guests.busy.set(false);
                }
                report_closed(end, &closed, from, 0)?;
                let why = refused.or_else(|| verdict::failure(&closed, from, false, &end.own()));
                let called_off = || Failure::connection(format!("the link with {from} was called off"));
                let why = why.unwrap_or_else(called_off);
                return Ok(Err(match &closed.peer {
                    Some(peer) => why.about(peer),
                    None => why,
                }));
            }
            _ => {}
        }
    }
}

/// Decides on a peer; gives back why it was refused.
fn incoming(end: &End, wire: &mut Wire, guests: &Guests<'_>, peer: &Jid) -> Result<Option<Failure>, Failure> {
    if guests.busy.get() {
        // Nothing is said: between strangers there is no word for this.
        wire.with_link(Link::abort);
        return Ok(Some(Failure::connection(format!("{peer} was turned away: somebody else is being served"))));
    }
    let bare = peer.to_bare();
    let refused = |why: &str| Failure::security(format!("a link from {peer} was refused: {why}"));
    let why = if !guests.named.is_empty() && !guests.named.contains(&bare) {
        refused("--accept-from does not name it")
    } else {
        end.report(&Report::Incoming { peer: peer.as_str() })?;
        match wire.with_link(|link, now| link.accept(now, end.terms())) {
            Ok(()) => return Ok(None),
            Err(LinkAcceptError::Terms(TermsError::Store)) => reach::unreadable(&end.trust(), &bare),
            Err(LinkAcceptError::Terms(TermsError::NotPinned)) => refused(&format!(
                "no certificate of it is trusted: get the fingerprint of its certificate from its owner, then: xtls trust \
                 add {bare} FINGERPRINT"
            )),
            Err(e) => refused(&e.to_string()),
        }
    };
    // It was asked just now.
    let _ = wire.with_link(|link, now| link.refuse(now));
    Ok(Some(why))
}

/// Tells how a link ended; `from` says where it came from if the other end never said who it is.
pub(super) fn report_closed(end: &End, closed: &LinkClosed, from: &str, unacked: u64) -> Result<(), Failure> {
    let peer = closed.peer.as_ref().map(|peer| peer.as_str());
    end.report(&Report::Closed(output::Closed {
        peer,
        address: peer.is_none().then_some(from),
        by: closed.by.as_str(),
        reason: &closed.reason.to_string(),
        truncated: verdict::is_truncated(closed),
        unacked,
        receipt: None,
    }))
}
