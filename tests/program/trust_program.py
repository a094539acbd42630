#!/usr/bin/python3
"""Runs the commands of imprint-manifest that keep a state, as an importer does: accept, check, release,
hold, revoke, crl, export, diff, merge; and what may happen meanwhile: kill, full disk, no write
permission. Judges are openssl and python3-cryptography.

Usage: trust_program.py SAMPLE_PROGRAM IMPRINT_MANIFEST WHITELIST_SERVER
"""
import csv
import hashlib
import io
import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from cryptography import x509

SAMPLE, PROGRAM, SERVER = map(os.path.abspath, sys.argv[1:4])
PINS = ["--root", "manifest-root.pem", "--device-root", "device-root.pem", "--log-key", "log.vkey"]
STATE = ["--state", "state"]
MANY = 3000


def sample(*args):
    top = tempfile.mkdtemp()
    os.chmod(top, 0o755)
    subprocess.run([SAMPLE, top, *map(str, args)], check=True)
    return top


class Case(unittest.TestCase):
    def run_program(self, *args, exit=0, stdin=None, cwd=None, **more):
        done = subprocess.run([PROGRAM, *args], cwd=cwd or self.top, input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.assertEqual(done.returncode, exit, done.stdout + done.stderr)
        self.assertEqual(bool(done.stderr), exit != 0, done.stderr)
        return done.stdout

    def accept(self, *folders, **more):
        return self.run_program("accept", *PINS, *STATE, *folders, **more)

    def answers(self, serials, **more):
        out = self.run_program("release", *STATE, "--list", "-", stdin="\n".join(serials), **more)
        return {line.split("\t")[1]: line.split("\t")[0] for line in out.splitlines()}

    def certificate(self, folder, serial):
        with open(os.path.join(self.top, folder, "devices-00000.jsonl"), encoding="ascii") as f:
            record = next(r for r in map(json.loads, f) if r["sn"] == serial and "cert" in r)
        return "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % record["cert"]


class Importer(Case):
    def setUp(self):
        self.top = sample()

    def tearDown(self):
        shutil.rmtree(self.top)

    def test_what_is_accepted_can_be_asked_for(self):
        self.assertIn("accepted: manifest 1 of", self.accept("1"))
        self.assertIn("known: manifest 1 of", self.accept("1"))
        self.accept("1", "2", "3")
        self.assertIn("whitelisted", self.run_program("check", *STATE, "A1-0003"))
        for serial, status in (("A1-0001", 34), ("A1-0005", 34), ("nobody", 36)):
            self.run_program("check", *STATE, serial, exit=status)
        for name, folder, status in (("A1-0003", "1", 0), ("A1-0001", "1", 34), ("A1-0002", "1", 35)):
            pem = self.certificate(folder, name)
            self.run_program("check", *STATE, "--cert", "-", stdin=pem, exit=status)
            with open(os.path.join(self.top, "c.pem"), "w", encoding="ascii") as f:
                f.write(pem)
            subprocess.run(["openssl", "x509", "-in", "c.pem", "-outform", "DER", "-out", "c.der"],
                           cwd=self.top, check=True)
            self.run_program("check", *STATE, "--cert", "c.der", exit=status)
        self.run_program("check", *STATE, "--cert", "unlisted.pem", exit=36)
        self.run_program("check", *STATE, "--cert", "log.vkey", exit=36)
        out = json.loads(self.run_program("check", *STATE, "--json", "A1-0001", exit=34))
        self.assertEqual((out["answer"], out["leaf"]), ("revoked", 0))

    def test_each_refusal_has_its_exit_status(self):
        self.accept("2", exit=30)
        self.accept("1", "3", exit=30)
        with open(os.path.join(self.top, "device-root.pem"), "a", encoding="ascii") as f:
            f.write("\n")  # the same pin, written otherwise
        self.accept("2")
        self.accept("1", exit=26)
        self.accept("1", "3")
        out = json.loads(self.accept("2", "--json", exit=26))
        self.assertEqual(out["error"]["exit"], 26)
        self.assertTrue(out["manifests"][0]["known"])
        other = sample()
        for name in ("1", "manifest-root.pem", "device-root.pem", "log.vkey"):
            os.rename(os.path.join(self.top, name), os.path.join(self.top, "old-" + name))
            shutil.move(os.path.join(other, name), os.path.join(self.top, name))
        shutil.rmtree(other)
        self.accept("1", exit=32)

    def test_hostile_folders_change_nothing(self):
        self.accept("1")
        devices = os.path.join(self.top, "2", "devices-00000.jsonl")
        shutil.copy(devices, os.path.join(self.top, "kept"))

        def linked():
            os.symlink("../kept", devices)

        def huge():
            with open(devices, "w", encoding="ascii") as f:
                f.write("x" * 10_000_000)

        def repeated():
            with open(os.path.join(self.top, "kept"), encoding="ascii") as f:
                text = f.read()
            with open(devices, "w", encoding="ascii") as f:
                f.write(text.replace('"t":"add"', '"t":"add","t":"add"', 1))

        def piped():
            os.mkfifo(devices)

        for damage in (linked, huge, repeated, piped):
            os.unlink(devices)
            damage()
            with self.subTest(damage.__name__):
                self.accept("2", exit=15)
        os.unlink(devices)
        shutil.copy(os.path.join(self.top, "kept"), devices)
        self.accept("2")

    def test_decisions_of_the_owner(self):
        self.accept("1", "2", "3")
        self.run_program("hold", *STATE, "--who", "qa", "--why", "dropped", "A1-0003", "A1-0004")
        self.run_program("check", *STATE, "A1-0003", exit=33)
        self.run_program("hold", *STATE, "--lift", "--why", "was not", "A1-0003")
        self.run_program("check", *STATE, "A1-0003")
        self.run_program("revoke", *STATE, "--why", "lost", "--reason", "nonsense", "A1-0003", exit=2)
        self.run_program("revoke", *STATE, "--why", "lost", "A1-0003", "nobody", exit=36)
        self.run_program("check", *STATE, "A1-0003")
        self.run_program("revoke", *STATE, "--why", "lost", "--list", "-", stdin="A1-0003\r\n\r\n")
        self.assertEqual(self.answers(["A1-0001", "A1-0002", "A1-0003", "A1-0004", "x"], exit=21),
                         {"A1-0001": "REVOKED", "A1-0002": "OK", "A1-0003": "REVOKED",
                          "A1-0004": "HOLD", "x": "UNKNOWN"})
        self.assertEqual(self.answers(["A1-0002"]), {"A1-0002": "OK"})
        for text in ("", "a b\n", "x" * 65):
            self.run_program("release", *STATE, "--list", "-", stdin=text, exit=3)
        self.run_program("hold", *STATE, "--why", "x", exit=2)
        self.run_program("hold", *STATE, "A1-0001", exit=2)

    def make_crl(self, *more):
        self.run_program("crl", *STATE, "--key", "crl.key", "--cert", "crl.pem", "-o", "list.pem", *more)
        with open(os.path.join(self.top, "list.pem"), "rb") as f:
            return x509.load_pem_x509_crl(f.read())

    def judge(self, serial):
        """What `openssl verify` says of a certificate with the list; empty for OK."""
        with open(os.path.join(self.top, "d.pem"), "w", encoding="ascii") as f:
            f.write(self.certificate("1", serial))
        with open(os.path.join(self.top, "untrusted.pem"), "wb") as f:
            for name in ("1/chain.pem", "crl.pem"):
                with open(os.path.join(self.top, name), "rb") as part:
                    f.write(part.read())
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-crl_check", "-extended_crl", "-CAfile",
             "device-root.pem", "-untrusted", "untrusted.pem", "-CRLfile", "list.pem", "d.pem"],
            cwd=self.top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode == 0, "d.pem: OK" in done.stdout)
        return "" if done.returncode == 0 else done.stdout

    def openssl(self, *args, text=None):
        done = subprocess.run(["openssl", *args], cwd=self.top, input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def make_second_signer(self, name, key, *sign):
        """A root and a signer below it, of stock openssl; returns how it signs a manifest."""
        for who in ("root", "signer"):
            self.openssl("genpkey", *key, "-out", f"{name}-{who}.key")
        self.openssl("req", "-x509", "-new", "-key", f"{name}-root.key", "-subj", f"/CN={name} root",
                     "-days", "30", "-addext", "keyUsage=critical,keyCertSign", "-out",
                     f"{name}-root.pem")
        self.openssl("req", "-new", "-key", f"{name}-signer.key", "-subj", f"/CN={name} signer", "-out",
                     "request.pem")
        with open(os.path.join(self.top, "ext"), "w", encoding="ascii") as f:
            f.write("keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n"
                    "subjectKeyIdentifier=hash\nbasicConstraints=critical,CA:FALSE\n")
        self.openssl("x509", "-req", "-in", "request.pem", "-CA", f"{name}-root.pem", "-CAkey",
                     f"{name}-root.key", "-CAcreateserial", "-days", "30", "-extfile", "ext", "-out",
                     f"{name}-signer.pem")

        def make(folder):
            self.openssl("cms", "-sign", "-cades", "-binary", "-in", f"{folder}/manifest.json",
                         "-signer", f"{name}-signer.pem", "-inkey", f"{name}-signer.key", *sign,
                         "-outform", "PEM", "-out", f"{folder}/manifest.json.{name}.p7s")
        return make

    def test_signatures_of_other_algorithms_are_required_for_ever(self):
        curve = ("-algorithm", "EC", "-pkeyopt")
        pss = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32")
        signers = {
            "ecdsa-p256": self.make_second_signer("ecdsa-p256", (*curve, "ec_paramgen_curve:P-256")),
            "ecdsa-p384": self.make_second_signer("ecdsa-p384", (*curve, "ec_paramgen_curve:P-384"),
                                                  "-md", "sha384"),
            "rsa-pss-3072": self.make_second_signer("rsa-pss-3072", ("-algorithm", "RSA", "-pkeyopt",
                                                    "rsa_keygen_bits:3072"), "-md", "sha256", *pss),
        }
        policy = [part for name in signers for part in ("--require-alg", f"{name}={name}-root.pem")]
        for folder in "12":
            for sign in signers.values():
                sign(folder)
        said = json.loads(self.run_program("verify", *PINS, *policy, "--json", "1"))["signatures"]
        self.assertEqual(said, {"unknown": [], "verified": [
            {"algorithm": name, "signer": f"CN={name} signer"} for name in signers]})
        with open(os.path.join(self.top, "1/manifest.json.ml-dsa-65.p7s"), "w", encoding="ascii"):
            pass
        text = self.accept(*policy, "1")
        self.assertIn("signature rsa-pss-3072 as well, by 'CN=rsa-pss-3072 signer'", text)
        self.assertIn("'manifest.json.ml-dsa-65.p7s' was not verified", text)
        self.accept("2")
        third = os.path.join(self.top, "3/manifest.json")
        self.accept("3", exit=25)
        for name in ("ecdsa-p256", "ecdsa-p384"):
            signers[name]("3")
        shutil.copy(os.path.join(self.top, "2/manifest.json.rsa-pss-3072.p7s"), f"{third}.rsa-pss-3072.p7s")
        self.accept("3", exit=24)
        signers["rsa-pss-3072"]("3")
        self.accept("--require-alg", "ecdsa-p384=ecdsa-p256-root.pem", "3", exit=32)
        self.accept("--require-alg", "ed25519", "3", exit=2)
        self.accept("3")

    def test_what_is_required_with_a_known_manifest_is_said(self):
        self.make_second_signer("ecdsa-p384", ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
                                "-md", "sha384")
        self.accept("1")
        self.accept("--require-alg", "ecdsa-p384=device-root.pem", "1", exit=3)
        self.assertNotIn("required", self.accept("1"))
        text = self.accept("--require-alg", "ecdsa-p384=ecdsa-p384-root.pem", "1")
        der = subprocess.run(["openssl", "x509", "-in", os.path.join(self.top, "ecdsa-p384-root.pem"),
                              "-outform", "DER"], capture_output=True, check=True).stdout
        self.assertIn(f"below the root with SHA-256 {hashlib.sha256(der).hexdigest()}, which no", text)
        known = json.loads(self.accept("--json", "1"))["manifests"][0]
        self.assertEqual(known["required"], [
            {"algorithm": "ecdsa-p384", "since": 2, "root": hashlib.sha256(der).hexdigest()}])
        self.accept("2", exit=25)

    def test_the_revocation_list_is_one_that_openssl_follows(self):
        self.accept("1")
        empty = self.make_crl()
        self.assertEqual(len(empty), 1)  # the burned one
        self.assertEqual(self.judge("A1-0001"), "")
        self.accept("2", "3")
        self.run_program("hold", *STATE, "--why", "x", "A1-0004")
        made = self.make_crl("--days", "7")
        checked = subprocess.run(["openssl", "crl", "-in", "list.pem", "-noout", "-CAfile", "crl.pem"],
                                 cwd=self.top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, check=True)
        self.assertIn("verify OK", checked.stdout)
        number = made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        self.assertEqual(number, 2)
        point = made.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        self.assertTrue(point.critical and point.value.indirect_crl)
        self.assertEqual((made.next_update - made.last_update).days, 7)
        reasons = {}
        for entry in made:
            try:
                reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
            except x509.ExtensionNotFound:
                reason = None
            reasons[entry.serial_number] = reason
        first = next(iter(made)).extensions.get_extension_for_class(x509.CertificateIssuer)
        self.assertTrue(first.critical)
        expected = {"A1-0001": "keyCompromise", "A1-0002": "superseded", "A1-0005": None,
                    "A1-0004": "certificateHold"}
        self.assertEqual(reasons, {
            x509.load_pem_x509_certificate(self.certificate("1", s).encode()).serial_number: reason
            for s, reason in expected.items()})
        for serial in ("A1-0003", "A1-0006"):
            self.assertEqual(self.judge(serial), "")
        for serial in expected:
            self.assertIn("certificate revoked", self.judge(serial))
        self.run_program("hold", *STATE, "--lift", "--why", "x", "A1-0004")
        self.run_program("revoke", *STATE, "--why", "x", "--reason", "keyCompromise", "A1-0003")
        self.make_crl("--uri", "http://example.com/revoked.crl")
        self.assertEqual(self.judge("A1-0004"), "")
        self.assertIn("certificate revoked", self.judge("A1-0003"))
        self.make_crl("--uri", "http://example.com/another.crl")
        self.assertIn("different CRL scope", self.judge("A1-0004"))

    def test_a_list_is_not_signed_with_the_wrong_key(self):
        self.accept("1")
        crl = ["crl", *STATE, "-o", "list.pem", "--key"]
        self.run_program(*crl, "A1-0007.key", "--cert", "crl.pem", exit=3)
        self.run_program(*crl, "A1-0007.key", "--cert", "A1-0007.pem", exit=3)
        self.run_program(*crl, "crl.pem", "--cert", "crl.pem", exit=3)
        self.run_program(*crl, "crl.key", "--cert", "crl.pem", "--days", "0", exit=2)
        self.run_program("crl", *STATE, "--key", "crl.key", "--cert", "crl.pem", "--json", exit=2)
        self.assertFalse(os.path.exists(os.path.join(self.top, "list.pem")))
        out = json.loads(self.run_program(*crl, "crl.key", "--cert", "crl.pem", "--der", "--json"))
        self.assertEqual((out["number"], out["entries"]), (1, 1))
        subprocess.run(["openssl", "crl", "-inform", "DER", "-in", "list.pem", "-noout"],
                       cwd=self.top, check=True)

    def test_the_whitelist_is_exported(self):
        self.accept("1", "2", "3")
        rows = list(csv.DictReader(io.StringIO(self.run_program("export", *STATE))))
        objects = json.loads(self.run_program("export", *STATE, "--format", "json"))
        self.assertEqual([(r["serial"], r["answer"], r["leaf"]) for r in rows],
                         [(o["serial"], o["answer"], str(o["leaf"])) for o in objects])
        self.assertEqual(len(rows), 10)
        third = x509.load_pem_x509_certificate(self.certificate("1", "A1-0003").encode())
        self.assertEqual(int(rows[2]["cert_serial"], 16), third.serial_number)
        out = json.loads(self.run_program("export", *STATE, "-o", "all.csv", "--json"))
        self.assertEqual(out["rows"], 10)
        with open(os.path.join(self.top, "all.csv"), encoding="ascii") as f:
            self.assertEqual(self.run_program("export", *STATE), f.read())
        self.run_program("export", *STATE, "--format", "xml", exit=2)
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "export", *STATE], cwd=self.top, stdout=full,
                                  stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 4)

    def test_states_are_compared_and_merged(self):
        self.accept("1")
        for name in ("state", "state-wal"):
            shutil.copy(os.path.join(self.top, name), os.path.join(self.top, "older" + name[5:]))
        self.accept("2", "3")
        out = self.run_program("diff", "older", "state")
        self.assertEqual(sorted(line.split("\t")[0] for line in out.splitlines()),
                         ["added"] * 4 + ["replaced", "revoked"])
        self.assertEqual(self.run_program("diff", "state", "state"), "")
        self.run_program("merge", "--state", "both", "older", "state")
        self.assertEqual(self.run_program("diff", "both", "state"), "")
        out = json.loads(self.run_program("diff", "--json", "state", "older"))
        self.assertEqual(sorted(c["change"] for c in out["changes"]), ["gone"] * 4 + ["ok"] * 2)
        self.run_program("merge", *STATE, "log.vkey", exit=29)
        self.run_program("merge", *STATE, "missing", exit=7)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become nobody")
    def test_who_may_only_read_can_check_and_not_accept(self):
        nobody = pwd.getpwnam("nobody").pw_uid
        self.accept("1")
        self.run_program("check", *STATE, "A1-0003", user=nobody)
        self.accept("2", exit=6, user=nobody)
        self.run_program("hold", *STATE, "--why", "x", "A1-0003", exit=6, user=nobody)
        self.accept("2")
        self.run_program("check", *STATE, "A1-0001", exit=34, user=nobody)

    def connect(self, port, device):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-cert",
             device + ".pem", "-cert_chain", "1/chain.pem", "-key", device + ".key"], cwd=self.top,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout

    def test_a_tls_server_lets_in_who_is_whitelisted(self):
        self.accept("1", "2")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server", "-keyout",
                        "server.key", "-out", "server.pem"], cwd=self.top, check=True,
                       stderr=subprocess.DEVNULL)
        server = subprocess.Popen([SERVER, "state", "device-root.pem", "server.pem", "server.key"],
                                  cwd=self.top, stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline().split()[1])
            for device, answer in (("A1-0007", "ok"), ("A1-0001", "revoked"), ("unlisted", "unknown"),
                                   ("A1-0007", "ok")):
                welcome = self.connect(port, device)
                self.assertEqual(server.stdout.readline().split(":")[0], answer, device)
                self.assertEqual("welcome" in welcome, answer == "ok", device)
            self.run_program("revoke", *STATE, "--why", "now", "A1-0007")
            self.assertNotIn("welcome", self.connect(port, "A1-0007"))
            self.assertIn("revoked by the owner", server.stdout.readline())
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


