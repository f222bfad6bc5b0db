//! End-to-end encrypted tunnels for XMPP (XTLS), sans-IO: the engine.
