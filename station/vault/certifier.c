#include "station/vault/certifier.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/jcs.h"
#include "hsm/credential.h"
#include "hsm/signer.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/store/spares.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/quota.h"
#include "station/vault/restore.h"
#include "station/vault/token_files.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_DATA_MAX 1024

/* Kept between certificates: compiling a template takes longer than signing with it. */
struct certifier {
    struct cert_template *template;
    struct ca_signer signer;
    struct buf tbs;
};

/* ---- storage key ---- */

static int find_or_create(const struct vault *v, enum key_type type,
                          char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    const uint8_t *order = v->history.row.hash;
    int rc = hsm_storage_find(v->hsm, order, type, name, err);

    if (rc != ERR_MISSING)
        return rc;
    rc = hsm_storage_create(v->hsm, order, type, name, err);
    return rc ? rc : token_files_sync(v->config, err); /* before a row depends on it */
}

int certifier_storage(const struct vault *v, char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    return find_or_create(v, v->key, name, err);
}

/* Once for each vault that is opened: the key stays until the order is closed. */
int certifier_remember(struct vault *v, struct error *err)
{
    char name[HSM_STORAGE_NAME_SIZE];
    int rc = v->remembered ? 0 : find_or_create(v, KEY_P256, name, err);

    v->remembered = rc == 0;
    return rc;
}

/* ---- the certifier that a vault keeps ---- */

static int open_certifier(struct vault *v, size_t name_len, struct error *err)
{
    struct cert_template_params params = {.profile = &v->profile,
                                          .issuer = v->issuer->chain.certs[0],
                                          .key = v->key,
                                          .scheme = v->issuer->scheme};
    struct certifier *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return error_set(err, ERR_INTERNAL, "out of memory");
    buf_init(&c->tbs, CERT_DER_MAX);
    v->certifier = c;
    job_values(v->job, v->order, params.values);
    rc = cert_template_new(&params, name_len, &c->template, err);
    if (rc == 0)
        rc = issuer_signer(v->issuer, v->hsm, &c->signer, err);
    if (rc)
        certifier_done(v);
    return rc;
}

void certifier_done(struct vault *v)
{
    if (!v->certifier)
        return;
    cert_template_free(v->certifier->template);
    buf_done(&v->certifier->tbs);
    free(v->certifier);
    v->certifier = NULL;
}

/* ---- one certificate ---- */

/* The texts of a certificate that are this device's. */
struct names {
    char serial[SERIAL_NAME_MAX + 1];
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];
    char udi[2 + 14 + 2 + SERIAL_NAME_MAX + 1]; /* (01) GTIN (21) serial; empty without a GTIN */
};

static int make_names(const struct vault *v, const struct certify_request *r, struct names *n,
                      struct error *err)
{
    int rc = serial_to_name(r->serial, n->serial, err);

    if (rc)
        return rc;
    hex_encode(r->chip, r->chip_len, n->chip);
    n->udi[0] = 0;
    if (*v->order->gtin)
        snprintf(n->udi, sizeof n->udi, "01%s21%s", v->order->gtin, n->serial);
    return 0;
}

/* Judged by OpenSSL, each of them: there is time for one. */
static int check(const struct vault *v, const struct cert_subject *subject,
                 const struct credential *c, struct error *err)
{
    struct cert_expect expect = {subject->number, subject->serial, &c->key,
                                 &v->profile,     {NULL},          v->issuer->scheme};

    job_values(v->job, v->order, expect.values);
    expect.values[VALUE_CHIP_ID] = subject->chip_id;
    expect.values[VALUE_UDI] = subject->udi;
    return cert_check(c->cert.data, c->cert.len, &v->issuer->chain, &expect, err);
}

static int sign(struct vault *v, const struct names *n, struct credential *c, struct error *err)
{
    struct cert_subject subject = {.serial = n->serial,
                                   .chip_id = *n->chip ? n->chip : NULL,
                                   .udi = *n->udi ? n->udi : NULL,
                                   .not_before = clock_utc()};
    uint8_t random[CERT_RANDOM_SIZE];
    int rc = v->certifier ? 0 : open_certifier(v, strlen(n->serial), err);
    struct buf *tbs = rc ? NULL : &v->certifier->tbs;

    if (rc == 0)
        rc = hsm_random(v->hsm, random, sizeof random, err);
    if (rc)
        return rc;
    cert_number(random, (uint64_t)c->id, subject.number);
    subject.key = c->key;
    buf_reset(tbs);
    buf_reset(&c->cert);
    rc = cert_template_tbs(v->certifier->template, &subject, tbs, err);
    issuer_use(v->issuer, v->hsm);
    if (rc == 0)
        rc = ca_sign_tbs(&v->certifier->signer, tbs, &c->cert, err);
    return rc ? rc : check(v, &subject, c, err);
}

static int put_subject(X509 *cert, struct buf *subject, struct error *err)
{
    const unsigned char *der;
    size_t len;

    if (X509_NAME_get0_der(X509_get_subject_name(cert), &der, &len) != 1)
        return error_set(err, ERR_INTERNAL, "out of memory");
    if (len > IMPRINT_SUBJECT_MAX)
        return error_set(err, ERR_INPUT,
                         "the subject of this job's certificates has %zu bytes, and a device takes "
                         "%d: choose shorter values in the job",
                         len, IMPRINT_SUBJECT_MAX);
    buf_put(subject, der, len);
    return buf_check(subject, "a subject", err);
}

