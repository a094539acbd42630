#include "station/vault/hello.h"

#include "pki/digest.h"
#include "pki/ec.h"
#include "station/vault/symmetric.h"

#include <string.h>

static bool has_suite(const uint16_t *suites, size_t count, uint16_t suite)
{
    for (size_t i = 0; i < count; i++)
        if (suites[i] == suite)
            return true;
    return false;
}

uint16_t hello_suite(const struct vault *v, const struct wire_hello *h)
{
    static const uint16_t best_first[] = {IMPRINT_SUITE_X963, IMPRINT_SUITE_ECB};
    const struct order *order = v->order;

    for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++)
        if (has_suite(h->suites, h->suite_count, best_first[i]) &&
            has_suite(order->suites, order->suite_count, best_first[i]) &&
            hsm_suites(v->hsm) >> best_first[i] & 1)
            return best_first[i];
    return 0;
}

void hello_facts(const struct wire_hello *h, struct link_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->suite_count = h->suite_count;
    memcpy(facts->suites, h->suites, sizeof facts->suites);
    facts->modes = h->modes;
    memcpy(facts->chip_id, h->chip, h->chip_len);
    facts->chip_id_len = h->chip_len;
    strcpy(facts->firmware, h->firmware);
    facts->has_image_hash = h->has_image_hash;
    memcpy(facts->image_hash, h->image_hash, sizeof facts->image_hash);
    facts->debug = h->debug;
    facts->lifecycle = h->lifecycle;
    facts->pinned = h->pinned;
    facts->frame_max = h->max_frame;
    if (h->has_dev_pub)
        facts->dev_pub = link_key_p256(h->dev_pub);
}

void hello_statement(const struct wire_hello *h, struct buf *out)
{
    buf_reset(out);
    if (!h->has_attestation)
        return;
    buf_put_u16(out, IMPRINT_ALG_ECDSA_SHA256);
    buf_put_lp(out, h->attest_key, sizeof h->attest_key);
    buf_put_lp(out, h->attest_sig, sizeof h->attest_sig);
}

void hello_attestation(const struct session *s, enum order_auth auth, struct buf *out)
{
    hello_statement(&s->hello, out);
    if (out->len && auth == ORDER_AUTH_ATTESTED)
        buf_put_lp(out, s->chain.data, s->chain.len);
}

bool hello_fits(const struct wire_hello *h, const struct buf *statement,
                const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct wire_hello then = *h;
    struct link_facts facts;
    struct buf again, message;
    bool fits;

    if (!h->has_attestation || statement->len < sizeof then.attest_sig)
        return false;
    memcpy(then.attest_sig, statement->data + statement->len - sizeof then.attest_sig,
           sizeof then.attest_sig);
    hello_facts(h, &facts);
    buf_init(&again, KEYGEN_ATTESTATION_MAX);
    buf_init(&message, LINK_X_MAX);
    hello_statement(&then, &again); /* the rest of it must be what it is now */
    fits = again.len == statement->len && memcmp(again.data, statement->data, again.len) == 0 &&
           link_attest_message(&facts, nonce, &message, NULL) == 0 &&
           ec_verify(h->attest_key, message.data, message.len, then.attest_sig, NULL) == 0;
    buf_done(&again);
    buf_done(&message);
    return fits;
}

/* The signature over this session's nonce and the device's transport key. */
static int check_statement(const struct session *s, const uint8_t key[IMPRINT_P256_POINT_SIZE],
                           const char *whose, struct error *err)
{
    struct link_facts facts;
    struct buf message;
    int rc;

    hello_facts(&s->hello, &facts);
    buf_init(&message, LINK_X_MAX);
    rc = link_attest_message(&facts, s->nonce, &message, err);
    if (rc == 0 && ec_verify(key, message.data, message.len, s->hello.attest_sig, NULL))
        rc = error_set(err, ERR_SIGNATURE,
                       "the signature of this device's %s does not verify: set it aside", whose);
    buf_done(&message);
    return rc;
}

