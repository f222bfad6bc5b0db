//! The tunnels of a session: what happens in them, for the user at the keyboard.

mod exchange;
mod files;
mod paths;
mod talk;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use xtls::{Closed, Event, TunnelId, error::SendError};
use xtls_stanza::jid::{FullJid, Jid};
use xtls_tokio::Opening;

use self::exchange::{Exchange, Moved};
use self::files::{Filing, Gathered};
use self::talk::Talk;
use super::open::{NO_XML, Open, Said, Waiting};
use super::{Answers, Command, Compare, FileSetup, Input, Keyboard, Outcome, Rules, Session, Verdict, note};
use crate::clock;
use crate::exit::{Code, Failure};
use crate::output::{Output, Report, excerpt};

pub(crate) use self::files::{Sharing, log_in};

/// How long the orderly end may take; the engine's own timers are shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// No comparison is going on.
const NOTHING_TO_COMPARE: &str = "there is no string to compare yet: /verify makes one";

/// What the user types to compare a string.
const ANSWERS: Answers = Answers { yes: "/verify yes", no: "/verify no" };

/// The tunnels of a session, the oldest first, and the keyboard.
pub(crate) struct Conversation {
    pub(crate) rules: Rules,
    /// Answer each message with its own text.
    echo: bool,
    open: Vec<Talk>,
    pub(crate) keyboard: Keyboard,
    filing: Filing,
    closing: bool,
    /// Messages could be sent in some tunnel.
    talked: bool,
    /// What happened last was about a file. There may be no end of that, and what is typed has its turn.
    filed: bool,
}

/// What is to be seen to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Something was typed.
    Input(Input),
    /// This has happened in the tunnel at this place.
    Tunnel(usize, Said),
    /// It is for [`Conversation::handle_files`].
    Files(Filed),
}

/// What has happened beside the tunnels for files.
#[derive(Debug)]
pub(crate) enum Filed {
    /// A disk has done something for the tunnel at this place.
    Moved(usize, Moved),
    /// Something that is to be sent was looked at.
    Gathered(Gathered),
    /// It is time to show how far everything is.
    Due,
}

impl Conversation {
    /// With files in its tunnels, if that is how they are shared.
    pub(crate) fn new(output: Output, rules: Rules, echo: bool, keyboard: Keyboard, sharing: Option<Sharing>) -> Self {
        let filing = Filing::new(output, sharing);
        Self { rules, echo, open: Vec::new(), keyboard, filing, closing: false, talked: false, filed: false }
    }

