"""Cables between a station and simulated devices, with one fault each at one byte.

A Loom moves the bytes of all cables in one thread. A Cable shows the station a serial port (a
pseudo-terminal) or a local socket, and passes bytes to and from the device that was put in. It counts
them in each direction from then on, and does what its Fault says when byte number `at` comes.
"""
import collections
import heapq
import itertools
import os
import pathlib
import selectors
import signal
import socket
import termios
import threading
import time
import tty

TO, FROM = "to the device", "from the device"
SETTLE_S = 0.02  # until whoever was given the bytes before a fault has them
NOISE = b"\x17device noise\r\n\0\1\2\3\0"

# What happens at the byte, and what is left of it and of the bytes that came with it.
KINDS = {
    "unplug": "the port is gone and comes back; the device keeps its power",
    "power": "the port is gone and comes back, and the device was without power",
    "silence": "nothing passes in either direction for a while",
    "drop": "the byte is lost",
    "flip": "one of its bits is another",
    "double": "it comes twice",
    "delay": "it and what follows in its direction come late",
    "lose": "it and the rest of its frame are lost",
    "babble": "noise comes before it",
}


class Fault:
    """One fault of one cable. fired is set when it happened."""

    def __init__(self, kind, direction, at, seconds=0.3):
        assert kind in KINDS
        self.kind, self.direction, self.at, self.seconds = kind, direction, at, seconds
        self.fired = False

    def __str__(self):
        return f"{self.kind} at byte {self.at} {self.direction}"


class Loom(threading.Thread):
    """The thread. What changes its cables is done by it alone: call()."""

    def __init__(self):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.orders, self.timers, self.number = collections.deque(), [], itertools.count()
        self.wake_read, self.wake_write = os.pipe()
        self.watch(self.wake_read, lambda: os.read(self.wake_read, 4096))
        self.ended = False
        self.start()

    def watch(self, fd, ready):
        self.selector.register(fd, selectors.EVENT_READ, ready)

    def forget(self, fd):
        self.selector.unregister(fd)

    def later(self, seconds, action):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.number), action))

    def call(self, action):
        """Has the thread do something, and waits until it did."""
        done = threading.Event()
        self.orders.append((action, done))
        os.write(self.wake_write, b"!")
        assert done.wait(30), "the loom hangs"

    def run(self):
        while not self.ended:
            left = self.timers[0][0] - time.monotonic() if self.timers else None
            for key, _ in self.selector.select(left if left is None else max(0.0, left)):
                if key.fd in self.selector.get_map():  # or it was closed by one before it
                    key.data()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()
            while self.orders:
                action, done = self.orders.popleft()
                action()
                done.set()

    def close(self):
        self.call(lambda: setattr(self, "ended", True))
        self.join()
        self.selector.close()
        for fd in (self.wake_read, self.wake_write):
            os.close(fd)


