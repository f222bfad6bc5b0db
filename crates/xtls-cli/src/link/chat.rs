//! Messages over a link.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xtls::link::{Link, LinkEvent};
use xtls::{Element, error::SendError};
use xtls_stanza::Limits;
use xtls_stanza::jid::Jid;

use super::Wire;
use super::end::End;
use super::open::report_closed;
use super::verdict;
use crate::clock;
use crate::exit::{Code, Failure};
use crate::output::{Report, excerpt};
use crate::platform::Signals;
use crate::session::{self, Command, Keyboard, MAX_WAITING, NO_XML, Unconfirmed};
use crate::wire;

/// How long the orderly end may take; the link's own timer is shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// Whether the user at the keyboard wants to end.
pub(super) type Leaves = bool;

/// Reads while no link is there; comes back when the input has ended.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) async fn read_ahead(keyboard: &mut Keyboard) -> Result<(), Failure> {
    while !keyboard.ended {
        let input = keyboard.next(true, &[]).await;
        if keyboard.take(input, &[])?.is_some() {
            keyboard.nobody_there();
        }
        // Whom it is for is gone, or still to come.
        let _ = keyboard.line_for(&[]);
    }
    Ok(())
}

/// A conversation over one link.
struct Talk<'a> {
    end: &'a End,
    wire: &'a mut Wire,
    /// Whom it is with.
    peer: Jid,
    keyboard: &'a mut Keyboard,
    /// What waits for room.
    waiting: VecDeque<Waiting>,
    /// Lines that the peer's end has not confirmed.
    unconfirmed: Unconfirmed,
    echo: bool,
    leaves: Leaves,
    until: Option<Instant>,
}

/// A stanza that waits for room.
struct Waiting {
    stanza: Element,
    /// The number of the line that it is, if it is one.
    line: Option<u64>,
}

/// Talks over an open link until it has ended.
///
/// # Errors
///
/// When it did not end in order.
pub(super) async fn talk(
    end: &End,
    wire: &mut Wire,
    keyboard: &mut Keyboard,
    signals: &mut Signals,
    echo: bool,
) -> Result<Leaves, Failure> {
    let peer = wire.link().peer().cloned().ok_or_else(|| Failure::other("a link with nobody"))?;
    let mut talk = Talk {
        end,
        wire,
        peer,
        keyboard,
        waiting: VecDeque::new(),
        unconfirmed: Unconfirmed::default(),
        echo,
        leaves: false,
        until: None,
    };
    let there = [talk.peer.clone()];
    talk.keyboard.came(&talk.peer, &there)?;
    talk.send_line();
    let result = talk.run(signals, &there).await;
    let gone = talk.keyboard.gone(&talk.peer, &[]);
    gone.and(result)
}

