#!/usr/bin/python3
"""Runs imprint-manifest export, import, accept --receipt and --closing as a security team does. Judges are
jose, jq, openssl, Python's csv and json, python3-jwcrypto and python3-cryptography; of imports, data that
Microchip and Espressif made (IMPRINT_VECTORS).

Usage: export_program.py SAMPLE_PROGRAM IMPRINT_MANIFEST
"""
import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

try:
    from jwcrypto import jwk, jws
except ImportError:
    jwk = None

SAMPLE, PROGRAM = map(os.path.abspath, sys.argv[1:3])
VECTORS = os.environ.get("IMPRINT_VECTORS")
PINS = ["--root", "manifest-root.pem", "--device-root", "device-root.pem", "--log-key", "log.vkey"]
STATE = ["--state", "state"]
MICROCHIP = ["--set", "organization=Acme \"Inc\"", "--set", "model=M1", "--set", "part=M1-X",
             "--key", "export.key", "--cert", "export.pem"]
OPC = ["--set", "manufacturer=Acme", "--set", "uri-prefix=urn:acme:", "--key", "export.key",
       "--cert", "export.pem"]


def left_out(**counts):
    """Of export.json, with 0 for every reason that is not named."""
    reasons = ("ended", "held", "other_recipients", "without_certificate", "without_symmetric_key")
    return {**dict.fromkeys(reasons, 0), **counts}


def unpadded(text):
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Case(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top)

    def sample(self, *args):
        subprocess.run([SAMPLE, self.top, *map(str, args)], check=True)

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="ascii", newline="") as f:
            return f.read()

    def lines(self, *parts):
        return [json.loads(line) for line in self.read(*parts).splitlines()]

    def tool(self, *command, exit=0, **options):
        done = subprocess.run(command, cwd=self.top, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **options)
        self.assertEqual(done.returncode, exit, done.stderr)
        return done.stdout

    def run_program(self, *args, exit=0):
        done = subprocess.run([PROGRAM, *args], cwd=self.top, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, exit, done.stdout + done.stderr)
        self.assertEqual(bool(done.stderr), exit != 0, done.stderr)
        return done.stdout + done.stderr

    def accept(self, *args, **more):
        return self.run_program("accept", *PINS, *STATE, *args, **more)

    def make_signer(self, name="export"):
        self.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-days", "36500", "-subj",
                  f"/O=Example Medical/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        with open(self.path(f"{name}.pem"), "rb") as f:
            return x509.load_pem_x509_certificate(f.read())


