//! What happens, in one flat shape.

use xtls::event::{ProbeFault, ReceivedCertificate};
use xtls::trust::Fingerprint;
use xtls::{CloseReason, Closed, Incoming};

use crate::kind::EventKind;
use crate::security::Security;
use crate::settings::application_name;

/// What happened. Which fields say something depends on the kind; the others are empty, zero or false.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// The tunnel, or for `probed` the question.
    pub id: u64,
    /// Who it is about: a full address. Of `incoming`, `redirected`, `probed`, `presence-wanted`, `closed`.
    pub peer: String,
    /// What runs in the tunnel, of `incoming`: `xml-stream`, `bytes`, or a namespace.
    pub application: String,
    /// The id of the session, of `incoming`.
    pub sid: String,
    /// The stanza; the address that a peer claimed; the report on a certificate, safe to print; or words for the user.
    pub text: String,
    /// The certificate in question, of `trust-required`.
    pub fingerprint: String,
    /// What is announced, of `incoming`; what the peer was known by, of `trust-required`; the names of its keys, of `probed`.
    pub fingerprints: Vec<String>,
    /// What is offered, of `incoming`; what the peer was secured by before, of `trust-required`.
    pub methods: Vec<&'static str>,
    /// Which end is asked, of `password-required`: `initiator` or `responder`.
    pub side: &'static str,
    /// How the tunnel is secured, of `secured`.
    pub security: Option<Box<Security>>,
    /// Who ended it, of `closed`: `local`, `remote` or `engine`.
    pub by: &'static str,
    /// Why, of `closed`: `done`, `terminated`, `aborted` or `fault`.
    pub reason: &'static str,
    /// The condition of Jingle, of `closed` with `terminated`.
    pub condition: &'static str,
    /// What went wrong, of `closed` with `fault`; of `probed` and `certificates-received`, why there is nothing.
    pub fault: &'static str,
    /// Whose fault it is.
    pub blame: &'static str,
    /// Whether authentication failed, or may have been attacked.
    pub is_security: bool,
    /// What was read may be a part of what was sent, of `closed`.
    pub truncated: bool,
    /// Whether the peer has everything, of `closed`.
    pub receipt: &'static str,
    /// All bytes that were written, of `receipt`; those not acknowledged, of `closed`; in a second, of `throttled`.
    pub bytes: u64,
    /// The peer's certificates, of `certificates-received`.
    pub certificates: Vec<Certificate>,
    /// A certificate that nobody can verify yet is taken, of `probed`.
    pub takes_insecure: bool,
    /// A password may be used, of `probed`.
    pub takes_password: bool,
    /// Where to connect to, of `connect`.
    pub host: String,
    /// The port, of `connect`.
    pub port: u16,
}

/// A certificate that a peer has given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Its fingerprint.
    pub fingerprint: String,
    /// In DER.
    pub der: Vec<u8>,
    /// The peer says that it has the key.
    pub held: bool,
}

impl Event {
    /// The short name of its kind.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.kind.as_str()
    }
}

