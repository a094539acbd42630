"""Decides from outside whether what a station says is true.

violations() shares no code with the station and asks none of its programs: it reads the database, the
flash of the devices and the manifests, and reports every sentence of RULES that does not hold. What it
reads may be in use: the database is read in one transaction, and a device that works while it is read is
read before and after that. Watch.finish() then has the station say the same of itself, and the verifier
of docs/ judge what was sealed.
"""
import base64
import collections
import contextlib
import functools
import hashlib
import json
import pathlib
import sqlite3
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import flash
from rig import run

VERIFIER = pathlib.Path(__file__).parents[2] / "docs" / "manifest-verifier.py"
RULES = {
    "one key, one device": "no private key, transport key or public key is on two devices",
    "one serial, one device": "no serial and no chip has two identities that are live",
    "held": "a whitelisted device holds the private key and the certificate of its record",
    "reserved": "an identity that a device holds was claimed for that device",
    "accounted": "each credential is in one state, and claim, record and ledger say the same",
    "totals": "the states of an order's credentials add up to what it made",
    "ledger": "the entries are a chain without a gap and tell of each step once",
    "manifest": "the sealed lines are the records, each once and in order",
}
AVAILABLE, CLAIMED, PROVEN, BURNED, SCRAPPED, REVOKED = range(6)
GIVES, TAKES = ("add", "replace"), ("revoke", "decommission")
# What the ledger tells of a credential, from its making to each state.
LIVES = {AVAILABLE: [()], CLAIMED: [("claim",)], PROVEN: [("claim", "proven")],
         BURNED: [("claim", "burned"), ("lost",)], SCRAPPED: [("scrapped",)],
         REVOKED: [("claim", "proven", "revoked")]}
CLAIM_STATE = {CLAIMED: 0, PROVEN: 1, BURNED: 2, REVOKED: 3}
TABLES = {
    "orders": "id, hash",
    "credentials": "id, order_id, product, serial, state, point, cert, wrapped IS NOT NULL AS wrapped",
    "claims": "tx, credential, state, chip, dev_pub, station_pub, wrapped IS NOT NULL AS wrapped",
    "ledger": "seq, body, hash",
    "records": "idx, line",
    "manifests": "seq, first, count, published",
}


@functools.lru_cache(maxsize=None)
def point_of(scalar):
    """The public key of a device's private key."""
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.X962,
                            serialization.PublicFormat.UncompressedPoint)


@functools.lru_cache(maxsize=None)
def point_of_spki(der):
    return serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@functools.lru_cache(maxsize=None)
def point_of_certificate(der):
    return x509.load_der_x509_certificate(der).public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def first_certificate(der):
    """The leaf of a chain of DER certificates (a SEQUENCE with a length of two bytes)."""
    return der[:4 + int.from_bytes(der[2:4], "big")] if der[:2] == b"\x30\x82" else der


class Held:
    """What one device holds, compared by value."""

    def __init__(self, identity):
        self.point = point_of(identity.key)
        self.transaction = identity.transaction
        self.serial = identity.serial
        self.leaf = first_certificate(identity.objects.get(flash.CERTIFICATES, b""))

    def __eq__(self, other):
        return other is not None and vars(self) == vars(other)


class Stores:
    """The flash of devices by chip id; one that did not change is not read again."""

    def __init__(self):
        self.known = {}

    def read(self, folders):
        return {chip: self.read_one(pathlib.Path(folder)) for chip, folder in folders.items()}

    def read_one(self, folder):
        stamp = tuple((s.st_mtime_ns, s.st_ino) for s in
                      (p.stat() for p in sorted(folder.glob("slot-?"))))
        known = self.known.get(folder)
        if known and known[0] == stamp:
            return known[1]
        identity = flash.read_folder(folder)
        held = Held(identity) if identity else None
        self.known[folder] = (stamp, held)
        return held


