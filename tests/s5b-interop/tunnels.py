"""Tunnels of raw bytes over SOCKS5 bytestreams between `xtls pipe` and the peer of jingle_peer.py, through the proxy of a Prosody on
loopback and directly, in both roles. Started by `run`, which provides what this needs.

Random bytes go each way at once and have to arrive unchanged, with receipts both ways, or without.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile

from jingle_peer import Peer, check_example
from servers import DOMAIN, PASSWORD, Prosody

XTLS = os.environ["XTLS"]
SIZE, BURST, TIMEOUT = 3_000_000, 5000, 60
OURS, THEIRS = f"juliet@{DOMAIN}/pipe", f"romeo@{DOMAIN}/slixmpp"


class Scene:
    """Juliet, who runs our command, and Romeo, who does not; each has the other's certificate."""

    def __init__(self, server):
        self.server, self.certificate = server, os.path.join(server.directory, "romeo.pem")
        self.environment = dict(os.environ, XTLS_PASSWORD=PASSWORD)
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "7",
                "-subj", "/CN=Romeo", "-addext", "keyUsage=digitalSignature",
                "-keyout", self.certificate, "-out", self.certificate + ".crt",
            ],
            check=True, capture_output=True,
        )
        with open(self.certificate + ".crt") as certificate, open(self.certificate, "a") as both:
            both.write(certificate.read())
        shown = ["openssl", "x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256"]
        said = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        self.digest = bytes.fromhex(said.split("=")[1].strip().replace(":", ""))
        identity = self.once("identity", "--jid", f"juliet@{DOMAIN}")
        self.pinned = next(line["sha256"] for line in identity if "sha256" in line).replace("sha-256:", "")
        self.once("trust", "add", f"romeo@{DOMAIN}", "sha-256:" + self.digest.hex())

    def arguments(self, *arguments):
        return [XTLS, "--json", "--data-dir", os.path.join(self.server.directory, "juliet"), *arguments]

    def once(self, *arguments):
        done = subprocess.run(self.arguments(*arguments), env=self.environment, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def peer(self):
        romeo = Peer(THEIRS, PASSWORD, self.certificate, self.digest, self.pinned)
        await romeo.log_in(self.server.port)
        return romeo

    async def pipe(self, *arguments):
        """Our command, and what it has told by the time that it is online."""
        pipe = await asyncio.create_subprocess_exec(
            *self.arguments(
                "pipe", "--jid", OURS, "--server", f"127.0.0.1:{self.server.port}", "--insecure-plaintext",
                "--allow-network", "127.0.0.0/8", *arguments,
            ),
            env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        said = []
        while not said or said[-1]["event"] != "online":
            line = await pipe.stderr.readline()
            assert line, said
            said.append(json.loads(line))
        return pipe


async def feed(pipe, pieces):
    for piece in pieces:
        pipe.stdin.write(piece)
        await asyncio.sleep(0.35)
    return await pipe.communicate(b"")


async def play(scene, role, through_proxy, receipts=True, bursts=0):
    """One tunnel. `role` is that of the peer. With `bursts` our data come in so many, before the peer says anything."""
    romeo = await scene.peer()
    listening = () if through_proxy else ("--listen-address", "127.0.0.1")
    pipe = None
    try:
        pipe = await scene.pipe("--listen" if role == "initiator" else THEIRS, *listening)
        ours, theirs = secrets.token_bytes(bursts * BURST or SIZE), secrets.token_bytes(SIZE + 1)
        pieces = (ours[start : start + BURST] for start in range(0, len(ours), BURST))
        finished = asyncio.create_task(feed(pipe, pieces) if bursts else pipe.communicate(ours))
        digest = await (romeo.call(OURS, through_proxy, receipts) if role == "initiator" else romeo.answer(through_proxy))
        try:
            received = await romeo.exchange(digest, theirs, bursts * BURST)
        except AssertionError as error:
            pipe.terminate()
            raise AssertionError(error, (await finished)[1]) from error
        output, errors = await finished
        said = [json.loads(line) for line in errors.splitlines()]
        assert (received == ours, output == theirs) == (True, True), (len(received), len(output), said)
        path = next(line["path"] for line in said if line["event"] == "secured")
        assert path == ("proxy" if through_proxy else "direct"), path
        closed = next(line for line in said if line["event"] == "closed")
        assert (closed["truncated"], closed["receipt"]) == (False, "given" if receipts else None), closed
        # Without a receipt the command does not know that everything has come (docs/command.md).
        assert (pipe.returncode == 0) == receipts, (pipe.returncode, said)
    finally:
        if pipe is not None and pipe.returncode is None:
            pipe.kill()
        await romeo.disconnect()


CASES = {
    "the peer initiates, through a proxy of its own": ("initiator", True),
    "the peer initiates, and connects to our listener": ("initiator", False),
    "the peer responds, through a proxy of ours": ("responder", True),
    "the peer responds, and connects to our listener": ("responder", False),
    "the peer initiates and knows no receipts": ("initiator", True, False),
    # After each of them we change our keys (docs/wire.md § 8, 9), and OpenSSL answers that; rustls takes 32 answers without data between.
    "the peer only listens to one burst after the other": ("responder", True, True, 45),
}


async def main():
    check_example()
    failed = 0
    with tempfile.TemporaryDirectory() as directory, Prosody(directory) as server:
        scene = Scene(server)
        for case, how in CASES.items():
            try:
                await asyncio.wait_for(play(scene, *how), TIMEOUT)
                print(f"ok      {case}", flush=True)
            except Exception as error:  # whatever it was, the next case is worth a try
                failed += 1
                print(f"FAILED  {case}: {error!r}", flush=True)
    print(f"{len(CASES) - failed} of {len(CASES)}")
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
