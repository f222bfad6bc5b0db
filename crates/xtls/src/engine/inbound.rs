//! Stanzas from the outer stream: whose are they?

use std::borrow::Cow;

use xtls_channel::Instant;
use xtls_ibb::{BytestreamFault, PlainIq, Request};
use xtls_jingle::{Action, Jingle, JingleCondition};
use xtls_stanza::{
    Condition, Element, ElementRef, ErrorType, Iq, IqType, PubkeysVariant, StanzaError,
    jid::{FullJid, Jid},
    ns,
};

use super::{Engine, probing::is_offer, watch};
use crate::{
    answer::Answer,
    event::{Disposition, Refusal},
    tunnel::TunnelCore,
};

/// Whom a stanza is from.
pub(super) struct Sender<'a> {
    /// As the server stamped it, which is where answers go.
    pub stamped: &'a str,
    /// In its canonical form, which is what it is known by.
    pub address: Cow<'a, str>,
}

impl Engine {
    /// Takes a stanza of the outer stream, as text. Feed it every stanza, presence too.
    ///
    /// The text may stand without any context: a stanza without a namespace of its own is in that of the stream.
    pub fn handle_stanza(&mut self, now: Instant, stanza: &str) -> Disposition {
        self.handle_plain(now, stanza.as_bytes()).unwrap_or_else(|| self.handle_text(now, stanza))
    }

    /// The same for a client that has not looked whether what arrived is UTF-8, as RFC 6120 § 11.6 asks: blocks of data need no
    /// look of their own, and anything else that is not is [malformed](Disposition::Malformed).
    pub fn handle_stanza_bytes(&mut self, now: Instant, stanza: &[u8]) -> Disposition {
        self.handle_plain(now, stanza).unwrap_or_else(|| match core::str::from_utf8(stanza) {
            Ok(stanza) => self.handle_text(now, stanza),
            Err(error) => Disposition::Malformed(error.into()),
        })
    }

    /// The same for a client that holds elements.
    pub fn handle_element(&mut self, now: Instant, stanza: &Element) -> Disposition {
        self.shared.env.advance(now);
        if !ns::is_stanza(stanza.ns()) {
            return Disposition::NotOurs;
        }
        match stanza.name() {
            "presence" => self.handle_presence(stanza),
            "message" => self.handle_message(stanza),
            "iq" => match Iq::parse(stanza) {
                Some(Ok(iq)) => self.handle_iq(iq),
                Some(Err(_)) => self.handle_malformed_iq(stanza),
                None => Disposition::NotOurs,
            },
            _ => Disposition::NotOurs,
        }
    }

    fn handle_text(&mut self, now: Instant, stanza: &str) -> Disposition {
        match self.shared.parser.parse(stanza) {
            Ok(element) => {
                let disposition = self.handle_element(now, &element);
                self.shared.parser.reuse(element);
                disposition
            }
            Err(error) => Disposition::Malformed(error),
        }
    }

    /// Takes what nearly all traffic of a busy tunnel consists of, if it is recognised in its text.
    fn handle_plain(&mut self, now: Instant, stanza: &[u8]) -> Option<Disposition> {
        let mut block = self.shared.block.take();
        let plain = PlainIq::recognise(stanza, &self.shared.config.stanza_limits, &mut block);
        let disposition = plain.map(|plain| {
            self.shared.env.advance(now);
            match plain {
                PlainIq::Data { id, from, request } => {
                    self.handle_ibb(id, &self.sender(from), ("data", request.sid()), Ok(request))
                }
                PlainIq::Result(iq) => self.handle_iq(iq),
                // It recognises nothing else.
                _ => Disposition::NotOurs,
            }
        });
        self.shared.block.put_back(block, self.shared.config.block_size);
        disposition
    }

    /// Nothing of a tunnel travels in messages (XEP-0047 § 4 is refused when the bytestream is opened): data in one is
    /// swallowed, so that no other handler takes it for its own.
    fn handle_message(&mut self, stanza: &Element) -> Disposition {
        let Some(from) = stanza.attribute("from") else { return Disposition::NotOurs };
        if stanza.attribute("type") != Some("error") {
            self.heard(&self.sender(from));
        }
        let sid = stanza.child("data", ns::IBB).and_then(|data| data.attribute("sid"));
        let ours = sid.is_some_and(|sid| self.tunnels.index().is_bytestream(sid));
        if ours { Disposition::Consumed } else { Disposition::NotOurs }
    }

    /// RFC 6120 § 8.2.3: a request without an id or without exactly one child, and what is of no known type, gets
    /// bad-request, with an empty id if it has none; an answer is never answered. Where there are other handlers, they see to
    /// it: it says nothing that is certain to be for the engine.
    fn handle_malformed_iq(&mut self, stanza: &Element) -> Disposition {
        let is_answer = matches!(stanza.attribute("type"), Some("result" | "error"));
        let Some(from) = stanza.attribute("from").filter(|_| self.shared.config.sole_handler && !is_answer) else {
            return Disposition::NotOurs;
        };
        self.answers.push(
            from,
            stanza.attribute("id").unwrap_or_default(),
            Answer::Error(Condition::BadRequest.into()),
        );
        Disposition::Consumed
    }

