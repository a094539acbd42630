/* Nonces and proofs of possession: what the vault takes for one, and what it does not (P4). */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

START_TEST(a_second_nonce_kills_the_first)
{
    uint8_t first[IMPRINT_NONCE_SIZE], second[IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l;
    struct device d;
    struct wire_proof p;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_nonce(&l, first));
    ASSERT_ANSWER(&l, line_nonce(&l, second));
    ck_assert_mem_ne(first, second, sizeof first);
    p = device_prove(&d, first);
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROOF, "PUMP-000001");
    ck_assert_int_eq(rig_records(&r), 0);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_nonce_is_journalled_before_it_leaves_and_forgotten_once_used)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l;
    struct device d;
    struct wire_proof p;

    rig_start(&r, &lock_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    ck_assert_int_eq(rig_int(&r, "SELECT prove_nonce IS NOT NULL FROM claims"), 1);
    p = device_prove(&d, nonce);
    ASSERT_ANSWER(&l, line_proof(&l, &p, &verdict)); /* LOCK_FIRST: the proof was good */
    ck_assert_int_eq(rig_int(&r, "SELECT prove_nonce IS NULL FROM claims"), 1);
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROTOCOL, "out of order");
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROOF, "did not prove"); /* replayed */
    ck_assert_int_eq(rig_int(&r, "SELECT prove_nonce IS NULL FROM claims"), 1);
    ck_assert_int_eq(rig_records(&r), 0);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* One thing wrong with a proof that is otherwise good. d may be changed; it is not used again. */
static void by_another_key(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");

    *p = device_sign(d, other, nonce);
    EVP_PKEY_free(other);
}

static void lifecycle_after_signing(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    p->lifecycle = IMPRINT_LIFE_LOCKED;
}

static void lifecycle_that_nobody_knows(struct device *d, const uint8_t *nonce,
                                        struct wire_proof *p)
{
    d->lifecycle = 7;
    *p = device_prove(d, nonce);
}

static void no_lifecycle(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    d->lifecycle = 0;
    *p = device_prove(d, nonce);
}

static void commit_count_after_signing(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    p->commit_count++;
}

static void over_another_nonce(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    uint8_t other[IMPRINT_NONCE_SIZE];

    memcpy(other, nonce, sizeof other);
    other[31] ^= 1;
    *p = device_prove(d, other);
}

static void over_another_transcript(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    d->x.data[d->x.len - 1] ^= 1;
    *p = device_prove(d, nonce);
}

static void over_another_leaf(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    uint8_t read_back[32];

    sha256(d->certificates.data, d->certificates.len, read_back);
    d->certificates.data[10] ^= 1;
    *p = device_prove(d, nonce);
    memcpy(p->read_back, read_back, sizeof read_back);
}

static void another_certificate_read(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    sha256(d->certificates.data, d->leaf_len, p->read_back); /* the leaf without its issuer */
}

static void nothing_read(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    memset(p->read_back, 0, sizeof p->read_back);
}

static void flipped(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    p->sig[63] ^= 1;
}

static void of_zeros(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    memset(p->sig, 0, sizeof p->sig);
}

static void of_ones(struct device *d, const uint8_t *nonce, struct wire_proof *p)
{
    *p = device_prove(d, nonce);
    memset(p->sig, 0xff, sizeof p->sig);
}

static void (*const bad_proofs[])(struct device *, const uint8_t *, struct wire_proof *) = {
    by_another_key,
    lifecycle_after_signing,
    lifecycle_that_nobody_knows,
    no_lifecycle,
    commit_count_after_signing,
    over_another_nonce,
    over_another_transcript,
    over_another_leaf,
    another_certificate_read,
    nothing_read,
    flipped,
    of_zeros,
    of_ones,
};

START_TEST(a_proof_with_one_thing_wrong_whitelists_nothing)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l;
    struct device d;
    struct wire_proof p;
    int64_t changes;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    changes = rig_changes(&r);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    bad_proofs[_i](&d, nonce, &p);
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROOF, "set it aside");
    ck_assert_int_eq(rig_changes(&r), changes);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_CLAIMED), 1);
    ck_assert_int_eq(rig_int(&r, "SELECT prove_nonce IS NULL FROM claims"), 1);
    ASSERT_REFUSED(&l, line_nonce(&l, nonce), ERR_PROTOCOL, "out of order");
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(after_a_failed_proof_the_device_may_come_again)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l;
    struct device d;
    struct wire_proof p;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    by_another_key(&d, nonce, &p);
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROOF, "did not prove");
    ASSERT_ANSWER(&l, line_result(&l, 23, "did not prove"));
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_PROVE);
    pass(&l, &d);
    ck_assert_int_eq(rig_claims(&r), 1);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_proof_of_one_device_is_none_of_another)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l, m;
    struct device d, e;
    struct wire_proof p;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    line_init(&m, &r);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    deliver(&l, &d);
    deliver(&m, &e);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    p = device_prove(&e, nonce);
    ASSERT_REFUSED(&l, line_proof(&l, &p, &verdict), ERR_PROOF, "did not prove");
    pass(&m, &e);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

RIG_MAIN("proof", ONCE(a_second_nonce_kills_the_first),
         ONCE(a_nonce_is_journalled_before_it_leaves_and_forgotten_once_used),
         EACH_ROW(a_proof_with_one_thing_wrong_whitelists_nothing, bad_proofs),
         ONCE(after_a_failed_proof_the_device_may_come_again),
         ONCE(a_proof_of_one_device_is_none_of_another))
