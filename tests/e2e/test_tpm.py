"""CA signing alone on a TPM 2.0: tpm2-pkcs11 over swtpm and its resource manager."""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

import judge
from rig import BUILD, EXIT, Rig, run

MODULES = glob.glob("/usr/lib/*/pkcs11/libtpm2_pkcs11.so")
PROGRAMS = ("swtpm", "swtpm_setup", "tpm2-abrmd", "tpm2_ptool", "dbus-run-session")
SKIPPED = 77
PIN, SO_PIN, TOKEN = "123456", "12345678", "ca1"


class Tpm:
    """A TPM in a folder, with one token; needs a session bus of its own."""

    def __init__(self, folder):
        self.folder = folder
        state, store, socket = folder / "state", folder / "store", folder / "tpm.sock"
        for path in (state, store):
            path.mkdir(parents=True)
        run("swtpm_setup", "--tpm2", "--tpmstate", state, "--createek", "--overwrite")
        self.processes = [self.start(
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server",
            f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl", "--flags",
            "not-need-init,startup-clear")]
        self.wait(socket.exists)
        self.processes.append(self.start("tpm2-abrmd", "--session", "--allow-root",
                                         f"--tcti=swtpm:path={socket}"))
        os.environ.update(TPM2TOOLS_TCTI="tabrmd:bus_type=session",
                          TPM2_PKCS11_TCTI="tabrmd:bus_type=session",
                          TPM2_PKCS11_STORE=str(store))
        self.wait(lambda: self.ptool("init", check=False).returncode == 0)
        self.ptool("addtoken", "--pid", "1", "--label", TOKEN, "--sopin", SO_PIN, "--userpin", PIN)

    def start(self, *command):
        with (self.folder / f"{command[0]}.log").open("w") as log:
            return subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)

    def wait(self, ready):
        deadline = time.monotonic() + 60
        while not ready():
            if time.monotonic() > deadline or any(p.poll() is not None for p in self.processes):
                logs = [p.read_text() for p in self.folder.glob("*.log")]
                raise AssertionError("the TPM does not start:\n" + "\n".join(logs))
            time.sleep(0.1)

    def ptool(self, command, *options, check=True):
        return run("tpm2_ptool", command, "--path", os.environ["TPM2_PKCS11_STORE"], *options,
                   check=check)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


class TpmRig(Rig):
    def token_options(self):
        (self.dir / "pin").write_text(PIN + "\n")
        return "--module", MODULES[0], "--token", TOKEN


