"""Cables that fail at every byte: many slots at once, one fault each, and each device ends as PASS.

By default the cable is pulled at every 7th byte and other faults happen at every 49th; with
IMPRINT_SWEEP=all all of them at every byte. Each sweep counts upward until a fault did not happen
any more, because all bytes had passed before.
"""
import itertools
import os
import subprocess
import tempfile
import threading
import unittest

from cable import FROM, TO, Fault, Loom, SerialCable, SocketCable
from invariants import Watch
from rig import Line, Rig

ALL = os.environ.get("IMPRINT_SWEEP") == "all"
WIDE = 7 if os.environ.get("IMPRINT_SWEEP") == "short" else 1
SHOW = bool(os.environ.get("IMPRINT_SWEEP_SHOW"))
SLOTS = 30
PATIENCE = 5  # how often a person tells a slot to begin again
FRESH = 200   # trials with one station
LEAST = 12    # bytes of the shortest message
TRANSIENT = {"ERR_TIMEOUT", "ERR_GONE", "ERR_PROTOCOL", "ERR_IO"}

if os.access("/dev/shm", os.W_OK):  # nobody cuts the power of this machine: save the disk
    tempfile.tempdir = "/dev/shm"


class Slot:
    """One slot of a running line, with a cable that any device can be put in."""

    def __init__(self, floor, label, cable):
        self.floor, self.label, self.cable = floor, label, cable

    def trial(self, fault):
        """A new device, provisioned over the cable with this fault; how often it was begun anew, and
        how many bytes passed until it was."""
        line, device = self.floor.line, self.floor.new_device()
        with line.changed:
            line.states.pop(self.label, None)
        self.cable.put_in(device, fault)
        try:
            return self.see_it_pass(line, fault), sum(self.cable.count.values())
        finally:
            device.stop()
            self.cable.take_out()
            line.wait(lambda l: l.states.get(self.label, {}).get("event") != "pass", 60)

    def see_it_pass(self, line, fault):
        for pushed in range(PATIENCE):
            state = line.wait(self.decided, 120)
            if state["event"] == "pass":
                return pushed
            assert state["error"] in TRANSIENT, f"{fault}: {state}"
            line.say(command="ack", slot=self.label)
            with line.changed:
                if line.states[self.label] is state:
                    line.states.pop(self.label)
        raise AssertionError(f"{fault}: it did not pass after {PATIENCE} attempts: {state}")

    def decided(self, line):
        """PASS, or a FAIL that does not go on by itself when the port comes back."""
        state = line.states.get(self.label, {"event": None})
        over = state["event"] == "pass" or (state["event"] == "fail" and
                                            state["error"] != "ERR_GONE")
        return state if over else None


class Floor:
    """A station whose line goes on, and its slots."""

    def __init__(self, cable=SerialCable):
        self.rig = Rig(credentials=FRESH + 1)
        self.behind = self.rig.dir / "behind"
        self.behind.mkdir()
        self.lock, self.watch, self.loom = threading.Lock(), Watch(self.rig), Loom()
        names = [f"S{n}" for n in range(1, SLOTS + 1)]
        self.slots = [Slot(self, name, self.make_cable(cable, name)) for name in names]
        rule = "name: /dev/ttyFACT" if cable is SerialCable else f"unix: {self.rig.dir}/"
        self.rig.write_job(hello_ms=2000, request_ms=400, repeats=2, ports="".join(
            f"  - {rule}{name}\n    slot: {name}\n" for name in names))
        self.line = Line(self.rig)
        self.line.wait(lambda l: l.count("state"))

    def make_cable(self, kind, name):
        if kind is SocketCable:
            return SocketCable(self.loom, self.rig.dir / name)
        return SerialCable(self.loom, self.rig.dir / "ports" / f"ttyFACT{name}")

    def new_device(self):
        with self.lock:
            device = self.rig.add_device(start=False)
        device.port = self.behind / str(device.number)
        return device.start()

    def close(self):
        self.line.close()
        for slot in self.slots:
            slot.cable.close()
        self.loom.close()
        self.rig.close()

    def finish(self):
        """The line ends, and station, devices and manifests say the same."""
        code, end = self.line.quit()
        assert (code, end["reason"]) == (0, "quit"), end
        self.watch.finish()
        status = self.rig.order_status()
        assert (status["unresolved"], status["burned"]) == (0, 0), status
        assert status["proven"] == len(self.rig.devices), status


