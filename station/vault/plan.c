#include "station/vault/plan.h"

#include "base/codec.h"
#include "base/plural.h"
#include "link/transcript.h"
#include "pki/digest.h"
#include "station/vault/claim.h"
#include "station/vault/hello.h"
#include "station/vault/keygen.h"
#include "station/vault/naming.h"
#include "station/vault/plant.h"
#include "station/vault/scanning.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(JOB_ANCHORS_MAX <= WIRE_OBJECT_MAX, "what a job takes must pass to the line");

static bool same_chip(const struct claim *c, const struct wire_hello *h)
{
    return c->chip_len == h->chip_len && memcmp(c->chip, h->chip, h->chip_len) == 0;
}

static int refuse_other_chip(const struct claim *c, const struct credential *cred,
                             struct error *err)
{
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];

    hex_encode(c->chip, c->chip_len, chip);
    return error_set(err, ERR_DUPLICATE,
                     "this device claims to be '%s', which was given to chip %s: set it aside, it "
                     "is a copy",
                     cred->serial, chip);
}

static int refuse_known_chip(const struct credential *cred, struct error *err)
{
    return error_set(err, ERR_DUPLICATE,
                     "this chip id was provisioned before as '%s' and the device does not know it: "
                     "set it aside, it is a copy or was erased",
                     cred->serial);
}

/* The claim must have been made under the order that this job works on. */
static int refuse_other_order(const struct vault *v, const struct credential *cred,
                              struct error *err)
{
    if (cred->order_id == v->order_id)
        return 0;
    return error_next(
        err, NEXT_JOB,
        error_set(err, ERR_REFUSED,
                  "this device belongs to another order, as '%s': run the job of that order",
                  cred->serial));
}

static int refuse_locked_void(const struct credential *cred, struct error *err)
{
    return error_next(err, NEXT_SET_ASIDE,
                      error_set(err, ERR_REFUSED,
                                "this device is locked with '%s', which is void: set it aside",
                                cred->serial));
}

static int fill_station(const struct vault *v, struct wire_plan *plan, struct error *err)
{
    strcpy(plan->environment, v->config->environment);
    if (v->station_cert.len > sizeof plan->station_cert)
        return error_set(err, ERR_INTERNAL, "the station's certificate is too long");
    memcpy(plan->station_cert, v->station_cert.data, v->station_cert.len);
    plan->station_cert_len = (uint16_t)v->station_cert.len;
    return 0;
}

/* KEYGEN as it is stored. */
static int fill_keygen(struct vault *v, struct session *s, struct wire_plan *plan,
                       struct error *err)
{
    const struct keygen *k = &s->keygen;
    int rc;

    memset(plan, 0, sizeof *plan);
    rc = link_transcript_order(&k->x, plan->order_hash, err);
    if (rc)
        return rc;
    plan->action = WIRE_KEYGEN;
    strcpy(plan->serial, k->serial);
    memcpy(plan->tx, k->tx, sizeof plan->tx);
    plan->suite = IMPRINT_SUITE_NONE;
    memcpy(plan->station_nonce, k->station_nonce, sizeof plan->station_nonce);
    memcpy(plan->station_sig, k->station_sig, sizeof plan->station_sig);
    plan->key_alg = link_key_algorithm(v->key);
    memcpy(plan->subject, k->subject.data, k->subject.len);
    plan->subject_len = (uint16_t)k->subject.len;
    return fill_station(v, plan, err);
}

static int fill_plan(struct vault *v, struct session *s, enum wire_action action,
                     struct wire_plan *plan, struct error *err)
{
    uint8_t bundle[32];
    int rc = action == WIRE_DELIVER ? claim_check_bundle(v, s, err) : 0;

    memset(plan, 0, sizeof *plan);
    if (rc == 0) /* under whichever version the claim was made */
        rc = link_transcript_hashes(&s->claim.x, plan->order_hash, bundle, err);
    if (rc)
        return rc;
    plan->action = (uint8_t)action;
    plan->again = s->again;
    strcpy(plan->serial, s->credential.serial);
    memcpy(plan->tx, s->claim.tx, sizeof plan->tx);
    plan->suite = s->claim.suite;
    memcpy(plan->station_nonce, s->claim.station_nonce, sizeof plan->station_nonce);
    memcpy(plan->station_pub, s->claim.station_pub, sizeof plan->station_pub);
    memcpy(plan->station_sig, s->claim.station_sig, sizeof plan->station_sig);
    plan->object_count = (uint8_t)claim_objects(v, s, plan->objects);
    return fill_station(v, plan, err);
}