/* The subject does not depend on key and number: those here are nobody's. */
int certifier_subject(struct vault *v, const char *serial, const uint8_t *chip, size_t chip_len,
                      struct buf *subject, struct error *err)
{
    const struct certify_request request = {.serial = serial, .chip = chip, .chip_len = chip_len};
    static const struct signature no_signature = {.len = 1};
    static const uint8_t nothing[CERT_RANDOM_SIZE] = {0};
    struct cert_subject of = {.not_before = clock_utc()};
    struct names n;
    struct buf der;
    X509 *cert = NULL;
    int rc = make_names(v, &request, &n, err);

    if (rc == 0 && !v->certifier)
        rc = open_certifier(v, strlen(n.serial), err);
    if (rc)
        return rc;
    of.serial = n.serial;
    of.chip_id = *n.chip ? n.chip : NULL;
    of.udi = *n.udi ? n.udi : NULL;
    cert_number(nothing, 0, of.number);
    rc = key_random(v->key, &of.key, err);
    buf_init(&der, CERT_DER_MAX);
    buf_reset(&v->certifier->tbs);
    if (rc == 0)
        rc = cert_template_tbs(v->certifier->template, &of, &v->certifier->tbs, err);
    if (rc == 0)
        rc = scheme_assemble(&v->certifier->tbs, v->issuer->scheme, &no_signature, &der, err);
    if (rc == 0)
        rc = cert_from_der(der.data, der.len, &cert, err);
    if (rc == 0)
        rc = put_subject(cert, subject, err);
    X509_free(cert);
    buf_done(&der);
    return rc;
}

/* ---- its key ---- */

static int make_key(struct vault *v, struct credential *c, struct error *err)
{
    int rc = certifier_storage(v, c->storage, err);

    buf_reset(&c->wrapped);
    c->mechanism = (int64_t)hsm_wrap_mechanism(v->hsm);
    return rc ? rc : hsm_credential_make(v->hsm, c->storage, v->key, &c->key, &c->wrapped, err);
}

/* The device's own key, a spare one (*spare is its id, else 0), or one that is made now. */
static int find_key(struct vault *v, const struct certify_request *r, struct credential *c,
                    int64_t *spare, struct error *err)
{
    bool found;
    int rc;

    *spare = 0;
    if (r->key) {
        c->key = *r->key;
        buf_reset(&c->wrapped);
        c->storage[0] = 0;
        c->mechanism = 0;
        return 0;
    }
    rc = spare_pick(v->store, v->order_id, v->key, c, &found, err);
    if (rc == 0 && found)
        *spare = c->id;
    return rc || found ? rc : make_key(v, c, err);
}

/* The key of a spare is in the index since it was made; its one use is in the ledger. */
static int index_key(struct vault *v, const struct credential *c, int64_t spare, struct error *err)
{
    struct key_hash hash = key_hash_of(&c->key, c->id);

    return spare ? spare_end(v->store, spare, SPARE_USED, err)
                 : key_index_add(v->store, &hash, 1, err);
}

/* ---- its row and entry ---- */

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

static int record(struct vault *v, const struct certify_request *r, const struct credential *c,
                  int64_t spare, int64_t asked, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "credential", c->id);
    if (credential_is_derived(c))
        jcs_bool(&j, "derived", true);
    if (spare)
        jcs_int(&j, "key", spare);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    if (r->replaces)
        jcs_int(&j, "replaces", r->replaces);
    if (asked)
        jcs_int(&j, "request", asked);
    if (r->restored)
        jcs_int(&j, "restored", r->restored);
    jcs_str(&j, "serial", c->serial);
    jcs_end(&j);
    rc = ledger_append(v->store, LEDGER_ISSUE, &data, err);
    buf_done(&data);
    return rc;
}

int certifier_record(struct vault *v, const struct certify_request *r, const struct credential *c,
                     int64_t spare, struct error *err)
{
    return record(v, r, c, spare, 0, err);
}

int certifier_record_answer(struct vault *v, const struct certify_request *r,
                            const struct credential *c, int64_t key, struct error *err)
{
    return record(v, r, c, 0, key, err);
}

static int store_credential(struct vault *v, const struct certify_request *r, struct credential *c,
                            int64_t spare, struct error *err)
{
    int rc = credential_seal(c, v->history.row.hash, mac_with_hsm, v->hsm, err);

    if (rc == 0)
        rc = r->again ? credential_add_again(v->store, c, err) : credential_add(v->store, c, err);
    if (rc == 0)
        rc = index_key(v, c, spare, err);
    return rc ? rc : certifier_record(v, r, c, spare, err);
}

int certifier_issue(struct vault *v, const struct certify_request *r, struct credential *c,
                    bool *spare, struct error *err)
{
    struct names names;
    int64_t key = 0;
    int rc = hosted_check_sign(v, err);

    if (rc == 0)
        rc = quota_check_issue(v, 1, err);
    if (rc == 0)
        rc = fitting_check_life(v, clock_utc(), err);
    if (rc == 0)
        rc = restore_check_order(v, err);
    if (rc == 0 && r->key)
        rc = certifier_remember(v, err);
    if (rc == 0)
        rc = make_names(v, r, &names, err);
    if (rc == 0)
        rc = find_key(v, r, c, &key, err);
    *spare = key != 0;
    if (rc == 0)
        rc = credential_next_id(v->store, &c->id, err);
    if (rc)
        return rc;
    c->order_id = v->order_id;
    c->state = CREDENTIAL_AVAILABLE;
    strcpy(c->product, v->order->product);
    snprintf(c->serial, sizeof c->serial, "%s", r->serial);
    rc = sign(v, &names, c, err);
    return rc ? rc : store_credential(v, r, c, key, err);
}

void certifier_committed(struct vault *v, bool spare)
{
    quota_move(v, -1, CREDENTIAL_AVAILABLE, 1);
    if (spare)
        v->counts.spares--;
}
