//! Which resource of an account has XTLS: those that show themselves by presence are asked what they can do (XEP-0030), and those that
//! may be there although they do not. If none of these is it, the account is asked to show itself (XEP-0276).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{BuildHasher as _, RandomState},
};

use tokio::time::{Duration, Instant, timeout_at};
use xtls::{
    Element,
    jid::{BareJid, FullJid, Jid},
    xml::{DiscoInfo, Iq, IqType, ns},
};

use crate::{
    CallError,
    shared::{Core, State},
};

/// How long a resource of an account may take to show itself.
const PRESENCE_TIME: Duration = Duration::from_secs(10);
/// How long a resource may take to say what it can do.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long another one may take to show itself when all that have shown themselves have answered.
const SETTLE_TIME: Duration = Duration::from_millis(1500);
/// How long a search may take, whoever comes and goes meanwhile.
const SEARCH_TIME: Duration = Duration::from_secs(60);
/// How long those that may be there have before the account is asked to show itself.
const HIDDEN_TIME: Duration = Duration::from_millis(1500);
/// How many resources of an account are asked.
pub(crate) const MAX_RESOURCES: usize = 32;
/// How many questions there are in a search: one that comes back is asked again.
const MAX_QUESTIONS: usize = 2 * MAX_RESOURCES;

/// Questions to resources that wait to be sent or answered.
#[derive(Default)]
pub(crate) struct Questions {
    count: u64,
    /// What ids are made with, so that nobody who has not got a question can answer it: whoever has an address that servers take
    /// for the peer's could end a search.
    key: RandomState,
    open: BTreeMap<String, Question>,
    to_send: VecDeque<String>,
}

struct Question {
    resource: FullJid,
    answer: Option<Answer>,
}

#[derive(Clone)]
enum Answer {
    HasXtls,
    WithoutXtls,
    /// A server takes the resource for this address, which answered.
    Another(FullJid),
}

impl Questions {
    /// Sends this before anything else of the driver's own.
    pub(crate) fn send(&mut self, stanza: String) {
        self.to_send.push_back(stanza);
    }

    /// The next one to send.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.to_send.pop_front()
    }

    /// Whether any waits for an answer.
    pub(crate) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes the answer to one of them; whether it was that.
    pub(crate) fn take(&mut self, stanza: &Element) -> bool {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return false };
        let Some(question) = self.open.get_mut(iq.id) else { return false };
        let Some(from) = iq.from.and_then(|from| from.parse::<FullJid>().ok()) else { return false };
        if !matches!(iq.iq_type, IqType::Result | IqType::Error) {
            return false;
        }
        if from != question.resource {
            let is_confused = Jid::from(from.clone()).is_confused_with(&question.resource.clone().into());
            if is_confused {
                question.answer = Some(Answer::Another(from));
            }
            return is_confused;
        }
        let info = iq.payload.filter(|_| iq.iq_type == IqType::Result).and_then(DiscoInfo::parse);
        let has_xtls = |info: DiscoInfo| info.supports(ns::XTLS_0) || info.supports(ns::XTLS_1);
        let has_xtls = info.and_then(Result::ok).is_some_and(has_xtls);
        question.answer = Some(if has_xtls { Answer::HasXtls } else { Answer::WithoutXtls });
        true
    }

    fn ask(&mut self, resource: FullJid) -> String {
        let [first, second] = [0, 1].map(|half| self.key.hash_one((self.count, half)));
        let id = format!("xtls-find-{first:016x}{second:016x}");
        self.count += 1;
        let mut query = String::new();
        DiscoInfo::write_request(&mut query, &id, resource.as_str(), None, None);
        self.to_send.push_back(query);
        self.open.insert(id.clone(), Question { resource, answer: None });
        id
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// A resource of this account that shows itself, and is none of these.
    Shown(&'a BareJid, &'a BTreeSet<FullJid>),
    /// One that shows itself, or one of these whether they do or not, or one that shows itself when it is asked to.
    Any(&'a BareJid, &'a [FullJid]),
    /// This one, whether it shows itself or not.
    One(&'a FullJid),
}

impl Target<'_> {
    fn account(&self) -> BareJid {
        match self {
            Self::Shown(account, _) | Self::Any(account, _) => (*account).clone(),
            Self::One(resource) => resource.to_bare(),
        }
    }

    /// Whether this will do, if it has XTLS.
    fn is(&self, resource: &FullJid) -> bool {
        match self {
            Self::Shown(_, tried) => !tried.contains(resource),
            Self::Any(..) => true,
            Self::One(wanted) => resource == *wanted,
        }
    }

    /// Those that are asked whether they show themselves or not.
    fn usual(&self) -> &[FullJid] {
        match self {
            Self::Shown(..) => &[],
            Self::Any(_, usual) => usual,
            Self::One(resource) => core::slice::from_ref(*resource),
        }
    }

    /// Who is asked to show itself.
    fn hidden(&self) -> Option<Jid> {
        match self {
            Self::Shown(..) => None,
            Self::Any(account, _) => Some((*account).clone().into()),
            Self::One(resource) => Some((*resource).clone().into()),
        }
    }
}

