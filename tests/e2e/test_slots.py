"""What a slot and the job ask of a unit, and what a slot's own failures lead to."""
import json
import unittest

from rig import EXIT, Line, Rig
from test_line import Fixture
from test_scanners import ScannerCase

REQUIRE = "require:\n  firmware: 1.4.2\n  debug: closed\n"


class SlotCase(unittest.TestCase):
    def make(self, slots=1, credentials=4, **job):
        """A station, and fixtures S1, S2, ... without devices."""
        self.rig = Rig(credentials=credentials)
        self.addCleanup(self.rig.close)
        self.fixtures = [Fixture(self.rig, f"s{n}") for n in range(1, slots + 1)]
        for fixture in self.fixtures:
            self.addCleanup(self.close, fixture)
        self.job = {"ports": "".join(f"  - unix: {f.path}\n    slot: S{n}\n"
                                     for n, f in enumerate(self.fixtures, 1)), **job}
        self.rig.write_job(**self.job)

    @staticmethod
    def close(fixture):
        fixture.hang_up = True
        fixture.close()

    def start(self):
        self.line = Line(self.rig)
        self.addCleanup(self.line.close)
        return self.line

    def reconcile(self):
        out = self.rig.imprint("reconcile", "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def sent_back(self):
        return [e for e in self.reconcile() if e["event"] == "sent_back"]


class Require(SlotCase):
    def test_a_unit_with_old_firmware_costs_nothing_and_passes_after_flashing(self):
        self.make(more=REQUIRE)
        device = self.rig.add_device(start=False)
        device.start("--firmware", "1.4.1")
        before = self.rig.order_status()
        line = self.start()
        self.fixtures[0].put_in(device)
        failed = line.wait_state("S1", "fail")
        self.assertEqual((failed["error"], failed["action"]), ("ERR_REFUSED", "send_back"))
        self.assertIn("firmware '1.4.1' and the job requires '1.4.2'", failed["text"])
        line.quit()
        self.assertEqual(self.rig.order_status(), before)
        back, = self.sent_back()
        self.assertEqual((back["chip"], back["slot"], back["why"]), (device.chip, "S1", failed["text"]))
        self.assertIn("was sent back from slot S1", self.rig.imprint("reconcile").stdout)

        self.fixtures[0].take_out()
        device.stop()
        device.start()  # flashed: 1.4.2
        line = self.start()
        self.fixtures[0].put_in(device)
        self.assertFalse(line.wait_state("S1", "pass")["again"])
        line.quit()
        self.assertEqual(self.sent_back(), [])

    def test_an_open_debug_port_is_refused(self):
        self.make(more=REQUIRE)
        line = self.start()
        self.fixtures[0].put_in(self.rig.add_device("--debug"))
        failed = line.wait_state("S1", "fail")
        self.assertEqual(failed["action"], "send_back")
        self.assertIn("debug port is open", failed["text"])


BAD_CONTACT = "--fault=slow=400"  # it says HELLO, and no answer after it comes in time
IMPATIENT = {"request_ms": 200, "repeats": 0, "more": "  retries: 0\n"}


def let_fail(line, fixture, slot, device):
    """A unit that fails, in the place of the one before; it stays until the next one comes."""
    failed = line.count("fail", slot)
    fixture.put_in(device)
    line.wait(lambda l: l.count("fail", slot) > failed)
    return [e for e in line.events if e.get("event") == "fail" and e["slot"] == slot][-1]


class CountedCase(SlotCase):
    def make(self, *arguments, failures=3, **named):
        super().make(*arguments, **{**IMPATIENT, **named})
        self.rig.set_slots(f"  failures: {failures}\n")

    def slots(self):
        out = self.rig.imprint("slots", "--json").stdout
        return {e["slot"]: e for e in map(json.loads, out.splitlines())}

    def fail_often(self, line, count, slot=1):
        devices = [self.rig.add_device(BAD_CONTACT) for _ in range(count)]
        for device in devices:
            event = let_fail(line, self.fixtures[slot - 1], f"S{slot}", device)
            self.assertEqual((event["error"], event["action"]), ("ERR_TIMEOUT", "reseat"))
        return devices


class Failing(CountedCase):
    def test_three_in_a_row_disable_a_slot_until_somebody_acknowledges(self):
        self.make(2, credentials=6)
        line = self.start()
        devices = self.fail_often(line, 3)
        disabled = line.wait_state("S1", "disabled")
        self.assertEqual(disabled["reason"], "failures")
        self.assertIn("3 units in a row failed in slot 'S1'", disabled["text"])

        self.fixtures[0].put_in(self.rig.add_device())  # a good one gets nothing there
        hellos = line.count("hello", "S1")
        units = {}
        for device in devices:  # and those that failed go on elsewhere
            device.stop()
            device.options.remove(BAD_CONTACT)
            device.start()
            self.fixtures[1].put_in(device)
            passed = line.wait(lambda l, n=len(units): l.count("pass", "S2") > n and l.states["S2"])
            units[device.chip] = passed["serial"]
            self.fixtures[1].take_out()
            line.wait_state("S2", "wait")
        self.assertEqual((line.count("hello", "S1"), line.states["S1"]["event"]), (hellos, "disabled"))
        line.quit()
        self.assertEqual(self.rig.order_status()["burned"], 0)  # with the credentials that they had
        self.assertEqual(sorted(units.values()), [f"PUMP-00000{n}" for n in (1, 2, 3)])

        line = self.start()  # it is no less disabled after a restart
        line.wait_state("S1", "disabled")
        self.assertEqual((self.slots()["S1"]["state"], self.slots()["S1"]["failures"]), ("disabled", 3))
        line.say(command="ack", slot="S1")
        line.wait_state("S1", "pass")
        line.quit()
        slots = self.slots()
        self.assertEqual((slots["S1"]["state"], slots["S1"]["units"], slots["S1"]["yield"]),
                         ("good", 4, 25.0))
        self.assertEqual((slots["S2"]["units"], slots["S2"]["yield"]), (3, 100.0))

    def test_a_unit_that_is_refused_or_passes_is_no_bad_contact(self):
        self.make(1, credentials=6, more=IMPATIENT["more"] + REQUIRE)
        line = self.start()
        self.fail_often(line, 2)
        for _ in range(3):  # refused, and the row of failures is what it was
            event = let_fail(line, self.fixtures[0], "S1", self.rig.add_device("--debug"))
            self.assertEqual(event["action"], "send_back")
        self.fixtures[0].put_in(self.rig.add_device())
        line.wait_state("S1", "pass")
        self.fail_often(line, 2)
        self.assertEqual(line.count("disabled"), 0)
        self.fail_often(line, 1)
        line.wait_state("S1", "disabled")
        line.quit()

    def test_with_once_it_is_refused_and_who_looks_after_it_acknowledges(self):
        self.make(1, failures=1)
        line = self.start()
        self.fail_often(line, 1)
        line.wait_state("S1", "disabled")
        line.quit()
        code, slots, _ = self.rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["action"]), (EXIT["REFUSED"], "acknowledge"))
        self.assertEqual(self.rig.imprint("slots", "acknowledge", "S1", check=False).returncode,
                         EXIT["USAGE"])  # somebody answers for it
        self.rig.imprint("slots", "acknowledge", "S1", "--by", "Ada", "--reason", "cleaned")
        self.fixtures[0].put_in(self.rig.add_device())
        self.assertEqual(self.rig.run_json()[1]["S1"]["event"], "pass")
        entry = json.loads(self.rig.imprint("ledger", "show", "--event", "slot").stdout)
        self.assertEqual(entry["data"], {"care": "acknowledged", "slot": "S1", "units": 1})


