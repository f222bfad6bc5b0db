//! TLS 1.2 with Secure Remote Password.
mod credentials;
mod group;
mod random;
mod srp;
pub use credentials::{Credentials, CredentialsError};
pub use group::Group;
pub use random::{Random, RandomFailed};
#[cfg(test)]
mod tests;
