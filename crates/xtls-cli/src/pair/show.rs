//! The end that shows a code, and waits for whoever has it.

use std::future::poll_fn;
use std::task::Poll;

use xtls::{Application, Closed, jingle::ReasonCondition};
use xtls_stanza::jid::{BareJid, FullJid};
use xtls_tokio::Incoming;

use super::attempts::{Attempts, Burnt, MOST, NotNow, Outcome};
use super::code::Code;
use super::exchange::{self, Side};
use super::link::link;
use super::source::Source;
use super::{guesses, others};
use crate::args::PairArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report, ShownCode};
use crate::reach;
use crate::session::{Happening, Open, Rules, Said, Session, Verdict};

pub(super) async fn run(output: Output, data: &DataDir, args: &PairArgs) -> Result<(), Failure> {
    let trust = data.trust()?;
    let own = args.account.bare()?;
    let (code, is_shown) = Source::of(output, args.code_file.as_deref(), &own)?.into_code(&own)?;
    let rules = Rules::by_password(code.password(), &trust);
    rules.warn(output);
    let mut session = Session::start(output, data, &args.account, trust, &rules).await?;
    session.allow_offers(&args.accept_from);
    let result = show(&mut session, args, &rules, &code, is_shown).await;
    session.end().await;
    result
}

async fn show(
    session: &mut Session,
    args: &PairArgs,
    rules: &Rules,
    code: &Code,
    is_shown: bool,
) -> Result<(), Failure> {
    let jid = session.jid().clone();
    if jid.to_bare() != args.account.bare()? {
        return Err(Failure::usage(format!("the server knows you as {}: give that as --jid", jid.to_bare())));
    }
    let expires = clock::unix().as_secs().saturating_add(args.expires_after.as_secs());
    let (text, uri) = (code.text(" "), link(&jid, code));
    session.report(&Report::Code(ShownCode {
        jid: jid.as_str(),
        code: is_shown.then_some(text.as_str()),
        uri: is_shown.then_some(uri.as_str()),
        expires: &clock::rfc3339(i64::try_from(expires).unwrap_or(i64::MAX)),
        attempts: MOST,
    }))?;
    let mut waiting = Waiting {
        attempts: Attempts::new(Some(clock::now() + args.expires_after)),
        open: Vec::new(),
        rules,
        from: &args.accept_from,
    };
    let open = waiting.wait(session).await?;
    exchange::run(session, open, Side::Shower, others(args)).await
}

/// Attempts at a code that is shown.
struct Waiting<'a> {
    attempts: Attempts,
    /// Those that are under way, and how many guesses there were with that peer before each.
    open: Vec<(Open, u32)>,
    rules: &'a Rules,
    /// Whoever may try it; everybody if there is nobody.
    from: &'a [BareJid],
}

impl Waiting<'_> {
    /// Waits for the tunnel of the one who has the code.
    async fn wait(&mut self, session: &mut Session) -> Result<Open, Failure> {
        loop {
            let now = clock::now();
            if let Some(burnt) = self.attempts.over(now) {
                return Err(ended(burnt));
            }
            let until = self.attempts.expires().filter(|expires| *expires > now);
            let open = &mut self.open;
            let next = poll_fn(|cx| {
                let mut all = open.iter_mut().enumerate().map(|(at, (open, _))| (at, open.poll(cx)));
                let said =
                    all.find_map(|(at, said)| if let Poll::Ready(said) = said { Some((at, said)) } else { None });
                said.map_or(Poll::Pending, Poll::Ready)
            });
            match session.next(next, until).await? {
                Happening::Incoming(incoming) => self.take(session, incoming)?,
                Happening::Beside((at, Said::Secured(security))) => {
                    let (open, _) = self.open.remove(at);
                    session.report_secured(&open.peer, &security)?;
                    // The code is used up, whatever comes of it.
                    if self.attempts.end(Outcome::Right).is_ok() {
                        self.open.drain(..).for_each(|(other, _)| other.abort(ReasonCondition::Busy));
                        return Ok(open);
                    }
                }
                Happening::Beside((at, Said::Closed(closed))) => self.closed(session, at, &closed)?,
                Happening::Interrupted => return Err(Failure::interrupted()),
                // Nothing else happens in a tunnel that is not secured.
                Happening::Beside(_) | Happening::Notice(_) | Happening::Stanza(_) | Happening::Time => {}
            }
        }
    }

    /// Decides on an offer.
    fn take(&mut self, session: &Session, incoming: Incoming) -> Result<(), Failure> {
        let peer = incoming.peer().clone();
        let may = if *incoming.application() != Application::XmlStream {
            Err((ReasonCondition::UnsupportedApplications, "it is not for pairing"))
        } else if !self.from.is_empty() && !self.from.contains(&peer.to_bare()) {
            Err((ReasonCondition::Decline, "--accept-from does not name it"))
        } else {
            self.attempts.begin(clock::now()).map_err(|why| match why {
                NotNow::Full => (ReasonCondition::Busy, "as many try the code already as may be wrong"),
                NotNow::Burnt(_) => (ReasonCondition::Gone, "the code has expired"),
            })
        };
        if let Err((condition, why)) = may {
            session.output.error_of(peer.as_str(), &format!("a tunnel from {peer} was declined: {why}"));
            // An offer that was taken back meanwhile needs no answer.
            let _ = incoming.reject(condition);
            return Ok(());
        }
        let before = guesses(session, &peer.to_bare());
        match reach::accept(session, self.rules, incoming) {
            Ok(opening) => {
                self.open.push((Open::new(opening), before));
                Ok(())
            }
            // It was taken back meanwhile.
            Err(_) => self.end(Outcome::Untried),
        }
    }

    /// An attempt has come to nothing.
    fn closed(&mut self, session: &Session, at: usize, closed: &Closed) -> Result<(), Failure> {
        let (open, before) = self.open.remove(at);
        session.report_closed(closed)?;
        let bare = open.peer.to_bare();
        if guesses(session, &bare) > before {
            self.end(Outcome::Wrong)?;
            return wrong(session, &open.peer, self.attempts.left());
        }
        self.end(Outcome::Untried)?;
        if let Verdict::Failed(failure) = Verdict::of(closed, session.own()) {
            session.output.failure(&failure);
        }
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) -> Result<(), Failure> {
        self.attempts.end(outcome).map_err(ended)
    }
}

/// Tells that a wrong code was tried with this peer.
pub(super) fn wrong(session: &Session, peer: &FullJid, left: u32) -> Result<(), Failure> {
    session.report(&Report::WrongCode { peer: peer.as_str(), left })
}

/// The code is good for nothing any more, and nobody was paired with.
fn ended(burnt: Burnt) -> Failure {
    match burnt {
        Burnt::Wrong => Failure::security(format!(
            "{MOST} wrong codes were tried, so this one is good for nothing any more and nobody is trusted by it: somebody mistook \
             it, or is between the two of you; make a new one with: xtls pair --accept-from BAREJID"
        )),
        Burnt::Expired => {
            Failure::connection("the code has expired, and nobody has used it: make a new one with: xtls pair")
        }
        Burnt::Used => Failure::other("the code was used already: make a new one with: xtls pair"),
    }
}
