"""The judge: our agent passes every case, and each agent that is broken on purpose fails the right ones."""
import os
import pathlib
import pty
import socket
import subprocess
import time
import tty
import unittest
import zlib

import cbor2
import cddl
from conform_rig import BUILD, IMPRINT, Bench, run
from mutants import HANGS, MUTANTS
from rig import TerminalServer

EXIT = {"USAGE": 2, "INPUT": 3, "MISSING": 7, "TIMEOUT": 18, "GONE": 19, "PROTOCOL": 20, "REFUSED": 21}
HERE = BUILD / "tests/conform"


class Conform(unittest.TestCase):
    def setUp(self):
        self.bench = Bench()
        self.addCleanup(self.bench.close)

    def enrol(self):
        """Options of a device with an enrolment key that its vendor certified."""
        key, cert = self.bench.dir / "chip.key", self.bench.dir / "chip.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", "/CN=chip", "-keyout", key, "-out", cert)
        return "--enrol-key", key, "--enrol-chain", cert

    def plug_in_silence(self):
        """A port behind which nobody answers."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.bench.port.symlink_to(os.ttyname(slave))
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)


class OurAgent(Conform):
    def check(self, verdicts, skipped, left="blank"):
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0), verdicts.stderr)
        self.assertEqual(verdicts.of("skip"), skipped)
        self.assertEqual(verdicts.end["passed"], len(verdicts.of("pass")))
        self.assertEqual(verdicts.end["left"], left)

    def test_it_passes_every_case(self):
        verdicts = self.bench.simulate(*self.enrol()).everything()
        self.check(verdicts, {"keygen-absent"})
        self.assertGreater(len(verdicts.of("pass")), 120)

    def test_it_passes_without_attestation_and_without_a_pinned_authority(self):
        verdicts = self.bench.simulate(pinned=False).everything(certified=False)
        self.check(verdicts, {"keygen-absent", "attestation", "chain", "keygen-attestation", "stranger"})

    def test_with_keys_from_an_hsm_only_it_passes_what_it_claims(self):
        verdicts = self.bench.simulate(program=HERE / "device-hsm-only").everything()
        skipped = verdicts.of("skip")
        self.check(verdicts, skipped, left="locked")
        self.assertIn("keygen-absent", verdicts.of("pass"))
        for case in ("device-key", "derived-suite-1", "decommission", "configuration"):
            self.assertIn(case, skipped)
        for case in ("hsm-suite-1", "hsm-suite-2", "lock", "locked-restart"):
            self.assertIn(case, verdicts.of("pass"))

    def test_a_station_with_its_own_key_and_certificate_judges_too(self):
        owner, station = self.bench.dir, self.bench.dir / "station.key"
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", station)
        point = subprocess.run(["openssl", "ec", "-in", station, "-pubout", "-outform", "DER"],
                               capture_output=True, check=True).stdout[-65:]
        (owner / "station.pub").write_text(f"p256 {point.hex()}\n")
        run(BUILD / "tools/authority/imprint-authority", "certify", "--key", self.bench.key,
            "--station-key", owner / "station.pub", "--station", "bench", "--environment", "trial",
            "--out", owner / "station.cert")
        self.bench.simulate()
        options = ("--station-key", station, "--station-cert", owner / "station.cert")
        verdicts = self.bench.conform(*options, "--case", "begin,station-environment,hsm-suite-2",
                                      certified=False)
        self.check(verdicts, set())
        verdicts = self.bench.conform(*options[:2], certified=False)
        self.assertEqual(verdicts.code, EXIT["USAGE"])
        verdicts = self.bench.conform("--station-key", self.bench.key, *options[2:], certified=False)
        self.assertEqual(verdicts.code, EXIT["INPUT"])


    def test_it_passes_behind_a_socket(self):
        self.bench.simulate()
        address = self.bench.dir / "socket"
        server = TerminalServer(self.bench, socket.AF_UNIX, str(address))
        self.addCleanup(server.close)
        verdicts = self.bench.conform(port=f"unix:{address}", shim=False)
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0), verdicts.stderr)
        self.assertGreater(len(verdicts.of("pass")), 100)
        address.unlink()
        self.assertEqual(self.bench.conform(port=f"unix:{address}", shim=False).code, EXIT["MISSING"])


def read_frame(wire):
    """(message, payload) of a frame as it crossed the link, by section 2 of the page."""
    assert wire[0] == wire[-1] == 0, wire.hex()
    stuffed, frame = wire[1:-1], b""
    while stuffed:
        code, stuffed = stuffed[0], stuffed[1:]
        frame += stuffed[:code - 1]
        stuffed = stuffed[code - 1:]
        if code < 255 and stuffed:
            frame += b"\0"
    assert zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "big") and frame[0] == 1, wire.hex()
    return frame[1], frame[4:-4]


def is_frame(wire):
    return (wire[:2], wire[-2:], bytes.fromhex(wire).count(0)) == ("00", "00", 2)


class Specified(Conform):
    """Every message is as the CDDL of docs/device-link.md writes it down, read by other software than ours."""

    EMPTY = {"lock", "abort", "decommission"}

    def check(self, rules, rule, wire):
        payload = read_frame(bytes.fromhex(wire))[1]
        value = cbor2.loads(payload)
        self.assertIsNone(cddl.check(rules, rule, value), (rule, wire))
        self.assertEqual(cbor2.dumps(value, canonical=True), payload, rule)

    def test_every_message_is_what_the_page_says(self):
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs/device-link.md").read_text()
        rules = cddl.rules_of(page)
        verdicts = self.bench.simulate(*self.enrol()).everything("--hex")
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0), verdicts.stderr)
        seen = set()
        for exchange in (e for case in verdicts.cases.values() for e in case["exchanges"]):
            if exchange["status"] is None or not is_frame(exchange["sent"]):
                continue  # noise, or several frames before one was answered
            name = exchange["request"].lower()
            if exchange["status"]:
                self.check(rules, "failed-reply", exchange["came"])
                continue
            seen.add(name)
            self.check(rules, name, exchange["sent"])
            self.check(rules, "empty-reply" if name in self.EMPTY else f"{name}-reply", exchange["came"])
        self.assertEqual(seen, {"hello", "keygen", "begin", "put", "commit", "prove", "read", "lock", "abort",
                                "decommission"})


class WhatIsAllowed(Conform):
    def test_a_device_that_pins_an_authority_is_judged_as_far_as_can_be(self):
        verdicts = self.bench.simulate().conform(certified=False)
        self.assertEqual((verdicts.failures(), verdicts.code), ("", EXIT["REFUSED"]))
        self.assertLessEqual({"crc", "cbor-cut", "facts", "stranger", "abort-key"}, verdicts.of("pass"))
        for case in ("begin", "hsm-suite-2", "keygen", "decommission"):
            self.assertIn("--authority-key", verdicts.cases[case]["found"])

    def test_another_authority_than_the_pinned_one_is_told_once(self):
        self.bench.simulate()
        other = Bench()
        self.addCleanup(other.close)
        verdicts = self.bench.conform("--authority-key", other.key, certified=False)
        self.assertEqual((verdicts.of("fail"), verdicts.code), ({"begin"}, EXIT["PROTOCOL"]))
        self.assertIn("another authority", verdicts.cases["begin"]["found"])
        self.assertIn("case 'begin'", verdicts.cases["hsm-suite-2"]["found"])

    def test_lock_and_restart_only_when_asked_for(self):
        verdicts = self.bench.simulate(program=HERE / "device-hsm-only").conform()
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0))
        self.assertIn("--lock", verdicts.cases["lock"]["found"])
        self.assertIn("--restart", verdicts.cases["restart-key"]["found"])
        self.assertEqual(verdicts.end["left"], "identity")

    def test_an_identity_is_kept_unless_it_may_be_replaced(self):
        self.bench.simulate(program=HERE / "device-hsm-only")
        self.assertEqual(self.bench.conform("--case", "hsm-suite-2").code, 0)
        slots = [self.bench.dir / "store" / name for name in ("slot-a", "slot-b")]
        before = [slot.read_bytes() for slot in slots]
        verdicts = self.bench.everything()
        self.assertEqual((verdicts.failures(), verdicts.code), ("", EXIT["REFUSED"]))
        self.assertEqual((verdicts.device["state"], verdicts.end["left"]), ("identity", "identity"))
        self.assertLessEqual({"crc", "cbor-cut", "facts"}, verdicts.of("pass"))
        self.assertIn("--replace", verdicts.cases["lock"]["found"])
        self.assertEqual([slot.read_bytes() for slot in slots], before)
        verdicts = self.bench.conform("--replace")
        self.assertEqual((verdicts.failures(), verdicts.code), ("", 0))
        self.assertNotEqual([slot.read_bytes() for slot in slots], before)

    def test_nothing_changes_a_device_that_is_locked(self):
        self.bench.simulate(program=HERE / "device-hsm-only")
        self.assertEqual(self.bench.conform("--case", "lock", "--lock").end["left"], "locked")
        verdicts = self.bench.conform("--replace", "--lock")
        self.assertEqual((verdicts.failures(), verdicts.code), ("", EXIT["REFUSED"]))
        self.assertIn("locked", verdicts.cases["begin"]["found"])
        self.assertLessEqual({"crc", "transport-key"}, verdicts.of("pass"))


class WhatIsSaid(Conform):
    def words(self, *options):
        return run(IMPRINT, "conform", *options, env=self.bench.environment(), check=False)

    def test_every_case_says_section_requirement_and_bytes(self):
        verdicts = self.bench.simulate().conform("--case", "crc,put-repeat")
        case = verdicts.cases["put-repeat"]
        self.assertEqual((case["section"], case["result"]), ("5", "pass"))
        self.assertIn("put again", case["requires"])
        self.assertEqual([(e["request"], e["status"]) for e in case["exchanges"]],
                         [("BEGIN", 0), ("PUT", 0), ("PUT", 0), ("PUT", 0)])
        for exchange in case["exchanges"]:
            for direction in ("sent", "came"):
                wire = bytes.fromhex(exchange[direction])
                self.assertEqual((wire[0], wire[-1], wire.count(0)), (0, 0, 2))

    def test_a_failure_shows_what_was_sent_and_what_came(self):
        self.bench.simulate(program=HERE / "device-put-other-bytes")
        result = self.words("/dev/ttyFACT1", "--authority-key", self.bench.key, "--case",
                            "put-repeat,put-other-bytes")
        self.assertEqual(result.returncode, EXIT["PROTOCOL"])
        passed, failed = result.stdout.index("pass  5"), result.stdout.index("FAIL  5")
        self.assertNotIn("sent", result.stdout[passed:failed])
        self.assertRegex(result.stdout[failed:], r"it was not refused; BUNDLE was to be answered")
        self.assertRegex(result.stdout[failed:], r"sent PUT +00[0-9a-f]+00\n +came +00[0-9a-f]+00\n")
        self.assertIn("1 passed, 1 failed, 0 skipped", result.stdout)
        self.assertIn("1 of 2 cases failed", result.stderr)

    def test_hex_shows_the_bytes_of_what_passed(self):
        self.bench.simulate()
        result = self.words("/dev/ttyFACT1", "--case", "facts", "--hex")
        self.assertRegex(result.stdout, r"pass  3  facts .*\n +sent HELLO +00[0-9a-f]+00\n +came +00")

    def test_what_cannot_be_judged_has_an_exit_status_of_its_own(self):
        self.assertEqual(self.bench.conform().code, EXIT["MISSING"])
        self.plug_in_silence()
        verdicts = self.bench.conform("--timeout", "50")
        self.assertEqual((verdicts.code, verdicts.error["error"]), (EXIT["TIMEOUT"], "ERR_TIMEOUT"))
        self.bench.port.unlink()
        self.bench.simulate()
        self.assertEqual(self.bench.conform("--case", "crc,nothing").code, EXIT["USAGE"])
        self.assertEqual(self.words().returncode, EXIT["USAGE"])
        self.assertEqual(self.bench.conform("--restart", "exit 3", "--case", "restart-key").code, 4)

    def test_a_device_that_vanishes_ends_the_run(self):
        verdicts = self.bench.simulate("--fault", "vanish").conform()
        self.assertEqual(verdicts.code, EXIT["GONE"], verdicts.stderr)


class Dishonest(Conform):
    """Devices whose answers are changed on the way out, by the simulator and not by the agent."""

    def test_what_a_device_does_not_do_it_does_not_pass(self):
        for fault, expected in (("wrong-proof", {"hsm-suite-2", "device-key", "prove"}),
                                ("replay-proof", {"hsm-suite-2", "prove"}),
                                ("other-cert", {"hsm-suite-2", "device-key"}),
                                ("old-key", {"abort-key"}), ("downgrade", {"begin"}),
                                ("fake-commit", {"hsm-suite-2", "commit-hash", "commit-early"}),
                                ("fake-lock", {"lock", "locked-abort"})):
            with self.subTest(fault=fault):
                bench = Bench()
                try:
                    verdicts = bench.simulate("--fault", fault).conform("--lock")
                finally:
                    bench.close()
                self.assertEqual(verdicts.code, EXIT["PROTOCOL"], verdicts.stderr)
                self.assertLessEqual(expected, verdicts.of("fail"))

    def test_a_device_that_cannot_be_understood_is_told(self):
        self.bench.simulate("--fault", "garbage")
        self.assertEqual(self.bench.conform("--timeout", "1000").code, EXIT["PROTOCOL"])

    def test_a_device_that_claims_an_identity_is_left_alone(self):
        self.bench.simulate("--fault", "clone-tx=" + 32 * "0")
        verdicts = self.bench.conform()
        self.assertEqual((verdicts.code, verdicts.end["left"]), (EXIT["REFUSED"], "identity"))


class Confined(Conform):
    def find_judge(self, parent):
        """The process id of the judge, once it waits for the device; None before."""
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
        for pid in children.read_text().split():
            status = dict(line.split(":\t", 1) for line in
                          pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            if status["Name"] == "imprint-conform" and status["Seccomp"] == "2":
                return status
        return None

    def test_who_parses_the_device_can_open_and_start_nothing(self):
        self.plug_in_silence()
        process = subprocess.Popen(
            [IMPRINT, "conform", "/dev/ttyFACT1", "--authority-key", self.bench.key, "--timeout", "600000"],
            env=self.bench.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 60
        while not (judge := self.find_judge(process.pid)):
            self.assertLess(time.monotonic(), deadline, "the judge is not confined")
            time.sleep(0.05)
        self.assertEqual((judge["NoNewPrivs"], int(judge["CapEff"], 16)), ("1", 0))


class Broken(Conform):
    """Each mutant fails the cases that are about it, and no other."""

    def judge(self, name, *options):
        bench = Bench()
        try:
            return bench.simulate(*self.enrol(), program=HERE / f"device-{name}").everything(*options)
        finally:
            bench.close()

    def test_each_broken_agent_fails_the_right_cases(self):
        self.assertGreaterEqual(len(MUTANTS), 20)
        for name, (_, _, _, expected) in MUTANTS.items():
            if name == HANGS:
                continue
            with self.subTest(mutant=name):
                verdicts = self.judge(name)
                self.assertEqual(verdicts.of("fail"), expected, verdicts.failures())
                self.assertEqual(verdicts.code, EXIT["PROTOCOL"] if expected else 0)

    def test_a_device_that_hangs_fails_the_case_that_brought_it_down(self):
        verdicts = self.judge(HANGS, "--timeout", "3000")
        self.assertEqual((verdicts.of("fail"), verdicts.code), (MUTANTS[HANGS][3], EXIT["TIMEOUT"]))
        self.assertIn("no answer", verdicts.cases["abort-format"]["found"])
        self.assertNotIn("begin-repeat", verdicts.cases)


if __name__ == "__main__":
    unittest.main(verbosity=2)
