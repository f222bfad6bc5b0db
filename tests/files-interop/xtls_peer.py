"""An XTLS peer that has nothing of ours: slixmpp's client, and Python's `ssl` for TLS 1.3 inside of its bytestreams.

draft-meyer-xmpp-e2e-encryption-02 ("the draft") with the method x509 and certificates that both ends know beforehand, over
in-band bytestreams (XEP-0261), with an XML stream inside (the draft § 4), which is slixmpp's again.
"""

import asyncio
import hashlib
import os
import ssl
import subprocess

import slixmpp
from slixmpp.exceptions import XMPPError

import jingle
from inside import PUBKEY, Inside
from jingle import BLOCK_SIZE, IBB, Fault, element

XTLS = ("urn:xmpp:jingle:security:xtls:0", "urn:xmpp:jingle:security:xtls:1")
XML_STREAM = ("urn:xmpp:jingle:apps:xmlstream:0", "urn:xmpp:jingle:apps:xmlstream:1")

# So many blocks are on their way at a time. XEP-0047 § 2.2 recommends one, and allows more.
WINDOW = 8
TIMEOUT = 60

CERTIFICATE = """
[req]
prompt = no
distinguished_name = name
x509_extensions = end
[name]
CN = Python
[end]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = otherName:1.3.6.1.5.5.7.8.5;UTF8:{jid}
"""


