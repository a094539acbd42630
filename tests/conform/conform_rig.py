"""A device to be judged, and `imprint conform` on it."""
import json
import os
import pathlib
import shutil
import stat
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from rig import AUTHORITY, BUILD, DEVICE, IMPRINT, SHIM, run  # noqa: E402


class Verdicts:
    """What a run said: exit status, the device, {case: event}, the last event, stderr."""

    def __init__(self, result):
        events = [json.loads(line) for line in result.stdout.splitlines()]
        self.code, self.stderr = result.returncode, result.stderr
        self.device = next((e for e in events if e.get("event") == "device"), None)
        self.cases = {e["case"]: e for e in events if e.get("event") == "case"}
        self.end = next((e for e in events if e.get("event") == "end"), None)
        self.error = next((e for e in events if "error" in e), None)

    def of(self, result):
        return {name for name, e in self.cases.items() if e["result"] == result}

    def failures(self):
        return "\n".join(f"{name}: {self.cases[name]['found']}" for name in sorted(self.of("fail")))


class Bench:
    """A folder with an authority's key and a device that a script turns off and on again."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="imprint-conform-"))
        self.key, self.public = self.dir / "authority.key", self.dir / "authority.pub"
        (self.dir / "ports").mkdir()
        self.port = self.dir / "ports/ttyFACT1"
        self.pid = self.dir / "pid"
        self.switch = self.dir / "restart"
        run(AUTHORITY, "new", "--key", self.key, "--public", self.public)

    def close(self):
        self.off()
        shutil.rmtree(self.dir, ignore_errors=True)

    def off(self):
        """Kills what the switch started last."""
        if self.pid.exists():
            try:
                os.kill(int(self.pid.read_text()), 9)
            except ProcessLookupError:
                pass
            self.pid.unlink()

    def plug_in(self, *command):
        """The command of the device; it must open self.port."""
        words = " ".join(f"'{c}'" for c in command)
        # What was killed may hold its store a little longer: then it is started again.
        self.switch.write_text(
            f"#!/bin/sh\n[ ! -f {self.pid} ] || kill -9 $(cat {self.pid})\nrm -f {self.port}\n"
            f"for try in 1 2 3 4 5 6 7 8 9; do\n"
            f"    {words} >{self.dir}/log 2>&1 </dev/null &\n    echo $! >{self.pid}\n"
            f"    while [ ! -e {self.port} ] && kill -0 $!; do sleep 0.02; done\n"
            f"    [ ! -e {self.port} ] || exit 0\n    sleep 0.1\ndone\nexit 1\n")
        self.switch.chmod(stat.S_IRWXU)
        run(self.switch)
        return self

    def simulate(self, *options, program=DEVICE, pinned=True, store="store"):
        pin = ["--authority", self.public] if pinned else []
        return self.plug_in(program, "--store", self.dir / store, "--port", self.port, "--chip-id",
                            "c0ffee0000000001", *pin, *options)

    def environment(self, shim=True):
        # A sanitizer's runtime must come first, so it may not be pushed back by the shim.
        preload = [os.environ.get("IMPRINT_PRELOAD"), str(SHIM) if shim else None]
        return dict(os.environ, TTYSHIM_DIR=str(self.dir / "ports"),
                    LD_PRELOAD=" ".join(filter(None, preload)))

    def conform(self, *options, port="/dev/ttyFACT1", wrapper=(), shim=True, certified=True):
        """Judges the device, as JSON."""
        key = ["--authority-key", self.key] if certified else []
        # For machines that are slow; silence is told in other ways.
        patient = () if "--timeout" in options else ("--timeout", 10000)
        return Verdicts(run(*wrapper, IMPRINT, "conform", port, "--json", *key, *patient, *options,
                            env=self.environment(shim), check=False))

    def everything(self, *options, **more):
        return self.conform("--lock", "--restart", self.switch, *options, **more)


__all__ = ["BUILD", "IMPRINT", "Bench", "Verdicts", "run"]
