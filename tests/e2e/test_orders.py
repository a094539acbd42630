"""Orders on real stations: added, amended, ended, shared between two, and warned of in time."""
import datetime
import ctypes
import json
import os
import shutil
import sqlite3
import struct
import unittest

import judge
from rig import EXIT, Rig


def in_hours(hours):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Opens:
    """Counts how often a file is opened meanwhile (inotify(7))."""
    CLOSE, OPEN = 0x10, 0x20  # both: equal events in a row would be told as one

    def __init__(self, path):
        libc = ctypes.CDLL(None)
        self.watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.watch, os.fsencode(path), self.CLOSE | self.OPEN) > 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        events = struct.iter_unpack("iIII", os.read(self.watch, 65536))
        self.count = sum(mask == self.OPEN for _, mask, _, _ in events)
        os.close(self.watch)


class Orders(unittest.TestCase):
    def make(self, **options):
        rig = Rig(**options)
        self.addCleanup(rig.close)
        return rig

    def refused(self, result, name, text):
        self.assertEqual(result.returncode, EXIT[name], result.stderr)
        self.assertIn(text, result.stderr)

    def show(self, rig):
        return json.loads(rig.imprint("order", "show", rig.order_id, "--json").stdout)

    def test_an_order_is_added_listed_and_shown_without_a_pin(self):
        rig = self.make()
        pin = (rig.dir / "pin").read_text()
        (rig.dir / "pin").unlink()
        shown = self.show(rig)
        self.assertEqual((shown["order"], shown["state"], shown["version"], shown["good"]),
                         ("E2E-1", "open", 1, 100000))
        self.assertEqual(shown["hash"], rig.order_hash)
        self.assertEqual(shown["in_force"], rig.order_hash)
        listed = [json.loads(line) for line in
                  rig.imprint("order", "list", "--json").stdout.splitlines()]
        self.assertEqual([o["order"] for o in listed], ["E2E-1"])
        self.assertIn("order 'E2E-1'", rig.imprint("order", "show", "E2E-1").stdout)
        (rig.dir / "pin").touch(mode=0o600)
        (rig.dir / "pin").write_text(pin)
        self.assertIn("nothing changed", rig.add_order().stdout)
        for wrong in (("order",), ("order", "add"), ("order", "drop", "x"), ("order", "list", "x")):
            self.assertEqual(rig.imprint(*wrong, check=False).returncode, EXIT["USAGE"], wrong)

    def test_station_json_says_what_the_owner_needs(self):
        rig = self.make()
        said = json.loads((rig.station / "station.json").read_text())
        self.assertEqual({k: said[k] for k in ("name", "environment", "hsm", "origin")},
                         {"name": "line-1", "environment": "test", "hsm": "software",
                          "origin": "acme.example/wl/line-1"})

    def test_a_device_that_began_before_an_amendment_is_finished_after_it(self):
        rig = self.make(credentials=3)
        first = rig.order_hash
        device = rig.add_device("--fault", "vanish")
        rig.run_json(check=False)
        rig.write_order(type="amendment", amends=first,
                        counts={"good": 2, "max_issued": 3, "spoilage": 1})
        self.assertEqual(self.show(rig)["version"], 2)
        device.stop()
        device.options = [o for o in device.options if o not in ("--fault", "vanish")]
        device.start()
        rig.add_device()
        code, slots, stderr = rig.run_json()
        self.assertEqual({s["event"] for s in slots.values()}, {"pass"})
        self.assertEqual(code, 0, stderr)
        self.refused(rig.imprint("generate", rig.job, "--count", 1, check=False), "REFUSED",
                     "allows this station 3 certificates")
        rig.seal()
        rig.verify(rig.manifests()[0])
        judge.check_all(rig, rig.devices)
        self.assertEqual({r["sn"]: r["order"] for r in rig.records()},
                         {"PUMP-000001": first, "PUMP-000002": rig.order_hash})
        totals = json.loads((rig.manifests()[0] / "manifest.json").read_text())["totals"]
        self.assertEqual(totals[first]["amendments"], [rig.order_hash])
        rig.imprint("ledger", "verify")

    def edit(self, rig, *statement):
        db = sqlite3.connect(rig.station / "station.db")
        db.execute(*statement)
        db.commit()
        db.close()

    def test_totals_are_not_signed_as_somebody_wrote_them_into_the_tables(self):
        rig = self.make(credentials=2)
        first = rig.order_hash
        rig.add_device()
        rig.run_json()
        rig.make_order_signer("stranger")
        rig.write_order(add=False, type="amendment", amends=first)
        rig.sign_order("stranger")
        self.edit(rig, "INSERT INTO order_versions(hash, order_id, number, signed)"
                  " VALUES (?, 1, 2, ?)", (bytes.fromhex(rig.order_hash),
                                           (rig.owner / "order.p7").read_bytes()))
        self.refused(rig.imprint("seal", check=False), "SIGNATURE", "pins")
        rig.sign_order()  # by the owner, and never taken in here
        self.edit(rig, "UPDATE order_versions SET signed = ? WHERE number = 2",
                  ((rig.owner / "order.p7").read_bytes(),))
        self.refused(rig.imprint("seal", check=False), "INTEGRITY", "the ledger does not tell of")
        self.edit(rig, "DELETE FROM order_versions WHERE number = 2")
        rig.write_order(id="E2E-2", serials={"prefix": "NEW-"})
        self.edit(rig, "UPDATE credentials SET order_id = 2 WHERE state = 0")
        self.refused(rig.imprint("seal", check=False), "INTEGRITY", "the ledger tells of")
        self.edit(rig, "UPDATE credentials SET order_id = 1")
        rig.seal()
        rig.verify(rig.manifests()[0])

    def test_only_the_file_that_was_compared_says_who_signs(self):
        """A pipe gives each reader other bytes: the owner's, and then somebody else's."""
        rig = self.make()
        signers = rig.station / "order-signers.pem"
        aside = rig.dir / "aside.pem"
        signers.rename(aside)
        os.mkfifo(signers)
        for command in (("order", "add", rig.owner / "order.p7"), ("order", "list"),
                        ("generate", rig.job, "--count", 1)):
            self.refused(rig.imprint(*command, check=False), "INTEGRITY", "not a regular file")
        signers.unlink()
        signers.symlink_to(aside)
        self.refused(rig.add_order(check=False), "INTEGRITY", "symbolic link")
        signers.unlink()
        aside.rename(signers)
        with Opens(signers) as opens:
            rig.imprint("generate", rig.job, "--count", 1)
        self.assertEqual(opens.count, 1)

    def test_same_id_with_other_bytes_is_refused(self):
        rig = self.make()
        rig.write_order(add=False, lock=False)
        self.refused(rig.add_order(check=False), "REFUSED", "changes an order with an amendment")

    def test_an_order_for_another_station_names_the_key_to_list(self):
        rig = self.make(order={"add": False})
        share = rig.share({"good": 1, "max_issued": 1, "spoilage": 0, "rework": 0})
        rig.write_order(add=False, stations=[{**share, "key": "00" * 32}])
        self.refused(rig.add_order(check=False), "REFUSED", share["key"])
        rig.write_order(add=False, stations=[{**share, "issuer": "00" * 32}])
        self.refused(rig.add_order(check=False), "REFUSED", share["issuer"])

    def test_the_log_must_extend_what_the_owner_accepted(self):
        rig = self.make(credentials=2)
        rig.add_device()
        rig.run_json()
        rig.seal()
        accepted = json.loads((rig.manifests()[0] / "manifest.json").read_text())
        after = {"origin": accepted["origin"], "size": accepted["size"], "root": accepted["root"]}
        counts = {"good": 1, "max_issued": 1, "spoilage": 0, "rework": 0}
        rig.write_order(id="E2E-2", stations=[rig.share(counts, after=after)], counts=counts)
        after["size"] += 1
        rig.write_order(add=False, id="E2E-3", stations=[rig.share(counts, after=after)],
                        counts=counts)
        self.refused(rig.add_order(check=False), "ROLLBACK", "old copy")

    def test_an_importer_holds_the_station_to_what_the_owner_gave_it(self):
        one = {"good": 1, "max_issued": 1, "spoilage": 0, "rework": 0}
        two = {name: 2 * n for name, n in one.items()}
        rig = self.make(order={"add": False})
        stranger = {**rig.share(one, first=501), "key": "11" * 32, "issuer": "22" * 32}
        rig.write_order(counts=two, stations=[rig.share(one, last=500), stranger])
        first = shutil.copy(rig.owner / "order.p7", rig.owner / "first.p7")
        rig.imprint("generate", rig.job, "--count", 1)
        rig.add_device()
        rig.run_json()
        rig.seal()
        # The owner takes the share back, and the station never hears of it.
        none = {**one, "good": 0, "max_issued": 0}
        rig.write_order(add=False, type="amendment", amends=rig.order_hash, counts=one,
                        stations=[rig.share(none, last=500), stranger])
        amended = ("--order", rig.owner / "order.p7", "--order", first)
        refused = rig.accept(*amended, check=False)
        self.refused(refused, "REFUSED", "allows this station 0")
        self.assertIn("name every version", rig.accept(*amended[:2], check=False).stderr)
        rig.accept("--order", first)

    def test_an_order_that_has_not_begun_or_has_ended(self):
        rig = self.make(order={"valid": {"from": in_hours(1), "until": in_hours(1000)}})
        for command in (("run", rig.job), ("generate", rig.job, "--count", 1)):
            self.refused(rig.imprint(*command, check=False), "REFUSED", "begins at")
        self.assertEqual(self.show(rig)["state"], "not begun")
        rig.write_order(type="amendment", amends=rig.order_hash,
                        valid={"from": in_hours(-2), "until": in_hours(-1)})
        for command in (("run", rig.job), ("generate", rig.job, "--count", 1)):
            self.refused(rig.imprint(*command, check=False), "REFUSED", "ended at")
        self.assertEqual(self.show(rig)["state"], "ended")

    def test_95_percent_and_72_hours_are_said_in_time(self):
        rig = self.make(order={"counts": {"good": 20, "max_issued": 20},
                               "valid": {"from": in_hours(-1), "until": in_hours(73)}})
        self.assertEqual(rig.imprint("generate", rig.job, "--count", 18).stderr, "")
        self.assertEqual(rig.order_status()["warnings"], [])
        made = rig.imprint("generate", rig.job, "--count", 1, "--json")
        self.assertIn("95% or more of the certificates", made.stderr)
        events = [json.loads(line) for line in made.stdout.splitlines()]
        self.assertIn({"event": "warning", "order": "E2E-1", "warnings": ["max_issued"]}, events)
        rig.write_order(type="amendment", amends=rig.order_hash, counts={"good": 20, "max_issued": 40},
                        valid={"from": in_hours(-1), "until": in_hours(71)})
        self.assertEqual(rig.order_status()["warnings"], ["until"])
        self.assertEqual(self.show(rig)["warnings"], ["until"])
        self.assertIn("warning     it ends within 72 hours",
                      rig.imprint("order", "list").stdout + rig.imprint("status").stdout)
        rig.add_device()
        self.assertIn("ends within 72 hours", rig.imprint("run", rig.job).stderr)

    def test_a_job_needs_no_order_to_find_its_ports(self):
        rig = self.make(order={"add": False})
        rig.add_device()
        self.assertIn("ttyFACT1", rig.imprint("devices", rig.job).stdout)


