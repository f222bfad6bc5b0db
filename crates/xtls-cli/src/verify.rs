//! `xtls verify`: two users who trust one another by a leap of faith compare a short string (docs/wire.md, "Comparing a short
//! string").

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::select;
use xtls::{Application, Closed, Event, jingle::ReasonCondition};
use xtls_stanza::jid::{BareJid, FullJid};
use xtls_tokio::Incoming;

use crate::args::VerifyArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::reach;
use crate::session::{Answers, Compare, Happening, Input, Lines, Open, Outcome, Rules, Said, Session, Verdict, answer};

/// What is carried.
const MESSAGES: Application = Application::XmlStream;
/// What the user types.
const ANSWERS: Answers = Answers { yes: "yes", no: "no" };
/// How long it may take from the secured tunnel to the string that is compared. What the users do then takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the end in order may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);

pub(crate) async fn run(output: Output, data: &DataDir, args: &VerifyArgs) -> Result<(), Failure> {
    let trust = data.trust()?;
    let rules = Rules::by_pins(&trust);
    if let Some(peer) = &args.peer {
        reach::check(&rules, &trust, &args.account.bare()?, &peer.to_bare())?;
    }
    let mut session = Session::start(output, data, &args.account, trust, &rules).await?;
    session.allow_offers(&args.accept_from);
    let result = verify(&mut session, &rules, args).await;
    session.end().await;
    result
}

async fn verify(session: &mut Session, rules: &Rules, args: &VerifyArgs) -> Result<(), Failure> {
    if let Some(peer) = &args.peer {
        let mut opening = reach::reach(session, rules, &MESSAGES, peer, args.wait.patience).await?;
        loop {
            let full = opening.peer();
            match Comparison::new(Open::new(opening)).run(session, true).await? {
                Came::Through => return Ok(()),
                Came::ToNothing(failure) => return Err(failure),
                Came::ToGiveWay => opening = reach::offer_of(session, rules, &MESSAGES, &full).await?,
            }
        }
    }
    loop {
        let incoming = wait(session, &args.accept_from).await?;
        let opening = match reach::accept(session, rules, incoming) {
            Ok(opening) => opening,
            Err(failure) => {
                session.output.failure(&failure);
                continue;
            }
        };
        match Comparison::new(Open::new(opening)).run(session, false).await? {
            Came::Through => return Ok(()),
            // Another one may come.
            Came::ToNothing(failure) => session.output.failure(&failure),
            // Nothing is offered here.
            Came::ToGiveWay => {}
        }
    }
}

/// Waits for an offer.
async fn wait(session: &mut Session, from: &[BareJid]) -> Result<Incoming, Failure> {
    loop {
        match session.next(std::future::pending::<()>(), None).await? {
            Happening::Incoming(incoming) => {
                let is_named = from.is_empty() || from.contains(&incoming.peer().to_bare());
                if is_named && reach::is_for(&incoming, &MESSAGES) {
                    return Ok(incoming);
                }
                reach::decline(incoming, &MESSAGES);
            }
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Beside(()) | Happening::Notice(_) | Happening::Stanza(_) | Happening::Time => {}
        }
    }
}

/// What became of a tunnel.
enum Came {
    /// Something was compared, and it was the same.
    Through,
    /// Nothing was compared.
    ToNothing(Failure),
    /// The peer offers one itself, which goes before.
    ToGiveWay,
}

/// One tunnel, and what is compared in it.
struct Comparison {
    open: Open,
    /// Once the tunnel is secured by certificates.
    compare: Option<Compare>,
    lines: Lines,
    outcome: Option<Result<(), Failure>>,
    /// It has ended before anything was compared.
    is_idle: bool,
    is_closing: bool,
    /// When the end in order has to be over, or before there is one: when there has to be a string.
    until: Option<Instant>,
}

impl Comparison {
    fn new(open: Open) -> Self {
        Self {
            open,
            compare: None,
            lines: Lines::none(),
            outcome: None,
            is_idle: false,
            is_closing: false,
            until: None,
        }
    }

    /// Compares, pins if both users have said that it is the same, and ends the tunnel. This end begins if it `proposes`; if both
    /// do, one of them gives way.
    async fn run(mut self, session: &mut Session, proposes: bool) -> Result<Came, Failure> {
        loop {
            self.turn(session)?;
            let wanted = self.compare.as_ref().is_some_and(Compare::is_shown);
            if wanted && self.lines.is_none() {
                self.lines = Lines::start(session.output);
                // What the users do takes as long as it takes.
                self.until = self.until.filter(|_| self.outcome.is_some());
            }
            let (open, lines, until) = (&mut self.open, &mut self.lines, self.until);
            let beside = async {
                select! {
                    biased;
                    said = poll_fn(|cx| open.poll(cx)) => Beside::Said(said),
                    input = lines.next(wanted) => Beside::Input(input),
                }
            };
            match session.next(beside, until).await? {
                Happening::Beside(Beside::Said(said)) => {
                    if matches!(said, Said::StreamOpened)
                        && proposes
                        && let Some(compare) = &mut self.compare
                    {
                        // It is the first one.
                        let _ = compare.propose();
                    }
                    if let Some(closed) = self.said(session, said)? {
                        return match self.outcome.take() {
                            Some(outcome) => self.came(outcome, proposes),
                            None if matches!(Verdict::of(&closed, session.own()), Verdict::GaveWay) => {
                                Ok(Came::ToGiveWay)
                            }
                            // The end of the login is the end of all.
                            None if self.lines.is_none() && session.lost().is_none() => {
                                Ok(Came::ToNothing(self.ended(session, &closed)))
                            }
                            None => Err(self.ended(session, &closed)),
                        };
                    }
                }
                Happening::Beside(Beside::Input(input)) => self.typed(session, input)?,
                Happening::Notice(Event::Redirected { id, peer }) if self.open.id() == Some(id) => {
                    session.report(&Report::Redirected { peer: self.open.peer.as_str(), to: peer.as_str() })?;
                    self.open.peer = peer;
                }
                Happening::Incoming(incoming) => reach::decline(incoming, &MESSAGES),
                // What has come out of it stands.
                Happening::Interrupted if self.outcome.is_some() || self.compare.is_none() => {
                    let outcome = self.outcome.take().unwrap_or_else(|| Err(Failure::interrupted()));
                    return outcome.map(|()| Came::Through);
                }
                Happening::Interrupted => {
                    let _ = self.compare.as_mut().is_some_and(Compare::abort);
                    self.end(Err(Failure::interrupted()));
                }
                Happening::Time => match self.outcome.take() {
                    // How it ends makes no difference any more.
                    Some(outcome) => return self.came(outcome, proposes),
                    None => self.give_up(),
                },
                Happening::Notice(_) | Happening::Stanza(_) => {}
            }
        }
    }

