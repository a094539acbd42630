#include "station/vault/quota.h"

#include "base/clock.h"
#include "station/store/claims.h"
#include "station/store/ledger.h"

#include <inttypes.h>

/* Only a scrapped one gives its place back: every other certificate may live for ever. A request takes
 * one: the hosted CA that has it may sign, whether or not the station hears of it. */
int64_t quota_issued(const struct inventory_counts *counts)
{
    return counts->by_state[CREDENTIAL_AVAILABLE] + counts->by_state[CREDENTIAL_CLAIMED] +
           counts->by_state[CREDENTIAL_PROVEN] + counts->by_state[CREDENTIAL_BURNED] +
           counts->by_state[CREDENTIAL_REVOKED] + counts->requests;
}

int64_t quota_live(const struct inventory_counts *counts)
{
    return counts->by_state[CREDENTIAL_CLAIMED] + counts->by_state[CREDENTIAL_PROVEN];
}

/* What the ledger tells, as the states that credentials must be in. */
static struct inventory_counts states_of(const struct ledger_counts *told)
{
    struct inventory_counts c = {.spares = 0};

    c.by_state[CREDENTIAL_AVAILABLE] = told->issued - told->claimed - told->scrapped - told->lost;
    c.by_state[CREDENTIAL_CLAIMED] = told->claimed - told->proven - told->burned;
    c.by_state[CREDENTIAL_PROVEN] = told->proven - told->revoked;
    c.by_state[CREDENTIAL_BURNED] = told->burned + told->lost;
    c.by_state[CREDENTIAL_SCRAPPED] = told->scrapped;
    c.by_state[CREDENTIAL_REVOKED] = told->revoked;
    c.spares = told->spares;
    c.requests = told->requests;
    return c;
}

/* The tables can be edited without a trace in themselves; the ledger counts on its own. */
int quota_compare(struct store *store, const struct order_row *order,
                  const struct inventory_counts *counts, struct error *err)
{
    static const char *const names[] = {"available", "unresolved", "proven",
                                        "burned",    "scrapped",   "revoked"};
    struct inventory_counts expected;
    struct ledger_counts told;
    int rc = ledger_count_order(store, order->hash, &told, err);

    if (rc)
        return rc;
    expected = states_of(&told);
    for (int state = 0; state < CREDENTIAL_STATES; state++)
        if (counts->by_state[state] != expected.by_state[state])
            return error_set(err, ERR_INTEGRITY,
                             "the inventory of order '%s' holds %" PRId64
                             " %s credentials and the ledger tells of %" PRId64
                             ": keep the database as it is and call the security team",
                             order->name, counts->by_state[state], names[state],
                             expected.by_state[state]);
    if (counts->spares != expected.spares)
        return error_set(err, ERR_INTEGRITY,
                         "the inventory of order '%s' holds %" PRId64
                         " spare keys and the ledger tells of %" PRId64
                         ": keep the database as it is and call the security team",
                         order->name, counts->spares, expected.spares);
    if (counts->requests != expected.requests)
        return error_set(err, ERR_INTEGRITY,
                         "the inventory of order '%s' holds %" PRId64
                         " requests to a hosted CA and the ledger tells of %" PRId64
                         ": keep the database as it is and call the security team",
                         order->name, counts->requests, expected.requests);
    return 0;
}

int quota_load(struct vault *v, struct error *err)
{
    int rc = inventory_count(v->store, v->order_id, &v->counts, err);

    if (rc == 0)
        rc = quota_compare(v->store, &v->history.row, &v->counts, err);
    return rc ? rc : claims_check_complete(v->store, err);
}

int quota_check_issue(const struct vault *v, int64_t more, struct error *err)
{
    int64_t most = v->share->counts.max_issued, issued = quota_issued(&v->counts);
    int rc = order_check_time(v->order, clock_utc(), err);

    if (rc || more <= most - issued)
        return rc;
    return error_next(err, NEXT_ORDER,
                      error_set(err, ERR_REFUSED,
                                "order '%s' allows this station %" PRId64
                                " certificates and %" PRId64 " are made: %" PRId64
                                " more are not covered; ask the owner for an amendment",
                                v->order->id, most, issued, more));
}

/* live: how many there are beside the one to be claimed. */
static int check_good(const struct vault *v, int64_t live, struct error *err)
{
    int64_t good = v->share->counts.good;
    int64_t over = v->counts.by_state[CREDENTIAL_BURNED] - v->share->counts.spoilage;

    if (live + (over > 0 ? over : 0) < good)
        return 0;
    if (live < good)
        return error_next(
            err, NEXT_ORDER,
            error_set(err, ERR_REFUSED,
                      "order '%s' is used up: %" PRId64 " of %" PRId64
                      " devices have their identity and %" PRId64
                      " more credentials were lost than it allows; ask the owner for an "
                      "amendment",
                      v->order->id, live, good, over));
    return error_next(
        err, NEXT_ORDER,
        error_set(err, ERR_REFUSED,
                  "order '%s' is fulfilled: %" PRId64 " of %" PRId64
                  " devices have their identity or are about to; ask the owner for an amendment",
                  v->order->id, live, good));
}

int quota_check_claim(const struct vault *v, struct error *err)
{
    int rc = order_check_time(v->order, clock_utc(), err);

    return rc ? rc : check_good(v, quota_live(&v->counts), err);
}

int quota_check_burn(const struct vault *v, struct error *err)
{
    int64_t spoilage = v->share->counts.spoilage;
    int rc = order_check_time(v->order, clock_utc(), err);

    if (rc == 0)
        rc = check_good(v, quota_live(&v->counts) - 1, err);
    if (rc || v->counts.by_state[CREDENTIAL_BURNED] < spoilage)
        return rc;
    return error_next(
        err, NEXT_SET_ASIDE,
        error_set(err, ERR_REFUSED,
                  "this device lost what was delivered to it, and order '%s' allows this "
                  "station %" PRId64 " spoiled credentials: set it aside and call your supervisor",
                  v->order->id, spoilage));
}

int quota_check_run(const struct vault *v, struct error *err)
{
    int64_t now = clock_utc();

    if (now >= v->order->until && v->counts.by_state[CREDENTIAL_CLAIMED] > 0)
        return 0;
    return order_check_time(v->order, now, err);
}

void quota_move(struct vault *v, int from, int to, int64_t count)
{
    if (from >= 0)
        v->counts.by_state[from] -= count;
    v->counts.by_state[to] += count;
}

static bool is_certified_ahead(const struct vault *v)
{
    return v->mode == IMPRINT_MODE_HSM && job_serials_ahead(&v->job->serials);
}

int64_t quota_stock(const struct vault *v)
{
    return v->mode == IMPRINT_MODE_HSM && !is_certified_ahead(v)
               ? v->counts.spares
               : v->counts.by_state[CREDENTIAL_AVAILABLE];
}

int64_t quota_remaining(const struct vault *v)
{
    int64_t missing = v->share->counts.good - quota_live(&v->counts);
    int64_t places = v->share->counts.max_issued - quota_issued(&v->counts);
    int64_t most = missing < 0 ? 0 : missing;

    if (!is_certified_ahead(v) && places < most)
        most = places;
    if (v->mode == IMPRINT_MODE_HSM && quota_stock(v) < most)
        most = quota_stock(v);
    return most;
}

unsigned quota_warnings(const struct vault *v)
{
    return order_warnings(v->order, v->share, quota_live(&v->counts), quota_issued(&v->counts),
                          clock_utc());
}
