"""A real USB stack: the station, libusb and libserialport as they are, and boards that are gadgets.

Nothing stands between them but Debian's kernel: usbcore, cdc-acm and usb-serial on one side, FunctionFS
and the gadget's serial ports on the other. What the station made of it is judged outside of the guest.
"""
import json
import os
import shlex
import sys
import unittest

import judge
from boards import ACM, GENERIC, RULES, USB, Board
from guest import GADGET, SIZES, TOOL, UDEVADM, UDEVD, GuestLine, start_guest, why_not
from rig import EXIT, Rig
from test_guide import blocks_of

GUEST = None
EVERYTHING = os.environ.get("IMPRINT_SWEEP") == "all"


def setUpModule():
    global GUEST
    GUEST = start_guest()
    unittest.addModuleCleanup(lambda: GUEST.close())


class Case(unittest.TestCase):
    credentials = 12
    rules = RULES

    def setUp(self):
        global GUEST
        if GUEST.down:
            GUEST.close()
            GUEST = start_guest()
        self.rig = Rig(credentials=self.credentials, job={"ports": self.rules, "hello_ms": 10000,
                                                          "request_ms": 5000})
        self.addCleanup(self.rig.close)
        self.addCleanup(self.switch_off)
        GUEST.push(self.rig)

    def switch_off(self):
        for board in self.rig.devices:
            board.stop()

    def board(self, function=USB, speed="high-speed", start=True, **named):
        board = Board(GUEST, self.rig, len(self.rig.devices) + 1, function, speed, **named)
        self.rig.devices.append(board)
        return board.start() if start else board

    def judge(self, finished):
        """The manifest, sealed in there, and the boards' own stores, judged out here."""
        self.switch_off()
        GUEST.imprint(self.rig, "seal")
        GUEST.pull(self.rig)
        self.rig.verify(self.rig.manifests()[-1])
        self.rig.imprint("ledger", "verify")
        judge.check_all(self.rig, finished)


class AtOnce(Case):
    def test_boards_of_every_kind_and_speed_at_once(self):
        boards = [self.board(USB, speed) for speed in ("full-speed", "high-speed", "super-speed")]
        boards += [self.board(ACM), self.board(ACM, "full-speed"), self.board(GENERIC),
                   self.board(GENERIC)]
        code, slots, said = GUEST.run_json(self.rig)
        self.assertEqual((code, {slot: e["event"] for slot, e in slots.items()}), (0, {
            slot: "pass" for slot in ("U1", "U2", "U3", "A1", "A2", "G1", "G2")}), (slots, said))
        self.assertNotIn("namespaces", said)
        self.judge(boards)


class HotPlug(Case):
    def test_boards_come_and_go_while_the_station_runs(self):
        first = self.board(USB)
        line = GuestLine(GUEST, self.rig)
        self.addCleanup(line.close)
        serial = line.wait_state("U1", "pass", 120)["serial"]
        serials = [serial]
        for kind, slot in ((ACM, "A1"), (GENERIC, "G1")):
            self.board(kind)
            serials.append(line.wait_state(slot, "pass", 120)["serial"])
        first.pull()
        line.wait_state("U1", "empty", 120)
        second = self.board(USB, start=False)
        second.controller = first.controller  # the same socket of the fixture
        second.start()
        serials.append(line.wait_state("U1", "pass", 120, again=False)["serial"])
        second.pull()
        line.wait_state("U1", "empty", 120)
        first.plug()
        self.assertEqual(line.wait_state("U1", "pass", 120, again=True)["serial"], serial)
        self.assertEqual(len(set(serials)), 4)
        code, end = line.quit()
        self.assertEqual((code, end["passed"], end["failed"]), (0, 5, 0), end)
        self.judge(self.rig.devices)

    def test_a_station_that_is_killed_leaves_no_board_behind(self):
        boards = [self.board(USB), self.board(ACM)]
        line = GuestLine(GUEST, self.rig)
        line.wait(lambda l: l.count("deliver"), 120)
        GUEST.sh("killall -9 imprint imprint-line imprint-opener || true")
        GUEST.wait(line.number, 60)
        code, slots, said = GUEST.run_json(self.rig)
        self.assertEqual((code, {e["event"] for e in slots.values()}), (0, {"pass"}), (slots, said))
        status = json.loads(GUEST.imprint(self.rig, "status", "--json").stdout)["orders"][0]
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]), (2, 0, 0))
        self.judge(boards)


