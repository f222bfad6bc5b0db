//! A connection for a tunnel: which one it will be (XEP-0260), what comes and goes by it, and the in-band bytestream where there is
//! none.

use core::net::IpAddr;
use std::collections::BTreeMap;

use xtls_channel::{Fault, Timer};
use xtls_jingle::{InBand, JingleFault, JingleVersion, Role, Session, SessionTransport};
use xtls_s5b::{
    AddressRefused, Candidate, CandidateType, DstAddr, Networks, S5bPayload, S5bTransport,
    negotiation::{Action, Attempt, Begin, Negotiation, S5bFault},
    proxy::Activation,
    socks::Client,
};
use xtls_stanza::{Condition, ErrorType, Id, Iq, StanzaError, jid::Jid};

use super::{
    Phase, Place, TunnelCore,
    transport::{
        Transport,
        carrier::{Carrier, Connection},
        nudges::Nudge,
    },
};
use crate::{
    answer::Answer,
    capabilities::Supports,
    event::{ConnectionId, Event},
    shared::Shared,
    transports::{Exposure, Path, Reach, Transport as Wanted},
};

/// The search for a connection.
#[derive(Debug)]
pub(super) struct Search {
    negotiation: Negotiation,
    sockets: BTreeMap<Attempt, Socket>,
    /// The connection that was chosen, while TLS cannot begin yet.
    chosen: Option<(Attempt, Path)>,
    /// A proxy that is to connect both ends.
    joining: Option<Joining>,
}

/// A connection that is tried, or was chosen.
#[derive(Debug, Default)]
struct Socket {
    /// The dialling end of SOCKS5, until that has succeeded.
    client: Option<Client>,
    /// It is connected, as far as TCP goes.
    connected: bool,
    /// What came before TLS could begin.
    early: Vec<u8>,
}

/// A proxy that is to connect both ends.
#[derive(Debug)]
struct Joining {
    proxy: Jid,
    target: Jid,
    asked: Option<Activation>,
}

impl Search {
    fn new(negotiation: Negotiation) -> Box<Self> {
        Box::new(Self { negotiation, sockets: BTreeMap::new(), chosen: None, joining: None })
    }
}

impl TunnelCore {
    /// Bytes of a connection that wait for TLS to begin. The first flight of a handshake is far below.
    const MAX_EARLY: usize = 64 * 1024;

    /// Initiator: what is offered first. `supports` is what the peer's features said, if it was asked.
    pub(super) fn first_transport(&self, supports: Option<Supports>, shared: &mut Shared) -> Option<SessionTransport> {
        let announced = supports.is_none_or(|supports| supports.socks5);
        let usable = self.transports.iter().find(|wanted| match wanted {
            Wanted::InBand => true,
            Wanted::Socks5(reach) => shared.config.socks5 && announced && reach.exposure != Exposure::InBand,
        })?;
        let sid = shared.ids.next_id();
        Some(match usable {
            Wanted::InBand => {
                let mut in_band = InBand::new(sid.as_str(), self.block_size(shared));
                in_band.version = shared.dialect.offered_ibb;
                SessionTransport::InBand(in_band)
            }
            Wanted::Socks5(reach) => SessionTransport::Socks5(self.own_candidates(sid.as_str(), reach, &[], shared)),
        })
    }

    /// Responder: what answers the candidates of the initiator. `None` if an in-band bytestream is offered.
    pub(super) fn answering_candidates(&self, shared: &mut Shared) -> Option<S5bTransport> {
        let theirs = self.offered_candidates()?;
        let none = Reach::new(Exposure::InBand);
        Some(self.own_candidates(&theirs.sid, self.reach().unwrap_or(&none), theirs.candidates(), shared))
    }

    /// What the initiator offered, where that is a SOCKS5 bytestream.
    fn offered_candidates(&self) -> Option<&S5bTransport> {
        match &self.negotiation.session.as_ref()?.offer().transport {
            SessionTransport::Socks5(socks5) => Some(socks5),
            SessionTransport::InBand(_) | _ => None,
        }
    }

