/* Whom a manifest is believed: signers, pins, the time of certificates; and proofs of one record.
 */
#include "manifest_fixture.h"

#include "base/clock.h"
#include "base/file.h"
#include "manifests/cms.h"
#include "manifests/proof.h"

#include <openssl/pem.h>

#include <openssl/cms.h>
#include <string.h>
#include <unistd.h>

static const char *const root_extensions[] = {"basicConstraints", "critical,CA:TRUE", NULL};
static const char *const signer_extensions[] = {"keyUsage", "critical,digitalSignature",
                                                "extendedKeyUsage", "emailProtection", NULL};
static const char *const plain_extensions[] = {"keyUsage", "critical,digitalSignature", NULL};
static const char *const server_extensions[] = {"keyUsage", "critical,digitalSignature",
                                                "extendedKeyUsage", "serverAuth", NULL};
static const char *const ca_extensions[] = {
    "basicConstraints", "critical,CA:TRUE", "keyUsage", "critical,digitalSignature,keyCertSign",
    "extendedKeyUsage", "emailProtection",  NULL};

/* Signs manifest.json of 2 with OpenSSL itself, past the checks of cms_sign. */
static void sign_raw(EVP_PKEY *key, X509 *cert, STACK_OF(X509) * chain, unsigned flags)
{
    struct buf bytes;
    char path[PATH_MAX + 32];
    CMS_ContentInfo *cms;
    BIO *in, *out;

    buf_init(&bytes, STATEMENT_MAX);
    ASSERT_OK(folder_read(two, MANIFEST_NAME, &bytes, &err), err);
    snprintf(path, sizeof path, "%s/%s", two, MANIFEST_SIGNATURE);
    in = BIO_new_mem_buf(bytes.data, (int)bytes.len);
    out = BIO_new_file(path, "w");
    cms = CMS_sign(cert, key, chain, in, CMS_BINARY | flags);
    ck_assert_ptr_nonnull(cms);
    ck_assert_int_eq(PEM_write_bio_CMS(out, cms), 1);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
    buf_done(&bytes);
}

static void write_certificate(const char *path, X509 *cert)
{
    BIO *out = BIO_new_file(path, "w");

    ck_assert_int_eq(PEM_write_bio_X509(out, cert), 1);
    BIO_free(out);
}

/* A manifest root of our own, pinned, with a signer below it of these extensions. */
static int verify_signer(const char *const *extensions, unsigned flags)
{
    EVP_PKEY *root_key = kit_key(), *key = kit_key();
    X509 *root = kit_certificate(root_key, "Root", root_key, NULL, root_extensions);
    X509 *cert = kit_certificate(key, "Signer", root_key, root, extensions);

    write_certificate(kit.root, root);
    sign_raw(key, cert, NULL, flags);
    X509_free(root);
    X509_free(cert);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(key);
    return verify(two, one);
}

START_TEST(only_a_certificate_of_a_manifest_signer_may_sign)
{
    begin();
    ASSERT_OK(verify_signer(signer_extensions, CMS_DETACHED | CMS_CADES), err);
    ASSERT_FAILS(verify_signer(plain_extensions, CMS_DETACHED | CMS_CADES), ERR_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(err.text, "emailProtection"));
    ASSERT_FAILS(verify_signer(server_extensions, CMS_DETACHED | CMS_CADES), ERR_SIGNATURE);
    ASSERT_FAILS(verify_signer(ca_extensions, CMS_DETACHED | CMS_CADES), ERR_SIGNATURE);
    end();
}
END_TEST

START_TEST(a_signature_must_be_detached_and_name_its_certificate)
{
    begin();
    ASSERT_FAILS(verify_signer(signer_extensions, CMS_CADES), ERR_FORMAT);
    ASSERT_FAILS(verify_signer(signer_extensions, CMS_DETACHED), ERR_SIGNATURE);
    ASSERT_FAILS(verify_signer(signer_extensions, CMS_DETACHED | CMS_CADES | CMS_NOCERTS),
                 ERR_SIGNATURE);
    end();
}
END_TEST