class Judged(Case):
    credentials = 0

    def test_a_board_keeps_the_specification_over_usb(self):
        for kind in (USB, ACM) if EVERYTHING else (USB,):
            board = self.board(kind)
            result = GUEST.imprint(self.rig, "conform", f"usb_path:{board.place()}", "--authority-key",
                                   self.rig.owner / "authority.key", "--timeout", 20000, "--lock",
                                   "--json", check=False)
            events = [json.loads(line) for line in result.stdout.splitlines()]
            failed = [e for e in events if e.get("result") == "fail"]
            self.assertEqual((result.returncode, failed), (0, []), result.stderr)
            self.assertGreater(events[-1]["passed"], 110)
            self.assertEqual(events[-1]["left"], "blank")


class WithoutRoot(Case):
    def run_as_nobody(self):
        """`imprint run --once --json` of a user in the group of serial ports: (exit status, slots, errors)."""
        command = GUEST.station(self.rig, *self.rig.once(("run", self.rig.job, "--json")))
        result = GUEST.sh(f"chown -R nobody {self.rig.dir}; cd /\n"
                          f"exec su nobody -s /bin/sh -c {shlex.quote(command)}", check=False)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return (result.returncode, {e["slot"]: e for e in events if "slot" in e}, result.stderr)

    def test_the_shipped_rule_lets_a_user_open_boards(self):
        boards = [self.board(USB), self.board(ACM)]
        code, slots, said = self.run_as_nobody()
        self.assertEqual({e["error"] for e in slots.values()}, {"ERR_IO"}, (code, slots, said))
        self.assertIn("install the station's udev rule", slots["U1"]["text"])
        GUEST.sh(f"{UDEVD} --daemon >/share/udevd.log 2>&1")
        self.addCleanup(GUEST.sh, "killall systemd-udevd || true")  # its children end by themselves
        for board in boards:
            board.pull().plug()
        GUEST.sh(f"{UDEVADM} settle")
        code, slots, said = self.run_as_nobody()
        self.assertEqual((code, {e["event"] for e in slots.values()}), (0, {"pass"}), (slots, said))
        GUEST.sh(f"chown -R root {self.rig.dir}")  # whose PIN file is another's is refused
        self.judge(boards)


class Pulled(Case):
    """The cable comes off in the middle of a transfer, and is put back."""

    KINDS = [(USB, "high-speed"), (ACM, "high-speed"), (USB, "full-speed"), (USB, "super-speed"),
             (ACM, "full-speed"), (GENERIC, "high-speed"), (USB, "high-speed"), (ACM, "high-speed")]
    STEP = 13 if EVERYTHING else 307
    ROUNDS = 44 if EVERYTHING else 2
    credentials = len(KINDS) * ROUNDS
    # Each board has its own place, whatever becomes of the others.
    rules = "".join(f"  - usb_path: '{bus}-1'\n    slot: B{bus}\n" for bus in range(1, 25))

    def pull_and_put_back(self, first):
        """All boards at once, each at another byte; the bytes at which something broke."""
        boards = [self.board(*kind, start=False) for kind in self.KINDS]
        for at, board in enumerate(boards):
            board.controller = f"dummy_udc.{at}"
            board.start(pull_after=first + at * self.STEP)
        slots_of = {f"B{board.place().split('-')[0]}": board for board in boards}
        _, pulled, said = GUEST.run_json(self.rig)
        self.assertEqual(set(pulled), set(slots_of), said)
        for slot, board in slots_of.items():
            board.put_back(came_off=pulled[slot]["event"] == "fail")
        code, finished, said = GUEST.run_json(self.rig)
        self.assertEqual((code, {s["event"] for s in finished.values()}), (0, {"pass"}),
                         (first, pulled, finished, said))
        for slot, before in pulled.items():
            where = (slots_of[slot].function, first, before)
            self.assertIn((before["event"], before.get("error")),
                          [("pass", None), ("fail", "ERR_GONE")], where)
            self.assertIn(before.get("serial"), (None, finished[slot]["serial"]), where)
        for board in boards:
            board.stop()
        numbers = {slot: boards.index(board) for slot, board in slots_of.items()}
        return sorted(first + numbers[slot] * self.STEP for slot, before in pulled.items()
                      if before["event"] == "fail")

    def test_pulled_in_the_middle_of_a_transfer_the_identity_is_the_same(self):
        broken = []
        for number in range(self.ROUNDS):
            broken += self.pull_and_put_back(1 + number * len(self.KINDS) * self.STEP)
        print(f"pulled in transfers after {', '.join(map(str, broken))} bytes")
        self.assertGreater(len(broken), len(self.KINDS) * self.ROUNDS // 2)
        status = json.loads(GUEST.imprint(self.rig, "status", "--json").stdout)["orders"][0]
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]),
                         (len(self.rig.devices), 0, 0))
        self.judge(self.rig.devices)


