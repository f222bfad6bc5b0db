//! The tunnels of a session: what happens in them, for the user at the keyboard.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use xtls::{Closed, Element, Event, Security, TunnelId, error::SendError};
use xtls_stanza::jid::{FullJid, Jid};
use xtls_stanza::{Limits, ns};
use xtls_tokio::{CallError, Opening, TunnelError, XmlTunnel};

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
    peer: FullJid,
    stage: Stage,
    /// It was told how it is secured.
    secured: bool,
    waiting: VecDeque<Waiting>,
    /// What the tunnel has and may have no room for: the number of the line that it is, if it is one.
    sending: Option<Option<u64>>,
    /// A line was sent.
    spoke: bool,
}

/// How far a tunnel has come.
#[derive(Debug)]
enum Stage {
    Opening(Opening),
    /// Messages can be sent.
    Ready(XmlTunnel),
    /// The stream is closed. The engine waits a while for another stream, and then ends the tunnel.
    Ending(XmlTunnel),
    /// It became none of these.
    Over,
}

/// What is to be seen to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Something was typed.
    Input(Input),
    /// This has happened in the tunnel at this place.
    Tunnel(usize, Said),
}

/// What happens in a tunnel.
#[derive(Debug)]
pub(crate) enum Said {
    Secured(Arc<Security>),
    StreamOpened,
    Stanza(Element),
    /// This line, if it is one, was sent, or was not.
    Sent(Option<u64>, Result<(), SendError>),
    StreamClosed,
    Closed(Arc<Closed>),
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
    pub(crate) fn add(&mut self, opening: Opening) {
        self.open.push(Open {
            peer: opening.peer(),
            stage: Stage::Opening(opening),
            secured: false,
            waiting: VecDeque::new(),
            sending: None,
            spoke: false,
        });
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
        let is_backed_up = open.iter().any(|open| open.sending.is_some() || !open.waiting.is_empty());
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
            match &open.stage {
                Stage::Opening(opening) => opening.begin_close(),
                Stage::Ready(tunnel) | Stage::Ending(tunnel) => tunnel.begin_close(),
                Stage::Over => {}
            }
        }
        clock::now() + CLOSE_TIME
    }

    /// Sends a line that waits, if its peer is there.
    fn send_line(&mut self) {
        let there = self.there();
        let Some((at, line)) = self.keyboard.line_for(&there) else { return };
        let Some(open) = self.open.iter_mut().filter(|open| open.is_ready()).nth(at) else { return };
        match message(&line.text) {
            Some(message) => open.waiting.push_back(Waiting { message, line: Some(line.number) }),
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
        for number in open.sending.iter().chain(open.waiting.iter().map(|waiting| &waiting.line)).flatten() {
            self.keyboard.not_sent(*number, Some(peer), "the tunnel ended before", Code::Connection);
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

impl Open {
    /// What happens next.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Said> {
        match &self.stage {
            Stage::Opening(opening) if !self.secured => match ready!(opening.poll_secured(cx)) {
                Ok(security) => {
                    self.secured = true;
                    return Poll::Ready(Said::Secured(security));
                }
                Err(error) => return never_opened(error),
            },
            Stage::Opening(opening) => {
                if let Err(error) = ready!(opening.poll_opened(cx)) {
                    return never_opened(error);
                }
                self.begin();
                return Poll::Ready(Said::StreamOpened);
            }
            Stage::Ready(_) | Stage::Ending(_) | Stage::Over => {}
        }
        if let Some(sent) = self.send(cx) {
            return Poll::Ready(sent);
        }
        match &mut self.stage {
            Stage::Ready(tunnel) => match ready!(tunnel.poll_next_unpin(cx)) {
                Some(Ok(stanza)) => Poll::Ready(Said::Stanza(stanza)),
                Some(Err(_)) | None => match tunnel.end() {
                    Some(closed) if !tunnel.is_finished() => Poll::Ready(Said::Closed(closed)),
                    _ => {
                        self.finish();
                        Poll::Ready(Said::StreamClosed)
                    }
                },
            },
            Stage::Ending(tunnel) => tunnel.poll_closed(cx).map(Said::Closed),
            Stage::Opening(_) | Stage::Over => Poll::Pending,
        }
    }

    /// Hands the tunnel what waits, as far as there is room.
    fn send(&mut self, cx: &mut Context<'_>) -> Option<Said> {
        let Stage::Ready(tunnel) = &mut self.stage else { return None };
        loop {
            if let Some(line) = self.sending {
                let Poll::Ready(sent) = tunnel.poll_ready_unpin(cx) else { return None };
                self.sending = None;
                return Some(Said::Sent(line, sent.map_err(why)));
            }
            let Waiting { message, line } = self.waiting.pop_front()?;
            match tunnel.start_send_unpin(message) {
                Ok(()) => self.sending = Some(line),
                Err(error) => return Some(Said::Sent(line, Err(why(error)))),
            }
        }
    }

    /// Messages can be sent.
    fn begin(&mut self) {
        if let Stage::Opening(opening) = std::mem::replace(&mut self.stage, Stage::Over)
            && let Ok(tunnel) = opening.into_tunnel()
            && let Ok(tunnel) = tunnel.into_xml()
        {
            self.stage = Stage::Ready(tunnel);
        }
    }

    /// No more messages.
    fn finish(&mut self) {
        if let Stage::Ready(tunnel) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Ending(tunnel);
        }
    }

    /// Tells of a message, or answers a request.
    fn receive(&mut self, session: &Session, stanza: &Element, echoes: bool) -> Result<(), Failure> {
        let Some(body) = body(stanza) else {
            // RFC 6120 § 8.2.3: every request gets an answer, in a tunnel too.
            if let Some(answer) = session.answer(stanza)
                && self.waiting.len() < MAX_WAITING
                && let Ok(message) = Element::parse(&answer, &Limits::default())
            {
                self.waiting.push_back(Waiting { message, line: None });
            }
            return Ok(());
        };
        let peer = self.peer.as_str();
        let from = stanza.attribute("from").unwrap_or(peer);
        session.report(&Report::Message { peer, from, body: &body })?;
        if echoes {
            match message(&body) {
                Some(message) if self.waiting.len() < MAX_WAITING => {
                    self.waiting.push_back(Waiting { message, line: None });
                }
                _ => {
                    let why = format!("a message of {peer} was not echoed: too many are waiting");
                    session.output.error_of(peer, &why);
                }
            }
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    fn id(&self) -> Option<TunnelId> {
        match &self.stage {
            Stage::Opening(opening) => Some(opening.id()),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => Some(tunnel.id()),
            Stage::Over => None,
        }
    }

    fn security(&self) -> Option<Arc<Security>> {
        match &self.stage {
            Stage::Opening(opening) => opening.security(),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => tunnel.security(),
            Stage::Over => None,
        }
    }
}

/// How an attempt ended; with the driver, that is told elsewhere.
fn never_opened(error: CallError) -> Poll<Said> {
    match error {
        CallError::Closed(closed) => Poll::Ready(Said::Closed(closed)),
        _ => Poll::Pending,
    }
}

/// Why something was not sent.
fn why(error: TunnelError) -> SendError {
    match error {
        TunnelError::Unsendable(error) => error,
        _ => SendError::Closing,
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
    pub(crate) fn new(peer: &'a str, security: &Security) -> Self {
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
