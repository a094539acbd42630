#!/usr/bin/python3
"""Computes again, with other software, what station and device hash, derive and sign.

usage: link_vectors.py PROGRAM FILE

PROGRAM prints what our code made of five provisionings (link_vectors.c), FILE holds what it printed
once. Both are recomputed from docs/device-link.md with hashlib, cbor2 and the cryptography package.
"""
import hashlib
import hmac
import json
import pathlib
import subprocess
import sys

try:
    import cbor2
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, keywrap, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
except ImportError as missing:
    print(f"link_vectors: skipped: {missing} (packages python3-cbor2, python3-cryptography)")
    sys.exit(77)

P256, ECDSA, HMAC = b"\x01\x01", b"\x02\x01", b"\x02\x02"
PRIVATE_KEY, CERTIFICATES, ANCHORS, FIRMWARE_KEY = 1, 2, 3, 4
SYMMETRIC_KEY, CONFIGURATION, CONFIGURATION_KEY, DECOMMISSION_KEY = 5, 6, 7, 8
compared = 0


def same(what, ours, theirs):
    global compared
    compared += 1
    if ours != theirs:
        sys.exit(f"link_vectors: {what} differs:\n  ours   {ours.hex()}\n  theirs {theirs.hex()}")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def lp(x):
    return len(x).to_bytes(2, "big") + x


def u(value, size):
    return value.to_bytes(size, "big")


def unhex(node):
    """All texts of even length in hexadecimal become bytes, but for the two that are texts."""
    return {k: v if k in ("firmware", "serial", "environment") or not isinstance(v, str)
            else bytes.fromhex(v) for k, v in node.items()}


