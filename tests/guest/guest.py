"""A virtual machine with Debian's kernel and a real USB stack, in QEMU without acceleration: a second
kernel, in which the station finds devices that other programs of the same machine play (dummy_hcd joins
what a gadget sends to what a host sees).

It has no network. Scripts and files go in and out through a shared folder.
"""
import json
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import initramfs
from rig import BUILD, IMPRINT, MANIFEST, Line

HERE = pathlib.Path(__file__).resolve().parent
KERNEL = BUILD / "tests/guest/kernel"
TOOL = HERE.parents[1] / "tools/linux-board/gadget"
GADGET = BUILD / "tools/linux-board/imprint-gadget"
SIZES = BUILD / "tests/guest/usb_sizes"
PULL = BUILD / "tests/guest/pull.so"
SOFTHSM = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")
UDEVD = pathlib.Path("/lib/systemd/systemd-udevd")
UDEVADM = pathlib.Path("/usr/bin/udevadm")
# What Debian says of serial ports, and what the station ships.
RULES = [pathlib.Path("/lib/udev/rules.d/50-udev-default.rules"),
         HERE.parents[1] / "tools/udev/70-imprint.rules"]
CONTROLLERS = 12
MODULES = [("virtio_pci", ""), ("9pnet_virtio", ""), ("9p", ""),
           ("dummy_hcd", f"num={CONTROLLERS} is_super_speed=1"), ("usb_f_fs", ""), ("usb_f_acm", ""),
           ("usb_f_serial", ""), ("cdc_acm", ""), ("usbserial", "vendor=0x1209 product=0x0005")]
PROGRAMS = [IMPRINT, MANIFEST, SOFTHSM, GADGET, TOOL, SIZES, PULL, UDEVD, UDEVADM,
            *(BUILD / "station" / f"imprint-{n}"
              for n in ("line", "opener", "checker", "connector", "board", "conform"))]


# What sanitizers of the programs were told out here, they are told in there.
SANITIZERS = "".join(f"export {n}={shlex.quote(os.environ[n])}\n"
                     for n in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if n in os.environ)


def why_not():
    """Why no guest can run here; None where it can."""
    if os.uname().machine != "x86_64":
        return "the guest runs this machine's programs on Debian's amd64 kernel, and this is another"
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"),
                             (UDEVD, "udev")):
        if not shutil.which(program):
            return f"there is no {program}: install the package {package} ('tools/packages test')"
    fetched = subprocess.run([HERE / "fetch-kernel", KERNEL], capture_output=True, text=True)
    return fetched.stderr.strip() if fetched.returncode else None


class Result:
    def __init__(self, script, code, out, err):
        self.script, self.returncode, self.stdout, self.stderr = script, code, out, err


class Crashed(AssertionError):
    """QEMU itself did, and nothing in the guest is to blame."""


def start_guest(tries=3):
    """A guest that is up. QEMU may crash before anything was tried in there; what else fails, fails."""
    for left in reversed(range(tries)):
        try:
            return Guest()
        except Crashed as crash:
            print(f"the guest is started again: {crash}")
            if not left:
                raise


