"""Two drivers in one event loop."""

import asyncio
import hashlib
import secrets
import unittest

import xtls
from pair import IDENTITIES, JULIET, ROMEO, engine, stamp
from xtls import aio, errors

TIMEOUT = 60


class Aio(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.connect(engine(ROMEO), engine(JULIET))

    def connect(self, romeo, juliet):
        loop = asyncio.get_running_loop()
        self.cut = False

        def deliver(to, stanza):
            if not self.cut:
                to().handle_stanza(stanza)

        self.romeo = aio.Driver(romeo, lambda stanza: loop.call_soon(deliver, lambda: self.juliet, stamp(stanza, ROMEO)))
        self.juliet = aio.Driver(juliet, lambda stanza: loop.call_soon(deliver, lambda: self.romeo, stamp(stanza, JULIET)))

    async def tunnels(self, **options):
        """A tunnel, both its ends."""
        there = asyncio.get_running_loop().create_future()

        async def on_offer(offer):
            there.set_result(await offer.accept(trust="pinned"))

        self.juliet.on_offer = on_offer
        options.setdefault("trust", "pinned")
        async with asyncio.timeout(TIMEOUT):
            return await self.romeo.call(JULIET, **options), await there

    async def test_two_chat_until_one_closes(self):
        his, hers = await self.tunnels()
        self.assertEqual((his.security.authentication, hers.security.authentication), ("pinned", "pinned"))
        await his.send("<message><body>O Juliet</body></message>")
        self.assertIn("O Juliet", await hers.receive())
        # More than there is room for at once, while nobody reads.
        count = 400
        sending = asyncio.gather(*(hers.send(f"<message><body>{n} {'x' * 3000}</body></message>") for n in range(count)))
        async with asyncio.timeout(TIMEOUT):
            for _ in range(count):
                self.assertIn("xxx", await his.receive())
            await sending
        his.close()
        self.assertEqual([stanza async for stanza in hers], [])
        self.assertEqual((await hers.wait_closed()).reason, "done")
        self.assertEqual(his.closed.by, "local")
        with self.assertRaises(aio.TunnelClosed):
            await hers.receive()
        with self.assertRaises(errors.EndedError):
            await his.send("<message/>")
        his.close()
        his.abort()

    async def test_streams_carry_bytes_both_ways_and_end_by_halves(self):
        his, hers = await self.tunnels(application="bytes")
        data = [secrets.token_bytes(3_000_000), secrets.token_bytes(2_000_000)]

        async def send(tunnel, data):
            for at in range(0, len(data), 65536):
                tunnel.writer.write(data[at : at + 65536])
                await tunnel.writer.drain()
            tunnel.writer.write_eof()

        async with asyncio.timeout(TIMEOUT):
            got_there, got_here, *_ = await asyncio.gather(
                hers.reader.read(-1), his.reader.read(-1), send(his, data[0]), send(hers, data[1]),
            )
        self.assertEqual([hashlib.sha256(one).digest() for one in (got_there, got_here)], [hashlib.sha256(one).digest() for one in data])
        self.assertEqual(his.writer.get_extra_info("security").authentication, "pinned")
        self.assertEqual(his.writer.get_extra_info("peername"), JULIET)
        for tunnel in (his, hers):
            tunnel.writer.close()
            await tunnel.writer.wait_closed()
        self.assertEqual((his.closed.receipt, hers.closed.receipt), ("given", "given"))

    async def test_whoever_does_not_read_stops_the_writer(self):
        his, hers = await self.tunnels(application="bytes")
        sent = 0
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    his.writer.write(bytes(65536))
                    sent += 65536
                    await his.writer.drain()
        self.assertLess(sent, 2_000_000)
        async with asyncio.timeout(TIMEOUT):
            self.assertEqual(len(await hers.reader.readexactly(sent)), sent)
            his.writer.close()
            self.assertEqual(await hers.reader.read(), b"")
        hers.writer.close()
        await asyncio.gather(his.writer.wait_closed(), hers.writer.wait_closed())

    async def test_stanzas_that_nobody_takes_stop_the_peer_and_are_all_there(self):
        his, hers = await self.tunnels()
        sent = 0
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await his.send(f"<message><body>{sent} {'x' * 10_000}</body></message>")
                    sent += 1
        self.assertLess(sent, 100)
        async with asyncio.timeout(TIMEOUT):
            for number in range(sent):
                self.assertIn(f"<body>{number} x", await hers.receive())

    async def test_an_abort_reaches_whoever_reads(self):
        his, hers = await self.tunnels(application="bytes")
        hers.abort("connectivity-error")
        with self.assertRaises(aio.TunnelClosed) as raised:
            await his.reader.read()
        self.assertEqual((raised.exception.event.by, raised.exception.event.condition), ("remote", "connectivity-error"))
        with self.assertRaises(aio.TunnelClosed):
            await his.writer.wait_closed()
        with self.assertRaises(aio.TunnelClosed):
            await hers.writer.wait_closed()

    async def test_the_user_is_asked(self):
        store = xtls.MemoryStore()
        self.connect(engine(ROMEO, store), engine(JULIET))
        asked = []

        async def on_trust(event):
            asked.append(event.fingerprint)
            await asyncio.sleep(0)
            return "accept-and-keep"

        self.romeo.on_trust = on_trust
        await self.tunnels(trust="ask")
        self.assertEqual(asked, [IDENTITIES[JULIET].fingerprint])
        self.assertEqual([pin.fingerprint for pin in store.pins()], asked)

    async def test_without_answers_nothing_is_trusted_or_taken(self):
        with self.assertRaises(aio.TunnelClosed) as raised:
            await self.romeo.call(JULIET, trust="pinned")
        self.assertEqual(raised.exception.event.condition, "unsupported-applications")
        self.connect(engine(ROMEO, xtls.MemoryStore()), engine(JULIET))
        with self.assertRaises(aio.TunnelClosed) as raised:
            await self.tunnels(trust="ask")
        self.assertTrue(raised.exception.event.is_security)

    async def test_a_question_that_raises_is_answered_no(self):
        self.connect(engine(ROMEO, xtls.MemoryStore()), engine(JULIET))
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        for answer in (lambda event: 1 / 0, lambda event: "perhaps"):
            self.romeo.on_trust = answer
            with self.assertRaises(aio.TunnelClosed):
                await self.tunnels(trust="ask")
        self.assertEqual([type(one) for one in told[:1]], [ZeroDivisionError])

    async def test_a_password_is_asked_for(self):
        self.connect(engine(ROMEO, xtls.MemoryStore()), engine(JULIET, xtls.MemoryStore()))
        self.juliet.on_password = lambda event: "a rose"
        there = asyncio.get_running_loop().create_future()

        async def on_offer(offer):
            there.set_result(await offer.accept(trust="pinned", ask_password=True))

        self.juliet.on_offer = on_offer
        his = await self.romeo.call(JULIET, trust="pinned", password="a rose")
        self.assertEqual((his.security.method, (await there).security.method), ("srp", "srp"))

    async def test_a_call_that_is_given_up_ends(self):
        self.juliet.on_offer = lambda offer: None
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.romeo.call(JULIET, trust="pinned")
        self.assertEqual(self.romeo.engine.tunnels(), [])

    async def test_a_bare_address_is_whoever_is_online(self):
        with self.assertRaisesRegex(LookupError, "not online"):
            await self.romeo.call("juliet@capulet.lit", trust="pinned")
        self.romeo.handle_stanza(self.juliet.engine.presence().replace("<presence", f"<presence from='{JULIET}'", 1))
        accepted = []
        async def on_offer(offer):
            accepted.append(await offer.accept(trust="pinned"))

        self.juliet.on_offer = on_offer
        tunnel = await self.romeo.call("juliet@capulet.lit", trust="pinned")
        self.assertEqual(tunnel.peer, JULIET)

    async def test_the_connection_is_away_and_comes_back_or_not(self):
        his, hers = await self.tunnels()
        self.romeo.suspended()
        self.juliet.suspended()
        await asyncio.sleep(0.05)
        self.romeo.resumed()
        self.juliet.resumed()
        await his.send("<message><body>back</body></message>")
        self.assertIn("back", await hers.receive())
        self.romeo.disconnected()
        self.assertEqual((await his.wait_closed()).fault, "disconnected")

    async def test_all_end_in_order(self):
        his, hers = await self.tunnels()
        await self.romeo.close()
        self.assertEqual((his.closed.reason, (await hers.wait_closed()).reason), ("done", "done"))

    async def test_an_offer_that_went_is_gone(self):
        offers = []
        self.juliet.on_offer = offers.append
        call = asyncio.ensure_future(self.romeo.call(JULIET, trust="pinned"))
        while not offers:
            await asyncio.sleep(0.01)
        call.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.05)
        with self.assertRaises(errors.GoneError):
            await offers[0].accept(trust="pinned")
        with self.assertRaises(errors.GoneError):
            offers[0].reject()
