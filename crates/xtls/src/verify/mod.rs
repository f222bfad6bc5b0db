//! A short string for two users to compare, who have met by a leap of faith.
//!
//! A man in the middle of a first meeting has a channel with each end, and nothing tells either of them. Their two channels have
//! different keys, though. So a [`Verifier`] on each end makes a string of what TLS exports from its channel (RFC 5705), of both
//! certificates and addresses, and of a random number from each end; the users read it to one another, by telephone say, and
//! it is the same exactly if there is one channel. 32 bits are enough, since one end commits to its number before it sees the other:
//! whoever is in the middle has to choose its own before it can know what they make of it, and so has one chance in
//! 2³² for each attempt. Each attempt that fails is told. What goes on the wire is in the repository's `docs/wire.md`, § 6.
//!
//! It works in an XML stream between two entities that have certificates: in a tunnel, or over a
//! [`PeerLink`](crate::link::PeerLink).
//!
//! ```
//! use xtls::{
//!     trust::Fingerprint,
//!     verify::{Party, Verifier, VerifyEvent},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In life: `tunnel.export_keying_material(32, verify::EXPORTER_LABEL, None)`, and what both ends know of one another.
//! let channel = [1; 32];
//! let party = |jid: &str, der: &[u8]| -> Result<Party, Box<dyn std::error::Error>> {
//!     Ok(Party { jid: jid.parse()?, certificate: Fingerprint::sha256(der) })
//! };
//! let romeo = party("romeo@montague.example/orchard", b"his certificate")?;
//! let juliet = party("juliet@capulet.example/balcony", b"her certificate")?;
//! // The seeds are random.
//! let mut his = Verifier::new(channel, romeo.clone(), juliet.clone(), [2; 32]);
//! let mut hers = Verifier::new(channel, juliet, romeo, [3; 32]);
//!
//! his.propose()?;
//! let mut shown = Vec::new();
//! loop {
//!     let (his_stanza, her_stanza) = (his.poll_transmit(), hers.poll_transmit());
//!     if his_stanza.is_none() && her_stanza.is_none() {
//!         break;
//!     }
//!     his_stanza.iter().for_each(|stanza| drop(hers.handle_stanza(stanza)));
//!     her_stanza.iter().for_each(|stanza| drop(his.handle_stanza(stanza)));
//!     for verifier in [&mut his, &mut hers] {
//!         while let Some(event) = verifier.poll_event() {
//!             if let VerifyEvent::Compare(string) = event {
//!                 shown.push(string.digits());
//!                 verifier.answer(true); // When the user has compared them.
//!             } else if let VerifyEvent::Verified = event {
//!                 // Now its certificate can be pinned.
//!             }
//!         }
//!     }
//! }
//! assert_eq!(shown[0], shown[1]);
//! # Ok(())
//! # }
//! ```

mod transcript;
mod wire;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

use core::fmt;
use std::collections::VecDeque;

use xtls_stanza::{Condition, Element, Ids, Iq, IqType};
use zeroize::Zeroizing;

use transcript::Transcript;
pub use transcript::{Party, ShortString};
use wire::{Nonce, Reply, Request};

/// The namespace of its requests.
pub const VERIFY_NS: &str = "urn:xtls:verify:0";

/// What the channel's key is exported under, without a context: 32 bytes (RFC 5705 § 4).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-xtls-verify";

/// Attempts that may fail in one channel.
pub const MAX_FAILED: u32 = 3;

/// Answers that wait to be sent; a peer that makes more of them is not answered any more.
const MAX_QUEUED: usize = 16;

/// One end of the comparison in one channel: one attempt at a time, which either end may begin.
///
/// It has no clock. Whoever waits for the other user no longer calls [`abort`](Self::abort), which counts as a failure; so does
/// the end of the channel, but there is nobody left to be told.
pub struct Verifier {
    channel: Zeroizing<[u8; 32]>,
    we: Party,
    peer: Party,
    ids: Ids,
    phase: Phase,
    /// Requests of ours that have no answer yet.
    asked: Vec<Asked>,
    failed: u32,
    transmits: VecDeque<Element>,
    events: VecDeque<VerifyEvent>,
}

