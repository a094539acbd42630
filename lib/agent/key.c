#include "agent/key.h"

#include "agent/slots.h"
#include "agent/transcript.h"
#include "agent/wire.h"

#include <string.h>

#define DER_INTEGER      0x02
#define DER_OCTET_STRING 0x04
#define DER_SEQUENCE     0x30
#define DER_CONTEXT_0    0xa0

#define WRAP_BLOCK  8  /* semiblock of RFC 3394 */
#define TAIL_MAX    7  /* zero bytes that some HSMs put after a PKCS#8 key */
#define HEADER_MAX  6  /* the longest DER tag and length that is read */
#define SPKI_PREFIX 26 /* bytes of a SubjectPublicKeyInfo before its point */
#define ALG_ID_AT   2  /* where the AlgorithmIdentifier begins in it ... */
#define ALG_ID_SIZE 21 /* ... and its length */

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING ... } up to the point. */
static const uint8_t spki_prefix[SPKI_PREFIX] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

static const uint8_t p256_order[IMPRINT_P256_SCALAR_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

bool imprint_agent_scalar_valid(const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    uint32_t borrow = 0, any = 0;
    int i;

    /* Subtracts without a branch that depends on the key. */
    for (i = IMPRINT_P256_SCALAR_SIZE - 1; i >= 0; i--) {
        borrow = ((uint32_t)scalar[i] - p256_order[i] - borrow) >> 31;
        any |= scalar[i];
    }
    return borrow == 1 && any != 0;
}

void imprint_agent_spki(const uint8_t point[IMPRINT_P256_POINT_SIZE],
                        uint8_t spki[IMPRINT_SPKI_SIZE])
{
    memcpy(spki, spki_prefix, SPKI_PREFIX);
    memcpy(spki + SPKI_PREFIX, point, IMPRINT_P256_POINT_SIZE);
}

static bool derive(const struct imprint_agent *agent, uint32_t suite, uint8_t z[32 + 4 + 32],
                   const uint8_t context[32], uint8_t kek[IMPRINT_KEK_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;

    if (suite == IMPRINT_SUITE_ECB)
        return c->aes256_encrypt(c->context, z, context, kek) &&
               c->aes256_encrypt(c->context, z, context + 16, kek + 16);
    /* One block of X9.63 is enough: Z, a counter of 1, SharedInfo. */
    imprint_agent_store_u32(z + 32, 1);
    memcpy(z + 36, context, 32);
    return imprint_agent_hash(agent, NULL, z, 68, kek);
}

enum imprint_status imprint_agent_kek(struct imprint_agent *agent, uint8_t kek[IMPRINT_KEK_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    const struct imprint_agent_record *record = &agent->slot[agent->open].record;
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE], z[32 + 4 + 32];
    bool ok;

    if (!imprint_agent_key_read(agent, scalar))
        return IMPRINT_ERR_STORE;
    ok = c->p256_ecdh(c->context, scalar, record->station, z) &&
         derive(agent, imprint_agent_load_u16(record->suite), z, record->context, kek);
    imprint_agent_wipe(scalar, sizeof scalar);
    imprint_agent_wipe(z, sizeof z);
    return ok ? IMPRINT_OK : IMPRINT_ERR_KEY;
}

/* The number of a step of RFC 3394 is one byte for the lengths that are unwrapped here, two with other
 * keys. */
#if IMPRINT_AGENT_WITH_OTHER_KEYS
#define WRAPPED_MAX IMPRINT_WRAPPED_OTHER_MAX
#define STEPS_MAX   65536
#else
#define WRAPPED_MAX IMPRINT_WRAPPED_KEY_MAX
#define STEPS_MAX   256
#endif
typedef char step_is_short[6 * (WRAPPED_MAX / WRAP_BLOCK - 1) < STEPS_MAX ? 1 : -1];

bool imprint_agent_unwrap(const struct imprint_agent_crypto *crypto,
                          const uint8_t kek[IMPRINT_KEK_SIZE], uint8_t *blob, size_t len,
                          const uint8_t **plain, size_t *plain_len)
{
    static const uint8_t aiv[4] = {0xa6, 0x59, 0x59, 0xa6};
    uint32_t n = (uint32_t)(len / WRAP_BLOCK) - 1, step, padding;
    uint8_t block[2 * WRAP_BLOCK], *r; /* A | R of RFC 3394 */
    bool ok = true;

    /* One semiblock has a form of its own in RFC 5649 and is too short for any key. */
    if (len % WRAP_BLOCK != 0 || len < (size_t)3 * WRAP_BLOCK || len > WRAPPED_MAX)
        return false;
    memcpy(block, blob, WRAP_BLOCK);
    for (step = 6 * n; ok && step > 0; step--) {
        r = blob + (size_t)WRAP_BLOCK * (1 + (step - 1) % n);
        memcpy(block + WRAP_BLOCK, r, WRAP_BLOCK);
        block[WRAP_BLOCK - 1] = (uint8_t)(block[WRAP_BLOCK - 1] ^ step);
#if IMPRINT_AGENT_WITH_OTHER_KEYS
        block[WRAP_BLOCK - 2] = (uint8_t)(block[WRAP_BLOCK - 2] ^ step >> 8);
#endif
        ok = crypto->aes256_decrypt(crypto->context, kek, block, block);
        memcpy(r, block + WRAP_BLOCK, WRAP_BLOCK);
    }
    *plain = blob + WRAP_BLOCK;
    *plain_len = imprint_agent_load_u32(block + 4);
    padding = n * WRAP_BLOCK - (uint32_t)*plain_len;
    ok = ok && imprint_agent_equal(block, aiv, sizeof aiv) && padding < WRAP_BLOCK;
    while (ok && padding > 0)
        ok = blob[len - padding--] == 0;
    imprint_agent_wipe(block, sizeof block);
    return ok;
}

/* Reads a DER tag and length. Lengths above 65,535 and longer forms than needed are refused. */
static uint32_t der_head(struct imprint_agent_reader *r, uint8_t tag)
{
    const uint8_t *head = imprint_agent_take(r, 2), *more;
    uint32_t length = 0, width, i;

    if (!head || head[0] != tag) {
        r->bad = true;
        return 0;
    }
    if (head[1] < 0x80)
        return head[1];
    width = head[1] & 0x7fu;
    more = imprint_agent_take(r, width);
    for (i = 0; more && i < width; i++)
        length = length << 8 | more[i];
    if (width > 2 || length < (width == 1 ? 0x80u : 0x100u))
        r->bad = true;
    return r->bad ? 0 : length;
}

/* Steps into an element: what remains of r is what follows it. */
static struct imprint_agent_reader der_enter(struct imprint_agent_reader *r, uint8_t tag)
{
    struct imprint_agent_reader inner;
    uint32_t length = der_head(r, tag);

    imprint_agent_read(&inner, imprint_agent_take(r, length), length);
    inner.bad = r->bad;
    return inner;
}

static bool der_is(struct imprint_agent_reader *r, const uint8_t *expected, size_t len)
{
    const uint8_t *at = imprint_agent_take(r, len);

    return at && memcmp(at, expected, len) == 0;
}

bool imprint_agent_pkcs8(const uint8_t *der, size_t len, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    static const uint8_t version_0[3] = {DER_INTEGER, 1, 0};
    static const uint8_t version_1[3] = {DER_INTEGER, 1, 1};
    struct imprint_agent_reader all, info, octets, key, d;

    imprint_agent_read(&all, der, len);
    info = der_enter(&all, DER_SEQUENCE);
    if (!der_is(&info, version_0, sizeof version_0) ||
        !der_is(&info, spki_prefix + ALG_ID_AT, ALG_ID_SIZE))
        return false;
    octets = der_enter(&info, DER_OCTET_STRING);
    key = der_enter(&octets, DER_SEQUENCE);
    if (octets.left != 0 || !der_is(&key, version_1, sizeof version_1))
        return false;
    /* What follows the scalar (parameters, a public key, attributes) is not believed, so not read.
     */
    d = der_enter(&key, DER_OCTET_STRING);
    if (d.bad || d.left != IMPRINT_P256_SCALAR_SIZE || all.left > TAIL_MAX)
        return false;
    for (; all.left > 0; all.left--)
        if (*all.p++ != 0)
            return false;
    memcpy(scalar, d.p, IMPRINT_P256_SCALAR_SIZE);
    return imprint_agent_scalar_valid(scalar);
}

/* A position in an object that lies in flash, for a walk that reads only heads. */
struct walk {
    struct imprint_agent *agent;
    int object;
    uint32_t at;
    uint32_t end;
    bool bad;
};

/* Reads a head; at is then its contents, the result their length, 0 once the walk is bad. */
static uint32_t walk_head(struct walk *w, uint8_t tag)
{
    uint8_t bytes[HEADER_MAX];
    struct imprint_agent_reader r;
    uint32_t length, left = w->end - w->at;

    if (left > sizeof bytes)
        left = sizeof bytes;
    if (w->bad ||
        !imprint_agent_object_load(w->agent, w->agent->open, w->object, w->at, bytes, left)) {
        w->bad = true;
        return 0;
    }
    imprint_agent_read(&r, bytes, left);
    length = der_head(&r, tag);
    w->at += (uint32_t)(r.p - bytes);
    if (r.bad || length > w->end - w->at)
        w->bad = true;
    return w->bad ? 0 : length;
}

/* Steps into an element: the walk then ends where it ends. */
static void walk_enter(struct walk *w, uint8_t tag)
{
    uint32_t length = walk_head(w, tag);

    w->end = w->at + length;
}

static void walk_skip(struct walk *w, uint8_t tag)
{
    uint32_t length = walk_head(w, tag);

    w->at += length;
}

bool imprint_agent_leaf(struct imprint_agent *agent, int i, uint32_t *leaf_len, uint8_t *spki,
                        size_t spki_len)
{
    /* serialNumber, signature, issuer, validity, subject */
    static const uint8_t before_key[] = {DER_INTEGER, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE,
                                         DER_SEQUENCE};
    struct walk w = {NULL, 0, 0, 0, false};
    uint8_t tag = 0;
    size_t k;

    w.agent = agent;
    w.object = i;
    w.end = agent->slot[agent->open].held[i];
    walk_enter(&w, DER_SEQUENCE); /* Certificate */
    *leaf_len = w.end;
    walk_enter(&w, DER_SEQUENCE); /* TBSCertificate */
    if (w.bad || !imprint_agent_object_load(agent, agent->open, i, w.at, &tag, 1))
        return false;
    if (tag == DER_CONTEXT_0) /* version; absent in version 1 */
        walk_skip(&w, DER_CONTEXT_0);
    for (k = 0; k < sizeof before_key; k++)
        walk_skip(&w, before_key[k]);
    /* Who calls compares it with the one encoding that its own key has. */
    return !w.bad && w.end - w.at >= spki_len &&
           imprint_agent_object_load(agent, agent->open, i, w.at, spki, spki_len);
}
