"""A tunnel of bytes as a transport of asyncio."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ._native import Engine, Event
from .errors import EndedError, Error, NotInThisTlsError

if TYPE_CHECKING:
    from .aio import ByteTunnel

# How much waits in a writer before `drain` does. The engine holds as much again.
HIGH = 256 * 1024


class TunnelTransport(asyncio.Transport):
    """Writes what there is room for, and keeps the rest; reads while the protocol wants to."""

    def __init__(self, engine: Engine, pump: Callable[[], None], tunnel: "ByteTunnel") -> None:
        super().__init__({"peername": tunnel.peer})
        self._engine, self._pump, self._tunnel = engine, pump, tunnel
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._waiting = bytearray()
        self._reading, self._paused_writing = True, False
        self._low, self._high = HIGH // 4, HIGH
        self._eof, self._finished, self._closing, self._peer_finished, self._is_ended = False, False, False, False, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tunnel.security if name == "security" else super().get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing or self._is_ended

    def close(self) -> None:
        self._closing = True
        self._flush()
        self._pump()

    def abort(self) -> None:
        self._closing = True
        self._waiting.clear()
        self._tunnel.abort("cancel")

    def is_reading(self) -> bool:
        return self._reading and not self.is_closing()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            # Not from inside of the protocol's own call.
            asyncio.get_running_loop().call_soon(self._resumed)

    def _resumed(self) -> None:
        if not self._is_ended:
            self._read()
            self._pump()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else (4 * low if low is not None else HIGH)
        self._low = low if low is not None else self._high // 4
        if not 0 <= self._low <= self._high:
            raise ValueError(f"low ({self._low}) has to be between 0 and high ({self._high})")

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._eof or self._closing:
            raise RuntimeError("this direction is finished")
        if self._is_ended:
            return
        if self._waiting:
            self._waiting += data
        else:
            try:
                written = self._engine.write(self._tunnel.id, data)
            except Error:
                written = 0
            self._waiting += memoryview(data).cast("B")[written:]
        self._pump()
        self._watch()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._eof = True
        self._flush()
        self._pump()

    def on_event(self, event: Event) -> None:
        if event.kind in ("readable", "peer-finished"):
            self._peer_finished |= event.kind == "peer-finished"
            if self._reading:
                self._read()
        elif event.kind in ("writable", "secured"):
            self._flush()

    def ended(self, error: Exception | None) -> None:
        """It has ended: the protocol has all that came, and is told."""
        if not self._is_ended:
            self._is_ended = True
            self._waiting.clear()
            self._protocol.connection_lost(error)

    def _read(self) -> None:
        try:
            data = self._engine.read(self._tunnel.id)
        except EndedError:
            return
        if data and isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)
        if self._peer_finished and self._reading and isinstance(self._protocol, asyncio.Protocol):
            self._peer_finished = False
            if not self._protocol.eof_received():
                self.close()

    def _flush(self) -> None:
        """Writes what waits, and after it whatever end there is."""
        try:
            if self._waiting:
                written = self._engine.write(self._tunnel.id, self._waiting)
                del self._waiting[:written]
            if not self._waiting and self._closing:
                self._engine.close(self._tunnel.id)
            elif not self._waiting and self._eof and not self._finished:
                self._finish()
        except EndedError:
            self._waiting.clear()
        except Error:
            # Not secured yet, or ending: an event will tell.
            pass
        self._watch()

    def _finish(self) -> None:
        try:
            self._engine.finish(self._tunnel.id)
            self._finished = True
        except NotInThisTlsError:
            # TLS 1.2 ends both directions, or none.
            self._engine.close(self._tunnel.id)

    def _watch(self) -> None:
        """Tells the protocol when to write no more, and when to go on."""
        if not self._paused_writing and len(self._waiting) > self._high:
            self._paused_writing = True
            self._protocol.pause_writing()
        elif self._paused_writing and len(self._waiting) <= self._low:
            self._paused_writing = False
            self._protocol.resume_writing()


def streams(transport: TunnelTransport) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The reader and the writer of this transport."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
