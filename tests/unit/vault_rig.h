/*
 * vault_rig: a real station on a real SoftHSM2 token, an order, and a line that talks to the vault.
 *
 * Each test works on a copy of the station of vault_template.h. rig_end proves what must hold whatever a
 * test did: the ledger and the tables agree, every record has a valid proof, and what is sealed
 * verifies.
 *
 * SoftHSM, PKCS#11 and SQLite are opened in the tests only, each of which Check forks.
 */
#ifndef TESTS_VAULT_RIG_H
#define TESTS_VAULT_RIG_H

#include "vault_template.h"

#include "base/codec.h"
#include "manifests/evidence.h"
#include "manifests/verify.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"
#include "station/store/whitelist.h"
#include "station/vault/generate.h"
#include "station/vault/sealing.h"
#include "station/vault/session.h"
#include "station/wire/channel.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_PRODUCT "09506000134352"
#define RIG_PROFILE                                                                                \
    "{\"name\":\"idevid\",\"sha256\":"                                                             \
    "\"5866508f9cc104917893e0f6e8fb94a2109fee699691c954e01f287d87461cb7\"}"
#define RIG_CHIP_SIZE 8

/* What an order of a test says; zero is: no lock, no authentication, suite 1, no trust anchors. */
struct rig_order {
    bool lock, anchors;
    const char *id;            /* NULL: "TEST-1" */
    const char *suites;        /* NULL: "[1]" */
    bool device_keys;          /* key_modes "device", not "hsm" */
    bool derived;              /* key_modes "derived", not "hsm" */
    bool symmetric;            /* a symmetric key beside the private one */
    const uint8_t (*keys)[65]; /* enrolled keys; NULL: device_auth none */
    size_t key_count;
    int good, max_issued; /* 0: 5000 */
    int spoilage;         /* 0: 100, -1: none */
    int first, last;      /* serials; 0: 1 to 999999 */
    int rework;
    const char *serials;      /* the JSON of the member; NULL: by first and last */
    enum job_source source;   /* of the job's serials */
    const char *from, *until; /* NULL: 2020 to 2099 */
    const char *amends;       /* hash of the version that it amends; NULL: a first order */
    const char *environment;  /* NULL: RIG_ENVIRONMENT */
    const char *product;      /* NULL: RIG_PRODUCT */
    const char *key, *issuer; /* NULL: this station's */
    const char *issuers;      /* the JSON of the member instead; NULL: issuer */
    const char *after;        /* the JSON of the member; NULL: none */
    bool no_software_hsm;
    const struct buf *vendor_root; /* DER: device_auth attested; NULL: not */
};

struct rig {
    char dir[64];
    struct config config;
    struct job job;
    struct buf order; /* signed */
    struct store *store;
    struct hsm *hsm;
    struct anchoring anchoring;
    struct attest attest;
    struct vault v;
};

/* ---- a station of one test ---- */

