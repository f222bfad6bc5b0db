//! What all links share: the stream, the channel, what waits to be sent and to be told, and the end.

use core::time::Duration;

use xtls_channel::{
    Channel, CloseReason, Deadline, EndedBy, Environment, Fault, Instant, SendError, SetupError, Side, Stage, Terms,
    TermsError, Timer, row,
};
use xtls_stanza::{Ids, jid::Jid};
use xtls_stream::{CommandError, DirectFault, DirectStream, Features, StreamCondition, StreamOptions, StreamSendError};
use xtls_tls::WriteError;

use crate::{
    config::{LinkConfig, LinkSetup},
    error::LinkError,
    event::{LinkClosed, LinkEvent},
    fault::of_stream,
    queue::Queue,
    watch::Watch,
};

/// Plaintext that waits for a judgement or for the stream until no more is taken.
const MAX_EARLY: usize = 16 * 1024;

/// What is owed to the peer, and waits to be sent, until nothing more is read.
const MAX_OWED: usize = 64 * 1024;

/// What all links share.
pub(crate) struct Core {
    pub(crate) config: LinkConfig,
    /// Your address.
    pub(crate) local: Jid,
    pub(crate) env: Environment,
    pub(crate) ids: Ids,
    /// Who is at the other end, or says so.
    pub(crate) peer: Option<Jid>,
    pub(crate) stage: Stage,
    pub(crate) stream: DirectStream,
    /// Receiving: none until the peer is accepted, or a client begins TLS.
    pub(crate) channel: Option<Channel>,
    /// Plaintext that the stream has not taken.
    pub(crate) plain: Vec<u8>,
    pub(crate) out: Vec<u8>,
    /// How much of `out` came of what the peer has sent: reading stops for that, so that a peer that takes no answers asks for
    /// no more of them. It never stops for what the caller has written: two ends that wait for one another to read would wait
    /// for ever.
    owed: usize,
    pub(crate) events: Queue,
    /// The first bytes that came; none any more once a header has.
    pub(crate) first: Option<Vec<u8>>,
    /// Nothing more will come; whether it broke off.
    pub(crate) input_ended: Option<Truncated>,
    pub(crate) watch: Watch,
    pub(crate) began: Instant,
    pub(crate) heard_at: Instant,
    /// Bytes of the connection, both ways.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    sent_at: Instant,
    wait: Option<Deadline>,
    wants_room: bool,
}

/// Whether an end came without an authenticated goodbye.
type Truncated = bool;

impl Core {
    /// What `change` makes of the options of the stream sets the kinds apart.
    pub(crate) fn new(
        setup: LinkSetup,
        side: Side,
        peer: Option<Jid>,
        now: Instant,
        change: impl FnOnce(&mut StreamOptions),
    ) -> Result<Self, LinkError> {
        setup.config.check().map_err(SetupError::from)?;
        let security = setup.config.security;
        let (local, env, ids, config) = Environment::open(setup, security, now)?;
        let mut options = StreamOptions::new(Some(local.clone()), peer.clone());
        options.dialect = config.dialect;
        options.try_unoffered = config.try_unoffered;
        options.limits = config.limits;
        change(&mut options);
        let stream = match side {
            Side::Initiator => DirectStream::initiating(options),
            Side::Responder | _ => DirectStream::receiving(options),
        };
        Ok(Self {
            events: Queue::new(config.limits.stanza_bytes),
            config,
            local,
            env,
            ids,
            peer,
            stage: Stage::Greeting,
            stream,
            channel: None,
            plain: Vec::new(),
            out: Vec::new(),
            owed: 0,
            first: Some(Vec::new()),
            input_ended: None,
            watch: Watch::new(side),
            began: now,
            heard_at: now,
            sent: 0,
            received: 0,
            sent_at: now,
            wait: None,
            wants_room: false,
        })
    }

    /// A channel with this peer, if the terms can be met with it. XEP-0250 § 3.1: one of the keys that the peer names has to be
    /// the one that it presents.
    pub(crate) fn channel_with(&self, side: Side, peer: &Jid, terms: Terms) -> Result<Channel, TermsError> {
        let rule = xtls_channel::Announcements::Any;
        let channel = Channel::new(side, peer.to_bare(), terms, rule, &self.env).map_err(|_| TermsError::Store)?;
        channel.offerable()?;
        Ok(channel)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether bytes are TLS's.
    pub(crate) fn in_tls(&self) -> bool {
        self.channel.as_ref().is_some_and(Channel::has_begun)
    }

    /// Whether the peer is authenticated.
    pub(crate) fn is_secured(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| channel.security().is_some())
    }

