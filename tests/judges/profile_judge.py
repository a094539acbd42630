#!/usr/bin/python3
"""Every shipped profile, judged by programs that share no code with ours.

usage: profile_judge.py IMPRINT DOCS_DIR

Samples are issued by `imprint profile sample` and given to openssl verify -x509_strict with a
purpose, certtool --verify, python3-cryptography's parser, a real TLS handshake, and a table of
assertions written from the text of the standards. The sample at the end of each page of
docs/profiles/ is compared with a fresh one, number, key, signature and identifiers aside.
"""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

IMPRINT = pathlib.Path(sys.argv[1])
DOCS = pathlib.Path(sys.argv[2])
VENDOR = x509.ObjectIdentifier("1.3.6.1.4.1.37244.2.1")
PRODUCT = x509.ObjectIdentifier("1.3.6.1.4.1.37244.2.2")
WISUN = x509.ObjectIdentifier("1.3.6.1.4.1.45605.1")
HARDWARE_MODULE = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
ISSUED = "2026-01-31T00:00:00Z"


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def must(what, result):
    if result.returncode:
        raise AssertionError(f"{what}: {result.stdout}{result.stderr}")
    return result.stdout


class Sample:
    def __init__(self, folder, profile, *options):
        self.profile = profile
        self.folder = folder
        must(f"sample of {profile}", run(IMPRINT, "profile", "sample", profile, "--out", folder,
                                         "--issued", ISSUED, *options))
        self.path = folder / "device.pem"
        self.cert = x509.load_pem_x509_certificate(self.path.read_bytes())
        issuing = folder / "issuing.pem"
        self.chain = [folder / "issuing.pem"] if issuing.exists() else []
        self.issuer = x509.load_pem_x509_certificate(
            (self.chain or [folder / "root.pem"])[0].read_bytes())
        # Only now is every extension and name parsed.
        self.extensions = {e.oid: e for e in self.cert.extensions}
        self.subject = [(a.oid, a.value, a._type.name) for a in self.cert.subject]
        self.der = self.path.read_text()

    def extension(self, oid):
        return self.extensions[oid].value if oid in self.extensions else None

    def critical(self, oid):
        return oid in self.extensions and self.extensions[oid].critical

    def purposes(self):
        return list(self.extension(ExtensionOID.EXTENDED_KEY_USAGE) or [])

    def usages(self):
        usage = self.extension(ExtensionOID.KEY_USAGE)
        names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                 "key_agreement", "key_cert_sign", "crl_sign"]
        return {n for n in names if getattr(usage, n)} if usage else set()

    def size(self):
        return len(subprocess.run(["openssl", "x509", "-in", str(self.path), "-outform", "DER"],
                                  capture_output=True, check=True).stdout)

    def one(self, oid):
        found = [value for o, value, _ in self.subject if o == oid]
        return found[0] if len(found) == 1 else None

    def not_after(self):
        text = must("asn1parse", run("openssl", "asn1parse", "-in", self.path))
        return re.findall(r"(UTCTIME|GENERALIZEDTIME) +:(\w+)", text)[1]

    def hardware_module(self):
        """(OID in DER, serial) of the one hardwareModuleName."""
        names = self.extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        names = [n for n in names or [] if isinstance(n, x509.OtherName)]
        if len(names) != 1 or names[0].type_id != HARDWARE_MODULE:
            return None
        der = names[0].value
        assert der[0] == 0x30 and der[1] == len(der) - 2 and der[2] == 6, der
        after = 4 + der[3]
        assert der[after] == 4 and der[after + 1] == len(der) - after - 2, der
        return der[4:after], der[after + 2:].decode()


# ---- what the standards say: a name, and whether it holds

