#include "station/vault/revocations.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "manifests/record.h"
#include "pki/crl.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/clock_stop.h"

#include <jansson.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * 60 * 60)

struct work {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    const struct issuers *issuers;
    const struct issuer *issuer;
    struct crl *crl;
    struct revocations *out;
};

/* RFC 5280 5.3.1. The names of records are those, in another order. */
static int reason_code(enum record_reason reason)
{
    static const int codes[RECORD_REASONS] = {
        [RECORD_KEY_COMPROMISE] = CRL_REASON_KEY_COMPROMISE,
        [RECORD_CA_COMPROMISE] = CRL_REASON_CA_COMPROMISE,
        [RECORD_AFFILIATION_CHANGED] = CRL_REASON_AFFILIATION_CHANGED,
        [RECORD_SUPERSEDED] = CRL_REASON_SUPERSEDED,
        [RECORD_CESSATION_OF_OPERATION] = CRL_REASON_CESSATION_OF_OPERATION,
        [RECORD_PRIVILEGE_WITHDRAWN] = CRL_REASON_PRIVILEGE_WITHDRAWN,
        [RECORD_AA_COMPROMISE] = CRL_REASON_AA_COMPROMISE,
    };

    return codes[reason];
}

/* What the whitelist says of the end: since when, and why. */
static int read_record(void *context, const void *line, size_t len, const void *evidence,
                       size_t evidence_len, struct error *err)
{
    struct crl_entry *entry = context;
    struct record r;
    int rc = record_parse(line, len, &r, err);

    (void)evidence;
    (void)evidence_len;
    if (rc == 0) {
        entry->since = r.ts;
        entry->reason = reason_code(r.reason);
        record_done(&r);
    }
    return rc;
}

/* Those of another CA are on its list. */
static int add_certificate(struct work *w, const struct credential *c, struct crl_entry *entry,
                           struct error *err)
{
    const unsigned char *p = c->cert.data;
    X509 *cert = d2i_X509(NULL, &p, (long)c->cert.len);
    const ASN1_INTEGER *number = cert ? X509_get0_serialNumber(cert) : NULL;
    uint8_t der[2 + CRL_NUMBER_MAX + 1], *to = der;
    int len = number ? i2d_ASN1_INTEGER(number, NULL) : 0, rc;

    if (len < 3 || (size_t)len > sizeof der)
        rc = error_set(err, ERR_STORE, "the certificate of '%s' in the database is malformed",
                       c->serial);
    else if (issuers_of_certificate(w->issuers, cert) != w->issuer)
        rc = 0;
    else {
        (void)i2d_ASN1_INTEGER(number, &to);
        entry->number = der + 2;
        entry->number_len = (size_t)len - 2;
        rc = crl_add(w->crl, entry, err);
    }
    X509_free(cert);
    return rc;
}

static int add_ended(void *context, const struct ledger_ended *e, struct error *err)
{
    struct work *w = context;
    struct crl_entry entry = {.since = e->at};
    struct credential c;
    int rc = 0;

    credential_init(&c);
    if (e->leaf >= 0)
        rc = whitelist_each(w->store, e->leaf, 1, read_record, &entry, err);
    if (rc == 0)
        rc = credential_get(w->store, e->credential, &c, err);
    if (rc == 0 && !credential_is_derived(&c)) /* a derived key is on no list but the whitelist */
        rc = add_certificate(w, &c, &entry, err);
    credential_done(&c);
    return rc;
}

/* The number is that of this entry, which stands before the list is signed. */
static int add_to_ledger(struct work *w, struct error *err)
{
    struct ledger_head head;
    struct buf data;
    struct jcs j;
    int rc = ledger_head(w->store, &head, err);

    if (rc)
        return rc;
    w->out->number = head.seq + 1;
    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "days", (w->out->next - w->out->made) / DAY);
    jcs_int(&j, "entries", (int64_t)w->out->entries);
    jcs_int(&j, "issuer", w->issuer->number);
    jcs_int(&j, "number", w->out->number);
    jcs_end(&j);
    rc = ledger_append(w->store, "crl", &data, err);
    buf_done(&data);
    return rc;
}

static int journal(struct work *w, struct error *err)
{
    int rc = store_begin(w->store, err);

    if (rc == 0)
        rc = add_to_ledger(w, err);
    if (rc == 0)
        rc = store_commit(w->store, err);
    if (rc)
        store_rollback(w->store);
    return rc;
}

static int sign(struct work *w, struct error *err)
{
    struct crl_head head = {w->issuer->chain.certs[0], w->out->number, w->out->made, w->out->next};
    struct crl *crl = w->crl;
    struct ca_signer signer;
    int rc = issuer_signer(w->issuer, w->hsm, &signer, err);

    if (rc)
        return rc;
    w->crl = NULL; /* crl_finish frees it */
    return crl_finish(crl, &head, &signer, err);
}

static int list_path(const struct config *config, unsigned number, char out[PATH_MAX],
                     struct error *err)
{
    char name[48] = "crl/issuing-ca.crl";

    if (number > 1)
        snprintf(name, sizeof name, "crl/issuing-ca-%u.crl", number);
    return config_path(config, name, out, err);
}