class Export(Case):
    """The sample of three manifests: five devices live, A1-0003, 4, 7, 2 and 9."""

    def setUp(self):
        super().setUp()
        self.sample()
        self.accept("1", "2", "3")

    def export(self, name, *args, manifests=("1", "2", "3"), exit=0):
        shutil.rmtree(self.path("x"), ignore_errors=True)
        out = self.run_program("export", *STATE, "--format", name, "-o", "x", *args, *manifests,
                               exit=exit)
        if exit:
            self.assertFalse(os.path.exists(self.path("x")))
            self.assertFalse(os.path.exists(self.path("x.making")))
            return out
        self.index = json.loads(self.read("x", "export.json"))
        canonical = self.tool("jq", "-cS", ".", "x/export.json")
        self.assertEqual(canonical.decode(), self.read("x", "export.json"))
        self.assertEqual({f["name"] for f in self.index["files"]},
                         set(os.listdir(self.path("x"))) - {"export.json"})
        for entry in self.index["files"]:
            data = self.read("x", entry["name"]).encode()
            self.assertEqual((len(data), hashlib.sha256(data).hexdigest()),
                             (entry["bytes"], entry["sha256"]))
        return out

    def records(self):
        all_records = [r for n in "123" for r in self.lines(n, "devices-00000.jsonl")]
        live = {r["sn"]: r for r in all_records if r["t"] in ("add", "replace")}
        for gone in ("A1-0001",):
            del live[gone]
        return live

    def der(self, serial):
        return base64.b64decode(self.records()[serial]["cert"])

    def same_certificate(self, pem, serial):
        cert = x509.load_pem_x509_certificate(pem.encode())
        self.assertEqual(cert.public_bytes(serialization.Encoding.DER), self.der(serial))

    def issuer(self):
        return self.read("1", "chain.pem")

    def test_the_index_names_manifests_and_what_is_left_out(self):
        self.run_program("hold", *STATE, "--why", "dropped", "A1-0003")
        out = self.export("azure-iot-hub")
        self.assertIn("left out  1 held", out)
        self.assertEqual(self.index["devices"], 4)
        self.assertEqual(self.index["left_out"], left_out(ended=2, held=1))
        self.assertEqual([(m["seq"], m["sha256"]) for m in self.index["manifests"]],
                         [(n, hashlib.sha256(self.read(str(n), "manifest.json").encode()).hexdigest())
                          for n in (1, 2, 3)])
        self.assertNotIn("A1-0003", self.read("x", "devices.txt"))
        self.run_program("revoke", *STATE, "--why", "lost", "A1-0004")
        self.export("azure-iot-hub")
        self.assertEqual(self.index["left_out"], left_out(ended=3, held=1))
        self.export("azure-iot-hub", "--product", "other")
        self.assertEqual((self.index["devices"], self.index["files"]), (0, []))

    def test_azure_iot_hub(self):
        self.export("azure-iot-hub")
        devices = self.lines("x", "devices.txt")
        self.assertEqual({d["id"] for d in devices}, set(self.records()))
        for d in devices:
            self.assertEqual((d["importMode"], d["status"]), ("create", "enabled"))
            thumb = d["authentication"]["x509Thumbprint"]["primaryThumbprint"]
            self.assertEqual(thumb, hashlib.sha256(self.der(d["id"])).hexdigest().upper())

    def test_azure_dps(self):
        self.export("azure-dps")
        [call] = self.lines("x", "azure-dps-00000.jsonl")
        self.assertEqual(call["mode"], "create")
        for e in call["enrollments"]:
            self.assertEqual(e["registrationId"], e["deviceId"])
            pem = e["attestation"]["x509"]["clientCertificates"]["primary"]["certificate"]
            self.same_certificate(pem, e["registrationId"])
            cn = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(
                x509.NameOID.COMMON_NAME)[0].value
            self.assertEqual(cn, e["registrationId"])
        out = self.tool("jq", "-r", ".enrollments[].registrationId", "x/azure-dps-00000.jsonl")
        self.assertEqual(len(out.splitlines()), 5)

    def test_azure_dps_group(self):
        self.export("azure-dps-group")
        [group] = self.lines("x", "azure-dps-group-00000.jsonl")
        self.assertRegex(group["enrollmentGroupId"], "^ca-[0-9a-f]{16}$")
        self.assertEqual(group["attestation"]["x509"]["signingCertificates"]["primary"]
                         ["certificate"], self.issuer())

    def test_aws(self):
        self.export("aws-iot", "--set", "policy=ba\"se")
        for d in self.lines("x", "aws-iot-00000.jsonl"):
            self.assertEqual(d["ThingName"], d["SerialNumber"])
            self.same_certificate(d["CertificatePem"], d["ThingName"])
            self.assertEqual(d["CACertificatePem"], self.issuer())
        template = json.loads(self.read("x", "template.json"))
        self.assertEqual(template["Resources"]["policy"]["Properties"]["PolicyName"], "ba\"se")
        self.assertEqual(set(template["Parameters"]), set(d))
        self.assertLess(len(self.read("x", "template.json")), 10240)
        self.export("aws-iot-no-ca")
        for d in self.lines("x", "aws-iot-no-ca-00000.jsonl"):
            self.assertEqual((set(d), d["status"]), ({"certificatePem", "status"}, "ACTIVE"))
            self.assertIn("BEGIN CERTIFICATE", d["certificatePem"])

    def test_nrf_cloud(self):
        self.export("nrf-cloud", "--set", "tags=a|b", "--set", "sub-type=pump")
        rows = list(csv.reader(self.read("x", "nrf-cloud-00000.csv").splitlines(True)))
        self.assertEqual(len(rows), 5)
        for device, sub, tags, fw, pem in rows:
            self.assertEqual((sub, tags, fw), ("pump", "a|b", "APP|MODEM"))
            self.same_certificate(pem, device)

    def test_microchip_is_judged_by_jose_and_jwcrypto(self):
        signer = self.make_signer()
        self.export("microchip", *MICROCHIP)
        entries = json.loads(self.read("x", "microchip-00000.json"))
        self.assertEqual(len(entries), 5)
        ski = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        numbers = signer.public_key().public_numbers()
        with open(self.path("key.jwk"), "w", encoding="ascii") as f:
            coordinate = [base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode()
                          for n in (numbers.x, numbers.y)]
            json.dump({"kty": "EC", "crv": "P-256", "x": coordinate[0], "y": coordinate[1]}, f)
        by_chip = {r["chip"]: r for r in self.records().values()}
        for e in entries:
            self.assertEqual(set(e), {"payload", "protected", "header", "signature"})
            header = json.loads(unpadded(e["protected"]))
            self.assertEqual(header["alg"], "ES256")
            self.assertEqual(unpadded(header["kid"]), ski)
            self.assertEqual(unpadded(header["x5t#S256"]), signer.fingerprint(hashes.SHA256()))
            self.judge_jws(e)
            payload = json.loads(unpadded(e["payload"]))
            self.assertEqual(payload["uniqueId"], e["header"]["uniqueId"])
            self.assertEqual((payload["version"], payload["manufacturer"]["organizationName"]),
                             (3, 'Acme "Inc"'))
            [key] = payload["publicKeySet"]["keys"]
            record = by_chip[payload["uniqueId"]]
            self.assertEqual(key["x5c"][0], record["cert"])
            point = base64.b64decode(record["spki"])[-64:]
            self.assertEqual(unpadded(key["x"]) + unpadded(key["y"]), point)
        self.export("microchip", *MICROCHIP, "--set", "id=serial")
        entries = json.loads(self.read("x", "microchip-00000.json"))
        self.assertEqual({e["header"]["uniqueId"] for e in entries}, set(self.records()))

    def judge_jws(self, e):
        for changed in (False, True):
            if changed:
                payload = json.loads(unpadded(e["payload"]))
                payload["partNumber"] = "other"
                e = {**e, "payload": base64.urlsafe_b64encode(
                    json.dumps(payload).encode()).rstrip(b"=").decode()}
            with open(self.path("e.jws"), "w", encoding="ascii") as f:
                json.dump(e, f)
            if shutil.which("jose"):
                self.tool("jose", "jws", "ver", "-i", "e.jws", "-k", "key.jwk", exit=int(changed))
            if jwk:
                token = jws.JWS()
                token.deserialize(json.dumps({k: e[k] for k in
                                              ("payload", "protected", "signature")}))
                key = jwk.JWK.from_json(self.read("key.jwk"))
                if changed:
                    self.assertRaises(jws.InvalidJWSSignature, token.verify, key)
                else:
                    token.verify(key)

    def test_opc_ua(self):
        signer = self.make_signer()
        self.export("opc-ua", *OPC)
        tickets = self.lines("x", "opc-ua-00000.jsonl")
        self.assertEqual(len(tickets), 5)
        for t in tickets:
            [s] = t["signatures"]
            header = json.loads(unpadded(s["protected"]))
            self.assertEqual(header["cty"], "opc-ticket+json;type=DeviceIdentityTicketType")
            self.assertEqual(base64.b64decode(header["x5c"][0]),
                             signer.public_bytes(serialization.Encoding.DER))
            ticket = json.loads(unpadded(t["payload"]))
            self.assertEqual(ticket["productInstanceUri"], "urn:acme:" + ticket["serialNumber"])
            self.assertIn(ticket["serialNumber"], self.records())
            if jwk:
                token = jws.JWS()
                token.deserialize(json.dumps(t))
                token.verify(jwk.JWK.from_pem(self.read("export.pem").encode()))

    def test_usage(self):
        self.make_signer()
        self.make_signer("other")
        for args, status in ((["--format", "nonsense", "-o", "x", "1"], 2),
                             (["--format", "aws-iot", "-o", "x", "1"], 2),
                             (["--format", "azure-dps", "1"], 2),
                             (["--format", "azure-dps", "-o", "x"], 2),
                             (["--format", "azure-dps", "-o", "x", "--key", "export.key", "--cert",
                               "export.pem", "1"], 2),
                             (["--format", "opc-ua", "-o", "x", "--set", "manufacturer=A", "1"], 2),
                             (["--format", "opc-ua", "-o", "x", "--set", "manufacturer=A", "--key",
                               "other.key", "--cert", "export.pem", "1"], 3),
                             (["--set", "a=b"], 2), (["1"], 2),
                             (["--format", "espressif", "-o", "x", "1"], 21)):
            self.run_program("export", *STATE, *args, exit=status)
            self.assertFalse(os.path.exists(self.path("x")))
        formats = json.loads(self.run_program("formats", "--json"))["formats"]
        self.assertEqual({f["name"]: f["per_file"] for f in formats}["nrf-cloud"], 1000)
        self.assertIn("aws-iot", self.run_program("formats"))
        self.assertEqual({f["name"] for f in formats if f["station_only"]},
                         {"symmetric-keys", "azure-dps-keys"})
        self.assertIn("encrypted (CMS EnvelopedData)\n  made by the station alone: 'imprint seal --export "
                      "symmetric-keys'", self.run_program("formats"))

    def test_only_what_was_accepted_is_exported(self):
        other = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, other)
        subprocess.run([SAMPLE, other], check=True)
        self.export("azure-dps", manifests=(os.path.join(other, "1"),), exit=36)
        devices = self.path("1", "devices-00000.jsonl")
        text = self.read("1", "devices-00000.jsonl")
        with open(devices, "w", encoding="ascii") as f:
            f.write(text.replace("LOT42", "LOT43", 1))
        self.export("azure-dps", exit=15)
        with open(devices, "w", encoding="ascii") as f:
            f.write(text.split("\n", 1)[1])
        self.export("azure-dps", exit=25)

    def test_json(self):
        out = json.loads(self.run_program("export", *STATE, "--format", "azure-dps", "-o", "x",
                                          "--json", "1", "2", "3"))
        self.assertEqual((out["devices"], out["files"], out["left_out"]["ended"]), (5, 1, 2))
        self.run_program("export", *STATE, "--format", "azure-dps", "-o", "x", "1", exit=8)