/// A search.
struct Search<'a> {
    core: &'a Core,
    target: Target<'a>,
    account: BareJid,
    /// When the account is asked to show itself, unless all are sure before that it is not there; until it is asked.
    shows_at: Option<Instant>,
    /// Those that were asked: the question, until it is answered, and whether they are still there.
    asked: BTreeMap<FullJid, Asked>,
    deadline: Instant,
    /// When it ends in any case.
    latest: Instant,
    /// Questions that may still be asked.
    left: usize,
}

enum Asked {
    /// The question, and whether it was asked of one that had not shown itself.
    Awaited(String, bool),
    WithoutXtls,
    /// It went offline.
    Gone,
    /// It was asked although it had not shown itself, and has no XTLS or is not there.
    Hidden,
}

/// A resource that has XTLS.
pub(crate) async fn find(core: &Core, target: Target<'_>) -> Result<FullJid, CallError> {
    let is_first = !matches!(target, Target::Shown(_, tried) if !tried.is_empty());
    let now = Instant::now();
    let mut search = Search {
        core,
        target,
        account: target.account(),
        shows_at: target.hidden().map(|_| now + HIDDEN_TIME),
        asked: BTreeMap::new(),
        deadline: now + if is_first { PRESENCE_TIME } else { SETTLE_TIME },
        latest: now + SEARCH_TIME,
        left: MAX_QUESTIONS,
    };
    core.lock().seekers += 1;
    loop {
        let notified = core.news.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let found = search.look(&mut core.lock());
        if let Some(found) = found {
            return found;
        }
        // Where that time has passed and there is still an answer to wait for, the answer comes next.
        let shows_at = search.shows_at.filter(|at| *at > Instant::now());
        let until = shows_at.map_or(search.deadline, |at| at.min(search.deadline));
        if timeout_at(until, notified).await.is_err() && until == search.deadline {
            return Err(search.given_up());
        }
    }
}

