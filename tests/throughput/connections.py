"""Bytes a second by connections: `xtls pipe` through the proxy of a Prosody beside bare sockets through the same proxy, and directly beside
magic-wormhole, by turns, all on loopback. Started by `run-connections`."""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import slixmpp

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../s5b-interop"))
from servers import DOMAIN, PASSWORD, Prosody, free_port

XTLS, WORMHOLE = os.environ["XTLS"], os.environ["WORMHOLE_BIN"]


def digest(stream):
    """Reads all of it: how long that took from the first byte, and its SHA-256."""
    sha, first = hashlib.sha256(), None
    while piece := stream.read(1 << 20):
        first = first or time.perf_counter()
        sha.update(piece)
    return time.perf_counter() - (first or 0), sha.digest()


class Pipe:
    """`xtls pipe` of two people who trust one another's certificates."""

    def __init__(self, server):
        self.server = server
        self.environment = dict(os.environ, XTLS_PASSWORD=PASSWORD)
        prints = {name: self.fingerprint(name) for name in ("romeo", "juliet")}
        for name, peer in (("romeo", "juliet"), ("juliet", "romeo")):
            self.once(name, "trust", "add", f"{peer}@{DOMAIN}", prints[peer], "--replace")

    def arguments(self, name, *arguments):
        return [XTLS, "--json", "--data-dir", os.path.join(self.server.directory, name), *arguments]

    def once(self, name, *arguments):
        done = subprocess.run(self.arguments(name, *arguments), env=self.environment, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fingerprint(self, name):
        return next(line["sha256"] for line in self.once(name, "identity", "--jid", f"{name}@{DOMAIN}") if "sha256" in line)

    def start(self, name, stdin, *arguments):
        return subprocess.Popen(
            self.arguments(
                name, "pipe", "--jid", f"{name}@{DOMAIN}/pipe", "--server", f"127.0.0.1:{self.server.port}",
                "--insecure-plaintext", "--allow-network", "127.0.0.0/8", *self.options, *arguments,
            ),
            env=self.environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def transfer(self, path):
        """Seconds in all from the start of the sender to the end of both, and from the first byte to the last."""
        listening = self.start("juliet", subprocess.DEVNULL, "--listen", *self.listener)
        while b'"online"' not in listening.stderr.readline():
            pass
        threading.Thread(target=listening.stderr.read, daemon=True).start()
        began = time.perf_counter()
        with open(path, "rb") as file:
            sending = self.start("romeo", file, f"juliet@{DOMAIN}/pipe")
        said = []
        threading.Thread(target=lambda: said.extend(sending.stderr), daemon=True).start()
        carried, got = digest(listening.stdout)
        codes = sending.wait(), listening.wait()
        wall = time.perf_counter() - began
        way = next(json.loads(line)["path"] for line in said if b'"secured"' in line)
        assert (codes, got, way) == ((0, 0), file_digest(path), self.way), (codes, way, said)
        return wall, carried


class ByProxy(Pipe):
    name, way, options, listener = "xtls pipe, by the proxy", "proxy", (), ()


class Directly(Pipe):
    name, way = "xtls pipe, directly", "direct"
    options, listener = ("--transport", "direct"), ("--listen-address", "127.0.0.1")


class Bare:
    """Sockets that are joined by the proxy, with nothing inside."""

    name = "bare sockets, by the proxy"

    def __init__(self, server):
        self.server = server

    def transfer(self, path):
        return asyncio.run(self.joined(path))

    async def joined(self, path):
        client = slixmpp.ClientXMPP(f"romeo@{DOMAIN}/bare", PASSWORD)
        client.register_plugin("xep_0065")
        client.enable_starttls, client.enable_direct_tls, client.enable_plaintext = False, False, True
        client.plugin["feature_mechanisms"].unencrypted_scram = True
        ready = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", lambda _: ready.set_result(None), disposable=True)
        client.connect("127.0.0.1", self.server.port)
        await ready
        plugin, target = client.plugin["xep_0065"], slixmpp.JID(f"juliet@{DOMAIN}/bare")
        (jid, (host, port)), = (await plugin.discover_proxies()).items()
        name = plugin._get_dest_sha1("bare", client.boundjid, target)
        receiver, sender = self.dial(host, port, name), self.dial(host, port, name)
        await plugin.activate(jid, "bare", target)
        result = await asyncio.to_thread(self.carry, sender, receiver, path)
        await client.disconnect()
        return result

    @staticmethod
    def dial(host, port, name):
        made = socket.create_connection((host, int(port)))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(b"\x05\x01\x00")
        assert made.recv(2) == b"\x05\x00"
        made.sendall(b"\x05\x01\x00\x03\x28" + name.encode() + b"\0\0")
        assert made.recv(512)[1] == 0
        return made

    @staticmethod
    def carry(sender, receiver, path):
        size, done = os.path.getsize(path), threading.Event()

        def send():
            with open(path, "rb") as file:
                sender.sendfile(file)
            # What the proxy would sit on.
            while not done.wait(0.05):
                sender.sendall(b".")

        began = time.perf_counter()
        sending = threading.Thread(target=send)
        sending.start()
        sha, came, first = hashlib.sha256(), 0, None
        while came < size:
            piece = receiver.recv(min(1 << 20, size - came))
            first = first or time.perf_counter()
            sha.update(piece)
            came += len(piece)
        ended = time.perf_counter()
        done.set()
        sending.join()
        assert sha.digest() == file_digest(path)
        return ended - began, ended - first


class Wormhole:
    """magic-wormhole, with a mailbox server and a transit relay of its own."""

    name = "magic-wormhole"

    def __init__(self, directory):
        self.directory, self.code = directory, 1000
        self.mailbox, self.transit = free_port(), free_port()
        twist = os.path.join(WORMHOLE, "twist")
        self.servers = [
            subprocess.Popen([twist, *arguments], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for arguments in (
                ["wormhole-mailbox", f"--port=tcp:{self.mailbox}:interface=127.0.0.1"],
                ["transitrelay", f"--port=tcp:{self.transit}:interface=127.0.0.1"],
            )
        ]
        for port in (self.mailbox, self.transit):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert all(server.poll() is None for server in self.servers)
                    time.sleep(0.05)

    def end(self):
        for server in self.servers:
            server.kill()
            server.wait()

    def start(self, *arguments):
        program = [
            os.path.join(WORMHOLE, "wormhole"), f"--relay-url=ws://127.0.0.1:{self.mailbox}/v1",
            f"--transit-helper=tcp:127.0.0.1:{self.transit}", *arguments,
        ]
        return subprocess.Popen(program, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def transfer(self, path):
        self.code += 1
        code, out = f"{self.code}-purple-sausages", os.path.join(self.directory, "received")
        began = time.perf_counter()
        sending = self.start("send", "--hide-progress", f"--code={code}", path)
        receiving = self.start("receive", "--hide-progress", "--accept-file", "-o", out, code)
        said = [process.communicate()[1] for process in (sending, receiving)]
        wall = time.perf_counter() - began
        assert (sending.returncode, receiving.returncode) == (0, 0), said
        assert file_digest(out) == file_digest(path)
        os.remove(out)
        return wall, wall


DIGESTS = {}


def file_digest(path):
    key = path, os.path.getmtime(path)
    if key not in DIGESTS:
        with open(path, "rb") as file:
            DIGESTS[key] = hashlib.file_digest(file, "sha256").digest()
    return DIGESTS[key]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300)
    arguments = parser.parse_args()
    size = arguments.megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as directory, Prosody(directory) as server:
        path = os.path.join(directory, "sent")
        with open(path, "wb") as file:
            for _ in range(arguments.megabytes):
                file.write(os.urandom(1_000_000))
        wormhole = Wormhole(directory)
        ways = [Bare(server), ByProxy(server), wormhole, Directly(server)]
        took = {way.name: [] for way in ways}
        try:
            for number in range(arguments.rounds):
                for way in ways:
                    load = os.getloadavg()[0]
                    wall, carried = way.transfer(path)
                    took[way.name].append((wall, carried))
                    print(f"{number} {way.name:28} {wall:7.2f} s, {size / carried / 1e6:7.1f} MB/s, load {load:.1f}", flush=True)
        finally:
            wormhole.end()
        bare, proxy, other, direct = (took[way.name] for way in ways)

        def ratios(name, values, least):
            print(f"{name}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}), at least {least}")

        ratios("by the proxy, bytes a second over those of bare sockets", [b[1] / p[1] for b, p in zip(bare, proxy)], 0.8)
        ratios("directly, wall time of magic-wormhole over ours", [w[0] / d[0] for w, d in zip(other, direct)], 1.2)


if __name__ == "__main__":
    main()
