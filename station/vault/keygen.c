#include "station/vault/keygen.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "link/transcript.h"
#include "pki/cert.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/vault/certifier.h"
#include "station/vault/claim.h"
#include "station/vault/csr.h"
#include "station/vault/ending.h"
#include "station/vault/hello.h"
#include "station/vault/naming.h"
#include "station/vault/quota.h"

#include <string.h>
#include <sys/random.h>

#define EVENT_DATA_MAX 1024

/* ---- the promise ---- */

/* That of a label or chip, when the device may have it. Another device that was promised it, and never
 * had a certificate, is not the unit with this label. */
static int take_named(struct vault *v, const struct session *s, const char *serial,
                      struct error *err)
{
    struct certify_request request = {
        .serial = serial, .chip = s->hello.chip, .chip_len = s->hello.chip_len};
    int rc = naming_judge_label(v, &request, err);

    return rc ? rc : keygen_drop_serial(v->store, v->order_id, serial, err);
}

/* An amendment may have given this station other serials since one was promised. */
static bool is_in_share(const void *context, const char *serial)
{
    const struct vault *v = context;

    return job_serials_allow(&v->job->serials, &v->share->serials, v->order, serial, NULL) == 0;
}

bool keygen_is_in_force(const struct vault *v, const struct session *s)
{
    const struct keygen *k = &s->keygen;

    return k->state == KEYGEN_OPEN && k->order_id == v->order_id && is_in_share(v, k->serial) &&
           (v->order->auth == ORDER_AUTH_NONE ||
            hello_fits(&s->hello, &k->attestation, k->station_nonce));
}

static int find_serial(struct vault *v, const struct session *s,
                       char serial[IMPRINT_SERIAL_MAX + 1], struct error *err)
{
    char named[SERIAL_TEXT_MAX + 1];
    bool found;
    int rc = naming_find(v, s, named, err);

    if (rc)
        return rc;
    if (*named) {
        snprintf(serial, IMPRINT_SERIAL_MAX + 1, "%s", named);
        return take_named(v, s, serial, err);
    }
    rc = keygen_free_serial(v->store, v->order_id, is_in_share, v, serial, &found, err);
    return rc || found ? rc : naming_next(v, serial, err);
}

static int sign(struct vault *v, const struct session *s, struct keygen *k, struct error *err)
{
    struct link_transcript t = {.suite = IMPRINT_SUITE_NONE,
                                .environment = v->config->environment,
                                .serial = k->serial,
                                .chip_id = k->chip,
                                .chip_id_len = k->chip_len,
                                .dev_pub = link_key_p256(k->dev_pub),
                                .keygen = true};
    struct link_facts facts;
    struct buf message;
    int rc;

    memcpy(t.order_hash, v->order->hash, sizeof t.order_hash);
    memcpy(t.transaction, k->tx, sizeof t.transaction);
    memcpy(t.station_nonce, k->station_nonce, sizeof t.station_nonce);
    hello_facts(&s->hello, &facts);
    buf_init(&message, CLAIM_X_MAX);
    rc = link_facts_hash(&facts, t.facts_hash, err);
    if (rc == 0)
        rc = link_transcript_encode(&t, &k->x, err);
    if (rc == 0)
        rc = link_keygen_message(&k->x, &message, err);
    if (rc == 0)
        rc = hsm_sign(v->hsm, HSM_KEY_STATION_AUTH, message.data, message.len, k->station_sig, err);
    buf_done(&message);
    return rc;
}

static int fill(struct vault *v, const struct session *s, struct keygen *k, struct error *err)
{
    const struct wire_hello *h = &s->hello;
    int rc;

    buf_reset(&k->x);
    buf_reset(&k->subject);
    k->order_id = v->order_id;
    k->state = KEYGEN_OPEN;
    k->created = clock_utc();
    strcpy(k->slot, s->slot);
    memcpy(k->chip, h->chip, h->chip_len);
    k->chip_len = h->chip_len;
    memcpy(k->dev_pub, h->dev_pub, sizeof k->dev_pub);
    memcpy(k->station_nonce, s->nonce, sizeof k->station_nonce);
    buf_reset(&k->attestation);
    if (v->order->auth != ORDER_AUTH_NONE)
        hello_statement(h, &k->attestation);
    if (getrandom(k->tx, sizeof k->tx, 0) != (ssize_t)sizeof k->tx)
        return error_set(err, ERR_INTERNAL, "the system's random source failed");
    rc = find_serial(v, s, k->serial, err);
    if (rc == 0)
        rc = certifier_subject(v, k->serial, k->chip, k->chip_len, &k->subject, err);
    return rc ? rc : sign(v, s, k, err);
}

