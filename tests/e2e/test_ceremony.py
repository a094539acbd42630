"""The key ceremony and what comes after it: questions, file, transcript, audit, and the PIN."""
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import time
import unittest

from rig import BUILD, EXIT, IMPRINT, Rig, run

PROXY = BUILD / "tests/p11proxy/p11proxy.so"
FINAL_TRY = "0x20000"  # CKF_USER_PIN_FINAL_TRY
LIMIT = 60


def at_terminal(arguments, dialogue, env):
    """Runs imprint on a terminal of its own; (exit status, all that was shown). dialogue: (what it
    asks, what is answered, or a function of the process's number that says it)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(str(IMPRINT), [str(IMPRINT), *map(str, arguments)], env)
    shown, seen, deadline = "", 0, time.monotonic() + LIMIT
    left = list(dialogue)
    while True:
        if left and left[0][0] in shown[seen:]:
            seen = shown.index(left[0][0], seen) + len(left[0][0])
            answer = left.pop(0)[1]
            os.write(fd, ((answer(pid) if callable(answer) else answer) + "\n").encode())
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
        try:
            part = os.read(fd, 4096) if ready else b""
        except OSError:  # the other end is gone
            part = b""
        if not part:
            break
        shown += part.decode()
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    if left:
        raise AssertionError(f"never asked {left[0][0]!r}:\n{shown}")
    return os.waitstatus_to_exitcode(status), shown


class WithRig(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(station=False)
        self.addCleanup(self.rig.close)
        for name, pin in (("pin", "1234567890"), ("so-pin", "0987654321"), ("wrong", "1111111111")):
            (self.rig.dir / name).touch(mode=0o600)
            (self.rig.dir / name).write_text(pin + "\n")

    def init(self, *options, check=True, **more):
        return self.rig.imprint("init", "--name", "line-1", "--environment", "test", "--origin",
                                "acme.example/wl/line1", "--customer", "Acme", "--organization",
                                "Acme Medical", "--order-signers", self.rig.owner / "orders.pem",
                                "--so-pin-file", self.rig.dir / "so-pin", *options, check=check,
                                **more)

    def config(self, **changes):
        path = self.rig.station / "station.yaml"
        text = path.read_text()
        for name, value in changes.items():
            text = re.sub(rf"(?m)^{name}: .*$", f'{name}: "{value}"', text)
        path.write_text(text)

    def no_terminal(self, *arguments, **env):
        return self.rig.imprint(*arguments, check=False, start_new_session=True) if not env else \
            run(IMPRINT, *arguments, check=False, start_new_session=True,
                env={**self.rig.environment(), **env})


class Questions(WithRig):
    def dialogue(self, pin_again="246824"):
        signers = str(self.rig.owner / "orders.pem")
        return [("name: ", ""), ("name: ", "line-1"),
                ("environment: development, staging or production [development]: ", "test"),
                ("origin: ", "acme.example/wl/line1"), ("customer: ", "Acm\u00e9"),
                ("customer: ", "Acme"), ("organization: ", "Acme Medical"),
                ("order_signers: ", signers), ("[nobody]: ", ""), ("[own]: ", ""),
                ("[ask each time]: ", ""),
                ("[ask now]: ", ""), ("[SoftHSM2, in the station's directory]: ", ""),
                ("[the station's name]: ", ""), ("such as 0x01800100 [none]: ", ""),
                ("PIN of the new token: ", "246824"),
                ("PIN of the new token, again: ", pin_again)]

    def test_a_person_is_asked_for_everything_and_the_pin_is_not_shown(self):
        env = self.rig.environment()
        so = [("security officer's PIN of the new token: ", "135791"),
              ("security officer's PIN of the new token, again: ", "135791")]
        code, shown = at_terminal(["init"], self.dialogue() + so, env)
        self.assertEqual(code, 0, shown)
        self.assertIn("this is needed", shown)
        self.assertIn("printable ASCII", shown)
        for pin in ("246824", "135791"):
            self.assertNotIn(pin, shown)
            self.assertNotIn(pin, (self.rig.station / "station.yaml").read_text())
        code, shown = at_terminal(["audit"], [("PIN of token 'line-1': ", "246824")], env)
        self.assertEqual(code, 0, shown)
        self.assertIn("0 faults", shown)

    def test_two_different_pins_make_nothing(self):
        code, shown = at_terminal(["init"], self.dialogue(pin_again="246825"),
                                  self.rig.environment())
        self.assertEqual(code, EXIT["PIN"], shown)
        self.assertIn("differ", shown)
        self.assertFalse(self.rig.station.exists())

    def test_the_end_of_the_answers_makes_nothing(self):
        code, shown = at_terminal(["init", "--name", "x"], [("[development]: ", "\x04")],
                                  self.rig.environment())
        self.assertEqual(code, EXIT["INTERRUPTED"], shown)
        self.assertFalse(self.rig.station.exists())

    def test_nothing_is_asked_when_all_was_given(self):
        env = self.rig.environment()
        code, shown = at_terminal(
            ["init", "--name", "line-1", "--environment", "test", "--origin", "a/b", "--customer",
             "Acme", "--organization", "Acme", "--order-signers", self.rig.owner / "orders.pem",
             "--pin-file", self.rig.dir / "pin", "--so-pin-file", self.rig.dir / "so-pin"], [], env)
        self.assertEqual(code, 0, shown)


class File(WithRig):
    def write(self, text):
        path = self.rig.dir / "ceremony.yaml"
        path.write_text(text)
        return path

    GOOD = ("name: line-1\nenvironment: test\norigin: acme.example/wl/line1\ncustomer: Acme\n"
            "organization: Acme Medical\norder_signers: owner/orders.pem\npin_file: pin\n"
            "so_pin_file: so-pin\n")

    def test_a_file_makes_the_station_and_options_win(self):
        path = self.write(self.GOOD)
        self.rig.imprint("init", "--file", path, "--customer", "Other", cwd="/")
        text = (self.rig.station / "station.yaml").read_text()
        self.assertIn('customer: "Other"', text)
        self.assertIn('origin: "acme.example/wl/line1"', text)
        self.assertIn(f'pin_file: "{self.rig.dir}/pin"', text)
        self.rig.imprint("audit", cwd="/")

    def test_mistakes_have_a_place(self):
        for text, name, part in (
                (self.GOOD.replace("customer", "custommer"), "INPUT",
                 "ceremony.yaml:4:1: unknown field 'custommer'; did you mean 'customer'?"),
                (self.GOOD.replace("test", "a" * 17), "INPUT", "ceremony.yaml:2:14: 'environment'"),
                (self.GOOD + "name: twice\n", "INPUT", "ceremony.yaml:9:"),
                (self.GOOD.replace("Acme\n", "Acm\u00e9\n"), "INPUT", "printable ASCII"),
                (self.GOOD + "pin: 1234567890\n", "INPUT", "unknown field 'pin'"),
                (self.GOOD.replace("customer: Acme\n", ""), "USAGE", "needs --customer")):
            result = self.no_terminal("init", "--file", self.write(text))
            self.assertEqual(result.returncode, EXIT[name], result.stderr)
            self.assertIn(part, result.stderr)
            self.assertFalse(self.rig.station.exists())

    def test_folders_on_the_way_are_not_made(self):
        place = self.rig.dir / "mistyped" / "station"
        result = self.init("--dir", place, "--pin-file", self.rig.dir / "pin", check=False)
        self.assertEqual(result.returncode, EXIT["MISSING"], result.stderr)
        self.assertIn("mkdir -p", result.stderr)
        self.assertFalse(place.parent.exists())


class Transcript(WithRig):
    def setUp(self):
        super().setUp()
        for name in ("alice", "bob"):
            self.rig.make_order_signer(name)
        self.custodians = self.rig.owner / "custodians.pem"
        self.custodians.write_text("".join((self.rig.owner / f"{name}.pem").read_text()
                                           for name in ("alice", "bob")))
        self.init("--pin-file", self.rig.dir / "pin", "--custodians", self.custodians)
        self.file = self.rig.station / "ceremony.json"

    def sign(self, name, *options, file=None):
        run("openssl", "cms", "-sign", "-binary", "-in", self.file, "-signer",
            self.rig.owner / f"{name}.pem", "-inkey", self.rig.owner / f"{name}.key", "-outform",
            "DER", "-out", self.rig.station / "ceremony" / (file or f"{name}.p7s"), *options)

    def audit(self):
        """(exit status, {name: file} of custodians, [findings])"""
        result = self.rig.imprint("audit", "--json", check=False)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        return (result.returncode,
                {e["name"]: e["file"] for e in lines if e.get("event") == "custodian"},
                [e for e in lines if e.get("event") == "finding"])

    def refused(self, key, kind="differs"):
        code, _, findings = self.audit()
        self.assertEqual(code, EXIT["INTEGRITY"], findings)
        self.assertIn((kind, key), [(f["kind"], f["key"]) for f in findings])
        return findings

    def test_its_hash_stands_in_the_ledger_and_it_names_what_was_made(self):
        entry = json.loads(self.rig.imprint("ledger", "show").stdout.splitlines()[0])
        self.assertEqual(entry["data"]["ceremony"],
                         hashlib.sha256(self.file.read_bytes()).hexdigest())
        said = json.loads(self.file.read_text())
        self.assertEqual(self.file.read_text(),
                         json.dumps(said, sort_keys=True, separators=(",", ":")))
        self.assertEqual(said["order_signers"], entry["data"]["order_signers"])
        self.assertEqual(said["by"], entry["by"])
        self.assertEqual(said["custodians"],
                         hashlib.sha256(self.custodians.read_bytes()).hexdigest())
        labels = [key["label"] for key in said["keys"]]
        self.assertEqual(sorted(labels), sorted(set(labels)))
        self.assertEqual(len(labels), 10)
        keys = {key["label"]: key for key in said["keys"]}
        for label, path in (("root-ca", "ca/device-root.pem"), ("issuing-ca", "ca/issuing-ca.pem"),
                            ("manifest-sign", "ca/manifest-signer.pem")):
            pem = self.rig.station / path
            public = run("openssl", "x509", "-in", pem, "-noout", "-pubkey").stdout
            der = self.rig.dir / "key.der"
            run("openssl", "pkey", "-pubin", "-outform", "DER", "-out", der, input=public)
            self.assertEqual(keys[label]["spki_sha256"],
                             hashlib.sha256(der.read_bytes()).hexdigest())
            finger = run("openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha256").stdout
            self.assertEqual(said["certificates"][path],
                             finger.split("=")[1].strip().replace(":", "").lower())

    def test_signatures_of_custodians_are_listed(self):
        self.assertEqual(self.audit(), (0, {"Order authority alice": None,
                                            "Order authority bob": None}, []))
        self.sign("alice")
        self.assertEqual(self.audit()[:2], (0, {"Order authority alice": "alice.p7s",
                                                "Order authority bob": None}))
        self.sign("bob", file="b.p7s")
        self.assertEqual(self.audit()[:2], (0, {"Order authority alice": "alice.p7s",
                                                "Order authority bob": "b.p7s"}))
        run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in",
            self.rig.station / "ceremony/alice.p7s", "-content", self.file, "-CAfile",
            self.rig.owner / "alice.pem", "-purpose", "any", "-out", "/dev/null")

    def test_signatures_that_are_none_are_faults(self):
        folder = self.rig.station / "ceremony"
        self.sign("orders")
        self.refused("ceremony/orders.p7s")
        (folder / "orders.p7s").unlink()
        self.sign("alice", "-nodetach")
        self.refused("ceremony/alice.p7s")
        self.sign("alice", "-md", "sha1")
        self.refused("ceremony/alice.p7s")
        self.sign("alice")
        good = (folder / "alice.p7s").read_bytes()
        for bad in (good[:-1], b"", good + b"x", good[:-20] + bytes(20)):
            (folder / "alice.p7s").write_bytes(bad)
            self.refused("ceremony/alice.p7s")
        (folder / "alice.p7s").write_bytes(good)
        self.assertEqual(self.audit()[0], 0)

    def test_what_was_exchanged_since_is_a_fault(self):
        self.sign("alice")
        for name, other in (("ceremony.json", None), ("custodians.pem", "owner/orders.pem"),
                            ("ca/issuing-ca.pem", "station/ca/device-root.pem")):
            path = self.rig.station / name
            good = path.read_bytes()
            path.write_bytes((self.rig.dir / other).read_bytes() if other
                             else good.replace(b'"station":"line-1"', b'"station":"line-2"'))
            self.refused(name)
            path.write_bytes(good)
            self.assertEqual(self.audit()[0], 0, name)
        self.file.rename(self.rig.dir / "away")
        self.refused("ceremony.json", "missing")

    def test_an_object_that_was_deleted_from_the_token_is_told(self):
        before = json.loads(self.rig.imprint("audit", "--json").stdout.splitlines()[-1])
        self.assertEqual((before["objects"], before["faults"], before["hsm"]), (16, 0, "software"))
        self.assertIn("memory of the process", before["text"])
        objects = sorted((self.rig.station / "tokens").glob("*/*-*.object"))
        self.assertEqual(len(objects), 16)
        for name in objects:
            bytes_of_it = name.read_bytes()
            name.unlink()
            code, _, findings = self.audit()
            self.assertEqual(code, EXIT["INTEGRITY"])
            self.assertIn("missing", [f["kind"] for f in findings])
            name.write_bytes(bytes_of_it)
        objects[0].unlink()
        words = self.rig.imprint("audit", check=False)
        self.assertEqual(words.returncode, EXIT["INTEGRITY"])
        self.assertIn("missing ", words.stdout)
        self.assertIn("call the security team", words.stderr)


class OtherToken(WithRig):
    """The station's configuration leads to something else than the token of the ceremony."""

    def setUp(self):
        super().setUp()
        self.init("--pin-file", self.rig.dir / "pin")
        self.rig.write_order(id="SOFT")

    def test_a_module_that_claims_another_class_is_refused(self):
        config = self.rig.station / "station.yaml"
        text = config.read_text()
        module = re.search(r'(?m)^module: "(.*)"', text).group(1)
        claims = self.rig.dir / "hard.so"
        with open(module, "rb") as file:
            claims.write_bytes(file.read().replace(b"SoftHSM", b"HardHSM"))
        config.write_text(text.replace(module, str(claims)))
        self.rig.write_order(id="HARD", software_hsm=False, add=False)
        self.rig.write_job(order="SOFT")
        for command in (("order", "add", self.rig.owner / "order.p7"), ("seal",),
                        ("generate", self.rig.job, "--count", 1), ("run", self.rig.job)):
            refused = self.rig.imprint(*command, check=False)
            self.assertEqual(refused.returncode, EXIT["INTEGRITY"], refused.stderr)
            self.assertIn("'HardHSM v2', and at the ceremony it was 'software'", refused.stderr)
        audit = self.rig.imprint("audit", check=False)
        self.assertEqual(audit.returncode, EXIT["INTEGRITY"])
        self.assertIn("another kind of HSM", audit.stdout)
        config.write_text(text)
        self.assertEqual(self.rig.imprint("seal").stderr, "")

    def test_another_token_of_the_same_class_is_told(self):
        said = json.loads((self.rig.station / "ceremony.json").read_text())
        serial = said["hsm"]["token"]["serial"].encode()
        token, = (self.rig.station / "tokens").glob("*/token.object")
        self.assertIn(serial, token.read_bytes())
        token.write_bytes(token.read_bytes().replace(serial, b"0123456789abcdef"))
        self.assertIn("not the token of the ceremony", self.rig.imprint("seal").stderr)