class Receipts(Case):
    def setUp(self):
        super().setUp()
        self.sample()
        self.make_signer("owner")

    def receipt(self):
        out = self.tool("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in",
                        "receipt.p7", "-certfile", "owner.pem", "-nointern", "-noverify")
        with open(self.path("said.json"), "wb") as f:
            f.write(out)
        self.assertEqual(self.tool("jq", "-cS", ".", "said.json"), out)
        return json.loads(out)

    def test_a_receipt_says_how_far_a_log_was_accepted(self):
        sign = ["--receipt", "receipt.p7", "--key", "owner.key", "--cert", "owner.pem"]
        out = self.accept(*sign, "1", "2")
        self.assertIn("receipt: manifest 2 of", out)
        said = self.receipt()
        manifest = json.loads(self.read("2", "manifest.json"))
        self.assertEqual([said[k] for k in ("seq", "size", "root", "origin", "environment")],
                         [manifest[k] for k in ("seq", "size", "root", "origin", "environment")])
        self.assertEqual(said["sha256"],
                         hashlib.sha256(self.read("2", "manifest.json").encode()).hexdigest())
        self.assertEqual((said["format"], said["closings"]), ("manifest-receipt/1", []))
        out = json.loads(self.accept(*sign, "--json", "3"))
        self.assertEqual((out["receipt"], len(out["manifests"])), ("receipt.p7", 1))
        self.assertEqual(self.receipt()["seq"], 3)
        # again, for one that got lost; but not for an old manifest
        self.accept(*sign, "3")
        os.unlink(self.path("receipt.p7"))
        self.accept(*sign, "1", exit=26)
        self.assertFalse(os.path.exists(self.path("receipt.p7")))

    def test_usage(self):
        self.accept("--receipt", "receipt.p7", "1", exit=2)
        self.accept("--key", "owner.key", "--cert", "owner.pem", "1", exit=2)
        self.make_signer("other")
        self.accept("--receipt", "receipt.p7", "--key", "other.key", "--cert", "owner.pem", "1",
                    exit=3)
        self.assertFalse(os.path.exists(self.path("receipt.p7")))


