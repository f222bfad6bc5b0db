//! What is traced of a tunnel: a span around whatever happens to it, its phases (debug), and the kinds of stanzas (trace). Nothing
//! that the two say to one another, no secret, and no name of anybody above debug. Without the feature `tracing`, nothing.

#[cfg(feature = "tracing")]
pub(super) use traced::Watch;
#[cfg(feature = "tracing")]
pub(crate) use traced::{received, sent};
#[cfg(not(feature = "tracing"))]
pub(super) use untraced::Watch;
#[cfg(not(feature = "tracing"))]
pub(crate) use untraced::{received, sent};

#[cfg(feature = "tracing")]
mod traced {
    use tracing::{Span, debug, debug_span, trace};
    use xtls_channel::{CloseReason, Side};

    use crate::{stats::TunnelPhase, tunnel::TunnelCore};

    /// The span of a tunnel, and its phase when it was looked at last.
    pub(in crate::engine) struct Watch {
        span: Span,
        phase: TunnelPhase,
    }

    impl Watch {
        pub(in crate::engine) fn new(tunnel: &TunnelCore) -> Self {
            let phase = tunnel.stage();
            let side = if tunnel.side() == Side::Initiator { "initiator" } else { "responder" };
            let span = debug_span!("tunnel", number = tunnel.id.number, side, peer = %tunnel.peer());
            span.in_scope(|| debug!(phase = %phase));
            Self { span, phase }
        }

        pub(in crate::engine) fn around<R>(&self, action: impl FnOnce() -> R) -> R {
            self.span.in_scope(action)
        }

        /// Something has happened to it.
        pub(in crate::engine) fn look(&mut self, tunnel: &TunnelCore) {
            let phase = tunnel.stage();
            if phase != self.phase {
                self.phase = phase;
                let (by, reason) = tunnel.the_end().map(|(by, reason)| (by.as_str(), short(reason))).unzip();
                self.span.in_scope(|| debug!(phase = %phase, by, reason));
            }
        }
    }

    /// The short name of what was at fault, if anything was.
    fn short(reason: &CloseReason) -> &'static str {
        if let CloseReason::Fault(fault) = reason { fault.as_str() } else { reason.as_str() }
    }

    /// A stanza of this kind goes out.
    pub(crate) fn sent(kind: &str) {
        trace!(kind, "sent");
    }

    /// A stanza of this kind came.
    pub(crate) fn received(kind: &str) {
        trace!(kind, "received");
    }
}

#[cfg(not(feature = "tracing"))]
mod untraced {
    use crate::tunnel::TunnelCore;

    pub(in crate::engine) struct Watch;

    impl Watch {
        pub(in crate::engine) fn new(_: &TunnelCore) -> Self {
            Self
        }

        #[allow(clippy::unused_self, reason = "as where there is something to do")]
        pub(in crate::engine) fn around<R>(&self, action: impl FnOnce() -> R) -> R {
            action()
        }

        #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as where there is something to do")]
        pub(in crate::engine) fn look(&mut self, _: &TunnelCore) {}
    }

    pub(crate) fn sent(_: &str) {}

    pub(crate) fn received(_: &str) {}
}
