"""End-to-end encrypted tunnels for slixmpp: `client.register_plugin("xtls", config, module=slixmpp_xtls)`."""

import asyncio
import logging
import pathlib
import xml.etree.ElementTree as ET
from typing import Any, ClassVar

from slixmpp import JID, Iq, Message, Presence
from slixmpp.plugins import BasePlugin, register_plugin
from slixmpp.xmlstream import StanzaBase, tostring
from slixmpp.xmlstream.xmlstream import NotConnectedError

import xtls
from xtls import aio

__all__ = ["XTLS"]

log = logging.getLogger(__name__)

_IBB = "{http://jabber.org/protocol/ibb}"
_STANZAS = {"iq": Iq, "message": Message, "presence": Presence}


class XTLS(BasePlugin):
    """Tunnels to peers that have XTLS.

    The configuration:

    - `directory`: where the certificate and what is known of peers are kept, in files.
    - `identity`, `store`: an `xtls.Identity` and a store in their place.
    - `trust`: what happens to a certificate that is not known, unless a call says otherwise. `pinned` refuses it.
    - `settings`: those of the engine, by name.
    - `ask_trust`, `ask_password`: functions or coroutines that are given an event and give the user's answer: `accept`,
      `accept-and-keep` or `refuse`; a password or None.

    The events of slixmpp: `xtls_offer`, with an `xtls.aio.Offer` to accept or reject; and each event of the engine as `xtls_` and its
    kind, such as `xtls_secured`, with an `xtls.Event`. Where nobody handles `xtls_offer`, offers are rejected.
    """

    name = "xtls"
    description = "XTLS: end-to-end encrypted tunnels"
    dependencies: ClassVar[set[str]] = {"xep_0030", "xep_0115"}
    default_config: ClassVar[dict[str, Any]] = {
        "directory": None,
        "identity": None,
        "store": None,
        "trust": "pinned",
        "settings": None,
        "ask_trust": None,
        "ask_password": None,
    }

    identity: xtls.Identity
    store: xtls.Store

    def plugin_init(self) -> None:
        if self.directory is not None:
            directory = pathlib.Path(self.directory).expanduser()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            bare = self.xmpp.boundjid.bare
            self.identity = self.identity or xtls.Identity.in_file(directory / f"{bare}.pem", bare)
            self.store = self.store or xtls.FileStore(directory / "trust.json")
        if self.identity is None or self.store is None:
            raise ValueError("xtls needs a `directory`, or an `identity` and a `store`")
        if not isinstance(self.store, xtls.Store):
            self.store = xtls.Store(self.store)
        self._driver: aio.Driver | None = None
        self._features: list[str] = []
        self._held: list[bytes] | None = None
        self.xmpp.add_filter("in", self._incoming)
        self.xmpp.add_event_handler("session_end", self._session_end)
        self.xmpp.add_event_handler("disconnected", self._disconnected)
        self.xmpp.add_event_handler("session_resumed", self._session_resumed)

    def plugin_end(self) -> None:
        self._session_end()
        self.xmpp.del_filter("in", self._incoming)
        self.xmpp.del_event_handler("session_end", self._session_end)
        self.xmpp.del_event_handler("disconnected", self._disconnected)
        self.xmpp.del_event_handler("session_resumed", self._session_resumed)
        for feature in self._features:
            self.xmpp.plugin["xep_0030"].del_feature(feature=feature)

    def session_bind(self, jid: JID | str) -> None:
        self._session_end()
        engine = xtls.Engine(self.xmpp.boundjid.full, self.identity, self.store, settings=self.settings)
        self._driver = driver = aio.Driver(engine, self._send, trust=self.trust)
        driver.on_event = lambda event: self.xmpp.event("xtls_" + event.kind.replace("-", "_"), event)
        driver.on_offer, driver.on_trust, driver.on_password = self._offered, self.ask_trust, self.ask_password
        # After the filters of plugins that were registered later: stream management has to count what this takes.
        self.xmpp.del_filter("in", self._incoming)
        self.xmpp.add_filter("in", self._incoming)
        self._features = engine.features()
        for feature in self._features:
            self.xmpp.plugin["xep_0030"].add_feature(feature)
        # Before the first presence; it is the client that sends that.
        self._capabilities = asyncio.ensure_future(self.xmpp.plugin["xep_0115"].update_caps(broadcast=False))

    @property
    def driver(self) -> aio.Driver:
        """The driver of this session; its `engine` can do what this plugin has no method for."""
        if self._driver is None:
            raise NotConnectedError()
        return self._driver

    @property
    def fingerprint(self) -> str:
        """That of your certificate, for the users at the other end."""
        return self.identity.fingerprint

    def pin(self, jid: JID | str, fingerprint: str) -> None:
        """Trusts this certificate to be the peer's, on the user's word."""
        self.store.pin(str(jid), fingerprint)

    def forget(self, jid: JID | str) -> bool:
        """Forgets a peer. Tells whether anything was known of it."""
        return self.store.forget(str(jid))

    def pins(self) -> list[xtls.Pin]:
        """All certificates that are trusted."""
        return self.store.pins()

    async def call(self, jid: JID | str, **options: str | bool | None) -> aio.Tunnel:
        """Opens a tunnel, and gives it once it can be used. A bare address is one of its resources that is online and has XTLS."""
        return await self.driver.call(str(jid), **options)

    async def close(self) -> None:
        """Ends all tunnels in order: before the client disconnects."""
        await self.driver.close()

    def _offered(self, offer: aio.Offer) -> None:
        if self.xmpp.event_handled("xtls_offer"):
            self.xmpp.event("xtls_offer", offer)
        else:
            offer.reject("unsupported-applications")

    def _incoming(self, stanza: StanzaBase) -> StanzaBase | None:
        if self._driver is None or not isinstance(stanza, (Iq, Message, Presence)):
            return stanza
        text = tostring(stanza.xml, xmlns=self.xmpp.default_ns, stream=self.xmpp, top_level=True)
        handled = self._driver.handle_stanza(text)
        if handled.disposition == "unclaimed":
            if "xep_0047" in self.xmpp.plugin and any(child.tag.startswith(_IBB) for child in stanza.xml):
                self._driver.engine.leave(handled.refusal)
                return stanza
            self._driver.engine.refuse(handled.refusal)
            self._driver.pump()
            return None
        return None if handled.disposition == "consumed" else stanza

    def _send(self, stanza: bytes) -> None:
        if self._held is not None:
            self._held.append(stanza)
            return
        management = self.xmpp.plugin.get("xep_0198", None)
        if management and management.enabled_out:
            # It keeps what the server has not acknowledged, as elements. Not by way of `send`: what waits there is lost with the connection.
            xml = ET.fromstring(b"<stream xmlns='jabber:client'>%b</stream>" % stanza)[0]
            management._handle_outgoing(_STANZAS[xml.tag.rpartition("}")[2]](self.xmpp, xml=xml))  # type: ignore[no-untyped-call]
        try:
            self.xmpp.send_raw(stanza)
        except NotConnectedError:
            log.debug("not connected any more")

    def _session_end(self, _: object = None) -> None:
        if self._driver is not None:
            driver, self._driver, self._held = self._driver, None, []
            driver.disconnected()
            self._held = None

    def _disconnected(self, _: object = None) -> None:
        # Where the session has not ended, it can be resumed.
        if self._driver is not None and self._held is None:
            self._held = []
            self._driver.suspended()

    async def _session_resumed(self, _: object = None) -> None:
        if self._driver is not None and self._held is not None:
            self._driver.resumed()
            # Behind what was not acknowledged, and is sent once more.
            await self.xmpp.waiting_queue.join()
            held, self._held = self._held or [], None
            for stanza in held:
                self._send(stanza)


register_plugin(XTLS)
