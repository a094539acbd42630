/* What a station could put into a batch, all of it signed: duplicates, foreign keys, borrowed
 * proofs. */
#include "check_util.h"
#include "manifest_damage.h"

#include "base/file.h"
#include "manifests/cert.h"

#include <openssl/x509.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct error err;
static char top[64];
static struct kit kit;
static struct kit_batch batch;
static struct kit_device a, b;

/* A first manifest that is open, and two devices that could go into it. */
static void begin(void)
{
    strcpy(top, "/tmp/check_batch_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    kit_init(&kit, top);
    kit_begin(&batch, &kit, "1", NULL);
    kit_device_init(&kit, &a, "SN-A");
    kit_device_init(&kit, &b, "SN-B");
}

static int seal_and_verify(void)
{
    struct verify_policy policy = kit_policy(&kit);
    struct verify_report report;

    kit_end(&batch, NULL);
    err.text[0] = 0;
    return manifest_verify(batch.dir, &policy, &report, &err);
}

static void end(void)
{
    kit_device_done(&a);
    kit_device_done(&b);
    kit_done(&kit);
    ASSERT_OK(file_remove_tree(top, &err), err);
}

static void add_both(void)
{
    kit_add(&batch, &a);
    kit_add(&batch, &b);
}

static void same_device(void)
{
    strcpy(b.record.sn, a.record.sn);
    kit_prove(&kit, &b);
    add_both();
}

static void same_chip(void)
{
    memcpy(b.record.chip, a.record.chip, sizeof a.record.chip);
    kit_prove(&kit, &b);
    add_both();
}

static void same_key(void)
{
    EVP_PKEY_free(b.key);
    EVP_PKEY_up_ref(a.key);
    b.key = a.key;
    kit_prove(&kit, &b);
    add_both();
}

static void same_certificate_serial(void)
{
    X509 *x, *y;
    const uint8_t *p = a.cert;
    uint8_t *der = NULL;
    int len;

    x = d2i_X509(NULL, &p, (long)a.record.cert.len);
    p = b.cert;
    y = d2i_X509(NULL, &p, (long)b.record.cert.len);
    X509_set_serialNumber(y, X509_get_serialNumber(x));
    X509_sign(y, kit.ca_key, EVP_sha256());
    len = i2d_X509(y, &der);
    OPENSSL_free(b.cert);
    b.cert = der;
    b.record.cert = (struct record_bytes){der, (size_t)len};
    kit_evidence(&b, KIT_ENVIRONMENT);
    X509_free(x);
    X509_free(y);
    add_both();
}

static void one_device_twice(void)
{
    kit_add(&batch, &a);
    kit_add(&batch, &a);
}

static void revoked_twice(void)
{
    struct record r;

    add_both();
    kit_change(&r, RECORD_REVOKE, &a.record, 0);
    kit_add_record(&batch, &r);
    kit_change(&r, RECORD_REVOKE, &a.record, 0);
    kit_add_record(&batch, &r);
}

static void revocation_of_a_revocation(void)
{
    struct record r;

    add_both();
    kit_change(&r, RECORD_REVOKE, &a.record, 0);
    kit_add_record(&batch, &r);
    kit_change(&r, RECORD_REVOKE, &a.record, 2);
    kit_add_record(&batch, &r);
}

/* Another one was revoked, so that the totals add up. */
static void recommissioned_while_live(void)
{
    struct record r;

    add_both();
    kit_change(&r, RECORD_REVOKE, &b.record, 1);
    kit_add_record(&batch, &r);
    kit_change(&r, RECORD_RECOMMISSION, &a.record, 0);
    kit_add_record(&batch, &r);
}

static void chip_of_a_replaced_device(void)
{
    memcpy(b.record.chip, a.record.chip, sizeof a.record.chip);
    kit_prove(&kit, &b);
    kit_add(&batch, &a);
    a.record.t = RECORD_REPLACE; /* with the same chip, in the same unit */
    a.record.ref = 0;
    EVP_PKEY_free(a.key);
    a.key = kit_key();
    kit_prove(&kit, &a);
    kit_add(&batch, &a);
    kit_add(&batch, &b);
}

static void foreign_ca(void)
{
    static const char *const extensions[] = {"basicConstraints", "critical,CA:TRUE",
                                             "subjectKeyIdentifier", "hash", NULL};
    EVP_PKEY *key = kit_key();
    X509 *ca = kit_certificate(key, "Issuing CA line1", key, NULL, extensions);

    kit_prove_under(&b, key, ca);
    add_both();
    X509_free(ca);
    EVP_PKEY_free(key);
}

/* The issuer that the record names did not sign; someone else of the same name did. */
static void forged_issuer(void)
{
    uint8_t iss[SHA256_SIZE];
    EVP_PKEY *key = kit_key();

    memcpy(iss, b.record.iss, sizeof iss);
    kit_prove_under(&b, key, kit.ca);
    memcpy(b.record.iss, iss, sizeof iss);
    add_both();
    EVP_PKEY_free(key);
}

static void certificate_of_a_ca(void)
{
    static const char *const extensions[] = {"basicConstraints", "critical,CA:TRUE", NULL};
    X509 *cert = kit_certificate(b.key, "SN-B", kit.ca_key, kit.ca, extensions);
    uint8_t *der = NULL;

    OPENSSL_free(b.cert);
    b.record.cert.len = (size_t)i2d_X509(cert, &der);
    b.record.cert.p = b.cert = der;
    kit_evidence(&b, KIT_ENVIRONMENT);
    add_both();
    X509_free(cert);
}

static void certificate_of_another_serial(void)
{
    kit_certify(&b, "SN-C", kit.ca_key, kit.ca);
    kit_evidence(&b, KIT_ENVIRONMENT);
    add_both();
}

static void evidence_of_another_environment(void)
{
    kit_evidence(&b, "production");
    add_both();
}

/* The line shows b's record with a's proof: a's device would prove for b. */
static void evidence_of_another_device(void)
{
    b.evidence = a.evidence;
    memcpy(b.record.ev, a.record.ev, sizeof a.record.ev);
    add_both();
}

static void name_evidence(struct kit_device *d)
{
    struct buf line;

    buf_init(&line, RECORD_LINE_MAX);
    ASSERT_OK(evidence_write(&d->evidence, &line, &err), err);
    sha256(line.data, line.len, d->record.ev);
    buf_done(&line);
}

static void proof_with_another_key(void)
{
    memcpy(b.evidence.proof, a.evidence.proof, sizeof a.evidence.proof);
    name_evidence(&b);
    add_both();
}

static void proof_for_another_lifecycle(void)
{
    b.evidence.lifecycle = IMPRINT_LIFE_FACTORY;
    b.record.lock = false;
    name_evidence(&b);
    add_both();
}

static void proof_of_another_commit(void)
{
    b.evidence.commit_count++;
    name_evidence(&b);
    add_both();
}

static void unknown_lifecycle(void)
{
    b.record.lock = false;
    kit_prove(&kit, &b);
    b.evidence.lifecycle = 3;
    name_evidence(&b);
    add_both();
}

static void attestation_where_none_is_claimed(void)
{
    b.evidence.attested = true;
    name_evidence(&b);
    add_both();
}

static void derived_with_a_signature(void)
{
    b.record.mode = RECORD_MODE_DERIVED;
    b.record.cert.p = b.record.spki.p = NULL;
    add_both();
}

static const struct lie {
    const char *name;
    void (*make)(void);
    int expected;
    const char *text;
} lies[] = {
#define L(make) #make, make
    {L(add_both), 0, ""},
    {L(same_device), ERR_DUPLICATE, "a device stands twice"},
    {L(same_chip), ERR_DUPLICATE, "a chip"},
    {L(same_key), ERR_DUPLICATE, "a public key"},
    {L(same_certificate_serial), ERR_DUPLICATE, "certificate serial"},
    {L(one_device_twice), ERR_DUPLICATE, "a device"},
    {L(recommissioned_while_live), ERR_DUPLICATE, "a device"},
    {L(revoked_twice), ERR_DUPLICATE, "a revocation"},
    {L(revocation_of_a_revocation), ERR_INTEGRITY, "gave it no identity"},
    {L(chip_of_a_replaced_device), ERR_DUPLICATE, "a chip"},
    {L(foreign_ca), ERR_SIGNATURE, "not in chain.pem"},
    {L(forged_issuer), ERR_SIGNATURE, "not signed by"},
    {L(certificate_of_a_ca), ERR_SIGNATURE, "that of a CA"},
    {L(certificate_of_another_serial), ERR_INTEGRITY, "serialNumber"},
    {L(evidence_of_another_environment), ERR_PROOF, "environment"},
    {L(evidence_of_another_device), ERR_PROOF, "transaction"},
    {L(proof_with_another_key), ERR_PROOF, "does not verify"},
    {L(proof_for_another_lifecycle), ERR_PROOF, "does not verify"},
    {L(proof_of_another_commit), ERR_PROOF, "does not verify"},
    {L(unknown_lifecycle), ERR_PROOF, "otherwise"},
    {L(attestation_where_none_is_claimed), ERR_PROOF, "attestation"},
    {L(derived_with_a_signature), ERR_PROOF, "another kind"},
};

START_TEST(what_a_station_signs_is_still_checked)
{
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        int rc;

        begin();
        lies[i].make();
        rc = seal_and_verify();
        ck_assert_msg(rc == lies[i].expected, "%s: %s instead of %s: %s", lies[i].name,
                      error_name(rc), error_name(lies[i].expected), err.text);
        ck_assert_msg(strstr(err.text, lies[i].text) != NULL, "%s: %s", lies[i].name, err.text);
        end();
    }
}
END_TEST

