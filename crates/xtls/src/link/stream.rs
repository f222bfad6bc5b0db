//! What the stream tells.

use xtls_stanza::TlsOffer;
use xtls_stream::{DirectEvent, DirectStage, Features, StartTlsFault};

use super::{EndedBy, Link, LinkEvent, LinkFault, LinkReason, LinkStage};

impl Link {
    /// Initiating: opens the stream in clear.
    pub(super) fn begin(&mut self) {
        let mut header = Vec::new();
        if self.stream.start(&mut header).is_ok() {
            self.emit(&header);
        }
        self.wait_for_step();
    }

    /// Turns what the stream tells into events and next steps. `bytes` led to it: they weigh on the last event. Tells
    /// whether there was anything.
    pub(super) fn drain_stream(&mut self, bytes: usize) -> bool {
        let mut told: Vec<DirectEvent> = Vec::new();
        while let Some(event) = self.stream.poll_event() {
            told.push(event);
        }
        let count = told.len();
        for (at, event) in told.into_iter().enumerate() {
            if self.is_over() {
                break;
            }
            if self.client.is_some() && self.stream.stage() == DirectStage::Start {
                // The client did not wait for the answer behind which the stream begins anew: what it has sent on the
                // stream before must not count on this one.
                self.fail(LinkFault::NotAuthenticated);
                break;
            }
            let weight = if at + 1 == count { bytes } else { 0 };
            self.told(event, weight);
        }
        count > 0
    }

    fn told(&mut self, event: DirectEvent, weight: usize) {
        // A stream that has failed since goes nowhere.
        let goes_on = self.stream.stage() != DirectStage::Failed;
        match event {
            DirectEvent::Header(_) => {
                self.greeted = true;
                if goes_on {
                    self.header();
                }
            }
            DirectEvent::Features(_) | DirectEvent::StartTlsRequested { .. } | DirectEvent::StartTls { .. }
                if !goes_on => {}
            DirectEvent::Features(features) => self.features(features),
            DirectEvent::StartTlsRequested { .. } if self.client.is_some() => self.client_starttls(),
            DirectEvent::StartTlsRequested { offer } => {
                self.learn_offer(offer.as_ref());
                self.negotiate();
            }
            DirectEvent::StartTls { offer } => self.agreed(offer.as_ref()),
            // RFC 6120 § 4.9.3.12.
            DirectEvent::Stanza(_) if self.is_known_client() == Some(false) => self.fail(LinkFault::NotAuthenticated),
            DirectEvent::Stanza(stanza) => self.events.push(LinkEvent::Stanza(stanza), weight),
            DirectEvent::Nonza(nonza) if self.client.is_some() => self.client_nonza(nonza, weight),
            DirectEvent::Nonza(nonza) => self.nonza(nonza, weight),
            DirectEvent::Impersonation { claimed } => {
                self.events.push(LinkEvent::Impersonation { from: claimed }, weight);
            }
            DirectEvent::Misaddressed { claimed } => {
                self.events.push(LinkEvent::Misaddressed { to: claimed }, weight);
            }
            DirectEvent::Closed => {
                let by = if self.stage == LinkStage::Closing { EndedBy::Local } else { EndedBy::Remote };
                self.end(by, LinkReason::Done);
            }
            DirectEvent::Failed(fault) => {
                let truncated = self.is_truncated();
                let fault = LinkFault::of_stream(fault, self.stage, self.greeted, &self.first, truncated);
                // TLS 1.3: this end was done before the other one had judged its certificate.
                let is_unaccepted = self.security.is_none() && self.verified.is_some();
                let has_ended = matches!(fault, LinkFault::EndedEarly { .. });
                self.fail(if is_unaccepted && has_ended { LinkFault::NotAccepted } else { fault });
            }
            _ => {}
        }
    }

