//! What the user types: whom a line is for, and what becomes of it.

use std::borrow::Cow;

use xtls_stanza::jid::Jid;

use super::commands::{COMMANDS, Command, HELP, Line};
use super::{Input, Lines, note, tell};
use crate::config::Nicknames;
use crate::exit::{Code, Failure};
use crate::output::{Output, Report, Shown};

/// A line of standard input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    /// The first one is 1.
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// Standard input, one line at a time.
///
/// A line goes to the peer that it was typed for, or to nobody: lines are for the first peer that comes, until the user
/// chooses another one. While that one is not there they are refused, whoever else is.
pub(crate) struct Keyboard {
    output: Output,
    lines: Lines,
    recipient: Recipient,
    /// Whether a line may be a command. That is where the user at a terminal or a program that reads events types it; elsewhere
    /// every line is a message.
    commands: bool,
    /// What the user calls peers.
    nicknames: Nicknames,
    /// A line that waits for a peer to come, or for room.
    held: Option<Typed>,
    /// How many lines were read.
    count: u64,
    unsent: Unsent,
    /// A line or a peer has come. Input that ends before is no wish to end: there is just nobody at the keyboard.
    pub(crate) used: bool,
    pub(crate) ended: bool,
}

/// Whom lines go to.
#[derive(Debug)]
enum Recipient {
    /// The first peer that comes; one line waits for it.
    First,
    /// A bare address stands for whatever tunnel of that peer is open, a full one for that tunnel only.
    Chosen(Jid),
    /// What was chosen is no address.
    Nobody,
    /// There can be no other peer: nothing is read while it is not there.
    Only(Jid),
}

/// What was not sent.
#[derive(Debug, Default)]
struct Unsent {
    lines: u64,
    /// Something that was sent was not acknowledged.
    unacked: bool,
    /// A file was not sent, or not to its end.
    files: bool,
    code: Option<Code>,
}

impl Keyboard {
    /// Lines that go to the first peer that comes, until the user chooses another one.
    pub(crate) fn for_first(output: Output, lines: Lines, nicknames: &Nicknames) -> Self {
        Self::new(output, lines, Recipient::First, nicknames, output.takes_commands())
    }

    /// Lines that go to this peer.
    pub(crate) fn only_for(output: Output, lines: Lines, peer: Jid, nicknames: &Nicknames) -> Self {
        Self::new(output, lines, Recipient::Only(peer), nicknames, output.takes_commands())
    }

    fn new(output: Output, mut lines: Lines, recipient: Recipient, nicknames: &Nicknames, commands: bool) -> Self {
        let choices = nicknames.names().map(|name| format!("/to {name}"));
        lines.set_words(COMMANDS.into_iter().map(str::to_owned).chain(choices).collect());
        let mut keyboard = Self {
            output,
            lines,
            recipient,
            commands,
            nicknames: nicknames.clone(),
            held: None,
            count: 0,
            unsent: Unsent::default(),
            used: false,
            ended: false,
        };
        keyboard.show_recipient();
        keyboard
    }

    /// Whether commands are taken, and so whether somebody may see what they lead to.
    pub(crate) fn takes_commands(&self) -> bool {
        self.commands && !self.lines.is_none()
    }

    /// What the user calls a peer: by its nickname, or else its bare address; by the full one where another login of it is there.
    pub(crate) fn name_of<'a>(&'a self, peer: &'a Jid, there: &[Jid]) -> Cow<'a, str> {
        if there.iter().any(|other| other != peer && other.to_bare() == peer.to_bare()) {
            return Cow::Borrowed(peer.as_str());
        }
        self.nicknames.name_of(peer).map_or_else(|| Cow::Owned(peer.to_bare().to_string()), Cow::Borrowed)
    }

    /// Which of the peers that are there lines go to.
    pub(crate) fn chosen_of(&self, there: &[Jid]) -> Option<usize> {
        let (Recipient::Chosen(peer) | Recipient::Only(peer)) = &self.recipient else { return None };
        there.iter().position(|other| is_meant(peer, other))
    }