START_TEST(a_serial_and_chip_may_live_again_after_a_revocation)
{
    struct record r;

    begin();
    kit_add(&batch, &a);
    kit_change(&r, RECORD_REVOKE, &a.record, 0);
    kit_add_record(&batch, &r);
    strcpy(b.record.sn, a.record.sn);
    memcpy(b.record.chip, a.record.chip, sizeof a.record.chip);
    kit_prove(&kit, &b);
    kit_add(&batch, &b);
    ASSERT_OK(seal_and_verify(), err);
    end();
}
END_TEST

START_TEST(the_same_serial_in_two_products_is_two_devices)
{
    begin();
    strcpy(b.record.sn, a.record.sn);
    strcpy(b.record.prod, "another");
    kit_prove(&kit, &b);
    add_both();
    ASSERT_OK(seal_and_verify(), err);
    end();
}
END_TEST

START_TEST(records_may_name_an_amended_order)
{
    uint8_t amendments[1][SHA256_SIZE];

    begin();
    b.record.order[0] ^= 1; /* the totals stay under the hash of the first order */
    memcpy(amendments[0], b.record.order, sizeof amendments[0]);
    kit.totals.amendments = amendments;
    kit.totals.amendment_count = 1;
    kit_prove(&kit, &b);
    add_both();
    ASSERT_OK(seal_and_verify(), err);
    end();
}
END_TEST