class SigningOnly(unittest.TestCase):
    def setUp(self):
        self.rig = TpmRig(station=False)
        self.addCleanup(self.rig.close)
        self.tpm = Tpm(self.rig.dir / "tpm")
        self.addCleanup(self.tpm.stop)

    def request(self):
        """A certificate request, as a device sends it that made its key by itself."""
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=device", "-keyout", self.rig.dir / "device.key", "-out",
            self.rig.dir / "device.csr")
        return self.rig.dir / "device.csr"

    def test_a_device_certificate_is_issued_by_keys_in_the_tpm(self):
        out = self.rig.dir / "out"
        out.mkdir()
        said = run(BUILD / "tests/e2e/tpm_ca", MODULES[0], TOKEN, PIN, self.request(), out).stdout
        verified = run("openssl", "verify", "-x509_strict", "-CAfile", out / "root.pem",
                       "-untrusted", out / "issuing.pem", out / "device.pem").stdout
        self.assertIn("device.pem: OK", verified)
        self.assertEqual(run("openssl", "x509", "-in", out / "device.pem", "-noout", "-pubkey").stdout,
                         run("openssl", "pkey", "-in", self.rig.dir / "device.key", "-pubout").stdout)
        self.assertIn("suites: 0\n", said)
        self.assertIn("storage: ERR_REFUSED\n", said)
        self.assertIn("can sign but not carry device keys", said)
        self.assertIn("ledger key: ERR_HSM\n", said)
        self.assertIn("CKA_DECRYPT: always true", said)
        # The keys stay: a second ceremony finds them.
        again = run(BUILD / "tests/e2e/tpm_ca", MODULES[0], TOKEN, PIN, self.request(), out,
                    check=False)
        self.assertEqual(again.returncode, EXIT["EXISTS"])
        self.assertIn("key 'root-ca' already", again.stderr)

    def test_a_station_is_refused_before_any_key_is_made(self):
        (self.rig.dir / "pin").touch(mode=0o600)
        result = self.rig.imprint(
            "init", "--name", "line-1", "--environment", "test", "--origin", "acme.example/wl/1",
            "--customer", "Acme", "--organization", "Acme", "--order-signers",
            self.rig.owner / "orders.pem", "--pin-file", self.rig.dir / "pin",
            *self.rig.token_options(), check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("can sign but cannot hold a station", result.stderr)
        self.assertFalse(self.rig.station.exists())
        objects = self.tpm.ptool("listobjects", "--label", TOKEN).stdout
        self.assertNotIn("CKA_LABEL", objects)


class TpmCaRig(Rig):
    """A station on the built-in token whose CA keys are in the TPM; it is made once that runs."""

    def init_command(self, *options):
        (self.dir / "ca-pin").touch(mode=0o600)
        (self.dir / "ca-pin").write_text(PIN + "\n")
        return super().init_command("--ca-module", MODULES[0], "--ca-token", TOKEN,
                                    "--ca-pin-file", self.dir / "ca-pin", *options)


class WholeFlow(unittest.TestCase):
    """The main job with keys that the devices make: the TPM signs their certificates."""

    def setUp(self):
        self.rig = TpmCaRig(station=False, order={"key_modes": ["device"]})
        self.addCleanup(self.rig.close)
        self.tpm = Tpm(self.rig.dir / "tpm")
        self.addCleanup(self.tpm.stop)
        self.rig.make_station()

    def test_devices_get_certificates_that_a_tpm_signed(self):
        rig = self.rig
        objects = self.tpm.ptool("listobjects", "--label", TOKEN).stdout
        self.assertEqual(objects.count("CKA_LABEL"), 4)
        devices = [rig.add_device() for _ in range(2)]
        code, slots, said = rig.run_json(check=False)
        self.assertEqual((code, {s["event"] for s in slots.values()}), (0, {"pass"}), (slots, said))
        rig.seal()
        rig.verify(rig.manifests()[-1])
        for record in judge.check_all(rig, devices).values():
            self.assertEqual((record["mode"], record["hsm"]), ("device", "software"))
        self.assertIn("entries", rig.imprint("ledger", "verify").stdout)
        audit = rig.imprint("audit", check=False)
        self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
        made = json.loads((rig.station / "ceremony.json").read_text())["hsm"]
        self.assertEqual(made["class"], "software")
        self.assertNotEqual(made["ca"]["class"], "software")

    def test_without_the_tpm_nothing_is_issued(self):
        rig = self.rig
        rig.add_device()
        path = rig.station / "station.yaml"
        whole = path.read_text()
        path.write_text(whole.replace(f'ca_token: "{TOKEN}"', 'ca_token: "another"'))
        result = rig.imprint("run", rig.job, check=False)
        self.assertEqual(result.returncode, EXIT["TOKEN"], result.stderr)
        path.write_text(whole.replace(MODULES[0], ""))
        result = rig.imprint("run", rig.job, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("issuing", result.stderr)

    def test_keys_from_the_hsm_are_certified_by_the_tpm_as_well(self):
        rig = self.rig
        rig.write_order(id="E2E-2", key_modes=["hsm"])
        rig.write_job(order="E2E-2")
        rig.imprint("generate", rig.job, "--count", 2)
        device = rig.add_device()
        self.assertEqual(rig.run_json()[0], 0)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        judge.check_all(rig, [device])


if __name__ == "__main__":
    missing = [p for p in PROGRAMS if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing or not MODULES:
        print(f"skipped: {', '.join(missing or ['libtpm2_pkcs11.so'])} is not installed")
        sys.exit(SKIPPED)
    if "IMPRINT_TPM_BUS" not in os.environ:
        os.environ["IMPRINT_TPM_BUS"] = "1"
        os.environ["PATH"] += ":/usr/sbin"
        os.execvp("dbus-run-session", ["dbus-run-session", "--", sys.executable, *sys.argv])
    unittest.main()
