//! Getting a tunnel to a peer that the command line names.

mod first;
mod wait;

use std::time::Duration;

use xtls::tls::UnixTime;
use xtls::{
    Application, Element,
    config::SecurityLimits,
    error::{InitiateError, TermsError},
    jingle::{BYTES_0_NS, BYTES_NS, Description, ReasonCondition},
    trust::{Guess, TrustRecord, TrustStore},
};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_tokio::{CallError, Incoming, Opening};

use crate::account::RESOURCE;
use crate::args::Patience;
use crate::clock;
use crate::data::TrustFile;
use crate::exit::Failure;
use crate::output::Report;
use crate::session::{Happening, Rules, Session, password_locked};
pub(crate) use first::Calls;
use wait::Outcome;

/// How long the peer's offer may take when ours gave way to it.
pub(crate) const OFFER_TIME: Duration = Duration::from_secs(30);

/// Whether what an offer is for is this application.
pub(crate) fn is_for(incoming: &Incoming, application: &Application) -> bool {
    let is_bytes = |description: &Description| matches!(description.ns(), BYTES_NS | BYTES_0_NS);
    match (incoming.application(), application) {
        (Application::Bytes(offered), Application::Bytes(ours)) => is_bytes(offered) && is_bytes(ours),
        (offered, ours) => offered == ours,
    }
}

/// Ends the command before anything is sent, if a tunnel with the peer cannot come about.
///
/// # Errors
///
/// A security failure that says what is missing; another one when the trust file cannot be read.
pub(crate) fn check(rules: &Rules, trust: &TrustFile, own: &BareJid, peer: &BareJid) -> Result<(), Failure> {
    let known = known(trust, peer)?;
    if !rules.may_trust(&known) {
        // Files from before addresses were those of RFC 7622 may have what was trusted under the other one.
        let confused = trust.known().iter().find(|(other, record)| {
            !record.pins.is_empty() && Jid::from((*other).clone()).is_confused_with(&Jid::from(peer.clone()))
        });
        let other = confused.map_or_else(String::new, |(other, _)| {
            format!("; one of {other} is, which is another address, although older software takes both for one")
        });
        return Err(Failure::security(format!(
            "no certificate of {peer} is trusted{other}: get its fingerprint from its owner (xtls identity), then: \
             xtls trust add {peer} FINGERPRINT; or share a password with it: --srp-password-prompt"
        ))
        .about(peer));
    }
    if rules.may_trust_certificate(&known) {
        return Ok(());
    }
    match locked_until(trust, own, peer)? {
        Some(until) => Err(password_locked(peer, until)),
        None => Ok(()),
    }
}

/// What is known of a peer.
///
/// # Errors
///
/// When the trust file cannot be read.
pub(crate) fn known(trust: &TrustFile, peer: &BareJid) -> Result<TrustRecord, Failure> {
    trust.record(peer).map_err(|e| Failure::other(e.to_string()))
}

/// Why the trust file could not be read just now. The libraries only say that it could not.
pub(crate) fn unreadable(trust: &TrustFile, peer: &BareJid) -> Failure {
    let why = known(trust, peer).err();
    why.unwrap_or_else(|| Failure::other(format!("what is known of {peer} could not be read: try again")))
}

/// Offers a tunnel to the peer, or takes the peer's own offer if it was quicker. Waits for a peer that is not there yet, with so much
/// `patience`.
///
/// # Errors
///
/// When the peer cannot be found, or nothing can be offered to it, or after Ctrl-C.
pub(crate) async fn reach(
    session: &mut Session,
    rules: &Rules,
    application: &Application,
    peer: &Jid,
    patience: Option<Patience>,
) -> Result<Opening, Failure> {
    // It may look for us at the same time, and is to find us whatever is known of it.
    session.allow_offers(&[peer.to_bare()]);
    let (peer, is_known) = match peer.to_full().filter(|_| patience.is_none()) {
        Some(full) => (full, false),
        None => match wait::search(session, peer, application, patience).await? {
            Outcome::Found(full) => (full, true),
            Outcome::Offered(incoming) => return accept(session, rules, incoming),
        },
    };
    // Two offers at once are settled by the engine, unless one has come before the other is made.
    while let Some(incoming) = session.offered() {
        if incoming.peer().to_bare() == peer.to_bare() && is_for(&incoming, application) {
            return accept(session, rules, incoming);
        }
        decline(incoming, application);
    }
    let mut options = rules.options(application.clone());
    // A search has asked already.
    options.check_support = !is_known || options.depends_on_features();
    let opening = session.handle.open(peer.clone(), options);
    opening.map_err(|e| cannot_open(&e, session, &peer))
}