def public(point):
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def verifies(point, signature, *message):
    global compared
    compared += 1
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    der = utils.encode_dss_signature(r, s)
    public(point).verify(der, b"".join(message), ec.ECDSA(hashes.SHA256()))
    try:
        public(point).verify(der, b"".join(message) + b"x", ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return
    sys.exit("link_vectors: a signature verifies over anything")


def facts_bytes(f):
    members = {1: f["suites"], 2: f["modes"], 3: f["chip_id"], 4: f["firmware"],
               6: f["debug"], 7: f["lifecycle"], 8: f["pinned"], 9: f["frame_max"],
               10: 0x0101, 11: f["dev_pub"]}
    if "image_hash" in f:
        members[5] = f["image_hash"]
    return cbor2.dumps(members, canonical=True)


def station_key(certificate, authority, environment):
    body, fields = certificate, []
    for _ in range(3):
        n = int.from_bytes(body[:2], "big")
        fields.append(body[2:2 + n])
        body = body[2 + n:]
    signed, signature = certificate[:len(certificate) - len(body) + 4], body[4:]
    same("length of the certificate's signature", signature[:4], u(66, 2) + ECDSA)
    verifies(authority, signature[4:], b"imprint station cert v1\0", signed)
    same("the certificate's environment", fields[2], environment)
    same("the certificate's key algorithm", fields[0][:2], P256)
    return fields[0][2:]


def derive(suite, z, context):
    if suite == 1:
        encryptor = Cipher(algorithms.AES(z), modes.ECB()).encryptor()
        return encryptor.update(context) + encryptor.finalize()
    return X963KDF(hashes.SHA256(), 32, context).derive(z)


def first_der(sequence):
    """The first of several DER elements."""
    width = sequence[1] & 0x7F if sequence[1] & 0x80 else 0
    length = int.from_bytes(sequence[2:2 + width], "big") if width else sequence[1]
    return sequence[:2 + width + length]


def private_key(plain):
    """Trims zeros after the DER, which newer versions of the package refuse."""
    der = first_der(plain)
    if any(plain[len(der):]) or len(plain) - len(der) > 7:
        sys.exit("link_vectors: the wrapped key has another tail than zeros")
    return serialization.load_der_private_key(der, None)


def begin_bytes(s, rows):
    objects = [[o["type"], o["format"], o["length"], o["hash"]] for o in rows]
    return cbor2.dumps({1: s["suite"], 2: s["environment"], 3: s["order_hash"], 4: s["transaction"],
                        5: s["nonce"], 6: s["serial"], 7: 0x0101 if s["suite"] else 0,
                        8: s.get("ephemeral_pub", b""), 9: objects, 10: 0x0201,
                        11: s["signature"], 12: s["certificate"]}, canonical=True)


def keygen_bytes(s, keygen):
    return cbor2.dumps({1: 0, 2: s["environment"], 3: s["order_hash"], 4: s["transaction"],
                        5: s["nonce"], 6: s["serial"], 7: 0x0101, 8: keygen["subject"], 10: 0x0201,
                        11: keygen["signature"], 12: s["certificate"]}, canonical=True)


def transcript(f, s, bundle):
    station_pub = P256 + s["ephemeral_pub"] if s["suite"] else b"\0\0"
    return (u(s["suite"], 2) + lp(s["environment"].encode()) + lp(s["order_hash"]) +
            lp(s["transaction"]) + lp(s["nonce"]) + lp(s["serial"].encode()) + lp(f["chip_id"]) +
            lp(P256 + f["dev_pub"]) + lp(station_pub) + lp(sha256(f["encoded"])) + lp(bundle))


def attested(label, f, s):
    """The bytes that the enrolment key signs; those of KEYGEN have the new key behind them."""
    return (label + lp(b"".join(u(suite, 2) for suite in f["suites"])) + lp(s["nonce"]) +
            lp(f["chip_id"]) + lp(P256 + f["dev_pub"]) + u(f["lifecycle"], 1))


def point_of(scalar):
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    return key, key.public_key().public_bytes(serialization.Encoding.X962,
                                              serialization.PublicFormat.UncompressedPoint)


def signed_by(point, part, *message):
    """The message is this one, and the signature is the key's."""
    same("a message that is signed", part["message"], b"".join(message))
    verifies(point, part["signature"], part["message"])


def judge_wrapped(f, s, secrets, x):
    """The KEK of what came from an HSM."""
    context = sha256(b"imprint kek v1\0", x)
    same("context", s["context"], context)
    ephemeral, ephemeral_pub = point_of(secrets["ephemeral"])
    transport, transport_pub = point_of(secrets["transport"])
    same("the station's ephemeral key", s["ephemeral_pub"], ephemeral_pub)
    same("the device's transport key", f["dev_pub"], transport_pub)
    same("Z for the station", s["z"], ephemeral.exchange(ec.ECDH(), public(transport_pub)))
    same("Z for the device", s["z"], transport.exchange(ec.ECDH(), public(ephemeral_pub)))
    kek = derive(s["suite"], s["z"], context)
    same("KEK", s["kek"], kek)
    return kek


def judge_private(s, secrets, kek):
    """The private key that travelled."""
    plain = keywrap.aes_key_unwrap_with_padding(kek, s["wrapped"])
    same("the unwrapped key", secrets["pkcs8"], plain)
    same("the wrapped key", s["wrapped"], keywrap.aes_key_wrap_with_padding(kek, plain))
    return private_key(plain)


def judge_made(vector, f, s, station):
    """A key that the device made, and the request for its certificate."""
    keygen, secrets = unhex(vector["keygen"]), unhex(vector["secrets"])
    requests, statement = unhex(vector["requests"]), unhex(vector["key_attestation"])
    x = transcript(f, s, b"")
    same("X of KEYGEN", keygen["x"], x)
    signed_by(station, keygen, b"imprint keygen v1\0", x)
    same("KEYGEN", requests["keygen"], keygen_bytes(s, keygen))
    same("the device's transport key", f["dev_pub"], point_of(secrets["transport"])[1])
    key, point = point_of(secrets["made"])
    csr = x509.load_der_x509_csr(keygen["csr"])
    if not csr.is_signature_valid or len(csr.extensions):
        sys.exit("link_vectors: the request's signature does not verify, or it asks for more")
    same("the request's subject", csr.subject.public_bytes(), keygen["subject"])
    same("the request's key", csr.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint), point)
    signed_by(bytes.fromhex(vector["attestation"]["key"]), statement,
              attested(b"imprint attest key v1\0", f, s) + lp(P256 + point))
    return key


def mac(key, *message):
    return hmac.new(key, b"".join(message), hashlib.sha256).digest()


