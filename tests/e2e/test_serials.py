"""Where serials come from, and what becomes of a unit that is repaired: from the order to the owner's
state, judged by openssl and imprint-manifest."""
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

from rig import EXIT, IMPRINT, MANIFEST, Rig, run

VERIFIER = pathlib.Path(__file__).resolve().parents[2] / "docs/manifest-verifier.py"
ANY = {"serials": {"only": {"prefix": ""}}}
# The 82 characters that a GS1 serial may hold, in serials of at most 20.
GS1 = ["!\"%&'()*+,-./0123456", "789:;<=>?ABCDEFGHIJK", "LMNOPQRSTUVWXYZ_abcd", "efghijklmnopqrstuvwx",
       "yz/"]


def name_of(serial):
    """The escape of docs/manifest-format.md, written down once more."""
    plain = all(c.isalnum() or c == "-" for c in serial) and "--" not in serial \
        and serial[0] != "-" != serial[-1]
    return serial if plain else "".join(
        c if c.isalnum() and c not in "Zz" else f"Z{ord(c):02X}" for c in serial) + "--Z"


class Serials(unittest.TestCase):
    def make(self, serials, order=None, **options):
        rig = Rig(order=order or ANY, job={"serials": serials}, **options)
        self.addCleanup(rig.close)
        return rig

    def fail(self, rig, name, text, *options, labels=None):
        """Refused before any device got a byte."""
        before = rig.imprint("ledger", "show").stdout
        code, _, stderr = rig.run_json(*options, check=False, labels=labels)
        self.assertEqual(code, EXIT[name], stderr)
        self.assertIn(text, stderr)
        self.assertEqual(rig.imprint("ledger", "show").stdout, before)
        for device in rig.devices:
            self.assertIsNone(device.export())

    def subject(self, record):
        return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-nameopt",
                               "multiline"], input=base64.b64decode(record["cert"]),
                              capture_output=True, check=True).stdout.decode()

    def check(self, rig, *what, check=True):
        return run(MANIFEST, "check", "--state", rig.dir / "whitelist", *what, check=check)

    def accept_all(self, rig):
        rig.seal()
        for folder in rig.manifests():
            rig.verify(folder)
        rig.accept("--order", rig.owner / "order.json")
        last = rig.manifests()[-2:]
        run(sys.executable, VERIFIER, *rig.pins()[1::2], last[-1], *last[:-1])

    def test_scanned(self):
        rig = self.make("  source: scanned\n")
        self.assertIn("5 keys", rig.imprint("generate", rig.job, "--up-to", 5).stdout)
        self.assertIn("nothing to generate", rig.imprint("generate", rig.job, "--up-to", 5).stdout)
        self.assertEqual(rig.order_status()["keys"], 5)
        self.assertEqual(rig.order_status()["generated"], 0)
        for _ in GS1:
            rig.add_device()
        code, slots, _ = rig.run_json(check=False, labels="")
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertIn("no label was scanned for slot 'S1'", slots["S1"]["text"])
        self.assertEqual(slots["S1"]["action"], "scan")
        self.fail(rig, "INPUT", "line 2: expected the slot", labels="S1 AB/12\nAB/13\n")
        self.fail(rig, "INPUT", "line 1: character 3 of the serial, 0x23", labels="S1 AB#12\n")
        self.fail(rig, "INPUT", "no slot 'T1'", labels="T1 AB/12\n")
        self.fail(rig, "DUPLICATE", "line 2: the serial 'ab/12' was scanned for slot 'S1' already",
                  labels="S1 AB/12\nS2 ab/12\n")
        self.fail(rig, "INPUT", "longer than 127 bytes", labels=f"S1 {'A' * 200}\n")
        labels = "".join(f"S{i + 1} {serial}\n" for i, serial in enumerate(GS1))
        code, slots, stderr = rig.run_json(labels=labels)
        self.assertEqual(code, 0, stderr)
        self.assertEqual([slots[f"S{i + 1}"]["serial"] for i in range(5)], GS1)
        self.assertEqual(rig.order_status()["keys"], 0)
        self.accept_all(rig)
        for serial, record in zip(GS1, sorted(rig.records(), key=lambda r: GS1.index(r["sn"]))):
            self.assertEqual(record["sn"], serial)
            self.assertIn(f"serialNumber              = {name_of(serial)}\n", self.subject(record))
            self.assertIn(f"commonName                = {name_of(serial)}\n", self.subject(record))
            self.check(rig, "--", serial)
        # Finished devices pass again, with their labels or others' refused.
        self.assertEqual(rig.run_json(labels=labels)[0], 0)
        code, slots, _ = rig.run_json(labels="S1 OTHER-1\n", check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertIn("says 'OTHER-1' and the device in it is", slots["S1"]["text"])
        self.assertEqual(slots["S1"]["action"], "swap")
        self.assertEqual(slots["S2"]["event"], "pass")
        rig.imprint("ledger", "verify")

    def test_gs1_labels(self):
        """What a scanner sends of a UDI; the wrong product and the wrong kind of code are refused
        before a device gets a byte."""
        rig = self.make("  source: scanned\n", order={**ANY, "gtin": "09506000134352"})
        rig.job.write_text(rig.job.read_text() + "label:\n  kind: gs1\n  lot: L7\n")
        rig.add_device()
        rig.add_device()
        for said, code, label in (
                ("wrong kind of code: expected a GS1 code", "INPUT", "]C0AB/12"),
                ("the number of a product", "INPUT", "]E09506000134352"),
                ("the check digit of 09506000134353", "INPUT", "]d2010950600013435310L7\x1d21AB/12"),
                ("wrong product: the label is of GTIN 00036000291452", "REFUSED",
                 "(01)00036000291452(10)L7(21)AB/12"),
                ("does not say of which product", "REFUSED", "(10)L7(21)AB/12"),
                ("wrong lot: the label is of lot 'L8'", "REFUSED", "(01)09506000134352(10)L8(21)AB/12"),
                ("no serial, (21)", "INPUT", "]d2010950600013435210L7")):
            self.fail(rig, code, said, labels=f"S1 {label}\n")
        self.fail(rig, "DUPLICATE", "line 2: the serial 'AB/12' was scanned for slot 'S1' already",
                  labels="S1 (01)09506000134352(10)L7(21)AB/12\n"
                         "S2 ]d2010950600013435210L7\x1d21AB/12\n")
        code, slots, stderr = rig.run_json(
            labels="S1 ]d2010950600013435210L7\x1d21AB/12\nS2 (01)09506000134352(10)L7(21)AB/13\n")
        self.assertEqual(code, 0, stderr)
        self.assertEqual([slots[s]["serial"] for s in ("S1", "S2")], ["AB/12", "AB/13"])
        self.accept_all(rig)
        self.check(rig, "--", "AB/12")

    def test_a_serial_that_a_platform_would_refuse_is_no_device_s(self):
        exports = {"exports": ["aws-iot"]}
        rig = self.make("  source: scanned\n", order={**ANY, **exports})
        rig.add_device()
        self.fail(rig, "REFUSED", "exports to 'aws-iot', which would refuse the serial 'UNIT.1'",
                  labels="S1 UNIT.1\n")
        self.assertEqual(rig.run_json(labels="S1 UNIT-1\n")[0], 0)
        text = "UNIT-2\nUNIT/3\n"
        only = {"list": hashlib.sha256(text.encode()).hexdigest()}
        rig = Rig(order={"serials": {"only": only}, **exports})
        self.addCleanup(rig.close)
        rig.write_job(serials="  source: listed\n  file: serials.txt\n")
        (rig.dir / "serials.txt").write_text(text)
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("serials.txt:2:1: order 'E2E-1' exports to 'aws-iot', which would refuse the "
                      "serial 'UNIT/3'", result.stderr)

    def test_labels_come_from_a_pipe(self):
        rig = self.make("  source: scanned\n  input: labels\n")
        os.mkfifo(rig.dir / "labels")
        rig.add_device()
        scanner = threading.Thread(
            target=lambda: (rig.dir / "labels").write_text("S1 UNIT-1\r\n"))
        scanner.start()
        code, slots, stderr = rig.run_json()
        scanner.join()
        self.assertEqual(code, 0, stderr)
        self.assertEqual(slots["S1"]["serial"], "UNIT-1")

    def test_listed(self):
        text = "UNIT/3\nUNIT-1\nUNIT-2\n"
        only = {"list": hashlib.sha256(text.encode()).hexdigest()}
        rig = Rig(order={"serials": {"only": only}})
        self.addCleanup(rig.close)
        rig.write_job(serials="  source: listed\n  file: serials.txt\n")
        path = rig.dir / "serials.txt"
        for bad, code, said in (
                (b"\xef\xbb\xbfUNIT-1\n", "INPUT", ":1:1: the file begins with a byte order mark"),
                (b"UNIT-1\r\nUNIT-2\r\n", "INPUT", ":1:7: the line ends with CR and LF"),
                (b"UNIT-1\n\nUNIT-2\n", "INPUT", ":2:1: the line is empty"),
                (b"UNIT-1\nUNIT-2 \n", "INPUT", ":2:7: there is a blank"),
                (b"UNIT-1\nUNIT-2\nunit-1\n", "INPUT", ":3:1: 'unit-1' stands in line 1 already"),
                (b"UNIT-1\n" + b"A" * 64 + b"\n", "INPUT", ":2:1: the serial has 64 characters"),
                (b"UNIT-1\nUN~T\n", "INPUT", ":2:1: character 3 of the serial, 0x7e"),
                (b"UNIT-1\nUN\0T\n", "INPUT", ":2:3: there is a byte 0"),
                (b"", "INPUT", "has 0 lines"),
                (b"UNIT-1\n", "REFUSED", "is not the one that order 'E2E-1' names by hash")):
            path.write_bytes(bad)
            result = rig.imprint("generate", rig.job, "--count", 1, check=False)
            self.assertEqual(result.returncode, EXIT[code], result.stderr)
            self.assertIn(said, result.stderr)
        path.write_text(text)
        rig.imprint("generate", rig.job, "--up-to", 3)
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("0 serials that are not made yet", result.stderr)
        rig.add_device()
        self.assertEqual(rig.run_json()[1]["S1"]["serial"], "UNIT/3")
        self.accept_all(rig)
        self.check(rig, "UNIT/3")

    def test_the_chip_is_the_serial_and_stands_in_the_certificate(self):
        profile = """name: acme
title: with the chip id
version: 3
validity:
  not_after: 20y
subject:
  - attribute: serialNumber
    value: "{serial}"
  - attribute: OU
    value: "{chip_id}"
  - attribute: CN
    value: "{udi}"
key_usage:
  bits: [digitalSignature]
authority_key_identifier: true
"""
        rig = Rig(station=False, job={"serials": "  source: device\n  prefix: INF-\n"})
        self.addCleanup(rig.close)
        (rig.dir / "acme.yaml").write_text(profile)
        said = json.loads(run(IMPRINT, "profile", "check", rig.dir / "acme.yaml", "--json").stdout)
        rig.order_changes = {"serials": {"only": {"prefix": "INF-"}}, "gtin": "09506000134352",
                             "profile": {"name": "acme", "sha256": said["sha256"]}}
        rig.make_station()
        text = rig.job.read_text()
        begin, end = text.index("certificate:"), text.index("ports:")
        rig.job.write_text(text[:begin] + "certificate:\n  profile: acme.yaml\n" + text[end:])
        for _ in range(3):
            rig.add_device()
        code, slots, stderr = rig.run_json()
        self.assertEqual(code, 0, stderr)
        self.accept_all(rig)
        for device, record in zip(rig.devices, sorted(rig.records(), key=lambda r: r["chip"])):
            serial = f"INF-{device.chip.upper()}"
            self.assertEqual(record["sn"], serial)
            subject = self.subject(record)
            self.assertIn(f"organizationalUnitName    = {device.chip}\n", subject)
            self.assertIn(f"commonName                = 010950600013435221{serial}\n", subject)
            self.check(rig, serial)
        # With certificates made ahead such a profile has no chip id to name.
        rig.job.write_text(rig.job.read_text().replace("device\n  prefix: INF-", "listed\n  file: l"))
        (rig.dir / "l").write_text("INF-1\n")
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("known only when a device is in its slot", result.stderr)

    def rework(self, rig, serial, *options, check=True):
        return rig.imprint("rework", serial, *options, "--by", "Eve", "--reason", "new board",
                           check=check)

    def test_a_repaired_unit_gets_another_identity(self):
        rig = Rig(credentials=3, order={"counts": {"rework": 1}})
        self.addCleanup(rig.close)
        old = rig.add_device()
        rig.run_json()
        self.accept_all(rig)
        (rig.dir / "old.der").write_bytes(base64.b64decode(rig.records()[0]["cert"]))
        self.assertEqual(rig.imprint("rework", "PUMP-000001", check=False).returncode, EXIT["USAGE"])
        self.assertIn("1 of 1", self.rework(rig, "PUMP-000001").stdout)
        self.assertIn("nothing changed", self.rework(rig, "PUMP-000001").stdout)
        # Between the two nothing of that serial lives, and the old board may not be used.
        self.accept_all(rig)
        self.assertEqual(self.check(rig, "PUMP-000001", check=False).returncode, EXIT_REVOKED)
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertIn("is void", slots["S1"]["text"])
        old.stop()
        old.port.unlink(missing_ok=True)
        rig.add_device()
        code, slots, stderr = rig.run_json("--scan", "S1 PUMP-000001")
        self.assertEqual((code, slots["S1"]["serial"]), (0, "PUMP-000001"), stderr)
        self.accept_all(rig)
        add, revoke, replace = rig.records()
        self.assertEqual([r["t"] for r in (add, revoke, replace)], ["add", "revoke", "replace"])
        self.assertEqual((revoke["reason"], revoke["ref"], replace["ref"]), ("superseded", 0, 0))
        self.assertNotEqual(add["spki"], replace["spki"])
        self.check(rig, "PUMP-000001")
        result = self.check(rig, "--cert", rig.dir / "old.der", check=False)
        self.assertEqual(result.returncode, EXIT_REVOKED)
        said = json.loads(rig.imprint("reconcile", "--json").stdout)
        self.assertEqual((said["reworks"], said["ordered"]["rework"]), (1, 1))
        self.assertIn(", 1 of 1 replaced", rig.imprint("reconcile").stdout)
        totals = said["totals"]
        self.assertEqual((totals["good"], totals["revoked"], totals["unused"], totals["issued"]),
                         (1, 1, 2, 4))
        result = self.rework(rig, "PUMP-000001", check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("allows this station to replace 1", result.stderr)
        [entry] = [json.loads(line) for line in
                   rig.imprint("ledger", "show", "--event", "rework").stdout.splitlines()]
        self.assertEqual((entry["operator"], entry["why"]), ("Eve", "new board"))
        rig.imprint("ledger", "verify")

    def test_keys_without_certificates_are_destroyed_with_their_order(self):
        rig = self.make("  source: scanned\n")
        rig.imprint("generate", rig.job, "--count", 4)
        rig.add_device()
        self.assertEqual(rig.run_json(labels="S1 UNIT-1\n")[0], 0)
        self.assertIn("3 keys that have no certificate", rig.imprint("reconcile").stdout)
        rig.imprint("order", "close", "E2E-1", "--by", "Ada", "--reason", "done")
        said = json.loads((rig.station / "statements/E2E-1/closing.json").read_text())
        self.assertEqual(said["destroyed"]["keys"], 3)
        self.assertEqual((said["totals"]["issued"], said["totals"]["scrapped"]), (1, 0))
        self.assertEqual(rig.order_status()["keys"], 0)
        rig.imprint("ledger", "verify")

    def test_keys_that_a_backup_still_has_are_never_used_again(self):
        rig = self.make("  source: scanned\n", {"serials": {"only": {"prefix": "UNIT-"}}})
        rig.imprint("generate", rig.job, "--count", 3)
        rig.imprint("backup", rig.dir / "backup")
        first = rig.add_device()
        self.assertEqual(rig.run_json(labels="S1 UNIT-1\n")[0], 0)  # the backup has its key
        first.stop()
        for suffix in ("", "-wal", "-shm"):
            (rig.station / f"station.db{suffix}").unlink(missing_ok=True)
        ticket = rig.ticket("restore", "T-1")
        rig.recover(ticket, "--backup", rig.dir / "backup")
        self.assertEqual(rig.order_status()["keys"], 0)
        [entry] = [json.loads(line) for line in rig.imprint(
            "ledger", "show", "--event", "keys_destroyed").stdout.splitlines()]
        self.assertEqual(entry["data"]["count"], 3)
        first.port.unlink(missing_ok=True)
        rig.add_device()
        code, slots, stderr = rig.run_json(labels="S1 UNIT-2\n", check=False)
        self.assertEqual(code, EXIT["REFUSED"], stderr)
        self.assertIn("amendment with other serials", slots["S1"]["text"])
        rig.write_order(type="amendment", amends=rig.order_hash, serials={"only": {
            "list": hashlib.sha256(b"MORE-2\n").hexdigest()}},
            recovery=hashlib.sha256((rig.owner / "T-1.json").read_bytes()).hexdigest())
        (rig.dir / "units.txt").write_text("MORE-2\n")
        rig.write_job(serials="  source: scanned\n  file: units.txt\n")
        self.assertEqual(rig.run_json(labels="S1 MORE-2\n")[0], 0)
        rig.imprint("ledger", "verify")

    def test_a_device_that_fails_again_and_again_is_set_aside(self):
        rig = Rig(credentials=2)
        self.addCleanup(rig.close)
        rig.job.write_text(rig.job.read_text() + "  attempts: 2\n")
        device = rig.add_device("--fault", "vanish", start=False)
        for expected in ("GONE", "GONE", "REFUSED"):
            device.start()
            code, slots, stderr = rig.run_json(check=False)
            self.assertEqual(code, EXIT[expected], f"{slots} {stderr}")
            device.stop()
        self.assertIn("failed in this device 2 times", slots["S1"]["text"])
        self.assertEqual(slots["S1"]["action"], "set_aside")
        result = rig.imprint("reconcile", check=False)
        self.assertEqual(result.returncode, EXIT["UNRESOLVED"])
        self.assertIn("it failed 3 times, the last: 'PUMP-000001' failed", result.stdout)
        rig.imprint("void", "PUMP-000001", "--lost", "--reason", "faulty board")
        rig.imprint("reconcile")


EXIT_REVOKED = 34

if __name__ == "__main__":
    unittest.main()
