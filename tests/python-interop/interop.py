"""slixmpp with its plugin for tunnels, through a Prosody on loopback: with itself, and with the command `xtls`."""

import asyncio
import hashlib
import logging
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import slixmpp
import slixmpp_xtls
import xtls
from xtls import aio, errors

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/files-interop"), str(ROOT / "bindings/python/examples")]
import first_tunnel  # noqa: E402
import stage  # noqa: E402

# Development mode tells of every callback that takes a tenth of a second, and of more beside other work.
logging.getLogger("asyncio").setLevel(logging.ERROR)
SIZE, TIMEOUT = 20_000_000, 120


def setUpModule():
    global server
    directory = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(directory.cleanup)
    server = unittest.enterModuleContext(stage.Prosody(directory.name, ["alice", "bob"], "smacks"))
    asyncio.run(asyncio.wait_for(server.wait(), TIMEOUT))


def plain(client):
    """As the server on loopback wants it."""
    client.enable_starttls, client.enable_direct_tls, client.enable_plaintext = False, False, True
    client.plugin["feature_mechanisms"].unencrypted_scram = True
    return client


class Client(slixmpp.ClientXMPP):
    """A client with the plugin, and the tunnels that it has taken."""

    def __init__(self, name, config, *plugins):
        super().__init__(f"{name}@{stage.DOMAIN}/python", stage.PASSWORD)
        for plugin in plugins:
            self.register_plugin(plugin)
        self.register_plugin("xtls", config, module=slixmpp_xtls)
        self.xtls, self.taken = self.plugin["xtls"], asyncio.Queue()
        self.add_event_handler("session_start", lambda _: self.send_presence())
        self.add_event_handler("xtls_offer", self.offered)
        plain(self)

    async def offered(self, offer):
        try:
            self.taken.put_nowait(await offer.accept())
        except aio.TunnelClosed as closed:
            self.refused = closed.event