static inline void rig_copy(struct rig *r)
{
    struct error err = ERROR_INIT;
    char command[256], path[PATH_MAX], text[512];

    memset(r, 0, sizeof *r);
    strcpy(r->dir, "/tmp/check_vault_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    snprintf(command, sizeof command, "cp -a %s/station/. %s", rig_template, r->dir);
    ck_assert_int_eq(system(command), 0);
    if (softhsm_is_nss()) {
        snprintf(command, sizeof command, "cp -a %s/nss %s", rig_template, r->dir);
        ck_assert_int_eq(system(command), 0);
        ASSERT_OK(config_read(r->dir, &r->config, &err), err);
        rig_nss(&r->config, r->dir);
        ASSERT_OK(config_write(&r->config, &err), err);
        return;
    }
    rig_path(r->dir, "softhsm2.conf", path);
    snprintf(text, sizeof text,
             "directories.tokendir = %s/tokens/\nobjectstore.backend = file\nlog.level = ERROR\n",
             r->dir);
    ASSERT_OK(file_write(path, text, strlen(text), 0600, &err), err);
    ASSERT_OK(config_read(r->dir, &r->config, &err), err);
    r->config.slots.failures = 0; /* devices fail on purpose */
}

static inline int rig_compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* A member of station.json. */
static inline void rig_station_json(const struct rig *r, const char *member, char out[65])
{
    json_error_t why;
    char path[PATH_MAX];
    json_t *root;

    rig_path(r->dir, "station.json", path);
    root = json_load_file(path, 0, &why);
    ck_assert_msg(root != NULL, "%s", why.text);
    snprintf(out, 65, "%s", json_string_value(json_object_get(root, member)));
    json_decref(root);
}

static inline void rig_put_counts(struct buf *json, const struct rig_order *o)
{
    buf_printf(json, "\"good\":%d,\"max_issued\":%d,\"spoilage\":%d,\"rework\":%d",
               o->good ? o->good : 5000, o->max_issued ? o->max_issued : 5000,
               o->spoilage < 0 ? 0
               : o->spoilage   ? o->spoilage
                               : 100,
               o->rework);
}

static inline void rig_put_stations(const struct rig *r, struct buf *json,
                                    const struct rig_order *o)
{
    char key[65], issuer[65];

    rig_station_json(r, "key", key);
    rig_station_json(r, "issuer", issuer);
    buf_printf(json, ",\"stations\":[{\"key\":\"%s\",", o->key ? o->key : key);
    if (o->issuers)
        buf_printf(json, "\"issuer\":%s,", o->issuers);
    else
        buf_printf(json, "\"issuer\":\"%s\",", o->issuer ? o->issuer : issuer);
    rig_put_counts(json, o);
    if (o->serials)
        buf_printf(json, ",\"serials\":%s", o->serials);
    else
        buf_printf(json,
                   ",\"serials\":{\"prefix\":\"PUMP-\",\"digits\":6,\"first\":%d,\"last\":%d}",
                   o->first ? o->first : 1, o->last ? o->last : 999999);
    if (o->after)
        buf_printf(json, ",\"after\":%s", o->after);
    buf_put_str(json, "}]");
}

/* The list of enrolled keys that a job would name, and its hash into the order. */
static inline void rig_enrol(struct job *job, struct buf *json, const struct rig_order *o)
{
    uint8_t spki[EC_SPKI_SIZE];

    job->enrolled = calloc(o->key_count + 1, 32);
    for (size_t i = 0; i < o->key_count; i++) {
        ec_spki(o->keys[i], spki);
        sha256(spki, sizeof spki, job->enrolled[i]);
    }
    job->enrolled_count = o->key_count;
    qsort(job->enrolled, o->key_count, 32, rig_compare_keys);
    buf_printf(json, ",\"device_auth\":\"enrolled\",\"enrolled\":\"%064d\"", 0);
}

static inline void rig_name_vendor(struct job *job, struct buf *json, const struct buf *root)
{
    uint8_t hash[32];
    char hex[65];

    sha256(root->data, root->len, hash);
    hex_encode(hash, sizeof hash, hex);
    buf_printf(json, ",\"device_auth\":\"attested\",\"vendor_roots\":[\"%s\"]", hex);
    buf_put(&job->vendor_roots[0], root->data, root->len);
    job->vendor_root_count = 1;
    strcpy(job->vendor_roots_path, "vendor-roots.pem");
}

static inline void rig_put_auth(struct job *job, struct buf *json, const struct rig_order *o)
{
    if (o->keys)
        rig_enrol(job, json, o);
    else if (o->vendor_root)
        rig_name_vendor(job, json, o->vendor_root);
    else
        buf_put_str(json, ",\"device_auth\":\"none\"");
}

static inline void rig_put_anchors(struct job *job, struct buf *json)
{
    uint8_t hash[32];
    char hex[65];

    buf_put_str(&job->trust_anchors, "stands for DER certificates");
    sha256(job->trust_anchors.data, job->trust_anchors.len, hash);
    hex_encode(hash, sizeof hash, hex);
    buf_printf(json, ",\"objects\":{\"trust_anchors\":\"%s\"}", hex);
}

/* The job, and its order as an owner writes and signs it. */
static inline void rig_write_job(struct rig *r, const struct rig_order *o)
{
    struct job *job = &r->job;
    struct buf json;

    memset(job, 0, sizeof *job);
    buf_init(&json, ORDER_FILE_MAX);
    buf_init(&r->order, ORDERS_SIGNED_MAX);
    buf_init(&job->trust_anchors, JOB_ANCHORS_MAX);
    for (size_t i = 0; i < ORDER_VENDOR_ROOTS_MAX; i++)
        buf_init(&job->vendor_roots[i], JOB_ROOT_MAX);
    strcpy(job->name, "test");
    strcpy(job->order, o->id ? o->id : "TEST-1");
    job->serials =
        (struct job_serials){.prefix = "PUMP-", .digits = 6, .first = o->first ? o->first : 1};
    job->serials.source = o->source;
    strcpy(job->ports[0].slot, "S{n}");
    job->port_count = 1;
    job->symmetric_key = o->symmetric;
    if (!o->derived) {
        strcpy(job->certificate.organization, "Acme Medical");
        strcpy(job->certificate.hardware_type, "1.3.6.1.4.1.32473.1.7");
    }
    buf_printf(&json, "{\"type\":\"%s\"", o->amends ? "amendment" : "order");
    if (o->amends)
        buf_printf(&json, ",\"amends\":\"%s\"", o->amends);
    buf_printf(&json,
               ",\"id\":\"%s\",\"environment\":\"%s\",\"product\":\"%s\"%s,\"symmetric_key\":%s,"
               "\"use\":\"registration\",\"valid\":{\"from\":\"%s\",\"until\":\"%s\"},"
               "\"software_hsm\":%s,\"key_modes\":[\"%s\"],\"drivers\":[\"native\"],"
               "\"suites\":%s,\"lock\":%s,\"counts\":{",
               job->order, o->environment ? o->environment : RIG_ENVIRONMENT,
               o->product ? o->product : RIG_PRODUCT, o->derived ? "" : ",\"profile\":" RIG_PROFILE,
               o->symmetric ? "true" : "false", o->from ? o->from : "2020-01-01T00:00:00Z",
               o->until ? o->until : "2099-12-31T00:00:00Z", o->no_software_hsm ? "false" : "true",
               o->device_keys ? "device"
               : o->derived   ? "derived"
                              : "hsm",
               o->suites ? o->suites : "[1]", o->lock ? "true" : "false");
    rig_put_counts(&json, o);
    buf_put_u8(&json, '}');
    rig_put_stations(r, &json, o);
    rig_put_auth(job, &json, o);
    if (o->anchors)
        rig_put_anchors(job, &json);
    buf_put_u8(&json, '}');
    rig_sign(&json, &r->order);
    buf_done(&json);
}

/* Opens database and token, as every command does that writes. */
static inline void rig_open_station(struct rig *r)
{
    struct error err = ERROR_INIT;

    r->attest = (struct attest){.fd = -1};
    if (r->job.vendor_root_count)
        ASSERT_OK(attest_start(&r->attest, IMPRINT_CHECKER, &r->job, &err), err);
    ASSERT_OK(vault_open_store(&r->config, STORE_WRITE, &r->store, &err), err);
    ASSERT_OK(vault_open_hsm(&r->config, &r->hsm, &err), err);
    r->anchoring = (struct anchoring){.config = &r->config, .hsm = r->hsm};
    ASSERT_OK(vault_attach_store(&r->anchoring, r->store, &err), err);
}

/* `imprint order add`: what it says to the order at hand. */
static inline int rig_take(struct rig *r, struct error *err)
{
    static struct order order;
    enum order_taken taken;
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = orders_take(&v, "test", &r->order, &order, &taken, err);
    vault_done(&v);
    return rc;
}

/* Opens database, token and vault, as a start of the program does; the order is in the station. */
static inline void rig_open(struct rig *r)
{
    struct error err = ERROR_INIT;

    rig_open_station(r);
    ASSERT_OK(rig_take(r, &err), err);
    ASSERT_OK(vault_init(&r->v, &r->config, &r->job, r->store, r->hsm, &err), err);
    r->v.attest = r->attest.pid ? &r->attest : NULL;
    ASSERT_OK(vault_load_certificate(&r->v, &err), err);
}

static inline void rig_close(struct rig *r)
{
    attest_stop(&r->attest);
    vault_done(&r->v);
    store_close(r->store);
    hsm_close(r->hsm);
    r->store = NULL;
    r->hsm = NULL;
}

static inline void rig_forget_job(struct rig *r)
{
    job_done(&r->job);
    buf_done(&r->order);
}

/* As if the station had lost power: only what is on disk remains. */
static inline void rig_restart(struct rig *r)
{
    rig_close(r);
    rig_open(r);
}

static inline void rig_no_progress(void *context, int64_t done)
{
    (void)context;
    (void)done;
}

static inline bool rig_no_stop(void *context)
{
    (void)context;
    return false;
}

/* So that every test of what follows a generation tests what several threads made. */
#define RIG_THREADS 2

static const struct generate_watch rig_watch = {rig_no_progress, rig_no_stop, NULL};

static inline void rig_generate(struct rig *r, int64_t count)
{
    struct error err = ERROR_INIT;
    int64_t made = 0;

    ASSERT_OK(generate_credentials(&r->v, count, RIG_THREADS, &rig_watch, &made, &err), err);
    ck_assert_int_eq(made, count);
}

/* A station with an order and count credentials. */
static inline void rig_start(struct rig *r, const struct rig_order *order, int64_t count)
{
    rig_copy(r);
    rig_write_job(r, order);
    rig_open(r);
    if (count)
        rig_generate(r, count);
}

/* The same station with another order in force. */
static inline void rig_use_order(struct rig *r, const struct rig_order *order)
{
    rig_close(r);
    rig_forget_job(r);
    rig_write_job(r, order);
    rig_open(r);
}

/* ---- what the database says ---- */

static inline void rig_sql(struct rig *r, const char *text)
{
    ck_assert_msg(sqlite3_exec(r->store->sql.db, text, NULL, NULL, NULL) == SQLITE_OK, "%s: %s",
                  text, sqlite3_errmsg(r->store->sql.db));
}

static inline int64_t rig_int(struct rig *r, const char *query)
{
    sqlite3_stmt *s;
    int64_t value;

    ck_assert_msg(sqlite3_prepare_v2(r->store->sql.db, query, -1, &s, NULL) == SQLITE_OK, "%s",
                  query);
    ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
    value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

/* One number that changes when anything but the log of attempts does. */
static inline int64_t rig_changes(struct rig *r)
{
    return rig_int(r, "SELECT 1000000 * (SELECT count(*) FROM ledger)"
                      " + 1000 * (SELECT count(*) FROM records) + (SELECT count(*) FROM claims)");
}

#define rig_records(r)  rig_int(r, "SELECT count(*) FROM records")
#define rig_claims(r)   rig_int(r, "SELECT count(*) FROM claims")
#define rig_attempts(r) rig_int(r, "SELECT count(*) FROM attempts")

/* How many credentials are in a state. */
static inline int64_t rig_state(struct rig *r, enum credential_state state)
{
    char query[96];

    snprintf(query, sizeof query, "SELECT count(*) FROM credentials WHERE state = %d", state);
    return rig_int(r, query);
}

/* The record at an index of the log; record_done frees it. */
static inline void rig_record(struct rig *r, int64_t index, struct record *record)
{
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;

    ASSERT_OK(
        sql_start(&r->store->sql, &err, &s, "SELECT line FROM records WHERE idx = ?", "i", index),
        err);
    ck_assert_int_eq(sql_next(&r->store->sql, s, &err), 1);
    ASSERT_OK(
        record_parse(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0), record, &err),
        err);
    sql_end(s);
}

/* ---- what must hold whatever happened ---- */

struct rig_seen {
    int64_t adds, burned, scrapped, revoked;
};

/* What the device's own key signed, as an owner verifies it who knows which suites the device offers: with
 * what X says and nothing else. Played devices offer one suite. */
static inline void rig_check_attestation(const struct evidence *e, const struct record *r)
{
    struct link_facts facts = {.suite_count = 1, .firmware = "-", .frame_max = 1024};
    struct error err = ERROR_INIT;
    struct transcript x;
    struct public_key made_key;
    struct buf message;

    ck_assert_int_eq(transcript_parse(e->x.p, e->x.len, &x), 0);
    ck_assert_uint_eq(x.dev_pub.len, 2 + EC_POINT_SIZE);
    facts.suites[0] = x.suite ? x.suite : IMPRINT_SUITE_ECB;
    facts.lifecycle = IMPRINT_LIFE_FACTORY;
    facts.dev_pub = link_key_p256(x.dev_pub.p + 2);
    facts.chip_id_len = x.chip.len;
    memcpy(facts.chip_id, x.chip.p, x.chip.len);
    buf_init(&message, LINK_X_MAX);
    ASSERT_OK(link_attest_message(&facts, x.station_nonce.p, &message, &err), err);
    ASSERT_OK(ec_verify(e->att_key, message.data, message.len, e->att_sig, &err), err);
    buf_reset(&message);
    if (e->made) {
        ASSERT_OK(key_parse(r->spki.p, r->spki.len, &made_key, &err), err);
        ASSERT_OK(link_attest_key_message(&facts, x.station_nonce.p, &made_key, &message, &err),
                  err);
        ASSERT_OK(ec_verify(e->att_key, message.data, message.len, e->att_made, &err), err);
    }
    buf_done(&message);
}

static inline int rig_check_record(void *context, const void *line, size_t len,
                                   const void *evidence, size_t evidence_len, struct error *err)
{
    struct rig_seen *seen = context;
    struct evidence e;
    struct record r;
    struct ec_verifier *verifier = ec_verifier_new();
    bool verified = false;

    ASSERT_OK(record_parse(line, len, &r, err), *err);
    if (r.t == RECORD_ADD || r.t == RECORD_REPLACE) {
        seen->adds++;
        ASSERT_OK(evidence_parse(evidence, evidence_len, &e, err), *err);
        ASSERT_OK(evidence_verify(&e, &r, RIG_ENVIRONMENT, verifier, &verified, err), *err);
        ck_assert_int_eq(verified, r.mode != RECORD_MODE_DERIVED); /* only its owner can */
        if (e.attested)
            rig_check_attestation(&e, &r);
        evidence_done(&e);
    } else {
        ck_assert(r.t == RECORD_VOID || r.t == RECORD_REVOKE);
        *(r.t == RECORD_REVOKE        ? &seen->revoked
          : r.reason == RECORD_BURNED ? &seen->burned
                                      : &seen->scrapped) += 1;
    }
    ec_verifier_free(verifier);
    record_done(&r);
    return 0;
}

static inline void rig_pins(const struct rig *r, struct verify_policy *policy,
                            char paths[3][PATH_MAX])
{
    rig_path(r->dir, "trust/manifest-root.pem", paths[0]);
    rig_path(r->dir, "trust/device-root.pem", paths[1]);
    rig_path(r->dir, "trust/log.vkey", paths[2]);
    *policy =
        (struct verify_policy){.root = paths[0], .device_root = paths[1], .log_key = paths[2]};
}

/* Seals what is there and verifies it as an owner does. */
static inline void rig_seal_and_verify(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct verify_policy policy;
    struct verify_report report;
    char paths[3][PATH_MAX];
    struct sealed sealed;

    ASSERT_OK(sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, &err), err);
    if (sealed.seq == 0)
        return;
    rig_pins(r, &policy, paths);
    ASSERT_OK(manifest_verify(sealed.dir, &policy, &report, &err), err);
}