/// Every kind has its number by its name: of those a test has all.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others have nothing but their kind and their id")]
impl From<&xtls::Event> for Event {
    fn from(event: &xtls::Event) -> Self {
        use xtls::Event as E;
        let id = event.tunnel().map_or(0, xtls::TunnelId::to_u64);
        let kind = EventKind::named(event.as_str()).expect("each event has a number, as a test shows");
        let new = Self::new(kind, id);
        match event {
            E::Incoming(incoming) => new.incoming(incoming),
            E::Redirected { peer, .. } | E::PresenceWanted { peer } => Self { peer: peer.to_string(), ..new },
            E::PasswordRequired { side, .. } => Self { side: side.as_str(), ..new },
            E::TrustRequired { question, .. } => Self {
                fingerprint: question.certificate.fingerprint_sha256().to_string(),
                fingerprints: texts(&question.previous),
                methods: question.secured_by.iter().map(|method| method.as_str()).collect(),
                text: question.certificate.to_string(),
                ..new
            },
            E::Secured { security, .. } => Self { security: Some(Box::new(Security::from(&**security))), ..new },
            E::StoreFailed { error, .. } => Self { text: error.to_string(), ..new },
            E::Stanza { stanza, .. } => Self { text: stanza.to_xml(xtls::xml::ns::CLIENT), ..new },
            E::Impersonation { from: address, .. } | E::Misaddressed { to: address, .. } => {
                Self { text: address.clone(), ..new }
            }
            E::CertificatesReceived { result, .. } => match result {
                Ok(certificates) => Self { certificates: certificates.iter().map(Certificate::from).collect(), ..new },
                Err(fault) => Self { fault: fault.as_str(), text: fault.to_string(), ..new },
            },
            E::Probed { id, peer, result } => {
                let new = Self { id: id.to_u64(), peer: peer.to_string(), ..new };
                new.probed(result)
            }
            E::Connect { host, port, .. } => Self { host: host.to_string(), port: *port, ..new },
            E::Throttled { bytes_per_second: bytes, .. } | E::Receipt { bytes, .. } => Self { bytes: *bytes, ..new },
            E::Closed(closed) => new.closed(closed),
            _ => new,
        }
    }
}

impl Event {
    fn new(kind: EventKind, id: u64) -> Self {
        let nothing = String::new;
        Self {
            kind,
            id,
            peer: nothing(),
            application: nothing(),
            sid: nothing(),
            text: nothing(),
            fingerprint: nothing(),
            fingerprints: Vec::new(),
            methods: Vec::new(),
            side: "",
            security: None,
            by: "",
            reason: "",
            condition: "",
            fault: "",
            blame: "",
            is_security: false,
            truncated: false,
            receipt: "",
            bytes: 0,
            certificates: Vec::new(),
            takes_insecure: false,
            takes_password: false,
            host: nothing(),
            port: 0,
        }
    }

    fn incoming(self, incoming: &Incoming) -> Self {
        Self {
            peer: incoming.peer.to_string(),
            application: application_name(&incoming.application),
            sid: incoming.sid.clone(),
            fingerprints: texts(&incoming.offer.fingerprints),
            methods: incoming.offer.methods.iter().map(|method| method.as_str()).collect(),
            ..self
        }
    }

    fn probed(self, result: &Result<xtls::jingle::TlsOffer, Box<ProbeFault>>) -> Self {
        match result {
            Ok(offer) => Self {
                fingerprints: offer.keys.iter().map(|key| key.as_str().to_owned()).collect(),
                takes_insecure: offer.insecure,
                takes_password: offer.srp,
                ..self
            },
            Err(fault) => Self { fault: fault.as_str(), text: fault.to_string(), ..self },
        }
    }

    fn closed(self, closed: &Closed) -> Self {
        let (mut condition, mut fault, mut blame) = ("", "", "");
        if let CloseReason::Terminated(reason) = &closed.reason {
            condition = reason.condition.as_str();
        }
        if let CloseReason::Fault(of) = &closed.reason {
            (fault, blame) = (of.as_str(), of.blame().as_str());
        }
        Self {
            peer: closed.peer.to_string(),
            by: closed.by.as_str(),
            reason: closed.reason.as_str(),
            condition,
            fault,
            blame,
            is_security: closed.reason.is_security(),
            truncated: closed.truncated,
            receipt: closed.receipt.as_str(),
            bytes: closed.unacked,
            text: closed.reason.to_string(),
            ..self
        }
    }
}

impl From<&ReceivedCertificate> for Certificate {
    fn from(received: &ReceivedCertificate) -> Self {
        Self {
            fingerprint: received.certificate.fingerprint_sha256().to_string(),
            der: received.certificate.der().to_vec(),
            held: received.held,
        }
    }
}

fn texts(fingerprints: &[Fingerprint]) -> Vec<String> {
    fingerprints.iter().map(ToString::to_string).collect()
}
