//! What is traced of a link: a span around whatever happens to it, and its stages (debug). Nothing that the two say to one another,
//! no secret, and no name of either. Without the feature `tracing`, nothing.

#[cfg(feature = "tracing")]
pub(crate) use traced::Watch;
#[cfg(not(feature = "tracing"))]
pub(crate) use untraced::Watch;

#[cfg(feature = "tracing")]
mod traced {
    use tracing::{Span, debug, debug_span};
    use xtls_channel::{CloseReason, EndedBy, Side, Stage};

    /// The span of a link.
    #[derive(Clone)]
    pub(crate) struct Watch(Span);

    impl Watch {
        pub(crate) fn new(side: Side) -> Self {
            Self(debug_span!("link", side = if side == Side::Initiator { "initiator" } else { "responder" }))
        }

        pub(crate) fn around<R>(&self, action: impl FnOnce() -> R) -> R {
            self.0.in_scope(action)
        }

        pub(crate) fn stage(&self, stage: Stage) {
            self.0.in_scope(|| debug!(stage = stage.as_str()));
        }

        pub(crate) fn ended(&self, by: EndedBy, reason: &CloseReason) {
            let reason = if let CloseReason::Fault(fault) = reason { fault.as_str() } else { reason.as_str() };
            self.0.in_scope(|| debug!(stage = Stage::Ended.as_str(), by = by.as_str(), reason));
        }
    }
}

#[cfg(not(feature = "tracing"))]
#[allow(clippy::unused_self, reason = "as where there is something to do")]
mod untraced {
    use xtls_channel::{CloseReason, EndedBy, Side, Stage};

    #[derive(Clone)]
    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn new(_: Side) -> Self {
            Self
        }

        pub(crate) fn around<R>(&self, action: impl FnOnce() -> R) -> R {
            action()
        }

        pub(crate) fn stage(&self, _: Stage) {}

        pub(crate) fn ended(&self, _: EndedBy, _: &CloseReason) {}
    }
}
