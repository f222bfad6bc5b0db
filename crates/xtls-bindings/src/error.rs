//! What calls refuse, with words.

use core::fmt;

use crate::code::Code;

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// Its number and its short name.
    pub code: Code,
    /// What was wrong, and with what.
    pub words: String,
}

/// What a call gives, or why it did nothing.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error with words of its own.
    #[must_use]
    pub fn new(code: Code, words: impl fmt::Display) -> Self {
        Self { code, words: words.to_string() }
    }

    /// The short name of its code.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.code.as_str()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl core::error::Error for Error {}

/// With the words of the code.
impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code, code.words())
    }
}

/// An error of `xtls` with a name: the code is the one of that name, of which a test has all.
macro_rules! named {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(Code::named(error.as_str()).unwrap_or(Code::Panicked), error)
            }
        }
    )*};
}

named!(
    xtls::error::InitiateError,
    xtls::error::ProbeError,
    xtls::error::AcceptError,
    xtls::error::RejectError,
    xtls::error::StreamStateError,
    xtls::error::WriteError,
    xtls::error::FinishError,
    xtls::error::ReceiptError,
    xtls::error::RequestCertificatesError,
    xtls::error::SendError,
    xtls::error::SetupError,
    xtls::error::NotAsked,
    xtls::trust::PasswordError
);

/// An error of `xtls` about one sort of value: its words tell the rest.
macro_rules! of_values {
    ($($error:ty => $code:ident,)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(Code::$code, error)
            }
        }
    )*};
}

of_values! {
    xtls::jid::JidError => Address,
    xtls::xml::ParseError => Xml,
    xtls::tls::IdentityError => Identity,
    xtls::trust::FingerprintError => Fingerprint,
    xtls::trust::AuthoritiesError => Authorities,
    xtls::trust::StoreError => Store,
    xtls::config::ConfigError => Config,
}
