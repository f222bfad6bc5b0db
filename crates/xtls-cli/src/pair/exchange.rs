//! What the two ends do once the code was right, the same at both but for who asks and who opens.
//!
//! In the tunnel by the code each gives its certificate (draft § 5.1); then that tunnel ends. In a second one, by certificates,
//! each proves that it holds the key, and what is confirmed there is remembered. Whatever goes wrong before, nothing is.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use xtls::event::{CertificatesFault, ReceivedCertificate};
use xtls::jingle::ReasonCondition;
use xtls::tls::default_provider;
use xtls::trust::{Learned, Pin};
use xtls::{Application, Closed, Element, Event};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Condition, Iq, IqType, ns};
use xtls_tokio::{Incoming, Opening};

use crate::clock;
use crate::data::Others;
use crate::exit::Failure;
use crate::output::Report;
use crate::reach;
use crate::session::{Happening, Open, Rules, Said, Session, Verdict};

/// How long each of the two tunnels may take once the code was right.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the end in order may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// What is carried.
const MESSAGES: Application = Application::XmlStream;

/// The namespace of what is said besides (docs/wire.md § 7).
const NS: &str = "urn:xtls:pairing:1";
/// The question whether our certificate has come.
const QUESTION: &str = "received";
/// The id of that question: the only one that is asked here.
const QUESTION_ID: &str = "received";

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It shows the code.
    Shower,
    /// The code was typed here. It opens both tunnels.
    Enterer,
}

/// What happens to one tunnel.
#[derive(Debug)]
pub(super) enum Step {
    Said(Said),
    Certificates(Result<Vec<ReceivedCertificate>, Box<CertificatesFault>>),
    /// The peer has accepted us.
    Confirmed,
    /// A peer offers another one.
    Offered(Incoming),
    /// The time has come.
    Time,
}

/// Does all of it, from the tunnel that the code has secured on.
pub(super) async fn run(session: &mut Session, open: Open, side: Side, others: Others) -> Result<(), Failure> {
    let peer = open.peer.clone();
    let done = match swap(session, open, side, others).await {
        Ok((pin, offered)) => prove(session, &peer, side, pin, offered).await,
        Err(failure) => Err(failure),
    };
    done.map_err(|failure| {
        let rest = "nothing was remembered of this pairing, and the code is used up: make a new one";
        Failure { message: format!("{}; {rest}", failure.message), ..failure }
    })
}

/// Waits for what happens to this tunnel.
pub(super) async fn step(session: &mut Session, open: &mut Open, until: Option<Instant>) -> Result<Step, Failure> {
    loop {
        let step = match session.next(poll_fn(|cx| open.poll(cx)), until).await? {
            Happening::Beside(said) => Step::Said(said),
            Happening::Notice(Event::CertificatesReceived { id, result }) if open.id() == Some(id) => {
                Step::Certificates(result)
            }
            Happening::Notice(Event::Confirmed { id }) if open.id() == Some(id) => Step::Confirmed,
            Happening::Notice(Event::Redirected { id, peer }) if open.id() == Some(id) => {
                session.report(&Report::Redirected { peer: open.peer.as_str(), to: peer.as_str() })?;
                open.peer = peer;
                continue;
            }
            Happening::Incoming(incoming) => Step::Offered(incoming),
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Time => Step::Time,
            Happening::Notice(_) | Happening::Stanza(_) => continue,
        };
        return Ok(step);
    }
}

/// The tunnel ended before it was done, and there is no more to say about it.
pub(super) fn broken(peer: &FullJid) -> Failure {
    Failure::connection(format!("the tunnel with {peer} ended before it was done: try again")).about(peer)
}

/// What is known in the first tunnel.
#[derive(Default)]
struct Swap {
    /// The peer's certificate, which is trusted from now on, for the second tunnel at least.
    pin: Option<Pin>,
    /// Why it is not.
    refused: Option<Failure>,
    /// The peer's question whether its certificate has come, as long as that is not known.
    asked: Option<String>,
    /// The peer has ours.
    is_answered: bool,
    /// The peer's offer of the second tunnel.
    offered: Option<Incoming>,
}

/// Each end gives its certificate, and knows that the other one has it. Gives that of the peer, and its offer of the second
/// tunnel if it was quick.
async fn swap(
    session: &mut Session,
    mut open: Open,
    side: Side,
    others: Others,
) -> Result<(Pin, Option<Incoming>), Failure> {
    let until = Some(clock::now() + PATIENCE);
    let mut swap = Swap::default();
    loop {
        match step(session, &mut open, until).await? {
            Step::Said(Said::StreamOpened) => ask(session, &open)?,
            Step::Certificates(given) => match certificate(&open.peer, given) {
                Ok(pin) => swap.came(session, &mut open, side, pin, others)?,
                Err(failure) => {
                    open.abort(ReasonCondition::SecurityError);
                    return Err(failure);
                }
            },
            Step::Said(Said::Stanza(stanza)) => swap.heard(session, &mut open, side, &stanza),
            Step::Said(Said::Closed(closed)) => {
                session.report_closed(&closed)?;
                let is_done = swap.is_answered || side == Side::Shower;
                return match (swap.refused, swap.pin, Verdict::of(&closed, session.own())) {
                    (Some(failure), ..) => Err(failure),
                    (None, Some(pin), Verdict::Done) if is_done => Ok((pin, swap.offered)),
                    (None, ..) => Err(ended(session, &closed)),
                };
            }
            // The end of this one may still be on its way to us.
            Step::Offered(incoming) if side == Side::Shower && is_second(&incoming, &open.peer) => {
                swap.offered = Some(incoming);
            }
            Step::Offered(incoming) => reach::decline(incoming, &MESSAGES),
            Step::Time => return Err(crate::chat::no_answer(&open.peer)),
            Step::Said(Said::Secured(_) | Said::File(_) | Said::StreamClosed | Said::Sent(..)) | Step::Confirmed => {}
        }
    }
}