static inline void rig_check(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct rig_seen seen = {0};
    int64_t entries, size;

    ASSERT_OK(ledger_verify(r->store, &entries, &err), err);
    ASSERT_OK(whitelist_size(r->store, &size, &err), err);
    ASSERT_OK(whitelist_each(r->store, 0, size, rig_check_record, &seen, &err), err);
    ck_assert_int_eq(seen.adds, rig_int(r, "SELECT count(*) FROM claims WHERE state IN (1, 3)"));
    ck_assert_int_eq(seen.burned, rig_int(r, "SELECT count(*) FROM claims WHERE state = 2"));
    ck_assert_int_eq(seen.adds, rig_state(r, CREDENTIAL_PROVEN) + seen.revoked);
    ck_assert_int_eq(seen.burned, rig_state(r, CREDENTIAL_BURNED));
    ck_assert_int_eq(seen.scrapped, rig_state(r, CREDENTIAL_SCRAPPED));
    ck_assert_int_eq(seen.revoked, rig_state(r, CREDENTIAL_REVOKED));
    ck_assert_int_eq(rig_claims(r),
                     rig_int(r, "SELECT count(*) FROM credentials WHERE state NOT IN (0, 4)"));
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials WHERE state > 1"
                                " AND wrapped IS NOT NULL"),
                     0);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state > 0"
                                " AND (wrapped IS NOT NULL OR symmetric IS NOT NULL)"),
                     0);
    rig_seal_and_verify(r);
}

/* Ends a test whose station was damaged on purpose. */
static inline void rig_drop(struct rig *r)
{
    struct error err = ERROR_INIT;

    rig_close(r);
    rig_forget_job(r);
    ASSERT_OK(file_remove_tree(r->dir, &err), err);
}

static inline void rig_end(struct rig *r)
{
    rig_check(r);
    rig_drop(r);
}

/* main of a program whose tests use the rig. */
#define RIG_MAIN(name, ...)                                                                        \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct check_item items[] = {__VA_ARGS__};                                           \
        struct error err = ERROR_INIT;                                                             \
        int status;                                                                                \
                                                                                                   \
        rig_make_template();                                                                       \
        status = check_run(name, items, sizeof items / sizeof *items);                             \
        return file_remove_tree(rig_template, &err) ? EXIT_FAILURE : status;                       \
    }

#endif