    fn handle_iq(&mut self, iq: Iq<'_>) -> Disposition {
        let Some(from) = iq.from else { return Disposition::NotOurs };
        let from = &self.sender(from);
        match (iq.iq_type, iq.payload) {
            (IqType::Set, Some(payload)) if self.shared.dialect.jingle_version(payload.ns()).is_some() => {
                self.handle_jingle(iq.id, from, payload)
            }
            (IqType::Set, Some(payload)) if payload.ns() == ns::IBB => {
                let sid = payload.attribute("sid").unwrap_or_default();
                let request = Request::parse(payload).unwrap_or(Err(BytestreamFault::UnknownElement));
                self.handle_ibb(iq.id, from, (payload.name(), sid), request)
            }
            // draft-meyer-xmpp-e2e-encryption-02 § 5.1: certificates are never given outside a tunnel.
            (IqType::Get | IqType::Set, Some(payload)) if PubkeysVariant::of(payload).is_some() => {
                self.nobodys(from.stamped, iq.id, Answer::Error(Condition::ServiceUnavailable.into()), false)
            }
            (IqType::Get | IqType::Set, payload) => {
                self.heard(from);
                let asked = payload.filter(|payload| iq.iq_type == IqType::Get && is_offer(*payload));
                match asked.and_then(|offer| self.handle_offer_query(iq.id, from, offer)) {
                    Some(()) => Disposition::Consumed,
                    None => Disposition::NotOurs,
                }
            }
            (IqType::Result | IqType::Error, _) => self.handle_answer(iq, from),
            _ => Disposition::NotOurs,
        }
    }

    /// Matches an answer by its id and its sender: one without the other answers nothing (RFC 6120 § 8.1.3).
    fn handle_answer(&mut self, iq: Iq<'_>, from: &Sender<'_>) -> Disposition {
        if self.handle_offer_answer(&iq, from) || self.handle_activation(&iq) {
            return Disposition::Consumed;
        }
        let error = iq.error();
        let taken = self.with_peer(&from.address, |tunnel, shared| {
            // An error may be a server's, in the name of a peer that is not there.
            if error.is_none() {
                tunnel.heard(shared);
            }
            let taken = tunnel.handle_answer(iq.id, iq.payload, error.as_ref(), shared);
            if taken {
                watch::received(if error.is_none() { "result" } else { "error" });
            }
            if taken && error.is_none() {
                tunnel.heard_of_session(shared);
            }
            taken.then_some(())
        });
        if let Some((number, ())) = taken {
            if error.is_some() {
                self.follow_redirect(number);
            }
            return Disposition::Consumed;
        }
        if self.ends_confused(iq.id, from) {
            return Disposition::Consumed;
        }
        if self.answers.take_expected(iq.id, &from.address) { Disposition::Consumed } else { Disposition::NotOurs }
    }

    /// A proxy has answered whether it connects both ends (XEP-0065 § 6.3.5).
    fn handle_activation(&mut self, iq: &Iq<'_>) -> bool {
        let Some(number) = self.tunnels.index().activating(iq.id) else { return false };
        self.with_tunnel(number, |tunnel, shared| tunnel.activation_answered(iq, shared)).unwrap_or(false)
    }

    /// The peer is alive.
    fn heard(&mut self, from: &Sender<'_>) {
        self.with_peer(&from.address, |tunnel, shared| {
            tunnel.heard(shared);
            None::<()>
        });
    }

    /// A redirected tunnel counts among those of the resource that it goes to, like any other.
    fn follow_redirect(&mut self, number: u64) {
        let index = self.tunnels.index();
        let target = self.tunnels.get(number).and_then(TunnelCore::redirected_to);
        let Some(others) = target.map(|target| index.places.with_peer(target.canonical())) else { return };
        let has_room = others < self.shared.config.tunnels_per_peer;
        self.with_tunnel(number, |tunnel, shared| tunnel.follow_redirect(has_room, shared));
    }

    /// Ends the attempt that a request of this id belongs to, if the answer comes from an address that a server may confuse with
    /// the peer's: the request went there, and so would the rest.
    fn ends_confused(&mut self, id: &str, from: &Sender<'_>) -> bool {
        let Ok(other) = Jid::new(from.stamped) else { return false };
        let older = other.prepared_by_rfc_6122();
        let numbers: Vec<u64> = self.tunnels.index().confused_with(&from.address, &older).collect();
        let is_it = |number: &u64| self.tunnels.get(*number).is_some_and(|tunnel| tunnel.attempts(id));
        let Some(number) = numbers.into_iter().find(is_it) else {
            return self.confused_probe(id, other);
        };
        self.with_tunnel(number, |tunnel, shared| tunnel.answered_by(other, shared));
        true
    }

