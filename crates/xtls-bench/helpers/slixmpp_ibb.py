"""slixmpp's stanza objects around ssl.MemoryBIO, both ends in one process; the argument is a directory with certificates.

A line "BLOCK BYTES COUNT" on standard input: send so many bytes so many times, in blocks of that size. A line of seconds on
standard output answers it.
"""

import os
import ssl
import sys
import time
from xml.etree import ElementTree

from slixmpp.plugins.xep_0047 import stanza as ibb
from slixmpp.stanza import Iq
from slixmpp.xmlstream import register_stanza_plugin

FROM, TO = "romeo@montague.example/orchard-7f3a9c", "juliet@capulet.example/balcony-51be02"
SID = "xtls-8f14e45fceea167a"

for payload in (ibb.Data, ibb.Open, ibb.Close):
    register_stanza_plugin(Iq, payload)


def context(me, peer, protocol):
    made = ssl.SSLContext(protocol)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.load_cert_chain(f"{sys.argv[1]}/{me}.crt", f"{sys.argv[1]}/{me}.key")
    made.load_verify_locations(f"{sys.argv[1]}/{peer}.crt")
    # The certificate is its own authority, and names no host.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        made.num_tickets = 0
    return made


class Ends:
    """A connection from a client to a server, after the handshake."""

    def __init__(self):
        self.client_in, self.client_out, self.server_in, self.server_out = (ssl.MemoryBIO() for _ in range(4))
        of_client = context("client", "server", ssl.PROTOCOL_TLS_CLIENT)
        of_server = context("server", "client", ssl.PROTOCOL_TLS_SERVER)
        self.client = of_client.wrap_bio(self.client_in, self.client_out, server_side=False)
        self.server = of_server.wrap_bio(self.server_in, self.server_out, server_side=True)
        self.seq = 0
        open_ends = {self.client, self.server}
        for _ in range(8):
            for end in list(open_ends):
                try:
                    end.do_handshake()
                    open_ends.discard(end)
                except ssl.SSLWantReadError:
                    pass
                self.server_in.write(self.client_out.read())
                self.client_in.write(self.server_out.read())
        assert not open_ends, "the handshake ends"

    def send(self, block, data):
        self.client.write(data)
        records = self.client_out.read()
        arrived = 0
        for start in range(0, len(records), block):
            request = Iq()
            request["type"], request["id"] = "set", f"ibb-{self.seq:08d}"
            request["from"], request["to"] = FROM, TO
            request["ibb_data"]["sid"], request["ibb_data"]["seq"] = SID, self.seq
            request["ibb_data"]["data"] = records[start : start + block]
            self.seq = (self.seq + 1) & 0xFFFF
            heard = Iq(xml=ElementTree.fromstring(str(request).encode()))
            self.server_in.write(heard["ibb_data"]["data"])
            result = Iq()
            result["type"], result["id"], result["to"], result["from"] = "result", heard["id"], FROM, TO
            Iq(xml=ElementTree.fromstring(str(result)))
            while True:
                try:
                    arrived += len(self.server.read(65536))
                except ssl.SSLWantReadError:
                    break
        assert arrived == len(data), (arrived, len(data))


ends = Ends()
print("ready", flush=True)
for line in sys.stdin:
    block, size, count = map(int, line.split())
    data = os.urandom(size)
    started = time.perf_counter()
    for _ in range(count):
        ends.send(block, data)
    print(time.perf_counter() - started, flush=True)
