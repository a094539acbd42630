"""Scanners on the station: a slot and then a unit, labels that are compared, and units that were swapped."""
import os
import struct
import time
import tty
import unittest

from rig import EXIT, Line, Rig
from test_line import Fixture

ORDER = {"serials": {"only": {"prefix": ""}}, "gtin": "09506000134352"}
SCANNED = "  source: scanned\n"
UDI = "]d2010950600013435210L7\x1d21"


class Scanner:
    """A scanner on a serial port: what it reads is written, as it is."""

    def __init__(self, case, number):
        self.case, self.name = case, f"ttySCAN{number}"
        self.port = f"/dev/{self.name}"
        self.plug_in(case.rig.dir / "ports" / self.name)

    def plug_in(self, link):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        os.close(slave)

    def scan(self, *codes, end="\r"):
        """One after the other, as a hand does: the station says something about each."""
        for code in codes:
            said = self.said()
            self.send(code + end)
            self.case.line.wait(lambda _: self.said() > said, 20)

    def send(self, text):
        os.write(self.master, text.encode())

    def said(self):
        return sum(e.get("event") == "scanned" and e["state"] not in ("scanner", "expired")
                   for e in self.case.line.events)

    def close(self):
        os.close(self.master)


class Keyboard(Scanner):
    """A scanner that types: its events come as the kernel's would, over a terminal that stands for its
    device. Whether the kernel grants the grab is the only thing that is not tried."""
    SHIFT, CONTROL = 42, 29
    ROWS = {2: ("1234567890-=", "!@#$%^&*()_+"), 16: ("qwertyuiop[]\r", "QWERTYUIOP{}\r"),
            30: ("asdfghjkl;'`", 'ASDFGHJKL:"~'), 43: ("\\zxcvbnm,./", "|ZXCVBNM<>?")}

    def __init__(self, case, number):
        self.case = case
        self.port = f"input:/dev/input/scanner{number}"
        self.link = case.rig.dir / "ports" / "input" / f"scanner{number}"
        self.plug_in(self.link)

    def keys(self, character):
        """The key, and what is held with it."""
        if character == "\x1d":
            return 27, self.CONTROL
        if character == "\t":
            return 15, None
        for first, rows in self.ROWS.items():
            for held, row in zip((None, self.SHIFT), rows):
                if character in row:
                    return first + row.index(character), held
        raise ValueError(character)

    def press(self, *codes):
        """Each goes down, and up again in the other order."""
        pairs = [(code, 1) for code in codes] + [(code, 0) for code in reversed(codes)]
        os.write(self.master, b"".join(struct.pack("@qqHHi", 0, 0, 1, code, value) +
                                       struct.pack("@qqHHi", 0, 0, 0, 0, 0) for code, value in pairs))

    def send(self, text):
        for character in text:
            code, held = self.keys(character)
            self.press(*([held] if held else []), code)


class ScannerCase(unittest.TestCase):
    SCANNER = Scanner

    def make(self, scanners=(("left", ()),), slots=2, credentials=0, serials=SCANNED, label="",
             order=None, labels=None):
        """A station with scanners and fixtures S1, S2, ..., and its line, which runs."""
        self.rig = Rig(order={**ORDER, **(order or {})}, job={"serials": serials})
        self.addCleanup(self.rig.close)
        self.scanners = [self.SCANNER(self, n) for n in range(len(scanners))]
        for scanner in self.scanners:
            self.addCleanup(scanner.close)
        text = "scanners:\n" + "".join(
            f"  - name: {name}\n    port: {self.scanners[n].port}\n" +
            (f"    slots: [{', '.join(of)}]\n" if of else "")
            for n, (name, of) in enumerate(scanners))
        config = self.rig.station / "station.yaml"
        config.write_text(config.read_text() + text)
        self.fixtures = [Fixture(self.rig, f"s{n}") for n in range(1, slots + 1)]
        for fixture in self.fixtures:
            self.addCleanup(self.close, fixture)
        ports = "".join(f"  - unix: {f.path}\n    slot: S{n}\n" for n, f in enumerate(self.fixtures, 1))
        self.rig.write_job(ports=ports, serials=serials, more=label)
        if labels:
            (self.rig.dir / "labels").write_text(labels)
        if credentials:
            self.rig.imprint("generate", self.rig.job, "--count", credentials)
        self.start(len(scanners))
        for n in range(1, slots + 1):
            self.line.wait_state(f"S{n}", "wait")
        return self.scanners[0]

    def start(self, scanners):
        """The line runs, and has its scanners."""
        self.line = Line(self.rig)
        self.addCleanup(self.line.close)
        self.line.wait(lambda l: sum(e.get("event") == "scanned" and e["state"] == "scanner" and
                                     e["text"].endswith("is ready") for e in l.events) == scanners)

    @staticmethod
    def close(fixture):
        fixture.hang_up = True
        fixture.close()

    def put_in(self, slot, device=None):
        device = device or self.rig.add_device()
        self.fixtures[slot - 1].put_in(device)
        return device

    def scanned(self, state, text="", **members):
        """Waits for what a scanner said; takes it off the list."""
        def found(line):
            for event in line.events:
                if event.get("event") == "scanned" and event["state"] == state and \
                        text in event["text"] and all(event.get(k) == v for k, v in members.items()):
                    line.events.remove(event)
                    return event
            return None
        return self.line.wait(found, 20)

    def records(self):
        self.line.quit()
        self.rig.seal()
        return self.rig.records()


