"""The main job with symmetric keys: derived ones in the place of certificates, and beside them."""
import base64
import glob
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import unittest

import envelope
import judge
from rig import EXIT, MANIFEST, Rig, run, run_bytes
from test_nss import MODULES as NSS_MODULES, NssRig

VERIFIER = pathlib.Path(__file__).parent.parent.parent / "docs/manifest-verifier.py"
ORDER = {"key_modes": ["derived"], "profile": None}
JOB = {"certificate": False}
LISTED = "  source: listed\n  file: list.txt\n"


def lp(data):
    return len(data).to_bytes(2, "big") + data


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def check_value(key):
    return mac(key, b"imprint kcv v1\0")


class Derived(unittest.TestCase):
    def make(self, kind=Rig, order=None, station=True, **job):
        self.rig = kind(order={**ORDER, **(order or {})}, job={**JOB, **job}, station=station)
        self.addCleanup(self.rig.close)
        return self.rig

    def provision(self, devices, expected="pass"):
        code, slots, said = self.rig.run_json(check=False)
        self.assertEqual({s["event"] for s in slots.values()}, {expected}, (code, slots, said))
        self.assertEqual(len(slots), len(devices))
        return slots

    def key_of(self, device):
        folder = device.export()
        self.assertEqual(sorted(os.listdir(folder))[-1], "trust-anchors.pem")
        return (folder / "symmetric").read_bytes()

    def evidence(self):
        """Lines of evidence by their hash."""
        return {hashlib.sha256(line.encode()).hexdigest(): json.loads(line)
                for folder in self.rig.manifests() for shard in folder.glob("evidence-*.jsonl")
                for line in shard.read_text().splitlines()}

    def check_proof(self, record, key):
        """The device's MAC over what it must have built, with the key that it holds."""
        e = self.evidence()[record["ev"]]
        proof, x = base64.b64decode(e["proof"]), base64.b64decode(e["x"])
        self.assertEqual((proof[:2], len(proof)), (b"\x02\x02", 7 + 32))
        message = (b"imprint prove v1\0" + proof[:2] + lp(base64.b64decode(e["nonce"])) +
                   lp(hashlib.sha256(x).digest()) + lp(b"") + proof[2:7])
        self.assertEqual(mac(key, message), proof[7:])

    def check(self, devices, made="vault"):
        """Sealed, verified by two programs, accepted, and true of the devices themselves."""
        rig = self.rig
        rig.seal()
        for folder in rig.manifests():
            rig.verify(folder)
            trust = rig.station / "trust"
            run("/usr/bin/python3", VERIFIER, trust / "manifest-root.pem", trust / "device-root.pem",
                trust / "log.vkey", folder)
        self.assertIn("accepted", rig.accept().stdout)
        live = {r["sn"]: r for r in rig.records() if r["t"] == "add"}
        keys = {}
        for device in devices:
            serial = (device.export() / "serial").read_text().strip()
            record, key = live.pop(serial), self.key_of(device)
            self.assertEqual((record["mode"], record["chip"]), ("derived", device.chip))
            self.assertFalse({"cert", "iss", "spki"} & set(record))
            self.assertEqual(record["ext"]["symmetric"],
                             {"kcv": check_value(key).hex(), "made": made})
            self.check_proof(record, key)
            keys[serial] = key
        self.assertEqual(live, {})
        self.assertEqual(len(set(keys.values())), len(devices))
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)
        return keys

    # ---- the main job

    def test_devices_get_derived_keys_prove_them_and_are_whitelisted(self):
        rig = self.make()
        devices = [rig.add_device() for _ in range(3)]
        self.provision(devices)
        keys = self.check(devices)
        self.assertEqual(sorted(keys), ["PUMP-000001", "PUMP-000002", "PUMP-000003"])
        status = rig.order_status()
        self.assertEqual((status["generated"], status["proven"], status["available"]), (3, 3, 0))
        slots = self.provision(devices)
        self.assertEqual({s["again"] for s in slots.values()}, {True})
        self.assertEqual(rig.order_status()["generated"], 3)
        for folder in (rig.station, rig.dir / "captures"):
            self.assert_nowhere(keys.values(), folder)

    def assert_nowhere(self, keys, folder):
        """No key in the clear in any file: nowhere on disk, and on no cable."""
        for path in filter(os.path.isfile, glob.glob(f"{folder}/**/*", recursive=True)):
            data = pathlib.Path(path).read_bytes()
            for key in keys:
                for form in (key, key.hex().encode(), base64.b64encode(key)):
                    self.assertNotIn(form, data, path)

    @unittest.skipUnless(NSS_MODULES, "NSS softokn is not installed")
    def test_in_nss_softokn_which_derives_by_itself(self):
        rig = self.make(NssRig, order={"suites": [1, 2]})
        devices = [rig.add_device() for _ in range(2)]
        self.provision(devices)
        self.check(devices, made="token")

    def test_power_cuts_at_every_write_of_the_device_lose_nothing(self):
        rig = self.make()
        device = rig.add_device(start=False)
        cuts = 0
        while True:
            cuts += 1
            shutil.rmtree(device.store, ignore_errors=True)
            device.chip = f"c0ffee{cuts:010x}"
            device.start("--fault", f"power-cut={cuts}")
            code, slots, _ = rig.run_json(check=False)
            if code == 0:
                break
            device.stop()
            device.start()
            code, slots, said = rig.run_json(check=False)
            self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), (cuts, slots, said))
            device.stop()
        self.assertGreater(cuts, 7)
        self.assertEqual(rig.order_status()["burned"], 0)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertEqual(len(rig.records()), cuts)

    # ---- one key, one device

    def test_a_device_that_lost_its_memory_gets_another_serial_and_key(self):
        rig = self.make()
        device = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["GONE"])
        device.stop()
        shutil.rmtree(device.store)
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        self.provision([device])
        self.assertEqual(list(self.check([device])), ["PUMP-000002"])
        void = next(r for r in rig.records() if r["t"] == "void")
        self.assertEqual((void["sn"], void["reason"]), ("PUMP-000001", "burned"))
        self.assertFalse({"cert", "spki"} & set(void))

    def scanned(self):
        return self.make(serials="  source: scanned\n", order={"counts": {"rework": 5}})

    def test_the_serial_of_a_released_key_is_not_used_again(self):
        rig = self.scanned()
        device = rig.add_device("--fault", "vanish")
        code, _, _ = rig.run_json(check=False, labels="S1 PUMP-000007\n")
        self.assertEqual(code, EXIT["GONE"])
        device.stop()
        shutil.rmtree(device.store)
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000007\n")
        self.assertEqual(code, EXIT["REFUSED"], slots)
        self.assertIn("the unit gets another serial", slots["S1"]["text"])
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000008\n")
        self.assertIn("the device in it is 'PUMP-000007'", slots["S1"]["text"])
        rig.imprint("void", "PUMP-000007", "--lost", "--by", "Ada", "--reason", "a test")
        code, slots, _ = rig.run_json(check=False, labels="S1 PUMP-000008\n")
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), slots)
        self.assertEqual(list(self.check([device])), ["PUMP-000008"])

    def test_a_derived_identity_is_revoked_and_not_replaced(self):
        rig = self.scanned()
        device = rig.add_device()
        code, _, _ = rig.run_json(labels="S1 PUMP-000007\n")
        self.check([device])
        refused = rig.imprint("rework", "PUMP-000007", "--by", "Ada", "--reason", "a test", check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"], refused.stderr)
        self.assertIn("another serial", refused.stderr)
        rig.imprint("void", "PUMP-000007", "--by", "Ada", "--reason", "a test")
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertIn("accepted", rig.accept(check=False).stdout)
        self.assertEqual([r["t"] for r in rig.records()], ["add", "revoke"])
        rig.imprint("crl")

    def test_quotas_hold(self):
        rig = self.make(order={"counts": {"good": 1, "max_issued": 2}})
        devices = [rig.add_device() for _ in range(2)]
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(sorted(s["event"] for s in slots.values()), ["fail", "pass"])
        self.assertEqual([s["action"] for s in slots.values() if "fulfilled" in s.get("text", "")], ["order"])
        for device in devices:
            device.stop()

    def test_the_order_closes_and_its_totals_add_up(self):
        rig = self.make()
        self.provision([rig.add_device()])
        rig.imprint("order", "close", rig.order_id, "--by", "Ada", "--reason", "done")
        rig.verify(rig.manifests()[-1])

    def test_serials_of_the_chip(self):
        rig = self.make(order={"serials": {"only": {"prefix": "P-"}}},
                        serials="  source: device\n  prefix: P-\n")
        device = rig.add_device()
        self.provision([device])
        self.assertEqual(list(self.check([device])), ["P-" + device.chip.upper()])

    def test_serials_of_a_list(self):
        text = "AB-1\nCD-2\n"
        rig = self.make(order={"counts": {"good": 2, "max_issued": 2}, "serials": {
            "only": {"list": hashlib.sha256(text.encode()).hexdigest()}}}, station=False)
        (rig.dir / "list.txt").write_text(text)
        rig.make_station()
        rig.write_job(serials="  source: listed\n  file: list.txt\n", **JOB)
        first, second = rig.add_device(), rig.add_device(start=False)
        self.provision([first])
        second.start()
        self.provision([first, second])
        self.assertEqual(sorted(self.check([first, second])), ["AB-1", "CD-2"])

    def restore(self, backup):
        """The database is lost, and the backup takes its place. The ticket's hash."""
        rig = self.rig
        for part in ("", "-wal", "-shm"):
            pathlib.Path(f"{rig.station}/station.db{part}").unlink(missing_ok=True)
        rig.recover(rig.ticket("restore"), "--backup", backup)
        shown = rig.imprint("ledger", "show", "--event", "restored").stdout
        return json.loads(shown.splitlines()[-1])["data"]["ticket"]

    def next_device(self, before):
        before.stop()
        before.port.unlink(missing_ok=True)
        device = self.rig.add_device()
        self.provision([device])
        return device

    def test_after_a_restore_a_serial_that_is_given_out_again_has_another_key(self):
        rig = self.make(station=False)
        backup = rig.dir / "backup"
        first_list = self.use_list("PUMP-000001\nPUMP-000002\n")
        rig.order_changes["serials"] = first_list
        rig.make_station()
        rig.write_job(serials=LISTED, **JOB)
        first = rig.add_device()
        self.provision([first])
        rig.imprint("backup", backup)
        lost = self.next_device(first)
        ticket = self.restore(backup)
        rig.write_order(type="amendment", amends=rig.order_hash, recovery=ticket,
                        serials=self.use_list("PUMP-000002\nPUMP-000003\n"), **ORDER)
        again = self.next_device(lost)
        self.assertEqual((again.export() / "serial").read_text().strip(), "PUMP-000002")
        self.assertNotEqual(self.key_of(again), self.key_of(lost))
        self.assertEqual(list(self.check([first, again])), ["PUMP-000001", "PUMP-000002"])

    def test_after_a_restore_a_list_has_no_serial_of_the_numbers_before(self):
        """Who has the list sees it, and the order's reader cannot."""
        rig = self.make()
        backup = rig.dir / "backup"
        first = rig.add_device()
        self.provision([first])
        rig.imprint("backup", backup)
        lost = self.next_device(first)
        ticket = self.restore(backup)
        rig.write_job(serials=LISTED, **JOB)
        for text in ("NEW-1\nPUMP-000002\n", "NEW-1\n"):
            rig.write_order(type="amendment", amends=rig.order_hash, recovery=ticket,
                            serials=self.use_list(text), **ORDER)
            if "PUMP" in text:
                self.refuse_next(lost, "was restored since")
        again = self.next_device(lost)
        self.assertEqual((again.export() / "serial").read_text().strip(), "NEW-1")

    def test_an_order_that_the_backup_does_not_know_is_not_made_twice(self):
        """Its counts are lost, also where the station stores no key; then other serials have other keys."""
        rig = self.make(station=False)
        backup = rig.dir / "backup"
        rig.make_station(order=False)
        rig.imprint("backup", backup)
        rig.write_order(**rig.order_changes)
        lost = rig.add_device()
        self.provision([lost])
        ticket = self.restore(backup)
        rig.imprint("order", "add", rig.owner / "order.p7")
        self.refuse_next(lost, "was restored since")
        rig.write_order(type="amendment", amends=rig.order_hash, recovery=ticket,
                        serials={"prefix": "NEW-"}, **ORDER)
        rig.write_job(prefix="NEW-", **JOB)
        again = self.next_device(lost)
        self.assertNotEqual(self.key_of(again), self.key_of(lost))

    def refuse_next(self, before, text):
        before.stop()
        before.port.unlink(missing_ok=True)
        device = self.rig.add_device()
        (slot,) = self.provision([device], "fail").values()
        self.assertIn(text, slot["text"])
        device.stop()
        device.port.unlink(missing_ok=True)

    def use_list(self, text):
        """Writes a job's list; the share of an order that names it."""
        (self.rig.dir / "list.txt").write_text(text)
        return {"only": {"list": hashlib.sha256(text.encode()).hexdigest()}}

    def test_an_owner_takes_a_derived_identity_away(self):
        rig = self.make()
        objects, text = rig.make_objects()
        rig.write_order(id="E2E-2", objects=objects, **ORDER)
        rig.write_job(order="E2E-2", more=text, **JOB)
        device = rig.add_device()
        self.provision([device])
        key = self.key_of(device)
        statement = (b"imprint decommission v1\0" + lp(bytes.fromhex(device.chip)) +
                     lp(check_value(key)))
        self.decommission(device, statement)

    def decommission(self, device, statement):
        rig = self.rig
        folder = rig.dir / "farewells"
        folder.mkdir()
        command = ("decommission", rig.job, "--statements", folder, "--reason", "a return")
        rig.imprint(*command, check=False)
        self.assertEqual((folder / "PUMP-000001.tbs").read_bytes(), statement)
        shutil.copy(rig.openssl_sign("decommission", statement), folder / "PUMP-000001.sig")
        rig.imprint(*command)
        self.assertIsNone(device.export())
        rig.seal()
        rig.verify(rig.manifests()[-1])
        self.assertEqual([r["t"] for r in rig.records()], ["add", "decommission"])

    # ---- beside a certificate

    def test_a_symmetric_key_beside_a_private_one(self):
        rig = Rig(order={"symmetric_key": True}, job={"more": "symmetric_key: true\n"})
        self.rig = rig
        self.addCleanup(rig.close)
        rig.imprint("generate", rig.job, "--count", 2)
        devices = [rig.add_device() for _ in range(2)]
        self.provision(devices)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        live = judge.check_all(rig, devices)
        keys = [(d.export() / "symmetric").read_bytes() for d in devices]
        self.assertEqual({r["ext"]["symmetric"]["kcv"] for r in live.values()},
                         {check_value(k).hex() for k in keys})
        self.assertEqual({r["mode"] for r in live.values()}, {"hsm"})
        self.assertNotEqual(*keys)

    # ---- exports

    def make_recipient(self, name, *key, usage=None):
        """A certificate and its key, as openssl makes them; the hash that an order names it by."""
        rig = self.rig
        extra = ("-addext", f"keyUsage=critical,{usage}") if usage else ()
        run("openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "30", "-subj",
            f"/CN={name}", "-keyout", rig.dir / f"{name}.key", "-out", rig.dir / f"{name}.pem", *extra)
        der = run_bytes("openssl", "x509", "-in", rig.dir / f"{name}.pem", "-outform", "DER")
        return hashlib.sha256(der).hexdigest()

    def export(self, recipient, format="symmetric-keys", check=True):
        result = self.rig.imprint("seal", "--export", format, "--recipient",
                                  self.rig.dir / f"{recipient}.pem", "--json", check=check)
        if not check:
            return result
        return pathlib.Path(json.loads(result.stdout.splitlines()[-1])["path"])

    def check_index(self, folder):
        """The station signed the hash of each file, and nothing in the folder is a key."""
        rig, index = self.rig, json.loads((folder / "export.json").read_text())
        run("openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", folder / "export.json.p7s",
            "-content", folder / "export.json", "-CAfile", rig.station / "trust/manifest-root.pem",
            "-out", "/dev/null")
        for file in index["files"]:
            data = (folder / file["name"]).read_bytes()
            self.assertEqual(file["sha256"], hashlib.sha256(data).hexdigest())
        return index

    def decrypt(self, folder, name):
        """With openssl; then its parts without it, as RFC 5652 has them."""
        plain = b""
        for file in sorted(folder.glob("*.cms")):
            plain += run_bytes("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", file,
                               "-inkey", self.rig.dir / f"{name}.key", "-recip",
                               self.rig.dir / f"{name}.pem")
            self.assertTrue(plain.endswith(envelope.open_envelope(
                file.read_bytes(), (self.rig.dir / f"{name}.key").read_bytes())))
        return plain

    def exported_keys(self, folder, name):
        return {d["sn"]: base64.b64decode(d["key"])
                for d in map(json.loads, self.decrypt(folder, name).splitlines())}

    def test_keys_leave_for_recipients_whom_the_order_names(self):
        rig = self.make()
        devices = [rig.add_device() for _ in range(12)]
        self.assertIn("profile     none: keys are derived",
                      rig.imprint("order", "show", "E2E-1").stdout)
        names = {"rsa": ("rsa:3072",), "ec": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                 "other": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")}
        hashes = {name: self.make_recipient(name, *key) for name, key in names.items()}
        rig.write_order(id="E2E-2", key_recipients=[hashes["rsa"], hashes["ec"]],
                        exports=["symmetric-keys", "azure-dps-keys"], **ORDER)
        rig.write_job(order="E2E-2", **JOB)
        self.provision(devices)
        self.assertIn("order 'E2E-2', open: 12 derived keys = 12 good",
                      rig.imprint("reconcile").stdout)
        keys = self.check(devices)
        for name in ("rsa", "ec"):
            folder = self.export(name)
            index = self.check_index(folder)
            self.assertEqual((index["devices"], index["platform"]), (12, "symmetric-keys"))
            self.assertEqual(self.exported_keys(folder, name), keys)
            self.assert_nowhere(keys.values(), rig.station)
            folder.rename(rig.dir / f"to-{name}")
        # Both at once open one file, each with its own key.
        both = rig.dir / "both.pem"
        both.write_text((rig.dir / "rsa.pem").read_text() + (rig.dir / "ec.pem").read_text())
        folder = self.export("both")
        for name in ("rsa", "ec"):
            self.assertEqual(self.exported_keys(folder, name), keys)
        wrong = run("openssl", "cms", "-decrypt", "-inform", "DER", "-in", next(folder.glob("*.cms")),
                    "-inkey", rig.dir / "other.key", check=False)
        self.assertNotEqual(wrong.returncode, 0)
        folder.rename(rig.dir / "to-both")
        # Enrolments, ten a call.
        folder = self.export("ec", "azure-dps-keys")
        self.check_index(folder)
        calls = [json.loads(line) for line in self.decrypt(folder, "ec").splitlines()]
        self.assertEqual([len(c["enrollments"]) for c in calls], [10, 2])
        enrolled = {e["registrationId"]: e["attestation"] for c in calls for e in c["enrollments"]}
        self.assertEqual({sn: base64.b64decode(a["symmetricKey"]["primaryKey"])
                          for sn, a in enrolled.items()}, keys)
        self.assertEqual({a["type"] for a in enrolled.values()}, {"symmetricKey"})
        self.assertEqual({c["mode"] for c in calls}, {"create"})
        folder.rename(rig.dir / "to-azure")
        # To nobody else, and of no device that ended.
        folder = self.export("other")
        index = json.loads((folder / "export.json").read_text())
        self.assertEqual((index["devices"], index["files"], index["left_out"]["other_recipients"]),
                         (0, [], 12))
        folder.rename(rig.dir / "to-other")
        rig.imprint("void", "PUMP-000001", "--by", "Ada", "--reason", "a test")
        ended = rig.imprint("seal", "--export", "symmetric-keys", "--recipient", rig.dir / "ec.pem",
                            "--manifest", 1, "--json")
        folder = pathlib.Path(json.loads(ended.stdout.splitlines()[-1])["path"])
        self.assertEqual(json.loads((folder / "export.json").read_text())["left_out"]["ended"], 1)
        self.assertEqual(set(self.exported_keys(folder, "ec")), set(keys) - {"PUMP-000001"})
        told = [e for e in map(json.loads, rig.imprint("ledger", "show", "--json").stdout.splitlines())
                if e.get("event") == "export"]
        self.assertEqual(told[0]["data"]["recipients"], [hashes["rsa"]])

    @unittest.skipUnless(NSS_MODULES, "NSS softokn is not installed")
    def test_keys_leave_a_token_that_derives_by_itself(self):
        rig = self.make(NssRig)
        device = rig.add_device()
        name = self.make_recipient("ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-521")
        rig.write_order(id="E2E-2", key_recipients=[name], **ORDER)
        rig.write_job(order="E2E-2", **JOB)
        self.provision([device])
        self.assertEqual(self.exported_keys(self.export("ec"), "ec"),
                         self.check([device], made="token"))

    def test_keys_beside_certificates_leave_as_well(self):
        rig = Rig(order={"symmetric_key": True})
        self.rig = rig
        self.addCleanup(rig.close)
        rig.imprint("generate", rig.job, "--count", 2)
        plain, device = rig.add_device(), rig.add_device(start=False)
        self.provision([plain])
        name = self.make_recipient("ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                   usage="keyAgreement")
        rig.write_order(type="amendment", amends=rig.order_hash, symmetric_key=True,
                        key_recipients=[name])
        rig.write_job(more="symmetric_key: true\n")
        device.start()
        self.provision([plain, device])
        folder = self.export("ec")
        self.assertEqual(list(self.exported_keys(folder, "ec").values()),
                         [(device.export() / "symmetric").read_bytes()])
        left = json.loads((folder / "export.json").read_text())["left_out"]
        self.assertEqual(left["without_symmetric_key"], 1)

    def test_recipients_that_nothing_is_encrypted_for(self):
        rig = self.make()
        self.make_recipient("short", "rsa:1024")
        self.make_recipient("signer", "rsa:2048", usage="digitalSignature")
        self.make_recipient("odd", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1")
        (rig.dir / "none.pem").write_text("nothing")
        for name, status, words in (("short", "REFUSED", "neither RSA from 2048"),
                                    ("signer", "REFUSED", "lacks keyEncipherment"),
                                    ("odd", "REFUSED", "neither RSA"),
                                    ("none", "INPUT", "no PEM certificate")):
            result = self.export(name, check=False)
            self.assertEqual(result.returncode, EXIT[status], result.stderr)
            self.assertIn(words, result.stderr)
        for options, words in ((("--export", "symmetric-keys"), "--recipient"),
                               (("--export", "aws-iot", "--set", "policy=p", "--recipient", "x"),
                                "holds no secret"),
                               (("--recipient", "x"), "are for --export")):
            result = rig.imprint("seal", *options, check=False)
            self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)
            self.assertIn(words, result.stderr)
        result = run(MANIFEST, "export", "--state", rig.dir / "w", "--format", "symmetric-keys", "--output",
                     rig.dir / "x", rig.dir, check=False)
        self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)
        self.assertIn("only the station has", result.stderr)

    # ---- what is refused

    def test_what_a_job_may_not_ask_for(self):
        rig = self.make()
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("nothing to generate", refused.stderr)
        for more, certificate, status, words in (
                ("key_mode: hsm\n", True, "REFUSED", "does not allow key mode 'hsm'"),
                ("symmetric_key: true\n", False, "INPUT", "beside a key from the HSM"),
                ("key: p256\n", False, "INPUT", "take 'key' out"),
                ("", True, "INPUT", "take 'certificate' out")):
            rig.write_job(more=more, certificate=certificate)
            result = rig.imprint("run", rig.job, check=False)
            self.assertEqual(result.returncode, EXIT[status], result.stderr)
            self.assertIn(words, result.stderr)
        rig.write_order(id="E2E-2")
        rig.write_job(order="E2E-2", more="symmetric_key: true\n")
        result = rig.imprint("run", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("allows no symmetric key", result.stderr)

    def test_what_an_order_may_not_say(self):
        rig = self.make()
        for changes, words in (
                ({"profile": {"name": "idevid", "sha256": "0" * 64}}, "there are no certificates"),
                ({"symmetric_key": True}, "without key mode"),
                ({"key_recipients": []}, "SHA-256 of each recipient"),
                ({"exports": ["aws-iot"]}, "which needs certificates"),
                ({"key_modes": ["device"], "exports": ["azure-dps-keys"], "profile":
                  {"name": "idevid", "sha256": "0" * 64}}, "no symmetric keys are made"),
                ({"key_modes": ["device"], "key_recipients": ["0" * 64], "profile":
                  {"name": "idevid", "sha256": "0" * 64}}, "no symmetric keys")):
            rig.write_order(add=False, id="E2E-9", **{**ORDER, **changes})
            result = rig.add_order(check=False)
            self.assertEqual(result.returncode, EXIT["INPUT"], result.stderr)
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
