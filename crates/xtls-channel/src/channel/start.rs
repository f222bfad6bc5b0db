//! How TLS begins, by each method.

use xtls_stanza::{Method, jid::DomainPart};
use xtls_tls::{
    ClientHelloMethod, ClientVerification, MAX_RECORD, ServerVerification, SessionCache, SrpConfig, TlsConfig,
    TlsSession, TowardsClient, TowardsServer, Verification,
};

use super::{Channel, Io, Progress, Running, Side, State, trust::Trust};
use crate::{environment::Environment, fault::Fault, judgement::only_pins, password::Password};

/// How records between peers are made.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "tunnels and links make it")]
pub struct Start {
    /// The longest record, in bytes on the wire.
    pub max_record: usize,
    /// Tell the client by a session ticket that it was accepted (TLS 1.3). Tunnels and links always do; without one, this end is
    /// what other software may be, which a client has to get along with.
    pub ticket: bool,
}

/// What a responder waits for.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "tunnels make it")]
pub struct Listen<'l> {
    /// The method, where something has named it.
    pub agreed: Option<Method>,
    /// The methods that we have answered.
    pub answered: &'l [Method],
    /// How records are made.
    pub start: Start,
}

/// How a client's end of a connection to its server is made.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "links make it")]
pub struct TowardsServerTerms {
    /// The domain that the certificate has to be for.
    pub domain: DomainPart,
    /// Present your certificate if the server asks for one.
    pub present_certificate: bool,
    /// TLS begins with the connection: name the protocol (XEP-0368 § 3).
    pub alpn: bool,
    /// Resume sessions from here.
    pub sessions: Option<SessionCache>,
}

