"""The agent as bare-metal firmware with Mbed TLS, on a Cortex-M3 in QEMU, and a real station.

The flash of each device is a file, which flash.py reads without any code of the agent.
"""
import hashlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import flash
import judge
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rig import BUILD, EXIT, Device, Rig, run

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools/firmware"
CACHE = BUILD / "tools/firmware"
POWER_CUT = 99
PEM = serialization.Encoding.PEM


def split_der(sequence):
    """DER certificates one after the other."""
    while sequence:
        width = sequence[1] & 0x7f if sequence[1] & 0x80 else 0
        length = int.from_bytes(sequence[2:2 + width], "big") if width else sequence[1]
        yield sequence[:2 + width + length]
        sequence = sequence[2 + width + length:]


class Board(Device):
    """A Cortex-M3 with the firmware."""

    def __init__(self, rig, number, image):
        super().__init__(rig, number, chip=f"c0ffee00000000{number:02x}", authority=False)
        self.image = image

    def start(self, cut=0, quarters=2):
        self.port.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [TOOLS / "run", "--image", self.image, "--flash", self.store, "--port", self.port,
             "--chip-id", self.chip, "--cut", str(cut), "--quarters", str(quarters)])
        deadline = time.monotonic() + 60
        while not self.port.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"board {self.number} does not start")
            time.sleep(0.01)
        return self

    def identity(self):
        return flash.read(self.store)

    def export(self):
        identity = self.identity()
        if not identity:
            return None
        out = self.rig.dir / "exports" / str(self.number)
        out.mkdir(parents=True, exist_ok=True)
        key = ec.derive_private_key(int.from_bytes(identity.key, "big"), ec.SECP256R1())
        (out / "key.pem").write_bytes(key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        (out / "certificates.pem").write_bytes(b"".join(
            x509.load_der_x509_certificate(der).public_bytes(PEM)
            for der in split_der(identity.objects[flash.CERTIFICATES])))
        (out / "serial").write_text(identity.serial)
        return out


class Firmware(unittest.TestCase):
    def make(self, credentials, order=None):
        self.rig = Rig(credentials=credentials, order=order, job={"request_ms": 5000})
        self.addCleanup(self.rig.close)
        out = self.rig.dir / "firmware"
        run("make", "-f", TOOLS / "Makefile", f"OUT={out}", f"CACHE={CACHE}",
            f"AUTHORITY={self.rig.owner / 'authority.pub'}")
        self.image = out / "firmware.elf"
        return self.rig

    def board(self, number=1):
        board = Board(self.rig, number, self.image)
        self.rig.devices.append(board)
        return board

    def check_whitelist(self, boards):
        self.rig.seal()
        self.rig.verify(self.rig.manifests()[-1])
        judge.check_all(self.rig, boards)
        self.rig.imprint("ledger", "verify")

    def test_a_board_is_provisioned_locked_and_whitelisted(self):
        rig = self.make(credentials=2)
        board = self.board().start()
        code, slots, stderr = rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), stderr)
        identity = board.identity()
        self.assertTrue(identity.locked)
        self.assertEqual(identity.count, 1)
        anchor = next(split_der(identity.objects[flash.TRUST_ANCHORS]))
        self.assertEqual(hashlib.sha256(anchor).hexdigest(), rig.anchors)
        board.stop()
        self.check_whitelist([board])
        image = self.image.with_suffix(".bin").read_bytes()
        self.assertEqual(rig.records()[0]["fw"], {
            "version": "1.0.0", "debug": True, "sha256": hashlib.sha256(image).hexdigest()})
        # The same board after a restart: it proves its key again and costs nothing.
        board.start()
        code, slots, _ = rig.run_json()
        self.assertTrue(slots["S1"]["again"])
        self.assertEqual(rig.order_status()["available"], 1)
        self.assertEqual(board.identity().key, identity.key)

    def test_a_board_refuses_the_station_of_another_owner(self):
        rig = self.make(credentials=1)
        stranger = rig.dir / "stranger"
        stranger.mkdir()
        run(BUILD / "tools/authority/imprint-authority", "new", "--key", stranger / "key",
            "--public", stranger / "authority.pub")
        run("make", "-f", TOOLS / "Makefile", f"OUT={stranger}", f"CACHE={CACHE}",
            f"AUTHORITY={stranger / 'authority.pub'}")
        self.image = stranger / "firmware.elf"
        board = self.board().start()
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["event"]), (EXIT["REFUSED"], "fail"))
        self.assertIsNone(board.identity())

    def cut_and_resume(self, number, cut, quarters):
        """True when the power was cut; the board is then finished by one more run."""
        where = f"operation {cut}, {quarters}/4 done"
        board = self.board(number).start(cut, quarters)
        code, slots, stderr = self.rig.run_json(check=False)
        if board.process.poll() is None:
            self.assertEqual(code, 0, f"{where}: {stderr}")
            board.stop()
            return False
        self.assertEqual(board.process.wait(), POWER_CUT, where)
        self.assertEqual(slots["S1"]["event"], "fail", where)
        self.assertIn(code, (EXIT["GONE"], EXIT["TIMEOUT"]), where)
        held = board.identity()
        if held:
            key, leaf = judge.load(board.export())
            self.assertEqual(judge.spki(key.public_key()), judge.spki(leaf.public_key()), where)
        board.start()
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertEqual((code, slots["S1"]["event"]), (0, "pass"), f"{where}: {stderr}")
        finished = board.identity()
        self.assertTrue(finished.locked, where)
        if held:
            self.assertEqual((held.key, held.count), (finished.key, 1), where)
        board.stop(signal.SIGKILL)
        board.port.unlink()
        return True

    def sweep(self):
        """Power fails in operation 1, 2, 3... of flash; how many there are, and how many boards."""
        every = os.environ.get("IMPRINT_SWEEP") == "all"
        numbers = itertools.count(1)
        for operation in itertools.count(1):
            parts = range(5) if every else (operation % 4, 4)
            if not all(self.cut_and_resume(next(numbers), operation, part) for part in parts):
                break
        number = next(numbers) - 1
        print(f"{operation - 1} operations, {number} boards")
        return operation - 1, number

    def test_a_board_makes_its_own_key_though_power_fails(self):
        rig = self.make(credentials=0, order={"key_modes": ["device"]})
        operations, number = self.sweep()
        # HELLO 2, KEYGEN 1, BEGIN 2, PUT 2 at least, COMMIT 2, LOCK 1.
        self.assertGreaterEqual(operations, 10)
        status = rig.order_status()
        self.assertEqual((status["proven"], status["generated"], status["burned"]),
                         (number, number, 0))
        self.check_whitelist(rig.devices)
        self.assertEqual({r["mode"] for r in rig.records()}, {"device"})

    def test_power_fails_in_every_operation_of_flash(self):
        rig = self.make(credentials=200)
        operations, number = self.sweep()
        # HELLO 2, BEGIN 2, PUT 3 at least, COMMIT 2, LOCK 1.
        self.assertGreaterEqual(operations, 10)
        status = rig.order_status()
        self.assertEqual((status["proven"], status["unresolved"], status["burned"]), (number, 0, 0))
        self.assertEqual(status["available"], 200 - number)
        self.check_whitelist(rig.devices)


