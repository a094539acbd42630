"""What a bundle may hold besides key and certificates, delivered by a real station."""
import base64
import hashlib
import json
import shutil
import unittest

import flash
import judge
from cryptography import x509
from rig import EXIT, MANIFEST, Rig, run


class Station(unittest.TestCase):
    def make(self, **options):
        self.rig = Rig(**options)
        self.addCleanup(self.rig.close)
        return self.rig

    def make_with_objects(self, credentials=2, **order):
        """A station whose order names every kind of object."""
        rig = self.make()
        hashes, self.job_text = rig.make_objects()
        rig.write_order(id="E2E-2", serials={"prefix": "OBJ-"}, objects=hashes, **order)
        rig.write_job(order="E2E-2", prefix="OBJ-", more=self.job_text)
        rig.imprint("generate", rig.job, "--count", credentials)
        return rig


class Objects(Station):
    def test_devices_get_the_objects_of_the_order(self):
        rig = self.make_with_objects()
        devices = [rig.add_device() for _ in range(2)]
        code, slots, stderr = rig.run_json(check=False)
        self.assertEqual((code, {s["event"] for s in slots.values()}), (0, {"pass"}), stderr)
        for device in devices:
            out = device.export()
            for number, name in ((flash.FIRMWARE_KEY, "firmware_key"),
                                 (flash.CONFIGURATION_KEY, "configuration_key"),
                                 (flash.DECOMMISSION_KEY, "decommission_key")):
                self.assertEqual((out / f"object-{number}").read_bytes(), rig.object_files[name])
            signed = (out / f"object-{flash.CONFIGURATION}").read_bytes()
            self.assertEqual(signed[68:], rig.object_files["configuration"])
        rig.seal()
        rig.verify(rig.manifests()[-1])
        judge.check_all(rig, devices)

    def refused(self, status, says):
        result = self.rig.imprint("run", self.rig.job, check=False)
        self.assertEqual(result.returncode, EXIT[status], result.stderr)
        self.assertIn(says, result.stderr)

    def test_a_job_with_another_object_than_the_order_names_does_not_begin(self):
        rig = self.make_with_objects(credentials=1)
        device = rig.add_device()
        (rig.owner / "configuration").write_bytes(b"{}")
        self.refused("SIGNATURE", "is not that of")
        rig.openssl_sign("configuration", b"imprint configuration v1\0{}")
        self.refused("REFUSED", "the configuration that")
        (rig.owner / "configuration").write_bytes(rig.object_files["configuration"])
        rig.openssl_sign("configuration", b"imprint configuration v1\0" +
                         rig.object_files["configuration"])
        (rig.owner / "firmware_key.pem").write_text((rig.owner / "decommission_key.pem").read_text())
        self.refused("REFUSED", "the firmware_key that")
        rig.write_job(order="E2E-2", prefix="OBJ-")
        self.refused("INPUT", "add 'firmware_key: FILE' to 'objects'")
        self.assertIsNone(device.export())


class LaterLock(Station):
    """What is locked in a run of its own is whitelisted by that run."""

    def step(self, name):
        self.rig.write_job(more=f"step: {name}\n")
        code, slots, stderr = self.rig.run_json(check=False)
        return code, slots, stderr

    def test_a_device_is_installed_now_and_locked_later(self):
        rig = self.make(credentials=3)
        device = rig.add_device()
        # Nothing to lock yet: nothing is given away either.
        code, slots, _ = self.step("lock")
        self.assertEqual((code, slots["S1"]["error"]), (EXIT["REFUSED"], "ERR_REFUSED"))
        self.assertIn("no whole identity yet", slots["S1"]["text"])
        self.assertEqual(rig.order_status()["available"], 3)
        for _ in range(2):
            code, slots, stderr = self.step("install")
            self.assertEqual((code, slots["S1"]["event"], slots["S1"].get("waits")),
                             (0, "pass", "lock"), stderr)
            self.assertIn("lifecycle factory", (device.export() / "state").read_text())
        status = rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["available"]), (0, 1, 2))
        other = rig.add_device()
        code, slots, _ = self.step("lock")
        self.assertEqual({n: s["event"] for n, s in slots.items()}, {"S1": "pass", "S2": "fail"})
        self.assertNotIn("waits", slots["S1"])
        self.assertIn("lifecycle locked", (device.export() / "state").read_text())
        other.stop()
        other.port.unlink()
        # Once more finds it finished.
        code, slots, _ = self.step("lock")
        self.assertEqual((code, slots["S1"]["again"]), (0, True))
        rig.seal()
        rig.verify(rig.manifests()[-1])
        live = judge.check_all(rig, [device])
        self.assertTrue(all(record["lock"] for record in live.values()))

    def test_steps_that_make_no_sense_are_refused(self):
        rig = self.make(order={"lock": False})
        for step, says in (("install", "asks for no lock"), ("lock", "asks for no lock"),
                           ("half", "'step' must be all, install or lock")):
            rig.write_job(more=f"step: {step}\n")
            result = rig.imprint("run", rig.job, check=False)
            self.assertEqual(result.returncode, EXIT["INPUT"], result.stderr)
            self.assertIn(says, result.stderr)