class Storage(WithRig):
    def test_each_order_has_a_storage_key_of_its_own_and_audit_misses_it(self):
        self.init("--pin-file", self.rig.dir / "pin")
        tokens = self.rig.station / "tokens"
        seen, made = set(tokens.glob("*/*.object")), []
        for order in ("E2E-1", "E2E-2"):
            self.rig.write_order(id=order)
            self.rig.write_job(order=order)
            self.rig.imprint("generate", self.rig.job, "--count", 2)
            self.rig.imprint("generate", self.rig.job, "--count", 2)  # no second key
            made.append((set(tokens.glob("*/*.object")) - seen, self.rig.order_hash))
            seen |= made[-1][0]
        self.assertEqual([len(files) for files, _ in made], [1, 1])
        result = self.rig.imprint("audit")
        self.assertIn("18 objects", result.stdout)
        for files, order in made:
            file = files.pop()
            file.rename(self.rig.dir / "away")
            result = self.rig.imprint("audit", check=False)
            self.assertEqual(result.returncode, EXIT["INTEGRITY"])
            self.assertIn(f"missing    storage:ec:{order[:16]}: ", result.stdout)
            self.assertIn(" 1 faults", result.stdout)
            (self.rig.dir / "away").rename(file)


class Pin(WithRig):
    def setUp(self):
        super().setUp()
        self.init("--pin-file", self.rig.dir / "pin")
        self.credentials = self.rig.dir / "credentials"
        self.credentials.mkdir()

    def credential(self, source):
        shutil.copy(self.rig.dir / source, self.credentials / "imprint-pin")
        return {"CREDENTIALS_DIRECTORY": str(self.credentials)}

    def works(self, **env):
        result = self.no_terminal("ledger", "verify", **env)
        self.assertEqual(result.returncode, 0, result.stderr)

    def refused(self, text, *command, **env):
        result = self.no_terminal(*(command or ("ledger", "verify")), **env)
        self.assertEqual(result.returncode, EXIT["PIN"], result.stderr)
        self.assertIn(text, result.stderr)

    def test_the_ways_and_their_order(self):
        right, wrong = self.rig.dir / "pin", self.rig.dir / "wrong"
        self.works()
        self.config(pin_file=wrong)
        self.works(**self.credential("pin"))
        self.config(pin_file=right)
        self.refused("refuses the PIN", **self.credential("wrong"))
        self.config(pin_file=right, token=f"pkcs11:token=line-1?pin-source=file:{wrong}")
        self.works()
        self.config(pin_file="", token=f"pkcs11:token=line-1?pin-source=file:{right}")
        self.works()
        self.config(token=f"pkcs11:token=line-1?pin-source={wrong}")
        self.refused("refuses the PIN")
        self.works(**self.credential("pin"))
        self.config(token="line-1")
        for way in ("pin_file", "pin-source", "imprint-pin", "terminal"):
            self.refused(way)
        (self.credentials / "imprint-pin").unlink()
        self.refused("pin_file", CREDENTIALS_DIRECTORY=str(self.credentials))

    def test_a_pin_in_the_uri_is_refused_and_not_shown(self):
        self.config(pin_file="", token="pkcs11:token=line-1?pin-value=1234567890")
        for arguments in (("ledger", "verify"), ("audit",)):
            result = self.no_terminal(*arguments)
            self.assertEqual(result.returncode, EXIT["INPUT"], result.stderr)
            self.assertIn("pin-value", result.stderr)
            self.assertNotIn("1234567890", result.stderr)

    def test_a_credential_that_others_may_read_is_refused(self):
        env = self.credential("pin")
        (self.credentials / "imprint-pin").chmod(0o644)
        self.refused("others may read it", **env)

    def behind_proxy(self, **more):
        module = re.search(r'(?m)^module: "(.*)"', (self.rig.station / "station.yaml").read_text())
        if module.group(1) != str(PROXY):
            self.real = module.group(1)
            self.config(module=PROXY)
        self.log = self.rig.dir / "calls"
        self.log.unlink(missing_ok=True)
        return {"P11PROXY_MODULE": self.real, "P11PROXY_FUNCTION": "C_Login",
                "P11PROXY_LOG": str(self.log), **more}

    def logins(self):
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def test_a_wrong_pin_is_spent_once_by_each_command(self):
        self.rig.write_order()
        generate = ("generate", self.rig.job, "--count", "1")
        order = ("order", "add", self.rig.owner / "order.p7")
        self.config(pin_file=self.rig.dir / "wrong")
        for command in (generate, generate, ("run", self.rig.job), ("seal",), ("audit",), order):
            self.refused("refuses the PIN", *command, **self.behind_proxy())
            self.assertEqual(self.logins(), 1, command)
        self.config(pin_file=self.rig.dir / "pin")
        result = self.no_terminal(*generate, **self.behind_proxy())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("wrong PIN since the last good one", result.stderr)
        result = self.no_terminal(*generate, **self.behind_proxy())
        self.assertNotIn("wrong PIN", result.stderr)

    def test_a_locked_pin_is_tried_once(self):
        env = self.behind_proxy(P11PROXY_FAIL_AT="1", P11PROXY_FOR_EVER="1",
                                P11PROXY_RV="CKR_PIN_LOCKED")
        self.refused("locked or expired", "seal", **env)
        self.assertEqual(self.logins(), 1)

    def test_the_last_try_is_kept_for_a_person(self):
        env = self.behind_proxy(P11PROXY_FLAGS=FINAL_TRY)
        self.refused("takes one more PIN before it locks", **env)
        self.assertEqual(self.logins(), 0)
        code, shown = at_terminal(["ledger", "verify", "--ask-pin"],
                                  [("PIN of token 'line-1': ", "1234567890")],
                                  {**self.rig.environment(), **env})
        self.assertEqual(code, 0, shown)
        self.assertEqual(self.logins(), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