class Identity:
    """A certificate and its key. OpenSSL makes them."""

    def __init__(self, directory, jid):
        self.pem, self.key = (os.path.join(directory, f"{jid}.{end}") for end in ("pem", "key"))
        config = os.path.join(directory, f"{jid}.cnf")
        with open(config, "w") as file:
            file.write(CERTIFICATE.format(jid=jid))
        subprocess.run(
            ["openssl", "req", "-x509", "-config", config, "-days", "30", "-nodes", "-newkey", "ec",
             "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", self.key, "-out", self.pem],
            check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        with open(self.pem) as file:
            self.der = ssl.PEM_cert_to_DER_cert(file.read())

    def fingerprint(self, algorithm="sha256"):
        return hashlib.new(algorithm, self.der).hexdigest()


class Peer(slixmpp.ClientXMPP):
    """A client of a server, which takes tunnels and opens them."""

    def __init__(self, jid, password, identity):
        super().__init__(jid, password)
        # What it announces, and what it shows in TLS: the same, unless a test wants something else of it.
        self.identity = self.shown = identity
        # Bare addresses, and the only certificate of each, in PEM.
        self.trusted = {}
        # Tunnels that came, once their XML streams are open; and the faults of those that did not get so far.
        self.incoming = asyncio.Queue()
        for plugin in ("xep_0030", "xep_0115"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0047", {"max_block_size": 2 * BLOCK_SIZE})
        for feature in (jingle.JINGLE, *XTLS, *XML_STREAM, IBB, PUBKEY):
            self.plugin["xep_0030"].add_feature(feature)
        self.enable_starttls, self.enable_direct_tls, self.enable_plaintext = False, False, True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.sessions = jingle.Sessions(self, self.called)
        self.bytestreams = {}
        self.add_event_handler("ibb_stream_start", self.bytestream_started)
        # None after the last block.
        self.add_event_handler("ibb_stream_end", lambda stream: stream.recv_queue.put_nowait(None))

    async def log_in(self, port):
        ready = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: ready.set_result(None), disposable=True)
        self.connect("127.0.0.1", port)
        await ready
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        self.send_presence()

    async def open(self, address):
        """A tunnel with a full address, whose XML stream is open."""
        info = await self.plugin["xep_0030"].get_info(address)
        # The draft § 7: "it MUST report that", by xtls:1.
        if XTLS[1] not in info["disco_info"]["features"]:
            raise Fault("the peer has no XTLS")
        tunnel = Tunnel(self, slixmpp.JID(address), jingle.new_sid(), True)
        await asyncio.wait_for(tunnel.initiate(), TIMEOUT)
        return tunnel

    def called(self, iq, sid, contents):
        if len(contents) != 1:
            raise XMPPError("feature-not-implemented", etype="cancel")
        tunnel = Tunnel(self, iq["from"], sid, False)
        tunnel.offer = contents[0]
        return tunnel

    def bytestream_started(self, stream):
        waiting = self.bytestreams.pop((stream.peer_jid.full, stream.sid), None)
        if waiting is not None:
            waiting.set_result(stream)


class Tunnel:
    """One session with a security precondition (the draft § 3), its TLS, and the XML stream in it (§ 4)."""

    def __init__(self, client, peer, sid, initiator):
        self.client, self.peer, self.sid, self.initiator = client, peer, sid, initiator
        self.name, self.offer, self.answer = "xmlstream", None, asyncio.get_running_loop().create_future()
        self.xtls, self.application = XTLS[0], XML_STREAM[0]
        self.stream, self.inside, self.pending, self.writable = None, None, bytearray(), asyncio.Event()
        self.chosen, self.terminated, self.reason, self.fault, self.authenticated_end = None, False, None, None, False
        # Set once nothing more comes, in whatever way.
        self.over = asyncio.Event()

    # Negotiation

    async def send(self, action, *children, **attributes):
        await self.client.sessions.send(self.peer, self.sid, action, *children, **attributes)

    def content(self, *children):
        return element(jingle.JINGLE, "content", children=children, creator="initiator", name=self.name)

    def description(self):
        """Ours: application, transport, and what secures it."""
        identity = self.client.identity
        return self.content(
            element(self.application, "description"),
            element(IBB, "transport", block_size=self.block_size, sid=self.transport),
            element(self.xtls, "security", children=[
                element(self.xtls, "fingerprint", identity.fingerprint("sha1"), algo="sha1"),
                element(self.xtls, "fingerprint", identity.fingerprint(), algo="sha-256"),
                element(self.xtls, "method", name="x509"),
            ]),
        )

    def read(self, content):
        """The peer's: raises if there can be no tunnel with it."""
        transport = content.find(f"{{{IBB}}}transport")
        if transport is None:
            raise Fault("unsupported-transports")
        security = next((found for name in XTLS if (found := content.find(f"{{{name}}}security")) is not None), None)
        # The draft § 3: "setting up a secure transport layer has failed"; "it makes no sense to use end-to-end XML streams without
        # encryption".
        if security is None:
            raise Fault("security-error", "no <security/>")
        methods = [child.get("name") for child in security if child.tag.endswith("}method")]
        if "x509" not in methods:
            raise Fault("security-error", f"methods {methods}")
        trusted = self.client.trusted.get(self.peer.bare)
        if trusted is None:
            raise Fault("security-error", "a stranger")
        der = ssl.PEM_cert_to_DER_cert(trusted)
        known = {hashlib.sha1(der).hexdigest(), hashlib.sha256(der).hexdigest()}
        shown = {child.text.strip() for child in security if child.tag.endswith("}fingerprint")}
        if not shown or not shown <= known:
            raise Fault("security-error", "another certificate is announced")
        return security.tag[1:].partition("}")[0], transport

    async def initiate(self):
        self.transport, self.block_size = jingle.new_sid(), BLOCK_SIZE
        self.client.sessions.known[(self.peer.full, self.sid)] = self
        await self.send("session-initiate", self.description(), initiator=self.client.boundjid.full)
        content = await self.answer
        try:
            _, transport = self.read(content)
        except Fault as fault:
            self.client.sessions.terminate(self.peer, self.sid, fault.reason)
            raise
        self.block_size = min(self.block_size, int(transport.get("block-size", BLOCK_SIZE)))
        await self.send("security-info", self.content(
            element(self.xtls, "security", children=[element(self.xtls, "method", name="x509")])
        ))
        # XEP-0261 § 2.2: the initiator MUST send <open/>.
        stream = await self.client.plugin["xep_0047"].open_stream(self.peer, block_size=self.block_size, sid=self.transport)
        await self.secure(stream)

    async def respond(self):
        """Accepts an offer, or ends the session."""
        try:
            application = self.offer.find("{*}description")
            if application is None or application.tag[1:].partition("}")[0] not in XML_STREAM:
                raise Fault("unsupported-applications")
            self.application = application.tag[1:].partition("}")[0]
            self.name = self.offer.get("name")
            self.xtls, transport = self.read(self.offer)
            self.transport = transport.get("sid")
            self.block_size = min(2 * BLOCK_SIZE, int(transport.get("block-size", BLOCK_SIZE)))
            opened = self.client.bytestreams[(self.peer.full, self.transport)] = asyncio.get_running_loop().create_future()
            await self.client.plugin["xep_0047"].api["preauthorize_sid"](
                self.client.boundjid, self.transport, self.peer, True
            )
            await self.send("session-accept", self.description(), responder=self.client.boundjid.full)
            await asyncio.wait_for(opened, TIMEOUT)
            await asyncio.wait_for(self.secure(opened.result()), TIMEOUT)
        except Fault as fault:
            if not self.terminated:
                self.client.sessions.terminate(self.peer, self.sid, fault.reason)
            self.client.incoming.put_nowait(fault)
        except Exception as error:
            self.client.incoming.put_nowait(error)
        else:
            self.client.incoming.put_nowait(self)

    def handle(self, action, xml):
        content = xml.find(f"{{{jingle.JINGLE}}}content")
        if action == "session-initiate":
            return lambda: asyncio.ensure_future(self.respond())
        if action == "session-accept" and self.initiator and content is not None and not self.answer.done():
            return lambda: self.answer.set_result(content)
        if action == "security-info" and content is not None:
            method = content.find("{*}security/{*}method")
            self.chosen = None if method is None else method.get("name")
            if self.chosen != "x509":
                raise XMPPError("bad-request", etype="cancel")
            return None
        if action == "session-terminate":
            self.terminated = True
            reason = jingle.ended(xml)
            return lambda: self.finish(reason)
        # XEP-0166 § 6.8: an empty one asks whether the session lives.
        if action == "session-info" and len(xml) == 0:
            return None
        return jingle.unhandled(action)

    def finish(self, reason):
        self.reason = reason
        if self.initiator and not self.answer.done():
            self.answer.set_exception(reason)
        if self.stream is not None:
            self.stream.recv_queue.put_nowait(None)

    # TLS

    async def secure(self, stream):
        """The handshake: the initiator is the client, and the responder asks for its certificate (the draft § 3)."""
        self.stream = stream
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if self.initiator else ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # Names are not looked at: the certificate is the one that is known, or it is none.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.client.trusted[self.peer.bare])
        shown = self.client.shown
        if shown is not None:
            context.load_cert_chain(shown.pem, shown.key)
        self.comes, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.comes, self.goes, server_side=not self.initiator)
        self.sending = asyncio.ensure_future(self.send_blocks())
        try:
            await self.handshake()
            self.inside = Inside(self)
            self.receiving = asyncio.ensure_future(self.receive())
            await self.inside.opened
        except BaseException:
            # An alert still has to go.
            self.flush()
            await asyncio.wait([asyncio.ensure_future(self.drained())], timeout=5)
            self.sending.cancel()
            raise

    async def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                await self.more()
            except ssl.SSLError as error:
                # The draft § 6: it MUST terminate the session with security-error.
                raise Fault("security-error", str(error)) from error
        self.flush()
        if self.tls.getpeercert(True) != ssl.PEM_cert_to_DER_cert(self.client.trusted[self.peer.bare]):
            raise Fault("security-error", "another certificate")

    async def more(self):
        """The peer's next block. Raises if none will come."""
        block = await self.stream.recv_queue.get()
        if block is None:
            raise self.reason or Fault("truncated")
        self.comes.write(block)

    async def receive(self):
        try:
            while True:
                try:
                    data = self.tls.read(1 << 16)
                    if not data:
                        break
                    self.inside.data_received(data)
                except ssl.SSLWantReadError:
                    await self.more()
                self.flush()
            self.end_tls()
        except ssl.SSLZeroReturnError:
            self.end_tls()
        except Fault as fault:
            self.fault = fault
        except ssl.SSLError as error:
            # In TLS 1.3 a client learns after its handshake that the server does not take its certificate.
            self.fault = Fault("TLS", error.reason)
        self.inside.nothing_more(self.fault)
        self.over.set()

    def end_tls(self):
        """The peer's close_notify is here, and is answered."""
        self.authenticated_end = True
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            # Ours went before.
            pass
        self.flush()

    def write(self, data):
        self.tls.write(data)
        self.flush()

    def flush(self):
        self.pending += self.goes.read()
        if self.pending:
            self.writable.set()

    async def send_blocks(self):
        """What TLS has to send, in blocks, so many at a time."""
        on_their_way = set()
        while True:
            await self.writable.wait()
            while self.pending:
                if len(on_their_way) >= WINDOW:
                    await self.settle(on_their_way, asyncio.FIRST_COMPLETED)
                block = bytes(self.pending[: self.stream.block_size])
                del self.pending[: len(block)]
                on_their_way.add(asyncio.ensure_future(self.stream.send(block, timeout=TIMEOUT)))
            if on_their_way:
                await self.settle(on_their_way, asyncio.ALL_COMPLETED)
            if not self.pending:
                self.writable.clear()

    async def settle(self, on_their_way, when):
        done, pending = await asyncio.wait(on_their_way, return_when=when)
        on_their_way.intersection_update(pending)
        for sent in done:
            # A bytestream that is gone shows at the other half.
            sent.exception()

    async def drained(self):
        while self.writable.is_set():
            await asyncio.sleep(0.01)

    async def close(self):
        """The end in order: of the XML stream both ways, of TLS, of the bytestream and of the session."""
        self.inside.close()
        await asyncio.wait_for(self.inside.closed.wait(), TIMEOUT)
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()
        await asyncio.wait_for(self.drained(), TIMEOUT)
        if not self.terminated:
            if self.initiator and not self.stream.stream_in_closed:
                await self.stream.close()
            if not self.terminated:
                self.terminated = True
                self.client.sessions.terminate(self.peer, self.sid, "success")
        self.sending.cancel()

    def break_off(self):
        """Ends the session, and nothing in it."""
        self.terminated = True
        self.sending.cancel()
        self.client.sessions.terminate(self.peer, self.sid, "connectivity-error")
        self.finish(Fault("connectivity-error"))

    async def ended(self):
        """The peer ends it in order, and we have answered: gives what its session-terminate said."""
        await asyncio.wait_for(self.over.wait(), TIMEOUT)
        while not self.terminated:
            await asyncio.sleep(0.01)
        self.sending.cancel()
        return self.reason
