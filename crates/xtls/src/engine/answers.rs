//! Answers that belong to no tunnel, or outlive theirs.

use std::{collections::VecDeque, sync::Arc};

use xtls_jingle::{Jingle, JingleVersion, Reason};
use xtls_stanza::{Id, Iq, IqType, TlsOffer, jid::Jid};

use crate::{
    answer::Answer,
    shared::{Shared, address},
};

/// Answers that wait to be polled.
///
/// Each stanza that comes in causes one at the most. When [`Answers::WAITING`] of them wait, or their ids and addresses have
/// [`Answers::BYTES`], further ones are dropped: that is a flood to an engine that is not polled.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Waiting>,
    /// Of ids, addresses and sids, which are of any length that a stanza can have.
    bytes: usize,
    /// Ids of requests to which an answer is due that is of no interest to anybody: session-terminates sent outside any
    /// tunnel, and what was on its way when a tunnel ended.
    expected: VecDeque<(Id, Arc<str>)>,
}

#[derive(Debug)]
enum Waiting {
    Reply {
        to: Arc<str>,
        id: String,
        error: Option<xtls_stanza::StanzaError>,
        /// The farewell of this tunnel goes first.
        after: Option<u64>,
    },
    Offer {
        to: Arc<str>,
        id: String,
        offer: TlsOffer,
    },
    Terminate {
        to: Arc<str>,
        sid: String,
        version: JingleVersion,
        reason: Reason,
    },
}

impl Answers {
    /// Answers that may wait.
    const WAITING: usize = 1024;
    /// Bytes of ids, addresses and sids in them.
    const BYTES: usize = 256 * 1024;
    /// Answers that may be expected; the oldest are forgotten first. Some tunnels' worth: each leaves 41 at the most.
    const EXPECTED: usize = 256;

    pub(super) fn push(&mut self, to: &str, id: &str, answer: Answer) {
        self.push_after(None, to, id, answer);
    }

    /// The same for an answer that goes after the farewell of this tunnel.
    pub(super) fn push_after(&mut self, after: Option<u64>, to: &str, id: &str, answer: Answer) {
        if self.waiting.len() >= Self::WAITING || self.bytes >= Self::BYTES {
            return;
        }
        let to: Arc<str> = address(to);
        let id = id.to_owned();
        match answer {
            Answer::Result => self.wait(Waiting::Reply { to, id, error: None, after }),
            Answer::Error(error) => self.wait(Waiting::Reply { to, id, error: Some(error), after }),
            Answer::Offer(offer) => self.wait(Waiting::Offer { to, id, offer }),
            Answer::Terminate { sid, version, reason } => {
                self.wait(Waiting::Reply { to: Arc::clone(&to), id, error: None, after });
                self.wait(Waiting::Terminate { to, sid, version, reason });
            }
        }
    }

    /// The tunnel whose farewell goes before the next one.
    pub(super) fn next_after(&self) -> Option<u64> {
        match self.waiting.front()? {
            Waiting::Reply { after, .. } => *after,
            Waiting::Offer { .. } | Waiting::Terminate { .. } => None,
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes();
        self.waiting.push_back(waiting);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
        self.expected.clear();
    }

    pub(super) fn poll(&mut self, shared: &mut Shared, out: &mut String) -> Option<Arc<str>> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.bytes();
        match next {
            Waiting::Reply { to, id, error: None, .. } => {
                Iq::write_result(out, &id, &to, shared.from());
                Some(to)
            }
            Waiting::Reply { to, id, error: Some(error), .. } => {
                Iq::write_error(out, &id, &to, shared.from(), &error);
                Some(to)
            }
            Waiting::Offer { to, id, offer } => {
                Iq::write_start(out, IqType::Result, &id, &to, shared.from());
                offer.write(out);
                out.push_str("</iq>");
                Some(to)
            }
            Waiting::Terminate { to, sid, version, reason } => {
                let from = shared.config.stamp_from.then(|| shared.jid.as_str());
                let terminate = Jingle::terminate(&sid, reason).with_version(version);
                let sent = terminate.write_iq(&mut shared.ids, &to, from, out);
                let from = Jid::new(&to).map_or_else(|_| Arc::clone(&to), |jid| address(jid.canonical()));
                self.expect(sent.id, &from);
                Some(to)
            }
        }
    }

    /// An answer from this canonical address may still come, and nobody wants it.
    pub(super) fn expect(&mut self, id: Id, from: &Arc<str>) {
        if self.expected.len() >= Self::EXPECTED {
            self.expected.pop_front();
        }
        self.expected.push_back((id, Arc::clone(from)));
    }

    /// Whether this is the answer to something that was sent from here.
    pub(super) fn take_expected(&mut self, id: &str, from: &str) -> bool {
        let found = self.expected.iter().position(|(own, by)| own.as_str() == id && **by == *from);
        found.and_then(|at| self.expected.remove(at)).is_some()
    }
}

impl Waiting {
    /// What it holds of what the peer chose.
    fn bytes(&self) -> usize {
        match self {
            Self::Reply { to, id, .. } | Self::Offer { to, id, .. } => to.len() + id.len(),
            Self::Terminate { to, sid, .. } => to.len() + sid.len(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_wait_are_bounded_in_number_and_in_bytes_at_the_limit_and_one_past_it() {
        let mut many = Answers::default();
        for _ in 0..=Answers::WAITING {
            many.push("a@b", "id", Answer::Result);
        }
        assert_eq!(many.waiting.len(), Answers::WAITING);
        assert_eq!(many.bytes, Answers::WAITING * 5);

        let mut large = Answers::default();
        let id = "i".repeat(16 * 1024 - 3);
        for sent in 0..17 {
            large.push("a@b", &id, Answer::Result);
            assert_eq!(large.waiting.len(), (sent + 1).min(16), "{sent}");
        }
        assert_eq!(large.bytes, Answers::BYTES);
        large.clear();
        assert_eq!((large.bytes, large.waiting.len()), (0, 0));
    }

    #[test]
    fn answers_that_are_expected_are_bounded_and_the_oldest_is_forgotten_first() {
        let mut ids = xtls_stanza::Ids::new([1; 32]);
        let from: Arc<str> = Arc::from("romeo@montague.lit/orchard");
        let sent: Vec<_> = (0..=Answers::EXPECTED).map(|_| ids.next_id()).collect();
        let mut answers = Answers::default();
        sent[..Answers::EXPECTED].iter().for_each(|id| answers.expect(*id, &from));
        assert_eq!(answers.expected.len(), Answers::EXPECTED);
        answers.expect(sent[Answers::EXPECTED], &from);
        assert_eq!(answers.expected.len(), Answers::EXPECTED);
        let known: Vec<_> = sent.iter().map(|id| answers.take_expected(id.as_str(), &from)).collect();
        assert!(!known[0] && known[1..].iter().all(|known| *known));
    }
}