START_TEST(a_device_cannot_sign_a_manifest)
{
    struct kit_device d;
    const uint8_t *p;
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *cert;

    begin();
    kit_device_init(&kit, &d, "A1-0001");
    p = d.cert;
    cert = d2i_X509(NULL, &p, (long)d.record.cert.len);
    sk_X509_push(chain, kit.ca);
    sign_raw(d.key, cert, chain, CMS_DETACHED | CMS_CADES);
    ASSERT_FAILS(verify(two, one), ERR_SIGNATURE);
    sk_X509_free(chain);
    X509_free(cert);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(a_station_refuses_to_sign_with_a_certificate_that_would_not_verify)
{
    struct signer signer = {.key = kit_key()};
    struct buf pem;

    buf_init(&pem, 65536);
    ASSERT_FAILS(cms_sign(&signer, "x", 1, &pem, &err), ERR_INPUT);
    signer.cert = kit_certificate(signer.key, "S", signer.key, NULL, plain_extensions);
    ASSERT_FAILS(cms_sign(&signer, "x", 1, &pem, &err), ERR_INPUT);
    X509_free(signer.cert);
    signer.cert = kit_certificate(signer.key, "S", signer.key, NULL, ca_extensions);
    ASSERT_FAILS(cms_sign(&signer, "x", 1, &pem, &err), ERR_INPUT);
    X509_free(signer.cert);
    signer.cert = kit_certificate(signer.key, "S", signer.key, NULL, signer_extensions);
    EVP_PKEY_free(signer.key);
    signer.key = kit_key(); /* not the certificate's */
    ASSERT_FAILS(cms_sign(&signer, "x", 1, &pem, &err), ERR_CRYPTO);
    ck_assert_uint_eq(pem.len, 0);
    X509_free(signer.cert);
    EVP_PKEY_free(signer.key);
}
END_TEST

/* A key handle as hsm/signer.h gives it: an EC_KEY inside an EVP_PKEY, no provider. */
static EVP_PKEY *legacy_key(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    ck_assert_int_eq(EC_KEY_generate_key(ec), 1);
    ck_assert_int_eq(EVP_PKEY_assign_EC_KEY(key, ec), 1);
#pragma GCC diagnostic pop
    return key;
}

START_TEST(keys_in_legacy_handles_sign_as_well)
{
    EVP_PKEY *root_key = kit_key();
    X509 *root = kit_certificate(root_key, "Root", root_key, NULL, root_extensions);
    struct signer signer = {.key = legacy_key()};
    struct buf note, vkey;
    struct note_key pin;
    size_t len;

    begin();
    signer.cert = kit_certificate(signer.key, "Signer", root_key, root, signer_extensions);
    write_certificate(kit.root, root);
    kit_sign_with(&signer, two);
    ASSERT_OK(verify(two, one), err);
    buf_init(&note, NOTE_MAX);
    buf_init(&vkey, 1024);
    ASSERT_OK(note_sign("a\n", 2, KIT_ORIGIN, signer.key, &note, &err), err);
    ASSERT_OK(note_key_write(KIT_ORIGIN, signer.key, &vkey, &err), err);
    ASSERT_OK(note_key_parse((char *)vkey.data, vkey.len, &pin, &err), err);
    ASSERT_OK(note_verify(note.data, note.len, &pin, &len, &err), err);
    note_key_done(&pin);
    buf_done(&note);
    buf_done(&vkey);
    X509_free(signer.cert);
    X509_free(root);
    EVP_PKEY_free(signer.key);
    EVP_PKEY_free(root_key);
    end();
}
END_TEST

START_TEST(an_expired_signer_counts_at_the_time_it_was_valid)
{
    EVP_PKEY *root_key = kit_key(), *key = kit_key();
    X509 *root = kit_certificate(root_key, "Root", root_key, NULL, root_extensions), *cert;
    struct verify_policy policy;
    struct verify_report report;

    begin();
    cert = kit_certificate(key, "Signer", root_key, root, signer_extensions);
    ASN1_TIME_set_string(X509_getm_notAfter(cert), "20300101000000Z");
    ck_assert_int_gt(X509_sign(cert, root_key, EVP_sha256()), 0);
    write_certificate(kit.root, root);
    sign_raw(key, cert, NULL, CMS_DETACHED | CMS_CADES);
    policy = kit_policy(&kit);
    ck_assert_int_eq(clock_parse("2031-01-01T00:00:00Z", &policy.at), 0);
    ASSERT_FAILS(manifest_verify(two, &policy, &report, &err), ERR_SIGNATURE);
    ck_assert_int_eq(clock_parse("2029-01-01T00:00:00Z", &policy.at), 0);
    ASSERT_OK(manifest_verify(two, &policy, &report, &err), err);
    ck_assert_int_eq(report.signer.not_after, 1893456000);
    X509_free(root);
    X509_free(cert);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(key);
    end();
}
END_TEST

START_TEST(every_pin_is_needed_and_must_be_the_right_one)
{
    struct verify_report report;
    struct verify_policy good, policy;
    struct kit other;
    char dir[] = "/tmp/check_trust_XXXXXX";

    begin();
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kit_init(&other, dir);
    good = kit_policy(&kit);
    policy = good;
    policy.root = NULL;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    policy = good;
    policy.device_root = NULL;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    policy = good;
    policy.log_key = NULL;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    policy = good;
    policy.root = policy.device_root;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "same key"));
    policy = good;
    policy.root = other.root;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_SIGNATURE);
    policy = good;
    policy.device_root = other.device_root;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_SIGNATURE);
    policy = good;
    policy.log_key = other.vkey;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_SIGNATURE);
    policy = good;
    policy.log_key = good.root;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    policy = good;
    policy.root = good.log_key;
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_INPUT);
    policy = good;
    policy.root = "/nonexistent/root.pem";
    ASSERT_FAILS(manifest_verify(one, &policy, &report, &err), ERR_MISSING);
    kit_done(&other);
    ASSERT_OK(file_remove_tree(dir, &err), err);
    end();
}
END_TEST

