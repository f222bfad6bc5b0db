//! Certificates asked for and given inside the tunnel (draft-meyer-xmpp-e2e-encryption-02 § 5.1, XEP-0189 v0.9).
//!
//! The peer is authenticated by now, and so is what it says. Over the server's stream nobody is asked and nobody is answered.

use std::collections::VecDeque;

use xtls_stanza::{
    BuildError, Builder, Condition, Element, ElementRef, Id, Iq, IqType, KeyInfo, Pubkeys, PubkeysVariant, StanzaError,
    jid::{BareJid, Jid},
    ns,
};
use xtls_tls::PeerCertificate;

use xtls_channel::{Channel, SendError, Timer};

use super::{NotUsable, TunnelCore};
use crate::{
    certificates::{CertificatesFault, ReceivedCertificate},
    error::RequestCertificatesError,
    event::Event,
    shared::Shared,
};

/// What becomes of a stanza that came through the tunnel.
pub(super) enum Taken {
    /// It is the application's.
    No,
    /// It was answered, or is past answering.
    Yes,
    /// It answers our question.
    Told(Event),
}

/// Questions that nobody waits for any more, whose answers are to be swallowed if they come after all: the application has
/// asked for certificates, and not for a stanza.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    ids: VecDeque<Id>,
}

impl GivenUp {
    /// How many are remembered; the oldest are forgotten first.
    const MAX: usize = 8;

    fn add(&mut self, id: Id) {
        if self.ids.len() == Self::MAX {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
    }

    /// Whether this answers one of them. It is answered then.
    fn take(&mut self, id: &str) -> bool {
        let found = self.ids.iter().position(|given_up| *given_up == *id);
        found.and_then(|at| self.ids.remove(at)).is_some()
    }
}

impl TunnelCore {
    /// Asks the peer for its certificates.
    pub(crate) fn request_certificates(&mut self, shared: &mut Shared) -> Result<(), RequestCertificatesError> {
        if self.asked_certificates().is_some() {
            return Err(RequestCertificatesError::AlreadyAsked);
        }
        if !self.is_xml() {
            return Err(RequestCertificatesError::NotXml);
        }
        self.check_usable().map_err(|why| match why {
            NotUsable::NotSecured => RequestCertificatesError::NotSecured,
            NotUsable::Closing => RequestCertificatesError::Closing,
        })?;
        let id = shared.ids.next_id();
        let query = Pubkeys::new(PubkeysVariant::Pubkey0).to_element();
        let query = query.and_then(|query| iq("get", id.as_str()).child(query.root()).build());
        let Ok(query) = query else { return Err(RequestCertificatesError::NoStream) };
        self.send(&query, shared).map_err(|slip| match slip {
            SendError::Full => RequestCertificatesError::Full,
            SendError::NotSecured => RequestCertificatesError::NotSecured,
            SendError::Closing => RequestCertificatesError::Closing,
            SendError::NotXml => RequestCertificatesError::NotXml,
            // A question of ours fits into any stream that is open.
            SendError::NoStream | _ => RequestCertificatesError::NoStream,
        })?;
        if let Some(xml) = self.xml() {
            xml.asked_certificates = Some(id);
        }
        self.set(Timer::Certificates, shared.config.timers.answer, shared);
        Ok(())
    }

    /// Takes a stanza of the peer if it is about certificates.
    pub(super) fn take_certificates(&mut self, stanza: &Element, shared: &Shared) -> Taken {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return Taken::No };
        match (iq.iq_type, iq.payload) {
            (IqType::Get | IqType::Set, Some(payload)) => {
                let Some(answer) = own_certificates(&iq, payload, shared) else { return Taken::No };
                if let Ok(answer) = answer {
                    self.answer(&answer);
                }
                Taken::Yes
            }
            (IqType::Result | IqType::Error, _) if self.xml().is_some_and(|xml| xml.given_up.take(iq.id)) => Taken::Yes,
            (IqType::Result | IqType::Error, payload) if self.asked_certificates().is_some_and(|id| id == *iq.id) => {
                let result = match iq.error() {
                    Some(error) => Err(Box::new(CertificatesFault::Refused(error))),
                    None => self.given(payload),
                };
                self.certificates_told(result).map_or(Taken::Yes, Taken::Told)
            }
            _ => Taken::No,
        }
    }

    /// No answer came in time.
    pub(super) fn certificates_timed_out(&mut self, shared: &mut Shared) {
        let event = self.certificates_fault(CertificatesFault::Timeout);
        event.into_iter().for_each(|event| shared.events.push(event));
    }