/// Takes an offer, whatever it is for.
///
/// # Errors
///
/// When it does not stand any more.
pub(crate) fn accept(session: &Session, rules: &Rules, incoming: Incoming) -> Result<Opening, Failure> {
    let peer = incoming.peer().clone();
    session.report(&Report::Incoming { peer: peer.as_str() })?;
    let options = rules.options(incoming.application().clone());
    incoming.open(options).map_err(|e| {
        Failure::connection(format!("the offer of {peer} cannot be accepted: {e}; try again")).about(&peer)
    })
}

/// Declines an offer that is not `awaited`: with what fits, if it is for another application.
pub(crate) fn decline(incoming: Incoming, awaited: &Application) {
    let condition =
        if is_for(&incoming, awaited) { ReasonCondition::Busy } else { ReasonCondition::UnsupportedApplications };
    // An offer that was taken back meanwhile needs no answer.
    let _ = incoming.reject(condition);
}

/// Waits for the offer of a peer to which ours gave way, and takes it.
///
/// # Errors
///
/// When it does not come in time, or after Ctrl-C.
pub(crate) async fn offer_of(
    session: &mut Session,
    rules: &Rules,
    application: &Application,
    peer: &FullJid,
) -> Result<Opening, Failure> {
    let until = clock::now() + OFFER_TIME;
    loop {
        match session.next(std::future::pending::<()>(), Some(until)).await? {
            Happening::Incoming(incoming) if incoming.peer() == peer && is_for(&incoming, application) => {
                return accept(session, rules, incoming);
            }
            Happening::Incoming(incoming) => decline(incoming, application),
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Time => return Err(crate::chat::no_answer(peer)),
            Happening::Beside(()) | Happening::Notice(_) | Happening::Stanza(_) => {}
        }
    }
}

/// The resource that this command takes where none is given: it is asked although it may not show itself to us.
pub(crate) fn usual(peer: &BareJid) -> Vec<FullJid> {
    format!("{peer}/{RESOURCE}").parse().into_iter().collect()
}

/// The account that this presence shows, if servers may take its address for the peer's (RFC 7622 § 5). It may be another contact of the
/// user, so it only counts while nothing is seen of the peer.
pub(crate) fn confused_in(stanza: &Element, own: &FullJid, peer: &BareJid) -> Option<BareJid> {
    let from: FullJid = stanza.attribute("from")?.parse().ok()?;
    let is_online = stanza.name() == "presence" && stanza.attribute("type").is_none();
    let (bare, is_own) = (from.to_bare(), from == *own);
    (is_online && !is_own && Jid::from(bare.clone()).is_confused_with(&peer.clone().into())).then_some(bare)
}

/// Why no resource of the peer was found; `confused` is whom servers may take for it.
pub(crate) fn not_found(session: &Session, peer: &BareJid, error: &CallError, confused: Option<&BareJid>) -> Failure {
    match error {
        CallError::Offline => offline(peer, confused),
        CallError::NoXtls => without_xtls(&peer.clone().into()),
        CallError::Another(other) => another(peer.as_str(), other),
        // The connection to the server is gone, and that is what to tell.
        e => session.lost().unwrap_or_else(|| Failure::other(format!("{peer} cannot be looked for: {e}"))),
    }
}

/// The peer is there and does not tell of XTLS.
pub(crate) fn without_xtls(peer: &Jid) -> Failure {
    Failure::security(format!("{peer} is online without XTLS, or a server hides it; its owner can run: xtls listen"))
        .about(peer)
}

