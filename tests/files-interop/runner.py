"""Tunnels between the command and a peer that has nothing of ours, and files in them, through a real server. Started by `run`."""

import asyncio
import sys
import tempfile
import traceback

import slixmpp

import receiving
import sending
import tunnels
from stage import DOMAIN, PASSWORD, TIMEOUT, Prosody, User
from xtls_peer import Identity, Peer

CASES = tunnels.CASES | receiving.CASES | sending.CASES


async def main(server, wanted):
    await asyncio.wait_for(server.wait(), TIMEOUT)
    user = User(server, "romeo")
    python = Peer(f"python@{DOMAIN}/slixmpp", PASSWORD, Identity(server.directory, f"python@{DOMAIN}"))
    # A certificate that nobody knows.
    python.stranger = Identity(server.directory, f"stranger@{DOMAIN}")
    python.trusted[user.bare] = user.certificate
    user.once("trust", "add", python.boundjid.bare, python.identity.fingerprint())
    await asyncio.wait_for(python.log_in(server.port), TIMEOUT)
    failed = 0
    for name, case in wanted.items():
        try:
            await asyncio.wait_for(case(user, python), 2 * TIMEOUT)
            print(f"ok      {name}", flush=True)
        except Exception as error:  # whatever it was, the next case is worth a try
            failed += 1
            print(f"FAILED  {name}: {error!r}", *traceback.format_tb(error.__traceback__), sep="\n", flush=True)
        await user.end_all()
        while not python.incoming.empty():
            python.incoming.get_nowait()
    await python.disconnect()
    if failed:
        print(server.log())
    print(f"{len(wanted) - failed} of {len(wanted)} with slixmpp {slixmpp.__version__}")
    return failed


# All of them, or those whose names have these words in them.
chosen = {name: case for name, case in CASES.items() if all(word in name for word in sys.argv[1:])}
with tempfile.TemporaryDirectory() as directory, Prosody(directory, ["romeo", "python"]) as prosody:
    sys.exit(1 if asyncio.run(main(prosody, chosen)) or not chosen else 0)
