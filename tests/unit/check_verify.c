/* What is made of a device on a desk: what it says, taken apart, and judged. */
#include "check_util.h"
#include "manifest_kit.h"

#include "base/file.h"
#include "manifests/trust/decide.h"
#include "pki/ec.h"
#include "station/verify/accepted.h"
#include "station/verify/verdict.h"

#include <stdio.h>

static struct error err;
static char top[64], folder[PATH_MAX];
static struct kit kit;
static struct kit_device device;
static struct probe_question question;
static struct probe probe;
static struct buf certificates;
static struct found found;
static struct accepted accepted;
static struct verdict verdict;

/* The proof of an honest device over this nonce. */
static void prove(const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct evidence e = device.evidence;
    struct buf message;

    memcpy(e.nonce, nonce, sizeof e.nonce);
    e.lifecycle = probe.lifecycle;
    e.commit_count = probe.commit_count;
    buf_init(&message, 4096);
    evidence_proof_message(&e, device.record.cert.p, device.record.cert.len, &message);
    ASSERT_OK(ec_sign(device.key, message.data, message.len, probe.proof, &err), err);
    buf_done(&message);
}

static void say_all(void)
{
    const struct record *r = &device.record;

    probe = (struct probe){.chip_len = r->chip_len,
                           .state = IMPRINT_TX_COMMITTED,
                           .proved = true,
                           .lifecycle = IMPRINT_LIFE_LOCKED,
                           .commit_count = 1,
                           .proof_alg = IMPRINT_ALG_ECDSA_SHA256,
                           .proof_len = EC_SIG_SIZE};
    memcpy(probe.chip, r->chip, r->chip_len);
    memcpy(probe.tx, r->tx, sizeof probe.tx);
    strcpy(probe.serial, r->sn);
    strcpy(probe.firmware, "1.4.2");
    memset(question.prove, 0x5a, sizeof question.prove);
    buf_put(&certificates, r->cert.p, r->cert.len);
    prove(question.prove);
}

