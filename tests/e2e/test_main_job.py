"""The main job, from generation to verified manifests."""
import base64
import hashlib
import os
import pathlib
import re
import shutil
import unittest

import judge
from cryptography.hazmat.primitives import serialization
from rig import EXIT, Rig, run


class MainJob(unittest.TestCase):
    def setUp(self):
        self.rig = None

    def tearDown(self):
        if self.rig:
            self.rig.close()

    def make(self, **options):
        self.rig = Rig(**options)
        return self.rig

    def test_devices_are_provisioned_proven_and_whitelisted(self):
        rig = self.make(credentials=20)
        for _ in range(4):
            rig.add_device()
        absent = rig.add_device(start=False)
        code, slots, _ = rig.run_json()
        self.assertEqual(code, 0)
        self.assertEqual({s["event"] for s in slots.values()}, {"pass"})
        self.assertEqual(len(slots), 4)
        sealed = rig.seal()
        self.assertEqual((sealed["manifest"], sealed["count"]), (1, 4))
        self.assertIn("proven: manifest 1", rig.verify(rig.manifests()[0]).stdout)
        live = judge.check_all(rig, rig.devices[:4])
        self.assertIsNone(absent.export())
        for record in live.values():
            self.assertEqual((record["mode"], record["auth"], record["lock"], record["hsm"]),
                             ("hsm", "none", True, "software"))
            self.assertEqual(record["order"], rig.order_hash)
        status = rig.order_status()
        self.assertEqual((status["generated"], status["proven"], status["available"]), (20, 4, 16))
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)

    def test_the_device_holds_what_the_order_named(self):
        rig = self.make(credentials=1)
        device = rig.add_device()
        rig.run_json()
        anchors = device.export() / "trust-anchors.pem"
        owner = rig.owner / "root.pem"
        self.assertEqual(run("openssl", "x509", "-in", anchors, "-noout", "-fingerprint").stdout,
                         run("openssl", "x509", "-in", owner, "-noout", "-fingerprint").stdout)

    def test_a_finished_device_passes_again_and_consumes_nothing(self):
        rig = self.make(credentials=3)
        device = rig.add_device()
        rig.run_json()
        before = device.export() / "key.pem"
        key = before.read_bytes()
        code, slots, _ = rig.run_json()
        self.assertEqual(code, 0)
        self.assertTrue(slots["S1"]["again"])
        device.stop()
        device.start()
        code, slots, _ = rig.run_json()
        self.assertTrue(slots["S1"]["again"])
        self.assertEqual((device.export() / "key.pem").read_bytes(), key)
        self.assertEqual(rig.order_status()["available"], 2)
        self.assertEqual(rig.seal()["count"], 1)

    def test_a_device_that_lost_its_memory_burns_its_credential(self):
        rig = self.make(credentials=3)
        device = rig.add_device("--fault", "vanish")
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["event"]), (EXIT["GONE"], "fail"))
        self.assertEqual(rig.order_status()["unresolved"], 1)
        device.stop()
        shutil.rmtree(device.store)
        device.options.remove("--fault")
        device.options.remove("vanish")
        device.start()
        code, slots, _ = rig.run_json()
        self.assertEqual(slots["S1"]["event"], "pass")
        self.assertEqual(rig.order_status()["burned"], 1)
        rig.seal()
        rig.verify(rig.manifests()[0])
        void = [r for r in rig.records() if r["t"] == "void"]
        self.assertEqual([r["reason"] for r in void], ["burned"])
        judge.check_all(rig, [device])
        rig.imprint("ledger", "verify")

    def test_an_interrupted_device_goes_on_with_the_same_credential(self):
        rig = self.make(credentials=2)
        device = rig.add_device("--fault", "vanish")
        rig.run_json(check=False)
        device.stop()
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        code, slots, _ = rig.run_json()
        self.assertEqual((code, slots["S1"]["serial"]), (0, "PUMP-000001"))
        status = rig.order_status()
        self.assertEqual((status["available"], status["burned"]), (1, 0))

    def test_enrolled_devices_are_told_from_others(self):
        rig = self.make(station=True)
        for name in ("a", "b"):
            run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                rig.dir / f"{name}.pem")
        der = rig.dir / "a.der"
        run("openssl", "pkey", "-in", rig.dir / "a.pem", "-pubout", "-outform", "DER", "-out", der)
        lines = hashlib.sha256(der.read_bytes()).hexdigest() + "\n"
        (rig.dir / "list.txt").write_text(lines)
        rig.write_order(id="E2E-2", device_auth="enrolled",
                        enrolled=hashlib.sha256(lines.encode()).hexdigest())
        rig.write_job(order="E2E-2", more="enrolled: list.txt\n", request_ms=3000)
        rig.imprint("generate", rig.job, "--count", 5)
        good = rig.add_device("--enrol-key", str(rig.dir / "a.pem"))
        rig.add_device("--enrol-key", str(rig.dir / "b.pem"))
        rig.add_device()
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertEqual([slots[s]["event"] for s in ("S1", "S2", "S3")],
                         ["pass", "fail", "fail"])
        self.assertIn("not in the order's list", slots["S2"]["text"])
        self.assertIn("no enrolment key", slots["S3"]["text"])
        self.assertEqual(rig.order_status()["unresolved"], 0)
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, [good])
        self.assertEqual(rig.records()[0]["auth"], "enrolled")

    def test_an_enrolment_key_that_the_order_does_not_ask_for_is_not_evidence(self):
        rig = self.make(credentials=1)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
            rig.dir / "a.pem")
        device = rig.add_device("--enrol-key", str(rig.dir / "a.pem"))
        self.assertEqual(rig.run_json()[0], 0)
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, [device])
        self.assertEqual(rig.records()[0]["auth"], "none")

    def test_manifests_extend_one_another_and_a_rollback_is_refused(self):
        rig = self.make(credentials=6)
        for round_number in range(3):
            rig.add_device()
            rig.run_json()
            self.assertEqual(rig.seal()["manifest"], round_number + 1)
        self.assertEqual(rig.seal()["manifest"], 0)
        first, second, third = rig.manifests()
        rig.verify(second, "--after", first)
        rig.verify(third, "--after", second)
        self.assertEqual(rig.verify(first, "--after", second, check=False).returncode,
                         EXIT["ROLLBACK"])
        self.assertNotEqual(rig.verify(third, "--after", first, check=False).returncode, 0)
        judge.check_all(rig, rig.devices)

    def test_no_private_key_is_on_a_port_or_in_the_stations_directory(self):
        rig = self.make(credentials=12)
        for _ in range(3):
            rig.add_device()
        rig.run_json()
        rig.seal()
        rig.imprint("ledger", "verify")
        needles = self.needles(rig)
        self.assertEqual(len(needles), 3 * 6)
        places = [p for p in rig.station.rglob("*") if p.is_file()]
        captures = list((rig.dir / "captures").iterdir())
        self.assertEqual(len(captures), 3)
        for capture in captures:
            self.assertGreater(capture.stat().st_size, 1500)
        self.assertGreater(len(places), 15)
        for place in places + captures:
            contents = place.read_bytes()
            for needle in needles:
                self.assertNotIn(needle, contents, place)
        # The scan finds a key that is there: the devices' own flash holds them raw. The simulator
        # keeps two bytes for each, of which the first is the value.
        stores = b"".join(p.read_bytes()[0::2]
                          for p in (rig.dir / "devices").rglob("*") if p.is_file())
        self.assertTrue(any(needle in stores for needle in needles))

    def test_the_line_is_confined_and_holds_only_its_ports_and_sockets(self):
        rig = self.make(credentials=1)
        rig.add_device("--fault", "silent")
        vault = rig.start_imprint("run", rig.job, "--json")
        self.addCleanup(vault.stdout.close)
        while '"wait"' not in (said := vault.stdout.readline()):
            self.assertTrue(said)
        line = run("pgrep", "-P", vault.pid, "-x", "imprint-line").stdout.strip()
        status = pathlib.Path(f"/proc/{line}/status").read_text()
        self.assertRegex(status, r"NoNewPrivs:\t1\n")
        self.assertRegex(status, r"Seccomp:\t2\n")
        targets = [os.readlink(f"/proc/{line}/fd/{n}") for n in os.listdir(f"/proc/{line}/fd")]
        for target in targets:
            self.assertRegex(target, r"^(/dev/|socket:|pipe:)")
        maps = pathlib.Path(f"/proc/{line}/maps").read_text()
        for library in ("softhsm", "p11-kit", "sqlite", "libusb", "serialport"):
            self.assertNotIn(library, maps)
        for process in (vault.pid, line):
            owner = os.stat(f"/proc/{process}/mem").st_uid
            self.assertEqual(owner, 0)  # not dumpable: /proc belongs to root
        vault.wait(timeout=60)

    @staticmethod
    def needles(rig):
        """Each private scalar raw, in hexadecimal of both cases and in base64 at each alignment."""
        found = set()
        for device in rig.devices:
            key = serialization.load_pem_private_key(
                (device.export() / "key.pem").read_bytes(), None)
            raw = key.private_numbers().private_value.to_bytes(32, "big")
            found |= {raw, raw.hex().encode(), raw.hex().upper().encode()}
            for shift in range(3):
                text = base64.b64encode(b"\0" * shift + raw)
                found.add(text[4 if shift else 0:-4])
        return found

    def test_what_the_station_prints_and_records_names_every_attempt(self):
        rig = self.make(credentials=2)
        rig.add_device()
        rig.imprint("run", rig.job)
        shown = rig.imprint("run", rig.job).stdout
        self.assertRegex(shown, r"slot S1 +PASS  PUMP-000001 .*finished before")
        self.assertIn("1 passed, 0 failed", shown)
        self.assertEqual(rig.status()["passed"], 2)
        events = [re.search(r'"event":"(\w+)"', line).group(1)
                  for line in rig.imprint("ledger", "show").stdout.splitlines()]
        self.assertEqual(events, ["init", "order", "generate", "claim", "proven"])
        last = rig.imprint("ledger", "show", "--last", "1").stdout
        self.assertIn('"event":"proven"', last)
        self.assertEqual(last.count("\n"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