    /// Takes a tunnel that was just offered or accepted.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(crate) fn add(&mut self, session: &Session, opening: Opening) -> Result<(), Failure> {
        let open = match self.filing.sharing() {
            Some(sharing) => Open::with_files(opening, FileSetup::new(session, sharing.options(&self.rules))?),
            None => Open::new(opening),
        };
        self.open.push(Talk::new(open));
        Ok(())
    }

    /// No tunnel is left.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Whose tunnels are left.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &FullJid> {
        self.open.iter().map(|talk| &talk.open.peer)
    }

    /// Whether messages could ever be sent.
    pub(crate) fn has_talked(&self) -> bool {
        self.talked
    }

    /// Whether the end was begun.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// What is to be seen to next: in the tunnels, or at the keyboard, as long as what was typed before is sent. Dropping this
    /// loses nothing.
    pub(crate) async fn next(&mut self) -> Turn {
        self.show_files();
        let there = self.there();
        let Self { open, keyboard, filing, closing, filed, .. } = self;
        let is_backed_up = open.iter().any(|talk| talk.open.is_backed_up());
        let due = filing.deadline();
        let in_tunnels = poll_fn(|cx| {
            for (at, talk) in open.iter_mut().enumerate() {
                if let Poll::Ready(said) = talk.open.poll(cx) {
                    return Poll::Ready(Turn::Tunnel(at, said));
                }
                if let Some(Poll::Ready(moved)) = talk.exchange.as_mut().map(|exchange| exchange.poll_next(cx)) {
                    return Poll::Ready(Turn::Files(Filed::Moved(at, moved)));
                }
            }
            filing.poll_gathered(cx).map(|gathered| Turn::Files(Filed::Gathered(gathered)))
        });
        let mut typed = pin!(keyboard.next(!*closing && !is_backed_up, &there));
        let due = clock::sleep_until(due);
        let turn = if *filed {
            tokio::select! {
                biased;
                input = &mut typed => Turn::Input(input),
                () = due => Turn::Files(Filed::Due),
                turn = in_tunnels => turn,
            }
        } else {
            tokio::select! {
                biased;
                turn = in_tunnels => turn,
                () = due => Turn::Files(Filed::Due),
                input = &mut typed => Turn::Input(input),
            }
        };
        *filed = matches!(turn, Turn::Files(_) | Turn::Tunnel(_, Said::File(_)));
        turn
    }

    /// Takes what happened for files.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn handle_files(&mut self, session: &Session, filed: Filed) -> Result<(), Failure> {
        match filed {
            Filed::Moved(at, moved) => {
                let Self { open, filing, .. } = self;
                if let Some((exchange, tunnel)) = open.get_mut(at).and_then(Talk::files) {
                    exchange.moved(moved, tunnel, clock::now(), &mut filing.numbers)?;
                }
                self.compare(session)
            }
            Filed::Gathered(gathered) => self.gathered(session, gathered),
            // It is shown before what happens next.
            Filed::Due => Ok(()),
        }
    }

    /// Takes what was typed.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written, or the trust file cannot.
    pub(crate) fn take_input(&mut self, session: &Session, input: Input) -> Result<(), Failure> {
        let there = self.there();
        match self.keyboard.take(input, &there)? {
            None => self.send_line(),
            Some(Command::Who) => self.tell_who(session, &there)?,
            Some(Command::Send(files)) => self.send_files(&files, &there),
            Some(Command::Take(number)) => self.decide(session, number, true)?,
            Some(Command::Refuse(number)) => self.decide(session, number, false)?,
            Some(Command::Files) => self.tell_files(session)?,
            Some(Command::Verify) => {
                let Some(compare) = self.chosen(session, &there) else { return Ok(()) };
                if let Err(why) = compare.propose() {
                    session.output.error(&format!("no string can be compared: {why}"));
                }
            }
            Some(Command::Answer(same)) => {
                let Some(compare) = self.chosen(session, &there) else { return Ok(()) };
                if compare.is_shown() {
                    compare.answer(same);
                } else {
                    session.output.error(NOTHING_TO_COMPARE);
                }
            }
            Some(Command::Stop) => {
                let Some(compare) = self.chosen(session, &there) else { return Ok(()) };
                if compare.abort() {
                    note(session.output, "* the comparison has come to nothing, and the other user is told")?;
                } else {
                    session.output.error(NOTHING_TO_COMPARE);
                }
            }
        }
        self.compare(session)
    }

    /// Begins the orderly end of every tunnel, and says when to stop waiting for it.
    pub(crate) fn close(&mut self) -> Instant {
        self.closing = true;
        self.drop_gathering();
        for talk in &mut self.open {
            talk.break_off();
            // The other user waits for an answer.
            if talk.compare.as_mut().is_some_and(Compare::abort) {
                talk.ends = true;
                talk.transmit();
            } else {
                talk.open.close();
            }
        }
        clock::now() + CLOSE_TIME
    }

    /// Sends a line that waits, if its peer is there.
    fn send_line(&mut self) {
        let there = self.there();
        let Some((at, line)) = self.keyboard.line_for(&there) else { return };
        let Some(Talk { open, .. }) = self.open.iter_mut().filter(|talk| talk.open.is_ready()).nth(at) else { return };
        match super::line(line.number, &line.text) {
            Some(message) => {
                open.unconfirmed.sent(line.number, excerpt(&line.text));
                open.push(Waiting { message, line: Some(line.number) });
            }
            None => self.keyboard.not_sent(line.number, Some(open.peer.as_str()), NO_XML, Code::Other),
        }
    }

    /// Tells whom there are tunnels with.
    fn tell_who(&self, session: &Session, there: &[Jid]) -> Result<(), Failure> {
        let chosen = self.keyboard.chosen_of(there);
        for (at, Talk { open, .. }) in self.open.iter().filter(|talk| talk.open.is_ready()).enumerate() {
            let Some(security) = open.security() else { continue };
            let fingerprint = security.certificate.as_ref().map(|certificate| certificate.fingerprint_sha256().hex());
            session.report(&Report::Present {
                peer: open.peer.as_str(),
                method: security.method.as_str(),
                fingerprint: fingerprint.as_deref(),
                chosen: chosen == Some(at),
            })?;
        }
        if there.is_empty() {
            self.keyboard.nobody_there();
        }
        Ok(())
    }

    /// What is compared with the peer that lines go to. Says what is missing otherwise.
    fn chosen(&mut self, session: &Session, there: &[Jid]) -> Option<&mut Compare> {
        let Some(at) = self.keyboard.chosen_of(there) else {
            session.output.error("nobody is there to compare a string with: /to PEER chooses whom lines go to");
            return None;
        };
        let talk = self.open.iter_mut().filter(|talk| talk.open.is_ready()).nth(at)?;
        if talk.compare.is_none() {
            let peer = talk.open.peer.as_str();
            session
                .output
                .error_of(peer, &format!("no string can be compared with {peer}: a password secures this tunnel"));
        }
        talk.compare.as_mut()
    }

    /// Sends and tells what the comparisons have come to. A tunnel with somebody in its middle ends.
    fn compare(&mut self, session: &Session) -> Result<(), Failure> {
        for talk in &mut self.open {
            let Some(compare) = &mut talk.compare else { continue };
            match compare.turn(session)? {
                Some(Outcome::Differs(failure)) => {
                    talk.differs = Some(failure);
                    talk.ends = true;
                    // With somebody in its middle nothing more goes in it.
                    talk.break_off();
                }
                Some(Outcome::Nothing(failure)) => session.output.failure(&failure),
                Some(Outcome::Verified) | None => {}
            }
            talk.transmit();
        }
        Ok(())
    }

    /// Does what a notice asks for, and tells of it.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn notice(&mut self, session: &Session, event: Event) -> Result<(), Failure> {
        match event {
            Event::Redirected { id, peer } => {
                if let Some(Talk { open, .. }) = self.of(id) {
                    session.report(&Report::Redirected { peer: open.peer.as_str(), to: peer.as_str() })?;
                    open.peer = peer;
                }
            }
            Event::Confirmed { id } => {
                if let Some(Talk { open, .. }) = self.of(id)
                    && let Some(security) = open.security()
                {
                    session.report_secured(&open.peer, &security)?;
                }
            }
            Event::Throttled { id, bytes_per_second } => self.throttled(id, bytes_per_second),
            Event::Impersonation { id, from, .. } => {
                let Some(Talk { open: Open { peer, .. }, .. }) = self.of(id) else { return Ok(()) };
                session.output.error_of(
                    peer.as_str(),
                    &format!("a message in the name of {from} came through the tunnel with {peer} and was dropped"),
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Does what something in the tunnel at this place asks for, and tells of it. Gives back how the tunnel ended, if it did.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) async fn handle(
        &mut self,
        session: &Session,
        at: usize,
        said: Said,
    ) -> Result<Option<Verdict>, Failure> {
        let there = self.there();
        let Self { open, filing, .. } = self;
        let Some(talk) = open.get_mut(at) else { return Ok(None) };
        let open = &mut talk.open;
        match said {
            Said::Secured(security) => {
                session.report_secured(&open.peer, &security)?;
                session.greet(&open.peer).await;
            }
            Said::StreamOpened => {
                self.talked = true;
                session.report(&Report::StreamOpen { peer: open.peer.as_str() })?;
                if self.keyboard.takes_commands()
                    && let Some(security) = open.security()
                {
                    talk.compare = Compare::new(session, open, &security, ANSWERS)?;
                }
                if open.files().is_some() {
                    let target = filing.sharing().map(Sharing::target);
                    talk.exchange = target.map(|target| Exchange::new(session.output, open.peer.clone(), target));
                }
                let peer = open.peer.clone().into();
                self.keyboard.came(&peer, &there)?;
                if !self.closing {
                    self.send_line();
                }
            }
            Said::File(event) => {
                if let Some((exchange, tunnel)) = talk.files() {
                    exchange.handle(&event, tunnel, clock::now(), &mut filing.numbers)?;
                }
            }
            Said::StreamClosed => {
                talk.compare = None;
                if let Some(code) = talk.end_files().await {
                    self.keyboard.file_not_sent(code);
                }
                let peer = talk.open.peer.clone().into();
                self.keyboard.gone(&peer, &there)?;
            }
            Said::Stanza(stanza) => {
                if !talk.compare.as_mut().is_some_and(|compare| compare.handle_stanza(&stanza)) {
                    let echoes = self.echo && !self.closing;
                    let peer = open.peer.clone().into();
                    let name = self.keyboard.name_of(&peer, &there);
                    open.receive(session, &stanza, &name, echoes)?;
                }
            }
            Said::Sent(line, result) => {
                let peer = open.peer.as_str();
                match (result, line) {
                    (Ok(()), None) => {}
                    (Ok(()), Some(_)) => open.spoke = true,
                    (Err(why), Some(number)) => {
                        open.unconfirmed.forget(number);
                        self.keyboard.not_sent(number, Some(peer), &why.to_string(), Code::Other);
                    }
                    // Its end tells what there is to tell.
                    (Err(SendError::Closing), None) => {}
                    (Err(why), None) => {
                        session.output.error_of(peer, &format!("an answer to {peer} was not sent: {why}"));
                    }
                }
            }
            Said::Closed(closed) => return self.closed(session, at, &closed).await.map(Some),
        }
        self.compare(session)?;
        Ok(None)
    }

    /// The peers to which messages can be sent.
    fn there(&self) -> Vec<Jid> {
        let ready = self.open.iter().map(|talk| &talk.open).filter(|open| open.is_ready());
        ready.map(|open| open.peer.clone().into()).collect()
    }

    fn of(&mut self, id: TunnelId) -> Option<&mut Talk> {
        self.open.iter_mut().find(|talk| talk.open.id() == Some(id))
    }

    async fn closed(&mut self, session: &Session, at: usize, closed: &Closed) -> Result<Verdict, Failure> {
        let mut talk = self.open.remove(at);
        if let Some(code) = talk.end_files().await {
            self.keyboard.file_not_sent(code);
        }
        let Talk { mut open, differs, .. } = talk;
        let verdict = Verdict::of(closed, session.own());
        if matches!(verdict, Verdict::GaveWay) {
            return Ok(verdict);
        }
        session.report_closed(closed)?;
        let unsent: Vec<_> = open.unsent().collect();
        unsent.iter().for_each(|number| open.unconfirmed.forget(*number));
        let peer = open.peer.as_str();
        for number in unsent.iter().copied() {
            self.keyboard.not_sent(number, Some(peer), "the tunnel ended before", Code::Connection);
        }
        if open.is_ready() {
            let there = self.there();
            self.keyboard.gone(&open.peer.clone().into(), &there)?;
        }
        if let Some(failure) = differs {
            return Ok(Verdict::Failed(failure));
        }
        // After an end in order all has come to the peer's end, whether that confirms anything or not.
        if !matches!(verdict, Verdict::Done) || closed.unacked > 0 {
            open.unconfirmed.tell(session.output, peer);
        }
        if !open.spoke || closed.unacked == 0 {
            return Ok(verdict);
        }
        self.keyboard.not_acknowledged();
        Ok(match verdict {
            Verdict::Done | Verdict::GaveWay => Verdict::Failed(
                Failure::connection(format!(
                    "the tunnel with {peer} ended before it had everything: {} bytes were not acknowledged",
                    closed.unacked
                ))
                .about(peer),
            ),
            verdict @ (Verdict::Disconnected | Verdict::Failed(_)) => verdict,
        })
    }
}