START_TEST(records_of_an_order_that_the_totals_do_not_know_are_refused)
{
    begin();
    b.record.order[0] ^= 1;
    kit_prove(&kit, &b);
    add_both();
    ASSERT_FAILS(seal_and_verify(), ERR_INCOMPLETE);
    ck_assert_ptr_nonnull(strstr(err.text, "do not know the order"));
    end();
}
END_TEST

START_TEST(the_totals_of_each_order_must_be_those_of_its_records)
{
    begin();
    memset(kit.other.order, 0xff, sizeof kit.other.order);
    memcpy(b.record.order, kit.other.order, sizeof b.record.order);
    kit_prove(&kit, &b);
    add_both(); /* the sum of both orders is right, but the kit counts b for the first */
    ASSERT_FAILS(seal_and_verify(), ERR_INCOMPLETE);
    ck_assert_ptr_nonnull(strstr(err.text, "the totals went from"));
    end();
}
END_TEST

/* Seals b after the manifest of state, with these amendments, and verifies it as its successor. */
static int seal_successor(const char *name, const struct manifest_state *state, size_t amendments)
{
    struct verify_policy policy = kit_policy(&kit);
    struct verify_report report;
    struct kit_batch next;

    kit.totals.amendment_count = amendments;
    kit.totals.good = kit.totals.issued = 1;
    kit_begin(&next, &kit, name, state);
    kit_add(&next, &b);
    kit_end(&next, NULL);
    policy.after = batch.dir;
    return manifest_verify(next.dir, &policy, &report, &err);
}

