//! Getting a tunnel to a peer that the command line names.

use xtls::tls::UnixTime;
use xtls::{
    Application,
    config::SecurityLimits,
    error::{InitiateError, TermsError},
    jingle::{BYTES_0_NS, BYTES_NS, Description, ReasonCondition},
    trust::{Guess, TrustRecord, TrustStore},
};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_tokio::{CallError, Incoming, Opening};

use crate::clock;
use crate::data::TrustFile;
use crate::exit::Failure;
use crate::output::Report;
use crate::session::{Happening, Progress, Rules, Search, Session, password_locked};

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

/// Offers a tunnel to the peer, or takes the peer's own offer if it was quicker.
///
/// # Errors
///
/// When the peer cannot be found, or nothing can be offered to it, or after Ctrl-C.
pub(crate) async fn reach(
    session: &mut Session,
    rules: &Rules,
    application: &Application,
    peer: &Jid,
) -> Result<Opening, Failure> {
    let (peer, is_known) = match peer.to_full() {
        Some(full) => (full, false),
        None => {
            match search(session, Search::new(peer.to_bare(), session.jid().clone(), clock::now()), application).await?
            {
                Outcome::Found(full) => (full, true),
                Outcome::Offered(incoming) => return accept(session, rules, incoming),
            }
        }
    };
    // Two offers at once are settled by the engine, unless one has come before the other is made.
    while let Some(incoming) = session.offered() {
        if incoming.peer().to_bare() == peer.to_bare() && is_for(&incoming, application) {
            return accept(session, rules, incoming);
        }
        decline(incoming, application);
    }
    let mut options = rules.options(application.clone());
    // A search has asked already. Raw bytes have two versions, and the engine looks itself which of them the peer has.
    options.check_support = !is_known || matches!(application, Application::Bytes(_));
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

/// How the search for the peer ended.
enum Outcome {
    /// This resource has XTLS.
    Found(FullJid),
    /// The peer was quicker.
    Offered(Incoming),
}

/// Looks for a resource of the peer that has XTLS.
async fn search(session: &mut Session, mut search: Search, application: &Application) -> Result<Outcome, Failure> {
    loop {
        let happening = session.next(std::future::pending::<()>(), Some(search.deadline())).await?;
        let progress = match happening {
            Happening::Stanza(stanza) => search.handle(&stanza, clock::now()),
            Happening::Time => search.handle_timeout(clock::now()),
            Happening::Incoming(incoming) => {
                if incoming.peer().to_bare() == *search.peer() && is_for(&incoming, application) {
                    return Ok(Outcome::Offered(incoming));
                }
                decline(incoming, application);
                Progress::Searching
            }
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Notice(_) | Happening::Beside(()) => Progress::Searching,
        };
        match progress {
            Progress::Searching => {}
            Progress::Ask(question) => session.send(&question).await,
            Progress::Found(full) => return Ok(Outcome::Found(full)),
            Progress::WithoutXtls => return Err(without_xtls(search.peer())),
            Progress::Offline => return Err(offline(search.peer(), search.confused())),
            Progress::Another(other) => return Err(another(search.peer().as_str(), &other)),
        }
    }
}

/// The peer is there and does not tell of XTLS.
pub(crate) fn without_xtls(peer: &Jid) -> Failure {
    Failure::security(format!("{peer} is online without XTLS, or a server hides it; its owner can run: xtls listen"))
        .about(peer)
}

/// The peer is not to be seen; `confused` is, whose address servers may take for the peer's.
pub(crate) fn offline(peer: &Jid, confused: Option<&BareJid>) -> Failure {
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

fn cannot_open(e: &CallError, session: &Session, peer: &FullJid) -> Failure {
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
