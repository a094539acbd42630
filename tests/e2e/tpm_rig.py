"""A TPM 2.0 in a folder (swtpm), its power switch, and somebody on the wire to it."""
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from rig import run

PROGRAMS = ("swtpm", "swtpm_setup", "tpm2_nvundefine", "tpm2_clear")
INDEX, CHAIN = "0x01800100", "0x01800101"
FAILURE, NV_RATE = (b"\x80\x01\0\0\0\x0a\0\0" + code for code in (b"\x01\x01", b"\x09\x20"))
NV_INCREMENT, NV_EXTEND, NV_READ = 0x134, 0x136, 0x14e  # TPM 2.0 Library, part 2, 6.5.2


def missing():
    path = os.environ["PATH"] + ":/usr/sbin"
    return [p for p in PROGRAMS if not shutil.which(p, path=path)]


class SwTpm:
    """The chip: what it has written is in its folder, what it only remembers goes with the power."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder / "tpm.sock"
        self.process = None
        folder.mkdir(parents=True)
        run("swtpm_setup", "--tpm2", "--tpmstate", folder, "--overwrite")
        self.on()

    def on(self):
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", "--server",
                 f"type=unixio,path={self.socket}", "--ctrl",
                 f"type=unixio,path={self.socket}.ctrl", "--flags",
                 "not-need-init,startup-clear"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self.socket.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("the TPM does not start: " + (self.folder / "log").read_text())
            time.sleep(0.02)

    def off(self):
        self.process.kill()
        self.process.wait()

    def tcti(self):
        return f"swtpm:path={self.socket}"

    def tool(self, *command, check=True):
        return run(*command, check=check, env={**os.environ, "TPM2TOOLS_TCTI": self.tcti()})


class Wire:
    """Between station and TPM: sees each command, and may do something before or after it."""

    def __init__(self, tpm, path):
        self.tpm = tpm
        self.path = path
        self.commands = []
        self.leave_alone()
        for suffix, talk in (("", self.talk), (".ctrl", self.pass_on)):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(f"{path}{suffix}")
            listener.listen(8)
            threading.Thread(target=self.serve, args=(listener, suffix, talk), daemon=True).start()

    def leave_alone(self):
        self.meanwhile = lambda code: None  # what others do with the TPM before a command, a function
        self.before = lambda code: None  # called before a command reaches the TPM
        self.instead = lambda code: None  # a reply in the TPM's place, which gets nothing
        self.answer = lambda code, reply: reply

    def tcti(self):
        return f"swtpm:path={self.path}"

    def serve(self, listener, suffix, talk):
        while True:
            station, _ = listener.accept()
            with station, contextlib.suppress(OSError), contextlib.ExitStack() as open_chips:
                talk(station, lambda: open_chips.enter_context(self.connect(suffix)))

    def connect(self, suffix):
        chip = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        chip.connect(f"{self.tpm.socket}{suffix}")
        return chip

    def talk(self, station, connect):
        """One command, one reply: tag, size and code are the first ten bytes of both."""
        chip = connect()
        while (command := self.message(station)) is not None:
            code = struct.unpack(">I", command[6:10])[0]
            self.commands.append(code)
            others = self.meanwhile(code)
            if others:  # the TPM has one connection at a time: theirs, then ours again
                chip.close()
                others()
                chip = connect()
            self.before(code)
            reply = self.instead(code)
            if reply is None:
                chip.sendall(command)
                reply = self.message(chip)
                if reply is None:
                    break  # its power went
                reply = self.answer(code, reply)
            station.sendall(reply)

    @staticmethod
    def message(peer):
        data = b""
        while len(data) < 10 or len(data) < struct.unpack(">I", data[2:6])[0]:
            more = peer.recv(4096)
            if not more:
                return None
            data += more
        return data

    @staticmethod
    def pass_on(station, connect):
        chip = connect()
        while data := station.recv(4096):
            chip.sendall(data)
            station.sendall(chip.recv(4096))