/* Only a device that has the first key gets its certificate again: so it is asked for it. */
static int ask_again(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    bool found;
    int rc = keygen_by_tx(v->store, s->claim.tx, &s->keygen, &found, err);

    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY,
                       "the database no longer says how '%s' was asked for its key: keep it as it "
                       "is and call the security team",
                       s->credential.serial);
    if (rc == 0)
        rc = claim_check_bundle(v, s, err);
    return rc ? rc : fill_keygen(v, s, plan, err);
}

static const char *key_name(const struct vault *v)
{
    return v->order->auth == ORDER_AUTH_ATTESTED ? "attested key" : "enrolment key";
}

/* With `enrolled` and `attested` a device is that key: the chip id is only what it says of itself. */
static int check_enrolment(const struct vault *v, const struct session *s, const struct claim *c,
                           struct error *err)
{
    const struct order *order;
    int rc = vault_claim_order(v, &c->x, &order, err);

    if (rc || order->auth == ORDER_AUTH_NONE || claim_is_enrolled_as(c, s->hello.attest_key))
        return rc;
    return error_set(err, ERR_DUPLICATE,
                     "the chip id of this device belongs to '%s', whose device has another %s: set "
                     "it aside",
                     s->credential.serial, key_name(v));
}

/* Whether the device says that it committed c itself, and not an identity before. */
static bool is_committed(const struct claim *c, const struct wire_hello *h)
{
    return h->tx_state == IMPRINT_TX_COMMITTED && memcmp(c->tx, h->tx, sizeof c->tx) == 0;
}

static bool is_void(const struct claim *c)
{
    return c->state == CLAIM_BURNED || c->state == CLAIM_REVOKED;
}

/* What failed so often fails again: a person looks at the device, and not only the next run. */
static int check_attempts(struct vault *v, const struct session *s, struct error *err)
{
    int64_t most = v->job->link.attempts, failures;
    int rc = attempt_failures(v->store, s->claim.tx, &failures, err);

    if (rc || most == 0 || failures < most)
        return rc;
    return error_next(
        err, NEXT_SET_ASIDE,
        error_set(err, ERR_REFUSED,
                  "'%s' failed in this device %" PRId64 " time%s: set it aside; a supervisor "
                  "gives it up with 'imprint void %s --lost --reason TEXT'",
                  s->credential.serial, failures, PLURAL(failures), s->credential.serial));
}

/* A run that only locks gives nothing away. */
static int check_step(const struct vault *v, const struct session *s, enum wire_action action,
                      struct error *err)
{
    if (v->job->step != JOB_STEP_LOCK || action == WIRE_PROVE)
        return 0;
    return error_next(
        err, NEXT_JOB,
        error_set(err, ERR_REFUSED,
                  "this device%s%s%s has no whole identity yet: run the job that installs it, "
                  "then this one",
                  s->credential.serial[0] ? " ('" : "", s->credential.serial,
                  s->credential.serial[0] ? "')" : ""));
}

/* What it committed was all signed by the station: it does not show another serial by mistake. */
static int check_serial(const struct session *s, struct error *err)
{
    if (strcmp(s->hello.serial, s->credential.serial) == 0)
        return 0;
    return error_next(err, NEXT_SET_ASIDE,
                      error_set(err, ERR_REFUSED,
                                "this device was given '%s' and shows another serial: set it aside",
                                s->credential.serial));
}

/* The device holds, or says it holds, s->claim. */
static int plan_known(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    bool committed = is_committed(&s->claim, &s->hello);
    int rc;

    if (!same_chip(&s->claim, &s->hello))
        return refuse_other_chip(&s->claim, &s->credential, err);
    if (refuse_other_order(v, &s->credential, err))
        return ERR_REFUSED;
    rc = check_enrolment(v, s, &s->claim, err);
    if (rc)
        return rc;
    if (is_void(&s->claim))
        return s->hello.lifecycle == IMPRINT_LIFE_LOCKED ? refuse_locked_void(&s->credential, err)
                                                         : fill_plan(v, s, WIRE_ABORT, plan, err);
    rc = naming_check_label(v, s, err);
    if (rc)
        return rc;
    s->again = s->claim.state == CLAIM_PROVEN;
    if (committed) {
        rc = check_serial(s, err);
        return rc ? rc : fill_plan(v, s, WIRE_PROVE, plan, err);
    }
    if (s->again)
        return refuse_known_chip(&s->credential, err);
    rc = check_step(v, s, WIRE_DELIVER, err);
    if (rc == 0)
        rc = check_attempts(v, s, err);
    if (rc)
        return rc;
    return s->claim.suite == IMPRINT_SUITE_NONE ? ask_again(v, s, plan, err)
                                                : fill_plan(v, s, WIRE_DELIVER, plan, err);
}

