#include "station/vault/hosted/taking.h"

#include "base/clock.h"
#include "pki/hosted.h"
#include "pki/serial_name.h"
#include "station/store/ledger.h"
#include "station/store/requests.h"
#include "station/store/spares.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/certifier.h"
#include "station/vault/clock_stop.h"
#include "station/vault/hosted/answers.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/quota.h"

#include <openssl/err.h>
#include <string.h>

struct taking {
    struct vault *v;
    const struct taking_watch *watch;
    struct taking_report *report;
    int64_t now, seen;
    int64_t looked;  /* at so many since the transaction began */
    int64_t pending; /* taken in it */
    bool open;
    struct request request;
    struct credential credential;
};

/* A certificate at hand. */
struct answer {
    const char *place;
    const uint8_t *der;
    size_t len;
    X509 *cert;
    const struct issuer *issuer;
    uint8_t number[REQUEST_NUMBER_MAX];
    size_t number_len;
};

const char *taking_verdict_name(enum taking_verdict verdict)
{
    static const char *const names[TAKING_VERDICTS] = {[TAKING_TAKEN] = "taken",
                                                       [TAKING_AGAIN] = "again",
                                                       [TAKING_DOUBLED] = "doubled",
                                                       [TAKING_FOREIGN] = "foreign",
                                                       [TAKING_WRONG] = "wrong",
                                                       [TAKING_BROKEN] = "broken",
                                                       [TAKING_CA] = "ca"};

    return names[verdict];
}

/* ---- transactions ---- */

static int begin(struct taking *t, struct error *err)
{
    int rc = t->open ? 0 : clock_stop_check(t->v->store, err);

    if (rc == 0 && !t->open)
        rc = store_begin(t->v->store, err);
    t->open = t->open || rc == 0;
    return rc;
}

/* A batch whose anchor failed is in the database as well. */
static int commit(struct taking *t, struct error *err)
{
    int rc = 0;

    if (!t->open)
        return 0;
    t->open = false;
    rc = store_commit(t->v->store, err);
    if (rc)
        store_rollback(t->v->store);
    if (rc == 0 || store_is_unanchored(t->v->store)) {
        t->report->of[TAKING_TAKEN] += t->pending;
        t->v->counts.requests -= t->pending;
        quota_move(t->v, -1, CREDENTIAL_AVAILABLE, t->pending);
    }
    t->pending = 0;
    return rc;
}

static void roll_back(struct taking *t)
{
    if (t->open)
        store_rollback(t->v->store);
    t->open = false;
    t->pending = 0;
}

/* ---- telling ---- */

static int refuse(struct taking *t, enum taking_verdict verdict, const char *place,
                  const char *serial, const char *why)
{
    t->report->of[verdict]++;
    t->watch->refused(t->watch->context, verdict, place, serial, why);
    return 0;
}

/* ---- whose is it? ---- */

static bool is_of_chain(const struct taking *t, X509 *cert)
{
    const struct issuers *all = &t->v->issuers;

    for (size_t n = 0; n < all->count; n++)
        for (size_t k = 0; k < all->of[n].chain.count; k++)
            if (X509_cmp(cert, all->of[n].chain.certs[k]) == 0)
                return true;
    return false;
}

/* The request whose key it has, in t->request. */
static int find_request(struct taking *t, const struct answer *a, bool *found, struct error *err)
{
    struct public_key key;
    uint8_t spki[SHA256_SIZE];
    const uint8_t *stored;
    size_t len;

    *found = false;
    if (key_of(X509_get0_pubkey(a->cert), &key, NULL))
        return 0;
    stored = key_stored(&key, &len);
    sha256(stored, len, spki);
    return request_find(t->v->store, spki, &t->request, found, err);
}

static int compare_with_taken(struct taking *t, const struct answer *a, struct error *err)
{
    const struct request *r = &t->request;
    bool same;
    int rc = credential_get(t->v->store, r->credential, &t->credential, err);

    if (rc)
        return rc;
    same = t->credential.cert.len == a->len && memcmp(t->credential.cert.data, a->der, a->len) == 0;
    if (!same)
        return refuse(t, TAKING_DOUBLED, a->place, r->serial,
                      "its key has another certificate, which was taken before: let the CA revoke "
                      "this one");
    t->report->of[TAKING_AGAIN]++;
    return 0;
}

/* ---- is it what was asked for? ---- */

