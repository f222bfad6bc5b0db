//! What the engine tells, and whom.

use std::sync::Arc;

use xtls::{
    Event, TunnelId,
    event::Held,
    jid::Jid,
    jingle::{Reason, ReasonCondition},
};

use crate::shared::{About, Asked, Entry, MAX_NOTICES, State, now};

impl State {
    /// Passes on what the engine tells.
    pub(crate) fn dispatch(&mut self) {
        let mut news = false;
        while let Some((event, held)) = self.engine.poll_event_held() {
            if let Some(observer) = &mut self.observer {
                observer(&mut self.engine, &event);
            }
            news |= self.pass_on(event, held);
        }
        if news {
            self.news.notify_waiters();
        }
    }

    /// Passes an event on. Tells whether handles are to look.
    fn pass_on(&mut self, event: Event, held: Option<Held>) -> bool {
        match event {
            Event::Stanza { id, stanza } => {
                match self.entries.get_mut(&id).filter(|entry| entry.owned) {
                    Some(entry) => {
                        entry.stanzas.push_back((stanza, held));
                        entry.wake_reader();
                    }
                    None => held.into_iter().for_each(|held| self.engine.release(held)),
                }
                return false;
            }
            Event::Incoming(incoming) => {
                if self.closing {
                    let _ = self.engine.reject(now(), incoming, Reason::new(ReasonCondition::Decline));
                    return false;
                }
                self.incoming.push_back(incoming);
            }
            Event::IncomingGone { id } => self.incoming.retain(|incoming| incoming.id() != id),
            Event::PasswordRequired { id, side } => self.ask(id, About::Password(side)),
            Event::TrustRequired { id, question } => self.ask(id, About::Certificate(question)),
            Event::Secured { id, security } => self.change(id, |entry| {
                entry.security = Some(Arc::from(security));
                entry.opened |= !entry.is_xml;
                entry.wake_reader();
            }),
            // The application has seen the end of its stream, and would not read another one.
            Event::StreamOpened { id } if self.entries.get(&id).is_some_and(|entry| entry.finished) => {
                if let Some(mut tunnel) = self.engine.tunnel(id) {
                    tunnel.close(now());
                }
            }
            Event::StreamOpened { id } => self.change(id, |entry| {
                entry.opened = true;
                entry.wake_reader();
            }),
            Event::PeerFinished { id } | Event::StreamClosed { id } => self.change(id, |entry| {
                entry.finished = true;
                entry.wake_reader();
            }),
            Event::Receipt { id, .. } => self.change(id, |entry| entry.receipt = true),
            Event::Readable { id } => {
                match self.entries.get_mut(&id).filter(|entry| entry.owned) {
                    Some(entry) => entry.wake_reader(),
                    // Nobody wants it, and the end waits for it.
                    None => drop(self.engine.tunnel(id).map(|mut tunnel| tunnel.read(now(), &mut Vec::new()))),
                }
                return false;
            }
            Event::Writable { id } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.wake_writer();
                }
                return false;
            }
            Event::Closed(closed) => {
                let id = closed.id;
                self.questions.retain(|asked| asked.id != id);
                self.change(id, |entry| {
                    entry.closed = Some(Arc::new(closed));
                    entry.wake();
                });
                if self.entries.get(&id).is_some_and(|entry| !entry.owned) {
                    self.forget(id);
                }
            }
            wish @ (Event::Connect { .. } | Event::Abandon { .. }) => {
                self.connections.push_back(wish);
                return false;
            }
            Event::PresenceWanted { peer } if self.shows && self.caps.is_some() => {
                self.show(&peer.into(), false);
                return false;
            }
            notice @ (Event::Redirected { .. }
            | Event::Confirmed { .. }
            | Event::StoreFailed { .. }
            | Event::Impersonation { .. }
            | Event::Misaddressed { .. }
            | Event::CertificatesReceived { .. }
            | Event::Probed { .. }
            | Event::PresenceWanted { .. }
            | Event::Throttled { .. }
            | _) => {
                self.note(&notice);
                if self.notices.len() >= MAX_NOTICES {
                    self.notices.pop_front();
                    self.missed += 1;
                }
                self.notices.push_back(notice);
            }
        }
        held.into_iter().for_each(|held| self.engine.release(held));
        true
    }

    /// What a notice changes of what is known of its tunnel.
    fn note(&mut self, notice: &Event) {
        if let Event::Redirected { id, peer } = notice {
            self.change(*id, |entry| entry.peer.clone_from(peer));
        }
        if let Event::Confirmed { id } = notice
            && let Some(security) = self.engine.tunnel(*id).and_then(|tunnel| tunnel.security().cloned())
        {
            self.change(*id, |entry| entry.security = Some(Arc::new(security)));
        }
    }

    /// Shows us to this address, and to no other; with a question whether anybody is there, if it `asks`.
    pub(crate) fn show(&mut self, to: &Jid, asks: bool) {
        if let Some(caps) = &self.caps {
            self.questions_asked.send(caps.directed_presence(to, asks));
            self.wake_driver();
        }
    }

    fn ask(&mut self, id: TunnelId, about: About) {
        if let Some(entry) = self.entries.get(&id) {
            self.questions.push_back(Asked { id, peer: entry.peer.clone(), about });
        }
    }

    fn change(&mut self, id: TunnelId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&id) {
            change(entry);
            entry.changed.notify_waiters();
        }
    }
}
