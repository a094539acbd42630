"""New manifest and log keys of a real station, followed by the importer and judged by openssl."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

from rig import EXIT, MANIFEST, Rig, run

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


class SecondKey(unittest.TestCase):
    """A second signature of the station, below a root of its own."""
    ALGORITHMS = {"ecdsa-p384": "ecdsa-with-SHA384", "rsa-pss-3072": "rsassaPss"}

    def setUp(self):
        self.rig = Rig(credentials=8, order={"counts": ORDERED})
        self.addCleanup(self.rig.close)
        self.trust = self.rig.station / "trust"
        self.pin = self.trust / "second-root.pem"
        self.given_up = 0

    def seal_one(self):
        self.given_up += 1
        self.rig.imprint("void", f"PUMP-{self.given_up:06}", "--reason", "x")
        return pathlib.Path(self.rig.seal()["path"])

    def rotate(self, *more, check=True):
        return self.rig.imprint("rotate", "second-key", *WHO, "--json", *more, check=check)

    def openssl_verifies(self, folder, algorithm):
        signature = folder / f"manifest.json.{algorithm}.p7s"
        run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in", signature,
            "-content", folder / "manifest.json", "-CAfile", self.pin, "-out", "/dev/null")
        self.assertIn(self.ALGORITHMS[algorithm], run(
            "openssl", "cms", "-cmsout", "-print", "-inform", "PEM", "-in", signature).stdout)

    def check_python(self, folder, before, *more):
        return subprocess.run(
            [sys.executable, VERIFIER, self.trust / "manifest-root.pem",
             self.trust / "device-root.pem", self.trust / "log.vkey", folder, before, *more],
            capture_output=True, text=True).returncode

    def follow(self, algorithm):
        rig, required = self.rig, f"{algorithm}={self.pin}"
        first = self.seal_one()
        said = json.loads(self.rotate("--algorithm", algorithm).stdout)
        self.assertEqual((said["key"], said["algorithm"], said["generation"], said["path"]),
                         ("second-key", algorithm, 1, str(self.pin)))
        self.assertEqual(len(rig.manifests()), 1)  # nothing is announced in the log
        second = self.seal_one()
        self.openssl_verifies(second, algorithm)
        self.assertFalse((first / f"manifest.json.{algorithm}.p7s").exists())

        self.assertEqual(self.check_python(second, first, "--require-alg", required), 0)
        self.assertNotEqual(self.check_python(second, first), 0)
        rig.verify(second, "--require-alg", required)
        refused = rig.verify(second, check=False)
        self.assertEqual(refused.returncode, EXIT["SIGNATURE"])
        self.assertIn(f"--require-alg {algorithm}=FILE", refused.stderr)

        accept = ("accept", "--state", rig.dir / "whitelist", *rig.pins())
        run(MANIFEST, *accept, first)
        run(MANIFEST, *accept, "--require-alg", required, second)
        self.assertEqual(json.loads(self.rotate().stdout)["generation"], 2)
        third = self.seal_one()
        self.openssl_verifies(third, algorithm)
        self.assertNotEqual((rig.station / "ca/second-signer.pem").read_text(),
                            (rig.station / "ca/second-signer-2.pem").read_text())
        kept = third / f"manifest.json.{algorithm}.p7s"
        kept.rename(rig.dir / "aside")
        self.assertEqual(run(MANIFEST, *accept, third, check=False).returncode, EXIT["INCOMPLETE"])
        (rig.dir / "aside").rename(kept)
        run(MANIFEST, *accept, third)
        for command in (("audit",), ("ledger", "verify"), ("reconcile",)):
            rig.imprint(*command)
        rig.imprint("seal", "--export", "azure-iot-hub")

    def test_p384(self):
        self.follow("ecdsa-p384")

    def test_rsa(self):
        self.follow("rsa-pss-3072")

    def exchanged(self, certificate, algorithm):
        """Another certificate of the same key, by another authority."""
        evil, pub = self.rig.dir / "evil", self.rig.dir / "pub.pem"
        ext = self.rig.dir / "ext"
        ext.write_text("keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n")
        pub.write_text(run("openssl", "x509", "-in", certificate, "-pubkey", "-noout").stdout)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{algorithm}",
            "-nodes", "-keyout", f"{evil}.key", "-out", f"{evil}.pem", "-subj", "/CN=Evil")
        run("openssl", "x509", "-new", "-force_pubkey", pub, "-CA", f"{evil}.pem", "-CAkey",
            f"{evil}.key", "-subj", "/CN=Signer", "-days", 30, "-extfile", ext, "-out", certificate)

    def test_an_exchanged_certificate_is_told_before_anything_is_published(self):
        self.rotate("--algorithm", "ecdsa-p384")
        self.rig.imprint("void", "PUMP-000001", "--reason", "x")
        certified = (self.rig.station / "ca/second-signer.pem").read_bytes()
        for name, curve in (("second-signer", "P-384"), ("manifest-signer", "P-256")):
            certificate = self.rig.station / f"ca/{name}.pem"
            kept = certificate.read_bytes()
            self.exchanged(certificate, curve)
            self.assertNotEqual(certificate.read_bytes(), kept)
            refused = self.rig.imprint("seal", check=False)
            self.assertEqual(refused.returncode, EXIT["SIGNATURE"], refused.stderr)
            self.assertIn("importers would refuse", refused.stderr)
            self.assertEqual(self.rig.manifests(), [])
            certificate.write_bytes(kept)
        self.exchanged(self.rig.station / "ca/second-signer.pem", "P-384")  # and the root with it
        kept = self.pin.read_bytes()
        shutil.copy(self.rig.dir / "evil.pem", self.pin)
        refused = self.rig.imprint("seal", check=False)
        self.assertEqual(refused.returncode, EXIT["SIGNATURE"], refused.stderr)
        self.assertIn("is not the certificate of the root", refused.stderr)
        self.assertEqual(self.rig.manifests(), [])
        (self.rig.station / "ca/second-signer.pem").write_bytes(certified)
        self.pin.write_bytes(kept)
        self.pin.unlink()  # killed before it was written, after the ledger told of the key
        self.rig.imprint("seal")
        self.rig.accept("--require-alg", f"ecdsa-p384={self.pin}")

    def test_the_first_key_is_rotated_beside_it(self):
        self.rotate("--algorithm", "ecdsa-p384")
        self.seal_one()
        self.rig.imprint("rotate", "manifest-key", *WHO)
        self.seal_one()
        self.rig.accept("--require-alg", f"ecdsa-p384={self.pin}")

    def test_what_is_refused(self):
        for more, code in (((), "USAGE"), (("--algorithm", "ecdsa-p256"), "USAGE"),
                           (("--algorithm", "ed25519"), "USAGE")):
            self.assertEqual(self.rotate(*more, check=False).returncode, EXIT[code], more)
        self.assertFalse(self.pin.exists())
        self.rotate("--algorithm", "ecdsa-p384")
        self.assertEqual(self.rotate("--algorithm", "rsa-pss-3072", check=False).returncode,
                         EXIT["REFUSED"])
        self.assertEqual(self.rig.imprint("rotate", "second-key", check=False).returncode,
                         EXIT["USAGE"])
        self.assertEqual(self.rig.imprint("rotate", "log-key", *WHO, "--algorithm", "ecdsa-p384",
                                          check=False).returncode, EXIT["USAGE"])
        self.rig.imprint("audit")


if __name__ == "__main__":
    unittest.main(verbosity=2)
