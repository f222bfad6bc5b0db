"""Files by Jingle (XEP-0234) inside of an XML stream, in an in-band bytestream that is in there too (XEP-0261).

Nothing of `urn:xtls:` is known here. What the other end is told of a file can be anything: it is tested with lies.
"""

import asyncio
import base64
import hashlib

from slixmpp.exceptions import IqError, IqTimeout, XMPPError
from slixmpp.plugins.xep_0234.stanza import File
from slixmpp.plugins.xep_0300.stanza import Hash

import jingle
from jingle import IBB, JINGLE, Fault, element

FILES, ERRORS = "urn:xmpp:jingle:apps:file-transfer:5", "urn:xmpp:jingle:apps:file-transfer:errors:0"
HASHES = "urn:xmpp:hashes:2"
ALGORITHMS = {"sha-1": "sha1", "sha-256": "sha256", "sha-512": "sha512", "sha3-256": "sha3_256", "sha3-512": "sha3_512"}

# Inside, blocks may be larger than where servers see them.
BLOCK_SIZE, WINDOW, TIMEOUT = 16384, 8, 60


def digest(data, algorithm="sha-256"):
    """As text (XEP-0300 § 3)."""
    return base64.b64encode(hashlib.new(ALGORITHMS[algorithm], data).digest()).decode()


def hash_element(value, algorithm="sha-256"):
    made = Hash()
    made["algo"], made["value"] = algorithm, value
    return made.xml


def describe(name=None, size=None, *, value=None, algorithm="sha-256", used=False, span=None):
    """A `<file/>` (XEP-0234 § 5): with a hash, or with the name of one that follows, and perhaps with a range."""
    file = File()
    if name is not None:
        file["name"], file["media-type"] = name, "application/octet-stream"
    if size is not None:
        file["size"] = size
    if value is not None:
        file.xml.append(hash_element(value, algorithm))
    if used:
        file.xml.append(element(HASHES, "hash-used", algo=algorithm))
    if span is not None:
        file.xml.append(range_element(*span))
    return file.xml


def range_element(offset=None, length=None):
    given = {"offset": offset, "length": length}
    return element(FILES, "range", **{name: value for name, value in given.items() if value is not None})


def hashes(xml):
    return {child.get("algo"): child.text.strip() for child in xml.findall(f"{{{HASHES}}}hash") if (child.text or "").strip()}


def read_range(file):
    """Offset and length of a range; both None if there is none, and the length None if it goes to the end."""
    found = file.find(f"{{{FILES}}}range")
    if found is None:
        return None, None
    length = found.get("length")
    return int(found.get("offset", 0)), None if length is None else int(length)


class Files:
    """All file sessions of one XML stream."""

    def __init__(self, inside):
        self.inside = inside
        disco = inside.plugin["xep_0030"]
        for feature in (JINGLE, FILES, IBB, HASHES, *(f"urn:xmpp:hash-function-text-names:{name}" for name in ALGORITHMS)):
            disco.add_feature(feature)
        # Offers and requests of the peer, as they come.
        self.incoming = asyncio.Queue()
        self.sessions = jingle.Sessions(inside, self.called)

    async def features(self):
        """What the peer says of itself, inside."""
        info = await self.inside.plugin["xep_0030"].get_info(self.inside.peer, timeout=TIMEOUT)
        return info["disco_info"]["features"]

    async def offer(self, file):
        """Offers a file; gives the transfer once the peer has accepted it."""
        return await self.begin(file, "initiator")

    async def request(self, file):
        """Asks for a file; gives the transfer once the peer has accepted it."""
        return await self.begin(file, "responder")

    async def begin(self, file, senders):
        transfer = Transfer(self, jingle.new_sid(), file, senders == "initiator", True)
        self.sessions.known[(self.inside.peer.full, transfer.sid)] = transfer
        content = transfer.content(file)
        await self.sessions.send(
            self.inside.peer, transfer.sid, "session-initiate", content, initiator=self.inside.boundjid.full
        )
        await asyncio.wait_for(transfer.accepted, TIMEOUT)
        return transfer

    def called(self, _iq, sid, contents):
        content = contents[0]
        file = content.find(f"{{{FILES}}}description/{{{FILES}}}file")
        transport = content.find(f"{{{IBB}}}transport")
        # XEP-0234 § 4.1: content MUST include a 'senders' attribute.
        senders = content.get("senders")
        if len(contents) != 1 or file is None or transport is None or senders not in ("initiator", "responder"):
            raise XMPPError("bad-request", etype="cancel")
        transfer = Transfer(self, sid, file, senders == "responder", False)
        transfer.name, transfer.transport = content.get("name"), transport.get("sid")
        transfer.block_size = min(BLOCK_SIZE, int(transport.get("block-size", BLOCK_SIZE)))
        return transfer


