/* A line that was taken over, and devices made to harm: what they can get, and what they cannot. */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

/* ---- two channels, one identity ---- */

/* A line opens two channels for one device; each asks for a proof before the other gives one. */
START_TEST(two_proofs_of_one_claim_make_one_record)
{
    uint8_t nonce[2][IMPRINT_NONCE_SIZE], verdict = 0;
    struct rig r;
    struct line l[2];
    struct device d;
    struct wire_proof p;

    rig_start(&r, &plain_order, 2);
    line_init(&l[0], &r);
    line_init(&l[1], &r);
    device_init(&d, 0xa1);
    deliver(&l[0], &d);
    ASSERT_ANSWER(&l[1], meet(&l[1], &d));
    for (size_t i = 0; i < 2; i++)
        ASSERT_ANSWER(&l[i], line_nonce(&l[i], nonce[i]));
    for (size_t i = 0; i < 2; i++) {
        p = device_prove(&d, nonce[i]);
        ASSERT_ANSWER(&l[i], line_proof(&l[i], &p, &verdict));
        ck_assert_int_eq(verdict, WIRE_PASS);
    }
    ck_assert_int_eq(rig_records(&r), 1);
    for (size_t i = 0; i < 2; i++) {
        ASSERT_ANSWER(&l[i], line_result(&l[i], 0, ""));
        line_done(&l[i]);
    }
    ck_assert_int_eq(rig_attempts(&r), 2);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Two boards with one chip id in two slots: the second burns what the first is about to prove. */
START_TEST(an_identity_that_was_burned_meanwhile_is_not_whitelisted)
{
    uint8_t verdict = 0;
    struct rig r;
    struct line l, m;
    struct device d, copy;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    line_init(&m, &r);
    device_init(&d, 0xa1);
    device_init(&copy, 0xa1);
    deliver(&l, &d);
    deliver(&m, &copy);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ASSERT_REFUSED(&l, prove(&l, &d, &verdict), ERR_DUPLICATE, "PUMP-000001");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 0);
    pass(&m, &copy);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&copy);
    rig_end(&r);
}
END_TEST

/* The one that is proven first wins, and the other is refused when it comes again. */
START_TEST(a_chip_that_was_proven_meanwhile_is_not_claimed_again)
{
    struct rig r;
    struct line l, m;
    struct device d, copy;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    line_init(&m, &r);
    device_init(&d, 0xa1);
    device_init(&copy, 0xa1);
    ASSERT_ANSWER(&m, line_open(&m));
    deliver(&l, &d);
    pass(&l, &d);
    {
        struct wire_hello h = device_hello(&copy, m.nonce);

        ASSERT_REFUSED(&m, line_hello(&m, &h), ERR_DUPLICATE, "provisioned before");
    }
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&copy);
    rig_end(&r);
}
END_TEST

/* ---- what a device says that nobody asked ---- */

