"""An engine in asyncio: calls that wait, questions that are asked, and tunnels as streams.

A `Driver` belongs to the thread of one event loop. Its connection hands in what arrives (`handle_stanza`), and is given what is to be sent.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from . import names
from ._native import Engine, Event, Handled, Security
from .errors import EndedError, Error, FullError
from ._streams import TunnelTransport, streams

__all__ = ["ByteTunnel", "Driver", "Offer", "StanzaTunnel", "Tunnel", "TunnelClosed"]

Answer: TypeAlias = Awaitable[Any] | Any


class TunnelClosed(ConnectionError):
    """The tunnel has ended. `event` is the event `closed`: who ended it, and why."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"closed by {event.by}: {event.text}")
        self.event = event


class Tunnel:
    """A tunnel that is secured, or about to be."""

    def __init__(self, driver: "Driver", id: int, peer: str) -> None:
        self._driver, self.id, self.peer = driver, id, peer
        self.security: Security | None = None
        """How it is secured."""
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[Event] = loop.create_future()

    def __repr__(self) -> str:
        return f"<xtls.aio.{type(self).__name__} {self.id} {self.peer}>"

    @property
    def closed(self) -> Event | None:
        """The event `closed`, once it has ended."""
        return self._closed.result() if self._closed.done() else None

    async def wait_closed(self) -> Event:
        """Waits for the end, whoever brings it about. The event tells why, and whether the peer has everything (`receipt`)."""
        return await asyncio.shield(self._closed)

    def close(self) -> None:
        """Ends it in order. One that has ended stays so."""
        self._end(lambda: self._driver.engine.close(self.id))

    def abort(self, why: names.Condition = "general-error") -> None:
        """Ends it at once, for a reason of XEP-0166, 7.4."""
        self._end(lambda: self._driver.engine.abort(self.id, why))

    def _end(self, end: Callable[[], None]) -> None:
        try:
            end()
        except EndedError:
            return
        self._driver.pump()

    def _on_event(self, event: Event) -> None:
        if event.kind == "secured":
            self.security = event.security
        elif event.kind == "closed":
            if not self._ready.done():
                self._ready.set_exception(TunnelClosed(event))
                # Nobody has to wait for it.
                self._ready.exception()
            self._closed.set_result(event)

    def _is_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)


class StanzaTunnel(Tunnel):
    """A tunnel with an XML stream: stanzas, which `async for` gives until it ends."""

    def __init__(self, driver: "Driver", id: int, peer: str) -> None:
        super().__init__(driver, id, peer)
        # What waits here stays counted in the engine, which stops the peer.
        self._stanzas: asyncio.Queue[Event | None] = asyncio.Queue()
        self._room = asyncio.Event()

    async def send(self, stanza: str) -> None:
        """Sends a stanza, once there is room for it."""
        while True:
            self._room.clear()
            try:
                self._driver.engine.send(self.id, stanza)
            except FullError:
                await self._room.wait()
            else:
                return self._driver.pump()

    async def receive(self) -> str:
        """The next stanza, which is the authenticated peer's. `TunnelClosed` when no more will come."""
        stanza = await self._stanzas.get()
        if stanza is None:
            # For whoever asks again.
            self._stanzas.put_nowait(None)
            raise TunnelClosed(await self._closed)
        self._driver.engine.release(stanza.held)
        self._driver.pump()
        return stanza.text

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            try:
                yield await self.receive()
            except TunnelClosed:
                return

    def _on_event(self, event: Event) -> None:
        super()._on_event(event)
        if event.kind == "stream-opened":
            self._is_ready()
        elif event.kind == "stanza":
            self._stanzas.put_nowait(event)
        elif event.kind == "closed":
            self._stanzas.put_nowait(None)
        if event.kind in ("writable", "closed"):
            self._room.set()


class ByteTunnel(Tunnel):
    """A tunnel of raw bytes: `reader` and `writer` are those of asyncio. `writer.write_eof()` ends one direction, `writer.close()` both."""

    def __init__(self, driver: "Driver", id: int, peer: str) -> None:
        super().__init__(driver, id, peer)
        self._transport = TunnelTransport(driver.engine, driver.pump, self)
        self.reader, self.writer = streams(self._transport)

    def _on_event(self, event: Event) -> None:
        super()._on_event(event)
        if event.kind == "secured":
            self._is_ready()
        if event.kind == "closed":
            in_order = event.reason == "done" and not event.truncated
            self._transport.ended(None if in_order else TunnelClosed(event))
        else:
            self._transport.on_event(event)


class Offer:
    """A tunnel that a peer offers. Who it is, is the server's word until the tunnel is secured."""

    def __init__(self, driver: "Driver", event: Event) -> None:
        self._driver, self.event = driver, event
        self.peer, self.application = event.peer, event.application

    def __repr__(self) -> str:
        return f"<xtls.aio.Offer {self.application} from {self.peer}>"

    async def accept(self, **options: str | bool | None) -> Tunnel:
        """Takes it, under these options. Gives the tunnel once it can be used; `TunnelClosed` if that never comes."""
        self._driver.engine.accept(self.event.id, **(self._driver._options | options))
        return await self._driver._open(self.event.id, self.peer, self.application)

    def reject(self, why: names.Condition = "decline") -> None:
        """Rejects it, for a reason of XEP-0166, 7.4."""
        self._driver.engine.reject(self.event.id, why)
        self._driver.pump()


