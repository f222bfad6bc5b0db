//! What comes of the secure channel.

use core::mem;

use xtls_channel::{Channel, Io, Listen, NotAsked, Progress, Sign, StoreError, Timer, TrustDecision};
use xtls_jingle::{Role, Session};
use xtls_stanza::Method;

use super::{Inside, Phase, TunnelCore, bytes::RawBytes, stream::XmlStream};
use crate::{application::Application, event::Event, shared::Shared};

impl TunnelCore {
    /// The bytestream is open. The initiator is the TLS client and begins (draft-meyer-xmpp-e2e-encryption-02 § 3); the
    /// responder waits for its first byte.
    pub(super) fn begin_handshake(&mut self, shared: &Shared) {
        let is_due = self.role == Role::Initiator && self.phase == Phase::Running;
        let method = self.agreed_method().unwrap_or(Method::X509);
        let start = self.record_start();
        let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) else { return };
        if !is_due || channel.has_begun() {
            return;
        }
        if let Err(fault) = transport.queue(|out| channel.start(method, start, &shared.env, out)) {
            return self.fail(fault, shared);
        }
        self.set(Timer::Handshake, shared.config.timers.handshake, shared);
        self.tls_started(method);
    }

    /// A block came, or a piece of what comes by a connection.
    pub(super) fn receive(&mut self, mut block: &[u8], shared: &mut Shared) {
        // TLS 1.2 has no keys any more after the peer's close_notify, so until the tunnel is secured each record is taken by itself: what
        // is exported then is there even if data and the end come with the last one of the handshake.
        while self.is_by_password() && !self.is_secured() && self.ended.is_none() {
            let awaits_rest = self.channel.as_ref().is_some_and(|channel| channel.records().awaits_rest);
            let length = match block {
                [_, _, _, high, low, ..] if !awaits_rest => 5 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => 1,
            };
            let Some((record, rest)) = block.split_at_checked(length).filter(|(_, rest)| !rest.is_empty()) else {
                break;
            };
            self.receive_piece(record, shared);
            block = rest;
        }
        self.receive_piece(block, shared);
    }

    fn receive_piece(&mut self, block: &[u8], shared: &mut Shared) {
        let (agreed, start) = (self.agreed_method(), self.record_start());
        let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) else { return };
        let is_first = !channel.has_begun();
        if self.ended.is_some() || (is_first && (block.is_empty() || self.role == Role::Initiator)) {
            // It is acknowledged like any other, and nobody is there to read it.
            return transport.release_all_acks();
        }
        if is_first {
            self.timers.set(Timer::Handshake, shared.after(shared.config.timers.handshake));
        }
        // Once something runs inside, plaintext goes straight where it is read from.
        let mut plaintext = self.inside.as_mut().map(|inside| mem::take(inside.inbox())).unwrap_or_default();
        if self.inside.is_some() {
            shared.spares.lend(&mut plaintext, block.len());
        }
        let has_arrived = transport.flight_arrived();
        let before = channel.records();
        let answer = self.negotiation.session.as_ref().and_then(Session::local_security);
        let answered = answer.map_or(&[][..], |answer| &answer.methods);
        let progress = transport.queue(|out| {
            if channel.is_listening() {
                let listen = Listen { agreed, answered, start };
                channel.listen(block, listen, &mut Io { env: &mut shared.env, plaintext: &mut plaintext, out })
            } else {
                channel.read(block, &mut Io { env: &mut shared.env, plaintext: &mut plaintext, out })
            }
        });
        if channel.is_listening() {
            transport.release_all_acks();
        } else {
            transport.received(progress.received);
        }
        // A block whose end was cut off is acknowledged, and nobody sends what is missing: a record has its time from its
        // beginning.
        let after = channel.records();
        if after.ended > before.ended || !after.awaits_rest {
            self.timers.clear(Timer::Rest);
        }
        if let Some(connection) = transport.carrier.connection().filter(|_| self.secured_at.is_some()) {
            connection.nudges.heard(after.ended - before.ended, progress.received > 0);
        }
        if after.awaits_rest {
            self.timers.set_if_unset(Timer::Rest, shared.after(shared.config.timers.stall));
        }
        let has_data = progress.received > 0;
        self.heed(progress, plaintext, shared);
        if has_data && has_arrived && matches!(self.inside, Some(Inside::Bytes(_))) {
            self.see(Sign::Data, shared);
            self.deliver(shared);
        }
        self.release_acks(shared);
    }

    /// The peer has shown this.
    pub(super) fn see(&mut self, sign: Sign, shared: &mut Shared) {
        let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) else { return };
        let mut plaintext = Vec::new();
        let Progress { secured, confirmed, unsaved, fault, .. } = transport
            .queue(|out| channel.confirm(sign, &mut Io { env: &mut shared.env, plaintext: &mut plaintext, out }));
        self.tell_secured(secured, confirmed, unsaved, shared);
        if let Some(fault) = fault {
            self.fail(fault, shared);
        }
    }

    /// The user has judged the certificate.
    pub(crate) fn decide(&mut self, decision: TrustDecision, shared: &mut Shared) -> Result<(), NotAsked> {
        if !self.is_judging() {
            return Err(NotAsked);
        }
        self.timers.clear(Timer::Question);
        let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) else { return Err(NotAsked) };
        let mut plaintext = Vec::new();
        let progress = transport
            .queue(|out| channel.decide(decision, &mut Io { env: &mut shared.env, plaintext: &mut plaintext, out }));
        self.heed(progress, plaintext, shared);
        Ok(())
    }

    pub(super) fn is_judging(&self) -> bool {
        self.phase == Phase::Running && self.channel.as_ref().is_some_and(Channel::is_judging)
    }

    /// The peer has not shown in time that it has accepted us: goes on without.
    pub(super) fn confirm_timed_out(&mut self, shared: &mut Shared) {
        if let Some(channel) = &mut self.channel {
            let progress = channel.go_on_unconfirmed(&shared.env);
            self.heed(progress, Vec::new(), shared);
        }
    }

    pub(crate) fn export_keying_material(
        &self,
        length: usize,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        self.channel.as_ref()?.export_keying_material(length, label, context)
    }

    /// Seals plaintext into records that wait to be sent. The caller has seen to it that there is room.
    pub(super) fn seal(&mut self, plaintext: &[u8]) {
        if let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) {
            transport.seal(channel, plaintext);
        }
    }

    /// The same of what answers the peer: it may go beyond the room that there is for the application's.
    pub(super) fn seal_answer(&mut self, plaintext: &[u8]) {
        if self.ended.is_none()
            && let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport)
        {
            transport.seal_answer(channel, plaintext);
        }
    }

    /// Ends our direction of TLS; doing it twice does nothing.
    pub(super) fn seal_end(&mut self, shared: &Shared) {
        if let (Some(channel), Some(transport)) = (&mut self.channel, &mut self.transport) {
            transport.queue(|out| channel.close_write(out));
            let connection = transport.carrier.connection();
            if let Some(wait) = connection.and_then(|connection| connection.nudges.begin_pushing_end()) {
                self.set(Timer::Connection, wait, shared);
            }
        }
        if let Some(Inside::Bytes(raw)) = &mut self.inside {
            raw.ended = true;
        }
    }

    pub(super) fn peer_closed(&self) -> bool {
        self.channel.as_ref().is_some_and(Channel::peer_closed)
    }

    /// Does what follows from the channel's progress, in order; `plaintext` is for what runs inside.
    fn heed(&mut self, progress: Progress, plaintext: Vec<u8>, shared: &mut Shared) {
        let Progress { started, answered, question, accepted, secured, confirmed, unsaved, fault, .. } = progress;
        let id = self.id;
        if let Some(method) = started {
            self.tls_started(method);
        }
        if answered && !self.is_by_password() {
            // The handshake is not complete, and the peer's user may have to judge our certificate. The initiator is done by
            // then in TLS 1.3; in TLS 1.2 it waits for the responder's Finished (RFC 5246 § 7.3).
            let timers = &shared.config.timers;
            self.set(Timer::Handshake, timers.handshake.saturating_add(timers.question), shared);
        }
        if let Some(question) = question {
            self.timers.clear(Timer::Handshake);
            self.timers.ask_user(shared.after(shared.config.timers.question));
            shared.events.push(Event::TrustRequired { id, question });
        }
        if accepted {
            self.timers.clear(Timer::Handshake);
            if let Some(transport) = &mut self.transport {
                transport.flight_queued();
            }
            self.begin_application(shared);
            if !secured {
                self.set(Timer::Confirm, shared.config.timers.confirm, shared);
            }
        }
        if let Some(inside) = &mut self.inside
            && inside.inbox().is_empty()
        {
            // It was taken from there, or nothing was there yet.
            *inside.inbox() = plaintext;
        }
        self.tell_secured(secured, confirmed, unsaved, shared);
        self.deliver(shared);
        if let Some(fault) = fault {
            self.fail(fault, shared);
        }
    }

    /// The tunnel is secured, or its peer has confirmed us since.
    fn tell_secured(&mut self, secured: bool, confirmed: bool, unsaved: Option<StoreError>, shared: &mut Shared) {
        let id = self.id;
        if let Some(security) = self.security().filter(|_| secured) {
            let security = Box::new(security.clone());
            self.secured_at = Some(shared.env.clock().now());
            self.timers.clear(Timer::Confirm);
            shared.events.push(Event::Secured { id, security });
            self.prepare_receipts();
        }
        if confirmed {
            self.timers.clear(Timer::Stream);
            shared.events.push(Event::Confirmed { id });
        }
        if let Some(error) = unsaved {
            shared.events.push(Event::StoreFailed { id, error });
        }
    }

    fn tls_started(&mut self, method: Method) {
        if let Some(session) = &mut self.negotiation.session {
            session.tls_started(method);
        }
    }

    /// The peer is accepted: what runs inside begins.
    fn begin_application(&mut self, shared: &Shared) {
        self.inside = Some(match self.application {
            Application::XmlStream => {
                let hash = self.negotiation_hash().map(|hash| (hash, self.requires_hash(shared)));
                Inside::Stream(Box::new(XmlStream::new(self.role, &self.peer, hash, shared)))
            }
            Application::Bytes(_) => Inside::Bytes(RawBytes::new(self.hashes())),
        });
        self.begin_stream(shared);
        self.begin_bytes(shared);
    }

    /// Hands authenticated plaintext on, as soon as the peer has accepted us. What may show that it has is a stream's header.
    fn deliver(&mut self, shared: &mut Shared) {
        let is_header = self.ended.is_none()
            && matches!(self.inside, Some(Inside::Stream(_)))
            && self.channel.as_ref().is_some_and(|channel| channel.heeds(Sign::Header));
        if self.security().is_none() && !is_header {
            return;
        }
        match self.inside {
            // What a stream had no room for is read after the end too.
            Some(Inside::Stream(_)) => self.deliver_to_stream(shared),
            Some(Inside::Bytes(_)) if self.ended.is_none() => self.deliver_bytes(shared),
            Some(Inside::Bytes(_)) | None => {}
        }
        if self.ended.is_none() && self.peer_closed() && self.unseen() == 0 {
            // Nothing more can come that would need room.
            if let Some(transport) = &mut self.transport {
                transport.release_all_acks();
            }
            self.peer_has_closed(shared);
        }
    }

    /// Goes on with what was not looked at because too much waited to be sent or to be told.
    pub(super) fn resume(&mut self, shared: &mut Shared) {
        if self.unseen() > 0 && !self.is_held_by(shared.config.receive_buffer) {
            self.deliver(shared);
            self.release_acks(shared);
        }
    }

    /// Whether TLS runs by the password.
    pub(super) fn is_by_password(&self) -> bool {
        self.negotiation.session.as_ref().and_then(Session::method) == Some(Method::Srp)
    }
}
