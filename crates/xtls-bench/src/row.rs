//! The rows of the targets.

use clap::ValueEnum;

/// A row of the targets. Rows 13 and 14 are counted and simulated, and not measured here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Row {
    /// Payload through a tunnel beside IDEAL, blocks of 4096 bytes
    #[value(name = "1")]
    Ideal4096,
    /// The same, blocks of 32 760 and 65 535 bytes
    #[value(name = "2")]
    IdealLarge,
    /// Payload beside LIMIT
    #[value(name = "3")]
    Limit,
    /// Payload beside NAIVE
    #[value(name = "4")]
    Naive,
    /// Payload beside slixmpp with Python's ssl
    #[value(name = "5")]
    Slixmpp,
    /// Handshakes beside bare rustls
    #[value(name = "6")]
    Handshake,
    /// A message of 281 bytes beside a TLS record, and allocations
    #[value(name = "7")]
    Message,
    /// Handshakes of TLS-SRP beside OpenSSL
    #[value(name = "8")]
    Srp,
    /// The first handshake of TLS-SRP in a process beside a later one
    #[value(name = "8b")]
    FirstSrp,
    /// Bytes through TLS-SRP beside OpenSSL
    #[value(name = "9")]
    SrpBulk,
    /// Memory of an idle tunnel beside bare rustls
    #[value(name = "10")]
    Idle,
    /// Memory after 64 KiB beside bare rustls
    #[value(name = "11")]
    Drained,
    /// Bytes on the wire for each byte of payload
    #[value(name = "12")]
    Wire,
    /// A block beside 10 000 idle tunnels
    #[value(name = "15")]
    Scale,
    /// Payload through the tokio streams of xtls-tokio beside the engine alone
    #[value(name = "streams")]
    Streams,
    /// A stanza that is not for the engine beside parsing it by minidom
    #[value(name = "others")]
    Others,
    /// Opening a tunnel through a real Prosody beside its round trips
    #[value(name = "setup")]
    Setup,
    /// A gibibyte through one tunnel: memory does not grow
    #[value(name = "long")]
    Long,
}

impl Row {
    /// Its number, as the targets have it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
