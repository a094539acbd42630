"""Every step of every command that writes: killed just before it, run again, and nothing is lost.

A step is a call after which something is durable, or known to another process (tests/crashshim). Each
sweep counts upward until the program was not killed any more. With IMPRINT_SWEEP=all every write is a
step, too, so that transactions are torn, and eight devices are in flight instead of two.
"""
import os
import shutil
import tempfile
import time
import unittest

from invariants import BURNED, REVOKED, SCRAPPED, Station, Watch
from rig import BUILD, EXIT, Rig, SHIM

ALL = os.environ.get("IMPRINT_SWEEP") == "all"
CRASHSHIM = BUILD / "tests/crashshim/crashshim.so"
JOURNAL = "fdatasync,fsync,syncfs,send,sendmsg,rename,unlink"
BY = ("--by", "Ada", "--reason", "a test")
DEVICES = 8 if ALL else 2
STRIDE = 4 if os.environ.get("IMPRINT_SWEEP") == "short" else 1
REFUSED = (0, EXIT["REFUSED"], EXIT["USAGE"], EXIT["INPUT"])  # it may have been done before the kill

if os.access("/dev/shm", os.W_OK):  # nobody cuts the power of this machine: save the disk
    tempfile.tempdir = "/dev/shm"


class Steps(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=DEVICES + 3)
        self.addCleanup(self.rig.close)
        self.numbers = iter(range(1, 1000000))

    def new_devices(self, count):
        """Devices of which nobody knows anything."""
        for device in self.rig.devices:
            device.stop()
            device.port.unlink(missing_ok=True)
        self.rig.devices.clear()
        for _ in range(count):
            self.rig.add_device(number=next(self.numbers))

    def keep(self):
        """The station as it is now is what every trial begins with."""
        shutil.rmtree(self.rig.dir / "kept", ignore_errors=True)
        shutil.copytree(self.rig.station, self.rig.dir / "kept")

    def put_back(self):
        shutil.rmtree(self.rig.station)
        shutil.copytree(self.rig.dir / "kept", self.rig.station)

    def killed(self, command, program, calls, at):
        """The command with one kill; the call that it was killed before, or None."""
        log = self.rig.dir / "killed"
        log.unlink(missing_ok=True)
        env = self.rig.environment()
        env.update(CRASHSHIM_PROGRAM=program, CRASHSHIM_AT=str(at), CRASHSHIM_LOG=str(log),
                   LD_PRELOAD=" ".join(filter(None, [os.environ.get("IMPRINT_PRELOAD"),
                                                     str(CRASHSHIM), str(SHIM)])))
        if calls:
            env["CRASHSHIM_CALLS"] = calls
        process = self.rig.start_imprint(*command, env=env)
        said = process.communicate(timeout=120)[0]
        if log.exists():
            return log.read_text().strip()
        if process.returncode and program != "imprint":  # a confined one leaves no word
            return "a call"
        self.assertEqual(process.returncode, 0, said)
        return None

    def sweep(self, command, verify, program="imprint", calls=None if ALL else JOURNAL, devices=0,
              again=(0,)):
        """Kills the command before call 1, 2, 3, ..., or every so manieth; each time it is run again, and ends as it may."""
        self.keep()
        at, names = 1, {}
        while True:
            self.put_back()
            if devices:
                self.new_devices(devices)
            watch = Watch(self.rig)
            name = self.killed(command, program, calls, at)
            after = f"'{command[0]}' of {program} was killed before call {at}, {name}"
            watch.check(after)
            if not name:
                break
            second = self.run_again(command)
            self.assertIn(second.returncode, again, f"{after}: {second.stderr}")
            watch.check(f"{after}, and was run again")
            verify(after)
            watch.finish()
            names[name] = names.get(name, 0) + 1
            at += STRIDE
        print(f"{command[0]}, {program}: killed before each {'' if STRIDE == 1 else f'{STRIDE}. '}of "
              f"{at - 1} calls: "
              f"{', '.join(f'{n} {names[n]}' for n in sorted(names))}", flush=True)
        self.assertGreater(at, 4)

    def run_again(self, command):
        """A pseudo-terminal stays exclusive for a moment after the line was killed; a port would not."""
        for _ in range(20):
            result = self.rig.imprint(*command, check=False)
            if result.returncode != EXIT["BUSY"]:
                break
            time.sleep(0.2)
        return result

    def all_passed(self, after):
        status = self.rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]),
                         (DEVICES, 0, 0), after)

    def in_state(self, serial, state):
        def verify(after):
            station = Station(self.rig.station / "station.db")
            self.assertEqual({c.serial: c.state for c in station.credentials}[serial], state, after)
        return verify

    def provision(self):
        """Devices that passed, and one that was lost on the way; the serial of each."""
        self.new_devices(DEVICES)
        self.rig.run_json()
        self.rig.add_device("--fault", "vanish", number=next(self.numbers))
        self.rig.run_json(check=False)
        station = Station(self.rig.station / "station.db")
        serials = {c.id: c.serial for c in station.credentials}
        return [serials[claim.credential] for state in (1, 0) for claim in station.claims
                if claim.state == state]

    def test_run(self):
        self.sweep(("run", self.rig.job), self.all_passed, devices=DEVICES)

    def test_run_when_the_line_is_killed(self):
        self.sweep(("run", self.rig.job), self.all_passed, program="imprint-line",
                   calls="send,sendmsg,write", devices=DEVICES)

    def test_generate(self):
        def enough(after):
            self.assertEqual(self.rig.order_status()["generated"], DEVICES + 13, after)
        self.sweep(("generate", self.rig.job, "--up-to", DEVICES + 13, "--quiet"), enough)

    def test_seal(self):
        def one_manifest(after):
            self.assertEqual([m.name for m in self.rig.manifests()], ["000001"], after)
        self.provision()
        self.sweep(("seal",), one_manifest)

    def test_seal_with_two_signatures(self):
        def two_signatures(after):
            folder, = self.rig.manifests()
            self.assertTrue((folder / "manifest.json.ecdsa-p384.p7s").exists(), after)
        self.rig.imprint("rotate", "second-key", "--algorithm", "ecdsa-p384", *BY)
        self.provision()
        self.sweep(("seal",), two_signatures)

    def test_rotate_second_key(self):
        def made(after):
            self.rig.imprint("audit")
            self.rig.imprint("void", "PUMP-000001", *BY)
            self.rig.imprint("seal")
            folder, = self.rig.manifests()
            self.assertTrue((folder / "manifest.json.ecdsa-p384.p7s").exists(), after)
        self.sweep(("rotate", "second-key", "--algorithm", "ecdsa-p384", *BY), made)

    def test_a_key_is_on_disk_before_the_ledger_tells_of_it(self):
        """The first sync is that of the start; what the next one is for is not told yet."""
        self.keep()
        for key in (("log-key",), ("manifest-key",), ("second-key", "--algorithm", "ecdsa-p384")):
            name = self.killed(("rotate", *key, *BY), "imprint", "syncfs", 2)
            self.assertEqual(name, "syncfs")
            told = self.rig.imprint("ledger", "show", "--event", "rotated").stdout
            self.assertEqual(told, "", key)
            self.put_back()

    def test_void(self):
        passed, *_, lost = self.provision()
        spare = f"PUMP-{DEVICES + 3:06}"
        for serial, state, more in ((spare, SCRAPPED, ()), (lost, BURNED, ("--lost",)),
                                    (passed, REVOKED, ())):
            self.sweep(("void", serial, *more, *BY), self.in_state(serial, state), again=REFUSED)

    def test_order_close(self):
        def closed(after):
            self.assertEqual(self.rig.order_status()["state"], "closed", after)
        *_, lost = self.provision()
        self.rig.imprint("void", lost, "--lost", *BY)
        self.sweep(("order", "close", "E2E-1", *BY), closed, again=REFUSED)


if __name__ == "__main__":
    unittest.main(verbosity=2)
