"""Tunnels between two engines, and what every call refuses."""

import gc
import logging
import pickle
import threading
import unittest

import xtls
from pair import IDENTITIES, JULIET, NOW, ROMEO, Pair, engine, stamp
from xtls import errors


class Tunnels(unittest.TestCase):
    def test_two_ends_chat(self):
        pair = Pair()
        his, hers = pair.tunnel()
        secured = pair.event(0, "secured").security
        self.assertEqual((secured.authentication, secured.method, secured.tls), ("pinned", "x509", "TLS 1.3"))
        self.assertEqual(secured.fingerprint, IDENTITIES[JULIET].fingerprint)
        self.assertIn("TLS 1.3", str(secured))
        pair.event(0, "stream-opened")
        pair.ends[1].send(hers, "<message><body>O Romeo</body></message>")
        pair.run()
        heard = pair.event(0, "stanza")
        self.assertEqual(heard.id, his)
        self.assertIn("O Romeo", heard.text)
        self.assertNotIn("O Romeo", repr(heard))
        self.assertEqual(pair.ends[0].peer(his), JULIET)
        self.assertEqual(pair.ends[0].tunnels(), [his])
        keys = [end.export_keying_material(id, 32, b"EXPORTER-test") for end, id in zip(pair.ends, (his, hers))]
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(len(keys[0]), 32)
        pair.ends[0].close(his)
        pair.run()
        closed = pair.event(1, "closed")
        self.assertEqual((closed.by, closed.reason, closed.fault, closed.is_security), ("remote", "done", "", False))

    def test_bytes_go_both_ways_from_all_that_has_bytes(self):
        pair = Pair()
        his, hers = pair.tunnel("bytes")
        content = bytes(range(256)) * 150
        for data in (content, bytearray(content), memoryview(content), memoryview(content)[::1]):
            self.assertEqual(pair.ends[0].write(his, data), len(content))
            self.assertEqual(pair.ends[1].write(hers, data), len(content))
            got = [b"", b""]
            while [len(one) for one in got] != [len(content)] * 2:
                pair.run()
                got[0] += pair.ends[0].read(his)
                got[1] += pair.ends[1].read(hers)
            self.assertEqual(got, [content] * 2)
        pair.ends[0].finish(his)
        pair.run()
        pair.event(1, "peer-finished")
        stats = pair.ends[0].stats(his)
        self.assertGreaterEqual(stats.received, 4 * len(content))
        self.assertEqual(stats.unacked, 0)

    def test_a_write_takes_what_there_is_room_for_and_writable_comes(self):
        pair = Pair()
        his, hers = pair.tunnel("bytes")
        content = bytearray(b"x" * 1_000_000)
        written, got = pair.ends[0].write(his, content), 0
        self.assertTrue(0 < written < len(content))
        while got < len(content):
            pair.run()
            got += len(pair.ends[1].read(hers))
            if any(event.kind == "writable" for event in pair.events[0]):
                pair.events[0].clear()
                written += pair.ends[0].write(his, memoryview(content)[written:])
        self.assertEqual((written, got), (len(content), len(content)))

    def test_an_unknown_certificate_is_asked_about_or_refused(self):
        for trust, decision, end in (("ask", "accept-and-keep", "secured"), ("ask", "refuse", "closed"), ("pinned", None, "closed")):
            store = xtls.MemoryStore()
            if trust == "pinned":
                store.pin(JULIET, IDENTITIES[ROMEO].fingerprint)
            pair = Pair(engine(ROMEO, store))
            id, _ = pair.tunnel(trust=trust)
            if decision:
                question = pair.event(0, "trust-required")
                self.assertEqual(question.fingerprint, IDENTITIES[JULIET].fingerprint)
                pair.ends[0].trust(id, decision)
                pair.run()
            event = pair.event(0, end)
            self.assertEqual(event.is_security, end == "closed")
            kept = IDENTITIES[JULIET].fingerprint in [pin.fingerprint for pin in store.pins()]
            self.assertEqual(kept, decision == "accept-and-keep")

    def test_a_password_secures_two_who_have_never_met(self):
        pair = Pair(engine(ROMEO, xtls.MemoryStore()), engine(JULIET, xtls.MemoryStore()))
        his = pair.ends[0].initiate(JULIET, trust="pinned", password="a rose")
        pair.run()
        hers = pair.event(1, "incoming").id
        pair.ends[1].accept(hers, trust="pinned", ask_password=True)
        pair.run()
        self.assertEqual(pair.event(1, "password-required").side, "responder")
        pair.ends[1].password(hers, "a rose")
        pair.run()
        self.assertEqual(pair.event(0, "secured").security.method, "srp")
        self.assertEqual(pair.ends[0].security(his).method, "srp")

    def test_time_is_that_of_the_clock_that_is_given(self):
        time = 5.0
        romeo = engine(ROMEO, clock=lambda: time)
        id = romeo.initiate(JULIET, trust="pinned")
        self.assertIsNotNone(romeo.poll_transmit())
        while (deadline := romeo.poll_timeout()) is not None and romeo.tunnels():
            time += deadline.after
            romeo.handle_timeout()
        events = []
        while (event := romeo.poll_event()) is not None:
            events.append(event)
        self.assertEqual((events[-1].id, events[-1].kind, events[-1].fault), (id, "closed", "timeout"))

    def test_what_is_not_ours_is_told_from_what_is(self):
        juliet = engine(JULIET)
        said = {
            "<message from='a@b/c'><body>hello</body></message>": "not-ours",
            engine(ROMEO).presence().replace("<presence", f"<presence from='{ROMEO}'", 1): "observed",
            "<iq type='set' id='1' from='a@b/c'><open xmlns='http://jabber.org/protocol/ibb' sid='s' block-size='4096'/></iq>": "unclaimed",
            "<iq": "malformed",
        }
        for stanza, disposition in said.items():
            for form in (stanza, stanza.encode()):
                handled = juliet.handle_stanza(form)
                self.assertEqual(handled.disposition, disposition)
                self.assertEqual(bool(handled.refusal), disposition == "unclaimed")
                self.assertEqual(bool(handled.words), disposition == "malformed")
        self.assertEqual(juliet.handle_stanza(b"<message from='a@b/c'>\xff</message>").disposition, "malformed")
        # Of the two that are unclaimed, one was answered by somebody else.
        juliet.leave(1)
        self.assertIsNone(juliet.poll_transmit())
        juliet.refuse(2)
        self.assertIn(b"type='error'", juliet.poll_transmit())
        for call in (juliet.refuse, juliet.leave):
            for gone in (1, 2, 3):
                with self.assertRaises(errors.GoneError):
                    call(gone)

    def test_the_log_goes_where_it_is_wanted_and_has_nothing_secret(self):
        lines = []
        pair = Pair(engine(ROMEO, xtls.MemoryStore()), engine(JULIET, xtls.MemoryStore()))
        pair.ends[0].set_log(lambda level, target, line: lines.append((level, target, line)), "trace")
        with self.assertRaises(errors.NameError):
            pair.ends[0].set_log(print, "loud")
        with self.assertRaisesRegex(TypeError, "function"):
            pair.ends[0].set_log(logging)
        his = pair.ends[0].initiate(JULIET, trust="pinned", password="a rose by any other")
        pair.run()
        pair.ends[1].accept(pair.event(1, "incoming").id, trust="pinned", password="a rose by any other")
        pair.run()
        pair.event(0, "secured")
        self.assertTrue(lines and all(target.startswith("xtls") and level in ("debug", "trace") for level, target, _ in lines))
        self.assertNotIn("a rose", repr(lines))
        before = len(lines)
        pair.ends[0].set_log(None)
        pair.ends[0].close(his)
        pair.run()
        self.assertEqual(len(lines), before)


