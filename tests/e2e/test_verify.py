"""`imprint verify`: genuine, whitelisted or not, of devices on a desk; those that lie are found, nothing changes."""
import hashlib
import json
import shutil
import unittest

import flash
from rig import EXIT, IMPRINT, MANIFEST, Rig, run

HELD, REVOKED, UNKNOWN = 33, 34, 36


def fingerprint(folder):
    """Every file below a folder, by its content."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


class Verify(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=6)
        self.addCleanup(self.rig.close)
        self.devices = [self.rig.add_device() for _ in range(3)]
        self.rig.run_json()
        self.rig.seal()

    def verify(self, device, *options, dir=None, input=None):
        """(exit status, the answer or the error)."""
        env = dict(self.rig.environment(), IMPRINT_DIR=str(dir or self.rig.station))
        patient = () if "--timeout" in options else ("--timeout", 5000)
        result = run(IMPRINT, "verify", f"/dev/ttyFACT{device.number}", "--json", *patient, *options,
                     env=env, check=False, input=input)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(lines), 1, result)
        self.assertEqual(lines[0]["exit"], result.returncode, result)
        return result.returncode, lines[0]

    def restart(self, device, *options, chip=None):
        device.stop()
        device.chip = chip or device.chip
        return device.start(*options)

    def assert_answer(self, found, code, answer, genuine, text=""):
        status, said = found
        self.assertEqual((status, said.get("answer"), said.get("genuine")), (code, answer, genuine), said)
        self.assertIn(text, said["why"])

    def serial(self, device):
        return (device.export() / "serial").read_text().strip()

    # ---- good ones

    def test_a_locked_device_is_genuine_and_nothing_changes(self):
        device = self.devices[0]
        serial = self.serial(device)
        before = fingerprint(self.rig.station), fingerprint(device.store)
        status, said = self.verify(device)
        self.assertEqual((status, said["answer"], said["genuine"], said["locked"]), (0, "ok", True, True))
        self.assertEqual((said["serial"], said["product"], said["chip"], said["firmware"]),
                         (serial, "09506000134352", device.chip, "1.4.2"))
        self.assertEqual((fingerprint(self.rig.station), fingerprint(device.store)), before)
        record = self.rig.records()[said["leaf"]]
        self.assertEqual(record["sn"], serial)

    def test_without_station_token_or_pin(self):
        """Manifests and pins alone, in a folder of somebody else; no secret is in reach."""
        desk = self.rig.dir / "desk"
        shutil.copytree(self.rig.station / "manifests", desk / "manifests")
        shutil.copytree(self.rig.station / "trust", desk / "trust")
        (self.rig.dir / "pin").unlink()
        self.rig.station.rename(self.rig.dir / "away")
        self.assert_answer(self.verify(self.devices[1], dir=desk), 0, "ok", True)
        options = "--manifests", desk / "manifests", "--trust", desk / "trust"
        self.assert_answer(self.verify(self.devices[1], *options), 0, "ok", True)
        single = next((desk / "manifests").iterdir())
        self.assert_answer(self.verify(self.devices[1], "--manifests", single, "--trust", desk / "trust"),
                           0, "ok", True)
        (self.rig.dir / "away").rename(self.rig.station)

    def test_by_the_state_of_an_importer(self):
        self.rig.accept()
        state = self.rig.dir / "whitelist"
        decide = "--state", state, "--who", "Ada", "--why", "a test"
        first, second, third = self.devices
        self.assert_answer(self.verify(first, "--state", state), 0, "ok", True)
        run(MANIFEST, "hold", *decide, self.serial(first))
        run(MANIFEST, "revoke", *decide, self.serial(second))
        self.assert_answer(self.verify(first, "--state", state), HELD, "held", True, "decision")
        self.assert_answer(self.verify(second, "--state", state), REVOKED, "revoked", True, "decision")
        self.assert_answer(self.verify(third, "--state", state), 0, "ok", True)
        status, said = self.verify(third, "--state", state, "--trust", self.rig.station / "trust")
        self.assertEqual(status, EXIT["USAGE"])

    def test_labels(self):
        device, other = self.devices[:2]
        mine, another = self.serial(device), self.serial(other)
        for label in (mine, f"(01)09506000134352(21){mine}"):
            status, said = self.verify(device, "--label", label)
            self.assertEqual((status, said["label"]), (0, True), said)
        self.assertEqual(self.verify(device, "--scan", input=f"]C1010950600013435221{mine}\r\n")[0], 0)
        for label in (another, f"(01)09506000134352(21){another}", f"(01)04012345678901(21){mine}"):
            found = self.verify(device, "--label", label)
            self.assert_answer(found, EXIT["LABEL_MISMATCH"], "label_mismatch", True, label[-6:])
            self.assertFalse(found[1]["label"])
        for label in ("(01)0950600013435", "(01)09506000134352"):
            self.assertEqual(self.verify(device, "--label", label)[0], EXIT["INPUT"])
        self.assertEqual(self.verify(device, "--scan", input="")[0], EXIT["INPUT"])

    # ---- bad ones

    def test_devices_that_lie(self):
        held = flash.read_folder(self.devices[1].store)
        certificate = self.rig.dir / "other.der"
        certificate.write_bytes(held.objects[flash.CERTIFICATES])
        device = self.devices[0]
        self.restart(device, "--fault=replay-proof")
        self.assertEqual(self.verify(device)[0], 0)  # what is replayed from now on
        for lie, text in (("wrong-proof", "did not prove"), ("replay-proof", "did not prove"),
                          ("other-cert", "certificate"), (f"cert-of={certificate}", "certificate"),
                          ("other-serial", "says it is"),
                          (f"clone-tx={held.transaction.hex()}", "says it is")):
            with self.subTest(lie):
                self.restart(device, f"--fault={lie}")
                self.assert_answer(self.verify(device), EXIT["PROOF"], "not_genuine", False, text)
        self.restart(device, chip="beef")
        self.assert_answer(self.verify(device), EXIT["PROOF"], "not_genuine", False, "chip")

    def test_a_counterfeit_with_an_identity_of_its_own(self):
        """Its maker has a station and a CA too, and not this owner's."""
        maker = Rig(credentials=1, name="line-9")
        self.addCleanup(maker.close)
        fake = maker.add_device(number=9)
        maker.run_json()
        maker.seal()
        fake.stop()
        fake.port.unlink()
        fake.rig, fake.port = self.rig, self.rig.dir / "ports/ttyFACT9"
        self.rig.devices.append(fake.start())
        self.assert_answer(self.verify(fake), UNKNOWN, "unknown", None, "no manifest")
        # Its maker's manifests are not signed by whom the pins name.
        status, said = self.verify(fake, "--manifests", maker.station / "manifests")
        self.assertEqual(status, EXIT["SIGNATURE"], said)
        # And evidence from there proves the key, which no accepted manifest has.
        self.rig.accept()
        self.assert_answer(self.verify(fake, "--state", self.rig.dir / "whitelist", "--manifests",
                                       maker.station / "manifests"), UNKNOWN, "unknown", True)

    def test_without_an_identity_and_before_the_lock(self):
        empty = self.rig.add_device()
        self.assert_answer(self.verify(empty), UNKNOWN, "no_identity", None, "no identity")
        self.restart(empty, "--fault=vanish-after")
        self.rig.run_json(check=False)
        self.restart(empty)
        # It has an identity that was never proven, so no manifest has it.
        status, said = self.verify(empty)
        self.assertEqual((status, said["genuine"]), (UNKNOWN, None), said)

    def test_revoked_and_not_sealed_yet(self):
        device, late = self.devices[0], self.rig.add_device()
        self.rig.run_json()
        self.assert_answer(self.verify(late), UNKNOWN, "unknown", None)
        self.rig.imprint("void", self.serial(device), "--by", "Ada", "--reason", "a test")
        self.rig.seal()
        self.assert_answer(self.verify(late), 0, "ok", True)
        self.assert_answer(self.verify(device), REVOKED, "revoked", True)

    def test_a_manifest_that_was_changed_is_not_believed(self):
        folder = self.rig.manifests()[0]
        lines = (folder / "devices-00000.jsonl").read_bytes()
        (folder / "devices-00000.jsonl").write_bytes(lines.replace(b'"lock":true', b'"lock":false', 1))
        self.assertEqual(self.verify(self.devices[0])[0], EXIT["INTEGRITY"])
        shutil.rmtree(folder)
        self.assertEqual(self.verify(self.devices[0])[0], EXIT["MISSING"])

    def test_a_port_that_is_silent_or_missing(self):
        device = self.devices[0]
        self.restart(device, "--fault=silent")
        self.assertEqual(self.verify(device, "--timeout", 50)[0], EXIT["TIMEOUT"])
        device.stop()
        device.port.unlink()
        status, said = self.verify(device)
        self.assertEqual(status, EXIT["MISSING"], said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