/// The peer is not to be seen; `confused` is, whose address servers may take for the peer's.
fn offline(peer: &BareJid, confused: Option<&BareJid>) -> Failure {
    let other = confused.map_or_else(String::new, |other| {
        format!(
            "; {other} is, which is another address, although older servers take both for one: if that is whom you mean, give \
             that address"
        )
    });
    Failure::connection(format!(
        "{peer} is not online, or does not let this account see it: ask its owner, or give a full address{other}"
    ))
    .about(peer)
}

/// What was sent to the peer was answered by somebody else.
pub(crate) fn another(peer: &str, other: &Jid) -> Failure {
    Failure::security(format!(
        "{other} answers what is sent to {peer}: a server takes the one address for the other, so that {peer} cannot be reached \
         over it. If {other} is whom you mean, give that address"
    ))
    .about(peer)
}

/// Until when no password is tried between your address and a peer, as the engine counts them.
///
/// # Errors
///
/// When the trust file cannot be read.
pub(crate) fn locked_until(trust: &TrustFile, own: &BareJid, peer: &BareJid) -> Result<Option<UnixTime>, Failure> {
    trust.locked_until(own, peer, &guess()).map_err(|e| Failure::other(e.to_string()))
}

/// A guess that would be made now, under the engine's limits.
pub(crate) fn guess() -> Guess {
    Guess::new(clock::unix(), SecurityLimits::default().guesses)
}

pub(crate) fn cannot_open(e: &CallError, session: &Session, peer: &FullJid) -> Failure {
    match e {
        CallError::Initiate(e) => cannot_initiate(*e, &session.jid().to_bare(), peer, &session.trust()),
        // The connection to the server is gone, and that is what to tell.
        e => session.lost().unwrap_or_else(|| Failure::other(format!("no tunnel to {peer} can be opened: {e}"))),
    }
}

fn cannot_initiate(e: InitiateError, own: &BareJid, peer: &FullJid, trust: &TrustFile) -> Failure {
    let bare = peer.to_bare();
    match e {
        InitiateError::Terms(TermsError::PasswordLocked) => {
            let until = locked_until(trust, own, &bare).ok().flatten();
            let without = || Failure::security(format!("no tunnel to {peer} can be opened: {e}"));
            until.map_or_else(without, |until| password_locked(&bare, until))
        }
        InitiateError::Terms(TermsError::Store) => unreadable(trust, &bare),
        InitiateError::Terms(e @ TermsError::UserName) => {
            Failure::usage(format!("{e}: go without the password, with the fingerprint of {bare}"))
        }
        InitiateError::Terms(TermsError::NotPinned) => {
            Failure::security(format!("no certificate of {peer} is trusted: xtls trust add"))
        }
        InitiateError::OwnAddress => Failure::usage(format!("{peer} is this very login: name another address")),
        e => Failure::other(format!("no tunnel to {peer} can be opened: {e}")),
    }
    .about(peer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use xtls_stanza::Limits;

    use super::*;

    #[test]
    fn an_account_online_that_a_server_takes_for_the_peer_is_remembered() {
        let own: FullJid = "juliet@capulet.lit/balcony".parse().unwrap();
        let confused = |presence: &str, peer: &str| {
            confused_in(&Element::parse(presence, &Limits::default()).unwrap(), &own, &peer.parse().unwrap())
        };
        let peer = "romeo@straße.example";
        let other = "<presence from='romeo@strasse.example/x'/>";
        assert_eq!(confused(other, peer), Some("romeo@strasse.example".parse().unwrap()));
        for (presence, peer) in [
            ("<presence from='mercutio@strasse.example/x'/>", peer),
            ("<presence type='unavailable' from='romeo@strasse.example/x'/>", peer),
            ("<message from='romeo@strasse.example/x'/>", peer),
            ("<presence from='romeo@straße.example/x'/>", peer),
            ("<presence from='juliet@capulet.lit/balcony'/>", "juliet@capulet.lit"),
            (other, "romeo@montague.lit"),
        ] {
            assert_eq!(confused(presence, peer), None, "{presence}");
        }
    }
}
