"""A peer of its own for tunnels of raw bytes over SOCKS5 bytestreams: slixmpp, OpenSSL, and the documents. Used by tunnels.py.

XEP-0166 and XEP-0260 as docs/wire.md § 8 has them, the negotiation hash (§ 5) and receipts (§ 9). It listens nowhere: it offers a proxy,
or nothing, and dials.
"""

import asyncio
import hashlib
import hmac
import secrets
import struct
from xml.etree import ElementTree

import slixmpp
from OpenSSL import SSL
from slixmpp.plugins.xep_0065.socks5 import Socks5Protocol
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

JINGLE, S5B = "urn:xmpp:jingle:1", "urn:xmpp:jingle:transports:s5b:1"
XTLS, BYTES, RECEIPT = "urn:xmpp:jingle:security:xtls:0", "urn:xtls:apps:bytes:1", "urn:xtls:receipt:0"
FEATURES = (JINGLE, S5B, XTLS, BYTES, "http://jabber.org/protocol/bytestreams")

# A record of nothing: what follows close_notify is ignored (RFC 8446 § 6.1).
NUDGE = bytes([23, 3, 3, 0, 16] + [0] * 16)


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


def negotiation_hash(offer, answer, method="x509"):
    """§ 5. Offer and answer are (creator, name, application, transports, methods, fingerprints)."""
    text = string("urn:xtls:negotiation:1")
    for creator, name, application, transports, methods, fingerprints in (offer, answer):
        text += string(creator) + string(name) + string(application)
        pairs = [string(algorithm) + string(digest) for algorithm, digest in fingerprints]
        for parts in (map(string, transports), map(string, methods), pairs):
            parts = sorted(set(parts))
            text += struct.pack(">I", len(parts)) + b"".join(parts)
    return hashlib.sha256(text + string(method))


def check_example():
    """The example of § 5, which both ends have to come to."""
    prints = [("sha1", hashlib.sha1(b"certificate").digest()), ("sha-256", hashlib.sha256(b"certificate").digest())]
    offer, answer = (
        ("initiator", "xmlstream", "urn:xmpp:jingle:apps:xmlstream:0", ["urn:xmpp:jingle:transports:ibb:1"], methods, prints)
        for methods in (["x509", "srp"], ["x509"])
    )
    digest = negotiation_hash(offer, answer).hexdigest()
    assert digest == "f3a6cac45cf71ac2f93b747e691f9ae996d24ff9bf88b423aa4acf6125f3e450", digest


def child(parent, tag, namespace, **attributes):
    return ElementTree.SubElement(parent, f"{{{namespace}}}{tag}", attributes)


def find(element, path):
    return element.find("/".join("{%s}%s" % part for part in path))


class Content:
    """What a session-initiate or session-accept says."""

    def __init__(self, jingle):
        content = find(jingle, [(JINGLE, "content")])
        self.creator, self.name = content.get("creator"), content.get("name")
        self.transport = find(content, [(S5B, "transport")])
        security = find(content, [(XTLS, "security")])
        assert self.transport is not None and security is not None, ElementTree.tostring(jingle)
        application = next(part for part in content if part.tag.endswith("}description"))
        methods = [method.get("name") for method in security.findall(f"{{{XTLS}}}method")]
        prints = [
            (name.get("algo"), bytes.fromhex(name.text.strip())) for name in security.findall(f"{{{XTLS}}}fingerprint")
        ]
        self.hashed = (self.creator, self.name, application.tag[1:].split("}")[0], [S5B], methods, prints)
        self.takes_receipts = find(jingle, [(RECEIPT, "receipt")]) is not None

    def candidates(self):
        found = self.transport.findall(f"{{{S5B}}}candidate")
        return sorted(found, key=lambda candidate: -int(candidate.get("priority")))


