/* What is asked of a device before anything is claimed for it: facts, suites, enrolment. */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false};

/* HELLO as the device would say it, with one thing changed. */
struct change {
    const char *name;
    void (*apply)(struct wire_hello *h);
    int code;
    const char *part;
};

static void suite_unknown(struct wire_hello *h)
{
    h->suites[0] = 9;
}

static void suite_not_ordered(struct wire_hello *h)
{
    h->suites[0] = IMPRINT_SUITE_X963;
}

static void no_suite(struct wire_hello *h)
{
    h->suite_count = 0;
}

static void mode_device_only(struct wire_hello *h)
{
    h->modes = IMPRINT_MODE_DEVICE;
}

static void no_mode(struct wire_hello *h)
{
    h->modes = 0;
}

static void no_key(struct wire_hello *h)
{
    h->has_dev_pub = 0;
}

static void key_off_the_curve(struct wire_hello *h)
{
    h->dev_pub[64] ^= 1;
}

static void key_of_zeros(struct wire_hello *h)
{
    memset(h->dev_pub, 0, sizeof h->dev_pub);
}

static void key_compressed(struct wire_hello *h)
{
    h->dev_pub[0] = 2;
}

static void key_hybrid(struct wire_hello *h)
{
    h->dev_pub[0] = (uint8_t)(6 + (h->dev_pub[64] & 1));
}

static void locked(struct wire_hello *h)
{
    h->lifecycle = IMPRINT_LIFE_LOCKED;
}

static void lifecycle_unknown(struct wire_hello *h)
{
    h->lifecycle = 3;
}

static void no_lifecycle(struct wire_hello *h)
{
    h->lifecycle = 0;
}

static void no_firmware(struct wire_hello *h)
{
    h->firmware[0] = 0;
}

static void frame_too_small(struct wire_hello *h)
{
    h->max_frame = IMPRINT_FRAME_MIN - 1;
}

static void frame_too_large(struct wire_hello *h)
{
    h->max_frame = UINT32_MAX;
}

static const struct change changes[] = {
    {"a suite that nobody knows", suite_unknown, ERR_REFUSED, "suite"},
    {"a suite that the order does not list", suite_not_ordered, ERR_REFUSED, "suite"},
    {"no suite", no_suite, ERR_REFUSED, "suite"},
    {"only keys of its own", mode_device_only, ERR_REFUSED, "made in the HSM"},
    {"no mode", no_mode, ERR_REFUSED, "made in the HSM"},
    {"no transport key", no_key, ERR_PROTOCOL, "transport key"},
    {"a point off the curve", key_off_the_curve, ERR_PROTOCOL, "not a point"},
    {"zeros for a point", key_of_zeros, ERR_PROTOCOL, "not a point"},
    {"a compressed point", key_compressed, ERR_PROTOCOL, "not a point"},
    {"a point in hybrid form", key_hybrid, ERR_PROTOCOL, "not a point"},
    {"locked and without identity", locked, ERR_REFUSED, "locked"},
    {"an unknown life cycle", lifecycle_unknown, ERR_REFUSED, "locked"},
    {"no life cycle", no_lifecycle, ERR_REFUSED, "locked"},
    {"no firmware version", no_firmware, ERR_FORMAT, "firmware version"},
    {"frames below the least", frame_too_small, ERR_FORMAT, "frame size"},
    {"frames above the most", frame_too_large, ERR_FORMAT, "frame size"},
};

