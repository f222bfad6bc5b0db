//! `xtls subscribe`: whose presence the user sees, and who sees the user's (RFC 6121 § 3).

use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, Instant};

use xtls::jingle::ReasonCondition;
use xtls_stanza::Condition;
use xtls_stanza::jid::BareJid;

use crate::args::{Patience, SubscribeArgs};
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report, Subscription};
use crate::session::roster::{self, Item, Said};
use crate::session::{Happening, Rules, Session};

/// How long the server may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How long the peer's server may take to say what it can say by itself. The peer may take days.
const SETTLE_TIME: Duration = Duration::from_secs(5);
/// Ids of requests, and of what is sent about presence. No answer goes by the latter.
const ROSTER_ID: &str = "roster";
const REMOVE_ID: &str = "remove";
const PRESENCE_ID: &str = "subscribe";
/// Most requests that are remembered: whoever makes up more accounts does not fill the memory.
const MAX_REQUESTS: usize = 1000;

pub(crate) async fn run(output: Output, data: &DataDir, args: &SubscribeArgs) -> Result<(), Failure> {
    let peer = args.peer.as_ref().map(|peer| peer.to_bare());
    if let Some(peer) = peer.as_ref().filter(|peer| args.account.bare().is_ok_and(|own| own == **peer)) {
        return Err(Failure::usage(format!("{peer} is your own address: you see its presence anyway")));
    }
    let trust = data.trust()?;
    let rules = Rules::by_pins(&trust);
    let mut session = Session::start(output, data, &args.account, trust, &rules).await?;
    let result = subscribe(&mut session, peer.as_ref(), args).await;
    session.end().await;
    result
}

async fn subscribe(session: &mut Session, peer: Option<&BareJid>, args: &SubscribeArgs) -> Result<(), Failure> {
    let mut contacts = Contacts::read(session).await?;
    match peer {
        None => contacts.tell(session),
        Some(peer) if args.remove => contacts.remove(session, peer).await,
        Some(peer) => contacts.subscribe(session, peer, args.wait.patience).await,
    }
}

/// What there is between the user and the others.
#[derive(Debug, Default)]
struct Contacts(BTreeMap<BareJid, State>);

/// The same of one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    item: Item,
    /// It asks to see the user's presence, and has no answer.
    requests: bool,
    /// It was approved now, and the server approves in advance. Not every server repeats that.
    is_approved: bool,
}

/// What the user can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Ask to see the peer's presence.
    Ask,
    /// Let it see ours: now, or as soon as it asks.
    Approve,
}

impl State {
    /// What is to be done so that each sees the other. A request may wait that the server does not show (docs/wire.md § 3), and the
    /// peer's server may not have been told of an approval, so the peer is approved in any case: where there is nothing to approve that
    /// is nothing, or an approval in advance (RFC 6121 § A.2.3).
    fn steps(&self) -> &'static [Step] {
        if self.item.sees { &[Step::Approve] } else { &[Step::Ask, Step::Approve] }
    }

    fn is_mutual(&self) -> bool {
        self.item.sees && self.item.seen
    }
}

impl Contacts {
    /// Asks the server. Requests of others come before its answer: they follow the presence that was sent first (RFC 6121 § 3.1.3).
    async fn read(session: &mut Session) -> Result<Self, Failure> {
        let mut contacts = Self::default();
        session.send(&roster::get(ROSTER_ID)).await;
        let until = clock::now() + ANSWER_TIME;
        loop {
            let Some(stanza) = next(session, until).await? else { return Err(silent()) };
            let own = session.own().jid.clone();
            match roster::answered(&stanza, ROSTER_ID, &own) {
                Some(Ok(query)) => {
                    for (jid, item) in roster::items(query) {
                        contacts.0.entry(jid).or_default().item = item;
                    }
                    return Ok(contacts);
                }
                // RFC 6121 § 2.1.4: there is no roster yet.
                Some(Err(error)) if error.condition == Condition::ItemNotFound => return Ok(contacts),
                Some(Err(error)) => {
                    return Err(Failure::connection(format!(
                        "the server does not say whose presence you see: {error}; it may have no contacts at all"
                    )));
                }
                None => {}
            }
            contacts.note(&stanza, &own);
        }
    }