impl Search<'_> {
    fn look(&mut self, state: &mut State) -> Option<Result<FullJid, CallError>> {
        if let Some(end) = &state.end {
            return Some(Err(CallError::Gone(end.clone())));
        }
        let now = Instant::now();
        let mut there = state.engine.resources(&self.account);
        there.retain(|resource| self.target.is(resource));
        let hidden: Vec<FullJid> =
            self.target.usual().iter().filter(|resource| !there.contains(resource)).cloned().collect();
        if let Some(found) = self.take_answers(state, &there, &hidden) {
            return Some(found);
        }
        let is_settled = !self.asked.values().any(|asked| matches!(asked, Asked::Awaited(..)));
        if is_settled && !self.asked.values().all(|asked| matches!(asked, Asked::Hidden)) {
            self.deadline = self.deadline.min(now + SETTLE_TIME);
        }
        for resource in there {
            let is_new = match self.asked.get(&resource) {
                None => self.asked.len() < MAX_RESOURCES,
                // It has come, or come back.
                Some(Asked::Gone | Asked::Hidden) => true,
                Some(Asked::Awaited(..) | Asked::WithoutXtls) => false,
            };
            if is_new {
                self.ask(state, resource, false);
            }
        }
        for resource in hidden.into_iter().take(MAX_RESOURCES) {
            if !self.asked.contains_key(&resource) {
                self.ask(state, resource, true);
            }
        }
        self.ask_to_show(state, now);
        None
    }

    /// What has been answered; the one that has XTLS, or why there is none.
    fn take_answers(
        &mut self,
        state: &mut State,
        there: &[FullJid],
        hidden: &[FullJid],
    ) -> Option<Result<FullJid, CallError>> {
        for (resource, asked) in &mut self.asked {
            let (answer, was_hidden) = match asked {
                Asked::Awaited(id, was_hidden) => {
                    let question = state.questions_asked.open.get(id);
                    (question.and_then(|question| question.answer.clone()), *was_hidden)
                }
                Asked::WithoutXtls | Asked::Gone | Asked::Hidden => (None, false),
            };
            match answer {
                Some(Answer::HasXtls) => return Some(Ok(resource.clone())),
                Some(Answer::Another(other)) => return Some(Err(CallError::Another(other.into()))),
                // The server may say so of one that is not there.
                Some(Answer::WithoutXtls) if was_hidden || !there.contains(resource) => {
                    asked.settle(state, Asked::Hidden)
                }
                Some(Answer::WithoutXtls) => asked.settle(state, Asked::WithoutXtls),
                None => {}
            }
            if !there.contains(resource) && !hidden.contains(resource) {
                asked.settle(state, Asked::Gone);
            }
        }
        None
    }

    /// Asks the account to show itself, once, if none of those that may be there is, or their time is up. That shows us to all that it
    /// has online.
    fn ask_to_show(&mut self, state: &mut State, now: Instant) {
        let is_awaited = |hidden: bool| move |asked: &Asked| matches!(asked, Asked::Awaited(_, was) if *was == hidden);
        let are_awaited = |hidden: bool| self.asked.values().any(is_awaited(hidden));
        let is_due = self.shows_at.is_some_and(|at| now >= at || !are_awaited(true)) && !are_awaited(false);
        if let Some(to) = self.target.hidden().filter(|_| is_due) {
            self.shows_at = None;
            state.show(&to, true);
        }
    }

    fn ask(&mut self, state: &mut State, resource: FullJid, is_hidden: bool) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        let id = state.questions_asked.ask(resource.clone());
        self.asked.insert(resource, Asked::Awaited(id, is_hidden));
        self.deadline = self.deadline.max(Instant::now() + ANSWER_TIME).min(self.latest);
        state.wake_driver();
    }

    /// The time is over.
    fn given_up(&self) -> CallError {
        let there = self.core.lock().engine.resources(&self.account);
        let is_gone = self.asked.iter().all(|(resource, asked)| match asked {
            Asked::Gone | Asked::Hidden => true,
            Asked::Awaited(..) => !there.contains(resource),
            Asked::WithoutXtls => false,
        });
        if is_gone { CallError::Offline } else { CallError::NoXtls }
    }
}

impl Asked {
    /// It is not waited for any more.
    fn settle(&mut self, state: &mut State, to: Self) {
        if let Self::Awaited(id, _) = self {
            state.questions_asked.open.remove(id);
        }
        *self = to;
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.seekers -= 1;
        for asked in self.asked.values_mut() {
            asked.settle(&mut state, Asked::Gone);
        }
    }
}