impl Talk<'_> {
    async fn run(&mut self, signals: &mut Signals, there: &[Jid]) -> Result<Leaves, Failure> {
        loop {
            let wants_line = !self.leaves && self.waiting.is_empty();
            tokio::select! {
                event = wire::event(self.wire) => if let Some(result) = self.handle(event) {
                    return result;
                },
                input = self.keyboard.next(wants_line, there) => {
                    match self.keyboard.take(input, there)? {
                        Some(command) => self.obey(command)?,
                        None => self.send_line(),
                    }
                    if self.keyboard.ended {
                        self.leave();
                    }
                },
                () = signals.next() => {
                    if self.leaves {
                        self.wire.with_link(Link::abort);
                        return Err(Failure::interrupted());
                    }
                    self.leave();
                }
                () = clock::sleep_until(self.until) => self.wire.with_link(Link::abort),
            }
        }
    }

    /// Does what an event asks for, and tells of it. Gives back how the link ended, if it did.
    fn handle(&mut self, event: LinkEvent) -> Option<Result<Leaves, Failure>> {
        match event {
            LinkEvent::Stanza { stanza } => return self.receive(&stanza).err().map(Err),
            LinkEvent::Writable => self.flush(),
            LinkEvent::StoreFailed { error } => self.end.store_failed(self.wire.link(), &error),
            LinkEvent::Impersonation { from } => {
                let peer = &self.peer;
                self.end.output.error_of(
                    peer.as_str(),
                    &format!("a message in the name of {from} came over the link with {peer} and was dropped"),
                );
            }
            LinkEvent::Closed(closed) => {
                for number in self.waiting.iter().filter_map(|waiting| waiting.line) {
                    let why = "the link ended before";
                    self.unconfirmed.forget(number);
                    self.keyboard.not_sent(number, Some(self.peer.as_str()), why, Code::Connection);
                }
                let told = report_closed(self.end, &closed, self.peer.as_str(), 0);
                let result =
                    verdict::failure(&closed, self.peer.as_str(), true, &self.end.own()).map_or(Ok(self.leaves), Err);
                // After an end in order all has come to the peer's end, whether that confirms anything or not.
                if result.is_err() {
                    self.unconfirmed.tell(self.end.output, self.peer.as_str());
                }
                return Some(told.and(result));
            }
            _ => {}
        }
        None
    }

    /// Begins the orderly end.
    fn leave(&mut self) {
        self.leaves = true;
        self.until = Some(clock::now() + CLOSE_TIME);
        self.wire.with_link(Link::close);
    }

    /// Sends a line that waits, if it is for this peer.
    fn send_line(&mut self) {
        let Some((_, line)) = self.keyboard.line_for(std::slice::from_ref(&self.peer)) else { return };
        match session::line(line.number, &line.text) {
            Some(message) => {
                self.unconfirmed.sent(line.number, excerpt(&line.text));
                self.push(message, Some(line.number));
            }
            None => self.keyboard.not_sent(line.number, Some(self.peer.as_str()), NO_XML, Code::Other),
        }
    }

    /// Does what a line asks for.
    fn obey(&mut self, command: Command) -> Result<(), Failure> {
        let peer = self.peer.as_str();
        match command {
            Command::Who => {
                let Some(security) = self.wire.link().security() else { return Ok(()) };
                let fingerprint =
                    security.certificate.as_ref().map(|certificate| certificate.fingerprint_sha256().hex());
                let method = security.method.as_str();
                let chosen = true;
                self.end.report(&Report::Present { peer, method, fingerprint: fingerprint.as_deref(), chosen })
            }
            Command::Send(_) | Command::Take(_) | Command::Refuse(_) | Command::Files => {
                self.end.output.error_of(
                    peer,
                    &format!(
                        "files go in tunnels, not over links: xtls send FILE {peer} opens one, and so does xtls chat"
                    ),
                );
                if matches!(command, Command::Send(_)) {
                    self.keyboard.file_not_sent(Code::Other);
                }
                Ok(())
            }
            Command::Verify | Command::Answer(_) | Command::Stop => {
                self.end.output.error_of(
                    peer,
                    &format!("strings are compared in tunnels, not over links: xtls verify {peer} opens one"),
                );
                Ok(())
            }
        }
    }

    fn receive(&mut self, stanza: &Element) -> Result<(), Failure> {
        let peer = self.peer.as_str();
        if let Some(body) = session::body(stanza) {
            let name = self.keyboard.name_of(&self.peer, &[]);
            self.end.report(&Report::Message { peer, from: peer, name: &name, body: &body })?;
            // The user has it now (XEP-0184 § 7).
            if let Some(receipt) = session::receipt_for(stanza)
                && self.waiting.len() < MAX_WAITING
            {
                self.push(receipt, None);
            }
            let peer = self.peer.as_str();
            if self.echo {
                match session::message(&body) {
                    Some(echo) if self.waiting.len() < MAX_WAITING => self.push(echo, None),
                    _ => {
                        let why = format!("a message of {peer} was not echoed: too many are waiting");
                        self.end.output.error_of(peer, &why);
                    }
                }
            }
        } else if let Some((line, text)) = self.unconfirmed.confirmed_by(stanza) {
            self.end.report(&Report::Delivered { line, peer, text: &text })?;
        } else if let Some(answer) = self.end.disco.answer(stanza)
            && self.waiting.len() < MAX_WAITING
            && let Ok(answer) = Element::parse(&answer, &Limits::default())
        {
            self.push(answer, None);
        }
        Ok(())
    }

    fn push(&mut self, stanza: Element, line: Option<u64>) {
        self.waiting.push_back(Waiting { stanza, line });
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        while let Some(Waiting { stanza, line }) = self.waiting.front() {
            match (self.wire.with_link(|link, now| link.send(now, stanza)), *line) {
                // LinkEvent::Writable tells when to go on.
                (Err(SendError::Full), _) => break,
                (Err(e), Some(number)) => {
                    self.unconfirmed.forget(number);
                    self.keyboard.not_sent(number, Some(self.peer.as_str()), &e.to_string(), Code::Other);
                }
                (Err(e @ SendError::TooLarge), None) => {
                    let why = format!("an answer to {} was not sent: {e}", self.peer);
                    self.end.output.error_of(self.peer.as_str(), &why);
                }
                // Else the link is ending, and its end says so.
                (Ok(()) | Err(_), _) => {}
            }
            self.waiting.pop_front();
        }
    }
}
