/* Other issuing CAs: certified elsewhere, one after the other in the middle of an order, and ended. */
#include "played_device.h"

#include "base/clock.h"
#include "station/vault/ca/destroying.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/ca/importing.h"
#include "station/vault/ca/requesting.h"

#define DEVICES 1000
#define BEFORE  600 /* made under the first CA */
#define FIRST   400 /* provisioned before the rollover */

/* A company's CA in memory. */
struct company {
    EVP_PKEY *key;
    X509 *root;
};

static struct error why;

static void company_init(struct company *c)
{
    const struct authority_name name = {"Company", "test", "Company root"};

    c->key = EVP_EC_gen("P-256");
    ASSERT_OK(authority_root(&name, 1700000000, c->key, &c->root, &why), why);
}

static void company_done(struct company *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->root);
}

/* What the company answers to a request: a file with certificate and root. */
static void answer(const struct rig *r, const struct company *c, unsigned number,
                   const struct authority_name *name, int64_t end, char path[PATH_MAX])
{
    uint8_t point[EC_POINT_SIZE];
    struct buf pem;
    X509 *cert;

    hsm_use_generation(r->hsm, HSM_KEY_ISSUING_CA, number);
    ASSERT_OK(hsm_key_point(r->hsm, HSM_KEY_ISSUING_CA, point, &why), why);
    ASSERT_OK(authority_issuing(name, 1750000000, point, c->root, c->key, &cert, &why), why);
    if (end) {
        ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)end));
        ck_assert_int_gt(X509_sign(cert, c->key, EVP_sha256()), 0);
    }
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    ASSERT_OK(cert_pem(cert, &pem, &why), why);
    ASSERT_OK(cert_pem(c->root, &pem, &why), why);
    rig_path(r->dir, "answer.pem", path);
    ASSERT_OK(file_write(path, pem.data, pem.len, 0644, &why), why);
    buf_done(&pem);
    X509_free(cert);
}

static struct ca_place place(struct rig *r)
{
    return (struct ca_place){&r->config, r->store, r->hsm};
}

static unsigned request(struct rig *r)
{
    const struct ca_place p = place(r);
    const struct ca_wish wish = {.name = NULL};
    struct requested made;

    ASSERT_OK(requesting_run(&p, &wish, &made, &why), why);
    return made.number;
}

static int import(struct rig *r, const char *path, struct certified *out)
{
    const struct ca_place p = place(r);

    why.text[0] = 0;
    return importing_run(&p, path, out, &why);
}

/* A second CA, certified by the company; *end 0: without one. */
static void add_ca(struct rig *r, const struct company *c, int64_t end, char hash[65])
{
    const struct authority_name name = {"Acme Medical", "test", "pumps"};
    struct certified made;
    char path[PATH_MAX];

    answer(r, c, request(r), &name, end, path);
    ASSERT_OK(import(r, path, &made), why);
    ck_assert_str_eq(made.name, "pumps");
    hex_encode(made.sha256, sizeof made.sha256, hash);
}

static void assert_says(const char *part)
{
    ck_assert_msg(strstr(why.text, part), "'%s' is not in: %s", part, why.text);
}

/* ---- a rollover ---- */

static void provision_many(struct rig *r, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct device d;

        device_init(&d, 1);
        d.chip[0] = (uint8_t)(i >> 8);
        d.chip[1] = (uint8_t)i;
        provision(r, &d);
        device_done(&d);
    }
}

/* How many records name this CA. */
static int count_issuer(struct rig *r, const uint8_t hash[32])
{
    int count = 0;

    for (int64_t i = 0; i < rig_records(r); i++) {
        struct record record;

        rig_record(r, i, &record);
        count += memcmp(record.iss, hash, 32) == 0;
        record_done(&record);
    }
    return count;
}

/* The second verifier, which shares no code with ours. */
static int second_verifier(const struct rig *r, const char *folder)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command,
             "python3 '%s/manifest-verifier.py' '%s/trust/manifest-root.pem' "
             "'%s/trust/device-root.pem' '%s/trust/log.vkey' '%s' >/dev/null",
             IMPRINT_DOCS, r->dir, r->dir, r->dir, folder);
    return system(command);
}

static void seal_and_verify(struct rig *r, char folder[PATH_MAX])
{
    struct verify_policy policy;
    struct verify_report report;
    char paths[3][PATH_MAX];
    struct sealed sealed;

    ASSERT_OK(sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, &why), why);
    ck_assert_int_eq((int)sealed.count, DEVICES);
    rig_pins(r, &policy, paths);
    ASSERT_OK(manifest_verify(sealed.dir, &policy, &report, &why), why);
    ck_assert_int_eq(second_verifier(r, sealed.dir), 0);
    strcpy(folder, sealed.dir);
}