impl Swap {
    /// The peer's certificate has come, and is trusted for the second tunnel unless the user has to say something first.
    fn came(
        &mut self,
        session: &Session,
        open: &mut Open,
        side: Side,
        pin: Pin,
        others: Others,
    ) -> Result<(), Failure> {
        let trusted = session.trust().pair(&open.peer.to_bare(), pin, others);
        match (trusted, side) {
            (Ok(()), Side::Enterer) => say(open, question()),
            (Err(failure), Side::Enterer) => {
                open.abort(ReasonCondition::Decline);
                return Err(failure);
            }
            (Ok(()), Side::Shower) => {}
            (Err(failure), Side::Shower) => self.refused = Some(failure),
        }
        if self.refused.is_none() {
            self.pin = Some(pin);
        }
        if let Some(id) = self.asked.take() {
            self.answer(open, id);
        }
        Ok(())
    }

    /// The peer has said this.
    fn heard(&mut self, session: &Session, open: &mut Open, side: Side, stanza: &Element) {
        match (side, said(stanza)) {
            (Side::Shower, Some(About::Question(id))) => self.answer(open, id),
            (Side::Enterer, Some(About::Answer { is_refusal })) => {
                let why = || {
                    let peer = &open.peer;
                    Failure::security(format!(
                        "{peer} does not take our certificate: it trusts another one of ours, and its owner has to pair with --replace \
                         or --keep"
                    ))
                    .about(peer)
                };
                self.refused = is_refusal.then(why);
                self.is_answered = true;
                open.close();
            }
            _ => open.answer(session, stanza),
        }
    }

    /// Answers the question whether the peer's certificate has come, once that is known.
    fn answer(&mut self, open: &mut Open, id: String) {
        match (&self.pin, &self.refused) {
            (Some(_), _) => say(open, answer(&id)),
            (None, Some(_)) => say(open, refusal(&id)),
            (None, None) => self.asked = Some(id),
        }
    }
}

/// Both prove by certificates who they are, and that is remembered.
async fn prove(
    session: &mut Session,
    peer: &FullJid,
    side: Side,
    pin: Pin,
    offered: Option<Incoming>,
) -> Result<(), Failure> {
    let mut until = clock::now() + PATIENCE;
    let opening = match (side, offered) {
        (Side::Enterer, _) => {
            let mut options = Rules::by_pins(&session.trust()).options(MESSAGES);
            options.check_support = false;
            let opened = session.handle.open(peer.clone(), options);
            opened.map_err(|e| reach::cannot_open(&e, session, peer))?
        }
        (Side::Shower, Some(offered)) => accept(session, offered)?,
        (Side::Shower, None) => wait_for_second(session, peer, until).await?,
    };
    let mut open = Open::new(opening);
    let (mut is_paired, mut is_open) = (false, false);
    loop {
        let step = match step(session, &mut open, Some(until)).await {
            // Whatever comes after that takes nothing back.
            Err(_) if is_paired => return Ok(()),
            step => step?,
        };
        match step {
            Step::Said(Said::Secured(security)) => {
                session.report_secured(&open.peer, &security)?;
                if security.confirmed {
                    remembered(session, &open.peer, pin)?;
                    is_paired = true;
                }
            }
            Step::Confirmed if !is_paired => {
                remembered(session, &open.peer, pin)?;
                is_paired = true;
            }
            Step::Said(Said::StreamOpened) => is_open = true,
            Step::Said(Said::Closed(closed)) => {
                session.report_closed(&closed)?;
                return if is_paired { Ok(()) } else { Err(ended(session, &closed)) };
            }
            Step::Offered(incoming) => reach::decline(incoming, &MESSAGES),
            // How it ends makes no difference any more.
            Step::Time if is_paired => return Ok(()),
            Step::Time => return Err(crate::chat::no_answer(&open.peer)),
            Step::Said(Said::Stanza(_) | Said::File(_) | Said::StreamClosed | Said::Sent(..))
            | Step::Certificates(_)
            | Step::Confirmed => continue,
        }
        if is_paired && is_open && side == Side::Enterer {
            open.close();
            until = clock::now() + CLOSE_TIME;
        }
    }
}

