"""An order from its first device to its closing statement, judged by openssl and by Python alone."""
import json
import random
import shutil
import time
import unittest

from rig import EXIT, MANIFEST, Rig, run

ORDERED = {"good": 10, "max_issued": 10, "spoilage": 2, "rework": 0}
WHO = ("--by", "Ada", "--reason", "the lot is done")


class Closing(unittest.TestCase):
    def make(self, **options):
        rig = Rig(credentials=10, order={"counts": ORDERED}, **options)
        self.addCleanup(rig.close)
        return rig

    def provision(self, rig, good):
        """good devices are proven; one more gets a credential and is pulled for ever."""
        for _ in range(good):
            rig.add_device()
        rig.run_json()
        lost = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False)
        self.assertNotEqual(code, 0)
        lost.stop()
        self.assertEqual(rig.order_status()["unresolved"], 1)
        return lost

    def unresolved(self, rig, *command):
        result = rig.imprint(*command, "--json", check=False)
        self.assertEqual(result.returncode, EXIT["UNRESOLVED"], result.stdout + result.stderr)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return [e for e in events if e.get("event") == "unresolved"]

    def judge_statement(self, rig, folder):
        """With stock tools: signed below the pinned root; its sum and the records' sum are one."""
        trust = rig.station / "trust"
        run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
            folder / "closing.json.p7s", "-content", folder / "closing.json", "-CAfile",
            trust / "manifest-root.pem", "-out", "/dev/null")
        said = json.loads((folder / "closing.json").read_text())
        totals = said["totals"]
        self.assertEqual(totals["issued"], sum(totals.values()) - totals["issued"])
        records = [r for r in rig.records() if r["order"] == rig.order_hash]
        self.assertEqual(totals["good"] + totals["revoked"],
                         sum(r["t"] == "add" for r in records))
        for reason in ("burned", "scrapped"):
            self.assertEqual(totals[reason], sum(r.get("reason") == reason for r in records))
        manifest = rig.manifests()[-1]
        self.assertEqual(json.loads((manifest / "manifest.json").read_text())["totals"]
                         [rig.order_hash], totals)
        run(MANIFEST, "verify-closing", "--root", trust / "manifest-root.pem", "--manifest",
            manifest, folder)
        return said

    def test_an_order_of_ten(self):
        rig = self.make()
        lost = self.provision(rig, 8)
        rig.seal()
        [device] = self.unresolved(rig, "reconcile")
        self.assertEqual(device["chip"], lost.chip)
        self.assertEqual([device], self.unresolved(rig, "order", "close", "E2E-1", *WHO))
        self.assertEqual(rig.imprint("void", device["serial"], "--reason", "scrap heap",
                                     check=False).returncode, EXIT["REFUSED"])
        rig.imprint("void", device["tx"], "--lost", "--by", "Eve", "--reason", "scrap heap")
        totals = json.loads(rig.imprint("reconcile", "--json").stdout)["totals"]
        self.assertEqual((totals["good"], totals["burned"], totals["unused"]), (8, 1, 1))
        rig.imprint("order", "close", "E2E-1", check=False)  # needs a name and a reason
        self.assertEqual(rig.order_status()["state"], "open")
        shutil.copytree(rig.station, rig.dir / "before", symlinks=True)

        closed = json.loads(rig.imprint("order", "close", "E2E-1", *WHO, "--json").stdout)
        said = self.judge_statement(rig, rig.station / "statements/E2E-1")
        self.assertEqual(closed["totals"], said["totals"])
        self.assertEqual((said["totals"]["good"], said["totals"]["burned"],
                          said["totals"]["scrapped"]), (8, 1, 1))
        self.assertEqual((said["by"], said["reason"], said["order"]),
                         ("Ada", "the lot is done", rig.order_hash))
        self.assertEqual(said["destroyed"], {"keys": 0,
                                             "storage": f"storage:ec:{rig.order_hash[:16]}"})
        for folder in rig.manifests():
            rig.verify(folder)
        rig.imprint("ledger", "verify")
        rig.imprint("reconcile")
        rig.imprint("audit")
        why = [json.loads(line) for line in
               rig.imprint("ledger", "show", "--event", "burned").stdout.splitlines()]
        self.assertEqual([(w["operator"], w["why"]) for w in why], [("Eve", "scrap heap")])
        self.assertEqual(rig.order_status()["state"], "closed")
        for command in (("generate", rig.job, "--count", 1), ("run", rig.job),
                        ("void", "PUMP-000001", "--reason", "x")):
            self.assertEqual(rig.imprint(*command, check=False).returncode, EXIT["REFUSED"])
        self.old_copy_is_inert(rig)

    def old_copy_is_inert(self, rig):
        """The database of before the closing, beside the token of after it: nothing is released."""
        for path in (rig.dir / "before").glob("station.db*"):
            shutil.copy(path, rig.station)
        stranger = rig.add_device()
        code, _, stderr = rig.run_json(check=False)
        self.assertEqual(code, EXIT["ROLLBACK"], stderr)
        self.assertIsNone(stranger.export())

    def test_killed_while_closing(self):
        rig = self.make()
        lost = self.provision(rig, 3)
        [device] = self.unresolved(rig, "reconcile")
        self.assertEqual(device["chip"], lost.chip)
        rig.imprint("void", device["serial"], "--lost", "--reason", "gone")
        seen = set()
        for step in range(40):
            process = rig.start_imprint("order", "close", "E2E-1", *WHO)
            time.sleep(0.01 * step + random.uniform(0, 0.01))
            process.kill()
            process.wait()
            process.stdout.close()
            seen.add(rig.order_status()["state"])
        rig.imprint("order", "close", "E2E-1", "--by", "Bob", "--reason", "again")
        said = self.judge_statement(rig, rig.station / "statements/E2E-1")
        self.assertEqual(said["by"], "Ada" if seen != {"open"} else "Bob")
        self.assertEqual([p.name for p in (rig.station / "statements").iterdir()], ["E2E-1"])
        self.assertEqual(said["totals"]["scrapped"], 6)
        rig.imprint("ledger", "verify")

    def test_a_revoked_device(self):
        rig = self.make()
        rig.add_device()
        rig.run_json()
        [record] = [r for r in (rig.seal() and rig.records())]
        self.assertEqual(rig.imprint("void", record["sn"], "--reason", "x", "--reason-code",
                                     "certificateHold", check=False).returncode, EXIT["USAGE"])
        rig.imprint("void", record["sn"], "--reason", "x", "--reason-code", "keyCompromise")
        self.assertEqual(rig.run_json(check=False)[0], EXIT["REFUSED"])  # locked with it
        rig.seal()
        trust = rig.manifests()
        rig.verify(trust[1], "--after", trust[0])
        revoked = rig.records()[-1]
        self.assertEqual((revoked["t"], revoked["reason"], revoked["ref"], revoked["sn"]),
                         ("revoke", "keyCompromise", 0, record["sn"]))
        self.assertEqual(rig.order_status()["revoked"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