static int open_list(struct work *w, struct error *err)
{
    char dir[PATH_MAX];
    int rc = config_path(w->config, "crl", dir, err);

    if (rc == 0)
        rc = file_make_dir(dir, 0755, err);
    if (rc == 0)
        rc = list_path(w->config, w->issuer->number, w->out->path, err);
    return rc ? rc : crl_open(w->out->path, &w->crl, err);
}

static int check_active(const struct issuer *issuer, struct error *err)
{
    if (issuer->state == ISSUER_ACTIVE && !issuer->hosted)
        return 0;
    return error_set(err, ERR_REFUSED, "issuing CA %u is %s: it signs no revocation list",
                     issuer->number, issuer_state_name(issuer->state));
}

int revocations_write(const struct config *config, struct store *store, struct hsm *hsm,
                      const struct issuers *issuers, const struct issuer *issuer, int64_t days,
                      struct revocations *out, struct error *err)
{
    struct work w = {.config = config,
                     .store = store,
                     .hsm = hsm,
                     .issuers = issuers,
                     .issuer = issuer,
                     .out = out};
    int rc = store_settle(store, err);

    *out = (struct revocations){.made = clock_utc(), .issuer = issuer->number};
    out->next = out->made + days * DAY;
    if (rc == 0)
        rc = check_active(issuer, err);
    if (rc == 0)
        rc = clock_stop_check(store, err);
    if (rc == 0)
        rc = open_list(&w, err);
    if (rc == 0)
        rc = ledger_each_ended(store, add_ended, &w, err);
    if (rc == 0) {
        out->entries = crl_count(w.crl);
        rc = journal(&w, err);
    }
    if (rc == 0)
        rc = sign(&w, err);
    crl_abort(w.crl);
    return rc;
}

/* ---- all of them ---- */

/* For how long the last list of a CA was made. */
struct last_list {
    unsigned issuer;
    int64_t days;
};

static int read_days(void *context, const struct ledger_entry *entry, struct error *err)
{
    struct last_list *last = context;
    json_error_t why;
    json_t *body = json_loads(entry->body, 0, &why), *data = json_object_get(body, "data");
    json_int_t found = json_integer_value(json_object_get(data, "days"));
    json_t *issuer =
        json_object_get(data, "issuer"); /* a list of before there were several: the first */

    (void)err;
    if (found >= 1 && found <= REVOCATIONS_DAYS_MAX &&
        (issuer ? json_integer_value(issuer) : 1) == last->issuer)
        last->days = found;
    json_decref(body);
    return 0;
}

struct round {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    int64_t days; /* 0: as those of the list that is there; where there is none, nothing */
    revocations_made made;
    void *context;
    unsigned count;
};

/* Its key is gone for good: that must not keep the others from revoking. */
static int report_skipped(const struct round *r, const struct issuer *issuer, const char *path,
                          struct error *err)
{
    struct revocations list = {.issuer = issuer->number, .without_key = true};

    snprintf(list.path, sizeof list.path, "%s", path);
    return r->made(r->context, &list, err);
}

static int write_one(struct round *r, const struct issuers *issuers, const struct issuer *issuer,
                     struct error *err)
{
    struct ledger_filter filter = {.event = "crl"};
    struct last_list last = {issuer->number, REVOCATIONS_DAYS};
    struct revocations list;
    char path[PATH_MAX];
    int rc = list_path(r->config, issuer->number, path, err);

    if (rc || (r->days == 0 && !file_exists(path)))
        return rc;
    if (!issuer_can_sign(issuer))
        return report_skipped(r, issuer, path, err);
    if (r->days == 0)
        rc = ledger_find(r->store, &filter, read_days, &last, err);
    if (rc == 0)
        rc = revocations_write(r->config, r->store, r->hsm, issuers, issuer,
                               r->days ? r->days : last.days, &list, err);
    if (rc == 0)
        rc = r->made(r->context, &list, err);
    r->count += rc == 0;
    return rc;
}

static int write_round(struct round *r, struct error *err)
{
    struct issuers issuers;
    int rc = issuers_load(r->config, r->store, &issuers, err);

    if (rc == 0)
        rc = issuers_check_keys(&issuers, r->hsm, err);
    for (size_t i = 0; rc == 0 && i < issuers.count; i++)
        if (issuers.of[i].state == ISSUER_ACTIVE && !issuers.of[i].hosted)
            rc = write_one(r, &issuers, &issuers.of[i], err);
    issuers_done(&issuers);
    return rc;
}

int revocations_write_all(const struct config *config, struct store *store, struct hsm *hsm,
                          int64_t days, revocations_made made, void *context, struct error *err)
{
    struct round r = {config, store, hsm, days, made, context, 0};
    int rc = write_round(&r, err);

    if (rc == 0 && r.count == 0)
        rc = error_set(err, ERR_MISSING,
                       "no issuing CA of this station is active and has its key: there is nobody "
                       "to sign a list");
    return rc;
}

int revocations_keep(const struct config *config, struct store *store, struct hsm *hsm,
                     revocations_made made, void *context, struct error *err)
{
    struct round r = {config, store, hsm, 0, made, context, 0};
    int rc = write_round(&r, err);

    return rc ? error_prefix(err, "the revocation list could not be made anew: run 'imprint crl'")
              : 0;
}
