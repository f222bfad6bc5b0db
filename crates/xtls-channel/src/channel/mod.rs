//! The secure channel: TLS from its first byte to its last, and whom it is with.
//!
//! It takes records and gives plaintext, records and [`Progress`]. It knows nothing of Jingle, bytestreams or stanzas; tunnels
//! and links hand it the bytes that came for it, and send what it writes.
//!
//! - `trust`: what is known of the peer, and how it is judged;
//! - `start`: how TLS begins, by each method;
//! - `read`: what comes in, up to a peer that is accepted and has accepted us.

mod read;
mod start;
mod trust;

#[cfg(test)]
mod tests;

use core::fmt;

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::{ClientHelloWatch, PeerCertificate, Records, TlsParameters, TlsSession, WriteError};

pub use self::start::{Listen, Start, TowardsServerTerms};
use self::trust::Trust;
use crate::{
    environment::Environment,
    fault::Fault,
    judgement::{Announcements, Verified},
    password::Password,
    rules::{Choice, Offered, Policy, Said, Unofferable},
    security::{Authentication, Security},
    store::StoreError,
    terms::Terms,
};
use xtls_stanza::jid::BareJid;

/// An end of a tunnel or of a link. The initiator is the client of TLS (draft-meyer-xmpp-e2e-encryption-02 § 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The one that offered the tunnel, or opened the connection.
    Initiator,
    /// The one that accepted it.
    Responder,
}

/// One end of a secure channel.
pub struct Channel {
    side: Side,
    /// Who the other end has to be. None for a server's client, who says so only inside.
    trust: Option<Box<Trust>>,
    state: State,
}

/// How far a channel has come; each state holds what only it needs.
enum State {
    /// No byte of TLS was sent.
    Choosing {
        secret: Option<Password>,
        /// Responder: the first bytes of a handshake whose method is not known yet.
        hello: Vec<u8>,
        watch: ClientHelloWatch,
    },
    /// The handshake runs.
    Handshake(Running),
    /// It is complete, its last flight is held back, and the user judges the certificate.
    Judging(Running),
    /// Initiator in TLS 1.3: the peer is accepted, and has not shown yet that it has accepted us.
    Confirming { tls: TlsSession, method: Method, unconfirmed: Unconfirmed },
    /// A server's end: the handshake with a client is complete, and nobody is authenticated by that.
    Encrypted(TlsSession),
    /// The peer is authenticated. `unconfirmed` until it has accepted us.
    Secured { tls: TlsSession, security: Box<Security>, unconfirmed: Option<Unconfirmed> },
    /// Nothing more comes or goes.
    Closed { security: Option<Box<Security>>, peer_closed: bool },
}

/// A peer that is accepted, and has not shown yet that it has accepted us.
///
/// A server of TLS 1.3 may send data before it has seen the client's certificate (RFC 8446 § 4.4.4), so nothing counts that
/// came before our last flight left.
struct Unconfirmed {
    /// What is to be remembered then.
    verified: Verified,
    /// The tickets that had come when our last flight left; `None` until it has.
    tickets: Option<u32>,
    /// Plaintext came before that: a header in it answers nothing.
    early: bool,
}

/// What shows, besides a session ticket, that the peer has accepted us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a transport that knows of another has to say so here")]
pub enum Sign {
    /// The header of the XML stream that answers ours.
    Header,
    /// Plaintext in a block that came after our last flight was acknowledged. That convinces of careless peers, not of hostile
    /// ones: they, or a server on the way, can hold such a block back.
    Data,
}

/// A handshake that runs, or waits for the user.
struct Running {
    tls: TlsSession,
    method: Method,
    /// Records that wait for a judgement. During the handshake they go at once; its last flight may say that the peer was
    /// accepted.
    held: Vec<u8>,
    /// Authenticated plaintext that came before the peer was judged. Whoever feeds the channel bounds it, by withholding input.
    early: Vec<u8>,
}

