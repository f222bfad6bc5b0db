//! XML namespaces used by XTLS, each under the name of the document that defines it.

/// RFC 6120: stanzas between a client and its server, and inside a tunnel.
pub const CLIENT: &str = "jabber:client";
/// RFC 6120 § 4.8.3: stanzas between servers, which no stream here carries.
pub const SERVER: &str = "jabber:server";
/// XEP-0114: stanzas between a component and its server.
pub const COMPONENT: &str = "jabber:component:accept";
/// RFC 6120 § 4.8.1: the stream element and what belongs to it.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 6120 § 4.9.2: stream error conditions.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// RFC 6120 § 8.3.2: stanza error conditions.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// RFC 6120 § 5.4.2: the elements that negotiate TLS.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// RFC 6120 § 6.4: the elements that negotiate SASL.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// XEP-0035: the same for TLS, before streams had features.
pub const RFC_2595: &str = "http://www.ietf.org/rfc/rfc2595.txt";
/// XEP-0250: which methods and keys two clients are ready for.
pub const C2C_TLS: &str = "urn:xmpp:tmp:c2ctls";
/// XML 1.0 § 2.12: the namespace that the prefix `xml` is always bound to.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Namespaces in XML § 3: the namespace that the prefix `xmlns` is always bound to.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// XEP-0030: service discovery, information queries.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030: service discovery, what an entity has.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0115: entity capabilities.
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0276: the question of a caller for presence.
pub const DECLOAK: &str = "urn:xmpp:decloak:0";

/// XEP-0004: data forms, as disco#info carries them (XEP-0128).
pub const DATA_FORMS: &str = "jabber:x:data";
/// XEP-0189 version 0.9, which draft-meyer-xmpp-e2e-encryption-02 § 5.1 names: public keys.
pub const PUBKEY_0: &str = "urn:xmpp:pubkey:0";
/// XEP-0189 before its namespace was issued.
pub const PUBKEY_TMP: &str = "urn:xmpp:tmp:pubkey";
/// XEP-0189 version 0.14; clients of that time put certificates into it as before.
pub const PUBKEY_2: &str = "urn:xmpp:pubkey:2";

/// XEP-0166: Jingle.
pub const JINGLE: &str = "urn:xmpp:jingle:1";
/// XEP-0166 before its version 0.35: Jingle without preconditions; the documents on XTLS of that time write it.
pub const JINGLE_0: &str = "urn:xmpp:jingle:0";
/// The same before its namespace was issued.
pub const JINGLE_TMP: &str = "urn:xmpp:tmp:jingle";
/// XEP-0166 § 10: Jingle's own error conditions.
pub const JINGLE_ERRORS: &str = "urn:xmpp:jingle:errors:1";
/// The same in the time of [`JINGLE_0`]; some clients kept it for later sessions.
pub const JINGLE_ERRORS_0: &str = "urn:xmpp:jingle:errors:0";
/// The same in the time of [`JINGLE_TMP`].
pub const JINGLE_ERRORS_TMP: &str = "urn:xmpp:tmp:jingle:errors";
/// draft-meyer-xmpp-e2e-encryption-02 § 3: the security precondition, as it is emitted.
pub const XTLS_0: &str = "urn:xmpp:jingle:security:xtls:0";
/// draft-meyer-xmpp-e2e-encryption-02 § 7: the same, as the disco feature spells it.
pub const XTLS_1: &str = "urn:xmpp:jingle:security:xtls:1";
/// XEP-0247: an XML stream as a Jingle application, as it is emitted.
pub const XMLSTREAM_0: &str = "urn:xmpp:jingle:apps:xmlstream:0";
/// draft-meyer-xmpp-e2e-encryption-02 § 7: the same, as the disco feature spells it.
pub const XMLSTREAM_1: &str = "urn:xmpp:jingle:apps:xmlstream:1";
/// XEP-0247 before its namespace was issued.
pub const XMLSTREAM_TMP: &str = "urn:xmpp:tmp:jingle:apps:xmlstream";
/// The same with a version.
pub const XMLSTREAM_TMP_0: &str = "urn:xmpp:tmp:jingle:apps:xmlstream:0";
/// XEP-0261: in-band bytestreams as a Jingle transport.
pub const JINGLE_IBB: &str = "urn:xmpp:jingle:transports:ibb:1";
/// XEP-0261 up to its version 0.3: the same, where the negotiation stands in for open and close.
pub const JINGLE_IBB_0: &str = "urn:xmpp:jingle:transports:ibb:0";
/// XEP-0261 before its namespace was issued.
pub const JINGLE_IBB_TMP: &str = "urn:xmpp:tmp:jingle:transports:ibb";
/// XEP-0260: SOCKS5 bytestreams as a Jingle transport.
pub const JINGLE_S5B: &str = "urn:xmpp:jingle:transports:s5b:1";
/// The negotiation hash of XTLS, version 1: docs/wire.md § 5.
pub const NEGOTIATION_1: &str = "urn:xtls:negotiation:1";
/// XEP-0065: SOCKS5 bytestreams.
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
/// XEP-0478: what a server says of its limits.
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// RFC 6120 § 4.9.3.14: the namespace of `<stanza-too-big/>`.
pub const ERRORS: &str = "urn:xmpp:errors";
/// XEP-0047: in-band bytestreams.
pub const IBB: &str = "http://jabber.org/protocol/ibb";

/// Tells whether `ns` is one in which the stanzas of an outer stream may stand.
///
/// A stanza cut out of its stream has no namespace of its own; [`CLIENT`], [`COMPONENT`] and none are taken alike.
#[must_use]
pub fn is_stanza(ns: &str) -> bool {
    matches!(ns, CLIENT | COMPONENT | "")
}