class Driver:
    """Runs an engine. `send` is given each stanza that is to be sent, in UTF-8. The options are those of each tunnel that has no others.

    Functions that may be set, all of which may be coroutines: `on_offer` takes an `Offer`, `on_trust` an event `trust-required` and gives
    `accept`, `accept-and-keep` or `refuse`, `on_password` an event `password-required` and gives a password or None. Without them offers
    are rejected, certificates refused, and there is no password. `on_event` is told each event.
    """

    def __init__(self, engine: Engine, send: Callable[[bytes], object], **options: str | bool | None) -> None:
        self.engine, self._send, self._options = engine, send, options
        self.on_event: Callable[[Event], object] = lambda event: None
        self.on_offer: Callable[[Offer], Answer] | None = None
        self.on_trust: Callable[[Event], Answer] | None = None
        self.on_password: Callable[[Event], Answer] | None = None
        self._loop = asyncio.get_running_loop()
        self._tunnels: dict[int, Tunnel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False

    def __repr__(self) -> str:
        return f"<xtls.aio.Driver {self.engine.jid}>"

    def handle_stanza(self, stanza: str | bytes) -> Handled:
        """Hands in a stanza that arrived, and tells what became of it."""
        handled = self.engine.handle_stanza(stanza)
        self.pump()
        return handled

    def disconnected(self) -> None:
        """The connection is gone for good: all tunnels end."""
        self.engine.handle_disconnect()
        self.pump()

    def suspended(self) -> None:
        """The connection is away, and is to be resumed (XEP-0198)."""
        self.engine.handle_suspended()
        self.pump()

    def resumed(self) -> None:
        """It is back, with nothing lost."""
        self.engine.handle_resumed()
        self.pump()

    async def call(self, peer: str, **options: str | bool | None) -> Tunnel:
        """Offers a tunnel, and gives it once it can be used; `TunnelClosed` if that never comes.

        A bare address stands for one of its resources that is online and has XTLS.
        """
        if "/" not in peer:
            online = self.engine.resources(peer)
            if not online:
                raise LookupError(f"{peer} is not online, as far as its presence tells")
            peer = online[0]
        options = self._options | options
        id = self.engine.initiate(peer, **options)
        application = options.get("application") or "xml-stream"
        return await self._open(id, peer, str(application))

    async def close(self) -> None:
        """Ends all tunnels in order, and waits until they have."""
        tunnels = list(self._tunnels.values())
        for tunnel in tunnels:
            tunnel.close()
        for tunnel in tunnels:
            await tunnel.wait_closed()

    def pump(self) -> None:
        """Takes out what is to be sent and what has happened. To be called after each call of the engine that was not made by this."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._pump_once():
                pass
        finally:
            self._pumping = False
            if self._timer is not None:
                self._timer.cancel()
            deadline = self.engine.poll_timeout()
            self._timer = None if deadline is None else self._loop.call_later(deadline.after, self._timeout)

    def _pump_once(self) -> bool:
        moved = False
        while (event := self.engine.poll_event(hold=True)) is not None:
            moved = True
            self._on_event(event)
            # Whoever receives a stanza releases it.
            if event.held and not (event.kind == "stanza" and event.id in self._tunnels):
                self.engine.release(event.held)
        while (stanza := self.engine.poll_transmit()) is not None:
            moved = True
            self._send(stanza)
        return moved

    def _timeout(self) -> None:
        self._timer = None
        self.engine.handle_timeout()
        self.pump()

    async def _open(self, id: int, peer: str, application: str) -> Tunnel:
        kind = StanzaTunnel if application == "xml-stream" else ByteTunnel
        tunnel = self._tunnels[id] = kind(self, id, peer)
        self.pump()
        try:
            await asyncio.shield(tunnel._ready)
        except asyncio.CancelledError:
            tunnel.abort("cancel")
            raise
        return tunnel

    def _on_event(self, event: Event) -> None:
        self.on_event(event)
        if event.kind == "incoming":
            self._task(self._offered(Offer(self, event)))
        elif event.kind == "trust-required":
            self._task(self._ask(event, self.on_trust, "refuse", self.engine.trust))
        elif event.kind == "password-required":
            self._task(self._ask(event, self.on_password, None, self.engine.password))
        elif tunnel := self._tunnels.get(event.id):
            if event.kind == "redirected":
                tunnel.peer = event.peer
            if event.kind == "closed":
                del self._tunnels[event.id]
            tunnel._on_event(event)

    def _task(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _offered(self, offer: Offer) -> None:
        if self.on_offer is None:
            offer.reject("unsupported-applications")
            return
        try:
            await _answer(self.on_offer(offer))
        except TunnelClosed:
            # It is told by the event too.
            pass

    async def _ask(self, event: Event, ask: Callable[[Event], Answer] | None, none: Any, tell: Callable[..., None]) -> None:
        answer = none
        try:
            if ask is not None:
                answer = await _answer(ask(event))
        finally:
            # Whatever went wrong with the question, the tunnel has its answer.
            try:
                tell(event.id, answer)
            except EndedError:
                pass
            except Error:
                tell(event.id, none)
                raise
            finally:
                self.pump()


async def _answer(answer: Answer) -> Any:
    return await answer if inspect.isawaitable(answer) else answer
