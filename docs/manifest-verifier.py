#!/usr/bin/python3
"""Verifies one manifest, after the one before it if that is given: the appendix of manifest-format.md.

usage: manifest-verifier.py MANIFEST-ROOT.pem DEVICE-ROOT.pem LOG.vkey DIR [DIR-BEFORE]
           [--require-alg NAME[=ROOT.pem]]...

Written from the specification alone, with Python, python3-cryptography and, for CMS, certificate
paths and compressed files, the programs openssl and zstd. It says 'verified', or what is wrong.
"""
import base64, datetime, hashlib, json, os, re, stat, subprocess, sys, tempfile

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

LINE, SHARD, EXPANSION, INT = 65535, 1000000, 100, 2**53 - 1
TIME = re.compile(r"(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# Of signatures beside manifest.json.p7s: hash, signatureAlgorithm, key (section 8).
SHA256, SHA384 = (bytes.fromhex(f"60864801650304020{n}") for n in (1, 2))
ALGORITHMS = {
    "ecdsa-p256": (SHA256, "300a06082a8648ce3d040302", "secp256r1"),
    "ecdsa-p384": (SHA384, "300a06082a8648ce3d040303", "secp384r1"),
    "rsa-pss-3072": (SHA256, "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a0609"
                     "2a864886f70d010108300d06096086480165030402010500a203020120", 3072),
}
PEM = b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?"
TYPES = "add replace revoke void attr decommission recommission rotate".split()
REASONS = ("unspecified keyCompromise cACompromise affiliationChanged superseded cessationOfOperation "
           "certificateHold privilegeWithdrawn aACompromise").split()
TOTALS = "burned good issued replaced revoked scrapped unresolved unused".split()


def need(what, text):
    if not what:
        raise ValueError(text)


def sha(data):
    return hashlib.sha256(data).digest()


def b64(text, size=None):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text and (size is None or len(raw) == size), "base64")
    return raw


def hexa(text, size=32):
    need(isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * size), text), "hexadecimal")
    return bytes.fromhex(text)


def number(value):
    need(type(value) is int and 0 <= value <= INT, "number")
    return value


def text(value, most, least=1):
    need(isinstance(value, str) and least <= len(value) <= most, "text")
    return value


