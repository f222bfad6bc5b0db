"""The server on loopback, and the command `xtls` of one user."""

import asyncio
import json
import os
import signal
import socket
import subprocess

XTLS = os.environ["XTLS_COMMAND"]
DOMAIN, PASSWORD = "localhost", "only for this test"
TIMEOUT = 60


class Prosody:
    """A server whose accounts see one another's presence, which ends with the block."""

    def __init__(self, directory, accounts, *modules):
        self.directory, self.accounts = directory, accounts
        self.modules = "".join(f'"{module}", ' for module in modules)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    def __enter__(self):
        accounts = os.path.join(self.directory, "data", DOMAIN, "accounts")
        os.makedirs(accounts)
        for name in self.accounts:
            with open(os.path.join(accounts, f"{name}.dat"), "w") as file:
                file.write(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        with open(os.path.join(self.directory, "groups.txt"), "w") as file:
            file.write("[Everyone]\n" + "".join(f"{name}@{DOMAIN}={name}\n" for name in self.accounts))
        config = os.path.join(self.directory, "prosody.cfg.lua")
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
modules_enabled = {{ {self.modules}"disco", "roster", "saslauth", "ping", "groups", "posix" }}
modules_disabled = {{ "s2s", "offline" }}
groups_file = "{self.directory}/groups.txt"
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
VirtualHost "{DOMAIN}"
""")
        self.process = subprocess.Popen(
            ["prosody", "--config", config, "-F"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        return self

    async def wait(self):
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"Prosody ended:\n{self.log()}")
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
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


class User:
    """Somebody with the command."""

    def __init__(self, server, name):
        self.server, self.name, self.runs = server, name, []
        self.directory = os.path.join(server.directory, name)
        self.bare, self.jid = f"{name}@{DOMAIN}", f"{name}@{DOMAIN}/command"
        # Of the file with the certificate and its key, the certificate.
        self.once("identity", "--jid", self.bare)
        with open(os.path.join(self.directory, "identities", f"{self.bare}.pem")) as file:
            self.certificate = file.read().partition("-----BEGIN PRIVATE KEY-----")[0]

    def arguments(self, *arguments):
        return [XTLS, "--json", "--data-dir", self.directory, *arguments]

    def environment(self):
        # Of whoever runs the tests it has no configuration.
        return dict(os.environ, XTLS_PASSWORD=PASSWORD, XDG_CONFIG_HOME=self.directory)

    def once(self, *arguments):
        subprocess.run(self.arguments(*arguments), env=self.environment(), capture_output=True, check=True)

    async def start(self, *arguments):
        run = Run()
        self.runs.append(run)
        run.process = await asyncio.create_subprocess_exec(
            *self.arguments(
                *arguments, "--jid", self.jid, "--server", f"127.0.0.1:{self.server.port}", "--insecure-plaintext",
            ),
            env=self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        run.errors = asyncio.ensure_future(run.process.stderr.read())
        return run


    async def end_all(self):
        """What still runs."""
        for run in self.runs:
            if run.process.returncode is None:
                run.process.kill()
                await run.process.wait()
            run.errors.cancel()
        self.runs.clear()


class Run:
    """A run of the command, and the events that it told."""

    def __init__(self):
        self.events = []

    async def event(self, name):
        """Waits for the next event of this name."""
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), TIMEOUT)
            if not line:
                raise RuntimeError(f"it ended without {name}: {self.events} {(await self.errors).decode()}")
            told = json.loads(line)
            self.events.append(told)
            if told["event"] == name:
                return told

    def line(self, text):
        self.process.stdin.write(text.encode() + b"\n")

    def end_input(self):
        self.process.stdin.close()

    async def end(self):
        """Its exit code; what it told is in `events`, and what it complained of in `words`."""
        self.end_input()
        async for line in self.process.stdout:
            self.events.append(json.loads(line))
        self.words = (await self.errors).decode()
        return await asyncio.wait_for(self.process.wait(), TIMEOUT)

    async def interrupt(self):
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return await self.end()

    def named(self, name):
        return [told for told in self.events if told["event"] == name]
