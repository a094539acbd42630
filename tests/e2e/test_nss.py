"""The main job with the keys in NSS softokn instead of SoftHSM."""
import base64
import glob
import json
import unittest

import judge
from rig import EXIT, Rig, run

MODULES = glob.glob("/usr/lib/*/libsoftokn3.so") + glob.glob("/usr/lib64/libsoftokn3.so")


class NssRig(Rig):
    def token_options(self):
        database = self.dir / "nss"
        database.mkdir(mode=0o700)
        run("certutil", "-N", "-d", f"sql:{database}", "-f", self.dir / "pin")
        self.arguments = f"configdir='sql:{database}' dbTokenDescription='line-1'"
        return "--module", MODULES[0], "--module-arguments", self.arguments


class Nss(unittest.TestCase):
    def make(self, **options):
        self.rig = NssRig(**options)
        self.addCleanup(self.rig.close)
        return self.rig

    def suites_used(self):
        """The first two octets of every transcript that a manifest's evidence holds."""
        for folder in self.rig.manifests():
            for shard in folder.glob("evidence-*.jsonl"):
                for line in shard.read_text().splitlines():
                    yield int.from_bytes(base64.b64decode(json.loads(line)["x"])[:2], "big")

    def provision(self, suites, used):
        rig = self.make(credentials=4, order={"suites": suites})
        devices = [rig.add_device() for _ in range(2)]
        code, slots, _ = rig.run_json()
        self.assertEqual(code, 0)
        self.assertEqual({s["event"] for s in slots.values()}, {"pass"})
        self.assertEqual(rig.seal()["count"], 2)
        self.assertIn("proven: manifest 1", rig.verify(rig.manifests()[0]).stdout)
        for record in judge.check_all(rig, devices).values():
            self.assertEqual(record["hsm"], "software")
        self.assertEqual(set(self.suites_used()), {used})
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)

    def test_the_main_job_with_suite_2_which_is_preferred(self):
        self.provision([1, 2], 2)

    def test_the_main_job_with_suite_1(self):
        self.provision([1], 1)

    def test_a_restore_that_this_token_remembers_as_well(self):
        rig = self.make(credentials=4)
        backup, ticket = rig.dir / "backup", rig.ticket("restore")
        rig.imprint("backup", backup)
        rig.imprint("generate", rig.job, "--count", 1)
        for expected in (0, EXIT["REFUSED"]):
            for suffix in ("", "-wal", "-shm"):
                (rig.station / f"station.db{suffix}").unlink(missing_ok=True)
            result = rig.recover(ticket, "--backup", backup, check=False)
            self.assertEqual(result.returncode, expected, result.stderr)
            if expected == 0:
                rig.imprint("ledger", "verify")
                self.assertEqual(rig.imprint("audit", check=False).returncode, 0)
        self.assertIn("used before", result.stderr)

    def test_without_its_arguments_the_module_says_what_is_missing(self):
        rig = self.make()
        path = rig.station / "station.yaml"
        path.write_text(path.read_text().replace(rig.arguments, ""))
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["MODULE"])
        self.assertIn("module_arguments", result.stderr)

    def test_another_database_is_no_token_of_this_station(self):
        rig = self.make()
        (rig.dir / "nss").rename(rig.dir / "nss.gone")
        (rig.dir / "nss").mkdir()
        run("certutil", "-N", "-d", f"sql:{rig.dir / 'nss'}", "-f", rig.dir / "pin")
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["ROLLBACK"])


if __name__ == "__main__":
    unittest.main()
