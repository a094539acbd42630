"""What a slot and the job ask of a unit, and what a slot's own failures lead to."""
import json
import unittest

from rig import Line, Rig
from test_line import Fixture

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


if __name__ == "__main__":
    unittest.main()
