//! What tunnels and links wait for, and how long.

use core::{fmt, time::Duration};

use crate::Instant;

/// What a tunnel or a link may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// The user, here or at the other end: to accept an offer or a link, for a password, about a certificate.
    Question,
    /// The end of the TLS handshake.
    Handshake,
    /// The peer's next step: the answer to an IQ that is not data; on a link a header, features, what negotiates TLS.
    Answer,
    /// An acknowledgement of data.
    Stall,
    /// The way to the peer to be free again, after data came back.
    Retry,
    /// Any sign of life, after which the peer is asked for one.
    LivenessIdle,
    /// A sign that an unavailable presence was a mistake.
    Gone,
    /// The responder's first authenticated byte.
    Confirm,
    /// The peer's part in an orderly end.
    Close,
    /// An orderly end in all, however slowly the peer takes what was written before it.
    End,
    /// Receipts for raw bytes, both ways, before the session ends.
    Receipt,
    /// The application's reading of what came before the end.
    Drain,
    /// The peer's stream header.
    Stream,
    /// Another stream, after one was closed.
    Reuse,
    /// The peer's certificates, which it was asked for inside the tunnel.
    Certificates,
    /// The moment for white space on a link.
    KeepAlive,
    /// Any sign of life, after which the peer is taken for gone.
    Silence,
    /// The rest of a TLS record that has begun.
    Rest,
    /// The return of the outer stream, which is away and is to be resumed (XEP-0198).
    Suspended,
    /// A connection for a tunnel: the next step in finding one.
    Connection,
    /// A turn to send a block, while results to those of other tunnels are overdue.
    Turn,
}

/// The next deadline and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// When `handle_timeout` is to be called.
    pub at: Instant,
    /// Why.
    pub timer: Timer,
}

/// How long things may take, each in the caller's time. None may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timers {
    /// Every question to the user: whether to accept, for a password, about a certificate; and the peer's user's time from an
    /// offer to its acceptance. An initiator that offers the password method cannot see whether the responder's user is asked
    /// for the password, and so waits twice as long. Default 300 s.
    pub question: Duration,
    /// From the first TLS byte to a finished handshake; it stands still while the user judges a certificate.
    ///
    /// An end that cannot see whether the other user judges a certificate adds `question` after its own part of the handshake:
    /// the responder, and in TLS 1.2 the initiator too. Before the first TLS byte a tunnel's responder waits `question`, plus
    /// `handshake` if the initiator's user may still be asked for a password. Default 60 s.
    pub handshake: Duration,
    /// Each step of the peer's: the answer to an IQ but data, and what comes on a link before it is open. Where the peer's
    /// user may be asked something first, `question` is added: so too for the stream header in a tunnel until the peer has
    /// confirmed us. Once a tunnel is secured, a peer that is merely silent is asked for a sign of life then, and has `stall`.
    /// Default 30 s.
    pub answer: Duration,
    /// The initiator's wait for the responder's first authenticated byte in a tunnel. Default 3 s.
    pub confirm: Duration,
    /// An orderly end that is not answered; in a tunnel once all that was written before it is acknowledged. Default 5 s.
    pub close: Duration,
    /// Tunnels: an orderly end in all, from its beginning. A peer that takes what was written before it a block now and then does
    /// not draw it out for longer. Default 600 s.
    pub end: Duration,
    /// Tunnels of raw bytes: an orderly end that waits for a receipt, until the peer's application, or this one, has everything. It
    /// begins once all that was written is acknowledged, and stands still while the outer stream is away. Default 60 s.
    pub receipt: Duration,
    /// Tunnels: data without an acknowledgement, a TLS record that has begun and does not go on, and silence of the peer
    /// altogether: for so long a server may be holding the stanzas of a peer that will be back (XEP-0198). Default 600 s.
    pub stall: Duration,
    /// Tunnels: the wait before blocks that came back with a temporary delivery error are sent again (XEP-0047 § 2.2). It
    /// doubles as long as none gets through, and `stall` ends it. Default 2 s.
    pub retry: Duration,
    /// Tunnels: silence until the peer is asked for a sign of life (XEP-0166 § 6.8). Default 30 s.
    pub liveness_idle: Duration,
    /// Tunnels: silence after the peer's unavailable presence (XEP-0166 § 6.7), although it is asked at once. Default 8 s.
    pub gone: Duration,
    /// Tunnels: received data that nobody reads after the end. Then it is thrown away, and the end says that it is truncated.
    /// Default 60 s.
    pub drain: Duration,
    /// Tunnels: the time without a stream after one was closed. Default 30 s.
    pub reuse: Duration,
    /// Tunnels: from `handle_suspended` until the outer stream counts as lost. Default 1 h.
    pub suspended: Duration,
    /// Links: nothing was sent on an open link for so long, so white space is (RFC 6120 § 4.6.1). `None` sends none. Default
    /// 60 s.
    pub keep_alive: Option<Duration>,
    /// Links: no record came over an open link for so long, so the peer is taken for gone (RFC 6120 § 4.6). Only for peers that
    /// are known to send white space, as this library does. Default `None`: as long as the connection stands.
    pub silence: Option<Duration>,
}

impl Timer {
    /// A short and stable name, for logs. `Display` has words for users.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Handshake => "handshake",
            Self::Answer => "answer",
            Self::Stall => "stall",
            Self::Retry => "retry",
            Self::LivenessIdle => "liveness-idle",
            Self::Gone => "gone",
            Self::Confirm => "confirm",
            Self::Close => "close",
            Self::End => "end",
            Self::Receipt => "receipt",
            Self::Drain => "drain",
            Self::Stream => "stream",
            Self::Reuse => "reuse",
            Self::Certificates => "certificates",
            Self::KeepAlive => "keep-alive",
            Self::Silence => "silence",
            Self::Rest => "rest",
            Self::Connection => "connection",
            Self::Suspended => "suspended",
            Self::Turn => "turn",
        }
    }
}