class BadInput(unittest.TestCase):
    def test_ids_that_are_stale_or_of_another_engine(self):
        pair = Pair()
        his, hers = pair.tunnel("bytes")
        calls = {
            "password": lambda engine, id: engine.password(id, None),
            "trust": lambda engine, id: engine.trust(id, "refuse"),
            "send": lambda engine, id: engine.send(id, "<message/>"),
            "write": lambda engine, id: engine.write(id, b"x"),
            "read": lambda engine, id: engine.read(id),
            "finish": lambda engine, id: engine.finish(id),
            "close": lambda engine, id: engine.close(id),
            "abort": lambda engine, id: engine.abort(id, "cancel"),
            "open_stream": lambda engine, id: engine.open_stream(id),
            "close_stream": lambda engine, id: engine.close_stream(id),
            "set_give_receipt": lambda engine, id: engine.set_give_receipt(id, "never"),
            "give_receipt": lambda engine, id: engine.give_receipt(id),
            "request_certificates": lambda engine, id: engine.request_certificates(id),
            "peer": lambda engine, id: engine.peer(id),
            "security": lambda engine, id: engine.security(id),
            "stats": lambda engine, id: engine.stats(id),
            "export_keying_material": lambda engine, id: engine.export_keying_material(id, 32, b"EXPORTER-test"),
        }
        offers = {"accept": lambda engine, id: engine.accept(id, trust="pinned"), "reject": lambda engine, id: engine.reject(id)}
        for name, call in (calls | offers).items():
            for foreign in (hers, 0, -1, 2**63, 2**64, 10**30):
                with self.subTest(name, id=foreign), self.assertRaises(errors.OtherEngineError):
                    call(pair.ends[0], foreign)
            for wrong in ("1", 1.0, None):
                with self.subTest(name, id=wrong), self.assertRaisesRegex(TypeError, "an id is an int"):
                    call(pair.ends[0], wrong)
        pair.ends[0].close(his)
        pair.run()
        for name, call in calls.items():
            with self.subTest(name), self.assertRaises(errors.EndedError):
                call(pair.ends[0], his)
        for name, call in offers.items():
            with self.subTest(name), self.assertRaises(errors.GoneError):
                call(pair.ends[1], hers)

    def test_bytes_where_text_is_wanted_and_text_that_is_no_utf8(self):
        romeo = engine(ROMEO)
        texts = {
            "peer": lambda text: romeo.initiate(text, trust="pinned"),
            "stanza": lambda text: romeo.send(1, text),
            "jid": lambda text: xtls.Engine(text, IDENTITIES[ROMEO], xtls.MemoryStore()),
            "certificate": lambda text: xtls.Identity(text, "key"),
            "fingerprint": lambda text: xtls.MemoryStore().pin(ROMEO, text),
            "window": romeo.set_window,
        }
        for name, call in texts.items():
            with self.subTest(name), self.assertRaisesRegex(TypeError, "'bytes' object is not an instance of 'str'") as raised:
                call(b"text")
            self.assertIn(f"'{name}'", "".join(raised.exception.__notes__))
            with self.subTest(name), self.assertRaises(UnicodeEncodeError):
                call("a\ud800")
        with self.assertRaises(UnicodeEncodeError):
            romeo.handle_stanza("<message>\udcff</message>")
        for wrong in (None, 5, ["<message/>"]):
            with self.assertRaisesRegex(TypeError, f"a stanza is str or bytes, and not {type(wrong).__name__}"):
                romeo.handle_stanza(wrong)

    def test_what_is_written_is_bytes(self):
        pair = Pair()
        his, _ = pair.tunnel("bytes")
        for wrong in ("text", None, 5, [1], memoryview(b"abcdef")[::2]):
            with self.subTest(wrong=wrong), self.assertRaises(TypeError):
                pair.ends[0].write(his, wrong)

    def test_settings_and_options(self):
        def make(**settings):
            return engine(ROMEO, settings={name.replace("__", "."): value for name, value in settings.items()})

        for settings, error in (
            ({"tunnels": "many"}, errors.SettingError),
            ({"no_such": 1}, errors.SettingError),
            ({"sole_handler": 1}, errors.SettingError),
            ({"tunnels": 0}, errors.ConfigError),
            ({"tunnels": 1.5}, TypeError),
        ):
            with self.subTest(settings), self.assertRaisesRegex(error, next(iter(settings))):
                make(**settings)
        make(tunnels=7, sole_handler=True, timers__question="5000", window="adaptive", send_buffer=None)
        romeo = engine(ROMEO)
        for options, error in (
            ({}, errors.SettingError),
            ({"trust": "blindly"}, errors.SettingError),
            ({"trust": "pinned", "colour": "red"}, errors.SettingError),
            ({"trust": "pinned", "password": ""}, errors.PasswordEmptyError),
            ({"trust": "pinned", "password": "\x07bell"}, errors.PasswordProhibitedError),
            ({"trust": "pinned", "password": b"secret"}, TypeError),
        ):
            with self.subTest(options), self.assertRaises(error) as raised:
                romeo.initiate(JULIET, **options)
            self.assertNotIn("bell", str(raised.exception))
            self.assertNotIn("secret", str(raised.exception))
        for peer, error in (("juliet@capulet.lit", errors.AddressError), ("@", errors.AddressError), (ROMEO, errors.OwnAddressError)):
            with self.subTest(peer), self.assertRaises(error):
                romeo.initiate(peer, trust="pinned")
        self.assertEqual(romeo.tunnels(), [])

    def test_certificates_that_are_none(self):
        good = IDENTITIES[ROMEO]
        for certificate, key in (("", ""), (good.key, good.certificate)):
            with self.assertRaises(errors.IdentityError):
                xtls.Identity(certificate, key)
        with self.assertRaises(errors.IdentityError):
            engine(ROMEO, identity=xtls.Identity(good.certificate, IDENTITIES[JULIET].key))
        with self.assertRaises(errors.NameError):
            xtls.Identity.generate(ROMEO, "rot13")
        with self.assertRaises(errors.AuthoritiesError):
            engine(ROMEO, authorities="no PEM")

    def test_secrets_do_not_show_and_do_not_travel(self):
        identity = IDENTITIES[ROMEO]
        self.assertIn("PRIVATE KEY", identity.key)
        for shown in (repr(identity), str(identity), repr(engine(ROMEO)), repr(vars(type(identity)))):
            self.assertNotIn("PRIVATE KEY", shown)
        with self.assertRaises(TypeError):
            pickle.dumps(identity)
        with self.assertRaises(AttributeError):
            identity.key = "another"

    def test_a_clock_that_is_none(self):
        for clock, error in ((lambda: -1.0, ValueError), (lambda: float("nan"), ValueError), (lambda: "noon", TypeError), (5, TypeError)):
            with self.assertRaises(error):
                engine(ROMEO, clock=clock)
        def broken():
            raise ZeroDivisionError("the sun stands still")
        with self.assertRaises(ZeroDivisionError):
            engine(ROMEO, clock=broken)

    def test_an_engine_that_another_thread_uses_says_so(self):
        inside, on = threading.Event(), threading.Event()
        told = []

        def log(*_):
            if not inside.is_set():
                inside.set()
                on.wait(20)

        romeo = engine(ROMEO)
        romeo.set_log(log)
        thread = threading.Thread(target=lambda: told.append(romeo.initiate(JULIET, trust="pinned")))
        thread.start()
        self.assertTrue(inside.wait(20))
        with self.assertRaisesRegex(errors.BusyError, "by another thread") as raised:
            romeo.poll_event()
        self.assertEqual((raised.exception.code, raised.exception.number), ("busy", xtls.CODES["busy"]))
        on.set()
        thread.join(20)
        self.assertEqual(romeo.tunnels(), told)

    def test_an_engine_that_its_own_log_calls_says_so(self):
        said = []
        romeo = engine(ROMEO)

        def log(*_):
            try:
                romeo.tunnels()
            except errors.BusyError as busy:
                said.append(str(busy))

        romeo.set_log(log)
        romeo.initiate(JULIET, trust="pinned")
        self.assertTrue(said and all("the call that this one was made from" in words for words in said), said)

    def test_threads_that_all_call_at_once_get_an_answer_or_are_told(self):
        romeo, counts = engine(ROMEO), {"done": 0, "busy": 0}
        lock = threading.Lock()

        def work():
            for _ in range(2000):
                try:
                    romeo.handle_stanza("<message from='a@b/c'><body>hello</body></message>")
                    key = "done"
                except errors.BusyError:
                    key = "busy"
                with lock:
                    counts[key] += 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sum(counts.values()), 8000)
        self.assertGreater(counts["done"], 0)

    def test_objects_go_when_nobody_has_them(self):
        before = len(gc.get_objects())
        for _ in range(50):
            pair = Pair()
            pair.tunnel()
        del pair
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 500)