def judge_certificate(s, key, rows, proof, x):
    """The certificate is the key's, and the proof that the device signs is as well."""
    leaf_der = first_der(s["certificates"])
    leaf = x509.load_der_x509_certificate(leaf_der)
    spki = leaf.public_key().public_bytes(serialization.Encoding.DER,
                                          serialization.PublicFormat.SubjectPublicKeyInfo)
    same("the key's public half", spki, key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    same("the hash of the private key object", rows[PRIVATE_KEY]["hash"], sha256(spki))
    same("the hash of the certificates", rows[CERTIFICATES]["hash"], sha256(s["certificates"]))
    same("SHA-256 of the leaf", proof["leaf_hash"], sha256(leaf_der))
    signed_by(spki[-65:], proof, b"imprint prove v1\0", ECDSA, lp(proof["nonce"]), lp(sha256(x)),
              lp(sha256(leaf_der)), u(proof["lifecycle"], 1), u(proof["commit_count"], 4))
    return sha256(leaf_der)


def judge_derived(secrets, rows, proof, x):
    """No certificate: the proof is an HMAC over the same bytes with an empty leaf hash."""
    same("types of a derived bundle", bytes(rows), bytes([3, 4, 5, 6, 7, 8]))
    message = (b"imprint prove v1\0" + HMAC + lp(proof["nonce"]) + lp(sha256(x)) + lp(b"") +
               u(proof["lifecycle"], 1) + u(proof["commit_count"], 4))
    same("what a derived proof is over", proof["message"], message)
    same("a derived proof", proof["signature"], mac(secrets["symmetric"], message))
    return mac(secrets["symmetric"], b"imprint kcv v1\0")


def judge_more(more, rows, secrets, kek):
    """Symmetric key, configuration and the keys that verify."""
    key = keywrap.aes_key_unwrap_with_padding(kek, more["wrapped_symmetric"])
    same("the symmetric key", secrets["symmetric"], key)
    same("its check value", rows[SYMMETRIC_KEY]["hash"], mac(key, b"imprint kcv v1\0"))
    for number, name in ((FIRMWARE_KEY, "firmware_key"), (CONFIGURATION, "configuration"),
                         (CONFIGURATION_KEY, "configuration_key"),
                         (DECOMMISSION_KEY, "decommission_key")):
        same(name, rows[number]["hash"], sha256(more[name]))
    signed = more["configuration"]
    same("the head of a signed object", signed[:4], u(66, 2) + ECDSA)
    verifies(spki_point(more["configuration_key"]), signed[4:68], b"imprint configuration v1\0",
             signed[68:])


def spki_point(spki):
    key = serialization.load_der_public_key(spki)
    return key.public_bytes(serialization.Encoding.X962,
                            serialization.PublicFormat.UncompressedPoint)


def judge_decommission(said, more, chip, identity):
    same("the identity that DECOMMISSION names", said["identity"], identity)
    signed_by(spki_point(more["decommission_key"]), said, b"imprint decommission v1\0", lp(chip),
              lp(identity))
    same("DECOMMISSION", said["request"], cbor2.dumps(
        {1: chip, 2: identity, 3: 0x0201, 4: said["signature"]}, canonical=True))


def judge(vector):
    f, s = unhex(vector["facts"]), unhex(vector["station"])
    proof, attestation = unhex(vector["proof"]), unhex(vector["attestation"])
    secrets, requests = unhex(vector["secrets"]), unhex(vector["requests"])
    environment = s["environment"].encode()

    same("facts", f["encoded"], facts_bytes(f))
    rows = [unhex(o) for o in vector["objects"]]
    bundle = sha256(b"imprint bundle v1\0", *(u(o["type"], 2) + u(o["format"], 2) +
                                             u(o["length"], 4) + o["hash"] for o in rows))
    same("B", bytes.fromhex(vector["bundle_hash"]), bundle)
    x = transcript(f, s, bundle)
    same("X", s["x"], x)
    same("SHA-256 of X", s["x_hash"], sha256(x))
    station = station_key(s["certificate"], s["authority"], environment)
    kek = judge_wrapped(f, s, secrets, x) if s["suite"] else None
    same("HELLO", requests["hello"], cbor2.dumps({1: s["nonce"]}, canonical=True))
    same("BEGIN", requests["begin"], begin_bytes(s, rows))
    signed_by(station, s, b"imprint station v1\0", x)
    by_type = {o["type"]: o for o in rows}
    if PRIVATE_KEY in by_type:
        key = judge_private(s, secrets, kek) if kek else judge_made(vector, f, s, station)
        identity = judge_certificate(s, key, by_type, proof, x)
    else:
        identity = judge_derived(secrets, by_type, proof, x)
    if "decommission" in vector:
        more = unhex(vector["more"])
        judge_more(more, by_type, secrets, kek)
        judge_decommission(unhex(vector["decommission"]), more, f["chip_id"], identity)
    signed_by(attestation["key"], attestation, attested(b"imprint attest v1\0", f, s))


def main():
    made = json.loads(subprocess.run([sys.argv[1]], check=True, capture_output=True).stdout)
    kept = json.loads(pathlib.Path(sys.argv[2]).read_text())
    for vector in made + kept:
        judge(vector)
    if len(made) != 5 or len(kept) != 5 or compared != 2 * 160:
        sys.exit(f"link_vectors: {compared} comparisons of {len(made)} and {len(kept)} vectors: "
                 "some are missing")
    print(f"{compared} values agree")


if __name__ == "__main__":
    main()
