//! The tunnels of a session: what their events mean for the user at the keyboard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xtls::{Closed, Element, Event, TunnelId, error::SendError};
use xtls_stanza::jid::{FullJid, Jid};
use xtls_stanza::{Limits, ns};

use super::{Input, Keyboard, Rules, Session, Verdict};
use crate::clock;
use crate::exit::{Code, Failure};
use crate::output::{Report, Secured};

/// How long the orderly end may take; the engine's own timers are shorter.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// Most answers, echoes among them, that wait for room in one tunnel.
pub(crate) const MAX_WAITING: usize = 256;

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

#[derive(Debug)]
struct Open {
    id: TunnelId,
    peer: FullJid,
    /// Messages can be sent.
    ready: bool,
    waiting: VecDeque<Waiting>,
    /// A line was sent.
    spoke: bool,
}

/// A message that waits for room.
#[derive(Debug)]
struct Waiting {
    message: Element,
    /// The number of the line that it is; none if it is an answer.
    line: Option<u64>,
}

impl Conversation {
    pub(crate) fn new(rules: Rules, echo: bool, keyboard: Keyboard) -> Self {
        Self { rules, echo, open: Vec::new(), keyboard, closing: false, talked: false }
    }

    /// Takes a tunnel that was just offered or accepted.
    pub(crate) fn add(&mut self, id: TunnelId, peer: FullJid) {
        self.open.push(Open { id, peer, ready: false, waiting: VecDeque::new(), spoke: false });
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

    /// The next input, as long as what was typed before is sent. Dropping this loses nothing.
    pub(crate) async fn next_input(&mut self) -> Input {
        let is_backed_up = self.open.iter().any(|open| !open.waiting.is_empty());
        let there = self.there();
        self.keyboard.next(!self.closing && !is_backed_up, &there).await
    }

    /// Takes what was typed.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn take_input(&mut self, session: &mut Session, input: Input) -> Result<(), Failure> {
        let there = self.there();
        self.keyboard.take(input, &there)?;
        self.send_line(session);
        Ok(())
    }

    /// Begins the orderly end of every tunnel, and says when to stop waiting for it.
    pub(crate) fn close(&mut self, session: &mut Session) -> Instant {
        self.closing = true;
        let now = clock::now();
        for open in &self.open {
            if let Some(mut tunnel) = session.engine.tunnel(open.id) {
                tunnel.close(now);
            }
        }
        now + CLOSE_TIME
    }

    /// Sends a line that waits, if its peer is there.
    fn send_line(&mut self, session: &mut Session) {
        let there = self.there();
        let Some((at, line)) = self.keyboard.line_for(&there) else { return };
        let Some(open) = self.open.iter_mut().filter(|open| open.ready).nth(at) else { return };
        match message(&line.text) {
            Some(message) => open.waiting.push_back(Waiting { message, line: Some(line.number) }),
            None => self.keyboard.not_sent(line.number, Some(open.peer.as_str()), NO_XML, Code::Other),
        }
        self.flush(session);
    }

