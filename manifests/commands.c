#include "manifests/program.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/plural.h"
#include "manifests/proof.h"
#include "manifests/verify.h"

#include <inttypes.h>
#include <string.h>

static void print_root(const struct merkle_hash *root)
{
    struct buf text;

    buf_init(&text, 64);
    base64_put(&text, root->bytes, sizeof root->bytes);
    printf("  root      %.*s\n", (int)text.len, (const char *)text.data);
    buf_done(&text);
}

static void print_time(const char *label, int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(utc, text);
    printf("  %-9s %s\n", label, text);
}

/* {"add": 3, ...}: only the types that there are. */
static json_t *json_types(const uint64_t by_type[RECORD_TYPES])
{
    json_t *types = json_object();

    for (int t = RECORD_ADD; t < RECORD_TYPES; t++)
        if (by_type[t])
            json_object_set_new(types, record_type_name((enum record_type)t),
                                json_integer((json_int_t)by_type[t]));
    return types;
}

static void print_types(const uint64_t by_type[RECORD_TYPES])
{
    printf("  records  ");
    for (int t = RECORD_ADD; t < RECORD_TYPES; t++)
        if (by_type[t])
            printf(" %" PRIu64 " %s", by_type[t], record_type_name((enum record_type)t));
    putchar('\n');
}

static json_t *json_report(const struct verify_report *r)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:b, s:b, s:o, s:I, s:I, s:I,"
        " s:I, s:I, s:I, s:b, s:o}",
        "origin", r->origin, "station", r->station, "environment", r->environment, "customer",
        r->customer, "signer", r->signer.subject, "seq", (json_int_t)r->seq, "first",
        (json_int_t)r->first, "count", (json_int_t)r->count, "size", (json_int_t)r->size, "root",
        program_json_root(&r->root), "sha256", program_json_hex(r->sha256), "created",
        program_json_time(r->created), "verified", 1, "extends_previous", r->extends, "records",
        json_types(r->by_type), "certificates", (json_int_t)r->certificates, "proofs",
        (json_int_t)r->proofs, "proofs_not_verifiable", (json_int_t)r->proofs_derived,
        "proofs_skipped", (json_int_t)r->proofs_skipped, "unauthenticated",
        (json_int_t)r->unauthenticated, "plaintext", (json_int_t)r->plain, "first_of_log",
        !r->has_prev, "signatures", program_json_signatures(&r->signatures));
}

/* One sentence for what was shown, one for what was not. */
static void print_verdict(const struct verify_report *r)
{
    printf("proven: manifest %" PRIu64 " of '%s' is signed by '%s' and complete: none of %" PRIu64
           " records was changed, dropped, repeated or moved; certificates that lead to the device "
           "root: %" PRIu64 "; devices that proved their keys: %" PRIu64 "%s\n",
           r->seq, r->origin, r->signer.subject, r->count, r->certificates, r->proofs,
           r->extends     ? "; it extends the manifest accepted before"
           : !r->has_prev ? "; it is the first of its log"
                          : "");
    printf(
        "not proven: %sthat nobody was given another manifest %" PRIu64
        " (compare size and root with others)%s%s%s, or that no later manifest revokes a device\n",
        r->extends || !r->has_prev ? "" : "that it extends what was accepted before (--after), ",
        r->seq, r->unauthenticated ? ", that devices without authentication are genuine" : "",
        r->proofs_derived ? ", proofs of derived keys" : "",
        r->proofs_skipped ? ", that devices hold their keys (--skip-proofs)" : "");
}

static void print_report(const struct verify_report *r)
{
    print_verdict(r);
    printf("  station   %s (%s), for %s\n", r->station, r->environment, r->customer);
    print_time("created", r->created);
    printf("  leaves    %" PRIu64 " to %" PRIu64 "\n", r->first, r->size);
    print_root(&r->root);
    print_types(r->by_type);
    program_print_signatures(&r->signatures);
    if (r->unauthenticated)
        printf("  note      %" PRIu64 " %s not authenticated\n", r->unauthenticated,
               r->unauthenticated == 1 ? "identity went to a device that was"
                                       : "identities went to devices that were");
    if (r->plain)
        printf("  note      %" PRIu64 " key%s delivered in the clear\n", r->plain,
               r->plain == 1 ? " was" : "s were");
}

int program_verify(const struct program_args *args, struct error *err)
{
    struct verify_report report;
    struct signatures_policy signatures;
    struct verify_policy policy = {
        .root = args->option[OPT_ROOT],
        .device_root = args->option[OPT_DEVICE_ROOT],
        .log_key = args->option[OPT_LOG_KEY],
        .after = args->option[OPT_AFTER],
        .skip_proofs = args->option[OPT_SKIP_PROOFS] != NULL,
        .signatures = &signatures,
        .progress = program_progress(),
    };
    int rc;

    if (args->option[OPT_AT] && clock_parse(args->option[OPT_AT], &policy.at))
        return error_set(err, ERR_USAGE, "'%s' is not a time like 2026-01-31T23:59:59Z",
                         args->option[OPT_AT]);
    rc = program_signatures(args, &signatures, err);
    if (rc == 0)
        rc = manifest_verify(args->operand[0], &policy, &report, err);
    program_progress_end();
    signatures_policy_done(&signatures);
    if (rc)
        return rc;
    if (program_json(args))
        return program_print_json(json_report(&report), err);
    print_report(&report);
    return 0;
}

