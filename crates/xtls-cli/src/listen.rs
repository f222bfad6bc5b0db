//! `xtls listen`: waits for tunnels.

use std::time::{Duration, Instant};

use jid::BareJid;
use xtls::{
    Application, Event, Incoming,
    jingle::{Reason, ReasonCondition},
};

use crate::args::ListenArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session::{Conversation, Happening, Input, Lines, Rules, Session, Verdict};

/// How long the orderly end may take; the engine's own timers are shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);

pub(crate) async fn run(output: Output, data: &DataDir, args: &ListenArgs) -> Result<(), Failure> {
    let mut rules = Rules::from_args(&args.trust)?;
    let trust = data.trust()?;
    rules.ask(output, "your peers")?;
    rules.warn(output);
    let mut session = Session::start(output, data, &args.account, trust, &rules).await?;
    session.allow_offers(&args.accept_from);
    let lines = if args.echo { Lines::none() } else { Lines::start() };
    let mut conversation = Conversation::new(rules, args.accept_from.clone(), args.echo);
    let result = listen(&mut session, &mut conversation, lines, &args.accept_from).await;
    session.end().await;
    result
}

async fn listen(
    session: &mut Session,
    conversation: &mut Conversation,
    mut lines: Lines,
    from: &[BareJid],
) -> Result<(), Failure> {
    let mut keyboard = Keyboard::default();
    let mut end: Option<Instant> = None;
    loop {
        if conversation.is_closing() && conversation.is_over() {
            return Ok(());
        }
        keyboard.send(session, conversation);
        match session.next(lines.next(keyboard.takes_input(conversation)), end).await? {
            Happening::Engine(Event::Incoming(incoming)) => {
                keyboard.used |= answer(session, conversation, incoming, from)?;
            }
            Happening::Engine(event) => {
                let verdict = conversation.handle(session, event)?;
                if let Some(Verdict::Failed(failure)) = &verdict {
                    session.output.error(&failure.message);
                }
                if verdict.is_some() {
                    keyboard.forget(session, conversation);
                }
            }
            Happening::Beside(Input::Line(line)) => keyboard.hold(line),
            Happening::Beside(Input::Unusable(why)) => session.output.error(why),
            Happening::Beside(Input::End) => {
                keyboard.ended = true;
                if keyboard.used {
                    end = Some(begin_end(session, conversation));
                }
            }
            Happening::Interrupted if conversation.is_closing() => return Ok(()),
            Happening::Interrupted => end = Some(begin_end(session, conversation)),
            Happening::Time => return Ok(()),
            Happening::Stanza(_) => {}
        }
    }
}

/// What comes from standard input.
#[derive(Debug, Default)]
struct Keyboard {
    /// A line that waits for a tunnel, or for room in one.
    held: Option<String>,
    /// A line or a tunnel has come. Input that ends before is no wish to end: there is just nobody at the keyboard.
    used: bool,
    ended: bool,
}

impl Keyboard {
    fn takes_input(&self, conversation: &Conversation) -> bool {
        !self.ended && self.held.is_none() && !conversation.is_backed_up()
    }

    fn hold(&mut self, line: String) {
        self.used = true;
        self.held = Some(line);
    }

    fn send(&mut self, session: &mut Session, conversation: &mut Conversation) {
        if conversation.wants_line()
            && let Some(line) = self.held.take()
        {
            conversation.say(session, &line);
        }
    }

    /// A tunnel ended: what was typed for one peer must not go to the next one.
    fn forget(&mut self, session: &Session, conversation: &Conversation) {
        if !conversation.wants_line() && self.held.take().is_some() {
            session.output.error("a line was not sent: the tunnel ended before");
        }
    }
}

/// Decides on an offer; tells whether it was taken up.
fn answer(
    session: &mut Session,
    conversation: &mut Conversation,
    incoming: Incoming,
    from: &[BareJid],
) -> Result<bool, Failure> {
    let now = clock::now();
    let peer = incoming.peer.clone();
    let bare = peer.to_bare();
    let refusal = if conversation.is_closing() {
        Some((ReasonCondition::Gone, "this xtls is ending"))
    } else if !from.is_empty() && !from.contains(&bare) {
        Some((ReasonCondition::Decline, "--accept-from does not name it"))
    } else if incoming.application != Application::XmlStream {
        Some((ReasonCondition::UnsupportedApplications, "it is not for messages"))
    } else {
        None
    };
    if let Some((condition, why)) = refusal {
        session.output.error(&format!("a tunnel from {peer} was declined: {why}"));
        // An offer that was taken back meanwhile needs no answer.
        let _ = session.engine.reject(now, incoming, Reason::new(condition));
        return Ok(false);
    }
    session.report(&Report::Incoming { peer: peer.as_str() })?;
    let accepted = session.engine.accept(now, incoming, conversation.rules.options(Application::XmlStream));
    Ok(match accepted {
        Ok(id) => {
            conversation.add(id, peer);
            true
        }
        // It was taken back meanwhile.
        Err(_) => false,
    })
}

/// Begins the orderly end, and says when to stop waiting for it.
fn begin_end(session: &mut Session, conversation: &mut Conversation) -> Instant {
    conversation.close(session);
    clock::now() + CLOSE_TIME
}