class Large(Case):
    @classmethod
    def setUpClass(cls):
        cls.top = sample(MANY, "line5")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def setUp(self):
        for name in os.listdir(self.top):
            if name.startswith("state"):
                os.unlink(os.path.join(self.top, name))

    def serials(self, count):
        return [f"line5-{n:07}" for n in range(count)]

    def test_ten_thousand_serials_are_released_at_once(self):
        self.accept("1")
        answers = self.answers(self.serials(10000), exit=21)
        self.assertEqual(list(answers.values()), ["OK"] * MANY + ["UNKNOWN"] * (10000 - MANY))

    def test_a_kill_leaves_the_state_before_or_after(self):
        seen = set()
        accept = [PROGRAM, "accept", *PINS, *STATE, "1"]
        began = time.monotonic()
        subprocess.run(accept, cwd=self.top, check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        for _ in range(12):
            self.setUp()
            running = subprocess.Popen(accept, cwd=self.top, stdout=subprocess.DEVNULL)
            time.sleep(random.uniform(0.01, 1.1 * whole))
            running.send_signal(signal.SIGKILL)
            running.wait()
            if os.path.exists(os.path.join(self.top, "state")):
                done = subprocess.run([PROGRAM, "export", *STATE], cwd=self.top, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                if done.returncode == 0:
                    seen.add(done.stdout.count("\n") - 1)
            self.accept("1")
            self.assertEqual(self.run_program("export", *STATE).count("\n"), MANY + 1)
        self.assertLessEqual(seen, {0, MANY})

    @unittest.skipUnless(os.geteuid() == 0, "needs root to mount a small disk")
    def test_a_full_disk_is_said_and_changes_nothing(self):
        small = os.path.join(self.top, "small")
        other = sample()
        os.makedirs(small, exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small],
                          stderr=subprocess.DEVNULL).returncode:
            self.skipTest("cannot mount a tmpfs")
        try:
            on_small = ["--state", os.path.join(small, "state")]
            self.run_program("accept", *PINS, *on_small, "1", cwd=other)
            self.run_program("accept", *PINS, *on_small, "1", exit=5)
            self.run_program("check", *on_small, "A1-0003")
            self.run_program("check", *on_small, self.serials(1)[0], exit=36)
            self.run_program("accept", *PINS, *on_small, "2", cwd=other)
            self.run_program("check", *on_small, "A1-0001", exit=34)
        finally:
            subprocess.run(["umount", small], check=True)
            shutil.rmtree(other)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
