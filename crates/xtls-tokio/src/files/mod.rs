//! Files in an XML stream tunnel, and the tunnels of their own that their bytes go by.

mod raw;

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use std::{collections::BTreeMap, future::Future as _};

use futures::{Sink, Stream};
use tokio::time::{Instant, Sleep, sleep_until};
use xtls::{Application, Element, TunnelId, TunnelOptions};
use xtls_files::{FileEvent, FileId, Files, FilesConfig};

use self::raw::{Progress, Raw, RawState};
use crate::{Handle, Incoming, Tunnel, TunnelError, XmlTunnel, shared::now};

/// An XML stream tunnel in which files go too, by [`Files`].
///
/// It is a `Stream` of what happens and a `Sink` of stanzas, as [`XmlTunnel`] is. Everything moves while the stream is polled:
/// the stanzas about files, their bytes, and the tunnels of their own that are opened for those. Bytes go out by
/// [`Files::write`] and come by [`Files::read`], with the disk on your side.
///
/// A tunnel for a file is to the same full address, with the certificates of this one, or it is not used. Those that the peer
/// opens come as any [`Incoming`]: ask [`awaits`](Self::awaits) first, and give what is meant for files to
/// [`accept`](Self::accept).
pub struct FileTunnel {
    xml: XmlTunnel,
    handle: Handle,
    options: TunnelOptions,
    files: Files,
    raw: BTreeMap<FileId, Raw>,
    /// Those that have done their work, until they have ended.
    ending: Vec<crate::ByteTunnel>,
    timer: Option<Pin<Box<Sleep>>>,
    /// It is to end when everything is said.
    ends: bool,
}

/// What happens in a [`FileTunnel`].
#[derive(Debug)]
#[non_exhaustive]
pub enum FileTurn {
    /// A stanza that is not about files. An IQ among them is yours to answer.
    Stanza(Element),
    /// Something happened to a file.
    File(Box<FileEvent>),
}

impl FileTunnel {
    /// Files in this tunnel.
    ///
    /// `options` are those of the tunnels that the bytes of files may go by: their terms, and what may carry them. There are none
    /// where this tunnel was secured by a password: then all bytes go inside of it. `seed` is 32 random bytes, from which ids are
    /// made.
    #[must_use]
    pub fn new(
        xml: XmlTunnel,
        handle: Handle,
        seed: [u8; 32],
        mut options: TunnelOptions,
        mut config: FilesConfig,
    ) -> Self {
        options.application = Application::bytes();
        config.tunnels &= raw::certificate(&xml.tunnel).is_some();
        let own = handle.with_engine(|engine, _| engine.jid().clone());
        let files = Files::new(own, xml.tunnel.peer(), seed, config);
        Self { xml, handle, options, files, raw: BTreeMap::new(), ending: Vec::new(), timer: None, ends: false }
    }

    /// The tunnel that all of this is said in.
    pub fn tunnel(&self) -> &Tunnel {
        &self.xml.tunnel
    }

    /// What is known of the sessions.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// How many bytes of a session are over, as [`Files::progress`] tells it, without those that its tunnel has still to send. In band
    /// these are all that are not acknowledged.
    #[must_use]
    pub fn progress(&self, id: FileId) -> Option<u64> {
        let pending = self.raw.get(&id).map_or(0, Raw::pending);
        Some(self.files.progress(id)?.saturating_sub(pending))
    }

    /// For the commands of [`Files`]: to offer, accept, write and so on. What follows from that happens while this is polled.
    pub fn with_files<R>(&mut self, command: impl FnOnce(&mut Files, std::time::Instant) -> R) -> R {
        command(&mut self.files, now())
    }

    /// Begins the end of the tunnel in order, as [`Tunnel::begin_close`] does, when what is to be said about files is said: that a
    /// session has ended, say.
    pub fn begin_close(&mut self) {
        self.ends = true;
    }

    /// Whether an offered tunnel is one for the bytes of a file here.
    #[must_use]
    pub fn awaits(&self, incoming: &Incoming) -> bool {
        let is_raw = matches!(incoming.application(), Application::Bytes(_));
        let is_expected = |raw: &Raw| matches!(raw.state, RawState::Expected) && raw.sid == incoming.sid();
        is_raw && *incoming.peer() == self.xml.tunnel.peer() && self.raw.values().any(is_expected)
    }

    /// The session whose bytes go by this tunnel of their own. What is told of it as a [`Notice`](crate::Notice), that a server
    /// throttles it, say, is about that file.
    #[must_use]
    pub fn file_by(&self, tunnel: TunnelId) -> Option<FileId> {
        self.raw.iter().find(|(_, raw)| raw.tunnel() == Some(tunnel)).map(|(id, _)| *id)
    }

    /// Takes a tunnel that is [awaited](Self::awaits). Any other one is declined.
    pub fn accept(&mut self, incoming: Incoming) {
        if !self.awaits(&incoming) {
            return;
        }
        let sid = incoming.sid().to_owned();
        let Some((id, raw)) = self.raw.iter_mut().find(|(_, raw)| raw.sid == sid) else { return };
        match incoming.open(self.options.clone()) {
            Ok(opening) => raw.state = RawState::Opening(opening),
            Err(_) => fail(&mut self.files, *id),
        }
    }

