"""Opens a CMS EnvelopedData (RFC 5652 section 6) with nothing of OpenSSL's CMS: a DER reader of its own and
the primitives of python3-cryptography. Key transport is RSAES-OAEP with SHA-256 (RFC 3560), key agreement
ephemeral-static ECDH with the X9.63 KDF and AES-256 key wrap (RFC 5753)."""
from cryptography.hazmat.primitives import hashes, keywrap, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

ENVELOPED, DATA = "1.2.840.113549.1.7.3", "1.2.840.113549.1.7.1"
AES_256_CBC, AES_256_WRAP = "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45"
OAEP_ID, SHA_256, ECDH_SHA256 = "1.2.840.113549.1.1.7", "2.16.840.1.101.3.4.2.1", "1.3.132.1.11.1"


def der(data):
    """The elements in data, each (tag, contents, whole)."""
    out = []
    while data:
        length, head = data[1], 2
        if length & 0x80:
            head += length & 0x7f
            length = int.from_bytes(data[2:head], "big")
        assert length != 0x80 and head + length <= len(data), "no DER"
        out.append((data[0], data[head:head + length], data[:head + length]))
        data = data[head + length:]
    return out


def oid(element):
    assert element[0] == 6
    numbers, value = [], 0
    for byte in element[1]:
        value = value << 7 | byte & 0x7f
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    return ".".join(map(str, [numbers[0] // 40 if numbers[0] < 80 else 2,
                              numbers[0] % 40 if numbers[0] < 80 else numbers[0] - 80] + numbers[1:]))


def transported(recipient, key):
    """KeyTransRecipientInfo: version, rid, algorithm, encryptedKey."""
    algorithm, encrypted = der(recipient[2][1]), recipient[3][1]
    assert oid(algorithm[0]) == OAEP_ID
    fields = dict((tag, der(value)[0]) for tag, value, _ in der(algorithm[1][1]))
    assert oid(der(fields[0xa0][1])[0]) == SHA_256, "hash of OAEP"
    assert oid(der(der(fields[0xa1][1])[1][1])[0]) == SHA_256, "hash of MGF1"
    return key.decrypt(encrypted, OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None))


def agreed(recipient, key):
    """KeyAgreeRecipientInfo: version, [0] originator, [1] ukm OPTIONAL, algorithm, encrypted keys."""
    fields = [f for f in recipient if f[0] != 0xa1]
    algorithm = der(fields[2][1])
    assert oid(algorithm[0]) == ECDH_SHA256
    wrap = algorithm[1]
    assert oid(der(wrap[1])[0]) == AES_256_WRAP
    assert not [f for f in recipient if f[0] == 0xa1], "no ukm is expected"
    originator = der(der(fields[1][1])[0][1])  # [1] OriginatorPublicKey: algorithm, BIT STRING
    peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, originator[1][1][1:])
    # ECC-CMS-SharedInfo: keyInfo, suppPubInfo [2] the length of the key in bits
    info = wrap[2] + bytes.fromhex("a206040400000100")
    shared = X963KDF(hashes.SHA256(), 32, bytes([0x30, len(info)]) + info).derive(
        key.exchange(ec.ECDH(), peer))
    return keywrap.aes_key_unwrap(shared, der(der(fields[3][1])[0][1])[1][1])


def content_key(recipients, key):
    for tag, value, _ in der(recipients):
        fields = der(value)
        if tag == 0x30 and isinstance(key, rsa.RSAPrivateKey):
            return transported(fields, key)
        if tag == 0xa1 and isinstance(key, ec.EllipticCurvePrivateKey):
            return agreed(fields, key)
    raise AssertionError("no recipient of this kind")


def open_envelope(data, pem):
    """The contents, with the recipient's private key."""
    (_, value, whole), = der(data)
    assert whole == data
    kind, wrapped = der(value)
    assert oid(kind) == ENVELOPED
    fields = der(der(wrapped[1])[0][1])
    recipients = next(f for f in fields if f[0] == 0x31)
    kind, algorithm, encrypted = der(fields[fields.index(recipients) + 1][1])
    cipher, iv = der(algorithm[1])
    assert oid(kind) == DATA and oid(cipher) == AES_256_CBC and encrypted[0] == 0x80
    key = serialization.load_pem_private_key(pem, None)
    decryptor = Cipher(algorithms.AES(content_key(recipients[1], key)), modes.CBC(iv[1])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(encrypted[1]) + decryptor.finalize()) + unpadder.finalize()
