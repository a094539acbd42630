"""Slots in fixtures: lids, lamps, power, and a sequencer that starts, aborts and reads results."""
import os
import subprocess
import threading
import time
import unittest

from rig import BUILD, EXIT, Line, Rig
from test_line import Fixture as Socket

GPIO = BUILD / "station/imprint-gpio"
GPIO_SHIM = BUILD / "tests/gpioshim/gpioshim.so"
SIMULATOR = BUILD / "tools/fixture/imprint-fixture-sim"


class Simulator:
    """The simulated fixture, a process of its own; what the station told it, line by line."""

    def __init__(self, where, *slots):
        self.process = subprocess.Popen([str(SIMULATOR), where, *slots], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.lines, self.changed, self.at = [], threading.Condition(), 0
        self.where = self.process.stdout.readline().removeprefix("ready ").strip()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for text in self.process.stdout:
            with self.changed:
                self.lines.append(text.strip().removeprefix("< "))
                self.changed.notify_all()

    def do(self, *commands):
        for command in commands:
            self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def told(self, *lines, seconds=60):
        """Waits for these lines, in this order, after those of the last call; others may be between."""
        deadline = time.monotonic() + seconds
        with self.changed:
            for line in lines:
                while line not in self.lines[self.at:]:
                    if not self.changed.wait(max(0.0, deadline - time.monotonic())):
                        raise AssertionError(f"'{line}' did not come: {self.lines[-20:]}")
                self.at = self.lines.index(line, self.at) + 1

    def since(self, mark):
        with self.changed:
            return self.lines[mark:]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(timeout=10)
        self.process.stdin.close()
        self.process.stdout.close()


class FixtureCase(unittest.TestCase):
    def make(self, where="tcp:0", of="lid: true", slots=1, credentials=4, more="", held=("S1",), **job):
        """A station with slots S1, S2, ... on sockets, those of held in a simulated fixture."""
        self.rig = Rig(credentials=credentials)
        self.addCleanup(self.rig.close)
        if where.startswith("pty:"):
            where = f"pty:{self.rig.dir}/ports/ttyNEST0"
        self.sim = Simulator(where, *held)
        self.addCleanup(self.sim.close)
        port = "/dev/ttyNEST0" if where.startswith("pty:") else self.sim.where
        self.configure(port, of, held)
        self.sockets = [Socket(self.rig, f"s{n}") for n in range(1, slots + 1)]
        for s in self.sockets:
            self.addCleanup(self.close, s)
        self.rig.write_job(ports="".join(f"  - unix: {s.path}\n    slot: S{n}\n"
                                         for n, s in enumerate(self.sockets, 1)), more=more, **job)

    def configure(self, port, of, held):
        config = self.rig.station / "station.yaml"
        config.write_text(config.read_text() + "fixtures:\n  - name: nest\n    port: " + port +
                          f"\n    slots: [{', '.join(held)}]\n" +
                          "".join(f"    {member}\n" for member in of.split(", ")))

    def start(self):
        self.line = Line(self.rig)
        self.addCleanup(self.line.close)
        self.line.wait(lambda l: l.count("state"))

    @staticmethod
    def close(s):
        s.hang_up = True
        s.close()

    def put_in(self, slot=1, device=None):
        device = device or self.rig.add_device()
        self.sockets[slot - 1].put_in(device)
        return device

    def notice(self, text):
        self.line.wait(lambda l: [e for e in l.events if e.get("event") == "notice" and text in e["text"]])


class Lids(FixtureCase):
    def run_with(self, where):
        self.make(where)
        device = self.put_in()
        self.start()
        self.line.wait_state("S1", "hold", hold="lid")
        self.sim.told("FIXTURE 1", "LAMP S1 BLUE")
        self.assertEqual(device.capture.stat().st_size if device.capture.exists() else 0, 0)
        self.sim.do("close S1")
        serial = self.line.wait_state("S1", "pass")["serial"]
        self.sim.told("LAMP S1 YELLOW", "BUSY S1", "LAMP S1 GREEN", "BUZZER S1 GOOD",
                      f"OK S1 {serial} NEW")
        self.assertEqual(self.line.quit()[0], 0)
        self.sim.told("LAMP S1 OFF", "gone")
        self.rig.seal()
        self.assertEqual([r["sn"] for r in self.rig.records()], [serial])

    def test_over_tcp(self):
        self.run_with("tcp:0")

    def test_over_a_serial_port(self):
        self.run_with("pty:")

    def test_a_lid_that_is_opened_in_the_middle(self):
        """As an unplug: what was begun ends at once, and goes on with the same credential."""
        self.make()
        device = self.put_in(device=self.rig.add_device("--fault=slow=300"))
        self.sim.do("close S1")
        self.start()
        self.line.wait_state("S1", "deliver")
        serial = self.line.states["S1"]["serial"]
        self.sim.do("open S1")
        failed = self.line.wait_state("S1", "fail")
        self.assertEqual((failed["error"], failed["action"]), ("ERR_INTERRUPTED", "reseat"))
        self.assertIn("the lid was opened", failed["text"])
        self.sim.told("NG S1 ERR_INTERRUPTED reseat")
        device.stop()
        device.options.remove("--fault=slow=300")
        self.sockets[0].take_out()
        device.start()
        self.put_in(device=device)
        self.sim.do("close S1")
        passed = self.line.wait_state("S1", "pass")
        self.assertEqual(passed["serial"], serial)
        self.line.quit()
        self.assertEqual(self.rig.order_status()["proven"], 1)
        self.assertEqual(self.rig.order_status()["burned"], 0)

    def test_a_held_line_ends_and_the_fixture_is_told(self):
        self.make()
        self.start()
        self.line.wait_state("S1", "hold", hold="lid")
        code, end = self.line.quit()
        self.assertEqual((code, end["reason"]), (0, "quit"))
        self.sim.told("LAMP S1 OFF", "gone")

    def test_once(self):
        self.make()
        self.put_in()
        self.sim.do("close S1")
        code, slots, _ = self.rig.run_json()
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"))

    def test_a_fixture_that_hangs_holds_its_own_slots_alone(self):
        self.make(slots=2, held=("S1",))
        self.sim.do("close S1")
        self.start()
        self.line.wait_state("S1", "wait")
        self.sim.do("mute")
        self.line.wait_state("S1", "hold", hold="fixture")
        self.put_in(1)
        self.put_in(2)
        self.line.wait_state("S2", "pass")
        self.assertEqual(self.line.states["S1"]["event"], "hold")
        self.notice("fixture 'nest': it does not answer")
        self.sim.do("speak")
        self.line.wait_state("S1", "pass")

    def test_what_is_no_line_of_a_fixture(self):
        """Whatever it sends, its slots are held and the others go on; it is spoken to anew."""
        self.make(slots=2, held=("S1",))
        self.sim.do("close S1")
        self.start()
        self.line.wait_state("S1", "wait")
        for raw, text in (("LID S1 closed", "no fixture protocol"), ("x" * 300, "longer than"),
                          ("\n".join(["raw PONG"] * 400).removeprefix("raw "), "lines a second")):
            before = self.line.count("wait", "S1")
            self.sim.do("raw " + raw)
            self.notice(text)
            self.line.wait(lambda l: l.count("wait", "S1") > before)
        self.sim.do("raw LID S2 CLOSED")
        self.sim.told("NO LID S2 SLOT")
        self.put_in(1)
        self.put_in(2)
        self.line.wait_state("S1", "pass")
        self.line.wait_state("S2", "pass")


class Power(FixtureCase):
    def test_off_while_the_lid_is_open_and_between_attempts(self):
        self.make(of="lid: true, power: 50", more="  retries: 1\n", request_ms=200, repeats=0)
        self.start()
        self.sim.told("POWER S1 OFF")
        self.sim.do("close S1")
        self.sim.told("POWER S1 ON")
        self.line.wait_state("S1", "wait")
        self.put_in(device=self.rig.add_device("--fault=slow=400"))
        self.line.wait_state("S1", "fail")
        self.sim.told("POWER S1 OFF", "POWER S1 ON", "NG S1 ERR_TIMEOUT reseat")
        self.assertEqual(self.line.count("retry"), 1)
        self.line.quit()
        self.sim.told("POWER S1 OFF", "gone")


class Sequencer(FixtureCase):
    def test_it_starts_aborts_and_reads_the_result(self):
        self.make(of="lid: true, start: true", hello_ms=1500)
        self.put_in()
        self.start()
        self.sim.told("IDLE S1")
        self.line.wait_state("S1", "hold", hold="lid")
        self.sim.do("start S1")
        self.sim.told("NO START S1 LID")
        self.sim.do("close S1")
        self.line.wait_state("S1", "hold", hold="start")
        self.sim.do("abort S1")
        self.sim.told("NO ABORT S1 IDLE")
        self.sim.do("start S1")
        self.sim.told("BUSY S1")
        serial = self.line.wait_state("S1", "pass")["serial"]
        self.sim.told(f"OK S1 {serial} NEW")
        self.sim.do("result S1")
        self.sim.told(f"OK S1 {serial} NEW")
        self.sim.do("start S1")
        self.sim.told("BUSY S1", f"OK S1 {serial} AGAIN")
        self.sockets[0].take_out()
        self.line.wait_state("S1", "hold", hold="start")
        self.sim.told("IDLE S1")
        self.sim.do("start S1")
        self.sim.told("BUSY S1", "NG S1 ERR_TIMEOUT reseat")
        self.line.quit()

    def test_an_abort_and_another_start(self):
        self.make(of="start: true", hello_ms=20000)
        self.start()
        self.line.wait_state("S1", "hold", hold="start")
        self.sim.do("start S1")
        self.sim.told("BUSY S1")
        self.sim.do("start S1")
        self.sim.told("NO START S1 BUSY")
        self.sim.do("abort S1")
        self.sim.told("IDLE S1")
        device = self.put_in(device=self.rig.add_device("--fault=slow=300"))
        self.sim.do("start S1")
        serial = self.line.wait_state("S1", "deliver")["serial"]
        self.sim.do("abort S1")
        self.sim.told("NG S1 ERR_INTERRUPTED again")
        device.stop()
        device.options.remove("--fault=slow=300")
        self.sockets[0].take_out()
        device.start()
        self.put_in(device=device)
        self.sim.do("start S1")
        self.sim.told(f"OK S1 {serial} NEW")


@unittest.skipUnless(GPIO.exists(), "built without libgpiod")
class Gpio(FixtureCase):
    """imprint-gpio with files for lines, in the place of libgpiod's."""
    ROLES = {"lid": 1, "start": 2, "abort": 3, "power": 4, "white": 5, "yellow": 6, "blue": 7, "green": 8,
             "red": 9, "buzzer": 10}

    def level(self, role, value=None):
        path = self.rig.dir / "lines" / str(self.ROLES[role])
        if value is not None:
            path.write_text(str(value))
        return int(path.read_text() or 0)

    def until(self, **levels):
        deadline = time.monotonic() + 60
        while any(self.level(role) != level for role, level in levels.items()):
            self.assertLess(time.monotonic(), deadline, levels)
            time.sleep(0.01)

    def run_gpio(self, *arguments, **options):
        env = dict(os.environ, GPIOSHIM_DIR=str(self.rig.dir / "lines"), LD_PRELOAD=str(GPIO_SHIM))
        return subprocess.Popen([str(GPIO), *arguments], env=env, **options)

    def make_lines(self):
        (self.rig.dir / "lines").mkdir()
        for line in self.ROLES.values():
            (self.rig.dir / "lines" / str(line)).write_text("0")
        self.level("power", 1)  # low is on: off at first
        self.level("red", 1)

    def test_a_shift_with_lid_button_and_lamps(self):
        self.rig = Rig(credentials=2)
        self.addCleanup(self.rig.close)
        self.make_lines()
        path = self.rig.dir / "gpio.sock"
        wiring = "S1:" + ",".join(f"{role}={'!' * (role in ('power', 'red'))}{line}"
                                  for role, line in self.ROLES.items())
        gpio = self.run_gpio(str(path), "gpiochip0", wiring)
        self.addCleanup(lambda: (gpio.kill(), gpio.wait()))
        self.configure(f"unix:{path}", "lid: true, start: true, power: 20", ("S1",))
        self.sockets = [Socket(self.rig, "s1")]
        self.addCleanup(self.close, self.sockets[0])
        self.rig.write_job(ports=f"  - unix: {self.sockets[0].path}\n    slot: S1\n")
        self.put_in()
        self.start()
        self.line.wait_state("S1", "hold", hold="lid")
        self.until(blue=1, power=1)
        self.level("lid", 1)
        self.line.wait_state("S1", "hold", hold="start")
        self.until(blue=0, power=0)
        self.level("start", 1)
        self.line.wait_state("S1", "pass")
        self.until(green=1, yellow=0, buzzer=0, red=1)
        self.level("lid", 0)
        self.until(power=1)
        self.line.quit()
        self.until(green=0, power=1, white=0)
        gpio.terminate()
        self.assertEqual(gpio.wait(60), 0)

    def test_mistakes(self):
        self.rig = Rig(station=False)
        self.addCleanup(self.rig.close)
        self.make_lines()
        for arguments, code, said in (
                (("gpiochip0", "S1:lid"), "USAGE", "is not ROLE=LINE"),
                (("gpiochip0", "S1:lamp=3"), "USAGE", "no role"),
                (("gpiochip0", "S1:lid=1,lid=2"), "USAGE", "twice"),
                (("gpiochip0", "lid=1"), "USAGE", "is not SLOT:"),
                (("gpiochip0", "S1:lid=1,start=1"), "BUSY", "cannot use line 1"),
                (("gpiochip0", "S1:lid=60"), None, "no line 60"),
                (("gpiochip7", "S1:lid=1"), "MISSING", "cannot open")):
            gpio = self.run_gpio(str(self.rig.dir / "x.sock"), *arguments, stderr=subprocess.PIPE, text=True)
            stderr = gpio.communicate(timeout=60)[1]
            self.assertIn(said, stderr)
            self.assertEqual(gpio.returncode, EXIT.get(code, 4))


class Configuration(FixtureCase):
    def test_mistakes(self):
        self.rig = Rig()
        self.addCleanup(self.rig.close)
        config = self.rig.station / "station.yaml"
        right = config.read_text()
        for text, said in (("port: tcp:nowhere\n    slots: [S1]", "neither tcp:HOST:PORT"),
                           ("port: ttyX\n    slots: [S1, S1]", "twice"),
                           ("port: ttyX\n    slots: ['S 1']", "one word")):
            config.write_text(right + f"fixtures:\n  - name: nest\n    {text}\n")
            result = self.rig.imprint("status", check=False)
            self.assertEqual(result.returncode, EXIT["INPUT"])
            self.assertIn(said, result.stderr)


if __name__ == "__main__":
    unittest.main()