static void destroy_first(struct rig *r)
{
    const struct ca_place p = place(r);
    struct destroyed done;
    char path[PATH_MAX];

    ASSERT_OK(destroying_run(&p, 1, 100, &done, &why), why);
    rig_path(r->dir, "crl/issuing-ca.crl", path);
    ck_assert(done.has_list && file_exists(path));
    ck_assert_int_eq((int)done.list.entries, 0);
}

START_TEST(a_rollover_in_the_middle_of_an_order_leaves_one_manifest_with_both_issuers)
{
    struct rig_order order = {.good = DEVICES, .max_issued = DEVICES};
    char hash[65], own[65], both[160], amends[65], folder[PATH_MAX];
    struct company company;
    uint8_t first[32];
    struct rig r;

    company_init(&company);
    rig_start(&r, &order, BEFORE);
    memcpy(first, r.v.issuer->sha256, sizeof first);
    provision_many(&r, 0, FIRST);

    add_ca(&r, &company, 0, hash);
    hex_encode(first, sizeof first, own);
    hex_encode(r.v.order->hash, 32, amends);
    snprintf(both, sizeof both, "[\"%s\",\"%s\"]", own, hash);
    order.issuers = both;
    order.amends = amends;
    rig_use_order(&r, &order);
    ck_assert_str_eq(r.v.issuer->name, "pumps");
    rig_generate(&r, DEVICES - BEFORE);
    provision_many(&r, FIRST, DEVICES); /* the old stock first, then the new */
    ck_assert_int_eq(count_issuer(&r, first), BEFORE);
    ck_assert_int_eq(count_issuer(&r, r.v.issuer->sha256), DEVICES - BEFORE);
    seal_and_verify(&r, folder);
    destroy_first(&r);
    ck_assert_int_eq(second_verifier(&r, folder), 0);
    ASSERT_FAILS(hsm_key_check(r.hsm, HSM_KEY_ISSUING_CA, &why), ERR_MISSING);
    rig_restart(&r); /* the order lists both, and one of them is enough */
    rig_end(&r);
    company_done(&company);
}
END_TEST

/* ---- taking one in ---- */

START_TEST(only_the_answer_to_the_request_is_taken_in)
{
    const struct authority_name good = {"Acme Medical", "test", "pumps"},
                                mixed = {"Acme Medical", "production", "pumps"},
                                taken = {"Acme Medical", "test", "line-1 issuing CA"};
    const struct rig_order order = {.good = 1};
    struct company company, other;
    struct certified made;
    char path[PATH_MAX];
    unsigned number;
    struct rig r;

    company_init(&company);
    company_init(&other);
    rig_start(&r, &order, 0);
    rig_path(r.dir, "ca/issuing-ca.pem", path);
    ASSERT_FAILS(import(&r, path, &made), ERR_INPUT); /* the root is missing */
    number = request(&r);
    ck_assert_uint_eq(number, 2);
    answer(&r, &company, 2, &mixed, 0, path);
    ASSERT_FAILS(import(&r, path, &made), ERR_REFUSED);
    assert_says("no OU 'test'");
    answer(&r, &company, 2, &taken, 0, path);
    ASSERT_FAILS(import(&r, path, &made), ERR_EXISTS);
    assert_says("--name");
    answer(&r, &company, 2, &good, 1760000000, path);
    ASSERT_FAILS(import(&r, path, &made), ERR_CLOCK);
    assert_says("expired");
    ck_assert_uint_eq(request(&r), 3);
    answer(&r, &company, 2, &good, 0, path);
    ASSERT_OK(import(&r, path, &made), why);
    ck_assert(made.number == 2 && !made.before);
    ASSERT_OK(import(&r, path, &made), why);
    ck_assert(made.before);
    answer(&r, &other, 2, &good, 0, path);
    ASSERT_FAILS(import(&r, path, &made), ERR_EXISTS);
    assert_says("has another certificate already");
    answer(&r, &company, 3, &good, 0, path);
    ASSERT_FAILS(import(&r, path, &made), ERR_EXISTS); /* the name of the second */
    rig_end(&r);
    company_done(&company);
    company_done(&other);
}
END_TEST

