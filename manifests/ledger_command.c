/* imprint-manifest verify-ledger. */
#include "manifests/program.h"

#include "base/clock.h"
#include "base/codec.h"
#include "manifests/ledger_export.h"

#include <inttypes.h>

static json_t *json_report(const struct ledger_report *r)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:b, s:b}", "station",
                     r->s.station, "environment", r->s.environment, "origin", r->s.origin, "signer",
                     r->signer.subject, "first", (json_int_t)r->s.first, "last",
                     (json_int_t)r->s.last, "count", (json_int_t)r->s.count, "head",
                     program_json_hex(r->s.head), "prev", program_json_hex(r->s.prev), "created",
                     program_json_time(r->s.created), "verified", 1, "extends_previous",
                     r->extends);
}

static void print_report(const struct ledger_report *r)
{
    char head[2 * SHA256_SIZE + 1], created[CLOCK_TEXT_SIZE];

    hex_encode(r->s.head, sizeof r->s.head, head);
    clock_text(r->s.created, created);
    printf("proven: entries %" PRIu64 " to %" PRIu64 " of the ledger of station '%s' (%s) are "
           "signed by '%s', and none was changed, dropped, repeated or moved%s\n",
           r->s.first, r->s.last, r->s.station, r->s.environment, r->signer.subject,
           r->extends        ? "; they continue the export accepted before"
           : r->s.first == 1 ? "; they are all since the station was made"
                             : "");
    printf(
        "not proven: that what they say happened, that nobody was given another history (compare "
        "the head with others)%s, or what came after\n",
        r->extends || r->s.first == 1 ? ""
                                      : ", that they continue what was accepted before (--after)");
    printf("  created   %s\n  head      %s\n", created, head);
}

int program_verify_ledger(const struct program_args *args, struct error *err)
{
    struct ledger_report report;
    struct ledger_policy policy = {.root = args->option[OPT_ROOT],
                                   .after = args->option[OPT_AFTER],
                                   .progress = program_progress()};
    int rc;

    if (args->option[OPT_AT] && clock_parse(args->option[OPT_AT], &policy.at))
        return error_set(err, ERR_USAGE, "'%s' is not a time like 2026-01-31T23:59:59Z",
                         args->option[OPT_AT]);
    rc = ledger_export_verify(args->operand[0], &policy, &report, err);
    program_progress_end();
    if (rc)
        return rc;
    if (program_json(args))
        return program_print_json(json_report(&report), err);
    print_report(&report);
    return 0;
}
