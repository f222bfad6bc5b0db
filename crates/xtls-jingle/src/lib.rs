//! XEP-0166 Jingle sessions with the security preconditions of draft-meyer-xmpp-e2e-encryption, sans-IO.
