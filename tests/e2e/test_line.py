"""A line that goes on: devices are put in and taken out, fall silent and babble, and are many."""
import fcntl
import os
import select
import signal
import socket
import threading
import time
import unittest

import judge
from rig import BUILD, Line, Rig

RUN = BUILD / "tests" / "usb" / "usb_run"


class Fixture:
    """A local socket that stays when its device is taken out, as the adapter of a fixture does."""

    def __init__(self, rig, name):
        self.path = rig.dir / name
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(4)
        self.port, self.babbling, self.hang_up = None, False, False
        threading.Thread(target=self.serve, daemon=True).start()

    def put_in(self, device):
        self.take_out()
        self.port = os.open(device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def take_out(self):
        port, self.port = self.port, None
        if port is not None:
            os.close(port)

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                self.hang_up = False
                self.shuttle(client)

    def shuttle(self, client):
        client.setblocking(False)
        while not self.hang_up:
            port = self.port
            try:
                ready, _, _ = select.select([client] + [port] * (port is not None), [], [], 0.05)
                if client in ready:
                    data = client.recv(4096)
                    if not data:
                        return
                    if port is not None:
                        os.write(port, data)
                if port in ready:
                    client.sendall(os.read(port, 4096))
                if self.babbling:
                    client.send(b"\x17noise of a device that babbles\r\n" * 100)
            except (BlockingIOError, OSError, ValueError):
                pass

    def close(self):
        self.listener.close()


class LineCase(unittest.TestCase):
    def setUp(self):
        self.rig, self.line, self.fixtures = None, None, []

    def tearDown(self):
        if self.line:
            self.line.close()
        for fixture in self.fixtures:
            fixture.hang_up = True
            fixture.close()
        if self.rig:
            self.rig.close()

    def make(self, credentials, **options):
        self.rig = Rig(credentials=credentials, **options)
        return self.rig

    def fixture(self, name):
        self.fixtures.append(Fixture(self.rig, name))
        return self.fixtures[-1]

    def start(self, *wrapper, env=None):
        self.line = Line(self.rig, *wrapper, env=env)
        self.line.wait(lambda l: l.count("state"))
        return self.line

    def with_fixtures(self, count, **job):
        """A line whose slots A1, A2, ... are fixtures, with nothing in them."""
        fixtures = [self.fixture(f"a{n}") for n in range(1, count + 1)]
        self.rig.write_job(ports="".join(f"  - unix: {f.path}\n    slot: A{n}\n"
                                         for n, f in enumerate(fixtures, 1)), **job)
        line = self.start()
        for n in range(1, count + 1):
            line.wait_state(f"A{n}", "wait")
        return line, fixtures


class HotPlug(LineCase):
    def test_a_serial_port_that_appears_later_is_a_slot_and_keeps_its_label(self):
        rig = self.make(credentials=4)
        line = self.start()
        self.assertIn("no port matches", line.wait(
            lambda l: [e for e in l.events if e["event"] == "notice"])[0]["text"])
        second, first = rig.add_device(number=2), rig.add_device(number=1, start=False)
        passed = line.wait_state("S1", "pass")  # the first that came, whatever its name
        self.assertFalse(passed["again"])
        first.start()
        line.wait_state("S2", "pass")
        second.stop()
        second.port.unlink()
        line.wait_state("S1", "empty")
        second.start()
        again = line.wait_state("S1", "pass")
        self.assertEqual((again["serial"], again["again"]), (passed["serial"], True))
        self.assertEqual(line.count("out", "S1"), 1)
        self.assertEqual(line.quit(), (0, {"event": "end", "passed": 3, "failed": 0,
                                           "reason": "quit"}))
        self.assertEqual((rig.order_status()["proven"], rig.status()["failed"]), (2, 0))
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, [second, first])

    def test_a_device_that_is_pulled_out_goes_on_when_it_comes_back(self):
        rig = self.make(credentials=2)
        line = self.start()
        device = rig.add_device("--fault=vanish")
        failed = line.wait_state("S1", "fail")
        self.assertEqual((failed["error"], failed["action"], failed["exit"]),
                         ("ERR_GONE", "reseat", 19))
        device.stop()
        device.options.remove("--fault=vanish")
        time.sleep(1)
        self.assertEqual(line.states["S1"]["event"], "fail")  # it stands until the port is back
        device.start()
        self.assertEqual(line.wait_state("S1", "pass")["serial"], failed["serial"])
        line.quit()
        self.assertEqual(rig.order_status()["unresolved"], 0)

    def test_a_port_that_another_program_holds_is_told_once_and_taken_when_free(self):
        rig = self.make(credentials=1)
        device = rig.add_device()
        held = os.open(device.port, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(held, fcntl.LOCK_EX)
        line = self.start()
        failed = line.wait_state("S1", "fail")
        self.assertEqual((failed["error"], failed["action"]), ("ERR_BUSY", "free_port"))
        self.assertLess(failed["ms"], 60000)  # it was the time since the machine was started
        time.sleep(2.5)
        self.assertEqual(line.count("fail"), 1)
        os.close(held)
        line.wait_state("S1", "pass")
        line.quit()

    @unittest.skipUnless(RUN.exists(), "umockdev is not there")
    def test_usb_devices_are_put_in_taken_out_and_put_back(self):
        rig = self.make(credentials=3)
        rig.write_job(ports="  - usb: 1209:0001\n    slot: U{port}\n")
        devices = [rig.add_device() for _ in range(2)]
        env = rig.environment()
        env["LD_PRELOAD"] = os.environ.get("IMPRINT_PRELOAD", "")
        orders = rig.dir / "orders"
        os.mkfifo(orders)
        env["USB_RUN_ORDERS"] = str(orders)
        self.line = line = Line(rig, "umockdev-wrapper", RUN, devices[0].port, devices[1].port,
                                "--", env=env)
        with open(orders, "w", buffering=1) as usb:
            first = line.wait_state("U1", "pass")
            line.wait_state("U2", "pass")
            usb.write("out 1\n")
            line.wait_state("U1", "empty")
            self.assertEqual(line.states["U2"]["event"], "pass")
            usb.write("in 1\n")
            again = line.wait_state("U1", "pass")
            self.assertEqual((again["serial"], again["again"]), (first["serial"], True))
            line.say(command="quit")
        self.assertEqual(line.end()[0], 0)
        self.assertEqual(rig.order_status()["proven"], 2)

    def test_a_connection_that_ends_is_made_again(self):
        rig = self.make(credentials=2)
        line, (fixture,) = self.with_fixtures(1)
        fixture.put_in(rig.add_device())
        line.wait_state("A1", "pass")
        fixture.hang_up = True
        line.wait(lambda l: l.count("out", "A1"))
        self.assertTrue(line.wait_state("A1", "pass")["again"])
        line.quit()


class Fixtures(LineCase):
    def test_a_result_stands_until_the_device_is_taken_out(self):
        rig = self.make(credentials=4)
        line, (fixture,) = self.with_fixtures(1)
        first, second = rig.add_device(), rig.add_device()
        fixture.put_in(first)
        passed = line.wait_state("A1", "pass")
        time.sleep(3.5)
        self.assertEqual((line.states["A1"], line.count("hello")), (passed, 1))
        fixture.take_out()
        line.wait_state("A1", "wait")
        fixture.put_in(first)
        again = line.wait_state("A1", "pass")
        self.assertEqual((again["again"], again["serial"]), (True, passed["serial"]))
        fixture.put_in(second)  # faster than anybody could ask
        other = line.wait_state("A1", "pass", again=False)
        self.assertNotEqual(other["serial"], passed["serial"])
        self.assertEqual(line.count("out", "A1"), 2)
        line.quit()
        self.assertEqual((rig.order_status()["proven"], rig.status()["failed"]), (2, 0))

    def test_one_that_babbles_and_one_that_stalls_leave_their_neighbours_alone(self):
        rig = self.make(credentials=6)
        line, fixtures = self.with_fixtures(4, hello_ms=1000, request_ms=600000)
        fixtures[0].babbling = True
        fixtures[1].put_in(rig.add_device("--fault=slow=600000"))
        for n in (3, 4):
            fixtures[n - 1].put_in(rig.add_device())
        line.wait_state("A3", "pass")
        line.wait_state("A4", "pass")
        babble = line.wait_state("A1", "fail")
        self.assertEqual((babble["error"], babble["action"]), ("ERR_PROTOCOL", "reseat"))
        for n in (3, 4):
            fixtures[n - 1].put_in(rig.add_device())
        line.wait(lambda l: l.count("pass", "A3") == 2 and l.count("pass", "A4") == 2)
        self.assertIn(line.states["A2"]["event"], ("wait", "hello", "deliver"))
        fixtures[0].babbling = False
        line.wait_state("A1", "wait")
        fixtures[0].put_in(rig.add_device())
        line.wait_state("A1", "pass")

    def test_retries_have_a_limit_and_a_reason(self):
        rig = self.make(credentials=2)
        line, (fixture,) = self.with_fixtures(1, request_ms=200, repeats=0)
        device = rig.add_device("--fault=slow=400")
        fixture.put_in(device)
        failed = line.wait_state("A1", "fail")
        retries = [e for e in line.events if e["event"] == "retry"]
        self.assertEqual([(r["attempt"], r["limit"]) for r in retries], [(2, 3), (3, 3)])
        self.assertTrue(all(r["error"] == failed["error"] and r["text"] for r in retries))
        line.quit()
        self.assertEqual(rig.status()["failed"], 3)  # each attempt is on record


class Operator(LineCase):
    def test_paused_nothing_is_begun(self):
        rig = self.make(credentials=2)
        line, (fixture,) = self.with_fixtures(1)
        line.say(command="pause")
        line.wait(lambda l: [e for e in l.events if e.get("state") == "paused"])
        fixture.put_in(rig.add_device())
        time.sleep(1.5)
        self.assertEqual((line.states["A1"]["event"], line.count("hello")), ("wait", 0))
        line.say(command="resume")
        line.wait_state("A1", "pass")
        self.assertEqual(line.quit()[1]["reason"], "quit")

    def test_a_failed_slot_begins_again_when_it_is_acknowledged(self):
        rig = self.make(credentials=1)
        line, (fixture,) = self.with_fixtures(1)
        fixture.put_in(rig.add_device())
        line.wait_state("A1", "pass")
        line.say(command="ack", slot="A1")
        line.wait(lambda l: [e for e in l.events if e.get("command") == "ack" and not e["ok"]])
        fixture.put_in(rig.add_device())  # the stock is empty
        failed = line.wait_state("A1", "fail")
        self.assertEqual((failed["error"], failed["action"]), ("ERR_EXHAUSTED", "generate"))
        time.sleep(2)
        self.assertEqual(line.count("fail"), 1)
        line.say(command="ack", slot="A1")
        line.wait(lambda l: l.count("fail") == 2)
        line.quit()

    def test_what_is_no_command_is_answered_and_does_nothing(self):
        self.make(credentials=1)
        line = self.start()
        line.wait(lambda l: l.count("notice"))  # there is no port
        for nonsense in ("", "{", "[]", '{"command":1}', '{"command":"stop"}', '{"command":"ack"}',
                         '{"command":"pause","slot":"A"}', '{"command":"quit","command":"quit"}',
                         '{"command":"quit"}' + " " * 600):
            before = line.count("notice")
            line.process.stdin.write(nonsense + "\n")
            line.process.stdin.flush()
            line.wait(lambda l: l.count("notice") == before + 1)
            self.assertFalse(line.events[-1]["ok"], nonsense)
        line.process.stdin.close()
        time.sleep(0.5)
        self.assertIsNone(line.process.poll())
        os.killpg(line.process.pid, signal.SIGINT)
        self.assertEqual(line.end()[1]["reason"], "quit")

    def test_what_was_begun_is_finished_before_it_quits(self):
        rig = self.make(credentials=1)
        line = self.start()
        rig.add_device("--fault=slow=300")
        line.wait_state("S1", "deliver")
        code, end = line.quit()
        self.assertEqual((code, end["passed"], line.states["S1"]["event"]), (0, 1, "pass"))

    def test_it_ends_when_the_order_is_fulfilled(self):
        rig = self.make(credentials=0, order={"counts": {
            "good": 2, "max_issued": 4}})
        rig.imprint("generate", rig.job, "--count", 3)
        line = self.start()
        rig.add_device()
        line.wait_state("S1", "pass")
        rig.add_device()
        code, end = line.end()
        self.assertEqual((code, end["reason"]), (0, "done"))
        counts = [e for e in line.events if e["event"] == "counts"][-1]
        self.assertEqual((counts["proven"], counts["remaining"], counts["good"]), (2, 0, 2))
        self.assertGreater(counts["pace"], 0)


class Many(LineCase):
    COUNT = 32

    def test_32_devices_at_once_by_three_ways(self):
        rig = self.make(credentials=self.COUNT)
        devices = [rig.add_device(start=False) for _ in range(self.COUNT)]
        fixtures = [self.fixture(f"a{n}") for n in range(8)]
        for device in devices[:8]:
            device.port = rig.dir / f"behind{device.number}"  # no port of this machine
        rig.write_job(hello_ms=20000, request_ms=20000, ports="".join(
            f"  - unix: {f.path}\n    slot: A{n}\n" for n, f in enumerate(fixtures)) +
            "  - name: /dev/ttyFACT*\n    slot: S{n}\n")
        line = self.start()
        for device in devices:
            device.start()
            if device.number <= 8:
                fixtures[device.number - 1].put_in(device)
        line.wait(lambda l: sum(s["event"] == "pass" for s in l.states.values()) == self.COUNT, 300)
        self.assertEqual(line.quit()[1], {"event": "end", "passed": self.COUNT, "failed": 0,
                                          "reason": "quit"})
        serials = [s["serial"] for s in line.states.values()]
        self.assertEqual(len(set(serials)), self.COUNT)
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, devices)


if __name__ == "__main__":
    unittest.main(verbosity=2)
