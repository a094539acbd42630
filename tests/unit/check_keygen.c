/* Key mode `device`: what the vault does for devices that make their own keys, honest and hostile. */
#include "played_device.h"

#include "station/vault/keygen.h"
#include "station/vault/rework.h"
#include "station/vault/scan.h"

#include <openssl/x509v3.h>

static const struct rig_order device_order = {.device_keys = true};

static void device_init_making(struct device *d, uint8_t mark)
{
    device_init(d, mark);
    d->modes = IMPRINT_MODE_HSM | IMPRINT_MODE_DEVICE;
}

/* ---- requests, made with OpenSSL ---- */

/* What a request is to be; zero: an honest one. */
struct wish {
    const char *cn;    /* another subject */
    const char *usage; /* an extension request */
    EVP_PKEY *key;     /* another key than d->made */
    bool no_statement; /* of the enrolment key */
};

static void make_request(struct device *d, const struct line *l, const struct wish *w,
                         struct buf *csr)
{
    const uint8_t *p = l->plan.subject;
    X509_NAME *name = d2i_X509_NAME(NULL, &p, l->plan.subject_len);
    X509_REQ *req = X509_REQ_new();
    uint8_t *der = NULL;
    int len;

    if (!d->made)
        d->made = EVP_EC_gen("P-256");
    if (w->cn)
        ck_assert(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)w->cn, -1,
                                             -1, 0));
    ck_assert(X509_REQ_set_subject_name(req, name));
    ck_assert(X509_REQ_set_pubkey(req, w->key ? w->key : d->made));
    if (w->usage) {
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

        sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, w->usage));
        ck_assert(X509_REQ_add_extensions(req, list));
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
    ck_assert(X509_REQ_sign(req, w->key ? w->key : d->made, EVP_sha256()) > 0);
    len = i2d_X509_REQ(req, &der);
    buf_reset(csr);
    buf_put(csr, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(req);
    X509_NAME_free(name);
}

/* The enrolment key's statement over the key of the request. */
static void make_statement(const struct device *d, const struct line *l, EVP_PKEY *of,
                           uint8_t sig[EC_SIG_SIZE])
{
    struct error err = ERROR_INIT;
    struct public_key made;
    struct link_facts facts;
    struct buf message;

    device_facts(d, &facts);
    buf_init(&message, 1024);
    ASSERT_OK(key_of(of, &made, &err), err);
    ASSERT_OK(link_attest_key_message(&facts, l->plan.station_nonce, &made, &message, &err), err);
    ASSERT_OK(ec_sign(d->enrolment, message.data, message.len, sig, &err), err);
    buf_done(&message);
}

/* KEYGEN as a device checks it, then its request. */
static int request(struct line *l, struct device *d, const struct wish *w)
{
    static const struct wish honest;
    uint8_t sig[EC_SIG_SIZE];
    struct buf csr;
    int rc;

    ck_assert_int_eq(l->plan.action, WIRE_KEYGEN);
    ck_assert_int_eq(l->plan.suite, IMPRINT_SUITE_NONE);
    ck_assert_int_eq(l->plan.key_alg, IMPRINT_ALG_P256);
    memcpy(d->tx, l->plan.tx, sizeof d->tx);
    d->tx_state = IMPRINT_TX_OPEN;
    buf_init(&csr, IMPRINT_CSR_MAX);
    make_request(d, l, w ? w : &honest, &csr);
    if (d->enrolment)
        make_statement(d, l, d->made, sig);
    rc = line_request(l, csr.data, csr.len, d->enrolment && !(w && w->no_statement) ? sig : NULL);
    buf_done(&csr);
    return rc;
}

static void provision_made(struct rig *r, struct device *d)
{
    struct line l;

    line_init(&l, r);
    ASSERT_ANSWER(&l, meet(&l, d));
    ASSERT_ANSWER(&l, request(&l, d, NULL));
    device_take(d, &l);
    device_commit(d, &l);
    pass(&l, d);
    ASSERT_ANSWER(&l, line_result(&l, 0, ""));
    line_done(&l);
}

/* OPEN, HELLO and a request, on a channel of its own. */
static int ask_once(struct rig *r, struct device *d, const struct wish *w, struct error *said)
{
    struct line l;
    int rc;

    line_init(&l, r);
    ASSERT_ANSWER(&l, meet(&l, d));
    rc = request(&l, d, w);
    *said = l.said;
    ck_assert_int_eq(l.fatal, 0);
    line_done(&l);
    return rc;
}