static int find_issuer(struct taking *t, struct answer *a, struct error *err)
{
    a->issuer = issuers_of_certificate(&t->v->issuers, a->cert);
    if (a->issuer && issuer_is_usable(a->issuer) && issuer_is_listed(t->v->share, a->issuer))
        return 0;
    return error_set(err, ERR_SIGNATURE,
                     "the certificate of device '%s' is of a CA that order '%s' does not list as "
                     "hosted for this station",
                     t->request.serial, t->v->order->id);
}

static int read_number(struct answer *a, struct error *err)
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(a->cert);
    int len = ASN1_STRING_length(number);

    if (len < 1 || len > REQUEST_NUMBER_MAX)
        return error_set(err, ERR_INTEGRITY, "its serial number is longer than 20 octets");
    a->number_len = (size_t)len;
    memcpy(a->number, ASN1_STRING_get0_data(number), a->number_len);
    return 0;
}

static int judge_contents(struct taking *t, const struct answer *a, struct error *err)
{
    const struct vault *v = t->v;
    char name[SERIAL_NAME_MAX + 1];
    struct hosted_expect expect = {.serial = name,
                                   .key = &t->credential.key,
                                   .profile = &v->profile,
                                   .asked = t->request.made,
                                   .now = t->now};
    int rc = serial_to_name(t->request.serial, name, err);

    job_values(v->job, v->order, expect.values);
    return rc ? rc : hosted_check(a->der, a->len, &a->issuer->chain, &expect, err);
}

/* Two that nobody but this station could tell apart: importers refuse the second. */
static int judge_apart(struct taking *t, const struct answer *a, struct error *err)
{
    int64_t order = 0;
    bool known = false;
    int rc =
        request_knows_number(t->v->store, a->issuer->number, a->number, a->number_len, &known, err);

    if (rc == 0 && known)
        return error_set(
            err, ERR_DUPLICATE,
            "its serial number is that of another certificate of the CA, which may use a "
            "number once");
    if (rc == 0)
        rc = credential_order_of_serial(t->v->store, t->request.product, t->request.serial, &order,
                                        err);
    if (rc == 0 && order)
        rc = error_set(err, ERR_DUPLICATE, "device '%s' has a certificate of another key meanwhile",
                       t->request.serial);
    return rc;
}

static int judge(struct taking *t, struct answer *a, struct error *err)
{
    int rc = find_issuer(t, a, err);

    if (rc == 0)
        rc = judge_contents(t, a, err);
    if (rc == 0)
        rc = read_number(a, err);
    return rc ? rc : judge_apart(t, a, err);
}

/* ---- taking it ---- */

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

/* The wrapped key, which must be that of the request. */
static int read_key(struct taking *t, struct error *err)
{
    uint8_t spki[SHA256_SIZE];
    const uint8_t *stored;
    size_t len;
    int rc = spare_requested(t->v->store, t->request.key, &t->credential, err);

    if (rc)
        return rc;
    stored = key_stored(&t->credential.key, &len);
    sha256(stored, len, spki);
    if (sha256_equal(spki, t->request.spki) && t->credential.order_id == t->request.order_id)
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "the key of the request of '%s' is another one: rows of the database were "
                     "exchanged; keep it as it is and call the security team",
                     t->request.serial);
}

static int store_credential(struct taking *t, const struct answer *a, struct error *err)
{
    struct credential *c = &t->credential;
    const struct request *r = &t->request;
    const struct certify_request told = {.serial = r->serial};
    int rc = credential_next_id(t->v->store, &c->id, err);

    buf_reset(&c->cert);
    buf_put(&c->cert, a->der, a->len);
    c->state = CREDENTIAL_AVAILABLE;
    strcpy(c->product, r->product);
    strcpy(c->serial, r->serial);
    if (rc == 0)
        rc = buf_check(&c->cert, "a certificate", err);
    if (rc == 0)
        rc = credential_seal(c, t->v->history.row.hash, mac_with_hsm, t->v->hsm, err);
    if (rc == 0)
        rc = credential_add(t->v->store, c, err);
    if (rc == 0)
        rc = spare_end(t->v->store, r->key, SPARE_USED, err);
    if (rc == 0)
        rc = request_answer(t->v->store, r->key, c->id, a->issuer->number, a->number, a->number_len,
                            err);
    return rc ? rc : certifier_record_answer(t->v, &told, c, r->key, err);
}

