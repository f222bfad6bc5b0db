"""Files: `xtls send` to `xtls receive`, directly and through the proxy of a Prosody, beside magic-wormhole and scp, by turns, all on loopback;
and how much memory both ends take for a large file. Started by `run-files`."""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time

from connections import DOMAIN, PASSWORD, XTLS, Pipe, Prosody, Wormhole, file_digest, free_port


def peak(process):
    """The most memory that a process has had, in bytes; 0 once it has ended."""
    try:
        with open(f"/proc/{process.pid}/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
    except FileNotFoundError:
        return 0


class Files(Pipe):
    """`xtls send` and `xtls receive` of two people who trust one another's certificates."""

    def __init__(self, server):
        super().__init__(server)
        self.into = os.path.join(server.directory, "into")
        os.makedirs(self.into, exist_ok=True)

    def start(self, name, *arguments):
        program = self.arguments(
            name, *arguments, "--jid", f"{name}@{DOMAIN}/pipe", "--server", f"127.0.0.1:{self.server.port}",
            "--insecure-plaintext", "--allow-network", "127.0.0.0/8", *self.options,
        )
        return subprocess.Popen(
            program, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def transfer(self, path):
        """Seconds from the start of the sender to the end of both, and the most memory of each, in bytes."""
        receiving = self.start("juliet", "receive", self.into, "--accept-from", f"romeo@{DOMAIN}", *self.listener)
        while b'"online"' not in receiving.stdout.readline():
            pass
        began = time.perf_counter()
        sending = self.start("romeo", "send", path, f"juliet@{DOMAIN}/pipe")
        said, readers = [], []
        for process in (receiving, sending):
            for stream in (process.stdout, process.stderr):
                readers.append(threading.Thread(target=lambda stream=stream: said.extend(stream), daemon=True))
                readers[-1].start()
        most = [0, 0]
        while any(process.poll() is None for process in (sending, receiving)):
            most = [max(before, peak(process)) for before, process in zip(most, (sending, receiving))]
            time.sleep(0.01)
        wall = time.perf_counter() - began
        for reader in readers:
            reader.join()
        events = [json.loads(line) for line in said if line.startswith(b"{")]
        way = next(event["path"] for event in events if event["event"] == "secured")
        got = next(event["path"] for event in events if event["event"] == "file_received")
        assert (sending.returncode, receiving.returncode) == (0, 0), said
        assert file_digest(got) == file_digest(path)
        os.remove(got)
        return wall, most


class ByProxy(Files):
    name, options, listener = "xtls send, by the proxy", ("--transport", "proxy"), ()


class Directly(Files):
    name, options, listener = "xtls send, directly", ("--transport", "direct"), ("--listen-address", "127.0.0.1")


class Scp:
    """scp to a server of its own, by a key, with nobody else on the machine."""

    name = "scp"

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.file(key)], check=True)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        options = {
            "Port": self.port, "ListenAddress": "127.0.0.1", "HostKey": self.file("host"), "PidFile": "none", "UsePAM": "no",
            "AuthorizedKeysFile": self.file("user.pub"), "StrictModes": "no", "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password", "Subsystem": "sftp internal-sftp",
        }
        with open(self.file("sshd_config"), "w") as file:
            file.writelines(f"{name} {value}\n" for name, value in options.items())
        self.server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.file("sshd_config")], stderr=subprocess.DEVNULL)
        time.sleep(1)
        assert self.server.poll() is None

    def file(self, name):
        return os.path.join(self.directory, name)

    def end(self):
        self.server.kill()
        self.server.wait()

    def transfer(self, path):
        out = self.file("copied")
        began = time.perf_counter()
        subprocess.run(
            ["scp", "-q", "-P", str(self.port), "-i", self.file("user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "LogLevel=ERROR", path, f"127.0.0.1:{out}"],
            check=True,
        )
        wall = time.perf_counter() - began
        assert file_digest(out) == file_digest(path)
        os.remove(out)
        return wall, []


def fill(path, megabytes):
    with open(path, "wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--large", type=int, default=4295, help="megabytes of the file that memory is looked at with; 0: none")
    arguments = parser.parse_args()
    size = arguments.megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as directory, Prosody(directory) as server:
        path = os.path.join(directory, "sent")
        fill(path, arguments.megabytes)
        wormhole, scp = Wormhole(directory), Scp(directory)
        ways = [wormhole, Directly(server), scp, ByProxy(server)]
        took = {way.name: [] for way in ways}
        memory = []
        try:
            for number in range(arguments.rounds):
                for way in ways:
                    load = os.getloadavg()[0]
                    wall, most = way.transfer(path)
                    took[way.name].append(wall)
                    memory.append(most if isinstance(most, list) else [])
                    print(f"{number} {way.name:28} {wall:7.2f} s, {size / wall / 1e6:7.1f} MB/s, load {load:.1f}", flush=True)
            small = [max(each) for each in zip(*(most for most in memory if most))]
            if arguments.large:
                fill(path, arguments.large)
                wall, large = ways[1].transfer(path)
                print(f"{arguments.large} MB directly: {wall:.1f} s; most memory of the sender and the receiver: "
                      f"{[f'{each / 1e6:.1f} MB' for each in large]}, with {arguments.megabytes} MB {[f'{each / 1e6:.1f} MB' for each in small]}")
        finally:
            wormhole.end()
            scp.end()

        def ratios(name, other):
            values = [theirs / ours for theirs, ours in zip(took[other.name], took[Directly.name])]
            print(f"{name}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")

        ratios("directly, wall time of magic-wormhole over ours", wormhole)
        ratios("directly, wall time of scp over ours", scp)


if __name__ == "__main__":
    main()