static int check_enrolled(const struct vault *v, const struct session *s, struct error *err)
{
    const struct wire_hello *h = &s->hello;
    uint8_t spki[EC_SPKI_SIZE], hash[32];

    if (!h->has_attestation)
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "the order asks for enrolled devices and this one has no enrolment key: "
                      "set it aside"));
    ec_spki(h->attest_key, spki);
    sha256(spki, sizeof spki, hash);
    if (!job_is_enrolled(v->job, hash))
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device's enrolment key is not in the order's list: set it aside"));
    return check_statement(s, h->attest_key, "enrolment key", err);
}

/* The key is the one that the checker found in the chain; what the device calls its key must be it. */
static int check_attested(const struct vault *v, const struct session *s, struct error *err)
{
    uint8_t point[IMPRINT_P256_POINT_SIZE];
    int rc;

    if (!s->hello.has_attestation || s->chain.len == 0)
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "the order asks for attested devices and this one shows no certificate of "
                      "its vendor: set it aside"));
    if (!v->attest)
        return error_set(err, ERR_INTERNAL, "the checker of vendor certificates was not started");
    rc = attest_key(v->attest, &s->chain, point, err);
    if (rc)
        return rc;
    if (memcmp(point, s->hello.attest_key, sizeof point))
        return error_set(err, ERR_SIGNATURE,
                         "this device attests itself with another key than its vendor certified: "
                         "set it aside");
    return check_statement(s, point, "attested key", err);
}

/* A locked device has no transport key and needs none: it can only prove again. */
static int check_transport_key(const struct wire_hello *h, struct error *err)
{
    if (h->lifecycle == IMPRINT_LIFE_LOCKED && h->tx_state == IMPRINT_TX_COMMITTED)
        return 0;
    if (h->lifecycle != IMPRINT_LIFE_FACTORY)
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device is locked with an identity of somebody else: set it aside"));
    if (!h->has_dev_pub)
        return error_set(err, ERR_PROTOCOL, "the device offers no transport key");
    return 0;
}

/* Every device has P-256; which others it has, it says. */
static int check_key(const struct vault *v, const struct wire_hello *h, struct error *err)
{
    static const uint32_t modes[KEY_TYPES] = {
        [KEY_P384] = IMPRINT_MODE_P384,
        [KEY_RSA_2048] = IMPRINT_MODE_RSA_2048,
        [KEY_RSA_3072] = IMPRINT_MODE_RSA_3072,
        [KEY_ED25519] = IMPRINT_MODE_ED25519,
    };

    if (modes[v->key] == (h->modes & modes[v->key]))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this device has no keys of type %s, and the job asks for them: its firmware "
                     "was built without",
                     key_type_name(v->key));
}

/* Who makes the key decides what else is needed: a key that stays on the device needs no suite. */
static int check_mode(const struct vault *v, const struct wire_hello *h, struct error *err)
{
    if (v->mode == IMPRINT_MODE_DEVICE) {
        if (h->modes & IMPRINT_MODE_DEVICE)
            return 0;
        return error_set(err, ERR_REFUSED,
                         "this device cannot make its own key, and the job asks for it: its "
                         "firmware was built without");
    }
    if (!hello_suite(v, h))
        return error_set(err, ERR_REFUSED,
                         "device, order and token have no key transport suite in common");
    if (symmetric_is_wanted(v) && !(h->modes & IMPRINT_MODE_DERIVED))
        return error_set(err, ERR_REFUSED,
                         "this device cannot take a symmetric key, and the job asks for it: its "
                         "firmware was built without");
    if (v->mode == IMPRINT_MODE_HSM && !(h->modes & IMPRINT_MODE_HSM))
        return error_set(err, ERR_REFUSED,
                         "this device cannot take a key that was made in the HSM");
    return 0;
}

int hello_check(const struct vault *v, const struct session *s, struct error *err)
{
    const struct wire_hello *h = &s->hello;
    int rc = check_transport_key(h, err);

    if (rc)
        return rc;
    rc = check_mode(v, h, err);
    if (rc == 0)
        rc = check_key(v, h, err);
    if (rc)
        return rc;
    switch (v->order->auth) {
    case ORDER_AUTH_NONE:
        return 0;
    case ORDER_AUTH_ENROLLED:
        return check_enrolled(v, s, err);
    case ORDER_AUTH_ATTESTED:
        return check_attested(v, s, err);
    }
    return error_set(err, ERR_INTERNAL, "an order's device_auth is unknown");
}