/// What happens in an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum VerifyEvent {
    /// The peer has begun one.
    Proposed,
    /// This is what the user compares with what the other one sees; [`Verifier::answer`] says how it went.
    Compare(ShortString),
    /// Both users have said that the strings are the same: the certificates are those of the two parties, which can be pinned.
    Verified,
    /// It has failed, and nothing is known that was not known before; or, if the strings differ, that somebody is in the middle.
    Failed(VerifyFailure),
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyFailure {
    /// This user has said that the strings differ: somebody is in the middle.
    WeDiffer,
    /// The other user has said so.
    PeerDiffers,
    /// This end has aborted it.
    WeAborted,
    /// The other end has aborted it.
    PeerAborted,
    /// The peer has refused it by this error: service-unavailable of one that does not know how, conflict of one that is at
    /// another attempt, policy-violation of one that has had [`MAX_FAILED`] of them.
    Refused(Condition),
    /// The peer's number is not the one that it had committed to, or it has answered something else than was asked: it cheats, or
    /// is broken.
    Broken,
}

/// Why an attempt cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// One is going on.
    Busy,
    /// [`MAX_FAILED`] have failed in this channel: whoever tries again does it in a new one.
    TooMany,
}

#[derive(Debug)]
enum Phase {
    Idle,
    /// We have proposed, and wait for the commitment.
    Proposed {
        attempt: String,
        nonce: Nonce,
    },
    /// The peer has committed, and has our nonce.
    Opening {
        attempt: String,
        nonce: Nonce,
        commitment: [u8; 32],
    },
    /// We have committed, and wait for the peer's nonce.
    Committed {
        attempt: String,
        nonce: Nonce,
    },
    Comparing {
        attempt: String,
        string: ShortString,
        ours: Ours,
        theirs: bool,
    },
}

/// What our user has said, who has not said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Nothing,
    /// Yes, and the peer has not acknowledged it.
    Yes,
    Acknowledged,
}

#[derive(Debug)]
struct Asked {
    id: String,
    attempt: String,
    request: Request,
}