/// What a call reads by and writes to.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "tunnels and links make it")]
pub struct Io<'c> {
    /// What is shared with other channels.
    pub env: &'c mut Environment,
    /// Where plaintext is appended, once the peer is accepted and, in TLS 1.3, has accepted us.
    pub plaintext: &'c mut Vec<u8>,
    /// Where records to be sent are appended.
    pub out: &'c mut Vec<u8>,
}

/// What came of a call. The fields are in the order in which they are to be heeded.
#[derive(Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct Progress {
    /// TLS has begun, by this method.
    pub started: Option<Method>,
    /// So many bytes were decrypted. They are in `plaintext`, unless the peer has to be judged first.
    pub received: usize,
    /// A flight of the handshake went out, and more is to come from the peer.
    pub answered: bool,
    /// The handshake is complete, and the user has to judge this certificate.
    pub question: Option<Box<TrustQuestion>>,
    /// The peer is accepted: plaintext can be written from here on.
    pub accepted: bool,
    /// A server's end: TLS towards the client is there.
    pub encrypted: bool,
    /// There is a [`Channel::security`] now.
    pub secured: bool,
    /// A peer that had not confirmed us when the channel was secured did so now.
    pub confirmed: bool,
    /// What the trust store could not write.
    pub unsaved: Option<StoreError>,
    /// The channel has failed. What is in `plaintext` came before that and is sound.
    pub fault: Option<Box<Fault>>,
}

/// A certificate that the user has to judge.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrustQuestion {
    /// The certificate. The peer has proven that it holds its key.
    pub certificate: PeerCertificate,
    /// What the peer was known by until now; empty at a first meeting.
    pub previous: Vec<Fingerprint>,
    /// By which methods the peer was secured before; empty if it never was. With a password among them and no certificate, the
    /// peer is not the stranger that it looks like.
    pub secured_by: Vec<Method>,
}

/// The user's judgement of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustDecision {
    /// It is the peer's: go on, and pin it as soon as the peer confirms us, in the place of all that were pinned before. Whoever
    /// has the key of one of those can no longer pass for the peer.
    Accept,
    /// It is the peer's, who has several: go on, and pin it beside those that were pinned before. Show the user both.
    AcceptAndKeep,
    /// It is not, or nobody knows: end the session with security-error.
    Refuse,
}

impl TrustDecision {
    xtls_stanza::names! {
        /// A short and stable name, as an option would spell it.
        self: Self {
            Self::Accept => "accept",
            Self::AcceptAndKeep => "accept-and-keep",
            Self::Refuse => "refuse",
        }
    }
}

impl Side {
    xtls_stanza::names! {
        /// A short and stable name, for logs.
        self: Self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }
}

impl Channel {
    /// A channel with the peer of this address, under these terms. The store is asked what is known of it.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`] when that cannot be read.
    pub fn new(
        side: Side,
        peer: BareJid,
        terms: Terms,
        rule: Announcements,
        env: &Environment,
    ) -> Result<Self, Box<Fault>> {
        let (policy, said) = (Policy::of(&terms), Said::by(&terms));
        let trust = Trust::new(side, peer, policy, said, rule, env)?;
        let state = State::Choosing { secret: terms.password, hello: Vec::new(), watch: ClientHelloWatch::default() };
        Ok(Self { side, trust: Some(Box::new(trust)), state })
    }

    /// What can be offered to the peer: see [`offerable`](crate::rules::offerable).
    ///
    /// # Errors
    ///
    /// Why there is nothing.
    pub fn offerable(&self) -> Result<Vec<Method>, Unofferable> {
        let Some(trust) = &self.trust else { return Err(Unofferable::NoMethod) };
        // A password that can never be used with this end's own address is the caller's slip, whatever else would do.
        if self.side == Side::Initiator && trust.lacks_user_name() {
            return Err(Unofferable::UserName);
        }
        trust.offerable()
    }

