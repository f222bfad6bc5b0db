//! What a session is told before it starts.

use std::fmt;

use crate::credentials::Credentials;
use crate::group::Group;
use crate::suite::CipherSuite;

/// What a client is told.
///
/// ```
/// use tls_srp::{ClientConfig, Credentials, Group};
///
/// let mut config = ClientConfig::new(Credentials::new("romeo@montague.lit", "wherefore")?);
/// config.groups.retain(|group| *group >= Group::Rfc5054N3072);
/// # Ok::<(), tls_srp::CredentialsError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name that is sent, in the clear, and the password that is not.
    pub credentials: Credentials,
    /// What is offered, best first. Not empty. Default: [`CipherSuite::ALL`].
    pub suites: Vec<CipherSuite>,
    /// The groups that the server may use. Not empty. Default: [`Group::ALL`].
    pub groups: Vec<Group>,
}

impl ClientConfig {
    /// The defaults, with these credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, suites: CipherSuite::ALL.to_vec(), groups: Group::ALL.to_vec() }
    }

    pub(crate) fn check(&self) -> Result<(), SrpConfigError> {
        if self.groups.is_empty() {
            return Err(SrpConfigError::NoGroup);
        }
        check_suites(&self.suites)
    }
}

/// What a server is told.
///
/// A server here knows one user, and the user's password rather than a verifier of it: that is what two parties who share a
/// word need, and with a new salt for each session there is no verifier to steal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Who may log in, and with what.
    users: Users,
    /// What is accepted, best first: the server's order decides. Not empty. Default: [`CipherSuite::ALL`].
    pub suites: Vec<CipherSuite>,
    /// The group that is used. Default: [`Group::Rfc5054N3072`].
    pub group: Group,
}

/// Where the server finds a user. Closed to the outside, so that another way can be added.
#[derive(Clone, Debug)]
enum Users {
    One(Credentials),
}

impl ServerConfig {
    /// The defaults, and this one user.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { users: Users::One(credentials), suites: CipherSuite::ALL.to_vec(), group: Group::Rfc5054N3072 }
    }

    /// The user with exactly this name. Clients prepare names as [`Credentials`] does, so bytes are compared.
    pub(crate) fn user(&self, name: &[u8]) -> Option<&Credentials> {
        match &self.users {
            Users::One(user) => (user.username().as_bytes() == name).then_some(user),
        }
    }

    pub(crate) fn check(&self) -> Result<(), SrpConfigError> {
        check_suites(&self.suites)
    }
}

fn check_suites(suites: &[CipherSuite]) -> Result<(), SrpConfigError> {
    if suites.is_empty() {
        return Err(SrpConfigError::NoCipherSuite);
    }
    Ok(())
}

/// Why a configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SrpConfigError {
    /// There is no cipher suite in it.
    NoCipherSuite,
    /// There is no group in it.
    NoGroup,
}

impl fmt::Display for SrpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCipherSuite => "no cipher suite is allowed",
            Self::NoGroup => "no group is allowed",
        })
    }
}

impl std::error::Error for SrpConfigError {}
