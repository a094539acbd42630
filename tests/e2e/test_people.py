"""People sign with badge and PIN: roles, wrong PINs, an edited database, and what an auditor verifies."""
import glob
import json
import os
import signal
import sqlite3
import time
import unittest

from rig import EXIT, IMPRINT, MANIFEST, Rig, run
from test_ceremony import at_terminal
from test_ledger import FAKETIME, stock_chain

BADGES = {"Ada Byron": ("supervisor", "]C1BADGE-ADA", "271828"),
          "Bo Diddley": ("operator", "BADGE-BO", "314159"),
          "Cy Young": ("engineer", "BADGE-CY", "161803")}
WHY = ("--reason", "fell down")


class People(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=4)
        self.addCleanup(self.rig.close)

    def badge_file(self, name, badge, pin):
        path = self.rig.dir / f"badge {name}"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"{badge}\n{pin}\n")
        return path

    def signer(self, name, pin=None):
        role, badge, right = BADGES[name]
        return ("--signer", self.badge_file("signer", badge, pin or right))

    def add_people(self):
        first = ("--by", "The engineer", "--reason", "first shift")
        for name, (role, badge, pin) in BADGES.items():
            who = first if name == "Ada Byron" else ("--reason", "hired", *self.signer("Ada Byron"))
            self.rig.imprint("people", "add", name, "--role", role, "--new",
                             self.badge_file("new", badge, pin), *who)

    def refused(self, name, text, *command):
        result = self.rig.imprint(*command, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def entries(self, event):
        return [json.loads(line) for line in
                self.rig.imprint("ledger", "show", "--event", event).stdout.splitlines()]

    def signed(self, event, name, meaning):
        """The newest entry of an event, which this person signed."""
        entry = self.entries(event)[-1]
        signature = entry["signature"]
        self.assertEqual((signature["name"], signature["role"], signature["meaning"]),
                         (name, BADGES[name][0], meaning))
        self.assertLessEqual(signature["at"], entry["at"])
        self.assertEqual(entry["operator"], name)
        return entry

    def test_without_people_a_name_is_said(self):
        rig = self.rig
        self.assertIn("nobody", rig.imprint("people", "list").stdout)
        rig.imprint("void", "PUMP-000001", "--by", "Eve", *WHY)
        self.assertNotIn("signature", self.entries("scrapped")[-1])
        self.refused("USAGE", "nobody signs", "void", "PUMP-000002", *WHY, *self.signer("Ada Byron"))
        self.refused("REFUSED", "is a supervisor", "people", "add", "Bo Diddley", "--role", "operator",
                     "--by", "Eve", "--reason", "first", "--new", self.badge_file("new", "B", "314159"))
        config = rig.station / "station.yaml"
        config.write_text(config.read_text().replace('people: ""', 'people: "required"'))
        self.refused("REFUSED", "people: required", "void", "PUMP-000002", "--by", "Eve", *WHY)
        self.add_people()
        rig.imprint("void", "PUMP-000002", *WHY, *self.signer("Ada Byron"))
        config.write_text(config.read_text().replace('"required"', '"wanted"'))
        self.refused("INPUT", "not 'wanted'", "status")

    def test_each_role_signs_for_its_own_and_an_auditor_sees_it(self):
        rig = self.rig
        self.add_people()
        self.refused("REFUSED", "'Bo Diddley' is an operator", "void", "PUMP-000001", *WHY,
                     *self.signer("Bo Diddley"))
        self.refused("REFUSED", "signed by an engineer", "rotate", "log-key", *WHY,
                     *self.signer("Ada Byron"))
        self.refused("REFUSED", "signed by a supervisor", "people", "remove", "Bo Diddley", *WHY,
                     *self.signer("Cy Young"))
        self.refused("USAGE", "leave --by out", "void", "PUMP-000001", "--by", "Eve", *WHY,
                     *self.signer("Ada Byron"))
        rig.imprint("void", "PUMP-000001", *WHY, *self.signer("Ada Byron"))
        entry = self.signed("scrapped", "Ada Byron", "void: scrapped")
        self.assertEqual(entry["why"], "fell down")
        rig.imprint("rotate", "log-key", "--reason", "yearly", *self.signer("Cy Young"))
        self.signed("rotated", "Cy Young", "rotate: rotated")
        rotate = next(r for r in rig.records() if r["t"] == "rotate")
        self.assertIn("Cy Young", json.dumps(rotate))
        rig.imprint("order", "close", "E2E-1", "--reason", "done", *self.signer("Ada Byron"))
        self.signed("closed", "Ada Byron", "close: closed")
        said = json.loads((rig.station / "statements/E2E-1/closing.json").read_text())
        self.assertEqual(said["by"], "Ada Byron")
        self.verified_elsewhere()

    def test_an_engineer_signs_for_a_second_key(self):
        self.add_people()
        rotate = ("rotate", "second-key", "--algorithm", "ecdsa-p384", *WHY)
        self.refused("USAGE", "leave --by out", *rotate, "--by", "Eve")
        self.refused("REFUSED", "signed by an engineer", *rotate, *self.signer("Ada Byron"))
        self.assertEqual(self.entries("rotated"), [])
        self.rig.imprint(*rotate, *self.signer("Cy Young"))
        self.signed("rotated", "Cy Young", "rotate: rotated")

    def verified_elsewhere(self):
        rig = self.rig
        rig.imprint("ledger", "verify")
        out = rig.dir / "audit"
        rig.imprint("ledger", "export", out)
        stock_chain(out)
        verify = (MANIFEST, "verify-ledger", "--root", rig.station / "trust/manifest-root.pem", out)
        run(*verify)
        entries = out / "entries.jsonl"
        text = entries.read_text()
        self.assertNotIn("271828", text)
        self.assertNotIn("BADGE-ADA", text)
        entries.write_text(text.replace('"meaning":"void: scrapped","name":"Ada Byron"',
                                        '"meaning":"void: scrapped","name":"Bo Diddley"'))
        self.assertNotEqual(entries.read_text(), text)
        self.assertEqual(run(*verify, check=False).returncode, EXIT["INTEGRITY"])

    def test_wrong_pins_lock_whatever_is_killed(self):
        rig = self.rig
        self.add_people()
        self.refused("PIN", "badge or the PIN is wrong", "void", "PUMP-000001", *WHY, "--signer",
                     self.badge_file("signer", "BADGE-NOBODY", "271828"))
        self.refused("PIN", "4 more wrong PINs", "void", "PUMP-000001", *WHY,
                     *self.signer("Ada Byron", "000001"))
        while len(self.entries("pin_tried")) < 7:  # two of add_people's were right
            before = len(self.entries("pin_tried"))
            process = rig.start_imprint("void", "PUMP-000001", *WHY,
                                        *self.signer("Ada Byron", "000001"))
            while process.poll() is None and len(self.entries("pin_tried")) == before:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.refused("PIN", "locked until", "void", "PUMP-000001", *WHY, *self.signer("Ada Byron"))
        self.assertEqual(len(self.entries("pin_tried")), 7)  # a locked badge is not even tried
        self.assertIn("Ada Byron, locked until", rig.imprint("people", "list").stdout)
        self.assertEqual(self.entries("scrapped"), [])

    def test_a_supervisor_gives_a_new_pin(self):
        rig = self.rig
        self.add_people()
        for _ in range(5):
            self.rig.imprint("people", "pin", "--reason", "x", *self.signer("Bo Diddley", "000001"),
                             check=False)
        own = ("people", "pin", "--reason", "forgot", "--new", self.badge_file("new", "-", "141421"))
        self.refused("PIN", "locked until", *own, *self.signer("Bo Diddley"))
        rig.imprint("people", "pin", "Bo Diddley", *own[2:], *self.signer("Ada Byron"))
        self.signed("person_pin", "Ada Byron", "people: person_pin")
        rig.imprint(*own, *self.signer("Bo Diddley", "141421"))
        self.signed("person_pin", "Bo Diddley", "pin: person_pin")
        rig.imprint("people", "remove", "Bo Diddley", "--reason", "left", *self.signer("Ada Byron"))
        self.refused("PIN", "is wrong", *own, *self.signer("Bo Diddley", "141421"))

    def test_an_edited_database_signs_nothing(self):
        rig = self.rig
        self.add_people()
        for edit in ("UPDATE people SET role = 2 WHERE id = 2",
                     "DELETE FROM people",
                     "INSERT INTO people SELECT 4, 'Eve', 2, 0, zeroblob(32), salt, memory, passes,"
                     " pin, mac FROM people WHERE id = 1"):
            database = sqlite3.connect(rig.station / "station.db")
            kept = database.execute("SELECT * FROM people").fetchall()
            database.executescript(edit)
            database.close()
            self.refused("INTEGRITY", "security team", "void", "PUMP-000001", *WHY,
                         *self.signer("Bo Diddley"))
            self.refused("INTEGRITY", "security team", "void", "PUMP-000001", "--by", "Eve", *WHY)
            self.refused("INTEGRITY", "security team", "ledger", "verify")
            database = sqlite3.connect(rig.station / "station.db")
            database.execute("DELETE FROM people")
            database.executemany("INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?)", kept)
            database.commit()
            database.close()
        rig.imprint("ledger", "verify")

    def visible(self, pid):
        """What everybody on the machine may see of our processes; asked while one waits."""
        for path in glob.glob("/proc/[0-9]*/cmdline") + [f"/proc/{pid}/environ"]:
            try:
                with open(path, "rb") as file:
                    self.shown += file.read()
            except OSError:  # it ended meanwhile
                pass
        return "577215"

    def test_at_a_terminal_nothing_is_shown(self):
        self.add_people()
        self.shown = b""
        env = self.rig.environment()
        _, badge, pin = BADGES["Ada Byron"]
        code, shown = at_terminal(
            ["people", "add", "Di Young", "--role", "operator", "--reason", "hired"],
            [("badge of who signs", badge), ("PIN:", pin), ("new badge", "BADGE-DI"),
             ("new PIN:", self.visible), ("new PIN, again", "577215")], env)
        self.assertEqual(code, 0, shown)
        self.assertIn(str(IMPRINT).encode(), self.shown)
        for text in (badge, pin, "BADGE-DI", "577215"):
            self.assertNotIn(text, shown)
            self.assertNotIn(text.encode(), self.shown)
        self.assertIn("Di Young", self.rig.imprint("people", "list").stdout)

    def test_a_file_that_others_may_read_is_refused(self):
        self.add_people()
        option, path = self.signer("Ada Byron")
        os.chmod(path, 0o640)
        self.refused("PIN", "others may read it", "void", "PUMP-000001", *WHY, option, path)
        os.chmod(path, 0o600)
        path.write_text("]C1BADGE-ADA\n")
        self.refused("PIN", "a PIN in its second", "void", "PUMP-000001", *WHY, option, path)
        self.assertEqual(len(self.entries("pin_tried")), 2)  # those of add_people

    @unittest.skipUnless(FAKETIME, "libfaketime is not installed")
    def test_a_supervisor_confirms_the_clock(self):
        rig = self.rig
        self.add_people()
        env = rig.environment()
        env["LD_PRELOAD"] += " " + FAKETIME[0]
        env["FAKETIME"] = "-1d"
        result = run(IMPRINT, "generate", rig.job, "--count", 1, check=False, env=env)
        self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)
        ticket = rig.ticket("clock")
        self.refused("REFUSED", "signed by a supervisor", "recover", ticket, *WHY,
                     *self.signer("Cy Young"))
        rig.imprint("recover", ticket, *WHY, *self.signer("Ada Byron"))
        self.signed("clock_confirmed", "Ada Byron", "clock: clock_confirmed")
        rig.imprint("generate", rig.job, "--count", 1)


if __name__ == "__main__":
    unittest.main()