/* What the certificate is to blame for; all else ends the command. */
static bool is_its_fault(int rc)
{
    return rc == ERR_SIGNATURE || rc == ERR_REFUSED || rc == ERR_CLOCK || rc == ERR_FORMAT ||
           rc == ERR_DUPLICATE || rc == ERR_INTEGRITY;
}

static int take_request(struct taking *t, struct answer *a, struct error *err)
{
    int rc = read_key(t, err);

    if (rc)
        return rc;
    rc = judge(t, a, err);
    if (is_its_fault(rc))
        return refuse(t, TAKING_WRONG, a->place, t->request.serial, err->text);
    if (rc == 0)
        rc = store_credential(t, a, err);
    t->pending += rc == 0;
    return rc;
}

static int take_found(struct taking *t, struct answer *a, struct error *err)
{
    const struct request *r = &t->request;

    if (r->order_id != t->v->order_id)
        return refuse(t, TAKING_FOREIGN, a->place, r->serial,
                      "its key was made for another order: name a job of that order");
    if (r->credential)
        return compare_with_taken(t, a, err);
    if (r->der.len == 0)
        return refuse(t, TAKING_FOREIGN, a->place, r->serial,
                      "its key was destroyed: let the CA revoke it");
    return take_request(t, a, err);
}

static int take_certificate(struct taking *t, struct answer *a, struct error *err)
{
    bool found;
    int rc;

    if (is_of_chain(t, a->cert)) {
        t->report->of[TAKING_CA]++;
        return 0;
    }
    rc = begin(t, err);
    if (rc == 0)
        rc = find_request(t, a, &found, err);
    if (rc)
        return rc;
    if (!found)
        return refuse(t, TAKING_FOREIGN, a->place, "",
                      "its key is none that this station made a request for");
    return take_found(t, a, err);
}

/* ---- what answers.h finds ---- */

static int next_batch(struct taking *t, struct error *err)
{
    int rc;

    if (++t->looked < TAKING_BATCH)
        return 0;
    t->looked = 0;
    rc = commit(t, err);
    if (rc == 0 && t->watch->stop(t->watch->context))
        rc = error_set(err, ERR_INTERRUPTED,
                       "stopped on request: what was taken is kept, the same command goes on");
    return rc;
}

static int on_certificate(void *context, const char *place, const uint8_t *der, size_t len,
                          struct error *err)
{
    struct taking *t = context;
    struct answer a = {.place = place, .der = der, .len = len};
    int rc;

    t->watch->progress(t->watch->context, ++t->seen);
    if (cert_from_der(der, len, &a.cert, err)) {
        ERR_clear_error();
        (void)refuse(t, TAKING_BROKEN, place, "", "it is no certificate");
        return next_batch(t, err);
    }
    rc = take_certificate(t, &a, err);
    X509_free(a.cert);
    ERR_clear_error();
    return rc ? rc : next_batch(t, err);
}

static int on_problem(void *context, const char *place, const char *text, struct error *err)
{
    (void)refuse(context, TAKING_BROKEN, place, "", text);
    return next_batch(context, err);
}

/* ---- a run ---- */

static int read_all(struct taking *t, char *const *paths, size_t count, struct error *err)
{
    const struct answers_sink sink = {on_certificate, on_problem, t};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = answers_read(paths[i], &sink, err);
    if (rc == 0)
        rc = commit(t, err);
    roll_back(t);
    return rc;
}

int taking_run(struct vault *v, char *const *paths, size_t count, const struct taking_watch *watch,
               struct taking_report *report, struct error *err)
{
    struct taking t = {.v = v, .watch = watch, .report = report, .now = clock_utc()};
    struct request_counts counts;
    int rc = hosted_check_ask(v, err), later;

    *report = (struct taking_report){.waiting = 0};
    request_init(&t.request);
    credential_init(&t.credential);
    if (rc == 0)
        rc = clock_stop_check(v->store, err);
    if (rc == 0)
        rc = order_check_time(v->order, t.now, err);
    if (rc == 0)
        rc = store_settle(v->store, err);
    if (rc == 0)
        rc = read_all(&t, paths, count, err);
    later = request_count(v->store, v->order_id, NULL, &counts, rc ? NULL : err);
    report->waiting = later ? 0 : counts.waiting;
    request_done(&t.request);
    credential_done(&t.credential);
    return rc ? rc : later;
}
