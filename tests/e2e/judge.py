"""Decides, from the devices' own stores and the sealed manifests alone, whether the whitelist is
true: no key on two devices, no serial twice, every whitelisted device holds its key, no other does.
"""
import base64
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from rig import run


def load(folder):
    """(key, leaf certificate) of an exported device."""
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    leaf = x509.load_pem_x509_certificate((folder / "certificates.pem").read_bytes())
    return key, leaf


def spki(public_key):
    return public_key.public_bytes(serialization.Encoding.DER,
                                   serialization.PublicFormat.SubjectPublicKeyInfo)


def subject_serial(certificate):
    return certificate.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)[0].value


def signs(key):
    """The arguments with which a key of this type signs."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return (ec.ECDSA(hashes.SHA256()),)
    return (padding.PKCS1v15(), hashes.SHA256()) if isinstance(key, rsa.RSAPrivateKey) else ()


def type_of(public_key):
    """As orders and jobs name the type of a key."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "p256", "secp384r1": "p384"}[public_key.curve.name]
    return f"rsa{public_key.key_size}" if isinstance(public_key, rsa.RSAPublicKey) else "ed25519"


def check_device(rig, device, live):
    """The key signs, is the certificate's, the chain verifies, and the manifest says the same."""
    folder = device.export()
    assert folder, f"device {device.number} holds no identity"
    key, leaf = load(folder)
    how = signs(key)
    leaf.public_key().verify(key.sign(b"challenge", *how), b"challenge", *how)
    assert spki(key.public_key()) == spki(leaf.public_key())
    run("openssl", "verify", "-x509_strict", "-CAfile", rig.station / "trust/device-root.pem",
        "-untrusted", folder / "certificates.pem", folder / "certificates.pem")
    serial = subject_serial(leaf)
    assert serial == (folder / "serial").read_text().strip()
    record = live.get(serial)
    assert record, f"{serial} is on device {device.number} and not in the manifest"
    assert base64.b64decode(record["spki"]) == spki(leaf.public_key()), serial
    assert base64.b64decode(record["cert"]) == leaf.public_bytes(serialization.Encoding.DER)
    assert record["chip"] == device.chip, serial
    return serial


def check_all(rig, finished):
    """finished: the devices that must be whitelisted; every other one must not be."""
    records = rig.records()
    live = {}
    for record in records:
        assert record["t"] in ("add", "void"), record["t"]
        if record["t"] == "add":
            assert record["sn"] not in live, f"{record['sn']} stands twice"
            live[record["sn"]] = record
    void = {r["sn"] for r in records if r["t"] == "void"}
    assert not void & set(live), "a credential is live and void"
    serials = [check_device(rig, device, live) for device in finished]
    assert len(set(serials)) == len(serials), "a serial is on two devices"
    assert set(serials) == set(live), "the whitelist holds devices that are not there"
    keys = {r["spki"] for r in live.values()}
    assert len(keys) == len(live), "a key stands twice"
    return live


SUITES = b"\0\1\0\2"  # what the simulated device offers


def lp(data):
    return len(data).to_bytes(2, "big") + data


def fields(data):
    out = []
    while data:
        size = int.from_bytes(data[:2], "big")
        out.append(data[2:2 + size])
        data = data[2 + size:]
    return out


def check_attestations(rig):
    """What the devices' own keys signed, verified with what X says and the device's list of suites."""
    folder = rig.manifests()[-1]
    records = {r["tx"]: r for r in rig.records() if r["t"] == "add"}
    lines = (folder / "evidence-00000.jsonl").read_text().splitlines()
    for evidence in map(json.loads, lines):
        x = fields(base64.b64decode(evidence["x"])[2:])
        point, in_hello, _, for_key = fields(base64.b64decode(evidence["att"])[2:])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        said = lp(SUITES) + lp(x[3]) + lp(x[5]) + lp(x[6]) + b"\1"
        made = base64.b64decode(records[evidence["tx"]]["spki"])[-65:]
        for signature, message in ((in_hello, b"imprint attest v1\0" + said),
                                   (for_key, b"imprint attest key v1\0" + said + lp(b"\1\1" + made))):
            pair = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(encode_dss_signature(*pair), message, ec.ECDSA(hashes.SHA256()))
    assert lines
