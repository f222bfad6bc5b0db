//! What comes in, up to a peer that is accepted and has accepted us.

use core::mem;

use xtls_stanza::Method;
use xtls_tls::{Alert, TlsError, TlsSession, TlsVersion};

use super::{
    Channel, Io, Progress, Running, Side, Sign, State, TrustDecision, TrustQuestion, Unconfirmed, trust::Trust,
};
use crate::{
    environment::Environment,
    fault::Fault,
    guess::Permit,
    judgement::{Judgement, Verified},
    security::Security,
    store::StoreError,
};

impl Channel {
    /// Takes records, cut anyhow.
    pub fn read(&mut self, records: &[u8], io: &mut Io<'_>) -> Progress {
        let mut progress = Progress::default();
        let result = match self.take_state() {
            State::Handshake(running) => self.shake_hands(records, running, io, &mut progress),
            State::Judging(mut running) => match running.read(records, &mut progress) {
                Ok(()) => {
                    self.state = State::Judging(running);
                    Ok(())
                }
                Err(error) => Err(self.fault_of(error)),
            },
            state @ (State::Confirming { .. } | State::Encrypted(_) | State::Secured { .. }) => {
                self.state = state;
                self.read_open(records, io, &mut progress)
            }
            state @ (State::Choosing { .. } | State::Closed { .. }) => {
                self.state = state;
                Ok(())
            }
        };
        progress.and(result)
    }

    /// The user has judged the certificate; without a question this does nothing.
    pub fn decide(&mut self, decision: TrustDecision, io: &mut Io<'_>) -> Progress {
        let mut progress = Progress::default();
        if !self.is_judging() {
            return progress;
        }
        let State::Judging(running) = self.take_state() else { return progress };
        let result = self.decided(decision, running, io, &mut progress);
        progress.and(result)
    }

    /// The peer has not shown in time that it accepted us: goes on without that. Nothing happens in any other state.
    pub fn go_on_unconfirmed(&mut self, env: &Environment) -> Progress {
        let mut progress = Progress::default();
        if !self.is_confirming() {
            return progress;
        }
        let State::Confirming { tls, method, unconfirmed } = self.take_state() else { return progress };
        let result = self.secure(tls, method, Err(unconfirmed), env, &mut progress);
        progress.and(result)
    }

    /// The peer has sent this: the transport knows that it did so after our last flight had left. Nothing happens unless it has
    /// not confirmed us yet. A peer that is refused after all gets an alert; `plaintext` is left alone.
    pub fn confirm(&mut self, sign: Sign, io: &mut Io<'_>) -> Progress {
        let mut progress = Progress::default();
        if !self.heeds(sign) {
            return progress;
        }
        let result = self.confirmed(io, &mut progress);
        progress.and(result)
    }

    fn shake_hands(
        &mut self,
        records: &[u8],
        mut running: Running,
        io: &mut Io<'_>,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        let attempted = running.tls.password_attempted();
        let result = running.read(records, progress);
        let complete = running.tls.handshake_complete();
        if let Some(trust) = self.trust.as_ref().filter(|_| running.method == Method::Srp) {
            if running.tls.password_attempted() && !attempted {
                // What cannot be counted is not sent: neither our Finished, nor the word on the peer's.
                match io.env.begin_guess(&trust.peer)? {
                    Permit::Granted => {}
                    Permit::Locked { until } => return Err(Fault::PasswordLocked { until }.into()),
                }
            }
            if complete {
                // It was right, whatever else is wrong with what came along.
                progress.unsaved = io.env.guess_was_right(&trust.peer).err();
            }
        }
        match result {
            Ok(()) if complete => self.judge(running, io, progress),
            Ok(()) => {
                progress.answered = !running.held.is_empty();
                io.out.append(&mut running.held);
                self.state = State::Handshake(running);
                Ok(())
            }
            Err(error) => {
                if !complete {
                    // The alert. The end of a handshake would say that the peer was accepted.
                    io.out.append(&mut running.held);
                }
                Err(self.fault_of(error))
            }
        }
    }

    /// The handshake is complete. Nothing was sent since.
    fn judge(&mut self, mut running: Running, io: &mut Io<'_>, progress: &mut Progress) -> Result<(), Box<Fault>> {
        let Some(trust) = &self.trust else {
            io.out.append(&mut running.held);
            io.plaintext.append(&mut running.early);
            self.state = State::Encrypted(running.tls);
            (progress.encrypted, progress.accepted) = (true, true);
            return Ok(());
        };
        match trust.judge(&running.tls, running.method, io.env) {
            Judgement::Accept(verified) => self.accept(running, verified, io, progress),
            Judgement::Refuse(fault) => Err(fault.into()),
            Judgement::Ask { certificate, previous } => {
                let secured_by = trust.standing.secured_by.clone();
                progress.question = Some(Box::new(TrustQuestion { certificate, previous, secured_by }));
                self.state = State::Judging(running);
                Ok(())
            }
        }
    }

