"""An end of slixmpp's in-band bytestreams, in a process of its own. Started by runner.py.

slixmpp_peer.py receive JID PORT: says `ready`, and a line for each bytestream: bytes, and seconds from the first to the last.
slixmpp_peer.py send JID PORT PEER BYTES WINDOW: sends so many bytes in blocks of 4096, so many at a time, says how many seconds of
CPU it has used, and ends.
"""

import asyncio
import os
import sys
import time

import slixmpp

BLOCK = 4096


class Peer(slixmpp.ClientXMPP):
    """A client with the plugin for bytestreams, which logs in without TLS."""

    def __init__(self, jid):
        super().__init__(jid, os.environ["PASSWORD"])
        self.register_plugin("xep_0047", {"auto_accept": True, "max_block_size": 65535})
        self.enable_starttls, self.enable_direct_tls, self.enable_plaintext = False, False, True
        self.plugin["feature_mechanisms"].unencrypted_scram = True

    async def log_in(self, port):
        ready = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: ready.set_result(None), disposable=True)
        self.connect("127.0.0.1", port)
        await ready
        self.send_presence()


async def receive(client):
    received = {}

    def data(stream):
        now = time.perf_counter()
        first, _, count = received.get(stream.sid, (now, now, 0))
        received[stream.sid] = (first, now, count + len(stream.read()))

    def end(stream):
        first, last, count = received.pop(stream.sid, (0, 0, 0))
        print(count, last - first, flush=True)

    client.add_event_handler("ibb_stream_data", data)
    client.add_event_handler("ibb_stream_end", end)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


async def send(client, peer, size, window):
    stream = await client["xep_0047"].open_stream(peer, block_size=BLOCK, timeout=60)
    data = os.urandom(size)
    pending = set()
    for start in range(0, size, BLOCK):
        if len(pending) >= window:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for sent in done:
                sent.result()
        pending.add(asyncio.ensure_future(stream.send(data[start : start + BLOCK], timeout=300)))
    await asyncio.gather(*pending)
    await stream.close()
    print(time.process_time(), flush=True)
    await client.disconnect()


async def main():
    role, jid, port, *rest = sys.argv[1:]
    client = Peer(jid)
    await client.log_in(int(port))
    if role == "receive":
        await receive(client)
    else:
        peer, size, window = rest
        await send(client, peer, int(size), int(window))


asyncio.run(main())
