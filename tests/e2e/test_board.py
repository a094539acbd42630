"""The operator's board, on real terminals that tmux plays: what stands there, keys, sizes, its end."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from rig import IMPRINT, Rig
from test_line import Fixture

TMUX = shutil.which("tmux")


class Terminal:
    """A terminal of a size with one command in it, which stays when the command ended."""

    def __init__(self, folder, command, env, columns=80, rows=24, term="tmux-256color"):
        self.socket = tempfile.mktemp(prefix="tmux-", dir=folder)  # one that ends may still have its own
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
        return self.tmux("capture-pane", "-e", "-p", "-N")

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

    def make(self, slots, credentials=4, order_changes=None, **job):
        """A board over fixtures S1, S2, ... in which nothing is yet."""
        self.rig = Rig(credentials=credentials, order=order_changes)
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

    def child(self, name):
        return int(subprocess.run(["pgrep", "-x", name[:15], "--parent", str(self.pid())],
                                  capture_output=True, text=True).stdout)

    def pid(self):
        """Of `imprint` itself."""
        shell = self.terminal.tmux("display", "-p", "#{pane_pid}").strip()
        return int(subprocess.run(["pgrep", "-x", "imprint", "--parent", shell],
                                  capture_output=True, text=True).stdout)


PASS_ROW = "███ ███ ███ ███"  # the top of PASS in its smallest size
FAIL_ROW = "███ ███ ███ █"


def escapes(picture):
    """The parameters of every change of attributes."""
    return {int(n or 0) for codes in re.findall(r"\x1b\[([0-9;]*)m", picture) for n in codes.split(";")}


class Tiles(BoardCase):
    def test_pass_and_fail_in_large_letters_with_reason_action_and_counts(self):
        rig = self.make(8)
        terminal = self.start()
        terminal.wait(*(rf" S{n} " for n in range(1, 9)), r"READY", r"Put a device in",
                      r"left 4 of 100000")
        self.put_in(1)
        self.put_in(2, "--fault=wrong-proof")
        text = terminal.wait(PASS_ROW, FAIL_ROW + " ", r"passed 1 +failed 1 +yield 50 %",
                             r"Take it out", r"left 2 of 100000",
                             r"S2 FAIL PUMP-00000\d +the device did not prove",
                             r"Set the device aside, and note this text")
        self.assertRegex(text, r"order E2E-1 +product 09506000134352 +RUNNING")
        terminal.key("F4")
        terminal.wait("End the line")
        terminal.key("F4")
        self.assertEqual(terminal.status(), 0)
        left = terminal.wait(r"slot S2 +FAIL  PUMP", r"1 passed, 1 failed")
        self.assertNotIn("RUNNING", left)
        self.assertEqual(rig.order_status()["proven"], 1)

    def test_the_operators_guide_shows_the_board_as_it_is(self):
        guide = pathlib.Path(__file__).parents[2] / "docs/operators.md"
        shown = re.search(r"(?s)<!-- the board -->\n```text\n(.*?)\n```", guide.read_text()).group(1)
        self.make(2)
        terminal = self.start()
        self.put_in(1)
        terminal.wait(r"passed 1 ")
        self.put_in(2, "--fault=wrong-proof")
        terminal.wait(r"passed 1 +failed 1")
        self.assertEqual(terminal.text().rstrip("\n"), shown)

    def test_every_slot_keeps_its_word_at_every_size(self):
        self.make(32, credentials=3)
        terminal = self.start()
        self.put_in(1)
        self.put_in(32, "--fault=wrong-proof")
        for columns, rows in ((80, 24), (200, 60), (80, 24), (100, 30), (60, 20)):
            terminal.resize(columns, rows)
            large = columns == 200
            terminal.wait(r"██████  ██████  ██████  ██████ " if large else r"PASS", r"██████  ██████  ██████  ██  " if large else r"FAIL",
                          *(rf" S{n} " for n in range(1, 33)), r"F4 end")
        terminal.resize(20, 5)
        terminal.wait("enlarge this window")
        terminal.resize(30, 12)  # not all on one page: that of the failure
        terminal.wait(r"page \d of \d", r"FAIL")
        terminal.resize(80, 24)
        terminal.wait(r" S1 ", r" S32 ", r"set aside")

    def test_a_terminal_without_colour_and_unicode_tells_the_same(self):
        self.make(2)
        terminal = self.start(term="vt100", env={"LC_ALL": "C"})
        self.put_in(1)
        self.put_in(2, "--fault=wrong-proof")
        text = terminal.wait(r"###### +###### +###### +######.*###### +###### +###### +##  ",
                             r"passed 1 +failed 1")
        self.assertNotIn("█", text)
        used = escapes(terminal.picture())
        self.assertIn(7, used)  # FAIL is a filled tile
        self.assertFalse([n for n in used if 30 <= n <= 48 and n != 39], used)

    def test_a_reason_is_cut_where_there_is_no_room_and_said_so(self):
        self.make(1)
        terminal = self.start()
        self.put_in(1, "--fault=wrong-proof")
        terminal.resize(50, 24)
        terminal.wait(r"that it holds the key of 'PUMP-000001': set \.\.\. *\n", r"\n set aside *\n")
        terminal.resize(80, 30)
        terminal.wait(r"'PUMP-000001': set it aside \(V-\d+\) *\n", r"\n Set the device aside, .* again\. *\n")

    def test_a_delivery_and_its_retries_are_seen(self):
        self.make(1, request_ms=600)
        terminal = self.start()
        self.put_in(1, "--fault=slow=300")
        terminal.wait(r"WRITING", r"░ +\d+ %")
        terminal.wait(r"█+░* +[1-9]\d* %")


class Labels(BoardCase):
    def test_labels_are_put_right_and_each_is_for_one_unit(self):
        """The units are healthy: none is to be set aside for want of a label."""
        rig = self.make(2, credentials=0, serials="  source: scanned\n")
        rig.imprint("generate", rig.job, "--up-to", 3)
        terminal = self.start(wait="slot and serial>")
        for line, said in (("S1 PUMP-000001", "slot and serial> S1 PUMP-000001\nslot and serial>"),
                           ("S1 PUMP-000002", "slot 'S1': 'PUMP-000002' in place of 'PUMP-000001'"),
                           ("S2 PUMP-000003", "slot and serial> S2 PUMP-000003\nslot and serial>"),
                           ("S2", "slot 'S2': the label 'PUMP-000003' is taken back")):
            terminal.key("-l", line)
            terminal.key("Enter")
            terminal.wait(said)
        terminal.key("Enter")
        terminal.wait(r"RUNNING", r"left 3 of 100000")  # keys, for which no certificate was signed yet
        self.put_in(1)
        terminal.wait(r"passed 1 ", r"left 2 of", r"PUMP-000002")
        self.put_in(2)
        terminal.wait(r"S2 FAIL no label was scanned", r"Its label is not scanned")
        self.fixtures[0].take_out()
        terminal.wait(r"READY", r"Put a device in")
        self.put_in(1)
        text = terminal.wait(r"failed 2 ", r"S1 FAIL the label scanned for slot 'S1' was that of the unit before")
        self.assertNotIn("aside", text)


class Keys(BoardCase):
    def test_a_scanner_types_in_vain_and_pause_begins_nothing(self):
        self.make(2)
        terminal = self.start()
        terminal.tmux("send-keys", "-l", "quit\rq\t]C10109506000134352\x1d21PUMP\r\npause\r\x1b")
        self.put_in(1)
        terminal.wait(r"████", r"RUNNING")
        terminal.key("F2")
        terminal.wait(r"PAUSED *\n", r"F2 go on")
        self.put_in(2)
        time.sleep(3)
        self.assertIn("passed 1 ", terminal.text())
        terminal.key("C-p")
        terminal.wait(r"RUNNING", r"passed 2 ")

    def test_the_end_is_asked_for_once_and_finishes_what_was_begun(self):
        rig = self.make(2, request_ms=60000)
        terminal = self.start()
        self.put_in(1, "--fault=slow=400")
        terminal.wait(r"WRITING")
        terminal.key("C-c")
        terminal.wait(r"End the line\?")
        terminal.key("x")
        terminal.wait(r"F2 pause")
        terminal.key("C-c")
        terminal.wait(r"End the line\?")
        terminal.key("F4")
        terminal.wait(r"ENDING", r"What was begun is finished")
        self.assertEqual(terminal.status(), 0)
        terminal.wait(r"1 passed, 0 failed")
        self.assertEqual(rig.order_status()["proven"], 1)

    def test_a_slot_is_chosen_and_tried_again(self):
        self.make(2)
        terminal = self.start()
        device = self.put_in(1, "--fault=garbage")
        terminal.wait(r"FAIL|████", r"Press the device", r"failed 1")
        device.stop()
        device.options.remove("--fault=garbage")
        terminal.key("Right")
        terminal.wait(r">S2<")
        terminal.key("Left")
        terminal.wait(r">S1<")
        device.start()
        self.fixtures[0].put_in(device)
        terminal.key("F3")
        terminal.wait(r"passed 1 ")


class Ends(BoardCase):
    def gone(self, *pids):
        deadline = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{pid}") for pid in pids):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_a_terminal_that_is_closed_lets_what_was_begun_be_finished(self):
        rig = self.make(1, request_ms=60000)
        terminal = self.start()
        self.put_in(1, "--fault=slow=400")
        terminal.wait(r"WRITING")
        pids = [self.pid(), self.child("imprint-line"), self.child("imprint-board")]
        self.assertEqual(rig.order_status()["proven"], 0)
        terminal.close()
        self.gone(*pids)
        self.assertEqual((rig.order_status()["proven"], rig.order_status()["unresolved"]), (1, 0))

    def test_a_board_that_dies_ends_the_line_and_gives_the_terminal_back(self):
        rig = self.make(1, request_ms=60000)
        terminal = self.start()
        self.put_in(1, "--fault=slow=300")
        terminal.wait(r"WRITING")
        os.kill(self.child("imprint-board"), signal.SIGKILL)
        self.assertEqual(terminal.status(), 0)
        self.assertEqual(rig.order_status()["proven"], 1)
        name = terminal.tmux("display", "-p", "#{pane_tty}").strip()
        settings = subprocess.run(["stty", "-a", "-F", name], capture_output=True, text=True).stdout
        self.assertRegex(settings, r"(?s) icanon.* echo ")

    def test_the_board_alone_has_the_terminal_and_nothing_else(self):
        self.make(1)
        self.start(wait="READY")
        for name in ("imprint-line", "imprint-opener", "imprint-connector", "imprint-board"):
            pid = self.child(name)
            folder = pathlib.Path(f"/proc/{pid}/fd")
            terminals = [fd for fd in folder.iterdir() if "/pts/" in os.readlink(fd)]
            self.assertEqual(bool(terminals), name == "imprint-board", name)
            status = dict(line.split(":\t", 1) for line in
                          pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
            self.assertEqual((status["Seccomp"].strip(), status["NoNewPrivs"].strip(),
                              int(status["CapEff"], 16)), ("2", "1", 0), name)
        self.assertEqual(os.listdir(f"/proc/{self.child('imprint-board')}/root"), [])
        # The others cannot get at the terminal as that of their session either.
        for name, has in (("imprint-board", True), ("imprint-line", False), ("imprint-opener", False)):
            stat = pathlib.Path(f"/proc/{self.child(name)}/stat").read_text()
            self.assertEqual(stat.rpartition(")")[2].split()[4] != "0", has, name)


class Beginning(BoardCase):
    def test_the_pin_is_asked_for_before_the_board(self):
        self.make(1)
        terminal = self.start("--ask-pin", wait=r"PIN")
        time.sleep(0.5)
        terminal.key("1234567890", "Enter")
        self.assertNotIn("1234567890", terminal.wait(r"RUNNING", r"READY"))

    def test_lines_where_they_are_asked_for_or_a_board_cannot_be(self):
        self.make(1)
        for options, more in ((("--lines",), {}), ((), {"term": "dumb"}), ((), {"term": "unheard-of"})):
            terminal = self.start(*options, wait=r"put devices in", **more)
            terminal.key("quit", "Enter")
            self.assertEqual(terminal.status(), 0)
            terminal.close()
            terminal.status_file.unlink()



class Wedge(BoardCase):
    """A scanner that types at the board."""

    def make_scanned(self, scanners):
        self.make(1, credentials=0, serials="  source: scanned\n", order_changes={"serials": {"only": {"prefix": ""}}})
        config = self.rig.station / "station.yaml"
        config.write_text(config.read_text() + scanners)
        return self.start()

    def scan(self, *codes):
        for code in codes:
            self.terminal.key("-l", code + "\r")
            time.sleep(0.3)  # a hand

    def test_what_is_typed_quickly_is_a_scan_and_no_command(self):
        terminal = self.make_scanned("scanners:\n  - name: hand\n    port: terminal\n")
        terminal.wait("READY")
        for letter in "quit":
            terminal.key(letter)
            time.sleep(0.3)
        terminal.key("Enter")
        self.scan("quit")
        terminal.wait("without a slot")
        self.scan("SLOT:S1", "UNIT-1")
        terminal.wait("ARMED")
        self.put_in(1)
        terminal.wait("UNIT-1", "Take it out")
        terminal.key("F4")
        terminal.key("F4")
        self.assertEqual(terminal.status(), 0)

    def test_without_such_a_scanner_it_is_nothing(self):
        terminal = self.make_scanned("scanners:\n  - name: left\n    port: /dev/ttySCAN0\n")
        terminal.wait("READY")
        self.scan("SLOT:S1", "UNIT-1", "quit")
        self.put_in(1)
        terminal.wait("SCAN")
        self.assertNotIn("ARMED", terminal.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
