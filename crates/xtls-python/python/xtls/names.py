"""The short names of what can happen, as types. They are those of all languages."""

from typing import Literal, TypeAlias

Authentication: TypeAlias = Literal[
    "pinned",
    "approved",
    "authority",
    "password",
    "sasl",
    "leap-of-faith",
]

Blame: TypeAlias = Literal[
    "misbehaved",
    "incompatible",
    "network",
    "nobody",
    "ourselves",
]

CertificatesFault: TypeAlias = Literal[
    "refused",
    "timeout",
    "malformed",
    "not-announced",
    "stream-closed",
]

CloseReason: TypeAlias = Literal[
    "done",
    "terminated",
    "aborted",
    "fault",
]

Code: TypeAlias = Literal[
    "ok",
    "null-pointer",
    "bad-handle",
    "busy",
    "poisoned",
    "panicked",
    "not-utf8",
    "buffer-too-small",
    "too-many-handles",
    "nothing",
    "address",
    "setting",
    "xml",
    "identity",
    "fingerprint",
    "name",
    "authorities",
    "password-empty",
    "password-too-long",
    "password-prohibited",
    "config",
    "provider",
    "minimum-tls",
    "store",
    "other-engine",
    "ended",
    "gone",
    "own-address",
    "too-many-with-peer",
    "too-many",
    "sid",
    "no-method",
    "user-name",
    "password-locked",
    "no-authorities",
    "downgraded",
    "not-pinned",
    "no-tls13",
    "other-application",
    "not-secured",
    "not-xml",
    "not-raw",
    "closing",
    "wrong-state",
    "not-in-this-tls",
    "unsupported",
    "early",
    "no-stream",
    "already-asked",
    "full",
    "not-a-stanza",
    "foreign-address",
    "too-large",
    "reserved",
    "no-certificate",
    "not-asked",
]

Condition: TypeAlias = Literal[
    "alternative-session",
    "busy",
    "cancel",
    "connectivity-error",
    "decline",
    "expired",
    "failed-application",
    "failed-transport",
    "general-error",
    "gone",
    "incompatible-parameters",
    "media-error",
    "security-error",
    "success",
    "timeout",
    "unsupported-applications",
    "unsupported-transports",
]

Disposition: TypeAlias = Literal[
    "consumed",
    "observed",
    "not-ours",
    "unclaimed",
    "malformed",
]

EndedBy: TypeAlias = Literal[
    "local",
    "remote",
    "engine",
]

EventKind: TypeAlias = Literal[
    "incoming",
    "incoming-gone",
    "redirected",
    "password-required",
    "trust-required",
    "secured",
    "confirmed",
    "store-failed",
    "stream-opened",
    "stream-closed",
    "stanza",
    "impersonation",
    "misaddressed",
    "certificates-received",
    "probed",
    "presence-wanted",
    "connect",
    "abandon",
    "readable",
    "writable",
    "throttled",
    "peer-finished",
    "receipt",
    "closed",
]

Fault: TypeAlias = Literal[
    "peer-lacks-xtls",
    "no-common-method",
    "downgraded",
    "negotiation-differs",
    "negotiation-missing",
    "not-trusted",
    "certificate-changed",
    "out-of-date",
    "fingerprint-mismatch",
    "wrong-password",
    "password-locked",
    "user-name",
    "trust-refused",
    "tls",
    "stream",
    "bytestream",
    "bytestream-closed",
    "no-connection",
    "connection-lost",
    "no-transport",
    "jingle",
    "refused",
    "unreachable",
    "undelivered",
    "redirected",
    "another-answered",
    "tie-break",
    "timeout",
    "gone",
    "disconnected",
    "store",
    "not-xmpp",
    "no-tls",
    "starttls",
    "own-address",
    "not-accepted",
    "not-authenticated",
    "too-many-attempts",
    "ended-early",
    "link",
    "internal",
]

ProbeFault: TypeAlias = Literal[
    "refused",
    "timeout",
    "malformed",
    "another-answered",
    "disconnected",
]

Receipt: TypeAlias = Literal[
    "unsupported",
    "not-needed",
    "missing",
    "given",
]

TrustDecision: TypeAlias = Literal[
    "accept",
    "accept-and-keep",
    "refuse",
]

TrustPolicy: TypeAlias = Literal[
    "pinned",
    "ask",
    "leap-of-faith",
    "authorities",
]
