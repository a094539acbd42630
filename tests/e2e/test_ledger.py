"""The ledger outside the station: exported and verified elsewhere, backed up, and true to the clock."""
import glob
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
import unittest

from rig import EXIT, IMPRINT, MANIFEST, Rig, run

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")


def stock_chain(folder):
    """The rule of docs/manifest-format.md, written again with what Python brings along."""
    statement = json.loads((folder / "ledger.json").read_text())
    entries = (folder / "entries.jsonl").read_bytes()
    assert hashlib.sha256(entries).hexdigest() == statement["entries_sha256"]
    head = bytes.fromhex(statement["prev"])
    for line in map(json.loads, entries.splitlines()):
        body = json.dumps(line["body"], sort_keys=True, separators=(",", ":")).encode()
        head = hashlib.sha256(b"imprint ledger v1\0" + head + body).digest()
        assert head.hex() == line["hash"]
    assert head.hex() == statement["head"]
    return statement


class Verify(unittest.TestCase):
    """What a database can have lost whose chain, MACs and counts agree."""
    def setUp(self):
        self.rig = Rig(credentials=1)
        self.addCleanup(self.rig.close)
        self.database = self.rig.station / "station.db"
        self.rig.imprint("ledger", "verify")

    def edit(self, script):
        database = sqlite3.connect(self.database)
        database.executescript(script)
        database.close()

    def refused(self, name, text):
        result = self.rig.imprint("ledger", "verify", check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def more(self):
        """An entry that counts nothing."""
        self.rig.imprint("people", "add", "Ada", "--role", "supervisor", "--by", "Eve", "--reason",
                         "x", "--new", self.badge)

    def test_an_older_database_and_one_without_its_last_entries(self):
        self.badge = self.rig.dir / "badge"
        self.badge.touch(mode=0o600)
        self.badge.write_text("B\n314159\n")
        self.edit("PRAGMA wal_checkpoint(TRUNCATE)")
        older = self.database.read_bytes()
        self.more()
        self.edit("PRAGMA wal_checkpoint(TRUNCATE)")
        newest = self.database.read_bytes()
        self.database.write_bytes(older)
        self.refused("ROLLBACK", "is an old copy")
        self.database.write_bytes(newest)
        self.edit("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger);"
                  "DELETE FROM people")
        self.refused("ROLLBACK", "is an old copy")
        self.database.write_bytes(newest)
        self.rig.imprint("ledger", "verify")

    def test_an_index_that_lacks_an_entry(self):
        """Made over nothing, and the schema says what it said."""
        self.edit("""
            CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_master WHERE name = 'ledger_order';
            DROP INDEX ledger_order;
            CREATE INDEX ledger_order ON ledger(seq) WHERE 0;
            PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = (SELECT sql FROM kept) WHERE name = 'ledger_order';
            PRAGMA writable_schema = RESET;""")
        self.refused("INTEGRITY", "indexes do not hold")


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = Rig(credentials=3)
        cls.rig.add_device()
        cls.rig.run_json()
        cls.root = cls.rig.station / "trust/manifest-root.pem"
        cls.whole = cls.rig.dir / "whole"
        cls.rig.imprint("ledger", "export", cls.whole)

    @classmethod
    def tearDownClass(cls):
        cls.rig.close()

    def verify(self, folder, *more, check=True):
        return run(MANIFEST, "verify-ledger", "--root", self.root, *more, folder, check=check)

    def copy(self, folder=None):
        out = self.rig.dir / "copy"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(folder or self.whole, out)
        return out

    def refused(self, name, text, folder, *more):
        result = self.verify(folder, *more, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def test_our_program_and_stock_tools_agree(self):
        report = json.loads(self.verify(self.whole, "--json").stdout)
        said = stock_chain(self.whole)
        shown = self.rig.imprint("ledger", "show").stdout.splitlines()
        self.assertEqual((report["first"], report["last"], report["head"]),
                         (1, said["last"], said["head"]))
        self.assertEqual([json.loads(line)["body"] for line in
                          (self.whole / "entries.jsonl").read_text().splitlines()],
                         [json.loads(line) for line in shown[:said["count"]]])
        run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
            self.whole / "ledger.json.p7s", "-content", self.whole / "ledger.json", "-CAfile",
            self.root, "-out", "/dev/null")

    def test_a_part_continues_the_one_before(self):
        rig = self.rig
        last = stock_chain(self.whole)["last"]
        rig.imprint("generate", rig.job, "--count", 1)
        part = rig.dir / "part"
        rig.imprint("ledger", "export", part, "--from", last + 1)
        self.assertEqual(stock_chain(part)["first"], last + 1)
        self.assertIn("they continue the export accepted before",
                      self.verify(part, "--after", self.whole).stdout)
        self.assertIn("--after", self.verify(part).stdout)
        self.refused("ROLLBACK", "not newer", self.whole, "--after", part)
        later = rig.dir / "later"
        rig.imprint("ledger", "export", later, "--from", last)
        self.refused("GAP", f"ask for one from entry {last + 1}", later, "--after",
                     self.whole)

    def test_an_export_overwrites_nothing_and_leaves_nothing_half(self):
        rig = self.rig
        for path, status in ((self.whole, "EXISTS"), (rig.dir / "no/where", "MISSING")):
            result = rig.imprint("ledger", "export", path, check=False)
            self.assertEqual(result.returncode, EXIT[status], result.stderr)
        result = rig.imprint("ledger", "export", rig.dir / "beyond", "--from", 10**6, check=False)
        self.assertEqual(result.returncode, EXIT["MISSING"], result.stderr)
        self.assertIn("has no entry 1000000", result.stderr)
        self.assertEqual(list(rig.dir.glob("*.making")), [])
        self.assertFalse((rig.dir / "beyond").exists())

    def test_every_damage_is_refused_with_a_class_of_its_own(self):
        lines = (self.whole / "entries.jsonl").read_text().splitlines(keepends=True)

        def entries(*kept):
            return lambda folder: (folder / "entries.jsonl").write_text("".join(kept))

        def statement(old, new):
            def change(folder):
                path = folder / "ledger.json"
                self.assertIn(old, path.read_text())
                path.write_text(path.read_text().replace(old, new))
            return change
        changed = lines[2].replace("PUMP-000001", "PUMP-000007")
        self.assertNotEqual(changed, lines[2])
        for name, text, damage in (
                ("INTEGRITY", "line 3 was changed", entries(*lines[:2], changed, *lines[3:])),
                ("INCOMPLETE", "one is missing", entries(lines[0], *lines[2:])),
                ("INCOMPLETE", "one is missing", entries(lines[0], lines[0], *lines[1:])),
                ("INCOMPLETE", "one is missing", entries(lines[1], lines[0], *lines[2:])),
                ("INCOMPLETE", "the statement says", entries(*lines[:-1])),
                ("INCOMPLETE", "one is missing", entries(*lines, lines[-1])),
                ("INCOMPLETE", "is cut", entries(*lines[:-1], lines[-1][:-1])),
                ("FORMAT", "canonical", entries(lines[0].replace('"at":', '"at": '), *lines[1:])),
                ("FORMAT", "not a body and its hash", entries("{}\n", *lines)),
                ("SIGNATURE", "ledger.json.p7s", statement('"last":', '"last":1')),
                ("SIGNATURE", "ledger.json.p7s", statement("line-1", "line-2")),
                ("INCOMPLETE", "entries.jsonl", lambda f: (f / "entries.jsonl").unlink()),
                ("INCOMPLETE", "ledger.json.p7s", lambda f: (f / "ledger.json.p7s").unlink())):
            folder = self.copy()
            damage(folder)
            with self.subTest(text=text):
                self.refused(name, text, folder)

    def test_only_the_manifest_signer_of_the_pinned_root_counts(self):
        rig = self.rig
        result = run(MANIFEST, "verify-ledger", "--root", rig.station / "trust/device-root.pem",
                     self.whole, check=False)
        self.assertEqual(result.returncode, EXIT["SIGNATURE"], result.stderr)
        rig.seal()
        folder = self.copy()  # a signature over something else of the same signer
        shutil.copy(rig.manifests()[-1] / "manifest.json.p7s", folder / "ledger.json.p7s")
        self.refused("SIGNATURE", "ledger.json.p7s", folder)
        folder = self.copy()  # a manifest is no ledger, though its signature is good
        for suffix in ("", ".p7s"):
            shutil.copy(rig.manifests()[-1] / f"manifest.json{suffix}",
                        folder / f"ledger.json{suffix}")
        self.refused("FORMAT", "format", folder)

    def test_a_changed_or_older_database_is_not_signed(self):
        rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        out = rig.dir / "out"
        shutil.copy(rig.station / "station.db", rig.dir / "older.db")
        rig.imprint("generate", rig.job, "--count", 1)
        shutil.copy(rig.station / "station.db", rig.dir / "newest.db")
        for name, status, sql in (("older.db", "ROLLBACK", None), ("newest.db", "INTEGRITY",
                                  "UPDATE ledger SET body = replace(body, 'line-1', 'line-2')")):
            shutil.copy(rig.dir / name, rig.station / "station.db")
            if sql:
                with sqlite3.connect(rig.station / "station.db") as db:
                    db.execute(sql)
                db.close()
            result = rig.imprint("ledger", "export", out, check=False)
            self.assertEqual(result.returncode, EXIT[status], result.stderr)
            self.assertFalse(out.exists())


class Show(unittest.TestCase):
    def test_who_works_and_what_is_asked_for(self):
        rig = Rig(credentials=0)
        self.addCleanup(rig.close)

        def show(*options):
            return [json.loads(line) for line in
                    rig.imprint("ledger", "show", *options).stdout.splitlines()]
        rig.imprint("generate", rig.job, "--count", 2, "--by", "Ada Lovelace")
        rig.imprint("generate", rig.job, "--count", 2)
        rig.add_device()
        rig.imprint("run", rig.job, "--by", "Grace")
        rig.imprint("seal", "--by", "Joan")
        entries = show()
        self.assertEqual([(e["event"], e.get("operator")) for e in entries],
                         [("init", None), ("order", None), ("generate", "Ada Lovelace"),
                          ("generate", None), ("claim", "Grace"), ("proven", "Grace"),
                          ("seal", "Joan")])
        self.assertEqual({e["by"] for e in entries}, {entries[0]["by"]})
        rig.imprint("ledger", "verify")
        self.assertEqual([e["seq"] for e in show("--event", "generate")], [3, 4])
        self.assertEqual([e["seq"] for e in show("--event", "generate", "--last", 1)], [4])
        self.assertEqual([e["seq"] for e in show("--last", 2)], [6, 7])
        self.assertEqual([e["seq"] for e in show("--serial", "PUMP-000001")], [3, 5, 6])
        self.assertEqual([e["seq"] for e in show("--serial", "PUMP-000002")], [3])
        self.assertEqual([e["seq"] for e in show("--serial", "PUMP-000004")], [4])
        self.assertEqual(show("--serial", "PUMP-000005"), [])
        for name in ("", "x" * 65, "b\u00f6rge"):
            result = rig.imprint("seal", "--by", name, check=False)
            self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)

    def test_who_made_the_station(self):
        rig = Rig(station=False)
        self.addCleanup(rig.close)
        rig.make_station("--by", "Ada")
        first = rig.imprint("ledger", "show").stdout.splitlines()[0]
        self.assertEqual(json.loads(first)["operator"], "Ada")


