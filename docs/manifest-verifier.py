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


def need(what, text):
    if not what:
        raise ValueError(text)


def sha(data):
    return hashlib.sha256(data).digest()


def lp(*parts):
    return b"".join(len(p).to_bytes(2, "big") + p for p in parts)


def b64(text):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64")
    return raw


# ---- canonical JSON (section 4), and what its values look like

def refuse(number):
    raise ValueError(f"number {number}")


def whole(digits):
    return int(digits) if len(digits) <= 17 and abs(int(digits)) < 2**53 else refuse(digits)


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def canonical(line):
    need(re.fullmatch(rb'([ !#-\[\]-~]|"|\\["\\])*', line), "printable ASCII, and two escapes")
    value = json.loads(line, parse_int=whole, parse_float=refuse, parse_constant=refuse)
    need(json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == line, "canonical")
    need(isinstance(value, dict) and depth(value) <= 7, "object, nesting")
    return value


def fit(value, shape, name="object"):  # shape: pattern, range, type, test, [shape], {name: shape}
    if isinstance(shape, dict):  # a name that ends in ? may be missing
        need(isinstance(value, dict) and value.keys() <= {n.rstrip("?") for n in shape} and
             value.keys() >= {n for n in shape if n[-1] != "?"}, f"members of {name}")
        for n, inner in value.items():
            fit(inner, shape.get(n) or shape[n + "?"], n)
    elif isinstance(shape, list):
        need(isinstance(value, list), name)
        for inner in value:
            fit(inner, shape[0], name)
    else:
        need(shape(value) if callable(shape) and not isinstance(shape, type) else
             type(value) is shape if isinstance(shape, type) else
             type(value) is int and value in shape if isinstance(shape, range) else
             isinstance(value, str) and re.fullmatch(shape, value), name)


def binary(least, most):  # base64 of so many bytes
    return lambda value: least <= len(b64(value)) <= most