def everywhere(s):
    """RFC 5280, and the rules of this project for every profile."""
    number = s.cert.serial_number
    yield "4.1.2.2: the number is positive, of at most 20 octets", 0 < number < 1 << 159
    yield "the number has 17 octets, the first 0x01", number >> 128 == 1
    yield "RFC 5758: ecdsa-with-SHA256", \
        s.cert.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.2"
    yield "RFC 5480: a named curve, P-256", isinstance(s.cert.public_key().curve, ec.SECP256R1)
    yield "4.1.2.4: the issuer is the subject of the issuer", s.cert.issuer == s.issuer.subject
    if s.cert.version is x509.Version.v3:
        key_id = s.extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
        above = s.issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        yield "4.2.1.1: the authority key identifier is that of the issuer", \
            key_id and key_id.key_identifier == above.digest
        yield "4.2.1.1: it is not critical", not s.critical(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
        own = s.extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
        made = x509.SubjectKeyIdentifier.from_public_key(s.cert.public_key())
        yield "4.2.1.2: the subject key identifier is method 1", own == made


def device(s):
    yield "the subject has one serialNumber, the device's", s.one(NameOID.SERIAL_NUMBER) == "A1-0000001"
    yield "X.520: serialNumber is a PrintableString", \
        (NameOID.SERIAL_NUMBER, "A1-0000001", "PrintableString") in s.subject
    limits = s.extension(ExtensionOID.BASIC_CONSTRAINTS)
    yield "it is not a CA", limits is None or not limits.ca
    yield "the key signs no certificates", not s.usages() & {"key_cert_sign", "crl_sign"}


def without_end(s):
    yield "notAfter is GeneralizedTime 99991231235959Z", \
        s.not_after() == ("GENERALIZEDTIME", "99991231235959Z")


def idevid(s):
    """IEEE 802.1AR-2018 clause 8; RFC 4108 section 5."""
    yield from without_end(s)
    yield "version 3", s.cert.version is x509.Version.v3
    yield "the subject has a serialNumber", s.one(NameOID.SERIAL_NUMBER)
    yield "an authority key identifier", \
        s.extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    yield "key usage: critical digitalSignature", \
        s.usages() == {"digital_signature"} and s.critical(ExtensionOID.KEY_USAGE)
    yield "RFC 4108: hardwareModuleName with type and serial", \
        s.hardware_module() == (bytes.fromhex("2b0601040181fd590107"), "A1-0000001")


def matter_dac(s):
    """The twelve conditions, and the size."""
    limits = s.extension(ExtensionOID.BASIC_CONSTRAINTS)
    yield "1: version 3", s.cert.version is x509.Version.v3
    yield "2: ecdsa-with-SHA256", \
        s.cert.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.2"
    yield "3: a key on P-256", isinstance(s.cert.public_key().curve, ec.SECP256R1)
    yield "4: basicConstraints are critical", s.critical(ExtensionOID.BASIC_CONSTRAINTS)
    yield "5: CA is false", limits and limits.ca is False
    yield "6: no path length", limits and limits.path_length is None
    yield "7: keyUsage is critical", s.critical(ExtensionOID.KEY_USAGE)
    yield "8: digitalSignature alone", s.usages() == {"digital_signature"}
    own = s.extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    yield "9: a subject key identifier of 20 octets", own and len(own.digest) == 20
    above = s.extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    yield "10: an authority key identifier of 20 octets", above and len(above.key_identifier) == 20
    vendor = [(v, t) for o, v, t in s.subject if o == VENDOR]
    product = [(v, t) for o, v, t in s.subject if o == PRODUCT]
    pai = [a.value for a in s.issuer.subject if a.oid == VENDOR]
    yield "11: one vendor and one product id, UTF8String of 4 digits, the vendor the PAI's", \
        vendor == [("FFF1", "UTF8String")] and product == [("8000", "UTF8String")] and pai == ["FFF1"]
    at = int(s.cert.not_valid_before.timestamp())
    yield "12: the chain is valid at notBefore", \
        verifies(s, "-attime", str(at), "-x509_strict").returncode == 0
    yield "at most 600 octets", s.size() <= 600
    yield "no purposes, no other extension", len(s.extensions) == 4


def matter_pai(s):
    limits = s.extension(ExtensionOID.BASIC_CONSTRAINTS)
    yield "CA, path length 0, critical", limits and limits.ca and limits.path_length == 0 and \
        s.critical(ExtensionOID.BASIC_CONSTRAINTS)
    yield "keyCertSign and cRLSign alone, critical", \
        s.usages() == {"key_cert_sign", "crl_sign"} and s.critical(ExtensionOID.KEY_USAGE)
    yield "one vendor id", s.one(VENDOR) == "FFF1"
    yield "at most 600 octets", s.size() <= 600


def tls_client(s):
    """RFC 8446 section 4.4.2.3 by way of 4.4.2.2."""
    yield "digitalSignature, if there is a key usage", \
        not s.usages() or "digital_signature" in s.usages()
    yield "clientAuth, if there are purposes", not s.purposes() or CLIENT in s.purposes()


def aws_iot(s):
    yield from tls_client(s)
    yield "thing name: [a-zA-Z0-9:_-]{1,128}", \
        re.fullmatch(r"[a-zA-Z0-9:_-]{1,128}", s.one(NameOID.COMMON_NAME) or "")
    yield "the signature algorithm is one of the list", \
        s.cert.signature_hash_algorithm.name in ("sha256", "sha384", "sha512")
    yield "notAfter as AWS's own: 2049-12-31T23:59:59Z", s.not_after() == ("UTCTIME", "491231235959Z")


def azure_dps(s):
    yield from tls_client(s)
    yield "registration id: letters, digits, '-', '.', '_', ':', ends with a letter, digit or '-'", \
        re.fullmatch(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]", s.one(NameOID.COMMON_NAME) or "")
    yield "clientAuth is there", s.purposes() == [CLIENT]


def wisun(s):
    yield from without_end(s)
    yield "purposes id-kp-wisun-fan-device and clientAuth, critical", \
        s.purposes() == [WISUN, CLIENT] and s.critical(ExtensionOID.EXTENDED_KEY_USAGE)
    yield "digitalSignature and keyAgreement, critical", \
        s.usages() == {"digital_signature", "key_agreement"} and s.critical(ExtensionOID.KEY_USAGE)
    yield "subjectAltName is the hardware module, critical", \
        s.hardware_module() == (bytes.fromhex("2b0601040181fd590107"), "A1-0000001") and \
        s.critical(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)


def minimal(s):
    yield from tls_client(s)
    yield from without_end(s)
    yield "version 1, no extensions", s.cert.version is x509.Version.v1 and not s.extensions
    yield "at most 300 octets", s.size() <= 300


# profile -> assertions, purpose of openssl verify
PROFILES = {"idevid": (idevid, "sslclient"), "matter-dac": (matter_dac, "any"),
            "matter-pai": (matter_pai, "any"), "aws-iot": (aws_iot, "sslclient"),
            "azure-dps": (azure_dps, "sslclient"), "tls-client": (tls_client, "sslclient"),
            "wisun": (wisun, "sslclient"), "minimal": (minimal, "sslclient")}


def everything(s):
    """The profile beside this program, which has every field that there is."""
    yield "subject", [(o.dotted_string, v, t) for o, v, t in s.subject] == [
        ("2.5.4.6", "CH", "PrintableString"), ("2.5.4.10", "Acme", "UTF8String"),
        ("2.5.4.5", "A1-0000001", "PrintableString"),
        ("2.5.4.3", "{09506000134352}-A1-0000001", "UTF8String"),
        ("1.3.6.1.4.1.32473.9", "0123456789abcdef", "UTF8String")]
    yield "notAfter 20 years on", s.not_after() == ("UTCTIME", "460131000000Z")
    yield "keyUsage", s.usages() == {"digital_signature", "key_agreement"}
    yield "purposes", [p.dotted_string for p in s.purposes()] == \
        ["1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.32473.8"]
    policies = s.extension(ExtensionOID.CERTIFICATE_POLICIES)
    yield "policies", [(p.policy_identifier.dotted_string, p.policy_qualifiers) for p in policies] \
        == [("1.3.6.1.4.1.32473.7", ["https://example.com/cps"]), ("1.3.6.1.4.1.32473.6", None)]
    names = list(s.extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME))
    yield "DNS, URI and mail", [n.value for n in names[:3]] == [
        "A1-0000001.devices.example.com",
        "https://example.com/09506000134352/A1-0000001?order=ACME-2026-0142",
        "A1-0000001@example.com"] and [type(n) for n in names[:3]] == \
        [x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name]
    yield "other name", names[3] == x509.OtherName(
        x509.ObjectIdentifier("1.3.6.1.4.1.32473.5"), b"\x0c\x20" + 2 * b"0109506000134352")
    yield "hardware module", len(names) == 5 and names[4].type_id == HARDWARE_MODULE
    crls = list(s.extension(ExtensionOID.CRL_DISTRIBUTION_POINTS))
    yield "CRL", [p.full_name[0].value for p in crls] == \
        ["http://example.com/production.crl", "http://example.com/indirect.crl"]
    yield "cRLIssuer", crls[0].crl_issuer is None and \
        crls[1].crl_issuer[0].value.rfc4514_string() == "CN=Acme revocations"
    access = s.extension(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    yield "AIA", [(a.access_method._name, a.access_location.value) for a in access] == \
        [("OCSP", "http://ocsp.example.com"), ("caIssuers", "http://example.com/ca.cer")]
    own = {oid.dotted_string: (e.critical, e.value.value) for oid, e in s.extensions.items()
           if oid.dotted_string.startswith("1.3.6.1.4.1.32473.")}
    yield "own extensions", own == {
        "1.3.6.1.4.1.32473.1": (False, b"\x05\x00"),
        "1.3.6.1.4.1.32473.2": (True, b"\x0c\x1bA1-0000001 0123456789abcdef"),
        "1.3.6.1.4.1.32473.3": (False, b"\x04\x0aA1-0000001")}


def pointing(profile, place):
    """A copy of a shipped profile with what docs/profiles.md adds, for the owner's list."""
    text = (DOCS.parent.parent / "share/profiles" / f"{profile}.yaml").read_text()
    [added] = re.findall(r"(?ms)^```yaml\n(crl_distribution_points:\n.*?)^```",
                         DOCS.with_suffix(".md").read_text())
    path = place / f"{profile}-crl.yaml"
    path.write_text(re.sub(r"(?m)^name: .*$", f"name: {profile}-crl", text) + added)
    return path


def points_to_owner(s):
    points = list(s.extension(ExtensionOID.CRL_DISTRIBUTION_POINTS))
    yield "one distribution point", [n.value for n in points[0].full_name] == \
        ["http://crl.example.com/revoked.crl"] and len(points) == 1 and points[0].reasons is None
    yield "cRLIssuer", [n.value.rfc4514_string() for n in points[0].crl_issuer] == \
        ["CN=Revocations,O=Example Medical"]
    yield "4.2.1.13: it is not critical", not s.critical(ExtensionOID.CRL_DISTRIBUTION_POINTS)


def judge_room(profile, place, problems):
    """Who has room for the owner's list points to it; who has none refuses."""
    path = pointing(profile, place)
    if profile == "minimal":
        refused = run(IMPRINT, "profile", "check", path)
        if refused.returncode == 0 or "no extensions" not in refused.stderr:
            problems.append(f"{profile}: takes a distribution point: {refused.stderr}")
        return 0
    s = Sample(place, path)
    s.profile = profile
    must("openssl verify", verifies(s, "-x509_strict", "-purpose", PROFILES[profile][1]))
    kinds = (everywhere, device, PROFILES[profile][0], points_to_owner)
    found = [(what, holds) for kind in kinds for what, holds in kind(s)]
    problems += [f"{profile} with a revocation list: {what}" for what, holds in found if not holds]
    return len(found)


def verifies(s, *options):
    chain = [part for path in s.chain for part in ("-untrusted", path)]
    return run("openssl", "verify", *options, "-CAfile", s.folder / "root.pem", *chain, s.path)


def judge_openssl(s, stranger):
    purpose = PROFILES[s.profile][1]
    must("openssl verify", verifies(s, "-x509_strict", "-purpose", purpose))
    if "digital_signature" in s.usages():  # without them a key is for everything
        assert verifies(s, "-x509_strict", "-purpose", "crlsign").returncode, "signs CRLs"
    original = s.folder
    s.folder = stranger
    assert verifies(s, "-x509_strict").returncode, "openssl verify accepts a stranger's root"
    s.folder = original


def judge_certtool(s, stranger):
    if not shutil.which("certtool"):
        print("certtool is missing (package gnutls-bin)", file=sys.stderr)
        return
    chain = s.folder / "chain.pem"
    chain.write_text("".join(path.read_text() for path in [s.path, *s.chain]))
    must("certtool --verify", run("certtool", "--verify", "--load-ca-certificate",
                                  s.folder / "root.pem", "--infile", chain))
    assert run("certtool", "--verify", "--load-ca-certificate", stranger / "root.pem",
               "--infile", chain).returncode, "certtool accepts a stranger's root"


def judge_assertions(s, problems):
    kinds = [everywhere, PROFILES.get(s.profile, [everything])[0]]
    kinds += [device] if s.profile != "matter-pai" else []
    count = 0
    for kind in kinds:
        for what, holds in kind(s):
            count += 1
            if not holds:
                problems.append(f"{s.profile}: {what}")
    return count


def judge_handshake(s):
    """A TLS 1.3 server that demands a client certificate takes this one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=localhost", "-keyout", s.folder / "server.key", "-out", s.folder / "server.pem")
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), "-naccept", "1", "-tls1_3", "-Verify", "3",
         "-verify_return_error", "-quiet", "-cert", s.folder / "server.pem", "-key",
         s.folder / "server.key", "-CAfile", s.folder / "root.pem"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(100):
            # s_server ends after the one connection, so a refused one is only too early.
            client = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-cert",
                         s.path, "-cert_chain", s.chain[0], "-key", s.folder / "device.key",
                         "-ign_eof", "-quiet", stdin=subprocess.DEVNULL, timeout=60)
            if "refused" not in client.stderr:
                break
        text = server.communicate(timeout=60)[0]
    finally:
        server.kill()
        server.wait()
    assert "verify return:1" in text and "verify error" not in text and server.returncode == 0, text


# ---- the algorithms that a profile allows, by the documents that its page names, and no others

ALL_KEYS = {"p256", "p384", "rsa2048", "rsa3072", "ed25519"}
ALL_CAS = {"p256", "p384", "rsa2048-pss", "rsa2048-pkcs1", "ed25519"}
CLOUD = ({"p256", "p384", "rsa2048", "rsa3072"}, {"p256", "p384", "rsa2048-pkcs1"})
ALLOWED = {"idevid": (ALL_KEYS, ALL_CAS), "tls-client": (ALL_KEYS, ALL_CAS), "aws-iot": CLOUD,
           "azure-dps": CLOUD, "matter-dac": ({"p256"}, {"p256"}), "matter-pai": ({"p256"}, {"p256"}),
           "wisun": ({"p256"}, {"p256"}), "minimal": ({"p256", "ed25519"}, {"p256", "ed25519"})}
SIGNED = {"p256": "1.2.840.10045.4.3.2", "p384": "1.2.840.10045.4.3.3", "ed25519": "1.3.101.112",
          "rsa2048-pss": "1.2.840.113549.1.1.10", "rsa2048-pkcs1": "1.2.840.113549.1.1.11"}
BITS = {"p256": 256, "p384": 384, "rsa2048": 2048, "rsa3072": 3072, "ed25519": None}


def judge_algorithm(profile, key, ca, place, stranger, problems):
    """One pair: openssl, certtool and python-cryptography take it, or it is refused as it should be."""
    keys, cas = ALLOWED[profile]
    place.mkdir()
    options = ("--key", key, "--ca-algorithm", ca)
    if key not in keys or ca not in cas:
        refused = run(IMPRINT, "profile", "sample", profile, *options)
        if refused.returncode != 21 or "is not for" not in refused.stderr:
            problems.append(f"{profile}: {key} under {ca} is not refused: {refused.stderr}")
        return 1
    s = Sample(place, profile, *options)
    judge_openssl(s, stranger)
    judge_certtool(s, stranger)
    found = [("signature algorithm", s.cert.signature_algorithm_oid.dotted_string == SIGNED[ca]),
             ("key", getattr(s.cert.public_key(), "key_size", None) == BITS[key]),
             ("key identifier", profile == "minimal" or s.extension(
                 ExtensionOID.SUBJECT_KEY_IDENTIFIER) in (None, x509.SubjectKeyIdentifier.from_public_key(
                     s.cert.public_key())))]
    found += list(device(s)) if profile != "matter-pai" else []
    problems += [f"{profile}, {key} under {ca}: {what}" for what, holds in found if not holds]
    return len(found)


def judge_algorithms(profile, folder, stranger, problems):
    pairs = [(key, "p256") for key in sorted(ALL_KEYS)] + \
            [("p256", ca) for ca in sorted(ALL_CAS - {"p256"})] + [("ed25519", "ed25519")]
    return sum(judge_algorithm(profile, key, ca, folder / f"{profile}-{key}-{ca}", stranger, problems)
               for key, ca in pairs)


# ---- the samples of the pages

FRESH = [(r"(Serial Number:\n) +[0-9a-f:]+", r"\1            ..."),
         (r"(pub:\n)(?: +[0-9a-f:]+\n)+", r"\1                    ...\n"),
         (r"(Key Identifier: \n) +[0-9A-F:]+", r"\1                ..."),
         (r"(Signature Value:\n)(?: +[0-9a-f:]+\n?)+", r"\1        ...\n")]


def plain(text):
    for pattern, other in FRESH:
        text = re.sub(pattern, other, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def judge_page(s, problems):
    page = DOCS / f"{'matter-dac' if s.profile == 'matter-pai' else s.profile}.md"
    text = plain(must("openssl x509", run("openssl", "x509", "-in", s.path, "-noout", "-text")))
    blocks = re.findall(r"(?ms)^```text\n(.*?)^```", page.read_text()) if page.exists() else []
    if text not in [plain(block) for block in blocks]:
        problems.append(f"{page.name}: does not end with this sample:\n{text}")


def main():
    problems, assertions = [], 0
    listed = [json.loads(line)["name"] for line in
              must("profile list", run(IMPRINT, "profile", "list", "--json")).splitlines()]
    if sorted(listed) != sorted(PROFILES):
        problems.append(f"profiles {listed} are shipped and {list(PROFILES)} judged")
    with tempfile.TemporaryDirectory() as folder:
        stranger = pathlib.Path(folder) / "stranger"
        stranger.mkdir()
        Sample(stranger, "idevid")
        for profile in listed:
            place = pathlib.Path(folder) / profile
            place.mkdir()
            s = Sample(place, profile)
            judge_openssl(s, stranger)
            judge_certtool(s, stranger)
            assertions += judge_assertions(s, problems)
            judge_page(s, problems)
            if s.chain:
                judge_handshake(s)
            assertions += judge_algorithms(profile, pathlib.Path(folder), stranger, problems)
        for profile in ("idevid", "aws-iot", "azure-dps", "tls-client", "wisun", "minimal"):
            place = pathlib.Path(folder) / f"{profile}-crl"
            place.mkdir()
            assertions += judge_room(profile, place, problems)
        assertions += judge_assertions(
            Sample(stranger, pathlib.Path(__file__).parent / "everything.yaml"), problems)
    for problem in problems:
        print(problem)
    print(f"{len(listed)} profiles, {assertions} assertions, {len(problems)} problems")
    return 1 if problems or assertions < 80 else 0


if __name__ == "__main__":
    sys.exit(main())
