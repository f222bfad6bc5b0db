//! The tunnels of a session: what their events mean for the user at the keyboard.

use std::collections::VecDeque;

use jid::{BareJid, FullJid};
use xtls::{Closed, Element, Event, TunnelId, error::SendError};
use xtls_stanza::ns;

use super::{Rules, Session, Verdict};
use crate::clock;
use crate::exit::Failure;
use crate::output::{Report, Secured};

/// Most echoes that wait for room in one tunnel.
pub(crate) const MAX_WAITING: usize = 256;

/// The tunnels of a session, the oldest first.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) rules: Rules,
    /// Peers that the command line names.
    named: Vec<BareJid>,
    /// Answer each message with its own text.
    echo: bool,
    open: Vec<Open>,
    closing: bool,
}

#[derive(Debug)]
struct Open {
    id: TunnelId,
    peer: FullJid,
    /// Messages can be sent.
    ready: bool,
    waiting: VecDeque<Element>,
}

impl Conversation {
    pub(crate) fn new(rules: Rules, named: Vec<BareJid>, echo: bool) -> Self {
        Self { rules, named, echo, open: Vec::new(), closing: false }
    }

    /// Takes a tunnel that was just offered or accepted.
    pub(crate) fn add(&mut self, id: TunnelId, peer: FullJid) {
        self.open.push(Open { id, peer, ready: false, waiting: VecDeque::new() });
    }

    /// No tunnel is left.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the end was begun.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether a line could be sent now.
    pub(crate) fn wants_line(&self) -> bool {
        !self.closing && self.current().is_some_and(|open| open.waiting.is_empty())
    }

    /// Whether messages wait for room.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.open.iter().any(|open| !open.waiting.is_empty())
    }

    /// Begins the orderly end of every tunnel.
    pub(crate) fn close(&mut self, session: &mut Session) {
        self.closing = true;
        let now = clock::now();
        for open in &self.open {
            if let Some(mut tunnel) = session.engine.tunnel(open.id) {
                tunnel.close(now);
            }
        }
    }

    /// Sends a line as a message to the peer whose stream opened first.
    pub(crate) fn say(&mut self, session: &mut Session, line: &str) {
        let Some(message) = message(line) else {
            session.output.error("a line with characters that XML cannot carry was not sent");
            return;
        };
        if let Some(open) = self.open.iter_mut().find(|open| open.ready) {
            open.waiting.push_back(message);
        }
        self.flush(session);
    }

    /// Does what an event asks for, and tells of it. Gives back how a tunnel ended, if one did.
    pub(crate) fn handle(&mut self, session: &mut Session, event: Event) -> Result<Option<Verdict>, Failure> {
        match event {
            Event::TrustRequired { id, question } => {
                let Some(peer) = self.peer(id).map(|peer| peer.to_bare()) else { return Ok(None) };
                let named = self.named.contains(&peer);
                session.judge(&self.rules, id, &peer, named, &question)?;
            }
            Event::Redirected { id, peer } => {
                session.report(&Report::Redirected { to: peer.as_str() })?;
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
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
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
                    open.ready = true;
                }
                session.report(&Report::StreamOpen)?;
            }
            // The engine waits a while for another stream, and then ends the tunnel.
            Event::StreamClosed { id } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
                    open.ready = false;
                }
            }
            Event::Stanza { id, stanza } => self.receive(session, id, &stanza)?,
            Event::Impersonation { from, .. } => {
                session
                    .output
                    .error(&format!("a message in the name of {from} came through the tunnel and was dropped"));
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

    fn current(&self) -> Option<&Open> {
        self.open.iter().find(|open| open.ready)
    }

    fn peer(&self, id: TunnelId) -> Option<&FullJid> {
        self.open.iter().find(|open| open.id == id).map(|open| &open.peer)
    }

    fn receive(&mut self, session: &mut Session, id: TunnelId, stanza: &Element) -> Result<(), Failure> {
        let Some(body) = body(stanza) else { return Ok(()) };
        let Some(open) = self.open.iter_mut().find(|open| open.id == id) else { return Ok(()) };
        let from = stanza.attribute("from").unwrap_or(open.peer.as_str());
        session.report(&Report::Message { from, body: &body })?;
        if self.echo && !self.closing {
            match message(&body) {
                Some(echo) if open.waiting.len() < MAX_WAITING => open.waiting.push_back(echo),
                _ => session.output.error(&format!("a message of {} was not echoed: too many are waiting", open.peer)),
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
            while let Some(message) = open.waiting.front() {
                match tunnel.send(now, message) {
                    // Event::Writable tells when to go on.
                    Err(SendError::Full) => break,
                    Err(e @ SendError::TooLarge) => session.output.error(&format!("a message was not sent: {e}")),
                    // Else the tunnel is ending, and its end says what was lost.
                    Ok(()) | Err(_) => {}
                }
                open.waiting.pop_front();
            }
        }
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<Verdict, Failure> {
        self.open.retain(|open| open.id != closed.id);
        let verdict = Verdict::of(closed);
        if matches!(verdict, Verdict::GaveWay) {
            return Ok(verdict);
        }
        session.report_closed(closed)?;
        Ok(verdict)
    }
}

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
    /// What users should learn of a tunnel (RFC 7590 § 3.7).
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