    /// Whether more bytes may come in.
    pub(crate) fn takes_bytes(&self) -> bool {
        let early = self.channel.as_ref().map_or(0, Channel::early).saturating_add(self.plain.len());
        let has_room = self.events.has_room() && early < MAX_EARLY;
        !self.is_over() && has_room && self.owed < MAX_OWED
    }

    /// Whether plaintext may go to the stream. After a client's header the features come first.
    pub(crate) fn takes_plaintext(&self) -> bool {
        let has_room = self.events.has_room() && self.owed < MAX_OWED;
        !self.plain.is_empty() && self.stage != Stage::Offering && has_room && !self.is_over()
    }

    /// What was added to `out` since it had so many bytes came of what the peer has sent.
    pub(crate) fn owe_since(&mut self, before: usize) {
        self.owed += self.out.len().saturating_sub(before);
    }

    /// Initiating: opens the stream in clear.
    pub(crate) fn begin(&mut self) {
        self.step(|stream, header| stream.start(header));
        self.expect_step();
    }

    /// Initiating: asks for TLS with what `ask` writes.
    pub(crate) fn ask_for_tls(
        &mut self,
        ask: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), CommandError>,
    ) {
        if !self.step(ask) {
            return self.fail(Fault::NoTls);
        }
        self.enter(Stage::Asking);
    }

    /// TLS begins with what `start` makes of the channel.
    pub(crate) fn start_tls(
        &mut self,
        start: impl FnOnce(&mut Option<Channel>, &Environment, &mut Vec<u8>) -> Result<(), Box<Fault>>,
    ) {
        if let Err(fault) = start(&mut self.channel, &self.env, &mut self.out) {
            return self.fail(fault);
        }
        self.enter(Stage::Handshake);
        self.wait_for(Timer::Handshake, self.config.timers.handshake);
    }

    /// The peer is accepted: the stream begins inside TLS.
    pub(crate) fn restart(&mut self, begin: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), CommandError>) {
        if let Some(peer) = self.peer.clone() {
            self.stream.authenticated(peer);
        }
        if !self.step(begin) {
            return self.fail(Fault::Internal("no stream inside TLS"));
        }
        self.enter(Stage::Restarting);
    }

    pub(crate) fn write_features(&mut self, features: &Features) -> Result<(), StreamSendError> {
        let mut text = Vec::new();
        self.stream.send_features(features, &mut text)?;
        self.emit(&text);
        Ok(())
    }

    /// Stanzas can be sent from here on, as soon as the peer may be sent any.
    pub(crate) fn open(&mut self) {
        self.enter(Stage::Open);
        self.wait = None;
        (self.sent_at, self.heard_at) = (self.env.clock().now(), self.env.clock().now());
    }

    /// What the caller has to say on a stream that is open.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), StreamSendError>,
    ) -> Result<(), SendError> {
        if self.stage != Stage::Open {
            return Err(SendError::NoStream);
        }
        if self.out.len().saturating_sub(self.owed) >= self.config.send_buffer {
            self.wants_room = true;
            return Err(SendError::Full);
        }
        let mut text = Vec::new();
        write(&mut self.stream, &mut text).map_err(slip)?;
        self.emit(&text);
        Ok(())
    }

    /// Moves the stream on and sends what that takes; whether it went on.
    pub(crate) fn step(
        &mut self,
        step: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), CommandError>,
    ) -> bool {
        let mut text = Vec::new();
        let went_on = step(&mut self.stream, &mut text).is_ok();
        if went_on {
            self.emit(&text);
        }
        went_on
    }

    /// Hands the stream bytes, and sends its answer. How many it took.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut answer = Vec::new();
        let used = self.stream.handle_bytes(bytes, &mut self.ids, &mut answer);
        self.emit(&answer);
        used
    }

    /// Sends what the stream has written: in clear before TLS is agreed on, through TLS once the peer is accepted, and not at
    /// all between the two.
    pub(crate) fn emit(&mut self, text: &[u8]) {
        let Some(channel) = self.channel.as_mut().filter(|channel| channel.has_begun()) else {
            return self.out.extend_from_slice(text);
        };
        // Before the peer is accepted nothing is said to it. TLS that has failed is told of where it did. With a password nothing
        // can be said to a peer that has closed TLS (RFC 5246 § 7.2.1).
        if channel.write(text, &mut self.out) == Err(WriteError::Exhausted) {
            let fault = Fault::Internal("the keys of TLS are used up");
            self.end(EndedBy::Engine, fault.into());
        }
    }

    /// All there is to send; whether there was anything.
    pub(crate) fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        if self.out.is_empty() {
            return false;
        }
        self.sent = self.sent.saturating_add(u64::try_from(self.out.len()).unwrap_or(u64::MAX));
        out.append(&mut self.out);
        self.owed = 0;
        if let Some(channel) = &mut self.channel {
            channel.flight_left();
        }
        self.sent_at = self.env.clock().now();
        if core::mem::take(&mut self.wants_room) && self.stage == Stage::Open {
            self.tell(LinkEvent::Writable);
        }
        true
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let timers = &self.config.timers;
        let is_open = self.stage == Stage::Open;
        let from = |start: Instant, wait: Option<Duration>, timer| {
            let at = start.checked_add(wait.filter(|_| is_open)?)?;
            Some(Deadline::new(at, timer))
        };
        let keep_alive = from(self.sent_at, timers.keep_alive, Timer::KeepAlive);
        let silence = from(self.heard_at, timers.silence, Timer::Silence);
        [self.wait, silence, keep_alive].into_iter().flatten().min_by_key(|deadline| deadline.at)
    }

    /// Whether it ends by itself, or can be used and is the user's to end.
    pub(crate) fn has_end_in_sight(&self) -> bool {
        self.is_over() || self.stage == Stage::Open || self.wait.is_some()
    }

    /// Nothing happened until this deadline.
    pub(crate) fn expire(&mut self, timer: Timer) {
        if timer == Timer::KeepAlive {
            self.sent_at = self.env.clock().now();
            self.step(|stream, space| stream.keep_alive(space));
        } else if timer == Timer::Close {
            // The peer has not answered our end; whatever was to come from it is lost.
            self.end(EndedBy::Local, CloseReason::Done);
        } else {
            self.fail(Fault::Timeout { timer, stage: Some(self.stage), request: None });
        }
    }

    /// The peer has to take a step.
    pub(crate) fn expect_step(&mut self) {
        self.wait_for(Timer::Answer, self.config.timers.answer);
    }

    /// The peer has to take a step, and its user may be asked something first.
    pub(crate) fn expect_user(&mut self) {
        let timers = &self.config.timers;
        self.wait_for(Timer::Answer, timers.answer.saturating_add(timers.question));
    }

    /// The peer's user may be judging our certificate before the handshake goes on.
    pub(crate) fn expect_judgement(&mut self) {
        let timers = &self.config.timers;
        self.wait_for(Timer::Handshake, timers.handshake.saturating_add(timers.question));
    }

    /// The user here, or the application, has to answer this.
    pub(crate) fn ask(&mut self, stage: Stage, question: LinkEvent) {
        self.enter(stage);
        self.wait_for(Timer::Question, self.config.timers.question);
        self.tell(question);
    }

    /// The embedder wants to end the link.
    pub(crate) fn close(&mut self) {
        if matches!(self.stage, Stage::Closing | Stage::Ended) {
            return;
        }
        self.step(|stream, text| stream.close(text));
        if self.stage != Stage::Open {
            return self.end(EndedBy::Local, CloseReason::Aborted);
        }
        self.enter(Stage::Closing);
        self.wait_for(Timer::Close, self.config.timers.close);
    }

    /// The stream has failed.
    pub(crate) fn stream_failed(&mut self, fault: DirectFault) {
        let truncated = self.input_ended.unwrap_or_default();
        let fault = of_stream(fault, self.stage, self.first.as_deref(), truncated);
        // TLS 1.3: this end was done before the other one had judged its certificate.
        let is_unaccepted = self.channel.as_ref().is_some_and(Channel::is_confirming);
        let has_ended = matches!(fault, Fault::EndedEarly { .. });
        self.fail(if is_unaccepted && has_ended { Fault::NotAccepted } else { fault });
    }

    /// The link fails: the peer is told why where the stream can carry it and has not told it already.
    pub(crate) fn fail(&mut self, fault: impl Into<Box<Fault>>) {
        if self.is_over() {
            return;
        }
        let fault = fault.into();
        self.farewell(row(&fault).condition);
        self.end(EndedBy::Engine, CloseReason::Fault(fault));
    }

    /// Tells the peer that it is over, and why: a failure where it asked for TLS (RFC 6120 § 5.4.2.2, XEP-0250 § 3.3.3),
    /// else a stream error.
    pub(crate) fn farewell(&mut self, condition: StreamCondition) {
        let mut text = Vec::new();
        if self.stream.refuse(&mut text).is_ok()
            || self.stream.fail(&condition.into(), &mut self.ids, &mut text).is_ok()
        {
            self.emit(&text);
        }
    }

    /// Nothing more comes or goes but what waits to be sent.
    pub(crate) fn end(&mut self, by: EndedBy, reason: CloseReason) {
        if self.is_over() {
            return;
        }
        self.stage = Stage::Ended;
        self.watch.ended(by, &reason);
        self.wait = None;
        self.wants_room = false;
        self.plain = Vec::new();
        if let Some(channel) = &mut self.channel {
            channel.close_write(&mut self.out);
            channel.abandon();
        }
        self.events.push(LinkEvent::Closed(LinkClosed { peer: self.peer.clone(), by, reason }));
    }

    /// Goes on to a stage, unless the link has ended on the way.
    pub(crate) fn enter(&mut self, stage: Stage) {
        if !self.is_over() {
            self.stage = stage;
            self.watch.stage(stage);
        }
    }

    /// Tells the embedder, unless it was told the end.
    pub(crate) fn tell(&mut self, event: LinkEvent) {
        if !self.is_over() {
            self.events.push(event);
        }
    }

    fn wait_for(&mut self, timer: Timer, wait: Duration) {
        self.wait = (!self.is_over()).then(|| Deadline::new(self.env.after(wait), timer));
    }
}

