//! The negotiation of TLS: STARTTLS (RFC 6120 § 5), its forerunner (XEP-0035), offers (XEP-0250).

use xtls_stanza::{Element, TlsOffer};

use super::{CommandError, DirectEvent, DirectFault, DirectStage, DirectStream, StartTlsFault, TlsPolicy};
use crate::{address::End, features::tls_nonza, write};

impl DirectStream {
    /// Initiating, with the features there: whether [`DirectStream::start_tls`] may come next, and must where TLS is
    /// required.
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        self.initiating && self.stage == DirectStage::Open && self.may_ask_for_tls()
    }

    /// Initiating: asks for TLS (RFC 6120 § 5.4.2.1), telling which methods and keys this end is ready for, if it likes
    /// (XEP-0250 § 3.3.2; the dialect of XEP-0035 has no place for that). [`DirectEvent::StartTls`] follows when the
    /// peer agrees.
    ///
    /// # Errors
    ///
    /// On the receiving side, before the features, and where TLS is not to be had.
    pub fn start_tls(&mut self, offer: Option<&TlsOffer>, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(true, DirectStage::Open)?;
        if !self.may_ask_for_tls() {
            return Err(CommandError::NoTls);
        }
        if self.legacy {
            // XEP-0035 § 2.3. The header has bound the prefix.
            out.extend_from_slice(b"<tls:starttls/>");
        } else {
            tls_nonza(out, "starttls", offer);
            self.asked_with = offer.cloned();
        }
        self.stage = DirectStage::Asked;
        Ok(())
    }

    /// Receiving: answers [`DirectEvent::StartTlsRequested`] with yes (RFC 6120 § 5.4.2.3), naming the one method to use
    /// if the peer told which it is ready for (XEP-0250 § 3.3.3). [`DirectEvent::StartTls`] follows at once; what the
    /// peer sends from here on is TLS's.
    ///
    /// # Errors
    ///
    /// When nothing was asked for, and when an offer names other than one method.
    pub fn proceed(&mut self, offer: Option<&TlsOffer>, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(false, DirectStage::Asked)?;
        if offer.is_some_and(|offer| offer.methods() != 1) {
            return Err(CommandError::NotOneMethod);
        }
        if self.legacy {
            // XEP-0035 § 2.3: the end of the stream stands for yes.
            write::end(out);
        } else {
            tls_nonza(out, "proceed", offer);
        }
        self.begin_tls(offer.cloned().filter(|_| !self.legacy), 0);
        Ok(())
    }

    /// Receiving: answers [`DirectEvent::StartTlsRequested`] with no: a failure, and the end of the stream (RFC 6120
    /// § 5.4.2.2), as when no method is left that both can use (XEP-0250 § 3.3.3).
    ///
    /// # Errors
    ///
    /// When nothing was asked for.
    pub fn refuse(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(false, DirectStage::Asked)?;
        self.write_failure(out);
        write::end(out);
        self.stage = DirectStage::Closing;
        Ok(())
    }

    /// The handshake is done and the peer is who it has to be: begins the stream anew inside TLS (RFC 6120 § 5.4.3.3).
    /// Initiating, the header is appended, to be encrypted.
    ///
    /// # Errors
    ///
    /// When TLS was not agreed on, and when the stream has failed since.
    pub fn secured(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(self.initiating, DirectStage::Tls)?;
        self.secured = true;
        // What was learnt in clear may have been anybody's.
        self.local = self.options.local.clone().map(End::new);
        self.peer = self.options.peer.clone().map(End::new);
        self.begin_anew(out);
        Ok(())
    }

    /// An element of the namespace of TLS.
    pub(super) fn tls_child(&mut self, element: &Element, size: usize) -> Result<(), DirectFault> {
        if self.stage == DirectStage::Closing {
            return Ok(());
        }
        match (element.name(), self.initiating) {
            ("starttls", false) => self.starttls(element, size),
            ("proceed", true) if self.stage == DirectStage::Asked && !self.legacy => self.proceeded(element, size),
            ("failure", true) if self.stage == DirectStage::Asked && !self.legacy => Err(StartTlsFault::Refused.into()),
            _ => Err(DirectFault::Unexpected),
        }
    }

    fn starttls(&mut self, element: &Element, size: usize) -> Result<(), DirectFault> {
        if self.secured {
            return Err(StartTlsFault::AskedAgain.into());
        }
        if self.stage != DirectStage::Open {
            return Err(DirectFault::Unexpected);
        }
        if !self.offered {
            return Err(StartTlsFault::AskedUnoffered.into());
        }
        self.stage = DirectStage::Asked;
        let offer = TlsOffer::within(element.root()).filter(|_| !self.legacy);
        self.events.push(DirectEvent::StartTlsRequested { offer }, size);
        Ok(())
    }

    fn proceeded(&mut self, element: &Element, size: usize) -> Result<(), DirectFault> {
        let chosen = TlsOffer::within(element.root());
        let asked_with = self.asked_with.take();
        // The peer waits for TLS from here on, so that nothing can be said in clear any more.
        self.begin_tls(chosen.clone(), size);
        match (chosen, asked_with) {
            (Some(chosen), Some(asked)) if (chosen.srp && !asked.srp) || (chosen.insecure && !asked.insecure) => {
                self.events.withdraw_last(|event| matches!(event, DirectEvent::StartTls { .. }));
                Err(StartTlsFault::Method.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn begin_tls(&mut self, offer: Option<TlsOffer>, size: usize) {
        self.stage = DirectStage::Tls;
        self.events.push(DirectEvent::StartTls { offer }, size);
    }

    /// Whether TLS may be offered or announced on this stream.
    pub(super) fn may_offer_tls(&self) -> bool {
        !self.secured && self.options.tls != TlsPolicy::Never
    }

    fn may_ask_for_tls(&self) -> bool {
        self.may_offer_tls() && (self.offered || self.asks_unoffered())
    }

    /// RFC 7590 § 3.1. Without the announcement of XEP-0035 nobody would understand the question.
    pub(super) fn asks_unoffered(&self) -> bool {
        self.options.try_unoffered && self.options.tls == TlsPolicy::Required && !self.legacy
    }

    pub(super) fn write_failure(&self, out: &mut Vec<u8>) {
        if self.legacy {
            // XEP-0035 has no word for no, and the end alone would be a yes.
            write::error(out, &crate::StreamCondition::PolicyViolation.into());
        } else {
            tls_nonza(out, "failure", None);
        }
    }
}
