//! One tunnel of a conversation: how far it has come, and what waits to be sent.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::{SinkExt as _, StreamExt as _};
use xtls::{Closed, Element, Security, TunnelId, error::SendError, jingle::ReasonCondition, transports::Path};
use xtls_files::{FileEvent, FileId};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Limits, ns};
use xtls_tokio::{CallError, FileTunnel, FileTurn, Incoming, Opening, Tunnel, TunnelError, XmlTunnel};

use super::{FileSetup, Session, Unconfirmed, receipt_for};
use crate::exit::Failure;
use crate::output::{Report, Secured};

/// Most answers, echoes among them, that wait for room in one tunnel.
pub(crate) const MAX_WAITING: usize = 256;

/// A tunnel.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) peer: FullJid,
    stage: Stage,
    /// What is needed for files, if there are any.
    setup: Option<FileSetup>,
    /// It was told how it is secured.
    secured: bool,
    waiting: VecDeque<Waiting>,
    /// What the tunnel has and may have no room for: the number of the line that it is, if it is one.
    sending: Option<Option<u64>>,
    /// A line was sent.
    pub(super) spoke: bool,
    /// Lines that the peer's end has not confirmed.
    pub(super) unconfirmed: Unconfirmed,
}

/// How far a tunnel has come.
#[derive(Debug)]
enum Stage {
    Opening(Opening),
    /// Messages can be sent.
    Ready(Stream),
    /// The stream is closed. The engine waits a while for another stream, and then ends the tunnel.
    Ending(Stream),
    /// It became none of these.
    Over,
}

/// What carries the messages of a tunnel that is open.
#[derive(Debug)]
enum Stream {
    Xml(XmlTunnel),
    /// The same with files.
    Files(Box<FileTunnel>),
}

/// What happens in a tunnel.
#[derive(Debug)]
pub(crate) enum Said {
    Secured(Arc<Security>),
    StreamOpened,
    Stanza(Element),
    /// Something happened to a file: in a tunnel that was [opened with files](Open::with_files).
    File(Box<FileEvent>),
    /// This line, if it is one, was sent, or was not.
    Sent(Option<u64>, Result<(), SendError>),
    StreamClosed,
    Closed(Arc<Closed>),
}

/// A message that waits for room.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Element,
    /// The number of the line that it is; none if it is an answer.
    pub(crate) line: Option<u64>,
}

impl Open {
    pub(crate) fn new(opening: Opening) -> Self {
        Self {
            peer: opening.peer(),
            stage: Stage::Opening(opening),
            setup: None,
            secured: false,
            waiting: VecDeque::new(),
            sending: None,
            spoke: false,
            unconfirmed: Unconfirmed::default(),
        }
    }

    /// The same for files too.
    pub(crate) fn with_files(opening: Opening, setup: FileSetup) -> Self {
        Self { setup: Some(setup), ..Self::new(opening) }
    }

    /// The tunnel, while files can go in it.
    pub(crate) fn files(&mut self) -> Option<&mut FileTunnel> {
        match &mut self.stage {
            Stage::Ready(Stream::Files(tunnel)) => Some(tunnel),
            Stage::Ready(Stream::Xml(_)) | Stage::Opening(_) | Stage::Ending(_) | Stage::Over => None,
        }
    }

    /// Takes an offered tunnel that is for the bytes of a file, and gives back any other one.
    pub(crate) fn take(&mut self, incoming: Incoming) -> Option<Incoming> {
        match self.files().filter(|tunnel| tunnel.awaits(&incoming)) {
            Some(tunnel) => {
                tunnel.accept(incoming);
                None
            }
            None => Some(incoming),
        }
    }

    /// Begins the orderly end.
    pub(crate) fn close(&mut self) {
        match &mut self.stage {
            Stage::Opening(opening) => opening.begin_close(),
            Stage::Ready(Stream::Files(tunnel)) => tunnel.begin_close(),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => tunnel.begin_close(),
            Stage::Over => {}
        }
    }

    /// Breaks it off, and tells the peer this.
    pub(crate) fn abort(&self, condition: ReasonCondition) {
        match &self.stage {
            Stage::Opening(opening) => opening.abort(condition),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => tunnel.abort(condition),
            Stage::Over => {}
        }
    }

    /// Sends a message when there is room.
    pub(crate) fn push(&mut self, message: Waiting) {
        self.waiting.push_back(message);
    }