/* The device was asked for a key, and no certificate was signed for it yet. */
static int plan_asked(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    const struct keygen *k = &s->keygen;
    const struct wire_hello *h = &s->hello;
    int rc;

    if (k->chip_len != h->chip_len || memcmp(k->chip, h->chip, h->chip_len) != 0)
        return error_set(err, ERR_DUPLICATE,
                         "this device claims to be the one that was to become '%s', which has "
                         "another chip id: set it aside, it is a copy",
                         k->serial);
    if (h->tx_state == IMPRINT_TX_COMMITTED && memcmp(h->tx, k->tx, sizeof k->tx) == 0)
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device says that it has a certificate that was never signed: set it "
                      "aside"));
    rc = check_step(v, s, WIRE_KEYGEN, err);
    if (rc)
        return rc;
    if (keygen_is_in_force(v, s) && v->mode == IMPRINT_MODE_DEVICE &&
        naming_fits_label(v, s, k->serial))
        return fill_keygen(v, s, plan, err);
    rc = k->state == KEYGEN_OPEN ? keygen_drop(v, s, err) : 0;
    memset(plan, 0, sizeof *plan);
    plan->action = WIRE_ABORT; /* nothing was issued for it */
    return rc;
}

/* A void identity that was committed is replaced: before LOCK a new BEGIN may do that. */
static bool is_replaced(const struct claim *c, const struct wire_hello *h)
{
    return is_void(c) && is_committed(c, h) && same_chip(c, h) &&
           h->lifecycle == IMPRINT_LIFE_FACTORY;
}

static int find_by_dev_pub(struct vault *v, struct session *s, bool *known, struct error *err)
{
    int rc = claim_by_dev_pub(v->store, s->hello.dev_pub, &s->claim, known, err);

    return rc || *known ? rc
                        : keygen_by_dev_pub(v->store, s->hello.dev_pub, &s->keygen, &s->asked, err);
}

static int find_by_transaction(struct vault *v, struct session *s, bool *known, struct error *err)
{
    int rc = claim_by_tx(v->store, s->hello.tx, &s->claim, known, err);

    if (rc == 0 && !*known)
        rc = keygen_by_tx(v->store, s->hello.tx, &s->keygen, &s->asked, err);
    if (rc == 0 && s->asked)
        return 0;
    if (rc == 0 && !*known)
        rc = error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device holds a transaction that this station did not make: it "
                      "belongs to another station or an older database, set it aside"));
    /* What replaces a void identity may have been claimed already, and never begun. */
    if (rc || !is_replaced(&s->claim, &s->hello))
        return rc;
    rc = claim_credential(v, &s->claim, &s->credential, err);
    session_forget_claim(s);
    return rc ? rc : find_by_dev_pub(v, s, known, err);
}

/* By what the device itself reports. *known tells whether the store has it. */
static int find_reported(struct vault *v, struct session *s, bool *known, struct error *err)
{
    int rc = s->hello.tx_state != IMPRINT_TX_NONE ? find_by_transaction(v, s, known, err)
                                                  : find_by_dev_pub(v, s, known, err);

    if (rc == 0 && *known)
        rc = claim_credential(v, &s->claim, &s->credential, err);
    return rc;
}

/* The live claim of a chip that reports nothing of it: proven, or open and to be burned. */
static int check_old(struct vault *v, struct session *s, const struct claim *old, struct error *err)
{
    int rc = claim_credential(v, old, &s->credential, err);

    if (rc)
        return rc;
    if (old->state == CLAIM_PROVEN)
        return refuse_known_chip(&s->credential, err);
    rc = refuse_other_order(v, &s->credential, err);
    if (rc == 0 && v->job->serials.source == SOURCE_SCANNED)
        rc = naming_check_label(v, s, err);
    return rc ? rc : check_enrolment(v, s, old, err);
}

