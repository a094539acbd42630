"""A real station and real devices, each a process of its own, on simulated serial ports.

Programs come from the build folder in IMPRINT_BUILD. Everything lies in one temporary folder:
station/ (the station's directory), owner/, job.yaml, devices/<n>/ (their stores), ports/, captures/.
"""
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import apart

apart.leave_or_say()  # before there are threads

IDEVID = "5866508f9cc104917893e0f6e8fb94a2109fee699691c954e01f287d87461cb7"  # hash of the shipped profile
BUILD = pathlib.Path(os.environ["IMPRINT_BUILD"])
IMPRINT = BUILD / "station/imprint"
MANIFEST = BUILD / "manifests/imprint-manifest"
DEVICE = BUILD / "tools/device/imprint-device"
AUTHORITY = BUILD / "tools/authority/imprint-authority"
SHIM = BUILD / "tools/ttyshim/ttyshim.so"

# Exit statuses, as base/error.h lists them.
EXIT = {"USAGE": 2, "INPUT": 3, "FULL": 5, "READONLY": 6, "MISSING": 7, "EXISTS": 8, "BUSY": 9,
        "PIN": 10, "TOKEN": 11, "MODULE": 12, "HSM": 13, "STORE": 14, "INTEGRITY": 15,
        "EXHAUSTED": 16,
        "NO_PORT": 17, "TIMEOUT": 18, "GONE": 19, "PROTOCOL": 20, "REFUSED": 21, "DUPLICATE": 22,
        "PROOF": 23, "SIGNATURE": 24, "INCOMPLETE": 25, "ROLLBACK": 26, "INTERRUPTED": 27,
        "CRYPTO": 28, "FORMAT": 29, "GAP": 30, "FORK": 31, "CLOCK": 37,
        "UNRESOLVED": 38, "COUNTER": 39, "LABEL_MISMATCH": 40}