def time(value):
    need(isinstance(value, str) and TIME.fullmatch(value), "time")
    return int(datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z").timestamp())


def members(value, required, optional=()):
    need(isinstance(value, dict), "object")
    need(set(required) <= set(value) <= set(required) | set(optional), "members")
    return value


def plain(value, depth=1):  # section 4
    need(depth <= 7 or not isinstance(value, (dict, list)), "nesting")
    texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
    need(all(" " <= c <= "~" for t in texts for c in t), "printable ASCII")
    need(not isinstance(value, float) and (type(value) is not int or abs(value) <= INT), "integer")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        plain(inner, depth + 1)


def canonical(line):
    value = json.loads(line.decode("ascii"))
    need(isinstance(value, dict), "object")
    plain(value)
    need(json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == line, "canonical")
    return value


def extensions(value, known=()):  # section 9
    ext, crit = value.get("ext", {}), value.get("crit")
    need(isinstance(ext, dict) and all(len(name) <= 79 for name in ext), "ext")
    need(crit is None or (isinstance(crit, list) and crit and len(set(crit)) == len(crit) and
                          set(crit) <= set(ext) and set(crit) <= set(known)), "crit")


def open_file(folder, name):
    fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    need(stat.S_ISREG(os.fstat(fd).st_mode), f"{name} is not a regular file")
    return os.fdopen(fd, "rb")


def read(folder, name, most):
    with open_file(folder, name) as f:
        data = f.read(most + 1)
    need(len(data) <= most, f"{name} is too large")
    return data


def blocks(f, most):
    while block := f.read(1 << 16):
        most -= len(block)
        need(most >= 0, "larger than listed")
        yield block
    need(most == 0, "smaller than listed")


def hash_of(f, size):
    digest = hashlib.sha256()
    for block in blocks(f, size):
        digest.update(block)
    return digest.hexdigest()


def unpack(folder, entry, compressed, out):  # section 3: bounded by what is listed
    with open_file(folder, entry["name"] + ".zst") as f:
        need(entry["bytes"] <= 65536 or entry["bytes"] // EXPANSION <= compressed["bytes"], "expands")
        need(hash_of(f, compressed["bytes"]) == compressed["sha256"], "compressed file")
        f.seek(0)
        zstd = subprocess.Popen(["zstd", "-dcq", "--memory=8MB"], stdin=f, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        try:
            for block in blocks(zstd.stdout, entry["bytes"]):
                out.write(block)
            need(zstd.wait() == 0, "zstd")
        finally:
            zstd.kill()
            zstd.communicate()


def der(data):  # the elements of DER: (tag, contents)
    while data:
        tag, size, at = data[0], data[1], 2
        if size & 0x80:
            at += size & 0x7f
            size = int.from_bytes(data[2:at], "big")
        need(at + size <= len(data), "DER")
        yield tag, data[at:at + size]
        data = data[at + size:]


def check_cms(folder, name, root, algorithm=None):  # section 8; returns the signer's certificate
    pem = read(folder, name, 1 << 20).decode("ascii")
    found = re.fullmatch(r"-----BEGIN CMS-----\n(.*)-----END CMS-----\n", pem, re.S)
    need(found, "PEM")
    info = list(der(list(der(base64.b64decode(found[1])))[0][1]))
    signed = list(der(list(der(info[1][1]))[0][1]))
    need(len(list(der(signed[2][1]))) == 1, "detached")
    signers = list(der(signed[-1][1]))
    need(len(signers) == 1, "one signer")
    parts = list(der(signers[0][1]))
    digest, identifier, kind = ALGORITHMS[algorithm] if algorithm else (SHA256, None, None)
    need(list(der(parts[2][1]))[0][1] == digest, "hash")
    need(not identifier or any(bytes((t, len(v))).hex() + v.hex() == identifier for t, v in parts[4:5]),
         "signature algorithm")
    attributes = [list(der(a))[0][1] for t, a in der(parts[3][1])] if parts[3][0] == 0xa0 else []
    need(bytes.fromhex("2a864886f70d010910022f") in attributes, "signingCertificateV2")
    with tempfile.NamedTemporaryFile() as out:
        need(subprocess.run(
            ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
             os.path.join(folder, name), "-content", os.path.join(folder, "manifest.json"), "-CAfile",
             root, "-signer", out.name, "-out", "/dev/null"], capture_output=True).returncode == 0,
             "the signature does not verify")
        cert = x509.load_pem_x509_certificate(out.read())
    usage = {e.oid: e.value for e in cert.extensions}
    need(x509.ExtendedKeyUsageOID.EMAIL_PROTECTION in usage[x509.ExtensionOID.EXTENDED_KEY_USAGE] and
         usage[x509.ExtensionOID.KEY_USAGE].digital_signature, "not a manifest signer")
    basic = usage.get(x509.ExtensionOID.BASIC_CONSTRAINTS)
    need(not (basic and basic.ca), "the signer is a CA")
    key = cert.public_key()
    need(not kind or kind == getattr(getattr(key, "curve", None), "name", key.key_size), "kind of key")
    return cert


def check_others(folder, first, manifest_root, device_roots, required):  # section 8.1
    for name in sorted(map(os.fsdecode, os.listdir(os.fsencode(folder)))):
        found = re.fullmatch(r"manifest\.json\.([a-z0-9-]+)\.p7s", name)
        if not found:
            continue
        if found[1] not in ALGORITHMS:
            print(f"note: {name} was not verified", file=sys.stderr)
            continue
        root = required.pop(found[1], None) or manifest_root
        with open(root, "rb") as f:
            need(spki_of(x509.load_pem_x509_certificate(f.read()).public_key()) not in device_roots,
                 "root")
        read(folder, name, 1 << 20)
        need(spki_of(check_cms(folder, name, root, found[1]).public_key()) != first,
             "two signatures of one key")
    need(not required, f"no signature of {', '.join(required)}")


def spki_of(key):
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


PSS = (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
O = x509.SignatureAlgorithmOID


def kind_of(key):  # section 6: algorithm of proofs, their length, arguments of a verification, half r || s
    if isinstance(key, ed25519.Ed25519PublicKey):
        return b"\2\4", 64, (), 0
    if isinstance(key, rsa.RSAPublicKey):
        need(key.key_size in (2048, 3072) and key.public_numbers().e == 65537, "RSA key")
        return b"\2\5", key.key_size // 8, PSS, 0
    need(key.curve.name in ("secp256r1", "secp384r1"), "curve")
    if key.curve.name == "secp256r1":
        return b"\2\1", 64, (ec.ECDSA(hashes.SHA256()),), 32
    return b"\2\3", 96, (ec.ECDSA(hashes.SHA384()),), 48


def verify_proof(key, raw, message):
    _, length, how, half = kind_of(key)
    need(len(raw) == length, "proof")
    if half:
        raw = utils.encode_dss_signature(int.from_bytes(raw[:half], "big"),
                                         int.from_bytes(raw[half:], "big"))
    key.verify(raw, message, *how)


def verify_certificate(key, cert):  # section 5
    oid, kind = cert.signature_algorithm_oid, kind_of(key)
    ways = {b"\2\1": {O.ECDSA_WITH_SHA256: kind[2]}, b"\2\3": {O.ECDSA_WITH_SHA384: kind[2]},
            b"\2\4": {O.ED25519: ()},
            b"\2\5": {O.RSASSA_PSS: PSS, O.RSA_WITH_SHA256: (padding.PKCS1v15(), hashes.SHA256())}}
    need(oid in ways[kind[0]], "algorithm")
    key.verify(cert.signature, cert.tbs_certificate_bytes, *ways[kind[0]][oid])


def check_note(note, name, key):  # section 7
    head, _, tail = note.decode("utf-8").partition("\n\n")
    body, good = head.encode() + b"\n", 0
    need(tail.endswith("\n"), "note")
    for line in tail[:-1].split("\n"):
        found = re.fullmatch("\u2014 ([^ +]+) (\\S+)", line)
        need(found, "signature line")
        blob = b64(found[2])
        need(len(blob) > 4, "signature line")
        if found[1] == name and blob[:4] == sha(spki_of(key))[:4]:
            key.verify(blob[4:], body, ec.ECDSA(hashes.SHA256()))
            good += 1
    need(good, "not signed by the log key")
    return head.split("\n")


def push(tree, size, leaf):
    while size & 1:
        leaf, size = sha(b"\1" + tree.pop() + leaf), size >> 1
    tree.append(leaf)


def root_of(tree):
    top = tree[-1] if tree else sha(b"")
    for left in reversed(tree[:-1]):
        top = sha(b"\1" + left + top)
    return top


def check_statement(raw):  # section 8
    need(raw.endswith(b"\n"), "line end")
    m = members(canonical(raw[:-1]), "format hash origin seq first count size root prev files station "
                "environment customer created totals".split(), ("ext", "crit"))
    extensions(m)
    need(m["format"] == "whitelist-manifest/1" and m["hash"] == "sha256", "format")
    need(re.fullmatch("[!-*,-~]{1,128}", m["origin"]), "origin")
    for name, most in (("station", 64), ("environment", 16), ("customer", 128)):
        text(m[name], most)
    time(m["created"]), b64(m["root"], 32)
    before = m["prev"] or {"seq": 0, "size": 0, "frontier": []}
    if m["prev"] is not None:
        members(m["prev"], "seq size root sha256 frontier".split())
        hexa(before["sha256"]), number(before["seq"]), number(before["size"])
    tree = [b64(h, 32) for h in before["frontier"]]
    need(len(tree) == bin(before["size"]).count("1"), "frontier")
    need(m["prev"] is None or root_of(tree) == b64(before["root"], 32), "frontier")
    need(number(m["seq"]) == before["seq"] + 1 and number(m["first"]) == before["size"] and
         number(m["size"]) == m["first"] + number(m["count"]), "numbers")
    names = [members(f, ("bytes", "name", "sha256"))["name"] for f in m["files"]]
    need(names == sorted(set(names)) and isinstance(m["files"], list), "files")
    for f in m["files"]:
        need(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}", f["name"]) and
             not f["name"].startswith("manifest.json"), "file name")
        number(f["bytes"]), hexa(f["sha256"])
    versions = {}
    for order, t in m["totals"].items():
        members(t, TOTALS, ("amendments",))
        need(number(t["issued"]) == sum(number(t[n]) for n in TOTALS) - t["issued"], "totals")
        need(t.get("amendments") != [], "amendments")
        for version in [order] + t.get("amendments", []):
            hexa(version)
            need(version not in versions, "a version twice")
            versions[version] = order
    return m, tree, versions


def check_extends(m, old, old_raw):  # section 10, step 3
    need(m["origin"] == old["origin"] and m["environment"] == old["environment"], "another log")
    need(m["seq"] == old["seq"] + 1 and m["prev"] is not None, "not the next one")
    need((m["prev"]["size"], m["prev"]["root"]) == (old["size"], old["root"]) and
         m["prev"]["sha256"] == sha(old_raw).hex(), "another history")
    for order, t in old["totals"].items():
        now, given = m["totals"].get(order), t.get("amendments", [])
        need(now and now["issued"] >= t["issued"], "totals shrank")
        need(now.get("amendments", [])[:len(given)] == given, "amendments")


def check_folder(folder, m, scratch):  # step 4; returns where each listed file lies
    files, where = {f["name"]: f for f in m["files"]}, {}
    shard = re.compile(r"(devices|evidence)-\d{5,}\.jsonl(\.zst)?")
    for name in os.listdir(os.fsencode(folder)):
        name = os.fsdecode(name)
        need(name in files or name == "manifest.json" or
             re.fullmatch(r"manifest\.json\.([a-z0-9-]+\.)?p7s", name) or
             name == "proofs" and stat.S_ISDIR(os.lstat(os.path.join(folder, name)).st_mode),
             f"{name!r} is not listed")
    for name, f in files.items():
        if shard.fullmatch(name) and name.endswith(".zst"):
            need(name[:-4] in files, "the plain form is not listed")
            if os.path.lexists(os.path.join(folder, name)):
                path = os.path.join(scratch, name[:-4])
                with open(path, "wb") as out:
                    unpack(folder, files[name[:-4]], f, out)
                with open(path, "rb") as out:
                    need(hash_of(out, files[name[:-4]]["bytes"]) == files[name[:-4]]["sha256"], name)
                where.setdefault(name[:-4], path)
    for name, f in files.items():
        present = os.path.lexists(os.path.join(folder, name))
        if not present and (name in where or name.endswith(".jsonl.zst")):
            continue
        with open_file(folder, name) as data:
            need(hash_of(data, f["bytes"]) == f["sha256"], f"{name} was changed")
        where[name] = os.path.join(folder, name)
    return where


def shard_lines(kind, m, where):
    names = [n for f in m["files"] if (n := f["name"]).startswith(kind + "-") and
             not n.endswith(".jsonl.zst")]
    need(names == [f"{kind}-{i:05}.jsonl" for i in range(len(names))], "shards")
    for i, name in enumerate(names):
        with open(where[name], "rb") as f:
            count = 0
            while line := f.readline(LINE + 2):
                need(line.endswith(b"\n") and len(line) <= LINE + 1, "line")
                count += 1
                need(count <= SHARD, "lines")
                yield line[:-1]
            need(count == SHARD or i == len(names) - 1, "lines")


def leads_up(cert, *how):  # times apart
    return subprocess.run(["openssl", "verify", "-no_check_time", "-ignore_critical", *how],
                          input=cert.public_bytes(serialization.Encoding.PEM),
                          capture_output=True).returncode == 0


def signed_by(cert, ca):
    with tempfile.NamedTemporaryFile() as f:
        f.write(ca.public_bytes(serialization.Encoding.PEM))
        f.flush()
        return leads_up(cert, "-partial_chain", "-CAfile", f.name)


def values(cert, kind):
    return [e.value for e in cert.extensions if e.oid == kind.oid]


def path_of(cert, roots, certs):  # the CA first, the root last
    path = [cert]
    while path[-1] not in roots:
        above = [c for c in roots + certs if c.subject == path[-1].issuer and signed_by(path[-1], c)]
        need(above and len(path) < 64, "chain.pem")
        path.append(above[0])
    below = 0
    for ca in path:
        basic = values(ca, x509.BasicConstraints)
        need(not basic or basic[0].path_length is None or basic[0].path_length >= below, "path length")
        below += ca.subject != ca.issuer
    return path


def check_chain(where, device_root):  # step 6
    if "chain.pem" not in where:
        return {}
    with open(where["chain.pem"], "rb") as f, open(device_root, "rb") as g:
        certs, roots = ([x509.load_pem_x509_certificate(pem) for pem in re.findall(PEM, h.read(), re.S)]
                        for h in (f, g))
    need(1 <= len(certs) <= 64, "chain.pem")
    up, issuers = ("-CAfile", device_root, "-untrusted", where["chain.pem"]), {}
    for cert in certs:
        need(leads_up(cert, *up), "chain.pem")
        basic = cert.extensions.get_extension_for_class(x509.BasicConstraints).value
        need(basic.ca, "not a CA")
        issuers[sha(cert.public_bytes(serialization.Encoding.DER)).hex()] = path_of(cert, roots, certs), up
    return issuers


def check_path(cert, path, up):  # section 5: what the CAs above a certificate allow
    for ca in path:
        need(ca.not_valid_before <= cert.not_valid_before <= ca.not_valid_after, "issuer was not valid")
        for allowed in map(set, values(ca, x509.ExtendedKeyUsage)):
            need(x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed or
                 allowed.issuperset(*values(cert, x509.ExtendedKeyUsage)), "extended key usage")
    if any(values(ca, x509.NameConstraints) for ca in path):
        need(leads_up(cert, *up), "name constraints")


def check_form(r):  # section 5: which members a record has
    t, derived = r.get("t"), r.get("mode") == "derived"
    need(t in TYPES, "type")
    identity, change = t in ("add", "replace"), t in ("replace", "revoke", "decommission", "recommission")
    burned = t == "void" and r.get("reason") == "burned"
    device = identity or burned or t in ("decommission", "recommission")
    certified = identity and not derived or t == "void" and "cert" in r
    required, optional = {"t", "ts"}, {"ext", "crit"}
    for applies, names in ((t != "rotate", "order prod sn"), (certified, "cert iss spki"),
                           (not certified, "n"), (identity, "auth ev hsm lock mode plain use"),
                           (change, "ref"), (device, "chip tx"),
                           (t in ("revoke", "void", "decommission"), "reason")):
        required |= set(names.split()) if applies else set()
    optional |= ({"udi", "fw"} if t != "rotate" else set()) | ({"chip"} if t == "attr" else set())
    members(r, required, optional)
    extensions(r, ("rotation",) if t == "rotate" else ())
    time(r["ts"])
    for name, size in (("order", 32), ("iss", 32), ("ev", 32), ("tx", 16)):
        if name in r:
            hexa(r[name], size)
    for name, most in (("cert", 8192), ("spki", 2048), ("n", 32)):
        if name in r:
            need(1 <= len(b64(r[name], 32 if name == "n" else None)) <= most, name)
    if "chip" in r:
        need(re.fullmatch("([0-9a-f]{2}){1,32}", r["chip"]), "chip")
    for name in ("prod", "sn"):
        need(name not in r or " " not in text(r[name], 64), name)
    if identity:
        need(r["auth"] in ("attested", "enrolled", "none") and r["mode"] in ("hsm", "device", "derived") and
             r["use"] in ("registration", "operational") and type(r["lock"]) is bool and
             type(r["plain"]) is bool and text(r["hsm"], 32), "values")
    if "reason" in r:
        need(r["reason"] in (("scrapped", "burned") if t == "void" else REASONS), "reason")
    if "ref" in r:
        number(r["ref"])
    if "udi" in r:
        members(r["udi"], ("gtin",), ("lot", "exp", "mfd"))
        need(re.fullmatch(r"\d{14}", r["udi"]["gtin"]), "gtin")
        text(r["udi"].get("lot", "x"), 20)
        for name in ("exp", "mfd"):
            time(r["udi"].get(name, "2000-01-01") + "T00:00:00Z")
    if "fw" in r:
        members(r["fw"], ("version",), ("sha256", "debug"))
        text(r["fw"]["version"], 32), hexa(r["fw"].get("sha256", "0" * 64))
        need(type(r["fw"].get("debug", False)) is bool, "debug")


def name_of(serial):  # section 5: how a certificate's subject carries a serial
    need(re.fullmatch(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,63}", serial), "serial")
    name = serial if re.fullmatch("[0-9A-Za-z]+(-[0-9A-Za-z]+)*", serial) else re.sub(
        "[^0-9A-Ya-y]", lambda c: f"Z{ord(c[0]):02X}", serial) + "--Z"
    need(2 <= len(name) <= 63, "serial")
    return name


def check_certificate(r, issuers):
    need(r["iss"] in issuers, "issuer")
    cert, (path, up) = x509.load_der_x509_certificate(b64(r["cert"])), issuers[r["iss"]]
    need(cert.issuer == path[0].subject, "issuer")
    verify_certificate(path[0].public_key(), cert)
    check_path(cert, path, up)
    basic = [e.value for e in cert.extensions if e.oid == x509.ExtensionOID.BASIC_CONSTRAINTS]
    need(not (basic and basic[0].ca), "a device that is a CA")
    need(spki_of(cert.public_key()) == b64(r["spki"]), "spki")
    names = cert.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    need([n.value for n in names] == [name_of(r["sn"])], "serialNumber")
    return cert


def fields(data):
    out = []
    while data:
        size = int.from_bytes(data[:2], "big")
        need(len(data) >= 2 + size, "transcript")
        out.append(data[2:2 + size])
        data = data[2 + size:]
    return out


def lp(data):
    return len(data).to_bytes(2, "big") + data


def check_evidence(r, line, m):  # section 6
    need(sha(line).hex() == r["ev"], "evidence out of order")
    e = members(canonical(line), "att nonce proof sig tx x".split())
    x, proof, sig, att = b64(e["x"]), b64(e["proof"]), b64(e["sig"]), b64(e["att"])
    nonce = b64(e["nonce"], 32)
    need(len(x) <= 4096 and hexa(e["tx"], 16).hex() == r["tx"], "transaction")
    f = fields(x[2:])
    need(len(f) == 10 and len(f[3]) == len(f[8]) == len(f[9]) == 32, "transcript")
    need(f[0].decode() == m["environment"] and [v.hex() for v in (f[1], f[2], f[5])] ==
         [r["order"], r["tx"], r["chip"]] and f[4].decode() == r["sn"], "another device")
    need(len(sig) == 66 and sig[:2] == b"\2\1", "station")
    need((proof[2] == 2) == r["lock"] and proof[2] in (1, 2), "lock")
    need((att == b"") == (r["auth"] == "none"), "attestation")
    if att:
        parts, made = fields(att[2:]), r["mode"] == "device"
        need(att[:2] == b"\2\1" and [len(p) for p in parts[:2]] == [65, 64], "attestation")
        chain = parts[2] if len(parts) > 2 else b""
        need(len(parts) == (4 if made else 3 if r["auth"] == "attested" else 2) and
             len(chain) <= 8000 and (chain != b"") == (r["auth"] == "attested") and
             (not made or len(parts[3]) == 64), "attestation")
    if r["mode"] == "derived":
        return need(proof[:2] == b"\2\2" and len(proof) == 39, "proof")
    key = serialization.load_der_public_key(b64(r["spki"]))
    need(proof[:2] == kind_of(key)[0], "kind of proof")
    verify_proof(key, proof[7:],
               b"imprint prove v1\0" + proof[:2] + lp(nonce) + lp(sha(x)) + lp(sha(b64(r["cert"]))) +
               proof[2:7])


def check_rotation(r, index, m, signer, log, found):  # section 9.1
    need(r["crit"] == ["rotation"] and set(r["ext"]) == {"rotation"}, "rotation")
    v = members(r["ext"]["rotation"], "by key leaf new old reason sig_new sig_old".split())
    old, new = b64(v["old"], 91), b64(v["new"], 91)
    need(v["key"] in ("log-key", "manifest-key") and v["key"] not in found, "rotation")
    text(v["by"], 64), text(v["reason"], 128)
    need(number(v["leaf"]) == index and old != new, "rotation")
    need(signer == old if v["key"] == "manifest-key" else log in (old, new), "key not in force")
    message = b"imprint rotate v1\0" + b"".join(
        lp(t.encode()) for t in (v["key"], m["origin"], m["environment"], m["station"]))
    message += index.to_bytes(8, "big") + time(r["ts"]).to_bytes(8, "big")
    message += lp(old) + lp(new) + lp(v["by"].encode()) + lp(v["reason"].encode())
    for key, name in ((old, "sig_old"), (new, "sig_new")):
        verify_proof(serialization.load_der_public_key(key), b64(v[name], 64), message)
    found[v["key"]] = new


class Once:
    """Within a manifest: keys, certificate numbers, live devices and chips (section 5)."""
    def __init__(self):
        self.seen, self.live, self.at = set(), {}, {}

    def add(self, key):
        need(key not in self.seen, "stands twice")
        self.seen.add(key)

    def end(self, device):
        for place in self.at.pop(device, []):
            self.live.pop(place, None)

    def take(self, r, cert, index, first, records):
        device = (r["prod"], r["sn"])
        if "spki" in r:
            self.add(("key", r["spki"])), self.add(("number", r["iss"], cert.serial_number))
        if "ref" in r:
            need(r["ref"] < index, "ref")
            of = records.get(r["ref"])
            need(r["ref"] < first or of and of[:2] == device, "ref")
            need(r["ref"] < first or r["t"] != "revoke" or of[2] in ("add", "replace"), "ref")
        if r["t"] == "revoke":
            self.add(("revoked", r["ref"]))
        if r["t"] in ("revoke", "decommission", "replace"):
            self.end(device)
        if r["t"] in ("add", "replace", "recommission", "attr"):
            for place in [device] + [("chip", r["chip"])] * ("chip" in r):
                need(place not in self.live, "live twice")
                self.live[place] = True
                self.at.setdefault(device, []).append(place)
        records[index] = device + (r["t"],)


def check_totals(m, old, counts, versions):
    for order, t in m["totals"].items():
        was = old["totals"].get(order, dict.fromkeys(TOTALS, 0)) if old else dict.fromkeys(TOTALS, 0)
        for sums, kind in ((("good", "replaced", "revoked"), "identity"), (("scrapped",), "scrapped"),
                           (("burned",), "burned"), (("revoked",), "revoke")):
            grown = sum(t[n] - was[n] for n in sums)
            shown = counts.get((order, kind), 0)
            need(grown == shown if old or not m["prev"] else grown >= shown, "totals")


def verify(manifest_root, device_root, vkey, folder, before=None, required={}):
    with open(vkey) as f:
        name, _, blob = f.read().strip().split("+", 2)
    log = serialization.load_der_public_key(b64(blob)[1:])
    with open(manifest_root, "rb") as a, open(device_root, "rb") as b:
        root = spki_of(x509.load_pem_x509_certificate(a.read()).public_key())
        roots = [spki_of(x509.load_pem_x509_certificate(pem).public_key())
                 for pem in re.findall(PEM, b.read(), re.S)]
    need(roots and root not in roots, "one key for both roots")
    raw, old = read(folder, "manifest.json", 16 << 20), None
    signer = spki_of(check_cms(folder, "manifest.json.p7s", manifest_root).public_key())
    check_others(folder, signer, manifest_root, roots, dict(required))
    m, tree, versions = check_statement(raw)
    if before:
        old_raw = read(before, "manifest.json", 16 << 20)
        old = check_statement(old_raw)[0]
        check_extends(m, old, old_raw)
    with tempfile.TemporaryDirectory() as scratch:
        where = check_folder(folder, m, scratch)
        need("checkpoint" in where and name == m["origin"], "checkpoint")
        note = read(folder, "checkpoint", 65536)
        need(check_note(note, name, log) == [m["origin"], str(m["size"]), m["root"]], "checkpoint")
        issuers = check_chain(where, device_root)
        evidence, once, counts, found, records = shard_lines("evidence", m, where), Once(), {}, {}, {}
        index = m["first"]
        for line in shard_lines("devices", m, where):
            r = canonical(line)
            check_form(r)
            need(index < m["size"], "more records than listed")
            if r["t"] == "rotate":
                check_rotation(r, index, m, signer, spki_of(log), found)
            else:
                need(r["order"] in versions, "order")
                cert = check_certificate(r, issuers) if "cert" in r else None
                if "ev" in r:
                    check_evidence(r, next(evidence, b""), m)
                once.take(r, cert, index, m["first"], records)
                kind = "identity" if "ev" in r else r["reason"] if r["t"] == "void" else r["t"]
                key = versions[r["order"]], kind
                counts[key] = counts.get(key, 0) + 1
            push(tree, index, sha(b"\0" + line))
            index += 1
        need(index == m["size"] and next(evidence, None) is None, "records or evidence are missing")
        need(root_of(tree) == b64(m["root"]), "the records do not give the root")
        check_totals(m, old, counts, versions)
        if "log-key" in found:
            check_note(note, name, serialization.load_der_public_key(found["log-key"]))
    return m


if __name__ == "__main__":
    given, wanted = sys.argv[1:], {}
    while len(given) > 4 and given[-2] == "--require-alg":
        wanted.__setitem__(*(given.pop().split("=", 1) + [""])[:2])
        given.pop()
    if len(given) not in (4, 5) or not wanted.keys() <= ALGORITHMS.keys():
        sys.exit(__doc__)
    try:
        done = verify(*given, required=wanted)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, RecursionError,
            InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension) as why:
        sys.exit(f"refused: {why or type(why).__name__}")
    print(f"verified: manifest {done['seq']} of {done['origin']}, {done['count']} records")
