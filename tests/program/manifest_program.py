#!/usr/bin/python3
"""Runs imprint-manifest as a user does: exit codes, what goes to which stream, JSON, help.

Usage: manifest_program.py SAMPLE_PROGRAM IMPRINT_MANIFEST MANUAL_PAGE
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SAMPLE, PROGRAM, MANUAL = map(os.path.abspath, sys.argv[1:4])
PINS = ["--root", "manifest-root.pem", "--device-root", "device-root.pem", "--log-key", "log.vkey"]


class Program(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()
        subprocess.run([SAMPLE, self.top], check=True)

    def tearDown(self):
        shutil.rmtree(self.top)

    def run_program(self, *args, exit=0, stdin=None):
        done = subprocess.run([PROGRAM, *args], cwd=self.top, input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, exit, done.stderr)
        if exit:
            self.assertTrue(done.stderr.startswith("imprint-manifest: "), done.stderr)
        else:
            self.assertEqual(done.stderr, "")
        return done.stdout

    def edit(self, name, find, put):
        path = os.path.join(self.top, name)
        with open(path, "r+", encoding="utf-8") as f:
            text = f.read()
            self.assertIn(find, text)
            f.seek(0)
            f.write(text.replace(find, put, 1))
            f.truncate()

    def test_verify_says_what_was_proven_and_what_was_not(self):
        out = self.run_program("verify", *PINS, "--after", "1", "2")
        self.assertRegex(out, r"^proven: manifest 2 of 'factory\.example/wl/line1' .*extends")
        self.assertRegex(out, r"\nnot proven: that nobody was given another manifest 2 ")
        out = self.run_program("verify", *PINS, "2")
        self.assertIn("not proven: that it extends what was accepted before", out)
        self.assertNotIn("hold their keys", out)
        out = self.run_program("verify", *PINS, "--skip-proofs", "2")
        self.assertRegex(out, r"\nnot proven: .*that devices hold their keys \(--skip-proofs\)")

    def test_verify_prints_one_object_of_json(self):
        out = json.loads(self.run_program("verify", *PINS, "--json", "--after=2", "3"))
        self.assertEqual(out["records"], {"add": 1, "attr": 1, "decommission": 1, "recommission": 1})
        self.assertIs(out["verified"], True)
        self.assertIs(out["extends_previous"], True)
        self.assertEqual((out["seq"], out["first"], out["size"]), (3, 9, 13))

    def test_each_class_of_failure_has_its_exit_code(self):
        self.run_program("verify", *PINS, "--after", "1", "3", exit=30)
        self.run_program("verify", *PINS, "--after", "2", "1", exit=26)
        self.run_program("verify", *PINS[:-1], "missing.vkey", "1", exit=7)
        self.run_program("verify", "--root", "device-root.pem", *PINS[2:], "1", exit=3)
        self.edit("1/devices-00000.jsonl", "A1-0001", "A1-0002")
        self.run_program("verify", *PINS, "1", exit=15)
        self.edit("2/manifest.json", '"seq":2', '"seq":3')
        self.run_program("verify", *PINS, "2", exit=24)
        self.edit("3/manifest.json", '"seq":3', '"seq":"3"')
        self.run_program("show", "3", exit=29)

    def test_a_failure_is_json_where_json_was_asked_for(self):
        out = json.loads(self.run_program("verify", *PINS, "--json", "--after", "2", "1", exit=26))
        self.assertEqual(out["error"]["code"], "ERR_ROLLBACK")
        self.assertEqual(out["error"]["exit"], 26)
        self.assertIn("manifest 1 is not newer", out["error"]["text"])

    def test_wrong_command_lines_are_refused(self):
        for args in ([], ["nonsense"], ["verify"], ["verify", "1"], ["verify", *PINS],
                     ["verify", *PINS, "1", "2"], ["verify", *PINS, "--nonsense", "1"],
                     ["verify", *PINS, "--at", "yesterday", "1"], ["verify", "1", *PINS[:-1]],
                     ["show"], ["show", "--root", "x", "1"], ["prove", "1"], ["prove", "1", "a", "b"],
                     ["verify-proof", "x"], ["help", "nonsense"], ["version", "1"]):
            self.run_program(*args, exit=2)

    def test_show_says_that_nothing_was_verified(self):
        self.edit("1/devices-00000.jsonl", "A1-0001", "A1-0002")
        self.assertIn("nothing of it was verified", self.run_program("show", "1"))
        out = json.loads(self.run_program("show", "--json", "1"))
        self.assertIs(out["verified"], False)
        self.assertEqual(out["count"], 6)

    def test_a_proof_goes_to_standard_output_or_a_file_and_verifies(self):
        out = self.run_program("prove", "1", "A1-0003")
        self.assertTrue(out.startswith("c2sp.org/tlog-proof@v1\n"))
        self.assertEqual(self.run_program("prove", "1", "A1-0003", "-o", "p"), "")
        with open(os.path.join(self.top, "p"), encoding="utf-8") as f:
            self.assertEqual(f.read(), out)
        self.assertEqual(json.loads(self.run_program("prove", "1", "A1-0003", "--json"))["proof"], out)
        shown = self.run_program("verify-proof", "p", "--log-key", "log.vkey")
        self.assertRegex(shown, r"^proven: the 'add' record of serial 'A1-0003' .* number 2 of the 6 ")
        self.assertIn("\nnot proven: ", shown)
        shown = json.loads(self.run_program("verify-proof", "--json", "p", "--log-key", "log.vkey"))
        self.assertEqual((shown["index"], shown["size"], shown["verified"]), (2, 6, True))

    def test_what_is_wrong_with_a_proof_is_in_the_exit_code(self):
        self.run_program("prove", "1", "A1-9999", exit=7)
        self.run_program("prove", "1", "A1-0001", "--product", "other", exit=7)
        self.run_program("prove", "1", "A1-0003", "-o", "p")
        self.edit("p", "index 2", "index 3")
        self.run_program("verify-proof", "p", "--log-key", "log.vkey", exit=15)
        self.edit("p", "index 3", "index 2")
        self.edit("p", "\n6\n", "\n8\n")
        self.run_program("verify-proof", "p", "--log-key", "log.vkey", exit=24)
        self.edit("p", "tlog-proof@v1", "tlog-proof@v2")
        self.run_program("verify-proof", "p", "--log-key", "log.vkey", exit=29)

    def test_a_result_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            for args in (["show", "1"], ["help"], ["prove", "1", "A1-0001"], ["help", "--json"]):
                done = subprocess.run([PROGRAM, *args], cwd=self.top, stdout=full,
                                      stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, 4, args)

    def test_help_lists_every_command_and_option(self):
        table = json.loads(self.run_program("help", "--json"))
        out = self.run_program("help")
        for command in table["commands"]:
            self.assertRegex(out, rf"(?m)^  {command['name']} ")
            text = self.run_program("help", command["name"])
            for option in command["options"]:
                self.assertIn(f"--{option['name']}", text)
                self.assertEqual(option["required"],
                                 bool(re.search(rf"--{option['name']} .*\(required\)", text)))
        self.assertEqual(self.run_program("--help"), out)
        self.assertEqual(self.run_program("--version"), self.run_program("version"))
        self.assertIn("version", json.loads(self.run_program("version", "--json")))

    def test_the_manual_page_has_every_command_option_and_exit_code(self):
        table = json.loads(self.run_program("help", "--json"))
        with open(MANUAL, encoding="utf-8") as f:
            manual = f.read()
        sections = dict(re.findall(r"(?ms)^\.It Cm (\S+).*?\n(.*?)(?=^\.It Cm |^\.Sh )", manual))
        self.assertEqual(set(sections), {c["name"] for c in table["commands"]})
        for command in table["commands"]:
            body = sections[command["name"]]
            said = set(re.findall(r"(?m)^\.It Fl (?:o , )?-([a-z-]+)", body))
            self.assertEqual(said, {o["name"] for o in command["options"]} - {"json"},
                             command["name"])
        self.assertRegex(manual, r"\.Fl -json")
        exits = dict(re.findall(r"(?m)^\.It (\d+) Pq (ERR_\w+)", manual))
        used = {str(e["exit"]): e["code"] for e in table["exit"]}
        self.assertTrue(exits)
        for number, code in exits.items():
            self.assertEqual(used.get(number), code)

    def test_every_exit_code_seen_here_is_in_the_manual_page(self):
        with open(MANUAL, encoding="utf-8") as f:
            exits = set(re.findall(r"(?m)^\.It (\d+) Pq ERR_", f.read()))
        self.assertLessEqual({"1", "2", "3", "4", "7", "15", "22", "23", "24", "25", "26", "29"},
                             exits)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