START_TEST(amendments_are_added_and_none_is_exchanged)
{
    uint8_t amendments[2][SHA256_SIZE] = {{1}, {2}};
    struct manifest_state state;

    begin();
    kit.totals.amendments = amendments;
    kit.totals.amendment_count = 1;
    kit_add(&batch, &a);
    kit_end(&batch, &state);
    ASSERT_OK(seal_successor("2", &state, 2), err);
    ASSERT_FAILS(seal_successor("3", &state, 0), ERR_ROLLBACK);
    amendments[0][0] = 3;
    ASSERT_FAILS(seal_successor("4", &state, 1), ERR_ROLLBACK);
    ck_assert_ptr_nonnull(strstr(err.text, "other amendments"));
    end();
}
END_TEST

START_TEST(proofs_of_derived_keys_are_counted_as_not_verifiable)
{
    struct verify_policy policy;
    struct verify_report report;

    begin();
    a.record.mode = RECORD_MODE_DERIVED;
    a.record.cert.p = a.record.spki.p = NULL;
    a.evidence.proof_algorithm = IMPRINT_ALG_HMAC_SHA256;
    name_evidence(&a);
    kit_add(&batch, &a);
    kit_end(&batch, NULL);
    policy = kit_policy(&kit);
    ASSERT_OK(manifest_verify(batch.dir, &policy, &report, &err), err);
    ck_assert_uint_eq(report.proofs, 0);
    ck_assert_uint_eq(report.proofs_derived, 1);
    end();
}
END_TEST

START_TEST(proofs_that_were_left_out_are_counted_and_nothing_else_is_left_out)
{
    struct verify_policy policy;
    struct verify_report report;

    begin();
    a.evidence.proof[0] ^= 1;
    name_evidence(&a);
    add_both();
    ASSERT_FAILS(seal_and_verify(), ERR_PROOF);
    policy = kit_policy(&kit);
    policy.skip_proofs = true;
    ASSERT_OK(manifest_verify(batch.dir, &policy, &report, &err), err);
    ck_assert_uint_eq(report.proofs, 0);
    ck_assert_uint_eq(report.proofs_skipped, 2);
    ck_assert_uint_eq(report.certificates, 2);
    end();
    begin();
    a.evidence.tx[0] ^= 1;
    name_evidence(&a);
    add_both();
    kit_end(&batch, NULL);
    policy = kit_policy(&kit);
    policy.skip_proofs = true;
    ASSERT_FAILS(manifest_verify(batch.dir, &policy, &report, &err), ERR_PROOF);
    end();
}
END_TEST

#define MANY 400

/* Damages two records of many, a signature of one and the text of the other: the first of them must
 * be the one that is named, though the reader finds what is wrong with a text before the threads
 * come to a signature. */
static void check_first_failure(size_t signature, size_t text, unsigned threads)
{
    struct verify_policy policy = kit_policy(&kit);
    struct verify_report report;
    char serial[32], where[64];

    kit_begin(&batch, &kit, "2", NULL);
    for (size_t i = 0; i < MANY; i++) {
        struct kit_device d;

        snprintf(serial, sizeof serial, "M-%04zu", i);
        kit_device_init(&kit, &d, serial);
        if (i == signature) {
            d.evidence.proof[40] ^= 1;
            name_evidence(&d);
        }
        kit_add(&batch, &d);
        kit_device_done(&d);
    }
    kit_end(&batch, NULL);
    if (text < MANY) {
        snprintf(serial, sizeof serial, "\"sn\":\"M-%04zu\"", text);
        damage_replace(batch.dir, DEVICES, serial, "\"sn\":\"\"");
        kit_repair(&kit, batch.dir, KIT_SIGNATURE | KIT_FILES | KIT_LOG);
    }
    policy.threads = threads;
    ASSERT_FAILS(manifest_verify(batch.dir, &policy, &report, &err),
                 signature < text ? ERR_PROOF : ERR_FORMAT);
    snprintf(where, sizeof where,
             "'" DEVICES "' line %zu:", (signature < text ? signature : text) + 1);
    ck_assert_msg(strstr(err.text, where) != NULL, "%s: %s", where, err.text);
    ASSERT_OK(file_remove_tree(batch.dir, &err), err);
}

