"""A station whose clock was wrong or whose database was lost goes on, with the owner's leave, once."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import time
import unittest

import judge
from rig import BUILD, EXIT, IMPRINT, MANIFEST, Rig, run
from test_ledger import FAKETIME, stock_chain


class Base(unittest.TestCase):
    def start(self, credentials):
        self.rig = Rig(credentials=credentials)
        self.addCleanup(self.rig.close)
        return self.rig

    def refused(self, name, text, ticket, *options):
        result = self.rig.recover(ticket, *options, check=False)
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def entries(self, event=None):
        shown = self.rig.imprint("ledger", "show", *(("--event", event) if event else ()))
        return [json.loads(line) for line in shown.stdout.splitlines()]


@unittest.skipUnless(FAKETIME, "libfaketime is not installed")
class Clock(Base):
    def at(self, offset, *command, check=False):
        env = self.rig.environment()
        env["LD_PRELOAD"] += " " + FAKETIME[0]
        env["FAKETIME"] = offset
        return run(IMPRINT, *command, check=check, env=env)

    def stop(self):
        self.assertEqual(self.at("-1h", "seal").returncode, EXIT["CLOCK"])

    def test_a_ticket_lifts_the_stop_once(self):
        rig = self.start(1)
        ticket = rig.ticket("clock")
        self.refused("REFUSED", "not stopped", ticket)
        self.stop()
        result = self.at("-1h", "recover", ticket, "--by", "Ada", "--reason", "x")
        self.assertEqual(result.returncode, EXIT["CLOCK"], result.stderr)  # and is not used up
        self.assertIn("still good", result.stderr)
        said = json.loads(rig.recover(ticket, "--json").stdout)
        self.assertEqual(said["event"], "clock_confirmed")
        entry = self.entries()[-1]
        self.assertEqual((entry["event"], entry["operator"], entry["why"]),
                         ("clock_confirmed", "Ada", "a test"))
        rig.add_device()
        self.assertEqual(rig.run_json()[0], 0)
        self.stop()
        self.refused("REFUSED", "used before", ticket)
        rig.recover(rig.ticket("clock", "another"))
        rig.imprint("seal")
        rig.imprint("ledger", "verify")

    def test_what_is_no_leave(self):
        rig = self.start(1)
        self.stop()
        rig.make_order_signer("stranger")
        for name, text, changes in (
                ("SIGNATURE", "certificates that this station pins", {"signer": "stranger"}),
                ("REFUSED", "another station", {"station": "00" * 32}),
                ("REFUSED", "environment", {"environment": "other"}),
                ("REFUSED", "good from", {"valid": {"from": "2026-01-01T00:00:00Z",
                                                    "until": "2026-01-02T00:00:00Z"}}),
                ("REFUSED", "--backup", {"action": "restore"}),
                ("INPUT", "type", {"type": "order"})):
            changes = dict(changes)
            ticket = rig.ticket(changes.pop("action", "clock"), "bad",
                                changes.pop("signer", "orders"), **changes)
            with self.subTest(text=text):
                self.refused(name, text, ticket)
        result = rig.imprint("recover", rig.ticket("clock"), "--by", "Ada", check=False)
        self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)
        self.assertEqual(rig.imprint("seal", check=False).returncode, EXIT["CLOCK"])


class Restore(Base):
    def lose(self, how="missing"):
        """What became of the database since the backup."""
        database = self.rig.station / "station.db"
        if how == "missing":
            for suffix in ("", "-wal", "-shm"):
                pathlib.Path(f"{database}{suffix}").unlink(missing_ok=True)
        elif how == "damaged":
            database.write_bytes(os.urandom(100000))
        else:
            for suffix in ("-wal", "-shm"):
                pathlib.Path(f"{database}{suffix}").unlink(missing_ok=True)
            shutil.copy(how / "station.db", database)

    def provision(self):
        """One device more, whatever became of the ones before."""
        for device in self.rig.devices:
            device.stop()
            device.port.unlink(missing_ok=True)
        device = self.rig.add_device()
        code, slots, stderr = self.rig.run_json(check=False)
        self.assertEqual(code, 0, (slots, stderr))
        return device

    def serial(self, device):
        return (device.export() / "serial").read_text().strip()

    def test_what_was_given_out_since_is_burned_before_anything_else(self):
        rig = self.start(12)
        first = self.provision()
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        known = json.loads((backup / "backup.json").read_text())["seq"]
        lost = [self.provision(), self.provision()]  # two entries each
        last = self.entries()[-1]["seq"]
        given = {self.serial(d) for d in lost}
        rig.imprint("ledger", "export", rig.dir / "before")
        for how in ("missing", "damaged", backup):
            with self.subTest(how=how):
                keep = rig.dir / "keep"
                shutil.copytree(rig.station, keep)
                self.lose(how)
                said = json.loads(rig.recover(rig.ticket("restore", f"T-{how}".replace("/", "")),
                                              "--backup", backup, "--json").stdout)
                self.assertEqual((said["lost"], said["burned"]), (last - known, last - known))
                self.check_after(first, given, known, last)
                shutil.rmtree(rig.station)
                keep.rename(rig.station)

    def check_after(self, first, given, known, last):
        rig = self.rig
        restored = self.entries("restored")[-1]
        self.assertEqual(restored["seq"], last + 1)
        self.assertEqual((restored["data"]["anchored"], restored["data"]["backup"]), (last, known))
        self.assertEqual((restored["operator"], restored["why"]), ("Ada", "a test"))
        rig.imprint("ledger", "verify")
        burned = {e["data"]["serial"] for e in self.entries("lost")}
        self.assertLessEqual(given, burned)
        new = self.provision()
        self.assertNotIn(self.serial(new), given | {self.serial(first)})
        rig.seal()
        rig.verify(rig.manifests()[-1])
        void = {r["sn"] for r in rig.records() if r["t"] == "void"}
        self.assertEqual(void, burned)
        rig.imprint("ledger", "export", rig.dir / "audit")
        self.assertGreater(stock_chain(rig.dir / "audit")["last"], last)
        root = rig.station / "trust/manifest-root.pem"
        run(MANIFEST, "verify-ledger", "--root", root,
            rig.dir / "audit")
        rig.imprint("ledger", "export", rig.dir / "part", "--from", last + 1)
        result = run(MANIFEST, "verify-ledger", "--root", root, "--after", rig.dir / "before",
                     rig.dir / "part", check=False)  # an auditor who saw what was lost
        self.assertEqual(result.returncode, EXIT["FORK"], result.stderr)
        self.assertIn("restored from a backup", result.stderr)
        for name in ("audit", "part"):
            shutil.rmtree(rig.dir / name)
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("was restored since", result.stderr)
        self.amend(restored["data"]["ticket"])

    def amend(self, ticket):
        """Nothing is made before the owner gives other serials, knowing of this restore."""
        rig, order = self.rig, self.rig.order_hash
        for recovery, prefix, good in ((None, "A-", False), ("00" * 32, "B-", False),
                                       (ticket, "PUMP-", False), (ticket, "C-", True)):
            more = {"recovery": recovery} if recovery else {}
            rig.write_order(type="amendment", amends=rig.order_hash, serials={"prefix": prefix},
                            **more)
            rig.write_job(prefix=prefix)
            result = rig.imprint("generate", rig.job, "--count", 1, check=False)
            self.assertEqual(result.returncode, 0 if good else EXIT["REFUSED"], result.stderr)
        rig.order_hash = order
        rig.write_job()

    def test_an_order_that_only_the_token_remembers(self):
        """Its counts are lost: added again it would be made twice."""
        rig = self.start(2)
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        rig.write_order(id="E2E-2", serials={"prefix": "NEW-"})
        rig.write_job(prefix="NEW-", order="E2E-2")
        rig.imprint("generate", rig.job, "--count", 5)
        self.lose()
        rig.recover(rig.ticket("restore"), "--backup", backup)
        self.assertEqual(self.entries("restored")[0]["data"]["lost_orders"], [rig.order_hash])
        rig.add_order()
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        rig.write_order(id="E2E-3", serials={"prefix": "NEWER-"})  # one that was never used
        rig.write_job(prefix="NEWER-", order="E2E-3")
        for _ in range(2):
            rig.imprint("generate", rig.job, "--count", 1)
        rig.imprint("ledger", "verify")

    def close(self, order):
        self.rig.imprint("order", "close", order, "--by", "Ada", "--reason", "done")

    def restore_without_manifests(self, backup):
        """The directory was lost, the token was not."""
        self.lose()
        for name in ("manifests", "statements"):
            shutil.rmtree(self.rig.station / name)
        self.rig.recover(self.rig.ticket("restore"), "--backup", backup)
        return self.entries("restored")[0]["data"]

    def cannot_go_on(self, advice, *command):
        result = self.rig.imprint(*command, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("was closed on this station", result.stderr)
        self.assertIn(advice, result.stderr)
        self.assertIn("an order with another id", result.stderr)

    def test_an_order_that_was_closed_after_the_backup_is_not_added_again(self):
        rig = self.start(2)
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        closed = []
        for order, mode in (("E2E-2", "hsm"), ("E2E-3", "device")):  # the other has no stored keys
            rig.write_order(id=order, key_modes=[mode], serials={"prefix": f"{order}-"})
            rig.write_job(prefix=f"{order}-", order=order)
            if mode == "hsm":
                rig.imprint("generate", rig.job, "--count", 1)
            self.provision()
            self.close(order)
            closed.append(shutil.copy(rig.owner / "order.p7", rig.owner / f"{order}.p7"))
        self.assertEqual(self.restore_without_manifests(backup)["lost_orders"], [])
        for signed in closed:
            self.cannot_go_on("does not know it", "order", "add", signed)
        listed = rig.imprint("order", "list").stdout
        self.assertNotIn("E2E-2", listed)
        self.assertNotIn("E2E-3", listed)
        rig.imprint("audit")  # the marks are the station's own
        rig.write_order(id="E2E-4", serials={"prefix": "NEW-"})
        rig.write_job(prefix="NEW-", order="E2E-4")
        rig.imprint("generate", rig.job, "--count", 1)

    def test_an_order_that_was_closed_after_the_backup_and_is_open_in_it(self):
        rig = self.start(2)
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        self.close("E2E-1")
        ticket = self.restore_without_manifests(backup)["ticket"]
        rig.write_order(add=False, type="amendment", amends=rig.order_hash, recovery=ticket,
                        serials={"prefix": "C-"})
        for command in (("order", "add", rig.owner / "order.p7"),
                        ("generate", rig.job, "--count", 1), ("run", rig.job)):
            self.cannot_go_on("end it here as well", *command)
        self.close("E2E-1")
        rig.imprint("ledger", "verify")
        rig.imprint("audit")

    def test_an_order_of_which_the_token_stored_no_key(self):
        """Devices made their keys themselves: the token remembers the order all the same."""
        rig = self.start(1)
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        rig.write_order(id="E2E-2", key_modes=["device"], serials={"prefix": "NEW-"})
        rig.write_job(prefix="NEW-", order="E2E-2")
        self.provision()
        self.lose()
        rig.recover(rig.ticket("restore"), "--backup", backup)
        self.assertEqual(self.entries("restored")[0]["data"]["lost_orders"], [rig.order_hash])
        rig.add_order()
        rig.devices[-1].stop()
        rig.devices[-1].port.unlink(missing_ok=True)
        rig.add_device()
        _, slots, _ = rig.run_json(check=False)
        self.assertEqual([s["event"] for s in slots.values()], ["fail"])
        self.assertIn("was restored since", str(slots))

    def test_a_second_key_that_the_backup_does_not_know(self):
        rig = self.start(4)
        root, pinned = rig.station / "ca/second-root.pem", rig.dir / "pinned.pem"
        rotate = ("rotate", "second-key", "--by", "Ada", "--reason", "x", "--algorithm")
        rig.imprint("backup", rig.dir / "backup")
        rig.imprint(*rotate, "ecdsa-p384")
        shutil.copy(rig.station / "trust/second-root.pem", pinned)
        self.lose()
        rig.recover(rig.ticket("restore"), "--backup", rig.dir / "backup")
        rig.imprint("void", "PUMP-000001", "--by", "Ada", "--reason", "x")
        self.cannot("rotate second-key", "seal")
        self.assertEqual(rig.manifests(), [])
        self.assertIn("a backup from before it was restored", rig.imprint("audit").stdout)
        self.cannot("is not rsa-pss-3072", *rotate, "rsa-pss-3072")
        for content in (None, (rig.station / "ca/manifest-root.pem").read_bytes()):
            root.unlink()
            if content:
                root.write_bytes(content)
            self.cannot("that importers have", *rotate, "ecdsa-p384")
            shutil.copy(pinned, root)
        rig.imprint(*rotate, "ecdsa-p384")
        self.assertEqual((rig.station / "trust/second-root.pem").read_bytes(), pinned.read_bytes())
        rig.imprint("seal")
        rig.accept("--require-alg", f"ecdsa-p384={pinned}")
        rig.imprint("audit")
        rig.imprint("ledger", "verify")

    def test_a_second_key_that_was_given_up_after_the_backup(self):
        rig = self.start(4)
        rotate = ("rotate", "second-key", "--by", "Ada", "--reason", "x")
        rig.imprint(*rotate, "--algorithm", "ecdsa-p384")
        pinned = rig.station / "trust/second-root.pem"
        rig.imprint("backup", rig.dir / "backup")
        rig.imprint(*rotate)
        self.lose()
        rig.recover(rig.ticket("restore"), "--backup", rig.dir / "backup")
        rig.imprint("void", "PUMP-000001", "--by", "Ada", "--reason", "x")
        self.cannot("a newer key of second signatures than number 1", "seal")
        self.assertEqual(rig.manifests(), [])
        rig.imprint(*rotate)
        rig.imprint("seal")
        rig.accept("--require-alg", f"ecdsa-p384={pinned}")
        rig.imprint("audit")

    def cannot(self, text, *command):
        result = self.rig.imprint(*command, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn(text, result.stderr)

    def test_the_newest_backup_costs_nothing(self):
        rig = self.start(2)
        rig.imprint("backup", rig.dir / "backup")
        self.lose()
        said = json.loads(rig.recover(rig.ticket("restore"), "--backup", rig.dir / "backup",
                                      "--json").stdout)
        self.assertEqual((said["lost"], said["burned"]), (0, 0))
        rig.imprint("generate", rig.job, "--count", 1)
        self.provision()
        rig.imprint("ledger", "verify")

    def test_a_ticket_is_good_once_also_for_a_database_that_forgot(self):
        rig = self.start(4)
        backup, ticket = rig.dir / "backup", rig.ticket("restore")
        rig.imprint("backup", backup)
        self.provision()
        self.lose()
        rig.recover(ticket, "--backup", backup)
        self.lose(backup)
        self.refused("REFUSED", "used before", ticket, "--backup", backup)
        self.assertEqual(rig.imprint("seal", check=False).returncode, EXIT["ROLLBACK"])
        rig.recover(rig.ticket("restore", "second"), "--backup", backup)
        rig.imprint("ledger", "verify")
        self.assertEqual(rig.order_status()["available"], 0)  # the lost entries of both times

    def test_a_claim_of_before_goes_on(self):
        rig = self.start(4)
        device = rig.add_device("--baud-pace", "9600")
        process = rig.start_imprint("run", rig.job)
        while rig.order_status()["unresolved"] == 0 and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        rig.imprint("generate", rig.job, "--count", 1)
        self.lose()
        rig.recover(rig.ticket("restore"), "--backup", backup)
        device.stop()
        device.start()
        for _ in range(3):
            code, slots, _ = rig.run_json(check=False)
            if code != EXIT["BUSY"]:
                break
            time.sleep(1)
        self.assertEqual(code, 0, slots)
        self.assertEqual(rig.order_status()["proven"], 1)
        rig.seal()
        judge.check_all(rig, [device])

    def test_a_sound_database_is_not_replaced(self):
        rig = self.start(2)
        backup, ticket = rig.dir / "backup", rig.ticket("restore")
        rig.imprint("backup", backup)
        self.refused("REFUSED", "nothing is restored over it", ticket, "--backup", backup)
        self.provision()
        self.refused("REFUSED", "nothing is restored over it", ticket, "--backup", backup)
        self.assertEqual(rig.order_status()["proven"], 1)

    def test_a_backup_that_would_fork_the_log_is_refused(self):
        rig = self.start(4)
        backup = rig.dir / "backup"
        self.provision()
        rig.imprint("backup", backup)
        rig.seal()  # what was sealed has been in the backup, but not that it was sealed
        self.lose()
        self.refused("ROLLBACK", "older than manifests/000001", rig.ticket("restore"), "--backup",
                     backup)
        sealed = json.loads((rig.manifests()[0] / "manifest.json").read_text())
        shutil.rmtree(rig.manifests()[0])
        after = {name: sealed[name] for name in ("origin", "size", "root")}
        self.refused("ROLLBACK", "owner accepted last", rig.ticket("restore", "A", after=after),
                     "--backup", backup)
        self.refused("REFUSED", "speaks of log", rig.ticket("restore", "B", after={
            **after, "origin": "other"}), "--backup", backup)

    def test_what_the_owner_accepted_is_in_a_newer_backup(self):
        rig = self.start(4)
        backup = rig.dir / "backup"
        self.provision()
        rig.seal()
        rig.imprint("backup", backup)
        sealed = json.loads((rig.manifests()[0] / "manifest.json").read_text())
        after = {name: sealed[name] for name in ("origin", "size", "root")}
        self.lose()
        self.refused("ROLLBACK", "owner accepted last", rig.ticket("restore", "A", after={
            **after, "size": after["size"] + 1}), "--backup", backup)
        self.refused("ROLLBACK", "owner accepted last", rig.ticket("restore", "B", after={
            **after, "root": "A" * 43 + "="}), "--backup", backup)
        rig.recover(rig.ticket("restore", "C", after=after), "--backup", backup)
        self.provision()
        rig.seal()
        rig.verify(rig.manifests()[1], "--after", rig.manifests()[0])

    def test_what_is_no_backup_of_this_station(self):
        rig = self.start(2)
        other = Rig(credentials=1)
        self.addCleanup(other.close)
        for one in (rig, other):
            one.imprint("backup", one.dir / "backup")
        self.lose()
        ticket = rig.ticket("restore")
        self.refused("INTEGRITY", "not written by this station", ticket, "--backup",
                     other.dir / "backup")
        self.refused("MISSING", "backup.json", ticket, "--backup", rig.dir / "nowhere")
        changed = rig.dir / "changed"
        shutil.copytree(rig.dir / "backup", changed)
        listed = changed / "backup.json"
        listed.write_text(listed.read_text().replace("line-1", "line-2"))
        self.refused("REFUSED", "line-2", ticket, "--backup", changed)
        listed.write_text("{}")
        self.refused("INPUT", "backup.json", ticket, "--backup", changed)
        shutil.copy(rig.dir / "backup/backup.json", listed)
        with open(changed / "station.db", "ab") as file:
            file.write(b"x")
        self.refused("INTEGRITY", "copy the backup again", ticket, "--backup", changed)
        with sqlite3.connect(changed / "station.db") as db:  # by somebody who knows the list
            db.execute("UPDATE credentials SET state = 2 WHERE id = 1")
        db.close()
        digest = hashlib.sha256((changed / "station.db").read_bytes()).hexdigest()
        said = json.loads(listed.read_text())
        next(f for f in said["files"] if f["name"] == "station.db")["sha256"] = digest
        listed.write_text(json.dumps(said))
        self.refused("INTEGRITY", "the ledger tells of", ticket, "--backup", changed)
        rig.recover(ticket, "--backup", rig.dir / "backup")

    def test_a_copy_that_somebody_else_prepared_is_not_believed(self):
        """The backup under the name of a copy that is almost in place, with made-up last entries."""
        rig = self.start(12)
        backup, forged = rig.dir / "backup", rig.station / "station.db.restoring"
        rig.imprint("backup", backup)
        first = self.provision()
        keep = rig.dir / "keep"
        shutil.copytree(rig.station, keep)
        db = sqlite3.connect(rig.station / "station.db")
        last = db.execute("SELECT * FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        db.close()
        ticket = rig.ticket("restore")
        data = {"anchored": last[0], "anchored_head": last[2].hex(), "backup": 3, "lost": 0,
                "lost_orders": [],
                "ticket": hashlib.sha256((rig.owner / "ticket.json").read_bytes()).hexdigest()}
        at = json.loads(last[1])["at"]
        body = json.dumps({"at": at, "by": "x", "data": data, "event": "restored",
                           "seq": last[0] + 1})
        for entry in ((last[0] + 1, body, os.urandom(32), os.urandom(32)),  # for what is anchored
                      (*last[:1], body, *last[2:])):  # of the very hash that is anchored
            with self.subTest(seq=entry[0]):
                shutil.copy(backup / "station.db", forged)
                db = sqlite3.connect(forged)
                db.execute("INSERT INTO ledger(seq, body, hash, mac) VALUES (?, ?, ?, ?)", entry)
                db.commit()
                db.close()
                self.lose()
                said = json.loads(rig.recover(ticket, "--backup", backup, "--json").stdout)
                self.assertEqual((said["lost"], said["burned"]), (2, 2))
                rig.imprint("ledger", "verify")
                self.assertNotEqual(self.serial(self.provision()), self.serial(first))
                shutil.rmtree(rig.station)
                shutil.copytree(keep, rig.station)

    def test_what_the_token_does_not_take_is_tried_again(self):
        """The ticket cannot be noted, then the anchor cannot be written."""
        rig = self.start(4)
        backup, ticket = rig.dir / "backup", rig.ticket("restore")
        rig.imprint("backup", backup)
        self.provision()
        self.lose()
        config = rig.station / "station.yaml"
        text = config.read_text()
        module = re.search(r'(?m)^module: "(.*)"', text).group(1)
        config.write_text(text.replace(module, str(BUILD / "tests/p11proxy/p11proxy.so")))
        for function, said in (("C_GenerateKey", "cannot note a ticket"),
                               ("C_SetAttributeValue", "cannot write an anchor")):
            for call in range(1, 20):  # the probe of the token makes some, too
                env = {**rig.environment(), "P11PROXY_MODULE": module,
                       "P11PROXY_RV": "CKR_DEVICE_ERROR", "P11PROXY_FUNCTION": function,
                       "P11PROXY_FAIL_AT": str(call), "P11PROXY_FOR_EVER": "1"}
                result = run(IMPRINT, "recover", ticket, "--by", "Ada", "--reason", "x", "--backup",
                             backup, check=False, env=env)
                self.assertNotEqual(result.returncode, 0)
                self.assertFalse((rig.station / "station.db").exists())
                if said in result.stderr:
                    break
            self.assertEqual(result.returncode, EXIT["HSM"], result.stderr)
            self.assertIn(said, result.stderr)
        config.write_text(text)
        other = rig.ticket("restore", "other", station="00" * 32)
        self.refused("REFUSED", "another station", other, "--backup", backup)
        copy = rig.station / "station.db.restoring"  # prepared with this token, and then made worse
        db = sqlite3.connect(copy)
        db.execute("DELETE FROM ledger WHERE json_extract(body, '$.event') = 'lost'")
        db.execute("UPDATE credentials SET state = 0")
        db.execute("DELETE FROM records")
        db.commit()
        db.close()
        said = json.loads(rig.recover(ticket, "--backup", backup, "--json").stdout)
        self.assertEqual((said["lost"], said["burned"]), (2, 2))
        rig.imprint("ledger", "verify")
        self.assertEqual(len(self.entries("restored")), 1)
        (rig.station / "station.db").rename(rig.station / "station.db.restoring")
        rig.recover(rig.ticket("clock", "any"), "--backup", backup)  # it is anchored: no leave needed
        rig.imprint("ledger", "verify")

    def test_killed_at_any_moment_the_same_command_goes_on(self):
        rig = self.start(40)
        backup = rig.dir / "backup"
        rig.imprint("backup", backup)
        self.provision()
        self.lose("damaged")
        keep = rig.dir / "keep"
        shutil.copytree(rig.station, keep)
        ticket, killed = rig.ticket("restore"), 0
        for delay in (0.01 * n for n in range(1, 40)):
            process = rig.start_imprint("recover", ticket, "--by", "Ada", "--reason", "x",
                                        "--backup", backup)
            time.sleep(delay)
            killed += process.poll() is None
            process.kill()
            process.wait()
            process.stdout.close()
            result = rig.recover(ticket, "--backup", backup, check=False)
            if result.returncode:  # it had come to its end before
                self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
                self.assertIn("nothing is restored over it", result.stderr)
            rig.imprint("ledger", "verify")
            self.assertEqual(len(self.entries("restored")), 1)
            self.assertEqual(len(list(rig.station.glob("station.db.before-*"))), 1)
            self.assertEqual(list(rig.station.glob("*.restoring*")), [])
            shutil.rmtree(rig.station)
            shutil.copytree(keep, rig.station)
        print(f"{killed} kills")
        self.assertGreater(killed, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