#define ASSERT_ASK_REFUSED(r, d, w, code, part)                                                    \
    do {                                                                                           \
        struct error ask_said;                                                                     \
        int ask_rc = ask_once(r, d, w, &ask_said);                                                 \
        ck_assert_msg(ask_rc == (code) && strstr(ask_said.text, part), "%s instead of %s: %s",     \
                      error_name(ask_rc), error_name(code), ask_said.text);                        \
        ck_assert_int_eq(rig_claims(r), 0);                                                        \
        ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), 0);                       \
    } while (0)

/* ---- the way it should be ---- */

START_TEST(a_device_with_its_own_key_is_proven)
{
    struct rig r;
    struct device d;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    provision_made(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_cannot_make_a_key_is_refused)
{
    struct rig r;
    struct device d;

    rig_start(&r, &device_order, 0);
    device_init(&d, 0xa1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "cannot make its own key");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* KEYGEN is stored: after a restart of either side it is the same, byte for byte. */
START_TEST(a_device_that_comes_back_is_asked_the_same)
{
    struct wire_plan first, again;
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &first, &said), 0);
    rig_restart(&r);
    ck_assert_int_eq(meet_once(&r, &d, &again, &said), 0); /* by its transport key */
    ck_assert_mem_eq(&first, &again, sizeof first);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    again = l.plan;
    line_done(&l);
    rig_restart(&r);
    /* By its transaction, with its certificate signed: KEYGEN once more, then the same BEGIN. */
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_mem_eq(&first, &l.plan, sizeof first);
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ck_assert_mem_eq(&again, &l.plan, sizeof again);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_promise_that_was_lost_costs_no_serial)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_str_eq(plan.serial, "PUMP-000001");
    device_new_transport(&d);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_str_eq(plan.serial, "PUMP-000001");
    provision_made(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(promises_are_bounded_and_the_oldest_is_dropped)
{
    struct wire_plan plan;
    struct error said;
    struct device first, other;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&first, 1);
    ck_assert_int_eq(meet_once(&r, &first, &plan, &said), 0);
    memcpy(first.tx, plan.tx, sizeof first.tx);
    first.tx_state = IMPRINT_TX_OPEN;
    for (int i = 2; i <= KEYGEN_OPEN_MAX + 3; i++) {
        device_init_making(&other, (uint8_t)i);
        ck_assert_int_eq(meet_once(&r, &other, &plan, &said), 0);
        device_done(&other);
    }
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM keygens WHERE state = 0"), KEYGEN_OPEN_MAX);
    ck_assert_int_le(rig_int(&r, "SELECT count(DISTINCT serial) FROM keygens"),
                     KEYGEN_OPEN_MAX + 1);
    device_done(&first);
    rig_end(&r);
}
END_TEST

