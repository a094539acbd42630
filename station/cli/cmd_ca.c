/* imprint ca: the station's issuing CAs. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/plural.h"
#include "pki/profile.h"
#include "station/cli/cli.h"
#include "station/profile/profile.h"
#include "station/vault/ca/destroying.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/ca/hosting.h"
#include "station/vault/ca/importing.h"
#include "station/vault/ca/requesting.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define LAST_LIST_DAYS 3650
#define CLI_YEAR       (365 * INT64_C(86400))

static void hash_text(const uint8_t hash[SHA256_SIZE], char out[2 * SHA256_SIZE + 1])
{
    hex_encode(hash, SHA256_SIZE, out);
}

/* When a CA ends, or "never". */
static void end_text(const struct issuer *i, char out[CLOCK_TEXT_SIZE])
{
    int64_t end = ca_chain_end(&i->chain);

    if (end == PROFILE_END_OF_TIME)
        strcpy(out, "never");
    else
        clock_text(end, out);
}

/* ---- list ---- */

static const char *state_text(const struct issuer *i)
{
    return i->hosted ? ISSUER_HOSTED : issuer_state_name(i->state);
}

static void list_one(const struct cli *cli, const struct issuer *i)
{
    char hash[2 * SHA256_SIZE + 1] = "", end[CLOCK_TEXT_SIZE] = "", root[CA_NAME_SIZE] = "";

    if (i->chain.count) {
        hash_text(i->sha256, hash);
        end_text(i, end);
        ca_name(i->chain.certs[i->chain.count - 1], root);
    }
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:s, s:s*, s:s*, s:s*, s:s*, s:b}", "event", "ca",
                                 "number", (int)i->number, "state", state_text(i), "name",
                                 *i->name ? i->name : NULL, "sha256", *hash ? hash : NULL, "root",
                                 *root ? root : NULL, "until", *end ? end : NULL, "ends_soon",
                                 issuer_ends_soon(i, clock_utc())));
    else if (!i->chain.count)
        printf("%-3u %-10s waits for its certificate: ca/request-%u.pem\n", i->number,
               issuer_state_name(i->state), i->number);
    else
        printf("%-3u %-10s '%s', below '%s', ends %s%s\n    %s\n", i->number, state_text(i),
               i->name, root, end,
               !issuer_ends_soon(i, clock_utc()) ? ""
               : i->hosted                       ? " (soon: import another)"
                                                 : " (soon: request another)",
               hash);
}

static int list(struct cli *cli, struct error *err)
{
    struct issuers issuers;
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc)
        return rc;
    rc = issuers_load(&cli->config, cli->store, &issuers, err);
    for (size_t i = 0; rc == 0 && i < issuers.count; i++)
        list_one(cli, &issuers.of[i]);
    issuers_done(&issuers);
    return rc;
}

/* ---- what changes something ---- */

/* A CA is no everyday matter: who, and why, stand in the ledger. */
static int open_place(struct cli *cli, struct ca_place *p, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_CA, err);
    *p = (struct ca_place){&cli->config, cli->store, cli->hsm};
    return rc;
}

static int read_wish(const struct cli *cli, struct cert_profile *profile, struct ca_wish *wish,
                     struct error *err)
{
    const char *named = cli_value(cli, "profile"), *organization = cli_value(cli, "organization");
    int64_t again = 0;
    int rc = cli_number(cli, "again", 1, ISSUERS_MAX, &again, err);

    *wish = (struct ca_wish){.name = cli_value(cli, "name"), .again = (unsigned)again};
    wish->values[VALUE_ORGANIZATION] = organization ? organization : cli->config.organization;
    wish->values[VALUE_ENVIRONMENT] = cli->config.environment;
    wish->values[VALUE_VENDOR_ID] = cli_value(cli, "vendor-id");
    wish->values[VALUE_PRODUCT_ID] = cli_value(cli, "product-id");
    if (rc == 0 && named) {
        rc = profile_find(named, profile, err);
        wish->profile = profile;
    }
    return rc;
}

static int request(struct cli *cli, struct error *err)
{
    static struct cert_profile profile; /* large for a stack */
    char hash[2 * SHA256_SIZE + 1];
    struct requested made;
    struct ca_wish wish;
    struct ca_place p;
    int rc = read_wish(cli, &profile, &wish, err);

    if (rc == 0)
        rc = open_place(cli, &p, err);
    if (rc == 0)
        rc = requesting_run(&p, &wish, &made, err);
    if (rc)
        return rc;
    hash_text(made.sha256, hash);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:s, s:s}", "event", "ca_requested", "number",
                                 (int)made.number, "path", made.path, "sha256", hash));
    else
        printf("issuing CA %u has a key (SHA-256 %s)\n"
               "let its CA certify %s, then 'imprint ca import FILE'\n",
               made.number, hash, made.path);
    return 0;
}

static void report_certified(const struct cli *cli, const struct certified *c, bool hosted)
{
    char hash[2 * SHA256_SIZE + 1];

    hash_text(c->sha256, hash);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:s, s:s, s:s, s:b}", "event", "ca_certified",
                                 "number", (int)c->number, "name", c->name, "path", c->path,
                                 "sha256", hash, "new", !c->before));
    else if (hosted)
        printf("hosted CA %u is '%s'%s: %s\n"
               "next: the owner's orders list %s as 'hosted' for this station, and importers pin "
               "trust/device-root.pem\n",
               c->number, c->name, c->before ? ", as before" : "", c->path, hash);
    else
        printf("issuing CA %u is '%s'%s: %s\n"
               "next: the owner's orders list %s for this station, and importers pin "
               "trust/device-root.pem\n",
               c->number, c->name, c->before ? ", as before" : "", c->path, hash);
}