def seconds(value):
    need(re.fullmatch(r"(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), "time")
    return int(datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z").timestamp())


def time(value):
    return seconds(value) >= 0


def date(value):
    return time(value + "T00:00:00Z")


INT, HEX, NAME, HASH = range(2**53), "[0-9a-f]{64}", "[!-~]{1,64}", binary(32, 32)
TOTALS = "burned good issued replaced revoked scrapped unresolved unused".split()
STATEMENT = {  # section 8
    "format": "whitelist-manifest/1", "hash": "sha256", "origin": "[!-*,-~]{1,128}", "seq": INT,
    "first": INT, "count": INT, "size": INT, "root": HASH, "station": ".{1,64}", "created": time,
    "environment": ".{1,16}", "customer": ".{1,128}", "totals": dict, "ext?": dict, "crit?": list,
    "prev": lambda prev: prev is None or isinstance(prev, dict),
    "files": [{"bytes": INT, "sha256": HEX,
               "name": r"(?!manifest\.json)[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}"}]}
PREV = {"seq": INT, "size": INT, "root": HASH, "sha256": HEX, "frontier": [HASH]}
REASONS = ("unspecified|keyCompromise|cACompromise|affiliationChanged|superseded|cessationOfOperation|"
           "certificateHold|privilegeWithdrawn|aACompromise")
RECORD = {  # section 5
    "auth": "attested|enrolled|none", "cert": binary(1, 8192), "chip": "([0-9a-f]{2}){1,32}",
    "crit": list, "ev": HEX, "ext": dict, "hsm": ".{1,32}", "iss": HEX, "lock": bool,
    "fw": {"version": ".{1,32}", "sha256?": HEX, "debug?": bool}, "mode": "hsm|device|derived",
    "n": HASH, "order": HEX, "plain": bool, "prod": NAME, "ref": INT, "sn": NAME,
    "reason": REASONS, "spki": binary(1, 2048), "ts": time, "tx": "[0-9a-f]{32}",
    "t": "add|replace|revoke|void|attr|decommission|recommission|rotate",
    "udi": {"gtin": "[0-9]{14}", "lot?": ".{1,20}", "exp?": date, "mfd?": date},
    "use": "registration|operational"}
EVIDENCE = {"att": binary(0, 2**16), "nonce": HASH, "proof": binary(39, 2**10), "sig": binary(66, 66),
            "tx": RECORD["tx"], "x": binary(0, 4096)}
ROTATION = {"key": "log-key|manifest-key", "old": binary(91, 91), "new": binary(91, 91), "leaf": INT,
            "by": ".{1,64}", "reason": ".{1,128}", "sig_old": binary(64, 64), "sig_new": binary(64, 64)}


def extensions(value, known=()):  # section 9
    ext, crit = value.get("ext", {}), value.get("crit", ["rotation"])
    need(all(len(name) <= 79 for name in ext), "ext")
    need("crit" not in value or crit and len(set(crit)) == len(crit) and
         set(crit) <= set(ext) & set(known), "crit")


def check_form(r):  # section 5: which members a record has
    t, identity = r["t"], r["t"] in ("add", "replace")
    cert = identity and r["mode"] != "derived" or t == "void" and "cert" in r
    shape = RECORD | {"reason": "scrapped|burned" if t == "void" else REASONS}
    named, unit = t != "rotate", identity or t in ("decommission", "recommission")
    need_of = {"t ts": True, "order prod sn": named, "cert iss spki": cert, "n": not cert,
               "auth ev hsm lock mode plain use": identity, "ref": unit and t != "add" or t == "revoke",
               "chip tx": unit or t == "void" and r["reason"] == "burned",
               "reason": t in ("revoke", "void", "decommission")}
    musts = {n for names, applies in need_of.items() if applies for n in names.split()}
    mays = {"ext", "crit"} | ({"udi", "fw"} if named else set()) | ({"chip"} if t == "attr" else set())
    fit(r, {n: shape[n] for n in musts} | {n + "?": shape[n] for n in mays - musts}, t)
    extensions(r, () if named else ("rotation",))


# ---- files (section 3)

def open_file(folder, name):
    fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    need(stat.S_ISREG(os.fstat(fd).st_mode), f"{name} is not a regular file")
    return os.fdopen(fd, "rb")


def read(folder, name, most):
    with open_file(folder, name) as f:
        data = f.read(most + 1)
    need(len(data) <= most, f"{name} is too large")
    return data


def check_bytes(f, listed, copy=None):
    left, digest = listed["bytes"], hashlib.sha256()
    while left >= 0 and (block := f.read(1 << 16)):
        left -= len(block)
        digest.update(block)
        if copy:
            copy.write(block)
    need(left == 0 and digest.hexdigest() == listed["sha256"], f"{listed['name']} was changed")


def unpack(folder, packed, plain, path):  # no more is taken out than what is listed
    need(plain["bytes"] <= 65536 or plain["bytes"] // 100 <= packed["bytes"], "expands")
    with open_file(folder, packed["name"]) as f, open(path, "wb") as out, subprocess.Popen(
            ["zstd", "-dcq", "--memory=8MB"], stdin=f, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL) as zstd:
        check_bytes(zstd.stdout, plain, out)
        need(zstd.wait() == 0, "zstd")
    return path


def check_folder(folder, m, scratch):  # where each listed file lies
    files, where = {f["name"]: f for f in m["files"]}, {}
    for name in map(os.fsdecode, os.listdir(os.fsencode(folder))):
        need(name in files or re.fullmatch(r"manifest\.json(\.([a-z0-9-]+\.)?p7s)?", name) or
             name == "proofs" and stat.S_ISDIR(os.lstat(os.path.join(folder, name)).st_mode),
             f"{name!r} is not listed")
    for name, f in sorted(files.items()):  # a plain one before its packed one
        packed = re.fullmatch(r"((devices|evidence)-\d{5,}\.jsonl)\.zst", name)
        need(not packed or packed[1] in files, "the plain form is not listed")
        if os.path.lexists(os.path.join(folder, name)):
            with open_file(folder, name) as data:
                check_bytes(data, f)
            where[name] = os.path.join(folder, name)
            if packed:
                path = unpack(folder, f, files[packed[1]], os.path.join(scratch, packed[1]))
                where.setdefault(packed[1], path)
    need(all(n in where or n.endswith(".jsonl.zst") for n in files), "a file is missing")
    return where


def lines(kind, m, where):
    names = [f["name"] for f in m["files"] if re.match(rf"{kind}-(?!.*\.jsonl\.zst$)", f["name"])]
    need(names == [f"{kind}-{i:05}.jsonl" for i in range(len(names))], "numbers of files")
    for name in names:
        count = 0
        with open(where[name], "rb") as f:
            while line := f.readline(65537):
                need(line.endswith(b"\n") and count < 1000000, "line")
                count += 1
                yield line[:-1]
        need(count == 1000000 or name == names[-1], "lines")


# ---- keys and signatures (sections 5, 6 and 8)

PSS = (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
PKCS1 = (padding.PKCS1v15(), hashes.SHA256())
ES256, ES384 = ((ec.ECDSA(h),) for h in (hashes.SHA256(), hashes.SHA384()))
O, E = x509.SignatureAlgorithmOID, x509.ExtendedKeyUsageOID
SHA256, SHA384 = (bytes.fromhex(f"60864801650304020{n}") for n in (1, 2))
ALGORITHMS = {  # of further signatures: hash, signatureAlgorithm, key
    "ecdsa-p256": (SHA256, "300a06082a8648ce3d040302", "secp256r1"),
    "ecdsa-p384": (SHA384, "300a06082a8648ce3d040303", "secp384r1"),
    "rsa-pss-3072": (SHA256, "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a0609"
                     "2a864886f70d010108300d06096086480165030402010500a203020120", 3072)}


def kind_of(key):  # number and length of proofs, how they verify, and how certificates do
    if isinstance(key, ed25519.Ed25519PublicKey):
        return b"\2\4", 64, (), {O.ED25519: ()}
    if isinstance(key, rsa.RSAPublicKey):
        need(key.key_size in (2048, 3072) and key.public_numbers().e == 65537, "RSA key")
        return b"\2\5", key.key_size // 8, PSS, {O.RSASSA_PSS: PSS, O.RSA_WITH_SHA256: PKCS1}
    need(key.curve.name in ("secp256r1", "secp384r1"), "curve")
    if key.curve.name == "secp256r1":
        return b"\2\1", 64, ES256, {O.ECDSA_WITH_SHA256: ES256}
    return b"\2\3", 96, ES384, {O.ECDSA_WITH_SHA384: ES384}


def verify_proof(key, raw, message):
    _, length, how, _ = kind_of(key)
    need(len(raw) == length, "proof")
    if isinstance(key, ec.EllipticCurvePublicKey):
        raw = utils.encode_dss_signature(int.from_bytes(raw[:length // 2], "big"),
                                         int.from_bytes(raw[length // 2:], "big"))
    key.verify(raw, message, *how)


def key_of(spki):
    return serialization.load_der_public_key(spki)


def spki_of(of):  # of a certificate, or of a key
    key = of.public_key() if isinstance(of, x509.Certificate) else of
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificates(path):
    with open(path, "rb") as f:
        found = re.findall(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", f.read(), re.S)
    return [x509.load_pem_x509_certificate(pem) for pem in found]


def values(cert, kind):  # of the extension of this kind, if there is one
    return [e.value for e in cert.extensions if e.oid == kind.oid]


def is_ca(cert):
    return any(basic.ca for basic in values(cert, x509.BasicConstraints))


def der(data):  # the elements of DER: (tag, contents)
    out = []
    while data:
        size, at = data[1], 2
        if size & 0x80:
            at += size & 0x7f
            size = int.from_bytes(data[2:at], "big")
        need(at + size <= len(data), "DER")
        out.append((data[0], data[at:at + size]))
        data = data[at + size:]
    return out


def check_cms(folder, name, root, algorithm=None):  # section 8; returns the signer's key
    pem = re.fullmatch(rb"-----BEGIN CMS-----\n(.*)-----END CMS-----\n", read(folder, name, 1 << 20), re.S)
    need(pem, "PEM")
    signed = der(der(der(der(base64.b64decode(pem[1]))[0][1])[1][1])[0][1])
    need(len(der(signed[2][1])) == 1 and len(der(signed[-1][1])) == 1, "detached, one signer")
    parts = der(der(signed[-1][1])[0][1])
    digest, identifier, kind = ALGORITHMS[algorithm] if algorithm else (SHA256, None, None)
    need(der(parts[2][1])[0][1] == digest, "hash")
    need(not identifier or bytes((parts[4][0], len(parts[4][1]))).hex() + parts[4][1].hex() == identifier,
         "signature algorithm")
    attributes = [der(a)[0][1] for _, a in der(parts[3][1])] if parts[3][0] == 0xa0 else []
    need(bytes.fromhex("2a864886f70d010910022f") in attributes, "signingCertificateV2")
    with tempfile.NamedTemporaryFile() as out:
        need(subprocess.run(
            ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
             os.path.join(folder, name), "-content", os.path.join(folder, "manifest.json"), "-CAfile",
             root, "-signer", out.name, "-out", "/dev/null"], capture_output=True).returncode == 0,
             "the signature does not verify")
        cert, key = (found := certificates(out.name)[0]), found.public_key()
    need(values(cert, x509.KeyUsage)[0].digital_signature and not is_ca(cert) and
         E.EMAIL_PROTECTION in values(cert, x509.ExtendedKeyUsage)[0], "not a manifest signer")
    need(not kind or kind == getattr(getattr(key, "curve", None), "name", key.key_size), "kind of key")
    return spki_of(key)


def check_others(folder, first, manifest_root, device_roots, required):  # section 8.1
    for name in sorted(map(os.fsdecode, os.listdir(os.fsencode(folder)))):
        found = re.fullmatch(r"manifest\.json\.([a-z0-9-]+)\.p7s", name)
        if found and found[1] not in ALGORITHMS:
            print(f"note: {name} was not verified", file=sys.stderr)
        elif found:
            root = required.pop(found[1], None) or manifest_root
            need(spki_of(certificates(root)[0]) not in device_roots, "root")
            need(check_cms(folder, name, root, found[1]) != first, "two signatures of one key")
    need(not required, f"no signature of {', '.join(required)}")


# ---- the log (section 7)

def check_note(note, name, key):
    head, _, tail = note.decode("utf-8").partition("\n\n")
    need(tail.endswith("\n"), "note")
    good = 0
    for line in tail[:-1].split("\n"):
        found = re.fullmatch("\u2014 ([^ +]+) (\\S+)", line)
        need(found and len(b64(found[2])) > 4, "signature line")
        blob = b64(found[2])
        if found[1] == name and blob[:4] == sha(spki_of(key))[:4]:
            key.verify(blob[4:], head.encode() + b"\n", *ES256)
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


# ---- manifest.json (section 8, and step 3 of section 10)

def check_statement(raw):  # returns it, the tree before it, and the order of each version
    need(raw.endswith(b"\n"), "line end")
    m = canonical(raw[:-1])
    fit(m, STATEMENT), extensions(m)
    before = m["prev"] or {"seq": 0, "size": 0, "frontier": []}
    if m["prev"] is not None:
        fit(m["prev"], PREV)
    tree = [b64(h) for h in before["frontier"]]
    need(len(tree) == bin(before["size"]).count("1"), "frontier")
    need(m["prev"] is None or root_of(tree) == b64(before["root"]), "frontier")
    need((m["seq"], m["first"], m["size"]) ==
         (before["seq"] + 1, before["size"], before["size"] + m["count"]), "numbers")
    names = [f["name"] for f in m["files"]]
    need(names == sorted(set(names)), "files")
    for t in m["totals"].values():
        fit(t, dict.fromkeys(TOTALS, INT) | {"amendments?": [HEX]})
        need(2 * t["issued"] == sum(t[n] for n in TOTALS) and t.get("amendments") != [], "totals")
    versions = [(v, order) for order, t in m["totals"].items() for v in [order] + t.get("amendments", [])]
    fit([v for v, _ in versions], [HEX])
    need(len(dict(versions)) == len(versions), "a version twice")
    return m, tree, dict(versions)


def check_extends(m, old, old_raw):
    need(m["origin"] == old["origin"] and m["environment"] == old["environment"], "another log")
    need(m["prev"] is not None and m["seq"] == old["seq"] + 1, "not the next one")
    need([m["prev"][n] for n in ("size", "root", "sha256")] ==
         [old["size"], old["root"], sha(old_raw).hex()], "another history")
    for order, t in old["totals"].items():
        now, given = m["totals"].get(order), t.get("amendments", [])
        need(now and now["issued"] >= t["issued"], "totals shrank")
        need(now.get("amendments", [])[:len(given)] == given, "amendments")


def check_totals(m, old, counts):
    for order, t in m["totals"].items():
        was = old["totals"].get(order, dict.fromkeys(TOTALS, 0)) if old else dict.fromkeys(TOTALS, 0)
        for sums, kind in ((("good", "replaced", "revoked"), "identity"), (("scrapped",), "scrapped"),
                           (("burned",), "burned"), (("revoked",), "revoke")):
            grown, shown = sum(t[n] - was[n] for n in sums), counts.get((order, kind), 0)
            need(grown == shown if old or not m["prev"] else grown >= shown, "totals")


# ---- certificates (section 5)

def leads_up(cert, *how):  # times apart
    return subprocess.run(["openssl", "verify", "-no_check_time", "-ignore_critical", *how],
                          input=cert.public_bytes(serialization.Encoding.PEM),
                          capture_output=True).returncode == 0


def signed_by(cert, ca):
    with tempfile.NamedTemporaryFile() as f:
        f.write(ca.public_bytes(serialization.Encoding.PEM))
        f.flush()
        return leads_up(cert, "-partial_chain", "-CAfile", f.name)


def path_of(cert, roots, certs):  # the CA first, the root last
    path, below = [cert], 0
    while path[-1] not in roots:
        above = [c for c in roots + certs if c.subject == path[-1].issuer and signed_by(path[-1], c)]
        need(above and len(path) < 64, "chain.pem")
        path.append(above[0])
    for ca in path:
        need(all(basic.path_length is None or basic.path_length >= below
                 for basic in values(ca, x509.BasicConstraints)), "path length")
        below += ca.subject != ca.issuer
    return path


def check_chain(where, device_root):  # of each issuer, by its hash, the path to the root
    if "chain.pem" not in where:
        return {}
    up = ("-CAfile", device_root, "-untrusted", where["chain.pem"])
    certs, roots, issuers = certificates(where["chain.pem"]), certificates(device_root), {}
    need(1 <= len(certs) <= 64, "chain.pem")
    for cert in certs:
        need(leads_up(cert, *up) and is_ca(cert), "chain.pem")
        issuers[cert.fingerprint(hashes.SHA256()).hex()] = path_of(cert, roots, certs), up
    return issuers


def name_of(serial):  # how a certificate's subject carries a serial
    need(re.fullmatch(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,63}", serial), "serial")
    name = serial if re.fullmatch("[0-9A-Za-z]+(-[0-9A-Za-z]+)*", serial) else re.sub(
        "[^0-9A-Ya-y]", lambda c: f"Z{ord(c[0]):02X}", serial) + "--Z"
    need(2 <= len(name) <= 63, "serial")
    return name


def check_certificate(r, issuers):
    need(r["iss"] in issuers, "issuer")
    cert, (path, up) = x509.load_der_x509_certificate(b64(r["cert"])), issuers[r["iss"]]
    ca, how = path[0].public_key(), kind_of(path[0].public_key())[3].get(cert.signature_algorithm_oid)
    need(cert.issuer == path[0].subject and how is not None, "issuer")
    ca.verify(cert.signature, cert.tbs_certificate_bytes, *how)
    for above in path:  # what the CAs above it allow
        need(above.not_valid_before <= cert.not_valid_before <= above.not_valid_after,
             "issuer was not valid")
        for allowed in map(set, values(above, x509.ExtendedKeyUsage)):
            need(E.ANY_EXTENDED_KEY_USAGE in allowed or
                 allowed.issuperset(*values(cert, x509.ExtendedKeyUsage)), "extended key usage")
    if any(values(above, x509.NameConstraints) for above in path):
        need(leads_up(cert, *up), "name constraints")
    need(not is_ca(cert) and spki_of(cert) == b64(r["spki"]), "a CA, or another key")
    names = cert.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    need([n.value for n in names] == [name_of(r["sn"])], "serialNumber")
    return cert


# ---- evidence (section 6) and rotations (section 9.1)

def fields(data):
    out = []
    while data:
        size = int.from_bytes(data[:2], "big")
        need(len(data) >= 2 + size, "transcript")
        out.append(data[2:2 + size])
        data = data[2 + size:]
    return out


def check_evidence(r, line, m):
    need(sha(line).hex() == r["ev"], "evidence out of order")
    e = canonical(line)
    fit(e, EVIDENCE)
    x, proof, sig, att, nonce = (b64(e[n]) for n in ("x", "proof", "sig", "att", "nonce"))
    f = fields(x[2:])
    need(len(f) == 10 and len(f[3]) == len(f[8]) == len(f[9]) == 32, "transcript")
    need([f[0].decode(), f[4].decode(), *(v.hex() for v in (f[1], f[2], f[5])), e["tx"]] ==
         [m["environment"], *(r[n] for n in ("sn", "order", "tx", "chip", "tx"))], "another device")
    need(sig[:2] == b"\2\1" and proof[2] == (2 if r["lock"] else 1), "station, lock")
    need((att == b"") == (r["auth"] == "none"), "attestation")
    if att:
        parts, attested, made = fields(att[2:]), r["auth"] == "attested", r["mode"] == "device"
        chain = len(parts[2]) if attested or made else 0
        need(att[:2] == b"\2\1" and [len(p) for p in parts] ==
             [65, 64] + [chain] * (attested or made) + [64] * made and
             chain <= 8000 and (chain > 0) == attested, "attestation")
    if r["mode"] == "derived":
        return need(proof[:2] == b"\2\2" and len(proof) == 39, "proof")
    key = key_of(b64(r["spki"]))
    need(proof[:2] == kind_of(key)[0], "kind of proof")
    return verify_proof(key, proof[7:], b"imprint prove v1\0" + proof[:2] +
                        lp(nonce, sha(x), sha(b64(r["cert"]))) + proof[2:7])


def check_rotation(r, index, m, signer, log, found):
    need(r["crit"] == ["rotation"] and set(r["ext"]) == {"rotation"}, "rotation")
    v = r["ext"]["rotation"]
    fit(v, ROTATION)
    old, new = b64(v["old"]), b64(v["new"])
    need(v["leaf"] == index and old != new and v["key"] not in found, "rotation")
    need(signer == old if v["key"] == "manifest-key" else log in (old, new), "key not in force")
    scope = (t.encode() for t in (v["key"], m["origin"], m["environment"], m["station"]))
    message = (b"imprint rotate v1\0" + lp(*scope) + index.to_bytes(8, "big") +
               seconds(r["ts"]).to_bytes(8, "big") + lp(old, new, v["by"].encode(), v["reason"].encode()))
    for key, name in ((old, "sig_old"), (new, "sig_new")):
        verify_proof(key_of(key), b64(v[name]), message)
    found[v["key"]] = new


# ---- all of it, in the order of section 10

class Once:
    """Within a manifest: keys, certificate numbers, live devices and chips (section 5)."""
    def __init__(self, first):
        self.first, self.seen, self.live, self.places, self.records = first, set(), set(), {}, {}

    def add(self, *keys):
        for key in keys:
            need(key not in self.seen, "stands twice")
            self.seen.add(key)

    def take(self, r, cert, index):
        device = (r["prod"], r["sn"])
        if cert:
            self.add(("key", r["spki"]), ("number", r["iss"], cert.serial_number))
        if "ref" in r:
            of = self.records.get(r["ref"])
            need(r["ref"] < index and (r["ref"] < self.first or of[0] == device and (
                r["t"] != "revoke" or of[1] in ("add", "replace"))), "ref")
        if r["t"] == "revoke":
            self.add(("revoked", r["ref"]))
        if r["t"] in ("revoke", "decommission", "replace"):
            self.live -= self.places.pop(device, set())
        if r["t"] in ("add", "replace", "recommission", "attr"):
            self.places[device] = {device, r.get("chip", device)}
            need(self.live.isdisjoint(self.places[device]), "live twice")
            self.live |= self.places[device]
        self.records[index] = device, r["t"]


def check_records(m, versions, tree, where, issuers, signer, log):  # returns new keys and counts
    evidence, once, counts, found = lines("evidence", m, where), Once(m["first"]), {}, {}
    index = m["first"]
    for line in lines("devices", m, where):
        r = canonical(line)
        check_form(r)
        need(index < m["size"], "more records than listed")
        if r["t"] == "rotate":
            check_rotation(r, index, m, signer, log, found)
        else:
            cert = check_certificate(r, issuers) if "cert" in r else None
            if "ev" in r:
                check_evidence(r, next(evidence, b""), m)
            once.take(r, cert, index)
            kind = "identity" if "ev" in r else r["reason"] if r["t"] == "void" else r["t"]
            key = versions[r["order"]], kind
            counts[key] = counts.get(key, 0) + 1
        push(tree, index, sha(b"\0" + line))
        index += 1
    need(index == m["size"] and next(evidence, None) is None, "records or evidence are missing")
    need(root_of(tree) == b64(m["root"]), "the records do not give the root")
    return found, counts


def verify(manifest_root, device_root, vkey, folder, before=None, required={}):
    with open(vkey) as f:
        name, _, blob = f.read().strip().split("+", 2)
    log, old = key_of(b64(blob)[1:]), None
    roots = [spki_of(cert) for cert in certificates(device_root)]
    need(roots and spki_of(certificates(manifest_root)[0]) not in roots, "one key for both roots")
    raw = read(folder, "manifest.json", 16 << 20)
    signer = check_cms(folder, "manifest.json.p7s", manifest_root)
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
        found, counts = check_records(m, versions, tree, where, issuers, signer, spki_of(log))
    check_totals(m, old, counts)
    if "log-key" in found:
        check_note(note, name, key_of(found["log-key"]))
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
            InvalidSignature, x509.DuplicateExtension) as why:
        sys.exit(f"refused: {why or type(why).__name__}")
    print(f"verified: manifest {done['seq']} of {done['origin']}, {done['count']} records")
