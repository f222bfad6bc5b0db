"""Every event, error and reason has the name that it has in Rust, and in the types of the module.

`XTLS_WRITE_STUBS=1` writes the types anew, of the table.
"""

import os
import pathlib
import re
import typing
import unittest

import xtls
from xtls import errors, names

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "crates/xtls-python/python/xtls"


def table(source, of):
    """A table of xtls-bindings as it stands in its source: the short names with their numbers."""
    text = (ROOT / "crates/xtls-bindings/src" / source).read_text()
    body = re.search(rf"^    {of} \{{$(.*?)^    \}}$", text, re.MULTILINE | re.DOTALL)[1]
    return {name: int(number) for number, name in re.findall(r'^ +\w+ = (\d+), "([a-z0-9-]+)";$', body, re.MULTILINE)}


def camel(name):
    return "".join(part.capitalize() for part in name.split("-"))


def expected_names():
    lines = ['"""The short names of what can happen, as types. They are those of all languages."""\n', "from typing import Literal, TypeAlias"]
    for of, all_ in xtls.NAMES.items():
        of = "EventKind" if of == "event" else camel(of)
        lines.append(f"\n{of}: TypeAlias = Literal[\n" + "".join(f'    "{name}",\n' for name in all_) + "]")
    return "\n".join(lines) + "\n"


def expected_errors():
    lines = ["from typing import ClassVar\n", "class Error(Exception):", "    code: ClassVar[str]", "    number: ClassVar[int]\n"]
    for name, number in xtls.CODES.items():
        if name != "ok":
            lines.append(f"class {camel(name)}Error(Error): ...")
    return "\n".join(lines) + "\n"


class Names(unittest.TestCase):
    def test_the_tables_are_those_of_rust(self):
        codes = table("code.rs", "Code")
        self.assertGreater(len(codes), 50)
        self.assertEqual(xtls.CODES, codes)
        self.assertEqual(xtls.NAMES["event"], tuple(table("kind.rs", "EventKind")))
        self.assertEqual(xtls.NAMES["disposition"], tuple(table("kind.rs", "Disposition")))

    def test_each_code_is_a_class_with_its_name_and_number(self):
        found = {cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and cls is not errors.Error}
        self.assertEqual({code: cls.number for code, cls in found.items()}, {c: n for c, n in xtls.CODES.items() if c != "ok"})
        for code, cls in found.items():
            self.assertEqual(cls.__name__, camel(code) + "Error")
            self.assertEqual((cls.__mro__[1], cls.__module__), (errors.Error, "xtls.errors"))
            self.assertTrue(cls.__doc__)

    def test_the_types_are_those_of_the_tables(self):
        for file, text in ((PACKAGE / "names.py", expected_names()), (PACKAGE / "errors.pyi", expected_errors())):
            if os.environ.get("XTLS_WRITE_STUBS"):
                file.write_text(text)
            self.assertEqual(file.read_text(), text, f"{file.name}: XTLS_WRITE_STUBS=1 writes it anew")
        for of, all_ in xtls.NAMES.items():
            literal = names.EventKind if of == "event" else getattr(names, camel(of))
            self.assertEqual(typing.get_args(literal), all_)

    def test_the_settings_are_listed(self):
        self.assertIn("trust", xtls.OPTION_SETTINGS)
        self.assertIn("timers.question", xtls.CONFIG_SETTINGS)
