"""A client with encrypted tunnels. It says its argument to a peer, if there is one, and echoes what it is told."""

import asyncio
import getpass
import sys
import xml.etree.ElementTree as ET

import slixmpp
import slixmpp_xtls


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, directory="~/.local/share/first-tunnel"):
        super().__init__(jid, password)
        self.register_plugin("xtls", {"directory": directory, "trust": "ask", "ask_trust": self.ask}, module=slixmpp_xtls)
        self.add_event_handler("session_start", lambda _: self.send_presence())
        self.add_event_handler("xtls_offer", self.offered)

    async def ask(self, event):
        answer = await asyncio.to_thread(input, f"{event.text}\nIs this the certificate of your peer? (yes/no) ")
        return "accept-and-keep" if answer == "yes" else "refuse"

    async def offered(self, offer):
        async for stanza in (tunnel := await offer.accept()):
            await tunnel.send(f"<message>{ET.tostring(ET.fromstring(stanza)[0], encoding='unicode')}</message>")

    async def say(self, peer, text):
        tunnel = await self.plugin["xtls"].call(peer)
        await tunnel.send(f"<message><body>{text}</body></message>")
        answer = ET.fromstring(await tunnel.receive()).findtext("body")
        tunnel.close()
        return f"{peer} said {answer!r}, {tunnel.security}"


async def main(jid, peer=None, text="hello"):
    client = Client(jid, getpass.getpass())
    client.connect()
    await client.wait_until("session_start")
    print(await client.say(peer, text) if peer else await client.disconnected)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