@unittest.skipUnless(VECTORS, "IMPRINT_VECTORS is not set: data of Microchip and Espressif")
class Import(Case):
    def setUp(self):
        super().setUp()
        folder = os.path.join(VECTORS, "microchip")
        self.lists = [os.path.join(folder, n) for n in sorted(os.listdir(folder))
                      if n.endswith(".json")]
        with open(self.path("vendor.pem"), "w", encoding="ascii") as out:
            for name in sorted(os.listdir(folder)):
                if name.endswith(".crt"):
                    with open(os.path.join(folder, name), encoding="ascii") as f:
                        out.write(f.read().rstrip() + "\n")
        self.entries = []
        for name in self.lists:
            with open(name, encoding="ascii") as f:
                self.entries += json.load(f)

    def import_(self, *files, vendor="vendor.pem", format="microchip", **more):
        return self.run_program("import", *STATE, "--format", format, "--vendor", vendor,
                                "--product", "ATECC608C", *files, **more)

    def test_entries_of_microchip_become_records(self):
        out = self.import_("-o", "records.jsonl", *self.lists)
        self.assertIn("imported: 20 devices", out)
        records = self.lines("records.jsonl")
        self.assertEqual([r["sn"] for r in records],
                         [e["header"]["uniqueId"] for e in self.entries])
        self.assertEqual(self.tool("jq", "-cS", ".", "records.jsonl").decode(),
                         self.read("records.jsonl"))
        for r, e in zip(records, self.entries):
            self.assertEqual((r["t"], r["prod"], r["chip"]), ("attr", "ATECC608C", r["sn"]))
            self.run_program("check", *STATE, r["sn"])
            keys = json.loads(unpadded(e["payload"])).get("publicKeySet", {"keys": []})["keys"]
            if not keys:
                self.assertNotIn("key", r["ext"]["vendor"])
                continue
            der = base64.b64decode(keys[0]["x5c"][0])
            spki = x509.load_der_x509_certificate(der).public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            self.assertEqual(base64.b64decode(r["ext"]["vendor"]["key"]), spki)
            with open(self.path("device.der"), "wb") as f:
                f.write(der)
            self.run_program("check", *STATE, "--cert", "device.der")
        self.import_(self.lists[0], exit=22)
        serial = records[0]["sn"]
        self.run_program("hold", *STATE, "--why", "recalled", serial)
        self.run_program("check", *STATE, serial, exit=33)

    def test_the_lists_join_the_same_whitelist(self):
        self.sample()
        self.import_(self.lists[1])
        self.accept("1", "2", "3")
        self.import_(self.lists[0])
        rows = list(csv.DictReader(self.run_program("export", *STATE).splitlines()))
        self.assertEqual(sum(r["origin"].startswith("import/microchip/") for r in rows), 20)
        self.assertEqual(sum(r["origin"].startswith("factory.example") for r in rows), 10)
        self.run_program("merge", "--state", "merged", "state")
        self.run_program("check", "--state", "merged", self.entries[0]["header"]["uniqueId"])

    def refuse(self, change, status=24, count=1):
        entries = json.loads(json.dumps(self.entries[:3]))
        change(entries[1])
        with open(self.path("changed.json"), "w", encoding="ascii") as f:
            json.dump(entries, f)
        out = self.import_("changed.json", exit=status)
        self.assertIn("entry 1", out)
        self.run_program("check", *STATE, entries[0]["header"]["uniqueId"], exit=36)

    def test_what_is_changed_is_refused_and_nothing_is_imported(self):
        def payload(e):
            said = json.loads(unpadded(e["payload"]))
            said["uniqueId"] = e["header"]["uniqueId"] = "0123000000000000ff"
            e["payload"] = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

        def flip(member):
            def change(e):
                e[member] = e[member][:-2] + ("AA" if e[member][-2:] != "AA" else "BA")
            return change

        self.refuse(payload)
        self.refuse(flip("signature"))
        self.refuse(lambda e: e.update(signature=e["signature"][:-4]))
        self.refuse(lambda e: e["header"].update(uniqueId="0123000000000000ff"), status=29)
        self.refuse(lambda e: e.update(protected=base64.urlsafe_b64encode(
            b'{"alg":"none"}').rstrip(b"=").decode()), status=29)
        self.refuse(lambda e: e.pop("payload"), status=29)

    def test_a_signer_that_is_not_pinned(self):
        self.make_signer("other")
        self.import_(self.lists[0], vendor="other.pem", exit=24)
        text = self.read("vendor.pem")
        with open(self.path("old.pem"), "w", encoding="ascii") as f:
            f.write(text[:text.index("-----END") + len("-----END CERTIFICATE-----\n")])
        self.import_(self.lists[0], vendor="old.pem", exit=24)

    def test_not_a_list(self):
        for text, status in (("", 29), ("{}", 29), ("[", 29), ("[1]", 29), ("[]", 3), ("[] x", 29)):
            with open(self.path("bad.json"), "w", encoding="ascii") as f:
                f.write(text)
            with self.subTest(text):
                self.import_("bad.json", exit=status if text != "[] x" else 3)
        self.import_(self.lists[0], format="nonsense", exit=2)

    def sign(self, name):
        self.tool("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer", "maker.pem",
                  "-inkey", "maker.key", "-in", name, "-out", name + ".p7s")

    def test_csv_is_imported_with_a_signature_beside_it(self):
        self.make_signer("maker")
        shutil.copy(os.path.join(VECTORS, "espressif", "manifest-espressif.csv"),
                    self.path("esp.csv"))
        self.import_("esp.csv", format="espressif", vendor="maker.pem", exit=7)
        self.sign("esp.csv")
        self.import_("esp.csv", format="espressif", exit=24)
        with open(self.path("esp.csv"), encoding="ascii", newline="") as f:
            rows = list(csv.DictReader(f))
        self.import_("esp.csv", format="espressif", vendor="maker.pem")
        for row in rows:
            with open(self.path("device.pem"), "w", encoding="ascii") as f:
                f.write(row["cert"])
            self.run_program("check", *STATE, "--cert", "device.pem")
            self.run_program("check", *STATE, row["cn"])
        with open(self.path("esp.csv"), "a", encoding="ascii") as f:
            f.write("\n")
        self.import_("esp.csv", format="espressif", vendor="maker.pem", exit=24)

    def test_our_own_exports_come_back(self):
        self.sample(3)
        self.make_signer("maker")
        self.run_program("accept", *PINS, "--state", "other", "1")
        self.run_program("export", "--state", "other", "--format", "nrf-cloud", "-o", "x", "1")
        shutil.copy(self.path("x", "nrf-cloud-00000.csv"), self.path("nrf.csv"))
        self.sign("nrf.csv")
        self.assertIn("imported: 3", self.import_("nrf.csv", format="nrf-cloud", vendor="maker.pem"))
        self.run_program("export", "--state", "other", "--format", "microchip", "-o", "y", "--key",
                         "maker.key", "--cert", "maker.pem", "--set", "organization=A", "--set",
                         "model=M", "--set", "part=P", "1")
        self.run_program("import", "--state", "third", "--format", "microchip", "--vendor",
                         "maker.pem", "--product", "P", "y/microchip-00000.json")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