    /// Whether a certificate that could not be verified may be named: see [`takes_unknown`](crate::rules::takes_unknown).
    #[must_use]
    pub fn takes_unknown(&self) -> bool {
        self.trust.as_ref().is_some_and(|trust| trust.takes_unknown())
    }

    /// Asks the store again what is known of the peer, before a method is chosen: others with the same peer may have guessed
    /// at the password meanwhile, and the user may have pinned a certificate.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`] when that cannot be read.
    pub fn refresh(&mut self, env: &Environment) -> Result<(), Box<Fault>> {
        self.trust.as_mut().map_or(Ok(()), |trust| trust.refresh(env))
    }

    /// The fingerprints that the peer says are its certificate's.
    pub fn announce(&mut self, fingerprints: Vec<Fingerprint>) {
        if let Some(trust) = &mut self.trust {
            trust.announced = fingerprints;
        }
    }

    /// The digests that the peer was known by when this was last asked.
    #[must_use]
    pub fn pins(&self) -> &[Fingerprint] {
        self.trust.as_ref().map_or(&[], |trust| trust.pins())
    }

    /// The methods by which the peer was secured before, when this was last asked.
    #[must_use]
    pub fn secured_by(&self) -> &[Method] {
        self.trust.as_ref().map_or(&[], |trust| &trust.standing.secured_by)
    }

    /// Whether the peer has shown the negotiation hash in an earlier tunnel, as the store had it when it was asked last, and is
    /// held to that. [`Terms::allow_downgrade`] lets it off.
    #[must_use]
    pub fn has_to_show_negotiation(&self) -> bool {
        self.trust.as_ref().is_some_and(|trust| trust.hash.before && !trust.policy.allow_downgrade)
    }