START_TEST(the_first_wrong_record_is_named_whichever_thread_finds_one)
{
    begin();
    kit_end(&batch, NULL);
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        check_first_failure(70, 140, threads);
        check_first_failure(390, 300, threads);
        check_first_failure(MANY - 1, MANY, threads);
    }
    end();
}
END_TEST

START_TEST(an_empty_batch_is_a_manifest)
{
    begin();
    ASSERT_OK(seal_and_verify(), err);
    end();
}
END_TEST

#define TEXT(b) (char *)(b).data, (b).len

static int add_lines(const char *line, size_t len, const char *evidence, size_t evidence_len)
{
    return seal_add(batch.seal, line, len, evidence, evidence_len, &err);
}

START_TEST(what_is_not_a_record_is_not_sealed)
{
    struct buf line, evidence, other;
    struct record future;

    begin();
    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&evidence, RECORD_LINE_MAX);
    buf_init(&other, RECORD_LINE_MAX);
    ASSERT_OK(record_write(&a.record, &line, &err), err);
    ASSERT_OK(evidence_write(&a.evidence, &evidence, &err), err);
    ASSERT_OK(evidence_write(&b.evidence, &other, &err), err);
    ASSERT_FAILS(add_lines(TEXT(line), NULL, 0), ERR_INPUT);
    ASSERT_FAILS(add_lines(TEXT(line), TEXT(other)), ERR_INPUT);
    ASSERT_FAILS(add_lines((char *)line.data, line.len - 1, TEXT(evidence)), ERR_INPUT);
    ASSERT_FAILS(add_lines("{}", 2, NULL, 0), ERR_INPUT);
    ASSERT_OK(add_lines(TEXT(line), TEXT(evidence)), err);
    kit_change(&future, RECORD_REVOKE, &a.record, 1);
    buf_reset(&line);
    ASSERT_OK(record_write(&future, &line, &err), err);
    ASSERT_FAILS(add_lines(TEXT(line), NULL, 0), ERR_INPUT);
    ASSERT_FAILS(add_lines(TEXT(line), TEXT(evidence)), ERR_INPUT);
    seal_abort(batch.seal);
    buf_done(&line);
    buf_done(&evidence);
    buf_done(&other);
    end();
}
END_TEST

START_TEST(sealing_overwrites_nothing)
{
    struct seal *seal;
    struct seal_result result;
    struct buf line, evidence;

    begin();
    kit_add(&batch, &a);
    kit_end(&batch, NULL);
    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&evidence, RECORD_LINE_MAX);
    ASSERT_OK(record_write(&a.record, &line, &err), err);
    ASSERT_OK(evidence_write(&a.evidence, &evidence, &err), err);
    ASSERT_OK(seal_open(batch.dir, KIT_ORIGIN, NULL, &seal, &err), err);
    ASSERT_FAILS(seal_add(seal, line.data, line.len, evidence.data, evidence.len, &err),
                 ERR_EXISTS);
    seal_abort(seal);
    ASSERT_OK(seal_open(top, KIT_ORIGIN, NULL, &seal, &err), err);
    ASSERT_OK(seal_close(seal, &result, &err), err);
    ck_assert_uint_eq(result.count, 0);
    ASSERT_OK(seal_put_file(top, "b", "x", 1, &result, &err), err);
    ASSERT_OK(seal_put_file(top, "a", "x", 1, &result, &err), err);
    ASSERT_FAILS(seal_put_file(top, "b", "y", 1, &result, &err), ERR_EXISTS);
    ASSERT_FAILS(seal_put_file(top, "../b", "y", 1, &result, &err), ERR_INPUT);
    ASSERT_FAILS(seal_put_file(top, ".b", "y", 1, &result, &err), ERR_INPUT);
    ck_assert_str_eq(result.files[0].name, "a");
    ck_assert_str_eq(result.files[1].name, "b");
    seal_result_done(&result);
    ASSERT_FAILS(seal_open(top, "no name", NULL, &seal, &err), ERR_INPUT);
    buf_done(&line);
    buf_done(&evidence);
    end();
}
END_TEST

