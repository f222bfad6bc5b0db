//! What would become of a tunnel, told from offers that were exchanged before it (XEP-0250 § 3.2).

use xtls_jingle::Role;
use xtls_stanza::{KeyName, Method, TlsOffer, jid::FullJid};

use super::{Tunnel, method::Choice};
use crate::{application::TunnelOptions, event::TunnelId, fault::Fault, link, shared::Shared, trust::TrustPolicy};

impl Tunnel {
    /// One that is only thought of: it goes by the same rules as others, and nothing is ever sent or told for it.
    pub(crate) fn imagined(peer: FullJid, options: TunnelOptions, shared: &Shared) -> Self {
        let nobodys = TunnelId { engine: u64::MAX, number: 0 };
        let mut tunnel = Self::new(nobodys, peer, Role::Initiator, options.application.clone(), shared);
        tunnel.take_options(options);
        tunnel
    }

    /// What to say when the peer is asked: every method that is allowed, with the own certificate by SHA-1 and SHA-256.
    ///
    /// The certificate is named although none of the peer's may be trusted here: whether the peer trusts ours is half of what
    /// is asked.
    pub(crate) fn probing_offer(&self, shared: &Shared) -> TlsOffer {
        let methods = self.own_offer(shared).methods;
        let own = shared.local.identity.announced_fingerprints();
        let keys = own.iter().filter(|_| self.allows(Method::X509)).map(KeyName::from);
        let mut offer = TlsOffer::new(keys, methods.contains(&Method::Srp));
        let takes_unknown = self.pinned(shared).is_empty() || self.trust_policy() == TrustPolicy::Ask;
        offer.insecure = methods.contains(&Method::X509) && takes_unknown;
        offer
    }

    /// What an initiator would do about a peer that is ready for this.
    pub(crate) fn would_choose(mut self, theirs: &TlsOffer, shared: &Shared) -> Result<Method, Box<Fault>> {
        self.announced = link::fingerprints(theirs);
        // A key that nobody here knows may be a certificate or not (XEP-0250 § 3.1).
        let certificates = !theirs.keys.is_empty() || theirs.insecure;
        let methods: Vec<Method> = [(Method::X509, certificates), (Method::Srp, theirs.srp)]
            .into_iter()
            .filter_map(|(method, is_there)| is_there.then_some(method))
            .collect();
        let method = match self.choose_method(&methods, shared) {
            Choice::Methods(methods) => methods.first().copied().unwrap_or(Method::X509),
            Choice::AskPassword => Method::Srp,
            Choice::Refuse(fault) => return Err(Box::new(fault)),
        };
        let pinned = self.pinned(shared);
        let changed = method == Method::X509 && !pinned.is_empty() && !self.announcement_fits(&pinned);
        if changed && self.trust_policy() != TrustPolicy::Ask {
            // TLS would show it.
            let presented = self.announced.iter().max().copied();
            return Err(Box::new(Fault::CertificateChanged { presented, pinned }));
        }
        Ok(method)
    }
}