static void setup(void)
{
    struct kit_batch b;

    strcpy(top, "/tmp/check_verify_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(folder, sizeof folder, "%s/1", top);
    kit_init(&kit, top);
    kit_begin(&b, &kit, "1", NULL);
    kit_device_init(&kit, &device, "PUMP-1");
    kit_add(&b, &device);
    kit_end(&b, NULL);
    buf_init(&certificates, PROBE_CERTIFICATES_MAX);
    say_all();
    ASSERT_OK(accepted_verify(folder, top, &accepted, &err), err);
    ASSERT_OK(found_search(folder, probe.tx, &found, &err), err);
}

static void teardown(void)
{
    accepted_done(&accepted);
    found_done(&found);
    buf_done(&certificates);
    kit_device_done(&device);
    kit_done(&kit);
    ASSERT_OK(file_remove_tree(top, &err), err);
}

static enum verdict_answer judge(const struct gs1_code *label)
{
    struct verdict_question q = {&probe, question.prove, &certificates,
                                 &found, accepted.trust, label};

    ASSERT_OK(verdict_reach(&q, &verdict, &err), err);
    return verdict.answer;
}

START_TEST(honest)
{
    ck_assert(found.found);
    ck_assert_int_eq(judge(NULL), VERDICT_OK);
    ck_assert(verdict.proved);
    ck_assert_str_eq(verdict.trust.serial, "PUMP-1");
}
END_TEST

/* ---- lies ---- */

static void no_proof(void)
{
    probe.proved = false;
}
static void old_proof(void)
{
    uint8_t before[IMPRINT_NONCE_SIZE] = {1};

    prove(before);
}
static void other_algorithm(void)
{
    probe.proof_alg = 0x0204;
}
static void short_proof(void)
{
    probe.proof_len--;
}
static void other_count(void)
{
    probe.commit_count++;
}
static void claims_the_lock(void)
{
    probe.lifecycle = IMPRINT_LIFE_FACTORY;
    prove(question.prove);
    probe.lifecycle = IMPRINT_LIFE_LOCKED;
}
static void is_not_locked(void)
{
    probe.lifecycle = IMPRINT_LIFE_FACTORY;
    prove(question.prove);
}
static void other_serial(void)
{
    strcpy(probe.serial, "PUMP-2");
}
static void other_chip(void)
{
    probe.chip[0] ^= 1;
}
static void longer_chip(void)
{
    probe.chip_len++;
}
static void other_leaf(void)
{
    certificates.data[certificates.len - 1] ^= 1;
}
static void cut_leaf(void)
{
    certificates.len--;
}
static void no_certificate(void)
{
    certificates.len = 0;
}
static void other_issuer(void)
{
    buf_put(&certificates, device.record.cert.p, 100);
}

static const struct {
    void (*lie)(void);
    const char *text;
} lies[] = {{no_proof, "did not prove"},
            {old_proof, "did not prove"},
            {other_algorithm, "did not prove"},
            {short_proof, "did not prove"},
            {other_count, "did not prove"},
            {claims_the_lock, "did not prove"},
            {is_not_locked, "locked"},
            {other_serial, "says it is"},
            {other_chip, "chip"},
            {longer_chip, "chip"},
            {other_leaf, "certificate"},
            {cut_leaf, "certificate"},
            {no_certificate, "certificate"},
            {other_issuer, "certificate"}};

START_TEST(lie_is_found)
{
    lies[_i].lie();
    ck_assert_int_eq(judge(NULL), VERDICT_NOT_GENUINE);
    ck_assert_ptr_nonnull(strstr(verdict.why, lies[_i].text));
    ck_assert_int_eq(verdict_code(verdict.answer), ERR_PROOF);
}
END_TEST

START_TEST(certificates_of_issuers_may_follow)
{
    const uint8_t *issuer;
    struct reader r;
    size_t len;

    reader_init(&r, found.issuers.data, found.issuers.len);
    ASSERT_OK(reader_lp(&r, &issuer, &len, 8192), err);
    buf_put(&certificates, issuer, len);
    ck_assert_int_eq(judge(NULL), VERDICT_OK);
    certificates.data[certificates.len - 1] ^= 1;
    ck_assert_int_eq(judge(NULL), VERDICT_NOT_GENUINE);
}
END_TEST

START_TEST(without_identity)
{
    probe.state = IMPRINT_TX_NONE;
    ck_assert_int_eq(judge(NULL), VERDICT_EMPTY);
    probe.state = IMPRINT_TX_OPEN;
    ck_assert_int_eq(judge(NULL), VERDICT_EMPTY);
    ck_assert_int_eq(verdict_code(VERDICT_EMPTY), ERR_UNKNOWN);
}
END_TEST

START_TEST(in_no_manifest)
{
    found_done(&found);
    probe.tx[0] ^= 1;
    ASSERT_OK(found_search(folder, probe.tx, &found, &err), err);
    ck_assert(!found.found);
    ck_assert_int_eq(judge(NULL), VERDICT_UNKNOWN);
    ck_assert(!verdict.proved);
}
END_TEST

START_TEST(decisions_count)
{
    const char *serial = "PUMP-1";
    struct trust_decision d = {.kind = TRUST_HOLD, .who = "Ada", .why = "a test"};

    ASSERT_OK(trust_decide(accepted.trust, &d, &serial, 1, &err), err);
    ck_assert_int_eq(judge(NULL), VERDICT_HELD);
    d.kind = TRUST_REVOKE;
    d.reason = RECORD_KEY_COMPROMISE;
    ASSERT_OK(trust_decide(accepted.trust, &d, &serial, 1, &err), err);
    ck_assert_int_eq(judge(NULL), VERDICT_REVOKED);
    ck_assert(verdict.proved && !verdict.newer);
    /* Lies come first. */
    other_chip();
    ck_assert_int_eq(judge(NULL), VERDICT_NOT_GENUINE);
}
END_TEST

static const struct {
    struct gs1_code label;
    enum verdict_answer answer;
} labels[] = {
    {{.plain = "PUMP-1"}, VERDICT_OK},
    {{.plain = "PUMP-10"}, VERDICT_LABEL},
    {{.plain = "pump-1"}, VERDICT_LABEL},
    {{.is_gs1 = true, .serial = "PUMP-1"}, VERDICT_OK},
    {{.is_gs1 = true, .serial = "PUMP-1", .gtin = KIT_PRODUCT}, VERDICT_OK},
    {{.is_gs1 = true, .serial = "PUMP-2", .gtin = KIT_PRODUCT}, VERDICT_LABEL},
    {{.is_gs1 = true, .serial = "PUMP-1", .gtin = "04012345678901"}, VERDICT_LABEL},
    {{.is_gs1 = true, .gtin = KIT_PRODUCT}, VERDICT_LABEL},
};

START_TEST(label_is_compared)
{
    ck_assert_int_eq(judge(&labels[_i].label), labels[_i].answer);
}
END_TEST

/* ---- what the asker says ---- */

START_TEST(probe_travels)
{
    struct probe got;
    struct buf m;

    buf_init(&m, 4096);
    probe_put(&m, &probe);
    ASSERT_OK(probe_get(m.data, m.len, &got, &err), err);
    ck_assert_mem_eq(got.proof, probe.proof, sizeof got.proof);
    ck_assert_str_eq(got.serial, "PUMP-1");
    ck_assert_uint_eq(got.proof_len, EC_SIG_SIZE);
    for (size_t len = 0; len < m.len; len++)
        ASSERT_FAILS(probe_get(m.data, len, &got, &err), ERR_PROTOCOL);
    buf_put_u8(&m, 0);
    ASSERT_FAILS(probe_get(m.data, m.len, &got, &err), ERR_PROTOCOL);
    buf_done(&m);
}
END_TEST

START_TEST(probe_is_bounded)
{
    static const char *const bad[] = {"tab\tulator", "esc\033[2J", "caf\xc3\xa9"};
    struct probe got;
    struct buf m;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct probe hostile = probe;

        strcpy(hostile.serial, bad[i]);
        buf_init(&m, 4096);
        probe_put(&m, &hostile);
        ASSERT_FAILS(probe_get(m.data, m.len, &got, &err), ERR_PROTOCOL);
        buf_done(&m);
    }
    probe.chip_len = 0;
    buf_init(&m, 4096);
    probe_put(&m, &probe);
    ASSERT_FAILS(probe_get(m.data, m.len, &got, &err), ERR_PROTOCOL);
    buf_done(&m);
}
END_TEST

