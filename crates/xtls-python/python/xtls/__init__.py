"""End-to-end encrypted tunnels over XMPP.

An `Engine` does no I/O: hand in the stanzas that arrive, send what `poll_transmit` gives, and see what happens by `poll_event`. In
asyncio, `xtls.aio.Driver` does that. What a call refuses is an exception of `xtls.errors`, whose `code` is a short name.
"""

from . import errors, names
from ._native import (
    CODES,
    CONFIG_SETTINGS,
    NAMES,
    OPTION_SETTINGS,
    Certificate,
    Deadline,
    Engine,
    Event,
    FileStore,
    Handled,
    Identity,
    MemoryStore,
    Pin,
    Security,
    Stats,
    Store,
    __version__,
)
from .errors import Error

__all__ = [
    "CODES",
    "CONFIG_SETTINGS",
    "NAMES",
    "OPTION_SETTINGS",
    "Certificate",
    "Deadline",
    "Engine",
    "Error",
    "Event",
    "FileStore",
    "Handled",
    "Identity",
    "MemoryStore",
    "Pin",
    "Security",
    "Stats",
    "Store",
    "__version__",
    "errors",
    "names",
]