impl Channel {
    /// Begins TLS with a peer by the method that was chosen. A client's first flight is appended to `out`.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] when it has begun already, or TLS cannot be set up.
    pub fn start(
        &mut self,
        method: Method,
        start: Start,
        env: &Environment,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<Fault>> {
        let (Some(trust), State::Choosing { secret, .. }) = (&self.trust, &self.state) else {
            return Err(cannot_begin());
        };
        let made = match method {
            Method::Srp => srp(self.side, trust, secret.as_ref(), start, env, out),
            Method::X509 | _ => x509(self.side, trust, start, env, out),
        };
        // TLS has made of the password what it needs: the state that holds it ends here.
        self.state = made.map(|tls| running(tls, method)).ok_or_else(cannot_begin)?;
        Ok(())
    }

    /// Responder: the first bytes of TLS. Where nothing has named the method, the ClientHello shows what the initiator has
    /// chosen (draft-meyer-xmpp-e2e-encryption-02 § 3), among the methods that we `answered`.
    pub fn listen(
        &mut self,
        block: &[u8],
        Listen { agreed, answered, start }: Listen<'_>,
        io: &mut Io<'_>,
    ) -> Progress {
        let State::Choosing { hello, watch, .. } = &mut self.state else { return Progress::default() };
        hello.extend_from_slice(block);
        let method = match agreed {
            Some(method) => method,
            None => match watch.look(hello) {
                ClientHelloMethod::NeedMore => return Progress::default(),
                ClientHelloMethod::Srp => Method::Srp,
                // One method is agreed on before TLS begins; we do not choose in the initiator's stead.
                ClientHelloMethod::Mixed => {
                    return failed(Fault::NoCommonMethod { offered: Vec::new() });
                }
                // What is no ClientHello is refused by the TLS that most peers would mean.
                ClientHelloMethod::X509 | ClientHelloMethod::NotClientHello | _ => Method::X509,
            },
        };
        if !answered.contains(&method) {
            return failed(Fault::NoCommonMethod { offered: vec![method] });
        }
        let hello = core::mem::take(hello);
        if let Err(fault) = self.start(method, start, io.env, io.out) {
            return failed(fault);
        }
        let progress = self.read(&hello, io);
        Progress { started: Some(method), ..progress }
    }

    /// Begins TLS with a server (RFC 6120 § 5). The first flight is appended to `out`.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] when it has begun already, or TLS cannot be set up.
    pub fn start_towards_server(
        &mut self,
        terms: TowardsServerTerms,
        env: &Environment,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<Fault>> {
        let (Some(trust), State::Choosing { .. }) = (&self.trust, &self.state) else { return Err(cannot_begin()) };
        let verification = match env.vouching(&trust.policy, &trust.standing) {
            Some(authorities) => ServerVerification::Authorities(authorities),
            None => only_pins(trust.policy.trust, trust.pins())
                .map_or(ServerVerification::Deferred, ServerVerification::Pinned),
        };
        let TowardsServerTerms { domain, present_certificate, alpn, sessions } = terms;
        let mut config = TowardsServer::new(domain, env.provider.clone(), env.clock().wall(), verification);
        config.identity = present_certificate.then(|| env.identity.clone());
        config.alpn = alpn;
        config.minimum = env.minimum_tls(self.side, &trust.policy);
        config.sessions = sessions;
        let tls = TlsSession::towards_server(&config, out).map_err(|_| cannot_begin())?;
        self.state = running(tls, Method::X509);
        Ok(())
    }

    /// A server's end: waits for a client's TLS. With `external`, the client is asked for a certificate, which it need not have.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] when TLS cannot be set up.
    pub fn towards_client(external: bool, env: &Environment) -> Result<Self, Box<Fault>> {
        // A certificate that is not believed is as good as none, and the client can log in by other means.
        let verification = match &env.authorities {
            _ if !external => ClientVerification::NotAsked,
            Some(authorities) => ClientVerification::AuthoritiesOrDeferred(authorities.clone()),
            None => ClientVerification::Deferred,
        };
        let mut config =
            TowardsClient::new(env.identity.clone(), env.provider.clone(), env.clock().wall(), verification);
        config.minimum = env.limits.minimum_tls;
        let tls = TlsSession::towards_client(&config).map_err(|_| cannot_begin())?;
        Ok(Self { side: Side::Responder, trust: None, state: running(tls, Method::X509) })
    }
}

impl Start {
    /// Records of any size, and a ticket.
    pub const PLAIN: Self = Self { max_record: MAX_RECORD, ticket: true };
}

fn failed(fault: impl Into<Box<Fault>>) -> Progress {
    Progress::default().and(Err(fault.into()))
}

fn cannot_begin() -> Box<Fault> {
    Box::new(Fault::Internal("TLS cannot be set up"))
}

fn running(tls: TlsSession, method: Method) -> State {
    State::Handshake(Running { tls, method, held: Vec::new(), early: Vec::new() })
}

fn srp(
    side: Side,
    trust: &Trust,
    secret: Option<&Password>,
    start: Start,
    env: &Environment,
    out: &mut Vec<u8>,
) -> Option<TlsSession> {
    let mut config = SrpConfig::new(secret?.credentials(&trust.initiator)?, env.provider.clone());
    config.max_record = start.max_record;
    match side {
        Side::Initiator => TlsSession::srp_client(&config, out).ok(),
        Side::Responder => TlsSession::srp_server(&config).ok(),
    }
}

fn x509(side: Side, trust: &Trust, start: Start, env: &Environment, out: &mut Vec<u8>) -> Option<TlsSession> {
    // Where nothing but a pin will do, a certificate without one is refused with an alert; else it is judged when its key is
    // proven.
    let verification = match env.vouching(&trust.policy, &trust.standing) {
        Some(authorities) => Verification::Authorities { authorities, address: trust.peer.clone() },
        None => only_pins(trust.policy.trust, trust.pins()).map_or(Verification::Deferred, Verification::Pinned),
    };
    let mut config = TlsConfig::new(env.identity.clone(), env.provider.clone(), env.clock().wall(), verification);
    config.max_record = start.max_record;
    config.send_ticket = start.ticket;
    config.minimum = env.minimum_tls(side, &trust.policy);
    config.known = env.known.clone();
    match side {
        Side::Initiator => TlsSession::client(&config, out).ok(),
        Side::Responder => TlsSession::server(&config).ok(),
    }
}