class Station:
    """One committed state of a station's database; rows as objects, in lists by table."""

    def __init__(self, path):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60,
                                                isolation_level=None)) as database:
            database.execute("BEGIN")
            for table, columns in TABLES.items():
                setattr(self, table, self.rows(database, table, columns))
        self.entries = [json.loads(row.body) for row in self.ledger]
        self.lines = [json.loads(row.line) for row in self.records]

    @staticmethod
    def rows(database, table, columns):
        cursor = database.execute(f"SELECT {columns} FROM {table} ORDER BY 1")
        make = collections.namedtuple(table, [c[0] for c in cursor.description])
        return [make(*row) for row in cursor]


class Checker:
    """Collects violations: pairs of a rule's name and a sentence."""

    def __init__(self, station, before, after, manifests):
        self.station, self.before, self.after = station, before, after
        self.manifests = manifests
        self.found = []
        self.credentials = {c.id: c for c in station.credentials}
        self.claims = collections.defaultdict(list)
        for claim in station.claims:
            self.claims[claim.credential].append(claim)

    def say(self, rule, text):
        assert rule in RULES
        self.found.append((rule, text))

    def once(self, rule, what, values):
        for value, count in collections.Counter(values).items():
            if count > 1:
                name = value.hex() if isinstance(value, bytes) else value
                self.say(rule, f"{what} {name} is there {count} times")

    def run(self):
        self.check_live_records()
        self.check_devices()
        self.check_uniqueness()
        for credential in self.station.credentials:
            self.check_account(credential)
        self.check_totals()
        self.check_ledger()
        self.check_manifests()
        return self.found

    # ---- records

    def check_live_records(self):
        """Fills self.live with the records of live devices, by leaf."""
        self.live, self.ends, ended = {}, collections.defaultdict(list), set()
        for leaf, line in enumerate(self.station.lines):
            if line["t"] in GIVES:
                self.live[leaf] = line
            if "ref" in line:
                self.live.pop(line["ref"], None)
                if line["ref"] in ended and line["t"] in TAKES:
                    self.say("accounted", f"leaf {leaf} ends what had ended")
                ended.add(line["ref"])
            if "spki" in line:
                self.ends[point_of_spki(base64.b64decode(line["spki"]))].append((leaf, line))
        if [row.idx for row in self.station.records] != list(range(len(self.station.records))):
            self.say("manifest", "the records have a gap")
        for line in self.live.values():
            self.check_holder(line)

    def check_holder(self, line):
        if line["chip"] not in self.after:
            return self.say("held", f"{line['sn']} is whitelisted for chip {line['chip']}, which "
                            "no device has")
        held = self.after[line["chip"]]
        if not held:
            return self.say("held", f"{line['sn']} is whitelisted and chip {line['chip']} is empty")
        if point_of_spki(base64.b64decode(line["spki"])) != held.point:
            self.say("held", f"{line['sn']}: chip {line['chip']} has another private key")
        if base64.b64decode(line["cert"]) != held.leaf or held.serial != line["sn"] or \
                point_of_certificate(held.leaf) != held.point:
            self.say("held", f"{line['sn']}: chip {line['chip']} has another certificate")
        if held.transaction.hex() != line["tx"]:
            self.say("held", f"{line['sn']}: chip {line['chip']} has another transaction")

    # ---- devices

    def check_devices(self):
        """Each identity on a device, as it was before the database was read."""
        by_tx = {claim.tx: claim for claim in self.station.claims}
        for chip, held in self.before.items():
            if not held:
                continue
            claim = by_tx.get(held.transaction)
            credential = self.credentials.get(claim.credential) if claim else None
            if not credential or claim.chip.hex() != chip:
                self.say("reserved", f"chip {chip} holds {held.serial}, which was not claimed for it")
            elif (credential.point, credential.serial) != (held.point, held.serial):
                self.say("reserved", f"chip {chip} holds {held.serial}, and was given another key")
        held = [h for h in self.before.values() if h]
        self.once("one key, one device", "the private key of", [h.point for h in held])
        self.once("one serial, one device", "serial", [h.serial for h in held])

    def check_uniqueness(self):
        s = self.station
        self.once("one key, one device", "public key", [c.point for c in s.credentials])
        self.once("one key, one device", "a device's transport key", [c.dev_pub for c in s.claims])
        self.once("one key, one device", "a station's transport key",
                  [c.station_pub for c in s.claims if c.station_pub])
        self.once("one serial, one device", "live serial",
                  [f"{c.product} {c.serial}".lower() for c in s.credentials if c.state < BURNED])
        self.once("one serial, one device", "chip with an open or proven claim",
                  [c.chip for c in s.claims if c.state < 2])
        self.once("one serial, one device", "whitelisted serial",
                  [f"{r['prod']} {r['sn']}".lower() for r in self.live.values()])
        self.once("one serial, one device", "whitelisted chip",
                  [r["chip"] for r in self.live.values()])

    # ---- credentials

    def check_account(self, credential):
        """Claim, record and wrapped keys of one credential are those of its state."""
        name, state = f"{credential.serial} in state {credential.state}", credential.state
        claims = self.claims[credential.id]
        wanted = [CLAIM_STATE[state]] if state in CLAIM_STATE else []
        if [c.state for c in claims] != wanted and not (state == BURNED and not claims):
            self.say("accounted", f"{name} has claims {[c.state for c in claims]}")
        if (credential.wrapped and state > CLAIMED) or any(c.wrapped and c.state for c in claims):
            self.say("accounted", f"{name} still has a wrapped key")
        if point_of_certificate(credential.cert) != credential.point:
            self.say("accounted", f"{name} has a certificate for another key")
        self.check_record(credential, name)

    def check_record(self, credential, name):
        said = self.ends.get(credential.point, [])
        kinds = [(line["t"], line.get("reason")) for _, line in said]
        wanted = {PROVEN: GIVES, REVOKED: GIVES, BURNED: ("void",), SCRAPPED: ("void",)}.get(
            credential.state, ())
        if len(kinds) != bool(wanted) or not all(kind in wanted for kind, _ in kinds):
            return self.say("accounted", f"{name} has records {kinds}")
        for (leaf, line), (kind, reason) in zip(said, kinds):
            voided = {"burned": BURNED, "scrapped": SCRAPPED}.get(reason)
            if line["sn"] != credential.serial or (kind == "void" and voided != credential.state):
                self.say("accounted", f"{name} has a record for {line['sn']}, {reason}")
            if kind in GIVES and (leaf in self.live) != (credential.state == PROVEN):
                self.say("accounted", f"{name} has a record that says otherwise")

    def check_totals(self):
        made = collections.Counter()
        for entry in self.station.entries:
            if entry["event"] in ("generate", "issue"):
                made[entry["data"]["order"]] += entry["data"].get("count", 1)
        for order in self.station.orders:
            have = sum(c.order_id == order.id for c in self.station.credentials)
            if have != made[order.hash.hex()]:
                self.say("totals", f"{have} credentials, of {made[order.hash.hex()]} that were made")
        if not all(AVAILABLE <= c.state <= REVOKED for c in self.station.credentials):
            self.say("totals", "a credential is in no state")

    # ---- ledger

    def check_ledger(self):
        chain, told = bytes(32), collections.defaultdict(list)
        for number, (row, entry) in enumerate(zip(self.station.ledger, self.station.entries), 1):
            chain = hashlib.sha256(b"imprint ledger v1\0" + chain + row.body.encode()).digest()
            if chain != row.hash:
                self.say("ledger", f"entry {row.seq} does not follow from the one before")
                chain = row.hash
            if not row.seq == entry["seq"] == number:
                self.say("ledger", f"entry {number} has the number {row.seq}")
            if "credential" in entry["data"]:
                told[entry["data"]["credential"]].append(entry)
        for credential in self.station.credentials:
            self.check_life(credential, told[credential.id])

    def check_life(self, credential, entries):
        life = tuple(e["event"] for e in entries if e["event"] not in ("issue", "rework"))
        if life not in LIVES.get(credential.state, []):
            self.say("ledger", f"it tells {life} of {credential.serial}, which is in state "
                     f"{credential.state}")
        chips = {c.chip.hex() for c in self.claims[credential.id]}
        for entry in entries:
            if entry["data"].get("chip", None) not in chips | {None}:
                self.say("ledger", f"entry {entry['seq']} gives {credential.serial} to another chip")

    # ---- manifests

    def check_manifests(self):
        lines = [line for folder in self.manifests for shard in sorted(folder.glob("devices-*.jsonl"))
                 for line in shard.read_bytes().splitlines()]
        published = [m for m in self.station.manifests if m.published]
        if lines != [bytes(row.line) for row in self.station.records[:len(lines)]]:
            self.say("manifest", "a sealed line is not the record of its leaf")
        if len(lines) < sum(m.count for m in published) or len(self.manifests) < len(published):
            self.say("manifest", "records that were sealed are in no manifest")
        ends = [0] + [m.first + m.count for m in self.station.manifests]
        if [m.first for m in self.station.manifests] != ends[:-1] or \
                ends[-1] > len(self.station.records):
            self.say("manifest", "the manifests have a gap, or say more than there is")


