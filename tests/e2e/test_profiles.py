"""Orders with other profiles than idevid, from the order to the manifest that an owner verifies."""
import base64
import json
import subprocess
import unittest

from rig import EXIT, IMPRINT, Rig, run

ORGANIZATION = "certificate:\n  organization: Acme Medical\n"
OWN = """name: acme
title: a profile of one's own
version: 3
validity:
  not_after: 20y
subject:
  - attribute: serialNumber
    value: "{serial}"
key_usage:
  bits: [digitalSignature]
authority_key_identifier: true
subject_alt_name:
  names:
    - type: uri
      value: "https://acme.example/{product}/{serial}"
"""


def profile(name):
    said = json.loads(run(IMPRINT, "profile", "check", name, "--json").stdout)
    return {"name": said["name"], "sha256": said["sha256"]}


class Profiles(unittest.TestCase):
    def make(self, fixed, certificate):
        rig = Rig(order={"profile": fixed})
        self.addCleanup(rig.close)
        self.set_certificate(rig, certificate)
        return rig

    def set_certificate(self, rig, certificate):
        text = rig.job.read_text()
        before = text[:text.find("certificate:") if "certificate:" in text else text.index("ports:")]
        rig.job.write_text(before + certificate + text[text.index("ports:"):])

    def provision(self, rig):
        """One device, sealed and verified; the text of its certificate."""
        rig.imprint("generate", rig.job, "--count", 3)
        device = rig.add_device()
        self.assertEqual(rig.run_json()[0], 0)
        device.stop()
        rig.seal()
        rig.verify(rig.manifests()[-1])
        der = base64.b64decode(rig.records()[-1]["cert"])
        return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der,
                              capture_output=True, check=True).stdout.decode()

    def refused(self, rig, name, text):
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def test_a_device_gets_the_smallest_certificate(self):
        rig = self.make(profile("minimal"), "")
        text = self.provision(rig)
        self.assertIn("Version: 1 (0x0)", text)
        self.assertIn("Subject: serialNumber = PUMP-000001", text)

    def test_a_device_gets_a_certificate_of_a_profile_in_a_file(self):
        own = Rig(station=False)
        self.addCleanup(own.close)
        path = own.dir / "acme.yaml"
        path.write_text(OWN)
        rig = self.make(profile(path), f"certificate:\n  profile: {path}\n")
        text = self.provision(rig)
        self.assertIn("URI:https://acme.example/09506000134352/PUMP-000001", text)
        path.write_text(OWN.replace("20y", "30y"))
        self.refused(rig, "REFUSED", "not the one that order 'E2E-1' fixes by name and hash")

    def test_a_job_cannot_change_or_leave_the_profile(self):
        rig = self.make(profile("aws-iot"), ORGANIZATION)
        rig.imprint("generate", rig.job, "--count", 1)
        self.set_certificate(rig, ORGANIZATION + "  hardware_type: 1.2.3\n")
        self.refused(rig, "INPUT", "has no place for 'hardware_type'")
        self.set_certificate(rig, "")
        self.refused(rig, "INPUT", "needs 'organization'")
        self.set_certificate(rig, ORGANIZATION + "  profile: idevid\n")
        self.refused(rig, "MISSING", "idevid")
        rig.write_order(add=False, type="amendment", amends=rig.order_hash,
                        profile=profile("azure-dps"))
        result = rig.add_order(check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("'profile'", result.stderr)

    def test_what_cannot_be_made_ahead_or_here_is_refused(self):
        cases = (({"name": "idevid", "sha256": "0" * 64}, ORGANIZATION, "REFUSED", "by name and hash"),
                 (profile("matter-pai"), ORGANIZATION + "  vendor_id: FFF1\n", "REFUSED", "a CA"),
                 (profile("matter-dac"), "certificate:\n  vendor_id: FFF1\n  product_id: '8000'\n",
                  "INPUT", "profile 'matter-pai'"),
                 ({"name": "acme", "sha256": "0" * 64}, "", "MISSING", "add 'profile: FILE'"))
        for fixed, certificate, name, text in cases:
            with self.subTest(fixed["name"]):
                self.refused(self.make(fixed, certificate), name, text)

    def test_a_value_of_the_claim_needs_certificates_made_at_the_claim(self):
        own = Rig(station=False)
        self.addCleanup(own.close)
        path = own.dir / "acme.yaml"
        path.write_text(OWN.replace("/{serial}", "/{chip_id}"))
        rig = self.make(profile(path), f"certificate:\n  profile: {path}\n")
        self.refused(rig, "REFUSED", "known only when a device is in its slot")


if __name__ == "__main__":
    unittest.main()
