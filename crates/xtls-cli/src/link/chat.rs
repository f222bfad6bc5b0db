//! Messages over a link.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xtls::link::LinkEvent;
use xtls::{Element, error::SendError};
use xtls_stanza::Limits;

use super::Wire;
use super::end::End;
use super::open::report_closed;
use super::verdict;
use crate::clock;
use crate::exit::Failure;
use crate::output::Report;
use crate::session::{self, Input, Lines, MAX_WAITING, Signals};

/// How long the orderly end may take; the link's own timer is shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// What comes from standard input.
pub(super) struct Typed {
    lines: Lines,
    /// A line that waits for a link.
    held: Option<String>,
    /// A line or a link has come. Input that ends before is no wish to end: there is just nobody at the keyboard.
    pub(super) used: bool,
    pub(super) ended: bool,
}

/// Whether the user at the keyboard wants to end.
pub(super) type Leaves = bool;

impl Typed {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, held: None, used: false, ended: false }
    }

    /// Reads while no link is there; comes back when the input has ended.
    pub(super) async fn read_ahead(&mut self, end: &End) {
        while !self.ended {
            match self.lines.next(self.held.is_none()).await {
                Input::Line(line) => (self.held, self.used) = (Some(line), true),
                Input::Unusable(why) => end.output.error(why),
                Input::End => self.ended = true,
            }
        }
    }
}

/// A conversation over one link.
struct Talk<'a> {
    end: &'a End,
    wire: &'a mut Wire,
    /// What waits for room.
    waiting: VecDeque<Element>,
    echo: bool,
    leaves: Leaves,
    until: Option<Instant>,
}

/// Talks over an open link until it has ended.
///
/// # Errors
///
/// When it did not end in order.
pub(super) async fn talk(
    end: &End,
    wire: &mut Wire,
    typed: &mut Typed,
    signals: &mut Signals,
    echo: bool,
) -> Result<Leaves, Failure> {
    typed.used = true;
    let mut talk = Talk { end, wire, waiting: VecDeque::new(), echo, leaves: false, until: None };
    if let Some(line) = typed.held.take() {
        talk.say(&line);
    }
    loop {
        let wants_line = !talk.leaves && talk.waiting.is_empty() && !typed.ended;
        tokio::select! {
            event = talk.wire.event() => if let Some(result) = talk.handle(event) {
                return result;
            },
            input = typed.lines.next(wants_line) => match input {
                Input::Line(line) => talk.say(&line),
                Input::Unusable(why) => end.output.error(why),
                Input::End => {
                    typed.ended = true;
                    talk.leave();
                }
            },
            () = signals.next() => {
                if talk.leaves {
                    talk.wire.link.abort(clock::now());
                }
                talk.leave();
            }
            () = clock::sleep_until(talk.until) => talk.wire.link.abort(clock::now()),
        }
    }
}

impl Talk<'_> {
    /// Does what an event asks for, and tells of it. Gives back how the link ended, if it did.
    fn handle(&mut self, event: LinkEvent) -> Option<Result<Leaves, Failure>> {
        match event {
            LinkEvent::Stanza { stanza } => return self.receive(&stanza).err().map(Err),
            LinkEvent::Writable => self.flush(),
            LinkEvent::StoreFailed { error } => self.end.store_failed(self.wire, &error),
            LinkEvent::Impersonation { from } => {
                self.end.output.error(&format!("a message in the name of {from} came over the link and was dropped"));
            }
            LinkEvent::Closed(closed) => {
                if !self.waiting.is_empty() {
                    self.end.output.error("a message was not sent: the link ended before");
                }
                let told = report_closed(self.end, &closed, 0);
                let result = verdict::failure(&closed, "the peer", true).map_or(Ok(self.leaves), Err);
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
        self.wire.link.close(clock::now());
    }

    fn say(&mut self, line: &str) {
        match session::message(line) {
            Some(message) => self.push(message),
            None => self.end.output.error("a line with characters that XML cannot carry was not sent"),
        }
    }

    fn receive(&mut self, stanza: &Element) -> Result<(), Failure> {
        if let Some(body) = session::body(stanza) {
            let from = self.wire.link.peer().map(|peer| peer.as_str()).unwrap_or_default();
            self.end.report(&Report::Message { from, body: &body })?;
            if self.echo {
                match session::message(&body) {
                    Some(echo) if self.waiting.len() < MAX_WAITING => self.push(echo),
                    _ => self.end.output.error("a message was not echoed: too many are waiting"),
                }
            }
        } else if let Some(answer) = self.end.disco.answer(stanza)
            && self.waiting.len() < MAX_WAITING
            && let Ok(answer) = Element::parse(&answer, &Limits::default())
        {
            self.push(answer);
        }
        Ok(())
    }

    fn push(&mut self, stanza: Element) {
        self.waiting.push_back(stanza);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        while let Some(stanza) = self.waiting.front() {
            match self.wire.link.send(clock::now(), stanza) {
                // LinkEvent::Writable tells when to go on.
                Err(SendError::Full) => break,
                Err(e @ SendError::TooLarge) => self.end.output.error(&format!("a message was not sent: {e}")),
                // Else the link is ending, and its end says so.
                Ok(()) | Err(_) => {}
            }
            self.waiting.pop_front();
        }
    }
}
