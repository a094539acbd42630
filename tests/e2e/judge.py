"""Decides, from the devices' own stores and the sealed manifests alone, whether the whitelist is
true: no key on two devices, no serial twice, every whitelisted device holds its key, no other does.
"""
import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

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
