#!/usr/bin/env python3
"""Every message has a code and a page that says what to do, and every translation is whole and fits.
usage: messages.py SOURCE-ROOT"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1))
MESSAGES = ROOT / "tools/messages"
CONVERSION = re.compile(r"%[^diouxXscpfgen%]*[diouxXscpfgen%]")


def entries(po):
    """{msgid: msgstr} of a .po or .pot, through gettext's own reader."""
    text = subprocess.run(["msgcat", "--no-wrap", po], check=True, capture_output=True, text=True).stdout
    return {eval(i): eval(s) for i, s in re.findall(r'^msgid (".*")\nmsgstr (".*")$', text, re.M)}


class Codes(unittest.TestCase):
    def test_every_message_has_a_code_and_what_to_do(self):
        result = subprocess.run([sys.executable, MESSAGES, "check"], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stdout), (0, "every message has its code\n"))


class Translations(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.template = pathlib.Path(scratch.name) / "imprint.pot"
        subprocess.run([sys.executable, MESSAGES, "template", self.template], check=True)
        self.languages = sorted((ROOT / "po").glob("*.po"))

    def test_each_is_whole(self):
        self.assertTrue(self.languages)
        wanted = set(entries(self.template)) - {""}
        for language in self.languages:
            with self.subTest(language=language.name):
                there = entries(language)
                self.assertEqual([m for m in sorted(wanted) if not there.get(m)], [])
                self.assertEqual(sorted(set(there) - wanted - {""}), [])

    def test_each_takes_the_same_arguments_in_the_same_order(self):
        for language in self.languages:
            for message, translated in entries(language).items():
                if message:
                    with self.subTest(language=language.name, message=message):
                        self.assertEqual(CONVERSION.findall(translated), CONVERSION.findall(message))


if __name__ == "__main__":
    unittest.main(verbosity=2)
