/* imprint audit: the live token against the policy, and against the transcript of its ceremony. */
#include "base/codec.h"
#include "base/plural.h"
#include "hsm/audit.h"
#include "station/cli/cli.h"
#include "station/store/inventory.h"
#include "station/store/orders.h"
#include "station/vault/ca/auditing.h"
#include "station/vault/second_key.h"
#include "station/vault/transcript.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Orders that still have stored device keys. */
struct orders {
    struct store *store;
    uint8_t (*hashes)[SHA256_SIZE];
    size_t count;
};

struct audit_report {
    const struct cli *cli;
    size_t faults;
};

static const char *what_it_is_worth(const struct hsm *hsm)
{
    if (strcmp(hsm_class(hsm), "software") == 0)
        return "a software token: its keys are in the memory of the process that uses it, and "
               "whoever has its files and the PIN has the keys; the attributes below stop "
               "mistakes, "
               "not somebody in that process";
    return "a token with hardware: what is compared is what the token says of its keys; whether "
           "they are in hardware its maker has to prove";
}

static int add_order(void *context, const struct order_row *row, struct error *err)
{
    struct orders *orders = context;
    struct inventory_counts counts;
    uint8_t(*list)[SHA256_SIZE];
    int rc = inventory_count(orders->store, row->id, &counts, err);

    if (rc || counts.by_state[CREDENTIAL_AVAILABLE] + counts.by_state[CREDENTIAL_CLAIMED] == 0)
        return rc;
    list = realloc(orders->hashes, (orders->count + 1) * sizeof *list);
    if (!list)
        return error_set(err, ERR_INTERNAL, "out of memory");
    orders->hashes = list;
    memcpy(list[orders->count++], row->hash, SHA256_SIZE);
    return 0;
}

static void print_finding(struct audit_report *report, enum hsm_finding_kind kind, const char *key,
                          const char *attribute, const char *text)
{
    report->faults += hsm_finding_is_fault(kind);
    if (report->cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s*, s:s}", "event", "finding", "kind",
                                 hsm_finding_name(kind), "key", key, "attribute",
                                 *attribute ? attribute : NULL, "text", text));
    else
        printf("%-10s %s: %s\n", hsm_finding_name(kind), key, text);
}

static void transcript_finding(void *context, enum hsm_finding_kind kind, const char *key,
                               const char *text)
{
    print_finding(context, kind, key, "", text);
}

static void transcript_custodian(void *context, const char *name, const char *file)
{
    const struct audit_report *report = context;

    if (report->cli->json)
        cli_print_json(
            json_pack("{s:s, s:s, s:s?}", "event", "custodian", "name", name, "file", file));
    else if (file)
        printf("signed     transcript, by '%s' (ceremony/%s)\n", name, file);
    else
        printf("unsigned   transcript, by '%s'\n", name);
}

/* A key that the station gave up is not missing; unknown: NULL. */
static void print_findings(struct audit_report *report, const struct hsm_audit *audit,
                           const struct issuers *issuers)
{
    for (size_t i = 0; i < audit->count; i++) {
        const struct hsm_finding *f = &audit->findings[i];

        if (f->kind != HSM_FINDING_MISSING || !issuers || !auditing_is_gone(issuers, f->key))
            print_finding(report, f->kind, f->key, f->attribute, f->text);
    }
}

/*
 * A token without the ledger's key cannot say which CAs there are, nor do certificates that were
 * exchanged: what is wrong is told all the same.
 */
static int report_token(struct cli *cli, struct audit_report *report, const struct hsm_audit *audit,
                        struct error *err)
{
    const struct transcript_listener listener = {transcript_finding, transcript_custodian, report};
    struct error unread = ERROR_INIT;
    struct issuers issuers;
    int rc = 0, read = issuers_load(&cli->config, cli->store, &issuers, &unread);

    print_findings(report, audit, read ? NULL : &issuers);
    if (read == 0)
        rc = auditing_run(&issuers, cli->hsm, transcript_finding, report, err);
    issuers_done(&issuers);
    if (rc == 0)
        rc = second_key_audit(&cli->config, cli->store, cli->hsm, transcript_finding, report, err);
    if (rc == 0)
        rc = transcript_check(&cli->config, cli->store, cli->hsm, &listener, err);
    if (rc || !read || report->faults)
        return rc;
    *err = unread;
    return read;
}

static int audit_token(struct cli *cli, struct audit_report *report, struct hsm_audit *audit,
                       struct error *err)
{
    struct orders orders = {.store = cli->store};
    int rc = order_each(cli->store, add_order, &orders, err);

    if (rc == 0)
        rc = hsm_audit_run(cli->hsm, (const uint8_t(*)[SHA256_SIZE])orders.hashes, orders.count,
                           audit, err);
    free(orders.hashes);
    return rc ? rc : report_token(cli, report, audit, err);
}

static void print_end(const struct audit_report *report, const struct hsm_audit *audit)
{
    const struct hsm *hsm = report->cli->hsm;

    if (report->cli->json)
        cli_print_json(json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I}", "event", "audited", "hsm", hsm_class(hsm), "text",
            what_it_is_worth(hsm), "objects", (json_int_t)audit->objects, "attributes",
            (json_int_t)audit->attributes, "faults", (json_int_t)report->faults));
    else
        printf("%zu objects, %zu attributes compared, %zu faults\n", audit->objects,
               audit->attributes, report->faults);
}

static int run_audit(struct cli *cli, struct audit_report *report, struct error *err)
{
    struct hsm_audit audit = {0};
    int rc;

    if (!cli->json)
        printf("%-10s %s\n", "hsm", what_it_is_worth(cli->hsm));
    rc = audit_token(cli, report, &audit, err);
    if (rc == 0)
        print_end(report, &audit);
    hsm_audit_done(&audit);
    return rc;
}

int cmd_audit(struct cli *cli, struct error *err)
{
    struct audit_report report = {.cli = cli};
    int rc = vault_open_hsm_unchecked(&cli->config, &cli->hsm, err);

    if (rc)
        return rc;
    vault_attach_reader(cli->hsm, cli->store);
    rc = run_audit(cli, &report, err);
    if (rc == 0 && report.faults > 0)
        rc = error_set(err, ERR_INTEGRITY,
                       "the token or the transcript is not what the policy and the ceremony say, "
                       "in %zu point%s: stop production, keep everything as it is, and call the "
                       "security team",
                       report.faults, PLURAL(report.faults));
    return rc;
}
