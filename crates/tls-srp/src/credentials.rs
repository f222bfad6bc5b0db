//! RFC 5054 § 2.3 (Text Preparation): user name and password as both sides must spell them.

mod saslprep;

use std::fmt;

use zeroize::Zeroizing;

use crate::wipe;
use saslprep::{Unprepared, saslprep};

/// The longest user name, in bytes of UTF-8 after preparation: `srp_I<1..2^8-1>` (RFC 5054 § 2.8.1).
pub const MAX_USERNAME: usize = 255;

/// The longest password, in bytes of UTF-8 after preparation. RFC 5054 sets no bound; this one is ours.
pub const MAX_PASSWORD: usize = 1024;

/// A user name and a password, prepared with SASLprep (RFC 4013).
///
/// Both sides must prepare alike or a right password is refused, so preparation happens here, once, and what cannot be
/// prepared is refused before anything is sent. The password is wiped when the value is dropped, and `Debug` does not
/// show it.
///
/// ```
/// use tls_srp::{Credentials, CredentialsError};
///
/// let credentials = Credentials::new("juliet@capulet.lit", "\u{2168}")?; // roman numeral nine
/// assert_eq!(credentials, Credentials::new("juliet@capulet.lit", "IX")?);
/// assert_eq!(Credentials::new("juliet@capulet.lit", ""), Err(CredentialsError::PasswordEmpty));
/// # Ok::<(), CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// Prepares both strings (RFC 5054 § 2.3: they "SHALL be ... prepared using the \[SASLPREP\] profile").
    ///
    /// A colon in the user name is allowed. RFC 5054 § 2.4 hashes `I ":" P`, so `a:` with `b` and `a` with `:b` have one
    /// verifier; a server here knows one name, and refuses every other before it looks at the password.
    ///
    /// # Errors
    ///
    /// One of the two is empty after preparation, longer than [`MAX_USERNAME`] or [`MAX_PASSWORD`], or has what SASLprep
    /// refuses: control characters, code points that Unicode 3.2 had not assigned (emoji among them), or text that mixes
    /// directions.
    pub fn new(username: &str, password: &str) -> Result<Self, CredentialsError> {
        let username = prepare_username(username)?;
        let password = wipe::records(|| saslprep(password, MAX_PASSWORD)).map_err(|error| match error {
            Unprepared::Prohibited => CredentialsError::PasswordProhibited,
            Unprepared::TooLong => CredentialsError::PasswordTooLong,
        })?;
        if password.is_empty() {
            return Err(CredentialsError::PasswordEmpty);
        }
        Ok(Self { username: username.as_str().to_owned(), password })
    }

    /// Whether [`Credentials::new`] would take this user name.
    #[must_use]
    pub fn is_username(text: &str) -> bool {
        prepare_username(text).is_ok()
    }

    /// The prepared user name, as it goes over the wire.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

fn prepare_username(text: &str) -> Result<Zeroizing<String>, CredentialsError> {
    let username = saslprep(text, MAX_USERNAME).map_err(|error| match error {
        Unprepared::Prohibited => CredentialsError::UsernameProhibited,
        Unprepared::TooLong => CredentialsError::UsernameTooLong,
    })?;
    if username.is_empty() { Err(CredentialsError::UsernameEmpty) } else { Ok(username) }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.username == other.username && bool::from(self.password.as_bytes().ct_eq(other.password.as_bytes()))
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"[redacted]").finish()
    }
}

/// Why a user name or a password cannot be used. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Nothing is left of the user name.
    UsernameEmpty,
    /// The user name is longer than [`MAX_USERNAME`] bytes.
    UsernameTooLong,
    /// SASLprep refuses a character of the user name.
    UsernameProhibited,
    /// Nothing is left of the password.
    PasswordEmpty,
    /// The password is longer than [`MAX_PASSWORD`] bytes.
    PasswordTooLong,
    /// SASLprep refuses a character of the password.
    PasswordProhibited,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsernameEmpty => f.write_str("the user name is empty"),
            Self::UsernameTooLong => {
                write!(f, "the user name is longer than {MAX_USERNAME} bytes")
            }
            Self::UsernameProhibited => {
                f.write_str("the user name has a character that SASLprep (RFC 4013) does not allow")
            }
            Self::PasswordEmpty => f.write_str("the password is empty"),
            Self::PasswordTooLong => {
                write!(f, "the password is longer than {MAX_PASSWORD} bytes")
            }
            Self::PasswordProhibited => {
                f.write_str("the password has a character that SASLprep (RFC 4013) does not allow")
            }
        }
    }
}

impl std::error::Error for CredentialsError {}

#[cfg(test)]
mod tests;