START_TEST(files_are_those_that_were_taken_in)
{
    const struct rig_order order = {.good = 1};
    static const char *const files[] = {"ca/issuing-ca-2.pem", "ca/issuing-ca-2.chain.pem"};
    struct company company;
    struct vault v;
    char hash[65], path[PATH_MAX];
    struct rig r;

    company_init(&company);
    rig_start(&r, &order, 0);
    add_ca(&r, &company, 0, hash);
    for (size_t i = 0; i < 2; i++) {
        struct buf pem;

        buf_init(&pem, CA_CHAIN_FILE_MAX);
        rig_path(r.dir, files[i], path);
        ASSERT_OK(file_read(path, &pem, &why), why);
        ASSERT_OK(cert_write(path, r.v.issuer->chain.certs[0], &why), why);
        ASSERT_FAILS(vault_init(&v, &r.config, &r.job, r.store, r.hsm, &why), ERR_INTEGRITY);
        assert_says("put the originals back");
        vault_done(&v);
        ASSERT_OK(file_write(path, pem.data, pem.len, 0644, &why), why);
        buf_done(&pem);
    }
    rig_end(&r);
    company_done(&company);
}
END_TEST

/* ---- which one signs ---- */

static int init_again(struct rig *r, struct vault *v)
{
    why.text[0] = 0;
    return vault_init(v, &r->config, &r->job, r->store, r->hsm, &why);
}

START_TEST(a_job_names_one_of_those_that_the_order_lists)
{
    struct rig_order order = {.good = 5};
    char hash[65], own[65], both[160];
    struct company company;
    struct vault v;
    struct rig r;

    company_init(&company);
    rig_start(&r, &order, 0);
    add_ca(&r, &company, 0, hash);
    strcpy(r.job.issuer, "pumps");
    ASSERT_FAILS(init_again(&r, &v), ERR_REFUSED);
    assert_says("does not list");
    vault_done(&v);
    strcpy(r.job.issuer, "nobody");
    ASSERT_FAILS(init_again(&r, &v), ERR_REFUSED);
    assert_says("does not have");
    vault_done(&v);
    hex_encode(r.v.issuer->sha256, 32, own);
    snprintf(both, sizeof both, "[\"%s\",\"%s\"]", own, hash);
    order.issuers = both;
    order.id = "TEST-2";
    order.first = 100;
    rig_use_order(&r, &order);
    ck_assert_uint_eq(r.v.issuer->number, 2);
    strcpy(r.job.issuer, "line-1 issuing CA");
    ASSERT_OK(init_again(&r, &v), why);
    ck_assert_uint_eq(v.issuer->number, 1);
    vault_done(&v);
    rig_end(&r);
    company_done(&company);
}
END_TEST

START_TEST(stock_of_a_ca_that_the_order_drops_is_not_given_out)
{
    struct rig_order order = {.good = 5};
    char hash[65], one[80], amends[65];
    struct company company;
    struct device d;
    struct rig r;

    company_init(&company);
    rig_start(&r, &order, 1);
    add_ca(&r, &company, 0, hash);
    hex_encode(r.v.order->hash, 32, amends);
    snprintf(one, sizeof one, "[\"%s\"]", hash);
    order.issuers = one;
    order.amends = amends;
    rig_use_order(&r, &order);
    device_init(&d, 7);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "does not list issuing CA 'line-1 issuing CA'");
    device_done(&d);
    rig_end(&r);
    company_done(&company);
}
END_TEST

/* An importer would take neither: it asks whether the CA was valid when the certificate began, and
 * the verifiers of a device's peers whether it still is. */
START_TEST(an_expired_ca_gives_out_nothing_and_signs_nothing)
{
    const struct rig_order order = {.good = 5};
    ASN1_TIME *end;
    int64_t made = 0;
    struct device d;
    struct rig r;

    rig_start(&r, &order, 1);
    end = X509_getm_notAfter(r.v.issuer->chain.certs[r.v.issuer->chain.count - 1]);
    ck_assert_ptr_nonnull(ASN1_TIME_set(end, (time_t)clock_utc() - 1));
    device_init(&d, 8);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "one above it, expired on");
    ASSERT_FAILS(fitting_check_life(&r.v, clock_utc(), &why), ERR_REFUSED);
    assert_says("expired on");
    ASSERT_FAILS(generate_credentials(&r.v, 1, 1, &rig_watch, &made, &why), ERR_REFUSED);
    assert_says("imprint ca request");
    ck_assert_int_eq((int)made, 0);
    ck_assert_ptr_nonnull(ASN1_TIME_set(end, (time_t)clock_utc() + 3600));
    provision(&r, &d);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(nothing_that_outlives_its_ca_is_made)
{
    struct rig_order order = {.good = 5};
    char hash[65], one[80];
    struct company company;
    int64_t made = 0;
    struct rig r;

    company_init(&company);
    rig_start(&r, &order, 0);
    add_ca(&r, &company, clock_utc() + 20 * 86400, hash);
    snprintf(one, sizeof one, "[\"%s\"]", hash);
    order.issuers = one;
    order.id = "TEST-2";
    order.first = 100;
    rig_use_order(&r, &order);
    ck_assert(issuer_ends_soon(r.v.issuer, clock_utc()));
    ck_assert(!issuer_ends_soon(r.v.issuer, 1751000000)); /* the year after it began */
    ck_assert(!issuer_ends_soon(issuers_of_number(&r.v.issuers, 1), clock_utc()));
    ASSERT_FAILS(generate_credentials(&r.v, 1, 1, &rig_watch, &made, &why), ERR_REFUSED);
    assert_says("would outlive CA 'pumps'");
    ck_assert_int_eq((int)made, 0);
    rig_end(&r);
    company_done(&company);
}
END_TEST