    fn decided(
        &mut self,
        decision: TrustDecision,
        running: Running,
        io: &mut Io<'_>,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        let keeps = match decision {
            TrustDecision::Accept => false,
            TrustDecision::AcceptAndKeep => true,
            TrustDecision::Refuse => return Err(Fault::TrustRefused.into()),
        };
        let (Some(trust), Some(certificate)) = (&self.trust, running.tls.peer_certificate()) else {
            return Err(Fault::TrustRefused.into());
        };
        let known = io.env.record(&trust.peer)?.fingerprints();
        let verified = Verified::approved(certificate, known, keeps, io.env.clock().unix_time());
        self.accept(running, verified, io, progress)
    }

    /// The peer is accepted: what was held back goes out.
    fn accept(
        &mut self,
        running: Running,
        mut verified: Verified,
        io: &mut Io<'_>,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        let Running { tls, method, mut held, mut early } = running;
        // RFC 8446 § 4.4: the client of TLS 1.3 is done before its certificate is judged. A server hears of the client's
        // judgement in its Finished, and so does the client in TLS 1.2. A server that asked for no certificate judges none.
        if self.side == Side::Responder || is_tls12(&tls) || !tls.certificate_requested() {
            remember(self.trust.as_deref_mut(), &tls, method, &mut verified, io.env, progress)?;
            self.secure(tls, method, Ok(verified), io.env, progress)?;
        } else {
            let unconfirmed = Unconfirmed { verified, tickets: None, early: !early.is_empty() };
            self.state = State::Confirming { tls, method, unconfirmed };
        }
        io.out.append(&mut held);
        io.plaintext.append(&mut early);
        progress.accepted = true;
        Ok(())
    }

    /// Takes records once plaintext passes.
    fn read_open(&mut self, records: &[u8], io: &mut Io<'_>, progress: &mut Progress) -> Result<(), Box<Fault>> {
        let Some(tls) = self.open_tls() else { return Ok(()) };
        let before = io.plaintext.len();
        let result = tls.read(records, io.plaintext, io.out);
        progress.received = io.plaintext.len() - before;
        if progress.received > 0
            && let Some(unconfirmed) = self.unconfirmed_mut()
        {
            unconfirmed.early |= unconfirmed.tickets.is_none();
        }
        if let Err(fault) = self.notice_ticket(io, progress) {
            // What came from a peer that is refused after all is from nobody.
            io.plaintext.truncate(before);
            progress.received = 0;
            return Err(fault);
        }
        result.map_err(|error| self.fault_of(error))
    }

    /// A server that asked for our certificate cannot make a session ticket without our Finished (RFC 8446 § 4.6.1).
    fn notice_ticket(&mut self, io: &mut Io<'_>, progress: &mut Progress) -> Result<(), Box<Fault>> {
        let received = self.tls().map_or(0, TlsSession::tickets_received);
        let before = self.unconfirmed().and_then(|unconfirmed| unconfirmed.tickets);
        if before.is_some_and(|before| received > before) { self.confirmed(io, progress) } else { Ok(()) }
    }

    /// The peer has accepted us: what is learned of it is written. One that is not the peer any more is told by an alert, and the
    /// channel is closed.
    fn confirmed(&mut self, io: &mut Io<'_>, progress: &mut Progress) -> Result<(), Box<Fault>> {
        let result = self.note_confirmed(io.env, progress);
        if let Err(fault) = &result
            && let Some(tls) = self.give_up()
        {
            // RFC 8446 § 6.2: an error alert before closing. Our Finished has left, so nobody is told by its absence.
            tls.refuse(alert_of(fault), io.out);
        }
        result
    }

    fn note_confirmed(&mut self, env: &mut Environment, progress: &mut Progress) -> Result<(), Box<Fault>> {
        if let State::Confirming { tls, method, unconfirmed } = &mut self.state {
            remember(self.trust.as_deref_mut(), tls, *method, &mut unconfirmed.verified, env, progress)?;
        }
        if self.is_confirming()
            && let State::Confirming { tls, method, unconfirmed } = self.take_state()
        {
            return self.secure(tls, method, Ok(unconfirmed.verified), env, progress);
        }
        if let State::Secured { tls, security, unconfirmed } = &mut self.state
            && let Some(Unconfirmed { mut verified, .. }) = unconfirmed.take()
        {
            remember(self.trust.as_deref_mut(), tls, security.method, &mut verified, env, progress)?;
            (security.confirmed, progress.confirmed) = (true, true);
            security.authenticated_by = verified.by;
        }
        Ok(())
    }

    /// The peer is authenticated, and has accepted us or not.
    fn secure(
        &mut self,
        tls: TlsSession,
        method: Method,
        verified: Result<Verified, Unconfirmed>,
        env: &Environment,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        const NO_PARAMETERS: Fault = Fault::Internal("a finished handshake has no parameters");
        let confirmed = verified.is_ok();
        let by = verified.as_ref().unwrap_or_else(|unconfirmed| &unconfirmed.verified);
        let security = security_of(&tls, method, by, confirmed, env).ok_or(NO_PARAMETERS)?;
        self.state = State::Secured { tls, security: Box::new(security), unconfirmed: verified.err() };
        progress.secured = true;
        Ok(())
    }

    pub(super) fn unconfirmed(&self) -> Option<&Unconfirmed> {
        match &self.state {
            State::Confirming { unconfirmed, .. } | State::Secured { unconfirmed: Some(unconfirmed), .. } => {
                Some(unconfirmed)
            }
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) => None,
            State::Encrypted(_) | State::Secured { unconfirmed: None, .. } | State::Closed { .. } => None,
        }
    }

    fn unconfirmed_mut(&mut self) -> Option<&mut Unconfirmed> {
        match &mut self.state {
            State::Confirming { unconfirmed, .. } | State::Secured { unconfirmed: Some(unconfirmed), .. } => {
                Some(unconfirmed)
            }
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) => None,
            State::Encrypted(_) | State::Secured { unconfirmed: None, .. } | State::Closed { .. } => None,
        }
    }

    fn fault_of(&self, error: TlsError) -> Box<Fault> {
        Fault::of_tls(error, self.pins()).into()
    }

    /// Takes the state out; whoever does puts the next one in, or leaves the channel closed.
    fn take_state(&mut self) -> State {
        let peer_closed = self.peer_closed();
        mem::replace(&mut self.state, State::Closed { security: None, peer_closed })
    }
}