    /// The peer has shown the negotiation hash, and it is ours: that is remembered as soon as the peer has accepted us. What the
    /// store could not write.
    pub fn negotiation_shown(&mut self, env: &mut Environment) -> Option<StoreError> {
        let trust = self.trust.as_mut()?;
        trust.hash.now = true;
        match &self.state {
            State::Secured { security, unconfirmed: None, .. } => trust.remember_hash(security.method, env),
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) | State::Confirming { .. } => None,
            State::Encrypted(_) | State::Secured { .. } | State::Closed { .. } => None,
        }
    }

    /// The announcement that a certificate contradicts.
    #[must_use]
    pub fn contradicted_by(&self, certificate: &PeerCertificate) -> Option<Fingerprint> {
        self.trust.as_ref().and_then(|trust| trust.contradicted_by(certificate))
    }

    /// Whether one of the announced fingerprints is pinned.
    #[must_use]
    pub fn announces_pinned(&self) -> bool {
        self.trust.as_ref().is_some_and(|trust| trust.announced.iter().any(|one| trust.pins().contains(one)))
    }

    /// Chooses among the peer's methods: see [`choose`](crate::rules::choose).
    #[must_use]
    pub fn choose(&self, methods: &[Method]) -> Choice {
        match &self.trust {
            Some(trust) => trust.choose(Offered { methods, announced: &trust.announced }),
            None => Choice::Refuse(Fault::Internal("a client has no methods to choose from")),
        }
    }

    /// The user has answered: this is the password, or there is none.
    pub fn provide_password(&mut self, password: Option<Password>) {
        if let (Some(trust), State::Choosing { secret, .. }) = (&mut self.trust, &mut self.state) {
            trust.standing.said = if password.is_some() { Said::Password } else { Said::NoPassword };
            *secret = password;
        }
    }

    /// The user has not answered in time. That is no word on whether there is a password, so no leap of faith follows from it.
    pub fn password_not_answered(&mut self) {
        if let Some(trust) = &mut self.trust {
            trust.standing.said = Said::NoAnswer;
        }
    }

    /// Whether TLS has begun: a byte of the peer's has come, or one of ours is out.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !matches!(&self.state, State::Choosing { hello, .. } if hello.is_empty())
    }

    /// Whether no TLS session is made yet: the first bytes go to [`Channel::listen`].
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Choosing { .. })
    }

    /// Whether the user judges the certificate.
    #[must_use]
    pub fn is_judging(&self) -> bool {
        matches!(self.state, State::Judging(_))
    }

    /// Whether the peer is accepted and has not shown yet that it has accepted us.
    #[must_use]
    pub fn is_confirming(&self) -> bool {
        matches!(self.state, State::Confirming { .. })
    }

    /// What was written when the peer was accepted has left: from now on, what the peer sends may show that it has accepted us.
    pub fn flight_left(&mut self) {
        if let State::Confirming { tls, unconfirmed, .. } | State::Secured { tls, unconfirmed: Some(unconfirmed), .. } =
            &mut self.state
        {
            unconfirmed.tickets.get_or_insert_with(|| tls.tickets_received());
        }
    }

    /// Whether such a sign would confirm us now: the peer is accepted and has not shown yet that it has accepted us, be the
    /// channel secured or not, and our last flight has left.
    #[must_use]
    pub fn heeds(&self, sign: Sign) -> bool {
        self.unconfirmed()
            .is_some_and(|unconfirmed| unconfirmed.tickets.is_some() && !(sign == Sign::Header && unconfirmed.early))
    }

    /// Whether TLS towards a client is there, and nobody is authenticated.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.state, State::Encrypted(_))
    }

    /// How the channel is secured; `None` until the peer is authenticated.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        match &self.state {
            State::Secured { security, .. } | State::Closed { security: Some(security), .. } => Some(security),
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) => None,
            State::Confirming { .. } | State::Encrypted(_) | State::Closed { security: None, .. } => None,
        }
    }

    /// The certificate that the peer has proven to hold the key of.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.tls().and_then(TlsSession::peer_certificate)
    }

    /// Whether authorities vouch for that certificate.
    #[must_use]
    pub fn is_vouched_for(&self) -> bool {
        self.tls().is_some_and(TlsSession::is_vouched_for)
    }

    /// Version, cipher suite and key exchange group, once the handshake is complete.
    #[must_use]
    pub fn parameters(&self) -> Option<TlsParameters> {
        self.tls().and_then(TlsSession::parameters)
    }

    /// How many records of the peer have come.
    #[must_use]
    pub fn records(&self) -> Records {
        self.tls().map(TlsSession::records).unwrap_or_default()
    }

    /// Whether the peer has ended its direction with a close_notify.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        if let State::Closed { peer_closed, .. } = self.state {
            return peer_closed;
        }
        self.tls().is_some_and(TlsSession::peer_closed)
    }

    /// Plaintext bytes that wait for a judgement.
    #[must_use]
    pub fn early(&self) -> usize {
        if let State::Handshake(running) | State::Judging(running) = &self.state { running.early.len() } else { 0 }
    }

    /// Encrypts plaintext into records. Nothing is written before the peer is accepted.
    ///
    /// # Errors
    ///
    /// As [`TlsSession::write`].
    pub fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let is_closed = matches!(self.state, State::Closed { .. });
        let refused = if is_closed { WriteError::Closed } else { WriteError::NotSecured };
        self.open_tls().map_or(Err(refused), |tls| tls.write(plaintext, out))
    }

    /// Appends a record that tells the application nothing, if this TLS has one: see
    /// [`TlsSession::say_nothing`](xtls_tls::TlsSession::say_nothing).
    pub fn say_nothing(&mut self, out: &mut Vec<u8>) {
        if let Some(tls) = self.open_tls() {
            tls.say_nothing(out);
        }
    }

    /// Ends our direction with a close_notify; before the peer is accepted there is nothing to end. A second call does
    /// nothing.
    pub fn close_write(&mut self, out: &mut Vec<u8>) {
        if let Some(tls) = self.open_tls() {
            tls.close(out);
        }
    }

    /// Nothing more is to come or go: what is held back is dropped, and so is the password.
    pub fn abandon(&mut self) {
        self.give_up();
    }

    /// The same, and the session, if plaintext passed through it.
    fn give_up(&mut self) -> Option<TlsSession> {
        let peer_closed = self.peer_closed();
        let state = core::mem::replace(&mut self.state, State::Closed { security: None, peer_closed });
        let (tls, security) = match state {
            State::Secured { tls, security, .. } => (Some(tls), Some(security)),
            State::Confirming { tls, .. } | State::Encrypted(tls) => (Some(tls), None),
            State::Closed { security, .. } => (None, security),
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) => (None, None),
        };
        self.state = State::Closed { security, peer_closed };
        tls
    }

    /// Keying material that both ends share (RFC 5705, RFC 8446 § 7.5): `None` before the channel is secured (from a client:
    /// encrypted), after its end, or for a length that TLS cannot derive.
    #[must_use]
    pub fn export_keying_material(&self, length: usize, label: &[u8], context: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut out = vec![0; length];
        self.bindable()?.export_keying_material(&mut out, label, context).ok()?;
        Some(out)
    }

    /// Channel-binding data of the type `tls-exporter` (RFC 9266 § 2): `None` as with
    /// [`Channel::export_keying_material`].
    #[must_use]
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.bindable()?.channel_binding().ok()
    }

    /// A server's end: the client is authenticated inside, by this. Tells whether it was not before.
    pub fn identify(&mut self, by: Authentication, env: &Environment) -> bool {
        if !self.is_encrypted() {
            return false;
        }
        let peer_closed = self.peer_closed();
        let state = core::mem::replace(&mut self.state, State::Closed { security: None, peer_closed });
        if let State::Encrypted(tls) = state
            && let Some(mut security) = read::security_of(&tls, Method::X509, &Verified::by_itself(by), true, env)
        {
            if by == Authentication::Sasl {
                // A certificate that has proven nothing does not stand where it could be taken for a proof.
                security.certificate = None;
                security.out_of_date = false;
            }
            self.state = State::Secured { tls, security: Box::new(security), unconfirmed: None };
        }
        true
    }

    /// What keys can be derived from: a channel that is secured, or towards a client, since SASL binds its keys to TLS before
    /// the client is known.
    fn bindable(&self) -> Option<&TlsSession> {
        if let State::Secured { tls, .. } | State::Encrypted(tls) = &self.state { Some(tls) } else { None }
    }

    fn tls(&self) -> Option<&TlsSession> {
        match &self.state {
            State::Handshake(Running { tls, .. })
            | State::Judging(Running { tls, .. })
            | State::Confirming { tls, .. }
            | State::Encrypted(tls)
            | State::Secured { tls, .. } => Some(tls),
            State::Choosing { .. } | State::Closed { .. } => None,
        }
    }

    /// What plaintext can be written through.
    fn open_tls(&mut self) -> Option<&mut TlsSession> {
        match &mut self.state {
            State::Confirming { tls, .. } | State::Encrypted(tls) | State::Secured { tls, .. } => Some(tls),
            State::Choosing { .. } | State::Handshake(_) | State::Judging(_) | State::Closed { .. } => None,
        }
    }
}

impl State {
    /// Its name, for logs.
    fn name(&self) -> &'static str {
        match self {
            Self::Choosing { .. } => "choosing",
            Self::Handshake(_) => "handshake",
            Self::Judging(_) => "judging",
            Self::Confirming { .. } => "confirming",
            Self::Encrypted(_) => "encrypted",
            Self::Secured { .. } => "secured",
            Self::Closed { .. } => "closed",
        }
    }
}

/// Keys, passwords and plaintext stay out of it.
impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("side", &self.side).field("state", &self.state.name()).finish_non_exhaustive()
    }
}