START_TEST(a_write_that_fails_late_is_reported)
{
    const struct rlimit small = {100, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    struct seal *seal;
    struct seal_result result;
    struct buf line, evidence;

    begin();
    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&evidence, RECORD_LINE_MAX);
    ASSERT_OK(record_write(&a.record, &line, &err), err);
    ASSERT_OK(evidence_write(&a.evidence, &evidence, &err), err);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ASSERT_OK(add_lines(TEXT(line), TEXT(evidence)), err); /* stays in the buffer of stdio */
    ASSERT_FAILS(seal_close(batch.seal, &result, &err), ERR_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ASSERT_OK(seal_open("/nonexistent", KIT_ORIGIN, NULL, &seal, &err), err);
    ASSERT_FAILS(seal_add(seal, line.data, line.len, evidence.data, evidence.len, &err),
                 ERR_MISSING);
    ASSERT_FAILS(seal_close(seal, &result, &err), ERR_INTERNAL);
    buf_done(&line);
    buf_done(&evidence);
    end();
}
END_TEST

START_TEST(certificates_are_taken_apart_exactly)
{
    uint8_t longer[RECORD_CERT_MAX] = {0};
    struct cert cert;
    size_t accepted = 0;

    begin();
    ck_assert_int_eq(cert_parse(a.cert, a.record.cert.len, &cert), 0);
    ck_assert_uint_eq(cert.sn.len, 4);
    ck_assert_mem_eq(cert.sn.p, "SN-A", 4);
    ck_assert_uint_eq(cert.spki.len, EC_SPKI_SIZE);
    ck_assert_mem_eq(cert.spki.p, a.spki, EC_SPKI_SIZE);
    ck_assert(!cert.is_ca);
    for (size_t len = 0; len < a.record.cert.len; len++)
        ck_assert_int_eq(cert_parse(a.cert, len, &cert), ERR_FORMAT);
    memcpy(longer, a.cert, a.record.cert.len);
    ck_assert_int_eq(cert_parse(longer, a.record.cert.len + 1, &cert), ERR_FORMAT);
    /* Any bit may change without a crash, and some changes show in the form alone. */
    for (size_t i = 0; i < a.record.cert.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            a.cert[i] ^= (uint8_t)(1 << bit);
            accepted += cert_parse(a.cert, a.record.cert.len, &cert) == 0;
            a.cert[i] ^= (uint8_t)(1 << bit);
        }
    ck_assert_uint_lt(accepted, 8 * a.record.cert.len);
    seal_abort(batch.seal);
    end();
}
END_TEST

CHECK_MAIN("batch", what_a_station_signs_is_still_checked,
           a_serial_and_chip_may_live_again_after_a_revocation,
           the_same_serial_in_two_products_is_two_devices, records_may_name_an_amended_order,
           records_of_an_order_that_the_totals_do_not_know_are_refused,
           the_totals_of_each_order_must_be_those_of_its_records,
           amendments_are_added_and_none_is_exchanged,
           proofs_of_derived_keys_are_counted_as_not_verifiable,
           proofs_that_were_left_out_are_counted_and_nothing_else_is_left_out,
           the_first_wrong_record_is_named_whichever_thread_finds_one, an_empty_batch_is_a_manifest,
           what_is_not_a_record_is_not_sealed, sealing_overwrites_nothing,
           a_write_that_fails_late_is_reported, certificates_are_taken_apart_exactly)
