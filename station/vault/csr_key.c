#include "station/vault/csr_key.h"

#include "station/vault/csr_weak.h"

#include <string.h>

#define RSA_BITS_MIN 2048

static const uint8_t oid_ec_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ed25519[] = {0x2b, 0x65, 0x70};

/* For messages. */
static const char *display(enum key_type type)
{
    static const char *const names[KEY_TYPES] = {
        [KEY_P256] = "P-256",        [KEY_P384] = "P-384",      [KEY_RSA_2048] = "RSA-2048",
        [KEY_RSA_3072] = "RSA-3072", [KEY_ED25519] = "Ed25519",
    };

    return names[type];
}

static bool is_ec(enum key_type type)
{
    return type == KEY_P256 || type == KEY_P384;
}

/* ---- elliptic curves ---- */

static int read_point(struct der *key, enum key_type type, struct public_key *out,
                      struct error *err)
{
    size_t size = key_raw_length(type);
    struct der bits;
    int rc = der_enter_bits(key, "public key", &bits, err);

    if (rc == 0)
        rc = der_end(key, "public key", err);
    if (rc)
        return rc;
    if (bits.left == (size + 1) / 2 && (*bits.p == 2 || *bits.p == 3))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has a compressed key, and certificates here have whole ones");
    if (key_from_raw(type, bits.p, bits.left, out, NULL))
        return error_set(err, ERR_PROTOCOL, WHOSE " has a key of %zu bytes that is no %s point",
                         bits.left, display(type));
    return csr_weak_point(out, display(type), err);
}

static int read_ec(struct der *key, struct der *algorithm, enum key_type type,
                   struct public_key *out, struct error *err)
{
    bool p256 = type == KEY_P256;
    struct der curve;
    int rc;

    if (algorithm->left && *algorithm->p == DER_SEQUENCE)
        return error_set(err, ERR_REFUSED, WHOSE " spells out its curve instead of naming it");
    rc = der_enter(algorithm, DER_OID, "curve", &curve, err);
    if (rc == 0)
        rc = der_end(algorithm, "curve", err);
    if (rc)
        return rc;
    if (!der_is(&curve, p256 ? oid_p256 : oid_p384, p256 ? sizeof oid_p256 : sizeof oid_p384))
        return error_set(err, ERR_REFUSED, WHOSE " has a key on another curve than %s",
                         display(type));
    return read_point(key, type, out, err);
}

/* ---- RSA ---- */

/* Bits of an unsigned INTEGER. */
static size_t bits_of(const struct der *d)
{
    size_t skip = 0, bits;

    while (skip < d->left && d->p[skip] == 0)
        skip++;
    if (skip == d->left)
        return 0;
    bits = (d->left - skip) * 8;
    for (uint8_t top = d->p[skip]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static int read_numbers(struct der *key, struct der *modulus, struct der *exponent,
                        struct error *err)
{
    struct der bits, numbers;
    int rc = der_enter_bits(key, "public key", &bits, err);

    if (rc == 0)
        rc = der_enter(&bits, DER_SEQUENCE, "RSA key", &numbers, err);
    if (rc == 0)
        rc = der_enter(&numbers, DER_INTEGER, "RSA modulus", modulus, err);
    if (rc == 0)
        rc = der_enter(&numbers, DER_INTEGER, "RSA exponent", exponent, err);
    if (rc == 0)
        rc = der_end(&numbers, "RSA key", err);
    if (rc == 0)
        rc = der_end(&bits, "RSA key", err);
    return rc ? rc : der_end(key, "public key", err);
}

static int check_numbers(const struct der *modulus, const struct der *exponent, enum key_type type,
                         struct error *err)
{
    if (bits_of(modulus) < RSA_BITS_MIN)
        return error_set(err, ERR_REFUSED, WHOSE " has an RSA key of %zu bits, which is too short",
                         bits_of(modulus));
    if (!(modulus->p[modulus->left - 1] & 1))
        return error_set(err, ERR_REFUSED, WHOSE " has an RSA key whose modulus is even");
    if (bits_of(exponent) < 17 || !(exponent->p[exponent->left - 1] & 1))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has an RSA key with a weak exponent: even, or below 65537");
    if (!der_is(exponent, "\x01\x00\x01", 3))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has an RSA key with another exponent than 65537");
    if (!key_type_is_rsa(type) || bits_of(modulus) != key_raw_length(type) * 8)
        return error_set(err, ERR_REFUSED,
                         WHOSE " has an RSA key of %zu bits, and this job is for %s keys",
                         bits_of(modulus), display(type));
    return 0;
}

/* What is said of a key that is not wanted tells the engineer what the device made. */
static int read_rsa(struct der *key, struct der *algorithm, enum key_type type,
                    struct public_key *out, struct error *err)
{
    struct der modulus, exponent;
    int rc = read_numbers(key, &modulus, &exponent, err);

    if (rc == 0)
        rc = check_numbers(&modulus, &exponent, type, err);
    if (rc)
        return rc;
    if (!der_is(algorithm, "\x05\x00", 2) || modulus.left < 2 || modulus.p[0] != 0 ||
        key_from_raw(type, modulus.p + 1, modulus.left - 1, out, NULL))
        return error_set(err, ERR_PROTOCOL, WHOSE " has an RSA key that is not in DER");
    return csr_weak_modulus(modulus.p, modulus.left, err);
}

/* ---- Ed25519 ---- */

static int read_ed25519(struct der *key, struct der *algorithm, struct public_key *out,
                        struct error *err)
{
    struct der bits;
    int rc = der_end(algorithm, "key algorithm", err);

    if (rc == 0)
        rc = der_enter_bits(key, "public key", &bits, err);
    if (rc == 0)
        rc = der_end(key, "public key", err);
    if (rc == 0 && key_from_raw(KEY_ED25519, bits.p, bits.left, out, NULL))
        rc = error_set(err, ERR_PROTOCOL, WHOSE " has an Ed25519 key of %zu bytes", bits.left);
    return rc ? rc : csr_weak_ed25519(bits.p, err);
}

int csr_key_read(struct der *d, enum key_type type, struct public_key *out, struct error *err)
{
    struct der key, algorithm, oid;
    int rc = der_enter(d, DER_SEQUENCE, "public key info", &key, err);

    if (rc == 0)
        rc = der_enter(&key, DER_SEQUENCE, "key algorithm", &algorithm, err);
    if (rc == 0)
        rc = der_enter(&algorithm, DER_OID, "key algorithm's name", &oid, err);
    if (rc)
        return rc;
    if (der_is(&oid, oid_rsa, sizeof oid_rsa))
        return read_rsa(&key, &algorithm, type, out, err);
    if (der_is(&oid, oid_ec_key, sizeof oid_ec_key) && is_ec(type))
        return read_ec(&key, &algorithm, type, out, err);
    if (der_is(&oid, oid_ed25519, sizeof oid_ed25519) && type == KEY_ED25519)
        return read_ed25519(&key, &algorithm, out, err);
    return error_set(err, ERR_REFUSED,
                     WHOSE " has a key of another kind than this job, which is for %s keys",
                     display(type));
}
