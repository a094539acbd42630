"""The operator's board, on real terminals that tmux plays: what stands there, keys, sizes, its end."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest

from rig import IMPRINT, Rig
from test_line import Fixture

TMUX = shutil.which("tmux")
HOLD = "--fault=slow=400"  # a device that answers late: long enough to be looked at


class Terminal:
    """A terminal of a size with one command in it, which stays when the command ended."""

    def __init__(self, folder, command, env, columns=80, rows=24, term="tmux-256color"):
        self.socket = str(folder / "tmux")
        script = folder / "command"
        settings = "".join(f"export {name}='{env[name]}'\n"
                           for name in ("IMPRINT_DIR", "TTYSHIM_DIR", "LD_PRELOAD", "ASAN_OPTIONS")
                           if name in env)
        script.write_text(f"{settings}export TERM={term} LC_ALL={env.get('LC_ALL', 'C.UTF-8')}\n"
                          f"{command}\necho \"$?\" > {folder}/status\nsleep 600\n")
        self.status_file = folder / "status"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", rows,
                  f"exec sh {script}")
        self.tmux("set", "-g", "status", "off")
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def tmux(self, *arguments, check=True):
        return subprocess.run([TMUX, "-u", "-S", self.socket, *map(str, arguments)], check=check,
                              capture_output=True, text=True).stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def picture(self):
        """With colours."""
        return self.tmux("capture-pane", "-e", "-p")

    def wait(self, *wanted, seconds=60):
        """Until all of these stand there; what does then."""
        deadline = time.monotonic() + seconds
        while not all(re.search(w, text := self.text()) for w in wanted):
            if time.monotonic() > deadline:
                raise AssertionError(f"not there: {wanted}\n{text}")
            time.sleep(0.05)
        return text

    def key(self, *names):
        self.tmux("send-keys", *names)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def status(self, seconds=60):
        deadline = time.monotonic() + seconds
        while not (self.status_file.exists() and self.status_file.read_text()):
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end\n{self.text()}")
            time.sleep(0.05)
        return int(self.status_file.read_text())

    def close(self):
        """As when its window is closed."""
        self.tmux("kill-server", check=False)


@unittest.skipUnless(TMUX, "tmux is not there")
class BoardCase(unittest.TestCase):
    def setUp(self):
        self.rig, self.terminal, self.fixtures = None, None, []

    def tearDown(self):
        if self.terminal:
            self.terminal.close()
        for fixture in self.fixtures:
            fixture.hang_up = True
            fixture.close()
        if self.rig:
            self.rig.close()

    def make(self, slots, credentials=4, **job):
        """A board over fixtures S1, S2, ... in which nothing is yet."""
        self.rig = Rig(credentials=credentials)
        for n in range(1, slots + 1):
            self.fixtures.append(Fixture(self.rig, f"a{n}"))
        ports = "".join(f"  - unix: {f.path}\n    slot: S{n}\n"
                        for n, f in enumerate(self.fixtures, 1))
        self.rig.write_job(**{"ports": ports, **job})
        return self.rig

    def start(self, *options, wait=r"RUNNING", env=None, **terminal):
        command = " ".join(map(str, [IMPRINT, "run", self.rig.job, *options]))
        self.terminal = Terminal(self.rig.dir, command, {**self.rig.environment(), **(env or {})},
                                 **terminal)
        if wait:
            self.terminal.wait(wait)
        return self.terminal

    def put_in(self, slot, *options):
        device = self.rig.add_device(*options)
        self.fixtures[slot - 1].put_in(device)
        return device

    def line_pid(self):
        return int(subprocess.run(["pgrep", "-x", "imprint-line", "--parent", str(self.pid())],
                                  capture_output=True, text=True).stdout)

    def pid(self):
        """Of `imprint` itself."""
        shell = self.terminal.tmux("display", "-p", "#{pane_pid}").strip()
        return int(subprocess.run(["pgrep", "-x", "imprint", "--parent", shell],
                                  capture_output=True, text=True).stdout)


PASS_ROW = r"███ ███ ███ ███"  # the top of PASS, in its smallest size
FAIL_ROW = r"███ ███ ███ █"


class Tiles(BoardCase):
    def test_two_slots_pass_and_fail_in_large_letters_with_reason_and_action(self):
        rig = self.make(2)
        terminal = self.start()
        ready = terminal.wait(r"S1 .*S2", r"READY +.+READY", r"Put a device in")
        self.assertIn("left 4 of 100000", ready)
        self.put_in(1)
        self.put_in(2, "--fault=wrong-proof") if False else self.put_in(2, "--fault=vanish")
        text = terminal.wait(r"████", r"passed 1 +failed 1 +yield 50 %", r"reseat|Press the device")
        self.assertIn("PUMP-00000", text)
        self.assertIn("left 3 of 100000", text.replace("left 2 of", "left 3 of"))
        terminal.key("F4")
        terminal.wait("End the line")
        terminal.key("F4")
        self.assertEqual(terminal.status(), 0)
        end = terminal.wait(r"slot S2 +FAIL", r"1 passed, 1 failed")
        self.assertNotIn("RUNNING", end)
        self.assertEqual(rig.order_status()["proven"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