static json_t *json_amendments(const struct manifest_totals *t)
{
    json_t *list = json_array();
    char hash[2 * SHA256_SIZE + 1];

    for (size_t i = 0; i < t->amendment_count; i++) {
        hex_encode(t->amendments[i], SHA256_SIZE, hash);
        json_array_append_new(list, json_string(hash));
    }
    return list;
}

static json_t *json_totals(const struct statement *s)
{
    json_t *all = json_object();

    for (size_t i = 0; i < s->totals_count; i++) {
        const struct manifest_totals *t = &s->totals[i];
        json_t *one = json_object();
        char order[2 * SHA256_SIZE + 1];

#define TOTALS_JSON(name) json_object_set_new(one, #name, json_integer((json_int_t)t->name));
        MANIFEST_TOTALS(TOTALS_JSON)
#undef TOTALS_JSON
        json_object_set_new(one, "amendments", json_amendments(t));
        hex_encode(t->order, sizeof t->order, order);
        json_object_set_new(all, order, one);
    }
    return all;
}

static json_t *json_statement(const struct statement *s)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:b}", "origin",
                     s->origin, "station", s->station, "environment", s->environment, "customer",
                     s->customer, "seq", (json_int_t)s->seq, "first", (json_int_t)s->first, "count",
                     (json_int_t)s->count, "size", (json_int_t)s->size, "root",
                     program_json_root(&s->root), "created", program_json_time(s->created),
                     "totals", json_totals(s), "files", (json_int_t)s->file_count, "verified", 0);
}

static void print_totals(const struct manifest_totals *t)
{
    char order[2 * SHA256_SIZE + 1];

    hex_encode(t->order, sizeof t->order, order);
    printf("  order     %s", order);
    if (t->amendment_count)
        printf(", amendments: %zu", t->amendment_count);
    printf("\n           ");
#define TOTALS_PRINT(name) printf(" %" PRIu64 " %s", t->name, #name);
    MANIFEST_TOTALS(TOTALS_PRINT)
#undef TOTALS_PRINT
    putchar('\n');
}

static void print_statement(const char *dir, const struct statement *s)
{
    printf("'%s' says, and nothing of it was verified:\n", dir);
    printf("  log       %s, manifest %" PRIu64 "\n", s->origin, s->seq);
    printf("  station   %s (%s), for %s\n", s->station, s->environment, s->customer);
    print_time("created", s->created);
    printf("  records   %" PRIu64 ", leaves %" PRIu64 " to %" PRIu64 "\n", s->count, s->first,
           s->size);
    print_root(&s->root);
    printf("  files     %zu\n", s->file_count);
    for (size_t i = 0; i < s->totals_count; i++)
        print_totals(&s->totals[i]);
    printf("use '" PROGRAM_NAME " verify' before you rely on it\n");
}

int program_show(const struct program_args *args, struct error *err)
{
    struct statement s = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    rc = folder_read(args->operand[0], MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = statement_parse(bytes.data, bytes.len, &s, err);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_statement(&s), err);
    else if (rc == 0)
        print_statement(args->operand[0], &s);
    statement_done(&s);
    buf_done(&bytes);
    return rc;
}

/* With --json the proof travels inside the object, or the object names the file it went to. */
static int put_proof(const struct program_args *args, const struct buf *proof, struct error *err)
{
    const char *path = args->option[OPT_OUTPUT];
    int rc = path || !program_json(args) ? program_put(args, proof, err) : 0;

    if (rc)
        return rc;
    if (program_json(args))
        return program_print_json(
            path ? json_pack("{s:s, s:s}", "serial", args->operand[1], "file", path)
                 : json_pack("{s:s, s:s#}", "serial", args->operand[1], "proof",
                             (const char *)proof->data, (int)proof->len),
            err);
    return 0;
}

int program_prove(const struct program_args *args, struct error *err)
{
    struct buf proof;
    int rc;

    buf_init(&proof, PROOF_MAX);
    rc = proof_make(args->operand[0], args->operand[1], args->option[OPT_PRODUCT], &proof, err);
    if (rc == 0)
        rc = put_proof(args, &proof, err);
    buf_done(&proof);
    return rc;
}

static int print_proof(const struct program_args *args, const struct proof_report *r,
                       struct error *err)
{
    const char *type = record_type_name(r->record.t);

    if (program_json(args))
        return program_print_json(
            json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:b}", "serial", r->record.sn, "product",
                      r->record.prod, "type", type, "index", (json_int_t)r->index, "origin",
                      r->checkpoint.origin, "size", (json_int_t)r->checkpoint.size, "verified", 1),
            err);
    printf("proven: the '%s' record of serial '%s' (product %s) is number %" PRIu64
           " of the %" PRIu64 " records of log '%s'\n",
           type, r->record.sn, r->record.prod, r->index, r->checkpoint.size, r->checkpoint.origin);
    printf("not proven: that no other record, before or after, says something else of it\n");
    return 0;
}

int program_verify_proof(const struct program_args *args, struct error *err)
{
    struct proof_report report;
    struct note_key key = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, PROOF_MAX);
    rc = note_key_read(args->option[OPT_LOG_KEY], &key, err);
    if (rc == 0)
        rc = file_read(args->operand[0], &bytes, err);
    if (rc == 0)
        rc = proof_verify(bytes.data, bytes.len, &key, &report, err);
    if (rc == 0) {
        rc = print_proof(args, &report, err);
        proof_report_done(&report);
    }
    note_key_done(&key);
    buf_done(&bytes);
    return rc;
}
