#include "station/vault/quota.h"

#include "base/clock.h"
#include "station/store/ledger.h"

#include <inttypes.h>

/* A burned one keeps its place: its certificate may live for ever. */
int64_t quota_issued(const struct inventory_counts *counts)
{
    return counts->by_state[CREDENTIAL_AVAILABLE] + counts->by_state[CREDENTIAL_CLAIMED] +
           counts->by_state[CREDENTIAL_PROVEN] + counts->by_state[CREDENTIAL_BURNED];
}

int64_t quota_live(const struct inventory_counts *counts)
{
    return counts->by_state[CREDENTIAL_CLAIMED] + counts->by_state[CREDENTIAL_PROVEN];
}

int quota_check_ledger(struct store *store, const struct order_history *h,
                       const struct inventory_counts *counts, struct error *err)
{
    const int64_t *have = counts->by_state;
    struct ledger_counts told;
    int rc = ledger_count_order(store, h->row.hash, &told, err);

    if (rc)
        return rc;
    told.burned += told.lost;
    if (quota_issued(counts) == told.issued &&
        have[CREDENTIAL_AVAILABLE] == told.issued - told.claimed - told.lost &&
        have[CREDENTIAL_PROVEN] == told.proven && have[CREDENTIAL_BURNED] == told.burned)
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "the inventory of order '%s' holds %" PRId64 " credentials, %" PRId64
                     " proven and %" PRId64 " burned, and the ledger tells of %" PRId64 ", %" PRId64
                     " and %" PRId64 ": keep the database as it is and call the security team",
                     h->row.name, quota_issued(counts), have[CREDENTIAL_PROVEN],
                     have[CREDENTIAL_BURNED], told.issued, told.proven, told.burned);
}

int quota_load(struct vault *v, struct error *err)
{
    int rc = inventory_count(v->store, v->order_id, &v->counts, err);

    return rc ? rc : quota_check_ledger(v->store, &v->history, &v->counts, err);
}

int quota_check_issue(const struct vault *v, int64_t more, struct error *err)
{
    int64_t most = v->share->counts.max_issued, issued = quota_issued(&v->counts);
    int rc = order_check_time(v->order, clock_utc(), err);

    if (rc || more <= most - issued)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' allows this station %" PRId64 " certificates and %" PRId64
                     " are made: %" PRId64 " more are not covered; ask the owner for an amendment",
                     v->order->id, most, issued, more);
}

/* live: how many there are beside the one to be claimed. */
static int check_good(const struct vault *v, int64_t live, struct error *err)
{
    int64_t good = v->share->counts.good;

    if (live < good)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' is fulfilled: %" PRId64 " of %" PRId64
                     " devices have their identity or are about to; ask the owner for an amendment",
                     v->order->id, live, good);
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
    return error_set(err, ERR_REFUSED,
                     "this device lost what was delivered to it, and order '%s' allows this "
                     "station %" PRId64
                     " spoiled credentials: set it aside and call your supervisor",
                     v->order->id, spoilage);
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

unsigned quota_warnings(const struct vault *v)
{
    return order_warnings(v->order, v->share, quota_live(&v->counts), quota_issued(&v->counts),
                          clock_utc());
}
