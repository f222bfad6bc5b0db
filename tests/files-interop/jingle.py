"""What Jingle (XEP-0166) needs beside slixmpp, over a server's stream or inside of an XML stream: slixmpp has none of its own."""

import secrets
import xml.etree.ElementTree as ET

from slixmpp import Iq
from slixmpp.exceptions import XMPPError
from slixmpp.xmlstream import ElementBase, register_stanza_plugin
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

JINGLE, ERRORS = "urn:xmpp:jingle:1", "urn:xmpp:jingle:errors:1"
IBB = "urn:xmpp:jingle:transports:ibb:1"

# slixmpp takes no larger blocks of a bytestream unless it is told to.
BLOCK_SIZE = 4096


class Jingle(ElementBase):
    name, namespace, plugin_attrib = "jingle", JINGLE, "jingle"
    interfaces = {"action", "sid", "initiator", "responder"}


register_stanza_plugin(Iq, Jingle)


def element(namespace, tag, text=None, /, children=(), **attributes):
    """An element; an underscore in the name of an attribute stands for a dash."""
    made = ET.Element(f"{{{namespace}}}{tag}", {key.replace("_", "-"): str(value) for key, value in attributes.items()})
    made.text = text
    made.extend(children)
    return made


class Fault(Exception):
    """The peer did what a specification does not allow, or ended a session: the reason, and what is inside of it."""

    def __init__(self, reason, detail=None):
        super().__init__(reason if detail is None else f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Sessions:
    """The sessions of one stream: hands each request to the session it belongs to, and what begins one to `begin`.

    `begin(iq, sid, content)` gives the new session, or raises an XMPPError that the request is answered with. A session has
    `handle(action, jingle)`, which may raise one too; what it returns is called once the request is acknowledged.
    """

    def __init__(self, stream, begin):
        self.stream, self.begin, self.known = stream, begin, {}
        stream.register_handler(Callback("Jingle", StanzaPath("iq@type=set/jingle"), self.request))

    def request(self, iq):
        jingle, sid = iq["jingle"], iq["jingle"]["sid"]
        key = (iq["from"].full, sid)
        if jingle["action"] == "session-initiate":
            contents = jingle.xml.findall(f"{{{JINGLE}}}content")
            if not sid or not contents:
                raise XMPPError("bad-request", etype="cancel")
            session = self.begin(iq, sid, contents)
            self.known[key] = session
        session = self.known.get(key)
        if session is None:
            # XEP-0166 § 10: the sid is not known.
            raise XMPPError("item-not-found", etype="cancel", extension="unknown-session", extension_ns=ERRORS)
        then = session.handle(jingle["action"], jingle.xml)
        iq.reply().send()
        if jingle["action"] == "session-terminate":
            del self.known[key]
        if then:
            then()

    def send(self, peer, sid, action, *children, **attributes):
        """A request of ours; its acknowledgement can be waited for."""
        iq = self.stream.make_iq_set(ito=peer, ifrom=self.stream.boundjid.full)
        iq["jingle"]["action"], iq["jingle"]["sid"] = action, sid
        for key, value in attributes.items():
            iq["jingle"][key] = value
        for child in children:
            iq["jingle"].xml.append(child)
        return iq.send()

    def terminate(self, peer, sid, reason, detail=None):
        """Ends a session with a reason, and perhaps an element of the application inside of it. It is over with that: nothing is
        waited for, and the peer may have ended it too."""
        self.known.pop((str(peer), sid), None)
        inside = [element(JINGLE, reason)] + ([detail] if detail is not None else [])
        answer = self.send(peer, sid, "session-terminate", element(JINGLE, "reason", children=inside))
        answer.add_done_callback(lambda answer: answer.exception())


def ended(jingle):
    """Why the peer ended a session: the fault, whose reason may be `success`."""
    reason = jingle.find(f"{{{JINGLE}}}reason")
    names = [] if reason is None else [child.tag.rpartition("}") for child in reason]
    own = [name for namespace, _, name in names if namespace == "{" + JINGLE and name != "text"]
    detail = [name for namespace, _, name in names if namespace != "{" + JINGLE]
    return Fault(own[0] if own else "none", detail[0] if detail else None)


def unhandled(action):
    """What a session says to a request that it does not know (XEP-0166 §§ 6.8, 10)."""
    if action == "session-info":
        raise XMPPError("feature-not-implemented", etype="modify", extension="unsupported-info", extension_ns=ERRORS)
    raise XMPPError("feature-not-implemented", etype="cancel")


def new_sid():
    return secrets.token_hex(16)
