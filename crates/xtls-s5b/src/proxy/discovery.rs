//! Finding the proxies of a server (XEP-0065 § 4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xtls_stanza::{DiscoInfo, ElementRef, Id, Ids, Iq, IqType, jid::Jid, ns, write};

use super::{StreamHost, is_answer};

/// A search for proxies: what a server has, what each of that is, and where those are that are proxies.
///
/// Write what [`Discovery::poll`] gives, and offer it each IQ that comes. It has no clock: whoever has waited long enough takes what
/// [`Discovery::proxies`] has by then.
///
/// ```
/// use xtls_s5b::proxy::Discovery;
/// use xtls_stanza::{Element, Ids, Iq, Limits};
///
/// let mut ids = Ids::new([7; 32]);
/// let mut discovery = Discovery::of_server("montague.lit".parse()?);
/// let mut question = String::new();
/// while discovery.poll(&mut ids, None, &mut question) {
///     // Send the question, and give what comes to `discovery.handle_iq`.
/// #   question.clear();
/// }
/// assert!(!discovery.is_done());
/// # Ok::<(), xtls_stanza::jid::JidError>(())
/// ```
#[derive(Debug, Default)]
pub struct Discovery {
    /// What is still to be asked.
    queue: VecDeque<Question>,
    /// What has been asked, by the id.
    open: BTreeMap<Id, Question>,
    /// Whoever is or was to be asked.
    known: BTreeSet<Jid>,
    found: Vec<StreamHost>,
}

#[derive(Debug, Clone)]
struct Question {
    to: Jid,
    about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// What the server has.
    Items,
    /// What one of that is.
    Info,
    /// Where the proxy is.
    Address,
}

impl Discovery {
    /// How many things of a server are looked at; those that it names after them are not.
    pub const MAX_ITEMS: usize = 32;
    /// How many proxies are found; then the search is done.
    pub const MAX_PROXIES: usize = 4;

    /// One that asks this server for its proxies.
    #[must_use]
    pub fn of_server(server: Jid) -> Self {
        Self { queue: VecDeque::from([Question { to: server, about: About::Items }]), ..Self::default() }
    }

    /// One that asks this proxy where it is, and nothing else.
    #[must_use]
    pub fn of_proxy(proxy: Jid) -> Self {
        let queue = VecDeque::from([Question { to: proxy.clone(), about: About::Address }]);
        Self { queue, known: BTreeSet::from([proxy]), ..Self::default() }
    }

    /// Appends the next question, if there is one to be sent. `from` is for who is not stamped by a server.
    pub fn poll(&mut self, ids: &mut Ids, from: Option<&str>, out: &mut String) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(question) = self.queue.pop_front() else { return false };
        let id = ids.next_id();
        let to = question.to.as_str();
        match question.about {
            About::Items => {
                Iq::write_start(out, IqType::Get, id.as_str(), to, from);
                out.push_str("<query");
                write::attribute(out, "xmlns", ns::DISCO_ITEMS);
                out.push_str("/></iq>");
            }
            About::Info => DiscoInfo::write_request(out, id.as_str(), to, from, None),
            About::Address => StreamHost::write_request(out, id.as_str(), to, from),
        }
        self.open.insert(id, question);
        true
    }

    /// Takes an IQ if it is the answer to one of the questions, and says whether it was.
    pub fn handle_iq(&mut self, iq: &Iq<'_>) -> bool {
        let asked = self.open.iter().find(|(id, question)| is_answer(iq, id.as_str(), &question.to));
        let Some(id) = asked.map(|(id, _)| *id) else { return false };
        let Some(question) = self.open.remove(&id) else { return false };
        // Who answers with an error is no proxy, or none for us.
        if let Some(query) = iq.payload.filter(|_| iq.iq_type == IqType::Result) {
            self.take(&question, query);
        }
        true
    }

    /// Whether nothing more will be found.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_full() || self.queue.is_empty() && self.open.is_empty()
    }

    /// What has been found, in the order of the answers.
    #[must_use]
    pub fn proxies(&self) -> &[StreamHost] {
        &self.found
    }

    fn is_full(&self) -> bool {
        self.found.len() == Self::MAX_PROXIES
    }

    fn take(&mut self, question: &Question, query: ElementRef<'_>) {
        match question.about {
            About::Items => self.take_items(query),
            About::Info => {
                let info = DiscoInfo::parse(query).and_then(Result::ok).unwrap_or_default();
                // XEP-0065 § 4: it is one by this identity.
                if info.identities.iter().any(|of| of.category == "proxy" && of.kind == "bytestreams") {
                    self.queue.push_back(Question { to: question.to.clone(), about: About::Address });
                }
            }
            About::Address => {
                let found = StreamHost::of_query(query).filter(|found| !self.is_full() && !self.found.contains(found));
                self.found.extend(found);
            }
        }
    }

    fn take_items(&mut self, query: ElementRef<'_>) {
        if !query.is("query", ns::DISCO_ITEMS) {
            return;
        }
        // What has a node is a part of somebody, and a proxy is somebody (XEP-0030 § 4.1).
        let items =
            query.children().filter(|item| item.is("item", ns::DISCO_ITEMS) && item.attribute("node").is_none());
        for jid in items.filter_map(|item| item.attribute("jid")?.parse::<Jid>().ok()) {
            if self.known.len() == Self::MAX_ITEMS {
                break;
            }
            if self.known.insert(jid.clone()) {
                self.queue.push_back(Question { to: jid, about: About::Info });
            }
        }
    }
}
