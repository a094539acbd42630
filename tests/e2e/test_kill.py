"""The station is killed again and again: no credential goes to two devices, none is lost."""
import os
import random
import signal
import sqlite3
import time
import unittest

import judge
from rig import EXIT, Rig

KILLS = int(os.environ.get("IMPRINT_KILLS", "50"))
DEVICES = 16


class Kill(unittest.TestCase):
    def test_killed_at_random_moments_of_a_run(self):
        seed = int(os.environ.get("IMPRINT_SEED", random.randrange(2**32)))
        print(f"seed {seed}")
        self.random = random.Random(seed)
        kills = rounds = 0
        while kills < KILLS:
            kills += self.provision_under_kills(KILLS - kills)
            rounds += 1
            self.assertLess(rounds, 40)
        print(f"{kills} kills in {rounds} rounds")

    def provision_under_kills(self, wanted):
        """One fresh station and 16 fresh devices, killed until all are done or enough was killed."""
        rig = Rig(credentials=DEVICES + 4)
        kills = 0
        try:
            for _ in range(DEVICES):
                rig.add_device("--baud-pace", "19200")
            while kills < wanted and rig.order_status()["proven"] < DEVICES:
                kills += self.run_and_kill(rig)
            self.finish(rig)
        finally:
            rig.close()
        return kills

    def run_and_kill(self, rig):
        process = rig.start_imprint("run", rig.job)
        time.sleep(self.random.uniform(0.05, 0.8))
        alive = process.poll() is None
        if alive:
            # Vault and line both, as when the power goes; or the vault alone.
            if self.random.random() < 0.7:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        process.stdout.close()
        return 1 if alive else 0

    def finish(self, rig):
        for _ in range(3):
            code, _, stderr = rig.run_json(check=False)
            if code == 0:
                break
            self.assertEqual(code, EXIT["BUSY"], stderr)  # a line of before still holds a port
            time.sleep(1)
        self.assertEqual(code, 0)
        status = rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]),
                         (DEVICES, 0, 0))
        self.assertEqual(status["available"], 4)
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, rig.devices)
        rig.imprint("ledger", "verify")

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
