#include "station/vault/naming.h"

#include "base/codec.h"
#include "station/store/ledger.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/certifier.h"
#include "station/vault/scan.h"
#include "station/vault/scanning.h"
#include "station/vault/symmetric.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* ---- what the serial has ---- */

struct judging {
    const struct vault *v;
    const char *serial;
    bool again;
    int64_t replaces;
};

static int refuse_duplicate(const struct credential *c, struct error *err)
{
    if (c->state == CREDENTIAL_AVAILABLE)
        return error_next(
            err, NEXT_CALL,
            error_set(err, ERR_DUPLICATE,
                      "a credential of '%s' was made ahead: it is given out by the job that made "
                      "it, call the engineer",
                      c->serial));
    return error_set(err, ERR_DUPLICATE,
                     "another device has the serial '%s': compare the labels, and set this device "
                     "aside",
                     c->serial);
}

/* A burned one may have been lost by a restore, without a claim. */
static int expect_end(const struct judging *j, const struct credential *c, struct error *err)
{
    static const char *const events[CREDENTIAL_STATES] = {[CREDENTIAL_BURNED] = "burned",
                                                          [CREDENTIAL_SCRAPPED] = "scrapped",
                                                          [CREDENTIAL_REVOKED] = "revoked"};
    int rc = ledger_expect(j->v->store, c->id, events[c->state], err);

    return rc == ERR_INTEGRITY && c->state == CREDENTIAL_BURNED
               ? ledger_expect(j->v->store, c->id, "lost", err)
               : rc;
}

static int judge_revoked(struct judging *j, const struct credential *c, struct error *err)
{
    bool allowed = false;
    int rc = ledger_allows_rework(j->v->store, j->v->history.row.hash, c->id, &allowed, err);

    if (rc)
        return rc;
    if (!allowed)
        return error_set(err, ERR_REFUSED,
                         "the identity of '%s' was revoked: a supervisor allows another one with "
                         "'imprint rework %s --by NAME --reason TEXT'",
                         c->serial, c->serial);
    j->replaces = c->id;
    return 1;
}

static int judge_one(void *context, const struct credential *c, struct error *err)
{
    struct judging *j = context;
    int rc;

    if (c->state == CREDENTIAL_AVAILABLE || c->state == CREDENTIAL_CLAIMED ||
        c->state == CREDENTIAL_PROVEN || strcmp(c->serial, j->serial))
        return refuse_duplicate(c, err);
    j->again = true;
    rc = expect_end(j, c, err);
    if (rc || c->state != CREDENTIAL_REVOKED)
        return rc;
    return judge_revoked(j, c, err);
}

int naming_judge(const struct vault *v, const char *serial, bool *again, int64_t *replaces,
                 struct error *err)
{
    struct judging j = {.v = v, .serial = serial};
    int rc = credential_each_of_serial(v->store, v->order->product, serial, judge_one, &j, err);

    *again = j.again;
    *replaces = j.replaces;
    return rc;
}

/* ---- which serial it is ---- */

/* On the label of the unit in a slot, as it was scanned; NULL: there is none yet. */
static const char *label_of(const struct vault *v, const char *slot)
{
    const struct scan *before = scans_find(v->scans, slot);

    return before && !before->used ? before->serial : scanning_serial(v->scanning, slot);
}

static int label_is_used(const struct session *s, const struct scan *label, struct error *err)
{
    return error_next(
        err, NEXT_SCAN,
        error_set(err, ERR_REFUSED,
                  "the label scanned for slot '%s' was that of the unit before, '%s': "
                  "run again and scan this unit's label",
                  s->slot, label->serial));
}

static int no_label(const struct session *s, struct error *err)
{
    return error_next(
        err, NEXT_SCAN,
        error_set(err, ERR_REFUSED,
                  "no label was scanned for slot '%s': run again and scan the unit's label",
                  s->slot));
}

static int from_chip(const struct vault *v, const struct session *s,
                     char serial[SERIAL_TEXT_MAX + 1], struct error *err)
{
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];
    int len;

    hex_encode(s->hello.chip, s->hello.chip_len, chip);
    for (char *p = chip; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    len = snprintf(serial, SERIAL_TEXT_MAX + 1, "%s%s", v->job->serials.prefix, chip);
    if (s->hello.chip_len == 0 || len > SERIAL_TEXT_MAX)
        return error_set(err, ERR_REFUSED,
                         "the device's chip id cannot be its serial: it has %zu bytes, and prefix "
                         "and digits together at most %d characters",
                         (size_t)s->hello.chip_len, SERIAL_TEXT_MAX);
    return job_serials_allow(&v->job->serials, &v->share->serials, v->order, serial, err);
}

int naming_find(const struct vault *v, const struct session *s, char serial[SERIAL_TEXT_MAX + 1],
                struct error *err)
{
    const struct scan *before = scans_find(v->scans, s->slot);
    const char *scanned = label_of(v, s->slot);

    serial[0] = 0;
    if (!scanned && before)
        return label_is_used(s, before, err);
    if (scanned) {
        strcpy(serial, scanned);
        return 0; /* scans_add or scanning_take allowed it */
    }
    switch (v->job->serials.source) {
    case SOURCE_SCANNED:
        return no_label(s, err);
    case SOURCE_DEVICE:
        return from_chip(v, s, serial, err);
    default:
        return 0;
    }
}

