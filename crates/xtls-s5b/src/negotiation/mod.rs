//! Which connection it will be: the state machine of XEP-0260 §§ 2.3 and 2.4.

mod dials;
mod error;

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use xtls_stanza::{Instant, jid::Jid};

use self::dials::{Dials, Progress};
pub use self::error::S5bFault;
use crate::{Candidate, CandidateType, DstAddr, Host, S5bPayload, S5bTransport};

/// What a negotiation begins with.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "whoever negotiates has all of it")]
pub struct Begin {
    /// Whether this end initiated the session: of candidates of the same priority, that of the initiator is taken.
    pub is_initiator: bool,
    /// The sid of the bytestream.
    pub sid: String,
    /// Your full JID as servers stamp it.
    pub own: Jid,
    /// That of the peer.
    pub peer: Jid,
    /// What was offered to the peer.
    pub offered: Vec<Candidate>,
    /// Which of the peer's candidates may be dialled.
    pub may_dial: fn(CandidateType) -> bool,
}

/// The negotiation of one SOCKS5 bytestream, as one end sees it.
///
/// The initiator's begins when it has [stated](Self::offer) its candidates, the responder's when both [have](Self::new): from then
/// on the other end may come to its listener. Once both have, they dial the candidates of the other, and tell which of them they
/// came through to; what follows from the two answers is the same at both (§ 2.4). A proxy's owner then connects to it too, and
/// activates it.
///
/// Sans-IO: [`handle`](Self::handle) takes what the peer says, the others what becomes of connections; [`poll`](Self::poll) tells
/// what is to be done. A connection is known by its [`Attempt`]. It counts as connected once SOCKS5 has succeeded on it.
///
/// From when both have stated their candidates it takes [`Negotiation::MAX_TIME`] at most; dialling takes [`Negotiation::DIAL_TIME`]. At most [`Candidate::MAX`] candidates
/// are dialled, 200 ms after one another (§ 4), proxies 300 ms later still where there are others.
#[derive(Debug)]
pub struct Negotiation {
    begin: Begin,
    dials: Dials,
    /// What we have told the peer, and what the peer has told us: which candidate of the other's.
    local: Choice,
    remote: Choice,
    phase: Phase,
    /// The candidate that both use.
    nominated: Option<(CandidateType, Jid)>,
    /// The connection that came in by a candidate of ours.
    incoming: Option<Attempt>,
    next_attempt: u32,
    actions: VecDeque<Action>,
    /// When it has failed at the latest.
    until: Instant,
    /// When a step that waits for somebody has failed.
    step_until: Option<Instant>,
}

/// A connection of a negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(u32);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect to this place and ask for this DST.ADDR by SOCKS5; then [`Negotiation::connected`] or [`Negotiation::failed`].
    Dial {
        /// The connection from now on.
        attempt: Attempt,
        /// An IP address, or a name to be looked up.
        host: Host,
        /// The port.
        port: u16,
        /// What to ask for.
        dst_addr: DstAddr,
    },
    /// Give the connection up, or the attempt to make it.
    Abandon(Attempt),
    /// Tell the peer, in a transport-info.
    Say(S5bPayload),
    /// Have the proxy connect both ends (XEP-0065 § 6.3.5); then [`Negotiation::activated`].
    Activate {
        /// The proxy.
        proxy: Jid,
        /// With whom: the peer.
        target: Jid,
    },
    /// Data goes by this connection. It is the end: nothing follows.
    Ready {
        /// The connection.
        attempt: Attempt,
        /// By what kind of candidate.
        kind: CandidateType,
        /// Whose SOCKS5 server it is: of a proxy its address.
        server: Jid,
    },
    /// There is no connection (§ 3). It is the end: nothing follows.
    Failed,
}

/// Which of the other's candidates an end came through to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    Unknown,
    /// The one of this cid and priority.
    Used(String, u32),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Our candidates are stated, and the peer has not answered with its own.
    Offered,
    /// The ends dial, and tell.
    Choosing,
    /// The candidate of ours with this index is a proxy, and we connect to it by this attempt.
    Joining(usize, Attempt),
    /// The proxy is to connect both.
    Activating(usize, Attempt),
    /// A proxy of the peer's, which the peer is to activate.
    Awaiting(Attempt),
    /// It is decided.
    Over,
}

