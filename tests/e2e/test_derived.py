"""The main job with symmetric keys: derived ones in the place of certificates, and beside them."""
import base64
import glob
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import unittest

import judge
from rig import EXIT, Rig, run, run_bytes
from test_nss import MODULES as NSS_MODULES, NssRig

VERIFIER = pathlib.Path(__file__).parent.parent.parent / "docs/manifest-verifier.py"
ORDER = {"key_modes": ["derived"], "profile": None}
JOB = {"certificate": False}


def lp(data):
    return len(data).to_bytes(2, "big") + data


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def check_value(key):
    return mac(key, b"imprint kcv v1\0")


class Derived(unittest.TestCase):
    def make(self, kind=Rig, order=None, station=True, **job):
        self.rig = kind(order={**ORDER, **(order or {})}, job={**JOB, **job}, station=station)
        self.addCleanup(self.rig.close)
        return self.rig

    def provision(self, devices, expected="pass"):
        code, slots, said = self.rig.run_json(check=False)
        self.assertEqual({s["event"] for s in slots.values()}, {expected}, (code, slots, said))
        self.assertEqual(len(slots), len(devices))
        return slots

    def key_of(self, device):
        folder = device.export()
        self.assertEqual(sorted(os.listdir(folder))[-1], "trust-anchors.pem")
        return (folder / "symmetric").read_bytes()

    def evidence(self):
        """Lines of evidence by their hash."""
        return {hashlib.sha256(line.encode()).hexdigest(): json.loads(line)
                for folder in self.rig.manifests() for shard in folder.glob("evidence-*.jsonl")
                for line in shard.read_text().splitlines()}

    def check_proof(self, record, key):
        """The device's MAC over what it must have built, with the key that it holds."""
        e = self.evidence()[record["ev"]]
        proof, x = base64.b64decode(e["proof"]), base64.b64decode(e["x"])
        self.assertEqual((proof[:2], len(proof)), (b"\x02\x02", 7 + 32))
        message = (b"imprint prove v1\0" + proof[:2] + lp(base64.b64decode(e["nonce"])) +
                   lp(hashlib.sha256(x).digest()) + lp(b"") + proof[2:7])
        self.assertEqual(mac(key, message), proof[7:])

    def check(self, devices, made="vault"):
        """Sealed, verified by two programs, accepted, and true of the devices themselves."""
        rig = self.rig
        rig.seal()
        for folder in rig.manifests():
            rig.verify(folder)
            trust = rig.station / "trust"
            run("/usr/bin/python3", VERIFIER, trust / "manifest-root.pem", trust / "device-root.pem",
                trust / "log.vkey", folder)
        self.assertIn("accepted", rig.accept().stdout)
        live = {r["sn"]: r for r in rig.records() if r["t"] == "add"}
        keys = {}
        for device in devices:
            serial = (device.export() / "serial").read_text().strip()
            record, key = live.pop(serial), self.key_of(device)
            self.assertEqual((record["mode"], record["chip"]), ("derived", device.chip))
            self.assertFalse({"cert", "iss", "spki"} & set(record))
            self.assertEqual(record["ext"]["symmetric"],
                             {"kcv": check_value(key).hex(), "made": made})
            self.check_proof(record, key)
            keys[serial] = key
        self.assertEqual(live, {})
        self.assertEqual(len(set(keys.values())), len(devices))
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)
        return keys

    # ---- the main job

    def test_devices_get_derived_keys_prove_them_and_are_whitelisted(self):
        rig = self.make()
        devices = [rig.add_device() for _ in range(3)]
        self.provision(devices)
        keys = self.check(devices)
        self.assertEqual(sorted(keys), ["PUMP-000001", "PUMP-000002", "PUMP-000003"])
        status = rig.order_status()
        self.assertEqual((status["generated"], status["proven"], status["available"]), (3, 3, 0))
        slots = self.provision(devices)
        self.assertEqual({s["again"] for s in slots.values()}, {True})
        self.assertEqual(rig.order_status()["generated"], 3)
        for folder in (rig.station, rig.dir / "captures"):
            self.assert_nowhere(keys.values(), folder)

    def assert_nowhere(self, keys, folder):
        """No key in the clear in any file: nowhere on disk, and on no cable."""
        for path in filter(os.path.isfile, glob.glob(f"{folder}/**/*", recursive=True)):
            data = pathlib.Path(path).read_bytes()
            for key in keys:
                for form in (key, key.hex().encode(), base64.b64encode(key)):
                    self.assertNotIn(form, data, path)

    @unittest.skipUnless(NSS_MODULES, "NSS softokn is not installed")
    def test_in_nss_softokn_which_derives_by_itself(self):
        rig = self.make(NssRig, order={"suites": [1, 2]})
        devices = [rig.add_device() for _ in range(2)]
        self.provision(devices)
        self.check(devices, made="token")

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
        self.assertGreater(cuts, 7)
        self.assertEqual(rig.order_status()["burned"], 0)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertEqual(len(rig.records()), cuts)

    # ---- one key, one device

    def test_a_device_that_lost_its_memory_gets_another_serial_and_key(self):
        rig = self.make()
        device = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["GONE"])
        device.stop()
        shutil.rmtree(device.store)
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        self.provision([device])
        self.assertEqual(list(self.check([device])), ["PUMP-000002"])
        void = next(r for r in rig.records() if r["t"] == "void")
        self.assertEqual((void["sn"], void["reason"]), ("PUMP-000001", "burned"))
        self.assertFalse({"cert", "spki"} & set(void))

    def scanned(self):
        return self.make(serials="  source: scanned\n", order={"counts": {"rework": 5}})

    def test_the_serial_of_a_released_key_is_not_used_again(self):
        rig = self.scanned()
        device = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False, labels="S1 PUMP-000007\n")
        self.assertEqual(code, EXIT["GONE"])
        device.stop()
        shutil.rmtree(device.store)
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000007\n")
        self.assertEqual(code, EXIT["REFUSED"], slots)
        self.assertIn("the unit gets another serial", slots["S1"]["text"])
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000008\n")
        self.assertIn("the device in it is 'PUMP-000007'", slots["S1"]["text"])
        rig.imprint("void", "PUMP-000007", "--lost", "--by", "Ada", "--reason", "a test")
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000008\n")
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), slots)
        self.assertEqual(list(self.check([device])), ["PUMP-000008"])

    def test_a_derived_identity_is_revoked_and_not_replaced(self):
        rig = self.scanned()
        device = rig.add_device()
        code, _, _ = rig.run_json(labels="S1 PUMP-000007\n")
        self.check([device])
        refused = rig.imprint("rework", "PUMP-000007", "--by", "Ada", "--reason", "a test", check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"], refused.stderr)
        self.assertIn("another serial", refused.stderr)
        rig.imprint("void", "PUMP-000007", "--by", "Ada", "--reason", "a test")
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertIn("accepted", rig.accept(check=False).stdout)
        self.assertEqual([r["t"] for r in rig.records()], ["add", "revoke"])
        rig.imprint("crl")

    def test_quotas_hold(self):
        rig = self.make(order={"counts": {"good": 1, "max_issued": 2}})
        devices = [rig.add_device() for _ in range(2)]
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(sorted(s["event"] for s in slots.values()), ["fail", "pass"])
        self.assertIn("fulfilled", " ".join(s.get("text", "") for s in slots.values()))
        for device in devices:
            device.stop()

    def test_the_order_closes_and_its_totals_add_up(self):
        rig = self.make()
        self.provision([rig.add_device()])
        rig.imprint("order", "close", rig.order_id, "--by", "Ada", "--reason", "done")
        rig.verify(rig.manifests()[-1])

    def test_serials_of_the_chip(self):
        rig = self.make(order={"serials": {"only": {"prefix": "P-"}}},
                        serials="  source: device\n  prefix: P-\n")
        device = rig.add_device()
        self.provision([device])
        self.assertEqual(list(self.check([device])), ["P-" + device.chip.upper()])

    def test_serials_of_a_list(self):
        text = "AB-1\nCD-2\n"
        rig = self.make(order={"counts": {"good": 2, "max_issued": 2}, "serials": {
            "only": {"list": hashlib.sha256(text.encode()).hexdigest()}}}, station=False)
        (rig.dir / "list.txt").write_text(text)
        rig.make_station()
        rig.write_job(serials="  source: listed\n  file: list.txt\n", **JOB)
        first, second = rig.add_device(), rig.add_device(start=False)
        self.provision([first])
        second.start()
        self.provision([first, second])
        self.assertEqual(sorted(self.check([first, second])), ["AB-1", "CD-2"])

    def test_an_owner_takes_a_derived_identity_away(self):
        rig = self.make()
        objects, text = rig.make_objects()
        rig.write_order(id="E2E-2", objects=objects, **ORDER)
        rig.write_job(order="E2E-2", more=text, **JOB)
        device = rig.add_device()
        self.provision([device])
        key = self.key_of(device)
        statement = (b"imprint decommission v1\0" + lp(bytes.fromhex(device.chip)) +
                     lp(check_value(key)))
        self.decommission(device, statement)

    def decommission(self, device, statement):
        rig = self.rig
        folder = rig.dir / "farewells"
        folder.mkdir()
        command = ("decommission", rig.job, "--statements", folder, "--reason", "a return")
        rig.imprint(*command, check=False)
        self.assertEqual((folder / "PUMP-000001.tbs").read_bytes(), statement)
        shutil.copy(rig.openssl_sign("decommission", statement), folder / "PUMP-000001.sig")
        rig.imprint(*command)
        self.assertIsNone(device.export())
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertEqual([r["t"] for r in rig.records()], ["add", "decommission"])

    # ---- beside a certificate

    def test_a_symmetric_key_beside_a_private_one(self):
        rig = Rig(order={"symmetric_key": True}, job={"more": "symmetric_key: true\n"})
        self.rig = rig
        self.addCleanup(rig.close)
        rig.imprint("generate", rig.job, "--count", 2)
        devices = [rig.add_device() for _ in range(2)]
        self.provision(devices)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        live = judge.check_all(rig, devices)
        keys = [(d.export() / "symmetric").read_bytes() for d in devices]
        self.assertEqual({r["ext"]["symmetric"]["kcv"] for r in live.values()},
                         {check_value(k).hex() for k in keys})
        self.assertEqual({r["mode"] for r in live.values()}, {"hsm"})
        self.assertNotEqual(*keys)

    # ---- what is refused

    def test_what_a_job_may_not_ask_for(self):
        rig = self.make()
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("nothing to generate", refused.stderr)
        for more, certificate, status, words in (
                ("key_mode: hsm\n", True, "REFUSED", "does not allow key mode 'hsm'"),
                ("symmetric_key: true\n", False, "INPUT", "beside a key from the HSM"),
                ("", True, "INPUT", "take 'certificate' out")):
            rig.write_job(more=more, certificate=certificate)
            result = rig.imprint("run", rig.job, check=False)
            self.assertEqual(result.returncode, EXIT[status], result.stderr)
            self.assertIn(words, result.stderr)
        rig.write_order(id="E2E-2")
        rig.write_job(order="E2E-2", more="symmetric_key: true\n")
        result = rig.imprint("run", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("allows no symmetric key", result.stderr)

    def test_what_an_order_may_not_say(self):
        rig = self.make()
        for changes, words in (
                ({"profile": {"name": "idevid", "sha256": "0" * 64}}, "there are no certificates"),
                ({"symmetric_key": True}, "without key mode"),
                ({"key_recipients": []}, "SHA-256 of each recipient"),
                ({"key_modes": ["device"], "key_recipients": ["0" * 64], "profile":
                  {"name": "idevid", "sha256": "0" * 64}}, "no symmetric keys")):
            rig.write_order(add=False, id="E2E-9", **{**ORDER, **changes})
            result = rig.add_order(check=False)
            self.assertEqual(result.returncode, EXIT["INPUT"], result.stderr)
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
