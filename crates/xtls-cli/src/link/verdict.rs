//! How a link ended, and what a person can do about it.

use jid::Jid;
use xtls::{DirectFault, LinkClosed, LinkFault, LinkReason};

use crate::exit::Failure;
use crate::session::authentication_advice;

/// The stream error of a peer that does not want us (RFC 6120 § 4.9.3.14).
const UNWANTED: &str = "policy-violation";

/// Why a link did not end well, and what to do; `None` if it did. `from` says who it was if the link does not know;
/// `opened` whether it had been open.
pub(super) fn failure(closed: &LinkClosed, from: &str, opened: bool) -> Option<Failure> {
    let LinkReason::Fault(fault) = &closed.reason else { return None };
    let who = closed.peer.as_ref().map_or(from, |peer| peer.as_str());
    let bare = closed.peer.as_ref().map(Jid::to_bare);
    Some(match &**fault {
        LinkFault::NotXmpp { looks_like } => {
            let what = looks_like.map(|what| format!(" (it looks like {what})")).unwrap_or_default();
            Failure::connection(format!(
                "{from} speaks something else than XMPP{what}, and nothing was said to it: check address and port"
            ))
        }
        LinkFault::Authentication(fault) => {
            let advice = bare.and_then(|bare| authentication_advice(fault, "link", who, &bare));
            advice.unwrap_or_else(|| Failure::connection(format!("the link with {who} broke off: {fault}; try again")))
        }
        LinkFault::NotAccepted => unwanted(who),
        LinkFault::Stream(DirectFault::Reported(error)) if !opened && error.condition.name() == UNWANTED => {
            unwanted(who)
        }
        LinkFault::OwnAddress => Failure::security(format!("{fault}: give both ends names of their own with --jid")),
        LinkFault::EndedEarly { stage, .. } if !opened => Failure::connection(format!(
            "{who} closed the connection {stage}: it may be busy, or no peer at all; check address and port, and try again"
        )),
        LinkFault::EndedEarly { .. } => {
            Failure::connection(format!("the link with {who} broke off: {fault}; what came last may be incomplete"))
        }
        LinkFault::Timeout { .. } => {
            Failure::connection(format!("{who} does not answer: {fault}; check address and port"))
        }
        fault if fault.is_security() => Failure::security(format!(
            "the link with {who} is not safe: {fault}; somebody may be in between, and nothing was sent"
        )),
        LinkFault::Internal(_) => Failure::other(fault.to_string()),
        fault => Failure::connection(format!("the link with {who} broke off: {fault}")),
    })
}

/// Whether what came before the end may be a part only.
pub(super) fn is_truncated(closed: &LinkClosed) -> bool {
    match &closed.reason {
        LinkReason::Fault(fault) => matches!(**fault, LinkFault::EndedEarly { truncated: true, .. }),
        _ => false,
    }
}

fn unwanted(who: &str) -> Failure {
    Failure::security(format!(
        "{who} refused the link: it takes none from us, or neither trusts our certificate nor shares a password with us; \
         give its owner the fingerprint that this shows: xtls identity"
    ))
}