/// Waits for the offer of the second tunnel.
async fn wait_for_second(session: &mut Session, peer: &FullJid, until: Instant) -> Result<Opening, Failure> {
    loop {
        match session.next(std::future::pending::<()>(), Some(until)).await? {
            Happening::Incoming(incoming) if is_second(&incoming, peer) => return accept(session, incoming),
            Happening::Incoming(incoming) => reach::decline(incoming, &MESSAGES),
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Time => return Err(crate::chat::no_answer(peer)),
            Happening::Beside(()) | Happening::Notice(_) | Happening::Stanza(_) => {}
        }
    }
}

fn is_second(incoming: &Incoming, peer: &FullJid) -> bool {
    incoming.peer() == peer && reach::is_for(incoming, &MESSAGES)
}

fn accept(session: &Session, offered: Incoming) -> Result<Opening, Failure> {
    let rules = Rules::by_pins(&session.trust());
    reach::accept(session, &rules, offered)
}

/// Asks the peer for its certificate.
fn ask(session: &Session, open: &Open) -> Result<(), Failure> {
    let Some(id) = open.id() else { return Ok(()) };
    let asked =
        session.handle.with_engine(|engine, now| engine.tunnel(id).map(|mut tunnel| tunnel.request_certificates(now)));
    match asked {
        Some(Err(e)) => {
            Err(Failure::connection(format!("{} cannot be asked for its certificate: {e}", open.peer))
                .about(&open.peer))
        }
        // That it has ended is told.
        Some(Ok(())) | None => Ok(()),
    }
}

/// The certificate that the peer has given as its own. The engine has compared it with what was announced outside.
fn certificate(
    peer: &FullJid,
    given: Result<Vec<ReceivedCertificate>, Box<CertificatesFault>>,
) -> Result<Pin, Failure> {
    let failure = |why: String| Failure::security(why).about(peer);
    let given = given.map_err(|fault| match *fault {
        CertificatesFault::NotAnnounced { .. } => failure(format!(
            "{peer} is somebody else to the servers than in the tunnel: {fault}; the connection may be intercepted"
        )),
        fault => failure(format!("the certificate of {peer} did not come: {fault}")),
    })?;
    let own = given.into_iter().find(|one| one.held);
    let own = own.ok_or_else(|| failure(format!("{peer} gave no certificate of its own")))?;
    let usable = own.certificate.check_usable(&default_provider());
    usable.map_err(|fault| failure(format!("the certificate of {peer} cannot be used: {fault}")))?;
    Ok(Pin::new(own.certificate.fingerprint_sha256(), Learned::Pairing).with_since(clock::unix()))
}

/// Tells that the peer is paired with, if the trust file says so.
fn remembered(session: &Session, peer: &FullJid, pin: Pin) -> Result<(), Failure> {
    if !session.trust().has(&peer.to_bare(), pin)? {
        return Err(Failure::other(format!("that {peer} is trusted could not be written down")).about(peer));
    }
    session.report(&Report::Paired { peer: peer.as_str(), fingerprint: &pin.fingerprint.to_string() })
}

/// Why it ended before it was done.
fn ended(session: &Session, closed: &Closed) -> Failure {
    match Verdict::of(closed, session.own()) {
        Verdict::Failed(failure) => failure,
        Verdict::Disconnected => session.lost().unwrap_or_else(|| broken(&closed.peer)),
        Verdict::Done | Verdict::GaveWay => broken(&closed.peer),
    }
}

/// What a stanza of the peer is about, if it belongs to this.
enum About {
    Question(String),
    /// Any other error than a refusal is as good as a yes: a peer that does not know the question has had its time.
    Answer {
        is_refusal: bool,
    },
}

fn said(stanza: &Element) -> Option<About> {
    let iq = Iq::parse(stanza)?.ok()?;
    match iq.iq_type {
        IqType::Get if iq.payload?.is(QUESTION, NS) => Some(About::Question(iq.id.to_owned())),
        IqType::Result | IqType::Error if *iq.id == *QUESTION_ID => {
            let is_refusal = iq.error().is_some_and(|error| error.condition == Condition::NotAcceptable);
            Some(About::Answer { is_refusal })
        }
        _ => None,
    }
}

fn question() -> Option<Element> {
    let iq = Element::builder("iq", ns::CLIENT).attribute("type", "get").attribute("id", QUESTION_ID);
    iq.open(QUESTION, NS).build().ok()
}

fn answer(id: &str) -> Option<Element> {
    Element::builder("iq", ns::CLIENT).attribute("type", "result").attribute("id", id).build().ok()
}

fn refusal(id: &str) -> Option<Element> {
    let iq = Element::builder("iq", ns::CLIENT).attribute("type", "error").attribute("id", id);
    let error = iq.open("error", ns::CLIENT).attribute("type", "cancel");
    error.open(Condition::NotAcceptable.as_str(), ns::STANZA_ERRORS).build().ok()
}

fn say(open: &mut Open, message: Option<Element>) {
    debug_assert!(message.is_some(), "what is said here can be");
    message.into_iter().for_each(|message| open.push_answer(message));
}
