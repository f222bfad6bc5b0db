"""`xtls receive`, and slixmpp sends."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import tempfile

from slixmpp.exceptions import IqError

from files import ALGORITHMS, FILES, HASHES, Fault, Files, describe, digest, read_range
from jingle import JINGLE, element

SIZE, SMALL = 5_000_000, 300_000
# What the command keeps of files that are not whole.
PARTIAL = ".xtls-part"


class Receiver:
    """A run of the command, the files of a tunnel with it, and where they go."""

    def __init__(self, run, tunnel, files, directory):
        self.run, self.tunnel, self.files, self.directory = run, tunnel, files, directory
        # The transfer that was offered last.
        self.last = None

    def there(self):
        """Every file that is whole, by its path in the directory."""
        found = {}
        for where, _, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(where, name)
                if PARTIAL not in name:
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, self.directory)] = file.read()
        return found

    async def code(self):
        return await self.run.end()


@contextlib.asynccontextmanager
async def receiving(user, python, *options, directory=None, asks=False):
    """The command waits for files; slixmpp opens the tunnel. The user is asked, or takes whatever slixmpp offers."""
    with contextlib.ExitStack() as stack:
        directory = directory or stack.enter_context(tempfile.TemporaryDirectory(dir=user.server.directory))
        if not asks:
            options = ("--accept-from", python.boundjid.bare, *options)
        run = await user.start("receive", directory, *options)
        await run.event("online")
        tunnel = await python.open(user.jid)
        receiver = Receiver(run, tunnel, Files(tunnel.inside), directory)
        try:
            yield receiver
        finally:
            if not tunnel.terminated:
                tunnel.break_off()


async def offer(receiver, name, data, **how):
    """A file offered and sent as it should be: with a hash, or with one that follows. Gives how the receiver ended it, and from
    which byte on it wanted the file."""
    algorithm, follows = how.get("algorithm", "sha-256"), how.get("follows", False)
    value = digest(data, algorithm)
    file = describe(name, len(data), value=None if follows else value, used=follows, algorithm=algorithm, span=())
    if how.get("empty_hash"):
        file.remove(file.find(f"{{{HASHES}}}hash-used"))
        file.append(element(HASHES, "hash", algo=algorithm))
    receiver.last = transfer = await receiver.files.offer(file)
    start = read_range(transfer.answer)[0] or 0
    end = await transfer.send(
        data[start:], checksum=value if follows else None, algorithm=algorithm, cancel_after=how.get("cancel_after")
    )
    return end and end.reason, start


async def takes(user, python, size, **how):
    data = secrets.token_bytes(size)
    async with receiving(user, python) as receiver:
        end, start = await offer(receiver, "ball.bin", data, **how)
        assert (end, start) == ("success", 0), (end, start)
        await ends_by_itself(receiver)
        assert receiver.there() == {"ball.bin": data}, receiver.there().keys()


async def ends_by_itself(receiver, warning=""):
    """The command has what it waited for: it ends the tunnel in order, though slixmpp leaves it open, and is satisfied."""
    assert (await receiver.tunnel.ended()).reason == "success" and receiver.tunnel.authenticated_end
    code = await receiver.code()
    words = receiver.run.words
    assert code == 0 and warning in words and bool(warning) == bool(words), (code, words, receiver.run.events)


async def takes_one(user, python):
    """What is offered once the first file is there, is declined: the command ends after that."""
    data = secrets.token_bytes(1000)
    async with receiving(user, python) as receiver:
        assert await offer(receiver, "ball.bin", data) == ("success", 0)
        await is_declined(receiver, "letter.txt", b"evil")
        await ends_by_itself(receiver)
        assert receiver.there() == {"ball.bin": data}, receiver.there().keys()


async def is_declined(receiver, name, data):
    try:
        ended = await offer(receiver, name, data)
        raise AssertionError(f"{name} was taken: {ended}")
    except Fault as fault:
        assert (fault.reason, fault.detail) == ("decline", None), fault


async def asks_the_user(user, python):
    """Who wants one file, and not the other."""
    data = secrets.token_bytes(1000)
    async with receiving(user, python, asks=True) as receiver:
        for name, wanted in (("evil.bin", "no"), ("ball.bin", "yes")):
            file = describe(name, len(data), value=digest(data), span=())
            offered = asyncio.ensure_future(receiver.files.offer(file))
            told = await receiver.run.event("file_offered")
            assert (told["name"], told["size"], told["asks"]) == (name, len(data), True), told
            receiver.run.line(wanted)
            try:
                transfer = await offered
                assert wanted == "yes", f"{name} was taken"
                assert (await transfer.send(data)).reason == "success"
            except Fault as fault:
                assert (wanted, fault.reason, fault.detail) == ("no", "decline", None), fault
        await ends_by_itself(receiver)
        assert receiver.there() == {"ball.bin": data}, receiver.there().keys()


async def is_asked(user, python):
    """What the command says inside when it is asked, and every hash that it says it knows."""
    async with receiving(user, python, "--keep-going") as receiver:
        features = await receiver.files.features()
        missing = {"urn:xmpp:jingle:1", FILES, "urn:xmpp:jingle:transports:ibb:1", HASHES} - features
        assert not missing, missing
        prefix = "urn:xmpp:hash-function-text-names:"
        known = {feature[len(prefix):] for feature in features if feature.startswith(prefix)}
        assert "sha-256" in known and known <= ALGORITHMS.keys(), known
        for algorithm in known:
            for follows in (False, True):
                data = secrets.token_bytes(1000)
                name = f"{algorithm} {'follows' if follows else 'is known'}"
                end, _ = await offer(receiver, name, data, algorithm=algorithm, follows=follows)
                assert end == "success" and receiver.there()[name] == data, (name, end)
        # RFC 6120 § 8.4: what is not understood is answered. XEP-0166 § 6.7: what belongs to an ended session MUST get
        # unknown-session.
        ended = element(JINGLE, "jingle", action="session-info", sid=receiver.last.sid)
        for request, told in (
            (element("urn:example:nothing", "query"), "{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable"),
            (ended, "{urn:xmpp:jingle:errors:1}unknown-session"),
        ):
            iq = receiver.tunnel.inside.make_iq_set(ito=user.jid, ifrom=python.boundjid)
            iq.append(request)
            try:
                await iq.send()
                raise AssertionError(f"it says nothing against {request.tag}")
            except IqError as error:
                assert error.iq.xml.find(f"{{jabber:client}}error/{told}") is not None, error
        await receiver.tunnel.close()


async def goes_on(user, python, cut):
    """Half of a file, and in another tunnel the rest of it."""
    data = secrets.token_bytes(SMALL)
    half = SMALL // 2
    with tempfile.TemporaryDirectory(dir=user.server.directory) as directory:
        async with receiving(user, python, directory=directory) as receiver:
            if cut == "cancel":
                await offer(receiver, "ball.bin", data, cancel_after=half)
            else:
                transfer = await receiver.files.offer(describe("ball.bin", len(data), value=digest(data), span=()))
                await transfer.open()
                await transfer.blocks(data[:half])
                receiver.tunnel.break_off()
            await receiver.run.event("error")
            await user.end_all()
            assert receiver.there() == {}, receiver.there().keys()
        async with receiving(user, python, directory=directory) as receiver:
            end, start = await offer(receiver, "ball.bin", data)
            assert end == "success" and 0 < start <= half, (end, start)
            await ends_by_itself(receiver)
            assert receiver.there() == {"ball.bin": data}
            assert len(os.listdir(directory)) == 1, os.listdir(directory)


async def begins_anew(user, python):
    """Half of a file, and in another tunnel one with the same name and size."""
    first, second = secrets.token_bytes(SMALL), secrets.token_bytes(SMALL)
    with tempfile.TemporaryDirectory(dir=user.server.directory) as directory:
        async with receiving(user, python, directory=directory) as receiver:
            await offer(receiver, "ball.bin", first, cancel_after=SMALL // 2)
            await receiver.run.event("error")
            await user.end_all()
        async with receiving(user, python, directory=directory) as receiver:
            assert await offer(receiver, "ball.bin", second) == ("success", 0)
            await ends_by_itself(receiver, "is left as it is: it is of something else")
            assert receiver.there() == {"ball.bin": second}


async def finds_out_at_the_end(user, python):
    """The same where no hash says in advance that it is another file: the whole hash does, and what was there is not used again."""
    first, second = secrets.token_bytes(SMALL), secrets.token_bytes(SMALL)
    with tempfile.TemporaryDirectory(dir=user.server.directory) as directory:
        async with receiving(user, python, directory=directory) as receiver:
            await offer(receiver, "ball.bin", first, follows=True, cancel_after=SMALL // 2)
            await receiver.run.event("error")
            await user.end_all()
        async with receiving(user, python, "--keep-going", directory=directory) as receiver:
            end, start = await offer(receiver, "ball.bin", second, follows=True)
            assert end == "media-error" and start > 0, (end, start)
            error = await receiver.run.event("error")
            assert "ball.bin" in error["message"] and receiver.there() == {}, error
            again = await offer(receiver, "ball.bin", second, follows=True)
            assert again == ("success", 0), again
            assert receiver.there() == {"ball.bin": second} and len(os.listdir(directory)) == 1, os.listdir(directory)
            await receiver.tunnel.close()


async def refuses(user, python, file, data, checksum, ends):
    """A lie: the command ends the transfer with a fault, keeps nothing that looks whole, and waits for something better."""
    async with receiving(user, python) as receiver:
        transfer = await receiver.files.offer(file)
        end = await transfer.send(data, checksum=checksum)
        assert (end.reason, end.detail) == ends, end
        error = await receiver.run.event("error")
        assert error["peer"] == python.boundjid.full and "ball.bin" in error["message"], error
        assert receiver.there() == {}, receiver.there().keys()
        await goes_well_after(receiver, error)


async def goes_well_after(receiver, error):
    """The next file is taken, and no fault of the first one is left; that there was one the exit code says."""
    end, start = await offer(receiver, "letter.txt", b"Madam, an hour before the worshipp'd sun")
    assert (end, start) == ("success", 0), (end, start)
    assert receiver.there().keys() == {"letter.txt"}, receiver.there().keys()
    await receiver.tunnel.close()
    code = await receiver.run.interrupt()
    assert code not in (0, 2), (code, receiver.run.words)
    about_peer = [said for said in receiver.run.named("error") if said["peer"] is not None]
    assert about_peer == [error], about_peer


async def declines(user, python, file):
    """An offer that is declined at once."""
    async with receiving(user, python) as receiver:
        try:
            transfer = await receiver.files.offer(file)
            raise AssertionError(f"it was taken, and ended with {await transfer.send(b'')}")
        except Fault as fault:
            assert fault.reason not in ("success", "none"), fault
        error = await receiver.run.event("error")
        await goes_well_after(receiver, error)


def lie(**about):
    """A file that is not what it is said to be."""
    data = secrets.token_bytes(SMALL)
    size, value = about.get("size", SMALL), about.get("value", digest(data))
    follows = about.get("follows", False)
    file = describe("ball.bin", size, value=None if follows else value, used=follows)
    return file, data, value if follows else None


WRONG = digest(b"another")
NAMES = [
    "", ".", "..", "/", "/tmp/evil", "../evil", "a/../../evil", "a/b", "a\\b", "..\\evil", "C:evil", "C:\\evil", "CON", "nul.txt",
    "evil\u202etxt.exe", "evil\n", "evil.", "evil ", "evil" + PARTIAL, "e" * 256,
    "\u00e9" * 128, "evil\u0085",
]


async def refuses_names(user, python):
    """None of these is written anywhere; a name with other letters than those of ASCII is."""
    async with receiving(user, python, "--keep-going") as receiver:
        around = snapshot(user.server.directory, receiver.directory)
        for name in NAMES:
            try:
                transfer = await receiver.files.offer(describe(name, 4, value=digest(b"evil")))
            except Fault as fault:
                assert fault.reason != "success", (name, fault)
                continue
            end = await transfer.send(b"evil")
            raise AssertionError(f"{name!r} was taken, and ended with {end}")
        assert receiver.there() == {} and snapshot(user.server.directory, receiver.directory) == around
        for name in ("Capulet's ball.txt", "Ünïcode Ω 日本.bin", "e" * 255, ".hidden"):
            end, _ = await offer(receiver, name, name.encode())
            assert end == "success", (name, end)
            assert receiver.there()[name] == name.encode(), receiver.there().keys()
        await receiver.tunnel.close()


def snapshot(directory, but):
    """The files there, and what is in them, but for those of one directory and of the server's log."""
    found = {}
    for where, _, names in os.walk(directory):
        if not where.startswith(but):
            for name in names:
                if not name.endswith(".log"):
                    with open(os.path.join(where, name), "rb") as file:
                        found[os.path.join(where, name)] = hashlib.sha256(file.read()).digest()
    return found


