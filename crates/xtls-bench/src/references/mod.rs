//! What the engine is measured beside.

pub(crate) mod buffered;
pub(crate) mod helper;
pub(crate) mod ideal;
pub(crate) mod limit;
pub(crate) mod openssl;
pub(crate) mod slixmpp;
pub(crate) mod tls;