    /// Sees to the tunnels of single files; whether anything has moved.
    fn poll_raw(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { xml, files, raw, ending, .. } = self;
        let peer = raw::certificate(&xml.tunnel);
        let mut moved = false;
        let mut failed = Vec::new();
        for (id, one) in raw.iter_mut() {
            match one.poll(*id, peer.as_deref(), files, cx) {
                Progress::None => {}
                Progress::Moved => moved = true,
                Progress::Opened => {
                    moved = true;
                    // A session that has ended meanwhile is told of as well.
                    let _ = files.tunnel_opened(now(), *id);
                }
                Progress::Failed => failed.push(*id),
            }
        }
        for id in failed {
            moved = true;
            raw.remove(&id);
            fail(files, id);
        }
        ending.retain(|tunnel| tunnel.poll_closed(cx).is_pending());
        moved
    }

    /// Says what is to be said, as long as there is room.
    fn poll_say(&mut self, cx: &mut Context<'_>) -> Result<bool, TunnelError> {
        let mut said = false;
        while let Poll::Ready(ready) = Pin::new(&mut self.xml).poll_ready(cx) {
            ready?;
            let Some(stanza) = self.files.poll_stanza(now()) else {
                if core::mem::take(&mut self.ends) {
                    self.xml.tunnel.begin_close();
                }
                break;
            };
            Pin::new(&mut self.xml).start_send(stanza)?;
            said = true;
        }
        Ok(said)
    }

    /// What the application is to know next.
    fn next_event(&mut self) -> Option<FileEvent> {
        while let Some(event) = self.files.poll_event() {
            match event {
                FileEvent::OpenTunnel { id, sid } => self.open(id, sid),
                FileEvent::ExpectTunnel { id, sid } => {
                    self.raw.insert(id, Raw { sid, state: RawState::Expected });
                }
                FileEvent::CloseTunnel { id } => {
                    if let Some(Raw { state: RawState::Open(open), .. }) = self.raw.get_mut(&id) {
                        open.finish();
                    }
                }
                FileEvent::Ended { id, end, .. } => {
                    if let Some(Raw { state: RawState::Open(open), .. }) = self.raw.remove(&id)
                        && end.is_success()
                    {
                        // Of any other end the rest is of no use: what is dropped is broken off.
                        open.tunnel.begin_close();
                        self.ending.push(open.tunnel);
                    }
                    return Some(event);
                }
                FileEvent::Offered { .. }
                | FileEvent::Requested { .. }
                | FileEvent::Accepted { .. }
                | FileEvent::Granted { .. }
                | FileEvent::Writable { .. }
                | FileEvent::Readable { .. }
                | FileEvent::Checked { .. }
                | FileEvent::Received { .. }
                | FileEvent::FeaturesKnown
                | _ => return Some(event),
            }
        }
        None
    }

    fn open(&mut self, id: FileId, sid: String) {
        let options = self.options.clone().named(&*sid);
        match self.handle.open(self.xml.tunnel.peer(), options) {
            Ok(opening) => {
                self.raw.insert(id, Raw { sid, state: RawState::Opening(opening) });
            }
            Err(_) => fail(&mut self.files, id),
        }
    }

    /// Sees to the time; whether it has come.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        let broken = self.raw.values().filter_map(|raw| match &raw.state {
            RawState::Broken(until) => Some(*until),
            RawState::Expected | RawState::Opening(_) | RawState::Open(_) => None,
        });
        let Some(due) = self.files.poll_timeout().into_iter().chain(broken).min().map(Instant::from_std) else {
            self.timer = None;
            return false;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        let is_due = timer.as_mut().poll(cx).is_ready();
        if is_due {
            self.files.handle_timeout(now());
        }
        is_due
    }
}

impl Stream for FileTunnel {
    type Item = Result<FileTurn, TunnelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            // Before anything is told: whoever has heard how a file ended may not come back. The end of the stream is told by reading it.
            let said = this.poll_say(cx).unwrap_or_default();
            if let Some(event) = this.next_event() {
                return Poll::Ready(Some(Ok(FileTurn::File(event.into()))));
            }
            let moved = this.poll_raw(cx) | said | this.poll_time(cx);
            match Pin::new(&mut this.xml).poll_next(cx) {
                Poll::Ready(Some(Ok(stanza))) if this.files.handle_stanza(now(), &stanza) => {}
                Poll::Ready(Some(Ok(stanza))) => return Poll::Ready(Some(Ok(FileTurn::Stanza(stanza)))),
                Poll::Ready(end) => {
                    this.files.handle_closed(now());
                    return match this.next_event() {
                        Some(event) => Poll::Ready(Some(Ok(FileTurn::File(event.into())))),
                        None => Poll::Ready(end.map(|end| end.map(FileTurn::Stanza))),
                    };
                }
                Poll::Pending if moved => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Sink<Element> for FileTunnel {
    type Error = TunnelError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        Pin::new(&mut self.xml).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, stanza: Element) -> Result<(), TunnelError> {
        Pin::new(&mut self.xml).start_send(stanza)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        Pin::new(&mut self.xml).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        Pin::new(&mut self.xml).poll_close(cx)
    }
}

/// The tunnel of a session cannot be had. If the session has ended, that is told of as well.
fn fail(files: &mut Files, id: FileId) {
    let _ = files.tunnel_failed(now(), id);
}

/// The files' names and hashes stay out of it.
impl fmt::Debug for FileTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTunnel").field("xml", &self.xml).field("tunnels", &self.raw.len()).finish_non_exhaustive()
    }
}
