//! How a link ended, and what the user can do about it.

use xtls::link::LinkClosed;
use xtls::link::{DirectFault, StartTlsFault};
use xtls::{CloseReason, Fault};
use xtls_stanza::jid::Jid;

use crate::exit::Failure;
use crate::session::{Own, STARTTLS_FAILURE, authentication_advice};

/// The stream error of a peer that does not want us (RFC 6120 § 4.9.3.14).
const UNWANTED: &str = "policy-violation";

/// Why a link did not end well, and what to do; `None` if it did. `from` says who it was if the link does not know;
/// `opened` whether it had been open.
pub(super) fn failure(closed: &LinkClosed, from: &str, opened: bool, own: &Own) -> Option<Failure> {
    let CloseReason::Fault(fault) = &closed.reason else { return None };
    let who = closed.peer.as_ref().map_or(from, |peer| peer.as_str());
    let bare = closed.peer.as_ref().map(Jid::to_bare);
    let failure = match &**fault {
        Fault::NotXmpp { looks_like } => {
            let what = looks_like.map(|what| format!(" (it looks like {what})")).unwrap_or_default();
            Failure::connection(format!(
                "{from} does not speak XMPP{what}, and nothing was said to it: check address and port"
            ))
        }
        Fault::NotAccepted => own.refused_by("link", who, "after the handshake"),
        Fault::Link(DirectFault::Reported(error)) if !opened && error.condition.name() == UNWANTED => {
            own.refused_by("link", who, "at once, and may take none from us")
        }
        Fault::StartTls(StartTlsFault::Refused) => own.refused_by("link", who, STARTTLS_FAILURE),
        Fault::OwnAddress => Failure::security(format!("{fault}: give both ends names of their own with --jid")),
        Fault::EndedEarly { stage, .. } if !opened => Failure::connection(format!(
            "{who} closed the connection {stage}: it may be busy, or no peer at all; check address and port, and try again"
        )),
        Fault::EndedEarly { .. } => {
            Failure::connection(format!("the link with {who} broke off: {fault}; what came last may be incomplete"))
        }
        Fault::Timeout { .. } => Failure::connection(format!("{who} does not answer: {fault}; check address and port")),
        Fault::Internal(_) => Failure::other(fault.to_string()),
        fault @ (Fault::NoTls | Fault::StartTls(_) | Fault::Link(_)) if fault.is_security() => {
            Failure::security(format!(
                "the link with {who} is not safe: {fault}; the connection may be intercepted, and nothing was sent"
            ))
        }
        fault @ Fault::Link(_) => Failure::connection(format!("the link with {who} broke off: {fault}")),
        fault => {
            let advice = bare.and_then(|bare| authentication_advice(fault, "link", who, &bare, own));
            advice.unwrap_or_else(|| Failure::connection(format!("the link with {who} broke off: {fault}; try again")))
        }
    };
    Some(match &closed.peer {
        Some(peer) => failure.about(peer),
        None => failure,
    })
}

/// Whether what came before the end may be a part only.
pub(super) fn is_truncated(closed: &LinkClosed) -> bool {
    match &closed.reason {
        CloseReason::Fault(fault) => matches!(**fault, Fault::EndedEarly { truncated: true, .. }),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use xtls::event::Side;
    use xtls::link::LinkEvent;
    use xtls::trust::Fingerprint;
    use xtls::{Terms, TrustPolicy};
    use xtls_testkit::{LinkPair, SIDES};

    use super::*;

    /// An initiating end that wants to ask its user needs TLS 1.3, which the receiving one does not have.
    #[test]
    fn a_peer_that_has_tls_1_2_only_where_tls_1_3_is_needed_is_told_so_and_nobody_in_between_is_blamed() {
        let mut pair = LinkPair::new(1);
        pair.tls12(Side::Responder);
        pair.start(Terms::new(TrustPolicy::Ask), Some(Terms::new(TrustPolicy::LeapOfFaith)));
        pair.run();
        let jid = "juliet@capulet.lit".parse().unwrap();
        let own = Own { jid, fingerprint: Fingerprint::sha256(b"juliet"), has_password: false };
        for side in SIDES {
            let events = pair.take_events(side);
            let Some(LinkEvent::Closed(closed)) = events.last() else { panic!("{events:?}") };
            let words = failure(closed, "somebody", false, &own).unwrap().message;
            assert!(words.contains("could not be secured") && words.contains("version of TLS"), "{words}");
            assert!(words.contains("its owner can update it") && !words.contains("trust"), "{words}");
            assert!(!words.contains("intercepted") && !words.contains("in between"), "{words}");
        }
    }
}