static int record(struct vault *v, const char *event, const struct keygen *k, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "chip", k->chip, k->chip_len);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    jcs_str(&j, "serial", k->serial);
    jcs_str(&j, "slot", k->slot);
    jcs_hex(&j, "tx", k->tx, sizeof k->tx);
    jcs_end(&j);
    rc = ledger_append(v->store, event, &data, err);
    buf_done(&data);
    return rc;
}

/* What this chip was promised before it lost its transport key. */
static int drop_of_chip(struct vault *v, const struct wire_hello *h, struct error *err)
{
    struct keygen k;
    bool found;
    int rc;

    keygen_init(&k);
    rc = keygen_by_chip(v->store, h->chip, h->chip_len, &k, &found, err);
    if (rc == 0 && found)
        rc = keygen_set_state(v->store, k.tx, KEYGEN_DROPPED, err);
    keygen_done(&k);
    return rc;
}

void keygen_hold(struct vault *v, const struct session *s)
{
    struct held_promises *held = &v->held;

    keygen_release(v, s);
    if (held->count == CHANNELS_MAX)
        return; /* no more channels than that: and what is not held is only asked for again */
    held->of[held->count].by = s;
    memcpy(held->of[held->count++].tx, s->keygen.tx, sizeof s->keygen.tx);
}

void keygen_release(struct vault *v, const struct session *s)
{
    struct held_promises *held = &v->held;

    for (size_t i = held->count; i > 0; i--)
        if (held->of[i - 1].by == s)
            held->of[i - 1] = held->of[--held->count];
}

static bool is_held(const void *context, const uint8_t tx[IMPRINT_TX_SIZE])
{
    const struct held_promises *held = context;

    for (size_t i = 0; i < held->count; i++)
        if (memcmp(held->of[i].tx, tx, IMPRINT_TX_SIZE) == 0)
            return true;
    return false;
}

/* For one more promise. */
static int make_room(struct vault *v, const struct session *s, struct error *err)
{
    int rc = keygen_drop_oldest(v->store, v->order_id, s->slot, KEYGEN_SLOT_MAX - 1, is_held,
                                &v->held, err);

    return rc ? rc
              : keygen_drop_oldest(v->store, v->order_id, NULL, KEYGEN_OPEN_MAX - 1, is_held,
                                   &v->held, err);
}

static int make_in_transaction(struct vault *v, struct session *s, const struct claim *old,
                               struct error *err)
{
    int rc = old ? quota_check_burn(v, err) : quota_check_claim(v, err);

    if (rc == 0)
        rc = quota_check_issue(v, 1, err);
    if (rc == 0 && old)
        rc = claim_burn(v, old, err);
    if (rc == 0)
        rc = drop_of_chip(v, &s->hello, err);
    if (rc == 0)
        rc = make_room(v, s, err);
    if (rc == 0)
        rc = fill(v, s, &s->keygen, err);
    if (rc == 0)
        rc = keygen_add(v->store, &s->keygen, err);
    return rc ? rc : record(v, "keygen", &s->keygen, err);
}

