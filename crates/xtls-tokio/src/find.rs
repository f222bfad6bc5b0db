//! Which resource of an account has XTLS: those that show themselves by presence are asked what they can do (XEP-0030).

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

/// A search for one account.
struct Search<'a> {
    core: &'a Core,
    account: &'a BareJid,
    /// Those that are asked whether they show themselves or not.
    usual: &'a [FullJid],
    /// Those that are not wanted.
    tried: &'a BTreeSet<FullJid>,
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

/// A resource of this account that has XTLS and was not tried yet.
pub(crate) async fn find(
    core: &Core,
    account: &BareJid,
    usual: &[FullJid],
    tried: &BTreeSet<FullJid>,
) -> Result<FullJid, CallError> {
    let wait = if tried.is_empty() { PRESENCE_TIME } else { SETTLE_TIME };
    let now = Instant::now();
    let (deadline, latest) = (now + wait, now + SEARCH_TIME);
    let mut search =
        Search { core, account, usual, tried, asked: BTreeMap::new(), deadline, latest, left: MAX_QUESTIONS };
    core.lock().seekers += 1;
    loop {
        let notified = core.news.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let found = search.look(&mut core.lock());
        if let Some(found) = found {
            return found;
        }
        if timeout_at(search.deadline, notified).await.is_err() {
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
        let mut there = state.engine.resources(self.account);
        there.retain(|resource| !self.tried.contains(resource));
        let hidden = self.usual.iter().filter(|resource| !there.contains(resource) && !self.tried.contains(*resource));
        let hidden: Vec<FullJid> = hidden.cloned().collect();
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
                Some(Answer::WithoutXtls) if was_hidden => asked.settle(state, Asked::Hidden),
                Some(Answer::WithoutXtls) => asked.settle(state, Asked::WithoutXtls),
                None => {}
            }
            if !there.contains(resource) && !hidden.contains(resource) {
                asked.settle(state, Asked::Gone);
            }
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
        None
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
        let there = self.core.lock().engine.resources(self.account);
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