    /// Takes note of what a stanza says, and gives who said what by it.
    fn note(&mut self, stanza: &xtls::Element, own: &BareJid) -> Option<(BareJid, Said)> {
        if let Some((jid, item)) = roster::pushed(stanza, own) {
            let state = self.0.entry(jid).or_default();
            state.item = item;
            state.requests &= !item.seen;
            return None;
        }
        let (jid, said) = roster::said(stanza)?;
        match said {
            Said::Subscribe if self.0.contains_key(&jid) || self.0.len() < MAX_REQUESTS => {
                self.0.entry(jid.clone()).or_default().requests = true;
            }
            Said::Unsubscribe => {
                if let Some(state) = self.0.get_mut(&jid) {
                    state.requests = false;
                }
            }
            Said::Subscribe | Said::Subscribed | Said::Unsubscribed | Said::Error(_) => {}
        }
        Some((jid, said))
    }

    fn of(&self, peer: &BareJid) -> State {
        self.0.get(peer).copied().unwrap_or_default()
    }

    fn tell(&self, session: &Session) -> Result<(), Failure> {
        self.0.iter().try_for_each(|(peer, state)| report(session, peer, *state))
    }

    /// Does what there is to do so that the user and the peer see one another; waits for the peer with so much patience.
    async fn subscribe(
        &mut self,
        session: &mut Session,
        peer: &BareJid,
        patience: Option<Patience>,
    ) -> Result<(), Failure> {
        let own = session.own().jid.clone();
        let begun = clock::now();
        let wait_until = patience.map(|Patience(time)| time.map(|time| begun + time));
        let mut until = begun + SETTLE_TIME;
        let mut told = None;
        for step in self.of(peer).steps() {
            take(session, peer, *step).await;
        }
        self.0.entry(peer.clone()).or_default().is_approved = session.pre_approves;
        loop {
            let state = self.of(peer);
            if state.is_mutual() {
                return report(session, peer, state);
            }
            let now = clock::now();
            if now >= until && told != Some(state) {
                report(session, peer, state)?;
                told = Some(state);
            }
            let end = match wait_until {
                // It may come to nothing by then, which is no failure: the peer may take its time.
                None if now >= until => return Ok(()),
                None => until,
                Some(Some(end)) if now >= end => return Err(unanswered(peer)),
                Some(end) if now >= until => end.unwrap_or(now + Duration::from_secs(24 * 60 * 60)),
                Some(end) => end.map_or(until, |end| end.min(until)),
            };
            let Some(stanza) = next(session, end).await? else { continue };
            let said = self.note(&stanza, &own).filter(|(from, _)| from == peer).map(|(_, said)| said);
            let now = self.of(peer);
            match said {
                Some(Said::Subscribe) if !now.item.seen => take(session, peer, Step::Approve).await,
                Some(Said::Unsubscribed) if !now.item.sees => return Err(refused(peer)),
                Some(Said::Error(error)) => {
                    return Err(
                        Failure::connection(format!("{peer} cannot be asked: {error}; check the address")).about(peer)
                    );
                }
                _ => {}
            }
            if now != state {
                until = clock::now() + SETTLE_TIME;
            }
        }
    }

    /// Undoes it.
    async fn remove(&mut self, session: &mut Session, peer: &BareJid) -> Result<(), Failure> {
        // RFC 6121 §§ 3.2.1, 3.3.1: this takes back what was approved, in advance too, refuses what was asked, and asks no more.
        for kind in ["unsubscribed", "unsubscribe"] {
            session.send(&roster::presence(kind, PRESENCE_ID, peer)).await;
        }
        // What has a name or a group, which other clients give, is a contact for other reasons too, and stays one.
        let request = match self.0.get(peer).map(|state| state.item.is_kept) {
            Some(false) => roster::remove(REMOVE_ID, peer),
            Some(true) | None => roster::get(REMOVE_ID),
        };
        session.send(&request).await;
        let until = clock::now() + ANSWER_TIME;
        loop {
            let Some(stanza) = next(session, until).await? else { return Err(silent()) };
            let own = session.own().jid.clone();
            match roster::answered(&stanza, REMOVE_ID, &own) {
                // RFC 6121 § 2.5.3: it was not there, which is what was wanted.
                Some(Err(error)) if error.condition != Condition::ItemNotFound => {
                    return Err(Failure::connection(format!("the server does not forget {peer}: {error}")).about(peer));
                }
                Some(_) => return report(session, peer, State::default()),
                None => {
                    self.note(&stanza, &own);
                }
            }
        }
    }
}