class Arming(ScannerCase):
    def test_a_slot_and_then_a_unit(self):
        """Two scans, no key; before the device is there, or while it waits."""
        scanner = self.make(label="label:\n  kind: gs1\n  lot: L7\n")
        scanner.scan("SLOT:S1", UDI + "AB/12")
        self.scanned("slot", slot="S1")
        self.scanned("armed", slot="S1", serial="AB/12")
        self.put_in(1)
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "AB/12")
        self.put_in(2)
        self.assertEqual(self.line.wait_state("S2", "scan")["scan"], "unit")
        scanner.scan("]C0SLOT:S2(01)09506000134352(10)L7(21)AB/13")
        self.scanned("refused")  # two codes in one: no end between them
        self.line.wait_state("S2", "scan")
        scanner.scan("SLOT:S2", "(01)09506000134352(10)L7(21)AB/13")
        self.assertEqual(self.line.wait_state("S2", "pass")["serial"], "AB/13")
        self.assertEqual(sorted(r["sn"] for r in self.records()), ["AB/12", "AB/13"])

    def test_what_is_refused_touches_no_device(self):
        scanner = self.make(label="label:\n  kind: gs1\n")
        device = self.put_in(1)
        self.line.wait_state("S1", "scan")
        before = self.rig.imprint("ledger", "show").stdout
        for code, text in (("]C0AB/12", "wrong kind of code"),
                           ("(01)00036000291452(21)AB/12", "wrong product"),
                           ("]d2010950600013435321AB/12", "the check digit"),
                           (UDI + "A", "less than 2"),
                           ("A" * 500, "longer than 400 bytes")):
            scanner.scan("SLOT:S1", code)
            self.scanned("refused", text)
        scanner.scan("SLOT:S9")
        self.scanned("refused", "no slot 'S9'")
        scanner.scan("SLOT:S2", UDI + "xy/1", "SLOT:S1", UDI + "XY/1")
        self.scanned("refused", "was scanned for slot 'S2' already")
        scanner.scan("SLOT:S1", UDI + "AB/12")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "AB/12")
        self.assertNotEqual(self.rig.imprint("ledger", "show").stdout, before)
        self.assertEqual(self.line.count("deliver"), 1)
        scanner.scan("SLOT:S2", UDI + "AB/12")
        self.scanned("refused", "another device has the serial 'AB/12'")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        self.put_in(1, device)  # comes back: passes again, without a scan
        self.assertTrue(self.line.wait_state("S1", "pass")["again"])

    def test_30_seconds(self):
        scanner = self.make(slots=1)
        scanner.scan("SLOT:S1", "UNIT-1")
        self.scanned("armed", slot="S1")
        self.line.wait(lambda l: any(e.get("state") == "expired" for e in l.events), 40)
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        scanner.scan("UNIT-1")
        self.scanned("refused", "without a slot")

    def test_two_operators_never_mix(self):
        self.make(scanners=(("left", ["S1"]), ("right", ["S2"])))
        left, right = self.scanners
        left.scan("SLOT:S2")
        self.scanned("refused", "scanner 'left' is not for slot 'S2'")
        left.scan("SLOT:S1")
        self.scanned("slot", slot="S1")
        right.scan("UNIT-2")  # the other's slot is not this one's
        self.scanned("refused", "without a slot")
        right.scan("SLOT:S2", "UNIT-2")
        left.scan("UNIT-1")
        self.scanned("armed", slot="S2", serial="UNIT-2")
        self.scanned("armed", slot="S1", serial="UNIT-1")
        self.put_in(1)
        self.put_in(2)
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-1")
        self.assertEqual(self.line.wait_state("S2", "pass")["serial"], "UNIT-2")

    def test_a_printed_code_is_one_code(self):
        """A label that holds the ends of codes arms nothing, nor does what is left of a code."""
        scanner = self.make(slots=1)
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        for end in "\r", "\n", "\t":
            scanner.scan(f"UNIT-0{end}SLOT:S1{end}UNIT-1")
            self.scanned("refused", "several codes came at once")
            time.sleep(1.1)
        scanner.scan("SLOT:S1", "UNIT-1", end="")  # it has ended codes before
        for _ in range(2):
            self.scanned("refused", "came in part")
        time.sleep(1.1)
        scanner.scan("SLOT:S1")
        scanner.scan("UN", end="")
        scanner.scan("IT-1")
        for _ in range(2):
            self.scanned("refused", "came in part")
        self.assertEqual(self.line.count("deliver"), 0)
        time.sleep(1.1)
        scanner.scan("SLOT:S1", "UNIT-2")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-2")

    def test_a_scanner_without_a_suffix(self):
        scanner = self.make(slots=1)
        self.put_in(1)
        scanner.scan("SLOT:S1", "UNIT-1", end="")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-1")

    def test_labels_from_before_the_line_began(self):
        """What is armed is never shadowed by them; once used they are none for the next unit."""
        scanner = self.make(serials=SCANNED + "  input: labels\n", labels="S1 UNIT-1\n")
        scanner.scan("SLOT:S1", "UNIT-2")
        self.scanned("refused", "has the label 'UNIT-1' since before the line began")
        scanner.scan("SLOT:S2", "unit-1")
        self.scanned("refused", "was scanned for slot 'S1' already")
        self.put_in(1)
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-1")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        scanner.scan("SLOT:S1", "UNIT-2")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-2")

    def test_a_refused_device_disarms(self):
        scanner = self.make(slots=1)
        scanner.scan("SLOT:S1", "UNIT-1")
        device = self.put_in(1)
        self.line.wait_state("S1", "pass")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        scanner.scan("SLOT:S1", "UNIT-2")
        self.scanned("armed", serial="UNIT-2")
        self.put_in(1, device)
        self.scanned("expired", "the device in it was refused", slot="S1", serial="UNIT-2")
        self.line.wait_state("S1", "fail", action="swap")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        self.put_in(1)
        self.line.wait_state("S1", "scan", scan="unit")

    def test_nothing_begins_while_it_is_paused(self):
        scanner = self.make(slots=1)
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        self.line.say(command="pause")
        self.line.wait(lambda l: any(e.get("state") == "paused" for e in l.events))
        scanner.scan("SLOT:S1", "UNIT-1")
        self.scanned("armed")
        time.sleep(2)
        self.assertEqual(self.line.count("deliver"), 0)
        self.line.say(command="resume")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-1")

    def test_a_scanner_types_no_command(self):
        scanner = self.make(slots=1)
        for code in ('{"command":"quit"}', "quit", "q", "\x03", "\x1b[12~"):
            scanner.scan(code)
            self.scanned("refused")
        self.put_in(1)
        scanner.scan("SLOT:S1", "UNIT-1")
        self.line.wait_state("S1", "pass")


