"""The judge on the agent as bare-metal firmware with Mbed TLS, on a Cortex-M3 in QEMU."""
import pathlib
import unittest

from conform_rig import BUILD, Bench, run

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools/firmware"
CACHE = BUILD / "tools/firmware"


class Firmware(unittest.TestCase):
    def test_our_firmware_passes_every_case_that_it_claims(self):
        bench = Bench()
        self.addCleanup(bench.close)
        run("make", "-f", TOOLS / "Makefile", f"OUT={bench.dir}", f"CACHE={CACHE}",
            f"AUTHORITY={bench.public}")
        bench.plug_in(TOOLS / "run", "--image", bench.dir / "firmware.elf", "--flash",
                      bench.dir / "flash", "--port", bench.port)
        verdicts = bench.everything()
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0), verdicts.stderr)
        self.assertEqual(verdicts.of("skip"),
                         {"keygen-absent", "attestation", "chain", "keygen-attestation"})
        self.assertEqual(verdicts.end["left"], "blank")


if __name__ == "__main__":
    unittest.main(verbosity=2)
