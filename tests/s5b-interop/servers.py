"""A Prosody with a proxy for bytestreams (XEP-0065) on loopback, for tests and measurements."""

import os
import socket
import subprocess
import time

DOMAIN, PASSWORD = "localhost", "only for this test"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Prosody:
    """A server with two accounts and a proxy, which ends with the block."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()

    def __enter__(self):
        accounts = os.path.join(self.directory, "data", DOMAIN, "accounts")
        os.makedirs(accounts)
        for name in ("romeo", "juliet"):
            with open(os.path.join(accounts, f"{name}.dat"), "w") as file:
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
c2s_ports = {{ {self.port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
proxy65_ports = {{ {free_port()} }}
modules_enabled = {{ "disco", "saslauth", "ping", "posix" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
VirtualHost "{DOMAIN}"
Component "proxy.{DOMAIN}" "proxy65"
    proxy65_address = "127.0.0.1"
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