    /// No answer comes, if one was waited for.
    pub(super) fn certificates_fault(&mut self, fault: CertificatesFault) -> Option<Event> {
        self.give_up();
        self.certificates_told(Err(Box::new(fault)))
    }

    fn asked_certificates(&mut self) -> Option<Id> {
        self.xml().and_then(|xml| xml.asked_certificates)
    }

    fn certificates_told(&mut self, result: Result<Vec<ReceivedCertificate>, Box<CertificatesFault>>) -> Option<Event> {
        self.timers.clear(Timer::Certificates);
        self.xml()?.asked_certificates.take().map(|_| Event::CertificatesReceived { id: self.id, result })
    }

    /// The question is given up. An answer that still comes is swallowed.
    fn give_up(&mut self) {
        if let Some(xml) = self.xml()
            && let Some(id) = xml.asked_certificates
        {
            xml.given_up.add(id);
        }
    }

    /// What the peer's answer gives of its own.
    fn given(&self, payload: Option<ElementRef<'_>>) -> Result<Vec<ReceivedCertificate>, Box<CertificatesFault>> {
        let account = self.peer().to_bare();
        let answer = payload.and_then(Pubkeys::parse).ok_or_else(|| Box::new(CertificatesFault::Malformed))?;
        if !answer.jid.as_deref().is_none_or(|jid| is_of(jid, &account)) {
            return Err(Box::new(CertificatesFault::Malformed));
        }
        let own = |key: &KeyInfo| key.jid.as_deref().is_none_or(|jid| is_of(jid, &account));
        let mut certificates = Vec::new();
        let mut contradiction = None;
        for key in answer.keys.into_iter().filter(own) {
            let Ok(certificate) = PeerCertificate::from_der(&key.certificate) else { continue };
            // Nothing else ties a certificate to a tunnel by password: if one was announced, it is that one.
            let channel = self.channel.as_ref().filter(|_| self.is_by_password());
            let contradicted = channel.and_then(|channel| Channel::contradicted_by(channel, &certificate));
            match contradicted {
                Some(announced) => {
                    let presented = certificate.fingerprint_sha256();
                    contradiction.get_or_insert(CertificatesFault::NotAnnounced { announced, presented });
                }
                None => certificates.push(ReceivedCertificate { certificate, held: key.jid.is_none() }),
            }
        }
        match contradiction {
            Some(fault) if certificates.is_empty() => Err(Box::new(fault)),
            Some(_) | None => Ok(certificates),
        }
    }
}

/// The answer to a question for certificates, spelt as the question is; `None` if it is something else.
fn own_certificates(iq: &Iq<'_>, payload: ElementRef<'_>, shared: &Shared) -> Option<Result<Element, BuildError>> {
    // XEP-0189 v0.9 § 8 writes it without a namespace of its own.
    let asks_to_sign =
        payload.name() == "sign" && (payload.ns() == ns::PUBKEY_0 || payload.attribute("node") == Some(ns::PUBKEY_0));
    if asks_to_sign {
        return Some(refusal(iq, Condition::ServiceUnavailable));
    }
    let question = Pubkeys::parse(payload)?;
    if iq.iq_type != IqType::Get {
        return Some(refusal(iq, Condition::ServiceUnavailable));
    }
    let identity = shared.env.identity();
    let is_wanted =
        |wanted: &[xtls_stanza::Fingerprint]| wanted.iter().any(|one| identity.as_peer_certificate().has(one));
    let is_ours = question.jid.as_deref().is_none_or(|jid| is_of(jid, shared.env.own()));
    // XEP-0189 v0.9 § 6: nobody else's keys are kept here.
    if !is_ours || !question.wanted.as_deref().is_none_or(is_wanted) {
        return Some(refusal(iq, Condition::ItemNotFound));
    }
    let mut keys = Pubkeys::new(question.variant).with_key(KeyInfo::new(identity.certificate()));
    keys.jid = question.jid;
    Some(keys.to_element().and_then(|keys| self::iq("result", iq.id).child(keys.root()).build()))
}

fn refusal(iq: &Iq<'_>, condition: Condition) -> Result<Element, BuildError> {
    let error = StanzaError::new(condition);
    self::iq("error", iq.id)
        .open("error", ns::CLIENT)
        .attribute("type", error.error_type.as_str())
        .open(condition.as_str(), ns::STANZA_ERRORS)
        .build()
}

/// An IQ between the tunnel's two ends, which need no addresses.
fn iq(kind: &str, id: &str) -> Builder {
    Element::builder("iq", ns::CLIENT).attribute("type", kind).attribute("id", id)
}

fn is_of(jid: &str, account: &BareJid) -> bool {
    Jid::new(jid).is_ok_and(|jid| jid.to_bare() == *account)
}