def run(*command, check=True, **options):
    """Runs a program; its output as text."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                            timeout=300, **options)
    if check and result.returncode:
        raise AssertionError(f"{command} ended with {result.returncode}\n{result.stdout}"
                             f"{result.stderr}")
    return result


class TerminalServer:
    """Shows a device's serial port at a listening socket, to one station at a time."""

    def __init__(self, device, family, address):
        self.device = device
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(4)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            port = os.open(self.device.port, os.O_RDWR | os.O_NOCTTY)
            with client:
                self.shuttle(client, port)
            os.close(port)

    def shuttle(self, client, port):
        while True:
            for ready in select.select([client, port], [], [])[0]:
                data = client.recv(4096) if ready is client else os.read(port, 4096)
                if not data:
                    return
                os.write(port, data) if ready is client else client.sendall(data)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Device:
    """One simulated device: its store survives the process."""

    def __init__(self, rig, number, *options, chip=None, authority=True):
        self.rig = rig
        self.number = number
        self.store = rig.dir / "devices" / str(number)
        self.port = rig.dir / "ports" / f"ttyFACT{number}"
        self.capture = rig.dir / "captures" / str(number)
        self.chip = chip or f"c0ffee{number:010x}"
        self.options = list(options)
        if authority:
            self.options += ["--authority", str(rig.owner / "authority.pub")]
        self.process = None

    def start(self, *extra):
        self.port.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [str(DEVICE), "--store", str(self.store), "--port", str(self.port), "--chip-id",
             self.chip, "--firmware", "1.4.2", "--capture", str(self.capture), *self.options,
             *extra])
        deadline = time.monotonic() + 60
        # One that ended well was there, and went again by itself.
        while not self.port.exists() and self.process.poll() != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"device {self.number} does not start")
            time.sleep(0.01)
        return self

    def stop(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        if self.process:
            self.process.wait()
        self.process = None

    def export(self):
        """What the device really holds: the folder with its files, or None."""
        out = self.rig.dir / "exports" / str(self.number)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        result = run(DEVICE, "export", "--store", self.store, "--out", out, check=False)
        return out if result.returncode == 0 else None


class Line:
    """`imprint run --json` that goes on: its events as they come, commands to it."""

    def __init__(self, rig, *wrapper, env=None):
        self.events, self.states = [], {}
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [str(w) for w in wrapper] + [str(IMPRINT), "run", str(rig.job), "--json"],
            env=env or rig.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for text in self.process.stdout:
            self.take(text)
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    ended = False

    def take(self, text):
        event = json.loads(text)
        with self.changed:
            self.events.append(event)
            if event.get("event") in STATES:
                self.states[event["slot"]] = event
            self.changed.notify_all()

    def wait(self, found, seconds=60):
        """Waits until found(self) is true, and returns that."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (result := found(self)):
                if self.ended or not self.changed.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"it did not come: {self.events[-12:]}")
        return result

    def wait_state(self, slot, event, seconds=60, **members):
        """Waits until the slot is in this state, and returns the event."""
        def found(line):
            now = line.states.get(slot, {"event": None})
            return now if now["event"] == event and all(
                now.get(k) == v for k, v in members.items()) else None
        return self.wait(found, seconds)

    def count(self, event, slot=None):
        with self.changed:
            return sum(e.get("event") == event and slot in (None, e.get("slot")) for e in self.events)

    def say(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def end(self):
        """Waits for the end; (exit status, the event that says so)."""
        code = self.process.wait(timeout=60)
        self.reader.join(timeout=10)
        return code, [e for e in self.events if e.get("event") == "end"][-1]

    def quit(self):
        self.say(command="quit")
        return self.end()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what nobody read
                pipe.close()


CERTIFICATE = "certificate:\n  organization: Acme Medical\n  hardware_type: 1.3.6.1.4.1.32473.1.7\n"
STATES = ("empty", "hold", "wait", "hello", "scan", "deliver", "prove", "pass", "fail", "disabled")


class Rig:
    """A station that is ready to run, in a temporary folder of its own."""

    def __init__(self, credentials=0, order=None, job=None, station=True, name="line-1"):
        self.name = name
        self.order_changes = order or {}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="imprint-e2e-"))
        self.station = self.dir / "station"
        self.owner = self.dir / "owner"
        self.job = self.dir / "job.yaml"
        self.devices = []
        for name in ("owner", "devices", "ports", "captures"):
            (self.dir / name).mkdir()
        self.make_owner()
        self.write_job(**(job or {}))
        if station:
            self.make_station()
        if credentials:
            self.imprint("generate", self.job, "--count", credentials)

    def close(self):
        for device in self.devices:
            device.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- making things

    def make_owner(self):
        run(AUTHORITY, "new", "--key", self.owner / "authority.key", "--public",
            self.owner / "authority.pub")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "3650", "-subj", "/O=Owner/CN=Owner root", "-keyout",
            self.owner / "root.key", "-out", self.owner / "root.pem")
        self.make_order_signer("orders")
        der = run_bytes("openssl", "x509", "-in", self.owner / "root.pem", "-outform", "DER")
        self.anchors = hashlib.sha256(der).hexdigest()

    def make_objects(self):
        """Firmware key, signed configuration and decommission key, as an owner makes them with
        openssl; the members of an order's objects, and the text of a job's."""
        files = {}
        for name in ("firmware_key", "configuration_key", "decommission_key"):
            run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", self.owner / f"{name}.key")
            run("openssl", "pkey", "-in", self.owner / f"{name}.key", "-pubout", "-out",
                self.owner / f"{name}.pem")
            files[name] = run_bytes("openssl", "pkey", "-pubin", "-in", self.owner / f"{name}.pem",
                                    "-outform", "DER")
        files["configuration"] = b'{"server":"https://onboarding.example"}'
        (self.owner / "configuration").write_bytes(files["configuration"])
        self.openssl_sign("configuration", b"imprint configuration v1\0" + files["configuration"])
        lines = [f"  {name}: owner/{name}{'' if name == 'configuration' else '.pem'}\n"
                 for name in files] + ["  configuration_signature: owner/configuration.sig\n"]
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        self.object_files = files
        return {"trust_anchors": self.anchors, **hashes}, "objects:\n" + "".join(lines)

    def openssl_sign(self, name, message):
        """owner/NAME.sig: a signature with NAME_key.key, as openssl writes it."""
        (self.owner / "message").write_bytes(message)
        run("openssl", "dgst", "-sha256", "-sign", self.owner / f"{name}_key.key", "-out",
            self.owner / f"{name}.sig", self.owner / "message")
        return self.owner / f"{name}.sig"

    def make_order_signer(self, name):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "3650", "-subj", f"/O=Owner/CN=Order authority {name}", "-keyout",
            self.owner / f"{name}.key", "-out", self.owner / f"{name}.pem")

    def sign_order(self, signer="orders", *options):
        """As an owner does it, with nothing but openssl."""
        run("openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer",
            self.owner / f"{signer}.pem", "-inkey", self.owner / f"{signer}.key", "-in",
            self.owner / "order.json", "-out", self.owner / "order.p7", *options)

    def share(self, counts, first=1, last=999999, prefix="PUMP-", digits=6, only=None, **more):
        """This station's entry in an order."""
        mine = json.loads((self.station / "station.json").read_text())
        return {"key": mine["key"], "issuer": mine["issuer"], **counts,
                "serials": only or {"prefix": prefix, "digits": digits, "first": first,
                                    "last": last},
                **more}

    def write_order(self, add=True, serials=None, **changes):
        """Writes and signs owner/order.p7, for this station alone unless stations says otherwise."""
        counts = {"good": 100000, "max_issued": 200000, "spoilage": 10, "rework": 0,
                  **changes.pop("counts", {})}
        order = {"type": "order", "id": "E2E-1", "environment": "test",
                 "product": "09506000134352", "use": "registration",
                 "profile": {"name": "idevid", "sha256": IDEVID},
                 "valid": {"from": "2020-01-01T00:00:00Z", "until": "2099-12-31T00:00:00Z"},
                 "software_hsm": True, "device_auth": "none", "key_modes": ["hsm"], "suites": [1],
                 "drivers": ["native"], "lock": True, "counts": counts,
                 "objects": {"trust_anchors": self.anchors}}
        order["stations"] = changes.pop("stations", None) or [self.share(counts, **(serials or {}))]
        order.update(changes)  # None takes a member out
        order = {name: value for name, value in order.items() if value is not None}
        (self.owner / "order.json").write_text(json.dumps(order))
        self.sign_order()
        self.order_hash = hashlib.sha256((self.owner / "order.json").read_bytes()).hexdigest()
        if add:
            self.add_order()

    def add_order(self, check=True):
        return self.imprint("order", "add", self.owner / "order.p7", check=check)

    def ticket(self, action, name="ticket", signer="orders", **changes):
        """A recovery ticket as the owner writes and signs it; its path."""
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        ticket = {"type": "recovery", "id": name, "environment": "test", "action": action,
                  "station": json.loads((self.station / "station.json").read_text())["key"],
                  "valid": {"from": f"{now - day:%Y-%m-%dT%H:%M:%SZ}",
                            "until": f"{now + day:%Y-%m-%dT%H:%M:%SZ}"}}
        ticket.update(changes)
        path = self.owner / f"{name}.json"
        path.write_text(json.dumps(ticket))
        run("openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer",
            self.owner / f"{signer}.pem", "-inkey", self.owner / f"{signer}.key", "-in", path,
            "-out", self.owner / f"{name}.p7")
        return self.owner / f"{name}.p7"

    def recover(self, ticket, *options, check=True):
        return self.imprint("recover", ticket, "--by", "Ada", "--reason", "a test", *options,
                            check=check)

    def write_job(self, prefix="PUMP-", digits=6, pattern="/dev/ttyFACT*", hello_ms=3000,
                  request_ms=2000, repeats=2, more="", path=None, ports=None, order="E2E-1",
                  first=1, serials=None, certificate=True):
        self.order_id = order
        (path or self.job).write_text(
            f"name: end to end\norder: {order}\ntrust_anchors: owner/root.pem\n"
            f"serials:\n" + (serials or f"  prefix: {prefix}\n  digits: {digits}\n  first: {first}\n") +
            (CERTIFICATE if certificate else "") +
            f"ports:\n" + (ports or f"  - name: {pattern}\n    slot: S{{n}}\n") +
            f"link:\n  hello_ms: {hello_ms}\n  request_ms: {request_ms}\n  repeats: {repeats}\n"
            f"{more}")

    def init_command(self, *options):
        return ("init", "--name", self.name, "--environment", "test", "--origin",
                f"acme.example/wl/{self.name}", "--customer", "Acme", "--organization", "Acme Medical",
                "--order-signers", self.owner / "orders.pem", "--pin-file", self.dir / "pin",
                *self.token_options(), *options)

    def make_station(self, *options, order=True):
        for name, pin in (("pin", "1234567890"), ("so-pin", "0987654321")):
            (self.dir / name).touch(mode=0o600)
            (self.dir / name).write_text(pin + "\n")
        self.imprint(*self.init_command(*options))
        self.set_slots("  failures: 0\n")  # most tests let devices fail on purpose
        run(AUTHORITY, "certify", "--key", self.owner / "authority.key", "--station-key",
            self.station / "station-auth.pub", "--station", self.name, "--environment", "test",
            "--out", self.station / "station.cert")
        if order:
            self.write_order(**self.order_changes)

    def set_slots(self, text):
        """The map of the slots in station.yaml, in the place of the one that is there."""
        config = self.station / "station.yaml"
        rest = re.sub(r"(?m)^slots:\n(?: .*\n)*", "", config.read_text())
        config.write_text(rest.rstrip("\n") + "\nslots:\n" + text)

    def token_options(self):
        """What `imprint init` is told of the token: nothing but its PIN, for the built-in one."""
        return "--so-pin-file", self.dir / "so-pin"

    def add_device(self, *options, start=True, number=None, **named):
        device = Device(self, number or len(self.devices) + 1, *options, **named)
        self.devices.append(device)
        if start:
            device.start()
        return device

    # ---- using things

    def environment(self):
        env = dict(os.environ)
        env.update(IMPRINT_DIR=str(self.station), TTYSHIM_DIR=str(self.dir / "ports"))
        # The sanitizer's runtime must come first, so it may not be pushed back by the shim.
        env["LD_PRELOAD"] = " ".join(filter(None, [os.environ.get("IMPRINT_PRELOAD"), str(SHIM)]))
        return env

    @staticmethod
    def once(arguments):
        """A run is one pass, unless a test starts a Line."""
        return [*arguments, "--once"] if arguments[:1] == ("run",) else arguments

    def imprint(self, *arguments, check=True, **options):
        return run(IMPRINT, *self.once(arguments), check=check, env=self.environment(), **options)

    def start_imprint(self, *arguments, env=None):
        return subprocess.Popen([str(IMPRINT), *map(str, self.once(arguments))],
                                env=env or self.environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run_json(self, *options, check=True, labels=None):
        """`imprint run --json`: (exit status, last event of each slot, stderr)."""
        result = self.imprint("run", self.job, "--json", *options, check=check, input=labels)
        slots = {}
        for line in result.stdout.splitlines():
            event = json.loads(line)
            if "slot" in event:
                slots[event["slot"]] = event
        return result.returncode, slots, result.stderr

    def status(self):
        return json.loads(self.imprint("status", "--json").stdout)

    def order_status(self):
        return next(o for o in self.status()["orders"] if o["order"] == self.order_id)

    def seal(self):
        return json.loads(self.imprint("seal", "--json").stdout)

    def pins(self):
        trust = self.station / "trust"
        return ("--root", trust / "manifest-root.pem", "--device-root", trust / "device-root.pem",
                "--log-key", trust / "log.vkey")

    def verify(self, folder, *more, check=True):
        return run(MANIFEST, "verify", *self.pins(), *more, folder, check=check)

    def accept(self, *more, check=True):
        """All manifests, into one state of an importer."""
        return run(MANIFEST, "accept", "--state", self.dir / "whitelist", *self.pins(), *more,
                   *self.manifests(), check=check)

    def manifests(self):
        return sorted(p for p in (self.station / "manifests").iterdir() if p.name[0] != ".")

    def records(self):
        """All sealed records, in order."""
        return [json.loads(line) for folder in self.manifests()
                for shard in sorted(folder.glob("devices-*.jsonl"))
                for line in shard.read_text().splitlines()]


def run_bytes(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, check=True,
                          **options).stdout
