"""Stores: those that are built in, and an object of Python's that does what it should, or does not."""

import os
import pathlib
import sqlite3
import stat
import tempfile
import unittest

import xtls
from pair import IDENTITIES, JULIET, NOW, ROMEO, Pair, engine
from xtls import errors


class Dictionary:
    """A store of Python's, which counts its calls."""

    def __init__(self):
        self.text, self.calls = None, []

    def load(self):
        self.calls.append("load")
        return self.text

    def save(self, text):
        self.calls.append("save")
        self.text = text

    def lock(self):
        self.calls.append("lock")

    def unlock(self):
        self.calls.append("unlock")


class Stores(unittest.TestCase):
    def test_an_object_with_load_and_save_is_a_store(self):
        keeper = Dictionary()
        xtls.Store(keeper).pin(JULIET, IDENTITIES[JULIET].fingerprint)
        self.assertEqual(keeper.calls, ["load", "lock", "load", "save", "unlock"])
        self.assertIn("juliet@capulet.lit", keeper.text)
        pair = Pair(engine(ROMEO, keeper))
        pair.tunnel()
        self.assertEqual(pair.event(0, "secured").security.authentication, "pinned")
        self.assertEqual([pin.peer for pin in pair.ends[0].store.pins()], ["juliet@capulet.lit"])
        # What was learned is kept: that the peer was secured.
        again = Dictionary()
        again.text = keeper.text.encode()
        self.assertTrue(xtls.Store(again).forget("juliet@capulet.lit"))
        self.assertFalse(xtls.Store(again).forget("juliet@capulet.lit"))
        self.assertFalse(xtls.Store(again).forgive("juliet@capulet.lit"))

    def test_a_file_stays_and_is_read_again(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "trust.json")
            xtls.FileStore(path).pin(JULIET, IDENTITIES[JULIET].fingerprint)
            (pin,) = xtls.FileStore(str(path)).pins()
            self.assertEqual((pin.peer, pin.fingerprint, pin.learned), ("juliet@capulet.lit", IDENTITIES[JULIET].fingerprint, "manual"))
            path.write_text("{")
            with self.assertRaises(errors.StoreError):
                xtls.FileStore(path)
            self.assertEqual(path.read_text(), "{")

    def test_an_identity_in_a_file_is_made_once_and_is_its_owners_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "me.pem")
            first, second = (xtls.Identity.in_file(path, ROMEO) for _ in range(2))
            self.assertEqual(first.fingerprint, second.fingerprint)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            path.write_text("damaged")
            with self.assertRaises(errors.IdentityError):
                xtls.Identity.in_file(path, ROMEO)

    def test_a_database_is_a_store(self):
        database = sqlite3.connect(":memory:")
        database.execute("CREATE TABLE trust (text TEXT)")

        class Row:
            def load(self):
                row = database.execute("SELECT text FROM trust").fetchone()
                return row and row[0]

            def save(self, text):
                with database:
                    database.execute("DELETE FROM trust")
                    database.execute("INSERT INTO trust VALUES (?)", (text,))

        store = xtls.Store(Row())
        store.pin(JULIET, IDENTITIES[JULIET].fingerprint)
        self.assertEqual(len(store.pins()), 1)
        database.close()
        with self.assertRaises(errors.StoreError) as raised:
            store.pins()
        self.assertIsInstance(raised.exception.__cause__, sqlite3.ProgrammingError)


class BadStores(unittest.TestCase):
    def test_what_is_no_store_is_told(self):
        for wrong, missing in ((None, "NoneType has no load"), (5, "int has no load"), ({}, "dict has no load")):
            with self.assertRaisesRegex(TypeError, missing):
                xtls.Store(wrong)
            with self.assertRaisesRegex(TypeError, missing):
                engine(ROMEO, wrong) if wrong is not None else xtls.Engine(ROMEO, IDENTITIES[ROMEO], wrong)

    def test_a_store_that_raises_is_told_with_its_cause(self):
        class Broken(Dictionary):
            def load(self):
                raise OSError("the disk is gone")

        with self.assertRaisesRegex(errors.StoreError, "OSError: the disk is gone") as raised:
            xtls.Store(Broken())
        self.assertIsInstance(raised.exception.__cause__, OSError)
        for text in (5, ["{}"], "no JSON", b"\xff"):
            keeper = Dictionary()
            keeper.text = text
            with self.assertRaises(errors.StoreError):
                xtls.Store(keeper)

    def test_a_tunnel_ends_where_the_store_cannot_be_read(self):
        keeper = Dictionary()
        xtls.Store(keeper).pin(JULIET, IDENTITIES[JULIET].fingerprint)
        pair = Pair(engine(ROMEO, keeper))
        keeper.load = lambda: 1 / 0
        with self.assertRaises(errors.StoreError) as raised:
            pair.ends[0].initiate(JULIET, trust="pinned")
        self.assertIsInstance(raised.exception.__cause__, ZeroDivisionError)
        pair = Pair(juliet=engine(JULIET, stored := Dictionary()))
        his = pair.ends[0].initiate(JULIET, trust="pinned")
        pair.run()
        offer = pair.event(1, "incoming")
        stored.load = lambda: 1 / 0
        pair.ends[1].accept(offer.id, trust="pinned")
        pair.run()
        closed = pair.event(1, "closed")
        self.assertEqual((closed.fault, closed.blame), ("store", "ourselves"))
        self.assertIn("ZeroDivisionError: division by zero", closed.text)
        self.assertEqual(pair.event(0, "closed").id, his)

    def test_what_could_not_be_written_is_told_and_the_tunnel_goes_on(self):
        keeper = Dictionary()
        pair = Pair(engine(ROMEO, keeper))

        def full(text):
            raise OSError("no space left")

        keeper.save = full
        id, _ = pair.tunnel(trust="leap-of-faith")
        self.assertIn("no space left", pair.event(0, "store-failed").text)
        pair.event(0, "secured")
        self.assertEqual(pair.ends[0].tunnels(), [id])

    def test_a_store_that_calls_back_is_told_where_it_is(self):
        said = []

        class Curious(Dictionary):
            engine = store = None

            def load(self):
                for call in (self.engine and self.engine.tunnels, self.store and self.store.pins):
                    if call:
                        try:
                            call()
                        except errors.BusyError as busy:
                            said.append(str(busy))
                return super().load()

        keeper = Curious()
        keeper.store = store = xtls.Store(keeper)
        store.pin(JULIET, IDENTITIES[JULIET].fingerprint)
        self.assertTrue(said)
        pair = Pair(engine(ROMEO, store))
        keeper.engine, keeper.store = pair.ends[0], None
        said.clear()
        pair.tunnel()
        pair.event(0, "secured")
        self.assertTrue(said and all("the call that this one was made from" in words for words in said), said)

    def test_an_interrupt_goes_through(self):
        class Interrupted(Dictionary):
            def load(self):
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            xtls.Store(Interrupted())

    def test_what_was_there_and_is_gone_is_no_first_meeting(self):
        keeper = Dictionary()
        store = xtls.Store(keeper)
        store.pin(JULIET, IDENTITIES[JULIET].fingerprint)
        keeper.text = None
        with self.assertRaisesRegex(errors.StoreError, "gone"):
            store.pins()
