//! RFC 5054 § 2.7 (Ciphersuite Definitions): the two that are spoken.

/// A cipher suite of RFC 5054 § 2.7, used with encrypt-then-MAC (RFC 7366) always.
///
/// The suites with a certificate are not needed where both sides know the password, and those with 3DES, which RFC 5054
/// makes mandatory, have a block of 64 bits and are refused by everyone now (Sweet32). Nobody has defined one with an AEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CipherSuite {
    /// TLS_SRP_SHA_WITH_AES_256_CBC_SHA, 0xC020.
    TlsSrpShaWithAes256CbcSha,
    /// TLS_SRP_SHA_WITH_AES_128_CBC_SHA, 0xC01D.
    TlsSrpShaWithAes128CbcSha,
}

impl CipherSuite {
    /// Both, the stronger one first.
    pub const ALL: [Self; 2] = [Self::TlsSrpShaWithAes256CbcSha, Self::TlsSrpShaWithAes128CbcSha];

    /// The number on the wire.
    #[must_use]
    pub fn code_point(self) -> u16 {
        match self {
            Self::TlsSrpShaWithAes256CbcSha => 0xC020,
            Self::TlsSrpShaWithAes128CbcSha => 0xC01D,
        }
    }

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsSrpShaWithAes256CbcSha => "TLS_SRP_SHA_WITH_AES_256_CBC_SHA",
            Self::TlsSrpShaWithAes128CbcSha => "TLS_SRP_SHA_WITH_AES_128_CBC_SHA",
        }
    }

    pub(crate) fn key_length(self) -> usize {
        match self {
            Self::TlsSrpShaWithAes256CbcSha => 32,
            Self::TlsSrpShaWithAes128CbcSha => 16,
        }
    }
}