static int import(struct cli *cli, struct error *err)
{
    bool hosted = cli_value(cli, "hosted") != NULL;
    struct certified made;
    struct ca_place p;
    int rc;

    if (cli->arg_count < 2)
        return error_set(err, ERR_USAGE, "'imprint ca import' needs a file with certificates");
    rc = open_place(cli, &p, err);
    if (rc == 0)
        rc = hosted ? hosting_run(&p, cli->args[1], &made, err)
                    : importing_run(&p, cli->args[1], &made, err);
    if (rc == 0)
        report_certified(cli, &made, hosted);
    return rc;
}

static int create(struct cli *cli, struct error *err)
{
    static struct cert_profile profile; /* large for a stack */
    struct certified made;
    struct ca_wish wish;
    struct ca_place p;
    int rc = read_wish(cli, &profile, &wish, err);

    if (rc == 0)
        rc = open_place(cli, &p, err);
    if (rc == 0)
        rc = requesting_create(&p, &wish, cli_value(cli, "self-signed") != NULL, &made, err);
    if (rc == 0)
        report_certified(cli, &made, false);
    return rc;
}

static int read_number(const struct cli *cli, unsigned *number, struct error *err)
{
    char extra;

    *number = 0;
    if (cli->arg_count == 2 && strcmp(cli->args[1], "root") == 0)
        return 0;
    if (cli->arg_count == 2 && sscanf(cli->args[1], "%2u%c", number, &extra) == 1 && *number)
        return 0;
    return error_set(err, ERR_USAGE,
                     "'imprint ca destroy' needs the number of an issuing CA, or 'root'");
}

static void report_destroyed(const struct cli *cli, const struct destroyed *d)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:b, s:s*}", "event", "ca_destroyed", "number",
                                 (int)d->number, "new", !d->before, "crl",
                                 d->has_list ? d->list.path : NULL));
    else if (d->number == 0)
        printf("the key of the root is destroyed: no issuing CA can be made with it any more\n");
    else
        printf("the key of issuing CA %u is destroyed\n", d->number);
    if (!cli->json && d->has_list)
        printf("its last revocation list has %" PRIu64 " certificate%s: %s\n", d->list.entries,
               PLURAL(d->list.entries), d->list.path);
}

static int destroy(struct cli *cli, struct error *err)
{
    int64_t days = LAST_LIST_DAYS;
    struct destroyed done;
    unsigned number;
    struct ca_place p;
    int rc = read_number(cli, &number, err);

    if (rc == 0)
        rc = cli_number(cli, "days", 1, REVOCATIONS_DAYS_MAX, &days, err);
    if (rc == 0)
        rc = open_place(cli, &p, err);
    if (rc == 0)
        rc =
            number ? destroying_run(&p, number, days, &done, err) : destroying_root(&p, &done, err);
    if (rc == 0)
        report_destroyed(cli, &done);
    return rc;
}

int cmd_ca(struct cli *cli, struct error *err)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli, struct error *err);
    } actions[] = {{"list", list},
                   {"request", request},
                   {"import", import},
                   {"create", create},
                   {"destroy", destroy}};

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(cli->args[0], actions[i].name) == 0)
            return actions[i].run(cli, err);
    return error_set(err, ERR_USAGE,
                     "'imprint ca' lists, requests, imports, creates or destroys: 'list', "
                     "'request', 'import FILE', 'create' or 'destroy N', not '%s'",
                     cli->args[0]);
}

/* ---- warnings ---- */

static void warn(const struct cli *cli, const struct issuer *i, const char *what, int64_t when)
{
    const char *next = i->hosted ? "take in the one that follows in time ('imprint ca import FILE "
                                   "--hosted')"
                                 : "request another in time ('imprint ca request')";
    char text[CLOCK_TEXT_SIZE];

    clock_text(when, text);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "event", "warning", "ca", i->name,
                                 "warning", what, "until", text));
    else if (!cli->quiet)
        fprintf(stderr, "imprint: %s CA '%s' %s %s: %s\n", i->hosted ? ISSUER_HOSTED : "issuing",
                i->name, what, text, next);
}

void cli_warn_issuers(const struct cli *cli)
{
    struct issuers issuers;

    if (issuers_load(&cli->config, cli->store, &issuers, NULL) == 0)
        for (size_t i = 0; i < issuers.count; i++)
            if (issuer_ends_soon(&issuers.of[i], clock_utc()))
                warn(cli, &issuers.of[i], "ends on", ca_chain_end(&issuers.of[i].chain));
    issuers_done(&issuers);
}

bool cli_issuers_end_soon(const struct cli *cli)
{
    struct issuers issuers;
    bool soon = false;

    if (issuers_load(&cli->config, cli->store, &issuers, NULL) == 0)
        for (size_t i = 0; i < issuers.count; i++)
            soon = soon || issuer_ends_soon(&issuers.of[i], clock_utc());
    issuers_done(&issuers);
    return soon;
}

void cli_warn_issuing(const struct cli *cli, const struct vault *v)
{
    int64_t now = clock_utc(), last, begin, end;

    if (!v->issuer) /* derived keys have no certificate */
        return;
    last = fitting_last(v, now);
    if (issuer_ends_soon(v->issuer, now)) {
        warn(cli, v->issuer, "ends on", ca_chain_end(&v->issuer->chain));
        return;
    }
    if (last == PROFILE_END_OF_TIME || !ca_times(v->issuer->chain.certs[0], &begin, &end))
        return;
    if (now > last - (last - begin < 3 * CLI_YEAR ? (last - begin) / 3 : CLI_YEAR))
        warn(cli, v->issuer, "can sign certificates of this job's profile until", last);
}