class Typing(ScannerCase):
    SCANNER = Keyboard

    def test_a_scanner_that_types(self):
        scanner = self.make(label="label:\n  kind: gs1\n")
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        scanner.scan("SLOT:S1", UDI + "Ab/1%2")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "Ab/1%2")

    def test_a_key_that_is_no_character_spoils_its_code(self):
        scanner = self.make(slots=1)
        self.put_in(1)
        self.line.wait_state("S1", "scan")
        scanner.scan("SLOT:S1")
        scanner.send("UNIT-")
        scanner.press(59)  # F1
        scanner.scan("1")
        self.scanned("refused", "control character")
        self.assertEqual(self.line.count("deliver"), 0)

    def test_it_is_unplugged_and_comes_back(self):
        scanner = self.make(slots=1)
        self.put_in(1)
        scanner.scan("SLOT:S1")
        scanner.link.unlink()
        scanner.close()
        self.scanned("scanner", "is gone")
        scanner.plug_in(scanner.link)
        self.scanned("scanner", "is ready")
        scanner.scan("SLOT:S1", "UNIT-1")
        self.assertEqual(self.line.wait_state("S1", "pass")["serial"], "UNIT-1")


class Checking(ScannerCase):
    CHECK = "label:\n  check: true\n"

    def test_a_good_unit_takes_three_scans(self):
        scanner = self.make(slots=1, label=self.CHECK)
        self.put_in(1)
        scanner.scan("SLOT:S1", "UNIT-1")
        event = self.line.wait_state("S1", "scan", scan="label")
        self.assertEqual(event["serial"], "UNIT-1")
        scanner.scan("UNIT-1")
        self.scanned("label", slot="S1")
        self.line.wait_state("S1", "pass")
        self.assertEqual([(r["t"], r["sn"]) for r in self.records()], [("add", "UNIT-1")])

    def test_swapped_units_are_never_whitelisted(self):
        """Scanned for S1 and S2, and put in the other way round: both are void, and made again."""
        scanner = self.make(label=self.CHECK)
        scanner.scan("SLOT:S1", "UNIT-A", "SLOT:S2", "UNIT-B")
        self.scanned("armed", slot="S2")
        labels = {1: "UNIT-B", 2: "UNIT-A"}  # what stands on the unit in each slot
        devices = {n: self.put_in(n) for n in (1, 2)}
        for n in (1, 2):
            self.line.wait_state(f"S{n}", "scan", scan="label")
        scanner.scan("UNIT-A")  # two slots wait: it could be either
        self.scanned("refused", "without a slot")
        for n in (1, 2):
            scanner.scan(f"SLOT:S{n}", labels[n])
            self.scanned("mismatch", "LABEL_MISMATCH", slot=f"S{n}")
            event = self.line.wait_state(f"S{n}", "fail", error="ERR_LABEL_MISMATCH")
            self.assertEqual((event["exit"], event["action"]), (EXIT["LABEL_MISMATCH"], "set_aside"))
            self.assertIn(f"says '{labels[n]}'", event["text"])
        for n in (1, 2):
            self.line.say(command="ack", slot=f"S{n}")
            self.line.wait_state(f"S{n}", "scan", scan="unit")
            scanner.scan(f"SLOT:S{n}", labels[n])
            self.line.wait_state(f"S{n}", "scan", scan="label")
            scanner.scan(f"SLOT:S{n}", labels[n])
            self.line.wait_state(f"S{n}", "pass")
        records = self.records()
        self.assertEqual(sorted((r["t"], r["sn"]) for r in records),
                         [("add", "UNIT-A"), ("add", "UNIT-B"), ("void", "UNIT-A"), ("void", "UNIT-B")])
        for n, device in devices.items():
            [record] = [r for r in records if r["t"] == "add" and r["chip"] == device.chip]
            self.assertEqual(record["sn"], labels[n])

    def test_what_happens_between_two_codes_burns_and_arms_nothing(self):
        """What the codes were for was on the tile when the first of them was scanned."""
        scanner = self.make(slots=1, label=self.CHECK)
        scanner.scan("SLOT:S1", "UNIT-1", "SLOT:S1")  # and the next unit is at hand
        self.put_in(1)
        self.line.wait_state("S1", "scan", scan="label")
        scanner.scan("UNIT-2")
        self.scanned("refused", "went on since its code was scanned")
        scanner.scan("SLOT:S1")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "fail", action="reseat")
        scanner.scan("UNIT-1")
        self.scanned("refused", "went on since its code was scanned")
        self.fixtures[0].put_in(self.rig.devices[0])
        self.line.wait_state("S1", "scan", scan="label")
        scanner.scan("SLOT:S1", "UNIT-1")
        self.line.wait_state("S1", "pass")
        self.assertEqual([(r["t"], r["sn"]) for r in self.records()], [("add", "UNIT-1")])

    def test_only_the_label_of_another_unit_condemns(self):
        scanner = self.make(slots=1, label=self.CHECK,
                            order={"serials": {"only": {"prefix": "UNIT-"}}})
        scanner.scan("SLOT:S1", "UNIT-1a")
        self.put_in(1)
        self.line.wait_state("S1", "scan", scan="label")
        for code, text in (("4006381333931", "is the label of no unit of this order"),
                           ("UNIT-1A", "differ in upper and lower case")):
            scanner.scan("SLOT:S1", code)
            self.scanned("refused", text)
        scanner.scan("SLOT:S1")
        scanner.scan("UNIT-1", end="")
        self.scanned("refused", "came in part")
        time.sleep(1.1)
        scanner.scan("UNIT-1a")
        self.line.wait_state("S1", "pass")
        self.assertEqual([(r["t"], r["sn"]) for r in self.records()], [("add", "UNIT-1a")])

    def test_a_label_is_used_when_its_unit_passed(self):
        scanner = self.make(slots=1, label=self.CHECK, serials=SCANNED + "  input: labels\n",
                            labels="S1 UNIT-1\n")
        device = self.put_in(1)
        self.line.wait_state("S1", "scan", scan="label")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        self.put_in(1)
        self.line.wait_state("S1", "fail", error="ERR_DUPLICATE")
        self.fixtures[0].take_out()
        self.line.wait_state("S1", "wait")
        self.put_in(1, device)
        self.line.wait_state("S1", "scan", scan="label")
        scanner.scan("UNIT-1")
        self.line.wait_state("S1", "pass")

    def test_a_unit_that_waits_at_the_end(self):
        """It is installed: the operator hears so, and what is left to do."""
        scanner = self.make(slots=1, label=self.CHECK)
        self.put_in(1)
        scanner.scan("SLOT:S1", "UNIT-1")
        self.line.wait_state("S1", "scan", scan="label")
        scanner.scan("SLOT:S1", "UNIT-2")  # while it is in work nothing is armed, but it is condemned
        self.line.wait_state("S1", "fail", error="ERR_LABEL_MISMATCH")
        self.line.say(command="ack", slot="S1")
        self.line.wait_state("S1", "scan", scan="unit")
        scanner.scan("SLOT:S1", "UNIT-3")
        self.line.wait_state("S1", "scan", scan="label")
        self.line.quit()
        event = self.line.states["S1"]
        self.assertEqual((event["event"], event["action"]), ("fail", "scan"))
        self.assertIn("'UNIT-3' is installed and its label was not scanned yet", event["text"])

    def test_labels_that_are_printed_afterwards(self):
        """Serials of the job. What was proven and not scanned counts nothing, and goes on later."""
        scanner = self.make(slots=1, credentials=2, label=self.CHECK, order={"serials": {}},
                            serials="  prefix: PUMP-\n  digits: 6\n  first: 1\n")
        scanner.scan("SLOT:S1", "PUMP-000001")
        self.scanned("refused", "does not ask for a label")
        self.put_in(1)
        self.line.wait_state("S1", "scan", scan="label")
        self.assertEqual(self.line.quit()[0], 0)
        self.rig.seal()
        self.assertEqual(self.rig.records(), [])
        self.fixtures[0].hang_up = True
        self.start(1)
        self.line.wait_state("S1", "scan", scan="label")
        scanner.scan("PUMP-000001")
        self.line.wait_state("S1", "pass")
        self.assertEqual([(r["t"], r["sn"]) for r in self.records()], [("add", "PUMP-000001")])

    def test_without_a_scanner_nothing_is_begun(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        rig.write_job(more=self.CHECK)
        device = rig.add_device()
        code, _, stderr = rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertIn("has no scanner", stderr)
        self.assertIsNone(device.export())


if __name__ == "__main__":
    unittest.main()