CASES = {
    "receive: 5 MB": lambda *who: takes(*who, SIZE),
    "receive: a hash that follows": lambda *who: takes(*who, SMALL, follows=True),
    "receive: an empty hash, and one that follows": lambda *who: takes(*who, SMALL, follows=True, empty_hash=True),
    "receive: no byte": lambda *who: takes(*who, 0),
    "receive: one file, and no more": takes_one,
    "receive: by the user's answer": asks_the_user,
    "receive: questions, and all hashes": is_asked,
    "receive: broken off and resumed": lambda *who: goes_on(*who, "cancel"),
    "receive: a tunnel that breaks, and resumed": lambda *who: goes_on(*who, "tunnel"),
    "receive: broken off, and another file": begins_anew,
    "receive: broken off, and another file whose hash follows": finds_out_at_the_end,
    "receive: a wrong hash": lambda *who: refuses(*who, *lie(value=WRONG), ends=("media-error", "hash-differs")),
    "receive: a wrong hash that follows": lambda *who: refuses(
        *who, *lie(value=WRONG, follows=True), ends=("media-error", "hash-differs")
    ),
    "receive: less than was said": lambda *who: refuses(*who, *lie(size=SMALL + 1), ends=("media-error", "file-too-short")),
    "receive: more than was said": lambda *who: refuses(*who, *lie(size=SMALL - 1), ends=("media-error", "file-too-large")),
    "receive: no size": lambda *who: declines(*who, describe("ball.bin", value=digest(b""))),
    "receive: the end of a file of which nothing is there": lambda *who: declines(
        *who, describe("ball.bin", SMALL, value=digest(b""), span=(SMALL // 2, None))
    ),
    "receive: names": refuses_names,
}