class Peer(slixmpp.ClientXMPP):
    """A client with one session. Its certificate is a file in PEM, the peer's the SHA-256 of its DER."""

    def __init__(self, jid, password, certificate, digest, pinned):
        super().__init__(jid, password)
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0065")
        self.enable_starttls, self.enable_direct_tls, self.enable_plaintext = False, False, True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        for feature in FEATURES:
            self.plugin["xep_0030"].add_feature(feature)
        self.certificate, self.digest, self.pinned = certificate, digest, pinned
        self.actions, self.connection = asyncio.Queue(), None
        matcher = MatchXPath(f"{{jabber:client}}iq/{{{JINGLE}}}jingle")
        self.register_handler(Callback("Jingle", matcher, self._jingle))

    async def log_in(self, port):
        ready = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: ready.set_result(None), disposable=True)
        self.connect("127.0.0.1", port)
        await ready
        self.send_presence()

    def _jingle(self, iq):
        if iq["type"] == "set":
            iq.reply().send()
            self.actions.put_nowait((iq["from"], find(iq.xml, [(JINGLE, "jingle")])))

    async def next(self, wanted):
        """The next of these actions; a session-info without a receipt is a sign of life."""
        while True:
            _, jingle = await self.actions.get()
            action = jingle.get("action")
            if action in wanted:
                return jingle
            assert action in ("session-info", "security-info"), ElementTree.tostring(jingle)

    async def request(self, action, fill, **attributes):
        iq = self.Iq(sto=self.peer, stype="set")
        jingle = ElementTree.Element(f"{{{JINGLE}}}jingle", {"action": action, "sid": self.sid, **attributes})
        fill(jingle)
        iq.append(jingle)
        await iq.send(timeout=30)

    def content(self, jingle):
        return child(jingle, "content", JINGLE, creator="initiator", name=self.name)

    def secure(self, content, prints=True):
        security = child(content, "security", XTLS)
        if prints:
            child(security, "fingerprint", XTLS, algo="sha-256").text = self.digest.hex()
        child(security, "method", XTLS, name="x509")

    def states(self, jingle, candidates):
        """The content of a session-initiate or session-accept."""
        content = self.content(jingle)
        child(content, "description", BYTES)
        transport = child(content, "transport", S5B, sid=self.s5b_sid)
        if candidates:
            transport.set("dstaddr", self.dst_addr(self.boundjid.full, self.peer))
        for candidate in candidates:
            child(transport, "candidate", S5B, **candidate)
        self.secure(content)
        if self.receipts:
            child(jingle, "receipt", RECEIPT)
        return Content(jingle)

    async def inform(self, name, **attributes):
        def fill(jingle):
            child(child(self.content(jingle), "transport", S5B, sid=self.s5b_sid), name, S5B, **attributes)

        await self.request("transport-info", fill)

    async def informed(self):
        transport = find(await self.next(["transport-info"]), [(JINGLE, "content"), (S5B, "transport")])
        return transport[0].tag.split("}")[1], transport[0].get("cid")

    def dst_addr(self, requester, target):
        return self.plugin["xep_0065"]._get_dest_sha1(self.s5b_sid, requester, target)

    async def dial(self, host, port, dst_addr):
        """A SOCKS5 connection; what comes by it is put into a queue, and an empty piece is its end."""
        self.pieces = pieces = asyncio.Queue()

        def event(kind, value):
            if kind in ("socks5_data", "socks5_closed"):
                pieces.put_nowait(value if kind == "socks5_data" else b"")

        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Socks5Protocol(dst_addr, 0, event), host, int(port))
        await connection.connected
        self.connection = connection

    async def choose(self, theirs, requester_is_owner):
        """Dials what the other has, the best first. Whether there is something of it."""
        for candidate in theirs.candidates():
            requester, target = (self.peer, self.boundjid.full) if requester_is_owner else (self.boundjid.full, self.peer)
            name = self.dst_addr(requester, target)
            if candidate.get("type") == "proxy":
                name = theirs.transport.get("dstaddr")
            try:
                await self.dial(candidate.get("host"), candidate.get("port"), name)
            except OSError:
                continue
            await self.inform("candidate-used", cid=candidate.get("cid"))
            return candidate
        await self.inform("candidate-error")
        return None

    async def call(self, peer, through_proxy, receipts=True):
        """Initiates: by a proxy of the own server, or by whatever the responder has."""
        self.peer, self.role, self.name, self.receipts = peer, "initiator", "bytes", receipts
        self.sid, self.s5b_sid = secrets.token_hex(8), secrets.token_hex(8)
        candidates = []
        if through_proxy:
            (jid, (host, port)), = (await self.plugin["xep_0065"].discover_proxies()).items()
            candidates = [{"cid": "p1", "host": host, "port": str(port), "jid": str(jid), "priority": "655361", "type": "proxy"}]
        said = {}

        def fill(jingle):
            said["offer"] = self.states(jingle, candidates)

        await self.request("session-initiate", fill, initiator=self.boundjid.full)
        answer = Content(await self.next(["session-accept"]))
        self.receipts = self.receipts and answer.takes_receipts
        if through_proxy:
            await self.inform("candidate-error")
            assert await self.informed() == ("candidate-used", "p1")
            await self.dial(host, port, self.dst_addr(self.boundjid.full, self.peer))
            await self.plugin["xep_0065"].activate(jid, self.s5b_sid, self.peer, timeout=30)
            await self.inform("activated", cid="p1")
        else:
            assert await self.choose(answer, True) is not None
            assert (await self.informed())[0] == "candidate-error"
        await self.request("security-info", lambda jingle: self.secure(self.content(jingle), False))
        return negotiation_hash(said["offer"].hashed, answer.hashed).digest()

    async def answer(self, through_proxy):
        """Responds, with nothing to offer."""
        self.role = "responder"
        self.peer, jingle = await self.actions.get()
        self.peer = str(self.peer)
        offer = Content(jingle)
        self.sid, self.s5b_sid = jingle.get("sid"), offer.transport.get("sid")
        self.name, self.receipts = offer.name, offer.takes_receipts
        said = {}

        def fill(jingle):
            said["answer"] = self.states(jingle, [])

        await self.request("session-accept", fill, responder=self.boundjid.full)
        used = await self.choose(offer, True)
        assert used is not None and (used.get("type") == "proxy") == through_proxy, used
        assert (await self.informed())[0] == "candidate-error"
        if through_proxy:
            assert await self.informed() == ("activated", used.get("cid"))
        return negotiation_hash(offer.hashed, said["answer"].hashed).digest()

    async def exchange(self, digest, data, first=0):
        """Everything inside of TLS: the hashes, the bytes, and both ends. Gives what has come. It says nothing before so many bytes came."""
        tls = Tls(self)
        await tls.handshake()
        if self.role == "responder":
            await tls.write(digest)
        theirs = await tls.read_exactly(32)
        assert hmac.compare_digest(theirs, digest), "another negotiation hash"
        if self.role == "initiator":
            await tls.write(digest)

        async def send():
            for start in range(0, len(data), 50_000):
                await tls.write(data[start : start + 50_000])
            await tls.close()
            # § 8, 9: Prosody's proxy may sit on the last bytes.
            wait = 0.25
            while True:
                await asyncio.sleep(wait)
                await self.connection.write(NUDGE)
                wait *= 2

        heard = await tls.read_exactly(first)
        sending = asyncio.create_task(send())
        received = heard + await tls.read_all()
        if self.receipts:
            await self.give_and_take(tls.connection.export_keying_material(b"EXPORTER-xtls-receipt", 32), data, received)
        await self.next(["session-terminate"])
        sending.cancel()
        self.connection.transport.close()
        return received

    async def give_and_take(self, secret, data, received):
        def proof(receiver, count):
            parts = ("urn:xtls:receipt:0", receiver, struct.pack(">Q", count), secret)
            return hashlib.sha256(b"".join(map(string, parts))).hexdigest()

        other = "initiator" if self.role == "responder" else "responder"
        await self.request(
            "session-info", lambda jingle: child(jingle, "receipt", RECEIPT, proof=proof(self.role, len(received)))
        )
        while True:
            receipt = find(await self.next(["session-info"]), [(RECEIPT, "receipt")])
            if receipt is not None:
                break
        assert receipt.get("proof") == proof(other, len(data)), "no proof"


