"""What a bundle may hold besides key and certificates, delivered by a real station."""
import unittest

import flash
import judge
from rig import EXIT, Rig


class Objects(unittest.TestCase):
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


if __name__ == "__main__":
    unittest.main()
