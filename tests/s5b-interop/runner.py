"""slixmpp's SOCKS5 client at our listener. Started by `run`, which provides what this needs.

The name of the bytestream is slixmpp's own hash, ours is made from the same sid and addresses. 1 MiB of random bytes goes each way
at once and has to arrive unchanged; then what we refuse.
"""

import asyncio
import os
import secrets
import sys

import slixmpp
from slixmpp.plugins.xep_0065.proxy import XEP_0065
from slixmpp.plugins.xep_0065.socks5 import Method, Socks5Protocol

OURS = os.environ["S5B_PEER"]
SID, REQUESTER, TARGET = "vj3hs98y", "romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"
SIZE, TIMEOUT = 1024 * 1024, 60


def name(requester, target):
    """As slixmpp hashes it, which needs nothing of the plugin."""
    return XEP_0065._get_dest_sha1(None, SID, slixmpp.JID(requester), slixmpp.JID(target))


class Theirs:
    """One connection of slixmpp's."""

    def __init__(self, port, dest, dest_port=0, methods=(Method.none,)):
        self.port, self.dest, self.dest_port, self.methods = port, dest, dest_port, methods
        self.received, self.closed = bytearray(), asyncio.Event()

    def event(self, kind, value):
        if kind == "socks5_data":
            self.received += value
        elif kind == "socks5_closed":
            self.closed.set()

    async def connect(self):
        def protocol():
            made = Socks5Protocol(self.dest, self.dest_port, self.event)
            made.methods = set(self.methods)
            return made

        loop = asyncio.get_running_loop()
        self.transport, self.protocol = await loop.create_connection(protocol, "127.0.0.1", self.port)
        return await self.protocol.connected

    async def send_all(self, data):
        await self.protocol.write(data)
        self.transport.write_eof()


async def listen():
    peer = await asyncio.create_subprocess_exec(
        OURS, "listen", SID, REQUESTER, TARGET,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    return peer, int(await peer.stderr.readline())


async def finish(peer, theirs):
    """Sends both ways at once, and looks at what has come."""
    ours, others = secrets.token_bytes(SIZE), secrets.token_bytes(SIZE + 1)
    sending = asyncio.create_task(theirs.send_all(others))
    output, words = await peer.communicate(ours)
    await sending
    await theirs.closed.wait()
    assert (peer.returncode, output == others, bytes(theirs.received) == ours) == (0, True, True), words
    return words.decode()


async def accepted(requester, target, port=0):
    peer, listening = await listen()
    theirs = Theirs(listening, name(requester, target), port)
    # BND.ADDR and BND.PORT are those of the request (XEP-0065 § 5.3.2).
    bound = await theirs.connect()
    assert bound == (name(requester, target), port), bound
    assert await finish(peer, theirs) == ""


async def refused(words, dest, **other):
    """One that is refused, and one after it that is not."""
    peer, listening = await listen()
    wrong = Theirs(listening, dest, **other)
    connecting = asyncio.create_task(wrong.connect())
    await wrong.closed.wait()
    if connecting.done():
        print(f"        slixmpp says: {connecting.exception()!r}")
    connecting.cancel()
    assert (await peer.stderr.readline()).decode().strip() == words
    theirs = Theirs(listening, name(REQUESTER, TARGET))
    await theirs.connect()
    await finish(peer, theirs)


CASES = {
    "the initiator as requester": lambda: accepted(REQUESTER, TARGET),
    "the owner of the candidate as requester": lambda: accepted(TARGET, REQUESTER),
    "with a port": lambda: accepted(REQUESTER, TARGET, 1080),
    "another session's name": lambda: refused(
        "the SOCKS5 client asks for a bytestream that is not expected", name(REQUESTER, REQUESTER)
    ),
    "a host": lambda: refused("the SOCKS5 client asks for a host, and not for a bytestream", "xmpp.example"),
    "an address": lambda: refused(
        "the SOCKS5 client asks for an address of type 1, and not for a host name", "192.0.2.1"
    ),
    "with a login alone": lambda: refused(
        "the SOCKS5 client comes with a login only", name(REQUESTER, TARGET), methods=(Method.password,)
    ),
}


async def main():
    # What slixmpp raises where nobody can catch it is a refusal that it has understood.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    failed = 0
    for case, play in CASES.items():
        try:
            await asyncio.wait_for(play(), TIMEOUT)
            print(f"ok      {case}", flush=True)
        except Exception as error:  # whatever it was, the next case is worth a try
            failed += 1
            print(f"FAILED  {case}: {error!r}", flush=True)
    print(f"{len(CASES) - failed} of {len(CASES)} with slixmpp {slixmpp.__version__}")
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
