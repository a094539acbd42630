#!/usr/bin/python3
"""Writes the first inputs of every fuzz target: tools/fuzz finds the others from them.

usage: seeds.py MANIFEST_SAMPLE PROOF_PROGRAM CORPUS_DIR

MANIFEST_SAMPLE makes manifests (tests/unit/manifest_sample.c), PROOF_PROGRAM is imprint-manifest.
"""
import base64
import functools
import hashlib
import hmac
import json
import operator
import pathlib
import subprocess
import sys
import tempfile

import cbor2

HELLO, KEYGEN, BEGIN, PUT, COMMIT, PROVE, READ, LOCK, ABORT, DECOMMISSION = range(1, 11)
RAW, RESTART, CUT, WORN = 0x40, 0x41, 0x42, 0x43
NONCE, TX, SCALAR = b"n" * 32, b"t" * 16, b"\x11" * 32
POINT = b"\x04" + SCALAR * 2
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + POINT


def lp(x):
    return len(x).to_bytes(2, "big") + x


def der(tag, *parts):
    body = b"".join(parts)
    head = (bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)]) if len(body) < 256
            else b"\x82" + len(body).to_bytes(2, "big"))
    return bytes([tag]) + head + body


def private_key():
    algorithm = der(0x30, bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"))
    return der(0x30, b"\2\1\0", algorithm, der(4, der(0x30, b"\2\1\1", der(4, SCALAR))))


def wrapped(plain):
    """RFC 5649 under a cipher that changes nothing: only the counters of its steps remain."""
    padded = plain + bytes(-len(plain) % 8)
    steps = functools.reduce(operator.xor, range(1, 6 * len(padded) // 8 + 1))
    head = bytes.fromhex("a65959a6") + len(plain).to_bytes(4, "big")
    return head[:6] + bytes([head[6] ^ steps >> 8, head[7] ^ steps & 0xff]) + padded


KEY = wrapped(private_key())
SYMMETRIC = b"s" * 32


def leaf_of(spki):
    return der(0x30, der(0x30, b"\2\1\5", der(0x30), der(0x30), der(0x30), der(0x30), spki), der(0x30))


LEAF = leaf_of(SPKI)
ANCHOR = der(0x30, b"\5\0" * 20)
OBJECTS = [(1, 1, KEY, hashlib.sha256(SPKI).digest()), (2, 2, LEAF, hashlib.sha256(LEAF).digest()),
           (3, 2, ANCHOR, hashlib.sha256(ANCHOR).digest())]
MADE_SPKI = SPKI[:-64] + b"\2" * 64  # the toys draw: HELLO's key of 1s, KEYGEN's of 2s
MADE = [(1, 0, b"", hashlib.sha256(MADE_SPKI).digest()),
        (2, 2, leaf_of(MADE_SPKI), hashlib.sha256(leaf_of(MADE_SPKI)).digest()), OBJECTS[2]]
KCV = hmac.new(SYMMETRIC, b"imprint kcv v1\0", hashlib.sha256).digest()
CONFIGURATION = (66).to_bytes(2, "big") + b"\2\1" + bytes(64) + b"contents"
MORE = [(4, 3, b"any key"), (6, 5, CONFIGURATION), (7, 3, SPKI), (8, 3, SPKI)]
MORE = sorted([(t, f, b, hashlib.sha256(b).digest()) for t, f, b in MORE] +
              [(5, 4, wrapped(SYMMETRIC), KCV)])


def other_key(algorithm, scalar=b"\1"):
    """A private key that is not P-256, as fuzz_agent.c has them; its SubjectPublicKeyInfo is the same."""
    size = 396 if algorithm >= 0x0104 else 118
    body = algorithm.to_bytes(2, "big") + scalar * (size - 2)
    return b"\x30" + (b"\x82" + size.to_bytes(2, "big") if size > 255 else bytes([size])) + body


def other_objects(algorithm, made):
    key = other_key(algorithm, b"\2" if made else b"\1")
    leaf = leaf_of(key)
    return [(1, 0 if made else 6, b"" if made else wrapped(key), hashlib.sha256(key).digest()),
            (2, 2, leaf, hashlib.sha256(leaf).digest())]


def station_cert():
    return (lp(b"\1\1" + POINT) + lp(b"line-1") + lp(b"test") + (7).to_bytes(4, "big") +
            lp(b"\2\1" + bytes(64)))


def step(kind, payload=b""):
    return bytes([kind]) + lp(payload)


def message(number, members):
    return step(number, cbor2.dumps(members, canonical=True))


def begin(suite=1, tx=TX, objects=OBJECTS):
    objects = [[t, f, len(b), h] for t, f, b, h in objects]
    return message(BEGIN, {1: suite, 2: "test", 3: b"o" * 32, 4: tx, 5: NONCE, 6: "SN-1",
                           7: 0x0101 if suite else 0, 8: POINT if suite else b"", 9: objects,
                           10: 0x0201, 11: bytes(64), 12: station_cert()})


def keygen(tx=TX, algorithm=0x0101):
    return message(KEYGEN, {1: 0, 2: "test", 3: b"o" * 32, 4: tx, 5: NONCE, 6: "SN-1", 7: algorithm,
                            8: der(0x30), 10: 0x0201, 11: bytes(64), 12: station_cert()})


def puts(tx=TX, objects=OBJECTS, piece=64):
    return b"".join(message(PUT, {1: tx, 2: t, 3: at, 4: b[at:at + piece]})
                    for t, _, b, _ in objects for at in range(0, len(b), piece))


def agent_seeds():
    hello, commit = message(HELLO, {1: NONCE}), message(COMMIT, {1: TX})
    prove = message(PROVE, {1: TX, 2: NONCE})
    whole = hello + begin() + puts() + commit + prove + message(READ, {1: 0})
    lock = message(LOCK, {1: TX})
    other = b"u" * 16
    again = hello + begin(2, other) + puts(other) + message(COMMIT, {1: other})
    yield whole + lock + prove
    yield whole + again + message(ABORT, {})
    yield hello + begin() + step(RESTART) + begin() + puts() + commit
    yield hello + step(WORN) + begin() + step(RESTART) + step(RAW, bytes.fromhex("0003010907"))
    made = hello + keygen() + begin(0, TX, MADE) + puts(TX, MADE) + commit + prove
    yield made + lock
    yield hello + keygen() + step(RESTART) + hello + keygen() + message(ABORT, {}) + hello
    def farewell(identity):
        return message(DECOMMISSION, {1: b"chip0001", 2: identity, 3: 0x0201, 4: bytes(64)})

    every = hello + begin(2, TX, OBJECTS + MORE) + puts(TX, OBJECTS + MORE) + commit + prove
    derived = hello + begin(1, TX, MORE) + puts(TX, MORE) + commit + prove
    bye = farewell(hashlib.sha256(LEAF).digest())
    yield every + lock + bye + bye + whole
    yield derived + lock + prove + farewell(KCV) + hello + derived
    yield derived + again + farewell(KCV) + message(ABORT, {}) + bye
    yield from other_seeds(hello, commit + prove, lock, farewell)
    for operation in range(1, 7):
        cut = step(CUT, bytes([operation, operation % 5]))
        yield every + lock + cut + bye + prove + bye + whole
        yield cut + derived + hello + derived
    for operation in range(1, 11):
        cut = step(CUT, bytes([operation, operation % 5]))
        yield cut + made + hello + made
        yield cut + whole + lock + whole
        yield whole + cut + again + hello


def other_seeds(hello, commit, lock, farewell):
    """Keys that are not P-256, given and made, with power cuts in each operation of flash."""
    for algorithm in 0x0102, 0x0103, 0x0104:
        given, made = other_objects(algorithm, False), other_objects(algorithm, True)
        deliver = hello + begin(2, TX, given) + puts(TX, given, 512) + commit
        make = hello + keygen(TX, algorithm) + begin(0, TX, made) + puts(TX, made, 512) + commit
        bye = farewell(hashlib.sha256(given[1][2]).digest())
        yield deliver + lock + bye + make
        yield make + lock + keygen(TX, algorithm)
        yield hello + keygen(TX, algorithm) + step(RESTART) + hello + keygen(TX, algorithm) + begin(0, TX, made)
        for operation in range(1, 11) if algorithm == 0x0102 else ():
            cut = step(CUT, bytes([operation, operation % 5]))
            yield cut + deliver + deliver
            yield cut + make + make


def link_seeds():
    facts = {1: [1, 2], 2: 1, 3: b"chip0001", 4: "1.2.3", 5: b"h" * 32, 6: False, 7: 1, 8: True,
             9: 1024, 10: 0x0101, 11: POINT}
    attestation = {1: 0x0101, 2: POINT, 3: 0x0201, 4: bytes(64)}
    hello = {0: 0, 1: facts, 2: {1: 2, 2: TX, 3: "SN-1", 4: 1}, 3: attestation}
    replies = [hello, {0: 0, 1: [0, 0]}, {0: 0, 1: 80}, {0: 0, 1: 1},
               {0: 0, 1: 0x0201, 2: bytes(64), 3: 2, 4: 1}, {0: 0, 1: 10, 2: b"0123456789"}, {0: 0}]
    coded = [cbor2.dumps(r, canonical=True) for r in replies]
    for number, reply in enumerate(coded):
        yield bytes([3 + number]) + reply
    held = [cbor2.dumps({0: 0, 1: n}) for n in (80, 976, 1952, 2000)]
    order = coded[:2] + held + coded[3:6] + [coded[6], coded[6]]
    yield b"\0" + b"".join(map(lp, order))
    csr = cbor2.dumps({0: 0, 1: der(0x30), 2: 0x0201, 3: bytes(64)}, canonical=True)
    yield bytes([3 + 7]) + csr
    chain = [cbor2.dumps({0: 0, 1: 300, 2: part}, canonical=True) for part in (bytes(200), bytes(100))]
    tail = cbor2.dumps({0: 0, 1: 500, 2: bytes(64)}, canonical=True)
    yield b"\xff" + b"".join(map(lp, [coded[0], csr, *chain, tail, coded[6], coded[6]]))
    yield b"\3" + cbor2.dumps({0: 7})
    yield b"\1" + bytes.fromhex("000301090707a01fdda40800")
    yield b"\2" + station_cert()


def order_seeds():
    counts = {"good": 10, "max_issued": 12, "spoilage": 1, "rework": 1}
    share = {"key": "0a" * 32, "issuer": "0b" * 32, **counts,
             "serials": {"prefix": "P-", "digits": 4, "first": 1, "last": 100}}
    order = {"type": "order", "id": "A-1", "environment": "test", "product": "pump",
             "gtin": "09506000134352", "use": "registration",
             "profile": {"name": "idevid", "sha256": 64 * "0"},
             "valid": {"from": "2026-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z"},
             "software_hsm": True, "lock": True, "device_auth": "none", "key_modes": ["hsm"],
             "suites": [1, 2], "drivers": ["native"], "objects": {"trust_anchors": "cd" * 32},
             "counts": counts, "stations": [share]}
    yield b"o" + json.dumps(order).encode()
    after = {"origin": "a/b", "size": 7, "root": base64.b64encode(bytes(32)).decode()}
    for change in ({"type": "amendment", "amends": "0c" * 32},
                   {"device_auth": "enrolled", "enrolled": "ab" * 32},
                   {"device_auth": "attested", "vendor_roots": ["ef" * 32]},
                   {"stations": [{**share, "after": after}]}, {"lock": 1.5},
                   {"stations": [{**share, "serials": {"prefix": ""}}]},
                   {"stations": [{**share, "serials": {"list": "ab" * 32}}]},
                   {"symmetric_key": True, "key_recipients": ["ab" * 32, "cd" * 32]},
                   {"key_modes": ["derived"], "profile": None, "key_recipients": ["ab" * 32],
                    "exports": ["azure-dps-keys", "symmetric-keys"]}):
        changed = {name: value for name, value in {**order, **change}.items() if value is not None}
        yield b"o" + json.dumps(changed).encode()
    yield b"lPUMP-1\nAB/12\nz_1\n!\"%&'()*+,-./:;<=>\n"
    yield b"l\xef\xbb\xbfA-1\r\nA-2 \n\nA-1\na-1"
    yield b"lABZ2F12--Z"
    yield b"ytext: hello\nnumber: 5\none:\n  name: a\nmany:\n  - name: b\n    number: -3\n  - name: c\n"
    yield b"ytext: \"a\\\"b\"\nnumber: 0x10\n# comment\nmany: [{name: b}, {name: c, number: 9}]\n"
    yield b"y--- &a\ntext: *a\none: {name: 'x', number: 101}\n...\n"


def manifest_seeds(sample, program):
    with tempfile.TemporaryDirectory() as temp:
        subprocess.run([sample, temp], check=True)
        folder = pathlib.Path(temp)
        vkey = (folder / "log.vkey").read_bytes().strip() + b"\n"
        for batch in sorted(p for p in folder.iterdir() if p.is_dir()):
            yield b"s" + (batch / "manifest.json").read_bytes()
            note = (batch / "checkpoint").read_bytes()
            yield b"n" + vkey + note
            yield b"k" + note.split(b"\n\n")[0] + b"\n"
            for line in (batch / "devices-00000.jsonl").read_bytes().splitlines():
                yield b"r" + line
                record = json.loads(line)
                if "cert" in record:
                    yield b"c" + base64.b64decode(record["cert"])
            for line in (batch / "evidence-00000.jsonl").read_bytes().splitlines():
                yield b"e" + line
                yield b"x" + base64.b64decode(json.loads(line)["x"])
        proof = folder / "proof"
        subprocess.run([program, "prove", "--output", proof, folder / "1", "A1-0001"],
                       check=True, stdout=subprocess.DEVNULL)
        yield b"p" + vkey + proof.read_bytes()


def vendor_seeds(sample, program):
    """What the program exports, as a maker would send it, and a receipt."""
    sample, program = (pathlib.Path(p).resolve() for p in (sample, program))
    with tempfile.TemporaryDirectory() as temp:
        def run(*command):
            subprocess.run([str(c) for c in command], check=True, cwd=temp,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        folder = pathlib.Path(temp)
        run(sample, temp, 2)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "36500", "-subj", "/CN=maker", "-keyout", "k", "-out", "c")
        run(program, "accept", "--state", "s", "--root", "manifest-root.pem", "--device-root",
            "device-root.pem", "--log-key", "log.vkey", "--receipt", "r", "--key", "k", "--cert",
            "c", "1")
        run("openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-in", "r", "-out", "said")
        yield b"r" + (folder / "said").read_bytes()
        run(program, "export", "--state", "s", "--format", "nrf-cloud", "-o", "nrf", "1")
        csv = (folder / "nrf/nrf-cloud-00000.csv").read_bytes()
        yield b"n" + csv
        pem = csv.split(b'"')[1]
        yield b'eMAC,cn,cert\r\n0123456789aB,"a""b","' + pem + b'"\r\n'
        yield b"eMAC,cn,cert\n0123456789AB,a," + pem.replace(b"\n", b"") + b"\n"
        run(program, "export", "--state", "s", "--format", "microchip", "-o", "mc", "--key", "k",
            "--cert", "c", "--set", "organization=A", "--set", "model=M", "--set", "part=P", "1")
        pins = (folder / "c").read_bytes() + b"\0"
        entries = json.loads((folder / "mc/microchip-00000.json").read_bytes())
        yield b"m" + pins + json.dumps(entries).encode()
        yield b"m" + pins + b"[]"
        for member in ("payload", "protected", "header", "signature"):
            yield b"m" + pins + json.dumps([{**entries[0], member: ""}]).encode()


def import_seeds(sample):
    totals = dict(burned=0, good=1, issued=1, replaced=0, revoked=0, scrapped=0, unresolved=0, unused=0)
    root = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    closing = {"format": "order-closing/1", "station": "line1", "environment": "development",
               "customer": "Example", "order": 64 * "a", "amendments": [], "id": "A-1",
               "product": "pump", "totals": totals,
               "log": {"origin": "a/b", "manifest": 0, "size": 0, "root": root},
               "destroyed": {"keys": 0, "storage": ""}, "closed": "2026-11-21T10:00:00Z",
               "by": "Ada", "reason": "done"}
    yield b"l" + json.dumps(closing, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    key = base64.b64encode(SPKI).decode()
    sig = base64.b64encode(bytes(64)).decode()
    rotation = {"by": "Ada", "key": "log-key", "leaf": 3, "new": key, "old": key, "reason": "old",
                "sig_new": sig, "sig_old": sig}
    record = {"crit": ["rotation"], "ext": {"rotation": rotation}, "t": "rotate",
              "n": base64.b64encode(bytes(32)).decode(), "ts": "2026-11-21T10:00:00Z"}
    yield b"r" + json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    for seed in order_seeds():
        if seed[:1] == b"o":
            yield seed
    with tempfile.TemporaryDirectory() as temp:
        subprocess.run([sample, temp], check=True)
        folder = pathlib.Path(temp)
        yield b"c" + (folder / "1/manifest.json.p7s").read_bytes()
        for level in "1", "19":
            yield b"z" + subprocess.run(["zstd", "-qc", f"-{level}", folder / "1/devices-00000.jsonl"],
                                        check=True, stdout=subprocess.PIPE).stdout
    yield b"z" + subprocess.run(["zstd", "-qc"], check=True, stdout=subprocess.PIPE,
                                input=bytes(1 << 20)).stdout


def chain_seeds(sample):
    with tempfile.TemporaryDirectory() as temp:
        subprocess.run([sample, temp], check=True)
        folder = pathlib.Path(temp)
        pems = ["1/chain.pem", "device-root.pem", "manifest-root.pem"]
        ders = [subprocess.run(["openssl", "x509", "-in", folder / p, "-outform", "DER"], check=True,
                               stdout=subprocess.PIPE).stdout for p in pems]
        line = (folder / "1/devices-00000.jsonl").read_bytes().splitlines()[0]
        leaf = base64.b64decode(json.loads(line)["cert"])
        yield leaf + ders[0] + ders[1]
        yield leaf
        yield ders[2] + b"\0"


def ca_seeds():
    """An issuing CA below another one and a root, as openssl makes them; each with its length."""
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        usage = "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        above, ders = None, []
        for name, constraints in (("root", ""), ("between", ",pathlen:1"), ("issuing", ",pathlen:0")):
            (folder / "ext").write_text(f"basicConstraints=critical,CA:TRUE{constraints}\n{usage}" +
                                        ("authorityKeyIdentifier=keyid:always\n" if above else ""))
            subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/OU=test/CN={name}",
                            "-keyout", folder / f"{name}.key", "-out", folder / "csr"], check=True,
                           capture_output=True)
            signer = (["-CA", folder / f"{above}.pem", "-CAkey", folder / f"{above}.key",
                       "-CAcreateserial"] if above else ["-signkey", folder / "root.key"])
            days = str(36500 - 100 * len(ders))
            subprocess.run(["openssl", "x509", "-req", "-in", folder / "csr", *signer, "-days", days,
                            "-sha256", "-extfile", folder / "ext", "-out", folder / f"{name}.pem"],
                           check=True, capture_output=True)
            ders.insert(0, subprocess.run(["openssl", "x509", "-in", folder / f"{name}.pem", "-outform",
                                           "DER"], check=True, stdout=subprocess.PIPE).stdout)
            above = name
        yield b"".join(lp(der) for der in ders)
        yield b"".join(lp(der) for der in ders[:2])
        yield lp(ders[2])


def answers_seeds():
    """A certificate as openssl makes it, in every form in which a hosted CA may send it."""
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=SN-1", "-days", "30", "-keyout", "/dev/null", "-out",
                        folder / "cert.pem"], check=True, capture_output=True)
        pem = (folder / "cert.pem").read_bytes()
        made = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
        yield pem
        yield b"Dear customer,\r\n" + pem + b"-----\n" + pem[:-40]
        yield made
        yield made + made
        yield b"serial,certificate\n1," + base64.b64encode(made) + b'\n2,"' + pem + b'"\n'
        for form in ("DER", "PEM"):
            yield subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", folder / "cert.pem",
                                  "-outform", form], check=True, capture_output=True).stdout
        subprocess.run(["tar", "--format=ustar", "-cf", folder / "all.tar", "-C", folder, "cert.pem"],
                       check=True)
        yield (folder / "all.tar").read_bytes()
        yield b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n"


