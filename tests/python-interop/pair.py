"""Two engines, and a server between them that stamps who a stanza is from."""

import xtls

NOW = 1_760_000_000
ROMEO, JULIET = "romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"
IDENTITIES = {jid: xtls.Identity.generate(jid, unix_time=NOW) for jid in (ROMEO, JULIET)}


def engine(jid, store=None, identity=None, **more):
    """One that knows the certificate of the other."""
    if store is None:
        store = xtls.MemoryStore()
        other = JULIET if jid == ROMEO else ROMEO
        store.pin(other, IDENTITIES[other].fingerprint)
    new = xtls.Engine(jid, identity or IDENTITIES[jid], store, unix_time=NOW, **more)
    new.set_features("https://exodus.example/", "client", "pc")
    return new


def stamp(stanza, jid):
    return stanza.replace(b" ", f" from='{jid}' ".encode(), 1)


class Pair:
    def __init__(self, romeo=None, juliet=None):
        self.ends = romeo or engine(ROMEO), juliet or engine(JULIET)
        self.events = [], []

    def run(self):
        """Carries stanzas both ways until there are none."""
        moved = True
        while moved:
            moved = False
            for end, (me, other) in enumerate((self.ends, self.ends[::-1])):
                while (stanza := me.poll_transmit()) is not None:
                    moved = True
                    handled = other.handle_stanza(stamp(stanza, me.jid))
                    assert handled.disposition == "consumed", (handled, stanza)
                while (event := me.poll_event()) is not None:
                    moved = True
                    self.events[end].append(event)

    def event(self, end, kind):
        """The first event of this kind, which is taken out."""
        kinds = [event.kind for event in self.events[end]]
        return self.events[end].pop(kinds.index(kind)) if kind in kinds else self.fail(kind, kinds)

    def fail(self, kind, kinds):
        raise AssertionError(f"no {kind} among {kinds}")

    def tunnel(self, application="xml-stream", **options):
        """A tunnel between the two; its ids."""
        options.setdefault("trust", "pinned")
        id = self.ends[0].initiate(JULIET, application=application, **options)
        self.run()
        offer = self.event(1, "incoming")
        assert (offer.peer, offer.application) == (ROMEO, application)
        self.ends[1].accept(offer.id, trust="pinned")
        self.run()
        return id, offer.id
