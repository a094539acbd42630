/* imprint reconcile: whether every credential is accounted for, without a PIN. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/store/claims.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/vault/quota.h"
#include "station/vault/totals.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

/* ---- devices that neither proved their credential nor were given up ---- */

struct listing {
    const struct cli *cli;
    const char *order;
    int64_t count;
};

static int list_one(void *context, const struct unresolved *u, struct error *err)
{
    struct listing *l = context;
    char since[CLOCK_TEXT_SIZE], tx[2 * sizeof u->tx + 1];

    (void)err;
    l->count++;
    clock_text(u->since, since);
    hex_encode(u->tx, sizeof u->tx, tx);
    if (l->cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "event",
                                 "unresolved", "order", l->order, "serial", u->serial, "chip",
                                 u->chip, "slot", u->slot, "since", since, "tx", tx, "failures",
                                 (json_int_t)u->failures, "why", u->why));
    else
        printf(
            "  '%s' went to chip %s in slot %s on %s: put that device back and run the job; if it "
            "is to stay set aside, or is gone, 'imprint void %s --lost --reason TEXT'\n",
            u->serial, u->chip, u->slot, since, u->serial);
    if (!l->cli->json && u->failures)
        printf("    it failed %" PRId64 " time%s, the last: %s\n", u->failures, PLURAL(u->failures),
               u->why);
    return 0;
}

int cli_report_unresolved(const struct cli *cli, int64_t order_id, const char *order,
                          int64_t *count, struct error *err)
{
    struct listing l = {cli, order, 0};
    int rc = claim_each_unresolved(cli->store, order_id, list_one, &l, err);

    *count = l.count;
    return rc;
}

/* ---- units that the job did not take and that did not come back ---- */

static int list_sent_back(void *context, const struct sent_back *u, struct error *err)
{
    const struct cli *cli = context;
    char at[CLOCK_TEXT_SIZE];

    (void)err;
    clock_text(u->at, at);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "sent_back", "chip", u->chip,
                                 "slot", u->slot, "at", at, "why", u->why));
    else
        printf("chip %s was sent back from slot %s on %s and has no identity: %s\n", u->chip,
               u->slot, at, u->why);
    return 0;
}

/* ---- totals ---- */

/* An order without a profile is one of derived keys. */
static const char *what_is_made(const struct cli_order *o)
{
    return *o->order->profile ? "certificate" : "derived key";
}

/* What the order gave this station, beside what became of it. */
static void report_share(const struct cli_order *o, const struct manifest_totals *t,
                         int64_t reworks)
{
    const struct order_counts *c = &o->share->counts;

    printf("  of the order: %" PRIu64 " of %" PRId64 " devices, %" PRId64 " of %" PRId64
           " %ss, %" PRIu64 " of %" PRId64 " burned, %" PRId64 " of %" PRId64 " replaced\n",
           t->good, c->good, quota_issued(&o->counts), c->max_issued, what_is_made(o), t->burned,
           c->spoilage, reworks, c->rework);
}

static json_t *json_share(const struct order_share *share)
{
    const struct order_counts *c = &share->counts;

    return json_pack("{s:I, s:I, s:I, s:I}", "good", (json_int_t)c->good, "max_issued",
                     (json_int_t)c->max_issued, "spoilage", (json_int_t)c->spoilage, "rework",
                     (json_int_t)c->rework);
}

static void report_totals(const struct cli *cli, const struct cli_order *o, int64_t reworks)
{
    struct manifest_totals t = {0};
    json_t *totals, *out;

    totals_of(&o->counts, &t);
    if (!cli->json) {
        printf("order '%s', %s: %" PRIu64 " %s%s = %" PRIu64 " good + %" PRIu64
               " revoked + %" PRIu64 " burned + %" PRIu64 " scrapped + %" PRIu64
               " unused + %" PRIu64 " unresolved\n",
               o->order->id, o->state, t.issued, what_is_made(o), PLURAL(t.issued), t.good,
               t.revoked, t.burned, t.scrapped, t.unused, t.unresolved);
        if (o->share)
            report_share(o, &t, reworks);
        if (o->counts.spares)
            printf("  and %" PRId64 " key%s no certificate yet\n", o->counts.spares,
                   o->counts.spares == 1 ? " that has" : "s that have");
        if (o->counts.requests)
            printf("  and %" PRId64 " request%s to a hosted CA ('imprint csr list')\n",
                   o->counts.requests, PLURAL(o->counts.requests));
        return;
    }
    totals = json_object();
#define ADD_TOTAL(name) json_object_set_new(totals, #name, json_integer((json_int_t)t.name));
    MANIFEST_TOTALS(ADD_TOTAL)
#undef ADD_TOTAL
    out =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "event", "totals", "order", o->order->id,
                  "state", o->state, "keys", (json_int_t)o->counts.spares, "requests",
                  (json_int_t)o->counts.requests, "reworks", (json_int_t)reworks, "totals", totals);
    if (o->share)
        json_object_set_new(out, "ordered", json_share(o->share));
    cli_print_json(out);
}

struct reconciling {
    const struct cli *cli;
    int64_t unresolved;
};

static int reconcile_one(void *context, const struct order_row *row, struct error *err)
{
    struct reconciling *r = context;
    struct ledger_counts told = {.reworks = 0};
    struct cli_order o;
    int64_t count = 0;
    int rc = cli_order_open(r->cli, row->name, &o, err);

    if (rc == 0)
        rc = quota_compare(r->cli->store, row, &o.counts, err);
    if (rc == 0)
        rc = ledger_count_order(r->cli->store, row->hash, &told, err);
    if (rc == 0) {
        report_totals(r->cli, &o, told.reworks);
        rc = cli_report_unresolved(r->cli, row->id, row->name, &count, err);
    }
    if (rc == 0 && count != o.counts.by_state[CREDENTIAL_CLAIMED])
        rc = error_set(err, ERR_INTEGRITY,
                       "order '%s' has %" PRId64 " unresolved credentials and %" PRId64
                       " claims of them: keep the database as it is and call the security team",
                       row->name, o.counts.by_state[CREDENTIAL_CLAIMED], count);
    r->unresolved += count;
    cli_order_done(&o);
    return rc;
}

static int reconcile_named(struct reconciling *r, const char *id, struct error *err)
{
    struct order_row row;
    bool found;
    int rc = order_find(r->cli->store, id, &row, &found, err);

    if (rc == 0 && !found)
        rc = error_set(err, ERR_MISSING,
                       "this station has no order '%s': 'imprint order list' shows those it has",
                       id);
    return rc ? rc : reconcile_one(r, &row, err);
}

int cmd_reconcile(struct cli *cli, struct error *err)
{
    struct reconciling r = {cli, 0};
    int rc = cli->arg_count ? reconcile_named(&r, cli->args[0], err)
                            : order_each(cli->store, reconcile_one, &r, err);

    if (rc == 0 && cli->arg_count == 0) /* they are of no order yet */
        rc = attempt_each_sent_back(cli->store, list_sent_back, cli, err);
    if (rc || r.unresolved == 0)
        return rc;
    return error_set(err, ERR_UNRESOLVED,
                     "%" PRId64 " device%s got a credential and did not prove it", r.unresolved,
                     PLURAL(r.unresolved));
}
