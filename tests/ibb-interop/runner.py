"""Our end of a bytestream against slixmpp's, through a real server. Started by `run`, which provides what this needs.

Ours is a component of the server, slixmpp a client of it. Whoever opens and whoever closes, 1 MiB of random bytes goes each
way at once and has to arrive unchanged; then what slixmpp and we refuse.
"""

import asyncio
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile

import slixmpp
from slixmpp.exceptions import IqError

OURS = os.environ["IBB_PEER"]
DOMAIN, COMPONENT = "localhost", "bytes.localhost"
OUR_JID, ACCOUNT, PASSWORD = f"ibb@{COMPONENT}/plain", "alice", "only for this test"
SECRET = secrets.token_hex(16)
SIZE, TIMEOUT = 1024 * 1024, 60

# slixmpp takes nothing larger.
LARGEST = 8192


def free_ports(count):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Prosody:
    """A server with one account and one component, which ends with the block."""

    def __init__(self, directory):
        self.directory = directory
        self.c2s, self.component = free_ports(2)

    def __enter__(self):
        accounts = os.path.join(self.directory, "data", DOMAIN, "accounts")
        os.makedirs(accounts)
        with open(os.path.join(accounts, f"{ACCOUNT}.dat"), "w") as file:
            file.write(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        config = os.path.join(self.directory, "prosody.cfg.lua")
        with open(config, "w") as file:
            file.write(f"""
daemonize = false
run_as_root = true
pidfile = "{self.directory}/prosody.pid"
data_path = "{self.directory}/data"
log = {{ info = "{self.directory}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
component_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.c2s} }}
component_ports = {{ {self.component} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{ "disco", "saslauth", "posix" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
VirtualHost "{DOMAIN}"
Component "{COMPONENT}"
    component_secret = "{SECRET}"
""")
        self.process = subprocess.Popen(
            ["prosody", "--config", config, "-F"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        return self

    async def wait(self):
        for port in (self.c2s, self.component):
            while True:
                if self.process.poll() is not None:
                    raise RuntimeError(f"Prosody ended:\n{self.log()}")
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)

    def log(self):
        try:
            with open(os.path.join(self.directory, "prosody.log")) as file:
                return file.read()
        except FileNotFoundError:
            return "(no log)"

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Client(slixmpp.ClientXMPP):
    """slixmpp with its plugin for bytestreams."""

    def __init__(self):
        super().__init__(f"{ACCOUNT}@{DOMAIN}/slixmpp", PASSWORD)
        self.register_plugin("xep_0047", {"max_block_size": LARGEST})
        self.enable_starttls, self.enable_direct_tls, self.enable_plaintext = False, False, True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.ibb = self.plugin["xep_0047"]
        self.started = asyncio.Queue()
        self.add_event_handler("ibb_stream_start", self.started.put_nowait)

    async def log_in(self, port):
        ready = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: ready.set_result(None), disposable=True)
        self.connect("127.0.0.1", port)
        await ready

    async def allow(self, sid):
        """Authorises one bytestream, once."""
        await self.ibb.api["preauthorize_sid"](self.boundjid, sid, slixmpp.JID(OUR_JID), True)


class Ours:
    """A run of our end: what it is given to send, what it received, what it said."""

    @classmethod
    async def start(cls, server, client, sid, block_size, direction, data, close_after=None):
        self = cls()
        arguments = [f"127.0.0.1:{server.component}", OUR_JID, client.boundjid.full, sid, str(block_size), direction]
        if close_after is not None:
            arguments.append(str(close_after))
        self.process = await asyncio.create_subprocess_exec(
            OURS, *arguments, env={"COMPONENT_SECRET": SECRET},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.process.stdin.write(data)
        self.process.stdin.close()
        self.output = asyncio.create_task(self.process.stdout.read())
        line = await self.process.stderr.readline()
        assert line == b"ready\n", (line + await self.process.stderr.read()).decode()
        return self

    async def end(self):
        words = (await self.process.stderr.read()).decode().splitlines()
        return await self.process.wait(), await self.output, words


async def receive(stream, size):
    received = b""
    while len(received) < size:
        received += await stream.recv_queue.get()
    return received


async def transfer(server, client, who_opens, block_size, who_closes, *, agreed=None):
    """1 MiB each way at once."""
    sid = secrets.token_hex(8)
    agreed = agreed or block_size
    ours, theirs = secrets.token_bytes(SIZE), secrets.token_bytes(SIZE)
    close_after = SIZE if who_closes == "ours" else None
    if who_opens == "ours":
        if agreed == block_size:
            await client.allow(sid)
        else:
            # Its authorisation of one bytestream is used up by the `<open/>` that it finds too large.
            client.ibb.auto_accept = True
        peer = await Ours.start(server, client, sid, block_size, "open", ours, close_after)
        stream = await client.started.get()
        client.ibb.auto_accept = False
    else:
        peer = await Ours.start(server, client, sid, block_size, "accept", ours, close_after)
        stream = await client.ibb.open_stream(slixmpp.JID(OUR_JID), block_size=block_size, sid=sid)
        await client.started.get()
    assert (stream.sid, stream.block_size) == (sid, agreed), (stream.sid, stream.block_size)

    received, _ = await asyncio.gather(receive(stream, SIZE), stream.sendall(theirs))
    if who_closes == "theirs":
        await stream.close()
    status, output, words = await peer.end()
    assert status == 0, words
    expected = [f"closed: {SIZE} bytes received, 0 not acknowledged"]
    assert words == ([f"blocks of {agreed}"] if agreed != block_size else []) + expected, words
    assert stream.stream_in_closed and stream.stream_out_closed and stream.recv_queue.empty()
    assert hashlib.sha256(received).digest() == hashlib.sha256(ours).digest(), "our bytes arrived changed"
    assert hashlib.sha256(output).digest() == hashlib.sha256(theirs).digest(), "slixmpp's bytes arrived changed"


async def slixmpp_refuses(server, client):
    """Without authorisation slixmpp answers not-acceptable, and our end says so."""
    peer = await Ours.start(server, client, "unasked", 4096, "open", b"nobody reads this")
    status, output, words = await peer.end()
    assert (status, output) == (1, b""), (status, output)
    assert words == ['Error: "OpenRefused: not-acceptable"'], words


async def we_refuse(server, client):
    """Blocks larger than we want are resource-constraint, after which slixmpp gets through with smaller ones."""
    data = secrets.token_bytes(5000)
    peer = await Ours.start(server, client, "large", 4096, "accept", b"", len(data))
    try:
        await client.ibb.open_stream(slixmpp.JID(OUR_JID), block_size=LARGEST, sid="large")
        raise AssertionError("blocks of 8192 were taken")
    except IqError as error:
        assert (error.condition, error.etype) == ("resource-constraint", "modify"), error
    stream = await client.ibb.open_stream(slixmpp.JID(OUR_JID), block_size=4096, sid="large")
    await client.started.get()
    await stream.sendall(data)
    status, output, words = await peer.end()
    assert (status, output) == (0, data), words


CASES = {
    "slixmpp opens and closes, blocks of 4096": lambda *a: transfer(*a, "theirs", 4096, "theirs"),
    "slixmpp opens, we close, blocks of 8192": lambda *a: transfer(*a, "theirs", 8192, "ours"),
    "we open and close, blocks of 4096": lambda *a: transfer(*a, "ours", 4096, "ours"),
    "we open, slixmpp closes, blocks of 8192": lambda *a: transfer(*a, "ours", 8192, "theirs"),
    "we open with 16384 and halve": lambda *a: transfer(*a, "ours", 2 * LARGEST, "ours", agreed=LARGEST),
    "we open unasked": slixmpp_refuses,
    "slixmpp opens with more than we want": we_refuse,
}


async def main(server):
    await asyncio.wait_for(server.wait(), TIMEOUT)
    client = Client()
    await asyncio.wait_for(client.log_in(server.c2s), TIMEOUT)
    failed = 0
    for name, case in CASES.items():
        try:
            await asyncio.wait_for(case(server, client), TIMEOUT)
            print(f"ok      {name}", flush=True)
        except Exception as error:  # whatever it was, the next case is worth a try
            failed += 1
            print(f"FAILED  {name}: {error!r}", flush=True)
    await client.disconnect()
    if failed:
        print(server.log())
    print(f"{len(CASES) - failed} of {len(CASES)} with slixmpp {slixmpp.__version__}")
    return failed


with tempfile.TemporaryDirectory() as directory, Prosody(directory) as prosody:
    sys.exit(1 if asyncio.run(main(prosody)) else 0)