    /// Whether something waits for room.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.sending.is_some() || !self.waiting.is_empty()
    }

    /// The numbers of the lines that wait.
    pub(super) fn unsent(&self) -> impl Iterator<Item = u64> {
        self.sending.iter().copied().chain(self.waiting.iter().map(|waiting| waiting.line)).flatten()
    }

    /// What happens next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Said> {
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
            Stage::Ready(tunnel) => match ready!(tunnel.poll_next(cx)) {
                Some(said) => Poll::Ready(said),
                None => match tunnel.end() {
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
                let Poll::Ready(sent) = tunnel.poll_ready(cx) else { return None };
                self.sending = None;
                return Some(Said::Sent(line, sent.map_err(why)));
            }
            let Waiting { message, line } = self.waiting.pop_front()?;
            match tunnel.start_send(message) {
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
            self.stage = Stage::Ready(match self.setup.take() {
                Some(setup) => Stream::Files(setup.files_in(tunnel).into()),
                None => Stream::Xml(tunnel),
            });
        }
    }

    /// No more messages.
    fn finish(&mut self) {
        if let Stage::Ready(tunnel) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Ending(tunnel);
        }
    }

    /// Sends what a stanza of the peer has led to, when there is room. If the peer asks faster than it reads, what goes past
    /// [`MAX_WAITING`] is dropped.
    pub(crate) fn push_answer(&mut self, message: Element) {
        if self.waiting.len() < MAX_WAITING {
            self.push(Waiting { message, line: None });
        }
    }

    /// Answers a request; nothing else gets an answer.
    pub(crate) fn answer(&mut self, session: &Session, stanza: &Element) {
        // RFC 6120 § 8.2.3: every request gets an answer, in a tunnel too.
        if let Some(answer) = session.answer(stanza)
            && let Ok(message) = Element::parse(&answer, &Limits::default())
        {
            self.push_answer(message);
        }
    }

    /// Tells of a message or of a receipt, or answers a request. `name` is what the user calls the peer.
    pub(crate) fn receive(
        &mut self,
        session: &Session,
        stanza: &Element,
        name: &str,
        echoes: bool,
    ) -> Result<(), Failure> {
        let peer = self.peer.as_str();
        let Some(body) = body(stanza) else {
            if let Some((line, text)) = self.unconfirmed.confirmed_by(stanza) {
                return session.report(&Report::Delivered { line, peer, text: &text });
            }
            self.answer(session, stanza);
            return Ok(());
        };
        let from = stanza.attribute("from").unwrap_or(peer);
        session.report(&Report::Message { peer, from, name, body: &body })?;
        // The user has it now (XEP-0184 § 7).
        if let Some(receipt) = receipt_for(stanza) {
            self.push_answer(receipt);
        }
        let peer = self.peer.as_str();
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

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    pub(crate) fn id(&self) -> Option<TunnelId> {
        match &self.stage {
            Stage::Opening(opening) => Some(opening.id()),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => Some(tunnel.id()),
            Stage::Over => None,
        }
    }

    /// Whether it is this tunnel, or one that the bytes of a file in it go by.
    pub(crate) fn has(&self, id: TunnelId) -> bool {
        self.id() == Some(id) || self.file_by(id).is_some()
    }

    /// The file whose bytes go by this tunnel of their own.
    pub(super) fn file_by(&self, id: TunnelId) -> Option<FileId> {
        match &self.stage {
            Stage::Ready(Stream::Files(tunnel)) => tunnel.file_by(id),
            Stage::Ready(Stream::Xml(_)) | Stage::Opening(_) | Stage::Ending(_) | Stage::Over => None,
        }
    }

    /// What was written and is not acknowledged.
    pub(super) fn unacked(&self) -> Option<u64> {
        match &self.stage {
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => Some(tunnel.unacked()),
            Stage::Opening(_) | Stage::Over => None,
        }
    }

    pub(super) fn security(&self) -> Option<Arc<Security>> {
        match &self.stage {
            Stage::Opening(opening) => opening.security(),
            Stage::Ready(tunnel) | Stage::Ending(tunnel) => tunnel.security(),
            Stage::Over => None,
        }
    }
}

impl Stream {
    /// What comes next; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        match self {
            Self::Xml(tunnel) => tunnel.poll_next_unpin(cx).map(|came| came.and_then(Result::ok).map(Said::Stanza)),
            Self::Files(tunnel) => loop {
                return Poll::Ready(match ready!(tunnel.poll_next_unpin(cx)).and_then(Result::ok) {
                    Some(FileTurn::Stanza(stanza)) => Some(Said::Stanza(stanza)),
                    Some(FileTurn::File(event)) => Some(Said::File(event)),
                    Some(_) => continue,
                    None => None,
                });
            },
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        match self {
            Self::Xml(tunnel) => tunnel.poll_ready_unpin(cx),
            Self::Files(tunnel) => tunnel.poll_ready_unpin(cx),
        }
    }

    fn start_send(&mut self, stanza: Element) -> Result<(), TunnelError> {
        match self {
            Self::Xml(tunnel) => tunnel.start_send_unpin(stanza),
            Self::Files(tunnel) => tunnel.start_send_unpin(stanza),
        }
    }
}

impl Deref for Stream {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        match self {
            Self::Xml(tunnel) => tunnel,
            Self::Files(tunnel) => tunnel.tunnel(),
        }
    }
}

/// How an attempt ended. If the driver ended, this never comes: the session reports that.
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
            path: None,
            proxy: None,
        }
    }

    /// The same of a tunnel that this carries.
    pub(crate) fn over(self, path: Option<&Path>) -> Self {
        let (name, proxy) = match path {
            Some(Path::InBand) => (Some("in-band"), None),
            Some(Path::Direct) => (Some("direct"), None),
            Some(Path::Proxy(proxy)) => (Some("proxy"), Some(proxy.to_string())),
            Some(_) | None => (None, None),
        };
        Self { path: name, proxy, ..self }
    }
}
