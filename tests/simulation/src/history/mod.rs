//! What happens in a world, in order.

mod generate;
mod text;

use core::fmt;
use std::collections::BTreeMap;

use xtls_testkit::Misdeed;

pub use self::text::HistoryError;
use crate::{links, tunnels};

/// Operations of applications, of networks and of a hostile server, and the seed of the world that they happen in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Keys, identifiers and the jitter of the network follow from it.
    pub seed: u64,
    /// What it is a history of.
    pub scene: Scene,
    /// How the engines or links are configured.
    pub settings: Settings,
    /// What happens. What another scene is made of does nothing.
    pub operations: Vec<Operation>,
}

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scene {
    /// Tunnels of four entities, through a server.
    #[default]
    Tunnels,
    /// A link between Romeo and Juliet, over a wire.
    PeerLink,
    /// A link from Romeo, a client, to Juliet, who plays his server.
    ServerLink,
}

/// How the engines of a history are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// [`Config::block_size`](xtls::Config::block_size).
    pub block_size: u16,
    /// Blocks of a fixed [window](xtls::Config::window); adaptive if it is 0.
    pub window: u16,
    /// [`Config::receive_buffer`](xtls::Config::receive_buffer).
    pub receive_buffer: usize,
    /// [`Config::send_buffer`](xtls::Config::send_buffer), or that of a link.
    pub send_buffer: usize,
}

/// One of the entities. The first three know one another's certificates; nobody knows Mallory's. All share a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Who {
    /// `romeo@montague.lit/orchard`.
    Romeo,
    /// `juliet@capulet.lit/balcony`.
    Juliet,
    /// `juliet@capulet.lit/chamber`: another client of Juliet's, with a certificate of its own.
    Chamber,
    /// A stranger, with characters in her address that XML escapes.
    Mallory,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// An entity offers a tunnel.
    Initiate {
        /// Who offers it.
        who: Who,
        /// To whom.
        whom: Who,
        /// Whether it carries an XML stream; raw bytes otherwise.
        xml: bool,
        /// Whom the initiator trusts.
        trust: Trust,
    },
    /// An entity does something with one of its tunnels.
    Tunnel {
        /// Who.
        who: Who,
        /// The place of the tunnel among those that it has, modulo their number; nothing happens without any.
        which: u32,
        /// What it does.
        action: Action,
    },
    /// An entity asks another one what it is ready for.
    Probe {
        /// Who.
        who: Who,
        /// Whom.
        whom: Who,
    },
    /// An entity broadcasts its presence.
    Announce(Who),
    /// Whether an entity's application leaves events and data in its engine from now on.
    Slow(Who, bool),
    /// How an entity's user answers from now on.
    Manners(Who, Manners),
    /// Something happens to an entity's stream.
    Stream(Who, StreamChange),
    /// The server stops and starts again.
    Restart,
    /// Time passes, in milliseconds.
    Run(u32),
    /// How long stanzas take from now on, in milliseconds.
    Latency(u32),
    /// How much longer they may take, in milliseconds.
    Jitter(u32),
    /// How many bytes a second each may send; 0 for any number.
    Bandwidth(u32),
    /// How many stanzas a second each may send; 0 for any number.
    Rate(u32),
    /// How many bytes a stanza may have; 0 for any number.
    Limit(u32),
    /// The server does this to the next stanza that it can be done to.
    Misdeed(Misdeed),
    /// The server delivers this to an entity.
    Inject(Who, String),
    /// Impostors between Romeo and Juliet are there from now on, or not.
    Impostors(bool),
    /// Romeo makes a new link to Juliet.
    Connect(Trust),
    /// An end does something with its link.
    Link(Who, LinkAction),
    /// The wire does this to what an end sends next.
    Wire(Who, WireFault),
    /// How many bytes of a wire are handed over at a time; 0 for all.
    Pieces(u32),
    /// How many bytes a wire holds in each direction; 0 for any number.
    Pipe(u32),
}

/// What an end of a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkAction {
    /// Sends so many messages.
    Send(u32),
    /// Sends a message with so many bytes.
    Write(u32),
    /// Ends the link in order.
    Close,
    /// Its connection breaks, and it knows.
    CutOff,
}

