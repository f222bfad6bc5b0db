//! RFC 5246 § 7.2 (Alert Protocol): the descriptions that can occur here, and their numbers.

use std::fmt;

macro_rules! descriptions {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What an alert says (RFC 5246 § 7.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AlertDescription {
            $($(#[$doc])* $name,)*
            /// Any other number.
            Other(u8),
        }

        impl From<u8> for AlertDescription {
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl From<AlertDescription> for u8 {
            fn from(description: AlertDescription) -> Self {
                match description {
                    $(AlertDescription::$name => $number,)*
                    AlertDescription::Other(other) => other,
                }
            }
        }

        impl fmt::Display for AlertDescription {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::Other(other) => write!(f, "alert {other}"),
                }
            }
        }
    };
}

descriptions! {
    /// The sender writes no more.
    CloseNotify = 0, "close_notify";
    /// A message or record that does not belong here.
    UnexpectedMessage = 10, "unexpected_message";
    /// A record that does not verify; in an SRP handshake mostly a wrong password (RFC 5054 § 2.6).
    BadRecordMac = 20, "bad_record_mac";
    /// A record that is too long.
    RecordOverflow = 22, "record_overflow";
    /// No parameters that both accept.
    HandshakeFailure = 40, "handshake_failure";
    /// A field out of its range.
    IllegalParameter = 47, "illegal_parameter";
    /// A message that cannot be parsed.
    DecodeError = 50, "decode_error";
    /// A Finished message that does not match.
    DecryptError = 51, "decrypt_error";
    /// A version that is not spoken.
    ProtocolVersion = 70, "protocol_version";
    /// An SRP group that is not known (RFC 5054 § 2.9).
    InsufficientSecurity = 71, "insufficient_security";
    /// The sender's own trouble.
    InternalError = 80, "internal_error";
    /// The user gave up.
    UserCanceled = 90, "user_canceled";
    /// A refusal to handshake again.
    NoRenegotiation = 100, "no_renegotiation";
    /// A ServerHello extension that nobody asked for.
    UnsupportedExtension = 110, "unsupported_extension";
    /// A user name that is missing or not known (RFC 5054 § 2.9).
    UnknownPskIdentity = 115, "unknown_psk_identity";
}

/// RFC 5246 § 7.2: `AlertLevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlertLevel {
    Warning,
    Fatal,
}

/// The two bytes of an alert.
pub(crate) fn encode(level: AlertLevel, description: AlertDescription) -> [u8; 2] {
    let level = match level {
        AlertLevel::Warning => 1,
        AlertLevel::Fatal => 2,
    };
    [level, description.into()]
}

/// The alert in a record, which must hold exactly one. `None` if it does not.
pub(crate) fn decode(fragment: &[u8]) -> Option<(AlertLevel, AlertDescription)> {
    match fragment {
        [1, description] => Some((AlertLevel::Warning, (*description).into())),
        [2, description] => Some((AlertLevel::Fatal, (*description).into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_round_trips() {
        for number in 0..=u8::MAX {
            let description = AlertDescription::from(number);
            assert_eq!(u8::from(description), number);
            let name = description.to_string();
            assert_eq!(name.starts_with("alert "), matches!(description, AlertDescription::Other(_)));
        }
    }

    #[test]
    fn one_alert_to_a_record() {
        for illegal in [&[][..], &[2], &[0, 10], &[3, 10], &[2, 10, 2], &[1, 0, 1, 0]] {
            assert_eq!(decode(illegal), None);
        }
        for level in [AlertLevel::Warning, AlertLevel::Fatal] {
            let bytes = encode(level, AlertDescription::DecodeError);
            assert_eq!(decode(&bytes), Some((level, AlertDescription::DecodeError)));
        }
    }
}