    /// What may be given away to this peer: nothing to a stranger.
    fn reach(&self) -> Option<&Reach> {
        let reach = self.transports.iter().find_map(|wanted| match wanted {
            Wanted::Socks5(reach) => Some(reach),
            Wanted::InBand => None,
        });
        reach.filter(|_| self.place == Place::Known)
    }

    /// Whether an in-band bytestream may carry the tunnel.
    pub(super) fn may_go_in_band(&self) -> bool {
        self.transports.contains(&Wanted::InBand)
    }

    fn may_dial(&self) -> fn(CandidateType) -> bool {
        let secured_before = self.channel.as_ref().is_some_and(|channel| !channel.secured_by().is_empty());
        self.reach().map_or(Exposure::InBand, |reach| reach.exposure).may(secured_before)
    }

    fn own_candidates(&self, sid: &str, reach: &Reach, theirs: &[Candidate], shared: &mut Shared) -> S5bTransport {
        let own = Jid::from(shared.jid.clone());
        let candidates = reach.candidates(self.may_dial(), &own, theirs, &mut shared.ids);
        let has_proxy = candidates.iter().any(|candidate| candidate.kind == CandidateType::Proxy);
        let mut transport = S5bTransport::new(sid, S5bPayload::Candidates(candidates));
        // XEP-0260 § 2.2: SHOULD be there with proxies.
        transport.dst_addr = has_proxy.then(|| DstAddr::new(sid, &own, &self.peer.clone().into()));
        transport
    }

    /// Initiator: candidates are offered, and the peer may come by them before its answer does.
    pub(super) fn expect_connections(&mut self, shared: &Shared) {
        if let Some(offered) = self.offered_candidates() {
            let begin = self.search_begin(&offered.sid, offered.candidates().to_vec(), shared);
            self.search = Some(Search::new(Negotiation::offer(shared.protocol_now(), begin)));
        }
    }

    /// Initiator: the responder has answered with its candidates.
    pub(super) fn candidates_answered(&mut self, theirs: &S5bTransport, shared: &mut Shared) {
        if let Some(search) = &mut self.search {
            search.negotiation.answered(shared.protocol_now(), theirs);
            self.go_on_searching(shared);
        }
    }

    /// Responder: both ends have stated their candidates.
    pub(super) fn search(&mut self, own: Vec<Candidate>, theirs: &S5bTransport, shared: &mut Shared) {
        let begin = self.search_begin(&theirs.sid, own, shared);
        self.search = Some(Search::new(Negotiation::new(shared.protocol_now(), begin, theirs)));
        self.go_on_searching(shared);
    }

    fn search_begin(&self, sid: &str, offered: Vec<Candidate>, shared: &Shared) -> Begin {
        Begin {
            is_initiator: self.role != Role::Responder,
            sid: sid.to_owned(),
            own: shared.jid.clone().into(),
            peer: self.peer.clone().into(),
            offered,
            may_dial: self.may_dial(),
        }
    }

