//! Bounds and choices of [`Files`](crate::Files).

use std::time::Duration;

use xtls_stanza::DiscoIdentity;

/// Bounds and choices. Everything that a peer can make grow is bounded by one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesConfig {
    /// Sessions at once that the peer began, and as many that we began. Default 16.
    pub sessions_max: usize,
    /// Bytes of one session that wait here at most, in either direction. Default 256 KiB. A peer that keeps to what was agreed
    /// never sends more.
    pub buffer_bytes: usize,
    /// Bytes of one block of an in-band bytestream, before base64. Default 32 768; the smaller one of both ends' counts.
    pub block_size: u16,
    /// Blocks of an in-band bytestream that are sent before the first one is acknowledged. Default 8.
    pub window: u16,
    /// Bytes of a file's name. Default 1024.
    pub name_bytes: usize,
    /// Bytes of the words that describe a file. Default 4096.
    pub description_bytes: usize,
    /// Whether a tunnel of its own is offered and taken for the bytes of a file. Default false: it is for who can open one.
    pub tunnels: bool,
    /// Whether disco#info inside of the stream is answered, if it asks for no node. Default true.
    pub answers_disco: bool,
    /// What disco#info says we are. Default a client of type `pc`.
    pub identity: DiscoIdentity,
    /// Features that disco#info tells besides those for files: what else the application knows inside of the stream.
    pub features: Vec<String>,
    /// How long disco#info is waited for before a file is offered without. Default 10 s.
    pub discovery: Duration,
    /// How long an answer to any other request is waited for. Default 60 s.
    pub answer: Duration,
    /// How long the peer may take to decide on an offer or a request. Default 10 minutes.
    pub decision: Duration,
    /// How long a tunnel for the bytes may take to open. Default 60 s.
    pub opening: Duration,
    /// How long the peer may take to hash what is there already. Default 30 minutes.
    pub preparation: Duration,
    /// How long no byte may come, or be acknowledged, that is due. Default 2 minutes.
    pub idle: Duration,
    /// How long the peer may take to say that it has the file, once everything was sent. Default 5 minutes.
    pub confirmation: Duration,
}

impl FilesConfig {
    /// Bytes of a date.
    pub const MAX_DATE: usize = 64;
    /// Bytes of a media type.
    pub const MAX_MEDIA_TYPE: usize = 255;
    /// Answers that wait to be taken by [`poll_stanza`](crate::Files::poll_stanza). What the peer asks beyond that is not answered:
    /// who does not take them cannot be meant to hear more.
    pub const MAX_ANSWERS: usize = 1024;
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            sessions_max: 16,
            buffer_bytes: 256 * 1024,
            block_size: 32 * 1024,
            window: 8,
            name_bytes: 1024,
            description_bytes: 4096,
            tunnels: false,
            answers_disco: true,
            identity: DiscoIdentity::new("client", "pc"),
            features: Vec::new(),
            discovery: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            decision: Duration::from_secs(600),
            opening: Duration::from_secs(60),
            preparation: Duration::from_secs(1800),
            idle: Duration::from_secs(120),
            confirmation: Duration::from_secs(300),
        }
    }
}
