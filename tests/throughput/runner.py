"""Bytes a second through one Prosody: `xtls pipe`, and slixmpp's in-band bytestreams, by turns. Started by `run`."""

import argparse
import json
import os
import secrets
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

XTLS = os.environ["XTLS"]
HERE = os.path.dirname(os.path.abspath(__file__))
DOMAIN, PASSWORD = "localhost", "only for this measurement"
# What Debian's package has in /etc/prosody/prosody.cfg.lua.
DEFAULT_LIMITS = 'limits = { c2s = { rate = "10kb/s" } }'
# A transfer that takes longer counts with what has arrived by then.
LONGEST = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def cpu(pid):
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Prosody:
    """A server with the accounts romeo and juliet, which ends with the block."""

    def __init__(self, directory, limits):
        self.directory, self.limits, self.port = directory, limits, free_port()

    def __enter__(self):
        accounts = os.path.join(self.directory, "data", DOMAIN, "accounts")
        os.makedirs(accounts)
        for name in ("romeo", "juliet"):
            with open(os.path.join(accounts, f"{name}.dat"), "w") as file:
                file.write(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        config = os.path.join(self.directory, "prosody.cfg.lua")
        modules = '"disco", "saslauth", "ping", "posix"' + (', "limits"' if self.limits else "")
        with open(config, "w") as file:
            file.write(f"""
daemonize = false
run_as_root = true
pidfile = "{self.directory}/prosody.pid"
data_path = "{self.directory}/data"
log = {{ info = "{self.directory}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ {modules} }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
{self.limits}
VirtualHost "{DOMAIN}"
""")
        self.process = subprocess.Popen(
            ["prosody", "--config", config, "-F"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("Prosody ended: " + open(os.path.join(self.directory, "prosody.log")).read())
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Command:
    """The command `xtls` of two people who trust one another's certificates."""

    name = "xtls pipe"

    def __init__(self, server):
        self.server = server
        self.environment = dict(os.environ, XTLS_PASSWORD=PASSWORD)
        fingerprints = {name: self.fingerprint(name) for name in ("romeo", "juliet")}
        for name, peer in (("romeo", "juliet"), ("juliet", "romeo")):
            self.once(name, "trust", "add", f"{peer}@{DOMAIN}", fingerprints[peer])

    def arguments(self, name, *arguments):
        return [XTLS, "--json", "--data-dir", os.path.join(self.server.directory, name), *arguments]

    def once(self, name, *arguments):
        done = subprocess.run(self.arguments(name, *arguments), env=self.environment, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fingerprint(self, name):
        return next(line["sha256"] for line in self.once(name, "identity", "--jid", f"{name}@{DOMAIN}") if "sha256" in line)

    def start(self, name, event, *arguments):
        """Starts a pipe, and waits for an event of it."""
        process = subprocess.Popen(
            self.arguments(
                name, "pipe", "--jid", f"{name}@{DOMAIN}/pipe",
                "--server", f"127.0.0.1:{self.server.port}", "--insecure-plaintext", *arguments,
            ),
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        said = []
        for line in process.stderr:
            said.append(line)
            if f'"{event}"'.encode() in line:
                break
        else:
            raise RuntimeError(f"no {event}: {said}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        return process

    def transfer(self, size):
        data = os.urandom(size)
        receiver = self.start("juliet", "online", "--listen", "--close-on-eof")
        sender = self.start("romeo", "secured", f"juliet@{DOMAIN}/pipe")

        def feed():
            try:
                sender.stdin.write(data)
                sender.stdin.close()
            except BrokenPipeError:
                pass  # it ran for too long, and was ended

        threading.Thread(target=feed, daemon=True).start()
        received = bytearray()
        first = last = None
        until = time.perf_counter() + LONGEST
        while len(received) < size and time.perf_counter() < until:
            if select.select([receiver.stdout], [], [], 0.5)[0]:
                piece = os.read(receiver.stdout.fileno(), 1 << 20)
                if not piece:
                    break
                last = time.perf_counter()
                first = first or last
                received += piece
        if not received or received != data[: len(received)]:
            raise RuntimeError(f"{len(received)} of {size} bytes arrived, or others")
        used = cpu(sender.pid) + cpu(receiver.pid)
        for process in (sender, receiver):
            process.kill()
            process.wait()
        return len(received), last - first, used


class Slixmpp:
    """slixmpp, without TLS inside its bytestream, with so many blocks on their way at a time."""

    def __init__(self, server, window):
        self.server, self.window = server, window
        self.name = "slixmpp, a block at a time" if window == 1 else f"slixmpp, {window} blocks at a time"
        self.environment = dict(os.environ, PASSWORD=PASSWORD)

    def start(self, role, name, *arguments):
        return subprocess.Popen(
            [sys.executable, os.path.join(HERE, "slixmpp_peer.py"), role, f"{name}@{DOMAIN}/slixmpp", str(self.server.port),
             *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )

    def transfer(self, size):
        receiver = self.start("receive", "juliet")
        if receiver.stdout.readline() != "ready\n":
            raise RuntimeError("slixmpp does not log in")
        sender = self.start("send", "romeo", f"juliet@{DOMAIN}/slixmpp", str(size), str(self.window))
        count, seconds = receiver.stdout.readline().split()
        if int(count) != size:
            raise RuntimeError(f"{count} of {size} bytes arrived")
        used = cpu(receiver.pid) + float(sender.stdout.readline())
        for process in (sender, receiver):
            process.kill()
            process.wait()
        return size, float(seconds), used


def measure(name, limits, sizes, rounds):
    rows = []
    with tempfile.TemporaryDirectory() as directory, Prosody(directory, limits) as server:
        subjects = [Command(server), Slixmpp(server, 1), Slixmpp(server, 32)]
        samples = {subject.name: [] for subject in subjects}
        for turn in range(rounds):
            for subject in subjects[turn % 3 :] + subjects[: turn % 3]:
                before = cpu(server.process.pid)
                size, seconds, used = subject.transfer(sizes[subjects.index(subject)])
                of_server = cpu(server.process.pid) - before
                samples[subject.name].append((size / seconds / 1e6, of_server / (of_server + used)))
                print(f"{name}: {subject.name}: {size / 1e6:.2f} MB in {seconds:.2f} s", file=sys.stderr, flush=True)
    ours = [rate for rate, _ in samples[subjects[0].name]]
    for subject in subjects:
        rates = [rate for rate, _ in samples[subject.name]]
        rows.append({
            "server": name,
            "subject": subject.name,
            "megabytes_per_second": statistics.median(rates),
            "least": min(rates),
            "most": max(rates),
            "xtls_faster_by": statistics.median(our / their for our, their in zip(ours, rates)),
            "share_of_cpu_of_server": statistics.median(share for _, share in samples[subject.name]),
        })
    return rows


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=3, help="how many times each of them (3)")
parser.add_argument("--json", metavar="FILE", help="write the figures there too")
options = parser.parse_args()
table = measure("no limits", "", [32_000_000, 3_000_000, 6_000_000], options.rounds)
table += measure("limits of the package", DEFAULT_LIMITS, [200_000] * 3, 1)
print("| server | | MB/s | least..most | xtls is faster by | the server's share of the CPU |")
print("|---|---|---:|---:|---:|---:|")
for row in table:
    print(
        f"| {row['server']} | {row['subject']} | {row['megabytes_per_second']:.4g} | {row['least']:.4g}..{row['most']:.4g} "
        f"| {row['xtls_faster_by']:.2f} | {row['share_of_cpu_of_server']:.0%} |"
    )
if options.json:
    with open(options.json, "w") as file:
        json.dump(table, file, indent=1)