/* ---- the end of one ---- */

START_TEST(a_ca_is_destroyed_when_nothing_waits_for_its_list)
{
    const struct rig_order order = {.good = 5};
    const struct ca_place *p;
    struct destroyed done;
    struct ca_place here;
    struct device d;
    struct vault v;
    struct rig r;

    rig_start(&r, &order, 1);
    here = place(&r);
    p = &here;
    ASSERT_FAILS(destroying_run(p, 2, 30, &done, &why), ERR_MISSING);
    ASSERT_FAILS(destroying_run(p, 1, 30, &done, &why), ERR_UNRESOLVED);
    assert_says("1 credentials of issuing CA 'line-1 issuing CA'");
    device_init(&d, 9);
    provision(&r, &d);
    device_done(&d);
    ASSERT_OK(destroying_run(p, 1, 30, &done, &why), why);
    ck_assert(!done.before);
    ASSERT_OK(destroying_run(p, 1, 30, &done, &why), why);
    ck_assert(done.before);
    ASSERT_FAILS(init_again(&r, &v), ERR_REFUSED);
    assert_says("no issuing CA");
    vault_done(&v);
    ASSERT_OK(destroying_root(p, &done, &why), why);
    ck_assert(!done.before);
    ASSERT_OK(destroying_root(p, &done, &why), why);
    ck_assert(done.before);
    rig_check(&r); /* what it signed is sealed and verifies without it */
    rig_drop(&r);
}
END_TEST

START_TEST(a_station_makes_others_itself)
{
    const struct rig_order order = {.good = 5};
    const struct ca_wish wish = {.name = "made here"}, same = {.name = "made here"},
                         root = {.name = "a root of its own"};
    struct destroyed done;
    struct certified made;
    struct ca_place p;
    struct rig r;

    rig_start(&r, &order, 0);
    p = place(&r);
    ASSERT_OK(requesting_create(&p, &wish, false, &made, &why), why);
    ck_assert_uint_eq(made.number, 2);
    ASSERT_FAILS(requesting_create(&p, &same, false, &made, &why), ERR_EXISTS);
    ASSERT_OK(requesting_create(&p, &root, true, &made, &why), why);
    ck_assert_uint_eq(made.number, 3); /* the key of the one that was refused */
    ASSERT_OK(destroying_root(&p, &done, &why), why);
    ASSERT_FAILS(requesting_create(&p, &wish, false, &made, &why), ERR_REFUSED);
    assert_says("was destroyed");
    rig_end(&r);
}
END_TEST

/* A device directly below its root: nothing is above its certificate in the bundle. */
START_TEST(devices_directly_below_their_root)
{
    struct rig_order order = {.good = 5};
    const struct ca_wish root = {.name = "a root of its own"};
    struct certified made;
    char hash[65], one[80];
    struct ca_place p;
    struct device d;
    struct rig r;

    rig_start(&r, &order, 0);
    p = place(&r);
    ASSERT_OK(requesting_create(&p, &root, true, &made, &why), why);
    hex_encode(made.sha256, sizeof made.sha256, hash);
    snprintf(one, sizeof one, "[\"%s\"]", hash);
    order.issuers = one;
    order.id = "TEST-2";
    order.first = 100;
    rig_use_order(&r, &order);
    rig_generate(&r, 1);
    device_init(&d, 3);
    provision(&r, &d);
    ck_assert_uint_eq(d.certificates.len, d.leaf_len);
    device_done(&d);
    rig_end(&r);
}
END_TEST

RIG_MAIN("rollover",
         ONCE(a_rollover_in_the_middle_of_an_order_leaves_one_manifest_with_both_issuers),
         ONCE(only_the_answer_to_the_request_is_taken_in), ONCE(files_are_those_that_were_taken_in),
         ONCE(a_job_names_one_of_those_that_the_order_lists),
         ONCE(stock_of_a_ca_that_the_order_drops_is_not_given_out),
         ONCE(an_expired_ca_gives_out_nothing_and_signs_nothing),
         ONCE(nothing_that_outlives_its_ca_is_made),
         ONCE(a_ca_is_destroyed_when_nothing_waits_for_its_list),
         ONCE(a_station_makes_others_itself), ONCE(devices_directly_below_their_root))