/// The next stanza; `None` when the time is over.
async fn next(session: &mut Session, until: Instant) -> Result<Option<xtls::Element>, Failure> {
    loop {
        match session.next(pending::<()>(), Some(until)).await? {
            Happening::Stanza(stanza) => return Ok(Some(stanza)),
            Happening::Time => return Ok(None),
            Happening::Interrupted => return Err(Failure::interrupted()),
            Happening::Incoming(incoming) => {
                let _ = incoming.reject(ReasonCondition::Busy);
            }
            Happening::Notice(_) | Happening::Beside(()) => {}
        }
    }
}

async fn take(session: &Session, peer: &BareJid, step: Step) {
    let kind = match step {
        Step::Ask => "subscribe",
        Step::Approve => "subscribed",
    };
    session.send(&roster::presence(kind, PRESENCE_ID, peer)).await;
}

fn report(session: &Session, peer: &BareJid, state: State) -> Result<(), Failure> {
    let State { item, requests, is_approved } = state;
    session.report(&Report::Subscription(Subscription {
        peer: peer.as_str(),
        sees: item.sees,
        seen: item.seen,
        asked: item.asked,
        approved: item.approved || is_approved && !item.seen,
        requests,
    }))
}

fn silent() -> Failure {
    Failure::connection("the server does not say whose presence you see: try again")
}

fn refused(peer: &BareJid) -> Failure {
    Failure::connection(format!(
        "{peer} does not let you see its presence, or there is no such account: ask its owner, who can run xtls subscribe"
    ))
    .about(peer)
}

fn unanswered(peer: &BareJid) -> Failure {
    Failure::connection(format!("{peer} has not answered: ask its owner to run xtls subscribe too")).about(peer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::{Element, Limits};

    use super::*;

    fn note(contacts: &mut Contacts, stanza: &str) -> Option<(BareJid, Said)> {
        let stanza = Element::parse(stanza, &Limits::default()).unwrap();
        contacts.note(&stanza, &"juliet@capulet.lit".parse().unwrap())
    }

    #[test]
    fn a_request_stands_until_it_is_approved_or_taken_back_and_a_thousand_are_remembered() {
        let romeo: BareJid = "romeo@montague.lit".parse().unwrap();
        let mut contacts = Contacts::default();
        let subscribe = "<presence type='subscribe' from='romeo@montague.lit'/>";
        assert_eq!(note(&mut contacts, subscribe), Some((romeo.clone(), Said::Subscribe)));
        assert!(contacts.of(&romeo).requests);
        note(&mut contacts, &subscribe.replace("'subscribe'", "'unsubscribe'"));
        assert!(!contacts.of(&romeo).requests);
        note(&mut contacts, subscribe);
        let push = |subscription: &str| {
            format!(
                "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='romeo@montague.lit' \
                 subscription='{subscription}'/></query></iq>"
            )
        };
        note(&mut contacts, &push("to"));
        assert!(contacts.of(&romeo).requests && contacts.of(&romeo).item.sees);
        note(&mut contacts, &push("both"));
        assert!(!contacts.of(&romeo).requests && contacts.of(&romeo).is_mutual());
        for number in 0..2 * MAX_REQUESTS {
            note(&mut contacts, &subscribe.replace("romeo", &number.to_string()));
        }
        assert_eq!(contacts.0.len(), MAX_REQUESTS);
    }
}
