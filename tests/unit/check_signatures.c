/* Signatures with other algorithms: what a policy requires, and that a state never forgets it. */
#include "manifest_fixture.h"
#include "second_signature.h"

#include "manifests/trust/accept.h"
#include "manifests/trust/compare.h"

#include <openssl/pem.h>
#include <sqlite3.h>
#include <string.h>

static struct signatures_policy required;
static struct verify_report report;
static struct trust_accepted accepted;
static struct trust *t;
static char state_path[PATH_MAX], other_path[PATH_MAX], other_root[PATH_MAX];

static void start(void)
{
    begin();
    snprintf(state_path, sizeof state_path, "%s/state", top);
    snprintf(other_path, sizeof other_path, "%s/other", top);
    snprintf(other_root, sizeof other_root, "%s/other-root.pem", top);
}

static void stop(void)
{
    trust_close(t);
    t = NULL;
    signatures_policy_done(&required);
    end();
}

static void open_state(const char *path)
{
    trust_close(t);
    t = NULL;
    ASSERT_OK(trust_open(path, TRUST_CREATE, &t, &err), err);
}

static void require(const char *text)
{
    ASSERT_OK(signatures_require(&required, text, &err), err);
}

static void require_nothing(void)
{
    signatures_policy_done(&required);
}

static int verify_two(void)
{
    struct verify_policy policy = kit_policy(&kit);

    policy.after = one;
    policy.signatures = &required;
    return manifest_verify(two, &policy, &report, &err);
}

static int accept(const char *dir)
{
    struct verify_policy policy = kit_policy(&kit);

    policy.signatures = &required;
    return trust_accept(t, dir, &policy, NULL, &accepted, &err);
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' is not in: %s", part, err.text);
}

START_TEST(what_is_required_must_be_there)
{
    start();
    ASSERT_OK(verify_two(), err);
    require("ecdsa-p384");
    ASSERT_FAILS(verify_two(), ERR_INCOMPLETE);
    assert_text("requires a signature of ecdsa-p384");
    second_sign(two, &(struct second){.name = CMS_ECDSA_P384});
    ASSERT_OK(verify_two(), err);
    ck_assert(report.signatures.of[CMS_ECDSA_P384].verified);
    ck_assert(!report.signatures.of[CMS_RSA_PSS_3072].verified);
    ck_assert_str_eq(report.signatures.of[CMS_ECDSA_P384].who.subject, "CN=Second signer line1");
    require("rsa-pss-3072");
    ASSERT_FAILS(verify_two(), ERR_INCOMPLETE);
    second_sign_all(two);
    require("ecdsa-p256");
    ASSERT_OK(verify_two(), err);
    stop();
}
END_TEST

START_TEST(what_nothing_is_known_of_is_said)
{
    char name[64];

    start();
    damage_write(two, "manifest.json.ml-dsa-65.p7s", "anything");
    ASSERT_OK(verify_two(), err);
    ck_assert_uint_eq(report.signatures.unknown_count, 1);
    ck_assert_str_eq(report.signatures.unknown[0], "manifest.json.ml-dsa-65.p7s");
    for (int i = 1; i <= SIGNATURES_UNKNOWN_MAX; i++) {
        snprintf(name, sizeof name, "manifest.json.later-%d.p7s", i);
        damage_write(two, name, "");
    }
    ASSERT_FAILS(verify_two(), ERR_FORMAT);
    assert_text("unknown algorithms");
    stop();
}
END_TEST

START_TEST(a_policy_names_what_there_is)
{
    char text[PATH_MAX + 32];

    start();
    ASSERT_FAILS(signatures_require(&required, "ed25519", &err), ERR_USAGE);
    ASSERT_FAILS(signatures_require(&required, "", &err), ERR_USAGE);
    require("ecdsa-p384");
    ASSERT_FAILS(signatures_require(&required, "ecdsa-p384", &err), ERR_USAGE);
    ASSERT_FAILS(signatures_require(&required, "rsa-pss-3072=/nowhere", &err), ERR_MISSING);
    require_nothing();
    second_sign_all(two);
    snprintf(text, sizeof text, "ecdsa-p384=%s", kit.device_root);
    require(text);
    ASSERT_FAILS(verify_two(), ERR_INPUT);
    assert_text("any device could sign");
    stop();
}
END_TEST

/* A root of its own: makes it, and signs two below it. */
static void sign_below_other_root(void)
{
    static const char *const extensions[] = {"basicConstraints",
                                             "critical,CA:TRUE",
                                             "keyUsage",
                                             "critical,keyCertSign",
                                             "subjectKeyIdentifier",
                                             "hash",
                                             NULL};
    EVP_PKEY *key = EVP_EC_gen("P-384");
    X509 *root = kit_certificate(key, "Second root", key, NULL, extensions);
    FILE *out = fopen(other_root, "w");

    ck_assert(out && PEM_write_X509(out, root) == 1 && fclose(out) == 0);
    second_sign(two, &(struct second){.name = CMS_ECDSA_P384, .root = root, .root_key = key});
    second_sign(three, &(struct second){.name = CMS_ECDSA_P384, .root = root, .root_key = key});
    X509_free(root);
    EVP_PKEY_free(key);
}

static void require_below_other_root(void)
{
    char text[PATH_MAX + 32];

    snprintf(text, sizeof text, "ecdsa-p384=%s", other_root);
    require(text);
}

START_TEST(a_second_signature_may_have_a_root_of_its_own)
{
    start();
    sign_below_other_root();
    ASSERT_FAILS(verify_two(), ERR_SIGNATURE);
    require_below_other_root();
    ASSERT_OK(verify_two(), err);
    second_sign(two, &(struct second){.name = CMS_ECDSA_P384});
    ASSERT_FAILS(verify_two(), ERR_SIGNATURE);
    stop();
}
END_TEST