class Interop(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(dir=server.directory))
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            await client.disconnect()

    async def log_in(self, client):
        self.clients.append(client)
        client.connect("127.0.0.1", server.port)
        await asyncio.wait_for(client.wait_until("session_start"), TIMEOUT)
        return client

    def config(self, name, **more):
        return {"directory": os.path.join(self.directory, name)} | more

    async def pair(self, *plugins, **more):
        """Two clients that trust one another, and see that the other is there."""
        alice, bob = (Client(name, self.config(name, **more), *plugins) for name in ("alice", "bob"))
        alice.xtls.pin(bob.boundjid.bare, bob.xtls.fingerprint)
        bob.xtls.pin(alice.boundjid.bare, alice.xtls.fingerprint)
        for client in (alice, bob):
            await self.log_in(client)
        async with asyncio.timeout(TIMEOUT):
            while not alice.xtls.driver.engine.resources(bob.boundjid.bare):
                await asyncio.sleep(0.01)
        return alice, bob

    async def exchange(self, reader, writer, other_reader, other_writer, size=SIZE):
        """Random bytes both ways at once, which have to arrive unchanged."""

        async def send(writer, data):
            for at in range(0, len(data), 65536):
                writer.write(data[at : at + 65536])
                await writer.drain()
            writer.write_eof()

        data = [secrets.token_bytes(size) for _ in range(2)]
        async with asyncio.timeout(TIMEOUT):
            *_, there, here = await asyncio.gather(
                send(writer, data[0]), send(other_writer, data[1]), other_reader.read(-1), reader.read(-1)
            )
        self.assertEqual([hashlib.sha256(one).digest() for one in (there, here)], [hashlib.sha256(one).digest() for one in data])

    async def test_two_clients_chat(self):
        alice, bob = await self.pair()
        his = await alice.xtls.call(bob.boundjid.bare)
        hers = await bob.taken.get()
        self.assertEqual((his.peer, his.security.authentication, hers.security.authentication), (bob.boundjid.full, "pinned", "pinned"))
        for speaker, hearer in ((his, hers), (hers, his)):
            await speaker.send("<message><body>Wie geht&apos;s, J&#xfc;rgen? &lt;3</body></message>")
            self.assertIn("Jürgen? &lt;3", await hearer.receive())
        closed = asyncio.ensure_future(bob.wait_until("xtls_closed"))
        await alice.xtls.close()
        self.assertEqual((await closed).reason, "done")
        # What goes past the tunnel is the client's, as ever.
        heard = asyncio.ensure_future(bob.wait_until("message"))
        alice.send_message(mto=bob.boundjid, mbody="in clear")
        self.assertEqual((await heard)["body"], "in clear")

    async def test_two_clients_exchange_20_mb_both_ways(self):
        alice, bob = await self.pair(settings={"block_size": 32760})
        his = await alice.xtls.call(bob.boundjid, application="bytes")
        hers = await bob.taken.get()
        await self.exchange(his.reader, his.writer, hers.reader, hers.writer)
        for tunnel in (his, hers):
            tunnel.writer.close()
            await tunnel.writer.wait_closed()
        self.assertEqual((his.closed.receipt, hers.closed.receipt), ("given", "given"))

    async def test_stream_management_counts_what_tunnels_send_and_take(self):
        alice, bob = await self.pair("xep_0198")
        his = await alice.xtls.call(bob.boundjid, application="bytes")
        hers = await bob.taken.get()
        await self.exchange(his.reader, his.writer, hers.reader, hers.writer, 200_000)
        async with asyncio.timeout(TIMEOUT):
            while any(client.plugin["xep_0198"].unacked_queue for client in (alice, bob)):
                for client in (alice, bob):
                    client.plugin["xep_0198"].request_ack()
                await asyncio.sleep(0.1)
        his.writer.close()
        await his.writer.wait_closed()
        self.assertGreater(alice.plugin["xep_0198"].handled, 20)

    async def test_a_tunnel_lives_through_a_connection_that_breaks(self):
        alice, bob = await self.pair("xep_0198")
        his = await alice.xtls.call(bob.boundjid)
        hers = await bob.taken.get()
        resumed = asyncio.ensure_future(alice.wait_until("session_resumed"))
        alice.abort()
        await asyncio.sleep(0.1)
        await his.send("<message><body>said while away</body></message>")
        alice.connect("127.0.0.1", server.port)
        await asyncio.wait_for(resumed, TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            self.assertIn("said while away", await hers.receive())
            await hers.send("<message><body>welcome back</body></message>")
            self.assertIn("welcome back", await his.receive())

    async def test_a_connection_that_ends_ends_tunnels(self):
        alice, bob = await self.pair()
        his = await alice.xtls.call(bob.boundjid)
        await bob.taken.get()
        await alice.disconnect()
        self.assertEqual((await his.wait_closed()).fault, "disconnected")
        with self.assertRaises(Exception):
            await alice.xtls.call(bob.boundjid)

    async def test_a_stranger_is_refused_and_an_offer_that_nobody_handles_rejected(self):
        alice, bob = await self.pair()
        bob.xtls.forget(alice.boundjid.bare)
        with self.assertRaises(aio.TunnelClosed) as raised:
            await alice.xtls.call(bob.boundjid)
        self.assertEqual(raised.exception.event.by, "remote")
        self.assertTrue(bob.refused.is_security)
        bob.del_event_handler("xtls_offer", bob.offered)
        with self.assertRaises(aio.TunnelClosed) as raised:
            await alice.xtls.call(bob.boundjid)
        self.assertEqual(raised.exception.event.condition, "unsupported-applications")

    async def test_a_configuration_without_a_place_for_secrets_is_refused(self):
        with self.assertRaisesRegex(ValueError, "directory"):
            Client("alice", {})

    async def test_the_clients_of_the_guide_talk(self):
        questions = []

        def answer(question):
            questions.append(question)
            return "yes"

        with mock.patch("builtins.input", answer):
            clients = []
            for name in ("alice", "bob"):
                client = first_tunnel.Client(f"{name}@{stage.DOMAIN}/guide", stage.PASSWORD, os.path.join(self.directory, name))
                clients.append(await self.log_in(plain(client)))
            said = await asyncio.wait_for(clients[0].say(clients[1].boundjid.full, "hello"), TIMEOUT)
        self.assertIn("said 'hello'", said)
        self.assertEqual(len(questions), 2)
        lines = (ROOT / "bindings/python/examples/first_tunnel.py").read_text().splitlines()
        self.assertLess(sum(1 for line in lines if line.strip()), 40)

    async def pipe(self, user, peer):
        process = await asyncio.create_subprocess_exec(
            *user.arguments("pipe", peer, "--jid", user.jid, "--server", f"127.0.0.1:{server.port}", "--insecure-plaintext"),
            env=user.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )
        self.addCleanup(process._transport.close)
        return process

    def command(self, client):
        """The command, and a client that knows it."""
        user = stage.User(server, "bob")
        self.addAsyncCleanup(user.end_all)
        fingerprint = xtls.Identity(user.certificate, "").fingerprint
        client.xtls.pin(user.bare, fingerprint)
        user.once("trust", "add", "--keep", client.boundjid.bare, client.xtls.fingerprint)
        return user

    async def test_a_client_calls_the_command_to_chat(self):
        alice = Client("alice", self.config("alice"))
        user = self.command(alice)
        await self.log_in(alice)
        run = await user.start("listen", "--echo")
        await run.event("online")
        tunnel = await alice.xtls.call(user.jid)
        await tunnel.send("<message type='chat'><body>O Romeo</body></message>")
        self.assertIn("O Romeo", await asyncio.wait_for(tunnel.receive(), TIMEOUT))
        tunnel.close()
        self.assertEqual((await tunnel.wait_closed()).reason, "done")
        await run.interrupt()

    async def test_the_command_calls_a_client_to_chat(self):
        alice = Client("alice", self.config("alice"))
        user = self.command(alice)
        await self.log_in(alice)
        run = await user.start("chat", alice.boundjid.bare)
        tunnel = await asyncio.wait_for(alice.taken.get(), TIMEOUT)
        run.line("O Juliet")
        self.assertIn("O Juliet", await asyncio.wait_for(tunnel.receive(), TIMEOUT))
        await tunnel.send("<message type='chat'><body>O Romeo</body></message>")
        self.assertIn("O Romeo", str(await run.event("message")))
        self.assertEqual(await run.end(), 0)
        self.assertEqual((await tunnel.wait_closed()).reason, "done")

    async def test_20_mb_go_to_the_command_and_come_back(self):
        alice = Client("alice", self.config("alice", settings={"block_size": 32760}))
        user = self.command(alice)
        await self.log_in(alice)
        run = await self.pipe(user, alice.boundjid.full)
        tunnel = await asyncio.wait_for(alice.taken.get(), TIMEOUT)
        await self.exchange(tunnel.reader, tunnel.writer, run.stdout, run.stdin)
        self.assertEqual(await asyncio.wait_for(run.wait(), TIMEOUT), 0)