    /// Takes a request by the name of its element and its sid, whatever else it is.
    fn handle_ibb(
        &mut self,
        id: &str,
        from: &Sender<'_>,
        (name, sid): (&str, &str),
        request: Result<Request<'_>, BytestreamFault>,
    ) -> Disposition {
        let Some(number) = self.tunnels.index().with_bytestream(sid, &from.address).next() else {
            let error = match name {
                // XEP-0047 § 2.1: an unexpected bytestream is refused; § 2.2: data and close need an open one.
                "open" => StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Cancel),
                _ => StanzaError::new(Condition::ItemNotFound),
            };
            return self.nobodys(from.stamped, id, Answer::Error(error), self.tunnels.index().is_bytestream(sid));
        };
        let answer = match request {
            Ok(request) => self
                .with_tunnel(number, |tunnel, shared| {
                    // What comes after the end is answered after the farewell; what brings the end about is answered before it.
                    let after = tunnel.owes_farewell().then_some(number);
                    tunnel.heard_of_session(shared);
                    watch::received(name);
                    tunnel.handle_ibb(id, &request, shared).map(|answer| (after, answer))
                })
                .flatten(),
            Err(fault) => Some((None, Answer::Error(fault.to_stanza_error()))),
        };
        if let Some((after, answer)) = answer {
            self.answers.push_after(after, from.stamped, id, answer);
        }
        Disposition::Consumed
    }

    pub(super) fn handle_jingle(&mut self, id: &str, from: &Sender<'_>, payload: ElementRef<'_>) -> Disposition {
        let sid = payload.attribute("sid").unwrap_or_default();
        let own = self.tunnels.index().with_session(sid, &from.address);
        let jingle = match Jingle::parse_with(payload, &self.shared.dialect) {
            Some(Ok(jingle)) => jingle,
            Some(Err(malformed)) => {
                // With XTLS in it, it is for no other Jingle stack.
                let certain = own.is_some() || malformed.has_xtls;
                return self.nobodys(from.stamped, id, Answer::Error(malformed.stanza_error()), certain);
            }
            None => return self.nobodys(from.stamped, id, Answer::Error(Condition::BadRequest.into()), own.is_some()),
        };
        let crosses = |tunnel: &TunnelCore| jingle.action == Action::SessionInitiate && tunnel.is_pending_stream();
        // An offer under the sid of our own is a tie like any other (XEP-0166 § 7.2.16).
        let own = own.filter(|number| !self.tunnels.get(*number).is_some_and(crosses));
        if let Some(number) = own {
            let inside = self.inside;
            let answer = self.with_tunnel(number, |tunnel, shared| {
                // What is negotiated inside of a tunnel is said nowhere else.
                if tunnel.inside_of().is_some_and(|around| inside != Some(around)) {
                    return Answer::Error(JingleCondition::UnknownSession.stanza_error(jingle.version));
                }
                tunnel.heard_of_session(shared);
                watch::received(jingle.action.as_str());
                tunnel.handle_jingle(&jingle, shared)
            });
            if let Some(answer) = answer {
                self.answers.push(from.stamped, id, answer);
            }
            return Disposition::Consumed;
        }
        // A session belongs to its sid and its peer: the same sid from somebody else begins another session, and does
        // nothing else.
        if jingle.action != Action::SessionInitiate {
            let error = JingleCondition::UnknownSession.stanza_error(jingle.version);
            return self.nobodys(from.stamped, id, Answer::Error(error), self.tunnels.index().is_session(sid));
        }
        let Ok(peer) = FullJid::new(from.stamped) else {
            return self.nobodys(from.stamped, id, Answer::Error(Condition::ServiceUnavailable.into()), false);
        };
        // It has no span yet.
        watch::received(jingle.action.as_str());
        self.handle_offer(id, peer, &jingle)
    }

    /// What the engine holds no session for: `certain` that it is for nobody else either, or up to the embedder.
    pub(super) fn nobodys(&mut self, from: &str, id: &str, answer: Answer, certain: bool) -> Disposition {
        if certain || self.shared.config.sole_handler {
            self.answers.push(from, id, answer);
            return Disposition::Consumed;
        }
        Disposition::Unclaimed(Refusal { to: from.to_owned(), id: id.to_owned(), answer })
    }

    /// Whom a stanza is from. Its `from` nearly always is a canonical address of a peer, and then this costs nothing. What is
    /// no address stands for itself.
    pub(super) fn sender<'f>(&self, from: &'f str) -> Sender<'f> {
        let is_known = self.tunnels.index().with_peer(from).next().is_some();
        let address =
            if is_known { Cow::Borrowed(from) } else { Jid::canonicalize(from).unwrap_or(Cow::Borrowed(from)) };
        Sender { stamped: from, address }
    }
}