    /// Takes what the peer says about candidates.
    pub(super) fn candidates_said(&mut self, said: &S5bTransport, shared: &mut Shared) -> Answer {
        let now = shared.protocol_now();
        // The peer may have said it before it knew that we have stopped.
        let Some(search) = &mut self.search else { return Answer::Result };
        let result = search.negotiation.handle(now, &said.payload);
        self.go_on_searching(shared);
        match result {
            Ok(()) => Answer::Result,
            Err(fault @ S5bFault::UnknownCandidate) => {
                let error = StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Cancel);
                Answer::Error(error.with_text(fault.as_str()))
            }
            Err(fault) => Answer::Error(JingleFault::OutOfOrder(fault.as_str()).stanza_error(self.jingle_version())),
        }
    }

    /// The peer does not take what was said about candidates, and so the two will not agree on one.
    pub(super) fn candidates_refused(&mut self, shared: &mut Shared) {
        if self.search.is_some() && self.ended.is_none() {
            self.search_failed(shared);
        }
    }

    /// The responder is asked to go in band.
    pub(super) fn replacement_asked(&mut self, shared: &mut Shared) {
        let may = self.may_go_in_band();
        let block_size = self.block_size(shared);
        let Some(session) = &mut self.negotiation.session else { return };
        let answered = if may { session.accept_transport(block_size) } else { session.reject_transport() };
        if answered.is_err() {
            return self.fail(Fault::Internal("a replacement that was asked for cannot be answered"), shared);
        }
        if may {
            self.go_in_band(shared);
        }
    }

    /// Initiator: the responder goes in band too.
    pub(super) fn go_in_band(&mut self, shared: &mut Shared) {
        self.stop_searching(shared);
        if self.phase != Phase::Running {
            // The method is not chosen yet.
            return;
        }
        // A responder may have one that the initiator has not.
        self.let_connection_go(shared);
        self.make_transport(shared);
        if self.transport.as_mut().is_some_and(|transport| transport.carrier.open()) {
            self.begin_handshake(shared);
        }
    }

    /// TLS begins on the connection that was chosen, once both have agreed.
    pub(super) fn take_connection(&mut self, shared: &mut Shared) {
        let Some(search) = self.search.as_mut().filter(|_| self.phase == Phase::Running && self.transport.is_none())
        else {
            return;
        };
        let Some((attempt, path)) = search.chosen.take() else { return };
        let early = search.sockets.remove(&attempt).map(|socket| socket.early).unwrap_or_default();
        self.search = None;
        let limit = shared.config.send_buffer.saturating_add(Self::MAX_OWED);
        self.transport = Some(Transport::new(Carrier::Connection(Connection::new(attempt, path, limit))));
        self.begin_handshake(shared);
        if !early.is_empty() {
            self.receive(&early, shared);
        }
    }

    /// Time has passed for the search, or for a proxy that may sit on our last bytes.
    pub(super) fn connection_timed_out(&mut self, shared: &mut Shared) {
        let now = shared.protocol_now();
        if let (Some(transport), Some(channel)) = (&mut self.transport, &mut self.channel)
            && let Some((nudge, wait)) = transport.carrier.connection().and_then(Connection::nudge)
        {
            match nudge {
                Nudge::AfterEnd(bytes) => transport.queue(|out| out.extend_from_slice(bytes)),
                Nudge::InBetween => transport.queue(|out| channel.say_nothing(out)),
                Nudge::Later => {}
            }
            return self.set(Timer::Connection, wait, shared);
        }
        if let Some(search) = &mut self.search {
            search.negotiation.timeout(now);
            self.go_on_searching(shared);
        }
    }

    /// Gives every connection up that is not TLS's.
    pub(super) fn stop_searching(&mut self, shared: &mut Shared) {
        let Some(search) = self.search.take() else { return };
        self.timers.clear(Timer::Connection);
        for attempt in search.sockets.into_keys() {
            shared.events.push(Event::Abandon { id: self.connection_id(attempt) });
        }
    }

    /// Closes the connection that carries the tunnel, if one does.
    pub(super) fn let_connection_go(&mut self, shared: &mut Shared) {
        if let Some(transport) = &mut self.transport
            && let Some(connection) = transport.carrier.connection()
        {
            let attempt = connection.attempt();
            transport.carrier.end();
            shared.events.push(Event::Abandon { id: self.connection_id(attempt) });
        }
    }

    /// Does what the negotiation wants.
    fn go_on_searching(&mut self, shared: &mut Shared) {
        while let Some(search) = &mut self.search
            && let Some(action) = search.negotiation.poll()
        {
            match action {
                Action::Dial { attempt, host, port, dst_addr } => {
                    let client = Some(Client::new(dst_addr));
                    search.sockets.insert(attempt, Socket { client, ..Socket::default() });
                    shared.events.push(Event::Connect { id: self.connection_id(attempt), host, port });
                }
                // What the caller has given up already is none of its business any more.
                Action::Abandon(attempt) if search.sockets.remove(&attempt).is_none() => {}
                Action::Abandon(attempt) => {
                    shared.events.push(Event::Abandon { id: self.connection_id(attempt) });
                }
                Action::Say(payload) => {
                    if let Some(session) = &mut self.negotiation.session
                        && session.transport_info(payload).is_err()
                    {
                        return self
                            .fail(Fault::Internal("what there is to say about candidates cannot be said"), shared);
                    }
                }
                Action::Activate { proxy, target } => {
                    search.joining = Some(Joining { proxy, target, asked: None });
                }
                Action::Ready { attempt, kind, server } => {
                    let path = if kind == CandidateType::Proxy { Path::Proxy(server) } else { Path::Direct };
                    search.chosen = Some((attempt, path));
                    self.take_connection(shared);
                }
                Action::Failed => self.search_failed(shared),
                _ => {}
            }
        }
        self.set_search_timer(shared);
    }

    fn set_search_timer(&mut self, shared: &Shared) {
        let deadline = self.search.as_ref().and_then(|search| search.negotiation.deadline());
        match deadline {
            Some(at) => {
                let wait = at.saturating_duration_since(shared.protocol_now());
                self.set(Timer::Connection, wait, shared);
            }
            None => self.timers.clear(Timer::Connection),
        }
    }

    /// XEP-0260 § 3: the initiator MUST replace the transport or end the session. The responder waits for that.
    fn search_failed(&mut self, shared: &mut Shared) {
        self.stop_searching(shared);
        if self.role == Role::Responder {
            return self.set(Timer::Handshake, shared.config.timers.question, shared);
        }
        if !self.may_go_in_band() {
            return self.fail(Fault::NoConnection, shared);
        }
        let sid = shared.ids.next_id();
        let mut in_band = InBand::new(sid.as_str(), self.block_size(shared));
        in_band.version = shared.dialect.offered_ibb;
        let asked = self.negotiation.session.as_mut().map(|session| session.replace_transport(in_band));
        if !matches!(asked, Some(Ok(()))) {
            return self.fail(Fault::Internal("an in-band bytestream cannot be asked for"), shared);
        }
        self.set(Timer::Handshake, shared.config.timers.handshake, shared);
    }

    /// What names a connection to the caller.
    fn connection_id(&self, attempt: Attempt) -> ConnectionId {
        ConnectionId { tunnel: self.id, attempt }
    }

    fn jingle_version(&self) -> JingleVersion {
        self.negotiation.session.as_ref().map_or(JingleVersion::Jingle1, Session::version)
    }

    /// Whether an address may be dialled for this tunnel.
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), AddressRefused> {
        match self.reach() {
            Some(reach) => reach.networks.check(address),
            None => Networks::default().check(address),
        }
    }

    // What the caller says about connections.

    /// The connection is made: SOCKS5 begins.
    pub(crate) fn connected(&mut self, attempt: Attempt) {
        if let Some(socket) = self.search.as_mut().and_then(|search| search.sockets.get_mut(&attempt)) {
            socket.connected = true;
        }
    }

    /// The connection was not made, or has ended.
    pub(crate) fn connection_ended(&mut self, attempt: Attempt, shared: &mut Shared) {
        if let Some(search) = &mut self.search {
            if search.sockets.remove(&attempt).is_none() {
                return;
            }
            if search.chosen.as_ref().is_some_and(|(chosen, _)| *chosen == attempt) {
                // It was chosen, and lost before TLS began.
                return self.search_failed(shared);
            }
            search.negotiation.failed(shared.protocol_now(), attempt);
            return self.go_on_searching(shared);
        }
        if self.carries(attempt) {
            self.carrier_ended(shared);
        }
    }

    /// Bytes came by the connection.
    pub(crate) fn connection_bytes(&mut self, attempt: Attempt, bytes: &[u8], shared: &mut Shared) {
        if self.carries(attempt) {
            self.heard_of_session(shared);
            return self.receive_by_connection(bytes, shared);
        }
        let Some(search) = &mut self.search else { return };
        let Some(socket) = search.sockets.get_mut(&attempt) else { return };
        let mut rest = bytes;
        if let Some(client) = &mut socket.client {
            match client.handle_bytes(bytes) {
                Ok(taken) => rest = bytes.get(taken..).unwrap_or_default(),
                Err(_) => {
                    search.sockets.remove(&attempt);
                    shared.events.push(Event::Abandon { id: ConnectionId { tunnel: self.id, attempt } });
                    search.negotiation.failed(shared.protocol_now(), attempt);
                    return self.go_on_searching(shared);
                }
            }
            if client.is_connected() {
                socket.client = None;
            }
        }
        socket.early.extend_from_slice(rest);
        if socket.client.is_none() {
            search.negotiation.connected(shared.protocol_now(), attempt);
            self.go_on_searching(shared);
        }
    }

    /// Moves what there is to send by the connection into the caller's buffer, and tells how many bytes.
    pub(crate) fn poll_connection(&mut self, attempt: Attempt, out: &mut Vec<u8>, shared: &mut Shared) -> usize {
        if self.carries(attempt) {
            return self.poll_carrier(out, shared);
        }
        let socket = self.search.as_mut().and_then(|search| search.sockets.get_mut(&attempt));
        let Some(client) = socket.filter(|socket| socket.connected).and_then(|socket| socket.client.as_mut()) else {
            return 0;
        };
        let before = out.len();
        client.poll(out);
        out.len() - before
    }

    /// Whether bytes of the connection are taken now: otherwise the caller leaves them with the socket.
    pub(crate) fn wants_bytes(&self, attempt: Attempt, shared: &Shared) -> bool {
        if self.carries(attempt) {
            return self.ended.is_some() || self.has_room_to_receive(shared);
        }
        let socket = self.search.as_ref().and_then(|search| search.sockets.get(&attempt));
        socket.is_some_and(|socket| socket.early.len() < Self::MAX_EARLY)
    }

    /// A connection came in that asks for this. `None` if it is not wanted.
    pub(crate) fn claim(&mut self, dst_addr: &DstAddr) -> Option<Attempt> {
        let search = self
            .search
            .as_mut()
            .filter(|search| search.negotiation.expected().is_some_and(|expected| expected.contains(dst_addr)))?;
        let attempt = search.negotiation.incoming()?;
        search.sockets.insert(attempt, Socket { connected: true, ..Socket::default() });
        Some(attempt)
    }

    /// The names that a connection to a listener of ours may ask for, while it is wanted.
    pub(crate) fn expected(&self) -> Option<[DstAddr; 2]> {
        self.search.as_ref().and_then(|search| search.negotiation.expected())
    }

    // The proxy that is to connect both ends.

    /// Writes the request that a proxy connect both ends (XEP-0065 § 6.3.5), if that is due. Gives its address.
    pub(super) fn poll_activation(&mut self, shared: &mut Shared, out: &mut String) -> Option<Jid> {
        let search = self.search.as_mut()?;
        let Joining { proxy, target, asked } = search.joining.as_mut().filter(|joining| joining.asked.is_none())?;
        let from = shared.config.stamp_from.then(|| shared.jid.as_str());
        let request = Activation::request(out, &mut shared.ids, proxy, search.negotiation.sid(), target, from);
        *asked = Some(request);
        Some(proxy.clone())
    }

    /// The id of the request to a proxy that is not answered yet.
    pub(crate) fn open_activation(&self) -> Option<Id> {
        self.search.as_ref()?.joining.as_ref()?.asked.as_ref().map(Activation::id)
    }

    /// Takes the answer of the proxy, if it is that.
    pub(crate) fn activation_answered(&mut self, iq: &Iq<'_>, shared: &mut Shared) -> bool {
        let Some(search) = &mut self.search else { return false };
        let asked = search.joining.as_ref().and_then(|joining| joining.asked.as_ref());
        let Some(answer) = asked.and_then(|asked| asked.answer(iq)) else { return false };
        search.joining = None;
        search.negotiation.activated(answer.is_ok());
        self.go_on_searching(shared);
        true
    }
}
