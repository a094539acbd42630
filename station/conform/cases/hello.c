/* HELLO: what a device says of itself, and its attestation. */
#include "station/conform/bench.h"

#include <openssl/x509.h>
#include <string.h>

#define OTHER_KEYS                                                                                 \
    (IMPRINT_MODE_P384 | IMPRINT_MODE_ED25519 | IMPRINT_MODE_RSA_2048 | IMPRINT_MODE_RSA_3072)
#define MODES (IMPRINT_MODE_HSM | IMPRINT_MODE_DEVICE | IMPRINT_MODE_DERIVED)

static int check_suites(const struct link_facts *f, struct error *err)
{
    for (size_t i = 0; i < f->suite_count; i++) {
        if (f->suites[i] == IMPRINT_SUITE_NONE)
            return error_set(err, ERR_PROTOCOL, "the suites include 0, which is none");
        for (size_t k = 0; k < i; k++)
            if (f->suites[k] == f->suites[i])
                return error_set(err, ERR_PROTOCOL, "suite %u is offered twice", f->suites[i]);
    }
    return 0;
}

static int facts(struct bench *b, struct error *err)
{
    const struct link_facts *f = &b->hello.facts;
    int rc = bench_hello(b, err);

    if (rc == 0)
        rc = check_suites(f, err);
    if (rc)
        return rc;
    if ((f->modes & MODES) == 0 || (f->modes & ~(uint32_t)(MODES | OTHER_KEYS)))
        return error_set(err, ERR_PROTOCOL,
                         "the modes are %u: 1, 2, 4 or a sum of them was due, and bits 8 to 11",
                         (unsigned)f->modes);
    if (f->lifecycle != IMPRINT_LIFE_FACTORY && f->lifecycle != IMPRINT_LIFE_LOCKED)
        return error_set(err, ERR_PROTOCOL, "the life cycle is %u: 1 or 2 was due",
                         (unsigned)f->lifecycle);
    if (f->frame_max < IMPRINT_FRAME_MIN)
        return error_set(err, ERR_PROTOCOL, "the frame size is %u: at least %d was due",
                         (unsigned)f->frame_max, IMPRINT_FRAME_MIN);
    return 0;
}

static int transport_key(struct bench *b, struct error *err)
{
    const struct link_key *key = &b->hello.facts.dev_pub;
    EVP_PKEY *parsed = NULL;
    int rc = 0;

    if (b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED)
        return key->alg == IMPRINT_ALG_NONE && key->len == 0
                   ? 0
                   : error_set(err, ERR_PROTOCOL, "a locked device shows a transport key");
    if (key->alg != IMPRINT_ALG_P256 || key->len != EC_POINT_SIZE ||
        ec_public_key(key->bytes, &parsed, NULL))
        rc = error_set(err, ERR_PROTOCOL,
                       "the transport key is not algorithm 0x0101 and a point on P-256");
    EVP_PKEY_free(parsed);
    return rc;
}

static int same_facts(const struct link_hello *a, const struct link_hello *b, struct error *err)
{
    uint8_t one[IMPRINT_HASH_SIZE], two[IMPRINT_HASH_SIZE];
    int rc = link_facts_hash(&a->facts, one, err);

    if (rc == 0)
        rc = link_facts_hash(&b->facts, two, err);
    if (rc == 0 && memcmp(one, two, sizeof one))
        rc = error_set(err, ERR_PROTOCOL, "the facts of two HELLOs differ");
    return rc;
}

static int facts_constant(struct bench *b, struct error *err)
{
    struct link_hello first = b->hello;
    int rc = bench_hello(b, err); /* another nonce */

    return rc ? rc : same_facts(&first, &b->hello, err);
}

static int repeat(struct bench *b, struct error *err)
{
    struct link_hello first = b->hello, again;
    int rc;

    b->client.sequence--; /* as after a reply that was lost */
    rc = link_client_hello(&b->client, b->nonce, &again, err);
    if (rc == 0)
        rc = same_facts(&first, &again, err);
    if (rc == 0 && (first.state != again.state || first.commit_count != again.commit_count ||
                    memcmp(first.transaction, again.transaction, sizeof first.transaction)))
        rc = error_set(err, ERR_PROTOCOL, "the repeat of HELLO reports another transaction");
    return rc;
}

static int attestation(struct bench *b, struct error *err)
{
    const struct link_hello *h = &b->hello;
    struct buf message;
    int rc;

    if (h->attest_key.alg != IMPRINT_ALG_P256 || h->attest_key.len != EC_POINT_SIZE ||
        h->attest_sig.alg != IMPRINT_ALG_ECDSA_SHA256 || h->attest_sig.len != EC_SIG_SIZE)
        return error_set(err, ERR_PROTOCOL, "key and signature are not those of 0x0101 and 0x0201");
    buf_init(&message, LINK_X_MAX);
    rc = link_attest_message(&h->facts, b->nonce, &message, err);
    if (rc == 0 &&
        ec_verify(h->attest_key.bytes, message.data, message.len, h->attest_sig.bytes, NULL))
        rc = error_set(err, ERR_PROTOCOL,
                       "the signature does not verify over this HELLO's nonce and facts");
    buf_done(&message);
    return rc;
}

/* The first certificate is for the enrolment key, and nothing but certificates follows. */
static int check_chain(const struct link_hello *h, const struct buf *chain, struct error *err)
{
    const uint8_t *at = chain->data, *end = chain->data + chain->len;
    uint8_t point[EC_POINT_SIZE];
    bool first = true;

    while (at < end) {
        X509 *cert = d2i_X509(NULL, &at, end - at);
        bool good = cert && (!first || (ec_point(X509_get0_pubkey(cert), point, NULL) == 0 &&
                                        memcmp(point, h->attest_key.bytes, sizeof point) == 0));

        if (!good) {
            bool read = cert != NULL;

            X509_free(cert);
            return error_set(err, ERR_PROTOCOL,
                             read ? "the first certificate is not for the enrolment key"
                                  : "the chain is not certificates one after the other");
        }
        X509_free(cert);
        first = false;
    }
    return 0;
}

static int chain(struct bench *b, struct error *err)
{
    struct buf bytes;
    int rc;

    buf_init(&bytes, IMPRINT_CHAIN_MAX);
    rc = link_client_read_chain(&b->client, &bytes, err);
    if (rc == 0 && bytes.len != b->hello.chain_len)
        rc = error_set(err, ERR_PROTOCOL, "the chain has %zu bytes, HELLO said %u", bytes.len,
                       (unsigned)b->hello.chain_len);
    if (rc == 0)
        rc = check_chain(&b->hello, &bytes, err);
    buf_done(&bytes);
    return rc;
}

const struct conform_case cases_hello[] = {
    {"facts", "3", 0, "HELLO answers with facts as the CDDL has them.", facts},
    {"transport-key", "3", 0,
     "HELLO shows a transport key on P-256, or none when the device is locked.", transport_key},
    {"facts-constant", "6", 0, "The facts hold nothing that changes while a transport key lives.",
     facts_constant},
    {"hello-repeat", "1", 0, "The same HELLO again gets the same answer.", repeat},
    {"attestation", "5", NEED_ATTESTATION,
     "The enrolment key signs suites, this HELLO's nonce, chip id, transport key and life cycle.",
     attestation},
    {"chain", "5", NEED_CHAIN,
     "READ gives the vendor's chain in the length that HELLO said, the enrolment key's "
     "certificate first.",
     chain},
    {NULL, NULL, 0, NULL, NULL}};
