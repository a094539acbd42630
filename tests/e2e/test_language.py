"""What a person reads is in their language; codes, --json and records are not."""
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from rig import BUILD, IMPRINT, Rig

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = re.compile(r" \(([A-Z]-\d+)\)$")


def page_of(code):
    """The message and the page of a code, as docs/messages has them."""
    text = (ROOT / f"docs/messages/{code[0]}.md").read_text()
    return re.search(rf"^## {code}\n\n`(.*)`\n", text, re.M).group(1)


def quoted(text):
    return json.dumps(text, ensure_ascii=False).replace("\\u001b", "\\033")


def make_translation(folder, message, translated):
    where = pathlib.Path(folder) / "de/LC_MESSAGES"
    where.mkdir(parents=True, exist_ok=True)
    po = where / "imprint.po"
    po.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
                  f"msgid {quoted(message)}\nmsgstr {quoted(translated)}\n")
    subprocess.run(["msgfmt", "-o", where / "imprint.mo", po], check=True)


class LanguageCase(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.dir = pathlib.Path(scratch.name)

    def fail(self, *options, folder=BUILD / "po", **environment):
        """A command that fails: (stderr, what --json says)."""
        env = {"IMPRINT_DIR": str(self.dir / "none"), "IMPRINT_LOCALEDIR": str(folder), **environment}
        result = subprocess.run([IMPRINT, "status", "--json", *options], env=env, text=True, capture_output=True)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr.splitlines()[-1].removeprefix("imprint: "), json.loads(result.stdout)

    def english(self):
        said, told = self.fail()
        return CODE.search(said).group(1), told


class Commands(LanguageCase):
    def test_a_failure_has_a_code_and_its_page(self):
        said, told = self.fail()
        code = CODE.search(said).group(1)
        self.assertEqual((told["message"], said), (code, f"{told['text']} ({code})"))
        self.assertEqual(re.sub("'.*?'", "'%s'", told["text"]), page_of(code).replace("%.*s", "%s"))

    def test_a_person_reads_their_language_and_a_program_does_not(self):
        code, english = self.english()
        make_translation(self.dir, page_of(code), "hier fehlt „%s“: grüß Gott")
        for wish in ({"LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8", "LANGUAGE": "de"}, {"LC_MESSAGES": "de"}):
            with self.subTest(wish=wish):
                said, told = self.fail(folder=self.dir, **wish)
                self.assertRegex(said, rf"^hier fehlt „.*“: grüß Gott \({code}\)$")
                self.assertEqual(told, english)

    def test_the_posix_locale_is_english(self):
        code, english = self.english()
        make_translation(self.dir, page_of(code), "hier fehlt „%s“")
        for wish in ({}, {"LANG": "C", "LANGUAGE": "de"}, {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}):
            with self.subTest(wish=wish):
                self.assertTrue(self.fail(folder=self.dir, **wish)[0].startswith(english["text"]))

    def test_a_translation_that_asks_for_other_arguments_is_not_followed(self):
        code, english = self.english()
        for hostile in ("%n%s", "%s%s%s", "%d", "%1$s", "%", "no argument", "%s %"):
            with self.subTest(hostile=hostile):
                make_translation(self.dir, page_of(code), hostile)
                said, _ = self.fail(folder=self.dir, LANG="de_DE.UTF-8")
                self.assertEqual(said, f"{english['text']} ({code})")

    def test_a_translation_sends_a_terminal_nothing_but_letters(self):
        code, _ = self.english()
        make_translation(self.dir, page_of(code), "\x1b[2J%s\u202e\u2028")
        said, _ = self.fail(folder=self.dir, LANG="de_DE.UTF-8")
        self.assertRegex(said, rf"^\?\[2J.*\?\? \({code}\)$")


class Line(unittest.TestCase):
    def test_the_line_says_what_failed_in_both(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        rig.add_device("--fault", "garbage")
        environment = rig.environment()
        rig.environment = lambda: {**environment, "LC_ALL": "C.UTF-8", "LANGUAGE": "de",
                                   "IMPRINT_LOCALEDIR": str(rig.dir / "locale")}
        event = rig.run_json(check=False)[1]["S1"]
        self.assertNotIn("local", event)
        make_translation(rig.dir / "locale", page_of(event["message"]), "Unsinn: " + page_of(event["message"]))
        again = rig.run_json(check=False)[1]["S1"]
        self.assertEqual((again["text"], again["message"]), (event["text"], event["message"]))
        self.assertIn("Unsinn: ", again["local"])
        said = rig.imprint("run", rig.job, check=False).stdout
        self.assertRegex(said, rf"FAIL .*Unsinn: .*\({event['message']}\)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
