/* Commands that bring manifests and other states into a state, and compare states. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/plural.h"
#include "manifests/receipt_command.h"
#include "manifests/state_program.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/compare.h"

#include <inttypes.h>
#include <stdlib.h>

/* What every manifest of the log must have from "since" on; "root" is SHA-256 of the root's DER, null
 * for the manifest root. */
static json_t *json_required(const struct required list[CMS_ALGORITHMS])
{
    char hash[2 * SHA256_SIZE + 1];
    json_t *all = json_array();

    for (enum cms_algorithm k = 0; k < CMS_ALGORITHMS; k++) {
        if (list[k].since == 0)
            continue;
        hex_encode(list[k].root, SHA256_SIZE, hash);
        json_array_append_new(all, json_pack("{s:s, s:I, s:s?}", "algorithm", cms_algorithm_name(k),
                                             "since", (json_int_t)list[k].since, "root",
                                             list[k].own ? hash : NULL));
    }
    return all;
}

static json_t *json_accepted(const char *dir, const struct trust_accepted *a)
{
    json_t *one =
        json_pack("{s:s, s:s, s:I, s:b, s:o}", "folder", dir, "origin", a->origin, "seq",
                  (json_int_t)a->seq, "known", a->before, "required", json_required(a->required));

    if (!a->before)
        json_object_update_new(
            one, json_pack("{s:I, s:I, s:o, s:I, s:I, s:o}", "count", (json_int_t)a->report.count,
                           "size", (json_int_t)a->report.size, "root",
                           program_json_root(&a->report.root), "proofs_skipped",
                           (json_int_t)a->report.proofs_skipped, "unauthenticated",
                           (json_int_t)a->report.unauthenticated, "signatures",
                           program_json_signatures(&a->report.signatures)));
    return one;
}

/* Not proven by any manifest: only a person can compare the hash with the factory's. */
static void print_required(const struct trust_accepted *a)
{
    char hash[2 * SHA256_SIZE + 1];

    for (enum cms_algorithm k = 0; k < CMS_ALGORITHMS; k++) {
        if (!a->given[k])
            continue;
        hex_encode(a->required[k].root, SHA256_SIZE, hash);
        if (a->required[k].own)
            printf(
                "  required  %s from the next manifest on, below the root with SHA-256 %s, which "
                "no manifest proved here\n",
                cms_algorithm_name(k), hash);
        else
            printf("  required  %s from the next manifest on, below the manifest root\n",
                   cms_algorithm_name(k));
    }
}

static void print_accepted(const struct trust_accepted *a)
{
    if (a->before) {
        printf("known: manifest %" PRIu64 " of '%s' was accepted before\n", a->seq, a->origin);
        print_required(a);
        return;
    }
    printf("accepted: manifest %" PRIu64 " of '%s', %" PRIu64 " record%s", a->seq, a->origin,
           a->report.count, PLURAL(a->report.count));
    if (a->report.unauthenticated)
        printf(", %" PRIu64 " of %s", a->report.unauthenticated,
               a->report.unauthenticated == 1 ? "a device that was not authenticated"
                                              : "devices that were not authenticated");
    if (a->report.proofs_skipped)
        printf(", %" PRIu64 " proof%s not verified again", a->report.proofs_skipped,
               PLURAL(a->report.proofs_skipped));
    putchar('\n');
    program_print_signatures(&a->report.signatures);
}

/* Each folder is accepted by itself; what went before a failure stays accepted. */
static int accept_all(const struct program_args *args, struct trust *t,
                      const struct verify_policy *policy, const struct trust_orders *orders,
                      json_t *list, json_t *answer, struct error *err)
{
    struct trust_accepted *a = calloc(1, sizeof *a);
    int rc = a ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    for (int i = 0; rc == 0 && i < args->operands; i++) {
        rc = trust_accept(t, args->operand[i], policy, orders, a, err);
        program_progress_end();
        if (rc == 0 && list)
            json_array_append_new(list, json_accepted(args->operand[i], a));
        else if (rc == 0)
            print_accepted(a);
        if (fflush(stdout))
            rc = error_set(err, ERR_IO, "cannot write to standard output");
    }
    /* Whoever names an old manifest as the last one was given an old one. */
    if (rc == 0 && a->before && !a->newest)
        rc = error_set(err, ERR_ROLLBACK,
                       "'%s' is manifest %" PRIu64 " of '%s', and newer ones were accepted before: "
                       "ask for the newest",
                       args->operand[args->operands - 1], a->seq, a->origin);
    if (rc == 0 && (args->option[OPT_CLOSING] || args->option[OPT_RECEIPT]))
        rc = program_answer(args, t, a->origin, policy->at, orders, answer, err);
    free(a);
    return rc;
}