/* Evidence that holds an attestation contradicts a record that says "none": no owner accepts it. */
START_TEST(an_attestation_that_the_order_does_not_ask_for_is_not_recorded)
{
    struct rig r;
    struct device d;

    rig_start(&r, &lock_order, 1);
    device_init(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    provision(&r, &d);
    ck_assert_int_eq(rig_int(&r, "SELECT length(attestation) FROM claims"), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- a line that plays every device ---- */

enum { KEYS = 40, CHIPS = 9, LINES = 3, CREDENTIALS = 60, MOVES = 2500 };

/* What such a line knows. Each claim that it ever got is a device that it can play. */
struct thief {
    struct rig *r;
    struct line lines[LINES];
    struct device *holds[LINES];               /* the claim that the channel works on */
    uint8_t nonces[LINES][IMPRINT_NONCE_SIZE]; /* the last one of each channel */
    EVP_PKEY *keys[KEYS];                      /* transport keys */
    uint8_t points[KEYS][EC_POINT_SIZE];
    struct device claims[CREDENTIALS];
    size_t count;
    uint64_t state;
    int64_t passes;
};

static uint32_t choose(struct thief *t, uint32_t below)
{
    t->state ^= t->state << 13;
    t->state ^= t->state >> 7;
    t->state ^= t->state << 17;
    return (uint32_t)(t->state >> 20) % below;
}

static struct device *claim_of(struct thief *t, const uint8_t tx[IMPRINT_TX_SIZE])
{
    for (size_t i = 0; i < t->count; i++)
        if (memcmp(t->claims[i].tx, tx, IMPRINT_TX_SIZE) == 0)
            return &t->claims[i];
    return NULL;
}

/* Unwraps with the transport key of the claim, and shows that no other of the thief's keys does. */
static void open_blob(struct thief *t, struct line *l, struct device *d)
{
    struct buf blob;

    device_take(d, l);
    buf_init(&blob, WIRE_OBJECT_MAX);
    ASSERT_ANSWER(l, line_object(l, 0, &blob));
    for (size_t i = 0; i < KEYS; i++) {
        struct device other = *d;
        EVP_PKEY *key;

        if (EVP_PKEY_eq(t->keys[i], d->transport) == 1)
            continue;
        other.transport = t->keys[i];
        key = device_unwrap(&other, &l->plan, &blob);
        ck_assert_ptr_null(key);
    }
    buf_done(&blob);
}

/* A plan for a transaction that the thief did not know is a new credential: never one it has. */
static void new_claim(struct thief *t, struct line *l, size_t key, uint8_t chip)
{
    struct device *d = &t->claims[t->count];

    ck_assert_uint_lt(t->count, CREDENTIALS);
    for (size_t i = 0; i < t->count; i++) {
        ck_assert_msg(strcmp(t->claims[i].serial, l->plan.serial) != 0, "'%s' was delivered twice",
                      l->plan.serial);
        ck_assert_mem_ne(t->claims[i].dev_pub, t->points[key], EC_POINT_SIZE);
    }
    device_init(d, chip);
    d->transport = t->keys[key];
    EVP_PKEY_up_ref(d->transport);
    memcpy(d->dev_pub, t->points[key], EC_POINT_SIZE);
    strcpy(d->serial, l->plan.serial);
    t->count++;
    open_blob(t, l, d);
}

/* HELLO with any mixture of what the thief knows. */
static void move_hello(struct thief *t, size_t i)
{
    struct line *l = &t->lines[i];
    size_t key = choose(t, KEYS);
    uint8_t chip = (uint8_t)(1 + choose(t, CHIPS));
    struct device d, *known = NULL;
    struct wire_hello h;

    device_init(&d, chip);
    d.transport = t->keys[key];
    EVP_PKEY_up_ref(d.transport);
    memcpy(d.dev_pub, t->points[key], EC_POINT_SIZE);
    if (t->count && choose(t, 2)) {
        known = &t->claims[choose(t, (uint32_t)t->count)];
        memcpy(d.tx, known->tx, sizeof d.tx);
        d.tx_state = (uint8_t)choose(t, 3);
        if (choose(t, 2))
            memcpy(d.chip, known->chip, sizeof d.chip);
    }
    if (choose(t, 8) == 0)
        d.lifecycle = IMPRINT_LIFE_LOCKED;
    h = device_hello(&d, l->nonce);
    t->holds[i] = NULL;
    if (line_hello(l, &h) == 0 && l->plan.action != WIRE_ABORT) {
        t->holds[i] = claim_of(t, l->plan.tx);
        if (!t->holds[i]) {
            new_claim(t, l, key, d.chip[0]);
            t->holds[i] = &t->claims[t->count - 1];
        } else if (l->plan.action == WIRE_DELIVER) {
            open_blob(t, l, t->holds[i]); /* a replay */
        }
    }
    ck_assert_int_eq(l->fatal, 0);
    device_done(&d);
}

/* A proof: good, by another key, over another channel's nonce, or said to be locked. */
static void move_proof(struct thief *t, size_t i)
{
    struct line *l = &t->lines[i];
    struct device *signer = t->holds[i];
    const uint8_t *nonce = t->nonces[i];
    struct wire_proof p = {.lifecycle = IMPRINT_LIFE_FACTORY, .sig_len = IMPRINT_P256_SIG_SIZE};
    uint32_t kind = choose(t, 9);
    uint8_t verdict = 0;
    int rc;

    if (kind == 0 && t->count)
        signer = &t->claims[choose(t, (uint32_t)t->count)];
    if (kind == 1)
        nonce = t->nonces[(i + 1) % LINES];
    if (signer)
        p = device_prove(signer, nonce);
    if (kind == 2)
        p.lifecycle ^= 3;
    rc = line_proof(l, &p, &verdict);
    ck_assert_int_eq(l->fatal, 0);
    if (rc == 0) {
        ck_assert_int_eq(verdict, WIRE_PASS);
        ck_assert_ptr_eq(signer, t->holds[i]);
        ck_assert_mem_eq(nonce, t->nonces[i], IMPRINT_NONCE_SIZE);
        ck_assert_int_ne(kind, 2);
        t->passes++;
    }
}

/* What fits the channel's state most of the time, anything otherwise. */
static enum wire_op next_op(struct thief *t, const struct line *l)
{
    static const enum wire_op fits[][3] = {
        [SESSION_IDLE] = {WIRE_OPEN, WIRE_OPEN, WIRE_OPEN},
        [SESSION_OPENED] = {WIRE_HELLO, WIRE_HELLO, WIRE_HELLO},
        [SESSION_ASKED] = {WIRE_CSR, WIRE_CSR, WIRE_RESULT},
        [SESSION_PLANNED] = {WIRE_NONCE, WIRE_NONCE, WIRE_RESULT},
        [SESSION_NONCED] = {WIRE_PROOF, WIRE_PROOF, WIRE_NONCE},
        [SESSION_ENDING] = {WIRE_RESULT, WIRE_RESULT, WIRE_OPEN}};

    return choose(t, 3) ? fits[l->session.state][choose(t, 3)]
                        : (enum wire_op)(WIRE_OPEN + choose(t, WIRE_CSR));
}

static void move(struct thief *t)
{
    size_t i = choose(t, LINES);
    struct line *l = &t->lines[i];
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct buf object;

    switch (next_op(t, l)) {
    case WIRE_OPEN:
        (void)line_open(l);
        break;
    case WIRE_HELLO:
        move_hello(t, i);
        break;
    case WIRE_CHAIN:
        (void)line_chain(l, "x", 1);
        break;
    case WIRE_CSR: /* of a job whose keys come from the HSM: never in its place */
        ck_assert_int_ne(line_request(l, "x", 1, NULL), 0);
        break;
    case WIRE_OBJECT:
        buf_init(&object, WIRE_OBJECT_MAX);
        (void)line_object(l, (uint8_t)choose(t, 4), &object);
        buf_done(&object);
        break;
    case WIRE_NONCE:
        if (line_nonce(l, nonce) == 0)
            memcpy(t->nonces[i], nonce, sizeof nonce);
        break;
    case WIRE_PROOF:
        move_proof(t, i);
        break;
    case WIRE_RESULT:
        (void)line_result(l, (uint8_t)choose(t, 2), "x");
        break;
    case WIRE_COUNTS: /* for the screen */
    case WIRE_SCANS:
    case WIRE_ACK:
        break;
    }
    ck_assert_int_eq(l->fatal, 0);
}

START_TEST(a_line_that_plays_every_device_gets_one_credential_a_claim_and_no_record_without_proof)
{
    static struct thief t;
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, CREDENTIALS);
    t = (struct thief){.r = &r, .state = 0x9e3779b97f4a7c15u * (unsigned)(_i + 1)};
    for (size_t i = 0; i < LINES; i++)
        line_init(&t.lines[i], &r);
    for (size_t i = 0; i < KEYS; i++) {
        t.keys[i] = EVP_EC_gen("P-256");
        ASSERT_OK(ec_point(t.keys[i], t.points[i], &err), err);
    }
    for (size_t n = 0; n < MOVES; n++)
        move(&t);
    for (size_t i = 0; i < LINES; i++)
        line_done(&t.lines[i]);
    ck_assert_uint_gt(t.count, CHIPS); /* some were burned */
    ck_assert_int_gt(t.passes, 0);
    /* Everything is counted: a claim for each credential that left, a pass for each proof. */
    ck_assert_int_eq(rig_claims(&r), (int64_t)t.count);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_AVAILABLE), CREDENTIALS - (int64_t)t.count);
    ck_assert_int_le(rig_state(&r, CREDENTIAL_PROVEN), CHIPS);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM attempts WHERE code = 0"), t.passes);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) - count(DISTINCT dev_pub) FROM claims"), 0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) - count(DISTINCT credential) FROM claims"), 0);
    for (size_t i = 0; i < t.count; i++)
        device_done(&t.claims[i]);
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(t.keys[i]);
    rig_end(&r);
}
END_TEST

static const int seeds[3];

RIG_MAIN(
    "hostile", ONCE(two_proofs_of_one_claim_make_one_record),
    ONCE(an_identity_that_was_burned_meanwhile_is_not_whitelisted),
    ONCE(a_chip_that_was_proven_meanwhile_is_not_claimed_again),
    ONCE(an_attestation_that_the_order_does_not_ask_for_is_not_recorded),
    EACH_ROW(a_line_that_plays_every_device_gets_one_credential_a_claim_and_no_record_without_proof,
             seeds))