def violations(directory, folders, stores=None):
    """What does not hold in a station's directory and the flash of its devices ({chip: folder}): a
    list of (rule, sentence), empty if all is well."""
    stores = stores or Stores()
    manifests = sorted(p for p in (directory / "manifests").glob("[0-9]*"))
    before = stores.read(folders)
    station = Station(directory / "station.db")
    after = stores.read(folders)
    return Checker(station, before, after, manifests).run()


class Watch:
    """Checks one rig again and again, from any thread."""

    def __init__(self, rig):
        self.rig, self.stores, self.checks, self.lock = rig, Stores(), 0, threading.Lock()

    def check(self, after=""):
        """Raises when something does not hold; after names what was done before."""
        with self.lock:
            folders = {device.chip: device.store for device in self.rig.devices}
            found = violations(self.rig.station, folders, self.stores)
            self.checks += 1
        assert not found, f"after {after}: " + "; ".join(f"{rule}: {text}" for rule, text in found)

    def finish(self):
        """Once nothing runs: seals, checks, and compares with what the station says of itself."""
        self.rig.seal()
        self.check("the end")
        self.rig.imprint("ledger", "verify")
        self.compare_totals()
        trust, before = self.rig.station / "trust", []
        second = []  # whoever has this pin requires the signature
        if (trust / "second-root.pem").exists():
            second = ["--require-alg", f"ecdsa-p384={trust / 'second-root.pem'}"]
        for folder in self.rig.manifests():
            run(sys.executable, VERIFIER, trust / "manifest-root.pem", trust / "device-root.pem",
                trust / "log.vkey", folder, *before, *second)
            before = [folder]

    def compare_totals(self):
        """`imprint reconcile` and the states of the credentials."""
        result = self.rig.imprint("reconcile", "--json", check=False)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        totals = next(line["totals"] for line in lines if line.get("event") == "totals")
        station = Station(self.rig.station / "station.db")
        states = collections.Counter(c.state for c in station.credentials)
        assert totals == {"issued": len(station.credentials),
                          "good": states[PROVEN], "unresolved": states[CLAIMED],
                          "unused": states[AVAILABLE], "burned": states[BURNED],
                          "scrapped": states[SCRAPPED], "revoked": states[REVOKED],
                          "replaced": 0}, (totals, states)
        named = {line["tx"] for line in lines if line.get("event") == "unresolved"}
        assert named == {c.tx.hex() for c in station.claims if c.state == 0}, named
        assert bool(named) == bool(result.returncode), result.stderr