START_TEST(a_device_that_cannot_be_served_costs_nothing)
{
    const struct change *c = &changes[_i];
    struct rig r;
    struct line l;
    struct device d;
    struct wire_hello h;
    int64_t before;

    rig_start(&r, &plain_order, 1);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    before = rig_changes(&r);
    ASSERT_ANSWER(&l, line_open(&l));
    h = device_hello(&d, l.nonce);
    c->apply(&h);
    ASSERT_REFUSED(&l, line_hello(&l, &h), c->code, c->part);
    ck_assert_msg(rig_changes(&r) == before, "%s changed the database", c->name);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_AVAILABLE), 1);
    ASSERT_ANSWER(&l, line_result(&l, 21, "refused"));
    line_done(&l);
    provision(&r, &d); /* and the credential is still there for the next */
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The same when it would have burned an open claim of that chip. */
START_TEST(a_device_that_cannot_be_served_burns_nothing)
{
    const struct change *c = &changes[_i];
    struct rig r;
    struct line l;
    struct device d;
    struct wire_hello h;
    struct error said;
    int64_t before;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    before = rig_changes(&r);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    h = device_hello(&d, l.nonce);
    c->apply(&h);
    ASSERT_REFUSED(&l, line_hello(&l, &h), c->code, c->part);
    ck_assert_msg(rig_changes(&r) == before, "%s changed the database", c->name);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- what the job requires ---- */

#define IMAGE "0101010101010101010101010101010101010101010101010101010101010101"

static void firmware_of_before(struct wire_hello *h)
{
    strcpy(h->firmware, "1.4.1");
}

static void firmware_of_another_length(struct wire_hello *h)
{
    strcpy(h->firmware, "1.4.20");
}

static void image_of_another(struct wire_hello *h)
{
    h->image_hash[31] ^= 1;
}

static void no_image(struct wire_hello *h)
{
    h->has_image_hash = 0;
}

static void debug_open(struct wire_hello *h)
{
    h->debug = 1;
}

static void nothing(struct wire_hello *h)
{
    (void)h;
}

static const struct {
    struct job_require require;
    void (*apply)(struct wire_hello *h); /* to a unit that is as all others require it */
    const char *part;
} required[] = {
    {{.firmware = "1.4.2"}, firmware_of_before, "firmware '1.4.1' and the job requires '1.4.2'"},
    {{.firmware = "1.4.2"}, firmware_of_another_length, "firmware '1.4.20'"},
    {{.image_hash = IMAGE}, image_of_another, "the image hash 0101010101010101..."},
    {{.image_hash = IMAGE}, no_image, "does not say the hash"},
    {{.debug = "closed"}, debug_open, "debug port is open"},
    {{.lifecycle = "locked"}, nothing, "is not locked and the job requires one that is locked"},
};

static void require_unit(struct line *l, struct device *d, void (*apply)(struct wire_hello *h),
                         struct wire_hello *h)
{
    ASSERT_ANSWER(l, line_open(l));
    *h = device_hello(d, l->nonce);
    h->has_image_hash = 1;
    memset(h->image_hash, 1, sizeof h->image_hash);
    apply(h);
}

START_TEST(a_unit_that_is_not_as_the_job_requires_is_sent_back_and_costs_nothing)
{
    struct rig r;
    struct line l;
    struct device d;
    struct wire_hello h;
    int64_t before;

    rig_start(&r, &plain_order, 1);
    r.job.require = required[_i].require;
    device_init(&d, 0xa1);
    line_init(&l, &r);
    before = rig_changes(&r);
    require_unit(&l, &d, required[_i].apply, &h);
    ASSERT_REFUSED(&l, line_hello(&l, &h), ERR_REFUSED, required[_i].part);
    ck_assert_int_eq(l.said.next, NEXT_SEND_BACK);
    ck_assert_int_eq(rig_changes(&r), before);
    ASSERT_ANSWER(&l, line_result(&l, 21, l.said.text));
    line_done(&l);
    r.job.require.lifecycle[0] = 0; /* the only one that this device cannot meet */
    line_init(&l, &r);
    require_unit(&l, &d, nothing, &h);
    ASSERT_ANSWER(&l, line_hello(&l, &h));
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The unit that passed is held against it again; nothing of it changes. */
START_TEST(a_locked_unit_is_refused_where_the_job_requires_one_that_is_not)
{
    const struct rig_order lock = {.lock = true};
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &lock, 1);
    device_init(&d, 0xa1);
    provision(&r, &d);
    strcpy(r.job.require.lifecycle, "factory");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "is locked and the job requires one that is not");
    strcpy(r.job.require.lifecycle, "locked");
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    pass(&l, &d);
    line_done(&l);
    ck_assert_int_eq(rig_records(&r), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

static int count_sent_back(void *context, const struct sent_back *u, struct error *err)
{
    (void)err;
    ck_assert_str_eq(u->slot, "S1");
    ck_assert_ptr_nonnull(strstr(u->why, "firmware"));
    ++*(int *)context;
    return 0;
}

static int sent_back(struct rig *r)
{
    struct error err = ERROR_INIT;
    int count = 0;

    ASSERT_OK(attempt_each_sent_back(r->store, count_sent_back, &count, &err), err);
    return count;
}

START_TEST(who_was_sent_back_is_told_until_it_came_again)
{
    struct rig r;
    struct line l;
    struct device d;
    struct wire_hello h;

    rig_start(&r, &plain_order, 1);
    strcpy(r.job.require.firmware, "1.4.2");
    device_init(&d, 0xa1);
    for (int i = 0; i < 2; i++) {
        line_init(&l, &r);
        require_unit(&l, &d, firmware_of_before, &h);
        ck_assert_int_eq(line_hello(&l, &h), ERR_REFUSED);
        ASSERT_ANSWER(&l, line_result(&l, 21, l.said.text));
        line_done(&l);
        ck_assert_int_eq(sent_back(&r), 1);
    }
    provision(&r, &d);
    ck_assert_int_eq(sent_back(&r), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* SoftHSM has no key derivation with SHA-256: an order of suite 2 alone cannot be served with it.
 */
START_TEST(a_suite_that_the_token_lacks_is_refused)
{
    const struct rig_order order = {.suites = "[2]"};
    struct rig r;
    struct device d;

    rig_start(&r, &order, 1);
    device_init(&d, 0xa1);
    d.suite = IMPRINT_SUITE_X963;
    ck_assert_uint_eq(hsm_suites(r.hsm) >> IMPRINT_SUITE_X963 & 1, 0);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "suite");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Device and token could do suite 1, and the order wants suite 2 only. */
START_TEST(a_suite_that_only_the_order_excludes_is_refused)
{
    const struct rig_order order = {.suites = "[2]"};
    struct rig r;
    struct device d;

    rig_start(&r, &order, 1);
    device_init(&d, 0xa1);
    ck_assert_uint_eq(hsm_suites(r.hsm) >> IMPRINT_SUITE_ECB & 1, 1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "suite");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- enrolment ---- */

enum { ENROLLED = 2 };

static EVP_PKEY *enrolled[ENROLLED];
static uint8_t enrolled_points[ENROLLED][65];
static struct rig_order enrolled_order;

static void start_enrolled(struct rig *r, int64_t count)
{
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ENROLLED; i++) {
        enrolled[i] = EVP_EC_gen("P-256");
        ASSERT_OK(ec_point(enrolled[i], enrolled_points[i], &err), err);
    }
    enrolled_order = (struct rig_order){
        .lock = true, .keys = (const uint8_t(*)[65])enrolled_points, .key_count = ENROLLED};
    rig_start(r, &enrolled_order, count);
}

static void device_init_enrolled(struct device *d, uint8_t mark, size_t key)
{
    device_init(d, mark);
    d->enrolment = enrolled[key];
    EVP_PKEY_up_ref(d->enrolment);
}

static void end_enrolled(struct rig *r)
{
    rig_end(r);
    for (size_t i = 0; i < ENROLLED; i++)
        EVP_PKEY_free(enrolled[i]);
}

START_TEST(an_enrolled_device_is_whitelisted_with_its_attestation)
{
    struct rig r;
    struct device d;
    struct record record;

    start_enrolled(&r, 1);
    device_init_enrolled(&d, 0xa1, 0);
    provision(&r, &d);
    rig_record(&r, 0, &record);
    ck_assert_int_eq(record.auth, RECORD_AUTH_ENROLLED);
    record_done(&record);
    device_done(&d);
    end_enrolled(&r);
}
END_TEST

static void not_attested(struct wire_hello *h)
{
    h->has_attestation = 0;
}

static void signature_flipped(struct wire_hello *h)
{
    h->attest_sig[10] ^= 1;
}

static void other_enrolled_key(struct wire_hello *h)
{
    memcpy(h->attest_key, enrolled_points[1], sizeof h->attest_key);
}

static void key_of_nobody(struct wire_hello *h)
{
    h->attest_key[5] ^= 1;
}

static void other_chip(struct wire_hello *h)
{
    h->chip[0] ^= 1;
}

static void longer_chip(struct wire_hello *h)
{
    h->chip_len++;
}

static void other_transport_key(struct wire_hello *h)
{
    struct error err = ERROR_INIT;
    EVP_PKEY *key = EVP_EC_gen("P-256");

    ASSERT_OK(ec_point(key, h->dev_pub, &err), err);
    EVP_PKEY_free(key);
}

static void more_suites(struct wire_hello *h)
{
    h->suites[h->suite_count++] = IMPRINT_SUITE_X963;
}

/* What a line in the middle may change: each is covered by the device's signature. */
static const struct change forgeries[] = {
    {"no attestation", not_attested, ERR_REFUSED, "no enrolment key"},
    {"another signature", signature_flipped, ERR_SIGNATURE, "does not verify"},
    {"another enrolled key", other_enrolled_key, ERR_SIGNATURE, "does not verify"},
    {"a key that is not enrolled", key_of_nobody, ERR_REFUSED, "not in the order's list"},
    {"another chip id", other_chip, ERR_SIGNATURE, "does not verify"},
    {"a longer chip id", longer_chip, ERR_SIGNATURE, "does not verify"},
    {"another transport key", other_transport_key, ERR_SIGNATURE, "does not verify"},
    {"another list of suites", more_suites, ERR_SIGNATURE, "does not verify"},
};

START_TEST(an_enrolled_device_that_does_not_prove_it_gets_nothing)
{
    const struct change *c = &forgeries[_i];
    struct rig r;
    struct line l;
    struct device d;
    struct wire_hello h;

    start_enrolled(&r, 1);
    device_init_enrolled(&d, 0xa1, 0);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    h = device_hello(&d, l.nonce);
    c->apply(&h);
    ASSERT_REFUSED(&l, line_hello(&l, &h), c->code, c->part);
    ck_assert_int_eq(rig_claims(&r), 0);
    line_done(&l);
    device_done(&d);
    end_enrolled(&r);
}
END_TEST

START_TEST(an_attestation_of_another_session_is_refused)
{
    struct rig r;
    struct line l, m;
    struct device d;
    struct wire_hello h;

    start_enrolled(&r, 1);
    device_init_enrolled(&d, 0xa1, 0);
    line_init(&l, &r);
    line_init(&m, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_ANSWER(&m, line_open(&m));
    h = device_hello(&d, m.nonce);
    ASSERT_REFUSED(&l, line_hello(&l, &h), ERR_SIGNATURE, "does not verify");
    ck_assert_int_eq(rig_claims(&r), 0);
    ASSERT_ANSWER(&m, line_hello(&m, &h));
    line_done(&l);
    line_done(&m);
    device_done(&d);
    end_enrolled(&r);
}
END_TEST

/* An enrolled key is one device: with it, a hostile one must not collect identities. */
START_TEST(an_enrolled_key_gets_one_identity_whatever_chip_ids_it_claims)
{
    struct rig r;
    struct device d, other;

    start_enrolled(&r, 3);
    device_init_enrolled(&d, 0xa1, 0);
    device_init_enrolled(&other, 0xb2, 0);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "PUMP-000001");
    EVP_PKEY_free(other.enrolment);
    other.enrolment = enrolled[1];
    EVP_PKEY_up_ref(other.enrolment);
    provision(&r, &other);
    device_done(&d);
    device_done(&other);
    end_enrolled(&r);
}
END_TEST

START_TEST(an_enrolled_key_with_an_open_claim_gets_no_second_chip)
{
    struct rig r;
    struct device d, other;
    struct error said;

    start_enrolled(&r, 3);
    device_init_enrolled(&d, 0xa1, 0);
    device_init_enrolled(&other, 0xb2, 0);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "PUMP-000001");
    provision(&r, &d);
    device_done(&d);
    device_done(&other);
    end_enrolled(&r);
}
END_TEST

/* Nor may one device burn or resume what another one holds by naming its chip. */
START_TEST(a_chip_id_of_another_enrolled_device_is_refused)
{
    struct rig r;
    struct line l;
    struct device d, other;

    start_enrolled(&r, 3);
    device_init_enrolled(&d, 0xa1, 0);
    device_init_enrolled(&other, 0xa1, 1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another enrolment key");
    memcpy(other.tx, l.plan.tx, sizeof other.tx);
    other.tx_state = IMPRINT_TX_OPEN;
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another enrolment key");
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    device_done(&other);
    end_enrolled(&r);
}
END_TEST

START_TEST(an_enrolled_device_that_lost_its_transport_key_burns_its_own_claim)
{
    struct rig r;
    struct device d;
    struct error said;

    start_enrolled(&r, 3);
    device_init_enrolled(&d, 0xa1, 0);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    provision(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    device_done(&d);
    end_enrolled(&r);
}
END_TEST

RIG_MAIN("hello", EACH_ROW(a_device_that_cannot_be_served_costs_nothing, changes),
         EACH_ROW(a_device_that_cannot_be_served_burns_nothing, changes),
         EACH_ROW(a_unit_that_is_not_as_the_job_requires_is_sent_back_and_costs_nothing, required),
         ONCE(a_locked_unit_is_refused_where_the_job_requires_one_that_is_not),
         ONCE(who_was_sent_back_is_told_until_it_came_again),
         ONCE(a_suite_that_the_token_lacks_is_refused),
         ONCE(a_suite_that_only_the_order_excludes_is_refused),
         ONCE(an_enrolled_device_is_whitelisted_with_its_attestation),
         EACH_ROW(an_enrolled_device_that_does_not_prove_it_gets_nothing, forgeries),
         ONCE(an_attestation_of_another_session_is_refused),
         ONCE(an_enrolled_key_gets_one_identity_whatever_chip_ids_it_claims),
         ONCE(an_enrolled_key_with_an_open_claim_gets_no_second_chip),
         ONCE(a_chip_id_of_another_enrolled_device_is_refused),
         ONCE(an_enrolled_device_that_lost_its_transport_key_burns_its_own_claim))
