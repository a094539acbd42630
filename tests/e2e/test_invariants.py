"""The invariant checker can fail: every way to damage a sound station is found, by the right rule."""
import contextlib
import pathlib
import shutil
import sqlite3
import struct
import tempfile
import unittest
import zlib

import flash
import invariants
from rig import Rig

PASSED, LOST, INTERRUPTED, REVOKED, LATER = range(5)  # devices of the sound station, by index


def make_station():
    """A station with a credential in every state, a sealed manifest, and a record after it."""
    rig = Rig(credentials=12)
    devices = [rig.add_device(start=False) for _ in range(5)]
    for index in (PASSED, REVOKED):
        devices[index].start()
    devices[LOST].start("--fault", "vanish")
    rig.run_json(check=False)
    shutil.rmtree(devices[LOST].store)
    for device in devices:
        device.stop()
    devices[LOST].start()
    devices[INTERRUPTED].start("--fault", "vanish-after")
    rig.run_json(check=False)
    by = ("--by", "Ada", "--reason", "a test")
    rig.imprint("void", devices[REVOKED].export().joinpath("serial").read_text().strip(), *by)
    rig.imprint("void", "PUMP-000012", *by)
    rig.seal()
    devices[LATER].start()
    rig.run_json(check=False)
    for device in devices:
        device.stop()
    return rig


class Copy:
    """A copy of the sound station that may be damaged."""

    def __init__(self, rig):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="imprint-e2e-"))
        self.station, self.chips = self.dir / "station", [d.chip for d in rig.devices]
        self.station.mkdir()
        for name in ("station.db", "station.db-wal"):
            if (rig.station / name).exists():
                shutil.copy(rig.station / name, self.station)
        shutil.copytree(rig.station / "manifests", self.station / "manifests")
        shutil.copytree(rig.dir / "devices", self.dir / "devices")
        self.folders = {d.chip: self.dir / "devices" / str(d.number) for d in rig.devices}
        with self.database() as database:  # without the rules that the database itself keeps
            names = [r[0] for r in database.execute("SELECT name FROM sqlite_master WHERE type ="
                                                    " 'table' AND name NOT LIKE 'sqlite%'")]
            for name in names:
                database.executescript(f"CREATE TABLE plain AS SELECT * FROM {name};"
                                       f"DROP TABLE {name}; ALTER TABLE plain RENAME TO {name};")

    def database(self):
        return contextlib.closing(sqlite3.connect(self.station / "station.db", isolation_level=None))

    def sql(self, *statements):
        with self.database() as database:
            for statement in statements:
                changed = database.execute(statement).rowcount
                assert changed != 0, f"nothing changed: {statement}"

    def folder(self, index):
        return self.folders[self.chips[index]]

    def swap(self, one, two):
        one, two = self.folder(one), self.folder(two)
        one.rename(self.dir / "aside")
        two.rename(one)
        (self.dir / "aside").rename(two)

    def rules(self):
        return {rule for rule, _ in invariants.violations(self.station, self.folders)}

    def close(self):
        shutil.rmtree(self.dir)


def change_key(copy):
    """Another private key in the flash of a device, whole by its checksum."""
    for path in (copy.folder(PASSED) / "slot-a", copy.folder(PASSED) / "slot-b"):
        cells = bytearray(path.read_bytes())
        raw = bytearray(cells[0::2])
        commit = raw[flash.AT_COMMIT:flash.AT_COMMIT + flash.COMMIT.size]
        if commit[:4] != b"imc\1":
            continue
        commit[8 + 32 + 31] ^= 1  # magic, count, hash of the leaf; the key's last byte
        commit[-4:] = struct.pack(">I", zlib.crc32(commit[:-4]))
        raw[flash.AT_COMMIT:flash.AT_COMMIT + flash.COMMIT.size] = commit
        cells[0::2] = raw
        path.write_bytes(cells)


def change_shard(copy):
    shard = next((copy.station / "manifests").glob("*/devices-*.jsonl"))
    shard.write_bytes(shard.read_bytes().replace(b"PUMP-", b"PUMQ-", 1))


def clone_device(copy):
    shutil.rmtree(copy.folder(LATER))
    shutil.copytree(copy.folder(PASSED), copy.folder(LATER))