class Decommission(Station):
    """The owner takes identities away, and gives others."""

    def setUp(self):
        self.rig = self.make_with_objects(credentials=3)
        self.statements = self.rig.dir / "statements"
        self.statements.mkdir()

    def decommission(self):
        return self.rig.imprint("decommission", self.rig.job, "--statements", self.statements,
                                "--reason", "a return", check=False)

    def provision(self, device):
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), stderr)
        return slots["S1"]["serial"]

    def statement(self, device):
        """What the owner signs, from what the manifest says of the device."""
        leaf = x509.load_pem_x509_certificate((device.export() / "certificates.pem").read_bytes())
        der = leaf.public_bytes(judge.serialization.Encoding.DER)
        chip = bytes.fromhex(device.chip)
        return (b"imprint decommission v1\0" + len(chip).to_bytes(2, "big") + chip + b"\0\x20" +
                hashlib.sha256(der).digest())

    def sign(self, serial, statement):
        shutil.copy(self.rig.openssl_sign("decommission", statement),
                    self.statements / f"{serial}.sig")

    def sealed(self):
        self.rig.seal()
        self.rig.verify(self.rig.manifests()[-1])
        self.rig.accept()
        self.rig.imprint("ledger", "verify")
        return self.rig.records()

    def test_a_locked_device_is_taken_back_and_provisioned_again(self):
        rig = self.rig
        device = rig.add_device()
        serial = self.provision(device)
        statement = self.statement(device)
        self.assertIn("lifecycle locked", (device.export() / "state").read_text())
        first = self.sealed()
        # Nobody signed: the station says what is to be signed, and nothing happens.
        result = self.decommission()
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertEqual((self.statements / f"{serial}.tbs").read_bytes(), statement)
        # Somebody else signed.
        self.sign(serial, statement + b"x")
        self.assertEqual(self.decommission().returncode, EXIT["SIGNATURE"])
        self.assertEqual(self.sealed(), first)
        self.assertIsNotNone(device.export())
        # The owner signed; a device that did not hear of it is told again, and recorded once.
        self.sign(serial, statement)
        self.assertIn("with 0 certificates", rig.imprint("crl").stdout)
        device.stop()
        shutil.copytree(device.store, rig.dir / "before")
        for _ in range(2):
            shutil.rmtree(device.store)
            shutil.copytree(rig.dir / "before", device.store)
            device.start()
            result = self.decommission()
            self.assertEqual(result.returncode, 0, result.stderr)
            device.stop()
            self.assertIsNone(device.export())
        revoked = x509.load_der_x509_crl((rig.station / "crl/issuing-ca.crl").read_bytes())
        self.assertEqual(len(list(revoked)), 1)
        device.start()
        record = self.sealed()[-1]
        self.assertEqual((record["t"], record["sn"], record["chip"], record["reason"]),
                         ("decommission", serial, device.chip, "cessationOfOperation"))
        self.assertEqual(first[record["ref"]]["sn"], serial)
        self.assertEqual(len(rig.records()), 2)
        status = rig.order_status()
        self.assertEqual((status["proven"], status["revoked"]), (0, 1))
        # There is nothing left to take away, and the device takes another identity.
        self.assertEqual(self.decommission().returncode, EXIT["REFUSED"])
        again = self.provision(device)
        self.assertNotEqual(again, serial)
        records = self.sealed()
        self.assertEqual([r["t"] for r in records], ["add", "decommission", "add"])
        judge.check_device(rig, device, {again: records[-1]})
        show = run(MANIFEST, "check", "--state", rig.dir / "whitelist", serial, check=False)
        self.assertIn("decommissioned", show.stdout + show.stderr)
        # The old word does not touch the new identity.
        shutil.copy(self.statements / f"{serial}.sig", self.statements / f"{again}.sig")
        self.assertEqual(self.decommission().returncode, EXIT["SIGNATURE"])
        self.assertIsNotNone(device.export())

    def test_an_order_without_a_decommission_key_takes_nothing_away(self):
        rig = self.rig
        rig.write_order(id="E2E-3", serials={"prefix": "NO-"})
        rig.write_job(order="E2E-3", prefix="NO-")
        result = self.decommission()
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("names no decommission_key", result.stderr)


if __name__ == "__main__":
    unittest.main()