def csr_seeds():
    """Requests of OpenSSL: plain, with extensions, of other keys; and a part of each."""
    for options in (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext",
                     "keyUsage=critical,digitalSignature", "-addext", "subjectAltName=DNS:a"],
                    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
                    ["-newkey", "rsa:1024"], ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss",
                     "-sigopt", "rsa_pss_saltlen:32", "-sha256"], ["-newkey", "ed25519"]):
        made = subprocess.run(["openssl", "req", "-new", *options, "-nodes", "-subj", "/O=a/CN=SN-1",
                               "-keyout", "/dev/null", "-outform", "DER"], check=True,
                              capture_output=True).stdout
        yield made
        yield made[:len(made) // 2]


def wire_seeds():
    """The sizes of wire.h; the fuzzer finds the rest from them."""
    handle = bytes(range(16))
    yield b"\0" + lp(b"S1")
    for kind, size in ((1, 300), (4, 120), (6, 60), (7, 400)):
        yield bytes([kind]) + handle + bytes(size)
    yield b"\2" + handle + b"\1"
    yield b"\3" + handle
    yield b"\5" + handle + b"\x12\0" + lp(b"text")
    yield b"\x08\x12" + lp(b"the vault says no")


def fixture_seeds():
    """A byte for the length of the pieces and for the side, and what that side says."""
    fixture = (b"FIXTURE 1 nest\nLID S1 OPEN\nLID S1 CLOSED\r\nPOWER S1 ON\nPONG\nSTART S1\nABORT S1\n"
               b"RESULT S1\n")
    station = (b"FIXTURE 1\nPOWER S1 OFF\nLAMP S1 YELLOW\nBUSY S1\nBUZZER S1 GOOD\nOK S1 AB/12 NEW\n"
               b"NG S1 ERR_TIMEOUT reseat\nNO START S1 LID\nIDLE S1\nPING\nBYE\n")
    for piece in (0, 6, 0x7f):
        yield bytes([piece]) + fixture
        yield bytes([piece | 0x80]) + station
    for line in fixture.splitlines(keepends=True):
        yield b"\x7f" + line
    yield b"\x10" + b"LID " + b"x" * 200 + b" OPEN\nPONG\n"
    yield b"\x10" + b"LID  S1 OPEN\n\n \nlid S1 OPEN\nPO\0NG\nPONG S1\n"


def gs1_seeds():
    """A byte for the kind, one for the separator, and what a scanner sends."""
    gtin = b"09506000134352"
    codes = [b"PUMP-0000001", b"]C0AB/12", b"]E09506000134352", b"01" + gtin + b"21AB/12",
             b"]d201" + gtin + b"11261122172811001528020010LOT7\x1d21AB/12",
             b"]C1(01)" + gtin + b"(17)281100(10)L(7)(21)A(B)", b"\x1d8003" + gtin + b"A~8012V1",
             b"(00)095060001343520002(310300)012345(253)9506000134352A", b"21A\x1d21A"]
    for code in codes:
        for kind in range(3):
            yield bytes([kind, 0x7e]) + code


def probe_seeds():
    """A byte that chooses question or answer; the answers of a device with and without an identity, and none."""
    chip, firmware = lp(bytes.fromhex("c0ffee0000000001")), lp(b"1.4.2")
    proof = b"\1\2" + (1).to_bytes(4, "big") + b"\2\1" + lp(b"p" * 64)
    yield b"\1" + NONCE + NONCE[::-1]
    yield b"\0\1" + chip + firmware + b"\0\2" + TX + lp(b"PUMP-0000001") + proof
    yield b"\0\1" + chip + firmware + b"\1\0" + bytes(16) + lp(b"") + bytes(8) + lp(b"")
    yield b"\0\2\x12" + lp(b"'/dev/ttyUSB0': HELLO: no answer")


def hook_seeds():
    """Answers of the plant's programs, to the question that the target asks."""
    said = '{"id":"00112233445566778899aabbccddeeff","accept":%s%s}\n'
    for accept in ("true", "false", "1"):
        for more in ("", ',"reason":"no route"', ',"reason":"f\\u00fcr \xfc\\n"', ',"reason":7',
                     ',"accept":true', ',"more":{"a":[[[[1e999]]]]}'):
            yield (said % (accept, more)).encode()
    yield b""
    yield said.encode()[:30]


def main():
    sample, program, corpus = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    for target, seeds in (("agent", agent_seeds()), ("answers", answers_seeds()), ("ca", ca_seeds()), ("csr", csr_seeds()),
                          ("fixture", fixture_seeds()), ("gs1", gs1_seeds()), ("hook", hook_seeds()), ("link", link_seeds()),
                          ("probe", probe_seeds()),
                          ("order", order_seeds()),
                          ("manifest", manifest_seeds(sample, program)), ("import", import_seeds(sample)),
                          ("chain", chain_seeds(sample)), ("vendor", vendor_seeds(sample, program)),
                          ("wire", wire_seeds())):
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (corpus / target / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


if __name__ == "__main__":
    main()
