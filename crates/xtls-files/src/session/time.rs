//! What is waited for, and how long.

use std::time::Duration;

use xtls_ibb::BytestreamState;
use xtls_stanza::Instant;

use super::{Phase, Session};
use crate::{FileEnd, FilesConfig, shared::Shared};

/// What has to happen before the session ends for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Discovery,
    Decision,
    Opening,
    Preparation,
    Bytes,
    Hash,
    Confirmation,
}

impl Due {
    fn time(self, config: &FilesConfig) -> Duration {
        match self {
            Self::Discovery => config.discovery,
            Self::Decision => config.decision,
            Self::Opening => config.opening,
            Self::Preparation => config.preparation,
            Self::Bytes => config.idle,
            Self::Hash => config.answer,
            Self::Confirmation => config.confirmation,
        }
    }
}

impl Session {
    /// Sees to the deadline; `moved`: the peer has done something for this session.
    pub(crate) fn wind(&mut self, moved: bool, now: Instant, shared: &Shared) {
        let due = self.is_due();
        let same = self.due.map(|(due, _)| due) == due;
        if !same || moved {
            self.due = due.map(|due| (due, now + due.time(&shared.config)));
        }
    }

    /// What the peer owes at present, as far as it is not the answer to a request.
    fn is_due(&self) -> Option<Due> {
        match self.phase {
            Phase::Asking => Some(Due::Discovery),
            Phase::Offered => Some(Due::Decision),
            // These wait for the application.
            Phase::Ringing | Phase::Starting | Phase::Agreed => None,
            Phase::Replacing => Some(Due::Opening),
            // What a manifest lists comes in sessions of its own, and its session stays until all of that is stored.
            Phase::Sent if self.file.manifest.is_some() && !self.contents => None,
            Phase::Sent => Some(Due::Confirmation),
            Phase::Running if !self.carrier.is_open() => Some(Due::Opening),
            Phase::Running if self.sends => {
                let in_flight = self
                    .carrier
                    .bytestream()
                    .is_some_and(|stream| stream.in_flight() > 0 || stream.state() == BytestreamState::Closing);
                in_flight.then_some(Due::Bytes)
            }
            Phase::Running if self.check.is_unchecked() => Some(Due::Preparation),
            Phase::Running if self.is_complete() => self.inbox.is_empty().then_some(Due::Hash),
            Phase::Running => self.inbox.is_empty().then_some(Due::Bytes),
        }
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.peer_is_done {
            return None;
        }
        let due = self.due.map(|(_, when)| when);
        due.into_iter().chain(self.waiting.iter().map(|(.., when)| *when)).min()
    }

    /// Time has passed.
    pub(crate) fn pass(&mut self, now: Instant, shared: &mut Shared) {
        if self.peer_is_done {
            return;
        }
        if self.waiting.iter().any(|(.., when)| *when <= now) {
            return self.end(FileEnd::Timeout, now, shared);
        }
        let Some((due, _)) = self.due.filter(|(_, when)| *when <= now) else { return };
        self.due = None;
        match due {
            // Who does not say what it knows is offered what everybody knows.
            Due::Discovery => {
                shared.is_silent = true;
                self.ask(now, shared);
            }
            Due::Hash => self.end(FileEnd::NoHash, now, shared),
            Due::Confirmation if self.received => self.end(FileEnd::Success, now, shared),
            Due::Decision | Due::Opening | Due::Preparation | Due::Bytes | Due::Confirmation => {
                self.end(FileEnd::Timeout, now, shared);
            }
        }
    }
}
