"""Attested devices, devices behind sockets, and what the station's processes may do."""
import base64
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from rig import EXIT, IMPRINT, Rig, TerminalServer, run, run_bytes


class Vendor:
    """A silicon vendor with nothing but openssl: a root, a CA, a key in every chip."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.root = self.folder / "root.pem"
        self.make("root", "critical,CA:TRUE", "critical,keyCertSign", None)
        self.make("ca", "critical,CA:TRUE,pathlen:0", "critical,keyCertSign", "root")

    def make(self, name, constraints, usage, issuer):
        key, out = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "3650", "-subj", f"/O={self.folder.name}/CN={name}", "-addext",
            f"basicConstraints={constraints}", "-addext", f"keyUsage={usage}", "-keyout", key,
            "-out", out)
        if issuer:
            self.sign(name, constraints, usage, issuer)
        return key, out

    def sign(self, name, constraints, usage, issuer):
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(f"basicConstraints={constraints}\nkeyUsage={usage}\n"
                              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        run("openssl", "req", "-new", "-key", self.folder / f"{name}.key", "-subj",
            f"/O={self.folder.name}/CN={name}", "-out", self.folder / f"{name}.csr")
        run("openssl", "x509", "-req", "-in", self.folder / f"{name}.csr", "-CA",
            self.folder / f"{issuer}.pem", "-CAkey", self.folder / f"{issuer}.key", "-days", "3650",
            "-extfile", extensions, "-out", self.folder / f"{name}.pem")

    def chip(self, name):
        """Options of a device whose key this vendor certified."""
        key, cert = self.make(name, "critical,CA:FALSE", "critical,digitalSignature", "ca")
        chain = self.folder / f"{name}-chain.pem"
        chain.write_text(cert.read_text() + (self.folder / "ca.pem").read_text())
        return ["--enrol-key", key, "--enrol-chain", chain]

    def root_hash(self):
        return hashlib.sha256(run_bytes("openssl", "x509", "-in", self.root, "-outform",
                                        "DER")).hexdigest()


def lp(data):
    return len(data).to_bytes(2, "big") + data


def split(data):
    """The lp() fields of some bytes."""
    fields = []
    while data:
        length = int.from_bytes(data[:2], "big")
        fields.append(data[2:2 + length])
        data = data[2 + length:]
    return fields


class Station(unittest.TestCase):
    def setUp(self):
        self.rig = None
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.close()
        if self.rig:
            self.rig.close()

    def make(self, **options):
        self.rig = Rig(**options)
        return self.rig


class AttestedStation(Station):
    def make_attested(self, credentials):
        rig = self.make(station=False)
        self.vendor = Vendor(rig.dir, "vendor")
        rig.make_station(order=False)
        rig.write_order(device_auth="attested", vendor_roots=[self.vendor.root_hash()])
        rig.write_job(more="vendor_roots: vendor/root.pem\n")
        rig.imprint("generate", rig.job, "--count", credentials)
        return rig


class Attested(AttestedStation):
    def evidence(self, rig, record):
        for folder in rig.manifests():
            for path in folder.glob("evidence-*.jsonl"):
                for line in path.read_bytes().splitlines():
                    if hashlib.sha256(line).hexdigest() == record["ev"]:
                        return json.loads(line)
        raise AssertionError(f"no evidence {record['ev']}")

    def test_attested_devices_are_whitelisted_with_what_attests_them(self):
        rig = self.make_attested(5)
        for name in ("chip1", "chip2"):
            rig.add_device(*self.vendor.chip(name))
        code, slots, said = rig.run_json()
        self.assertEqual((code, [s["event"] for s in slots.values()]), (0, ["pass", "pass"]), said)
        rig.seal()
        rig.verify(rig.manifests()[0])
        records = rig.records()
        self.assertEqual([r["auth"] for r in records], ["attested", "attested"])
        for record in records:
            self.judge(self.evidence(rig, record), record)
        code, slots, _ = rig.run_json()
        self.assertTrue(all(s["again"] for s in slots.values()))

    def judge(self, evidence, record):
        """Chain and statement, verified with software that is not ours."""
        att = base64.b64decode(evidence["att"])
        point, signature, chain = split(att[2:])
        certs, rest = [], chain
        while rest:
            length = 4 + int.from_bytes(rest[2:4], "big")
            certs.append(x509.load_der_x509_certificate(rest[:length]))
            rest = rest[length:]
        root = x509.load_pem_x509_certificate(self.vendor.root.read_bytes())
        for cert, issuer in zip(certs, certs[1:] + [root]):
            issuer.public_key().verify(cert.signature, cert.tbs_certificate_bytes,
                                       ec.ECDSA(hashes.SHA256()))
        key = certs[0].public_key()
        numbers = key.public_numbers()
        self.assertEqual(point, b"\4" + numbers.x.to_bytes(32, "big") +
                         numbers.y.to_bytes(32, "big"))
        fields = split(base64.b64decode(evidence["x"])[2:])
        nonce, chip, transport = fields[3], fields[5], fields[6]
        self.assertEqual(chip.hex(), record["chip"])
        key.verify(utils.encode_dss_signature(int.from_bytes(signature[:32], "big"),
                                              int.from_bytes(signature[32:], "big")),
                   b"imprint attest v1\0" + lp(bytes([0, 1, 0, 2])) + lp(nonce) + lp(chip) +
                   lp(transport) + b"\1", ec.ECDSA(hashes.SHA256()))

    def refused(self, options, status, text):
        rig = self.rig
        device = rig.add_device(*options, number=1)
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, EXIT[status], slots)
        self.assertIn(text, slots["S1"]["text"])
        self.assertEqual(rig.order_status()["available"], 3)
        device.stop()
        device.port.unlink(missing_ok=True)

    def test_devices_that_no_vendor_of_the_order_attests_get_nothing(self):
        rig = self.make_attested(3)
        other = Vendor(rig.dir, "other")
        genuine = self.vendor.chip("genuine")
        self.refused([], "REFUSED", "no certificate of its vendor")
        self.refused(genuine[:2], "REFUSED", "no certificate of its vendor")
        self.refused(other.chip("chip"), "SIGNATURE", "do not lead to a root of the order")
        stolen = other.chip("thief")[:2] + genuine[2:]  # a chain that is another chip's
        self.refused(stolen, "SIGNATURE", "another key than its vendor certified")
        rig.add_device(*genuine, number=1)
        code, slots, _ = rig.run_json(check=False)
        self.assertEqual(code, 0, slots)

    def test_the_order_chooses_the_roots(self):
        rig = self.make_attested(1)
        Vendor(rig.dir, "other")
        rig.write_job(more="vendor_roots: other/root.pem\n")
        result = rig.imprint("run", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("not exactly the vendor roots", result.stderr)


class Sockets(Station):
    def serve(self, device, family, address):
        server = TerminalServer(device, family, address)
        self.servers.append(server)
        return server

    def test_devices_behind_tcp_and_local_sockets(self):
        rig = self.make(credentials=3)
        devices = [rig.add_device() for _ in range(3)]
        tcp = self.serve(devices[0], socket.AF_INET, ("127.0.0.1", 0))
        path = rig.dir / "device.socket"
        self.serve(devices[1], socket.AF_UNIX, str(path))
        rig.write_job(ports=f"  - tcp: 127.0.0.1:{tcp.address[1]}\n    slot: T1\n"
                            f"  - unix: {path}\n    slot: U1\n"
                            f"  - name: {'/dev/ttyFACT3'}\n    slot: S1\n")
        listed = [json.loads(line) for line in
                  rig.imprint("devices", rig.job, "--json").stdout.splitlines()]
        self.assertEqual({p["port"]: p["slot"] for p in listed if p["slot"]},
                         {f"tcp:127.0.0.1:{tcp.address[1]}": "T1", f"unix:{path}": "U1",
                          "/dev/ttyFACT3": "S1"})
        code, slots, said = rig.run_json(check=False)
        self.assertEqual((code, {k: s["event"] for k, s in slots.items()}),
                         (0, {"T1": "pass", "U1": "pass", "S1": "pass"}), (slots, said))
        rig.seal()
        rig.verify(rig.manifests()[0])

    def test_addresses_where_nobody_answers_fail_alone(self):
        rig = self.make(credentials=3)
        rig.add_device()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            rig.write_job(ports=f"  - tcp: 127.0.0.1:{unused.getsockname()[1]}\n    slot: T1\n"
                                f"  - unix: {rig.dir}/nothing\n    slot: U1\n"
                                f"  - name: /dev/ttyFACT*\n    slot: S1\n")
            code, slots, _ = rig.run_json(check=False)
        self.assertEqual({k: (s["event"], s.get("error")) for k, s in slots.items()},
                         {"T1": ("fail", "ERR_IO"), "U1": ("fail", "ERR_MISSING"),
                          "S1": ("pass", None)})
        self.assertIn("Connection refused", slots["T1"]["text"])

    def test_addresses_that_are_none_are_mistakes_of_the_job(self):
        rig = self.make(station=False)
        for wrong in ("tcp: nowhere", "tcp: host:0", "tcp: host:65536", "tcp: '::1:4001'",
                      "unix: relative", "tcp: host:1\n    unix: /x", "slot: S2"):
            slot = "" if wrong.startswith("slot") else "    slot: S1\n"
            rig.write_job(ports=f"  - {wrong}\n{slot}")
            result = rig.imprint("devices", rig.job, check=False)
            self.assertEqual(result.returncode, EXIT["INPUT"], wrong)
            self.assertIn("rule 1 of 'ports'", result.stderr)
        rig.write_job(ports="  - tcp: h:1\n    slot: S{n}\n" * 2)
        result = rig.imprint("devices", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["INPUT"])
        self.assertIn("'tcp:h:1' is in rule 1 already", result.stderr)


CHECKER = "imprint-checker"


def status_of(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split()[1]
    return None


class Processes(AttestedStation):
    """What can be seen of the processes from outside, while a device keeps the line waiting."""

    def start(self):
        rig = self.make_attested(1)
        rig.write_job(hello_ms=60000, more="vendor_roots: vendor/root.pem\n")
        rig.add_device("--fault", "silent")
        self.vault = rig.start_imprint("run", rig.job)
        deadline = time.monotonic() + 60
        self.others = {}
        while not ({"imprint-line", "imprint-opener", CHECKER} <= set(self.others) and
                   all(status_of(p, "Seccomp") == "2" for p in self.others.values())):
            self.assertLess(time.monotonic(), deadline, self.others)
            self.assertIsNone(self.vault.poll())
            children = pathlib.Path(f"/proc/{self.vault.pid}/task/{self.vault.pid}/children")
            self.others = {status_of(pid, "Name"): int(pid) for pid in children.read_text().split()}
            time.sleep(0.05)

    def tearDown(self):
        if getattr(self, "vault", None) and self.vault.poll() is None:
            self.vault.kill()
        if getattr(self, "vault", None):
            self.vault.communicate()
        super().tearDown()

    def test_line_and_checker_hold_nothing_but_what_they_need(self):
        self.start()
        for name, pid in self.others.items():
            self.assertEqual(status_of(pid, "NoNewPrivs"), "1", name)
            self.assertEqual(int(status_of(pid, "CapEff"), 16), 0, name)
            opens = name == "imprint-opener"  # files: Landlock and the calls hold it instead
            for kind in ("net", "ipc", "user") if opens else ("net", "ipc", "mnt", "user"):
                self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{kind}"),
                                    os.readlink(f"/proc/self/ns/{kind}"), (name, kind))
            if not opens:
                self.assertEqual(os.listdir(f"/proc/{pid}/root"), [], name)
        kinds = sorted(os.readlink(f"/proc/{self.others[CHECKER]}/fd/{fd}").split(":")[0]
                       for fd in os.listdir(f"/proc/{self.others[CHECKER]}/fd"))
        self.assertEqual(kinds[:2], ["/dev/null", "/dev/null"])
        self.assertEqual(len(kinds), 4)  # stdin, stdout, stderr and the socket

    def test_they_end_with_the_vault(self):
        self.start()
        self.vault.send_signal(signal.SIGKILL)
        self.vault.wait()
        deadline = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{pid}") and status_of(pid, "State") != "Z"
                  for pid in self.others.values()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


def may_lock_memory():
    """As the kernel has it: no limit, or CAP_IPC_LOCK."""
    return (resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY or
            bool(int(status_of("self", "CapEff"), 16) >> 14 & 1))


@unittest.skipUnless(shutil.which("setpriv"), "setpriv is not installed")
class Memory(Station):
    LIMITED = ("prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock",
               "--inh-caps=-ipc_lock")

    def status(self, limits, *options):
        return run(*limits, IMPRINT, "status", *options, env=self.rig.environment()).stdout

    def test_status_says_when_memory_is_not_locked(self):
        self.make()
        for limits, locked in ((self.LIMITED, False), ((), may_lock_memory())):
            said = json.loads(self.status(limits, "--json"))
            self.assertEqual(said["memory_locked"], locked)
            self.assertEqual("swap" in self.status(limits), not locked)


if __name__ == "__main__":
    unittest.main()
