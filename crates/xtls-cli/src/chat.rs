//! `xtls chat`: opens a tunnel to a peer.

use std::fmt;
use std::time::Instant;

use xtls::Application;
use xtls_stanza::jid::FullJid;

use crate::args::ChatArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::Output;
use crate::reach::{self, OFFER_TIME};
use crate::session::{Conversation, Happening, Keyboard, Lines, Rules, Session, Turn, Verdict, log_in};

/// What is carried.
const MESSAGES: Application = Application::XmlStream;

pub(crate) async fn run(output: Output, data: &DataDir, args: &ChatArgs) -> Result<(), Failure> {
    let files = args.files.shared(output.takes_commands())?;
    let mut trust = data.trust()?;
    let mut rules = Rules::from_args(&args.trust, &[args.peer.to_bare()], &mut trust)?;
    let bare = args.peer.to_bare();
    reach::check(&rules, &trust, &args.account.bare()?, &bare)?;
    rules.ask(output, bare.as_str())?;
    rules.warn(output);
    let peers = std::slice::from_ref(&bare);
    let (mut session, sharing) = log_in(output, data, &args.account, trust, &rules, files, peers).await?;
    let keyboard = Keyboard::only_for(output, Lines::start(output), bare.into(), &args.nicknames);
    let mut conversation = Conversation::new(output, rules, false, keyboard, sharing);
    let result = match reach::reach(&mut session, &conversation.rules, &MESSAGES, &args.peer, args.wait.patience).await
    {
        Ok(opening) => {
            let peer = opening.peer();
            match conversation.add(&session, opening) {
                Ok(()) => talk(&mut session, &mut conversation, &peer).await,
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    };
    conversation.finish_files().await;
    session.end().await;
    let unsent = conversation.keyboard.finish();
    result.and(unsent)
}

async fn talk(session: &mut Session, conversation: &mut Conversation, peer: &FullJid) -> Result<(), Failure> {
    let mut until: Option<Instant> = None;
    loop {
        match session.next(conversation.next(), until).await? {
            Happening::Incoming(incoming) => {
                let Some(incoming) = conversation.take(incoming) else { continue };
                let awaited = conversation.is_over() && incoming.peer() == peer;
                if awaited && reach::is_for(&incoming, &MESSAGES) {
                    until = None;
                    let opening = reach::accept(session, &conversation.rules, incoming)?;
                    conversation.add(session, opening)?;
                } else {
                    reach::decline(incoming, &MESSAGES);
                }
            }
            Happening::Notice(event) => conversation.notice(session, event)?,
            Happening::Beside(Turn::Tunnel(at, said)) => match conversation.handle(session, at, said).await? {
                // Ctrl-C before there was anything to end.
                Some(Verdict::Done) if !conversation.has_talked() => return Err(Failure::interrupted()),
                Some(Verdict::Done) => return Ok(()),
                Some(Verdict::Failed(failure)) => return Err(failure),
                Some(Verdict::GaveWay) => until = Some(clock::now() + OFFER_TIME),
                // What the server said comes next.
                Some(Verdict::Disconnected) | None => {}
            },
            Happening::Beside(Turn::Files(filed)) => conversation.handle_files(session, filed)?,
            Happening::Beside(Turn::Input(input)) => {
                conversation.take_input(session, input)?;
                if conversation.keyboard.ended {
                    until = Some(conversation.close());
                }
            }
            Happening::Interrupted if conversation.is_closing() || conversation.is_over() => {
                return Err(Failure::interrupted());
            }
            Happening::Interrupted => until = Some(conversation.close()),
            Happening::Time => return Err(no_answer(peer)),
            Happening::Stanza(_) => {}
        }
    }
}

/// The peer does not do what it should, and time is over.
pub(crate) fn no_answer(peer: &impl fmt::Display) -> Failure {
    Failure::connection(format!("{peer} does not answer: check that it is online, and try again")).about(peer)
}
