"""The code of the guide runs."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]


class Guide(unittest.TestCase):
    def test_the_programs_of_the_page_run(self):
        page = (ROOT / "docs/guide/python.md").read_text()
        example = (ROOT / "bindings/python/examples/first_tunnel.py").read_text()
        # interop.py runs the first one, with a server.
        first, *others = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self.assertEqual(first, example)
        self.assertEqual(len(others), 3)
        for program in others:
            exec(compile(program, "docs/guide/python.md", "exec"), {"__name__": "guide"})
