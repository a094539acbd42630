"""Boards of the guest: gadgets on dummy_hcd that run the real agent, each in a process of its own."""
import shlex

from guest import GADGET, PULL, TOOL
from rig import Device

USB, ACM, GENERIC = "ffs", "acm", "gser"  # functions of the gadget
IDS = {USB: "1209:0001", ACM: "1209:0004", GENERIC: "1209:0005"}
GADGETS = "/sys/kernel/config/usb_gadget"

RULES = """\
  - usb: 1209:0001
    slot: U{n}
  - name: /dev/ttyACM*
    slot: A{n}
  - name: /dev/ttyUSB*
    slot: G{n}
"""

# Where the host has a board with this serial number; fails until it is ready. No process is started: they
# are slow in here.
FIND = """\
find() {{
    for place in /sys/bus/usb/devices/*-*; do
        [ -e $place/serial ] && read -r serial <$place/serial && [ "$serial" = {name} ] || continue
        set -- $place:*/tty*
        [ {function} = ffs ] || [ -e "$1" ] || return 1
        found=${{place##*/}}
        return 0
    done 2>/dev/null
    return 1
}}
"""


class Board(Device):
    """One of them; speed: "full-speed", "high-speed" or "super-speed"."""

    def __init__(self, guest, rig, number, function=USB, speed="high-speed", **named):
        super().__init__(rig, number, **named)
        self.guest, self.function, self.speed = guest, function, speed
        self.name = f"b{number}"
        self.controller = f"dummy_udc.{number - 1}"
        self.find = FIND.format(name=self.name, function=function)
        self.firmware = "1.4.2"
        self.made = False

    def sh(self, script, check=True):
        return self.guest.sh("set -eu\n" + self.find + script, check)

    def channel(self):
        if self.function == USB:
            return f"--usb /dev/ffs-{self.name}"
        port = f"{GADGETS}/{self.name}/functions/{self.function}.{self.name}/port_num"
        return f"--tty /dev/ttyGS$(cat {port})"

    def start(self, pull_after=0):
        """Switches it on and plugs it in; with a cable that comes off after so many bytes."""
        environment = (f"LD_PRELOAD={PULL} PULL_AFTER={pull_after} "
                       f"PULL_FILE=/sys/class/udc/{self.controller}/soft_connect ") if pull_after else ""
        program = shlex.join(map(str, [
            GADGET, "--store", self.store, "--chip-id", self.chip, "--firmware", self.firmware,
            *self.options]))
        script = f"""
            {TOOL} add {self.name} {self.function} {IDS[self.function]} {self.speed}
            {environment}setsid {program} {self.channel()} >/share/{self.name}.log 2>&1 &
            echo $! >/run/{self.name}.pid
        """
        if self.function == USB:
            script += f"until [ -e /dev/ffs-{self.name}/ep2 ]; do usleep 20000; done\n"
        self.sh(script)
        self.made = True
        return self.plug()

    def plug(self):
        self.sh(f"{TOOL} plug {self.name} {self.controller}\n"
                "until find; do usleep 50000; done")
        return self

    def pull(self):
        self.sh(f"{TOOL} pull {self.name}\n"
                "while find; do usleep 50000; done")
        return self

    def put_back(self, came_off):
        """Puts the cable back that came off. Where it did not, the board is started anew with a good one."""
        if came_off:
            return self.pull().plug()
        self.stop()
        return self.start()

    def place(self):
        return self.sh("find; echo $found").stdout.strip()

    def stop(self, how=None):
        """Switches it off: the program is killed, which takes its function away."""
        if self.made:
            self.made = False
            self.sh(f"kill -9 $(cat /run/{self.name}.pid) || true\n"
                    f"{TOOL} pull {self.name} 2>/dev/null || true\n"
                    f"until {TOOL} remove {self.name}; do usleep 50000; done")
