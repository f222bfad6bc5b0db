//! The namespaces of files.

/// XEP-0234: a file as a Jingle application.
pub const FILE_TRANSFER: &str = "urn:xmpp:jingle:apps:file-transfer:5";
/// XEP-0234 § 9: why a transfer ended, beyond what Jingle has words for.
pub const FILE_ERRORS: &str = "urn:xmpp:jingle:apps:file-transfer:errors:0";
/// XEP-0300: hashes.
pub const HASHES: &str = "urn:xmpp:hashes:2";
/// What peers of this crate know beyond XEP-0234: checks of what is there already, manifests, further ends.
pub const FILES: &str = "urn:xtls:files:0";
/// Bytes go by a tunnel of their own.
pub const TUNNEL_TRANSPORT: &str = "urn:xtls:jingle:transports:tunnel:0";

/// XEP-0300 § 5: the feature of a hash function, before its name.
pub(crate) const HASH_FEATURE: &str = "urn:xmpp:hash-function-text-names:";