int keygen_make(struct vault *v, struct session *s, const struct claim *old, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = make_in_transaction(v, s, old, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    if ((rc == 0 || store_is_unanchored(v->store)) && old)
        quota_move(v, CREDENTIAL_CLAIMED, CREDENTIAL_BURNED, 1);
    return rc;
}

int keygen_drop(struct vault *v, struct session *s, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = keygen_set_state(v->store, s->keygen.tx, KEYGEN_DROPPED, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

/* ---- the request ---- */

/* With `enrolled` and `attested` the device's own key says that it made this one. */
static int check_attestation(const struct vault *v, const struct session *s,
                             const struct wire_csr *request, const struct csr *csr,
                             struct error *err)
{
    struct link_facts facts;
    struct buf message;
    int rc;

    if (v->order->auth == ORDER_AUTH_NONE)
        return 0;
    if (!request->has_attestation)
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device does not attest the key that it made, and the order asks for "
                      "it: set it aside"));
    hello_facts(&s->hello, &facts);
    buf_init(&message, LINK_X_MAX);
    rc = link_attest_key_message(&facts, s->keygen.station_nonce, &csr->key, &message, err);
    if (rc == 0 &&
        ec_verify(s->hello.attest_key, message.data, message.len, request->attest_sig, NULL))
        rc = error_set(err, ERR_SIGNATURE,
                       "this device attests another key than the one that it asks a certificate "
                       "for: set it aside");
    buf_done(&message);
    return rc;
}

/* A key has one use: the others of this device are known to whoever listened. */
static int check_other_keys(const struct session *s, const struct csr *csr, struct error *err)
{
    const struct wire_hello *h = &s->hello;

    const uint8_t *point = key_point(&csr->key);

    if (!point || (memcmp(point, h->dev_pub, EC_POINT_SIZE) != 0 &&
                   (!h->has_attestation || memcmp(point, h->attest_key, EC_POINT_SIZE) != 0)))
        return 0;
    return error_next(
        err, NEXT_SET_ASIDE,
        error_set(err, ERR_REFUSED,
                  "this device asks for a certificate for its transport or enrolment key, and a "
                  "key has one use: set it aside"));
}

static int check_unknown_key(struct vault *v, const struct csr *csr, struct error *err)
{
    struct credential other;
    int64_t known;
    int rc = key_index_find(v->store, &csr->key, &known, err);

    if (rc || known == 0)
        return rc;
    if (known < 0)
        return error_set(err, ERR_DUPLICATE,
                         "this device asks for a certificate for a key that the station made and "
                         "keeps: set it aside, and call the security team");
    credential_init(&other);
    rc = credential_get(v->store, known, &other, err);
    if (rc == 0)
        rc =
            error_set(err, ERR_DUPLICATE,
                      "this device asks for a certificate for the key of '%s': set both aside, one "
                      "is a copy or their random source is broken",
                      other.serial);
    credential_done(&other);
    return rc;
}

static int judge(struct vault *v, struct session *s, const struct wire_csr *request,
                 struct csr *csr, struct error *err)
{
    const struct keygen *k = &s->keygen;
    int rc = csr_read(request->csr, request->csr_len, v->key, csr, err);

    if (rc == 0)
        rc = csr_check_subject(csr, k->subject.data, k->subject.len, err);
    if (rc == ERR_REFUSED) /* whatever is wrong with its request, the device made it */
        return error_next(err, NEXT_SET_ASIDE, rc);
    if (rc == 0)
        rc = check_other_keys(s, csr, err);
    return rc ? rc : check_attestation(v, s, request, csr, err);
}

/* ---- the certificate ---- */

static int check_extensions(const struct csr *csr, const struct credential *c, struct error *err)
{
    X509 *cert;
    int rc;

    if (csr->extensions_len == 0)
        return 0;
    rc = cert_from_der(c->cert.data, c->cert.len, &cert, err);
    if (rc)
        return rc;
    rc = csr_check_extensions(csr, cert, err);
    X509_free(cert);
    return rc == ERR_REFUSED ? error_next(err, NEXT_SET_ASIDE, rc) : rc;
}

static int issue(struct vault *v, struct session *s, const struct csr *csr, struct error *err)
{
    const struct keygen *k = &s->keygen;
    struct certify_request request = {
        .serial = k->serial, .chip = k->chip, .chip_len = k->chip_len, .key = &csr->key};
    bool spare;
    int rc = job_serials_allow(&v->job->serials, &v->share->serials, v->order, k->serial, err);

    if (rc == 0)
        rc = naming_judge(v, k->serial, &request.again, &request.replaces, err);
    if (rc == 0)
        rc = certifier_issue(v, &request, &s->credential, &spare, err);
    return rc ? rc : check_extensions(csr, &s->credential, err);
}

/* Another slot may show the same chip; everything else passes when the device is asked again. */
static int refuse_dropped(struct vault *v, const struct session *s, struct error *err)
{
    bool came;
    int rc = keygen_chip_came_since(v->store, &s->keygen, &came, err);

    if (rc)
        return rc;
    return came ? error_set(err, ERR_DUPLICATE,
                            "another device with this chip id was put in meanwhile: set both aside")
                : error_set(err, ERR_PROTOCOL,
                            "what this device was promised was given up meanwhile: it is asked "
                            "again");
}

/* Only one that nobody dropped meanwhile. */
static int check_still_open(struct vault *v, const struct session *s, struct error *err)
{
    struct keygen now;
    bool found;
    int rc;

    keygen_init(&now);
    rc = keygen_by_tx(v->store, s->keygen.tx, &now, &found, err);
    if (rc == 0 && !(found && now.state == KEYGEN_OPEN))
        rc = refuse_dropped(v, s, err);
    keygen_done(&now);
    return rc;
}

static int certify_in_transaction(struct vault *v, struct session *s,
                                  const struct wire_csr *request, const struct csr *csr,
                                  struct error *err)
{
    int rc = check_still_open(v, s, err);

    if (rc == 0)
        rc = quota_check_claim(v, err);
    if (rc == 0)
        rc = check_unknown_key(v, csr, err);
    if (rc == 0)
        rc = issue(v, s, csr, err);
    if (rc == 0)
        rc = claim_for_request(v, s, request, err);
    return rc ? rc : keygen_set_state(v->store, s->keygen.tx, KEYGEN_CLAIMED, err);
}

static int certify(struct vault *v, struct session *s, const struct wire_csr *request,
                   const struct csr *csr, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = certify_in_transaction(v, s, request, csr, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    if (rc && !store_is_unanchored(v->store)) {
        session_forget_claim(s); /* nothing was issued */
        return rc;
    }
    certifier_committed(v, false);
    quota_move(v, CREDENTIAL_AVAILABLE, CREDENTIAL_CLAIMED, 1);
    return rc;
}

/* The first certificate is for a key that the device does not have, or not alone. */
static int refuse_second_key(struct vault *v, struct session *s, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = claim_burn(v, &s->claim, err);
    if (rc == 0)
        rc = keygen_set_state(v->store, s->keygen.tx, KEYGEN_DROPPED, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    if (rc && !store_is_unanchored(v->store))
        return rc;
    quota_move(v, CREDENTIAL_CLAIMED, CREDENTIAL_BURNED, 1);
    return rc ? rc
              : error_next(
                    err, NEXT_RESEAT,
                    error_set(
                        err, ERR_DUPLICATE,
                        "this device made a second key for '%s', whose certificate is void now: "
                        "run again, and it takes another identity; set it aside when it does so "
                        "again",
                        s->credential.serial));
}

/* The claim of this transaction as it is now: another channel may have worked on it since KEYGEN left.
 * What HELLO found may be another one, which this device had before. */
static int find_claim(struct vault *v, struct session *s, bool *found, struct error *err)
{
    int rc = claim_by_tx(v->store, s->keygen.tx, &s->claim, found, err);

    if (rc == 0 && !*found)
        session_forget_claim(s);
    if (rc || !*found)
        return rc;
    rc = claim_credential(v, &s->claim, &s->credential, err);
    if (rc == 0 && s->claim.state != CLAIM_OPEN)
        rc = error_set(err, ERR_DUPLICATE,
                       "'%s' came to its end while this device was asked for its key: it is in two "
                       "slots, or another one says that it is this device; set both aside",
                       s->credential.serial);
    return rc;
}

int keygen_certify(struct vault *v, struct session *s, const struct wire_csr *request,
                   struct error *err)
{
    struct csr csr;
    bool found = false;
    int rc = judge(v, s, request, &csr, err);

    if (rc == 0)
        rc = find_claim(v, s, &found, err);
    if (rc)
        return rc;
    if (!found)
        return certify(v, s, request, &csr, err);
    if (!key_same(&csr.key, &s->credential.key))
        return refuse_second_key(v, s, err);
    return 0;
}