impl Running {
    fn read(&mut self, records: &[u8], progress: &mut Progress) -> Result<(), TlsError> {
        let before = self.early.len();
        let result = self.tls.read(records, &mut self.early, &mut self.held);
        progress.received = self.early.len() - before;
        result
    }
}

impl Progress {
    /// The same, and what a step came to.
    pub(super) fn and(self, result: Result<(), Box<Fault>>) -> Self {
        Self { fault: result.err(), ..self }
    }
}

/// How a channel over this session is secured.
pub(super) fn security_of(
    tls: &TlsSession,
    method: Method,
    verified: &Verified,
    confirmed: bool,
    env: &Environment,
) -> Option<Security> {
    let certificate = tls.peer_certificate().cloned();
    Some(Security {
        method,
        authenticated_by: verified.by,
        tls: tls.parameters()?,
        out_of_date: certificate.as_ref().is_some_and(|one| one.is_expired(env.clock().unix_time())),
        certificate,
        changed_from: verified.changed_from.clone(),
        confirmed,
    })
}

/// Remembers that both ends have accepted one another, before anything rests on it.
fn remember(
    trust: Option<&mut Trust>,
    tls: &TlsSession,
    method: Method,
    verified: &mut Verified,
    env: &mut Environment,
    progress: &mut Progress,
) -> Result<(), Box<Fault>> {
    let unsaved: Option<StoreError> = match trust {
        Some(trust) => trust.remember(tls, method, verified, env)?,
        None => None,
    };
    progress.unsaved = unsaved.or_else(|| progress.unsaved.take());
    Ok(())
}

/// What tells a peer that is refused when it has accepted us (RFC 8446 § 6.2).
fn alert_of(fault: &Fault) -> Alert {
    if matches!(fault, Fault::OutOfDate { .. }) {
        Alert::CERTIFICATE_EXPIRED
    } else if matches!(fault, Fault::Store(_) | Fault::Internal(_)) {
        // The store's trouble is not the certificate's.
        Alert::INTERNAL_ERROR
    } else {
        Alert::CERTIFICATE_UNKNOWN
    }
}

fn is_tls12(tls: &TlsSession) -> bool {
    tls.parameters().is_some_and(|parameters| parameters.version == TlsVersion::Tls12)
}
