#include "agent/csr.h"

#include "agent/key.h"
#include "agent/transcript.h"
#include "agent/wire.h"

#if IMPRINT_AGENT_WITH_DEVICE_KEY

#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_SEQUENCE   0x30
#define HEAD_MAX       4  /* bytes of a tag and a length below 65,536 */
#define SIG_DER_MAX    72 /* SEQUENCE of two INTEGERs of 33 bytes */
#define INT_SIZE       32 /* half a signature */

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

/* An unsigned integer of 32 bytes as DER has it: no zeros in front, unless it would be negative. */
static void put_integer(struct imprint_agent_writer *w, const uint8_t *bytes)
{
    size_t skip = 0;
    uint32_t sign;

    while (skip + 1 < INT_SIZE && bytes[skip] == 0)
        skip++;
    sign = bytes[skip] >> 7;
    put_head(w, DER_INTEGER, INT_SIZE - skip + sign);
    if (sign)
        imprint_agent_put_u8(w, 0);
    imprint_agent_put(w, bytes + skip, INT_SIZE - skip);
}

static void put_signature(struct imprint_agent_writer *w, const uint8_t sig[IMPRINT_P256_SIG_SIZE])
{
    uint8_t integers[SIG_DER_MAX];
    struct imprint_agent_writer inner;

    imprint_agent_write(&inner, integers, sizeof integers);
    put_integer(&inner, sig);
    put_integer(&inner, sig + INT_SIZE);
    imprint_agent_put(w, algorithm, sizeof algorithm);
    put_head(w, DER_BIT_STRING, 1 + 2 + inner.len); /* both heads are short */
    imprint_agent_put_u8(w, 0);
    put_head(w, DER_SEQUENCE, inner.len);
    imprint_agent_put(w, integers, inner.len);
}

/* CertificationRequestInfo */
static void put_info(struct imprint_agent_writer *w, const uint8_t *subject, size_t len,
                     const uint8_t point[IMPRINT_P256_POINT_SIZE])
{
    uint8_t spki[IMPRINT_SPKI_SIZE];

    imprint_agent_spki(point, spki);
    put_head(w, DER_SEQUENCE, sizeof version + len + sizeof spki + sizeof attributes);
    imprint_agent_put(w, version, sizeof version);
    imprint_agent_put(w, subject, len);
    imprint_agent_put(w, spki, sizeof spki);
    imprint_agent_put(w, attributes, sizeof attributes);
}

bool imprint_agent_csr(const struct imprint_agent *agent, const uint8_t *subject, size_t len,
                       const uint8_t point[IMPRINT_P256_POINT_SIZE],
                       const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE],
                       struct imprint_agent_csr *out)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t digest[IMPRINT_HASH_SIZE], sig[IMPRINT_P256_SIG_SIZE];
    struct imprint_agent_writer w, head;

    /* The outer head comes last, right before what it heads. */
    imprint_agent_write(&w, out->bytes + HEAD_MAX, sizeof out->bytes - HEAD_MAX);
    put_info(&w, subject, len, point);
    if (w.bad || !imprint_agent_hash(agent, NULL, w.start, w.len, digest) ||
        !c->p256_sign(c->context, scalar, digest, sig))
        return false;
    put_signature(&w, sig);
    out->start = HEAD_MAX - (w.len >= 0x100 ? 4 : 3);
    imprint_agent_write(&head, out->bytes + out->start, HEAD_MAX);
    put_head(&head, DER_SEQUENCE, w.len);
    out->len = head.len + w.len;
    return !w.bad;
}

#endif
