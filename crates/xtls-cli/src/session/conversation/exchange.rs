//! What is on its way in one tunnel of a conversation: files that are sent, and files that the peer offers.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use xtls_files::{FileEvent, FileId};
use xtls_stanza::jid::FullJid;
use xtls_tokio::FileTunnel;

use super::files::Numbers;
use crate::exit::{Code, Failure};
use crate::files::Target;
use crate::output::{self, Direction, Meter, Output, Report};
use crate::session::{note, tell};
use crate::transfer::{Arrived, Fetched, Gist, Goods, Inbox, Outbox, Sent, Stored, decline_offer, decline_request};

/// Files in one tunnel.
pub(super) struct Exchange {
    output: Output,
    peer: FullJid,
    /// What is received; or in words, why nothing can be.
    inbox: Result<Inbox, String>,
    sending: Vec<Sending>,
    /// What was offered and is asked about, or was taken.
    receiving: Vec<Receiving>,
    /// Something was not sent, or not to its end.
    unsent: Option<Code>,
    /// Something has begun or ended.
    is_news: bool,
}

struct Sending {
    number: u64,
    outbox: Outbox,
    meter: Meter,
}

struct Receiving {
    number: u64,
    id: FileId,
    what: Gist,
    is_asked: bool,
    meter: Meter,
}

/// What a thread at a disk has done.
#[derive(Debug)]
pub(crate) enum Moved {
    /// For what is sent, at this place of the list.
    Fetched(usize, Option<Fetched>),
    Stored(Stored),
}

/// How far everything is.
#[derive(Debug, Default)]
pub(super) struct Total {
    /// By their numbers.
    pub(super) moving: Vec<u64>,
    pub(super) moved: output::Moved,
    /// When to look again for the events of single files.
    pub(super) next: Option<Instant>,
}

impl Exchange {
    /// Nothing is on its way yet. What comes goes there, if that can be.
    pub(super) fn new(output: Output, peer: FullJid, target: &Result<Arc<Target>, String>) -> Self {
        let inbox = target.clone().map(|target| Inbox::new(peer.to_bare(), target, false));
        Self { output, peer, inbox, sending: Vec::new(), receiving: Vec::new(), unsent: None, is_news: false }
    }

