//! Terms as the rules go by them.

use xtls_stanza::Method;

use crate::terms::{Terms, TrustPolicy};

/// What the caller allows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the rules are whole, and so is what they go by")]
pub struct Policy {
    /// The TLS methods.
    pub methods: Vec<Method>,
    /// What makes a certificate acceptable.
    pub trust: TrustPolicy,
    /// Go on with a peer that lacks what secured it before.
    pub allow_downgrade: bool,
}

/// What the user said about a password that is shared with the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the rules are whole, and so is what they go by")]
pub enum Said {
    /// Nothing: nobody has asked.
    Nothing,
    /// There is one, and it is known.
    Password,
    /// There is none.
    NoPassword,
    /// Nothing, although asked: no password can be used, and nobody has said that there is none.
    NoAnswer,
}

impl Policy {
    /// What these terms allow.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        let Terms { methods, trust, allow_downgrade, .. } = terms;
        Self { methods: methods.clone(), trust: *trust, allow_downgrade: *allow_downgrade }
    }
}

impl Said {
    /// What these terms say about a password, before anybody was asked.
    #[must_use]
    pub fn by(terms: &Terms) -> Self {
        if terms.password.is_some() { Self::Password } else { Self::Nothing }
    }
}
