"""Tunnels: who opens them, and whose certificates are taken."""

import asyncio
import ssl

from stage import TIMEOUT
from xtls_peer import Fault


async def they_open(user, python):
    run = await user.start("chat", python.boundjid.bare)
    tunnel = await incoming(python)
    await run.event("stream_open")
    await converse(run, tunnel)
    # The end of input ends it in order.
    run.end_input()
    assert (await tunnel.ended()).reason == "success" and tunnel.authenticated_end
    assert (await run.end(), run.words) == (0, ""), (run.words, run.events)


async def we_open(user, python):
    run = await user.start("listen")
    await run.event("online")
    tunnel = await python.open(user.jid)
    await run.event("stream_open")
    await converse(run, tunnel)
    await tunnel.close()
    closed = await run.event("closed")
    assert (closed["by"], closed["truncated"], closed["unacked"]) == ("remote", False, 0), closed
    assert (await run.end(), run.words) == (0, ""), (run.words, run.events)


async def converse(run, tunnel):
    (secured,) = run.named("secured")
    assert (secured["method"], secured["tls_version"], secured["authenticated_by"]) == ("x509", "TLS 1.3", "pinned"), secured
    assert secured["confirmed"], secured
    tunnel.inside.say("Art thou not Romeo, and a Montague?")
    assert (await run.event("message"))["body"] == "Art thou not Romeo, and a Montague?"
    run.line("Neither, fair saint")
    assert (await asyncio.wait_for(tunnel.inside.messages.get(), TIMEOUT))["body"] == "Neither, fair saint"
    given = ssl.DER_cert_to_PEM_cert(await tunnel.inside.ask_certificate())
    assert given.strip() == tunnel.client.trusted[tunnel.peer.bare].strip(), given


async def they_refuse_an_answer(user, python, announced, shown):
    """The command opens, and slixmpp's certificate is another one than is known."""
    own = python.identity
    python.identity, python.shown = announced or own, shown
    try:
        run = await user.start("chat", python.boundjid.bare)
        fault = await asyncio.wait_for(python.incoming.get(), TIMEOUT)
        assert isinstance(fault, Fault) and fault.reason == "security-error", fault
        assert (await run.end(), run.named("secured"), len(run.named("error"))) == (3, [], 1), (run.events, run.words)
        assert "changed" in run.words and shown.fingerprint() in run.words, run.words
    finally:
        python.identity = python.shown = own


async def they_refuse_a_call(user, python, announced, shown):
    """The same where slixmpp opens; it may also have no certificate to show."""
    own = python.identity
    python.identity, python.shown = announced or own, shown
    try:
        run = await user.start("listen")
        await run.event("online")
        try:
            await python.open(user.jid)
            raise AssertionError("the certificate was taken")
        except Fault as fault:
            assert fault.reason in ("security-error", "TLS"), fault
        await run.event("error")
        assert (await run.end(), run.named("secured")) == (0, []), (run.events, run.words)
    finally:
        python.identity = python.shown = own


async def we_refuse(user, python):
    """slixmpp knows another certificate of the user."""
    known = python.trusted[user.bare]
    with open(python.stranger.pem) as file:
        python.trusted[user.bare] = file.read()
    try:
        run = await user.start("chat", python.boundjid.bare)
        fault = await asyncio.wait_for(python.incoming.get(), TIMEOUT)
        assert isinstance(fault, Fault) and fault.detail == "another certificate is announced", fault
        assert (await run.end(), run.named("secured")) == (3, []), (run.events, run.words)
    finally:
        python.trusted[user.bare] = known


async def incoming(python):
    """The next tunnel that the command opens."""
    tunnel = await asyncio.wait_for(python.incoming.get(), TIMEOUT)
    if isinstance(tunnel, Exception):
        raise tunnel
    return tunnel


CASES = {
    "a tunnel that the command opens": they_open,
    "a tunnel that slixmpp opens": we_open,
    "another certificate, in an answer": lambda user, python: they_refuse_an_answer(
        user, python, python.stranger, python.stranger
    ),
    "another certificate than was announced, in an answer": lambda user, python: they_refuse_an_answer(
        user, python, None, python.stranger
    ),
    "another certificate, in a call": lambda user, python: they_refuse_a_call(user, python, python.stranger, python.stranger),
    "another certificate than was announced, in a call": lambda user, python: they_refuse_a_call(
        user, python, None, python.stranger
    ),
    "no certificate, in a call": lambda user, python: they_refuse_a_call(user, python, None, None),
    "a certificate of the user that slixmpp does not know": we_refuse,
}