START_TEST(max_issued_holds_for_keys_of_devices)
{
    const struct rig_order order = {.device_keys = true, .good = 1, .max_issued = 1};
    struct device d, other;
    struct rig r;

    rig_start(&r, &order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    provision_made(&r, &d);
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "fulfilled");
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

/* Two slots may ask at once for the last certificate of an order. */
START_TEST(the_last_certificate_is_signed_once)
{
    const struct rig_order order = {.device_keys = true, .good = 1, .max_issued = 1};
    struct device d, other;
    struct line l, m;
    struct rig r;

    rig_start(&r, &order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    line_init(&l, &r);
    line_init(&m, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&m, meet(&m, &other));
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ASSERT_REFUSED(&m, request(&m, &other, NULL), ERR_REFUSED, "fulfilled");
    ck_assert_int_eq(rig_claims(&r), 1);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

/* ---- hostile devices and lines ---- */

START_TEST(a_second_key_burns_the_first_certificate)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), 0);
    EVP_PKEY_free(d.made);
    d.made = NULL;
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(said.text, "made a second key for 'PUMP-000001'"));
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    d.tx_state = IMPRINT_TX_NONE;
    device_new_transport(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The key pair of a private key that anybody can count up to. */
static EVP_PKEY *key_for(uint8_t scalar)
{
    uint8_t der[67] = {0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                       0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
                       0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};
    const uint8_t *p = der;
    EVP_PKEY *key;

    der[sizeof der - 1] = scalar;
    key = d2i_AutoPrivateKey(NULL, &p, sizeof der);
    ck_assert_ptr_nonnull(key);
    return key;
}

START_TEST(a_hostile_request_costs_one_attempt_and_nothing_else)
{
    const struct wish subject = {.cn = "another"},
                      usage = {.usage = "digitalSignature,keyCertSign"};
    struct wish weak = {.key = key_for(7)}, transport = {0};
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    device_new_transport(&d);
    transport.key = d.transport;
    ASSERT_ASK_REFUSED(&r, &d, &subject, ERR_REFUSED, "another subject");
    ASSERT_ASK_REFUSED(&r, &d, &usage, ERR_REFUSED, "an extension (number 1)");
    ASSERT_ASK_REFUSED(&r, &d, &weak, ERR_REFUSED, "a weak key");
    ASSERT_ASK_REFUSED(&r, &d, &transport, ERR_REFUSED, "a key has one use");
    ck_assert_int_eq(rig_attempts(&r), 4);
    provision_made(&r, &d); /* and it is as if nothing had been */
    ck_assert_str_eq(d.serial, "PUMP-000001");
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    EVP_PKEY_free(weak.key);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_request_of_another_device_is_refused)
{
    struct device d, other;
    struct wish copied = {0};
    struct line l, m;
    struct buf csr;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    line_init(&l, &r);
    line_init(&m, &r);
    buf_init(&csr, IMPRINT_CSR_MAX);
    ASSERT_ANSWER(&l, meet(&l, &d));
    make_request(&d, &l, &copied, &csr);
    ASSERT_ANSWER(&l, line_request(&l, csr.data, csr.len, NULL));
    ASSERT_ANSWER(&m, meet(&m, &other));
    ASSERT_REFUSED(&m, line_request(&m, csr.data, csr.len, NULL), ERR_REFUSED, "another subject");
    line_done(&m);
    line_init(&m, &r);
    ASSERT_ANSWER(&m, meet(&m, &other));
    copied.key = d.made; /* a clone: the same key for another subject */
    ASSERT_REFUSED(&m, request(&m, &other, &copied), ERR_DUPLICATE, "the key of 'PUMP-000001'");
    ck_assert_int_eq(rig_claims(&r), 1);
    buf_done(&csr);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(an_enrolled_device_must_attest_the_key)
{
    const struct wish silent = {.no_statement = true};
    struct wish other = {.key = EVP_EC_gen("P-256")};
    struct error err = ERROR_INIT;
    static uint8_t keys[1][65];
    struct rig_order order = {.device_keys = true, .keys = keys, .key_count = 1};
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    rig_start(&r, &order, 0);
    ASSERT_ASK_REFUSED(&r, &d, &silent, ERR_REFUSED, "does not attest the key");
    ASSERT_ASK_REFUSED(&r, &d, &other, ERR_SIGNATURE, "attests another key");
    EVP_PKEY_free(other.key);
    other.key = d.enrolment;
    ASSERT_ASK_REFUSED(&r, &d, &other, ERR_REFUSED, "a key has one use");
    provision_made(&r, &d);
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_request_has_its_place_among_the_messages)
{
    struct device d;
    struct line l;
    struct buf object;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    buf_init(&object, WIRE_OBJECT_MAX);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_REFUSED(&l, line_request(&l, "x", 1, NULL), ERR_PROTOCOL, "out of order");
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_REFUSED(&l, line_object(&l, 0, &object), ERR_PROTOCOL, "out of order");
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ASSERT_REFUSED(&l, line_request(&l, "x", 1, NULL), ERR_PROTOCOL, "out of order");
    line_done(&l);
    buf_done(&object);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_promise_that_was_changed_in_the_file_is_found)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    rig_sql(&r, "UPDATE keygens SET serial = 'PUMP-000009'");
    line_init(&l, &r);
    ck_assert_int_eq(meet(&l, &d), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(l.said.text, "'PUMP-000009' was changed"));
    line_done(&l);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* ---- serials from labels and chips ---- */

static const struct rig_order scanned = {.device_keys = true,
                                         .source = SOURCE_SCANNED,
                                         .serials = "{\"prefix\":\"\"}",
                                         .rework = 1,
                                         .good = 5,
                                         .max_issued = 10};

static void scan(struct rig *r, const char *line)
{
    static struct scans labels;
    struct error err = ERROR_INIT;

    memset(&labels, 0, sizeof labels);
    r->v.scans = &labels;
    ASSERT_OK(scans_add(&labels, &r->v, line, &err), err);
}

static void assert_promised(struct rig *r, struct device *d, const char *serial)
{
    struct wire_plan plan;
    struct error said;

    ck_assert_int_eq(meet_once(r, d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_KEYGEN);
    ck_assert_str_eq(plan.serial, serial);
}

static void assert_aborted(struct rig *r, struct device *d)
{
    struct wire_plan plan;
    struct error said;

    ck_assert_int_eq(meet_once(r, d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_new_transport(d);
}

/* Nothing is issued with a promise, so a label that was wrong is corrected by scanning again, and goes
 * to the unit that has it; with a certificate it is another device's for good. */
START_TEST(a_label_is_the_serial_that_a_device_is_promised)
{
    struct device d, other;
    struct rig r;

    rig_start(&r, &scanned, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "no label was scanned for slot 'S1'");
    scan(&r, "S1 UNIT-2");
    assert_promised(&r, &d, "UNIT-2");
    assert_promised(&r, &other, "UNIT-2");
    assert_aborted(&r, &d); /* its promise is the other's now */
    scan(&r, "S1 UNIT-1");
    assert_promised(&r, &d, "UNIT-1");
    assert_aborted(&r, &other); /* another label in its slot */
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "UNIT-1");
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    scan(&r, "S1 UNIT-2");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "the device in it is 'UNIT-1'");
    provision_made(&r, &other);
    ck_assert_str_eq(other.serial, "UNIT-2");
    rig_seal_and_verify(&r);
    device_done(&other);
    device_done(&d);
    rig_end(&r);
}
END_TEST

static void allow_rework(struct rig *r, const char *serial)
{
    const struct voiding what = {.name = serial, .reason = RECORD_SUPERSEDED};
    struct error err = ERROR_INIT;
    struct reworked reworked;
    struct vault v;

    ASSERT_OK(vault_init(&v, &r->config, NULL, r->store, r->hsm, &err), err);
    ASSERT_OK(rework_run(&v, &what, &reworked, &err), err);
    vault_done(&v);
    rig_restart(r);
}

START_TEST(a_replacement_makes_its_own_key_as_well)
{
    struct record record;
    struct device d;
    struct rig r;

    rig_start(&r, &scanned, 0);
    scan(&r, "S1 UNIT-1");
    device_init_making(&d, 0xa1);
    provision_made(&r, &d);
    device_done(&d);
    allow_rework(&r, "UNIT-1");
    scan(&r, "S1 UNIT-1");
    device_init_making(&d, 0xa3);
    provision_made(&r, &d);
    rig_record(&r, 2, &record);
    ck_assert_int_eq(record.t, RECORD_REPLACE);
    ck_assert_uint_eq(record.ref, 0);
    ck_assert_str_eq(record.sn, "UNIT-1");
    ck_assert_int_eq(record.mode, RECORD_MODE_DEVICE);
    record_done(&record);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_list_of_serials_is_for_keys_of_the_hsm)
{
    struct error err = ERROR_INIT;
    enum imprint_mode mode;
    struct rig r;

    rig_start(&r, &device_order, 0);
    r.job.serials.source = SOURCE_LISTED;
    ASSERT_FAILS(job_mode(&r.job, r.v.order, &mode, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "a list of serials is for keys from the HSM"));
    r.job.serials.source = SOURCE_DEVICE;
    ASSERT_OK(job_mode(&r.job, r.v.order, &mode, &err), err);
    r.job.serials.source = SOURCE_ASSIGNED;
    rig_end(&r);
}
END_TEST

RIG_MAIN("keygen", ONCE(a_device_with_its_own_key_is_proven),
         ONCE(a_device_that_cannot_make_a_key_is_refused),
         ONCE(a_device_that_comes_back_is_asked_the_same),
         ONCE(a_promise_that_was_lost_costs_no_serial),
         ONCE(promises_are_bounded_and_the_oldest_is_dropped),
         ONCE(max_issued_holds_for_keys_of_devices), ONCE(the_last_certificate_is_signed_once),
         ONCE(a_second_key_burns_the_first_certificate),
         ONCE(a_hostile_request_costs_one_attempt_and_nothing_else),
         ONCE(a_request_of_another_device_is_refused), ONCE(an_enrolled_device_must_attest_the_key),
         ONCE(a_request_has_its_place_among_the_messages),
         ONCE(a_promise_that_was_changed_in_the_file_is_found),
         ONCE(a_label_is_the_serial_that_a_device_is_promised),
         ONCE(a_replacement_makes_its_own_key_as_well),
         ONCE(a_list_of_serials_is_for_keys_of_the_hsm))