    /// Does what an event asks for, and tells of it. Gives back how a tunnel ended, if one did.
    pub(crate) fn handle(&mut self, session: &mut Session, event: Event) -> Result<Option<Verdict>, Failure> {
        match event {
            Event::Redirected { id, peer } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
                    session.report(&Report::Redirected { peer: open.peer.as_str(), to: peer.as_str() })?;
                    open.peer = peer;
                }
            }
            Event::Secured { id, .. } => {
                if let Some(peer) = self.peer(id) {
                    session.report_secured(id, peer)?;
                    session.greet(peer);
                }
            }
            Event::Confirmed { id } => {
                if let Some(peer) = self.peer(id) {
                    session.report_secured(id, peer)?;
                }
            }
            Event::StreamOpened { id } => {
                let Some(open) = self.open.iter_mut().find(|open| open.id == id) else { return Ok(None) };
                open.ready = true;
                self.talked = true;
                session.report(&Report::StreamOpen { peer: open.peer.as_str() })?;
                let (peer, there) = (open.peer.clone().into(), self.there());
                self.keyboard.came(&peer, &there)?;
                if !self.closing {
                    self.send_line(session);
                }
            }
            // The engine waits a while for another stream, and then ends the tunnel.
            Event::StreamClosed { id } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id && open.ready) {
                    open.ready = false;
                    let (peer, there) = (open.peer.clone().into(), self.there());
                    self.keyboard.gone(&peer, &there)?;
                }
            }
            Event::Stanza { id, stanza } => self.receive(session, id, &stanza)?,
            Event::Impersonation { id, from, .. } => {
                let Some(peer) = self.peer(id) else { return Ok(None) };
                session.output.error_of(
                    peer.as_str(),
                    &format!("a message in the name of {from} came through the tunnel with {peer} and was dropped"),
                );
            }
            Event::Writable { .. } => self.flush(session),
            // One that was never taken up is no news.
            Event::Closed(closed) if self.peer(closed.id).is_none() => {}
            Event::Closed(closed) => return self.closed(session, &closed).map(Some),
            // Raw bytes are not for this command, and offers are seen to by whoever listens.
            _ => {}
        }
        Ok(None)
    }

    /// The peers to which messages can be sent.
    fn there(&self) -> Vec<Jid> {
        self.open.iter().filter(|open| open.ready).map(|open| open.peer.clone().into()).collect()
    }

    fn peer(&self, id: TunnelId) -> Option<&FullJid> {
        self.open.iter().find(|open| open.id == id).map(|open| &open.peer)
    }

    fn receive(&mut self, session: &mut Session, id: TunnelId, stanza: &Element) -> Result<(), Failure> {
        let Some(open) = self.open.iter_mut().find(|open| open.id == id) else { return Ok(()) };
        let Some(body) = body(stanza) else {
            // RFC 6120 § 8.2.3: every request gets an answer, in a tunnel too.
            if let Some(answer) = session.answer(stanza)
                && open.waiting.len() < MAX_WAITING
                && let Ok(message) = Element::parse(&answer, &Limits::default())
            {
                open.waiting.push_back(Waiting { message, line: None });
                self.flush(session);
            }
            return Ok(());
        };
        let from = stanza.attribute("from").unwrap_or(open.peer.as_str());
        let peer = open.peer.as_str();
        session.report(&Report::Message { peer, from, body: &body })?;
        if self.echo && !self.closing {
            match message(&body) {
                Some(message) if open.waiting.len() < MAX_WAITING => {
                    open.waiting.push_back(Waiting { message, line: None });
                }
                _ => {
                    let why = format!("a message of {peer} was not echoed: too many are waiting");
                    session.output.error_of(peer, &why);
                }
            }
            self.flush(session);
        }
        Ok(())
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self, session: &mut Session) {
        let now = clock::now();
        for open in self.open.iter_mut().filter(|open| open.ready) {
            let Some(mut tunnel) = session.engine.tunnel(open.id) else { continue };
            while let Some(Waiting { message, line }) = open.waiting.front() {
                let why = match tunnel.send(now, message) {
                    // Event::Writable tells when to go on.
                    Err(SendError::Full) => break,
                    Ok(()) => None,
                    Err(e) => Some(e.to_string()),
                };
                let (line, peer) = (*line, open.peer.as_str());
                open.waiting.pop_front();
                match (why, line) {
                    (None, None) => {}
                    (None, Some(_)) => open.spoke = true,
                    (Some(why), Some(number)) => {
                        self.keyboard.not_sent(number, Some(peer), &why, Code::Other);
                    }
                    (Some(why), None) => {
                        session.output.error_of(peer, &format!("an answer to {peer} was not sent: {why}"));
                    }
                }
            }
        }
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<Verdict, Failure> {
        let Some(at) = self.open.iter().position(|open| open.id == closed.id) else { return Ok(Verdict::Done) };
        let open = self.open.remove(at);
        let verdict = Verdict::of(closed, session.own());
        if matches!(verdict, Verdict::GaveWay) {
            return Ok(verdict);
        }
        session.report_closed(closed)?;
        let peer = open.peer.as_str();
        for number in open.waiting.iter().filter_map(|waiting| waiting.line) {
            self.keyboard.not_sent(number, Some(peer), "the tunnel ended before", Code::Connection);
        }
        if open.ready {
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

/// Why a line is no message.
pub(crate) const NO_XML: &str = "it has characters that XML cannot carry";

/// A chat message with this text; `None` if XML cannot carry it.
pub(crate) fn message(body: &str) -> Option<Element> {
    let message = Element::builder("message", ns::CLIENT).attribute("type", "chat");
    message.open("body", ns::CLIENT).text(body).close().build().ok()
}

/// The text of a message; `None` for anything else.
pub(crate) fn body(stanza: &Element) -> Option<String> {
    if !stanza.is("message", ns::CLIENT) || stanza.attribute("type") == Some("error") {
        return None;
    }
    stanza.child("body", ns::CLIENT).map(|body| body.text())
}

impl<'a> Secured<'a> {
    /// What users should learn of a tunnel (RFC 7590 § 3.6).
    pub(crate) fn new(peer: &'a str, security: &xtls::Security) -> Self {
        Self {
            peer,
            method: security.method.to_string(),
            tls_version: security.tls.version.to_string(),
            cipher_suite: security.tls.cipher_suite,
            group: security.tls.group,
            peer_sha256: security.certificate.as_ref().map(|certificate| certificate.fingerprint_sha256().hex()),
            authenticated_by: security.authenticated_by.as_str(),
            confirmed: security.confirmed,
            changed: !security.changed_from.is_empty(),
        }
    }
}