impl Timers {
    /// The first field that is out of bounds, if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let fields = [
            ("timers.question", Some(self.question)),
            ("timers.handshake", Some(self.handshake)),
            ("timers.answer", Some(self.answer)),
            ("timers.confirm", Some(self.confirm)),
            ("timers.close", Some(self.close)),
            ("timers.stall", Some(self.stall)),
            ("timers.retry", Some(self.retry)),
            ("timers.liveness_idle", Some(self.liveness_idle)),
            ("timers.gone", Some(self.gone)),
            ("timers.end", Some(self.end)),
            ("timers.receipt", Some(self.receipt)),
            ("timers.drain", Some(self.drain)),
            ("timers.reuse", Some(self.reuse)),
            ("timers.suspended", Some(self.suspended)),
            ("timers.keep_alive", self.keep_alive),
            ("timers.silence", self.silence),
        ];
        fields.into_iter().find(|(_, wait)| wait.is_some_and(|wait| wait.is_zero())).map(|(field, _)| field)
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            question: Duration::from_secs(300),
            handshake: Duration::from_secs(60),
            answer: Duration::from_secs(30),
            confirm: Duration::from_secs(3),
            close: Duration::from_secs(5),
            end: Duration::from_secs(600),
            stall: Duration::from_secs(600),
            retry: Duration::from_secs(2),
            liveness_idle: Duration::from_secs(30),
            gone: Duration::from_secs(8),
            receipt: Duration::from_secs(60),
            drain: Duration::from_secs(60),
            reuse: Duration::from_secs(30),
            suspended: Duration::from_secs(60 * 60),
            keep_alive: Some(Duration::from_secs(60)),
            silence: None,
        }
    }
}

impl Deadline {
    /// A deadline.
    #[must_use]
    pub fn new(at: Instant, timer: Timer) -> Self {
        Self { at, timer }
    }
}

impl fmt::Display for Timer {
    /// What was waited for, as in "no … in time".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Question => "decision",
            Self::Handshake => "end of the TLS handshake",
            Self::Answer => "answer",
            Self::Stall | Self::Retry => "acknowledgement of data",
            Self::LivenessIdle | Self::Gone | Self::KeepAlive | Self::Silence => "sign of life",
            Self::Rest => "rest of a TLS record",
            Self::Connection => "connection",
            Self::Suspended => "return of the connection",
            Self::Turn => "turn to send",
            Self::Confirm => "confirmation",
            Self::Close => "answer to the end",
            Self::End => "orderly end in all",
            Self::Receipt => "receipt",
            Self::Drain => "reading of what came",
            Self::Stream => "stream header",
            Self::Reuse => "new stream",
            Self::Certificates => "certificates",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_timer_has_a_name_of_its_own() {
        let timers = [
            Timer::Question,
            Timer::Handshake,
            Timer::Answer,
            Timer::Stall,
            Timer::Retry,
            Timer::LivenessIdle,
            Timer::Gone,
            Timer::Confirm,
            Timer::Close,
            Timer::End,
            Timer::Receipt,
            Timer::Drain,
            Timer::Stream,
            Timer::Reuse,
            Timer::Certificates,
            Timer::KeepAlive,
            Timer::Silence,
            Timer::Rest,
            Timer::Connection,
            Timer::Suspended,
            Timer::Turn,
        ];
        let names: BTreeSet<_> = timers.into_iter().map(Timer::as_str).collect();
        assert_eq!(names.len(), timers.len());
    }

    #[test]
    fn no_timer_may_be_zero() {
        type Field = fn(&mut Timers) -> &mut Duration;
        let fault = |change: fn(&mut Timers)| {
            let mut timers = Timers::default();
            change(&mut timers);
            timers.fault()
        };
        assert_eq!(fault(|_| {}), None);
        let each: [(&str, Field); 14] = [
            ("timers.question", |timers| &mut timers.question),
            ("timers.handshake", |timers| &mut timers.handshake),
            ("timers.answer", |timers| &mut timers.answer),
            ("timers.confirm", |timers| &mut timers.confirm),
            ("timers.close", |timers| &mut timers.close),
            ("timers.stall", |timers| &mut timers.stall),
            ("timers.retry", |timers| &mut timers.retry),
            ("timers.liveness_idle", |timers| &mut timers.liveness_idle),
            ("timers.gone", |timers| &mut timers.gone),
            ("timers.end", |timers| &mut timers.end),
            ("timers.receipt", |timers| &mut timers.receipt),
            ("timers.drain", |timers| &mut timers.drain),
            ("timers.reuse", |timers| &mut timers.reuse),
            ("timers.suspended", |timers| &mut timers.suspended),
        ];
        for (name, field) in each {
            for (wait, expected) in [(Duration::ZERO, Some(name)), (Duration::from_nanos(1), None)] {
                let mut timers = Timers::default();
                *field(&mut timers) = wait;
                assert_eq!(timers.fault(), expected);
            }
        }
        assert_eq!(fault(|timers| timers.keep_alive = None), None);
        assert_eq!(fault(|timers| timers.keep_alive = Some(Duration::ZERO)), Some("timers.keep_alive"));
        assert_eq!(fault(|timers| timers.silence = Some(Duration::ZERO)), Some("timers.silence"));
    }
}