def forge_entry(copy):
    """An entry that tells of another chip, with a chain that is right again."""
    with copy.database() as database:
        database.execute("UPDATE ledger SET body = replace(body, '\"chip\":\"c0', '\"chip\":\"ff')"
                         " WHERE json_extract(body, '$.event') = 'claim'")
        chain = bytes(32)
        for seq, body in database.execute("SELECT seq, body FROM ledger ORDER BY seq").fetchall():
            chain = invariants.hashlib.sha256(b"imprint ledger v1\0" + chain + body.encode()).digest()
            database.execute("UPDATE ledger SET hash = ? WHERE seq = ?", (chain, seq))


LAST = "(SELECT max(seq) FROM ledger)"
ADD = "(SELECT max(idx) FROM records WHERE CAST(line AS TEXT) LIKE '%\"t\":\"add\"%')"
NEXT = "(SELECT count(*) FROM records)"
# What is done, and the rule that must say so.
DAMAGE = {
    "a device is a copy of another": (clone_device, "one key, one device"),
    "a device lost its memory after its proof":
        (lambda c: shutil.rmtree(c.folder(PASSED)), "held"),
    "two devices were swapped": (lambda c: c.swap(PASSED, LATER), "held"),
    "a device has another private key": (change_key, "held"),
    "the device of a record is nowhere": (lambda c: c.folders.pop(c.chips[PASSED]), "held"),
    "a claim was forgotten after the device committed":
        (lambda c: c.sql("DELETE FROM claims WHERE state = 0"), "reserved"),
    "a claim is another chip's": (lambda c: c.sql("UPDATE claims SET chip = x'00'"), "reserved"),
    "a device has a key that was never its own":
        (lambda c: c.sql("UPDATE credentials SET point = randomblob(65) WHERE state = 2"), "reserved"),
    "a public key stands twice": (lambda c: c.sql(
        "UPDATE credentials SET point = (SELECT point FROM credentials WHERE state = 2)"
        " WHERE state = 0"), "one key, one device"),
    "a transport key was used for two credentials": (lambda c: c.sql(
        "UPDATE claims SET dev_pub = (SELECT dev_pub FROM claims WHERE state = 1)"),
        "one key, one device"),
    "two keys were wrapped under one key of the station": (lambda c: c.sql(
        "UPDATE claims SET station_pub = (SELECT station_pub FROM claims WHERE state = 1)"),
        "one key, one device"),
    "a serial stands twice": (lambda c: c.sql(
        "UPDATE credentials SET serial = (SELECT serial FROM credentials WHERE state = 2)"
        " WHERE state = 0"), "one serial, one device"),
    "a serial stands twice, but for the case of its letters": (lambda c: c.sql(
        "UPDATE credentials SET serial = (SELECT lower(serial) FROM credentials WHERE state = 2)"
        " WHERE id = (SELECT min(id) FROM credentials WHERE state = 0)"), "one serial, one device"),
    "a chip has two open claims": (lambda c: c.sql(
        "UPDATE claims SET chip = (SELECT chip FROM claims WHERE state = 1) WHERE state = 0"),
        "one serial, one device"),
    "a serial is whitelisted twice": (lambda c: c.sql(
        f"INSERT INTO records SELECT {NEXT}, line, evidence, mac FROM records WHERE idx = {ADD}"),
        "one serial, one device"),
    "a credential was given back after its proof": (lambda c: c.sql(
        "UPDATE credentials SET state = 0 WHERE state = 2"), "accounted"),
    "a burned credential was given back": (lambda c: c.sql(
        "DELETE FROM claims WHERE state = 2", "UPDATE credentials SET state = 0 WHERE state = 3"),
        "accounted"),
    "a burned credential has no record": (lambda c: c.sql(
        "UPDATE records SET line = CAST(replace(CAST(line AS TEXT), '\"t\":\"void\"', '\"t\":\"rotate\"')"
        " AS BLOB)"), "accounted"),
    "burned is called scrapped": (lambda c: c.sql(
        "UPDATE records SET line = CAST(replace(CAST(line AS TEXT), 'burned', 'scrapped') AS BLOB)"),
        "accounted"),
    "a wrapped key outlived its proof": (lambda c: c.sql(
        "UPDATE credentials SET wrapped = x'00' WHERE state = 2"), "accounted"),
    "a wrapped key for a device outlived its proof": (lambda c: c.sql(
        "UPDATE claims SET wrapped = x'00' WHERE state = 1"), "accounted"),
    "a certificate is for another key": (lambda c: c.sql(
        "UPDATE credentials SET cert = (SELECT cert FROM credentials WHERE state = 2)"
        " WHERE state = 1"), "accounted"),
    "a revocation is missing": (lambda c: c.sql(
        "UPDATE credentials SET state = 5 WHERE state = 2", "UPDATE claims SET state = 3"
        " WHERE state = 1"), "accounted"),
    "a credential is gone": (lambda c: c.sql(
        "DELETE FROM credentials WHERE id = (SELECT max(id) FROM credentials WHERE state = 0)"),
        "totals"),
    "a credential came from nowhere": (lambda c: c.sql(
        "INSERT INTO credentials SELECT id + 100, order_id, product, 'X', state, randomblob(65), cert,"
        " wrapped, wrapped_hash, storage, mechanism, mac FROM credentials WHERE state = 0 LIMIT 1"),
        "totals"),
    "a credential is in no state": (lambda c: c.sql(
        "UPDATE credentials SET state = 9 WHERE state = 0"), "totals"),
    "an entry was changed": (lambda c: c.sql(
        f"UPDATE ledger SET body = replace(body, '\"at\":\"2', '\"at\":\"3') WHERE seq = {LAST}"),
        "ledger"),
    "an entry was taken out": (lambda c: c.sql("DELETE FROM ledger WHERE seq = 3"), "ledger"),
    "the last entry was taken out": (lambda c: c.sql(
        f"DELETE FROM ledger WHERE seq = {LAST}"), "ledger"),
    "the ledger tells of another chip": (forge_entry, "ledger"),
    "a sealed line was changed": (change_shard, "manifest"),
    "a manifest is gone": (lambda c: shutil.rmtree(c.station / "manifests" / "000001"), "manifest"),
    "a record is gone": (lambda c: c.sql("DELETE FROM records WHERE idx = 1"), "manifest"),
    "the newest record is gone": (lambda c: c.sql(
        "DELETE FROM records WHERE idx = (SELECT max(idx) FROM records)"), "accounted"),
    "a manifest says more than there is": (lambda c: c.sql(
        "UPDATE manifests SET count = count + 100"), "manifest"),
}