START_TEST(a_state_does_not_forget_what_was_required)
{
    start();
    open_state(state_path);
    ASSERT_OK(accept(one), err);
    sign_below_other_root();
    require_below_other_root();
    ASSERT_OK(accept(two), err);
    require_nothing();
    damage_rename(three, second_name(CMS_ECDSA_P384), "../kept");
    ASSERT_FAILS(accept(three), ERR_INCOMPLETE);
    second_sign(three, &(struct second){.name = CMS_ECDSA_P384});
    ASSERT_FAILS(accept(three), ERR_SIGNATURE); /* not below the root that the state has */
    damage_rename(top, "kept", "3/manifest.json.ecdsa-p384.p7s");
    open_state(state_path);
    ASSERT_OK(accept(three), err);
    ck_assert(accepted.report.signatures.of[CMS_ECDSA_P384].verified);
    stop();
}
END_TEST

START_TEST(another_root_than_that_of_the_state_is_refused)
{
    char text[PATH_MAX + 32];

    start();
    open_state(state_path);
    second_sign_all(one);
    second_sign_all(two);
    require("ecdsa-p384");
    ASSERT_OK(accept(one), err);
    require_nothing();
    snprintf(text, sizeof text, "ecdsa-p384=%s", kit.device_root);
    require(text);
    ASSERT_FAILS(accept(two), ERR_IMPOSTOR);
    require_nothing();
    require("ecdsa-p384");
    ASSERT_OK(accept(two), err);
    stop();
}
END_TEST

/* Accepting the last one again is how a policy is made stricter between two manifests. */
START_TEST(what_is_required_of_a_known_manifest_holds_from_the_next_on)
{
    start();
    open_state(state_path);
    ASSERT_OK(accept(one), err);
    require("rsa-pss-3072");
    ASSERT_OK(accept(one), err);
    ck_assert(accepted.before && accepted.newest);
    require_nothing();
    ASSERT_FAILS(accept(two), ERR_INCOMPLETE);
    assert_text("rsa-pss-3072");
    ASSERT_OK(accept(one), err);
    second_sign_all(two);
    ASSERT_OK(accept(two), err);
    stop();
}
END_TEST

START_TEST(a_refused_manifest_requires_nothing)
{
    start();
    open_state(state_path);
    require("ecdsa-p384");
    ASSERT_FAILS(accept(one), ERR_INCOMPLETE);
    require_nothing();
    ASSERT_OK(accept(one), err);
    stop();
}
END_TEST

START_TEST(a_merged_state_requires_what_either_did)
{
    struct trust_merged merged;

    start();
    open_state(state_path);
    ASSERT_OK(accept(one), err);
    open_state(other_path);
    require("ecdsa-p384");
    second_sign_all(one);
    ASSERT_OK(accept(one), err);
    require_nothing();
    open_state(state_path);
    ASSERT_OK(trust_merge(t, other_path, NULL, NULL, &merged, &err), err);
    ASSERT_FAILS(accept(two), ERR_INCOMPLETE);
    stop();
}
END_TEST

/* Which of the two a later manifest must lead to is no program's to choose. */
START_TEST(states_with_two_roots_of_one_signature_are_not_merged)
{
    struct trust_merged merged;

    start();
    sign_below_other_root();
    open_state(state_path);
    ASSERT_OK(accept(one), err);
    require_below_other_root();
    ASSERT_OK(accept(one), err);
    ck_assert_uint_eq(accepted.required[CMS_ECDSA_P384].since, 2);
    ck_assert(accepted.required[CMS_ECDSA_P384].own);
    require_nothing();
    open_state(other_path);
    ASSERT_OK(accept(one), err);
    ck_assert_uint_eq(accepted.required[CMS_ECDSA_P384].since, 0);
    require("ecdsa-p384");
    ASSERT_OK(accept(one), err);
    ck_assert(!accepted.required[CMS_ECDSA_P384].own);
    require_nothing();
    open_state(state_path);
    ASSERT_FAILS(trust_merge(t, other_path, NULL, NULL, &merged, &err), ERR_IMPOSTOR);
    assert_text("another root for the same required signature");
    ASSERT_OK(accept(two), err);
    stop();
}
END_TEST

/* A state of the version before has no table of required signatures. */
START_TEST(a_state_of_version_two_is_brought_up_to_date)
{
    sqlite3 *db;

    start();
    open_state(state_path);
    ASSERT_OK(accept(one), err);
    trust_close(t);
    t = NULL;
    ck_assert_int_eq(sqlite3_open(state_path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "DROP TABLE signatures_required; PRAGMA user_version = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    ASSERT_OK(trust_open(state_path, TRUST_READ, &t, &err), err);
    open_state(state_path);
    require("ecdsa-p384");
    second_sign_all(two);
    ASSERT_OK(accept(two), err);
    require_nothing();
    ASSERT_FAILS(accept(three), ERR_INCOMPLETE);
    stop();
}
END_TEST

CHECK_MAIN("signatures", what_is_required_must_be_there, what_nothing_is_known_of_is_said,
           a_policy_names_what_there_is, a_second_signature_may_have_a_root_of_its_own,
           a_state_does_not_forget_what_was_required,
           another_root_than_that_of_the_state_is_refused,
           what_is_required_of_a_known_manifest_holds_from_the_next_on,
           a_refused_manifest_requires_nothing, a_merged_state_requires_what_either_did,
           states_with_two_roots_of_one_signature_are_not_merged,
           a_state_of_version_two_is_brought_up_to_date)
