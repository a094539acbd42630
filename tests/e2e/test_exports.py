"""Exports and receipts between a real station and an owner, judged by openssl, jose and Python."""
import base64
import hashlib
import json
import shutil
import sqlite3
import unittest

from rig import EXIT, MANIFEST, Rig, run

MICROCHIP = ("--export", "microchip", "--set", "organization=Acme", "--set", "model=M1", "--set",
             "part=M1-X")


def profile_hash(name):
    out = run_profiles()
    return next(p["sha256"] for p in out if p["name"] == name)


def run_profiles():
    from rig import IMPRINT
    lines = run(IMPRINT, "profile", "list", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return rows[0]["profiles"] if len(rows) == 1 and "profiles" in rows[0] else rows


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Exports(unittest.TestCase):
    def make(self, credentials=6, **order):
        rig = Rig(credentials=credentials, order=order)
        self.addCleanup(rig.close)
        return rig

    def sealed(self, devices=3, **order):
        rig = self.make(**order)
        for _ in range(devices):
            rig.add_device()
        rig.run_json()
        return rig

    def fails(self, rig, code, *arguments):
        result = rig.imprint(*arguments, check=False)
        self.assertEqual(result.returncode, EXIT[code], result.stdout + result.stderr)
        return result.stderr

    def change_job(self, rig, *without):
        """The job for the second order, without lines that its profile has no place for."""
        lines = rig.job.read_text().replace("E2E-1", "E2E-2").splitlines(True)
        rig.job.write_text("".join(l for l in lines if not any(w in l for w in without)))

    def test_an_order_names_platforms_that_take_what_is_made(self):
        rig = self.make(credentials=0)
        text = rig.write_order(add=False, id="E2E-2", exports=["aws-iot"],
                               serials={"prefix": "PUMP.", "digits": 6})
        text = self.fails(rig, "INPUT", "order", "add", rig.owner / "order.p7")
        self.assertIn("'aws-iot' would refuse 'PUMP.000001'", text)
        # certificates without a common name: told when the job is read, before a key is made
        rig.write_order(id="E2E-2", exports=["azure-dps"], profile={
            "name": "minimal", "sha256": profile_hash("minimal")})
        self.change_job(rig, "certificate:", "organization", "hardware_type")
        text = self.fails(rig, "REFUSED", "generate", rig.job, "--count", "1")
        self.assertIn("'azure-dps', which would refuse certificates of profile 'minimal'", text)

    def test_azure_takes_the_profile_that_is_made_for_it(self):
        rig = self.make(credentials=0)
        rig.write_order(id="E2E-2", exports=["azure-dps", "aws-iot"], profile={
            "name": "azure-dps", "sha256": profile_hash("azure-dps")})
        self.assertEqual(json.loads(rig.imprint("order", "show", "E2E-2", "--json").stdout)
                         ["exports"], ["azure-dps", "aws-iot"])
        self.assertIn("exports     azure-dps, aws-iot\n",
                      rig.imprint("order", "show", "E2E-2").stdout)
        self.change_job(rig, "hardware_type")
        rig.imprint("generate", rig.job, "--count", "1")

    def judge_index(self, rig, folder, manifest):
        trust = rig.station / "trust"
        run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
            folder / "export.json.p7s", "-content", folder / "export.json", "-CAfile",
            trust / "manifest-root.pem", "-out", "/dev/null")
        index = json.loads((folder / "export.json").read_text())
        for f in index["files"]:
            data = (folder / f["name"]).read_bytes()
            self.assertEqual(hashlib.sha256(data).hexdigest(), f["sha256"])
        said = hashlib.sha256((manifest / "manifest.json").read_bytes()).hexdigest()
        self.assertEqual([m["sha256"] for m in index["manifests"]], [said])
        return index

    def test_a_manifest_is_exported_with_the_key_in_the_hsm(self):
        rig = self.sealed()
        out = [json.loads(line) for line in
               rig.imprint("seal", *MICROCHIP, "--json").stdout.splitlines()]
        self.assertEqual([e["event"] for e in out], ["sealed", "exported"])
        folder = rig.station / "exports/000001-microchip"
        self.assertEqual((out[1]["path"], out[1]["devices"]), (str(folder), 3))
        self.judge_index(rig, folder, rig.manifests()[0])
        entries = json.loads((folder / "microchip-00000.json").read_text())
        signer = rig.station / "ca/manifest-signer.pem"
        self.assertEqual({e["header"]["uniqueId"] for e in entries},
                         {r["chip"] for r in rig.records()})
        if shutil.which("jose"):
            point = run("openssl", "x509", "-in", signer, "-noout", "-pubkey").stdout
            key = base64.b64decode("".join(point.splitlines()[1:-1]))[-64:]
            text = [base64.urlsafe_b64encode(c).rstrip(b"=").decode()
                    for c in (key[:32], key[32:])]
            (rig.dir / "key.jwk").write_text(json.dumps(
                {"kty": "EC", "crv": "P-256", "x": text[0], "y": text[1]}))
            for e in entries:
                (rig.dir / "e.jws").write_text(json.dumps(e))
                run("jose", "jws", "ver", "-i", rig.dir / "e.jws", "-k", rig.dir / "key.jwk")
        # our own reader, with the signer's certificate as the pin
        run(MANIFEST, "import", "--state", rig.dir / "other", "--format", "microchip", "--vendor",
            signer, "--product", "P", folder / "microchip-00000.json")
        self.fails(rig, "EXISTS", "seal", *MICROCHIP)
        events = [json.loads(line) for line in
                  rig.imprint("ledger", "show", "--event", "export").stdout.splitlines()]
        self.assertEqual(len(events), 1)
        rig.imprint("ledger", "verify")

    def test_what_has_ended_since_is_left_out(self):
        rig = self.sealed()
        rig.seal()
        serial = rig.records()[0]["sn"]
        rig.imprint("void", serial, "--reason", "recalled")
        rig.imprint("seal", "--export", "azure-iot-hub", "--manifest", "1")
        folder = rig.station / "exports/000001-azure-iot-hub"
        index = self.judge_index(rig, folder, rig.manifests()[0])
        self.assertEqual((index["devices"], index["left_out"]["ended"]), (2, 1))
        self.assertNotIn(serial, (folder / "devices.txt").read_text())

    def test_refusals_leave_nothing(self):
        rig = self.sealed(devices=1)
        for code, arguments in (("USAGE", ("--export", "nonsense")), ("USAGE", ("--set", "a=b")),
                                ("USAGE", ("--export", "aws-iot")), ("USAGE", ("--manifest", "1"))):
            self.fails(rig, code, "seal", *arguments)
        self.assertEqual(rig.manifests(), [])  # nothing was sealed either
        rig.seal()
        self.fails(rig, "REFUSED", "seal", "--export", "espressif")
        self.fails(rig, "MISSING", "seal", "--export", "azure-iot-hub", "--manifest", "7")
        devices = rig.manifests()[0] / "devices-00000.jsonl"
        devices.write_text(devices.read_text().replace("1.4.2", "1.4.3"))
        self.fails(rig, "INTEGRITY", "seal", "--export", "azure-iot-hub")
        self.assertEqual(list((rig.station / "exports").iterdir()), [])