class Guest:
    """One that is up. Close it."""

    # One processor, whose page tables have four levels: QEMU 7.2 crashed once in twenty starts with two
    # processors and five levels.
    MACHINE = ["-M", "pc", "-accel", "tcg", "-cpu", "max,la57=off", "-smp", "1", "-m", "1024"]

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="imprint-guest-"))
        self.share = self.dir / "share"
        self.share.mkdir()
        self.console = self.dir / "console"
        self.changed = threading.Condition()
        self.codes, self.count = {}, 0
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        initramfs.make(self.dir / "initramfs", KERNEL, MODULES, PROGRAMS,
                       {f"/lib/udev/rules.d/{rule.name}": rule for rule in RULES})
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", *self.MACHINE, "-display", "none", "-monitor", "none",
             "-nodefaults", "-no-reboot", "-nic", "none", "-kernel", KERNEL / "vmlinuz", "-initrd",
             self.dir / "initramfs", "-append", "console=ttyS0 quiet panic=-1", "-serial",
             f"file:{self.console}", "-serial",
             f"unix:{self.dir / 'control'},server=on,wait=off", "-virtfs",
             f"local,path={self.share},mount_tag=share,security_model=none"])
        try:
            self.connect()
            self.wait(0, 120)
        except BaseException:
            self.close()
            raise

    def check_crash(self):
        if self.qemu.wait(10) < 0:
            raise Crashed(f"QEMU ended with signal {-self.qemu.returncode}")

    def connect(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                self.control.connect(str(self.dir / "control"))
                break
            except OSError:
                if self.qemu.poll() is not None:
                    self.check_crash()
                if time.monotonic() > deadline or self.qemu.poll() is not None:
                    raise
                time.sleep(0.05)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with self.control.makefile("r") as lines:
            for line in lines:
                number, code = line.split()
                with self.changed:
                    self.codes[int(number)] = int(code)
                    self.changed.notify_all()
        with self.changed:
            self.down = True
            self.changed.notify_all()

    down = False

    def log(self):
        return self.console.read_text(errors="replace")[-4000:] if self.console.exists() else ""

    def wait(self, number, seconds):
        """Waits until the script ended; its exit status."""
        with self.changed:
            self.changed.wait_for(lambda: number in self.codes or self.down, seconds)
            if number not in self.codes and self.down:
                self.check_crash()
            if number not in self.codes:
                raise AssertionError(f"script {number} of the guest does not end\n{self.log()}")
        return self.codes[number]

    def start(self, script):
        """Starts a script of the guest's shell; its number."""
        self.count += 1
        (self.share / f"{self.count}.sh").write_text(SANITIZERS + script)
        self.control.sendall(b"%d\n" % self.count)
        return self.count

    def ended(self, number, seconds=240, check=True):
        code = self.wait(number, seconds)
        result = Result((self.share / f"{number}.sh").read_text(), code,
                        *((self.share / f"{number}.{n}").read_text() for n in ("out", "err")))
        if check and code:
            raise AssertionError(f"{result.script} ended with {code}\n{result.stdout}{result.stderr}")
        return result

    def sh(self, script, check=True, seconds=240):
        """Runs a script; its Result."""
        return self.ended(self.start(script), seconds, check)

    def run(self, *command, check=True):
        return self.sh(shlex.join(map(str, command)), check)

    # ---- the station's folder

    def push(self, rig):
        """Copies the rig's folder into the guest, to where it is outside."""
        subprocess.run(["tar", "-cf", self.share / "in.tar", "-C", rig.dir, "."], check=True)
        self.sh(f"rm -rf {rig.dir}; mkdir -p {rig.dir}; tar -xf /share/in.tar -C {rig.dir}")

    def pull(self, rig):
        """Replaces the rig's folder by the guest's."""
        self.sh(f"tar -cf /share/out.tar -C {rig.dir} .")
        for entry in rig.dir.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        subprocess.run(["tar", "-xf", self.share / "out.tar", "-C", rig.dir], check=True)

    @staticmethod
    def station(rig, *arguments):
        """A command of the station, as text for the guest's shell."""
        return f"IMPRINT_DIR={rig.station} " + shlex.join(map(str, (IMPRINT, *arguments)))

    def imprint(self, rig, *arguments, check=True):
        return self.sh(self.station(rig, *rig.once(arguments)), check)

    def run_json(self, rig):
        """`imprint run --once --json`: (exit status, last event of each slot, standard error)."""
        result = self.imprint(rig, "run", rig.job, "--json", check=False)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return result.returncode, {e["slot"]: e for e in events if "slot" in e}, result.stderr

    def close(self):
        self.qemu.kill()
        self.qemu.wait()
        self.control.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class GuestLine(Line):
    """`imprint run --json` that goes on in the guest: events as they come, commands to it."""

    def __init__(self, guest, rig):
        self.guest, self.events, self.states = guest, [], {}
        self.changed = threading.Condition()
        self.commands = f"/run/line.{guest.count}"
        self.number = guest.start(f"mkfifo {self.commands}; exec 4<>{self.commands}\n"
                                  f"{guest.station(rig, 'run', rig.job, '--json')} <&4\n")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """What the guest writes into the shared folder is there at once."""
        path, rest, over = self.guest.share / f"{self.number}.out", b"", False
        while not path.exists():
            time.sleep(0.05)
        with open(path, "rb") as out:
            while not over:
                over = self.number in self.guest.codes
                *lines, rest = (rest + out.read()).split(b"\n")
                for line in lines:
                    self.take(line)
                time.sleep(0.05)
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def say(self, **command):
        self.guest.sh(f"echo {shlex.quote(json.dumps(command))} >{self.commands}")

    def end(self):
        code = self.guest.wait(self.number, 120)
        self.reader.join(timeout=10)
        return code, [e for e in self.events if e["event"] == "end"][-1]

    def close(self):
        if self.number not in self.guest.codes:
            self.quit()
