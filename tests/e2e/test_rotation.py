"""New manifest and log keys of a real station, followed by the importer and judged by openssl."""
import json
import pathlib
import subprocess
import sys
import unittest

from rig import EXIT, Rig, run

ORDERED = {"good": 10, "max_issued": 10, "spoilage": 2, "rework": 0}
VERIFIER = pathlib.Path(__file__).resolve().parents[2] / "docs/manifest-verifier.py"
WHO = ("--by", "Ada", "--reason", "every two years")


class Rotation(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=8, order={"counts": ORDERED})
        self.addCleanup(self.rig.close)
        self.trust = self.rig.station / "trust"
        self.given_up = 0

    def record(self):
        """Something to seal: a credential that is given up."""
        self.given_up += 1
        self.rig.imprint("void", f"PUMP-{self.given_up:06}", "--reason", "x")

    def rotate(self, key):
        said = json.loads(self.rig.imprint("rotate", key, *WHO, "--json").stdout)
        self.assertEqual(said["key"], key)
        return said

    def signed_by(self, folder, certificate):
        """Whether the manifest is signed with the key of this certificate, by openssl alone."""
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-nointern",
             "-in", folder / "manifest.json.p7s", "-content", folder / "manifest.json", "-CAfile",
             self.trust / "manifest-root.pem", "-certfile", certificate, "-out", "/dev/null"],
            capture_output=True, text=True)
        return done.returncode == 0

    def names_on(self, folder):
        return (folder / "checkpoint").read_text().split("\n\n")[1].splitlines()

    def test_both_keys_twice(self):
        rig = self.rig
        self.record()
        rig.seal()
        first = self.rotate("log-key")
        self.assertEqual((first["generation"], first["manifest"]), (2, 2))
        self.record()
        rig.seal()
        self.assertEqual(self.rotate("manifest-key")["manifest"], 4)
        self.record()
        rig.seal()
        self.assertEqual(self.rotate("log-key")["generation"], 3)
        self.assertEqual(self.rotate("manifest-key")["generation"], 3)
        self.record()
        rig.imprint("seal")
        folders = rig.manifests()
        self.assertEqual(len(folders), 8)
        rig.accept()  # all of them, with the pins of the beginning
        self.assertEqual([len(self.names_on(f)) for f in folders], [1, 2, 1, 1, 1, 2, 1, 1])

        signers = [rig.station / "ca" / name for name in
                   ("manifest-signer.pem", "manifest-signer-2.pem", "manifest-signer-3.pem")]
        self.assertEqual([[self.signed_by(f, s) for s in signers].index(True) for f in folders],
                         [0, 0, 0, 0, 1, 1, 1, 2])
        for i, pin in enumerate(["log.vkey"] * 2 + ["log-2.vkey"] * 4 + ["log-3.vkey"] * 2):
            run(sys.executable, VERIFIER, self.trust / "manifest-root.pem",
                self.trust / "device-root.pem", self.trust / pin, folders[i],
                *folders[i - 1:i] if i else ())
        # A single manifest is verified under the key of its time.
        rig.verify(folders[0])
        for folder, pin in ((2, "log-2.vkey"), (7, "log-3.vkey")):
            rig.verify(folders[folder], "--log-key", self.trust / pin)
            self.assertNotEqual(rig.verify(folders[folder], check=False).returncode, 0)
        rig.imprint("ledger", "verify")
        rig.imprint("audit")
        rig.imprint("ledger", "export", rig.dir / "ledger")
        self.assertIn("every two years", rig.records()[1]["ext"]["rotation"]["reason"])

    def test_what_is_refused(self):
        rig = self.rig
        self.assertEqual(rig.imprint("rotate", "log-key", check=False).returncode, EXIT["USAGE"])
        self.assertEqual(rig.imprint("rotate", "root-ca", *WHO, check=False).returncode,
                         EXIT["USAGE"])
        self.assertEqual(rig.manifests(), [])

    def test_killed_on_the_way(self):
        rig = self.rig
        self.record()
        rig.seal()
        for step in range(12):
            process = rig.start_imprint("rotate", "log-key", *WHO)
            try:
                process.wait(0.02 + 0.03 * step)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            process.stdout.close()
        rig.imprint("seal", check=False)
        self.rotate("log-key")
        self.record()
        rig.imprint("seal")
        rig.accept()
        rig.imprint("ledger", "verify")
        rig.imprint("audit")


if __name__ == "__main__":
    unittest.main(verbosity=2)