class Receipts(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=4)
        self.addCleanup(self.rig.close)
        self.rig.add_device()
        self.rig.run_json()
        self.rig.seal()

    def receipt(self, name="r.p7", signer="orders", **options):
        path = self.rig.dir / name
        self.rig.accept("--receipt", path, "--key", self.rig.owner / f"{signer}.key", "--cert",
                        self.rig.owner / f"{signer}.pem", **options)
        return path

    def show(self):
        return json.loads(self.rig.imprint("receipt", "show", "--json").stdout)

    def fails(self, code, *arguments):
        result = self.rig.imprint(*arguments, check=False)
        self.assertEqual(result.returncode, EXIT[code], result.stdout + result.stderr)
        return result.stderr

    def age(self, seconds):
        with sqlite3.connect(self.rig.station / "station.db") as db:
            db.execute("UPDATE manifests SET created = created - ?", (seconds,))
        db.close()

    def test_a_receipt_is_taken_in_and_missed_after_a_day(self):
        rig = self.rig
        self.assertEqual(self.show(), {"manifests": 1, "received": 0, "overdue": False})
        self.age(23 * 3600)
        self.assertEqual(rig.imprint("status").stderr, "")
        self.age(2 * 3600)
        self.assertTrue(rig.status()["receipt_overdue"])
        for command in (("status",), ("seal",), ("run", rig.job)):
            self.assertIn("manifest 1, sealed", rig.imprint(*command).stderr)
        events = [json.loads(line) for line in rig.imprint("seal", "--json").stdout.splitlines()]
        self.assertEqual(events[-1]["warnings"], ["receipt"])
        path = self.receipt()
        out = json.loads(rig.imprint("receipt", "add", path, "--by", "Ada", "--json").stdout)
        self.assertEqual((out["manifest"], out["new"]), (1, True))
        self.assertFalse(json.loads(rig.imprint("receipt", "add", path, "--json").stdout)["new"])
        self.assertEqual(self.show(), {"manifests": 1, "received": 1, "overdue": False})
        self.assertEqual(rig.imprint("status").stderr, "")
        [entry] = rig.imprint("ledger", "show", "--event", "receipt").stdout.splitlines()
        self.assertEqual((json.loads(entry)["operator"], json.loads(entry)["data"]["number"]),
                         ("Ada", 1))
        rig.imprint("ledger", "verify")
        # the next manifest begins a day of its own
        rig.add_device()
        rig.run_json()
        rig.seal()
        self.assertEqual(self.show(), {"manifests": 2, "received": 1, "overdue": False})
        rig.imprint("receipt", "add", self.receipt())
        self.assertEqual(self.show()["received"], 2)

    def test_what_is_no_receipt_for_this_station(self):
        rig = self.rig
        rig.make_order_signer("stranger")
        self.fails("SIGNATURE", "receipt", "add", self.receipt(signer="stranger"))
        self.fails("INPUT", "receipt", "add", rig.owner / "order.p7")
        self.fails("INPUT", "receipt", "add", rig.owner / "order.json")
        self.fails("USAGE", "receipt", "add")
        good = self.receipt()
        said = json.loads(run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", good,
                              "-certfile", rig.owner / "orders.pem", "-nointern",
                              "-noverify").stdout)
        for code, changes in (("REFUSED", {"origin": "other.example/wl/x"}),
                              ("REFUSED", {"environment": "other"}),
                              ("ROLLBACK", {"seq": 2}), ("FORK", {"sha256": "0" * 64}),
                              ("FORK", {"size": said["size"] + 1}),
                              ("INPUT", {"more": 1}), ("INPUT", {"format": "order-closing/1"})):
            changed = {**said, **changes}
            (rig.owner / "order.json").write_text(
                json.dumps(changed, separators=(",", ":"), sort_keys=True) + "\n")
            rig.sign_order()
            self.fails(code, "receipt", "add", rig.owner / "order.p7")
        self.assertEqual(self.show()["received"], 0)
        self.assertFalse((rig.station / "receipts").exists())

    def test_a_file_in_receipts_proves_nothing(self):
        rig = self.rig
        rig.imprint("receipt", "add", self.receipt())
        kept = rig.station / "receipts/000001.p7"
        data = kept.read_bytes()
        kept.write_bytes(data[:-1])
        self.assertIn("add the receipt again", self.fails("INTEGRITY", "receipt", "show"))
        shutil.copy(rig.owner / "order.p7", kept)
        self.assertIn("add the receipt again", rig.imprint("status").stderr)
        self.assertTrue(rig.status()["receipt_overdue"])
        kept.unlink()
        self.assertEqual(self.show()["received"], 0)
        (rig.dir / "again").write_bytes(data)
        rig.imprint("receipt", "add", rig.dir / "again")
        self.assertEqual(self.show()["received"], 1)

    def test_a_closing_statement_is_checked_and_answered(self):
        rig = self.rig
        rig.imprint("order", "close", "E2E-1", "--by", "Ada", "--reason", "done")
        folder = rig.station / "statements/E2E-1"
        order = ("--order", rig.owner / "order.p7", "--closing", folder)
        sign = ("--receipt", rig.dir / "r.p7", "--key", rig.owner / "orders.key", "--cert",
                rig.owner / "orders.pem")
        out = rig.accept(*order, *sign).stdout
        self.assertIn("closed: order 'E2E-1'", out)
        added = json.loads(rig.imprint("receipt", "add", rig.dir / "r.p7", "--json").stdout)
        self.assertEqual(added["closings"], 1)
        said = json.loads(run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in",
                              rig.dir / "r.p7", "-certfile", rig.owner / "orders.pem", "-nointern",
                              "-noverify").stdout)
        self.assertEqual(said["closings"], [hashlib.sha256(
            (folder / "closing.json").read_bytes()).hexdigest()])
        # another order; a manifest that is not there yet; an edited statement
        other = json.loads((rig.owner / "order.json").read_text())
        other["id"] = "E2E-9"
        (rig.dir / "other.json").write_text(json.dumps(other))
        self.assertEqual(run(MANIFEST, "accept", "--state", rig.dir / "whitelist", *rig.pins(),
                             "--order", rig.dir / "other.json", "--closing", folder,
                             rig.manifests()[-1], check=False).returncode, EXIT["REFUSED"])
        self.assertEqual(run(MANIFEST, "accept", "--state", rig.dir / "fresh", *rig.pins(),
                             "--closing", folder, rig.manifests()[0], check=False).returncode,
                         EXIT["GAP"])
        edited = rig.dir / "edited"
        shutil.copytree(folder, edited)
        text = (edited / "closing.json").read_text()
        (edited / "closing.json").write_text(text.replace('"good":1', '"good":0'))
        self.assertEqual(rig.accept("--closing", edited, check=False).returncode,
                         EXIT["SIGNATURE"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