class Cable:
    """One slot. The station's end is a subclass's: open_port, close_port, write_station."""

    def __init__(self, loom):
        self.loom = loom
        self.device, self.fd, self.fault = None, None, None
        self.count, self.dead, self.late, self.losing = {}, False, None, False
        self.turn = 0  # of devices: what was planned for one before is not done to the next

    # ---- what a test does

    def put_in(self, device, fault=None):
        self.loom.call(lambda: self.connect(device, fault))

    def take_out(self):
        self.loom.call(self.disconnect)

    def close(self):
        self.loom.call(self.disconnect)

    # ---- in the thread

    def connect(self, device, fault):
        self.turn += 1
        self.device, self.fault = device, fault
        self.count, self.dead, self.late, self.losing = {TO: 0, FROM: 0}, False, None, False
        self.attach()
        self.open_port()

    def disconnect(self):
        self.turn += 1
        self.detach()
        self.close_port()
        self.device = None

    def attach(self):
        self.fd = os.open(self.device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        termios.tcflush(self.fd, termios.TCIOFLUSH)
        self.loom.watch(self.fd, self.from_device)

    def detach(self):
        if self.fd is not None:
            self.loom.forget(self.fd)
            os.close(self.fd)
            self.fd = None

    def plan(self, seconds, action):
        """Does it later, if the same device is still in."""
        turn = self.turn
        self.loom.later(seconds, lambda: action() if turn == self.turn else None)

    def from_device(self):
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:  # it was killed
            return self.detach()
        self.carry(FROM, data)

    def carry(self, direction, data):
        """Passes bytes on, through the fault if its byte is among them."""
        fault, first = self.fault, self.count.get(direction, 0)
        self.count[direction] = first + len(data)
        if not fault or fault.fired or fault.direction != direction or \
                not first <= fault.at < first + len(data):
            return self.deliver(direction, data)
        self.deliver(direction, data[:fault.at - first])
        fault.fired = True
        self.happen(fault, direction, data[fault.at - first:])

    def deliver(self, direction, data):
        if self.dead:
            return
        if self.losing == direction:
            head, end, data = data.partition(b"\0")
            if not end:
                return
            self.losing = False
        if self.late and self.late[0] == direction:
            self.late[1].extend(data)
        elif data:
            self.write_device(data) if direction == TO else self.write_station(data)

    def write_device(self, data):
        try:
            if self.fd is not None:
                os.write(self.fd, data)
        except OSError:
            pass

    # ---- faults

    def happen(self, fault, direction, rest):
        if fault.kind in ("unplug", "power", "silence"):
            self.dead = True
            self.plan(SETTLE_S, {"unplug": self.unplug, "power": self.power_down,
                                 "silence": self.be_silent}[fault.kind])
        elif fault.kind == "delay":
            self.late = (direction, bytearray(rest))
            self.plan(fault.seconds, self.be_late)
        elif fault.kind == "lose":
            self.losing = direction
            self.deliver(direction, rest)
        else:
            byte, bit = rest[0], 1 << (fault.at % 8)
            self.deliver(direction, {"drop": b"", "flip": bytes([byte ^ bit]),
                                     "double": bytes([byte, byte]),
                                     "babble": NOISE + bytes([byte])}[fault.kind] + rest[1:])

    def be_silent(self):
        self.plan(self.fault.seconds, lambda: setattr(self, "dead", False))

    def be_late(self):
        (direction, data), self.late = self.late, None
        self.deliver(direction, bytes(data))

    def unplug(self):
        self.close_port()
        self.plan(self.fault.seconds, self.plug_in)

    def power_down(self):
        self.close_port()
        self.detach()
        self.device.stop(signal.SIGKILL)
        self.plan(self.fault.seconds, self.power_up)

    def power_up(self):
        self.device.start()
        self.attach()
        self.plug_in()

    def plug_in(self):
        self.dead = False
        self.open_port()


class SerialCable(Cable):
    """Its port is there when a device is in, and gone when it is not."""

    def __init__(self, loom, path):
        super().__init__(loom)
        self.path, self.master, self.slave = pathlib.Path(path), None, None

    def open_port(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.loom.watch(self.master, self.to_device)
        temporary = self.path.with_name(f".{self.path.name}")
        temporary.symlink_to(os.ttyname(self.slave))
        temporary.rename(self.path)

    def close_port(self):
        if self.master is None:
            return
        self.path.unlink()
        self.loom.forget(self.master)
        for fd in (self.slave, self.master):
            os.close(fd)
        self.master = None

    def to_device(self):
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return
        self.carry(TO, data)

    def write_station(self, data):
        try:
            if self.master is not None:
                os.write(self.master, data)
        except OSError:
            pass


class SocketCable(Cable):
    """A local socket that stays, as the adapter of a fixture does."""

    def __init__(self, loom, path):
        super().__init__(loom)
        self.client = None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(4)
        self.listener.setblocking(False)
        self.is_open = False

    def open_port(self):
        if not self.is_open:
            self.loom.watch(self.listener.fileno(), self.accept)
        self.is_open = True

    def close_port(self):
        if self.is_open:
            self.loom.forget(self.listener.fileno())
        self.is_open = False
        self.hang_up()

    def hang_up(self):
        if self.client:
            self.loom.forget(self.client.fileno())
            self.client.close()
            self.client = None

    def accept(self):
        client, _ = self.listener.accept()
        self.hang_up()
        client.setblocking(False)
        self.client = client
        self.loom.watch(client.fileno(), self.to_device)

    def to_device(self):
        try:
            data = self.client.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self.hang_up()
        self.carry(TO, data)

    def write_station(self, data):
        try:
            if self.client:
                self.client.sendall(data)
        except OSError:
            pass

    def close(self):
        super().close()
        self.listener.close()
