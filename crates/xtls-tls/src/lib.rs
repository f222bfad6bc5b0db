//! One TLS session type for XTLS: identities, fingerprints, pinned verification over rustls.