class Size(unittest.TestCase):
    """What the agent costs, in images with all that it can do, and with keys from an HSM only."""

    def measure(self, name, folder):
        shares = {"agent": 0, "port": 0, "crypto": 0, "board": 0, "library": 0}
        text = (folder / "firmware.map").read_text()
        body = text[text.index("Linker script and memory map"):]
        pattern = r"(?m)^ \.(?:text|rodata|data)\S*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (\S+)$"
        for size, name_of in re.findall(pattern, body):
            share = "port" if "port_mbedtls" in name_of else "agent" if "/agent/" in name_of else \
                "crypto" if "/crypto/" in name_of else "library" if ".a(" in name_of else "board"
            shares[share] += int(size, 16)
        symbols = run("arm-none-eabi-nm", "-S", folder / "firmware.elf").stdout
        memory = {symbol: int(size, 16) for size, symbol in
                  re.findall(r"(?m)^\w+ (\w+) [bBdD] (agent|port)$", symbols)}
        total = run("arm-none-eabi-size", folder / "firmware.elf").stdout.splitlines()[1].split()
        print(f"\nCortex-M3, {name}, bytes of code: " +
              ", ".join(f"{n} {size}" for n, size in shares.items()) +
              f", in all {total[0]}; of memory: agent {memory['agent']}, port {memory['port']}")
        self.assertGreater(shares["agent"], 5000)
        self.assertGreater(shares["crypto"], 10000)
        self.assertLessEqual(memory["agent"], 4096)
        return shares["agent"]

    def make_without(self, folder):
        """An image without anything that agent.h lets firmware leave out."""
        header = (TOOLS.parents[1] / "lib/agent/agent.h").read_text()
        switches = re.findall(r"(?m)^#define (IMPRINT_AGENT_WITH_\w+) 1\b", header)
        self.assertGreaterEqual(len(switches), 4)
        (folder / "mbedtls").symlink_to(CACHE / "mbedtls")
        run("make", "-f", TOOLS / "Makefile", f"OUT={folder}", f"CACHE={folder}",
            f"WITHOUT={' '.join(switches)}")

    def test_the_agent_takes_at_most_10_kB_of_code_and_4_kB_of_memory(self):
        full = self.measure("all that the agent can do", CACHE)
        with tempfile.TemporaryDirectory() as folder:
            self.make_without(pathlib.Path(folder))
            least = self.measure("only keys from an HSM", pathlib.Path(folder))
        self.assertLessEqual(least, 10240)
        self.assertLess(least, full)


if __name__ == "__main__":
    unittest.main(verbosity=2)