/* Where serials are given out by the job itself, a label says which unit gets a replacement. */
static int check_replacement(const struct vault *v, const struct certify_request *r,
                             struct error *err)
{
    if (r->replaces || !job_serials_ahead(&v->job->serials))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "'%s' has no identity to be replaced, and this job gives out serials by "
                     "itself: run it without the label",
                     r->serial);
}

int naming_judge_label(const struct vault *v, struct certify_request *r, struct error *err)
{
    int rc = naming_judge(v, r->serial, &r->again, &r->replaces, err);

    return rc ? rc : check_replacement(v, r, err);
}

static int issue(struct vault *v, struct session *s, const char *serial, struct naming *how,
                 struct error *err)
{
    struct certify_request request = {
        .serial = serial, .chip = s->hello.chip, .chip_len = s->hello.chip_len};
    int rc = naming_judge_label(v, &request, err);

    if (rc == 0)
        rc = certifier_issue(v, &request, &s->credential, &how->spare, err);
    how->issued = rc == 0;
    return rc ? rc : ledger_expect(v->store, s->credential.id, LEDGER_ISSUE, err);
}

/* ---- the next, where nothing is made ahead ---- */

static int range_is_used(const struct vault *v, struct error *err)
{
    const struct order_serials *range = &v->share->serials;

    return error_next(err, NEXT_ORDER,
                      error_set(err, ERR_REFUSED,
                                "order '%s' gives this station the serial numbers %s%" PRId64
                                " to %" PRId64
                                ", and all of them were given out: ask the owner for an amendment",
                                v->order->id, range->prefix, range->first, range->last));
}

static int is_known(const struct vault *v, const char *serial, bool *known, struct error *err)
{
    int64_t order;
    int rc = credential_order_of_serial(v->store, v->order->product, serial, &order, err);

    *known = order != 0;
    return rc;
}

/* A serial of the pattern may be known already, by a label that was scanned. */
static int next_of_pattern(struct vault *v, char serial[SERIAL_TEXT_MAX + 1], struct error *err)
{
    const struct job_serials *s = &v->job->serials;
    const struct order_serials *range = &v->share->serials;
    bool known = true;
    int64_t number;
    int rc =
        counter_next(v->store, v->order->product, s->prefix, s->digits, s->first, &number, err);

    for (number--; rc == 0 && known;) {
        number++;
        if (number < range->first || number > range->last)
            return range_is_used(v, err);
        rc = job_serial_text(s, number, serial, SERIAL_TEXT_MAX + 1, err);
        if (rc == 0)
            rc = is_known(v, serial, &known, err);
    }
    return rc ? rc
              : counter_set(v->store, v->order->product, s->prefix, s->digits, number + 1, err);
}

/* What is known stays so: the vault remembers how far it looked. */
static int next_of_list(struct vault *v, char serial[SERIAL_TEXT_MAX + 1], struct error *err)
{
    const struct serial_list *list = &v->job->serials.list;
    bool known = true;
    int rc = 0;

    for (; rc == 0 && v->listed < list->count; v->listed++) {
        rc = is_known(v, list->at[v->listed], &known, err);
        if (rc == 0 && !known)
            break;
    }
    if (rc == 0 && v->listed == list->count)
        return error_set(err, ERR_EXHAUSTED,
                         "all %zu serials of the list '%s' were given out: ask for more",
                         list->count, v->job->serials.file);
    if (rc == 0)
        snprintf(serial, SERIAL_TEXT_MAX + 1, "%s", list->at[v->listed]);
    return rc;
}

int naming_next(struct vault *v, char serial[SERIAL_TEXT_MAX + 1], struct error *err)
{
    return v->job->serials.source == SOURCE_LISTED ? next_of_list(v, serial, err)
                                                   : next_of_pattern(v, serial, err);
}

static int take_derived(struct vault *v, struct session *s, char serial[SERIAL_TEXT_MAX + 1],
                        struct naming *how, struct error *err)
{
    bool named = *serial != 0;
    int rc = named ? 0 : naming_next(v, serial, err);

    if (rc == 0)
        rc = symmetric_issue(v, serial, named, &s->credential, err);
    how->issued = rc == 0;
    return rc ? rc : ledger_expect(v->store, s->credential.id, LEDGER_ISSUE, err);
}

int naming_take(struct vault *v, struct session *s, struct naming *how, struct error *err)
{
    char serial[SERIAL_TEXT_MAX + 1];
    int rc = naming_find(v, s, serial, err);

    *how = (struct naming){false, false};
    if (rc == 0 && v->mode == IMPRINT_MODE_DERIVED)
        return take_derived(v, s, serial, how, err);
    if (rc == 0 && *serial)
        return issue(v, s, serial, how, err);
    if (rc == 0)
        rc = credential_pick_type(v->store, v->order_id, v->key, &s->credential, err);
    if (rc == 0)
        rc = fitting_check_stock(v, &s->credential.cert, err);
    return rc ? rc : ledger_expect_available(v->store, s->credential.id, err);
}

bool naming_fits_label(const struct vault *v, const struct session *s, const char *serial)
{
    const char *scanned = label_of(v, s->slot);

    return !scanned || strcmp(scanned, serial) == 0;
}

int naming_check_label(const struct vault *v, const struct session *s, struct error *err)
{
    const char *scanned = label_of(v, s->slot);

    if (naming_fits_label(v, s, s->credential.serial))
        return 0;
    return error_next(
        err, NEXT_SWAP,
        error_set(err, ERR_REFUSED,
                  "the label scanned for slot '%s' says '%s' and the device in it is '%s': put "
                  "the right unit in, or set both aside",
                  s->slot, scanned, s->credential.serial));
}
