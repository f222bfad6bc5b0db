//! Virtual clock, simulated relay, pairs and a deterministic TLS provider for testing XTLS; never for production.