/// Why the stream did not send something.
pub(crate) fn slip(slip: StreamSendError) -> SendError {
    match slip {
        StreamSendError::NotAStanza => SendError::NotAStanza,
        StreamSendError::From | StreamSendError::To => SendError::ForeignAddress,
        StreamSendError::TooLarge => SendError::TooLarge,
        StreamSendError::Reserved => SendError::Reserved,
        StreamSendError::NotOpen | StreamSendError::TlsRequired | _ => SendError::NoStream,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use xtls_channel::{Local, MemoryTrustStore};
    use xtls_tls::{Identity, KeyAlgorithm, UnixTime};

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
    fn core() -> Core {
        let jid: Jid = "romeo@forza".parse().unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600));
        let identity = Identity::generate(&jid.to_bare(), KeyAlgorithm::Ed25519, time).unwrap();
        let setup = LinkSetup::new(Local::new(jid, identity), Box::new(MemoryTrustStore::default()), [1; 32], time);
        Core::new(setup, Side::Initiator, None, Instant::now(), |_| {}).unwrap()
    }

    /// What the peer is owed stops the reading at its bound, what the caller has sent never does.
    #[test]
    fn reading_stops_for_what_is_owed_at_the_limit_and_for_nothing_else_that_waits_to_be_sent() {
        let mut core = core();
        core.out = vec![0; 10 * core.config.send_buffer];
        assert!(core.takes_bytes());
        let before = core.out.len();
        core.out.extend([0; MAX_OWED - 1]);
        core.owe_since(before);
        assert!(core.takes_bytes());
        let before = core.out.len();
        core.out.push(0);
        core.owe_since(before);
        assert!(!core.takes_bytes());
        assert!(core.transmit(&mut Vec::new()));
        assert!(core.takes_bytes());
    }

    #[test]
    fn reading_stops_for_plaintext_that_the_stream_has_not_taken_at_the_limit_and_not_before() {
        let mut core = core();
        core.plain = vec![b' '; MAX_EARLY - 1];
        assert!(core.takes_bytes());
        core.plain.push(b' ');
        assert!(!core.takes_bytes());
        core.plain.pop();
        assert!(core.takes_bytes());
    }
}
