#include "station/vault/quota.h"

#include "station/store/ledger.h"

#include <inttypes.h>

static int64_t issued(const struct vault *v)
{
    int64_t sum = 0;

    for (size_t i = 0; i < sizeof v->counts.by_state / sizeof *v->counts.by_state; i++)
        sum += v->counts.by_state[i];
    return sum;
}

static int64_t live(const struct vault *v)
{
    return v->counts.by_state[CREDENTIAL_CLAIMED] + v->counts.by_state[CREDENTIAL_PROVEN];
}

/* The tables can be edited without a trace in themselves; the ledger counts on its own. */
static int compare_with_ledger(const struct vault *v, struct error *err)
{
    const int64_t *have = v->counts.by_state;
    struct ledger_counts told;
    int rc = ledger_count_order(v->store, v->job->order.hash, &told, err);

    if (rc)
        return rc;
    told.burned += told.lost;
    if (issued(v) == told.issued &&
        have[CREDENTIAL_AVAILABLE] == told.issued - told.claimed - told.lost &&
        have[CREDENTIAL_PROVEN] == told.proven && have[CREDENTIAL_BURNED] == told.burned)
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "the inventory of order '%s' holds %" PRId64 " credentials, %" PRId64
                     " proven and %" PRId64 " burned, and the ledger tells of %" PRId64 ", %" PRId64
                     " and %" PRId64 ": keep the database as it is and call the security team",
                     v->job->order.id, issued(v), have[CREDENTIAL_PROVEN], have[CREDENTIAL_BURNED],
                     told.issued, told.proven, told.burned);
}

int quota_load(struct vault *v, struct error *err)
{
    int rc = 0;

    v->counts = (struct inventory_counts){{0}};
    if (v->order_id)
        rc = inventory_count(v->store, v->order_id, &v->counts, err);
    return rc ? rc : compare_with_ledger(v, err);
}

int quota_check_issue(const struct vault *v, int64_t more, struct error *err)
{
    const struct order *o = &v->job->order;

    if (more <= o->max_issued - issued(v))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' allows %" PRId64 " certificates and %" PRId64 " are made: %" PRId64
                     " more are not covered; ask the owner for another order",
                     o->id, o->max_issued, issued(v), more);
}

int quota_check_claim(const struct vault *v, struct error *err)
{
    const struct order *o = &v->job->order;

    if (live(v) < o->good)
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "order '%s' is fulfilled: %" PRId64 " of %" PRId64
        " devices have their identity or are about to; ask the owner for another order",
        o->id, live(v), o->good);
}

int quota_check_burn(const struct vault *v, struct error *err)
{
    const struct order *o = &v->job->order;

    if (v->counts.by_state[CREDENTIAL_BURNED] < o->spoilage)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this device lost what was delivered to it, and order '%s' allows %" PRId64
                     " spoiled credentials: set it aside and call your supervisor",
                     o->id, o->spoilage);
}

void quota_move(struct vault *v, int from, int to, int64_t count)
{
    if (from >= 0)
        v->counts.by_state[from] -= count;
    v->counts.by_state[to] += count;
}

bool quota_nearly_done(const struct vault *v)
{
    const struct order *o = &v->job->order;

    return live(v) >= o->good - o->good / 20 || issued(v) >= o->max_issued - o->max_issued / 20;
}