class OrderOfTen(unittest.TestCase):
    """With an older database in the place of the newest there is no eleventh device either."""

    def setUp(self):
        counts = {"good": 10, "max_issued": 12, "spoilage": 12, "rework": 0}
        self.rig = Rig(credentials=12, order={"counts": counts})
        self.addCleanup(self.rig.close)
        self.devices = 0

    def provision(self, count):
        """Devices that nobody saw before, and nothing else in the slots."""
        for device in self.rig.devices:
            device.stop()
            device.port.unlink(missing_ok=True)
        self.rig.devices.clear()
        for _ in range(count):
            self.devices += 1
            self.rig.add_device(number=self.devices)
        return self.rig.run_json(check=False)

    def put_in_place(self, folder):
        for path in self.rig.station.glob("station.db*"):
            path.unlink()
        for path in folder.glob("station.db*"):
            shutil.copy(path, self.rig.station)

    def keep(self, name):
        folder = self.rig.dir / name
        folder.mkdir()
        for path in self.rig.station.glob("station.db*"):
            shutil.copy(path, folder)
        return folder

    def assert_no_eleventh(self, name):
        code, slots, stderr = self.provision(1)
        self.assertEqual(code, EXIT[name], (slots, stderr))
        self.assertNotIn("pass", [slot["event"] for slot in slots.values()])

    def test_the_eleventh_device_is_refused_whatever_database_is_there(self):
        rig = self.rig
        rig.imprint("backup", rig.dir / "backup")
        self.assertEqual(self.provision(5)[0], 0)
        older = self.keep("older")
        self.assertEqual(self.provision(5)[0], 0)
        self.assert_no_eleventh("REFUSED")
        newest = self.keep("newest")
        self.put_in_place(older)
        self.assert_no_eleventh("ROLLBACK")
        self.assertEqual(rig.imprint("generate", rig.job, "--count", 1, check=False).returncode,
                         EXIT["ROLLBACK"])
        self.put_in_place(newest)
        self.assert_no_eleventh("REFUSED")
        self.assertEqual(rig.order_status()["proven"], 10)
        self.put_in_place(older)  # also not with the owner's leave to go on with a backup
        rig.recover(rig.ticket("restore"), "--backup", rig.dir / "backup")
        self.assert_no_eleventh("EXHAUSTED")


