"""The company's CA, made and used with openssl alone, and every other way to an issuing CA."""
import base64
import json
import pathlib
import subprocess
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from rig import EXIT, IMPRINT, Rig, run

WHO = ("--by", "Ada", "--reason", "a test")

CONFIG = """
[ca]
default_ca = company
[company]
dir = {dir}
database = {dir}/index.txt
serial = {dir}/serial
new_certs_dir = {dir}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
organizationName = optional
organizationalUnitName = optional
commonName = optional
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[between]
basicConstraints = critical,CA:TRUE,pathlen:1
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
{names}
[issuing]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
"""


class Company:
    """A root and a CA below it, in files, as any company has them."""

    def __init__(self, folder, names="", days=36000):
        self.dir = folder
        folder.mkdir()
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(CONFIG.format(dir=folder, names=names))
        self.days = str(days)
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36501", "-subj",
            "/O=Company/CN=Company root", "-config", folder / "ca.cnf", "-extensions", "root",
            "-keyout", folder / "root.key", "-out", folder / "root.pem", "-sha256")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384",
            "-nodes", "-subj", "/O=Company/CN=Company products CA", "-keyout",
            folder / "between.key", "-out", folder / "between.csr")
        self.sign("between.csr", "between.pem", "root", "between", "36500")

    def sign(self, request, out, signer, extensions, days, *more):
        run("openssl", "ca", "-batch", "-config", self.dir / "ca.cnf", "-in", self.dir / request,
            "-out", self.dir / out, "-cert", self.dir / f"{signer}.pem", "-keyfile",
            self.dir / f"{signer}.key", "-extensions", extensions, "-days", days, "-notext", *more)

    def answer(self, request, *more, days=None, chain=("between", "root")):
        """The file for `imprint ca import`."""
        (self.dir / "in.csr").write_bytes(request.read_bytes())
        self.sign("in.csr", "issuing.pem", "between", "issuing", str(days or self.days), *more)
        names = [*(f"{c}.pem" for c in chain), "issuing.pem"]
        path = self.dir / "answer.pem"
        path.write_bytes(b"".join((self.dir / n).read_bytes() for n in names))
        return path


def leaf(record):
    return x509.load_der_x509_certificate(base64.b64decode(record["cert"]))