    fn header(&mut self) {
        if self.initiating {
            return self.wait_for_step();
        }
        if self.client.is_some() {
            return self.client_header();
        }
        if self.verified.is_some() {
            // Nothing is left to negotiate between peers.
            return self.write_features(&Features::default());
        }
        self.peer = self.stream.peer().cloned();
        if self.peer.as_ref() == Some(&self.local.jid) {
            return self.fail(LinkFault::OwnAddress);
        }
        if let Some(peer) = self.peer.clone() {
            self.wait_for_answer(LinkStage::Deciding);
            self.events.push(LinkEvent::Incoming { peer }, 0);
        }
    }

    /// Receiving: the link is accepted, and the peer is told what there is (XEP-0250 § 3.3.1).
    pub(super) fn offer(&mut self) {
        let offer = self.own_offer();
        self.stage = LinkStage::Asking;
        // The initiating end's person may be asked for the password before it asks for TLS.
        if offer.srp {
            self.wait_for_person()
        } else {
            self.wait_for_step()
        }
        self.write_features(&Features::tls(Some(offer)));
    }

    pub(super) fn write_features(&mut self, features: &Features) {
        let mut text = Vec::new();
        if self.stream.send_features(features, &mut text).is_err() {
            return self.fail(LinkFault::Internal("features that cannot be sent"));
        }
        self.emit(&text);
        if self.verified.is_some() {
            self.opened();
        }
    }

    fn features(&mut self, features: Features) {
        if self.server.is_some() {
            return self.server_features(features);
        }
        if self.verified.is_some() {
            return self.opened();
        }
        self.learn_offer(features.starttls.as_ref().and_then(|starttls| starttls.offer.as_ref()));
        self.negotiate();
    }

    /// Stanzas can be sent from here on.
    pub(super) fn open(&mut self) {
        self.stage = LinkStage::Open;
        self.wait = None;
        (self.sent_at, self.heard_at) = (self.clock.now(), self.clock.now());
    }

    fn opened(&mut self) {
        self.open();
        self.events.push(LinkEvent::Opened, 0);
    }

    /// Initiating: asks for TLS.
    pub(super) fn ask(&mut self, offer: Option<&TlsOffer>) {
        let mut text = Vec::new();
        if self.stream.start_tls(offer, &mut text).is_err() {
            return self.fail(LinkFault::NoTls);
        }
        self.stage = LinkStage::Asking;
        // The receiving end's person may be asked for the password before it answers.
        if offer.is_some_and(|offer| offer.srp) {
            self.wait_for_person()
        } else {
            self.wait_for_step()
        }
        self.emit(&text);
    }

    /// Receiving: goes on with TLS.
    pub(super) fn proceed(&mut self, offer: Option<&TlsOffer>) {
        let mut text = Vec::new();
        if self.stream.proceed(offer, &mut text).is_err() {
            return self.fail(LinkFault::Internal("TLS was not asked for"));
        }
        self.emit(&text);
        self.drain_stream(0);
    }

    /// Both ends go on with TLS, by the method that was chosen.
    fn agreed(&mut self, chosen: Option<&TlsOffer>) {
        if self.initiating && !self.choose_among_asked(chosen) {
            return self.fail(LinkFault::StartTls(StartTlsFault::Method));
        }
        self.start_tls();
    }

    /// The peer is authenticated: the stream begins anew inside of TLS.
    pub(super) fn restart(&mut self) {
        if let Some(peer) = self.peer.clone() {
            self.stream.authenticated(peer);
        }
        let mut header = Vec::new();
        // Where TLS begins with the connection, this is the first stream.
        let direct = self.server.as_ref().is_some_and(|server| server.direct_tls);
        let begun = if direct { self.stream.start(&mut header) } else { self.stream.secured(&mut header) };
        if begun.is_err() {
            return self.fail(LinkFault::Internal("no stream inside of TLS"));
        }
        self.stage = LinkStage::Restarting;
        // The receiving end's person may judge our certificate before it answers.
        if self.initiating {
            self.wait_for_person()
        } else {
            self.wait_for_step()
        }
        self.emit(&header);
    }
}