class Backup(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=1)
        self.addCleanup(self.rig.close)

    def check(self, backup):
        """Complete by its own list, and the station goes on with it."""
        rig = self.rig
        listed = json.loads((backup / "backup.json").read_text())
        run("bash", "-o", "pipefail", "-c",
            """jq -r '.files[] | "\\(.sha256)  \\(.name)"' backup.json | sha256sum -c --strict""",
            cwd=backup)
        self.assertEqual(sorted([f["name"] for f in listed["files"]] + ["backup.json"]),
                         sorted(str(p.relative_to(backup)) for p in backup.rglob("*")
                                if p.is_file()))
        again = rig.dir / "again"
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(rig.station, again)
        for suffix in ("-wal", "-shm"):
            (again / f"station.db{suffix}").unlink(missing_ok=True)
        shutil.copy(backup / "station.db", again / "station.db")
        result = json.loads(rig.imprint("ledger", "verify", "--json", "--dir", again).stdout)
        self.assertEqual(result["entries"], listed["seq"])
        return listed

    def test_what_is_in_it(self):
        rig, out = self.rig, self.rig.dir / "backup"
        said = json.loads(rig.imprint("backup", out, "--json").stdout)
        listed = self.check(out)
        self.assertEqual((said["event"], said["seq"]), ("backup", listed["seq"]))
        names = {f["name"] for f in listed["files"]}
        self.assertLessEqual({"station.db", "station.yaml", "station.cert", "order-signers.pem",
                              "ca/issuing-ca.pem", "trust/log.vkey"}, names)
        pin = (rig.dir / "pin").read_text().strip().encode()
        for path in out.rglob("*"):
            self.assertNotIn("token", path.name)
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)
            if path.is_file():
                self.assertNotIn(pin, path.read_bytes())
        result = rig.imprint("backup", out, check=False)
        self.assertEqual(result.returncode, EXIT["EXISTS"], result.stderr)

    def test_beside_a_station_that_works(self):
        """Every copy is one committed state, with as many rows as its ledger tells."""
        rig, copies = self.rig, 0
        process = rig.start_imprint("generate", rig.job, "--count", 6000, "--quiet")
        while process.poll() is None:
            rig.imprint("backup", rig.dir / f"b{copies}")
            copies += 1
        process.stdout.close()
        self.assertEqual(process.returncode, 0)
        self.assertGreater(copies, 1)
        seen = {self.check(rig.dir / f"b{n}")["seq"] for n in range(copies)}
        print(f"{copies} copies of {len(seen)} states")

    def test_beside_a_run(self):
        rig = self.rig
        rig.add_device("--baud-pace", "9600")
        process = rig.start_imprint("run", rig.job)
        while rig.order_status()["unresolved"] == 0 and process.poll() is None:
            time.sleep(0.02)
        rig.imprint("backup", rig.dir / "during")
        self.assertIsNone(process.poll(), "the run ended before the copy was made")
        self.assertEqual(process.wait(), 0)
        process.stdout.close()
        self.check(rig.dir / "during")

    def test_killed_on_the_way(self):
        rig, out = self.rig, self.rig.dir / "killed"
        rig.imprint("generate", rig.job, "--count", 4000)
        for delay in (0.001 * n for n in range(1, 30)):
            process = rig.start_imprint("backup", out)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            if out.exists():
                self.check(out)
                shutil.rmtree(out)
        rig.imprint("backup", out)
        self.check(out)
        self.assertFalse((rig.dir / "killed.making").exists())

    def test_a_damaged_database_is_not_passed_on(self):
        rig = self.rig
        rig.imprint("generate", rig.job, "--count", 200)
        with sqlite3.connect(rig.station / "station.db") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        with open(rig.station / "station.db", "r+b") as file:
            file.seek(20 * 4096)
            file.write(os.urandom(20 * 4096))
        result = rig.imprint("backup", rig.dir / "bad", check=False)
        self.assertEqual(result.returncode, EXIT["STORE"], result.stderr)
        self.assertEqual([p.name for p in rig.dir.glob("bad*")], [])


