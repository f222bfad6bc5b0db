//! What comes in, up to a peer that is accepted and has accepted us.

use core::mem;

use xtls_stanza::Method;
use xtls_tls::{TlsError, TlsSession, TlsVersion};

use super::{Channel, Io, Progress, Running, Side, State, TrustDecision, TrustQuestion, trust::Trust};
use crate::{
    environment::Environment,
    fault::Fault,
    judgement::{Judgement, Verified},
    record::Permit,
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
        let State::Confirming { tls, method, verified } = self.take_state() else { return progress };
        let result = self.secure(tls, method, verified, false, env, &mut progress);
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
        let (TrustDecision::Accept, Some(trust), Some(certificate)) =
            (decision, &self.trust, running.tls.peer_certificate())
        else {
            return Err(Fault::TrustRefused.into());
        };
        let known = io.env.record(&trust.peer)?.fingerprints();
        let verified = Verified::approved(certificate, known);
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
        // judgement in its Finished, and so does the client in TLS 1.2.
        if self.side == Side::Responder || is_tls12(&tls) {
            remember(self.trust.as_deref(), &tls, method, &mut verified, io.env, progress)?;
            self.secure(tls, method, verified, true, io.env, progress)?;
        } else {
            self.state = State::Confirming { tls, method, verified };
            self.notice_confirmation(!early.is_empty(), io.env, progress)?;
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
        if let Err(fault) = self.notice_confirmation(progress.received > 0, io.env, progress) {
            // What came from a peer that is refused after all is from nobody.
            io.plaintext.truncate(before);
            progress.received = 0;
            self.abandon();
            return Err(fault);
        }
        result.map_err(|error| self.fault_of(error))
    }

    /// In TLS 1.3 the first byte that the responder sends under its application keys, be it only a ticket, shows that it has
    /// accepted us.
    fn notice_confirmation(
        &mut self,
        has_data: bool,
        env: &mut Environment,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        if !has_data && self.tls().is_none_or(|tls| tls.tickets_received() == 0) {
            return Ok(());
        }
        if self.is_confirming()
            && let State::Confirming { tls, method, mut verified } = self.take_state()
        {
            remember(self.trust.as_deref(), &tls, method, &mut verified, env, progress)?;
            return self.secure(tls, method, verified, true, env, progress);
        }
        if let State::Secured { tls, security, unconfirmed } = &mut self.state
            && let Some(mut verified) = unconfirmed.take()
        {
            remember(self.trust.as_deref(), tls, security.method, &mut verified, env, progress)?;
            (security.confirmed, progress.confirmed) = (true, true);
            security.authenticated_by = verified.by;
        }
        Ok(())
    }

    fn secure(
        &mut self,
        tls: TlsSession,
        method: Method,
        verified: Verified,
        confirmed: bool,
        env: &Environment,
        progress: &mut Progress,
    ) -> Result<(), Box<Fault>> {
        const NO_PARAMETERS: Fault = Fault::Internal("a finished handshake has no parameters");
        let security = security_of(&tls, method, &verified, confirmed, env).ok_or(NO_PARAMETERS)?;
        let unconfirmed = (!confirmed).then_some(verified);
        self.state = State::Secured { tls, security: Box::new(security), unconfirmed };
        progress.secured = true;
        Ok(())
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
    trust: Option<&Trust>,
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

fn is_tls12(tls: &TlsSession) -> bool {
    tls.parameters().is_some_and(|parameters| parameters.version == TlsVersion::Tls12)
}
