//! The tunnels of a session: what happens in them, for the user at the keyboard.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use xtls::{Closed, Event, TunnelId};
use xtls_stanza::jid::{FullJid, Jid};
use xtls_tokio::Opening;

use super::open::{NO_XML, Open, Said, Waiting, message};
use super::{Input, Keyboard, Rules, Session, Verdict};
use crate::clock;
use crate::exit::{Code, Failure};
use crate::output::Report;

/// How long the orderly end may take; the engine's own timers are shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// The tunnels of a session, the oldest first, and the keyboard.
pub(crate) struct Conversation {
    pub(crate) rules: Rules,
    /// Answer each message with its own text.
    echo: bool,
    open: Vec<Open>,
    pub(crate) keyboard: Keyboard,
    closing: bool,
    /// Messages could be sent in some tunnel.
    talked: bool,
}

/// What is to be seen to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Something was typed.
    Input(Input),
    /// This has happened in the tunnel at this place.
    Tunnel(usize, Said),
}

impl Conversation {
    pub(crate) fn new(rules: Rules, echo: bool, keyboard: Keyboard) -> Self {
        Self { rules, echo, open: Vec::new(), keyboard, closing: false, talked: false }
    }

    /// Takes a tunnel that was just offered or accepted.
    pub(crate) fn add(&mut self, opening: Opening) {
        self.open.push(Open::new(opening));
    }

    /// No tunnel is left.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Whose tunnels are left.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &FullJid> {
        self.open.iter().map(|open| &open.peer)
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
        let there = self.there();
        let Self { open, keyboard, closing, .. } = self;
        let is_backed_up = open.iter().any(Open::is_backed_up);
        let in_tunnels = poll_fn(|cx| {
            let mut turns = open.iter_mut().enumerate().map(|(at, open)| (at, open.poll(cx)));
            let turn = turns.find_map(|(at, said)| if let Poll::Ready(said) = said { Some((at, said)) } else { None });
            turn.map_or(Poll::Pending, |(at, said)| Poll::Ready(Turn::Tunnel(at, said)))
        });
        tokio::select! {
            biased;
            turn = in_tunnels => turn,
            input = keyboard.next(!*closing && !is_backed_up, &there) => Turn::Input(input),
        }
    }

    /// Takes what was typed.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn take_input(&mut self, input: Input) -> Result<(), Failure> {
        let there = self.there();
        self.keyboard.take(input, &there)?;
        self.send_line();
        Ok(())
    }

    /// Begins the orderly end of every tunnel, and says when to stop waiting for it.
    pub(crate) fn close(&mut self) -> Instant {
        self.closing = true;
        for open in &self.open {
            open.close();
        }
        clock::now() + CLOSE_TIME
    }

    /// Sends a line that waits, if its peer is there.
    fn send_line(&mut self) {
        let there = self.there();
        let Some((at, line)) = self.keyboard.line_for(&there) else { return };
        let Some(open) = self.open.iter_mut().filter(|open| open.is_ready()).nth(at) else { return };
        match message(&line.text) {
            Some(message) => open.push(Waiting { message, line: Some(line.number) }),
            None => self.keyboard.not_sent(line.number, Some(open.peer.as_str()), NO_XML, Code::Other),
        }
    }

    /// Does what a notice asks for, and tells of it.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn notice(&mut self, session: &Session, event: Event) -> Result<(), Failure> {
        match event {
            Event::Redirected { id, peer } => {
                if let Some(open) = self.of(id) {
                    session.report(&Report::Redirected { peer: open.peer.as_str(), to: peer.as_str() })?;
                    open.peer = peer;
                }
            }
            Event::Confirmed { id } => {
                if let Some(open) = self.of(id)
                    && let Some(security) = open.security()
                {
                    session.report_secured(&open.peer, &security)?;
                }
            }
            Event::Impersonation { id, from, .. } => {
                let Some(Open { peer, .. }) = self.of(id) else { return Ok(()) };
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
        let Some(open) = self.open.get_mut(at) else { return Ok(None) };
        match said {
            Said::Secured(security) => {
                session.report_secured(&open.peer, &security)?;
                session.greet(&open.peer).await;
            }
            Said::StreamOpened => {
                self.talked = true;
                session.report(&Report::StreamOpen { peer: open.peer.as_str() })?;
                let (peer, there) = (open.peer.clone().into(), self.there());
                self.keyboard.came(&peer, &there)?;
                if !self.closing {
                    self.send_line();
                }
            }
            Said::StreamClosed => {
                let (peer, there) = (open.peer.clone().into(), self.there());
                self.keyboard.gone(&peer, &there)?;
            }
            Said::Stanza(stanza) => {
                let echoes = self.echo && !self.closing;
                open.receive(session, &stanza, echoes)?;
            }
            Said::Sent(line, result) => {
                let peer = open.peer.as_str();
                match (result, line) {
                    (Ok(()), None) => {}
                    (Ok(()), Some(_)) => open.spoke = true,
                    (Err(why), Some(number)) => {
                        self.keyboard.not_sent(number, Some(peer), &why.to_string(), Code::Other);
                    }
                    (Err(why), None) => {
                        session.output.error_of(peer, &format!("an answer to {peer} was not sent: {why}"));
                    }
                }
            }
            Said::Closed(closed) => return self.closed(session, at, &closed).map(Some),
        }
        Ok(None)
    }

    /// The peers to which messages can be sent.
    fn there(&self) -> Vec<Jid> {
        self.open.iter().filter(|open| open.is_ready()).map(|open| open.peer.clone().into()).collect()
    }

    fn of(&mut self, id: TunnelId) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.id() == Some(id))
    }

    fn closed(&mut self, session: &Session, at: usize, closed: &Closed) -> Result<Verdict, Failure> {
        let open = self.open.remove(at);
        let verdict = Verdict::of(closed, session.own());
        if matches!(verdict, Verdict::GaveWay) {
            return Ok(verdict);
        }
        session.report_closed(closed)?;
        let peer = open.peer.as_str();
        for number in open.unsent() {
            self.keyboard.not_sent(number, Some(peer), "the tunnel ended before", Code::Connection);
        }
        if open.is_ready() {
            let there = self.there();
            self.keyboard.gone(&open.peer.clone().into(), &there)?;
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