class Checker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = make_station()

    @classmethod
    def tearDownClass(cls):
        cls.rig.close()

    def test_a_sound_station_with_every_state_has_nothing_to_say(self):
        states = {c.state for c in invariants.Station(self.rig.station / "station.db").credentials}
        self.assertEqual(states, set(range(6)))
        self.assertEqual(len(self.rig.manifests()), 1)
        copy = Copy(self.rig)
        self.addCleanup(copy.close)
        self.assertEqual(copy.rules(), set())
        invariants.Watch(self.rig).check()

    def test_the_station_says_the_same_of_itself(self):
        invariants.Watch(self.rig).finish()

    def test_every_damage_is_found_by_its_rule(self):
        for name, (damage, rule) in DAMAGE.items():
            with self.subTest(name):
                copy = Copy(self.rig)
                try:
                    damage(copy)
                    self.assertIn(rule, copy.rules())
                finally:
                    copy.close()

    def test_every_rule_is_broken_by_some_damage(self):
        self.assertEqual({rule for _, rule in DAMAGE.values()}, set(invariants.RULES))

    def test_what_a_rig_checks_is_what_it_has(self):
        copy = Copy(self.rig)
        self.addCleanup(copy.close)
        clone_device(copy)
        watch = invariants.Watch(self.rig)
        for device in self.rig.devices:
            self.addCleanup(setattr, device, "store", device.store)
            device.store = copy.folders[device.chip]
        with self.assertRaisesRegex(AssertionError, "after a copy: .*one key, one device"):
            watch.check("a copy")


if __name__ == "__main__":
    unittest.main(verbosity=2)
