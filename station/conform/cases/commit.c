/* COMMIT: everything that it has to check before an identity is in force. */
#include "station/conform/bench.h"

#include "station/conform/certificate.h"
#include "station/conform/wrap.h"

#include <string.h>

#define PLAIN_VERSION 4  /* where PKCS#8 has its version, in bundle_plain's form, */
#define PLAIN_CURVE   25 /* the last byte of prime256v1, */
#define PLAIN_SCALAR  35 /* and the scalar */

/* What was prepared is delivered and must be refused; no identity of it may be in force then. */
static int refuse(struct bench *b, unsigned statuses, struct error *err)
{
    int rc = bench_deliver(b, err);

    if (rc == 0)
        rc = bench_commit_refused(b, statuses, err);
    return rc ? rc : bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
}

static int early(struct bench *b, struct error *err)
{
    struct link_held held;
    const struct link_object *last;
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc)
        return rc;
    last = &b->bundle->rows[b->bundle->begin.object_count - 1];
    b->bundle->begin.object_count--; /* all but the last */
    rc = bench_put_all(b, NULL, err);
    b->bundle->begin.object_count++;
    if (rc == 0)
        rc = bench_commit_refused(b, STATUS(STATE), err);
    return rc ? rc
              : link_client_put_object(&b->client, b->bundle->begin.transaction, last->type,
                                       b->bundle->bytes[last->type].data, last->length, 0, err);
}

static int hash(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    b->bundle->bytes[IMPRINT_OBJ_TRUST_ANCHORS].data[40] ^= 1;
    return refuse(b, STATUS(BUNDLE), err);
}

/* After a COMMIT that failed BEGIN starts the objects over. */
static int starts_over(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = hash(b, err);

    if (rc == 0)
        rc = bench_commit_refused(b, STATUS(STATE), err);
    if (rc == 0)
        rc = bench_begin(b, &held, err);
    return rc ? rc : bench_holds_nothing(&held, "after the COMMIT that failed", err);
}

static int wrapped(struct bench *b, uint32_t mode, uint16_t type, struct error *err)
{
    int rc = bench_prepare(b, mode, bench_suite(b, mode), err);

    if (rc)
        return rc;
    b->bundle->bytes[type].data[9] ^= 1;
    return refuse(b, STATUS(KEY), err);
}

static int wrapped_private(struct bench *b, struct error *err)
{
    return wrapped(b, IMPRINT_MODE_HSM, IMPRINT_OBJ_PRIVATE_KEY, err);
}

static int wrapped_symmetric(struct bench *b, struct error *err)
{
    return wrapped(b, IMPRINT_MODE_DERIVED, IMPRINT_OBJ_SYMMETRIC_KEY, err);
}

/* The certificate is for the owner's key, everything else as it should be. */
static int other_certificate(struct bench *b, uint32_t mode, struct error *err)
{
    uint16_t suite = bench_suite(b, mode);
    uint8_t point[EC_POINT_SIZE];
    struct buf *certificates;
    int rc = bench_prepare(b, mode, suite, err);

    if (rc == 0)
        rc = ec_point(b->provider.owner, point, err);
    if (rc)
        return rc;
    certificates = &b->bundle->bytes[IMPRINT_OBJ_CERTIFICATES];
    buf_reset(certificates);
    rc = certificate_put(certificates, point, b->bundle->serial, b->provider.ca, err);
    if (rc == 0)
        rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, suite, err);
    return rc ? rc : refuse(b, STATUS(KEY), err);
}

static int certificate(struct bench *b, struct error *err)
{
    return other_certificate(b, IMPRINT_MODE_HSM, err);
}

static int made_certificate(struct bench *b, struct error *err)
{
    return other_certificate(b, IMPRINT_MODE_DEVICE, err);
}

/* A row's hash is another one, in X as well. */
static int announced(struct bench *b, uint32_t mode, uint16_t type, unsigned statuses,
                     struct error *err)
{
    int rc = bench_prepare(b, mode, bench_suite(b, mode), err);

    if (rc)
        return rc;
    bundle_row(b->bundle, type)->hash[0] ^= 1;
    rc = bundle_seal(b->bundle, &b->provider, &b->hello, err);
    return rc ? rc : refuse(b, statuses, err);
}

static int public_key_hash(struct bench *b, struct error *err)
{
    return announced(b, IMPRINT_MODE_HSM, IMPRINT_OBJ_PRIVATE_KEY, STATUS(KEY) | STATUS(BUNDLE),
                     err);
}

static int check_value(struct bench *b, struct error *err)
{
    return announced(b, IMPRINT_MODE_DERIVED, IMPRINT_OBJ_SYMMETRIC_KEY, STATUS(KEY), err);
}

/* ---- PKCS#8 ---- */

struct plain {
    const char *what;
    size_t at; /* a byte that is changed, */
    uint8_t xor_with;
    size_t tail;  /* and zeros after the DER, */
    uint8_t last; /* of which the last is this */
};

static int refuse_plain(struct bench *b, const struct plain *p, struct error *err)
{
    struct bundle *bundle;
    int rc = bench_reset(b, err);

    if (rc == 0)
        rc = bench_prepare(b, IMPRINT_MODE_HSM, bench_suite(b, IMPRINT_MODE_HSM), err);
    if (rc)
        return rc;
    bundle = b->bundle;
    rc = bundle_plain(bundle, NULL, err);
    for (size_t i = 0; i < p->tail; i++)
        buf_put_u8(&bundle->plain, i + 1 == p->tail ? p->last : 0);
    if (rc == 0)
        rc = buf_check(&bundle->plain, "PKCS#8", err);
    if (rc)
        return rc;
    bundle->plain.data[p->at] ^= p->xor_with;
    bundle_row(bundle, IMPRINT_OBJ_PRIVATE_KEY)->length = (uint32_t)wrap_size(bundle->plain.len);
    rc = bundle_seal(bundle, &b->provider, &b->hello, err);
    if (rc == 0)
        rc = refuse(b, STATUS(KEY), err);
    return rc ? error_prefix(err, "PKCS#8 with %s", p->what) : 0;
}

