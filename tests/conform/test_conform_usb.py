"""The judge on a device behind a USB bulk interface: libusb as it is, umockdev plays the bus."""
import unittest

from conform_rig import BUILD, Bench

RUN = BUILD / "tests/usb/usb_run"


class Usb(unittest.TestCase):
    def setUp(self):
        self.bench = Bench()
        self.addCleanup(self.bench.close)

    def judge(self, port, *options):
        return self.bench.conform(*options, port=port, shim=False,
                                  wrapper=("umockdev-wrapper", RUN, self.bench.port, "--"))

    def test_our_agent_passes_over_usb(self):
        self.bench.simulate()
        for port in ("usb:1209:0001", "usb_path:1-1"):
            verdicts = self.judge(port, "--lock")
            self.assertEqual((verdicts.failures(), verdicts.code), ("", 0), verdicts.stderr)
            self.assertGreater(len(verdicts.of("pass")), 110)
            self.assertEqual(verdicts.end["left"], "blank")

    def test_a_device_that_is_not_there_is_told(self):
        self.bench.simulate()
        self.assertEqual(self.judge("usb:1209:00ff").code, 7)

    def test_a_device_that_is_pulled_out_ends_the_run(self):
        self.bench.simulate()
        wrapper = ("umockdev-wrapper", RUN, f"{self.bench.port}@5000", "--")
        verdicts = self.bench.conform(port="usb_path:1-1", shim=False, wrapper=wrapper)
        self.assertEqual(verdicts.code, 19, verdicts.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
