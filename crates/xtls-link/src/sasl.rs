//! SASL EXTERNAL at a server's end (XEP-0178 § 2).

use core::mem;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_channel::{Authentication, Channel, Fault, StoreError};
use xtls_stanza::{Element, jid::BareJid, ns};
use xtls_stream::DirectFault;
use xtls_tls::PeerCertificate;

use crate::{common::Core, event::LinkEvent, server::client_is};

/// The mechanism that is the link's own.
pub(crate) const EXTERNAL: &str = "EXTERNAL";

/// What a link to a client keeps of EXTERNAL.
#[derive(Debug)]
pub(crate) struct External {
    /// How often it may be tried.
    allowed: u32,
    /// How often it was.
    attempts: u32,
    /// It was asked for without a response, which is waited for.
    challenged: bool,
}

/// An account that a certificate is believed for, and why.
type Identity = (BareJid, Authentication);

impl External {
    pub(crate) fn new(retries: u32) -> Self {
        Self { allowed: retries.saturating_add(1), attempts: 0, challenged: false }
    }

    /// A nonza of the client's; what is not about EXTERNAL is the caller's.
    pub(crate) fn hear(&mut self, core: &mut Core, nonza: Element) {
        if nonza.ns() != ns::SASL {
            return core.tell(LinkEvent::Nonza(nonza));
        }
        if core.is_secured() {
            // RFC 6120 § 6.4.6: after success there is nothing left to negotiate.
            return core.fail(Fault::Link(DirectFault::Unexpected));
        }
        let was_challenged = mem::take(&mut self.challenged);
        match nonza.name() {
            "auth" if nonza.attribute("mechanism") == Some(EXTERNAL) => {
                self.attempts = self.attempts.saturating_add(1);
                if self.attempts > self.allowed {
                    return core.fail(Fault::TooManyAttempts);
                }
                let response = nonza.text();
                if response.is_empty() {
                    // RFC 4422 § 5: a mechanism where the client speaks first begins with an empty challenge then.
                    self.challenged = true;
                    return answer(core, "challenge", None);
                }
                authenticate(core, &response);
            }
            "response" if was_challenged => authenticate(core, &nonza.text()),
            // RFC 6120 § 6.5.1.
            "abort" if was_challenged => answer(core, "failure", Some("aborted")),
            _ => core.tell(LinkEvent::Nonza(nonza)),
        }
    }
}

/// Whom a client's certificate stands for.
impl Core {
    /// The accounts that the client's certificate names and is believed for, none of them twice.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        let mut identities: Vec<Identity> = Vec::new();
        let Some(certificate) = self.certificate() else { return Ok(identities) };
        for client in certificate.xmpp_addrs().iter().filter(|client| self.is_account(client)) {
            if let Some(by) = self.believed(certificate, client)?
                && !identities.iter().any(|(known, _)| known == client)
            {
                identities.push((client.clone(), by));
            }
        }
        Ok(identities)
    }

    pub(crate) fn is_account(&self, client: &BareJid) -> bool {
        client.local().is_some() && client.domain() == self.local.domain()
    }

    fn certificate(&self) -> Option<&PeerCertificate> {
        self.channel.as_ref().and_then(Channel::peer_certificate)
    }

    /// A pin goes before authorities, as with peers.
    fn believed(&self, certificate: &PeerCertificate, client: &BareJid) -> Result<Option<Authentication>, StoreError> {
        let pins = self.env.record(client)?.fingerprints();
        if pins.is_empty() {
            let is_vouched_for = self.channel.as_ref().is_some_and(Channel::is_vouched_for);
            return Ok(is_vouched_for.then_some(Authentication::Authority));
        }
        let is_pinned = pins.iter().any(|pin| pin.is_trustworthy() && certificate.has(pin));
        Ok(is_pinned.then_some(Authentication::Pinned))
    }
}

/// Answers a response.
fn authenticate(core: &mut Core, response: &str) {
    let identities = match core.identities() {
        Ok(identities) => identities,
        Err(error) => return core.fail(Fault::Store(error)),
    };
    let has_certificate = core.certificate().is_some();
    match authorised(response, has_certificate, identities) {
        Ok((client, by)) => {
            answer(core, "success", None);
            client_is(core, client, by);
        }
        Err(condition) => answer(core, "failure", Some(condition)),
    }
}

/// Who the client may be: the condition of the failure if nobody (RFC 6120 § 6.5).
fn authorised(response: &str, has_certificate: bool, mut identities: Vec<Identity>) -> Result<Identity, &'static str> {
    if !has_certificate {
        return Err("invalid-mechanism");
    }
    // RFC 6120 § 6.4.2: an empty response is one equals sign.
    let wanted = match response {
        "" | "=" => None,
        _ => Some(STANDARD.decode(response).map_err(|_| "incorrect-encoding")?),
    };
    if identities.is_empty() {
        return Err("not-authorized");
    }
    let Some(wanted) = wanted else {
        // Of several it has to name one.
        return identities.pop().filter(|_| identities.is_empty()).ok_or("invalid-authzid");
    };
    let wanted = core::str::from_utf8(&wanted).ok().and_then(|wanted| BareJid::new(wanted).ok());
    let wanted = wanted.ok_or("invalid-authzid")?;
    identities.into_iter().find(|(client, _)| *client == wanted).ok_or("invalid-authzid")
}

/// Tells the client. A stream that it has ended meanwhile takes nothing, and tells of its end by itself.
fn answer(core: &mut Core, name: &str, condition: Option<&str>) {
    let mut nonza = Element::builder(name, ns::SASL);
    if let Some(condition) = condition {
        nonza = nonza.open(condition, ns::SASL).close();
    }
    let mut text = Vec::new();
    if nonza.build().is_ok_and(|nonza| core.stream.send_nonza(&nonza, &mut text).is_ok()) {
        core.emit(&text);
    }
}
