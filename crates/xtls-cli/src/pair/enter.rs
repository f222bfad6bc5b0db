//! The end where the code is typed.

use xtls::Application;
use xtls_stanza::jid::Jid;

use super::attempts::{Attempts, Outcome};
use super::code::Code;
use super::exchange::{self, Side, Step, step};
use super::link::entered;
use super::{guesses, others, show};
use crate::args::PairArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::{self, Failure};
use crate::output::{Output, Report, code_prompt};
use crate::platform;
use crate::reach;
use crate::session::{self, Happening, Input, Lines, Open, Rules, Said, Session, Verdict, password_locked};
use crate::words::Word;

pub(super) async fn run(output: Output, data: &DataDir, args: &PairArgs, named: Option<&Jid>) -> Result<(), Failure> {
    let (trust, own) = (data.trust()?, args.account.bare()?);
    let words = Word::all().map(|word| word.text().to_owned()).collect();
    let mut lines = Lines::answers(output, code_prompt(named.map(|peer| peer.as_str())), words);
    let (peer, code) = ask(output, &mut lines, named).await?;
    if let Some(until) = reach::locked_until(&trust, &own, &peer.to_bare())? {
        return Err(password_locked(&peer.to_bare(), until));
    }
    let rules = Rules::by_password(code.password(), &trust);
    rules.warn(output);
    let mut session = Session::start(output, data, &args.account, trust, &rules).await?;
    let result = enter(&mut session, args, peer, rules, &mut lines).await;
    session.end().await;
    result
}

/// Opens a tunnel by the code, and asks for another one as long as it was wrong and may be tried.
async fn enter(
    session: &mut Session,
    args: &PairArgs,
    mut peer: Jid,
    mut rules: Rules,
    lines: &mut Lines,
) -> Result<(), Failure> {
    let mut attempts = Attempts::new(None);
    while attempts.begin(clock::now()).is_ok() {
        let before = guesses(session, &peer.to_bare());
        let opening = reach::reach(session, &rules, &Application::XmlStream, &peer, args.wait.patience).await;
        let opening = opening.map_err(perhaps_over)?;
        let mut open = Open::new(opening);
        let closed = loop {
            match step(session, &mut open, None).await? {
                Step::Said(Said::Secured(security)) => {
                    session.report_secured(&open.peer, &security)?;
                    return exchange::run(session, open, Side::Enterer, others(args)).await;
                }
                Step::Said(Said::Closed(closed)) => break closed,
                Step::Offered(incoming) => reach::decline(incoming, &Application::XmlStream),
                Step::Said(_) | Step::Certificates(_) | Step::Confirmed | Step::Time => {}
            }
        };
        session.report_closed(&closed)?;
        if guesses(session, &peer.to_bare()) == before {
            return Err(match Verdict::of(&closed, session.own()) {
                Verdict::Failed(failure) => perhaps_over(failure),
                Verdict::Done | Verdict::GaveWay | Verdict::Disconnected => exchange::broken(&open.peer),
            });
        }
        // It was a guess: an attempt that has one is none the less one if it cannot be counted here.
        let _ = attempts.end(Outcome::Wrong);
        show::wrong(session, &open.peer, attempts.left())?;
        if attempts.left() > 0 {
            let code;
            (peer, code) = ask_again(session, lines, &peer).await?;
            rules = Rules::by_password(code.password(), &session.trust());
        }
    }
    Err(Failure::security(format!(
        "three wrong codes were tried with {peer}, which takes no more: if they were typed as they are shown there, somebody is between \
         the two of you; nobody is trusted by this"
    ))
    .about(&peer))
}

/// Asks for the code until it is one. Nothing is sent meanwhile.
async fn ask(output: Output, lines: &mut Lines, named: Option<&Jid>) -> Result<(Jid, Code), Failure> {
    loop {
        session::tell(output, &Report::CodeWanted { peer: named.map(|peer| peer.as_str()) })?;
        let input = tokio::select! {
            input = lines.next(true) => input,
            // Elsewhere the signal ends the process.
            () = platform::ctrl_c_is_pressed() => return Err(Failure::interrupted()),
        };
        if let Some(entered) = take(output, input, named)? {
            return Ok(entered);
        }
    }
}

/// The same while there is a session to see to.
async fn ask_again(session: &mut Session, lines: &mut Lines, peer: &Jid) -> Result<(Jid, Code), Failure> {
    loop {
        lines.set_prompt(code_prompt(Some(peer.as_str())));
        session.report(&Report::CodeWanted { peer: Some(peer.as_str()) })?;
        let input = loop {
            match session.next(lines.next(true), None).await? {
                Happening::Beside(input) => break input,
                Happening::Incoming(incoming) => reach::decline(incoming, &Application::XmlStream),
                Happening::Interrupted => return Err(Failure::interrupted()),
                Happening::Notice(_) | Happening::Stanza(_) | Happening::Time => {}
            }
        };
        if let Some(entered) = take(session.output, input, Some(peer))? {
            return Ok(entered);
        }
    }
}

/// The address and the code that were typed. `None` tells the user what is wrong, and asks again.
fn take(output: Output, input: Input, named: Option<&Jid>) -> Result<Option<(Jid, Code)>, Failure> {
    let why = match input {
        Input::Line(line) => match entered(&zeroize::Zeroizing::new(line), named) {
            Ok(entered) => return Ok(Some(entered)),
            Err(fault) => fault.to_string(),
        },
        Input::Unusable(why) => format!("no code: {why}"),
        Input::End => return Err(Failure::usage("no code was typed: it is shown by xtls pair at the other end")),
    };
    match named {
        Some(peer) => output.error_of(peer.as_str(), &format!("{why}; nothing was sent to {peer}: type it again")),
        None => output.error(&format!("{why}; nothing was sent: type it again")),
    }
    Ok(None)
}

/// Whoever is not there may have ended because the code is good for nothing any more, and whoever takes no code may be another
/// login of the same account.
fn perhaps_over(failure: Failure) -> Failure {
    let hint = match failure.code {
        exit::Code::Connection => "A code is good only while xtls pair runs there: it may have expired",
        exit::Code::Security => "No code was tried: check that this is the whole address that xtls pair shows there",
        exit::Code::Done | exit::Code::Other | exit::Code::Usage => return failure,
    };
    Failure { message: format!("{}. {hint}", failure.message), ..failure }
}
