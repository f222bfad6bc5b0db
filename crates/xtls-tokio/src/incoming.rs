//! An offer of a peer.

use std::sync::Arc;

use xtls::{
    Application, TunnelOptions,
    jid::FullJid,
    jingle::{Reason, ReasonCondition, SecurityOffer},
};

use crate::{
    CallError, Opening, Tunnel,
    shared::{Shared, now},
};

/// A tunnel that a peer offers. Decide on it within [`Timers::question`](xtls::config::Timers::question). One that is dropped is
/// declined.
#[derive(Debug)]
#[must_use = "an offer that is dropped is declined"]
pub struct Incoming {
    shared: Shared,
    /// `None` once it is decided on.
    offer: Option<Box<xtls::Incoming>>,
    peer: FullJid,
    application: Application,
    announced: Arc<SecurityOffer>,
    sid: String,
}

impl Incoming {
    pub(crate) fn new(shared: Shared, offer: xtls::Incoming) -> Self {
        let (peer, application) = (offer.peer.clone(), offer.application.clone());
        let announced = Arc::new(offer.offer.clone());
        let sid = offer.sid.clone();
        Self { shared, offer: Some(Box::new(offer)), peer, application, announced, sid }
    }

    /// Who offers it, as the server says: nothing is proven yet.
    #[must_use]
    pub fn peer(&self) -> &FullJid {
        &self.peer
    }

    /// What is to run inside.
    #[must_use]
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// The fingerprints and methods that are announced: hints, not proof.
    #[must_use]
    pub fn offer(&self) -> &SecurityOffer {
        &self.announced
    }

    /// The id of the session, which the peer chose and servers read.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Accepts it, and waits until it can be used. If this is dropped before, the attempt is called off.
    ///
    /// # Errors
    ///
    /// When the offer does not stand any more, the options do not fit it (it is declined then), or it ends before it is secured.
    pub async fn accept(self, options: TunnelOptions) -> Result<Tunnel, CallError> {
        self.open(options)?.opened().await
    }

    /// The same without waiting: see [`Handle::open`](crate::Handle::open).
    ///
    /// # Errors
    ///
    /// When the offer does not stand any more, or the options do not fit it (it is declined then).
    pub fn open(mut self, options: TunnelOptions) -> Result<Opening, CallError> {
        let mut state = self.shared.lock();
        if let Some(end) = &state.end {
            return Err(CallError::Gone(end.clone()));
        }
        let Some(offer) = self.offer.take() else { unreachable!("it is taken by value") };
        let is_xml = offer.application == Application::XmlStream;
        let accepted = state.engine.accept(now(), *offer, options);
        state.settle();
        let id = accepted?;
        state.own(id, self.peer.clone(), is_xml);
        Ok(Opening::new(Tunnel::new(self.shared.clone(), id, self.peer.clone(), is_xml)))
    }

    /// Declines it for this reason.
    ///
    /// # Errors
    ///
    /// When it does not stand any more.
    pub fn reject(mut self, condition: ReasonCondition) -> Result<(), CallError> {
        self.decline(condition)
    }

    fn decline(&mut self, condition: ReasonCondition) -> Result<(), CallError> {
        let Some(offer) = self.offer.take() else { return Ok(()) };
        let mut state = self.shared.lock();
        let rejected = state.engine.reject(now(), *offer, Reason::new(condition));
        state.settle();
        Ok(rejected?)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = self.decline(ReasonCondition::Decline);
    }
}
