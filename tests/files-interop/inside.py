"""The XML stream inside of a tunnel (the draft § 4): slixmpp's, without a socket."""

import asyncio
import base64

from slixmpp.basexmpp import BaseXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

import jingle
from jingle import Fault, element

STREAMS, PUBKEY = "http://etherx.jabber.org/streams", "urn:xmpp:pubkey:0"
TIMEOUT = 60


class Inside(BaseXMPP):
    """The stream of one tunnel. It has slixmpp's plugins like any other."""

    def __init__(self, tunnel):
        super().__init__(tunnel.client.boundjid.full)
        self.tunnel, self.peer = tunnel, tunnel.peer
        self.whitespace_keepalive = False
        self.opened, self.closed = asyncio.get_running_loop().create_future(), asyncio.Event()
        self.said_goodbye = False
        self.messages = asyncio.Queue()
        self.stream_header = (
            f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' from='{self.boundjid.full}' to='{self.peer.full}'"
            f" version='1.0'" + ("" if tunnel.initiator else f" id='{jingle.new_sid()}'") + ">"
        )
        # The draft § 4: stanzas come with or without addresses.
        self.add_filter("in", self.stamp)
        self.add_event_handler("message", self.messages.put_nowait)
        self.register_handler(Callback("Certificate", MatchXPath(f"{{jabber:client}}iq/{{{PUBKEY}}}pubkeys"), self.certificate))
        self.session_bind_event.set()
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0047", {"max_block_size": 65535})
        self.bytestreams = {}
        self.add_event_handler("ibb_stream_start", self.bytestream_started)
        self.add_event_handler("ibb_stream_end", lambda stream: stream.recv_queue.put_nowait(None))
        if tunnel.initiator:
            self.connection_made(self)
        else:
            self.transport = self
            self.init_parser()

    # As slixmpp's transport

    def write(self, data):
        self.tunnel.write(data)

    def get_extra_info(self, _name, default=None):
        return default

    # As slixmpp's stream

    def start_stream_handler(self, xml):
        """The peer's header. One that names somebody else ends the tunnel."""
        super().start_stream_handler(xml)
        if xml.tag != f"{{{STREAMS}}}stream" or self.stream_version != "1.0":
            self.opened.set_exception(Fault("not a stream", xml.tag))
            return
        # The draft § 4: "SHOULD specify the full JIDs of the clients".
        ends = (xml.get("from"), xml.get("to"))
        if ends != (self.peer.full, self.boundjid.full):
            self.opened.set_exception(Fault("security-error", f"a stream of {ends}"))
            return
        if not self.tunnel.initiator:
            self.write(self.stream_header.encode() + b"<stream:features/>")
        self._run_out_filters = asyncio.ensure_future(self.run_filters())
        self.event("session_start")
        self.opened.set_result(None)

    def abort(self):
        """The peer's stream has ended."""
        self.close()
        self.closed.set()

    def close(self):
        if not self.said_goodbye:
            self.said_goodbye = True
            self.write(b"</stream:stream>")

    def nothing_more(self, fault):
        """The tunnel has ended."""
        if not self.opened.done():
            self.opened.set_exception(fault or Fault("truncated"))
        self.said_goodbye = True
        self.closed.set()
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()

    def stamp(self, stanza):
        if not stanza["from"].full:
            stanza["from"] = self.peer
        if not stanza["to"].full:
            stanza["to"] = self.boundjid
        return stanza if stanza["from"].bare == self.peer.bare else None

    def certificate(self, iq):
        """The draft § 5.1: "The peer MUST return its own client certificate"."""
        text = base64.encodebytes(self.tunnel.client.identity.der).decode()
        reply = iq.reply()
        reply.append(element(PUBKEY, "pubkeys", children=[
            element(PUBKEY, "keyinfo", children=[element(PUBKEY, "x509cert", text)])
        ]))
        reply.send()

    def bytestream_started(self, stream):
        waiting = self.bytestreams.pop(stream.sid, None)
        if waiting is not None:
            waiting.set_result(stream)

    async def ask_certificate(self):
        """The certificate that the peer gives (the draft § 5.1)."""
        iq = self.make_iq_get(ito=self.peer, ifrom=self.boundjid)
        iq.append(element(PUBKEY, "pubkeys"))
        answer = await iq.send(timeout=TIMEOUT)
        text = answer.xml.findtext(f"{{{PUBKEY}}}pubkeys/{{{PUBKEY}}}keyinfo/{{{PUBKEY}}}x509cert")
        return base64.b64decode(text)

    def say(self, body):
        self.send_message(mto=self.peer, mfrom=self.boundjid, mbody=body, mtype="chat")
