//! An XML stream as what runs inside.

use xtls_jingle::Role;
use xtls_stanza::{Element, jid::FullJid};
use xtls_stream::{OpenError, StreamEvent, StreamRole, StreamSendError, TunnelStream};

use super::{Inside, Phase, Tunnel, certificates::Taken};
use crate::{
    certificates::CertificatesFault,
    error::{SendError, StreamStateError},
    event::{EndedBy, Event},
    fault::Fault,
    shared::{Shared, Weight},
    timer::Timer,
};

/// The stream of a new tunnel.
pub(super) fn new(role: Role, peer: &FullJid, shared: &Shared) -> TunnelStream {
    let role = match role {
        Role::Responder => StreamRole::Responder,
        Role::Initiator | _ => StreamRole::Initiator,
    };
    TunnelStream::new(role, shared.local.jid.clone(), peer.clone(), shared.config.tunnel_limits)
}

impl Tunnel {
    /// The initiator's header goes out with the end of its handshake (draft-meyer-xmpp-e2e-encryption-02 § 4).
    pub(super) fn begin_stream(&mut self, shared: &Shared) {
        let Inside::Stream(stream) = &mut self.inside else { return };
        if self.role != Role::Initiator {
            return;
        }
        let mut header = Vec::new();
        match stream.open(&mut header) {
            Ok(()) => self.seal(&header),
            Err(_) => self.fail(Fault::Internal("a new stream cannot be opened"), shared),
        }
    }

    pub(crate) fn send(&mut self, stanza: &Element, shared: &mut Shared) -> Result<(), SendError> {
        self.check_usable().map_err(|slip| match slip {
            Slip::NotSecured => SendError::NotSecured,
            Slip::Closing => SendError::Closing,
        })?;
        let room = self.room();
        let Inside::Stream(stream) = &mut self.inside else { return Err(SendError::NotXml) };
        if room == 0 {
            self.wants_room = true;
            return Err(SendError::Full);
        }
        let mut text = core::mem::take(&mut shared.scratch);
        text.clear();
        let sent = stream.send(stanza, &mut text);
        if sent.is_ok() {
            self.seal(&text);
        }
        shared.scratch = text;
        sent.map_err(|slip| match slip {
            StreamSendError::NotOpen => SendError::NoStream,
            StreamSendError::From | StreamSendError::To => SendError::ForeignAddress,
            StreamSendError::TooLarge => SendError::TooLarge,
            StreamSendError::NotAStanza | _ => SendError::NotAStanza,
        })
    }

    pub(crate) fn open_stream(&mut self, _: &mut Shared) -> Result<(), StreamStateError> {
        self.check_usable()?;
        let Inside::Stream(stream) = &mut self.inside else { return Err(StreamStateError::NotXml) };
        let mut header = Vec::new();
        stream.open(&mut header).map_err(|slip| match slip {
            OpenError::Failed => StreamStateError::Closing,
            OpenError::AlreadyOpen | OpenError::NotInitiator | _ => StreamStateError::WrongState,
        })?;
        self.timers.clear(Timer::Reuse);
        self.seal(&header);
        Ok(())
    }

    pub(crate) fn close_stream(&mut self, _: &mut Shared) -> Result<(), StreamStateError> {
        self.check_usable()?;
        let Inside::Stream(stream) = &mut self.inside else { return Err(StreamStateError::NotXml) };
        let mut farewell = Vec::new();
        stream.close(&mut farewell).map_err(|_| StreamStateError::WrongState)?;
        self.farewell_from = Some(self.sealed.plaintext());
        self.seal(&farewell);
        Ok(())
    }

    /// A peer that is there, and never opens the stream, is not waited for without end. A stream that was closed may be
    /// followed by another, which has a timer of its own.
    pub(super) fn settle_header_timer(&mut self, shared: &Shared) {
        let Inside::Stream(stream) = &self.inside else { return };
        let unsent = self.bytestream.as_ref().is_none_or(|bytestream| bytestream.in_flight() > 0);
        let waits = self.phase == Phase::Secured
            && (stream.awaits_header() || stream.is_idle())
            && !self.timers.is_set(Timer::Reuse)
            && !unsent;
        if !waits {
            return self.timers.clear(Timer::Stream);
        }
        let timers = &shared.config.timers;
        let confirmed = self.security.as_ref().is_some_and(|security| security.confirmed);
        // Until the peer has confirmed us, its person may still be judging our certificate.
        let wait = if confirmed { timers.answer } else { timers.ring.saturating_add(timers.answer) };
        self.timers.set_if_unset(Timer::Stream, shared.after(wait));
    }