    /// The next input, if some is `wanted` while these peers are there. Dropping this loses nothing.
    pub(crate) async fn next(&mut self, wanted: bool, there: &[Jid]) -> Input {
        let readable = match &self.recipient {
            Recipient::Only(peer) => there.iter().any(|other| is_meant(peer, other)),
            Recipient::First | Recipient::Chosen(_) | Recipient::Nobody => true,
        };
        self.lines.next(wanted && readable && self.held.is_none() && !self.ended).await
    }

    /// Takes what [`Keyboard::next`] gave while these peers are there. What the tunnels have to do about it is given back.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn take(&mut self, input: Input, there: &[Jid]) -> Result<Option<Command>, Failure> {
        match input {
            Input::End => self.ended = true,
            Input::Unusable(why) => {
                let number = self.next_number();
                self.not_sent(number, None, why, Code::Other);
            }
            Input::Line(text) => {
                let number = self.next_number();
                match Line::of(text, self.commands) {
                    Line::Message(text) => self.held = Some(Typed { number, text }),
                    Line::Choice(address) => self.choose(&address, there)?,
                    Line::Question => self.tell(there)?,
                    Line::Help => note(self.output, HELP)?,
                    Line::Quit => self.ended = true,
                    Line::Command(command) => return Ok(Some(command)),
                }
            }
        }
        Ok(None)
    }

    /// The line to send now, and to which of the peers that are there. One for a peer that is not there is refused.
    pub(crate) fn line_for(&mut self, there: &[Jid]) -> Option<(usize, Typed)> {
        let line = self.held.take()?;
        let recipient = match &self.recipient {
            Recipient::Chosen(peer) | Recipient::Only(peer) => Some(peer),
            Recipient::Nobody => None,
            Recipient::First => {
                self.held = Some(line);
                return None;
            }
        };
        match recipient.and_then(|peer| there.iter().position(|other| is_meant(peer, other))) {
            Some(at) => Some((at, line)),
            None => {
                self.refuse(&line);
                None
            }
        }
    }

    /// A peer has come; it is one of these.
    ///
    /// # Errors
    ///
    /// When it cannot be told whom lines go to.
    pub(crate) fn came(&mut self, peer: &Jid, there: &[Jid]) -> Result<(), Failure> {
        self.used = true;
        if matches!(self.recipient, Recipient::First) {
            self.recipient = Recipient::Chosen(peer.to_bare().into());
            self.show_recipient();
        }
        match &self.recipient {
            Recipient::Chosen(chosen) if is_meant(chosen, peer) => self.tell(there),
            _ => Ok(()),
        }
    }

    /// A peer has gone; these are still there. A line that waited for it goes to nobody else.
    ///
    /// # Errors
    ///
    /// When it cannot be told whom lines go to.
    pub(crate) fn gone(&mut self, peer: &Jid, there: &[Jid]) -> Result<(), Failure> {
        let Recipient::Chosen(chosen) = &self.recipient else { return Ok(()) };
        if !is_meant(chosen, peer) {
            return Ok(());
        }
        if let Some(line) = self.held.take_if(|_| !there.iter().any(|other| is_meant(chosen, other))) {
            self.refuse(&line);
        }
        self.tell(there)
    }

    /// A command asks for a peer that is not there.
    pub(crate) fn nobody_there(&self) {
        self.output.error("nobody is there");
    }

    /// A line was not sent. `peer` is whom it was for, if that is known better here.
    pub(crate) fn not_sent(&mut self, number: u64, peer: Option<&str>, why: &str, code: Code) {
        self.unsent.lines += 1;
        self.unsent.code.get_or_insert(code);
        let recipient = match &self.recipient {
            Recipient::Chosen(peer) | Recipient::Only(peer) => Some(peer.as_str()),
            Recipient::First | Recipient::Nobody => None,
        };
        let peer = peer.or(recipient);
        let whom = peer.map(|peer| format!(" for {peer}")).unwrap_or_default();
        self.output.not_sent(number, peer, &format!("line {number}{whom} was not sent: {why}"));
    }

    /// Some lines were sent and not acknowledged. That decides the exit code here; the end of the tunnel reports it.
    pub(crate) fn not_acknowledged(&mut self) {
        self.unsent.unacked = true;
        self.unsent.code.get_or_insert(Code::Connection);
    }

    /// A file was not sent, or not to its end. That decides the exit code here; it was told.
    pub(crate) fn file_not_sent(&mut self, code: Code) {
        self.unsent.files = true;
        self.unsent.code.get_or_insert(code);
    }

    /// Nothing is sent any more.
    ///
    /// # Errors
    ///
    /// When some of what was typed was not sent.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if let Some(line) = self.held.take() {
            self.refuse(&line);
        }
        while let Some(input) = self.lines.waiting() {
            let number = self.next_number();
            match input {
                Input::End => break,
                Input::Unusable(why) => self.not_sent(number, None, why, Code::Other),
                Input::Line(text) => {
                    if let Line::Message(text) = Line::of(text, self.commands) {
                        self.refuse(&Typed { number, text });
                    }
                }
            }
        }
        let Some(code) = self.unsent.code else { return Ok(()) };
        Err(Failure::new(
            code,
            match self.unsent.lines {
                0 if self.unsent.files && !self.unsent.unacked => "not every file was sent".to_owned(),
                0 => "not everything that was typed was acknowledged".to_owned(),
                1 => "a line of standard input was not sent".to_owned(),
                lines => format!("{lines} lines of standard input were not sent"),
            },
        ))
    }

    fn next_number(&mut self) -> u64 {
        self.used = true;
        self.count += 1;
        self.count
    }

    fn refuse(&mut self, line: &Typed) {
        let why = match &self.recipient {
            Recipient::First => "nobody has come",
            Recipient::Nobody => "nobody is chosen; /to JID chooses whom lines go to",
            Recipient::Chosen(_) if self.commands => "it is not there; /to JID chooses whom lines go to",
            Recipient::Chosen(_) | Recipient::Only(_) => "it is not there any more",
        };
        self.not_sent(line.number, None, why, Code::Connection);
    }

    /// What is typed after that is for nobody else, even if this one is not there.
    fn choose(&mut self, address: &str, there: &[Jid]) -> Result<(), Failure> {
        if let Recipient::Only(peer) = &self.recipient {
            self.output.error(&format!("lines go to {peer} and to nobody else: xtls listen talks to several peers"));
            return Ok(());
        }
        self.recipient = match address.parse() {
            Ok(peer) => Recipient::Chosen(self.nicknames.resolve(peer)),
            Err(e) => {
                self.output.error(&format!("{address} is no address: {e}"));
                Recipient::Nobody
            }
        };
        self.show_recipient();
        self.tell(there)
    }

    /// Whom lines go to stands before them.
    fn show_recipient(&mut self) {
        let prompt = match &self.recipient {
            Recipient::Chosen(peer) if peer.resource().is_some() => format!("{}> ", Shown(peer.as_str())),
            Recipient::Chosen(peer) | Recipient::Only(peer) => format!("{}> ", Shown(&self.name_of(peer, &[]))),
            Recipient::First | Recipient::Nobody => "> ".to_owned(),
        };
        self.lines.set_prompt(prompt);
    }

    /// Tells whom lines go to.
    fn tell(&self, there: &[Jid]) -> Result<(), Failure> {
        if self.ended || self.lines.is_none() {
            return Ok(());
        }
        let peer = match &self.recipient {
            Recipient::Chosen(peer) | Recipient::Only(peer) => Some(peer),
            Recipient::First | Recipient::Nobody => None,
        };
        let is_there = peer.is_some_and(|peer| there.iter().any(|other| is_meant(peer, other)));
        tell(self.output, &Report::Recipient { peer: peer.map(|peer| peer.as_str()), there: is_there })
    }
}

/// Whether an address that was chosen stands for this peer.
fn is_meant(chosen: &Jid, peer: &Jid) -> bool {
    if chosen.resource().is_some() { chosen == peer } else { chosen.to_bare() == peer.to_bare() }
}

#[cfg(test)]
#[path = "keyboard/tests.rs"]
mod tests;
