//! Shared passwords, and how often one may be guessed at.

use core::fmt;
use std::sync::Arc;

use xtls_stanza::jid::BareJid;
use xtls_tls::{MAX_PASSWORD, Secret, SrpCredentials, SrpCredentialsError};

/// A password that two users share, for the method `srp`. It is wiped from memory when it is dropped, and does not show in
/// `Debug`.
///
/// ```
/// use xtls_channel::{Password, PasswordError};
///
/// assert!(Password::new("a rose by any other name").is_ok());
/// assert_eq!(Password::new("").unwrap_err(), PasswordError::Empty);
/// ```
#[derive(Clone)]
pub struct Password(Arc<Secret>);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordError {
    /// It is empty, or nothing is left of it after SASLprep (RFC 4013).
    Empty,
    /// It has more than 1024 bytes after SASLprep.
    TooLong,
    /// It has a character that SASLprep does not allow: a control character, or one that Unicode 3.2 does not know, such
    /// as an emoji.
    Prohibited,
}

impl Password {
    /// Takes a password.
    ///
    /// # Errors
    ///
    /// When SASLprep refuses it, or it is empty or too long. Nothing is sent with such a one.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        match SrpCredentials::new("name", text) {
            Ok(_) => Ok(Self(Arc::new(Secret::from(text.to_owned())))),
            Err(SrpCredentialsError::PasswordEmpty) => Err(PasswordError::Empty),
            Err(SrpCredentialsError::PasswordTooLong) => Err(PasswordError::TooLong),
            Err(_) => Err(PasswordError::Prohibited),
        }
    }

    /// Name and password for TLS: the name is the initiator's bare JID at both ends (XEP-0250 § 2.3). `None` when that
    /// is longer than the 255 bytes of RFC 5054 § 2.8.1, or SASLprep refuses it.
    pub(crate) fn credentials(&self, initiator: &BareJid) -> Option<SrpCredentials> {
        SrpCredentials::new(initiator.canonical(), self.0.expose()).ok()
    }

    /// How many hold the same secret; the last one wipes it.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// Why there is no user name for TLS-SRP, in words.
pub(crate) const NO_USER_NAME: &str = "the address of whoever begins cannot go with a password: it has more than 255 bytes, or a \
     character newer than Unicode 3.2";

/// Whether an initiator's bare JID can be the user name of TLS-SRP.
pub(crate) fn is_user_name(initiator: &BareJid) -> bool {
    SrpCredentials::is_username(initiator.canonical())
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl PasswordError {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: Self {
            Self::Empty => "password-empty",
            Self::TooLong => "password-too-long",
            Self::Prohibited => "password-prohibited",
        }
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the password is empty"),
            Self::TooLong => write!(f, "the password is longer than {MAX_PASSWORD} bytes"),
            Self::Prohibited => f.write_str(
                "the password has a character that cannot be used: a control character, or one newer than Unicode 3.2",
            ),
        }
    }
}

impl core::error::Error for PasswordError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<PasswordError> {
        Password::new(text).err()
    }

    #[test]
    fn passwords_that_cannot_be_used_are_refused_before_anything_is_sent() {
        assert_eq!(refused(""), Some(PasswordError::Empty));
        // RFC 4013 maps a soft hyphen to nothing.
        assert_eq!(refused("\u{AD}"), Some(PasswordError::Empty));
        assert_eq!(refused(&"x".repeat(1024)), None);
        assert_eq!(refused(&"x".repeat(1025)), Some(PasswordError::TooLong));
        assert_eq!(refused("a\u{7}"), Some(PasswordError::Prohibited));
        assert_eq!(refused("\u{1F339}"), Some(PasswordError::Prohibited));
    }

    #[test]
    fn l06_a_password_does_not_show() {
        let password = Password::new("wherefore").expect("a password");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn a_name_that_rfc_5054_cannot_carry_gives_no_credentials() {
        let password = Password::new("wherefore").expect("a password");
        let jid = |local: usize| BareJid::new(&format!("{}@x", "a".repeat(local))).expect("a JID");
        assert!(password.credentials(&jid(253)).is_some());
        assert!(password.credentials(&jid(254)).is_none());
        assert!(is_user_name(&jid(253)) && !is_user_name(&jid(254)));
    }
}
