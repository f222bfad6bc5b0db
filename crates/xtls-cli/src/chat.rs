//! `xtls chat`: opens a tunnel to a peer.

use std::time::{Duration, Instant};

use jid::{BareJid, FullJid, Jid};
use xtls::{Application, Config, Event, Incoming, InitiateError, Reason, ReasonCondition, TrustRecord, TrustStore};

use crate::args::ChatArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session::{
    Conversation, Happening, Input, Lines, Progress, Rules, Search, Session, Verdict, password_locked,
};

/// How long the orderly end may take; the engine's own timers are shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How long the peer's offer may take when ours gave way to it.
const OFFER_TIME: Duration = Duration::from_secs(30);

pub(crate) async fn run(output: Output, data: &DataDir, args: &ChatArgs) -> Result<(), Failure> {
    let mut rules = Rules::from_args(&args.trust)?;
    let trust = data.trust()?;
    let bare = args.peer.to_bare();
    let known = trust.record(&bare);
    if !rules.may_trust(&known) {
        return Err(Failure::security(format!(
            "no certificate of {bare} is trusted: get its fingerprint from its owner (xtls identity), then: \
             xtls trust add {bare} FINGERPRINT; or share a password with it: --srp-password-prompt"
        )));
    }
    if !rules.may_trust_certificate(&known)
        && let Some(failure) = locked(&known, &bare)
    {
        return Err(failure);
    }
    rules.ask(output, bare.as_str())?;
    rules.warn(output);
    let mut session = Session::start(output, data, &args.account, trust).await?;
    session.lines = Lines::start();
    let mut conversation = Conversation::new(rules, vec![bare], false);
    let result = chat(&mut session, &mut conversation, &args.peer).await;
    session.end().await;
    result
}

async fn chat(session: &mut Session, conversation: &mut Conversation, peer: &Jid) -> Result<(), Failure> {
    let (peer, is_known) = match peer.try_as_full() {
        Ok(full) => (full.clone(), false),
        Err(bare) => match search(session, Search::new(bare.clone(), session.jid().clone(), clock::now())).await? {
            Outcome::Found(full) => (full, true),
            Outcome::Offered(incoming) => {
                let peer = incoming.peer.clone();
                accept(session, conversation, incoming)?;
                return talk(session, conversation, &peer).await;
            }
            Outcome::Interrupted => return Ok(()),
        },
    };
    let mut options = conversation.rules.options();
    // A search has asked already.
    options.check_support = !is_known;
    let id = session
        .engine
        .initiate(clock::now(), peer.clone(), options)
        .map_err(|e| cannot_initiate(e, &peer, &session.trust().record(&peer.to_bare())))?;
    conversation.add(id, peer.clone());
    talk(session, conversation, &peer).await
}

/// How the search for the peer ended.
enum Outcome {
    /// This resource has XTLS.
    Found(FullJid),
    /// The peer was quicker.
    Offered(Incoming),
    /// Ctrl-C.
    Interrupted,
}

/// Looks for a resource of the peer that has XTLS.
async fn search(session: &mut Session, mut search: Search) -> Result<Outcome, Failure> {
    loop {
        let happening = session.next(false, Some(search.deadline())).await?;
        let progress = match happening {
            Happening::Stanza(stanza) => search.handle(&stanza, clock::now()),
            Happening::Time => search.handle_timeout(clock::now()),
            Happening::Engine(Event::Incoming(incoming)) => {
                if incoming.peer.to_bare() == *search.peer() && incoming.application == Application::XmlStream {
                    return Ok(Outcome::Offered(incoming));
                }
                decline(session, incoming, ReasonCondition::Busy);
                Progress::Searching
            }
            Happening::Interrupted => return Ok(Outcome::Interrupted),
            Happening::Engine(_) | Happening::Input(_) => Progress::Searching,
        };
        match progress {
            Progress::Searching => {}
            Progress::Ask(question) => session.send(&question),
            Progress::Found(full) => return Ok(Outcome::Found(full)),
            Progress::WithoutXtls => {
                return Err(Failure::security(format!(
                    "{} is online without XTLS, or a server hides it; its owner can run: xtls listen",
                    search.peer()
                )));
            }
            Progress::Offline => {
                return Err(Failure::connection(format!(
                    "{} is not online, or does not let this account see it: ask its owner, or give a full address",
                    search.peer()
                )));
            }
        }
    }
}