class Ca(unittest.TestCase):
    def rig(self, *options, **named):
        rig = Rig(station=False, **named)
        self.addCleanup(rig.close)
        rig.make_station(*options, order=False)
        return rig

    def ca(self, rig, *arguments, check=True):
        result = rig.imprint("ca", *arguments, *WHO, "--json", check=check)
        return json.loads(result.stdout) if check else result

    def company(self, rig, name="company", **named):
        return Company(rig.dir / name, **named)

    def list(self, rig):
        return [json.loads(line) for line in rig.imprint("ca", "list", "--json").stdout.splitlines()]

    def issuers(self, rig):
        return json.loads((rig.station / "station.json").read_text()).get("issuers")

    def provision(self, rig, count=1):
        devices = [rig.add_device() for _ in range(count)]
        rig.run_json()
        for device in devices:
            device.stop()
        return devices

    def judge(self, rig, device):
        """openssl's opinion of what a device really has, root from the pins."""
        certificates = device.export() / "certificates.pem"
        run("openssl", "verify", "-x509_strict", "-CAfile", rig.station / "trust/device-root.pem",
            "-untrusted", certificates, certificates)

    def test_a_station_below_the_companys_root(self):
        rig = self.rig("--root", "company")
        company = self.company(rig)
        self.assertFalse((rig.station / "ca/device-root.pem").exists())
        self.assertEqual(self.issuers(rig), [])
        request = rig.station / "ca/request-1.pem"
        text = run("openssl", "req", "-in", request, "-noout", "-text", "-verify").stdout
        for part in ("OU = test", "CN = line-1 issuing CA", "CA:TRUE, pathlen:0",
                     "Certificate Sign, CRL Sign"):
            self.assertIn(part, text)
        rig.write_job()
        share = {"good": 5, "max_issued": 5, "spoilage": 0, "rework": 0}
        station = json.loads((rig.station / "station.json").read_text())
        stations = [{"key": station["key"], "issuer": "0" * 64, **share,
                     "serials": {"prefix": "PUMP-", "digits": 6, "first": 1, "last": 9}}]
        rig.write_order(add=False, stations=stations, counts=share)
        refused = rig.add_order(check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("no issuing CA yet", refused.stderr)

        refused = self.ca(rig, "import", company.answer(request, chain=("between",)), check=False)
        self.assertEqual(refused.returncode, EXIT["INPUT"])
        self.assertIn("Company root", refused.stderr)
        refused = self.ca(rig, "import", company.answer(request, days=36502), check=False)
        self.assertIn("outlives", refused.stderr)
        refused = self.ca(rig, "import", company.answer(request, "-subj", "/CN=other"), check=False)
        self.assertIn("no OU 'test'", refused.stderr)
        self.assertFalse((rig.station / "trust/device-root.pem").exists())
        said = self.ca(rig, "import", company.answer(request))
        self.assertEqual((said["number"], said["new"]), (1, True))
        self.assertEqual(self.issuers(rig), [said["sha256"]])
        self.assertFalse(self.ca(rig, "import", company.dir / "answer.pem")["new"])

        # idevid has no end, and the company's root has one: nothing is made that outlives it.
        rig.write_order(serials={"first": 1})
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("would outlive CA 'line-1 issuing CA'", refused.stderr)
        profile = rig.dir / "twenty.yaml"
        shipped = IMPRINT.parents[2] / "share/profiles/idevid.yaml"
        profile.write_text(shipped.read_text().replace("99991231235959Z", "20y")
                           .replace("name: idevid", "name: twenty"))
        fixed = json.loads(rig.imprint("profile", "check", profile, "--json").stdout)
        rig.write_order(id="E2E-2", serials={"first": 100000},
                        profile={"name": "twenty", "sha256": fixed["sha256"]})
        rig.write_job(order="E2E-2", first=100000)
        rig.job.write_text(rig.job.read_text().replace(
            "certificate:\n", f"certificate:\n  profile: {profile}\n"))
        rig.imprint("generate", rig.job, "--count", 2)
        [device] = self.provision(rig)
        self.judge(rig, device)
        pems = (device.export() / "certificates.pem").read_bytes()
        self.assertEqual(pems.count(b"BEGIN"), 3)  # the root is not among them
        rig.seal()
        rig.accept()
        rig.imprint("audit")
        rig.imprint("ledger", "verify")
        self.assertEqual(rig.imprint("ca", "create", *WHO, check=False).returncode,
                         EXIT["REFUSED"])

    def test_one_ca_for_each_customer_and_a_rollover_in_a_running_order(self):
        rig = self.rig()
        company = self.company(rig)
        own = self.issuers(rig)[0]
        rig.write_job()
        rig.write_order()
        rig.imprint("generate", rig.job, "--count", 2)
        made = self.ca(rig, "request", "--name", "Customer pumps")
        waits = self.list(rig)[1]
        self.assertEqual((waits["state"], waits["number"]), ("requested", 2))
        rig.imprint("generate", rig.job, "--count", 1)  # nothing stands still meanwhile
        said = self.ca(rig, "import", company.answer(rig.station / "ca/request-2.pem"))
        self.assertEqual(self.issuers(rig), [own, said["sha256"]])
        self.assertEqual(
            (rig.station / "trust/device-root.pem").read_text().count("BEGIN CERTIFICATE"), 2)
        devices = self.provision(rig)

        # idevid lives for ever and the company's CA does not: a second CA below the own root.
        second = self.ca(rig, "create", "--name", "Customer monitors")
        share = rig.share({"good": 9, "max_issued": 9, "spoilage": 1, "rework": 0})
        share["issuer"] = [own, second["sha256"]]
        first = rig.owner / "first.p7"
        first.write_bytes((rig.owner / "order.p7").read_bytes())
        first = rig.owner / "first.p7"
        first.write_bytes((rig.owner / "order.p7").read_bytes())
        rig.write_order(type="amendment", amends=rig.order_hash, stations=[share])
        rig.imprint("generate", rig.job, "--count", 2)
        devices[0].port.unlink()
        more = self.provision(rig, 4)
        for device in more:
            self.judge(rig, device)
        sealed = rig.seal()
        self.assertEqual(sealed["count"], 5)
        rig.verify(sealed["path"])
        records = rig.records()
        self.assertEqual(sorted(r["iss"] for r in records),
                         sorted([own] * 3 + [second["sha256"]] * 2))
        records.sort(key=lambda r: r["sn"])  # slots work side by side
        names = [leaf(r).issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
                 for r in records]
        self.assertEqual(names, ["line-1 issuing CA"] * 3 + ["Customer monitors"] * 2)
        rig.accept("--order", first, "--order", rig.owner / "order.p7")

        # Both sign their lists until they are destroyed.
        rig.imprint("crl")
        rig.imprint("void", records[0]["sn"], "--reason", "x")
        rig.imprint("void", records[4]["sn"], "--reason", "x")
        for name, ca, record in (("issuing-ca.crl", "issuing-ca.pem", records[0]),
                                 ("issuing-ca-3.crl", "issuing-ca-3.pem", records[4])):
            path = rig.station / "crl" / name
            run("openssl", "crl", "-inform", "DER", "-in", path, "-CAfile",
                rig.station / "ca" / ca, "-noout", "-verify")
            crl = x509.load_der_x509_crl(path.read_bytes())
            self.assertEqual([e.serial_number for e in crl], [leaf(record).serial_number])
        self.assertEqual(self.ca(rig, "destroy", "1", "--days", "3650")["number"], 1)
        last = x509.load_der_x509_crl((rig.station / "crl/issuing-ca.crl").read_bytes())
        self.assertEqual((last.next_update - last.last_update).days, 3650)
        self.ca(rig, "destroy", "root")
        rig.imprint("audit")
        self.assertEqual([c["state"] for c in self.list(rig)], ["destroyed", "active", "active"])
        rig.write_job(more="issuer: Customer pumps\n")
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("'Customer pumps', which order 'E2E-1' does not list", refused.stderr)
        rig.write_job(more="issuer: Customer monitors\n")
        rig.imprint("generate", rig.job, "--count", 1)  # by the new one, as before
        rig.seal()
        rig.accept("--order", first, "--order", rig.owner / "order.p7")
        rig.imprint("ledger", "verify")
        events = [json.loads(line)["event"] for line in
                  rig.imprint("ledger", "show").stdout.splitlines()]
        self.assertEqual([events.count(e) for e in ("ca_requested", "ca", "ca_destroyed")],
                         [1, 2, 2])
        self.assertEqual(made["number"], 2)

    def test_cas_of_several_algorithms_sign_side_by_side(self):
        rig = self.rig("--ca-algorithm", "rsa2048-pss")
        own = self.issuers(rig)[0]
        second = self.ca(rig, "create", "--name", "Below an RSA root")["sha256"]
        itself = self.ca(rig, "create", "--name", "Its own root", "--self-signed")["sha256"]
        rig.write_job()
        share = rig.share({"good": 9, "max_issued": 9, "spoilage": 0, "rework": 0})
        share["issuer"] = [own, second, itself]
        rig.write_order(stations=[share])
        oids = {"line-1 issuing CA": "1.2.840.113549.1.1.10", "Below an RSA root": "1.2.840.10045.4.3.2",
                "Its own root": "1.2.840.10045.4.3.2"}
        for name in oids:
            rig.write_job(more=f"issuer: {name}\n")
            rig.imprint("generate", rig.job, "--count", 1)
            [device] = self.provision(rig)
            self.judge(rig, device)
            device.port.unlink()
        rig.seal()
        records = rig.records()
        self.assertEqual(sorted(r["iss"] for r in records), sorted([own, second, itself]))
        said = {leaf(r).issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value:
                leaf(r).signature_algorithm_oid.dotted_string for r in records}
        self.assertEqual(said, oids)
        rig.imprint("crl")
        rig.imprint("audit")
        rig.accept()

    def test_another_algorithm_below_the_companys_root(self):
        rig = self.rig("--root", "company", "--ca-algorithm", "p384")
        company = self.company(rig)
        request = rig.station / "ca/request-1.pem"
        text = run("openssl", "req", "-in", request, "-noout", "-text", "-verify").stdout
        for part in ("ASN1 OID: secp384r1", "ecdsa-with-SHA384", "CN = line-1 issuing CA"):
            self.assertIn(part, text)
        self.assertEqual(self.ca(rig, "request", "--again", "1")["number"], 1)
        self.assertTrue(self.ca(rig, "import", company.answer(request))["new"])
        rig.imprint("crl")
        run("openssl", "crl", "-inform", "DER", "-in", rig.station / "crl/issuing-ca.crl", "-CAfile",
            rig.station / "ca/issuing-ca.pem", "-noout", "-verify")
        rig.imprint("audit")

    def test_certificates_of_the_ceremony_cannot_be_exchanged(self):
        rig = self.rig()
        self.ca(rig, "create", "--name", "Second")
        self.ca(rig, "destroy", "1")  # now no key of the token tells whose certificate the first is
        pair = [rig.station / "ca" / name for name in ("device-root.pem", "issuing-ca.pem")]
        transcript, trust = rig.station / "ceremony.json", rig.station / "trust/device-root.pem"
        good = {path: path.read_bytes() for path in (*pair, transcript, trust)}
        request = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-keyout")
        evil, key = rig.dir / "evil.pem", rig.dir / "evil.key"
        run(*request, key, "-x509", "-subj", "/CN=Evil root", "-out", evil)
        run(*request, rig.dir / "i.key", "-subj", "/O=Acme Medical/OU=test/CN=line-1 issuing CA",
            "-out", rig.dir / "i.csr")
        run("openssl", "x509", "-req", "-in", rig.dir / "i.csr", "-CA", evil, "-CAkey", key, "-out",
            rig.dir / "i.pem")
        said = json.loads(good[transcript])
        for path, other in zip(pair, (evil, rig.dir / "i.pem")):
            der = x509.load_pem_x509_certificate(other.read_bytes())
            said["certificates"][f"ca/{path.name}"] = der.fingerprint(hashes.SHA256()).hex()
        forged = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        for changed in ({pair[0]: evil.read_bytes()}, {pair[1]: (rig.dir / "i.pem").read_bytes()},
                        {pair[0]: evil.read_bytes(), pair[1]: (rig.dir / "i.pem").read_bytes()},
                        {pair[0]: evil.read_bytes(), pair[1]: (rig.dir / "i.pem").read_bytes(),
                         transcript: forged}):
            for path, content in changed.items():
                path.write_bytes(content)
            for command in (("ca", "list"), ("ca", "request", *WHO), ("ca", "destroy", "1", *WHO),
                            ("ca", "destroy", "root", *WHO), ("audit",)):
                refused = rig.imprint(*command, check=False)
                self.assertEqual(refused.returncode, EXIT["INTEGRITY"], (command, refused.stderr))
            self.assertEqual(trust.read_bytes(), good[trust])
            for path in changed:
                path.write_bytes(good[path])
        transcript.unlink()
        refused = rig.imprint("ca", "list", check=False)
        self.assertEqual(refused.returncode, EXIT["MISSING"], refused.stderr)
        transcript.write_bytes(good[transcript])
        self.ca(rig, "destroy", "1")
        self.ca(rig, "destroy", "root")
        rig.imprint("audit")

    def test_a_backup_of_before_a_ca_was_destroyed_still_revokes(self):
        rig = self.rig()
        rig.write_job()
        rig.write_order()
        self.ca(rig, "create", "--name", "Second")
        rig.imprint("generate", rig.job, "--count", 1)
        self.provision(rig)
        rig.imprint("crl")
        rig.imprint("backup", rig.dir / "backup")
        self.ca(rig, "destroy", "2")
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{rig.station}/station.db{suffix}").unlink(missing_ok=True)
        rig.recover(rig.ticket("restore"), "--backup", rig.dir / "backup")
        made = rig.imprint("crl")
        self.assertIn("issuing-ca.crl", made.stdout)
        self.assertIn("the key of issuing CA 2 is not on the token", made.stderr)
        rig.seal()
        self.assertIn("with 1 certificate:",
                      rig.imprint("void", "PUMP-000001", "--reason", "x").stderr)
        rig.write_job(more="issuer: Second\n")
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("whose key is not on the token", refused.stderr)
        self.ca(rig, "destroy", "2")
        self.assertEqual([c["state"] for c in self.list(rig)], ["active", "destroyed"])
        self.assertEqual(rig.imprint("crl").stderr, "")

    def test_the_station_warns_before_a_ca_ends(self):
        rig = self.rig()
        company = self.company(rig)
        self.ca(rig, "request")
        before = subprocess.run(["date", "-u", "-d", "-60 days", "+%Y%m%d%H%M%SZ"], text=True,
                                capture_output=True, check=True).stdout.strip()
        self.ca(rig, "import", company.answer(rig.station / "ca/request-2.pem", "-startdate", before,
                                              days=10))
        self.assertEqual([c["ends_soon"] for c in self.list(rig)], [False, True])
        self.assertTrue(rig.status()["ca_ends_soon"])
        self.assertIn("issuing CA 'line-1 issuing CA 2' ends on", rig.imprint("status").stderr)

    def test_name_constraints_are_respected_when_a_job_is_read(self):
        rig = self.rig()
        company = self.company(
            rig, names="nameConstraints = critical,permitted;URI:.devices.example.com")
        self.ca(rig, "request", "--name", "constrained")
        said = self.ca(rig, "import", company.answer(rig.station / "ca/request-2.pem"))
        profile = rig.dir / "uri.yaml"
        profile.write_text(URI_PROFILE)
        fixed = json.loads(rig.imprint("profile", "check", profile, "--json").stdout)
        share = rig.share({"good": 5, "max_issued": 5, "spoilage": 0, "rework": 0})
        share["issuer"] = said["sha256"]
        rig.write_order(stations=[share], profile={"name": "uri", "sha256": fixed["sha256"]})
        rig.write_job()
        text = rig.job.read_text()
        rig.job.write_text(text[:text.index("certificate:")] + f"certificate:\n  profile: {profile}\n"
                           + text[text.index("ports:"):])
        refused = rig.imprint("generate", rig.job, "--count", 1, check=False)
        self.assertEqual(refused.returncode, EXIT["REFUSED"])
        self.assertIn("name constraints of CA 'Company products CA'", refused.stderr)

    def test_matter_certificates_below_a_pai_of_the_station(self):
        rig = self.rig()
        said = self.ca(rig, "create", "--profile", "matter-pai", "--vendor-id", "FFF1")
        self.assertEqual(said["name"], "Acme Medical PAI")
        known = {json.loads(line)["name"]: json.loads(line)["sha256"]
                 for line in rig.imprint("profile", "list", "--json").stdout.splitlines()}
        share = rig.share({"good": 5, "max_issued": 5, "spoilage": 0, "rework": 0})
        share["issuer"] = said["sha256"]
        rig.write_order(stations=[share],
                        profile={"name": "matter-dac", "sha256": known["matter-dac"]})
        rig.write_job()
        text = rig.job.read_text()
        for vendor, good in (("FFF2", False), ("FFF1", True)):
            rig.job.write_text(text[:text.index("certificate:")] + "certificate:\n"
                               f"  vendor_id: {vendor}\n  product_id: '8000'\n" +
                               text[text.index("ports:"):])
            made = rig.imprint("generate", rig.job, "--count", 1, check=False)
            self.assertEqual(made.returncode == 0, good, made.stderr)
        [device] = self.provision(rig)
        self.judge(rig, device)
        rig.seal()
        rig.accept()
        dac = leaf(rig.records()[0])
        self.assertIn("1.3.6.1.4.1.37244.2.1=FFF1", dac.issuer.rfc4514_string())

    def test_a_request_that_was_killed_is_taken_up(self):
        rig = self.rig()
        for step in range(10):
            process = rig.start_imprint("ca", "request", *WHO)
            try:
                process.wait(0.02 + 0.03 * step)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            process.stdout.close()
        numbers = [c["number"] for c in self.list(rig)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertEqual(self.ca(rig, "request")["number"], len(numbers) + 1)
        rig.imprint("audit")
        self.ca(rig, "destroy", "2")  # one that nobody certified
        rig.imprint("ledger", "verify")
        rig.imprint("audit")

    def test_what_is_not_said_right(self):
        rig = self.rig()
        for arguments, name in ((("list", "x", "y"), "USAGE"), (("sign",), "USAGE"),
                                (("import", *WHO), "USAGE"), (("request",), "USAGE"),
                                (("destroy", *WHO), "USAGE"), (("destroy", "0", *WHO), "USAGE"),
                                (("destroy", "7", *WHO), "MISSING"),
                                (("import", rig.dir / "no", *WHO), "MISSING"),
                                (("request", "--profile", "idevid", *WHO), "REFUSED"),
                                (("request", "--again", "1", *WHO), "REFUSED"),
                                (("request", "--name", "x" * 65, *WHO), "INPUT")):
            with self.subTest(arguments):
                self.assertEqual(rig.imprint("ca", *arguments, check=False).returncode, EXIT[name])
        result = rig.imprint(*rig.init_command("--root", "mine"), check=False)
        self.assertEqual(result.returncode, EXIT["USAGE"], result.stderr)


URI_PROFILE = """
name: uri
title: a device with a URI
version: 3
validity:
  not_after: 10y
subject:
  - attribute: serialNumber
    value: "{serial}"
key_usage:
  bits: [digitalSignature]
authority_key_identifier: true
subject_alt_name:
  names:
    - type: uri
      value: "https://elsewhere.example.org/{serial}"
"""


if __name__ == "__main__":
    unittest.main(verbosity=2)
