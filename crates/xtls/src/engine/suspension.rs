//! An outer stream that is away and will be resumed (XEP-0198).

use core::time::Duration;

use super::Engine;
use xtls_channel::{Deadline, Instant, Timer};

impl Engine {
    /// The outer stream is away and is to be resumed (XEP-0198 § 5): nothing ends meanwhile for what cannot be heard.
    ///
    /// Until [`handle_resumed`](Self::handle_resumed) whatever waits for a peer stands still: the timers of tunnels, and
    /// those of questions for what peers are ready for. Questions to the user go on and keep their time, passwords stay locked
    /// for as long as they were to be, and certificates grow old. A tunnel can be closed and aborted, and has
    /// [`Timers::close`](xtls_channel::Timers::close) for that; commands and polls do what they always do. The stream is taken for
    /// lost, as by [`handle_disconnect`](Self::handle_disconnect), after [`Timers::suspended`](xtls_channel::Timers::suspended).
    ///
    /// A second call before that does nothing.
    pub fn handle_suspended(&mut self, now: Instant) {
        self.shared.env.advance(now);
        if self.shared.suspended_since.is_none() {
            self.shared.suspended_since = Some(self.shared.env.clock().now());
            self.tunnels.set_suspended(true);
            self.shared.flow.interrupt(self.shared.env.clock().now());
            // Each is woken by other timers now.
            for number in self.tunnels.numbers() {
                self.tunnels.act(number, |_| ());
            }
        }
    }

    /// The outer stream is back as it was, and no stanza was lost or comes twice. Call it before what the server held
    /// reaches [`handle_stanza`](Self::handle_stanza).
    ///
    /// What stood still goes on with the time that it had left, and at least [`Timers::answer`](xtls_channel::Timers::answer), so that
    /// nothing ends before its answer has come in. After a suspension that was too long, this is the loss of the stream.
    ///
    /// Without a suspension it does nothing. A stream that could not be resumed is told by
    /// [`handle_disconnect`](Self::handle_disconnect) instead.
    pub fn handle_resumed(&mut self, now: Instant) {
        self.shared.env.advance(now);
        self.expire_suspension();
        let Some(since) = self.shared.suspended_since else { return };
        let away = self.shared.env.clock().now().saturating_duration_since(since);
        self.end_suspension();
        self.shared.flow.interrupt(self.shared.env.clock().now());
        let earliest = self.shared.after(self.shared.config.timers.answer).real;
        self.probing.resume(away, earliest);
        for number in self.tunnels.numbers() {
            self.tunnels.act(number, |tunnel| tunnel.outer_resumed(away, earliest));
        }
    }

    /// When a suspension that began then has lasted for too long.
    pub(super) fn suspension_deadline(&self, since: Instant) -> Deadline {
        let at = since.checked_add(self.shared.config.timers.suspended);
        Deadline::new(at.unwrap_or_else(|| self.shared.env.after(Duration::MAX)), Timer::Suspended)
    }

    /// Takes the outer stream for lost if it has been away for too long.
    pub(super) fn expire_suspension(&mut self) {
        let now = self.shared.env.clock().now();
        if self.shared.suspended_since.is_some_and(|since| self.suspension_deadline(since).at <= now) {
            self.handle_disconnect(now);
        }
    }

    pub(super) fn end_suspension(&mut self) {
        if let Some(since) = self.shared.suspended_since.take() {
            let away = self.shared.env.clock().now().saturating_duration_since(since);
            self.shared.was_away = self.shared.was_away.saturating_add(away);
        }
        self.tunnels.set_suspended(false);
    }
}
