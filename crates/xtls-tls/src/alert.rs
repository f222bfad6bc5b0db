//! TLS alerts by the names that people can look up.

use std::fmt;

/// A TLS alert (RFC 8446 § 6.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(u8);

impl Alert {
    /// The certificate is out of date.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// Something else makes the certificate unacceptable.
    pub const CERTIFICATE_UNKNOWN: Self = Self(46);
    /// What went wrong is the sender's own affair.
    pub const INTERNAL_ERROR: Self = Self(80);

    pub(crate) const UNEXPECTED_MESSAGE: Self = Self(10);
    pub(crate) const BAD_RECORD_MAC: Self = Self(20);
    pub(crate) const BAD_CERTIFICATE: Self = Self(42);
    pub(crate) const UNKNOWN_CA: Self = Self(48);
    pub(crate) const DECODE_ERROR: Self = Self(50);
    pub(crate) const DECRYPT_ERROR: Self = Self(51);
    pub(crate) const PROTOCOL_VERSION: Self = Self(70);
    pub(crate) const CERTIFICATE_REQUIRED: Self = Self(116);

    pub(crate) const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The registered name, such as `bad_record_mac`; `unknown` for a number that has none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => "unknown",
        }
    }
}

/// The name, and the number of an unknown one.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "unknown" => write!(f, "alert {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alert({} {})", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_shown_by_name_or_by_number() {
        assert_eq!(Alert::BAD_RECORD_MAC.to_string(), "bad_record_mac");
        assert_eq!(Alert::new(99).to_string(), "alert 99");
        assert_eq!(format!("{:?}", Alert::CERTIFICATE_REQUIRED), "Alert(116 certificate_required)");
    }

    #[test]
    fn names_agree_with_those_of_rustls() {
        for code in 0..=255 {
            let rustls = format!("{:?}", rustls::AlertDescription::from(code)).to_lowercase();
            let ours = Alert::new(code).name().replace('_', "");
            // rustls knows a few that TLS 1.2 and 1.3 no longer use or that we never negotiate.
            if ours != "unknown" {
                let rustls = rustls.replace("unrecognisedname", "unrecognizedname");
                assert_eq!(ours, rustls, "alert {code}");
            }
        }
    }
}