impl Verifier {
    /// For a channel that is secured by certificates of both ends, from the 32 bytes that it exports under [`EXPORTER_LABEL`]. The
    /// seed is random, and used once.
    #[must_use]
    pub fn new(channel: [u8; 32], we: Party, peer: Party, seed: [u8; 32]) -> Self {
        Self {
            channel: Zeroizing::new(channel),
            we,
            peer,
            ids: Ids::new(seed),
            phase: Phase::Idle,
            asked: Vec::new(),
            failed: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Begins an attempt.
    ///
    /// # Errors
    ///
    /// When one is going on, or too many have failed.
    pub fn propose(&mut self) -> Result<(), VerifyError> {
        if !matches!(self.phase, Phase::Idle) {
            return Err(VerifyError::Busy);
        }
        if self.failed >= MAX_FAILED {
            return Err(VerifyError::TooMany);
        }
        let attempt = self.ids.next_id().as_str().to_owned();
        self.phase = Phase::Proposed { attempt: attempt.clone(), nonce: Nonce::new(&mut self.ids) };
        self.ask(attempt, Request::Propose);
        Ok(())
    }

    /// What the user has said about the strings. Nothing happens when there is nothing to compare, or it was said before.
    pub fn answer(&mut self, matches: bool) {
        let Phase::Comparing { attempt, ours: ours @ Ours::Nothing, .. } = &mut self.phase else { return };
        let attempt = attempt.clone();
        if matches {
            *ours = Ours::Yes;
        }
        self.ask(attempt, Request::Answer { matches });
        if !matches {
            self.fail(VerifyFailure::WeDiffer);
        }
    }

    /// Ends the attempt, which counts as a failed one. Nothing happens when there is none.
    pub fn abort(&mut self) {
        if let Some(attempt) = self.attempt().map(str::to_owned) {
            self.ask(attempt, Request::Abort);
            self.fail(VerifyFailure::WeAborted);
        }
    }

    /// Whether an attempt is going on.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.attempt().is_some()
    }

    /// What the user is to compare, while that is so.
    #[must_use]
    pub fn string(&self) -> Option<ShortString> {
        match &self.phase {
            Phase::Comparing { string, .. } => Some(*string),
            Phase::Idle | Phase::Proposed { .. } | Phase::Opening { .. } | Phase::Committed { .. } => None,
        }
    }

    /// How many attempts have failed in this channel. Users are to be told: somebody in the middle has one more chance in 2³² with each.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Takes a stanza that came in the channel; whether it belongs here.
    #[must_use]
    pub fn handle_stanza(&mut self, stanza: &Element) -> bool {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return false };
        match (iq.iq_type, iq.payload) {
            (IqType::Set, Some(payload)) if payload.ns() == VERIFY_NS => {
                let answer = match wire::read(payload) {
                    Some((attempt, request)) => self.handle_request(attempt, request),
                    None => Err(Condition::BadRequest),
                };
                let answer = match answer {
                    Ok(reply) => wire::result(iq.id, &reply),
                    Err(condition) => wire::refusal(iq.id, condition),
                };
                self.transmits.extend(answer.filter(|_| self.transmits.len() < MAX_QUEUED));
                true
            }
            (IqType::Result | IqType::Error, _) => {
                let Some(at) = self.asked.iter().position(|asked| asked.id == iq.id) else { return false };
                let asked = self.asked.swap_remove(at);
                // One that has ended is of no interest any more.
                if self.attempt() == Some(&asked.attempt) {
                    match iq.error() {
                        Some(error) => self.fail(VerifyFailure::Refused(error.condition)),
                        None => self.handle_reply(&asked.request, wire::read_reply(&iq)),
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// The next stanza to send in the channel, without addresses.
    pub fn poll_transmit(&mut self) -> Option<Element> {
        self.transmits.pop_front()
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<VerifyEvent> {
        self.events.pop_front()
    }

    fn handle_request(&mut self, attempt: &str, request: Request) -> Result<Reply, Condition> {
        if request == Request::Propose {
            return self.handle_proposal(attempt);
        }
        if self.attempt() != Some(attempt) {
            return Err(Condition::ItemNotFound);
        }
        match (&mut self.phase, request) {
            (Phase::Committed { nonce, .. }, Request::Nonce(theirs)) => {
                let ours = *nonce;
                self.compare(&theirs, &ours);
                Ok(Reply::Nonce(ours))
            }
            (Phase::Comparing { theirs: theirs @ false, .. }, Request::Answer { matches: true }) => {
                *theirs = true;
                self.conclude();
                Ok(Reply::Nothing)
            }
            (Phase::Comparing { .. }, Request::Answer { matches: false }) => {
                self.fail(VerifyFailure::PeerDiffers);
                Ok(Reply::Nothing)
            }
            (_, Request::Abort) => {
                self.fail(VerifyFailure::PeerAborted);
                Ok(Reply::Nothing)
            }
            (_, Request::Propose | Request::Nonce(_) | Request::Answer { .. }) => Err(Condition::UnexpectedRequest),
        }
    }

    fn handle_proposal(&mut self, attempt: &str) -> Result<Reply, Condition> {
        match &self.phase {
            Phase::Idle if self.failed >= MAX_FAILED => return Err(Condition::PolicyViolation),
            Phase::Idle => {}
            // Both have proposed: the name that comes first stands, and the peer refuses ours.
            Phase::Proposed { attempt: ours, .. } if attempt < ours.as_str() => {}
            Phase::Proposed { .. } | Phase::Opening { .. } | Phase::Committed { .. } | Phase::Comparing { .. } => {
                return Err(Condition::Conflict);
            }
        }
        let nonce = Nonce::new(&mut self.ids);
        self.phase = Phase::Committed { attempt: attempt.to_owned(), nonce };
        self.events.push_back(VerifyEvent::Proposed);
        Ok(Reply::Commitment(self.transcript(attempt, false).commitment(&nonce)))
    }

    fn handle_reply(&mut self, asked: &Request, reply: Option<Reply>) {
        match (&self.phase, asked, reply) {
            (Phase::Proposed { attempt, nonce }, Request::Propose, Some(Reply::Commitment(commitment))) => {
                let (attempt, nonce) = (attempt.clone(), *nonce);
                self.phase = Phase::Opening { attempt: attempt.clone(), nonce, commitment };
                self.ask(attempt, Request::Nonce(nonce));
            }
            (Phase::Opening { attempt, nonce, commitment }, Request::Nonce(_), Some(Reply::Nonce(theirs)))
                if self.transcript(attempt, true).commitment(&theirs) == *commitment =>
            {
                let ours = *nonce;
                self.compare(&ours, &theirs);
            }
            (Phase::Comparing { .. }, Request::Answer { .. }, Some(Reply::Nothing)) => {
                if let Phase::Comparing { ours, .. } = &mut self.phase {
                    *ours = Ours::Acknowledged;
                }
                self.conclude();
            }
            _ => self.fail(VerifyFailure::Broken),
        }
    }

    /// Both nonces are known.
    fn compare(&mut self, proposers: &Nonce, responders: &Nonce) {
        let is_proposer = matches!(self.phase, Phase::Opening { .. });
        let Some(attempt) = self.attempt().map(str::to_owned) else { return };
        let string = self.transcript(&attempt, is_proposer).string(proposers, responders);
        self.phase = Phase::Comparing { attempt, string, ours: Ours::Nothing, theirs: false };
        self.events.push_back(VerifyEvent::Compare(string));
    }

    /// Whether both have said yes, and both know it.
    fn conclude(&mut self) {
        if matches!(self.phase, Phase::Comparing { ours: Ours::Acknowledged, theirs: true, .. }) {
            self.phase = Phase::Idle;
            self.events.push_back(VerifyEvent::Verified);
        }
    }

    fn fail(&mut self, how: VerifyFailure) {
        self.phase = Phase::Idle;
        self.failed = self.failed.saturating_add(1);
        self.events.push_back(VerifyEvent::Failed(how));
    }

    /// The name of the attempt that is going on.
    fn attempt(&self) -> Option<&str> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Proposed { attempt, .. }
            | Phase::Opening { attempt, .. }
            | Phase::Committed { attempt, .. }
            | Phase::Comparing { attempt, .. } => Some(attempt),
        }
    }

    fn transcript<'a>(&'a self, attempt: &'a str, is_proposer: bool) -> Transcript<'a> {
        let (proposer, responder) = if is_proposer { (&self.we, &self.peer) } else { (&self.peer, &self.we) };
        Transcript { channel: &self.channel, attempt, proposer, responder }
    }

    fn ask(&mut self, attempt: String, request: Request) {
        let id = self.ids.next_id().as_str().to_owned();
        self.transmits.extend(wire::request(&id, &attempt, &request));
        self.asked.push(Asked { id, attempt, request });
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Verifier");
        out.field("peer", &self.peer).field("phase", &self.phase).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl fmt::Display for VerifyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WeDiffer => f.write_str("the strings differ: somebody is in the middle"),
            Self::PeerDiffers => f.write_str("the other user says that the strings differ: somebody is in the middle"),
            Self::WeAborted => f.write_str("it was aborted"),
            Self::PeerAborted => f.write_str("the other end aborted it"),
            Self::Refused(Condition::ServiceUnavailable) => {
                f.write_str("the peer does not know how to compare strings")
            }
            Self::Refused(condition) => write!(f, "the peer refused it: {}", condition.as_str()),
            Self::Broken => {
                f.write_str("the peer did not keep to the rules: it is broken, or somebody is in the middle")
            }
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("strings are being compared already"),
            Self::TooMany => write!(f, "{MAX_FAILED} comparisons have failed in this channel"),
        }
    }
}

impl core::error::Error for VerifyFailure {}
impl core::error::Error for VerifyError {}