    /// Sends what there is to send, and tells what has happened.
    fn turn(&mut self, session: &Session) -> Result<(), Failure> {
        while let Some(compare) = &mut self.compare
            && let Some(outcome) = compare.turn(session).transpose()
        {
            self.end(match outcome {
                Ok(Outcome::Verified) => Ok(()),
                Ok(Outcome::Differs(failure) | Outcome::Nothing(failure)) | Err(failure) => Err(failure),
            });
        }
        // What waits stays with the verifier, which has a bound for it.
        while !self.open.is_backed_up()
            && let Some(message) = self.compare.as_mut().and_then(Compare::poll_transmit)
        {
            self.open.push_answer(message);
        }
        // What is said last goes first: the other end waits for it.
        if self.outcome.is_some() && !self.is_closing && !self.open.is_backed_up() {
            self.is_closing = true;
            self.open.close();
        }
        Ok(())
    }

    /// What happened in the tunnel; how it has ended, if it has.
    fn said(&mut self, session: &Session, said: Said) -> Result<Option<Arc<Closed>>, Failure> {
        match said {
            Said::Secured(security) => {
                session.report_secured(&self.open.peer, &security)?;
                let gone = || Failure::connection(format!("the tunnel with {} is gone: try again", self.open.peer));
                self.compare = Some(Compare::new(session, &self.open, &security, ANSWERS)?.ok_or_else(gone)?);
                self.until = Some(clock::now() + PATIENCE);
            }
            Said::Stanza(stanza) => {
                if !self.compare.as_mut().is_some_and(|compare| compare.handle_stanza(&stanza)) {
                    self.open.answer(session, &stanza);
                }
            }
            Said::Closed(closed) => {
                if !matches!(Verdict::of(&closed, session.own()), Verdict::GaveWay) {
                    session.report_closed(&closed)?;
                }
                return Ok(Some(closed));
            }
            Said::File(_) | Said::StreamOpened | Said::StreamClosed | Said::Sent(..) => {}
        }
        Ok(None)
    }

    /// The user has typed something.
    fn typed(&mut self, session: &Session, input: Input) -> Result<(), Failure> {
        let Some(compare) = &mut self.compare else { return Ok(()) };
        let answer = match &input {
            Input::Line(line) => answer(line),
            Input::Unusable(_) => None,
            Input::End => {
                compare.abort();
                self.end(Err(Failure::usage(
                    "nobody has said whether the strings are the same, so nothing was learned: answer by yes or no",
                )));
                return Ok(());
            }
        };
        match answer {
            Some(answer) => compare.answer(answer),
            None => compare.ask_again(session)?,
        }
        Ok(())
    }

    fn end(&mut self, outcome: Result<(), Failure>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.until = Some(clock::now() + CLOSE_TIME);
        }
    }

    /// There is a tunnel, and the peer compares nothing.
    fn give_up(&mut self) {
        let peer = &self.open.peer;
        let failure = Failure::connection(format!("{peer} compares nothing: let its user run xtls verify there"));
        let failure = failure.about(peer);
        self.open.abort(ReasonCondition::Timeout);
        (self.is_idle, self.is_closing) = (true, true);
        self.end(Err(failure));
    }

    /// What became of it. Whoever waits goes on waiting where nothing was compared.
    fn came(&self, outcome: Result<(), Failure>, proposes: bool) -> Result<Came, Failure> {
        match outcome {
            Err(failure) if self.is_idle && !proposes => Ok(Came::ToNothing(failure)),
            outcome => outcome.map(|()| Came::Through),
        }
    }

    /// The tunnel ended before the users were done.
    fn ended(&self, session: &Session, closed: &Closed) -> Failure {
        match Verdict::of(closed, session.own()) {
            Verdict::Failed(failure) => failure,
            Verdict::Disconnected => session.lost().unwrap_or_else(|| self.gone()),
            Verdict::Done | Verdict::GaveWay => self.gone(),
        }
    }

    fn gone(&self) -> Failure {
        let peer: &FullJid = &self.open.peer;
        Failure::connection(format!("{peer} has ended before both had answered, and nothing was learned: try again"))
            .about(peer)
    }
}

/// What happens besides the login.
enum Beside {
    Said(Said),
    Input(Input),
}