static int verify_proof_with(struct buf *proof, const char *vkey, struct proof_report *report)
{
    struct note_key key;
    int rc;

    ASSERT_OK(note_key_read(vkey, &key, &err), err);
    rc = proof_verify(proof->data, proof->len, &key, report, &err);
    note_key_done(&key);
    return rc;
}

START_TEST(every_serial_of_a_batch_can_be_proven)
{
    static const struct {
        int manifest;
        const char *serial;
        uint64_t index;
        enum record_type type;
    } cases[] = {
        {1, "A1-0001", 0, RECORD_ADD},     {1, "A1-0003", 2, RECORD_ADD},
        {1, "A1-0005", 4, RECORD_VOID},    {1, "A1-0006", 5, RECORD_VOID},
        {2, "A1-0007", 6, RECORD_ADD},     {2, "A1-0001", 7, RECORD_REVOKE},
        {2, "A1-0002", 8, RECORD_REPLACE}, {3, "A1-0004", 10, RECORD_RECOMMISSION},
        {3, "A1-0008", 11, RECORD_ATTR},   {3, "A1-0009", 12, RECORD_ADD},
    };

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *dirs[] = {one, two, three};
        struct proof_report report;
        struct buf proof;

        buf_init(&proof, PROOF_MAX);
        ASSERT_OK(proof_make(dirs[cases[i].manifest - 1], cases[i].serial, NULL, &proof, &err),
                  err);
        ASSERT_OK(verify_proof_with(&proof, kit.vkey, &report), err);
        ck_assert_uint_eq(report.index, cases[i].index);
        ck_assert_int_eq(report.record.t, cases[i].type);
        ck_assert_str_eq(report.record.sn, cases[i].serial);
        proof_report_done(&report);
        buf_done(&proof);
    }
    end();
}
END_TEST

START_TEST(every_byte_of_a_proof_matters)
{
    struct proof_report report;
    struct buf proof;

    begin();
    buf_init(&proof, PROOF_MAX);
    ASSERT_OK(proof_make(one, "A1-0003", NULL, &proof, &err), err);
    for (size_t i = 0; i < proof.len; i++) {
        proof.data[i] ^= 1;
        ck_assert_msg(verify_proof_with(&proof, kit.vkey, &report) != 0, "byte %zu", i);
        proof.data[i] ^= 1;
    }
    for (size_t len = 0, whole = proof.len; len < whole; len += 3) {
        proof.len = len;
        ck_assert_msg(verify_proof_with(&proof, kit.vkey, &report) != 0, "cut at %zu", len);
        proof.len = whole;
    }
    buf_done(&proof);
    end();
}
END_TEST

START_TEST(what_cannot_be_proven_is_said_so)
{
    struct buf proof;

    begin();
    buf_init(&proof, PROOF_MAX);
    ASSERT_FAILS(proof_make(one, "A1-0007", NULL, &proof, &err), ERR_MISSING);
    ASSERT_FAILS(proof_make(one, "A1-0001", "another", &proof, &err), ERR_MISSING);
    ASSERT_OK(proof_make(one, "A1-0001", KIT_PRODUCT, &proof, &err), err);
    buf_reset(&proof);
    damage_replace(one, DEVICES, "\"sn\":\"A1-0002\"", "\"sn\":\"A1-0001\"");
    ASSERT_FAILS(proof_make(one, "A1-0001", NULL, &proof, &err), ERR_INTEGRITY);
    damage_replace(one, DEVICES, KIT_PRODUCT "\",\"sn\":\"A1-0001\"",
                   "another\",\"sn\":\"A1-0001\"");
    ASSERT_FAILS(proof_make(one, "A1-0001", NULL, &proof, &err), ERR_DUPLICATE);
    ck_assert_uint_eq(proof.len, 0);
    buf_done(&proof);
    end();
}
END_TEST

CHECK_MAIN("trust", only_a_certificate_of_a_manifest_signer_may_sign,
           a_signature_must_be_detached_and_name_its_certificate, a_device_cannot_sign_a_manifest,
           a_station_refuses_to_sign_with_a_certificate_that_would_not_verify,
           keys_in_legacy_handles_sign_as_well, an_expired_signer_counts_at_the_time_it_was_valid,
           every_pin_is_needed_and_must_be_the_right_one, every_serial_of_a_batch_can_be_proven,
           every_byte_of_a_proof_matters, what_cannot_be_proven_is_said_so)