/* An enrolled or attested key with a live identity under another chip id. */
static int refuse_second_identity(struct vault *v, struct session *s, struct error *err)
{
    struct claim other;
    bool found = false;
    int rc = 0;

    claim_init(&other);
    if (v->order->auth != ORDER_AUTH_NONE)
        rc = claim_by_enrolment(v->store, s->hello.attest_key, &other, &found, err);
    if (rc == 0 && found && !same_chip(&other, &s->hello)) {
        rc = claim_credential(v, &other, &s->credential, err);
        if (rc == 0)
            rc = refuse_other_chip(&other, &s->credential, err);
    }
    claim_done(&other);
    return rc;
}

/* Nothing is claimed yet: it asks again. */
static int wait_for_scan(struct wire_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->action = WIRE_SCAN;
    return 0;
}

/* Nothing the device reports is known: a new device, or a known chip that lost its memory. */
static int plan_new(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    struct claim old;
    bool found, waits = false;
    int rc;

    claim_init(&old);
    rc = check_step(v, s, WIRE_DELIVER, err);
    if (rc == 0)
        rc = claim_by_chip(v->store, s->hello.chip, s->hello.chip_len, &old, &found, err);
    if (rc == 0 && found)
        rc = check_old(v, s, &old, err);
    if (rc == 0)
        rc = refuse_second_identity(v, s, err);
    if (rc == 0 && scanning_is_awaited(v, s->slot)) {
        claim_done(&old);
        return wait_for_scan(plan);
    }
    if (rc == 0)
        rc = plant_may_claim(v, s, &waits, err);
    if (rc == 0 && !waits)
        rc = v->mode == IMPRINT_MODE_DEVICE ? keygen_make(v, s, found ? &old : NULL, err)
                                            : claim_make(v, s, found ? &old : NULL, err);
    claim_done(&old);
    if (rc || waits)
        return rc;
    return v->mode == IMPRINT_MODE_DEVICE ? fill_keygen(v, s, plan, err)
                                          : fill_plan(v, s, WIRE_DELIVER, plan, err);
}

int plan_request(struct vault *v, struct session *s, const struct wire_csr *request,
                 struct wire_plan *plan, struct error *err)
{
    int rc = keygen_certify(v, s, request, err);

    return rc ? rc : fill_plan(v, s, WIRE_DELIVER, plan, err);
}

/* What the unit says of itself, against what the job requires of it. */
static int check_unit(const struct vault *v, const struct wire_hello *h, struct error *err)
{
    const struct job_unit unit = {.firmware = h->firmware,
                                  .image_hash = h->has_image_hash ? h->image_hash : NULL,
                                  .debug = h->debug,
                                  .lifecycle = h->lifecycle};

    return job_require_unit(&v->job->require, &unit, err);
}

int plan_device(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    bool known;
    int rc = hello_check(v, s, err);

    if (rc == 0)
        rc = check_unit(v, &s->hello, err);
    if (rc == 0)
        rc = find_reported(v, s, &known, err);
    if (rc)
        return rc;
    if (known)
        return plan_known(v, s, plan, err);
    return s->asked ? plan_asked(v, s, plan, err) : plan_new(v, s, plan, err);
}

int plan_object(struct vault *v, struct session *s, size_t index, struct buf *out,
                struct error *err)
{
    struct wire_object_info objects[IMPRINT_OBJECTS_MAX];
    size_t count = claim_objects(v, s, objects);
    const struct buf *bytes;

    if (index >= count)
        return error_set(err, ERR_PROTOCOL, "the bundle has no object %zu", index);
    buf_reset(out);
    switch (objects[index].type) {
    case IMPRINT_OBJ_PRIVATE_KEY:
        buf_put(out, s->claim.wrapped.data, s->claim.wrapped.len);
        break;
    case IMPRINT_OBJ_SYMMETRIC_KEY:
        buf_put(out, s->claim.symmetric.data, s->claim.symmetric.len);
        break;
    case IMPRINT_OBJ_CERTIFICATES:
        claim_certificates(v, &s->credential, out);
        break;
    case IMPRINT_OBJ_TRUST_ANCHORS:
        buf_put(out, v->job->trust_anchors.data, v->job->trust_anchors.len);
        break;
    default:
        bytes = &v->job->objects[objects[index].type].bytes;
        buf_put(out, bytes->data, bytes->len);
        break;
    }
    return buf_check(out, "an object", err);
}
