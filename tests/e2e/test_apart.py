"""What a test that runs apart sees of the machine, and the machine of it (apart.py)."""
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest

APART = pathlib.Path(__file__).with_name("apart.py")
PLAIN = {"PATH": os.environ["PATH"]}
NOBODY = 65534


def apart(*command, env=None, **options):
    return subprocess.run(["/usr/bin/python3", str(APART), *command], env=env or PLAIN, cwd="/",
                          capture_output=True, text=True, check=False, **options)


@unittest.skipIf(apart().returncode, "this machine does not allow it")
class Apart(unittest.TestCase):
    def test_terminals_are_its_own(self):
        for fd in pty.openpty():
            self.addCleanup(os.close, fd)
        before = set(os.listdir("/dev/pts"))
        seen = apart("/usr/bin/python3", "-c", "import os, pty; print(os.ttyname(pty.openpty()[1]),"
                     " *sorted(os.listdir('/dev/pts')))")
        self.assertEqual(seen.stdout, "/dev/pts/0 0 ptmx\n", seen.stderr)
        self.assertEqual(set(os.listdir("/dev/pts")), before)

    @unittest.skipIf(pathlib.Path("/tmp") in APART.parents, "the source lies in /tmp")
    def test_tmp_is_its_own_unless_a_name_leads_there(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            self.assertEqual(apart("ls", "-A", "/tmp").stdout, "")
            self.assertIn(pathlib.Path(folder).name, apart("ls", "/tmp", env={**PLAIN, "X": folder}).stdout)
            self.assertEqual(apart("touch", f"{folder}/here").returncode, 0)
            self.assertEqual(os.listdir(folder), ["here"])

    def test_who_may_not_is_told_and_runs_all_the_same(self):
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        asked, ran = apart(**options), apart("echo", "ran", **options)
        self.assertEqual((asked.returncode, ran.stdout), (1, "ran\n"))
        self.assertIn("unshare: Operation not permitted", asked.stderr)
        self.assertIn("run none that has devices meanwhile", ran.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
