"""The main job with keys that the devices make themselves (key mode `device`)."""
import hashlib
import os
import pathlib
import shutil
import signal
import sys
import unittest

import judge
from rig import EXIT, Rig, run
from test_nss import MODULES as NSS_MODULES, NssRig

VERIFIER = pathlib.Path(__file__).resolve().parents[2] / "docs/manifest-verifier.py"
ORDER = {"key_modes": ["device"]}


class DeviceKey(unittest.TestCase):
    def make(self, kind=Rig, **options):
        self.rig = kind(**{"order": ORDER, **options})
        self.addCleanup(self.rig.close)
        return self.rig

    def provision(self, rig, devices):
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual((code, {s["event"] for s in slots.values()}), (0, {"pass"}), slots)
        self.assertEqual(len(slots), len(devices))

    def check(self, rig, devices, auth="none"):
        """Sealed, verified, accepted by an importer, and true of the devices themselves."""
        rig.seal()
        rig.verify(rig.manifests()[-1])
        live = judge.check_all(rig, devices)
        for record in live.values():
            self.assertEqual((record["mode"], record["auth"]), ("device", auth))
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)

    def test_devices_make_their_keys_and_are_whitelisted(self):
        rig = self.make()
        devices = [rig.add_device() for _ in range(3)]
        self.provision(rig, devices)
        self.check(rig, devices)
        keys = {(d.export() / "key.pem").read_bytes() for d in devices}
        self.assertEqual(len(keys), 3)
        status = rig.order_status()
        self.assertEqual((status["generated"], status["proven"], status["available"]), (3, 3, 0))
        code, slots, _ = rig.run_json()
        self.assertEqual((code, {s["again"] for s in slots.values()}), (0, {True}))
        self.assertEqual(rig.order_status()["generated"], 3)

    @unittest.skipUnless(NSS_MODULES, "NSS softokn is not installed")
    def test_with_a_ca_in_nss_softokn(self):
        rig = self.make(NssRig)
        devices = [rig.add_device()]
        self.provision(rig, devices)
        self.check(rig, devices)

    def test_a_device_may_take_long_to_make_its_key(self):
        """No answer to any of 3 tries of a second would be the end for every other request."""
        rig = self.make()
        device = rig.add_device("--fault=slow-key=5000")
        rig.write_job(request_ms=1000)
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["error"]), (EXIT["TIMEOUT"], "ERR_TIMEOUT"), slots)
        self.assertIn("KEYGEN: no answer within 1000 ms to any of 3 tries", slots["S1"]["text"])
        device.stop()
        device.start()
        rig.write_job(request_ms=1000, more="  keygen_ms: 60000\n")
        self.provision(rig, [device])

    def test_an_interrupt_ends_the_wait_for_a_device_that_makes_its_key(self):
        rig = self.make()
        rig.add_device("--fault=slow-key=600000")
        rig.write_job(request_ms=1000, more="  keygen_ms: 3600000\n")
        line = rig.start_imprint("run", rig.job, "--json")
        while '"keygen"' not in (shown := line.stdout.readline()):
            self.assertTrue(shown, "it ended before KEYGEN")
        os.killpg(line.pid, signal.SIGINT)
        self.assertIn("stopped before anything was delivered", line.communicate(timeout=30)[0])
        self.assertEqual(line.returncode, EXIT["INTERRUPTED"])

    def test_power_cuts_at_every_write_of_the_device_lose_nothing(self):
        rig = self.make()
        device = rig.add_device(start=False)
        cuts = 0
        while True:
            cuts += 1
            shutil.rmtree(device.store, ignore_errors=True)
            device.chip = f"c0ffee{cuts:010x}"
            device.start("--fault", f"power-cut={cuts}")
            code, slots, _ = rig.run_json(check=False)
            if code == 0:
                break
            device.stop()
            device.start()
            code, slots, said = rig.run_json(check=False)
            self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), (cuts, slots, said))
            device.stop()
        self.assertGreater(cuts, 9)
        self.assertEqual(rig.order_status()["burned"], 0)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertEqual(len(rig.records()), cuts)
        rig.imprint("ledger", "verify")

    def test_a_device_that_lost_its_memory_burns_its_certificate(self):
        rig = self.make()
        device = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["GONE"])
        device.stop()
        shutil.rmtree(device.store)
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        self.provision(rig, [device])
        self.assertEqual(rig.order_status()["burned"], 1)
        self.check(rig, [device])

    def enrolled_order(self, rig):
        """An order for the one enrolled key of a.pem, and its job."""
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
            rig.dir / "a.pem")
        der = rig.dir / "a.der"
        run("openssl", "pkey", "-in", rig.dir / "a.pem", "-pubout", "-outform", "DER", "-out", der)
        lines = hashlib.sha256(der.read_bytes()).hexdigest() + "\n"
        (rig.dir / "list.txt").write_text(lines)
        rig.write_order(id="E2E-2", device_auth="enrolled",
                        enrolled=hashlib.sha256(lines.encode()).hexdigest(), **ORDER)
        rig.write_job(order="E2E-2", more="enrolled: list.txt\n", first=1)

    def test_enrolled_devices_attest_the_keys_that_they_made(self):
        rig = self.make()
        self.enrolled_order(rig)
        device = rig.add_device("--enrol-key", str(rig.dir / "a.pem"))
        self.provision(rig, [device])
        self.check(rig, [device], "enrolled")
        judge.check_attestations(rig)

    def test_evidence_of_a_device_that_was_asked_twice_is_verified(self):
        """The power goes after KEYGEN left: request and evidence are of two sessions."""
        rig = self.make()
        self.enrolled_order(rig)
        device = rig.add_device("--enrol-key", str(rig.dir / "a.pem"), start=False)
        cuts, shown = 0, ""
        while "keygen" not in shown:
            cuts += 1
            shutil.rmtree(device.store, ignore_errors=True)
            device.start("--fault", f"power-cut={cuts}")
            self.assertNotEqual(rig.run_json(check=False)[0], 0)
            device.stop()
            shown = rig.imprint("ledger", "show", "--event", "keygen").stdout
        self.assertEqual(rig.imprint("ledger", "show", "--event", "claim").stdout, "")
        device.start()
        self.provision(rig, [device])
        self.check(rig, [device], "enrolled")
        judge.check_attestations(rig)
        trust = rig.station / "trust"
        run(sys.executable, VERIFIER, trust / "manifest-root.pem", trust / "device-root.pem",
            trust / "log.vkey", rig.manifests()[-1])

    def test_a_job_chooses_a_mode_that_its_order_allows(self):
        rig = self.make(order={"key_modes": ["hsm", "device"]})
        rig.write_job(more="key_mode: device\n")
        device = rig.add_device()
        self.provision(rig, [device])
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("devices make their own keys", refused.stderr)
        rig.write_job(more="key_mode: hsm\n", first=100)
        rig.imprint("generate", rig.job, "--count", 1)
        other = rig.add_device()
        code, slots, _ = rig.run_json()
        self.assertEqual(code, 0)
        rig.seal()
        self.assertEqual({r["mode"] for r in rig.records()}, {"hsm", "device"})
        rig.write_order(id="E2E-3")
        rig.write_job(order="E2E-3", more="key_mode: device\n")
        result = rig.imprint("run", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("does not allow key mode 'device'", result.stderr)


if __name__ == "__main__":
    unittest.main()