    /// Whether no stream is open: an end of the tunnel cuts nothing off.
    pub(super) fn is_idle_stream(&self) -> bool {
        matches!(&self.inside, Inside::Stream(stream) if stream.is_idle())
    }

    /// Hands the stream what has come, and on what it makes of it.
    pub(super) fn deliver_to_stream(&mut self, shared: &mut Shared) {
        let early = core::mem::take(&mut self.early);
        let mut rest = early.as_slice();
        loop {
            let Inside::Stream(stream) = &mut self.inside else { return };
            let mut answer = Vec::new();
            let used = stream.handle_bytes(rest, &mut shared.ids, &mut answer);
            rest = rest.get(used..).unwrap_or_default();
            self.seal(&answer);
            let told = self.drain_stream(used, shared);
            if rest.is_empty() || self.ended.is_some() || (used == 0 && !told) {
                break;
            }
        }
        // The buffer is kept for its capacity.
        let left = early.len() - rest.len();
        self.early = early;
        self.early.drain(..left);
    }

    /// Turns what the stream tells into events. `bytes` of plaintext led to it: they count as taken when the last of the
    /// events is.
    fn drain_stream(&mut self, bytes: usize, shared: &mut Shared) -> bool {
        let Inside::Stream(stream) = &mut self.inside else { return false };
        let mut told = Vec::new();
        while let Some(event) = stream.poll_event() {
            told.push(event);
        }
        let any = !told.is_empty();
        let id = self.id;
        let mut fault = None;
        let mut events = Vec::with_capacity(told.len());
        for event in told {
            let event = match event {
                StreamEvent::Opened => {
                    self.timers.clear(Timer::Reuse);
                    Event::StreamOpened { id }
                }
                StreamEvent::Stanza(stanza) => match self.take_certificates(&stanza, shared) {
                    Taken::No => Event::Stanza { id, stanza },
                    Taken::Yes => continue,
                    Taken::Told(event) => event,
                },
                StreamEvent::Impersonation { claimed } => Event::Impersonation { id, from: claimed },
                StreamEvent::Misaddressed { claimed } => Event::Misaddressed { id, to: claimed },
                StreamEvent::Closed => {
                    self.stream_closed(shared);
                    events.extend(self.certificates_fault(CertificatesFault::StreamClosed));
                    Event::StreamClosed { id }
                }
                StreamEvent::Failed(failed) => {
                    fault = Some(failed);
                    continue;
                }
                _ => continue,
            };
            events.push(event);
        }
        let last = events.pop();
        events.into_iter().for_each(|event| shared.events.push(event));
        match last {
            Some(event) => shared.events.push_weighing(event, Weight { tunnel: id, bytes }),
            None => self.taken(bytes, shared),
        }
        if let Some(fault) = fault {
            self.fail(Fault::Stream(fault), shared);
        }
        any
    }

    /// The stream is closed in both directions, and the tunnel stays for another one.
    fn stream_closed(&mut self, shared: &Shared) {
        if self.phase == Phase::Secured {
            self.farewell_from = None;
            self.timers.clear(Timer::Close);
            self.timers.set(Timer::Reuse, shared.after(shared.config.timers.reuse));
        }
    }

    /// The peer has ended TLS in order.
    pub(super) fn stream_peer_closed(&mut self, shared: &Shared) {
        if self.phase < Phase::Closing {
            self.begin_close(EndedBy::Remote, shared);
        }
    }

    /// The application took what this much plaintext led to.
    pub(crate) fn taken(&mut self, bytes: usize, shared: &Shared) {
        self.opened.taken(bytes);
        self.release_acks(shared);
    }
}

/// Why a tunnel cannot be used for sending.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slip {
    NotSecured,
    Closing,
}

impl From<Slip> for StreamStateError {
    fn from(slip: Slip) -> Self {
        match slip {
            Slip::NotSecured => Self::NotSecured,
            Slip::Closing => Self::Closing,
        }
    }
}

impl Tunnel {
    pub(super) fn check_usable(&self) -> Result<(), Slip> {
        match self.phase {
            Phase::Secured => Ok(()),
            Phase::Closing | Phase::Ended => Err(Slip::Closing),
            Phase::Asking
            | Phase::Offered
            | Phase::Password
            | Phase::Accepted
            | Phase::Handshake
            | Phase::Judging
            | Phase::Confirming => Err(Slip::NotSecured),
        }
    }
}