class Sweep:
    """One kind of fault in one direction at byte first, first + stride, ..., in many slots at once."""

    def __init__(self, stride, first=0):
        self.positions, self.lock = itertools.count(first, stride), threading.Lock()
        self.done, self.failure = False, None
        self.fired = self.pushed = self.felt = 0

    def run(self, make_fault, cable):
        while not self.done:
            floor = Floor(cable)
            try:
                self.plain = floor.slots[0].trial(None)[1]
                budget = itertools.islice(self.positions, FRESH)
                threads = [threading.Thread(target=self.work, args=(slot, budget, make_fault))
                           for slot in floor.slots]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                if self.failure:
                    raise self.failure
                floor.finish()
            finally:
                floor.close()

    def work(self, slot, budget, make_fault):
        while not self.done:
            with self.lock:
                at = next(budget, None)
            if at is None:
                return
            try:
                self.one(slot, make_fault(at))
            except (AssertionError, OSError, subprocess.SubprocessError) as e:
                self.failure, self.done = self.failure or e, True

    def one(self, slot, fault):
        pushed, count = slot.trial(fault)
        slot.floor.watch.check(str(fault))
        if SHOW:
            print(f"{fault}: {'it happened' if fault.fired else 'all bytes had passed'}, begun anew "
                  f"{pushed} times", flush=True)
        with self.lock:
            self.fired += fault.fired
            self.pushed += pushed
            self.felt += fault.fired and abs(count - self.plain) > LEAST
            self.done |= not fault.fired


class Cables(unittest.TestCase):
    def sweep(self, kind, stride, cable=SerialCable, directions=(TO, FROM), **options):
        stride *= WIDE
        for number, direction in enumerate(directions):
            sweep = Sweep(1 if ALL else stride, 0 if ALL else number * stride // 2)
            sweep.run(lambda at, d=direction: Fault(kind, d, at, **options), cable)
            print(f"{kind} {direction}: {sweep.fired} faults, at every "
                  f"{'' if ALL else f'{stride}. '}byte; after {sweep.felt} of them something was said "
                  f"again; begun anew {sweep.pushed} times", flush=True)
            self.assertGreater(sweep.fired * (1 if ALL else stride), 1000)
            # The cable does what it says; a byte that nobody misses is one between two frames.
        self.assertGreaterEqual(sweep.felt, min(0.9 * sweep.fired, sweep.fired - 1))

    def test_the_plug_is_pulled(self):
        self.sweep("unplug", 7)

    def test_the_plug_is_pulled_and_the_device_loses_its_power(self):
        self.sweep("power", 49)

    def test_the_connection_ends(self):
        self.sweep("unplug", 49, cable=SocketCable)

    def test_the_wire_is_cut_and_holds_again(self):
        self.sweep("silence", 49)

    def test_a_byte_is_lost(self):
        self.sweep("drop", 49)

    def test_a_byte_is_wrong(self):
        self.sweep("flip", 49)

    def test_a_byte_comes_twice(self):
        self.sweep("double", 49)

    def test_bytes_come_after_the_request_was_repeated(self):
        self.sweep("delay", 49, seconds=0.6)

    def test_replies_are_lost(self):
        self.sweep("lose", 49, directions=(FROM,))

    def test_the_device_babbles(self):
        self.sweep("babble", 49)


if __name__ == "__main__":
    unittest.main(verbosity=2)
