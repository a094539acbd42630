"""Bad input gets a clear error, a status of its own, and nothing is lost."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import judge
from rig import EXIT, IMPRINT, Rig, run


class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = Rig(credentials=8)

    @classmethod
    def tearDownClass(cls):
        cls.rig.close()

    def setUp(self):
        self.rig.write_order(add=False)
        self.rig.write_job()

    def tearDown(self):
        for device in self.rig.devices:
            device.stop()
            device.port.unlink(missing_ok=True)
            shutil.rmtree(device.store, ignore_errors=True)
        self.rig.devices.clear()

    def refused(self, name, text, *command):
        result = self.rig.imprint(*command, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)
        return result.stderr

    def device_refused(self, name, text, slot="S1"):
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertEqual(slots[slot]["event"], "fail", slots)
        self.assertIn(text, slots[slot]["text"])
        self.assertEqual(slots[slot]["exit"], EXIT[name], slots[slot])
        self.assertEqual(code, EXIT[name], stderr)
        return slots[slot]

    # ---- token, PIN, module

    def with_config(self, name, value):
        """The station with one value of its configuration changed, put back afterwards."""
        path = self.rig.station / "station.yaml"
        original = path.read_text()
        self.addCleanup(path.write_text, original)
        lines = [f'{name}: "{value}"' if line.startswith(f"{name}:") else line
                 for line in original.splitlines()]
        path.write_text("\n".join(lines) + "\n")

    def test_wrong_pin(self):
        wrong = self.rig.dir / "wrong"
        wrong.touch(mode=0o600)
        wrong.write_text("111111\n")
        self.with_config("pin_file", wrong)
        self.refused("PIN", "refuses the PIN", "generate", self.rig.job, "--count", 1)
        self.refused("PIN", "refuses the PIN", "run", self.rig.job)

    def test_pin_file_that_others_may_read(self):
        wrong = self.rig.dir / "open"
        wrong.write_text("1234567890\n")
        wrong.chmod(0o644)
        self.with_config("pin_file", wrong)
        self.refused("PIN", "chmod 600", "seal")

    def test_no_pin_file_and_no_terminal(self):
        self.with_config("pin_file", "")
        result = self.rig.imprint("seal", check=False, stdin=subprocess.DEVNULL,
                                  start_new_session=True)
        self.assertEqual(result.returncode, EXIT["PIN"], result.stderr)

    def test_missing_token(self):
        self.with_config("token", "nowhere")
        self.refused("TOKEN", "line-1", "seal")

    def test_module_that_does_not_load(self):
        self.with_config("module", "/nonexistent/module.so")
        self.refused("MODULE", "/nonexistent/module.so", "seal")
        self.with_config("module", IMPRINT)
        self.refused("MODULE", str(IMPRINT), "seal")

    def test_a_torn_file_of_the_software_token_is_put_back(self):
        """SoftHSM truncates token.object at each login before it writes it again."""
        token = next((self.rig.station / "tokens").glob("*/token.object"))
        good = token.read_bytes()
        for torn in (b"", good[:100], bytes(len(good))):
            token.write_bytes(torn)
            self.rig.imprint("ledger", "verify")
            self.assertEqual(token.read_bytes()[8:], good[8:])

    def test_order_for_another_environment(self):
        self.rig.write_order(add=False, id="E2E-2", environment="production")
        self.order_refused("REFUSED", "never mixed")

    # ---- files and arguments

    def test_job_with_a_typo(self):
        text = self.rig.job.read_text().replace("digits", "digts")
        self.rig.job.write_text(text)
        self.refused("INPUT", "job.yaml:6:3: unknown field 'digts'; did you mean 'digits'?",
                     "run", self.rig.job)

    def test_job_with_an_impossible_value(self):
        text = self.rig.job.read_text().replace("digits: 6", "digits: 60")
        self.rig.job.write_text(text)
        self.refused("INPUT", "job.yaml:6:11: 'digits' must be a whole number from 1 to 12",
                     "generate", self.rig.job, "--count", 1)

    def test_trust_anchors_that_the_order_does_not_name(self):
        self.rig.write_order(id="E2E-3", objects={"trust_anchors": "00" * 32})
        self.rig.write_job(order="E2E-3")
        self.refused("REFUSED", "not the ones that the order names", "run", self.rig.job)

    def test_commands_and_options_that_do_not_exist(self):
        result = self.rig.imprint("genrate", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("did you mean 'generate'?", result.stderr)
        self.refused("USAGE", "did you mean '--count'? see 'imprint help generate'", "generate",
                     self.rig.job, "--cuont", "1")
        self.refused("USAGE", "comes after the command", "--dir", "x", "status")
        self.refused("USAGE", "usage: imprint status [options]", "status", "extra")
        self.refused("USAGE", "--count is given twice", "generate", self.rig.job, "--count", "1", "--count", "2")
        for option in (("--cou", "1"), ("--coun=1",), ("--up", "1"), ("--quie",), ("--up-t=1",)):
            self.refused("USAGE", "options are written out: --", "generate", self.rig.job, *option)
        self.assertEqual(self.rig.imprint("--version").stdout.split()[0], "imprint")
        for arguments in (("-h",), ("--help",), ("run", "-h")):
            self.assertIn("usage: imprint", self.rig.imprint(*arguments).stdout)
        for count in ("0", "-1", "x", "1x", "1e3"):
            result = self.rig.imprint("generate", self.rig.job, "--count", count, check=False)
            self.assertEqual(result.returncode, 2, count)
        for threads in ("0", "17", "two"):
            self.refused("USAGE", "--threads", "generate", self.rig.job, "--count", 1, "--threads",
                         threads)
        self.assertEqual(self.rig.imprint("generate", check=False).returncode, 2)

    def test_files_that_the_job_names_and_that_are_not_there(self):
        self.refused("MISSING", "there is no job 'nowhere.yaml'", "run", "nowhere.yaml")
        self.rig.job.write_text(re.sub("(?m)^trust_anchors: .*", "trust_anchors: owner/nowhere",
                                       self.rig.job.read_text()))
        self.refused("MISSING", "correct 'trust_anchors' in", "run", self.rig.job)

    def test_an_order_that_the_station_does_not_have(self):
        self.rig.write_job(order="E2E-9")
        for command in (("run", self.rig.job), ("generate", self.rig.job, "--count", 1),
                        ("order", "show", "E2E-9")):
            self.refused("MISSING", "add it with 'imprint order add FILE'", *command)

    def test_an_interrupted_generation_says_how_to_go_on(self):
        for option, text in (("--count", "--count "), ("--up-to", "the same command goes on")):
            self.rig.write_order(id=f"E2E{option}")
            self.rig.write_job(order=f"E2E{option}")
            process = self.rig.start_imprint("generate", self.rig.job, option, 90000)
            self.wait_until_generated(f"E2E{option}")
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, EXIT["INTERRUPTED"], out)
            made = int(re.search(r"generated (\d+)", out).group(1))
            self.assertIn(text, out)
            if option == "--count":
                self.assertIn(f"--count {90000 - made} (", out)

    def wait_until_generated(self, order):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            status = json.loads(self.rig.imprint("status", "--json").stdout)
            if any(o["order"] == order and o["generated"] for o in status["orders"]):
                return
            time.sleep(0.1)
        self.fail(f"nothing was generated for '{order}'")

    def test_no_station_there(self):
        self.refused("MISSING", "imprint init", "status", "--dir", "/nonexistent")

    def test_a_station_is_never_overwritten(self):
        self.refused("EXISTS", "already", "init", "--name", "line-1", "--environment", "test",
                     "--origin", "x", "--customer", "x", "--organization", "x",
                     "--order-signers", self.rig.owner / "orders.pem", "--pin-file",
                     self.rig.dir / "pin", "--so-pin-file", self.rig.dir / "so-pin")

    def test_serials_that_exist_already(self):
        counts = {"good": 10, "max_issued": 10}
        self.rig.write_order(id="E2E-4", counts=counts,
                             serials={"prefix": "PUMP-0", "digits": 5, "last": 99999})
        self.rig.write_job(order="E2E-4", prefix="PUMP-0", digits=5)
        self.refused("DUPLICATE", "PUMP-000001", "generate", self.rig.job, "--count", 1)

    def test_station_without_or_with_another_certificate(self):
        self.rig.add_device()
        path = self.rig.station / "station.cert"
        good = path.read_bytes()
        self.addCleanup(path.write_bytes, good)
        path.unlink()
        self.refused("MISSING", "station-auth.pub", "run", self.rig.job)
        path.write_bytes(good.replace(b"line-1", b"line-2"))
        self.refused("SIGNATURE", "another station", "run", self.rig.job)
        path.write_bytes(good[:-1])
        self.assertNotEqual(self.rig.imprint("run", self.rig.job, check=False).returncode, 0)

    # ---- orders

    def order_refused(self, name, text):
        self.refused(name, text, "order", "add", self.rig.owner / "order.p7")

    def test_an_order_that_nobody_signed(self):
        shutil.copy(self.rig.owner / "order.json", self.rig.owner / "order.p7")
        self.order_refused("INPUT", "openssl cms -sign")

    def test_an_order_that_somebody_else_signed(self):
        self.rig.make_order_signer("stranger")
        self.rig.sign_order("stranger")
        self.order_refused("SIGNATURE", "none of the certificates that this station pins")
        # Nor does it help to carry the right certificate along.
        self.rig.sign_order("stranger", "-certfile", self.rig.owner / "orders.pem")
        self.order_refused("SIGNATURE", "none of the certificates that this station pins")

    def test_an_order_whose_content_was_changed(self):
        signed = (self.rig.owner / "order.p7").read_bytes()
        self.assertIn(b'"good": 100000', signed)
        (self.rig.owner / "order.p7").write_bytes(
            signed.replace(b'"good": 100000', b'"good": 900000'))
        self.order_refused("SIGNATURE", "none of the certificates that this station pins")

    def test_an_order_without_its_content_inside(self):
        run("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer",
            self.rig.owner / "orders.pem", "-inkey", self.rig.owner / "orders.key", "-in",
            self.rig.owner / "order.json", "-out", self.rig.owner / "order.p7")
        result = self.rig.add_order(check=False)
        self.assertIn(result.returncode, (EXIT["INPUT"], EXIT["SIGNATURE"]), result.stderr)

    def test_an_order_that_was_cut_or_grew(self):
        signed = (self.rig.owner / "order.p7").read_bytes()
        for damaged in (signed[:-1], signed[:40], b"", signed + b"\0", b"\xff" * 50):
            (self.rig.owner / "order.p7").write_bytes(damaged)
            self.order_refused("INPUT", "openssl cms -sign")

    def test_a_signature_with_sha1(self):
        self.rig.sign_order("orders", "-md", "sha1")
        self.order_refused("INPUT", "SHA-256 or stronger")

    def test_pins_that_were_exchanged(self):
        self.rig.make_order_signer("stranger")
        self.rig.sign_order("stranger")
        pins = self.rig.station / "order-signers.pem"
        self.addCleanup(pins.write_bytes, pins.read_bytes())
        shutil.copy(self.rig.owner / "stranger.pem", pins)
        self.order_refused("INTEGRITY", "is not the file that was pinned")
        for command in (("generate", self.rig.job, "--count", 1), ("run", self.rig.job)):
            self.refused("INTEGRITY", "is not the file that was pinned", *command)

    # ---- ports

    def test_no_matching_port(self):
        self.rig.add_device()
        self.rig.write_job(pattern="/dev/ttyNONE*")
        self.refused("NO_PORT", "no port matches", "run", self.rig.job)
        self.refused("NO_PORT", "ports", "devices", self.rig.job)

    def test_devices_lists_what_matches_and_what_does_not(self):
        self.rig.add_device()
        self.rig.add_device()
        self.rig.write_job(pattern="/dev/ttyFACT1")
        shown = self.rig.imprint("devices", self.rig.job).stdout
        self.assertRegex(shown, r"/dev/ttyFACT1 +slot S1 +by rule 1")
        self.assertRegex(shown, r"/dev/ttyFACT2 +not a slot")

    def test_busy_port(self):
        device = self.rig.add_device()
        holder = os.open(device.port, os.O_RDWR | os.O_NOCTTY)
        try:
            import fcntl
            fcntl.flock(holder, fcntl.LOCK_EX)
            self.device_refused("BUSY", "ttyFACT1")
        finally:
            os.close(holder)

    def until_it_waits(self, process):
        while '"wait"' not in (said := process.stdout.readline()):
            self.assertTrue(said)

    def test_second_station_on_the_same_database(self):
        device = self.rig.add_device("--fault", "silent")
        first = self.rig.start_imprint("run", self.rig.job, "--json")
        try:
            self.until_it_waits(first)
            result = self.rig.imprint("seal", check=False)
            self.assertEqual(result.returncode, EXIT["BUSY"])
            self.assertIn("in use", result.stderr)
        finally:
            first.wait(timeout=60)
            first.stdout.close()
        device.stop()

    # ---- devices

    def test_an_interrupt_ends_the_wait_for_a_silent_device(self):
        self.rig.write_job(hello_ms=600000)
        self.rig.add_device("--fault", "silent")
        run = self.rig.start_imprint("run", self.rig.job, "--json")
        self.until_it_waits(run)
        os.killpg(run.pid, signal.SIGINT)
        self.assertIn("stopped before anything was delivered", run.communicate(timeout=120)[0])
        self.assertEqual(run.returncode, EXIT["INTERRUPTED"])

    def test_device_that_is_silent(self):
        self.rig.write_job(hello_ms=700)
        self.rig.add_device("--fault", "silent")
        self.device_refused("TIMEOUT", "check power, cable and firmware")

    def test_device_that_answers_garbage(self):
        self.rig.write_job(hello_ms=700)
        self.rig.add_device("--fault", "garbage")
        self.device_refused("PROTOCOL", "check that this is the right device")

    def test_device_that_answers_too_slowly(self):
        self.rig.write_job(hello_ms=4000, request_ms=150, repeats=1)
        self.rig.add_device("--fault", "slow=400")
        failure = self.device_refused("TIMEOUT", "BEGIN")
        self.assertIn("no answer within 150 ms", failure["text"])

    def test_device_that_is_slow_and_within_its_time(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        rig.add_device("--fault", "slow=700")  # longer than from one HELLO to the next
        self.assertEqual(rig.run_json()[0], 0)

    def test_device_that_disappears(self):
        self.rig.add_device("--fault", "vanish")
        self.device_refused("GONE", "plug it in again")

    def test_device_with_a_wrong_proof(self):
        device = self.rig.add_device("--fault", "wrong-proof")
        self.device_refused("PROOF", "did not prove")
        self.not_whitelisted(device)

    def test_device_that_replays_a_proof(self):
        device = self.rig.add_device("--fault", "replay-proof")
        self.device_refused("PROOF", "did not prove")
        self.not_whitelisted(device)

    def test_device_with_another_certificate(self):
        device = self.rig.add_device("--fault", "other-cert")
        self.device_refused("PROOF", "read back")
        self.not_whitelisted(device)

    def not_whitelisted(self, device):
        self.rig.seal()
        self.assertNotIn(device.chip, [r["chip"] for r in self.rig.records() if r["t"] == "add"])

    def test_device_that_pins_another_authority(self):
        other = self.rig.dir / "other.pub"
        run(pathlib.Path(IMPRINT).parents[1] / "tools/authority/imprint-authority", "new", "--key",
            self.rig.dir / "other.key", "--public", other) if not other.exists() else None
        self.rig.add_device("--authority", str(other), authority=False)
        self.device_refused("REFUSED", "station")

    def test_failures_do_not_stop_the_neighbours(self):
        self.rig.write_job(hello_ms=1500)
        self.rig.add_device("--fault", "silent", number=1, chip="bad1")
        self.rig.add_device("--fault", "garbage", number=2, chip="bad2")
        good = self.rig.add_device(number=3, chip="900d")
        code, slots, _ = self.rig.run_json(check=False)
        self.assertEqual(slots["S3"]["event"], "pass")
        self.assertIn(code, (EXIT["TIMEOUT"], EXIT["PROTOCOL"]))
        self.assertIsNotNone(good.export())


class Duplicates(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=4)

    def tearDown(self):
        self.rig.close()

    def failure(self, slot="S1"):
        code, slots, _ = self.rig.run_json(check=False)
        self.assertEqual(slots[slot]["event"], "fail", slots)
        self.assertEqual(code, EXIT["DUPLICATE"])
        return slots[slot]["text"]

    def test_a_chip_id_that_was_provisioned_is_refused(self):
        first = self.rig.add_device(chip="aa01")
        self.rig.run_json()
        first.stop()
        first.port.unlink(missing_ok=True)
        copy = self.rig.add_device(chip="aa01")
        self.assertIn("was provisioned before as 'PUMP-000001'", self.failure())
        self.assertIsNone(copy.export())
        self.assertEqual(self.rig.order_status()["available"], 3)

    def test_a_serial_that_was_provisioned_is_refused(self):
        first = self.rig.add_device(chip="aa01")
        self.rig.run_json()
        first.stop()
        first.port.unlink(missing_ok=True)
        # A copy of the whole store on a board with another chip.
        shutil.copytree(first.store, self.rig.dir / "devices" / "2")
        self.rig.add_device(chip="aa02")
        text = self.failure()
        self.assertIn("PUMP-000001", text)
        self.assertIn("aa01", text)

    def test_a_device_of_another_station_is_refused_and_not_touched(self):
        other = Rig(credentials=1, order={"lock": False})
        try:
            device = other.add_device(authority=False)
            other.run_json()
            device.stop()
            shutil.copytree(device.store, self.rig.dir / "devices" / "1")
        finally:
            other.close()
        mine = self.rig.add_device(authority=False)
        code, slots, _ = self.rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertIn("this station did not make", slots["S1"]["text"])
        self.assertIsNotNone(mine.export())


class Exhausted(unittest.TestCase):
    def test_the_inventory_runs_out_and_is_filled_again(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        rig.add_device()
        rig.add_device()
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["EXHAUSTED"])
        self.assertEqual(sorted(s["event"] for s in slots.values()), ["fail", "pass"])
        self.assertIn("imprint generate", [s["text"] for s in slots.values() if "text" in s][0])
        rig.imprint("generate", rig.job, "--count", 1)
        self.assertEqual(rig.run_json()[0], 0)
        rig.seal()
        judge.check_all(rig, rig.devices)

    def test_a_run_before_any_generation_says_so(self):
        rig = Rig()
        self.addCleanup(rig.close)
        rig.add_device()
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(slots["S1"]["event"], "fail")
        self.assertIn("imprint generate", slots["S1"]["text"])


class Quota(unittest.TestCase):
    """No more identities than ordered (P5)."""

    def make(self, credentials, **counts):
        rig = Rig(credentials=credentials, order={"counts": counts})
        self.addCleanup(rig.close)
        return rig

    def test_certificates_beyond_the_order_are_not_signed(self):
        rig = self.make(3, good=2, max_issued=4, spoilage=0)
        result = rig.imprint("generate", rig.job, "--count", 2, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("allows this station 4 certificates and 3 are made", result.stderr)
        self.assertEqual(rig.order_status()["generated"], 3)
        rig.imprint("generate", rig.job, "--count", 1)
        result = rig.imprint("generate", rig.job, "--up-to", 5, check=False)
        self.assertEqual((result.returncode, result.stdout), (EXIT["REFUSED"], ""))  # and no "generated 0"

    def test_the_device_after_the_last_ordered_one_gets_nothing_whatever_the_database(self):
        rig = self.make(4, good=2, max_issued=4, spoilage=0)
        shutil.copy(rig.station / "station.db", rig.dir / "old.db")
        devices = [rig.add_device() for _ in range(3)]
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertEqual(sorted(s["event"] for s in slots.values()), ["fail", "pass", "pass"])
        text = [s["text"] for s in slots.values() if s["event"] == "fail"][0]
        self.assertIn("fulfilled: 2 of 2", text)
        self.assertEqual(sum(d.export() is not None for d in devices), 2)
        new = (rig.station / "station.db").read_bytes()
        shutil.copy(rig.dir / "old.db", rig.station / "station.db")
        self.assertEqual(rig.run_json(check=False)[0], EXIT["ROLLBACK"])
        (rig.station / "station.db").write_bytes(new)
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT["REFUSED"])
        self.assertEqual(sorted(s["event"] for s in slots.values()), ["fail", "pass", "pass"])
        self.assertEqual(sum(d.export() is not None for d in devices), 2)
        rig.seal()
        judge.check_all(rig, [d for d in devices if d.export()])

    def test_more_spoiled_credentials_than_allowed_need_a_supervisor(self):
        rig = self.make(4, good=3, max_issued=4, spoilage=1)
        device = rig.add_device("--fault", "vanish")
        for expected in (EXIT["GONE"], EXIT["GONE"], EXIT["REFUSED"]):
            code, slots, _ = rig.run_json(check=False)
            self.assertEqual(code, expected, slots)
            device.stop()
            shutil.rmtree(device.store)
            device.start()
        self.assertIn("spoiled", slots["S1"]["text"])
        status = rig.order_status()
        self.assertEqual((status["burned"], status["unresolved"]), (1, 1))

    def test_nearly_done_is_said_in_time(self):
        rig = self.make(2, good=2, max_issued=40, spoilage=0)
        rig.add_device()
        self.assertNotIn("95%", rig.imprint("run", rig.job).stderr)
        rig.add_device()
        self.assertIn("95% or more of the ordered devices", rig.imprint("run", rig.job).stderr)


class Rollback(unittest.TestCase):
    """Restoring an old database brings nothing back (P5)."""

    def setUp(self):
        self.rig = Rig(credentials=4)
        self.addCleanup(self.rig.close)

    def keep(self, name):
        shutil.copytree(self.rig.station, self.rig.dir / name)

    def put_back(self, name, *parts):
        for part in parts:
            target = self.rig.station / part
            if target.is_dir():
                shutil.rmtree(target)
                shutil.copytree(self.rig.dir / name / part, target)
            else:
                for suffix in ("-wal", "-shm"):
                    pathlib.Path(f"{target}{suffix}").unlink(missing_ok=True)
                shutil.copy(self.rig.dir / name / part, target)

    def test_an_older_database_issues_nothing_and_the_newest_goes_on(self):
        rig = self.rig
        first = rig.add_device()
        self.keep("before")
        rig.run_json()
        self.keep("after")
        first.stop()
        first.port.unlink()
        shutil.rmtree(first.store)
        self.put_back("before", "station.db")
        second = rig.add_device(chip="aa02")
        for command in (("run", rig.job), ("generate", rig.job, "--count", 1), ("seal",)):
            result = rig.imprint(*command, check=False)
            self.assertEqual(result.returncode, EXIT["ROLLBACK"], result.stderr)
            self.assertIn("this database is an old copy", result.stderr)
        self.assertIsNone(second.export())
        self.put_back("after", "station.db")
        self.assertEqual(rig.run_json()[0], 0)
        self.assertEqual((second.export() / "serial").read_text().strip(), "PUMP-000002")

    def test_a_crash_between_commit_and_anchor_recovers_by_itself(self):
        rig = self.rig
        self.keep("before")
        rig.add_device()
        rig.run_json()
        # As if the process had ended before the token wrote: the token is behind the database.
        self.put_back("before", "tokens")
        self.assertEqual(rig.run_json()[0], 0)
        rig.imprint("ledger", "verify")

    def test_another_history_of_the_same_station_is_refused(self):
        rig = self.rig
        self.keep("fork")
        rig.imprint("generate", rig.job, "--count", 1)
        self.keep("ours")
        self.put_back("fork", "station.db", "tokens")
        rig.imprint("generate", rig.job, "--count", 2)
        self.put_back("ours", "tokens")
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["ROLLBACK"], result.stderr)
        self.assertIn("another history", result.stderr)


@unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs and becoming nobody need root")
class Disk(unittest.TestCase):
    def test_a_full_disk_stops_generation_and_loses_nothing(self):
        rig = Rig(station=False)
        self.addCleanup(rig.close)
        small = rig.dir / "small"
        small.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small)
        self.addCleanup(run, "umount", small)
        rig.station = small / "station"
        rig.make_station()
        result = rig.imprint("generate", rig.job, "--count", 100000, check=False)
        self.assertEqual(result.returncode, EXIT["FULL"], result.stderr)
        self.assertIn("free space", result.stderr)
        made = rig.order_status()["generated"]
        self.assertGreater(made, 0)
        self.assertEqual(made % 1000, 0)
        run("mount", "-o", "remount,size=16m", small)
        rig.imprint("generate", rig.job, "--count", 1)
        rig.imprint("ledger", "verify")
        self.assertEqual(rig.order_status()["generated"], made + 1)
        rig.add_device()
        self.assertEqual(rig.run_json()[0], 0)

    def test_a_read_only_database_says_so(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        # The build folder may lie where nobody may not look.
        program = rig.dir / "imprint"
        shutil.copy(IMPRINT, program)
        run("chown", "-R", "nobody:nogroup", rig.dir)
        (rig.dir).chmod(0o755)

        def generate():
            return run(program, "generate", rig.job, "--count", 1, check=False, cwd=rig.dir,
                       env={**os.environ, "IMPRINT_DIR": str(rig.station)}, **nobody)

        self.assertEqual(generate().returncode, 0)
        for path in [rig.station, rig.station / "station.db"]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        result = generate()
        self.assertEqual(result.returncode, EXIT["READONLY"], result.stderr)
        self.assertIn("owner and mode", result.stderr)
        self.assertEqual(rig.order_status()["generated"], 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
