#!/usr/bin/python3
"""Judges a sample of manifests with tools and code that share nothing with ours.

Usage: manifest_judge.py SAMPLE_PROGRAM IMPRINT_MANIFEST

openssl cms, openssl dgst, openssl verify, jq and sha256sum are stock; the Merkle tree, canonical
JSON, the proof of possession and the inclusion proof are written here from the specification
(docs/manifest-format.md) alone.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def run(*command, data=None, ok=True, cwd=None):
    done = subprocess.run(command, input=data, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if (done.returncode == 0) != ok:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()}")
    return done.stdout


def read(*parts):
    with open(os.path.join(*parts), "rb") as f:
        return f.read()


def lines(path):
    if not os.path.exists(path):
        return []
    text = read(path)
    assert text.endswith(b"\n"), path
    return text[:-1].split(b"\n")


def lp(b):
    return len(b).to_bytes(2, "big") + b


def leaf_hash(line):
    return hashlib.sha256(b"\0" + line).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes_):
    """RFC 6962 section 2.1, by its own recursion."""
    if not hashes_:
        return hashlib.sha256(b"").digest()
    if len(hashes_) == 1:
        return hashes_[0]
    k = 1
    while 2 * k < len(hashes_):
        k *= 2
    return node_hash(root_of(hashes_[:k]), root_of(hashes_[k:]))


def frontier_of(hashes_):
    """The roots of the complete subtrees of the right edge, largest first."""
    out, at = [], 0
    for bit in reversed(range(len(hashes_).bit_length())):
        if len(hashes_) >> bit & 1:
            out.append(root_of(hashes_[at:at + (1 << bit)]))
            at += 1 << bit
    return out


def judge_signature(top, folder):
    verify = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "PEM", "-in",
              "manifest.json.p7s", "-out", "/dev/null", "-content"]
    run(*verify, "manifest.json", "-CAfile", f"{top}/manifest-root.pem", cwd=folder)
    run(*verify, "manifest.json", "-CAfile", f"{top}/device-root.pem", cwd=folder, ok=False)
    changed = os.path.join(top, "changed.json")
    with open(changed, "wb") as f:
        f.write(read(folder, "manifest.json").replace(b'"seq":', b'"seq":1', 1))
    run(*verify, changed, "-CAfile", f"{top}/manifest-root.pem", cwd=folder, ok=False)


def judge_files(folder):
    listed = run("jq", "-r", r'.files[]|"\(.sha256)  \(.name)"', "manifest.json", cwd=folder)
    run("sha256sum", "-c", "--strict", data=listed, cwd=folder)
    names = {f["name"] for f in json.loads(read(folder, "manifest.json"))["files"]}
    assert names | {"manifest.json", "manifest.json.p7s"} == set(os.listdir(folder))


def judge_canonical(folder, name):
    """jq sorts by code point and Python by character: for ASCII both are RFC 8785."""
    text = read(folder, name)
    assert run("jq", "-cS", ".", data=text) == text, name
    for line in text[:-1].split(b"\n"):
        value = json.loads(line)
        assert json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == line, line


def split_note(note):
    text, signatures = note.split(b"\n\n", 1)
    return text + b"\n", signatures.decode().splitlines()


def judge_checkpoint(top, folder, manifest):
    text, signatures = split_note(read(folder, "checkpoint"))
    assert text.decode().split("\n") == [manifest["origin"], str(manifest["size"]),
                                         manifest["root"], ""]
    dash, name, blob = signatures[0].split(" ")
    blob = base64.b64decode(blob, validate=True)
    spki = serialization.load_pem_public_key(read(top, "log.pub")).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert dash == "\u2014" and name == manifest["origin"]
    assert blob[:4] == hashlib.sha256(spki).digest()[:4]
    with open(os.path.join(top, "cp.sig"), "wb") as f:
        f.write(blob[4:])
    dgst = ["openssl", "dgst", "-sha256", "-verify", f"{top}/log.pub", "-signature", f"{top}/cp.sig"]
    run(*dgst, data=text)
    run(*dgst, data=text.replace(b"/line1", b"/line2"), ok=False)


def judge_log(folder, manifest, log):
    prev = manifest["prev"]
    if prev:
        assert prev["size"] == len(log)
        assert [base64.b64decode(h) for h in prev["frontier"]] == frontier_of(log)
        assert base64.b64decode(prev["root"]) == root_of(log)
    assert manifest["first"] == len(log)
    records = lines(f"{folder}/devices-00000.jsonl")
    log += [leaf_hash(line) for line in records]
    assert manifest["count"] == len(records) and manifest["size"] == len(log)
    assert base64.b64decode(manifest["root"]) == root_of(log)
    return [json.loads(line) for line in records]


def judge_certificates(top, folder, records):
    der = run("openssl", "x509", "-in", f"{folder}/chain.pem", "-outform", "DER")
    for record in records:
        if "cert" not in record:
            continue
        assert record["iss"] == hashlib.sha256(der).hexdigest()
        cert = run("openssl", "x509", "-inform", "DER", data=base64.b64decode(record["cert"]))
        run("openssl", "verify", "-CAfile", f"{top}/device-root.pem", "-untrusted",
            f"{folder}/chain.pem", data=cert)
        subject = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", data=cert)
        assert f"serialNumber={record['sn']}" in subject.decode()
        key = run("openssl", "x509", "-noout", "-pubkey", data=cert)
        assert key == run("openssl", "pkey", "-pubin", "-inform", "DER",
                          data=base64.b64decode(record["spki"]))


def proof_message(record, evidence):
    proof = base64.b64decode(evidence["proof"])
    cert = base64.b64decode(record["cert"])
    return (b"imprint prove v1\0" + proof[:2] + lp(base64.b64decode(evidence["nonce"])) +
            lp(hashlib.sha256(base64.b64decode(evidence["x"])).digest()) +
            lp(hashlib.sha256(cert).digest()) + proof[2:7]), proof[7:]


def judge_evidence(folder, records):
    evidence = lines(f"{folder}/evidence-00000.jsonl")
    named = [r for r in records if "ev" in r]
    assert [hashlib.sha256(e).hexdigest() for e in evidence] == [r["ev"] for r in named]
    for record, line in zip(named, evidence):
        message, raw = proof_message(record, json.loads(line))
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"),
                                               int.from_bytes(raw[32:], "big"))
        key = serialization.load_der_public_key(base64.b64decode(record["spki"]))
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        try:
            key.verify(signature, message + b"\0", ec.ECDSA(hashes.SHA256()))
            sys.exit("a proof verifies over anything")
        except InvalidSignature:
            pass


def inclusion_root(index, size, leaf, path):
    """RFC 9162 section 2.1.3.2."""
    node, last, result = index, size - 1, leaf
    for sibling in path:
        assert last
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    assert last == 0
    return result


def judge_proof(program, folder, manifest, record):
    text = run(program, "prove", folder, record["sn"])
    head, note = text.split(b"\n\n", 1)
    head = head.decode().split("\n")
    assert head[0] == "c2sp.org/tlog-proof@v1" and head[1].startswith("extra ")
    line = base64.b64decode(head[1][6:], validate=True)
    assert json.loads(line)["sn"] == record["sn"]
    index = int(head[2].removeprefix("index "))
    assert note == read(folder, "checkpoint")
    assert inclusion_root(index, manifest["size"], leaf_hash(line),
                          [base64.b64decode(h) for h in head[3:]]) == \
        base64.b64decode(manifest["root"])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sample, program = map(os.path.abspath, sys.argv[1:])
    log, previous = [], None
    with tempfile.TemporaryDirectory() as top:
        run(sample, top)
        for name in "1", "2", "3":
            folder = os.path.join(top, name)
            manifest = json.loads(read(folder, "manifest.json"))
            judge_signature(top, folder)
            judge_files(folder)
            for file in "manifest.json", "devices-00000.jsonl", "evidence-00000.jsonl":
                judge_canonical(folder, file)
            judge_checkpoint(top, folder, manifest)
            records = judge_log(folder, manifest, log)
            judge_certificates(top, folder, records)
            judge_evidence(folder, records)
            for record in records:
                judge_proof(program, folder, manifest, record)
            if previous:
                assert manifest["prev"]["sha256"] == hashlib.sha256(previous).hexdigest()
            previous = read(folder, "manifest.json")
    print(f"3 manifests, {len(log)} records: the judges agree")


if __name__ == "__main__":
    main()