START_TEST(failure_travels)
{
    struct error why = {.code = ERR_TIMEOUT, .text = "no answer"};
    struct probe got;
    struct buf m;

    buf_init(&m, 4096);
    probe_put_failure(&m, &why);
    ASSERT_FAILS(probe_get(m.data, m.len, &got, &err), ERR_TIMEOUT);
    ck_assert_str_eq(err.text, "no answer");
    m.data[1] = 0; /* a failure that is none */
    ASSERT_FAILS(probe_get(m.data, m.len, &got, &err), ERR_PROTOCOL);
    buf_done(&m);
}
END_TEST

/* ---- what it is looked up in ---- */

START_TEST(manifests_are_verified)
{
    struct accepted other = {0};
    char records[PATH_MAX + 32];

    snprintf(records, sizeof records, "%s/devices-00000.jsonl", folder);
    ASSERT_OK(file_write(records, "{}\n", 3, 0600, &err), err);
    ck_assert_int_ne(accepted_verify(folder, top, &other, &err), 0);
    accepted_done(&other);
    ASSERT_FAILS(accepted_verify("/nonexistent", top, &other, &err), ERR_MISSING);
    accepted_done(&other);
    ASSERT_FAILS(accepted_open("/nonexistent", &other, &err), ERR_MISSING);
}
END_TEST

START_TEST(evidence_that_is_missing)
{
    struct found other = {0};
    char path[PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/evidence-00000.jsonl", folder);
    ASSERT_OK(file_write(path, "{}\n", 3, 0600, &err), err);
    ASSERT_FAILS(found_search(folder, device.record.tx, &other, &err), ERR_INTEGRITY);
    found_done(&other);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("verify");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, honest);
    tcase_add_loop_test(tcase, lie_is_found, 0, sizeof lies / sizeof *lies);
    tcase_add_test(tcase, certificates_of_issuers_may_follow);
    tcase_add_test(tcase, without_identity);
    tcase_add_test(tcase, in_no_manifest);
    tcase_add_test(tcase, decisions_count);
    tcase_add_loop_test(tcase, label_is_compared, 0, sizeof labels / sizeof *labels);
    tcase_add_test(tcase, probe_travels);
    tcase_add_test(tcase, probe_is_bounded);
    tcase_add_test(tcase, failure_travels);
    tcase_add_test(tcase, manifests_are_verified);
    tcase_add_test(tcase, evidence_that_is_missing);
    return check_run_case("verify", tcase, 300);
}
