"""The guides work word for word: every sh block of docs/ is executed, its output compared.

The blocks of one run share one shell in a fresh home folder. A block after the comment
'<!-- not executed: ... -->' is left out: IMPRINT_BUILD names programs that are built already. A text
block right after an sh block is what that block prints on standard output: '...' stands for anything,
and lines may come in another order, as those of slots do.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import apart

apart.leave_or_say()

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["IMPRINT_BUILD"])
FENCE = re.compile(r"(?ms)(^<!-- not executed: .*? -->\n)?^```(sh|text)\n(.*?)^```$")
MARK = "==== "
TIME_LIMIT = 600


class Block:
    """One sh block and the output that the document promises, or None."""

    def __init__(self, document, line, script):
        self.place = f"{document}:{line}"
        self.script = script
        self.promised = None


def blocks_of(document):
    text = (SOURCE / document).read_text()
    blocks, end = [], None
    for match in FENCE.finditer(text):
        skipped, kind, body = match.groups()
        if kind == "text":
            # Only directly after its block, so that no output is promised by accident.
            if not blocks or text[end:match.start()].strip():
                raise AssertionError(f"{document}: output without a block before it: {body}")
            blocks[-1].promised = body.splitlines()
        elif not skipped:
            blocks.append(Block(document, text.count("\n", 0, match.start()) + 1, body))
        end = match.end()
    return blocks


def line_pattern(line):
    return re.compile(".*".join(re.escape(part) for part in line.split("...")))


def mismatch(promised, printed):
    """What is wrong with the output, or None. Each promised line takes one printed line."""
    left = list(printed)
    for line in promised:
        if line == "...":
            continue
        pattern = line_pattern(line)
        found = next((p for p in left if pattern.fullmatch(p)), None)
        if found is None:
            return f"not printed: {line}"
        left.remove(found)
    return f"not promised: {left[0]}" if left and "..." not in promised else None


class Comparison(unittest.TestCase):
    def test_what_differs_is_seen(self):
        self.assertIsNone(mismatch(["a ... c", "b"], ["b", "a xyz c"]))
        self.assertIsNone(mismatch(["b", "..."], ["b", "more"]))
        for promised, printed in ((["a"], []), ([], ["a"]), (["a"], ["b"]), (["a", "a"], ["a"]),
                                  (["a.c"], ["abc"]), (["a ..."], ["x a b"])):
            self.assertIsNotNone(mismatch(promised, printed), (promised, printed))


class GuideTest(unittest.TestCase):
    """Executes blocks in a fresh home folder, where ~/source is this project as it was built."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="imprint-guide-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        source = self.home / "source"
        source.mkdir()
        (source / "build").symlink_to(BUILD)

    def execute(self, blocks):
        """Runs the blocks in one shell; (exit status, what each printed, what went to stderr)."""
        script = "set -eo pipefail\ncd ~/source\n" + "".join(
            f"echo '{MARK}{number}'\n{block.script}" for number, block in enumerate(blocks))
        env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8",
               **{name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "CACHE")
                  if name in os.environ}}
        with open(self.home / "out", "w+") as out, open(self.home / "err", "w+") as err:
            shell = subprocess.Popen(["bash", "-c", script], env=env, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err, start_new_session=True)
            try:
                status = shell.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                status = f"none after {TIME_LIMIT} s"
            finally:
                os.killpg(shell.pid, signal.SIGKILL)  # the simulated devices as well
                shell.wait()
            out.seek(0)
            err.seek(0)
            parts = re.split(rf"(?m)^{MARK}\d+\n", out.read())[1:]
            return status, parts, err.read()

    def check(self, *documents):
        self.check_blocks([block for document in documents for block in blocks_of(document)])

    def check_blocks(self, blocks):
        self.assertGreater(len(blocks), 10)
        status, parts, errors = self.execute(blocks)
        last = blocks[len(parts) - 1]
        self.assertEqual(status, 0, f"{last.place} failed:\n{last.script}\n{parts[-1]}\n{errors}")
        self.assertEqual(len(parts), len(blocks), "the shell ended before the last block")
        for block, printed in zip(blocks, parts):
            if block.promised is not None:
                self.assertIsNone(mismatch(block.promised, printed.splitlines()),
                                  f"{block.place} printed:\n{printed}{errors}")


class Guide(GuideTest):
    def test_the_guides_of_the_engineer_and_of_the_security_team_the_pump_and_the_ceremony(self):
        self.check("docs/engineers.md", "docs/security-teams.md", "docs/pump.md", "docs/ceremony.md")


if __name__ == "__main__":
    unittest.main(verbosity=2)
