//! `xtls listen`: waits for tunnels.

use std::time::Instant;

use xtls::{Application, jingle::ReasonCondition};
use xtls_stanza::jid::BareJid;
use xtls_tokio::Incoming;

use crate::args::ListenArgs;
use crate::chat::no_answer;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session::{Conversation, Happening, Keyboard, Lines, Rules, Session, Turn, Verdict, log_in};

pub(crate) async fn run(output: Output, data: &DataDir, args: &ListenArgs) -> Result<(), Failure> {
    let files = args.files.shared(output.takes_commands() && !args.echo)?;
    let mut trust = data.trust()?;
    let mut rules = Rules::from_args(&args.trust, &args.accept_from, &mut trust)?;
    rules.ask(output, "your peers")?;
    rules.warn(output);
    rules.note_who_may_try(output, &args.accept_from)?;
    let (mut session, sharing) = log_in(output, data, &args.account, trust, &rules, files, &args.accept_from).await?;
    session.allow_offers(&args.accept_from);
    let lines = if args.echo { Lines::none() } else { Lines::start(output) };
    let keyboard = Keyboard::for_first(output, lines, &args.nicknames);
    let mut conversation = Conversation::new(output, rules, args.echo, keyboard, sharing);
    let result = listen(&mut session, &mut conversation, &args.accept_from).await;
    conversation.finish_files().await;
    session.end().await;
    let unsent = conversation.keyboard.finish();
    result.and(unsent)
}

async fn listen(session: &mut Session, conversation: &mut Conversation, from: &[BareJid]) -> Result<(), Failure> {
    let mut end: Option<Instant> = None;
    loop {
        if conversation.is_closing() && conversation.is_over() && session.lost().is_none() {
            return Ok(());
        }
        match session.next(conversation.next(), end).await? {
            Happening::Incoming(incoming) => {
                let Some(incoming) = conversation.take(incoming) else { continue };
                conversation.keyboard.used |= answer(session, conversation, incoming, from)?;
            }
            Happening::Notice(event) => conversation.notice(session, event)?,
            Happening::Beside(Turn::Tunnel(at, said)) => {
                if let Some(Verdict::Failed(failure)) = conversation.handle(session, at, said).await? {
                    session.output.failure(&failure);
                }
            }
            Happening::Beside(Turn::Files(filed)) => conversation.handle_files(session, filed)?,
            Happening::Beside(Turn::Input(input)) => {
                conversation.take_input(session, input)?;
                let keyboard = &conversation.keyboard;
                if keyboard.ended && keyboard.used {
                    end = Some(conversation.close());
                }
            }
            Happening::Interrupted if conversation.is_closing() => return Err(Failure::interrupted()),
            Happening::Interrupted => end = Some(conversation.close()),
            Happening::Time => {
                let Some(peer) = conversation.peers().next() else { return Ok(()) };
                return Err(no_answer(peer));
            }
            Happening::Stanza(_) => {}
        }
    }
}

/// Decides on an offer; tells whether it was taken up.
fn answer(
    session: &Session,
    conversation: &mut Conversation,
    incoming: Incoming,
    from: &[BareJid],
) -> Result<bool, Failure> {
    let peer = incoming.peer().clone();
    let bare = peer.to_bare();
    let refusal = if conversation.is_closing() {
        Some((ReasonCondition::Gone, "this xtls is ending"))
    } else if !from.is_empty() && !from.contains(&bare) {
        Some((ReasonCondition::Decline, "--accept-from does not name it"))
    } else if *incoming.application() != Application::XmlStream {
        Some((ReasonCondition::UnsupportedApplications, "it is not for messages"))
    } else {
        None
    };
    if let Some((condition, why)) = refusal {
        session.output.error_of(peer.as_str(), &format!("a tunnel from {peer} was declined: {why}"));
        // An offer that was taken back meanwhile needs no answer.
        let _ = incoming.reject(condition);
        return Ok(false);
    }
    session.report(&Report::Incoming { peer: peer.as_str() })?;
    Ok(match incoming.open(conversation.rules.options(Application::XmlStream)) {
        Ok(opening) => {
            conversation.add(session, opening)?;
            true
        }
        // It was taken back meanwhile.
        Err(_) => false,
    })
}