class Spare(unittest.TestCase):
    """Two stations under one order: one fails in the middle, the other goes on with its share."""

    def setUp(self):
        self.first = Rig(station=False)
        self.addCleanup(self.first.close)
        self.spare = Rig(station=False, name="line-2")
        self.addCleanup(self.spare.close)
        shutil.rmtree(self.spare.owner)
        self.spare.owner.symlink_to(self.first.owner)
        self.spare.anchors = self.first.anchors
        for rig in (self.first, self.spare):
            rig.make_station(order=False)
        mine = {"good": 3, "max_issued": 4, "spoilage": 1, "rework": 0}
        self.first.write_order(
            counts={name: 2 * n for name, n in mine.items()},
            stations=[self.first.share(mine, first=1, last=100),
                      self.spare.share(mine, first=101, last=200)])
        self.spare.add_order()
        self.spare.write_job(first=101)
        self.spare.order_hash = self.first.order_hash

    def test_the_spare_has_its_own_share_and_serials(self):
        for rig, count in ((self.first, 1), (self.spare, 2)):
            rig.imprint("generate", rig.job, "--count", 4)
            result = rig.imprint("generate", rig.job, "--count", 1, check=False)
            self.assertEqual(result.returncode, EXIT["REFUSED"])
            for number in range(count):
                rig.add_device(chip=f"{rig.name[-1]}0{number:06x}"[-8:])
            self.assertEqual(rig.run_json()[0], 0)
            rig.seal()
            rig.verify(rig.manifests()[0])
            judge.check_all(rig, rig.devices)
        serials = [r["sn"] for rig in (self.first, self.spare) for r in rig.records()]
        self.assertEqual(sorted(serials), ["PUMP-000001", "PUMP-000101", "PUMP-000102"])
        self.assertEqual({r["order"] for rig in (self.first, self.spare) for r in rig.records()},
                         {self.first.order_hash})

    def test_the_serials_of_the_other_station_are_refused(self):
        self.spare.write_job(first=1)
        result = self.spare.imprint("generate", self.spare.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("numbers 101 to 200", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