static int read_orders(const struct program_args *args, struct trust_orders *orders,
                       struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < args->order_count; i++)
        rc = trust_orders_read(args->orders[i], orders, err);
    return rc ? rc : trust_orders_check(orders, err);
}

int program_accept(const struct program_args *args, struct error *err)
{
    struct trust_orders *orders = calloc(1, sizeof *orders);
    json_t *list = program_json(args) ? json_array() : NULL;
    json_t *answer = program_json(args) ? json_object() : NULL;
    struct trust *t = NULL;
    struct signatures_policy signatures = {0};
    struct verify_policy policy = {
        .root = args->option[OPT_ROOT],
        .device_root = args->option[OPT_DEVICE_ROOT],
        .log_key = args->option[OPT_LOG_KEY],
        .skip_proofs = args->option[OPT_SKIP_PROOFS] != NULL,
        .signatures = &signatures,
        .progress = program_progress(),
    };
    int rc = orders ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    if (rc == 0 && args->option[OPT_AT] && clock_parse(args->option[OPT_AT], &policy.at))
        rc = error_set(err, ERR_USAGE, "'%s' is not a time like 2026-01-31T23:59:59Z",
                       args->option[OPT_AT]);
    if (rc == 0)
        rc = program_signatures(args, &signatures, err);
    if (rc == 0)
        rc = program_check_receipt(args, err);
    if (rc == 0)
        rc = read_orders(args, orders, err);
    if (rc == 0)
        rc = program_open_state(args, TRUST_CREATE, &t, err);
    if (rc == 0)
        rc = accept_all(args, t, &policy, args->order_count ? orders : NULL, list, answer, err);
    trust_close(t);
    signatures_policy_done(&signatures);
    free(orders);
    if (list && rc == 0) {
        json_object_set_new(answer, "manifests", list);
        return program_print_json(answer, err);
    }
    json_decref(answer);
    return list ? program_print_list("manifests", list, rc, err) : rc;
}

struct changes {
    json_t *list; /* NULL: print lines */
    uint64_t count;
};

static const char *change_word(const struct trust_change *c)
{
    if (c->before == WHITELIST_UNKNOWN)
        return "added";
    return c->after == WHITELIST_UNKNOWN ? "gone" : whitelist_answer_name(c->after);
}

static int take_change(void *ctx, const struct trust_change *c, struct error *err)
{
    struct changes *all = ctx;
    const char *before = whitelist_answer_name(c->before), *after = whitelist_answer_name(c->after);

    (void)err;
    all->count++;
    if (all->list)
        json_array_append_new(
            all->list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "change", change_word(c),
                                 "serial", c->serial, "product", c->product, "origin", c->origin,
                                 "leaf", (json_int_t)c->leaf, "before", before, "after", after));
    else
        printf("%s\t%s\t%s\t%s -> %s\n", change_word(c), c->serial, c->product, before, after);
    return 0;
}

int program_diff(const struct program_args *args, struct error *err)
{
    struct changes all = {.list = program_json(args) ? json_array() : NULL};
    struct trust *t = NULL;
    int rc = trust_open(args->operand[1], TRUST_READ, &t, err);

    if (rc == 0)
        rc = trust_diff(t, args->operand[0], take_change, &all, err);
    trust_close(t);
    return all.list ? program_print_list("changes", all.list, rc, err) : rc;
}

static int take_clone(void *ctx, const struct trust_clone *c, struct error *err)
{
    json_t *list = ctx;

    (void)err;
    if (list)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I}", "what", c->what,
                            "serial", c->serial, "product", c->product, "origin", c->origin, "leaf",
                            (json_int_t)c->leaf, "other_serial", c->other_serial, "other_product",
                            c->other_product, "other_origin", c->other_origin, "other_leaf",
                            (json_int_t)c->other_leaf));
    else
        printf("clone\t%s\t%s (%s, record %" PRIu64 " of '%s')\t%s (%s, record %" PRIu64
               " of '%s')\n",
               c->what, c->serial, c->product, c->leaf, c->origin, c->other_serial,
               c->other_product, c->other_leaf, c->other_origin);
    return 0;
}

int program_merge(const struct program_args *args, struct error *err)
{
    json_t *list = program_json(args) ? json_array() : NULL;
    struct trust_merged merged;
    struct trust *t = NULL;
    int rc = program_open_state(args, TRUST_CREATE, &t, err);

    for (int i = 0; rc == 0 && i < args->operands; i++) {
        rc = trust_merge(t, args->operand[i], take_clone, list, &merged, err);
        if (rc == 0 && !list)
            printf("merged: '%s', %" PRIu64 " logs, %" PRIu64 " identities, %" PRIu64
                   " decisions\n",
                   args->operand[i], merged.logs, merged.identities, merged.decisions);
    }
    trust_close(t);
    return list ? program_print_list("clones", list, rc, err) : rc;
}