/// What a hostile wire does to the next bytes that an end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireFault {
    /// They are lost.
    Drop,
    /// They come twice.
    Duplicate,
    /// This bit of them is flipped, modulo their number.
    Flip(u32),
    /// So many bytes, modulo their number, are missing at their end.
    Cut(u32),
    /// Bytes that are no TLS come before them: so many.
    Insert(u32),
    /// They come after the next ones.
    Swap,
}

/// Whom an initiator trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Those whose certificate is pinned.
    Pinned,
    /// Those, and whoever its user approves.
    Ask,
    /// Those, and a stranger that comes for the first time.
    LeapOfFaith,
    /// Those, and who knows the password.
    Password,
    /// The same, with a wrong password.
    WrongPassword,
}

/// What an application does with a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Sends so many bytes more: as they are, or in a message.
    Write(u32),
    /// Sends so many small messages; nothing where bytes are carried.
    Send(u32),
    /// Ends its direction of raw bytes.
    Finish,
    /// Ends the tunnel in order.
    Close,
    /// Ends it at once.
    Abort,
    /// Opens the XML stream again.
    OpenStream,
    /// Closes the XML stream.
    CloseStream,
    /// Asks for the peer's certificates.
    Certificates,
}

/// How an entity's user answers offers and questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Manners {
    /// Accepts offers, knows the password, and approves true certificates.
    #[default]
    Good,
    /// Rejects offers, has no password, and refuses certificates.
    Refusing,
    /// Never answers.
    Silent,
    /// Accepts offers, and has the wrong password.
    Mistaken,
}

/// What happens to an entity's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamChange {
    /// It is gone, and the entity knows.
    Offline,
    /// It is there again.
    Online,
    /// It is away, and the entity knows.
    Suspend,
    /// It is resumed.
    Resume,
    /// It is away, and the entity does not notice.
    Hold,
    /// It is back.
    Release,
}

/// What a history came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The invariant that was broken first, in words; none if all held.
    pub failure: Option<String>,
    /// A hash over all that went over the wire and all that the engines told: the same for the same history.
    pub transcript: [u8; 32],
    /// What a hostile server or network did.
    pub faults: u64,
    /// Plaintext that arrived, in bytes.
    pub delivered: u64,
    /// Tunnels that were secured, counted at each end.
    pub secured: u64,
    /// How tunnels ended, and how often each came.
    pub endings: BTreeMap<String, u64>,
    /// What happened, if it was asked for.
    pub trace: Vec<xtls_trace::Line>,
}

/// How a history is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Play {
    /// With the real provider of cryptography, its post-quantum key exchange included. It cannot be replayed.
    pub real_cryptography: bool,
    /// Keeps a trace.
    pub trace: bool,
}

impl Play {
    /// With a trace.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { trace: true, ..self }
    }

    /// With the real provider.
    #[must_use]
    pub fn real(self) -> Self {
        Self { real_cryptography: true, ..self }
    }
}

impl History {
    /// Plays it, in a new world. A panic anywhere is a failure too.
    #[must_use]
    pub fn play(&self, play: Play) -> Outcome {
        match self.scene {
            Scene::Tunnels => tunnels::play(self, play),
            Scene::PeerLink | Scene::ServerLink => links::play(self, play),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let config = xtls::Config::default();
        Self {
            block_size: config.block_size,
            window: 0,
            receive_buffer: config.receive_buffer,
            send_buffer: config.send_buffer,
        }
    }
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Romeo, Self::Juliet, Self::Chamber, Self::Mallory];

    /// The full JID.
    #[must_use]
    pub fn address(self) -> &'static str {
        match self {
            Self::Romeo => "romeo@montague.lit/orchard",
            Self::Juliet => "juliet@capulet.lit/balcony",
            Self::Chamber => "juliet@capulet.lit/chamber",
            Self::Mallory => "mallory@verona.lit/<the> 'square' & co",
        }
    }

    /// The place among all.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Romeo => 0,
            Self::Juliet => 1,
            Self::Chamber => 2,
            Self::Mallory => 3,
        }
    }

    /// A short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Romeo => "romeo",
            Self::Juliet => "juliet",
            Self::Chamber => "chamber",
            Self::Mallory => "mallory",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
