/* imprint-manifest verify-closing. */
#include "manifests/program.h"

#include "base/clock.h"
#include "base/plural.h"
#include "manifests/closing.h"

#include <inttypes.h>

static json_t *json_totals(const struct manifest_totals *t)
{
    json_t *totals = json_object();

#define ADD_TOTAL(name) json_object_set_new(totals, #name, json_integer((json_int_t)t->name));
    MANIFEST_TOTALS(ADD_TOTAL)
#undef ADD_TOTAL
    return totals;
}

static json_t *json_report(const struct closing *c, const struct cms_signer *signer, bool compared)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:I, s:o, s:b, s:b}", "id",
                     c->id, "order", program_json_hex(c->totals.order), "product", c->product,
                     "station", c->station, "environment", c->environment, "signer",
                     signer->subject, "closed", program_json_time(c->closed), "by", c->by, "reason",
                     c->reason, "manifest", (json_int_t)c->manifest, "totals",
                     json_totals(&c->totals), "verified", 1, "agrees_with_manifest", compared);
}

static void print_report(const struct closing *c, const struct cms_signer *signer, bool compared)
{
    const struct manifest_totals *t = &c->totals;
    char closed[CLOCK_TEXT_SIZE];

    clock_text(c->closed, closed);
    printf("proven: station '%s' (%s) closed order '%s', signed by '%s', and its totals add "
           "up%s\n",
           c->station, c->environment, c->id, signer->subject,
           compared ? "; manifest and statement agree" : "");
    printf("not proven: %sthat nobody was given another statement, that the storage key is "
           "destroyed, or that no copy of it exists\n",
           compared ? "" : "that it agrees with a manifest (--manifest), ");
    printf("  totals    %" PRIu64 " certificate%s: %" PRIu64 " good, %" PRIu64 " replaced, %" PRIu64
           " revoked, %" PRIu64 " burned, %" PRIu64 " scrapped\n",
           t->issued, PLURAL(t->issued), t->good, t->replaced, t->revoked, t->burned, t->scrapped);
    printf("  log       manifest %" PRIu64 ", %" PRIu64 " record%s\n  closed    %s by %s: %s\n"
           "  destroyed %s\n",
           c->manifest, c->size, PLURAL(c->size), closed, c->by, c->reason,
           *c->storage ? c->storage : "nothing");
}

int program_verify_closing(const struct program_args *args, struct error *err)
{
    struct closing_policy policy = {.root = args->option[OPT_ROOT],
                                    .manifest = args->option[OPT_MANIFEST]};
    struct cms_signer signer;
    struct closing c;
    int rc = 0;

    if (args->option[OPT_AT] && clock_parse(args->option[OPT_AT], &policy.at))
        return error_set(err, ERR_USAGE, "'%s' is not a time like 2026-01-31T23:59:59Z",
                         args->option[OPT_AT]);
    rc = closing_verify(args->operand[0], &policy, &c, &signer, err);
    if (rc)
        return rc;
    if (program_json(args))
        rc = program_print_json(json_report(&c, &signer, policy.manifest != NULL), err);
    else
        print_report(&c, &signer, policy.manifest != NULL);
    closing_done(&c);
    return rc;
}
