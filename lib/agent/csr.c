#include "agent/csr.h"

#include "agent/key.h"
#include "agent/transcript.h"
#include "agent/wire.h"

#if IMPRINT_AGENT_WITH_DEVICE_KEY

#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_SEQUENCE   0x30
#define HEAD_MAX       4   /* bytes of a tag and a length below 65,536 */
#define SIG_DER_MAX    104 /* SEQUENCE of two INTEGERs of 33 bytes, of P-384 of 49 */

/* INTEGER 0; SEQUENCE { ecdsa-with-SHA256 }; [0] without attributes. */
static const uint8_t version[] = {DER_INTEGER, 1, 0};
static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t attributes[] = {0xa0, 0};

static void put_head(struct imprint_agent_writer *w, uint32_t tag, size_t len)
{
    imprint_agent_put_u8(w, tag);
    if (len >= 0x100)
        imprint_agent_put_u8(w, 0x82);
    else if (len >= 0x80)
        imprint_agent_put_u8(w, 0x81);
    if (len >= 0x100)
        imprint_agent_put_u8(w, (uint32_t)len >> 8);
    imprint_agent_put_u8(w, (uint32_t)len);
}

bool imprint_agent_is_name(const uint8_t *bytes, size_t len)
{
    uint8_t head[HEAD_MAX];
    struct imprint_agent_writer w;
    size_t contents;

    /* The head that the contents would have: the one of DER, or none. */
    for (contents = len < HEAD_MAX ? 0 : len - HEAD_MAX; contents < len; contents++) {
        imprint_agent_write(&w, head, sizeof head);
        put_head(&w, DER_SEQUENCE, contents);
        if (w.len + contents == len)
            return len <= IMPRINT_SUBJECT_MAX && imprint_agent_equal(head, bytes, w.len);
    }
    return false;
}

/* An unsigned integer of size bytes as DER has it: no zeros in front, unless it would be negative. */
static void put_integer(struct imprint_agent_writer *w, const uint8_t *bytes, size_t size)
{
    size_t skip = 0;
    uint32_t sign;

    while (skip + 1 < size && bytes[skip] == 0)
        skip++;
    sign = bytes[skip] >> 7;
    put_head(w, DER_INTEGER, size - skip + sign);
    if (sign)
        imprint_agent_put_u8(w, 0);
    imprint_agent_put(w, bytes + skip, size - skip);
}

/* The algorithm, and r ‖ s as a BIT STRING with both in a SEQUENCE. */
static void put_signature(struct imprint_agent_writer *w, const uint8_t *oid, size_t oid_len,
                          const uint8_t *sig, size_t half)
{
    uint8_t integers[SIG_DER_MAX];
    struct imprint_agent_writer inner;

    imprint_agent_write(&inner, integers, sizeof integers);
    put_integer(&inner, sig, half);
    put_integer(&inner, sig + half, half);
    imprint_agent_put(w, oid, oid_len);
    put_head(w, DER_BIT_STRING, 1 + 2 + inner.len); /* both heads are short */
    imprint_agent_put_u8(w, 0);
    put_head(w, DER_SEQUENCE, inner.len);
    imprint_agent_put(w, integers, inner.len);
}

/* CertificationRequestInfo */
static void put_info(struct imprint_agent_writer *w, const uint8_t *subject, size_t len,
                     const uint8_t *spki, size_t spki_len)
{
    put_head(w, DER_SEQUENCE, sizeof version + len + spki_len + sizeof attributes);
    imprint_agent_put(w, version, sizeof version);
    imprint_agent_put(w, subject, len);
    imprint_agent_put(w, spki, spki_len);
    imprint_agent_put(w, attributes, sizeof attributes);
}

/* The outer head comes last, right before what it heads. */
static bool finish(const struct imprint_agent_writer *w, struct imprint_agent_csr *out)
{
    struct imprint_agent_writer head;

    out->start = HEAD_MAX - (w->len >= 0x100 ? 4 : w->len >= 0x80 ? 3 : 2);
    imprint_agent_write(&head, out->bytes + out->start, HEAD_MAX);
    put_head(&head, DER_SEQUENCE, w->len);
    out->len = head.len + w->len;
    return !w->bad;
}

bool imprint_agent_csr(const struct imprint_agent *agent, const uint8_t *subject, size_t len,
                       const uint8_t point[IMPRINT_P256_POINT_SIZE],
                       const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE],
                       struct imprint_agent_csr *out)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t digest[IMPRINT_HASH_SIZE], sig[IMPRINT_P256_SIG_SIZE], spki[IMPRINT_SPKI_SIZE];
    struct imprint_agent_writer w;

    imprint_agent_write(&w, out->bytes + HEAD_MAX, sizeof out->bytes - HEAD_MAX);
    imprint_agent_spki(point, spki);
    put_info(&w, subject, len, spki, sizeof spki);
    if (w.bad || !imprint_agent_hash(agent, NULL, w.start, w.len, digest) ||
        !c->p256_sign(c->context, scalar, digest, sig))
        return false;
    put_signature(&w, algorithm, sizeof algorithm, sig, sizeof sig / 2);
    return finish(&w, out);
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* ecdsa-with-SHA384; Ed25519; RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes. */
static const uint8_t ecdsa_sha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t rsa_pss[] = {
    0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30,
    0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
    0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
    0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20};

static void put_plain_signature(struct imprint_agent_writer *w, uint32_t alg, const uint8_t *sig,
                                size_t len)
{
    if (alg == IMPRINT_ALG_ED25519)
        imprint_agent_put(w, ed25519, sizeof ed25519);
    else
        imprint_agent_put(w, rsa_pss, sizeof rsa_pss);
    put_head(w, DER_BIT_STRING, 1 + len);
    imprint_agent_put_u8(w, 0);
    imprint_agent_put(w, sig, len);
}

bool imprint_agent_csr_other(const struct imprint_agent *agent, const uint8_t *subject, size_t len,
                             const struct imprint_agent_private *key, const uint8_t *spki,
                             size_t spki_len, struct imprint_agent_csr *out)
{
    const struct imprint_agent_keys *keys = agent->platform->keys;
    uint8_t sig[IMPRINT_SIG_MAX];
    struct imprint_agent_writer w;
    size_t sig_len;

    imprint_agent_write(&w, out->bytes + HEAD_MAX, sizeof out->bytes - HEAD_MAX);
    put_info(&w, subject, len, spki, spki_len);
    if (w.bad || !keys->sign(keys->context, key->bytes, key->len, w.start, w.len, sig, &sig_len))
        return false;
    if (key->algorithm == IMPRINT_ALG_P384)
        put_signature(&w, ecdsa_sha384, sizeof ecdsa_sha384, sig, sig_len / 2);
    else
        put_plain_signature(&w, key->algorithm, sig, sig_len);
    return finish(&w, out);
}

#endif

#endif