class Contacts(CountedCase):
    def pass_one(self, line):
        passed = line.count("pass")
        self.fixtures[0].put_in(self.rig.add_device())
        line.wait(lambda l: l.count("pass") > passed)
        self.fixtures[0].take_out()

    def notices(self, line):
        return [e["text"] for e in line.events if e["event"] == "notice" and "contacts" in e["text"]]

    def test_contacts_are_warned_of_then_refused_until_they_are_renewed(self):
        self.make(1, credentials=14, request_ms=2000)
        self.rig.set_slots("  contacts: 1000\n  limits:\n    - slot: S1\n      contacts: 10\n")
        line = self.start()
        for _ in range(8):
            self.pass_one(line)
            line.wait_state("S1", "wait")
        self.assertEqual(self.notices(line), [])
        self.pass_one(line)
        line.wait_state("S1", "wait")
        self.assertEqual(self.notices(line),
                         ["9 of 10 units were in slot 'S1': have its contacts renewed soon"])
        self.pass_one(line)
        disabled = line.wait_state("S1", "disabled")
        self.assertEqual(disabled["reason"], "contacts")
        line.say(command="ack", slot="S1")
        line.wait(lambda l: [e for e in l.events if e.get("command") == "ack" and not e["ok"]])
        self.assertEqual(line.states["S1"]["event"], "disabled")
        line.quit()
        self.assertIn("worn out  contacts 10 of 10  yield 100.0 % of 10", self.rig.imprint("slots").stdout)
        self.rig.imprint("slots", "renew", "S1", "--by", "Ada", "--reason", "new pins")
        self.assertEqual((self.slots()["S1"]["contacts"], self.slots()["S1"]["limit"]), (0, 10))
        line = self.start()
        self.pass_one(line)
        line.wait_state("S1", "wait")
        line.quit()


class Acknowledged(ScannerCase):
    def test_by_a_scan_of_its_code(self):
        scanner = self.make(slots=2, scanners=(("left", ("S1",)), ("right", ("S2",))))
        self.line.quit()
        self.rig.set_slots("  failures: 1\n")
        ports = "".join(f"  - unix: {f.path}\n    slot: S{n}\n" for n, f in enumerate(self.fixtures, 1))
        self.rig.write_job(ports=ports, serials="  source: scanned\n", **IMPATIENT)
        self.start(2)
        scanner.scan("SLOT:S1", "AB-1")
        self.scanned("armed", slot="S1")
        self.put_in(1, self.rig.add_device(BAD_CONTACT))
        self.line.wait_state("S1", "disabled")
        self.fixtures[0].take_out()
        self.scanners[1].scan("ACK:S1")
        self.scanned("refused", "is not for slot 'S1'")
        scanner.scan("ACK:S2")
        self.scanned("refused", "is not for slot 'S2'")
        self.assertEqual(self.line.states["S1"]["event"], "disabled")
        scanner.scan("ACK:S1")
        self.scanned("acknowledged", slot="S1")
        self.line.wait_state("S1", "wait")
        scanner.scan("ACK:S1")
        self.scanned("refused", "nothing to acknowledge")
        self.line.quit()


if __name__ == "__main__":
    unittest.main()
