#!/usr/bin/env python3
"""TLS-SRP with tlslite-ng, an honest peer and a hostile one.

    tlslite_peer.py serve PORT NAME PASSWORD SUITE BITS [WITHOUT…]
    tlslite_peer.py connect PORT NAME PASSWORD SUITE TEXT [WITHOUT…]
    tlslite_peer.py hostile PORT NAME PASSWORD VALUE     send VALUE for A; print the alert that comes back
"""

import socket
import sys

from tlslite.api import HandshakeSettings, TLSConnection, VerifierDB
from tlslite.errors import TLSRemoteAlert
from tlslite.keyexchange import SRPKeyExchange
from tlslite.messages import ClientKeyExchange

LABEL = bytearray(b"EXPORTER-Channel-Binding")


def settings(suite, without=()):
    made = HandshakeSettings()
    made.minVersion = made.maxVersion = (3, 3)
    made.cipherNames = ["aes" + suite]
    made.macNames = ["sha"]
    made.maxKeySize = 8193
    made.useExtendedMasterSecret = "extended master secret" not in without
    made.useEncryptThenMAC = "encrypt-then-MAC" not in without
    return made


def describe(connection):
    exporter = connection.keyingMaterialExporter(LABEL, 32).hex()
    print(
        f"{connection.session.getCipherName()} encrypt_then_mac={connection.encryptThenMAC} "
        f"extended_master_secret={connection.extendedMasterSecret} exporter_without_context={exporter}",
        flush=True,
    )


def serve(port, name, password, suite, bits, *without):
    database = VerifierDB()
    database[name.encode()] = VerifierDB.makeVerifier(bytearray(name.encode()), bytearray(password.encode()), int(bits))
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print("listening", flush=True)
        connected, _ = listener.accept()
    connection = TLSConnection(connected)
    connection.closeSocket = False
    connection.handshakeServer(verifierDB=database, settings=settings(suite, without))
    describe(connection)
    while data := connection.recv(1 << 16):
        connection.sendall(data)
    connection.close()
    print("closed", flush=True)


def login(port, name, password, suite, without=()):
    connection = TLSConnection(socket.create_connection(("127.0.0.1", int(port))))
    chosen = settings(suite, without)
    connection.handshakeClientSRP(bytearray(name.encode()), bytearray(password.encode()), settings=chosen)
    return connection


def connect(port, name, password, suite, text, *without):
    connection = login(port, name, password, suite, without)
    describe(connection)
    wanted, heard = text.encode(), b""
    connection.sendall(wanted)
    while len(heard) < len(wanted):
        heard += connection.recv(1 << 16)
    if heard != wanted:
        sys.exit("the echo differs")
    connection.closeSocket = False
    connection.close()
    print("closed", flush=True)


def hostile(port, name, password, value):
    def make(self):
        n = int(next(iter(HOSTILE.N)))
        exchange = ClientKeyExchange(self.cipherSuite, self.serverHello.server_version)
        # The expression is one of the runner's own.
        exchange.createSRP(eval(value, {"N": n}))
        return exchange

    original = SRPKeyExchange.processServerKeyExchange

    def process(self, key, exchange):
        HOSTILE.N = [exchange.srp_N]
        return original(self, key, exchange)

    SRPKeyExchange.makeClientKeyExchange = make
    SRPKeyExchange.processServerKeyExchange = process
    try:
        login(port, name, password, "256")
        print("accepted", flush=True)
    except TLSRemoteAlert as alert:
        print(alert.description, flush=True)


class HOSTILE:
    """Where the hostile client keeps the modulus that it was sent."""

    N = []


if __name__ == "__main__":
    commands = {"serve": serve, "connect": connect, "hostile": hostile}
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except TLSRemoteAlert as alert:
        sys.exit(f"alert {alert.description}: {alert}")
