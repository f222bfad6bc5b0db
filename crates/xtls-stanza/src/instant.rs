//! A moment of the caller's clock, which no library here reads.

/// A moment of the caller's clock: [`std::time::Instant`].
///
/// In a browser (`wasm32-unknown-unknown`) that cannot be made, and this is `web_time::Instant`.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use std::time::Instant;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use web_time::Instant;
