"""The main job for each algorithm of the CA with each type of device keys, as far as SoftHSM2 goes."""
import pathlib
import shutil
import subprocess
import sys
import unittest

import judge
from rig import EXIT, Rig, run

VERIFIER = pathlib.Path(__file__).parents[2] / "docs/manifest-verifier.py"
KEYS = ("p256", "p384", "rsa2048", "rsa3072", "ed25519")
# Ed25519 keys cannot be wrapped by SoftHSM2.
PAIRS = [(key, mode) for key in KEYS for mode in ("hsm", "device") if (key, mode) != ("ed25519", "hsm")]
OIDS = {"p256": "1.2.840.10045.4.3.2", "p384": "1.2.840.10045.4.3.3", "ed25519": "1.3.101.112",
        "rsa2048-pss": "1.2.840.113549.1.1.10", "rsa3072-pss": "1.2.840.113549.1.1.10",
        "rsa2048-pkcs1": "1.2.840.113549.1.1.11", "rsa3072-pkcs1": "1.2.840.113549.1.1.11"}


class Algorithms(unittest.TestCase):
    def make(self, ca, **order):
        rig = Rig(station=False)
        self.addCleanup(rig.close)
        rig.order_changes = {"keys": list(KEYS), "key_modes": ["hsm", "device"], **order}
        rig.make_station("--ca-algorithm", ca)
        return rig

    def job(self, rig, key, mode):
        rig.write_job(more=f"key: {key}\nkey_mode: {mode}\n")

    def provision(self, rig, key, mode):
        """One device of a pair; another algorithm is one line in the job."""
        self.job(rig, key, mode)
        if mode == "hsm":
            rig.imprint("generate", rig.job, "--count", 1)
        device = rig.add_device()
        code, slots, said = rig.run_json(check=False)
        event = next(iter(slots.values()), {"event": None})
        self.assertEqual((code, event["event"]), (0, "pass"), (key, mode, slots, said))
        device.stop()
        (rig.dir / f"ports/ttyFACT{device.number}").unlink(missing_ok=True)
        return device

    def check(self, rig, ca, devices):
        rig.seal()
        folder = rig.manifests()[-1]
        rig.verify(folder)
        said = subprocess.run([sys.executable, VERIFIER, rig.station / "trust/manifest-root.pem",
                               rig.station / "trust/device-root.pem", rig.station / "trust/log.vkey",
                               folder], capture_output=True, text=True)
        self.assertEqual((said.returncode, said.stdout.strip()[:8]), (0, "verified"), said)
        judge.check_all(rig, list(devices.values()))
        for (key, _), device in devices.items():
            leaf = judge.load(device.export())[1]
            self.assertEqual(leaf.signature_algorithm_oid.dotted_string, OIDS[ca])
            self.assertEqual(judge.type_of(leaf.public_key()), key)

    def all_pairs(self, ca):
        rig = self.make(ca)
        devices = {pair: self.provision(rig, *pair) for pair in PAIRS}
        self.check(rig, ca, devices)
        rig.imprint("audit")
        rig.imprint("crl")
        run("openssl", "crl", "-inform", "DER", "-in", next((rig.station / "crl").iterdir()), "-noout",
            "-CAfile", rig.station / "ca/issuing-ca.pem")
        rig.imprint("ledger", "verify")
        rig.accept()

    def test_what_the_token_cannot_do_is_refused_when_the_job_is_read(self):
        rig = self.make("p256")
        self.job(rig, "ed25519", "hsm")
        for command in (("generate", rig.job, "--count", 1), ("run", rig.job)):
            said = rig.imprint(*command, check=False)
            self.assertEqual(said.returncode, EXIT["REFUSED"], said)
            for word in ("ed25519", f"token '{rig.name}'", "CKR_", "key_mode: device"):
                self.assertIn(word, said.stderr)

    def test_what_order_or_profile_do_not_allow_is_refused(self):
        rig = self.make("p256", keys=["p256", "p384"])
        self.job(rig, "ed25519", "device")
        said = rig.imprint("run", rig.job, check=False)
        self.assertEqual(said.returncode, EXIT["REFUSED"])
        self.assertIn("does not allow keys of type ed25519", said.stderr)

    def test_a_device_without_the_algorithm_costs_nothing(self):
        rig = self.make("p256")
        self.job(rig, "p384", "device")
        device = rig.add_device("--only-p256")
        code, slots, _ = rig.run_json(check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("no keys of type p384", str(slots))
        self.assertEqual(rig.order_status()["generated"], 0)

    def test_power_cuts_of_a_device_with_a_large_key_lose_nothing(self):
        rig = self.make("p256")
        self.job(rig, "p384", "device")
        device = rig.add_device(start=False)
        for cut in range(1, 40):
            device.chip = f"c0ffee{cut:010x}"
            device.start("--fault", f"power-cut={cut}")
            code, _, _ = rig.run_json(check=False)
            if code == 0:
                break
            device.stop()
            device.start()
            code, slots, said = rig.run_json(check=False)  # one torn key is in the way until ABORT
            self.assertEqual(code, 0, (cut, slots, said))
            device.stop()
            shutil.rmtree(device.store)
        self.assertGreater(cut, 10)


for _ca in OIDS:
    def _test(self, ca=_ca):
        self.all_pairs(ca)
    setattr(Algorithms, f"test_all_types_of_keys_under_a_ca_of_{_ca.replace('-', '_')}", _test)

if __name__ == "__main__":
    unittest.main(verbosity=2)
