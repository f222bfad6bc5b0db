#!/usr/bin/env python3
"""Our client and server against foreign stacks on loopback. Started by `run`, which provides what this needs.

For each peer, both roles, both suites and all four groups: log in, data both ways, the same exporter on both sides where the
peer can tell, and close_notify both ways. Then what must fail: wrong passwords, unknown names, peers without extended master
secret or encrypt-then-MAC, and hostile values of A.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.environ["SRP_PEER"]
TLSLITE = os.environ["SRP_TLSLITE_PYTHON"]
# Peers that this distribution builds without SRP.
LOST = os.environ.get("SRP_LOST", "").split()
NAME, PASSWORD = "romeo@montague.lit", "wherefore art thou"
TEXT = "Good night, good night! " * 400 + "\n"
SUITES, GROUPS = ("128", "256"), ("2048", "3072", "4096", "8192")
PRIORITY = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+SRP:-CIPHER-ALL:+AES-{}-CBC"
# srptool's own numbering of the groups.
GNUTLS_GROUPS = {"2048": "3", "3072": "4", "4096": "5"}

# What a peer cannot do, and why; each is shown, and none is tried. (peer, whether it is the server, group)
SKIPPED = {
    ("gnutls", True, "8192"): "srptool 3.7.9 overruns its stack on this group (fixed in 3.8.12), so there is no verifier",
}

TIMEOUT = 60
passed, failed, skipped = [], [], []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start(command, **options):
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **options
    )


def finish(process, text=None):
    try:
        output, _ = process.communicate(text, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += "\n(timed out)"
    return process.returncode, output


def server(command):
    """Starts a server that says `listening`, and waits for that."""
    process = start(command)
    while True:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command[0]} did not start")
        if line.strip() == "listening":
            return process


class Ours:
    name = "ours"

    def serve(self, port, suite, bits, **_):
        return server([OURS, "serve", port, NAME, PASSWORD, suite, bits])

    def connect(self, port, suite, bits, name=NAME, password=PASSWORD):
        process = start([OURS, "connect", port, name, password, suite, TEXT])
        return finish(process)

    def stop(self, process):
        return finish(process)


class Script(Ours):
    """libssl and tlslite: a Python script with the same commands."""

    def __init__(self, name, python, script):
        self.name, self.command = name, [python, os.path.join(HERE, script)]

    def serve(self, port, suite, bits, without=()):
        return server([*self.command, "serve", port, NAME, PASSWORD, suite, bits, *without])

    def connect(self, port, suite, bits, name=NAME, password=PASSWORD, without=()):
        return finish(start([*self.command, "connect", port, name, password, suite, TEXT, *without]))


class Gnutls:
    name = "gnutls"

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.conf = os.path.join(self.folder.name, "tpasswd.conf")
        subprocess.run(["srptool", "--create-conf", self.conf], check=True, stdout=subprocess.DEVNULL)
        for bits, index in GNUTLS_GROUPS.items():
            subprocess.run(
                ["srptool", "-u", NAME, "--passwd", self.file(bits), "--passwd-conf", self.conf, "-i", index],
                input=f"{PASSWORD}\n{PASSWORD}\n",
                text=True,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def file(self, bits):
        return os.path.join(self.folder.name, f"{bits}.db")

    def serve(self, port, suite, bits, **_):
        process = start(
            ["gnutls-serv", "--echo", "-p", port, "--srppasswd", self.file(bits), "--srppasswdconf", self.conf]
            + ["--noticket", "--priority", PRIORITY.format(suite)],
            stdin=subprocess.DEVNULL,
        )
        for _ in range(100):
            try:
                # A connection that says nothing: gnutls-serv handles many.
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                return process
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("gnutls-serv did not start")

    def stop(self, process):
        process.terminate()
        _, output = finish(process)
        return 0, output

    def connect(self, port, suite, bits, name=NAME, password=PASSWORD):
        process = start(
            ["gnutls-cli", "-p", port, "127.0.0.1", "--srpusername", name, "--srppasswd", password]
            + ["--no-ca-verification", "--priority", PRIORITY.format(suite)],
            stdin=subprocess.PIPE,
        )
        # It leaves at the end of its input, so the input stays open until the echo has come.
        process.stdin.write(TEXT)
        process.stdin.flush()
        output, waiting = "", time.monotonic() + TIMEOUT
        while TEXT not in output and time.monotonic() < waiting:
            line = process.stdout.readline()
            if not line:
                break
            output += line
        process.stdin.close()
        process.stdin = None
        code, rest = finish(process)
        output += rest
        if code == 0 and TEXT not in output:
            code = 1
        for wanted in ("extended master secret", "EtM", "safe renegotiation", f"AES-{suite}-CBC"):
            if code == 0 and wanted not in output:
                return 1, f"{output}\n(not negotiated: {wanted})"
        return code, output


def check(name, right, output=""):
    (passed if right else failed).append(name)
    print("ok  " if right else "FAIL", name, flush=True)
    if not right:
        print("    " + output.strip().replace("\n", "\n    "), flush=True)


def exporters(output):
    return set(re.findall(r"exporter(?:_without_context)?=[0-9a-f]{64}", output))


def session(peer, as_server, suite, bits):
    name = f"{peer.name} {'server' if as_server else 'client'}, AES-{suite}, group {bits}"
    reason = SKIPPED.get((peer.name, as_server, bits))
    if reason:
        skipped.append(name)
        print("skip", name, "-", reason, flush=True)
        return
    one, other = (peer, OUR_PEER) if as_server else (OUR_PEER, peer)
    port = free_port()
    process = one.serve(port, suite, bits)
    code, client_output = other.connect(port, suite, bits)
    server_code, server_output = one.stop(process)
    output = f"client: {client_output[-800:]}\nserver: {server_output[-800:]}"
    our_output, their_output = (client_output, server_output) if as_server else (server_output, client_output)
    right = code == 0 and server_code == 0 and f"group={bits}" in our_output and "closed" in our_output
    theirs = exporters(their_output)
    if peer.name != "gnutls":
        right = right and len(theirs) == 1 and theirs <= exporters(our_output)
    check(name, right, output)


def refused(what, peer, as_server, words, our_words, **credentials):
    """A login that must fail, with what each side says."""
    name = f"{peer.name} {'server' if as_server else 'client'}, {what}"
    one, other = (peer, OUR_PEER) if as_server else (OUR_PEER, peer)
    port = free_port()
    without = {"without": credentials.pop("without")} if "without" in credentials else {}
    process = one.serve(port, "256", "2048", **(without if as_server else {}))
    code, client_output = other.connect(port, "256", "2048", **credentials, **({} if as_server else without))
    _, server_output = one.stop(process)
    our_output, their_output = (client_output, server_output) if as_server else (server_output, client_output)
    right = code != 0 and our_words in our_output and re.search(words, their_output, re.I)
    check(name, bool(right), f"client: {client_output[-800:]}\nserver: {server_output[-800:]}")


def hostile(value):
    port = free_port()
    process = OUR_PEER.serve(port, "256", "2048")
    command = [TLSLITE, os.path.join(HERE, "tlslite_peer.py"), "hostile", port, NAME, PASSWORD, value]
    _, output = finish(start(command))
    _, ours = OUR_PEER.stop(process)
    right = output.strip() == "47" and "IllegalPublicValue" in ours
    check(f"hostile A = {value}: illegal_parameter", right, f"client: {output}\nserver: {ours}")


OUR_PEER = Ours()


def main():
    scripts = [Script("libssl", sys.executable, "libssl.py"), Script("tlslite", TLSLITE, "tlslite_peer.py")]
    scripts = [peer for peer in scripts if peer.name not in LOST]
    peers = scripts if "gnutls" in LOST else [Gnutls(), *scripts]
    for name in LOST:
        others = " and ".join(peer.name for peer in peers)
        print(f"lost {name}, which has no SRP here: {others} play the same rows", flush=True)
    for peer in peers:
        for as_server in (True, False):
            for suite in SUITES:
                for bits in GROUPS:
                    session(peer, as_server, suite, bits)

    failure = "authentication failed"
    for peer in peers:
        refused("wrong password", peer, True, "", failure, password="wherefore")
        refused("wrong password", peer, False, "bad.record.mac|alert 20|\\[20\\]", failure, password="wherefore")
        refused("unknown name", peer, True, "", failure, name="mercutio@verona.lit")
        refused("unknown name", peer, False, "unknown.psk|alert 115|\\[115\\]", failure, name="mercutio@verona.lit")
    lacks = [("extended master secret", "ExtendedMasterSecretRequired"), ("encrypt-then-MAC", "EncryptThenMacRequired")]
    for peer in scripts:
        for as_server in (True, False):
            for what, error in lacks:
                refused(f"no {what}", peer, as_server, "handshake.failure", error, without=[what])
    for value in ("0", "N", "2*N", "1", "N-1", "N+2", "2**4096+3"):
        hostile(value)

    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped, {len(LOST)} peers lost")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