static int pkcs8(struct bench *b, struct error *err)
{
    static const struct plain plains[] = {
        {"version 1", PLAIN_VERSION, 1, 5, 0},
        {"another curve", PLAIN_CURVE, 1, 5, 0},
        {"eight zeros after it", PLAIN_VERSION, 0, 8, 0},
        {"a byte after it that is not zero", PLAIN_VERSION, 0, 5, 1},
        {"another scalar", PLAIN_SCALAR + 31, 1, 5, 0},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof plains / sizeof *plains; i++)
        rc = refuse_plain(b, &plains[i], err);
    return rc;
}

static int refuse_scalar(struct bench *b, const uint8_t *scalar, const char *what,
                         struct error *err)
{
    int rc = bench_reset(b, err);

    if (rc == 0)
        rc = bench_prepare(b, IMPRINT_MODE_HSM, bench_suite(b, IMPRINT_MODE_HSM), err);
    if (rc == 0)
        rc = bundle_plain(b->bundle, scalar, err);
    if (rc)
        return rc;
    buf_put(&b->bundle->plain, "\0\0\0\0\0", 5);
    rc = bundle_seal(b->bundle, &b->provider, &b->hello, err);
    if (rc == 0)
        rc = refuse(b, STATUS(KEY), err);
    return rc ? error_prefix(err, "a scalar of %s", what) : 0;
}

static int scalar(struct bench *b, struct error *err)
{
    static const uint8_t zero[IMPRINT_P256_SCALAR_SIZE];
    static const uint8_t order[IMPRINT_P256_SCALAR_SIZE] = {
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
        0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    int rc = refuse_scalar(b, zero, "0", err);

    return rc ? rc : refuse_scalar(b, order, "the group's order", err);
}

/* ---- signed objects ---- */

static bool left_out(int rc, struct error *err)
{
    if (rc != ERR_REFUSED || err->native != IMPRINT_ERR_SUITE)
        return false;
    (void)error_set(err, ERR_NONE, "the firmware leaves configurations out");
    return true;
}

static int configuration(struct bench *b, struct error *err)
{
    uint32_t mode = bench_mode(b);
    struct buf *object;
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = bundle_configure(b->bundle, &b->provider, err);
    if (rc)
        return rc;
    object = &b->bundle->bytes[IMPRINT_OBJ_CONFIGURATION];
    object->data[object->len - 2] ^= 1; /* of the contents: announced as it is, signed as it was */
    rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, bench_suite(b, mode), err);
    if (rc == 0)
        rc = refuse(b, STATUS(SIGNATURE), err);
    return left_out(rc, err) ? CASE_SKIP : rc;
}

static int decommission_key(struct bench *b, struct error *err)
{
    struct buf *object;
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    object = &b->bundle->bytes[IMPRINT_OBJ_DECOMMISSION_KEY];
    object->data[22] ^= 1; /* in the identifier of the curve */
    rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, b->bundle->begin.suite, err);
    return rc ? rc : refuse(b, STATUS(BUNDLE), err);
}

#define BELIEVED (NEED_CHANGE | NEED_READY | NEED_BELIEF)

const struct conform_case cases_commit[] = {
    {"commit-early", "5", BELIEVED,
     "COMMIT before all objects are whole is answered with STATE, and PUT goes on.", early},
    {"commit-hash", "5", BELIEVED,
     "COMMIT of an object that is not what BEGIN announced is answered with BUNDLE.", hash},
    {"commit-starts-over", "5", BELIEVED,
     "After a COMMIT that failed COMMIT is answered with STATE, until BEGIN came again and nothing "
     "is held.",
     starts_over},
    {"commit-wrapped-key", "5", BELIEVED | NEED_HSM,
     "A private key that does not unwrap is answered with KEY.", wrapped_private},
    {"commit-certificate", "5", BELIEVED | NEED_HSM,
     "A private key that is not the leaf certificate's is answered with KEY.", certificate},
    {"commit-made-certificate", "5", BELIEVED | NEED_DEVICE,
     "A certificate that is not for the key that KEYGEN made is answered with KEY.",
     made_certificate},
    {"commit-public-key", "5", BELIEVED | NEED_HSM,
     "A certificate whose public key is not the announced one is answered with KEY or BUNDLE.",
     public_key_hash},
    {"commit-pkcs8", "6", BELIEVED | NEED_HSM,
     "PKCS#8 that is not the one form of section 6 is answered with KEY.", pkcs8},
    {"commit-scalar", "6", BELIEVED | NEED_HSM,
     "A scalar of 0, or not below the order of the group, is answered with KEY.", scalar},
    {"commit-wrapped-symmetric", "5", BELIEVED | NEED_DERIVED,
     "A symmetric key that does not unwrap is answered with KEY.", wrapped_symmetric},
    {"commit-check-value", "5", BELIEVED | NEED_DERIVED,
     "A symmetric key whose check value is not the announced one is answered with KEY.",
     check_value},
    {"commit-configuration", "5", BELIEVED,
     "A configuration whose signature does not verify is answered with SIGNATURE.", configuration},
    {"commit-decommission-key", "5", BELIEVED | NEED_DECOMMISSION,
     "A DECOMMISSION_KEY that is not on P-256 is answered with BUNDLE.", decommission_key},
    {NULL, NULL, 0, NULL, NULL}};