async fn talk(session: &mut Session, conversation: &mut Conversation, peer: &FullJid) -> Result<(), Failure> {
    let mut until: Option<Instant> = None;
    loop {
        let take_input = conversation.wants_line();
        match session.next(take_input, until).await? {
            Happening::Engine(Event::Incoming(incoming)) => {
                let awaited = conversation.is_over() && incoming.peer == *peer;
                if awaited && incoming.application == Application::XmlStream {
                    until = None;
                    accept(session, conversation, incoming)?;
                } else {
                    decline(session, incoming, ReasonCondition::Busy);
                }
            }
            Happening::Engine(event) => match conversation.handle(session, event)? {
                Some(Verdict::Done) => return Ok(()),
                Some(Verdict::Failed(failure)) => return Err(failure),
                Some(Verdict::GaveWay) => until = Some(clock::now() + OFFER_TIME),
                None => {}
            },
            Happening::Input(Input::Line(line)) => conversation.say(session, &line),
            Happening::Input(Input::Unusable(why)) => session.output.error(why),
            Happening::Interrupted if conversation.is_closing() || conversation.is_over() => return Ok(()),
            Happening::Input(Input::End) | Happening::Interrupted => {
                conversation.close(session);
                until = Some(clock::now() + CLOSE_TIME);
            }
            Happening::Time => {
                return Err(Failure::connection(format!(
                    "{peer} does not answer: check that it is online, and try again"
                )));
            }
            Happening::Stanza(_) => {}
        }
    }
}

fn accept(session: &mut Session, conversation: &mut Conversation, incoming: Incoming) -> Result<(), Failure> {
    let peer = incoming.peer.clone();
    session.report(&Report::Incoming { peer: peer.as_str() })?;
    let id = session
        .engine
        .accept(clock::now(), incoming, conversation.rules.options())
        .map_err(|e| Failure::connection(format!("the offer of {peer} cannot be accepted: {e}; try again")))?;
    conversation.add(id, peer);
    Ok(())
}

fn decline(session: &mut Session, incoming: Incoming, condition: ReasonCondition) {
    // An offer that was taken back meanwhile needs no answer.
    let _ = session.engine.reject(clock::now(), incoming, Reason::new(condition));
}

/// Too many wrong passwords were tried with the peer of whom this is known, as the engine counts them.
fn locked(known: &TrustRecord, peer: &BareJid) -> Option<Failure> {
    let Config { password_tries, password_cooldown, .. } = Config::default();
    let until = known.locked_until(password_tries, password_cooldown.as_secs(), clock::unix().as_secs())?;
    Some(password_locked(peer, until))
}

fn cannot_initiate(e: InitiateError, peer: &FullJid, known: &TrustRecord) -> Failure {
    match e {
        InitiateError::PasswordLocked => {
            let bare = peer.to_bare();
            locked(known, &bare).unwrap_or_else(|| Failure::security(format!("no tunnel to {peer} can be opened: {e}")))
        }
        InitiateError::UserName => Failure::usage(format!("{e}: it has more than 255 bytes, or unusual characters")),
        InitiateError::OwnAddress => Failure::usage(format!("{peer} is this very login: chat with another address")),
        InitiateError::NotPinned => Failure::security(format!("no certificate of {peer} is trusted: xtls trust add")),
        e => Failure::other(format!("no tunnel to {peer} can be opened: {e}")),
    }
}
