"""The issuing CA's revocation list, kept in step and judged by openssl, certtool and cryptography."""
import datetime
import json
import subprocess
import shutil
import unittest

from cryptography import x509

from rig import EXIT, Rig, run

ORDERED = {"good": 10, "max_issued": 10, "spoilage": 2, "rework": 1}


class Revocations(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=6, order={"counts": ORDERED})
        self.addCleanup(self.rig.close)
        self.path = self.rig.station / "crl/issuing-ca.crl"
        self.trust = self.rig.station / "trust"

    def provision(self, count):
        devices = [self.rig.add_device() for _ in range(count)]
        self.rig.run_json()
        for device in devices:
            device.stop()
        return devices

    def load(self):
        return x509.load_der_x509_crl(self.path.read_bytes())

    def crl_number(self):
        return self.load().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def leaf(self, device):
        return device.export() / "certificates.pem"

    def verifies(self, device):
        """What openssl says of a device's certificate under the list."""
        pem = self.rig.dir / "list.pem"
        run("openssl", "crl", "-inform", "DER", "-in", self.path, "-out", pem)
        done = subprocess.run(
            ["openssl", "verify", "-crl_check", "-CRLfile", pem, "-CAfile",
             self.trust / "device-root.pem", "-untrusted", self.leaf(device), self.leaf(device)],
            capture_output=True, text=True)
        if done.returncode:
            self.assertIn("certificate revoked", done.stderr)
        return done.returncode == 0

    def judge_form(self, entries):
        issuer = self.rig.station / "ca/issuing-ca.pem"
        run("openssl", "crl", "-inform", "DER", "-in", self.path, "-CAfile", issuer, "-noout",
            "-verify")
        text = run("certtool", "--crl-info", "--inder", "--infile", self.path).stdout
        self.assertIn("ECDSA-SHA256", text)
        self.assertNotIn("error", text)
        crl = self.load()
        ca = x509.load_pem_x509_certificate(issuer.read_bytes())
        self.assertTrue(crl.is_signature_valid(ca.public_key()))
        self.assertEqual(crl.issuer, ca.subject)
        self.assertEqual(
            crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier,
            ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
        self.assertEqual(len(list(crl)), entries)
        return crl

    def test_the_list_follows_what_happens(self):
        rig, devices = self.rig, self.provision(3)
        rig.seal()
        self.assertFalse(self.path.exists())
        made = json.loads(rig.imprint("crl", "--days", 7, "--by", "Ada", "--json").stdout)
        crl = self.judge_form(0)
        self.assertEqual(made["number"], self.crl_number())
        self.assertEqual(crl.next_update - crl.last_update, datetime.timedelta(days=7))
        self.assertTrue(all(self.verifies(d) for d in devices))

        serial = (devices[0].export() / "serial").read_text().strip()
        rig.imprint("void", serial, "--reason", "x", "--reason-code", "keyCompromise")
        crl = self.judge_form(1)
        self.assertGreater(self.crl_number(), made["number"])
        self.assertEqual(crl.next_update - crl.last_update, datetime.timedelta(days=7))
        leaf = x509.load_pem_x509_certificate(self.leaf(devices[0]).read_bytes())
        [entry] = crl
        self.assertEqual(entry.serial_number, leaf.serial_number)
        self.assertEqual(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason,
                         x509.ReasonFlags.key_compromise)
        self.assertEqual([self.verifies(d) for d in devices], [False, True, True])

        lost = rig.add_device("--fault", "vanish")
        rig.run_json(check=False)
        lost.stop()
        [tx] = [json.loads(line)["tx"] for line in
                rig.imprint("reconcile", "--json", check=False).stdout.splitlines()
                if json.loads(line).get("event") == "unresolved"]
        rig.imprint("void", tx, "--lost", "--reason", "gone")
        crl, before = self.judge_form(2), self.crl_number()
        rig.imprint("void", "PUMP-000006", "--reason", "scrap")  # never left: not listed
        rig.seal()
        self.judge_form(2)
        self.assertGreater(self.crl_number(), before)
        listed = {e.serial_number for e in self.load()}
        ended = {x509.load_der_x509_certificate(self.certificate(r)).serial_number
                 for r in rig.records() if r.get("reason") == "burned"} | {leaf.serial_number}
        self.assertEqual(listed, ended)
        rig.imprint("ledger", "verify")

    def test_a_replaced_identity_is_on_the_list_at_once(self):
        rig, devices = self.rig, self.provision(2)
        rig.imprint("crl")
        before = self.crl_number()
        serial = (devices[1].export() / "serial").read_text().strip()
        rig.imprint("rework", serial, "--by", "Eve", "--reason", "new board")
        self.judge_form(1)
        self.assertGreater(self.crl_number(), before)
        self.assertEqual([self.verifies(d) for d in devices], [True, False])
        before = self.crl_number()
        rig.imprint("rework", serial, "--by", "Eve", "--reason", "new board")
        self.assertEqual(self.crl_number(), before)  # nothing was revoked

    def test_what_a_run_burns_is_on_the_list_after_it(self):
        rig = self.rig
        rig.imprint("crl")
        before = self.crl_number()
        device = rig.add_device("--fault", "vanish")
        rig.run_json(check=False)
        device.stop()
        self.assertEqual(self.crl_number(), before)  # unresolved, and nothing ended
        shutil.rmtree(device.store)
        again = rig.add_device(chip=device.chip)
        rig.run_json()
        again.stop()
        self.assertEqual(len(list(self.load())), 1)
        self.assertGreater(self.crl_number(), before)

    def test_no_table_can_hide_what_the_ledger_ended(self):
        rig, devices = self.rig, self.provision(1)
        rig.imprint("void", (devices[0].export() / "serial").read_text().strip(), "--reason", "stolen")
        rig.imprint("crl")
        self.assertEqual(len(list(self.load())), 1)
        for edit in ("UPDATE orders SET hash = zeroblob(32)", "DELETE FROM orders"):
            run("sqlite3", rig.station / "station.db", edit)
            result = rig.imprint("crl", check=False)
            self.assertNotEqual(result.returncode, 0, edit)
            self.assertEqual(len(list(self.load())), 1)

    def certificate(self, record):
        import base64
        return base64.b64decode(record["cert"])

    def test_a_list_is_the_old_one_or_the_new_one(self):
        rig = self.rig
        rig.imprint("crl")
        before = self.path.read_bytes()
        self.path.parent.chmod(0o555)
        self.addCleanup(self.path.parent.chmod, 0o755)
        for _ in range(6):
            process = rig.start_imprint("crl")
            process.kill()
            process.wait()
            process.stdout.close()
            self.judge_form(0)
        self.path.parent.chmod(0o755)
        rig.imprint("crl")
        self.assertNotEqual(self.path.read_bytes(), before)
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["issuing-ca.crl"])
        self.assertEqual(rig.imprint("crl", "--days", 0, check=False).returncode, EXIT["USAGE"])

    def test_the_tables_cannot_hide_a_revocation(self):
        rig, [device] = self.rig, self.provision(1)
        serial = (device.export() / "serial").read_text().strip()
        rig.imprint("void", serial, "--reason", "x")
        run("sqlite3", rig.station / "station.db", "UPDATE credentials SET state = 2")
        rig.imprint("crl")
        self.judge_form(1)
        self.assertFalse(self.verifies(device))


if __name__ == "__main__":
    unittest.main(verbosity=2)