class Transfer:
    """One session: one file, or a part of it, one way."""

    def __init__(self, files, sid, file, sends, initiator):
        self.files, self.inside, self.sid, self.file = files, files.inside, sid, file
        self.sends, self.initiator, self.name = sends, initiator, "file"
        self.transport, self.block_size = jingle.new_sid(), BLOCK_SIZE
        size = file.findtext(f"{{{FILES}}}size")
        self.file_name, self.size = file.findtext(f"{{{FILES}}}name"), None if size is None else int(size)
        self.hashes, self.range = hashes(file), read_range(file)
        # Checksums of parts: offset, length and hashes.
        self.parts, self.checksum = [], asyncio.Event()
        loop = asyncio.get_running_loop()
        self.accepted, self.ended, self.received = loop.create_future(), loop.create_future(), asyncio.Event()
        # How many bytes have come.
        self.so_far = 0

    # Negotiation

    def content(self, file):
        return element(JINGLE, "content", creator="initiator", name=self.name, children=[
            element(FILES, "description", children=[file]),
            element(IBB, "transport", block_size=self.block_size, sid=self.transport),
        ], senders="initiator" if self.sends == self.initiator else "responder")

    async def say(self, action, *children, **attributes):
        await self.files.sessions.send(self.inside.peer, self.sid, action, *children, **attributes)

    async def tell(self, tag, *children):
        """A session-info about this file (XEP-0234 § 8)."""
        await self.say("session-info", element(FILES, tag, creator="initiator", name=self.name, children=children))

    async def accept(self, file):
        """Accepts an offer or a request, and waits for the bytestream: its initiator opens it (XEP-0261 § 2.2)."""
        opened = self.inside.bytestreams[self.transport] = asyncio.get_running_loop().create_future()
        await self.inside.plugin["xep_0047"].api["preauthorize_sid"](
            self.inside.boundjid, self.transport, self.inside.peer, True
        )
        await self.say("session-accept", self.content(file), responder=self.inside.boundjid.full)
        self.stream = await asyncio.wait_for(opened, TIMEOUT)

    async def open(self):
        """The same of one that the peer has accepted."""
        self.stream = await self.inside.plugin["xep_0047"].open_stream(
            self.inside.peer, block_size=self.block_size, sid=self.transport
        )

    def end(self, reason, detail=None):
        self.files.sessions.terminate(self.inside.peer, self.sid, reason, detail)

    def decline(self, reason="decline", error=None):
        self.end(reason, None if error is None else element(ERRORS, error))

    def handle(self, action, xml):
        content = xml.find(f"{{{JINGLE}}}content")
        if action == "session-initiate":
            return lambda: self.files.incoming.put_nowait(self)
        if action == "session-accept" and self.initiator and content is not None and not self.accepted.done():
            file = content.find(f"{{{FILES}}}description/{{{FILES}}}file")
            transport = content.find(f"{{{IBB}}}transport")
            if file is None or transport is None:
                raise XMPPError("bad-request", etype="cancel")
            self.answer = file
            self.block_size = min(self.block_size, int(transport.get("block-size", BLOCK_SIZE)))
            return lambda: self.accepted.set_result(None)
        if action in ("session-terminate", "content-reject"):
            return lambda: self.finish(jingle.ended(xml))
        if action == "session-info" and len(xml) == 0:
            return None
        if action == "session-info" and xml.find(f"{{{FILES}}}received") is not None and self.sends:
            self.received.set()
            return None
        checksum = xml.find(f"{{{FILES}}}checksum/{{{FILES}}}file")
        if action == "session-info" and checksum is not None and not self.sends:
            self.hashes.update(hashes(checksum))
            part = checksum.find(f"{{{FILES}}}range")
            if part is not None:
                self.parts.append((*read_range(checksum), hashes(part)))
            self.checksum.set()
            return None
        return jingle.unhandled(action)

    def finish(self, why):
        if self.initiator and not self.accepted.done():
            self.accepted.set_exception(why)
        if not self.ended.done():
            self.ended.set_result(why)
        if getattr(self, "stream", None) is not None:
            self.stream.recv_queue.put_nowait(None)

    # Sending

    async def send(self, data, *, checksum=None, algorithm="sha-256", cancel_after=None, part=None):
        """Sends these bytes and a checksum: of the whole file, or of this part of it (offset and length). Gives how the peer ended
        it."""
        if self.initiator:
            try:
                await self.open()
            except IqError:
                # Who has all of it already does not wait for that.
                if not self.ended.done():
                    raise
                return self.ended.result()
        await self.blocks(data[:cancel_after])
        if cancel_after is not None:
            # XEP-0234 § 6.5
            self.end("cancel")
            return None
        try:
            if checksum is not None and not self.ended.done():
                value = hash_element(checksum, algorithm)
                span = [] if part is None else [element(FILES, "range", offset=part[0], length=part[1], children=[value])]
                await self.tell("checksum", element(FILES, "file", children=span or [value]))
            if not self.ended.done():
                # XEP-0261 § 2.5: whoever is finished SHOULD close the bytestream.
                await self.stream.close(timeout=TIMEOUT)
        except IqError:
            # The receiver was faster, and ended all of it; its stanzas come in order.
            if not self.ended.done():
                raise
        return await asyncio.wait_for(asyncio.shield(self.ended), TIMEOUT)

    async def blocks(self, data):
        pending = set()
        for start in range(0, len(data), self.stream.block_size):
            if self.ended.done() or self.stream.stream_out_closed:
                break
            if len(pending) >= WINDOW:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                self.settle(done)
            block = data[start : start + self.stream.block_size]
            pending.add(asyncio.ensure_future(self.stream.send(block, timeout=TIMEOUT)))
        if pending:
            done, _ = await asyncio.wait(pending)
            self.settle(done)

    def settle(self, done):
        for sent in done:
            error = sent.exception()
            # After an end, blocks belong to nothing.
            if error is not None and not (isinstance(error, (IqError, IqTimeout, OSError)) and self.ended.done()):
                raise error

    # Receiving

    async def receive(self, have=b"", *, cancel_after=None):
        """Receives what was offered, of which these first bytes are there already, or what was asked for. Checks it, says so, and
        gives what came."""
        if self.initiator:
            # The sender may say which part it sends: no other one than was asked for.
            said, asked = read_range(self.answer), (self.range[0] or 0, self.range[1])
            assert said == (None, None) or said[0] == asked[0] and asked[1] in (said[1], None), (said, asked)
            size = self.answer.findtext(f"{{{FILES}}}size")
            self.size = self.size if size is None else int(size)
            self.hashes.update(hashes(self.answer))
            offset, length = asked[0], asked[1] or said[1]
            whole = asked == (0, None)
            await self.open()
        else:
            offset, length, whole = len(have), None, True
            await self.accept(describe(self.file_name, self.size, span=(offset, None) if have else ()))
        expected = length if length is not None else None if self.size is None else self.size - offset
        data = bytearray()
        while expected is None or len(data) < expected:
            block = await asyncio.wait_for(self.stream.recv_queue.get(), TIMEOUT)
            if block is None:
                break
            data += block
            self.so_far = len(data)
            if cancel_after is not None and len(data) >= cancel_after:
                self.end("cancel")
                return bytes(data)
        if self.ended.done():
            raise self.ended.result()
        if expected is not None and len(data) > expected:
            # XEP-0234 § 9.2
            self.end("media-error", element(ERRORS, "file-too-large"))
            raise Fault("media-error", f"{len(data)} of {expected} bytes")
        if expected is not None and len(data) < expected:
            self.end("media-error")
            raise Fault("media-error", f"{len(data)} of {expected} bytes")
        await self.check(have + bytes(data), offset - len(have), whole)
        await self.tell("received")
        self.end("success")
        return bytes(data)

    async def check(self, data, offset, whole):
        """By the hash of the whole file, or of the part that this is, and whatever else was told of parts of it."""

        def proven():
            parts = [known for start, count, known in self.parts if (start, count) == (offset, len(data)) and known]
            return parts + ([self.hashes] if whole and self.hashes else [])

        while not proven():
            self.checksum.clear()
            # XEP-0234 § 8.2: it was promised by <hash-used/>.
            await asyncio.wait_for(self.checksum.wait(), TIMEOUT)
        inside = [
            (data[start - offset : start - offset + count], known)
            for start, count, known in self.parts if offset <= start and start + count <= offset + len(data)
        ]
        for piece, known in inside + [(data, known) for known in proven()]:
            for algorithm, value in known.items():
                if algorithm in ALGORITHMS and digest(piece, algorithm) != value:
                    self.end("media-error")
                    raise Fault("media-error", "the hash differs")
