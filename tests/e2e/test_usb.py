"""Devices behind USB bulk interfaces: the real station, libusb and agent; umockdev plays the bus."""
import itertools
import json
import os
import signal
import subprocess
import unittest

import judge
from rig import BUILD, EXIT, IMPRINT, Rig, run

RUN = BUILD / "tests" / "usb" / "usb_run"

RULES = """\
  - usb_path: 1-1
    slot: LEFT
  - usb: 1209:0001
    slot: U{n}
"""


class Usb(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=6)
        self.rig.write_job(ports=RULES)

    def tearDown(self):
        self.rig.close()

    def on_usb(self, ports, *command, check=True):
        """A command of the station on a machine where these are plugged in, from port 1 on."""
        env = self.rig.environment()
        env["LD_PRELOAD"] = os.environ.get("IMPRINT_PRELOAD", "")
        return run("umockdev-wrapper", RUN, *ports, "--", IMPRINT, *command, env=env, check=check)

    def run_json(self, ports):
        result = self.on_usb(ports, "run", self.rig.job, "--json", "--once", check=False)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return result.returncode, {e["slot"]: e for e in events if "slot" in e}, result.stderr

    def test_devices_get_identities_over_usb(self):
        devices = [self.rig.add_device() for _ in range(3)]
        code, slots, said = self.run_json([d.port for d in devices])
        self.assertEqual((code, {k: s["event"] for k, s in slots.items()}),
                         (0, {"LEFT": "pass", "U1": "pass", "U2": "pass"}), (slots, said))
        self.rig.seal()
        self.rig.verify(self.rig.manifests()[0])
        judge.check_all(self.rig, devices)

    def test_a_device_that_is_pulled_out_goes_on_in_another_port(self):
        stays, pulled = self.rig.add_device(), self.rig.add_device("--fault=vanish")
        code, slots, _ = self.run_json([stays.port, pulled.port])
        self.assertEqual((code, slots["LEFT"]["event"], slots["U1"].get("error")),
                         (EXIT["GONE"], "pass", "ERR_GONE"), slots)
        self.assertIn("unplugged", slots["U1"]["text"])
        pulled.stop()
        pulled.options.remove("--fault=vanish")
        pulled.start()
        code, again, _ = self.run_json([pulled.port])
        self.assertEqual((code, again["LEFT"]["event"], again["LEFT"]["serial"]),
                         (0, "pass", slots["U1"]["serial"]))
        self.assertEqual(self.rig.order_status()["proven"], 2)

    def pull_and_put_back(self, points):
        """Devices that are pulled out after so many bytes, and all of them put back once."""
        devices = [self.rig.add_device() for _ in points]
        _, pulled, _ = self.run_json([f"{d.port}@{n}" for d, n in zip(devices, points)])
        code, finished, said = self.run_json([d.port for d in devices])
        self.assertEqual((code, {s["event"] for s in finished.values()}), (0, {"pass"}),
                         (points, finished, said))
        for slot, before in pulled.items():
            self.assertIn((before["event"], before.get("error")),
                          [("pass", None), ("fail", "ERR_GONE")], (points, before))
            self.assertIn(before.get("serial"), (None, finished[slot]["serial"]), points)
        for device in devices:
            device.stop()
        return all(before["event"] == "pass" for before in pulled.values())

    def test_pulled_out_after_any_number_of_bytes_the_identity_is_the_same(self):
        step, at_once, done = (1 if os.environ.get("IMPRINT_SWEEP") == "all" else 131), 6, 0
        self.rig.imprint("generate", self.rig.job, "--count", 10000 // step)
        while not self.pull_and_put_back([done * step + step * n for n in range(1, at_once + 1)]):
            done += at_once
        done += at_once
        print(f"pulled out after every {step} bytes, up to {(done - at_once) * step}")
        status = self.rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]), (done, 0, 0))
        self.rig.seal()
        self.rig.verify(self.rig.manifests()[0])
        judge.check_all(self.rig, self.rig.devices)

    def test_one_that_is_plugged_in_and_silent_fails_and_goes_on_when_it_answers(self):
        """The port is the device: nobody waits for another one to be put in."""
        device = self.rig.add_device()
        self.rig.write_job(ports=RULES, hello_ms=700, more="  retries: 1\n")
        os.kill(device.process.pid, signal.SIGSTOP)
        command = ["umockdev-wrapper", RUN, device.port, "--", IMPRINT, "run", self.rig.job, "--json"]
        env = {**self.rig.environment(), "LD_PRELOAD": os.environ.get("IMPRINT_PRELOAD", "")}
        with subprocess.Popen([str(c) for c in command], env=env, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as line:
            said = (json.loads(text) for text in line.stdout)
            failed = next(e for e in said if e["event"] == "fail")
            self.assertEqual((failed["slot"], failed["error"], failed["action"]),
                             ("LEFT", "ERR_TIMEOUT", "reseat"))
            os.kill(device.process.pid, signal.SIGCONT)
            self.assertEqual([e["event"] for e in itertools.takewhile(lambda e: e["event"] != "deliver", said)
                              if "slot" in e], ["out", "wait", "hello"])
            self.assertEqual(next(e["slot"] for e in said if e["event"] == "pass"), "LEFT")
            line.stdin.write('{"command":"quit"}\n')
            line.stdin.close()
            self.assertEqual(list(said)[-1]["event"], "end")
        self.assertEqual(line.returncode, 0)

    def test_what_is_plugged_in_is_listed_with_its_rule_or_none(self):
        device = self.rig.add_device()
        self.rig.write_job(ports="  - usb_path: 1-2\n    slot: A\n"
                                 "  - usb: 1209:00ff\n    slot: B\n")
        result = self.on_usb([device.port, "tty"], "devices", self.rig.job, "--json")
        listed = [json.loads(line) for line in result.stdout.splitlines()]
        ports = {p["port"]: p for p in listed if p["port"]}
        self.assertEqual({k: (p["slot"], p["rule"], p["usb"], p["usb_path"])
                          for k, p in ports.items()},
                         {"usb:1-1": (None, 0, "1209:0001", "1-1"),
                          "/dev/ttyACM2": ("A", 1, "1209:0001", "1-2")})
        self.assertEqual([p for p in listed if not p["port"]],
                         [{"port": None, "rule": 2, "unused": "usb:1209:00ff"}])
        self.assertEqual(ports["usb:1-1"]["why"], [
            {"rule": 1, "slot": "A", "field": "usb_path", "wants": "1-2", "has": "1-1"},
            {"rule": 2, "slot": "B", "field": "product", "wants": "00ff", "has": "0001"}])
        self.assertEqual(ports["/dev/ttyACM2"]["why"], [])

    def test_what_is_no_slot_says_why_rule_by_rule(self):
        device = self.rig.add_device()
        self.rig.write_job(ports="  - usb: 120a:0001\n    slot: A\n"
                                 "  - usb_path: 1-7.*\n    slot: B\n"
                                 "  - name: /dev/ttyUSB*\n    slot: C{n}\n")
        result = self.on_usb([device.port, "tty"], "devices", self.rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["NO_PORT"])
        lines = result.stdout.splitlines()
        usb = next(i for i, line in enumerate(lines) if line.startswith("usb:1-1 "))
        self.assertIn("not a slot: no rule names it", lines[usb])
        self.assertEqual([line.strip() for line in lines[usb + 1:usb + 4]], [
            "rule 1 (slot A): vendor is 1209, not 120a",
            "rule 2 (slot B): usb_path is 1-1, not 1-7.*",
            "rule 3 (slot C{n}): it has no name, which would be /dev/ttyUSB*"])
        tty = next(i for i, line in enumerate(lines) if line.startswith("/dev/ttyACM2 "))
        self.assertEqual(lines[tty + 3].strip(),
                         "rule 3 (slot C{n}): name is /dev/ttyACM2, not /dev/ttyUSB*")


if __name__ == "__main__":
    unittest.main(verbosity=2)