class Tls:
    """OpenSSL between bytes and bytes; the peer's certificate is the one that is pinned, whoever has made it."""

    def __init__(self, peer):
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.use_certificate_file(peer.certificate)
        context.use_privatekey_file(peer.certificate)

        def verify(_connection, certificate, _error, depth, _ok):
            return depth == 0 and certificate.digest("sha256").replace(b":", b"").decode().lower() == peer.pinned

        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        self.connection, self.peer = SSL.Connection(context, None), peer
        self.pieces, self.lock = peer.pieces, asyncio.Lock()
        if peer.role == "initiator":
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    async def flush(self):
        async with self.lock:
            while True:
                try:
                    await self.peer.connection.write(self.connection.bio_read(1 << 16))
                except SSL.WantReadError:
                    return

    async def more(self):
        piece = await self.pieces.get()
        assert piece, "the connection was closed before the end of TLS"
        self.connection.bio_write(piece)

    async def handshake(self):
        while True:
            try:
                self.connection.do_handshake()
                return await self.flush()
            except SSL.WantReadError:
                await self.flush()
                await self.more()

    async def write(self, data):
        self.connection.sendall(data)
        await self.flush()

    async def close(self):
        self.connection.shutdown()
        await self.flush()

    async def read(self, most):
        """Empty at the close_notify of the peer."""
        while True:
            try:
                return self.connection.recv(most)
            except SSL.WantReadError:
                # OpenSSL may have answered a change of keys.
                await self.flush()
                await self.more()
            except SSL.ZeroReturnError:
                return b""

    async def read_exactly(self, count):
        data = b""
        while len(data) < count:
            piece = await self.read(count - len(data))
            assert piece, "it ended before"
            data += piece
        return data

    async def read_all(self):
        data = bytearray()
        while piece := await self.read(1 << 16):
            data += piece
        return bytes(data)