class Sizes(Case):
    """A transfer that fills its last packet ends with an empty one: otherwise the other side waits."""

    credentials = 0
    PACKETS = {"full-speed": 64, "high-speed": 512, "super-speed": 1024}

    def ask(self, board, *sizes):
        """The lengths of the replies to requests of these sizes."""
        result = GUEST.run(SIZES, board.place(), *sizes, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        lines = [line.split() for line in result.stdout.splitlines()]
        self.assertEqual([int(size) for size, _ in lines], list(sizes))
        return [int(reply) for _, reply in lines]

    def test_requests_around_whole_packets_are_answered(self):
        for speed, packet in self.PACKETS.items():
            board = self.board(USB, speed)
            sizes = [s for whole in (1, 2, 3, 4) for s in (whole * packet - 1, whole * packet,
                                                          whole * packet + 1) if 64 <= s <= 4096]
            self.ask(board, *sizes)

    def reply_with(self, board, more, split):
        """The length of a HELLO to which so many bytes are added, the first of them in its version."""
        board.stop()
        board.firmware = "1" * (1 + min(more, split))
        board.chip = "c0ffee01" + "01" * max(0, more - split)
        return self.ask(board.start(), 129)[0]

    def test_replies_of_whole_packets_arrive(self):
        board, more, tried = self.board(USB, "full-speed", start=False), 0, set()
        while (replied := self.reply_with(board, more, 31 if more not in tried else 15)) % 64:
            self.assertLess(len(tried), 12, "no HELLO fills its packets")
            tried.add(more)
            more = (more + 32 - (replied + 32) % 64) % 59  # a longer text has a longer head, too


class Listed(Case):
    credentials = 0
    rules = """\
  - usb: 1209:0007
    slot: X
  - usb_path: 99-1
    slot: Y
  - usb: 1209:0004
    slot: A
"""

    def test_what_is_plugged_in_says_which_rule_names_it_and_why_not(self):
        boards = [self.board(USB), self.board(ACM)]
        result = GUEST.imprint(self.rig, "devices", self.rig.job, "--json")
        ports = {p["port"]: p for p in map(json.loads, result.stdout.splitlines()) if p["port"]}
        usb, acm = ports[f"usb:{boards[0].place()}"], ports["/dev/ttyACM0"]
        self.assertEqual((usb["slot"], usb["usb"], usb["driver"]), (None, "1209:0001", None))
        self.assertEqual([(w["rule"], w["field"], w["wants"], w["has"]) for w in usb["why"]], [
            (1, "product", "0007", "0001"), (2, "usb_path", "99-1", boards[0].place()),
            (3, "product", "0004", "0001")])
        self.assertEqual((acm["slot"], acm["usb_path"], acm["driver"]),
                         ("A", boards[1].place(), "cdc_acm"))

    def test_a_device_that_is_meant_and_gives_no_port_says_so(self):
        board = self.board(ACM)
        interface = f"{board.place()}:1.0"
        GUEST.sh(f"echo -n {interface} >/sys/bus/usb/drivers/cdc_acm/unbind")
        result = GUEST.imprint(self.rig, "devices", self.rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["NO_PORT"])
        self.assertIn("rule 3 (slot A): driver is none: it needs a serial port or a vendor-specific "
                      "bulk interface", result.stdout)


class Page(Case):
    rules = "  - usb: 1209:0001\n    slot: U{n}\n  - usb: 1209:0004\n    slot: A{n}\n"

    def test_the_page_for_linux_boards_works_word_for_word(self):
        ways, away = blocks_of("docs/linux-board.md")[:2], blocks_of("docs/linux-board.md")[2]
        GUEST.sh(f"ln -sf {TOOL} /bin/gadget; ln -sf {GADGET} /bin/imprint-gadget\n"
                 f"mkdir -p /etc/imprint /var/lib\ncp {self.rig.owner}/authority.pub /etc/imprint/")
        run = self.rig.once(("run", self.rig.job, "--json"))
        result = GUEST.sh("set -eu\n" + "".join(block.script for block in ways) +
                          "until [ -e /dev/ttyACM0 ]; do usleep 50000; done; usleep 500000\n" +
                          GUEST.station(self.rig, *run) + "\n" +
                          away.script.replace("kill %1 %2", "kill $(pidof imprint-gadget)"))
        slots = {e["slot"]: e["event"] for e in map(json.loads, result.stdout.splitlines())
                 if "slot" in e}
        self.assertEqual(slots, {"U1": "pass", "A1": "pass"}, result.stderr)


if __name__ == "__main__":
    REASON = why_not()
    if REASON:
        print(f"SKIP: {REASON}")
        sys.exit(77)
    unittest.main(verbosity=2)