    /// What a disk has done next.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        if let Ok(inbox) = &mut self.inbox
            && let Poll::Ready(stored) = inbox.poll_next(cx)
        {
            return Poll::Ready(Moved::Stored(stored));
        }
        for (at, Sending { outbox, .. }) in self.sending.iter_mut().enumerate() {
            if let Poll::Ready(fetched) = outbox.poll_next(cx) {
                return Poll::Ready(Moved::Fetched(at, fetched));
            }
        }
        Poll::Pending
    }

    /// Offers this.
    pub(super) fn send(&mut self, number: u64, goods: Goods, tunnel: &mut FileTunnel) -> Result<(), Failure> {
        let Some(outbox) = Outbox::new(goods, None) else { return Ok(()) };
        let meter = Meter::of_events(self.output, self.peer.as_str(), Direction::Out);
        self.sending.push(Sending { number, outbox, meter });
        let at = self.sending.len() - 1;
        let sent = self.sending.last_mut().and_then(|sending| sending.outbox.offer(tunnel));
        self.sent(at, sent, tunnel)
    }

    /// How many things are sent.
    pub(super) fn sends(&self) -> usize {
        self.sending.len()
    }

    /// Whether nothing is on its way, or asked about.
    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.inbox.as_ref().map_or(true, Inbox::is_idle)
    }

    /// Takes what happened to a file in the tunnel.
    pub(super) fn handle(
        &mut self,
        event: &FileEvent,
        tunnel: &mut FileTunnel,
        now: Instant,
        numbers: &mut Numbers,
    ) -> Result<(), Failure> {
        if let FileEvent::Requested { wanted, .. } = event {
            let Some(at) = self.sending.iter().position(|sending| sending.outbox.has(wanted)) else {
                decline_request(event, tunnel);
                return Ok(());
            };
            let sent = self.sending.get_mut(at).and_then(|sending| sending.outbox.handle(event, tunnel, now));
            return self.sent(at, sent, tunnel);
        }
        let mut ends = self.sending.iter_mut().map(|sending| sending.outbox.handle(event, tunnel, now)).enumerate();
        if let Some((at, sent)) = ends.find(|(_, sent)| sent.is_some()) {
            self.sent(at, sent, tunnel)?;
        }
        let arrived = match &mut self.inbox {
            Ok(inbox) => inbox.handle(event, tunnel),
            Err(why) => {
                if let FileEvent::Offered { file, .. } = event {
                    let name = file.name.as_deref().unwrap_or_default();
                    let peer = &self.peer;
                    self.output.error_of(peer.as_str(), &format!("{name} of {peer} was declined: {why}"));
                }
                decline_offer(event, tunnel);
                None
            }
        };
        self.arrived(arrived, numbers)
    }

    /// Takes what [`Exchange::poll_next`] gave.
    pub(super) fn moved(
        &mut self,
        moved: Moved,
        tunnel: &mut FileTunnel,
        now: Instant,
        numbers: &mut Numbers,
    ) -> Result<(), Failure> {
        match moved {
            Moved::Fetched(at, fetched) => {
                let sent = self.sending.get_mut(at).and_then(|sending| sending.outbox.take(fetched, tunnel, now));
                self.sent(at, sent, tunnel)
            }
            Moved::Stored(stored) => {
                let arrived = self.inbox.as_mut().ok().and_then(|inbox| inbox.stored(stored, tunnel));
                self.arrived(arrived, numbers)
            }
        }
    }

    /// The numbers of what is asked about.
    pub(super) fn asked(&self) -> impl Iterator<Item = u64> {
        self.receiving.iter().filter(|receiving| receiving.is_asked).map(|receiving| receiving.number)
    }

    /// Takes what is asked about under this number; whether there is such a thing.
    pub(super) fn take(&mut self, number: u64) -> bool {
        let asked = self.receiving.iter_mut().find(|receiving| receiving.number == number && receiving.is_asked);
        let (Some(asked), Ok(inbox)) = (asked, &mut self.inbox) else { return false };
        asked.is_asked = false;
        inbox.take(asked.id);
        true
    }

    /// Refuses what has this number, or breaks it off; whether there is such a thing.
    pub(super) fn refuse(&mut self, number: u64, tunnel: &mut FileTunnel) -> Result<bool, Failure> {
        if let Some(sending) = self.sending.iter().find(|sending| sending.number == number) {
            // What follows tells of it.
            sending.outbox.cancel(tunnel);
            return Ok(true);
        }
        let at = self.receiving.iter().position(|receiving| receiving.number == number);
        let (Some(at), Ok(inbox)) = (at, &mut self.inbox) else { return Ok(false) };
        let Some(Receiving { id, is_asked, .. }) = self.receiving.get(at) else { return Ok(false) };
        if *is_asked {
            inbox.refuse(*id, tunnel);
            let Receiving { what, .. } = self.receiving.remove(at);
            note(self.output, &format!("* {} of {} is refused", output::Shown(&what.name), self.peer))?;
        } else {
            inbox.stop(*id, tunnel);
        }
        Ok(true)
    }

    /// Breaks everything off; what follows tells of it. What has come is kept.
    pub(super) fn cancel(&mut self, tunnel: &mut FileTunnel) {
        self.sending.iter().for_each(|sending| sending.outbox.cancel(tunnel));
        if let Ok(inbox) = &mut self.inbox {
            inbox.cancel(tunnel);
        }
    }

    /// Waits until everything is on disk that has come, and says what [`Exchange::take_unsent`] does.
    pub(super) async fn finish(mut self) -> Option<Code> {
        let unsent = self.take_unsent();
        if let Ok(inbox) = self.inbox {
            inbox.finish().await;
        }
        unsent
    }

    /// The code to end with, if something was not sent since this was asked last.
    pub(super) fn take_unsent(&mut self) -> Option<Code> {
        self.unsent.take()
    }

    /// Whether something has begun or ended since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_news)
    }

    /// Adds how far everything is, and tells the events of that.
    pub(super) fn show(&mut self, tunnel: &FileTunnel, now: Instant, numbers: &mut Numbers, total: &mut Total) {
        self.follow(numbers);
        let Self { inbox, sending, receiving, .. } = self;
        let mut add = |number, meter: &mut Meter, name: &str, (done, left)| {
            meter.show(now, name, done, left);
            total.next = [total.next, meter.deadline()].into_iter().flatten().min();
            total.moving.push(number);
        };
        for Sending { number, outbox, meter } in sending.iter_mut().filter(|sending| sending.outbox.has_begun()) {
            let (done, left) = outbox.progress(tunnel);
            add(*number, meter, outbox.goods.name(), (done, left));
            total.moved.sent += done;
            *total.moved.left.get_or_insert(0) += left;
        }
        for (id, what, done, left) in inbox.iter().flat_map(Inbox::progress) {
            let Some(Receiving { number, meter, .. }) = receiving.iter_mut().find(|one| one.id == id) else { continue };
            add(*number, meter, &what.name, (done, left));
            total.moved.received += done;
            *total.moved.coming.get_or_insert(0) += left;
        }
    }

    /// How much of what goes in this session is left.
    pub(super) fn left_of(&self, id: FileId, tunnel: &FileTunnel) -> Option<u64> {
        let sending = self.sending.iter().find(|sending| sending.outbox.goes_in(id));
        sending.map(|sending| sending.outbox.progress(tunnel).1)
    }

    /// Lists what is on its way.
    pub(super) fn list(&mut self, tunnel: &FileTunnel, numbers: &mut Numbers) -> Result<(), Failure> {
        self.follow(numbers);
        let peer = self.peer.as_str();
        for Sending { number, outbox, .. } in &self.sending {
            let (bytes, left) = outbox.progress(tunnel);
            let state = if outbox.has_begun() { "moving" } else { "offered" };
            let (direction, size) = ("out", Some(bytes.saturating_add(left)));
            let (number, name) = (*number, outbox.goods.name());
            tell(self.output, &Report::File { number, peer, name, direction, state, bytes, size })?;
        }
        for Receiving { number, id, what, is_asked, .. } in &self.receiving {
            let moving = self.inbox.iter().flat_map(Inbox::progress).find(|(moving, ..)| moving == id);
            let bytes = moving.map(|(_, _, done, _)| done).unwrap_or_default();
            let state = if *is_asked { "asked" } else { "moving" };
            let (direction, size) = ("in", Some(what.size));
            let (number, name) = (*number, what.name.as_str());
            tell(self.output, &Report::File { number, peer, name, direction, state, bytes, size })?;
        }
        Ok(())
    }

    /// Something that is sent may have come to its end.
    fn sent(&mut self, at: usize, sent: Option<Sent>, tunnel: &mut FileTunnel) -> Result<(), Failure> {
        let Some(sent) = sent else { return Ok(()) };
        if let (Sent::Begun { .. }, Some(Sending { outbox, .. })) = (&sent, self.sending.get(at)) {
            return sent.tell(self.output, &self.peer, &outbox.goods);
        }
        let Sending { outbox, .. } = self.sending.remove(at);
        self.is_news = true;
        // What the peer had asked for is of no use to it any more.
        outbox.cancel(tunnel);
        sent.tell(self.output, &self.peer, &outbox.goods)?;
        if let Err(failure) = sent.result(&self.peer, outbox.goods.name()) {
            self.unsent.get_or_insert(failure.code);
            self.output.failure(&failure);
        }
        Ok(())
    }

    /// Something may have come, or is offered.
    fn arrived(&mut self, arrived: Option<Arrived>, numbers: &mut Numbers) -> Result<(), Failure> {
        let Some(arrived) = arrived else { return Ok(()) };
        self.is_news = true;
        match &arrived {
            Arrived::Ask { id, what, .. } => {
                let number = self.number(*id, what, true, numbers);
                let (yes, no) = (format!("/take {number}"), format!("/refuse {number}"));
                return arrived.tell(self.output, &self.peer, Some((&yes, &no)));
            }
            Arrived::Done { id, .. } | Arrived::Failed { id, .. } | Arrived::Detour { id, .. } => {
                self.receiving.retain(|one| one.id != *id)
            }
            Arrived::Begun { .. } | Arrived::Wrong { .. } => {}
        }
        arrived.tell(self.output, &self.peer, None)
    }

    /// What is offered anew, because what was here differed, is what it was before.
    fn follow(&mut self, numbers: &mut Numbers) {
        let moving: Vec<_> =
            self.inbox.iter().flat_map(Inbox::progress).map(|(id, what, ..)| (id, what.clone())).collect();
        // The old session is over.
        self.receiving.retain(|one| one.is_asked || moving.iter().any(|(id, _)| one.id == *id));
        for (id, what) in &moving {
            if self.receiving.iter().all(|one| one.id != *id) {
                self.number(*id, what, false, numbers);
            }
        }
    }

    /// Gives it a number.
    fn number(&mut self, id: FileId, what: &Gist, is_asked: bool, numbers: &mut Numbers) -> u64 {
        let number = numbers.next();
        let meter = Meter::of_events(self.output, self.peer.as_str(), Direction::In);
        self.receiving.push(Receiving { number, id, what: what.clone(), is_asked, meter });
        number
    }
}
