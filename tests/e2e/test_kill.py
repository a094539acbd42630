"""The station is killed at random moments: no credential goes to two devices, none is lost.

IMPRINT_KILLS says how often: 50 if it says nothing, 1000 with IMPRINT_SWEEP=all. IMPRINT_SEED repeats the
moments of an earlier run, whose seed was printed.
"""
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
import unittest

import judge
from invariants import Station, Watch
from rig import Line, Rig

KILLS = int(os.environ.get("IMPRINT_KILLS") or
            {"all": 1000, "short": 10}.get(os.environ.get("IMPRINT_SWEEP"), 50))
IN_FLIGHT = 8
FRESH = 100  # kills of one station
VICTIMS = ("imprint", "imprint-line", "both")


class Kill(unittest.TestCase):
    def test_killed_at_random_moments_with_eight_devices_in_flight(self):
        seed = int(os.environ.get("IMPRINT_SEED", random.randrange(2**32)))
        print(f"seed {seed}", flush=True)
        self.random = random.Random(seed)
        self.kills, self.passed = dict.fromkeys(VICTIMS, 0), 0
        while sum(self.kills.values()) < KILLS:
            self.one_station(min(FRESH, KILLS - sum(self.kills.values())))
        print(f"seed {seed}: {self.kills}, and {self.passed} devices passed", flush=True)
        self.assertEqual(sum(self.kills.values()), KILLS)

    def one_station(self, kills):
        rig = Rig(credentials=(kills + 1) * IN_FLIGHT)
        watch = Watch(rig)
        try:
            for _ in range(kills):
                self.fill_up(rig)
                victim, moment = self.random.choice(VICTIMS), self.random.uniform(0.05, 2)
                self.run_and_kill(rig, victim, moment)
                watch.check(f"{victim} was killed after {moment} s")
                self.kills[victim] += 1
            self.finish(rig)
            watch.finish()
            self.passed += rig.order_status()["proven"]
        finally:
            rig.close()

    def fill_up(self, rig):
        """Devices that passed make room: eight are always unfinished when a run begins."""
        station = Station(rig.station / "station.db")
        done = {claim.chip.hex() for claim in station.claims if claim.state == 1}
        for device in rig.devices:
            if device.chip in done and device.process:
                device.stop()
                device.port.unlink()
        for _ in range(IN_FLIGHT - sum(bool(d.process) for d in rig.devices)):
            rig.add_device("--baud-pace", "57600")

    def run_and_kill(self, rig, victim, moment):
        line = Line(rig)
        try:
            time.sleep(moment)
            self.assertIsNone(line.process.poll())
            self.kill(line.process, victim)
            code = line.process.wait(timeout=60)
            self.assertEqual(code == -signal.SIGKILL, victim != "imprint-line", code)
            self.assertNotEqual(code, 0)  # it does not hide that its line is gone
        finally:
            line.close()

    def kill(self, process, victim):
        line = self.find_line(process) if victim != "imprint" else None
        if victim != "imprint-line":
            process.kill()
        if line and victim == "both":  # as when the power goes; the kernel may have been faster
            with contextlib.suppress(ProcessLookupError):
                os.kill(line, signal.SIGKILL)
        elif line:
            os.kill(line, signal.SIGKILL)

    @staticmethod
    def find_line(process):
        found = []
        while not found and process.poll() is None:
            found = subprocess.run(["pgrep", "-P", str(process.pid), "-x", "imprint-line"],
                                   capture_output=True, text=True, check=False).stdout.split()
        return int(found[0])

    def finish(self, rig):
        line = Line(rig)
        try:
            line.wait(lambda l: sum(s["event"] == "pass" for s in l.states.values()) == IN_FLIGHT)
            self.assertEqual(line.quit()[0], 0)
        finally:
            line.close()
        status = rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]),
                         (len(rig.devices), 0, 0))

    def test_killed_while_generating(self):
        rig = Rig()
        self.addCleanup(rig.close)
        for n in range(6):
            process = rig.start_imprint("generate", rig.job, "--count", 20000, "--quiet",
                                        "--threads", 1 + n % 3)
            time.sleep(random.uniform(0.3, 1.2))
            process.kill()
            process.wait()
            process.stdout.close()
        made = rig.order_status()["generated"] if rig.status()["orders"] else 0
        self.assertEqual(made % 1000, 0)
        rig.imprint("generate", rig.job, "--up-to", made + 10)
        self.assertEqual(rig.order_status()["generated"], made + 10)
        rig.imprint("ledger", "verify")
        self.assertEqual(self.inventory(rig), (made + 10, made + 10, made + 10, made + 10))

    @staticmethod
    def inventory(rig):
        """Rows, the last id, the last serial's number, different keys: equal when nothing is missing."""
        with sqlite3.connect(f"file:{rig.dir}/station/station.db?mode=ro", uri=True) as database:
            return database.execute(
                "SELECT count(*), max(id), max(cast(substr(serial, -6) AS INTEGER)),"
                " count(DISTINCT point) FROM credentials").fetchone()

    def test_killed_while_sealing(self):
        rig = Rig(credentials=4)
        self.addCleanup(rig.close)
        for _ in range(4):
            rig.add_device()
        rig.run_json()
        for delay in (0.005 * n for n in range(1, 30)):
            process = rig.start_imprint("seal")
            time.sleep(delay)
            process.kill()
            process.wait()
            process.stdout.close()
        rig.seal()
        self.assertEqual([m.name for m in rig.manifests()], ["000001"])
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, rig.devices)
        rig.imprint("ledger", "verify")


if __name__ == "__main__":
    unittest.main(verbosity=2)
