//! How the user of an entity answers.

use std::time::Instant;

use xtls::{
    Application, TrustDecision, TrustPolicy, TunnelId, TunnelOptions,
    event::{Incoming, Side},
    jingle::{Reason, ReasonCondition},
};
use xtls_stanza::Fingerprint;

use super::{Actor, PASSWORD, WRONG, password};
use crate::history::Manners;

impl Actor {
    pub(super) fn decide(&mut self, now: Instant, incoming: Incoming) {
        let id = incoming.id();
        let xml = matches!(incoming.application, Application::XmlStream);
        let Self { client, live, truth, .. } = self;
        match self.manners {
            Manners::Silent => live.dropped(incoming),
            Manners::Refusing => {
                let reason = Reason::new(ReasonCondition::Decline);
                // The offer may be gone since.
                let _ = live.measure(|| client.engine().reject(now, incoming, reason));
                self.dead.insert(id);
            }
            Manners::Good | Manners::Mistaken => {
                let known = truth.iter().take(3).any(|(address, _)| *address == incoming.peer.to_string());
                let policy = if known { TrustPolicy::Pinned } else { TrustPolicy::LeapOfFaith };
                let accepted = live.measure(|| {
                    let options = TunnelOptions::new(incoming.application.clone(), policy).asking_password();
                    client.engine().accept(now, incoming, options).is_ok()
                });
                if accepted {
                    self.track(id, Side::Responder, xml);
                } else {
                    self.dead.insert(id);
                }
            }
        }
    }

    pub(super) fn answer_password(&mut self, now: Instant, id: TunnelId) {
        let answer = match self.manners {
            Manners::Good => Some(password(PASSWORD)),
            Manners::Mistaken => Some(password(WRONG)),
            Manners::Refusing => None,
            Manners::Silent => return,
        };
        let Self { client, live, .. } = self;
        live.measure(|| {
            if let Some(mut tunnel) = client.engine().tunnel(id) {
                // Nothing is asked any more where the tunnel is ending.
                let _ = tunnel.provide_password(now, answer);
            }
        });
    }

    /// The user compares the certificate with the true one, on another way.
    pub(super) fn answer_trust(&mut self, now: Instant, id: TunnelId, shown: &Fingerprint) {
        let Self { client, live, truth, manners, .. } = self;
        let peer = client.engine().tunnel(id).and_then(|tunnel| tunnel.peer().map(ToString::to_string));
        let is_true = truth.iter().any(|(address, fingerprint)| Some(address) == peer.as_ref() && fingerprint == shown);
        let decision = match manners {
            Manners::Silent => return,
            Manners::Good | Manners::Mistaken if is_true => TrustDecision::Accept,
            Manners::Good | Manners::Refusing | Manners::Mistaken => TrustDecision::Refuse,
        };
        live.measure(|| {
            if let Some(mut tunnel) = client.engine().tunnel(id) {
                let _ = tunnel.trust(now, decision);
            }
        });
    }
}
