"""A copy of the whole station, token included, is told from the station by a counter in a TPM."""
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import sys
import unittest

import judge
import tpm_rig
from rig import EXIT, IMPRINT, Rig, run

SKIPPED = 77


class Base(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(station=False)
        self.addCleanup(self.rig.close)
        self.tpm = self.new_tpm("tpm")

    def new_tpm(self, name):
        tpm = tpm_rig.SwTpm(self.rig.dir / name)
        self.addCleanup(tpm.off)
        return tpm

    def indexes(self):
        """The TPM's NV indexes that are its owner's."""
        listed = self.tpm.tool("tpm2_getcap", "handles-nv-index").stdout
        return "\n".join(line for line in listed.splitlines() if "0x18" in line)

    def make(self, credentials=0, tcti=None):
        self.rig.make_station("--counter", tpm_rig.INDEX, "--tpm", tcti or self.tpm.tcti())
        if credentials:
            self.rig.imprint("generate", self.rig.job, "--count", credentials)

    def provision(self):
        """One device more; the ones before are out of their slots."""
        for device in self.rig.devices:
            device.stop()
            device.port.unlink(missing_ok=True)
        device = self.rig.add_device()
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertEqual(code, 0, (slots, stderr))
        return device

    def refused(self, text, *command, name="COUNTER"):
        result = self.rig.imprint(*command, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def entries(self, event=None):
        shown = self.rig.imprint("ledger", "show", *(("--event", event) if event else ()))
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def counted(self):
        """What the ledger says that the counter has reached."""
        return max(e["counter"]["number"] for e in self.entries() if "counter" in e)

    def keep(self, name="copy"):
        copy = self.rig.dir / name
        shutil.copytree(self.rig.station, copy)
        return copy

    def exchange(self, copy):
        """The directory changes places with a copy of it."""
        aside = self.rig.dir / "aside"
        self.rig.station.rename(aside)
        copy.rename(self.rig.station)
        aside.rename(copy)

    def edit_yaml(self, pattern, replacement):
        path = self.rig.station / "station.yaml"
        path.write_text(re.sub(pattern, replacement, path.read_text(), flags=re.M))


class Copy(Base):
    def every_command_is_refused(self, text):
        rig = self.rig
        for command in (("run", rig.job, "--json"), ("generate", rig.job, "--count", 1), ("seal",),
                        ("void", "PUMP-000003", "--reason", "a test"),
                        ("order", "add", rig.owner / "order.p7"),
                        ("order", "close", "E2E-1", "--by", "Ada", "--reason", "x"),
                        ("ledger", "export", rig.dir / "export")):
            with self.subTest(command=command[0]):
                self.refused(text, *command)

    def test_a_copy_is_refused_and_the_original_goes_on(self):
        self.make(credentials=6)
        self.provision()
        copy = self.keep()
        second = self.provision()
        serial = (second.export() / "serial").read_text()
        self.exchange(copy)
        before = self.entries()
        second.stop()
        self.rig.add_device()  # would get the credential that the second one has
        self.every_command_is_refused("this is an old copy of the station")
        self.assertEqual(self.entries(), before)
        self.assertIsNone(self.rig.devices[-1].export())
        self.rig.imprint("status")
        self.exchange(copy)
        third = self.provision()
        self.assertNotEqual((third.export() / "serial").read_text(), serial)
        self.rig.seal()
        self.rig.verify(self.rig.manifests()[-1])
        judge.check_all(self.rig, [self.rig.devices[n] for n in (0, 1, 3)])
        self.rig.imprint("ledger", "verify")

    def test_nothing_that_was_given_out_since_the_copy_is_given_out_again(self):
        """Whatever the original did last: a copy of just before it is refused."""
        self.make(credentials=8)
        rig = self.rig
        acts = {"generate": lambda: rig.imprint("generate", rig.job, "--count", 1),
                "claim": self.provision,
                "void": lambda: rig.imprint("void", "PUMP-000008", "--reason", "a test"),
                "seal": rig.seal}
        for name, act in acts.items():
            with self.subTest(act=name):
                before = self.keep(f"before-{name}")
                act()
                self.exchange(before)
                self.refused("old copy", "generate", rig.job, "--count", 1)
                self.exchange(before)

    def test_of_two_copies_one_counts(self):
        """One fails between commit and count; the other makes the same step for another device."""
        wire = tpm_rig.Wire(self.tpm, self.rig.dir / "wire")
        self.make(credentials=3, tcti=wire.tcti())
        original = self.keep()
        first = self.rig.add_device()
        wire.instead = lambda code: tpm_rig.FAILURE if code == tpm_rig.NV_EXTEND else None
        self.assertNotEqual(self.rig.run_json(check=False)[0], 0)
        wire.leave_alone()
        self.assertEqual(self.entries()[-1]["event"], "claim")
        self.exchange(original)  # the state before that claim, for which the counter is right
        second = self.provision()
        self.exchange(original)
        second.stop()
        second.port.unlink(missing_ok=True)
        first.start()
        self.refused("for something else than its database knows", "run", self.rig.job)
        self.assertIsNone(first.export())
        self.exchange(original)
        self.rig.imprint("generate", self.rig.job, "--count", 1)

    def test_a_copy_that_runs_beside_the_original(self):
        """Both have started with the right counter, and look at it at the same moment."""
        wire = tpm_rig.Wire(self.tpm, self.rig.dir / "wire")
        self.make(credentials=1, tcti=wire.tcti())
        copy = self.keep()
        self.edit_yaml(r"^tpm: .*$", f'tpm: "{self.tpm.tcti()}"')
        acted = []

        def original_counts():
            acted.append(True)
            self.rig.imprint("generate", self.rig.job, "--count", 1)
        conf = copy / "softhsm2.conf"  # the copy of the token, not the original's
        conf.write_text(conf.read_text().replace(str(self.rig.station), str(copy)))
        env = {**self.rig.environment(), "IMPRINT_DIR": str(copy)}
        wire.meanwhile = lambda code: (original_counts if code == tpm_rig.NV_EXTEND and not acted
                                       else None)
        result = run(IMPRINT, "generate", self.rig.job, "--count", 1, check=False, env=env)
        self.assertEqual(result.returncode, EXIT["COUNTER"], result.stderr)
        self.assertTrue(acted)
        self.assertIn("old copy", result.stderr)

    def test_a_proof_does_not_wear_the_counter(self):
        self.make(credentials=2)
        start = self.counted()
        self.provision()
        self.assertEqual([("counter" in e) for e in self.entries()[-2:]], [True, False])
        self.assertEqual(self.counted(), start + 1)

    def test_the_ledger_is_exported_and_verified_with_its_counts(self):
        self.make(credentials=1)
        self.rig.imprint("ledger", "export", self.rig.dir / "export")
        trust = self.rig.station / "trust"
        said = run(pathlib.Path(os.environ["IMPRINT_BUILD"]) / "manifests/imprint-manifest",
                   "verify-ledger", "--root", trust / "manifest-root.pem", self.rig.dir / "export")
        self.assertIn("entries 1 to 3", said.stdout)


class Ceremony(Base):
    def test_the_transcript_names_the_counter(self):
        self.make()
        transcript = json.loads((self.rig.station / "ceremony.json").read_text())
        first = self.entries()[0]
        self.assertEqual(transcript["counter"], first["data"]["counter"])
        self.assertEqual(transcript["counter"]["index"], int(tpm_rig.INDEX, 16))
        self.assertEqual(first["counter"]["number"], transcript["counter"]["start"] + 1)
        for index, name, kind in zip((tpm_rig.INDEX, tpm_rig.CHAIN), transcript["counter"]["names"],
                                     ("14", "44")):
            shown = self.tpm.tool("tpm2_nvreadpublic", index).stdout
            self.assertIn(name, shown.lower())
            self.assertIn(f"value: 0x220400{kind}", shown)  # authread, authwrite, no_da, written
        self.rig.imprint("audit")

    def test_an_index_that_exists_is_not_taken_over(self):
        self.tpm.tool("tpm2_nvdefine", tpm_rig.INDEX, "-C", "o", "-a",
                      "ownerread|ownerwrite|nt=counter")
        with self.assertRaisesRegex(AssertionError, r"ended with 8\n(.|\n)*never taken over"):
            self.make()
        self.assertFalse(self.rig.station.exists())

    def test_a_ceremony_that_fails_takes_its_counter_back(self):
        wire = tpm_rig.Wire(self.tpm, self.rig.dir / "wire")
        counts = iter((None, tpm_rig.FAILURE))  # the first, and the one of the first entry
        wire.instead = lambda code: next(counts) if code == tpm_rig.NV_INCREMENT else None
        with self.assertRaisesRegex(AssertionError, "ended with 39"):
            self.make(tcti=wire.tcti())
        self.assertFalse(self.rig.station.exists())
        self.assertEqual(self.indexes(), "")

    def test_wrong_answers(self):
        self.make_pins()
        for options, text in ((("--counter", "17"), "NV index"), (("--counter", "0x018001zz"), "NV index"),
                              (("--tpm", "device:/dev/tpmrm0"), "--counter")):
            result = self.rig.imprint(*self.rig.init_command(*options), check=False)
            self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)
            self.assertIn(text, result.stderr)
            self.assertFalse(self.rig.station.exists())
        result = self.rig.imprint(*self.rig.init_command("--counter", tpm_rig.INDEX, "--tpm",
                                                         f"swtpm:path={self.rig.dir}/none"),
                                  check=False)
        self.assertEqual(result.returncode, EXIT["COUNTER"], result.stderr)
        self.assertIn("cannot be reached", result.stderr)

    def make_pins(self):
        for name in ("pin", "so-pin"):
            (self.rig.dir / name).touch(mode=0o600)
            (self.rig.dir / name).write_text("1234567890\n")


class Kill(Base):
    """The power goes, of station and TPM, at each command about the counter."""

    def start(self, credentials):
        self.wire = tpm_rig.Wire(self.tpm, self.rig.dir / "wire")
        self.make(credentials, tcti=self.wire.tcti())

    def cut(self, code, when):
        """The next run ends at the nth command of this code, which is that of the claim."""
        seen = []

        def power_cut(now):
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

        def before(is_code):
            seen.append(is_code)
            if when == "before" and is_code == code and seen.count(code) == self.nth:
                power_cut(is_code)

        def answer(is_code, reply):
            if when == "after" and is_code == code and seen.count(code) == self.nth:
                power_cut(is_code)
            return reply
        self.wire.before, self.wire.answer = before, answer
        self.process = self.rig.start_imprint("run", self.rig.job)
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.assertEqual(self.process.returncode, -signal.SIGKILL)
        self.wire.leave_alone()
        self.tpm.off()
        self.tpm.on()

    def test_killed_between_commit_and_count(self):
        self.start(10)
        for code, nth, when in ((tpm_rig.NV_READ, 3, "before"), (tpm_rig.NV_EXTEND, 1, "before"),
                                (tpm_rig.NV_EXTEND, 1, "after"), (tpm_rig.NV_INCREMENT, 1, "after"),
                                (tpm_rig.NV_READ, 5, "before")):
            with self.subTest(code=hex(code), nth=nth, when=when):
                self.nth = nth
                counted = self.counted()
                device = self.rig.add_device()
                self.cut(code, when)
                claim = self.entries()[-1]
                self.assertEqual((claim["event"], claim["counter"]["number"]),
                                 ("claim", counted + 1))
                self.assertIsNone(device.export())  # nothing of it was given out
                copy = self.keep(f"cut-{when}-{code}-{nth}")
                serial = claim["data"]["serial"]
                device.stop()
                device.start()
                code_, slots, stderr = self.rig.run_json(check=False)
                self.assertEqual(code_, 0, (slots, stderr))
                self.assertEqual((device.export() / "serial").read_text().strip(), serial)
                # The copy of the moment of the cut knows the claim: it gives nothing to another one.
                self.provision()
                self.exchange(copy)
                self.refused("old copy", "seal")
                self.exchange(copy)
                for d in self.rig.devices:
                    d.stop()
                    d.port.unlink(missing_ok=True)
        self.rig.seal()
        self.rig.imprint("ledger", "verify")
        judge.check_all(self.rig, self.rig.devices)

    def test_a_run_whose_tpm_fails_gives_nothing_out(self):
        self.start(2)
        device = self.rig.add_device()
        self.wire.instead = lambda code: tpm_rig.FAILURE if code == tpm_rig.NV_INCREMENT else None
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertNotEqual(code, 0)
        self.assertIsNone(device.export())
        self.wire.leave_alone()
        device.stop()
        device.start()
        self.assertEqual(self.rig.run_json()[0], 0)

    def test_a_tpm_that_limits_the_rate_is_asked_again(self):
        self.start(2)
        refusals = [tpm_rig.NV_RATE] * 3
        self.wire.commands.clear()
        self.wire.instead = lambda code: (refusals.pop() if refusals and code == tpm_rig.NV_INCREMENT
                                          else None)
        self.rig.imprint("generate", self.rig.job, "--count", 1)
        self.assertEqual(self.wire.commands.count(tpm_rig.NV_INCREMENT), 4)

    def test_who_sits_on_the_wire_cannot_answer(self):
        self.start(2)
        copy = self.keep()
        old = {}

        def record(code, reply):
            old[code] = reply
            return reply
        self.wire.answer = record
        self.rig.imprint("generate", self.rig.job, "--count", 1)
        now = self.counted()

        def forge(code, reply):
            value = (now - 1).to_bytes(8, "big")
            return re.sub(re.escape(now.to_bytes(8, "big")), value, reply) \
                if code == tpm_rig.NV_READ else reply
        self.exchange(copy)
        self.refused("old copy", "seal")
        self.wire.answer = forge
        self.refused("the TPM cannot be read", "seal")
        self.wire.answer = lambda code, reply: old[code] if code == tpm_rig.NV_READ else reply
        self.refused("the TPM cannot be read", "seal")


class Gone(Base):
    def test_without_its_tpm_nothing_is_issued(self):
        self.make(credentials=2)
        self.tpm.off()
        self.refused("cannot be reached", "seal")
        self.rig.imprint("status")
        self.tpm.on()
        self.rig.imprint("generate", self.rig.job, "--count", 1)

    def test_removed_from_the_configuration(self):
        self.make(credentials=2)
        path = self.rig.station / "station.yaml"
        whole = path.read_text()
        for left in ("", 'tpm: ""'):
            path.write_text(re.sub(r"(?m)^tpm: .*$", left, whole))
            self.refused("put its line 'tpm' back", "run", self.rig.job)
        path.write_text(whole)
        self.rig.imprint("generate", self.rig.job, "--count", 1)

    def test_removed_from_the_ledger(self):
        self.make(credentials=2)
        database = sqlite3.connect(self.rig.station / "station.db")
        database.execute("UPDATE ledger SET body = json_remove(body, '$.data.counter') WHERE seq = 1")
        database.commit()
        database.close()
        self.refused("was changed", "seal", name="INTEGRITY")

    def test_another_tpm_is_another(self):
        self.make(credentials=2)
        other = self.new_tpm("other")
        value = self.counted()
        self.edit_yaml(r"^tpm: .*$", f'tpm: "{other.tcti()}"')
        self.refused("not the one that has the station's counter", "seal")
        other.tool("tpm2_nvdefine", tpm_rig.INDEX, "-C", "o", "-a",
                   "authread|authwrite|no_da|nt=counter")
        for _ in range(value):
            other.tool("tpm2_nvincrement", tpm_rig.INDEX)
        self.refused("not the one that has the station's counter", "seal")

    def test_deleted_and_made_again(self):
        self.make(credentials=2)
        self.tpm.tool("tpm2_nvundefine", "-C", "o", tpm_rig.INDEX)
        self.refused("deleted the station's counter", "seal")
        self.tpm.tool("tpm2_nvdefine", tpm_rig.INDEX, "-C", "o", "-a",
                      "authread|authwrite|no_da|nt=counter")
        self.tpm.tool("tpm2_nvincrement", tpm_rig.INDEX)
        self.refused("the TPM cannot be read", "seal")  # whoever made it does not know the secret

    def test_another_index_in_its_place(self):
        self.make(credentials=2)
        for index in (tpm_rig.CHAIN, tpm_rig.INDEX):
            self.tpm.tool("tpm2_nvundefine", "-C", "o", index)
            self.tpm.tool("tpm2_nvdefine", index, "-C", "o", "-a",
                          "ownerread|ownerwrite|authread|authwrite|nt=counter")
            self.refused("made another in its place", "seal")

    def test_a_cleared_tpm(self):
        self.make(credentials=2)
        self.tpm.tool("tpm2_clear", "-c", "p")
        self.refused("or it was cleared", "seal")


class Recover(Base):
    def counter(self, ticket, index=tpm_rig.INDEX, check=True):
        return self.rig.recover(ticket, "--counter", index, check=check)

    def not_allowed(self, name, text, ticket, index=tpm_rig.INDEX):
        result = self.counter(ticket, index, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def test_a_new_tpm_with_the_owners_leave(self):
        self.make(credentials=4)
        self.provision()
        self.rig.seal()
        copy = self.keep()
        self.provision()
        other = self.new_tpm("other")
        self.tpm.off()
        self.edit_yaml(r"^tpm: .*$", f'tpm: "{other.tcti()}"')
        ticket = self.rig.ticket("counter")
        self.not_allowed("REFUSED", "another act", self.rig.ticket("clock", "wrong"))
        self.counter(ticket)
        entry = self.entries()[-1]
        self.assertEqual((entry["event"], entry["operator"], entry["why"]),
                         ("counter", "Ada", "a test"))
        self.provision()
        self.not_allowed("REFUSED", "used before", ticket)
        self.not_allowed("REFUSED", "nothing is to be replaced", self.rig.ticket("counter", "again"))
        newest = self.keep("newest")
        self.provision()
        self.exchange(newest)
        self.refused("old copy", "seal")
        self.exchange(newest)
        self.exchange(copy)  # and the one with the old TPM in it has none any more
        self.refused("cannot be reached", "seal")
        self.exchange(copy)
        self.rig.seal()
        self.rig.imprint("ledger", "verify")
        self.rig.accept()

    def test_a_copy_gets_no_new_counter(self):
        self.make(credentials=3)
        copy = self.keep()
        self.provision()
        self.exchange(copy)
        self.not_allowed("COUNTER", "old copy", self.rig.ticket("counter"), "0x01800101")

    def test_a_copy_of_before_what_the_owner_accepted_gets_none(self):
        self.make(credentials=3)
        copy = self.keep()
        self.provision()
        self.rig.seal()
        note = (self.rig.manifests()[-1] / "checkpoint").read_text().splitlines()
        self.exchange(copy)
        self.tpm.tool("tpm2_clear", "-c", "p")
        ticket = self.rig.ticket("counter", after={"origin": note[0], "size": int(note[1]),
                                                   "root": note[2]})
        self.not_allowed("ROLLBACK", "", ticket)

    def test_a_deleted_index_is_replaced(self):
        self.make(credentials=2)
        self.tpm.tool("tpm2_nvundefine", "-C", "o", tpm_rig.INDEX)
        ticket = self.rig.ticket("counter")
        self.not_allowed("EXISTS", "0x01800101 already", ticket)  # the chain is there still
        self.assertNotIn(tpm_rig.INDEX[3:], self.indexes())  # and what was made is gone again
        self.counter(ticket, "0x01800200")
        self.provision()

    def test_a_station_without_a_counter_gets_none(self):
        self.rig.make_station()
        self.not_allowed("REFUSED", "has no counter", self.rig.ticket("counter"))

    def restore(self, backup):
        return json.loads(self.rig.recover(self.rig.ticket("restore"), "--backup", backup,
                                           "--json").stdout)

    def lose_database(self):
        for suffix in ("", "-wal", "-shm"):
            (self.rig.station / f"station.db{suffix}").unlink(missing_ok=True)

    def test_a_restored_backup_counts_on(self):
        self.make(credentials=6)
        backup = self.rig.dir / "backup"
        self.rig.imprint("backup", backup)
        self.provision()
        given = self.provision().export() / "serial"
        self.lose_database()
        self.assertEqual(self.restore(backup)["lost"], 4)
        before = self.keep()
        new = self.provision()
        self.assertNotEqual((new.export() / "serial").read_text(), given.read_text())
        self.exchange(before)
        self.refused("old copy", "seal")

    def test_a_copy_of_everything_goes_on_with_leave_and_burns_what_it_does_not_know(self):
        """The token is as old as the database: only the counter knows how much was given out since."""
        self.make(credentials=9)
        copy = self.keep()
        given = {(self.provision().export() / "serial").read_text() for _ in range(3)}
        self.exchange(copy)
        backup = self.rig.dir / "backup"
        self.rig.imprint("backup", backup)
        self.lose_database()
        said = self.restore(backup)
        self.assertEqual((said["lost"], said["burned"]), (4, 4))  # one more than can be told
        new = self.provision()
        self.assertNotIn((new.export() / "serial").read_text(), given)
        self.refused("was restored since", "generate", self.rig.job, "--count", 1, name="REFUSED")

    def test_slots_that_are_served_at_once_are_counted_one_by_one(self):
        """A step for several claims would burn too few: one key would go to two devices."""
        slots = 8
        self.make(credentials=2 * slots + 4)
        copy = self.keep()
        before = self.counted()
        given = [self.rig.add_device() for _ in range(slots)]
        self.assertEqual(self.rig.run_json()[0], 0)
        self.assertEqual(len(self.entries("claim")), slots)
        self.assertEqual(self.counted(), before + slots)
        for device in given:
            device.stop()
            device.port.unlink(missing_ok=True)
        self.exchange(copy)
        backup = self.rig.dir / "backup"
        self.rig.imprint("backup", backup)
        self.lose_database()
        said = self.restore(backup)
        self.assertEqual((said["lost"], said["burned"]), (slots + 1, slots + 1))
        after = [self.provision() for _ in range(3)]
        certificates = [(d.export() / "certificates.pem").read_bytes() for d in (*given, *after)]
        self.assertEqual(len(set(certificates)), len(certificates))

    def test_a_restore_without_the_tpm_needs_a_counter_afterwards(self):
        self.make(credentials=6)
        backup = self.rig.dir / "backup"
        self.rig.imprint("backup", backup)
        self.provision()
        self.tpm.off()
        self.lose_database()
        self.restore(backup)
        self.refused("cannot be reached", "seal")
        other = self.new_tpm("other")
        self.edit_yaml(r"^tpm: .*$", f'tpm: "{other.tcti()}"')
        self.counter(self.rig.ticket("counter", "second"))
        self.provision()


if __name__ == "__main__":
    if tpm_rig.missing():
        print(f"skipped: {', '.join(tpm_rig.missing())} is not installed")
        sys.exit(SKIPPED)
    os.environ["PATH"] += ":/usr/sbin"
    unittest.main()