@unittest.skipUnless(FAKETIME, "libfaketime is not installed")
class Clock(unittest.TestCase):
    def imprint_at(self, offset, *command, check=False):
        """The real program on a machine whose clock is off."""
        env = self.rig.environment()
        env["LD_PRELOAD"] += " " + FAKETIME[0]
        env["FAKETIME"] = offset
        return run(IMPRINT, *command, check=check, env=env)

    def events(self):
        return [json.loads(line) for line in
                self.rig.imprint("ledger", "show").stdout.splitlines()]

    def test_a_clock_that_is_behind_stops_the_station_for_good(self):
        rig = self.rig = Rig(credentials=2)
        self.addCleanup(rig.close)
        result = self.imprint_at("-1h", "run", rig.job)  # before it looks for a port
        self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)
        rig.add_device()
        for command in (("seal",), ("generate", rig.job, "--count", 1), ("run", rig.job)):
            result = self.imprint_at("-1h", *command)
            self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)
            self.assertIn("the station's clock", result.stderr)
        for command in (("seal",), ("generate", rig.job, "--count", 1), ("run", rig.job)):
            result = rig.imprint(*command, check=False)  # the right time again is not enough
            self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)
        self.assertIsNone(rig.devices[0].export())
        stopped = [e for e in self.events() if e["event"] == "clock_stopped"]
        self.assertEqual(len(stopped), 1)
        self.assertLess(stopped[0]["data"]["clock"], stopped[0]["data"]["not_before"])
        self.assertEqual(rig.order_status()["available"], 2)
        rig.imprint("ledger", "verify")
        rig.imprint("ledger", "export", rig.dir / "audit")
        rig.imprint("backup", rig.dir / "copy")

    def test_what_a_time_server_sets_back_is_fine_and_no_entry_is_before_another(self):
        rig = self.rig = Rig(credentials=1)
        self.addCleanup(rig.close)
        result = self.imprint_at("+100s", "generate", rig.job, "--count", 1)
        self.assertEqual(result.returncode, 0, result.stderr)
        rig.imprint("generate", rig.job, "--count", 1)  # now the clock is behind the last entry
        times = [e["at"] for e in self.events()]
        self.assertEqual(times[-1], times[-2])
        result = self.imprint_at("+5m", "generate", rig.job, "--count", 1)
        self.assertEqual(result.returncode, 0, result.stderr)
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)

    def test_no_station_is_made_before_the_program_was(self):
        rig = self.rig = Rig(station=False)
        self.addCleanup(rig.close)
        for name in ("pin", "so-pin"):
            (rig.dir / name).touch(mode=0o600)
            (rig.dir / name).write_text("1234567890\n")
        result = self.imprint_at("@2020-01-01 00:00:00", *rig.init_command())
        self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)
        self.assertFalse(rig.station.exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
