//! What comes in, up to a peer that is accepted and has accepted us.

use core::mem;

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::{TlsError, TlsSession, TlsVersion};

use super::{Channel, Progress, Running, Side, State, TrustDecision, TrustQuestion, trust::Trust};
use crate::{
    environment::Environment,
    fault::Fault,
    judgement::{Judgement, Verified},
    record::Permit,
    security::{Authentication, Security},
    store::StoreError,
};

impl Channel {
    /// Takes records, cut anyhow. Plaintext is appended to `plaintext` once the peer is accepted and, in TLS 1.3, has
    /// accepted us; what TLS answers is appended to `out`.
    pub fn read(
        &mut self,
        records: &[u8],
        env: &mut Environment,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Progress {
        let mut progress = Progress::default();
        match self.take_state() {
            State::Handshake(running) => self.shake_hands(records, running, env, &mut progress, plaintext, out),
            State::Judging(mut running) => {
                let result = running.read(records, &mut progress);
                self.state = State::Judging(running);
                if let Err(error) = result {
                    progress.fault = Some(Fault::of_tls(error, self.pins()).into());
                    self.abandon();
                }
            }
            State::Confirming { mut tls, method, verified } => {
                let result = read_through(&mut tls, records, plaintext, out, &mut progress);
                self.state = State::Confirming { tls, method, verified };
                self.notice_confirmation(progress.received > 0, env, &mut progress);
                self.note_fault(result, &mut progress);
            }
            State::Encrypted(mut tls) => {
                let result = read_through(&mut tls, records, plaintext, out, &mut progress);
                self.state = State::Encrypted(tls);
                self.note_fault(result, &mut progress);
            }
            State::Secured { mut tls, security, unconfirmed } => {
                let result = read_through(&mut tls, records, plaintext, out, &mut progress);
                self.state = State::Secured { tls, security, unconfirmed };
                self.notice_confirmation(progress.received > 0, env, &mut progress);
                self.note_fault(result, &mut progress);
            }
            other @ (State::Choosing { .. } | State::Closed { .. }) => self.state = other,
        }
        progress
    }

    /// The user has judged the certificate; without a question this does nothing.
    pub fn decide(
        &mut self,
        decision: TrustDecision,
        env: &mut Environment,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Progress {
        let mut progress = Progress::default();
        if !self.is_judging() {
            return progress;
        }
        let State::Judging(running) = self.take_state() else { return progress };
        let known = match (decision, &self.trust) {
            (TrustDecision::Accept, Some(trust)) => {
                env.record(&trust.peer).map_err(|error| Box::new(Fault::Store(error)))
            }
            (TrustDecision::Accept | TrustDecision::Refuse, _) => Err(Box::new(Fault::TrustRefused)),
        };
        match (known, running.tls.peer_certificate()) {
            (Ok(record), Some(certificate)) => {
                let verified = Verified::approved(certificate, record.fingerprints());
                self.accept(running, verified, env, &mut progress, plaintext, out);
            }
            (Err(fault), _) => progress.fault = Some(fault),
            (Ok(_), None) => progress.fault = Some(Fault::TrustRefused.into()),
        }
        progress
    }

    /// The peer has not shown in time that it accepted us: goes on without that. Nothing happens in any other state.
    pub fn go_on_unconfirmed(&mut self, env: &Environment) -> Progress {
        let mut progress = Progress::default();
        if self.is_confirming()
            && let State::Confirming { tls, method, verified } = self.take_state()
        {
            self.secure(tls, method, verified, false, env, &mut progress);
        }
        progress
    }

    fn shake_hands(
        &mut self,
        records: &[u8],
        mut running: Running,
        env: &mut Environment,
        progress: &mut Progress,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let attempted = running.tls.password_attempted();
        let result = running.read(records, progress);
        let complete = running.tls.handshake_complete();
        if let Some(trust) = &self.trust
            && running.tls.password_attempted()
            && !attempted
        {
            // What cannot be counted is not sent: neither our Finished, nor the word on the peer's.
            let refused = match env.begin_guess(&trust.peer) {
                Ok(Permit::Granted) => None,
                Ok(Permit::Locked { until }) => Some(Fault::PasswordLocked { until }),
                Err(error) => Some(Fault::Store(error)),
            };
            if let Some(fault) = refused {
                progress.fault = Some(fault.into());
                return;
            }
        }
        if let Some(trust) = &self.trust
            && complete
            && running.method == Method::Srp
        {
            // It was, whatever else is wrong with what came along.
            progress.unsaved = env.guess_was_right(&trust.peer).err();
        }
        match result {
            Err(error) => {
                if !complete {
                    // The alert. The end of a handshake would say that the peer was accepted.
                    out.append(&mut running.held);
                }
                progress.fault = Some(Fault::of_tls(error, self.pins()).into());
            }
            Ok(()) if complete => self.judge(running, env, progress, plaintext, out),
            Ok(()) => {
                progress.answered = !running.held.is_empty();
                out.append(&mut running.held);
                self.state = State::Handshake(running);
            }
        }
    }

    /// The handshake is complete. Nothing was sent since.
    fn judge(
        &mut self,
        mut running: Running,
        env: &mut Environment,
        progress: &mut Progress,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let Some(trust) = &self.trust else {
            out.append(&mut running.held);
            plaintext.append(&mut running.early);
            self.state = State::Encrypted(running.tls);
            (progress.encrypted, progress.accepted) = (true, true);
            return;
        };
        match trust.judge(&running.tls, running.method, env) {
            Judgement::Accept(verified) => self.accept(running, verified, env, progress, plaintext, out),
            Judgement::Refuse(fault) => progress.fault = Some(fault.into()),
            Judgement::Ask { previous } => {
                let Some(certificate) = running.tls.peer_certificate().cloned() else {
                    progress.fault = Some(Fault::NotTrusted { fingerprint: None }.into());
                    return;
                };
                let secured_by = trust.standing.secured_by.clone();
                progress.question = Some(Box::new(TrustQuestion { certificate, previous, secured_by }));
                self.state = State::Judging(running);
            }
        }
    }

    /// The peer is accepted: what was held back goes out.
    fn accept(
        &mut self,
        running: Running,
        mut verified: Verified,
        env: &mut Environment,
        progress: &mut Progress,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let Running { tls, method, mut held, mut early } = running;
        // RFC 8446 § 4.4: the client of TLS 1.3 is done before its certificate is judged. A server hears of the client's
        // judgement in its Finished, and so does the client in TLS 1.2.
        let is_confirmed = self.side == Side::Responder || is_tls12(&tls);
        if is_confirmed {
            match remember(self.trust.as_deref(), &tls, method, &mut verified, env) {
                Ok(unsaved) => progress.unsaved = unsaved.or_else(|| progress.unsaved.take()),
                Err(fault) => {
                    progress.fault = Some(fault);
                    return;
                }
            }
        }
        out.append(&mut held);
        progress.accepted = true;
        if is_confirmed {
            self.secure(tls, method, verified, true, env, progress);
        } else {
            self.state = State::Confirming { tls, method, verified };
            self.notice_confirmation(!early.is_empty(), env, progress);
        }
        plaintext.append(&mut early);
    }

    /// In TLS 1.3 the first byte that the responder sends under its application keys, be it only a ticket, shows that it has
    /// accepted us.
    fn notice_confirmation(&mut self, has_data: bool, env: &mut Environment, progress: &mut Progress) {
        if !has_data && self.tls().is_none_or(|tls| tls.tickets_received() == 0) {
            return;
        }
        if self.is_confirming()
            && let State::Confirming { tls, method, mut verified } = self.take_state()
        {
            match remember(self.trust.as_deref(), &tls, method, &mut verified, env) {
                Ok(unsaved) => {
                    progress.unsaved = unsaved;
                    self.secure(tls, method, verified, true, env, progress);
                }
                Err(fault) => progress.fault = Some(fault),
            }
        } else if let State::Secured { tls, security, unconfirmed } = &mut self.state
            && let Some(mut verified) = unconfirmed.take()
        {
            match remember(self.trust.as_deref(), tls, security.method, &mut verified, env) {
                Ok(unsaved) => {
                    progress.unsaved = unsaved;
                    (security.confirmed, progress.confirmed) = (true, true);
                    security.authenticated_by = verified.by;
                }
                Err(fault) => progress.fault = Some(fault),
            }
        }
    }

    fn secure(
        &mut self,
        tls: TlsSession,
        method: Method,
        verified: Verified,
        confirmed: bool,
        env: &Environment,
        progress: &mut Progress,
    ) {
        let changed_from = verified.changed_from.clone();
        let Some(security) = security_of(&tls, method, verified.by, changed_from, confirmed, env) else {
            progress.fault = Some(Fault::Internal("a finished handshake has no parameters").into());
            return;
        };
        progress.secured = true;
        let unconfirmed = (!confirmed).then_some(verified);
        self.state = State::Secured { tls, security: Box::new(security), unconfirmed };
    }

    fn note_fault(&self, result: Result<(), TlsError>, progress: &mut Progress) {
        if let Err(error) = result {
            progress.fault.get_or_insert_with(|| Fault::of_tls(error, self.pins()).into());
        }
    }

    /// Takes the state out; whoever does puts the next one in, or leaves the channel closed.
    fn take_state(&mut self) -> State {
        let peer_closed = self.peer_closed();
        mem::replace(&mut self.state, State::Closed { security: None, peer_closed })
    }
}

impl Running {
    fn read(&mut self, records: &[u8], progress: &mut Progress) -> Result<(), TlsError> {
        read_through(&mut self.tls, records, &mut self.early, &mut self.held, progress)
    }
}

impl Progress {
    pub(super) fn failed(fault: impl Into<Box<Fault>>) -> Self {
        Self { fault: Some(fault.into()), ..Self::default() }
    }
}

/// Remembers that both ends have accepted one another, before anything rests on it.
fn remember(
    trust: Option<&Trust>,
    tls: &TlsSession,
    method: Method,
    verified: &mut Verified,
    env: &mut Environment,
) -> Result<Option<StoreError>, Box<Fault>> {
    trust.map_or(Ok(None), |trust| trust.remember(tls, method, verified, env))
}

/// How a channel over this session is secured.
pub(super) fn security_of(
    tls: &TlsSession,
    method: Method,
    by: Authentication,
    changed_from: Vec<Fingerprint>,
    confirmed: bool,
    env: &Environment,
) -> Option<Security> {
    let certificate = tls.peer_certificate().cloned();
    Some(Security {
        method,
        authenticated_by: by,
        tls: tls.parameters()?,
        out_of_date: certificate.as_ref().is_some_and(|one| one.is_expired(env.clock().unix_time())),
        certificate,
        changed_from,
        confirmed,
    })
}

fn read_through(
    tls: &mut TlsSession,
    records: &[u8],
    plaintext: &mut Vec<u8>,
    out: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<(), TlsError> {
    let before = plaintext.len();
    let result = tls.read(records, plaintext, out);
    progress.received = plaintext.len() - before;
    result
}

fn is_tls12(tls: &TlsSession) -> bool {
    tls.parameters().is_some_and(|parameters| parameters.version == TlsVersion::Tls12)
}
