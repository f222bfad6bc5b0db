"""`xtls send`, and slixmpp receives."""

import asyncio
import contextlib
import os
import secrets
import tempfile

from files import TIMEOUT, Fault, Files, describe, digest
from receiving import SIZE, SMALL
from tunnels import incoming


class Sender:
    """A run of the command, the file that it sends, and what it has offered."""

    def __init__(self, run, tunnel, files, transfer):
        self.run, self.tunnel, self.files, self.transfer = run, tunnel, files, transfer

    async def code(self):
        """Its exit code, once the tunnel has ended in order, which it does by itself."""
        await self.tunnel.ended()
        return await self.run.end()


@contextlib.asynccontextmanager
async def sending(user, python, data, name="ball.bin"):
    """The command opens a tunnel, and offers a file."""
    with tempfile.TemporaryDirectory(dir=user.server.directory) as directory:
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write(data)
        run = await user.start("send", path, python.boundjid.bare)
        tunnel = await incoming(python)
        files = Files(tunnel.inside)
        transfer = await asyncio.wait_for(files.incoming.get(), TIMEOUT)
        assert not transfer.sends, "it asks for a file"
        told = (transfer.file_name, transfer.size, transfer.range)
        assert told == (name, len(data), (0, None)), told
        try:
            yield Sender(run, tunnel, files, transfer)
        finally:
            if not tunnel.terminated:
                tunnel.break_off()


async def gives(user, python, size, name="ball.bin"):
    data = secrets.token_bytes(size)
    async with sending(user, python, data, name) as sender:
        assert await sender.transfer.receive() == data
        assert (await sender.code(), sender.run.words) == (0, ""), (sender.run.words, sender.run.events)


async def gives_the_rest(user, python):
    """slixmpp has some of it already."""
    data = secrets.token_bytes(SMALL)
    async with sending(user, python, data) as sender:
        rest = await sender.transfer.receive(data[:100_001])
        assert rest == data[100_001:], len(rest)
        assert (await sender.code(), sender.run.words) == (0, ""), (sender.run.words, sender.run.events)


async def is_interrupted(user, python):
    """Ctrl-C in the middle, and the same command once more."""
    data = secrets.token_bytes(SIZE)
    async with sending(user, python, data) as sender:
        receiving = asyncio.ensure_future(sender.transfer.receive())
        while sender.transfer.so_far < SMALL:
            await asyncio.sleep(0.01)
        assert await sender.run.interrupt() == 1, sender.run.words
        try:
            await receiving
            raise AssertionError("all of it has come")
        except Fault as fault:
            assert fault.reason == "cancel", fault
    half = data[: sender.transfer.so_far]
    async with sending(user, python, data) as sender:
        assert await sender.transfer.receive(half) == data[len(half) :]
        assert (await sender.code(), sender.run.words) == (0, ""), (sender.run.words, sender.run.events)


async def several(user, python):
    """For several files at once XEP-0234 has no words that the command uses: it says so, and offers nothing."""
    with tempfile.TemporaryDirectory(dir=user.server.directory) as directory:
        letters = os.path.join(directory, "letters")
        os.mkdir(letters)
        with open(os.path.join(letters, "first.txt"), "w") as file:
            file.write("Madam, an hour before the worshipp'd sun")
        run = await user.start("send", letters, python.boundjid.bare)
        tunnel = await incoming(python)
        files = Files(tunnel.inside)
        await tunnel.ended()
        assert await run.end() == 1 and "its software does not do that" in run.words, run.words
        assert files.incoming.empty()


async def fails(user, python, act):
    """Whatever slixmpp does, the command ends with another code than 0, and says why in a line."""
    data = secrets.token_bytes(SMALL)
    async with sending(user, python, data) as sender:
        await act(sender.transfer, data)
        code = await sender.code()
        assert code not in (0, 2), (code, sender.run.words)
        assert len(sender.run.words.splitlines()) == 1, sender.run.words


async def declines(transfer, _data):
    transfer.decline()


async def breaks_off(transfer, _data):
    await transfer.receive(cancel_after=SMALL // 2)


async def finds_it_wrong(transfer, _data):
    await transfer.accept(describe())
    transfer.end("media-error")


async def wants_what_is_not_there(transfer, data):
    """A range that begins beyond the end."""
    await transfer.say(
        "session-accept", transfer.content(describe(span=(len(data) + 1, None))), responder=transfer.inside.boundjid.full
    )
    end = await asyncio.wait_for(asyncio.shield(transfer.ended), TIMEOUT)
    assert end.reason not in ("success", "none"), end


async def lies_about_what_it_has(transfer, data):
    """Success, when there was nothing to have it of."""
    await transfer.accept(describe())
    transfer.end("success")


async def serves(user, python):
    """A file that was offered can be asked for, in part; others are not available."""
    data = secrets.token_bytes(SMALL)
    async with sending(user, python, data) as sender:
        try:
            await sender.files.request(describe(value=digest(b"another"), span=(0, 10)))
            raise AssertionError("it has a file that nobody knows")
        except Fault as fault:
            assert (fault.reason, fault.detail) == ("failed-application", "file-not-available"), fault
        assert await sender.transfer.receive() == data
        assert (await sender.code(), sender.run.words) == (0, ""), (sender.run.words, sender.run.events)


CASES = {
    "send: 5 MB": lambda *who: gives(*who, SIZE),
    "send: no byte": lambda *who: gives(*who, 0),
    "send: a name": lambda *who: gives(*who, 1000, "Ünïcode & 日本.bin"),
    "send: the rest of it": gives_the_rest,
    "send: interrupted, and once more": is_interrupted,
    "send: a directory": several,
    "send: declined": lambda *who: fails(*who, declines),
    "send: broken off": lambda *who: fails(*who, breaks_off),
    "send: found wrong": lambda *who: fails(*who, finds_it_wrong),
    "send: a range beyond the end": lambda *who: fails(*who, wants_what_is_not_there),
    "send: success without a byte": lambda *who: fails(*who, lies_about_what_it_has),
    "send: other files": serves,
}