impl Negotiation {
    /// How long an end dials the candidates of the other.
    pub const DIAL_TIME: Duration = Duration::from_secs(6);
    /// How long connecting to a proxy of one's own takes. With [`DIAL_TIME`](Self::DIAL_TIME) it is less than ten seconds, so that
    /// two ends know by then that nothing gets through, if one of them still got to the other's proxy.
    pub const JOIN_TIME: Duration = Duration::from_secs(3);
    /// How long a proxy takes to activate it.
    pub const ACTIVATION_TIME: Duration = Duration::from_secs(5);
    /// How long it takes from the beginning to the end, whatever the peer does.
    pub const MAX_TIME: Duration = Duration::from_secs(30);

    /// Begins for a responder: both ends have stated their candidates.
    #[must_use]
    pub fn new(now: Instant, begin: Begin, theirs: &S5bTransport) -> Self {
        let mut negotiation = Self::offer(now, begin);
        negotiation.answered(now, theirs);
        negotiation
    }

    /// Begins for an initiator: it has stated its candidates, and waits for those of the peer, as long as the session is offered.
    ///
    /// The responder dials as soon as it has answered, and a connection to a listener may well overtake its answer, which goes by
    /// servers.
    #[must_use]
    pub fn offer(now: Instant, begin: Begin) -> Self {
        let dst_addr = DstAddr::new(&begin.sid, &begin.peer, &begin.own);
        Self {
            dials: Dials::new(now, dst_addr),
            begin,
            local: Choice::Unknown,
            remote: Choice::Unknown,
            phase: Phase::Offered,
            nominated: None,
            incoming: None,
            next_attempt: 0,
            actions: VecDeque::new(),
            until: now + Self::MAX_TIME,
            step_until: None,
        }
    }

    /// The peer has answered the [offer](Self::offer) with its candidates. A second answer changes nothing.
    pub fn answered(&mut self, now: Instant, theirs: &S5bTransport) {
        if self.phase != Phase::Offered {
            return;
        }
        self.phase = Phase::Choosing;
        self.until = now + Self::MAX_TIME;
        self.dials.start(now, theirs.dst_addr);
        self.add(now, theirs.candidates());
        self.nominate(now);
    }

