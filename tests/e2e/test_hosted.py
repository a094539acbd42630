"""A CA that somebody else runs signs the device certificates: requests out, certificates in."""
import base64
import contextlib
import csv
import datetime
import json
import pathlib
import re
import signal
import sqlite3
import tarfile
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rig import EXIT, Rig

WHO = ("--by", "Ada", "--reason", "a test")
DAY = datetime.timedelta(days=1)


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hosted Trust"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Hosted:
    """A root and a CA below it, which signs whatever it is asked for, or something else."""

    def __init__(self, common="Devices", days=40 * 366):
        self.days = days
        self.now = datetime.datetime.utcnow().replace(microsecond=0)
        self.root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self.authority(name(f"{common} root"), self.root_key, None, None)
        self.cert = self.authority(name(f"{common} CA"), self.key, 0, self.root)

    def authority(self, subject, key, length, above):
        usage = {u: False for u in ("digital_signature", "content_commitment", "key_encipherment",
                                    "data_encipherment", "key_agreement", "encipher_only",
                                    "decipher_only")}
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(above.subject if above else subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(self.now - 30 * DAY).not_valid_after(self.now + self.days * DAY)
                   .add_extension(x509.BasicConstraints(True, length), True)
                   .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
        if above:
            builder = builder.add_extension(self.identifier(above), False)
        return builder.sign(self.root_key, hashes.SHA256())

    @staticmethod
    def identifier(above):
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
            above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value)

    def chain(self):
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (self.cert, self.root))

    def sign(self, request, subject=None, key=None, years=20, begin=None, number=None, change=None):
        begin = begin or self.now
        try:
            end = begin.replace(year=begin.year + years)
        except ValueError:  # 29 February
            end = begin.replace(year=begin.year + years, month=3, day=1)
        builder = (x509.CertificateBuilder().subject_name(subject or request.subject)
                   .issuer_name(self.cert.subject).public_key(key or request.public_key())
                   .serial_number(number or x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(end)
                   .add_extension(self.identifier(self.cert), False))
        for e in request.extensions:
            value, critical = (change or (lambda v, c: (v, c)))(e.value, e.critical)
            builder = builder.add_extension(value, critical)
        return builder.sign(self.key, hashes.SHA256())


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


class HostedCa(unittest.TestCase):
    def rig(self, max_issued=40, good=20, serials=None, only=None, **order):
        rig = Rig(station=False)
        self.addCleanup(rig.close)
        rig.make_station(order=False)
        rig.hosted = Hosted()
        (rig.dir / "hosted.pem").write_bytes(rig.hosted.chain())
        rig.imprint("ca", "import", rig.dir / "hosted.pem", "--hosted", *WHO)
        rig.profile = next(p["sha256"] for p in
                           map(json.loads, rig.imprint("profile", "list", "--json").stdout.splitlines())
                           if p.get("name") == "tls-client")
        counts = {"good": good, "max_issued": max_issued, "spoilage": 2, "rework": 1}
        rig.shares = {**rig.share(counts, only=only), "hosted": rig.hosted.cert.fingerprint(hashes.SHA256()).hex()}
        del rig.shares["issuer"]
        rig.write_job(serials=serials, certificate=False,
                      more="certificate:\n  organization: Acme Medical\n")
        rig.write_order(counts=counts, stations=[rig.shares],
                        profile={"name": "tls-client", "sha256": rig.profile}, **order)
        return rig

    def export(self, rig, count, lot="one", form="dir", out=None, check=True):
        out = rig.dir / (out or f"{lot}.{form}")
        return out, rig.imprint("csr", "export", rig.job, "--count", count, "--lot", lot, "--form",
                                form, "--out", out, check=check)

    def requests(self, rig, count, **named):
        """Requests by serial, from a folder."""
        folder, _ = self.export(rig, count, **named)
        return {p.stem: x509.load_pem_x509_csr(p.read_bytes()) for p in sorted(folder.iterdir())}

    def take(self, rig, *paths, check=True):
        """`imprint csr import --json`: (status, the summary, what was refused)."""
        result = rig.imprint("csr", "import", rig.job, *paths, "--json", check=check)
        said = [json.loads(line) for line in result.stdout.splitlines()]
        return (result.returncode, next(e for e in said if e.get("event") == "csr_imported"),
                [e for e in said if e.get("event") == "csr_refused"])

    def waiting(self, rig):
        return [json.loads(line)["serial"] for line in
                rig.imprint("csr", "list", rig.job, "--json").stdout.splitlines()]

    # ---- out

    def test_the_same_requests_in_every_form(self):
        rig = self.rig()
        requests = self.requests(rig, 5)
        self.assertEqual([*requests], [f"PUMP-00000{i}" for i in range(1, 6)])
        for serial, request in requests.items():
            self.assertTrue(request.is_signature_valid)
            self.assertEqual(request.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value,
                             serial)
            self.assertEqual(len(request.extensions), 4)  # all but the authority's key identifier
        self.assertEqual(len({r.public_key().public_numbers() for r in requests.values()}), 5)
        archive, _ = self.export(rig, 5, form="tar")
        with tarfile.open(archive) as tar:
            held = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
        self.assertEqual(held, {f"{s}.csr": r.public_bytes(serialization.Encoding.PEM)
                                for s, r in requests.items()})
        table, _ = self.export(rig, 5, form="csv")
        with open(table, newline="") as lines:
            rows = [*csv.DictReader(lines)]
        self.assertEqual({r["serial"]: base64.b64decode(r["csr"]) for r in rows},
                         {s: r.public_bytes(serialization.Encoding.DER) for s, r in requests.items()})
        again = self.export(rig, 5, check=False)[1]
        self.assertEqual(again.returncode, EXIT["EXISTS"])
        self.assertEqual(rig.order_status()["requests"], 5)
        self.assertEqual(rig.order_status()["generated"], 5)

    def test_a_request_takes_a_place_of_the_order(self):
        rig = self.rig(max_issued=21)
        self.export(rig, 20)
        refused = self.export(rig, 2, lot="two", check=False)[1]
        self.assertEqual(refused.returncode, EXIT["REFUSED"], refused.stderr)
        self.assertIn("allows this station 21 certificates and 20 are made", refused.stderr)
        self.export(rig, 1, lot="two")
        fewer = self.export(rig, 3, lot="one", out="x", check=False)[1]
        self.assertIn("lot 'one' has 20 requests already", fewer.stderr)

    def test_serials_that_nobody_knows_yet_are_refused(self):
        for serials in ("  source: scanned\n", "  source: device\n  prefix: PUMP-\n"):
            rig = self.rig(serials=serials, only={"prefix": ""})
            result = self.export(rig, 1, check=False)[1]
            self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
            self.assertIn("'assigned' or 'listed' serials", result.stderr)

    def test_the_station_signs_nothing_itself(self):
        rig = self.rig()
        result = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"])
        self.assertIn("imprint csr export", result.stderr)

    # ---- in

    def test_devices_get_what_came_back_in_pieces(self):
        rig = self.rig()
        r = [*self.requests(rig, 10).values()]
        certs = [rig.hosted.sign(request) for request in r]
        back = rig.dir / "back"
        back.mkdir()
        (back / "one.pem").write_bytes(pem(certs[3]))
        (back / "two.der").write_bytes(der(certs[1]))
        (back / "bundle.txt").write_bytes(b"Dear customer,\n\n" + pem(certs[7]) + b"\n" + pem(certs[0]) +
                                          rig.hosted.chain())
        (back / "p7.p7b").write_bytes(pkcs7.serialize_certificates(
            [certs[5], rig.hosted.cert, certs[2]], serialization.Encoding.DER))
        (back / "p7.pem").write_bytes(pkcs7.serialize_certificates(
            [certs[4]], serialization.Encoding.PEM))
        (back / ".hidden").write_bytes(b"nothing")
        status, said, refused = self.take(rig, back)
        self.assertEqual((status, said["taken"], said["waiting"], refused), (0, 7, 3, []))
        with open(rig.dir / "batch.csv", "w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["serial", "csr", "certificate"])
            asked = base64.b64encode(r[6].public_bytes(serialization.Encoding.DER)).decode()
            table.writerow(["6", asked, base64.b64encode(der(certs[6])).decode()])
            table.writerow(["8", "", pem(certs[8]).decode()])
        with tarfile.open(rig.dir / "back.tar", "w") as tar:
            tar.add(back / "one.pem", "old/one.pem")
            (rig.dir / "nine").write_bytes(pem(certs[9]))
            tar.add(rig.dir / "nine", "nine.crt")
        self.assertEqual(self.waiting(rig), ["PUMP-000007", "PUMP-000009", "PUMP-000010"])
        status, said, refused = self.take(rig, rig.dir / "batch.csv", rig.dir / "back.tar")
        self.assertEqual((status, said["taken"], said["again"], said["waiting"], refused),
                         (0, 3, 1, 0, []))
        self.provision(rig, certs)

    def provision(self, rig, certs):
        devices = [rig.add_device() for _ in range(2)]
        code, slots, errors = rig.run_json()
        self.assertEqual((code, {s["event"] for s in slots.values()}), (0, {"pass"}), errors)
        held = sorted(x509.load_pem_x509_certificate(
            (device.export() / "certificates.pem").read_bytes()).serial_number for device in devices)
        rig.seal()
        rig.verify(rig.manifests()[-1])
        (rig.owner / "plain.json").write_bytes((rig.owner / "order.json").read_bytes())
        rig.accept("--order", rig.owner / "plain.json")
        records = [x509.load_der_x509_certificate(base64.b64decode(r["cert"])) for r in rig.records()]
        self.assertEqual(sorted(c.serial_number for c in records), held)
        self.assertTrue({c.serial_number for c in records} <= {c.serial_number for c in certs})
        rig.imprint("ledger", "verify")

    def test_what_is_not_what_was_asked_for(self):
        rig = self.rig()
        r = [*self.requests(rig, 12).values()]
        other = Hosted()
        acme = lambda serial: x509.Name([  # noqa: E731
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme Medical"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)])

        def server(value, critical):
            if isinstance(value, x509.ExtendedKeyUsage):
                value = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH,
                                               ExtendedKeyUsageOID.SERVER_AUTH])
            return value, critical

        def ca(value, critical):
            return (x509.BasicConstraints(True, None) if isinstance(value, x509.BasicConstraints)
                    else value, critical)

        good = rig.hosted.sign(r[0], number=77)
        cases = [
            (rig.hosted.sign(r[1], subject=acme("PUMP-000002")), "wrong", "its subject is another"),
            (rig.hosted.sign(r[2], subject=r[3].subject), "wrong", "its subject is another"),
            (rig.hosted.sign(r[3], change=server), "wrong", "Extended Key Usage"),
            (rig.hosted.sign(r[4], change=ca), "wrong", "Basic Constraints"),
            (rig.hosted.sign(r[5], years=21), "wrong", "ends at another time"),
            (rig.hosted.sign(r[6], years=1), "wrong", "ends at another time"),
            (rig.hosted.sign(r[7], begin=rig.hosted.now - 10 * DAY), "wrong", "more than two days"),
            (other.sign(r[8]), "wrong", "Authority Key Identifier"),
            (rig.hosted.sign(r[9], number=77), "wrong", "its serial number is that of another"),
            (rig.hosted.sign(r[10], key=ec.generate_private_key(ec.SECP256R1()).public_key()),
             "foreign", "none that this station made a request for"),
            (rig.hosted.sign(r[0]), "doubled", "its key has another certificate"),
        ]
        (rig.dir / "all.pem").write_bytes(b"".join(map(pem, [good, *(c for c, _, _ in cases)])))
        status, said, refused = self.take(rig, rig.dir / "all.pem", check=False)
        self.assertEqual(status, EXIT["REFUSED"])
        self.assertEqual(len(refused), len(cases), refused)
        for (_, verdict, why), e in zip(cases, refused):
            self.assertEqual(e["verdict"], verdict, e)
            self.assertIn(why, e["why"])
            self.assertIn("all.pem:", e["place"])
        self.assertEqual((said["taken"], said["waiting"]), (1, 11))
        # what was wrong keeps nothing out: the right ones come later
        (rig.dir / "right.pem").write_bytes(b"".join(pem(rig.hosted.sign(x)) for x in r[1:]))
        self.assertEqual(self.take(rig, rig.dir / "right.pem")[1]["waiting"], 0)
        rig.imprint("ledger", "verify")

    def test_files_that_are_cut_off(self):
        rig = self.rig()
        r = [*self.requests(rig, 3).values()]
        certs = [rig.hosted.sign(x) for x in r]
        cut = rig.dir / "cut"
        cut.mkdir()
        (cut / "a.pem").write_bytes(pem(certs[0]) + pem(certs[1])[:-200])
        (cut / "b.der").write_bytes(der(certs[1])[:-1])
        (cut / "c.txt").write_bytes(b"nothing at all")
        (cut / "d.csv").write_bytes(b"serial,cert\n1," + base64.b64encode(der(certs[1]))[:-50] + b"\n")
        (cut / "e.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n")
        with tarfile.open(cut / "f.tar", "w") as tar:
            tar.add(cut / "a.pem", "a.pem")
        (cut / "f.tar").write_bytes((cut / "f.tar").read_bytes()[:900])
        status, said, refused = self.take(rig, cut, check=False)
        self.assertEqual((status, said["taken"], said["waiting"]), (EXIT["REFUSED"], 1, 2))
        self.assertEqual({e["verdict"] for e in refused}, {"broken"})
        self.assertEqual({e["place"].split("/")[-1][0] for e in refused}, set("abcdef"))

    def test_rows_that_somebody_changed(self):
        """Neither another serial, another key nor a request that waits again goes unnoticed."""
        rig = self.rig()
        r = [*self.requests(rig, 2).values()]
        (rig.dir / "all.pem").write_bytes(b"".join(pem(rig.hosted.sign(x)) for x in r))
        for change, back in (
                ("UPDATE requests SET serial = 'PUMP-000009' WHERE key = 1",
                 "UPDATE requests SET serial = 'PUMP-000001' WHERE key = 1"),
                ("UPDATE requests SET made = made - 1", "UPDATE requests SET made = made + 1"),
                ("UPDATE spare_keys SET mechanism = mechanism, storage = storage || 'x'",
                 "UPDATE spare_keys SET storage = substr(storage, 1, length(storage) - 1)"),
                ("UPDATE spare_keys SET state = 0", "UPDATE spare_keys SET state = 3")):
            self.edit(rig, change)
            result = rig.imprint("csr", "import", rig.job, rig.dir / "all.pem", check=False)
            self.assertEqual(result.returncode, EXIT["INTEGRITY"], (change, result.stderr))
            self.edit(rig, back)
        self.assertEqual(self.take(rig, rig.dir / "all.pem")[1]["taken"], 2)
        self.edit(rig, "UPDATE requests SET credential = NULL WHERE key = 1")
        status, said, refused = self.take(rig, rig.dir / "all.pem", check=False)
        self.assertEqual((status, said["again"], refused[0]["verdict"]), (EXIT["REFUSED"], 1, "foreign"))

    @staticmethod
    def edit(rig, change):
        with contextlib.closing(sqlite3.connect(rig.station / "station.db")) as db, db:
            db.execute(change)

    # ---- kills, and the end

    def test_killed_anywhere_the_same_command_goes_on(self):
        rig = self.rig(max_issued=3000)
        command = ("csr", "export", rig.job, "--count", 1500, "--lot", "big", "--form", "tar", "--out",
                   rig.dir / "big.tar")
        kills = 0
        while not (rig.dir / "big.tar").exists():
            process = rig.start_imprint(*command)
            try:
                process.communicate(timeout=1.5 + kills)
            except Exception:  # still at work
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
        with tarfile.open(rig.dir / "big.tar") as tar:
            asked = [x509.load_pem_x509_csr(tar.extractfile(m).read()) for m in tar.getmembers()]
        self.assertEqual(len(asked), 1500)
        self.assertEqual(len({x.public_key().public_numbers() for x in asked}), 1500)
        self.assertEqual(rig.order_status()["requests"], 1500)
        (rig.dir / "back.pem").write_bytes(b"".join(pem(rig.hosted.sign(x)) for x in asked))
        process = rig.start_imprint("csr", "import", rig.job, rig.dir / "back.pem")
        deadline = time.monotonic() + 60
        while rig.order_status()["requests"] == 1500 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        taken = rig.order_status()["available"]
        status, said, refused = self.take(rig, rig.dir / "back.pem")
        self.assertEqual((status, refused, said["waiting"]), (0, [], 0))
        self.assertEqual((said["again"], said["taken"]), (taken, 1500 - taken))
        rig.imprint("ledger", "verify")

    @staticmethod
    def catches(process):
        """Whether it has a handler for SIGINT."""
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> signal.SIGINT - 1 & 1

    def stopped(self, rig, begun, *command):
        """SIGINT when begun() says so; what the command said."""
        process = rig.start_imprint(*command)
        deadline = time.monotonic() + 120
        while not (self.catches(process) and begun()) and process.poll() is None \
                and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[0]
        self.assertEqual(process.returncode, EXIT["INTERRUPTED"], said)
        self.assertIn("the same command", said)
        return said

    def test_stopped_anywhere_the_same_command_goes_on(self):
        """SIGINT while keys are made, requests are written, certificates are taken, and taken again."""
        rig = self.rig(max_issued=3000)
        out = rig.dir / "big.dir"
        command = ("csr", "export", rig.job, "--count", 2000, "--lot", "big", "--out", out)
        self.stopped(rig, lambda: rig.order_status()["requests"], *command)
        made = rig.order_status()["requests"]
        self.assertTrue(500 <= made < 2000, made)  # whole batches, and what the last had
        making = rig.dir / "big.dir.making"
        self.stopped(rig, lambda: making.exists() and any(making.iterdir()), *command)
        self.assertEqual(rig.order_status()["requests"], 2000)
        self.assertFalse(out.exists() or making.exists())
        self.assertIn("0 keys made, 2000 requests", rig.imprint(*command).stdout)
        asked = [x509.load_pem_x509_csr(p.read_bytes()) for p in out.iterdir()]
        (rig.dir / "back.pem").write_bytes(b"".join(pem(rig.hosted.sign(x)) for x in asked))
        take = ("csr", "import", rig.job, rig.dir / "back.pem")
        self.stopped(rig, lambda: rig.order_status()["available"], *take)
        taken = rig.order_status()["available"]
        self.assertTrue(500 <= taken < 2000 and taken % 500 == 0, taken)
        status, said, refused = self.take(rig, rig.dir / "back.pem")
        self.assertEqual((status, said["again"], said["taken"], refused), (0, taken, 2000 - taken, []))
        self.stopped(rig, lambda: rig.order_status()["requests"] == 0, *take)  # nothing is new
        rig.imprint("ledger", "verify")

    def test_what_never_came_back_ends_with_the_order(self):
        rig = self.rig()
        r = [*self.requests(rig, 4).values()]
        (rig.dir / "one.pem").write_bytes(pem(rig.hosted.sign(r[0])))
        self.take(rig, rig.dir / "one.pem")
        rig.imprint("order", "close", rig.order_id, *WHO)
        status = rig.order_status()
        self.assertEqual((status["requests"], status["scrapped"], status["generated"]), (0, 1, 0))
        said = json.loads(next((rig.station / "statements").rglob("*.json")).read_text())
        self.assertEqual(said["destroyed"]["keys"], 3)
        rig.imprint("ledger", "verify")

    def drop(self, rig, *what, check=True):
        result = rig.imprint("csr", "drop", rig.job, *what, *WHO, "--json", check=check)
        return result if not check else json.loads(result.stdout.splitlines()[-1])

    def test_what_the_ca_will_never_answer_is_dropped(self):
        rig = self.rig(max_issued=5, good=5)
        r = self.requests(rig, 5)
        late = pem(rig.hosted.sign(r["PUMP-000002"]))
        (rig.dir / "one.pem").write_bytes(pem(rig.hosted.sign(r["PUMP-000001"])))
        self.take(rig, rig.dir / "one.pem")
        for what, code, why in ((("PUMP-000009",), "MISSING", "has no request"),
                                (("PUMP-000003", "PUMP-000001"), "REFUSED", "imprint void PUMP-000001"),
                                (("--lot", "other"), "MISSING", "no request of lot 'other' waits"),
                                (("PUMP-000003", "--lot", "one"), "USAGE", "either serials or --lot"),
                                ((), "USAGE", "either serials or --lot")):
            refused = self.drop(rig, *what, check=False)
            self.assertEqual(refused.returncode, EXIT[code], refused.stderr)
            self.assertIn(why, refused.stderr)
        alone = rig.imprint("csr", "drop", rig.job, "PUMP-000003", check=False)
        self.assertEqual(alone.returncode, EXIT["USAGE"])  # somebody answers for it
        self.assertEqual(rig.order_status()["requests"], 4)  # nothing was dropped
        self.assertEqual(self.drop(rig, "pump-000002", "PUMP-000003"),
                         {"event": "csr_dropped", "dropped": 2, "before": 0, "waiting": 2})
        self.assertEqual(self.drop(rig, "PUMP-000003"),
                         {"event": "csr_dropped", "dropped": 0, "before": 1, "waiting": 2})
        self.assertEqual(self.waiting(rig), ["PUMP-000004", "PUMP-000005"])
        with contextlib.closing(sqlite3.connect(rig.station / "station.db")) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM spare_keys WHERE wrapped IS NOT NULL")
                             .fetchone(), (2,))
        # what comes all the same is of nobody; two places are free again, and the serials are used up
        (rig.dir / "late.pem").write_bytes(late)
        status, said, refused = self.take(rig, rig.dir / "late.pem", check=False)
        self.assertEqual((refused[0]["verdict"], said["taken"]), ("foreign", 0))
        self.assertIn("its key was destroyed", refused[0]["why"])
        self.assertEqual([*self.requests(rig, 2, lot="two")], ["PUMP-000006", "PUMP-000007"])
        self.assertEqual(self.drop(rig, "--lot", "one")["dropped"], 2)
        self.assertEqual(self.drop(rig, "--lot", "one", check=False).returncode, EXIT["MISSING"])
        status = rig.order_status()
        self.assertEqual((status["requests"], status["available"], status["generated"]), (2, 1, 3))
        told = [json.loads(line) for line in
                rig.imprint("ledger", "show", "--event", "csr_destroyed").stdout.splitlines()]
        self.assertEqual([(e["data"].get("serial"), e["data"].get("lot"), e["data"]["count"])
                          for e in told],
                         [("PUMP-000002", None, 1), ("PUMP-000003", None, 1), (None, "one", 2)])
        self.assertEqual({(e["operator"], e["why"]) for e in told}, {("Ada", "a test")})
        rig.imprint("reconcile")
        rig.imprint("order", "close", rig.order_id, *WHO)
        said = json.loads(next((rig.station / "statements").rglob("*.json")).read_text())
        self.assertEqual(said["destroyed"]["keys"], 6)
        rig.verify(rig.manifests()[-1])
        rig.imprint("ledger", "verify")

    # ---- backups

    def lose(self, rig):
        for suffix in ("", "-wal", "-shm"):
            (rig.station / f"station.db{suffix}").unlink(missing_ok=True)

    def test_a_backup_keeps_what_waits(self):
        """Restored without a loss the requests go on; what was taken in since is given up with its keys."""
        rig = self.rig()
        r = self.requests(rig, 3)
        (rig.dir / "back.pem").write_bytes(b"".join(pem(rig.hosted.sign(x)) for x in r.values()))
        rig.imprint("backup", rig.dir / "newest")
        self.lose(rig)
        rig.recover(rig.ticket("restore", "first"), "--backup", rig.dir / "newest")
        self.assertEqual(self.waiting(rig), [*r])
        self.assertEqual(self.requests(rig, 3, out="again"), r)
        rig.imprint("backup", rig.dir / "older")
        self.assertEqual(self.take(rig, rig.dir / "back.pem")[1]["taken"], 3)
        self.lose(rig)
        rig.recover(rig.ticket("restore", "second"), "--backup", rig.dir / "older")
        self.assertEqual(self.waiting(rig), [])
        status, said, refused = self.take(rig, rig.dir / "back.pem", check=False)
        self.assertEqual([e["verdict"] for e in refused], ["foreign"] * 3)
        self.assertIn("its key was destroyed", refused[0]["why"])
        rig.imprint("ledger", "verify")

    # ---- folders that others write to

    def test_a_link_in_the_place_of_the_file_is_not_followed(self):
        rig = self.rig()
        mine = rig.dir / "mine"
        mine.write_text("precious")
        for form in ("tar", "csv"):
            (rig.dir / f"out.{form}.making").symlink_to(mine)
            self.export(rig, 2, form=form, out=f"out.{form}")
            self.assertGreater((rig.dir / f"out.{form}").lstat().st_size, 1000)
        self.assertEqual(mine.read_text(), "precious")

    def test_names_that_a_terminal_would_obey(self):
        rig = self.rig()
        certs = {s: pem(rig.hosted.sign(x)) for s, x in self.requests(rig, 2).items()}
        back = rig.dir / "back"
        back.mkdir()
        (back / "a\x1b]0;owned\x07\n.pem").write_bytes(certs["PUMP-000001"][:-300])
        (back / b"\xff\xfe.pem".decode("utf-8", "surrogateescape")).write_bytes(b"nothing")
        (back / "good.pem").write_bytes(certs["PUMP-000002"])
        (back / "link.pem").symlink_to(back / "good.pem")
        status, said, refused = self.take(rig, back, check=False)
        self.assertEqual((status, said["taken"], len(refused)), (EXIT["REFUSED"], 1, 4))
        self.assertEqual(sorted(e["place"].removeprefix(f"{back}/").split(":")[0] for e in refused),
                         ["??.pem", "a?]0;owned??.pem", "a?]0;owned??.pem", "link.pem"])
        shown = rig.imprint("csr", "import", rig.job, back, check=False).stdout
        self.assertTrue(shown.replace("\n", "").isprintable(), shown)

    # ---- the CA itself

    def test_a_hosted_ca_has_no_key_here(self):
        rig = self.rig()
        self.assertIn("hosted", rig.imprint("ca", "list").stdout)
        result = rig.imprint("ca", "destroy", "2", *WHO, check=False)
        self.assertEqual(result.returncode, EXIT["REFUSED"], result.stderr)
        self.assertIn("is hosted", result.stderr)
        rig.imprint("crl")
        self.assertFalse((rig.station / "crl/issuing-ca-2.crl").exists())
        rig.imprint("audit")
        stranger = Hosted("Other")
        rig.shares["hosted"] = stranger.cert.fingerprint(hashes.SHA256()).hex()
        rig.write_order(add=False, id="E2E-2", stations=[rig.shares],
                        counts={name: rig.shares[name]
                                for name in ("good", "max_issued", "spoilage", "rework")},
                        profile={"name": "tls-client", "sha256": rig.profile})
        refused = rig.add_order(check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("ca import FILE --hosted", refused.stderr)

    def test_a_hosted_ca_that_ends_soon(self):
        rig = self.rig()
        self.assertEqual(rig.imprint("status").stderr, "")
        rig.hosted = Hosted("Old", days=10)
        (rig.dir / "old.pem").write_bytes(rig.hosted.chain())
        rig.imprint("ca", "import", rig.dir / "old.pem", "--hosted", *WHO)
        said = rig.imprint("status").stderr
        self.assertIn("hosted CA 'Old CA' ends on", said)
        self.assertIn("imprint ca import FILE --hosted", said)
        self.assertNotIn("ca request", said)
        self.assertIn("(soon: import another)", rig.imprint("ca", "list").stdout)


if __name__ == "__main__":
    unittest.main()
