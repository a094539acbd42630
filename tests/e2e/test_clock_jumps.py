"""The station's clock jumps while eight devices are in flight."""
import os
import unittest

from invariants import Watch
from rig import BUILD, EXIT, Line, Rig, SHIM

CRASHSHIM = BUILD / "tests/crashshim/crashshim.so"
DEVICES = 8


class Jumps(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=DEVICES + 2)
        self.addCleanup(self.rig.close)
        self.watch = Watch(self.rig)
        self.offset = self.rig.dir / "offset"
        self.set_clock(0)

    def set_clock(self, seconds):
        """How far the vault's clock of day is ahead from now on."""
        following = self.offset.with_suffix(".new")
        following.write_text(f"{seconds}\n")
        following.rename(self.offset)

    def start(self):
        env = self.rig.environment()
        env.update(CRASHSHIM_PROGRAM="imprint", CRASHSHIM_CLOCK=str(self.offset),
                   LD_PRELOAD=" ".join(filter(None, [os.environ.get("IMPRINT_PRELOAD"),
                                                     str(CRASHSHIM), str(SHIM)])))
        line = Line(self.rig, env=env)
        self.addCleanup(line.close)
        return line

    def add_devices(self):
        for _ in range(DEVICES):
            self.rig.add_device("--baud-pace", "19200")

    @staticmethod
    def begun(count):
        return lambda line: line.count("deliver") >= count

    @staticmethod
    def passed(line):
        return sum(s["event"] == "pass" for s in line.states.values()) == DEVICES

    def test_what_a_time_server_corrects_is_not_noticed(self):
        line = self.start()
        self.add_devices()
        line.wait(self.begun(1))
        for number, offset in enumerate((90, -20, 60, 0), 2):
            self.set_clock(offset)
            line.wait(self.begun(number))
        line.wait(self.passed)
        self.assertEqual(line.quit()[0], 0)
        self.watch.finish()

    def test_one_that_goes_back_stops_the_station_and_no_device_is_lost(self):
        line = self.start()
        self.add_devices()
        line.wait(self.begun(DEVICES))
        self.set_clock(-3600)
        self.assertEqual(line.process.wait(timeout=60), EXIT["CLOCK"])
        self.assertEqual(self.rig.order_status()["unresolved"],
                         DEVICES - self.rig.order_status()["proven"])
        self.watch.check("the clock went back")
        self.set_clock(0)
        self.assertEqual(self.start().process.wait(timeout=60), EXIT["CLOCK"])
        self.rig.recover(self.rig.ticket("clock"))
        line = self.start()
        line.wait(self.passed)
        self.assertEqual(line.quit()[0], 0)
        status = self.rig.order_status()
        self.assertEqual((status["proven"], status["burned"]), (DEVICES, 0))
        self.watch.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