    /// What is to be done next.
    #[must_use]
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`timeout`](Self::timeout) is to be called; `None` until the peer has answered, and once it is decided.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let dials = (self.local == Choice::Unknown).then(|| self.dials.deadline()).flatten();
        let waits = (!matches!(self.phase, Phase::Offered | Phase::Over)).then_some(self.until);
        waits.map(|until| [dials, self.step_until].into_iter().flatten().fold(until, Instant::min))
    }

    /// Whether it is decided.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The sid of the bytestream.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.begin.sid
    }

    /// The DST.ADDRs that the peer may ask a listener of ours for, if there is one: clients do not agree on whose address comes
    /// first.
    #[must_use]
    pub fn expected(&self) -> Option<[DstAddr; 2]> {
        let Begin { sid, own, peer, offered, .. } = &self.begin;
        let has_listener = offered.iter().any(|candidate| candidate.kind != CandidateType::Proxy);
        (has_listener && self.is_open()).then(|| DstAddr::of_either_order(sid, own, peer))
    }

    /// A connection came in at a listener, and asks for what is [`expected`](Self::expected). `None` if it is not wanted: there
    /// is one already, or nothing is to come any more.
    pub fn incoming(&mut self) -> Option<Attempt> {
        if self.incoming.is_some() || !self.is_open() || self.remote != Choice::Unknown {
            return None;
        }
        let attempt = self.new_attempt();
        self.incoming = Some(attempt);
        Some(attempt)
    }

    /// The peer states more candidates (§ 2.2: each in a transport-info of its own). More than [`Candidate::MAX`] in all are
    /// left out.
    fn add(&mut self, now: Instant, candidates: &[Candidate]) {
        let may_dial = self.begin.may_dial;
        self.dials.add(candidates.iter().filter(|candidate| may_dial(candidate.kind)));
        self.go_on(now);
    }

    /// A connection is made, and SOCKS5 has succeeded on it.
    pub fn connected(&mut self, now: Instant, attempt: Attempt) {
        match self.phase {
            Phase::Joining(own, joined) if joined == attempt => {
                self.phase = Phase::Activating(own, attempt);
                self.step_until = Some(now + Self::ACTIVATION_TIME);
                let proxy = self.begin.offered[own].jid.clone();
                self.actions.push_back(Action::Activate { proxy, target: self.begin.peer.clone() });
            }
            Phase::Choosing if self.local == Choice::Unknown => {
                let Some(used) = self.dials.connected(attempt) else { return };
                // § 2.3: whoever has made a connection says so.
                self.local = Choice::Used(used.cid.clone(), used.priority);
                self.actions.push_back(Action::Say(S5bPayload::CandidateUsed(used.cid)));
                self.abandon_dials(Some(attempt));
                self.nominate(now);
            }
            Phase::Offered
            | Phase::Choosing
            | Phase::Joining(..)
            | Phase::Activating(..)
            | Phase::Awaiting(_)
            | Phase::Over => {}
        }
    }

    /// A connection was not made, or has ended.
    pub fn failed(&mut self, now: Instant, attempt: Attempt) {
        if self.incoming == Some(attempt) {
            self.incoming = None;
            return;
        }
        match self.phase {
            Phase::Joining(_, joined) | Phase::Activating(_, joined) if joined == attempt => self.proxy_failed(),
            Phase::Awaiting(joined) if joined == attempt => self.proxy_failed(),
            Phase::Choosing => {
                self.dials.failed(now, attempt);
                self.go_on(now);
            }
            Phase::Offered | Phase::Joining(..) | Phase::Activating(..) | Phase::Awaiting(_) | Phase::Over => {}
        }
    }

    /// What the proxy answered to the activation.
    pub fn activated(&mut self, activated: bool) {
        let Phase::Activating(own, attempt) = self.phase else { return };
        if !activated {
            return self.proxy_failed();
        }
        // § 2.4: the peer has no way to know when it can send.
        let cid = self.begin.offered[own].cid.clone();
        self.actions.push_back(Action::Say(S5bPayload::Activated(cid)));
        self.ready(attempt);
    }

    /// Takes what the peer says in a transport-info.
    ///
    /// # Errors
    ///
    /// When it does not fit. Nothing has changed then.
    pub fn handle(&mut self, now: Instant, payload: &S5bPayload) -> Result<(), S5bFault> {
        match payload {
            S5bPayload::Candidates(candidates) => {
                if self.is_open() && self.local == Choice::Unknown {
                    self.add(now, candidates);
                }
                Ok(())
            }
            S5bPayload::CandidateUsed(cid) => {
                let used = self.begin.offered.iter().find(|candidate| candidate.cid == *cid);
                let used = used.ok_or(S5bFault::UnknownCandidate)?;
                self.told(now, Choice::Used(cid.clone(), used.priority))
            }
            S5bPayload::CandidateError => self.told(now, Choice::Nothing),
            S5bPayload::Activated(cid) => match (self.phase, &self.local) {
                (Phase::Awaiting(attempt), Choice::Used(used, _)) if used == cid => {
                    self.ready(attempt);
                    Ok(())
                }
                (Phase::Awaiting(_), _) => Err(S5bFault::UnknownCandidate),
                _ => Err(S5bFault::OutOfOrder),
            },
            S5bPayload::ProxyError => match self.phase {
                Phase::Joining(..) | Phase::Activating(..) | Phase::Awaiting(_) => {
                    self.fail();
                    Ok(())
                }
                Phase::Offered | Phase::Choosing | Phase::Over => Err(S5bFault::OutOfOrder),
            },
        }
    }

    /// Passes time on. An extra call does nothing.
    pub fn timeout(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Offered | Phase::Over) {
            return;
        }
        if self.step_until.is_some_and(|until| until <= now) {
            return self.proxy_failed();
        }
        if self.until <= now {
            return self.fail();
        }
        self.go_on(now);
    }

    /// Whether it is still to be found out which candidate it will be.
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Offered | Phase::Choosing)
    }

    /// Dials what is due, as long as that can change anything.
    fn go_on(&mut self, now: Instant) {
        if self.phase != Phase::Choosing || self.local != Choice::Unknown {
            return;
        }
        // § 2.3: what the peer uses stands, unless one with a higher priority is found; of the same priority, the initiator's.
        if let Choice::Used(_, priority) = self.remote {
            let least = if self.begin.is_initiator { priority } else { priority.saturating_add(1) };
            let dropped = self.dials.drop_below(least);
            self.actions.extend(dropped.into_iter().map(Action::Abandon));
        }
        loop {
            match self.dials.next(now) {
                Progress::Dial(index) => {
                    let attempt = self.new_attempt();
                    let (candidate, dst_addr) = self.dials.begin(now, index, attempt);
                    let (host, port) = (candidate.host.clone(), candidate.port);
                    self.actions.push_back(Action::Dial { attempt, host, port, dst_addr });
                }
                Progress::GiveUp(attempt) => self.actions.push_back(Action::Abandon(attempt)),
                Progress::Waits => return,
                Progress::Exhausted => break,
            }
        }
        self.local = Choice::Nothing;
        self.actions.push_back(Action::Say(S5bPayload::CandidateError));
        self.nominate(now);
    }

    /// The peer has told what it came through to.
    fn told(&mut self, now: Instant, choice: Choice) -> Result<(), S5bFault> {
        if self.remote != Choice::Unknown {
            // The same again is harmless.
            return if self.remote == choice { Ok(()) } else { Err(S5bFault::OutOfOrder) };
        }
        if !self.is_open() {
            return Err(S5bFault::OutOfOrder);
        }
        self.remote = choice;
        self.go_on(now);
        self.nominate(now);
        Ok(())
    }

    /// § 2.4: what follows from what both have told.
    fn nominate(&mut self, now: Instant) {
        if self.phase != Phase::Choosing {
            return;
        }
        let is_theirs = match (&self.local, &self.remote) {
            (Choice::Unknown, _) | (_, Choice::Unknown) => return,
            (Choice::Nothing, Choice::Nothing) => return self.fail(),
            (Choice::Used(..), Choice::Nothing) => true,
            (Choice::Nothing, Choice::Used(..)) => false,
            (Choice::Used(_, theirs), Choice::Used(_, ours)) if theirs == ours => self.begin.is_initiator,
            (Choice::Used(_, theirs), Choice::Used(_, ours)) => theirs > ours,
        };
        if is_theirs {
            return self.take_theirs(now);
        }
        let Choice::Used(cid, _) = &self.remote else { return };
        let Some(own) = self.begin.offered.iter().position(|candidate| candidate.cid == *cid) else { return };
        self.take_ours(now, own);
    }

    /// What we dialled is nominated.
    fn take_theirs(&mut self, now: Instant) {
        let Some((attempt, candidate)) = self.dials.used() else { return self.fail() };
        let kind = candidate.kind;
        self.nominated = Some((kind, candidate.jid.clone()));
        if kind == CandidateType::Proxy {
            self.phase = Phase::Awaiting(attempt);
            self.step_until = Some(now + Self::JOIN_TIME + Self::ACTIVATION_TIME);
            self.abandon_incoming();
        } else {
            self.ready(attempt);
        }
    }

    /// The candidate of ours that the peer uses is nominated.
    fn take_ours(&mut self, now: Instant, own: usize) {
        let candidate = &self.begin.offered[own];
        self.nominated = Some((candidate.kind, candidate.jid.clone()));
        if candidate.kind == CandidateType::Proxy {
            let (host, port) = (candidate.host.clone(), candidate.port);
            let dst_addr = DstAddr::new(&self.begin.sid, &self.begin.own, &self.begin.peer);
            let attempt = self.new_attempt();
            self.phase = Phase::Joining(own, attempt);
            self.step_until = Some(now + Self::JOIN_TIME);
            self.abandon_dials(None);
            self.abandon_incoming();
            self.actions.push_back(Action::Dial { attempt, host, port, dst_addr });
        } else if let Some(attempt) = self.incoming {
            self.ready(attempt);
        } else {
            // The peer says that it came by our listener, and it did not.
            self.fail();
        }
    }

    /// § 2.4: whoever does not come through a proxy that was nominated says so.
    fn proxy_failed(&mut self) {
        self.actions.push_back(Action::Say(S5bPayload::ProxyError));
        self.fail();
    }

    fn ready(&mut self, attempt: Attempt) {
        self.end(Some(attempt));
        if let Some((kind, server)) = self.nominated.take() {
            self.actions.push_back(Action::Ready { attempt, kind, server });
        }
    }

    fn fail(&mut self) {
        self.end(None);
        self.actions.push_back(Action::Failed);
    }

    /// Gives up every connection but this one.
    fn end(&mut self, but: Option<Attempt>) {
        let joined = match self.phase {
            Phase::Joining(_, attempt) | Phase::Activating(_, attempt) => Some(attempt),
            Phase::Offered | Phase::Choosing | Phase::Awaiting(_) | Phase::Over => None,
        };
        self.phase = Phase::Over;
        self.step_until = None;
        self.actions.extend(joined.filter(|attempt| Some(*attempt) != but).map(Action::Abandon));
        self.abandon_dials(but);
        if self.incoming != but {
            self.abandon_incoming();
        }
    }

    fn abandon_dials(&mut self, but: Option<Attempt>) {
        let open = self.dials.give_up(but);
        self.actions.extend(open.into_iter().map(Action::Abandon));
    }

    fn abandon_incoming(&mut self) {
        self.actions.extend(self.incoming.take().map(Action::Abandon));
    }

    fn new_attempt(&mut self) -> Attempt {
        self.next_attempt += 1;
        Attempt(self.next_attempt)
    }
}
