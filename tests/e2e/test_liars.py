"""Devices that lie: each is told from an honest one, none gets what is another's, and neighbours pass."""
import shutil
import unittest

import flash
from invariants import Station, Watch
from rig import EXIT, Rig

# The fault, what the station calls it, and words of what it says.
LIES = (
    ("wrong-proof", "PROOF", "did not prove"),
    ("replay-proof", "PROOF", "did not prove"),
    ("other-cert", "PROOF", "read back"),
    ("cert-of={other}", "PROOF", "read back"),
    ("fake-commit", "REFUSED", "PROVE"),
    ("fake-lock", "PROOF", "did not prove"),
    ("clone-tx={tx}", "DUPLICATE", "given to chip"),
    ("clone-tx=00112233445566778899aabbccddeeff", "REFUSED", "this station did not make"),
)


class Liars(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=12)
        self.addCleanup(self.rig.close)
        self.watch = Watch(self.rig)
        self.honest = self.rig.add_device()
        self.rig.run_json()
        held = flash.read_folder(self.honest.store)
        other = self.rig.dir / "other.der"
        other.write_bytes(held.objects[flash.CERTIFICATES])
        self.truth = {"other": other, "tx": held.transaction.hex()}

    def run_once(self):
        """The last event of the slot of the newest device; all others must pass."""
        code, slots, stderr = self.rig.run_json(check=False)
        last = slots.pop(f"S{self.rig.devices[-1].number}")
        self.assertLessEqual({s["event"] for s in slots.values()}, {"pass"}, stderr)
        self.watch.check(str(last))
        self.assertEqual(code, last.get("exit", 0))
        return last

    def refused(self, name, text):
        last = self.run_once()
        self.assertEqual((last["event"], last.get("exit")), ("fail", EXIT[name]), last)
        self.assertIn(text, last["text"])

    def restart(self, device, *options, chip=None):
        """The same store with another behaviour, or on a board with another chip."""
        device.stop()
        device.options = [o for o in device.options if not o.startswith("--fault")]
        device.chip = chip or device.chip
        return device.start(*options)

    def states(self):
        station = Station(self.rig.station / "station.db")
        return [c.state for c in station.credentials]

    def test_what_lies_is_refused_and_passes_once_it_is_honest(self):
        for lie, name, text in LIES:
            with self.subTest(lie):
                proven = self.rig.order_status()["proven"]
                liar = self.rig.add_device("--fault=" + lie.format(**self.truth))
                self.refused(name, text)
                self.assertEqual(self.rig.order_status()["proven"], proven)
                self.restart(liar)
                self.assertEqual(self.run_once()["event"], "pass")
        status = self.rig.order_status()
        self.assertEqual((status["burned"], status["unresolved"]), (0, 0))
        self.watch.finish()

    def test_one_that_passed_and_lies_later_keeps_what_it_proved_and_nothing_more(self):
        """The honest device turns: its record stands, it fails, and it takes no other credential."""
        for lie in ("wrong-proof", "other-cert"):
            with self.subTest(lie):
                self.restart(self.honest, "--fault", lie)
                self.refused("PROOF", "prove" if lie == "wrong-proof" else "read back")
        self.restart(self.honest)
        self.assertTrue(self.run_once()["again"])
        self.assertEqual(self.states().count(0), 11)
        self.watch.finish()

    def test_a_serial_that_changes_half_way(self):
        device = self.rig.add_device("--fault=vanish-after")
        self.refused("GONE", "unplugged")
        self.restart(device, "--fault=other-serial")
        self.refused("REFUSED", "another serial")
        self.restart(device)
        self.assertEqual(self.run_once()["event"], "pass")
        self.watch.finish()

    def test_a_chip_id_that_changes_half_way(self):
        device = self.rig.add_device("--fault=vanish")
        self.refused("GONE", "unplugged")
        chip = device.chip
        self.restart(device, chip="beef")
        self.refused("DUPLICATE", chip)
        self.assertEqual(self.states().count(1), 1)
        self.restart(device, chip=chip)
        self.assertEqual(self.run_once()["event"], "pass")
        self.watch.finish()

    def test_a_cloned_chip_id_while_the_first_is_not_finished(self):
        """The first is taken for one that lost its memory: it gets a new identity only as a new device."""
        first = self.rig.add_device("--fault=vanish")
        self.refused("GONE", "unplugged")
        first.stop()
        first.port.unlink(missing_ok=True)
        self.rig.devices.remove(first)
        clone = self.rig.add_device(chip=first.chip, number=5)
        self.rig.devices = [d for d in self.rig.devices if d is not clone] + [clone]
        code, slots, _ = self.rig.run_json()
        self.assertEqual((code, self.rig.order_status()["burned"]), (0, 1))
        self.watch.check("a clone")
        clone.stop()
        clone.port.unlink(missing_ok=True)
        # The first comes back: what it has is void, and its chip id is another's by now.
        first.options = [o for o in first.options if not o.startswith("--fault")]
        first.start()
        code, slots, _ = self.rig.run_json(check=False)
        self.assertEqual(code, EXIT["DUPLICATE"], slots)
        self.assertIsNone(first.export())
        self.watch.check("the first came back")
        self.assertEqual(self.rig.order_status()["proven"], 2)
        first.stop()
        self.watch.finish()

    def test_a_copy_of_a_whole_device(self):
        """Chip id, store and all: it proves as the first does, and is the first to all who ask; it takes
        nothing more. Only silicon that attests tells them apart, so here two devices hold one key."""
        copy_of = self.honest
        copy_of.stop()
        copy_of.port.unlink()
        self.rig.devices.clear()
        shutil.copytree(copy_of.store, self.rig.dir / "devices" / "9")
        copy = self.rig.add_device(chip=copy_of.chip, number=9)
        code, slots, _ = self.rig.run_json()
        self.assertTrue(next(iter(slots.values()))["again"])
        self.assertEqual(self.states().count(0), 11)
        copy.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
