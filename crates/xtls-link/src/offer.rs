//! The offers of XEP-0250: what they say about methods and keys.

use xtls_channel::Channel;
use xtls_stanza::{Fingerprint, HashAlgo, KeyName, Method, TlsOffer};
use xtls_tls::Identity;

/// What the peer is ready for.
#[derive(Debug)]
pub(crate) struct PeerOffer {
    pub(crate) methods: Vec<Method>,
    /// Whether it has said so, by an offer.
    pub(crate) is_explicit: bool,
    /// Whether that names keys.
    names_keys: bool,
}

impl PeerOffer {
    /// Takes an offer; without one it is TLS as ever, with certificates. The keys are announced to the channel.
    pub(crate) fn learn(offer: Option<&TlsOffer>, channel: &mut Channel) -> Self {
        channel.announce(offer.map(fingerprints).unwrap_or_default());
        let Some(offer) = offer else {
            return Self { methods: vec![Method::X509], is_explicit: false, names_keys: false };
        };
        let names_keys = !offer.keys.is_empty();
        // A key that nobody here knows may be a certificate or not (XEP-0250 § 3.1).
        let methods = [(Method::X509, names_keys || offer.insecure), (Method::Srp, offer.srp)]
            .into_iter()
            .filter_map(|(method, is_there)| is_there.then_some(method))
            .collect();
        Self { methods, is_explicit: true, names_keys }
    }

    /// Initiating: the answer to it, unless it is none. A key is shown only if the peer showed one that can be verified
    /// (XEP-0250 § 3.2); a certificate that cannot be is asked for as insecure.
    pub(crate) fn answer(&self, methods: &[Method], channel: &Channel, identity: &Identity) -> Option<TlsOffer> {
        let certificates = methods.contains(&Method::X509);
        let verifiable = channel.announces_pinned();
        let mut answer = offer_of(certificates && verifiable, methods.contains(&Method::Srp), identity);
        answer.insecure = certificates && !verifiable;
        self.is_explicit.then_some(answer)
    }

    /// Receiving: the one method that was chosen of it, unless it is none (XEP-0250 § 3.3.3).
    pub(crate) fn choice(&self, method: Method, identity: &Identity) -> Option<TlsOffer> {
        let mut choice = TlsOffer::new([], method == Method::Srp);
        if method == Method::X509 && self.names_keys {
            choice = TlsOffer::new([KeyName::from(&identity.fingerprint_sha256())], false);
        } else {
            choice.insecure = method == Method::X509;
        }
        self.is_explicit.then_some(choice)
    }
}

/// Receiving: what this end is ready for (XEP-0250 § 3.3.1).
pub(crate) fn own_offer(methods: &[Method], channel: &Channel, identity: &Identity) -> TlsOffer {
    let certificates = methods.contains(&Method::X509);
    let mut offer = offer_of(certificates, methods.contains(&Method::Srp), identity);
    offer.insecure = certificates && channel.takes_unknown();
    offer
}

/// Initiating: the method that `<proceed/>` names among those that were asked for, the preferred one first. The certificate
/// that it announces is the one to come.
pub(crate) fn chosen(asked: &[Method], proceed: Option<&TlsOffer>, channel: &mut Channel) -> Option<Method> {
    let Some(proceed) = proceed else {
        // It SHOULD name one (XEP-0250 § 3.3.3); then it is the one that this end prefers.
        return asked.first().copied();
    };
    let named = |method: Method| match method {
        Method::Srp => proceed.srp,
        Method::X509 | _ => !proceed.keys.is_empty() || proceed.insecure,
    };
    if [Method::X509, Method::Srp].into_iter().any(|method| named(method) && !asked.contains(&method)) {
        return None;
    }
    let keys = fingerprints(proceed);
    if !keys.is_empty() {
        channel.announce(keys);
    }
    asked.iter().copied().find(|method| named(*method))
}

/// Your certificate is named by SHA-1, which old peers look for, and by SHA-256.
fn offer_of(certificates: bool, srp: bool, identity: &Identity) -> TlsOffer {
    let own = identity.announced_fingerprints();
    TlsOffer::new(own.iter().filter(|_| certificates).map(KeyName::from), srp)
}

/// The fingerprints that an offer's keys have for names; MD5 says nothing either way.
fn fingerprints(offer: &TlsOffer) -> Vec<Fingerprint> {
    let names = offer.keys.iter().filter_map(KeyName::fingerprint);
    names.filter(|fingerprint| fingerprint.algo() != HashAlgo::Md5).collect()
}
